"""How far a residual is from what calibration rows showed: one size for each target."""

import copy

import numpy as np

from tfts._messages import unknown
from tfts.errors import DataError, SettingError

SCORES = ("residual", "absolute", "squared", "scaled", "joint")
DIRECTIONS = ("both", "up", "down")

# A robust standard deviation: 1.4826 median absolute deviations of a normal distribution.
_MAD = 1.4826
# Rows that count as much as a context's own when its centre and spread are estimated.
_PRIOR_ROWS = 20
# The smallest spread, as a share of the target's own: below it lies rounding.
_FLOOR = 1e-4
# Sizes beyond it say nothing about how targets usually go together.
_CLIP = 4.0


class ResidualScore:
    """Turns residuals into sizes: the larger, the stranger, the same for every threshold.

    `"residual"` is the distance from the mean residual in original units, `"absolute"` the
    residual without its sign, `"squared"` its square; `"scaled"` is the distance from the
    median in robust standard deviations, of its own context where one is given; `"joint"`
    is the Mahalanobis distance of all scaled residuals of a row together, which knows how
    the targets go together, with the share that each target has in it.

    The effects of several contexts add up (centres) and multiply (spreads). A context seen
    in few rows is drawn towards all rows.

    Args:
        kind: One of `SCORES`.
        direction: `"both"`, or `"up"` or `"down"`, which leaves the other side at 0 or
            below.

    Attributes:
        centre_: Float64 `(targets,)`, original units.
        spread_: Float64 `(targets,)`, original units, none zero.
        contexts_: List with a dict for each context: value -> `(shift, factor)`, each a
            list with a number for each target.
        precision_: Float64 `(targets, targets)`, the inverse of the shrunk covariance of
            the scaled residuals; for `"joint"` alone.

    Raises:
        ValueError: If the kind or the direction is unknown.

    Example:

    >>> score = ResidualScore("scaled").fit(np.array([[1.0], [2.0], [3.0], [4.0], [5.0]]))
    >>> float(score.centre_[0]), float(score.spread_[0])
    (3.0, 1.4826)
    >>> sizes, _ = score.apply(np.array([[3.0], [7.4478]]))
    >>> sizes.ravel().round(3).tolist()
    [0.0, 3.0]

    Source: Ledoit and Wolf, A well-conditioned estimator for large-dimensional covariance
    matrices, Journal of Multivariate Analysis 88, 2004 (the joint score).
    """

    def __init__(self, kind="residual", direction="both"):
        if kind not in SCORES:
            raise SettingError(unknown("score", kind, SCORES))
        if direction not in DIRECTIONS:
            raise SettingError(unknown("direction", direction, DIRECTIONS))
        self.kind = kind
        self.direction = direction

    @property
    def is_symmetric(self):
        """Whether a size stands for residuals on both sides of a centre."""
        return self.kind in ("residual", "scaled") and self.direction == "both"

    @property
    def is_pooled(self):
        """Whether residuals are judged in units of their series, so that all share one measure."""
        return self.kind in ("scaled", "joint")

    def fit(self, residuals, contexts=None, scale=1.0):
        """Learns centres and spreads from residuals of rows that no model was fitted on.

        Args:
            residuals: Float `(rows, targets)`, all in one unit, NaN where there is none.
            contexts: Float `(rows, contexts)`: what the spread may depend on, such as
                the weekday or a promotion.
            scale: Float or `(targets,)`: a usual deviation of the target itself, in
                original units. A spread is never below a ten-thousandth of it.

        Returns:
            The score.

        Raises:
            ValueError: If a target has fewer than two residuals.
        """
        residuals = np.asarray(residuals, dtype=np.float64)
        counts = np.sum(~np.isnan(residuals), axis=0)
        if (counts < 2).any():
            raise DataError(
                f"Expected at least 2 calibration residuals of each target. Received: {counts.tolist()}."
            )
        centre = np.nanmean(residuals, axis=0) if self.kind == "residual" else np.nanmedian(residuals, axis=0)
        self.centre_ = np.zeros_like(centre) if self.kind in ("absolute", "squared") else centre
        floor = np.maximum(_FLOOR * np.broadcast_to(scale, centre.shape), np.finfo(np.float32).tiny)
        self.spread_ = np.maximum(_robust_spread(residuals), floor)
        self.contexts_ = []
        scaled = (residuals - self.centre_) / self.spread_
        if contexts is not None and self.kind in ("scaled", "joint"):
            for column in np.asarray(contexts, dtype=np.float64).T:
                effects = _effects(scaled, column)
                self.contexts_.append(effects)
                shift, factor = _look_up(effects, column, scaled.shape[1])
                scaled = (scaled - shift) / factor
        if self.kind == "joint":
            self.precision_ = _precision(scaled)
        return self

    def apply(self, residuals, contexts=None):
        """Sizes of residuals, and with `"joint"` what each target has to do with them.

        Args:
            residuals: Float `(rows, targets)`, original units.
            contexts: Float `(rows, contexts)`, as in `fit`.

        Returns:
            Tuple `(sizes, shares)`, each float64 `(rows, targets)`. A joint size is the
            same for all targets of a row, and its shares add up to 1; for the other kinds
            `shares` is `None`. A missing residual has a missing size.
        """
        residuals = np.asarray(residuals, dtype=np.float64)
        if self.kind in ("absolute", "squared"):
            sizes = np.abs(residuals) if self.kind == "absolute" else residuals**2
            if self.direction != "both":
                sizes = np.where((residuals > 0) == (self.direction == "up"), sizes, residuals * 0)
            return sizes, None
        sizes = residuals - self.centre_
        if self.kind != "residual":
            sizes = sizes / self.spread_
            if self.contexts_:
                for effects, column in zip(self.contexts_, np.asarray(contexts).T, strict=True):
                    shift, factor = _look_up(effects, column, sizes.shape[1])
                    sizes = (sizes - shift) / factor
        if self.kind == "joint":
            return self._joint(sizes)
        return (np.abs(sizes) if self.direction == "both" else sizes * self._sign), None

    @property
    def _sign(self):
        return -1.0 if self.direction == "down" else 1.0

    def _joint(self, scaled):
        if self.direction != "both":
            scaled = np.maximum(scaled * self._sign, 0) * self._sign
        absent = np.isnan(scaled)
        # A missing value says nothing: it stands at its centre.
        known = np.where(absent, 0.0, scaled)
        parts = np.maximum(known * (known @ self.precision_), 0)
        total = parts.sum(axis=1, keepdims=True)
        distance = np.sqrt(np.maximum(np.sum(known * (known @ self.precision_), axis=1), 0))
        sizes = np.where(absent, np.nan, distance[:, None])
        shares = np.divide(parts, total, out=np.full_like(parts, 1 / parts.shape[1]), where=total > 0)
        return sizes, shares

    def scaled(self, factor):
        """The same for residuals that are `factor` `(targets,)` times as large.

        Example:

        >>> ResidualScore("residual").fit([[1.0], [2.0], [6.0]]).scaled(np.array([10.0])).centre_.tolist()
        [30.0]
        """
        made = copy.copy(self)
        made.centre_, made.spread_ = self.centre_ * factor, self.spread_ * factor
        return made

    def factor_of_sizes(self, factor):
        """How many times larger the sizes of `scaled` are for residuals `factor` times as large."""
        if self.is_pooled:
            return np.ones_like(factor)
        return factor**2 if self.kind == "squared" else factor

    def get_state(self):
        """Everything learnt, as plain data for a JSON file."""
        state = {"kind": self.kind, "direction": self.direction}
        state |= {"centre": self.centre_.tolist(), "spread": self.spread_.tolist()}
        # JSON has no numbers as keys.
        state["contexts"] = [[[value, *pair] for value, pair in e.items()] for e in self.contexts_]
        state["precision"] = self.precision_.tolist() if self.kind == "joint" else None
        return state

    @classmethod
    def from_state(cls, state):
        """The score that `get_state` described."""
        score = cls(state["kind"], state["direction"])
        score.centre_, score.spread_ = np.array(state["centre"]), np.array(state["spread"])
        score.contexts_ = [{row[0]: (row[1], row[2]) for row in effects} for effects in state["contexts"]]
        if state["precision"] is not None:
            score.precision_ = np.array(state["precision"])
        return score


