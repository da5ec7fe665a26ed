"""Losses in blocks: what a block weighs, and draws of blocks."""

import numpy as np

from tfts.errors import SettingError

# Blocks that are drawn at once, so that many windows do not fill the memory.
_DRAWN = 2**20
# Numbers of the draws of many forecasts that are held at once (16 MB).
_HELD = 2**21


def block_starts(windows, length):
    """Where each block begins."""
    return np.arange(0, max(windows // length, 1) * length, length)


def checked_weights(weights, count):
    """Weights as float64 `(count,)`, all 1 where there are none."""
    if weights is None:
        return np.ones(count)
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (count,) or not np.isfinite(weights).all() or not (weights > 0).all():
        raise SettingError(
            f"`weights` must be {count} finite numbers > 0, one for each window. Received: shape "
            f"{weights.shape}, lowest {weights.min(initial=np.inf):g}."
        )
    return weights


def equal_blocks(weights):
    """How many losses of equal weight tell as much as these do."""
    return float(weights.sum() ** 2 / (weights @ weights))


def weighed(losses, weights):
    """Losses `(..., windows)` whose plain mean is the weighted one, and varies as it does.

    A weighted mean is a ratio of two sums. To first order it is off by the mean of each loss
    less the ratio, times its weight.
    """
    mean = np.sum(losses * weights, axis=-1, keepdims=True) / weights.sum()
    return mean + (losses - mean) * (weights / weights.mean())


def blocks_drawn(weights, length):
    """How many blocks of equal weight tell as much as those that the bootstrap draws."""
    length = min(length, len(weights))
    sums = _circular_means(weights[None], length)[0]
    return len(weights) // length * sums.mean() ** 2 / np.mean(sums**2)


def _circular_means(losses, length):
    """Means of the blocks that start at each window, the last ones going on with the first."""
    around = np.concatenate([losses, losses[:, : length - 1]], axis=1)
    totals = np.concatenate([np.zeros((len(losses), 1)), np.cumsum(around, axis=1)], axis=1)
    return (totals[:, length:] - totals[:, :-length]) / length


def drawn_differences(first, second, num_samples, length, random):
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


def largest_from_lowest(blocks, count, horizon, num_samples, seed):
    """Draws of the largest statistic between the lowest and another of the first two, three, ... forecasts.

    Normal blocks are drawn with the covariance that the forecasts have, but one mean. Of them,
    the lowest is chosen and tested against each other one as `diebold_mariano` does, so that
    the draws know of the choice, and how rough the variances are.

    Args:
        blocks: `(forecasts, blocks)`.
        count: How many blocks of equal weight tell as much.
        horizon: 2 where neighbouring blocks may be correlated, else 1.
        num_samples: Int >= 1.
        seed: Of the draws.

    Returns:
        Float64 `(forecasts - 1, num_samples)`, which do not fall from one row to the next.
    """
    away = blocks - blocks.mean(axis=1, keepdims=True)
    number = max(2, round(count))
    if horizon > 1:
        # The products of sums of neighbours: Bartlett's weights, which keep variances positive.
        away = np.pad(away, ((0, 0), (1, 1)))
        away = away[:, 1:] + away[:, :-1]
    _, sizes, directions = np.linalg.svd(away.T, full_matrices=False)
    spread = sizes[:, None] * directions
    up_to = np.tri(len(blocks), dtype=bool)
    random, found = np.random.default_rng(seed), []
    at_once = max(1, _HELD // (len(blocks) * (number + len(blocks))))
    for begin in range(0, num_samples, at_once):
        size = min(at_once, num_samples - begin)
        drawn = spread.T @ random.normal(size=(size, len(spread), number))
        means = drawn.mean(axis=2)
        drawn -= means[:, :, None]
        variance = _of_pairs(drawn @ drawn.swapaxes(1, 2)) / number
        if horizon > 1:
            shared = _of_pairs(drawn[:, :, 1:] @ drawn[:, :, :-1].swapaxes(1, 2)) / number
            variance = np.where(variance + 2 * shared > 0, variance + 2 * shared, variance + shared)
        away, deviations = means[:, None] - means[:, :, None], np.sqrt(np.maximum(variance, 0))
        statistics = np.divide(away, deviations, out=np.zeros_like(away), where=deviations > 0)
        lowest = np.argmin(np.where(up_to, means[:, None], np.inf), axis=2)
        of_lowest = np.take_along_axis(statistics, lowest[:, :, None], axis=1)
        found.append(np.where(up_to, of_lowest, 0).max(axis=2)[:, 1:])
    largest = np.maximum.accumulate(np.concatenate(found), axis=1).T
    return largest * np.sqrt(number * small_sample(number, horizon))


def small_sample(count, horizon):
    """The correction of a squared Diebold-Mariano statistic for few losses."""
    steps = min(horizon, count)
    return max((count + 1 - 2 * steps + steps * (steps - 1) / count) / count, 0.0)


def _of_pairs(products):
    """Products of differences of pairs, from products `(draws, forecasts, forecasts)` of each."""
    own = np.diagonal(products, axis1=1, axis2=2)
    return own[:, None] + own[:, :, None] - products - products.swapaxes(1, 2)
