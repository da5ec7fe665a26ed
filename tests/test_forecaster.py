import functools
import json

import keras
import numpy as np
import pandas as pd
import pytest

from tests.tables import table
from tfts.baselines import BASELINES
from tfts.data.split import chronological_split
from tfts.forecaster import Forecaster
from tfts.models import MODELS, linear
from tfts.task import Task

pytestmark = pytest.mark.usefixtures("eager")
CONTEXT, HORIZON = 11, 3
# One step: without graphs, each takes its time.
QUICK = {"epochs": 1, "batch_size": 256, "verbose": 0}
TINY = {
    "attention_seq2seq": {"units": 4, "num_heads": 2, "feedforward_units": 4},
    "inverted_transformer": {"units": 4, "num_heads": 2, "feedforward_units": 4, "num_layers": 1},
    "lstm_attention": {"units": 4},
    "lstm_regressor": {"units": 4},
    "lstm_seq2seq": {"units": 4},
    "nhits": {"units": 4, "num_layers": 1, "pool_sizes": (2,), "steps_per_knot": (2,)},
    "patch_transformer": {"units": 4, "num_heads": 2, "feedforward_units": 4, "num_layers": 1},
    "tcn": {"units": 4, "num_layers": 1},
    "tsmixer": {"feedforward_units": 4, "num_layers": 1},
    "segment_rnn": {"units": 4, "segment_length": 4},
}


def forecaster(model, **options):
    settings = {"context_length": CONTEXT, "horizon": HORIZON, "targets": ["load"]}
    return Forecaster(model, **{**settings, "model_options": TINY.get(model), **options})


def training(model):
    return {} if model in BASELINES else QUICK


@pytest.mark.parametrize("model", [*BASELINES, *MODELS])
def test_saved_and_loaded_forecasts_are_identical(model, tmp_path):
    frame = table()
    fitted = forecaster(model).fit(frame, **training(model))
    fitted.save(tmp_path / "model")
    loaded = Forecaster.load(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.predict(frame), fitted.predict(frame), check_exact=True)
    pd.testing.assert_frame_equal(loaded.evaluate(frame), fitted.evaluate(frame), check_exact=True)
    assert loaded.num_parameters == fitted.num_parameters
    assert not list(tmp_path.glob("*.partial"))
    assert not list(tmp_path.glob("*.old"))


def test_the_task_is_saved_with_the_model(tmp_path):
    fitted = forecaster("drift", calendar=["hour"]).fit(table())
    fitted.save(tmp_path / "model")
    task = Task(CONTEXT, HORIZON, targets=["load"], past=["price"], known_future=["hour"])
    assert fitted.task == task == Forecaster.load(tmp_path / "model").task
    described = json.loads((tmp_path / "model" / "forecaster.json").read_text())
    assert Task.from_config(described["task"]) == task


def test_a_folder_of_another_form_is_refused_with_the_version_that_wrote_it(tmp_path):
    forecaster("drift").fit(table()).save(tmp_path / "model")
    path = tmp_path / "model" / "forecaster.json"
    described = json.loads(path.read_text())
    # What 0.1.0 wrote before there were forms.
    path.write_text(json.dumps({key: value for key, value in described.items() if key != "format"}))
    with pytest.raises(ValueError, match=r"written by tfts 0\.1\.0 in a form \(format none\) .* can't read"):
        Forecaster.load(tmp_path / "model")


def test_a_series_column_gives_one_forecast_for_each_series():
    parts = [table(rows).assign(shop=name) for name, rows in (("b", 113), ("a", 101))]
    frame = pd.concat(parts).rename_axis("when").reset_index()
    fitted = forecaster("seasonal_naive", time="when", series="shop", per_series=True).fit(frame)
    forecasts = fitted.predict(frame)
    assert forecasts.groupby("series")["origin"].first().tolist() == [
        pd.Timestamp("2024-01-05 04:00"),
        pd.Timestamp("2024-01-05 16:00"),
    ]
    seen = frame[frame["shop"] == "a"]["load"].to_numpy()
    np.testing.assert_allclose(forecasts.loc[forecasts["series"] == "a", "load"], seen[-24:-21], rtol=1e-5)


