"""Whole numbers that count rows, where a table has no times."""

import numpy as np
import pandas as pd

from tfts._units import is_rows
from tfts.errors import DataError

# Numbers from here on may be years, dates such as 20240131 or seconds since 1970.
MAY_BE_DATES = 1000


def times_of_rows(column, name, freq):
    """The stamps that stand for row numbers, one a second from 1970 on; `None` of anything else.

    Numbers count rows where `freq` says so by a whole number, or where the smallest is too
    small for a year, so that a column of years is never taken for one of row numbers.

    Args:
        column: `pandas.Series` or `pandas.Index`.
        name: Name of the time column; `None` for an index, whose numbers count rows only on request.
        freq: Time step, if one is given.

    Returns:
        `pandas.DatetimeIndex` of microseconds, or `None`.

    Raises:
        ValueError: If `freq` counts rows and the column holds no whole numbers.

    Example:

    >>> times_of_rows(pd.Series([0, 1, 2], name="step"), "step", None).second.tolist()
    [0, 1, 2]
    >>> times_of_rows(pd.Series([2023, 2024], name="year"), "year", None) is None
    True
    """
    asked = is_rows(freq)
    whole = pd.api.types.is_integer_dtype(column.dtype) and not column.isna().any()
    if asked and not whole:
        what = "the index" if name is None else f"time column {name!r}"
        raise DataError(
            f"freq={freq!r} counts rows, but {what} does not hold a whole number in every row. Expected row "
            f"numbers. Received: values of type {column.dtype}. For dates give another `freq`, or None."
        )
    if not whole or not (asked or (freq is None and name is not None and column.min() < MAY_BE_DATES)):
        return None
    return pd.DatetimeIndex(column.to_numpy(dtype=np.int64).astype("datetime64[s]")).as_unit("us")


def row_step(times):
    """The largest step of which all distances between row numbers are multiples, as an alias.

    Example:

    >>> row_step(pd.DatetimeIndex(["1970-01-01 00:00:00", "1970-01-01 00:00:10", "1970-01-01 00:00:15"]))
    '5row'
    """
    step = int(np.gcd.reduce(np.diff(times.as_unit("s").asi8))) if len(times) > 1 else 1
    return "row" if step <= 1 else f"{step}row"
