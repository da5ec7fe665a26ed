"""What `tfts benchmark` does: every method, horizon and seed of a suite, one run after the other."""

import contextlib
import hashlib
import importlib
import itertools
import json
import os
import platform
import subprocess
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from rich.console import Console

import tfts
from tfts._files import replacing, write_json, write_table
from tfts._messages import unknown
from tfts.baselines import BASELINES
from tfts.config import ENTRY_DATA, ENTRY_KEYS, BenchmarkSettings, Settings, Training
from tfts.data.scaling import Scaler
from tfts.data.split import chronological_split
from tfts.data.windows import WindowSpec
from tfts.experiment.folder import changes, now, started
from tfts.experiment.peers import environment, peer_forecasts
from tfts.experiment.suite_tables import differences, print_suite, runs_table, summary
from tfts.experiment.tables import forecaster_options, load_frame
from tfts.forecaster import Forecaster
from tfts.metrics import ErrorSums, mase_scale
from tfts.report.suite import write_suite_report

# Windows that are forecast and scored at once.
_CHUNK = 2048
# Loss of one window, from which the score of a metric follows: of rmse, the square.
_LOSSES = {"mse": "mse", "rmse": "mse", "mae": "mae", "smape": "smape", "mase": "mase"}


def benchmark(settings, output, *, only=None, horizons=None, overwrite=False, peers=None, console=None):
    """Fits and scores every method of a suite for each horizon and seed.

    Each run has a process of its own. What is finished is kept: a suite that was stopped, or
    that got further methods, seeds or horizons, goes on where it was.

    Args:
        settings: `BenchmarkSettings`, as from `read_settings`.
        output: Folder for the results.
        only: Names of methods of the suite to run; `None` for all.
        horizons: Horizons of the suite to run; `None` for all.
        overwrite: Whether runs in `output` with other settings may be repeated.
        peers: Folder of the environment of other packages, which is made where it is not there;
            `None` runs no peer.
        console: `rich.console.Console` for progress and the tables.

    Returns:
        DataFrame with the rows of `summary.csv`, see `tfts.experiment.suite_tables.summary`.

    Raises:
        ValueError: If `output` holds runs with other settings, a name is unknown, or runs
            failed (all others are done first).
        FileNotFoundError: If a file of the data is not there.
        KeyboardInterrupt: If it was interrupted, when the tables so far are written.

    Example:

    >>> import io
    >>> from tfts.config import parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... protocol: {context_length: 22, horizons: [3]}
    ... baselines: {drift: {}}
    ... ''', kind=BenchmarkSettings)
    >>> table = benchmark(settings, "sunspots", console=Console(file=io.StringIO()))
    >>> table[["horizon", "model", "seeds"]]
       horizon  model  seeds
    0        3  drift      1
    """
    console = console or Console()
    output = Path(output)
    plans = plan(settings)
    wanted = _wanted(settings, plans, only, horizons, peers is not None)
    done = _claim(settings, plans, output, overwrite)
    python = None if peers is None else str(environment(peers, console))
    began, limit, failed = time.monotonic(), settings.budget.suite_seconds, {}
    try:
        for number, key in enumerate(wanted, 1):
            title = f"[{number}/{len(wanted)}] {key}"
            if key in done and not _may_go_on(done[key], settings):
                console.print(f"{title}: {_said(done[key], settings)}, kept", markup=False)
                continue
            if limit is not None and time.monotonic() - began > limit:
                console.print(f"The budget of {limit:g} s is used up: the same command goes on.")
                break
            chosen = _chosen_before(settings, plans[key], done, output)
            record, said = _in_a_process(settings, plans[key], chosen, output, python)
            if record is None:
                failed[key] = said
                console.print(f"{title}: failed: {said}", markup=False)
            else:
                done[key] = record
                console.print(f"{title}: {_said(record, settings)}", markup=False)
            _write_tables(settings, done, output)
    except KeyboardInterrupt:
        _finish(settings, done, output, console)
        raise
    table = _finish(settings, done, output, console)
    if len(table):
        console.print(f"Report: {write_suite_report(output)}")
    if failed:
        told = "\n".join(f"- {key}: {said} (see {output / 'logs' / key}.log)" for key, said in failed.items())
        raise ValueError(
            f"{len(failed)} of {len(wanted)} runs failed; the same command tries them again:\n{told}"
        )
    return table


