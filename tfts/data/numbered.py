"""Numbers that stand for times: seconds since 1970, and row numbers."""

import re

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts.data.row_numbers import MAY_BE_DATES
from tfts.errors import DataError, SettingError

# Names of the ways to count, and the unit of each.
COUNTED = {
    "epoch seconds": "s",
    "epoch milliseconds": "ms",
    "epoch microseconds": "us",
    "epoch nanoseconds": "ns",
    "row numbers": "row",
}
_A_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
# Digits of the numbers that lie between 1973 and 2286.
_DIGITS = {9: "epoch seconds", 10: "epoch seconds", 12: "epoch milliseconds", 13: "epoch milliseconds"}
_DIGITS |= {
    15: "epoch microseconds",
    16: "epoch microseconds",
    18: "epoch nanoseconds",
    19: "epoch nanoseconds",
}


def numbered_stamps(text, time_format):
    """The times that a column of numbers stands for, or `None` where it is to be read as dates.

    Args:
        text: `pandas.Series` of texts, without missing values.
        time_format: A name of `COUNTED`; any other format gives `None`. `None` finds row numbers.

    Returns:
        `pandas.Series` of datetimes in UTC, of int64 for row numbers, or `None`.

    Raises:
        ValueError: If one is not a number, or the times would lie outside 1900 to 2200.

    Example:

    >>> numbered_stamps(pd.Series(["1704067200", "1704067200.5"]), "epoch seconds").dt.microsecond.tolist()
    [0, 500000]
    >>> numbered_stamps(pd.Series(["0", "15"]), None).tolist()
    [0, 15]
    """
    if time_format is None:
        # Dates are told by the first text, at no cost.
        whole = re.compile(r"-?\d{1,18}")
        small = whole.fullmatch(text.iloc[0]) and text.str.fullmatch(whole.pattern).all()
        small = small and text.astype("int64").min() < MAY_BE_DATES
        return text.astype("int64") if small else None
    if time_format.startswith(("epoch", "row")) and time_format not in COUNTED:
        raise SettingError(unknown("time_format", time_format, COUNTED))
    if time_format not in COUNTED:
        return None
    unit = COUNTED[time_format]
    whole = text.str.replace(r"\.0*$", "", regex=True)
    pattern = r"-?\d{1,18}" if unit == "row" else r"-?\d{1,19}(\.\d+)?"
    bad = np.flatnonzero(~whole.str.fullmatch(pattern))
    if len(bad):
        raise DataError(
            f"Time column {text.name!r} holds {text.iloc[bad[0]]!r} in row {bad[0] + 1} (the first below the heading "
            f"is 1). Expected a number in every row, as time_format={time_format!r} says."
        )
    if unit == "row":
        return whole.astype("int64")
    return _since_1970(whole, unit, time_format)


def _since_1970(text, unit, time_format):
    parts = text.str.partition(".")
    whole = parts[0].astype("int64")
    # No float: a number of nanoseconds has more digits than one holds.
    years = 1970 + whole / _A_SECOND[unit] / (365.25 * 86_400)
    if years.min() < 1900 or years.max() > 2200:
        digits = len(str(abs(int(whole.iloc[0]))))
        meant = (
            f" Did you mean {_DIGITS[digits]!r}?" if _DIGITS.get(digits, time_format) != time_format else ""
        )
        raise DataError(
            f"Time column {text.name!r} holds {text.iloc[0]}, which as {time_format!r} lies in the year "
            f"{years.iloc[0]:.0f}. Expected times from 1900 to 2200.{meant}"
        )
    times = pd.Series(whole.to_numpy().astype(f"datetime64[{unit}]"), index=text.index, name=text.name)
    if unit == "s":
        # Seconds alone come with a fraction.
        share = pd.to_numeric("0." + parts[2].replace("", "0"))
        sign = np.where(parts[0].str.startswith("-"), -1, 1)
        times = times.astype("datetime64[us]") + pd.to_timedelta(
            (share * sign * 1e6).round().astype("int64"), unit="us"
        )
    return times.dt.tz_localize("UTC")


def check_not_epoch(text, option):
    """Refuses numbers that are seconds since 1970 by their size, unless the user says so.

    Args:
        text: `pandas.Series` of texts.
        option: As in `parse_stamps`.

    Raises:
        ValueError: If they are, with the format to give.

    Example:

    >>> check_not_epoch(pd.Series(["1704067200"], name="t"), "time_format={}")
    Traceback (most recent call last):
    tfts.errors.DataError: Time column 't' holds 1704067200, which may be counted from 1970 on. Say so by ...
    """
    digits = len(text.iloc[0]) if text.iloc[0].isdecimal() else 0
    if digits in _DIGITS and text.str.fullmatch(r"\d+").all():
        way = option.format(repr(_DIGITS[digits]))
        if not option.startswith("time_format"):
            way = f"pandas.to_datetime(..., unit={COUNTED[_DIGITS[digits]]!r})"
        raise DataError(
            f"Time column {text.name!r} holds {text.iloc[0]}, which may be counted from 1970 on. Say so by {way}, or "
            "by another format."
        )
