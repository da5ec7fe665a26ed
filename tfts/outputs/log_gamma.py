"""The logarithm of the gamma function, which Keras lacks (3.15)."""

from keras import ops

# From here up the series is exact to float32; smaller numbers are taken there by so many steps.
_STEPS = 6


def log_gamma(x):
    """The logarithm of the gamma function of tensors above 0, with its gradient.

    Example:

    >>> round(float(log_gamma(ops.convert_to_tensor(5.0))), 4)  # log(4!)
    3.1781

    Source: Stirling's series, after the recurrence gamma(x + 1) = x gamma(x): Abramowitz and
    Stegun, Handbook of Mathematical Functions, 6.1.15 and 6.1.41.
    """
    small = ops.where(x < _STEPS, x, 1.0)
    product = small
    for step in range(1, _STEPS):
        product = product * (small + step)
    up = ops.where(x < _STEPS, x + _STEPS, x)
    series = 1 / (12 * up) - 1 / (360 * up**3) + 1 / (1260 * up**5)
    whole = (up - 0.5) * ops.log(up) - up + 0.9189385332046727 + series
    return whole - ops.where(x < _STEPS, ops.log(product), 0.0)
