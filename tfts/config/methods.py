"""Mistakes in what a file of settings says of baselines, models and estimators."""

import functools
import inspect
import re

from tfts._messages import unknown
from tfts.config.checking import place_of, validate
from tfts.config.sections import RegressSettings, TuneSettings
from tfts.config.suites import (
    BACKENDS,
    ENTRY_DATA,
    ENTRY_KEYS,
    TASK_ENTRY_KEYS,
    BenchmarkSettings,
    TaskSuiteSettings,
)
from tfts.training import TrainingSettings

# What a source takes from the section itself.
_KEYS = ("columns", "time", "time_format", "encoding", "na_values", "series")


def method_mistakes(kind, tree, changed):
    """A sentence for each wrong name and option of the listed methods."""
    if kind is RegressSettings:
        return _regression_mistakes(tree, changed)
    if kind is TuneSettings:
        return _source_mistakes(tree, changed) + _tune_mistakes(tree, changed)
    if kind is BenchmarkSettings:
        return _source_mistakes(tree, changed) + _suite_mistakes(tree, changed)
    if kind is TaskSuiteSettings:
        return _suite_mistakes(tree, changed, TASK_ENTRY_KEYS)
    from tfts.baselines import BASELINES
    from tfts.models import MODELS

    mistakes = _source_mistakes(tree, changed)
    for section, table in (("baselines", BASELINES), ("models", MODELS)):
        listed = tree.get(section) if section in kind.model_fields else None
        for name, options in listed.items() if isinstance(listed, dict) else ():
            path = (section, name)
            if name not in table:
                mistakes.append(f"{place_of(tree, path, changed)}: {unknown(section[:-1], name, table)}")
                continue
            valid = method_options(table[name])
            for key, value in options.items() if isinstance(options, dict) else ():
                if section == "models" and key == "training":
                    _, found = validate(TrainingSettings, value, tree, (*path, key), changed)
                    mistakes += found
                elif key not in valid:
                    place = place_of(tree, (*path, key), changed)
                    mistakes.append(f"{place}: {unknown(f'option of {name}', key, valid)}")
    return mistakes


def _source_mistakes(tree, changed):
    """A sentence for each option that the maker or reader of the table does not take."""
    data = tree.get("data")
    source, options = (data.get("source"), data.get("options")) if isinstance(data, dict) else (None, None)
    if not isinstance(options, dict) or source == "dataset":
        return []
    from tfts.data.sales import make_sales
    from tfts.data.sources import SOURCES
    from tfts.data.synthetic import make_series

    made = {"synthetic": make_series, "sales": make_sales}
    if source not in (*made, *SOURCES):
        return []
    valid = list(inspect.signature({**made, **SOURCES}[source]).parameters)
    if source in SOURCES:
        # The section has keys of its own for the others.
        valid = [name for name in valid[1:] if name not in _KEYS]
    return [
        f"{place_of(tree, ('data', 'options', key), changed)}: {unknown(f'option of {source} data', key, valid)}"
        for key in options
        if key not in valid
    ]


def _tune_mistakes(tree, changed):
    from tfts.models import MODELS

    tune = tree.get("tune")
    name = tune.get("model") if isinstance(tune, dict) else None
    if not isinstance(name, str):
        return []
    if name not in MODELS:
        return [f"{place_of(tree, ('tune', 'model'), changed)}: {unknown('model', name, MODELS)}"]
    options, valid = tune.get("model_options"), method_options(MODELS[name])
    return [
        f"{place_of(tree, ('tune', 'model_options', key), changed)}: {unknown(f'option of {name}', key, valid)}"
        for key in (options if isinstance(options, dict) else ())
        if key not in valid
    ]


def _suite_mistakes(tree, changed, keys=ENTRY_KEYS):
    from tfts.baselines import BASELINES
    from tfts.models import MODELS

    mistakes = []
    for section, table in (("baselines", BASELINES), ("models", MODELS), ("peers", None)):
        listed = tree.get(section)
        for label, entry in listed.items() if isinstance(listed, dict) else ():
            # Files are named after it.
            if not re.fullmatch(r"[\w.+-]+", str(label)):
                place = place_of(tree, (section, label), changed)
                mistakes.append(
                    f"{place}: A name holds letters, digits and . + - _ alone. Received: {label!r}."
                )
            elif table is not None and isinstance(entry, dict):
                mistakes += _entry_mistakes(tree, section, label, entry, table, changed, keys)
    return mistakes


def _entry_mistakes(tree, section, label, entry, table, changed, keys):
    """A sentence for each mistake in one method of a suite."""

    def at(*path):
        return place_of(tree, (section, label, *path), changed)

    name = entry.get("model", label)
    if name not in table:
        return [f"{at('model')}: {unknown(section[:-1], name, table)}"]
    mistakes = []
    own = [key for key in keys if section == "models" or key not in ("backend", "training")]
    options = method_options(table[name])
    training = list(TrainingSettings.model_fields) if section == "models" else []
    for key, value in entry.items():
        if key == "training" and key in own:
            _, found = validate(TrainingSettings, value, tree, (section, label, key), changed)
            mistakes += found
        elif key == "backend" and key in own and value not in BACKENDS:
            mistakes.append(f"{at(key)}: {unknown('backend', value, BACKENDS)}")
        elif key == "choose" and key in own:
            valid = [*options, *training, "context_length", *ENTRY_DATA]
            for chosen, values in value.items() if isinstance(value, dict) else [("choose", None)]:
                if not isinstance(values, list) or not values:
                    mistakes.append(
                        f"{at(key, chosen)}: What is chosen is a list of values. Received: {chosen}: {values!r}."
                    )
                elif chosen not in valid:
                    mistakes.append(f"{at(key, chosen)}: {unknown(f'setting of {label}', chosen, valid)}")
        elif key not in own and key not in options:
            mistakes.append(f"{at(key)}: {unknown(f'option of {label}', key, [*options, *own])}")
    return mistakes


def _regression_mistakes(tree, changed):
    from tfts.regression import REGRESSIONS, SCORES

    task = tree.get("task")
    if task not in REGRESSIONS:
        return []
    mistakes = []
    # What the command decides itself: the seed, and that it fits once.
    valid = set(REGRESSIONS[task]().get_params()) - {"random_state", "warm_start", "record_weights"}
    options, metrics = tree.get("options"), tree.get("metrics")
    for key in options if isinstance(options, dict) else ():
        if key not in valid:
            place = place_of(tree, ("options", key), changed)
            mistakes.append(f"{place}: {unknown(f'option of {task}', key, valid)}")
    for name in metrics if isinstance(metrics, list) else ():
        if name not in SCORES[task]:
            place = place_of(tree, ("metrics",), changed)
            mistakes.append(f"{place}: {unknown(f'metric of {task}', name, SCORES[task])}")
    return mistakes


@functools.cache
def method_options(method):
    """Names of the options that a builder or baseline takes beside the window's shape.

    Example:

    >>> from tfts.baselines import BASELINES
    >>> method_options(BASELINES["seasonal_naive"])
    ['season_length', 'num_seasons', 'season']
    """
    # What a run says itself: the task, and the name under which its settings list a method.
    own = ("self", "task", "name")
    return [name for name in inspect.signature(method).parameters if name not in own]
