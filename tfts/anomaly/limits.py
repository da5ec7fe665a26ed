"""What residuals are judged by: learnt for each series in its own units, or for all in relative ones."""

import dataclasses
import warnings

import numpy as np

from tfts.anomaly.resolution import Resolution
from tfts.anomaly.scores import ResidualScore, RunningAverage

# Rows from which the deviation of a series that was not fitted can be told.
OWN_ROWS = 8
# Values whose deviation is below this share of their level are equal but for rounding.
FLAT = 1e-12


@dataclasses.dataclass(frozen=True)
class Measure:
    """What residuals in one unit are judged by.

    Attributes:
        score: The fitted `ResidualScore`.
        average: The fitted `RunningAverage`, or `None`.
        thresholds: List of fitted thresholds, one for each target.

    Example:

    >>> from tfts.anomaly.settings import Settings
    >>> scoring = Settings.of(k=2.0).scoring
    >>> measure = Measure.of(scoring, np.array([[-1.0], [1.0]]), np.zeros(2))
    >>> measure.thresholds[0].limit_, measure.scaled(np.array([10.0])).thresholds[0].limit_
    (2.0, 20.0)
    """

    score: ResidualScore
    average: RunningAverage | None
    thresholds: list

    @classmethod
    def of(cls, scoring, residuals, series, contexts=None, scale=1.0):
        """Learns from calibration residuals.

        Args:
            scoring: The `Scoring` options.
            residuals: Float64 `(rows, targets)`, all in one unit.
            series: `(rows,)`: which series each row is of.
            contexts: As in `ResidualScore.fit`.
            scale: As in `ResidualScore.fit`.
        """
        average = scoring.new_average()
        if average is not None:
            residuals = average.fit(residuals, series).apply(residuals, series)
        score = scoring.new_score().fit(residuals, contexts, scale)
        sizes, _ = score.apply(residuals, contexts)
        thresholds = [scoring.new_threshold().fit(column, score.is_symmetric) for column in sizes.T]
        return cls(score, average, thresholds)

    def scaled(self, factor):
        """The same for residuals that are `factor` `(targets,)` times as large."""
        average = None if self.average is None else self.average.scaled(factor)
        of_sizes = self.score.factor_of_sizes(factor)
        thresholds = [t.scaled(float(f)) for t, f in zip(self.thresholds, of_sizes, strict=True)]
        return Measure(self.score.scaled(factor), average, thresholds)

    def get_state(self):
        """Plain data for a JSON file."""
        return {
            "score": self.score.get_state(),
            "average": None if self.average is None else self.average.get_state(),
            "thresholds": [threshold.get_state() for threshold in self.thresholds],
        }

    @classmethod
    def from_state(cls, state, scoring):
        """The measure that `get_state` described, of a detector with these `Scoring` options."""
        average = state["average"]
        return cls(
            ResidualScore.from_state(state["score"]),
            None if average is None else RunningAverage.from_state(average),
            [scoring.new_threshold().set_state(kept) for kept in state["thresholds"]],
        )


