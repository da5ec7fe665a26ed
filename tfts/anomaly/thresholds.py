"""When a size is worth an alarm: limits calibrated on rows that no model was fitted on.

To add one: a subclass of `Threshold` here, and one line in `THRESHOLDS`.
"""

import bisect
import collections
import inspect

import numpy as np

from tfts._messages import unknown

_MAD = 1.4826


class Threshold:
    """The interface of all thresholds: fitted once, then asked row by row.

    `update` gives the limit for a size, from what was seen before it, and then learns
    from it, if the threshold learns at all. What is learnt are attributes that end in `_`.

    Attributes:
        limit_: Float, what the next size is compared with; above it is an alarm.
        rate_: Float, the share of rows of a normal series expected to be flagged.

    Example:

    >>> class Highest(Threshold):
    ...     def _learn(self, sizes, symmetric):
    ...         self.limit_ = float(sizes.max())
    >>> threshold = Highest().fit([1.0, 3.0, 2.0])
    >>> threshold.limit_, threshold.rate_
    (3.0, 0.25)
    """

    def fit(self, sizes, symmetric=False):
        """Learns from the sizes of calibration rows, in the order of time.

        Args:
            sizes: Float `(rows,)`; NaN is left out.
            symmetric: Whether a size is a distance from a centre, so that it stands for
                values on both sides of it.

        Returns:
            The threshold.

        Raises:
            ValueError: If there are too few sizes.
        """
        sizes = np.asarray(sizes, dtype=np.float64)
        sizes = sizes[~np.isnan(sizes)]
        if len(sizes) < 2:
            raise ValueError(
                f"A threshold needs at least 2 calibration sizes. Received: {len(sizes)}. Give more calibration rows."
            )
        self._learn(sizes, symmetric)
        if not hasattr(self, "rate_"):
            # The chance that the next of so many equals is above a limit that these were above.
            self.rate_ = (1 + int(np.sum(sizes > self.limit_))) / (1 + len(sizes))
        return self

    def update(self, size):
        """The limit for this size, float; NaN teaches nothing."""
        limit = self.limit_
        if size == size:
            self._see(size)
        return limit

    def apply(self, sizes):
        """`update` over an array `(rows,)`: the limits, float64 `(rows,)`."""
        return np.array([self.update(size) for size in np.asarray(sizes, dtype=np.float64).tolist()])

    def get_state(self):
        """Everything learnt, as plain data for a JSON file."""
        return {name: _plain(value) for name, value in vars(self).items() if name.endswith("_")}

    def set_state(self, state):
        """Takes what `get_state` of a threshold with the same options gave.

        Returns:
            The threshold.
        """
        vars(self).update({name: _plain(value) for name, value in state.items()})
        return self

    def _learn(self, sizes, symmetric):
        """Sets `limit_`, and `rate_` where it is known without counting."""

    def _see(self, size):
        """Learns from one size. A limit that never moves has nothing to do."""


class StandardDeviations(Threshold):
    """Mean plus `k` standard deviations; of a symmetric size, about its centre.

    Args:
        k: Float > 0.

    Raises:
        ValueError: If `k` is not positive.

    Example:

    >>> StandardDeviations(k=2.0).fit([1.0, 1.0, 1.0, 1.0], symmetric=True).limit_
    2.0
    """

    def __init__(self, k=3.0):
        self.k = _positive("k", k, "standard deviations")

    def _learn(self, sizes, symmetric):
        if symmetric:
            self.limit_ = float(self.k * np.sqrt(np.mean(sizes**2)))
        else:
            self.limit_ = float(sizes.mean() + self.k * sizes.std())


class MedianDeviations(Threshold):
    """Median plus `k` robust standard deviations, 1.4826 median absolute deviations each.

    Args:
        k: Float > 0.

    Raises:
        ValueError: If `k` is not positive.

    Example:

    >>> round(MedianDeviations(k=2.0).fit([0.0, 1.0, 2.0, 3.0, 40.0]).limit_, 4)  # 2 + 2 * 1.4826
    4.9652
    """

    def __init__(self, k=6.0):
        self.k = _positive("k", k, "robust standard deviations")

    def _learn(self, sizes, symmetric):
        centre = 0.0 if symmetric else np.median(sizes)
        self.limit_ = float(centre + self.k * _MAD * np.median(np.abs(sizes - centre)))


