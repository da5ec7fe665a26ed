import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from tfts import load_dataset

CONFIG = """
data: {source: file, path: "%s", time: date, targets: [sunspots]}
window: {context_length: 22, horizon: 7}
baselines: {drift: {}}
models: {linear: {}}
training: {epochs: 3, batch_size: 32}
"""


def tfts(*words, cwd):
    command = [sys.executable, "-c", "from tfts.cli import main; main()", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "COLUMNS": "200"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli")
    load_dataset("sunspots").rename_axis("date").to_csv(path / "sun.csv")
    (path / "sun.yaml").write_text(CONFIG % "sun.csv")
    return path


def test_run_then_forecast(folder):
    ran = tfts("run", "sun.yaml", cwd=folder)
    assert ran.returncode == 0, ran.stderr
    assert "drift" in ran.stdout
    assert "skill" in ran.stdout
    assert "Results: runs/sun" in ran.stdout
    words = ("forecast", "runs/sun", "--model", "linear", "--data", "sun.csv", "--out", "future.csv")
    made = tfts(*words, cwd=folder)
    assert made.returncode == 0, made.stderr
    future = pd.read_csv(folder / "future.csv")
    assert future["time"].iloc[0].startswith("2009")
    assert len(future) == 7
    wrong = tfts(*[w if w != "linear" else "linaer" for w in words], cwd=folder)
    assert wrong.returncode == 2
    assert "Did you mean 'linear'?" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_report_needs_the_folder_of_a_run_and_not_its_data(folder):
    settings = (CONFIG % "gone.csv").replace("models: {linear: {}}", "models: {}")
    (folder / "gone.yaml").write_text(settings)
    (folder / "gone.csv").write_text((folder / "sun.csv").read_text())
    ran = tfts("run", "gone.yaml", cwd=folder)
    assert ran.returncode == 0, ran.stderr
    assert "Report: runs/gone/report.html" in ran.stdout
    written = (folder / "runs" / "gone" / "report.html").read_text()
    (folder / "runs" / "gone" / "report.html").unlink()
    (folder / "gone.csv").unlink()
    again = tfts("report", "runs/gone", cwd=folder)
    assert again.returncode == 0, again.stderr
    assert (folder / "runs" / "gone" / "report.html").read_text() == written
    wrong = tfts("report", "runs", cwd=folder)
    assert wrong.returncode == 2
    assert "runs holds no run: run.json is not there" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_mistakes_are_listed_without_a_traceback(folder):
    (folder / "bad.yaml").write_text(
        (CONFIG % "sun.csv").replace("horizon", "horizn").replace("drift", "drft")
    )
    ran = tfts("run", "bad.yaml", "--set", "training.epoch=3", cwd=folder)
    assert ran.returncode == 2
    for piece in ("'window.horizon'?", "'drift'?", "--set: Unknown key 'training.epoch'"):
        assert piece in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_killed_run_goes_on(folder):
    command = [
        sys.executable,
        "-c",
        "from tfts.cli import main; main()",
        "run",
        "sun.yaml",
        "--output",
        "killed",
    ]
    command += ["--set", "training.epochs=100000", "--set", "training.patience=null"]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    state = folder / "killed" / "training" / "linear" / "training.npz"
    deadline = time.monotonic() + 120
    while not state.is_file() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert state.is_file()
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    # It goes on: what was fitted is kept, and Ctrl-C ends it with a word.
    for line in process.stdout:
        if "drift: already fitted" in line:
            break
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert state.is_file()


DETECTION = """
data: {source: file, path: sun.csv, time: date, targets: [sunspots]}
learn: 0.7
detector: {model: linear_regression, context_length: 22, threshold: mad, k: 4}
"""


def test_detect_then_a_file_then_a_live_feed(folder):
    (folder / "alarms.yaml").write_text(DETECTION)
    ran = tfts("detect", "alarms.yaml", cwd=folder)
    assert ran.returncode == 0, ran.stderr
    assert "Results: runs/alarms" in ran.stdout
    judged = tfts("detect", "runs/alarms", "--data", "sun.csv", "--out", "events.csv", cwd=folder)
    assert judged.returncode == 0, judged.stderr
    assert len(pd.read_csv(folder / "events.csv")) > 0
    command = [sys.executable, "-c", "from tfts.cli import main; main()", "monitor", "runs/alarms"]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    lines = "date,sunspots\n1924-01-01,30\n1925-01-01,5000\n"
    live = subprocess.run(command, cwd=folder, env=environment, input=lines, capture_output=True, text=True)
    assert live.returncode == 0, live.stderr
    assert '"severity": "high"' in live.stdout
    assert (folder / "runs" / "alarms" / "monitor.json").is_file()
    wrong = tfts("detect", "runs/alarms", cwd=folder)
    assert wrong.returncode == 2
    assert "together with --data FILE" in wrong.stderr
    wrong = tfts("detect", "alarms.yaml", "--set", "detector.treshold=std", cwd=folder)
    assert "Did you mean 'detector.threshold'?" in wrong.stderr
