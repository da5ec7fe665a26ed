"""The commands: `tfts run`, `tfts forecast`, `tfts regress`."""

import contextlib
import json
import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

app = typer.Typer(
    help="Time-series forecasting with Keras: one YAML file in, compared forecasts out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _commands():
    # What TensorFlow says of itself would bury what the user asked for.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    os.environ.setdefault("MPLBACKEND", "Agg")


@contextlib.contextmanager
def _quiet_start():
    """Hides the lines that TensorFlow's libraries write while they are loaded."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            import tensorflow  # noqa: F401 - what follows finds it loaded

            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="YAML file with the settings.")],
    output: Annotated[Path | None, typer.Option(help="Folder for the results. [default: runs/NAME]")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="section.key=value", help="Overrules one setting.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a run with other settings in the folder.")] = False,
):
    """Fits and scores every baseline and model of CONFIG and writes the results.

    A run that was stopped goes on when the same command is given again.
    """
    with _quiet_start():
        from tfts.config import read_settings
        from tfts.experiment.forecasting import run as run_experiment

    settings = read_settings(config, change or ())
    output = output or Path("runs") / config.stem
    try:
        run_experiment(settings, output, overwrite=overwrite)
    except KeyboardInterrupt:
        Console(stderr=True).print("Stopped. Give the same command again to go on.")
        raise typer.Exit(130) from None


@app.command()
def forecast(
    run_dir: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    model: Annotated[str, typer.Option(help="Name of a model or baseline of the run.")],
    data: Annotated[Path, typer.Option(help="CSV or Parquet file with the rows to continue.")],
    out: Annotated[Path, typer.Option(help="CSV or Parquet file for the forecasts.")],
):
    """Continues the series of a file with a saved model, in original units."""
    with _quiet_start():
        from tfts._files import check_table_path, write_table
        from tfts._messages import unknown
        from tfts.config import Settings
        from tfts.data.readers import read_table
        from tfts.forecaster import Forecaster

    if not (run_dir / "run.json").is_file():
        raise FileNotFoundError(
            f"{run_dir} holds no run: run.json is not there. Give the --output of `tfts run`."
        )
    names = sorted(
        path.name for path in (run_dir / "models").glob("*") if (path / "forecaster.json").is_file()
    )
    if model not in names:
        raise ValueError(unknown("model of the run", model, names))
    check_table_path(out)
    settings = Settings.model_validate(json.loads((run_dir / "run.json").read_text())["settings"])
    source = settings.data
    frame = read_table(
        data, columns=source.columns, time=source.time, encoding=source.encoding, na_values=source.na_values
    )
    table = Forecaster.load(run_dir / "models" / model).predict(frame)
    write_table(table, out)
    Console().print(f"{len(table)} rows of forecasts: {out}")


@app.command()
def regress(
    config: Annotated[Path, typer.Argument(help="YAML file with the settings.")],
    output: Annotated[Path | None, typer.Option(help="Folder for the results. [default: runs/NAME]")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="section.key=value", help="Overrules one setting.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a run with other settings in the folder.")] = False,
):
    """Fits a linear, logistic or softmax regression and scores it on rows it has not seen."""
    with _quiet_start():
        from tfts.config import RegressSettings, read_settings
        from tfts.experiment.regression import run as run_regression

    settings = read_settings(config, change or (), RegressSettings)
    run_regression(settings, output or Path("runs") / config.stem, overwrite=overwrite)


def main():
    """Runs a command; what the user did wrong is one message and no traceback."""
    try:
        app()
    except (ValueError, KeyError, FileNotFoundError) as error:
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        Console(stderr=True).print(f"[bold red]Error[/bold red]: {escape(str(message))}", highlight=False)
        sys.exit(2)
