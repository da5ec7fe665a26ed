"""Rows judged one by one as they come: the same steps for a live feed and for a whole table."""

import collections
import copy
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd

from tfts._files import check_version, write_json, written_by
from tfts._messages import unknown
from tfts.anomaly.events import EventTracker, Judged
from tfts.anomaly.plan import distances
from tfts.anomaly.thresholds import HeldBack
from tfts.errors import DataError, FolderError, MissingFileError, UnknownNameError

# Rows from which the offset of a new level is estimated.
_SHIFT_ROWS = 7
# An offset below this share of the residuals' spread is none.
_SMALL = 0.25
# A size above a limit of zero, in multiples of it.
_STRONGEST = 1000.0


class Monitor:
    """Judges the rows of many series as they come, and raises one alarm for each event.

    Made by `AnomalyDetector.monitor`. For each series it keeps the rows that the model
    sees, the state of the thresholds and the open event, and nothing else, so that its
    memory does not grow with the rows.

    What it does with rows that are not as they should be, counted in `counts`:

    - `late` and `repeated` rows, not after the newest row of their series, are ignored;
    - `missing` rows, where the time leaps, are put in: the model's forecast stands in for
      them, and nothing is judged;
    - a row with a missing target is judged by its other targets (`missing_values`), and
      other missing values are carried on from the row before;
    - a `flagged` value enters the model's history as its forecast, so that it can't spoil
      the forecasts after it, until the event is closed as a level shift, from where on
      the new level is the normal one; nor does its size move a limit that learns, see
      `HeldBack`. For targets that are not in `replace` it does both;
    - the first rows of an unknown series (`unjudged`) only fill its history; residuals are
      judged in a unit that is taken from them, see `Limits`.

    Args:
        plan: The `Plan` of a fitted detector.
        state: Path of a file that `save` wrote, or what `get_state` gave.

    Attributes:
        counts: `collections.Counter` of the above, and of all `rows`.

    Example:

    >>> from tfts.anomaly.detector import AnomalyDetector
    >>> days = pd.date_range("2024-01-01", periods=90)
    >>> usual = pd.DataFrame({"sales": np.random.default_rng(0).normal(100, 5, 90)}, index=days)
    >>> detector = AnomalyDetector("linear_regression", context_length=7).fit(usual)
    >>> monitor = detector.monitor()
    >>> monitor.update({"time": "2024-03-31", "sales": 101.0})
    >>> event = monitor.update({"time": "2024-04-01", "sales": 10.0})
    >>> event.targets, event.direction, event.severity
    (('sales',), 'down', 'high')
    """

    def __init__(self, plan, state=None):
        self._plan = plan
        self._series = {}
        self._records = None
        self.counts = collections.Counter()
        self.closed = collections.deque(maxlen=1000)
        if state is not None:
            self._set_state(state)

    def update(self, row):
        """Judges the next row.

        Args:
            row: Mapping from column to value, such as a dict or a row of a CSV file: the
                time, the series if there are many, the targets and the other columns.

        Returns:
            The `Event` to raise an alarm for, as far as it is known, or `None`.

        Raises:
            KeyError: If a column is missing.
            ValueError: If the time or a value can't be read.
        """
        plan = self._plan
        for column in plan.keys:
            if column not in row:
                raise UnknownNameError(
                    unknown("column", column, list(row)) + f" The detector needs {column!r}."
                )
        try:
            stamp = pd.Timestamp(row[plan.time_name])
        except (ValueError, TypeError) as error:
            raise DataError(f"The time {row[plan.time_name]!r} can't be read ({error}).") from error
        if stamp is pd.NaT:
            raise DataError("The row has no time.")
        series = row[plan.series_name] if plan.series_name is not None else ""
        values = np.array([_number(column, row[column]) for column in plan.columns])
        return self.take(plan.known_name(series), plan.nanoseconds(stamp), values)

    def take(self, series, time, values):
        """`update` for a row that is read already.

        Args:
            series: Name of the series.
            time: Int, nanoseconds since 1970 (UTC).
            values: Float64 `(columns,)`: the columns of the user's table as in `fit`.

        Returns:
            As `update`.
        """
        plan = self._plan
        self.counts["rows"] += 1
        state = self._series.get(series)
        if state is None:
            state = self._series[series] = self._new(series)
        time, steps = plan.place(time, state.last)
        if steps <= 0:
            self.counts["repeated" if time == state.last else "late"] += 1
            return None
        if steps > 1:
            self._fill(state, steps - 1)
        step_length = steps if state.last is None else (time - state.last) / plan.step
        state.last = time
        return self._advance(state, time, plan.complete(values, time, step_length))

    def events(self):
        """The newest events that are over (1,000 at most) and those that go on, by their start."""
        going = [state.tracker.finish() for state in self._series.values()]
        return sorted([*self.closed, *(e for e in going if e is not None)], key=lambda event: event.start)

    def save(self, path):
        """Writes the state as JSON, complete or not at all.

        Args:
            path: Path of the file. `AnomalyDetector.monitor(path)` goes on from there.
        """
        write_json(self.get_state(), path)

    def get_state(self):
        """All that is kept of the rows, as plain data for a JSON file."""
        return {
            **written_by(),
            "detector": self._plan.fingerprint,
            "counts": dict(self.counts),
            "series": [[name, state.get_state()] for name, state in self._series.items()],
        }

    def _set_state(self, state):
        if not isinstance(state, dict):
            path = Path(state)
            if not path.is_file():
                raise MissingFileError(f"There is no monitor state {str(path)!r}.")
            state = json.loads(path.read_text())
            check_version(state, path)
        if state["detector"] != self._plan.fingerprint:
            raise FolderError(
                "The monitor state belongs to another detector, or to this one before it was fitted again. Start "
                "without a state."
            )
        self.counts = collections.Counter(state["counts"])
        self._series = {name: self._new(name).set_state(self._plan, kept) for name, kept in state["series"]}

    def prime(self, series, time, values):
        """Takes a row into the history without judging it; logarithms are taken already."""
        state = self._series.get(series)
        if state is None:
            state = self._series[series] = self._new(series)
        step = 1.0 if state.last is None else (time - state.last) / self._plan.step
        state.last = time
        self._remember(state, self._plan.complete(values, time, step))

    def record(self):
        """Keeps what is found of each row from now on; returns the list it is kept in."""
        self._records = []
        return self._records

    def forget(self, series):
        """Drops all that is kept of a series, which then starts anew."""
        self._series.pop(series, None)

    def hand_over(self):
        """The events of `events`, those that are over for the last time."""
        found = self.events()
        self.closed.clear()
        for state in self._series.values():
            state.tracker.set_state({"open": None, "recent": []})
        return found

    def last_times(self):
        """Series -> time of its newest row, nanoseconds since 1970 (UTC)."""
        return {name: state.last for name, state in self._series.items()}

    def _new(self, series):
        return _SeriesState(self._plan, series)

    def _fill(self, state, missing):
        """Puts the forecast in the place of rows that never came."""
        plan = self._plan
        self.counts["missing"] += missing
        # After a whole history of forecasts more of them change nothing but the season's place.
        if missing > 2 * plan.memory:
            leap = (missing - plan.memory) // plan.memory * plan.memory
            missing -= leap
            state.last = plan.later(state.last, leap)
        empty = np.full(len(plan.columns), np.nan)
        for _ in range(missing):
            state.last = plan.later(state.last, 1)
            self._advance(state, state.last, plan.complete(empty, state.last, 1.0), is_filling=True)

    def _enter(self, state, values):
        """Scaled features of a row `(features,)`; its other columns enter the history."""
        plan = self._plan
        values = np.where(np.isnan(values), state.carry, values)
        # A target is not carried on: its forecast stands in for it.
        state.carry = np.where(plan.is_target, np.nan, values)
        scaled = (values - state.offset) / state.scale
        _push(state.known, scaled[plan.known_at])
        return values, scaled[plan.feature_at]

    def _remember(self, state, values):
        """Takes a row, as the model sees it, into the history."""
        _, features = self._enter(state, values)
        self._keep(state, features)

    def _keep(self, state, features):
        features = np.where(np.isnan(features), state.past[-1], features)
        _push(state.past, features)
        _push(state.actual, features[: self._plan.num_targets])
        if state.bounded is not None:
            _push(state.bounded, features[: self._plan.num_targets])
        state.count = min(state.count + 1, self._plan.memory)

    def _advance(self, state, time, values, is_filling=False):
        plan = self._plan
        original = values[plan.target_at]
        values, features = self._enter(state, plan.transform(values, state.log_offsets))
        if state.count < plan.rows:
            self.counts["unjudged"] += not is_filling
            self._keep(state, features)
            return None
        if state.measure is None:
            state.judge_by(plan, plan.limits.unit_of(state.modelled()))
        actual = values[plan.target_at]
        usual, raw, parameters = plan.look(state, features, time)
        expected = usual + state.shift
        residual = raw - state.shift if plan.is_forecast else raw
        if plan.aides:
            aided, left = plan.predict_aided(state, features, time)
            # What another target explains may excuse a residual, not make one.
            better = np.abs(left) < np.abs(residual)
            expected, residual = np.where(better, aided, expected), np.where(better, left, residual)
        opened, flags, interval = None, [False] * plan.num_targets, plan.interval(state, parameters, time)
        if not is_filling:
            opened, flags = self._judge(state, time, values, original, expected, residual, interval)
        if state.bounded is not None:
            _push(state.bounded, plan.bounded(interval, features, state))
        if any(flags) or np.isnan(features).any():
            self.counts["missing_values"] += bool(np.isnan(actual).any()) and not is_filling
            self._stand_in(state, features, expected, flags)
        else:
            # Most rows enter the history as they are, and cost nothing more.
            state.replaced = [0] * plan.num_targets
            _push(state.actual, features[: plan.num_targets])
            _push(state.past, features)
        state.count = min(state.count + 1, plan.memory)
        if state.is_shifted:
            self._follow_shift(state, raw, flags)
        if state.accept:
            self._accept(state, time, plan.contexts(values, time))
        return opened

    def _stand_in(self, state, features, expected, flags):
        """Takes a row into the history with forecasts in place of values that are absent or replaced."""
        plan = self._plan
        kept = (expected - state.target_offset) / state.target_scale + state.bias
        replace = np.isnan(features[: plan.num_targets])
        seen = np.where(replace, kept, features[: plan.num_targets])
        _push(state.actual, seen)
        for i, flag in enumerate(flags):
            state.replaced[i] = state.replaced[i] + 1 if flag else 0
            replace[i] |= flag and plan.is_replaced[i] and state.replaced[i] <= plan.new_normal
        features = np.where(np.isnan(features), state.past[-1], features)
        features[: plan.num_targets] = np.where(replace, kept, seen)
        _push(state.past, features)

    def _sizes(self, state, contexts, found):
        """Sizes of residuals, a list, and the share that each target has in them."""
        scored, measure = found / state.unit, state.measure
        if measure.average is not None:
            state.average, scored = measure.average.step(state.average, scored)
        sizes, shares = measure.score.apply(scored[None], contexts)
        return sizes[0].tolist(), None if shares is None else shares[0].tolist()

    def _judge(self, state, time, values, actual, expected, found, interval):
        plan, shares, probabilities = self._plan, None, None
        if interval is None:
            predicted = plan.to_original(expected, state.log_offsets)
            sizes, shares = self._sizes(state, plan.contexts(values, time), found)
        else:
            modelled = values[plan.target_at]
            predicted, sizes, chances = plan.compared(
                interval, actual, modelled, state.shift, state.log_offsets
            )
            sizes, probabilities = sizes.tolist(), chances.tolist()
        residual = actual - predicted if plan.is_forecast else found
        limits = [threshold.limit for threshold in state.thresholds]
        flags = [size > limit for size, limit in zip(sizes, limits, strict=True)]
        if any(flags):
            off, least = np.abs(residual), state.resolution.least(actual, predicted)
            is_large = (off >= plan.min_size) & (off > least)
            flags = [flag and bool(large) for flag, large in zip(flags, is_large, strict=True)]
        is_strange = any(flags)
        for i, (threshold, size) in enumerate(zip(state.thresholds, sizes, strict=True)):
            # The one distance of a joint score is strange or usual for all targets.
            threshold.take(size, (is_strange and size > limits[i]) if plan.is_joint else flags[i])
        if plan.is_joint and any(flags):
            # One distance for the whole row: those have to do with it that make up much of it.
            flags = [flag and share >= 0.5 * max(shares) for flag, share in zip(flags, shares, strict=True)]
        if self._records is not None:
            found = (actual, predicted, residual, sizes, limits, flags, probabilities)
            self._records.append((state.series, time, *found))
        flagged = any(flags)
        if not flagged and state.tracker.is_idle:
            return None, flags
        self.counts["flagged"] += flagged
        strengths = [s / lim if lim > 0 else _STRONGEST for s, lim in zip(sizes, limits, strict=True)]
        strengths = [min(s, _STRONGEST) if s == s else 0.0 for s in strengths]
        judged = Judged(
            plan.timestamp(time), flags, strengths, actual.tolist(), predicted.tolist(), shares, probabilities
        )
        opened, closed = state.tracker.update(judged)
        if closed is not None:
            self.closed.append(closed)
            state.accept = closed.kind == "level shift"
        if state.tracker.is_idle and not state.accept:
            for threshold in state.thresholds:
                threshold.settle()
        return opened, flags

    def _follow_shift(self, state, raw, flags):
        """Lets the offset of a new level go as the model gets used to it."""
        plan = self._plan
        seen = ~np.isnan(raw) & ~np.array(flags) & (state.shift != 0)
        state.shift = np.where(seen, state.shift + (raw - state.shift) / plan.new_normal, state.shift)
        state.shift[np.abs(state.shift) < state.smallest_shift] = 0.0
        state.is_shifted = bool(state.shift.any())

    def _accept(self, state, time, contexts):
        """Takes the rows of a level shift for normal ones."""
        plan, measure = self._plan, state.measure
        state.accept = False
        state.replaced = [0] * plan.num_targets
        state.average = np.zeros(plan.num_targets)
        state.past[:, : plan.num_targets] = state.actual
        if state.bounded is not None:
            state.bounded[:] = state.actual
        found = np.array([self._found(state, time, back) for back in range(plan.spare)]) * state.target_scale
        if plan.is_forecast:
            state.shift = np.median(found, axis=0) - state.bias * state.target_scale
            state.shift[np.abs(state.shift) < state.smallest_shift] = 0.0
            state.is_shifted = bool(state.shift.any())
            found = found - state.shift
        # The limits learn how far such rows are from what is expected from now on.
        scored, series = found[::-1] / state.unit, np.zeros(len(found))
        if measure.average is not None:
            scored = measure.average.apply(scored, series)
        contexts = None if contexts is None else np.repeat(contexts, len(found), axis=0)
        for threshold, sizes in zip(
            state.thresholds, measure.score.apply(scored, contexts)[0].T, strict=True
        ):
            threshold.settle(normal=sizes.tolist())

    def _found(self, state, time, back):
        """How far the row so many rows back is from what is expected with the present history, scaled."""
        plan = self._plan
        last = len(state.past) - 1 - back
        past, known = state.past[:last], state.known[: last + 2]
        if plan.is_forecast:
            stamp = plan.timestamp(time)
            scaled = plan.predictor(past[-plan.rows :], known[-plan.rows - 1 :], state.series, stamp)
            return state.past[last, : plan.num_targets] - scaled
        return distances(plan.subsequence, state.past[None, last - plan.rows : last + 1, : plan.num_targets])[
            1
        ][0]


