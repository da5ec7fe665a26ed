"""A transformer over stretches of each target's window."""

import keras
from keras import ops

from tfts.layers import Patches, PositionEmbedding
from tfts.layers._checks import check_positive_int
from tfts.models._blocks import check_heads, encoder_block
from tfts.models._parts import finish, target_head, window_inputs, with_missing

# The settings that a search tries by default, see tfts.tuning.
SPACE = {
    "units": {"values": [16, 32, 64, 128]},
    "num_heads": {"values": [2, 4, 8], "divides": "units"},
    "num_layers": {"values": [1, 2, 3]},
    "feedforward_units": {"values": [64, 128, 256]},
    "dropout": {"values": [0.0, 0.1, 0.2]},
    "window_norm": {"values": ["last", "instance"]},
    "learning_rate": {"min": 1e-4, "max": 1e-2, "log": True},
    "batch_size": {"values": [32, 64, 128]},
}


def patch_transformer(
    task,
    *,
    units=32,
    num_heads=4,
    num_layers=2,
    feedforward_units=64,
    patch_length=None,
    stride=None,
    dropout=0.1,
    window_norm="last",
    linear_skip="all",
    name="patch_transformer",
):
    """Builds a transformer whose tokens are patches of one target's window.

    Every target is forecast from its own window, by weights that all targets share.
    Features that are no targets are seen by `linear_skip="all"` alone. Of the columns
    known ahead the rows of a patch are embedded with it, and those of the horizon
    are seen by the head. Blocks are normalised by layer, where the paper does so by batch.

    Args:
        task: `Task`, what the model is for.
        units: Int >= 1, the width of a token; a multiple of `num_heads`.
        num_heads: Int >= 1, attention heads.
        num_layers: Int >= 1, blocks of the encoder.
        feedforward_units: Int >= 1, the width of each feed-forward block.
        patch_length: Int >= 1, rows of a patch, at most `context_length`.
            Default: a quarter of the context, at most 16.
        stride: Int from 1 to `patch_length`, rows from one patch to the next.
            Default: half of a patch.
        dropout: Float in [0, 1), the share dropped in training from attention
            scores, after every block and before the head.
        window_norm: `"none"`, `"last"` (each window less its last value) or
            `"instance"` (less its mean, divided by its standard deviation).
        linear_skip: Adds a linear forecast, so that the network learns what that
            one misses: `"own"` from each target's own window, `"all"` from the
            windows of all features, `"none"` adds nothing.
        name: Str.

    Returns:
        Uncompiled `keras.Model` of the task. Its attention scores `(batch, heads,
        context_length, context_length)` say how much the patches that hold a row
        (query) look at those that hold each other (key), the mean over the targets.

    Raises:
        ValueError: If a setting is out of range, `units` is not a multiple of `num_heads`, or
            `window_norm` or `linear_skip` is unknown.

    Example:

    >>> from tfts.task import Task
    >>> patch_transformer(Task(context_length=11, horizon=5, past=2), patch_length=4).output_shape
    (None, 5, 1)

    Source: Nie et al., A Time Series is Worth 64 Words: Long-term Forecasting with
    Transformers, ICLR 2023.
    """
    window = window_inputs(task, window_norm)
    check_heads(units, num_heads)
    check_positive_int(num_layers=num_layers, feedforward_units=feedforward_units)
    patch_length = min(16, max(1, task.context_length // 4)) if patch_length is None else patch_length
    cut = {"length": patch_length, "stride": max(1, patch_length // 2) if stride is None else stride}
    patches = Patches(**cut, name="patches")(window.own)
    num_patches = patches.shape[2]
    tokens = keras.layers.Dense(units, name="embedding")(patches)
    tokens = with_missing(window, tokens, Patches(**cut, name="missing_patches"))
    if window.context is not None:
        beside = keras.layers.Permute((2, 1, 3), name="known_rows")(
            Patches(**cut, name="known_patches")(window.context)
        )
        beside = keras.layers.Reshape((1, num_patches, -1), name="known_flat_patches")(beside)
        beside = keras.layers.Dense(units, use_bias=False, name="known_embedding")(beside)
        tokens = keras.layers.Add(name="tokens")([tokens, beside])
    # The targets of a window become windows of their own.
    tokens = ops.reshape(tokens, (-1, num_patches, units))
    tokens = PositionEmbedding(name="position")(tokens)
    for i in range(num_layers):
        attention = "patch_attention" if i == num_layers - 1 else None
        tokens = encoder_block(tokens, num_heads, feedforward_units, dropout, f"encoder_{i}", attention)
    flat = ops.reshape(tokens, (-1, task.num_targets, num_patches * units))
    if dropout:
        flat = keras.layers.Dropout(dropout, name="head_dropout")(flat)
    return finish(window, target_head(window, flat, ahead=True), name, linear_skip)
