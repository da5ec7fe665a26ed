"""Trials on a table: which rows their networks learn from, and on which all of them are scored."""

import copy
import dataclasses

import pandas as pd

from tfts.errors import DataError
from tfts.forecaster import Forecaster
from tfts.training import TrainingOptions
from tfts.tuning.fits import Trials, parts_of, told_output


class TableTrials(Trials):
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

    >>> import numpy as np, pandas as pd
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
        super().__init__(model, training, objective)
        self.table_options = dict(options)
        self.rolling_origins = rolling_origins
        self._data, self._validation = data, validation
        self._rows, self._history = {}, None
        # What is "auto" in a fit of the defaults is a number in trial 0, as in the space.
        made = self.forecaster({})
        self._check_objective(made.output)
        spec = dataclasses.replace(made.spec, stride=made.settings["stride"])
        numbers = TrainingOptions.of(**self.training).for_windows(len(spec.origins(self.parts(made)[0][0])))
        self.training |= {name: getattr(numbers, name) for name in ("epochs", "batch_size", "patience")}
        self.given = {
            **{k: v for k, v in self.table_options.items() if k not in ("model_options", "horizon")},
            "output": told_output(self.table_options.get("output", "point")),
            **(self.table_options.get("model_options") or {}),
            **self.training,
        }

    @property
    def num_parts(self):
        """Networks fitted for one seed."""
        return self.rolling_origins

    def compare(self, settings):
        """Scores all trials on the windows that have the longest of the contexts before them."""
        contexts = [one.get("context_length", self.table_options["context_length"]) for one in settings]
        self._history = max(contexts, default=None)

    def forecaster(self, settings):
        """An unfitted `Forecaster` with the settings."""
        model, _, data = parts_of(settings, self.builder)
        options = {**self.table_options, **data}
        options["model_options"] = {**(self.table_options.get("model_options") or {}), **model}
        return Forecaster(self.model, **copy.deepcopy(options))

    def refit(self, settings, epochs, seed):
        """A `Forecaster` fitted on training and validation rows together; no row is left to calibrate on."""
        forecaster = self.forecaster(settings)
        if forecaster.calibration != "none":
            plain = {**forecaster.settings, "quantiles": None, "calibration": "auto"}
            forecaster = Forecaster(**plain)
        train, valid = self._own_rows(forecaster)
        spans = train.spans.replace(observed_end=valid.spans.observed_end, end=valid.spans.end)
        options = self.options(settings, seed, epochs)
        return forecaster.fit(dataclasses.replace(train, spans=spans), validation=0, **dict(options))

    def compiled(self, settings, seed):
        """`Forecaster.compiled` for the first rolling part, and the options of the training.

        Returns:
            Tuple of that of the model, the windows and the validation windows, and of
            `TrainingOptions`.
        """
        options = self.options(settings, seed)
        forecaster = self._scored_alike(settings)
        train, valid = self.parts(forecaster)[0]
        return forecaster.compiled(train, validation=valid, **dict(options)), options

    def parts(self, forecaster):
        """Pairs of training and validation rows, one for each rolling origin."""
        return rolling_parts(*self._own_rows(forecaster), self.rolling_origins)

    def check(self, settings):
        """Refuses settings that can't be fitted, before the first trial.

        Raises:
            ValueError: If the builder, the optimizer or the windows refuse them.
        """
        forecaster = self._scored_alike(settings)
        parts = self.parts(forecaster)
        spec = forecaster.spec
        learnt = dataclasses.replace(spec, stride=forecaster.settings["stride"], history=None)
        for train, valid in parts:
            learnt.origins(train)
            spec.origins(valid)
        self._check_objective(forecaster.output)
        self._check(spec.task(parts[0][0], forecaster.output), forecaster.settings["model_options"], settings)

    def describe(self):
        """What tells these trials from others, as plain data."""
        train, valid = self._own_rows(self.forecaster({}))
        return {
            **self._described(self.table_options),
            "rolling_origins": self.rolling_origins,
            "training rows": train.digest(),
            "validation rows": valid.digest(),
        }

    def _fitted(self, settings, part, options):
        forecaster = self._scored_alike(settings)
        train, valid = self.parts(forecaster)[part]
        forecaster.fit(train, validation=valid, **dict(options))
        return forecaster.history_, forecaster.save

    def _scored_alike(self, settings):
        """A forecaster that is validated on the windows that every trial is scored on."""
        forecaster = self.forecaster(settings)
        own = forecaster.spec.context_length
        forecaster.spec = dataclasses.replace(forecaster.spec, history=max(own, self._history or own))
        return forecaster

    def _own_rows(self, forecaster):
        """Training and validation rows, in original units; one table for each calendar."""
        calendar = tuple(forecaster.settings["calendar"])
        if calendar not in self._rows:
            data = self._data
            if calendar != tuple(self.table_options.get("calendar") or ()) and not isinstance(
                data, pd.DataFrame
            ):
                raise DataError(
                    "'calendar' can only be searched where the data are a DataFrame: a panel and its parts have "
                    f"their calendar columns already. Received: calendar={list(calendar)}."
                )
            if isinstance(data, tuple):
                train, valid = data[0], data[1]
            else:
                train, valid = forecaster.parts(data, self._validation)
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

    >>> import numpy as np, pandas as pd
    >>> from tfts.data.panel import Panel
    >>> from tfts.data.split import chronological_split
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
