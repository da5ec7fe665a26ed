"""Writes a fitted model as `PATH/<name>/<version>/`, which a model server loads as it stands."""

import contextlib
import fcntl
import json
import os
import platform
import re
import shutil
from datetime import datetime, timezone
from pathlib import Path

from tfts import __version__
from tfts._messages import unknown
from tfts.forecaster import Forecaster
from tfts.serving.metadata import seal

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def export(source, path, version=None, name=None, *, units=None):
    """Exports a model with its scaling inside: raw values in, original units out.

    The folder is written beside `PATH/<name>` under a hidden name and then renamed, so
    that a server that polls never sees half of it. Exports into one path wait for each
    other, and no version is ever overwritten.

    Args:
        source: A fitted `Forecaster` with a Keras model, or a folder that its `save` wrote.
        path: Folder of all served models.
        version: Int >= 1. `None` takes the one after the highest that is there.
        name: Under which it is served: letters, digits, `.`, `_` and `-`. `None` takes the
            name of the model.
        units: Dict from column to a text, such as `{"load": "MW"}`.

    Returns:
        `Path` of the folder of the version.

    Raises:
        ValueError: If the model can't be exported, the version is there already, or a
            name or unit can't be used.

    Example:

    >>> import numpy as np, pandas as pd
    >>> frame = pd.DataFrame({"load": np.arange(50.0)}, index=pd.date_range("2024-01-01", periods=50))
    >>> fitted = Forecaster("linear", context_length=7, horizon=2).fit(frame, epochs=1, verbose=0)
    >>> export(fitted, "served", units={"load": "MW"}).as_posix()
    'served/linear/1'
    """
    servable = _servable(source)
    name = servable.name if name is None else name
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            "`name` must begin with a letter or digit and hold only letters, digits, '.', '_' and '-', because it is "
            f"the name of a folder and part of an address. Received: name={name!r}."
        )
    described = servable.described()
    for column in units or {}:
        known = [*described["columns"], *described["known_future"]]
        if column not in known:
            raise KeyError(unknown("column in units:", column, known))
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    with _alone(path):
        version = _free_version(path / name, version)
        described = {
            "format": 1,
            "name": name,
            "version": version,
            **described,
            "units": {column: str(text) for column, text in (units or {}).items()},
            "versions": _versions(),
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
        partial = path / f".{name}-{version}.partial"
        # What is left of an export that was killed: its lock went with it.
        shutil.rmtree(partial, ignore_errors=True)
        _write(servable, described, partial)
        (path / name).mkdir(exist_ok=True)
        os.rename(partial, path / name / str(version))
    return path / name / str(version)


class _Servable:
    """A forecaster as `export` sees it."""

    def __init__(self, forecaster):
        from tfts.serving.signatures import ForecastSignatures

        self.forecaster, self.name = forecaster, forecaster.name
        self.signatures = ForecastSignatures(forecaster)

    def described(self):
        forecaster = self.forecaster
        settings = forecaster.settings
        if not isinstance(settings["model"], str):
            settings["model"] = None
        training = forecaster.training_ or {}
        return {
            "kind": "forecaster",
            "model": forecaster.name,
            "context_length": forecaster.spec.context_length,
            "horizon": forecaster.spec.horizon,
            "freq": forecaster.freq,
            "timezone": training.get("timezone"),
            "columns": list(self.signatures.columns),
            "targets": list(forecaster.targets),
            "known_future": list(forecaster.known_future),
            "calendar": settings["calendar"],
            "series": settings["series"],
            "series_names": self.signatures.series_names,
            "settings": settings,
            "scaler": forecaster.scaler_.get_state(),
            "missing": settings["missing"],
            "limit": settings["limit"],
            "training": {key: training.get(key) for key in ("start", "end", "rows")},
            "metrics": [],
        }


def _servable(source):
    if isinstance(source, str | os.PathLike):
        source = Forecaster.load(source)
    if not isinstance(source, Forecaster):
        raise ValueError(
            f"Expected a fitted Forecaster or its folder to export. Received: {type(source).__name__}."
        )
    if not source.is_fitted:
        raise ValueError("The forecaster has not learnt anything yet. Call fit first, or Forecaster.load.")
    if not hasattr(source.model, "count_params"):
        raise ValueError(
            f"The baseline {source.name!r} is no Keras model, so it has no graph to export. Expected a forecaster with "
            "a model of MODELS or a Keras model of yours."
        )
    return _Servable(source)


def _write(servable, described, folder):
    import tensorflow as tf

    from tfts.serving.signatures import describe

    functions = servable.signatures.functions()
    described["signatures"] = {
        name: {
            "inputs": _specs(function.structured_input_signature[1]),
            "outputs": _specs(function.structured_outputs),
        }
        for name, function in functions.items()
    }
    text = json.dumps(described)
    tf.saved_model.save(servable.signatures, folder, signatures={**functions, "describe": describe(text)})
    seal(folder, json.loads(text))


def _specs(tensors):
    return {
        name: {"dtype": tensor.dtype.name, "shape": tensor.shape.as_list()}
        for name, tensor in tensors.items()
    }


def _versions():
    import keras
    import tensorflow as tf

    return {
        "tfts": __version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "python": platform.python_version(),
    }


@contextlib.contextmanager
def _alone(path):
    """Keeps other exports into the path waiting. A process that is killed lets go of it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _free_version(folder, version):
    there = {int(path.name) for path in folder.glob("*") if path.name.isdecimal()}
    if version is None:
        return max(there, default=0) + 1
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ValueError(f"`version` must be an int >= 1 or None (the next one). Received: {version!r}.")
    if version in there:
        raise ValueError(
            f"{folder} holds version {version} already, and a version is never overwritten, because a server may have "
            f"loaded it. Leave `version` out for the next one, {max(there) + 1}."
        )
    return version
