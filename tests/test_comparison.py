import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import t

from tfts.comparison import (
    block_means,
    bootstrap_interval,
    compare_all,
    compare_losses,
    compare_windows,
    diebold_mariano,
    marks,
    verdict,
)


def overlapping(windows, horizon, rho, random):
    """Loss differences of mean 0 as windows one row apart have them: means over `horizon` shared rows."""
    rows = lfilter([1], [1, -rho], random.normal(size=windows + horizon + 300))[300:]
    sums = np.cumsum(rows)
    return ((sums[horizon:] - sums[:-horizon]) / horizon)[:windows]


def test_block_means_put_what_is_left_over_into_the_last_block():
    np.testing.assert_allclose(block_means([1, 3, 2, 4, 9], 2), [2, 5])
    np.testing.assert_allclose(block_means([1, 3], 5), [2])


def test_the_test_of_differences_by_hand():
    first, second = np.array([5.0, 7, 6, 8, 9]), np.array([4.0, 5, 3, 4, 4])
    # Differences 1 2 3 4 5: mean 3, variance 2, autocovariance (2 + 0 + 0 + 2) / 5 = 0.8.
    # One step: 3 / sqrt(2 / 5) times sqrt(4 / 5); two steps: 3 / sqrt(3.6 / 5) times sqrt((6 - 4 + 0.4) / 5).
    statistic, p_value = diebold_mariano(first, second)
    assert statistic == pytest.approx(3 / np.sqrt(0.4) * np.sqrt(0.8))
    # Of Student's distribution with 4 degrees of freedom, from its closed form.
    x = statistic / np.sqrt(statistic**2 + 4)
    assert p_value == pytest.approx(2 * (0.5 - 0.75 * (x - x**3 / 3)))
    statistic, _ = diebold_mariano(second, first, horizon=2)
    assert statistic == pytest.approx(-3 / np.sqrt(3.6 / 5) * np.sqrt(2.4 / 5))


def test_a_variance_that_is_not_positive_is_estimated_with_bartletts_weights():
    # Differences 1 -1 1 -1 2: mean 0.4; away 0.6 -1.4 0.6 -1.4 1.6, variance 7.2 / 5 = 1.44, and
    # autocovariance (-0.84 - 0.84 - 0.84 - 2.24) / 5 = -0.952, so 1.44 - 2 * 0.952 is below 0.
    statistic, _ = diebold_mariano([1, -1, 1, -1, 2], np.zeros(5), horizon=2)
    assert statistic == pytest.approx(0.4 / np.sqrt((1.44 - 0.952) / 5) * np.sqrt(2.4 / 5))


def test_losses_that_weigh_differently_by_hand():
    # Differences 1, 3, 5 with weights 1, 1, 2: mean (1 + 3 + 10) / 4 = 3.5. Off it by weight over the
    # mean weight of 4 / 3: -1.875, -0.375, 2.25. They tell as much as 4^2 / (1 + 1 + 4) equal ones.
    first, second, weights = np.array([2.0, 5.0, 9.0]), np.array([1.0, 2.0, 4.0]), [1, 1, 2]
    statistic, p_value = diebold_mariano(first, second, weights=weights)
    variance, count = (1.875**2 + 0.375**2 + 2.25**2) / 3, 16 / 6
    assert statistic == pytest.approx(3.5 / np.sqrt(variance / 3) * np.sqrt((count - 1) / count))
    assert p_value == pytest.approx(2 * t.sf(statistic, count - 1))
    assert diebold_mariano(first, second, weights=[3, 3, 3]) == diebold_mariano(first, second)
    np.testing.assert_allclose(block_means([1, 3, 2, 4, 9], 2, [3, 1, 1, 1, 2]), [1.5, 6.0])
    found = compare_losses(np.repeat(first, 5), np.repeat(second, 5), weights=np.repeat(weights, 5))
    assert found.difference == pytest.approx(3.5)
    assert found.low < 3.5 < found.high
    # 20^2 / (10 + 5 * 4)
    assert found.blocks == 13


