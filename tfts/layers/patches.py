"""Cuts a series into overlapping stretches."""

from typing import Any

import keras
import numpy as np
from keras import ops

from tfts.errors import SettingError
from tfts.layers._checks import check_positive_int


@keras.saving.register_keras_serializable(package="tfts")
class Patches(keras.layers.Layer):
    """Cuts each feature into patches: stretches of rows that may overlap.

    The first patch starts at the first row. One patch more than fits is cut, and the
    last row is repeated where it reaches beyond the end, so that no row is left out:
    `(time - length) // stride + 2` patches.

    Args:
        length: Int >= 1, rows of a patch.
        stride: Int from 1 to `length`, rows from one start to the next.

    Call arguments:
        inputs: Float tensor `(batch, time, features)`.

    Returns:
        Tensor `(batch, features, patches, length)`.

    Raises:
        ValueError: If `length` or `stride` is out of range, or the time axis is
            unknown or shorter than `length` when the layer is built.

    Example:

    >>> import numpy as np
    >>> patches = Patches(length=3, stride=2)(np.array([[[1.0], [2.0], [3.0], [4.0], [5.0]]]))
    >>> keras.ops.convert_to_numpy(patches).tolist()
    [[[[1.0, 2.0, 3.0], [3.0, 4.0, 5.0], [5.0, 5.0, 5.0]]]]

    Source: Nie et al., A Time Series is Worth 64 Words, ICLR 2023.
    """

    def __init__(self, length: int, stride: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_positive_int(length=length, stride=stride)
        if stride > length:
            raise SettingError(
                "`stride` must not be above `length`, or rows between two patches would not be seen. "
                f"Received: stride={stride}, length={length}."
            )
        self.length = length
        self.stride = stride
        self.supports_masking = True

    def build(self, input_shape):
        time = input_shape[1]
        if time is None or time < self.length:
            raise SettingError(
                f"A patch of {self.length} rows needs an input with at least as many. "
                f"Received: input shape {tuple(input_shape)}."
            )
        starts = np.arange((time - self.length) // self.stride + 2) * self.stride
        self.rows = np.minimum(starts[:, None] + np.arange(self.length), time - 1)
        self.built = True

    def call(self, inputs):
        patches = ops.take(inputs, ops.convert_to_tensor(self.rows.ravel(), "int32"), axis=1)
        patches = ops.transpose(patches, (0, 2, 1))
        return ops.reshape(patches, (-1, inputs.shape[2], *self.rows.shape))

    def holders(self, time):
        """Which patches hold each row, float32 `(time, patches)`, each row summing to 1."""
        held = (self.rows == np.arange(time)[:, None, None]).any(axis=-1)
        return (held / held.sum(axis=1, keepdims=True)).astype("float32")

    def compute_mask(self, inputs, previous_mask):
        # A patch is no row, so a mask of rows says nothing about it.
        return None

    def compute_output_shape(self, input_shape):
        batch, time, features = input_shape
        return batch, features, (time - self.length) // self.stride + 2, self.length

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "length": self.length, "stride": self.stride}
