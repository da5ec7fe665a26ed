"""How a forecaster trains its network: options, repetition, interruption and ends."""

import functools
import warnings

import keras
import numpy as np
import pandas as pd
import pytest

from tests.tables import table
from tfts.data.split import chronological_split
from tfts.forecaster import Forecaster
from tfts.models import build_model
from tfts.task import Task
from tfts.training import TrainingOptions, compile_network

CONTEXT, HORIZON = 11, 3
QUICK = {"epochs": 2, "batch_size": 32, "verbose": 0}


def forecaster(model, **options):
    settings = {"context_length": CONTEXT, "horizon": HORIZON, "targets": ["load"]}
    return Forecaster(model, **{**settings, **options})


def test_forecasts_past_the_end_are_in_original_units_and_labelled_by_time():
    frame = table()
    forecasts = forecaster("linear").fit(frame, epochs=30, learning_rate=0.01, verbose=0).predict(frame)
    assert forecasts.columns.tolist() == ["series", "origin", "time", "load"]
    assert forecasts["time"].tolist() == pd.date_range(frame.index[-1], periods=4, freq="h")[1:].tolist()
    truth = 100 + 20 * np.sin(np.arange(211, 214) * 2 * np.pi / 24)
    np.testing.assert_allclose(forecasts["load"], truth, atol=2)


def test_the_same_seed_gives_the_same_numbers():
    frame = table()
    options = {**QUICK, "jit_compile": True}
    runs = [
        forecaster("lstm_attention", model_options={"units": 4}).fit(frame, seed=5, **options).predict(frame)
        for _ in range(2)
    ]
    pd.testing.assert_frame_equal(*runs, check_exact=True)
    other = (
        forecaster("lstm_attention", model_options={"units": 4}).fit(frame, seed=6, **options).predict(frame)
    )
    assert (other["load"] != runs[0]["load"]).all()


@pytest.mark.parametrize(
    ("model", "options", "steps", "compiled"),
    [
        ("attention_seq2seq", {"units": 2, "num_heads": 1}, 1000, True),
        ("attention_seq2seq", {"units": 2, "num_heads": 1}, 1, False),
        # On a CPU, XLA's random numbers cost more than the rest of a step.
        ("attention_seq2seq", {"units": 2, "num_heads": 1, "dropout": 0.1}, 1000, False),
        ("segment_rnn", {"units": 2, "segment_length": 3, "dropout": 0.1}, 1000, False),
        ("lstm_attention", {"units": 2}, 1000, False),
        ("lstm_seq2seq", {"units": 2}, 1000, False),
    ],
)
def test_xla_is_used_where_it_pays(model, options, steps, compiled):
    network = build_model(model, Task(7), **options)
    compile_network(network, steps, TrainingOptions(epochs=20))
    assert network.jit_compile is compiled


def test_steps_that_run_together_change_no_number():
    frame, seen = table(), []
    count = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    found = []
    for together in ("auto", 1, 3):
        options = {**QUICK, "batch_size": 16, "steps_per_execution": together, "callbacks": [count]}
        fitted = forecaster("linear").fit(frame, **options)
        found.append((fitted.history_, fitted.predict(frame)["load"].tolist()))
        assert fitted.model.steps_per_execution == 1
    # 211 rows, 32 of them for validation: 166 windows are 11 steps, which neither 8 nor 3 divides.
    assert seen == [7, 15] * 2 + list(range(11)) * 2 + [2, 5, 8, 11] * 2
    assert found[0][0].keys() == {"loss", "val_loss"}
    for history, forecasts in found[1:]:
        for name, values in history.items():
            np.testing.assert_allclose(values, found[0][0][name], rtol=1e-6)
        np.testing.assert_allclose(forecasts, found[0][1], rtol=1e-6)


def test_the_users_random_numbers_are_left_alone():
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.rand()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    forecaster("linear").fit(table(), **QUICK)
    assert np.random.rand() == expected  # noqa: NPY002


class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def test_a_stopped_fit_goes_on_with_the_next_epoch(tmp_path):
    frame, folder = table(), tmp_path / "state"
    options = {**QUICK, "epochs": 5, "folder": folder}
    with pytest.raises(KeyboardInterrupt):
        forecaster("linear").fit(frame, callbacks=[Stop()], **options)
    assert (folder / "training.npz").is_file()
    seen = []
    count = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    fitted = forecaster("linear").fit(frame, callbacks=[count], **options)
    assert seen == [3, 4]
    assert len(fitted.history_["val_loss"]) == 5
    assert not folder.exists()


