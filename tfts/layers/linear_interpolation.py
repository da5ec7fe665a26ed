"""Draws a line through a few values, to have one for each step."""

from typing import Any

import keras
import numpy as np
from keras import ops

from tfts.layers._checks import check_positive_int


@keras.saving.register_keras_serializable(package="tfts")
class LinearInterpolation(keras.layers.Layer):
    """Interpolates values at knots to all steps.

    The knots are spread evenly from the first step to the last; one knot alone is
    the value of every step. The layer has no weights.

    Args:
        steps: Int >= 1.

    Call arguments:
        inputs: Float tensor `(..., knots)`.

    Returns:
        Tensor `(..., steps)`.

    Raises:
        ValueError: If `steps` is not an int >= 1.

    Example:

    >>> import numpy as np
    >>> line = LinearInterpolation(steps=5)(np.array([[1.0, 3.0, 7.0]]))
    >>> keras.ops.convert_to_numpy(line).tolist()
    [[1.0, 2.0, 3.0, 5.0, 7.0]]

    Source: Challu et al., N-HiTS: Neural Hierarchical Interpolation for Time Series
    Forecasting, AAAI 2023.
    """

    def __init__(self, steps: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_positive_int(steps=steps)
        self.steps = steps

    def build(self, input_shape):
        knots = input_shape[-1]
        at = np.linspace(0, knots - 1, self.steps)
        # What each knot adds to each step: a hat around the knot.
        self.hats = np.maximum(0, 1 - np.abs(at - np.arange(knots)[:, None])).astype("float32")
        self.built = True

    def call(self, inputs):
        return ops.matmul(inputs, ops.convert_to_tensor(self.hats, inputs.dtype))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.steps)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "steps": self.steps}
