import keras
import numpy as np
import pytest

from tfts.models import segment_rnn
from tfts.task import Task

TASK = Task(12, 4, targets=3, past=2)


def _shaken(task=TASK, **options):
    model = segment_rnn(task, **{"units": 6, "segment_length": 2, **options})
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(scale=0.5, size=w.shape) for w in model.get_weights()])
    return model


def _changed(model, inputs, key, row, column):
    """How much each step of the forecast minds a change, `(batch, horizon, targets)`."""
    other = {name: value.copy() for name, value in inputs.items()}
    other[key][:, row, column] += 1.0
    single = not isinstance(model.input, dict)
    ask = [x["past"] if single else x for x in (inputs, other)]
    one, two = (keras.ops.convert_to_numpy(model(x)) for x in ask)
    return np.abs(two - one)


def test_the_paper_counts_the_same_weights():
    # ETTh1 in the paper: 720 in, 96 out, segments of 48, 512 units, seven channels.
    model = segment_rnn(Task(720, 96, targets=7), units=512)
    embedding, head = 48 * 512 + 512, 512 * 48 + 48
    gru = 3 * (512 * 512 + 512 * 512 + 2 * 512)
    places = 2 * 256 + 7 * 256
    assert model.count_params() == embedding + gru + places + head
    assert model.get_layer("segments").output.shape == (None, 7, 15, 48)
    assert model.get_layer("gru").output.shape == (None, 7, 2, 512)


def test_a_forecast_of_one_unit_of_each_kind_by_hand():
    model = segment_rnn(Task(2, 1), units=2, segment_length=1, window_norm="none")
    weights = {
        "segment_embedding/kernel": [[1.0, 0.0]],
        "segment_embedding/bias": [0.0, 0.0],
        # Columns are update, reset and new state of both units: only the new state of the first.
        "cell/kernel": [[0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 2, 0]],
        "cell/recurrent_kernel": np.zeros((2, 6)),
        "cell/bias": np.zeros((2, 6)),
        "positions": [[0.25]],
        "channels": [[0.125]],
        "head/kernel": [[10.0], [0.0]],
        "head/bias": [0.5],
    }
    for weight in model.weights:
        weight.assign(next(value for name, value in weights.items() if weight.path.endswith(name)))
    # An update gate of 1/2: h1 = tanh(3)/2, as relu(-4) = 0 then h2 = h1/2, and ahead
    # h3 = h2/2 + tanh(0.25 + 2 * 0.125)/2.
    state = np.tanh(3) / 8 + np.tanh(0.5) / 2
    np.testing.assert_allclose(model(np.array([[[3.0], [-4.0]]])), [[[10 * state + 0.5]]], rtol=1e-5)


def test_a_target_is_forecast_from_its_own_window():
    inputs = {"past": np.random.default_rng(1).normal(size=(2, 12, 5)).astype("float32")}
    model = _shaken()
    own = _changed(model, inputs, "past", 3, 1)
    assert own[..., 1].min() > 1e-6
    assert own[..., [0, 2]].max() == 0
    # A feature that is no target has no way in, but through the linear skip over all.
    assert _changed(model, inputs, "past", 3, 4).max() == 0
    assert _changed(_shaken(linear_skip="all"), inputs, "past", 3, 4).min() > 1e-6


def test_targets_are_told_apart():
    past = np.repeat(np.random.default_rng(1).normal(size=(2, 12, 1)), 3, axis=2)
    forecast = keras.ops.convert_to_numpy(_shaken(Task(12, 4, targets=3))(past))
    assert np.abs(np.diff(forecast, axis=2)).min() > 1e-6


def test_known_rows_act_on_the_context_and_on_their_own_segment():
    rng = np.random.default_rng(1)
    inputs = {
        "past": rng.normal(size=(2, 12, 5)).astype("float32"),
        "known_future": rng.normal(size=(2, 16, 7)).astype("float32"),
    }
    model = _shaken(Task(12, 4, targets=3, past=2, known_future=7))
    assert _changed(model, inputs, "known_future", 11, 6).min() > 1e-6
    ahead = _changed(model, inputs, "known_future", 15, 6)
    assert ahead[:, :2].max() == 0
    assert ahead[:, 2:].min() > 1e-6


def test_a_window_that_is_not_divided_begins_with_its_first_row_again():
    inputs = np.random.default_rng(1).normal(size=(2, 7, 5)).astype("float32")
    short, long = (_shaken(Task(rows, 4, targets=3, past=2)) for rows in (7, 8))
    longer = np.concatenate([inputs[:, :1], inputs], axis=1)
    np.testing.assert_array_equal(short(inputs), long(longer))


def test_a_horizon_that_is_not_divided_is_the_beginning_of_one_that_is():
    past = np.random.default_rng(1).normal(size=(2, 12, 5)).astype("float32")
    np.testing.assert_array_equal(_shaken(Task(12, 3, targets=3, past=2))(past), _shaken()(past)[:, :3])


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match=r"`segment_length` must be an int >= 1. Received: segment_length=0"):
        segment_rnn(Task(12, past=4), segment_length=0)
    with pytest.raises(ValueError, match=r"`dropout` is the share of units to drop"):
        segment_rnn(Task(12, past=4), dropout=1.0)
    with pytest.raises(ValueError, match=r"must be at least 2 wide"):
        segment_rnn(Task(12, past=4), units=1)
