"""Hours that are named by their end, numbered through the day, or written as intervals."""

import re

import numpy as np
import pandas as pd

from tfts._units import offset_of
from tfts.data.stamps import check_stamps, parse_stamps
from tfts.errors import DataError, SettingError

# Two stamps with a hyphen or dash between spaces, or the slash of ISO 8601 between two that start with a year.
_INTERVAL = r"^\s*(\d.*?)(?:\s+[-\u2013]\s+|(?<=\d\d:\d\d)Z?/(?=\d{4}-))(\d.*?)\s*$"


def read_times(column, time_format=None, ends=None, timezone=None, series=None):
    """The times of a column of stamps or intervals, at which the periods of the rows begin.

    Args:
        column: `pandas.Series`. Intervals such as `2024-01-31 00:00 - 2024-01-31 01:00` begin at the first.
        time_format: As in `parse_stamps`, of each end of an interval.
        ends: Length of the periods that the stamps end, such as `"h"`; `None` where they begin them.
        timezone: Zone of local stamps. Where the clock is put back, the first of two stamps is summer time.
        series: Series of each row, in which a stamp that the clock shows twice stands twice.

    Returns:
        `pandas.Series` of datetimes.

    Raises:
        ValueError: If an interval does not lead forward, or the clock of the zone does not show a time.

    Example:

    >>> read_times(pd.Series(["2024-01-31 23:00", "2024-01-31 24:00"]), ends="h").dt.hour.tolist()
    [22, 23]
    >>> read_times(pd.Series(["31.01.2024 00:00 - 31.01.2024 00:15"])).dt.minute.tolist()
    [0]
    """
    length = _length(ends)
    if time_format is None and len(column) and re.match(_INTERVAL, str(column.iloc[0])):
        text = column.astype("string")
        parts = text.str.extract(_INTERVAL)
        if ends is not None:
            raise SettingError(
                f"`ends` is for single stamps, but column {column.name!r} holds intervals. Leave it out."
            )
        return _of_intervals(text.rename(column.name), parts, timezone, series)
    times = parse_stamps(column, time_format)
    if not pd.api.types.is_datetime64_any_dtype(times):
        if ends is not None or timezone is not None:
            raise SettingError("`ends` and `timezone` are for times, but the column holds row numbers.")
        return times
    times = _in_zone(times, timezone, series)
    return times if length is None else times - length


def joined_times(dates, hours, time_format=None, ends=None, timezone=None, series=None):
    """The times of a date column and a column with the hour, or time, of the day.

    Args:
        dates: `pandas.Series`.
        hours: `pandas.Series`: hours from 0 to 24, times of day such as `13:45`, or with `ends="h"` hours
            from 1 to 24. In a `timezone` a day whose clock is put back has an hour 25.
        time_format: How the dates are written.
        ends: As in `read_times`.
        timezone: As in `read_times`.
        series: As in `read_times`.

    Returns:
        `pandas.Series` of datetimes.

    Raises:
        ValueError: If an hour can't be; the message names the row.

    Example:

    >>> dates = pd.Series(["2024-01-31", "2024-01-31"])
    >>> joined_times(dates, pd.Series([1, 24]), ends="h").dt.hour.tolist()
    [0, 23]
    """
    text = hours.astype("string").str.strip()
    check_stamps(text, text, "an hour")
    if ":" in text.iloc[0]:
        days = dates.dt.strftime("%Y-%m-%d") if pd.api.types.is_datetime64_any_dtype(dates) else dates
        whole = (days.astype("string") + " " + text).rename(dates.name)
        return read_times(whole, time_format, ends, timezone, series)
    length = _length(ends)
    if length is not None and length != pd.Timedelta(hours=1):
        raise SettingError(f"Numbered hours end an hour: expected ends='h'. Received: ends={ends!r}.")
    first = 0 if ends is None else 1
    hour = pd.to_numeric(text, errors="coerce")
    last = 24 if timezone is None or first == 0 else 25
    bad = np.flatnonzero(~hour.between(first, last).fillna(False))
    if len(bad):
        way = " An hour 25 needs the `timezone` whose clock is put back." if text.iloc[bad[0]] == "25" else ""
        raise DataError(
            f"Hour column {hours.name!r} holds {text.iloc[bad[0]]!r} in row {bad[0] + 1} (the first "
            f"below the heading is 1). Expected hours from {first} to {last}, or times of day such as 13:45.{way}"
        )
    hour = hour.astype("float64") - first
    dates = parse_stamps(dates, time_format)
    if timezone is None:
        return dates + pd.to_timedelta(hour, unit="h")
    return _counted_through(dates, hour, timezone, series, is_end=first == 1)


