"""An LSTM over the window, self-attention over its steps, and a dense head."""

import keras

from tfts.layers import SelfAttention
from tfts.models._parts import (
    add_linear_skip,
    finish,
    join,
    lstm_stack,
    normalise,
    split_known_future,
    window_inputs,
)

# The settings that a search tries by default, see tfts.tuning.
SPACE = {
    "units": {"values": [32, 50, 64, 96, 128]},
    "num_layers": {"values": [1, 2]},
    "dropout": {"values": [0.0, 0.1, 0.2]},
    "window_norm": {"values": ["last", "instance"]},
    "learning_rate": {"min": 1e-4, "max": 1e-2, "log": True},
    "batch_size": {"values": [32, 64, 128]},
}


def lstm_attention(
    context_length,
    num_features,
    horizon=1,
    num_targets=1,
    num_known_future=0,
    *,
    units=50,
    attention_units=None,
    num_layers=1,
    dropout=0.0,
    window_norm="last",
    linear_skip="all",
    name="lstm_attention",
):
    """Builds an LSTM with self-attention: LSTM, SelfAttention, Flatten, Dense.

    Args:
        context_length: Int >= 1, rows seen.
        num_features: Int >= 1, columns of `past`; the targets come first.
        horizon: Int >= 1, rows forecast.
        num_targets: Int >= 1.
        num_known_future: Int >= 0, columns known ahead.
        units: Int >= 1, the width of the LSTM.
        attention_units: Int >= 1, the width of query, key and value. Default: `units`.
        num_layers: Int >= 1, LSTM layers on top of each other.
        dropout: Float in [0, 1), the share of outputs dropped in training
            after every LSTM layer and before the head.
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
        step of the context (query) looks at each other (key).

    Raises:
        ValueError: If a size is out of range or `window_norm` is unknown.

    Example:

    >>> lstm_attention(context_length=7, num_features=3, horizon=5).output_shape
    (None, 5, 1)

    Source: Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 9,
    1997; Vaswani et al., Attention Is All You Need, NeurIPS 2017.
    """
    inputs, past, known = window_inputs(context_length, num_features, horizon, num_targets, num_known_future)
    window, norm = normalise(past, window_norm)
    context, ahead = split_known_future(known, horizon)
    encoded = lstm_stack(join([window, context], "encoder_inputs"), units, num_layers, dropout)
    attended, _ = SelfAttention(attention_units, name="attention")(encoded, return_attention_scores=True)
    flat = keras.layers.Flatten(name="flat")(attended)
    if dropout:
        flat = keras.layers.Dropout(dropout, name="head_dropout")(flat)
    if ahead is not None:
        flat = join([flat, keras.layers.Flatten(dtype="float32", name="known_flat")(ahead)], "head_inputs")
    forecast = keras.layers.Dense(
        horizon * num_targets, kernel_initializer="zeros", dtype="float32", name="head"
    )(flat)
    forecast = keras.layers.Reshape((horizon, num_targets), dtype="float32", name="steps")(forecast)
    forecast = add_linear_skip(forecast, linear_skip, window, ahead)
    return keras.Model(inputs, finish(forecast, past, norm), name=name)
