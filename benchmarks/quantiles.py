"""What quantiles cost, whether they hold their share, and how near to the truth they are.

    python -m benchmarks.quantiles cost
    python -m benchmarks.quantiles coverage --data FOLDER
    python -m benchmarks.quantiles oracle

cost: seconds of all cores of a fit and a prediction of a network with output="quantiles" (nine levels)
over those of the point network, which take turns; the least of some repeats.
coverage: share of the test values inside the 80 % interval, overall and at the horizon steps where it is
lowest and highest, on ETTh1 (96 rows) and bike sharing (24 rows), each split as its config says.
oracle: CRPS of quantiles on hourly_reference.csv over that of quantiles of the truth that made it, and the same of the
mean error of the median; 60 rows in, 10 out, 231 windows; median of the seeds. "calendar" has sines of the hours
of 24, 168 and 336 as columns.
"""

import argparse
import os
import time
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.prediction import make_frame
from tfts import Forecaster, chronological_split

ROOT = Path(__file__).parents[1]
LEVELS = np.arange(1, 10) / 10


def cost(models, windows, epochs, repeats):
    """Rows of model, seconds of fit and prediction with points and with quantiles, and their ratios."""
    frame = make_frame(windows)
    for model in models:
        least = {}
        for _ in range(repeats):
            for output in ("point", "quantiles"):
                forecaster = Forecaster(model, context_length=96, horizon=24, output=output)
                began = time.process_time()
                forecaster.fit(frame, epochs=epochs, patience=None, verbose=0)
                fitted = time.process_time()
                panel = forecaster.panel(frame)
                rows = forecaster.spec.origins(panel)
                if output == "quantiles":
                    forecaster.quantile_windows(panel, rows)
                else:
                    forecaster.forecast_windows(panel, rows)
                for part, seconds in (("fit", fitted - began), ("predict", time.process_time() - fitted)):
                    key = output, part
                    least[key] = min(least.get(key, np.inf), seconds)
        for part in ("fit", "predict"):
            point, found = least["point", part], least["quantiles", part]
            yield model, part, f"{point:.2f}", f"{found:.2f}", f"{found / point:.2f}"


def tables(data):
    """Name, table, options of the forecaster, and where validation and test begin."""
    ett = pd.read_csv(data / "forecast" / "ETTh1.csv", parse_dates=["date"], index_col="date")
    yield (
        "ETTh1",
        ett[:"2018-02-20 23:00"],
        {"context_length": 336, "horizon": 96},
        "2017-06-26",
        "2017-10-24",
    )
    bike = pd.read_csv(data / "forecast" / "bike_sharing_hour.csv")
    bike.index = pd.to_datetime(bike["dteday"]) + pd.to_timedelta(bike["hr"], unit="h")
    known = ["holiday", "workingday", "weathersit", "temp", "hum", "windspeed"]
    options = {"context_length": 168, "horizon": 24, "known_future": known, "calendar": ["24h", "168h"]}
    options |= {"targets": ["casual", "registered", "cnt"], "missing": "interpolate"}
    yield "bike sharing", bike[[*options["targets"], *known]], options, 0.15, 0.15


