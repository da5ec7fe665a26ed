"""The folder of an experiment: whose it is, and what an older one left there."""

import hashlib
import json
import platform
import shutil
import subprocess
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from tfts import __version__
from tfts._files import FORMAT, RUN_FORMAT, check_run_format, write_json
from tfts.errors import FolderError

# Beside what was fitted.
_RECIPE = "fitted_on.json"
# Of the file itself, and of what was saved: an older one is fitted again.
_FORMS = {"format": RUN_FORMAT, "saved": FORMAT}
_PACKAGES = ("tensorflow", "keras", "keras-tuner", "numpy", "pandas", "scikit-learn", "statsmodels")


def now():
    """The time in UTC as text.

    Example:

    >>> now().endswith("+00:00")
    True
    """
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def claim(output, settings, overwrite, rows, *, extends=(), keep=None):
    """Takes a folder for an experiment: empties it of an older one, or finds the same again.

    It is the same where the settings and the rows are. What depends on rows that have changed
    is removed, except for what `keep` names, which knows itself what it was fitted on.

    Args:
        output: Path of the folder.
        settings: Settings of the experiment, with a `seed`.
        overwrite: Whether an experiment with other settings may be removed.
        rows: Dict from the name of a part of the table to the digest of its rows.
        extends: Names of settings, `"section.key"`, with which an experiment only goes on longer.
        keep: Names in the folder that stay when rows have changed. `None` refuses changed rows
            as it refuses changed settings.

    Returns:
        Tuple of a dict of what `run.json` is to say (settings, seed, rows, versions, state of
        git, start; of an experiment that is there already, what it says), and the names of the
        parts whose rows have changed since.

    Raises:
        ValueError: If the folder holds something else, or what another version wrote.

    Example:

    >>> from pathlib import Path
    >>> from tfts.config import parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... window: {context_length: 22, horizon: 3}
    ... ''')
    >>> described, changed = claim(Path("sunspots"), settings, False, {"training": "5c0f2a91d3e7b864"})
    >>> described["seed"], changed
    (0, [])
    """
    plain = settings.model_dump(mode="json")
    path = output / "run.json"
    if path.is_file():
        described = json.loads(path.read_text())
        if not overwrite:
            check_run_format(described, path, "or give --overwrite to replace it")
        found = sorted(set(changes(described.get("settings", {}), plain)) - set(extends))
        if not found and described.get("format") == RUN_FORMAT:
            changed = [part for part in rows if rows[part] != described["rows"].get(part)]
            if not changed:
                return {**described, "settings": plain}, []
            if keep is not None:
                described.pop("finished", None)
                _clear(output, keep)
                return {**described, "settings": plain, "rows": rows}, changed
            what = f"of other rows (changed: {', '.join(changed)})"
        else:
            what = f"with other settings (changed: {', '.join(found)})"
        if not overwrite:
            raise FolderError(
                f"{output} holds a run {what}. Choose another --output, or give --overwrite to replace it."
            )
    elif output.is_dir() and any(output.iterdir()):
        raise FolderError(f"{output} is not empty and holds no run. Choose another --output.")
    _clear(output)
    output.mkdir(parents=True, exist_ok=True)
    return {**started(settings), "seed": settings.seed, "rows": rows}, []


def say_changed(changed, console):
    """Says which rows have changed since the last start of an experiment, if any have.

    Example:

    >>> from rich.console import Console
    >>> say_changed(["training", "test"], Console(width=120))
    Note These rows have changed since the last start: training, test. What was fitted on others is fitted again.
    """
    if changed:
        console.print(
            f"[yellow]Note[/yellow] These rows have changed since the last start: {', '.join(changed)}. What was "
            "fitted on others is fitted again.",
            highlight=False,
        )


