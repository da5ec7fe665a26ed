"""The methods of a run, fitted, or found fitted on the same rows with the same settings."""

import shutil
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tfts._files import write_table
from tfts.baselines import Ridge
from tfts.experiment.folder import is_made_of, mark
from tfts.experiment.tables import forecaster_options
from tfts.forecaster import Forecaster


def fit_methods(settings, parts, rows, output, console):
    """Fits every listed baseline and model, and persistence, or takes what is fitted already.

    Args:
        settings: `Settings`.
        parts: As from `chronological_split`.
        rows: Dict from the name of each part to the digest of its rows.
        output: Folder of the run, with a folder in `models` for each method.
        console: `rich.console.Console` for progress.

    Returns:
        Dict from name to fitted `Forecaster`.

    Example:

    >>> import io
    >>> from rich.console import Console
    >>> from tfts.config import parse_settings
    >>> from tfts.experiment.tables import digests, read_parts
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... window: {context_length: 22, horizon: 3}
    ... baselines: {drift: {}}
    ... ''')
    >>> parts, console = read_parts(settings)[3], Console(file=io.StringIO())
    >>> list(fit_methods(settings, parts, digests(parts), "sunspots", console))
    ['persistence', 'drift']
    """
    methods = {"persistence": {}, **settings.baselines, **settings.models}
    fitted = {}
    for number, (name, options) in enumerate(methods.items(), 1):
        folder, made_of = Path(output) / "models" / name, recipe(name, settings, rows)
        title = f"[{number}/{len(methods)}] {name}"
        if is_made_of(folder, made_of):
            console.print(f"{title}: already fitted")
            fitted[name] = Forecaster.load(folder)
            continue
        # What is of other rows must not be taken for the run's, should this one be stopped.
        for old in (folder, Path(output) / "nulls" / name):
            shutil.rmtree(old, ignore_errors=True)
        options = {key: value for key, value in options.items() if key != "training"}
        forecaster = Forecaster(
            name, **forecaster_options(settings, name in settings.models), model_options=options
        )
        _fit(forecaster, settings, parts, output, console, title)
        forecaster.save(folder)
        mark(folder, made_of)
        epochs = len(forecaster.history_.get("loss", ()))
        note = f" in {epochs} epochs" if epochs else ""
        console.print(f"{title}: fitted{note}, {forecaster.fit_seconds_:.1f} s", markup=False)
        fitted[name] = forecaster
    return fitted


def recipe(name, settings, rows):
    """All that a fitted method depends on: rows to learn from and settings.

    Args:
        name: Name of a baseline or model of the settings, or `"persistence"`.
        settings: `Settings`.
        rows: Dict from the name of each part to the digest of its rows.

    Example:

    >>> from tfts.config import parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... window: {context_length: 22, horizon: 3}
    ... baselines: {seasonal_naive: {season_length: 11}}
    ... ''')
    >>> recipe("seasonal_naive", settings, {"training": "5c0f2a91d3e7b864", "test": "91d3e7b8645c0f2a"})["rows"]
    {'training': '5c0f2a91d3e7b864'}
    """
    options = {**settings.baselines, **settings.models}.get(name, {})
    return {
        "rows": {part: digest for part, digest in rows.items() if part != "test"},
        "method": {
            "model": name,
            **forecaster_options(settings, name in settings.models),
            "model_options": options,
        },
        "training": training_of(name, settings) if name in settings.models else None,
    }


def _fit(forecaster, settings, parts, output, console, title):
    """Fits one method while a bar shows how far it is."""
    name, training = forecaster.name, {}
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
            training = training_of(name, settings)
            bar = progress.add_task(name, total=None, note="")
            training |= {
                "callbacks": [_epoch_progress(progress, bar)],
                "folder": Path(output) / "training" / name,
                "verbose": 0,
            }
        else:
            progress.add_task(name, total=None, note="")
        forecaster.fit(parts.train, validation=parts.validation or 0, **training)


def _epoch_progress(progress, bar):
    import keras

    class Show(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            loss = logs.get("val_loss", logs["loss"])
            note = f"epoch {epoch + 1}, loss {loss:.4f}"
            progress.update(bar, total=self.params["epochs"], completed=epoch + 1, note=note)

    return Show()


def training_of(name, settings):
    """The options with which a network of a run is fitted.

    Example:

    >>> from tfts.config import parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... window: {context_length: 22, horizon: 3}
    ... models: {linear: {training: {epochs: 7}}}
    ... ''')
    >>> training_of("linear", settings)["epochs"]
    7
    """
    changes = settings.models[name].get("training", {})
    return {**settings.training.model_dump(), **changes, "seed": settings.seed}


def write_searches(fitted, output, console):
    """Writes what baselines tried on held-out rows; a dict from each to what it chose.

    Example:

    >>> from rich.console import Console
    >>> fitted = {"persistence": Forecaster("persistence", context_length=22, horizon=3)}
    >>> write_searches(fitted, "sunspots", Console())
    {}
    """
    searched = {}
    for name, forecaster in fitted.items():
        table = forecaster.model.search_table() if isinstance(forecaster.model, Ridge) else ()
        if len(table):
            path = Path(output) / f"{name}_search.csv"
            write_table(table.assign(targets=table["targets"].str.join(", ")), path)
            searched[name] = forecaster.model.chosen_
            for chosen in searched[name]:
                words = ", ".join(f"{key} {value:.4g}" for key, value in chosen.items() if key != "targets")
                console.print(f"{name}: of {len(table)} settings, held-out rows take {words}")
    return searched
