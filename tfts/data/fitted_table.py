"""What a fit learns of a table beside its scales: its columns, its time step, its span."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts.data.panel import Panel
from tfts.data.times import Clock
from tfts.errors import DataError, UnknownNameError
from tfts.metrics import mase_scale

# Series whose scales are computed together.
_TOGETHER = 10_000


@dataclasses.dataclass(frozen=True, eq=False)
class FittedTable:
    """What tables that come later must agree with.

    Attributes:
        freq: Time step, a pandas offset alias.
        targets: Names of the columns that are forecast.
        known_future: Names of the columns known ahead, calendar columns too.
        columns: Names of all columns, in the order of the panel.
        own: Names of those that the user's table holds: all but calendar columns.
        mase_scales: Dict from series to float64 `(targets,)`, what MASE divides by.
        span: Dict of the `start`, `end`, `rows` and `timezone` of the training rows.
        static: Names of the attributes of a series.
        labels: Dict from each column or attribute of labels to those of the training rows.
        masked: Whether missing values stay so, see `Panel`.

    Example:

    >>> frame = pd.DataFrame({"y": [1.0, 2.0, 4.0]}, index=pd.date_range("2024-01-01", periods=3))
    >>> fitted = FittedTable.of(Panel.from_frame(frame), known_future=(), season_length=1)
    >>> fitted.span["rows"], fitted.mase_scales[""].tolist()
    (3, [1.5])
    >>> FittedTable.from_state(fitted.get_state()).clock == fitted.clock
    True
    """

    freq: str
    targets: tuple
    known_future: tuple
    columns: tuple
    own: tuple
    mase_scales: dict
    span: dict
    static: tuple = ()
    labels: dict = dataclasses.field(default_factory=dict)
    masked: bool = False

    @classmethod
    def of(
        cls, train: Panel, known_future, season_length: int, later: Panel | None = None, labels=None
    ) -> FittedTable:
        """What the training rows say.

        Args:
            train: `Panel` of training rows, original units.
            known_future: Columns known ahead that the user's table holds.
            season_length: Rows of a season, for the scales of MASE.
            later: `Panel` of the validation rows, where they are learnt from too.
            labels: Dict from each column of labels to those of the training rows; `None` takes all of
                the panel.
        """
        found = [
            _mase_scales(train, spans, season_length)
            for spans in (train.spans[i : i + _TOGETHER] for i in range(0, len(train.series), _TOGETHER))
        ]
        scales = dict(zip(train.series, np.concatenate(found), strict=True))
        times, rows = _ends(train)
        if later is not None:
            more, count = _ends(later)
            times, rows = times.append(more), rows + count
        return cls(
            freq=train.freq,
            targets=train.targets,
            known_future=train.known_future,
            columns=train.columns,
            own=tuple(c for c in train.columns if c not in train.known_future or c in known_future),
            mase_scales=scales,
            span={
                "start": str(train.shown(times).min()),
                "end": str(train.shown(times).max()),
                "rows": rows,
                "timezone": None if times.tz is None else str(times.tz),
            },
            static=train.static,
            labels=dict(train.labels if labels is None else labels),
            masked=train.masked,
        )

    @property
    def clock(self) -> Clock:
        """The time step and the zone."""
        return Clock(self.freq, self.span["timezone"])

    def scales_of(self, series) -> np.ndarray:
        """What MASE divides by for each of the named series, `(series, targets)`; NaN for others."""
        unseen = np.full(len(self.targets), np.nan)
        return np.stack([self.mase_scales.get(name, unseen) for name in series])

    def chosen(self, frame: pd.DataFrame, keys) -> pd.DataFrame:
        """The columns of a user's table that were fitted, and its keys.

        Raises:
            KeyError: If one is not there.
        """
        for column in (*keys, *self.own, *self.static):
            if column not in frame.columns:
                raise UnknownNameError(
                    unknown("column", column, frame.columns) + f" The forecaster was fitted with {column!r}."
                )
        return frame[[*keys, *self.own, *(name for name in self.static if name not in keys)]]

    def check(self, panel: Panel) -> None:
        """Refuses a panel that differs in what was fitted.

        Raises:
            ValueError: With what was fitted and what came.
        """
        if panel.freq != self.freq:
            raise DataError(
                f"The forecaster was fitted at freq={self.freq!r}, but the table has freq={panel.freq!r}."
            )
        zone = None if panel.times.tz is None else str(panel.times.tz)
        if zone != self.span["timezone"]:
            raise DataError(
                f"The forecaster was fitted on times in the zone {self.span['timezone']}, but those of the panel are "
                f"in {zone}. Expected a panel from this forecaster's `panel`, or a DataFrame."
            )
        for name in ("targets", "known_future", "columns", "static"):
            fitted, given = getattr(self, name), getattr(panel, name)
            if fitted != given:
                raise DataError(
                    f"The forecaster was fitted with {name}={list(fitted)}, but the table has {list(given)}."
                )
        if self.masked != panel.masked:
            fitted, given = ("with" if masked else "without" for masked in (self.masked, panel.masked))
            raise DataError(
                f"The forecaster was fitted {fitted} missing='mask', but the panel was made {given} it."
            )
        if set(self.labels) != set(panel.labels):
            raise DataError(
                f"The forecaster was fitted with labels in the columns {list(self.labels)}, but those of the table are "
                f"in {list(panel.labels)}."
            )

    def get_state(self) -> dict:
        """Everything as plain data for a JSON file."""
        scales = [[name, scale.tolist()] for name, scale in self.mase_scales.items()]
        return {**vars(self), "mase_scales": scales}

    @classmethod
    def from_state(cls, state: dict) -> FittedTable:
        """What `get_state` described."""
        names = {name: tuple(state[name]) for name in ("targets", "known_future", "columns", "own", "static")}
        scales = {name: np.array(scale) for name, scale in state["mase_scales"]}
        labels = {name: tuple(found) for name, found in state["labels"].items()}
        return cls(**{**state, **names, "mase_scales": scales, "labels": labels})


def _mase_scales(train, spans, season_length):
    """What MASE divides by for some of the series, `(series, targets)`."""
    rows, at = spans.rows(), train.indices(train.targets)
    values = train.values[rows[:, None], at]
    values[train.filled[rows[:, None], at]] = np.nan
    lengths = np.maximum(spans.observed_end - spans.target_start, 0)
    made = np.full((len(spans), len(at)), np.nan)
    if len(rows):
        found = mase_scale(values, season_length, np.repeat(np.arange(len(spans)), lengths))
        # The last ones may have no row.
        made[: len(found)] = found
    return made


def _ends(part):
    """The first and last times of each series that has rows in a part, and how many rows there are."""
    first, stop = part.spans.target_start, part.spans.observed_end
    there = stop > first
    at = np.concatenate([first[there], stop[there] - 1])
    return part.times[at], int((stop - first)[there].sum())
