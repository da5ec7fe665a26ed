"""The folder of a search, which holds one search and no other."""

import json
import shutil
import time
from pathlib import Path

from tfts import __version__
from tfts._files import write_json
from tfts.errors import FailedRunError, FolderError, MissingFileError
from tfts.tuning.workers import START_SECONDS

_FILE = "search.json"


def claim(directory, described, overwrite):
    """Takes the folder for a search, or finds the same again.

    Args:
        directory: Path of the folder.
        described: Dict of plain data that tells the search from others.
        overwrite: Whether another search in it may be replaced.

    Raises:
        ValueError: If it holds another search, or something else.

    Example:

    >>> from pathlib import Path
    >>> claim(Path("mine"), {"seed": 3}, overwrite=False)
    >>> claim(Path("mine"), {"seed": 5}, overwrite=False)
    Traceback (most recent call last):
        ...
    tfts.errors.FolderError: mine holds another search (changed: seed). Choose another directory, or give...
    """
    path = directory / _FILE
    described = json.loads(json.dumps({"tfts": __version__, **described}))
    if path.is_file():
        old = json.loads(path.read_text())
        if old == described:
            return
        if not overwrite:
            raise FolderError(
                f"{directory} holds another search ({_difference(old, described)}). Choose another directory, or "
                "give overwrite=True to replace it."
            )
        path.unlink()
        for old_file in (*directory.glob("trial_*"), directory / "oracle.json", directory / "results.csv"):
            shutil.rmtree(old_file) if old_file.is_dir() else old_file.unlink(missing_ok=True)
    elif directory.is_dir() and any(directory.iterdir()):
        raise FolderError(f"{directory} is not empty and holds no search. Choose another directory.")
    directory.mkdir(parents=True, exist_ok=True)
    write_json(described, path)


def _difference(old, new):
    """What differs between two searches, in words."""
    if old.get("tfts") != new["tfts"]:
        return f"written by tfts {old.get('tfts', 'of an earlier version')}, this is {new['tfts']}"
    old, new = ({**one, **one.get("trials", {})} for one in (old, new))
    changed = [key for key in {**old, **new} if key != "trials" and old.get(key) != new.get(key)]
    return f"changed: {', '.join(changed)}"


def read_described(directory):
    """What the search in a folder was told, a dict.

    Raises:
        FileNotFoundError: If the folder holds no search.
        ValueError: If another version of tfts wrote it.

    Example:

    >>> from pathlib import Path
    >>> claim(Path("mine"), {"seed": 3}, overwrite=False)
    >>> read_described("mine")["seed"]
    3
    """
    path = Path(directory) / _FILE
    if not path.is_file():
        raise MissingFileError(
            f"{directory} holds no search: {path.name} is not there. Give the `directory` of a search."
        )
    described = json.loads(path.read_text())
    if described.get("tfts") != __version__:
        raise FolderError(
            f"{directory} was written by tfts {described.get('tfts', 'of an earlier version')}, this is {__version__}. "
            "Make the search again, or read it with that version."
        )
    return described


def join(directory, described):
    """Waits for the folder of the chief, and refuses to work on another search.

    Args:
        directory: Path of the folder.
        described: As for `claim`.

    Raises:
        ValueError: If there is none, or it is another search.
    """
    path, deadline = directory / _FILE, time.monotonic() + START_SECONDS
    while not path.is_file():
        if time.monotonic() > deadline:
            raise FailedRunError(
                f"The chief has begun no search in {directory} for {START_SECONDS:g} seconds. Start it with the same "
                "settings, and a folder that both see."
            )
        time.sleep(0.2)
    claim(directory, described, overwrite=False)
