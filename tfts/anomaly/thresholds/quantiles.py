"""Limits that a stated share of usual rows exceeds, whatever their distribution."""

import bisect
import collections

import numpy as np

from tfts.anomaly.thresholds.base import Threshold, check_share, check_whole


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
        self.rate = check_share("rate", rate)
        self.window = int(np.ceil(4 / rate)) if window is None else check_whole("window", window, 2)
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
