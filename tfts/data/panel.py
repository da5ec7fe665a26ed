"""The one validated form of a user's table."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfts._messages import unknown
from tfts.data.spans import Spans

MISSING = ("raise", "interpolate", "drop")
DUPLICATES = ("raise", "first", "last", "mean")

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
# Periods that pandas names by their last day.
_NAMED_BY_END = ("BME", "BQE", "BYE", "ME", "QE", "W", "YE")
_DAY = 86_400_000_000_000
_NANOSECONDS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
# The whole numbers up to here are all float64 numbers.
_EXACT = 2**53


@dataclasses.dataclass(frozen=True, eq=False)
class Panel:
    """A table of one or many time series: numeric, sorted, regular in time.

    Make one with `Panel.from_frame`. The rows of all series stand one series after
    another in one float64 table, so no digit of the user's is lost; `Scaler.transform`
    makes the float32 table that the windows of a network are gathered from.

    Attributes:
        values: `(rows, columns)`, NaN where a value is missing: float64, or what
            `Scaler.transform` was asked for.
        columns: Names of the columns of `values`.
        targets: The columns to forecast.
        known_future: The columns whose values are known ahead of time.
        times: `DatetimeIndex` with the time of each row.
        freq: Time step as a pandas offset alias.
        series: Name of each series, in the order of the rows.
        spans: `Spans`: the rows `start`, `target_start`, `observed_end` and `end` of each
            series. Rows before `target_start` are context only. Rows from `observed_end`
            on hold nothing but `known_future` values: the future that is known.
        filled: Bool, like `values`: true where the user's table had no value.
        time_name: Name of the time column or index in the user's table.
        series_name: Name of the series column, `None` for a wide table.

    Example:

    >>> frame = pd.DataFrame({"sales": [1.0, 2.0, 3.0]}, index=pd.date_range("2024-01-01", periods=3))
    >>> panel = Panel.from_frame(frame)
    >>> panel.columns, panel.freq, panel.spans.tolist()
    (('sales',), 'D', [[0, 0, 3, 3]])
    """

    values: np.ndarray
    columns: tuple
    targets: tuple
    known_future: tuple
    times: pd.DatetimeIndex
    freq: str
    series: tuple
    spans: Spans
    filled: np.ndarray
    time_name: str = "time"
    series_name: str | None = None

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        time: str | None = None,
        series: str | None = None,
        freq: str | None = None,
        targets: str | Sequence[str] | None = None,
        known_future: str | Sequence[str] = (),
        missing: Literal["raise", "interpolate", "drop"] = "raise",
        limit: int | None = 10,
        duplicates: Literal["raise", "first", "last", "mean"] = "raise",
        allow_constant: bool = False,
    ) -> Panel:
        """Checks a table and brings it into one regular form.

        A wide table has a `DatetimeIndex` or a time column and a column for each
        variable. A long one also has a series column, and its series may differ in
        length. Rows are sorted; the frequency is found, or taken from `freq`; rows that
        the frequency asks for and the table lacks are inserted as missing values.

        Args:
            frame: `pandas.DataFrame`, in original units. It is not changed.
            time: Name of the time column. `None` takes the index.
            series: Name of the column that tells the series apart, if there are many.
            freq: pandas offset alias such as `"h"`, `"15min"`, `"W-SAT"`, `"MS"`. `None`
                finds it. When given, a stamp inside a period is moved to its start, or to its
                end for `"W"`, `"ME"`, `"QE"` and `"YE"`, as in `pandas.DataFrame.resample`.
            targets: Names of the columns to forecast. `None` takes every column that is
                not in `known_future`.
            known_future: Names of the columns known ahead (calendar, price, promotion).
                Rows at the end that hold only these are the future to forecast into.
            missing: What to do about missing values: `"raise"` an error, `"interpolate"`
                between neighbours in time, or `"drop"` the windows that touch one. A
                window never ends on an interpolated row, because that row was made from
                the row after it.
            limit: Rows. With `"interpolate"`, a longer gap stays missing, and windows
                that touch it are left out. `None` sets no limit.
            duplicates: What to do about several rows with one time: `"raise"`, keep the
                `"first"` or `"last"`, or take their `"mean"`.
            allow_constant: Whether a target may have one value in all rows. Nothing can
                be learnt from it, so this is for prediction.

        Returns:
            A `Panel`.

        Raises:
            ValueError: If the table can't be used as it is; the message names the
                column, the series and the first offending time, and what to do.
            KeyError: If a named column does not exist.

        Example:

        >>> import pandas as pd
        >>> frame = pd.DataFrame({"load": [3.0, 4.0, 6.0, 5.0]},
        ...                      index=pd.date_range("2024-01-01", periods=4, freq="h"))
        >>> Panel.from_frame(frame)
        Panel(1 series, 4 rows from 2024-01-01 00:00:00 to 2024-01-01 03:00:00, freq='h', targets=['load'])
        """
        _check_choice("missing", missing, MISSING)
        _check_choice("duplicates", duplicates, DUPLICATES)
        if limit is not None and (not isinstance(limit, int | np.integer) or limit < 1):
            raise ValueError(f"`limit` must be an int >= 1 (rows) or None. Received: limit={limit!r}.")
        if not isinstance(frame, pd.DataFrame):
            raise ValueError(f"Expected a pandas DataFrame. Received: {type(frame).__name__}.")
        if frame.empty:
            raise ValueError(
                f"The table is empty ({len(frame)} rows, {frame.shape[1]} columns). Expected at least one row "
                "and one column of numbers."
            )
        twice = pd.Index(map(str, frame.columns)).duplicated()
        if twice.any():
            raise ValueError(
                f"Column {str(frame.columns[twice][0])!r} stands twice in the table. Expected one column for "
                "each name."
            )
        times, time_name = _times(frame, time)
        codes, names = _series_codes(frame, series)
        columns = [c for c in frame.columns if c not in (time, series)]
        names_of_columns = tuple(map(str, columns))
        known_future = _names("known_future", known_future, names_of_columns)
        if targets is None:
            targets = tuple(c for c in names_of_columns if c not in known_future)
        targets = _names("targets", targets, names_of_columns)
        if not targets:
            raise ValueError(
                "The table has no target column. Expected at least one column that is not known_future. "
                f"Received: columns={list(names_of_columns)}, known_future={list(known_future)}."
            )
        both = [c for c in targets if c in known_future]
        if both:
            raise ValueError(
                f"Column {both[0]!r} is a target and known_future. Expected one of them: what is known ahead "
                "need not be forecast."
            )

        def where(row):
            of = f"series {names[codes[row]]!r}, " if series is not None else ""
            return f"{of}{times[row]}"

        values = _numbers(frame, columns, where)
        stamps = _nanoseconds(times)
        ahead = (codes[1:] < codes[:-1]) | ((codes[1:] == codes[:-1]) & (stamps[1:] < stamps[:-1]))
        if ahead.any():
            order = np.lexsort((stamps, codes))
            values, times, codes = values[order], times[order], codes[order]
        if freq is None:
            # Repeated stamps would make the most common step zero.
            _check_duplicates(times, codes, duplicates, where)
            freq = _find_frequency(times, codes, names, series)
        else:
            freq = _offset(freq).freqstr
            times = _to_periods(times, codes, freq)
            _check_duplicates(times, codes, duplicates, where)
        values, times, codes = _merge_duplicates(values, times, codes, duplicates)
        values, times, lengths = _regularise(values, times, codes, freq, where)

        ends = np.cumsum(lengths)
        starts = ends - lengths
        absent = np.isnan(values)
        filled = absent if absent.any() else np.broadcast_to(False, values.shape)
        others = [i for i, c in enumerate(names_of_columns) if c not in known_future]
        observed_ends = ends.copy()
        if known_future and filled is absent:
            nothing = absent[:, others].all(axis=1)
            for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
                seen = np.flatnonzero(~nothing[start:end])
                observed_ends[i] = start + seen[-1] + 1 if len(seen) else start
        panel = cls(
            values=values,
            columns=names_of_columns,
            targets=targets,
            known_future=known_future,
            times=times,
            freq=freq,
            series=tuple(names),
            spans=Spans(starts, starts, observed_ends, ends),
            filled=filled,
            time_name=time_name,
            series_name=series,
        )
        if filled is absent:
            panel._check_known_future()
            if missing == "raise":
                panel._raise_missing()
            if missing == "interpolate":
                panel = dataclasses.replace(panel, values=panel._interpolated(limit))
        if not allow_constant:
            panel._check_constant()
        return panel

    def __repr__(self):
        text = (
            f"Panel({len(self.series)} series, {len(self.times)} rows from {self.times.min()} to "
            f"{self.times.max()}, freq={self.freq!r}, targets={list(self.targets)}"
        )
        return text + (f", known_future={list(self.known_future)})" if self.known_future else ")")

    def indices(self, columns: Sequence[str]) -> npt.NDArray[np.int64]:
        """Positions of the named columns in `values`, an int array.

        Raises:
            KeyError: If the panel has no such column.
        """
        for column in columns:
            if column not in self.columns:
                raise KeyError(unknown("column", column, self.columns))
        return np.array([self.columns.index(c) for c in columns], dtype=np.int64)

    def series_of(self, rows: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Positions in `series` of the given rows, an int array like `rows`."""
        return np.searchsorted(self.spans.end, rows, side="right")

    def future_times(self, row: int, steps: int) -> pd.DatetimeIndex:
        """Times of the `steps` rows after `row`, also past the end of the table."""
        return _grid(self.times[row], self.freq, periods=steps + 1)[1:]

    def extend(self, steps: int) -> Panel:
        """A panel with `steps` rows more after each series, as known future still empty."""
        parts, filled, times = [], [], []
        for start, _, _, end in self.spans:
            empty = np.full((steps, len(self.columns)), np.nan, dtype=self.values.dtype)
            parts += [self.values[start:end], empty]
            filled += [self.filled[start:end], np.ones_like(empty, dtype=bool)]
            times += [self.times[start:end], self.future_times(end - 1, steps)]
        spans = self.spans
        # Rows that no series holds are left out, so the first rows move.
        lengths = spans.end - spans.start + steps
        first = np.cumsum(lengths) - lengths
        moved = first - spans.start
        return dataclasses.replace(
            self,
            values=np.concatenate(parts),
            filled=np.concatenate(filled),
            times=times[0].append(times[1:]),
            spans=Spans(
                first, spans.target_start + moved, spans.observed_end + moved, spans.end + moved + steps
            ),
        )

    def to_frame(self) -> pd.DataFrame:
        """The table as a DataFrame: the rows that belong to the panel, context rows too."""
        rows = self.spans.rows(first=self.spans.start, stop=self.spans.end)
        frame = pd.DataFrame(self.values[rows], columns=list(self.columns), index=self.times[rows])
        frame.index.name = self.time_name
        if self.series_name is not None:
            frame = frame.reset_index()
            frame.insert(0, self.series_name, np.asarray(self.series, dtype=object)[self.series_of(rows)])
        return frame

    def digest(self) -> str:
        """A fingerprint of the panel: what was fitted on it is known by this, not by a file's name.

        The rows that belong to the panel count, with their times, what each series and column
        is called and is for, and which rows are context, observed or known ahead. Rows of a
        table that are in another part of a split do not.

        Returns:
            Str of 16 hexadecimal digits.

        Example:

        >>> frame = pd.DataFrame({"y": [1.0, 2.0, 3.0]}, index=pd.date_range("2024-01-01", periods=3))
        >>> before = Panel.from_frame(frame).digest()
        >>> frame.loc["2024-01-02", "y"] = 2.5
        >>> before == Panel.from_frame(frame).digest()
        False
        """
        names = {
            "columns": self.columns,
            "targets": self.targets,
            "known_future": self.known_future,
            "freq": self.freq,
            "timezone": None if self.times.tz is None else str(self.times.tz),
            # A name counts with its type: store 7 is not store "7".
            "series": [repr(name) for name in self.series],
            "spans": [[row - span.start for row in span] for span in self.spans],
        }
        found = hashlib.sha256(json.dumps(names, default=str).encode())
        each = _NANOSECONDS[self.times.unit]
        for start, _, _, end in self.spans:
            # The same instant is the same number in stamps of seconds and of nanoseconds.
            whole, rest = np.divmod(self.times[start:end].asi8, 1_000_000_000 // each)
            values = self.values[start:end].astype(np.float64)
            # There are many numbers that are NaN, and two that are zero.
            values = np.where(np.isnan(values), np.nan, values + 0.0)
            for part in (whole, rest * each, values, np.asarray(self.filled[start:end])):
                found.update(np.ascontiguousarray(part).tobytes())
        return found.hexdigest()[:16]

    def _where(self, row):
        of = f"series {self.series[self.series_of(row)]!r}, " if self.series_name is not None else ""
        return f"{of}{self.times[row]}"

    def _check_known_future(self):
        for column in self.known_future:
            absent = self.filled[:, self.columns.index(column)]
            for _, _, observed_end, end in self.spans:
                gone = observed_end + np.flatnonzero(absent[observed_end:end])
                if len(gone):
                    raise ValueError(
                        f"Column {column!r} has {len(gone)} missing values in the forecast rows (first: "
                        f"{self._where(gone[0])}), but it is known_future, so every row must hold a value."
                    )

    def _raise_missing(self):
        for i, column in enumerate(self.columns):
            absent = self.filled[:, i].copy()
            if column not in self.known_future:
                for _, _, observed_end, end in self.spans:
                    absent[observed_end:end] = False
            rows = np.flatnonzero(absent)
            if len(rows):
                raise ValueError(
                    f"Column {column!r} has {len(rows)} missing values at freq={self.freq!r} (first: "
                    f"{self._where(rows[0])}). Rows that the table lacks count as missing. Fill them, or choose "
                    "missing='interpolate' (fills gaps of up to `limit` rows) or missing='drop' (leaves out "
                    "the windows that touch a gap)."
                )

    def _interpolated(self, limit):
        values = self.values.copy()
        of = np.repeat(np.arange(len(self.spans)), self.spans.end - self.spans.start)
        for i in range(len(self.columns)):
            absent = self.filled[:, i]
            gone, seen = np.flatnonzero(absent), np.flatnonzero(~absent)
            right = np.searchsorted(seen, gone)
            inside = (right > 0) & (right < len(seen))
            gone, left, right = gone[inside], seen[right[inside] - 1], seen[right[inside]]
            fits = of[left] == of[right]
            if limit is not None:
                fits &= right - left - 1 <= limit
            gone, left, right = gone[fits], left[fits], right[fits]
            before, after = values[left, i], values[right, i]
            values[gone, i] = before + (after - before) * ((gone - left) / (right - left))
        return values

    def _check_constant(self):
        for span, name in zip(self.spans, self.series, strict=True):
            for target in self.targets:
                part = self.values[span.start : span.observed_end, self.columns.index(target)]
                part = part[~np.isnan(part)]
                if not len(part):
                    of = f" of series {name!r}" if self.series_name is not None else ""
                    raise ValueError(f"Target {target!r}{of} has no value in any row. Leave it out.")
                if len(part) > 1 and part.min() == part.max():
                    of = f" of series {name!r}" if self.series_name is not None else ""
                    raise ValueError(
                        f"Target {target!r}{of} is constant: {part[0]:g} in all {len(part)} rows from "
                        f"{self.times[span.start]} on, so there is nothing to learn. Leave it out, or give "
                        "allow_constant=True."
                    )


def _check_choice(name, value, choices):
    if value not in choices:
        raise ValueError(unknown(name, value, choices))


def _names(kind, names, columns):
    """A tuple of existing column names, each once."""
    names = (names,) if isinstance(names, str) else tuple(map(str, names))
    for name in names:
        if name not in columns:
            raise KeyError(unknown(f"column in {kind}:", name, columns))
    if len(set(names)) != len(names):
        raise ValueError(f"`{kind}` names a column twice. Received: {list(names)}.")
    return names


def _times(frame, time):
    if time is None:
        index = frame.index
        if isinstance(index, pd.PeriodIndex):
            index = index.to_timestamp()
        if not isinstance(index, pd.DatetimeIndex):
            raise ValueError(
                "Expected a table with a DatetimeIndex, or the name of its time column as `time`. Received: an "
                f"index of type {type(index).__name__}, columns={list(map(str, frame.columns))}."
            )
        times, name = index, "time" if index.name is None else str(index.name)
    else:
        if time not in frame.columns:
            raise KeyError(unknown("time column", time, frame.columns))
        column, name = frame[time], str(time)
        if pd.api.types.is_numeric_dtype(column):
            raise ValueError(
                f"Time column {time!r} holds numbers (first: {column.iloc[0]}). Expected dates; convert it with "
                "pandas.to_datetime(..., unit=...) first."
            )
        if isinstance(column.dtype, pd.PeriodDtype):
            column = column.dt.to_timestamp()
        try:
            with warnings.catch_warnings():
                # pandas warns where it guesses the format row by row, which can swap day and month,
                # and before version 3 where time zones are mixed.
                warnings.simplefilter("error")
                times = pd.DatetimeIndex(pd.to_datetime(column))
        except (ValueError, TypeError, Warning) as error:
            raise ValueError(
                f"Time column {time!r} can't be read as dates of one form (pandas says: "
                f"{str(error).splitlines()[0]}). Convert it with pandas.to_datetime(..., format=...) first; stamps "
                "of several time zones need utc=True."
            ) from error
    absent = np.flatnonzero(times.isna())
    if len(absent):
        raise ValueError(
            f"The time is missing in {len(absent)} rows (first: row {absent[0]}). Expected a time in every row."
        )
    return times, name


def _series_codes(frame, series):
    if series is None:
        return np.zeros(len(frame), dtype=np.int64), [""]
    if series not in frame.columns:
        raise KeyError(unknown("series column", series, frame.columns))
    absent = np.flatnonzero(frame[series].isna())
    if len(absent):
        raise ValueError(
            f"Series column {series!r} is missing in {len(absent)} rows (first: row {absent[0]}). Expected a "
            "name in every row."
        )
    codes, names = pd.factorize(frame[series], sort=True)
    return codes.astype(np.int64), [n.item() if isinstance(n, np.generic) else n for n in names]


def aligned_empty(shape, dtype=np.float32):
    """An uninitialised array at an address that TensorFlow can use without a copy.

    Args:
        shape: Tuple of int.
        dtype: NumPy type.

    Returns:
        Array of that shape.

    Example:

    >>> aligned_empty((3, 2)).ctypes.data % 64
    0
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    spare = np.empty(size + 64, dtype=np.uint8)
    first = -spare.ctypes.data % 64
    return spare[first : first + size].view(dtype).reshape(shape)


def _numbers(frame, columns, where):
    values = np.empty((len(frame), len(columns)))
    for i, name in enumerate(columns):
        column = frame[name]
        if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_complex_dtype(column):
            # One word makes text of a whole column, so that the word is what has to be found.
            is_text = column.dtype == object or pd.api.types.is_string_dtype(column.dtype)
            numbers = pd.to_numeric(column, errors="coerce") if is_text else None
            bad = np.flatnonzero(column.notna() & (numbers.isna() if is_text else True))
            if len(bad) or not is_text:
                first = f" (first: {column.iloc[bad[0]]!r} at {where(bad[0])})" if len(bad) else ""
                raise ValueError(
                    f"Column {str(name)!r} holds {len(bad)} values of type {column.dtype} that are no "
                    f"numbers{first}. Leave the column out, or turn it into numbers, e.g. with "
                    "pandas.get_dummies for categories."
                )
            column = numbers
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
        if pd.api.types.is_integer_dtype(column):
            _check_whole_numbers(name, column, numbers, where)
        infinite = np.flatnonzero(np.abs(numbers) > np.finfo(np.float32).max)
        if len(infinite):
            raise ValueError(
                f"Column {str(name)!r} has {len(infinite)} infinite values or values beyond float32 (first: "
                f"{numbers[infinite[0]]} at {where(infinite[0])}). Expected finite numbers; make them missing "
                "values (NaN) or correct them."
            )
        values[:, i] = numbers
    return values


def _check_whole_numbers(name, column, numbers, where):
    """Refuses integers that float64 would round."""
    large = np.flatnonzero(np.abs(numbers) >= _EXACT)
    lost = [row for row in large if int(numbers[row]) != column.iloc[row]]
    if lost:
        raise ValueError(
            f"Column {str(name)!r} has {len(lost)} whole numbers beyond 2**53 that float64 can't hold to the last "
            f"digit (first: {column.iloc[lost[0]]} at {where(lost[0])}). Take a common start off first, or leave "
            "the column out."
        )


def _nanoseconds(times):
    return times.as_unit("ns").asi8


def _offset(freq):
    text = (
        f"`freq` must be a pandas offset alias such as 'h', '15min', 'D', 'W-SUN' or 'MS', and lead forward in "
        f"time. Received: freq={freq!r}."
    )
    try:
        offset = pd.tseries.frequencies.to_offset(freq)
    except (TypeError, ValueError) as error:
        raise ValueError(text) from error
    if offset.n < 1:
        raise ValueError(text)
    return offset


def _repeated(times, codes):
    stamps = _nanoseconds(times)
    return np.flatnonzero((codes[1:] == codes[:-1]) & (stamps[1:] == stamps[:-1])) + 1


def _check_duplicates(times, codes, duplicates, where):
    rows = _repeated(times, codes) if duplicates == "raise" else ()
    if len(rows):
        raise ValueError(
            f"{len(rows)} rows repeat the time of the row before (first: {where(rows[0])}). Expected one row for "
            "each time of a series. If several series stand in one table, name their column as `series`; else "
            "choose duplicates='first', 'last' or 'mean'."
        )


def _merge_duplicates(values, times, codes, duplicates):
    rows = _repeated(times, codes)
    if not len(rows):
        return values, times, codes
    first = np.ones(len(times), dtype=bool)
    first[rows] = False
    heads = np.flatnonzero(first)
    sizes = np.diff(heads, append=len(times))
    kept = values[heads + sizes - 1] if duplicates == "last" else values[heads]
    if duplicates == "mean":
        many = sizes > 1
        block = values[np.repeat(many, sizes)]
        inner = np.cumsum(sizes[many]) - sizes[many]
        # Missing values do not count in a mean; all missing stays missing.
        seen = ~np.isnan(block)
        total = np.add.reduceat(np.where(seen, block, 0), inner, axis=0)
        count = np.add.reduceat(seen, inner, axis=0, dtype=np.int64)
        kept[many] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return kept, times[heads], codes[heads]


def _find_frequency(times, codes, names, series):
    steps, counts = _steps(times, codes)
    if not len(steps):
        raise ValueError(
            "The frequency can't be found, because no series has two rows with different times. Give `freq`."
        )
    local = _local(times)
    # A local day has 23 or 25 hours when the clock changes, so days are counted on the clock.
    days, day_counts = (steps, counts) if times.tz is None else _steps(local, codes)
    if not (days % _DAY).any():
        days //= _DAY
        if days.min() >= 28:
            for alias in _calendar_frequencies(local.min().month):
                if local.isin(pd.date_range(local.min(), local.max(), freq=alias)).all():
                    return alias
        usual = days[np.argmax(day_counts)]
        if usual == 1 and days.max() >= 3 and (local.day_of_week < 5).all():
            return "B"
        if not (days % usual).any():
            return "D" if usual == 1 else f"{usual}D"
    usual = steps[np.argmax(counts)]
    if not (steps % usual).any():
        # "D" would be the day of the local clock.
        hours, rest = divmod(int(usual), _DAY // 24)
        return f"{hours}h" if not (rest or hours % 24) else _offset(pd.Timedelta(usual, unit="ns")).freqstr
    difference = np.diff(_nanoseconds(times))
    row = np.flatnonzero((codes[1:] == codes[:-1]) & (difference % usual != 0))[0]
    of = f" of series {names[codes[row]]!r}" if series is not None else ""
    raise ValueError(
        f"The time steps{of} are irregular: most are {pd.Timedelta(usual, unit='ns')}, but "
        f"{times[row + 1]} comes {pd.Timedelta(difference[row], unit='ns')} after {times[row]}. Give `freq` "
        "(e.g. freq='h') to bring the rows into regular periods; rows that are then missing follow `missing`, "
        "and several rows in one period follow `duplicates`."
    )


def _calendar_frequencies(month):
    """Aliases from coarse to fine: the first on which every stamp lies is the one."""
    year, first, last = _MONTHS[month - 1], _MONTHS[(month - 1) % 3], _MONTHS[(month - 1) % 3 + 9]
    return f"YS-{year}", f"YE-{year}", f"QS-{first}", f"QE-{last}", "MS", "ME", "BMS", "BME"


def _steps(times, codes):
    difference = np.diff(_nanoseconds(times))[codes[1:] == codes[:-1]]
    return np.unique(difference[difference > 0], return_counts=True)


def _local(times):
    return times.tz_localize(None) if times.tz is not None else times


def _by_clock(offset):
    """Whether the steps of `offset` are counted in days of the local clock, not in hours."""
    # Before pandas 3 a Day was a Tick, which is a fixed time, though it steps by the clock.
    ticks, day = pd.tseries.offsets.Tick, pd.tseries.offsets.Day
    return isinstance(offset, day) or not isinstance(offset, ticks)


def _grid(start, freq, end=None, periods=None):
    """Times from `start` on, `freq` apart."""
    if start.tz is None or not _by_clock(_offset(freq)):
        return pd.date_range(start, end, periods, freq)
    end = None if end is None else end.tz_localize(None)
    return _localize(pd.date_range(start.tz_localize(None), end, periods, freq), start.tz)


def _localize(local, tz):
    # Where the clock skips midnight, the day starts with the first time that there is.
    return local.tz_localize(tz, nonexistent="shift_forward", ambiguous=np.ones(len(local), dtype=bool))


def _to_periods(times, codes, freq):
    """Moves every stamp to the name of its period, unless they are `freq` apart already."""
    offset = _offset(freq)
    local = _local(times)
    if not _by_clock(offset):
        if not (_steps(times, codes)[0] % offset.nanos).any():
            return times
        # Counted from the first row's clock, so that no change of the clock bends a period.
        stamps = _nanoseconds(times)
        clock = stamps + (_nanoseconds(local[:1]) - stamps[:1])
        return times - pd.to_timedelta(clock % offset.nanos, unit="ns")
    if isinstance(offset, pd.tseries.offsets.Day):
        if not (_steps(local, codes)[0] % (offset.n * _DAY)).any():
            return times
        first, step = local.min().normalize(), pd.Timedelta(days=offset.n)
        named = first + (local - first) // step * step
    else:
        if local.isin(pd.date_range(local.min(), local.max(), freq=freq)).all():
            return times
        days = local.normalize()
        grid = pd.date_range(offset.rollback(days.min()), offset.rollforward(days.max()), freq=freq)
        if offset.rule_code.split("-")[0] in _NAMED_BY_END:
            named = grid[grid.searchsorted(days, side="left")]
        else:
            named = grid[grid.searchsorted(days, side="right") - 1]
    return named if times.tz is None else _localize(named, times.tz)


def _regularise(values, times, codes, freq, where):
    """Inserts the rows that `freq` asks for, as missing values, series by series."""
    edges = np.append(np.flatnonzero(np.diff(codes, prepend=-1)), len(codes))
    parts, grids, lengths = [], [], []
    for start, end in itertools.pairwise(edges):
        grid = _grid(times[start], freq, times[end - 1])
        part = values[start:end]
        if len(grid) != end - start or not grid.equals(times[start:end]):
            place = grid.get_indexer(times[start:end])
            if (place < 0).any():
                row = start + np.flatnonzero(place < 0)[0]
                raise ValueError(
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
