"""What a model is for."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tfts._messages import unknown
from tfts.errors import SettingError
from tfts.outputs import Output, build_output, output_config

# What columns are called where a number stands for them, by their role.
_DEFAULT_NAMES = {"targets": "target", "past": "past", "known_future": "known", "static": "static"}


@dataclasses.dataclass(frozen=True)
class Task:
    """What a model is for: the window it sees, the columns, and what it gives.

    A builder takes a task. `WindowSpec.task` makes the one of a panel; by hand numbers of columns
    do, which are then called `target_0`, `past_0`, `known_0`, `static_0` and so on.

    Args:
        context_length: Int >= 1, rows seen.
        horizon: Int >= 1, rows forecast.
        targets: Names of the columns to forecast, at least one, or their number. They are the
            first columns of the input `past`.
        past: Names, or the number, of the further columns seen up to the origin.
        known_future: Names, or the number, of the columns known ahead, which enter for context
            and horizon.
        static: Names, or the number, of the attributes of a series.
        categories: Dict from the name of a column of `past`, `known_future` or `static` that holds
            labels to the number of its labels: their numbers are 1, 2, ..., and 0 is any label that
            training has not seen. It is stored as a tuple of pairs.
        masked: Bool. Whether the model is told which values of `past` are there, by a further input `observed`
            like it: 1 where a value was observed, 0 where one was put in its place.
        output: `Output`, or its name in `OUTPUTS`: what the model gives for a target and step.

    Raises:
        ValueError: If a size is out of range, a name stands twice, or the output is unknown.

    Example:

    >>> task = Task(context_length=7, horizon=5, targets=["load"], past=2)
    >>> task.features, task.num_targets, task.num_features
    (('load', 'past_0', 'past_1'), 1, 3)
    >>> Task.from_config(task.get_config()) == task
    True
    """

    context_length: int
    horizon: int = 1
    targets: Sequence[str] | int = 1
    past: Sequence[str] | int = ()
    known_future: Sequence[str] | int = ()
    static: Sequence[str] | int = ()
    categories: Mapping[str, int] | tuple = ()
    masked: bool = False
    output: Output | str = "point"

    def __post_init__(self):
        for name in ("context_length", "horizon"):
            object.__setattr__(self, name, _size(name, getattr(self, name), 1))
        for role in _DEFAULT_NAMES:
            object.__setattr__(self, role, _names(role, getattr(self, role)))
        object.__setattr__(self, "categories", _categories(self.categories))
        if not isinstance(self.masked, bool):
            raise SettingError(f"`masked` must be a bool. Received: masked={self.masked!r}.")
        object.__setattr__(self, "output", build_output(self.output))
        if not self.targets:
            raise SettingError("A task needs at least one target. Received: targets=().")
        roles = {role: getattr(self, role) for role in _DEFAULT_NAMES}
        _check_distinct(roles)
        columns = self.past + self.known_future + self.static
        for name, _ in self.categories:
            if name not in columns:
                raise SettingError(unknown("column in `categories`:", name, columns))

    @property
    def features(self):
        """Names of the columns of the input `past`: the targets, then the others."""
        return self.targets + self.past

    @property
    def num_targets(self):
        """Columns to forecast."""
        return len(self.targets)

    @property
    def num_features(self):
        """Columns of the input `past`: the targets and the others."""
        return len(self.targets) + len(self.past)

    @property
    def num_known_future(self):
        """Columns known ahead."""
        return len(self.known_future)

    @property
    def input_shapes(self):
        """Dict from the name of each input of a model to its shape without the batch, `past` first."""
        shapes = {"past": (self.context_length, self.num_features)}
        if self.masked:
            shapes["observed"] = shapes["past"]
        if self.known_future:
            shapes["known_future"] = (self.context_length + self.horizon, self.num_known_future)
        if self.static:
            shapes["static"] = (len(self.static),)
        return shapes

    def get_config(self):
        """The task as plain JSON data, a dict."""
        return {
            "context_length": self.context_length,
            "horizon": self.horizon,
            **{role: list(getattr(self, role)) for role in _DEFAULT_NAMES},
            "categories": dict(self.categories),
            "masked": self.masked,
            "output": output_config(self.output),
        }

    @classmethod
    def from_config(cls, config):
        """The task that `get_config` described.

        Raises:
            ValueError: If the config holds a part that is unknown, or lacks the context's length.
        """
        parts = [field.name for field in dataclasses.fields(cls)]
        for name in config:
            if name not in parts:
                raise SettingError(unknown("part of a task:", name, parts))
        if "context_length" not in config:
            raise SettingError(f"A task needs a `context_length`. Received: {config}.")
        return cls(**config)


def _size(name, value, least):
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise SettingError(f"`{name}` must be an int >= {least}. Received: {name}={value!r}.")
    return int(value)


def _names(role, value):
    """Names of the columns of a role, a tuple."""
    if isinstance(value, int | np.integer):
        return tuple(f"{_DEFAULT_NAMES[role]}_{i}" for i in range(_size(role, value, 0)))
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise SettingError(
            f"`{role}` must hold names of columns, or be their number. Received: {role}={value!r}."
        )
    return tuple(names)


def _categories(value):
    """Pairs of the name of a column of labels and the number of its labels, a tuple."""
    pairs = value.items() if isinstance(value, Mapping) else value
    try:
        pairs = tuple((name, size) for name, size in pairs)
    except (TypeError, ValueError) as error:
        raise SettingError(
            f"`categories` must map a column to its number of labels. Received: categories={value!r}."
        ) from error
    for name, _ in pairs:
        if not isinstance(name, str):
            raise SettingError(f"`categories` must name columns. Received: categories={value!r}.")
    return tuple((name, _size(f"categories[{name!r}]", size, 1)) for name, size in pairs)


def _check_distinct(roles):
    """Raises a ValueError for the first name that stands twice."""
    seen = {}
    for role, names in roles.items():
        for name in names:
            if name in seen:
                where = f"twice in `{role}`" if seen[name] == role else f"in `{seen[name]}` and in `{role}`"
                raise SettingError(
                    f"Column {name!r} stands {where}. Expected a name for each column, in one role. Received: "
                    f"{', '.join(f'{role}={list(names)}' for role, names in roles.items() if names)}."
                )
            seen[name] = role
