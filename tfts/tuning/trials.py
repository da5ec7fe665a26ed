"""What one trial is: a network fitted with some settings and scored on validation rows."""

import copy
import dataclasses
import functools
import hashlib
import inspect
import json
import time

import keras
import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts.data.panel import Panel
from tfts.data.split import Split, chronological_split
from tfts.data.windows import WindowSpec
from tfts.forecaster import Forecaster
from tfts.metrics import keras_metric
from tfts.models import MODELS, build_model
from tfts.training import (
    Diverged,
    TrainingOptions,
    compile_network,
    network_to_keep,
    network_to_train,
    target_units,
    train_network,
    training_policies,
)

OBJECTIVES = ("val_rmse", "val_mae")
# What a trial that diverged scores: worse than any trial that did not.
PENALTY = 1e9


@dataclasses.dataclass
class Fit:
    """One fitted network of a trial.

    Attributes:
        score: The objective on the validation rows.
        epochs: Epochs to the best weights.
        seconds: Seconds it took, scoring included.
        curve: The objective after each epoch, a list.
        keep: Function of a folder that writes the fitted network, or `None`.

    Example:

    >>> Fit(score=0.5, epochs=2, seconds=1.0, curve=[0.6, 0.5]).epochs
    2
    """

    score: float
    epochs: int
    seconds: float
    curve: list
    keep: object = None


