"""Limits that a stated share of usual rows exceeds, whatever their distribution."""

import bisect
import collections
import warnings

import numpy as np

from tfts.anomaly.thresholds.base import Threshold, check_share, check_whole
from tfts.errors import SettingError

# Binary numbers don't hold rates such as 0.1.
_GUARD = 1e-9


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
        self.rate = check_share("rate", rate)

    def _learn(self, sizes, symmetric):
        above = max(int(self.rate * (len(sizes) + 1) + _GUARD), 1)
        self.limit_ = float(np.sort(sizes)[-above])
        # Of n sizes and a new one, each is equally likely to be among the largest.
        self.rate_ = above / (len(sizes) + 1)


class RollingConformal(Threshold):
    """The quantile of the latest sizes, so that a slow change moves the limit along.

    If the sizes in the window and the next one could stand in any order, the next one is
    above the limit with a probability of at most `rate`, whatever their distribution. The
    limit is the largest of the sizes, the second largest, ..., so that `n` of them can
    promise `1 / (n + 1)` and no less: calibration needs `1 / rate - 1` sizes. With fewer
    `fit` warns, and the largest is the limit until there are enough.

    It learns from every size that it is given. `HeldBack` keeps from it what was flagged
    until it is clear that it was usual.

    Args:
        rate: Float in (0, 1): rows to flag on a normal series.
        window: Int, the number of latest sizes. `None` takes `4 / rate`.

    Attributes:
        latest_: The sizes in the window.

    Raises:
        ValueError: If an option is out of range, or the window is too short for the rate.

    Source: Laxhammar and Falkman, Conformal prediction for distribution-independent
    anomaly detection in streaming vessel data, StreamKDD 2010.

    Example:

    >>> threshold = RollingConformal(rate=0.25, window=3).fit([5.0, 1.0, 2.0, 3.0])
    >>> [threshold.update(size) for size in (4.0, 0.0, 0.0, 0.0)]
    [3.0, 4.0, 4.0, 4.0]
    """

    _in_sizes = ("latest_",)

    def __init__(self, rate=2e-3, window=None):
        self.rate = check_share("rate", rate)
        self.window = int(np.ceil(4 / self.rate)) if window is None else check_whole("window", window, 2)
        if self.window < self._least:
            raise SettingError(
                f"`window` must hold at least 1 / rate - 1 = {self._least} sizes, or no size could be flagged at "
                f"that rate. Received: window={window}, rate={rate}."
            )

    @property
    def _least(self):
        """The fewest sizes of which one can be a limit: as many as make `rate * (n + 1)` 1."""
        return int(np.ceil((1 - _GUARD) / self.rate)) - 1

    def _learn(self, sizes, symmetric):
        if len(sizes) < self._least:
            warnings.warn(
                f"{len(sizes)} calibration sizes are too few for rate={self.rate:g}, which takes {self._least} of "
                f"them: until so many are known the largest is the limit, which 1 of {len(sizes) + 1} usual rows "
                f"exceeds. Calibrate on more rows, or choose a rate of {1 / (len(sizes) + 1):.2g} or more.",
                stacklevel=3,
            )
        self.set_state({"latest_": sizes[-self.window :].tolist()})

    def set_state(self, state):
        """Takes what `get_state` gave."""
        super().set_state(state)
        self.latest_ = collections.deque(self.latest_)
        self._sorted = sorted(self.latest_)
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
        above = max(int(self.rate * (len(self._sorted) + 1) + _GUARD), 1)
        self.limit_ = self._sorted[-above]
        # Of n sizes and a new one, each is equally likely to be among the largest.
        self.rate_ = above / (len(self._sorted) + 1)
