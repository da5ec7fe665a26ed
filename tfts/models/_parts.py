"""What the builders share: inputs, window normalisation, heads and the way out.

The raw numbers of a network are columns `(batch, horizon, width * targets)`, where `width` is that
of the task's output: the locations of all targets, then each further number of all targets. A
new kind of input or output changes this file, and no builder.
"""

import dataclasses
import re

import keras

from tfts._messages import unknown
from tfts.errors import SettingError
from tfts.layers import CategoryEmbedding, ReversibleInstanceNorm, WindowSpread
from tfts.outputs.forecast import Forecast
from tfts.task import Task

# What each `window_norm` subtracts and divides by.
WINDOW_NORMS = {
    "none": None,
    "last": {"center": "last", "scale": False},
    "instance": {"center": "mean", "scale": True},
}

# Features of a window from which the spread of its forecast is told, beside the window's own spread.
_FEW = 16

# What the linear forecast beside a network sees: nothing, a target's own window, all windows.
LINEAR_SKIPS = ("none", "own", "all")


@dataclasses.dataclass(frozen=True)
class Window:
    """What a builder works on: the inputs of a task, and what is made of them.

    Attributes:
        task: `Task`.
        inputs: What `keras.Model` takes: the tensor `past` alone, or a dict.
        past: Tensor `(batch, context_length, columns)`, the columns of numbers as they come.
        observed: What of the columns of `past` was observed, 1 or 0, `(batch, context_length, num_features)`, or
            None where nothing is missing.
        values: The same normalised, then the vectors of labels; the targets are its first columns.
        norm: The layer that normalised, None for `"none"`.
        level: Tensor `(batch, 1, features)`, the level that the forecast gets back, or None.
        scale: The same for what the window was divided by.
        known: All that is known of a row of context and horizon, `(batch, context_length + horizon,
            columns)`: numbers known ahead, vectors of labels, attributes of the series; or None.
        context: Its rows of the context, or None.
        ahead: Its rows of the horizon, or None.
        changing: Those columns of `ahead` that are no attributes, or None.
        static: Attributes of the series, `(batch, columns)`, or None.
        labels: Dict from each column of labels to its vectors, `(batch, rows, units)`, of attributes
            `(batch, units)`. Each of the tensors above holds numbers first, then such vectors.
    """

    task: Task
    inputs: object
    past: object
    observed: object
    values: object
    norm: object
    level: object
    scale: object
    known: object
    context: object
    ahead: object
    changing: object
    static: object
    labels: dict

    @property
    def own(self):
        """The normalised windows of the targets, `(batch, context_length, targets)`."""
        return self.values[..., : self.task.num_targets]

    @property
    def others(self):
        """The normalised windows of the further columns of `past`, or None."""
        if not self.task.past:
            return None
        return self.values[..., self.task.num_targets :]

    @property
    def flat_ahead(self):
        """All that is known of the horizon as one row, `(batch, columns)`, or None."""
        if self.ahead is None:
            return None
        changing = self.changing
        if changing is not None:
            changing = keras.layers.Flatten(dtype="float32", name="known_flat")(changing)
        return join([changing, self.static], "known_flat_static")

    @property
    def encoder(self):
        """All that is there for a row of the context, `(batch, context_length, columns)`.

        What is missing in a row moves its values by weights that start at zero: holes at random tell nothing,
        and columns of them would be noise to begin with.
        """
        values = self.values
        if self.observed is not None:
            told = _from_zero(values.shape[-1], "missing_map", use_bias=False)(1.0 - self.observed)
            values = keras.layers.Add(dtype="float32", name="with_missing")([values, told])
        return join([values, self.context], "encoder_inputs")


