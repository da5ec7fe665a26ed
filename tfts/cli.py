"""The commands: `tfts run`, `tfts detect`, `tfts regress` and what goes with them."""

import contextlib
import logging
import os
import platform
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from tfts import __version__
from tfts.errors import SettingError, TftsError

# What the user can mend, and what is told of it in one sentence.
_MISTAKES = (TftsError,)
_MISTAKE, _FAULT = 2, 70

app = typer.Typer(
    help="Time-series forecasting with Keras: one YAML file in, compared forecasts or alarms out.",
    epilog=(
        f"The exit code is 0 if all went well; 1 if `verify` found a difference; {_MISTAKE} if the command, the "
        f"settings, a file or the system did not allow it; {_FAULT} if tfts itself failed; 130 after Ctrl-C."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _commands(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; may also follow the command.")
    ] = False,
):
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
def tune(
    config: Annotated[Path, typer.Argument(help="YAML file with the settings.")],
    output: Annotated[Path | None, typer.Option(help="Folder for the results. [default: runs/NAME]")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="section.key=value", help="Overrules one setting.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a run with other settings in the folder.")] = False,
    workers: Annotated[
        int, typer.Option(help="Processes of this machine that share the trials and the cores.", min=0)
    ] = 0,
    chief: Annotated[bool, typer.Option("--chief", help="Choose settings for workers elsewhere.")] = False,
    worker: Annotated[
        str | None, typer.Option(metavar="NAME", help="Train what the chief chooses, under this name.")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Where the chief listens. [default: $KERASTUNER_ORACLE_IP:$KERASTUNER_ORACLE_PORT]",
        ),
    ] = None,
    silence: Annotated[
        float,
        typer.Option(help="Seconds without a word after which a worker, or the chief, is given up.", min=5),
    ] = 120,
):
    """Searches for better settings of one model, and scores them on the test rows, once.

    A search that was stopped goes on when the same command is given again. With --chief on
    one machine and --worker NAME on others, all share the folder of the results.
    """
    if chief + (worker is not None) + (workers > 0) > 1:
        raise SettingError("Give one of --chief, --worker NAME and --workers N: a process is one of them.")
    name = os.environ.get("KERASTUNER_TUNER_ID")
    if name and not (chief or worker or workers):
        # KerasTuner's own way to say what a process is.
        chief, worker = "chief" in name, None if "chief" in name else name
    if chief or worker is not None:
        host, port = (os.environ.get(f"KERASTUNER_ORACLE_{part}") for part in ("IP", "PORT"))
        address = address or (f"{host}:{port}" if host and port else None)
        if address is None:
            raise SettingError(
                "Chief and workers meet at --address HOST:PORT, or at $KERASTUNER_ORACLE_IP:$KERASTUNER_ORACLE_PORT."
            )
    with _quiet_start():
        from tfts.config import TuneSettings, read_settings
        from tfts.experiment.tuning import tune as run_search
        from tfts.experiment.tuning import work

    settings = read_settings(config, change or (), kind=TuneSettings)
    output = output or Path("runs") / config.stem
    try:
        if worker is not None:
            work(settings, output, worker, address, silence)
            return
        run_search(
            settings,
            output,
            config=config,
            overwrite=overwrite,
            workers=workers,
            chief=address if chief else None,
            silence_seconds=silence,
        )
    except KeyboardInterrupt:
        Console(stderr=True).print("Stopped. Give the same command again to go on.")
        raise typer.Exit(130) from None