class Quantile(Threshold):
    """The size that a share of `rate` of calibration rows exceeds.

    Args:
        rate: Float in (0, 1): rows to flag on a normal series. With fewer than
            `1 / rate` calibration rows the largest size is the limit, and the rate is
            what they can promise.

    Raises:
        ValueError: If `rate` is not in (0, 1).

    Example:

    >>> Quantile(rate=0.25).fit([1.0, 2.0, 3.0]).limit_
    3.0
    """

    def __init__(self, rate=1e-3):
        self.rate = _share("rate", rate)

    def _learn(self, sizes, symmetric):
        above = max(int(self.rate * (len(sizes) + 1)), 1)
        self.limit_ = float(np.sort(sizes)[-above])
        # Of n sizes and a new one, each is equally likely to be among the largest.
        self.rate_ = above / (len(sizes) + 1)


class RollingConformal(Threshold):
    """The quantile of the latest sizes, so that a slow change moves the limit along.

    If the sizes in the window and the next one could stand in any order, the next one is
    flagged with a probability of at most `rate`, whatever their distribution. Flagged
    sizes enter the window as well: without them the rate would not hold. While the window
    holds fewer than `1 / rate - 1` sizes the promise can't be kept, and nothing is flagged.

    Args:
        rate: Float in (0, 1): rows to flag on a normal series.
        window: Int, the number of latest sizes. `None` takes `4 / rate`.

    Raises:
        ValueError: If an option is out of range, or the window is too short for the rate.

    Source: Laxhammar and Falkman, Conformal prediction for distribution-independent
    anomaly detection in streaming vessel data, StreamKDD 2010.

    Example:

    >>> threshold = RollingConformal(rate=0.25, window=3).fit([5.0, 1.0, 2.0, 3.0])
    >>> [threshold.update(size) for size in (4.0, 0.0, 0.0, 0.0)]
    [3.0, 4.0, 4.0, 4.0]
    """

    def __init__(self, rate=2e-3, window=None):
        self.rate = _share("rate", rate)
        self.window = int(np.ceil(4 / rate)) if window is None else _whole("window", window, 2)
        if self.window < round(1 / rate) - 1:
            raise ValueError(
                f"`window` must hold at least 1 / rate - 1 = {round(1 / rate) - 1} sizes, or no size could ever be "
                f"flagged. Received: window={window}, rate={rate}."
            )

    def _learn(self, sizes, symmetric):
        self.rate_ = self.rate
        self.set_state({"latest_": sizes[-self.window :].tolist()})

    def set_state(self, state):
        """Takes what `get_state` gave."""
        super().set_state(state)
        self.latest_ = collections.deque(self.latest_)
        self._sorted = sorted(self.latest_)
        self.rate_ = self.rate
        self._set_limit()
        return self

    def get_state(self):
        """The window; the rest follows from it."""
        return {"latest_": list(self.latest_)}

    def _see(self, size):
        if len(self.latest_) == self.window:
            del self._sorted[bisect.bisect_left(self._sorted, self.latest_.popleft())]
        self.latest_.append(size)
        bisect.insort(self._sorted, size)
        self._set_limit()

    def _set_limit(self):
        # A guard against rates such as 0.1, which binary numbers don't hold.
        above = int(self.rate * (len(self._sorted) + 1) + 1e-9)
        self.limit_ = self._sorted[-above] if above else float("inf")


