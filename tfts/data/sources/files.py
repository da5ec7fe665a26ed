"""CSV and Parquet files into a table."""

import gzip
import io
import warnings

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts.data.frames import as_pandas, with_one_id
from tfts.data.hours import joined_times, read_times
from tfts.data.sources._paths import existing_file
from tfts.errors import DataError, SettingError, UnknownNameError

ENDINGS = (".csv", ".parquet")


def read_file(
    path,
    *,
    columns=None,
    time=None,
    time_format=None,
    encoding=None,
    na_values=None,
    series=None,
    ends=None,
    timezone=None,
):
    """A CSV or Parquet file, or a table of another library, with its times and ids read; see `read_table`.

    Args:
        path: File, or a DataFrame of pandas, Polars or Arrow.
        columns: As in `read_table`.
        time: As in `read_table`.
        time_format: As in `read_table`.
        encoding: As in `read_table`.
        na_values: As in `read_table`.
        series: As in `read_table`.
        ends: Length of the periods that the stamps end, such as `"h"`; they become the times at which
            these begin. Hours beside a date are then 1 to 24. `None` where stamps begin their period.
        timezone: Zone of stamps without one, such as `"Europe/Berlin"`: days of 23 and 25 hours are
            then what they are, whether hours are counted (to 25) or named by the clock (one twice).

    Returns:
        `pandas.DataFrame`.

    Raises:
        ValueError: As in `read_table`.

    Example:

    >>> from pathlib import Path
    >>> _ = Path("shops.csv").write_text("shop,day,sold\\n007,2024-01-31,3\\nNA,2024-01-31,4\\n")
    >>> read_file("shops.csv", time="day", series="shop")["shop"].tolist()
    ['007', 'NA']
    """
    times = [] if time is None else [time] if isinstance(time, str) else list(time)
    ids = [] if series is None else [series] if isinstance(series, str) else list(series)
    if len(times) > 2:
        raise SettingError(
            "`time` must be the name of the time column, or a pair: the date column and the column with the "
            f"hour or time of day. Received: time={time!r}."
        )
    if time_format is not None and not times:
        raise SettingError(
            f"time_format={time_format!r} was given, but no `time` column that it could apply to."
        )
    frame, name = _table(path, times, ids, encoding, na_values)
    columns = [columns] if isinstance(columns, str) else columns
    for column in [*times, *ids, *(columns or [])]:
        if column not in frame.columns:
            raise UnknownNameError(unknown(f"column in {name}:", column, frame.columns))
    for column in ids:
        # Whole numbers of a Parquet file are the texts that a CSV file has.
        frame = frame.assign(**{column: frame[column].astype("string").replace("", pd.NA).astype(object)})
    if (ends is not None or timezone is not None) and not times:
        raise SettingError("`ends` and `timezone` were given, but no `time` column that they could apply to.")
    clock = {"time_format": time_format, "ends": ends, "timezone": timezone}
    clock["series"] = frame.groupby(ids, dropna=False).ngroup() if ids and timezone is not None else None
    frame, times = _with_times(frame, times, clock, columns, name)
    if len(ids) > 1:
        frame, joined = with_one_id(frame, ids)
        columns = None if columns is None else [joined, *(c for c in columns if c not in ids)]
        ids = [joined]
    if columns is not None:
        keys = [key for key in (*times, *ids) if key not in columns]
        frame = frame[list(dict.fromkeys(keys + list(columns)))]
    return frame


def _table(path, times, ids, encoding, na_values):
    """The table as it is in the file, and what it is called in messages."""
    if na_values is not None and not isinstance(na_values, dict):
        na_values = [na_values] if np.isscalar(na_values) else list(na_values)
    if not isinstance(path, str) and not hasattr(path, "__fspath__"):
        frame, name = as_pandas(path), "the table"
        if encoding is not None:
            raise SettingError(
                f"`encoding` is for CSV files, not for a table. Received: encoding={encoding!r}."
            )
        frame = frame if na_values is None else frame.mask(frame.isin(na_values))
    else:
        path = existing_file(path, ENDINGS)
        read = _read_csv if path.name.lower().removesuffix(".gz").endswith(".csv") else _read_parquet
        frame, name = read(path, times, ids, encoding, na_values), path.name
    if frame.empty:
        raise DataError(
            f"{path if name != 'the table' else 'The table'} is empty: it holds no rows. Expected a heading and at "
            "least one row."
        )
    return frame, name


def _with_times(frame, times, clock, columns, name):
    """The table with its times read, and the name of their column in a list."""
    if len(times) == 1:
        return frame.assign(**{times[0]: read_times(frame[times[0]], **clock)}), times
    if len(times) == 2:
        if "time" in frame.columns and "time" not in times:
            raise DataError(
                f"{name} already has a column 'time', so {times[0]!r} and {times[1]!r} can't be joined "
                "under that name. Give time='time', or rename the column."
            )
        joined = joined_times(frame[times[0]], frame[times[1]], **clock)
        frame = frame.drop(columns=[name for name in times if name not in (columns or []) or name == "time"])
        frame.insert(0, "time", joined)
        return frame, ["time"]
    return frame, []


def _read_csv(path, times, ids, encoding, na_values):
    # As text, so that years and 20110101 are read as dates and not as numbers.
    text = {name: str for name in times[:1] if name not in ids}
    options = {"dtype": text, "encoding": encoding, "na_values": na_values, "low_memory": False}
    try:
        with warnings.catch_warnings():
            # Else the last fields of rows that are longer than the heading would be lost.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(path, index_col=False, **options)
        there = [name for name in ids if name in frame.columns]
        if there:
            # An id is what is written: 007 is not 7, and NA is a name.
            options = {"dtype": str, "keep_default_na": False, "encoding": encoding}
            texts = pd.read_csv(path, index_col=False, usecols=there, **options)
            frame = frame.assign(**{name: texts[name].str.strip() for name in there})
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not encoded as {encoding or 'utf-8'} (byte {error.object[error.start]:#x}). Give its "
            "`encoding`, for a file from western Europe or the Americas most likely encoding='latin-1'."
        ) from error
    except LookupError as error:
        raise SettingError(
            f"`encoding` must be the name of one, such as 'latin-1'. Received: {encoding!r}."
        ) from error
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path} is empty. Expected a heading and at least one row.") from error
    except (pd.errors.ParserError, pd.errors.ParserWarning, EOFError) as error:
        raise DataError(f"{path} can't be read as comma-separated values: {error}") from error
    return frame


def _read_parquet(path, times, ids, encoding, na_values):
    if encoding is not None:
        raise SettingError(
            f"`encoding` is for CSV files; {path.name} is Parquet. Received: encoding={encoding!r}."
        )
    content = path.read_bytes() if path.suffix.lower() != ".gz" else gzip.decompress(path.read_bytes())
    if not content:
        raise DataError(f"{path} is empty. Expected a Parquet file.")
    try:
        frame = pd.read_parquet(io.BytesIO(content))
    except (ValueError, OSError) as error:
        raise DataError(f"{path} can't be read as a Parquet file: {error}") from error
    if isinstance(frame.index, pd.DatetimeIndex):
        frame = frame.reset_index(names=frame.index.name or "time")
    elif not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    return frame if na_values is None else frame.mask(frame.isin(na_values))
