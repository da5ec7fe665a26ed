"""DLinear: a linear map of the trend, and one of what is left."""

import keras

from tfts.layers import SeriesDecomposition
from tfts.models._parts import finish, linear_forecast, normalise, split_known_future, window_inputs

# The settings that a search tries by default, see tfts.tuning.
SPACE = {
    "individual": {"values": [False, True]},
    "kernel_size": {"values": [13, 25, 49]},
    "window_norm": {"values": ["none", "last", "instance"]},
    "learning_rate": {"min": 3e-4, "max": 3e-2, "log": True},
    "weight_decay": {"min": 1e-5, "max": 1e-1, "log": True},
    "batch_size": {"values": [32, 64, 128]},
}


def dlinear(
    context_length,
    num_features,
    horizon=1,
    num_targets=1,
    num_known_future=0,
    *,
    individual=False,
    kernel_size=25,
    window_norm="none",
    name="dlinear",
):
    """Builds DLinear: linear maps of the trend of each target's window and of what is left.

    The trend is a moving average in which the window's ends are repeated. The
    weights start at zero. The paper takes the window as it is; on a series whose
    level drifts `window_norm="last"` forecasts better.

    Args:
        context_length: Int >= 1, rows seen.
        num_features: Int >= 1, columns of `past`; the targets come first.
        horizon: Int >= 1, rows forecast.
        num_targets: Int >= 1.
        num_known_future: Int >= 0, columns known ahead.
        individual: Bool. False maps the targets by weights that all share, True
            by weights for each target. Either way a target is forecast from its
            own window alone.
        kernel_size: Odd int >= 1, rows of the moving average. About one season.
        window_norm: `"none"`, `"last"` (each window less its last value) or
            `"instance"` (less its mean, divided by its standard deviation).
        name: Str.

    Returns:
        Uncompiled `keras.Model` from `past` `(batch, context_length, num_features)`,
        with `num_known_future` from the dict of it and `known_future`
        `(batch, context_length + horizon, num_known_future)`, to the forecast
        `(batch, horizon, num_targets)`.

    Raises:
        ValueError: If a size is out of range, `kernel_size` is even or `window_norm` is unknown.

    Example:

    >>> dlinear(context_length=7, num_features=3, horizon=5).count_params()
    80

    Source: Zeng et al., Are Transformers Effective for Time Series Forecasting?, AAAI 2023.
    """
    inputs, past, known = window_inputs(context_length, num_features, horizon, num_targets, num_known_future)
    window, norm = normalise(past, window_norm)
    _, ahead = split_known_future(known, horizon)
    trend, remainder = SeriesDecomposition(kernel_size, dtype="float32", name="decomposition")(window)
    weights = "individual" if individual else "own"
    forecast = keras.layers.Add(dtype="float32", name="parts")(
        [
            linear_forecast(trend, None, horizon, num_targets, weights, name="trend"),
            linear_forecast(remainder, ahead, horizon, num_targets, weights, name="remainder"),
        ]
    )
    return keras.Model(inputs, finish(forecast, past, norm), name=name)
