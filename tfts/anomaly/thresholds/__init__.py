"""When a size is worth an alarm: limits calibrated on rows that no model was fitted on.

To add one: a subclass of `Threshold` in a file of this folder, and one line in `THRESHOLDS`.
"""

import inspect

from tfts._messages import unknown
from tfts.anomaly.thresholds.base import Threshold
from tfts.anomaly.thresholds.deviations import Fixed, MedianDeviations, StandardDeviations
from tfts.anomaly.thresholds.dynamic import Dynamic
from tfts.anomaly.thresholds.held import HeldBack
from tfts.anomaly.thresholds.interval import Interval
from tfts.anomaly.thresholds.peaks import PeaksOverThreshold
from tfts.anomaly.thresholds.quantiles import Quantile, RollingConformal
from tfts.errors import DataError, SettingError

__all__ = [
    "THRESHOLDS",
    "Dynamic",
    "Fixed",
    "HeldBack",
    "Interval",
    "MedianDeviations",
    "PeaksOverThreshold",
    "Quantile",
    "RollingConformal",
    "StandardDeviations",
    "Threshold",
    "build_threshold",
]

THRESHOLDS = {
    "dynamic": Dynamic,
    "fixed": Fixed,
    "interval": Interval,
    "mad": MedianDeviations,
    "pot": PeaksOverThreshold,
    "quantile": Quantile,
    "rolling_conformal": RollingConformal,
    "std": StandardDeviations,
}


def build_threshold(name, **options):
    """An unfitted threshold.

    Args:
        name: A name of `THRESHOLDS`.
        **options: Options of that threshold.

    Returns:
        A `Threshold`.

    Raises:
        ValueError: If the name or an option is unknown, or an option's value is wrong.

    Example:

    >>> build_threshold("std", k=4.0).k
    4.0
    """
    if name not in THRESHOLDS:
        raise SettingError(unknown("threshold", name, THRESHOLDS))
    parameters = inspect.signature(THRESHOLDS[name]).parameters
    for option in options:
        if option not in parameters:
            raise SettingError(unknown(f"option of threshold {name!r}:", option, parameters))
    for parameter in parameters.values():
        if parameter.default is parameter.empty and parameter.name not in options:
            raise DataError(f"The threshold {name!r} needs the option `{parameter.name}`.")
    return THRESHOLDS[name](**options)
