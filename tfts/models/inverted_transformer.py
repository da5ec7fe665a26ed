"""A transformer whose tokens are columns, not rows."""

import keras

from tfts.layers._checks import check_positive_int
from tfts.models._blocks import VARIABLE_ATTENTION, check_heads, encoder_block
from tfts.models._parts import finish, join, target_head, window_inputs

# The settings that a search tries by default, see tfts.tuning.
SPACE = {
    "units": {"values": [32, 64, 128, 256]},
    "num_heads": {"values": [2, 4, 8], "divides": "units"},
    "num_layers": {"values": [1, 2, 3]},
    "feedforward_units": {"values": [64, 128, 256]},
    "dropout": {"values": [0.0, 0.1, 0.2]},
    "window_norm": {"values": ["last", "instance"]},
    "learning_rate": {"min": 1e-4, "max": 1e-2, "log": True},
    "batch_size": {"values": [32, 64, 128]},
}


def inverted_transformer(
    task,
    *,
    units=64,
    num_heads=4,
    num_layers=2,
    feedforward_units=64,
    dropout=0.1,
    window_norm="last",
    linear_skip="all",
    name="inverted_transformer",
):
    """Builds a transformer that attends over variables.

    The whole window of a column is one token, so attention tells which columns matter
    to each other. A column known ahead is a token of its context and its horizon
    together. In the last block the targets alone look: of the others no forecast is made.

    Args:
        task: `Task`, what the model is for.
        units: Int >= 1, the width of a token; a multiple of `num_heads`.
        num_heads: Int >= 1, attention heads.
        num_layers: Int >= 1, blocks of the encoder.
        feedforward_units: Int >= 1, the width of each feed-forward block.
        dropout: Float in [0, 1), the share dropped in training from attention
            scores and after the embedding and every block.
        window_norm: `"none"`, `"last"` (each window less its last value) or
            `"instance"` (less its mean, divided by its standard deviation).
        linear_skip: Adds a linear forecast, so that the network learns what that
            one misses: `"own"` from each target's own window, `"all"` from the
            windows of all features, `"none"` adds nothing.
        name: Str.

    Returns:
        Uncompiled `keras.Model` of the task. Its attention scores `(batch, heads, num_targets,
        num_features + num_known_future + attributes)` say how much each target looks at each
        column: those of `past`, then those known ahead, then the attributes.

    Raises:
        ValueError: If a setting is out of range, `units` is not a multiple of `num_heads`, or
            `window_norm` or `linear_skip` is unknown.

    Example:

    >>> from tfts.task import Task
    >>> inverted_transformer(Task(context_length=7, horizon=5, past=2)).output_shape
    (None, 5, 1)

    Source: Liu et al., iTransformer: Inverted Transformers Are Effective for Time Series
    Forecasting, ICLR 2024.
    """
    window = window_inputs(task, window_norm)
    check_heads(units, num_heads)
    check_positive_int(num_layers=num_layers, feedforward_units=feedforward_units)
    tokens = _tokens(window, units)
    if dropout:
        tokens = keras.layers.Dropout(dropout, name="tokens_dropout")(tokens)
    for i in range(num_layers):
        last = {"attention": VARIABLE_ATTENTION, "queries": task.num_targets} if i == num_layers - 1 else {}
        tokens = encoder_block(tokens, num_heads, feedforward_units, dropout, f"encoder_{i}", **last)
    tokens = keras.layers.LayerNormalization(name="norm")(tokens)
    return finish(window, target_head(window, tokens), name, linear_skip)


def _tokens(window, units):
    """A token for each column of the task, `(batch, columns, units)`: of `past`, known ahead, attributes."""
    task, found, blocks = window.task, {}, []
    for rows, names, name in (
        (window.values, task.features, "embedding"),
        (window.known, task.known_future, "known_embedding"),
    ):
        numbers = [column for column in names if column not in window.labels]
        if numbers:
            rows = rows if len(numbers) == len(names) and not task.static else rows[..., : len(numbers)]
            tokens = _embedded(rows, units, name)
            if name == "embedding" and window.observed is not None:
                places = [task.features.index(column) for column in numbers]
                missing = keras.ops.take(1.0 - window.observed, places, axis=-1)
                told = _embedded(missing, units, "missing_map", use_bias=False, kernel_initializer="zeros")
                tokens = keras.layers.Add(name="with_missing")([tokens, told])
            blocks.append(tokens)
            found |= {column: (blocks[-1], i) for i, column in enumerate(numbers)}
    if len(found) == len(task.features + task.known_future + task.static):
        return join(blocks, "tokens", axis=1)
    found = {column: tokens[:, i : i + 1] for column, (tokens, i) in found.items()}
    static = [column for column in task.static if column not in window.labels]
    alone = {column: window.static[..., i : i + 1] for i, column in enumerate(static)} | window.labels
    columns = task.features + task.known_future + task.static
    for column, values in alone.items():
        place = columns.index(column)
        flat = keras.layers.Flatten(name=f"flat_{place}")(values)
        token = keras.layers.Dense(units, name=f"embedding_{place}")(flat)
        found[column] = keras.layers.Reshape((1, units), name=f"token_{place}")(token)
    return join([found[column] for column in columns], "tokens", axis=1)


def _embedded(rows, units, name, **options):
    """A token for each column, `(batch, columns, units)`."""
    return keras.layers.Dense(units, name=name, **options)(
        keras.layers.Permute((2, 1), name=f"{name}_rows")(rows)
    )
