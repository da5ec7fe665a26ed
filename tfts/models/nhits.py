"""Stacks that look at a series at their own rates, each at what the ones before left."""

import keras

from tfts.errors import SettingError
from tfts.layers import LinearInterpolation
from tfts.layers._checks import check_positive_int
from tfts.models._parts import as_columns, finish, join, target_rows, window_inputs

# The settings that a search tries by default, see tfts.tuning.
SPACE = {
    "units": {"values": [32, 64, 128, 256]},
    "num_blocks": {"values": [1, 2]},
    "num_layers": {"values": [1, 2]},
    "dropout": {"values": [0.0, 0.1, 0.2]},
    "window_norm": {"values": ["last", "instance"]},
    "learning_rate": {"min": 1e-4, "max": 1e-2, "log": True},
    "batch_size": {"values": [32, 64, 128]},
}


def nhits(
    task,
    *,
    units=64,
    num_blocks=1,
    num_layers=2,
    pool_sizes=(8, 4, 1),
    steps_per_knot=(24, 12, 1),
    dropout=0.0,
    window_norm="last",
    linear_skip="all",
    name="nhits",
):
    """Builds a network of doubly residual stacks with hierarchical interpolation.

    A block pools the window by its maximum, passes a perceptron, and gives a few values
    for the context and a few for the horizon, between which it interpolates. What it
    explains of the context is taken away before the next block; what it says
    of the horizon is summed. Every target has its own window and shares the weights; the
    other features, the columns known ahead in context and horizon, and what is missing are
    pooled and given to the perceptron of each block.

    Args:
        task: `Task`, what the model is for.
        units: Int >= 1, the width of the perceptrons.
        num_blocks: Int >= 1, blocks of a stack.
        num_layers: Int >= 1, hidden layers of a perceptron.
        pool_sizes: Sequence of ints >= 1, one for each stack: the rows that are
            pooled into one.
        steps_per_knot: Sequence of ints >= 1, one for each stack: the steps for which a
            block gives one value.
        dropout: Float in [0, 1), the share dropped in training after each hidden layer.
        window_norm: `"none"`, `"last"` (each window less its last value) or
            `"instance"` (less its mean, divided by its standard deviation).
        linear_skip: Adds a linear forecast, so that the network learns what that
            one misses: `"own"` from each target's own window, `"all"` from the
            windows of all features, `"none"` adds nothing.
        name: Str.

    Returns:
        Uncompiled `keras.Model` of the task.

    Raises:
        ValueError: If a setting is out of range, `pool_sizes` and `steps_per_knot` are not of one
            length, or `window_norm` or `linear_skip` is unknown.

    Example:

    >>> from tfts.task import Task
    >>> nhits(Task(context_length=7, horizon=5, past=2)).output_shape
    (None, 5, 1)

    Source: Challu et al., N-HiTS: Neural Hierarchical Interpolation for Time Series
    Forecasting, AAAI 2023.
    """
    window = window_inputs(task, window_norm)
    check_positive_int(units=units, num_blocks=num_blocks, num_layers=num_layers)
    _check_stacks(pool_sizes, steps_per_knot)
    left, others = window.own, window.others
    missing = None if window.observed is None else 1.0 - window.observed
    parts = []
    for stack, (pool_size, steps) in enumerate(zip(pool_sizes, steps_per_knot, strict=True)):
        beside = [
            keras.layers.Flatten(name=f"{of}_{stack}")(_pooled(rows, pool_size, f"pooled_{of}_{stack}"))
            for of, rows in (("others", others), ("known", window.known))
            if rows is not None
        ]
        beside = join(beside, f"beside_{stack}") if beside else None
        gaps = None
        if missing is not None:
            gaps = keras.layers.Flatten(name=f"missing_{stack}")(
                _pooled(missing, pool_size, f"pooled_missing_{stack}")
            )
        for block in range(num_blocks):
            at = f"{stack}_{block}"
            pooled = _pooled(left, pool_size, f"pooled_{at}")
            pooled = keras.layers.Permute((2, 1), name=f"pooled_rows_{at}")(pooled)
            hidden = _perceptron(pooled, beside, gaps, units, num_layers, dropout, at)
            knots = target_rows(
                window, hidden, -(-task.horizon // steps), f"knots_{at}", kernel_initializer="zeros"
            )
            parts.append(LinearInterpolation(task.horizon, dtype="float32", name=f"part_{at}")(knots))
            if (stack, block) == (len(pool_sizes) - 1, num_blocks - 1):
                # Nothing comes after it that could be left something.
                break
            knots = keras.layers.Dense(-(-task.context_length // steps), name=f"context_knots_{at}")(hidden)
            explained = LinearInterpolation(task.context_length, name=f"explained_{at}")(knots)
            explained = keras.layers.Permute((2, 1), name=f"explained_columns_{at}")(explained)
            left = keras.layers.Subtract(name=f"left_{at}")([left, explained])
    rows = keras.layers.Add(dtype="float32", name="parts")(parts) if len(parts) > 1 else parts[0]
    return finish(window, as_columns(rows), name, linear_skip)


def _check_stacks(pool_sizes, steps_per_knot):
    both = (pool_sizes, steps_per_knot)
    if not all(isinstance(numbers, list | tuple) for numbers in both) or not (
        len(pool_sizes) == len(steps_per_knot) > 0
    ):
        raise SettingError(
            "`pool_sizes` and `steps_per_knot` must be lists of one int for each stack, at least one. "
            f"Received: pool_sizes={pool_sizes}, steps_per_knot={steps_per_knot}."
        )
    for pool_size, steps in zip(*both, strict=True):
        check_positive_int(pool_sizes=pool_size, steps_per_knot=steps)


def _pooled(rows, pool_size, name):
    return keras.layers.MaxPooling1D(pool_size, padding="same", name=name)(rows)


def _perceptron(pooled, beside, missing, units, num_layers, dropout, at):
    """From the pooled windows `(batch, targets, rows)`, what is beside them, and what is missing `(batch, numbers)`."""
    parts = [keras.layers.Dense(units, name=f"hidden_{at}_0")(pooled)]
    for name, numbers, start in (("beside", beside, "glorot_uniform"), ("missing", missing, "zeros")):
        if numbers is None:
            continue
        # The same as joining it to the window of each target, which would repeat it.
        options = {"use_bias": False, "kernel_initializer": start}
        numbers = keras.layers.Dense(units, **options, name=f"hidden_{at}_{name}")(numbers)
        parts.append(keras.layers.Reshape((1, units), name=f"hidden_{at}_{name}_row")(numbers))
    hidden = keras.layers.Add(name=f"hidden_{at}_sum")(parts) if len(parts) > 1 else parts[0]
    hidden = keras.layers.ReLU(name=f"relu_{at}")(hidden)
    for i in range(num_layers):
        if i:
            hidden = keras.layers.Dense(units, activation="relu", name=f"hidden_{at}_{i}")(hidden)
        if dropout:
            hidden = keras.layers.Dropout(dropout, name=f"dropout_{at}_{i}")(hidden)
    return hidden
