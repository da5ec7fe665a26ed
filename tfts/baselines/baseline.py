"""The interface of all baselines."""

import numpy as np


class Baseline:
    """A forecasting method that is no network: learn once, forecast from any origin.

    A subclass takes its options in `__init__`, chooses between them in `_choose` if it
    must, learns in `_learn` and forecasts in `_forecast`. What it learns are attributes
    that end in `_` and hold plain data: NumPy arrays, or what JSON can hold. They are all
    that `get_state` saves.

    Attributes:
        targets_: Names of the columns that `fit` learnt to forecast, in order.

    Example:

    >>> import pandas as pd
    >>> from tfts.data.panel import Panel
    >>> from tfts.data.windows import WindowSpec
    >>> class Mean(Baseline):
    ...     def _learn(self, panel, spec):
    ...         self.mean_ = panel.values.mean(axis=0)
    ...
    ...     def _forecast(self, panel, spec, rows):
    ...         return np.tile(self.mean_, (len(rows), spec.horizon, 1))
    >>> days = pd.date_range("2024-01-01", periods=5, freq="D")
    >>> panel = Panel.from_frame(pd.DataFrame({"sales": [1.0, 2.0, 3.0, 4.0, 5.0]}, index=days))
    >>> spec = WindowSpec(context_length=2, horizon=1)
    >>> Mean().fit(panel, spec).predict(panel, spec, [2, 3]).tolist()
    [[[3.0]], [[3.0]]]
    """

    def fit(self, panel, spec, validation=None):
        """Learns from the panel's own rows; rows before `target_start` are context.

        Args:
            panel: The training `Panel`, scaled or in original units.
            spec: A `WindowSpec`.
            validation: A `Panel` of later rows, on which a method chooses between its
                settings if it has any to choose between.

        Returns:
            The baseline.

        Raises:
            ValueError: If there are too few rows.
        """
        self.targets_ = list(spec.target_columns(panel))
        self._choose(panel, spec, validation)
        self._learn(panel, spec)
        return self

    def predict(self, panel, spec, rows):
        """Forecasts from the given origins, without a look at any target after them.

        Args:
            panel: A `Panel` in the units of `fit`. It may be another part or a new table.
            spec: The `WindowSpec` of `fit`.
            rows: Int `(windows,)`: origins, as from `spec.origins(panel)` or
                `spec.forecast_origins(panel)`. Their future need not be in the panel,
                but for the `known_future` columns.

        Returns:
            Float64 `(windows, horizon, targets)`, in the units of `panel`.

        Raises:
            ValueError: If the baseline is not fitted, or was fitted for other columns,
                lengths or series.
        """
        if not hasattr(self, "targets_"):
            raise ValueError(
                f"{type(self).__name__} is not fitted. Call `fit(panel, spec)` before `predict`."
            )
        targets = list(spec.target_columns(panel))
        if targets != self.targets_:
            raise ValueError(
                f"{type(self).__name__} was fitted to forecast {self.targets_}, so it can forecast nothing else. "
                f"Received: targets={targets}."
            )
        return self._forecast(panel, spec, np.asarray(rows, dtype=np.int64))

    @property
    def num_parameters(self):
        """How many numbers were learnt from the data, an int."""
        return 0

    def get_state(self):
        """Everything learnt: a dict of NumPy arrays and of what JSON can hold."""
        return {name: value for name, value in vars(self).items() if name.endswith("_")}

    def set_state(self, state):
        """Takes what `get_state` gave, so that forecasts are the same.

        Args:
            state: Dict from `get_state` of a baseline with the same options.

        Returns:
            The baseline.
        """
        vars(self).update(state)
        return self

    def _choose(self, panel, spec, validation):
        """Sets what is chosen on held-out rows. A method without any choice has nothing to do."""

    def _learn(self, panel, spec):
        """Sets the learnt attributes. A method without any has nothing to do."""
