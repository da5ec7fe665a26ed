"""An output of two numbers, with which tests show that no builder knows how many there are."""

import dataclasses

import keras

from tfts.outputs import Output


@dataclasses.dataclass(frozen=True)
class Spread(Output):
    """A low and a high value: the location less and plus a second number. It shows the wiring alone."""

    names_of: tuple = ("low", "high")
    width = 2

    def __post_init__(self):
        object.__setattr__(self, "names_of", tuple(self.names_of))

    def head(self, raw, shape=None):
        location, spread = raw[..., 0], raw[..., 1]
        return keras.ops.stack([location - spread, location + spread], axis=-1)

    def loss(self):
        return _both_off

    def restore(self, parameters, level, scale):
        return parameters * keras.ops.expand_dims(scale, -1) + keras.ops.expand_dims(level, -1)

    def mean(self, parameters):
        return (parameters[..., 0] + parameters[..., 1]) / 2


@keras.saving.register_keras_serializable(package="tests")
def _both_off(actual, parameters):
    """The squared error of low and high against one below and one above the truth."""
    actual = keras.ops.cast(actual, parameters.dtype)
    wanted = keras.ops.stack([actual - 1, actual + 1], axis=-1)
    return keras.ops.mean(keras.ops.square(parameters - wanted), axis=-1)
