"""Whether one forecast is really better than another, or only on these rows by luck.

Windows that start one row apart share nearly all of their rows, so their losses are no
independent draws: they are averaged over blocks, and blocks are compared, each weighed by the
values that it holds. And the lowest of many is low by luck too: what is said of it allows for
its having been chosen (`compare_all`).
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from tfts._blocks import (
    block_starts,
    blocks_drawn,
    checked_weights,
    drawn_differences,
    equal_blocks,
    largest_from_lowest,
    small_sample,
    weighed,
)
from tfts.errors import DataError, SettingError

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
        blocks: Blocks that were compared; of blocks that weigh differently, as many equal ones
            as tell as much.
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


def block_means(losses, length, weights=None):
    """Means of neighbouring losses; what is left over goes into the last block.

    Args:
        losses: `(windows,)` in the order of time.
        length: Int >= 1, windows in a block.
        weights: `(windows,)` of the windows in the means; `None` weighs all alike.

    Returns:
        Float64 `(blocks,)`.

    Raises:
        ValueError: If `losses` has other axes or is empty, `length` is no int >= 1, or the
            weights of a block are not positive.

    Example:

    >>> block_means([1.0, 3.0, 2.0, 4.0, 9.0], length=2).tolist()
    [2.0, 5.0]
    """
    losses = _losses("losses", losses, axes=1)
    _check_length("length", length)
    weights, starts = checked_weights(weights, len(losses)), block_starts(len(losses), length)
    return np.add.reduceat(losses * weights, starts) / checked_weights(
        np.add.reduceat(weights, starts), len(starts)
    )


def diebold_mariano(first, second, horizon=1, weights=None):
    """The Diebold-Mariano test of equal mean loss, with the small-sample correction.

    The difference of the losses may be autocorrelated up to `horizon - 1` places. Where
    the estimate of its variance is not positive, as can be for few losses, Bartlett's
    weights are used, which keep it so.

    Args:
        first: `(n,)` losses of one forecast, in the order of time.
        second: `(n,)` losses of the other at the same times.
        horizon: Int >= 1, steps ahead that were forecast, in steps from one loss to the next.
        weights: `(n,)`, what each loss weighs in the mean; `None` weighs all alike. The mean is
            a ratio of two sums then, and the correction that of as many equal losses as tell as
            much, `sum(weights)**2 / sum(weights**2)`.

    Returns:
        Tuple `(statistic, p_value)`: below 0, the first is better; the p-value is two-sided.
        Both are NaN of fewer than two losses, or if the losses never differ; of a difference
        that is always the same, the statistic is infinite.

    Raises:
        ValueError: If the losses are not two finite series of one length, the weights are not
            positive, or `horizon` is no int >= 1.

    Example:

    >>> statistic, p_value = diebold_mariano([1.0, 2.0, 3.0, 2.0], [2.0, 4.0, 4.0, 4.0])
    >>> round(statistic, 3), round(p_value, 4)
    (-5.196, 0.0138)

    Source: Diebold and Mariano, Comparing Predictive Accuracy, Journal of Business and
    Economic Statistics, 1995; Harvey, Leybourne and Newbold, Testing the equality of
    prediction mean squared errors, International Journal of Forecasting, 1997; the variance of a
    ratio: Cochran, Sampling Techniques, 3rd ed., 1977, section 2.11.
    """
    from scipy.stats import t

    differences = _losses("first", first, axes=1) - _same("second", second, np.shape(first))
    _check_length("horizon", horizon)
    number, weights = len(differences), checked_weights(weights, len(differences))
    differences, count = weighed(differences, weights), equal_blocks(weights)
    mean = differences.mean()
    lags = np.arange(1, min(horizon, number))
    away = differences - mean
    spread = away @ away / number
    if number < 2 or not differences.any():
        return np.nan, np.nan
    if spread <= (1e-12 * mean) ** 2:
        # The same difference each time, but for rounding: no chance is in it.
        return float(np.copysign(np.inf, mean)), 0.0
    shared = np.array([away[lag:] @ away[:-lag] / number for lag in lags])
    variance = spread + 2 * shared.sum()
    if variance <= 0:
        variance = spread + 2 * ((1 - lags / horizon) * shared).sum()
    statistic = mean / np.sqrt(variance / number) * np.sqrt(small_sample(count, horizon))
    return float(statistic), float(2 * t.sf(abs(statistic), count - 1))


def bootstrap_interval(first, second, block_length=1, *, weights=None, level=0.95, num_samples=2000, seed=0):
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
        weights: `(windows,)`, what each window weighs in the means; `None` weighs all alike.
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
        raise SettingError(f"`level` must be in (0, 1). Received: level={level!r}.")
    _check_length("block_length", block_length)
    _check_length("num_samples", num_samples)
    first, second = _losses("first", first, axes=2), _losses("second", second, axes=2)
    _same("second", second, (len(second), first.shape[1]))
    windows = first.shape[1]
    weights = checked_weights(weights, windows)
    first, second = weighed(first, weights), weighed(second, weights)
    length = min(int(block_length), windows)
    whole = blocks_drawn(weights, length)
    if whole < 2:
        return -np.inf, np.inf
    random = np.random.default_rng(seed)
    drawn = drawn_differences(first, second, num_samples, length, random)
    ends = np.array([(1 - level) / 2, (1 + level) / 2])
    middle = first.mean() - second.mean()
    wider = t.ppf(ends[1], whole - 1) / norm.ppf(ends[1]) * np.sqrt(whole / (whole - 1))
    low, high = middle + wider * (np.quantile(drawn, ends) - middle)
    return float(low), float(high)


def compare_losses(first, second, block_length=1, *, weights=None, level=0.95, num_samples=2000, seed=0):
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
        weights: `(windows,)`, what each window weighs in the means, such as the values in it;
            `None` weighs all alike.
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
    windows = np.shape(first)[-1] if np.ndim(first) else 0
    weights = checked_weights(weights, windows)
    low, high = bootstrap_interval(
        first,
        second,
        _drawn_length(block_length),
        weights=weights,
        level=level,
        num_samples=num_samples,
        seed=seed,
    )
    means = [_losses("losses", losses, axes=2).mean(axis=0) for losses in (first, second)]
    blocks = [block_means(mean, block_length, weights) for mean in means]
    of_block = np.add.reduceat(weights, block_starts(windows, block_length))
    statistic, p_value = diebold_mariano(*blocks, _horizon(block_length), of_block)
    difference = float((means[0] - means[1]) @ weights / weights.sum())
    return Difference(difference, low, high, statistic, p_value, round(equal_blocks(of_block)))


def compare_all(losses, block_length=1, *, weights=None, level=0.95, num_samples=2000, seed=0):
    """Compares the forecast of the lowest mean loss with each other one.

    The lowest of many was chosen by the very losses that it is compared by. So a p-value is
    the chance that of equal forecasts the lowest would be as far from any other one: from draws
    of as many equal forecasts, as correlated as these are, of which the lowest is chosen. The
    clearest difference is judged first; a forecast that is worse for sure is not among those
    of which the next draws are. Intervals are widened as much. So any of several equal
    forecasts is called worse as seldom as `level` says, however many they are; with two, all is
    as in `compare_losses`. No p-value of several is below `1 / (num_samples + 1)`.

    `python -m benchmarks.comparison_errors --runs 200` prints in how many of 100 comparisons (1,000
    windows of 20 rows one row apart) any difference of equal forecasts holds, each compared by
    itself as `compare_losses` does or all together; how often the one is found that has 0.85
    times the squared error of the others; and how often any of equal forecasts of 20 series
    holds where one series ended early:

    forecasts  any holds: one by one  any holds  found: one by one  found  any holds, a short series
            2                    6.5        6.5               58.5   58.5                        7.5
            5                   31.0        2.0               30.5   15.5                        2.5
           10                   63.0        3.5               17.5    4.5                        0.5
           20                   91.5        2.0               11.0    0.0                        0.0

    Args:
        losses: Dict from name to `(windows,)` or `(seeds, windows)` losses of one and the
            same windows.
        block_length: As in `compare_losses`.
        weights: As in `compare_losses`.
        level: Of the intervals, in (0, 1); 1 less it is the level of all tests together.
        num_samples: Int >= 1, draws of the bootstrap, and of the equal forecasts.
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

    Source: the choice of the lowest: White, A reality check for data snooping, Econometrica,
    2000; step by step with the largest statistic: Romano and Wolf, Stepwise multiple testing as
    formalized data snooping, Econometrica, 2005; until the best are left: Hansen, Lunde and
    Nason, The model confidence set, Econometrica, 2011.
    """
    if not losses:
        raise SettingError("`losses` must hold the losses of at least one forecast. Received: {}.")
    losses = {name: _losses("losses", of, axes=2) for name, of in losses.items()}
    windows = next(iter(losses.values())).shape[1]
    weights = checked_weights(weights, windows)
    for of in losses.values():
        _same("losses", of, (len(of), windows))
    lowest = min(losses, key=lambda name: losses[name].mean(axis=0) @ weights)
    options = {"weights": weights, "level": level, "num_samples": num_samples, "seed": seed}
    found = {
        name: compare_losses(losses[lowest], of, block_length, **options)
        for name, of in losses.items()
        if name != lowest
    }
    if len(found) > 1:
        blocks = np.stack([block_means(of.mean(axis=0), block_length, weights) for of in losses.values()])
        of_block = np.add.reduceat(weights, block_starts(windows, block_length))
        at = dict(zip(losses, weighed(blocks, of_block), strict=True))
        found = _all_together(found, at, lowest, equal_blocks(of_block), _horizon(block_length), options)
    rows = [
        {"first": lowest, "second": name, **one._asdict(), "holds": one.holds(1 - level)}
        for name, one in found.items()
    ]
    return pd.DataFrame(rows, columns=["first", "second", *Difference._fields, "holds"])


def compare_windows(sums, counts, times, series, block_length):
    """Compares forecasts of the same windows, of one or of many series, by their mean loss.

    Series are averaged at each origin, because what happens to all of them on a day is no
    news of each, and blocks of neighbouring origins are compared, each weighed by its points:
    an origin of one series tells less than one of twenty. Where origins are too few for that,
    as with one window for each series, the means of the series are compared.

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
    over, units = "windows", _units(times, counts)
    if len(units[1]) < 2 or blocks_drawn(_totals(counts, units), _drawn_length(block_length)) < 2:
        of_series = _units(series, counts)
        if len(of_series[1]) > 1:
            over, units, block_length = "series", of_series, 1
    weights = _totals(counts, units)
    if not len(weights):
        return compare_all({"": [0.0]}).assign(over="")
    losses = {name: _totals(np.asarray(total), units) / weights for name, total in sums.items()}
    length = max(block_length, -(-len(weights) // _MOST_BLOCKS))
    return compare_all(losses, length, weights=weights).assign(over=over)


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


def _totals(values, units):
    """Sums of `(..., windows)` over the windows of each unit."""
    order, starts = units
    return np.add.reduceat(values[..., order], starts, axis=-1) if len(starts) else np.zeros(0)


def _all_together(found, blocks, lowest, count, horizon, options):
    """The differences of several forecasts from the lowest, as sure as they are all together.

    Args:
        found: Dict from name to `Difference`, each by itself.
        blocks: Dict from name, `lowest` too, to its weighed losses of the blocks.
        lowest: Name.
        count: How many blocks of equal weight tell as much.
        horizon: Of the test of blocks.
        options: Dict of `level`, `num_samples` and `seed`.

    Returns:
        Dict like `found`, with other p-values and intervals.
    """
    from scipy.stats import t

    if count <= 1 or any(not np.isfinite(one.low) for one in found.values()):
        return found
    clear = {name: np.nan_to_num(abs(one.statistic), posinf=np.inf) for name, one in found.items()}
    order = sorted(found, key=clear.get)
    stacked = np.stack([blocks[name] for name in (lowest, *order)])
    highest = largest_from_lowest(stacked, count, horizon, options["num_samples"], options["seed"])
    level, p_value = options["level"], 0.0
    own = t.ppf((1 + level) / 2, count - 1)
    for i, name in reversed(list(enumerate(order))):
        one, wider = found[name], 1.0
        if i:
            p_value = max(p_value, (1 + np.sum(highest[i] >= clear[name])) / (1 + len(highest[i])))
            wider = max(np.quantile(highest[i], level) / own, 1.0)
        # The first two are one pair, of which the test by itself knows all.
        p_value = max(one.p_value, p_value)
        low, high = (one.difference + wider * (end - one.difference) for end in (one.low, one.high))
        found[name] = one._replace(low=float(low), high=float(high), p_value=float(p_value))
    return found


def _drawn_length(block_length):
    """Windows in a block of the bootstrap, where those of the test may be correlated."""
    return 1 if block_length == 1 else 2 * block_length


def _horizon(block_length):
    """Blocks of the test that may share rows, the first one counted."""
    return 1 if block_length == 1 else 2


def _losses(name, losses, axes):
    losses = np.asarray(losses, dtype=np.float64)
    if axes == 2 and losses.ndim == 1:
        losses = losses[None]
    if losses.ndim != axes or not losses.size:
        shape = "(windows,)" if axes == 1 else "(windows,) or (seeds, windows)"
        raise SettingError(f"`{name}` must be {shape}, and not empty. Received: shape {losses.shape}.")
    if not np.isfinite(losses).all():
        raise SettingError(
            f"`{name}` must be finite, because a mean over a gap says nothing, but "
            f"{(~np.isfinite(losses)).sum()} of its {losses.size} values are not."
        )
    return losses


def _same(name, losses, shape):
    losses = _losses(name, losses, axes=len(shape))
    if losses.shape != tuple(shape):
        raise DataError(
            f"Both losses must be of the same windows. Received: {shape[-1]} and {losses.shape[-1]} windows."
        )
    return losses


def _check_length(name, value):
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise SettingError(f"`{name}` must be an int >= 1. Received: {name}={value!r}.")
