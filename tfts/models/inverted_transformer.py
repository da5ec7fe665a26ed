"""A transformer whose tokens are columns, not rows."""

import keras

from tfts.layers._checks import check_positive_int
from tfts.models._parts import (
    VARIABLE_ATTENTION,
    add_linear_skip,
    check_heads,
    encoder_block,
    finish,
    join,
    normalise,
    split_known_future,
    window_inputs,
)

# The settings that a search tries by default, see tfts.tuning.
SPACE = {
    "units": {"values": [32, 64, 128, 256]},
    "num_heads": {"values": [2, 4, 8], "divides": "units"},
    "num_layers": {"values": [1, 2, 3]},
    "feedforward_units": {"values": [64, 128, 256]},
    "dropout": {"values": [0.0, 0.1, 0.2]},
    "window_norm": {"values": ["last", "instance"]},
    "learning_rate": {"min": 1e-4, "max": 1e-2, "log": True},
    "batch_size": {"values": [32, 64, 128]},
}


def inverted_transformer(
    context_length,
    num_features,
    horizon=1,
    num_targets=1,
    num_known_future=0,
    *,
    units=64,
    num_heads=4,
    num_layers=2,
    feedforward_units=64,
    dropout=0.1,
    window_norm="last",
    linear_skip="all",
    name="inverted_transformer",
):
    """Builds a transformer that attends over variables.

    The whole window of a column is one token, so attention tells which columns matter
    to each other. A column known ahead is a token of its context and its horizon
    together. In the last block the targets alone look: of the others no forecast is made.

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
        dropout: Float in [0, 1), the share dropped in training from attention
            scores and after the embedding and every block.
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
        `(batch, horizon, num_targets)`. Its attention scores `(batch, heads, num_targets,
        num_features + num_known_future)` say how much each target looks at each column:
        those of `past`, then those known ahead.

    Raises:
        ValueError: If a size is out of range, `units` is no multiple of `num_heads`, or
            `window_norm` or `linear_skip` is unknown.

    Example:

    >>> inverted_transformer(context_length=7, num_features=3, horizon=5).output_shape
    (None, 5, 1)

    Source: Liu et al., iTransformer: Inverted Transformers Are Effective for Time Series
    Forecasting, ICLR 2024.
    """
    inputs, past, known = window_inputs(context_length, num_features, horizon, num_targets, num_known_future)
    check_heads(units, num_heads)
    check_positive_int(num_layers=num_layers, feedforward_units=feedforward_units)
    window, norm = normalise(past, window_norm)
    _, ahead = split_known_future(known, horizon)
    tokens = _embedded(window, units, "embedding")
    if known is not None:
        tokens = join([tokens, _embedded(known, units, "known_embedding")], "tokens", axis=1)
    if dropout:
        tokens = keras.layers.Dropout(dropout, name="tokens_dropout")(tokens)
    for i in range(num_layers):
        last = {"attention": VARIABLE_ATTENTION, "queries": num_targets} if i == num_layers - 1 else {}
        tokens = encoder_block(tokens, num_heads, feedforward_units, dropout, f"encoder_{i}", **last)
    tokens = keras.layers.LayerNormalization(name="norm")(tokens)
    forecast = keras.layers.Dense(horizon, kernel_initializer="zeros", dtype="float32", name="head")(tokens)
    forecast = keras.layers.Permute((2, 1), dtype="float32", name="columns")(forecast)
    forecast = add_linear_skip(forecast, linear_skip, window, ahead)
    return keras.Model(inputs, finish(forecast, past, norm), name=name)


def _embedded(rows, units, name):
    """A token for each column, `(batch, columns, units)`."""
    return keras.layers.Dense(units, name=name)(keras.layers.Permute((2, 1), name=f"{name}_rows")(rows))
