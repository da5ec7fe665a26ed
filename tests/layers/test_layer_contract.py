"""What every layer of tfts must do, whatever it computes."""

import inspect
import json

import keras
import numpy as np
import pytest

import tfts.layers
from tfts.layers import (
    LSTM,
    AttentionDecoder,
    CategoryEmbedding,
    LinearInterpolation,
    LSTMDecoder,
    MultiHeadAttention,
    Patches,
    PositionEmbedding,
    ReversibleInstanceNorm,
    ScaledDotProductAttention,
    SegmentGRU,
    Segments,
    SelfAttention,
    SeriesDecomposition,
    WindowSpread,
)

# Name: (how to make it, the shapes it is called with). Every axis has its own prime.
CASES = {
    "AttentionDecoder": (
        lambda **kw: AttentionDecoder(horizon=5, num_heads=2, feedforward_units=11, dropout=0.3, **kw),
        {"context": (3, 7, 26), "known_future": (3, 5, 13)},
    ),
    "CategoryEmbedding": (
        lambda **kw: CategoryEmbedding(num_labels=2, units=5, dropout=0.3, seed=1, **kw),
        {"inputs": (13, 7)},
    ),
    "LSTM": (
        lambda **kw: LSTM(units=5, return_sequences=True, dropout=0.3, **kw),
        {"sequences": (2, 7, 3)},
    ),
    "LSTMDecoder": (
        lambda **kw: LSTMDecoder(
            units=5, horizon=7, num_layers=2, dropout=0.3, teacher_forcing=0.5, width=2, seed=1, **kw
        ),
        {
            "first": (2, 3),
            "states": [(2, 5), (2, 5), (2, 5), (2, 5)],
            "known_future": (2, 7, 11),
            "guess": (2, 7, 3),
            "teacher": (2, 7, 3),
        },
    ),
    "LinearInterpolation": (
        lambda **kw: LinearInterpolation(steps=7, **kw),
        {"inputs": (2, 5, 3)},
    ),
    "MultiHeadAttention": (
        lambda **kw: MultiHeadAttention(num_heads=2, key_dim=3, value_dim=5, dropout=0.3, **kw),
        {"query": (17, 7, 19), "value": (17, 11, 13), "key": (17, 11, 23)},
    ),
    "Patches": (
        lambda **kw: Patches(length=5, stride=3, **kw),
        {"inputs": (2, 11, 7)},
    ),
    "PositionEmbedding": (
        lambda **kw: PositionEmbedding(max_length=11, **kw),
        {"inputs": (2, 7, 3)},
    ),
    "PositionEmbedding-sinusoidal": (
        lambda **kw: PositionEmbedding(kind="sinusoidal", **kw),
        {"inputs": (2, 7, 3)},
    ),
    "ReversibleInstanceNorm": (
        lambda **kw: ReversibleInstanceNorm(affine=True, **kw),
        {"inputs": (2, 7, 3)},
    ),
    "ReversibleInstanceNorm-window": (
        lambda **kw: ReversibleInstanceNorm(center="last", affine=True, epsilon=1e-3, **kw),
        {"inputs": (2, 5, 3), "window": (2, 7, 13)},
    ),
    "ScaledDotProductAttention": (
        lambda **kw: ScaledDotProductAttention(dropout=0.3, **kw),
        {"query": (2, 5, 3), "value": (2, 7, 11), "key": (2, 7, 3)},
    ),
    "ScaledDotProductAttention-heads": (
        lambda **kw: ScaledDotProductAttention(**kw),
        {"query": (2, 13, 5, 3), "value": (2, 13, 7, 3)},
    ),
    "SegmentGRU": (
        lambda **kw: SegmentGRU(units=13, num_ahead=3, **kw),
        {"inputs": (2, 7, 5, 11), "known_ahead": (2, 3, 11)},
    ),
    "Segments": (
        lambda **kw: Segments(length=3, **kw),
        {"inputs": (2, 7, 5)},
    ),
    "Segments-end": (
        lambda **kw: Segments(length=5, end=True, **kw),
        {"inputs": (2, 7, 3)},
    ),
    "SelfAttention": (
        lambda **kw: SelfAttention(units=5, **kw),
        {"inputs": (2, 7, 3)},
    ),
    "SeriesDecomposition": (
        lambda **kw: SeriesDecomposition(kernel_size=5, **kw),
        {"inputs": (2, 7, 3)},
    ),
    "WindowSpread": (
        lambda **kw: WindowSpread(**kw),
        {"inputs": (2, 11, 3)},
    ),
}
SCORED = [name for name in CASES if name.split("-")[0].endswith("Attention")]


def _map(function, shapes):
    return {
        name: [function(s) for s in shape] if isinstance(shape, list) else function(shape)
        for name, shape in shapes.items()
    }


def _draw(shapes, seed=0):
    rng = np.random.default_rng(seed)
    return _map(lambda shape: rng.normal(size=shape).astype("float32"), shapes)


def _symbols(shapes):
    return _map(lambda shape: keras.Input(shape[1:], batch_size=shape[0]), shapes)


def _shapes(outputs):
    return [tuple(x.shape) for x in (outputs if isinstance(outputs, tuple | list) else [outputs])]


def _numbers(outputs):
    outputs = outputs if isinstance(outputs, tuple | list) else [outputs]
    return [keras.ops.convert_to_numpy(keras.ops.cast(x, "float32")) for x in outputs]


def test_every_public_layer_has_a_case():
    assert {name.split("-")[0] for name in CASES} == set(tfts.layers.__all__)


