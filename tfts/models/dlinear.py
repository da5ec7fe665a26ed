"""DLinear: a linear map of the trend, and one of what is left."""

import keras

from tfts.layers import SeriesDecomposition
from tfts.models._parts import finish, linear_forecast, window_inputs

# The settings that a search tries by default, see tfts.tuning.
SPACE = {
    "individual": {"values": [False, True]},
    "kernel_size": {"values": [13, 25, 49]},
    "window_norm": {"values": ["none", "last", "instance"]},
    "learning_rate": {"min": 3e-4, "max": 3e-2, "log": True},
    "weight_decay": {"min": 1e-5, "max": 1e-1, "log": True},
    "batch_size": {"values": [32, 64, 128]},
}


def dlinear(task, *, individual=False, kernel_size=25, window_norm="none", name="dlinear"):
    """Builds DLinear: linear maps of the trend of each target's window and of what is left.

    The trend is a moving average in which the window's ends are repeated. The
    weights start at zero. The paper takes the window as it is; on a series whose
    level drifts `window_norm="last"` forecasts better.

    Of a task with `masked` it sees what is put in place of missing values, and not the mask.

    Args:
        task: `Task`, what the model is for.
        individual: Bool. False maps the targets by weights that all share, True
            by weights for each target. Either way a target is forecast from its
            own window alone.
        kernel_size: Odd int >= 1, rows of the moving average. About one season.
        window_norm: `"none"`, `"last"` (each window less its last value) or
            `"instance"` (less its mean, divided by its standard deviation).
        name: Str.

    Returns:
        Uncompiled `keras.Model` of the task.

    Raises:
        ValueError: If a setting is out of range, `kernel_size` is even or `window_norm` is unknown.

    Example:

    >>> from tfts.task import Task
    >>> dlinear(Task(context_length=7, horizon=5, past=2)).count_params()
    80

    Source: Zeng et al., Are Transformers Effective for Time Series Forecasting?, AAAI 2023.
    """
    window = window_inputs(task, window_norm)
    trend, remainder = SeriesDecomposition(kernel_size, dtype="float32", name="decomposition")(window.values)
    weights = "individual" if individual else "own"
    raw = keras.layers.Add(dtype="float32", name="parts")(
        [
            linear_forecast(window, weights, name="trend", values=trend, ahead=False),
            linear_forecast(window, weights, name="remainder", values=remainder),
        ]
    )
    return finish(window, raw, name)
