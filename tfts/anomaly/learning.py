"""How a detector learns: the forecaster from the first rows, scores and thresholds from the last."""

import functools
import warnings

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts._units import is_rows
from tfts.anomaly.fitted import Fitted, Layout
from tfts.anomaly.habits import learn_habits
from tfts.anomaly.limits import learn_limits
from tfts.anomaly.plan import Plan, distances
from tfts.anomaly.resolution import Resolution
from tfts.anomaly.subsequence import SUBSEQUENCES
from tfts.anomaly.tables import (
    LEAST_OFFSET,
    LOG_OFFSET,
    Logarithms,
    Steps,
    plain_name,
    step_columns,
    without_targets,
)
from tfts.baselines import BASELINES
from tfts.calibration.held_out import MOST_ORIGINS, needed_for
from tfts.data.calendar import calendar_columns
from tfts.data.split import chronological_split
from tfts.data.times import nanoseconds
from tfts.errors import DataError, SettingError
from tfts.forecaster import Forecaster
from tfts.outputs import Quantiles

_DAY = 86_400_000_000_000


def learn(settings, frame, exclude=(), training=None, given=None):
    """Fits what a detector judges by.

    Args:
        settings: `Settings` with a model of one name, or a `Forecaster`.
        frame: DataFrame in original units.
        exclude: Pairs of times, as in `AnomalyDetector.fit`.
        training: Dict of options of `Forecaster.fit`.
        given: A fitted `Forecaster`, which is only calibrated; `None` fits one.

    Returns:
        A `Fitted`.

    Raises:
        ValueError: If the table can't be used, or training options would do nothing.

    Example:

    >>> from tfts.anomaly.settings import Settings
    >>> frame = pd.DataFrame({"y": np.arange(50.0) % 7}, index=pd.date_range("2024-01-01", periods=50))
    >>> learn(Settings.of(model="running_median", context_length=2), frame).layout.freq
    'D'
    """
    lesson = _Lesson(settings, frame, exclude, dict(training or {}), given)
    forecaster, subsequence = lesson.fitted(*lesson.untrained(frame))
    panel, part = lesson.panel, lesson.part
    aides = {target: lesson.aide(target, forecaster) for target in settings.scoring.same_row}
    layout = lesson.layout(forecaster)
    _check_names(forecaster.targets, layout)
    plan = Plan(settings, forecaster, {t: aide for t, (aide, _) in aides.items()}, subsequence, layout)
    rows = forecaster.spec.origins(part)
    residual = _residuals(forecaster, subsequence, part, rows)
    for target, (aide, own) in aides.items():
        aided = _aided_residuals(aide, own, part, rows)
        mine = residual[:, panel.targets.index(target)]
        mine[:] = np.where(np.abs(aided) < np.abs(mine), aided, mine)
    times = lesson.times[rows + 1]
    resolutions = lesson.resolutions()
    _warn_of_constants(part, part.series_of(rows), residual)
    _drop_rounding(residual, forecaster.actual(part, rows)[:, 0], part, rows, resolutions)
    contexts = _contexts(plan, part.values[rows + 1], times)
    limits = learn_limits(
        settings.scoring, residual, part.series_of(rows), part.series, lesson.values(), resolutions, contexts
    )
    shown = residual if plan.intervals is None else _about_medians(forecaster, part, rows)
    calibration = pd.DataFrame(shown, columns=list(panel.targets), index=times)
    names = np.asarray(panel.series, dtype=object)[part.series_of(rows)]
    calibration.insert(0, "series", names)
    habits = learn_habits(plan, panel, lesson.times, rows, residual)
    rates = np.sum([limits.rates(name) for name in panel.series], axis=0)
    made = Fitted.of(
        plan,
        settings,
        forecaster=forecaster,
        aides={target: aide for target, (aide, _) in aides.items()},
        subsequence=subsequence,
        method=settings.learning.name,
        may_fit=given is None,
        layout=layout,
        limits=limits,
        habits=habits,
        calibration=calibration,
        expected_alarms_a_day=dict(zip(panel.targets, (rates * _DAY / layout.step).tolist(), strict=True)),
    )
    return made.primed(panel, lesson.times)


