"""Tables larger than memory: a folder of Parquet files as a panel whose columns lie in files."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from tfts._files import replacing_folder, write_json
from tfts._messages import unknown
from tfts.data.labels import encode
from tfts.data.spans import Spans
from tfts.errors import DataError, MissingFileError, SettingError, UnknownNameError

# Bytes of memory that a value of a file takes while a table is made of it, at most.
_BYTES = 64


def panel_of_parquet(
    folder,
    make,
    *,
    store=None,
    memory=512,
    time,
    series,
    columns=None,
    targets=None,
    categories=None,
    **options,
):
    """The panel of a folder of Parquet files, whose table is not in memory.

    Series are brought together in groups that fit into memory, each is checked and made regular as a
    table by itself, and the columns are written to files, which are mapped into memory from then on.
    What is done is found again: after a stop the next call goes on with the next group, and a call with
    the same files and options opens the store at once.

    Args:
        folder: Path of the folder, with parts in any order, partitioned by folders named `column=value` or not.
        make: Function like `Panel.from_frame`.
        store: Path of the folder for the columns; `None` is that of the files with `.columns` after its name.
        memory: Megabytes that a group may take while it is made.
        time: Name of the time column.
        series: Name of the series column.
        columns: Names of the columns to read; `None` reads all.
        targets: As of `make`.
        categories: As of `make`.
        **options: Further options of `make`.

    Returns:
        What `make` gives, with arrays that are mapped.

    Raises:
        FileNotFoundError: If there is no such folder, or no file in it.
        KeyError: If a column does not exist.
        ValueError: If a part has other columns than the first, or a group can't be used.

    Example:

    >>> from tfts.data.panel import Panel
    >>> days = pd.date_range("2024-01-01", periods=2)
    >>> Path("stock").mkdir()
    >>> pd.DataFrame({"shop": ["a", "a"], "day": days, "y": [1.0, 2.0]}).to_parquet("stock/a.parquet")
    >>> made = panel_of_parquet(Path("stock"), Panel.from_frame, time="day", series="shop")
    >>> type(made.values).__name__, made.values.tolist()
    ('memmap', [[1.0], [2.0]])
    """
    folder = Path(folder)
    source = _dataset(folder)
    store = folder.with_name(folder.name + ".columns") if store is None else Path(store)
    named = {"time": time, "series": series, "targets": targets, "categories": categories, **options}
    identity = _identity(source, [columns, named])
    if not _is_made(store, identity):
        found = _columns(source, columns, time, series, targets, categories, options)
        _fill(store, identity, source, found, memory, make, named)
    return _opened(store)


def _dataset(folder):
    """The Arrow data set of a folder, whose parts have the same columns."""
    from pyarrow import dataset

    if not folder.is_dir():
        raise MissingFileError(f"There is no folder {folder}. Expected one of Parquet files.")
    paths = sorted(path for path in folder.rglob("*.parquet") if path.is_file())
    if not paths:
        raise MissingFileError(f"{folder} holds no file that ends in .parquet.")
    source = dataset.dataset(
        list(map(str, paths)), format="parquet", partitioning="hive", partition_base_dir=str(folder)
    )
    first = None
    for part in source.get_fragments():
        names = list(part.physical_schema.names)
        first = names if first is None else first
        if set(names) != set(first):
            raise DataError(
                f"The part {Path(part.path).relative_to(folder)} has the columns {names}, but the first part has "
                f"{first}. Expected the same columns in every part."
            )
    return source


def _identity(source, named):
    """What a store is known by: the files, by size and time of their last change, and the options."""
    files = [[path, Path(path).stat().st_size, Path(path).stat().st_mtime_ns] for path in source.files]
    text = json.dumps([files, named], default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _is_made(store, identity):
    path = store / "panel.json"
    return path.is_file() and json.loads(path.read_text())["identity"] == identity


def _columns(source, columns, time, series, targets, categories, options):
    """Names of the columns to read, and a dict from those that hold labels to their labels."""
    import pyarrow
    import pyarrow.compute as compute

    names = source.schema.names
    asked = [columns, targets, options.get("known_future"), options.get("static"), categories]
    asked = [time, series, *(c for of in asked if of for c in ([of] if isinstance(of, str) else of))]
    for name in asked:
        if name not in names:
            raise UnknownNameError(unknown("column of the Parquet files:", name, names))
    if columns is not None:
        names = [name for name in names if name in asked]
    chosen = [targets] if isinstance(targets, str) else list(targets or ())
    kinds = (pyarrow.types.is_string, pyarrow.types.is_large_string, pyarrow.types.is_dictionary)
    if categories is None:
        text = [
            field.name
            for field in source.schema
            if field.name in names
            and field.name not in (time, series, *chosen)
            and any(kind(field.type) for kind in kinds)
        ]
    else:
        text = [categories] if isinstance(categories, str) else list(categories)
    labels = {}
    for name in text:
        found = compute.unique(source.to_table(columns=[name])[name].combine_chunks())
        column = pd.Series(found.to_pylist(), dtype=object)
        labels[name] = encode(column[column.notna()])[1] + ((None,) if column.isna().any() else ())
    return names, labels


def _groups(source, series, width, memory):
    """The names of all series in order, and for each its group, of which each fits into the memory."""
    counts = {}
    for batch in source.to_batches(columns=[series]):
        found = batch.column(0).value_counts()
        for name, count in zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True):
            counts[name] = counts.get(name, 0) + count
    if None in counts:
        raise DataError(
            f"Series column {series!r} is missing in {counts[None]} rows. Expected a name in every row."
        )
    names = sorted(counts)
    rows = np.array([counts[name] for name in names])
    most = max(1, int(memory * 2**20 / (width * _BYTES)))
    return dict(zip(names, ((np.cumsum(rows) - rows) // most).tolist(), strict=True))


def _fill(store, identity, source, columns, memory, make, named):
    """Writes the store, group by group."""
    import pyarrow
    import pyarrow.compute as compute

    if not isinstance(memory, int | float) or not memory > 0:
        raise SettingError(f"`memory` must be a number > 0 (megabytes). Received: memory={memory!r}.")
    names, labels = columns
    partial = store.with_name(f".{store.name}.partial")
    if partial.is_dir() and (partial / "identity").read_text() != identity:
        shutil.rmtree(partial)
    partial.mkdir(parents=True, exist_ok=True)
    (partial / "identity").write_text(identity)
    series, freq = named["series"], named.get("freq")
    groups = _groups(source, series, len(names), memory)
    if series in named.get("static", ()):
        labels = {**labels, series: tuple(groups)}
    made = []
    for group in sorted(set(groups.values())):
        path = partial / f"{group}.npz"
        if not path.is_file():
            wanted = [name for name, of in groups.items() if of == group]
            field = compute.field(series)
            rows = source.to_table(
                columns=names, filter=field.isin(pyarrow.array(wanted, source.schema.field(series).type))
            )
            panel = make(
                rows.to_pandas(),
                **{**named, "freq": freq, "labels": labels, "categories": None, "allow_constant": True},
            )
            _write_group(path, panel)
        with np.load(path) as arrays:
            freq = str(arrays["freq"])
        made.append(path)
    _join(store, identity, made)
    shutil.rmtree(partial)


def _write_group(path, panel):
    described = {
        name: getattr(panel, name)
        for name in (
            "columns",
            "targets",
            "known_future",
            "freq",
            "series",
            "time_name",
            "series_name",
            "static",
            "masked",
        )
    }
    described["labels"] = {name: list(found) for name, found in panel.labels.items()}
    described["timezone"] = None if panel.times.tz is None else str(panel.times.tz)
    described["unit"] = panel.times.unit
    attributes = np.zeros((len(panel.series), 0)) if panel.attributes is None else panel.attributes
    waiting = path.with_suffix(".waiting.npz")
    np.savez(
        waiting,
        values=panel.values,
        filled=panel.filled,
        stamps=panel.times.asi8,
        spans=np.array(panel.spans.tolist()),
        attributes=attributes,
        freq=panel.freq,
        described=json.dumps(described),
    )
    waiting.rename(path)


def _join(store, identity, paths):
    """Writes the arrays of all groups one after the other."""
    sizes, described = [], []
    for path in paths:
        with np.load(path) as arrays:
            sizes.append(len(arrays["stamps"]))
            described.append(json.loads(str(arrays["described"])))
    first = described[0]
    for one in described:
        if (one["timezone"], one["unit"]) != (first["timezone"], first["unit"]):
            raise DataError(
                f"The times of series {one['series'][0]!r} are in the zone {one['timezone']}, those of series "
                f"{first['series'][0]!r} in {first['timezone']}. Expected one zone and one precision."
            )
    total, width = sum(sizes), len(first["columns"])
    with replacing_folder(store) as partial:
        shapes = {
            "values": ((total, width), np.float64),
            "filled": ((total, width), bool),
            "stamps": ((total,), np.int64),
        }
        files = {
            name: np.lib.format.open_memmap(partial / f"{name}.npy", "w+", dtype, shape)
            for name, (shape, dtype) in shapes.items()
        }
        begin, spans, attributes = 0, [], []
        for path, size in zip(paths, sizes, strict=True):
            with np.load(path) as arrays:
                for name, file in files.items():
                    file[begin : begin + size] = arrays[name]
                spans.append(arrays["spans"] + begin)
                attributes.append(arrays["attributes"])
            begin += size
        for file in files.values():
            file.flush()
        np.save(partial / "spans.npy", np.concatenate(spans))
        np.save(partial / "attributes.npy", np.concatenate(attributes))
        series = [name for one in described for name in one["series"]]
        write_json({**first, "series": series, "identity": identity}, partial / "panel.json")


def _opened(store):
    """The panel of a store, whose arrays are mapped."""
    from tfts.data.panel import Panel

    described = json.loads((store / "panel.json").read_text())
    values, filled, stamps = (
        np.load(store / f"{name}.npy", mmap_mode="r") for name in ("values", "filled", "stamps")
    )
    times = pd.DatetimeIndex(stamps.view(f"M8[{described['unit']}]"))
    if described["timezone"] is not None:
        times = times.tz_localize("UTC").tz_convert(described["timezone"])
    return Panel(
        values=values,
        filled=filled,
        times=times,
        spans=Spans(*np.load(store / "spans.npy").T),
        attributes=np.load(store / "attributes.npy") if described["static"] else None,
        labels={name: tuple(found) for name, found in described["labels"].items()},
        **{
            name: tuple(described[name])
            for name in ("columns", "targets", "known_future", "series", "static")
        },
        **{name: described[name] for name in ("freq", "time_name", "series_name", "masked")},
    )
