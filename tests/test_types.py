"""What a type checker tells a user of the package."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tfts

RIGHT = """
import numpy as np
import tfts

frame = tfts.load_dataset("co2")
panel = tfts.Panel.from_frame(frame)
parts = tfts.chronological_split(panel, validation=0.15, test="2001-01-01")
scaler = tfts.Scaler("standard", per_series=True).fit(parts.train)
layer = tfts.layers.SelfAttention(units=4)
error: float = tfts.metrics.rmse([1.0, 2.0], np.array([1.0, 4.0]))
table = tfts.metrics.ErrorSums(horizon=2, targets=["load"]).score(["mae"], by="step")
axes = tfts.plots.plot_metrics(table, "rmse", units="MW")
axes.set_title("Load")
shares = tfts.attention.summarize(np.ones((3, 2, 5, 1)), top_k=1, freq="h")
shares.top.head()
model = tfts.LinearRegression(learning_rate="adaptive", scaling=None).fit([[1.0], [2.0]], [3.0, 5.0])
model.predict([[3.0]]).sum()
client = tfts.serving.Client("grpc://localhost:8500", "load", version=3)
client.predict(frame, origins="all")
options = {"units": 8}
forecaster = tfts.Forecaster("lstm_attention", context_length=24, horizon=3, targets="co2", model_options=options)
forecaster.fit(frame, validation=0.2, epochs=2, verbose=0).predict(frame, origins="all").head()
forecaster.fit(parts.train, validation=parts.validation).evaluate(panel, ["rmse"], by="step")
same: tfts.Forecaster = tfts.Forecaster.load("folder").clone()
spec = tfts.WindowSpec(context_length=24, horizon=3, targets=("co2",))
rows: np.ndarray = spec.origins(scaler.transform(parts.train))
task = tfts.Task(context_length=24, horizon=3, past=("heat",))
tested = tfts.backtest(forecaster, frame, origins=3, refit=True, epochs=2)
tfts.compare_backtests({"lstm": tested, "naive": tested})
found = tfts.search("linear", panel, context_length=24, horizon=3, tuner="random", max_trials=2)
found.best_forecaster().predict(frame)
sales = tfts.make_sales(num_stores=2, clean_days=None)
labels: np.ndarray = sales.labels
"""
# Each line of a user's file, and what is said about it.
WRONG = [
    ("tfts.Forecastr", 'Module has no attribute "Forecastr"; maybe "Forecaster"?'),
    ("tfts.layers.SelfAttenton", 'Module has no attribute "SelfAttenton"; maybe "SelfAttention"?'),
    ("tfts.data.Pannel", 'Module has no attribute "Pannel"; maybe "Panel"?'),
    ("tfts.Forecaster(3, context_length=4, horizon=1)", '1 to "Forecaster" has incompatible type "int"'),
    ("tfts.Forecaster('linear', horizon=1)", 'Missing named argument "context_length" for "Forecaster"'),
    ("tfts.Forecaster('linear', context_length='week', horizon=1)", '"context_length" to "Forecaster" has'),
    ("tfts.Forecaster('linear', context_length=4, horizon=1, taget='y')", '"taget" for "Forecaster"'),
    (
        "tfts.Forecaster.load('folder').predict(None, origins='first')",
        '"origins" to "predict" of "Forecaster"',
    ),
    ("tfts.Panel.from_frame(None, missing='fill')", '"missing" to "from_frame" of "Panel" has incompatible'),
    ("tfts.WindowSpec(context_length='4', horizon=1)", '"context_length" to "WindowSpec" has incompatible'),
    ("tfts.Scaler(per_series='yes')", '"per_series" to "Scaler" has incompatible type "str"'),
    ("tfts.backtest('linear', None)", '1 to "backtest" has incompatible type "str"; expected "Forecaster"'),
    ("tfts.search('linear', None, tuner='best')", '"tuner" to "search" has incompatible type'),
    ("tfts.Task(context_length=4, horizon='1')", '"horizon" to "Task" has incompatible type "str"'),
    ("tfts.layers.SelfAttention(units='4')", '"units" to "SelfAttention" has incompatible type "str"'),
    ("tfts.metrics.rmse([1.0])", 'Missing positional argument "forecast" in call to "rmse"'),
    ("tfts.metrics.rmse([1.0], {'a': 1.0})", '2 to "rmse" has incompatible type "dict[str, float]"'),
    (
        "tfts.metrics.ErrorSums(2, ['load']).score(by='hour')",
        '"by" to "score" of "ErrorSums" has incompatible',
    ),
    ("tfts.plots.plot_metrics(None, units=3)", '"units" to "plot_metrics" has incompatible type "int"'),
    ("tfts.attention.summarize([], query='steps')", '"query" to "summarize" has incompatible type'),
    ("tfts.LinearRegression(scaling='minmax')", '"scaling" to "LinearRegression" has incompatible type'),
    (
        "tfts.chronological_split([1.0, 2.0])",
        '1 to "chronological_split" has incompatible type "list[float]"',
    ),
    ("tfts.serving.Client('http://localhost', 'load', 3)", 'Too many positional arguments for "Client"'),
    ("tfts.make_series(num_steps='many')", '"num_steps" to "make_series" has incompatible type "str"'),
]


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What mypy says of the right file and of the wrong lines, in one run: line numbers by file."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "right.py").write_text(RIGHT, encoding="utf-8")
    (folder / "wrong.py").write_text(
        "\n".join(["import tfts", *(line for line, _ in WRONG), ""]), encoding="utf-8"
    )
    # As in a user's project: what the package does inside is none of the checker's business.
    (folder / "mypy.ini").write_text("[mypy]\nfollow_imports = silent\nignore_missing_imports = True\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "right.py", "wrong.py"],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(Path(tfts.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    found = {}
    for line in done.stdout.splitlines():
        if ": error: " in line:
            place, sentence = line.split(": error: ", 1)
            found.setdefault(tuple(place.split(":")), []).append(sentence)
    return found


def test_a_file_that_uses_the_package_rightly_passes(said):
    assert {place: words for place, words in said.items() if place[0] == "right.py"} == {}


@pytest.mark.parametrize(
    ("number", "line", "complaint"), [(2 + at, *wrong) for at, wrong in enumerate(WRONG)]
)
def test_a_mistyped_line_is_refused(said, number, line, complaint):
    (sentence,) = said["wrong.py", str(number)]
    assert complaint in sentence


def test_nothing_else_is_refused(said):
    assert len(said) == len(WRONG)
