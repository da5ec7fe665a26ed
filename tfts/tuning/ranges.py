"""What KerasTuner's hyperparameters hold, asked in one way for every kind of them."""

import contextlib

import numpy as np
from keras_tuner.engine import hyperparameters as kinds


def is_number(value):
    """Whether a value is an int or a float, and no bool.

    Example:

    >>> is_number(3), is_number(True)
    (True, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool)


def counts(hp, values):
    """Whether the conditions of a hyperparameter are met by the values of others."""
    return all(condition.is_active(values) for condition in hp.conditions)


def count(hp):
    """How many values a hyperparameter has."""
    if isinstance(hp, kinds.Choice):
        return len(hp.values)
    if isinstance(hp, kinds.Fixed):
        return 1
    if isinstance(hp, kinds.Boolean):
        return 2
    if hp.step is None:
        return np.inf if isinstance(hp, kinds.Float) else hp.max_value - hp.min_value + 1
    return len(tuple(hp.values))


def listed(hp):
    """The values of a hyperparameter that has few, else none."""
    if isinstance(hp, kinds.Int) and hp.step is None:
        return tuple(range(hp.min_value, hp.max_value + 1))
    return tuple(hp.values) if count(hp) < np.inf else ()


def rounded(hp, value):
    """A float with digits that survive a way over the network, where it is a float32."""
    if isinstance(hp, kinds.Choice) and isinstance(value, float):
        return min(hp.values, key=lambda own: abs(own - value))
    if not isinstance(hp, kinds.Float):
        return value
    return min(max(float(f"{value:.4g}"), hp.min_value), hp.max_value)


def share(hp, value):
    """The place of a value in the range, in [0, 1]; the middle for what has no place."""
    if isinstance(hp, kinds.Choice):
        return hp.value_to_prob(value) if value in hp.values else 0.5
    if isinstance(hp, kinds.Fixed):
        return 0.5
    if isinstance(hp, kinds.Boolean):
        return hp.value_to_prob(bool(value))
    if not is_number(value):
        return 0.5
    return float(np.clip(hp.value_to_prob(min(max(value, hp.min_value), hp.max_value)), 0, 1))


def tokens(hyperparameters):
    """Name to the words or sorted numbers it may take; `None` for a range."""
    found = {}
    for hp in hyperparameters:
        if isinstance(hp, kinds.Fixed):
            continue
        values = list(hp.values) if isinstance(hp, kinds.Choice) else None
        if isinstance(hp, kinds.Boolean):
            values = [0, 1]
        known = found.setdefault(hp.name, values)
        if known is not None and values is not None:
            found[hp.name] = list(dict.fromkeys([*known, *values]))
    return {
        name: values if values is None or isinstance(values[0], str) else sorted(values)
        for name, values in found.items()
    }


@contextlib.contextmanager
def scopes(hp, conditions):
    """Conditional scopes of `(name, values)` inside each other."""
    with contextlib.ExitStack() as opened:
        for name, values in conditions:
            opened.enter_context(hp.conditional_scope(name, values))
        yield


def declare_like(hp, own):
    """Registers a hyperparameter like `own` in the scope that is open."""
    config = own.get_config()
    config.pop("conditions")
    name = config.pop("name")
    if isinstance(own, kinds.Choice):
        return hp.Choice(name, own.values, ordered=own.ordered, default=own.default)
    kind = hp.Int if isinstance(own, kinds.Int) else hp.Float
    return kind(name, own.min_value, own.max_value, step=own.step, sampling=own.sampling, default=own.default)
