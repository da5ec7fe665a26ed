"""Forecasts of a neuralforecast model; runs in an environment of its own, which knows no tfts.

    python forecast.py TASK.json

`tfts benchmark --peers` writes the task and the table and scores what comes out, so that all
methods are judged on the same rows and windows.
"""

import json
import os
import resource
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd


def main():
    """Fits on the training rows, stops on the validation rows, forecasts every test window."""
    # It ends with the process that started it.
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(1)), daemon=True).start()
    task = json.loads(Path(sys.argv[1]).read_text())
    from neuralforecast import NeuralForecast, models
    from torch import get_num_threads

    model = getattr(models, task["model"], None)
    if model is None:
        raise ValueError(f"neuralforecast has no model {task['model']!r}.")
    with np.load(task["table"]) as kept:
        values = kept["values"]
    rows, targets = values.shape
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat([f"{i:05d}" for i in range(targets)], rows),
            "ds": np.tile(np.arange(rows), targets),
            "y": values.T.ravel(),
        }
    )
    quiet = {"enable_progress_bar": False, "logger": False, "enable_checkpointing": False}
    horizon = task["horizon"]
    network = model(h=horizon, random_seed=task["seed"], accelerator="cpu", **quiet, **task["options"])
    began, busy = time.perf_counter(), time.process_time()
    table = NeuralForecast(models=[network], freq=1).cross_validation(
        frame, val_size=task["validation_rows"], test_size=task["test_rows"], n_windows=None, step_size=1
    )
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - busy
    table = table.sort_values(["unique_id", "cutoff", "ds"])
    made = table[task["model"]].to_numpy(dtype=np.float32).reshape(targets, -1, horizon)
    cutoffs = table["cutoff"].to_numpy().reshape(targets, -1, horizon)[0, :, 0]
    np.savez(task["forecasts"], forecasts=made.transpose(1, 2, 0), origins=cutoffs.astype(np.int64))
    told = {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "parameters": sum(weights.numel() for weights in network.parameters()),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "threads": get_num_threads(),
    }
    Path(task["told"]).write_text(json.dumps(told))


if __name__ == "__main__":
    main()
