"""A transformer over stretches of each target's window."""

import keras
from keras import ops

from tfts.layers import Patches, PositionEmbedding
from tfts.layers._checks import check_positive_int
from tfts.models._parts import (
    add_linear_skip,
    check_heads,
    encoder_block,
    finish,
    normalise,
    split_known_future,
    window_inputs,
)

# The settings that a search tries by default, see tfts.tuning.
SPACE = {
    "units": {"values": [16, 32, 64, 128]},
    "num_heads": {"values": [2, 4, 8], "divides": "units"},
    "num_layers": {"values": [1, 2, 3]},
    "feedforward_units": {"values": [64, 128, 256]},
    "dropout": {"values": [0.0, 0.1, 0.2]},
    "window_norm": {"values": ["last", "instance"]},
    "learning_rate": {"min": 1e-4, "max": 1e-2, "log": True},
    "batch_size": {"values": [32, 64, 128]},
}


def patch_transformer(
    context_length,
    num_features,
    horizon=1,
    num_targets=1,
    num_known_future=0,
    *,
    units=32,
    num_heads=4,
    num_layers=2,
    feedforward_units=64,
    patch_length=None,
    stride=None,
    dropout=0.1,
    window_norm="last",
    linear_skip="all",
    name="patch_transformer",
):
    """Builds a transformer whose tokens are patches of one target's window.

    Every target is forecast from its own window, by weights that all targets share.
    Features that are no targets are seen by `linear_skip="all"` alone. Of the columns
    known ahead the rows of a patch are embedded with it, and those of the horizon
    are seen by the head. Blocks are normalised by layer, where the paper does so by batch.

    Args:
        context_length: Int >= 1, rows seen.
        num_features: Int >= 1, columns of `past`; the targets come first.
        horizon: Int >= 1, rows forecast.
        num_targets: Int >= 1.
        num_known_future: Int >= 0, columns known ahead.
        units: Int >= 1, the width of a token; a multiple of `num_heads`.
        num_heads: Int >= 1, attention heads.
        num_layers: Int >= 1, blocks of the encoder.
        feedforward_units: Int >= 1, the width of each feed-forward block.
        patch_length: Int >= 1, rows of a patch, at most `context_length`.
            Default: a quarter of the context, at most 16.
        stride: Int from 1 to `patch_length`, rows from one patch to the next.
            Default: half of a patch.
        dropout: Float in [0, 1), the share dropped in training from attention
            scores, after every block and before the head.
        window_norm: `"none"`, `"last"` (each window less its last value) or
            `"instance"` (less its mean, divided by its standard deviation).
        linear_skip: Adds a linear forecast, so that the network learns what that
            one misses: `"own"` from each target's own window, `"all"` from the
            windows of all features, `"none"` adds nothing.
        name: Str.

    Returns:
        Uncompiled `keras.Model` from `past` `(batch, context_length, num_features)`,
        with `num_known_future` from the dict of it and `known_future`
        `(batch, context_length + horizon, num_known_future)`, to the forecast
        `(batch, horizon, num_targets)`. Its attention scores `(batch, heads,
        context_length, context_length)` say how much the patches that hold a row
        (query) look at those that hold each other (key), the mean over the targets.

    Raises:
        ValueError: If a size is out of range, `units` is no multiple of `num_heads`, or
            `window_norm` or `linear_skip` is unknown.

    Example:

    >>> patch_transformer(context_length=11, num_features=3, horizon=5, patch_length=4).output_shape
    (None, 5, 1)

    Source: Nie et al., A Time Series is Worth 64 Words: Long-term Forecasting with
    Transformers, ICLR 2023.
    """
    inputs, past, known = window_inputs(context_length, num_features, horizon, num_targets, num_known_future)
    check_heads(units, num_heads)
    check_positive_int(num_layers=num_layers, feedforward_units=feedforward_units)
    patch_length = min(16, max(1, context_length // 4)) if patch_length is None else patch_length
    cut = {"length": patch_length, "stride": max(1, patch_length // 2) if stride is None else stride}
    window, norm = normalise(past, window_norm)
    context, ahead = split_known_future(known, horizon)
    patches = Patches(**cut, name="patches")(window[..., :num_targets])
    num_patches = patches.shape[2]
    tokens = keras.layers.Dense(units, name="embedding")(patches)
    if context is not None:
        beside = keras.layers.Permute((2, 1, 3), name="known_rows")(
            Patches(**cut, name="known_patches")(context)
        )
        beside = keras.layers.Reshape((1, num_patches, -1), name="known_flat_patches")(beside)
        beside = keras.layers.Dense(units, use_bias=False, name="known_embedding")(beside)
        tokens = keras.layers.Add(name="tokens")([tokens, beside])
    # The targets of a window become windows of their own.
    tokens = ops.reshape(tokens, (-1, num_patches, units))
    tokens = PositionEmbedding(name="position")(tokens)
    for i in range(num_layers):
        attention = "patch_attention" if i == num_layers - 1 else None
        tokens = encoder_block(tokens, num_heads, feedforward_units, dropout, f"encoder_{i}", attention)
    flat = ops.reshape(tokens, (-1, num_targets, num_patches * units))
    if dropout:
        flat = keras.layers.Dropout(dropout, name="head_dropout")(flat)
    forecast = keras.layers.Dense(horizon, kernel_initializer="zeros", dtype="float32", name="head")(flat)
    if ahead is not None:
        beside = keras.layers.Reshape((1, -1), name="known_flat")(ahead)
        beside = keras.layers.Dense(
            horizon, use_bias=False, kernel_initializer="zeros", dtype="float32", name="known_head"
        )(beside)
        forecast = keras.layers.Add(dtype="float32", name="with_known")([forecast, beside])
    forecast = keras.layers.Permute((2, 1), dtype="float32", name="columns")(forecast)
    forecast = add_linear_skip(forecast, linear_skip, window, ahead)
    return keras.Model(inputs, finish(forecast, past, norm), name=name)