@pytest.mark.parametrize(
    ("model", "options"),
    [("linear", {"ema_momentum": 0.9}), ("segment_rnn", {"batch_size": 16}), ("linear", {"validation": 0})],
)
def test_a_resumed_fit_ends_with_the_numbers_of_an_unbroken_one(model, options, tmp_path):
    """The order of the windows, dropout, the averages and the optimizer go on as they would have."""
    frame, folder = table(), tmp_path / "state"
    options = {**QUICK, "epochs": 5, "learning_rate": 0.02, **options}
    sizes = {"model_options": {"units": 4, "segment_length": 4, "dropout": 0.3}} if model != "linear" else {}
    with pytest.raises(KeyboardInterrupt):
        forecaster(model, **sizes).fit(frame, callbacks=[Stop()], folder=folder, **options)
    resumed = forecaster(model, **sizes).fit(frame, folder=folder, **options)
    straight = forecaster(model, **sizes).fit(frame, **options)
    assert resumed.history_ == straight.history_
    for one, other in zip(resumed.model.get_weights(), straight.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("row", [30, 205])
def test_a_fit_is_begun_anew_where_a_value_of_its_rows_has_changed(row, tmp_path):
    """Row 30 is learnt from; row 205 is among those that choose the best weights."""
    frame, folder = table(), tmp_path / "state"
    options = {**QUICK, "epochs": 5, "folder": folder}
    with pytest.raises(KeyboardInterrupt):
        forecaster("linear").fit(frame, callbacks=[Stop()], **options)
    corrected = frame.copy()
    corrected.iloc[row, 0] += 5
    with pytest.warns(UserWarning, match="rows whose values were others, so it is begun anew"):
        resumed = forecaster("linear").fit(corrected, **options)
    straight = forecaster("linear").fit(corrected, **{**options, "folder": None})
    assert resumed.history_ == straight.history_


def test_a_state_of_other_settings_is_refused(tmp_path):
    options = {**QUICK, "epochs": 5, "folder": tmp_path / "state"}
    with pytest.raises(KeyboardInterrupt):
        forecaster("linear").fit(table(), callbacks=[Stop()], **options)
    with pytest.raises(ValueError, match=r"other settings \(changed: learning_rate\)"):
        forecaster("linear").fit(table(), learning_rate=0.02, **options)


def test_the_best_validation_weights_are_kept():
    frame = table()
    coarse = {"learning_rate": 3.0, "schedule": "constant", "ema_momentum": None, "verbose": 0}
    fitted = forecaster("linear").fit(frame, epochs=12, **coarse)
    losses = fitted.history_["val_loss"]
    assert min(losses) < losses[-1]
    panel = fitted.panel(frame)
    scaled = fitted.scaler_.transform(chronological_split(panel, 0.15, 0).validation)
    fitted.model.compile(loss="mse")
    again = fitted.model.evaluate(fitted.spec.dataset(scaled), verbose=0)
    assert again == pytest.approx(min(losses), rel=1e-3)


def test_a_fit_that_ends_while_the_validation_loss_falls_says_so():
    short = {"learning_rate": 0.01, "schedule": "constant", "batch_size": 64, "verbose": 0}
    with pytest.warns(UserWarning, match=r"still fell by \d+ % over the last 1 of 5 epochs, so more epochs"):
        forecaster("linear").fit(table(), epochs=5, **short)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="The validation loss")
        forecaster("linear").fit(table(), epochs=60, **{**short, "learning_rate": 0.05, "schedule": "cosine"})


def test_patience_stops_training():
    coarse = {"learning_rate": 3.0, "schedule": "constant", "ema_momentum": None, "verbose": 0}
    fitted = forecaster("linear").fit(table(), epochs=50, patience=2, **coarse)
    losses = fitted.history_["val_loss"]
    assert len(losses) == int(np.argmin(losses)) + 1 + 2


def test_training_that_diverges_is_an_error():
    with pytest.raises(ValueError, match="Training diverged: the loss is not finite from epoch 1 on"):
        forecaster("linear").fit(
            table(), epochs=3, learning_rate=1e30, clipnorm=None, schedule="constant", verbose=0
        )


@functools.cache
def usual_forecast():
    return forecaster("linear").fit(table(), **QUICK, learning_rate=0.05).predict(table())["load"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("optimizer", "adam"),
        ("learning_rate", 0.1),
        ("schedule", "constant"),
        ("warmup", 0.5),
        ("weight_decay", 0.5),
        ("clipnorm", 0.01),
        ("ema_momentum", 0.9),
        ("loss", "mae"),
        ("loss", {"class_name": "Huber", "config": {"delta": 0.1}}),
        ("batch_size", 16),
        ("windows_per_epoch", 20),
        ("sampling", "series"),
        ("epochs", 3),
        ("seed", 9),
        ("validation", 0.4),
    ],
)
def test_every_training_option_acts(name, value):
    frame, options = table(), {**QUICK, "learning_rate": 0.05}
    changed = forecaster("linear").fit(frame, **{**options, name: value}).predict(frame)["load"]
    assert np.abs(usual_forecast() - changed).max() > 1e-5


def test_the_compiled_network_is_the_one_that_fit_trains():
    frame = pd.DataFrame({"y": np.sin(np.arange(61.0))}, index=pd.date_range("2024-01-01", periods=61))
    forecaster = Forecaster("linear", context_length=5, horizon=2)
    model, windows, checked = forecaster.compiled(frame, seed=3, learning_rate=0.01, schedule="constant")
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01)
    # 52 training rows (61 less 15 %) hold 46 windows of 5 + 2 rows, the others one for each last row but one.
    assert (len(list(windows.unbatch())), len(list(checked.unbatch()))) == (46, 8)
    assert not forecaster.is_fitted
