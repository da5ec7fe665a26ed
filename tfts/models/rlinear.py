"""RLinear: a linear map of the normalised window."""

from tfts.models._parts import finish, linear_forecast, window_inputs

# The settings that a search tries by default, see tfts.tuning.
SPACE = {
    "individual": {"values": [False, True]},
    "affine": {"values": [True, False]},
    "learning_rate": {"min": 3e-4, "max": 3e-2, "log": True},
    "weight_decay": {"min": 1e-5, "max": 1e-1, "log": True},
    "batch_size": {"values": [32, 64, 128]},
}


def rlinear(task, *, individual=False, affine=True, name="rlinear"):
    """Builds RLinear: one linear map between normalising and restoring each target's window.

    A window loses its mean and is divided by its standard deviation, and the
    forecast gets both back. Without `affine` and `individual` this is `linear`
    with `window_norm="instance"`. The map's weights start at zero, which is the
    mean repeated.

    Of a task with `masked` it sees what is put in place of missing values, and not the mask.

    Args:
        task: `Task`, what the model is for.
        individual: Bool. False maps the targets by weights that all share, True
            by weights for each target. Either way a target is forecast from its
            own window alone.
        affine: Bool. Whether to learn a scale and a shift for each target, applied
            after normalising and undone before restoring.
        name: Str.

    Returns:
        Uncompiled `keras.Model` of the task.

    Raises:
        ValueError: If a setting is out of range.

    Example:

    >>> from tfts.task import Task
    >>> rlinear(Task(context_length=7, horizon=5, past=2)).count_params()
    42

    Source: Li et al., Revisiting Long-term Time Series Forecasting: An Investigation on
    Linear Mapping, arXiv 2305.10721, 2023; Kim et al., Reversible Instance Normalization
    for Accurate Time-Series Forecasting against Distribution Shift, ICLR 2022.
    """
    # The targets alone: a scale of what is not forecast would be a weight without effect.
    window = window_inputs(task, "instance", affine=affine, own=True)
    return finish(window, linear_forecast(window, "individual" if individual else "own", name="map"), name)
