"""What a fitted detector knows, in the form in which a row is judged."""

import copy
import math

import numpy as np

from tfts.anomaly.clock import CLOCK, Calendar, Clock
from tfts.anomaly.intervals import Intervals, interval_sizes
from tfts.anomaly.predictors import predictor_of

# The least that a logarithm is taken of, as a share of what is added to every value.
LEAST = 0.01
# A forecast of a logarithm above it is nonsense, and its exponential would overflow.
HIGHEST = 80.0
# Fewer rows than these are no new level, however short the context is.
_NEW_NORMAL = 14


class Plan:
    """All that a `Monitor` needs of its detector to judge a row.

    Args:
        settings: The `Settings` of the detector.
        forecaster: Its fitted `Forecaster`.
        aides: Dict from target to a fitted `Forecaster` that sees other targets of the same
            row.
        subsequence: Its fitted subsequence method, or `None`.
        layout: The `Layout` of the rows that it was fitted on.

    Example:

    >>> import pandas as pd
    >>> from tfts.anomaly.detector import AnomalyDetector
    >>> days = pd.date_range("2024-01-01", periods=90)
    >>> usual = pd.DataFrame({"sales": np.random.default_rng(0).normal(100, 5, 90)}, index=days)
    >>> plan = AnomalyDetector("persistence", context_length=1).fit(usual).plan_
    >>> plan.targets, plan.rows, plan.is_forecast
    (('sales',), 1, True)
    """

    def __init__(self, settings, forecaster, aides, subsequence, layout):
        self.forecaster, self.subsequence = forecaster, subsequence
        self.predictor = predictor_of(forecaster)
        self.is_forecast = subsequence is None
        self.targets = forecaster.targets
        self.num_targets = len(self.targets)
        self._take_layout(layout, settings.columns)
        self._place_columns(layout)
        self.rows = self.predictor.rows if self.is_forecast else forecaster.spec.context_length - 1
        self.memory = max(self.predictor.memory, self.rows)
        self.aides = [_Aide(self, target, aide) for target, aide in aides.items()]
        self._take_alarms(settings)
        self._take_contexts(settings)
        scoring, self.intervals = settings.scoring, None
        if scoring.is_interval:
            self.intervals = Intervals(forecaster, scoring.new_threshold(), scoring.direction, self.timestamp)
        self.fingerprint = self.score = self.habits = None

    def _take_layout(self, layout, columns):
        """What the user's rows look like, and where they stand in time."""
        self.time_name, self.series_name = layout.time_name, layout.series_name
        self.columns = list(layout.columns)
        self.keys = [k for k in (self.time_name, self.series_name) if k is not None] + self.columns
        self.names = {str(name): name for name in layout.series}
        self.is_irregular, self.step = columns.is_irregular, layout.step
        self.clock = Clock(None if self.is_irregular else layout.freq, layout.tz, layout.step)
        self.nanoseconds, self.timestamp = self.clock.nanoseconds, self.clock.timestamp
        self.place, self.later = self.clock.place, self.clock.later

    def _place_columns(self, layout):
        """Where targets, other columns and logarithms stand among the columns of the scaler."""
        columns, known = self.forecaster.scaler_.columns, self.forecaster.known_future
        others = [c for c in columns if c not in self.targets and c not in known]
        self.features, self.known = [*self.targets, *others], list(known)
        self.target_at = np.array([columns.index(c) for c in self.targets])
        self.feature_at = np.array([columns.index(c) for c in self.features])
        self.known_at = np.array([columns.index(c) for c in known], dtype=np.int64)
        self.is_target = np.isin(np.arange(len(columns)), self.target_at)
        self.log_at = np.array([columns.index(c) for c in layout.logs.columns], dtype=np.int64)
        self.is_log = np.isin(self.target_at, self.log_at)
        self.log_offsets = {name: np.array(offsets) for name, offsets in layout.logs.offsets}
        self._log_targets = [list(self.log_at).index(i) for i in self.target_at[self.is_log]]

    def _take_alarms(self, settings):
        """What a flagged row leads to."""
        alarms, least = settings.alarms, settings.scoring.min_size
        self._replace = alarms.replace
        self.is_replaced = [alarms.replace is None or target in alarms.replace for target in self.targets]
        self.min_size = [least.get(t, 0.0) if isinstance(least, dict) else least for t in self.targets]
        self.new_normal = alarms.new_normal or max(self.forecaster.spec.context_length, _NEW_NORMAL)
        self.spare = min(self.new_normal, 7)
        self.event_options = {
            "confirm": alarms.confirm,
            "gap": alarms.gap,
            "cool_down": alarms.cool_down,
            "longest": self.new_normal,
        }

    def _take_contexts(self, settings):
        """What the spread of a row depends on, and what is made of its time."""
        columns, context = self.forecaster.scaler_.columns, settings.scoring.context
        later = None if self.is_irregular else self.later
        self._calendar = Calendar(settings.columns.calendar, later, self.timestamp)
        self.clocks = [c for c in context if c in CLOCK and c not in columns]
        self._context_clock = Calendar(self.clocks, later, self.timestamp)
        self.context_at = [columns.index(c) for c in context if c not in self.clocks]

    def used_to(self, habits):
        """A copy that knows the `Habits` of its targets."""
        made = copy.copy(self)
        made.habits = habits
        if self._replace is None:
            made.is_replaced = [target not in habits.counted_on for target in self.targets]
        return made

    def judging(self, limits, fingerprint):
        """A copy that has what rows are judged by.

        Args:
            limits: `Limits`.
            fingerprint: Str, by which a monitor knows whose state it is given.
        """
        made = copy.copy(self)
        made.limits, made.score, made.fingerprint = limits, limits.score, fingerprint
        made.average = limits.shared.average
        made.is_joint = limits.score.kind == "joint"
        return made

    def known_name(self, series):
        """The name of a series as it was in `fit`: a file gives every name as text."""
        return self.names.get(str(series), series)

    def affine(self, series):
        """Offset and scale of all columns for one series."""
        return self.forecaster.scaler_.affine(series, self.forecaster.scaler_.columns)

    def thresholds(self, series):
        """The fitted thresholds of one series, one for each target."""
        return self.limits.measure(series)[0].thresholds

    def errors(self, series):
        """The held-out errors by which one series is judged, if at all."""
        return None if self.intervals is None else self.intervals.of(series)

    def offsets(self, series):
        """What is added to the `log` columns of one series before the logarithm is taken."""
        return self.log_offsets.get(series, self.log_offsets[None])

    def complete(self, values, time, step_length):
        """The user's columns and those that follow from the time, in the order of the scaler."""
        parts = [values, [step_length]] if self.is_irregular else [values]
        return np.concatenate([*parts, self._calendar(time)])

    def transform(self, values, offsets):
        """Values as the model sees them: the logarithm of the `log` columns.

        Args:
            values: Float64 `(columns,)`.
            offsets: As from `offsets`.
        """
        if not len(self.log_at):
            return values
        values = values.copy()
        # What has no logarithm is as far off as a value can be.
        values[self.log_at] = np.log(np.maximum(values[self.log_at] + offsets, LEAST * offsets))
        return values

    def to_original(self, modelled, offsets):
        """Targets `(targets,)` as the model sees them, in original units."""
        if not self.is_log.any():
            return modelled
        made = modelled.copy()
        made[self.is_log] = np.exp(np.minimum(made[self.is_log], HIGHEST)) - offsets[self._log_targets]
        return made

    def contexts(self, values, time):
        """What the spread of a row depends on, `(1, contexts)`, or `None`."""
        if not self.context_at and not self.clocks:
            return None
        return np.concatenate([values[self.context_at], self._context_clock(time)])[None]

    def predict_aided(self, state, features, time):
        """Like `predict`, with a look at other targets of the row; NaN where none may be had."""
        usual = np.full(self.num_targets, np.nan)
        for aide in self.aides:
            stamp = self.timestamp(time) if aide.predictor.needs_time else None
            usual[aide.at] = aide(state, features, stamp)
        residual = features[: self.num_targets] - usual
        return usual * state.target_scale + state.target_offset, residual * state.target_scale

    def predict(self, state, features, time):
        """What the targets of a row should be, and how far from it they are.

        Args:
            state: What the monitor keeps of the series.
            features: Float64 `(features,)`: the row, scaled, the targets first.
            time: Time of the row, nanoseconds.

        Returns:
            Tuple `(usual, residual)`, each float64 `(targets,)`, not scaled; logarithms where
            the model sees them.
        """
        return self.look(state, features, time)[:2]

    def look(self, state, features, time):
        """As `predict`, with the parameters of the model's output, scaled; `None` of a subsequence method."""
        targets, parameters = features[: self.num_targets], None
        if self.is_forecast:
            stamp = self.timestamp(time) if self.predictor.needs_time else None
            parameters = self.predictor.parameters(
                state.past[-state.count :], state.known[-state.count - 1 :], state.series, stamp
            )
            scaled = self.predictor.point(parameters, state.series)
            residual = targets - scaled
        else:
            row = np.where(np.isnan(targets), state.past[-1, : self.num_targets], targets)
            window = np.vstack([state.past[len(state.past) - self.rows :, : self.num_targets], row])
            usual, residual = distances(self.subsequence, window[None])
            scaled, residual = usual[0], np.where(np.isnan(targets), np.nan, residual[0])
        return scaled * state.target_scale + state.target_offset, residual * state.target_scale, parameters

    def interval(self, state, parameters, time):
        """The `RowInterval` of a row; `None` where rows are not judged by one.

        Args:
            state: As of `predict`.
            parameters: As from `look`.
            time: As of `predict`.
        """
        if self.intervals is None:
            return None
        past = state.bounded[-state.count :]
        return self.intervals.row(
            parameters, state.target_offset, state.target_scale, state.errors, past, time
        )

    def bounded(self, row, features, state):
        """Targets of a row, scaled, within its `RowInterval`; the median where a value is missing."""
        low, median, high = (
            (edge + state.shift - state.target_offset) / state.target_scale
            for edge in (row.low, row.median, row.high)
        )
        targets = features[: self.num_targets]
        sides = self.intervals.direction
        if sides != "up":
            targets = np.maximum(targets, low)
        if sides != "down":
            targets = np.minimum(targets, high)
        return np.where(np.isnan(targets), median, targets)

    def compared(self, row, actual, modelled, shift, offsets):
        """A row beside its interval, which may have moved with the level.

        Args:
            row: `RowInterval`.
            actual: Float64 `(targets,)`, original units.
            modelled: Float64 `(targets,)`, the same as the model sees them.
            shift: Float64 `(targets,)`: how far a new level is from the model's, in the units of `modelled`.
            offsets: As from `offsets`.

        Returns:
            Tuple of what is expected, original units; sizes as from `interval_sizes`; and the probability of
            values so far out; each float64 `(targets,)`.
        """
        low, median, high = (
            self.to_original(edge + shift, offsets) for edge in (row.low, row.median, row.high)
        )
        sizes = interval_sizes(actual, low, median, high, self.intervals.direction)
        return median, sizes, row.probability(modelled - shift)