def plan(settings):
    """All runs of a suite.

    Args:
        settings: `BenchmarkSettings`.

    Returns:
        Dict from the key of a run, such as `"96-linear-0"`, to a dict of `key`, `horizon`,
        `label`, `seed` and `recipe`: all that its result depends on. A baseline has one run.

    Raises:
        FileNotFoundError: If a file of the data is not there.

    Example:

    >>> from tfts.config import parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... protocol: {context_length: 22, horizons: [3, 6]}
    ... seeds: [0, 1]
    ... baselines: {drift: {}}
    ... models: {linear: {}}
    ... ''', kind=BenchmarkSettings)
    >>> list(plan(settings))
    ['3-drift', '3-linear-0', '3-linear-1', '6-drift', '6-linear-0', '6-linear-1']
    """
    plain = settings.model_dump(mode="json")
    shared = {
        "data": _fingerprint(settings.data),
        "split": plain["split"],
        "protocol": {k: v for k, v in plain["protocol"].items() if k not in ("horizons", "windows")},
    }
    plans = {}
    for horizon, seed, label in itertools.product(
        settings.protocol.horizons, settings.seeds, [*settings.baselines, *settings.models, *settings.peers]
    ):
        if label in settings.peers and horizon not in (settings.peers[label].horizons or [horizon]):
            continue
        network = label not in settings.baselines
        key = f"{horizon}-{label}-{seed}" if network else f"{horizon}-{label}"
        if label in settings.peers:
            recipe = {"peers": {label: {**plain["peers"][label], "horizons": None}}}
        elif network:
            recipe = {"models": {label: plain["models"][label]}, "training": plain["training"]}
            if "choose" in plain["models"][label]:
                # Another seed takes the setting that the first one chose.
                recipe["first_seed"] = settings.seeds[0]
        else:
            recipe = {"baselines": {label: plain["baselines"][label]}}
        of = {"horizon": horizon, "label": label, "seed": seed if network else 0}
        plans.setdefault(key, {**of, "key": key, "recipe": {**recipe, **shared, **of}})
    return plans


