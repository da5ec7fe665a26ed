"""Checks an exported folder in a process that knows nothing but TensorFlow's C API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tfts.errors import ModelError, SettingError
from tfts.serving import capi
from tfts.serving.metadata import content_hash, read_metadata

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Verification:
    """What `verify` found of one folder.

    Attributes:
        folder: `Path` of the version.
        name, version: Of the model.
        is_unchanged: Whether the files are those that were exported.
        replays: List with a dict for each signature and batch: `signature`, `batch`, `error`
            (relative; infinite where a shape or a missing value differs).
        load_seconds: Seconds that loading took.
        latency_ms: List with a dict for each timed batch: `batch`, `p50`, `p99`.
        memory_mb: Megabytes by which the process grew.
        size_mb: Megabytes of all files.

    Example:

    >>> answers = [{"signature": "serving_default", "batch": 1, "error": 3e-7}]
    >>> Verification(Path("load/1"), "load", 1, True, answers, 0.1, [], 40.0, 2.5).passed
    True
    """

    folder: Path
    name: str
    version: int
    is_unchanged: bool
    replays: list
    load_seconds: float
    latency_ms: list
    memory_mb: float
    size_mb: float

    @property
    def passed(self) -> bool:
        """Whether the folder is what was exported and gives the recorded answers."""
        return self.is_unchanged and all(row["error"] <= capi.TOLERANCE for row in self.replays)


def verify(path: str | Path, threads: int | None = None, repeats: int = 200) -> Verification:
    """Loads an export as a model server does, and replays its sample requests.

    A fresh process, which imports neither TensorFlow's Python package nor keras nor tfts,
    loads the folder through the C API, sends the sample requests at batch 1, 7 and 64, and
    compares the answers with the recorded ones, which the model itself gave.

    Args:
        path: Folder of a version, or of a model, whose newest version is taken.
        threads: Threads of one operation, and of operations beside each other.
        repeats: Times that a request is repeated to be timed; 0 times nothing.

    Returns:
        A `Verification`.

    Raises:
        FileNotFoundError: If the folder is no export.
        ValueError: If it can't be loaded or run, or an option is out of range.

    Example:

    >>> import numpy as np, pandas as pd
    >>> from tfts.forecaster import Forecaster
    >>> from tfts.serving import export
    >>> frame = pd.DataFrame({"load": np.arange(50.0)}, index=pd.date_range("2024-01-01", periods=50))
    >>> fitted = Forecaster("linear", context_length=7, horizon=2).fit(frame, epochs=1, verbose=0)
    >>> verification = verify(export(fitted, "served"), repeats=10)
    >>> verification.passed, [row["batch"] for row in verification.replays]
    (True, [1, 7, 64, 2])
    """
    for name, value, least in (("threads", threads, 1), ("repeats", repeats, 0)):
        if value is None and name == "threads":
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise SettingError(f"`{name}` must be an int >= {least}. Received: {name}={value!r}.")
    return verify_all([path], threads, repeats)[0]


def verify_all(
    paths: Sequence[str | Path], threads: int | None = None, repeats: int = 0
) -> list[Verification]:
    """`verify` of many folders in one process.

    Args:
        paths: Folders of versions or models.
        threads, repeats: As in `verify`.

    Returns:
        List of `Verification`.

    Example:

    >>> verify_all(["nowhere"])
    Traceback (most recent call last):
    tfts.errors.MissingFileError: nowhere holds no exported model: metadata.json is not there. Give...
    """
    folders = [_version(Path(path)) for path in paths]
    described = [read_metadata(folder) for folder in folders]
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch, "found.json")
        command = [sys.executable, capi.__file__, *map(str, folders), "--out", str(out)]
        command += ["--repeats", str(repeats), *([] if threads is None else ["--threads", str(threads)])]
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        )
        if done.returncode:
            last = (done.stderr.strip() or f"the process ended with code {done.returncode}").splitlines()[-1]
            raise ModelError(f"{', '.join(map(str, paths))} can't be verified: {last}")
        told = json.loads(out.read_text())
    if told["imported"]:
        raise ModelError(
            f"The process that verifies must not import {', '.join(told['imported'])}, but it did."
        )
    return [
        Verification(
            folder=folder,
            name=said["name"],
            version=said["version"],
            is_unchanged=said.get("content_hash") == content_hash(folder),
            size_mb=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6,
            **found,
        )
        for folder, said, found in zip(folders, described, told["found"], strict=True)
    ]


def print_verification(verification: Verification, console: Console) -> None:
    """Prints what was found, as `tfts verify` does.

    Args:
        verification: A `Verification`.
        console: `rich.console.Console`.

    Example:

    >>> from rich.console import Console
    >>> rows = [{"signature": "serving_default", "batch": 1, "error": 2e-7}]
    >>> found = Verification(Path("1"), "load", 1, True, rows, 0.12, [{"batch": 1, "p50": 0.4, "p99": 0.9}], 30.2, 0.4)
    >>> print_verification(found, Console(width=80))
    load, version 1: passed
    serving_default, batch 1: relative difference 2e-07
    batch 1: 0.400 ms (p50), 0.900 ms (p99)
    Loaded in 0.12 s, 30.2 MB of memory, 0.40 MB on disk.
    """
    say = "passed" if verification.passed else "FAILED"

    def show(text):
        console.print(text, highlight=False, markup=False)

    show(f"{verification.name}, version {verification.version}: {say}")
    if not verification.is_unchanged:
        show("The files are not those that were exported: the content hash differs.")
    for row in verification.replays:
        show(f"{row['signature']}, batch {row['batch']}: relative difference {row['error']:.2g}")
    for row in verification.latency_ms:
        show(f"batch {row['batch']}: {row['p50']:.3f} ms (p50), {row['p99']:.3f} ms (p99)")
    show(
        f"Loaded in {verification.load_seconds:.2f} s, {verification.memory_mb:.1f} MB of memory, "
        f"{verification.size_mb:.2f} MB on disk."
    )


def _version(path):
    """The folder of the newest version of a model, or the folder itself."""
    versions = [child for child in path.glob("*") if child.name.isdecimal() and child.is_dir()]
    return max(versions, key=lambda child: int(child.name)) if versions else path