def _length(ends):
    if ends is None:
        return None
    try:
        return pd.Timedelta(offset_of(ends))
    except (ValueError, TypeError) as error:
        raise SettingError(
            f"`ends` must be the length of a period, such as 'h' or '15min'. Received: {ends!r}."
        ) from error


def _of_intervals(text, parts, timezone, series):
    check_stamps(parts[0], text, "an interval of two times")
    begins, stops = (_in_zone(parse_stamps(parts[i].rename(text.name)), timezone, series) for i in (0, 1))
    bad = np.flatnonzero(stops <= begins)
    if len(bad):
        raise DataError(
            f"Time column {text.name!r} holds {text.iloc[bad[0]]!r} in row {bad[0] + 1} (the first below the heading "
            "is 1). Expected an interval that ends after it begins."
        )
    return begins


def _in_zone(times, timezone, series):
    """Local stamps with their zone; where the clock shows a time twice, the first is summer time."""
    if timezone is None:
        return times
    if times.dt.tz is not None:
        return times.dt.tz_convert(timezone)
    try:
        first = times.dt.tz_localize(timezone, ambiguous=np.ones(len(times), dtype=bool), nonexistent="NaT")
    except (KeyError, ValueError) as error:
        raise SettingError(
            f"`timezone` must be a zone such as 'Europe/Berlin'. Received: {timezone!r}."
        ) from error
    absent = np.flatnonzero(first.isna())
    if len(absent):
        raise DataError(
            f"Time column {times.name!r} holds {times.iloc[absent[0]]} in row {absent[0] + 1} (the first below the "
            f"heading is 1), but the clock of {timezone} does not show that time, as it is put forward. Leave "
            "`timezone` out, if the stamps do not follow that clock."
        )
    second = times.dt.tz_localize(timezone, ambiguous=np.zeros(len(times), dtype=bool))
    is_twofold = (first != second).to_numpy()
    if not is_twofold.any():
        return first
    keys = (
        [times.rename("time")]
        if series is None
        else [times.rename("time"), pd.Series(np.asarray(series), name="s")]
    )
    keys = pd.concat([key.reset_index(drop=True) for key in keys], axis=1)
    place = keys.groupby(list(keys)).cumcount().to_numpy()
    alone = np.flatnonzero(is_twofold & ~keys.duplicated(keep=False).to_numpy())
    if len(alone):
        raise DataError(
            f"Time column {times.name!r} holds {times.iloc[alone[0]]} once, but the clock of {timezone} shows it "
            "twice, as it is put back. Expected a row for each, or stamps with their offset from UTC such as +01:00."
        )
    return first.where(~is_twofold | (place == 0), second)


def _counted_through(dates, hour, timezone, series, is_end):
    """Times of hours that are counted through the day, or named by the clock where a day shows that."""
    midnight = dates.dt.normalize()
    starts, stops = _midnights(midnight, timezone), _midnights(midnight + pd.Timedelta(days=1), timezone)
    length = ((stops - starts) / pd.Timedelta(hours=1)).to_numpy()
    hours = pd.DataFrame({"day": midnight.to_numpy(), "series": 0 if series is None else np.asarray(series)})
    of = hours.groupby(["day", "series"]).ngroup().to_numpy()
    hours = hours.assign(hour=hour.to_numpy())
    last = hours["hour"].groupby(of).transform("max").to_numpy()
    twice = hours.duplicated(keep=False).groupby(of).transform("any").to_numpy()
    unclear = np.flatnonzero((length > 24) & (last < 24) & ~twice)
    if len(unclear):
        raise DataError(
            f"The hours of {dates.iloc[unclear[0]]:%Y-%m-%d} can't be told: the clock of {timezone} is put back, but "
            "no hour stands twice and there is no hour more than on other days. Expected one of the two, or no "
            "`timezone`."
        )
    over = np.flatnonzero((hours["hour"] >= 24) & (length <= 24) & is_end)
    if len(over):
        raise DataError(
            f"There is an hour 25 on {dates.iloc[over[0]]:%Y-%m-%d} (row {over[0] + 1}), but that day has "
            f"{length[over[0]]:g} hours in {timezone}."
        )
    found = starts + pd.to_timedelta(hour, unit="h")
    by_clock = ((length < 24) & (last >= 23)) | ((length > 24) & twice)
    if by_clock.any():
        named = (midnight + pd.to_timedelta(hour, unit="h"))[by_clock].rename(dates.name)
        found[by_clock] = _in_zone(named, timezone, of[by_clock])
    return found


def _midnights(days, timezone):
    """Where the clock skips midnight, the day starts with the first time that there is."""
    try:
        return days.dt.tz_localize(timezone, ambiguous=np.ones(len(days), bool), nonexistent="shift_forward")
    except KeyError as error:
        raise SettingError(
            f"`timezone` must be a zone such as 'Europe/Berlin'. Received: {timezone!r}."
        ) from error
