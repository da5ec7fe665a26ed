"""Windows of a panel whose holes stay holes: what a method sees in their place, and which are there."""

import weakref

import numpy as np

from tfts.data._arrays import aligned_empty

# The table of a panel, which is asked for once for each part of its windows.
_TABLES = weakref.WeakKeyDictionary()


class Neighbours:
    """The nearest observed value before and after each cell of some columns, row by row.

    A window may only know rows up to its origin. Whether the observed value after a cell lies before the
    origin depends on the window, so both neighbours are kept with their distances, and the window decides:
    between two of its observed rows a cell is on the straight line, after the last one it has that value,
    before the first one it has that value, and a column that was observed nowhere in it is 0.

    Args:
        panel: A `Panel` with `masked`.
        columns: Names of columns, of which holes are NaN in `panel.values`.
        dtype: Of the table.

    Attributes:
        lines: `(rows, 2 * columns)`: the value on the line between both neighbours, and the rows to the one before,
            infinite where there is none in the series.
        table: `(rows, 3 * columns)`: the values before and after, and the rows to the one after.
        longest: Int, rows to the farthest neighbour of any cell.

    Example:

    >>> import pandas as pd
    >>> from tfts.data.panel import Panel
    >>> frame = pd.DataFrame({"y": [1.0, np.nan, 3.0, np.nan]}, index=pd.date_range("2024-01-01", periods=4))
    >>> panel = Panel.from_frame(frame, missing="mask")
    >>> values, observed = Neighbours(panel, ("y",)).windows(np.array([0]), 4)
    >>> values[0, :, 0].tolist(), observed[0, :, 0].tolist()
    ([1.0, 2.0, 3.0, 3.0], [1.0, 0.0, 1.0, 0.0])
    >>> Neighbours(panel, ("y",)).windows(np.array([0]), 2)[0][0, :, 0].tolist()  # 3 is after its origin.
    [1.0, 1.0]
    """

    def __init__(self, panel, columns, dtype=None):
        count = self.columns = len(columns)
        dtype, rows = dtype or panel.values.dtype, len(panel.values)
        self.lines, self.table = (aligned_empty((rows, parts * count), dtype) for parts in (2, 3))
        self.longest = 0
        place = np.arange(len(panel.values))
        # One column after the other, because the rows of all neighbours would fill the memory.
        for i, column in enumerate(panel.indices(columns)):
            values = panel.values[:, column]
            for k, at in enumerate(neighbour_rows(values[:, None], panel.spans)):
                at = at[:, 0]
                far = np.where(at >= 0, np.abs(at - place), -1)
                self.longest = max(self.longest, int(far.max(initial=0)))
                self.table[:, k * count + i] = np.where(at >= 0, values[np.maximum(at, 0)], 0)
                (self.table[:, 2 * count :] if k else self.lines[:, count:])[:, i] = np.where(
                    far < 0, np.inf, far
                )
            self.lines[:, i] = np.nan_to_num(between_neighbours(values[:, None], panel.spans)[:, 0])

    def windows(self, first, length):
        """Values and what of them was observed, in the windows that begin at some rows.

        Args:
            first: Int `(windows,)`: rows.
            length: Int, rows of a window.

        Returns:
            Tuple of two arrays `(windows, length, columns)`; the second is float32, 1 where observed.
        """
        views = (
            np.lib.stride_tricks.sliding_window_view(t, length, axis=0) for t in (self.lines, self.table)
        )
        values, observed = filled_windows(*(view[first].transpose(0, 2, 1) for view in views), np)
        return values, observed.astype(np.float32)

    def latest(self, rows):
        """The latest observed value up to each row, and how many rows ago it was, two arrays `(rows, columns)`."""
        return self.table[rows, : self.columns], self.lines[rows, self.columns :]

    def earliest(self, rows):
        """The first observed value from each row on, and how many rows later it is, two arrays `(rows, columns)`."""
        return self.table[rows, self.columns : 2 * self.columns], self.table[rows, 2 * self.columns :]