def test_a_series_that_training_has_not_seen_is_scaled_by_its_own_context():
    small, large = table(61), 50 * table(61)
    known, new = (frame.assign(shop=name).rename_axis("when") for frame, name in ((large, "a"), (small, "b")))
    options = {"time": "when", "series": "shop", "per_series": True}
    fitted = forecaster("linear", **options).fit(known.reset_index(), **QUICK)
    with pytest.warns(UserWarning, match=r"1 series were not among the training rows \(first: 'b'\)"):
        forecasts = fitted.predict(new.reset_index())
    # Not the scale of the other shop, which is fifty times as large.
    assert (np.abs(forecasts["load"] - small["load"].iloc[-1]) < 60).all()
    # What comes after the first context changes no scale: none of it was known at the first origin.
    longer = new.copy()
    longer.iloc[CONTEXT:, 0] *= 3
    with pytest.warns(UserWarning, match="were not among the training rows"):
        first = [fitted.predict(f.reset_index(), origins="all")["load"].iloc[0] for f in (new, longer)]
    assert first[0] == first[1]


def test_all_origins_run_to_the_end_of_the_table():
    frame = table(53)
    forecasts = forecaster("persistence").fit(frame).predict(frame, origins="all")
    assert len(forecasts) == (53 - CONTEXT + 1) * HORIZON
    last = forecasts.groupby("origin")["load"].first()
    np.testing.assert_allclose(last, frame["load"].iloc[CONTEXT - 1 :], rtol=1e-6)


def test_evaluate_scores_in_original_units():
    frame = table(53)
    fitted = forecaster("persistence").fit(frame)
    scores = fitted.evaluate(frame)
    values = frame["load"].to_numpy()
    errors = [values[i] - values[i + h] for i in range(10, 50) for h in (1, 2, 3)]
    assert scores["count"].tolist() == [120]
    np.testing.assert_allclose(scores["rmse"], np.sqrt(np.mean(np.square(errors))), rtol=1e-5)
    assert scores["model"].tolist() == ["persistence"]
    assert np.isfinite(scores["mase"]).all()
    by_step = fitted.evaluate(frame, ["mae"], by="step")
    assert by_step["step"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(by_step["mae"][1], np.abs(errors[1::3]).mean(), rtol=1e-5)


def test_rows_that_were_filled_are_not_scored():
    frame = table(53)
    frame.iloc[30, 0] = np.nan
    fitted = forecaster("persistence", missing="interpolate").fit(frame)
    # One origin is the filled row itself; the three windows before it hold it as a target.
    assert fitted.evaluate(frame)["count"].tolist() == [39 * 3 - 3]


@functools.cache
def usual_forecast():
    return forecaster("linear").fit(table(), **QUICK).predict(table())["load"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("calendar", ["24h"]),
        ("known_future", ["price"]),
        ("scaler", "minmax"),
        ("stride", 2),
        ("model_options", {"window_norm": "none"}),
    ],
)
def test_every_data_option_acts(name, value):
    frame = table()
    ahead = pd.DataFrame({"price": 100.0}, index=pd.date_range(frame.index[-1], periods=4, freq="h")[1:])
    longer = pd.concat([frame, ahead]) if name == "known_future" else frame
    changed = forecaster("linear", **{name: value}).fit(frame, **QUICK).predict(longer)["load"]
    assert np.abs(usual_forecast() - changed).max() > 1e-5


def test_known_columns_must_reach_past_the_origin():
    fitted = forecaster("linear", known_future=["price"]).fit(table(), **QUICK)
    with pytest.raises(
        ValueError, match=r"0 rows after its last observed one .* append rows with these columns"
    ):
        fitted.predict(table())


