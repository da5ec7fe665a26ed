"""One run of a suite of tasks: a method is fitted on the rows before the windows, and its quantiles are scored."""

import dataclasses
import math
import time
from pathlib import Path

import numpy as np

from tfts.baselines.seasonal_naive import season_length_of
from tfts.config import ENTRY_DATA, TASK_ENTRY_KEYS, Settings
from tfts.data.windows import WindowSpec
from tfts.errors import DataError, MissingFileError
from tfts.experiment.suite_run import described_machine, peak_memory
from tfts.experiment.tables import forecaster_options, load_frame
from tfts.forecaster import Forecaster
from tfts.metrics import ErrorSums, mase_scale

# Windows that are forecast at once.
_CHUNK = 512
# Most windows of a series, and the share of its rows that they make up.
_MOST, _SHARE = 20, 0.1


def score_task(settings, name, label):
    """One run: fits a method on the rows before the first window of a task, and scores all windows.

    Args:
        settings: `TaskSuiteSettings`.
        name: Name of one of its tasks.
        label: Name of an entry of its `baselines` or `models`.

    Returns:
        Tuple `(record, steps)`: a dict of scores and costs, and a dict of `coverage`, float
        `(horizon,)`, the share of values between the outer quantiles at each step. `mase` is that
        of the median, `crps` the weighted quantile loss of all levels.

    Raises:
        ValueError: If the table or an option can't be used.

    Example:

    >>> from tfts.config import TaskSuiteSettings, parse_settings
    >>> settings = parse_settings('''
    ... tasks: {spots: {data: {source: dataset, name: sunspots}, horizon: 3, season_length: 11}}
    ... baselines: {seasonal_naive: {season_length: 11}}
    ... ''', kind=TaskSuiteSettings)
    >>> record, steps = score_task(settings, "spots", "seasonal_naive")
    >>> record["windows"], steps["coverage"].shape
    (11, (3,))

    Source: Aksu et al., GIFT-Eval, arXiv 2410.10393, 2024.
    """
    began, busy, task = time.perf_counter(), time.process_time(), settings.tasks[name]
    network = label in settings.models
    entry = (settings.models if network else settings.baselines)[label]
    plain = settings_of_task(settings, name)
    frame, _ = load_frame(plain)
    panel = Forecaster("persistence", **forecaster_options(plain)).panel(frame, allow_constant=True)
    train, _ = parts_of(panel, task, settings.held_out)
    known = int((train.spans.observed_end - train.spans.target_start).min())
    season = max(task.season_length, season_length_of(panel.freq))
    context = entry.get("context_length") or settings.context.rows(known, task.horizon, season)
    forecaster = _forecaster(settings, name, label, context)
    train, test = parts_of(forecaster.panel(frame, allow_constant=True), task, settings.held_out)
    start = time.perf_counter()
    training = {**settings.training.model_dump(), **entry.get("training", {}), "seed": settings.seeds[0]}
    forecaster.fit(train, **({**training, "verbose": 0} if network else {}))
    fitted = time.perf_counter()
    sums, points = _scored(forecaster, test, task)
    scores = sums.score(["mase", "wql", "coverage"]).rename(columns={"wql": "crps"})
    steps = sums.score(["coverage"], by="step")["coverage"].to_numpy()
    record = {
        "task": name,
        "label": label,
        "model": forecaster.name,
        "horizon": task.horizon,
        "scores": {name: float(scores[name].iloc[0]) for name in ("mase", "crps", "coverage")},
        "point_mase": float(points.score(["mase"])["mase"].iloc[0]),
        "windows": sums.num_windows,
        "lowest_step": float(steps.min()),
        "highest_step": float(steps.max()),
        "context_length": context,
        "found": getattr(forecaster.model, "chosen_", None),
        "fit_seconds": round(fitted - start, 3),
        "predict_seconds": round(time.perf_counter() - fitted, 3),
        "seconds": round(time.perf_counter() - began, 3),
        "cpu_seconds": round(time.process_time() - busy, 3),
        "memory_mb": peak_memory(),
        **described_machine(network),
    }
    return record, {"coverage": steps}


def num_windows(rows, horizon):
    """How many windows of a series are scored where a task does not say so.

    They do not overlap and end with the series.

    Example:

    >>> num_windows(rows=7305, horizon=30), num_windows(rows=240, horizon=12), num_windows(17420, 720)
    (20, 2, 3)
    """
    return min(_MOST, max(1, math.ceil(_SHARE * rows / horizon)))


