"""Trials on a table: what one is, and which rows its networks learn from and are scored on."""

import copy
import dataclasses
import hashlib
import time

import keras
import numpy as np
import pandas as pd

from tfts.data.panel import Panel
from tfts.data.split import chronological_split
from tfts.data.windows import WindowSpec
from tfts.forecaster import Forecaster
from tfts.models import MODELS
from tfts.training import TrainingOptions, target_units
from tfts.tuning.fits import Fit, as_text, check_network, finite, parts_of


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
        model, training, data = parts_of(settings, self.builder)
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
        return finite(Fit(score, best + 1, seconds, curve, keep=forecaster.save))

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
        check_network(
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
            "options": as_text(self.options),
            "training": as_text(own),
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
