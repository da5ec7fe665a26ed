"""Tables in another time step, with other times, or with a row for each series and time."""

import pandas as pd
from pandas.tseries.frequencies import to_offset

from tfts._messages import unknown
from tfts.errors import DataError, SettingError

# How the rows of a longer time step are made from those inside it.
AGGREGATES = ("first", "last", "max", "mean", "min", "sum")


def long_table(frame, time, series="series"):
    """A table with a column for each series as one with a row for each series and time.

    Args:
        frame: DataFrame with a time column, all others being series.
        time: Name of the time column.
        series: Name of the column that is to hold the names of the series.

    Returns:
        DataFrame with the columns `series`, `time` and `value`, without the rows that have no value.

    Raises:
        ValueError: If there is no such time column.

    Example:

    >>> wide = pd.DataFrame({"month": ["2024-01", "2024-02"], "a": [1.0, 2.0], "b": [None, 7.0]})
    >>> long_table(wide, "month").values.tolist()
    [['a', '2024-01', 1.0], ['a', '2024-02', 2.0], ['b', '2024-02', 7.0]]
    """
    _check_column(frame, time)
    made = frame.melt(id_vars=[time], var_name=series, value_name="value").dropna(subset=["value"])
    return made[[series, time, "value"]].reset_index(drop=True)


def restamped(frame, time, start, step):
    """A table whose rows get times that follow one another, whatever times they had.

    For a file whose rows are regular, but whose times have gaps or stand twice, as around a change
    of the clock.

    Args:
        frame: DataFrame.
        time: Name of the time column, which is replaced.
        start: Time of the first row.
        step: pandas offset alias such as `"10min"`.

    Returns:
        DataFrame.

    Raises:
        ValueError: If there is no such column, or the step is none.

    Example:

    >>> frame = pd.DataFrame({"time": ["0:00", "0:00"], "y": [1, 2]})
    >>> restamped(frame, "time", "2024-01-31", "10min")["time"].astype(str).tolist()
    ['2024-01-31 00:00:00', '2024-01-31 00:10:00']
    """
    _check_column(frame, time)
    _check_step(step)
    return frame.assign(**{time: pd.date_range(start, periods=len(frame), freq=step)})


def resampled(frame, time, step, how="mean", series=None):
    """A table in a longer time step.

    Args:
        frame: DataFrame with a time column, all others numbers.
        time: Name of the time column.
        step: pandas offset alias such as `"h"` or `"MS"`.
        how: A name of `AGGREGATES`: how the rows of a step become one.
        series: Name of the series column, or `None`.

    Returns:
        DataFrame with a row for each step, whose time is the step's first.

    Raises:
        ValueError: If `step` or `how` is unknown, or a column is missing.

    Example:

    >>> quarters = pd.date_range("2024-01-31", periods=8, freq="15min")
    >>> frame = pd.DataFrame({"time": quarters, "y": range(8)})
    >>> resampled(frame, "time", "h")["y"].tolist()
    [1.5, 5.5]
    """
    if how not in AGGREGATES:
        raise SettingError(unknown("aggregate", how, AGGREGATES))
    _check_column(frame, time)
    keys = [] if series is None else [series]
    for key in keys:
        _check_column(frame, key)
    _check_step(step)
    made = frame.groupby([*keys, pd.Grouper(key=time, freq=step)], sort=False).agg(how)
    return made.reset_index()[frame.columns]


def _check_column(frame, name):
    if name not in frame.columns:
        raise DataError(unknown("column of the table", name, frame.columns))


def _check_step(step):
    try:
        to_offset(step)
    except ValueError as error:
        raise SettingError(
            f"`step` must be a pandas offset alias, such as 'h' or 'MS'. Received: {step!r}."
        ) from error