class _Lesson:
    """One table on its way into a forecaster."""

    def __init__(self, settings, frame, exclude, training, given):
        self.settings, self.columns = settings, settings.columns
        self.frame, self.exclude, self.training, self.given = frame, exclude, training, given
        share = LEAST_OFFSET if given is not None and self.columns.scaler == "log" else LOG_OFFSET
        self.logs = Logarithms.of(frame, self.columns, share)
        self.steps = None

    def untrained(self, frame):
        """The forecaster, which is fitted only if it was given so, and the subsequence method or `None`."""
        learning, columns = self.settings.learning, self.columns
        if learning.name is None:
            return (self.given or learning.model.clone()).on_logarithms(), None
        added, targets, known = step_columns(columns), columns.targets, columns.known_future
        names = [str(c) for c in frame.columns if c not in columns.keys and c not in added]
        if known is None:
            known = [] if targets is None else [c for c in names if c not in targets]
        subsequence = None
        if learning.model in SUBSEQUENCES:
            subsequence = SUBSEQUENCES[learning.model](**learning.model_options)
        forecaster = Forecaster(
            learning.model if subsequence is None else "persistence",
            context_length=learning.context_length,
            horizon=1,
            targets=targets or [c for c in names if c not in known],
            known_future=[*known, *added],
            calendar=() if columns.is_irregular else columns.calendar,
            time=columns.time,
            series=columns.series,
            freq="D" if columns.is_irregular else columns.freq,
            missing=columns.missing,
            limit=columns.limit,
            duplicates=columns.duplicates,
            scaler="standard" if columns.scaler == "log" else columns.scaler,
            per_series=columns.per_series,
            categories=(),
            on_problem="raise",
            model_options=learning.model_options if subsequence is None else None,
            output=self._output(),
        )
        return forecaster, subsequence

    def _output(self):
        """What the forecaster is to give: points, unless something else is asked for or learns quantiles."""
        learning, scoring = self.settings.learning, self.settings.scoring
        wanted = learning.output
        if wanted == "auto":
            wanted = "quantiles" if scoring.is_interval and learning.is_network else "point"
        if wanted == "quantiles" and scoring.is_interval:
            return Quantiles(scoring.new_threshold().levels_to_learn(scoring.direction))
        return wanted

    def _calibrated(self, forecaster):
        """The forecaster with the quantiles of its errors on the calibration rows.

        Raises:
            ValueError: If they are too few for the rate.
        """
        threshold, direction = self.settings.scoring.new_threshold(), self.settings.scoring.direction
        levels = threshold.levels(direction)
        needed, rows = max(map(needed_for, levels)), forecaster.spec.origins(self.part)
        known = int((~np.isnan(forecaster.actual(self.part, rows))).sum(axis=0).min()) if len(rows) else 0
        if min(known, MOST_ORIGINS) < needed:
            sides = 2 if direction == "both" else 1
            raise DataError(
                f"threshold='interval' with rate={threshold.rate:g} and direction={direction!r} needs the errors of at "
                f"least {needed} calibration rows of each target, of which {MOST_ORIGINS:,} at most are kept. "
                f"Received: {known}. Give more rows, a larger `calibration`, or a rate of "
                f"{sides / (min(known, MOST_ORIGINS) + 1):.2g} or more."
            )
        return forecaster.calibrated(self.part, levels)

    def fitted(self, forecaster, subsequence):
        """Both of `untrained`, fitted on the first rows; `panel`, `part` and `times` are known then."""
        self.panel, self.times = self._panel(forecaster)
        parts = self._parts(forecaster, self.panel)
        self.train, self.part = parts.train, parts.test
        if self.given is None:
            forecaster.fit(parts.train, validation=parts.validation or 0, **self.training)
        elif self.training:
            raise DataError(
                "The forecaster is fitted already, so training options do nothing. Received: "
                f"{sorted(self.training)}."
            )
        if subsequence is not None:
            subsequence.fit(_target_windows(forecaster, parts.train))
        if self.settings.scoring.is_interval and self.settings.learning.name is not None:
            forecaster = self._calibrated(forecaster)
        return forecaster, subsequence

    def aide(self, target, main):
        """A fitted forecaster that sees other targets of the judged row, and its calibration rows."""
        sources = self.settings.scoring.same_row[target]
        for name in (target, *sources):
            if name not in main.targets:
                raise SettingError(unknown("target in same_row:", name, main.targets))
        if self.settings.learning.model in SUBSEQUENCES or self.given is not None:
            raise SettingError(
                "`same_row` needs forecasters that are fitted here, by name or from an unfitted Forecaster. "
                f"Received: {self.settings.learning.name or 'a fitted Forecaster'}."
            )
        known = [*main.settings["known_future"], *sources]
        changes = {"targets": [target], "known_future": known, "per_series": False}
        aide = Forecaster(**{**main.settings, **changes})
        parts = self._parts(aide, self._panel(aide, sources)[0])
        return aide.fit(parts.train, validation=parts.validation or 0, **self.training), parts.test

    def layout(self, forecaster):
        """The `Layout` of the rows."""
        panel, columns = self.panel, self.columns
        own = forecaster.settings["known_future"]
        made = [*step_columns(columns), *(c for c in panel.known_future if c not in own)]
        return Layout(
            time_name=panel.time_name,
            series_name=forecaster.settings["series"],
            columns=tuple(c for c in panel.columns if c not in made),
            series=tuple(panel.series),
            freq=panel.freq,
            tz=None if self.times.tz is None else str(self.times.tz),
            step=_usual_step(panel.times) if self.steps is None else self.steps.step,
            logs=self.logs,
        )

    def values(self):
        """Values of the targets in the rows that the forecaster learnt from, an array for each series."""
        train, at = self.train, self.train.indices(self.train.targets)
        found = []
        for span in train.spans:
            begin, end = span.target_start, span.observed_end
            values = train.values[begin:end, at].astype(np.float64)
            values[train.filled[begin:end, at]] = np.nan
            found.append(values)
        return found

    def resolutions(self):
        """Series -> the `Resolution` of its targets, as the user's table has them."""
        named = self.frame.set_axis(self.frame.columns.map(str), axis=1)
        values = named[list(self.panel.targets)].apply(pd.to_numeric)
        if self.columns.series is None:
            return {self.panel.series[0]: Resolution().fit(values)}
        groups = values.groupby(self.frame[self.columns.series].to_numpy())
        return {plain_name(name): Resolution().fit(part) for name, part in groups}

    def _panel(self, forecaster, without=()):
        """The panel that the forecaster sees, with some columns not as logarithms, and its real times."""
        frame = self.logs.taken(self.frame, self.columns.series, without)
        if self.columns.is_irregular:
            self.steps = Steps(frame, self.columns)
            frame = self.steps.frame
        panel = forecaster.panel(frame, allow_constant=True)
        if panel.labels or panel.static:
            raise DataError(
                "A detector takes columns of numbers, no labels or attributes of series. Leave them out of the "
                f"forecaster. Received: labels={list(panel.labels)}, static={list(panel.static)}."
            )
        if is_rows(panel.freq):
            raise DataError(
                "A detector counts alarms a day, so it needs times, but the rows are numbered. Give them times, e.g. "
                "with pandas.date_range; in a file of settings with data.stamps."
            )
        times = panel.times if self.steps is None else self.steps.times
        # What else is missing is still an error where it was one, as the panel is whole by now.
        return without_targets(panel, times, self.exclude) if self.exclude else panel, times

    def _parts(self, forecaster, panel):
        model = forecaster.settings["model"]
        is_simple = isinstance(model, str) and model in BASELINES
        share = 0 if is_simple else self.settings.learning.validation
        return chronological_split(panel, share, self.settings.learning.calibration)


