"""Intervals from held-out errors: their coverage, their paths, and what they are refused for."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from tfts import Forecaster
from tfts.calibration import HeldOut, adaptive_scores, calibration_for, earlier_and_later, held_out_half
from tfts.calibration.cells import bounds_of, common_values, ranked, ranked_in_cells
from tfts.calibration.held_out import Origins, needed_for, spread_out, tail
from tfts.calibration.kinds import moved_of, movement_rows, window_moved
from tfts.calibration.phases import season_phases
from tfts.data.panel import Panel
from tfts.data.windows import WindowSpec
from tfts.outputs import Normal, Point, Quantiles
from tfts.outputs.predictive import Predictive

LEVELS = (0.1, 0.5, 0.9)


def _frame(values, start="2024-01-01", freq="D"):
    return pd.DataFrame({"y": values}, index=pd.date_range(start, periods=len(values), freq=freq))


def _held_out(errors, names=("",), series=None, sizes=None):
    errors = np.asarray(errors, dtype=float)
    errors = errors[:, None, None] if errors.ndim == 1 else errors
    sizes = np.ones((len(names), errors.shape[2])) if sizes is None else np.asarray(sizes, dtype=float)
    series = np.zeros(len(errors), int) if series is None else np.asarray(series)
    usual, phases = np.median(sizes, axis=0), np.ones((1, errors.shape[2]))
    bounds = np.tile(np.array([[-np.inf], [np.inf]]), (len(names) + 1, 1, errors.shape[2]))
    origins = np.zeros(len(errors), int)
    return HeldOut(
        errors, series, np.arange(len(errors)), tuple(names), sizes, usual, phases, origins, bounds
    )


def _point(*values):
    return Predictive(Point(), np.array(values, dtype=float)[:, None, None], np.array([False]))


def test_quantiles_are_the_forecast_and_the_ranked_errors():
    # Of 19 errors from -9 to 9 the level 0.1 is the second, 0.9 the eighteenth: k / 20.
    found = _held_out(np.arange(-9, 10)).quantiles(_point(100), LEVELS, Origins(("",), np.array([0])))
    assert found.ravel().tolist() == [92.0, 100.0, 108.0]
    assert ranked(np.arange(1.0, 4.0)[:, None, None], [0.25, 0.375]).ravel().tolist() == [1.0, 1.5]


def test_each_step_and_target_has_errors_of_its_own():
    errors = np.zeros((19, 2, 2))
    errors[:, 1, 0] = np.arange(-9, 10)
    errors[:, 0, 1] = 10 * np.arange(-9, 10)
    forecast = Predictive(Point(), np.zeros((1, 2, 2)), np.zeros(2, bool))
    found = _held_out(errors).quantiles(forecast, LEVELS, Origins(("",), np.array([0])))
    assert found[0, :, :, 2].tolist() == [[0.0, 80.0], [8.0, 0.0]]


def test_small_and_large_series_share_errors_in_units_of_their_size():
    errors = np.tile(np.arange(-9, 10), 2)
    held_out = _held_out(errors, ("small", "large"), np.repeat([0, 1], 19), [[1.0], [1000.0]])
    origins = Origins(("large", "small"), np.arange(2), held_out.sizes_of(("large", "small")))
    found = held_out.quantiles(_point(5, 5), (0.1, 0.9), origins)
    width = found[:, 0, 0, 1] - found[:, 0, 0, 0]
    assert width[0] == pytest.approx(1000 * width[1])
    assert held_out.sizes_of(("new",)).tolist() == [[500.5]]  # The usual size is the median one.


def test_a_new_series_has_the_size_that_its_window_shows():
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=300)
    known = pd.concat(
        [pd.DataFrame({"time": days, "shop": name, "y": rng.normal(size=300)}) for name in "ab"]
    )
    new = known[known["shop"] == "a"].assign(shop="new", y=lambda frame: 1000 * frame["y"])
    forecaster = Forecaster(
        "persistence", context_length=30, horizon=1, time="time", series="shop", quantiles=LEVELS
    )
    table = (
        forecaster.fit(known).predict(pd.concat([known, new]), origins="all").set_index(["series", "time"])
    )
    width = table["y_q0.9"] - table["y_q0.1"]
    ratio = width["new"] / width["a"]
    assert 800 < ratio.min() <= ratio.max() < 1200


def test_each_part_of_the_season_has_errors_of_its_own():
    # By day errors are above 0 and skewed, by night they are a hundredth as large and below it.
    hours, rng = pd.date_range("2024-01-01", periods=24 * 400, freq="h"), np.random.default_rng(0)
    day = (hours.hour >= 6) & (hours.hour < 18)
    noise = np.where(day, rng.exponential(size=len(hours)), -0.01 * rng.exponential(size=len(hours)))
    table = pd.DataFrame({"y": 50 + 30 * day + noise}, index=hours)
    forecaster = Forecaster("seasonal_naive", context_length=24, horizon=6, quantiles=[0.1, 0.5, 0.9])
    forecaster.fit(table.iloc[: 24 * 300], validation=0)
    panel = forecaster.panel(table)
    rows = forecaster.spec.origins(panel)[24 * 300 :]
    found, actual = forecaster.quantile_windows(panel, rows), forecaster.actual(panel, rows)
    inside = (found[..., 0] <= actual) & (actual <= found[..., 2])
    ahead = (panel.times.hour.to_numpy()[rows][:, None] + np.arange(1, 7)) % 24
    light = (ahead >= 6) & (ahead < 18)
    for part in (light, ~light):
        assert 0.75 < inside[..., 0][part].mean() < 0.85
    assert np.ptp(found, axis=-1)[..., 0][light].mean() > 50 * np.ptp(found, axis=-1)[..., 0][~light].mean()


def test_a_part_of_the_season_without_held_out_rows_has_the_errors_of_all():
    scores = np.arange(1.0, 10.0)[:, None, None]
    parts = np.tile([0, 1, 2], 3)[:, None]
    found, medians = ranked_in_cells(scores, parts, [0.1, 0.5], 5, 5)
    # No part has five errors of its own, and the last two have none at all.
    np.testing.assert_allclose(found[:, 0, 0], [[1, 5]] * 5)
    np.testing.assert_allclose(medians[:, 0, 0], [5] * 5)


def test_what_a_target_never_passes_its_quantiles_do_not_pass():
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=400)
    sold = np.where(rng.uniform(size=400) < 0.6, 0, rng.poisson(4, size=400)).astype(float)
    full = np.minimum(100, 97 + rng.normal(size=400) * 3)
    table = pd.DataFrame({"sold": sold, "full": full, "free": rng.normal(size=400)}, index=days)
    forecaster = Forecaster(
        "linear_regression", context_length=14, horizon=3, quantiles=[0.02, 0.5, 0.98]
    ).fit(table)
    made = forecaster.predict(table, origins="all")
    assert made["sold_q0.02"].min() == 0.0
    assert made["full_q0.98"].max() == 100.0
    assert made["free_q0.02"].min() < -1
    paths = forecaster.predict(table, samples=50)
    assert paths["sold"].min() == 0.0


def test_a_bound_is_for_series_that_keep_to_it():
    zeros = np.zeros(60)
    flows = np.concatenate([zeros, np.arange(60.0), np.arange(-30.0, 30.0), np.arange(5000.0), [-9999.0]])
    of = np.repeat([0, 1, 2, 3, 3], [60, 60, 60, 5000, 1])

    def bounds(values, series, count):
        halves = np.array_split(np.arange(len(values)), 2)
        parts = [(values[half, None], series[half]) for half in halves]
        return bounds_of(common_values(values[:, None]), parts, count)

    few_zeros = bounds(flows, of, 4)
    assert np.isinf(few_zeros).all()
    many = np.concatenate([np.zeros(40_000), flows])
    found = bounds(many, np.concatenate([np.zeros(40_000, int), of]), 4)
    # The one value that stands for a missing one does not count, a series of flows both ways has no bound.
    assert found[:, 0, 0].tolist() == [0.0, 0.0, -np.inf, 0.0, 0.0]
    assert np.isinf(found[:, 1]).all()
    assert np.isinf(bounds(np.ones(9), np.zeros(9, int), 1)).all()


def test_a_series_with_enough_errors_keeps_to_them():
    errors = np.concatenate([np.linspace(-1, 1, 199), np.linspace(-9, 9, 199)])
    held_out = _held_out(errors, ("calm", "wild"), np.repeat([0, 1], 199))
    found = held_out.quantiles(_point(0, 0), (0.1, 0.9), Origins(("calm", "wild"), np.arange(2)))
    # The twentieth of 199.
    np.testing.assert_allclose(found[:, 0, 0, 1], [1 - 19 / 99, 9 * (1 - 19 / 99)])


def test_errors_of_logarithms_multiply():
    log = Predictive(Point(), np.log([[[100.0]]]), np.array([True]))
    errors = np.log(2) * np.arange(-9, 10) / 8
    found = _held_out(errors).quantiles(log, (0.1, 0.9), Origins(("",), np.array([0])))
    np.testing.assert_allclose(found.ravel(), [50.0, 200.0])


def test_a_distribution_is_corrected_along_itself():
    # It is twice too narrow: what it calls two deviations happens like one.
    rng = np.random.default_rng(0)
    narrow = Predictive(Normal(), np.tile([0.0, 0.5], (4000, 1, 1, 1)), np.array([False]))
    actual = rng.normal(size=(4000, 1, 1))
    held_out = _held_out(narrow.scores(actual))
    found = held_out.quantiles(narrow[:1], (0.1, 0.9), Origins(("",), np.array([0]))).ravel()
    np.testing.assert_allclose(found, [-1.2816, 1.2816], atol=0.07)
    learnt = Predictive(Quantiles(LEVELS), np.tile([-0.5, 0.0, 0.5], (4000, 1, 1, 1)), np.array([False]))
    held_out = _held_out(learnt.scores(actual))
    found = held_out.quantiles(learnt[:1], LEVELS, Origins(("",), np.array([0]))).ravel()
    np.testing.assert_allclose(found, [-1.2816, 0.0, 1.2816], atol=0.07)


def test_coverage_holds_on_exchangeable_origins():
    inside, rng = [], np.random.default_rng(0)
    for _ in range(400):
        errors = rng.standard_t(3, size=20)
        low, high = (
            _held_out(errors[:19]).quantiles(_point(0), (0.1, 0.9), Origins(("",), np.array([0]))).ravel()
        )
        inside.append(low <= errors[19] <= high)
    assert 0.76 <= np.mean(inside) <= 0.84


@pytest.mark.parametrize(("level", "needed"), [(0.1, 9), (0.9, 9), (0.5, 1), (0.99, 99), (0.025, 39)])
def test_how_many_errors_a_level_needs(level, needed):
    assert needed_for(level) == needed
    _held_out(np.arange(needed)).check([level])
    with pytest.raises(
        ValueError, match=rf"needs the errors of at least {needed} held-out .*Received: {needed - 1}"
    ):
        _held_out(np.arange(needed - 1)).check([level])


def test_the_adaptive_form_comes_back_after_a_shift_and_the_plain_one_does_not():
    rng = np.random.default_rng(0)
    held_out = _held_out(rng.normal(size=300))
    after = 4 * rng.normal(size=(500, 1, 1))
    found = adaptive_scores(held_out, after, np.arange(500), (0.1, 0.9), "")
    inside = (found[..., 0] <= after) & (after <= found[..., 1])
    assert 0.74 <= inside[100:].mean() <= 0.86
    assert 0.7 <= inside[100:200].mean() <= 0.9
    low, high = held_out.quantiles(_point(0), (0.1, 0.9), Origins(("",), np.array([0]))).ravel()
    assert ((low <= after) & (after <= high)).mean() < 0.4


def test_the_adaptive_form_sees_nothing_that_lies_after_an_origin():
    rng = np.random.default_rng(0)
    held_out = _held_out(rng.normal(size=(50, 3, 1)))
    scores = rng.normal(size=(40, 3, 1))
    found = adaptive_scores(held_out, scores, np.arange(40), (0.1, 0.9), "")
    changed = scores.copy()
    # The outcome of step h of window w lies in row w + h: what is known at row 20 stays.
    rows = np.arange(40)[:, None] + np.arange(1, 4)
    changed[rows > 20] += 100.0
    again = adaptive_scores(held_out, changed, np.arange(40), (0.1, 0.9), "")
    np.testing.assert_array_equal(again[:21], found[:21])
    assert (again[21:] != found[21:]).any()


def test_the_interval_of_a_sum_over_the_horizon_holds_its_share_of_random_walks():
    steps = np.random.default_rng(0).normal(size=4000)
    frame = _frame(np.cumsum(steps), start="2000-01-01", freq="h")
    forecaster = Forecaster("persistence", context_length=2, horizon=12, quantiles=LEVELS).fit(frame)
    paths = forecaster.predict(frame, samples=1000)
    sums = paths.groupby("sample")["y"].sum() - 12 * frame["y"].iloc[-1]
    # The variance of the sum is 1^2 + ... + 12^2 = 650, of independent steps it would be 78.
    low, high = np.quantile(sums, [0.1, 0.9])
    assert (high - low) / (2 * 1.2816) == pytest.approx(np.sqrt(650), rel=0.15)
    # As wide as the quantiles of each step say.
    table = forecaster.predict(frame)
    width = (table["y_q0.9"] - table["y_q0.1"]).to_numpy()
    at = paths.groupby("time")["y"]
    np.testing.assert_allclose(at.quantile(0.9) - at.quantile(0.1), width, rtol=0.15)


def test_series_of_one_path_belong_together():
    common = np.cumsum(np.random.default_rng(0).normal(size=600))
    frame = pd.concat([_frame(common + level).assign(store=store) for store, level in (("a", 0), ("b", 50))])
    forecaster = Forecaster("persistence", context_length=2, horizon=3, series="store", quantiles=LEVELS).fit(
        frame
    )
    paths = forecaster.predict(frame, samples=200)
    paths["moved"] = paths["y"] - paths.groupby(["series", "time"])["y"].transform("mean")
    moved = [own["moved"].to_numpy() for _, own in paths.groupby("series")]
    assert np.corrcoef(*moved)[0, 1] > 0.99


def test_paths_of_a_distribution_have_its_spread_and_the_order_of_errors():
    # Held-out errors that are the same at both steps.
    scores = np.repeat(np.random.default_rng(0).normal(size=(100, 1, 1)), 2, axis=1)
    normal = Predictive(Normal(), np.array([[[[10.0, 2.0]], [[20.0, 4.0]]]]), np.array([False]))
    paths = _held_out(scores).paths(normal, 1000, Origins(("",), np.array([0])), calibrated=False)[:, 0, :, 0]
    np.testing.assert_allclose(paths.mean(axis=0), [10, 20], atol=0.01)
    np.testing.assert_allclose(paths.std(axis=0), [2, 4], rtol=0.03)
    assert np.corrcoef(paths.T)[0, 1] > 0.999


def test_rows_that_are_held_out_choose_no_weights():
    panel = Panel.from_frame(_frame(np.arange(200.0)))
    validation = Panel.from_frame(_frame(np.arange(200.0)))
    chosen, held = held_out_half(validation, WindowSpec(5, 3))
    assert chosen.spans.observed_end <= held.spans.target_start
    early, later = earlier_and_later(panel, WindowSpec(5, 3))
    assert early.spans.observed_end.tolist() == later.spans.target_start.tolist() == [120]
    # Too few rows for two halves: both are all of them.
    short = Panel.from_frame(_frame(np.arange(20.0)))
    assert held_out_half(short, WindowSpec(5, 3)) == (short, short)


def test_kept_origins_are_those_of_whole_times():
    times = np.repeat(np.arange(5000), 3)
    kept = spread_out(times, numbers=1)
    assert len(kept) <= 2100
    assert (np.bincount(times[kept])[np.unique(times[kept])] == 3).all()


def test_what_calibration_is_taken():
    assert calibration_for("auto", Point(), None) == "none"
    assert calibration_for("auto", Point(), LEVELS) == "conformal"
    assert calibration_for("auto", Normal(), LEVELS) == "none"
    assert calibration_for("adaptive", Normal(), LEVELS) == "adaptive"
    with pytest.raises(ValueError, match=r"Unknown calibration 'conformel'.*Did you mean 'conformal'"):
        calibration_for("conformel", Point(), LEVELS)
    with pytest.raises(ValueError, match=r"calibration='conformal' acts on quantiles, and there are none"):
        calibration_for("conformal", Point(), None)
    with pytest.raises(
        ValueError, match=r"A point forecast has no quantiles.*with quantiles=.*or with output="
    ):
        calibration_for("none", Point(), LEVELS)


@pytest.mark.parametrize(
    ("start", "freq", "phases", "season"),
    [
        ("2024-01-01 22:00", "h", [22, 23, 0], 24),
        ("2024-01-01 23:30", "15min", [94, 95, 0], 96),
        ("2024-01-01", "D", [4, 5, 6], 7),  # 1970-01-01 was a Thursday, 2024-01-01 a Monday.
        ("2024-01-04", "B", [3, 4, 0], 5),
        ("2024-11-01", "MS", [10, 11, 0], 12),
        ("2024-07-01", "QS", [2, 3, 0], 4),
        ("2024-01-01", "W-MON", [0, 0, 0], 1),
        ("2024-01-01", "YS", [0, 0, 0], 1),
    ],
)
def test_the_phase_of_a_row_in_its_season(start, freq, phases, season):
    found, length = season_phases(pd.date_range(start, periods=3, freq=freq), freq)
    assert (found.tolist(), length) == (phases, season)
    local = pd.date_range(start, periods=3, freq=freq, tz="Europe/Berlin")
    assert season_phases(local, freq)[0].tolist() == phases


def test_intervals_are_narrow_where_little_happens():
    # Twelve quiet hours a day, twelve loud ones.
    hours = np.arange(24 * 120)
    noise = np.random.default_rng(0).normal(size=len(hours)) * np.where(hours % 24 < 12, 0.1, 10)
    frame = _frame(noise, freq="h")
    forecaster = Forecaster("seasonal_naive", context_length=24, horizon=24, quantiles=LEVELS).fit(frame)
    table = forecaster.predict(frame)
    width = (table["y_q0.9"] - table["y_q0.1"]).to_numpy()
    assert width[12:].mean() > 10 * width[:12].mean()
    panel = forecaster.panel(frame)
    rows = forecaster.spec.origins(panel)[-200:]
    found, actual = forecaster.quantile_windows(panel, rows, [0.1, 0.9]), forecaster.actual(panel, rows)
    assert 0.76 < ((found[..., 0] <= actual) & (actual <= found[..., 1])).mean() < 0.84


def test_a_median_of_few_errors_is_taken_for_chance():
    errors = np.arange(1.0, 20)  # Their median is 10.
    for independent, centre in ((10.0, 5.0), (90.0, 9.0), (np.inf, 10.0)):
        held_out = dataclasses.replace(_held_out(errors), independent=independent)
        found = held_out.quantiles(_point(0), LEVELS, Origins(("",), np.array([0]))).ravel()
        np.testing.assert_allclose(found, centre + np.array([-8.0, 0.0, 8.0]))


def test_a_tail_is_the_level_of_which_the_quantile_is_the_score():
    ordered = np.sort(np.random.default_rng(0).normal(size=211))
    for level in (0.005, 0.05, 0.4, 0.77, 0.99):
        quantile = ranked(ordered[:, None, None], [level]).item()
        assert tail(ordered, quantile) == pytest.approx(level)
    # Of equal scores none is further out than the others.
    assert tail(np.zeros(9), 0.0) == 1.0
    assert tail(np.array([0.0, 0.0, 2.0]), 1.0) == 2.5 / 4


def test_sizes_of_phases_are_those_of_the_other_rows():
    errors = np.array([1.0, 4.0, -3.0, 6.0, 2.0, -8.0])
    panel = Panel.from_frame(_frame(errors, start="2024-01-01", freq="12h"))
    made = Predictive(Point(), np.zeros((6, 1, 1)), np.array([False]))
    phases = season_phases(panel.times, "12h")[0]
    held_out = HeldOut.of(
        made,
        errors[:, None, None],
        Origins(("",), np.zeros(6, int), 1.0, phases),
        panel.times.asi8,
        np.ones((1, 1)),
        np.zeros((2, 2, 1)),
        season_length=2,
    )
    # Of rows of the next phase: means 6 of (4, 6, 8) and 2 of (1, 3, 2), of all 4; three rows have a weight of 3/13.
    assert held_out.phases.ravel()[phases[:2] - 1] == pytest.approx(np.array([0.5, 1.5]) ** (3 / 13))
    # The first one's others are 3 and 2, the second one's 6 and 8; two rows have a weight of 2/12.
    others = np.array([2.5, 7.0]) / 4
    assert held_out.scores.ravel()[:2] == pytest.approx(errors[:2] / others ** (2 / 12), rel=1e-6)


@pytest.mark.parametrize("length", [1, 2, 9, 30])
def test_one_window_moves_as_many_do(length):
    frame = _frame(np.random.default_rng(0).normal(size=(40, 1))[:, 0])
    panel, spec = Panel.from_frame(frame), WindowSpec(length, 1)
    wanted = moved_of(panel, np.array([33]), spec)[0]
    values = panel.values[34 - length : 34].astype(np.float64)
    np.testing.assert_allclose(window_moved(values, *movement_rows("D", length)), wanted, rtol=1e-6)


@pytest.mark.parametrize("model", ["drift", "linear"])
def test_rows_that_the_user_held_out_make_quantiles(model, tmp_path):
    frame = _frame(np.random.default_rng(0).normal(size=400))
    training = {} if model == "drift" else {"epochs": 1, "verbose": 0}
    plain = Forecaster(model, context_length=5, horizon=2).fit(frame[:200], **training)
    made = plain.calibrated(frame[195:], [0.1, 0.9])
    assert plain.quantiles == ()
    assert (made.calibration, made.quantiles) == ("conformal", (0.1, 0.9))
    # The origins are the row before the first and those that leave a whole horizon.
    assert len(made.held_out_.scores) == 199
    last = made.predict(frame)
    np.testing.assert_array_equal(last["y"], plain.predict(frame)["y"])
    made.save(tmp_path / "made")
    pd.testing.assert_frame_equal(Forecaster.load(tmp_path / "made").predict(frame), last)
    panel = made.panel(frame[195:])
    low, high = made.quantile_windows(panel, np.arange(4, 203)).reshape(-1, 2).T
    actual = made.actual(panel, np.arange(4, 203)).ravel()
    assert np.mean((actual < low) | (actual > high)) == pytest.approx(0.2, abs=0.03)
    with pytest.raises(ValueError, match=r"0\.999 needs the errors of at least 999 held-out origins"):
        plain.calibrated(frame[195:], [0.5, 0.999])
