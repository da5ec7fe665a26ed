"""Causal convolutions whose reach doubles from block to block."""

import math

import keras

from tfts.errors import SettingError
from tfts.layers._checks import check_positive_int
from tfts.models._parts import finish, head, window_inputs

# The settings that a search tries by default, see tfts.tuning.
SPACE = {
    "units": {"values": [16, 32, 64]},
    "kernel_size": {"values": [2, 3, 5]},
    "dropout": {"values": [0.0, 0.1, 0.2]},
    "window_norm": {"values": ["last", "instance"]},
    "learning_rate": {"min": 1e-4, "max": 1e-2, "log": True},
    "batch_size": {"values": [32, 64, 128]},
}


def tcn(
    task,
    *,
    units=32,
    kernel_size=3,
    num_layers=None,
    dropout=0.1,
    window_norm="last",
    linear_skip="all",
    name="tcn",
):
    """Builds a temporal convolutional network.

    A block is two causal convolutions with dilation 2 ** block, each with ReLU and
    dropout of whole channels, added to what went in. The last row, which has seen
    the context, and the columns known for the horizon go to a dense head. The weights of
    the convolutions are not normalised, as the paper's are.

    Args:
        task: `Task`, what the model is for.
        units: Int >= 1, channels of every convolution.
        kernel_size: Int >= 2, rows that a convolution sees.
        num_layers: Int >= 1, blocks. Default: as many as let the last row see the
            whole context; n blocks see 1 + 2 (kernel_size - 1) (2 ** n - 1) rows.
        dropout: Float in [0, 1), the share of channels dropped in training after
            each convolution.
        window_norm: `"none"`, `"last"` (each window less its last value) or
            `"instance"` (less its mean, divided by its standard deviation).
        linear_skip: Adds a linear forecast, so that the network learns what that
            one misses: `"own"` from each target's own window, `"all"` from the
            windows of all features, `"none"` adds nothing.
        name: Str.

    Returns:
        Uncompiled `keras.Model` of the task.

    Raises:
        ValueError: If a setting is out of range, or `window_norm` or `linear_skip` is unknown.

    Example:

    >>> from tfts.task import Task
    >>> tcn(Task(context_length=7, horizon=5, past=2)).output_shape
    (None, 5, 1)

    Source: Bai et al., An Empirical Evaluation of Generic Convolutional and Recurrent
    Networks for Sequence Modeling, 2018.
    """
    window = window_inputs(task, window_norm)
    check_positive_int(units=units, kernel_size=kernel_size)
    if kernel_size < 2:
        raise SettingError(
            "`kernel_size` must be at least 2, so that a convolution sees rows before its own. "
            f"Received: kernel_size={kernel_size}."
        )
    if num_layers is None:
        reach = 2 * (kernel_size - 1)
        num_layers = max(1, math.ceil(math.log2((task.context_length - 1) / reach + 1)))
    check_positive_int(num_layers=num_layers)
    encoded = window.encoder
    for i in range(num_layers):
        encoded = _residual_block(encoded, units, kernel_size, 2**i, dropout, f"block_{i}")
    last = keras.layers.Cropping1D((task.context_length - 1, 0), name="last_step")(encoded)
    last = keras.layers.Flatten(name="encoded")(last)
    return finish(window, head(window, last), name, linear_skip)


def _residual_block(rows, units, kernel_size, dilation, dropout, name):
    """Two causal convolutions, added to their input."""
    convolved = rows
    for j in range(2):
        convolved = keras.layers.Conv1D(
            units,
            kernel_size,
            padding="causal",
            dilation_rate=dilation,
            activation="relu",
            name=f"{name}_convolution_{j}",
        )(convolved)
        if dropout:
            convolved = keras.layers.SpatialDropout1D(dropout, name=f"{name}_dropout_{j}")(convolved)
    if rows.shape[-1] != units:
        # What is added must have as many channels.
        rows = keras.layers.Conv1D(units, 1, name=f"{name}_shortcut")(rows)
    return keras.layers.ReLU(name=f"{name}_relu")(keras.layers.Add(name=f"{name}_add")([rows, convolved]))
