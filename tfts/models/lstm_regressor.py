"""An LSTM over the window, then one head for each target."""

import keras

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


def lstm_regressor(
    context_length,
    num_features,
    horizon=1,
    num_targets=1,
    num_known_future=0,
    *,
    units=50,
    num_layers=1,
    dropout=0.0,
    target_names=None,
    window_norm="last",
    linear_skip="all",
    name="lstm_regressor",
):
    """Builds an LSTM whose last output feeds one dense head for each target.

    Args:
        context_length: Int >= 1, rows seen.
        num_features: Int >= 1, columns of `past`; the targets come first.
        horizon: Int >= 1, rows forecast.
        num_targets: Int >= 1.
        num_known_future: Int >= 0, columns known ahead.
        units: Int >= 1, the width of the LSTM.
        num_layers: Int >= 1, LSTM layers on top of each other.
        dropout: Float in [0, 1), the share of every layer's outputs dropped in training.
        target_names: Sequence of `num_targets` str that name the heads.
            Default: `target_0`, `target_1`, and so on.
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
        `(batch, horizon, num_targets)`.

    Raises:
        ValueError: If a size is out of range, `window_norm` is unknown, or
            `target_names` does not hold one name for each target.

    Example:

    >>> model = lstm_regressor(7, 3, horizon=5, num_targets=2, target_names=("load", "price"))
    >>> model.get_layer("head_load").output.shape
    (None, 5)

    Source: Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 9, 1997.
    """
    inputs, past, known = window_inputs(context_length, num_features, horizon, num_targets, num_known_future)
    if target_names is None:
        target_names = [f"target_{i}" for i in range(num_targets)]
    if len(set(target_names)) != num_targets or len(target_names) != num_targets:
        raise ValueError(
            f"`target_names` must hold {num_targets} different names, one for each target. "
            f"Received: {list(target_names)}."
        )
    window, norm = normalise(past, window_norm)
    context, ahead = split_known_future(known, horizon)
    encoded = lstm_stack(join([window, context], "encoder_inputs"), units, num_layers, dropout)
    encoded = keras.layers.Cropping1D((context_length - 1, 0), dtype="float32", name="last_step")(encoded)
    encoded = keras.layers.Flatten(dtype="float32", name="encoded")(encoded)
    if ahead is not None:
        encoded = join(
            [encoded, keras.layers.Flatten(dtype="float32", name="known_flat")(ahead)], "head_inputs"
        )
    heads = [
        keras.layers.Dense(horizon, kernel_initializer="zeros", dtype="float32", name=f"head_{target}")(
            encoded
        )
        for target in target_names
    ]
    heads = [
        keras.layers.Reshape((horizon, 1), dtype="float32", name=f"column_{target}")(head)
        for target, head in zip(target_names, heads, strict=True)
    ]
    forecast = add_linear_skip(join(heads, "targets"), linear_skip, window, ahead)
    return keras.Model(inputs, finish(forecast, past, norm), name=name)