def neighbours_of(panel, columns, dtype=None):
    """The `Neighbours` of a panel, made once for the columns that were last asked for.

    Args:
        panel: As of `Neighbours`.
        columns: As of `Neighbours`.
        dtype: As of `Neighbours`.

    Example:

    >>> import pandas as pd
    >>> from tfts.data.panel import Panel
    >>> frame = pd.DataFrame({"y": [1.0, np.nan, 3.0]}, index=pd.date_range("2024-01-01", periods=3))
    >>> panel = Panel.from_frame(frame, missing="mask")
    >>> neighbours_of(panel, ("y",)) is neighbours_of(panel, ("y",))
    True
    """
    key = tuple(columns), np.dtype(dtype or panel.values.dtype)
    found, table = _TABLES.get(panel, (None, None))
    if found != key:
        table = Neighbours(panel, *key)
        _TABLES[panel] = key, table
    return table


def filled_windows(lines, table, ops, begin=0, length=None):
    """Values and mask of windows, from the tables of `Neighbours`.

    Args:
        lines: Array or tensor `(windows, rows, 2 * columns)`.
        table: Array or tensor `(windows, rows, 3 * columns)`.
        ops: NumPy or TensorFlow, whose `where` is taken.
        begin: Int, the place in the window of the first of these rows.
        length: Int, rows of a window; `None` is as many as are given.

    Returns:
        Tuple of values and of bools, where they were observed, `(windows, rows, columns)` both.

    Example:

    >>> lines, table = np.array([[[6.0, 1.0]], [[5.0, 0.0]]]), np.array([[[5.0, 7.0, 1.0]], [[5.0, 5.0, 0.0]]])
    >>> values, observed = filled_windows(lines, table, np)
    >>> values.ravel().tolist(), observed.ravel().tolist()  # Neither neighbour is in a window of one row.
    ([0.0, 5.0], [False, True])
    """
    rows, columns = table.shape[1], table.shape[2] // 3
    line, back = lines[..., :columns], lines[..., columns:]
    before, after, ahead = (table[..., k * columns : (k + 1) * columns] for k in range(3))
    place = begin + np.arange(rows, dtype=np.float32)[:, None]
    has_before, has_after = back <= place, ahead <= (length or rows) - 1 - place
    values = ops.where(has_before, ops.where(has_after, line, before), ops.where(has_after, after, 0.0))
    return values, back == 0


def filled_tensors(lines, table, longest, rows):
    """As `filled_windows`, gathered in TensorFlow: only the ends of a window have neighbours outside of it.

    Args:
        lines: Tensor of all rows, see `Neighbours`.
        table: Tensor likewise.
        longest: As of `Neighbours`.
        rows: Int tensor `(windows, length)`.

    Returns:
        Tuple of values and mask, float32 `(windows, length, columns)` both.

    Example:

    >>> import pandas as pd
    >>> import tensorflow as tf
    >>> from tfts.data.panel import Panel
    >>> frame = pd.DataFrame({"y": [1.0, np.nan, 3.0, np.nan]}, index=pd.date_range("2024-01-01", periods=4))
    >>> near = Neighbours(Panel.from_frame(frame, missing="mask"), ("y",), np.float32)
    >>> values, _ = filled_tensors(*map(tf.constant, (near.lines, near.table)), near.longest, tf.constant([[0, 1, 2]]))
    >>> values[0, :, 0].numpy().tolist()
    [1.0, 2.0, 3.0]
    """
    import tensorflow as tf

    length, columns = rows.shape[1], lines.shape[1] // 2
    end = min(longest, length)
    parts = [(0, length)] if 2 * end >= length else [(0, end), (end, length - end), (length - end, length)]
    found = []
    for place, (begin, stop) in enumerate(parts):
        at = rows[:, begin:stop]
        near = tf.gather(lines, at)
        if place == 1:
            found.append((near[..., :columns], near[..., columns:] == 0))
        else:
            found.append(filled_windows(near, tf.gather(table, at), tf, begin, length))
    values, observed = (tf.concat(part, axis=1) for part in zip(*found, strict=True))
    return values, tf.cast(observed, tf.float32)


