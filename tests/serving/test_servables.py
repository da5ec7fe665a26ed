import json

import numpy as np
import pandas as pd
import pytest

from tests.serving.fitted import hourly, untrained
from tfts import AnomalyDetector, LinearRegression, LogisticRegression, SoftmaxRegression
from tfts.serving import export
from tfts.serving.capi import LoadedModel, difference
from tfts.serving.metadata import read_metadata
from tfts.serving.verification import verify_all

STORES = ("north", "south")


def store_sales(rows=120):
    """Two targets of two stores, of different sizes, with a column known ahead."""
    rng = np.random.default_rng(11)
    days = pd.date_range("2024-01-01", periods=rows)
    parts = []
    for factor, store in enumerate(STORES, 1):
        promo = (np.arange(rows) % 5 == 0).astype(float)
        sales = factor * (100 + 10 * promo + rng.normal(size=rows) * (1 + promo))
        parts.append(
            pd.DataFrame(
                {"day": days, "store": store, "sales": sales, "stock": 50 + sales / 2, "promo": promo}
            )
        )
    return pd.concat(parts, ignore_index=True)


def detector(model="linear", **options):
    settings = {"targets": ["sales", "stock"], "time": "day", "series": "store", "context_length": 5}
    made = AnomalyDetector(model, **{**settings, **options})
    training = {"epochs": 1, "batch_size": 32, "verbose": 0} if model == "linear" else {}
    return made.fit(store_sales(), **training)


DETECTORS = {
    "plain": {"score": "residual", "threshold": "std", "min_size": {"sales": 2.0}},
    "down": {
        "score": "squared",
        "direction": "down",
        "threshold": "fixed",
        # So high that no row before the judged one is flagged, and so none replaced.
        "threshold_options": {"limit": 400.0},
        "per_series": False,
    },
    "scaled": {"score": "scaled", "context": ["promo"], "threshold": "mad", "log": ["sales"]},
    "joint": {
        "score": "joint",
        "direction": "up",
        "context": ["weekday"],
        "calendar": ["weekday"],
        "threshold": "fixed",
        "threshold_options": {"limit": 2.0},
    },
    "fixed_peaks": {
        "score": "absolute",
        "threshold": "pot",
        "threshold_options": {"streaming": False, "risk": 0.01},
    },
}


@pytest.fixture(scope="module")
def detectors():
    return {name: detector(**options) for name, options in DETECTORS.items()}


@pytest.fixture(scope="module")
def folders(detectors, tmp_path_factory):
    path = tmp_path_factory.mktemp("detectors")
    return {name: export(made, path, name=name) for name, made in detectors.items()}


def test_every_kind_of_detector_gives_the_monitors_numbers_through_the_c_api(folders):
    for name, found in zip(folders, verify_all(folders.values()), strict=True):
        assert found.passed, (name, found)
        assert {row["signature"] for row in found.replays} == {"detect", "serving_default", "describe"}


@pytest.mark.parametrize("name", DETECTORS)
# A low limit on few rows flags more than it promises, and says so.
@pytest.mark.filterwarnings("ignore:.* rows of .* were flagged:UserWarning")
def test_detect_says_of_a_row_what_the_table_says(name, detectors, folders):
    made, frame = detectors[name], store_sales().query("day >= '2024-04-15'")
    # The last row, so that no flagged value before it was replaced.
    last = frame["day"] == frame["day"].max()
    frame.loc[last, "sales"] *= 1.3 if name != "down" else 0.7
    rows = made.judge(frame).rows
    expected = rows[rows["time"] == frame["day"].max()].set_index(["series", "target"])
    model, said = LoadedModel(folders[name]), read_metadata(folders[name])
    given = {"past": [], "known_future": [], "actual": [], "series": []}
    for i, store in enumerate(said["series_names"] or STORES):
        table = frame[frame["store"] == store].assign(weekday=lambda t: t["day"].dt.day_of_week).tail(6)
        given["past"].append(table[said["columns"]][:-1])
        given["known_future"].append(table[said["known_future"]])
        given["actual"].append(table[["sales", "stock"]].to_numpy()[-1])
        given["series"].append(i)
    inputs = {key: given[key] for key in model.signatures["detect"]["inputs"]}
    found = model.run("detect", {key: np.array(value, np.float32) for key, value in inputs.items()})
    for key, column in (
        ("forecast", "predicted"),
        ("residual", "residual"),
        ("score", "score"),
        ("flag", "flag"),
    ):
        order = pd.MultiIndex.from_product([STORES, ["sales", "stock"]])
        table = expected[column].loc[order].to_numpy().reshape(2, 2)
        assert difference(found[key], table.astype(bool if key == "flag" else float)) < 1e-4
    assert found["flag"].any()


