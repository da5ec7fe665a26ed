"""The sections of a file of settings, and what each command needs of them."""

import datetime
import typing

import pydantic
from pydantic import Field

from tfts.errors import SettingError
from tfts.training import TrainingSettings


def _time(value):
    """A time as text, which YAML may have read as a date: `2017-06-26`."""
    text = value.isoformat() if isinstance(value, datetime.date) else value
    if isinstance(text, str):
        import pandas as pd

        try:
            pd.Timestamp(text)
        except ValueError:
            raise SettingError(
                f"{text!r} is not a time, such as '2017-06-26' or '2017-06-26 07:00'"
            ) from None
    return text


Time = typing.Annotated[str, pydantic.BeforeValidator(_time)]
Seed = typing.Annotated[int, Field(ge=0, lt=2**32)]


class Section(pydantic.BaseModel):
    """Keys with a type each, of which none may be unknown."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Stamps(Section):
    """Times that follow one another, for a file whose rows do and whose times do not."""

    start: Time = Field(description="time of the first row")
    step: str = Field(description="time from one row to the next, such as 10min")


class Resample(Section):
    """A longer time step."""

    step: str = Field(description="the step, such as h or MS")
    how: typing.Literal["first", "last", "max", "mean", "min", "sum"] = Field(
        "mean", description="how the rows of a step become one"
    )


# Sources that read no file.
_MADE = ("synthetic", "sales", "dataset")


class Data(Section):
    """Where the table comes from and what its columns mean."""

    source: typing.Literal[
        "synthetic",
        "sales",
        "dataset",
        "file",
        "gluonts",
        "influx",
        "m4",
        "m5",
        "nab",
        "nixtla",
        "sql",
        "ts",
        "tsb",
        "tsf",
    ] = Field(
        description="synthetic (make_series), sales (make_sales), dataset (ships with statsmodels), file (CSV or "
        "Parquet) or another source of read_table"
    )
    name: str | None = Field(None, description="name of the dataset")
    path: str | None = Field(None, description="file, folder or URL, as the source has it")
    options: dict[str, typing.Any] = Field({}, description="options of make_series, make_sales or the source")
    columns: list[str] | None = Field(None, description="columns to keep")
    encoding: str | None = Field(None, description="encoding of a CSV file")
    na_values: list[str | float] | None = Field(None, description="further marks of a missing value")
    time: str | list[str] | None = Field(None, description="time column, or date and hour columns")
    time_format: str | None = Field(None, description="how stamps are written, such as epoch seconds")
    series: str | list[str] | None = Field(None, description="column, or columns, that tell the series apart")
    wide: bool = Field(False, description="whether each column but the time is a series of its own")
    shortest: int | None = Field(None, ge=1, description="rows; series with fewer are left out")
    stamps: Stamps | None = Field(None, description="times that take the place of those of the file")
    resample: Resample | None = Field(None, description="a longer time step")
    freq: str | int | None = Field(None, description="time step; a number counts rows")
    start: Time | None = Field(None, description="first time that is used")
    end: Time | None = Field(None, description="last time that is used")
    targets: list[str] | None = Field(None, description="columns to forecast")
    known_future: list[str] = Field([], description="columns known ahead")
    calendar: list[str] = Field([], description="calendar features to add")
    missing: typing.Literal["raise", "interpolate", "drop", "mask"] = "raise"
    limit: int | None = Field(10, ge=1, description="longest gap in rows that is interpolated")
    duplicates: typing.Literal["raise", "first", "last", "mean"] = "raise"
    scaler: str = "standard"
    per_series: bool = False
    static: list[str] = Field([], description="columns with one value for each series")
    categories: list[str] | None = Field(None, description="columns of labels; found, where they are text")
    series_embedding: bool = Field(False, description="whether the series are labels too")
    on_problem: typing.Literal["fallback", "raise"] = Field(
        "fallback", description="what to do about a series that can't be forecast beside others"
    )
    fallback: typing.Literal["seasonal_naive", "persistence", "group_mean"] = Field(
        "seasonal_naive", description="what forecasts such a series"
    )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _keys_of_the_source(cls, given):
        # Sources but these two name their columns themselves.
        if isinstance(given, dict) and given.get("source") not in (*_MADE, "file", "sql"):
            return {"time": "time", "series": "series", **given}
        return given

    @pydantic.model_validator(mode="after")
    def _one_source(self):
        if self.source not in _MADE and self.path is None:
            raise SettingError("`path` is missing. Give it in the file, or with --set data.path=FILE")
        if self.source == "dataset" and self.name is None:
            raise SettingError("`name` is missing: the name of the dataset")
        if self.wide and not isinstance(self.series, str):
            raise SettingError("`series` is missing: what the column is to be called that holds their names")
        if self.series_embedding and self.series is None:
            raise SettingError("`series_embedding` learns what is its own of each series: give `series`")
        if self.shortest is not None and self.series is None:
            raise SettingError("`shortest` leaves out series: give `series`")
        if (self.wide or self.stamps or self.resample) and not isinstance(self.time, str):
            raise SettingError(
                "`time` is missing: wide, stamps and resample need the name of the time column"
            )
        return self


class Window(Section):
    """What one example is."""

    context_length: int = Field(ge=1)
    horizon: int = Field(ge=1)
    stride: int = Field(1, ge=1, description="rows from one training window to the next")


class Forecast(Section):
    """What is said of the future beside one number; options of `Forecaster`."""

    output: str | dict[str, typing.Any] = Field(
        "point", description="what networks give: point, quantiles, normal, student_t or negative_binomial"
    )
    quantiles: list[float] | None = Field(
        None, description="levels of quantiles, for example [0.1, 0.5, 0.9]"
    )
    calibration: typing.Literal["auto", "none", "conformal", "adaptive"] = Field(
        "auto", description="where quantiles come from: the output itself, or errors on held-out rows"
    )

    @pydantic.model_validator(mode="after")
    def _can_be_had(self):
        from tfts.forecaster import Forecaster

        asked = {"output": self.output, "quantiles": self.quantiles, "calibration": self.calibration}
        Forecaster("linear", context_length=1, horizon=1, **asked)
        return self


class Split(Section):
    """Shares, numbers, or first times, of the validation and the test rows."""

    validation: float | int | Time = 0.15
    test: float | int | Time = 0.15
    gap: int = Field(0, ge=0)
    context: typing.Literal["carry", "own"] = "carry"


class Report(Section):
    """What is written beside the scores."""

    forecasts: typing.Literal["parquet", "csv"] = "parquet"
    attention_windows: int = Field(256, ge=10, description="most windows whose attention is analysed")
    attention_nulls: list[typing.Literal["shuffled_targets", "permuted_rows"]] = Field(
        ["shuffled_targets"], description="networks with nothing to find, to compare attention with"
    )
    seasonal_lags: list[int] | None = Field(None, description="rows back to watch; null finds them")
    regimes: list[str] = Field([], description="columns: windows where one is not 0 are compared")


class Settings(Section):
    """Everything `tfts run` needs to know."""

    data: Data
    window: Window
    forecast: Forecast = Forecast()
    split: Split = Split()
    training: TrainingSettings = TrainingSettings()
    baselines: dict[str, dict[str, typing.Any]] = {}
    models: dict[str, dict[str, typing.Any]] = {}
    report: Report = Report()
    seed: Seed = 0


class Tune(Section):
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


class TuneSettings(Section):
    """Everything `tfts tune` needs to know."""

    data: Data
    window: Window
    forecast: Forecast = Forecast()
    split: Split = Split()
    training: TrainingSettings = TrainingSettings()
    tune: Tune
    seed: Seed = 0


class Detector(Section):
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
    output: str = Field("auto", description="what a network gives, as of a forecaster")


class DetectionSettings(Section):
    """Everything `tfts detect` needs to know."""

    data: Data
    detector: Detector = Detector()
    training: TrainingSettings = TrainingSettings()
    learn: float | Time = Field(
        0.5, description="share of the rows to learn from, or the first time to judge"
    )
    exclude: list[tuple[Time, Time]] = Field([], description="first and last time of rows known to be wrong")
    seed: Seed = 0


class Table(Section):
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
            raise SettingError("`path` is missing. Give it in the file, or with --set data.path=FILE")
        if self.source == "file" and self.targets is None:
            raise SettingError("`targets` is missing: the columns to explain")
        if self.source == "sklearn" and self.name is None:
            raise SettingError("`name` is missing: the name of the data set")
        return self


class RowSplit(Section):
    """Which rows are only scored."""

    test: float = Field(0.25, gt=0, lt=1, description="share of the rows")
    shuffle: bool = Field(True, description="whether they are drawn; the last ones otherwise")


class RegressSettings(Section):
    """Everything `tfts regress` needs to know."""

    task: typing.Literal["linear", "logistic", "softmax"]
    data: Table
    split: RowSplit = RowSplit()
    options: dict[str, typing.Any] = Field({}, description="options of the estimator")
    metrics: list[str] | None = Field(None, min_length=1)
    seed: Seed = 0
