"""The linear forecast: what every network has to beat."""

import keras

from tfts.models._parts import finish, linear_forecast, normalise, split_known_future, window_inputs

# The settings that a search tries by default, see tfts.tuning.
SPACE = {
    "shared": {"values": [True, False]},
    "window_norm": {"values": ["last", "instance"]},
    "learning_rate": {"min": 3e-4, "max": 3e-2, "log": True},
    "weight_decay": {"min": 1e-5, "max": 1e-1, "log": True},
    "batch_size": {"values": [32, 64, 128]},
}


def linear(
    context_length,
    num_features,
    horizon=1,
    num_targets=1,
    num_known_future=0,
    *,
    shared=True,
    window_norm="last",
    name="linear",
):
    """Builds one linear map from the window to the horizon.

    Args:
        context_length: Int >= 1, rows seen.
        num_features: Int >= 1, columns of `past`; the targets come first.
        horizon: Int >= 1, rows forecast.
        num_targets: Int >= 1.
        num_known_future: Int >= 0, columns known ahead.
        shared: Bool. True maps each target's own window by weights that all
            targets share; False maps the flat window of all features to all
            targets, with weights of their own.
        window_norm: `"none"`, `"last"` (each window less its last value) or
            `"instance"` (less its mean, divided by its standard deviation).
        name: Str.

    Returns:
        Uncompiled `keras.Model` from `past` `(batch, context_length, num_features)`,
        with `num_known_future` from the dict of it and `known_future`
        `(batch, context_length + horizon, num_known_future)`, to the forecast
        `(batch, horizon, num_targets)`.

    Raises:
        ValueError: If a size is out of range or `window_norm` is unknown.

    Example:

    >>> linear(context_length=7, num_features=3, horizon=5).output_shape
    (None, 5, 1)

    Source: Zeng et al., Are Transformers Effective for Time Series Forecasting?, AAAI 2023.
    """
    inputs, past, known = window_inputs(context_length, num_features, horizon, num_targets, num_known_future)
    window, norm = normalise(past, window_norm)
    _, ahead = split_known_future(known, horizon)
    forecast = linear_forecast(window, ahead, horizon, num_targets, "own" if shared else "all", name="map")
    return keras.Model(inputs, finish(forecast, past, norm), name=name)
