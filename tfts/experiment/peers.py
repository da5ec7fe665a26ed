"""Models of other packages on the rows and windows of a suite, in an environment of their own."""

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import tfts
from tfts.errors import FailedRunError, FolderError, MissingFileError, SettingError

# Beside the package in a checkout; not installed with it.
_FOLDER = Path(tfts.__file__).parents[1] / "benchmarks" / "peers"


def environment(folder, console=None):
    """The Python of an environment with the peers, which is made where it is not there.

    Args:
        folder: Path of the environment. One that was made for other requirements, or only
            half, is made anew.
        console: `rich.console.Console` to say so.

    Returns:
        Path of the interpreter.

    Raises:
        FileNotFoundError: If tfts is not run from a checkout, which holds the requirements.
        ValueError: If the folder holds something else, or the packages can't be installed.

    Example:

    >>> Path("notes").mkdir()
    >>> _ = Path("notes", "thesis.txt").write_text("mine")
    >>> environment("notes")
    Traceback (most recent call last):
    tfts.errors.FolderError: notes is not empty and holds no environment for the peers. Choose another --peers.
    """
    folder = Path(folder)
    requirements = _FOLDER / "requirements.txt"
    if not requirements.is_file():
        raise MissingFileError(
            f"{requirements} is not there: --peers needs a checkout of the repository, in which benchmarks/peers "
            "says what is installed."
        )
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    mark, wanted = folder / "peers.txt", hashlib.sha256(requirements.read_bytes()).hexdigest()
    if mark.is_file() and mark.read_text() == wanted:
        return python.absolute()
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").is_file():
        raise FolderError(
            f"{folder} is not empty and holds no environment for the peers. Choose another --peers."
        )
    if console is not None:
        console.print(f"Installing {requirements.name} of the peers into {folder}: a few minutes")
    for words in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)],
    ):
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            told = (done.stderr or done.stdout).strip()
            raise FailedRunError(
                f"The environment of the peers can't be made: {' '.join(words)} says:\n{told}"
            )
    mark.write_text(wanted)
    return python.absolute()


def peer_forecasts(peer, values, horizon, validation_rows, test_rows, seed, python):
    """Forecasts of every test window by a model of another package.

    Args:
        peer: `Peer` of the settings.
        values: Float32 `(rows, targets)`, standardised, of which the last are the test rows
            and those before them the validation rows.
        horizon: Int >= 1, rows forecast.
        validation_rows: Int >= 1.
        test_rows: Int >= 1.
        seed: Int.
        python: Path of the interpreter, as from `environment`.

    Returns:
        Tuple `(origins, forecasts, told)`: int64 `(windows,)` numbers of the last rows seen,
        float32 `(windows, horizon, targets)` in the units of `values`, and a dict of `seconds`,
        `cpu_seconds`, `parameters` and `memory_mb`.

    Raises:
        ValueError: If the model can't be run; the message is its own.

    Example:

    >>> from tfts.config import Peer
    >>> values = np.zeros((99, 2), np.float32)
    >>> peer_forecasts(Peer(model="DLinear"), values, 3, 9, 9, seed=0, python="gone/bin/python")
    Traceback (most recent call last):
    tfts.errors.SettingError: There is no interpreter gone/bin/python. Expected one that --peers has made.
    """
    if not Path(python).is_file():
        raise SettingError(f"There is no interpreter {python}. Expected one that --peers has made.")
    with tempfile.TemporaryDirectory() as folder:
        files = {name: str(Path(folder, f"{name}.npz")) for name in ("table", "forecasts")}
        files["told"] = str(Path(folder, "told.json"))
        np.savez(files["table"], values=values)
        task = {"model": peer.model, "options": peer.options, "horizon": horizon, "seed": seed, **files}
        task |= {"validation_rows": int(validation_rows), "test_rows": int(test_rows)}
        path = Path(folder, "task.json")
        path.write_text(json.dumps(task))
        # Its standard input stays open for as long as this process lives.
        with subprocess.Popen(
            [str(python), str(_FOLDER / "forecast.py"), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
        ) as process:
            said = process.stdout.read()
        if process.returncode:
            last = next((line for line in reversed(said.splitlines()) if line.strip()), "nothing was said")
            raise FailedRunError(f"{peer.model} of neuralforecast can't be run: {last.strip()}")
        with np.load(files["forecasts"]) as made:
            return made["origins"], made["forecasts"], json.loads(Path(files["told"]).read_text())
