import keras
import numpy as np
import pytest

from tfts.layers import MultiHeadAttention


def _pair(value_dim=None):
    """The layer and Keras's own with the same random weights, biases included."""
    rng = np.random.default_rng(0)
    ours = MultiHeadAttention(num_heads=3, key_dim=5, value_dim=value_dim)
    theirs = keras.layers.MultiHeadAttention(num_heads=3, key_dim=5, value_dim=value_dim)
    ours.build((2, 7, 11), (2, 13, 17), (2, 13, 19))
    theirs.build((2, 7, 11), (2, 13, 17), (2, 13, 19))
    weights = [rng.normal(scale=0.3, size=w.shape) for w in theirs.get_weights()]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    query, value, key = (rng.normal(size=s) for s in ((2, 7, 11), (2, 13, 17), (2, 13, 19)))
    return ours, theirs, [x.astype("float32") for x in (query, value, key)]


def _masks(kind):
    rng = np.random.default_rng(1)
    mask = rng.random((2, 7, 13)) < 0.6
    mask[..., 0] = True  # every row sees something
    padding = np.arange(13)[None, :] < np.array([[13], [4]])
    return {
        "none": {},
        "attention": {"attention_mask": mask},
        "padding": {"value_mask": padding},
        "causal": {"use_causal_mask": True},
        "all": {"attention_mask": mask, "value_mask": padding, "use_causal_mask": True},
    }[kind]


@pytest.mark.parametrize("value_dim", [None, 23])
@pytest.mark.parametrize("kind", ["none", "attention", "padding", "causal", "all"])
def test_values_scores_and_gradients_agree_with_keras(kind, value_dim):
    tf = pytest.importorskip("tensorflow")
    ours, theirs, inputs = _pair(value_dim)
    masks = _masks(kind)
    results = []
    for layer in (ours, theirs):
        tensors = [tf.constant(x) for x in inputs]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            output, scores = layer(*tensors, return_attention_scores=True, **masks)
            loss = tf.reduce_sum(tf.sin(output) + 0.0)
        variables = [v.value for v in layer.trainable_weights]
        results.append([output, scores, *tape.gradient(loss, tensors + variables)])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_the_key_defaults_to_the_value():
    layer = MultiHeadAttention(num_heads=2, key_dim=3)
    rng = np.random.default_rng(0)
    query, value = rng.normal(size=(2, 5, 7)), rng.normal(size=(2, 11, 13))
    np.testing.assert_array_equal(layer(query, value), layer(query, value, value))


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_a_query_that_sees_nothing_gives_zeros_despite_the_bias(policy):
    layer = MultiHeadAttention(num_heads=2, key_dim=3, dtype=policy)
    x = np.random.default_rng(0).normal(size=(2, 5, 7)).astype("float32")
    layer.build(x.shape, x.shape)
    layer.set_weights([np.full(w.shape, 0.5) for w in layer.get_weights()])
    padding = np.array([[True] * 5, [False] * 5])
    output, scores = layer(x, x, value_mask=padding, return_attention_scores=True)
    output, scores = (keras.ops.convert_to_numpy(keras.ops.cast(v, "float32")) for v in (output, scores))
    assert np.abs(output[1]).max() == 0
    assert np.abs(scores[1]).max() == 0
    assert np.isfinite(output).all()
    assert np.abs(output[0]).min() > 0


def test_a_keras_mask_of_the_query_is_passed_on():
    x = np.ones((2, 5, 3))
    x[:, -1] = 0.0
    masked = keras.layers.Masking()(x)
    output = MultiHeadAttention(num_heads=2, key_dim=3)(masked, masked)
    mask = keras.ops.convert_to_numpy(output._keras_mask)
    np.testing.assert_array_equal(mask, [[True] * 4 + [False]] * 2)


@pytest.mark.parametrize("argument", ["num_heads", "key_dim", "value_dim"])
@pytest.mark.parametrize("value", [0, 2.0, True])
def test_sizes_must_be_positive_ints(argument, value):
    sizes = {"num_heads": 2, "key_dim": 3, argument: value}
    with pytest.raises(ValueError, match=rf"`{argument}` must be an int >= 1. Received: {argument}={value}"):
        MultiHeadAttention(**sizes)