def test_a_block_weighs_what_is_in_it():
    # 19 series at 93 origins, and one that ended before: 77 of 1,844 windows.
    random, rows = np.random.default_rng(4), 207
    times = np.concatenate([np.tile(np.arange(100, 193), 19), np.arange(77)])
    series = np.concatenate([np.repeat(np.arange(19), 93), np.full(77, 19)])
    losses = {}
    for name, size in (("far", 1.0), ("near", 0.75)):
        sums = np.cumsum(size * (random.normal(size=(20, rows)) + random.normal(size=rows) / 2) ** 2, axis=1)
        losses[name] = ((sums[:, 7:] - sums[:, :-7]) / 7)[series, times]
    whole = compare_windows(losses, np.ones(1844), times, series, block_length=7)
    late = times >= 100
    kept = {name: of[late] for name, of in losses.items()}
    without = compare_windows(kept, np.ones(1767), times[late], series[late], block_length=7)
    # Averaged alike, the 11 blocks of one series made it 24 blocks, and p 0.005.
    assert (whole["blocks"].item(), without["blocks"].item()) == (14, 13)
    assert whole["p_value"].item() < 1.1 * without["p_value"].item() < 1e-4
    assert whole["holds"].item()
    mean = {name: of.mean() for name, of in losses.items()}
    assert whole["difference"].item() == pytest.approx(mean["near"] - mean["far"])


def test_blocks_of_any_weight_keep_the_size_of_the_test():
    random, weights = np.random.default_rng(3), np.repeat([1.0, 20.0], 310)
    found = []
    for _ in range(300):
        losses = overlapping(620, 13, 0.5, random) * np.repeat([3.0, 1.0], 310)
        found.append(compare_losses(losses, np.zeros(620), 13, weights=weights, num_samples=200))
    assert 0.02 < np.mean([f.p_value < 0.05 for f in found]) < 0.1
    assert 0.02 < np.mean([not f.low <= 0 <= f.high for f in found]) < 0.12
    # 23 of the 47 blocks tell next to nothing: the others weigh 20 times as much.
    assert {f.blocks for f in found} == {25}


def test_of_ten_equal_forecasts_hardly_ever_any_is_called_worse():
    random, together, alone = np.random.default_rng(5), [], []
    for _ in range(60):
        shared = overlapping(620, 13, 0.5, random)
        losses = {name: shared + overlapping(620, 13, 0.5, random) for name in "abcdefghij"}
        table = compare_all(losses, 13, num_samples=200)
        lowest = table["first"].iloc[0]
        together.append(table["holds"].any())
        assert (verdict(table)[: len(lowest) + 5] == f"That {lowest}") == (not table["holds"].all())
        worst = max(losses, key=lambda name: losses[name].mean())
        alone.append(compare_losses(losses[lowest], losses[worst], 13, num_samples=200).holds())
    assert np.mean(alone) > 0.5
    assert np.mean(together) < 0.1


def test_a_p_value_allows_for_the_lowest_having_been_chosen():
    random = np.random.default_rng(11)
    hard = random.uniform(1, 2, 307)
    losses = {
        name: hard + random.normal(size=307) + size
        for name, size in zip("abcd", (0, 0.2, 0.3, 3), strict=True)
    }
    table = compare_all(losses).set_index("second")
    each = {name: compare_losses(losses["a"], losses[name]) for name in "bcd"}
    # The last one to be judged is a pair by itself; before it there are three and six pairs.
    order = sorted("bcd", key=lambda name: each[name].p_value, reverse=True)
    assert order == ["b", "c", "d"]
    assert table.loc["b", "p_value"] == pytest.approx(max(each["b"].p_value, table.loc["c", "p_value"]))
    assert table.loc["b", "high"] == each["b"].high
    # Between what one pair and what the sum of all three would say.
    assert each["c"].p_value < table.loc["c", "p_value"] < 3.5 * each["c"].p_value
    assert table.loc["d", "p_value"] == pytest.approx(1 / 2001)
    for name in "cd":
        assert table.loc[name, "low"] < each[name].low
        assert table.loc[name, "high"] > each[name].high
        assert table.loc[name, "difference"] == pytest.approx(each[name].difference)
    twins = compare_all({"a": hard, "b": hard, "c": hard + 1}).set_index("second")
    assert np.isnan(twins.loc["b", "p_value"])
    assert twins["holds"].tolist() == [False, True]


def test_losses_that_never_differ_and_a_single_block_say_nothing():
    assert np.isnan(diebold_mariano([1.0, 2.0, 4.0], [1.0, 2.0, 4.0])).all()
    assert diebold_mariano([1.1, 2.1, 4.1], [1.3, 2.3, 4.3]) == (-np.inf, 0)
    found = compare_losses(np.arange(7.0), np.arange(7.0) ** 2, block_length=7)
    assert found.blocks == 1
    assert np.isnan(found.p_value)
    assert (found.low, found.high) == (-np.inf, np.inf)
    assert not found.holds()
    two = compare_losses(np.arange(14.0), np.arange(14.0) ** 2, block_length=7)
    # With two blocks that may be correlated the correction leaves nothing of the statistic.
    assert (two.statistic, two.p_value) == (0, 1)


