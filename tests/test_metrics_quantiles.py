"""Scores of quantiles and of samples, by hand and beside other packages."""

import numpy as np
import pandas as pd
import pytest
import scoringrules
from sklearn.metrics import mean_pinball_loss

from tfts import metrics
from tfts.metrics import METRICS, ErrorSums

LEVELS = [0.1, 0.5, 0.9]
RNG = np.random.default_rng(0)
ACTUAL = RNG.normal(size=(11, 3, 2))
QUANTILES = np.sort(RNG.normal(size=(11, 3, 2, 3)), axis=-1)
SCALE = RNG.uniform(1, 3, size=(11, 2))


def _sums(actual=ACTUAL, quantiles=QUANTILES, scale=SCALE, batches=1, levels=LEVELS):
    sums = ErrorSums(actual.shape[1], ["a", "b"][: actual.shape[2]], levels=levels)
    for part in np.array_split(np.arange(len(actual)), batches):
        own = None if scale is None else scale[part]
        sums.update(actual[part], quantiles[part, ..., len(levels) // 2], own, quantiles=quantiles[part])
    return sums


def test_scores_by_hand():
    # One point, 4, of which 1, 2 and 8 are the quantiles: losses 0.3, 1 and 0.4.
    sums = ErrorSums(1, ["a"], scale=2.0, levels=LEVELS)
    sums.update([[[4.0]]], [[[2.0]]], quantiles=[[[[1.0, 2.0, 8.0]]]])
    score = sums.score().iloc[0]
    assert score["pinball"] == pytest.approx(1.7 / 3)
    assert score["crps"] == pytest.approx(3.4 / 3)
    assert score["wql"] == pytest.approx(3.4 / 3 / 4)
    assert score["sql"] == pytest.approx(3.4 / 3 / 2)
    assert (score["coverage"], score["width"], score["interval_score"]) == (1.0, 7.0, 7.0)
    # 10 lies 2 above: 7 + 2 * 2 / 0.2.
    assert metrics.interval_score([10.0], [[1.0, 2.0, 8.0]], LEVELS) == pytest.approx(27)
    assert metrics.interval_score([0.5], [[1.0, 2.0, 8.0]], LEVELS) == pytest.approx(7 + 5)


def test_scores_of_quantiles_are_those_of_scoringrules():
    losses = np.stack(
        [
            scoringrules.quantile_score(ACTUAL, QUANTILES[..., k], level, backend="numpy")
            for k, level in enumerate(LEVELS)
        ]
    )
    assert metrics.pinball(ACTUAL, QUANTILES, LEVELS) == pytest.approx(losses.mean(), rel=1e-12)
    total = np.abs(ACTUAL).sum()
    weighted = (2 * losses.sum(axis=(1, 2, 3)) / total).mean()
    assert metrics.wql(ACTUAL, QUANTILES, LEVELS) == pytest.approx(weighted, rel=1e-12)
    crps = scoringrules.crps_quantile(ACTUAL, QUANTILES, np.array(LEVELS), backend="numpy")
    assert metrics.crps(ACTUAL, QUANTILES, LEVELS) == pytest.approx(crps.mean(), rel=1e-12)
    interval = scoringrules.interval_score(ACTUAL, QUANTILES[..., 0], QUANTILES[..., 2], 0.2, backend="numpy")
    assert metrics.interval_score(ACTUAL, QUANTILES, LEVELS) == pytest.approx(interval.mean(), rel=1e-12)


@pytest.mark.parametrize(("ours", "theirs"), [("ecdf", "nrg"), ("fair", "fair")])
def test_the_crps_of_samples_is_that_of_scoringrules(ours, theirs):
    samples = np.random.default_rng(3).normal(size=(13, 11, 3, 2))
    expected = scoringrules.crps_ensemble(ACTUAL, samples, m_axis=0, estimator=theirs, backend="numpy")
    assert metrics.crps_samples(ACTUAL, samples, ours) == pytest.approx(expected.mean(), rel=1e-12)


@pytest.mark.parametrize("by", ["overall", "target", "step", "target_step"])
def test_scores_of_each_group_are_those_of_its_points(by):
    table = _sums().score(["pinball", "wql", "sql", "coverage", "width"], by)
    for row in table.to_dict("records"):
        step = slice(None) if "step" not in row else slice(row["step"] - 1, row["step"])
        target = (
            slice(None)
            if "target" not in row
            else slice("ab".index(row["target"]), "ab".index(row["target"]) + 1)
        )
        actual, found = ACTUAL[:, step, target], QUANTILES[:, step, target]
        scale = np.broadcast_to(SCALE[:, None, target], actual.shape)
        losses = [
            mean_pinball_loss(actual.ravel(), found[..., k].ravel(), alpha=level)
            for k, level in enumerate(LEVELS)
        ]
        assert row["pinball"] == pytest.approx(np.mean(losses))
        assert row["wql"] == pytest.approx(2 * np.mean(losses) / np.abs(actual).mean())
        error = actual[..., None] - found
        scaled = 2 * np.maximum(np.array(LEVELS) * error, (np.array(LEVELS) - 1) * error) / scale[..., None]
        assert row["sql"] == pytest.approx(scaled.mean())
        assert row["coverage"] == pytest.approx(
            ((found[..., 0] <= actual) & (actual <= found[..., 2])).mean()
        )
        assert row["width"] == pytest.approx((found[..., 2] - found[..., 0]).mean())


@pytest.mark.parametrize("table", ["reliability", "intervals", "pit"])
def test_an_unknown_grouping_is_told(table):
    sums = ErrorSums(horizon=1, targets=["load"], levels=[0.1, 0.9])
    with pytest.raises(ValueError, match=r"Unknown grouping 'steps'.*Did you mean 'step'"):
        getattr(sums, table)(by="steps")


def test_how_windows_are_batched_changes_nothing():
    pd.testing.assert_frame_equal(_sums(batches=1).score(by="step"), _sums(batches=4).score(by="step"))
    pd.testing.assert_frame_equal(_sums(batches=1).pit(), _sums(batches=4).pit())


def test_what_was_not_observed_is_not_scored():
    actual = ACTUAL.copy()
    actual[3:, 1] = np.nan
    table = _sums(actual).score(["crps", "coverage"], "step")
    assert table["crps"][1] == pytest.approx(metrics.crps(ACTUAL[:3, 1], QUANTILES[:3, 1], LEVELS))
    assert table["count"].tolist() == [22, 6, 22]


def test_a_stated_interval_is_the_one_between_its_levels():
    levels = [0.05, 0.1, 0.5, 0.9, 0.95]
    quantiles = np.sort(np.random.default_rng(1).normal(size=(11, 3, 2, 5)), axis=-1)
    score = _sums(quantiles=quantiles, levels=levels).score(["width", "width_0.9", "width_0.8"]).iloc[0]
    assert (
        score["width"] == score["width_0.9"] == pytest.approx((quantiles[..., 4] - quantiles[..., 0]).mean())
    )
    assert score["width_0.8"] == pytest.approx((quantiles[..., 3] - quantiles[..., 1]).mean())
    with pytest.raises(ValueError, match=r"The central interval of 0.5 .*whose intervals are 0.8, 0.9"):
        _sums(quantiles=quantiles, levels=levels).score(["coverage_0.5"])


def test_reliability_and_pit_of_uniform_numbers():
    actual = (np.arange(100) + 0.5).reshape(100, 1, 1) / 100
    quantiles = np.broadcast_to(LEVELS, (100, 1, 1, 3))
    sums = _sums(actual, quantiles, None)
    assert sums.reliability()["observed"].tolist() == pytest.approx(LEVELS)
    assert (sums.pit()["count"] / 100).tolist() == pytest.approx([0.1, 0.4, 0.4, 0.1])
    assert sums.pit()["expected"].tolist() == pytest.approx([0.1, 0.4, 0.4, 0.1])
    assert sums.reliability("step").columns.tolist() == ["step", "level", "observed", "count"]


def test_zeros_that_equal_quantiles_are_shared_by_the_gaps_beside_them():
    # Both lower quantiles are 0: the value may stand for any level from 0 to 0.9.
    counts = _sums(np.zeros((9, 1, 1)), np.broadcast_to([0.0, 0.0, 2.0], (9, 1, 1, 3)), None).pit()["count"]
    assert counts.tolist() == pytest.approx([1, 4, 4, 0])


def test_the_crps_of_samples_by_both_estimators():
    # Of 1, 2 and 4 about 3: mean distance 4/3; of pairs 2/3 (1 + 3 + 2) / 2 = 2 a pair, 4/3 with repetition.
    assert metrics.crps_samples([3.0], [[1.0], [2.0], [4.0]], "ecdf") == pytest.approx(4 / 3 - 2 / 3)
    assert metrics.crps_samples([3.0], [[1.0], [2.0], [4.0]]) == pytest.approx(4 / 3 - 1)
    samples, actual = RNG.normal(size=(50, 7)), RNG.normal(size=7)
    apart = np.abs(samples[:, None] - samples[None]).sum(axis=(0, 1))
    for estimator, pairs in (("ecdf", 50 * 50), ("fair", 50 * 49)):
        brute = (np.abs(samples - actual).mean(axis=0) - apart / pairs / 2).mean()
        assert metrics.crps_samples(actual, samples, estimator) == pytest.approx(brute)
    # Of a standard normal about 0: (sqrt(2) - 1) / sqrt(pi).
    many = np.random.default_rng(2).normal(size=(200_000, 1))
    assert metrics.crps_samples([0.0], many) == pytest.approx(0.23369, abs=0.002)
    assert np.isnan(metrics.crps_samples([np.nan], [[1.0], [2.0]]))


def test_what_can_not_be_scored_is_refused():
    sums = ErrorSums(1, ["a"], levels=LEVELS)
    with pytest.raises(ValueError, match=r"`quantiles` go with the `levels`.*quantiles=None"):
        sums.update([[[1.0]]], [[[1.0]]])
    with pytest.raises(
        ValueError, match=r"must not fall from level to level. Received: 3 at 0.1, then 2 at 0.5"
    ):
        sums.update([[[1.0]]], [[[1.0]]], quantiles=[[[[3.0, 2.0, 4.0]]]])
    with pytest.raises(ValueError, match=r"must have the shape \(1, 1, 1, 3\)"):
        sums.update([[[1.0]]], [[[1.0]]], quantiles=[[[[3.0, 4.0]]]])
    with pytest.raises(ValueError, match=r"must be finite, but 1 of 3"):
        sums.update([[[1.0]]], [[[1.0]]], quantiles=[[[[1.0, 2.0, np.inf]]]])
    with pytest.raises(
        ValueError, match=r"wql scores quantiles, and there are none. Give a forecaster `quantiles`"
    ):
        ErrorSums(1, ["a"]).score(["wql"])
    with pytest.raises(ValueError, match=r"Unknown metric 'wqll'.*Did you mean 'wql'"):
        sums.score(["wqll"])
    with pytest.raises(ValueError, match=r"A central interval .*whose intervals are none"):
        metrics.coverage([1.0], [[1.0, 2.0]], [0.2, 0.5])
    assert {"pinball", "wql", "crps", "sql", "coverage", "interval_score"} < set(METRICS)


def test_each_central_interval_has_a_width_and_a_coverage():
    levels = [0.05, 0.1, 0.5, 0.9, 0.95]
    quantiles = np.sort(np.random.default_rng(1).normal(size=(11, 3, 2, 5)), axis=-1)
    sums = _sums(quantiles=quantiles, levels=levels)
    table = sums.intervals("target")
    assert table.columns.tolist() == ["target", "level", "coverage", "width", "count"]
    assert table["target"].tolist() == ["a", "b"] * 2
    assert table["level"].tolist() == [0.8, 0.8, 0.9, 0.9]
    for row in table.to_dict("records"):
        own, at = "ab".index(row["target"]), (1, 3) if row["level"] == 0.8 else (0, 4)
        low, high = (quantiles[:, :, own, place] for place in at)
        assert row["width"] == pytest.approx((high - low).mean())
        inside = (low <= ACTUAL[..., own]) & (ACTUAL[..., own] <= high)
        assert row["coverage"] == pytest.approx(inside.mean())
        assert row["count"] == 33
    assert _sums(quantiles=quantiles[..., :3], levels=[0.05, 0.1, 0.5]).intervals().empty
    with pytest.raises(ValueError, match="scores quantiles, and there are none"):
        ErrorSums(1, ["a"]).intervals()


def test_the_pit_of_a_group_is_that_of_its_values():
    each = _sums().pit("target")
    assert each.columns.tolist() == ["target", "low", "high", "count", "expected"]
    for own, name in enumerate("ab"):
        alone = _sums(ACTUAL[..., own : own + 1], QUANTILES[..., own : own + 1, :], None).pit()
        pd.testing.assert_frame_equal(
            each[each["target"] == name].drop(columns="target").reset_index(drop=True), alone
        )
