"""The attention analysis of the models of a run, at its end or for new rows."""

from pathlib import Path

from tfts._files import read_run
from tfts._messages import unknown
from tfts.attention import analyse_attention, fit_null
from tfts.config import Settings
from tfts.data.readers import read_table
from tfts.errors import FolderError, SettingError
from tfts.experiment.folder import is_made_of, mark
from tfts.experiment.tables import digests, read_parts, table_of, times_of
from tfts.forecaster import Forecaster


def analyse(forecaster, panel, rows, settings, nulls):
    """`analyse_attention` as the settings of a run want it.

    Example:

    >>> from tfts.config import parse_settings
    >>> from tfts.data.datasets import load_dataset
    >>> forecaster = Forecaster("attention_seq2seq", context_length=22, horizon=3)
    >>> panel = forecaster.panel(load_dataset("sunspots"))
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... window: {context_length: 22, horizon: 3}
    ... report: {attention_windows: 13, seasonal_lags: [11]}
    ... ''')
    >>> analyse(forecaster.fit(panel, epochs=1, verbose=0), panel, None, settings, {}).stack.shape
    (13, 4, 3, 22)
    """
    return analyse_attention(
        forecaster,
        panel,
        rows,
        nulls=nulls,
        regimes=settings.report.regimes,
        seasonal_lags=settings.report.seasonal_lags,
        max_windows=settings.report.attention_windows,
        seed=settings.seed,
    )


def fit_nulls(forecaster, parts, settings, made_of, folder, console):
    """The networks with nothing to find that a model is compared with; kept in `folder`.

    They are fitted for a quarter of the epochs: what a network shows of itself is there
    from the start, and more would double the time of a run.

    Args:
        forecaster: Fitted `Forecaster` with attention.
        parts: As from `chronological_split`.
        settings: `Settings`.
        made_of: What `forecaster` was fitted on and with, as from `tfts.experiment.fitting.recipe`.
        folder: Path, with a folder in it for each kind.
        console: `rich.console.Console` for progress.

    Returns:
        Dict from kind to fitted `Forecaster`.

    Example:

    >>> from rich.console import Console
    >>> from tfts.config import parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... window: {context_length: 22, horizon: 3}
    ... report: {attention_nulls: []}
    ... ''')
    >>> fit_nulls(None, None, settings, {"training": {"epochs": 15}}, "nulls", Console())
    {}
    """
    nulls, given = {}, made_of["training"]["epochs"]
    for kind in settings.report.attention_nulls:
        epochs = given if given != "auto" else len(forecaster.history_["loss"])
        training = {**made_of["training"], "epochs": max(2, epochs // 4)}
        at, own = Path(folder) / kind, {**made_of, "training": training, "null": kind}
        if is_made_of(at, own):
            nulls[kind] = Forecaster.load(at)
            continue
        nulls[kind] = fit_null(forecaster, parts.train, parts.validation, kind, **training, verbose=0)
        nulls[kind].save(at)
        mark(at, own)
        words = kind.replace("_", " ")
        console.print(f"{forecaster.name} with {words}, to compare: fitted, {nulls[kind].fit_seconds_:.1f} s")
    return nulls


def analyse_run(run_dir, model, data=None, output=None):
    """What `tfts attention` does: analyses a saved model anew, for new rows if there are any.

    Args:
        run_dir: Folder of a finished run.
        model: Name of a model of the run that has attention.
        data: CSV or Parquet file with other rows. `None` takes the test rows of the run.
        output: Folder for the results. `None` is `attention/MODEL` in the run, for other
            rows `attention/MODEL-FILE`.

    Returns:
        Tuple of the `AttentionAnalysis` and the folder that it was written to.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the model has no attention or is not in the run.

    Example:

    >>> analyse_run("nowhere", "attention_seq2seq")
    Traceback (most recent call last):
    tfts.errors.MissingFileError: nowhere holds no run: run.json is not there. Give the --output of `tfts run`.
    """
    run_dir = Path(run_dir)
    described = read_run(run_dir)
    settings = Settings.model_validate(described["settings"])
    forecaster = load_model(run_dir, model)
    if data is None:
        parts = read_parts(settings)[3]
        _check_unchanged(described["rows"], parts, run_dir)
        panel, name = parts.test, model
    else:
        panel = forecaster.panel(read_again(settings, data), allow_constant=True)
        name = f"{model}-{Path(data).stem}"
    nulls = {
        kind: Forecaster.load(run_dir / "nulls" / model / kind)
        for kind in settings.report.attention_nulls
        if (run_dir / "nulls" / model / kind / "forecaster.json").is_file()
    }
    analysis = analyse(forecaster, panel, None, settings, nulls)
    output = run_dir / "attention" / name if output is None else Path(output)
    analysis.write(output)
    return analysis, output


def _check_unchanged(rows, parts, run_dir):
    """Refuses test rows that are no longer those of the run: the model may have learnt from some."""
    changed = [part for part, digest in digests(parts).items() if digest != rows.get(part)]
    if changed:
        raise FolderError(
            f"The table has changed since the run in {run_dir} was made (changed: {', '.join(changed)} rows), so its "
            "test rows may be rows that the model has learnt from. Give the same `tfts run` again, or other rows "
            "with --data."
        )


def load_model(run_dir, model):
    """A saved model of a run, by its name; `None` takes the only one.

    Raises:
        ValueError: If the run has no such model, or several and no name is given.

    Example:

    >>> from tfts.data.datasets import load_dataset
    >>> forecaster = Forecaster("drift", context_length=22, horizon=3)
    >>> forecaster.fit(load_dataset("sunspots")).save("run/models/drift")
    >>> load_model("run", "drift").spec.context_length
    22
    """
    folder = Path(run_dir) / "models"
    names = sorted(path.name for path in folder.glob("*") if (path / "forecaster.json").is_file())
    if model is None and len(names) == 1:
        model = names[0]
    if model is None:
        raise SettingError(f"The run has several models, so one must be named: {', '.join(names)}.")
    if model not in names:
        raise SettingError(unknown("model of the run", model, names))
    return Forecaster.load(folder / model)


def read_again(settings, path):
    """Another file of the kind that a run was made from.

    Example:

    >>> from tfts.config import parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... window: {context_length: 22, horizon: 3}
    ... ''')
    >>> _ = Path("new.csv").write_text("date,sunspots\\n2009-01-01,3.1\\n2010-01-01,16.5\\n")
    >>> read_again(settings, "new.csv").index[0]
    Timestamp('2009-01-01 00:00:00')
    """
    source = settings.data
    if source.source not in ("synthetic", "sales", "dataset"):
        return table_of(source, path)
    frame = read_table(
        path, columns=source.columns, time=source.time, encoding=source.encoding, na_values=source.na_values
    )
    if source.time is not None:
        return frame
    # Tables that ship have their times in the index; in a file they are the first column.
    return frame.iloc[:, 1:].set_index(times_of(frame, frame.columns[0]))
