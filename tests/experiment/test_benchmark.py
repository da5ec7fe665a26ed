import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from tfts.config import BenchmarkSettings, parse_settings, read_settings, suite_kind
from tfts.data.split import chronological_split
from tfts.experiment import benchmark, suite_plan, suite_run
from tfts.forecaster import Forecaster

TEXT = """
data: {source: file, path: %s, time: date}
split: {validation: 31, test: 41}
protocol: {context_length: 13, horizons: [5, 3], windows: [37, 39]}
seeds: [0, 1]
baselines:
  persistence: {}
  linear_regression: {choose: {alpha: [1e-3, 1e3]}}
training: {epochs: 1, batch_size: 32}
"""
CONFIGS = Path(__file__).parents[2] / "configs" / "benchmarks"


def wave(rows=211, seed=0):
    random = np.random.default_rng(seed)
    days = pd.date_range("2024-01-01", periods=rows, freq="D")
    values = {
        name: 10 * scale + scale * (np.sin(np.arange(rows) / 3) + 0.2 * random.normal(size=rows))
        for name, scale in (("load", 1.0), ("price", 7.0))
    }
    return pd.DataFrame({"date": days, **values})


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("suite") / "wave.csv"
    wave().to_csv(path, index=False)
    return path


def suite(table, *changes):
    return parse_settings(TEXT % table, changes, kind=BenchmarkSettings)


def run(settings, output, **options):
    console = Console(width=100, record=True, file=io.StringIO())
    try:
        found = benchmark.benchmark(settings, output, console=console, **options)
    except (ValueError, KeyboardInterrupt) as error:
        found = error
    return found, console.export_text()


def test_scores_are_those_of_errors_in_deviations_of_the_training_rows(table):
    record, losses = suite_run.score_method(suite(table), "persistence", horizon=5)
    values = wave()[["load", "price"]].to_numpy()
    # 211 rows, of which 139 are training rows, 31 validation rows, and the last 41 test rows.
    scaled = values / values[:139].std(axis=0)
    expected = np.array(
        [np.mean((scaled[i + 1 : i + 6] - scaled[i]) ** 2) for i in range(211 - 41 - 1, 211 - 5)]
    )
    assert record["windows"] == len(expected) == 37
    np.testing.assert_allclose(losses["mse"], expected, rtol=1e-4)
    assert record["scores"]["mse"] == pytest.approx(expected.mean(), rel=1e-4)
    assert record["scores"]["mae"] == pytest.approx(losses["mae"].mean(), rel=1e-4)
    validation = [np.mean((scaled[i + 1 : i + 6] - scaled[i]) ** 2) for i in range(138, 170 - 5)]
    assert record["validation"] == pytest.approx(np.mean(validation), rel=1e-4)
    assert {"fit_seconds", "predict_seconds", "seconds", "memory_mb", "versions", "cores"} <= record.keys()
    original, _ = suite_run.score_method(suite(table, "protocol.units=original"), "persistence", horizon=5)
    assert original["scores"]["mse"] > 3 * record["scores"]["mse"]


def test_settings_are_chosen_on_validation_rows_whatever_the_test_rows_are(table, tmp_path):
    record, _ = suite_run.score_method(suite(table), "linear_regression", horizon=5)
    assert [tried["settings"] for tried in record["tried"]] == [{"alpha": 1e-3}, {"alpha": 1e3}]
    assert record["validation"] == min(tried["score"] for tried in record["tried"])
    assert record["chosen"] in [tried["settings"] for tried in record["tried"]]
    noisy = wave()
    noisy.loc[noisy.index[-41:], ["load", "price"]] = np.random.default_rng(1).normal(size=(41, 2)) * 99
    noisy.to_csv(tmp_path / "noisy.csv", index=False)
    other, _ = suite_run.score_method(suite(tmp_path / "noisy.csv"), "linear_regression", horizon=5)
    assert other["tried"] == record["tried"]
    assert other["scores"] != record["scores"]
    told, _ = suite_run.score_method(suite(table), "linear_regression", 5, chosen={"alpha": 1e3})
    assert told["tried"] == record["tried"][1:]


