"""The windows of a table that a network learns from, and all that it must be told of them."""

import contextlib
import functools

from tfts.errors import DataError
from tfts.training import needs_window_units, network_metric, target_units, window_units


class TableWindows:
    """Scaled windows of training and validation rows, for one training.

    Args:
        rows: `TrainingRows`.
        options: `TrainingOptions`.

    Attributes:
        task: `Task` of the network.
        steps: Training steps in an epoch.
        options: The options, with numbers that suit so many windows where they were `"auto"`.

    Example:

    >>> import numpy as np, pandas as pd
    >>> from tfts.data.panel import Panel
    >>> from tfts.data.scaling import Scaler
    >>> from tfts.data.windows import WindowSpec
    >>> from tfts.predictors import TrainingRows
    >>> from tfts.training import TrainingOptions
    >>> days = pd.date_range("2024-01-01", periods=20)
    >>> panel = Panel.from_frame(pd.DataFrame({"a": np.arange(20.0)}, index=days))
    >>> rows = TrainingRows(panel, None, Scaler().fit(panel), WindowSpec(5, 2))
    >>> windows = TableWindows(rows, TrainingOptions(batch_size=7))
    >>> windows.task.features, windows.steps
    (('a',), 2)
    """

    def __init__(self, rows, options):
        self._rows, self._spec = rows, rows.training_spec
        self._train, self._valid = rows.scaled()
        units = rows.scaler.affine(None, self._spec.target_columns(rows.train))
        self.task = self._spec.task(self._train, rows.output.in_units(*units))
        count = len(self._spec.origins(self._train))
        if options.windows_per_epoch is not None:
            by_series = options.sampling == "series"
            count = options.windows_per_epoch if by_series else min(options.windows_per_epoch, count)
        self.options = options.for_windows(count)
        self.steps = -(-count // self.options.batch_size)
        self._own_units = bool(options.metrics) and needs_window_units(rows.scaler, self._train, self._valid)

    def metrics(self):
        """New Keras metrics in the units of the table."""
        of = self._rows.scaler, self._rows.train, self._train, self._own_units, self.task.output
        return [network_metric(name, *of) for name in self.options.metrics]

    def start(self, model):
        """Gives a network the first weights that the options ask for."""
        if self.options.linear_start == "zeros":
            return
        from tfts.linear_start import linear_layers_of, start_from_ridge

        if self.options.linear_start == "ridge":
            start_from_ridge(model, self._train, self._spec, self._valid)
        elif linear_layers_of(model):
            # "auto", on a short table, which may have no rows to hold out.
            with contextlib.suppress(DataError):
                start_from_ridge(model, self._train, self._spec, self._valid)

    def datasets(self, teacher_forcing):
        """What gives the training windows of an epoch's order, and the validation windows or `None`."""
        size, order = self.options.batch_size, {"shuffle": True, "seed": self.options.seed}
        order |= {"count": self.options.windows_per_epoch, "by_series": self.options.sampling == "series"}
        train = self._maker(self._rows.scaler, self._spec, self._train, size, teacher_forcing, **order)
        if self._valid is None:
            return train, None
        scaler, spec = self._rows.validation_scaler, self._rows.spec
        return train, self._maker(scaler, spec, self._valid, max(size, 256), teacher_forcing)()

    def _maker(self, scaler, spec, panel, size, teacher_forcing, **order):
        beside = None
        if self._own_units:
            beside = window_units(scaler, panel, spec.horizon, target_units(self._rows.train))
        return functools.partial(
            spec.dataset, panel, size, teacher_forcing=teacher_forcing, beside=beside, **order
        )
