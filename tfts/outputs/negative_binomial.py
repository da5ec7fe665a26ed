"""A negative binomial distribution of counts for each target and step."""

import dataclasses

import numpy as np

from tfts.errors import DataError, SettingError
from tfts.outputs.output import Output, constants, last_axis, softplus

# The least dispersion: beside counts below a thousand it is a Poisson distribution.
_LEAST_DISPERSION = 1e-4
# The least mean.
_LEAST_MEAN = 1e-6
# The least and the largest dispersion that is started from.
_FIRST_DISPERSIONS = 1e-3, 10.0


@dataclasses.dataclass(frozen=True)
class NegativeBinomial(Output):
    """A negative binomial distribution, for counts: 0, 1, 2 ...

    Parameters are a number whose softplus is the mean, and the dispersion: the variance is mean +
    dispersion * mean ** 2. It is learnt by maximum likelihood, of the counts themselves: a network
    that sees scaled values has an output that knows their units, see `in_units`, and starts from counts of
    that mean and spread: a sale in a hundred days is no further away than a hundred a day. Quantiles are
    counts; where most are 0, so is the median.

    Args:
        offset: Floats, of each target: what the value 0 of the network stands for in counts.
        scale: Floats > 0, likewise of a step of 1.

    Example:

    >>> import numpy as np
    >>> parameters = np.array([[[[3.0, 0.5]]]])
    >>> NegativeBinomial().mean(parameters).round(2).tolist()
    [[[3.05]]]
    >>> NegativeBinomial().quantiles(parameters, [0.1, 0.5, 0.9]).tolist()
    [[[[0.0, 2.0, 7.0]]]]

    Source: Snyder, Ord and Beaumont, Forecasting the intermittent demand for slow-moving
    inventories, International Journal of Forecasting 28, 2012; Salinas et al., DeepAR, 2020.
    """

    offset: tuple = (0.0,)
    scale: tuple = (1.0,)
    width = 2
    has_distribution = True
    # Keras lacks the incomplete beta function.
    has_quantiles_in_graph = False

    def __post_init__(self):
        for name in ("offset", "scale"):
            object.__setattr__(self, name, tuple(float(value) for value in np.ravel(getattr(self, name))))

    def head(self, raw, shape=None):
        from keras import ops

        return ops.stack([raw[..., 0], softplus(raw[..., 1]) + _LEAST_DISPERSION], axis=-1)

    def parameters(self, raw, shape=None, level=None, scale=None):
        """As `Output.parameters`: zeros are counts whose mean is `offset` and whose deviation is `scale`."""
        location, dispersion = self._first()
        before = np.stack([np.zeros_like(dispersion), dispersion], axis=-1)
        found = super().parameters(raw + constants(before, raw), shape, level, scale)
        return found + constants(np.stack([location, np.zeros_like(location)], axis=-1), found)

    def loss(self):
        from tfts.outputs.losses import OutputLoss

        return OutputLoss(self)

    def cost(self, actual, parameters):
        """Of counts that come scaled, `(batch, horizon, targets)`."""
        from keras import ops

        from tfts.outputs.log_gamma import log_gamma

        count, mean, size = (
            ops.round(self._counts(actual)),
            self.mean_count(parameters),
            1 / parameters[..., 1],
        )
        ways = log_gamma(count + size) - log_gamma(size) - log_gamma(count + 1)
        return -(ways - size * ops.log1p(mean / size) + count * (ops.log(mean) - ops.log(mean + size)))

    def in_units(self, offset, scale):
        return type(self)(offset, scale)

    def check(self, panel, targets, scaler):
        if scaler.per_series or scaler.logged:
            raise SettingError(
                "Output 'negative_binomial' needs one scale for all series, without logarithms. Received: "
                f"scaler={scaler.kind!r}, per_series={scaler.per_series}."
            )
        rows = panel.spans.rows()
        for target in targets:
            column = panel.indices([target])[0]
            # What was filled between counts need not be one: the likelihood takes the nearest.
            self.check_values([panel.values[rows, column][~panel.filled[rows, column]]], target)

    def check_values(self, values, name):
        for part in values:
            part = part[~np.isnan(part)]
            wrong = part[(part < 0) | (part != np.round(part))]
            if len(wrong):
                raise DataError(
                    "Output 'negative_binomial' describes counts: 0, 1, 2 and so on. Received: "
                    f"{name}={wrong[0]:g} ({len(wrong)} values are not counts)."
                )

    def restore(self, parameters, level, scale):
        factor = last_axis(scale) * constants([1, 0], parameters) + constants([0, 1], parameters)
        return parameters * factor + last_axis(level) * constants([1, 0], parameters)

    def mean(self, parameters):
        return self.to_values(self.mean_count(parameters))

    def quantiles(self, parameters, levels):
        from scipy import stats

        size, chance = self._size_and_chance(parameters)
        counts = stats.nbinom.ppf(np.asarray(levels), size[..., None], chance[..., None])
        return np.moveaxis(self.to_values(np.moveaxis(counts, -1, 0)), 0, -1)

    def at(self, parameters, scores):
        from scipy import special, stats

        return self.to_values(stats.nbinom.ppf(special.ndtr(scores), *self._size_and_chance(parameters)))

    def further_from(self, parameters, actual):
        """As `Output.further_from`: the variance of the errors beyond the mean says how dispersed counts are."""
        mean, counts = self.mean_count(parameters), self._counts(actual)
        beyond = np.nanmean((counts - mean) ** 2 - mean, axis=0) / np.mean(mean**2, axis=0)
        raw = _softplus_inverse(np.clip(beyond, *_FIRST_DISPERSIONS))
        return (raw - _softplus_inverse(parameters[..., 1].mean(axis=0)))[..., None]

    def score_table(self, scores):
        """The probabilities of scores; a graph of TensorFlow counts up to them."""
        from scipy import special

        return special.ndtr(scores)

    def scores(self, parameters, values):
        """As `Output.scores`: a random one of those that a count stands for, the same each time."""
        from scipy import special, stats

        size, chance = self._size_and_chance(parameters)
        counts = np.round(self._counts(values))
        below = stats.nbinom.cdf(counts - 1, size, chance)
        drawn = np.random.default_rng(0).uniform(size=np.shape(counts))
        inside = below + drawn * stats.nbinom.pmf(counts, size, chance)
        return special.ndtri(np.clip(inside, 1e-12, 1 - 1e-12))

    def score_range(self, parameters, values):
        from scipy import special, stats

        counts = np.round(self._counts(values))
        size, chance = self._size_and_chance(parameters)
        return tuple(
            special.ndtri(np.clip(stats.nbinom.cdf(up_to, size, chance), 1e-12, 1 - 1e-12))
            for up_to in (counts - 1, counts)
        )

    def _first(self):
        """What zeros stand for, in counts: the numbers beside them of each target, a tuple of two arrays."""
        mean, deviation = np.asarray(self.offset), np.asarray(self.scale)
        known = mean > 0
        mean = np.where(known, mean, 1.0)
        dispersion = np.clip((deviation**2 - mean) / mean**2, *_FIRST_DISPERSIONS)
        # The softplus of the mean and of this is the mean.
        location = np.log(-np.expm1(-mean)) / deviation
        return np.where(known, location, 0.0), np.where(known, _softplus_inverse(dispersion), 0.0)

    def _counts(self, values):
        """Values as counts; of arrays or tensors."""
        return values * constants(self.scale, values) + constants(self.offset, values)

    def to_values(self, counts):
        """Counts as values."""
        return (counts - constants(self.offset, counts)) / constants(self.scale, counts)

    def mean_count(self, parameters):
        """The mean, in counts."""
        return softplus(self._counts(parameters[..., 0])) + _LEAST_MEAN

    def _size_and_chance(self, parameters):
        """The parameters that SciPy takes."""
        parameters = np.asarray(parameters, dtype=np.float64)
        size = 1 / parameters[..., 1]
        return size, size / (size + self.mean_count(parameters))


def _softplus_inverse(values):
    """The numbers whose softplus is `values`, NumPy."""
    return values + np.log(-np.expm1(-values))
