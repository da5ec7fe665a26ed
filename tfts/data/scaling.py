"""Scalers: fitted on training rows, invertible, small enough for any export."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn import preprocessing

from tfts._messages import unknown
from tfts.data._arrays import aligned_empty
from tfts.data.labels import moved
from tfts.data.spans import Spans
from tfts.errors import NotFittedError, SettingError, UnknownNameError

if TYPE_CHECKING:
    from typing_extensions import Self

    from tfts.data.panel import Panel


def _standard(table):
    low, size = _within_one(table)
    fitted = preprocessing.StandardScaler().fit(table)
    return low + size * fitted.mean_, size * fitted.scale_


def _minmax(table):
    low, size = _within_one(table)
    fitted = preprocessing.MinMaxScaler().fit(table)
    return low + size * fitted.data_min_, size / fitted.scale_


def _robust(table):
    low, size = _within_one(table)
    fitted = preprocessing.RobustScaler().fit(table)
    return low + size * fitted.center_, size * fitted.scale_


def _none(table):
    return np.zeros(table.shape[1]), np.ones(table.shape[1])


def _used(panel, name, rows):
    """The labels of a column that stand in some rows, or of an attribute, a tuple."""
    if name in panel.static:
        found = panel.attributes[:, panel.static.index(name)]
    else:
        found = panel.values[rows, panel.columns.index(name)]
    there = np.unique(found[found > 0]).astype(np.int64)
    return tuple(panel.labels[name][place - 1] for place in there)


def _within_one(table):
    """Moves each column to 0 .. 1 in place, and gives what was subtracted and divided by.

    scikit-learn takes a column for constant whose spread is small beside its level, and
    one of tiny numbers.
    """
    low = np.nanmin(table, axis=0)
    size = np.nanmax(table, axis=0) - low
    size[size == 0] = 1
    table -= low
    table /= size
    return low, size


# Name -> function of a float64 table (rows, columns), NaN where a value is missing, which it
# may change, that gives (offset, scale), each (columns,), so that scaled = (value - offset) /
# scale. Of "log" the table holds the logarithms of the targets.
SCALERS = {"log": _standard, "minmax": _minmax, "none": _none, "robust": _robust, "standard": _standard}


class Scaler:
    """Scales each column of a panel: `scaled = (value - offset) / scale`, of targets perhaps their logarithms.

    Fitted by scikit-learn on the rows of one part alone. Missing values are left out,
    interpolated ones too: an interpolated value at the end of the training rows was made
    from a validation row. A column without spread gets the scale 1. Labels get the numbers 1, 2,
    ... of those that stand in the training rows, and 0 for all others.

    Args:
        kind: A name of `SCALERS`: `"standard"` (mean 0, deviation 1), `"minmax"` (0 to
            1), `"robust"` (median 0, interquartile range 1), `"none"`, or `"log"`, which
            takes the logarithms of the targets before it scales all columns as `"standard"`
            does: errors are then relative ones, and series of any size weigh alike. All
            targets must be above 0.
        per_series: Whether each series has its own offset and scale. For one that was not seen in
            `fit`, `with_unseen` takes them from its first rows; else it has those of all training
            rows together.

    Attributes:
        columns: Names of the columns, tuple.
        logged: Names of the columns that are taken as logarithms, tuple.
        static: Names of the attributes of series, tuple.
        labels: Dict from each column or attribute of labels to those of the training rows, tuple.
        offset: Float64 `(columns,)`, original units; of columns in `logged`, of logarithms.
        scale: The same, none zero.
        series_offset: Dict from series name to `(columns,)`, with `per_series`.
        series_scale: The same for the scale.
        static_offset: Float64 `(static,)`, of the attributes of the series in training, each once.
        static_scale: The same for the scale.

    Raises:
        ValueError: If `kind` is unknown.

    Example:

    >>> import pandas as pd
    >>> from tfts.data.panel import Panel
    >>> frame = pd.DataFrame({"y": [0.0, 2.0, 4.0]},
    ...                      index=pd.date_range("2024-01-01", periods=3, freq="D"))
    >>> panel = Panel.from_frame(frame)
    >>> scaler = Scaler("minmax").fit(panel)
    >>> scaler.transform(panel).values.ravel().tolist()
    [0.0, 0.5, 1.0]
    """

    def __init__(self, kind: str = "standard", per_series: bool = False) -> None:
        if kind not in SCALERS:
            raise SettingError(unknown("scaler", kind, SCALERS))
        self.kind = kind
        self.per_series = per_series

    def fit(self, panel: Panel) -> Self:
        """Learns offset and scale from the panel's own rows (context rows excluded).

        Returns:
            The scaler.
        """
        self.columns = panel.columns
        self.logged = tuple(panel.targets) if self.kind == "log" else ()
        rows = panel.spans.rows()
        self.labels = {name: _used(panel, name, rows) for name in panel.labels}
        self._learn_static(panel)
        # One column at a time, so that a float64 copy of the table is never held.
        learnt = [
            self._learn(panel.values[rows, i : i + 1], panel.filled[rows, i : i + 1], (column,))
            for i, column in enumerate(self.columns)
        ]
        self.offset, self.scale = (np.concatenate(pair) for pair in zip(*learnt, strict=True))
        self.series_offset, self.series_scale = {}, {}
        if self.per_series:
            spans = panel.spans
            found = self._learn_each(panel, spans.target_start, spans.observed_end)
            self.series_offset, self.series_scale = (
                dict(zip(panel.series, part, strict=True)) for part in found
            )
        return self

    def _learn_static(self, panel):
        """Offset and scale of the attributes, of which every series counts once."""
        self.static = panel.static
        count = len(self.static)
        self.static_offset, self.static_scale = np.zeros(count), np.ones(count)
        numbers = [i for i, name in enumerate(self.static) if name not in self.labels]
        if numbers:
            found = SCALERS[self.kind](panel.attributes[:, numbers].astype(np.float64))
            self.static_offset[numbers], self.static_scale[numbers] = found

    def _learn_each(self, panel, first, stop):
        """Offsets and scales from the rows `first .. stop - 1` of each of some series, `(series, columns)`."""
        shape = len(first), len(self.columns)
        offset, scale, lengths = np.zeros(shape), np.ones(shape), np.maximum(stop - first, 0)
        # Thousands of short series: checking the scaler's own arguments would take most of the time.
        with sklearn.config_context(skip_parameter_validation=True, assume_finite=True):
            for length in np.unique(lengths[lengths > 0]):
                # A column of each series is a column of one table.
                at = np.flatnonzero(lengths == length)
                rows = first[at][:, None] + np.arange(length)
                tables = (of[rows].swapaxes(0, 1).reshape(length, -1) for of in (panel.values, panel.filled))
                learnt = self._learn(*tables, self.columns * len(at))
                offset[at], scale[at] = (part.reshape(len(at), -1) for part in learnt)
        return offset, scale

    def _learn(self, values, filled, columns):
        """Offset and scale of a table `(rows, columns)`, which is changed."""
        table = np.asarray(values, dtype=np.float64)
        table[filled] = np.nan
        self._take_logarithms(table, columns)
        offset, scale = np.zeros(table.shape[1]), np.ones(table.shape[1])
        known = ~np.isnan(table).all(axis=0) & [c not in self.labels for c in columns]
        if known.any():
            table = table if known.all() else table[:, known]
            offset[known], scale[known] = SCALERS[self.kind](table)
        return offset, scale

    def transform(self, panel: Panel, dtype: npt.DTypeLike = np.float32) -> Panel:
        """A panel of the same rows with scaled values.

        Args:
            panel: A `Panel`.
            dtype: Of the scaled values: float32, which networks compute in, or float64.
                The offset is subtracted in float64 in any case.

        Returns:
            A `Panel`.
        """
        values = aligned_empty(panel.values.shape, dtype)
        values[:] = np.nan
        rows = panel.spans.rows(panel.spans.start, panel.spans.end)
        units = [self.affine(name, panel.columns) for name in (panel.series if self.per_series else [None])]
        offset, scale = (np.stack(parts) for parts in zip(*units, strict=True))
        renumbered = {
            panel.columns.index(name): moved(labels, self.labels[name])
            for name, labels in panel.labels.items()
            if name in panel.columns
        }
        # In pieces, because a second float64 copy of the table would fill the memory.
        for begin in range(0, len(rows), 100_000):
            piece = rows[begin : begin + 100_000]
            of = panel.series_of(piece) if self.per_series else 0
            if piece[-1] - piece[0] == len(piece) - 1:
                # Rows of a view, which costs less than to pick them.
                piece = slice(piece[0], piece[-1] + 1)
            wide = panel.values[piece].astype(np.float64)
            self._take_logarithms(wide, panel.columns)
            wide -= offset[of]
            wide /= scale[of]
            for i, table in renumbered.items():
                wide[:, i] = table[np.nan_to_num(wide[:, i]).astype(np.int64)]
            values[piece] = wide
        return dataclasses.replace(
            panel, values=values, attributes=self._scaled_attributes(panel), labels=self.labels
        )

    def _scaled_attributes(self, panel):
        if not panel.static:
            return None
        scaled = (panel.attributes - self.static_offset) / self.static_scale
        for i, name in enumerate(panel.static):
            if name in self.labels:
                scaled[:, i] = moved(panel.labels[name], self.labels[name])[scaled[:, i].astype(np.int64)]
        return scaled

    def with_unseen(self, panel, num_rows):
        """The scaler with an offset and scale for series that `fit` has not seen, with `per_series`.

        They come from the first rows of each series, which were known at every origin with
        a context before it. Columns known ahead, and columns that are constant there, keep the
        scale of all training rows.

        Args:
            panel: `Panel` in original units.
            num_rows: Int, rows of a context.

        Returns:
            Tuple of a scaler, this one where there is nothing to add, and the list of the new
            names.

        Example:

        >>> import pandas as pd
        >>> from tfts.data.panel import Panel
        >>> days = pd.date_range("2024-01-01", periods=3)
        >>> old, new = (pd.DataFrame({"shop": name, "day": days, "y": y}) for name, y in
        ...             (("a", [1.0, 2.0, 3.0]), ("b", [100.0, 300.0, 500.0])))
        >>> made = {"time": "day", "series": "shop"}
        >>> scaler = Scaler("minmax", per_series=True).fit(Panel.from_frame(old, **made))
        >>> more, names = scaler.with_unseen(Panel.from_frame(new, **made), num_rows=2)
        >>> names, *(part.tolist() for part in more.affine("b", ["y"]))
        (['b'], [100.0], [200.0])
        """
        at = [i for i, name in enumerate(panel.series) if name not in self.series_offset]
        if not self.per_series or not at:
            return self, []
        more = copy.copy(self)
        more.series_offset, more.series_scale = dict(self.series_offset), dict(self.series_scale)
        first, names = panel.spans.start[at], [panel.series[i] for i in at]
        stop = np.minimum(first + num_rows, panel.spans.observed_end[at])
        offset, scale = self._learn_each(panel, first, stop)
        low, high = np.full((2, *scale.shape), np.nan)
        there = stop > first
        if there.any():
            rows = Spans(first, first, stop, stop)[there].rows()
            begins = np.cumsum((stop - first)[there]) - (stop - first)[there]
            low[there] = np.fmin.reduceat(panel.values[rows], begins)
            high[there] = np.fmax.reduceat(panel.values[rows], begins)
        # Of what has no value there, all training rows tell more.
        pooled = np.array([c in panel.known_future for c in self.columns]) | np.isnan(low)
        more.series_offset |= zip(names, np.where(pooled, self.offset, offset), strict=True)
        more.series_scale |= zip(names, np.where(pooled | ~(high > low), self.scale, scale), strict=True)
        return more, names

    def _take_logarithms(self, table, columns):
        """Puts logarithms in place of the values of the logged columns."""
        at = [i for i, column in enumerate(columns) if column in self.logged] if self.logged else []
        if not at:
            return
        logged = table[:, at]
        lowest = np.nanmin(logged, axis=0, initial=np.inf)
        for i in np.flatnonzero(lowest <= 0)[:1]:
            raise SettingError(
                "scaler='log' takes the logarithms of the targets, so all must be above 0. Received: "
                f"{columns[at[i]]}={lowest[i]:g}."
            )
        table[:, at] = np.log(logged)

    def affine(
        self, series: Hashable, columns: Sequence[str]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Offset and scale of the named columns for one series.

        Args:
            series: Name of the series. Only matters with `per_series`.
            columns: Names of columns seen in `fit`.

        Returns:
            Tuple `(offset, scale)`, each float64 `(len(columns),)`: in original units, of
            columns in `logged` those of their logarithms.

        Raises:
            KeyError: If a column was not seen in `fit`.
            ValueError: If the scaler is not fitted.
        """
        if not hasattr(self, "columns"):
            raise NotFittedError(
                "The scaler has not learnt anything yet. Call `fit` with the training rows first."
            )
        for column in columns:
            if column not in self.columns:
                raise UnknownNameError(unknown("column", column, self.columns))
        at = [self.columns.index(c) for c in columns]
        offset = self.series_offset.get(series, self.offset)
        scale = self.series_scale.get(series, self.scale)
        return offset[at], scale[at]

    def on_logarithms(self) -> Scaler:
        """The same scaler for a panel in which the columns in `logged` hold logarithms already.

        Example:

        >>> import pandas as pd
        >>> from tfts.data.panel import Panel
        >>> frame = pd.DataFrame({"y": [1.0, 10.0, 100.0]}, index=pd.date_range("2024-01-01", periods=3))
        >>> scaler = Scaler("log").fit(Panel.from_frame(frame))
        >>> scaler.on_logarithms().transform(Panel.from_frame(np.log(frame))).values[:, 0].round(0).tolist()
        [-1.0, 0.0, 1.0]
        """
        kind = "standard" if self.kind == "log" else self.kind
        return Scaler.from_state({**self.get_state(), "kind": kind, "logged": []})

    def units_of(
        self, panel: Panel, rows: npt.ArrayLike, targets: Sequence[str]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Offset and scale of windows.

        Args:
            panel: The panel that the windows come from.
            rows: Int `(windows,)`: a row of each window, which tells its series.
            targets: Names of the target columns.

        Returns:
            Tuple `(offset, scale)`, each float64 `(windows, 1, targets)`, as of `affine`.
        """
        if not self.per_series:
            return tuple(
                np.broadcast_to(part, (len(rows), 1, len(part))) for part in self.affine(None, targets)
            )
        series, of = np.unique(panel.series_of(rows), return_inverse=True)
        pairs = [self.affine(panel.series[i], targets) for i in series]
        return tuple(np.stack([pair[i] for pair in pairs])[of][:, None] for i in (0, 1))

    def inverse(
        self, values: npt.ArrayLike, panel: Panel, rows: npt.ArrayLike, targets: Sequence[str]
    ) -> npt.NDArray[np.float64]:
        """Brings scaled forecasts back to original units.

        Args:
            values: Array `(windows, horizon, targets)`, scaled.
            panel: As of `units_of`.
            rows: As of `units_of`.
            targets: As of `units_of`.

        Returns:
            Float64 array like `values`, original units.
        """
        offset, scale = self.units_of(panel, rows, targets)
        restored = np.multiply(values, scale, dtype=np.float64)
        restored += offset
        for i, target in enumerate(targets):
            if target in self.logged:
                restored[..., i] = np.exp(restored[..., i])
        return restored

    def get_state(self) -> dict[str, Any]:
        """Everything learnt, as plain data for a JSON file."""
        return {
            "kind": self.kind,
            "per_series": self.per_series,
            "columns": list(self.columns),
            "logged": list(self.logged),
            "static": list(self.static),
            "labels": {name: list(labels) for name, labels in self.labels.items()},
            "static_offset": self.static_offset.tolist(),
            "static_scale": self.static_scale.tolist(),
            "offset": self.offset.tolist(),
            "scale": self.scale.tolist(),
            "series": [
                [name, self.series_offset[name].tolist(), self.series_scale[name].tolist()]
                for name in self.series_offset
            ],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The scaler that `get_state` described."""
        scaler = cls(state["kind"], state["per_series"])
        scaler.columns = tuple(state["columns"])
        scaler.logged, scaler.static = tuple(state["logged"]), tuple(state["static"])
        scaler.labels = {name: tuple(labels) for name, labels in state["labels"].items()}
        scaler.static_offset = np.array(state["static_offset"])
        scaler.static_scale = np.array(state["static_scale"])
        scaler.offset = np.array(state["offset"])
        scaler.scale = np.array(state["scale"])
        scaler.series_offset = {name: np.array(offset) for name, offset, _ in state["series"]}
        scaler.series_scale = {name: np.array(scale) for name, _, scale in state["series"]}
        return scaler
