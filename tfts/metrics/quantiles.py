"""Scores of quantiles and of samples, as sums whose memory does not grow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tfts._messages import unknown
from tfts.errors import SettingError

# Quantiles may fall by so much of their size, by rounding, and count as level.
_ROUNDING = 1e-6


class QuantileCells(NamedTuple):
    """What a score of quantiles may use: float64 `(rows,)`, or `(rows, levels)` where it says so.

    Attributes:
        count: Values compared.
        size: Sum of their absolute values.
        scaled_count: Values whose scale is known, for sql.
        loss: Sums of pinball losses, `(rows, levels)`.
        scaled: The same over the scale, `(rows, levels)`.
        below: Values at or below each quantile, `(rows, levels)`.
        quantile: Sums of the quantiles, `(rows, levels)`.
        beyond: Sums of how far values lie below a quantile under the median, or above one over it,
            `(rows, levels)`.
        outside: Values that lie there, `(rows, levels)`.
    """

    count: np.ndarray
    size: np.ndarray
    scaled_count: np.ndarray
    loss: np.ndarray
    scaled: np.ndarray
    below: np.ndarray
    quantile: np.ndarray
    beyond: np.ndarray
    outside: np.ndarray


def _pinball(cells, levels, share):
    return cells.loss.mean(-1) / cells.count


def _sql(cells, levels, share):
    return 2 * cells.scaled.mean(-1) / cells.scaled_count


def _wql(cells, levels, share):
    return 2 * cells.loss.mean(-1) / np.where(cells.size > 0, cells.size, np.nan)


def _coverage(cells, levels, share):
    low, high = interval_of(levels, share)
    return 1 - (cells.outside[:, low] + cells.outside[:, high]) / cells.count


def _width(cells, levels, share):
    low, high = interval_of(levels, share)
    return (cells.quantile[:, high] - cells.quantile[:, low]) / cells.count


def _interval_score(cells, levels, share):
    low, high = interval_of(levels, share)
    beyond = cells.beyond[:, low] + cells.beyond[:, high]
    return _width(cells, levels, share) + 2 / (2 * levels[low]) * beyond / cells.count


# Each takes `QuantileCells`, the levels, and the share that an interval promises or `None`.
QUANTILE_METRICS = {
    "pinball": _pinball,
    "wql": _wql,
    "crps": lambda cells, levels, share: 2 * _pinball(cells, levels, share),
    "sql": _sql,
    "coverage": _coverage,
    "interval_score": _interval_score,
    "width": _width,
}
OF_AN_INTERVAL = ("coverage", "interval_score", "width")


def quantile_metric(name):
    """The name in `QUANTILE_METRICS` and the share of a metric; `None` where it is none.

    Example:

    >>> quantile_metric("coverage_0.8"), quantile_metric("wql"), quantile_metric("rmse")
    (('coverage', 0.8), ('wql', None), None)
    """
    if name in QUANTILE_METRICS:
        return name, None
    stated = re.fullmatch(r"(\w+)_(0?\.\d+)", str(name))
    if stated is None or stated[1] not in OF_AN_INTERVAL:
        return None
    return stated[1], float(stated[2])


def central_intervals(levels):
    """Places of the two levels of each central interval.

    Args:
        levels: Ascending levels.

    Returns:
        Dict from the share that an interval promises to hold to the places of its levels.

    Example:

    >>> central_intervals([0.05, 0.1, 0.5, 0.9])
    {0.8: (1, 3)}
    """
    levels = np.asarray(levels)
    return {
        round(float(levels[high] - low), 9): (at, int(high))
        for at, low in enumerate(levels)
        for high in np.flatnonzero(np.isclose(levels, 1 - low))
        if low < 0.5
    }


def interval_of(levels, share=None):
    """Places of the two levels of a central interval.

    Args:
        levels: Ascending levels.
        share: What it promises to hold; `None` takes the widest.

    Raises:
        ValueError: If the levels have no such interval.

    Example:

    >>> interval_of([0.1, 0.5, 0.9]), interval_of([0.05, 0.1, 0.9, 0.95], share=0.8)
    ((0, 2), (1, 2))
    """
    pairs = central_intervals(levels)
    if pairs and share is None:
        return pairs[max(pairs)]
    if share is None or round(share, 9) not in pairs:
        what = "A central interval" if share is None else f"The central interval of {share:g}"
        there = ", ".join(f"{one:g}" for one in sorted(pairs)) or "none"
        raise SettingError(
            f"{what} lies between two levels as far from 0.5. Received: levels {np.asarray(levels).tolist()}, whose "
            f"intervals are {there}."
        )
    return pairs[round(share, 9)]


class QuantileSums:
    """Adds up what the scores of quantiles need; `ErrorSums` holds one where it has `levels`.

    Args:
        horizon: Int, forecast rows in a window.
        num_targets: Int.
        levels: Ascending levels of the quantiles.

    Example:

    >>> sums = QuantileSums(horizon=1, num_targets=1, levels=(0.1, 0.9))
    >>> sums.add(np.array([[[5.0]]]), np.array([[[[4.0, 7.0]]]]), np.zeros((1, 1, 1)))
    >>> sums.score("coverage", "overall").tolist(), sums.score("width", "overall").tolist()
    ([1.0], [3.0])
    """

    def __init__(self, horizon: int, num_targets: int, levels: Sequence[float]) -> None:
        self.levels = tuple(levels)
        shape = horizon, num_targets
        self._sums = {
            name: np.zeros(shape if name in ("count", "size", "scaled_count") else (*shape, len(self.levels)))
            for name in QuantileCells._fields
        }
        self._pit = np.zeros((*shape, len(self.levels) + 1))

    def add(self, actual, quantiles, scale):
        """Adds windows.

        Args:
            actual: Float64 `(windows, horizon, targets)`, NaN where nothing was observed.
            quantiles: `(windows, horizon, targets, levels)`.
            scale: For sql, broadcasts to `actual`; 0 or NaN where there is none.
        """
        levels, observed = np.array(self.levels), ~np.isnan(actual)
        known = np.where(observed, actual, 0.0)
        scale = np.broadcast_to(np.nan_to_num(scale), known.shape)
        has_scale = observed & (scale > 0)
        error = np.where(observed[..., None], known[..., None] - quantiles, 0.0)
        loss = np.maximum(levels * error, (levels - 1) * error)
        beyond = np.where(levels < 0.5, -error, error)
        found = {
            "count": observed,
            "size": np.abs(known),
            "scaled_count": has_scale,
            "loss": loss,
            "scaled": loss / np.where(has_scale, scale, np.inf)[..., None],
            "below": observed[..., None] & (error <= 0),
            "quantile": np.where(observed[..., None], quantiles, 0.0),
            "beyond": np.maximum(beyond, 0.0),
            "outside": observed[..., None] & (beyond > 0),
        }
        for name, values in found.items():
            self._sums[name] += values.sum(axis=0)
        self._add_pit(error, observed, levels)

    def _add_pit(self, error, observed, levels):
        """Adds where values fell; one that equals quantiles is shared by the gaps beside them."""
        # The gap begins at the last quantile below the value and ends at the first above it.
        first, last = (error > 0).sum(-1), (error >= 0).sum(-1)
        edges = np.array([0.0, *levels, 1.0])
        low, high = edges[first], edges[last + 1]
        within = np.minimum(high[..., None], edges[1:]) - np.maximum(low[..., None], edges[:-1])
        share = np.maximum(within, 0.0) / (high - low)[..., None]
        self._pit += np.where(observed[..., None], share, 0.0).sum(axis=0)

    def cells(self, by):
        """`QuantileCells` with a row for each group."""
        return QuantileCells(*(grouped(self._sums[name], by) for name in QuantileCells._fields))

    def score(self, name, by):
        """A score of each group, `(rows,)`."""
        kind, share = quantile_metric(name)
        with np.errstate(divide="ignore", invalid="ignore"):
            return QUANTILE_METRICS[kind](self.cells(by), np.array(self.levels), share)

    def pit(self, by):
        """Values in each gap between neighbouring levels, `(rows, levels + 1)`."""
        return grouped(self._pit, by)


def grouped(sums, by):
    """Sums `(horizon, targets, ...)` of each group.

    Example:

    >>> grouped(np.array([[1.0, 2.0], [3.0, 4.0]]), "step").tolist()
    [3.0, 7.0]
    """
    if by == "overall":
        return sums.sum(axis=(0, 1))[None]
    if by == "target_step":
        moved = np.moveaxis(sums, 1, 0)
        return moved.reshape(-1, *sums.shape[2:])
    return sums.sum(axis=0 if by == "target" else 1)


def check_quantiles(quantiles, shape, levels):
    """Quantiles as an array, refused where they can't be scored.

    Raises:
        ValueError: If the shape is another, a value is not finite, or one is below that of the level before.

    Example:

    >>> check_quantiles([[[[1.0, 2.0]]]], (1, 1, 1), (0.1, 0.9)).shape
    (1, 1, 1, 2)
    """
    quantiles = np.asarray(quantiles, dtype=np.float64)
    if quantiles.shape != (*shape, len(levels)):
        raise SettingError(
            f"`quantiles` must have the shape {(*shape, len(levels))}: that of `actual` and the {len(levels)} levels. "
            f"Received: {quantiles.shape}."
        )
    if not np.isfinite(quantiles).all():
        raise SettingError(
            f"`quantiles` must be finite, but {(~np.isfinite(quantiles)).sum()} of {quantiles.size} are not."
        )
    falls = np.diff(quantiles, axis=-1) < -_ROUNDING * np.abs(quantiles[..., :-1])
    if falls.any():
        at = tuple(np.argwhere(falls)[0].tolist())
        raise SettingError(
            f"`quantiles` must not fall from level to level. Received: {quantiles[at]:g} at {levels[at[-1]]:g}, then "
            f"{quantiles[at[:-1]][at[-1] + 1]:g} at {levels[at[-1] + 1]:g} (index {at})."
        )
    return quantiles


def _score(name, actual, quantiles, levels, scale=0.0):
    from tfts.outputs.output import checked_levels

    actual, levels = np.asarray(actual, dtype=np.float64), checked_levels(levels, "levels")
    quantiles = check_quantiles(quantiles, actual.shape, levels)
    sums = QuantileSums(1, 1, levels)
    scale = np.broadcast_to(np.asarray(scale, dtype=np.float64), actual.shape).reshape(-1, 1, 1)
    sums.add(actual.reshape(-1, 1, 1), quantiles.reshape(-1, 1, 1, len(levels)), scale)
    return float(sums.score(name, "overall")[0])


def pinball(actual: npt.ArrayLike, quantiles: npt.ArrayLike, levels: Sequence[float]) -> float:
    """Mean pinball loss over points and levels.

    Args:
        actual: Array of any shape, in original units. NaN where nothing was observed.
        quantiles: Array with one more axis, the levels.
        levels: Ascending levels.

    Returns:
        Float >= 0 in the target's units. NaN if no point was observed.

    Raises:
        ValueError: If a shape differs, quantiles fall, or one is not finite.

    Example:

    >>> pinball([3.0], [[1.0, 5.0]], levels=[0.25, 0.75])
    0.5

    Source: Koenker and Bassett, Regression quantiles, Econometrica 46, 1978.
    """
    return _score("pinball", actual, quantiles, levels)


def wql(actual: npt.ArrayLike, quantiles: npt.ArrayLike, levels: Sequence[float]) -> float:
    """Weighted quantile loss: twice the pinball losses over the sum of abs(actual), mean of levels.

    Arguments and errors as for `pinball`.

    Returns:
        Float >= 0. NaN if every actual is 0 or none was observed.

    Example:

    >>> wql([4.0], [[2.0, 6.0]], levels=[0.25, 0.75])
    0.25
    """
    return _score("wql", actual, quantiles, levels)


def crps(actual: npt.ArrayLike, quantiles: npt.ArrayLike, levels: Sequence[float]) -> float:
    """The CRPS as quantiles tell it: twice the mean pinball loss over the levels.

    It is that of the distribution in the limit of many levels that lie evenly. Arguments and errors
    as for `pinball`; `crps_samples` is that of samples.

    Returns:
        Float >= 0 in the target's units. NaN if no point was observed.

    Example:

    >>> crps([3.0], [[1.0, 5.0]], levels=[0.25, 0.75])
    1.0

    Source: Laio and Tamea, Verification tools for probabilistic forecasts of continuous
    hydrological variables, Hydrology and Earth System Sciences 11, 2007.
    """
    return _score("crps", actual, quantiles, levels)


def crps_samples(actual: npt.ArrayLike, samples: npt.ArrayLike, estimator: str = "fair") -> float:
    """Mean CRPS of samples.

    Args:
        actual: Array of any shape. NaN where nothing was observed.
        samples: Array with one more axis in front, the samples; at least two for `"fair"`.
        estimator: `"fair"`, which no number of samples biases, or `"ecdf"`, of the distribution
            that the samples themselves are.

    Returns:
        Float in the target's units. NaN if no point was observed.

    Raises:
        ValueError: If a shape differs, a sample is not finite, or the estimator is unknown.

    Example:

    >>> crps_samples([2.0], [[1.0], [3.0]], estimator="ecdf"), crps_samples([2.0], [[1.0], [3.0]])
    (0.5, 0.0)

    Source: Gneiting and Raftery, Strictly proper scoring rules, Journal of the American
    Statistical Association 102, 2007; fair: Ferro, Fair scores for ensemble forecasts, Quarterly
    Journal of the Royal Meteorological Society 140, 2014; by sorting: Zamo and Naveau, Estimation of
    the CRPS with limited information, Mathematical Geosciences 50, 2018.
    """
    if estimator not in ("fair", "ecdf"):
        raise SettingError(unknown("estimator", estimator, ("fair", "ecdf")))
    actual, samples = np.asarray(actual, dtype=np.float64), np.asarray(samples, dtype=np.float64)
    fewest = 2 if estimator == "fair" else 1
    if samples.shape[1:] != actual.shape or len(samples) < fewest or not np.isfinite(samples).all():
        raise SettingError(
            f"`samples` must be finite, at least {fewest}, each of the shape of `actual`, {actual.shape}. Received: "
            f"{samples.shape}."
        )
    count = len(samples)
    weights = (2 * np.arange(1, count + 1) - count - 1).reshape(-1, *(1,) * actual.ndim)
    # Half the mean distance of two samples.
    apart = (weights * np.sort(samples, axis=0)).sum(axis=0) / count
    apart = apart / (count - 1 if estimator == "fair" else count)
    each = np.abs(samples - actual).mean(axis=0) - apart
    observed = ~np.isnan(actual)
    return float(each[observed].mean()) if observed.any() else float("nan")


def sql(
    actual: npt.ArrayLike, quantiles: npt.ArrayLike, levels: Sequence[float], scale: npt.ArrayLike
) -> float:
    """Scaled quantile loss: `crps` over the scale of MASE. Arguments as for `pinball`, and:

    Args:
        scale: Float, or an array that broadcasts to `actual`, from `mase_scale`.

    Returns:
        Float >= 0. NaN if no scale is above 0.

    Example:

    >>> sql([3.0], [[1.0, 5.0]], levels=[0.25, 0.75], scale=2.0)
    0.5
    """
    return _score("sql", actual, quantiles, levels, scale)


def coverage(
    actual: npt.ArrayLike, quantiles: npt.ArrayLike, levels: Sequence[float], share: float | None = None
) -> float:
    """Share of the points inside a central interval. Arguments and errors as for `pinball`, and:

    Args:
        share: What the interval promises, for example 0.8 between the levels 0.1 and 0.9; `None` is
            the widest that the levels have.

    Returns:
        Float in [0, 1]. NaN if no point was observed.

    Example:

    >>> coverage([3.0, 9.0], [[1.0, 5.0]] * 2, levels=[0.1, 0.9])
    0.5
    """
    return _score("coverage" if share is None else f"coverage_{share:g}", actual, quantiles, levels)


def interval_score(
    actual: npt.ArrayLike, quantiles: npt.ArrayLike, levels: Sequence[float], share: float | None = None
) -> float:
    """Mean width of a central interval, and what lies outside it times 2 / (1 - share).

    Arguments and errors as for `coverage`.

    Returns:
        Float >= 0 in the target's units. NaN if no point was observed.

    Example:

    >>> interval_score([3.0, 6.0], [[1.0, 5.0]] * 2, levels=[0.1, 0.9])
    9.0

    Source: Gneiting and Raftery, Strictly proper scoring rules, Journal of the American
    Statistical Association 102, 2007, section 6.2.
    """
    name = "interval_score" if share is None else f"interval_score_{share:g}"
    return _score(name, actual, quantiles, levels)
