"""What `tfts benchmark` does with a suite of tasks: every method on every table, beside published scores."""

import itertools
import time
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from tfts._files import write_table
from tfts._messages import unknown
from tfts.data.readers import read_table
from tfts.errors import DataError, SettingError
from tfts.experiment.benchmark import check_failed, claim_runs, in_a_process
from tfts.experiment.tables import forecaster_options, load_frame
from tfts.experiment.task_run import settings_of_task
from tfts.forecaster import Forecaster

_SCORES = ("mase", "crps")


def benchmark_tasks(settings, output, *, only=None, tasks=None, overwrite=False, console=None):
    """Fits and scores every method of a suite on every task.

    Each run has a process of its own, and what is finished is kept, as in `benchmark`.

    Args:
        settings: `TaskSuiteSettings`, as from `read_settings`.
        output: Folder for the results.
        only: Names of methods of the suite to run; `None` for all.
        tasks: Names of tasks to run; `None` for all.
        overwrite: Whether runs in `output` with other settings may be repeated.
        console: `rich.console.Console` for progress and the tables.

    Returns:
        DataFrame with the rows of `tasks.csv`, see `tasks_table`.

    Raises:
        ValueError: If `output` holds runs with other settings, a name is unknown, or runs
            failed (all others are done first).
        FileNotFoundError: If a file of the data is not there.
        KeyboardInterrupt: If it was interrupted, when the tables so far are written.

    Example:

    >>> import io
    >>> from tfts.config import TaskSuiteSettings, parse_settings
    >>> settings = parse_settings('''
    ... tasks: {spots: {data: {source: dataset, name: sunspots}, horizon: 3, season_length: 11}}
    ... baselines: {seasonal_naive: {season_length: 11}}
    ... ''', kind=TaskSuiteSettings)
    >>> table = benchmark_tasks(settings, "spots", console=Console(file=io.StringIO()))
    >>> table[["task", "method", "windows"]]
        task          method  windows
    0  spots  seasonal_naive       11
    """
    console, output = console or Console(), Path(output)
    for names, known, kind in (
        (only, [*settings.baselines, *settings.models], "method of the suite"),
        (tasks, list(settings.tasks), "task of the suite"),
    ):
        for name in names or ():
            if name not in known:
                raise SettingError(unknown(kind, name, known))
    plans = plan_tasks(settings)
    wanted = [
        key
        for key, of in plans.items()
        if of["label"] in (only or [of["label"]]) and of["task"] in (tasks or [of["task"]])
    ]
    done, failed = claim_runs(settings, plans, output, overwrite), {}
    began, limit = time.monotonic(), settings.budget.suite_seconds
    try:
        for number, key in enumerate(wanted, 1):
            title = f"[{number}/{len(wanted)}] {plans[key]['task']} {plans[key]['label']}"
            if key in done:
                console.print(f"{title}: {_said(done[key])}, kept", markup=False, highlight=False)
                continue
            if limit is not None and time.monotonic() - began > limit:
                console.print(f"The budget of {limit:g} s is used up: the same command goes on.")
                break
            record, said = in_a_process(settings, plans[key], None, output, None)
            if record is None:
                failed[key] = said
                console.print(f"{title}: failed: {said}", markup=False, highlight=False)
            else:
                done[key] = record
                console.print(f"{title}: {_said(record)}", markup=False, highlight=False)
    finally:
        table = tasks_table(settings, done)
        write_table(table, output / "tasks.csv")
        print_tasks(settings, table, console)
        console.print(f"Results: {output}")
    check_failed(failed, len(wanted), output)
    return table