def neighbour_rows(values, spans):
    """Rows of the latest observed value up to each cell, and of the first one from it on; -1 where there is none.

    Args:
        values: Float `(rows, columns)`, NaN in holes.
        spans: `Spans` of the series: none looks into another one.

    Returns:
        Tuple of two int arrays like `values`.

    Example:

    >>> from tfts.data.spans import Spans
    >>> spans = Spans(*(np.array([at]) for at in (0, 0, 3, 3)))
    >>> before, after = neighbour_rows(np.array([[np.nan], [2.0], [np.nan]]), spans)
    >>> before.ravel().tolist(), after.ravel().tolist()
    ([-1, 1, 1], [1, 1, -1])
    """
    rows = np.arange(len(values))
    of = np.minimum(np.searchsorted(spans.end, rows, side="right"), len(spans.end) - 1)
    start, end = spans.start[of][:, None], spans.end[of][:, None]
    seen, place = ~np.isnan(values), rows[:, None]
    before = np.maximum.accumulate(np.where(seen, place, -1), axis=0)
    after = np.minimum.accumulate(np.where(seen, place, len(values))[::-1], axis=0)[::-1]
    return np.where(before >= start, before, -1), np.where(after < end, after, -1)


def between_neighbours(values, spans):
    """A copy of a table with holes on the line between their neighbours in the series, at its ends the nearest value.

    Args:
        values: Float `(rows, columns)`, NaN in holes.
        spans: `Spans` of the series.

    Returns:
        Array like `values`; NaN where a series has no value in a column.

    Example:

    >>> from tfts.data.spans import Spans
    >>> spans = Spans(*(np.array([at]) for at in (0, 0, 4, 4)))
    >>> between_neighbours(np.array([[np.nan], [2.0], [np.nan], [6.0]]), spans).ravel().tolist()
    [2.0, 2.0, 4.0, 6.0]
    """
    before, after = neighbour_rows(values, spans)
    left, right = np.where(before < 0, after, before), np.where(after < 0, before, after)
    low, high = (np.take_along_axis(values, np.maximum(at, 0), axis=0) for at in (left, right))
    share = (np.arange(len(values))[:, None] - left) / np.maximum(right - left, 1)
    filled = low + (high - low) * np.clip(share, 0, 1)
    return np.where(left < 0, np.nan, filled).astype(values.dtype)


def windows_to_learn(panel, spec, rows):
    """What a method learns from that takes no hole in a future: origins, and targets without holes.

    A window counts where at least half of the values of its future were observed; where there is none, all
    count. A hole in a future is put on the line between its neighbours among the panel's own rows.

    Args:
        panel: A `Panel`.
        spec: A `WindowSpec`.
        rows: Int `(windows,)`: origins, as from `spec.origins(panel)`.

    Returns:
        Tuple of some of `rows` and of `(rows of the table, targets)`.

    Example:

    >>> import pandas as pd
    >>> from tfts.data.panel import Panel
    >>> from tfts.data.windows import WindowSpec
    >>> frame = pd.DataFrame({"y": [1.0, 2.0, np.nan, 6.0]}, index=pd.date_range("2024-01-01", periods=4))
    >>> panel, spec = Panel.from_frame(frame, missing="mask"), WindowSpec(1, 2)
    >>> rows, targets = windows_to_learn(panel, spec, spec.origins(panel))
    >>> rows.tolist(), targets[:, 0].tolist()
    ([0, 1], [1.0, 2.0, 4.0, 6.0])
    """
    values = panel.values[:, panel.indices(spec.target_columns(panel))]
    if not panel.masked:
        return rows, values
    seen = np.concatenate([[0], np.cumsum((~np.isnan(values)).sum(axis=1))])
    kept = 2 * (seen[rows + spec.horizon + 1] - seen[rows + 1]) >= spec.horizon * values.shape[1]
    own = panel.spans.replace(end=panel.spans.observed_end)
    return rows[kept] if kept.any() else rows, between_neighbours(values, own)
