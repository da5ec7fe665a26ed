"""ARIMA from every origin of a test part, without refitting, beside the simple methods.

One column of ETTh1: parameters are fitted on the first 12 months (8,640 rows), then the
next 96 hours are forecast from each of the 2,785 origins of the last 4 of 20 months. Shown
for each method: seconds to fit and to forecast, and the error on the column standardised
by its training rows. The target is a plain and a seasonal ARIMA in under 60 s each.

Run: `python -m benchmarks.arima_origins --data FOLDER`, where FOLDER holds
`forecast/ETTh1.csv`.
"""

import argparse
import dataclasses
import os
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from tfts.baselines import build_baseline
from tfts.data.panel import Panel
from tfts.data.scaling import Scaler
from tfts.data.spans import Spans
from tfts.data.windows import WindowSpec

METHODS = [
    ("persistence", {}),
    ("seasonal_naive", {}),
    ("drift", {}),
    ("linear_regression", {"alpha": 10.0, "window_norm": "last"}),
    ("ets", {}),
    ("arima", {"order": (2, 1, 2)}),
    ("arima", {"order": (1, 0, 1), "seasonal_order": (1, 1, 1, 24)}),
]


def main(arguments=None):
    """Measures and prints one table for each column."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get("TFTS_DATA", Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder of the data sets")
    parser.add_argument("--columns", nargs="+", default=["OT", "HUFL"], help="columns of ETTh1")
    chosen = parser.parse_args(arguments)
    frame = pd.read_csv(chosen.data / "forecast" / "ETTh1.csv")
    for column in chosen.columns:
        table = Table("method", "options", "fit, s", "forecast, s", "MSE", "MAE", title=f"ETTh1, {column}")
        for name, options, *numbers in measure(frame[["date", column]]):
            given = ", ".join(f"{key}={value}" for key, value in options.items())
            table.add_row(name, given, *(f"{n:.2f}" for n in numbers[:2]), *(f"{n:.4f}" for n in numbers[2:]))
        Console(width=120).print(table)


def measure(frame):
    """Yields name, options, fit seconds, forecast seconds, MSE and MAE of each method."""
    panel = Panel.from_frame(frame, time="date")
    train, test = _part(panel, 0, 8_640), _part(panel, 11_520, 14_400)
    scaler = Scaler("standard").fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    spec = WindowSpec(context_length=336, horizon=96)
    rows = spec.origins(test)
    _, future = spec.arrays(test, rows)
    for name, options in METHODS:
        baseline = build_baseline(name, **options)
        start = time.perf_counter()
        with warnings.catch_warnings():
            # A search that stops early still gives the forecasts that are measured.
            warnings.simplefilter("ignore")
            baseline.fit(train, spec)
        fitted = time.perf_counter()
        error = baseline.predict(test, spec, rows) - future
        done = time.perf_counter()
        yield name, options, fitted - start, done - fitted, np.mean(error**2), np.mean(np.abs(error))


def _part(panel, begin, end):
    return dataclasses.replace(panel, spans=Spans(0, begin, end, end))


if __name__ == "__main__":
    main()