def plan_tasks(settings):
    """All runs of a suite of tasks.

    Args:
        settings: `TaskSuiteSettings`.

    Returns:
        Dict from the key of a run, such as `"ett1_H_short-ridge"`, to a dict of `key`, `task`,
        `horizon`, `label`, `seed` and `recipe`: all that its result depends on.

    Raises:
        FileNotFoundError: If a file of the data is not there.

    Example:

    >>> from tfts.config import TaskSuiteSettings, parse_settings
    >>> settings = parse_settings('''
    ... tasks: {sun/spots: {data: {source: dataset, name: sunspots}, horizon: 3, season_length: 11}}
    ... baselines: {drift: {}}
    ... ''', kind=TaskSuiteSettings)
    >>> list(plan_tasks(settings))
    ['sun_spots-drift']
    """
    plain, plans = settings.model_dump(mode="json"), {}
    for name, task in settings.tasks.items():
        run = settings_of_task(settings, name)
        panel = Forecaster("persistence", **forecaster_options(run)).panel(load_frame(run)[0], True)
        data = {**plain["tasks"][name]["data"], "path": None, "rows": panel.digest()}
        shared = {"task": {**plain["tasks"][name], "data": data}}
        shared |= {key: plain[key] for key in ("context", "held_out", "quantiles")}
        for label in itertools.chain(settings.baselines, settings.models):
            section = "models" if label in settings.models else "baselines"
            recipe = {section: {label: plain[section][label]}, **shared}
            if section == "models":
                recipe |= {key: plain[key] for key in ("seeds", "training")}
            key = f"{name}-{label}".replace("/", "_")
            of = {"task": name, "horizon": task.horizon, "label": label, "seed": settings.seeds[0]}
            plans[key] = {"key": key, **of, "recipe": recipe}
    return plans


def tasks_table(settings, done):
    """A row for each run that is done and each published score of a task.

    Args:
        settings: `TaskSuiteSettings`.
        done: Dict from the key of a run to its record.

    Returns:
        DataFrame with the columns `task`, `method`, `published` (bool), `mase`, `crps`,
        `mase_ratio` and `crps_ratio` (to the reference method, the published one where there is
        one), and of our runs `coverage`, `point_mase` (of the forecast around which quantiles are
        put), `lowest_step` and `highest_step` (the coverage of the
        worst horizon steps), `windows`, `context_length` and costs.

    Example:

    >>> from tfts.config import TaskSuiteSettings, parse_settings
    >>> settings = parse_settings('''
    ... tasks: {spots: {data: {source: dataset, name: sunspots}, horizon: 3, season_length: 11}}
    ... baselines: {drift: {}, seasonal_naive: {}}
    ... ''', kind=TaskSuiteSettings)
    >>> done = {label: {"status": "finished", "task": "spots", "label": label,
    ...                 "scores": {"mase": mase, "crps": 0.5, "coverage": 0.8}}
    ...         for label, mase in (("drift", 1.5), ("seasonal_naive", 2.0))}
    >>> tasks_table(settings, done)[["task", "method", "mase_ratio", "crps_ratio"]]
        task          method  mase_ratio  crps_ratio
    0  spots           drift        0.75         1.0
    1  spots  seasonal_naive        1.00         1.0
    """
    costs = (
        "point_mase",
        "windows",
        "lowest_step",
        "highest_step",
        "context_length",
        "fit_seconds",
        "predict_seconds",
    )
    rows = [
        {
            "task": record["task"],
            "method": record["label"],
            "published": False,
            **record["scores"],
            **{name: record.get(name) for name in (*costs, "seconds", "memory_mb")},
        }
        for record in done.values()
        if record["status"] == "finished"
    ]
    others = _published(settings)
    columns = ["task", "method", "published", *_SCORES, "coverage", *costs, "seconds", "memory_mb"]
    table = pd.DataFrame([*rows, *others], columns=columns)
    for at, name in enumerate(_SCORES):
        of = table[table["method"] == settings.reference].sort_values("published")
        reference = of.drop_duplicates("task", keep="last").set_index("task")[name]
        table.insert(5 + at, f"{name}_ratio", table[name] / table["task"].map(reference))
    order = {name: place for place, name in enumerate(settings.tasks)}
    return table.sort_values("task", key=lambda tasks: tasks.map(order), kind="stable", ignore_index=True)


def ranking(settings, table):
    """The geometric mean over all tasks of each method's scores over those of the reference method.

    Args:
        settings: `TaskSuiteSettings`.
        table: As from `tasks_table`.

    Returns:
        DataFrame with the columns `method`, `published`, `mase`, `crps` and `tasks`, lowest crps
        first, of the methods that have most tasks.

    Example:

    >>> from tfts.config import TaskSuiteSettings, parse_settings
    >>> settings = parse_settings('''
    ... tasks: {spots: {data: {source: dataset, name: sunspots}, horizon: 3, season_length: 11}}
    ... ''', kind=TaskSuiteSettings)
    >>> table = pd.DataFrame({"task": ["a", "b"], "method": "x", "published": False,
    ...                       "mase_ratio": [0.5, 2.0], "crps_ratio": [0.5, 0.5]})
    >>> ranking(settings, table)
      method  published  mase  crps  tasks
    0      x      False   1.0   0.5      2
    """
    rows = []
    for (published, method), part in table.groupby(["published", "method"], sort=False):
        means = {name: float(np.exp(np.log(part[f"{name}_ratio"]).mean())) for name in _SCORES}
        rows.append({"method": method, "published": published, **means, "tasks": len(part)})
    made = pd.DataFrame(rows, columns=["method", "published", *_SCORES, "tasks"])
    return made[made["tasks"] == made["tasks"].max()].sort_values("crps", ignore_index=True)