@app.command()
def benchmark(
    suite: Annotated[Path, typer.Argument(help="YAML file with the settings.")],
    output: Annotated[
        Path | None, typer.Option(help="Folder for the results. [default: runs/benchmarks/NAME]")
    ] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="section.key=value", help="Overrules one setting.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Run this method of the suite; repeatable.")
    ] = None,
    horizon: Annotated[
        list[int] | None, typer.Option(metavar="ROWS", help="Run this horizon of the suite; repeatable.")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Run this task of a suite of tasks; repeatable.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Repeat runs whose settings have changed.")] = False,
    peers: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Run the peers of the suite too, in an environment that is made in this folder.",
        ),
    ] = None,
):
    """Scores the methods of SUITE for each horizon and seed, or each task, beside what others published.

    Each run has a process of its own. A suite that was stopped goes on when the same command
    is given again; finished runs are kept.
    """
    with _quiet_start():
        from tfts.config import TaskSuiteSettings, read_settings, suite_kind
        from tfts.experiment.benchmark import benchmark as run_suite
        from tfts.experiment.task_suite import benchmark_tasks

    settings = read_settings(suite, change or (), kind=suite_kind(suite))
    output = output or Path("runs") / "benchmarks" / suite.stem
    of_tasks = isinstance(settings, TaskSuiteSettings)
    for name, given, fits in (
        ("--task", task, of_tasks),
        ("--horizon", horizon, not of_tasks),
        ("--peers", peers, not of_tasks),
    ):
        if given and not fits:
            kinds = ("a suite of tasks", "a suite of one table")
            raise SettingError(f"{name} is for {kinds[of_tasks]}, and {suite} is {kinds[not of_tasks]}.")
    try:
        if of_tasks:
            benchmark_tasks(settings, output, only=only, tasks=task, overwrite=overwrite)
            return
        run_suite(settings, output, only=only, horizons=horizon, overwrite=overwrite, peers=peers)
    except KeyboardInterrupt:
        Console(stderr=True).print("Stopped. Give the same command again to go on.")
        raise typer.Exit(130) from None


@app.command()
def forecast(
    run_dir: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    data: Annotated[Path, typer.Option(help="CSV or Parquet file with the rows to continue.")],
    out: Annotated[Path, typer.Option(help="CSV or Parquet file for the forecasts.")],
    model: Annotated[
        str | None, typer.Option(help="Name of a model or baseline of the run; not needed after `tfts tune`.")
    ] = None,
    quantiles: Annotated[
        str | None, typer.Option(help="Levels such as 0.1,0.5,0.9. [default: those of forecast.quantiles]")
    ] = None,
):
    """Continues the series of a file with a saved model, in original units."""
    with _quiet_start():
        from tfts._files import check_table_path, read_run, write_table
        from tfts.config import Settings, TuneSettings
        from tfts.experiment.attention import load_model, read_again

    settings = read_run(run_dir)["settings"]
    settings = (TuneSettings if "tune" in settings else Settings).model_validate(settings)
    forecaster = load_model(run_dir, model)
    check_table_path(out)
    table = forecaster.predict(read_again(settings, data), quantiles=_levels(quantiles))
    write_table(table, out)
    Console().print(f"{len(table)} rows of forecasts: {out}")


def _levels(text):
    """Levels of a list such as `0.1,0.9`; `None` for `None`."""
    if text is None:
        return None
    try:
        return [float(level) for level in text.split(",")]
    except ValueError:
        raise SettingError(
            f"--quantiles takes levels such as 0.1,0.5,0.9. Received: --quantiles {text}."
        ) from None


@app.command()
def attention(
    run_dir: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    model: Annotated[str, typer.Option(help="Name of a model of the run that has attention.")],
    data: Annotated[
        Path | None, typer.Option(help="CSV or Parquet file with other rows. [default: the test rows]")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the results. [default: RUN_DIR/attention/MODEL]")
    ] = None,
):
    """Says what a model looks at: sentences, tables, weights and pictures."""
    with _quiet_start():
        from tfts.experiment.attention import analyse_run

    analysis, output = analyse_run(run_dir, model, data, output)
    for claim in analysis.claims:
        Console().print(f"- {claim}", markup=False, highlight=False)
    Console().print(f"{len(analysis.windows)} windows. Results: {output}")


@app.command()
def report(run_dir: Annotated[Path, typer.Argument(help="Folder of a run.")]):
    """Writes report.html into RUN_DIR: everything that was found, and the settings, in one file.

    `tfts run`, `detect`, `regress`, `tune` and `benchmark` do so at their end. Only the folder is read.
    """
    from tfts.report import write_report

    Console().print(f"Report: {write_report(run_dir)}")


