"""Cuts a sequence into segments."""

from typing import Any

import keras
from keras import ops

from tfts.errors import SettingError
from tfts.layers._checks import check_positive_int


@keras.saving.register_keras_serializable(package="tfts")
class Segments(keras.layers.Layer):
    """Cuts each feature of a sequence into segments of one length, one after the other.

    A sequence that the length does not divide is made longer by repeats of its
    first step in front, or of its last step at the end.

    Args:
        length: Int >= 1, time steps of a segment.
        end: Bool. Whether missing steps are added at the end.

    Call arguments:
        inputs: Float tensor `(batch, time, features)`.

    Returns:
        Tensor `(batch, features, segments, length)`, where `segments` is `time / length`
        rounded up.

    Raises:
        ValueError: If `length` is not an int >= 1, or the time axis is unknown.

    Example:

    >>> import numpy as np
    >>> segments = Segments(length=2)(np.array([[[1.0], [2.0], [3.0]]]))
    >>> keras.ops.convert_to_numpy(segments).tolist()
    [[[[1.0, 1.0], [2.0, 3.0]]]]

    Source: Lin et al., SegRNN: Segment Recurrent Neural Network for Long-Term Time Series
    Forecasting, arXiv 2308.11200, 2023.
    """

    def __init__(self, length: int, end: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_positive_int(length=length)
        self.length = length
        self.end = end

    def build(self, inputs_shape):
        if inputs_shape[1] is None:
            raise SettingError(
                "Segments needs to know how many time steps there are. "
                f"Received: input shape {tuple(inputs_shape)}."
            )
        self.built = True

    def call(self, inputs):
        time, features = inputs.shape[1:]
        parts = [inputs]
        missing = -time % self.length
        if missing:
            edge = inputs[:, -1:] if self.end else inputs[:, :1]
            parts.insert(len(parts) if self.end else 0, ops.repeat(edge, missing, axis=1))
        whole = ops.transpose(ops.concatenate(parts, axis=1), (0, 2, 1))
        return ops.reshape(whole, (-1, features, (time + missing) // self.length, self.length))

    def compute_output_shape(self, inputs_shape):
        batch, time, features = inputs_shape
        return (batch, features, -(-time // self.length), self.length)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "length": self.length, "end": self.end}