def test_a_value_that_can_not_be_judged_is_not_flagged_and_spoils_no_other(folders):
    model = LoadedModel(folders["joint"])
    request = json.loads((folders["joint"] / "sample_requests" / "detect_request.json").read_text())
    inputs = {key: np.array(value, np.float32) for key, value in request["inputs"].items()}
    before = model.run("detect", inputs)
    inputs["actual"][0, 0] = np.inf
    inputs["past"][1, 2, 0] = np.nan
    after = model.run("detect", inputs)
    assert np.isnan(after["score"][:3, 0]).tolist() == [True, True, False]
    assert not after["flag"][0, 0]
    assert not after["flag"][1].any()
    assert np.isnan(after["forecast"][:3, 0]).tolist() == [False, True, False]
    np.testing.assert_array_equal(after["score"][2:], before["score"][2:])


def test_metadata_of_a_detector_holds_score_and_limits(detectors, folders):
    said, plan = read_metadata(folders["plain"]), detectors["plain"].plan_
    assert said["kind"] == "detector"
    assert said["series_names"] == list(STORES)
    limits = [[name, [t.limit_ for t in plan.thresholds(name)]] for name in STORES]
    assert said["detector"]["thresholds"] == limits
    assert said["detector"]["score"]["kind"] == "residual"
    assert said["detector"]["min_size"] == [2.0, 0.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"threshold": "rolling_conformal", "threshold_options": {"rate": 0.2}},
            r"threshold='rolling_conformal' moves.*: fixed, mad, quantile, std",
        ),
        ({"threshold": "pot"}, r"threshold='pot' moves with every row"),
        ({"threshold": "dynamic"}, r"threshold='dynamic' moves with every row"),
        ({"smooth": 3}, r"`smooth` averages over the rows before"),
        ({"same_row": {"stock": ["sales"]}}, r"`same_row` needs a second forecast"),
        ({"irregular": "step_length"}, r"irregular='step_length' counts from the row before"),
        (
            {"score": "scaled", "context": ["weekday"]},
            r"needs the time of the row, which is no input.*as `calendar`",
        ),
        (
            {"score": "scaled", "context": ["promo"], "known_future": []},
            r"needs \['promo'\] in the judged row",
        ),
    ],
)
def test_a_detector_that_judges_by_earlier_rows_is_refused(options, message, tmp_path):
    with pytest.raises(ValueError, match=r"The detector can't be exported: .*" + message):
        # Refused for this before it is for having no network.
        export(detector("linear_regression", **options), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_detector_without_a_keras_model_is_refused(tmp_path):
    usual = store_sales()
    options = {"targets": ["sales"], "time": "day", "series": "store", "context_length": 5}
    with pytest.raises(ValueError, match=r"The baseline 'drift' is no Keras model"):
        export(AnomalyDetector("drift", **options).fit(usual), tmp_path)
    with pytest.raises(ValueError, match=r"The AnomalyDetector has not learnt anything yet"):
        export(AnomalyDetector("linear"), tmp_path)


def table(rows=101):
    rng = np.random.default_rng(2)
    # Years: in single precision their digits would be lost beside their level.
    X = pd.DataFrame(
        {
            "year": 2000 + rng.normal(size=rows),
            "heat": rng.normal(size=rows),
            "wind": 5 * rng.normal(size=rows),
        }
    )
    return X, X["year"] + 3 * X["heat"] - X["wind"]


def test_regressions_give_what_predict_gives(tmp_path):
    X, y = table()
    high, three = y > y.mean(), pd.cut(y, 3, labels=["low", "mid", "high"]).astype(str)
    fitted = {
        "linear": LinearRegression().fit(X, y),
        "pair": LinearRegression().fit(X, np.stack([y, -2 * y], axis=1)),
        "logistic": LogisticRegression().fit(X, high),
        "softmax": SoftmaxRegression().fit(X, three),
    }
    folders = {
        name: export(model, tmp_path, name=name, units={"year": "a"}) for name, model in fitted.items()
    }
    assert all(found.passed for found in verify_all(folders.values()))
    features = np.array(X, np.float32)
    X = X.astype(np.float32)
    expected = {
        "linear": fitted["linear"].predict(X)[:, None],
        "pair": fitted["pair"].predict(X),
        "logistic": fitted["logistic"].predict_proba(X)[:, 1:],
        "softmax": fitted["softmax"].predict_proba(X),
    }
    for name, folder in folders.items():
        (found,) = LoadedModel(folder).run("serving_default", {"features": features}).values()
        assert difference(found, expected[name]) < 1e-5
        assert read_metadata(folder)["columns"] == ["year", "heat", "wind"]
    assert read_metadata(folders["softmax"])["classes"] == ["high", "low", "mid"]
    assert read_metadata(folders["pair"])["targets"] == ["y0", "y1"]
    features[3, 1] = np.nan
    found = LoadedModel(folders["linear"]).run("serving_default", {"features": features})["value"]
    assert np.flatnonzero(np.isnan(found[:, 0])).tolist() == [3]


RUN = """
data: {{source: file, path: {path}, time: time, targets: [load]}}
window: {{context_length: 5, horizon: 2}}
baselines: {{drift: {{}}}}
models: {{linear: {{}}}}
training: {{epochs: 1}}
"""


def test_a_model_of_a_run_is_exported_with_its_scores(tmp_path):
    from tfts.config import parse_settings
    from tfts.experiment.forecasting import run

    hourly().reset_index().to_csv(tmp_path / "table.csv", index=False)
    scores = run(parse_settings(RUN.format(path=tmp_path / "table.csv")), tmp_path / "run")
    folder = export(tmp_path / "run", tmp_path / "served", model="linear")
    (told,) = read_metadata(folder)["metrics"]
    assert told["rmse"] == pytest.approx(scores.set_index("model").loc["linear", "rmse"])
    assert "| linear | load |" in (folder / "MODEL_CARD.md").read_text()
    with pytest.raises(
        ValueError, match=r"Unknown model of the run 'linaer'. Expected one of: drift, linear, persist"
    ):
        export(tmp_path / "run", tmp_path / "served", model="linaer")
    with pytest.raises(ValueError, match=r"The baseline 'drift' is no Keras model"):
        export(tmp_path / "run", tmp_path / "served", model="drift")


def test_a_run_of_a_regression_is_exported(tmp_path):
    from tfts.config import RegressSettings, parse_settings
    from tfts.experiment.regression import run

    X, y = table()
    X.assign(target=y).to_csv(tmp_path / "table.csv", index=False)
    text = f"task: linear\ndata: {{source: file, path: {tmp_path / 'table.csv'}, targets: [target]}}"
    run(parse_settings(text, kind=RegressSettings), tmp_path / "run")
    folder = export(tmp_path / "run", tmp_path / "served")
    said = read_metadata(folder)
    assert (said["kind"], said["columns"], said["targets"]) == (
        "regression",
        ["year", "heat", "wind"],
        ["target"],
    )
    assert {row["part"] for row in said["metrics"]} >= {"test"}
    with pytest.raises(ValueError, match=r"A run of `tfts regress` holds one model"):
        export(tmp_path / "run", tmp_path / "served", model="linear")


def test_a_saved_detector_and_its_run_are_found(detectors, tmp_path):
    detectors["plain"].save(tmp_path / "run" / "detector")
    (tmp_path / "run" / "run.json").write_text("{}")
    assert read_metadata(export(tmp_path / "run" / "detector", tmp_path))["kind"] == "detector"
    assert export(tmp_path / "run", tmp_path).as_posix().endswith("/linear/2")


def test_untrained_forecasters_of_the_tests_are_not_flat():
    found = untrained("linear").predict(hourly())
    assert found["load"].nunique() == 3