class PeaksOverThreshold(Threshold):
    """A limit beyond the largest sizes, from the tail of a generalised Pareto distribution.

    Sizes above a high quantile are peaks; the distribution that excesses over a high
    level tend to is fitted to them, and tells the level that a share of `risk` exceeds.
    With `streaming` each new peak is learnt from (SPOT). A flagged one counts, up to twice
    the excess of the limit: left out, as in the paper, the tail would lack its end and about
    twice the nominal share of a normal series would be flagged.

    Args:
        risk: Float in (0, 1): rows to flag on a normal series.
        level: Float in (0, 1): the share of sizes below the peaks.
        streaming: Whether it goes on learning.
        peaks: Int >= 2: the latest peaks that are kept.

    Attributes:
        base_: Float, the level above which a size is a peak.
        excesses_: List of float, the peaks less `base_`.
        rows_: Int, sizes seen.

    Raises:
        ValueError: If an option is out of range.

    Source: Siffer, Fouque, Termier and Largouet, Anomaly detection in streams with
    extreme value theory, KDD 2017.

    Example:

    >>> sizes = np.random.default_rng(0).exponential(size=20_000)
    >>> limit = PeaksOverThreshold(risk=1e-3).fit(sizes).limit_
    >>> bool(abs(limit - np.log(1000)) < 0.4)
    True
    """

    def __init__(self, risk=1e-3, level=0.98, streaming=True, peaks=1000):
        self.risk = _share("risk", risk)
        self.level = _share("level", level)
        self.streaming = streaming
        self.peaks = _whole("peaks", peaks, 2)
        if risk >= 1 - level:
            raise ValueError(
                f"`risk` must be below 1 - level, the share of peaks. Received: risk={risk}, level={level}."
            )

    def _learn(self, sizes, symmetric):
        self.rate_ = self.risk
        self.base_ = float(np.quantile(sizes, self.level))
        self.excesses_ = (sizes[sizes > self.base_] - self.base_).tolist()
        self.rows_ = len(sizes)
        self.peaks_seen_ = len(self.excesses_)
        self._set_limit()

    def _see(self, size):
        if not self.streaming:
            return
        self.rows_ += 1
        if size > self.base_:
            excess = size - self.base_
            # Of constant sizes the limit is the base, which says nothing of how high is high.
            self.excesses_.append(min(excess, 2 * (self.limit_ - self.base_) or excess))
            del self.excesses_[: -self.peaks]
            self.peaks_seen_ += 1
            self._set_limit()

    def _set_limit(self):
        if not self.excesses_:
            # All calibration sizes are equal: whatever is above them is news.
            self.limit_ = self.base_
            return
        shape, scale = _pareto(np.array(self.excesses_))
        ratio = self.risk * self.rows_ / self.peaks_seen_
        step = -scale * np.log(ratio) if abs(shape) < 1e-9 else scale / shape * (ratio**-shape - 1)
        self.limit_ = float(self.base_ + max(step, 0.0))


class Dynamic(Threshold):
    """The level that leaves the quietest rest when all sizes above it are taken away.

    Every `every` rows it looks back on the last `window` sizes and takes, from mean plus
    2.5 to 12 standard deviations, the level whose exceedances lower mean and deviation of
    the others most, for the fewest exceedances. Runs of exceedances that are hardly
    higher than the next lower ones are taken back. It is causal: a limit holds for the
    rows after those that it was made from. The sizes should be smoothed.

    Args:
        window: Int >= 2, sizes looked back on.
        every: Int >= 1, rows from one look to the next.
        pruning: Float in [0, 1): the least relative step down from one run's highest
            size to the next run's, for the higher runs to stay anomalies.

    Raises:
        ValueError: If an option is out of range.

    Source: Hundman et al., Detecting spacecraft anomalies using LSTMs and nonparametric
    dynamic thresholding, KDD 2018.

    Example:

    >>> quiet = np.tile([1.0, 1.2, 0.8, 1.1], 30)
    >>> threshold = Dynamic().fit(np.append(quiet, [9.0, 9.5]))
    >>> 1.2 < threshold.limit_ < 9.0
    True
    """

    def __init__(self, window=2100, every=70, pruning=0.13):
        self.window = _whole("window", window, 2)
        self.every = _whole("every", every, 1)
        if isinstance(pruning, bool) or not isinstance(pruning, int | float) or not 0 <= pruning < 1:
            raise ValueError(f"`pruning` must be a share in [0, 1). Received: pruning={pruning!r}.")
        self.pruning = pruning

    def _learn(self, sizes, symmetric):
        self.latest_ = collections.deque(sizes[-self.window :].tolist(), maxlen=self.window)
        self.since_ = 0
        self._set_limit()

    def set_state(self, state):
        """Takes what `get_state` gave."""
        super().set_state(state)
        self.latest_ = collections.deque(self.latest_, maxlen=self.window)
        return self

    def _see(self, size):
        self.latest_.append(size)
        self.since_ += 1
        if self.since_ >= self.every:
            self.since_ = 0
            self._set_limit()

    def _set_limit(self):
        sizes = np.array(self.latest_)
        mean, deviation = sizes.mean(), sizes.std()
        best, self.limit_ = 0.0, float(mean + 12 * deviation)
        if deviation == 0:
            return
        for factor in np.arange(2.5, 12.0, 0.5):
            level = mean + factor * deviation
            above = sizes > level
            rest = sizes[~above]
            if not above.any() or 2 * above.sum() >= len(sizes):
                continue
            runs = int(np.sum(np.diff(above.astype(int), prepend=0) == 1))
            gain = (mean - rest.mean()) / mean + (deviation - rest.std()) / deviation
            gain /= runs**2 + above.sum()
            if gain >= best:
                best, self.limit_ = gain, float(self._pruned(sizes, above, level))

    def _pruned(self, sizes, above, level):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], above.astype(int), [0]])))
        tops = np.sort([sizes[a:b].max() for a, b in edges.reshape(-1, 2)])[::-1]
        tops = np.append(tops, sizes[~above].max())
        steps = np.flatnonzero((tops[:-1] - tops[1:]) / tops[:-1] >= self.pruning)
        kept = steps[-1] + 1 if len(steps) else 0
        # What was taken back must not be flagged when it comes again.
        return max(level, tops[kept]) if kept < len(tops) - 1 else level


