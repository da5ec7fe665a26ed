"""Which point of a space is worth trying next."""

import warnings

import numpy as np
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from threadpoolctl import threadpool_limits

# Points drawn anew when the one that came has been tried.
_ATTEMPTS = 200
# Candidates that expected improvement is computed for: far and near ones.
_FAR, _NEAR = 600, 600
# From so many standard deviations above the middle on, scores count as equally bad.
_WORST = 1.5


def spread_point(space, number, seed):
    """The `number`-th point of a sequence that fills the space evenly from its start.

    Args:
        space: `Space`.
        number: Int >= 0.
        seed: Int; shifts the sequence.

    Returns:
        A point, dict.

    Example:

    >>> from tfts.models import linear
    >>> from tfts.tuning.space import Space
    >>> space = Space({"learning_rate": {"min": 0.001, "max": 0.1, "log": True}}, linear)
    >>> [spread_point(space, number, seed=0)["learning_rate"] for number in range(3)]
    [0.003236, 0.05573, 0.009597]

    Source: Roberts, The Unreasonable Effectiveness of Quasirandom Sequences, 2018.
    """
    dimensions = space.dimensions
    ratio = 2.0
    for _ in range(30):
        ratio = (1 + ratio) ** (1 / (dimensions + 1))
    steps = ratio ** -np.arange(1, dimensions + 1)
    shift = np.random.default_rng(seed).random(dimensions)
    return space.at((shift + (number + 1) * steps) % 1)


def random_point(space, generator):
    """A point drawn evenly over the unit cube of the space.

    Example:

    >>> from tfts.models import linear
    >>> from tfts.tuning.space import Space
    >>> space = Space({"shared": {"values": [True, False]}}, linear)
    >>> random_point(space, np.random.default_rng(0))
    {'shared': 'False'}
    """
    return space.at(generator.random(space.dimensions))


def new_point(space, draw, tried):
    """A point that has not been tried, or `None` when the space is exhausted.

    Args:
        space: `Space`.
        draw: Function of the number of the attempt that gives a point.
        tried: Set of `space.key` of the settings that have been tried.

    Returns:
        A point, dict.

    Example:

    >>> from tfts.models import linear
    >>> from tfts.tuning.space import Space
    >>> space = Space({"shared": {"values": [True, False]}}, linear)
    >>> first = new_point(space, lambda attempt: {"shared": "True"}, tried=set())
    >>> tried = {space.key(space.settings(first))}
    >>> new_point(space, lambda attempt: {"shared": "True"}, tried)
    {'shared': 'False'}
    """
    for attempt in range(_ATTEMPTS):
        point = draw(attempt)
        if space.key(space.settings(point)) not in tried:
            return point
    # Few are left: look at them all.
    return next((p for p in space.grid() if space.key(space.settings(p)) not in tried), None)


def bayesian_point(space, points, scores, tried, seed, running=()):
    """The new point with the largest expected improvement under a Gaussian process.

    The process is fitted by scikit-learn to the logarithm of the scores, of which the bad
    ones count as equally bad, so that a diverged trial does not flatten the rest.

    Args:
        space: `Space`.
        points: Points that have a score, a list of dicts.
        scores: Their scores, the lower the better, all above 0 or not.
        tried: Set of `space.key` of settings that must not come again.
        seed: Int, or sequence of ints, of the draws.
        running: Points that are being tried: no improvement is expected near them.

    Returns:
        A point, dict, or `None` when the space is exhausted.

    Example:

    >>> from tfts.models import linear
    >>> from tfts.tuning.space import Space
    >>> space = Space({"learning_rate": {"min": 0.0, "max": 1.0}}, linear)
    >>> points = [{"learning_rate": rate} for rate in (0.0, 0.2, 0.4, 0.7, 1.0)]
    >>> scores = [1 + (point["learning_rate"] - 0.5) ** 2 for point in points]
    >>> point = bayesian_point(space, points, scores, set(), seed=0)
    >>> 0.45 < point["learning_rate"] < 0.55
    True

    Source: Jones, Schonlau and Welch, Efficient Global Optimization of Expensive
    Black-Box Functions, Journal of Global Optimization, 1998.
    """
    # Matrices this small take longer to share between threads than to work on.
    with threadpool_limits(1):
        return _most_promising(space, points, scores, tried, np.random.default_rng(seed), running)


def _most_promising(space, points, scores, tried, generator, running):
    places = np.stack([space.vector(point) for point in points])
    values = _levelled(np.asarray(scores, dtype=np.float64))
    process = _process(places.shape[1], int(generator.integers(2**31))).fit(places, values)
    if running:
        # What the process believes of them becomes data, without learning its kernel anew.
        busy = np.stack([space.vector(point) for point in running])
        process = GaussianProcessRegressor(process.kernel_, alpha=process.alpha, optimizer=None).fit(
            np.concatenate([places, busy]), np.concatenate([values, process.predict(busy)])
        )
    best = process.predict(places).min()
    order = np.argsort(values, kind="stable")[: max(3, len(values) // 5)]
    centres = [space.unit(points[i]) for i in order]
    fresh = {}
    for number in range(_FAR + _NEAR):
        if number < _FAR:
            unit = generator.random(space.dimensions)
        else:
            unit = _beside(centres[number % len(centres)], generator)
        point = space.at(unit)
        key = space.key(space.settings(point))
        if key not in tried:
            fresh[key] = point
    if not fresh:
        return new_point(space, lambda attempt: random_point(space, generator), tried)
    candidates = list(fresh.values())
    mean, deviation = process.predict(np.stack([space.vector(p) for p in candidates]), return_std=True)
    return candidates[int(np.argmax(_expected_improvement(mean, deviation, best)))]


def _beside(unit, generator):
    """A place in the unit cube that differs from another in one or a few directions."""
    changed = generator.random(len(unit)) < min(1.0, 2 / len(unit))
    changed[generator.integers(len(unit))] = True
    width = 10 ** generator.uniform(-2, -0.3)
    moved = np.where(changed, unit + width * generator.standard_normal(len(unit)), unit)
    # A word has no neighbours: half of the time it is drawn anew.
    drawn = changed & (generator.random(len(unit)) < 0.3)
    return np.clip(np.where(drawn, generator.random(len(unit)), moved), 0, 1)


def _levelled(scores):
    if scores.min() > 0:
        scores = np.log(scores)
    low, middle = scores.min(), np.median(scores)
    top = middle + _WORST * (middle - low) + 1e-12
    values = np.minimum(scores, top)
    spread = values.std()
    return (values - values.mean()) / (spread if spread > 0 else 1)


def _process(dimensions, seed):
    kernel = ConstantKernel(1.0, (0.05, 20)) * Matern(np.full(dimensions, 0.5), (0.05, 10), nu=2.5)
    kernel += WhiteKernel(1e-2, (1e-5, 0.5))
    return _Quiet(kernel, alpha=1e-8, n_restarts_optimizer=1, random_state=seed)


class _Quiet(GaussianProcessRegressor):
    """Does not warn of a length scale at its bound: a setting that does not matter has one."""

    def fit(self, X, y):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return super().fit(X, y)


def _expected_improvement(mean, deviation, best):
    gain = best - mean
    ratio = gain / np.maximum(deviation, 1e-12)
    return gain * norm.cdf(ratio) + deviation * norm.pdf(ratio)
