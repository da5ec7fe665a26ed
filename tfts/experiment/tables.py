"""The table that settings name, and what all forecasters of it share."""

import numpy as np
import pandas as pd

from tfts.data.datasets import load_dataset
from tfts.data.readers import read_m4, read_table
from tfts.data.sales import make_sales
from tfts.data.synthetic import make_series


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
    elif data.source == "m4":
        frame = read_m4(data.path)
    else:
        frame = read_table(
            data.path, columns=data.columns, time=data.time, encoding=data.encoding, na_values=data.na_values
        )
    if data.source != "file" and data.columns is not None:
        frame = frame[data.columns]
    if data.start is not None or data.end is not None:
        name = time_name(data)
        times = pd.DatetimeIndex(frame.index if name is None else pd.to_datetime(frame[name]))
        inside = np.ones(len(frame), dtype=bool)
        if data.start is not None:
            inside &= times >= pd.Timestamp(data.start)
        if data.end is not None:
            inside &= times <= pd.Timestamp(data.end)
        frame = frame[inside]
    return frame, truth


def forecaster_options(settings):
    """The arguments that all forecasters of a run share.

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
    data, window = settings.data, settings.window
    return {
        "context_length": window.context_length,
        "horizon": window.horizon,
        "stride": window.stride,
        "targets": data.targets,
        "known_future": data.known_future,
        "calendar": data.calendar,
        "time": time_name(data),
        "series": data.series,
        "freq": data.freq,
        "missing": data.missing,
        "limit": data.limit,
        "duplicates": data.duplicates,
        "scaler": data.scaler,
        "per_series": data.per_series,
    }


def time_name(data):
    """The time column of the table as it is read: two columns become one, `time`.

    Example:

    >>> from tfts.config import Data
    >>> time_name(Data(source="file", path="bike.csv", time=["dteday", "hr"]))
    'time'
    """
    return "time" if isinstance(data.time, list) else data.time
