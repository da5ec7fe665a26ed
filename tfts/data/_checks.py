"""What a table is checked for before it becomes a panel."""

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts.data.frames import check_series_column
from tfts.data.times import repeated
from tfts.errors import DataError, SettingError, UnknownNameError

MISSING = ("raise", "interpolate", "drop", "mask")
DUPLICATES = ("raise", "first", "last", "mean")
# Tables of forecasts have a column for each target beside these.
_TAKEN = ("model", "origin", "series", "time")


def check_options(frame, missing, limit, duplicates):
    check_choice("missing", missing, MISSING)
    check_choice("duplicates", duplicates, DUPLICATES)
    if limit is not None and (not isinstance(limit, int | np.integer) or limit < 1):
        raise SettingError(f"`limit` must be an int >= 1 (rows) or None. Received: limit={limit!r}.")
    if frame.empty:
        raise DataError(
            f"The table is empty ({len(frame)} rows, {frame.shape[1]} columns). Expected at least one row "
            "and one column of numbers."
        )
    twice = pd.Index(map(str, frame.columns)).duplicated()
    if twice.any():
        raise DataError(
            f"Column {str(frame.columns[twice][0])!r} stands twice in the table. Expected one column for "
            "each name."
        )


def roles_of(columns, targets, known_future, labels):
    """Names of the targets and of the columns known ahead, two tuples."""
    known_future = names_of("known_future", known_future, columns)
    if targets is None:
        targets = tuple(c for c in columns if c not in known_future and c not in labels)
    targets = names_of("targets", targets, columns)
    if not targets:
        raise DataError(
            "The table has no target column. Expected at least one column of numbers that is not known_future. "
            f"Received: columns={list(columns)}, known_future={list(known_future)}, labels={list(labels)}."
        )
    both = [c for c in targets if c in known_future]
    if both:
        raise DataError(
            f"Column {both[0]!r} is a target and known_future. Expected one of them: what is known ahead "
            "need not be forecast."
        )
    taken = [c for c in targets if c in _TAKEN]
    if taken:
        raise DataError(
            f"The target {taken[0]!r} has the name of another column of the tables of forecasts "
            f"({', '.join(_TAKEN)}). Rename it, or name the columns to forecast as `targets`."
        )
    return targets, known_future


def observed_ends_of(nothing, starts, ends):
    """The row after the last one of each series that holds something."""
    # The row after the last one so far that holds something, of any series.
    after = np.maximum.accumulate(np.where(nothing, 0, np.arange(1, len(nothing) + 1)))
    return np.maximum(starts, after[ends - 1])


def check_choice(name, value, choices):
    if value not in choices:
        raise SettingError(unknown(name, value, choices))


def new_names(static_frame, frame):
    """Names of the columns of a table of attributes, none of which the table has already."""
    names = tuple(map(str, static_frame.columns))
    for name in names:
        if name in map(str, frame.columns):
            raise DataError(
                f"Column {name!r} is in the table and in `static_frame`. Expected it in one of them; a column of the "
                "table is named in `static`."
            )
    return names


def names_of(kind, names, columns):
    """A tuple of existing column names, each once."""
    names = (names,) if isinstance(names, str) else tuple(map(str, names))
    for name in names:
        if name not in columns:
            raise UnknownNameError(unknown(f"column in {kind}:", name, columns))
    if len(set(names)) != len(names):
        raise SettingError(f"`{kind}` names a column twice. Received: {list(names)}.")
    return names


def series_codes(frame, series):
    if series is None:
        return np.zeros(len(frame), dtype=np.int64), [""]
    check_series_column(frame, series)
    codes, names = pd.factorize(frame[series], sort=True)
    return codes.astype(np.int64), [n.item() if isinstance(n, np.generic) else n for n in names]


def merge_duplicates(values, times, codes, duplicates, of_labels):
    """One row for each time; columns at the positions `of_labels` have no mean, so that the first counts."""
    rows = repeated(times, codes)
    if not len(rows):
        return values, times, codes
    first = np.ones(len(times), dtype=bool)
    first[rows] = False
    heads = np.flatnonzero(first)
    sizes = np.diff(heads, append=len(times))
    kept = values[heads + sizes - 1] if duplicates == "last" else values[heads]
    if duplicates == "mean":
        many = sizes > 1
        block = values[np.repeat(many, sizes)]
        inner = np.cumsum(sizes[many]) - sizes[many]
        # Missing values do not count in a mean; all missing stays missing.
        seen = ~np.isnan(block)
        total = np.add.reduceat(np.where(seen, block, 0), inner, axis=0)
        count = np.add.reduceat(seen, inner, axis=0, dtype=np.int64)
        first_of = kept[many][:, of_labels]
        kept[many] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        kept[np.ix_(many, of_labels)] = first_of
    return kept, times[heads], codes[heads]
