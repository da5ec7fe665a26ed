"""Processor seconds of tables of many short series, and the memory they take.

    python -m benchmarks.many_series
    python -m benchmarks.many_series --cases naive ridge --series 20000

Each case has a process of its own, started here with the tfts that Python finds, so that another build is
measured with its folder on PYTHONPATH:

    PYTHONPATH=OLDER python benchmarks/many_series.py

    python -m benchmarks.many_series --cases parquet frame --series 100000

naive: seasonal_naive on 100 rows of each series, from the table to forecasts of the last origin of each.
ridge: ridge on 60 rows of each. linear: one epoch of the network on these.
parquet: half a million windows of a linear quantile network on 200 rows of each, from a folder of Parquet files
(Panel.from_parquet); frame: the same from a table in memory.
Seconds are those of all cores, of the fit with the making of the panel, and of `predict`; memory is the most that the
process had, over what it had before the table was made.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CASES = {
    "naive": ("seasonal_naive", 100, {"season_length": 7}, {}),
    "ridge": ("ridge", 60, {}, {}),
    "linear": ("linear", 60, {}, {"epochs": 1, "verbose": 0, "linear_start": "zeros"}),
}


# Windows of the network on many files, and its last rows, which are validated on.
WINDOWS, HELD_OUT = 500_000, 14


def folder_of(series, rows, folder):
    """Writes a table as Parquet files of 10,000 series each."""
    from pathlib import Path

    names, frame = Path(folder), table(min(series, 10_000), rows)
    names.mkdir(parents=True, exist_ok=True)
    for part in range(-(-series // 10_000)):
        made = frame.assign(series=f"{part:03d}-" + frame["series"])
        made.to_parquet(names / f"{part:03d}.parquet", index=False)


def measure_files(case, series, folder):
    """Prints windows a second and megabytes of a network that learns from files, or from memory."""
    import pandas as pd

    import tfts.models  # noqa: F401
    from tfts import Forecaster, Panel

    warnings.simplefilter("ignore")
    columns = {"time": "time", "series": "series"}
    # TensorFlow itself is not counted.
    small = table(5, 200)
    options = {"context_length": 28, "horizon": 7, "output": "quantiles", "on_problem": "raise", **columns}
    Forecaster("linear", **options).fit(small, epochs=1, verbose=0)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    if case == "parquet":
        panel = Panel.from_parquet(folder, **columns)
    else:
        panel = Panel.from_frame(pd.read_parquet(folder), **columns)
    read = time.perf_counter()
    forecaster = Forecaster("linear", **options)
    forecaster.fit(
        panel,
        validation=HELD_OUT,
        epochs=2,
        batch_size=512,
        windows_per_epoch=WINDOWS,
        verbose=0,
        linear_start="zeros",
    )
    done, memory = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{case:8} {series:>7} x 200  read {read - began:7.2f} s  fit {done - read:7.2f} s  "
        f"{2 * WINDOWS / (done - read):9.0f} windows/s  {(memory - before) / 1024:6.0f} MB",
        flush=True,
    )


def table(series, rows):
    """A table of daily counts with a weekly season, the series one after the other."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    week = 5 * (np.arange(rows) % 7)
    values = rng.normal(size=(series, rows)) + week + 20 * rng.random((series, 1))
    times = pd.date_range("2024-01-01", periods=rows)
    names = np.char.add("s", np.char.zfill(np.arange(series).astype(str), 6)).astype(object)
    return pd.DataFrame(
        {"series": np.repeat(names, rows), "time": np.tile(times, series), "y": values.ravel()}
    )


def measure(case, series):
    """Prints seconds of fit and prediction, and megabytes."""
    from tfts import Forecaster

    warnings.simplefilter("ignore")
    model, rows, options, training = CASES[case]
    if case == "linear":
        import tfts.models  # noqa: F401
    frame = table(series, rows)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, wall = time.process_time(), time.perf_counter()
    forecaster = Forecaster(
        model, context_length=28, horizon=7, time="time", series="series", model_options=options
    ).fit(frame, **training)
    fitted = time.process_time()
    made = forecaster.predict(frame)
    assert len(made) == 7 * series
    done, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{case:8} {series:>7} x {rows:<4} fit {fitted - began:7.2f} s  predict {done - fitted:7.2f} s  both "
        f"{done - began:7.2f} s  wall {time.perf_counter() - wall:7.2f} s  {(memory - before) / 1024:6.0f} MB",
        flush=True,
    )


FILES = ("parquet", "frame")


def main():
    """Prints a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=[*CASES, *FILES])
    parser.add_argument("--series", nargs="+", type=int, default=[20_000])
    parser.add_argument("--here", metavar="FOLDER", help="measure in this process, on the files of a folder")
    given = parser.parse_args()
    if given.here:
        case, series = given.cases[0], given.series[0]
        measure_files(case, series, given.here) if case in FILES else measure(case, series)
        return
    for series in given.series:
        with tempfile.TemporaryDirectory() as scratch:
            folder = os.path.join(scratch, "sales")
            if set(given.cases) & set(FILES):
                folder_of(series, 200, folder)
            for case in given.cases:
                own = ["--here", folder, "--cases", case, "--series", str(series)]
                subprocess.run([sys.executable, __file__, *own], check=True)


if __name__ == "__main__":
    main()
