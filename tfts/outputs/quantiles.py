"""Quantiles of chosen levels, which can't cross."""

import dataclasses

import numpy as np

from tfts.errors import SettingError
from tfts.outputs.output import (
    Output,
    checked_levels,
    constants,
    last_axis,
    normal_scores,
    softplus_ratio,
    stacked,
)

# Spread of the first forecast, in units of the normalised window.
_FIRST_SPREAD = 0.5
# The least difference of neighbouring quantiles that still tells values apart, as a share of the widest.
_FLAT = 1e-6


@dataclasses.dataclass(frozen=True)
class Quantiles(Output):
    """Quantiles that are learnt by the pinball loss, without an assumption about the distribution.

    The raw numbers are the median, and the spread below and above it. From there outwards each
    quantile is the spread times a sum of weights of its horizon step and target, the shape. All are
    made positive by a softplus: quantiles can't cross, whatever the weights. The median is
    learnt too where `levels` lacks it; it is the point forecast.

    Args:
        levels: Ascending floats between 0 and 1.

    Raises:
        ValueError: If the levels are unsorted, repeated, or out of range.

    Example:

    >>> import numpy as np
    >>> output = Quantiles([0.1, 0.9])
    >>> output.learnt
    (0.1, 0.5, 0.9)
    >>> parameters = np.array([[[[-1.0, 0.0, 2.0]]]])
    >>> output.quantiles(parameters, [0.1, 0.5]).tolist()
    [[[[-1.0, 0.0]]]]

    Source: Koenker and Bassett, Regression quantiles, Econometrica 46, 1978; quantiles of all
    horizon steps at once: Wen et al., A multi-horizon quantile recurrent forecaster, 2017.
    """

    levels: tuple = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    has_distribution = True

    def __post_init__(self):
        object.__setattr__(self, "levels", checked_levels(self.levels, "levels"))

    @property
    def learnt(self):
        """The levels, with the median."""
        return tuple(sorted({*self.levels, 0.5}))

    @property
    def width(self):
        """The median, and the spread below and above it where there are levels."""
        return 1 + (self.learnt[0] < 0.5) + (self.learnt[-1] > 0.5)

    @property
    def shape_size(self):
        return len(self.learnt) - 1

    def head(self, raw, shape=None):
        return self.parameters(raw, shape)

    def parameters(self, raw, shape=None, level=None, scale=None):
        """As `Output.parameters`: the few raw numbers are taken to the level before they become many."""
        from keras import ops

        middle = self.learnt.index(0.5)
        location, spread = raw[..., :1], ops.softplus(raw[..., 1:])
        if level is not None:
            location, spread = location * last_axis(scale) + last_axis(level), spread * last_axis(scale)
        # Zeros are then a normal distribution.
        gaps = constants(np.diff(normal_scores(self.learnt)) * _FIRST_SPREAD / np.log(2), raw)
        steps = gaps if shape is None else gaps * ops.softplus(shape) / float(np.log(2))
        parts = [location]
        if middle:
            below = ops.flip(ops.cumsum(ops.flip(steps[..., :middle], axis=-1), axis=-1), axis=-1)
            parts.insert(0, location - spread[..., :1] * below)
        if middle < self.shape_size:
            parts.append(location + spread[..., -1:] * ops.cumsum(steps[..., middle:], axis=-1))
        return ops.concatenate(parts, axis=-1) if len(parts) > 1 else location

    def loss(self):
        from tfts.outputs.losses import OutputLoss

        return OutputLoss(self)

    def cost(self, actual, parameters):
        """Twice the mean pinball loss over the levels, `(batch, horizon, targets)`."""
        from keras import ops

        error = ops.expand_dims(actual, -1) - parameters
        # Of a level q it is |error| / 2 + (q - 1 / 2) error.
        tilt = constants(np.asarray(self.learnt) * 2 - 1, parameters) / len(self.learnt)
        return ops.mean(ops.abs(error), axis=-1) + ops.matmul(error, tilt)

    def restore(self, parameters, level, scale):
        return parameters * last_axis(scale) + last_axis(level)

    def mean(self, parameters):
        """The median."""
        return parameters[..., self.learnt.index(0.5)]

    def quantiles(self, parameters, levels):
        """Those learnt; between two of them as a normal distribution through both has them."""
        self.check_levels(levels)
        learnt, found = self.learnt, []
        for level in levels:
            k = int(np.searchsorted(learnt, level))
            if learnt[k] == level:
                found.append(parameters[..., k])
                continue
            low, place, high = normal_scores([learnt[k - 1], level, learnt[k]])
            share = float((place - low) / (high - low))
            found.append(parameters[..., k - 1] + share * (parameters[..., k] - parameters[..., k - 1]))
        return stacked(found)

    def check_levels(self, levels):
        learnt = self.learnt
        for level in levels:
            if not learnt[0] <= level <= learnt[-1]:
                raise SettingError(
                    f"The quantiles from {learnt[0]:g} to {learnt[-1]:g} were learnt, and nothing beyond. Received: "
                    f"level {level:g}. Fit with this level among `quantiles`, or calibrate with 'conformal'."
                )

    def at(self, parameters, scores):
        """As `Output.at`; beyond the outermost quantiles with the normal tail through the last two."""
        places = normal_scores(self.learnt)
        if len(places) == 1:
            return parameters[..., 0] + 0 * scores
        k = np.clip(np.searchsorted(places, scores, side="right") - 1, 0, len(places) - 2)
        whole = np.broadcast_shapes(np.shape(scores), parameters.shape[:-1])
        k = np.broadcast_to(k, whole)[..., None]
        parameters = np.broadcast_to(parameters, (*whole, len(places)))
        low = np.take_along_axis(parameters, k, axis=-1)[..., 0]
        high = np.take_along_axis(parameters, k + 1, axis=-1)[..., 0]
        k = k[..., 0]
        return low + (scores - places[k]) * (high - low) / (places[k + 1] - places[k])

    def further_raw(self, ratio):
        return np.repeat(softplus_ratio(ratio)[..., None], self.width - 1, axis=-1)

    def score_table(self, scores):
        # What `at` makes of quantiles of which one is 1 and the others are 0.
        size = len(self.learnt)
        return np.moveaxis(self.at(np.eye(size).reshape(size, *[1] * np.ndim(scores), size), scores), 0, -1)

    def at_table(self, parameters, table):
        from keras import ops

        return ops.matmul(table, parameters[..., None])[..., 0]

    def scores(self, parameters, values):
        places = normal_scores(self.learnt)
        if len(places) == 1:
            return values - parameters[..., 0]
        inside = (values[..., None] >= parameters).sum(axis=-1)
        k = np.clip(inside - 1, 0, len(places) - 2)[..., None]
        low = np.take_along_axis(parameters, k, axis=-1)[..., 0]
        high = np.take_along_axis(parameters, k + 1, axis=-1)[..., 0]
        k = k[..., 0]
        width = parameters[..., -1] - parameters[..., 0]
        least = np.maximum(_FLAT * width, np.finfo(np.float32).tiny)
        slope = np.maximum(high - low, least) / (places[k + 1] - places[k])
        return places[k] + (values - low) / slope
