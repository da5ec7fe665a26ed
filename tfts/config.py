"""One YAML file as checked settings of a run."""

import datetime
import difflib
import functools
import inspect
import io
import itertools
import re
import typing
from pathlib import Path

import pydantic
from pydantic import Field
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from tfts._messages import unknown
from tfts.training import TrainingSettings

# YAML reads 2017-06-26 as a date; the settings keep times as text.
_Time = typing.Annotated[
    str, pydantic.BeforeValidator(lambda v: v.isoformat() if isinstance(v, datetime.date) else v)
]


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Data(_Section):
    """Where the table comes from and what its columns mean."""

    source: typing.Literal["synthetic", "sales", "dataset", "file", "m4"] = Field(
        description="synthetic (make_series), sales (make_sales), dataset (ships with statsmodels), file (path) or "
        "m4 (path of a training file of the competition, its test file beside it)"
    )
    name: str | None = Field(None, description="name of the dataset")
    path: str | None = Field(None, description="CSV or Parquet file")
    options: dict[str, typing.Any] = Field({}, description="options of make_series or make_sales")
    columns: list[str] | None = Field(None, description="columns to keep")
    encoding: str | None = Field(None, description="encoding of a CSV file")
    na_values: list[str | float] | None = Field(None, description="further marks of a missing value")
    time: str | list[str] | None = Field(None, description="time column, or date and hour columns")
    series: str | None = Field(None, description="column that tells the series apart")
    freq: str | None = Field(None, description="time step")
    start: _Time | None = Field(None, description="first time that is used")
    end: _Time | None = Field(None, description="last time that is used")
    targets: list[str] | None = Field(None, description="columns to forecast")
    known_future: list[str] = Field([], description="columns known ahead")
    calendar: list[str] = Field([], description="calendar features to add")
    missing: typing.Literal["raise", "interpolate", "drop"] = "raise"
    limit: int | None = Field(10, ge=1, description="longest gap in rows that is interpolated")
    duplicates: typing.Literal["raise", "first", "last", "mean"] = "raise"
    scaler: str = "standard"
    per_series: bool = False

    @pydantic.model_validator(mode="after")
    def _one_source(self):
        if self.source in ("file", "m4") and self.path is None:
            raise ValueError("`path` is missing. Give it in the file, or with --set data.path=FILE")
        if self.source == "dataset" and self.name is None:
            raise ValueError("`name` is missing: the name of the dataset")
        return self


class Window(_Section):
    """What one example is."""

    context_length: int = Field(ge=1)
    horizon: int = Field(ge=1)
    stride: int = Field(1, ge=1, description="rows from one training window to the next")


class Split(_Section):
    """Shares, numbers, or first times, of the validation and the test rows."""

    validation: float | int | _Time = 0.15
    test: float | int | _Time = 0.15
    gap: int = Field(0, ge=0)
    context: typing.Literal["carry", "own"] = "carry"


class Report(_Section):
    """What is written beside the scores."""

    forecasts: typing.Literal["parquet", "csv"] = "parquet"
    attention_windows: int = Field(256, ge=10, description="most windows whose attention is analysed")
    attention_nulls: list[typing.Literal["shuffled_targets", "permuted_rows"]] = Field(
        ["shuffled_targets"], description="networks with nothing to find, to compare attention with"
    )
    seasonal_lags: list[int] | None = Field(None, description="rows back to watch; null finds them")
    regimes: list[str] = Field([], description="columns: windows where one is not 0 are compared")


class Settings(_Section):
    """Everything `tfts run` needs to know."""

    data: Data
    window: Window
    split: Split = Split()
    training: TrainingSettings = TrainingSettings()
    baselines: dict[str, dict[str, typing.Any]] = {}
    models: dict[str, dict[str, typing.Any]] = {}
    report: Report = Report()
    seed: int = 0


