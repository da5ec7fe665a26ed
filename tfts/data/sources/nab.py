"""Files of the Numenta Anomaly Benchmark, with their labels."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts.data.sources._paths import existing_file
from tfts.data.sources.files import read_file
from tfts.errors import DataError, MissingFileError


def read_nab(path, *, labels=None):
    """Series of NAB: files with `timestamp` and `value`.

    Args:
        path: A file, or a folder with files, in their folders or not.
        labels: `combined_windows.json` of the benchmark; `None` takes `labels/combined_windows.json` of a
            folder above, if there is one; `False` none.

    Returns:
        DataFrame with `series` (folder and file, as in the labels), `time`, `value` and, with labels,
        `label`: 1 in the windows of anomalies, else 0.

    Raises:
        ValueError: If a file is not of the benchmark, or has no entry in the labels.
        FileNotFoundError: If there is no such file.

    Example:

    >>> folder = Path("data", "realKnownCause")
    >>> folder.mkdir(parents=True)
    >>> _ = (folder / "taxi.csv").write_text("timestamp,value\\n2014-07-01 00:00:00,10844\\n")
    >>> read_nab(folder / "taxi.csv").to_dict("records")
    [{'series': 'realKnownCause/taxi.csv', 'time': Timestamp('2014-07-01 00:00:00'), 'value': 10844}]

    Source: Lavin and Ahmad, Evaluating Real-time Anomaly Detection Algorithms, ICMLA 2015.
    """
    path = Path(path)
    files = sorted(path.rglob("*.csv")) if path.is_dir() else [existing_file(path, (".csv",))]
    if not files:
        raise DataError(f"The folder {path} holds no CSV file.")
    windows = _windows(path, labels)
    parts = []
    for file in files:
        frame = read_file(file)
        if not {"timestamp", "value"} <= set(frame.columns):
            raise DataError(
                f"{file} is not a file of NAB. Expected the columns timestamp and value. Received: "
                f"{', '.join(frame.columns)}."
            )
        frame = read_file(file, time="timestamp")
        name = f"{file.parent.name}/{file.name}"
        part = pd.DataFrame({"series": name, "time": frame["timestamp"], "value": frame["value"]})
        if windows is not None:
            if name not in windows:
                raise DataError(
                    f"{unknown('series of the labels', name, windows)} Give labels=False for none."
                )
            inside = np.zeros(len(part), dtype=np.int64)
            for first, last in windows[name]:
                inside |= part["time"].between(pd.Timestamp(first), pd.Timestamp(last)).to_numpy()
            part["label"] = inside
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _windows(path, labels):
    """Dict from series to its windows, `None` without labels."""
    if labels is False:
        return None
    if labels is None:
        above = (folder / "labels" / "combined_windows.json" for folder in path.absolute().parents)
        labels = next((file for file in above if file.is_file()), None)
        if labels is None:
            return None
    if not Path(labels).is_file():
        raise MissingFileError(f"There is no file of labels {labels}. Expected combined_windows.json of NAB.")
    return json.loads(Path(labels).read_text(encoding="utf-8"))
