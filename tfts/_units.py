"""Time steps: what an alias stands for, and in words."""

import re

import pandas as pd

_UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "D": "days", "W": "weeks"}
_UNITS |= {"B": "business days", "MS": "months", "ME": "months", "QS": "quarters", "QE": "quarters"}
_UNITS |= {"YS": "years", "YE": "years"}
# Months, quarters and years from one day of the month to the same, which pandas has no alias for.
_ON_A_DAY = re.compile(r"(\d*)((?:MS|QS|YS)(?:-[A-Z]{3})?)-([1-9]|[12]\d|3[01])")
_MONTHS = {"M": 1, "Q": 3, "Y": 12}
# Row numbers in place of times.
_ROWS = re.compile(r"(\d*)row")
# Weekdays from Monday on, as in the aliases of pandas.
WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
# Days of work: some weekdays, perhaps without some dates. pandas has no alias that says either.
_WORKDAYS = re.compile(
    r"(\d*)B((?:-(?:MON|TUE|WED|THU|FRI|SAT|SUN))*)(?: except (\d{4}-\d\d-\d\d(?:, \d{4}-\d\d-\d\d)*))?"
)
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
    a February on; in a month without that day it is the month's last one. `"B-MON-WED-FRI"`
    are three days of the week, `"B except 2024-12-25, 2024-12-26"` days of work without two
    holidays, `"row"` is a row number, which is counted in seconds from 1970 on.

    Raises:
        ValueError: If it is no alias.

    Example:

    >>> pd.date_range("2024-01-30", periods=3, freq=offset_of("MS-30")).strftime("%d.%m.").tolist()
    ['30.01.', '29.02.', '30.03.']
    """
    if not is_own(freq):
        return pd.tseries.frequencies.to_offset(todays_alias(freq))
    if is_rows(freq):
        return pd.offsets.Second(int(_ROWS.fullmatch(freq)[1] or 1))
    named = _ON_A_DAY.fullmatch(freq)
    if named is None:
        number, days, without = _WORKDAYS.fullmatch(freq).groups()
        return pd.offsets.CustomBusinessDay(
            int(number or 1),
            weekmask=(days or "-MON-TUE-WED-THU-FRI")[1:].title().replace("-", " "),
            holidays=without.split(", ") if without else [],
        )
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


def is_own(freq):
    """Whether a time step has a name that tfts knows and pandas does not.

    Example:

    >>> [is_own(freq) for freq in ("MS-28", "B-MON-WED-FRI", "row", "B", "MS", pd.offsets.Day())]
    [True, True, True, False, False, False]
    """
    if not isinstance(freq, str):
        return False
    days = _WORKDAYS.fullmatch(freq)
    return bool(_ON_A_DAY.fullmatch(freq) or _ROWS.fullmatch(freq) or (days and (days[2] or days[3])))


def is_rows(freq):
    """Whether a time step counts rows: a whole number, or its alias such as `"row"` or `"5row"`.

    Example:

    >>> is_rows(1), is_rows("5row"), is_rows("5min"), is_rows(None)
    (True, True, False, False)
    """
    if isinstance(freq, int) and not isinstance(freq, bool):
        return True
    return isinstance(freq, str) and bool(_ROWS.fullmatch(freq))


def workdays_alias(offset):
    """The alias of days of work: of a `CustomBusinessDay`, with its weekdays and holidays.

    Example:

    >>> workdays_alias(pd.offsets.CustomBusinessDay(weekmask="Mon Wed", holidays=["2024-05-01"]))
    'B-MON-WED except 2024-05-01'
    """
    number = "" if offset.n == 1 else str(offset.n)
    days = [name for name, works in zip(WEEKDAYS, offset.calendar.weekmask, strict=True) if works]
    named = "" if days == list(WEEKDAYS[:5]) else "-" + "-".join(days)
    without = ", ".join(str(day) for day in offset.calendar.holidays)
    return f"{number}B{named}" + (f" except {without}" if without else "")


def shown_times(times, freq):
    """Times as the user's table has them: whole numbers where rows are counted.

    Example:

    >>> shown_times(pd.DatetimeIndex(["1970-01-01 00:00:05"]), "row").tolist()
    [5]
    """
    if not is_rows(freq):
        return times
    return pd.Index(times.as_unit("s").asi8, name=times.name)


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
    if is_rows(freq):
        return offset.n, "rows"
    base = offset.rule_code.split("-")[0]
    return (offset.n, _UNITS[base]) if base in _UNITS else (1, f"steps of {freq}")
