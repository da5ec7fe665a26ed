"""Scores of the methods of a run on the same test windows, and the forecasts that prove them."""

import os
import time
from typing import NamedTuple

import numpy as np
import pandas as pd

from tfts._files import write_table
from tfts.calibration.believed import coverage_table
from tfts.comparison import compare_windows, marks
from tfts.data.forecasts import forecast_table
from tfts.metrics import ErrorSums


class Scores(NamedTuple):
    """What `score_methods` gives.

    Attributes:
        table: DataFrame with the rows of `model_metrics.csv`, best first for each target.
        compared: DataFrame with the rows of `differences.csv`.
        steps: DataFrame with the rows of `step_metrics.csv`.
        rows: Int `(windows,)`: rows of the origins of the test windows.
        examples: Dict from method to its forecasts of the window in the middle, `example`.
        example: Int, the row of its origin.
        fans: Dict from method to the quantiles of its first target in that window: DataFrame
            `(horizon, levels)`.
        held: Dict from the name of a file to its rows, DataFrames; empty without quantiles. `intervals`: what
            the widest interval held, see `coverage_table`; `reliability`, `interval_widths` and `pit`: see
            `ErrorSums.reliability`, `intervals` and `pit`, for each method and target.

    Example:

    >>> Scores._fields
    ('table', 'compared', 'steps', 'rows', 'examples', 'example', 'fans', 'held')
    """

    table: pd.DataFrame
    compared: pd.DataFrame
    steps: pd.DataFrame
    rows: np.ndarray
    examples: dict
    example: int
    fans: dict
    held: dict


def score_methods(fitted, truth, test, path):
    """Forecasts all test windows with every method, writes the forecasts, and scores them.

    Args:
        fitted: Dict from name to fitted `Forecaster`, `"persistence"` among them.
        truth: `SyntheticSeries` of synthetic data, whose best possible forecast is scored
            too, or `None`.
        test: `Panel` of the test rows.
        path: Path of the file for the forecasts, which ends in `.csv` or `.parquet`.

    Returns:
        `Scores`.

    Example:

    >>> from pathlib import Path
    >>> from tfts.data.datasets import load_dataset
    >>> from tfts.data.panel import Panel
    >>> from tfts.data.split import chronological_split
    >>> from tfts.forecaster import Forecaster
    >>> panel = Panel.from_frame(load_dataset("sunspots"))
    >>> parts = chronological_split(panel, validation=0.15, test=0.15)
    >>> forecaster = Forecaster("persistence", context_length=22, horizon=3).fit(parts.train)
    >>> score_methods({"persistence": forecaster}, None, parts.test, Path("forecasts.csv")).table["count"].tolist()
    [132]
    """
    first = fitted["persistence"]
    rows = first.spec.origins(test)
    middle = len(rows) // 2
    scores, steps, examples, squares, fans, held = [], [], {}, {}, {}, {}
    with _ForecastWriter(path) as writer:
        actual = first.actual(test, rows)
        levels = sorted({level for forecaster in fitted.values() for level in forecaster.quantiles})
        writer.write("actual", _with_quantiles(test, rows, actual, None, (), levels))
        for name, forecasts, quantiles, own, labels in _forecasts(fitted, truth, test, rows):
            sums = ErrorSums(first.spec.horizon, test.targets, levels=own or None)
            first.add_errors(sums, test, rows, forecasts, quantiles)
            scores.append(sums.score(by="target").assign(model=name, **labels))
            steps.append(sums.score(by="target_step").assign(model=name))
            examples[name] = forecasts[middle]
            if name != "oracle":
                squares[name] = np.nansum((forecasts - actual) ** 2, axis=1)
            writer.write(name, _with_quantiles(test, rows, forecasts, quantiles, own, levels))
            if quantiles is not None:
                fans[name] = pd.DataFrame(quantiles[middle, :, 0], columns=list(own))
                found = _held(sums, actual, quantiles, own, first.spec, test, rows)
                for of, part in found.items():
                    part.insert(0, "model", name)
                    held.setdefault(of, []).append(part)
    compared = _compared(squares, np.isfinite(actual).sum(axis=1), first.spec, test, rows)
    table = _ranked(pd.concat(scores, ignore_index=True), test.targets, compared)
    steps = pd.concat(steps, ignore_index=True)
    steps = steps[["model", *steps.columns.drop("model")]]
    held = {of: pd.concat(parts, ignore_index=True) for of, parts in held.items()}
    return Scores(table, compared, steps, rows, examples, rows[middle], fans, held)


def _held(sums, actual, quantiles, levels, spec, test, rows):
    """What the quantiles of a method held, see `Scores`."""
    places = test.times[rows].asi8, test.series_of(rows)
    return {
        "intervals": coverage_table(actual, quantiles, levels, test.targets, *places, spec.horizon),
        "reliability": sums.reliability("target"),
        "interval_widths": sums.intervals("target"),
        "pit": sums.pit("target"),
    }


