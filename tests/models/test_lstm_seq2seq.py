import keras
import numpy as np
import pytest

from tfts.models import lstm_seq2seq
from tfts.task import Task

TASK = Task(7, 3, targets=2, past=3)


def _batch(known=0, seed=0):
    rng = np.random.default_rng(seed)
    batch = {"past": rng.normal(size=(11, 7, 5)), "teacher": rng.normal(size=(11, 3, 2))}
    if known:
        batch["known_future"] = rng.normal(size=(11, 10, known))
    return {key: value.astype("float32") for key, value in batch.items()}


@pytest.mark.parametrize("known", [0, 13])
def test_forecasting_needs_no_teacher(known, tmp_path):
    model = lstm_seq2seq(Task(7, 3, targets=2, past=3, known_future=known), units=3, teacher_forcing=0.5)
    batch = _batch(known)
    without = {**batch, "teacher": None}
    zeros = {**batch, "teacher": np.zeros_like(batch["teacher"])}
    model.save(tmp_path / "model.keras")
    model.compile("adam", "mse")
    forecast = model.predict(batch, verbose=0)
    np.testing.assert_array_equal(forecast, model.predict(without, verbose=0))
    np.testing.assert_array_equal(forecast, model.predict(zeros, verbose=0))
    loss = model.evaluate(without, np.zeros((11, 3, 2)), verbose=0)
    np.testing.assert_allclose(loss, (forecast**2).mean(), rtol=1e-5)
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(forecast, loaded.predict(without, verbose=0))


def test_the_teacher_is_heard_in_training_alone():
    model = lstm_seq2seq(TASK, units=3, teacher_forcing=1.0)
    batch, other = _batch(), _batch()
    other["teacher"] = other["teacher"] + 1.0
    one, two = (np.asarray(model(x, training=True)) for x in (batch, other))
    np.testing.assert_array_equal(one[:, 0], two[:, 0])
    assert np.abs(one[:, 1:] - two[:, 1:]).min() > 0
    np.testing.assert_array_equal(model(batch), model(other))


def test_a_taught_model_learns_with_jit_compile():
    model = lstm_seq2seq(TASK, units=3, teacher_forcing=1.0)
    model.compile(keras.optimizers.Adam(0.02), "mse", jit_compile=True)
    batch = _batch()
    losses = [model.train_on_batch(batch, batch["teacher"]) for _ in range(20)]
    assert losses[-1] < 0.8 * losses[0]


def test_without_teacher_forcing_there_is_no_teacher():
    assert lstm_seq2seq(TASK, units=3).input.name == "past"
    assert set(lstm_seq2seq(TASK, units=3, teacher_forcing=1.0).input) == {"past", "teacher"}


@pytest.mark.parametrize("window_norm", ["last", "instance"])
def test_the_teacher_is_heard_on_the_level_of_the_window(window_norm):
    model = lstm_seq2seq(TASK, units=3, teacher_forcing=1.0, window_norm=window_norm)
    batch = _batch()
    shifted = {"past": batch["past"] + 64.0, "teacher": batch["teacher"] + 64.0}
    one, two = (np.asarray(model(x, training=True)) for x in (batch, shifted))
    np.testing.assert_allclose(two, one + 64.0, atol=1e-3)
