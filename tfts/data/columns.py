"""Columns of a user's table as numbers, labels and attributes too."""

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts.data.frames import as_pandas, with_one_id
from tfts.data.labels import check_few, constant_of, encode, is_text, with_missing
from tfts.errors import DataError, SettingError, UnknownNameError

# The whole numbers up to here are all float64 numbers.
_EXACT = 2**53


class Labels:
    """Which columns of tables hold labels, and the labels of each.

    Args:
        columns: Dict from name to the column, a `pandas.Series`.
        targets: Names of the columns to forecast, or `None`.
        categories: Names of the columns that hold labels; `None` finds them, see `is_text`.
        labels: Dict from each of them to its labels, where no others count; `None` learns them.
        series: Name of the column of the series where that is an attribute, else `None`.

    Attributes:
        names: Names of the columns that hold labels, a list.
        labels: Dict from each to its labels, once it is encoded.

    Raises:
        ValueError: If a target would hold labels.
        KeyError: If a column does not exist.

    Example:

    >>> frame = pd.DataFrame({"y": [1.0, 2.0, 3.0], "promotion": ["gift", "sale", "gift"]})
    >>> found = Labels(dict(frame), ["y"])
    >>> found.encode("promotion", frame["promotion"]).tolist(), found.labels
    ([1.0, 2.0, 1.0], {'promotion': ('gift', 'sale')})
    """

    def __init__(self, columns, targets, categories=None, labels=None, series=None):
        targets = (targets,) if isinstance(targets, str) else tuple(map(str, targets or ()))
        self._fixed = None if labels is None else {name: tuple(found) for name, found in labels.items()}
        self.labels = {}
        if labels is not None:
            self.names = list(labels)
        elif categories is not None:
            self.names = [categories] if isinstance(categories, str) else list(map(str, categories))
        else:
            self.names = [c for c, column in columns.items() if c not in targets and is_text(column)]
        if series is not None and series not in self.names:
            self.names.append(series)
        for name in self.names:
            if name not in columns and name != series:
                raise UnknownNameError(unknown("column in categories:", name, columns))
            if name in targets:
                raise SettingError(
                    f"Column {name!r} is a target and is named in `categories`. Expected targets of numbers; of "
                    "classes tfts.regression has methods."
                )

    def encode(self, name, column):
        """The labels of a column as numbers, float64 `(rows,)`, NaN where there is none."""
        numbers, self.labels[name] = encode(column, None if self._fixed is None else self._fixed[name])
        return numbers

    def with_missing(self, name, numbers):
        """The numbers with one for no label, where that is among the labels of training or may be added."""
        numbers, self.labels[name] = with_missing(numbers, self.labels[name], self._fixed is not None)
        return numbers

    def check(self, name, count):
        """Refuses a column of `count` rows that has as many labels, unless they are given."""
        if self._fixed is None:
            check_few(name, self.labels[name], count)

    def attributes_of(self, frame, static, codes, names, where):
        """The attributes of series, float64 `(series, static)`.

        Args:
            frame: DataFrame.
            static: Names of its columns that have one value a series.
            codes: Int `(rows,)`: the series of each row.
            names: Names of the series.
            where: Function that says where a row is.

        Raises:
            ValueError: If one changes within a series, or is a number that a series lacks.
        """
        columns = [column for column in frame.columns if str(column) in static]
        columns.sort(key=lambda column: static.index(str(column)))
        numbers = numbers_of(frame, columns, where, self)
        found = np.empty((len(names), len(static)))
        for i, name in enumerate(static):
            found[:, i] = constant_of(numbers[:, i], codes, len(names), name, where)
            if name in self.names:
                found[:, i] = self.with_missing(name, found[:, i])
            absent = np.flatnonzero(np.isnan(found[:, i]))
            if len(absent):
                raise DataError(
                    f"The static column {name!r} has no value for {len(absent)} series (first: {names[absent[0]]!r}). "
                    "Expected a number for each."
                )
        return found