@app.command()
def detect(
    source: Annotated[
        Path, typer.Argument(metavar="CONFIG|RUN_DIR", help="YAML file with the settings, or a finished run.")
    ],
    data: Annotated[Path | None, typer.Option(help="With RUN_DIR: CSV or Parquet file to judge.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="With RUN_DIR: CSV or Parquet file for the events.")
    ] = None,
    rows: Annotated[
        Path | None, typer.Option(help="With RUN_DIR: CSV or Parquet file for the judged rows.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="With CONFIG: folder. [default: runs/NAME]")] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="section.key=value", help="With CONFIG: overrules one setting."),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a run with other settings in the folder.")] = False,
):
    """Finds anomalies: fits by CONFIG and judges later rows, or judges a file with a fitted run."""
    if source.is_dir() != (data is not None):
        raise SettingError(
            "Give a CONFIG file, or the folder of a run together with --data FILE. Received: "
            f"{str(source)!r}, --data {data}."
        )
    if source.is_dir() and (output or change or overwrite):
        raise SettingError("--output, --set and --overwrite go with a CONFIG file, not with a fitted run.")
    if not source.is_dir() and (out or rows):
        raise SettingError("--out and --rows go with a fitted run; a CONFIG file writes into --output.")
    with _quiet_start():
        from tfts._files import check_table_path, write_table
        from tfts.config import DetectionSettings, read_settings
        from tfts.experiment.detection import detect as run_detection
        from tfts.experiment.detection import detect_file, in_cells

    if not source.is_dir():
        settings = read_settings(source, change or (), kind=DetectionSettings)
        run_detection(settings, output or Path("runs") / source.stem, overwrite=overwrite)
        return
    for path in (out, rows):
        if path is not None:
            check_table_path(path)
    judged, events = detect_file(source, data)
    for path, table in ((out, in_cells(events)), (rows, judged)):
        if path is not None:
            write_table(table, path)


@app.command()
def monitor(
    run_dir: Annotated[Path, typer.Argument(help="Folder of a finished run of `tfts detect`.")],
    state: Annotated[
        Path | None, typer.Option(help="File of the state. [default: monitor.json in RUN_DIR]")
    ] = None,
    every: Annotated[int, typer.Option(help="Rows after which the state is written.", min=1)] = 1000,
):
    """Judges rows from standard input (CSV or JSON lines); alarms are JSON lines on standard output.

    Killed, it loses nothing: started again with the rows after the last state, it raises the
    same alarms. Rows that the state knows are ignored.
    """
    with _quiet_start():
        from tfts.experiment.detection import watch

    try:
        done = watch(run_dir, sys.stdin, state=state, every=every)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    told = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in done.counts.items())
    Console(stderr=True).print(f"End of input: {told or 'no rows'}.")


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


@app.command()
def export(
    source: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Folder of a run or of a saved model.")],
    to: Annotated[Path, typer.Option(help="Folder of all served models; gets NAME/VERSION/.")],
    model: Annotated[str | None, typer.Option(help="Name of a model of a run of `tfts run`.")] = None,
    name: Annotated[str | None, typer.Option(help="Under which it is served. [default: the model's]")] = None,
    version: Annotated[int | None, typer.Option(help="Its number. [default: the next one]")] = None,
    unit: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=UNIT", help="Unit of a column, for its description.")
    ] = None,
    format: Annotated[
        str, typer.Option(help="savedmodel (for TensorFlow Serving), onnx or litert.")
    ] = "savedmodel",
):
    """Writes a model as a model server takes it: raw values in, original units out.

    A version appears complete or not at all, and none is ever overwritten.
    """
    units = dict(pair.partition("=")[::2] for pair in unit or ())
    if not all(units.values()):
        raise SettingError(f"--unit takes COLUMN=UNIT, such as load=MW. Received: {', '.join(unit)}.")
    with _quiet_start():
        from tfts.serving import export as write

        folder = write(source, to, version, name, model=model, units=units, format=format)
    Console().print(f"Exported: {folder}")


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="Folder of an exported version, or of a model: its newest.")],
    threads: Annotated[int | None, typer.Option(help="Threads of TensorFlow.", min=1)] = None,
    repeats: Annotated[int, typer.Option(help="Requests that are timed for each batch size.", min=0)] = 200,
):
    """Loads an export through TensorFlow's C API and compares its answers with the recorded ones.

    The process that does so knows neither keras nor tfts. The exit code is 1 where an answer
    or a file differs.
    """
    from tfts.serving.verification import print_verification
    from tfts.serving.verification import verify as check

    found = check(path, threads, repeats)
    print_verification(found, Console())
    raise typer.Exit(0 if found.passed else 1)


