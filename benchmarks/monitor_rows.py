"""Rows a second that a live monitor judges, on one core, and whether its memory stays flat.

python -m benchmarks.monitor_rows
python -m benchmarks.monitor_rows --rows 1000000
"""

import argparse
import os
import resource
import time

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

MODELS = {"linear_regression": 28, "running_median": 28, "lstm_regressor": 28}


def usual_rows(num_rows):
    """An hourly series with a day, a week and noise."""
    hours = np.arange(num_rows)
    noise = np.random.default_rng(0).normal(0, 0.3, num_rows)
    load = 10 + 3 * np.sin(hours * np.pi / 12) + np.sin(hours * np.pi / 84) + noise
    return pd.DataFrame({"load": load}, index=pd.date_range("2024-01-01", periods=num_rows, freq="h"))


def judge_rows(model, context_length, num_rows):
    """Rows a second, and peak memory in MiB after the first tenth and at the end.

    Args:
        model: As in `AnomalyDetector`.
        context_length: Rows that it sees.
        num_rows: Rows to judge.
    """
    from tfts import MODELS as NETWORKS
    from tfts import AnomalyDetector

    training = {"epochs": 2, "verbose": 0} if model in NETWORKS else {}
    frame = usual_rows(2000 + num_rows)
    detector = AnomalyDetector(model, context_length=context_length).fit(frame[:2000], **training)
    monitor = detector.monitor()
    times, values = frame.index[2000:], frame["load"].to_numpy()[2000:]
    began, early = time.perf_counter(), None
    for i, (stamp, value) in enumerate(zip(times, values, strict=True)):
        monitor.update({"time": stamp, "load": value})
        if i == num_rows // 10:
            early = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = time.perf_counter() - began
    return num_rows / seconds, early, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(arguments=None):
    """Runs each model and prints one row for it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    chosen = parser.parse_args(arguments)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    table = Table(title=f"AnomalyDetector.monitor(), {chosen.rows:,} rows one by one, one core")
    for column in ("model", "rows a second", "peak MiB after a tenth", "peak MiB at the end"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for model in chosen.models:
        table.add_row(model, *(f"{value:,.0f}" for value in judge_rows(model, MODELS[model], chosen.rows)))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
