"""One number for each target and step."""

import dataclasses

from tfts.outputs.output import Output


@dataclasses.dataclass(frozen=True)
class Point(Output):
    """A point forecast: one number for each target and step.

    With a squared loss it is the mean, with an absolute one the median. Parameters are the forecast
    itself, `(batch, horizon, targets)`.

    Example:

    >>> import numpy as np
    >>> Point().restore(np.array([[[2.0]]]), level=10.0, scale=3.0).tolist()
    [[[16.0]]]
    """

    width = 1

    def head(self, raw, shape=None):
        return raw[..., 0]

    def loss(self):
        return "mse"

    def restore(self, parameters, level, scale):
        return parameters * scale + level

    def mean(self, parameters):
        return parameters
