"""Files and folders that appear complete or not at all."""

import contextlib
import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np

from tfts import __version__
from tfts.errors import FolderError, MissingFileError, SettingError

# Of run.json and of what stands beside it: raised when an older one can't be gone on with.
RUN_FORMAT = 2
# The form of the folders and files that `load` reads. One more whenever an older one can't be read.
FORMAT = 1


@contextlib.contextmanager
def replacing(path):
    """Gives a path beside `path` to write to; when all went well it takes the place of `path`.

    Example:

    >>> with replacing("scores.txt") as partial:
    ...     _ = partial.write_text("0.93")
    >>> Path("scores.txt").read_text()
    '0.93'
    """
    path = Path(path)
    partial = path.with_name(f"partial-{path.name}")
    yield partial
    os.replace(partial, path)


@contextlib.contextmanager
def replacing_folder(folder):
    """`replacing` for a folder: gives an empty one, which takes the place of `folder`.

    Example:

    >>> with replacing_folder("model") as partial:
    ...     _ = (partial / "weights.txt").write_text("1 2 3")
    >>> [path.name for path in Path("model").iterdir()]
    ['weights.txt']
    """
    folder = Path(folder)
    partial = folder.with_name(f"{folder.name}.partial")
    old = folder.with_name(f"{folder.name}.old")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(partial, folder)
    shutil.rmtree(old, ignore_errors=True)


def write_json(value, path):
    """Writes JSON; NumPy scalars become numbers, everything else that JSON lacks is a `TypeError`."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=1, default=_plain) + "\n")


def written_by():
    """What every file that `load` reads says of its writer, a dict.

    Example:

    >>> sorted(written_by())
    ['format', 'tfts']
    """
    return {"tfts": __version__, "format": FORMAT}


def check_version(described, path):
    """Refuses what a version wrote that has another form of files.

    Args:
        described: Dict of what the file holds, with what `written_by` gave.
        path: Path of the file, for the message.

    Raises:
        ValueError: If the form is another one.

    Example:

    >>> check_version(written_by(), "model/forecaster.json")
    >>> check_version({"tfts": "0.0.9"}, "model/forecaster.json")
    Traceback (most recent call last):
    tfts.errors.FolderError: model/forecaster.json was written by tfts 0.0.9 in a form (format none) that...
    """
    found = described.get("format", "none") if isinstance(described, dict) else "none"
    if found != FORMAT:
        version = (
            described.get("tfts", "of an unknown version")
            if isinstance(described, dict)
            else "of another kind"
        )
        raise FolderError(
            f"{path} was written by tfts {version} in a form (format {found}) that tfts {__version__} can't read: it "
            f"reads format {FORMAT}. Fit and save it again with this version, or read it with the one that wrote it."
        )


def check_run_files(folder, names, command):
    """Refuses a finished run from which a file is gone, before a report is begun."""
    for name in names:
        if not (Path(folder) / name).is_file():
            raise MissingFileError(
                f"{folder} holds a finished run, but {name} is not there. Give the same `{command}` again: what is "
                "fitted is kept."
            )


def write_table(frame, path):
    """Writes a DataFrame as CSV or Parquet, as the path ends, without its index.

    Raises:
        ValueError: If the path ends otherwise.
    """
    check_table_path(path)
    with replacing(path) as partial:
        if partial.suffix == ".csv":
            frame.to_csv(partial, index=False)
        else:
            frame.to_parquet(partial, index=False)


def read_arrays(path):
    """The arrays of an NPZ file, a dict by name.

    Args:
        path: Path of the file.

    Raises:
        FileNotFoundError: If it is not there.
        ValueError: If it can't be read.

    Example:

    >>> np.savez("errors.npz", scores=np.arange(3))
    >>> read_arrays("errors.npz")["scores"].tolist()
    [0, 1, 2]
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path.parent} lacks {path.name}, which was saved with it. Save it again.")
    try:
        # NumPy leaves a file of its own open that is no archive.
        with path.open("rb") as file, np.load(file) as arrays:
            return dict(arrays)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise FolderError(f"{path} can't be read: it was changed or cut off since it was saved.") from error


def check_table_path(path):
    """Refuses a path that `write_table` can't write, before long work is done for it."""
    if Path(path).suffix not in (".csv", ".parquet"):
        raise SettingError(
            f"A table is written to a file that ends in .csv or .parquet. Received: {str(path)!r}."
        )


def read_run(folder, finished_by=None):
    """What `run.json` says of a run.

    Args:
        folder: Path.
        finished_by: The command that makes such runs, where only a finished one will do.

    Returns:
        Dict with the keys `settings`, `data`, `split`, `versions` and more.

    Raises:
        FileNotFoundError: If the folder holds no run.
        ValueError: If it holds another kind of run.json, or the run is not finished.
    """
    path = Path(folder) / "run.json"
    if not path.is_file():
        raise MissingFileError(
            f"{folder} holds no run: run.json is not there. Give the --output of `tfts run`."
        )
    described = json.loads(path.read_text())
    check_run_format(described, path)
    absent = [key for key in ("settings", "data", "split", "versions") if key not in described]
    if absent:
        raise FolderError(
            f"{path} does not hold {', '.join(absent)}: its run was stopped early. Give the same command again: what "
            "is fitted is kept."
        )
    if finished_by is not None and "finished" not in described:
        raise FolderError(
            f"The run in {folder} was stopped before it was finished. Give the same `{finished_by}` again."
        )
    return described


def check_run_format(described, path, way_out=None):
    """Refuses what another version of tfts wrote into the folder of a run.

    Args:
        described: Dict, as `run.json` or `suite.json` holds it.
        path: Path of that file, for the message.
        way_out: What can be done beside choosing another folder.

    Raises:
        ValueError: If it was written in another form.
    """
    if not isinstance(described, dict) or described.get("format") != RUN_FORMAT:
        versions = described.get("versions", {}) if isinstance(described, dict) else {}
        by = f"tfts {versions['tfts']}" if "tfts" in versions else "another version of tfts"
        found = described.get("format", 1) if isinstance(described, dict) else "none"
        raise FolderError(
            f"{path} was written by {by} in form {found}, but this one, tfts {__version__}, reads form {RUN_FORMAT}. "
            f"Give the same command with another --output{f', {way_out}' if way_out else ''}."
        )


def write_figure(figure, path):
    """Writes a matplotlib figure at 150 dots an inch, and closes it."""
    from matplotlib import pyplot

    with replacing(path) as partial:
        figure.savefig(partial, dpi=150)
    pyplot.close(figure)


def _plain(value):
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} can't be written as JSON: {value!r}")
