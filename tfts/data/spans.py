"""Which rows of a panel's table belong to each of its series."""

import dataclasses
from typing import NamedTuple

import numpy as np

from tfts.errors import DataError


class Span(NamedTuple):
    """The rows of one series; see `Spans`."""

    start: int
    target_start: int
    observed_end: int
    end: int


@dataclasses.dataclass(frozen=True, eq=False)
class Spans:
    """The rows of each series of a panel, which stand one series after another.

    `for span in spans` gives the `Span` of each series, `spans[0]` that of the first;
    `spans[kept]` with a slice or an array chooses series.

    Args:
        start: First row of each series, int64 `(series,)`.
        target_start: First row that may be forecast. The rows before it are context only.
        observed_end: The row after the last one that is observed. Rows from here on hold
            nothing but `known_future` values: the future that is known.
        end: The row after the last one.

    Raises:
        ValueError: If the four do not have one number for each series.

    Example:

    >>> spans = Spans(start=[0, 5], target_start=[2, 5], observed_end=[4, 8], end=[5, 8])
    >>> [span.end - span.start for span in spans], spans[1].observed_end
    ([5, 3], 8)
    >>> spans.rows().tolist()
    [2, 3, 5, 6, 7]
    """

    start: np.ndarray
    target_start: np.ndarray
    observed_end: np.ndarray
    end: np.ndarray

    def __post_init__(self):
        for name in Span._fields:
            object.__setattr__(self, name, np.atleast_1d(np.asarray(getattr(self, name), dtype=np.int64)))
        shapes = [getattr(self, name).shape for name in Span._fields]
        if len(shapes[0]) != 1 or len(set(shapes)) != 1:
            raise DataError(
                f"Expected one row number for each series in {', '.join(Span._fields)}. Received: shapes "
                f"{', '.join(map(str, shapes))}."
            )

    def __len__(self):
        return len(self.start)

    def __iter__(self):
        return map(Span._make, self.tolist())

    def __getitem__(self, series):
        chosen = [getattr(self, name)[series] for name in Span._fields]
        return Spans(*chosen) if np.ndim(chosen[0]) else Span(*map(int, chosen))

    def __repr__(self):
        return f"Spans({', '.join(f'{name}={getattr(self, name).tolist()}' for name in Span._fields)})"

    def replace(self, **rows):
        """The same spans with other rows in place of those named.

        Example:

        >>> Spans(0, 0, 8, 8).replace(end=10).tolist()
        [[0, 0, 8, 10]]
        """
        return dataclasses.replace(self, **rows)

    def rows(self, first=None, stop=None):
        """Row numbers of all series joined, int64.

        Args:
            first: First row of each series, `(series,)`. `None` is `target_start`.
            stop: The row after the last one of each. `None` is `observed_end`.
        """
        first = self.target_start if first is None else first
        stop = self.observed_end if stop is None else stop
        lengths = np.maximum(stop - first, 0)
        before = np.cumsum(lengths) - lengths
        # In place: of many series each such array takes much memory.
        made = np.repeat(first - before, lengths)
        made += np.arange(len(made), dtype=np.int64)
        return made

    def tolist(self):
        """A list `[start, target_start, observed_end, end]` for each series."""
        return np.stack([getattr(self, name) for name in Span._fields], axis=1).tolist()
