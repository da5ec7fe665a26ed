import io
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from tfts.config import RegressSettings, parse_settings, read_settings
from tfts.experiment import regression
from tfts.regression import LinearRegression

ROOT = Path(__file__).parents[2]
CARS = """
task: linear
data: {source: file, path: cars.csv, targets: [mpg], features: [weight, power]}
split: {test: 0.2}
options: {standard_errors: true}
"""
FLOWERS = """
task: softmax
data: {source: sklearn, name: iris, features: [petal length (cm), petal width (cm)]}
options: {l2: 1e-2}
"""


@pytest.fixture
def cars(tmp_path, monkeypatch):
    """53 cars in cars.csv, three without power, in the folder of the test."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"weight": rng.uniform(2, 5, 53), "power": rng.uniform(50, 200, 53)})
    frame["mpg"] = 50 - 6 * frame["weight"] - 0.05 * frame["power"] + 0.1 * rng.normal(size=53)
    frame["name"] = "car"
    frame.loc[[3, 11, 30], "power"] = np.nan
    frame.to_csv("cars.csv", index=False)
    return frame


def run(text, *changes, output="run", **options):
    console = Console(width=120, record=True, file=io.StringIO())
    settings = parse_settings(text, changes, kind=RegressSettings)
    return regression.run(settings, output, console=console, **options), console.export_text()


def test_missing_values_are_refused_with_the_ways_to_go_on(cars):
    with pytest.raises(
        ValueError, match=r"'power' has 3 missing values in 53 rows.*--set data\.missing=drop"
    ):
        run(CARS)
    assert not Path("run").exists()


def test_files_of_a_linear_run(cars):
    table, printed = run(CARS, "data.missing=drop")
    assert sorted(str(p.relative_to("run")) for p in Path("run").rglob("*") if p.is_file()) == [
        "history.png",
        "model_metrics.csv",
        "models/linear/coefficients.csv",
        "models/linear/history.csv",
        "models/linear/model.json",
        "models/linear/model.keras",
        "predicted.png",
        "predictions.csv",
        "report.html",
        "run.json",
    ]
    assert list(table.columns) == ["model", "target", "part", "rows", "rmse", "mae", "r2"]
    assert table["rows"].tolist() == [40, 10, 40, 10]
    assert table.loc[1, "r2"] > 0.99
    assert "Results: run" in printed
    described = json.loads(Path("run", "run.json").read_text())
    assert described["data"] == {"rows": 50, "targets": ["mpg"], "features": ["weight", "power"]}
    assert {"settings", "split", "versions", "started", "finished", "epochs"} <= described.keys()


def test_scores_and_saved_model_follow_from_the_predictions(cars):
    table, _ = run(CARS, "data.missing=drop")
    predictions = pd.read_csv("run/predictions.csv")
    test = predictions[predictions["part"] == "test"]
    error = test["mpg predicted"] - test["mpg"]
    assert table.loc[1, "rmse"] == pytest.approx(np.sqrt((error**2).mean()))
    model = keras.models.load_model("run/models/linear/model.keras", safe_mode=True)
    X = cars.loc[predictions["row"], ["weight", "power"]].to_numpy()
    np.testing.assert_allclose(model.predict(X, verbose=0)[:, 0], predictions["mpg predicted"], rtol=1e-4)
    coefficients = pd.read_csv("run/models/linear/coefficients.csv", index_col="feature")
    assert coefficients["coefficient"].round(1).to_dict() == {
        "weight": -6.0,
        "power": -0.1,
        "intercept": 50.0,
    }
    assert (coefficients["standard error"] > 0).all()
    # The mean of the training rows is the guess, so that its R2 on them is 0.
    assert table.loc[2, "r2"] == pytest.approx(0)


def test_means_come_from_the_training_rows_alone(cars):
    table, _ = run(CARS, "data.missing=mean")
    assert table["rows"].tolist() == [42, 11, 42, 11]
    filled = json.loads(Path("run/models/linear/model.json").read_text())["missing"]
    predictions = pd.read_csv("run/predictions.csv")
    rows = predictions.loc[predictions["part"] == "training", "row"]
    assert filled["power"] == pytest.approx(cars.loc[rows, "power"].mean())
    assert filled["power"] != pytest.approx(cars["power"].mean(), rel=1e-6)


def test_the_last_rows_can_be_the_ones_to_score(cars):
    run(CARS, "data.missing=drop", "split.shuffle=false")
    predictions = pd.read_csv("run/predictions.csv")
    assert predictions.loc[predictions["part"] == "test", "row"].tolist() == list(range(43, 53))


def test_one_feature_is_drawn_with_its_line(cars):
    run(CARS, "data.features=[weight]")
    assert Path("run/fit.png").stat().st_size > 5000


def test_a_closed_form_has_no_history_to_draw(cars):
    run(CARS, "data.missing=drop", "options.method=ols")
    assert not Path("run/history.png").exists()


def test_classes_are_scored_and_drawn(tmp_path):
    table, _ = run(
        FLOWERS, "metrics=[accuracy, balanced_accuracy, precision, f1, log_loss, roc_auc]", output=tmp_path
    )
    assert table["model"].tolist() == ["softmax", "softmax", "guess", "guess"]
    assert (table.loc[:1, "accuracy"] > 0.9).all()
    assert table.loc[2, "log_loss"] == pytest.approx(np.log(3), rel=1e-3)
    assert table.loc[2, ["roc_auc", "balanced_accuracy"]].tolist() == pytest.approx([0.5, 1 / 3])
    assert {"confusion.png", "boundary.png", "history.png"} <= {p.name for p in tmp_path.iterdir()}
    predictions = pd.read_csv(tmp_path / "predictions.csv")
    chances = predictions[[c for c in predictions if c.startswith("probability of")]]
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert json.loads((tmp_path / "models/softmax/model.json").read_text())["classes"] == [
        "setosa",
        "versicolor",
        "virginica",
    ]


def test_many_targets_and_two_classes(tmp_path):
    table, _ = run("task: linear\ndata: {source: sklearn, name: linnerud}", output=tmp_path / "a")
    assert table["target"].tolist() == ["Weight", "Waist", "Pulse"] * 4
    table, _ = run("task: logistic\ndata: {source: sklearn, name: breast_cancer}", output=tmp_path / "b")
    assert table.loc[1, "accuracy"] > 0.94
    assert len(pd.read_csv(tmp_path / "b/models/logistic/coefficients.csv")) == 31


def test_an_unfinished_descent_is_noted(cars):
    _, printed = run(CARS, "data.missing=drop", "options.max_iter=3", "options.learning_rate=0.01")
    assert "Note LinearRegression has not converged after 3 epochs" in printed


def test_another_run_is_not_mixed_in(cars):
    run(CARS, "data.missing=drop")
    with pytest.raises(ValueError, match=r"other settings \(changed: seed\).*--overwrite"):
        run(CARS, "data.missing=drop", "seed=3")
    run(CARS, "data.missing=drop", "seed=3", overwrite=True)
    again, _ = run(CARS, "data.missing=drop", "seed=3")
    assert again["rows"].tolist() == [40, 10, 40, 10]


def test_rows_that_have_changed_are_said_and_fitted_again(cars):
    first, printed = run(CARS, "data.missing=drop")
    assert "have changed" not in printed
    path = Path("cars.csv")
    table = pd.read_csv(path)
    table.assign(mpg=2 * table["mpg"]).to_csv(path, index=False)
    again, printed = run(CARS, "data.missing=drop")
    assert "These rows have changed since the last start: training, test." in printed
    assert again.loc[1, "rmse"] == pytest.approx(2 * first.loc[1, "rmse"], rel=1e-3)


def test_a_fit_that_fails_leaves_a_run_that_says_so(cars, monkeypatch):
    run(CARS, "data.missing=drop")

    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(LinearRegression, "fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(CARS, "data.missing=drop")
    assert "finished" not in json.loads(Path("run/run.json").read_text())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["data.features=[wieght]"], "Unknown column 'wieght'.* Did you mean 'weight'"),
        (["data.features=[mpg, weight]"], "Column 'mpg' is a target and a feature"),
        (["data.features=[name]"], "Column 'name' holds text, and a weighted sum needs numbers"),
        (["data.targets=[name]"], "Column 'name' holds text"),
        (
            ["task=logistic", "options={}", "data.targets=[mpg, name]"],
            "has one target, the class. Received: mpg, name",
        ),
        (["data.targets=[weight, power, mpg]", "data.features=null"], "No column of numbers is left"),
        (
            ["task=logistic", "options={}", "data.missing=drop"],
            r"Class [\d.]+ has 1 row, which can't be learnt from",
        ),
        (["data={source: sklearn, name: irises}"], "Unknown data set of scikit-learn 'irises'.*'iris'"),
    ],
)
def test_wrong_columns(cars, changes, message):
    with pytest.raises((ValueError, KeyError), match=message):
        run(CARS, *changes)
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("share", "left"), [(0.01, "148 to learn from and 2 to score"), (0.99, "1 to learn from")]
)
def test_every_class_is_learnt_and_scored(share, left, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=left + r".* at least 3 rows, one for each class, in both\."):
        run(FLOWERS, f"split.test={share}")


@pytest.mark.parametrize("name", ["part", "row", "probability of rain"])
def test_a_target_never_takes_the_place_of_another_column(cars, name):
    cars.rename(columns={"mpg": name}).to_csv("cars.csv", index=False)
    with pytest.raises(
        ValueError, match=f"The target '{name}' has the name of a column of the table of pred"
    ):
        run(CARS, f"data.targets=['{name}']", "data.missing=drop")


def test_too_few_rows(cars):
    cars.assign(power=np.nan).to_csv("cars.csv", index=False)
    with pytest.raises(ValueError, match=r"After data\.missing: mean, column 'power' holds no value"):
        run(CARS, "data.missing=mean")
    with pytest.raises(ValueError, match=r"After data\.missing: drop, .*too little to fit"):
        run(CARS, "data.missing=drop")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("options.l3=1", "--set: Unknown option of linear 'l3'. Expected one of: batch_size"),
        ("options.warm_start=true", "--set: Unknown option of linear 'warm_start'"),
        ("metrics=[rmsee]", "--set: Unknown metric of linear 'rmsee'.* Did you mean 'rmse'"),
        ("task=ridge", "task: Input should be 'linear', 'logistic' or 'softmax'"),
        ("split.test=1", "split.test: Input should be less than 1"),
        ("data.path=null", "data: `path` is missing"),
        ("data.targets=null", "data: `targets` is missing"),
        ("data.source=sklearn", "data: `name` is missing"),
        ("data.feature=[a]", r"Unknown key 'data.feature'.* Did you mean 'data.features'"),
    ],
)
def test_wrong_settings(change, message):
    with pytest.raises(ValueError, match=message):
        parse_settings(CARS, [change], kind=RegressSettings)


def test_configs_are_valid():
    assert read_settings(ROOT / "configs" / "iris.yaml", kind=RegressSettings).task == "softmax"
    settings = read_settings(ROOT / "configs" / "mpg.yaml", ["data.path=mpg.csv"], RegressSettings)
    assert settings.data.missing == "mean"


@pytest.mark.shared_data
def test_miles_per_gallon(shared_data, tmp_path):
    change = f"data.path={shared_data / 'regress' / 'mpg.csv'}"
    settings = read_settings(ROOT / "configs" / "mpg.yaml", [change], RegressSettings)
    table = regression.run(settings, tmp_path, console=Console(file=io.StringIO()))
    assert table.loc[1, "r2"] > 0.8
    assert table.loc[1, "rmse"] < 0.5 * table.loc[3, "rmse"]


def test_command(cars):
    Path("cars.yaml").write_text(CARS)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    command = [sys.executable, "-c", "from tfts.cli import main; main()", "regress", "cars.yaml"]
    wrong = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert wrong.returncode == 2
    assert "3 missing values" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    right = subprocess.run(
        [*command, "--set", "data.missing=drop"], env=environment, capture_output=True, text=True, timeout=300
    )
    assert right.returncode == 0, right.stderr
    assert "Results: runs/cars" in right.stdout
    assert Path("runs/cars/models/linear/model.keras").is_file()
