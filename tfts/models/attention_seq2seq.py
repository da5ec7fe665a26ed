"""A self-attention encoder, and a decoder in which each step of the horizon looks for itself."""

import keras

from tfts.layers import AttentionDecoder, PositionEmbedding
from tfts.models._blocks import encoder_block
from tfts.models._parts import finish, step_head, window_inputs

# The settings that a search tries by default, see tfts.tuning.
SPACE = {
    "units": {"values": [32, 64, 96, 128]},
    "num_heads": {"values": [2, 4, 8], "divides": "units"},
    "num_layers": {"values": [1, 2]},
    "feedforward_units": {"values": [64, 128, 256]},
    "dropout": {"values": [0.0, 0.1, 0.2]},
    "window_norm": {"values": ["last", "instance"]},
    "learning_rate": {"min": 1e-4, "max": 1e-2, "log": True},
    "batch_size": {"values": [32, 64, 128]},
}


def attention_seq2seq(
    task,
    *,
    units=32,
    num_heads=4,
    num_layers=1,
    feedforward_units=64,
    dropout=0.0,
    position="learned",
    window_norm="last",
    linear_skip="all",
    name="attention_seq2seq",
):
    """Builds an encoder-decoder of attention alone.

    Args:
        task: `Task`, what the model is for.
        units: Int >= 1, the width of the encoder and the decoder; a multiple of `num_heads`.
        num_heads: Int >= 1, attention heads.
        num_layers: Int >= 1, blocks of the encoder.
        feedforward_units: Int >= 1, the width of each feed-forward block.
        dropout: Float in [0, 1), the share dropped in training from attention
            scores and after every block.
        position: `"learned"` or `"sinusoidal"`, how the encoder knows a step's place.
        window_norm: `"none"`, `"last"` (each window less its last value) or
            `"instance"` (less its mean, divided by its standard deviation).
        linear_skip: Adds a linear forecast, so that the network learns what that
            one misses: `"own"` from each target's own window, `"all"` from the
            windows of all features, `"none"` adds nothing.
        name: Str.

    Returns:
        Uncompiled `keras.Model` of the task. Its attention scores say how much each
        step of the horizon looks at each step of the context.

    Raises:
        ValueError: If a setting is out of range, `units` is not a multiple of
            `num_heads`, or `position` or `window_norm` is unknown.

    Example:

    >>> from tfts.task import Task
    >>> attention_seq2seq(Task(context_length=7, horizon=5, past=2)).output_shape
    (None, 5, 1)

    Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017.
    """
    window = window_inputs(task, window_norm)
    encoded = keras.layers.Dense(units, name="projection")(window.encoder)
    encoded = PositionEmbedding(position, name="position")(encoded)
    for i in range(num_layers):
        encoded = encoder_block(encoded, num_heads, feedforward_units, dropout, f"encoder_{i}")
    decoder = AttentionDecoder(task.horizon, num_heads, feedforward_units, dropout=dropout, name="decoder")
    decoded, _ = decoder(encoded, known_future=window.ahead)
    return finish(window, step_head(window, decoded), name, linear_skip)
