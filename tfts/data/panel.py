"""The one validated form of a user's table."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfts._messages import unknown
from tfts._units import shown_times
from tfts.data._checks import (
    check_options,
    merge_duplicates,
    names_of,
    new_names,
    observed_ends_of,
    roles_of,
    series_codes,
)
from tfts.data.columns import Labels, numbers_of, rows_of_series
from tfts.data.frames import as_pandas, with_one_id
from tfts.data.labels import decode
from tfts.data.spans import Spans
from tfts.data.times import (
    NANOSECONDS,
    Clock,
    alias_of,
    as_times,
    check_duplicates,
    find_frequency,
    local_times,
    regularise,
    time_grid,
    times_of,
    to_periods,
)
from tfts.data.weekdays import moved_weeks
from tfts.errors import DataError, UnknownNameError


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
        masked: Whether missing values stay so, and windows say where they are; see `missing="mask"`.
        static: Names of the attributes of a series, which are no columns of `values`.
        attributes: Float64 `(series, static)`: their values; `None` without any.
        labels: Dict from each column or attribute that holds labels to a tuple of them. The label
            at place `k` stands in `values` and `attributes` as `k + 1`, any other as 0, and no
            label is a label too, `None`.
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
    static: tuple = ()
    attributes: np.ndarray | None = None
    labels: Mapping[str, tuple] = dataclasses.field(default_factory=dict)
    masked: bool = False

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
        missing: Literal["raise", "interpolate", "drop", "mask"] = "raise",
        limit: int | None = 10,
        duplicates: Literal["raise", "first", "last", "mean"] = "raise",
        allow_constant: bool | Literal["some"] = False,
        clock: Clock | None = None,
        static: str | Sequence[str] = (),
        static_frame: pd.DataFrame | None = None,
        categories: str | Sequence[str] | None = None,
        labels: Mapping[str, Sequence] | None = None,
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
                the row after it. `"mask"` leaves them missing: a window may hold some and end on
                one, models are told where they are, and only observed values are learnt
                from and scored. Columns known ahead are filled from the nearest rows, on a line.
            limit: Rows. With `"interpolate"`, a longer gap stays missing, and windows
                that touch it are left out. `None` sets no limit.
            duplicates: What to do about several rows with one time: `"raise"`, keep the
                `"first"` or `"last"`, or take their `"mean"`.
            allow_constant: Whether a target may have one value in all rows, or none. Nothing can
                be learnt from it, so this is for prediction. `"some"` allows it in some series, as
                long as there is another.
            clock: `Clock` of rows that something was fitted on. Times are converted to its
                zone, and rows with another time step are refused. In place of `freq`.
            static: Names of the columns that hold one value for each series: its attributes. It may
                be left empty in some rows of the series. The column `series` itself may be one: then
                each series is a label.
            static_frame: DataFrame of attributes with a row for each series, whose names are in its
                column `series` or in its index.
            categories: Names of the columns, and attributes, that hold labels; no label is one of
                them. `None` takes pandas categories, and columns of text in which no value is a
                number. Targets are never labels.
            labels: Dict from each of these to its labels, for a table that comes after another one;
                a label that is not among them is unknown.

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
        ids = series
        frame, series = with_one_id(as_pandas(frame), series)
        check_options(frame, missing, limit, duplicates)
        times, time_name, freq = times_of(frame, time, freq if clock is None else clock.freq)
        times = times if clock is None else clock.convert(times)
        codes, names = series_codes(frame, series)

        def where(row):
            of = f"series {names[codes[row]]!r}, " if series is not None else ""
            return f"{of}{shown_times(times, freq)[row]}"

        static = names_of("static", static, [str(c) for c in frame.columns])
        labelled = [c for c in frame.columns if c not in (time, series) and str(c) not in static]
        columns = tuple(map(str, labelled))
        more = None if static_frame is None else rows_of_series(static_frame, ids, series, names)
        found = {str(c): frame[c] for c in frame.columns if c not in (time, series)}
        found |= {} if more is None else dict(more)
        coded = Labels(found, targets, categories, labels, series if series in static else None)
        values = numbers_of(frame, labelled, where, coded)
        attributes = coded.attributes_of(frame, static, codes, names, where)
        if more is not None:
            added = new_names(more, frame)
            each = np.arange(len(names))
            attributes = np.hstack(
                [attributes, coded.attributes_of(more, added, each, names, names.__getitem__)]
            )
            static += added
        targets, known_future = roles_of(columns, targets, known_future, coded.names)
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
        of_labels = [i for i, c in enumerate(columns) if c in coded.names]
        values, times, codes = merge_duplicates(values, times, codes, duplicates, of_labels)
        values, times, lengths = regularise(values, times, codes, freq, where)

        ends = np.cumsum(lengths)
        starts = ends - lengths
        absent = np.isnan(values)
        observed_ends = ends
        if known_future and absent.any():
            others = [i for i, c in enumerate(columns) if c not in known_future]
            observed_ends = observed_ends_of(absent[:, others].all(axis=1), starts, ends)
        for i in of_labels:
            coded.check(columns[i], len(frame))
            values[:, i] = coded.with_missing(columns[i], values[:, i])
            absent[:, i] = False
        filled = absent if absent.any() else np.broadcast_to(False, values.shape)
        panel = cls(
            masked=missing == "mask",
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
            static=static,
            attributes=attributes if static else None,
            labels={name: coded.labels[name] for name in (*columns, *static) if name in coded.labels},
        )
        if filled is absent:
            panel = panel._with_missing(missing, limit, bool(allow_constant))
        if allow_constant is not True:
            panel._check_constant(allow_constant == "some")
        return panel

    @classmethod
    def from_parquet(
        cls,
        folder: str | Path,
        *,
        time: str,
        series: str,
        columns: Sequence[str] | None = None,
        store: str | Path | None = None,
        memory: float = 512,
        **options: Any,
    ) -> Panel:
        """A panel of a folder of Parquet files that need not fit into memory.

        Series are brought together in groups that fit into `memory`, each is checked and made
        regular by `from_frame`, and the columns are written to `store`, files that are mapped into
        memory from then on. A stopped call goes on with the next group; one with the same files and
        options finds the store.

        Args:
            folder: Path of the folder. Its parts may be in any order, and in folders named
                `column=value`.
            time: Name of the time column.
            series: Name of the column that tells the series apart.
            columns: Names of the other columns to read; `None` reads all, those of the folders' names
                too.
            store: Path of the folder for the columns; `None` takes that of the files with `.columns`
                after its name.
            memory: Megabytes that a group may take while it is made.
            **options: As of `from_frame`. Targets may be constant.

        Returns:
            A `Panel`, whose `values`, `filled` and `times` lie in files.

        Raises:
            FileNotFoundError: If there is no such folder, or no file in it.
            KeyError: If a named column does not exist.
            ValueError: If a part has other columns than the first, or the rows can't be used.

        Example:

        >>> import pandas as pd
        >>> from pathlib import Path
        >>> days = pd.date_range("2024-01-01", periods=3)
        >>> Path("sales").mkdir()
        >>> for shop in ("b", "a"):
        ...     part = pd.DataFrame({"shop": shop, "day": days, "y": [1.0, 2.0, 4.0]})
        ...     part.to_parquet(f"sales/{shop}.parquet")
        >>> panel = Panel.from_parquet("sales", time="day", series="shop")
        >>> panel.series, panel.values[:, 0].tolist()
        (('a', 'b'), [1.0, 2.0, 4.0, 1.0, 2.0, 4.0])
        """
        from tfts.data.parquet import panel_of_parquet

        return panel_of_parquet(
            folder,
            cls.from_frame,
            store=store,
            memory=memory,
            time=time,
            series=series,
            columns=columns,
            **options,
        )

    def _with_missing(self, missing, limit, allow_empty):
        """The panel after what `missing` says of absent values; a series without any may be allowed."""
        if missing == "mask":
            return self._with_known_filled() if self.known_future else self
        self._check_known_future()
        if missing == "raise":
            self._raise_missing(allow_empty)
        if missing == "interpolate":
            return dataclasses.replace(self, values=self._interpolated(limit))
        return self

    def _with_known_filled(self):
        """The panel with holes in columns known ahead filled, without rows at the end that hold nothing."""
        from tfts.data.holes import between_neighbours, neighbour_rows

        at = self.indices(self.known_future)
        empty = self.filled[:, at].all(axis=1)
        spans = self.spans.replace(end=observed_ends_of(empty, self.spans.observed_end, self.spans.end))
        values, filled = self.values.copy(), np.zeros(self.filled.shape, dtype=bool)
        # What ends before the others do is not known ahead.
        filled[:, at] = neighbour_rows(values[:, at], spans)[1] < 0
        dataclasses.replace(self, spans=spans, filled=filled)._check_known_future()
        values[:, at] = between_neighbours(values[:, at], spans)
        return dataclasses.replace(self, values=values, spans=spans)

    def __repr__(self):
        times = self.shown(self.times)
        text = (
            f"Panel({len(self.series)} series, {len(self.times)} rows from {times.min()} to "
            f"{times.max()}, freq={self.freq!r}, targets={list(self.targets)}"
        )
        for name in ("known_future", "static"):
            text += f", {name}={list(getattr(self, name))}" if getattr(self, name) else ""
        return text + (f", labels={list(self.labels)})" if self.labels else ")")

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
        spans = self.spans
        # Rows that no series holds are left out, so the first rows move.
        lengths = spans.end - spans.start
        first = np.cumsum(lengths + steps) - lengths - steps
        moved = first - spans.start
        kept, rows = spans.rows(first, first + lengths), spans.rows(spans.start, spans.end)
        size = int(lengths.sum()) + steps * len(lengths)
        values = np.full((size, len(self.columns)), np.nan, dtype=self.values.dtype)
        filled = np.ones(values.shape, dtype=bool)
        values[kept], filled[kept] = self.values[rows], self.filled[rows]
        stamps = np.empty(size, dtype=np.int64)
        stamps[kept] = self.times.asi8[rows]
        stamps[spans.rows(first + lengths, first + lengths + steps)] = self.stamps_after(
            spans.end - 1, steps
        ).ravel()
        return dataclasses.replace(
            self,
            values=values,
            filled=filled,
            times=as_times(stamps, self.times),
            spans=Spans(
                first, spans.target_start + moved, spans.observed_end + moved, spans.end + moved + steps
            ),
        )

    def stamps_after(self, rows: npt.NDArray[np.int64], steps: int) -> npt.NDArray[np.int64]:
        """`future_times` of several rows, int64 `(rows, steps)` in the unit of `times`."""
        # Many series end at the same time, after which the same times follow.
        _, first, of = np.unique(self.times.asi8[rows], return_index=True, return_inverse=True)
        unit = self.times.unit
        return np.stack([self.future_times(row, steps).as_unit(unit).asi8 for row in rows[first]])[of]

    def to_frame(self) -> pd.DataFrame:
        """The table as a DataFrame: the rows that belong to the panel, context rows too."""
        rows = self.spans.rows(first=self.spans.start, stop=self.spans.end)
        frame = pd.DataFrame(
            self.values[rows], columns=list(self.columns), index=self.shown(self.times[rows])
        )
        frame.index.name = self.time_name
        of = self.series_of(rows)
        for i, name in enumerate(self.static):
            if name != self.series_name:
                frame[name] = self.attributes[of, i]
        for name in self.labels:
            if name != self.series_name:
                frame[name] = decode(frame[name].to_numpy(), self.labels[name])
        if self.series_name is not None:
            frame = frame.reset_index()
            frame.insert(0, self.series_name, np.asarray(self.series, dtype=object)[of])
        return frame

    def of_series(self, places: npt.ArrayLike, spans: Spans | None = None) -> Panel:
        """The panel of some of the series, which shares the table.

        Args:
            places: Int or bool array: which of `series`, in order.
            spans: Their `Spans`, in place of those that they have.
        """
        at = np.arange(len(self.series))[places]
        return dataclasses.replace(
            self,
            series=tuple(self.series[i] for i in at),
            spans=self.spans[at] if spans is None else spans,
            attributes=None if self.attributes is None else self.attributes[at],
        )

    def with_indicators(self) -> Panel:
        """The panel in plain columns of numbers, for methods that know no others.

        In place of a column of labels there is one for each label, called `column=label`, which is
        1 where it stands, else 0. Attributes become columns that are known ahead, but not the
        series itself, of which there may be very many.
        """
        of = np.searchsorted(self.spans.end, np.arange(len(self.values)), side="right")
        of = np.minimum(of, len(self.series) - 1)
        columns = {name: self.values[:, i] for i, name in enumerate(self.columns)}
        columns |= {
            name: self.attributes[of, i] for i, name in enumerate(self.static) if name != self.series_name
        }
        ahead = {*self.known_future, *self.static}
        made, filled, known = {}, {}, []
        for name, values in columns.items():
            named = self.labels.get(name)
            parts = {name: values}
            if named is not None:
                parts = {f"{name}={label}": values == place for place, label in enumerate(named, start=1)}
            made |= parts
            known += list(parts) if name in ahead else []
            kept = named is None and name in self.columns
            absent = self.filled[:, self.columns.index(name)] if kept else np.broadcast_to(False, len(of))
            filled |= dict.fromkeys(parts, absent)
        return dataclasses.replace(
            self,
            values=np.stack(list(made.values()), axis=1).astype(self.values.dtype),
            filled=np.stack(list(filled.values()), axis=1),
            columns=tuple(made),
            known_future=tuple(known),
            static=(),
            attributes=None,
            labels={},
        )

    def without_labels(self) -> Panel:
        """The panel without attributes and without columns of labels."""
        kept = [i for i, c in enumerate(self.columns) if c not in self.labels]
        if not self.static and len(kept) == len(self.columns):
            return self
        return dataclasses.replace(
            self,
            values=self.values[:, kept],
            filled=self.filled[:, kept],
            columns=tuple(self.columns[i] for i in kept),
            known_future=tuple(c for c in self.known_future if c not in self.labels),
            static=(),
            attributes=None,
            labels={},
        )

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
            **({"masked": True} if self.masked else {}),
            "static": self.static,
            "attributes": None if self.attributes is None else self.attributes.tolist(),
            "labels": self.labels,
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
        ahead = self.spans.rows(self.spans.observed_end, self.spans.end)
        for column in self.known_future:
            gone = ahead[self.filled[ahead, self.columns.index(column)]]
            if len(gone):
                raise DataError(
                    f"Column {column!r} has {len(gone)} missing values in the forecast rows (first: "
                    f"{self._where(gone[0])}), but it is known_future, so every row must hold a value."
                )

    def _raise_missing(self, allow_empty):
        allowed = np.zeros(len(self.values), dtype=bool)
        if allow_empty and self.series_name is not None:
            seen = ~self.filled[:, self.indices(self.targets)].all(axis=1)
            counts = np.append(0, np.cumsum(seen))
            empty = self.spans[counts[self.spans.end] == counts[self.spans.start]]
            allowed[empty.rows(empty.start, empty.end)] = True
        ahead = self.spans.rows(self.spans.observed_end, self.spans.end)
        for i, column in enumerate(self.columns):
            absent = self.filled[:, i] & ~allowed
            if column not in self.known_future:
                absent[ahead] = False
            rows = np.flatnonzero(absent)
            if len(rows):
                raise DataError(
                    f"Column {column!r} has {len(rows)} missing values at freq={self.freq!r} (first: "
                    f"{self._where(rows[0])}). Rows that the table lacks count as missing. Fill them, or choose "
                    "missing='interpolate' (fills gaps of up to `limit` rows), missing='drop' (leaves out the windows "
                    "that touch a gap) or missing='mask' (tells the model where they are)."
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

    def _check_constant(self, some):
        """Refuses targets in which nothing can be learnt: of any series, or with `some` of all."""
        rows = self.spans.rows(self.spans.start, self.spans.observed_end)
        lengths = np.maximum(self.spans.observed_end - self.spans.start, 0)
        begins = np.cumsum(lengths) - lengths
        values = self.values[rows][:, self.indices(self.targets)]
        least, most = np.full((2, len(lengths), values.shape[1]), np.nan)
        there = lengths > 0
        if there.any():
            least[there] = np.fmin.reduceat(values, begins[there])
            most[there] = np.fmax.reduceat(values, begins[there])
        flat = ~(least < most)
        flat &= flat.all(axis=0) | (not some)
        for i, target in np.argwhere(flat):
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