class _SeriesState:
    """What a monitor keeps of one series."""

    def __init__(self, plan, series):
        self.series = series
        self.last = None
        self.count = 0
        self.offset, self.scale = plan.affine(series)
        self.target_offset, self.target_scale = self.offset[plan.target_at], self.scale[plan.target_at]
        self.bias = plan.habits.bias(series)
        self.log_offsets = plan.offsets(series)
        length = plan.memory + plan.spare
        self.past = np.zeros((length, len(plan.feature_at)))
        self.actual = np.zeros((length, plan.num_targets))
        self.known = np.zeros((length + 1, len(plan.known_at)))
        # How much the series moves is told by values that lie at most at the edge of their interval.
        self.bounded = None if plan.intervals is None else self.actual.copy()
        self.carry = np.where(plan.is_target, np.nan, self.offset)
        # A series that was not fitted has a unit when its first rows are seen.
        self.measure, self.own_unit, self.resolution = None, None, plan.limits.resolution(series)
        if plan.limits.knows(series):
            self.judge_by(plan)
        self.average = np.zeros(plan.num_targets)
        self.shift = np.zeros(plan.num_targets)
        self.is_shifted = False
        self.accept = False
        self.replaced = [0] * plan.num_targets
        self.tracker = EventTracker(series, plan.targets, **plan.event_options)

    def judge_by(self, plan, unit=None):
        """Takes what its residuals are judged by; `unit` is that of a series that was not fitted."""
        self.own_unit = unit
        self.measure, self.unit = plan.limits.measure(self.series, unit)
        # The thresholds of a plan stay as they were calibrated.
        self.thresholds = [
            HeldBack(copy.deepcopy(threshold), plan.new_normal if is_replaced else 0)
            for threshold, is_replaced in zip(self.measure.thresholds, plan.is_replaced, strict=True)
        ]
        self.errors = plan.errors(self.series)
        self.smallest_shift = _SMALL * self.measure.score.spread_ * self.unit

    def modelled(self):
        """The targets of the rows it has seen, as the model sees them but not scaled."""
        return self.actual[len(self.actual) - self.count :] * self.target_scale + self.target_offset

    def get_state(self):
        """Plain data for a JSON file."""
        return {
            "last": self.last,
            "count": self.count,
            "past": self.past.tolist(),
            "actual": self.actual.tolist(),
            "known": self.known.tolist(),
            "bounded": None if self.bounded is None else self.bounded.tolist(),
            "carry": [None if math.isnan(value) else value for value in self.carry.tolist()],
            "unit": None if self.own_unit is None else self.own_unit.tolist(),
            "thresholds": None
            if self.measure is None
            else [threshold.get_state() for threshold in self.thresholds],
            "average": self.average.tolist(),
            "shift": self.shift.tolist(),
            "replaced": self.replaced,
            "tracker": self.tracker.get_state(),
        }

    def set_state(self, plan, state):
        """Takes what `get_state` gave."""
        self.last, self.count, self.replaced = state["last"], state["count"], list(state["replaced"])
        for name in ("past", "actual", "known"):
            kept = getattr(self, name)
            kept[:] = np.array(state[name]).reshape(kept.shape)
        if self.bounded is not None:
            self.bounded[:] = np.array(state["bounded"]).reshape(self.bounded.shape)
        self.carry = np.array([np.nan if value is None else value for value in state["carry"]])
        if state["unit"] is not None:
            self.judge_by(plan, np.array(state["unit"]))
        if state["thresholds"] is not None:
            for threshold, kept in zip(self.thresholds, state["thresholds"], strict=True):
                threshold.set_state(kept)
        self.average = np.array(state["average"])
        self.shift = np.array(state["shift"])
        self.is_shifted = bool(self.shift.any())
        self.tracker.set_state(state["tracker"])
        return self


def _push(table, row):
    table[:-1] = table[1:]
    table[-1] = row


def _number(column, value):
    if value is None or value == "":
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"Column {column!r} must hold a number. Received: {value!r}.") from error
