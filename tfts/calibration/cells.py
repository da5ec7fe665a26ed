"""Errors by horizon step and part of the season, and the values that a target does not pass."""

import numpy as np

# Parts that a longer season is cut into.
_PARTS = 12
# The share of rows at a value that makes it a bound, and the share that may lie beyond.
_AT_BOUND, _BEYOND = 0.05, 0.001


def parts_of_season(phases, horizon, season_length):
    """The part of the season in which each row after some origins lies, `(origins, horizon)`.

    Args:
        phases: Int `(origins,)`, of each origin; `None` without a season.
        horizon: Int >= 1.
        season_length: Int >= 1.

    Example:

    >>> parts_of_season(np.array([22]), 4, 24).tolist(), num_parts(24), num_parts(7)
    ([[11, 0, 0, 1]], 12, 7)
    """
    if phases is None or season_length == 1:
        return np.zeros((1, horizon), dtype=np.int64)
    rows = (phases[:, None] + np.arange(1, horizon + 1)) % season_length
    return rows * num_parts(season_length) // season_length


def num_parts(season_length):
    """Parts that a season is cut into, see `parts_of_season`."""
    return min(_PARTS, season_length)


def ranked_in_cells(scores, parts, levels, enough, count):
    """Scores at levels by part of the season and horizon step, `(parts, horizon, targets, levels)`.

    A cell holds the scores of one part of the season and of steps from one power of two to the next, in units of
    their mean size at each step; where it has fewer than `enough`, those of the step in all parts stand in.

    Args:
        scores: Float `(origins, horizon, targets)`, NaN where nothing was observed.
        parts: Int `(origins, horizon)`, as from `parts_of_season`, or one row for all.
        levels: Ascending levels.
        enough: Int >= 1.
        count: Parts of the season, also those in which no origin was held out.

    Returns:
        Tuple of that array and of the medians of the same cells, `(parts, horizon, targets)`.

    Example:

    >>> scores = np.tile([1.0, 2.0, 3.0, 11.0, 12.0, 13.0], 2)[:, None, None]
    >>> parts = np.tile([0, 0, 0, 1, 1, 1], 2)[:, None]
    >>> ranked_in_cells(scores, parts, [0.5], 6, 2)[0].ravel().tolist()
    [2.0, 12.0]

    Source: Intervals by category: Vovk, Conditional validity of inductive conformal predictors, 2012.
    """
    scores = scores.astype(np.float64)
    horizon = scores.shape[1]
    whole, middle = ranked(scores, levels), np.nanmedian(scores, axis=0)
    found = np.repeat(whole[None], count, axis=0)
    medians = np.repeat(middle[None], count, axis=0)
    if count == 1:
        return found, medians
    size = np.nanmean(np.abs(scores), axis=0)
    size = np.where(size > 0, size, 1.0)
    relative = scores / size
    block = np.ceil(np.log2(np.arange(1, horizon + 1))).astype(np.int64)
    for i in range(block[-1] + 1):
        steps = np.flatnonzero(block == i)
        for part in range(count):
            own = relative[:, steps][parts[:, steps] == part]
            if len(own) and (~np.isnan(own)).sum(axis=0).min() >= enough:
                found[part, steps] = size[steps][..., None] * ranked(own, levels)
                medians[part, steps] = size[steps] * np.nanmedian(own, axis=0)
    return found, medians


def ranked(scores, levels):
    """Scores at levels, the level of the k-th of n being k / (n + 1): `(..., levels)`.

    Args:
        scores: Float `(n, ...)`, NaN where nothing was observed.
        levels: Floats between 0 and 1.

    Example:

    >>> ranked(np.arange(1.0, 10.0)[:, None, None], [0.1, 0.5]).tolist()
    [[[1.0, 5.0]]]
    """
    find = np.nanquantile if np.isnan(scores).any() else np.quantile
    return np.moveaxis(find(scores.astype(np.float64), levels, axis=0, method="weibull"), 0, -1)


def common_values(values):
    """The value that a twentieth of all rows have, for each target; NaN where there is none, or no other.

    Example:

    >>> common_values(np.array([[0.0, 1.0], [0.0, 1.0], [3.0, 1.0]])).tolist()
    [0.0, nan]
    """
    found = np.full(values.shape[1], np.nan)
    for target, column in enumerate(values.T):
        distinct, counts = np.unique(column[~np.isnan(column)], return_counts=True)
        # A constant column has no bound.
        if len(distinct) > 1 and counts.max() >= _AT_BOUND * counts.sum():
            found[target] = distinct[counts.argmax()]
    return found


def bounds_of(common, parts, count):
    """Values that each series does not pass, `(series + 1, 2, targets)`; the last row is for others.

    Where a twentieth of all rows have one value and no more than a thousandth lie below it, as where most
    sales are 0 or it is dark, it is the lower bound of each series of which the same is true; likewise above.

    Args:
        common: Float `(targets,)`, see `common_values`.
        parts: Iterable of pairs: values, float `(rows, targets)`, NaN where nothing was observed, and their
            series, int `(rows,)` from 0 to `count - 1`.
        count: Int >= 1, series.

    Example:

    >>> part = np.array([[0.0], [3.0]]), np.array([0, 0])
    >>> bounds_of(np.array([0.0]), [part, part], 1)[0].tolist()
    [[0.0], [inf]]
    """
    every, passing = np.zeros(count + 1), np.zeros((count + 1, 2, len(common)))
    for values, series in parts:
        every[:-1] += np.bincount(series, minlength=count)
        for target, value in enumerate(common):
            for side, beyond in enumerate((values[:, target] < value, values[:, target] > value)):
                passing[:-1, side, target] += np.bincount(series[beyond], minlength=count)
    every[-1], passing[-1] = every.sum(), passing.sum(axis=0)
    kept = passing <= _BEYOND * every[:, None, None]
    # What does not hold for all rows together is no bound of any series.
    kept &= kept[-1] & ~np.isnan(common)
    found = np.broadcast_to(np.array([-np.inf, np.inf])[:, None], kept.shape)
    return np.where(kept, common, found)
