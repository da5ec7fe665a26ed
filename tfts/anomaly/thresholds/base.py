"""What all thresholds share: fitted once, then asked row by row."""

import collections
import copy

import numpy as np

from tfts.errors import DataError, SettingError


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

    # What is learnt in the units of the sizes.
    _in_sizes = ("limit_",)

    @property
    def learns(self):
        """Whether the limit moves with the sizes that it is asked for."""
        return type(self)._see is not Threshold._see

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
            raise DataError(
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

    def scaled(self, factor):
        """A threshold for sizes that are `factor` times as large as those that it learnt from.

        Example:

        >>> from tfts.anomaly.thresholds import build_threshold
        >>> build_threshold("std", k=2.0).fit([1.0, 1.0], symmetric=True).scaled(10.0).limit_
        20.0
        """
        state = self.get_state()
        for name in self._in_sizes:
            value = state[name]
            state[name] = [v * factor for v in value] if isinstance(value, list) else value * factor
        return copy.deepcopy(self).set_state(state)

    def get_state(self):
        """Everything learnt, as plain data for a JSON file."""
        return {name: plain(value) for name, value in vars(self).items() if name.endswith("_")}

    def set_state(self, state):
        """Takes what `get_state` of a threshold with the same options gave.

        Returns:
            The threshold.
        """
        vars(self).update({name: plain(value) for name, value in state.items()})
        return self

    def _learn(self, sizes, symmetric):
        """Sets `limit_`, and `rate_` where it is known without counting."""

    def _see(self, size):
        """Learns from one size. A limit that never moves has nothing to do."""


def plain(value):
    if isinstance(value, np.generic):
        return value.item()
    # A list of its own, so that a state stays what it was.
    return list(value) if isinstance(value, list | collections.deque) else value


def check_positive(name, value, unit):
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 < value < np.inf:
        raise SettingError(f"`{name}` must be a number > 0 ({unit}). Received: {name}={value!r}.")
    return float(value)


def check_share(name, value):
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 < value < 1:
        raise SettingError(f"`{name}` must be a share in (0, 1). Received: {name}={value!r}.")
    return float(value)


def check_whole(name, value, least):
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise SettingError(f"`{name}` must be an int >= {least}. Received: {name}={value!r}.")
    return int(value)
