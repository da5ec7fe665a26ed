"""The settings of a suite of `tfts benchmark`."""

import typing

import pydantic
from pydantic import Field

from tfts.config.sections import Data, Section, Seed, Split
from tfts.errors import SettingError
from tfts.training import TrainingSettings


class Protocol(Section):
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
            raise SettingError(f"`horizons` must be different ints >= 1. Received: {self.horizons}")
        if self.windows is not None and len(self.windows) != len(self.horizons):
            raise SettingError(
                f"`windows` must hold a number for each of the {len(self.horizons)} horizons. Received: {self.windows}"
            )
        relative = [name for name in self.metrics if name in ("smape", "mase")]
        if relative and self.units != "original":
            raise SettingError(f"{relative[0]} is of original units: give units: original")
        if "mase" in self.metrics and self.season_length is None:
            raise SettingError(
                "`season_length` is missing: mase divides by the error of the value a season ago"
            )
        return self


class Budget(Section):
    """Seconds after which something is stopped; null for never."""

    run_seconds: float | None = Field(None, gt=0, description="of one run, which is then given up")
    suite_seconds: float | None = Field(None, gt=0, description="after which no run is begun")


class Published(Section):
    """Scores of others, one for each horizon; null where there is none."""

    model: str
    source: str
    lookback: int | str | None = Field(None, description="rows seen")
    mse: list[float | None] | None = None
    mae: list[float | None] | None = None
    rmse: list[float | None] | None = None
    smape: list[float | None] | None = None
    mase: list[float | None] | None = None


class Peer(Section):
    """A model of another package, for `--peers`."""

    model: str = Field(description="name of a model of neuralforecast")
    options: dict[str, typing.Any] = Field({}, description="its arguments beside the horizon")
    horizons: list[int] | None = Field(None, description="for which it is run; null for all")


class BenchmarkSettings(Section):
    """Everything `tfts benchmark` needs to know."""

    data: Data
    split: Split = Split()
    protocol: Protocol
    seeds: list[Seed] = Field([0, 1, 2], min_length=1, description="with each of which a network is fitted")
    budget: Budget = Budget()
    training: TrainingSettings = TrainingSettings()
    baselines: dict[str, dict[str, typing.Any]] = Field({}, description="methods without a seed")
    models: dict[str, dict[str, typing.Any]] = Field({}, description="networks")
    peers: dict[str, Peer] = Field({}, description="models of other packages")
    published: list[Published] = Field([], description="scores to compare with")

    @pydantic.model_validator(mode="after")
    def _fits(self):
        for row in self.published:
            for name in ("mse", "mae", "rmse", "smape", "mase"):
                scores = getattr(row, name)
                if scores is not None and len(scores) != len(self.protocol.horizons):
                    raise SettingError(
                        f"`published` must hold a score of {row.model} for each of the "
                        f"{len(self.protocol.horizons)} horizons. Received: {name}: {scores}"
                    )
        labels = [*self.baselines, *self.models, *self.peers]
        twice = [label for label in labels if labels.count(label) > 1]
        if twice:
            raise SettingError(f"{twice[0]!r} stands twice among baselines, models and peers")
        return self


# What an entry of a suite says beside the options of its method.
ENTRY_DATA = ("calendar", "per_series", "scaler")
ENTRY_KEYS = ("backend", "choose", "context_length", "model", "training", *ENTRY_DATA)
# The same of a suite of tasks.
TASK_ENTRY_KEYS = ("calibration", "output", "context_length", "model", "training", *ENTRY_DATA)
BACKENDS = ("jax", "tensorflow", "torch")


class SuiteTask(Section):
    """One table of a suite of tasks, and what is forecast of it."""

    data: Data
    horizon: int = Field(ge=1, description="rows forecast")
    season_length: int = Field(ge=1, description="rows in a season, for mase")
    windows: int | None = Field(
        None, ge=1, description="scored in each series; null for a tenth of its rows, at most 20"
    )


class Context(Section):
    """Rows that are seen, a rule for all tasks: the longest of three, as far as the rows allow."""

    horizons: int = Field(2, ge=0, description="horizons")
    seasons: int = Field(7, ge=0, description="seasons, of the task or of the time step, whichever is longer")
    share: float = Field(0.125, ge=0, le=1, description="of the rows before the windows")
    most: int = Field(1000, ge=1, description="rows that this share may be")

    def rows(self, known, horizon, season_length):
        """Rows that are seen.

        Args:
            known: Int, rows before the windows, of the series that has fewest.
            horizon: Int >= 1, rows forecast.
            season_length: Int >= 1, rows in a season.

        Returns:
            Int. So many that a third of what is left beside three horizons holds them, or a season.

        Example:

        >>> Context().rows(known=7000, horizon=48, season_length=24), Context().rows(72, 12, 12)
        (875, 12)
        """
        wanted = max(
            self.horizons * horizon, self.seasons * season_length, min(self.share * known, self.most)
        )
        return max(1, int(min(wanted, max(season_length, (known - 3 * horizon) // 3))))


class TaskSuiteSettings(Section):
    """Everything `tfts benchmark` needs to know of a suite of tasks."""

    folder: str = Field(".", description="where the files of the tasks lie")
    tasks: dict[str, SuiteTask] = Field(min_length=1, description="each with its table")
    quantiles: list[float] = Field(
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], min_length=1, description="levels that are scored"
    )
    held_out: bool = Field(
        False,
        description="whether windows are scored that end where the first one begins, to choose settings by",
    )
    context: Context = Context()
    seeds: list[Seed] = Field([0], min_length=1, max_length=1, description="with which a network is fitted")
    budget: Budget = Budget()
    training: TrainingSettings = TrainingSettings()
    baselines: dict[str, dict[str, typing.Any]] = Field({}, description="methods without a seed")
    models: dict[str, dict[str, typing.Any]] = Field({}, description="networks")
    published: str | None = Field(
        None, description="CSV file in the folder with the columns dataset, method, mase and crps"
    )
    reference: str = Field("seasonal_naive", description="method by whose scores all others are divided")

    @pydantic.model_validator(mode="after")
    def _has_a_median(self):
        if 0.5 not in self.quantiles:
            raise SettingError(f"`quantiles` must hold 0.5, of which mase is. Received: {self.quantiles}")
        return self
