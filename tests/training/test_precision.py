import sys
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfts.forecaster import Forecaster
from tfts.models import tcn
from tfts.training.precision import PRECISIONS, dtype_policy, suits_bfloat16, training_policies
from tfts.tuning.window_trials import WindowTrials

CONTEXT, HORIZON = 11, 3
# Of each kind of network a small one, a layer that is to compute in half precision (None: there is
# none), and how far its forecasts may be from those of a training in float32, in standard
# deviations: three times what was measured.
NETWORKS = {
    "linear": ({}, None, 0.0),
    "lstm_attention": ({"units": 4, "linear_skip": "none"}, "attention", 2e-4),
    "attention_seq2seq": (
        {"units": 4, "num_heads": 2, "feedforward_units": 4, "linear_skip": "none"},
        "projection",
        8e-4,
    ),
    "tcn": ({"units": 4, "num_layers": 1, "linear_skip": "none"}, "block_0_convolution_0", 1.2e-2),
}


def table():
    hours = np.arange(151)
    noise = np.random.default_rng(7).normal(0, 0.1, 151)
    return pd.DataFrame(
        {"load": 1000 + 20 * np.sin(hours * 2 * np.pi / 24) + noise, "price": np.cos(hours)},
        index=pd.date_range("2024-01-01", periods=151, freq="h"),
    )


