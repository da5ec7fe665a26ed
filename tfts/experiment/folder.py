"""The folder of an experiment: whose it is, and what an older one left there."""

import json
import platform
import shutil
import subprocess
from datetime import datetime, timezone
from importlib.metadata import version

from tfts import __version__

_PACKAGES = ("tensorflow", "keras", "keras-tuner", "numpy", "pandas", "scikit-learn", "statsmodels")


def now():
    """The time in UTC as text.

    Example:

    >>> now().endswith("+00:00")
    True
    """
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def claim(output, settings, overwrite, extends=()):
    """Takes a folder for an experiment: empties it of an older one, or finds the same again.

    Args:
        output: Path of the folder.
        settings: Settings of the experiment, with a `seed`.
        overwrite: Whether an experiment with other settings may be removed.
        extends: Names of settings, `"section.key"`, with which an experiment only goes on longer.

    Returns:
        Dict of what `run.json` is to say: settings, seed, versions, state of git, start;
        of an experiment with the same settings, what it says.

    Raises:
        ValueError: If the folder holds something else.

    Example:

    >>> from pathlib import Path
    >>> from tfts.config import parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... window: {context_length: 22, horizon: 3}
    ... ''')
    >>> claim(Path("sunspots"), settings, overwrite=False)["seed"]
    0
    """
    plain = settings.model_dump(mode="json")
    path = output / "run.json"
    if path.is_file():
        described = json.loads(path.read_text())
        changed = sorted(set(changes(described["settings"], plain)) - set(extends))
        if not changed:
            return {**described, "settings": plain}
        if not overwrite:
            raise ValueError(
                f"{output} holds a run with other settings (changed: {', '.join(changed)}). Choose another "
                "--output, or give --overwrite to replace it."
            )
    elif output.is_dir() and any(output.iterdir()):
        raise ValueError(f"{output} is not empty and holds no run. Choose another --output.")
    _clear(output)
    output.mkdir(parents=True, exist_ok=True)
    return {**started(settings), "seed": settings.seed}


def started(settings):
    """What a folder is to say of the experiment that begins in it.

    Args:
        settings: Settings of the experiment.

    Returns:
        Dict of settings, versions, state of git, and the time.

    Example:

    >>> from tfts.config import Split
    >>> sorted(started(Split()))
    ['git', 'settings', 'started', 'versions']
    """
    return {
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


def _clear(output):
    """Removes what an older run wrote, and nothing else."""
    for name in ("models", "training", "nulls", "attention", "detector", "search", "workers", "tensorboard"):
        shutil.rmtree(output / name, ignore_errors=True)
    for pattern in (
        "run.json",
        "*_metrics.csv",
        "differences.csv",
        "forecasts.*",
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
            path.unlink()


def _git_state():
    """Commit of the working folder and whether it has changes; `None` outside git."""

    def git(*words):
        return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None