def score_method(settings, label, horizon, seed=0, chosen=None):
    """One run: fits a method, chooses its settings on validation rows, and scores test rows once.

    Args:
        settings: `BenchmarkSettings`.
        label: Name of an entry of its `baselines` or `models`.
        horizon: Int >= 1, rows forecast.
        seed: Int, of a network.
        chosen: Dict of the settings that another seed chose from `choose`, or `None`.

    Returns:
        Tuple `(record, losses)`: a dict of scores, costs and what was chosen, and a dict from
        metric to float32 `(windows,)`, the loss of each test window, with its `origin` (int64,
        nanoseconds) and the number of its `series`.

    Raises:
        ValueError: If the test windows are not as many as the protocol says, or the table or
            an option can't be used.

    Example:

    >>> from tfts.config import parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... protocol: {context_length: 22, horizons: [3], windows: [44]}
    ... baselines: {ridge: {choose: {centres: [1, 11]}}}
    ... ''', kind=BenchmarkSettings)
    >>> record, losses = score_method(settings, "ridge", horizon=3)
    >>> record["windows"], len(record["tried"]), losses["mse"].shape
    (44, 2, (44,))
    """
    began, busy = time.perf_counter(), time.process_time()
    protocol, spent = settings.protocol, {"fit": 0.0, "predict": 0.0}
    frame, _ = load_frame(settings_of(settings, label, horizon, {})[0])
    best, tried = None, []
    for change in [chosen] if chosen is not None else choices(settings, label):
        run, name, options = settings_of(settings, label, horizon, change)
        forecaster = Forecaster(name, **forecaster_options(run), model_options=options)
        parts = _parts(forecaster.panel(frame), run.split)
        training = {**run.training.model_dump(), "seed": seed, "verbose": 0}
        start = time.perf_counter()
        forecaster.fit(
            parts["train"],
            validation=parts["validation"][0] if _holds_out(name) else 0,
            **(training if label in settings.models else {}),
        )
        spent["fit"] += time.perf_counter() - start
        scores, _, _ = _score(forecaster, parts, "validation", protocol, settings.data.per_series, {})
        tried.append({"settings": change, "score": scores[protocol.metrics[0]]})
        if best is None or tried[-1]["score"] < best[2]["score"]:
            best = forecaster, parts, tried[-1], run, options
    forecaster, parts, taken, run, options = best
    if not _holds_out(forecaster.name):
        # Its validation score is there: now it may learn from those rows too.
        start = time.perf_counter()
        forecaster = forecaster.clone().fit(parts["train"], validation=parts["validation"][0])
        spent["fit"] += time.perf_counter() - start
    scores, losses, windows = _score(forecaster, parts, "test", protocol, settings.data.per_series, spent)
    _check_windows(protocol, horizon, windows)
    record = {
        "horizon": horizon,
        "label": label,
        "model": forecaster.name,
        "seed": seed,
        "scores": scores,
        "validation": taken["score"],
        "windows": windows,
        "chosen": taken["settings"],
        "tried": tried,
        "context_length": run.window.context_length,
        # What a baseline found by itself, such as the lookback of a ridge.
        "found": getattr(forecaster.model, "chosen_", None),
        "epochs": len(forecaster.history_.get("loss", ())),
        "fit_seconds": round(spent["fit"], 3),
        "predict_seconds": round(spent["predict"], 3),
        "seconds": round(time.perf_counter() - began, 3),
        # Of all cores together; unlike the others, not longer where the machine has other work.
        "cpu_seconds": round(time.process_time() - busy, 3),
        "parameters": int(forecaster.num_parameters),
        "memory_mb": peak_memory(),
        **_machine(label in settings.models),
    }
    return record, losses


def score_peer(settings, label, horizon, seed, python):
    """`score_method` for a model of another package: it forecasts, tfts scores.

    Args:
        settings: `BenchmarkSettings`, of a table without series.
        label: Name of an entry of its `peers`.
        horizon: Int >= 1, rows forecast.
        seed: Int.
        python: Path of the interpreter of its environment.

    Returns:
        Tuple `(record, losses)`, as from `score_method`. What is chosen, and how, is up to the
        other package, so there is no score of the validation rows.

    Raises:
        ValueError: If the peer can't be run, or forecasts other windows.

    Example:

    >>> settings = BenchmarkSettings.model_validate({
    ...     "data": {"source": "sales", "time": "time", "series": "store"},
    ...     "protocol": {"context_length": 9, "horizons": [3]}, "peers": {"other": {"model": "DLinear"}}})
    >>> score_peer(settings, "other", 3, 0, "python")
    Traceback (most recent call last):
    ValueError: Peers forecast a table of one series, without columns known ahead. Received: data.series='store'...
    """
    data, protocol = settings.data, settings.protocol
    if data.series or data.known_future or data.calendar:
        raise ValueError(
            "Peers forecast a table of one series, without columns known ahead. Received: "
            f"data.series={data.series!r}, data.known_future={data.known_future}, data.calendar={data.calendar}."
        )
    window = {"context_length": protocol.context_length, "horizon": horizon}
    run = Settings(data=data, window=window, split=settings.split)
    began = time.perf_counter()
    frame, _ = load_frame(run)
    # It forecasts nothing here: it knows what came after each window.
    judge = Forecaster("persistence", **forecaster_options(run))
    panel = judge.panel(frame)
    parts = _parts(panel, settings.split)
    judge.fit(parts["train"], validation=parts["validation"][0])
    columns, (own, _) = panel.indices(panel.targets), parts["test"]
    offset, scale = Scaler("standard").fit(parts["train"]).affine(None, panel.targets)
    _, begin, end, _ = own.bounds[0]
    values = ((panel.values[:end, columns] - offset) / scale).astype(np.float32)
    length = begin - parts["validation"][0].bounds[0, 1]
    made = peer_forecasts(settings.peers[label], values, horizon, length, end - begin, seed, python)
    origins, forecasts, told = made
    rows = WindowSpec(protocol.context_length, horizon).origins(own)
    if not np.isin(rows, origins).all():
        raise ValueError(
            f"{label} forecast {len(origins)} windows from row {origins.min()} to {origins.max()}. Expected "
            f"{len(rows)} from row {rows.min()} to {rows.max()}."
        )

    def forecast_windows(_, at):
        return forecasts[np.searchsorted(origins, at)] * scale + offset

    scores, losses, windows = _score(judge, parts, "test", protocol, False, {}, forecast_windows)
    _check_windows(protocol, horizon, windows)
    record = {
        "horizon": horizon,
        "label": label,
        "model": settings.peers[label].model,
        "seed": seed,
        "scores": scores,
        "windows": windows,
        "chosen": settings.peers[label].options,
        "context_length": settings.peers[label].options.get("input_size"),
        **told,
        "seconds": round(time.perf_counter() - began, 3),
        **_machine(False),
    }
    return record, losses


