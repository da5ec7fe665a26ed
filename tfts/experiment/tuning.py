"""What `tfts tune` does, step by step."""

import contextlib
import hashlib
import io
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from tfts._files import replacing, write_figure, write_json, write_table
from tfts.config import Settings
from tfts.data.split import chronological_split
from tfts.errors import FolderError, SettingError, TftsError
from tfts.experiment.folder import claim, now
from tfts.experiment.tables import described_data, described_split, digests, forecaster_options, read_parts
from tfts.forecaster import Forecaster
from tfts.report.tuning import tuning_findings, write_tuning_report

_MARK = "# Found by `tfts tune`"
# With more of these a search goes on where it ended.
_MORE = ("tune.max_trials", "tune.budget_seconds")
_NOT_BY_HAND = "unchanged since: "


def tune(
    settings,
    output,
    *,
    config=None,
    overwrite=False,
    workers=0,
    chief=None,
    silence_seconds=120.0,
    console=None,
):
    """Searches for settings, fits the best again, and scores them on the test rows, once.

    A search that was stopped goes on when it is started again with the same settings, and
    one that is done with a larger `max_trials` or `budget_seconds`.

    Args:
        settings: `TuneSettings`, as from `read_settings(path, kind=TuneSettings)`.
        output: Folder for the results.
        config: Path of the YAML file of the settings; the best ones are also written
            beside it, `NAME.best.yaml`.
        overwrite: Whether a run with other settings in `output` may be replaced.
        workers: Processes of this machine that share the trials; 0 is this one alone.
        chief: Str `"host:port"` at which to wait for workers on other machines, which see
            the same folder.
        silence_seconds: After which a worker is given up, see `tfts.tuning.workers.role`.
        console: `rich.console.Console` for progress and results.

    Returns:
        DataFrame with a row for each trial.

    Raises:
        ValueError: If `output` holds a run with other settings, the data or the space
            can't be used, a file of best settings was changed by hand, or no trial finished.

    Example:

    >>> from tfts.config import TuneSettings, parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... window: {context_length: 22, horizon: 3}
    ... training: {epochs: 1}
    ... tune: {model: linear, max_trials: 2, refit: false, space: {window_norm: {values: [last, none]}}}
    ... ''', kind=TuneSettings)
    >>> tune(settings, "sunspots", console=Console(file=io.StringIO()))["window_norm"].tolist()
    ['last', 'none']
    >>> Path("sunspots", "best.yaml").is_file()
    True
    """
    console, output = console or Console(), Path(output)
    if workers and chief:
        raise SettingError(
            "Workers of this machine bring a chief of their own: give workers or chief, not both."
        )
    beside = None if config is None else Path(config).with_suffix(".best.yaml")
    if beside is not None:
        check_not_by_hand(beside)
    frame, panel, parts = _read(settings)
    console.print(f"[bold]Data[/bold] {panel}")
    # A search is hours of work, so that it is only begun anew where that is asked for.
    described, _ = claim(output, settings, overwrite, digests(parts), extends=_MORE)
    described.pop("finished", None)
    described["data"] = described_data(panel)
    described["split"] = described_split(parts, settings.window)
    write_json(described, output / "run.json")
    with _among(settings, output, workers, chief, silence_seconds, console):
        search = _search(settings, parts, output, overwrite, console)
    if not search.complete:
        _say_so_far(search, output, workers, console)
    results = search.results()
    write_table(results, output / "results.csv")
    write_table(search.curves(), output / "curves.csv")
    notes = _write_importance(results, output)
    text = best_yaml(settings, search, config)
    for path in (output / "best.yaml", beside):
        if path is not None:
            with replacing(path) as partial:
                partial.write_text(text, encoding="utf-8")
    scores = _score(settings, search, frame, parts, output, console)
    write_table(scores, output / "test_metrics.csv")
    default = search.default_settings
    described["search"] = {
        "best_trial": int(search.best_trial),
        "best_settings": search.best_settings,
        "default_settings": default,
        "changed": {k: v for k, v in search.best_settings.items() if v != default.get(k)},
        "num_finished": int((results["status"] == "finished").sum()),
        "seconds": round(search.seconds, 1),
        "note": search.note,
        "importance_notes": notes,
    }
    _draw(results, search.curves(), settings.tune.objective, output)
    described["finished"] = now()
    write_json(described, output / "run.json")
    report = write_tuning_report(output)
    print_trials(results, settings.tune.objective, console)
    for sentence in tuning_findings(described, results, scores):
        console.print(f"- {sentence}", markup=False, highlight=False)
    where = f"{output / 'best.yaml'}" + (f", {beside}" if beside is not None else "")
    console.print(f"Best settings, for `tfts run`: {where}. Results: {output}", highlight=False)
    console.print(f"Report: {report}")
    return results


