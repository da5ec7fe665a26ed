"""A GRU that reads segments one by one and steps into all later ones at once."""

from typing import Any

import keras
from keras import ops

from tfts.errors import SettingError
from tfts.layers._checks import check_positive_int


@keras.saving.register_keras_serializable(package="tfts")
class SegmentGRU(keras.layers.Layer):
    """Reads the segments of every channel by one GRU, which then steps into each later segment.

    All channels go through the same weights. From what the GRU has seen of a
    channel it makes one step into each segment to come, all of them side by
    side: what it is given there says which segment and which channel is meant,
    half of it each, and what is known about the segment.

    Args:
        units: Int >= 1, the width of the GRU.
        num_ahead: Int >= 1, segments to come.

    Call arguments:
        inputs: Float tensor `(batch, channels, segments, width)`, with `width >= 2`.
        known_ahead: Float tensor `(batch, num_ahead, width)`, what is known
            about each segment to come. It is added to what the GRU is given.

    Returns:
        Tensor `(batch, channels, num_ahead, units)`, the state after each step ahead.

    Raises:
        ValueError: If an argument is not an int >= 1, or the inputs are less than 2 wide.

    Example:

    >>> import numpy as np
    >>> tuple(SegmentGRU(units=5, num_ahead=2)(np.zeros((3, 7, 11, 6))).shape)
    (3, 7, 2, 5)

    Source: Lin et al., SegRNN: Segment Recurrent Neural Network for Long-Term Time Series
    Forecasting, arXiv 2308.11200, 2023.
    """

    def __init__(self, units: int, num_ahead: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_positive_int(units=units, num_ahead=num_ahead)
        self.units = units
        self.num_ahead = num_ahead

    def build(self, inputs_shape, known_ahead_shape=None):
        _, channels, segments, width = inputs_shape
        if width < 2:
            raise SettingError(
                "The inputs of SegmentGRU must be at least 2 wide: one part of a step ahead stands for the "
                f"segment, the other for the channel. Received: input shape {tuple(inputs_shape)}."
            )
        self.gru = keras.layers.GRU(self.units, dtype=self.dtype_policy, name="gru")
        self.gru.build((None, segments, width))
        normal = keras.initializers.RandomNormal(stddev=1.0)
        shapes = {"positions": (self.num_ahead, width - width // 2), "channels": (channels, width // 2)}
        self.positions, self.channels = (
            self.add_weight(shape=shape, initializer=normal, name=name) for name, shape in shapes.items()
        )
        self.built = True

    def call(self, inputs, known_ahead=None):
        channels, segments, width = inputs.shape[1:]
        seen = self.gru(ops.reshape(inputs, (-1, segments, width)))
        state = ops.reshape(seen, (-1, channels, 1, self.units))
        cell = self.gru.cell
        kernel, recurrent, bias = (
            ops.cast(weight, self.compute_dtype) for weight in (cell.kernel, cell.recurrent_kernel, cell.bias)
        )
        positions = ops.repeat(ops.expand_dims(self.positions, 0), channels, axis=0)
        names = ops.repeat(ops.expand_dims(self.channels, 1), self.num_ahead, axis=1)
        place = ops.concatenate([positions, names], axis=-1)
        # The step of the GRU by hand: neither of its products is the same work twice. What is
        # given is the same in each window, and the state is the same in each step.
        given = (ops.matmul(ops.cast(place, self.compute_dtype), kernel) + bias[0])[None]
        if known_ahead is not None:
            given = given + ops.expand_dims(ops.matmul(known_ahead, kernel), 1)
        update, reset, new = ops.split(given, 3, axis=-1)
        state_update, state_reset, state_new = ops.split(ops.matmul(state, recurrent) + bias[1], 3, axis=-1)
        update = ops.sigmoid(update + state_update)
        new = ops.tanh(new + ops.sigmoid(reset + state_reset) * state_new)
        return update * state + (1 - update) * new

    def compute_output_shape(self, inputs_shape, known_ahead_shape=None):
        return (*inputs_shape[:2], self.num_ahead, self.units)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "num_ahead": self.num_ahead}
