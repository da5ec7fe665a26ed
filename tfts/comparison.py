"""Whether one forecast is really better than another, or only on these rows by luck.

Windows that start one row apart share nearly all of their rows, so their losses are no
independent draws: they are averaged over blocks, and blocks are compared.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

# Blocks that are drawn at once, so that many windows do not fill the memory.
_DRAWN = 2**20
# Blocks that many windows are compared in: more would cost time and tell little more.
_MOST_BLOCKS = 1000


class Difference(NamedTuple):
    """How far one mean loss is from another, and how sure that is.

    Attributes:
        difference: Mean loss of the first less that of the second; below 0, the first is better.
        low: Lower end of the bootstrap interval of the difference.
        high: Its upper end.
        statistic: Of the Diebold-Mariano test, with the small-sample correction.
        p_value: Its two-sided p-value; NaN of fewer than two blocks.
        blocks: Blocks that were compared.
    """

    difference: float
    low: float
    high: float
    statistic: float
    p_value: float
    blocks: int

    def holds(self, level=0.05):
        """Whether both the test and the interval say that there is a difference."""
        return bool(self.p_value < level and (self.low > 0 or self.high < 0))


def block_means(losses, length):
    """Means of neighbouring losses; what is left over goes into the last block.

    Args:
        losses: `(windows,)` in the order of time.
        length: Int >= 1, windows in a block.

    Returns:
        Float64 `(blocks,)`.

    Raises:
        ValueError: If `losses` has other axes or is empty, or `length` is no int >= 1.

    Example:

    >>> block_means([1.0, 3.0, 2.0, 4.0, 9.0], length=2).tolist()
    [2.0, 5.0]
    """
    losses = _losses("losses", losses, axes=1)
    _check_length("length", length)
    starts = np.arange(0, max(len(losses) // length, 1) * length, length)
    return np.add.reduceat(losses, starts) / np.diff(starts, append=len(losses))


def diebold_mariano(first, second, horizon=1):
    """The Diebold-Mariano test of equal mean loss, with the small-sample correction.

    The difference of the losses may be autocorrelated up to `horizon - 1` places. Where
    the estimate of its variance is not positive, as can be for few losses, Bartlett's
    weights are used, which keep it so.

    Args:
        first: `(n,)` losses of one forecast, in the order of time.
        second: `(n,)` losses of the other at the same times.
        horizon: Int >= 1, steps ahead that were forecast, in steps from one loss to the next.

    Returns:
        Tuple `(statistic, p_value)`: below 0, the first is better; the p-value is two-sided.
        Both are NaN of fewer than two losses, or if the losses never differ; of a difference
        that is always the same, the statistic is infinite.

    Raises:
        ValueError: If the losses are not two finite series of one length, or `horizon` is
            no int >= 1.

    Example:

    >>> statistic, p_value = diebold_mariano([1.0, 2.0, 3.0, 2.0], [2.0, 4.0, 4.0, 4.0])
    >>> round(statistic, 3), round(p_value, 4)
    (-5.196, 0.0138)

    Source: Diebold and Mariano, Comparing Predictive Accuracy, Journal of Business and
    Economic Statistics, 1995; Harvey, Leybourne and Newbold, Testing the equality of
    prediction mean squared errors, International Journal of Forecasting, 1997.
    """
    from scipy.stats import t

    differences = _losses("first", first, axes=1) - _same("second", second, np.shape(first))
    _check_length("horizon", horizon)
    count, mean = len(differences), differences.mean()
    lags = np.arange(1, min(horizon, count))
    away = differences - mean
    spread = away @ away / count
    if count < 2 or not differences.any():
        return np.nan, np.nan
    if spread <= (1e-12 * mean) ** 2:
        # The same difference each time, but for rounding: no chance is in it.
        return float(np.copysign(np.inf, mean)), 0.0
    shared = np.array([away[lag:] @ away[:-lag] / count for lag in lags])
    variance = spread + 2 * shared.sum()
    if variance <= 0:
        variance = spread + 2 * ((1 - lags / horizon) * shared).sum()
    steps = min(horizon, count)
    correction = (count + 1 - 2 * steps + steps * (steps - 1) / count) / count
    statistic = mean / np.sqrt(variance / count) * np.sqrt(max(correction, 0.0))
    return float(statistic), float(2 * t.sf(abs(statistic), count - 1))


def bootstrap_interval(first, second, block_length=1, *, level=0.95, num_samples=2000, seed=0):
    """A paired moving-block bootstrap interval of the difference of two mean losses.

    Blocks of neighbouring windows are drawn with replacement, the same ones for both, from
    the windows laid out in a circle. Of losses of several seeds, seeds are drawn too, for
    each of the two by itself, so that the luck of a seed widens the interval. The interval
    of the draws is too narrow where blocks are few, so it is expanded by as much as Student's
    interval of so many blocks is wider than the normal one.

    Args:
        first: `(windows,)` or `(seeds, windows)` losses of one forecast.
        second: The same of the other; it may have another number of seeds.
        block_length: Int >= 1, windows in a block.
        level: Share of such intervals that hold the true difference, in (0, 1).
        num_samples: Int >= 1, differences that are drawn.
        seed: Of the draws.

    Returns:
        Tuple `(low, high)` of first less second; infinite of fewer than two blocks.

    Raises:
        ValueError: If the losses are not finite, or of different windows, or an option is
            out of range.

    Example:

    >>> random = np.random.default_rng(0)
    >>> noise = random.normal(size=400)
    >>> low, high = bootstrap_interval(noise + 1, np.zeros(400), block_length=5)
    >>> round(low, 1), round(high, 1)
    (0.9, 1.1)

    Source: Kunsch, The jackknife and the bootstrap for general stationary observations,
    Annals of Statistics, 1989; in a circle: Politis and Romano, 1992; expanded: Hesterberg,
    What teachers should know about the bootstrap, The American Statistician, 2015.
    """
    from scipy.stats import norm, t

    if not 0 < level < 1:
        raise ValueError(f"`level` must be in (0, 1). Received: level={level!r}.")
    _check_length("block_length", block_length)
    _check_length("num_samples", num_samples)
    first, second = _losses("first", first, axes=2), _losses("second", second, axes=2)
    _same("second", second, (len(second), first.shape[1]))
    windows = first.shape[1]
    length = min(int(block_length), windows)
    whole = windows // length
    if whole < 2:
        return -np.inf, np.inf
    random = np.random.default_rng(seed)
    drawn = _drawn_differences(first, second, num_samples, length, random)
    ends = np.array([(1 - level) / 2, (1 + level) / 2])
    middle = first.mean() - second.mean()
    wider = t.ppf(ends[1], whole - 1) / norm.ppf(ends[1]) * np.sqrt(whole / (whole - 1))
    low, high = middle + wider * (np.quantile(drawn, ends) - middle)
    return float(low), float(high)


def compare_losses(first, second, block_length=1, *, level=0.95, num_samples=2000, seed=0):
    """Compares two forecasts by their losses at the same windows.

    For the test both are averaged over their seeds and over blocks of windows; neighbouring
    blocks may be correlated, because the last windows of one share rows with the first of the
    next, and the test allows for it. The bootstrap draws blocks of twice the length. With few
    blocks hardly any difference holds, as it should be: a month of test rows is one month.

    Args:
        first: `(windows,)` or `(seeds, windows)` losses, in the order of time.
        second: The same of the other; it may have another number of seeds.
        block_length: Int >= 1, windows in a block: the horizon where windows lie one row
            apart, 1 where they don't overlap.
        level: Of the interval, in (0, 1).
        num_samples: Int >= 1, draws of the bootstrap.
        seed: Of the draws.

    Returns:
        A `Difference`.

    Raises:
        ValueError: As in `bootstrap_interval`.

    Example:

    >>> random = np.random.default_rng(0)
    >>> plain, better = random.uniform(1, 3, 200), random.uniform(0, 2, 200)
    >>> found = compare_losses(better, plain, block_length=10)
    >>> found.blocks, round(found.difference), found.holds()
    (20, -1, True)
    """
    _check_length("block_length", block_length)
    drawn = 1 if block_length == 1 else 2 * block_length
    low, high = bootstrap_interval(first, second, drawn, level=level, num_samples=num_samples, seed=seed)
    means = [_losses("losses", losses, axes=2).mean(axis=0) for losses in (first, second)]
    blocks = [block_means(mean, block_length) for mean in means]
    statistic, p_value = diebold_mariano(*blocks, horizon=1 if block_length == 1 else 2)
    difference = float(means[0].mean() - means[1].mean())
    return Difference(difference, low, high, statistic, p_value, len(blocks[0]))


def compare_all(losses, block_length=1, *, level=0.95, num_samples=2000, seed=0):
    """Compares the forecast of the lowest mean loss with each other one.

    Args:
        losses: Dict from name to `(windows,)` or `(seeds, windows)` losses of one and the
            same windows.
        block_length: As in `compare_losses`.
        level: Of the intervals, in (0, 1); 1 less it is the level of the test.
        num_samples: Int >= 1, draws of the bootstrap.
        seed: Of the draws.

    Returns:
        DataFrame with a row for each other forecast and the columns `first` (the lowest),
        `second`, those of `Difference`, and `holds`.

    Raises:
        ValueError: As in `bootstrap_interval`, or if `losses` is empty.

    Example:

    >>> losses = {"drift": [2.0, 4.0, 4.0, 4.0], "ridge": [1.0, 2.0, 3.0, 2.0]}
    >>> compare_all(losses)[["first", "second", "difference", "holds"]]
       first second  difference  holds
    0  ridge  drift        -1.5   True
    """
    if not losses:
        raise ValueError("`losses` must hold the losses of at least one forecast. Received: {}.")
    lowest = min(losses, key=lambda name: np.mean(losses[name]))
    rows = []
    for name in losses:
        if name == lowest:
            continue
        found = compare_losses(
            losses[lowest],
            losses[name],
            block_length,
            level=level,
            num_samples=num_samples,
            seed=seed,
        )
        rows.append({"first": lowest, "second": name, **found._asdict(), "holds": found.holds(1 - level)})
    return pd.DataFrame(rows, columns=["first", "second", *Difference._fields, "holds"])


def compare_windows(sums, counts, times, series, block_length):
    """Compares forecasts of the same windows, of one or of many series, by their mean loss.

    Series are averaged at each origin, because what happens to all of them on a day is no
    news of each, and blocks of neighbouring origins are compared. Where origins are too few
    for that, as with one window for each series, the means of the series are compared.

    Args:
        sums: Dict from name to `(windows,)` or `(seeds, windows)`, the sum of the losses of each
            window over the points that were observed.
        counts: `(windows,)` ints, those points.
        times: `(windows,)`, the origin of each window.
        series: `(windows,)`, the name or number of its series.
        block_length: Int >= 1, origins in a block: those in a horizon.

    Returns:
        DataFrame as from `compare_all`, and the column `over`: `"windows"` or `"series"`.
        The difference is that of the means over all points. Empty where nothing was observed.

    Raises:
        ValueError: As in `compare_all`.

    Example:

    >>> random = np.random.default_rng(0)
    >>> plain = random.uniform(1, 3, 200)
    >>> sums = {"drift": plain, "ridge": plain / 2}
    >>> found = compare_windows(sums, np.ones(200, int), np.arange(200), ["load"] * 200, block_length=10)
    >>> found[["first", "second", "blocks", "holds", "over"]]
       first second  blocks  holds     over
    0  ridge  drift      20   True  windows
    """
    counts = np.asarray(counts, dtype=np.float64)
    over, (order, starts) = "windows", _units(times, counts)
    if len(starts) < 2 * (1 if block_length == 1 else 2 * block_length):
        of_series = _units(series, counts)
        if len(of_series[1]) > 1:
            over, (order, starts), block_length = "series", of_series, 1
    if not len(starts):
        return compare_all({"": [0.0]}).assign(over="")
    # Divided by the mean number of points, so that the mean is that over all points.
    mean_count = counts.sum() / len(starts)
    losses = {
        name: np.add.reduceat(total[..., order], starts, axis=-1) / mean_count for name, total in sums.items()
    }
    length = max(block_length, -(-len(starts) // _MOST_BLOCKS))
    return compare_all(losses, length).assign(over=over)


def marks(compared):
    """What each forecast may be called.

    Args:
        compared: As from `compare_all`.

    Returns:
        Dict from name: `"best"` of the lowest, where its difference to every other holds;
        otherwise `"tied"` of the lowest, and of those to which it does not hold. Empty where
        there was nothing to compare, or too few windows for it.

    Example:

    >>> plain = np.random.default_rng(0).uniform(1, 3, 200)
    >>> marks(compare_all({"drift": plain, "naive": plain + 1, "ridge": plain / 2}))
    {'ridge': 'best'}
    >>> marks(compare_all({"drift": plain[:1], "ridge": plain[:1] / 2}))
    {}
    """
    if _too_few(compared):
        return {}
    lowest = compared["first"].iloc[0]
    tied = compared.loc[~compared["holds"].astype(bool), "second"].tolist()
    return dict.fromkeys([lowest, *tied], "tied") if tied else {lowest: "best"}


def verdict(compared):
    """In one sentence, which forecast is better and whether that may be chance.

    Args:
        compared: As from `compare_all` or `compare_windows`.

    Returns:
        The sentence; an empty text where there was nothing to compare.

    Example:

    >>> plain = np.random.default_rng(0).uniform(1, 3, 40)
    >>> print(verdict(compare_all({"drift": plain, "naive": plain + 1, "ridge": plain / 2})))
    ridge is better than each other method: every difference holds (5 %, 40 blocks of windows).
    >>> print(verdict(compare_all({"drift": plain, "naive": plain + 1, "ridge": plain[::-1] - 0.01})))
    That ridge is the lowest may be chance: its difference to drift does not hold (5 %, 40 blocks of windows).
    """
    if compared.empty:
        return ""
    over = compared["over"].iloc[0] if "over" in compared else "windows"
    lowest, count = compared["first"].iloc[0], compared["blocks"].max()
    of = "series" if over == "series" else "blocks of windows" if count > 1 else "block of windows"
    if _too_few(compared):
        return (
            f"There are too few test windows to tell whether {lowest} is better than the others or had luck "
            f"({count} {of})."
        )
    found = marks(compared)
    if found[lowest] == "best":
        others = "each other method" if len(compared) > 1 else compared["second"].iloc[0]
        holds = "every difference holds" if len(compared) > 1 else "the difference holds"
        return f"{lowest} is better than {others}: {holds} (5 %, {count} {of})."
    *most, last = [name for name in found if name != lowest]
    others = f"{', '.join(most)} and {last}" if most else last
    holds = "differences" if most else "difference"
    return (
        f"That {lowest} is the lowest may be chance: its {holds} to {others} {'do' if most else 'does'} not hold "
        f"(5 %, {count} {of})."
    )


def _too_few(compared):
    """Whether no interval could be drawn of what was compared, or there was nothing."""
    return compared.empty or not np.isfinite(compared["low"].to_numpy(dtype=float)).all()


def _units(keys, counts):
    """Windows that were observed in the order of their keys, and where in it each key begins."""
    observed = np.flatnonzero(counts > 0)
    codes, _ = pd.factorize(np.asarray(keys)[observed], sort=True)
    order = np.argsort(codes, kind="stable")
    return observed[order], np.flatnonzero(np.diff(codes[order], prepend=-1))


def _drawn_differences(first, second, num_samples, length, random):
    """Differences of mean losses over drawn blocks and drawn seeds, `(num_samples,)`."""
    windows = first.shape[1]
    of_block = [_circular_means(losses, length) for losses in (first, second)]
    blocks = -(-windows // length)
    at_once, drawn = max(1, _DRAWN // blocks), []
    for begin in range(0, num_samples, at_once):
        starts = random.integers(windows, size=(min(at_once, num_samples - begin), blocks))
        drawn.append([np.stack([mean[starts].mean(axis=1) for mean in means]) for means in of_block])
    of_seed = [np.concatenate(parts, axis=1) for parts in zip(*drawn, strict=True)]
    seeds = [random.integers(len(means), size=means.shape) for means in of_seed]
    chosen = [np.take_along_axis(*pair, axis=0).mean(axis=0) for pair in zip(of_seed, seeds, strict=True)]
    return chosen[0] - chosen[1]


def _circular_means(losses, length):
    """Means of the blocks that start at each window, the last ones going on with the first."""
    around = np.concatenate([losses, losses[:, : length - 1]], axis=1)
    totals = np.concatenate([np.zeros((len(losses), 1)), np.cumsum(around, axis=1)], axis=1)
    return (totals[:, length:] - totals[:, :-length]) / length


def _losses(name, losses, axes):
    losses = np.asarray(losses, dtype=np.float64)
    if axes == 2 and losses.ndim == 1:
        losses = losses[None]
    if losses.ndim != axes or not losses.size:
        shape = "(windows,)" if axes == 1 else "(windows,) or (seeds, windows)"
        raise ValueError(f"`{name}` must be {shape}, and not empty. Received: shape {losses.shape}.")
    if not np.isfinite(losses).all():
        raise ValueError(
            f"`{name}` must be finite, because a mean over a gap says nothing, but "
            f"{(~np.isfinite(losses)).sum()} of its {losses.size} values are not."
        )
    return losses


def _same(name, losses, shape):
    losses = _losses(name, losses, axes=len(shape))
    if losses.shape != tuple(shape):
        raise ValueError(
            f"Both losses must be of the same windows. Received: {shape[-1]} and {losses.shape[-1]} windows."
        )
    return losses


def _check_length(name, value):
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"`{name}` must be an int >= 1. Received: {name}={value!r}.")
