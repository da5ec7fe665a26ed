import numpy as np
import pandas as pd
import pytest

from benchmarks import nab
from tfts.anomaly import evaluation
from tfts.anomaly.evaluation import nab_best_threshold, nab_points, nab_score, probation_rows, window_rows

# The NAB score


def hours(num_rows):
    return pd.date_range("2024-01-01", periods=num_rows, freq="h")


def flags_at(num_rows, *rows):
    flags = np.zeros(num_rows, dtype=bool)
    flags[list(rows)] = True
    return flags


def sigmoid(place):
    """The paper's own form."""
    return 2 / (1 + np.exp(5 * place)) - 1


# 101 rows, so 15 on probation; one window of 10 rows from 40 to 49.
TIMES = hours(101)
WINDOW = [(TIMES[40], TIMES[49])]
PERFECT = sigmoid(-1)


@pytest.mark.parametrize(
    ("rows", "points"),
    [
        ((), -1),
        ((40,), 1),
        # Only the flag that earns most counts in a window.
        ((45, 40, 49), 1),
        ((45,), sigmoid(-0.5) / PERFECT),
        ((49,), sigmoid(-0.1) / PERFECT),
        # Before the first window a false alarm costs all of 0.11.
        ((20,), -1 - 0.11),
        ((20, 21, 40), 1 - 0.22),
        # Behind it less: one row behind is 1/9 of the window's width less one.
        ((40, 50), 1 + 0.11 * sigmoid(1 / 9)),
        ((40, 58), 1 + 0.11 * sigmoid(1)),
        ((40, 75), 1 + 0.11 * sigmoid(26 / 9)),
        ((40, 76), 1 - 0.11),
        ((40, 100), 1 - 0.11),
        # On probation nothing counts.
        ((0, 14, 40), 1),
        ((15, 40), 1 - 0.11),
    ],
)
def test_nab_points_by_hand(rows, points):
    assert nab_points(flags_at(101, *rows), WINDOW, TIMES) == pytest.approx(points, abs=1e-12)


def test_nab_profiles_weigh_mistakes():
    wrong, missed = flags_at(101, 20, 40), flags_at(101)
    points = {
        name: (nab_points(wrong, WINDOW, TIMES, name), nab_points(missed, WINDOW, TIMES, name))
        for name in evaluation.NAB_PROFILES
    }
    assert points == {
        "standard": (pytest.approx(0.89), -1),
        "reward_low_FP": (pytest.approx(0.78), -1),
        "reward_low_FN": (pytest.approx(0.89), -2),
    }


def corpus():
    """Two series with three windows, one of them all on probation, and one without any."""
    times = {"a": hours(101), "b": hours(211), "c": hours(53)}
    windows = {
        "a": WINDOW,
        "b": [(times["b"][60], times["b"][70]), (times["b"][3], times["b"][5])],
        "c": [],
    }
    return windows, times


@pytest.mark.parametrize("profile", evaluation.NAB_PROFILES)
def test_nab_score_is_100_for_perfect_and_0_for_silent(profile):
    windows, times = corpus()
    perfect = {"a": flags_at(101, 40), "b": flags_at(211, 60), "c": flags_at(53)}
    silent = {name: flags_at(len(index)) for name, index in times.items()}
    assert nab_score(perfect, windows, times, profile) == pytest.approx(100)
    assert nab_score(silent, windows, times, profile) == 0


def test_nab_score_is_normalised_over_the_corpus_and_not_by_series():
    windows, times = corpus()
    flags = {"a": flags_at(101, 40), "b": flags_at(211), "c": flags_at(53, 30, 31)}
    # 1 - 1 - 0.22 points between -2 and 2.
    assert nab_score(flags, windows, times) == pytest.approx(100 * (2 - 0.22) / 4)
    # 1 - 2 - 0.22 points between -4 and 2.
    assert nab_score(flags, windows, times, "reward_low_FN") == pytest.approx(100 * (4 - 1.22) / 6)


def test_probation_is_15_percent_up_to_750_rows():
    assert [probation_rows(rows) for rows in (0, 6, 7, 101, 4999, 5000, 22_695)] == [
        0,
        0,
        1,
        15,
        749,
        750,
        750,
    ]


def test_a_window_that_begins_on_probation_is_scored_from_its_first_row_behind():
    windows = [(TIMES[10], TIMES[19])]
    assert nab_points(flags_at(101, 12), windows, TIMES) == -1
    assert nab_points(flags_at(101, 12, 15), windows, TIMES) == pytest.approx(sigmoid(-0.5) / PERFECT)


@pytest.mark.parametrize("profile", evaluation.NAB_PROFILES)
def test_best_threshold_is_the_best_of_all(profile):
    windows, times = corpus()
    random = np.random.default_rng(7)
    for _ in range(5):
        scores = {name: np.round(random.random(len(index)), 1) for name, index in times.items()}
        for name, rows in {"a": slice(40, 50), "b": slice(60, 71)}.items():
            scores[name][rows] += 0.7 * random.random()
        threshold, best = nab_best_threshold(scores, windows, times, profile)
        tried = {
            level: nab_score({n: s >= level for n, s in scores.items()}, windows, times, profile)
            for level in [np.inf, *np.unique(np.concatenate(list(scores.values())))]
        }
        assert best == pytest.approx(max(tried.values()))
        assert tried[threshold] == pytest.approx(best)