def choices(settings, label):
    """The settings that an entry of a suite lists under `choose`, every combination.

    Example:

    >>> from tfts.config import parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... protocol: {context_length: 22, horizons: [3]}
    ... models: {linear: {choose: {context_length: [11, 22], learning_rate: [1e-3]}}}
    ... ''', kind=BenchmarkSettings)
    >>> choices(settings, "linear")
    [{'context_length': 11, 'learning_rate': 0.001}, {'context_length': 22, 'learning_rate': 0.001}]
    """
    listed = _entry(settings, label).get("choose", {})
    return [dict(zip(listed, values, strict=True)) for values in itertools.product(*listed.values())]


def settings_of(settings, label, horizon, change):
    """What one fit of an entry goes by.

    Args:
        settings: `BenchmarkSettings`.
        label: Name of the entry.
        horizon: Int >= 1.
        change: Dict of settings that take the place of the entry's own.

    Returns:
        Tuple of `Settings`, the name of the method, and its options.

    Example:

    >>> from tfts.config import parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... protocol: {context_length: 22, horizons: [3]}
    ... models: {own: {model: linear, shared: false, training: {epochs: 7}}}
    ... ''', kind=BenchmarkSettings)
    >>> run, name, options = settings_of(settings, "own", 3, {"batch_size": 16})
    >>> run.window, run.training.epochs, run.training.batch_size, name, options
    (Window(context_length=22, horizon=3, stride=1), 7, 16, 'linear', {'shared': False})
    """
    entry = _entry(settings, label)
    options = {key: value for key, value in entry.items() if key not in ENTRY_KEYS}
    entry = {key: value for key, value in entry.items() if key in ENTRY_KEYS}
    plain = settings.model_dump(mode="json", include={"data", "split", "training"})
    training = {**plain["training"], **entry.get("training", {})}
    for key, value in change.items():
        # An option of the method goes before a setting of the training with its name.
        if key in ENTRY_KEYS:
            entry[key] = value
        elif label in settings.models and key in Training.model_fields:
            training[key] = value
        else:
            options[key] = value
    protocol = settings.protocol
    run = Settings.model_validate(
        {
            "data": {**plain["data"], **{key: entry[key] for key in ENTRY_DATA if key in entry}},
            "window": {
                "context_length": entry.get("context_length", protocol.context_length),
                "horizon": horizon,
                "stride": protocol.stride,
            },
            "split": plain["split"],
            "training": training,
        }
    )
    return run, entry.get("model", label), options


def peak_memory():
    """Most memory that this process held at once, in MB; `None` where the system doesn't say.

    Example:

    >>> peak_memory() is None or peak_memory() > 10
    True
    """
    try:
        # Unlike getrusage, it does not count what the process was forked from.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024, 1)
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(most / (2**20 if sys.platform == "darwin" else 2**10), 1)


