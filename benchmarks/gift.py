"""Sixteen tasks of the GIFT-Eval leaderboard: our quantiles beside published ones.

    python -m benchmarks.gift --data FOLDER
    python -m benchmarks.gift --data FOLDER --held-out --tasks hospital m4

The folder holds gift/protocol.py, which gives the tasks, their windows and the scores, and published.csv.
One method for all tasks, settings as they come: quantiles 0.1 to 0.9 of the forecaster, fitted once on the
rows before the first window of each series. The context is two horizons, seven seasons or an
eighth of the rows (at most 1,000), whichever is longest, as far as a third of the rows less three horizons allows;
series of a table with many have scales of their own. These rules were chosen with --held-out, which scores
as many windows that end where the first one begins. A figure is that over the published seasonal naive's;
the last row is the geometric mean. MASE is of the quantile 0.5. "80 %" is the share inside the quantiles
0.1 and 0.9, and the lowest and highest at a tenth of the horizon.
"""

import argparse
import os
import sys
import time
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from tfts import Forecaster
from tfts.baselines.seasonal_naive import season_length_of

ROOT = Path(__file__).parents[1]
BESIDE = ("xLSTM-Mixer", "PatchTST", "chronos-2")


def frame_of(series, stop=None):
    """All series as one table; `stop` is a dict of rows to keep of each."""
    parts = []
    for name, frame in series.items():
        part = frame if stop is None else frame.iloc[: stop[name]]
        columns = ["y"] if len(part.columns) == 1 else [str(column) for column in part.columns]
        parts.append(part.set_axis(columns, axis=1).rename_axis("time").reset_index().assign(series=name))
    return pd.concat(parts, ignore_index=True)


def context_length(task, rows, freq):
    """Rows seen, from the rows before the first window."""
    season = max(task.season, season_length_of(freq))
    wanted = max(2 * task.horizon, 7 * season, min(rows // 8, 1000))
    return min(wanted, max(season, (rows - 3 * task.horizon) // 3))


def score(task, method, levels, options):
    """MASE and CRPS of a task, and shares inside the 80 % interval by tenths of the horizon."""
    first = {name: task.cutoffs(frame)[0] for name, frame in task.series.items()}
    freq = pd.infer_freq(next(iter(task.series.values())).index)
    forecaster = Forecaster(
        method,
        context_length=context_length(task, min(first.values()), freq),
        horizon=task.horizon,
        time="time",
        series="series",
        quantiles=levels,
        missing="interpolate",
        limit=None,
        per_series=len(task.series) > 1,
        **options,
    )
    forecaster.fit(forecaster.panel(frame_of(task.series, first), allow_constant=True))
    panel = forecaster.panel(frame_of(task.series), allow_constant=True)
    starts = dict(zip(panel.series, panel.spans.start, strict=True))
    rows = [starts[name] + cut - 1 for name in panel.series for cut in task.cutoffs(task.series[name])]
    found, actual = forecaster.quantile_windows(panel, rows), forecaster.actual(panel, np.array(rows))
    forecasts, at = {}, 0
    for name in panel.series:
        columns = [str(column) for column in task.series[name].columns]
        order = [panel.targets.index(c) for c in columns] if len(columns) > 1 else [0]
        count = len(task.cutoffs(task.series[name]))
        forecasts[name] = [window[:, order].transpose(2, 0, 1) for window in found[at : at + count]]
        at += count
    inside = (found[..., 0] <= actual) & (actual <= found[..., -1])
    there = ~np.isnan(actual)
    tenths = np.array_split(np.arange(task.horizon), 10)
    shares = [inside[:, steps][there[:, steps]].mean() for steps in tenths if len(steps)]
    return (*task.score(forecasts), inside[there].mean(), min(shares), max(shares))


def before(task, kind):
    """The task whose windows end where the first one begins."""
    series = {name: frame.iloc[: task.cutoffs(frame)[0]] for name, frame in task.series.items()}
    return kind(task.name, series, task.horizon, task.season, task.windows)


def main(arguments=None):
    """Prints a row for each task."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(os.environ.get("TFTS_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--method", default="ridge")
    parser.add_argument("--calibration", default="auto")
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--tasks", nargs="*", default=[], help="parts of names")
    given = parser.parse_args(arguments)
    sys.path.insert(0, str(given.data / "gift"))
    import protocol

    warnings.simplefilter("ignore")
    published = pd.read_csv(given.data / "gift" / "published.csv").set_index(["dataset", "method"])
    levels, ratios = protocol.QUANTILES.round(1).tolist(), []
    shown = Table(title=f"{given.method}, over the seasonal naive: MASE and CRPS", box=None)
    for column in ("task", "MASE", "CRPS", "80 %", "at a step", *BESIDE, "seconds"):
        shown.add_column(column, justify="left" if column == "task" else "right")
    for task in protocol.tasks():
        if given.tasks and not any(part in task.name for part in given.tasks):
            continue
        began, own = time.monotonic(), before(task, protocol.Task) if given.held_out else task
        mase, crps, inside, low, high = score(own, given.method, levels, {"calibration": given.calibration})
        naive = published.loc[(task.name, "seasonal_naive")]
        others = [published.loc[(task.name, method)] / naive for method in BESIDE]
        ratios.append([mase / naive.mase, crps / naive.crps, *np.ravel(others)])
        shown.add_row(
            task.name,
            *(f"{ratio:.3f}" for ratio in ratios[-1][:2]),
            *(f"{100 * inside:.0f}", f"{100 * low:.0f}-{100 * high:.0f}"),
            *(f"{other.mase:.3f} {other.crps:.3f}" for other in others),
            f"{time.monotonic() - began:.0f}",
        )
        print(task.name, *(f"{ratio:.3f}" for ratio in ratios[-1][:2]), file=sys.stderr, flush=True)
    mean = np.exp(np.log(ratios).mean(axis=0))
    shown.add_row(
        "geometric mean",
        *(f"{value:.3f}" for value in mean[:2]),
        "",
        "",
        *(f"{mean[i]:.3f} {mean[i + 1]:.3f}" for i in range(2, len(mean), 2)),
        "",
    )
    Console(width=120).print(shown)


if __name__ == "__main__":
    main()
