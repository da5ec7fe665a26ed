import keras
import numpy as np
import pandas as pd
import pytest

from tests.conftest import without_graphs
from tfts.attention import fit_null
from tfts.backtesting import backtest
from tfts.forecaster import Forecaster

CONTEXT, HORIZON = 5, 3
QUICK = {"epochs": 2, "batch_size": 32, "verbose": 0}


def noise(rows=120, columns=("load",), seed=3):
    values = np.random.default_rng(seed).normal(50, 1, (rows, len(columns)))
    return pd.DataFrame(
        values, columns=list(columns), index=pd.date_range("2024-01-01", periods=rows, freq="h")
    )


def two_layers(units=2, outputs=((HORIZON, 1),), known=0):
    past = keras.Input((CONTEXT, 1), name="past")
    hidden = keras.layers.Dense(units, name="hidden")(keras.layers.Flatten()(past))
    made = [
        keras.layers.Reshape(shape, name=f"shaped_{i}")(
            keras.layers.Dense(int(np.prod(shape)), name=f"out_{i}")(hidden)
        )
        for i, shape in enumerate(outputs)
    ]
    model = keras.Model(past, made if len(made) > 1 else made[0], name="two_layers")
    model.compile(keras.optimizers.Adam(0.05), "mse")
    return model


def forecaster(model, **options):
    return Forecaster(model, context_length=CONTEXT, horizon=HORIZON, **options)


def weights(model):
    return [np.array(weight) for weight in model.get_weights()]


def same(one, other):
    return all((a == b).all() for a, b in zip(one, other, strict=True))


def memoriser(kind, tmp_path):
    """A forecaster that has learnt pure noise by heart, made in one of the user's ways."""

    def wide(*sizes, units=256):
        past = keras.Input((CONTEXT, 1), name="past")
        hidden = keras.layers.Flatten()(past)
        for _ in range(2):
            hidden = keras.layers.Dense(units, activation="relu")(hidden)
        return keras.Model(past, keras.layers.Reshape((HORIZON, 1))(keras.layers.Dense(HORIZON)(hidden)))

    model = wide
    if kind == "compiled":
        model = wide()
        model.compile(keras.optimizers.Adam(0.01), "mse")
    options = {} if kind == "compiled" else {"learning_rate": 0.01, "ema_momentum": None}
    fitted = forecaster(model).fit(
        noise(60), validation=0, epochs=150, batch_size=64, patience=None, verbose=0, **options
    )
    if kind == "loaded builder":
        fitted.save(tmp_path / "memoriser")
        fitted = Forecaster.load(tmp_path / "memoriser")
    return fitted


@pytest.mark.parametrize("kind", ["builder", "loaded builder", "compiled"])
def test_a_backtest_of_what_has_learnt_the_rows_by_heart_begins_anew(kind, tmp_path):
    frame, fitted = noise(60), memoriser(kind, tmp_path)
    seen = fitted.evaluate(frame, ["mse"])["mse"][0]
    assert seen < 0.3
    before = weights(fitted.model)
    table = backtest(fitted, frame, origins=8, epochs=1, verbose=0, validation=0)
    # The rows are noise of variance 1 around 50: only a network that has seen them can do better.
    assert ((table["forecast"] - table["actual"]) ** 2).mean() > 0.7
    assert same(before, weights(fitted.model))


def test_a_compiled_keras_model_is_left_as_it_was_given():
    model = two_layers()
    before = weights(model)
    first, second = (forecaster(model).fit(noise(), seed=seed, **QUICK) for seed in (0, 1))
    assert same(before, weights(model))
    assert not any(layer is own for layer in model.layers for own in first.model.layers)
    kept = weights(first.model)
    assert not same(kept, weights(second.model))
    first.clone().fit(noise(seed=9), **QUICK)
    assert same(kept, weights(first.model))
    # Its own optimizer and loss are copies too.
    assert first.model.optimizer is not model.optimizer
    assert float(first.model.optimizer.learning_rate) == pytest.approx(0.05)


def test_the_loss_of_a_compiled_keras_model_is_its_own():
    model = two_layers()
    model.compile("adam", keras.losses.Huber(delta=0.01))
    fitted = forecaster(model).fit(noise(), **QUICK)
    # Keras 3.15.1 writes no delta into the config of the loss; 0.01 * (3 - 0.01 / 2) by hand.
    assert float(fitted.model.loss(np.zeros((1, 1)), np.full((1, 1), 3.0))) == pytest.approx(0.02995)


def test_one_seed_gives_a_compiled_keras_model_the_same_numbers_again():
    runs = [forecaster(two_layers()).fit(noise(), seed=4, **QUICK).predict(noise()) for _ in range(2)]
    pd.testing.assert_frame_equal(*runs, check_exact=True)


