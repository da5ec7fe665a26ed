"""The table that settings name, and what all forecasters of it share."""

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts.data.datasets import load_dataset
from tfts.data.readers import read_table
from tfts.data.reshaping import long_table, resampled, restamped
from tfts.data.sales import make_sales
from tfts.data.split import chronological_split
from tfts.data.synthetic import make_series
from tfts.data.windows import WindowSpec
from tfts.errors import DataError, UnknownNameError
from tfts.forecaster import Forecaster

# What a part of a split is called in files and messages.
_PARTS = {"train": "training", "validation": "validation", "test": "test"}


def load_frame(settings):
    """The table that the settings name.

    Returns:
        Tuple `(frame, truth)`; `truth` is the `SyntheticSeries` of synthetic data, which
        knows the best possible forecast, and `None` for real data.

    Example:

    >>> from tfts.config import parse_settings
    >>> settings = parse_settings('''
    ... data: {source: synthetic, options: {num_steps: 100}, columns: [x1, x2]}
    ... window: {context_length: 7, horizon: 2}
    ... ''')
    >>> frame, truth = load_frame(settings)
    >>> frame.shape, truth.frame.shape
    ((100, 2), (100, 3))
    """
    data, truth = settings.data, None
    if data.source == "synthetic":
        truth = make_series(**{"seed": settings.seed, **data.options})
        frame = truth.frame
    elif data.source == "sales":
        frame = make_sales(**{"seed": settings.seed, **data.options}).frame
    elif data.source == "dataset":
        frame = load_dataset(data.name)
    else:
        frame = table_of(data, data.path)
    if data.source in ("synthetic", "sales", "dataset") and data.columns is not None:
        for name in data.columns:
            if name not in frame.columns:
                raise UnknownNameError(unknown("column of data.columns", name, frame.columns))
        frame = frame[data.columns]
    frame = _reshaped(frame, data)
    if data.start is not None or data.end is not None:
        times = times_of(frame, time_name(data))
        inside = np.ones(len(frame), dtype=bool)
        if data.start is not None:
            inside &= times >= moment("data.start", data.start, times)
        if data.end is not None:
            inside &= times <= moment("data.end", data.end, times)
        if not inside.any():
            raise DataError(
                f"No row is left from data.start={data.start} to data.end={data.end}: the table goes from "
                f"{times.min()} to {times.max()}."
            )
        frame = frame[inside]
    return frame if data.resample is None else _longer_steps(frame, data), truth


def table_of(data, path):
    """The table in a file, or another place, that is of the kind which the settings describe.

    Args:
        data: `Data` of the settings, whose source reads a file.
        path: Where it is: `data.path`, or a newer file.

    Example:

    >>> from pathlib import Path
    >>> from tfts.config import Data
    >>> _ = Path("shops.csv").write_text("shop,day,sold\\n007,2024-01-31,3\\n")
    >>> data = Data(source="file", path="shops.csv", time="day", series="shop")
    >>> table_of(data, "shops.csv")["shop"].tolist()
    ['007']
    """
    named = {"columns": data.columns, "encoding": data.encoding, "na_values": data.na_values}
    if data.source in ("file", "sql"):
        # A wide table has no series yet; that is what its columns are going to be.
        named |= {"time": data.time, "series": None if data.wide else data.series}
    return read_table(path, data.source, time_format=data.time_format, **named, **data.options)


def _reshaped(frame, data):
    """The table with the times and the series that the settings ask for."""
    if data.stamps is not None:
        frame = restamped(frame, data.time, data.stamps.start, data.stamps.step)
    if data.wide:
        frame = long_table(frame, data.time, data.series)
    if data.shortest is not None:
        name = series_name(data)
        rows = frame.groupby(name)[name].transform("size")
        frame = frame[rows >= data.shortest]
        if frame.empty:
            raise DataError(
                f"No series has data.shortest={data.shortest} rows: the longest has {rows.max()}."
            )
    return frame


def _longer_steps(frame, data):
    frame = frame.assign(**{data.time: times_of(frame, data.time)})
    return resampled(frame, data.time, data.resample.step, data.resample.how, series_name(data))


def times_of(frame, name):
    """The times of a table: its index, or the column of that name.

    Example:

    >>> times_of(pd.DataFrame({"day": ["2024-01-31"], "sold": [7]}), "day")[0].month
    1
    """
    if name is not None and name not in frame.columns:
        raise UnknownNameError(unknown("time column", name, frame.columns))
    try:
        return pd.DatetimeIndex(frame.index if name is None else pd.to_datetime(frame[name]))
    except (ValueError, TypeError) as error:
        at = "The index of the table" if name is None else f"Time column {name!r}"
        raise DataError(f"{at} can't be read as dates ({error}).") from error


def moment(name, value, times):
    """A time of the settings that can be compared with the times of a table, also in a time zone.

    Example:

    >>> moment("data.start", "2024-01-31", pd.DatetimeIndex(["2024-01-30"], tz="UTC"))
    Timestamp('2024-01-31 00:00:00+0000', tz='UTC')
    """
    stamp = pd.Timestamp(value)
    if stamp.tz is not None and times.tz is None:
        raise DataError(
            f"{name} has the time zone {stamp.tz}, but the times of the table have none. Expected a time without a "
            f"zone. Received: {name}={value}."
        )
    return stamp.tz_localize(times.tz) if stamp.tz is None and times.tz is not None else stamp