def _check_names(targets, layout):
    """Refuses names that would stand for two things in a row or in the table of residuals."""
    for name in targets:
        if name in ("time", "series"):
            raise DataError(
                f"A target can't be named {name!r}: the residuals have a column of that name already. Rename it."
            )
    if layout.time_name in layout.columns:
        raise DataError(
            f"The times are called {layout.time_name!r}, and so is a column: a row of a feed can't hold both. Rename "
            "one of them."
        )


def _drop_rounding(residual, actual, part, rows, resolutions):
    """Sets residuals to zero that are rounding, for they say nothing of how large others are."""
    of = part.series_of(rows)
    for code in np.unique(of):
        mine = of == code
        least = resolutions[part.series[code]].rounding(actual[mine], actual[mine] - residual[mine])
        residual[mine] = np.where(np.abs(residual[mine]) <= least, 0.0, residual[mine])


def _contexts(plan, values, times):
    """What the spread of each row depends on, `(rows, contexts)`, or `None`."""
    columns = [values[:, plan.context_at]]
    if plan.clocks:
        columns.append(calendar_columns(times, plan.clocks).to_numpy())
    contexts = np.concatenate(columns, axis=1).astype(np.float64)
    return contexts if contexts.shape[1] else None


def _warn_of_constants(part, of, residual):
    for target, column in zip(part.targets, residual.T, strict=True):
        same = {code: column[of == code] for code in np.unique(of)}
        same = {code: each for code, each in same.items() if np.nanmin(each) == np.nanmax(each)}
        if not same:
            continue
        names = [str(part.series[code]) for code in same]
        who = (
            "" if len(part.series) == 1 else f" in {', '.join(names[:3])}" + " and others" * (len(names) > 3)
        )
        first = next(iter(same.values()))
        warnings.warn(
            f"All {len(first)} calibration residuals of {target!r}{who} are {first[0]:g}: nothing tells "
            "how far its values usually lie from their forecast, so any change will be flagged. Calibrate "
            "on more varied rows, or set `min_size`.",
            stacklevel=4,
        )


