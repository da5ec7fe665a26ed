import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.attention.stacks import on_lags, random, uniform
from tfts.attention import (
    _stacks,
    concentration,
    head_profiles,
    horizon_profile,
    measures,
    summarize,
    top_lag_counts,
    window_measures,
)

EVERY = [summarize, concentration, top_lag_counts, horizon_profile, head_profiles, window_measures]

AT_24 = on_lags([24] * 5)
OLDER = on_lags([25, 26, 27, 28, 29])
SEASONAL = on_lags([23, 22, 21, 20, 19])
TWO_HEADS = np.concatenate([on_lags([0] * 5, num_heads=1), on_lags([24] * 5, num_heads=1)], axis=1)


def test_all_weight_on_lag_24_is_found_there():
    summary = summarize(AT_24, top_k=2, freq="h")
    assert summary.top["lag"].tolist() == [24, 0]
    assert summary.top["time"].tolist() == ["24 hours", "0 hours"]
    assert summary.top["weight"].tolist() == [1, 0]
    assert summary.lags["weight"].to_numpy().nonzero()[0].tolist() == [24]
    assert summary.map.shape == (5, 31)
    np.testing.assert_array_equal(summary.by_head, AT_24[0, :, 0])
    # Step h is 24 + h rows after lag 24; each of the five distances is one cell of its step.
    distances = summary.distances.set_index("distance")["weight"]
    assert distances.index.tolist() == list(range(1, 36))
    # Of the five queries each has a row 27 back, and for one of them it holds all weight.
    assert distances[27] == pytest.approx(1 / 5)


def test_each_window_has_its_own_most_attended_lags():
    stack = np.concatenate([on_lags([4] * 5, 1), on_lags([11] * 5, 1)])
    first = summarize(stack, top_k=3).examples.query("rank == 1")
    assert first[["window", "lag", "weight"]].to_numpy().tolist() == [[0, 4, 1], [1, 11, 1]]
    assert first["time"].tolist() == ["4 steps", "11 steps"]


def test_focus_that_moves_away_with_the_horizon():
    summary = summarize(OLDER, top_k=5)
    assert summary.top["lag"].tolist() == [25, 26, 27, 28, 29]
    np.testing.assert_allclose(summary.top["weight"], 0.2)
    profile = horizon_profile(OLDER)
    assert profile["step"].tolist() == [1, 2, 3, 4, 5]
    assert profile["mean_lag"].tolist() == profile["top_lag"].tolist() == [25, 26, 27, 28, 29]
    # The last third of 5 steps is step 5, the first third step 1.
    assert window_measures(OLDER)["shift"].tolist() == [4, 4, 4]


def test_uniform_attention_is_one_on_every_scale():
    each = concentration(uniform())
    np.testing.assert_allclose(each["entropy"], 1, rtol=1e-5)
    np.testing.assert_allclose(each["effective_lags"], 31, rtol=1e-5)
    np.testing.assert_allclose(each["effective_share"], 1, rtol=1e-5)
    assert each[["head", "step"]].to_numpy().tolist() == [[h, s] for h in range(2) for s in range(1, 6)]
    profile = horizon_profile(uniform(), seasonal_lags=[24])
    np.testing.assert_allclose(profile["season_24"], 3 / 31, rtol=1e-5)
    np.testing.assert_allclose(profile["recent"], profile["uniform_recent"], rtol=1e-5)
    np.testing.assert_allclose(profile["mean_lag"], 15, rtol=1e-5)


def test_weight_split_in_two_is_two_effective_lags():
    each = concentration((AT_24 + on_lags([0] * 5)) / 2)
    np.testing.assert_allclose(each["effective_lags"], 2, rtol=1e-5)
    np.testing.assert_allclose(each["entropy"], np.log(2) / np.log(31), rtol=1e-5)
    np.testing.assert_allclose(concentration(AT_24)["entropy"], 0, atol=1e-6)


def test_the_first_choice_is_counted_for_each_step():
    counts = top_lag_counts(np.concatenate([AT_24, OLDER[:2]]))
    assert counts.shape == (5, 31)
    assert counts.loc[2, 24] == 3
    assert counts.loc[2, 26] == 2
    assert counts.sum(axis=1).tolist() == [5] * 5
    # Of equal lags the newest is the first choice.
    assert top_lag_counts(uniform()).loc[1, 0] == 3


