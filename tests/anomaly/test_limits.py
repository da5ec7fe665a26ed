import json

import numpy as np
import pytest

from tfts.anomaly.limits import Limits, Measure, learn_limits
from tfts.anomaly.resolution import Resolution
from tfts.anomaly.settings import Settings


def learnt(residuals, values, names="ab", resolutions=None, **scoring):
    """Limits of series with as many residuals each, from columns of one target."""
    rows = [len(each) for each in residuals]
    stacked = np.concatenate(residuals)[:, None].astype(float)
    values = [np.asarray(each, dtype=float)[:, None] for each in values]
    series = np.repeat(np.arange(len(rows)), rows)
    return learn_limits(Settings.of(**scoring).scoring, stacked, series, names, values, resolutions or {})


# Deviations of 2 and of 200.
VALUES = ([98, 102] * 5, [9800, 10200] * 5)


def test_every_series_has_centre_and_limit_of_its_own():
    limits = learnt([[0, 2, 1, 1], [-300, 300]], VALUES, k=2.0)
    centres = [limits.own[name].score.centre_[0] for name in "ab"]
    assert centres == [1, 0]
    # sizes 1, 1, 0, 0 and 300, 300
    assert limits.own["a"].thresholds[0].limit_ == pytest.approx(2 * np.sqrt(0.5))
    assert limits.own["b"].thresholds[0].limit_ == pytest.approx(600)


def test_a_series_without_calibration_rows_is_judged_in_its_own_unit():
    limits = learnt([[-1, 1], [-100, 100], []], (*VALUES, [970, 1030] * 5), "abc", k=2.0)
    assert set(limits.own) == {"a", "b"}
    # All residuals are half a deviation, so the limit is one: 30 of the third series.
    measure, divisor = limits.measure("c")
    assert measure.thresholds[0].limit_ == pytest.approx(30)
    assert divisor.tolist() == [1]


@pytest.mark.parametrize(
    ("score", "limit"), [("residual", 20), ("absolute", 10 + 0.0), ("squared", 100), ("scaled", 2 / 1.4826)]
)
def test_a_new_series_is_judged_in_the_unit_of_its_first_rows(score, limit):
    limits = learnt([[-1, 1], [-100, 100]], VALUES, score=score, k=2.0)
    # Deviation 20, of which residuals are half.
    unit = limits.unit_of(np.array([[80.0], [120.0]] * 4))
    assert unit.tolist() == [20]
    measure, divisor = limits.measure("new", unit)
    assert measure.thresholds[0].limit_ == pytest.approx(limit)
    assert divisor.tolist() == ([20] if score == "scaled" else [1])


def test_a_few_first_rows_or_equal_ones_tell_the_unit_by_their_level():
    limits = learnt([[-1, 1], [-100, 100]], VALUES)
    # Deviations are 2 % of the levels of both series.
    for rows in ([[400.0], [600.0]], [[500.0]] * 20):
        assert limits.unit_of(np.array(rows))[0] == pytest.approx(10)
    # Where there is no level either, the unit lies between those of the others.
    assert limits.unit_of(np.zeros((20, 1)))[0] == 101


def test_a_flat_series_takes_no_part_in_what_all_share():
    quiet, noisy = [0.0] * 50, [-1.0, 1.0] * 10
    alone = learnt([noisy, [100 * r for r in noisy]], VALUES, score="scaled")
    beside = learnt([noisy, [100 * r for r in noisy], quiet], (*VALUES, [20.1] * 10), "abc", score="scaled")
    assert beside.shared.score.spread_ == pytest.approx(alone.shared.score.spread_)
    assert beside.shared.thresholds[0].limit_ == pytest.approx(alone.shared.thresholds[0].limit_)
    # The unit of the flat one is so small that any move of it is large.
    assert 4.9 / beside.units["c"][0] > 1000
    assert beside.units["a"][0] == 2


def test_scaled_measure_judges_scaled_residuals_the_same():
    residuals = np.random.default_rng(0).normal(1, 2, (101, 2))
    scoring = Settings.of(smooth=3, score="squared").scoring
    measure, factor = Measure.of(scoring, residuals, np.zeros(101)), np.array([10.0, 0.1])
    scaled = measure.scaled(factor)
    sizes = measure.score.apply(measure.average.apply(residuals, np.zeros(101)))[0]
    again = scaled.score.apply(scaled.average.apply(residuals * factor, np.zeros(101)))[0]
    np.testing.assert_allclose(again, sizes * factor**2)
    for i in range(2):
        assert scaled.thresholds[i].limit_ == pytest.approx(measure.thresholds[i].limit_ * factor[i] ** 2)


@pytest.mark.parametrize("score", ["residual", "scaled"])
def test_limits_survive_json(score):
    scoring = Settings.of(score=score, smooth=3).scoring
    known = {"a": Resolution().fit(np.arange(9.0)[:, None])}
    limits = learnt([[-1, 1, 0], [-100, 100, 0]], VALUES, resolutions=known, score=score, smooth=3)
    again = Limits.from_state(json.loads(json.dumps(limits.get_state())), scoring)
    assert json.dumps(again.get_state()) == json.dumps(limits.get_state())
    assert again.resolution("a").step_ == 1
    assert again.resolution("b").step_ == 0


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([20.1, 20.2, 20.5, 20.3, 20.6], 0.1),
        # Ten times 0.1 is not 1.
        (np.cumsum(np.full(30, 0.1)), 0.1),
        ([0, 2, 4, 10, 100], 2),
        # Four values may be whole steps apart by chance, and a glitch is no step.
        ([0.0, 2.0, 4.0, 10.0], 0),
        ([5.0] * 50 + [100.0], 0),
        (np.random.default_rng(0).normal(size=50), 0),
        ([20.1] * 50, 0),
        ([], 0),
        ([np.nan, 1.0, 2.0, 3.0, 4.0, 5.0], 1),
        (1e12 + np.arange(50.0), 1),
    ],
)
def test_step_of_values(values, step):
    assert Resolution().fit(np.reshape(values, (-1, 1)).astype(float)).step_[0] == pytest.approx(step)


def test_a_register_far_from_zero_is_not_rounded_as_float32():
    counter = Resolution().fit(7e8 + 3.0 * np.arange(50)[:, None])
    assert counter.least(7e8, 7e8 + 1)[0] == 1.5
    assert counter.rounding(7e8, 7e8)[0] < 1e-3
    # Of numbers that are all equal nothing tells that there are more digits.
    assert Resolution().fit(np.full((50, 1), 7e8)).rounding(7e8, 7e8)[0] > 100
