import keras
import numpy as np
import pytest

from tfts.layers import ScaledDotProductAttention


def test_scores_are_the_softmax_of_scaled_products():
    query = np.array([[[2.0, 0.0, 0.0, 0.0]]])
    key = np.array([[[np.log(3.0), 5.0, 0.0, 0.0], [0.0, 0.0, 7.0, 0.0]]])
    value = np.array([[[8.0], [4.0]]])
    output, scores = ScaledDotProductAttention()(query, value, key, return_attention_scores=True)
    # Logits 2 ln 3 / sqrt(4) = ln 3 and 0, so the weights are 3/4 and 1/4.
    np.testing.assert_allclose(scores, [[[0.75, 0.25]]], rtol=1e-6)
    np.testing.assert_allclose(output, [[[7.0]]], rtol=1e-6)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_a_row_that_sees_nothing_is_zero(policy):
    rng = np.random.default_rng(0)
    query, value = rng.normal(size=(2, 3, 5)), rng.normal(size=(2, 7, 5))
    mask = np.ones((2, 3, 7), bool)
    mask[1, 2] = False
    output, scores = ScaledDotProductAttention(dtype=policy)(
        query, value, attention_mask=mask, return_attention_scores=True
    )
    output, scores = (keras.ops.convert_to_numpy(keras.ops.cast(x, "float32")) for x in (output, scores))
    assert np.abs(output[1, 2]).max() == 0
    np.testing.assert_allclose(scores.sum(-1), [[1, 1, 1], [1, 1, 0]], atol=0.01)
    assert np.isfinite(output).all()


def test_gradients_of_a_row_that_sees_nothing_are_finite():
    tf = pytest.importorskip("tensorflow")
    query, value = tf.ones((1, 2, 3)), tf.ones((1, 5, 3))
    with tf.GradientTape() as tape:
        tape.watch([query, value])
        loss = tf.reduce_sum(ScaledDotProductAttention()(query, value, value_mask=np.zeros((1, 5), bool)))
    for gradient in tape.gradient(loss, [query, value]):
        np.testing.assert_array_equal(gradient, np.zeros(gradient.shape))


def test_float16_does_not_overflow_on_large_products():
    query = np.full((1, 2, 64), 50.0)
    # 64 * 50 * 50 = 160000 is above the largest float16; divided by 8 it is not.
    output = ScaledDotProductAttention(dtype="float16")(query, query)
    np.testing.assert_allclose(output, np.full((1, 2, 64), 50.0))


def test_causal_mask_hides_later_keys():
    x = np.random.default_rng(0).normal(size=(2, 5, 3))
    _, scores = ScaledDotProductAttention()(x, x, use_causal_mask=True, return_attention_scores=True)
    scores = keras.ops.convert_to_numpy(scores)
    assert np.abs(np.triu(scores, 1)).max() == 0
    assert np.tril(scores).min(axis=-1).max() >= 0
    np.testing.assert_allclose(scores.sum(-1), np.ones((2, 5)), rtol=1e-6)


def test_scores_are_those_before_dropout():
    x = np.random.default_rng(0).normal(size=(2, 5, 3))
    layer = ScaledDotProductAttention(dropout=0.9)
    quiet, scores = layer(x, x, return_attention_scores=True)
    dropped, scores_in_training = layer(x, x, return_attention_scores=True, training=True)
    np.testing.assert_array_equal(scores, scores_in_training)
    assert np.abs(np.asarray(quiet) - np.asarray(dropped)).max() > 0.1


def test_one_mask_serves_all_heads():
    rng = np.random.default_rng(0)
    query, value = rng.normal(size=(2, 3, 5, 7)), rng.normal(size=(2, 3, 11, 7))
    mask = rng.random((2, 5, 11)) < 0.5
    layer = ScaledDotProductAttention()
    for_all = layer(query, value, attention_mask=mask)
    for_each = layer(query, value, attention_mask=np.repeat(mask[:, None], 3, axis=1))
    np.testing.assert_array_equal(for_all, for_each)


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_dropout_outside_its_range_is_an_error(dropout):
    with pytest.raises(ValueError, match=r"`dropout` is the share of units to drop .* Received: dropout="):
        ScaledDotProductAttention(dropout=dropout)