class Tune(_Section):
    """What is searched and how; the options of `search`."""

    model: str
    model_options: dict[str, typing.Any] = Field({}, description="options that are not searched")
    space: typing.Literal["default"] | dict[str, typing.Any] = Field(
        "default", description="the model's own, or settings with their values or ranges"
    )
    tuner: typing.Literal["bayesian", "hyperband", "random", "grid"] = "bayesian"
    max_trials: int = Field(20, ge=1)
    objective: str = "val_rmse"
    budget_seconds: float | None = Field(None, gt=0, description="after which no trial is begun")
    rolling_origins: int = Field(1, ge=1, description="validation parts that score a trial")
    executions_per_trial: int = Field(1, ge=1, description="seeds whose scores are averaged")
    pruning: bool = Field(True, description="whether trials worse than the median are stopped")
    tensorboard: bool = Field(False, description="whether logs for TensorBoard are written")
    refit: bool = Field(True, description="whether the best learns from the validation rows too")


class TuneSettings(_Section):
    """Everything `tfts tune` needs to know."""

    data: Data
    window: Window
    split: Split = Split()
    training: TrainingSettings = TrainingSettings()
    tune: Tune
    seed: int = 0


class Detector(_Section):
    """How rows are judged; the options of `AnomalyDetector`."""

    model: str = "lstm_regressor"
    model_options: dict[str, typing.Any] = {}
    context_length: int = Field(28, ge=1)
    irregular: typing.Literal["regularise", "step_length"] = "regularise"
    log: list[str] = Field([], description="columns that go by factors")
    same_row: dict[str, list[str]] = Field({}, description="targets that explain a target of the same row")
    score: str = "residual"
    context: list[str] = Field([], description="what the spread of residuals depends on")
    direction: typing.Literal["both", "up", "down"] = "both"
    smooth: int | None = Field(None, ge=2, description="rows of the running average")
    single_rows: bool = Field(True, description="judge single rows beside the running average")
    threshold: str = "std"
    k: float = Field(3.0, gt=0, description="deviations, of std and mad")
    threshold_options: dict[str, typing.Any] = {}
    min_size: float | dict[str, float] = Field(0.0, description="smallest residual worth an alarm")
    confirm: tuple[int, int] = (1, 1)
    gap: int = Field(0, ge=0)
    cool_down: int = Field(0, ge=0)
    new_normal: int | None = Field(None, ge=2)
    replace: list[str] | None = Field(None, description="targets whose flagged values are replaced")
    validation: float = Field(0.15, ge=0, le=0.9)
    calibration: float = Field(0.2, gt=0, le=0.9)


class DetectionSettings(_Section):
    """Everything `tfts detect` needs to know."""

    data: Data
    detector: Detector = Detector()
    training: TrainingSettings = TrainingSettings()
    learn: float | _Time = Field(
        0.5, description="share of the rows to learn from, or the first time to judge"
    )
    exclude: list[tuple[_Time, _Time]] = Field(
        [], description="first and last time of rows known to be wrong"
    )
    seed: int = 0


class Table(_Section):
    """Where the rows come from and what their columns mean."""

    source: typing.Literal["sklearn", "file"] = Field(
        description="sklearn (ships with scikit-learn: name) or file (path)"
    )
    name: str | None = Field(None, description="name of the data set of scikit-learn")
    path: str | None = Field(None, description="CSV or Parquet file")
    encoding: str | None = Field(None, description="encoding of a CSV file")
    na_values: list[str | float] | None = Field(None, description="further marks of a missing value")
    targets: list[str] | None = Field(None, min_length=1, description="columns to explain")
    features: list[str] | None = Field(None, min_length=1, description="columns that explain them")
    missing: typing.Literal["raise", "drop", "mean"] = "raise"

    @pydantic.model_validator(mode="after")
    def _one_source(self):
        if self.source == "file" and self.path is None:
            raise ValueError("`path` is missing. Give it in the file, or with --set data.path=FILE")
        if self.source == "file" and self.targets is None:
            raise ValueError("`targets` is missing: the columns to explain")
        if self.source == "sklearn" and self.name is None:
            raise ValueError("`name` is missing: the name of the data set")
        return self


class RowSplit(_Section):
    """Which rows are only scored."""

    test: float = Field(0.25, gt=0, lt=1, description="share of the rows")
    shuffle: bool = Field(True, description="whether they are drawn; the last ones otherwise")


