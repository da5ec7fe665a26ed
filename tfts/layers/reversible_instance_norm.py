"""Takes the level and the size out of each window, and gives them back to the forecast."""

from typing import Any, Literal

import keras
from keras import ops

from tfts._messages import unknown
from tfts.errors import SettingError

CENTERS = ("mean", "last")
# Of a learnt scale.
_LEAST_SCALE = 1e-5


@keras.saving.register_keras_serializable(package="tfts")
class ReversibleInstanceNorm(keras.layers.Layer):
    """Normalises each window by its own level and spread, and restores a forecast by the same.

    The layer is called twice: `norm(past)` normalises a window, and
    `norm(forecast, window=past, restore=True)` restores a forecast of the
    window's first features. It is what lets a network follow a series whose
    level drifts. The statistics are taken in float32 at least.

    Args:
        center: `"mean"` subtracts the mean of the window, `"last"` its last value.
        scale: Bool. Whether to divide by the standard deviation of the window.
        affine: Bool. Whether to learn a scale and a shift for each feature,
            applied after normalising and undone before restoring.
        epsilon: Float > 0, added to the variance, so that a constant window
            does not divide by zero.

    Call arguments:
        inputs: Float tensor `(batch, steps, features)`, what to normalise or
            to restore. It may hold the window's first features only. None, an
            optional input of the model that was left out, stays None.
        window: Float tensor `(batch, time, features)`, the window, not
            normalised, whose level and spread are used. Default: `inputs`.
        restore: Bool. Whether to restore rather than to normalise.
        return_statistics: Bool. Whether to return the level and the scale as well.
        mask: Bool tensor `(batch, steps)`, True where a step of `inputs`
            counts towards the level and the spread, when there is no `window`.
        window_mask: Bool tensor `(batch, time)`, the same for `window`.

    Returns:
        Tensor of the shape of `inputs`. With `return_statistics` the tuple `(tensor, level, scale)`,
        where `level` and `scale`, both `(batch, 1, features)`, restore by `level + scale * forecast`.

    Raises:
        ValueError: If `center` is unknown or `epsilon` is not above 0.

    Example:

    >>> import numpy as np
    >>> past = np.array([[[1.0], [3.0], [8.0]]])
    >>> norm = ReversibleInstanceNorm(center="last", scale=False)
    >>> keras.ops.convert_to_numpy(norm(past)).tolist()
    [[[-7.0], [-5.0], [0.0]]]
    >>> keras.ops.convert_to_numpy(norm(np.array([[[2.0]]]), window=past, restore=True)).tolist()
    [[[10.0]]]

    Source: Kim et al., Reversible Instance Normalization for Accurate
    Time-Series Forecasting against Distribution Shift, ICLR 2022.
    """

    def __init__(
        self,
        center: Literal["mean", "last"] = "mean",
        scale: bool = True,
        affine: bool = False,
        epsilon: float = 1e-05,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if center not in CENTERS:
            raise SettingError(unknown("center", center, CENTERS))
        if not epsilon > 0:
            raise SettingError(f"`epsilon` must be above 0. Received: epsilon={epsilon!r}.")
        self.center = center
        self.scale = scale
        self.affine = affine
        self.epsilon = epsilon
        self.supports_masking = True

    def build(self, inputs_shape, window_shape=None):
        if self.affine:
            features = (inputs_shape if window_shape is None else window_shape)[-1]
            self.gamma = self.add_weight(shape=(features,), initializer="ones", name="gamma")
            self.beta = self.add_weight(shape=(features,), initializer="zeros", name="beta")
        self.built = True

    def call(self, inputs, window=None, restore=False, return_statistics=False, mask=None, window_mask=None):
        if inputs is None:
            return None
        precise = keras.backend.result_type(self.compute_dtype, "float32")
        values = ops.cast(inputs, precise)
        width = inputs.shape[-1]
        if window is None:
            level, spread = self._statistics(values, mask)
        else:
            level, spread = self._statistics(ops.cast(window[..., :width], precise), window_mask)
        gamma, beta = 1.0, 0.0
        if self.affine:
            gamma, beta = (ops.cast(w[:width], precise) for w in (self.gamma, self.beta))
            # A scale below 0 would turn the quantiles of a forecast round.
            gamma = ops.maximum(ops.abs(gamma), _LEAST_SCALE)
        if restore:
            values = (values - beta) / gamma * spread + level
        else:
            values = (values - level) / spread * gamma + beta
        output = ops.cast(values, self.compute_dtype)
        if not return_statistics:
            return output
        scale = spread / gamma
        return output, *(ops.cast(x, self.compute_dtype) for x in (level - beta * scale, scale))

    def _statistics(self, window, mask):
        """Level and spread of each window and feature, both `(batch, 1, features)`."""
        if mask is None:
            weight = ops.ones_like(window[..., :1])
        else:
            weight = ops.cast(ops.expand_dims(mask, -1), window.dtype)
        count = ops.maximum(ops.sum(weight, axis=1, keepdims=True), 1.0)
        mean = ops.sum(weight * window, axis=1, keepdims=True) / count
        level, spread = mean, ops.ones_like(mean)
        if self.center == "last":
            if mask is None:
                level = window[:, -1:]
            else:
                # 1 at the last step that counts, the only one after which none does.
                later = ops.flip(ops.cumsum(ops.flip(weight, axis=1), axis=1), axis=1)
                level = ops.sum(ops.where((later == 1) & (weight == 1), window, 0.0), axis=1, keepdims=True)
        if self.scale:
            variance = ops.sum(weight * ops.square(window - mean), axis=1, keepdims=True) / count
            spread = ops.sqrt(variance + self.epsilon)
        return level, spread

    def compute_mask(self, inputs, previous_mask):
        return previous_mask

    def compute_output_shape(self, inputs_shape, window_shape=None):
        return tuple(inputs_shape)

    def compute_output_spec(self, inputs, window=None, return_statistics=False, **call_arguments):
        if inputs is None:
            return None
        output = keras.KerasTensor(inputs.shape, self.compute_dtype)
        if not return_statistics:
            return output
        shape = inputs.shape[0], 1, inputs.shape[-1]
        return output, *(keras.KerasTensor(shape, self.compute_dtype) for _ in range(2))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "center": self.center,
            "scale": self.scale,
            "affine": self.affine,
            "epsilon": self.epsilon,
        }