def test_a_compiled_keras_model_brings_its_own_optimizer_and_loss():
    model = linear(Task(CONTEXT, HORIZON, past=1))
    model.compile(keras.optimizers.Adam(0.05), "mae")
    assert float(forecaster(model).fit(table(), **QUICK).model.optimizer.learning_rate) == pytest.approx(0.05)
    with pytest.raises(ValueError, match="A compiled Keras model does not use `learning_rate`"):
        forecaster(model).fit(table(), learning_rate=0.1, **QUICK)


def test_a_model_of_the_users_survives_saving(tmp_path):
    def two_means(task):
        past = keras.Input((task.context_length, task.num_features), name="past")
        pooled = keras.layers.GlobalAveragePooling1D()(past)
        steps = keras.layers.Dense(task.horizon * task.num_targets)(pooled)
        shape = task.horizon, task.num_targets
        return keras.Model(past, keras.layers.Reshape(shape)(steps), name="two_means")

    frame = table()
    fitted = forecaster(two_means).fit(frame, **QUICK)
    fitted.save(tmp_path / "own")
    loaded = Forecaster.load(tmp_path / "own")
    assert loaded.name == "two_means"
    pd.testing.assert_frame_equal(loaded.predict(frame), fitted.predict(frame), check_exact=True)


def test_attention_of_given_origins():
    frame = table()
    fitted = forecaster("attention_seq2seq").fit(frame, **QUICK)
    panel = fitted.panel(frame)
    scores = fitted.attention(panel, fitted.spec.origins(panel)[:5])
    assert scores.shape == (5, 2, HORIZON, CONTEXT)
    np.testing.assert_allclose(scores.sum(-1), 1, rtol=1e-5)
    assert fitted.has_attention
    naive = forecaster("persistence").fit(frame)
    assert not naive.has_attention
    with pytest.raises(ValueError, match="The baseline 'persistence' has no attention"):
        naive.attention(panel, [20])


def test_a_saved_folder_is_replaced_whole(tmp_path):
    frame = table()
    forecaster("linear").fit(frame, **QUICK).save(tmp_path / "model")
    forecaster("drift").fit(frame).save(tmp_path / "model")
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["baseline.npz", "forecaster.json"]
    assert json.loads((tmp_path / "model" / "forecaster.json").read_text())["name"] == "drift"


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (
            lambda f: forecaster("lstm_atention"),
            ValueError,
            r"Unknown model 'lstm_atention'.*'lstm_attention'\?",
        ),
        (lambda f: forecaster(3), ValueError, "`model` must be a name of MODELS or BASELINES"),
        (lambda f: forecaster("linear", scaler="standart"), ValueError, r"Unknown scaler.*'standard'\?"),
        (
            lambda f: forecaster("linear").predict(f),
            ValueError,
            "has not learnt anything yet. Call fit first",
        ),
        (lambda f: forecaster("drift").fit(f, epochs=3), ValueError, "'drift' does not use `epochs`"),
        (
            lambda f: forecaster("linear", model_options={"unit": 3}).fit(f, **QUICK),
            ValueError,
            "Unknown option of model 'linear'",
        ),
        (lambda f: forecaster("linear").fit(f, schedule="step"), ValueError, "Unknown schedule 'step'"),
        (lambda f: forecaster("linear").fit(f, optimizer="sgd"), ValueError, "Unknown optimizer 'sgd'"),
        (
            lambda f: forecaster("linear").fit(f, optimizer="adam", weight_decay=0.1),
            ValueError,
            "`weight_decay` belongs to optimizer='adamw'",
        ),
        (
            lambda f: forecaster("linear").fit(f, steps_per_execution=0),
            ValueError,
            "`steps_per_execution` must be 'auto' or an int >= 1. Received: steps_per_execution=0",
        ),
        (
            lambda f: forecaster(linear(Task(CONTEXT, HORIZON, past=1))).fit(f),
            ValueError,
            "'linear' is not compiled",
        ),
        (lambda f: forecaster("drift").fit(f).predict(f[["load"]]), KeyError, "was fitted with 'price'"),
        (lambda f: forecaster("drift").fit(f).predict(f.iloc[:5]), ValueError, "5 rows"),
        (
            lambda f: forecaster("drift").fit(f).predict(f, origins="first"),
            ValueError,
            "Unknown origins 'first'",
        ),
        (
            lambda f: forecaster("drift").fit(f).predict(f.resample("2h").mean()),
            ValueError,
            "the fitted rows were at freq='h', but the rows of the table are 0 days 02:00:00 apart",
        ),
        (lambda f: Forecaster.load("nowhere"), FileNotFoundError, "nowhere holds no forecaster"),
    ],
)
def test_errors_say_what_to_do(act, error, message):
    with pytest.raises(error, match=message):
        act(table())


