"""Keras's LSTM, with TensorFlow's fused kernel where there are CPUs alone."""

import keras
from keras import ops

# Units up to which the kernel is quicker on two threads. Its products are not oneDNN's, which win
# beyond: with 128 units a training step takes 1.6 times as long as Keras's loop.
_MOST_UNITS = 64


@keras.saving.register_keras_serializable(package="tfts")
class LSTM(keras.layers.LSTM):
    """`keras.layers.LSTM`, quicker on a CPU.

    Arguments, weights and files are those of Keras's layer, and so are the
    numbers, up to rounding. On the TensorFlow backend, where there are CPUs
    alone, a whole sequence is one operation with a gradient of its own.
    Keras's loop, or cuDNN, runs all else: more than 64 units (two threads run
    the loop quicker then), other backends and devices, code
    that XLA compiles, half precision, masks, `unroll`, `recurrent_dropout`,
    other activations, no bias, and `use_cudnn=False`, which an export sets so
    that its graph runs on every device. That operation has no second
    derivative: set `use_cudnn=False` for one.

    Args:
        units: Int >= 1, the width. All other arguments are those of
            `keras.layers.LSTM`.

    Call arguments:
        sequences: Float tensor `(batch, time, features)`.
        initial_state: List of two float tensors `(batch, units)`, the hidden
            and the cell state before the first step. Default: zeros.
        mask: Bool tensor `(batch, time)`; a False step is skipped.
        training: Bool. Whether to drop inputs.

    Returns:
        The last output `(batch, units)`, or with `return_sequences` all
        `(batch, time, units)`; with `return_state` a list of it and the two
        states after the last step, each `(batch, units)`.

    Example:

    >>> import numpy as np
    >>> tuple(LSTM(5, return_sequences=True)(np.zeros((2, 7, 3))).shape)
    (2, 7, 5)

    Source: Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 9, 1997.
    """

    def inner_loop(self, sequences, initial_state, mask, training=False):
        if mask is not None or not self._has_kernel():
            return super().inner_loop(sequences, initial_state, mask, training=training)
        from tfts.layers._block_lstm import block_lstm

        if training and self.dropout:
            sequences = sequences * ops.expand_dims(self.cell.get_dropout_mask(sequences[:, 0]), 1)
        steps = ops.transpose(sequences, (1, 0, 2))
        if self.go_backwards:
            steps = ops.flip(steps, 0)
        weights = ops.concatenate([self.cell.kernel, self.cell.recurrent_kernel])
        hidden, carry = block_lstm(steps, *initial_state, weights, self.cell.bias)
        last = hidden[-1]
        outputs = ops.transpose(hidden, (1, 0, 2)) if self.return_sequences else ops.expand_dims(last, 1)
        return last, outputs, [last, carry[-1]]

    def _has_kernel(self):
        plain = (
            self.activation is keras.activations.tanh
            and self.recurrent_activation is keras.activations.sigmoid
            and self.use_bias
            and not self.unroll
            and not self.recurrent_dropout
            and self.use_cudnn == "auto"
            and self.units <= _MOST_UNITS
            and self.compute_dtype == "float32"
        )
        if not plain or keras.backend.backend() != "tensorflow":
            return False
        from tfts.layers._block_lstm import kernel_runs_here

        return kernel_runs_here()
