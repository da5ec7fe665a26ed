"""What `tfts run` does, step by step."""

import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from tfts._files import replacing, write_figure, write_json, write_table
from tfts._messages import unknown
from tfts.attention import MIN_WINDOWS, variables_of
from tfts.comparison import marks, verdict
from tfts.errors import SettingError, UnknownNameError
from tfts.experiment.attention import analyse, fit_nulls
from tfts.experiment.fitting import fit_methods, recipe, write_searches
from tfts.experiment.folder import claim, now, say_changed
from tfts.experiment.scoring import score_methods, write_test_rows
from tfts.experiment.tables import described_data, described_split, digests, read_parts
from tfts.report.forecasting import write_forecasting_report

# Beside the score of the best, or of those among which it may be chance.
_MARKS = {"best": " *", "tied": " ="}


def run(settings, output, *, overwrite=False, console=None):
    """Fits and scores every listed baseline and model, and writes the files that prove it.

    A run that was stopped goes on when it is started again with the same settings: what
    is fitted is kept, and a network goes on with the epoch that was running. What was fitted
    on rows that have changed since is fitted again.

    Args:
        settings: `Settings`, as from `read_settings`.
        output: Folder for the results.
        overwrite: Whether a run with other settings in `output` may be replaced.
        console: `rich.console.Console` for progress and the final table.

    Returns:
        DataFrame with the rows of `model_metrics.csv`, best first.

    Raises:
        ValueError: If `output` holds a run with other settings, or the data can't be used.

    Example:

    >>> import io
    >>> from tfts.config import parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... window: {context_length: 22, horizon: 3}
    ... baselines: {linear_regression: {}}
    ... ''')
    >>> run(settings, "sunspots", console=Console(file=io.StringIO()))["model"].tolist()
    ['linear_regression', 'persistence']
    >>> Path("sunspots", "model_metrics.csv").is_file()
    True
    """
    console = console or Console()
    output, began = Path(output), time.monotonic()
    _, truth, panel, parts = read_parts(settings)
    _check(settings, panel, parts)
    console.print(f"[bold]Data[/bold] {panel}")
    described, changed = claim(output, settings, overwrite, digests(parts), keep=("models", "nulls"))
    say_changed(changed, console)
    described["data"] = described_data(panel)
    described["split"] = described_split(parts, settings.window)
    write_json(described, output / "run.json")
    fitted = fit_methods(settings, parts, described["rows"], output, console)
    described["searched"] = write_searches(fitted, output, console)
    kind, first = settings.report.forecasts, fitted["persistence"]
    scores = score_methods(fitted, truth, parts.test, output / f"forecasts.{kind}")
    write_test_rows(parts.test, output / f"test_rows.{kind}", first.spec.context_length)
    write_table(scores.table, output / "model_metrics.csv")
    write_table(scores.compared, output / "differences.csv")
    write_table(scores.steps, output / "step_metrics.csv")
    for name, table in scores.held.items():
        write_table(table, output / f"{name}.csv")
    described["attention"] = _write_attention(
        fitted, parts, scores.rows, described["rows"], output, settings, console
    )
    _draw_forecasts(first, parts.test, scores, output)
    _draw_scores(scores, panel.targets[0], output)
    shutil.rmtree(output / "training", ignore_errors=True)
    described["test_windows"] = len(scores.rows)
    described["seconds"] = round(time.monotonic() - began, 2)
    described["finished"] = now()
    write_json(described, output / "run.json")
    report = write_forecasting_report(output)
    print_scores(scores.table, console, scores.compared)
    console.print(f"{len(scores.rows)} test windows, {described['seconds']:.0f} s. Results: {output}")
    console.print(f"Report: {report}")
    return scores.table


def _check(settings, panel, parts):
    """Refuses, before anything is fitted, what would only be noticed when all is."""
    for column in settings.report.regimes:
        if column not in panel.columns:
            raise UnknownNameError(unknown("column of report.regimes", column, panel.columns))
    if parts.test is None:
        raise SettingError("split.test must be above 0, because the scores come from the test rows.")