@pytest.mark.parametrize("name", CASES)
def test_symbolic_eager_and_announced_shapes_agree(name):
    make, shapes = CASES[name]
    layer = make()
    announced = (
        layer.compute_output_shape(**_map(tuple, {f"{k}_shape": v for k, v in shapes.items()}))
        if (len(shapes) > 1)
        else layer.compute_output_shape(next(iter(shapes.values())))
    )
    announced = list(announced) if isinstance(announced[0], tuple) else [announced]
    assert _shapes(make()(**_symbols(shapes))) == announced
    assert _shapes(layer(**_draw(shapes))) == announced


@pytest.mark.parametrize("name", SCORED)
def test_symbolic_and_eager_scores_agree(name):
    make, shapes = CASES[name]
    symbolic = make()(**_symbols(shapes), return_attention_scores=True)
    assert _shapes(symbolic) == _shapes(make()(**_draw(shapes), return_attention_scores=True))


@pytest.mark.parametrize("name", CASES)
def test_config_and_weights_make_the_same_layer(name):
    make, shapes = CASES[name]
    layer, inputs = make(), _draw(shapes)
    expected = _numbers(layer(**inputs))
    assert keras.saving.get_registered_name(type(layer)) == f"tfts>{type(layer).__name__}"
    config = json.loads(json.dumps(layer.get_config()))
    twin = type(layer).from_config(config)
    assert twin.get_config() == layer.get_config()
    twin(**inputs)
    twin.set_weights(layer.get_weights())
    for one, other in zip(_numbers(twin(**inputs)), expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", CASES)
def test_one_gradient_step_changes_every_weight(name):
    tf = pytest.importorskip("tensorflow")
    make, shapes = CASES[name]
    layer, inputs = make(), _draw(shapes)
    layer(**inputs)
    training = {"training": True} if "training" in inspect.signature(layer.call).parameters else {}
    with tf.GradientTape() as tape:
        outputs = layer(**inputs, **training)
        outputs = outputs[0] if isinstance(outputs, tuple | list) else outputs
        # Cubed and weighted: a plain sum of normalised outputs is constant.
        weight = np.arange(1, np.prod(outputs.shape) + 1, dtype="float32").reshape(outputs.shape)
        loss = tf.reduce_sum(tf.sin(weight) * outputs**3)
    weights = [v.value for v in layer.trainable_weights]
    before = [w.copy() for w in _numbers(weights)]
    gradients = tape.gradient(loss, weights)
    keras.optimizers.SGD(0.1).apply(gradients, layer.trainable_weights)
    for variable, old in zip(layer.trainable_weights, before, strict=True):
        # A bias of the keys shifts all logits of a row alike: softmax does not see it.
        if not variable.path.endswith("key/bias"):
            assert np.abs(_numbers(variable.value)[0] - old).max() > 0, variable.path


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", CASES)
def test_half_precision_stays_near_single_precision(name, policy):
    make, shapes = CASES[name]
    inputs = _draw(shapes)
    exact, half = make(), make(dtype=policy)
    expected = _numbers(exact(**inputs))
    outputs = half(**inputs)
    half.set_weights(exact.get_weights())
    outputs = half(**inputs)
    for output in outputs if isinstance(outputs, tuple | list) else [outputs]:
        assert keras.backend.standardize_dtype(output.dtype) == policy.removeprefix("mixed_")
    for one, other in zip(_numbers(outputs), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=0.02 if policy == "mixed_float16" else 0.15)


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("AttentionDecoder", "context"),
        ("MultiHeadAttention", "value"),
        ("PositionEmbedding", "inputs"),
        ("ReversibleInstanceNorm", "inputs"),
        ("ReversibleInstanceNorm-window", "window"),
        ("ScaledDotProductAttention", "value"),
        ("ScaledDotProductAttention", "key"),
        ("SelfAttention", "inputs"),
        ("SeriesDecomposition", "inputs"),
    ],
)
def test_masked_steps_do_not_count(name, masked):
    make, shapes = CASES[name]
    layer, inputs = make(), _draw(shapes)
    steps = shapes[masked][1]
    mask = np.arange(steps) < steps - 2
    argument = "mask" if len(shapes) == 1 else f"{masked}_mask"
    padding = np.broadcast_to(mask, shapes[masked][:2])
    extra = {} if name.startswith("Position") else {argument: padding}
    changed = {**inputs, masked: np.where(mask[None, :, None], inputs[masked], 77.0)}
    for one, other in zip(
        _numbers(layer(**inputs, **extra)), _numbers(layer(**changed, **extra)), strict=True
    ):
        if masked == "inputs":
            one, other = one[:, mask], other[:, mask]
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["PositionEmbedding", "ReversibleInstanceNorm", "SelfAttention"])
def test_a_keras_mask_is_used_and_passed_on(name):
    make, shapes = CASES[name]
    inputs = _draw(shapes)["inputs"]
    inputs[:, -2:] = 0.0
    masked = keras.layers.Masking()(inputs)
    layer = make()
    output = layer(masked)
    mask = keras.ops.convert_to_numpy(output._keras_mask)
    np.testing.assert_array_equal(mask, np.arange(7)[None, :] < np.array([[5], [5]]))
    if name != "PositionEmbedding":
        np.testing.assert_allclose(*_numbers([output, layer(inputs, mask=mask)]), rtol=1e-6)


def test_a_keras_mask_of_the_context_does_not_reach_the_horizon():
    make, shapes = CASES["AttentionDecoder"]
    inputs = _draw(shapes)
    inputs["context"][:, :2] = 0.0
    masked = keras.layers.Masking()(inputs["context"])
    output, scores = make()(masked, known_future=inputs["known_future"])
    assert getattr(output, "_keras_mask", None) is None
    assert np.abs(_numbers(scores)[0][..., :2]).max() == 0
