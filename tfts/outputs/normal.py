"""A normal distribution for each target and step."""

import dataclasses

from tfts.outputs.output import Output, constants, last_axis, normal_scores, softplus, softplus_ratio

# The least standard deviation, in units of the normalised window.
LEAST_DEVIATION = 1e-4


@dataclasses.dataclass(frozen=True)
class Normal(Output):
    """A normal distribution: parameters are its mean and its standard deviation.

    It is learnt by maximum likelihood. With a scaler that takes logarithms the values are
    lognormal; the point forecast is then their median.

    Example:

    >>> import numpy as np
    >>> parameters = np.array([[[[10.0, 2.0]]]])
    >>> Normal().quantiles(parameters, [0.5, 0.9]).round(2).tolist()
    [[[[10.0, 12.56]]]]

    Source: Salinas et al., DeepAR, International Journal of Forecasting 36, 2020.
    """

    width = 2
    has_distribution = True

    def head(self, raw, shape=None):
        from keras import ops

        return ops.stack([raw[..., 0], softplus(raw[..., 1]) + LEAST_DEVIATION], axis=-1)

    def loss(self):
        from tfts.outputs.losses import OutputLoss

        return OutputLoss(self)

    def cost(self, actual, parameters):
        """Less the constant, `(batch, horizon, targets)`."""
        from keras import ops

        deviation = parameters[..., 1]
        return ops.log(deviation) + ops.square((actual - parameters[..., 0]) / deviation) / 2

    def restore(self, parameters, level, scale):
        return parameters * last_axis(scale) + last_axis(level) * constants([1, 0], parameters)

    def mean(self, parameters):
        return parameters[..., 0]

    def quantiles(self, parameters, levels):
        return self.at_table(parameters, constants(normal_scores(levels), parameters))

    def at(self, parameters, scores):
        return parameters[..., 0] + parameters[..., 1] * scores

    def further_raw(self, ratio):
        return softplus_ratio(ratio)[..., None]

    def score_table(self, scores):
        return scores

    def at_table(self, parameters, table):
        return parameters[..., :1] + parameters[..., 1:] * table

    def scores(self, parameters, values):
        return (values - parameters[..., 0]) / parameters[..., 1]
