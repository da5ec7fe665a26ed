import numpy as np
import pandas as pd
import pytest

from tests.attention.stacks import noisy, on_lags, random, uniform
from tfts import Forecaster, chronological_split
from tfts.attention import baseline_check, checks, faithfulness, fit_null, regime_comparison

pytestmark = pytest.mark.usefixtures("eager")


def row(table, measure, **where):
    for name, value in where.items():
        table = table[table[name] == value]
    return table.set_index("measure").loc[measure]


# regime_comparison


def test_a_regime_that_looks_elsewhere_is_told_apart():
    stack = noisy(np.concatenate([on_lags([2] * 5, 60), on_lags([24] * 5, 40)]))
    table = regime_comparison(stack, np.arange(100) >= 60, block_length=3)
    found = row(table, "mean_lag")
    assert found["inside"] == pytest.approx(stack[60:].mean(axis=(0, 1, 2)) @ np.arange(31)[::-1], rel=1e-4)
    assert found["outside"] == pytest.approx(stack[:60].mean(axis=(0, 1, 2)) @ np.arange(31)[::-1], rel=1e-4)
    assert found["low"] < found["difference"] < found["high"]
    assert found["differs"]
    assert not row(table, "head_divergence")["differs"]


def test_regimes_of_one_kind_do_not_differ():
    mask = np.random.default_rng(1).random(101) < 0.3
    table = regime_comparison(random(shape=(101, 2, 5, 31)), mask, seasonal_lags=[7], block_length=1)
    assert table["differs"].sum() <= 1
    assert (table["low"] < 0).sum() >= 6


def test_longer_blocks_give_wider_intervals_where_neighbours_are_alike():
    alike = np.repeat(random(shape=(20, 1, 3, 7)), 10, axis=0)
    mask = np.tile(np.repeat([True, False], 10), 10)
    widths = [
        row(regime_comparison(alike, mask, block_length=length), "entropy")[["low", "high"]].diff().iloc[1]
        for length in (1, 20)
    ]
    assert widths[1] > 1.5 * widths[0]


def test_the_bootstrap_draws_whole_blocks_round_the_end():
    counts = checks._resampled(num_windows=7, num_samples=200, block_length=3, seed=0)
    # Three blocks of three rows each, 9 windows in all, and every window can be first.
    assert (counts.sum(axis=1) == 9).all()
    assert (counts.mean(axis=0) > 1).all()
    one = checks._resampled(num_windows=7, num_samples=200, block_length=7, seed=0)
    np.testing.assert_array_equal(one, 1)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (
            np.ones(5, bool),
            r"one value for each of the 3 windows of the stack \(3, 2, 5, 31\).* bool of shape \(5,\)",
        ),
        (np.array([0, 1, 0]), r"`mask` must be bool.*Received: int64 of shape \(3,\)"),
        (np.ones(3, bool), "True for some windows and False for others. Received: 3 of 3 True"),
        (np.zeros(3, bool), "Received: 0 of 3 True"),
    ],
)
def test_a_mask_that_parts_nothing_is_refused(mask, message):
    with pytest.raises(ValueError, match=message):
        regime_comparison(uniform(), mask)


def test_block_length_is_checked():
    with pytest.raises(
        ValueError, match=r"`block_length` must be an int >= 1 or None\. Received: block_length=0"
    ):
        baseline_check(uniform(), block_length=0)


# baseline_check


def test_uniform_attention_differs_from_itself_in_nothing():
    table = baseline_check(uniform(40))
    np.testing.assert_allclose(table["difference"], 0, atol=1e-5)
    assert set(table["baseline"]) == {"uniform"}


def test_a_pattern_is_compared_with_each_baseline():
    pattern = noisy(on_lags([24] * 5, 40))
    table = baseline_check(pattern, {"shuffled_targets": noisy(on_lags([2] * 5, 40)), "self": pattern})
    assert table["baseline"].unique().tolist() == ["uniform", "shuffled_targets", "self"]
    assert row(table, "mean_lag", baseline="shuffled_targets")["difference"] == pytest.approx(
        0.8 * 22, rel=0.02
    )
    assert row(table, "mean_lag", baseline="shuffled_targets")["differs"]
    assert not table.loc[table["baseline"] == "self", "differs"].any()


def test_a_baseline_of_other_windows_is_refused():
    with pytest.raises(
        ValueError, match=r"stack of 'null' must be of the same.*\(3, 2, 5, 31\).*shape \(4, 2, 5, 31\)"
    ):
        baseline_check(uniform(), {"null": uniform(4)})


# fit_null and faithfulness


def two_columns(num_rows=120):
    hours = pd.date_range("2024-01-01", periods=num_rows, freq="h")
    rng = np.random.default_rng(0)
    return pd.DataFrame({"load": np.arange(num_rows) / 7, "heat": rng.normal(size=num_rows)}, index=hours)


@pytest.fixture(scope="module")
def fitted():
    forecaster = Forecaster(
        "attention_seq2seq",
        context_length=11,
        horizon=3,
        targets="load",
        calendar=["hour"],
        model_options={"units": 4, "num_heads": 2, "feedforward_units": 5},
    )
    panel = forecaster.panel(two_columns())
    return forecaster.fit(panel, epochs=1, batch_size=64, verbose=0), panel


