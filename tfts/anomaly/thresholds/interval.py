"""The interval that the forecasting model itself gives for a row."""

from tfts.anomaly.thresholds.base import Threshold, check_share
from tfts.errors import SettingError

# Levels that a network learns beside those of the edges: the shape of what lies between them.
_BETWEEN = (0.1, 0.25, 0.5, 0.75, 0.9)


class Interval(Threshold):
    """The edge of the interval that the model gives for each row, so that the limit goes with the row.

    A size is how far a value lies from the median of its forecast, in multiples of how far the edge on
    that side does: the limit is 1. The interval leaves out a share of `rate`, half of it on each side, or
    all on the one side that a detector with a `direction` looks at. Where the hour, the level or a
    promotion makes values vary more, the interval is wider, and a constant limit would flag nothing else.

    Args:
        rate: Float in (0, 0.5): rows to flag on a normal series. From the errors of `n` held-out rows
            comes a rate of `2 / (n + 1)` or more, with a direction `1 / (n + 1)`.

    Raises:
        ValueError: If `rate` is out of range.

    Example:

    >>> threshold = Interval(rate=0.02).fit([0.2, 0.4])
    >>> threshold.limit_, threshold.rate_, threshold.levels("both"), threshold.levels("up")
    (1.0, 0.02, (0.01, 0.5, 0.99), (0.5, 0.98))

    Source: Conformal anomaly detection by Laxhammar and Falkman, StreamKDD 2010, here with the
    intervals of `HeldOut`.
    """

    # Multiples are what they are in any unit.
    _in_sizes = ()

    def __init__(self, rate=1e-2):
        self.rate = check_share("rate", rate)
        if rate >= 0.5:
            raise SettingError(
                f"`rate` must be a share in (0, 0.5): an interval that holds less is none. Received: rate={rate!r}."
            )

    def levels(self, direction):
        """The median and the edges that count, ascending levels of quantiles."""
        half = self.rate / 2
        sides = {"both": (half, 0.5, 1 - half), "up": (0.5, 1 - self.rate), "down": (self.rate, 0.5)}
        return sides[direction]

    def levels_to_learn(self, direction):
        """Levels for a network: those of `levels` and of the shape between them, ascending."""
        return tuple(sorted({*self.levels(direction), *_BETWEEN}))

    def _learn(self, sizes, symmetric):
        self.limit_, self.rate_ = 1.0, self.rate
