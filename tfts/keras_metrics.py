"""The metrics of `tfts.metrics` as Keras metrics; `tfts.metrics.keras_metric` makes them.

They are apart because this module needs Keras. Import it before you load a model that
was saved compiled with one of them, or with the loss of an output.
"""

import keras
import numpy as np
from keras import ops

import tfts.outputs.losses  # noqa: F401
from tfts._messages import unknown
from tfts.errors import SettingError
from tfts.outputs import build_output, output_config

_EPSILON = float(np.finfo(np.float32).eps)


def _percentage(error, actual, forecast, zero):
    size = ops.abs(actual)
    has_ratio = size > zero
    ratio = 100 * ops.abs(error) / ops.where(has_ratio, size, 1)
    return ops.where(has_ratio, ratio, 0), ops.cast(has_ratio, error.dtype)


def _symmetric(error, actual, forecast, zero):
    both = ops.abs(actual) + ops.abs(forecast)
    return 200 * ops.abs(error) / ops.where(both > 0, both, 1), ops.ones_like(error)


# Each gives a numerator and a denominator for every point, in original units.
ERRORS = {
    "rmse": lambda error, *_: (error**2, ops.ones_like(error)),
    "mae": lambda error, *_: (ops.abs(error), ops.ones_like(error)),
    "mse": lambda error, *_: (error**2, ops.ones_like(error)),
    "mape": _percentage,
    "smape": _symmetric,
    "wape": lambda error, actual, *_: (100 * ops.abs(error), ops.abs(actual)),
    "bias": lambda error, *_: (error, ops.ones_like(error)),
}


# Of quantiles, and the levels of those, by default.
QUANTILE_ERRORS = ("pinball", "crps", "wql", "coverage", "interval_score", "width")
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def _observed(y_true, y_pred, sample_weight, dtype, output):
    """Actuals without NaN, forecasts, and the weight of every point: 0 where unobserved."""
    actual, forecast = ops.cast(y_true, dtype), output.mean(ops.cast(y_pred, dtype))
    observed = ops.logical_not(ops.isnan(actual))
    weight = ops.cast(observed, dtype)
    if sample_weight is not None:
        sample_weight = ops.cast(sample_weight, dtype)
        missing_axes = len(actual.shape) - len(sample_weight.shape)
        weight = weight * ops.reshape(sample_weight, ops.shape(sample_weight) + (1,) * missing_axes)
    return ops.where(observed, actual, 0), ops.where(observed, forecast, 0), weight


