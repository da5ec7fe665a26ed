"""Files and tables of others into a table with series, times and values."""

import inspect
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tfts._messages import unknown
from tfts.data.sources import SOURCES
from tfts.data.sources.m4 import read_m4 as read_m4
from tfts.errors import SettingError, UnknownNameError


def read_table(
    path: Any,
    source: str = "file",
    *,
    columns: Sequence[str] | None = None,
    time: str | tuple[str, str] | None = None,
    time_format: str | None = None,
    encoding: str | None = None,
    na_values: Any = None,
    series: str | Sequence[str] | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Reads a file, or a table of another library, into a DataFrame.

    By default a CSV or Parquet file, gzipped or not. Other sources, with options of their own
    (see the readers in `tfts.data.SOURCES`), give a column `series` of texts, a column `time`, then
    values and attributes:

    - `"nixtla"`: a file or frame with `unique_id`, `ds` and `y`.
    - `"gluonts"`: JSON lines, Arrow or Parquet of GluonTS and GIFT-Eval. Options: `freq`.
    - `"tsf"`: a file of the Monash archive. Options: `freq`.
    - `"ts"`: a file of sktime, aeon and the UCR archive.
    - `"m4"`, `"m5"`: the wide files of these competitions.
    - `"nab"`, `"tsb"`: files of anomaly benchmarks, with their labels. Options of `"nab"`: `labels`.
    - `"influx"`: annotated CSV of InfluxDB.
    - `"sql"`: what a database answers to a `query`; `path` is its URL.

    Empty fields and the usual marks (`NA`, `nan`, `None`, `null`, ...) of a CSV file
    become missing values.

    All stamps of the time column must be in one format. Days and months are told apart
    by the whole column: `1/1/2011 ... 13/1/2011` is day first. Stamps with an offset from
    UTC (`+01:00`) come out in UTC, because the offset changes with daylight saving.

    Args:
        path: File, folder or URL, as the source has it; also a DataFrame of pandas, Polars or Arrow
            for `"file"` and `"nixtla"`. A file of source `"file"` ends in `.csv`, `.csv.gz`,
            `.parquet` or `.parquet.gz`. A `DatetimeIndex` in a Parquet file becomes a column, named "time" if it has no
            name.
        source: A name of `SOURCES`.
        columns: Names of the columns to keep, in the wanted order. `None` keeps all.
            The columns of time and series are always kept, and come first if they are not named here.
        time: Name of the time column, which becomes datetimes. A pair of names joins a
            date column and a column with the hour of the day (0 to 24) or the time of day
            (`13:45`) into a first column named "time"; the pair is dropped unless
            `columns` names it. `None` leaves every column as it stands in the file.
        time_format: How the stamps (for a date and an hour, the dates) are written, as in
            `datetime.strptime`, e.g. `"%d/%m/%Y"`; `"epoch seconds"`, `"epoch milliseconds"`,
            `"epoch microseconds"` or `"epoch nanoseconds"`, counted from 1970 UTC on; or
            `"row numbers"`. `None` finds it, but for numbers of 1000 and more.
        encoding: How the text of a CSV file is encoded. `None` is UTF-8.
        na_values: Further values that mean "missing", such as `-9999`: one, a list, or a
            dict of column name to list.
        series: Name of the column that tells the series apart, or a list of names, which become one
            column. Ids stay texts: `007` stays `007`, and `NA` is an id.
        **options: Options of the source. Those of `"file"` are `ends` (`"h"` for stamps that end an hour,
            `24:00` or `1` to `24`, `25` where the clock is put back) and `timezone` (of stamps without
            one). Intervals such as `2024-01-31 00:00 - 2024-01-31 01:00` are the times at which they begin.

    Returns:
        `pandas.DataFrame` with one row for each row of the file, in the file's order.

    Raises:
        FileNotFoundError: If there is no such file; the message names the nearest one.
        KeyError: If the file has no such column.
        ValueError: If the source, an option or the ending is unknown, the file is empty or damaged, the text
            can't be decoded, or a time can't be read; the message names the row.

    Example:

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "rentals.csv")
    ...     _ = path.write_text("day,hr,count\\n12/31/2011,23,16\\n1/1/2012,0,40\\n")
    ...     frame = read_table(path, time=["day", "hr"])
    >>> print(frame.to_string(index=False))
                   time  count
    2011-12-31 23:00:00     16
    2012-01-01 00:00:00     40
    """
    if source not in SOURCES:
        raise SettingError(unknown("source", source, SOURCES))
    reader = SOURCES[source]
    named = {
        "columns": columns,
        "time": time,
        "time_format": time_format,
        "encoding": encoding,
        "na_values": na_values,
        "series": series,
    }
    given = {name: value for name, value in named.items() if value is not None} | options
    valid = list(inspect.signature(reader).parameters)[1:]
    columns = None if "columns" in valid else given.pop("columns", None)
    for name in given:
        if name not in valid:
            raise SettingError(unknown(f"option of the source {source!r}:", name, [*valid, "columns"]))
    for name, parameter in list(inspect.signature(reader).parameters.items())[1:]:
        if parameter.default is inspect.Parameter.empty and name not in given:
            raise SettingError(f"The source {source!r} needs the option `{name}`. Received: {sorted(given)}.")
    frame = reader(path, **given)
    if columns is None:
        return frame
    columns = [columns] if isinstance(columns, str) else list(columns)
    for name in columns:
        if name not in frame.columns:
            raise UnknownNameError(unknown(f"column of the source {source!r}:", name, frame.columns))
    keys = [key for key in ("series", "time") if key in frame.columns and key not in columns]
    return frame[list(dict.fromkeys(keys + columns))]
