"""What `tfts detect` and `tfts monitor` do, step by step."""

import csv
import itertools
import json
import shutil
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from tfts._files import check_run_format, write_json, write_table
from tfts._messages import unknown
from tfts.anomaly.detector import AnomalyDetector
from tfts.anomaly.events import event_table
from tfts.config import DetectionSettings
from tfts.data.readers import read_table
from tfts.errors import DataError, MissingFileError, SettingError, TftsError, UnknownNameError
from tfts.experiment.folder import claim, frame_digest, is_made_of, mark, now, say_changed
from tfts.experiment.tables import load_frame, moment, series_name, table_of, time_name, times_of
from tfts.report.detection import write_detection_report

# Rows after which the state of a live feed is written, if no alarm came before.
_EVERY = 1000
_SHOWN = 20


def detect(settings, output, *, overwrite=False, console=None):
    """Learns from the first rows of a table, judges the others, and writes what it finds.

    A run that was stopped goes on when it is started again with the same settings: a
    fitted detector is not fitted again, unless the rows to learn from have changed.

    Args:
        settings: `DetectionSettings`, as from `read_settings(path, kind=DetectionSettings)`.
        output: Folder for the results: `detector/`, `judged.parquet` (a row for each value
            judged), `events.csv`, `run.json`.
        overwrite: Whether a run with other settings in `output` may be replaced.
        console: `rich.console.Console` for what is found.

    Returns:
        DataFrame with the events, a row each.

    Raises:
        ValueError: If `output` holds a run with other settings, or the data can't be used.

    Example:

    >>> import io
    >>> from tfts.config import parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... detector: {model: linear_regression, context_length: 22, threshold: mad, k: 6}
    ... ''', kind=DetectionSettings)
    >>> events = detect(settings, "sunspots", console=Console(file=io.StringIO()))
    >>> sorted(path.name for path in Path("sunspots").iterdir())
    ['detector', 'events.csv', 'judged.parquet', 'report.html', 'run.json']
    """
    console = console or Console()
    output = Path(output)
    started = time.monotonic()
    check_detector(settings)
    frame, _ = load_frame(settings)
    learnt, new = split_frame(frame, settings)
    console.print(f"[bold]Data[/bold] {len(learnt):,} rows to learn from, {len(new):,} to judge")
    rows = {"learnt": frame_digest(learnt), "judged": frame_digest(new)}
    described, changed = claim(output, settings, overwrite, rows, keep=("detector", "monitor.json"))
    say_changed(changed, console)
    described["split"] = {
        "learnt from": _described_part(learnt, settings),
        "judged": _described_part(new, settings),
    }
    write_json(described, output / "run.json")
    detector = _fit_or_load(settings, learnt, rows["learnt"], output, console)
    rows, events = _judge(detector, new, console)
    write_table(rows, output / "judged.parquet")
    write_table(in_cells(events), output / "events.csv")
    described |= {
        "data": {"targets": list(rows["target"].unique()), "series": int(rows["series"].nunique())},
        "judged": len(rows),
        "flagged": int(rows["flag"].sum()),
        "events": len(events),
        "expected_alarms_a_day": detector.expected_alarms_a_day_,
        "seconds": round(time.monotonic() - started, 2),
        "finished": now(),
    }
    write_json(described, output / "run.json")
    print_events(events, console)
    expected = ", ".join(f"{t} {rate:.3g}" for t, rate in detector.expected_alarms_a_day_.items())
    console.print(f"Flagged rows a day expected of usual rows: {expected}")
    console.print(f"{described['flagged']} of {len(rows)} values flagged. Results: {output}")
    console.print(f"Report: {write_detection_report(output)}")
    return events


def _fit_or_load(settings, learnt, digest, output, console):
    """The detector of these rows and settings: the one in the folder, or a new one."""
    folder = output / "detector"
    fit = settings.model_dump(mode="json", exclude={"data": {"path"}})
    made_of = {"rows": {"learnt": digest}, "settings": fit}
    if is_made_of(folder, made_of):
        console.print("Detector: already fitted")
        return AnomalyDetector.load(folder)
    # What is of other rows must not be taken for the run's, should this one be stopped; what a
    # live feed knew was known of that detector.
    shutil.rmtree(folder, ignore_errors=True)
    (output / "monitor.json").unlink(missing_ok=True)
    detector = fit_detector(settings, learnt)
    detector.save(folder)
    mark(folder, made_of)
    return detector


def in_cells(events):
    """Events with lists as text, which a cell of a table can hold: `Sales, Inventory`.

    Example:

    >>> in_cells(pd.DataFrame({"targets": [("Sales", "Ratings")], "shares": [(0.75, 0.25)]}))
               targets      shares
    0  Sales, Ratings  0.75, 0.25
    """
    cells = {name: [", ".join(map(str, cell)) for cell in events[name]] for name in ("targets", "shares")}
    return events.assign(**cells)


def _described_part(frame, settings):
    times = times_of(frame, _time_of(settings.data))
    return {"rows": len(frame), "start": times.min().isoformat(), "end": times.max().isoformat()}