class TableTrials:
    """Fits and scores networks on a table.

    Args:
        model: Name of `MODELS` or a builder.
        data: DataFrame, `Panel`, or `Split` of training and validation rows.
        options: Dict of `Forecaster` options, `context_length` and `horizon` among them.
        training: Dict of options of `Forecaster.fit`.
        objective: Name in `OBJECTIVES`.
        validation: Share or first time of the validation rows, where `data` is no split.
        rolling_origins: Into how many parts the validation rows are cut. Each is scored
            by a network fitted on all rows before it.

    Raises:
        ValueError: If the data can't be used as they are.

    Example:

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"y": np.arange(40.0) % 7}, index=pd.date_range("2024-01-01", periods=40))
    >>> trials = TableTrials("linear", frame, {"context_length": 7, "horizon": 1}, {"verbose": 0})
    >>> fit = trials.fit({"epochs": 2}, part=0, seed=0)
    >>> len(fit.curve)
    2
    """

    def __init__(
        self,
        model,
        data,
        options,
        training,
        objective="val_rmse",
        validation=0.15,
        rolling_origins=1,
    ):
        self.model = model
        self.builder = MODELS[model] if isinstance(model, str) else model
        self.options = dict(options)
        self.training = {"verbose": 0, **training}
        self.metric = objective.removeprefix("val_")
        self.rolling_origins = rolling_origins
        self._data, self._validation = data, validation
        self._rows = {}
        self.given = {
            **{k: v for k, v in self.options.items() if k not in ("model_options", "horizon")},
            **self.options.get("model_options", {}),
            **self.training,
        }

    @property
    def num_parts(self):
        """Networks fitted for one seed."""
        return self.rolling_origins

    def forecaster(self, settings):
        """An unfitted `Forecaster` with the settings, and the options of its `fit`.

        Returns:
            Tuple `(forecaster, options)`.
        """
        model, training, data = _split(settings, self.builder)
        options = {**self.options, **data}
        options["model_options"] = {**(self.options.get("model_options") or {}), **model}
        return Forecaster(self.model, **options), {**self.training, **training}

    def fit(self, settings, part, seed, callbacks=(), epochs=None):
        """Fits a network and scores it.

        Args:
            settings: Dict of settings.
            part: Which of the rolling parts, int.
            seed: Of `Forecaster.fit`.
            callbacks: Further Keras callbacks.
            epochs: Epochs, in place of the settings' own.

        Returns:
            A `Fit`.

        Raises:
            Diverged: If the loss or the score is not finite.
        """
        began = time.monotonic()
        # The networks of earlier trials would fill the memory.
        keras.utils.clear_session()
        forecaster, training = self.forecaster(settings)
        train, valid = self.parts(forecaster)[part]
        if epochs is not None:
            training["epochs"] = epochs
        callbacks = [*copy.deepcopy(list(training.pop("callbacks", ()))), *callbacks]
        forecaster.fit(
            train, validation=valid, metrics=[self.metric], seed=seed, callbacks=callbacks, **training
        )
        curve = forecaster.history_[f"val_{self.metric}"]
        best = int(np.nanargmin(forecaster.history_["val_loss"]))
        score = curve[best]
        if forecaster.settings["per_series"] or forecaster.scaler_.logged or valid.filled.any():
            # Only then does Keras see other units, or rows that evaluate leaves out; and a forecast
            # that is far off overflows its float32 as an exponential.
            table = forecaster.evaluate(valid, [self.metric])
            errors = table[self.metric].to_numpy() / target_units(train)
            score = float(np.sqrt(np.mean(errors**2)) if self.metric == "rmse" else np.mean(errors))
        seconds = time.monotonic() - began
        return _finite(Fit(score, best + 1, seconds, curve, keep=forecaster.save))

    def refit(self, settings, epochs, seed):
        """A `Forecaster` fitted on training and validation rows together."""
        forecaster, training = self.forecaster(settings)
        train, valid = self._own_rows(forecaster)
        spans = train.spans.replace(observed_end=valid.spans.observed_end, end=valid.spans.end)
        training["epochs"] = epochs
        return forecaster.fit(dataclasses.replace(train, spans=spans), validation=0, seed=seed, **training)

    def compiled(self, settings, seed):
        """`Forecaster.compiled` for the first rolling part: model, windows, validation windows."""
        forecaster, training = self.forecaster(settings)
        train, valid = self.parts(forecaster)[0]
        made = forecaster.compiled(train, validation=valid, metrics=[self.metric], seed=seed, **training)
        return made, TrainingOptions.of(**{**training, "seed": seed})

    def parts(self, forecaster):
        """Pairs of training and validation rows, one for each rolling origin."""
        return rolling_parts(*self._own_rows(forecaster), self.rolling_origins)

    def check(self, settings):
        """Refuses settings that can't be fitted, before the first trial.

        Raises:
            ValueError: If the builder, the optimizer or the windows refuse them.
        """
        forecaster, training = self.forecaster(settings)
        parts = self.parts(forecaster)
        stride = forecaster.settings["stride"]
        for train, valid in parts:
            WindowSpec(forecaster.spec.context_length, forecaster.spec.horizon, stride=stride).origins(train)
            forecaster.spec.origins(valid)
        spec, panel = forecaster.spec, parts[0][0]
        _check_network(
            self.model,
            (
                spec.context_length,
                len(spec.features(panel)),
                spec.horizon,
                len(panel.targets),
                len(panel.known_future),
            ),
            forecaster.settings["model_options"],
            TrainingOptions.of(**training),
        )

    def describe(self):
        """What tells this task from another, as plain data."""
        train, valid = self._own_rows(self.forecaster({})[0])
        own = {k: v for k, v in self.training.items() if k not in ("verbose", "callbacks")}
        return {
            "model": self.model if isinstance(self.model, str) else self.builder.__qualname__,
            "options": _text(self.options),
            "training": _text(own),
            "rows": [train.spans[:100].tolist(), valid.spans[:100].tolist()],
            "values": hashlib.sha256(np.ascontiguousarray(train.values).tobytes()).hexdigest()[:16],
            "columns": list(train.columns),
            "rolling_origins": self.rolling_origins,
        }

    def _own_rows(self, forecaster):
        """Training and validation rows, in original units; one table for each calendar."""
        calendar = tuple(forecaster.settings["calendar"])
        if calendar not in self._rows:
            data = self._data
            if calendar != tuple(self.options.get("calendar") or ()) and not isinstance(data, pd.DataFrame):
                raise ValueError(
                    "'calendar' can only be searched where the data are a DataFrame: a panel and its parts have "
                    f"their calendar columns already. Received: calendar={list(calendar)}."
                )
            if isinstance(data, tuple):
                train, valid = data[0], data[1]
            else:
                panel = data if isinstance(data, Panel) else forecaster.panel(data)
                train, valid, _ = chronological_split(panel, validation=self._validation, test=0)
            self._rows[calendar] = train, valid
        return self._rows[calendar]


