"""The times of a table: read, regular, and what comes after them."""

import itertools
import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts._units import is_own, is_rows, offset_of, plain_alias, todays_alias, workdays_alias
from tfts.data.row_numbers import row_step, times_of_rows
from tfts.data.stamps import are_texts, check_no_fractions, parse_stamps
from tfts.data.weekdays import weekday_pattern
from tfts.errors import DataError, UnknownNameError

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
# Periods that pandas names by their last day.
_NAMED_BY_END = ("BME", "BQE", "BYE", "ME", "QE", "W", "YE")
# Units of pandas stamps, in nanoseconds.
NANOSECONDS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


class Clock(NamedTuple):
    """The time step and the time zone of rows that something was fitted on.

    Attributes:
        freq: Time step, as `Panel.freq`.
        timezone: Name of the zone, `None` where the times had none.
    """

    freq: str
    timezone: str | None

    def convert(self, times):
        """The same instants in this zone.

        Raises:
            ValueError: If one side has a time zone and the other has none.
        """
        if self.timezone is None and times.tz is not None:
            raise DataError(
                f"The times of the table are in the time zone {times.tz}, but the fitted rows had none. Take the "
                "zone off with tz_localize(None), after tz_convert to the zone of the fitted rows."
            )
        if self.timezone is not None and times.tz is None:
            raise DataError(
                f"The times of the table have no time zone, but the fitted rows were in {self.timezone}. Give the "
                f"times their zone first, e.g. with tz_localize({self.timezone!r})."
            )
        return times if self.timezone is None else times.tz_convert(self.timezone)

    def check_steps(self, times, codes, repeats):
        """Refuses rows that lie closer, or further apart, than the fitted ones.

        Args:
            times: `DatetimeIndex`, ascending in each series.
            codes: Int `(rows,)`: the series of each row.
            repeats: Whether several rows in one period are merged, so that they may lie closer.

        Raises:
            ValueError: If the time steps differ.
        """
        steps, counts = _steps(local_times(times) if _by_clock(offset_of(self.freq)) else times, codes)
        if not len(steps):
            return
        grid = time_grid(local_times(times[:1])[0], self.freq, periods=8)
        # The most common step: business days are three days apart at a weekend.
        lengths, often = np.unique(np.diff(grid.as_unit(times.unit).asi8), return_counts=True)
        fitted, usual = lengths[np.argmax(often)], steps[np.argmax(counts)]
        # Months and quarters differ by a few days.
        if (usual < 0.75 * fitted and not repeats) or steps.min() > 1.5 * fitted:
            raise DataError(
                f"The time steps differ: the fitted rows were at freq={self.freq!r}, but the rows of the table are "
                f"{pd.Timedelta(usual, unit=times.unit)} apart. Bring the table to freq={self.freq!r}, e.g. with "
                "pandas.DataFrame.resample, or fit on rows like these."
            )


def times_of(frame, time, freq=None):
    """The times of a table, the name of its time column or index, and its time step as far as it is known.

    Args:
        frame: `pandas.DataFrame`.
        time: Name of the time column. `None` takes the index.
        freq: Time step, where it is given. A whole number says that rows are counted.

    Returns:
        Tuple `(times, name, freq)`: a `DatetimeIndex` of microseconds or nanoseconds, a str, and
        `freq`, which is found here for row numbers alone.

    Raises:
        ValueError: If there are none, or they can't be read.
        KeyError: If there is no such column.

    Example:

    >>> times_of(pd.DataFrame({"when": ["31.01.2024 13:00", "1.2.2024 13:00"]}), "when")[0].strftime("%b %d").tolist()
    ['Jan 31', 'Feb 01']
    """
    if time is not None and time not in frame.columns:
        raise UnknownNameError(unknown("time column", time, frame.columns))
    column = frame.index if time is None else frame[time]
    if time is not None and are_texts(column):
        _check_present(column)
        column = parse_stamps(column, option="pandas.to_datetime(..., format={})")
    counted = times_of_rows(column, time, freq)
    if counted is not None:
        name = frame.index.name if time is None else time
        return counted, "time" if name is None else str(name), row_step(counted) if freq is None else freq
    if time is None:
        index = frame.index
        if isinstance(index, pd.PeriodIndex):
            index = index.to_timestamp()
        if not isinstance(index, pd.DatetimeIndex):
            raise DataError(
                "Expected a table with a DatetimeIndex, or the name of its time column as `time`. Received: an "
                f"index of type {type(index).__name__}, columns={list(map(str, frame.columns))}."
            )
        times, name = index, "time" if index.name is None else str(index.name)
    else:
        _check_present(column)
        times, name = _of_column(column, time), str(time)
    _check_present(times)
    # Stamps of seconds reach far, but can't hold the steps of a finer `freq`.
    return times if times.unit in ("us", "ns") else times.as_unit("us"), name, freq


