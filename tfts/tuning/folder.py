"""The folder of a search, which holds one search and no other."""

import json
import shutil
import time

from tfts._files import write_json
from tfts.tuning.workers import START_SECONDS


def claim(directory, described, overwrite):
    """Takes the folder for a search, or finds the same again."""
    path = directory / "search.json"
    described = json.loads(json.dumps(described))
    if path.is_file():
        old = json.loads(path.read_text())
        changed = sorted(key for key in described.keys() | old.keys() if described.get(key) != old.get(key))
        if not changed:
            return
        if not overwrite:
            raise ValueError(
                f"{directory} holds a search with other settings (changed: {', '.join(changed)}). Choose another "
                "directory, or give overwrite=True to replace it."
            )
        path.unlink()
        for old_file in (*directory.glob("trial_*"), directory / "oracle.json", directory / "results.csv"):
            shutil.rmtree(old_file) if old_file.is_dir() else old_file.unlink(missing_ok=True)
    elif directory.is_dir() and any(directory.iterdir()):
        raise ValueError(f"{directory} is not empty and holds no search. Choose another directory.")
    directory.mkdir(parents=True, exist_ok=True)
    write_json(described, path)


def join(directory, described):
    """Waits for the folder of the chief, and refuses to work on another search."""
    path, deadline = directory / "search.json", time.monotonic() + START_SECONDS
    while not path.is_file():
        if time.monotonic() > deadline:
            raise ValueError(
                f"The chief has begun no search in {directory} for {START_SECONDS:g} seconds. Start it with the same "
                "settings, and a folder that both see."
            )
        time.sleep(0.2)
    claim(directory, described, overwrite=False)