def test_a_baseline_is_judged_on_rows_it_has_not_seen_and_then_learns_from_them(table):
    record, _ = suite_run.score_method(suite(table), "linear_regression", 5, chosen={"alpha": 1e-3})
    frame = wave().set_index("date")
    made = Forecaster("linear_regression", context_length=13, horizon=5, model_options={"alpha": 1e-3})
    parts = chronological_split(made.panel(frame), 31, 41)
    variance = frame[:139].var(ddof=0).to_numpy()

    def score(part, validation):
        fitted = made.clone().fit(parts.train, validation=validation)
        return np.mean(fitted.evaluate(part, ["mse"])["mse"] / variance)

    assert record["validation"] == pytest.approx(score(parts.validation, 0), rel=1e-4)
    assert record["scores"]["mse"] == pytest.approx(score(parts.test, parts.validation), rel=1e-4)
    assert score(parts.test, 0) != pytest.approx(score(parts.test, parts.validation), rel=1e-3)


def test_a_network_is_fitted_with_what_the_entry_says(table):
    entry = (
        "models={small: {model: linear, context_length: 7, training: {epochs: 3}, choose: {shared: [true]}}}"
    )
    record, losses = suite_run.score_method(suite(table, entry), "small", horizon=3, seed=4)
    # One map of 7 rows to 3 and its intercepts.
    assert (record["parameters"], record["epochs"], record["context_length"]) == (24, 3, 7)
    assert (record["model"], record["seed"], record["chosen"]) == ("linear", 4, {"shared": True})
    assert record["backend"] == "tensorflow"
    assert losses["mse"].shape == (39,)


def test_another_number_of_test_windows_is_an_error(table):
    message = "says that 36 test windows are scored at horizon 3, but there are 39"
    with pytest.raises(ValueError, match=message):
        suite_run.score_method(suite(table, "protocol.windows=[37, 36]"), "persistence", horizon=3)


def test_a_method_may_look_further_back_than_the_windows_that_are_scored(table):
    own = (
        "split.context=own",
        "protocol.windows=[24, 26]",
        "baselines.long={model: drift, context_length: 60}",
    )
    short, _ = suite_run.score_method(suite(table, *own), "persistence", horizon=5)
    long, _ = suite_run.score_method(suite(table, *own), "long", horizon=5)
    # 41 - 13 - 5 + 1 windows lie wholly inside the test rows.
    assert short["windows"] == long["windows"] == 24
    far = suite(table, "baselines={long: {model: drift, context_length: 150}}")
    with pytest.raises(
        ValueError, match=r"of 27 validation windows can't be forecast with context_length=150"
    ):
        suite_run.score_method(far, "long", horizon=5)


def test_scores_of_many_series_by_hand(tmp_path):
    (tmp_path / "Daily-train.csv").write_text("V1,V2,V3,V4,V5,V6,V7,V8\nD1,1,2,3,4,5,6,8\nD2,2,4,2,4,2,6,\n")
    (tmp_path / "Daily-test.csv").write_text("V1,V2,V3\nD1,9,11\nD2,3,3\n")
    text = f"""
    data: {{source: m4, path: {tmp_path}/Daily-train.csv, time: time, series: series, freq: D}}
    split: {{validation: 2, test: 2}}
    protocol: {{context_length: 2, horizons: [2], windows: [2], units: original, metrics: [smape, mase, rmse],
               season_length: 2}}
    baselines: {{persistence: {{}}}}
    """
    settings = parse_settings(text, kind=BenchmarkSettings)
    record, losses = suite_run.score_method(settings, "persistence", horizon=2)
    # D1: 8 forecast, 9 and 11 come; D2: 6 forecast, 3 and 3 come.
    smape = [200 * (1 / 17 + 3 / 19) / 2, 200 * 3 / 9]
    # Differences over two rows of all rows before the test rows: 2 2 2 2 3, and 0 0 0 2.
    mase = [(1 + 3) / 2 / (11 / 5), 3 / (2 / 4)]
    np.testing.assert_allclose(losses["smape"], smape, rtol=1e-5)
    np.testing.assert_allclose(losses["mase"], mase, rtol=1e-5)
    assert record["scores"]["smape"] == pytest.approx(np.mean(smape))
    assert record["scores"]["mase"] == pytest.approx(np.mean(mase))
    assert record["scores"]["rmse"] == pytest.approx(np.sqrt((1 + 9 + 9 + 9) / 4))
    np.testing.assert_allclose(losses["mse"], [5, 9], rtol=1e-5)


