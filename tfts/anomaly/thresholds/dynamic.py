"""A limit that parts the unusual sizes from a quiet rest."""

import collections

import numpy as np

from tfts.anomaly.thresholds.base import Threshold, check_whole
from tfts.errors import SettingError


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

    _in_sizes = ("limit_", "latest_")

    def __init__(self, window=2100, every=70, pruning=0.13):
        self.window = check_whole("window", window, 2)
        self.every = check_whole("every", every, 1)
        if isinstance(pruning, bool) or not isinstance(pruning, int | float) or not 0 <= pruning < 1:
            raise SettingError(f"`pruning` must be a share in [0, 1). Received: pruning={pruning!r}.")
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