def work():
    """What the process of one run does: it reads what to do from standard input.

    It ends when the other end of standard input is closed, so that no run outlives the
    command that started it.

    Example:

    >>> import io
    >>> from unittest import mock
    >>> task = {"settings": {"data": {"source": "dataset", "name": "sunspots"},
    ...                      "protocol": {"context_length": 22, "horizons": [3]}, "baselines": {"drift": {}}},
    ...         "plan": {"key": "3-drift", "label": "drift", "horizon": 3, "seed": 0, "recipe": {}},
    ...         "chosen": None, "output": "."}
    >>> for folder in ("runs", "losses"):
    ...     Path(folder).mkdir()
    >>> with mock.patch("sys.stdin", io.StringIO(json.dumps(task))), mock.patch("threading.Thread"):
    ...     work()
    >>> json.loads(Path("runs", "3-drift.json").read_text())["windows"]
    44
    """
    task = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    of = task["plan"]
    settings = BenchmarkSettings.model_validate(task["settings"])
    if of["label"] in settings.models:
        # What it takes to load Keras is no part of the seconds.
        importlib.import_module("tfts.models")
    if of["label"] in settings.peers:
        record, losses = score_peer(settings, of["label"], of["horizon"], of["seed"], task["python"])
    else:
        record, losses = score_method(settings, of["label"], of["horizon"], of["seed"], task["chosen"])
    output, key = Path(task["output"]), of["key"]
    with replacing(output / "losses" / f"{key}.npz") as partial, partial.open("wb") as file:
        np.savez_compressed(file, **losses)
    write_json(
        {**record, "status": "finished", "recipe": of["recipe"], "finished": now()},
        output / "runs" / f"{key}.json",
    )


def _end_with_parent():
    sys.stdin.read()
    os._exit(1)


def _entry(settings, label):
    return (settings.models if label in settings.models else settings.baselines)[label]


def _fingerprint(data):
    """The settings of the data; of a file its content, not where it lies."""
    plain = data.model_dump(mode="json")
    if data.path is None:
        return plain
    path = Path(data.path)
    paths = [path, path.with_name(path.name.replace("-train", "-test"))] if data.source == "m4" else [path]
    digest = hashlib.sha256()
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist. Give the file with --set data.path=FILE.")
        digest.update(path.read_bytes())
    return {**plain, "path": digest.hexdigest()}


def _wanted(settings, plans, only, horizons, peers):
    if peers and not settings.peers:
        raise ValueError(
            "The suite names no peers. Expected a section such as peers: {dlinear: {model: DLinear}}."
        )
    for names, known, kind in (
        (only, [*settings.baselines, *settings.models, *settings.peers], "method of the suite"),
        (horizons, settings.protocol.horizons, "horizon of the suite"),
    ):
        for name in names or ():
            if name not in known:
                raise ValueError(unknown(kind, name, known))
    return [
        key
        for key, of in plans.items()
        if (not only or of["label"] in only)
        and (not horizons or of["horizon"] in horizons)
        and (peers or of["label"] not in settings.peers)
    ]


def _claim(settings, plans, output, overwrite):
    """Records of the runs that are done; refuses a folder that holds something else."""
    if output.is_dir() and any(output.iterdir()) and not (output / "suite.json").is_file():
        raise ValueError(f"{output} is not empty and holds no suite. Choose another --output.")
    done, other = {}, {}
    for key, of in plans.items():
        path = output / "runs" / f"{key}.json"
        if not path.is_file():
            continue
        record = json.loads(path.read_text())
        changed = sorted(changes(record["recipe"], json.loads(json.dumps(of["recipe"]))))
        if changed:
            other[key] = changed
        else:
            done[key] = record
    if other and not overwrite:
        names = sorted({name for changed in other.values() for name in changed})
        raise ValueError(
            f"{output} holds {len(other)} runs with other settings (changed: {', '.join(names)}), such as "
            f"{next(iter(other))}. Choose another --output, or give --overwrite to repeat them; the others are kept."
        )
    for name in ("runs", "losses", "logs"):
        (output / name).mkdir(parents=True, exist_ok=True)
    for key in other:
        (output / "runs" / f"{key}.json").unlink()
    write_json(started(settings), output / "suite.json")
    return done


