"""Data sets of GluonTS and GIFT-Eval: JSON lines, Arrow or Parquet."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from tfts._units import todays_alias
from tfts.data.sources._long import given_step, joined_series, numbered_names, times_from
from tfts.data.sources._paths import existing_file, text_of
from tfts.errors import DataError

ENDINGS = (".json", ".jsonl", ".arrow", ".feather", ".parquet")
# Fields that hold a value a row, and those that hold one value a series, possibly of several columns.
_DYNAMIC = ("feat_dynamic_real", "feat_dynamic_cat", "past_feat_dynamic_real", "past_feat_dynamic_cat")
# Files beside the data that describe them.
_DESCRIBE = ("metadata.json", "state.json", "dataset_info.json")
_STATIC = ("feat_static_cat", "feat_static_real")


def read_gluonts(path, *, freq=None):
    """A data set of GluonTS: a line or row for each series, with its start and its target.

    Args:
        path: File ending in `.json`, `.jsonl` (both gzipped or not), `.arrow`, `.feather` or
            `.parquet`; or a folder of such files.
        freq: Time step. `None` takes the field `freq` of the series, or that of `metadata.json` in
            the folder or the one above.

    Returns:
        DataFrame with `series` (`item_id`, else a number), `time`, `value` (`target_0`, `target_1`, ...
        of several), and columns such as `feat_dynamic_real_0` and `feat_static_cat_0`. Where features
        reach beyond the target, the target is missing.

    Raises:
        ValueError: If the frequency is missing, or a series has no start or target; the message names it.

    Example:

    >>> _ = Path("data.json").write_text('{"item_id": "007", "start": "2024-01-31", "target": [1.0, "NaN"]}')
    >>> print(read_gluonts("data.json", freq="D").to_string(index=False))
    series       time  value
       007 2024-01-31    1.0
       007 2024-02-01    NaN

    Source: https://ts.gluon.ai/stable/tutorials/data_manipulation/index.html
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if _is_data(file))
        if not files:
            raise DataError(
                f"The folder {path} holds no data. Expected a file ending in one of: {', '.join(ENDINGS)}."
            )
    entries = [entry for file in files for entry in _entries(existing_file(file, ENDINGS))]
    if not entries:
        raise DataError(f"{path} holds no series.")
    names = [entry.get("item_id") for entry in entries]
    if any(name is None for name in names):
        names = numbered_names(len(entries))
    given = freq if freq is not None else _of_folder(folder)
    parts, columns, attributes = [], None, {}
    for name, entry in zip(names, entries, strict=True):
        where = f"Series {name!r} of {path}"
        times, found = _series(entry, given if given is not None else entry.get("freq"), where, path)
        if columns is not None and list(found) != columns:
            raise DataError(f"{where} has the columns {list(found)}. Expected {columns}, as the first one.")
        columns = list(found)
        parts.append((name, times, np.stack(list(found.values()), axis=1)))
        for field, value in _attributes(entry).items():
            attributes.setdefault(field, [np.nan] * (len(parts) - 1)).append(value)
        for values in attributes.values():
            values += [np.nan] * (len(parts) - len(values))
    return joined_series(parts, columns, attributes)


def _is_data(file):
    name = file.name.lower().removesuffix(".gz")
    return file.is_file() and name.endswith(ENDINGS) and name not in _DESCRIBE


def _of_folder(folder):
    for place in (folder, folder.parent, folder.parent / "metadata"):
        file = place / "metadata.json"
        if file.is_file():
            return json.loads(file.read_text(encoding="utf-8")).get("freq")
    return None


def _entries(path):
    """The series of a file, dicts."""
    name = path.name.lower()
    if name.removesuffix(".gz").endswith((".json", ".jsonl")):
        for number, line in enumerate(text_of(path).splitlines()):
            if line.strip():
                try:
                    yield json.loads(line)
                except json.JSONDecodeError as error:
                    raise DataError(
                        f"Line {number + 1} of {path} is not JSON ({error}). Expected one series a line."
                    ) from error
        return
    import pyarrow
    import pyarrow.parquet

    try:
        if name.endswith(".parquet"):
            table = pyarrow.parquet.read_table(path)
        else:
            with pyarrow.memory_map(str(path)) as content:
                # GluonTS writes the file format of Arrow, the data sets of Hugging Face its streams.
                is_file = content.read(6) == b"ARROW1"
                content.seek(0)
                opened = pyarrow.ipc.open_file(content) if is_file else pyarrow.ipc.open_stream(content)
                table = opened.read_all()
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise DataError(f"{path} can't be read: {error}") from error
    for batch in table.to_batches(max_chunksize=1):
        entry = {field: batch.column(i)[0] for i, field in enumerate(batch.schema.names)}
        yield {field: _plain(value, entry.get(f"{field}._np_shape")) for field, value in entry.items()}


def _plain(value, shape):
    """A value of Arrow as Python has it; GluonTS writes arrays flat, and their shape in a field beside."""
    import pyarrow.types as kinds

    if value.as_py() is None or not kinds.is_list(value.type):
        return value.as_py()
    if kinds.is_list(value.type.value_type):
        return value.as_py()
    flat = value.values.to_numpy(zero_copy_only=False)
    return flat if shape is None else flat.reshape(shape.as_py())


def _series(entry, freq, where, path):
    """Times and columns of a series."""
    for field in ("start", "target"):
        if entry.get(field) is None:
            raise DataError(
                f"{where} has no {field!r}. Expected start and target. Received: {sorted(entry)}."
            )
    step = given_step(todays_alias(freq), path, "no metadata.json and no field freq")
    found = _columns("target", "value", entry["target"], where)
    for field in _DYNAMIC:
        if entry.get(field) is not None:
            found |= _columns(field, None, entry[field], where)
    rows = max(map(len, found.values()))
    whole = {name: np.append(values, np.full(rows - len(values), np.nan)) for name, values in found.items()}
    return times_from(_start(entry["start"], where), step, rows), whole


def _columns(field, alone, values, where):
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where} has a {field!r} that does not hold numbers only ({error}).") from error
    if array.ndim == 1 and alone is not None:
        return {alone: array}
    if array.ndim not in (1, 2):
        raise DataError(
            f"{where} has a {field!r} with {array.ndim} dimensions. Expected rows, or columns and rows."
        )
    return {f"{field}_{i}": row for i, row in enumerate(np.atleast_2d(array))}


def _start(start, where):
    # Older files write it as a dict of pandas, or with the frequency after it.
    text = start.get("start", start) if isinstance(start, dict) else start
    try:
        return pd.Timestamp(text)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where} starts at {text!r}. Expected a time such as 2024-01-31 13:00.") from error


def _attributes(entry):
    found = {}
    for field in _STATIC:
        values = entry.get(field)
        for i, value in enumerate([] if values is None else list(np.atleast_1d(values))):
            found[f"{field}_{i}"] = value.item() if isinstance(value, np.generic) else value
    return found
