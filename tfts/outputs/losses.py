"""The loss of an output that describes a distribution, and any loss of what was observed alone."""

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


@keras.saving.register_keras_serializable(package="tfts")
class ObservedLoss(keras.losses.Loss):
    """The mean of a loss over the values that were observed; the others are NaN and cost nothing.

    In the place of a value that is missing stands the forecast itself, which no loss of points can lower;
    what an output costs there is left out. The mean is then taken over observed values: every one of a
    batch counts alike.

    Args:
        loss: A Keras loss whose mean is taken over the batch, its name or its config; of points it must be 0 and
            flat where forecast and value are equal, as all of Keras are.
        name: Str.

    Call arguments:
        y_true: Float tensor `(batch, horizon, targets)`, NaN where nothing was observed.
        y_pred: As of the loss.

    Example:

    >>> float(ObservedLoss("mse")([[[1.0], [float("nan")]]], [[[3.0], [9.0]]]))
    4.0
    """

    def __init__(self, loss, name="loss", **options):
        super().__init__(name=name, **options)
        self.loss = keras.losses.get(loss)

    def call(self, y_true, y_pred):
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        observed = ops.logical_not(ops.isnan(y_true))
        if isinstance(self.loss, OutputLoss):
            cost = self.loss.call(ops.where(observed, y_true, 0), y_pred)
            cost = ops.where(observed, cost, 0)
        else:
            cost = self.loss(ops.where(observed, y_true, ops.stop_gradient(y_pred)), y_pred)
        seen = ops.mean(ops.cast(observed, y_pred.dtype))
        return cost / ops.where(seen > 0, seen, 1)

    def get_config(self):
        return {"name": self.name, "loss": keras.losses.serialize(self.loss)}
