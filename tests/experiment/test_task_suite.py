import importlib.util
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from tfts.config import (
    BenchmarkSettings,
    Context,
    TaskSuiteSettings,
    parse_settings,
    read_settings,
    suite_kind,
)
from tfts.experiment.tables import forecaster_options, load_frame
from tfts.experiment.task_run import num_windows, parts_of, score_task, settings_of_task
from tfts.experiment.task_suite import benchmark_tasks, ranking
from tfts.forecaster import Forecaster
from tfts.metrics import ErrorSums, mase_scale

TEXT = """
folder: %s
tasks:
  one/D: {data: &one {source: file, path: wave.csv, time: date}, horizon: 5, season_length: 7}
  many/D:
    data: {source: file, path: wide.csv, time: date, wide: true, series: series, shortest: 60}
    horizon: 3
    season_length: 7
    windows: 2
baselines:
  seasonal_naive: {season_length: task}
  drift: {}
published: published.csv
"""
GIFT = Path(__file__).parents[2] / "configs" / "benchmarks" / "gift.yaml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path, random = tmp_path_factory.mktemp("tasks"), np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=211, freq="D")
    wave = 10 + np.sin(np.arange(211)[:, None] * 2 * np.pi / 7) + 0.3 * random.normal(size=(211, 2))
    pd.DataFrame({"date": days, "load": wave[:, 0], "price": 7 * wave[:, 1]}).to_csv(
        path / "wave.csv", index=False
    )
    wide = pd.DataFrame({"date": days[:97], "a": wave[:97, 0], "b": 3 * wave[:97, 1], "c": wave[:97, 0]})
    wide.loc[:40, "b"], wide.loc[:23, "c"] = np.nan, np.nan
    wide["constant"] = 4.0
    wide.to_csv(path / "wide.csv", index=False)
    published = {
        "dataset": ["one/D", "one/D", "many/D"],
        "method": ["seasonal_naive", "net", "seasonal_naive"],
    }
    pd.DataFrame({**published, "mase": [1.0, 0.5, 1.0], "crps": [0.2, 0.05, 0.1]}).to_csv(
        path / "published.csv", index=False
    )
    return path


def suite(folder, *changes):
    return parse_settings(TEXT % folder, changes, kind=TaskSuiteSettings)


def test_windows_do_not_overlap_and_end_with_the_series(folder):
    settings = suite(folder)
    frame, _ = load_frame(settings_of_task(settings, "one/D"))
    panel = Forecaster("drift", **forecaster_options(settings_of_task(settings, "one/D"))).panel(frame)
    train, test = parts_of(panel, settings.tasks["one/D"])
    # A tenth of 211 rows are 21.1, for which five windows of five rows are needed.
    assert (train.spans.tolist(), test.spans.tolist()) == ([[0, 0, 186, 186]], [[0, 186, 211, 211]])
    # Of the 186 rows before them four windows.
    train, held_out = parts_of(panel, settings.tasks["one/D"], held_out=True)
    assert (train.spans.tolist(), held_out.spans.tolist()) == ([[0, 0, 166, 166]], [[0, 166, 186, 186]])
    assert num_windows(211, 5) == 5
    assert num_windows(10**6, 5) == 20


def test_the_seasonal_naive_is_scored_by_hand(folder):
    record, steps = score_task(suite(folder), "one/D", "seasonal_naive")
    values = pd.read_csv(folder / "wave.csv", index_col=0).to_numpy()
    errors = []
    for cut in range(186, 211, 5):
        usual = np.abs(values[7:cut] - values[: cut - 7]).mean(axis=0)
        errors.append(np.abs(values[cut : cut + 5] - values[cut - 7 : cut - 2]) / usual)
    assert record["point_mase"] == pytest.approx(np.mean(errors), rel=1e-9)
    # Its median is the forecast plus the median error of held-out rows.
    assert record["scores"]["mase"] == pytest.approx(np.mean(errors), rel=0.1)
    assert record["windows"] == 5
    assert steps["coverage"].shape == (5,)
    assert record["lowest_step"] <= record["scores"]["coverage"] <= record["highest_step"]


def test_short_and_constant_series_run_and_the_shortest_are_left_out(folder):
    record, _ = score_task(suite(folder), "many/D", "seasonal_naive")
    # Of "b" 56 rows are left, fewer than 60; the other three have two windows each.
    assert record["windows"] == 6
    assert np.isfinite(record["scores"]["mase"])


def test_the_rows_of_the_windows_change_no_forecast_but_later_ones(folder, tmp_path):
    frame = pd.read_csv(folder / "wave.csv")
    before, _ = score_task(suite(folder), "one/D", "drift")
    frame.loc[186:, ["load", "price"]] = np.nan
    fitted = []
    for factor in (1.0, 99.0):
        changed = pd.read_csv(folder / "wave.csv")
        changed.loc[186:, ["load", "price"]] *= factor
        changed.to_csv(tmp_path / "wave.csv", index=False)
        settings = suite(tmp_path, "published=null")
        run = settings_of_task(settings, "one/D", context=7)
        made = Forecaster("drift", **forecaster_options(run))
        train, test = parts_of(made.panel(load_frame(run)[0]), settings.tasks["one/D"])
        fitted.append(made.fit(train).quantile_windows(test, np.array([185])))
    np.testing.assert_array_equal(fitted[0], fitted[1])
    assert before["context_length"] == Context().rows(186, 5, 7) == 49


