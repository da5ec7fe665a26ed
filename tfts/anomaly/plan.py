"""What a fitted detector knows, in the form in which a row is judged."""

import math

import numpy as np
import pandas as pd

from tfts.data.calendar import calendar_columns

CLOCK = ("hour", "weekday", "month", "day_of_year")
# The least that a logarithm is taken of, as a share of what is added to every value.
LEAST = 0.01
# A forecast of a logarithm above it is nonsense, and its exponential would overflow.
HIGHEST = 80.0
# Fewer rows than these are no new level, however short the context is.
_NEW_NORMAL = 14
# Rows of calendar that are made at once: one at a time would cost more than the forecast.
_BLOCK = 512


class Calendar:
    """Calendar columns of single times, made many rows ahead.

    Args:
        features: Names as in `calendar_columns`.
        later: Function of a time and a number of rows that gives the time so many rows
            later, both in nanoseconds; `None` where rows come at any time.
        timestamp: Function from nanoseconds to `pandas.Timestamp`.

    Example:

    >>> hour = 3_600_000_000_000
    >>> calendar = Calendar(["hour"], lambda time, rows: time + rows * hour, pd.Timestamp)
    >>> calendar(5 * hour)
    array([5.])
    """

    def __init__(self, features, later, timestamp):
        self.features, self.later, self.timestamp = list(features), later, timestamp
        self._made = {}
        self._empty = np.zeros(0)

    def __call__(self, time):
        if not self.features:
            return self._empty
        if time not in self._made:
            times = [time] if self.later is None else [self.later(time, i) for i in range(_BLOCK)]
            stamps = pd.DatetimeIndex([self.timestamp(t) for t in times])
            rows = calendar_columns(stamps, self.features).to_numpy()
            self._made = dict(zip(times, rows, strict=True))
        return self._made[time]


class Clock:
    """Times as nanoseconds, and the steps between them.

    Args:
        freq: Time step as a pandas offset alias, `None` where rows come at any time.
        tz: Time zone, or `None`.
        step: Nanoseconds of a usual step.

    Example:

    >>> clock = Clock("h", None, 3_600_000_000_000)
    >>> last = clock.nanoseconds(pd.Timestamp("2024-01-01 05:00"))
    >>> time, steps = clock.place(clock.nanoseconds(pd.Timestamp("2024-01-01 08:10")), last)
    >>> str(clock.timestamp(time)), steps
    ('2024-01-01 08:00:00', 3)
    """

    def __init__(self, freq, tz, step):
        self.freq, self.tz, self.step = freq, tz, step
        offset = None if freq is None else pd.tseries.frequencies.to_offset(freq)
        # A day is a fixed time only where no clock is ever changed.
        fixed = isinstance(offset, pd.tseries.offsets.Tick) or (
            isinstance(offset, pd.tseries.offsets.Day) and str(tz) in ("None", "UTC")
        )
        self.is_fixed = fixed or freq is None
        self.offset = offset

    def nanoseconds(self, stamp):
        """Nanoseconds since 1970 (UTC) of a time.

        Raises:
            ValueError: If the time has a zone and the fitted rows had none.
        """
        if self.tz is None:
            if stamp.tz is not None:
                raise ValueError(f"The times of the fitted rows had no time zone. Received: {stamp}.")
        elif stamp.tz is None:
            stamp = stamp.tz_localize(self.tz, ambiguous=True, nonexistent="shift_forward")
        return stamp.as_unit("ns").value

    def timestamp(self, time):
        """The time of nanoseconds since 1970 (UTC), in the zone of the fitted rows."""
        stamp = pd.Timestamp(time)
        return stamp if self.tz is None else stamp.tz_localize("UTC").tz_convert(self.tz)

    def place(self, time, last):
        """The row that a time belongs to, and how many steps it is after the row `last`."""
        if last is None:
            return time, 1
        if self.freq is None:
            return time, (time > last) - (time < last)
        if self.is_fixed:
            steps = (time - last) // self.step
            return last + steps * self.step, steps
        if time < last:
            return time, -1
        steps = len(self._grid(last, end=time)) - 1
        return self.later(last, steps), steps

    def later(self, time, rows):
        """The time `rows` steps after a time."""
        if self.is_fixed:
            return time + rows * self.step
        return self.nanoseconds(self._grid(time, periods=rows + 1)[-1])

    def _grid(self, time, end=None, periods=None):
        stamps = [stamp if stamp is None else self.timestamp(stamp) for stamp in (time, end)]
        if self.tz is not None:
            stamps = [stamp if stamp is None else stamp.tz_localize(None) for stamp in stamps]
        return pd.date_range(stamps[0], stamps[1], periods, self.offset)


