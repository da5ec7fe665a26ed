"""What the forecast of a row says of other values: its interval, and how probable a value so far out is."""

import dataclasses

import numpy as np
import pandas as pd

from tfts.calibration.cells import parts_of_season, ranked
from tfts.calibration.held_out import Origins, tail
from tfts.calibration.kinds import in_units, movement_rows, window_moved
from tfts.calibration.phases import season_phases
from tfts.outputs.predictive import Predictive

# The size of a value outside an interval that has no width.
_STRONGEST = 1000.0


class Intervals:
    """The intervals of a detector with `threshold="interval"`, row by row from a history.

    They are those of `Forecaster.quantile_windows`: the model's own, or from the errors of held-out
    rows, as its `calibration` says.

    Args:
        forecaster: A fitted `Forecaster` with `horizon=1` and quantiles that are not adaptive.
        threshold: An `Interval` threshold.
        direction: A name of `DIRECTIONS`.
        timestamp: Function from nanoseconds to `pandas.Timestamp`.

    Raises:
        ValueError: If there are too few held-out rows for the rate.

    Example:

    >>> from tfts.anomaly.thresholds import Interval
    >>> from tfts.forecaster import Forecaster
    >>> frame = pd.DataFrame({"y": np.arange(90.0) % 4}, index=pd.date_range("2024", periods=90, freq="YS"))
    >>> fitted = Forecaster("persistence", context_length=1, horizon=1, quantiles=[0.2]).fit(frame)
    >>> intervals = Intervals(fitted, Interval(rate=0.2), "both", pd.Timestamp)
    >>> one = intervals.of("")
    >>> row = intervals.row(np.array([10.0]), np.zeros(1), np.ones(1), one, np.array([[10.0]]), 0)
    >>> row.low.round(1).tolist(), row.high.round(1).tolist(), row.probability(np.array([99.0])).round(3).tolist()
    ([6.8], [10.8], [0.054])
    """

    def __init__(self, forecaster, threshold, direction, timestamp):
        self.output, self.direction, self.timestamp = forecaster.output, direction, timestamp
        self.freq, self.targets = forecaster.freq, len(forecaster.targets)
        self.levels = threshold.levels(direction)
        self.held_out = None if forecaster.calibration == "none" else forecaster.held_out_
        self.season, self.count = movement_rows(forecaster.freq, forecaster.spec.context_length)
        self._plain = np.zeros(self.targets, dtype=bool)
        if self.held_out is not None:
            self.held_out.check(self.levels)
            found = self.held_out.ordered(self.levels)
            self._tables = {name: [self._table(*of) for of in parts] for name, parts in found.items()}

    def _table(self, ordered, chance):
        """Scores at the levels, `(targets, levels)`; a list with the ordered scores of each target; and chance."""
        known = [column[~np.isnan(column)] for column in ordered.T]
        return ranked(ordered, self.levels) - chance[:, None], known, chance

    def of(self, series):
        """What a row of one series needs; `None` where the model's own quantiles are taken.

        Args:
            series: Its name.
        """
        held_out = self.held_out
        if held_out is None:
            return None
        size = held_out.sizes_of([series])[0] if series in held_out.names else None
        bounds = held_out.bounds_of(Origins((series,), np.zeros(1, dtype=np.int64)))[0]
        return _Series(self._tables.get(series, self._tables[None]), size, bounds)

    def row(self, parameters, offset, scale, errors, past, time):
        """The `RowInterval` of the row after a history.

        Args:
            parameters: Of the model's output, scaled, `(targets,)` or `(targets, width)`.
            offset: Float `(targets,)`, of the scaler.
            scale: Float `(targets,)`, likewise.
            errors: What `of` gave for the series.
            past: Float `(rows, targets)`, scaled: the history.
            time: Of the row, nanoseconds.
        """
        whole = self.output.restore(parameters[None, None], offset, scale)
        made = Predictive(self.output, whole, self._plain)
        if errors is None:
            found, unit, own = made.quantiles(self.levels)[0, 0], None, None
        else:
            phase = season_phases(pd.DatetimeIndex([self.timestamp(time)]), self.freq)[0][0]
            before = np.array([phase - 1])
            own = _Errors(*errors.parts[parts_of_season(before, 1, len(self.held_out.phases))[0, 0]])
            unit = self._unit(errors, past * scale, phase)
            found = [made.at(own.table[:, k] * unit)[0, 0] for k in range(len(self.levels))]
            found = np.clip(np.stack(found, axis=-1), errors.bounds[0][:, None], errors.bounds[1][:, None])
            found = np.maximum.accumulate(found, axis=-1)
        middle = self.levels.index(0.5)
        return RowInterval(found[:, 0], found[:, middle], found[:, -1], self.direction, made, own, unit)

    def _unit(self, errors, past, phase):
        """What scores are multiplied by, `(targets,)`, as `HeldOut.units` has it."""
        held_out, unit = self.held_out, np.ones(self.targets)
        if held_out.relative:
            moved = window_moved(past[-self.count - self.season :], self.season, self.count)
            # A series that was not seen has the size that its window shows.
            size = np.where(moved > 0, moved, held_out.usual) if errors.size is None else errors.size
            unit = in_units(moved, size)
        return unit * held_out.phases[phase]


