"""Columns of labels, which a panel holds as numbers: 1, 2, ... by their place among the labels, 0 for any other."""

import numpy as np
import pandas as pd

from tfts.errors import DataError


def is_text(column):
    """Whether a column holds labels though nobody says so: pandas categories, or text without any number.

    Args:
        column: `pandas.Series`.

    Example:

    >>> [is_text(pd.Series(values)) for values in (["sale", None], ["1", "n/a"], [1, 2])]
    [True, False, False]
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return True
    if column.dtype != object and not pd.api.types.is_string_dtype(column.dtype):
        return False
    found = column[column.notna()]
    # A single number tells that the words among them are mistakes.
    return (
        len(found) > 0
        and all(isinstance(value, str) for value in found)
        and bool(pd.to_numeric(found, errors="coerce").isna().all())
    )


def encode(column, labels=None):
    """The labels of a column as numbers.

    Args:
        column: `pandas.Series`.
        labels: Tuple of the labels that have a number; `None` takes those of the column.

    Returns:
        Tuple of the numbers, float64 `(rows,)`, NaN where there is no label, and of the labels.

    Example:

    >>> encode(pd.Series(["sale", None, "gift", "sale"]))
    (array([ 2., nan,  1.,  2.]), ('gift', 'sale'))
    >>> encode(pd.Series(["sale", "bonus"]), labels=("gift", "sale"))[0]
    array([2., 0.])
    """
    codes, found = pd.factorize(column)
    found = [_plain(label) for label in found]
    if labels is None:
        labels = tuple(sorted(set(found), key=lambda label: (type(label).__name__, label)))
    places = {label: place for place, label in enumerate(labels, start=1)}
    # The last one stands for -1, no label.
    numbers = np.array([*(places.get(label, 0) for label in found), np.nan], dtype=np.float64)
    return numbers[codes], labels


def decode(numbers, labels):
    """The labels that numbers stand for, an object array; `None` for 0 and NaN.

    Example:

    >>> decode(np.array([2.0, 0.0, np.nan]), ("gift", "sale")).tolist()
    ['sale', None, None]
    """
    names = np.array([None, *labels], dtype=object)
    return names[np.nan_to_num(numbers).astype(np.int64)]


def moved(labels, onto):
    """From the numbers of some labels to those of others, float64 `(1 + labels,)`.

    Example:

    >>> moved(("gift", "sale"), onto=("sale",)).tolist()
    [0.0, 0.0, 1.0]
    """
    places = {label: place for place, label in enumerate(onto, start=1)}
    return np.array([0, *(places.get(label, 0) for label in labels)], dtype=np.float64)


def with_missing(numbers, labels, fixed):
    """Numbers in which no label is a label of its own, `None`, and the labels with it.

    Args:
        numbers: Float64 `(rows,)`, NaN where there is no label. They are changed.
        labels: Tuple of the labels.
        fixed: Whether no label may be added: `None` is then 0, if it is not among them.

    Example:

    >>> with_missing(np.array([1.0, np.nan]), ("sale",), fixed=False)
    (array([1., 2.]), ('sale', None))
    """
    absent = np.isnan(numbers)
    if not absent.any():
        return numbers, labels
    if None not in labels and not fixed:
        labels = (*labels, None)
    numbers[absent] = labels.index(None) + 1 if None in labels else 0
    return numbers, labels


def constant_of(numbers, codes, count, column, where):
    """The one number of each series of a column that does not change in time.

    Args:
        numbers: Float64 `(rows,)`, NaN where there is none.
        codes: Int `(rows,)`: the series of each row.
        count: Int, how many series there are.
        column: Name of the column, for the message.
        where: Function that says where a row is.

    Returns:
        Float64 `(series,)`, NaN of a series without any.

    Raises:
        ValueError: If it changes within a series.

    Example:

    >>> constant_of(np.array([3.0, np.nan, 4.0]), np.array([0, 0, 1]), 2, "size", str).tolist()
    [3.0, 4.0]
    """
    grouped = pd.Series(numbers).groupby(codes)
    first = grouped.first().reindex(range(count)).to_numpy(dtype=np.float64)
    other = np.flatnonzero(~np.isnan(numbers) & (numbers != first[codes]))
    if len(other):
        row = other[0]
        raise DataError(
            f"The static column {column!r} changes within a series (first: {where(row)}). Expected one value for each "
            "series; a column that changes in time is `known_future`, or part of the past."
        )
    return first


def check_few(column, labels, count):
    """Refuses a column of labels that says nothing, because no label comes twice.

    Raises:
        ValueError: With the number of labels.

    Example:

    >>> check_few("note", ("a", "b", "c"), count=3)
    Traceback (most recent call last):
        ...
    tfts.errors.DataError: Column 'note' has as many labels as rows, 3 (first: 'a'), so nothing can be learnt...
    """
    if len(labels) == count > 1:
        raise DataError(
            f"Column {column!r} has as many labels as rows, {count} (first: {labels[0]!r}), so nothing can be learnt "
            "from one. Expected labels that come again. Leave the column out, or name it as `time` or `series` if it "
            "is that."
        )


def _plain(label):
    """A label that a JSON file can hold."""
    label = label.item() if isinstance(label, np.generic) else label
    return label if isinstance(label, str | int | float | bool) else str(label)
