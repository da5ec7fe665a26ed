"""One run of a suite, in a process of its own: a method is fitted, chosen from, and scored."""

import importlib
import json
import os
import platform
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

import tfts
from tfts._files import replacing, write_json
from tfts.config import BenchmarkSettings, Settings, TaskSuiteSettings
from tfts.data.scaling import Scaler
from tfts.data.split import chronological_split
from tfts.data.windows import WindowSpec
from tfts.errors import DataError, SettingError, TftsError
from tfts.experiment.folder import now
from tfts.experiment.peers import peer_forecasts
from tfts.experiment.suite_plan import choices, settings_of
from tfts.experiment.tables import forecaster_options, load_frame
from tfts.forecaster import Forecaster
from tfts.metrics import ErrorSums, mase_scale

# Windows that are forecast and scored at once.
_CHUNK = 2048
# Loss of one window, from which the score of a metric follows: of rmse, the square.
_LOSSES = {"mse": "mse", "rmse": "mse", "mae": "mae", "smape": "smape", "mase": "mase"}
# Exit code of a process whose run the settings or the table do not allow.
MISTAKE = 2
_MISTAKES = (TftsError,)


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
            validation=parts["validation"][0] if forecaster.predictor.holds_out else 0,
            **(training if label in settings.models else {}),
        )
        spent["fit"] += time.perf_counter() - start
        scores, _, _ = _score(forecaster, parts, "validation", protocol, settings.data.per_series, {})
        tried.append({"settings": change, "score": scores[protocol.metrics[0]]})
        if best is None or tried[-1]["score"] < best[2]["score"]:
            best = forecaster, parts, tried[-1], run, options
    forecaster, parts, taken, run, options = best
    if not forecaster.predictor.holds_out:
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
        **described_machine(label in settings.models),
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
    tfts.errors.DataError: Peers forecast a table of one series, without columns known ahead. Received:...
    """
    data, protocol = settings.data, settings.protocol
    if data.series or data.known_future or data.calendar:
        raise DataError(
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
    _, begin, end, _ = own.spans[0]
    values = ((panel.values[:end, columns] - offset) / scale).astype(np.float32)
    length = begin - parts["validation"][0].spans[0].target_start
    made = peer_forecasts(settings.peers[label], values, horizon, length, end - begin, seed, python)
    origins, forecasts, told = made
    rows = WindowSpec(protocol.context_length, horizon).origins(own)
    if not np.isin(rows, origins).all():
        raise DataError(
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
        **described_machine(False),
    }
    return record, losses


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
    try:
        _work(json.loads(sys.stdin.readline()))
    except _MISTAKES as error:
        print(error, file=sys.stderr)
        sys.exit(MISTAKE)


def _work(task):
    threading.Thread(target=_end_with_parent, daemon=True).start()
    of = task["plan"]
    kind = TaskSuiteSettings if "task" in of else BenchmarkSettings
    settings = kind.model_validate(task["settings"])
    if of["label"] in settings.models:
        # What it takes to load Keras is no part of the seconds.
        importlib.import_module("tfts.models")
    if "task" in of:
        from tfts.experiment.task_run import score_task

        record, losses = score_task(settings, of["task"], of["label"])
    elif of["label"] in settings.peers:
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


def _parts(panel, split):
    """Training rows, and of the other two the part to forecast from and the part to score."""
    own = chronological_split(panel, split.validation, split.test, split.gap, split.context)
    if own.validation is None or own.test is None:
        raise SettingError(
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
            raise DataError(
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
        raise DataError(
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
    for i, begin in enumerate(own.spans.target_start):
        start = parts["train"].spans.target_start[i]
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


def described_machine(network):
    """Where a run took place, and with what, a dict.

    Args:
        network: Whether Keras computed it.

    Example:

    >>> described_machine(False)["versions"]["tfts"] == tfts.__version__
    True
    """
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
