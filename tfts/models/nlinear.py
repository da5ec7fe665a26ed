"""NLinear: a linear map of the window less its last value."""

import keras

from tfts.models._parts import finish, linear_forecast, normalise, split_known_future, window_inputs

# The settings that a search tries by default, see tfts.tuning.
SPACE = {
    "individual": {"values": [False, True]},
    "learning_rate": {"min": 3e-4, "max": 3e-2, "log": True},
    "weight_decay": {"min": 1e-5, "max": 1e-1, "log": True},
    "batch_size": {"values": [32, 64, 128]},
}


def nlinear(
    context_length,
    num_features,
    horizon=1,
    num_targets=1,
    num_known_future=0,
    *,
    individual=False,
    name="nlinear",
):
    """Builds NLinear: one linear map of each target's window less its last value.

    Without `individual` this is `linear` as it comes by default. The weights
    start at zero, which is the last value repeated.

    Args:
        context_length: Int >= 1, rows seen.
        num_features: Int >= 1, columns of `past`; the targets come first.
        horizon: Int >= 1, rows forecast.
        num_targets: Int >= 1.
        num_known_future: Int >= 0, columns known ahead.
        individual: Bool. False maps the targets by weights that all share, True
            by weights for each target. Either way a target is forecast from its
            own window alone.
        name: Str.

    Returns:
        Uncompiled `keras.Model` from `past` `(batch, context_length, num_features)`,
        with `num_known_future` from the dict of it and `known_future`
        `(batch, context_length + horizon, num_known_future)`, to the forecast
        `(batch, horizon, num_targets)`.

    Raises:
        ValueError: If a size is out of range.

    Example:

    >>> nlinear(context_length=7, num_features=3, horizon=5).count_params()
    40

    Source: Zeng et al., Are Transformers Effective for Time Series Forecasting?, AAAI 2023.
    """
    inputs, past, known = window_inputs(context_length, num_features, horizon, num_targets, num_known_future)
    window, norm = normalise(past, "last")
    _, ahead = split_known_future(known, horizon)
    weights = "individual" if individual else "own"
    forecast = linear_forecast(window, ahead, horizon, num_targets, weights, name="map")
    return keras.Model(inputs, finish(forecast, past, norm), name=name)
