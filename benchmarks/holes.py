"""What holes in a table cost: 20 % of the values of ETTh1 taken out at random, by what is done about them.

    python -m benchmarks.holes --data FOLDER

full: the table as it is. mask, interpolate, drop: `missing` of a forecaster that is fitted on the table with holes
in training and validation rows, and forecasts from test windows whose contexts have holes too. All are
scored against the full table: 12, 4 and 4 months, 96 rows ahead, MSE of values standardised by the full training
rows, median of the seeds, of which each takes out other values. Windows that end on a filled row are none with
interpolate, and windows that touch a hole are none with drop; "windows" says how many test windows were
forecast, and "same" the MSE of mask on those of interpolate.
"""

import argparse
import os
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from tfts import Forecaster, chronological_split
from tfts.data.forecasts import actual_values
from tfts.errors import DataError

ROOT = Path(__file__).parents[1]
HORIZON, SPLIT = 96, ("2017-06-26", "2017-10-24")
USUAL = {"epochs": 8, "batch_size": 128, "learning_rate": 2e-3, "patience": 2}
# As in configs/benchmarks/etth1.yaml.
MODELS = {
    "linear": (336, {}, USUAL),
    "segment_rnn": (
        336,
        {},
        {**USUAL, "epochs": 7, "batch_size": 64, "learning_rate": 1e-3, "loss": "mae"},
    ),
    "lstm_attention": (96, {"linear_skip": "own"}, USUAL),
    "persistence": (336, {}, {}),
    "seasonal_naive": (336, {"season_length": 24}, {}),
    "ridge": (336, {}, {}),
}
WAYS = ("full", "mask", "interpolate", "drop")


def scored(frame, way, name, seed, share, part="test", changes=None):
    """Origins, squared errors of their windows on average, and the number of windows, of one fit.

    Args:
        frame: The full table.
        way: One of `WAYS`.
        name: Key of `MODELS`.
        seed: Of the holes and of the fit.
        share: Of the values that are taken out.
        part: `"test"`, or `"validation"` to choose by.
        changes: Dict of options of `fit` in place of those in `MODELS`.
    """
    context_length, options, training = MODELS[name]
    holes = np.random.default_rng(seed).random(frame.shape) < share
    given = frame if way == "full" else frame.mask(holes)
    forecaster = Forecaster(
        name,
        context_length=context_length,
        horizon=HORIZON,
        missing="raise" if way == "full" else way,
        model_options=options,
    )
    whole = Forecaster("persistence", context_length=context_length, horizon=HORIZON).panel(frame)
    parts = chronological_split(forecaster.panel(given), *SPLIT)
    fit = {**training, **(changes or {}), "seed": seed, "verbose": 0} if training else {}
    forecaster.fit(parts.train, validation=parts.validation, **fit)
    tested = getattr(parts, part)
    # Windows whose future has holes are scored too: the full table has what happened.
    rows = forecaster.spec.forecast_origins(tested)
    rows = rows[(rows >= tested.spans.target_start[0] - 1) & (rows < tested.spans.observed_end[0] - HORIZON)]
    scale = frame[: SPLIT[0]].iloc[:-1].std(ddof=0).to_numpy()
    error = (forecaster.forecast_windows(tested, rows) - actual_values(whole, rows, forecaster.spec)) / scale
    return pd.Series((error**2).mean(axis=(1, 2)), index=rows)


def compared(frame, models, ways, seeds, share, **options):
    """Rows of model, way, MSE, its ratio to that of the full table, test windows, and MSE of mask on the same."""
    for name in models:
        found = {}
        for way in ways:
            try:
                found[way] = [scored(frame, way, name, seed, share, **options) for seed in range(seeds)]
            except DataError as error:
                yield name, way, str(error).split(". ")[0], "", "0", ""
                continue
            mse = np.median([errors.mean() for errors in found[way]])
            ratio, same = "", ""
            if "full" in found:
                # Of each seed to the same seed with the full table.
                pairs = zip(found[way], found["full"], strict=True)
                ratio = f"{np.median([own.mean() / full.mean() for own, full in pairs]):.3f}"
            if way == "interpolate" and "mask" in found:
                pairs = zip(found["mask"], found[way], strict=True)
                same = f"{np.median([masked[own.index].mean() for masked, own in pairs]):.4f}"
            yield name, way, f"{mse:.4f}", ratio, str(len(found[way][0])), same


def main(arguments=None):
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("TFTS_DATA", ROOT.parent / "shared" / "data"))
    )
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--part", default="test", choices=("test", "validation"))
    parser.add_argument("--share", type=float, default=0.2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="in place of those of the models")
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    frame = pd.read_csv(given.data / "forecast" / "ETTh1.csv", parse_dates=["date"], index_col="date")
    changes = {"epochs": given.epochs} if given.epochs else None
    table = Table("model", "missing", "MSE", "of full", "windows", "same")
    rows = compared(
        frame[:"2018-02-20 23:00"],
        given.models,
        given.ways,
        given.seeds,
        given.share,
        part=given.part,
        changes=changes,
    )
    for row in rows:
        table.add_row(*row)
        print(*row, flush=True)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