class Watch(keras.callbacks.Callback):
    """Notes what the network computes in while it is trained."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def on_epoch_end(self, epoch, logs=None):
        past = np.zeros((1, CONTEXT, 2), "float32")
        inner = keras.Model(self.model.input, self.model.get_layer(self.layer).output)
        self.inside = {tensor.dtype.name for tensor in keras.tree.flatten(inner(past))}
        self.output = self.model(past).dtype.name
        self.variables = {v.dtype for v in [*self.model.variables, *self.model.optimizer.variables]}
        self.loss = logs["loss"]


def fit(model, precision, options=None, callbacks=()):
    forecaster = Forecaster(
        model, context_length=CONTEXT, horizon=HORIZON, targets=["load"], model_options=options
    )
    return forecaster.fit(
        table(),
        epochs=2,
        batch_size=32,
        learning_rate=0.001,
        precision=precision,
        callbacks=list(callbacks),
        verbose=0,
    )


@pytest.mark.parametrize("model", NETWORKS)
def test_a_network_is_trained_in_half_precision_and_kept_in_float32(model, tmp_path):
    options, layer, tolerance = NETWORKS[model]
    watch = Watch(layer or "forecast")
    fitted = fit(model, "mixed_bfloat16", options, [watch])
    assert watch.inside == {"float32" if layer is None else "bfloat16"}
    assert watch.output == "float32"
    # Counters are ints.
    assert {kind for kind in watch.variables if "float" in kind} == {"float32"}
    assert np.isfinite(watch.loss)
    assert {layer.compute_dtype for layer in fitted.model.layers} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    # 128 training rows are 115 windows, 4 steps in each of 2 epochs.
    assert int(fitted.model.optimizer.iterations) == 8

    forecasts = fitted.predict(table())["load"]
    exact = fit(model, "float32", options)
    off = np.abs(forecasts - exact.predict(table())["load"]).max() / np.std(table()["load"])
    assert off <= tolerance
    assert (off > 0) == (tolerance > 0)

    fitted.save(tmp_path / "model")
    loaded = Forecaster.load(tmp_path / "model")
    pd.testing.assert_series_equal(loaded.predict(table())["load"], forecasts, check_exact=True)


def test_windows_of_a_search_are_kept_in_float32_too(tmp_path):
    past, future = np.random.default_rng(0).normal(size=(2, 13, 7, 1)).astype("float32")
    windows = tf.data.Dataset.from_tensors((past, future[:, :2]))
    training = {"epochs": 1, "precision": "mixed_bfloat16"}
    options = {"units": 3, "num_layers": 1}
    trials = WindowTrials("tcn", (windows, windows), training, options)
    trials.check({})
    assert trials.compiled({}, seed=0)[0][0].get_layer("block_0_convolution_0").compute_dtype == "bfloat16"
    trials.fit({}, part=0, seed=0).keep(tmp_path)
    kept = keras.models.load_model(tmp_path / "model.keras")
    for network in (kept, trials.refit({}, epochs=1, seed=0)):
        assert {layer.compute_dtype for layer in network.layers} == {"float32"}
    with pytest.raises(ValueError, match="Unknown precision 'bfloat16'"):
        WindowTrials("tcn", (windows, windows), {"precision": "bfloat16"}).check({})


def ends_in_half(task, output_dtype=None):
    past = keras.Input((task.context_length, task.num_features), name="past")
    flat = keras.layers.Dense(task.horizon)(keras.layers.Flatten()(past))
    steps = keras.layers.Reshape((task.horizon, 1), dtype=output_dtype, name="steps")(flat)
    return keras.Model(past, steps, name="halved")


def test_a_builder_of_the_users_must_end_in_float32():
    with pytest.raises(ValueError, match=r"'halved' must give float32.*output of dtype bfloat16"):
        fit(ends_in_half, "mixed_bfloat16")
    watch = Watch("steps")
    fitted = fit(ends_in_half, "mixed_bfloat16", {"output_dtype": "float32"}, [watch])
    assert watch.output == "float32"
    assert fitted.model.get_layer("steps").compute_dtype == "float32"


def test_the_users_policy_is_put_back_after_an_error():
    def broken(*sizes):
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        raise RuntimeError("no network today")

    with pytest.raises(RuntimeError, match="no network today"):
        fit(broken, "mixed_bfloat16")
    assert keras.config.dtype_policy().name == "float32"


def test_a_policy_of_the_users_is_left_alone():
    with dtype_policy("mixed_float16"):
        own = keras.config.dtype_policy()
        assert training_policies("auto", "tcn") == (own, own)
        assert training_policies("float32", "tcn") == ("float32", "float32")


@pytest.mark.parametrize("name", ["bfloat16", "mixed_float16", None])
def test_an_unknown_precision_is_refused(name):
    with pytest.raises(
        ValueError, match=f"Unknown precision {name!r}. Expected one of: auto, float32, mixed"
    ):
        fit("linear", name)


@pytest.mark.parametrize("network", ["linear", ends_in_half])
def test_without_accelerators_nothing_changes(network):
    float32 = keras.config.dtype_policy()
    assert training_policies("auto", network) == (float32, float32)
    assert float32.name == "float32"


@pytest.mark.parametrize(
    ("devices", "suited"),
    [
        ([], False),
        ([("GPU", (7, 0))], False),
        ([("GPU", (7, 5))], False),
        ([("GPU", (8, 0))], True),
        ([("GPU", (12, 0))], True),
        ([("GPU", (8, 6)), ("GPU", (7, 5))], False),
        # Neither NVIDIA's nor a TPU.
        ([("GPU", None)], False),
        ([("TPU", None)], True),
    ],
)
def test_bfloat16_is_for_devices_that_are_quick_with_it(devices, suited, monkeypatch):
    assert suits_bfloat16(devices) is suited
    gpus = [capability for kind, capability in devices if kind == "GPU"]
    tpus = [None] * (len(devices) - len(gpus))
    config = tf.config
    monkeypatch.setattr(config, "get_visible_devices", lambda kind: {"GPU": gpus}[kind])
    monkeypatch.setattr(config, "list_logical_devices", lambda kind: {"TPU": tpus}[kind])
    monkeypatch.setattr(
        config.experimental, "get_device_details", lambda gpu: {"compute_capability": gpu} if gpu else {}
    )
    chosen = training_policies("auto", "tcn")[0]
    assert (chosen == "mixed_bfloat16") is suited
    # Which layers of a user's network need float32 is not known.
    assert training_policies("auto", tcn)[0] == keras.config.dtype_policy()


@pytest.mark.parametrize(
    ("platform", "capability", "suited"),
    [
        ("cpu", None, False),
        ("gpu", "7.5", False),
        ("gpu", "8.9", True),
        ("gpu", "gfx90a", False),
        ("tpu", None, True),
    ],
)
def test_jax_is_asked_for_its_devices(platform, capability, suited, monkeypatch):
    device = SimpleNamespace(platform=platform, **({"compute_capability": capability} if capability else {}))
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(devices=lambda: [device]))
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert (training_policies("auto", "tcn")[0] == "mixed_bfloat16") is suited


@pytest.mark.parametrize(
    ("kind", "capability", "suited"), [("cpu", None, False), ("cuda", (7, 0), False), ("cuda", (9, 0), True)]
)
def test_pytorch_is_asked_for_its_device(kind, capability, suited, monkeypatch):
    cuda = SimpleNamespace(get_device_capability=lambda device: capability)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    monkeypatch.setattr(keras.ops, "zeros", lambda shape: SimpleNamespace(device=SimpleNamespace(type=kind)))
    assert (training_policies("auto", "tcn")[0] == "mixed_bfloat16") is suited


def test_the_options_know_every_precision():
    from typing import get_args

    from tfts.training import TrainingSettings

    assert get_args(TrainingSettings.model_fields["precision"].annotation) == PRECISIONS