def forecaster_options(settings, network=False):
    """The arguments that all forecasters of a run share.

    Args:
        settings: Settings with the sections `data`, `window` and perhaps `forecast`.
        network: Whether they are of a network, which may have another output than points.

    Example:

    >>> from tfts.config import parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... window: {context_length: 22, horizon: 3}
    ... ''')
    >>> from tfts.forecaster import Forecaster
    >>> Forecaster("drift", **forecaster_options(settings)).spec.horizon
    3
    """
    data, window, asked = settings.data, settings.window, getattr(settings, "forecast", None)
    described = {}
    if asked is not None:
        described = {"quantiles": asked.quantiles, "calibration": asked.calibration}
    if asked is not None and network:
        described["output"] = asked.output
    elif asked is not None and (asked.calibration == "none" or asked.quantiles is None):
        # A baseline has quantiles from its errors, or none.
        described["calibration"] = "auto"
    return {
        **described,
        "context_length": window.context_length,
        "horizon": window.horizon,
        "stride": window.stride,
        "targets": data.targets,
        "known_future": data.known_future,
        "calendar": data.calendar,
        "time": time_name(data),
        "series": series_name(data),
        "freq": data.freq,
        "missing": data.missing,
        "limit": data.limit,
        "duplicates": data.duplicates,
        "scaler": data.scaler,
        "per_series": data.per_series,
        "static": data.static,
        "categories": data.categories,
        "series_embedding": data.series_embedding,
        "on_problem": data.on_problem,
        "fallback": data.fallback,
    }


def time_name(data):
    """The time column of the table as it is read: two columns become one, `time`.

    Example:

    >>> from tfts.config import Data
    >>> time_name(Data(source="file", path="bike.csv", time=["dteday", "hr"]))
    'time'
    """
    return "time" if isinstance(data.time, list) else data.time


def series_name(data):
    """The series column of the table as it is read: several columns become one.

    Example:

    >>> from tfts.config import Data
    >>> series_name(Data(source="file", path="sales.csv", series=["store", "item"]))
    'store/item'
    """
    return "/".join(data.series) if isinstance(data.series, list) else data.series


def read_parts(settings):
    """The table that settings name, checked and split.

    Args:
        settings: Settings with the sections `data`, `window` and `split`.

    Returns:
        Tuple `(frame, truth, panel, parts)`: see `load_frame`; a `Panel`; a `Split`.

    Raises:
        ValueError: If the table can't be used; the message names the settings for this.

    Example:

    >>> from tfts.config import parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... window: {context_length: 22, horizon: 3}
    ... ''')
    >>> _, _, panel, parts = read_parts(settings)
    >>> len(panel.times), parts.test.times[parts.test.spans[0].target_start].year
    (309, 1963)
    """
    frame, truth = load_frame(settings)
    try:
        shown = Forecaster("persistence", **forecaster_options(settings))
        panel = shown.panel(frame, allow_constant="some" if shown.stands_in else False)
    except DataError as error:
        raise DataError(
            f"{error}\nThe settings for this are data.columns, data.missing, data.limit, data.duplicates and "
            "data.freq; on the command line, for example: --set data.missing=drop"
        ) from error
    split, horizon = settings.split, settings.window.horizon
    shares = split.validation, split.test, split.gap, split.context
    parts = chronological_split(panel, *shares, at_least=horizon, allow_empty=shown.stands_in)
    return frame, truth, panel, parts


def digests(parts):
    """By what the rows of each part are known, to find them again or changed.

    Args:
        parts: As from `chronological_split`.

    Returns:
        Dict from the name of each part that is there to its digest.

    Example:

    >>> from tfts.data.datasets import load_dataset
    >>> from tfts.data.panel import Panel
    >>> parts = chronological_split(Panel.from_frame(load_dataset("sunspots")), validation=0.15, test=0.15)
    >>> list(digests(parts))
    ['training', 'validation', 'test']
    """
    return {_PARTS[name]: part.digest() for name, part in parts._asdict().items() if part is not None}


def described_data(panel):
    """What the report tells of the table, which it does not read again.

    Args:
        panel: `Panel` in original units.

    Returns:
        Dict for `run.json`.

    Example:

    >>> from tfts.data.datasets import load_dataset
    >>> from tfts.data.panel import Panel
    >>> described_data(Panel.from_frame(load_dataset("sunspots")))["rows"]
    309
    """
    at = panel.spans.rows()
    absent = panel.filled[at]
    filled = absent & ~np.isnan(panel.values[at])
    return {
        "rows": len(at),
        "columns": list(panel.columns),
        "targets": list(panel.targets),
        "known_future": list(panel.known_future),
        "series": len(panel.series),
        "start": str(panel.shown(panel.times[at]).min()),
        "end": str(panel.shown(panel.times[at]).max()),
        "freq": panel.freq,
        "timezone": None if panel.times.tz is None else str(panel.times.tz),
        "gaps": {
            column: {"missing": int(absent[:, i].sum()), "filled": int(filled[:, i].sum())}
            for i, column in enumerate(panel.columns)
        },
    }


def described_split(parts, window):
    """What the report tells of the parts: their rows, times and windows.

    Args:
        parts: As from `chronological_split`.
        window: `Window` of the settings.

    Returns:
        Dict for `run.json`.

    Example:

    >>> from tfts.config import Window
    >>> from tfts.data.datasets import load_dataset
    >>> from tfts.data.panel import Panel
    >>> parts = chronological_split(Panel.from_frame(load_dataset("sunspots")), validation=0.15, test=0.15)
    >>> described_split(parts, Window(context_length=22, horizon=3))["test"]["rows"]
    46
    """
    described = {}
    for name, part in parts._asdict().items():
        if part is None:
            continue
        times = part.shown(part.times[part.spans.rows()])
        stride = window.stride if name == "train" else 1
        spec = WindowSpec(window.context_length, window.horizon, stride=stride)
        described[_PARTS[name]] = {
            "rows": len(times),
            "start": str(times.min()),
            "end": str(times.max()),
            "windows": spec.count(part),
        }
    return described
