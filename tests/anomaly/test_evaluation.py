import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import nab
from tfts.anomaly import evaluation
from tfts.anomaly.evaluation import (
    affiliation,
    auc_pr,
    detection_delays,
    evaluate,
    event_f1,
    false_alarms_per_day,
    flag_runs,
    nab_best_threshold,
    nab_points,
    nab_score,
    near,
    point_adjusted_f1,
    precision_recall_f1,
    probation_rows,
    vus_pr,
    window_rows,
)

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


# Rows and runs


def rows(text):
    """Bools from a picture: a point is False."""
    return np.array([sign != "." for sign in text])


flag_lists = st.lists(st.booleans(), min_size=1, max_size=37)


@given(flags=flag_lists)
def test_runs_hold_every_flag_once_and_no_two_touch(flags):
    found = flag_runs(flags)
    again = np.zeros(len(flags), dtype=bool)
    for first, last in found:
        assert first <= last
        again[first : last + 1] = True
    np.testing.assert_array_equal(again, flags)
    assert all(right[0] - left[1] > 1 for left, right in itertools.pairwise(found))


def test_runs_end_where_the_series_changes():
    series = ["a"] * 3 + ["b"] * 4
    assert flag_runs(rows(".##.##."), series) == [(1, 2), (4, 5)]
    assert flag_runs(rows(".####.#"), series) == [(1, 2), (3, 4), (6, 6)]


def test_precision_recall_and_f1_by_hand():
    labels = rows("..####..#.")
    assert precision_recall_f1(labels, rows("...##.##..")) == pytest.approx((2 / 4, 2 / 5, 4 / 9))
    assert precision_recall_f1(labels, labels) == (1, 1, 1)
    assert precision_recall_f1(labels, ~labels) == (0, 0, 0)


def test_measures_without_flags_or_labels_are_nan_or_0():
    labels, none = rows("..##.."), rows("......")
    for measure in (precision_recall_f1, event_f1):
        np.testing.assert_array_equal(measure(labels, none), [np.nan, 0, 0])
        np.testing.assert_array_equal(measure(none, labels), [0, np.nan, 0])
        np.testing.assert_array_equal(measure(none, none), [np.nan] * 3)
    np.testing.assert_array_equal(affiliation(labels, none), [np.nan, 0, 0])


# VUS-PR


