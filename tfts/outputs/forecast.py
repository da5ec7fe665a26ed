"""The last layer of a network: raw numbers become the parameters of its output."""

import keras
from keras import ops

from tfts.errors import ModelError
from tfts.outputs import build_output, output_config


@keras.saving.register_keras_serializable(package="tfts")
class Forecast(keras.layers.Layer):
    """Makes the parameters of an output and gives them the level of the window.

    Args:
        output: `Output`, its name, or its config.

    Call arguments:
        raw: Float tensor `(batch, horizon, width * targets)`: the locations of all targets, then
            each further number of all targets.
        level: Float tensor `(batch, 1, features)`, what was subtracted from the window. The targets
            are the first features.
        scale: Float tensor `(batch, 1, features)`, what the window was divided by.

    Returns:
        Tensor of the output's parameters; of `Point` `(batch, horizon, targets)`.

    Raises:
        ValueError: If the output is unknown, or the columns can't be shared by its width.

    Example:

    >>> import numpy as np
    >>> layer = Forecast("point")
    >>> one = np.ones((1, 1, 1))
    >>> keras.ops.convert_to_numpy(layer(2 * one, level=10 * one, scale=3 * one)).tolist()
    [[[16.0]]]
    """

    def __init__(self, output, **kwargs):
        super().__init__(**kwargs)
        self.of = build_output(output)

    def build(self, raw_shape, level_shape=None, scale_shape=None):
        if raw_shape[-1] % self.of.width:
            raise ModelError(
                f"{self.of!r} needs {self.of.width} columns for each target. Received: {raw_shape[-1]} columns."
            )
        if self.of.shape_size:
            targets = raw_shape[-1] // self.of.width
            self.shape = self.add_weight(
                name="shape", shape=(raw_shape[-2], targets, self.of.shape_size), initializer="zeros"
            )
        if self.of.width > 1:
            # Beside what the network gives: a fit that starts from a linear map sets the spread here.
            self.further = self.add_weight(
                name="further",
                shape=(raw_shape[-2], raw_shape[-1] // self.of.width, self.of.width - 1),
                initializer="zeros",
            )
        self.built = True

    def call(self, raw, level=None, scale=None):
        horizon, columns = raw.shape[1:]
        width, targets = self.of.width, columns // self.of.width
        raw = ops.reshape(raw, (-1, horizon, width, targets))
        shape = ops.cast(self.shape, raw.dtype) if self.of.shape_size else None
        raw = ops.transpose(raw, (0, 1, 3, 2))
        if width > 1:
            raw = raw + ops.pad(ops.cast(self.further, raw.dtype), ((0, 0), (0, 0), (1, 0)))
        if level is None:
            return self.of.parameters(raw, shape)
        return self.of.parameters(raw, shape, level[..., :targets], scale[..., :targets])

    def compute_output_shape(self, raw_shape, level_shape=None, scale_shape=None):
        batch, horizon, columns = raw_shape
        raw = keras.KerasTensor((batch, horizon, columns // self.of.width, self.of.width))
        return tuple(self.of.head(raw).shape)

    def get_config(self):
        return {**super().get_config(), "output": output_config(self.of)}