@dataclasses.dataclass(frozen=True, eq=False)
class _Series:
    """What rows of one series are judged by.

    Attributes:
        parts: List with what `_Errors` holds, for each part of the season.
        size: Float64 `(targets,)`, `None` of a series of which no row was held out.
        bounds: Float64 `(2, targets)`, what it does not pass.
    """

    parts: list
    size: np.ndarray | None
    bounds: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class _Errors:
    """Held-out errors that a row is judged by.

    Attributes:
        table: Float64 `(targets, levels)`, scores at the levels.
        ordered: List of ascending float64 arrays, the scores of each target.
        chance: Float64 `(targets,)`, what of the scores is chance.
    """

    table: np.ndarray
    ordered: list
    chance: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class RowInterval:
    """The interval of one row, in the units that the model sees but not scaled.

    Attributes:
        low: Float64 `(targets,)`, the lower edge; the median where only the upper side counts.
        median: Float64 `(targets,)`.
        high: Float64 `(targets,)`, the upper edge; the median where only the lower side counts.
        direction: A name of `DIRECTIONS`.
        made: `Predictive` of the row, not calibrated.
        errors: `_Errors` of the row, or `None`.
        unit: Float64 `(targets,)` that scores are multiplied by.

    Example:

    >>> from tfts.outputs import Normal
    >>> made = Predictive(Normal(), np.array([[[[10.0, 2.0]]]]), np.array([False]))
    >>> row = RowInterval(np.array([6.0]), np.array([10.0]), np.array([14.0]), "both", made, None, None)
    >>> row.probability(np.array([14.0])).round(4).tolist()
    [0.0455]
    """

    low: np.ndarray
    median: np.ndarray
    high: np.ndarray
    direction: str
    made: Predictive
    errors: _Errors | None
    unit: np.ndarray | None

    def probability(self, values):
        """How probable a value so far out is, on the sides that count: twice the smaller tail, or the one tail.

        Args:
            values: Float64 `(targets,)`; NaN gives NaN.
        """
        below, above = self._tails(values)
        sides = {"both": np.minimum(2 * np.minimum(below, above), 1.0), "up": above, "down": below}
        return np.where(np.isnan(values), np.nan, sides[self.direction])

    def _tails(self, values):
        """Probability of a value and less, and of a value and more."""
        from scipy.special import ndtr

        low, high = (score[0, 0] for score in self.made.score_range(values[None, None]))
        if self.errors is None:
            return ndtr(high), ndtr(-low)
        tails = np.ones((2, len(values)))
        # Held-out scores have single precision: of equal ones none may be further out.
        low, high = (np.float64(np.float32(score / self.unit)) for score in (low, high))
        for i in np.flatnonzero(~np.isnan(values)):
            ordered, chance = self.errors.ordered[i], self.errors.chance[i]
            tails[:, i] = tail(ordered, high[i] + chance), tail(-ordered[::-1], -low[i] - chance)
        return tails


def interval_sizes(actual, low, median, high, direction):
    """How far values lie from the median, in multiples of how far the edge on their side does.

    Args:
        actual: Float64 `(targets,)`; NaN gives NaN.
        low: Float64 `(targets,)`, likewise the next two.
        median: As of `RowInterval`.
        high: As of `RowInterval`.
        direction: A name of `DIRECTIONS`. Of `"up"` and `"down"` the other side is below 0.

    Example:

    >>> edges = np.array([5.0]), np.array([10.0]), np.array([12.0])
    >>> [interval_sizes(np.array([value]), *edges, "both").item() for value in (0.0, 11.0, np.nan)]
    [2.0, 0.5, nan]
    >>> interval_sizes(np.array([0.0]), *edges, "up").item()
    -5.0
    """
    off = actual - median
    is_up = off >= 0 if direction == "both" else np.full(off.shape, direction == "up")
    out, room = np.where(is_up, off, -off), np.where(is_up, high - median, median - low)
    # An interval without width: any other value is outside.
    return np.where(room > 0, out / np.where(room > 0, room, 1.0), np.sign(out) * _STRONGEST)
