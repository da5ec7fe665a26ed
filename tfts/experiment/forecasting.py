"""What `tfts run` does, step by step."""

import json
import os
import platform
import shutil
import subprocess
import time
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tfts import __version__
from tfts._files import replacing, write_figure, write_json, write_table
from tfts.data.datasets import load_dataset
from tfts.data.readers import read_table
from tfts.data.split import chronological_split
from tfts.data.synthetic import make_series
from tfts.forecaster import Forecaster
from tfts.metrics import ErrorSums

_PACKAGES = ("tensorflow", "keras", "numpy", "pandas", "scikit-learn", "statsmodels")


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
    console.print(f"[bold]Data[/bold] {panel}")
    split = settings.split
    parts = chronological_split(panel, split.validation, split.test, split.gap, split.context)
    if parts.test is None:
        raise ValueError("split.test must be above 0, because the scores come from the test rows.")
    described = _claim(output, settings, overwrite)
    fitted = {}
    for number, (name, options) in enumerate(methods.items(), 1):
        title = f"[{number}/{len(methods)}] {name}"
        fitted[name] = _fit_or_load(name, options, settings, common, parts, output, console, title)
    first = fitted["persistence"]
    rows = first.spec.origins(parts.test)
    example = len(rows) // 2
    scores, steps, examples = [], [], {}
    with _ForecastWriter(output, settings.report.forecasts) as writer:
        actual = first.actual(parts.test, rows)
        writer.write("actual", first.table(parts.test, rows, actual))
        for name, forecasts, labels in _forecasts(fitted, truth, parts.test, rows):
            sums = ErrorSums(settings.window.horizon, panel.targets)
            first.add_errors(sums, parts.test, rows, forecasts)
            scores.append(sums.score(by="target").assign(model=name, **labels))
            steps.append(sums.score(by="target_step").assign(model=name))
            examples[name] = forecasts[example]
            writer.write(name, first.table(parts.test, rows, forecasts))
    table = _ranked(pd.concat(scores, ignore_index=True), panel.targets)
    steps = pd.concat(steps, ignore_index=True)
    write_table(table, output / "model_metrics.csv")
    write_table(steps[["model", *steps.columns.drop("model")]], output / "step_metrics.csv")
    described["attention"] = _write_attention(fitted, parts.test, rows, output, settings)
    _draw_forecasts(first, parts.test, rows[example : example + 1], examples, table, output)
    _draw_scores(table, steps, panel.targets[0], output)
    shutil.rmtree(output / "training", ignore_errors=True)
    described["test_windows"] = len(rows)
    described["seconds"] = round(time.monotonic() - started, 2)
    described["finished"] = _now()
    write_json(described, output / "run.json")
    print_scores(table, console)
    console.print(f"{len(rows)} test windows, {described['seconds']:.0f} s. Results: {output}")
    return table


def load_frame(settings):
    """The table that the settings name.

    Returns:
        Tuple `(frame, truth)`; `truth` is the `SyntheticSeries` of synthetic data, which
        knows the best possible forecast, and `None` for real data.

    Example:

    >>> from tfts.config import parse_settings
    >>> settings = parse_settings('''
    ... data: {source: synthetic, options: {num_steps: 100}, columns: [x1, x2]}
    ... window: {context_length: 7, horizon: 2}
    ... ''')
    >>> frame, truth = load_frame(settings)
    >>> frame.shape, truth.frame.shape
    ((100, 2), (100, 3))
    """
    data, truth = settings.data, None
    if data.source == "synthetic":
        truth = make_series(**{"seed": settings.seed, **data.options})
        frame = truth.frame
    elif data.source == "sales":
        from tfts.data.sales import make_sales

        frame = make_sales(**{"seed": settings.seed, **data.options}).frame
    elif data.source == "dataset":
        frame = load_dataset(data.name)
    else:
        frame = read_table(
            data.path, columns=data.columns, time=data.time, encoding=data.encoding, na_values=data.na_values
        )
    if data.source != "file" and data.columns is not None:
        frame = frame[data.columns]
    if data.start is not None or data.end is not None:
        name = _time_name(data)
        times = pd.DatetimeIndex(frame.index if name is None else pd.to_datetime(frame[name]))
        inside = np.ones(len(frame), dtype=bool)
        if data.start is not None:
            inside &= times >= pd.Timestamp(data.start)
        if data.end is not None:
            inside &= times <= pd.Timestamp(data.end)
        frame = frame[inside]
    return frame, truth