@pytest.mark.parametrize(("windows", "horizon", "rho"), [(1100, 23, 0.5), (310, 1, 0.0)])
def test_equal_forecasts_differ_by_chance_in_about_5_of_100(windows, horizon, rho):
    random = np.random.default_rng(3)
    found = [
        compare_losses(
            overlapping(windows, horizon, rho, random), np.zeros(windows), horizon, num_samples=200
        )
        for _ in range(400)
    ]
    # What looks at single windows is fooled: of 23 shared rows, most of the time.
    assert 0.02 < np.mean([f.p_value < 0.05 for f in found]) < 0.1
    assert 0.02 < np.mean([not f.low <= 0 <= f.high for f in found]) < 0.12
    assert np.mean([f.holds() for f in found]) < 0.09
    if horizon > 1:
        single = [
            diebold_mariano(overlapping(windows, horizon, rho, random), np.zeros(windows))[1]
            for _ in range(100)
        ]
        assert np.mean(np.array(single) < 0.05) > 0.5


def test_a_difference_is_found_where_both_meet_the_same_hard_windows():
    random = np.random.default_rng(5)
    hard = np.exp(overlapping(1300, 13, 0.9, random))
    found = compare_losses(hard, hard * 1.1 + 0.01 * random.normal(size=1300), block_length=13)
    assert found.difference == pytest.approx(-0.1 * hard.mean(), rel=0.05)
    assert found.low < found.difference < found.high < 0
    assert found.holds()
    assert not found.holds(level=1e-30)


def test_the_luck_of_a_seed_widens_the_interval():
    random = np.random.default_rng(7)
    shape = random.normal(size=211)
    steady = np.stack([shape, shape, shape])
    lucky = steady + np.array([[-0.5], [0.0], [0.5]])
    narrow = bootstrap_interval(steady, np.zeros(211))
    wide = bootstrap_interval(lucky, np.zeros((2, 211)))
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])
    assert compare_losses(lucky, steady).difference == pytest.approx(0, abs=1e-12)


def test_options_of_the_interval_act():
    losses = np.random.default_rng(11).normal(size=101), np.zeros(101)
    base = bootstrap_interval(*losses)
    assert bootstrap_interval(*losses) == base
    for options in ({"seed": 1}, {"num_samples": 100}, {"block_length": 3}):
        assert bootstrap_interval(*losses, **options) != base
    tight = bootstrap_interval(*losses, level=0.5)
    assert base[0] < tight[0] < tight[1] < base[1]


