"""A searched network on the reference task, beside its default settings.

hourly_reference.csv: 60 rows in, 10 out, target x1, split 70/15/15 as in
`benchmarks.hourly_reference`. For each seed attention_seq2seq is searched, without and
with calendar columns, in SPACE or in its own default space. Settings are judged on three
stretches before the test rows, each by a network fitted on the rows before it, and the test
rows are scored once when all searches are done: default settings and best settings, both
fitted on the training rows, and best settings refitted on training and validation rows.
Asked for in at most 15 minutes a search on two cores: RMSE 0.212 and MAE 0.128 without the
calendar, 0.205 and 0.122 with it, and never worse than the default settings.

    python -m benchmarks.tuning_reference --data FOLDER --budget-seconds 840
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.hourly_reference import REFERENCE
from tfts.config import read_settings
from tfts.experiment.tables import forecaster_options
from tfts.forecaster import Forecaster
from tfts.tuning.table_trials import TableTrials

ROOT = Path(__file__).parents[1]
CALENDAR = ["24h", "168h", "336h"]
SPACE = {
    "units": {"values": [8, 16, 32]},
    "num_heads": {"values": [2, 4], "divides": "units"},
    "dropout": {"values": [0.0, 0.2]},
    "linear_skip": {"values": ["own", "all"]},
    "linear_start": {"values": ["zeros", "ridge"]},
    "learning_rate": {"min": 1e-4, "max": 1e-2, "log": True},
    "weight_decay": {"min": 1e-4, "max": 1e-1, "log": True},
    "loss": {"values": ["mse", {"class_name": "Huber", "config": {"delta": 0.5}}]},
    "epochs": {"values": [4, 8, 12]},
}
# Share of the rows before the test rows on which settings are judged. One short stretch is one
# mood of the series: on the last 15 % alone, other columns look better than the calendar does.
JUDGED = 0.4
# The windows of the reference task: 231 of 10 rows.
ROWS = 2310


def search_once(settings, frame, calendar, seed, chosen, directory):
    """One search, and the forecasters to be scored when all searches are done.

    Args:
        settings: `Settings` of the reference task; only its data, windows and split are used.
        frame: DataFrame in original units, test rows too, which the search does not see.
        calendar: List of calendar columns.
        seed: Of the search and of every fit.
        chosen: Parsed arguments.
        directory: Folder of the search.

    Returns:
        Tuple of the `Search`, a dict from name to fitted `Forecaster`, the `Split`, and the
        seconds that the search took.
    """
    from tfts import chronological_split, search

    common = {**forecaster_options(settings), "calendar": calendar}
    panel = Forecaster(chosen.model, **common).panel(frame)
    split = settings.split
    parts = chronological_split(panel, split.validation, split.test, split.gap, split.context)
    # Every trial is another network: compiling each with XLA costs more than it saves.
    training = {"jit_compile": False} | ({"epochs": chosen.epochs} if chosen.epochs else {})
    before = frame.iloc[: parts.test.spans[0].target_start]
    began = time.monotonic()
    found = search(
        chosen.model,
        before,
        space=SPACE if chosen.space == "reference" else "default",
        tuner=chosen.tuner,
        max_trials=chosen.max_trials,
        budget_seconds=chosen.budget_seconds,
        validation=JUDGED,
        rolling_origins=chosen.rolling_origins,
        seed=seed,
        directory=directory,
        training=training,
        **common,
    )
    seconds = time.monotonic() - began
    default = Forecaster(chosen.model, **common)
    default.fit(parts.train, validation=parts.validation, seed=seed, verbose=0, **training)
    fitted = {"default": default}
    trials = TableTrials(chosen.model, before, common, training)
    options = dict(trials.options(found.best_settings, seed))
    best = trials.forecaster(found.best_settings)
    fitted["best"] = best.fit(parts.train, validation=parts.validation, **options)
    fitted["best, refitted"] = found.best_forecaster(refit=True)
    return found, fitted, parts, seconds


def main(arguments=None):
    """Searches with every seed, then scores the test rows and prints the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get("TFTS_DATA", ROOT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder of the data sets")
    parser.add_argument(
        "--output", type=Path, default=Path("runs/tuning_reference"), help="folder of the searches"
    )
    parser.add_argument("--model", default="attention_seq2seq")
    parser.add_argument("--space", choices=["reference", "default"], default="reference")
    parser.add_argument("--tuner", default="bayesian")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--max-trials", type=int, default=60)
    parser.add_argument("--budget-seconds", type=float, default=840, help="of each search")
    parser.add_argument("--rolling-origins", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="most epochs of a trial; the default of fit otherwise")
    parser.add_argument("--calendar", choices=["without", "with", "both"], default="both")
    chosen = parser.parse_args(arguments)
    path = chosen.data / "forecast" / "hourly_reference.csv"
    settings = read_settings(ROOT / "configs" / "hourly_reference.yaml", [f"data.path={path}"])
    frame, console = pd.read_csv(path, parse_dates=["time"]), Console(width=120)
    done = []
    for which, calendar in (("without", []), ("with", CALENDAR)):
        if chosen.calendar not in (which, "both"):
            continue
        for seed in range(chosen.seeds):
            directory = chosen.output / f"{chosen.model}-{which}-calendar-{seed}"
            found, fitted, parts, seconds = search_once(settings, frame, calendar, seed, chosen, directory)
            results = found.results()
            changed = {k: v for k, v in found.best_settings.items() if v != found.default_settings.get(k)}
            console.print(
                f"{which} calendar, seed {seed}: {len(results)} trials in {seconds:.0f} s, val_rmse "
                f"{results['score'].iloc[0]:.4f} to {found.best_score:.4f} with {changed}",
                markup=False,
            )
            done.append((which, seed, fitted, parts, seconds, len(results)))
    console.print("All searches are done: the test rows are scored now, for the first time.")
    rows = []
    for which, seed, fitted, parts, seconds, trials in done:
        for name, forecaster in fitted.items():
            score = forecaster.evaluate(parts.test, ["rmse", "mae"]).iloc[0]
            if score["count"] != ROWS and forecaster.spec.context_length == settings.window.context_length:
                raise ValueError(f"Expected {ROWS} scored rows. Received: {score['count']}.")
            rows.append((which, name, seed, score["rmse"], score["mae"], score["count"], seconds, trials))
    columns = ["calendar", "settings", "seed", "rmse", "mae", "count", "seconds", "trials"]
    measured = pd.DataFrame(rows, columns=columns)
    chosen.output.mkdir(parents=True, exist_ok=True)
    measured.to_csv(chosen.output / "scores.csv", index=False)
    table = Table("calendar", "settings", "RMSE", "MAE", "each seed's RMSE", "rows", "search s", "trials")
    groups = measured.groupby(["calendar", "settings"], sort=False)
    for (which, name), part in groups:
        seeds = ", ".join(f"{rmse:.4f}" for rmse in part["rmse"])
        median = part.median(numeric_only=True)
        cells = [f"{median[c]:.4f}" for c in ("rmse", "mae")]
        numbers = [f"{median[c]:.0f}" for c in ("count", "seconds", "trials")]
        table.add_row(which, name, *cells, seeds, *numbers)
    table.add_section()
    for name, rmse, mae in REFERENCE[-3:]:
        table.add_row("", name, f"{rmse:.4f}", f"{mae:.4f}")
    console.print(table)


if __name__ == "__main__":
    main()
