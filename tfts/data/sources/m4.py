"""The wide files of the M4 competition."""

from pathlib import Path

import numpy as np
import pandas as pd

from tfts.data.sources.files import read_file
from tfts.errors import DataError

# The files of the competition, and the time step of each.
_M4 = {"Yearly": "YS", "Quarterly": "QS", "Monthly": "MS", "Weekly": "7D", "Daily": "D", "Hourly": "h"}


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
        tables.append(read_file(file, series="V1").set_index("V1"))
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
