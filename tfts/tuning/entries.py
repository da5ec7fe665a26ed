"""What a user writes of a space: its names, ranges and conditions, checked."""

import json

import numpy as np

from tfts._messages import unknown
from tfts.errors import SettingError
from tfts.tuning.ranges import is_number

_KEYS = ("values", "min", "max", "step", "log", "when", "divides")


def checked_entries(space, known):
    """A space as plain data, each of its settings checked.

    Args:
        space: Dict as for `Space`.
        known: Names that a setting may have.

    Returns:
        Dict from name to a dict of `_KEYS`.

    Raises:
        ValueError: If a name is unknown, a range is empty, or a condition names no setting.

    Example:

    >>> checked_entries({"epochs": {"values": (3, 5)}}, ["epochs"])
    {'epochs': {'values': [3, 5]}}
    """
    if not isinstance(space, dict):
        raise SettingError(
            "`space` must be 'default', a dict from names of settings to their ranges, or a function of hp. "
            f"Received: {type(space).__name__}."
        )
    entries = {str(name): _plain(entry) for name, entry in space.items()}
    for name, entry in entries.items():
        if name not in known:
            raise SettingError(unknown("setting", name, known))
        if not isinstance(entry, dict):
            raise SettingError(
                f"The setting {name!r} must hold {{values: [...]}} or {{min: .., max: ..}}. Received: {entry!r}."
            )
        for key in entry:
            if key not in _KEYS:
                raise SettingError(unknown(f"key of the setting {name!r}:", key, _KEYS))
        if "values" in entry:
            _check_values(name, entry)
        else:
            _check_range(name, entry)
        for kind in ("when", "divides"):
            parents = entry.get(kind, {})
            for parent in [parents] if isinstance(parents, str) else parents:
                if parent not in entries or parent == name:
                    others = [other for other in entries if other != name]
                    raise SettingError(unknown(f"setting in `{kind}` of {name!r}:", parent, others))
    return entries


def _check_values(name, entry):
    values, extra = entry["values"], [key for key in ("min", "max", "step", "log") if key in entry]
    if extra:
        raise SettingError(f"The setting {name!r} holds values and {extra[0]}. Expected one or the other.")
    if not isinstance(values, list) or not values:
        raise SettingError(f"The values of {name!r} must be a list of one or more. Received: {values!r}.")
    if len({json.dumps(value, sort_keys=True) for value in values}) != len(values):
        raise SettingError(f"The values of {name!r} hold one of them twice. Received: {values}.")
    if "divides" in entry and not all(
        isinstance(v, int) and not isinstance(v, bool) and v > 0 for v in values
    ):
        raise SettingError(
            f"{name!r} has to divide {entry['divides']!r}: expected ints >= 1. Received: {values}."
        )


def _check_range(name, entry):
    low, high, step = entry.get("min"), entry.get("max"), entry.get("step")
    if not (is_number(low) and is_number(high) and low < high):
        raise SettingError(
            f"The setting {name!r} needs `values`, or numbers with min < max. Received: min={low!r}, max={high!r}."
        )
    log = entry.get("log", False)
    if not isinstance(log, bool):
        raise SettingError(f"`log` of {name!r} must be true or false. Received: log={log!r}.")
    if log and low <= 0:
        raise SettingError(f"The range of {name!r} is log, so min must be above 0. Received: min={low!r}.")
    least = 1 if log else 0
    if step is not None and not (is_number(step) and step > least):
        raise SettingError(
            f"`step` of {name!r} must be a number above {least}"
            f"{', because it multiplies in a log range' if log else ''}. Received: step={step!r}."
        )
    if "divides" in entry:
        raise SettingError(f"{name!r} has to divide {entry['divides']!r}: give its `values` as a list.")


def in_order(entries):
    """Names with those that others depend on first.

    Raises:
        ValueError: If they depend on each other in a circle.

    Example:

    >>> in_order({"b": {"values": [1], "divides": "a"}, "a": {"values": [2]}})
    ['a', 'b']
    """
    placed, waiting = [], list(entries)
    while waiting:
        ready = [
            name
            for name in waiting
            if all(p in placed for p in (*entries[name].get("when", {}), *_one(entries[name].get("divides"))))
        ]
        if not ready:
            raise SettingError(
                f"The conditions of {', '.join(map(repr, waiting))} depend on each other in a circle."
            )
        placed += ready
        waiting = [name for name in waiting if name not in ready]
    return placed


def _one(name):
    return () if name is None else (name,)


def _plain(value):
    """Lists, dicts and numbers of a YAML reader as Python's own."""
    if isinstance(value, dict):
        made = {str(key): _plain(inner) for key, inner in value.items()}
        if isinstance(made.get("when"), dict):
            made["when"] = {k: v if isinstance(v, list) else [v] for k, v in made["when"].items()}
        return made
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, bool) or value is None:
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value.item() if isinstance(value, np.generic) else value
