"""The tables of a benchmark suite: runs, medians over seeds, differences, and others' numbers."""

import itertools
import json

import numpy as np
import pandas as pd
from rich.markup import escape
from rich.table import Table

from tfts.comparison import Difference, compare_windows, marks, verdict
from tfts.experiment.tables import series_name

# What recurrence and attention earn over a line is seen where they stand apart.
_FAMILIES = {
    "linear maps": ("linear", "linear_regression", "ridge", "nlinear", "dlinear", "rlinear"),
    "recurrent networks": (
        *("segment_rnn", "lstm_seq2seq", "attention_seq2seq", "lstm_attention", "lstm_regressor"),
    ),
}
_RUN_COLUMNS = ["horizon", "label", "model", "family", "seed", "status"]
_COSTS = ["fit_seconds", "predict_seconds", "seconds", "cpu_seconds", "parameters", "memory_mb"]


def family(settings, label):
    """The part of the table in which a method of a suite stands.

    Example:

    >>> from tfts.config import BenchmarkSettings
    >>> settings = BenchmarkSettings.model_validate({
    ...     "data": {"source": "dataset", "name": "sunspots"}, "protocol": {"context_length": 9, "horizons": [3]},
    ...     "baselines": {"drift": {}}, "models": {"short": {"model": "lstm_seq2seq"}, "linear": {}}})
    >>> [family(settings, label) for label in ("drift", "short", "linear")]
    ['simple methods', 'recurrent networks', 'linear maps']
    """
    if label in settings.peers:
        return "neuralforecast"
    entry = (settings.models if label in settings.models else settings.baselines)[label]
    model = entry.get("model", label)
    of = next((name for name, models in _FAMILIES.items() if model in models), None)
    return of or ("other networks" if label in settings.models else "simple methods")


def runs_table(settings, done):
    """A row for each run that is done.

    Args:
        settings: `BenchmarkSettings`.
        done: Dict from the key of a run to its record.

    Returns:
        DataFrame with the columns `horizon`, `label`, `model`, `family`, `seed`, `status`, those
        of the metrics, `validation`, `windows`, `context_length`, `chosen`, costs and versions.

    Example:

    >>> from tfts.config import BenchmarkSettings
    >>> settings = BenchmarkSettings.model_validate({
    ...     "data": {"source": "dataset", "name": "sunspots"}, "protocol": {"context_length": 9, "horizons": [3]},
    ...     "baselines": {"drift": {}}})
    >>> record = {"horizon": 3, "label": "drift", "model": "drift", "seed": 0, "status": "finished",
    ...           "scores": {"mse": 0.5, "mae": 0.25}}
    >>> runs_table(settings, {"3-drift": record})[["label", "family", "mse"]]
       label          family  mse
    0  drift  simple methods  0.5
    """
    rows = []
    for record in done.values():
        rows.append(
            {
                **{name: record.get(name) for name in _RUN_COLUMNS if name != "family"},
                "family": family(settings, record["label"]),
                **{name: record.get("scores", {}).get(name) for name in settings.protocol.metrics},
                **{name: record.get(name) for name in ("validation", "windows", "context_length")},
                "lookback": _lookback(record),
                "chosen": json.dumps(record.get("chosen") or record.get("found") or {}),
                **{name: record.get(name) for name in ("epochs", *_COSTS, "cores", "backend", "device")},
                **{f"{name}_version": number for name, number in record.get("versions", {}).items()},
                "finished": record.get("finished"),
            }
        )
    columns = [*_RUN_COLUMNS, *settings.protocol.metrics]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=columns)


def differences(settings, done, folder):
    """How far the best method of each horizon is from each other one, and whether that holds.

    Args:
        settings: `BenchmarkSettings`.
        done: Dict from the key of a run to its record.
        folder: Folder with the losses of the runs, `KEY.npz`.

    Returns:
        DataFrame with the columns `horizon`, `metric` and those of
        `tfts.comparison.compare_windows`.

    Example:

    >>> from pathlib import Path
    >>> from tfts.config import BenchmarkSettings
    >>> settings = BenchmarkSettings.model_validate({
    ...     "data": {"source": "dataset", "name": "sunspots"}, "protocol": {"context_length": 9, "horizons": [3]},
    ...     "baselines": {"drift": {}, "ridge": {}}})
    >>> random, done = np.random.default_rng(0), {}
    >>> for label, level in (("drift", 2.0), ("ridge", 1.0)):
    ...     np.savez(f"3-{label}.npz", mse=level + random.normal(size=90))
    ...     done[f"3-{label}"] = {"horizon": 3, "label": label, "status": "finished"}
    >>> differences(settings, done, Path("."))[["first", "second", "blocks", "holds"]]
       first second  blocks  holds
    0  ridge  drift      30   True
    """
    metric = settings.protocol.metrics[0]
    loss = "mse" if metric == "rmse" else metric
    losses, places = {}, {}
    for key, record in done.items():
        if record["status"] == "finished":
            with np.load(folder / f"{key}.npz") as kept:
                of = losses.setdefault(record["horizon"], {}).setdefault(record["label"], [])
                of.append(kept[loss].astype(np.float64))
                places[record["horizon"]] = _places(kept, len(of[-1]), series_name(settings.data))
    tables = []
    for horizon in settings.protocol.horizons:
        if len(losses.get(horizon, ())) > 1:
            stacked = {label: np.stack(runs) for label, runs in losses[horizon].items()}
            known = np.all([np.isfinite(runs).all(axis=0) for runs in stacked.values()], axis=0)
            stacked = {label: np.where(known, runs, 0) for label, runs in stacked.items()}
            table = compare_windows(stacked, known, *places[horizon], horizon)
            tables.append(table.assign(horizon=horizon, metric=loss))
    columns = ["horizon", "metric", "first", "second", *Difference._fields, "holds", "over"]
    return pd.concat(tables)[columns] if tables else pd.DataFrame(columns=columns)