@app.command()
def serve(
    path: Annotated[Path, typer.Argument(help="Folder of exported models: PATH/NAME/VERSION.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    rest_port: Annotated[int, typer.Option(help="Port of REST; 0 takes a free one.")] = 8501,
    grpc_port: Annotated[int, typer.Option(help="Port of gRPC; 0 takes a free one.")] = 8500,
    max_batch_size: Annotated[int, typer.Option(help="Rows of a batch that several requests share.")] = 64,
    batch_timeout: Annotated[float, typer.Option(help="Seconds to wait for others to share it.")] = 0.0,
    max_body: Annotated[int, typer.Option(help="Most bytes of a request.")] = 2**24,
    poll: Annotated[float, typer.Option(help="Seconds between two looks for new versions.")] = 1.0,
    threads: Annotated[int, typer.Option(help="Threads of TensorFlow; 0 takes one for each core.")] = 0,
):
    """Serves exported models by REST and gRPC as TensorFlow Serving does, for development.

    New versions in PATH are loaded while requests go on. Ctrl-C answers what has come, and ends.
    """
    with _quiet_start():
        from tfts.serving.server import serve_until_stopped

    serve_until_stopped(
        path,
        Console().print,
        host=host,
        rest_port=rest_port,
        grpc_port=grpc_port,
        max_batch_size=max_batch_size,
        batch_timeout=batch_timeout,
        max_body=max_body,
        poll=poll,
        threads=threads,
    )


def main():
    """Runs a command; what the user did wrong is one message and no traceback."""
    words = [word for word in sys.argv[1:] if word != "--debug"]
    debug = len(words) < len(sys.argv) - 1
    try:
        app(args=words)
    except Exception as error:
        sys.exit(_tell(error, debug, Console(stderr=True)))


def _tell(error, debug, console):
    """Says what went wrong, and through whom; gives the exit code."""
    if debug:
        console.print(_trace(error), markup=False, highlight=False, soft_wrap=True)
    if isinstance(error, _MISTAKES):
        said = error.args[0] if isinstance(error, KeyError) and error.args else error
        code = _MISTAKE
    elif isinstance(error, OSError | MemoryError):
        said, code = _system_sentence(error), _MISTAKE
    else:
        what = f"{type(error).__name__}: {error}".rstrip(": ")
        said, code = f"This is a fault of tfts, not of your input: {what}", _FAULT
    console.print(f"[bold red]Error[/bold red]: {escape(str(said))}", highlight=False)
    if code == _FAULT and not debug:
        console.print(_where_traced(error), markup=False, highlight=False, soft_wrap=True)
    return code


def _system_sentence(error):
    """What the system, and not tfts, refused: the path and the reason."""
    if isinstance(error, MemoryError):
        return f"There is not enough memory ({error})." if str(error) else "There is not enough memory."
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    reason = error.strerror or str(error) or type(error).__name__
    return f"The system refuses {' to '.join(names)}: {reason}." if names else f"The system says: {reason}."


def _where_traced(error):
    """Writes the traceback into a file, and says where; without a place for it, gives it."""
    try:
        handle, path = tempfile.mkstemp(prefix="tfts-fault-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8") as log:
            log.write(_trace(error))
    except OSError:
        return _trace(error)
    return f"Its traceback is in {path}; --debug shows it here. Please report it with that file."


def _trace(error):
    words = " ".join(["tfts", *sys.argv[1:]])
    versions = f"tfts {__version__}, Python {platform.python_version()}, {platform.platform()}"
    return f"{words}\n{versions}\n{''.join(traceback.format_exception(error))}"