@pytest.fixture(scope="module")
def finished(table, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "first"
    return output, *run(suite(table), output, horizons=[5])


def test_every_run_is_written(finished):
    output, found, printed = finished
    assert found["model"].tolist() == ["linear_regression", "persistence"]
    assert sorted(path.name for path in output.rglob("*") if path.is_file()) == [
        "5-linear_regression.json",
        "5-linear_regression.npz",
        "5-persistence.json",
        "5-persistence.npz",
        "cost_5.png",
        "differences.csv",
        "report.html",
        "runs.csv",
        "suite.json",
        "summary.csv",
    ]
    runs = pd.read_csv(output / "runs.csv").set_index("label")
    assert runs.loc["persistence", "windows"] == 37
    assert runs.loc["persistence", "memory_mb"] > 50
    record = json.loads((output / "runs" / "5-persistence.json").read_text())
    assert record["status"] == "finished"
    assert "[2/2] 5-linear_regression: MSE" in printed
    assert "Chosen on validation rows: linear_regression" in printed


def test_a_second_start_runs_what_is_new_alone(finished, table, tmp_path):
    output, found, _ = finished
    elsewhere = tmp_path / "moved.csv"
    elsewhere.write_bytes(table.read_bytes())
    settings = suite(
        elsewhere, "baselines.drift={}", "seeds=[1]", "published=[{model: x, source: y, mse: [1, 2]}]"
    )
    again, printed = run(settings, output, horizons=[5])
    assert printed.count("kept") == 2
    assert again["model"].tolist() == ["linear_regression", "persistence", "drift", "x"]
    pd.testing.assert_series_equal(again["mse"].iloc[:2], found["mse"].iloc[:2])


@pytest.fixture
def told(monkeypatch):
    """Runs take place in this process, which is cheaper; gives a list of what they were told."""
    calls = []

    def here(settings, of, chosen, output, python):
        calls.append((of["label"], of["seed"], chosen))
        record, losses = suite_run.score_method(settings, of["label"], of["horizon"], of["seed"], chosen)
        np.savez(output / "losses" / f"{of['key']}.npz", **losses)
        record |= {"status": "finished", "recipe": json.loads(json.dumps(of["recipe"]))}
        (output / "runs" / f"{of['key']}.json").write_text(json.dumps(record))
        return record, ""

    monkeypatch.setattr(benchmark, "in_a_process", here)
    return calls


def test_changed_runs_are_refused_and_repeated_when_wanted(table, tmp_path, told):
    settings = suite(table, "baselines.drift={}")
    output = tmp_path / "run"
    run(settings, output, only=["drift", "persistence"], horizons=[3])
    changed = suite(table, "baselines.drift={context_length: 11}")
    with pytest.raises(
        ValueError,
        match=r"holds 1 runs with other settings or rows \(changed: baselines.drift.context_length\)",
    ):
        benchmark.benchmark(changed, output, only=["drift"])
    _, printed = run(changed, output, only=["drift", "persistence"], horizons=[3], overwrite=True)
    assert "3-persistence: MSE" in printed
    assert printed.count("kept") == 1
    assert [label for label, _, _ in told] == ["persistence", "drift", "drift"]
    record = json.loads((output / "runs" / "3-drift.json").read_text())
    assert record["context_length"] == 11


def test_a_file_with_other_rows_is_noticed(finished, tmp_path):
    output, _, _ = finished
    wave(seed=3).to_csv(tmp_path / "wave.csv", index=False)
    with pytest.raises(
        ValueError, match=r"2 runs with other settings or rows \(changed: data.rows\).*--overwrite"
    ):
        benchmark.benchmark(suite(tmp_path / "wave.csv"), output)


def test_a_folder_of_another_version_is_refused(finished, table, tmp_path):
    output = tmp_path / "old"
    shutil.copytree(finished[0], output)
    described = json.loads((output / "suite.json").read_text())
    del described["format"]
    (output / "suite.json").write_text(json.dumps(described))
    with pytest.raises(ValueError, match=r"suite\.json was written by tfts .* in form 1, but this one"):
        benchmark.benchmark(suite(table), output)


@pytest.mark.parametrize(
    ("code", "log", "said"),
    [
        (2, "noise\n`lookbacks` must be ints.\n\n", "`lookbacks` must be ints."),
        (1, "Traceback\nIndexError: list index", "a fault of tfts: IndexError: list index"),
        (-9, "", "the process was ended by SIGKILL"),
        (70, "", "a fault of tfts: the process ended with 70"),
    ],
)
def test_why_a_run_failed_is_told_with_whose_fault_it_is(tmp_path, code, log, said):
    (tmp_path / "run.log").write_text(log)
    assert benchmark._why_failed(code, tmp_path / "run.log") == said


def test_a_run_over_budget_is_given_up_once(table, tmp_path):
    changes = ("baselines={persistence: {}}", "protocol.horizons=[3]", "protocol.windows=[39]")
    short = suite(table, *changes, "budget.run_seconds=0.01")
    found, printed = run(short, tmp_path / "run")
    assert "3-persistence: over budget after 0.01 s" in printed
    assert found.empty
    _, printed = run(short, tmp_path / "run")
    assert "over budget after 0.01 s, kept" in printed
    found, _ = run(suite(table, *changes), tmp_path / "run")
    assert found["model"].tolist() == ["persistence"]
    _, printed = run(suite(table, *changes, "budget.suite_seconds=1e-9"), tmp_path / "other")
    assert "budget of 1e-09 s is used up" in printed


def test_a_run_that_fails_leaves_the_others_alone(table, tmp_path):
    settings = suite(table, "baselines={ridge: {lookbacks: 17}, drift: {}}")
    error, printed = run(settings, tmp_path / "run", horizons=[3])
    assert isinstance(error, ValueError)
    assert "1 of 2 runs failed" in str(error)
    assert "- 3-ridge: `lookbacks` must be at most context_length=13" in str(error)
    assert "3-drift: MSE" in printed
    assert (tmp_path / "run" / "logs" / "3-ridge.log").is_file()
    assert pd.read_csv(tmp_path / "run" / "summary.csv")["model"].tolist() == ["drift"]


def test_later_seeds_take_what_the_first_one_chose(table, tmp_path, told):
    settings = suite(table, "baselines={}", "models={linear: {choose: {learning_rate: [1e-5, 3e-3]}}}")
    found, printed = run(settings, tmp_path / "run", horizons=[3])
    assert told == [("linear", 0, None), ("linear", 1, {"learning_rate": 3e-3})]
    assert found["seeds"].tolist() == [2]
    assert "±" in printed
    assert suite_plan.plan(settings)["3-linear-1"]["recipe"]["first_seed"] == 0


def test_names_and_folders_that_can_not_be(table, tmp_path):
    settings = suite(table)
    with pytest.raises(ValueError, match=r"Unknown method of the suite 'persistance'.*'persistence'\?"):
        benchmark.benchmark(settings, tmp_path / "run", only=["persistance"])
    with pytest.raises(ValueError, match=r"Unknown horizon of the suite 96\. Expected one of: 3, 5"):
        benchmark.benchmark(settings, tmp_path / "run", horizons=[96])
    with pytest.raises(
        FileNotFoundError, match=r"gone\.csv does not exist. Give the file with --set data.path"
    ):
        benchmark.benchmark(suite(tmp_path / "gone.csv"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty and holds no suite"):
        benchmark.benchmark(settings, tmp_path)
    with pytest.raises(ValueError, match=r"split\.validation and split\.test must be above 0"):
        suite_run.score_method(suite(table, "split.validation=0"), "persistence", 3)


# Ten thousand fits, which nobody waits for.
ALPHAS = ", ".join(str(alpha + 1) for alpha in range(10_000))
LONG = f"baselines={{persistence: {{}}, linear_regression: {{choose: {{alpha: [{ALPHAS}]}}}}}}"


def test_ctrl_c_ends_with_the_table_so_far_and_leaves_no_process(table, tmp_path):
    (tmp_path / "suite.yaml").write_text(TEXT % table)
    words = ["benchmark", "suite.yaml", "--horizon", "5", "--output", "out", "--set", LONG]
    process = subprocess.Popen(
        [sys.executable, "-c", "from tfts.cli import main; main()", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = tmp_path / "out" / "logs" / "5-linear_regression.log"
    deadline = time.monotonic() + 120
    while not log.is_file() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped. Give the same command again" in err
    assert "Traceback" not in err
    assert "Horizon 5, test rows" in out
    assert pd.read_csv(tmp_path / "out" / "summary.csv")["model"].tolist() == ["persistence"]
    assert not (tmp_path / "out" / "runs" / "5-linear_regression.json").exists()


def test_a_run_ends_when_the_command_that_started_it_is_gone(table, tmp_path):
    settings = suite(table, LONG)
    task = {"settings": settings.model_dump(mode="json"), "chosen": None, "output": str(tmp_path)}
    task["plan"] = suite_plan.plan(settings)["5-linear_regression"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from tfts.experiment.suite_run import work; work()"],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    process.stdin.write(json.dumps(task).encode() + b"\n")
    process.stdin.close()
    assert process.wait(60) == 1


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(CONFIGS.glob("*.yaml")) if suite_kind(path) is BenchmarkSettings],
    ids=lambda path: path.stem,
)
def test_suites_of_the_project_can_be_read(path):
    settings = read_settings(path, ["data.path=somewhere"], kind=BenchmarkSettings)
    assert settings.protocol.windows is not None
    assert {"ridge", "persistence"} <= settings.baselines.keys()
    assert settings.models


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "file", "score"),
    [
        ("etth1", "forecast/ETTh1.csv", 1.2944),
        pytest.param("weather", "forecast/weather_jena2020.csv.gz", None, marks=pytest.mark.slow),
        ("hourly_reference", "forecast/hourly_reference.csv", 1.5764),
    ],
)
def test_the_protocols_score_every_window_that_they_name(shared_data, name, file, score):
    settings = read_settings(
        CONFIGS / f"{name}.yaml", [f"data.path={shared_data / file}"], kind=BenchmarkSettings
    )
    horizon = settings.protocol.horizons[0]
    record, _ = suite_run.score_method(settings, "persistence", horizon)
    assert record["windows"] == settings.protocol.windows[0]
    if score is not None:
        assert record["scores"][settings.protocol.metrics[0]] == pytest.approx(score, abs=1e-4)


@pytest.mark.shared_data
def test_seasonal_naive_of_m4_hourly_has_the_score_of_the_competition(shared_data):
    path = shared_data / "m4" / "Hourly-train.csv"
    settings = read_settings(CONFIGS / "m4_hourly.yaml", [f"data.path={path}"], kind=BenchmarkSettings)
    record, _ = suite_run.score_method(settings, "seasonal_naive", horizon=48)
    assert record["scores"]["smape"] == pytest.approx(13.912, abs=1e-3)
    assert record["scores"]["mase"] == pytest.approx(1.193, abs=1e-3)