class Fixed(Threshold):
    """The user's own limit, in the units of the score.

    Args:
        limit: Float >= 0.

    Raises:
        ValueError: If the limit is negative or no number.

    Example:

    >>> Fixed(limit=20.0).fit([1.0, 25.0, 3.0]).rate_  # one of three was above it
    0.5
    """

    def __init__(self, limit):
        if isinstance(limit, bool) or not isinstance(limit, int | float | np.number) or not limit >= 0:
            raise ValueError(
                f"`limit` must be a number >= 0, in the units of the score. Received: limit={limit!r}."
            )
        self.limit = float(limit)

    def _learn(self, sizes, symmetric):
        self.limit_ = self.limit


THRESHOLDS = {
    "dynamic": Dynamic,
    "fixed": Fixed,
    "mad": MedianDeviations,
    "pot": PeaksOverThreshold,
    "quantile": Quantile,
    "rolling_conformal": RollingConformal,
    "std": StandardDeviations,
}


def build_threshold(name, **options):
    """An unfitted threshold.

    Args:
        name: A name of `THRESHOLDS`.
        **options: Options of that threshold.

    Returns:
        A `Threshold`.

    Raises:
        ValueError: If the name or an option is unknown, or an option's value is wrong.

    Example:

    >>> build_threshold("std", k=4.0).k
    4.0
    """
    if name not in THRESHOLDS:
        raise ValueError(unknown("threshold", name, THRESHOLDS))
    parameters = inspect.signature(THRESHOLDS[name]).parameters
    for option in options:
        if option not in parameters:
            raise ValueError(unknown(f"option of threshold {name!r}:", option, parameters))
    for parameter in parameters.values():
        if parameter.default is parameter.empty and parameter.name not in options:
            raise ValueError(f"The threshold {name!r} needs the option `{parameter.name}`.")
    return THRESHOLDS[name](**options)


def _pareto(excesses):
    """Shape and scale of the generalised Pareto distribution that the excesses are likeliest under.

    With t = shape / scale the likelihood has one maximum over the shape for each t, so the
    search is over t alone.
    """
    mean, largest = excesses.mean(), excesses.max()
    # Below -1 / largest the largest excess would be impossible.
    grid = np.concatenate([-np.geomspace(0.95, 1e-4, 24) / largest, np.geomspace(1e-4, 20, 40) / mean])
    for _ in range(2):
        logs = np.log1p(grid[:, None] * excesses).mean(axis=1)
        likelihood = -np.log(np.where(logs / grid > 0, logs / grid, np.inf)) - logs
        best = int(np.argmax(likelihood))
        around = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
        found = grid[best], logs[best]
        grid = np.linspace(*around, 24)
        grid = grid[grid != 0]
    rate, shape = found
    # A shape of -0.5 or less or 1 or more is a sign of too few excesses, not of a tail.
    if not -0.5 < shape < 1:
        return 0.0, mean
    return shape, shape / rate


def _plain(value):
    if isinstance(value, np.generic):
        return value.item()
    # A list of its own, so that a state stays what it was.
    return list(value) if isinstance(value, list | collections.deque) else value


def _positive(name, value, unit):
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 < value < np.inf:
        raise ValueError(f"`{name}` must be a number > 0 ({unit}). Received: {name}={value!r}.")
    return float(value)


def _share(name, value):
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 < value < 1:
        raise ValueError(f"`{name}` must be a share in (0, 1). Received: {name}={value!r}.")
    return float(value)


def _whole(name, value, least):
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"`{name}` must be an int >= {least}. Received: {name}={value!r}.")
    return int(value)
