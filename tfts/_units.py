"""Time steps: what an alias stands for, and in words."""

import re

import pandas as pd

_UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "D": "days", "W": "weeks"}
_UNITS |= {"B": "business days", "MS": "months", "ME": "months", "QS": "quarters", "QE": "quarters"}
_UNITS |= {"YS": "years", "YE": "years"}
# Months, quarters and years from one day of the month to the same, which pandas has no alias for.
_ON_A_DAY = re.compile(r"(\d*)((?:MS|QS|YS)(?:-[A-Z]{3})?)-([1-9]|[12]\d|3[01])")
_MONTHS = {"M": 1, "Q": 3, "Y": 12}
# Aliases of pandas before 2.2, and those of today.
_OLD = {
    "H": "h",
    "T": "min",
    "S": "s",
    "L": "ms",
    "U": "us",
    "N": "ns",
    "M": "ME",
    "Q": "QE",
    "A": "YE",
    "Y": "YE",
}
_OLD |= {
    "BM": "BME",
    "BQ": "BQE",
    "BA": "BYE",
    "BY": "BYE",
    "AS": "YS",
    "BAS": "BYS",
    "SM": "SME",
    "CBM": "CBME",
}


def offset_of(freq):
    """The pandas offset of a time step, also of one from a day of the month to the same day.

    `"MS-28"` is the 28th of every month, `"QS-FEB-15"` the 15th of every third month from
    a February on; in a month without that day it is the month's last one.

    Raises:
        ValueError: If it is no alias.

    Example:

    >>> pd.date_range("2024-01-30", periods=3, freq=offset_of("MS-30")).strftime("%d.%m.").tolist()
    ['30.01.', '29.02.', '30.03.']
    """
    named = _ON_A_DAY.fullmatch(freq) if isinstance(freq, str) else None
    if named is None:
        return pd.tseries.frequencies.to_offset(todays_alias(freq))
    number, base, day = named.groups()
    return pd.DateOffset(months=int(number or 1) * _MONTHS[base[0]], day=int(day))


def todays_alias(freq):
    """An alias of pandas before 2.2, such as `"15T"`, as it is written today; anything else as it is.

    A single step such as `"M"` was the end of the period.

    Example:

    >>> todays_alias("15T"), todays_alias("Q-MAR"), todays_alias("MS")
    ('15min', 'QE-MAR', 'MS')
    """
    parts = re.fullmatch(r"(\d*)([A-Z]+)(-[A-Z]{3})?", freq) if isinstance(freq, str) else None
    if parts is None or parts[2] not in _OLD:
        return freq
    return f"{parts[1]}{_OLD[parts[2]]}{parts[3] or ''}"


def plain_alias(freq):
    """The time step without its day of the month, as pandas knows it.

    Example:

    >>> plain_alias("QS-FEB-15"), plain_alias("15min")
    ('QS-FEB', '15min')
    """
    named = _ON_A_DAY.fullmatch(freq) if isinstance(freq, str) else None
    return freq if named is None else f"{named[1]}{named[2]}"


def time_unit(freq):
    """Length and unit of a time step, `(1, "steps")` where there is no frequency.

    Example:

    >>> time_unit("15min"), time_unit("W-SUN"), time_unit(None)
    ((15, 'minutes'), (1, 'weeks'), (1, 'steps'))
    """
    if freq is None:
        return 1, "steps"
    offset = offset_of(plain_alias(freq))
    base = offset.rule_code.split("-")[0]
    return (offset.n, _UNITS[base]) if base in _UNITS else (1, f"steps of {freq}")
