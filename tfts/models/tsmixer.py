"""Perceptrons that mix the rows of a window, then its columns, in turn."""

import keras

from tfts.layers._checks import check_positive_int
from tfts.models._parts import add_to_location, finish, join, step_head, target_head, window_inputs

# The settings that a search tries by default, see tfts.tuning.
SPACE = {
    "num_layers": {"values": [1, 2, 4]},
    "feedforward_units": {"values": [16, 32, 64, 128]},
    "dropout": {"values": [0.0, 0.1, 0.3]},
    "window_norm": {"values": ["last", "instance"]},
    "learning_rate": {"min": 1e-4, "max": 1e-2, "log": True},
    "batch_size": {"values": [32, 64, 128]},
}


def tsmixer(
    task,
    *,
    num_layers=2,
    feedforward_units=32,
    dropout=0.1,
    window_norm="last",
    linear_skip="all",
    name="tsmixer",
):
    """Builds an all-MLP network that mixes over time and over features.

    Each block maps every column over time by weights that all columns share, then
    every row over columns by weights that all rows share, and adds both to its input.
    A last map over time leads to the horizon. Columns known ahead are columns like the
    others in the context; their rows of the horizon are mixed with the mapped ones
    by one more perceptron, as in the paper's network with auxiliary information.

    Args:
        task: `Task`, what the model is for.
        num_layers: Int >= 1, mixing blocks.
        feedforward_units: Int >= 1, the width within the mixing of columns.
        dropout: Float in [0, 1), the share dropped in training after each map.
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
    >>> tsmixer(Task(context_length=7, horizon=5, past=2)).output_shape
    (None, 5, 1)

    Source: Chen et al., TSMixer: An All-MLP Architecture for Time Series Forecasting,
    Transactions on Machine Learning Research, 2023.
    """
    window = window_inputs(task, window_norm)
    check_positive_int(num_layers=num_layers, feedforward_units=feedforward_units)
    mixed = window.encoder
    for i in range(num_layers):
        mixed = _mixing_block(mixed, feedforward_units, dropout, f"mixer_{i}")
    if window.ahead is None:
        rows = keras.layers.Permute((2, 1), name="head_rows")(mixed[..., : task.num_targets])
        return finish(window, target_head(window, rows), name, linear_skip)
    steps = _over_time(mixed, task.horizon)
    hidden = keras.layers.Dense(feedforward_units, activation="relu", name="known_widen")(
        join([steps, window.ahead], "known_inputs")
    )
    if dropout:
        hidden = keras.layers.Dropout(dropout, name="known_dropout")(hidden)
    raw = step_head(window, hidden, name="known_head")
    raw = add_to_location(window, raw, steps[..., : task.num_targets], "with_known")
    return finish(window, raw, name, linear_skip)


def _over_time(columns, horizon):
    """Maps each column from the context to the horizon by weights that start at zero."""
    columns = keras.layers.Permute((2, 1), name="head_rows")(columns)
    columns = keras.layers.Dense(horizon, kernel_initializer="zeros", dtype="float32", name="head")(columns)
    return keras.layers.Permute((2, 1), dtype="float32", name="head_columns")(columns)


def _mixing_block(rows, feedforward_units, dropout, name):
    """Mixes over time, then over columns; each is added to its input."""
    context_length, width = rows.shape[1:]
    # One normalisation over both axes, as in the paper: a row alone may be one column.
    mixed = keras.layers.LayerNormalization(axis=[1, 2], name=f"{name}_time_norm")(rows)
    mixed = keras.layers.Permute((2, 1), name=f"{name}_time_rows")(mixed)
    mixed = keras.layers.Dense(context_length, activation="relu", name=f"{name}_time")(mixed)
    mixed = keras.layers.Permute((2, 1), name=f"{name}_time_columns")(mixed)
    if dropout:
        mixed = keras.layers.Dropout(dropout, name=f"{name}_time_dropout")(mixed)
    rows = keras.layers.Add(name=f"{name}_time_add")([rows, mixed])
    mixed = keras.layers.LayerNormalization(axis=[1, 2], name=f"{name}_norm")(rows)
    mixed = keras.layers.Dense(feedforward_units, activation="relu", name=f"{name}_widen")(mixed)
    if dropout:
        mixed = keras.layers.Dropout(dropout, name=f"{name}_widen_dropout")(mixed)
    mixed = keras.layers.Dense(width, name=f"{name}_narrow")(mixed)
    if dropout:
        mixed = keras.layers.Dropout(dropout, name=f"{name}_dropout")(mixed)
    return keras.layers.Add(name=f"{name}_add")([rows, mixed])
