"""A Student t distribution for each target and step."""

import dataclasses
import functools

import numpy as np

from tfts.outputs.normal import LEAST_DEVIATION
from tfts.outputs.output import Output, constants, last_axis, softplus, softplus_ratio, stacked

# Degree of the polynomials, in one over the degrees of freedom, by which quantiles are found: their
# error is below 1e-7 of the quantile for levels from 0.001 to 0.999.
_DEGREE = 24


@dataclasses.dataclass(frozen=True)
class StudentT(Output):
    """A Student t distribution, whose tails allow for outliers.

    Parameters are its location, its scale and its degrees of freedom, which are above 2, so that the
    variance is finite. It is learnt by maximum likelihood.

    Example:

    >>> import numpy as np
    >>> parameters = np.array([[[[10.0, 2.0, 4.0]]]])
    >>> StudentT().quantiles(parameters, [0.5, 0.9]).round(2).tolist()
    [[[[10.0, 13.07]]]]

    Source: as `Normal`; the t likelihood: Lange, Little and Taylor, Robust statistical modeling
    using the t distribution, Journal of the American Statistical Association 84, 1989.
    """

    width = 3
    has_distribution = True

    def head(self, raw, shape=None):
        from keras import ops

        freedom = 2 + softplus(raw[..., 2])
        return ops.stack([raw[..., 0], softplus(raw[..., 1]) + LEAST_DEVIATION, freedom], axis=-1)

    def loss(self):
        from tfts.outputs.losses import OutputLoss

        return OutputLoss(self)

    def cost(self, actual, parameters):
        """Less the constant, `(batch, horizon, targets)`."""
        from keras import ops

        from tfts.outputs.log_gamma import log_gamma

        scale, freedom = parameters[..., 1], parameters[..., 2]
        square = ops.square((actual - parameters[..., 0]) / scale) / freedom
        normal = log_gamma((freedom + 1) / 2) - log_gamma(freedom / 2) - ops.log(freedom) / 2
        return ops.log(scale) - normal + (freedom + 1) / 2 * ops.log1p(square)

    def restore(self, parameters, level, scale):
        factor = last_axis(scale) * constants([1, 1, 0], parameters) + constants([0, 0, 1], parameters)
        return parameters * factor + last_axis(level) * constants([1, 0, 0], parameters)

    def mean(self, parameters):
        return parameters[..., 0]

    def quantiles(self, parameters, levels):
        location, scale = parameters[..., 0], parameters[..., 1]
        # From 1/2 to 0 becomes from 1 to -1.
        place = 4 / parameters[..., 2] - 1
        return stacked([location + scale * _clenshaw(_polynomial(float(level)), place) for level in levels])

    def further_raw(self, ratio):
        raw = softplus_ratio(ratio)
        return np.stack([raw, np.zeros_like(raw)], axis=-1)

    def score_table(self, scores):
        from scipy import special

        return np.stack(_coefficients(special.ndtr(scores)), axis=-1)

    def at_table(self, parameters, table):
        place = 4 / parameters[..., 2:] - 1
        series = _clenshaw([table[..., i] for i in range(_DEGREE + 1)], place)
        return parameters[..., :1] + parameters[..., 1:2] * series

    def at(self, parameters, scores):
        from scipy import special, stats

        freedom = parameters[..., 2]
        # By the upper tail, in which no digit is lost.
        away = stats.t.isf(special.ndtr(-np.abs(scores)), freedom)
        return parameters[..., 0] + parameters[..., 1] * np.sign(scores) * away

    def scores(self, parameters, values):
        from scipy import special, stats

        away = (values - parameters[..., 0]) / parameters[..., 1]
        return -np.sign(away) * special.ndtri(stats.t.sf(np.abs(away), parameters[..., 2]))


@functools.lru_cache(maxsize=256)
def _polynomial(level):
    """Chebyshev coefficients of the quantile of a level, by one over the degrees of freedom."""
    return tuple(float(value) for value in _coefficients(np.float64(level)))


def _coefficients(levels):
    """The same of an array of levels: a list of arrays."""
    from scipy import stats

    nodes = np.polynomial.chebyshev.chebpts1(_DEGREE + 1)
    freedom = 1 / np.maximum((nodes + 1) / 4, 1e-12)
    found = stats.t.ppf(np.asarray(levels)[..., None], freedom)
    basis = np.polynomial.chebyshev.chebvander(nodes, _DEGREE)
    shares = 2 * basis / len(nodes)
    shares[:, 0] /= 2
    return list(np.moveaxis(found @ shares, -1, 0))


def _clenshaw(coefficients, place):
    """A Chebyshev series, of an array or a tensor."""
    later, latest = 0 * place, 0 * place
    for coefficient in coefficients[:0:-1]:
        later, latest = coefficient + 2 * place * later - latest, later
    return coefficients[0] + place * later - latest