def test_shuffled_targets_have_the_same_values_in_another_order(fitted):
    _, panel = fitted
    shuffled = checks._shuffled(panel, "shuffled_targets", np.random.default_rng(0))
    load, heat = panel.indices(["load", "heat"])
    observed = slice(0, panel.spans[0].observed_end)
    assert (shuffled.values[observed, load] != panel.values[observed, load]).mean() > 0.9
    np.testing.assert_array_equal(np.sort(shuffled.values[observed, load]), panel.values[observed, load])
    np.testing.assert_array_equal(shuffled.values[:, heat], panel.values[:, heat])


def test_permuted_rows_stay_whole_and_the_calendar_stays(fitted):
    _, panel = fitted
    permuted = checks._shuffled(panel, "permuted_rows", np.random.default_rng(0))
    at = panel.indices(["load", "heat"])
    observed = slice(0, panel.spans[0].observed_end)
    order = np.argsort(permuted.values[observed, at[0]])
    assert (order != np.arange(len(order))).any()
    np.testing.assert_array_equal(permuted.values[observed, at][order], panel.values[observed, at])
    known = panel.indices(panel.known_future)
    np.testing.assert_array_equal(permuted.values[:, known], panel.values[:, known])


def test_a_null_is_a_new_forecaster_fitted_to_other_rows(fitted):
    forecaster, panel = fitted
    before = forecaster.model.get_weights()
    parts = chronological_split(panel, 0.2, 0)
    null = fit_null(forecaster, parts.train, parts.validation, "permuted_rows", epochs=1, verbose=0)
    rows = forecaster.spec.origins(panel)
    assert null.attention(panel, rows).shape == forecaster.attention(panel, rows).shape
    for one, other in zip(before, forecaster.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_unknown_null_is_refused(fitted):
    with pytest.raises(ValueError, match=r"Unknown kind 'shuffled'\. .*shuffled_targets"):
        fit_null(*fitted, kind="shuffled")


def test_masked_rows_come_from_other_windows_and_keep_the_mean():
    past = np.arange(3 * 5 * 2, dtype=np.float32).reshape(3, 5, 2)
    known = np.ones((3, 7, 1), np.float32)
    at, donors = np.array([[4], [0], [2]]), np.array([2, 0, 1])
    labels = {"past": np.zeros(2, bool), "known_future": np.zeros(1, bool)}
    masked = checks._masked({"past": past, "known_future": known}, at, donors, labels)
    # The windows rise alike, so a row of another window at this one's mean is the row itself.
    np.testing.assert_array_equal(masked["past"], past)
    past[2, 4] += 5
    masked = checks._masked({"past": past, "known_future": known}, at, donors, labels)["past"]
    # Its rise of 5 raised the donor's mean by 1.
    np.testing.assert_allclose(masked[0, 4], [8 + 4, 9 + 4])
    np.testing.assert_array_equal(masked[0, :4], past[0, :4])
    # A label has no level: it is the other window's.
    labels["past"][1] = True
    static = np.ones((3, 1), np.float32)
    found = checks._masked({"past": past, "static": static}, at, donors, labels)
    assert found["past"][0, 4].tolist() == [8 + 4, past[2, 4, 1]]
    np.testing.assert_array_equal(found["static"], static)


def test_masking_counts_and_compares_the_same_number_of_rows(fitted):
    forecaster, panel = fitted
    found = faithfulness(forecaster, panel, forecaster.spec.origins(panel), num_lags=3, repeats=2)
    assert found.table["masked"].tolist() == ["most attended", "random", "least attended"]
    assert found.table["rows"].tolist() == [3, 3, 3]
    assert (found.table["change"] > 0).all()
    change = found.table.set_index("masked")["change"]
    assert found.change["difference"] == pytest.approx(change["most attended"] - change["random"])
    assert found.ratio == pytest.approx(change["most attended"] / change["random"])
    assert found.change["low"] <= found.change["difference"] <= found.change["high"]


def test_the_newest_row_is_masked_only_where_it_is_not_subtracted(fitted):
    forecaster, panel = fitted
    rows = forecaster.spec.origins(panel)
    # All attention on the newest row: with it kept, the next best row is masked.
    stack = np.full((len(rows), 2, 3, 11), 1e-3, np.float32)
    stack[..., -1] = 1 - 1e-2
    kept = faithfulness(forecaster, panel, rows, stack=stack)
    masked = faithfulness(forecaster, panel, rows, stack=stack, keep_newest=False)
    # The network forecasts from the newest value, so without it the forecast is another one.
    assert masked.table["change"][0] > 5 * kept.table["change"][0]
    assert checks._subtracts_newest(forecaster.model)


def test_faithfulness_refuses_what_it_cannot_tell(fitted):
    forecaster, panel = fitted
    rows = forecaster.spec.origins(panel)
    with pytest.raises(ValueError, match=r"At least 10 windows are needed.*Received: 9 windows"):
        faithfulness(forecaster, panel, rows[:9])
    with pytest.raises(ValueError, match=r"`num_lags` must be from 1 to 5, half of the 10 rows.*num_lags=6"):
        faithfulness(forecaster, panel, rows, num_lags=6)
    baseline = Forecaster("persistence", context_length=11, horizon=3, targets="load").fit(two_columns())
    with pytest.raises(
        ValueError, match=r"no attention\. Models with attention: attention_seq2seq, inverted"
    ):
        faithfulness(baseline, panel, rows)
