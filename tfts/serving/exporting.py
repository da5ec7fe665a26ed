"""Writes a fitted model as `PATH/<name>/<version>/`, which a model server loads as it stands."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import re
import shutil
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tfts import __version__
from tfts._messages import unknown
from tfts.errors import FolderError, ModelError, SettingError, UnknownNameError
from tfts.serving.capi import TOLERANCE, difference
from tfts.serving.card import model_card
from tfts.serving.deployment import write_deployment
from tfts.serving.formats import WRITERS
from tfts.serving.metadata import seal
from tfts.serving.samples import write_samples, write_warm_up
from tfts.serving.servables import servable_of

FORMATS = ("savedmodel", *WRITERS)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def export(
    source: Any,
    path: str | Path,
    version: int | None = None,
    name: str | None = None,
    *,
    model: str | None = None,
    units: Mapping[str, str] | None = None,
    format: Literal["savedmodel", "onnx", "litert"] = "savedmodel",
) -> Path:
    """Exports a model with its scaling inside: raw values in, original units out.

    The folder is written beside `PATH/<name>` under a hidden name and then renamed, so
    that a server that polls never sees half of it. Exports into one path wait for each
    other, and no version is ever overwritten.

    Args:
        source: A fitted `Forecaster` or `AnomalyDetector` with a Keras model, a fitted
            regression, a folder that one of them was saved to, or the folder of a run.
        path: Folder of all served models.
        version: Int >= 1. `None` takes the one after the highest that is there.
        name: Under which it is served: letters, digits, `.`, `_` and `-`. `None` takes the
            name of the model.
        model: Name of the model of a run of `tfts run`.
        units: Dict from column to a text, such as `{"load": "MW"}`.
        format: `"savedmodel"` for TensorFlow Serving; `"onnx"` or `"litert"`, a file for each
            signature beside the same metadata.

    Returns:
        `Path` of the folder of the version.

    Raises:
        FileNotFoundError: If the folder holds no model.
        KeyError: If a unit is given for a column that is not there.
        ValueError: If the model can't be exported, its graph would not run on every server,
            the version is there already, or a name can't be used.

    Example:

    >>> import numpy as np, pandas as pd
    >>> from tfts.forecaster import Forecaster
    >>> frame = pd.DataFrame({"load": np.arange(50.0)}, index=pd.date_range("2024-01-01", periods=50))
    >>> fitted = Forecaster("linear", context_length=7, horizon=2).fit(frame, epochs=1, verbose=0)
    >>> export(fitted, "served", units={"load": "MW"}).as_posix()
    'served/linear/1'
    """
    if format not in FORMATS:
        raise SettingError(unknown("format", format, FORMATS))
    servable, scores = servable_of(source, model)
    if format != "savedmodel":
        servable.leave_counts_out()
    name = servable.name if name is None else name
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SettingError(
            "`name` must begin with a letter or digit and hold only letters, digits, '.', '_' and '-', because it is "
            f"the name of a folder and part of an address. Received: name={name!r}."
        )
    described = servable.described()
    for column in units or {}:
        known = [*described["columns"], *described["known_future"], *described["static"]]
        if column not in known:
            raise UnknownNameError(unknown("column in units:", column, known))
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
            "metrics": scores,
            "versions": _versions(),
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
        partial = path / f".{name}-{version}.partial"
        # What is left of an export that was killed: its lock went with it.
        shutil.rmtree(partial, ignore_errors=True)
        try:
            _write(servable, described, partial, format)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        (path / name).mkdir(exist_ok=True)
        if format == "savedmodel":
            write_deployment(path, name)
        os.rename(partial, path / name / str(version))
    return path / name / str(version)


def _write(servable, described, folder, format):
    """Writes all files of a version and checks that they hold what they say."""
    import tensorflow as tf

    from tfts.serving.graph import check_compiles, check_graph
    from tfts.serving.signatures import describe

    folder.mkdir()
    samples = servable.samples()
    if format == "savedmodel":
        functions = servable.signatures.functions()
        _check_answers(functions, samples)
    else:
        functions = WRITERS[format](folder, servable.signatures, samples)
        samples = {name: samples[name] for name in functions}
    described["signatures"] = {
        name: {
            "inputs": _specs(function.structured_input_signature[1]),
            "outputs": _specs(function.structured_outputs),
        }
        for name, function in functions.items()
    }
    text = json.dumps(described, default=np.generic.item)
    described = json.loads(text)
    if format == "savedmodel":
        functions["describe"] = describe(text)
        tf.saved_model.save(servable.signatures, folder, signatures=functions)
        check_graph(folder, servable.layers)
        check_compiles(functions)
        write_warm_up(folder, described["name"], functions)
        (folder / "MODEL_CARD.md").write_text(model_card(described, samples))
    write_samples(folder, described["name"], samples)
    seal(folder, described)


def _check_answers(functions, samples):
    """Compares the graph with the model it was made of."""
    import tensorflow as tf

    for name, (inputs, expected) in samples.items():
        found = functions[name](**{key: tf.constant(value) for key, value in inputs.items()})
        error = max(difference(found[key].numpy(), value) for key, value in expected.items())
        if not error <= TOLERANCE:
            raise ModelError(
                f"The graph of {name!r} does not give what the model gives: relative difference {error:.3g}, expected "
                f"at most {TOLERANCE:g}. A layer acts differently in a graph, or draws random numbers."
            )


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
        raise SettingError(f"`version` must be an int >= 1 or None (the next one). Received: {version!r}.")
    if version in there:
        raise FolderError(
            f"{folder} holds version {version} already, and a version is never overwritten, because a server may have "
            f"loaded it. Leave `version` out for the next one, {max(there) + 1}."
        )
    return version