def _may_go_on(record, settings):
    """Whether a run was given up for a budget that is larger now."""
    limit = settings.budget.run_seconds
    return record["status"] == "over budget" and (limit is None or limit > record["seconds"])


def _chosen_before(settings, of, done, output):
    """What the first seed chose; a choice costs as many fits as it has settings."""
    first = settings.seeds[0]
    if of["label"] not in settings.models or of["seed"] == first:
        return None
    if len(choices(settings, of["label"])) == 1:
        return None
    record = done.get(f"{of['horizon']}-{of['label']}-{first}")
    return None if record is None else record.get("chosen")


def _in_a_process(settings, of, chosen, output, python):
    """The record of one run, or `None` and what went wrong."""
    key = of["key"]
    task = {
        "settings": settings.model_dump(mode="json"),
        "plan": of,
        "chosen": chosen,
        "output": str(output.resolve()),
        "python": python,
    }
    variables = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    # The same package as here, whatever folder the process is in.
    root = str(Path(tfts.__file__).parents[1])
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    backend = settings.models.get(of["label"], {}).get("backend")
    if backend is not None:
        variables["KERAS_BACKEND"] = backend
    log, limit = output / "logs" / f"{key}.log", settings.budget.run_seconds
    words = [sys.executable, "-c", "from tfts.experiment.benchmark import work; work()"]
    with log.open("wb") as told:
        # In a session of its own, so that Ctrl-C reaches this process alone, which ends the other.
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=told,
            stderr=told,
            env=variables,
            start_new_session=True,
        )
        try:
            process.stdin.write(json.dumps(task).encode() + b"\n")
            process.stdin.flush()
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            code = None
        except BrokenPipeError:
            code = process.wait()
        finally:
            process.kill()
            process.wait()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
    path = output / "runs" / f"{key}.json"
    if code == 0:
        log.unlink()
        return json.loads(path.read_text()), ""
    if code is None:
        record = {
            "status": "over budget",
            "recipe": of["recipe"],
            **{name: of[name] for name in ("horizon", "label", "seed")},
            "seconds": limit,
            "finished": now(),
        }
        write_json(record, path)
        return record, ""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return None, lines[-1].strip() if lines else f"the process ended with {code}"


def _said(record, settings):
    if record["status"] != "finished":
        return f"{record['status']} after {record['seconds']:g} s"
    scores = ", ".join(f"{name.upper()} {record['scores'][name]:.4g}" for name in settings.protocol.metrics)
    return f"{scores}, {record['seconds']:.1f} s"


def _write_tables(settings, done, output):
    runs = runs_table(settings, done)
    compared = differences(settings, done, output / "losses")
    table = summary(settings, runs, compared)
    for name, frame in (("runs", runs), ("differences", compared), ("summary", table)):
        write_table(frame, output / f"{name}.csv")
    return table, compared


def _finish(settings, done, output, console):
    table, compared = _write_tables(settings, done, output)
    if len(table):
        print_suite(settings, table, compared, console)
    console.print(f"Results: {output}")
    return table


def _holds_out(model):
    """Whether a method of this name learns nothing from validation rows but its choices."""
    return model not in BASELINES or BASELINES[model].holds_out


def _parts(panel, split):
    """Training rows, and of the other two the part to forecast from and the part to score."""
    own = chronological_split(panel, split.validation, split.test, split.gap, split.context)
    if own.validation is None or own.test is None:
        raise ValueError(
            "split.validation and split.test must be above 0: settings are chosen on the one, the other is scored."
        )
    # A method may look further back than the windows that are scored do.
    carried = chronological_split(panel, split.validation, split.test, split.gap)
    return {
        "train": own.train,
        "validation": (own.validation, carried.validation),
        "test": (own.test, carried.test),
    }


def _check_windows(protocol, horizon, windows):
    if protocol.windows is not None:
        expected = protocol.windows[protocol.horizons.index(horizon)]
        if windows != expected:
            raise ValueError(
                f"The protocol says that {expected} test windows are scored at horizon {horizon}, but there are "
                f"{windows}. The split, the gaps of the table or protocol.windows differ from what was meant."
            )


