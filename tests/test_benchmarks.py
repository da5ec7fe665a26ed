"""The benchmarks' readers and scores; what detectors reach is measured by running them."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks import (
    comparison_errors,
    fit_time,
    nab,
    prediction,
    recurrent_step,
    sales_anomalies,
    smap_msl,
    tuning_searchers,
)
from tfts.anomaly.evaluation import flag_runs
from tfts.data.panel import Panel
from tfts.data.sales import FAULTS, TARGETS, make_sales
from tfts.data.split import chronological_split
from tfts.data.windows import WindowSpec


@pytest.fixture
def nab_folder(tmp_path):
    """A corpus of one series with one window, and a second whose file is not there."""
    times = pd.date_range("2024-01-01", periods=300, freq="5min")
    values = np.where(np.arange(300) == 203, 99.0, np.arange(300) % 7)
    (tmp_path / "data" / "made").mkdir(parents=True)
    pd.DataFrame({"timestamp": times, "value": values}).to_csv(
        tmp_path / "data" / "made" / "one.csv", index=False
    )
    (tmp_path / "labels").mkdir()
    windows = {"made/one.csv": [[str(times[200]), str(times[220])]], "made/two.csv": []}
    (tmp_path / "labels" / "combined_windows.json").write_text(json.dumps(windows))
    return tmp_path


def test_nab_reader_gives_frames_with_windows_of_what_is_there(nab_folder):
    ((name, frame, windows),) = nab.load_nab(nab_folder)
    assert (name, len(frame), list(frame.columns)) == ("made/one.csv", 300, ["timestamp", "value"])
    assert windows == [(frame["timestamp"][200], frame["timestamp"][220])]
    with pytest.raises(FileNotFoundError, match=r"must hold labels/combined_windows\.json"):
        next(nab.load_nab(nab_folder / "data"))


@pytest.mark.parametrize("name", ["std (k=3)", "rolling z (200 rows, k=6)", "windowedGaussian"])
def test_nab_detectors_find_a_spike_and_see_only_what_went_before(nab_folder, name):
    series = list(nab.load_nab(nab_folder))
    scores, flags, _ = nab.run_detector(nab.DETECTORS[name], series)
    assert flags["made/one.csv"].tolist() == (np.arange(300) == 203).tolist()
    row = nab.score_row(scores, flags, series)
    assert (row["windows found"], row["false points per 1,000"]) == ("1 of 1", 0)
    # Row 203 is the fourth of the window's 21: 18 / 21 of it are left.
    assert row["standard"] == pytest.approx(50 + 50 * np.tanh(2.5 * 18 / 21) / np.tanh(2.5))
    assert row["best threshold's score"] == pytest.approx(row["standard"])
    changed = [
        (name, frame.assign(value=frame["value"].where(frame.index < 250, 5e3)), w)
        for name, frame, w in series
    ]
    again, _, _ = nab.run_detector(nab.DETECTORS[name], changed)
    np.testing.assert_array_equal(again["made/one.csv"][45:250], scores["made/one.csv"][45:250])


@pytest.mark.shared_data
def test_nab_published_scores_are_those_of_its_table(shared_data):
    table = nab.published_scores(shared_data / "anomaly" / "nab").round(1)
    assert table.loc["numenta"].tolist() == [70.1, 63.1, 74.3]
    assert table.loc["null"].tolist() == [0, 0, 0]
    assert table.index[0] == "ARTime"


def test_nab_without_its_table_has_no_published_scores(tmp_path):
    assert nab.published_scores(tmp_path).empty


@pytest.mark.shared_data
def test_smap_msl_reader_gives_81_channels_with_their_labels(shared_data):
    channels = {name: rest for name, *rest in smap_msl.load_smap_msl(shared_data / "anomaly" / "smap_msl")}
    assert len(channels) == 81
    train, test, labels = channels["P-1"]
    assert train.shape[1] == test.shape[1] == 25
    assert len(test) == len(labels) == 8505
    assert [first for first, _ in flag_runs(labels)] == [2149, 3539, 4536]
    # Two lines: 5350 to 6575 and 5300 to 6420.
    assert flag_runs(channels["P-2"][2]) == [(5300, 6575)]


def test_smap_msl_reader_names_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"must hold labeled_anomalies\.csv"):
        next(smap_msl.load_smap_msl(tmp_path))


def test_smap_msl_scores_are_a_row_for_each_channel():
    test = np.zeros((211, 3), dtype=np.float32)
    test[101:107, 0] = 9
    train = np.random.default_rng(1).normal(size=(307, 3)).astype(np.float32)
    found = smap_msl.score_channels(smap_msl.std_detector, [("X-1", train, test, test[:, 0] > 0)])
    assert found.index.tolist() == ["X-1"]
    assert found[["f1", "vus_pr", "event_f1"]].iloc[0].tolist() == pytest.approx([1, 1, 1], abs=0.05)
    scores, flags = smap_msl.random_detector(train, test)
    assert scores.shape == flags.shape == (211,)
    scores, flags = smap_msl.rolling_z_detector(train, test)
    assert flags[101]
    assert not flags[:101].any()


def test_smap_msl_says_where_the_default_is_behind():
    default = {"vus_pr": 0.30, "event_f1": 0.50}
    means = {smap_msl.DEFAULT: default, "a": {"vus_pr": 0.31, "event_f1": 0.2}}
    means["b"] = {"vus_pr": 0.25, "event_f1": 0.56}
    assert smap_msl.verdict(means) == [
        "vus_pr: the default is within 0.02 of the best other, a (-0.010).",
        "event_f1: the default is more than 0.02 behind the best other, b (-0.060).",
    ]
    assert smap_msl.verdict({smap_msl.DEFAULT: default}) == []


def test_sales_scores_of_the_truth_are_perfect_and_of_nothing_0():
    made = make_sales(2, 400, clean_days=200)
    first = made.frame["time"].iloc[200]
    truth = made.faults.rename(columns={"store": "series", "cause": "target"})
    row = sales_anomalies.score_events(made, truth, first)
    assert (row["f1"], row["cause"], row["false"], row["special"], row["usual"]) == (1, 1, 0, 0, 0)
    assert {row[kind] for kind in FAULTS if kind in set(truth["kind"])} == {1.0}
    row = sales_anomalies.score_events(made, truth.iloc[:0], first)
    assert (row["f1"], row["false"]) == (0, 0)
    wrong = truth.assign(target="Sales").iloc[::2]
    row = sales_anomalies.score_events(made, wrong, first)
    assert row["recall"] == pytest.approx(len(wrong) / len(truth))
    assert row["cause"] == pytest.approx((truth["target"].iloc[::2] == "Sales").mean())


def test_an_alarm_that_never_ends_finds_the_first_fault_alone():
    made = make_sales(1, 730, clean_days=365)
    first = made.frame["time"].iloc[365]
    events = made.faults.rename(columns={"store": "series", "cause": "target"}).iloc[:1]
    events = events.assign(end=made.frame["time"].iloc[-1])
    row = sales_anomalies.score_events(made, events, first)
    assert row["recall"] == pytest.approx(1 / len(made.faults))
    assert row["precision"] == 1
    assert row["usual"] > 0.8


def test_false_sales_events_are_counted_by_shop_and_month():
    made = make_sales(1, 400, clean_days=200, faults_per_year=0)
    day = made.frame["time"].iloc[250]
    events = pd.DataFrame({"series": ["store_1"], "start": [day], "end": [day], "target": ["Sales"]})
    row = sales_anomalies.score_events(made, events, made.frame["time"].iloc[200])
    assert row["false"] == pytest.approx(30.44 / 200)
    assert row["precision"] == 0


def test_sales_events_are_runs_of_one_shop_named_after_the_highest_score():
    test = make_sales(2, 5, faults_per_year=0).frame
    scores, flags = np.zeros((10, 3)), np.zeros((10, 3), dtype=bool)
    flags[[3, 4, 5], [0, 2, 1]] = True
    scores[[3, 4, 5], [0, 2, 1]] = 4, 7, 5
    scores[4, 1] = 9
    events = sales_anomalies.events_of(test, scores, flags)
    assert events["series"].tolist() == ["store_1", "store_2"]
    assert events["target"].tolist() == [TARGETS[2], TARGETS[1]]
    assert events["start"].tolist() == test["time"].iloc[[3, 5]].tolist()


@pytest.mark.parametrize("name", ["std (k=3)", "rolling z (28 days, k=3)", "ridge (k=6)"])
def test_sales_detectors_run_and_see_only_what_went_before(name):
    made = make_sales(1, 300, seed=3, clean_days=150)
    train, test = made.frame[:200], made.frame[200:].reset_index(drop=True)
    events = sales_anomalies.DETECTORS[name](train, test)
    changed = test.copy()
    changed.loc[70:, list(TARGETS)] *= 9
    again = sales_anomalies.DETECTORS[name](train, changed)
    before = [table[table["end"] < test["time"].iloc[69]] for table in (events, again)]
    pd.testing.assert_frame_equal(*(table.reset_index(drop=True) for table in before))


# AnomalyDetector in the benchmarks' form


def test_nab_takes_the_rows_that_raise_the_events_of_a_detector(nab_folder):
    detector = nab.anomaly_detector("linear_regression", context_length=7, k=6.0)
    scores, flags, _ = nab.run_detector(detector, list(nab.load_nab(nab_folder)))
    assert np.flatnonzero(flags["made/one.csv"]).tolist() == [203]
    assert scores["made/one.csv"][203] > 1 > scores["made/one.csv"][100:203].max()


def test_smap_msl_takes_the_flags_of_a_detector():
    random = np.random.default_rng(1)
    train, test = (
        random.normal(size=(307, 3)).astype(np.float32),
        random.normal(size=(101, 3)).astype(np.float32),
    )
    train[:, 2] = 0
    test[53, 0] = 30
    scores, flags = smap_msl.anomaly_detector("linear_regression", context_length=5, k=6.0)(train, test)
    assert np.flatnonzero(flags).tolist() == [53]
    assert np.argmax(scores) == 53


def test_sales_takes_the_events_of_a_detector_with_their_cause():
    made = make_sales(1, 400, seed=5, clean_days=250, kinds=["rating_collapse"], faults_per_year=3)
    detector = sales_anomalies.anomaly_detector(
        "linear_regression", context_length=3, score="scaled", threshold="mad", k=6.0
    )
    events = detector(made.frame[:250], made.frame[250:].reset_index(drop=True))
    told = events[events["start"] == made.faults["start"].iloc[0]]
    assert told["target"].tolist() == ["Ratings"]


# Searchers on a table of scores

PLANTED = {"units": [16, 8, 32], "learning_rate": [1e-3, 3e-3, 1e-2, 3e-2], "window_norm": ["none", "last"]}


def planted(settings):
    """Lowest, 0, at 32 units, a rate of 1e-2 and the window less its last value."""
    far = abs(np.log2(settings["units"] / 32)) + abs(np.log10(settings["learning_rate"] / 1e-2))
    return far + (settings["window_norm"] == "none")


@pytest.mark.parametrize("name", ["bayesian", "random", "optuna"])
def test_searchers_begin_with_the_defaults_and_find_what_is_planted(name):
    if name == "optuna":
        pytest.importorskip("optuna")
    scores = getattr(tuning_searchers, f"search_{name}")(PLANTED, planted, 11, seed=1)
    assert len(scores) == 11
    # 16 units, 1e-3, none: one halving, one power of ten, one wrong word
    assert scores[0] == pytest.approx(3)
    assert scores.min() <= 1


def test_best_so_far_stays_where_a_search_ended():
    assert tuning_searchers.best_so_far(np.array([3.0, 5.0, 2.0]), 5).tolist() == [3, 3, 2, 2, 2]


def test_a_grid_begins_with_the_defaults():
    points = tuning_searchers.grid(PLANTED)
    assert len(points) == 24
    assert points[0] == {"units": 16, "learning_rate": 1e-3, "window_norm": "none"}


def test_recurrent_steps_are_printed_against_the_peer_where_it_is_there(capsys):
    calls = []
    ways = {"tfts": (lambda: calls.append(1), lambda: calls.append(2)), "torch": None}
    best = recurrent_step.quickest(ways, threads=1, repeats=3)
    # One turn more than counts.
    assert calls == [1, 2] * 4
    assert best["torch"] is None
    assert 0 <= max(best["tfts"]) < 100
    recurrent_step._print_rows("here", best, "torch")
    assert "torch  skipped: not installed" in capsys.readouterr().out
    recurrent_step._print_rows("here", {"tfts": [3.0, 10.0], "torch": [2.0, 40.0]}, "torch")
    assert "1.50 x     0.25 x" in capsys.readouterr().out


# Where seconds go


def test_plain_keras_trains_on_the_same_windows():
    panel = Panel.from_frame(prediction.make_frame(61))
    batches = list(fit_time.keras_windows(panel, 7, 3, 16))
    assert [len(past) for past, _ in batches] == [16, 16, 16, 4]
    past, future = (np.concatenate([batch[i] for batch in batches]) for i in (0, 1))
    wanted = WindowSpec(7, 3).arrays(panel)
    order = [np.lexsort(windows.reshape(len(windows), -1).T) for windows in (past, wanted[0])]
    np.testing.assert_array_equal(past[order[0]], wanted[0][order[1]])
    np.testing.assert_array_equal(future[order[0]], wanted[1][order[1]])


def test_a_fit_and_a_forecast_are_measured_part_by_part():
    frame = prediction.make_frame(97)
    panel = Panel.from_frame(frame)
    split = chronological_split(panel, validation=frame.index[71], test=0)
    row = fit_time.measure("linear", (split.train, split.validation), (7, 3), 2, plain=False)
    assert row["count"] == 2
    assert row["rest"] == pytest.approx(row["all"] - row["compile"] - row["steps"])
    assert prediction.measure("linear", frame, 7, 3)["count"] == 88
    one_pass, loop = prediction.measure_backtest("linear", frame, 7, 3, origins=11, asked=2)
    assert one_pass > 0
    assert loop > 0


def test_comparisons_of_equal_forecasts_and_of_a_far_better_one_are_counted(monkeypatch):
    monkeypatch.setattr(comparison_errors, "WINDOWS", 901)
    losses = comparison_errors.window_losses(3, 0.25, np.random.default_rng(0), series=2)
    assert losses.shape == (3, 2, 901)
    np.testing.assert_allclose(losses.mean(axis=(1, 2)), [0.25, 1, 1], rtol=0.1)
    equal, best = comparison_errors.judged(3, 0.25, runs=2)
    assert equal.tolist() == best.tolist() == [1, 1]
    assert comparison_errors.with_a_short_series(2, runs=2) in (0, 0.5, 1)