def _say_so_far(search, output, workers, console):
    """Ends a search that is not done as Ctrl-C or a mistake does, after a word on what is there."""
    results = search.results()
    if (results["status"] == "finished").any():
        print_trials(results, search.objective, console)
    if search.interrupted:
        raise KeyboardInterrupt
    logs = [(output / "workers" / f"worker{i + 1}.log") for i in range(workers)]
    told = "".join(f"\n{path}: {_last_line(path)}" for path in logs)
    raise FolderError(f"{search.note} Give the same command again to go on: what is done is kept.{told}")


def _last_line(path):
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "nothing was said")


def work(settings, output, name, address, silence_seconds=120.0, console=None):
    """Works off trials of a chief until it has none left.

    Args:
        settings: `TuneSettings`, the same as of the chief.
        output: Folder of the search, the same as of the chief.
        name: Name of this worker, different for each.
        address: Str `"host:port"` at which the chief listens.
        silence_seconds: Seconds without an answer of the chief after which it ends.
        console: `rich.console.Console` for progress.

    Raises:
        ValueError: If the name, the address or the data can't be used.
        KeyboardInterrupt: If it was interrupted, or the chief is gone.

    Example:

    >>> from tfts.config import TuneSettings, parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... window: {context_length: 22, horizon: 3}
    ... tune: {model: linear}
    ... ''', kind=TuneSettings)
    >>> work(settings, "sunspots", "anna", "7001")
    Traceback (most recent call last):
    tfts.errors.SettingError: An address is host:port, such as 10.0.0.7:7001. Received: '7001'.
    """
    from tfts.tuning.workers import role

    with role(name, address, silence_seconds=silence_seconds):
        search = _search(settings, _read(settings)[2], Path(output), False, console or Console())
    if not search.complete:
        raise KeyboardInterrupt


def check_not_by_hand(path):
    """Refuses to replace a file of best settings that a person wrote or changed.

    Example:

    >>> _ = Path("own.best.yaml").write_text("seed: 7")
    >>> check_not_by_hand("own.best.yaml")
    Traceback (most recent call last):
    tfts.errors.FolderError: own.best.yaml was written or changed by hand, so it is not replaced. Move it ...
    """
    path = Path(path)
    if not path.exists():
        return
    head, _, body = path.read_text(encoding="utf-8").partition("\n\n")
    if not head.startswith(_MARK) or not head.endswith(_NOT_BY_HAND + _digest(body)):
        raise FolderError(
            f"{path} was written or changed by hand, so it is not replaced. Move it elsewhere, or give the settings "
            "of the search another name."
        )


def best_yaml(settings, search, config=None):
    """The best settings as a text that `tfts run` takes.

    Args:
        settings: `TuneSettings` of the search.
        search: `Search`, done.
        config: Path of the settings, for the first line.

    Returns:
        Str: a comment of where it comes from, a blank line, and YAML.

    Example:

    >>> from types import SimpleNamespace
    >>> from tfts.config import TuneSettings, parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... window: {context_length: 22, horizon: 3}
    ... tune: {model: linear}
    ... ''', kind=TuneSettings)
    >>> best = {"context_length": 33, "window_norm": "none", "batch_size": 32}
    >>> found = SimpleNamespace(best_settings=best, best_trial=4, best_score=0.25)
    >>> print(best_yaml(settings, found).partition("\\n\\n")[2])
    data:
      source: dataset
      name: sunspots
    window:
      context_length: 33
      horizon: 3
    training:
      batch_size: 32
    seed: 0
    models:
      linear:
        window_norm: none
    <BLANKLINE>
    """
    from ruamel.yaml import YAML

    tree = _as_run(settings, search.best_settings)
    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.allow_unicode = True
    body = io.StringIO()
    yaml.dump(tree, body)
    of = "" if config is None else f" of {Path(config).name}"
    return (
        f"{_MARK}{of}: trial {search.best_trial}, {settings.tune.objective} {search.best_score:.4g} on validation "
        f"rows.\n# {_NOT_BY_HAND}{_digest(body.getvalue())}\n\n{body.getvalue()}"
    )


