import keras
import numpy as np
import pytest

from tfts.layers import SelfAttention


def _layer(x, query, key, value):
    layer = SelfAttention(units=query.shape[1])
    layer.build(x.shape)
    layer.set_weights([query, key, value])
    return layer


def test_steps_are_mixed_by_the_softmax_of_their_products():
    x = np.array([[[1.0], [2.0]]])
    log2 = np.log(2.0)
    layer = _layer(x, np.array([[log2]]), np.array([[1.0]]), np.array([[3.0]]))
    output, scores = layer(x, return_attention_scores=True)
    # Row 1: logits ln 2 * (1, 2), weights (2, 4) / 6. Row 2: 2 ln 2 * (1, 2), weights (4, 16) / 20.
    np.testing.assert_allclose(scores, [[[1 / 3, 2 / 3], [1 / 5, 4 / 5]]], rtol=1e-5)
    # Values are 3 and 6.
    np.testing.assert_allclose(output, [[[5.0], [5.4]]], rtol=1e-5)


def test_units_default_to_the_number_of_features():
    assert tuple(SelfAttention()(np.ones((2, 5, 3))).shape) == (2, 5, 3)


def test_weights_are_three_glorot_kernels_without_bias():
    layer = SelfAttention(units=101)
    layer.build((2, 5, 103))
    assert [w.shape for w in layer.get_weights()] == [(103, 101)] * 3
    # Glorot uniform: the bound is sqrt(6 / (in + out)), its deviation bound / sqrt(3).
    bound = np.sqrt(6 / (101 + 103))
    for kernel in layer.get_weights():
        assert np.abs(kernel).max() <= bound
        np.testing.assert_allclose(kernel.std(), bound / np.sqrt(3), rtol=0.03)


def test_steps_that_do_not_count_get_zeros():
    output, scores = SelfAttention(units=3)(
        np.ones((1, 5, 2)), mask=np.array([[True, True, True, False, False]]), return_attention_scores=True
    )
    np.testing.assert_allclose(scores[0, :3, :3], np.full((3, 3), 1 / 3), rtol=1e-6)
    assert np.abs(keras.ops.convert_to_numpy(output)[0, 3:]).max() == 0
    assert np.abs(keras.ops.convert_to_numpy(scores)[0, :, 3:]).max() == 0


def test_a_causal_step_does_not_see_later_ones():
    x = np.random.default_rng(0).normal(size=(2, 7, 3))
    later = x.copy()
    later[:, 4:] += 1.0
    layer = SelfAttention(units=5)
    one, other = (np.asarray(layer(v, use_causal_mask=True)) for v in (x, later))
    np.testing.assert_array_equal(one[:, :4], other[:, :4])
    assert np.abs(one[:, 4:] - other[:, 4:]).min() > 0


def test_units_must_be_a_positive_int():
    with pytest.raises(ValueError, match=r"`units` must be an int >= 1. Received: units=0"):
        SelfAttention(units=0)