@keras.saving.register_keras_serializable(package="tfts")
class MeanError(keras.metrics.Metric):
    """A mean of errors in original units, over all points, from scaled tensors.

    A NaN in `y_true` is not scored; a NaN in `y_pred` beside an observed value makes the
    metric NaN. Meanings and units are those of `tfts.metrics`.

    Args:
        error: One of rmse, mae, mse, mape, smape, wape, bias.
        offset: Float or one for each target. original = scaled * scale + offset.
        scale: Float > 0 or one for each target.
        log: Whether original is the exponential of that.
        output: `Output` of the model, whose point forecast is scored, its name or its config.
        name: Str. By default `error`.
        dtype: Dtype of the sums. By default float32.

    Raises:
        ValueError: If `error` is unknown, or a scale is not above 0.

    Example:

    >>> metric = MeanError("mae", offset=100.0, scale=20.0)
    >>> metric.update_state([[[0.5]]], [[[0.75]]])
    >>> float(metric.result())
    5.0
    """

    def __init__(self, error, offset=0.0, scale=1.0, log=False, output="point", name=None, dtype=None):
        super().__init__(name=name or error, dtype=dtype)
        self.of = build_output(output)
        if error not in ERRORS:
            raise SettingError(unknown("error", error, ERRORS))
        if not (np.asarray(scale) > 0).all():
            raise SettingError(
                f"`scale` must be > 0, or nothing can be scaled back. Received: scale={scale}."
            )
        self.error = error
        self.offset = np.asarray(offset, dtype=np.float64).tolist()
        self.scale = np.asarray(scale, dtype=np.float64).tolist()
        self.log = bool(log)
        self.numerator = self.add_weight(name="numerator", initializer="zeros")
        self.denominator = self.add_weight(name="denominator", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self._add(*_observed(y_true, y_pred, sample_weight, self.dtype, self.of), self.offset, self.scale)

    def _add(self, actual, forecast, weight, offset, scale):
        offset, scale = (ops.convert_to_tensor(of, dtype=self.dtype) for of in (offset, scale))
        # The difference first: beside a large offset it would lose digits.
        error = (forecast - actual) * scale
        # A 0 comes back from its scaled value with the rounding of the offset.
        zero = _EPSILON * ops.maximum(1, 2 * ops.abs(offset))
        actual, forecast = actual * scale + offset, forecast * scale + offset
        if self.log:
            actual, forecast, zero = ops.exp(actual), ops.exp(forecast), 0.0
            error = forecast - actual
        numerator, denominator = ERRORS[self.error](error, actual, forecast, zero)
        self.numerator.assign_add(ops.sum(ops.where(weight > 0, numerator * weight, 0)))
        self.denominator.assign_add(ops.sum(denominator * weight))

    def result(self):
        denominator = ops.convert_to_tensor(self.denominator)
        some = denominator > 0
        mean = ops.where(some, self.numerator / ops.where(some, denominator, 1), float("nan"))
        return ops.sqrt(mean) if self.error == "rmse" else mean

    def get_config(self):
        return {
            **super().get_config(),
            "error": self.error,
            "offset": self.offset,
            "scale": self.scale,
            "log": self.log,
            "output": output_config(self.of),
        }


@keras.saving.register_keras_serializable(package="tfts")
class QuantileError(MeanError):
    """A score of an output's quantiles in original units, see `tfts.metrics`.

    Args:
        error: `"pinball"`, `"crps"`, `"wql"`; or of an interval `"coverage"`, `"interval_score"` or `"width"`.
        offset: As of `MeanError`.
        scale: As of `MeanError`.
        log: As of `MeanError`.
        output: `Output` with quantiles, or its config.
        levels: Levels of the quantiles.
        interval: Places in `levels` of the lower and the upper edge of the interval.
        name: As of `MeanError`.
        dtype: As of `MeanError`.

    Example:

    >>> from tfts.outputs import Quantiles
    >>> metric = QuantileError("wql", output=Quantiles([0.1, 0.5, 0.9]), levels=[0.5])
    >>> metric.update_state([[[4.0]]], [[[[1.0, 2.0, 3.0]]]])
    >>> float(metric.result())
    0.5
    """

    own_units = False

    def __init__(
        self,
        error,
        offset=0.0,
        scale=1.0,
        log=False,
        output="quantiles",
        levels=LEVELS,
        own_units=False,
        interval=None,
        name=None,
        dtype=None,
    ):
        super().__init__("mae", offset, scale, log, output, name or error, dtype)
        if error not in QUANTILE_ERRORS:
            raise SettingError(unknown("error", error, QUANTILE_ERRORS))
        self.interval = None if interval is None else list(interval)
        self.error, self.levels, self.own_units = error, list(levels), own_units

    def update_state(self, y_true, y_pred, sample_weight=None):
        actual, given = ops.cast(y_true, self.dtype), ops.cast(y_pred, self.dtype)
        offset, scale = (ops.convert_to_tensor(of, dtype=self.dtype) for of in (self.offset, self.scale))
        weight = ops.cast(ops.logical_not(ops.isnan(actual)), self.dtype)
        if self.own_units:
            if sample_weight is None:
                return
            offset, scale = (
                ops.cast(sample_weight[:, 0], self.dtype),
                ops.cast(sample_weight[:, 1], self.dtype),
            )
            known = ops.logical_not(ops.isnan(scale))
            scale, weight = ops.where(known, scale, 1), weight * ops.cast(known, self.dtype)
        actual = ops.where(weight > 0, actual, 0)
        quantiles = self.of.quantiles(given, self.levels)
        # The difference first: beside a large offset it would lose digits.
        error = (ops.expand_dims(actual, -1) - quantiles) * ops.expand_dims(scale, -1)
        actual = actual * scale + offset
        if self.log:
            beside = ops.expand_dims(scale, -1), ops.expand_dims(offset, -1)
            actual = ops.exp(actual)
            error = ops.expand_dims(actual, -1) - ops.exp(quantiles * beside[0] + beside[1])
        loss = self._loss(error) if self.interval is None else self._of_interval(error)
        size = ops.abs(actual) if self.error == "wql" else ops.ones_like(actual)
        self.numerator.assign_add(ops.sum(ops.where(weight > 0, loss, 0)))
        self.denominator.assign_add(ops.sum(size * weight))

    def _loss(self, error):
        """The mean pinball loss over the levels, or twice that."""
        levels = ops.convert_to_tensor(self.levels, dtype=self.dtype)
        loss = ops.mean(ops.maximum(levels * error, (levels - 1) * error), axis=-1)
        return loss if self.error == "pinball" else 2 * loss

    def _of_interval(self, error):
        """What a value says of the interval: of errors beside its lower and its upper quantile."""
        above_low, above_high = (error[..., place] for place in self.interval)
        if self.error == "coverage":
            return ops.cast(ops.logical_and(above_low >= 0, above_high <= 0), self.dtype)
        width = above_low - above_high
        if self.error == "width":
            return width
        beyond = ops.maximum(-above_low, 0) + ops.maximum(above_high, 0)
        return width + beyond / self.levels[self.interval[0]]

    def get_config(self):
        own = {"levels": self.levels, "own_units": self.own_units, "interval": self.interval}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="tfts")
