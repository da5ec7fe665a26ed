"""Days of the week as a time step."""

import warnings

import numpy as np
import pandas as pd

from tfts._units import WEEKDAYS, offset_of

# Of the days that a pattern asks for, the least share that must be there, and how often each day.
_SHARE, _OFTEN = 0.8, 3


def weekday_pattern(local, codes):
    """The alias of the weekdays on which all rows lie, such as Monday, Wednesday and Friday.

    Args:
        local: `pandas.DatetimeIndex` without a zone, ascending in each series.
        codes: Int `(rows,)`: the series of each row.

    Returns:
        Str, or `None` where there is no such pattern: rows lie on one weekday or on all of them, a
        weekday comes fewer than three times, or a fifth of the days that it asks for is absent.

    Example:

    >>> days = pd.DatetimeIndex(["2024-01-01", "2024-01-03", "2024-01-05"])
    >>> three = days.append([days + pd.Timedelta(days=7), days + pd.Timedelta(days=14)])
    >>> weekday_pattern(three, np.zeros(9)), weekday_pattern(days, np.zeros(3))
    ('B-MON-WED-FRI', None)
    """
    often = np.bincount(local.day_of_week, minlength=7)
    if not 1 < (often > 0).sum() < 7 or often[often > 0].min() < _OFTEN:
        return None
    days = [name for name, count in zip(WEEKDAYS, often, strict=True) if count]
    alias = "B" if days == list(WEEKDAYS[:5]) else "B-" + "-".join(days)
    stamps = local.normalize().to_numpy().astype("datetime64[D]")
    first = np.flatnonzero(np.diff(codes, prepend=-1))
    last = np.append(first[1:], len(stamps)) - 1
    wanted = np.busday_count(stamps[first], stamps[last], weekmask=(often > 0).astype(int)) + 1
    new = np.append(True, (np.diff(stamps) != np.timedelta64(0, "D")) | (np.diff(codes) != 0))
    return alias if new.sum() >= _SHARE * wanted.sum() else None


def moved_weeks(given, freq, local):
    """A weekly time step by the weekday of the rows, and a warning where it has another one.

    `"W"` says no weekday, so it is the one on which all rows lie.

    Args:
        given: Time step as the user wrote it.
        freq: The same as an alias.
        local: `pandas.DatetimeIndex` without a zone.

    Returns:
        Str: `freq`, or for `"W"` the alias of weeks that end on the weekday of the rows.

    Example:

    >>> moved_weeks("W", "W-SUN", pd.DatetimeIndex(["2024-01-02", "2024-01-09"]))
    'W-TUE'
    """
    offset, days = offset_of(freq), np.unique(local.day_of_week)
    if not isinstance(offset, pd.offsets.Week) or len(days) != 1 or offset.weekday == days[0]:
        return freq
    kept = f"{'' if offset.n == 1 else offset.n}W-{WEEKDAYS[days[0]]}"
    if isinstance(given, str) and given.endswith("W"):
        return kept
    warnings.warn(
        f"All rows lie on a weekday that freq={freq!r} does not end on, so their times are moved to the end of "
        f"their week. freq={kept!r} keeps them.",
        stacklevel=3,
    )
    return freq
