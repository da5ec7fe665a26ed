"""Reads a YAML file and checks every key and value of it."""

import difflib
import io
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from tfts.config.checking import validate
from tfts.config.methods import method_mistakes
from tfts.config.sections import Settings
from tfts.config.suites import BenchmarkSettings, TaskSuiteSettings
from tfts.errors import MissingFileError, SettingError


def read_settings(path, changes=(), kind=Settings):
    """Reads a YAML file and checks every key and value of it.

    YAML 1.2 is read, so `1e-3` is a number and `off` is a word.

    Args:
        path: Path of the YAML file.
        changes: `"section.key=value"` strings that overrule the file; the value is YAML.
        kind: Class of the settings: what the file is for.

    Returns:
        An object of `kind`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no YAML, or any key or value is wrong. The message
            lists all mistakes, each with its key, its line and the nearest valid key.

    Example:

    >>> _ = Path("sunspots.yaml").write_text('''
    ... data: {source: dataset, name: sunspots}
    ... window: {context_length: 22, horizon: 11}
    ... ''')
    >>> read_settings("sunspots.yaml", changes=["window.stride=2"]).window
    Window(context_length=22, horizon=11, stride=2)
    """
    path = Path(path)
    if not path.is_file():
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.y*ml")], n=1)
        hint = f" Did you mean {str(path.parent / near[0])!r}?" if near else ""
        raise MissingFileError(f"There is no settings file {str(path)!r}.{hint}")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SettingError(f"{path} is not a text in UTF-8: {error.reason} at byte {error.start}.") from error
    return parse_settings(text, changes, str(path), kind)


def suite_kind(path):
    """The kind of settings that a file of `tfts benchmark` holds.

    Args:
        path: Path of the YAML file.

    Returns:
        `TaskSuiteSettings` of a file with a section `tasks`, else `BenchmarkSettings`.

    Example:

    >>> _ = Path("suite.yaml").write_text("tasks: {}")
    >>> suite_kind("suite.yaml").__name__
    'TaskSuiteSettings'
    """
    path = Path(path)
    if path.is_file():
        tree = _load_yaml(path.read_text(encoding="utf-8", errors="replace"), str(path))
        if isinstance(tree, dict) and "tasks" in tree:
            return TaskSuiteSettings
    return BenchmarkSettings


def parse_settings(text, changes=(), origin="settings", kind=Settings):
    """`read_settings` for YAML that is at hand as text.

    Example:

    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... window: {context_length: 22, horizon: 11}
    ... baselines: {persistence: {}}
    ... ''', changes=["window.horizon=5"])
    >>> settings.window.horizon
    5
    """
    tree = _load_yaml(text, origin)
    if not isinstance(tree, dict):
        raise SettingError(f"{origin} must hold sections such as data: and window:. Received: {tree!r}.")
    changed = set()
    for change in changes:
        changed.add(_apply(tree, change))
    settings, mistakes = validate(kind, tree, tree, (), changed)
    mistakes += method_mistakes(kind, tree, changed)
    if mistakes:
        count = f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}"
        raise SettingError(f"{origin} has {count}:\n" + "\n".join(f"- {m}" for m in mistakes))
    return settings


def _load_yaml(text, origin):
    try:
        return YAML(typ="rt").load(io.StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark
        at = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "an unknown line"
        raise SettingError(f"{origin} is not valid YAML: {error.problem} ({at}).") from error


def _apply(tree, change):
    key, equals, value = change.partition("=")
    if not equals or not key.strip():
        raise SettingError(f"Expected section.key=value. Received: {change!r}.")
    *sections, last = path = tuple(key.strip().split("."))
    for section in sections:
        inner = tree.setdefault(section, {})
        if inner is None:
            inner = tree[section] = {}
        if not isinstance(inner, dict):
            raise SettingError(f"{key!r} can't be set: {section!r} holds {inner!r}, which has no keys.")
        tree = inner
    tree[last] = _load_yaml(value, f"The value of {key}") if value.strip() else None
    return path