class R2(keras.metrics.Metric):
    """Mean over the targets (the last axis) of the variance explained.

    An affine scaler does not change it, so it needs offset and scale only where the scaled
    values are those of logarithms. A NaN in `y_true` is not scored. A single point counts as
    a constant target: 1 or 0.

    Args:
        offset: Float or one for each target.
        scale: Float > 0 or one for each target.
        log: Whether original values are the exponentials of scaled * scale + offset.
        output: As of `MeanError`.
        name: Str.
        dtype: Dtype of the sums. By default float32.

    Example:

    >>> metric = R2()
    >>> metric.update_state([[[1.0], [2.0], [3.0]]], [[[1.0], [2.0], [4.0]]])
    >>> float(metric.result())
    0.5
    """

    def __init__(self, offset=0.0, scale=1.0, log=False, output="point", name="r2", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.of = build_output(output)
        self.offset = np.asarray(offset, dtype=np.float64).tolist()
        self.scale = np.asarray(scale, dtype=np.float64).tolist()
        self.log = bool(log)
        self._built = False

    def _build(self, num_targets):
        shape = (num_targets,)
        self.squared = self.add_weight(name="squared", shape=shape, initializer="zeros")
        self.count = self.add_weight(name="count", shape=shape, initializer="zeros")
        self.mean = self.add_weight(name="mean", shape=shape, initializer="zeros")
        self.spread = self.add_weight(name="spread", shape=shape, initializer="zeros")
        self._built = True

    def update_state(self, y_true, y_pred, sample_weight=None):
        actual, forecast, weight = _observed(y_true, y_pred, sample_weight, self.dtype, self.of)
        if self.log:
            offset, scale = (ops.convert_to_tensor(of, dtype=self.dtype) for of in (self.offset, self.scale))
            actual, forecast = ops.exp(actual * scale + offset), ops.exp(forecast * scale + offset)
        self._add(actual, forecast - actual, weight)

    def _add(self, actual, error, weight):
        num_targets = actual.shape[-1]
        if not self._built:
            self._build(num_targets)
        weight = ops.reshape(ops.broadcast_to(weight, ops.shape(actual)), (-1, num_targets))
        actual, error = ops.reshape(actual, (-1, num_targets)), ops.reshape(error, (-1, num_targets))

        # Chan's merge of the mean and the squared distances to it.
        count = ops.sum(weight, axis=0)
        mean = ops.sum(weight * actual, axis=0) / ops.where(count > 0, count, 1)
        spread = ops.sum(weight * (actual - mean) ** 2, axis=0)
        total = self.count + count
        step = (mean - self.mean) * count / ops.where(total > 0, total, 1)
        self.spread.assign_add(spread + self.count * (mean - self.mean) * step)
        self.mean.assign_add(step)
        self.count.assign(total)
        self.squared.assign_add(ops.sum(weight * error**2, axis=0))

    def result(self):
        if not self._built:
            raise SettingError("`update_state` must see the targets before r2 has a result.")
        squared, count, spread = map(ops.convert_to_tensor, (self.squared, self.count, self.spread))
        # Not count >= 2: with sample weights it is a sum of weights, which may be small.
        varies, scored = spread > 0, count > 0
        constant = ops.where(squared == 0, 1.0, 0.0)
        each = ops.where(varies, 1 - squared / ops.where(varies, spread, 1), constant)
        return ops.sum(ops.where(scored, each, 0)) / ops.sum(ops.cast(scored, self.dtype))

    def get_config(self):
        return {
            **super().get_config(),
            "offset": self.offset,
            "scale": self.scale,
            "log": self.log,
            "output": output_config(self.of),
        }


@keras.saving.register_keras_serializable(package="tfts")
class WindowMeanError(MeanError):
    """`MeanError` of windows that bring their own units, as series that each have a scale do.

    The units come where Keras passes sample weights, see `UnweightedLoss`. Windows that come
    without are not scored: the result is NaN.

    Args:
        error: As of `MeanError`.
        log: As of `MeanError`.
        output: As of `MeanError`.
        name: As of `MeanError`.
        dtype: As of `MeanError`.

    Call arguments:
        y_true: Float tensor `(batch, horizon, targets)`, scaled.
        y_pred: The same.
        sample_weight: Float tensor `(batch, 2, horizon, targets)`, offset and scale of each
            value. A value whose scale is NaN is not scored.

    Example:

    >>> metric = WindowMeanError("mae")
    >>> units = [[[[100.0]], [[20.0]]], [[[0.0]], [[4.0]]]]
    >>> metric.update_state([[[0.5]], [[1.0]]], [[[0.75]], [[1.5]]], units)
    >>> float(metric.result())  # of 0.25 times 20 and 0.5 times 4
    3.5
    """

    own_units = True

    def __init__(self, error, log=False, output="point", name=None, dtype=None):
        super().__init__(error, log=log, output=output, name=name, dtype=dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        if sample_weight is not None:
            parts = _own_units(y_true, y_pred, sample_weight, self.dtype, self.of)
            self._add(*parts)

    def get_config(self):
        config = super().get_config()
        return {name: value for name, value in config.items() if name not in ("offset", "scale")}


@keras.saving.register_keras_serializable(package="tfts")
class WindowR2(R2):
    """`R2` of windows that bring their own units, as `WindowMeanError` takes them.

    Args:
        offset: Float or one for each target: the level of all series together, which the
            values are taken from so that no digit is lost.
        log: As of `R2`.
        output: As of `R2`.
        name: As of `R2`.
        dtype: As of `R2`.

    Example:

    >>> metric = WindowR2(offset=100.0)
    >>> units = [[[[101.0]], [[2.0]]], [[[103.0]], [[1.0]]]]
    >>> metric.update_state([[[0.0]], [[0.0]]], [[[0.0]], [[1.0]]], units)
    >>> float(metric.result())  # 101 and 103 where 101 and 104 were forecast
    0.5
    """

    own_units = True

    def __init__(self, offset=0.0, log=False, output="point", name="r2", dtype=None):
        super().__init__(offset, log=log, output=output, name=name, dtype=dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        if sample_weight is None:
            return
        actual, forecast, weight, offset, scale = _own_units(
            y_true, y_pred, sample_weight, self.dtype, self.of
        )
        if self.log:
            actual, forecast = ops.exp(actual * scale + offset), ops.exp(forecast * scale + offset)
            self._add(actual, forecast - actual, weight)
            return
        level = ops.convert_to_tensor(self.offset, dtype=self.dtype)
        self._add(actual * scale + (offset - level), (forecast - actual) * scale, weight)

    def result(self):
        return super().result() if self._built else ops.convert_to_tensor(float("nan"), dtype=self.dtype)

    def get_config(self):
        config = super().get_config()
        return {name: value for name, value in config.items() if name != "scale"}


@keras.saving.register_keras_serializable(package="tfts")
class UnweightedLoss(keras.losses.Loss):
    """A loss that does not look at sample weights, in whose place windows bring their units.

    Keras gives what comes third in a batch to the loss and to metrics alike.

    Args:
        loss: A Keras loss, its name or its config.
        name: Str.

    Example:

    >>> float(UnweightedLoss("mse")([[[1.0]]], [[[3.0]]], sample_weight=[[[[0.0]], [[9.0]]]]))
    4.0
    """

    def __init__(self, loss, name="loss"):
        super().__init__(name=name)
        self.loss = keras.losses.get(loss)

    def __call__(self, y_true, y_pred, sample_weight=None):
        if isinstance(self.loss, keras.losses.Loss):
            return self.loss(y_true, y_pred)
        return super().__call__(y_true, y_pred)

    def call(self, y_true, y_pred):
        return self.loss(y_true, y_pred)

    def get_config(self):
        return {"name": self.name, "loss": keras.losses.serialize(self.loss)}


def _own_units(y_true, y_pred, units, dtype, output):
    """As `_observed`, and the offset and the scale of every value."""
    units = ops.cast(units, dtype)
    offset, scale = units[:, 0], units[:, 1]
    scored = ops.logical_not(ops.isnan(scale))
    actual, forecast, weight = _observed(y_true, y_pred, None, dtype, output)
    actual, forecast = ops.where(scored, actual, 0), ops.where(scored, forecast, 0)
    return actual, forecast, weight * ops.cast(scored, dtype), offset, ops.where(scored, scale, 1)