class WindowTrials:
    """Fits and scores networks on windows that are there already.

    Args:
        model: Name of `MODELS` or a builder.
        data: Pair of `tf.data.Dataset` of `(inputs, future)` batches, as from
            `WindowSpec.dataset`: training and validation windows.
        training: Dict of options of `Forecaster.fit`; `batch_size` is that of the windows.
        model_options: Dict of options of the builder.
        objective: Name in `OBJECTIVES`; in the units of the windows, over all targets.

    Raises:
        ValueError: If the datasets hold no windows.

    Example:

    >>> import tensorflow as tf
    >>> windows = tf.data.Dataset.from_tensors((tf.ones((3, 7, 1)), tf.ones((3, 2, 1))))
    >>> trials = WindowTrials("linear", (windows, windows), {"epochs": 2})
    >>> len(trials.fit({}, part=0, seed=0).curve)
    2
    """

    num_parts = rolling_origins = 1

    def __init__(self, model, data, training, model_options=None, objective="val_rmse"):
        self.model = model
        self.builder = MODELS[model] if isinstance(model, str) else model
        self._train, self._valid = data
        self.training = {"verbose": 0, **training}
        self.metric = objective.removeprefix("val_")
        self.model_options = dict(model_options or {})
        self.given = {**self.model_options, **self.training}
        inputs, future = self._train.element_spec
        past = inputs["past"] if isinstance(inputs, dict) else inputs
        known = (
            inputs["known_future"].shape[-1] if isinstance(inputs, dict) and "known_future" in inputs else 0
        )
        self.sizes = (past.shape[1], past.shape[2], future.shape[1], future.shape[2], known)

    def fit(self, settings, part, seed, callbacks=(), epochs=None):
        """As `TableTrials.fit`."""
        began = time.monotonic()
        # The networks of earlier trials would fill the memory.
        keras.utils.clear_session()
        (model, train, valid), options, keep = self._prepared(settings, seed)
        options = options.changed(
            epochs=epochs or options.epochs,
            callbacks=[*copy.deepcopy(list(options.callbacks)), *callbacks],
        )
        best = train_network(model, train, valid, options)
        model = keep(model)
        curve = best.history[f"val_{self.metric}"]
        return _finite(
            Fit(
                score=curve[best.best_epoch - 1],
                epochs=best.best_epoch,
                seconds=time.monotonic() - began,
                curve=curve,
                keep=functools.partial(_save_model, model),
            )
        )

    def refit(self, settings, epochs, seed):
        """A `keras.Model` fitted on training and validation windows together."""
        (model, train, valid), options, keep = self._prepared(settings, seed, epochs)
        train_network(model, train.concatenate(valid), None, options.changed(patience=None))
        return keep(model)

    def compiled(self, settings, seed):
        """Tuple of the compiled model and both datasets, and the options of the training."""
        return self._prepared(settings, seed)[:2]

    def _prepared(self, settings, seed, epochs=None):
        model_options, training, _ = _split(settings, self.builder)
        options = TrainingOptions.of(**{**self.training, **training, "seed": seed})
        options = options.changed(epochs=epochs or options.epochs)
        keras.utils.set_random_seed(seed)
        build = functools.partial(build_model, self.model) if isinstance(self.model, str) else self.model
        steps = max(int(self._train.cardinality()), 1)

        def make():
            model = build(*self.sizes, **{**self.model_options, **model_options})
            compile_network(model, steps, options, [keras_metric(self.metric)])
            return model

        policies = training_policies(options.precision, self.model)
        keep = functools.partial(network_to_keep, make=make, policies=policies)
        return (network_to_train(make, policies), self._train, self._valid), options, keep

    def check(self, settings):
        """As `TableTrials.check`."""
        model_options, training, data = _split(settings, self.builder)
        fixed = sorted({*data, *({"batch_size"} & training.keys())})
        if fixed:
            raise ValueError(
                f"The windows are made already, so {', '.join(map(repr, fixed))} can't be searched. Give a DataFrame "
                "or a Panel in place of the datasets."
            )
        _check_network(
            self.model,
            self.sizes,
            {**self.model_options, **model_options},
            TrainingOptions.of(**{**self.training, **training}),
        )

    def describe(self):
        """As `TableTrials.describe`."""
        own = {k: v for k, v in self.training.items() if k not in ("verbose", "callbacks")}
        return {
            "model": self.model if isinstance(self.model, str) else self.builder.__qualname__,
            "options": _text(self.model_options),
            "training": _text(own),
            "windows": [list(self.sizes), int(self._train.cardinality()), int(self._valid.cardinality())],
        }