def _check_present(times):
    absent = np.flatnonzero(times.isna())
    if len(absent):
        raise DataError(
            f"The time is missing in {len(absent)} rows (first: row {absent[0]}). Expected a time in every row."
        )


def _of_column(column, time):
    if pd.api.types.is_numeric_dtype(column):
        check_no_fractions(column)
        raise DataError(
            f"Time column {time!r} holds numbers (first: {column.iloc[0]}). Expected dates; convert it with "
            "pandas.to_datetime(..., unit=...) first, whole years with "
            "pandas.to_datetime(column.astype(str), format='%Y'). Where they count rows, say so by freq=1."
        )
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    try:
        with warnings.catch_warnings():
            # Before version 3 pandas warns where time zones are mixed.
            warnings.simplefilter("error")
            return pd.DatetimeIndex(pd.to_datetime(column))
    except (ValueError, TypeError, Warning) as error:
        raise DataError(
            f"Time column {time!r} can't be read as dates of one form (pandas says: "
            f"{str(error).splitlines()[0]}). Convert it with pandas.to_datetime(..., format=...) first; stamps "
            "of several time zones need utc=True."
        ) from error


def alias_of(freq):
    """The time step `freq` as the text by which a panel knows it.

    Raises:
        ValueError: If it is no time step, or its text would say less than it does.

    Example:

    >>> alias_of("60min"), alias_of(pd.Timedelta("2h")), alias_of("MS-28"), alias_of(5)
    ('60min', '2h', 'MS-28', '5row')
    """
    text = (
        f"`freq` must be a pandas offset alias such as 'h', '15min', 'D', 'W-SUN' or 'MS', or 'MS-28' for the 28th "
        f"of every month, or 'B-MON-WED-FRI' for days of the week, and lead forward in time. Received: freq={freq!r}."
    )
    if is_rows(freq) and not isinstance(freq, str):
        if freq < 1:
            raise DataError(text)
        return "row" if freq == 1 else f"{freq}row"
    if isinstance(freq, pd.offsets.CustomBusinessDay) and not freq.offset:
        freq = workdays_alias(freq) if is_own(workdays_alias(freq)) else f"{freq.n}B"
    today = todays_alias(freq)
    if today != freq:
        warnings.warn(
            f"freq={freq!r} is the name of pandas before 2.2; {today!r} is taken, as it is called since.",
            stacklevel=3,
        )
        freq = today
    try:
        offset = offset_of(freq)
        alias = freq if is_own(freq) else offset.freqstr
    except (TypeError, ValueError) as error:
        raise DataError(text) from error
    if offset.n < 1:
        raise DataError(text)
    try:
        kept = offset_of(alias) == offset
    except ValueError:
        kept = False
    if not kept:
        raise DataError(
            f"The time step {offset!r} can't be kept: its name {alias!r} does not say all of it (hours, days). "
            "Expected a pandas offset alias, or a CustomBusinessDay for days of the week and holidays."
        )
    return alias


def nanoseconds(times):
    """Nanoseconds since 1970 (UTC) of each time, int64, as a monitor counts them.

    Raises:
        ValueError: If a time is before 1678 or after 2261, where they can't be counted.

    Example:

    >>> nanoseconds(pd.DatetimeIndex(["1970-01-01 00:00:01"])).tolist()
    [1000000000]
    """
    try:
        return times.as_unit("ns").asi8
    except pd.errors.OutOfBoundsDatetime as error:
        raise DataError(
            f"Alarms are for times from 1678 to 2261, which can be counted in nanoseconds. Received: times from "
            f"{times.min()} to {times.max()}."
        ) from error


