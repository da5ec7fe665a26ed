"""Tables of other libraries, and ids of several columns, as the package works with them."""

import contextlib

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts.errors import DataError, UnknownNameError

# Types of Arrow that pandas has without missing values only.
_NULLABLE = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")


def as_pandas(frame):
    """A table of pandas, Polars, Arrow or another library that narwhals knows, as a pandas DataFrame.

    Numbers without a missing value keep their memory where the library allows it. Whole
    numbers and booleans with missing values become nullable columns, so that no digit is lost.

    Args:
        frame: DataFrame of pandas, or of Polars, Arrow (`Table`, `RecordBatch` and whatever else gives
            an Arrow stream), Modin or cuDF.

    Returns:
        `pandas.DataFrame`; a pandas one is given back as it is.

    Raises:
        ValueError: If it is a plan that has not run (a Polars `LazyFrame`, a DuckDB relation), or
            not a table.

    Example:

    >>> import pyarrow
    >>> as_pandas(pyarrow.table({"store": ["007", "NA"], "sold": [3, None]}))["sold"].tolist()
    [3, <NA>]
    """
    if isinstance(frame, pd.DataFrame):
        return frame
    import narwhals.stable.v2 as nw

    found = nw.from_native(frame, pass_through=True)
    if isinstance(found, nw.LazyFrame):
        kind = f"{type(frame).__module__.split('.')[0]} {type(frame).__name__}"
        raise DataError(
            f"Expected a table that holds its rows. Received: a {kind}, which is a plan that has not run. collect() "
            "it first (in DuckDB, arrow() or df())."
        )
    if isinstance(found, nw.DataFrame):
        return _from_arrow(found.to_arrow())
    if hasattr(frame, "__arrow_c_stream__") or hasattr(frame, "__arrow_c_array__"):
        import pyarrow

        # A single column gives a stream too.
        with contextlib.suppress(pyarrow.ArrowInvalid, TypeError):
            return _from_arrow(pyarrow.table(frame))
    raise DataError(
        "Expected a table: a pandas DataFrame, or one of Polars, Arrow or another library that narwhals "
        f"knows. Received: {type(frame).__name__}."
    )


def _from_arrow(table):
    import pyarrow

    # In blocks of their own, columns without a missing value are not copied.
    frame = table.to_pandas(date_as_object=False, split_blocks=True)
    # Else whole numbers would be rounded to 53 bits, and booleans become objects.
    kinds = {getattr(pyarrow, name.lower())(): pd.api.types.pandas_dtype(name) for name in _NULLABLE}
    kinds[pyarrow.bool_()] = pd.BooleanDtype()
    named = zip(table.column_names, table.columns, strict=True)
    absent = [name for name, column in named if column.null_count and column.type in kinds]
    if absent and frame.columns.is_unique:
        kept = table.select(absent).to_pandas(types_mapper=kinds.get, ignore_metadata=True)
        frame[absent] = kept.set_axis(frame.index)
    return frame


def check_series_column(frame, name):
    """Refuses a table without a name of its series in every row.

    Raises:
        KeyError: If there is no such column.
        ValueError: If a name is missing.

    Example:

    >>> check_series_column(pd.DataFrame({"store": ["a", None]}), "store")
    Traceback (most recent call last):
        ...
    tfts.errors.DataError: Series column 'store' is missing in 1 rows (first: row 1). Expected a name in every row.
    """
    if name not in frame.columns:
        raise UnknownNameError(unknown("series column", name, frame.columns))
    absent = np.flatnonzero(frame[name].isna())
    if len(absent):
        raise DataError(
            f"Series column {name!r} is missing in {len(absent)} rows (first: row {absent[0]}). Expected a "
            "name in every row."
        )


def with_one_id(frame, series):
    """A table in which one column tells the series apart, also where several do so together.

    Args:
        frame: `pandas.DataFrame`.
        series: Name of the series column, `None`, or a list of names, whose values are joined with `/`.

    Returns:
        Tuple `(frame, series)`: the table, with one column in place of several, and its name.

    Raises:
        KeyError: If there is no such column.
        ValueError: If a value is missing, or two series would have one id.

    Example:

    >>> frame = pd.DataFrame({"store": ["007", "NA"], "item": [1, 12], "sold": [3.0, 4.0]})
    >>> made, name = with_one_id(frame, ["store", "item"])
    >>> name, made["store/item"].tolist(), list(made.columns)
    ('store/item', ['007/1', 'NA/12'], ['store/item', 'sold'])
    """
    if not isinstance(series, list | tuple):
        return frame, series
    names = list(series)
    if not names:
        return frame, None
    if len(names) == 1:
        return frame, names[0]
    joined = "/".join(map(str, names))
    if joined in frame.columns and not set(names) & set(frame.columns):
        # A table that the package made: its ids are one already.
        return frame, joined
    for name in names:
        check_series_column(frame, name)
    # Each id is joined once, not once a row.
    parts = frame[names].drop_duplicates(ignore_index=True)
    ids = parts[names[0]].astype(str).str.cat([parts[name].astype(str) for name in names[1:]], sep="/")
    twice = ids.duplicated(keep=False)
    if twice.any():
        pair = parts[twice & (ids == ids[twice].iloc[0])].astype(str).to_numpy().tolist()[:2]
        raise DataError(
            f"The columns {names} tell series {pair[0]} and {pair[1]} apart, but joined with '/' both are "
            f"{ids[twice].iloc[0]!r}. Replace the '/' in these columns, or join them yourself."
        )
    codes = frame.groupby(names, sort=False, observed=True, dropna=False).ngroup()
    made = frame.drop(columns=names)
    made.insert(0, joined, ids.to_numpy()[codes])
    return made, joined