@dataclasses.dataclass(frozen=True)
class Limits:
    """What the residuals of every series are judged by.

    What is learnt of a series in its units is used on no other one. A score in original
    units has a measure of its own for each series; a score in deviations has one for all,
    learnt from residuals in units of each series: the usual deviation of its targets. That
    relative measure also judges, in original units, a series that was not fitted or had no
    calibration rows; its unit is the deviation of its own first rows, and where they are
    fewer than eight or all equal, as large a share of its level as is usual among the
    fitted series.

    Attributes:
        shared: The `Measure` of relative residuals.
        own: Dict from series to its `Measure` in original units; empty for scores in
            deviations.
        units: Dict from series to float64 `(targets,)`, original units (logarithms where
            the model sees them).
        resolutions: Dict from series to its `Resolution`.
        share: Float64 `(targets,)`: the unit of a usual series, as a share of its level.
        usual_unit: Float64 `(targets,)`, for a series whose level is zero.

    Example:

    >>> from types import SimpleNamespace
    >>> shared = SimpleNamespace(score=SimpleNamespace(is_pooled=True))
    >>> limits = Limits(shared=shared, own={}, units={}, resolutions={}, share=np.ones(1), usual_unit=np.ones(1))
    >>> limits.is_pooled
    True
    """

    shared: Measure
    own: dict
    units: dict
    resolutions: dict
    share: np.ndarray
    usual_unit: np.ndarray

    @property
    def is_pooled(self):
        """Whether residuals are judged in units of their series."""
        return self.shared.score.is_pooled

    @property
    def score(self):
        """The fitted `ResidualScore`: of the one series in its units, of many in relative ones."""
        (only,) = self.own.values() if len(self.own) == 1 else (self.shared,)
        return only.score

    def knows(self, series):
        """Whether a series was fitted."""
        return series in self.units

    def relative(self, series):
        """The measure of a series as it was learnt: of one that was not fitted in relative units.

        Returns:
            Tuple of a `Measure`, the divisor of residuals (NaN where it is that of `unit_of`),
            and whether sizes and limits are to be brought back to original units.
        """
        if self.knows(series):
            return *self.measure(series), False
        return self.shared, np.full_like(self.usual_unit, np.nan), not self.is_pooled

    def unit_of(self, values):
        """The unit of a series that was not fitted, from its first rows `(rows, targets)`."""
        values = np.asarray(values, dtype=np.float64)
        level = np.nanmean(np.abs(values), axis=0)
        stand_in = np.where(level > 0, self.share * level, self.usual_unit)
        if len(values) < OWN_ROWS:
            return stand_in
        deviation = np.nanstd(values, axis=0)
        return np.where(deviation > FLAT * level, deviation, stand_in)

    def measure(self, series, unit=None):
        """Measure and divisor of the residuals of one series.

        Args:
            series: Its name.
            unit: Float64 `(targets,)` as from `unit_of`, of a series that was not fitted.

        Returns:
            Tuple of a `Measure` and the float64 `(targets,)` by which its residuals are to be
            divided first.
        """
        unit = self.units.get(series, self.usual_unit if unit is None else unit)
        if self.is_pooled:
            return self.shared, unit
        measure = self.own[series] if series in self.own else self.shared.scaled(unit)
        return measure, np.ones_like(unit)

    def resolution(self, series):
        """The `Resolution` of a series, that of numbers alone where it was not fitted."""
        return self.resolutions.get(series, Resolution.of_numbers(len(self.usual_unit)))

    def rates(self, series):
        """Share of usual rows of a series that are expected to be flagged, a list with a float for each target."""
        return [threshold.rate_ for threshold in self.own.get(series, self.shared).thresholds]

    def get_state(self):
        """Plain data for a JSON file."""
        return {
            "shared": self.shared.get_state(),
            "own": [[name, measure.get_state()] for name, measure in self.own.items()],
            "units": [[name, unit.tolist()] for name, unit in self.units.items()],
            "resolutions": [[name, each.get_state()] for name, each in self.resolutions.items()],
            "share": self.share.tolist(),
            "usual_unit": self.usual_unit.tolist(),
        }

    @classmethod
    def from_state(cls, state, scoring):
        """The limits that `get_state` described, of a detector with these `Scoring` options."""
        return cls(
            shared=Measure.from_state(state["shared"], scoring),
            own={name: Measure.from_state(kept, scoring) for name, kept in state["own"]},
            units={name: np.array(unit) for name, unit in state["units"]},
            resolutions={name: Resolution.from_state(kept) for name, kept in state["resolutions"]},
            share=np.array(state["share"]),
            usual_unit=np.array(state["usual_unit"]),
        )