def window_inputs(task, window_norm="none", *, affine=False, own=False):
    """Makes the inputs of a task and normalises the window.

    Args:
        task: `Task`.
        window_norm: Key of `WINDOW_NORMS`.
        affine: Bool. Whether to learn a scale and a shift for each column.
        own: Bool. Whether `values` holds the targets alone.

    Returns:
        `Window`.

    Raises:
        ValueError: If `task` is not a `Task`, or `window_norm` is unknown.
    """
    _check_task(task)
    if window_norm not in WINDOW_NORMS:
        raise SettingError(unknown("window_norm", window_norm, WINDOW_NORMS))
    inputs = {
        name: keras.Input(shape, name=name, dtype="float32") for name, shape in task.input_shapes.items()
    }
    past, labels = _numbers_and_labels(task, inputs, "past")
    all_labels = dict(labels)
    values, norm, level, scale = past[..., : task.num_targets] if own else past, None, None, None
    if WINDOW_NORMS[window_norm] is not None:
        norm = ReversibleInstanceNorm(
            **WINDOW_NORMS[window_norm], affine=affine, dtype="float32", name="window_norm"
        )
        values, level, scale = norm(values, return_statistics=True)
    if not own:
        values = join([values, *labels.values()], "values_and_labels")
    known, observed = _known(task, inputs, all_labels), inputs.get("observed")
    inputs = inputs if len(inputs) > 1 else inputs["past"]
    return Window(task, inputs, past, observed, values, norm, level, scale, labels=all_labels, **known)


def _known(task, inputs, all_labels):
    """The parts of a window that are known of every row, by their names in `Window`; their labels are added."""
    rows = task.context_length + task.horizon
    cut = {"dtype": "float32"}
    steps, static, parts = None, None, {}
    if task.known_future:
        numbers, labels = _numbers_and_labels(task, inputs, "known_future")
        all_labels |= labels
        steps = join([numbers, *labels.values()], "known_and_labels")
        ahead = keras.layers.Cropping1D((task.context_length, 0), name="known_ahead", **cut)(steps)
        parts["changing"] = ahead
    if task.static:
        numbers, labels = _numbers_and_labels(task, inputs, "static")
        all_labels |= labels
        static = join([numbers, *labels.values()], "static_and_labels")
    if static is not None:
        every = keras.layers.RepeatVector(rows, name="static_rows", **cut)(static)
        steps = join([steps, every], "known_and_static")
        ahead = keras.layers.Cropping1D((task.context_length, 0), name="all_known_ahead", **cut)(steps)
    if steps is None:
        return dict.fromkeys(("known", "context", "ahead", "changing", "static"))
    context = keras.layers.Cropping1D((0, task.horizon), name="known_context", **cut)(steps)
    parts.setdefault("changing")
    return {"known": steps, "context": context, "ahead": ahead, "static": static, **parts}


def _numbers_and_labels(task, inputs, role):
    """The columns of an input that are numbers, or None, and a dict of the vectors of the others."""
    names = task.features if role == "past" else getattr(task, role)
    sizes, tensor = dict(task.categories), inputs[role]
    numbers = [i for i, name in enumerate(names) if name not in sizes]
    if len(numbers) == len(names):
        return tensor, {}
    labels = {
        name: CategoryEmbedding(sizes[name], dtype="float32", name=f"labels_{role}_{i}")(tensor[..., i])
        for i, name in enumerate(names)
        if name in sizes
    }
    return (keras.ops.take(tensor, numbers, axis=-1) if numbers else None), labels


def with_teacher(window):
    """The window with a further input, `teacher`, and the true future that it brings, on the window's level."""
    task = window.task
    future = keras.Input((task.horizon, task.num_targets), name="teacher", dtype="float32", optional=True)
    inputs = window.inputs if isinstance(window.inputs, dict) else {"past": window.inputs}
    window = dataclasses.replace(window, inputs={**inputs, "teacher": future})
    return window, future if window.norm is None else window.norm(future, window=window.past)


def _check_task(task):
    if not isinstance(task, Task):
        raise SettingError(
            "A builder takes a `Task`, then its options by name, for example linear(Task(context_length=7, horizon=5, "
            f"targets=1, past=2)). Received: task={task!r}."
        )


def join(tensors, name, axis=-1):
    """Concatenates those tensors that are not None; float32 under every policy."""
    tensors = [tensor for tensor in tensors if tensor is not None]
    if len(tensors) == 1:
        return tensors[0]
    return keras.layers.Concatenate(axis=axis, dtype="float32", name=name)(tensors)


def with_missing(window, tensor, cut):
    """Adds to a tensor what is missing in its stretches of the targets, by weights that all share and start at zero.

    Args:
        window: `Window`.
        tensor: Tensor `(batch, targets, ..., units)`.
        cut: Function from `(batch, context_length, targets)` to `(batch, targets, ..., rows)`.
    """
    if window.observed is None:
        return tensor
    missing = cut(1.0 - window.observed[..., : window.task.num_targets])
    told = _from_zero(tensor.shape[-1], "missing_map", use_bias=False)(missing)
    return keras.layers.Add(name="with_missing")([tensor, told])


