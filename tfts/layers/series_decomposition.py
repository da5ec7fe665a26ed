"""Splits a series into its trend and the rest."""

from typing import Any

import keras
from keras import ops

from tfts.errors import SettingError
from tfts.layers._checks import check_positive_int


@keras.saving.register_keras_serializable(package="tfts")
class SeriesDecomposition(keras.layers.Layer):
    """Splits a series into a moving-average trend and a remainder.

    The ends are repeated, so both parts keep the input's length and units and
    `trend + remainder == inputs`.

    Args:
        kernel_size: Odd int >= 1, in time steps. About one season.

    Call arguments:
        inputs: Float tensor `(batch, time, features)`.
        mask: Bool tensor `(batch, time)`, True where a step counts towards the average.

    Returns:
        Tuple `(trend, remainder)`, each `(batch, time, features)`.

    Raises:
        ValueError: If `kernel_size` is not an int >= 1, or even.

    Example:

    >>> import numpy as np
    >>> trend, _ = SeriesDecomposition(kernel_size=3)(np.array([[[0.0], [3.0], [6.0]]]))
    >>> keras.ops.convert_to_numpy(trend).tolist()
    [[[1.0], [3.0], [5.0]]]

    Source: Wu et al., Autoformer: Decomposition Transformers with Auto-Correlation for
    Long-Term Series Forecasting, NeurIPS 2021.
    """

    def __init__(self, kernel_size: int = 25, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_positive_int(kernel_size=kernel_size)
        if kernel_size % 2 == 0:
            raise SettingError(
                "`kernel_size` must be an odd int >= 1, so that the average is centred on its time step. "
                f"Received: kernel_size={kernel_size}."
            )
        self.kernel_size = kernel_size
        self.supports_masking = True

    def call(self, inputs, mask=None):
        if mask is None:
            trend = self._average(inputs)
        else:
            weight = ops.cast(ops.expand_dims(mask, -1), inputs.dtype)
            # Where no step counts, the weighted sum is zero, and so is the trend.
            trend = self._average(weight * inputs) / ops.maximum(
                self._average(weight), 0.5 / self.kernel_size
            )
        return trend, inputs - trend

    def _average(self, inputs):
        # Repeat the ends: padding with zeros would bend the trend to zero.
        sides = self.kernel_size // 2
        first, last = (ops.repeat(end, sides, axis=1) for end in (inputs[:, :1], inputs[:, -1:]))
        padded = ops.concatenate([first, inputs, last], axis=1)
        return ops.average_pool(padded, self.kernel_size, strides=1, data_format="channels_last")

    def compute_mask(self, inputs, previous_mask):
        return previous_mask, previous_mask

    def compute_output_shape(self, inputs_shape):
        return tuple(inputs_shape), tuple(inputs_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kernel_size": self.kernel_size}
