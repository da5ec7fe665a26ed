"""Latency, load time and size of an exported model through TensorFlow's C API, on one core.

python -m benchmarks.serving_latency
python -m benchmarks.serving_latency --models lstm_attention linear
"""

import argparse
import os
import tempfile
import time

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

CONTEXT, HORIZON, COLUMNS = 60, 10, 3
MODELS = ("lstm_attention", "lstm_seq2seq", "attention_seq2seq", "linear")


def fitted(model):
    """A forecaster of one of three columns, of the default size (50 units where it has units)."""
    from tfts import Forecaster

    noise = np.random.default_rng(0).normal(size=(500, COLUMNS))
    hours = pd.date_range("2024-01-01", periods=len(noise), freq="h")
    frame = pd.DataFrame(1000 + noise, columns=["load", "heat", "wind"], index=hours)
    settings = {"context_length": CONTEXT, "horizon": HORIZON, "targets": ["load"]}
    return Forecaster(model, **settings).fit(frame, epochs=1, verbose=0), frame


def keras_latency(forecaster, frame, repeats):
    """Milliseconds of `model.predict` on one window, the median."""
    panel = forecaster.panel(frame)
    window = forecaster.inputs(panel, forecaster.spec.forecast_origins(panel)[-1:])
    forecaster.model.predict(window, verbose=0)
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        forecaster.model.predict(window, verbose=0)
        seconds.append(time.perf_counter() - began)
    return 1e3 * float(np.median(seconds))


def main(arguments=None):
    """Exports each model and prints one row for it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--repeats", type=int, default=300)
    chosen = parser.parse_args(arguments)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    from tfts.serving import export, verify

    table = Table(title=f"C API and model.predict, {CONTEXT} x {COLUMNS} in, {HORIZON} out, one core")
    times = ("batch 1, ms (p50)", "p99", "batch 64, ms (p50)", "p99", "predict, ms")
    for column in ("model", *times, "x", "load s", "MB"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for name in chosen.models:
        forecaster, frame = fitted(name)
        with tempfile.TemporaryDirectory() as folder:
            found = verify(export(forecaster, folder), threads=1, repeats=chosen.repeats)
        one, many = found.latency_ms
        keras = keras_latency(forecaster, frame, chosen.repeats // 3)
        times = (one["p50"], one["p99"], many["p50"], many["p99"])
        table.add_row(
            name,
            *(f"{value:.2f}" for value in times),
            f"{keras:.0f}",
            f"{keras / one['p50']:.0f}",
            f"{found.load_seconds:.2f}",
            f"{found.size_mb:.2f}",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