@pytest.mark.parametrize("nested", [False, True])
def test_frozen_layers_and_adapted_ones_keep_what_they_hold(nested, tmp_path):
    past = keras.Input((CONTEXT, 1), name="past")
    adapted = keras.layers.Normalization(name="normal")
    adapted.adapt(np.arange(100.0).reshape(-1, CONTEXT, 1))
    frozen = keras.layers.Dense(4, trainable=False, name="frozen")
    inner = keras.Model(past, frozen(keras.layers.Flatten()(adapted(past))), name="inner")
    hidden = inner(past) if nested else inner.output
    model = keras.Model(past, keras.layers.Reshape((HORIZON, 1))(keras.layers.Dense(HORIZON)(hidden)))
    model.compile("adam", "mse")
    fitted = forecaster(model).fit(noise(), **QUICK)
    own, made = (network.get_layer("inner") if nested else network for network in (model, fitted.model))
    for name in ("normal", "frozen"):
        assert same(weights(own.get_layer(name)), weights(made.get_layer(name)))
    # Adapted to 0 .. 99, whose mean is 49.5: what the layer computes with, not only what it stores.
    assert np.asarray(made.get_layer("normal").mean).ravel().tolist() == pytest.approx([49.5])
    fitted.save(tmp_path / "model")
    loaded = Forecaster.load(tmp_path / "model").predict(noise())
    pd.testing.assert_frame_equal(loaded, fitted.predict(noise()), check_exact=True)


class Stop(keras.callbacks.Callback):
    def __init__(self, last):
        super().__init__()
        self.last = last

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.last:
            raise KeyboardInterrupt


def test_another_network_of_one_name_does_not_go_on_with_a_training(tmp_path):
    one, other = two_layers(), two_layers()
    other.compile(keras.optimizers.Adam(0.05), "mae")
    with pytest.raises(KeyboardInterrupt):
        forecaster(one).fit(noise(), folder=tmp_path / "state", callbacks=[Stop(0)], **QUICK)
    with pytest.raises(ValueError, match=r"other settings \(changed: network\)"):
        forecaster(other).fit(noise(), folder=tmp_path / "state", **QUICK)


def test_a_fit_stopped_after_its_last_epoch_ends_with_the_average(tmp_path):
    options = {**QUICK, "validation": 0}
    with pytest.raises(KeyboardInterrupt):
        forecaster("linear").fit(noise(), folder=tmp_path / "state", callbacks=[Stop(1)], **options)
    resumed = forecaster("linear").fit(noise(), folder=tmp_path / "state", **options)
    assert same(weights(resumed.model), weights(forecaster("linear").fit(noise(), **options).model))


def test_a_training_that_diverged_leaves_nothing_to_go_on_from(tmp_path):
    wild = {"learning_rate": 1e30, "clipnorm": None, "schedule": "constant"}
    for options in (wild, wild):
        with pytest.raises(ValueError, match="not finite from epoch 1 on"):
            forecaster("linear").fit(noise(), folder=tmp_path / "state", **options, **QUICK)
    assert forecaster("linear").fit(noise(), folder=tmp_path / "state", **QUICK).is_fitted


def test_settings_are_copies_and_their_options_act():
    def built(task, units=2):
        past = keras.Input((task.context_length, 1), name="past")
        hidden = keras.layers.Dense(units)(keras.layers.Flatten()(past))
        return keras.Model(past, keras.layers.Reshape((HORIZON, 1))(keras.layers.Dense(HORIZON)(hidden)))

    first = forecaster(built, targets=["load"], model_options={"units": 3})
    first.settings["targets"].append("price")
    assert first.settings["targets"] == ["load"]
    wider = Forecaster(**{**first.settings, "model_options": {"units": 5}})
    # 5 rows to `units`, `units` to 3 steps, each with its biases.
    counts = [f.fit(noise(), **QUICK).num_parameters for f in (first, wider)]
    assert counts == [5 * 3 + 3 + 3 * 3 + 3, 5 * 5 + 5 + 5 * 3 + 3]
    with pytest.raises(ValueError, match="is made already, so `model_options` do nothing"):
        forecaster(two_layers(), model_options={"units": 3})


def test_a_loss_that_keras_does_not_write_whole_is_told_when_it_is_saved(tmp_path):
    model = two_layers()
    model.compile("adam", keras.losses.Huber(delta=0.01))
    fitted = forecaster(model).fit(noise(), **QUICK)
    with pytest.warns(UserWarning, match="does not write all that the loss 'huber_loss' was made with"):
        fitted.save(tmp_path / "model")


class OwnStep(keras.Model):
    def train_step(self, data):
        return {"loss": 0.0}


