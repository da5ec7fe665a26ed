"""What `tfts benchmark` does: every method, horizon and seed of a suite, one run after the other."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

import tfts
from tfts._files import check_run_format, write_json, write_table
from tfts._messages import unknown
from tfts.errors import FailedRunError, FolderError, SettingError
from tfts.experiment.folder import changes, now, started
from tfts.experiment.peers import environment
from tfts.experiment.suite_plan import choices, plan
from tfts.experiment.suite_run import MISTAKE
from tfts.experiment.suite_tables import differences, print_suite, runs_table, summary
from tfts.report.suite import write_suite_report


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
    >>> from tfts.config import BenchmarkSettings, parse_settings
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
    done = claim_runs(settings, plans, output, overwrite)
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
            record, said = in_a_process(settings, plans[key], chosen, output, python)
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
    check_failed(failed, len(wanted), output)
    return table


def check_failed(failed, count, output):
    """Raises a ValueError where runs of a suite failed.

    Args:
        failed: Dict from the key of a run to what went wrong.
        count: Int, runs that were wanted.
        output: Folder of the results, a `Path`.

    Example:

    >>> check_failed({"3-drift": "no rows"}, 2, Path("suite"))
    Traceback (most recent call last):
    tfts.errors.FailedRunError: 1 of 2 runs failed; the same command tries them again:
    - 3-drift: no rows (see suite/logs/3-drift.log)
    """
    if failed:
        told = "\n".join(f"- {key}: {said} (see {output / 'logs' / key}.log)" for key, said in failed.items())
        raise FailedRunError(
            f"{len(failed)} of {count} runs failed; the same command tries them again:\n{told}"
        )


def _wanted(settings, plans, only, horizons, peers):
    if peers and not settings.peers:
        raise SettingError(
            "The suite names no peers. Expected a section such as peers: {dlinear: {model: DLinear}}."
        )
    for names, known, kind in (
        (only, [*settings.baselines, *settings.models, *settings.peers], "method of the suite"),
        (horizons, settings.protocol.horizons, "horizon of the suite"),
    ):
        for name in names or ():
            if name not in known:
                raise SettingError(unknown(kind, name, known))
    return [
        key
        for key, of in plans.items()
        if (not only or of["label"] in only)
        and (not horizons or of["horizon"] in horizons)
        and (peers or of["label"] not in settings.peers)
    ]


def claim_runs(settings, plans, output, overwrite):
    """Records of the runs that are done; refuses a folder that holds something else.

    Args:
        settings: Settings of the suite.
        plans: Dict from the key of a run to a dict with its `recipe`.
        output: Folder of the results, a `Path`.
        overwrite: Whether runs with another recipe may be repeated.

    Raises:
        ValueError: If it holds something else, or runs with another recipe.

    Example:

    >>> from tfts.config import BenchmarkSettings, parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... protocol: {context_length: 22, horizons: [3]}
    ... ''', kind=BenchmarkSettings)
    >>> claim_runs(settings, {}, Path("new"), overwrite=False)
    {}
    """
    if output.is_dir() and any(output.iterdir()) and not (output / "suite.json").is_file():
        raise FolderError(f"{output} is not empty and holds no suite. Choose another --output.")
    if (output / "suite.json").is_file() and not overwrite:
        described = json.loads((output / "suite.json").read_text())
        check_run_format(described, output / "suite.json", "or give --overwrite to repeat its runs")
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
        raise FolderError(
            f"{output} holds {len(other)} runs with other settings or rows (changed: {', '.join(names)}), such as "
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


def in_a_process(settings, of, chosen, output, python):
    """One run of a suite in a process of its own.

    Args:
        settings: `BenchmarkSettings` or `TaskSuiteSettings`.
        of: Dict of the run's `key`, `label`, `horizon`, `seed` and `recipe`, in a suite of tasks of
            its `task` too.
        chosen: Dict of the settings that another seed chose, or `None`.
        output: Folder of the results, a `Path`, as `claim_runs` left it.
        python: Path of the interpreter of the peers, or `None`.

    Returns:
        Tuple of the record of the run, or `None`, and of a sentence that says what went wrong.

    Example:

    >>> from tfts.config import BenchmarkSettings, parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... protocol: {context_length: 22, horizons: [3]}
    ... baselines: {drift: {}}
    ... ''', kind=BenchmarkSettings)
    >>> plans, output = plan(settings), Path("one")
    >>> _ = claim_runs(settings, plans, output, overwrite=False)
    >>> in_a_process(settings, plans["3-drift"], None, output, None)[0]["windows"]
    44
    """
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
    words = [sys.executable, "-c", "from tfts.experiment.suite_run import work; work()"]
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
    return None, _why_failed(code, log)


def _why_failed(code, log):
    """What the process of a run that failed said, and through whom it did."""
    if code < 0:
        return f"the process was ended by {signal.Signals(-code).name}"
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    last = lines[-1].strip() if lines else f"the process ended with {code}"
    return last if code == MISTAKE else f"a fault of tfts: {last}"


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
