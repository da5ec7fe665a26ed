"""Limits at so many deviations, and the user's own limit."""

import numpy as np

from tfts.anomaly.thresholds.base import Threshold, check_positive
from tfts.errors import SettingError

_MAD = 1.4826


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
        self.k = check_positive("k", k, "standard deviations")

    def _learn(self, sizes, symmetric):
        if symmetric:
            self.limit_ = float(self.k * np.sqrt(np.mean(sizes**2)))
        else:
            self.limit_ = float(sizes.mean() + self.k * sizes.std())


class MedianDeviations(Threshold):
    """Median plus `k` robust standard deviations, 1.4826 median absolute deviations each.

    Where more than half of the sizes are equal, the plain deviation takes the place of the
    robust one, which is zero then.

    Args:
        k: Float > 0.

    Raises:
        ValueError: If `k` is not positive.

    Example:

    >>> round(MedianDeviations(k=2.0).fit([0.0, 1.0, 2.0, 3.0, 40.0]).limit_, 4)  # 2 + 2 * 1.4826
    4.9652
    """

    def __init__(self, k=6.0):
        self.k = check_positive("k", k, "robust standard deviations")

    def _learn(self, sizes, symmetric):
        centre = 0.0 if symmetric else np.median(sizes)
        off = np.abs(sizes - centre)
        self.limit_ = float(centre + self.k * (_MAD * np.median(off) or np.sqrt(np.mean(off**2))))


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

    # The user's limit is what it is in any unit.
    _in_sizes = ()

    def __init__(self, limit):
        if isinstance(limit, bool) or not isinstance(limit, int | float | np.number) or not limit >= 0:
            raise SettingError(
                f"`limit` must be a number >= 0, in the units of the score. Received: limit={limit!r}."
            )
        self.limit = float(limit)

    def _learn(self, sizes, symmetric):
        self.limit_ = self.limit