def _residuals(forecaster, subsequence, part, rows):
    """Residuals of the rows after the given ones, `(rows, targets)`."""
    actual = forecaster.actual(part, rows)[:, 0].astype(np.float64)
    if subsequence is None:
        return actual - forecaster.forecast_windows(part, rows)[:, 0]
    _, residual = distances(subsequence, _target_windows(forecaster, part, rows))
    names = np.asarray(part.series, dtype=object)[part.series_of(rows)]
    affine = functools.cache(lambda name: forecaster.scaler_.affine(name, part.targets)[1])
    scale = np.stack([affine(name) for name in names])
    return np.where(np.isnan(actual), np.nan, residual * scale)


def _about_medians(forecaster, part, rows):
    """Differences of values from the medians of their forecasts, `(rows, targets)`."""
    medians = forecaster.quantile_windows(part, rows, [0.5])[:, 0, :, 0]
    return forecaster.actual(part, rows)[:, 0].astype(np.float64) - medians


def _aided_residuals(aide, own, part, rows):
    """Residuals `(rows,)` of an aide, which has other rows at the ends of the series, for the given ones."""
    origins = aide.spec.origins(own)
    left = aide.actual(own, origins)[:, 0, 0] - aide.forecast_windows(own, origins)[:, 0, 0]
    index = pd.MultiIndex.from_arrays([own.series_of(origins), own.times[origins + 1]])
    wanted = pd.MultiIndex.from_arrays([part.series_of(rows), part.times[rows + 1]])
    return pd.Series(left, index=index).reindex(wanted).to_numpy()


def _target_windows(forecaster, panel, rows=None):
    """Scaled targets of whole windows, the judged row last: `(windows, context_length, targets)`."""
    rows = forecaster.spec.origins(panel) if rows is None else rows
    scaled = forecaster.scaler_.transform(panel)
    at = rows[:, None] + np.arange(2 - forecaster.spec.context_length, 2)
    return scaled.values[at][..., panel.indices(panel.targets)].astype(np.float64)


def _usual_step(times):
    steps = np.diff(nanoseconds(times))
    return int(np.median(steps[steps > 0])) if (steps > 0).any() else _DAY