def test_a_model_with_a_step_of_its_own_is_refused():
    past = keras.Input((CONTEXT, 1))
    model = OwnStep(past, keras.layers.Dense(HORIZON)(keras.layers.Flatten()(past)))
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match="must be functional or Sequential"):
        forecaster(model)


def test_a_null_leaves_the_network_that_it_copies(tmp_path):
    fitted = forecaster("attention_seq2seq", model_options={"units": 4, "num_heads": 2})
    step = {**QUICK, "epochs": 1, "batch_size": 256}
    with without_graphs():
        fitted.fit(noise(), **step)
        before = weights(fitted.model)
        fit_null(fitted, fitted.panel(noise()), **step)
    assert same(before, weights(fitted.model))


def test_a_fit_that_fails_leaves_what_was_learnt_before():
    fitted = forecaster("linear").fit(noise(), **QUICK)
    before = fitted.predict(noise())
    with pytest.raises(ValueError, match="Training diverged"):
        fitted.fit(100 * noise(), learning_rate=1e30, clipnorm=None, schedule="constant", **QUICK)
    pd.testing.assert_frame_equal(fitted.predict(noise()), before, check_exact=True)


@pytest.mark.parametrize(("shape", "horizon", "targets"), [((3,), 3, 1), ((2,), 1, 2)])
def test_an_output_without_the_axis_of_size_one_is_understood(shape, horizon, targets):
    columns = ["load", "price"][:targets]
    past = keras.Input((CONTEXT, targets))
    model = keras.Model(past, keras.layers.Dense(*shape)(keras.layers.Flatten()(past)))
    model.compile("adam", "mse")
    fitted = Forecaster(model, context_length=CONTEXT, horizon=horizon).fit(noise(columns=columns), **QUICK)
    assert fitted.model.output_shape == (None, horizon, targets)
    assert len(fitted.predict(noise(columns=columns))) == horizon


def test_a_sequential_model_that_is_not_built_takes_the_windows():
    model = keras.Sequential([keras.layers.LSTM(2), keras.layers.Dense(HORIZON)])
    model.compile("adam", "mse")
    fitted = forecaster(model).fit(noise(), **QUICK)
    assert fitted.model.output_shape == (None, HORIZON, 1)


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs[:, -HORIZON:]


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (((HORIZON, 3),), r"output of \(None, 3, 1\).*Received: .* output of \(None, 3, 3\)"),
        (((HORIZON + 1,),), r"Received: .* output of \(None, 4\)"),
        (((HORIZON, 1), (HORIZON, 1)), r"output of \(None, 3, 1\), \(None, 3, 1\)"),
    ],
)
def test_an_output_of_another_shape_is_refused_with_the_shape_it_takes(outputs, message):
    with pytest.raises(ValueError, match=message):
        forecaster(two_layers(outputs=outputs)).fit(noise(), **QUICK)


def test_inputs_that_no_window_has_are_refused():
    with pytest.raises(ValueError, match=r"inputs past \(None, 5, 2\).*Received: inputs past \(None, 5, 1\)"):
        forecaster(two_layers()).fit(noise(columns=("load", "price")), **QUICK)


def test_a_subclass_of_model_is_refused_with_a_way_out():
    model = Subclassed()
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"must be functional or Sequential.*Subclassed.*Give a builder"):
        forecaster(model)


def test_a_model_that_is_not_compiled_is_refused():
    model = keras.Sequential([keras.Input((CONTEXT, 1)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match=r"is not compiled\. Call its compile"):
        forecaster(model)


@pytest.mark.parametrize("model", ["persistence", "seasonal_naive", "running_median"])
@pytest.mark.parametrize("scaler", ["standard", "robust", "log"])
def test_what_copies_values_loses_no_digit(model, scaler):
    frame = noise(60).round(0) + 249
    frame.iloc[-1] = 299
    frame += 1e12
    fitted = forecaster(model, scaler=scaler).fit(frame)
    forecasts = fitted.predict(frame)["load"]
    if model == "persistence":
        assert (forecasts == 1e12 + 299).all()
    assert (forecasts % 0.5 == 0).all()


@pytest.mark.parametrize("model", ["drift", "ets", "linear_regression", "ridge", "linear"])
def test_a_counter_is_forecast_in_its_steps(model):
    """At 7e8 the numbers of float32 are 64 apart."""
    frame = noise(90)
    frame["load"] = 7e8 + 3.0 * np.arange(90)
    options = {"epochs": 40, "learning_rate": 0.01, "verbose": 0} if model == "linear" else {}
    settings = {"damped": False} if model == "ets" else {}
    forecasts = forecaster(model, model_options=settings).fit(frame, **options).predict(frame)["load"]
    expected = 7e8 + 3 * np.arange(90, 93)
    np.testing.assert_allclose(forecasts - 7e8, expected - 7e8, atol=1e-3 if model != "linear" else 1)