def head(window, features):
    """Raw columns from what a network knows of the whole window, `(batch, units)`, and what is known ahead.

    The weights start at zero, which is the window's level.
    """
    task = window.task
    features = _with_ahead(window, features)
    raw = _from_zero(task.horizon * task.num_targets, "head")(features)
    raw = keras.layers.Reshape((task.horizon, task.num_targets), dtype="float32", name="steps")(raw)
    return _with_further(window, raw, features)


def _with_further(window, location, features):
    """The locations, and the further numbers of an output from a few features of the window and its spread."""
    task = window.task
    if task.output.width == 1:
        return location
    spreads = keras.layers.Flatten(dtype="float32", name="spreads")(
        WindowSpread(dtype="float32", name="window_spread")(window.own)
    )
    few = keras.layers.Dense(_FEW, dtype="float32", name="spread_features")(features)
    columns = task.horizon * (task.output.width - 1) * task.num_targets
    further = _from_zero(columns, "further")(join([few, spreads], "further_inputs"))
    further = keras.layers.Reshape((task.horizon, -1), dtype="float32", name="further_steps")(further)
    return join([location, further], "numbers")


def _with_ahead(window, features):
    return join([features, window.flat_ahead], "head_inputs")


def step_head(window, features, name="head"):
    """Raw columns from what a network knows of each step, `(batch, horizon, units)`."""
    return _from_zero(window.task.output.width * window.task.num_targets, name)(features)


def target_head(window, features, ahead=False):
    """Raw columns from what a network knows of each target, `(batch, targets, units)`.

    Args:
        ahead: Bool. Whether what is known of the horizon enters, by weights that all targets share.
    """
    steps = window.task.horizon * window.task.output.width
    raw = _from_zero(steps, "head")(features)
    if ahead and window.ahead is not None:
        flat = keras.layers.Reshape((1, -1), name="known_row")(window.flat_ahead)
        known = _from_zero(steps, "known_head", use_bias=False)(flat)
        raw = keras.layers.Add(dtype="float32", name="with_known")([raw, known])
    return as_columns(_parameter_rows(window, raw, "head"))


def named_heads(window, features):
    """Raw columns from `(batch, units)` by a layer for each target, which is called after it."""
    task = window.task
    # A layer can't be called as every column may be.
    plain = all(re.fullmatch(r"[A-Za-z0-9.][A-Za-z0-9_.-]*", name) for name in task.targets)
    names = task.targets if plain else [f"target_{i}" for i in range(task.num_targets)]
    features = _with_ahead(window, features)
    raw = [_from_zero(task.horizon, f"head_{name}")(features) for name in names]
    raw = [
        keras.layers.Reshape((task.horizon, 1), dtype="float32", name=f"column_{name}")(x)
        for name, x in zip(names, raw, strict=True)
    ]
    return _with_further(window, join(raw, "targets"), features)


def target_rows(window, features, steps, name, **options):
    """Raw numbers for each of some steps, as rows `(batch, width * targets, steps)`.

    Args:
        features: Tensor `(batch, targets, units)`, or `(batch, targets, parts, units)` where each of
            several parts has so many steps.
    """
    raw = keras.layers.Dense(steps * window.task.output.width, dtype="float32", name=name, **options)(
        features
    )
    if len(raw.shape) == 4:
        raw = keras.layers.Reshape((raw.shape[1], -1), dtype="float32", name="steps")(raw)
    return _parameter_rows(window, raw, name)


def as_columns(rows):
    """Turns rows `(batch, columns, steps)` into columns `(batch, steps, columns)`."""
    return keras.layers.Permute((2, 1), dtype="float32", name="columns")(rows)


def _parameter_rows(window, raw, name):
    """From `(batch, targets, steps * width)` to `(batch, width * targets, steps)`."""
    width = window.task.output.width
    if width == 1:
        return raw
    targets, steps = raw.shape[1], raw.shape[2] // width
    raw = keras.layers.Reshape((targets, steps, width), dtype="float32", name=f"{name}_parameters")(raw)
    raw = keras.layers.Permute((3, 1, 2), dtype="float32", name=f"{name}_by_parameter")(raw)
    return keras.layers.Reshape((width * targets, steps), dtype="float32", name=f"{name}_parameter_rows")(raw)