def forecaster_options(settings):
    """The arguments that all forecasters of a run share.

    Example:

    >>> from tfts.config import parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... window: {context_length: 22, horizon: 3}
    ... ''')
    >>> Forecaster("drift", **forecaster_options(settings)).spec.horizon
    3
    """
    data, window = settings.data, settings.window
    return {
        "context_length": window.context_length,
        "horizon": window.horizon,
        "stride": window.stride,
        "targets": data.targets,
        "known_future": data.known_future,
        "calendar": data.calendar,
        "time": _time_name(data),
        "series": data.series,
        "freq": data.freq,
        "missing": data.missing,
        "limit": data.limit,
        "duplicates": data.duplicates,
        "scaler": data.scaler,
        "per_series": data.per_series,
    }


def print_scores(table, console):
    """Prints a metrics table, the best model first for each target.

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
            seconds = "" if np.isnan(row.fit_seconds) else f"{row.fit_seconds:.1f}"
            count = "" if pd.isna(row.parameters) else f"{row.parameters:,}"
            shown.add_row(row.model, *cells, seconds, count)
        console.print(shown)


def _shown(value):
    return "" if np.isnan(value) else f"{value:.4g}"


def _time_name(data):
    """The time column of the table as it is read: two columns become one, `time`."""
    return "time" if isinstance(data.time, list) else data.time


def _now():
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _claim(output, settings, overwrite):
    """Makes `run.json`, or finds that of the same run."""
    plain = settings.model_dump(mode="json")
    path = output / "run.json"
    if path.is_file():
        described = json.loads(path.read_text())
        changed = sorted(_changed(described["settings"], plain))
        if not changed:
            return described
        if not overwrite:
            raise ValueError(
                f"{output} holds a run with other settings (changed: {', '.join(changed)}). Choose another "
                "--output, or give --overwrite to replace it."
            )
    elif output.is_dir() and any(output.iterdir()):
        raise ValueError(f"{output} is not empty and holds no run. Choose another --output.")
    _clear(output)
    described = {
        "settings": plain,
        "seed": settings.seed,
        "versions": {
            "tfts": __version__,
            "python": platform.python_version(),
            **{package: version(package) for package in _PACKAGES},
        },
        "git": _git_state(),
        "started": _now(),
    }
    output.mkdir(parents=True, exist_ok=True)
    write_json(described, path)
    return described


def _changed(old, new, prefix=""):
    for key in old.keys() | new.keys():
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _changed(before, after, f"{prefix}{key}.")
        elif before != after:
            yield prefix + key


def _clear(output):
    """Removes what an older run wrote, and nothing else."""
    for name in ("models", "training"):
        shutil.rmtree(output / name, ignore_errors=True)
    for pattern in ("run.json", "*_metrics.csv", "forecasts.*", "attention_*", "*.png"):
        for path in output.glob(pattern):
            path.unlink()


def _git_state():
    """Commit of the working folder and whether it has changes; `None` outside git."""

    def git(*words):
        return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None


def _fit_or_load(name, options, settings, common, parts, output, console, title):
    folder = output / "models" / name
    if (folder / "forecaster.json").is_file():
        console.print(f"{title}: already fitted")
        return Forecaster.load(folder)
    options = dict(options)
    changes = options.pop("training", {})
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
            training = {**settings.training.model_dump(), **changes, "seed": settings.seed}
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


def _ranked(table, targets):
    """The best model first for each target, with its skill against persistence."""
    table["parameters"] = table["parameters"].astype("Int64")
    yardstick = table[table["model"] == "persistence"].set_index("target")["rmse"]
    table["skill"] = 1 - table["rmse"] / table["target"].map(yardstick)
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


def _write_attention(fitted, test, rows, output, settings):
    """The attention weights of one model over test windows, and which windows they are."""
    named = [name for name in settings.models if fitted[name].has_attention]
    if not named:
        return None
    # The map of weights for each horizon step says more than one over the context alone.
    name = "attention_seq2seq" if "attention_seq2seq" in named else named[-1]
    most = settings.report.attention_windows
    chosen = rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(int)]
    stack = fitted[name].attention(test, chosen).astype(np.float32)
    with replacing(output / "attention_stack.npy") as partial, partial.open("wb") as file:
        np.save(file, stack)
    series = np.asarray(test.series, dtype=object)[test.series_of(chosen)]
    write_table(
        pd.DataFrame({"series": series, "origin": test.times[chosen]}), output / "attention_windows.csv"
    )
    from tfts import plots

    query = "horizon" if name == "attention_seq2seq" else "context"
    axes = plots.plot_attention(stack[0], query=query, freq=test.freq)
    newest = f"{test.times[chosen[0]]:%Y-%m-%d %H:%M}"
    axes.set_title(f"{name}: window up to {newest}, mean of {stack.shape[1]} heads", loc="left")
    write_figure(axes.figure, output / "attention_heatmap_example0.png")
    return {"model": name, "shape": list(stack.shape), "axes": ["window", "head", query, "lag"]}


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
