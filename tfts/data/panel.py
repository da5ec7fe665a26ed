"""The one validated form of a user's table."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfts._messages import unknown
from tfts._units import shown_times
from tfts.data.frames import as_pandas, with_one_id
from tfts.data.spans import Spans
from tfts.data.times import (
    NANOSECONDS,
    Clock,
    alias_of,
    check_duplicates,
    find_frequency,
    local_times,
    regularise,
    repeated,
    time_grid,
    times_of,
    to_periods,
)
from tfts.data.weekdays import moved_weeks
from tfts.errors import DataError, SettingError, UnknownNameError

MISSING = ("raise", "interpolate", "drop")
DUPLICATES = ("raise", "first", "last", "mean")
# Tables of forecasts have a column for each target beside these.
_TAKEN = ("model", "origin", "series", "time")

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
        part: `"training"`, `"validation"` or `"test"` for a part of a `Split`.

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
    part: str | None = None

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        time: str | None = None,
        series: str | Sequence[str] | None = None,
        freq: str | int | pd.offsets.BaseOffset | None = None,
        targets: str | Sequence[str] | None = None,
        known_future: str | Sequence[str] = (),
        missing: Literal["raise", "interpolate", "drop"] = "raise",
        limit: int | None = 10,
        duplicates: Literal["raise", "first", "last", "mean"] = "raise",
        allow_constant: bool = False,
        clock: Clock | None = None,
    ) -> Panel:
        """Checks a table and brings it into one regular form.

        A wide table has a `DatetimeIndex` or a time column and a column for each
        variable. A long one also has a series column, and its series may differ in
        length. Rows are sorted; the frequency is found, or taken from `freq`; rows that
        the frequency asks for and the table lacks are inserted as missing values.

        Args:
            frame: DataFrame of pandas, Polars, Arrow or another library that narwhals knows, in
                original units. It is not changed.
            time: Name of the time column: dates, or row numbers. `None` takes the index.
            series: Name of the column that tells the series apart, if there are many; a list,
                where several do so together: their values are joined with `/`.
            freq: pandas offset alias such as `"h"`, `"15min"`, `"W-SAT"`, `"MS"`; `"MS-28"`, the
                28th of every month; `"B-MON-WED-FRI"`, days of the week; a `CustomBusinessDay` with
                holidays; `"W"`, weeks that end on the weekday of the rows; or the distance of row
                numbers, an int. `None` finds it. When given, a stamp inside a period is moved to its start, or to its
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
            clock: `Clock` of rows that something was fitted on. Times are converted to its
                zone, and rows with another time step are refused. In place of `freq`.

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
        frame, series = with_one_id(as_pandas(frame), series)
        _check_options(frame, missing, limit, duplicates)
        times, time_name, freq = times_of(frame, time, freq if clock is None else clock.freq)
        times = times if clock is None else clock.convert(times)
        codes, names = _series_codes(frame, series)
        labels = [c for c in frame.columns if c not in (time, series)]
        columns = tuple(map(str, labels))
        targets, known_future = _roles(columns, targets, known_future)

        def where(row):
            of = f"series {names[codes[row]]!r}, " if series is not None else ""
            return f"{of}{shown_times(times, freq)[row]}"

        values = _numbers(frame, labels, where)
        stamps = times.asi8
        ahead = (codes[1:] < codes[:-1]) | ((codes[1:] == codes[:-1]) & (stamps[1:] < stamps[:-1]))
        if ahead.any():
            order = np.lexsort((stamps, codes))
            values, times, codes = values[order], times[order], codes[order]
        if clock is not None:
            clock.check_steps(times, codes, repeats=duplicates != "raise")
            freq = clock.freq
        if freq is None:
            # Repeated stamps would make the most common step zero.
            check_duplicates(times, codes, duplicates, where)
            freq = find_frequency(times, codes, names, series)
        else:
            freq = moved_weeks(freq, alias_of(freq), local_times(times))
            times = to_periods(times, codes, freq)
            check_duplicates(times, codes, duplicates, where)
        values, times, codes = _merge_duplicates(values, times, codes, duplicates)
        values, times, lengths = regularise(values, times, codes, freq, where)

        ends = np.cumsum(lengths)
        starts = ends - lengths
        absent = np.isnan(values)
        filled = absent if absent.any() else np.broadcast_to(False, values.shape)
        observed_ends = ends
        if known_future and filled is absent:
            others = [i for i, c in enumerate(columns) if c not in known_future]
            observed_ends = _observed_ends(absent[:, others].all(axis=1), starts, ends)
        panel = cls(
            values=values,
            columns=columns,
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
            panel = panel._with_missing(missing, limit)
        if not allow_constant:
            panel._check_constant()
        return panel

    def _with_missing(self, missing, limit):
        """The panel after what `missing` says of absent values."""
        self._check_known_future()
        if missing == "raise":
            self._raise_missing()
        if missing == "interpolate":
            return dataclasses.replace(self, values=self._interpolated(limit))
        return self

    def __repr__(self):
        times = self.shown(self.times)
        text = (
            f"Panel({len(self.series)} series, {len(self.times)} rows from {times.min()} to "
            f"{times.max()}, freq={self.freq!r}, targets={list(self.targets)}"
        )
        return text + (f", known_future={list(self.known_future)})" if self.known_future else ")")

    def indices(self, columns: Sequence[str]) -> npt.NDArray[np.int64]:
        """Positions of the named columns in `values`, an int array.

        Raises:
            KeyError: If the panel has no such column.
        """
        for column in columns:
            if column not in self.columns:
                raise UnknownNameError(unknown("column", column, self.columns))
        return np.array([self.columns.index(c) for c in columns], dtype=np.int64)

    def series_of(self, rows: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Positions in `series` of the given rows, an int array like `rows`."""
        return np.searchsorted(self.spans.end, rows, side="right")

    def future_times(self, row: int, steps: int) -> pd.DatetimeIndex:
        """Times of the `steps` rows after `row`, also past the end of the table."""
        return time_grid(self.times[row], self.freq, periods=steps + 1)[1:]

    def shown(self, times: pd.DatetimeIndex) -> pd.Index:
        """Times as the user's table has them: whole numbers where it counts rows."""
        return shown_times(times, self.freq)

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
        frame = pd.DataFrame(
            self.values[rows], columns=list(self.columns), index=self.shown(self.times[rows])
        )
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
        each = NANOSECONDS[self.times.unit]
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
        return f"{of}{self.shown(self.times)[row]}"

    def _check_known_future(self):
        for column in self.known_future:
            absent = self.filled[:, self.columns.index(column)]
            for _, _, observed_end, end in self.spans:
                gone = observed_end + np.flatnonzero(absent[observed_end:end])
                if len(gone):
                    raise DataError(
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
                raise DataError(
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
        rows = self.spans.rows(self.spans.start, self.spans.observed_end)
        lengths = np.maximum(self.spans.observed_end - self.spans.start, 0)
        begins = np.cumsum(lengths) - lengths
        values = self.values[rows][:, self.indices(self.targets)]
        least, most = np.full((2, len(lengths), values.shape[1]), np.nan)
        there = lengths > 0
        if there.any():
            least[there] = np.fmin.reduceat(values, begins[there])
            most[there] = np.fmax.reduceat(values, begins[there])
        for i, target in np.argwhere(~(least < most)):
            part = values[begins[i] : begins[i] + lengths[i], target]
            part, name = part[~np.isnan(part)], self.targets[target]
            of = f" of series {self.series[i]!r}" if self.series_name is not None else ""
            if not len(part):
                raise DataError(f"Target {name!r}{of} has no value in any row. Leave it out.")
            if len(part) > 1:
                raise DataError(
                    f"Target {name!r}{of} is constant: {part[0]:g} in all {len(part)} rows from "
                    f"{self.times[self.spans.start[i]]} on, so there is nothing to learn. Leave it out, or give "
                    "allow_constant=True."
                )


def _check_options(frame, missing, limit, duplicates):
    _check_choice("missing", missing, MISSING)
    _check_choice("duplicates", duplicates, DUPLICATES)
    if limit is not None and (not isinstance(limit, int | np.integer) or limit < 1):
        raise SettingError(f"`limit` must be an int >= 1 (rows) or None. Received: limit={limit!r}.")
    if frame.empty:
        raise DataError(
            f"The table is empty ({len(frame)} rows, {frame.shape[1]} columns). Expected at least one row "
            "and one column of numbers."
        )
    twice = pd.Index(map(str, frame.columns)).duplicated()
    if twice.any():
        raise DataError(
            f"Column {str(frame.columns[twice][0])!r} stands twice in the table. Expected one column for "
            "each name."
        )


def _roles(columns, targets, known_future):
    """Names of the targets and of the columns known ahead, two tuples."""
    known_future = _names("known_future", known_future, columns)
    if targets is None:
        targets = tuple(c for c in columns if c not in known_future)
    targets = _names("targets", targets, columns)
    if not targets:
        raise DataError(
            "The table has no target column. Expected at least one column that is not known_future. "
            f"Received: columns={list(columns)}, known_future={list(known_future)}."
        )
    both = [c for c in targets if c in known_future]
    if both:
        raise DataError(
            f"Column {both[0]!r} is a target and known_future. Expected one of them: what is known ahead "
            "need not be forecast."
        )
    taken = [c for c in targets if c in _TAKEN]
    if taken:
        raise DataError(
            f"The target {taken[0]!r} has the name of another column of the tables of forecasts "
            f"({', '.join(_TAKEN)}). Rename it, or name the columns to forecast as `targets`."
        )
    return targets, known_future


def _observed_ends(nothing, starts, ends):
    """The row after the last one of each series that holds something."""
    found = ends.copy()
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        seen = np.flatnonzero(~nothing[start:end])
        found[i] = start + seen[-1] + 1 if len(seen) else start
    return found


def _check_choice(name, value, choices):
    if value not in choices:
        raise SettingError(unknown(name, value, choices))


def _names(kind, names, columns):
    """A tuple of existing column names, each once."""
    names = (names,) if isinstance(names, str) else tuple(map(str, names))
    for name in names:
        if name not in columns:
            raise UnknownNameError(unknown(f"column in {kind}:", name, columns))
    if len(set(names)) != len(names):
        raise SettingError(f"`{kind}` names a column twice. Received: {list(names)}.")
    return names


def _series_codes(frame, series):
    if series is None:
        return np.zeros(len(frame), dtype=np.int64), [""]
    if series not in frame.columns:
        raise UnknownNameError(unknown("series column", series, frame.columns))
    absent = np.flatnonzero(frame[series].isna())
    if len(absent):
        raise DataError(
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
                raise DataError(
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
            raise DataError(
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
        raise DataError(
            f"Column {str(name)!r} has {len(lost)} whole numbers beyond 2**53 that float64 can't hold to the last "
            f"digit (first: {column.iloc[lost[0]]} at {where(lost[0])}). Take a common start off first, or leave "
            "the column out."
        )


def _merge_duplicates(values, times, codes, duplicates):
    rows = repeated(times, codes)
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