def vus_by_its_definition(labels, scores, max_buffer, num_thresholds):
    """Every threshold and buffer on its own, without sorting and sums."""
    events = flag_runs(labels)
    levels = [
        sorted(scores, reverse=True)[int(place)] for place in np.linspace(0, len(scores) - 1, num_thresholds)
    ]
    areas = []
    for buffer in range(max_buffer + 1):
        weight = [float(label) for label in labels]
        for first, last in events:
            for away in range(1, buffer // 2 + 1):
                for row in (first - away, last + away):
                    if 0 <= row < len(labels):
                        weight[row] = min(weight[row] + math.sqrt(1 - away / buffer), 1)
        # Events whose slopes share a row are found together.
        groups = []
        for first, last in events:
            reached = set(range(max(first - buffer // 2, 0), last + buffer // 2 + 1))
            if groups and groups[-1] & reached:
                reached |= groups.pop()
            groups.append(reached)
        last_recall = area = 0
        for level in levels:
            flags = [score >= level for score in scores]
            hits = sum(w for w, flag in zip(weight, flags, strict=True) if flag)
            flagged_slopes = sum(
                w for w, flag, label in zip(weight, flags, labels, strict=True) if flag and not label
            )
            size = (sum(labels) + sum(labels) + flagged_slopes) / 2
            touched = [any(flags[row] for row in group if row < len(flags)) for group in groups]
            recall = min(hits / size, 1) * sum(touched) / len(touched)
            area += (recall - last_recall) * hits / sum(flags)
            last_recall = recall
        areas.append(area)
    return sum(areas) / len(areas)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31), buffer=st.sampled_from([0, 1, 5, 8]), thresholds=st.sampled_from([2, 17, 53])
)
def test_vus_pr_is_its_definition(seed, buffer, thresholds):
    random = np.random.default_rng(seed)
    labels = np.repeat(random.random(11) < 0.3, random.integers(1, 9, 11))
    labels[random.integers(len(labels))] = True
    # A few levels only, so that many rows tie.
    scores = np.round(random.random(len(labels)) + 0.4 * labels, 1)
    assert vus_pr(labels, scores, buffer, thresholds) == pytest.approx(
        vus_by_its_definition(labels, scores, buffer, thresholds), abs=1e-12
    )


def test_vus_pr_of_perfect_scores_is_nearly_1_and_forgives_a_little():
    labels = rows("." * 40 + "#" * 11 + "." * 40)
    assert vus_pr(labels, labels.astype(float), 0) == pytest.approx(1)
    shifts = [vus_pr(labels, np.roll(labels, shift).astype(float), 10) for shift in (0, 1, 3, 7)]
    assert sorted(shifts, reverse=True) == shifts
    assert shifts[2] > auc_pr(labels, np.roll(labels, 3).astype(float))


@pytest.mark.shared_data
def test_vus_pr_is_the_published_one_of_tsb_ad(shared_data):
    # Its table of VUS-PR by file (uni_mergedTable_VUS-PR.csv), method Sub-PCA: distances of
    # the standardised windows of one period, 6 rows, to the principal axes by their variance.
    path = shared_data / "anomaly" / "other" / "TSB-AD-U_001_NAB_id_1_Facility_tr_1007_1st_2014.csv"
    table = pd.read_csv(path)
    windows = np.lib.stride_tricks.sliding_window_view(table["Data"].to_numpy(), 6)
    windows = (windows - windows.mean(axis=0)) / windows.std(axis=0)
    _, sizes, axes = np.linalg.svd(windows, full_matrices=False)
    along = windows @ axes.T
    axes = axes * np.sign(along[np.abs(along).argmax(axis=0), np.arange(6)])[:, None]
    distances = np.sqrt(((windows[:, None] - axes) ** 2).sum(axis=-1))
    scores = (distances / (sizes**2 / (sizes**2).sum())).sum(axis=1)
    scores = np.concatenate([scores[:1].repeat(3), scores, scores[-1:].repeat(2)])
    assert vus_pr(table["Label"], scores, max_buffer=6) == pytest.approx(0.1803477717070326, abs=1e-9)


# Affiliation


def test_affiliation_of_the_papers_example():
    # Minutes; the scores of the second event are printed in the tests of the authors.
    scores = near._zone_scores((50, 70), [(5, 6), (11, 12), (40, 60), (115, 130)], (30, 120))
    assert scores == pytest.approx((0.6722222222, 0.9444444444), abs=1e-9)


def affiliation_on_a_grid(labels, flags, steps=40):
    """The definition with the zone cut into small steps: chances are shares of them."""
    times = (np.arange(len(labels) * steps) + 0.5) / steps
    events, flagged = flag_runs(labels), np.repeat(flags, steps)
    middles = [(left[1] + 1 + right[0]) / 2 for left, right in itertools.pairwise(events)]
    edges = [0, *middles, len(labels)]
    scores = []
    for number, (first, last) in enumerate(events):
        zone = (times > edges[number]) & (times < edges[number + 1])
        event = zone & (times > first) & (times < last + 1)
        x = times[zone]
        to_event = np.abs(x[:, None] - times[event]).min(axis=1)
        found = times[zone & flagged]
        if not len(found):
            scores.append((np.nan, 0.0))
            continue
        precision = np.mean([(to_event >= to_event[np.argmin(abs(x - t))] - 1e-9).mean() for t in found])
        recall = np.mean([(np.abs(x - t) >= np.abs(found - t).min() - 1e-9).mean() for t in times[event]])
        scores.append((precision, recall))
    precision, recall = np.array(scores).T
    return np.nanmean(precision), recall.mean()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_affiliation_is_its_definition(seed):
    random = np.random.default_rng(seed)
    labels, flags = (np.repeat(random.random(7) < share, random.integers(1, 5, 7)) for share in (0.4, 0.5))
    size = min(len(labels), len(flags))
    labels, flags = labels[:size].copy(), flags[:size].copy()
    labels[random.integers(size)] = flags[random.integers(size)] = True
    precision, recall, f1 = affiliation(labels, flags)
    assert (precision, recall) == pytest.approx(affiliation_on_a_grid(labels, flags), abs=0.03)
    assert f1 == pytest.approx(2 * precision * recall / (precision + recall))


def test_affiliation_of_random_flags_is_about_a_half_and_of_all_rows_too():
    random = np.random.default_rng(5)
    labels = np.arange(2003) // 50 == 13
    precision, _, _ = affiliation(labels, random.random(2003) < 0.05)
    assert precision == pytest.approx(0.5, abs=0.08)
    assert affiliation(labels, labels) == (1, 1, 1)


# Events


def test_event_f1_counts_alarms_and_events_once():
    labels = rows("..####......##..##.")
    flags_ = rows("#..#.#.#.....#.....")
    # Alarms: 0 wrong, 3 and 5 right, 7 wrong, 13 right. Events found: two of three.
    assert event_f1(labels, flags_) == pytest.approx((3 / 5, 2 / 3, 2 * 0.6 * 2 / 3 / (0.6 + 2 / 3)))
    # Two rows behind the first event the alarm in row 7 is still right, and finds nothing more.
    assert event_f1(labels, flags_, slack=2)[:2] == pytest.approx((4 / 5, 2 / 3))


def test_events_and_slack_end_with_their_series():
    labels, flags_ = rows(".....##...."), rows("......####.")
    series = np.repeat(["a", "b"], [6, 5])
    assert event_f1(labels, flags_)[:2] == (1, 1)
    assert event_f1(labels, flags_, series=series)[:2] == (1, 1 / 2)
    labels, flags_ = rows("..##......."), rows("....##.....")
    series = np.repeat(["a", "b"], [4, 7])
    assert event_f1(labels, flags_, slack=2)[0] == 1
    assert event_f1(labels, flags_, slack=2, series=series)[0] == 0


def test_detection_delay_is_the_first_flag_after_the_start():
    labels = rows("..####...##.##")
    flags_ = rows("#...#....#....")
    np.testing.assert_array_equal(detection_delays(labels, flags_), [2, 0, np.nan])


def test_false_alarms_a_day_by_hand():
    times = pd.date_range("2024-01-01", periods=60, freq="6h")
    labels = np.arange(60) < 20
    flags_ = np.isin(np.arange(60), [3, 20, 30, 31, 50])
    # Row 3 is right, 30 and 31 are one alarm: 3 alarms in 40 rows of 6 hours.
    flags_[19] = False
    assert false_alarms_per_day(labels, flags_, times) == pytest.approx(3 / 10)
    assert false_alarms_per_day(labels, flags_, times, slack=1) == pytest.approx(2 / 10)
    both = np.tile(labels, 2), np.tile(flags_, 2), times.append(times)
    assert false_alarms_per_day(*both, series=np.repeat([1, 2], 60)) == pytest.approx(3 / 10)
    assert np.isnan(false_alarms_per_day(np.ones(5), np.ones(5), times[:5]))


def test_point_adjusted_f1_is_near_1_for_random_flags():
    labels = np.arange(5003) % 1000 > 600
    flags_ = np.random.default_rng(3).random(5003) < 0.01
    adjusted, random = point_adjusted_f1(labels, flags_)
    assert adjusted > 0.95
    assert random > 0.95
    # One flag in a run of four of the seven rows: precision 4/5, recall 4/6.
    adjusted, random = point_adjusted_f1(rows(".####.##"), rows("#.#....."), num_draws=500)
    assert adjusted == pytest.approx(2 * 0.8 * 4 / 6 / (0.8 + 4 / 6))
    assert 0.6 < random < 0.9
    assert point_adjusted_f1(labels, flags_, seed=1) != point_adjusted_f1(labels, flags_, seed=2)


def test_evaluate_is_every_measure_in_one_row():
    labels, flags_ = rows("...####......###..."), rows(".....##.#.....#....")
    scores = flags_ + np.linspace(0, 0.5, 19)
    times = pd.date_range("2024-01-01", periods=19, freq="D")
    table = evaluate(labels, flags_, scores, times, name="mine", max_buffer=4, slack=1)
    assert table.index.tolist() == ["mine"]
    row = table.iloc[0].to_dict()
    assert tuple(row[name] for name in ("precision", "recall", "f1")) == precision_recall_f1(labels, flags_)
    assert (row["auc_pr"], row["vus_pr"]) == (auc_pr(labels, scores), vus_pr(labels, scores, 4))
    assert [row[f"affiliation_{part}"] for part in ("precision", "recall", "f1")] == list(
        affiliation(labels, flags_)
    )
    assert [row[f"event_{part}"] for part in ("precision", "recall", "f1")] == list(
        event_f1(labels, flags_, slack=1)
    )
    assert (row["median_delay"], row["false_alarms"]) == (1.5, 1)
    assert row["false_alarms_per_day"] == pytest.approx(1 / 12)
    assert (row["point_adjusted_f1"], row["point_adjusted_f1_random"]) == point_adjusted_f1(labels, flags_)


def test_evaluate_of_a_series_without_anomalies_counts_its_false_alarms():
    row = evaluate(rows("......."), rows(".##..#."), np.arange(7.0)).iloc[0]
    assert row["false_alarms"] == 2
    assert row["event_precision"] == 0
    assert row[["auc_pr", "vus_pr", "affiliation_f1", "recall", "false_alarms_per_day"]].isna().all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: precision_recall_f1([1, 0], [1]), "`labels` and `flags` must have one.*: 2 and 1"),
        (lambda: flag_runs([0.5]), r"`flags` must be True or False for each row.*shape \(1,\), float64"),
        (lambda: flag_runs([[True]]), "`flags` must be True or False for each row"),
        (lambda: auc_pr([1, 0], [1.0]), "`scores` must be one finite number for each label"),
        (lambda: auc_pr([1, 0], [1.0, np.inf]), "Received: 1 not finite"),
        (lambda: auc_pr([0, 0], [1.0, 2.0]), "Without a labelled row this measure says nothing"),
        (lambda: vus_pr([0, 0], [1.0, 2.0]), "Without a labelled row"),
        (lambda: affiliation([0, 0], [1, 0]), "Without a labelled row"),
        (lambda: vus_pr([1, 0], [1.0, 2.0], max_buffer=-1), "`max_buffer` must be an int >= 0"),
        (lambda: vus_pr([1, 0], [1.0, 2.0], num_thresholds=1), "`num_thresholds` must be an int >= 2"),
        (lambda: event_f1([1, 0], [1, 0], slack=-1), "`slack` must be an int >= 0"),
        (
            lambda: false_alarms_per_day([1, 0], [1, 0], hours(3)),
            "one time for each of two or more rows.*3 for 2",
        ),
        (lambda: false_alarms_per_day([0, 0], [1, 0], hours(2)[::-1]), "median step is not above 0"),
    ],
)
def test_measures_refuse(call, message):
    with pytest.raises(ValueError, match=message):
        call()
