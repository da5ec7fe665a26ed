import json

import numpy as np
import pytest

from tfts.anomaly.scores import ResidualScore, RunningAverage


def noise(rows, targets, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, targets))


def test_residual_is_the_distance_from_the_mean_in_original_units():
    score = ResidualScore("residual").fit([[1.0], [2.0], [6.0]])  # mean 3
    sizes, shares = score.apply([[3.0], [8.0], [-4.0], [np.nan]])
    np.testing.assert_allclose(sizes.ravel(), [0, 5, 7, np.nan])
    assert shares is None


@pytest.mark.parametrize(
    ("kind", "direction", "expected"),
    [
        ("absolute", "both", [2, 3]),
        ("absolute", "up", [2, 0]),
        ("squared", "down", [0, 9]),
        ("residual", "up", [2, -3]),
        ("residual", "down", [-2, 3]),
    ],
)
def test_direction_keeps_one_side(kind, direction, expected):
    score = ResidualScore(kind, direction).fit([[-1.0], [1.0]])
    np.testing.assert_allclose(score.apply([[2.0], [-3.0]])[0].ravel(), expected)


def test_scaled_spread_is_not_moved_by_an_outage_in_the_calibration_rows():
    residuals = noise(1009, 1)
    hurt = residuals.copy()
    hurt[:50] = -500.0
    clean, robust = (ResidualScore("scaled").fit(r).spread_[0] for r in (residuals, hurt))
    assert abs(clean - 1) < 0.1
    assert abs(robust - clean) < 0.15


def test_context_has_its_own_centre_and_spread():
    residuals = noise(2003, 1)
    weekend = (np.arange(2003) % 7 >= 5).astype(float)
    residuals[weekend == 1] = 10 + 5 * residuals[weekend == 1]
    plain = ResidualScore("scaled").fit(residuals).apply(residuals)[0]
    score = ResidualScore("scaled").fit(residuals, weekend[:, None])
    sizes = score.apply(residuals, weekend[:, None])[0]
    assert np.median(plain[weekend == 1]) > 5
    for day in (0, 1):
        # The median size of a normal distribution is 0.6745 deviations.
        assert abs(np.median(sizes[weekend == day]) - 0.6745) < 0.1


def test_a_context_never_seen_changes_nothing():
    score = ResidualScore("scaled").fit(noise(101, 2), np.arange(101.0)[:, None] % 3)
    alone = ResidualScore("scaled").fit(noise(101, 2))
    row = np.array([[2.0, -1.0]])
    np.testing.assert_allclose(score.apply(row, [[77.0]])[0], alone.apply(row)[0])


def test_joint_size_knows_that_the_targets_go_together():
    common = noise(5003, 1)
    residuals = common + 0.1 * noise(5003, 3, seed=1)
    score = ResidualScore("joint").fit(residuals)
    together, apart = score.apply([[2.0, 2.0, 2.0], [2.0, 2.0, -2.0]])[0][:, 0]
    assert together < 3
    assert apart > 5 * together


