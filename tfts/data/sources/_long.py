"""Series of a file, each with a start and a step, as one table."""

import numpy as np
import pandas as pd

from tfts._units import is_rows, offset_of, plain_alias
from tfts.data.times import alias_of, time_grid
from tfts.errors import DataError

# Months of the calendar steps, by the start of their alias.
_MONTHS = {"MS": 1, "ME": 1, "QS": 3, "QE": 3, "YS": 12, "YE": 12}


def times_from(start, freq, rows):
    """Times of so many rows from a start on, which is the first whatever day it is.

    Args:
        start: `pandas.Timestamp`, or an int for row numbers.
        freq: Time step, an alias, or an int for row numbers.
        rows: Int.

    Returns:
        `pandas.DatetimeIndex`, or an `Index` of int64.

    Example:

    >>> times_from(pd.Timestamp("2024-01-31"), "MS", 3).strftime("%d.%m.").tolist()
    ['31.01.', '29.02.', '31.03.']
    >>> times_from(0, 1, 3).tolist()
    [0, 1, 2]
    """
    if is_rows(freq):
        step = freq if isinstance(freq, int) else offset_of(freq).n
        return pd.Index(int(start) + step * np.arange(rows, dtype=np.int64))
    offset = offset_of(freq)
    base = "" if plain_alias(freq) != freq else offset.rule_code.split("-")[0]
    if base in _MONTHS:
        step = pd.DateOffset(months=_MONTHS[base] * offset.n, day=start.day)
        return pd.date_range(start, periods=rows, freq=step)
    if isinstance(offset, pd.offsets.Week):
        return pd.date_range(start, periods=rows, freq=f"{7 * offset.n}D")
    return time_grid(start, freq, periods=rows)


def given_step(freq, path, why):
    """A time step that the user gives because the file has none.

    Args:
        freq: Time step, or `None`.
        path: File, for the message.
        why: What the file lacks, for the message.

    Returns:
        Alias of the step.

    Raises:
        ValueError: If there is none, with the way out.

    Example:

    >>> given_step("h", "a.tsf", "no @frequency"), given_step(1, "a.tsf", "no @frequency")
    ('h', 'row')
    """
    if freq is None:
        raise DataError(
            f"{path} has {why}, so its times can't be told. Expected the time step of its rows. Give it, e.g. "
            "freq='h' or freq='MS'; or freq=1 to count rows."
        )
    return alias_of(freq)


def joined_series(parts, values, attributes):
    """The table of many series: series, time, values, then attributes.

    Args:
        parts: List with a tuple `(id, times, array (rows, columns))` for each series.
        values: Names of the columns.
        attributes: Dict from name to a list with one value for each series.

    Returns:
        `pandas.DataFrame`.

    Example:

    >>> made = joined_series([("a", pd.Index([0, 1]), np.ones((2, 1)))], ["value"], {"kind": ["x"]})
    >>> made.values.tolist()
    [['a', 0, 1.0, 'x'], ['a', 1, 1.0, 'x']]
    """
    lengths = [len(times) for _, times, _ in parts]
    of = np.repeat(np.arange(len(parts)), lengths)
    first, others = parts[0][1], [times for _, times, _ in parts[1:]]
    table = {
        "series": np.array([str(name) for name, _, _ in parts], dtype=object)[of],
        "time": first.append(others) if others else first,
    }
    table |= dict(zip(values, np.concatenate([rows for _, _, rows in parts]).T, strict=True))
    return pd.DataFrame(table | {name: pd.Series(given).to_numpy()[of] for name, given in attributes.items()})


def numbered_names(count):
    """Names of series that have none: numbers with as many digits as the last one, so that they sort.

    Example:

    >>> numbered_names(11)[:2]
    ['00', '01']
    """
    width = len(str(count - 1))
    return [f"{i:0{width}d}" for i in range(count)]


def floats(texts, where):
    """Numbers of texts, NaN for `?`, `NaN` in any case and nothing.

    Args:
        texts: List of str.
        where: Where they stand, for the message.

    Raises:
        ValueError: If one is not a number.

    Example:

    >>> floats(["1.5", "?", "NaN", ""], "line 3")
    array([1.5, nan, nan, nan])
    """
    try:
        return np.array(texts, dtype=np.float64)
    except ValueError:
        # Not the usual case: a missing marker, or something that is no number.
        plain = ["nan" if text.strip() in ("?", "") else text for text in texts]
    try:
        return np.array(plain, dtype=np.float64)
    except ValueError as error:
        bad = next(text for text in plain if not _is_number(text))
        raise DataError(f"{where} holds {bad!r}. Expected numbers, or ? for a missing one.") from error


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True