class RunningAverage:
    """The running average of residuals, in place of a residual or where it is further out.

    A small change that lasts is lost among single residuals, and clear in their average,
    whose own spread is smaller. The average is brought to the spread of the residuals, so
    that one score and one threshold serve both. Beside single residuals, none counts for
    more than three spreads in the average, so that a spike is one anomaly and not the
    start of a long one.

    Args:
        span: Int >= 2, rows: each residual weighs `2 / (span + 1)`, and those before it
            the rest.
        single: Whether single residuals stay where they are further out.

    Attributes:
        centre_, spread_: Float64 `(targets,)`, of the residuals.
        factor_: Float64 `(targets,)`, spread of the residuals by that of the averages.

    Raises:
        ValueError: If `span` is not an int >= 2.

    Example:

    >>> noise = np.random.default_rng(0).normal(size=(1009, 1))
    >>> average = RunningAverage(span=15).fit(noise, np.zeros(1009))
    >>> state, found = np.zeros(1), []
    >>> for _ in range(20):
    ...     state, larger = average.step(state, np.array([1.5]))
    ...     found.append(float(larger[0]))
    >>> found[0], bool(found[-1] > 4)
    (1.5, True)
    """

    def __init__(self, span, single=True):
        if isinstance(span, bool) or not isinstance(span, int | np.integer) or span < 2:
            raise SettingError(f"`smooth` must be an int >= 2 (rows) or None. Received: smooth={span!r}.")
        self.span = int(span)
        self.single = single

    def fit(self, residuals, series):
        """Learns from calibration residuals.

        Args:
            residuals: Float64 `(rows, targets)`, NaN where there is none.
            series: `(rows,)`: which series each row is of, in the order of time.

        Returns:
            The average.
        """
        tiny = np.finfo(np.float32).tiny
        self.centre_ = np.nanmedian(residuals, axis=0)
        self.spread_ = np.maximum(_robust_spread(residuals), tiny)
        self.factor_ = np.ones_like(self.spread_)
        averages = np.concatenate([self._run(residuals[series == i])[0] for i in np.unique(series)])
        self.factor_ = 1 / np.maximum(_robust_spread(averages), tiny)
        return self

    def apply(self, residuals, series):
        """`step` over the rows of each series, `(rows, targets)`."""
        found = np.empty_like(residuals)
        for i in np.unique(series):
            found[series == i] = self._run(residuals[series == i])[1]
        return found

    def step(self, average, residual):
        """Takes the next residual of one series.

        Args:
            average: Float64 `(targets,)`, as the last step gave it; zeros at first.
            residual: Float64 `(targets,)`.

        Returns:
            Tuple of the new average, and the residual or the average in its place.
        """
        off = (residual - self.centre_) / self.spread_
        seen = np.where(np.isnan(off), average, np.clip(off, -3.0, 3.0) if self.single else off)
        average = average + 2 / (self.span + 1) * (seen - average)
        wide = average * self.factor_
        taken = np.abs(wide) > np.abs(off) if self.single else ~np.isnan(off)
        return average, np.where(taken, self.centre_ + wide * self.spread_, residual)

    def scaled(self, factor):
        """The same for residuals that are `factor` `(targets,)` times as large."""
        made = copy.copy(self)
        made.centre_, made.spread_ = self.centre_ * factor, self.spread_ * factor
        return made

    def _run(self, residuals):
        average, averages, found = np.zeros(residuals.shape[1]), [], []
        for row in residuals:
            average, larger = self.step(average, row)
            averages.append(average)
            found.append(larger)
        return np.array(averages), np.array(found)

    def get_state(self):
        """Everything learnt, as plain data for a JSON file."""
        names = ("centre_", "spread_", "factor_")
        state = {"span": self.span, "single": self.single}
        return {**state, **{name: getattr(self, name).tolist() for name in names}}

    @classmethod
    def from_state(cls, state):
        """The average that `get_state` described."""
        average = cls(state["span"], state["single"])
        vars(average).update({k: np.array(v) for k, v in state.items() if k.endswith("_")})
        return average