def print_scores(table, console, compared=None):
    """Prints a metrics table, the best model first for each target.

    Args:
        table: DataFrame with the rows of `model_metrics.csv`.
        console: `rich.console.Console`.
        compared: DataFrame with the rows of `differences.csv`, or `None`.

    Example:

    >>> scores = {"rmse": 2.0, "mae": 1.5, "mape": 8.0, "r2": 0.5, "skill": 0.25}
    >>> table = pd.DataFrame([{"target": "sales", "model": "drift", **scores, "fit_seconds": 0.1, "parameters": 2}])
    >>> print_scores(table, Console(width=70))
    <BLANKLINE>
    Test rows, target sales, original units
    model  RMSE  MAE  MAPE %   R2  skill  fit s  numbers
    drift     2  1.5       8  0.5   0.25    0.1        2
    """
    for target, part in table.groupby("target", sort=False, observed=True):
        title = f"\nTest rows, target {target}, original units"
        shown = Table(title=title, title_justify="left", box=None, padding=(0, 1))
        shown.add_column("model", no_wrap=True)
        for column in ("RMSE", "MAE", "MAPE %", "R2", "skill", "fit s", "numbers"):
            shown.add_column(column, justify="right", no_wrap=True)
        for row in part.itertuples():
            cells = [_shown(getattr(row, c)) for c in ("rmse", "mae", "mape", "r2", "skill")]
            cells[0] += _MARKS.get(getattr(row, "best", ""), "")
            seconds = "" if np.isnan(row.fit_seconds) else f"{row.fit_seconds:.1f}"
            count = "" if pd.isna(row.parameters) else f"{row.parameters:,}"
            shown.add_row(row.model, *cells, seconds, count)
        console.print(shown)
        if compared is not None and (compared["target"] == target).any():
            found = compared[compared["target"] == target]
            symbol = _MARKS.get(max(marks(found).values(), default=""), "").strip()
            console.print(f"{symbol} {verdict(found)}".strip(), markup=False, highlight=False)


def _shown(value):
    return "" if np.isnan(value) else f"{value:.4g}"


def _write_attention(fitted, parts, rows, known, output, settings, console):
    """Analyses every model with attention; the stack of the one that says most is kept apart."""
    named = [name for name in settings.models if fitted[name].has_attention]
    # One column alone gets all the weight, whatever the model has learnt.
    named = [name for name in named if len(variables_of(fitted[name], parts.test)) != 1]
    if not named or len(rows) < MIN_WINDOWS:
        return None
    analyses = {}
    for name in named:
        made_of = recipe(name, settings, known)
        nulls = fit_nulls(fitted[name], parts, settings, made_of, output / "nulls" / name, console)
        analyses[name] = analyse(fitted[name], parts.test, rows, settings, nulls)
        analyses[name].write(output / "attention" / name)
    # The map of weights for each horizon step says more than one over the context alone.
    first = next((a for a in analyses.values() if a.query == "horizon"), analyses[named[-1]])
    with replacing(output / "attention_stack.npy") as partial, partial.open("wb") as file:
        np.save(file, first.stack)
    write_table(first.windows, output / "attention_windows.csv")
    from tfts import plots

    looks = {"query": first.query, "variables": first.variables}
    axes = plots.plot_attention(first.stack[0], freq=first.freq, **looks)
    origin = first.windows["origin"].iloc[0]
    newest = f"{origin:%Y-%m-%d %H:%M}" if isinstance(origin, pd.Timestamp) else f"row {origin}"
    axes.set_title(f"{first.model}: window up to {newest}, mean of {first.stack.shape[1]} heads", loc="left")
    write_figure(axes.figure, output / "attention_heatmap_example0.png")
    axes = ["window", "head", *(["target", "variable"] if first.variables else [first.query, "lag"])]
    return {"model": first.model, "shape": list(first.stack.shape), "axes": axes, "analysed": named}


def _draw_forecasts(first, test, scores, output):
    """One test window of the first target: its past, the best four models, and the truth."""
    from tfts import plots

    target, table, row = test.targets[0], scores.table, np.array([scores.example])
    times = pd.Index(first.table(test, row, first.actual(test, row))["time"])
    ranked = table.loc[table["target"] == target, "model"]
    shown = [name for name in ranked if name != "oracle"][:4] + [name for name in ranked if name == "oracle"]
    column = test.columns.index(target)
    seen = slice(row[0] - first.spec.context_length + 1, row[0] + 1)
    axes = plots.plot_forecast(
        pd.Series(test.values[seen, column], index=test.shown(test.times[seen]), name=target),
        {name: pd.Series(scores.examples[name][:, 0], index=times) for name in shown},
        actual=pd.Series(first.actual(test, row)[0, :, 0], index=times),
        # One fan: more would hide each other.
        quantiles={
            name: scores.fans[name].set_index(times) for name in [n for n in shown if n in scores.fans][:1]
        },
    )
    write_figure(axes.figure, output / "forecast_example.png")


def _draw_scores(scores, target, output):
    from tfts import plots

    table, steps = scores.table, scores.steps
    write_figure(plots.plot_metrics(table[table["target"] == target]).figure, output / "model_metrics.png")
    write_figure(
        plots.plot_horizon_errors(steps[steps["target"] == target]).figure, output / "step_metrics.png"
    )