def test_joint_shares_add_up_and_name_the_target():
    score = ResidualScore("joint").fit(noise(1009, 3))
    sizes, shares = score.apply([[0.5, 8.0, -0.5], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert shares[0].argmax() == 1
    assert shares[0, 1] > 0.95
    np.testing.assert_allclose(sizes[0], sizes[0, 0])


def test_joint_takes_a_missing_target_for_nothing():
    score = ResidualScore("joint").fit(noise(1009, 2))
    sizes, _ = score.apply([[np.nan, 5.0], [score.centre_[0], 5.0]])
    assert np.isnan(sizes[0, 0])
    assert sizes[0, 1] == pytest.approx(sizes[1, 1])


def test_joint_upward_does_not_see_a_fall():
    score = ResidualScore("joint", "up").fit(noise(1009, 2))
    sizes, _ = score.apply([[-9.0, 0.0], [9.0, 0.0]])
    assert sizes[0, 0] < 1 < 5 < sizes[1, 0]


def test_constant_residuals_get_the_least_spread_of_the_target():
    score = ResidualScore("scaled").fit(np.zeros((11, 1)), scale=50.0)
    assert score.spread_[0] == pytest.approx(0.005)


@pytest.mark.parametrize("kind", ["residual", "squared", "scaled", "joint"])
def test_state_survives_json(kind):
    contexts = np.arange(101.0)[:, None] % 5
    score = ResidualScore(kind, "down").fit(noise(101, 3), contexts)
    again = ResidualScore.from_state(json.loads(json.dumps(score.get_state())))
    np.testing.assert_array_equal(
        again.apply(noise(7, 3), contexts[:7])[0], score.apply(noise(7, 3), contexts[:7])[0]
    )


def test_one_row_has_the_size_it_has_among_others():
    contexts = np.arange(101.0)[:, None] % 5
    score = ResidualScore("joint").fit(noise(101, 3), contexts)
    whole = score.apply(noise(101, 3), contexts)[0]
    single = [score.apply(noise(101, 3)[i : i + 1], contexts[i : i + 1])[0][0] for i in range(101)]
    np.testing.assert_allclose(single, whole, rtol=1e-12)


def test_what_is_wrong_is_said():
    with pytest.raises(ValueError, match=r"Unknown score 'scald'.*Did you mean 'scaled'"):
        ResidualScore("scald")
    with pytest.raises(ValueError, match="Unknown direction 'upward'"):
        ResidualScore("scaled", "upward")
    with pytest.raises(
        ValueError, match=r"at least 2 calibration residuals of each target. Received: \[3, 1\]"
    ):
        ResidualScore("scaled").fit([[1.0, np.nan], [2.0, 3.0], [3.0, np.nan]])
    with pytest.raises(ValueError, match=r"in which no target is missing\. Received: 0"):
        ResidualScore("joint").fit([[1.0, np.nan], [2.0, np.nan], [np.nan, 3.0], [np.nan, 4.0]])


def test_running_average_finds_a_small_change_that_lasts():
    residuals = noise(2003, 1)
    average = RunningAverage(span=15).fit(residuals, np.zeros(2003))
    quiet = average.apply(noise(503, 1, seed=1), np.zeros(503))
    shifted = average.apply(noise(503, 1, seed=1) + 1.5, np.zeros(503))
    assert np.abs(quiet).max() < 4.5
    # 1.5 deviations are 4 of the average of 15: sqrt((2 - a) / a) with a = 2 / 16.
    assert np.median(shifted[50:]) == pytest.approx(1.5 * np.sqrt(15), rel=0.2)


def test_a_spike_is_no_long_anomaly_beside_single_rows_and_is_one_without():
    residuals = noise(2003, 1)
    spike = np.zeros((40, 1))
    spike[5] = 50.0
    beside, alone = (
        RunningAverage(span=15, single=single).fit(residuals, np.zeros(2003)).apply(spike, np.zeros(40))
        for single in (True, False)
    )
    assert beside[5] == 50
    assert np.abs(beside[6:]).max() < 3
    assert alone[8] > 10


def test_running_average_of_a_missing_residual_is_missing_and_stays():
    average = RunningAverage(span=3, single=False).fit(noise(101, 2), np.zeros(101))
    state, found = average.step(np.array([1.0, 1.0]), np.array([np.nan, average.centre_[1]]))
    assert np.isnan(found[0])
    assert state[0] == 1
    assert state[1] == 0.5


def test_series_do_not_share_an_average():
    residuals = np.concatenate([np.full((9, 1), 5.0), noise(9, 1)])
    series = np.repeat([0, 1], 9)
    average = RunningAverage(span=3).fit(noise(101, 1), np.zeros(101))
    alone = average.apply(residuals[9:], np.zeros(9))
    np.testing.assert_array_equal(average.apply(residuals, series)[9:], alone)


def test_running_average_survives_json_and_refuses_a_span_of_one():
    average = RunningAverage(span=5, single=False).fit(noise(101, 2), np.zeros(101))
    again = RunningAverage.from_state(json.loads(json.dumps(average.get_state())))
    rows = noise(17, 2, seed=3)
    np.testing.assert_array_equal(again.apply(rows, np.zeros(17)), average.apply(rows, np.zeros(17)))
    with pytest.raises(ValueError, match="`smooth` must be an int >= 2"):
        RunningAverage(span=1)
