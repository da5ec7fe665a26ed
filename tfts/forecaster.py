"""One model from a table to forecasts in original units, and to a folder and back."""

import dataclasses
import functools
import inspect
import json
import random
import time as clock
from pathlib import Path

import numpy as np
import pandas as pd

from tfts import __version__
from tfts._files import replacing_folder, write_json
from tfts._messages import unknown
from tfts.baselines import BASELINES, Ridge, build_baseline
from tfts.baselines.seasonal_naive import season_length_of
from tfts.data.calendar import add_calendar
from tfts.data.panel import Panel
from tfts.data.scaling import Scaler
from tfts.data.split import chronological_split
from tfts.data.windows import WindowSpec
from tfts.metrics import ErrorSums, keras_metric, mase_scale
from tfts.precision import network_to_keep, network_to_train, training_policies

# Windows forecast at once, so that predictions of a long table do not fill the memory.
_CHUNK = 8192
# Windows in one batch of a forecast.
_BATCH = 256
# Training steps from which compiling with XLA costs less time than it saves.
_LONG_FIT = 300
# Training steps between which no Python runs: more save no time that could be measured.
_STEPS_TOGETHER = 8
# What `weight_decay=None` stands for with "adamw".
WEIGHT_DECAY = 1e-4


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
        series: Name of the column that tells the series apart, if there are many.
        freq: Time step as a pandas offset alias. `None` finds it in `fit`.
        missing: What to do about missing values, see `Panel.from_frame`.
        limit: Longest gap in rows that `missing="interpolate"` fills.
        duplicates: What to do about rows with one time, see `Panel.from_frame`.
        scaler: A name of `SCALERS`, see `Scaler`.
        per_series: Whether each series has a scale of its own.
        stride: Rows from one training window to the next.
        model_options: Dict of further options of the builder or baseline.

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

    def __init__(
        self,
        model="lstm_attention",
        *,
        context_length,
        horizon,
        targets=None,
        known_future=(),
        calendar=(),
        time=None,
        series=None,
        freq=None,
        missing="raise",
        limit=10,
        duplicates="raise",
        scaler="standard",
        per_series=False,
        stride=1,
        model_options=None,
    ):
        self._settings = {
            "model": model,
            "context_length": context_length,
            "horizon": horizon,
            "targets": None if targets is None else _listed(targets),
            "known_future": _listed(known_future),
            "calendar": _listed(calendar),
            "time": time,
            "series": series,
            "freq": freq,
            "missing": missing,
            "limit": limit,
            "duplicates": duplicates,
            "scaler": scaler,
            "per_series": per_series,
            "stride": stride,
            "model_options": dict(model_options or {}),
        }
        self.spec = WindowSpec(context_length, horizon)
        self._training_spec = WindowSpec(context_length, horizon, stride=stride)
        Scaler(scaler, per_series)
        if isinstance(model, str):
            _check_model_name(model)
        elif not callable(model):
            raise ValueError(
                "`model` must be a name of MODELS or BASELINES, a builder, or a compiled Keras model. "
                f"Received: {model!r}."
            )
        self.name = model if isinstance(model, str) else getattr(model, "__name__", None) or model.name
        self.model = None

    @property
    def is_fitted(self):
        """Whether the forecaster can predict."""
        return self.model is not None

    @property
    def num_parameters(self):
        """Numbers learnt in `fit`."""
        self._check_fitted()
        return self.model.count_params() if self._is_keras else self.model.num_parameters

    @property
    def settings(self):
        """The arguments it was made with, a dict."""
        return dict(self._settings)

    @property
    def freq(self):
        """Time step of the fitted rows, a pandas offset alias."""
        self._check_fitted()
        return self._freq

    @property
    def targets(self):
        """Names of the columns that are forecast, a tuple."""
        self._check_fitted()
        return self._targets

    @property
    def known_future(self):
        """Names of the columns known ahead, calendar columns too, a tuple."""
        self._check_fitted()
        return self._known_future

    @property
    def _is_keras(self):
        return hasattr(self.model, "count_params")

    @property
    def has_attention(self):
        """Whether the fitted model gives attention scores."""
        self._check_fitted()
        from tfts.models import has_attention

        return self._is_keras and has_attention(self.model)

    def clone(self):
        """An unfitted forecaster with the same settings."""
        return type(self)(**self._settings)

    def panel(self, frame, allow_constant=False):
        """The table as this forecaster sees it: checked, regular, with its calendar columns.

        Args:
            frame: DataFrame in original units.
            allow_constant: Whether a target may be constant, as in `Panel.from_frame`.

        Returns:
            A `Panel`, in original units.
        """
        settings = self._settings
        if self.is_fitted and isinstance(frame, pd.DataFrame):
            keys = [k for k in (settings["time"], settings["series"]) if k is not None]
            for column in (*keys, *self._columns):
                if column not in frame.columns:
                    raise KeyError(
                        unknown("column", column, frame.columns)
                        + f" The forecaster was fitted with {column!r}."
                    )
            frame = frame[[*keys, *self._columns]]
        panel = Panel.from_frame(
            frame,
            time=settings["time"],
            series=settings["series"],
            freq=self._freq if self.is_fitted else settings["freq"],
            targets=self._targets if self.is_fitted else settings["targets"],
            known_future=settings["known_future"],
            missing=settings["missing"],
            limit=settings["limit"],
            duplicates=settings["duplicates"],
            allow_constant=allow_constant,
        )
        if settings["calendar"]:
            if not settings["known_future"]:
                # The calendar alone is known for ever: no need to ask the user for rows.
                panel = panel.extend(settings["horizon"])
            panel = add_calendar(panel, settings["calendar"])
        return panel

    def fit(
        self,
        data,
        *,
        validation=0.15,
        epochs=20,
        batch_size=64,
        optimizer="adamw",
        learning_rate=3e-3,
        schedule="cosine",
        weight_decay=None,
        clipnorm=1.0,
        ema_momentum=0.98,
        loss="mse",
        linear_start="zeros",
        metrics=(),
        patience=10,
        jit_compile="auto",
        steps_per_execution="auto",
        precision="auto",
        seed=0,
        callbacks=(),
        folder=None,
        verbose="auto",
    ):
        """Learns scaler and model from a table.

        A baseline uses `validation` alone of these options: a `ridge` chooses its settings on
        those rows, and all others, which choose nothing, learn from them too. A compiled
        Keras model brings its own optimizer and loss.

        Args:
            data: DataFrame in original units, or a `Panel`.
            validation: Share or first time of the last rows, on which the best weights are
                chosen; 0 for none; or a `Panel` of validation rows beside a `Panel`.
            epochs: Most passes over the windows.
            batch_size: Windows in a training step.
            optimizer: `"adamw"` or `"adam"`.
            learning_rate: The first (largest) learning rate.
            schedule: `"cosine"` (down to a hundredth over `epochs`) or `"constant"`.
            weight_decay: Of `"adamw"`; `None` is 1e-4.
            clipnorm: Largest norm of all gradients together; `None` for no limit.
            ema_momentum: Share of the old in a running average of the weights over the
                training steps; the average is what is validated and kept (Polyak and
                Juditsky, 1992). `None` averages nothing.
            loss: A Keras loss, its name or its config, on scaled targets.
            linear_start: First weights of the linear map beside a network: `"zeros"`, or
                `"ridge"`, those of the `ridge` that is best on held-out rows. From there
                the network learns what the ridge misses, and a lower learning rate will do.
            metrics: Names of METRICS that `history_` shows beside the loss, for example
                `"val_rmse"`: one target in its own units, several each in units of its
                standard deviation in the training rows. mase is none of them.
            patience: Epochs without a better validation loss before training stops;
                `None` never stops early.
            jit_compile: Whether XLA compiles the training step; `"auto"` does so for fits
                long enough to pay for it; on a CPU not with dropout or an LSTM. On the JAX
                backend `"auto"` always does, on PyTorch never.
            steps_per_execution: Training steps between which no Python runs, int >= 1;
                `"auto"` is 8 on the TensorFlow backend, 1 on the others. Only callbacks for
                each batch, and Ctrl-C, notice: they wait for the last of these steps.
            precision: Of the training. In `"mixed_bfloat16"` the layers compute in bfloat16,
                but linear maps, levels, recurrent layers and the last one in float32, as
                are weights, optimizer, loss and, after the fit, the whole network.
                `"float32"` is plain; `"auto"` takes the former on a TPU, or GPUs of compute
                capability 8.0 or more, for networks of `MODELS`, unless Keras's own policy
                is another. (float16 would need its loss scaled by an optimizer around this
                one, in which the average of `ema_momentum` is not found.)
            seed: Of the first weights, the order of windows and dropout. One seed gives
                the same numbers again on a CPU.
            callbacks: Further Keras callbacks.
            folder: Where the state of the training is kept after each epoch. A fit with
                the same settings and folder goes on where an earlier one was stopped. The
                state is removed when the fit is complete.
            verbose: As in `keras.Model.fit`.

        Returns:
            The forecaster.

        Raises:
            ValueError: If the table or an option can't be used, or training diverged.
        """
        options = {k: v for k, v in locals().items() if k not in ("self", "data", "validation")}
        train, valid = self._learn(data, validation)
        began = clock.monotonic()
        model = self._settings["model"]
        if isinstance(model, str) and model in BASELINES:
            _check_defaults(options, f"The baseline {model!r}", ("verbose",))
            baseline = build_baseline(model, **self._settings["model_options"])
            scaled, checked = self._scaled(train, valid)
            self.model = baseline.fit(scaled, self._training_spec, checked)
            self.fit_seconds_ = clock.monotonic() - began
            return self
        self.model, self.fit_seconds_ = self._fit_network(train, valid, options)
        return self

    def as_network(self):
        """The same forecasts from a Keras model, which can be exported and trained further.

        Returns:
            A fitted forecaster: itself, or for a `ridge` one whose model is `linear`.

        Raises:
            ValueError: If the model is another baseline, or the ridge has a centre of 0.
        """
        self._check_fitted()
        if self._is_keras:
            return self
        if not isinstance(self.model, Ridge):
            raise ValueError(
                f"The baseline {self.name!r} is no Keras model, and only a ridge can be turned into one. Expected "
                "ridge, a model of MODELS, or a Keras model of yours."
            )
        from tfts.linear_start import ridge_network

        features = [c for c in self._columns if c not in self._known_future]
        model, options = ridge_network(self.model, len(features))
        network = type(self)(**{**self._settings, "model": "linear", "model_options": options})
        for name, value in vars(self).items():
            if name not in ("_settings", "name", "model"):
                setattr(network, name, value)
        network.model = model
        return network

    def on_logarithms(self):
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
        made = type(self)(**{**self._settings, "scaler": "standard"})
        if self.is_fitted:
            kept = {name: value for name, value in vars(self).items() if name not in ("_settings", "scaler_")}
            vars(made).update(kept, scaler_=self.scaler_.on_logarithms())
        return made

    def compiled(self, data, *, validation=0.15, **options):
        """The network that `fit` would train, and its windows, for a loop of your own.

        Args:
            data: As in `fit`.
            validation: As in `fit`.
            **options: Options of `fit`.

        Returns:
            Tuple `(model, windows, validation_windows)`: a compiled `keras.Model`, which
            computes as `precision` says, and two `tf.data.Dataset` of scaled windows, the
            last `None` without validation.

        Raises:
            ValueError: If the table or an option can't be used.
        """
        options = {**fit_defaults(), **options}
        train, valid = self._learn(data, validation)
        with _kept_random_state():
            return self._prepared(train, valid, options)[0]

    def predict(self, data, origins="last"):
        """Forecasts in original units.

        Args:
            data: DataFrame with the columns of `fit`, or a `Panel`. Columns of
                `known_future` must also hold values in `horizon` rows past the origin:
                append rows in which the other columns are empty.
            origins: `"last"` forecasts once for each series, after its last row: the real
                future. `"all"` forecasts from every row that has a whole context.

        Returns:
            DataFrame with the columns `series`, `origin` (time of the last row seen),
            `time` (of the row forecast) and one for each target.

        Raises:
            ValueError: If no forecast can be made; the message says what is missing.
        """
        self._check_fitted()
        if origins not in ("last", "all"):
            raise ValueError(unknown("origins", origins, ("last", "all")))
        panel = self._own(data)
        rows = self.spec.forecast_origins(panel)
        if origins == "last":
            ends = panel.bounds[:, 2] - 1
            absent = np.flatnonzero(~np.isin(ends, rows))
            if len(absent):
                self._raise_no_last(panel, absent, rows)
            rows = ends
        forecasts = np.concatenate([part for _, part in self._forecast(panel, rows)])
        return self.table(panel, rows, forecasts)

    def evaluate(self, data, metrics=None, by="target"):
        """Scores forecasts from every origin whose future the table holds.

        Rows that the user's table lacked are not scored, also where they were filled.

        Args:
            data: DataFrame with the columns of `fit`, or a `Panel`, e.g. the test part of
                `chronological_split`. Every row with a whole context before it is
                forecast, so a DataFrame should hold no training rows but the context.
            metrics: Names of `METRICS`; `None` takes all.
            by: `"target"` (a row for each target), `"step"` (for each horizon step),
                `"target_step"` (for each pair) or `"overall"` (all targets pooled).

        Returns:
            DataFrame with the columns `model`, `target` or `step`, `count` and the
            metrics, in original units.
        """
        self._check_fitted()
        panel = self._own(data)
        sums = ErrorSums(self.spec.horizon, self._targets)
        for rows, forecasts in self._forecast(panel, self.spec.origins(panel)):
            self.add_errors(sums, panel, rows, forecasts)
        table = sums.score(metrics, by)
        table.insert(0, "model", self.name)
        return table

    def add_errors(self, sums, panel, rows, forecasts):
        """Adds forecasts of the given origins to an `ErrorSums`, each with its series' scale."""
        unseen = np.full(len(self._targets), np.nan)
        scale = np.stack([self._mase_scales.get(name, unseen) for name in panel.series])
        sums.update(self.actual(panel, rows), forecasts, scale[panel.series_of(rows)])

    def actual(self, panel, rows):
        """What happened after the given origins, original units, NaN where not observed.

        Args:
            panel: A `Panel` in original units.
            rows: Int `(windows,)`: origins.

        Returns:
            Float32 `(windows, horizon, targets)`. Rows past the table's end are NaN.
        """
        columns = panel.indices(self._targets)
        at = rows[:, None] + np.arange(1, self.spec.horizon + 1)
        ends = panel.bounds[panel.series_of(rows), 2]
        inside = at < ends[:, None]
        at = np.minimum(at, len(panel.values) - 1)
        values = panel.values[at][..., columns]
        seen = inside[..., None] & ~panel.filled[at][..., columns]
        return np.where(seen, values, np.nan)

    def forecast_windows(self, panel, rows):
        """Forecasts from the given origins as one array, original units.

        Args:
            panel: A `Panel` in original units, as `panel` makes it.
            rows: Int `(windows,)`: origins, as from `WindowSpec.origins`.

        Returns:
            Float64 `(windows, horizon, targets)`.
        """
        self._check_fitted()
        return np.concatenate([part for _, part in self._forecast(panel, rows)])

    def inputs(self, panel, rows):
        """What the network sees from the given origins, scaled.

        Args:
            panel: A `Panel` in original units.
            rows: Int `(windows,)`: origins.

        Returns:
            `past`, or with known columns a dict, as from `WindowSpec.inputs`.
        """
        self._check_fitted()
        return self.spec.inputs(self.scaler_.transform(panel), rows)

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
        self._check_keras("takes no inputs from outside")
        if _has_teacher(self.model):
            # It does not listen to a teacher when it predicts.
            teacher = np.zeros((len(rows), self.spec.horizon, len(self._targets)), np.float32)
            inputs = {**(inputs if isinstance(inputs, dict) else {"past": inputs}), "teacher": teacher}
        values = self.model.predict(inputs, batch_size=_BATCH, verbose=0)
        return self.scaler_.inverse(np.asarray(values), panel, rows, self._targets)

    def attention(self, panel, rows):
        """Attention scores of the given origins, `(windows, heads, horizon or query, context)`.

        Of a model that attends over columns they are `(windows, heads, targets, columns)`.

        Raises:
            ValueError: If the model has no attention.
        """
        from tfts.models.attention_scores import WITH_ATTENTION, attention_scores

        self._check_keras(f"has no attention. Models with attention: {', '.join(WITH_ATTENTION)}")
        return attention_scores(self.model, self.inputs(panel, rows))

    def save(self, folder):
        """Writes everything that `load` needs: JSON, and `.keras` or NumPy arrays.

        The folder appears complete or not at all; an older one is replaced.

        Args:
            folder: Path of the folder.
        """
        self._check_fitted()
        settings = dict(self._settings)
        if not isinstance(settings["model"], str):
            settings["model"] = None
        state = {}
        with replacing_folder(folder) as partial:
            if self._is_keras:
                self.model.save(partial / "model.keras")
            else:
                arrays = {}
                for key, value in self.model.get_state().items():
                    (arrays if isinstance(value, np.ndarray) else state)[key] = value
                np.savez(partial / "baseline.npz", **arrays)
            described = {
                "tfts": __version__,
                "name": self.name,
                "settings": settings,
                "freq": self._freq,
                "columns": self._columns,
                "targets": self._targets,
                "known_future": self._known_future,
                "scaler": self.scaler_.get_state(),
                "mase_scales": [[name, scale.tolist()] for name, scale in self._mase_scales.items()],
                "history": self.history_,
                "fit_seconds": self.fit_seconds_,
                "training": self.training_,
                "baseline": state,
            }
            write_json(described, partial / "forecaster.json")

    @classmethod
    def load(cls, folder):
        """The forecaster that `save` wrote; its predictions are identical.

        Args:
            folder: Path of the folder.

        Returns:
            A fitted `Forecaster`. One that was made from a builder or a Keras model of
            the user's holds that Keras model.

        Raises:
            FileNotFoundError: If the folder holds no forecaster.
        """
        folder = Path(folder)
        path = folder / "forecaster.json"
        if not path.is_file():
            raise FileNotFoundError(
                f"{folder} holds no forecaster: {path.name} is not there. Expected a folder that "
                "Forecaster.save wrote."
            )
        described = json.loads(path.read_text())
        settings = described["settings"]
        is_baseline = settings["model"] is not None and settings["model"] in BASELINES
        if is_baseline:
            model = build_baseline(settings["model"], **settings["model_options"])
            with np.load(folder / "baseline.npz") as arrays:
                model.set_state({**described["baseline"], **arrays})
        else:
            import keras

            # The layers and metrics that the file names must be registered.
            import tfts.keras_metrics
            import tfts.models  # noqa: F401

            model = keras.models.load_model(folder / "model.keras", compile=settings["model"] is None)
        if settings["model"] is None:
            settings["model"] = model
        forecaster = cls(**settings)
        forecaster.name = described["name"]
        forecaster.model = model
        forecaster._freq = described["freq"]
        forecaster._columns = tuple(described["columns"])
        forecaster._targets = tuple(described["targets"])
        forecaster._known_future = tuple(described["known_future"])
        forecaster.scaler_ = Scaler.from_state(described["scaler"])
        forecaster._mase_scales = {name: np.array(scale) for name, scale in described["mase_scales"]}
        forecaster.history_ = described["history"]
        forecaster.fit_seconds_ = described["fit_seconds"]
        forecaster.training_ = described.get("training")
        return forecaster

    def _check_fitted(self):
        if not self.is_fitted:
            raise ValueError(
                "The forecaster has not learnt anything yet. Call fit first, or Forecaster.load."
            )

    def _check_keras(self, lack):
        self._check_fitted()
        if not self._is_keras:
            raise ValueError(f"The baseline {self.name!r} {lack}.")

    def _own(self, data):
        """A panel in original units that has the columns of `fit`."""
        panel = data if isinstance(data, Panel) else self.panel(data, allow_constant=True)
        if panel.freq != self._freq:
            raise ValueError(
                f"The forecaster was fitted at freq={self._freq!r}, but the table has freq={panel.freq!r}."
            )
        for name, fitted, given in (
            ("targets", self._targets, panel.targets),
            ("known_future", self._known_future, panel.known_future),
            ("columns", self.scaler_.columns, panel.columns),
        ):
            if fitted != given:
                raise ValueError(
                    f"The forecaster was fitted with {name}={list(fitted)}, but the table has {list(given)}."
                )
        return panel

    def _parts(self, data, validation):
        if isinstance(validation, Panel):
            if not isinstance(data, Panel):
                raise ValueError(
                    "A `validation` Panel goes with a Panel of training rows, both of one split."
                )
            return data, validation
        panel = data if isinstance(data, Panel) else self.panel(data)
        if not validation:
            return panel, None
        split = chronological_split(panel, validation=validation, test=0)
        return split.train, split.validation

    def _in_sample_scales(self, train):
        columns = train.indices(train.targets)
        season = season_length_of(train.freq)
        scales = {}
        for name, (_, begin, end, _) in zip(train.series, train.bounds, strict=True):
            values = np.where(train.filled[begin:end], np.nan, train.values[begin:end])[:, columns]
            scales[name] = mase_scale(values, season)
        return scales

    def _learn(self, data, validation):
        """Training and validation rows, when what the training rows say is learnt but for the model."""
        train, valid = self._parts(data, validation)
        self._freq, self._targets = train.freq, train.targets
        self._columns = tuple(
            c for c in train.columns if c not in train.known_future or c in self._settings["known_future"]
        )
        self._known_future = train.known_future
        self.scaler_ = Scaler(self._settings["scaler"], self._settings["per_series"]).fit(train)
        self._mase_scales = self._in_sample_scales(train)
        self.training_ = _span(train)
        self.history_ = {}
        return train, valid

    def _fit_network(self, train, valid, options):
        with _kept_random_state():
            (model, dataset, checked), keep = self._prepared(train, valid, options)
            best = train_network(model, dataset, checked, options, self._fingerprint(train, options))
            model = keep(model)
        self.history_ = best.history
        return model, best.seconds

    def _prepared(self, train, valid, options):
        """The compiled network and the windows of both parts, and what gives the network to keep."""
        import keras

        if options["linear_start"] not in ("ridge", "zeros"):
            raise ValueError(unknown("linear_start", options["linear_start"], ("ridge", "zeros")))
        keras.utils.set_random_seed(options["seed"])
        scaled, valid = self._scaled(train, valid)
        steps = -(-len(self._training_spec.origins(scaled)) // options["batch_size"])
        make = functools.partial(self._compiled, scaled, steps, options, train)
        policies = training_policies(options["precision"], self._settings["model"])
        model = network_to_train(make, policies)
        if options["linear_start"] == "ridge":
            from tfts.linear_start import start_from_ridge

            start_from_ridge(model, scaled, self._training_spec, valid)
        teacher = _has_teacher(model)
        dataset = self._training_spec.dataset(
            scaled, options["batch_size"], shuffle=True, seed=options["seed"], teacher_forcing=teacher
        )
        checked = None
        if valid is not None:
            checked = self.spec.dataset(valid, max(options["batch_size"], 256), teacher_forcing=teacher)
        return (model, dataset, checked), functools.partial(network_to_keep, make=make, policies=policies)

    def _scaled(self, train, valid):
        """Both parts scaled, as views of one table where they are parts of one panel."""
        if valid is None or valid.values is not train.values or train.series != valid.series:
            return self.scaler_.transform(train), valid and self.scaler_.transform(valid)
        bounds = np.concatenate([train.bounds[:, :3], valid.bounds[:, 3:]], axis=1)
        whole = self.scaler_.transform(dataclasses.replace(train, bounds=bounds))
        return tuple(dataclasses.replace(whole, bounds=part.bounds) for part in (train, valid))

    def _compiled(self, scaled, steps, options, train):
        import keras

        from tfts.models import build_model

        model = self._settings["model"]
        if isinstance(model, keras.Model):
            if not model.compiled:
                raise ValueError(
                    f"The Keras model {model.name!r} is not compiled. Call its compile(...) first, or give a "
                    "builder, which the forecaster compiles."
                )
            _check_defaults(
                options,
                "A compiled Keras model",
                ("epochs", "batch_size", "patience", "seed", "callbacks", "folder", "verbose"),
            )
            return model
        build = functools.partial(build_model, model) if isinstance(model, str) else model
        model = build(
            self.spec.context_length,
            len(self.spec.features(scaled)),
            self.spec.horizon,
            len(scaled.targets),
            len(scaled.known_future),
            **self._settings["model_options"],
        )
        metrics = [self._metric(name, scaled, train) for name in _listed(options["metrics"])]
        compile_network(model, steps, options, metrics)
        return model

    def _metric(self, name, scaled, train):
        offset, scale = self.scaler_.affine(None, scaled.targets)
        if self.scaler_.logged:
            return keras_metric(name, offset - np.log(target_units(train)), scale, log=True)
        size = scale if len(scale) == 1 else 1 / target_units(scaled)
        return keras_metric(name, offset * size / scale, size)

    def _fingerprint(self, train, options):
        """What must be equal for a training to be continued."""
        named = {k: v for k, v in self._settings.items() if k != "model"}
        kept = {k: v for k, v in options.items() if k not in ("callbacks", "folder", "verbose")}
        rows = [[str(train.times[b[1]]), int(b[2] - b[1])] for b in train.bounds[:100]]
        described = {"model": self.name, **named, **kept, "training_rows": rows}
        return json.loads(json.dumps(described, default=str))

    def _forecast(self, panel, rows):
        """Yields origins and their forecasts in original units, chunk by chunk."""
        scaled = self.scaler_.transform(panel)
        for start in range(0, len(rows), _CHUNK):
            at = rows[start : start + _CHUNK]
            if self._is_keras:
                batches = self.spec.input_batches(scaled, at, _BATCH, _has_teacher(self.model))
                values = self.model.predict(batches, verbose=0)
            else:
                values = self.model.predict(scaled, self.spec, at)
            yield at, self.scaler_.inverse(np.asarray(values), panel, at, self._targets)

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
        horizon = self.spec.horizon
        series = np.asarray(panel.series, dtype=object)[panel.series_of(rows)]
        table = pd.DataFrame(
            {
                "series": np.repeat(series, horizon),
                "origin": panel.times[np.repeat(rows, horizon)],
                "time": self._future(panel, rows),
            }
        )
        for i, target in enumerate(self._targets):
            table[target] = forecasts[:, :, i].ravel()
        return table

    def _future(self, panel, rows):
        """Times of the forecast rows, `horizon` for each origin."""
        horizon = self.spec.horizon
        at = rows[:, None] + np.arange(1, horizon + 1)
        ends = panel.bounds[panel.series_of(rows), 3]
        inside = at < ends[:, None]
        times = panel.times[np.where(inside, at, 0).ravel()].to_series(index=range(at.size))
        for i in np.flatnonzero(~inside.all(axis=1)):
            times.iloc[i * horizon : (i + 1) * horizon] = panel.future_times(rows[i], horizon)
        return times

    def _raise_no_last(self, panel, absent, rows):
        start, _, observed_end, end = panel.bounds[absent[0]]
        of = f"Series {panel.series[absent[0]]!r}" if panel.series_name is not None else "The table"
        length = self.spec.context_length
        if observed_end - start < length:
            why = f"has {observed_end - start} rows, but the model sees context_length={length}"
        elif panel.known_future and end - observed_end < self.spec.horizon:
            why = (
                f"has {end - observed_end} rows after its last observed one ({panel.times[observed_end - 1]}), but "
                f"the model needs the columns {self._settings['known_future']} for horizon={self.spec.horizon} rows: "
                "append rows with these columns, the others left empty"
            )
        else:
            why = f"has a missing or interpolated value among its last {length} rows"
        raise ValueError(f"{of} can't be forecast from its last row: it {why}.")


def _span(panel):
    """First and last time and the number of the rows of a part, those of its context left out."""
    rows = np.concatenate([np.arange(begin, end) for _, begin, end, _ in panel.bounds])
    times = panel.times[rows]
    return {
        "start": str(times.min()),
        "end": str(times.max()),
        "rows": len(rows),
        "timezone": None if times.tz is None else str(times.tz),
    }


def _check_model_name(name):
    if name in BASELINES:
        # The networks bring Keras, which no baseline needs.
        return
    from tfts.models import MODELS

    if name not in MODELS:
        raise ValueError(unknown("model", name, [*MODELS, *BASELINES]))


def fit_defaults():
    """The options of `Forecaster.fit` with their defaults, a dict.

    Example:

    >>> fit_defaults()["learning_rate"]
    0.003
    """
    parameters = inspect.signature(Forecaster.fit).parameters.values()
    return {p.name: p.default for p in parameters if p.name not in ("self", "data", "validation")}


def compile_network(model, steps, options, metrics=()):
    """Gives a network the optimizer and the loss that options of `fit` ask for.

    Args:
        model: `keras.Model`, which is compiled.
        steps: Training steps in an epoch.
        options: Dict of all options, as from `fit_defaults`.
        metrics: Keras metrics.

    Example:

    >>> from tfts.models import linear
    >>> model = linear(context_length=7, num_features=1)
    >>> compile_network(model, 10, fit_defaults())
    >>> type(model.optimizer).__name__
    'AdamW'
    """
    import keras

    jit = options["jit_compile"]
    if jit == "auto":
        jit = _suits_xla(model, steps * options["epochs"])
    together = options["steps_per_execution"]
    if together == "auto":
        together = min(_STEPS_TOGETHER, steps) if keras.backend.backend() == "tensorflow" else 1
    elif isinstance(together, bool) or not isinstance(together, int) or together < 1:
        raise ValueError(
            f"`steps_per_execution` must be 'auto' or an int >= 1. Received: steps_per_execution={together!r}."
        )
    model.compile(
        _optimizer(steps, options),
        loss=keras.losses.get(options["loss"]),
        metrics=list(metrics),
        jit_compile=jit,
        steps_per_execution=together,
    )

    # Variables that are made while a step is traced cost a second trace, and TensorFlow never frees
    # the first.
    model.optimizer.build(model.trainable_variables)
    if metrics:
        shape = (1, *model.output_shape[1:])
        model.compute_metrics(None, np.zeros(shape, "float32"), np.zeros(shape, "float32"))
        model.reset_metrics()


def _suits_xla(model, steps):
    """Whether a training of so many steps is quicker when its step is compiled.

    On a CPU XLA's random numbers take several times as long as all the rest of a step, and it
    runs an LSTM no quicker than TensorFlow does, after seconds of compiling. JAX compiles
    every operation by itself where the step is not compiled; PyTorch runs well without.
    """
    import keras
    import tensorflow as tf

    from tfts.layers import LSTMDecoder

    if keras.backend.backend() != "tensorflow":
        return keras.backend.backend() == "jax"
    if steps < _LONG_FIT or tf.config.list_physical_devices("GPU"):
        return steps >= _LONG_FIT
    recurrent = (keras.layers.LSTM, LSTMDecoder)
    return not any(
        getattr(layer, "rate", 0) or getattr(layer, "dropout", 0) or isinstance(layer, recurrent)
        for layer in model.layers
    )


def train_network(model, dataset, checked, options, settings=None):
    """Trains a compiled network, which then holds its best weights.

    Args:
        model: Compiled `keras.Model`.
        dataset: Windows to learn from, `tf.data.Dataset`.
        checked: Windows to choose the best weights by, or `None`.
        options: Dict of all options of `Forecaster.fit`.
        settings: What must be equal for a training in `options["folder"]` to be continued.

    Returns:
        The `BestWeights`, which knows the history, the best epoch and the seconds.

    Raises:
        ValueError: If the training diverged before any weights were worth keeping.

    Example:

    >>> import tensorflow as tf
    >>> from tfts.models import linear
    >>> options = {**fit_defaults(), "epochs": 2, "verbose": 0}
    >>> windows = tf.data.Dataset.from_tensors((tf.ones((3, 7, 1)), tf.ones((3, 1, 1))))
    >>> model = linear(context_length=7, num_features=1)
    >>> compile_network(model, 1, options)
    >>> len(train_network(model, windows, windows, options).history["val_loss"])
    2
    """
    import keras

    from tfts.callbacks import BestWeights

    best = BestWeights(
        patience=options["patience"] if checked is not None else None,
        folder=options["folder"],
        settings=settings,
    )
    # Callbacks of the user see at the end of an epoch the averaged weights that were scored.
    # Without validation it is Keras that puts them in when the training ends.
    shown = checked is not None
    averaging = [keras.callbacks.SwapEMAWeights(swap_on_epoch=shown)] if model.optimizer.use_ema else []
    done = best.restore(model)
    if done < options["epochs"] and not best.stopped:
        model.fit(
            dataset,
            validation_data=checked,
            epochs=options["epochs"],
            initial_epoch=done,
            callbacks=[best, *averaging, *options["callbacks"]],
            verbose=options["verbose"],
            # The dataset shuffles itself; Keras would warn that it can't.
            shuffle=False,
        )
    if best.diverged and best.best_weights is None:
        raise ValueError(
            f"Training diverged: the loss is not finite from epoch {len(best.history['loss'])} on. Lower "
            f"learning_rate (now {options['learning_rate']}) or clipnorm (now {options['clipnorm']})."
        )
    if best.best_weights is not None:
        model.set_weights(best.best_weights)
    if keras.backend.backend() == "tensorflow":
        # XLA would compile prediction once more for each new size of a batch, and prediction of
        # several batches at once would hold the network as many times.
        model.jit_compile, model.steps_per_execution = False, 1
        model.train_function = model.test_function = model.predict_function = None
    if options["folder"] is not None:
        best.forget()
    return best


def target_units(panel):
    """What errors of each target are measured in, so that targets may be averaged.

    Args:
        panel: The `Panel` of training rows.

    Returns:
        Float64 `(targets,)`: 1 for a single target, whose errors stay in its own units;
        else each target's standard deviation over the rows (1 where it is constant).

    Example:

    >>> frame = pd.DataFrame({"a": [0.0, 2.0, 4.0, 6.0], "b": [0.0, 20.0, 40.0, 60.0]},
    ...                      index=pd.date_range("2024-01-01", periods=4))
    >>> target_units(Panel.from_frame(frame)).round(2).tolist()
    [2.24, 22.36]
    """
    if len(panel.targets) == 1:
        return np.ones(1)
    rows = np.concatenate([np.arange(begin, end) for _, begin, end, _ in panel.bounds])
    at = panel.indices(panel.targets)
    values = np.where(panel.filled[rows][:, at], np.nan, panel.values[rows][:, at].astype(np.float64))
    deviation = np.nanstd(values, axis=0)
    return np.where(deviation > 0, deviation, 1.0)


def _has_teacher(model):
    return any(tensor.name == "teacher" for tensor in model.inputs)


def _check_defaults(options, what, allowed):
    """Refuses options that would do nothing."""
    parameters = inspect.signature(Forecaster.fit).parameters
    for name, value in options.items():
        default = parameters[name].default
        if name not in allowed and not (value is default or value == default):
            raise ValueError(f"{what} does not use `{name}`, so it can't be set. Received: {name}={value!r}.")


def _optimizer(steps, options):
    import keras

    rate, name, decay = options["learning_rate"], options["optimizer"], options["weight_decay"]
    if options["schedule"] not in ("cosine", "constant"):
        raise ValueError(unknown("schedule", options["schedule"], ("cosine", "constant")))
    if options["schedule"] == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps * options["epochs"], alpha=0.01)
    common = {"global_clipnorm": options["clipnorm"]}
    if options["ema_momentum"] is not None:
        # Without an overwrite frequency the average is kept apart until it is asked for.
        common |= {"use_ema": True, "ema_momentum": options["ema_momentum"], "ema_overwrite_frequency": None}
    if name == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY if decay is None else decay, **common)
    if name != "adam":
        raise ValueError(unknown("optimizer", name, ("adam", "adamw")))
    if decay is not None:
        raise ValueError(
            f"`weight_decay` belongs to optimizer='adamw'. Received: optimizer='adam', {decay=}."
        )
    return keras.optimizers.Adam(rate, **common)


class _kept_random_state:
    """Leaves the user's Python and NumPy random numbers as they were."""

    def __enter__(self):
        self.python, self.numpy = random.getstate(), np.random.get_state()  # noqa: NPY002

    def __exit__(self, *_):
        random.setstate(self.python)
        np.random.set_state(self.numpy)  # noqa: NPY002


def _listed(names):
    return [names] if isinstance(names, str) else list(names)