def settings_of_task(settings, name, context=1, entry=()):
    """The `Settings` by which the table of a task is read and a method is made.

    Args:
        settings: `TaskSuiteSettings`.
        name: Name of one of its tasks.
        context: Int >= 1, rows that are seen.
        entry: Dict of what a method says of the data and of its quantiles, such as its `scaler`.

    Raises:
        FileNotFoundError: If the file of the task is not in the folder of the suite.

    Example:

    >>> from tfts.config import TaskSuiteSettings, parse_settings
    >>> settings = parse_settings('''
    ... tasks: {spots: {data: {source: dataset, name: sunspots}, horizon: 3, season_length: 11}}
    ... ''', kind=TaskSuiteSettings)
    >>> settings_of_task(settings, "spots").window
    Window(context_length=1, horizon=3, stride=1)
    """
    task = settings.tasks[name]
    data = task.data.model_dump(mode="json") | {key: entry[key] for key in ENTRY_DATA if key in entry}
    if task.data.path is not None:
        data["path"] = str(Path(settings.folder) / task.data.path)
        if not Path(data["path"]).is_file():
            raise MissingFileError(
                f"{data['path']} does not exist. Give the folder with --set folder=FOLDER."
            )
    window = {"context_length": context, "horizon": task.horizon}
    asked = {"output": "quantiles", "quantiles": settings.quantiles}
    asked |= {key: entry[key] for key in ("calibration", "output") if key in entry}
    return Settings.model_validate({"data": data, "window": window, "forecast": asked})


def parts_of(panel, task, held_out=False):
    """The rows before the first window of each series, and those that its windows forecast.

    Args:
        panel: `Panel` of the task.
        task: `SuiteTask`.
        held_out: Whether windows are taken that end where the first one would begin.

    Returns:
        Tuple of two `Panel`s.

    Raises:
        ValueError: If a series has no row before its windows.

    Example:

    >>> import pandas as pd
    >>> from tfts.config import SuiteTask
    >>> from tfts.data.panel import Panel
    >>> task = SuiteTask.model_validate({"data": {"source": "dataset", "name": "sunspots"}, "horizon": 3,
    ...                                  "season_length": 11, "windows": 2})
    >>> frame = pd.DataFrame({"y": range(20)}, index=pd.date_range("2024-01-01", periods=20))
    >>> [part.spans.tolist() for part in parts_of(Panel.from_frame(frame), task)]
    [[[0, 0, 14, 14]], [[0, 14, 20, 20]]]
    """
    spans = panel.spans
    for _ in range(1 + held_out):
        last, rows = spans.observed_end, spans.observed_end - spans.target_start
        windows = np.array([task.windows or num_windows(int(count), task.horizon) for count in rows])
        first = last - windows * task.horizon
        short = np.flatnonzero(first <= spans.target_start)
        if len(short):
            i = short[0]
            raise DataError(
                f"Series {panel.series[i]!r} has {rows[i]} rows. Expected more than its {windows[i]} windows of "
                f"{task.horizon} rows need, or data.shortest to leave short series out."
            )
        whole, spans = spans, spans.replace(observed_end=first, end=first)
    train = dataclasses.replace(panel, spans=spans, part="training")
    return train, dataclasses.replace(panel, spans=whole.replace(target_start=first), part="test")


def _forecaster(settings, name, label, context):
    network = label in settings.models
    entry = (settings.models if network else settings.baselines)[label]
    options = {key: value for key, value in entry.items() if key not in TASK_ENTRY_KEYS}
    if options.get("season_length") == "task":
        options["season_length"] = settings.tasks[name].season_length
    return Forecaster(
        entry.get("model", label),
        **forecaster_options(settings_of_task(settings, name, context, entry), network),
        model_options=options,
    )


def _scored(forecaster, test, task):
    """`ErrorSums` of the quantiles of all windows, and of what was forecast before errors moved it."""
    sums = ErrorSums(task.horizon, test.targets, levels=forecaster.quantiles)
    points = ErrorSums(task.horizon, test.targets)
    median = forecaster.quantiles.index(0.5)
    # What the first row of the test part may see is what was known before it.
    rows = np.concatenate(
        [
            np.arange(span.target_start - 1, span.observed_end - task.horizon, task.horizon)
            for span in test.spans
        ]
    )
    possible = WindowSpec(forecaster.spec.context_length, task.horizon).forecast_origins(test)
    if not np.isin(rows, possible).all():
        raise DataError(
            f"{(~np.isin(rows, possible)).sum()} of {len(rows)} windows can't be forecast with "
            f"context_length={forecaster.spec.context_length}: rows before them are missing."
        )
    columns = test.indices(test.targets)
    for at in range(0, len(rows), _CHUNK):
        chunk = rows[at : at + _CHUNK]
        quantiles, usual = forecaster.quantile_windows(test, chunk), []
        for row, begin in zip(chunk, test.spans.start[test.series_of(chunk)], strict=True):
            past = np.where(test.filled[begin : row + 1], np.nan, test.values[begin : row + 1])[:, columns]
            usual.append(mase_scale(past, task.season_length))
        actual = forecaster.actual(test, chunk)
        sums.update(actual, quantiles[..., median], np.stack(usual), quantiles)
        points.update(actual, forecaster.forecast_windows(test, chunk), np.stack(usual))
    return sums, points
