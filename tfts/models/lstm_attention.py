"""An LSTM over the window, self-attention over its steps, and a dense head."""

import keras

from tfts.layers import SelfAttention
from tfts.models._blocks import lstm_stack
from tfts.models._parts import finish, head, window_inputs

# The settings that a search tries by default, see tfts.tuning.
SPACE = {
    "units": {"values": [32, 50, 64, 96, 128]},
    "num_layers": {"values": [1, 2]},
    "dropout": {"values": [0.0, 0.1, 0.2]},
    "window_norm": {"values": ["last", "instance"]},
    "learning_rate": {"min": 1e-4, "max": 1e-2, "log": True},
    "batch_size": {"values": [32, 64, 128]},
}


def lstm_attention(
    task,
    *,
    units=50,
    attention_units=None,
    num_layers=1,
    dropout=0.0,
    window_norm="last",
    linear_skip="all",
    name="lstm_attention",
):
    """Builds an LSTM with self-attention: LSTM, SelfAttention, Flatten, Dense.

    Args:
        task: `Task`, what the model is for.
        units: Int >= 1, the width of the LSTM.
        attention_units: Int >= 1, the width of query, key and value. Default: `units`.
        num_layers: Int >= 1, LSTM layers on top of each other.
        dropout: Float in [0, 1), the share of outputs dropped in training
            after every LSTM layer and before the head.
        window_norm: `"none"`, `"last"` (each window less its last value) or
            `"instance"` (less its mean, divided by its standard deviation).
        linear_skip: Adds a linear forecast, so that the network learns what that
            one misses: `"own"` from each target's own window, `"all"` from the
            windows of all features, `"none"` adds nothing.
        name: Str.

    Returns:
        Uncompiled `keras.Model` of the task. Its attention scores say how much each
        step of the context (query) looks at each other (key).

    Raises:
        ValueError: If a setting is out of range or `window_norm` is unknown.

    Example:

    >>> from tfts.task import Task
    >>> lstm_attention(Task(context_length=7, horizon=5, past=2)).output_shape
    (None, 5, 1)

    Source: Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 9,
    1997; Vaswani et al., Attention Is All You Need, NeurIPS 2017.
    """
    window = window_inputs(task, window_norm)
    encoded = lstm_stack(window.encoder, units, num_layers, dropout)
    attended, _ = SelfAttention(attention_units, name="attention")(encoded, return_attention_scores=True)
    flat = keras.layers.Flatten(name="flat")(attended)
    if dropout:
        flat = keras.layers.Dropout(dropout, name="head_dropout")(flat)
    return finish(window, head(window, flat), name, linear_skip)
