"""CSV and Parquet files into a table."""

import difflib
import gzip
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts.data.stamps import check_stamps, parse_stamps
from tfts.errors import DataError, MissingFileError, SettingError, UnknownNameError

ENDINGS = (".csv", ".csv.gz", ".parquet", ".parquet.gz")
# The files of the M4 competition, and the time step of each.
_M4 = {"Yearly": "YS", "Quarterly": "QS", "Monthly": "MS", "Weekly": "7D", "Daily": "D", "Hourly": "h"}


def read_table(
    path: str | Path,
    *,
    columns: Sequence[str] | None = None,
    time: str | tuple[str, str] | None = None,
    time_format: str | None = None,
    encoding: str | None = None,
    na_values: Any = None,
) -> pd.DataFrame:
    """Reads a CSV or Parquet file, gzipped or not, into a DataFrame.

    Empty fields and the usual marks (`NA`, `nan`, `None`, `null`, ...) of a CSV file
    become missing values.

    All stamps of the time column must be in one format. Days and months are told apart
    by the whole column: `1/1/2011 ... 13/1/2011` is day first. Stamps with an offset from
    UTC (`+01:00`) come out in UTC, because the offset changes with daylight saving.

    Args:
        path: File ending in `.csv`, `.csv.gz`, `.parquet` or `.parquet.gz`. A
            `DatetimeIndex` in a Parquet file becomes a column, named "time" if it has no
            name.
        columns: Names of the columns to keep, in the wanted order. `None` keeps all.
            The time column is always kept, and comes first if it is not named here.
        time: Name of the time column, which becomes datetimes. A pair of names joins a
            date column and a column with the hour of the day (0 to 24) or the time of day
            (`13:45`) into a first column named "time"; the pair is dropped unless
            `columns` names it. `None` leaves every column as it stands in the file.
        time_format: How the stamps (for a date and an hour, the dates) are written, as in
            `datetime.strptime`, e.g. `"%d/%m/%Y"`. `None` finds it.
        encoding: How the text of a CSV file is encoded. `None` is UTF-8.
        na_values: Further values that mean "missing", such as `-9999`: one, a list, or a
            dict of column name to list.

    Returns:
        `pandas.DataFrame` with one row for each row of the file, in the file's order.

    Raises:
        FileNotFoundError: If there is no such file; the message names the nearest one.
        KeyError: If the file has no such column.
        ValueError: If the ending is unknown, the file is empty or damaged, the text
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
    path = Path(path)
    if not path.name.lower().endswith(ENDINGS):
        raise DataError(f"The ending of {path.name!r} is unknown. Expected one of: {', '.join(ENDINGS)}.")
    if not path.is_file():
        raise MissingFileError(_not_found(path))
    times = [] if time is None else [time] if isinstance(time, str) else list(time)
    if len(times) > 2:
        raise SettingError(
            "`time` must be the name of the time column, or a pair: the date column and the column with the "
            f"hour or time of day. Received: time={time!r}."
        )
    if time_format is not None and not times:
        raise SettingError(
            f"time_format={time_format!r} was given, but no `time` column that it could apply to."
        )
    if na_values is not None and not isinstance(na_values, dict):
        na_values = [na_values] if np.isscalar(na_values) else list(na_values)
    read = _read_csv if path.name.lower().removesuffix(".gz").endswith(".csv") else _read_parquet
    frame = read(path, times, encoding, na_values)
    if frame.empty:
        raise DataError(f"{path} is empty: it holds no rows. Expected a heading and at least one row.")

    columns = [columns] if isinstance(columns, str) else columns
    for name in [*times, *(columns or [])]:
        if name not in frame.columns:
            raise UnknownNameError(unknown(f"column in {path.name}:", name, frame.columns))
    if len(times) == 1:
        frame[times[0]] = parse_stamps(frame[times[0]], time_format)
    if len(times) == 2:
        if "time" in frame.columns and "time" not in times:
            raise DataError(
                f"{path.name} already has a column 'time', so {times[0]!r} and {times[1]!r} can't be joined "
                "under that name. Give time='time', or rename the column."
            )
        joined = _join(frame[times[0]], frame[times[1]], time_format)
        frame = frame.drop(columns=[name for name in times if name not in (columns or []) or name == "time"])
        frame.insert(0, "time", joined)
        times = ["time"]
    if columns is not None:
        frame = frame[list(dict.fromkeys([name for name in times if name not in columns] + list(columns)))]
    return frame


def read_m4(path: str | Path) -> pd.DataFrame:
    """Reads one frequency of the M4 competition: a row for each series, training and test files.

    The files hold no times, so times are made up: the first test row of every series is at
    2000-01-01, and the training rows are those before it.

    Args:
        path: The training file, named as in the competition, such as `Hourly-train.csv`;
            `Hourly-test.csv` stands beside it.

    Returns:
        DataFrame with the columns `series`, `time` and `value`, the test rows of each series
        after its training rows.

    Raises:
        FileNotFoundError: If one of the two files is not there.
        ValueError: If the name is none of the competition's, or the files hold other series.

    Example:

    >>> _ = Path("Hourly-train.csv").write_text("V1,V2,V3\\nH1,605,586\\nH2,3124,\\n")
    >>> _ = Path("Hourly-test.csv").write_text("V1,V2\\nH1,619\\nH2,2990\\n")
    >>> print(read_m4("Hourly-train.csv").to_string(index=False))
    series                time  value
        H1 1999-12-31 22:00:00  605.0
        H1 1999-12-31 23:00:00  586.0
        H1 2000-01-01 00:00:00  619.0
        H2 1999-12-31 23:00:00 3124.0
        H2 2000-01-01 00:00:00 2990.0

    Source: Makridakis, Spiliotis and Assimakopoulos, The M4 Competition, International
    Journal of Forecasting, 2020.
    """
    path = Path(path)
    name, dash, _ = path.name.partition("-train.csv")
    if not dash or name not in _M4:
        expected = ", ".join(f"{name}-train.csv" for name in _M4)
        raise DataError(f"A training file of M4 is named one of: {expected}. Received: {path.name!r}.")
    tables = []
    for part in ("train", "test"):
        file = path.with_name(path.name.replace("-train", f"-{part}"))
        tables.append(read_table(file).set_index("V1"))
    train, test = tables
    if list(train.index) != list(test.index):
        raise DataError(
            f"{path.name} holds {len(train)} series and its test file {len(test)}. Expected the same series in "
            "one order."
        )
    steps = max(train.shape[1], test.shape[1])
    before = pd.date_range(end="2000-01-01", periods=steps + 1, freq=_M4[name])[:-1]
    after = pd.date_range("2000-01-01", periods=steps, freq=_M4[name])
    parts = []
    for series in train.index:
        seen, future = (table.loc[series].dropna().to_numpy(dtype=np.float64) for table in tables)
        times = before[len(before) - len(seen) :].append(after[: len(future)])
        parts.append(pd.DataFrame({"series": series, "time": times, "value": np.concatenate([seen, future])}))
    return pd.concat(parts, ignore_index=True)


def _not_found(path):
    if not path.parent.is_dir():
        return f"{path} does not exist: there is no folder {path.parent}."
    if path.exists():
        return f"{path} is not a file. Expected a file ending in one of: {', '.join(ENDINGS)}."
    nearest = difflib.get_close_matches(path.name, [other.name for other in path.parent.iterdir()], n=1)
    return f"{path} does not exist." + (f" Did you mean {nearest[0]!r}?" if nearest else "")


def _read_csv(path, times, encoding, na_values):
    # As text, so that years and 20110101 are read as dates and not as numbers.
    text = dict.fromkeys(times[:1], str)
    options = {"dtype": text, "encoding": encoding, "na_values": na_values, "low_memory": False}
    try:
        with warnings.catch_warnings():
            # Else the last fields of rows that are longer than the heading would be lost.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(path, index_col=False, **options)
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


def _read_parquet(path, times, encoding, na_values):
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


def _join(dates, hours, time_format):
    """The times of a date column and a column with the hour, or time, of the day."""
    text = hours.astype("string").str.strip()
    check_stamps(text, text, "an hour")
    if ":" in text.iloc[0]:
        days = dates.dt.strftime("%Y-%m-%d") if pd.api.types.is_datetime64_any_dtype(dates) else dates
        return parse_stamps((days.astype("string") + " " + text).rename(dates.name), time_format)
    hour = pd.to_numeric(text, errors="coerce")
    bad = np.flatnonzero(~hour.between(0, 24).fillna(False))
    if len(bad):
        raise DataError(
            f"Hour column {hours.name!r} holds {text.iloc[bad[0]]!r} in row {bad[0] + 1} (the first "
            "below the heading is 1). Expected hours from 0 to 24, or times of day such as 13:45."
        )
    return parse_stamps(dates, time_format) + pd.to_timedelta(hour.astype("float64"), unit="h")
