import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from ruamel.yaml import YAML
from typer.testing import CliRunner

from tests.report.reading import check_page, tables
from tfts import load_dataset
from tfts.cli import app
from tfts.config import TuneSettings, parse_settings, read_settings
from tfts.experiment import tuning
from tfts.experiment.forecasting import run
from tfts.forecaster import Forecaster
from tfts.report.tuning import write_tuning_report
from tfts.tuning.workers import free_address

ROOT = Path(__file__).parents[2]
CONFIG = """
seed: 3
data: {source: dataset, name: sunspots}
window: {context_length: 11, horizon: 2}
split: {context: own}
training: {epochs: 2, batch_size: 64, jit_compile: false}
tune:
  model: linear
  model_options: {shared: true}
  max_trials: 6
  pruning: false
  space:
    context_length: {values: [5, 11]}
    window_norm: {values: [last, none]}
    scaler: {values: [standard, none]}
    learning_rate: {min: 1e-3, max: 1e-1, log: true}
"""


def tune(folder, *changes, text=CONFIG, **options):
    console = Console(width=160, record=True, file=io.StringIO())
    settings = parse_settings(text, changes, kind=TuneSettings)
    return tuning.tune(settings, folder, console=console, **options), console.export_text()


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished search: its folder, its table, what it printed."""
    folder = tmp_path_factory.mktemp("tuned")
    (folder / "sun.yaml").write_text(CONFIG)
    table, printed = tune(folder / "run", config=folder / "sun.yaml")
    return SimpleNamespace(folder=folder, run=folder / "run", table=table, printed=printed)


def test_files_of_a_search(done):
    names = {str(path.relative_to(done.run)) for path in done.run.rglob("*") if path.is_file()}
    assert {name for name in names if not name.startswith("search/")} == {
        "best.yaml",
        "curves.csv",
        "models/linear/forecaster.json",
        "models/linear/model.keras",
        "report.html",
        "results.csv",
        "run.json",
        "search.png",
        "settings.png",
        "test_metrics.csv",
        "trial_curves.png",
    }
    assert done.table["trial"].tolist() == list(range(6))
    described = json.loads((done.run / "run.json").read_text())
    assert {"settings", "data", "split", "versions", "search", "started", "finished"} <= described.keys()
    best = done.table[done.table["status"] == "finished"].sort_values("score").iloc[0]
    assert described["search"]["best_trial"] == best["trial"]
    assert described["search"]["default_settings"]["learning_rate"] == 3e-3
    curves = pd.read_csv(done.run / "curves.csv")
    assert set(curves["trial"]) == set(range(6))


def test_what_was_found_is_told(done):
    assert "6 trials, the best first" in done.printed
    assert "sunspots, RMSE on test rows: best, refitted " in done.printed
    assert "Test rows were scored once, after the search" in done.printed
    assert "sun.best.yaml" in done.printed


def test_best_settings_run_as_they_were_found(done):
    """`tfts run` of best.yaml fits the network of the best trial again, to the digit."""
    settings = read_settings(done.folder / "sun.best.yaml")
    assert settings.models["linear"]["shared"] is True
    scores = run(settings, done.folder / "again", console=Console(file=io.StringIO()))
    again = Forecaster.load(done.folder / "again" / "models" / "linear")
    best = json.loads((done.run / "run.json").read_text())["search"]["best_settings"]
    assert again.spec.context_length == best["context_length"]
    assert again.settings["scaler"] == best["scaler"]
    assert again.settings["model_options"] == {"shared": True, "window_norm": best["window_norm"]}
    mine = pd.read_csv(done.run / "test_metrics.csv").set_index("settings")
    name = "best" if "best" in mine.index else "default"
    own = scores.set_index("model").loc["linear"]
    if mine.loc[name, "count"] == own["count"]:
        assert mine.loc[name, "rmse"] == pytest.approx(own["rmse"], rel=1e-6)


def test_all_are_scored_on_the_same_test_windows(done):
    scores = pd.read_csv(done.run / "test_metrics.csv")
    assert scores["settings"].iloc[0] == "default"
    assert scores["settings"].iloc[-1] == "best, refitted"
    assert len(set(scores["count"])) == 1


def test_the_kept_forecaster_has_seen_the_validation_rows(done):
    kept = Forecaster.load(done.run / "models" / "linear")
    assert "val_loss" not in kept.history_
    assert len(kept.predict(load_dataset("sunspots"))) == 2


def test_the_real_future_is_forecast_from_the_folder(done):
    load_dataset("sunspots").rename_axis("date").to_csv(done.folder / "sun.csv")
    words = ["--data", str(done.folder / "sun.csv"), "--out", str(done.folder / "future.csv")]
    result = CliRunner().invoke(app, ["forecast", str(done.run), *words])
    assert result.exit_code == 0, result.exception
    future = pd.read_csv(done.folder / "future.csv")
    assert future["time"].str[:4].tolist() == ["2009", "2010"]


def test_the_page_holds_the_search(done):
    text = (done.run / "report.html").read_text()
    reader = check_page(text)
    assert len(reader.all("img")) >= 4
    found = tables(text)
    trials = next(table for caption, table in found.items() if caption.startswith("All trials"))
    assert len(trials) == 6
    scores = next(table for caption, table in found.items() if caption.startswith("Scores of the test rows"))
    np.testing.assert_allclose(
        scores["rmse"].astype(float), pd.read_csv(done.run / "test_metrics.csv")["rmse"]
    )
    for piece in ("flatters itself", "at least 10 finished trials", "one seed", "best.yaml"):
        assert piece in text
    (done.run / "report.html").unlink()
    write_tuning_report(done.run)
    assert (done.run / "report.html").read_text() == text


def test_the_page_shows_importance_with_what_must_be_said_beside_it(done, tmp_path):
    shutil.copytree(done.run, tmp_path / "copy")
    (tmp_path / "copy" / "importance.csv").write_text(
        "setting,importance,spread,values\nscaler,0.5,0.1,2\nlearning_rate,-0.01,0.1,6\n"
    )
    described = json.loads((tmp_path / "copy" / "run.json").read_text())
    described["search"]["importance_notes"] = ["It is association, not cause."]
    (tmp_path / "copy" / "run.json").write_text(json.dumps(described))
    text = write_tuning_report(tmp_path / "copy").read_text()
    found = next(table for caption, table in tables(text).items() if caption.startswith("Importance"))
    assert found["setting"].tolist() == ["scaler", "learning_rate"]
    assert found["importance"].tolist() == [0.5, -0.01]
    assert "not cause" in text
    # Four pictures of the whole search, one for each setting of the table.
    assert len(check_page(text).all("img")) == 5


def test_a_report_needs_a_finished_search_with_its_files(done, tmp_path):
    shutil.copytree(done.run, tmp_path / "copy")
    (tmp_path / "copy" / "curves.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"curves\.csv is not there. Give the same `tfts tune`"):
        write_tuning_report(tmp_path / "copy")
    described = json.loads((tmp_path / "copy" / "run.json").read_text())
    described.pop("finished")
    (tmp_path / "copy" / "run.json").write_text(json.dumps(described))
    with pytest.raises(ValueError, match="was stopped before it was finished"):
        write_tuning_report(tmp_path / "copy")


def test_a_folder_of_another_search_is_kept(done):
    with pytest.raises(ValueError, match=r"other settings \(changed: tune.tuner\)"):
        tune(done.run, "tune.tuner=random")


def test_a_search_on_rows_that_have_changed_is_not_gone_on_with(done, tmp_path):
    shutil.copytree(done.run, tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    described = json.loads(path.read_text())
    described["rows"]["validation"] = "5c0f2a91d3e7b864"
    path.write_text(json.dumps(described))
    with pytest.raises(ValueError, match=r"holds a run of other rows \(changed: validation\).*--overwrite"):
        tune(tmp_path / "run")
    assert (tmp_path / "run" / "search").is_dir()


def test_best_settings_changed_by_hand_are_kept(done, tmp_path):
    path = tmp_path / "sun.best.yaml"
    shutil.copy(done.folder / "sun.best.yaml", path)
    tuning.check_not_by_hand(path)
    path.write_text(path.read_text().replace("seed: 3", "seed: 4"))
    with pytest.raises(ValueError, match=r"sun\.best\.yaml was written or changed by hand"):
        tune(tmp_path / "run", config=tmp_path / "sun.yaml")
    assert not (tmp_path / "run").exists()


def test_a_search_goes_on_with_more_trials(done):
    before = {path: path.stat().st_mtime_ns for path in (done.run / "search").glob("trial_*/record.json")}
    table, _ = tune(done.run, "tune.max_trials=7", config=done.folder / "sun.yaml")
    pd.testing.assert_frame_equal(table.iloc[:6], done.table)
    assert table["trial"].tolist() == list(range(7))
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("split.test=0", "split.validation and split.test must be above 0"),
        ("tune.space.unitz={values: [3]}", "unitz"),
        ("data.name=co2", "--set data.missing=drop"),
    ],
)
def test_mistakes_are_told_before_the_first_trial(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        tune(tmp_path / "run", change)


def test_chief_and_workers_of_this_machine_are_two_things(tmp_path):
    with pytest.raises(ValueError, match="give workers or chief, not both"):
        tune(tmp_path / "run", workers=2, chief="127.0.0.1:7001")


def test_best_yaml_puts_each_setting_where_it_belongs():
    settings = parse_settings(CONFIG, kind=TuneSettings)
    best = {"context_length": 5, "scaler": "none", "calendar": ["24h"], "loss": "mae", "epochs": 9}
    found = SimpleNamespace(best_settings=best, best_trial=2, best_score=0.5)
    head, _, body = tuning.best_yaml(settings, found, "a/sun.yaml").partition("\n\n")
    assert head.startswith("# Found by `tfts tune` of sun.yaml: trial 2, val_rmse 0.5 on validation rows.\n")
    tree = YAML(typ="safe").load(body)
    assert tree["window"] == {"context_length": 5, "horizon": 2}
    assert tree["data"] == {"source": "dataset", "name": "sunspots", "scaler": "none", "calendar": ["24h"]}
    assert tree["training"] == {"epochs": 9, "batch_size": 64, "jit_compile": False, "loss": "mae"}
    assert tree["models"] == {"linear": {"shared": True}}
    assert tree["seed"] == 3


def test_best_yaml_keeps_what_is_said_of_the_future():
    settings = parse_settings(
        CONFIG + "forecast: {output: normal, quantiles: [0.1, 0.9]}\n", kind=TuneSettings
    )
    for best, output in (({"scaler": "none"}, "normal"), ({"output": "student_t"}, "student_t")):
        found = SimpleNamespace(best_settings=best, best_trial=2, best_score=0.5)
        tree = YAML(typ="safe").load(tuning.best_yaml(settings, found).partition("\n\n")[2])
        assert tree["forecast"] == {"output": output, "quantiles": [0.1, 0.9]}
        assert tree["models"] == {"linear": {"shared": True}}


# Processes


def start(folder, *words):
    command = [
        sys.executable,
        "-c",
        "from tfts.cli import main; main()",
        "tune",
        "sun.yaml",
        *map(str, words),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def busy(folder):
    """Names of the workers that have a trial, as the chief has written them."""
    path = folder / "search" / "oracle.json"
    return set(json.loads(path.read_text())["ongoing_trials"]) if path.is_file() else set()


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)


def test_a_chief_and_two_workers_of_which_one_dies(tmp_path):
    (tmp_path / "sun.yaml").write_text(CONFIG.replace("max_trials: 6", "max_trials: 5"))
    where = ("--output", "out", "--address", free_address(), "--silence", 5)
    chief = start(tmp_path, *where, "--chief", "--set", "tune.refit=false")
    workers = {
        n: start(tmp_path, *where, "--worker", n, "--set", "tune.refit=false") for n in ("anna", "berta")
    }
    try:
        wait_for(lambda: "anna" in busy(tmp_path / "out"))
        workers["anna"].send_signal(signal.SIGKILL)
        printed = chief.communicate(timeout=180)[0]
        assert chief.returncode == 0, printed
        rest = workers["berta"].communicate(timeout=60)[0]
        assert workers["berta"].returncode == 0, rest
    finally:
        for process in (chief, *workers.values()):
            process.kill()
            process.communicate()
    table = pd.read_csv(tmp_path / "out" / "results.csv")
    assert table["trial"].tolist() == list(range(5))
    assert set(table["status"]) <= {"finished", "pruned"}
    ended = json.loads((tmp_path / "out" / "search" / "oracle.json").read_text())["end_order"]
    assert sorted(map(int, ended)) == list(range(5))
    assert "5 trials, the best first" in printed
    assert (tmp_path / "sun.best.yaml").is_file()


@pytest.mark.slow
def test_workers_of_one_machine_stop_with_ctrl_c_and_go_on(tmp_path):
    (tmp_path / "sun.yaml").write_text(CONFIG)
    process = start(tmp_path, "--output", "out", "--workers", 2)
    wait_for(lambda: list((tmp_path / "out").glob("search/trial_*/record.json")))
    process.send_signal(signal.SIGINT)
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 130
    assert "Give the same command again to go on" in printed
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("search/trial_*/record.json")}
    assert 0 < len(done) < 6
    process = start(tmp_path, "--output", "out", "--workers", 2)
    printed = process.communicate(timeout=240)[0]
    assert process.returncode == 0, printed
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert pd.read_csv(tmp_path / "out" / "results.csv")["trial"].tolist() == list(range(6))
    assert "6 trials, the best first" in printed


def test_workers_that_all_fail_end_the_search_with_what_they_said(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ValueError, match=r"(?s)All workers have ended.*worker2\.log: nothing was said"):
        tune(tmp_path / "run", workers=2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--chief", "--worker", "anna"], "Give one of --chief, --worker NAME and --workers N"),
        (["--worker", "anna", "--workers", "2"], "a process is one of them"),
        (["--worker", "anna"], "meet at --address HOST:PORT"),
        (["--chief"], "or at .KERASTUNER_ORACLE_IP"),
    ],
)
def test_roles_need_an_address_and_are_one(monkeypatch, words, message):
    for variable in ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP"):
        monkeypatch.delenv(variable, raising=False)
    result = CliRunner().invoke(app, ["tune", "sun.yaml", *words])
    assert isinstance(result.exception, ValueError)
    assert re.search(message, str(result.exception))


def test_the_environment_can_say_what_a_process_is(monkeypatch):
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "anna")
    monkeypatch.delenv("KERASTUNER_ORACLE_IP", raising=False)
    result = CliRunner().invoke(app, ["tune", "sun.yaml"])
    assert "meet at --address HOST:PORT" in str(result.exception)
