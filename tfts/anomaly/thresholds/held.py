"""What keeps a fault out of the limit that it is judged by."""

import numpy as np

# Of an event that is over so many sizes count, and up to so many limits.
_MANY = 10
_MOST = 1.5


class HeldBack:
    """A threshold that learns from a flagged size only when it is clear what it was.

    A limit that learns at once from what it flags follows a fault up and loses it; one that
    never learns from it flags more rows of a usual series than it states. Here a flagged
    size waits until `rows` rows have passed. Of an event that was over before, the ten
    smallest count, and up to 1.5 limits: a few rows a little above it are usual, and a
    fault must not hide the next one. Of an event that has become the new normal, sizes are
    learnt as they are from then on.

    Args:
        threshold: A fitted `Threshold`, which it takes over.
        rows: Int >= 0, rows that a flagged size waits; with 0 it is learnt from at once.

    Example:

    >>> from tfts.anomaly.thresholds import build_threshold
    >>> threshold = build_threshold("rolling_conformal", rate=0.25, window=3).fit([1.0, 2.0, 3.0])
    >>> held = HeldBack(threshold, rows=3)
    >>> limits = []
    >>> for _ in range(5):
    ...     limits.append(held.limit)
    ...     held.take(9.0, is_flagged=held.limit < 9.0)
    >>> limits
    [3.0, 3.0, 3.0, 3.0, 9.0]
    """

    def __init__(self, threshold, rows):
        self.threshold, self.rows, self._learns = threshold, rows, threshold.learns
        # The row at which a size is learnt, and the size; the last ones are of the open event.
        self._waiting, self._row, self._open = [], 0, 0

    @property
    def limit(self):
        """What the next size is compared with."""
        return self.threshold.limit_

    def take(self, size, is_flagged):
        """Takes the size of the next row, NaN where there is none."""
        if not self._learns:
            return
        self._row += 1
        while self._waiting and self._waiting[0][0] <= self._row:
            self.threshold.update(self._waiting.pop(0)[1])
            self._open = min(self._open, len(self._waiting))
        if size != size:
            return
        if is_flagged and self.rows:
            self._waiting.append((self._row + self.rows, size))
            self._open += 1
        else:
            self.threshold.update(size)

    def settle(self, normal=()):
        """Says that the event is over.

        Args:
            normal: Sizes of its last rows beside what is expected from now on, if its level
                is the normal one. They are learnt in place of those that were flagged, as
                often as these.
        """
        if not self._open:
            return
        before, mine = self._waiting[: -self._open], self._waiting[-self._open :]
        self._open = 0
        if len(normal):
            self._waiting = before
            for i in range(len(mine)):
                self.threshold.update(normal[i % len(normal)])
        else:
            most = _MOST * self.limit if self.limit > 0 else np.inf
            few = sorted(sorted(mine, key=lambda pair: pair[1])[:_MANY])
            self._waiting = before + [(due, min(size, most)) for due, size in few]

    def get_state(self):
        """Everything that it keeps, as plain data for a JSON file."""
        waiting = [[due - self._row, size] for due, size in self._waiting]
        return {"threshold": self.threshold.get_state(), "waiting": waiting, "open": self._open}

    def set_state(self, state):
        """Takes what `get_state` of one with the same options gave.

        Returns:
            It.
        """
        self.threshold.set_state(state["threshold"])
        self._waiting = [(rows, size) for rows, size in state["waiting"]]
        self._row, self._open = 0, state["open"]
        return self
