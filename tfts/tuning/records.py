"""What is written of each trial: read again by every process of a search."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from tfts._files import write_json, write_table
from tfts.tuning.oracles import trial_folder

STATUSES = ("finished", "pruned", "diverged", "failed")
_COLUMNS = ("trial", "status", "score", "epochs", "seconds", "reason")
_FILE = "record.json"


def write_record(directory, record):
    """Writes the record of a trial, which ends it.

    Args:
        directory: Folder of the search.
        record: Dict with the columns of `results_table`, `settings` and `fits`.

    Example:

    >>> record = {"trial": 0, "status": "failed", "score": None, "epochs": 0, "seconds": 1.0,
    ...           "reason": "no memory", "settings": {"units": 32}, "fits": []}
    >>> write_record("search", record)
    >>> read_records("search")[0]["reason"]
    'no memory'
    """
    folder = trial_folder(directory, record["trial"])
    folder.mkdir(parents=True, exist_ok=True)
    write_json(record, folder / _FILE)


def read_record(directory, trial):
    """The record of a trial, `None` where it has not ended.

    Example:

    >>> read_record("search", 3) is None
    True
    """
    path = trial_folder(directory, trial) / _FILE
    return json.loads(path.read_text()) if path.is_file() else None


def read_records(directory):
    """The records of all trials that have ended, in the order of their numbers.

    Example:

    >>> read_records("search")
    []
    """
    paths = sorted(Path(directory).glob(f"trial_*/{_FILE}"), key=lambda path: int(path.parent.name[6:]))
    return [json.loads(path.read_text()) for path in paths]


def results_table(records, names):
    """Records as a table.

    Args:
        records: As from `read_records`.
        names: Names of the settings.

    Returns:
        DataFrame with the columns trial, status, score, epochs, seconds, reason and one
        for each setting (`max_epochs` for a searched `epochs`).

    Example:

    >>> record = {"trial": 0, "status": "finished", "score": 0.5, "epochs": 3, "seconds": 1.0,
    ...           "reason": "the defaults", "settings": {"units": 32}, "fits": []}
    >>> results_table([record], ["units"])
       trial    status  score  epochs  seconds        reason  units
    0      0  finished    0.5       3      1.0  the defaults     32
    """
    table = pd.DataFrame(
        [[record[column] for column in _COLUMNS] for record in records], columns=list(_COLUMNS)
    )
    table["score"] = table["score"].astype(np.float64)
    for name in names:
        values = [record["settings"].get(name) for record in records]
        table["max_epochs" if name == "epochs" else name] = pd.Series(
            [json.dumps(value) if isinstance(value, list | dict) else value for value in values]
        )
    return table


def curves_table(records):
    """The objective of every fit after every epoch.

    Args:
        records: As from `read_records`.

    Returns:
        DataFrame with the columns trial, execution, part, epoch (from 1) and value.

    Example:

    >>> fits = [{"execution": 0, "part": 0, "score": 0.5, "epochs": 2, "curve": [0.75, 0.5]}]
    >>> curves_table([{"trial": 4, "fits": fits}])
       trial  execution  part  epoch  value
    0      4          0     0      1   0.75
    1      4          0     0      2   0.50
    """
    rows = [
        (record["trial"], fit["execution"], fit["part"], epoch, value)
        for record in records
        for fit in record["fits"]
        for epoch, value in enumerate(fit["curve"], 1)
    ]
    return pd.DataFrame(rows, columns=["trial", "execution", "part", "epoch", "value"])


def write_results(directory, names):
    """Writes `results.csv` anew from the records.

    Example:

    >>> write_results(".", ["units"])
    >>> Path("results.csv").read_text().strip()
    'trial,status,score,epochs,seconds,reason,units'
    """
    write_table(results_table(read_records(directory), names), Path(directory) / "results.csv")


def best_record(records):
    """The finished record with the lowest score, the first of equals; `None` without any.

    Example:

    >>> records = [{"trial": t, "status": "finished", "score": s} for t, s in enumerate([2.0, 1.0, 1.0])]
    >>> best_record(records)["trial"]
    1
    """
    finished = [record for record in records if record["status"] == "finished"]
    return min(finished, key=lambda record: record["score"], default=None)