def coverage(data, methods):
    """Rows of table, method, share inside the 80 % interval, lowest and highest at a step, and CRPS."""
    for name, frame, options, validation, test in tables(data):
        for label, method, own, training in methods:
            forecaster = Forecaster(method, **options, **own)
            parts = chronological_split(forecaster.panel(frame), validation, test)
            began = time.monotonic()
            forecaster.fit(parts.train, validation=parts.validation, **training)
            seconds = time.monotonic() - began
            rows = forecaster.spec.origins(parts.test)
            rows = rows[:: max(1, len(rows) // 2000)]
            found, actual = (
                forecaster.quantile_windows(parts.test, rows, LEVELS),
                forecaster.actual(parts.test, rows),
            )
            there = ~np.isnan(actual)
            inside = np.where(there, (found[..., 0] <= actual) & (actual <= found[..., -1]), 0)
            steps = inside.sum(axis=(0, 2)) / there.sum(axis=(0, 2))
            yield (
                name,
                label,
                *(f"{100 * share:.1f}" for share in (inside.sum() / there.sum(), steps.min(), steps.max())),
                f"{_crps(actual, found):.4g}",
                f"{seconds:.0f}",
            )


def reference_truth(values, rows, horizon, samples=2000):
    """Futures of x1 of hourly_reference.csv by what made it, `(samples, rows, horizon)`.

    Known are the sines of 24, 168 and 336 hours, the trend but for its factor, noise with 0.7 of the last and
    innovations of deviation 0.09, and jumps of one hour, with probability 0.002 and uniform from 0 to 2.5.
    """
    steps = np.arange(len(values) + horizon)
    seasons = sum(
        size * np.sin(2 * np.pi * steps / period) for period, size in ((24, 2.0), (168, 0.8), (336, 0.3))
    )
    trend = 0.001 * steps + 0.05 * np.sin(2 * np.pi * steps / 8760)
    left = values - 1 - seasons[: len(values)]
    # The factor by rows without a jump.
    factor, calm = 1.0, np.ones(len(values), dtype=bool)
    for _ in range(5):
        factor = (left * trend[: len(values)])[calm].sum() / (trend[: len(values)][calm] ** 2).sum()
        calm = np.abs(left - factor * trend[: len(values)]) < 0.6
    noise = left - factor * trend[: len(values)]
    for row in np.flatnonzero(~calm):
        noise[row] = 0.7 * noise[row - 1]
    rng, last = np.random.default_rng(0), noise[rows]
    made = np.empty((samples, len(rows), horizon))
    for step in range(horizon):
        last = 0.7 * last + rng.normal(0, 0.09, (samples, len(rows)))
        jumps = rng.uniform(0, 2.5, last.shape) * (rng.random(last.shape) < 0.002)
        at = rows + 1 + step
        made[..., step] = 1 + seasons[at] + factor * trend[at] + last + jumps
    return made


def oracle(data, methods, seeds):
    """Rows of method, CRPS, that of the truth, ratio, share inside the 80 % interval of method and truth."""
    frame = pd.read_csv(data / "forecast" / "hourly_reference.csv", parse_dates=["time"], index_col="time")
    for label, method, own, training in methods:
        scores = []
        for seed in range(seeds if training else 1):
            forecaster = Forecaster(method, horizon=10, targets=["x1"], **{"context_length": 60, **own})
            panel = forecaster.panel(frame)
            parts = chronological_split(panel, 0.15, 0.15)
            options = {"seed": seed, **training} if training else {}
            forecaster.fit(parts.train, validation=parts.validation, **options)
            rows = np.arange(len(frame) - 241, len(frame) - 10)
            quantiles, actual = (
                forecaster.quantile_windows(panel, rows, LEVELS),
                forecaster.actual(panel, rows),
            )
            truth = reference_truth(frame["x1"].to_numpy(), rows, 10)
            truth = np.moveaxis(np.quantile(truth, LEVELS, axis=0), 0, -1)[..., None, :]
            crps = _crps(actual, quantiles), _crps(actual, truth)
            median = [np.abs(actual - found[..., 4]).mean() for found in (quantiles, truth)]
            scores.append([*crps, *median, _inside(actual, quantiles), _inside(actual, truth)])
        own, true, error, of_truth, inside, held = np.median(scores, axis=0)
        yield (
            label,
            *(f"{number:.4f}" for number in (own, true)),
            *(f"{ratio:.3f}" for ratio in (own / true, error / of_truth)),
            *(f"{100 * share:.1f}" for share in (inside, held)),
        )


def _crps(actual, quantiles):
    error = actual[..., None] - quantiles
    return 2 * np.nanmean(np.maximum(LEVELS * error, (LEVELS - 1) * error))


def _inside(actual, quantiles):
    return ((quantiles[..., 0] <= actual) & (actual <= quantiles[..., -1])).mean()


def main():
    """Prints one of the three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("cost", "coverage", "oracle"))
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("TFTS_DATA", ROOT.parent / "shared" / "data"))
    )
    parser.add_argument("--models", nargs="+", default=["linear", "segment_rnn", "lstm_attention"])
    parser.add_argument("--windows", type=int, default=8000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    levels = LEVELS.tolist()
    training = {"epochs": given.epochs, "verbose": 0} if given.what == "coverage" else {"verbose": 0}
    methods = [("ridge, conformal", "ridge", {"quantiles": levels}, {})]
    methods += [("ridge, adaptive", "ridge", {"quantiles": levels, "calibration": "adaptive"}, {})]
    for model in given.models:
        own = {"output": "quantiles", "quantiles": levels}
        methods.append((f"{model}, quantiles", model, own, training))
        methods.append(
            (f"{model}, quantiles, conformal", model, {**own, "calibration": "conformal"}, training)
        )
    if given.what == "cost":
        columns = ("model", "part", "point s", "quantiles s", "ratio")
        rows = cost(given.models, given.windows, given.epochs, given.repeats)
    elif given.what == "coverage":
        columns = ("table", "method", "80 % holds %", "lowest step", "highest step", "CRPS", "seconds")
        rows = coverage(given.data, methods)
    else:
        columns = ("method", "CRPS", "truth's", "ratio", "ratio of MAE", "80 % holds %", "truth's")
        calendar = {"calendar": ["24h", "168h", "336h"]}
        wide = [
            (f"{label}, calendar", method, {**own, **calendar}, training)
            for label, method, own, training in methods
        ]
        rows = oracle(given.data, [*methods, *wide], given.seeds)
    table = Table(title=given.what, box=None)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i < 2 else "right")
    for row in rows:
        table.add_row(*row)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