def _with_quantiles(test, rows, forecasts, quantiles, own, levels):
    """Forecasts as a table with a column for each level, empty where a method has none."""
    whole = np.full((*forecasts.shape, len(levels)), np.nan)
    for k, level in enumerate(own):
        whole[..., levels.index(level)] = quantiles[..., k]
    return forecast_table(test, rows, forecasts, whole, levels)


def _forecasts(fitted, truth, test, rows):
    """Yields name, forecasts, quantiles, their levels and what they cost, one method after the other.

    Of synthetic series the last is the oracle, the best possible forecast.
    """
    for name, forecaster in fitted.items():
        began, own, quantiles = time.monotonic(), forecaster.quantiles, None
        forecasts = forecaster.forecast_windows(test, rows)
        if own:
            quantiles = forecaster.quantile_windows(test, rows)
        yield (
            name,
            forecasts,
            quantiles,
            own,
            {
                "fit_seconds": forecaster.fit_seconds_,
                "predict_seconds": time.monotonic() - began,
                "parameters": forecaster.num_parameters,
            },
        )
    if truth is not None:
        place = truth.frame.index.get_indexer(test.times[rows])
        columns = [list(truth.frame.columns).index(target) for target in test.targets]
        horizon = next(iter(fitted.values())).spec.horizon
        yield "oracle", truth.oracle(place, horizon)[..., columns], None, (), {}


def _compared(squares, counts, spec, test, rows):
    """How far the best method of each target is from each other one, and whether that holds."""
    places = test.times[rows].asi8, test.series_of(rows)
    tables = []
    for i, target in enumerate(test.targets):
        sums = {name: of[:, i] for name, of in squares.items()}
        tables.append(compare_windows(sums, counts[:, i], *places, spec.horizon).assign(target=target))
    # A target without an observed row has none, whose columns would be of no type.
    table = pd.concat([t for t in tables if len(t)] or tables, ignore_index=True).assign(metric="mse")
    return table[["target", "metric", *table.columns.drop(["target", "metric"])]]


def _ranked(table, targets, compared):
    """The best model first for each target, with its skill against persistence and its mark."""
    table["parameters"] = table["parameters"].astype("Int64")
    yardstick = table[table["model"] == "persistence"].set_index("target")["rmse"]
    table["skill"] = 1 - table["rmse"] / table["target"].map(yardstick)
    named = {target: marks(compared[compared["target"] == target]) for target in targets}
    table["best"] = [named[row.target].get(row.model, "") for row in table.itertuples()]
    table["target"] = pd.Categorical(table["target"], categories=targets)
    table = table.sort_values(["target", "rmse"], ignore_index=True)
    ends = ["fit_seconds", "predict_seconds", "parameters"]
    return table[["model", *table.columns.drop(["model", *ends]), *ends]]


class _ForecastWriter:
    """Writes the forecasts of one model after the other; the file appears when all are there."""

    def __init__(self, path):
        self.path, self.partial = path, path.with_name(f"partial-{path.name}")

    def __enter__(self):
        self.partial.unlink(missing_ok=True)
        self.parquet = None
        return self

    def write(self, name, table):
        table.insert(0, "model", name)
        if self.path.suffix == ".csv":
            table.to_csv(self.partial, mode="a", index=False, header=not self.partial.exists())
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = pa.Table.from_pandas(table, preserve_index=False)
        self.parquet = self.parquet or pq.ParquetWriter(self.partial, rows.schema)
        self.parquet.write_table(rows.cast(self.parquet.schema))

    def __exit__(self, kind, *_):
        if self.parquet is not None:
            self.parquet.close()
        if kind is None:
            os.replace(self.partial, self.path)


def write_test_rows(test, path, context_length):
    """The targets of the test rows and of the context before them, which pictures of forecasts show.

    Args:
        test: `Panel` of the test rows.
        path: Path of the file, which ends in `.csv` or `.parquet`.
        context_length: Int >= 1, rows before each window.

    Example:

    >>> from tfts.data.datasets import load_dataset
    >>> from tfts.data.panel import Panel
    >>> from tfts.data.split import chronological_split
    >>> test = chronological_split(Panel.from_frame(load_dataset("sunspots")), test=46).test
    >>> write_test_rows(test, "rows.csv", context_length=4)
    >>> len(pd.read_csv("rows.csv"))
    50
    """
    at = test.spans.rows(first=np.maximum(test.spans.start, test.spans.target_start - context_length))
    series = np.asarray(test.series, dtype=object)[test.series_of(at)]
    table = pd.DataFrame({"series": series, "time": test.shown(test.times[at])})
    table[list(test.targets)] = test.values[at][:, test.indices(test.targets)]
    write_table(table, path)