def test_a_suite_is_run_once_and_shown_beside_the_published(folder, tmp_path):
    console = Console(width=140, record=True, file=io.StringIO())
    table = benchmark_tasks(suite(folder), tmp_path / "run", only=["drift"], tasks=["one/D"], console=console)
    ours = table[~table["published"]]
    assert ours["method"].tolist() == ["drift"]
    assert ours["mase_ratio"].iloc[0] == pytest.approx(ours["mase"].iloc[0])
    assert ours["crps_ratio"].iloc[0] == pytest.approx(ours["crps"].iloc[0] / 0.2)
    again = benchmark_tasks(suite(folder), tmp_path / "run", console=console)
    assert len(again) == 7
    printed = console.export_text()
    assert printed.count("kept") == 1
    assert "Geometric mean over 2 tasks, over seasonal_naive" in printed
    ranked = ranking(suite(folder), again).set_index("method")
    assert "net" not in ranked.index
    assert len(pd.read_csv(tmp_path / "run" / "tasks.csv")) == 7
    with pytest.raises(ValueError, match=r"holds 2 runs with other settings .*\(changed: .*drift"):
        benchmark_tasks(suite(folder, "baselines.drift={scaler: none}"), tmp_path / "run")


def test_a_suite_of_tasks_stops_when_its_budget_is_used_up(folder, tmp_path):
    console = Console(width=140, record=True, file=io.StringIO())
    table = benchmark_tasks(suite(folder, "budget.suite_seconds=0.001"), tmp_path / "run", console=console)
    assert (~table["published"]).sum() < 4
    assert "The budget of 0.001 s is used up" in console.export_text()


def test_what_a_suite_cannot_do_it_says(folder, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"wave\.csv does not exist\. Give the folder with --set folder"
    ):
        benchmark_tasks(suite(tmp_path), tmp_path / "run")
    with pytest.raises(
        ValueError, match=r"Unknown method of the suite 'drft'\. Expected one of: .*Did you mean"
    ):
        benchmark_tasks(suite(folder), tmp_path / "run", only=["drft"])
    with pytest.raises(ValueError, match=r"Unknown task of the suite 'two'"):
        benchmark_tasks(suite(folder), tmp_path / "run", tasks=["two"])
    with pytest.raises(ValueError, match=r"has 97 rows\. Expected more than its 40 windows of 3 rows need"):
        score_task(suite(folder, "tasks.many/D.windows=40"), "many/D", "drift")
    with pytest.raises(ValueError, match=r"Unknown option of drift 'chose'"):
        suite(folder, "baselines.drift={chose: 3}")
    with pytest.raises(ValueError, match=r"No series has data\.shortest=98 rows: the longest has 97"):
        score_task(suite(folder, "tasks.many/D.data.shortest=98"), "many/D", "drift")
    with pytest.raises(ValueError, match=r"`quantiles` must hold 0\.5, of which mase is"):
        suite(folder, "quantiles=[0.1, 0.9]")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "tasks.one/D.data={source: file, path: x.csv, wide: true, series: s}",
            "`time` is missing: wide, stamps",
        ),
        (
            "tasks.one/D.data={source: file, path: x.csv, time: t, wide: true}",
            "`series` is missing: what the column",
        ),
        ("tasks.one/D.data={source: file, path: x.csv, shortest: 3}", "`shortest` leaves out series"),
    ],
)
def test_settings_of_a_table_that_miss_something(folder, change, message):
    with pytest.raises(ValueError, match=message):
        suite(folder, change)


def test_the_kind_of_a_suite_is_seen_in_its_file():
    assert suite_kind(GIFT) is TaskSuiteSettings
    assert suite_kind(GIFT.with_name("quick.yaml")) is BenchmarkSettings


@pytest.mark.shared_data
@pytest.mark.slow
def test_tables_windows_and_scores_are_those_of_the_leaderboard(shared_data):
    path = shared_data / "gift" / "protocol.py"
    module = importlib.util.spec_from_file_location("protocol", path)
    protocol = importlib.util.module_from_spec(module)
    module.loader.exec_module(protocol)
    settings = read_settings(GIFT, [f"folder={shared_data}"], kind=TaskSuiteSettings)
    random, seen = np.random.default_rng(0), []
    for task in protocol.tasks():
        run = settings_of_task(settings, task.name)
        panel = Forecaster("drift", **forecaster_options(run)).panel(load_frame(run)[0], allow_constant=True)
        _, test = parts_of(panel, settings.tasks[task.name])
        assert len(panel.series) == len(task.series)
        place = {name: i for i, name in enumerate(panel.series)} if len(panel.series) > 1 else {}
        ours, theirs = ErrorSums(task.horizon, panel.targets, levels=settings.quantiles), {}
        for name, frame in task.series.items():
            span = test.spans[place.get(name, 0)]
            values = panel.values[span.start : span.observed_end]
            np.testing.assert_allclose(values, frame.to_numpy(float))
            assert span.target_start - span.start == task.cutoffs(frame)[0]
            theirs[name] = []
            for cut in task.cutoffs(frame):
                actual = values[cut : cut + task.horizon]
                made = np.sort(
                    actual[..., None] + values.std() * random.normal(size=(*actual.shape, 9)), axis=-1
                )
                usual = mase_scale(values[:cut], settings.tasks[task.name].season_length)
                ours.update(actual[None], made[None, ..., 4], usual[None], made[None])
                theirs[name].append(made.transpose(2, 0, 1))
        found = ours.score(["mase", "wql"]).iloc[0]
        np.testing.assert_allclose(found[["mase", "wql"]].to_numpy(float), task.score(theirs), rtol=1e-9)
        seen.append(task.name)
    assert sorted(seen) == sorted(settings.tasks)