def rows_of_series(frame, ids, series, names):
    """The table of attributes with a row for each series, in order.

    Args:
        frame: DataFrame with a row for each series, named in its column `series`, in columns that do so
            together, or in its index.
        ids: Names of these columns, or of the one column.
        series: Name of the column that tells the series apart.
        names: Names of the series.

    Returns:
        DataFrame of as many rows.

    Raises:
        ValueError: If a series has no row, or two.

    Example:

    >>> rows_of_series(pd.DataFrame({"size": [3, 4]}, index=["a", "b"]), "shop", "shop", ["b"])["size"].tolist()
    [4]
    """
    if series is None:
        raise SettingError(
            "`static_frame` has a row for each series, so the table needs the column of their names: `series`."
        )
    frame = as_pandas(frame)
    if isinstance(ids, list | tuple) and set(ids) <= set(frame.columns):
        frame = with_one_id(frame, ids)[0]
    frame = frame.set_index(series) if series in frame.columns else frame
    twice = frame.index[frame.index.duplicated()]
    if len(twice):
        raise DataError(
            f"`static_frame` has {len(twice)} series twice (first: {twice[0]!r}). Expected one row for each."
        )
    absent = [name for name in names if name not in frame.index]
    if absent:
        raise DataError(
            f"`static_frame` has no row for {len(absent)} series (first: {absent[0]!r}). Expected one for each; its "
            f"index, or its column {series!r}, holds their names."
        )
    return frame.loc[names].reset_index(drop=True)


def numbers_of(frame, columns, where, labels):
    """Columns of a table as numbers.

    Args:
        frame: DataFrame.
        columns: Names of its columns.
        where: Function that says where a row is.
        labels: `Labels`, which tells those that hold labels.

    Returns:
        Float64 `(rows, columns)`, NaN where there is nothing.

    Raises:
        ValueError: If one holds anything else.

    Example:

    >>> frame = pd.DataFrame({"y": [1, 2], "promotion": ["gift", None]})
    >>> numbers_of(frame, ["y", "promotion"], str, Labels(dict(frame), ["y"])).tolist()
    [[1.0, 1.0], [2.0, nan]]
    """
    values = np.empty((len(frame), len(columns)))
    for i, name in enumerate(columns):
        column = frame[name]
        if str(name) in labels.names:
            values[:, i] = labels.encode(str(name), column)
            continue
        if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_complex_dtype(column):
            # One word makes text of a whole column, so that the word is what has to be found.
            is_text = column.dtype == object or pd.api.types.is_string_dtype(column.dtype)
            numbers = pd.to_numeric(column, errors="coerce") if is_text else None
            bad = np.flatnonzero(column.notna() & (numbers.isna() if is_text else True))
            if len(bad) or not is_text:
                first = f" (first: {column.iloc[bad[0]]!r} at {where(bad[0])})" if len(bad) else ""
                raise DataError(
                    f"Column {str(name)!r} holds {len(bad)} values of type {column.dtype} that are no "
                    f"numbers{first}. Correct them, leave the column out, or name it in `categories` if it holds "
                    "labels."
                )
            column = numbers
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
        if pd.api.types.is_integer_dtype(column):
            _check_whole_numbers(name, column, numbers, where)
        infinite = np.flatnonzero(np.abs(numbers) > np.finfo(np.float32).max)
        if len(infinite):
            raise DataError(
                f"Column {str(name)!r} has {len(infinite)} infinite values or values beyond float32 (first: "
                f"{numbers[infinite[0]]} at {where(infinite[0])}). Expected finite numbers; make them missing "
                "values (NaN) or correct them."
            )
        values[:, i] = numbers
    return values


def _check_whole_numbers(name, column, numbers, where):
    """Refuses integers that float64 would round."""
    large = np.flatnonzero(np.abs(numbers) >= _EXACT)
    lost = [row for row in large if int(numbers[row]) != column.iloc[row]]
    if lost:
        raise DataError(
            f"Column {str(name)!r} has {len(lost)} whole numbers beyond 2**53 that float64 can't hold to the last "
            f"digit (first: {column.iloc[lost[0]]} at {where(lost[0])}). Take a common start off first, or leave "
            "the column out."
        )