def _from_zero(columns, name, **options):
    return keras.layers.Dense(columns, kernel_initializer="zeros", dtype="float32", name=name, **options)


def linear_forecast(window, inputs="own", name="linear", values=None, ahead=True):
    """Raw columns from a linear map of the window whose weights start at zero.

    Zero is a good start: with a normalised window it is the window's level.

    Args:
        inputs: `"own"`, each target sees its own window through weights that
            all targets share, `"individual"`, the same through weights of its
            own, or `"all"`, it sees the windows of all features through
            weights of its own.
        name: Of the layer that maps the locations. `{name}_known` adds the columns known ahead,
            by weights for each step and target.
        values: What to map, in place of the normalised window.
        ahead: Bool. Whether the columns known ahead are added.
    """
    task = window.task
    values = window.values if values is None else values
    values = values if inputs == "all" else values[..., : task.num_targets]
    known = window.ahead if ahead else None
    location = _linear_location(task, values, known, inputs, name)
    if task.output.width == 1:
        return location
    # A layer of its own, so that a layer of locations is the same for every output. The other numbers are
    # about spread, which no linear map of the values tells.
    spreads = WindowSpread(dtype="float32", name=f"{name}_spread")(values[..., : task.num_targets])
    shared = inputs == "own"
    further = _map(
        spreads,
        "bts,shw->bhwt" if shared else "bts,shwt->bhwt",
        (task.horizon, task.output.width - 1, task.num_targets),
        f"{name}_further",
        bias_axes="hw" if shared else "hwt",
    )
    further = keras.layers.Reshape((task.horizon, -1), dtype="float32", name=f"{name}_further_columns")(
        further
    )
    return join([location, further], f"{name}_numbers")


def linear_guess(window, linear_skip):
    """The linear forecast of the locations beside a network; None where `linear_skip` is `"none"`."""
    if linear_skip not in LINEAR_SKIPS:
        raise SettingError(unknown("linear_skip", linear_skip, LINEAR_SKIPS))
    if linear_skip == "none":
        return None
    values = window.own if linear_skip == "own" else window.values
    return _linear_location(window.task, values, window.ahead, linear_skip, "linear_skip")


def _linear_location(task, values, known, inputs, name):
    """A linear forecast, `(batch, horizon, targets)`."""
    shape = task.horizon, task.num_targets
    if inputs == "own":
        rows = keras.layers.Permute((2, 1), dtype="float32", name=f"{name}_rows")(values)
        rows = _from_zero(task.horizon, name)(rows)
        location = keras.layers.Permute((2, 1), dtype="float32", name=f"{name}_columns")(rows)
    else:
        equation = {"individual": "bct,cht->bht", "all": "bcf,cfht->bht"}[inputs]
        location = _map(values, equation, shape, name, bias_axes="ht")
    if known is None:
        return location
    beside = _map(known, "bhk,hkt->bht", shape, f"{name}_known")
    return keras.layers.Add(dtype="float32", name=f"{name}_sum")([location, beside])


def _map(tensor, equation, output_shape, name, **options):
    return keras.layers.EinsumDense(
        equation, output_shape, kernel_initializer="zeros", dtype="float32", name=name, **options
    )(tensor)


def add_to_location(window, raw, more, name):
    """Adds `(batch, horizon, targets)` to the locations of raw columns."""
    targets = window.task.num_targets
    if window.task.output.width == 1:
        return keras.layers.Add(dtype="float32", name=name)([raw, more])
    location = keras.layers.Add(dtype="float32", name=name)([raw[..., :targets], more])
    return keras.layers.Concatenate(dtype="float32", name=f"{name}_further")([location, raw[..., targets:]])


def finish(window, raw, name, linear_skip="none"):
    """Makes the model: raw columns and the linear forecast become the output, in the window's own level.

    Args:
        window: `Window`.
        raw: Tensor `(batch, horizon, width * targets)`.
        name: Str, of the model.
        linear_skip: One of `LINEAR_SKIPS`.

    Returns:
        Uncompiled `keras.Model`.
    """
    guess = linear_guess(window, linear_skip)
    if guess is not None:
        raw = add_to_location(window, raw, guess, "with_linear_skip")
    forecast = Forecast(window.task.output, dtype="float32", name="forecast")(
        raw, level=window.level, scale=window.scale
    )
    return keras.Model(window.inputs, forecast, name=name)