def learn_limits(scoring, residuals, series, names, values, resolutions, contexts=None):
    """Learns `Limits` from calibration residuals.

    Args:
        scoring: The `Scoring` options.
        residuals: Float64 `(rows, targets)`, original units (logarithms where the model sees
            them), NaN where there is none.
        series: Int `(rows,)`: index into `names` of each row's series.
        names: Names of the series.
        values: List of float `(rows, targets)`: values of each series to learn its unit from,
            in the units of the residuals.
        resolutions: Dict from series to its `Resolution`.
        contexts: As in `ResidualScore.fit`.

    Returns:
        A `Limits`.

    Raises:
        ValueError: If there are too few residuals.

    Example:

    >>> from tfts.anomaly.settings import Settings
    >>> residuals = np.array([[-1.0], [1.0], [-100.0], [100.0]])
    >>> values = [np.array([[0.0], [4.0]]), np.array([[0.0], [400.0]])]
    >>> limits = learn_limits(Settings.of(k=3.0).scoring, residuals, np.repeat([0, 1], 2), "ab", values, {})
    >>> [limits.measure(name)[0].thresholds[0].limit_ for name in "ab"]
    [3.0, 300.0]
    >>> limits.measure("c", np.array([20.0]))[0].thresholds[0].limit_  # as large beside its unit as theirs
    30.0
    """
    levels = np.stack([_mean(np.abs(each)) for each in values])
    deviations = np.stack([np.sqrt(_mean((each - _mean(each)) ** 2)) for each in values])
    is_flat = ~(deviations > FLAT * levels)
    units, share = _units(deviations, levels, is_flat)
    relative = residuals / units[series]
    usual = _without_flat(relative, is_flat[series])
    own = {}
    if not scoring.new_score().is_pooled:
        for code in np.unique(series):
            mine = series == code
            if (np.sum(~np.isnan(residuals[mine]), axis=0) >= 2).all():
                own[names[code]] = Measure.of(scoring, residuals[mine], series[mine], scale=units[code])
    if len(own) == len(names) == 1:
        shared = own[names[0]].scaled(1 / units[0])
    else:
        with warnings.catch_warnings():
            # Said of each series already.
            warnings.filterwarnings("ignore" if own else "default", ".*calibration sizes are too few")
            shared = Measure.of(scoring, usual, series, contexts)
    if shared.score.is_pooled:
        units = _with_flat_units(units, is_flat, residuals, series, levels, shared.score.spread_)
    return Limits(
        shared=shared,
        own=own,
        units=dict(zip(names, units, strict=True)),
        resolutions=dict(resolutions),
        share=share,
        usual_unit=np.median(units, axis=0),
    )


def _mean(values):
    """Mean of each column; 0 where there is none."""
    seen = ~np.isnan(values)
    return np.sum(np.where(seen, values, 0.0), axis=0) / np.maximum(seen.sum(axis=0), 1)


def _units(deviations, levels, is_flat):
    """Unit of each series `(series, targets)`, and the usual one as a share of the level `(targets,)`."""
    shares = np.where(is_flat | (levels == 0), np.nan, deviations / np.where(levels > 0, levels, 1.0))
    known = ~np.isnan(shares).all(axis=0)
    # Where all series are flat nothing is known of any.
    share = np.ones(len(known))
    share[known] = np.nanmedian(shares[:, known], axis=0)
    stand_in = np.where(levels > 0, share * levels, 1.0)
    return np.where(is_flat, stand_in, deviations), share


def _without_flat(relative, is_flat):
    """Relative residuals without those of flat series, unless nothing would be left."""
    left = np.where(is_flat, np.nan, relative)
    whole = np.sum(~np.isnan(left).any(axis=1))
    return left if whole >= 2 else relative


def _with_flat_units(units, is_flat, residuals, series, levels, spread):
    """Units with those of flat series: what their own residuals are, or rounding."""
    units = units.copy()
    for code, target in np.argwhere(is_flat):
        own = np.sqrt(_mean(residuals[series == code, target, None] ** 2))[0]
        rounding = float(np.finfo(np.float32).eps) * max(levels[code, target], np.finfo(np.float32).tiny)
        units[code, target] = max(own, rounding) / spread[target]
    return units
