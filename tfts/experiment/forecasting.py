"""What `tfts run` does, step by step."""

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tfts._files import replacing, write_figure, write_json, write_table
from tfts._messages import unknown
from tfts.attention import MIN_WINDOWS, variables_of
from tfts.baselines import Ridge
from tfts.comparison import compare_windows, marks, verdict
from tfts.data.split import chronological_split
from tfts.data.windows import WindowSpec
from tfts.experiment.attention import analyse, fit_nulls
from tfts.experiment.folder import claim, now
from tfts.experiment.tables import forecaster_options, load_frame
from tfts.forecaster import Forecaster
from tfts.metrics import ErrorSums
from tfts.report.forecasting import write_forecasting_report

# Beside the score of the best, or of those among which it may be chance.
_MARKS = {"best": " *", "tied": " ="}


def run(settings, output, *, overwrite=False, console=None):
    """Fits and scores every listed baseline and model, and writes the files that prove it.

    A run that was stopped goes on when it is started again with the same settings: what
    is fitted is kept, and a network goes on with the epoch that was running.

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
    output = Path(output)
    started = time.monotonic()
    frame, truth = load_frame(settings)
    common = forecaster_options(settings)
    methods = {"persistence": {}, **settings.baselines, **settings.models}
    try:
        panel = Forecaster("persistence", **common).panel(frame)
    except ValueError as error:
        raise ValueError(
            f"{error}\nThe settings for this are data.columns, data.missing, data.limit, data.duplicates and "
            "data.freq; on the command line, for example: --set data.missing=drop"
        ) from error
    for column in settings.report.regimes:
        # They are looked at when all is fitted, which is late to be told of a wrong name.
        if column not in panel.columns:
            raise KeyError(unknown("column of report.regimes", column, panel.columns))
    console.print(f"[bold]Data[/bold] {panel}")
    split = settings.split
    parts = chronological_split(panel, split.validation, split.test, split.gap, split.context)
    if parts.test is None:
        raise ValueError("split.test must be above 0, because the scores come from the test rows.")
    described = claim(output, settings, overwrite)
    described["data"] = described_data(panel)
    described["split"] = described_split(parts, settings.window)
    write_json(described, output / "run.json")
    fitted = {}
    for number, (name, options) in enumerate(methods.items(), 1):
        title = f"[{number}/{len(methods)}] {name}"
        fitted[name] = _fit_or_load(name, options, settings, common, parts, output, console, title)
    described["searched"] = _write_searches(fitted, output, console)
    first = fitted["persistence"]
    rows = first.spec.origins(parts.test)
    example = len(rows) // 2
    scores, steps, examples, squares = [], [], {}, {}
    with _ForecastWriter(output, settings.report.forecasts) as writer:
        actual = first.actual(parts.test, rows)
        writer.write("actual", first.table(parts.test, rows, actual))
        for name, forecasts, labels in _forecasts(fitted, truth, parts.test, rows):
            sums = ErrorSums(settings.window.horizon, panel.targets)
            first.add_errors(sums, parts.test, rows, forecasts)
            scores.append(sums.score(by="target").assign(model=name, **labels))
            steps.append(sums.score(by="target_step").assign(model=name))
            examples[name] = forecasts[example]
            if name != "oracle":
                squares[name] = np.nansum((forecasts - actual) ** 2, axis=1)
            writer.write(name, first.table(parts.test, rows, forecasts))
    _write_test_rows(parts.test, output / f"test_rows.{settings.report.forecasts}", first.spec.context_length)
    compared = _compared(squares, np.isfinite(actual).sum(axis=1), first.spec, parts.test, rows)
    table = _ranked(pd.concat(scores, ignore_index=True), panel.targets, compared)
    steps = pd.concat(steps, ignore_index=True)
    write_table(table, output / "model_metrics.csv")
    write_table(compared, output / "differences.csv")
    write_table(steps[["model", *steps.columns.drop("model")]], output / "step_metrics.csv")
    described["attention"] = _write_attention(fitted, parts, rows, output, settings, console)
    _draw_forecasts(first, parts.test, rows[example : example + 1], examples, table, output)
    _draw_scores(table, steps, panel.targets[0], output)
    shutil.rmtree(output / "training", ignore_errors=True)
    described["test_windows"] = len(rows)
    described["seconds"] = round(time.monotonic() - started, 2)
    described["finished"] = now()
    write_json(described, output / "run.json")
    report = write_forecasting_report(output)
    print_scores(table, console, compared)
    console.print(f"{len(rows)} test windows, {described['seconds']:.0f} s. Results: {output}")
    console.print(f"Report: {report}")
    return table


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


def described_data(panel):
    """What the report tells of the table, which it does not read again.

    Args:
        panel: `Panel` in original units.

    Returns:
        Dict for `run.json`.

    Example:

    >>> from tfts.data.datasets import load_dataset
    >>> from tfts.data.panel import Panel
    >>> described_data(Panel.from_frame(load_dataset("sunspots")))["rows"]
    309
    """
    at = panel.spans.rows()
    absent = panel.filled[at]
    filled = absent & ~np.isnan(panel.values[at])
    return {
        "rows": len(at),
        "columns": list(panel.columns),
        "targets": list(panel.targets),
        "known_future": list(panel.known_future),
        "series": len(panel.series),
        "start": str(panel.times[at].min()),
        "end": str(panel.times[at].max()),
        "freq": panel.freq,
        "timezone": None if panel.times.tz is None else str(panel.times.tz),
        "gaps": {
            column: {"missing": int(absent[:, i].sum()), "filled": int(filled[:, i].sum())}
            for i, column in enumerate(panel.columns)
        },
    }


def described_split(parts, window):
    """What the report tells of the parts: their rows, times and windows.

    Args:
        parts: As from `chronological_split`.
        window: `Window` of the settings.

    Returns:
        Dict for `run.json`.

    Example:

    >>> from tfts.config import Window
    >>> from tfts.data.datasets import load_dataset
    >>> from tfts.data.panel import Panel
    >>> parts = chronological_split(Panel.from_frame(load_dataset("sunspots")), validation=0.15, test=0.15)
    >>> described_split(parts, Window(context_length=22, horizon=3))["test"]["rows"]
    46
    """
    described = {}
    for name, part in parts._asdict().items():
        if part is None:
            continue
        times = part.times[part.spans.rows()]
        stride = window.stride if name == "train" else 1
        spec = WindowSpec(window.context_length, window.horizon, stride=stride)
        described["training" if name == "train" else name] = {
            "rows": len(times),
            "start": str(times.min()),
            "end": str(times.max()),
            "windows": _num_windows(spec, part),
        }
    return described


def _num_windows(spec, part):
    try:
        return len(spec.origins(part))
    except ValueError:
        # What needs windows says so itself: a baseline does without any for validation.
        return 0


def _fit_or_load(name, options, settings, common, parts, output, console, title):
    folder = output / "models" / name
    if (folder / "forecaster.json").is_file():
        console.print(f"{title}: already fitted")
        return Forecaster.load(folder)
    options = {key: value for key, value in options.items() if key != "training"}
    forecaster = Forecaster(name, **common, model_options=options)
    training = {}
    with Progress(
        TextColumn(title.replace("[", r"\[", 1)),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        if name in settings.models:
            training = _training(name, settings)
            bar = progress.add_task(name, total=training["epochs"], note="")
            training |= {
                "callbacks": [_epoch_progress(progress, bar)],
                "folder": output / "training" / name,
                "verbose": 0,
            }
        else:
            progress.add_task(name, total=None, note="")
        forecaster.fit(parts.train, validation=parts.validation or 0, **training)
    forecaster.save(folder)
    epochs = len(forecaster.history_.get("loss", ()))
    note = f" in {epochs} epochs" if epochs else ""
    console.print(f"{title}: fitted{note}, {forecaster.fit_seconds_:.1f} s", markup=False)
    return forecaster


def _write_searches(fitted, output, console):
    """Writes what baselines tried on held-out rows; a dict from each to what it chose."""
    searched = {}
    for name, forecaster in fitted.items():
        table = forecaster.model.search_table() if isinstance(forecaster.model, Ridge) else ()
        if len(table):
            write_table(table.assign(targets=table["targets"].str.join(", ")), output / f"{name}_search.csv")
            searched[name] = forecaster.model.chosen_
            for chosen in searched[name]:
                words = ", ".join(f"{key} {value:.4g}" for key, value in chosen.items() if key != "targets")
                console.print(f"{name}: of {len(table)} settings, held-out rows take {words}")
    return searched


def _training(name, settings):
    """The options with which a network is fitted."""
    changes = settings.models[name].get("training", {})
    return {**settings.training.model_dump(), **changes, "seed": settings.seed}


def _epoch_progress(progress, bar):
    import keras

    def show(epoch, logs):
        loss = logs.get("val_loss", logs["loss"])
        progress.update(bar, completed=epoch + 1, note=f"epoch {epoch + 1}, loss {loss:.4f}")

    return keras.callbacks.LambdaCallback(on_epoch_end=show)


def _forecasts(fitted, truth, test, rows):
    """Yields name, forecasts and what they cost, one method after the other.

    Of synthetic series the last is the oracle, the best possible forecast.
    """
    for name, forecaster in fitted.items():
        began = time.monotonic()
        forecasts = forecaster.forecast_windows(test, rows)
        yield (
            name,
            forecasts,
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
        yield "oracle", truth.oracle(place, horizon)[..., columns], {}


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

    def __init__(self, output, kind):
        self.path = output / f"forecasts.{kind}"
        self.partial = output / f"partial-forecasts.{kind}"

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


def _write_test_rows(test, path, context_length):
    """The targets of the test rows and of the context before them, which pictures of forecasts show."""
    at = test.spans.rows(first=np.maximum(test.spans.start, test.spans.target_start - context_length))
    series = np.asarray(test.series, dtype=object)[test.series_of(at)]
    table = pd.DataFrame({"series": series, "time": test.times[at]})
    table[list(test.targets)] = test.values[at][:, test.indices(test.targets)]
    write_table(table, path)


def _write_attention(fitted, parts, rows, output, settings, console):
    """Analyses every model with attention; the stack of the one that says most is kept apart."""
    named = [name for name in settings.models if fitted[name].has_attention]
    # One column alone gets all the weight, whatever the model has learnt.
    named = [name for name in named if len(variables_of(fitted[name], parts.test)) != 1]
    if not named or len(rows) < MIN_WINDOWS:
        return None
    analyses = {}
    for name in named:
        nulls = fit_nulls(
            fitted[name], parts, settings, _training(name, settings), output / "nulls" / name, console
        )
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
    newest = f"{first.windows['origin'].iloc[0]:%Y-%m-%d %H:%M}"
    axes.set_title(f"{first.model}: window up to {newest}, mean of {first.stack.shape[1]} heads", loc="left")
    write_figure(axes.figure, output / "attention_heatmap_example0.png")
    axes = ["window", "head", *(["target", "variable"] if first.variables else [first.query, "lag"])]
    return {"model": first.model, "shape": list(first.stack.shape), "axes": axes, "analysed": named}


def _draw_forecasts(first, test, row, examples, table, output):
    """One test window of the first target: its past, the best four models, and the truth."""
    from tfts import plots

    target = test.targets[0]
    times = pd.DatetimeIndex(first.table(test, row, first.actual(test, row))["time"])
    ranked = table.loc[table["target"] == target, "model"]
    shown = [name for name in ranked if name != "oracle"][:4] + [name for name in ranked if name == "oracle"]
    column = test.columns.index(target)
    seen = slice(row[0] - first.spec.context_length + 1, row[0] + 1)
    axes = plots.plot_forecast(
        pd.Series(test.values[seen, column], index=test.times[seen], name=target),
        {name: pd.Series(examples[name][:, 0], index=times) for name in shown},
        actual=pd.Series(first.actual(test, row)[0, :, 0], index=times),
    )
    write_figure(axes.figure, output / "forecast_example.png")


def _draw_scores(table, steps, target, output):
    from tfts import plots

    write_figure(plots.plot_metrics(table[table["target"] == target]).figure, output / "model_metrics.png")
    write_figure(
        plots.plot_horizon_errors(steps[steps["target"] == target]).figure, output / "step_metrics.png"
    )
