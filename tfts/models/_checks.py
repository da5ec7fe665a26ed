"""Whether a builder, and what it builds, suit a task."""

import inspect

import keras

from tfts._messages import unknown
from tfts.errors import SettingError
from tfts.outputs.forecast import Forecast

# An input of this name brings the true future in training, beside those of the task.
TEACHER = "teacher"


def check_builder(builder, name, options):
    """Raises a ValueError where a builder does not take a task, or not these options.

    Example:

    >>> from tfts.models import linear
    >>> check_builder(linear, "linear", {"shared": False})
    """
    signature = inspect.signature(builder)
    parameters = list(signature.parameters.values())
    needed = [
        p.name
        for p in parameters[1:]
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and p.name not in options
    ]
    first = parameters[0] if parameters else None
    takes_one = first is not None and first.kind in (
        first.POSITIONAL_ONLY,
        first.POSITIONAL_OR_KEYWORD,
        first.VAR_POSITIONAL,
    )
    if not takes_one or first.name == "context_length" or needed:
        raise SettingError(
            f"A builder takes a Task and its options by name: {name}(task, *, units=8) -> keras.Model, and reads "
            "task.context_length, task.num_features, task.horizon, task.num_targets and task.num_known_future. "
            f"Received: {name}{signature}."
        )
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    for option in options:
        if option not in signature.parameters or option == first.name:
            raise SettingError(
                unknown(f"option of model {name!r}:", option, [p.name for p in parameters[1:]])
            )


def fit_to_task(model, task, source="The model"):
    """A model, with the axis of size 1 that its forecast may lack.

    Args:
        model: Functional or Sequential `keras.Model`.
        task: `Task`.
        source: Str, where the model comes from, for the message.

    Returns:
        The model; where it gives `(batch, horizon)` for one target, or `(batch, targets)` for one
        step, an uncompiled one of the same layers and one more.

    Raises:
        ValueError: If it is not such a model, or it takes or gives something else than the task has.

    Example:

    >>> from tfts.models import linear
    >>> from tfts.task import Task
    >>> fit_to_task(linear(Task(context_length=7, horizon=5)), Task(context_length=7, horizon=3))
    Traceback (most recent call last):
        ...
    tfts.errors.SettingError: The model does not fit the windows. Expected inputs past (None, 7, 1) and...
    """
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise SettingError(f"{source} must be a functional keras.Model. Received: {type(model).__name__}.")
    expected = output_shape(task)
    shapes = [tuple(tensor.shape) for tensor in model.outputs]
    can_lack = len(expected) == 3 and 1 in expected[1:]
    lacks = can_lack and shapes == [(None, task.horizon * task.num_targets)]
    takes = {name: (None, *shape) for name, shape in task.input_shapes.items()}
    given = {tensor.name: tuple(tensor.shape) for tensor in model.inputs if tensor.name != TEACHER}
    if not (lacks or (len(shapes) == 1 and _fits(shapes[0], expected))) or not _takes(takes, given):
        axes = "horizon, targets" if len(expected) == 3 else "horizon, targets, width"
        raise SettingError(
            f"{source} does not fit the windows. Expected inputs {_words(takes)} and an output of {expected}, "
            f"(batch, {axes}){'; or without the axis of size 1' if can_lack else ''}. Received: inputs "
            f"{_words(given)} and output of {', '.join(map(str, shapes))}."
        )
    if not lacks:
        return model
    inputs = model.inputs[0] if len(model.inputs) == 1 else model.input
    whole = keras.layers.Reshape(expected[1:], name="forecast_with_every_axis")(model.outputs[0])
    return keras.Model(inputs, whole, name=model.name)


def output_shape(task):
    """Shape of what a model of the task gives; the batch is `None`.

    Example:

    >>> from tfts.task import Task
    >>> output_shape(Task(context_length=7, horizon=5))
    (None, 5, 1)
    """
    columns = task.output.width * task.num_targets
    return Forecast(task.output).compute_output_shape((None, task.horizon, columns))


def _takes(takes, given):
    """Whether inputs of the shapes `given` take windows of the shapes `takes`."""
    if len(takes) == len(given) == 1:
        # A single input is given by itself, whatever its name.
        return _fits(*given.values(), *takes.values())
    return takes.keys() == given.keys() and all(_fits(given[name], shape) for name, shape in takes.items())


def _fits(shape, expected):
    return len(shape) == len(expected) and all(
        size in (wanted, None) for size, wanted in zip(shape, expected, strict=True)
    )


def _words(shapes):
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())
