"""A self-attention encoder, and a decoder in which each step of the horizon looks for itself."""

import keras

from tfts.layers import AttentionDecoder, PositionEmbedding
from tfts.models._parts import (
    add_linear_skip,
    encoder_block,
    finish,
    join,
    normalise,
    split_known_future,
    window_inputs,
)

# The settings that a search tries by default, see tfts.tuning.
SPACE = {
    "units": {"values": [32, 64, 96, 128]},
    "num_heads": {"values": [2, 4, 8], "divides": "units"},
    "num_layers": {"values": [1, 2]},
    "feedforward_units": {"values": [64, 128, 256]},
    "dropout": {"values": [0.0, 0.1, 0.2]},
    "window_norm": {"values": ["last", "instance"]},
    "learning_rate": {"min": 1e-4, "max": 1e-2, "log": True},
    "batch_size": {"values": [32, 64, 128]},
}


def attention_seq2seq(
    context_length,
    num_features,
    horizon=1,
    num_targets=1,
    num_known_future=0,
    *,
    units=32,
    num_heads=4,
    num_layers=1,
    feedforward_units=64,
    dropout=0.0,
    position="learned",
    window_norm="last",
    linear_skip="all",
    name="attention_seq2seq",
):
    """Builds an encoder-decoder of attention alone.

    Args:
        context_length: Int >= 1, rows seen.
        num_features: Int >= 1, columns of `past`; the targets come first.
        horizon: Int >= 1, rows forecast.
        num_targets: Int >= 1.
        num_known_future: Int >= 0, columns known ahead.
        units: Int >= 1, the width of the encoder and the decoder; a multiple of `num_heads`.
        num_heads: Int >= 1, attention heads.
        num_layers: Int >= 1, blocks of the encoder.
        feedforward_units: Int >= 1, the width of each feed-forward block.
        dropout: Float in [0, 1), the share dropped in training from attention
            scores and after every block.
        position: `"learned"` or `"sinusoidal"`, how the encoder knows a step's place.
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
        `(batch, horizon, num_targets)`. Its attention scores say how much each
        step of the horizon looks at each step of the context.

    Raises:
        ValueError: If a size is out of range, `units` is no multiple of
            `num_heads`, or `position` or `window_norm` is unknown.

    Example:

    >>> attention_seq2seq(context_length=7, num_features=3, horizon=5).output_shape
    (None, 5, 1)

    Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017.
    """
    inputs, past, known = window_inputs(context_length, num_features, horizon, num_targets, num_known_future)
    window, norm = normalise(past, window_norm)
    context, ahead = split_known_future(known, horizon)
    encoded = keras.layers.Dense(units, name="projection")(join([window, context], "encoder_inputs"))
    encoded = PositionEmbedding(position, name="position")(encoded)
    for i in range(num_layers):
        encoded = encoder_block(encoded, num_heads, feedforward_units, dropout, f"encoder_{i}")
    decoded, _ = AttentionDecoder(horizon, num_heads, feedforward_units, dropout=dropout, name="decoder")(
        encoded, known_future=ahead
    )
    forecast = keras.layers.Dense(num_targets, kernel_initializer="zeros", dtype="float32", name="head")(
        decoded
    )
    forecast = add_linear_skip(forecast, linear_skip, window, ahead)
    return keras.Model(inputs, finish(forecast, past, norm), name=name)