def print_tasks(settings, table, console):
    """Prints our scores task by task, and all methods by their geometric means.

    Args:
        settings: `TaskSuiteSettings`.
        table: As from `tasks_table`.
        console: `rich.console.Console`.

    Example:

    >>> from tfts.config import TaskSuiteSettings, parse_settings
    >>> settings = parse_settings('''
    ... tasks: {spots: {data: {source: dataset, name: sunspots}, horizon: 3, season_length: 11}}
    ... reference: drift
    ... ''', kind=TaskSuiteSettings)
    >>> done = {"drift": {"status": "finished", "task": "spots", "label": "drift", "lowest_step": 0.7,
    ...                   "highest_step": 0.9, "scores": {"mase": 1.5, "crps": 0.5, "coverage": 0.8}}}
    >>> print_tasks(settings, tasks_table(settings, done), Console(width=100))
    <BLANKLINE>
    drift
    task   MASE   over drift  CRPS    over drift  covered  each step  rows seen  s
    spots  1.500  1.000       0.5000  1.000       0.80     0.70-0.90
    <BLANKLINE>
    Geometric mean over 1 tasks, over drift
    method       MASE   CRPS
    drift, ours  1.000  1.000
    """
    ours = table[~table["published"]]
    for method, part in ours.groupby("method", sort=False):
        shown = _shown()
        over = f"over {settings.reference}"
        for name in ("task", "MASE", over, "CRPS", over, "covered", "each step", "rows seen", "s"):
            shown.add_column(name, no_wrap=True)
        for row in part.to_dict("records"):
            shown.add_row(
                row["task"],
                *(
                    f"{row[key]:.{digits}f}"
                    for key, digits in (("mase", 3), ("mase_ratio", 3), ("crps", 4), ("crps_ratio", 3))
                ),
                f"{row['coverage']:.2f}",
                f"{row['lowest_step']:.2f}-{row['highest_step']:.2f}",
                "" if pd.isna(row["context_length"]) else f"{row['context_length']:.0f}",
                "" if pd.isna(row["seconds"]) else f"{row['seconds']:.0f}",
            )
        _print_whole(method, shown, console)
    ranked = ranking(settings, table)
    if len(ours) and len(ranked):
        shown = _shown()
        for name in ("method", "MASE", "CRPS"):
            shown.add_column(name, no_wrap=True)
        for row in ranked.to_dict("records"):
            named = row["method"] + ("" if row["published"] else ", ours")
            shown.add_row(named, f"{row['mase']:.3f}", f"{row['crps']:.3f}")
        count = ranked["tasks"].max()
        _print_whole(
            f"Geometric mean over {count} tasks, over {settings.reference}",
            shown,
            console,
        )


def _shown():
    return Table(box=None, padding=(0, 2, 0, 0))


def _print_whole(title, shown, console):
    """Prints a table that would lose its numbers if it were cut to the width of a pipe."""
    console.print(f"\n{title}", markup=False, highlight=False)
    width = console.width
    console.width = max(width, 140)
    console.print(shown)
    console.width = width


def _published(settings):
    """Rows of the published scores of the tasks."""
    if settings.published is None:
        return []
    frame = read_table(Path(settings.folder) / settings.published)
    missing = {"dataset", "method", *_SCORES} - set(frame.columns)
    if missing:
        raise DataError(
            f"{settings.published} must have the columns dataset, method, mase and crps. Received: "
            f"{', '.join(map(str, frame.columns))}."
        )
    frame = frame[frame["dataset"].isin(list(settings.tasks))]
    return (
        frame.rename(columns={"dataset": "task"}).assign(published=True, coverage=np.nan).to_dict("records")
    )


def _said(record):
    if record["status"] != "finished":
        return f"{record['status']} after {record['seconds']:g} s"
    scores = record["scores"]
    return f"MASE {scores['mase']:.4g}, CRPS {scores['crps']:.4g}, {record['seconds']:.1f} s"