def _score(forecaster, parts, which, protocol, per_series, spent, forecast_windows=None):
    """Scores, losses of each window, and the number of windows of one part."""
    forecast_windows = forecast_windows or forecaster.forecast_windows
    own, carried = parts[which]
    horizon = forecaster.spec.horizon
    rows = WindowSpec(protocol.context_length, horizon).origins(own)
    unseen = ~np.isin(rows, forecaster.spec.origins(carried))
    if unseen.any():
        raise ValueError(
            f"{unseen.sum()} of {len(rows)} {which} windows can't be forecast with "
            f"context_length={forecaster.spec.context_length}: rows before them are missing."
        )
    scaler = Scaler("standard" if protocol.units == "standardised" else "none", per_series).fit(
        parts["train"]
    )
    pairs = [scaler.affine(name, own.targets) for name in own.series]
    scales = np.stack([scale for _, scale in pairs])
    naive = _in_sample(parts, which, protocol, scales) if "mase" in protocol.metrics else None
    sums = ErrorSums(horizon, own.targets)
    losses = {_LOSSES[name]: np.empty(len(rows), np.float32) for name in protocol.metrics}
    places = {"origin": own.times[rows].as_unit("ns").asi8, "series": own.series_of(rows)}
    for first in range(0, len(rows), _CHUNK):
        at = rows[first : first + _CHUNK]
        of = own.series_of(at)
        start = time.perf_counter()
        forecast = forecast_windows(carried, at)
        spent["predict"] = spent.get("predict", 0.0) + time.perf_counter() - start
        scale = scales[of][:, None]
        actual, forecast = forecaster.actual(carried, at) / scale, forecast / scale
        divisor = None if naive is None else naive[of]
        sums.update(actual, forecast, divisor)
        for name, into in losses.items():
            into[first : first + _CHUNK] = _window_losses(name, actual, forecast, divisor)
    table = sums.score(list(protocol.metrics))
    return {name: float(table[name].iloc[0]) for name in protocol.metrics}, losses | places, len(rows)


def _in_sample(parts, which, protocol, scales):
    """Mean seasonal difference of all rows before the scored part, `(series, targets)`."""
    own, _ = parts[which]
    columns = own.indices(own.targets)
    found = []
    for i, (_, begin, _, _) in enumerate(own.bounds):
        start = parts["train"].bounds[i, 1]
        values = np.where(own.filled[start:begin], np.nan, own.values[start:begin])[:, columns]
        found.append(mase_scale(values, protocol.season_length) / scales[i])
    return np.stack(found)


def _window_losses(name, actual, forecast, divisor):
    error = np.abs(forecast - actual)
    if name == "mse":
        error = error**2
    elif name == "smape":
        both = np.abs(actual) + np.abs(forecast)
        error = 200 * error / np.where(both > 0, both, 1)
    elif name == "mase":
        # As in the score, what has no scale is left out.
        error = error / np.where(divisor > 0, divisor, np.nan)[:, None]
    known = np.isfinite(error)
    count = known.sum(axis=(1, 2))
    return np.where(count > 0, np.where(known, error, 0).sum(axis=(1, 2)) / np.maximum(count, 1), np.nan)


def _machine(network):
    """Where a run took place, and with what."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    backend, device = None, f"{platform.machine()} CPU"
    if network:
        import keras

        backend = keras.backend.backend()
        device = _accelerator(backend) or device
    packages = {"tfts": tfts.__version__, "python": platform.python_version(), "numpy": np.__version__}
    for name in ("keras", "tensorflow", *({backend} - {None, "tensorflow"})):
        packages[name] = version(name)
    return {"cores": cores, "backend": backend, "device": device, "versions": packages}


def _accelerator(backend):
    """The first accelerator that networks run on, or `None`."""
    if backend == "tensorflow":
        import tensorflow as tf

        found = tf.config.list_physical_devices("GPU")
        return tf.config.experimental.get_device_details(found[0]).get("device_name") if found else None
    if backend == "jax":
        import jax

        found = jax.devices()[0]
        return None if found.platform == "cpu" else found.device_kind
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None