def test_best_threshold_is_never_to_flag_where_every_alarm_costs():
    scores = {"a": np.where(np.arange(101) == 20, 1.0, 0.0)}
    scores["a"][50:] = 2.0
    assert nab_best_threshold(scores, {"a": WINDOW}, {"a": TIMES}) == (np.inf, 0.0)


def test_window_rows_are_those_within_and_end_where_the_clock_first_shows_the_end():
    index = pd.DatetimeIndex(["2024-10-27 01:00", "2024-10-27 02:00", "2024-10-27 02:00", "2024-10-27 03:00"])
    assert window_rows(index, [(index[0], index[1])]) == [(0, 1)]
    assert window_rows(index, [("2024-10-27 02:30", "2024-10-27 03:30")]) == [(3, 3)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"profile": "low_fp"}, "Unknown NAB profile 'low_fp'. Expected one of: reward_low_FN"),
        ({"windows": {}}, "`flags`, `windows` and `times` must name the same series. Not in all of them: a."),
        ({"flags": {"a": np.zeros(100)}}, r"`flags` of series 'a' must be one value a row, \(101,\)"),
        ({"flags": {"a": np.full(101, 0.5)}}, "`flags` must be True or False.* Series 'a' has others"),
        (
            {"windows": {"a": [("2023-01-01", "2023-01-02")]}},
            "must hold at least one row.*2023-01-02 00:00:00 for 'a'",
        ),
        (
            {"windows": {"a": [WINDOW[0], (TIMES[49], TIMES[53])]}},
            "must not overlap. Those of 'a' do at 2024-01-03",
        ),
        ({"windows": {"a": []}}, "needs at least one labelled window behind the probationary rows"),
        ({"windows": {"a": [(TIMES[3], TIMES[7])]}}, "needs at least one labelled window"),
    ],
)
def test_nab_score_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        nab_score(
            **{"flags": {"a": flags_at(101)}, "windows": {"a": WINDOW}, "times": {"a": TIMES}, **change}
        )


def test_best_threshold_refuses_a_score_that_is_not_finite():
    with pytest.raises(ValueError, match=r"`scores` must be finite\. Series 'a'"):
        nab_best_threshold({"a": np.full(101, np.nan)}, {"a": WINDOW}, {"a": TIMES})


# Score and number of flags in NAB's result files (results/windowedGaussian, threshold 1.0).
PUBLISHED = {
    "artificialWithAnomaly/art_increase_spike_density.csv": (-1.0, 0),
    "artificialWithAnomaly/art_load_balancer_spikes.csv": (-0.6924446095227346, 33),
    "realAWSCloudwatch/ec2_cpu_utilization_24ae8d.csv": (-1.266678759349383, 13),
    "realAWSCloudwatch/ec2_cpu_utilization_53ea38.csv": (-0.14142319611668508, 5),
    "realAWSCloudwatch/ec2_cpu_utilization_ac20cd.csv": (0.8606718242697022, 25),
    "realAWSCloudwatch/ec2_cpu_utilization_c6585a.csv": (-1.32, 12),
    "realAWSCloudwatch/ec2_cpu_utilization_fe7f93.csv": (0.6387577917723906, 7),
    "realAWSCloudwatch/ec2_disk_write_bytes_1ef3de.csv": (-4.190896785522053, 57),
    "realAWSCloudwatch/ec2_disk_write_bytes_c0d644.csv": (-1.0959985303155564, 32),
    "realAWSCloudwatch/ec2_network_in_257a54.csv": (0.8606718242697022, 4),
    "realAWSCloudwatch/ec2_network_in_5abac7.csv": (-3.5219322351911635, 69),
    "realAWSCloudwatch/grok_asg_anomaly.csv": (-1.247930964293478, 2),
    "realAWSCloudwatch/rds_cpu_utilization_cc0c53.csv": (-0.13844919792440225, 50),
    "realKnownCause/ec2_request_latency_system_failure.csv": (-0.06591011872780705, 3),
    "realKnownCause/rogue_agent_key_hold.csv": (-2.44, 4),
    "realKnownCause/rogue_agent_key_updown.csv": (-1.3964908955014117, 9),
}


@pytest.mark.shared_data
def test_nab_points_are_those_of_the_published_result_files(shared_data):
    every = list(nab.load_nab(shared_data / "anomaly" / "nab"))
    series = [(name, frame, windows) for name, frame, windows in every if name in PUBLISHED]
    assert len(series) == len(PUBLISHED)
    _, flags, _ = nab.run_detector(
        lambda train, test: nab.windowed_gaussian_detector(train, test, two_sided=False), series
    )
    for name, frame, windows in series:
        points, count = PUBLISHED[name]
        assert flags[name].sum() == count
        assert nab_points(flags[name], windows, frame["timestamp"]) == pytest.approx(points, abs=1e-9)
