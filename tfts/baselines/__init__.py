"""The simple methods that every model must beat, behind one interface.

To add one: a file with a subclass of `Baseline`, and one line in `BASELINES`.
"""

import inspect

from tfts._messages import unknown
from tfts.baselines.arima import Arima
from tfts.baselines.baseline import Baseline
from tfts.baselines.drift import Drift
from tfts.baselines.ets import Ets
from tfts.baselines.linear_regression import LinearRegression
from tfts.baselines.persistence import Persistence
from tfts.baselines.ridge import Ridge
from tfts.baselines.running_median import RunningMedian
from tfts.baselines.seasonal_naive import SeasonalNaive
from tfts.errors import DataError, SettingError

__all__ = [
    "BASELINES",
    "Arima",
    "Baseline",
    "Drift",
    "Ets",
    "LinearRegression",
    "Persistence",
    "Ridge",
    "RunningMedian",
    "SeasonalNaive",
    "build_baseline",
]

BASELINES = {
    "arima": Arima,
    "drift": Drift,
    "ets": Ets,
    "linear_regression": LinearRegression,
    "persistence": Persistence,
    "ridge": Ridge,
    "running_median": RunningMedian,
    "seasonal_naive": SeasonalNaive,
}


def build_baseline(name, **options):
    """An unfitted baseline.

    Args:
        name: A name of `BASELINES`.
        **options: Options of that baseline.

    Returns:
        A `Baseline`.

    Raises:
        ValueError: If the name or an option is unknown, or an option's value is wrong.

    Example:

    >>> build_baseline("linear_regression", alpha=10.0).alpha
    10.0
    """
    if name not in BASELINES:
        raise SettingError(unknown("baseline", name, BASELINES))
    valid = inspect.signature(BASELINES[name]).parameters
    for option in options:
        if not valid:
            raise DataError(
                f"The baseline {name!r} takes no options. Received: {option}={options[option]!r}."
            )
        if option not in valid:
            raise SettingError(unknown(f"option of {name}", option, valid))
    return BASELINES[name](**options)