class _Aide:
    """A second forecast of one target, which sees other targets of the row that is judged.

    It sees them in original units, and has one scale for all series: what one target takes
    from another is counted, and a unit is a unit in every series.
    """

    def __init__(self, plan, target, forecaster):
        columns, known = forecaster.scaler_.columns, forecaster.known_future
        self.predictor, self.scaler = predictor_of(forecaster), forecaster.scaler_
        self.at = plan.targets.index(target)
        self.past = [target, *(c for c in columns if c != target and c not in known)]
        self.past_at = [plan.features.index(c) for c in self.past]
        self.from_known = [i for i, c in enumerate(known) if c in plan.known]
        self.known_at = [plan.known.index(c) for c in known if c in plan.known]
        self.known = list(known)
        names = [c for c in known if c not in plan.known]
        self.from_past = [known.index(c) for c in names]
        self.sources = [plan.targets.index(c) for c in names]
        self.is_log = plan.is_log[self.sources]
        self.log_at = [list(plan.log_at).index(plan.target_at[i]) for i in self.sources if plan.is_log[i]]
        self.past_columns = [columns.index(c) for c in self.past]
        self.known_columns = [columns.index(known[i]) for i in self.from_known]

    def __call__(self, state, features, stamp):
        """The forecast, a float, scaled as the target of the series is; NaN without its sources."""
        past, known = state.past[-state.count :], state.known[-state.count - 1 :]
        sources = np.vstack([past[:, self.sources], features[self.sources]])
        if np.isnan(sources[-1]).any():
            return math.nan
        sources = sources * state.target_scale[self.sources] + state.target_offset[self.sources]
        if self.log_at:
            # As in `to_original`: no forecast in the history may overflow.
            logs = np.minimum(sources[:, self.is_log], HIGHEST)
            sources[:, self.is_log] = np.exp(logs) - state.log_offsets[self.log_at]
        table = np.empty((len(known), len(self.known)))
        table[:, self.from_known] = self._unscaled(state, known[:, self.known_at], self.known_columns)
        table[:, self.from_past] = sources
        past = self._unscaled(state, past[:, self.past_at], self.past_columns)
        past_offset, past_scale = self.scaler.affine(state.series, self.past)
        offset, scale = self.scaler.affine(state.series, self.known)
        past, table = (past - past_offset) / past_scale, (table - offset) / scale
        made = self.predictor(past, table, state.series, stamp)[0] * past_scale[0] + past_offset[0]
        return (made - state.target_offset[self.at]) / state.target_scale[self.at]

    def _unscaled(self, state, values, columns):
        return values * state.scale[columns] + state.offset[columns]


def distances(subsequence, windows):
    """Windows beside what a subsequence method takes for usual.

    Args:
        subsequence: A fitted member of `SUBSEQUENCES`.
        windows: Float64 `(windows, rows, targets)`, scaled.

    Returns:
        Tuple `(usual, residual)`, each `(windows, targets)`: the last rows of the usual
        windows, and the root mean square difference of whole windows, with the sign of
        the last row's.

    Example:

    >>> from tfts.anomaly.subsequence import NearestWindows
    >>> usual = NearestWindows().fit(np.zeros((5, 4, 1)))
    >>> [part.tolist() for part in distances(usual, np.array([[[0.0], [0.0], [0.0], [-2.0]]]))]
    [[[0.0]], [[-1.0]]]
    """
    usual = subsequence.compare(windows)
    length = math.sqrt(windows.shape[1])
    size = np.sqrt(np.sum((windows - usual) ** 2, axis=1)) / length
    return usual[:, -1], np.where(windows[:, -1] < usual[:, -1], -size, size)
