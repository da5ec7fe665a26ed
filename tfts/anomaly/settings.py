"""The options of an `AnomalyDetector`, in groups that can't be changed and that check their own.

To add one: a field in its group.
"""

import copy
import dataclasses
import inspect

import numpy as np

from tfts._messages import unknown
from tfts.anomaly.events import check_event_options
from tfts.anomaly.scores import ResidualScore, RunningAverage
from tfts.anomaly.subsequence import SUBSEQUENCES
from tfts.anomaly.thresholds import THRESHOLDS, build_threshold
from tfts.baselines import BASELINES
from tfts.calibration.kinds import no_quantiles
from tfts.data.scaling import Scaler
from tfts.errors import DataError, SettingError
from tfts.forecaster import Forecaster
from tfts.outputs import Quantiles, build_output

IRREGULAR = ("regularise", "step_length")
# Thresholds whose limit is `k` deviations.
_WITH_K = ("std", "mad")


@dataclasses.dataclass(frozen=True)
class Learning:
    """What learns, and from which rows; see `AnomalyDetector` for each.

    Example:

    >>> Learning("linear_regression", context_length=7).is_network
    False
    """

    model: str | Forecaster = "lstm_regressor"
    context_length: int = 28
    model_options: dict | None = None
    validation: float = 0.15
    calibration: float = 0.2
    output: str | dict = "auto"

    def __post_init__(self):
        model = self.model
        self._check_output()
        if isinstance(model, Forecaster):
            # What a forecaster has learnt is no setting.
            _set(self, model=model.clone(), context_length=model.spec.context_length)
        _set(self, model_options=dict(self.model_options or {}))
        if model == "auto":
            if self.model_options:
                raise SettingError("model='auto' takes no `model_options`, which belong to one model.")
        elif isinstance(model, str):
            if model in SUBSEQUENCES:
                SUBSEQUENCES[model](**self.model_options)
            elif model not in BASELINES and not self.is_network:
                names = [*_networks(), *BASELINES, *SUBSEQUENCES, "auto"]
                raise SettingError(unknown("model", model, names))
        elif not isinstance(model, Forecaster):
            raise SettingError(
                "`model` must be a name of MODELS, BASELINES or SUBSEQUENCES, or a Forecaster. Received: "
                f"{model!r}."
            )
        for name, low in (("validation", 0), ("calibration", 1e-9)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= 0.9:
                raise SettingError(f"`{name}` must be a share from 0 to 0.9. Received: {name}={value!r}.")

    def _check_output(self):
        if self.output == "auto":
            return
        if isinstance(self.model, Forecaster):
            raise SettingError(
                f"The forecaster that is given has an output of its own. Leave `output` out. Received: "
                f"output={self.output!r}."
            )
        if build_output(self.output).has_distribution and self.model in (*BASELINES, *SUBSEQUENCES):
            raise SettingError(
                f"{self.model!r} gives points. Leave `output` out, or take a model of MODELS. Received: "
                f"output={self.output!r}."
            )

    @property
    def name(self):
        """The name of the model; `None` where a forecaster is given."""
        return self.model if isinstance(self.model, str) else None

    @property
    def is_network(self):
        """Whether the model is named, and one of `MODELS`."""
        others = (*BASELINES, *SUBSEQUENCES, "auto")
        return isinstance(self.model, str) and self.model not in others and self.model in _networks()


@dataclasses.dataclass(frozen=True)
class Columns:
    """What the columns of a table mean, and how its rows become a panel; see `AnomalyDetector`.

    Example:

    >>> Columns(targets="sold", time="day").targets
    ('sold',)
    """

    targets: tuple | None = None
    known_future: tuple | None = None
    calendar: tuple = ()
    time: str | None = None
    series: str | None = None
    freq: str | None = None
    irregular: str = "regularise"
    missing: str = "raise"
    limit: int = 10
    duplicates: str = "raise"
    scaler: str = "standard"
    per_series: bool = True
    log: tuple = ()

    def __post_init__(self):
        for name in ("targets", "known_future", "calendar", "log"):
            _set(self, **{name: _listed(getattr(self, name))})
        if self.irregular not in IRREGULAR:
            raise SettingError(unknown("way of irregular time steps", self.irregular, IRREGULAR))
        if not isinstance(self.series, str | None):
            raise SettingError(
                "`series` of a detector must be the name of one column, as rows that come live have one id: join "
                f"several columns into one first. Received: series={self.series!r}."
            )
        if self.missing == "mask":
            raise SettingError(
                "A detector judges row by row, and a forecast stands in for a missing target. Expected "
                "missing='raise', 'interpolate' or 'drop'. Received: missing='mask'."
            )
        Scaler(self.scaler, self.per_series)

    @property
    def is_irregular(self):
        """Whether rows are taken as they come, with the column `step_length`."""
        return self.irregular == "step_length"

    @property
    def keys(self):
        """Names of the columns of time and series, as far as there are any."""
        return [name for name in (self.time, self.series) if name is not None]


@dataclasses.dataclass(frozen=True)
class Scoring:
    """How far off a row is, and from where on that counts; see `AnomalyDetector` for each.

    Example:

    >>> Scoring(threshold="mad", k=6.0).new_threshold().k
    6.0
    """

    score: str = "residual"
    context: tuple = ()
    direction: str = "both"
    smooth: int | None = None
    single_rows: bool = True
    same_row: dict | None = None
    threshold: str = "std"
    k: float = 3.0
    threshold_options: dict | None = None
    min_size: float | dict = 0.0

    def __post_init__(self):
        same_row = {target: list(_listed(sources)) for target, sources in (self.same_row or {}).items()}
        _set(self, context=_listed(self.context), same_row=same_row)
        _set(self, threshold_options=dict(self.threshold_options or {}))
        self.new_score()
        if self.context and self.score not in ("scaled", "joint"):
            raise SettingError(
                f"`context` belongs to score='scaled' or 'joint'. Received: score={self.score!r}, "
                f"context={list(self.context)}."
            )
        self.new_threshold()
        if self.is_interval:
            self._check_interval()
        if self.new_average() is None and not self.single_rows:
            raise SettingError("Without `smooth` there are only single rows. Received: single_rows=False.")
        least = self.min_size
        for value in least.values() if isinstance(least, dict) else [least]:
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise SettingError(
                    f"`min_size` must be a number >= 0 or a dict of them. Received: min_size={least!r}."
                )

    @property
    def is_interval(self):
        """Whether rows are judged by the quantiles of the model."""
        return self.threshold == "interval"

    def _check_interval(self):
        for name, usual in (("score", "residual"), ("smooth", None), ("same_row", {})):
            value = getattr(self, name)
            if value != usual:
                raise SettingError(
                    "threshold='interval' judges each value by the quantiles of its own forecast, so that `score`, "
                    f"`smooth` and `same_row`, which change residuals, do nothing. Received: {name}={value!r}."
                )

    def new_score(self):
        """An unfitted `ResidualScore`."""
        return ResidualScore(self.score, self.direction)

    def new_average(self):
        """An unfitted `RunningAverage`, or `None` without `smooth`."""
        return None if self.smooth is None else RunningAverage(self.smooth, self.single_rows)

    def new_threshold(self):
        """An unfitted member of `THRESHOLDS`."""
        options = self.threshold_options
        if self.threshold in _WITH_K:
            options = {"k": self.k, **options}
        elif self.threshold in THRESHOLDS and self.k != 3.0:
            raise SettingError(
                f"`k` belongs to the thresholds {list(_WITH_K)}. Received: threshold={self.threshold!r}, k={self.k}."
            )
        return build_threshold(self.threshold, **options)


@dataclasses.dataclass(frozen=True)
class Alarms:
    """How flagged rows become events, and what they leave behind; see `AnomalyDetector` for each.

    Example:

    >>> Alarms(confirm=(2, 3)).gap
    0
    """

    confirm: tuple = (1, 1)
    gap: int = 0
    cool_down: int = 0
    new_normal: int | None = None
    replace: tuple | None = None

    def __post_init__(self):
        check_event_options(self.confirm, self.gap, self.cool_down, self.new_normal)
        _set(self, confirm=tuple(self.confirm), replace=_listed(self.replace))


_GROUPS = {"learning": Learning, "columns": Columns, "scoring": Scoring, "alarms": Alarms}
_HOMES = {field.name: group for group, kind in _GROUPS.items() for field in dataclasses.fields(kind)}
# Options of a detector that a forecaster which is given has already.
_OF_FORECASTER = (
    "context_length",
    "targets",
    "known_future",
    "calendar",
    "time",
    "series",
    "freq",
    "missing",
    "limit",
    "duplicates",
    "scaler",
    "per_series",
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """All options of an `AnomalyDetector`; nothing that is learnt is among them.

    Example:

    >>> settings = Settings.of(model="persistence", context_length=1, gap=2)
    >>> settings.learning.context_length, settings.alarms.gap
    (1, 2)
    """

    learning: Learning
    columns: Columns
    scoring: Scoring
    alarms: Alarms

    @classmethod
    def of(cls, **options):
        """Puts options into their groups.

        Raises:
            ValueError: If one is unknown or has a wrong value, or contradicts the forecaster
                that is the model.
        """
        for name in options:
            if name not in _HOMES:
                raise SettingError(unknown("option of AnomalyDetector:", name, _HOMES))
        if isinstance(options.get("model"), Forecaster):
            options = _with_forecaster(options)
        groups = {
            group: kind(**{name: value for name, value in options.items() if _HOMES[name] == group})
            for group, kind in _GROUPS.items()
        }
        made = cls(**groups)
        if made.scoring.is_interval:
            _check_quantiles(made)
        return made

    def flat(self):
        """Option -> value, a dict of plain copies that the settings share nothing with."""
        values = {}
        for name, group in _HOMES.items():
            value = getattr(getattr(self, group), name)
            if isinstance(value, Forecaster):
                values[name] = value.clone()
            else:
                values[name] = list(value) if isinstance(value, tuple) else copy.deepcopy(value)
        return values

    def replaced(self, **changes):
        """Settings with some options changed, also those of a forecaster that is the model.

        Example:

        >>> Settings.of(model="persistence").replaced(gap=2).alarms.gap
        2
        """
        kept = self.flat()
        model = kept["model"]
        if "model" not in changes and isinstance(model, Forecaster):
            own = {name: value for name, value in changes.items() if name in _OF_FORECASTER}
            changes = {**changes, "model": Forecaster(**{**model.settings, **own})}
        if isinstance(changes.get("model"), Forecaster):
            kept = {name: value for name, value in kept.items() if name not in _OF_FORECASTER}
        return Settings.of(**{**kept, **changes})


def signature():
    """The `inspect.Signature` of a detector: model and targets, and all others by keyword.

    Example:

    >>> signature().parameters["context_length"].default
    28
    """
    defaults = {f.name: f.default for kind in _GROUPS.values() for f in dataclasses.fields(kind)}
    order = ["model", "targets", *(name for name in defaults if name not in ("model", "targets"))]
    kinds = [inspect.Parameter.POSITIONAL_OR_KEYWORD] * 2 + [inspect.Parameter.KEYWORD_ONLY] * len(order)
    return inspect.Signature(
        [
            inspect.Parameter(name, kind, default=defaults[name])
            for name, kind in zip(order, kinds, strict=False)
        ]
    )


def _with_forecaster(options):
    """Options with those that the forecaster has, which may not say anything else."""
    own = options["model"].settings
    for name in _OF_FORECASTER:
        value = options.get(name)
        value = list(_listed(value)) if name in ("targets", "known_future", "calendar") and value else value
        if name in options and value != own[name] and not (value in (None, ()) and not own[name]):
            raise DataError(
                f"The forecaster that is given has {name}={own[name]!r}, so the detector can't have another. "
                f"Received: {name}={value!r}."
            )
    return {**options, **{name: own[name] for name in _OF_FORECASTER}}


def _check_quantiles(settings):
    """Raises a ValueError where the model gives no quantiles for `threshold="interval"`."""
    model = settings.learning.model
    if settings.columns.is_irregular:
        raise SettingError(
            "threshold='interval' needs rows at regular steps. Expected irregular='regularise'. Received: "
            "irregular='step_length'."
        )
    if isinstance(model, str) and model in SUBSEQUENCES:
        raise SettingError(
            f"{model!r} compares windows and forecasts nothing, so it has no quantiles. Expected a name of BASELINES, "
            "whose quantiles are those of errors on the calibration rows, or of MODELS, a network that learns them. "
            f"Received: threshold='interval', model={model!r}."
        )
    if not isinstance(model, Forecaster):
        return
    if not model.quantiles and not model.output.has_distribution:
        raise SettingError(no_quantiles("threshold='interval' with a forecaster without"))
    if model.calibration == "adaptive":
        raise SettingError(
            "threshold='interval' takes quantiles that stay as they were calibrated; limits that follow the latest "
            "rows are those of threshold='rolling_conformal'. Expected calibration='conformal' or 'none'. Received: "
            "a forecaster with calibration='adaptive'."
        )
    if model.calibration == "none" and isinstance(model.output, Quantiles):
        levels = settings.scoring.new_threshold().levels(settings.scoring.direction)
        model.output.quantiles(np.zeros(len(model.output.learnt)), levels)


def _networks():
    from tfts.models import MODELS

    return MODELS


def _set(group, **values):
    for name, value in values.items():
        object.__setattr__(group, name, value)


def _listed(names):
    if names is None:
        return None
    return (names,) if isinstance(names, str) else tuple(names)