def make_trials(model, data, training, objective, validation, rolling_origins, options):
    """The trials that fit the data: of a table or of windows.

    Raises:
        ValueError: If the model or the objective is unknown, or the data are neither.

    Example:

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"y": np.arange(40.0)}, index=pd.date_range("2024-01-01", periods=40))
    >>> sizes = {"context_length": 7, "horizon": 1}
    >>> type(make_trials("linear", frame, {}, "val_rmse", 0.15, 1, sizes)).__name__
    'TableTrials'
    """
    if isinstance(model, str) and model not in MODELS:
        raise ValueError(unknown("model", model, MODELS))
    if isinstance(model, keras.Model) or not (isinstance(model, str) or callable(model)):
        raise ValueError(
            f"`model` must be a name of MODELS or a builder, which a search calls for each trial. Received: {model!r}."
        )
    if objective not in OBJECTIVES:
        raise ValueError(unknown("objective", objective, OBJECTIVES))
    if isinstance(rolling_origins, bool) or not isinstance(rolling_origins, int) or rolling_origins < 1:
        raise ValueError(f"`rolling_origins` must be an int >= 1. Received: {rolling_origins=}.")
    TrainingOptions.of(**training)
    import tensorflow as tf

    if isinstance(data, tuple | list) and any(isinstance(part, tf.data.Dataset) for part in data):
        if len(data) != 2 or rolling_origins != 1:
            raise ValueError(
                "Windows come as a pair of datasets, (training, validation), with rolling_origins=1. Received: "
                f"{len(data)} datasets, {rolling_origins=}."
            )
        return WindowTrials(model, tuple(data), training, options.get("model_options"), objective)
    if isinstance(data, tuple | list):
        data = Split(*data) if len(data) == 3 else Split(*data, None)
        if data.train is None or data.validation is None:
            raise ValueError(
                "A split for a search needs training and validation rows: the objective is scored there."
            )
    elif not validation:
        raise ValueError(
            f"`validation` must be above 0: the objective is scored there. Received: {validation=}."
        )
    return TableTrials(model, data, options, training, objective, validation, rolling_origins)


def rolling_parts(train, valid, count):
    """Cuts validation rows into parts, each with all rows before it to learn from.

    Args:
        train: `Panel` of training rows.
        valid: `Panel` of validation rows, of the same split.
        count: Int >= 1, parts.

    Returns:
        List of `count` pairs of panels `(training, validation)`.

    Example:

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"y": np.arange(20.0)}, index=pd.date_range("2024-01-01", periods=20))
    >>> train, valid, _ = chronological_split(Panel.from_frame(frame), validation=0.4, test=0)
    >>> [a.spans.tolist() + b.spans.tolist() for a, b in rolling_parts(train, valid, 2)]
    [[[0, 0, 12, 12], [0, 12, 16, 16]], [[0, 0, 16, 16], [0, 16, 20, 20]]]
    """
    if count == 1:
        return [(train, valid)]
    first, stop = valid.spans.target_start, valid.spans.observed_end
    gap = first - train.spans.observed_end
    edges = [first + (stop - first) * part // count for part in range(count + 1)]
    pairs = []
    for part in range(count):
        learnt = edges[part] - gap
        last = valid.spans.end if part == count - 1 else edges[part + 1]
        known = train.spans.replace(observed_end=learnt, end=learnt)
        seen = valid.spans.replace(target_start=edges[part], observed_end=edges[part + 1], end=last)
        pairs.append((dataclasses.replace(train, spans=known), dataclasses.replace(valid, spans=seen)))
    return pairs


def _split(settings, builder):
    """Settings of the model, the training and the data."""
    own, fit = inspect.signature(builder).parameters, TrainingOptions.model_fields
    parts = {}, {}, {}
    for name, value in settings.items():
        # The context length is an argument of every builder, and a setting of the windows.
        of = 1 if name in fit else 0 if name in own and name != "context_length" else 2
        parts[of][name] = value
    return parts


def _check_network(model, sizes, model_options, options):
    build = functools.partial(build_model, model) if isinstance(model, str) else model
    policies = training_policies(options.precision, model)
    try:
        network = network_to_train(functools.partial(build, *sizes, **model_options), policies)
        compile_network(network, 1, options.changed(jit_compile=False))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The space holds settings that can't be fitted, {model_options}, optimizer={options.optimizer!r}, "
            f"loss={options.loss!r}: {error}"
        ) from error


def _finite(fit):
    if not np.isfinite(fit.score):
        raise Diverged(f"The score is {fit.score} after {len(fit.curve)} epochs.")
    return fit


def _save_model(model, folder):
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "model.keras")


def _text(options):
    """Options as text that is the same in every process: an object is told by its type."""

    def named(value):
        return getattr(value, "__qualname__", type(value).__qualname__)

    return {name: json.dumps(value, sort_keys=True, default=named) for name, value in sorted(options.items())}
