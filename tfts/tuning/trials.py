"""What one trial is: a network fitted with some settings and scored on validation rows."""

import keras

from tfts._messages import unknown
from tfts.data.split import Split
from tfts.errors import DataError, SettingError
from tfts.models import MODELS
from tfts.tuning.fits import OBJECTIVES
from tfts.tuning.table_trials import TableTrials
from tfts.tuning.window_trials import WindowTrials

# Share of the validation rows where none is given.
VALIDATION = 0.15
# Options that act on windows which are made already.
_OF_WINDOWS = {"model_options", "output"}


def make_trials(model, data, training, objective, validation, rolling_origins, options):
    """The trials that fit the data: of a table or of windows.

    Raises:
        ValueError: If the model or the objective is unknown, or the data are neither.

    Example:

    >>> import numpy as np, pandas as pd
    >>> frame = pd.DataFrame({"y": np.arange(40.0)}, index=pd.date_range("2024-01-01", periods=40))
    >>> sizes = {"context_length": 7, "horizon": 1}
    >>> type(make_trials("linear", frame, {}, "val_rmse", 0.15, 1, sizes)).__name__
    'TableTrials'
    """
    if isinstance(model, str) and model not in MODELS:
        raise SettingError(unknown("model", model, MODELS))
    if isinstance(model, keras.Model) or not (isinstance(model, str) or callable(model)):
        raise SettingError(
            f"`model` must be a name of MODELS or a builder, which a search calls for each trial. Received: {model!r}."
        )
    if objective not in OBJECTIVES:
        raise SettingError(unknown("objective", objective, OBJECTIVES))
    if isinstance(rolling_origins, bool) or not isinstance(rolling_origins, int) or rolling_origins < 1:
        raise SettingError(f"`rolling_origins` must be an int >= 1. Received: {rolling_origins=}.")
    import tensorflow as tf

    if isinstance(data, tuple | list) and any(isinstance(part, tf.data.Dataset) for part in data):
        _check_windows(data, validation, rolling_origins, options)
        given = {name: options[name] for name in _OF_WINDOWS if name in options}
        return WindowTrials(model, tuple(data), training, objective=objective, **given)
    if isinstance(data, tuple | list):
        data = Split(*data) if len(data) == 3 else Split(*data, None)
        if data.train is None or data.validation is None:
            raise DataError(
                "A split for a search needs training and validation rows: the objective is scored there."
            )
        _check_validation("A split", validation)
    elif not validation:
        raise SettingError(
            f"`validation` must be above 0: the objective is scored there. Received: {validation=}."
        )
    return TableTrials(model, data, options, training, objective, validation, rolling_origins)


def _check_windows(data, validation, rolling_origins, options):
    if len(data) != 2 or rolling_origins != 1:
        raise SettingError(
            "Windows come as a pair of datasets, (training, validation), with rolling_origins=1. Received: "
            f"{len(data)} datasets, {rolling_origins=}."
        )
    unused = sorted(options.keys() - _OF_WINDOWS)
    if unused:
        raise DataError(
            f"The windows are made already, so {', '.join(map(repr, unused))} would do nothing. Leave it out, or give "
            "a DataFrame or a Panel in place of the datasets."
        )
    _check_validation("A pair of datasets", validation)


def _check_validation(what, validation):
    if validation != VALIDATION:
        raise DataError(
            f"{what} holds the validation rows already, so `validation` would do nothing. Leave it out. Received: "
            f"{validation=}."
        )