class RegressSettings(_Section):
    """Everything `tfts regress` needs to know."""

    task: typing.Literal["linear", "logistic", "softmax"]
    data: Table
    split: RowSplit = RowSplit()
    options: dict[str, typing.Any] = Field({}, description="options of the estimator")
    metrics: list[str] | None = Field(None, min_length=1)
    seed: int = 0


class Protocol(_Section):
    """What is forecast and how it is scored, the same for all methods of a suite."""

    context_length: int = Field(ge=1, description="rows seen, where a method names no others")
    horizons: list[int] = Field(min_length=1, description="rows forecast, each by itself")
    stride: int = Field(1, ge=1, description="rows from one training window to the next")
    windows: list[int] | None = Field(None, description="test windows that must be scored, for each horizon")
    units: typing.Literal["standardised", "original"] = Field(
        "standardised", description="standardised divides errors by the deviation of the training rows"
    )
    metrics: list[typing.Literal["mse", "mae", "rmse", "smape", "mase"]] = Field(
        ["mse", "mae"], min_length=1, description="the first decides"
    )
    season_length: int | None = Field(None, ge=1, description="rows in a season, for mase")

    @pydantic.model_validator(mode="after")
    def _fits(self):
        if min(self.horizons) < 1 or len(set(self.horizons)) < len(self.horizons):
            raise ValueError(f"`horizons` must be different ints >= 1. Received: {self.horizons}")
        if self.windows is not None and len(self.windows) != len(self.horizons):
            raise ValueError(
                f"`windows` must hold a number for each of the {len(self.horizons)} horizons. Received: {self.windows}"
            )
        relative = [name for name in self.metrics if name in ("smape", "mase")]
        if relative and self.units != "original":
            raise ValueError(f"{relative[0]} is of original units: give units: original")
        if "mase" in self.metrics and self.season_length is None:
            raise ValueError(
                "`season_length` is missing: mase divides by the error of the value a season ago"
            )
        return self


class Budget(_Section):
    """Seconds after which something is stopped; null for never."""

    run_seconds: float | None = Field(None, gt=0, description="of one run, which is then given up")
    suite_seconds: float | None = Field(None, gt=0, description="after which no run is begun")


class Published(_Section):
    """Scores of others, one for each horizon; null where there is none."""

    model: str
    source: str
    lookback: int | str | None = Field(None, description="rows seen")
    mse: list[float | None] | None = None
    mae: list[float | None] | None = None
    rmse: list[float | None] | None = None
    smape: list[float | None] | None = None
    mase: list[float | None] | None = None


class Peer(_Section):
    """A model of another package, for `--peers`."""

    model: str = Field(description="name of a model of neuralforecast")
    options: dict[str, typing.Any] = Field({}, description="its arguments beside the horizon")
    horizons: list[int] | None = Field(None, description="for which it is run; null for all")


class BenchmarkSettings(_Section):
    """Everything `tfts benchmark` needs to know."""

    data: Data
    split: Split = Split()
    protocol: Protocol
    seeds: list[int] = Field([0, 1, 2], min_length=1, description="with each of which a network is fitted")
    budget: Budget = Budget()
    training: TrainingSettings = TrainingSettings()
    baselines: dict[str, dict[str, typing.Any]] = {}
    models: dict[str, dict[str, typing.Any]] = {}
    peers: dict[str, Peer] = {}
    published: list[Published] = []

    @pydantic.model_validator(mode="after")
    def _fits(self):
        for row in self.published:
            for name in ("mse", "mae", "rmse", "smape", "mase"):
                scores = getattr(row, name)
                if scores is not None and len(scores) != len(self.protocol.horizons):
                    raise ValueError(
                        f"`published` must hold a score of {row.model} for each of the "
                        f"{len(self.protocol.horizons)} horizons. Received: {name}: {scores}"
                    )
        labels = [*self.baselines, *self.models, *self.peers]
        twice = [label for label in labels if labels.count(label) > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} stands twice among baselines, models and peers")
        return self