def _places(kept, windows, series):
    """Origin and series of each window."""
    if "origin" in kept:
        return kept["origin"], kept["series"]
    # A run of an older version did not keep them: of many series it had one window each.
    each, one = np.arange(windows), np.zeros(windows, dtype=int)
    return (one, each) if series else (each, one)


def summary(settings, runs, compared):
    """Medians and spreads over seeds, best first in each family, and the published numbers.

    Args:
        settings: `BenchmarkSettings`.
        runs: As from `runs_table`.
        compared: As from `differences`.

    Returns:
        DataFrame with the columns `horizon`, `family`, `model`, `lookback`, `seeds`, for each
        metric its median and `METRIC_spread` (largest less smallest), `validation`, costs,
        `chosen` (the lowest on the validation rows of this horizon), `best` (`"best"` where the
        difference to every other method holds; `"tied"` for the lowest otherwise, and for those
        from which its difference does not hold), and `source` of what is published.

    Example:

    >>> from tfts.config import BenchmarkSettings
    >>> settings = BenchmarkSettings.model_validate({
    ...     "data": {"source": "dataset", "name": "sunspots"}, "protocol": {"context_length": 9, "horizons": [3]},
    ...     "models": {"linear": {}}, "published": [{"model": "DLinear", "source": "a paper", "mse": [0.4]}]})
    >>> record = {"horizon": 3, "label": "linear", "model": "linear", "status": "finished", "validation": 0.25}
    >>> runs = runs_table(settings, {seed: {**record, "seed": seed, "scores": {"mse": 0.5 + seed, "mae": 1.0}}
    ...                              for seed in (0, 1, 3)})
    >>> summary(settings, runs, differences(settings, {}, None))[["family", "model", "mse", "mse_spread", "best"]]
            family    model  mse  mse_spread best
    0  linear maps   linear  1.5         3.0
    1    published  DLinear  0.4         NaN
    """
    rows, metrics = [], settings.protocol.metrics
    done = runs[runs["status"] == "finished"]
    for place, horizon in enumerate(settings.protocol.horizons):
        ours = []
        for label, part in done[done["horizon"] == horizon].groupby("label", sort=False):
            row = {"horizon": horizon, "family": part["family"].iloc[0], "model": label}
            row |= {"lookback": _listed(part["lookback"]), "seeds": len(part)}
            for name in metrics:
                row |= {name: part[name].median(), f"{name}_spread": part[name].max() - part[name].min()}
            row["validation"] = pd.to_numeric(part["validation"]).median()
            row |= {name: pd.to_numeric(part[name]).median() for name in _COSTS}
            ours.append({**row, "chosen": False, "best": ""})
        if not ours:
            continue
        ours.sort(key=lambda row: row[metrics[0]])
        _mark(ours, compared[compared["horizon"] == horizon])
        # Families in the order of their best.
        order = list(dict.fromkeys(row["family"] for row in ours))
        rows += sorted(ours, key=lambda row: order.index(row["family"]))
        for row in settings.published:
            scores = {name: (getattr(row, name) or itertools.repeat(None)) for name in metrics}
            scores = {name: next(itertools.islice(iter(of), place, None)) for name, of in scores.items()}
            if any(score is not None for score in scores.values()):
                named = {"horizon": horizon, "family": "published", "model": row.model, "source": row.source}
                lookback = None if row.lookback is None else str(row.lookback)
                rows.append({**named, "lookback": lookback, **scores, "chosen": False, "best": ""})
    spreads = list(itertools.chain.from_iterable((name, f"{name}_spread") for name in metrics))
    first = ["horizon", "family", "model", "lookback", "seeds", *spreads, "validation", *_COSTS]
    table = pd.DataFrame(rows, columns=[*first, "chosen", "best", "source"])
    numbers = [
        *spreads,
        "validation",
        "fit_seconds",
        "predict_seconds",
        "seconds",
        "cpu_seconds",
        "memory_mb",
    ]
    return table.astype({**dict.fromkeys(numbers, float), "seeds": "Int64", "parameters": "Int64"})