def test_a_model_with_a_teacher_is_trained_with_it_and_predicts_without():
    frame = table()
    plain, taught = (
        forecaster("lstm_seq2seq", model_options={"units": 4, "teacher_forcing": share}).fit(frame, **QUICK)
        for share in (0.0, 1.0)
    )
    assert "teacher" in [tensor.name for tensor in taught.model.inputs]
    forecasts = [fitted.predict(frame)["load"] for fitted in (plain, taught)]
    assert np.abs(forecasts[0] - forecasts[1]).max() > 1e-5
    assert np.isfinite(taught.evaluate(frame)["rmse"]).all()


def test_metrics_are_logged_in_the_units_of_evaluate():
    forecaster = Forecaster("linear", context_length=5, horizon=2)
    frame = pd.DataFrame(
        {"y": 100 + 7 * np.sin(np.arange(61.0))}, index=pd.date_range("2024-01-01", periods=61)
    )
    split = chronological_split(forecaster.panel(frame), validation=0.2, test=0)
    forecaster.fit(split.train, validation=split.validation, epochs=2, metrics=["rmse", "mae"], verbose=0)
    best = int(np.argmin(forecaster.history_["val_loss"]))
    scores = forecaster.evaluate(split.validation, ["rmse", "mae"])
    for name in ("rmse", "mae"):
        np.testing.assert_allclose(forecaster.history_[f"val_{name}"][best], scores[name][0], rtol=1e-4)


@pytest.fixture(scope="module")
def growing():
    """A level that doubles every hundred days, with a week in it, and another of seven times its size."""
    random, day = np.random.default_rng(0), np.arange(241)
    level = (
        100 * 2 ** (day / 100) * np.exp(0.2 * np.sin(day * 2 * np.pi / 7) + 0.02 * random.normal(size=241))
    )
    return pd.DataFrame(
        {"y": level, "z": 7 * level[::-1]}, index=pd.date_range("2022-01-01", periods=241, freq="D")
    )


@pytest.mark.parametrize("targets", [["y"], ["y", "z"]])
def test_metrics_while_fitting_are_in_original_units_on_logarithms_too(growing, targets):
    forecaster = Forecaster("linear", context_length=7, horizon=3, targets=targets, scaler="log")
    panel = forecaster.panel(growing)
    train, valid, _ = chronological_split(panel, validation=0.3, test=0)
    forecaster.fit(train, validation=valid, epochs=1, metrics=["rmse", "r2"], verbose=0)
    table = forecaster.evaluate(valid, ["rmse", "r2"])
    errors = table["rmse"].to_numpy()
    if len(targets) > 1:
        errors = errors / train.values[: train.spans[0].observed_end, panel.indices(targets)].std(axis=0)
    assert forecaster.history_["val_rmse"][0] == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-4)
    assert forecaster.history_["val_r2"][0] == pytest.approx(table["r2"].mean(), abs=1e-4)


def test_on_logarithms_it_forecasts_the_logarithms(growing):
    fitted = Forecaster("linear_regression", context_length=7, horizon=3, scaler="log").fit(growing)
    plain = fitted.on_logarithms()
    assert (plain.settings["scaler"], fitted.settings["scaler"]) == ("standard", "log")
    np.testing.assert_allclose(
        np.exp(plain.predict(np.log(growing))["y"]), fitted.predict(growing)["y"], rtol=1e-5
    )
    assert plain.on_logarithms() is plain
    assert not fitted.clone().on_logarithms().is_fitted
