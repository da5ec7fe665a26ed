"""What keeps a fault out of the limit that it is judged by."""


class HeldBack:
    """A threshold that learns from a flagged size only when it is clear what it was.

    A limit that learns at once from what it flags follows a fault up and loses it. Here a
    flagged size waits until `rows` rows have passed, or its event has become the new
    normal. Of an event that was over before, the smallest size alone is learnt: the single
    flags of a usual series all count, so that the stated rate of a limit holds, and a
    long fault counts once.

    Args:
        threshold: A fitted `Threshold`, which it takes over.
        rows: Int >= 1, rows that a flagged size waits.

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
        self.threshold, self.rows = threshold, rows
        # Pairs of the row at which a size is learnt, and the size; the last ones are of the open event.
        self._waiting, self._row, self._open = [], 0, 0

    @property
    def limit(self):
        """What the next size is compared with."""
        return self.threshold.limit_

    def take(self, size, is_flagged):
        """Takes the size of the next row, NaN where there is none."""
        if not self.threshold.learns:
            return
        self._row += 1
        while self._waiting and self._waiting[0][0] <= self._row:
            self.threshold.update(self._waiting.pop(0)[1])
            self._open = min(self._open, len(self._waiting))
        if size != size:
            return
        if is_flagged:
            self._waiting.append((self._row + self.rows, size))
            self._open += 1
        else:
            self.threshold.update(size)

    def settle(self, is_normal):
        """Says that the event is over, and whether its level is the normal one from now on."""
        if not self._open:
            return
        before, sizes = self._waiting[: -self._open], self._waiting[-self._open :]
        self._waiting, self._open = before, 0
        if is_normal:
            for _, size in sizes:
                self.threshold.update(size)
        else:
            self._waiting.append(min(sizes, key=lambda pair: pair[1]))

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