# What an entry of a suite says beside the options of its method.
ENTRY_DATA = ("calendar", "per_series", "scaler")
ENTRY_KEYS = ("backend", "choose", "context_length", "model", "training", *ENTRY_DATA)
BACKENDS = ("jax", "tensorflow", "torch")


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
        raise FileNotFoundError(f"There is no settings file {str(path)!r}.{hint}")
    return parse_settings(path.read_text(encoding="utf-8"), changes, str(path), kind)


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
        raise ValueError(f"{origin} must hold sections such as data: and window:. Received: {tree!r}.")
    changed = set()
    for change in changes:
        changed.add(_apply(tree, change))
    settings, mistakes = _validate(kind, tree, tree, (), changed)
    mistakes += _method_mistakes(kind, tree, changed)
    if mistakes:
        count = f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}"
        raise ValueError(f"{origin} has {count}:\n" + "\n".join(f"- {m}" for m in mistakes))
    return settings


def _load_yaml(text, origin):
    try:
        return YAML(typ="rt").load(io.StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark
        at = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "an unknown line"
        raise ValueError(f"{origin} is not valid YAML: {error.problem} ({at}).") from error


def _apply(tree, change):
    key, equals, value = change.partition("=")
    if not equals or not key.strip():
        raise ValueError(f"Expected section.key=value. Received: {change!r}.")
    *sections, last = path = tuple(key.strip().split("."))
    for section in sections:
        inner = tree.setdefault(section, {})
        if inner is None:
            inner = tree[section] = {}
        if not isinstance(inner, dict):
            raise ValueError(f"{key!r} can't be set: {section!r} holds {inner!r}, which has no keys.")
        tree = inner
    tree[last] = _load_yaml(value, f"The value of {key}") if value.strip() else None
    return path


def _place(tree, path, changed):
    """Where a key stands: `line 7`, or the command line."""
    if any(path[: len(c)] == c for c in changed):
        return "--set"
    line = None
    for key in path:
        if not isinstance(tree, dict) or key not in tree:
            break
        # What a change has added has no line.
        position = (tree.lc.data or {}).get(key) if hasattr(tree, "lc") else None
        line = position[0] + 1 if position else line
        tree = tree[key]
    return f"line {line}" if line else "not in the file"


def _sentence(tree, path, item, changed, choices):
    name, place = ".".join(path), _place(tree, path, changed)
    # A key of an entry of a list has no name of its own.
    listed = not all(isinstance(key, str) for key in item["loc"])
    if item["type"] == "extra_forbidden" and listed:
        return f"{place}: {name}: Unknown key {item['loc'][-1]!r}."
    if item["type"] == "extra_forbidden":
        return f"{place}: {unknown('key', name, choices)}"
    if item["type"] == "missing" and listed:
        return f"{place}: {name}: {item['loc'][-1]} is missing."
    if item["type"] == "missing":
        return f"{place}: {name} is missing."
    if item["type"] == "value_error":
        return f"{place}: {name}: {item['ctx']['error']}." if path else f"{item['ctx']['error']}."
    return f"{place}: {name}: {item['msg']}. Received: {item['input']!r}."


def _validate(model, value, tree, prefix, changed):
    """The settings of one section, and a sentence for each mistake in them."""
    try:
        return model.model_validate(value), []
    except pydantic.ValidationError as error:
        sentences = {}
        for item in error.errors():
            # A union and a list add what they tried, or a number, to the names of the keys.
            path = prefix + tuple(itertools.takewhile(lambda p: isinstance(p, str), item["loc"]))
            while path and (path[-1] in ("str", "float", "int", "bool", "dict") or "[" in path[-1]):
                path = path[:-1]
            choices = _keys(model, path[len(prefix) : -1], prefix)
            sentences.setdefault(path, _sentence(tree, path, item, changed, choices))
        return None, list(sentences.values())


def _keys(model, path, prefix):
    """Full names of the valid keys of a section."""
    for key in path:
        in_dict = typing.get_origin(model) is dict
        model = typing.get_args(model)[1] if in_dict else model.model_fields[key].annotation
    return [".".join((*prefix, *path, key)) for key in getattr(model, "model_fields", ())]


def _method_mistakes(kind, tree, changed):
    """A sentence for each wrong name and option of the listed methods."""
    if kind is RegressSettings:
        return _regression_mistakes(tree, changed)
    if kind is TuneSettings:
        return _tune_mistakes(tree, changed)
    if kind is BenchmarkSettings:
        return _suite_mistakes(tree, changed)
    from tfts.baselines import BASELINES
    from tfts.models import MODELS

    mistakes = []
    for section, table in (("baselines", BASELINES), ("models", MODELS)):
        listed = tree.get(section) if section in kind.model_fields else None
        for name, options in listed.items() if isinstance(listed, dict) else ():
            path = (section, name)
            if name not in table:
                mistakes.append(f"{_place(tree, path, changed)}: {unknown(section[:-1], name, table)}")
                continue
            valid = method_options(table[name])
            for key, value in options.items() if isinstance(options, dict) else ():
                if section == "models" and key == "training":
                    _, found = _validate(TrainingSettings, value, tree, (*path, key), changed)
                    mistakes += found
                elif key not in valid:
                    place = _place(tree, (*path, key), changed)
                    mistakes.append(f"{place}: {unknown(f'option of {name}', key, valid)}")
    return mistakes


def _tune_mistakes(tree, changed):
    from tfts.models import MODELS

    tune = tree.get("tune")
    name = tune.get("model") if isinstance(tune, dict) else None
    if not isinstance(name, str):
        return []
    if name not in MODELS:
        return [f"{_place(tree, ('tune', 'model'), changed)}: {unknown('model', name, MODELS)}"]
    options, valid = tune.get("model_options"), method_options(MODELS[name])
    return [
        f"{_place(tree, ('tune', 'model_options', key), changed)}: {unknown(f'option of {name}', key, valid)}"
        for key in (options if isinstance(options, dict) else ())
        if key not in valid
    ]


def _suite_mistakes(tree, changed):
    from tfts.baselines import BASELINES
    from tfts.models import MODELS

    mistakes = []
    for section, table in (("baselines", BASELINES), ("models", MODELS), ("peers", None)):
        listed = tree.get(section)
        for label, entry in listed.items() if isinstance(listed, dict) else ():
            # Files are named after it.
            if not re.fullmatch(r"[\w.+-]+", str(label)):
                place = _place(tree, (section, label), changed)
                mistakes.append(
                    f"{place}: A name holds letters, digits and . + - _ alone. Received: {label!r}."
                )
            elif table is not None and isinstance(entry, dict):
                mistakes += _entry_mistakes(tree, section, label, entry, table, changed)
    return mistakes


def _entry_mistakes(tree, section, label, entry, table, changed):
    """A sentence for each mistake in one method of a suite."""

    def at(*path):
        return _place(tree, (section, label, *path), changed)

    name = entry.get("model", label)
    if name not in table:
        return [f"{at('model')}: {unknown(section[:-1], name, table)}"]
    mistakes = []
    own = [key for key in ENTRY_KEYS if section == "models" or key not in ("backend", "training")]
    options = method_options(table[name])
    training = list(TrainingSettings.model_fields) if section == "models" else []
    for key, value in entry.items():
        if key == "training" and key in own:
            _, found = _validate(TrainingSettings, value, tree, (section, label, key), changed)
            mistakes += found
        elif key == "backend" and key in own and value not in BACKENDS:
            mistakes.append(f"{at(key)}: {unknown('backend', value, BACKENDS)}")
        elif key == "choose":
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
            place = _place(tree, ("options", key), changed)
            mistakes.append(f"{place}: {unknown(f'option of {task}', key, valid)}")
    for name in metrics if isinstance(metrics, list) else ():
        if name not in SCORES[task]:
            place = _place(tree, ("metrics",), changed)
            mistakes.append(f"{place}: {unknown(f'metric of {task}', name, SCORES[task])}")
    return mistakes


@functools.cache
def method_options(method):
    """Names of the options that a builder or baseline takes beside the window's shape.

    Example:

    >>> from tfts.baselines import BASELINES
    >>> method_options(BASELINES["seasonal_naive"])
    ['season_length', 'num_seasons']
    """
    window = {"context_length", "num_features", "horizon", "num_targets", "num_known_future", "self"}
    return [name for name in inspect.signature(method).parameters if name not in window]
