"""Quantiles of a forecast as TensorFlow operations, with their calibration inside."""

import numpy as np
import tensorflow as tf

from tfts.calibration.held_out import Origins
from tfts.calibration.kinds import in_units, movement_rows
from tfts.outputs import NegativeBinomial
from tfts.outputs.output import normal_scores

# A share by which a probability may fall short of a level and reach it still.
_ROUNDING = 1e-12


class GraphQuantiles(tf.Module):
    """What `Calibration.quantiles` computes, from a window and the phase of its last row alone.

    Calibration by the errors of held-out origins does not change after the fit, so that scores at the levels
    are constants of the graph.

    Args:
        forecaster: A fitted `Forecaster` with quantiles.
        output: Its output in the units of the table.
        names: Names of the series that `series` indexes, or `None`.
        precision: Type of the computation.

    Attributes:
        levels: Levels of the quantiles.
        needs_phase: Bool. Whether errors depend on the phase of the season.

    Example:

    >>> import pandas as pd
    >>> from tfts.forecaster import Forecaster
    >>> frame = pd.DataFrame({"y": np.arange(50.0)}, index=pd.date_range("2024-01-01", periods=50))
    >>> fitted = Forecaster("ridge", context_length=3, horizon=1, quantiles=[0.5]).fit(frame).as_network()
    >>> GraphQuantiles(fitted, fitted.output, None, "float64").needs_phase
    True
    """

    def __init__(self, forecaster, output, names, precision):
        super().__init__()
        self.levels, self._output, self._precision = forecaster.quantiles, output, precision
        self._masked = forecaster.task.masked
        self._held_out = held_out = forecaster.held_out_ if forecaster.calibration != "none" else None
        scores = normal_scores(self.levels)[None, None, None, None]
        self._place = self._sizes = self._phases = None
        if held_out is not None:
            # The last row is for any other series.
            known = held_out.names[:1] if names is None else [*names, None]
            scores, place = held_out.tables(self.levels, known)
            self._place = self._constant(place, tf.int32)
            self._bounds = self._constant(held_out.bounds_of(Origins(known, np.arange(len(known)))))
            if len(held_out.phases) > 1:
                self._phases = self._constant(held_out.phases)
            if held_out.relative:
                self._sizes = self._constant(held_out.sizes_of(known))
        self._num_known = None if names is None else len(names)
        self._season, self._count = movement_rows(forecaster.freq, forecaster.spec.context_length)
        self._horizon = forecaster.spec.horizon
        self._num_parts = scores.shape[1]
        table = output.score_table(scores) if output.has_distribution else scores
        # Of series, parts of the season and steps as one axis.
        self._table = self._constant(
            table.reshape(-1, *table.shape[3:]) if held_out is not None else table[0, 0]
        )
        self.needs_phase = self._phases is not None

    def _constant(self, values, dtype=None):
        return tf.Variable(np.asarray(values), trainable=False, dtype=dtype or self._precision)

    def __call__(self, parameters, past, series, phase):
        """Quantiles `(batch, horizon, targets, levels)`, of what is scaled; of points what is added to them.

        Args:
            parameters: Of the output, scaled.
            past: Targets of the windows in original units, `(batch, context_length, targets)`.
            series: Int `(batch,)`, or `None`.
            phase: Int `(batch,)`, or `None`.
        """
        table, row = tf.convert_to_tensor(self._table), self._row(series)
        if self._held_out is not None:
            place = self._of(self._place, row)[:, None] * self._num_parts
            place += self._part(phase) if self.needs_phase else 0
            table = tf.gather(table, place * self._horizon + tf.range(self._horizon))
        if not self._output.has_distribution:
            return table * self._units(past, row, phase)[..., None]
        if isinstance(self._output, NegativeBinomial):
            found = _counts_at(self._output, parameters, table)
        else:
            found = self._output.at_table(parameters, table)
        return _ascending(found)

    def within_bounds(self, quantiles, series):
        """Quantiles `(batch, horizon, targets, levels)` in original units, where the series does not pass them.

        Args:
            quantiles: In original units.
            series: Int `(batch,)`, or `None`.
        """
        if self._held_out is None:
            return quantiles
        bounds = self._of(self._bounds, self._row(series))[:, :, None, :, None]
        return tf.minimum(tf.maximum(quantiles, bounds[:, 0]), bounds[:, 1])

    def _row(self, series):
        """The row of the tables for each window, `None` where all have the same."""
        if self._num_known is None or series is None:
            return None
        # Any other index is a series that was not seen in training.
        return tf.where((series >= 0) & (series < self._num_known), series, self._num_known)

    def _part(self, phase):
        """The part of the season in which each row lies, `(batch, horizon)`, as `parts_of_season`."""
        season = self._phases.shape[0]
        return (
            tf.math.floormod(phase[:, None] + tf.range(1, self._horizon + 1), season)
            * self._num_parts
            // season
        )

    @staticmethod
    def _of(table, row):
        """Rows of a table, `(batch or 1, ...)`; of all windows the first."""
        return tf.convert_to_tensor(table)[:1] if row is None else tf.gather(table, row)

    def _moved(self, past):
        """As `moved_of`, `(batch, targets)`."""
        count = max(self._count, 1)
        if self._masked:
            # Zeros first: converters to ONNX choose by products, in which one NaN would be all.
            there = ~tf.math.is_nan(past)
            past = tf.where(there, past, tf.zeros_like(past))
            pairs = tf.cast(there[:, self._season :] & there[:, : -self._season], past.dtype)
            pairs = pairs[:, pairs.shape[1] - self._count :]
            count = tf.maximum(tf.reduce_sum(pairs, axis=1), 1)
        moved = tf.abs(past[:, self._season :] - past[:, : -self._season])
        moved = moved[:, moved.shape[1] - self._count :]
        return tf.reduce_sum(moved * pairs if self._masked else moved, axis=1) / count

    def _units(self, past, row, phase):
        """What scores of points are multiplied by, `(batch, horizon, targets)`."""
        units = tf.ones((1, 1, 1), self._precision)
        if self._sizes is not None:
            sizes = self._of(self._sizes, row)
            moved = self._moved(tf.cast(past, self._precision))
            if row is not None:
                is_new = (row == self._num_known)[:, None] & (moved > 0)
                sizes = tf.where(is_new, moved, sizes)
            units = in_units(moved, sizes)[:, None]
        if self._phases is not None:
            steps = phase[:, None] + tf.range(1, self._horizon + 1)
            units *= tf.gather(self._phases, tf.math.floormod(steps, self._phases.shape[0]))
        return units


