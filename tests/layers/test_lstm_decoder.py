import time

import keras
import numpy as np
import pytest

from tfts.layers import LSTMDecoder


def _inputs(horizon=7, targets=3, units=5, known=2, seed=0):
    rng = np.random.default_rng(seed)
    first, state = rng.normal(size=(2, targets)), rng.normal(size=(2, units))
    return {
        "first": first.astype("float32"),
        "states": [state.astype("float32"), state.astype("float32")],
        "known_future": rng.normal(size=(2, horizon, known)).astype("float32"),
    }


def test_a_head_of_zeros_repeats_the_last_value():
    layer, inputs = LSTMDecoder(units=5, horizon=7), _inputs()
    layer(**inputs)
    layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])
    expected = np.repeat(inputs["first"][:, None], 7, axis=1)
    np.testing.assert_array_equal(layer(**inputs), expected)


def test_each_step_adds_to_the_one_before():
    layer, inputs = LSTMDecoder(units=5, horizon=7), _inputs(targets=1)
    layer(**inputs)
    weights = [np.zeros_like(w) for w in layer.get_weights()]
    weights[-1][:] = 0.5  # the bias of the head
    layer.set_weights(weights)
    steps = 0.5 * np.arange(1, 8)
    np.testing.assert_allclose(layer(**inputs)[:, :, 0], inputs["first"] + steps, rtol=1e-6)


def test_a_guess_is_what_each_step_adds_to():
    layer, inputs = LSTMDecoder(units=5, horizon=7), _inputs()
    guess = np.random.default_rng(1).normal(size=(2, 7, 3)).astype("float32")
    layer(**inputs, guess=guess)
    weights = [np.zeros_like(w) for w in layer.get_weights()]
    weights[-1][:] = 0.5  # the bias of the head
    layer.set_weights(weights)
    np.testing.assert_allclose(layer(**inputs, guess=guess), guess + 0.5, rtol=1e-6)


def test_steps_see_their_own_known_columns_and_those_before():
    layer, inputs = LSTMDecoder(units=5, horizon=7), _inputs()
    base = np.asarray(layer(**inputs))
    inputs["known_future"][:, 4] += 1.0
    changed = np.asarray(layer(**inputs))
    np.testing.assert_array_equal(base[:, :4], changed[:, :4])
    assert np.abs(base[:, 4:] - changed[:, 4:]).min(axis=(0, 2)).min() > 0


def test_with_a_teacher_step_h_sees_the_truth_up_to_row_h_minus_1():
    layer, inputs = LSTMDecoder(units=5, horizon=7, teacher_forcing=1.0), _inputs()
    teacher = np.random.default_rng(1).normal(size=(2, 7, 3)).astype("float32")
    base = np.asarray(layer(**inputs, teacher=teacher, training=True))
    teacher[:, 4] += 1.0
    changed = np.asarray(layer(**inputs, teacher=teacher, training=True))
    np.testing.assert_array_equal(base[:, :5], changed[:, :5])
    assert np.abs(base[:, 5] - changed[:, 5]).min() > 0


def test_the_teacher_is_ignored_at_inference():
    layer, inputs = LSTMDecoder(units=5, horizon=7, teacher_forcing=1.0), _inputs()
    teacher = np.full((2, 7, 3), 99.0)
    np.testing.assert_array_equal(layer(**inputs, teacher=teacher), layer(**inputs))


def test_a_share_of_steps_listens_to_the_teacher():
    layer = LSTMDecoder(units=5, horizon=101, teacher_forcing=0.3, seed=3)
    inputs = _inputs(horizon=101)
    layer(**inputs)
    layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])
    # With a head of zeros a step shows what it heard: the truth, or the step before.
    teacher = np.broadcast_to(np.arange(1.0, 102.0)[None, :, None], (2, 101, 3))
    output = np.asarray(layer(**inputs, teacher=teacher, training=True))[:, 1:, 0]
    heard = (output == teacher[:, :-1, 0]).mean()
    assert 0.2 < heard < 0.4


def test_dropout_acts_in_training_alone():
    layer, inputs = LSTMDecoder(units=5, horizon=7, dropout=0.5, seed=1), _inputs()
    np.testing.assert_array_equal(layer(**inputs), layer(**inputs))
    assert np.abs(np.asarray(layer(**inputs)) - np.asarray(layer(**inputs, training=True))).max() > 0


def test_a_horizon_of_720_is_a_loop_in_the_graph():
    first = keras.Input((1,))
    states = [keras.Input((3,)), keras.Input((3,))]
    start = time.perf_counter()
    model = keras.Model([first, *states], LSTMDecoder(units=3, horizon=720)(first, states))
    model.compile("sgd", "mse", jit_compile=True)
    ones = [np.ones((2, 1)), np.ones((2, 3)), np.ones((2, 3))]
    model.train_on_batch(ones, np.ones((2, 720, 1)))
    assert time.perf_counter() - start < 30
    assert model.output_shape == (None, 720, 1)


def test_the_number_of_states_must_fit_the_layers():
    inputs = _inputs()
    with pytest.raises(
        ValueError, match=r"a hidden and a cell state for each of 2 layers. Received: 2 tensors"
    ):
        LSTMDecoder(units=5, horizon=7, num_layers=2)(**inputs)


def test_teacher_forcing_is_a_share():
    with pytest.raises(ValueError, match=r"must be from 0 to 1. Received: teacher_forcing=1.5"):
        LSTMDecoder(units=5, horizon=7, teacher_forcing=1.5)


def test_further_numbers_stand_after_the_forecasts_and_are_not_fed_back():
    layer, inputs = LSTMDecoder(units=5, horizon=7, width=2), _inputs(targets=3)
    layer(**inputs)
    weights = [np.zeros_like(w) for w in layer.get_weights()]
    weights[-1][:] = [0.5, 0.5, 0.5, 11.0, 13.0, 17.0]  # the bias of the head
    layer.set_weights(weights)
    output = np.asarray(layer(**inputs))
    steps = 0.5 * np.arange(1, 8)[None, :, None]
    np.testing.assert_allclose(output[..., :3], inputs["first"][:, None] + steps, rtol=1e-6)
    np.testing.assert_array_equal(output[..., 3:], np.broadcast_to([11.0, 13.0, 17.0], (2, 7, 3)))
