"""The wide files of the M5 competition."""

import numpy as np
import pandas as pd

from tfts.data.sources._paths import existing_file
from tfts.data.sources.files import read_file
from tfts.errors import DataError

_FIRST_DAY = "2011-01-29"


def read_m5(path):
    """Units sold a day from a file of M5: a row for each item and store, a column for each day.

    Args:
        path: `sales_train_evaluation.csv` or `sales_train_validation.csv`, gzipped or not.

    Returns:
        DataFrame with `series` (`id`), `time` (`d_1` is 2011-01-29), `value` and the other columns of
        the file as categories: item, department, category, store, state.

    Raises:
        ValueError: If the file has no column `id`, or none of days.

    Example:

    >>> from pathlib import Path
    >>> _ = Path("sales.csv").write_text("id,store_id,d_1,d_2\\nHOBBIES_1_001_CA_1_evaluation,CA_1,0,3\\n")
    >>> print(read_m5("sales.csv").to_string(index=False))
                           series       time  value store_id
    HOBBIES_1_001_CA_1_evaluation 2011-01-29      0     CA_1
    HOBBIES_1_001_CA_1_evaluation 2011-01-30      3     CA_1

    Source: Makridakis, Spiliotis and Assimakopoulos, The M5 accuracy competition, International
    Journal of Forecasting, 2022.
    """
    frame = read_file(existing_file(path, (".csv",)))
    days = [name for name in frame.columns if name.startswith("d_") and name[2:].isdigit()]
    if "id" not in frame.columns or not days:
        raise DataError(
            f"{path} is not a file of M5. Expected a column id and days d_1, d_2, ... Received: "
            f"{', '.join(frame.columns[:8])}."
        )
    times = pd.DatetimeIndex(
        pd.to_datetime(_FIRST_DAY) + pd.to_timedelta([int(day[2:]) - 1 for day in days], unit="D")
    )
    rows = len(frame)
    table = {
        "series": np.repeat(frame["id"].astype(str).to_numpy(dtype=object), len(days)),
        "time": times.to_numpy()[np.tile(np.arange(len(days)), rows)],
        "value": frame[days].to_numpy().ravel(),
    }
    for name in frame.columns:
        if name != "id" and name not in days:
            kind = pd.Categorical(frame[name].astype(str))
            table[name] = pd.Categorical.from_codes(np.repeat(kind.codes, len(days)), dtype=kind.dtype)
    return pd.DataFrame(table)
