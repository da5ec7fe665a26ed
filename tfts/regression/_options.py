"""Checks of the options that the three estimators share."""

import math
import numbers

from tfts._messages import unknown
from tfts.errors import SettingError

SCALINGS = ("standardize", "normalize")
RATES = ("auto", "adaptive")


def check_options(estimator):
    """Refuses an option of an estimator that can't be used, with what it takes."""
    if isinstance(estimator.learning_rate, str):
        if estimator.learning_rate not in RATES:
            raise SettingError(
                unknown("learning_rate", estimator.learning_rate, RATES)
                + " Or give a number above 0, or a Keras LearningRateSchedule."
            )
    elif not isinstance(estimator.learning_rate, numbers.Real):
        from keras.optimizers.schedules import LearningRateSchedule

        if not isinstance(estimator.learning_rate, LearningRateSchedule):
            raise SettingError(
                "`learning_rate` must be 'auto', 'adaptive', a number above 0, or a Keras "
                f"LearningRateSchedule. Received: learning_rate={estimator.learning_rate!r}."
            )
    else:
        _check_number("learning_rate", estimator.learning_rate, 0, open_below=True)
    for name in ("max_iter", "n_iter_no_change"):
        _check_whole(name, getattr(estimator, name))
    if estimator.batch_size is not None:
        _check_whole("batch_size", estimator.batch_size, " or None (all rows)")
    if estimator.tol is not None:
        _check_number("tol", estimator.tol, 0, " or None (no stopping before `max_iter`)")
    for name in ("l1", "l2"):
        _check_number(name, getattr(estimator, name), 0)
    share = estimator.validation_fraction
    if not isinstance(share, numbers.Real) or not 0 < share < 1:
        raise SettingError(
            "`validation_fraction` must be a number above 0 and below 1, the share of rows held out. "
            f"Received: validation_fraction={share!r}."
        )
    if estimator.scaling is not None and estimator.scaling not in SCALINGS:
        raise SettingError(unknown("scaling", estimator.scaling, SCALINGS) + " Or None.")


def _check_whole(name, value, more=""):
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
        raise SettingError(f"`{name}` must be an int >= 1{more}. Received: {name}={value!r}.")


def _check_number(name, value, least, more="", open_below=False):
    number = isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < least or (open_below and value == least):
        sign = ">" if open_below else ">="
        raise SettingError(f"`{name}` must be a number {sign} {least}{more}. Received: {name}={value!r}.")
