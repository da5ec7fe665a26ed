"""An LSTM over the window, then one head for each target."""

import keras

from tfts.models._blocks import lstm_stack
from tfts.models._parts import finish, named_heads, window_inputs

# The settings that a search tries by default, see tfts.tuning.
SPACE = {
    "units": {"values": [32, 50, 64, 96, 128]},
    "num_layers": {"values": [1, 2]},
    "dropout": {"values": [0.0, 0.1, 0.2]},
    "window_norm": {"values": ["last", "instance"]},
    "learning_rate": {"min": 1e-4, "max": 1e-2, "log": True},
    "batch_size": {"values": [32, 64, 128]},
}


def lstm_regressor(
    task, *, units=50, num_layers=1, dropout=0.0, window_norm="last", linear_skip="all", name="lstm_regressor"
):
    """Builds an LSTM whose last output feeds one dense head for each target, called after it.

    Args:
        task: `Task`, what the model is for.
        units: Int >= 1, the width of the LSTM.
        num_layers: Int >= 1, LSTM layers on top of each other.
        dropout: Float in [0, 1), the share of every layer's outputs dropped in training.
        window_norm: `"none"`, `"last"` (each window less its last value) or
            `"instance"` (less its mean, divided by its standard deviation).
        linear_skip: Adds a linear forecast, so that the network learns what that
            one misses: `"own"` from each target's own window, `"all"` from the
            windows of all features, `"none"` adds nothing.
        name: Str.

    Returns:
        Uncompiled `keras.Model` of the task.

    Raises:
        ValueError: If a setting is out of range or `window_norm` is unknown.

    Example:

    >>> from tfts.task import Task
    >>> model = lstm_regressor(Task(context_length=7, horizon=5, targets=["load", "price"]))
    >>> model.get_layer("head_load").output.shape
    (None, 5)

    Source: Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 9, 1997.
    """
    window = window_inputs(task, window_norm)
    encoded = lstm_stack(window.encoder, units, num_layers, dropout)
    last = keras.layers.Cropping1D((task.context_length - 1, 0), dtype="float32", name="last_step")(encoded)
    last = keras.layers.Flatten(dtype="float32", name="encoded")(last)
    return finish(window, named_heads(window, last), name, linear_skip)
