"""The linear forecast: what every network has to beat."""

from tfts.models._parts import finish, linear_forecast, window_inputs

# The settings that a search tries by default, see tfts.tuning.
SPACE = {
    "shared": {"values": [True, False]},
    "window_norm": {"values": ["last", "instance"]},
    "learning_rate": {"min": 3e-4, "max": 3e-2, "log": True},
    "weight_decay": {"min": 1e-5, "max": 1e-1, "log": True},
    "batch_size": {"values": [32, 64, 128]},
}


def linear(task, *, shared=True, window_norm="last", name="linear"):
    """Builds one linear map from the window to the horizon.

    Of a task with `masked` it sees what is put in place of missing values, and not the mask.

    Args:
        task: `Task`, what the model is for.
        shared: Bool. True maps each target's own window by weights that all
            targets share; False maps the flat window of all features to all
            targets, with weights of their own.
        window_norm: `"none"`, `"last"` (each window less its last value) or
            `"instance"` (less its mean, divided by its standard deviation).
        name: Str.

    Returns:
        Uncompiled `keras.Model` of the task.

    Raises:
        ValueError: If a setting is out of range or `window_norm` is unknown.

    Example:

    >>> from tfts.task import Task
    >>> linear(Task(context_length=7, horizon=5, past=2)).output_shape
    (None, 5, 1)

    Source: Zeng et al., Are Transformers Effective for Time Series Forecasting?, AAAI 2023.
    """
    window = window_inputs(task, window_norm)
    return finish(window, linear_forecast(window, "own" if shared else "all", name="map"), name)
