"""Tables in the form of Nixtla's packages."""

import pandas as pd

from tfts.data.frames import as_pandas
from tfts.data.sources.files import read_file
from tfts.errors import DataError


def read_nixtla(path, *, time_format=None, encoding=None, na_values=None):
    """A table with `unique_id`, `ds` and `y`, as statsforecast, mlforecast and neuralforecast take it.

    Args:
        path: CSV or Parquet file, or a DataFrame of pandas, Polars or Arrow. `unique_id` may be its
            index, as in older versions.
        time_format: As in `read_table`. Whole numbers are row numbers.
        encoding: As in `read_table`.
        na_values: As in `read_table`.

    Returns:
        DataFrame with `series` (texts), `time`, `y` and whatever else there is. A table of the
        future has no `y`.

    Raises:
        ValueError: If `unique_id` or `ds` is not there.

    Example:

    >>> frame = pd.DataFrame({"unique_id": ["007"], "ds": ["2024-01-31"], "y": [1.5]})
    >>> read_nixtla(frame).to_dict("records")
    [{'series': '007', 'time': Timestamp('2024-01-31 00:00:00'), 'y': 1.5}]

    Source: https://nixtlaverse.nixtla.io/statsforecast/docs/getting-started/getting_started_short.html
    """
    if not isinstance(path, str) and not hasattr(path, "__fspath__"):
        path = as_pandas(path)
        path = path.reset_index() if path.index.name == "unique_id" else path
        _check(path.columns, "The table")
        # Row numbers are numbers in a frame already.
        read_time = None if pd.api.types.is_integer_dtype(path["ds"]) and time_format is None else "ds"
        frame = read_file(
            path, time=read_time, time_format=time_format, na_values=na_values, series="unique_id"
        )
    else:
        _check(read_file(path, encoding=encoding).columns, path)
        frame = read_file(
            path,
            time="ds",
            time_format=time_format,
            encoding=encoding,
            na_values=na_values,
            series="unique_id",
        )
    others = [name for name in frame.columns if name not in ("unique_id", "ds")]
    return frame[["unique_id", "ds", *others]].rename(columns={"unique_id": "series", "ds": "time"})


def _check(columns, what):
    absent = [name for name in ("unique_id", "ds") if name not in columns]
    if absent:
        raise DataError(
            f"{what} is not in the form of Nixtla: it lacks {' and '.join(map(repr, absent))}. Expected the columns "
            f"unique_id, ds and y. Received: {', '.join(map(str, columns))}. For other names take source='file' with "
            "`time` and `series`."
        )