def _robust_spread(residuals):
    """Robust standard deviation of each column; the plain one where half the rows are equal."""
    spread = _MAD * np.nanmedian(np.abs(residuals - np.nanmedian(residuals, axis=0)), axis=0)
    return np.where(spread > 0, spread, np.nanstd(residuals, axis=0))


def _effects(scaled, column):
    """Value of a context -> what it does to centre and spread, drawn towards nothing."""
    effects = {}
    for value in np.unique(column[~np.isnan(column)]):
        rows = scaled[column == value]
        count = np.sum(~np.isnan(rows), axis=0)
        share = count / (count + _PRIOR_ROWS)
        rows = np.where(count > 0, rows, 0.0)
        shift = np.nanmedian(rows, axis=0) * share
        squares = np.square(_robust_spread(rows)) if len(rows) > 2 else np.ones(scaled.shape[1])
        factor = np.sqrt(share * squares + 1 - share)
        effects[float(value)] = (shift.tolist(), np.maximum(factor, _FLOOR).tolist())
    return effects


def _look_up(effects, column, targets):
    """Shift and factor `(rows, targets)` of each row's value; a new value changes nothing."""
    neutral = ([0.0] * targets, [1.0] * targets)
    found = np.array([effects.get(value, neutral) for value in column.tolist()])
    return found.reshape(-1, 2, targets).transpose(1, 0, 2)


def _precision(scaled):
    from sklearn.covariance import LedoitWolf

    whole = scaled[~np.isnan(scaled).any(axis=1)]
    if len(whole) < 2:
        raise DataError(
            f"The joint score needs at least 2 calibration rows in which no target is missing. Received: {len(whole)}."
        )
    if not whole.any():
        # Of residuals that are all zero nothing follows on how targets go together.
        return np.eye(whole.shape[1])
    return LedoitWolf(assume_centered=True).fit(np.clip(whole, -_CLIP, _CLIP)).precision_