def _digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _as_run(settings, chosen):
    """Settings of a search as those of a run: its own, and what was chosen where it belongs."""
    tree = settings.model_dump(mode="json", exclude_unset=True)
    tree = {key: tree.get(key, {}) for key in ("data", "window", "forecast", "split", "training")}
    options = dict(settings.tune.model_options)
    fields = {name: set(Settings.model_fields[name].annotation.model_fields) for name in tree}
    for name, value in chosen.items():
        section = next((s for s in ("window", "training", "data", "forecast") if name in fields[s]), None)
        (options if section is None else tree[section])[name] = value
    tree = {key: value for key, value in tree.items() if value}
    tree |= {"seed": settings.seed, "models": {settings.tune.model: options}}
    # What is written can be read.
    Settings.model_validate(tree)
    return tree


def _read(settings):
    """The table of a search, as a panel, and its parts."""
    frame, _, panel, parts = read_parts(settings)
    if parts.test is None or parts.validation is None:
        raise SettingError(
            "split.validation and split.test must be above 0: trials are scored on the one, the search on the other."
        )
    return frame, panel, parts


@contextlib.contextmanager
def _among(settings, output, workers, chief, silence_seconds, console):
    """Makes this process the chief of its workers, if there are any."""
    if not workers and not chief:
        yield
        return
    from tfts.tuning.workers import free_address, processes, role

    if chief:
        console.print(f"Chief at {chief}. Workers: tfts tune CONFIG --worker NAME --address {chief}")
        with role("chief", chief, silence_seconds=silence_seconds):
            yield
        return
    address, folder = free_address(), output / "workers"
    folder.mkdir(parents=True, exist_ok=True)
    # What was not set stays so: the search compares what it is told.
    write_json(settings.model_dump(mode="json", exclude_unset=True), folder / "settings.json")
    words = [sys.executable, "-c", "from tfts.cli import main; main()", "tune", folder / "settings.json"]
    words += ["--output", output, "--address", address, "--silence", silence_seconds]
    commands = {f"worker{i + 1}": [*map(str, words), "--worker", f"worker{i + 1}"] for i in range(workers)}
    with (
        processes(commands, folder) as running,
        role("chief", address, silence_seconds=silence_seconds, processes=running),
    ):
        yield


def _search(settings, parts, output, overwrite, console):
    from tfts.tuning import search

    tune, options = settings.tune, forecaster_options(settings, network=True)
    return search(
        tune.model,
        parts,
        space=tune.space,
        tuner=tune.tuner,
        max_trials=tune.max_trials,
        objective=tune.objective,
        budget_seconds=tune.budget_seconds,
        rolling_origins=tune.rolling_origins,
        executions_per_trial=tune.executions_per_trial,
        pruning=tune.pruning,
        seed=settings.seed,
        directory=output / "search",
        overwrite=overwrite,
        training=settings.training.model_dump(exclude_unset=True),
        tensorboard=output / "tensorboard" if tune.tensorboard else None,
        model_options=tune.model_options,
        console=console,
        **options,
    )


def _write_importance(results, output):
    """Writes importance.csv where there are enough trials; gives what is to be said of it."""
    from tfts.tuning.importance import importance, importance_notes

    (output / "importance.csv").unlink(missing_ok=True)
    try:
        table = importance(results)
    except TftsError as error:
        return [str(error)]
    write_table(table, output / "importance.csv")
    return importance_notes(results, table)


def _score(settings, search, frame, parts, output, console):
    """Fits default and best settings as `tfts run` does, and scores both on the same test windows.

    The best one is kept, fitted again on training and validation rows where that is wanted.
    """
    fitted = {"default": _fit_default(settings, search, parts)}
    if search.best_trial != 0:
        fitted["best"] = search.best_forecaster(refit=False)
    kept = fitted["best" if "best" in fitted else "default"]
    if settings.tune.refit:
        kept = fitted["best, refitted"] = search.best_forecaster(refit=True)
    kept.save(output / "models" / settings.tune.model)
    console.print(
        f"Best settings fitted{' again on training and validation rows' if settings.tune.refit else ''}"
    )
    return score_alike(fitted, frame, settings.split)


def _fit_default(settings, search, parts):
    run = Settings.model_validate(_as_run(settings, search.default_settings))
    options = dict(run.models[settings.tune.model])
    forecaster = Forecaster(
        settings.tune.model, **forecaster_options(run, network=True), model_options=options
    )
    training = {**run.training.model_dump(), "seed": settings.seed, "verbose": 0}
    return forecaster.fit(parts.train, validation=parts.validation, **training)


