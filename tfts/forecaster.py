"""One model from a table to forecasts in original units, and to a folder and back."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfts._files import check_version, read_arrays, replacing_folder, write_json, written_by
from tfts._messages import unknown
from tfts.baselines.seasonal_naive import season_length_of
from tfts.calibration.held_out import HeldOut, check_enough
from tfts.calibration.kinds import Calibration, calibration_for, no_quantiles
from tfts.calibration.measuring import calibration_on, measured_calibration
from tfts.calibration.splits import held_out_half
from tfts.data.calendar import add_calendar
from tfts.data.fitted_table import FittedTable
from tfts.data.forecasts import (
    actual_values,
    forecast_paths,
    forecast_table,
    last_origins,
    last_rows,
    quantile_column,
)
from tfts.data.frames import as_pandas, with_one_id
from tfts.data.panel import Panel
from tfts.data.scaling import Scaler
from tfts.data.split import chronological_split, together
from tfts.data.times import alias_of
from tfts.data.windows import WindowSpec
from tfts.errors import DataError, MissingFileError, NotFittedError, SettingError
from tfts.metrics import ErrorSums
from tfts.outputs import Output, build_output, output_config
from tfts.outputs.output import checked_levels
from tfts.outputs.predictive import Predictive
from tfts.predictors import TrainingRows, load_predictor, predictor_for
from tfts.predictors.stand_ins import check_fallback, learnable, with_stand_ins
from tfts.task import Task
from tfts.training import TrainingOptions, kept_random_state, takes_training_options

if TYPE_CHECKING:
    import datetime

    from matplotlib.axes import Axes
    from typing_extensions import Self


class Forecaster:
    """A model with its scaler, its columns and its time step.

    `fit` learns from a table, `predict` continues a table, `evaluate` scores against what
    happened. Tables are in original units on both sides.

    Args:
        model: A name of `MODELS` or `BASELINES`; a builder with the arguments of those in
            `MODELS`; or a compiled Keras model that takes what `WindowSpec.dataset` gives.
        context_length: Rows the model sees.
        horizon: Rows it forecasts.
        targets: Columns to forecast. `None` takes all that are not known ahead.
        known_future: Columns known ahead of time.
        calendar: Calendar features to add as known columns, see `add_calendar`:
            `"hour"`, `"weekday"`, `"month"`, `"day_of_year"`, or periods such as `"24h"`.
        time: Name of the time column. `None` takes the index.
        series: Name of the column that tells the series apart, if there are many, or a list of
            names, where several columns do so together.
        freq: Time step as a pandas offset alias, or in the other forms of `Panel.from_frame`. `None`
            finds it in `fit`.
        missing: What to do about missing values, see `Panel.from_frame`. With `"mask"` networks are told
            which values are there (but `linear`, `nlinear`, `dlinear` and `rlinear`, which see what is put
            in place of the others), and a forecast is possible when the newest rows are missing.
        limit: Longest gap in rows that `missing="interpolate"` fills.
        duplicates: What to do about rows with one time, see `Panel.from_frame`.
        scaler: A name of `SCALERS`, see `Scaler`.
        per_series: Whether each series has a scale of its own. A series that training has not seen
            is scaled by its first `context_length` rows, with a warning.
        static: Columns with one value for each series, its attributes: numbers, which are scaled by
            those of the training series, or labels.
        categories: Columns and attributes of labels, see `Panel.from_frame`; `None` finds them. Networks
            learn a vector for each label (`tfts.layers.CategoryEmbedding`), a `ridge` or
            `linear_regression` a weight; a label that training has not seen is one they were trained
            for. Other methods do not use them, and say so.
        series_embedding: Whether the series themselves are labels, so that a network learns what is
            its own of each. Baselines do not use it.
        stride: Rows from one training window to the next.
        model_options: Dict of further options of the builder or baseline.
        output: What a network gives for each target and step: `"point"`; `"quantiles"` (of the levels
            in `quantiles`, by default 0.1 to 0.9); `"normal"` or `"student_t"`; or
            `"negative_binomial"` for counts. Also an `Output` of `tfts.outputs`.
        quantiles: Levels of the quantiles that `predict` gives, ascending, between 0 and 1.
            `None` gives those of `output="quantiles"`, of any other output none.
        calibration: Where quantiles come from. `"none"`: from the output itself. `"conformal"`: from
            the errors of held-out rows, so that an interval holds its share of rows like those, on
            top of any output. `"adaptive"`: as `"conformal"`, and at each origin from the errors
            that became known since, so that coverage comes back after a change. `"auto"` is
            `"conformal"` for points, else `"none"`. Held out is the later half of the
            validation rows, which then choose nothing; where a half is too short, all of them. A
            baseline is fitted once more without the last two fifths of the rows, whose
            errors are taken (of a short table the last horizon, or the validation rows).
        on_problem: What to do about a series that can't be learnt from or forecast, where there are
            others: it is too short, new, constant or without any value, or has a gap at its end.
            `"fallback"` leaves it out of the fit, and `predict` gives it the forecast of a method
            that needs no more than it has; a warning counts them. `"raise"` refuses the table.
        fallback: That method: `"seasonal_naive"`, which without a season repeats the last value,
            `"persistence"`, or `"group_mean"`, the mean forecast of the series with the same
            labels (`static`), which a series without any value has in any case.

    Attributes:
        model: After `fit`, the Keras model or the baseline.
        scaler_: The fitted `Scaler`.
        history_: Dict from `"loss"`, `"val_loss"` to a list with a value for each epoch;
            empty for a baseline.
        fit_seconds_: Seconds that training took.
        training_: Dict of the `start`, `end`, `rows` and `timezone` of the training rows;
            `None` of a forecaster that an older version saved.

    Raises:
        ValueError: If a name is unknown or a value out of range.

    Example:

    >>> import numpy as np, pandas as pd
    >>> hours = pd.date_range("2024-01-01", periods=240, freq="h")
    >>> frame = pd.DataFrame({"load": 10 + np.sin(np.arange(240) * 2 * np.pi / 24)}, index=hours)
    >>> forecaster = Forecaster("seasonal_naive", context_length=24, horizon=3)
    >>> forecaster.fit(frame).predict(frame)[["time", "load"]].round({"load": 2})
                     time   load
    0 2024-01-11 00:00:00  10.00
    1 2024-01-11 01:00:00  10.26
    2 2024-01-11 02:00:00  10.50
    """

    scaler_: Scaler
    fit_seconds_: float
    training_: dict[str, Any] | None

    def __init__(
        self,
        model: str | Callable[..., Any] = "lstm_attention",
        *,
        context_length: int,
        horizon: int,
        targets: str | Sequence[str] | None = None,
        known_future: str | Sequence[str] = (),
        calendar: str | Sequence[str] = (),
        time: str | None = None,
        series: str | Sequence[str] | None = None,
        freq: str | int | pd.offsets.BaseOffset | None = None,
        missing: Literal["raise", "interpolate", "drop", "mask"] = "raise",
        limit: int | None = 10,
        duplicates: Literal["raise", "first", "last", "mean"] = "raise",
        scaler: str = "standard",
        per_series: bool = False,
        static: str | Sequence[str] = (),
        categories: str | Sequence[str] | None = None,
        series_embedding: bool = False,
        stride: int = 1,
        model_options: Mapping[str, Any] | None = None,
        output: str | Output | Mapping[str, Any] = "point",
        quantiles: Sequence[float] | None = None,
        calibration: Literal["auto", "none", "conformal", "adaptive"] = "auto",
        on_problem: Literal["fallback", "raise"] = "fallback",
        fallback: Literal["seasonal_naive", "persistence", "group_mean"] = "seasonal_naive",
    ) -> None:
        self._settings = {
            "model": model,
            "context_length": context_length,
            "horizon": horizon,
            "targets": None if targets is None else _listed(targets),
            "known_future": _listed(known_future),
            "calendar": _listed(calendar),
            "time": time,
            "series": series,
            "freq": freq if freq is None or isinstance(freq, str | int) else alias_of(freq),
            "missing": missing,
            "limit": limit,
            "duplicates": duplicates,
            "scaler": scaler,
            "per_series": per_series,
            "static": _listed(static),
            "categories": None if categories is None else _listed(categories),
            "series_embedding": series_embedding,
            "stride": stride,
            "model_options": copy.deepcopy(dict(model_options or {})),
            "output": output_config(_output_of(output, quantiles)),
            "quantiles": None if quantiles is None else list(checked_levels(quantiles)),
            "calibration": calibration,
            "on_problem": on_problem,
            "fallback": fallback,
        }
        check_fallback(on_problem, fallback)
        self.output = build_output(self._settings["output"])
        self._calibration_kind = calibration_for(calibration, self.output, quantiles)
        if series_embedding and series is None:
            raise SettingError(
                "series_embedding=True learns what is its own of each series. Expected `series`, the column of their "
                "names. Received: series=None."
            )
        if self._calibration_kind == "none":
            self.output.check_levels(self._settings["quantiles"] or ())
        WindowSpec(context_length, horizon, stride=stride)
        self.spec = WindowSpec(context_length, horizon)
        Scaler(scaler, per_series)
        self.predictor = predictor_for(model, self._settings["model_options"])
        self.predictor.check_output(self.output)
        if not isinstance(model, str):
            # The settings hold what fits are made from, never a network that may have learnt.
            self._settings["model"] = self.predictor.clone()
        self.name = self.predictor.name

    @property
    def is_fitted(self) -> bool:
        """Whether the forecaster can predict."""
        return self.predictor.is_fitted

    @property
    def num_parameters(self) -> int:
        """Numbers learnt in `fit`."""
        self._check_fitted()
        return self.predictor.num_parameters

    @property
    def model(self) -> Any:
        """The fitted Keras model or baseline; `None` before `fit`."""
        return self.predictor.model

    @property
    def training_(self) -> dict[str, Any]:
        """Dict of the `start`, `end`, `rows` and `timezone` of the rows that were learnt from."""
        self._check_fitted()
        return self._learnt.span

    @property
    def history_(self) -> dict[str, list[float]]:
        """Dict from `"loss"`, `"val_loss"` to a list with a value for each epoch; empty for a baseline."""
        return self.predictor.history

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments it was made with, a dict."""
        return {k: copy.deepcopy(v) if isinstance(v, list | dict) else v for k, v in self._settings.items()}

    @property
    def freq(self) -> str:
        """Time step of the fitted rows, a pandas offset alias."""
        self._check_fitted()
        return self._learnt.freq

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the columns that are forecast, a tuple."""
        self._check_fitted()
        return self._learnt.targets

    @property
    def known_future(self) -> tuple[str, ...]:
        """Names of the columns known ahead, calendar columns too, a tuple."""
        self._check_fitted()
        return self._learnt.known_future

    @property
    def task(self) -> Task:
        """What the fitted model is for: window, columns and output."""
        self._check_fitted()
        learnt = self._learnt
        return Task(
            self.spec.context_length,
            self.spec.horizon,
            targets=learnt.targets,
            past=[c for c in learnt.columns if c not in (*learnt.targets, *learnt.known_future)],
            known_future=learnt.known_future,
            static=learnt.static,
            categories={name: len(labels) for name, labels in learnt.labels.items()},
            masked=learnt.masked,
            output=self.output,
        )

    @property
    def quantiles(self) -> tuple[float, ...]:
        """Levels of the quantiles that `predict` gives, a tuple; empty of a forecaster without."""
        levels = self._settings["quantiles"]
        if levels is None:
            levels = getattr(self.output, "levels", ())
        return tuple(levels)

    @property
    def calibration(self) -> str:
        """Where the quantiles come from: a name of `tfts.calibration.CALIBRATIONS`."""
        return self._calibration_kind

    @property
    def held_out_(self) -> HeldOut | None:
        """Errors on held-out rows, of which calibrated quantiles are made; `None` where none were held out."""
        self._check_fitted()
        return self._calibration.held_out

    @property
    def has_attention(self) -> bool:
        """Whether the fitted model gives attention scores."""
        self._check_fitted()
        return self.predictor.has_attention

    def clone(self) -> Self:
        """An unfitted forecaster with the same settings, which shares nothing that is learnt."""
        return type(self)(**self.settings)

    def panel(self, frame: pd.DataFrame, allow_constant: bool = False) -> Panel:
        """The table as this forecaster sees it: checked, regular, with its calendar columns.

        Args:
            frame: DataFrame in original units.
            allow_constant: Whether a target may be constant, as in `Panel.from_frame`.

        Returns:
            A `Panel`, in original units.
        """
        settings = self._settings
        learnt = self._learnt if self.is_fitted else None
        frame, series = with_one_id(as_pandas(frame), settings["series"])
        if learnt is not None:
            keys = [k for k in (settings["time"], series) if k is not None]
            frame = learnt.chosen(frame, keys)
        panel = Panel.from_frame(
            frame,
            time=settings["time"],
            series=series,
            freq=settings["freq"],
            clock=None if learnt is None else learnt.clock,
            targets=settings["targets"] if learnt is None else learnt.targets,
            known_future=settings["known_future"],
            missing=settings["missing"],
            limit=settings["limit"],
            duplicates=settings["duplicates"],
            allow_constant=allow_constant,
            static=[*settings["static"], *([series] if settings["series_embedding"] else [])],
            categories=settings["categories"],
            labels=None if learnt is None else learnt.labels,
        )
        if settings["calendar"]:
            if not settings["known_future"]:
                # The calendar alone is known for ever: no need to ask the user for rows.
                panel = panel.extend(settings["horizon"])
            panel = add_calendar(panel, settings["calendar"])
        return panel

    @takes_training_options
    def fit(
        self,
        data: pd.DataFrame | Panel,
        *,
        validation: float | str | datetime.date | pd.Timestamp | Panel = 0.15,
        **training: Any,
    ) -> Self:
        """Learns scaler and model from a table.

        A baseline uses `validation` alone of these options: a `ridge` chooses its settings on
        those rows, and all others, which choose nothing, learn from them too. A compiled
        Keras model brings its own optimizer and loss; every fit begins with new weights and
        leaves the model that was given as it is.

        Args:
            data: DataFrame in original units, or a `Panel`.
            validation: Share or first time of the last rows, on which the best weights are
                chosen; 0 for none; or a `Panel` of validation rows beside a `Panel`.
            **training: Attributes of `tfts.training.TrainingOptions`: epochs, batch_size,
                learning_rate, loss, seed and more.

        Returns:
            The forecaster.

        Raises:
            ValueError: If the table or an option can't be used, or training diverged.
        """
        options = TrainingOptions.of(**training)
        rows, learnt, held = self._rows(data, validation)
        predictor = self.predictor.clone()
        named = {key: value for key, value in self._settings.items() if key != "model"}
        seconds = predictor.fit(rows, options, named)
        calibration = measured_calibration(self, predictor, rows, held, options)
        # Not before all went well: a fit that fails leaves what was learnt before.
        self._learnt, self.scaler_, self.predictor = learnt, rows.scaler, predictor
        self._calibration, self.fit_seconds_ = calibration, seconds
        return self

    def as_network(self) -> Forecaster:
        """The same forecasts from a Keras model, which can be exported and trained further.

        Returns:
            A fitted forecaster: of a network like itself, of a `ridge` one whose model is `linear`.

        Raises:
            ValueError: If the model is another baseline, or the ridge has a centre of 0.
        """
        self._check_fitted()
        network = self.predictor.as_network(self.task)
        if network is self.predictor:
            return self
        changes = {"model": network.name, "model_options": network.model_options}
        return self._with(network, **changes)

    def calibrated(self, held_out: pd.DataFrame | Panel, quantiles: Sequence[float]) -> Forecaster:
        """The same forecasts, with quantiles from their errors on rows that you held out yourself.

        Args:
            held_out: DataFrame in original units, or a `Panel`, of rows that nothing was learnt
                from; beside them only the context of the first.
            quantiles: Levels, ascending.

        Returns:
            A fitted forecaster with `calibration="conformal"`.

        Raises:
            ValueError: If there are too few rows for a level.

        Example:

        >>> import numpy as np, pandas as pd
        >>> frame = pd.DataFrame({"y": np.arange(60.0) % 7}, index=pd.date_range("2024-01-01", periods=60))
        >>> plain = Forecaster("persistence", context_length=1, horizon=1).fit(frame[:30])
        >>> plain.calibrated(frame[29:], [0.1, 0.9]).predict(frame).iloc[0, 3:].tolist()
        [3.0, -1.1..., 3.75...]
        """
        self._check_fitted()
        made = self._with(self.predictor, quantiles=checked_levels(quantiles), calibration="conformal")
        panel = made._own(held_out)
        sizes = self._learnt.scales_of(panel.series)
        made._calibration = calibration_on(panel, made, self.predictor, self.scaler_, sizes, panel)
        return made

    def with_errors_of(self, other: Forecaster) -> Forecaster:
        """The same forecasts, with the quantiles and the held-out errors of another forecaster.

        For one that was fitted again on all rows, so that none are left to measure errors on: those of
        one like it that had not seen the last rows stand in, as they do for a baseline.

        Args:
            other: A fitted `Forecaster` of the same targets and horizon.

        Returns:
            A fitted forecaster with the `quantiles` and the `calibration` of the other.

        Raises:
            ValueError: If the other forecasts other rows or targets.

        Example:

        >>> import numpy as np, pandas as pd
        >>> frame = pd.DataFrame({"y": np.arange(60.0) % 7}, index=pd.date_range("2024-01-01", periods=60))
        >>> early = Forecaster("drift", context_length=3, horizon=1, quantiles=[0.1, 0.9]).fit(frame[:45])
        >>> late = Forecaster("drift", context_length=3, horizon=1).fit(frame, validation=0)
        >>> late.with_errors_of(early).predict(frame).columns[3:].tolist()
        ['y', 'y_q0.1', 'y_q0.9']
        """
        if (self.targets, self.spec.horizon) != (other.targets, other.spec.horizon):
            raise SettingError(
                "Errors stand in for those of the same targets and horizon. Received: "
                f"targets={list(other.targets)}, horizon={other.spec.horizon} for targets={list(self.targets)}, "
                f"horizon={self.spec.horizon}."
            )
        asked = {name: other.settings[name] for name in ("quantiles", "calibration")}
        made = self._with(self.predictor, **asked)
        made._calibration = other._calibration
        return made

    def _with(self, predictor, **changes):
        """A fitted forecaster with the same columns and scales, but another predictor and settings."""
        made = type(self)(**{**self._settings, **changes})
        learnt = ("_learnt", "scaler_", "_calibration", "fit_seconds_")
        vars(made).update({name: getattr(self, name) for name in learnt}, predictor=predictor)
        return made

    def on_logarithms(self) -> Forecaster:
        """The same forecaster for tables in which the targets hold their logarithms already.

        Returns:
            A forecaster, fitted where this one is; itself, where its scaler takes no logarithms.

        Example:

        >>> import numpy as np, pandas as pd
        >>> days = pd.date_range("2024-01-01", periods=30)
        >>> frame = pd.DataFrame({"y": 1.1 ** np.arange(30)}, index=days)
        >>> forecaster = Forecaster("drift", context_length=5, horizon=1, scaler="log").fit(frame)
        >>> plain = forecaster.on_logarithms()
        >>> np.allclose(np.exp(plain.predict(np.log(frame))["y"]), forecaster.predict(frame)["y"])
        True
        """
        if self._settings["scaler"] != "log":
            return self
        if not self.is_fitted:
            return type(self)(**{**self._settings, "scaler": "standard"})
        made = self._with(self.predictor, scaler="standard")
        made.scaler_ = self.scaler_.on_logarithms()
        return made

    def compiled(
        self,
        data: pd.DataFrame | Panel,
        *,
        validation: float | str | datetime.date | pd.Timestamp | Panel = 0.15,
        **options: Any,
    ) -> tuple[Any, Any, Any]:
        """The network that `fit` would train, and its windows, for a loop of your own.

        Args:
            data: As in `fit`.
            validation: As in `fit`.
            **options: Options of `fit`.

        Returns:
            Tuple `(model, windows, validation_windows)`: a compiled `keras.Model`, which
            computes as `precision` says, and two `tf.data.Dataset` of scaled windows, the
            last `None` without validation. With `metrics`, where series have scales of their
            own or values were filled, the units of a batch come third in it.

        Raises:
            ValueError: If the table or an option can't be used.
        """
        self.predictor.require_network("has no network to compile")
        rows = self._rows(data, validation)[0]
        with kept_random_state():
            made = self.predictor.clone().prepared(rows, TrainingOptions.of(**options))
            model, windows, checked = made[0]
            return model, windows(), checked

    def predict(
        self,
        data: pd.DataFrame | Panel,
        origins: Literal["last", "all"] = "last",
        *,
        quantiles: Sequence[float] | None = None,
        samples: int | None = None,
        seed: int = 0,
    ) -> pd.DataFrame:
        """Forecasts in original units.

        Args:
            data: DataFrame with the columns of `fit`, or a `Panel`. Columns of
                `known_future` must also hold values in `horizon` rows past the origin:
                append rows in which the other columns are empty.
            origins: `"last"` forecasts once for each series, after its last row: the real
                future. `"all"` forecasts from every row that has a whole context.
            quantiles: Levels in place of the forecaster's own; an empty list for none.
            samples: Int >= 1: paths in place of the forecast and its quantiles, so many of each
                window; without `quantiles`. The steps, the targets and (from 20 held-out origins on) the series of
                one path belong together, so that sums of them have the right spread.
            seed: Int >= 0, of the paths.

        Returns:
            DataFrame with the columns `series`, `origin` (time of the last row seen),
            `time` (of the row forecast), where there are several series and `on_problem` is
            `"fallback"` `model` (the name of the model, or of what stands in for it, which
            has no quantiles and no paths), and for each target one of its name, the median of
            `output="quantiles"`, else the mean, followed by one for each level, as
            `sales_q0.1`. The target's column stays the model's own forecast where quantiles come from
            held-out errors: `sales_q0.5` then lies beside it by their median. With `samples` there is a
            column `sample` (from 1) after `time`, and those of the targets.

        Raises:
            ValueError: If no forecast can be made; the message says what is missing.
        """
        self._check_fitted()
        levels = self._levels(quantiles)
        if samples is not None:
            _check_int("samples", samples, 1)
            _check_int("seed", seed, 0)
            if quantiles is not None and levels:
                raise SettingError(
                    "`samples` gives paths and `quantiles` quantiles, each a table of its own. Expected one of them. "
                    f"Received: samples={samples}, quantiles={quantiles!r}."
                )
        if origins not in ("last", "all"):
            raise SettingError(unknown("origins", origins, ("last", "all")))
        panel = self._own(data)
        rows, without = (
            self._last_rows(panel) if origins == "last" else (self.spec.forecast_origins(panel), ())
        )
        forecasts = self.predictives(panel, rows)
        if samples is not None:
            if len(without):
                warnings.warn(
                    f"{len(without)} of {len(panel.series)} series could not be forecast by {self.name} (first: "
                    f"{panel.series[without[0]]!r}), so they have no paths.",
                    stacklevel=2,
                )
            paths = self._calibration.paths(self, forecasts, samples, panel, rows, seed)
            return forecast_paths(panel, rows, paths)
        found = self._calibration.quantiles(self, forecasts, panel, rows, levels) if levels else None
        table = forecast_table(panel, rows, forecasts.mean(), found, levels)
        if not self.stands_in:
            return table
        table.insert(3, "model", self.name)
        if not len(without):
            return table
        return with_stand_ins(
            table, panel, self.spec, without, self._settings["fallback"], forecasts.mean(), self.name
        )

    @property
    def stands_in(self) -> bool:
        """Whether a series that can't be forecast is left to a simpler method."""
        return self._settings["on_problem"] == "fallback" and bool(self._settings["series"])

    def _last_rows(self, panel):
        """The newest origins of the series that can be forecast, and the places of the others."""
        if not self.stands_in:
            return last_origins(panel, self.spec, self._settings["known_future"]), ()
        ends, whole = last_rows(panel, self.spec, self._settings["known_future"])
        known = whole & self.predictor.knows(panel)
        # Where it knows none, it says so itself.
        whole = known if known.any() else whole
        return ends[whole], np.flatnonzero(~whole)

    def plot(
        self,
        data: pd.DataFrame | Panel,
        *,
        target: str | None = None,
        series: Hashable | None = None,
        history: int | None = None,
        units: str | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """Draws the last rows of a table, the forecast of those that follow, and its intervals.

        Args:
            data: As in `predict`.
            target: Which target; `None` is the first.
            series: Which series; `None` is the first.
            history: Rows before the forecast; `None` is four horizons, and at least the context.
            units: Str for the vertical axis.
            ax: Axes to draw on. By default a new one.

        Returns:
            The axes, as from `tfts.plots.plot_forecast`.

        Raises:
            ValueError: If the target or the series is not there, or no forecast can be made.
        """
        from tfts.plots import plot_forecast

        self._check_fitted()
        panel = self._own(data)
        if history is not None:
            _check_int("history", history, 1)
        target = self.targets[0] if target is None else target
        if target not in self.targets:
            raise SettingError(unknown("target", target, self.targets))
        series = panel.series[0] if series is None else series
        if series not in panel.series:
            raise SettingError(unknown("series", series, panel.series))
        place = panel.series.index(series)
        one = panel.of_series([place])
        table, span = self.predict(one).set_index("time"), one.spans[0]
        rows = max(4 * self.spec.horizon, self.spec.context_length) if history is None else history
        seen = slice(max(span.start, span.observed_end - rows), span.observed_end)
        values = panel.values[seen, panel.indices([target])[0]]
        past = pd.Series(values, index=panel.shown(panel.times[seen]), name=target)
        names = {level: quantile_column(target, level) for level in self.quantiles}
        fans = table[list(names.values())].set_axis(list(names), axis=1)
        return plot_forecast(
            past, {self.name: table[target]}, quantiles={self.name: fans}, units=units, ax=ax
        )

    def evaluate(
        self,
        data: pd.DataFrame | Panel,
        metrics: Sequence[str] | None = None,
        by: Literal["target", "step", "overall", "target_step"] = "target",
    ) -> pd.DataFrame:
        """Scores forecasts from every origin whose future the table holds.

        Rows that the user's table lacked are not scored, also where they were filled.

        Args:
            data: DataFrame with the columns of `fit`, or a `Panel`, e.g. the test part of
                `chronological_split`. Every row with a whole context before it is
                forecast, so a DataFrame should hold no training rows but the context.
            metrics: Names of `METRICS`; `None` takes all, those of quantiles where the forecaster has
                `quantiles`.
            by: `"target"` (a row for each target), `"step"` (for each horizon step),
                `"target_step"` (for each pair) or `"overall"` (all targets pooled).

        Returns:
            DataFrame with the columns `model`, `target` or `step`, `count` and the
            metrics, in original units.
        """
        self._check_fitted()
        panel = self._own(data)
        table = self.error_sums(panel).score(metrics, by)
        table.insert(0, "model", self.name)
        return table

    def error_sums(self, panel: Panel, rows: npt.ArrayLike | None = None) -> ErrorSums:
        """The errors of all origins whose future a panel holds.

        Args:
            panel: A `Panel` in original units.
            rows: Int `(windows,)`: the origins, ascending. `None` takes all.

        Returns:
            `tfts.metrics.ErrorSums`, which gives scores, `reliability` and `pit`.
        """
        self._check_fitted()
        rows = self._known_origins(panel) if rows is None else np.asarray(rows)
        sums = ErrorSums(self.spec.horizon, self._learnt.targets, levels=self.quantiles or None)
        # What an adaptive calibration knows at an origin comes from those before it.
        whole = [(rows, self.predictives(panel, rows))] if self._calibration.kind == "adaptive" else None
        for at, forecasts in whole or self._forecast(panel, rows):
            found = None
            if self.quantiles:
                found = self._calibration.quantiles(self, forecasts, panel, at, self.quantiles)
            self.add_errors(sums, panel, at, forecasts.mean(), found)
        return sums

    def _known_origins(self, panel):
        """The origins whose future a panel holds, of the series that can be forecast."""
        rows = self.spec.origins(panel)
        known = self.predictor.knows(panel)
        if known.all() or not known.any() or not self.stands_in:
            return rows
        return rows[known[panel.series_of(rows)]]

    def add_errors(self, sums, panel, rows, forecasts, quantiles=None):
        """Adds forecasts of the given origins to an `ErrorSums`, each with its series' scale."""
        scale = self._learnt.scales_of(panel.series)
        sums.update(self.actual(panel, rows), forecasts, scale[panel.series_of(rows)], quantiles)

    def actual(self, panel: Panel, rows: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """What happened after the given origins, original units, NaN where not observed.

        Args:
            panel: A `Panel` in original units.
            rows: Int `(windows,)`: origins.

        Returns:
            Float64 `(windows, horizon, targets)`. Rows past the table's end are NaN.
        """
        return actual_values(panel, rows, self.spec)

    def forecast_windows(self, panel: Panel, rows: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Forecasts from the given origins as one array, original units.

        Args:
            panel: A `Panel` in original units, as `panel` makes it.
            rows: Int `(windows,)`: origins, as from `WindowSpec.origins`.

        Returns:
            Float64 `(windows, horizon, targets)`.
        """
        return self.predictives(panel, rows).mean()

    def predictives(self, panel: Panel, rows: npt.ArrayLike) -> Predictive:
        """Forecasts from the given origins as their output describes them, not calibrated.

        Args:
            panel: As of `forecast_windows`.
            rows: As of `forecast_windows`.

        Returns:
            `tfts.outputs.predictive.Predictive`.
        """
        self._check_fitted()
        if not np.size(rows):
            raise DataError("`rows` must hold at least one origin to forecast from. Received: none.")
        return Predictive.joined(part for _, part in self._forecast(panel, rows))

    def quantile_windows(
        self, panel: Panel, rows: npt.ArrayLike, quantiles: Sequence[float] | None = None
    ) -> npt.NDArray[np.float64]:
        """Calibrated quantiles from the given origins as one array, original units.

        Args:
            panel: As of `forecast_windows`.
            rows: As of `forecast_windows`.
            quantiles: Levels in place of the forecaster's own.

        Returns:
            Float64 `(windows, horizon, targets, levels)`.

        Raises:
            ValueError: If the forecaster has no quantiles, or too few held-out rows for a level.
        """
        levels = self.quantiles if quantiles is None else checked_levels(quantiles)
        rows = np.asarray(rows)
        if not levels:
            raise SettingError(no_quantiles("quantiles=None"))
        return self._calibration.quantiles(self, self.predictives(panel, rows), panel, rows, levels)

    def inputs(self, panel, rows):
        """What the network sees from the given origins, scaled.

        Args:
            panel: A `Panel` in original units.
            rows: Int `(windows,)`: origins.

        Returns:
            `past`, or with known columns a dict, as from `WindowSpec.inputs`.
        """
        self._check_fitted()
        return self.spec.inputs(self._scaler(panel).transform(panel), rows)

    def forecast_inputs(self, inputs, panel, rows):
        """Forecasts of a network from scaled inputs, which may have been changed.

        Args:
            inputs: As `inputs` gives them.
            panel: A `Panel` in original units, for the scale of each window.
            rows: Int `(windows,)`: the origins of the windows.

        Returns:
            Float64 `(windows, horizon, targets)` in original units.

        Raises:
            ValueError: If the model is a baseline.
        """
        self._check_network("takes no inputs from outside")
        values = self.predictor.forecast_inputs(inputs, len(rows), self.spec, len(self._learnt.targets))
        scaler = self._scaler(panel)
        return Predictive.restored(self.output, values, scaler, panel, rows, self._learnt.targets).mean()

    def attention(self, panel: Panel, rows: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Attention scores of the given origins, `(windows, heads, horizon or query, context)`.

        Of a model that attends over columns they are `(windows, heads, targets, columns)`.

        Raises:
            ValueError: If the model has no attention.
        """
        from tfts.models.attention_scores import WITH_ATTENTION, attention_scores

        self._check_network(f"has no attention. Models with attention: {', '.join(WITH_ATTENTION)}")
        return attention_scores(self.model, self.inputs(panel, rows))

    def save(self, folder: str | Path) -> None:
        """Writes everything that `load` needs: JSON, and `.keras` or NumPy arrays.

        The folder appears complete or not at all; an older one is replaced.

        Args:
            folder: Path of the folder.
        """
        self._check_fitted()
        settings = dict(self._settings)
        if not isinstance(settings["model"], str):
            settings["model"] = None
        with replacing_folder(folder) as partial:
            described = {
                **written_by(),
                "name": self.name,
                "task": self.task.get_config(),
                "settings": settings,
                "table": self._learnt.get_state(),
                "scaler": self.scaler_.get_state(),
                "history": self.history_,
                "predictor": self.predictor.save(partial),
                "fit_seconds": self.fit_seconds_,
            }
            held_out = self.held_out_
            if held_out is not None:
                arrays, described["held_out"] = held_out.get_state()
                np.savez(partial / "held_out.npz", **arrays)
            write_json(described, partial / "forecaster.json")

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The forecaster that `save` wrote; its predictions are identical.

        Args:
            folder: Path of the folder.

        Returns:
            A fitted `Forecaster`. One that was made from a builder or a Keras model of
            the user's holds that network, and fits others like it with new weights.

        Raises:
            FileNotFoundError: If the folder holds no forecaster.
            ValueError: If another version wrote it in another form.
        """
        folder = Path(folder)
        path = folder / "forecaster.json"
        if not path.is_file():
            raise MissingFileError(
                f"{folder} holds no forecaster: {path.name} is not there. Expected a folder that "
                "Forecaster.save wrote."
            )
        described = json.loads(path.read_text())
        check_version(described, path)
        settings = described["settings"]
        predictor = load_predictor(
            folder, described["predictor"], settings["model"], settings["model_options"]
        )
        if settings["model"] is None:
            settings["model"] = predictor
        forecaster = cls(**settings)
        forecaster.name, forecaster.predictor = described["name"], predictor
        forecaster._learnt = FittedTable.from_state(described["table"])
        forecaster.scaler_ = Scaler.from_state(described["scaler"])
        held_out = None
        if "held_out" in described:
            held_out = HeldOut.from_state(read_arrays(folder / "held_out.npz"), described["held_out"])
        forecaster._calibration = Calibration(forecaster._calibration_kind, held_out)
        predictor.history = described["history"]
        forecaster.fit_seconds_ = described["fit_seconds"]
        return forecaster

    def _levels(self, quantiles):
        """The levels that are asked for: the forecaster's own for `None`, none for an empty list."""
        if quantiles is None:
            return self.quantiles
        return checked_levels(quantiles) if np.size(quantiles) else ()

    def _check_fitted(self):
        if not self.is_fitted:
            raise NotFittedError(
                "The forecaster has not learnt anything yet. Call fit first, or Forecaster.load."
            )

    def _check_network(self, lack):
        self._check_fitted()
        self.predictor.require_network(lack)

    def _own(self, data):
        """A panel in original units that has the columns of `fit`."""
        panel = data if isinstance(data, Panel) else self.panel(data, allow_constant=True)
        self._learnt.check(panel)
        return panel

    def parts(
        self, data: pd.DataFrame | Panel, validation: float | str | pd.Timestamp | Panel = 0.15
    ) -> tuple[Panel, Panel | None]:
        """Training and validation rows, as `fit` splits them.

        Args:
            data: As in `fit`.
            validation: As in `fit`.

        Returns:
            Tuple of two `Panel`s in original units, the second `None` without validation.
        """
        if isinstance(validation, Panel):
            if not isinstance(data, Panel):
                raise DataError("A `validation` Panel goes with a Panel of training rows, both of one split.")
            return data, validation
        some = "some" if self.stands_in else False
        panel = data if isinstance(data, Panel) else self.panel(data, allow_constant=some)
        if not validation:
            return learnable(panel, None, self.spec) if some else (panel, None)
        split = chronological_split(
            panel, validation=validation, test=0, at_least=self.spec.horizon, allow_empty=self.stands_in
        )
        return learnable(split.train, split.validation, self.spec) if some else split[:2]

    def _rows(self, data, validation):
        """What to learn from, what the training rows say but for the model, and rows to measure errors on.

        The last is `None` where no errors are needed. For a method that is measured apart, a second
        fit, it is all rows.
        """
        train, valid = self.parts(data, validation)
        held = None
        if self._calibration_kind != "none" or self.output.has_distribution:
            if self.predictor.measured_apart:
                held = train if valid is None else together(train, valid)
            elif valid is not None:
                valid, held = (
                    held_out_half(valid, self.spec) if self._calibration_kind != "none" else (valid,) * 2
                )
            elif self._calibration_kind != "none":
                raise SettingError(
                    f"calibration={self._calibration_kind!r} takes the errors of held-out rows. Expected `validation` "
                    f"rows. Received: validation={validation!r}."
                )
            if held is not None and self._calibration_kind != "none":
                # Before a network learns for hours.
                check_enough(self.spec.count(held), self.quantiles)
        scaler = Scaler(self._settings["scaler"], self._settings["per_series"]).fit(train)
        known = self._settings["known_future"]
        later = None if self.predictor.holds_out else valid
        learnt = FittedTable.of(train, known, season_length_of(train.freq), later, scaler.labels)
        self.output.check(train, learnt.targets, scaler)
        rows = TrainingRows(train, valid, scaler, self.spec, self._settings["stride"], self.output)
        return rows, learnt, held

    def _forecast(self, panel, rows):
        """Yields origins and their `Predictive`s, part by part."""
        return self.predictor.forecasts(panel, self._scaler(panel), self.spec, rows, self.output)

    def _scaler(self, panel):
        """The scaler, with a scale for the series of the panel that training has not seen."""
        scaler, new = self.scaler_.with_unseen(panel, self.spec.context_length)
        if new:
            warnings.warn(
                f"{len(new)} series were not among the training rows (first: {new[0]!r}), so each is scaled by its "
                f"own first {self.spec.context_length} rows.",
                stacklevel=5,
            )
        return scaler

    def table(self, panel, rows, forecasts):
        """Forecasts as the rows that `predict` gives.

        Args:
            panel: A `Panel`, as from `self.panel(frame)`.
            rows: Int `(windows,)`: the origins.
            forecasts: `(windows, horizon, targets)` in original units.

        Returns:
            DataFrame with the columns series, origin, time and one for each target; one
            row for each window and horizon step.
        """
        return forecast_table(panel, rows, forecasts)


def _output_of(output, quantiles):
    """The output, whose levels are those of the quantiles that are asked for."""
    if output == "quantiles" and quantiles is not None:
        return build_output({"name": output, "levels": checked_levels(quantiles)})
    return build_output(output)


def _check_int(name, value, least):
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise SettingError(f"`{name}` must be an int >= {least}. Received: {name}={value!r}.")


def _listed(names):
    return [names] if isinstance(names, str) else list(names)
