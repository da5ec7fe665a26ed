"""TensorFlow's LSTM kernel, which takes a whole sequence in one operation.

To be imported where TensorFlow is the backend of Keras, and nowhere else.
"""

import tensorflow as tf

# What `tf.function` itself asks; nothing public says it.
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext


def kernel_runs_here():
    """Whether the kernel is there and the right thing: on CPUs alone, and not under XLA."""
    # With a graphics processor cuDNN is quicker, and XLA has no such kernel.
    only_cpus = all(device.device_type == "CPU" for device in tf.config.list_logical_devices())
    return only_cpus and not GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def block_lstm(sequences, hidden, carry, kernel, bias):
    """Runs the LSTM cell over time, with a gradient.

    Args:
        sequences: Float32 tensor `(time, batch, features)`.
        hidden: Float32 tensor `(batch, units)`, the state before the first step.
        carry: Float32 tensor `(batch, units)`, the cell state before it.
        kernel: Float32 tensor `(features + units, 4 * units)`: input, forget,
            cell and output gate side by side, as Keras has them.
        bias: Float32 tensor `(4 * units,)`.

    Returns:
        Tuple of the hidden and the cell states after each step, each
        `(time, batch, units)`.

    Example:

    >>> state = tf.zeros((2, 5))
    >>> hidden, _ = block_lstm(tf.ones((7, 2, 3)), state, state, tf.ones((8, 20)), tf.zeros(20))
    >>> tuple(hidden.shape)
    (7, 2, 5)
    """
    # A gradient of one's own takes no variables.
    return _run(*(tf.convert_to_tensor(x) for x in (sequences, hidden, carry, kernel, bias)))


@tf.custom_gradient
def _run(sequences, hidden, carry, kernel, bias):
    # The weights of peepholes must be given, though there are none.
    unused = tf.zeros_like(bias[: tf.shape(hidden)[1]])
    given = {
        "seq_len_max": tf.shape(sequences, tf.int64)[0],
        "x": sequences,
        "cs_prev": carry,
        "h_prev": hidden,
        "w": kernel,
        "wci": unused,
        "wcf": unused,
        "wco": unused,
        "b": bias,
        "use_peephole": False,
    }
    steps = tf.raw_ops.BlockLSTMV2(**given, cell_clip=0.0)

    def gradient(hidden_gradient, carry_gradient):
        # The gradient that TensorFlow registers for this operation is that of its first version,
        # which has the gates in another order: it is wrong here.
        found = tf.raw_ops.BlockLSTMGradV2(
            **given, **steps._asdict(), h_grad=hidden_gradient, cs_grad=carry_gradient
        )
        return found.x_grad, found.h_prev_grad, found.cs_prev_grad, found.w_grad, found.b_grad

    return (steps.h, steps.cs), gradient