def _counts_at(output, parameters, chances):
    """The least counts whose probability, with all below, reaches the chances; in units of the parameters."""
    size, mean = 1 / parameters[..., 1:], output.mean_count(parameters)[..., None]
    chance = size / (size + mean)
    # No count is further above the mean, by the inequality of Cantelli.
    deviation = tf.sqrt(mean + mean**2 / size)
    high = tf.math.ceil(mean + deviation * tf.sqrt(chances / (1 - chances))) + 1
    size, chance, chances = (tf.broadcast_to(x, tf.shape(high)) for x in (size, chance, chances))

    def halved(low, high):
        middle = tf.math.floor((low + high) / 2)
        reached = tf.math.betainc(size, middle + 1, chance) >= chances * (1 - _ROUNDING)
        return tf.where(reached, low, middle), tf.where(reached, middle, high)

    first = (-tf.ones_like(high), high)
    _, found = tf.while_loop(lambda low, high: tf.reduce_any(high - low > 1), halved, first)
    return output.to_values(found)


def _ascending(quantiles):
    """Quantiles of which rounding turns none round."""
    found = [quantiles[..., 0]]
    for k in range(1, quantiles.shape[-1]):
        found.append(tf.maximum(found[-1], quantiles[..., k]))
    return tf.stack(found, axis=-1)
