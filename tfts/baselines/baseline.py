"""The interface of all baselines."""

import numpy as np

from tfts.data.holes import neighbours_of
from tfts.data.split import together
from tfts.errors import DataError, NotFittedError


class Baseline:
    """A forecasting method that is no network: learn once, forecast from any origin.

    A subclass takes its options in `__init__`, chooses between them in `_choose` if it
    must, learns in `_learn` and forecasts in `_forecast`. What it learns are attributes
    that end in `_` and hold plain data: NumPy arrays, or what JSON can hold. They are all
    that `get_state` saves.

    Attributes:
        holds_out: Whether it chooses between settings on held-out rows, which `_learn` then
            does not see. A method without such a choice learns from those rows too.
        copies_values: Whether each forecast is a value of the table or a median of some, so
            that it is the same in any units and needs no scaler, which would cost digits.
        uses_columns: Whether it uses other columns than the targets, labels and attributes too.
        dtype: Of the scaled values that it learns from.
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

    holds_out = False
    copies_values = False
    uses_columns = False
    dtype = np.float64

    def fit(self, panel, spec, validation=None):
        """Learns from the panel's own rows; rows before `target_start` are context.

        Args:
            panel: The training `Panel`, scaled or in original units.
            spec: A `WindowSpec`.
            validation: A `Panel` of the later rows of the same split. A method that
                `holds_out` chooses between its settings on them; every other learns from
                them as from the training rows.

        Returns:
            The baseline.

        Raises:
            ValueError: If there are too few rows, or `validation` is no part of the same table.
        """
        self.targets_ = list(spec.target_columns(panel))
        if validation is not None and not self.holds_out:
            panel, validation = together(panel, validation), None
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
            raise NotFittedError(
                f"{type(self).__name__} is not fitted. Call `fit(panel, spec)` before `predict`."
            )
        targets = list(spec.target_columns(panel))
        if targets != self.targets_:
            raise DataError(
                f"{type(self).__name__} was fitted to forecast {self.targets_}, so it can forecast nothing else. "
                f"Received: targets={targets}."
            )
        return self._forecast(panel, spec, np.asarray(rows, dtype=np.int64))

    def _latest(self, panel, rows):
        """The latest observed values of the targets up to some rows, and how many rows ago, two `(rows, targets)`."""
        if panel.masked:
            return neighbours_of(panel, self.targets_, np.float64).latest(rows)
        values = panel.values[np.ix_(rows, panel.indices(self.targets_))].astype(np.float64)
        return values, np.zeros(values.shape)

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