def test_a_season_moves_with_the_step():
    profile = horizon_profile(SEASONAL, seasonal_lags=[24], neighbours=0)
    assert profile["season_24"].tolist() == [1] * 5
    assert profile["rest"].tolist() == profile["recent"].tolist() == [0] * 5
    np.testing.assert_allclose(profile["uniform_season_24"], 1 / 31)
    # Lag 24 itself is 25 rows before the first step: a neighbour of the season at first.
    assert horizon_profile(AT_24, seasonal_lags=[24])["season_24"].tolist() == [1, 0, 0, 0, 0]


def test_a_step_beyond_the_season_looks_at_the_newest_row_of_its_phase():
    # With a season of 3, steps 1 to 5 have the rows at lags 2, 1, 0, 2, 1.
    profile = horizon_profile(on_lags([2, 1, 0, 2, 1]), seasonal_lags=[3], neighbours=0)
    assert profile["season_3"].tolist() == [1] * 5


def test_a_fixed_lag_stays():
    profile = horizon_profile(AT_24, fixed_lags=[24], neighbours=0)
    assert profile["lag_24"].tolist() == [1] * 5


def test_a_row_belongs_to_one_part_only():
    profile = horizon_profile(
        random(), seasonal_lags=[3, 4, 24], fixed_lags=[11], recent_lags=5, neighbours=2
    )
    names = ["recent", "season_3", "season_4", "season_24", "lag_11", "rest"]
    np.testing.assert_allclose(profile[names].sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(profile[[f"uniform_{name}" for name in names]].sum(axis=1), 1)
    assert (profile["uniform_recent"] < 5 / 31).any()


def test_heads_that_never_share_a_row_are_one_apart():
    heads = head_profiles(TWO_HEADS, freq="h", recent_lags=2)
    assert heads.profiles["top_lag"].tolist() == [0, 24]
    assert heads.profiles["time"].tolist() == ["0 hours", "24 hours"]
    assert heads.profiles["recent"].tolist() == [1, 0]
    assert heads.profiles["mean_lag"].tolist() == [0, 24]
    assert heads.distances.tolist() == [[0, 1], [1, 0]]
    assert heads.redundant == []
    assert window_measures(TWO_HEADS)["head_divergence"].tolist() == pytest.approx([1, 1, 1])


def test_heads_that_look_at_the_same_are_redundant():
    heads = head_profiles(AT_24)
    assert heads.redundant == [(0, 1)]
    np.testing.assert_allclose(heads.distances, 0, atol=1e-3)
    assert head_profiles(TWO_HEADS, redundant_below=1.1).redundant == [(0, 1)]


def test_distance_of_heads_that_share_half_their_weight():
    half = on_lags([0] * 5, num_heads=1) / 2 + on_lags([24] * 5, num_heads=1) / 2
    stack = np.concatenate([on_lags([0] * 5, num_heads=1), half], axis=1)
    # H(3/4, 1/4) - H(1/2, 1/2) / 2 in bits.
    divergence = -(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25)) - 0.5
    assert head_profiles(stack).distances[0, 1] == pytest.approx(np.sqrt(divergence), rel=1e-5)


def test_one_head_has_no_other():
    heads = head_profiles(on_lags([3], num_heads=1))
    assert heads.distances.tolist() == [[0]]
    assert window_measures(on_lags([3], num_heads=1))["head_divergence"].tolist() == [0] * 3


def test_self_attention_is_read_by_the_row_that_looks():
    # Each of 13 rows looks at the row 4 before it; the oldest 4 look at themselves.
    stack = np.zeros((3, 1, 13, 13), np.float32)
    for row in range(13):
        stack[:, :, row, row - 4 if row >= 4 else row] = 1
    profile = horizon_profile(stack, seasonal_lags=[4], neighbours=0, query="context")
    assert profile["lag"].tolist() == list(range(12, -1, -1))
    assert profile["season_4"].tolist() == [0] * 4 + [1] * 9
    distances = summarize(stack, query="context").distances.set_index("distance")["weight"]
    assert distances.index.tolist() == list(range(-12, 13))
    assert distances[4] == 1
    assert distances[0] == pytest.approx(4 / 13)
    assert concentration(stack, query="context").columns[1] == "lag"


