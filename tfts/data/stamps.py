"""Texts into times, never by a guess between day and month."""

import warnings

import numpy as np
import pandas as pd
from pandas.tseries.api import guess_datetime_format

from tfts.data.numbered import check_not_epoch, numbered_stamps
from tfts.errors import DataError

# Names of periods, and what their parts mean.
_PERIODS = {
    "quarter": r"(\d{4})-?Q([1-4])",
    "month": r"(\d{4})-?M(0?[1-9]|1[0-2])",
    "week": r"(\d{4})-?W(0[1-9]|[1-4]\d|5[0-3])",
}
# 24:00 is midnight at the end of the day.
_MIDNIGHT = r"(?<=[T ])24:00(?=(?::00(?:\.0+)?)?(?![:\d]))"
# A year and a single digit: a quarter, a month, or October that lost its zero.
_FRACTION = r"\d{4}\.\d"


def are_texts(column):
    """Whether a column holds texts, and nothing else but missing values.

    Example:

    >>> are_texts(pd.Series(["2024-01-01", None])), are_texts(pd.Series([2024, 2025]))
    (True, False)
    """
    if pd.api.types.is_string_dtype(column.dtype) and column.dtype != object:
        return True
    return column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) == "string"


def parse_stamps(column, time_format=None, option="time_format={}"):
    """The times of a column of texts, years, dates or datetimes, all written alike.

    Quarters (2020Q1), months (2020M01) and weeks (2020-W01, of ISO 8601) are the times at which they begin.
    24:00 is midnight at the end of its day. Whole numbers of which the smallest is below 1000 are row numbers, and
    stay numbers.

    Args:
        column: `pandas.Series`.
        time_format: How the stamps are written, as in `datetime.strptime`, or a name of
            `tfts.data.numbered.COUNTED`. `None` finds it: days and months are told apart by the
            whole column.
        option: How the caller's user gives a format, with `{}` for it.

    Returns:
        `pandas.Series` of datetimes, in UTC where the texts have offsets from UTC; of int64 for row
        numbers.

    Raises:
        ValueError: If a stamp can't be read, or the column can be read in two ways.

    Example:

    >>> parse_stamps(pd.Series(["30.1.2024", "1.2.2024"])).dt.month.tolist()
    [1, 2]
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        check_stamps(column, column, "a time")
        return column
    text = column.astype("string").str.strip()
    check_stamps(text, text, "a time", option)
    numbered = numbered_stamps(text.rename(column.name), time_format)
    if numbered is not None:
        return numbered
    if time_format is None:
        check_not_epoch(text.rename(column.name), option)
        check_no_fractions(text.rename(column.name), option)
        periods = _starts_of_periods(text)
        if periods is not None:
            return periods
    # The end of a day, which pandas does not know.
    late = text.str.contains("24:00", regex=False)
    if late.any():
        late = text.str.contains(_MIDNIGHT, regex=True)
        text = text.str.replace(_MIDNIGHT, "00:00", regex=True)
    formats = [time_format] if time_format is not None else _formats(text.iloc[0])
    # Stamps with an offset from UTC end in it, or in Z, after a time of day.
    offset = text.str.contains(r":.*(?:[+-]\d\d(?::?\d\d)?|Z)$", regex=True)
    alike = text.where(offset == offset.iloc[0])
    check_stamps(alike, text, f"a time {'with' if offset.iloc[0] else 'without'} an offset from UTC", option)
    utc = bool(offset.iloc[0])
    readings = {f: pd.to_datetime(text, format=f, utc=utc, errors="coerce") for f in formats}
    whole = [f for f in formats if readings[f].notna().all()]
    if not whole:
        best = max(formats, key=lambda f: readings[f].notna().sum())
        expected = "a time" if best == "ISO8601" else f"a time in the format {best!r}"
        check_stamps(readings[best], text, expected, option)
    if len(whole) == 2 and not readings[whole[0]].equals(readings[whole[1]]):
        first, second = (option.format(repr(f)) for f in whole)
        raise DataError(
            f"Time column {column.name!r} is ambiguous: every stamp can be read as {whole[0]!r} and as "
            f"{whole[1]!r} (first row: {text.iloc[0]!r}). Say which by {first} or {second}."
        )
    found = readings[whole[0]]
    return found + pd.to_timedelta(late.astype("int64"), unit="D") if late.any() else found


def _starts_of_periods(text):
    """First days of quarters such as 2020Q1, months 2020M01 and ISO weeks 2020-W01; `None` of other texts."""
    for period, pattern in _PERIODS.items():
        parts = text.str.extract(f"^{pattern}$", expand=True)
        if pd.isna(parts.iloc[0, 0]):
            continue
        if period == "week":
            found = pd.to_datetime(parts[0] + "-" + parts[1] + "-1", format="%G-%V-%u", errors="coerce")
        else:
            month = pd.to_numeric(parts[1]) * (3 if period == "quarter" else 1) - (
                2 if period == "quarter" else 0
            )
            found = pd.to_datetime(parts[0] + "-" + month.astype("string"), format="%Y-%m", errors="coerce")
        check_stamps(found, text, f"a {period}, as in the first row")
        return found.rename(text.name)
    return None


def check_no_fractions(column, option="pandas.to_datetime(..., format={})"):
    """Refuses years with a single digit after the point, which is a quarter or a month.

    Args:
        column: `pandas.Series` of texts or numbers.
        option: As in `parse_stamps`.

    Raises:
        ValueError: If there is such a stamp.

    Example:

    >>> check_no_fractions(pd.Series(["1959.1", "1959.2"], name="when"))
    Traceback (most recent call last):
    tfts.errors.DataError: Time column 'when' is ambiguous: '1959.1' in row 1...
    """
    text = column.astype("string")
    found = np.flatnonzero(text.str.fullmatch(_FRACTION).fillna(False) & ~text.str.endswith(".0"))
    if len(found):
        raise DataError(
            f"Time column {column.name!r} is ambiguous: {text.iloc[found[0]]!r} in row {found[0] + 1} (the first below "
            "the heading is 1) may be the quarter, the month, October without its zero, or a part of the year. "
            "Write months with two digits (1959.01) or as dates (1959-01-01), and quarters as the date of their "
            "first day, e.g. with pandas.PeriodIndex.from_fields(year=..., quarter=...).to_timestamp(); or say that "
            f"the digit is the month by {option.format(repr('%Y.%m'))}."
        )


def _formats(stamp):
    """The formats in which a column that starts with this text may be written."""
    if stamp[:4].isdigit():
        # The year comes first, and then nobody writes the day before the month.
        return ["ISO8601"]
    # Two digits of the year, and hours that end in AM or PM, are not guessed: time_format.
    with warnings.catch_warnings():
        # pandas warns where the text leaves no choice between day and month, which is the good case.
        warnings.simplefilter("ignore", UserWarning)
        guesses = [guess_datetime_format(stamp, dayfirst=first) for first in (False, True)]
    return list(dict.fromkeys(f for f in guesses if f)) or ["ISO8601"]


def check_stamps(times, texts, expected, option="time_format={}"):
    """An error that names the first row which has no time.

    Example:

    >>> texts = pd.Series(["2024-01-01", "soon"], name="when")
    >>> check_stamps(pd.to_datetime(texts, errors="coerce", format="%Y-%m-%d"), texts, "a date")
    Traceback (most recent call last):
    tfts.errors.DataError: Time column 'when' holds 'soon' in row 2 (the first below the heading is 1)...
    """
    bad = np.flatnonzero(times.isna())
    if len(bad):
        text = texts.iloc[bad[0]]
        came = "nothing" if pd.isna(text) else repr(text)
        way = (
            "give `time_format`" if option.startswith("time_format") else f"take {option.format('...')} first"
        )
        raise DataError(
            f"Time column {texts.name!r} holds {came} in row {bad[0] + 1} (the first below the heading is "
            f"1). Expected {expected} in every row, all written alike, e.g. 2011-01-31 13:00. For "
            f"another format, {way}."
        )
