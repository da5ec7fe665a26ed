"""Files of the anomaly benchmarks TSB-AD and TSB-UAD."""

import re

import numpy as np
import pandas as pd

from tfts.data.sources._paths import existing_file, text_of
from tfts.data.sources.files import read_file
from tfts.errors import DataError


def read_tsb(path):
    """A series of TSB-AD (`.csv` with a heading) or TSB-UAD (`.out` without).

    The files hold no times, so rows are numbered.

    Args:
        path: File ending in `.csv` or `.out`, gzipped or not. The name of one of TSB-AD says how many of its first
            rows are for training (`..._tr_1007_1st_2014.csv`).

    Returns:
        DataFrame with `series` (the name of the file), `time` (row numbers from 0), the columns of values
        (`value`, where there is one), `label` (1 in an anomaly), and `is_training`, where the name says it.

    Raises:
        ValueError: If the last column holds no labels.

    Example:

    >>> from pathlib import Path
    >>> _ = Path("001_NAB_tr_1_1st_2.csv").write_text("Data,Label\\n47.6,0\\n42.5,1\\n")
    >>> print(read_tsb("001_NAB_tr_1_1st_2.csv").to_string(index=False))
                series  time  value  label  is_training
    001_NAB_tr_1_1st_2     0   47.6      0         True
    001_NAB_tr_1_1st_2     1   42.5      1        False

    Source: Liu and Paparrizos, The Elephant in the Room: Towards A Reliable Time-Series Anomaly Detection
    Benchmark, NeurIPS Datasets 2024.
    """
    path = existing_file(path, (".csv", ".out"))
    if ".out" in path.suffixes:
        rows = [line.split(",") for line in text_of(path).splitlines() if line.strip()]
        try:
            values = np.array(rows, dtype=np.float64)
        except ValueError as error:
            raise DataError(f"{path} does not hold numbers alone, as many in each row: {error}") from error
        frame = pd.DataFrame(values, columns=[*(f"value_{i}" for i in range(values.shape[1] - 1)), "Label"])
    else:
        frame = read_file(path)
    label = frame.columns[-1]
    if label != "Label" or frame.shape[1] < 2 or not frame[label].isin([0, 1]).all():
        raise DataError(
            f"{path} is not a file of TSB-AD. Expected columns of values and a last one Label of 0 and 1. Received: "
            f"{', '.join(map(str, frame.columns))}."
        )
    columns = list(frame.columns[:-1])
    names = ["value"] if len(columns) == 1 else columns
    made = frame[columns].set_axis(names, axis=1)
    made.insert(0, "series", path.name.removesuffix(".gz").rsplit(".", 1)[0])
    made.insert(1, "time", np.arange(len(frame)))
    made["label"] = frame[label].astype(np.int64)
    training = re.search(r"_tr_(\d+)_", path.name)
    if training:
        made["is_training"] = made["time"] < int(training[1])
    return made
