"""NLinear: a linear map of the window less its last value."""

from tfts.models._parts import finish, linear_forecast, window_inputs

# The settings that a search tries by default, see tfts.tuning.
SPACE = {
    "individual": {"values": [False, True]},
    "learning_rate": {"min": 3e-4, "max": 3e-2, "log": True},
    "weight_decay": {"min": 1e-5, "max": 1e-1, "log": True},
    "batch_size": {"values": [32, 64, 128]},
}


def nlinear(task, *, individual=False, name="nlinear"):
    """Builds NLinear: one linear map of each target's window less its last value.

    Without `individual` this is `linear` with default settings. The weights
    start at zero, which is the last value repeated.

    Of a task with `masked` it sees what is put in place of missing values, and not the mask.

    Args:
        task: `Task`, what the model is for.
        individual: Bool. False maps the targets by weights that all share, True
            by weights for each target. Either way a target is forecast from its
            own window alone.
        name: Str.

    Returns:
        Uncompiled `keras.Model` of the task.

    Raises:
        ValueError: If a setting is out of range.

    Example:

    >>> from tfts.task import Task
    >>> nlinear(Task(context_length=7, horizon=5, past=2)).count_params()
    40

    Source: Zeng et al., Are Transformers Effective for Time Series Forecasting?, AAAI 2023.
    """
    window = window_inputs(task, "last")
    return finish(window, linear_forecast(window, "individual" if individual else "own", name="map"), name)