def score_alike(fitted, frame, split):
    """Scores forecasters on the same test windows, also where they see contexts of different lengths.

    Args:
        fitted: Dict from name to fitted `Forecaster`.
        frame: DataFrame in original units, all rows.
        split: `Split` of the settings.

    Returns:
        DataFrame with the columns `settings`, `target`, `count`, `rmse`, `mae`, `r2`, and of forecasters with
        quantiles `wql`, `crps` and `pinball`.

    Example:

    >>> from tfts.config import Split
    >>> from tfts.data.datasets import load_dataset
    >>> frame = load_dataset("sunspots")
    >>> made = {f"{rows} rows": Forecaster("persistence", context_length=rows, horizon=3) for rows in (5, 22)}
    >>> fitted = {name: forecaster.fit(frame.iloc[:200]) for name, forecaster in made.items()}
    >>> score_alike(fitted, frame, Split(context="own"))["count"].tolist()
    [66, 66]
    """
    tests, places = {}, {}
    for name, forecaster in fitted.items():
        panel = forecaster.panel(frame, allow_constant=True)
        shares = split.validation, split.test, split.gap, split.context
        least = {"at_least": forecaster.spec.horizon, "allow_empty": forecaster.stands_in}
        test = chronological_split(panel, *shares, **least).test
        rows = forecaster.spec.origins(test)
        tests[name] = test, rows
        places[name] = pd.MultiIndex.from_arrays([test.series_of(rows), test.times[rows]])
    common = next(iter(places.values()))
    for place in places.values():
        common = common[common.isin(place)]
    scores = []
    for name, forecaster in fitted.items():
        test, rows = tests[name]
        rows = rows[places[name].isin(common)]
        names = ["rmse", "mae", "r2", *(("wql", "crps", "pinball") if forecaster.quantiles else ())]
        scores.append(forecaster.error_sums(test, rows).score(names, by="target").assign(settings=name))
    table = pd.concat(scores, ignore_index=True)
    return table[["settings", *table.columns.drop("settings")]]


def _draw(results, curves, objective, output):
    from tfts import plots

    write_figure(plots.plot_search(results, objective).figure, output / "search.png")
    if len(curves):
        write_figure(plots.plot_trial_curves(curves, results, objective).figure, output / "trial_curves.png")
    try:
        write_figure(
            plots.plot_parallel_settings(results, objective=objective).figure, output / "settings.png"
        )
    except TftsError:
        # Of trials that are all alike there is nothing to compare.
        (output / "settings.png").unlink(missing_ok=True)


def print_trials(results, objective, console, most=10):
    """Prints the best trials of a search with their settings.

    Example:

    >>> results = pd.DataFrame({"trial": [0, 1], "status": "finished", "score": [0.5, 0.4], "epochs": [3, 2],
    ...                         "seconds": [1.5, 2.25], "reason": "", "units": [32, 64]})
    >>> print_trials(results, "val_rmse", Console(width=60))
    <BLANKLINE>
    2 trials, the best first
    trial  status    val_rmse  epochs  seconds  units
    1      finished       0.4       2      2.2     64
    0      finished       0.5       3      1.5     32
    """
    from tfts.plots.tuning import setting_names

    ranked = results.assign(finished=results["status"] == "finished").sort_values(
        ["finished", "score"], ascending=[False, True], kind="stable"
    )
    of = (
        f"{len(results)} trials, the best first"
        if len(results) <= most
        else f"The best {most} of {len(results)} trials"
    )
    shown = Table(title=f"\n{of}", title_justify="left", box=None, padding=(0, 2, 0, 0))
    settings = setting_names(results, varied=True)
    for name in ("trial", "status"):
        shown.add_column(name, no_wrap=True)
    for name in (objective, "epochs", "seconds", *settings):
        shown.add_column(name, justify="right")
    for row in ranked.head(most).to_dict("records"):
        score = "-" if pd.isna(row["score"]) else f"{row['score']:.4g}"
        cells = [_cell(row[name]) for name in settings]
        shown.add_row(
            str(row["trial"]), row["status"], score, _cell(row["epochs"]), f"{row['seconds']:.1f}", *cells
        )
    console.print(shown)


def _cell(value):
    if isinstance(value, float | np.floating):
        return "-" if np.isnan(value) else f"{value:.4g}"
    return str(value)