def _judge(detector, frame, console):
    """Judged rows and events; what is to be said of them goes to the console."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        rows, found = detector.judge(frame)
    for warning in told:
        console.print(f"[yellow]Note[/yellow] {warning.message}", highlight=False)
    return rows, event_table(found)


def check_detector(settings):
    """Refuses names and options of a detector before long work is done for them.

    Example:

    >>> from tfts.config import parse_settings
    >>> check_detector(parse_settings("data: {source: dataset, name: co2}", kind=DetectionSettings))
    """
    _new_detector(settings)


def _new_detector(settings):
    data, own = settings.data, settings.detector.model_dump()
    own["confirm"] = tuple(own["confirm"])
    unused = {name: getattr(data, name) for name in ("static", "categories", "series_embedding")}
    if any(unused.values()):
        raise SettingError(
            "A detector takes columns of numbers, no labels or attributes of series. Leave them out of `data`. "
            f"Received: {unused}."
        )
    return AnomalyDetector(
        **own,
        targets=data.targets,
        known_future=data.known_future if "known_future" in data.model_fields_set else None,
        calendar=data.calendar,
        time=_time_of(data),
        series="store" if data.source == "sales" and data.series is None else series_name(data),
        freq=data.freq,
        missing=data.missing,
        limit=data.limit,
        duplicates=data.duplicates,
        scaler=data.scaler,
        per_series=data.per_series if "per_series" in data.model_fields_set else True,
    )


def _time_of(data):
    return "time" if data.source == "sales" and data.time is None else time_name(data)


def split_frame(frame, settings):
    """The rows to learn from and the rows to judge: all before a time, and all others.

    Example:

    >>> from tfts.config import parse_settings
    >>> settings = parse_settings(
    ...     "{data: {source: dataset, name: co2}, learn: 1990-01-06}", kind=DetectionSettings
    ... )
    >>> frame, _ = load_frame(settings)
    >>> [len(part) for part in split_frame(frame, settings)]
    [1658, 626]
    """
    learn = settings.learn
    times = times_of(frame, _time_of(settings.data))
    if isinstance(learn, str):
        first = moment("learn", learn, times)
    elif 0 < learn < 1:
        first = np.sort(times.unique())[int(learn * times.nunique())]
    else:
        raise SettingError(f"`learn` must be a share in (0, 1) or a time. Received: learn={learn!r}.")
    early = np.asarray(times < first)
    if early.all() or not early.any():
        raise DataError(
            f"All {len(frame)} rows are {'before' if early.all() else 'from'} {first} on, so that none is left to "
            f"{'judge' if early.all() else 'learn from'}. Change `learn`."
        )
    return frame[early], frame[~early]


def fit_detector(settings, frame):
    """The fitted detector of a run.

    Example:

    >>> from tfts.config import parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... detector: {model: seasonal_naive, context_length: 11, model_options: {season_length: 11}}
    ... ''', kind=DetectionSettings)
    >>> fit_detector(settings, load_frame(settings)[0]).is_fitted
    True
    """
    detector = _new_detector(settings)
    training = {}
    if settings.detector.model in _networks():
        training = {**settings.training.model_dump(), "seed": settings.seed, "verbose": 0}
    return detector.fit(frame, exclude=settings.exclude, **training)


def _networks():
    from tfts.models import MODELS

    return MODELS


def read_run(run_dir):
    """Settings and detector of a run of `tfts detect`.

    Raises:
        FileNotFoundError: If the folder holds no such run.

    Example:

    >>> read_run("nowhere")
    Traceback (most recent call last):
    tfts.errors.MissingFileError: nowhere holds no detector: ... Give the --output of `tfts detect`.
    """
    run_dir = Path(run_dir)
    if not (run_dir / "detector" / "detector.json").is_file() or not (run_dir / "run.json").is_file():
        raise MissingFileError(
            f"{run_dir} holds no detector: detector/detector.json is not there. Give the --output of `tfts detect`."
        )
    described = json.loads((run_dir / "run.json").read_text())
    check_run_format(described, run_dir / "run.json")
    settings = DetectionSettings.model_validate(described["settings"])
    return settings, AnomalyDetector.load(run_dir / "detector")


def detect_file(run_dir, path, console=None):
    """Judges the rows of a file with the detector of a run.

    Args:
        run_dir: Folder of a finished run of `tfts detect`.
        path: CSV or Parquet file.
        console: `rich.console.Console` for what is found.

    Returns:
        Tuple of the judged rows and the events, as `AnomalyDetector.judge` and
        `event_table` give them.

    Example:

    >>> import io
    >>> from tfts.config import parse_settings
    >>> from tfts.data.datasets import load_dataset
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... detector: {model: persistence, context_length: 1}
    ... ''', kind=DetectionSettings)
    >>> _ = detect(settings, "run", console=Console(file=io.StringIO()))
    >>> load_dataset("sunspots").rename_axis("time").to_csv("sunspots.csv")
    >>> rows, events = detect_file("run", "sunspots.csv", Console(file=io.StringIO()))
    >>> len(rows)
    308
    """
    settings, detector = read_run(run_dir)
    data, name = settings.data, detector.plan_.time_name
    if data.source in ("synthetic", "sales", "dataset"):
        columns, encoding, marks = data.columns, data.encoding, data.na_values
        frame = read_table(path, columns=columns, time=data.time or name, encoding=encoding, na_values=marks)
    else:
        frame = table_of(data.model_copy(update={"time": data.time or name}), path)
    if detector.settings["time"] is None:
        frame = frame.set_index(name)
    console = console or Console()
    rows, events = _judge(detector, frame, console)
    print_events(events, console)
    return rows, events


def print_events(events, console):
    """Prints events, the gravest first, a sentence each.

    Example:

    >>> print_events(event_table([]), Console(width=60))
    No event.
    """
    if events.empty:
        console.print("No event.")
        return
    table = Table(box=None, padding=(0, 1), show_header=False)
    grave = events.sort_values("strength", ascending=False)
    for event in grave.head(_SHOWN).sort_values("start").itertuples():
        table.add_row(f"{event.start:%Y-%m-%d %H:%M}", event.sentence)
    more = f", the {_SHOWN} gravest:" if len(events) > _SHOWN else ":"
    console.print(f"{len(events)} event{'s' if len(events) > 1 else ''}{more}")
    console.print(table)


def watch(run_dir, lines, *, state=None, every=_EVERY, out=None, errors=None):
    """Judges lines as they come, and writes a line of JSON for each alarm.

    The state is written after every alarm and every `every` rows, and at the end. Started
    again, it goes on from there; rows that the state knows are ignored as late ones, so
    the feed may begin anywhere before them.

    Args:
        run_dir: Folder of a finished run of `tfts detect`.
        lines: Iterable of text lines: JSON objects, or CSV with a header.
        state: Path of the state. `None` is `monitor.json` in `run_dir`.
        every: Int >= 1, rows.
        out: Text file for the alarms. `None` is standard output.
        errors: Text file for what is said of lines that can't be read, which are left
            out. `None` is standard error.

    Returns:
        The `Monitor`.

    Example:

    >>> import io
    >>> from tfts.config import parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... detector: {model: linear_regression, context_length: 22}
    ... ''', kind=DetectionSettings)
    >>> _ = detect(settings, "run", console=Console(file=io.StringIO()))
    >>> lines = ["time,sunspots", "1855-01-01,10.2", "1856-01-01,900.0"]
    >>> alarms = io.StringIO()
    >>> watch("run", lines, out=alarms).counts["rows"]
    2
    >>> json.loads(alarms.getvalue())["severity"]
    'high'
    """
    if every < 1:
        raise SettingError(f"`every` must be an int >= 1 (rows). Received: every={every}.")
    out, errors = out or sys.stdout, errors or sys.stderr
    run_dir = Path(run_dir)
    settings, detector = read_run(run_dir)
    path = Path(state) if state is not None else run_dir / "monitor.json"
    monitor = detector.monitor(path if path.is_file() else None)
    if path.is_file():
        print(f"Going on from {path}, which knows {monitor.counts['rows']:,} rows.", file=errors)
    since = 0
    try:
        for number, row in _rows(lines, errors):
            try:
                event = monitor.update(_joined(row, settings.data))
            except TftsError as error:
                print(f"Line {number} is left out: {error.args[0]}", file=errors)
                monitor.counts["unreadable"] += 1
                continue
            since += 1
            if event is not None:
                print(json.dumps(event.to_dict()), file=out, flush=True)
            if event is not None or since >= every:
                monitor.save(path)
                since = 0
    finally:
        monitor.save(path)
    return monitor


def _rows(lines, errors):
    """Yields line numbers and rows of CSV or of JSON lines, whichever the first line is."""
    numbered = ((i, line) for i, line in enumerate(lines, 1) if line.strip())
    first = next(numbered, None)
    if first is None:
        return
    if not first[1].lstrip().startswith("{"):
        header = next(csv.reader([first[1]]))
        for number, line in numbered:
            cells = next(csv.reader([line]))
            if len(cells) != len(header):
                print(f"Line {number} is left out: {len(cells)} cells, not {len(header)}.", file=errors)
                continue
            yield number, dict(zip(header, cells, strict=True))
        return
    for number, line in itertools.chain([first], numbered):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            print(f"Line {number} is left out: no JSON ({error}).", file=errors)
            continue
        if not isinstance(row, dict):
            print(f"Line {number} is left out: expected a JSON object.", file=errors)
            continue
        yield number, row


def _joined(row, data):
    """A row whose date and hour of two columns are one time."""
    if not isinstance(data.time, list) or "time" in row:
        return row
    for name in data.time:
        if name not in row:
            raise UnknownNameError(unknown("time column", name, row))
    day, hour = (row[name] for name in data.time)
    try:
        stamp = f"{day} {hour}" if ":" in str(hour) else pd.Timestamp(day) + pd.Timedelta(hours=float(hour))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{data.time[0]} {day!r} and {data.time[1]} {hour!r} are not a time ({error})."
        ) from error
    return {**row, "time": stamp}
