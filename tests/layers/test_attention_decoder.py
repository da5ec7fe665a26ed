import time

import keras
import numpy as np
import pytest

from tfts.layers import AttentionDecoder


def _inputs(horizon=5, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "context": rng.normal(size=(3, 7, 6)).astype("float32"),
        "known_future": rng.normal(size=(3, horizon, 2)).astype("float32"),
    }


def test_every_step_has_a_query_of_its_own():
    _, scores = AttentionDecoder(horizon=5, num_heads=2, feedforward_units=11)(_inputs()["context"])
    scores = np.asarray(scores)
    np.testing.assert_allclose(scores.sum(-1), np.ones((3, 2, 5)), rtol=1e-5)
    for one in range(5):
        for other in range(one):
            assert np.abs(scores[:, :, one] - scores[:, :, other]).max() > 1e-3


def test_a_step_sees_the_known_columns_up_to_its_own():
    layer, inputs = AttentionDecoder(horizon=5, num_heads=2, feedforward_units=11), _inputs()
    base = np.asarray(layer(**inputs)[0])
    inputs["known_future"][:, 3] += 1.0
    changed = np.asarray(layer(**inputs)[0])
    np.testing.assert_array_equal(base[:, :3], changed[:, :3])
    assert np.abs(base[:, 3:] - changed[:, 3:]).max(axis=(0, 2)).min() > 1e-4


def test_dropout_acts_in_training_alone():
    layer, inputs = AttentionDecoder(horizon=5, num_heads=2, feedforward_units=11, dropout=0.5), _inputs()
    np.testing.assert_array_equal(layer(**inputs)[0], layer(**inputs)[0])
    quiet, dropped = layer(**inputs)[0], layer(**inputs, training=True)[0]
    assert np.abs(np.asarray(quiet) - np.asarray(dropped)).max() > 0.1


def test_a_horizon_of_720_builds_in_seconds():
    context = keras.Input((7, 6))
    start = time.perf_counter()
    output, scores = AttentionDecoder(horizon=720, num_heads=2, feedforward_units=11)(context)
    keras.Model(context, output).predict(np.ones((2, 7, 6)), verbose=0)
    assert time.perf_counter() - start < 30
    assert scores.shape == (None, 2, 720, 7)


def test_the_heads_must_share_the_width_evenly():
    with pytest.raises(
        ValueError, match=r"must be a multiple of `num_heads`.*Received: width 6, num_heads=5"
    ):
        AttentionDecoder(horizon=5, num_heads=5, feedforward_units=11)(np.ones((3, 7, 6)))


@pytest.mark.parametrize("argument", ["horizon", "num_heads", "feedforward_units"])
def test_sizes_must_be_positive_ints(argument):
    sizes = {"horizon": 5, "num_heads": 2, "feedforward_units": 11, argument: 0}
    with pytest.raises(ValueError, match=rf"`{argument}` must be an int >= 1. Received: {argument}=0"):
        AttentionDecoder(**sizes)