def print_suite(settings, table, compared, console):
    """Prints a table for each horizon, families apart, published numbers below.

    Args:
        settings: `BenchmarkSettings`.
        table: As from `summary`.
        compared: As from `differences`.
        console: `rich.console.Console`.

    Example:

    >>> from rich.console import Console
    >>> from tfts.config import BenchmarkSettings
    >>> settings = BenchmarkSettings.model_validate({
    ...     "data": {"source": "dataset", "name": "sunspots"}, "protocol": {"context_length": 9, "horizons": [3]},
    ...     "baselines": {"drift": {}},
    ...     "published": [{"model": "DLinear", "source": "a paper", "mse": [0.4], "mae": [0.5]}]})
    >>> record = {"horizon": 3, "label": "drift", "model": "drift", "status": "finished", "context_length": 9,
    ...           "scores": {"mse": 0.5, "mae": 0.6}, "fit_seconds": 0.0, "predict_seconds": 0.0,
    ...           "seconds": 0.25, "parameters": 0, "memory_mb": 101.5}
    >>> table = summary(settings, runs_table(settings, {"3-drift": record}), differences(settings, {}, None))
    >>> print_suite(settings, table, differences(settings, {}, None), Console(width=100))
    <BLANKLINE>
    Horizon 3, test rows, standardised units
    model           rows seen  seeds  MSE     MAE     fit s  predict s  all s  numbers  MB
    simple methods
    drift           9          1      0.5000  0.6000  0.0    0.0        0.2    0        102
    published
    DLinear [1]                       0.4000  0.5000
    [1] a paper
    """
    metrics = settings.protocol.metrics
    for horizon, part in table.groupby("horizon", sort=False):
        title = f"\nHorizon {horizon}, test rows, {settings.protocol.units} units"
        shown = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
        shown.add_column("model", no_wrap=True)
        for name in (
            "rows seen",
            "seeds",
            *map(str.upper, metrics),
            "fit s",
            "predict s",
            "all s",
            "numbers",
            "MB",
        ):
            shown.add_column(name, no_wrap=True)
        sources = list(part["source"].dropna().unique())
        for of, rows in part.groupby("family", sort=False):
            shown.add_row(f"[bold]{of}[/bold]")
            for row in rows.to_dict("records"):
                shown.add_row(*_cells(row, metrics, sources))
        _print_whole(shown, console)
        for number, source in enumerate(sources, 1):
            console.print(f"[{number}] {source}", markup=False, highlight=False)
        for sentence in _notes(settings, part, compared[compared["horizon"] == horizon]):
            console.print(sentence, markup=False, highlight=False)


def _print_whole(shown, console):
    """Prints a table that would lose its numbers if it were cut to the width of a pipe."""
    width = console.width
    console.width = max(width, 200)
    console.print(shown)
    console.width = width


def _cells(row, metrics, sources):
    name = row["model"]
    if isinstance(row["source"], str):
        name += f" [{sources.index(row['source']) + 1}]"
    scores = []
    for metric in metrics:
        spread = row[f"{metric}_spread"]
        beside = f" ±{spread / 2:.4f}" if not np.isnan(spread) and row["seeds"] > 1 else ""
        scores.append("" if np.isnan(row[metric]) else f"{row[metric]:.4f}{beside}")
    mark = {"best": " *", "tied": " ="}.get(row["best"], "")
    scores[0] += mark
    costs = [
        "" if pd.isna(row[name]) else f"{row[name]:,.{digits}f}"
        for name, digits in zip((*_COSTS[:3], *_COSTS[4:]), (1, 1, 1, 0, 0), strict=True)
    ]
    seeds = "" if pd.isna(row["seeds"]) else str(row["seeds"])
    lookback = row["lookback"] if isinstance(row["lookback"], str) else ""
    return [escape(name), lookback, seeds, *scores, *costs]


def _notes(settings, part, compared):
    """What is to be said below the table of one horizon."""
    metric = settings.protocol.metrics[0]
    name = metric.upper()
    for row in part[part["chosen"]].to_dict("records"):
        yield f"Chosen on validation rows: {row['model']}, {name} {row[metric]:.4f}."
    said = verdict(compared)
    if said:
        symbol = {"best": "* ", "tied": "= "}.get(part["best"].max(), "")
        yield f"{symbol}{said}"


def _mark(rows, compared):
    """Says in the rows of one horizon, best first, which was chosen and which is best."""
    if len(rows) < 2:
        return
    judged = [row for row in rows if not np.isnan(row["validation"])]
    if judged:
        min(judged, key=lambda row: row["validation"])["chosen"] = True
    found = marks(compared)
    for row in rows:
        row["best"] = found.get(row["model"], "")


def _lookback(record):
    """Rows seen, as a method chose them itself or as it was told."""
    found = [one["lookback"] for one in record.get("found") or () if "lookback" in one]
    return _listed(pd.Series(found)) if found else record.get("context_length")


def _listed(values):
    """Different values in words; `None` without any."""
    return ", ".join(str(value) for value in dict.fromkeys(values.dropna())) or None