def is_made_of(folder, recipe):
    """Whether what a folder holds was fitted on the rows and with the settings of `recipe`.

    Args:
        folder: Path.
        recipe: Dict of plain data, as given to `mark`.

    Example:

    >>> Path("linear").mkdir()
    >>> mark("linear", {"rows": {"training": "5c0f2a91d3e7b864"}, "options": {"units": 32}})
    >>> is_made_of("linear", {"rows": {"training": "5c0f2a91d3e7b864"}, "options": {"units": 32}})
    True
    >>> is_made_of("linear", {"rows": {"training": "91d3e7b8645c0f2a"}, "options": {"units": 32}})
    False
    """
    path = Path(folder) / _RECIPE
    wanted = json.loads(json.dumps({**_FORMS, **recipe}))
    return path.is_file() and json.loads(path.read_text()) == wanted


def mark(folder, recipe):
    """Writes beside what was fitted what it was fitted on, and with which settings.

    Example:

    >>> Path("drift").mkdir()
    >>> mark("drift", {"rows": {"training": "5c0f2a91d3e7b864"}})
    >>> sorted(json.loads(Path("drift", "fitted_on.json").read_text()))
    ['format', 'rows', 'saved']
    """
    write_json({**_FORMS, **recipe}, Path(folder) / _RECIPE)


def frame_digest(frame):
    """A fingerprint of a DataFrame: its values, index and columns. `Panel.digest` for any table.

    Example:

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"y": [1.0, 2.0, 3.0]}, index=pd.date_range("2024-01-01", periods=3))
    >>> frame_digest(frame) == frame_digest(frame.copy()), frame_digest(frame) == frame_digest(frame.iloc[:2])
    (True, False)
    """
    # What a column is called and holds, whether text is stored as objects or not.
    kinds = [
        (repr(name), frame[name].dtype.kind if frame[name].dtype.kind in "biufM" else "") for name in frame
    ]
    found = hashlib.sha256(json.dumps(kinds).encode())
    found.update(pd.util.hash_pandas_object(frame, index=True).to_numpy().tobytes())
    return found.hexdigest()[:16]


def started(settings):
    """What a folder is to say of the experiment that begins in it.

    Args:
        settings: Settings of the experiment.

    Returns:
        Dict of settings, versions, state of git, and the time.

    Example:

    >>> from tfts.config import Split
    >>> sorted(started(Split()))
    ['format', 'git', 'settings', 'started', 'versions']
    """
    return {
        "format": RUN_FORMAT,
        "settings": settings.model_dump(mode="json"),
        "versions": {
            "tfts": __version__,
            "python": platform.python_version(),
            **{package: version(package) for package in _PACKAGES},
        },
        "git": _git_state(),
        "started": now(),
    }


def changes(old, new, prefix=""):
    """Yields the names of what differs between two nested dicts.

    Example:

    >>> list(changes({"window": {"horizon": 3, "stride": 1}}, {"window": {"horizon": 5, "stride": 1}}))
    ['window.horizon']
    """
    for key in old.keys() | new.keys():
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from changes(before, after, f"{prefix}{key}.")
        elif before != after:
            yield prefix + key


def _clear(output, keep=()):
    """Removes what an older run wrote, and nothing else; `run.json` is replaced by the next one."""
    for name in ("models", "training", "nulls", "attention", "detector", "search", "workers", "tensorboard"):
        if name not in keep:
            shutil.rmtree(output / name, ignore_errors=True)
    for pattern in (
        "*_metrics.csv",
        "*_search.csv",
        "differences.csv",
        "forecasts.*",
        "intervals.csv",
        "interval_widths.csv",
        "reliability.csv",
        "pit.csv",
        "predictions.csv",
        "judged.parquet",
        "events.csv",
        "monitor.json",
        "test_rows.*",
        "results.csv",
        "curves.csv",
        "importance.csv",
        "best.yaml",
        "attention_*",
        "*.png",
        "report.html",
    ):
        for path in output.glob(pattern):
            if path.name not in keep:
                path.unlink()


def _git_state():
    """Commit of the working folder and whether it has changes; `None` outside git."""

    def git(*words):
        return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None
