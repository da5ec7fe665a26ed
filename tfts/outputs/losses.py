"""The loss of an output that describes a distribution."""

import keras
from keras import ops

from tfts.outputs import build_output, output_config


@keras.saving.register_keras_serializable(package="tfts")
class OutputLoss(keras.losses.Loss):
    """What an output's parameters cost beside what happened: its own `cost`.

    Args:
        output: `Output` that describes a distribution, or its config.
        name: Str.

    Call arguments:
        y_true: Float tensor `(batch, horizon, targets)`.
        y_pred: Parameters `(batch, horizon, targets, width)`.

    Example:

    >>> from tfts.outputs import Quantiles
    >>> loss = OutputLoss(Quantiles([0.5]))
    >>> float(loss([[[3.0]]], [[[[1.0]]]]))  # Twice half of the absolute error.
    2.0
    """

    def __init__(self, output, name="loss", **options):
        super().__init__(name=name, **options)
        self.of = build_output(output)

    def call(self, y_true, y_pred):
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        # Keras takes the last axis of a single parameter away.
        if len(y_pred.shape) == len(y_true.shape):
            y_pred = ops.expand_dims(y_pred, -1)
        return self.of.cost(ops.cast(y_true, y_pred.dtype), y_pred)

    def get_config(self):
        return {**super().get_config(), "output": output_config(self.of)}