class Plan:
    """All that a `Monitor` needs of its detector to judge a row.

    Args:
        settings: Dict of the arguments of the detector.
        forecaster: Its fitted `Forecaster`.
        predictor: The `Predictor` of the forecaster.
        aides: Dict from target to `(forecaster, predictor)` that see other targets of the
            same row.
        subsequence: Its fitted subsequence method, or `None`.
        learnt: Dict of what else its `fit` learnt.

    Example:

    >>> from tfts.anomaly.detector import AnomalyDetector
    >>> days = pd.date_range("2024-01-01", periods=90)
    >>> usual = pd.DataFrame({"sales": np.random.default_rng(0).normal(100, 5, 90)}, index=days)
    >>> plan = AnomalyDetector("persistence", context_length=1).fit(usual).plan_
    >>> plan.targets, plan.rows, plan.is_forecast
    (('sales',), 1, True)
    """

    def __init__(self, settings, forecaster, predictor, aides, subsequence, learnt):
        self.forecaster, self.predictor, self.subsequence = forecaster, predictor, subsequence
        self.is_forecast = subsequence is None
        self.targets = forecaster.targets
        self.num_targets = len(self.targets)
        self.time_name, self.series_name = learnt["time_name"], learnt["series_name"]
        self.columns = learnt["columns"]
        self.keys = [k for k in (self.time_name, self.series_name) if k is not None] + self.columns
        self.names = {str(name): name for name in learnt["series"]}
        self.is_irregular = settings["irregular"] == "step_length"
        self.clock = Clock(None if self.is_irregular else learnt["freq"], learnt["tz"], learnt["step"])
        self.step = learnt["step"]
        self.nanoseconds, self.timestamp = self.clock.nanoseconds, self.clock.timestamp
        self.place, self.later = self.clock.place, self.clock.later

        columns = forecaster.scaler_.columns
        known = forecaster.known_future
        others = [c for c in columns if c not in self.targets and c not in known]
        self.target_at = np.array([columns.index(c) for c in self.targets])
        self.feature_at = np.array([columns.index(c) for c in [*self.targets, *others]])
        self.known_at = np.array([columns.index(c) for c in known], dtype=np.int64)
        self.is_target = np.isin(np.arange(len(columns)), self.target_at)
        self.log_at = np.array([columns.index(c) for c in settings["log"]], dtype=np.int64)
        self.is_log = np.isin(self.target_at, self.log_at)
        self.log_offsets = {name: np.array(offsets) for name, offsets in learnt["log_offsets"]}
        self._log_targets = [
            list(self.log_at).index(i)
            for i, is_log in zip(self.target_at, self.is_log, strict=True)
            if is_log
        ]
        replace = self.targets if settings["replace"] is None else settings["replace"]
        self.is_replaced = [target in replace for target in self.targets]
        self.rows = self.predictor.rows if self.is_forecast else forecaster.spec.context_length - 1
        self.memory = max(self.predictor.memory, self.rows)
        self.features = [*self.targets, *others]
        self.known = list(known)

        self.score = learnt["score"]
        self.aides = [_Aide(self, target, *pair) for target, pair in aides.items()]
        self.is_joint = self.score.kind == "joint"
        self._thresholds = learnt["thresholds"]
        self.average = learnt["average"]
        least = settings["min_size"]
        self.min_size = [least.get(t, 0.0) if isinstance(least, dict) else least for t in self.targets]
        self.new_normal = settings["new_normal"] or max(forecaster.spec.context_length, _NEW_NORMAL)
        self.spare = min(self.new_normal, 7)
        self.event_options = {
            "confirm": tuple(settings["confirm"]),
            "gap": settings["gap"],
            "cool_down": settings["cool_down"],
            "longest": self.new_normal,
        }
        later = None if self.is_irregular else self.later
        self._calendar = Calendar(settings["calendar"], later, self.timestamp)
        context = settings["context"]
        self.clocks = [c for c in context if c in CLOCK and c not in columns]
        self._context_clock = Calendar(self.clocks, later, self.timestamp)
        self.context_at = [columns.index(c) for c in context if c not in self.clocks]

    def known_name(self, series):
        """The name of a series as it was in `fit`: a file gives every name as text."""
        return self.names.get(str(series), series)

    def affine(self, series):
        """Offset and scale of all columns for one series."""
        return self.forecaster.scaler_.affine(series, self.forecaster.scaler_.columns)

    def thresholds(self, series):
        """The fitted thresholds of one series, one for each target."""
        return self._thresholds.get(series, self._thresholds[None])

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
        targets = features[: self.num_targets]
        if self.is_forecast:
            stamp = self.timestamp(time) if self.predictor.needs_time else None
            scaled = self.predictor(
                state.past[-state.count :], state.known[-state.count - 1 :], state.series, stamp
            )
            residual = targets - scaled
        else:
            row = np.where(np.isnan(targets), state.past[-1, : self.num_targets], targets)
            window = np.vstack([state.past[len(state.past) - self.rows :, : self.num_targets], row])
            usual, residual = distances(self.subsequence, window[None])
            scaled, residual = usual[0], np.where(np.isnan(targets), np.nan, residual[0])
        return scaled * state.target_scale + state.target_offset, residual * state.target_scale


class _Aide:
    """A second forecast of one target, which sees other targets of the row that is judged.

    It sees them in original units, and has one scale for all series: what one target takes
    from another is counted, and a unit is a unit in every series.
    """

    def __init__(self, plan, target, forecaster, predictor):
        columns, known = forecaster.scaler_.columns, forecaster.known_future
        self.predictor, self.scaler = predictor, forecaster.scaler_
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
