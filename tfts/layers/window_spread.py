"""How much a window varies, in a few numbers."""

import keras
from keras import ops

# Numbers for each feature.
NUM_SPREADS = 3
# Share of the window whose differences count as the latest.
_LATEST = 4


@keras.saving.register_keras_serializable(package="tfts")
class WindowSpread(keras.layers.Layer):
    """How much each feature of a window varies: what the width of a forecast can follow.

    Three numbers: the mean distance from the window's mean, the mean size of its steps, and that of its
    last quarter. The layer has no weights.

    Call arguments:
        inputs: Float tensor `(batch, context_length, features)`.

    Returns:
        Tensor `(batch, features, 3)`.

    Example:

    >>> import numpy as np
    >>> spreads = WindowSpread()(np.array([[[0.0], [2.0], [0.0], [6.0]]]))
    >>> keras.ops.convert_to_numpy(spreads).tolist()
    [[[2.0, 3.3333..., 6.0]]]

    Source: Engle, Autoregressive conditional heteroscedasticity, Econometrica 50, 1982: the size of the
    last steps tells that of the next.
    """

    def call(self, inputs):
        around = ops.mean(ops.abs(inputs - ops.mean(inputs, axis=1, keepdims=True)), axis=1)
        if inputs.shape[1] == 1:
            return ops.stack([around] * NUM_SPREADS, axis=-1)
        steps = ops.abs(inputs[:, 1:] - inputs[:, :-1])
        latest = steps[:, -max(1, inputs.shape[1] // _LATEST) :]
        return ops.stack([around, ops.mean(steps, axis=1), ops.mean(latest, axis=1)], axis=-1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[2], NUM_SPREADS)
