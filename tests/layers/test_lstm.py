"""The layer must be `keras.layers.LSTM` in all but speed."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import keras
import numpy as np
import pytest

from tfts.layers import LSTM

tf = pytest.importorskip("tensorflow")

BATCH, STEPS, FEATURES, UNITS = 7, 11, 3, 5
KERNEL = "BlockLSTMV2"


def _draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def _twins(**arguments):
    """The layer and Keras's own, with the same weights."""
    layers = [make(UNITS, **arguments) for make in (LSTM, keras.layers.LSTM)]
    for layer in layers:
        layer.build((BATCH, STEPS, FEATURES))
    drawn = [0.5 * _draw(*w.shape, seed=i) for i, w in enumerate(layers[0].get_weights())]
    for layer in layers:
        layer.set_weights(drawn)
    return layers


def _both_ways(layer, compiled=False, **call):
    """Outputs, gradients of inputs, states and weights, and the operations that made them."""
    given = [tf.constant(_draw(BATCH, STEPS, FEATURES))]
    if "initial_state" in call:
        given += [tf.constant(state) for state in call.pop("initial_state")]

    @tf.function(jit_compile=compiled)
    def run(given):
        with tf.GradientTape() as tape:
            tape.watch(given)
            outputs = layer(given[0], initial_state=given[1:] or None, **call)
            outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
            # Weighted and cubed, so that each step and each state has a gradient of its own.
            loss = tf.add_n(
                [tf.reduce_sum(tf.cast((i + 2) * x, tf.float32) ** 3) for i, x in enumerate(outputs)]
            )
        return [*outputs, *tape.gradient(loss, [*given, *(w.value for w in layer.trainable_weights)])]

    graph = run.get_concrete_function(given).graph
    return [x.numpy() for x in run(given)], {node.type for node in graph.get_operations()}


def check_twins(layers, kernel, tolerance=1e-5, **call):
    (ours, types), (theirs, _) = (_both_ways(layer, **call) for layer in layers)
    assert (KERNEL in types) == kernel
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * np.abs(other).max())


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"return_sequences": True},
        {"return_state": True, "go_backwards": True},
        {"return_sequences": True, "return_state": True},
        {"return_sequences": True, "return_state": True, "go_backwards": True, "initial_state": True},
        {"return_sequences": True, "dropout": 0.4, "seed": 3, "training": True},
    ],
    ids=" ".join,
)
def test_outputs_and_gradients_are_those_of_keras(arguments):
    arguments = dict(arguments)
    call = {"training": arguments.pop("training", False)}
    if arguments.pop("initial_state", False):
        call["initial_state"] = [_draw(BATCH, UNITS, seed=8), _draw(BATCH, UNITS, seed=9)]
    check_twins(_twins(**arguments), kernel=True, **call)


@pytest.mark.parametrize(
    "arguments",
    [
        {"use_cudnn": False},
        {"unroll": True},
        {"use_bias": False},
        {"activation": "relu"},
        {"recurrent_activation": "hard_sigmoid"},
        {"recurrent_dropout": 0.3, "seed": 3, "training": True},
        {"mask": True},
        {"compiled": True},
        {"dtype": "mixed_float16", "tolerance": 1e-2},
        {"dtype": "mixed_bfloat16", "tolerance": 1e-1},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
def test_what_the_kernel_can_not_do_goes_to_keras(arguments):
    arguments = {"return_sequences": True, **arguments}
    call = {name: arguments.pop(name) for name in ("training", "compiled", "tolerance") if name in arguments}
    if arguments.pop("mask", False):
        call["mask"] = np.arange(STEPS) < np.arange(3, 3 + BATCH)[:, None]
    check_twins(_twins(**arguments), kernel=False, **call)


def test_with_a_graphics_processor_the_kernel_is_left_alone(monkeypatch):
    layer = LSTM(UNITS)
    assert layer._has_kernel()
    device = type("Device", (), {"device_type": "GPU"})
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda: [device])
    assert not layer._has_kernel()


def test_a_wide_layer_is_left_to_keras():
    assert [LSTM(units)._has_kernel() for units in (64, 67)] == [True, False]


def test_a_stateful_layer_goes_on_where_it_was():
    layers = [make(UNITS, stateful=True) for make in (LSTM, keras.layers.LSTM)]
    sequences = _draw(BATCH, STEPS, FEATURES)
    for layer in layers:
        layer(sequences)
    layers[1].set_weights(layers[0].get_weights())
    for layer in layers:
        layer.reset_state()
    for _ in range(2):
        np.testing.assert_allclose(*(layer(sequences) for layer in layers), atol=1e-6)


def test_the_length_of_the_window_and_of_the_batch_may_be_open():
    ours, theirs = _twins(return_sequences=True)
    run = tf.function(ours, input_signature=[tf.TensorSpec((None, None, FEATURES))])
    for batch, steps in ((2, 13), (1, 1)):
        sequences = _draw(batch, steps, FEATURES)
        np.testing.assert_allclose(run(sequences), theirs(sequences), atol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_it_learns_what_keras_learns(jit_compile):
    losses = []
    for layer in _twins(return_sequences=True):
        model = keras.Sequential([keras.Input((STEPS, FEATURES)), layer])
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit_compile)
        data = _draw(BATCH, STEPS, FEATURES), _draw(BATCH, STEPS, UNITS, seed=1)
        losses.append(model.fit(*data, batch_size=BATCH, epochs=3, verbose=0).history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_files_and_configs_go_from_one_to_the_other(tmp_path):
    sequences = _draw(BATCH, STEPS, FEATURES)
    models = [
        keras.Sequential([keras.Input((STEPS, FEATURES)), make(UNITS, name="lstm_0")])
        for make in (LSTM, keras.layers.LSTM)
    ]
    ours, theirs = (model.layers[0] for model in models)
    assert (
        type(ours).from_config(json.loads(json.dumps(theirs.get_config()))).get_config() == ours.get_config()
    )
    expected = models[1].predict(sequences, verbose=0)
    models[1].save_weights(tmp_path / "theirs.weights.h5")
    models[0].load_weights(tmp_path / "theirs.weights.h5")
    np.testing.assert_allclose(models[0].predict(sequences, verbose=0), expected, atol=1e-6)
    models[0].save_weights(tmp_path / "ours.weights.h5")
    models[1].load_weights(tmp_path / "ours.weights.h5")
    for model, kind in zip(models, (LSTM, keras.layers.LSTM), strict=True):
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        assert type(loaded.layers[0]) is kind
        np.testing.assert_allclose(loaded.predict(sequences, verbose=0), expected, atol=1e-6)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_take_the_way_of_keras(backend):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    code = """
import sys
import keras, numpy as np
from tfts.layers import LSTM
layer = LSTM(5, return_sequences=True)
twin = keras.layers.LSTM(5, return_sequences=True)
sequences = np.ones((2, 3, 7), "float32")
layer(sequences), twin(sequences)
twin.set_weights(layer.get_weights())
ours, theirs = (keras.ops.convert_to_numpy(x(sequences)) for x in (layer, twin))
np.testing.assert_array_equal(ours, theirs)
assert "tfts.layers._block_lstm" not in sys.modules
"""
    subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"},
        check=True,
        timeout=300,
    )