def test_all_are_compared_with_the_lowest():
    random = np.random.default_rng(13)
    hard = random.uniform(1, 2, 307)
    losses = {"naive": hard + 1, "ridge": hard, "twin": hard + random.normal(scale=0.2, size=(3, 307))}
    table = compare_all(losses, 7)
    lowest = "ridge" if losses["twin"].mean() > hard.mean() else "twin"
    assert table["first"].tolist() == [lowest, lowest]
    assert table.loc[table["second"] == "naive", "holds"].item()
    assert not table.loc[table["second"].isin({"ridge", "twin"}), "holds"].item()
    assert compare_all({"ridge": hard}).empty
    strict = compare_all(
        {"ridge": hard, "near": hard + 0.03 + random.normal(scale=0.2, size=307)}, level=0.999999
    )
    assert not strict["holds"].item()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: block_means([[1.0]], 1), r"`losses` must be \(windows,\), and not empty.*\(1, 1\)"),
        (lambda: block_means([1.0], 0), "`length` must be an int >= 1. Received: length=0"),
        (lambda: diebold_mariano([1.0, 2.0], [1.0]), "of the same windows. Received: 2 and 1"),
        (lambda: diebold_mariano([1.0], [1.0], horizon=True), "`horizon` must be an int >= 1"),
        (lambda: bootstrap_interval([], []), "and not empty"),
        (lambda: bootstrap_interval([1.0, np.nan], [1.0, 2.0]), "finite.* 1 of its 2 values"),
        (lambda: bootstrap_interval([1.0], [1.0, 2.0]), "of the same windows. Received: 1 and 2"),
        (lambda: bootstrap_interval([1.0], [1.0], level=95), r"`level` must be in \(0, 1\)"),
        (lambda: bootstrap_interval([1.0], [1.0], num_samples=0), "`num_samples` must be an int >= 1"),
        (lambda: compare_losses([1.0], [1.0], block_length=1.5), "`block_length` must be an int >= 1"),
        (lambda: compare_all({}), "at least one forecast"),
        (lambda: compare_all({"a": [1.0], "b": [1.0, 2.0]}), "of the same windows. Received: 1 and 2"),
        (lambda: compare_losses([1.0, 2.0], [1.0, 3.0], weights=[1, 0]), "2 finite numbers > 0.* lowest 0"),
        (lambda: diebold_mariano([1.0], [2.0], weights=[1, 2]), r"1 finite numbers > 0.*shape \(2,\)"),
    ],
)
def test_what_can_not_be_compared(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_interval_of_many_windows_is_drawn_in_pieces():
    losses = np.random.default_rng(17).normal(size=9001)
    low, high = bootstrap_interval(losses, np.zeros(9001), num_samples=400)
    expected = 2 * 1.96 * losses.std() / np.sqrt(9001)
    assert high - low == pytest.approx(expected, rel=0.15)


def test_series_are_averaged_at_each_origin_and_points_weigh_alike():
    # Two series at 12 origins; the second has two points a window, and its third is not observed.
    times, series = np.tile(np.arange(12), 2), np.repeat([0, 1], 12)
    counts = np.where(series == 0, 1, 2)
    counts[14] = 0
    random = np.random.default_rng(11)
    first, second = random.uniform(1, 2, 24) * counts, random.uniform(1, 3, 24) * counts
    order = random.permutation(24)
    sums = {"drift": second[order], "ridge": first[order]}
    found = compare_windows(sums, counts[order], times[order], series[order], block_length=1)
    assert found["difference"].item() == pytest.approx((first.sum() - second.sum()) / 34)
    assert (found["blocks"].item(), found["over"].item()) == (12, "windows")
    at = [(times == t) for t in range(12)]
    points = np.array([counts[t].sum() for t in at])
    assert sorted(points) == [1, *[3] * 11]
    losses = {
        name: np.array([of[t].sum() for t in at]) / points for name, of in (("d", second), ("r", first))
    }
    expected = compare_all(losses, weights=points)
    assert found["p_value"].item() == pytest.approx(expected["p_value"].item())
    assert found["difference"].item() == pytest.approx(expected["difference"].item())


def test_one_window_a_series_is_compared_series_by_series():
    random = np.random.default_rng(7)
    plain = random.uniform(1, 2, 53)
    places = np.zeros(53), np.arange(53)
    found = compare_windows({"a": plain, "b": plain / 2}, np.ones(53), *places, block_length=24)
    assert (found["blocks"].item(), found["over"].item(), found["holds"].item()) == (53, "series", True)
    assert verdict(found) == "b is better than a: the difference holds (5 %, 53 series)."
    alone = compare_windows({"a": plain, "b": plain / 2}, np.ones(53), np.zeros(53), np.zeros(53), 24)
    assert marks(alone) == {}
    assert "too few test windows to tell whether b" in verdict(alone)
    nothing = compare_windows({"a": plain, "b": plain}, np.zeros(53), *places, block_length=24)
    assert (len(nothing), marks(nothing), verdict(nothing)) == (0, {}, "")


def test_very_many_windows_are_compared_in_longer_blocks():
    random = np.random.default_rng(3)
    plain = random.uniform(1, 2, 5003)
    places = np.arange(5003), np.zeros(5003)
    found = compare_windows({"a": plain, "b": plain / 2}, np.ones(5003), *places, block_length=1)
    # 833 blocks, the last one of 11 windows: 5003^2 / (832 * 6^2 + 11^2) = 832.3.
    assert found["blocks"].item() == 832


def test_all_that_share_the_place_are_named():
    plain = np.random.default_rng(0).uniform(1, 3, 200)
    found = compare_all(
        {"a": plain, "b": plain[::-1] + 0.001, "c": plain + 5, "d": np.roll(plain, 7) + 0.002}
    )
    assert marks(found) == {"a": "tied", "b": "tied", "d": "tied"}
    assert verdict(found) == (
        "That a is the lowest may be chance: its differences to b and d do not hold (5 %, 200 blocks of windows)."
    )