def repeated(times, codes):
    """Rows that have the time of the row before.

    Example:

    >>> repeated(pd.DatetimeIndex(["2024-01-01", "2024-01-01", "2024-01-02"]), np.zeros(3)).tolist()
    [1]
    """
    stamps = times.asi8
    return np.flatnonzero((codes[1:] == codes[:-1]) & (stamps[1:] == stamps[:-1])) + 1


def check_duplicates(times, codes, duplicates, where):
    """Refuses repeated times where `duplicates` is `"raise"`; `where` puts a row into words.

    Example:

    >>> times = pd.DatetimeIndex(["2024-01-01", "2024-01-01"])
    >>> check_duplicates(times, np.zeros(2), "raise", where=lambda row: times[row])
    Traceback (most recent call last):
    tfts.errors.DataError: 1 rows repeat the time of the row before (first: 2024-01-01 00:00:00)...
    """
    rows = repeated(times, codes) if duplicates == "raise" else ()
    if len(rows):
        raise DataError(
            f"{len(rows)} rows repeat the time of the row before (first: {where(rows[0])}). Expected one row for "
            "each time of a series. If several series stand in one table, name their column as `series`; else "
            "choose duplicates='first', 'last' or 'mean'."
        )


def find_frequency(times, codes, names, series):
    """The time step of sorted rows, as an alias.

    Raises:
        ValueError: If there is no step, or they are irregular.

    Example:

    >>> find_frequency(pd.date_range("2024-01-01", periods=3, freq="15min"), np.zeros(3), [""], None)
    '15min'
    """
    steps, counts = _steps(times, codes)
    if not len(steps):
        raise DataError(
            "The frequency can't be found, because no series has two rows with different times. Give `freq`."
        )
    local, day = local_times(times), _ticks(times, 86_400_000_000_000)
    # A local day has 23 or 25 hours when the clock changes, so days are counted on the clock.
    days, day_counts = (steps, counts) if times.tz is None else _steps(local, codes)
    if not (days % day).any():
        days = days // day
        if days.min() >= 28:
            for alias in _calendar_frequencies(local):
                if local.isin(pd.date_range(local.min(), local.max(), freq=offset_of(alias))).all():
                    return _many(alias, local, codes)
        usual = days[np.argmax(day_counts)]
        if usual == 1 and days.max() >= 3 and (local.day_of_week < 5).all():
            return "B"
        pattern = weekday_pattern(local, codes) if days.max() > 1 else None
        if pattern is not None:
            return pattern
        if not (days % usual).any():
            return "D" if usual == 1 else f"{usual}D"
    usual = steps[np.argmax(counts)]
    if not (steps % usual).any():
        # "D" would be the day of the local clock.
        hours, rest = divmod(int(usual), day // 24)
        step = pd.Timedelta(usual, unit=times.unit)
        return f"{hours}h" if not (rest or hours % 24) else alias_of(step)
    difference = np.diff(times.asi8)
    row = np.flatnonzero((codes[1:] == codes[:-1]) & (difference % usual != 0))[0]
    of = f" of series {names[codes[row]]!r}" if series is not None else ""
    raise DataError(
        f"The time steps{of} are irregular: most are {pd.Timedelta(usual, unit=times.unit)}, but "
        f"{times[row + 1]} comes {pd.Timedelta(difference[row], unit=times.unit)} after {times[row]}. Give `freq` "
        "(e.g. freq='h') to bring the rows into regular periods; rows that are then missing follow `missing`, "
        "and several rows in one period follow `duplicates`."
    )


def _many(alias, local, codes):
    """The alias of so many months, quarters or years as lie between all rows of a series."""
    months = np.diff(local.year.to_numpy(np.int64) * 12 + local.month)[codes[1:] == codes[:-1]]
    number = int(np.gcd.reduce(months)) // {"M": 1, "B": 1, "Q": 3, "Y": 12}[alias[0]]
    return alias if number <= 1 else f"{number}{alias}"


def _calendar_frequencies(local):
    """Aliases from coarse to fine: the first on which every stamp lies is the one."""
    month = local.min().month
    year, first, last = _MONTHS[month - 1], _MONTHS[(month - 1) % 3], _MONTHS[(month - 1) % 3 + 9]
    yield from (f"YS-{year}", f"YE-{year}", f"QS-{first}", f"QE-{last}", "MS", "ME", "BMS", "BME")
    # Of the 30th a February has only the 28th or 29th; the last of every month is above.
    day = int(local.day.max())
    yield from (f"YS-{year}-{day}", f"QS-{first}-{day}", f"MS-{day}")


def _steps(times, codes):
    """The steps between rows of a series, in units of `times`, and how often each comes."""
    difference = np.diff(times.asi8)[codes[1:] == codes[:-1]]
    if len(difference) and 0 < difference.min() == difference.max():
        return difference[:1], np.array([len(difference)])
    return np.unique(difference[difference > 0], return_counts=True)


def _ticks(times, nanoseconds):
    return nanoseconds // NANOSECONDS[times.unit]


def local_times(times):
    """The times of the local clock, without a zone.

    Example:

    >>> local_times(pd.DatetimeIndex(["2024-01-01"], tz="Europe/Paris")).tz is None
    True
    """
    return times.tz_localize(None) if times.tz is not None else times


def _by_clock(offset):
    """Whether the steps of `offset` are counted in days of the local clock, not in hours."""
    # Before pandas 3 a Day was a Tick, which is a fixed time, though it steps by the clock.
    ticks, day = pd.tseries.offsets.Tick, pd.tseries.offsets.Day
    return isinstance(offset, day) or not isinstance(offset, ticks)


def time_grid(start, freq, end=None, periods=None):
    """Times from `start` on, `freq` apart.

    Example:

    >>> time_grid(pd.Timestamp("2024-01-28"), "MS-28", periods=3).astype(str).tolist()
    ['2024-01-28', '2024-02-28', '2024-03-28']
    """
    offset = offset_of(freq)
    if start.tz is None or not _by_clock(offset):
        return pd.date_range(start, end, periods, offset)
    end = None if end is None else end.tz_localize(None)
    return _localize(pd.date_range(start.tz_localize(None), end, periods, offset), start.tz)


def _localize(local, tz):
    # Where the clock skips midnight, the day starts with the first time that there is.
    return local.tz_localize(tz, nonexistent="shift_forward", ambiguous=np.ones(len(local), dtype=bool))


def to_periods(times, codes, freq):
    """Moves every stamp to the name of its period, unless they are `freq` apart already.

    Example:

    >>> stamps = pd.DatetimeIndex(["2024-01-01 00:02", "2024-01-01 01:05", "2024-01-01 01:59"])
    >>> to_periods(stamps, np.zeros(3), "h").hour.tolist()
    [0, 1, 1]
    """
    offset = offset_of(freq)
    local = local_times(times)
    if not _by_clock(offset):
        if offset.nanos % NANOSECONDS[times.unit]:
            times = times.as_unit("ns")
        step = _ticks(times, offset.nanos)
        if not (_steps(times, codes)[0] % step).any():
            return times
        # Counted from the first row's clock, so that no change of the clock bends a period.
        stamps = times.asi8
        clock = stamps + (local[:1].as_unit(times.unit).asi8 - stamps[:1])
        return times - pd.to_timedelta(clock % step, unit=times.unit)
    if isinstance(offset, pd.tseries.offsets.Day):
        if not (_steps(local, codes)[0] % _ticks(times, offset.n * 86_400_000_000_000)).any():
            return times
        first, step = local.min().normalize(), pd.Timedelta(days=offset.n)
        named = first + (local - first) // step * step
    else:
        if local.isin(pd.date_range(local.min(), local.max(), freq=offset)).all():
            return times
        days = local.normalize()
        named = _calendar_periods(days, freq, offset)
    return named if times.tz is None else _localize(named, times.tz)


def _calendar_periods(days, freq, offset):
    plain = plain_alias(freq)
    if plain != freq:
        # The months' own starts, moved to the day that the periods start on.
        starts = offset_of(plain)
        start = starts.rollback(days.min()) - starts
        grid = pd.date_range(start, days.max(), freq=starts)
        day = np.minimum(int(freq.split("-")[-1]), grid.days_in_month)
        grid = grid + pd.to_timedelta(day - 1, unit="D")
        return grid[grid.searchsorted(days, side="right") - 1]
    grid = pd.date_range(offset.rollback(days.min()), offset.rollforward(days.max()), freq=offset)
    if offset.rule_code.split("-")[0] in _NAMED_BY_END:
        return grid[grid.searchsorted(days, side="left")]
    return grid[grid.searchsorted(days, side="right") - 1]


def as_times(stamps, like):
    """Int64 stamps as a `DatetimeIndex` in the unit and the zone of another one.

    Example:

    >>> days = pd.DatetimeIndex(["2024-01-01", "2024-01-03"])
    >>> as_times(days.asi8[1:], days).astype(str).tolist()
    ['2024-01-03']
    """
    times = pd.DatetimeIndex(stamps.astype(f"datetime64[{like.unit}]"))
    return times if like.tz is None else times.tz_localize("UTC").tz_convert(like.tz)


def regularise(values, times, codes, freq, where):
    """Inserts the rows that `freq` asks for, as missing values, series by series.

    Example:

    >>> days = pd.DatetimeIndex(["2024-01-01", "2024-01-03"])
    >>> values, times, lengths = regularise(np.array([[1.0], [3.0]]), days, np.zeros(2), "D", str)
    >>> values.ravel().tolist(), lengths.tolist()
    ([1.0, nan, 3.0], [3])
    """
    edges = np.append(np.flatnonzero(np.diff(codes, prepend=-1)), len(codes))
    if len(edges) > 2:
        done = _regularised_at_once(values, times, edges, offset_of(freq))
        if done is not None:
            return done
    parts, grids, lengths = [], [], []
    for start, end in itertools.pairwise(edges):
        grid = time_grid(times[start], freq, times[end - 1])
        part = values[start:end]
        if len(grid) != end - start or not grid.equals(times[start:end]):
            place = grid.get_indexer(times[start:end])
            if (place < 0).any():
                row = start + np.flatnonzero(place < 0)[0]
                raise DataError(
                    f"A row does not lie on the times of freq={freq!r} that start at {times[start]}: "
                    f"{where(row)}. Give another `freq`."
                )
            part = np.full((len(grid), values.shape[1]), np.nan)
            part[place] = values[start:end]
        parts.append(part)
        grids.append(grid)
        lengths.append(len(grid))
    if len(parts) == 1:
        return parts[0], grids[0], np.array(lengths)
    return np.concatenate(parts), grids[0].append(grids[1:]), np.array(lengths)


def _regularised_at_once(values, times, edges, offset):
    """What `regularise` gives of many series, without a loop over them; `None` where that can't be told."""
    starts, counts = edges[:-1], np.diff(edges)
    if times.tz is not None and _by_clock(offset):
        # A day of the clock has 23 or 25 hours.
        return None
    if isinstance(offset, pd.tseries.offsets.Tick | pd.tseries.offsets.Day):
        is_day = isinstance(offset, pd.tseries.offsets.Day)
        apart = offset.n * 86_400_000_000_000 if is_day else offset.nanos
        if apart % NANOSECONDS[times.unit]:
            return None
        step = _ticks(times, apart)
        between = np.diff(times.asi8)
        between[starts[1:] - 1] = step
        if (between == step).all():
            return values, times, counts
        place, left = np.divmod(times.asi8 - np.repeat(times.asi8[starts], counts), step)
        if left.any():
            return None
        grid, found = None, None
    else:
        if offset.n != 1:
            # Every second month: which ones they are depends on the first.
            return None
        grid = pd.date_range(times.min(), times.max(), freq=offset)
        found = grid.get_indexer(times)
        if (found < 0).any():
            return None
        place = found - np.repeat(found[starts], counts)
    lengths = place[edges[1:] - 1] + 1
    ends = np.cumsum(lengths)
    begins = ends - lengths
    after = np.arange(ends[-1]) - np.repeat(begins, lengths)
    if grid is None:
        stamps = np.repeat(times.asi8[starts], lengths) + step * after
    else:
        stamps = grid.as_unit(times.unit).asi8[np.repeat(found[starts], lengths) + after]
    made = np.full((ends[-1], values.shape[1]), np.nan)
    made[np.repeat(begins, counts) + place] = values
    return made, as_times(stamps, times), lengths