@pytest.mark.parametrize("measure", EVERY)
def test_a_stack_on_disk_is_read_some_windows_at_a_time(measure, tmp_path, monkeypatch):
    stack = random()
    np.save(tmp_path / "stack.npy", stack)
    whole = measure(stack)
    monkeypatch.setattr(_stacks, "_CHUNK", 2 * 2 * 5 * 31)
    seen = []
    counted = measures.chunks
    monkeypatch.setattr(
        measures, "chunks", lambda given: (seen.append(len(c)) or (i, c) for i, c in counted(given))
    )
    parts = measure(np.load(tmp_path / "stack.npy", mmap_mode="r"))
    assert max(seen) <= 2
    for one, other in zip(tables(whole), tables(parts), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def tables(found):
    """The numbers of a result."""
    parts = vars(found).values() if hasattr(found, "__dataclass_fields__") else [found]
    for part in parts:
        yield part.select_dtypes("number").to_numpy() if hasattr(part, "columns") else np.asarray(part)


@settings(max_examples=25, deadline=None)
@given(arrays(np.float32, (3, 2, 5, 7), elements=st.floats(0, 1, width=32)))
def test_what_holds_for_every_stack(weights):
    weights = weights + np.float32(1e-3)
    stack = weights / weights.sum(axis=-1, keepdims=True)
    assert concentration(stack)["entropy"].between(0, 1 + 1e-5).all()
    assert summarize(stack).lags["weight"].sum() == pytest.approx(1, rel=1e-4)
    assert (top_lag_counts(stack).sum(axis=1) == 3).all()
    each = window_measures(stack, seasonal_lags=[4])
    np.testing.assert_allclose(each[["recent", "season_4", "rest"]].sum(axis=1), 1, rtol=1e-4)
    assert each["head_divergence"].between(0, 1 + 1e-5).all()
    distances = head_profiles(stack).distances
    np.testing.assert_array_equal(distances, distances.T)


@pytest.mark.parametrize(
    ("count", "freq", "words"),
    [
        (1, "h", "1 hour"),
        (3, "15min", "45 minutes"),
        (8, "15min", "2 hours"),
        (7, "D", "7 days"),
        (5, None, "5 steps"),
    ],
)
def test_lags_are_told_in_units_of_time(count, freq, words):
    assert measures.in_time([count], freq) == [words]


def wrong(change):
    stack = uniform()
    change(stack)
    return stack


@pytest.mark.parametrize("measure", EVERY)
@pytest.mark.parametrize(
    ("stack", "message"),
    [
        (uniform()[0], r"\(windows, heads, query, context\).*Received: shape \(2, 5, 31\)"),
        (np.zeros((0, 2, 5, 31)), r"at least one of each.*shape \(0, 2, 5, 31\)"),
        (2 * uniform(), r"sum to 1.*shape \(3, 2, 5, 31\); the row of window 0, head 0, query 0 sums to 2,"),
        (
            wrong(lambda stack: stack.__setitem__((2, 1, 3, 4), np.nan)),
            "the row of window 2, head 1, query 3 holds NaN",
        ),
        (
            wrong(lambda stack: stack.__setitem__((1, 0, 2, slice(2)), [-0.5, 0.5 + 2 / 31])),
            "window 1, head 0, query 2 sums to 1, its least weight -0.5",
        ),
    ],
)
def test_what_is_no_attention_is_refused(measure, stack, message):
    with pytest.raises(ValueError, match=message):
        measure(stack)


@pytest.mark.parametrize("measure", [horizon_profile, head_profiles, window_measures])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seasonal_lags": [32]}, r"at most 31, so that its row is in the context of 31 rows.*\[32\]"),
        ({"seasonal_lags": [0]}, "`seasonal_lags` must be an int >= 1"),
        ({"fixed_lags": [31]}, r"A fixed lag must be from 0 to 30.*Received: fixed_lags=\[31\]"),
        ({"recent_lags": 0}, "`recent_lags` must be an int >= 1. Received: recent_lags=0"),
        ({"neighbours": -1}, "`neighbours` must be an int >= 0. Received: neighbours=-1"),
        ({"query": "keys"}, "Unknown query 'keys'"),
        ({"query": "context"}, r"the last two axes are of one length. Received: shape \(3, 2, 5, 31\)"),
    ],
)
def test_options_out_of_range_are_refused(measure, options, message):
    with pytest.raises(ValueError, match=message):
        measure(uniform(), **options)


def test_self_attention_refuses_a_season_as_long_as_its_context():
    with pytest.raises(ValueError, match="at most 12"):
        horizon_profile(uniform(num_queries=13, context_length=13), seasonal_lags=[13], query="context")


def test_options_of_one_measure_are_checked():
    with pytest.raises(ValueError, match=r"`top_k` must be an int >= 1\. Received: top_k=0"):
        summarize(uniform(), top_k=0)
    with pytest.raises(ValueError, match="`max_windows` must be an int >= 1"):
        head_profiles(uniform(), max_windows=0)
