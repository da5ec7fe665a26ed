"""Forecasts in the units of the table, with what an output says of other values."""

import dataclasses

import numpy as np

from tfts.outputs.output import Output


@dataclasses.dataclass(frozen=True, eq=False)
class Predictive:
    """What an output gives for some windows, in original units.

    Attributes:
        output: `Output`.
        parameters: Float64, as `Output.restore` gives them: of the values, or of their logarithms.
        logged: Bool `(targets,)`, whether they are those of logarithms.

    Example:

    >>> from tfts.outputs import Normal
    >>> forecast = Predictive(Normal(), np.array([[[[0.0, 1.0]]]]), np.array([True]))
    >>> forecast.mean().tolist(), forecast.quantiles([0.9]).round(2).tolist()
    ([[[1.0]]], [[[[3.6]]]])
    """

    output: Output
    parameters: np.ndarray
    logged: np.ndarray

    def __len__(self):
        return len(self.parameters)

    def __getitem__(self, windows):
        return dataclasses.replace(self, parameters=self.parameters[windows])

    @classmethod
    def restored(cls, output, values, scaler, panel, rows, targets):
        """What a network gave for scaled windows.

        Args:
            output: `Output` in the units of the table.
            values: Its parameters for scaled values.
            scaler: Fitted `Scaler`.
            panel: `Panel` that the windows come from.
            rows: Int `(windows,)`: a row of each window.
            targets: Names of the targets.
        """
        parameters = output.restore(
            np.asarray(values, dtype=np.float64), *scaler.units_of(panel, rows, targets)
        )
        return cls(output, parameters, np.array([target in scaler.logged for target in targets]))

    @classmethod
    def joined(cls, parts):
        """The windows of several, one after the other."""
        parts = list(parts)
        return dataclasses.replace(parts[0], parameters=np.concatenate([part.parameters for part in parts]))

    def mean(self):
        """The point forecast, `(windows, horizon, targets)`; of logarithms the median."""
        return self._plain(self.output.mean(self.parameters))

    def quantiles(self, levels):
        """Quantiles `(windows, horizon, targets, levels)`.

        Raises:
            ValueError: If the output has none.
        """
        found = np.asarray(self.output.quantiles(self.parameters, levels))
        return np.moveaxis(self._plain(np.moveaxis(found, -1, 0)), 0, -1)

    def at(self, scores):
        """The values that scores stand for, `(..., windows, horizon, targets)`.

        Args:
            scores: Standard normal numbers, see `Output.at`; of a point forecast what is added to it.
        """
        if self.output.has_distribution:
            return self._plain(self.output.at(self.parameters, scores))
        return self._plain(self.parameters + scores)

    def scores(self, values):
        """What `at` takes for these values, `(windows, horizon, targets)`; NaN for NaN."""
        values = self._modelled(values)
        if self.output.has_distribution:
            return self.output.scores(self.parameters, values)
        return values - self.parameters

    def score_range(self, values):
        """Scores of all that is below these values, and of all up to them, see `Output.score_range`."""
        values = self._modelled(values)
        if self.output.has_distribution:
            return self.output.score_range(self.parameters, values)
        return (values - self.parameters,) * 2

    def _modelled(self, values):
        """Values, or their logarithms."""
        if not self.logged.any():
            return values
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.logged, np.log(values), values)

    def _plain(self, values):
        """Values of what may be logarithms; the last axis is the targets."""
        if not self.logged.any():
            return values
        values = np.array(values, dtype=np.float64)
        values[..., self.logged] = np.exp(values[..., self.logged])
        return values
