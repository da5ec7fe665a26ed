"""What the runs of a suite are, and what each of them depends on."""

import itertools
from pathlib import Path

from tfts.config import ENTRY_DATA, ENTRY_KEYS, Settings
from tfts.errors import MissingFileError
from tfts.experiment.tables import forecaster_options, load_frame
from tfts.forecaster import Forecaster
from tfts.training import TrainingSettings


def plan(settings):
    """All runs of a suite.

    Args:
        settings: `BenchmarkSettings`.

    Returns:
        Dict from the key of a run, such as `"96-linear-0"`, to a dict of `key`, `horizon`,
        `label`, `seed` and `recipe`: all that its result depends on. A baseline has one run.

    Raises:
        FileNotFoundError: If a file of the data is not there.

    Example:

    >>> from tfts.config import BenchmarkSettings, parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... protocol: {context_length: 22, horizons: [3, 6]}
    ... seeds: [0, 1]
    ... baselines: {drift: {}}
    ... models: {linear: {}}
    ... ''', kind=BenchmarkSettings)
    >>> list(plan(settings))
    ['3-drift', '3-linear-0', '3-linear-1', '6-drift', '6-linear-0', '6-linear-1']
    """
    plain = settings.model_dump(mode="json")
    shared = {
        "data": _table_of(settings),
        "split": plain["split"],
        "protocol": {k: v for k, v in plain["protocol"].items() if k not in ("horizons", "windows")},
    }
    plans = {}
    for horizon, seed, label in itertools.product(
        settings.protocol.horizons, settings.seeds, [*settings.baselines, *settings.models, *settings.peers]
    ):
        if label in settings.peers and horizon not in (settings.peers[label].horizons or [horizon]):
            continue
        network = label not in settings.baselines
        key = f"{horizon}-{label}-{seed}" if network else f"{horizon}-{label}"
        if label in settings.peers:
            recipe = {"peers": {label: {**plain["peers"][label], "horizons": None}}}
        elif network:
            recipe = {"models": {label: plain["models"][label]}, "training": plain["training"]}
            if "choose" in plain["models"][label]:
                # Another seed takes the setting that the first one chose.
                recipe["first_seed"] = settings.seeds[0]
        else:
            recipe = {"baselines": {label: plain["baselines"][label]}}
        of = {"horizon": horizon, "label": label, "seed": seed if network else 0}
        plans.setdefault(key, {**of, "key": key, "recipe": {**recipe, **shared, **of}})
    return plans


def choices(settings, label):
    """The settings that an entry of a suite lists under `choose`, every combination.

    Example:

    >>> from tfts.config import BenchmarkSettings, parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... protocol: {context_length: 22, horizons: [3]}
    ... models: {linear: {choose: {context_length: [11, 22], learning_rate: [1e-3]}}}
    ... ''', kind=BenchmarkSettings)
    >>> choices(settings, "linear")
    [{'context_length': 11, 'learning_rate': 0.001}, {'context_length': 22, 'learning_rate': 0.001}]
    """
    listed = entry_of(settings, label).get("choose", {})
    return [dict(zip(listed, values, strict=True)) for values in itertools.product(*listed.values())]


def settings_of(settings, label, horizon, change):
    """What one fit of an entry goes by.

    Args:
        settings: `BenchmarkSettings`.
        label: Name of the entry.
        horizon: Int >= 1.
        change: Dict of settings that take the place of the entry's own.

    Returns:
        Tuple of `Settings`, the name of the method, and its options.

    Example:

    >>> from tfts.config import BenchmarkSettings, parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... protocol: {context_length: 22, horizons: [3]}
    ... models: {own: {model: linear, shared: false, training: {epochs: 7}}}
    ... ''', kind=BenchmarkSettings)
    >>> run, name, options = settings_of(settings, "own", 3, {"batch_size": 16})
    >>> run.window, run.training.epochs, run.training.batch_size, name, options
    (Window(context_length=22, horizon=3, stride=1), 7, 16, 'linear', {'shared': False})
    """
    entry = entry_of(settings, label)
    options = {key: value for key, value in entry.items() if key not in ENTRY_KEYS}
    entry = {key: value for key, value in entry.items() if key in ENTRY_KEYS}
    plain = settings.model_dump(mode="json", include={"data", "split", "training"})
    training = {**plain["training"], **entry.get("training", {})}
    for key, value in change.items():
        # An option of the method goes before a setting of the training with its name.
        if key in ENTRY_KEYS:
            entry[key] = value
        elif label in settings.models and key in TrainingSettings.model_fields:
            training[key] = value
        else:
            options[key] = value
    protocol = settings.protocol
    run = Settings.model_validate(
        {
            "data": {**plain["data"], **{key: entry[key] for key in ENTRY_DATA if key in entry}},
            "window": {
                "context_length": entry.get("context_length", protocol.context_length),
                "horizon": horizon,
                "stride": protocol.stride,
            },
            "split": plain["split"],
            "training": training,
        }
    )
    return run, entry.get("model", label), options


def entry_of(settings, label):
    """What a suite says of one of its methods.

    Example:

    >>> from tfts.config import BenchmarkSettings, parse_settings
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... protocol: {context_length: 22, horizons: [3]}
    ... baselines: {seasonal_naive: {season_length: 11}}
    ... ''', kind=BenchmarkSettings)
    >>> entry_of(settings, "seasonal_naive")
    {'season_length': 11}
    """
    return (settings.models if label in settings.models else settings.baselines)[label]


def _table_of(settings):
    """By what the table of a suite is known: its settings, and the rows instead of where they lie."""
    data = settings.data
    if data.path is not None and not Path(data.path).is_file():
        raise MissingFileError(f"{data.path} does not exist. Give the file with --set data.path=FILE.")
    window = {"context_length": settings.protocol.context_length, "horizon": settings.protocol.horizons[0]}
    run = Settings(data=data, window=window, split=settings.split)
    panel = Forecaster("persistence", **forecaster_options(run)).panel(load_frame(run)[0])
    return {**data.model_dump(mode="json", exclude={"path"}), "rows": panel.digest()}
