"""Settings as plain data, by which a half-done search is known again in another process."""

import functools
import hashlib

import numpy as np


def told(value):
    """Plain data that is the same in every process, and another for what does something else.

    Args:
        value: Plain data, functions, and objects with a `get_config`, as Keras's have.

    Returns:
        Data for JSON.

    Example:

    >>> told({"delta": 3.0, "act": (lambda x: x + 1)}) == told({"delta": 3.0, "act": (lambda x: x + 2)})
    False
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {str(name): told(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [told(inner) for inner in value]
    if isinstance(value, functools.partial):
        return [told(value.func), told(value.args), told(value.keywords)]
    if hasattr(value, "__code__"):
        return _told_function(value)
    if hasattr(value, "get_config") and not isinstance(value, type):
        # A config need not hold all: in Keras 3.15.1 that of Huber lacks its delta.
        own = {name: told(part) for name, part in vars(value).items() if _is_plain(part)}
        return [type(value).__qualname__, told(value.get_config()), own]
    if type(value).__repr__ is object.__repr__ or isinstance(value, type):
        # The address that Python would show is another in each process.
        return getattr(value, "__qualname__", type(value).__qualname__)
    return str(value)


def _is_plain(value):
    if isinstance(value, dict | list | tuple):
        return all(map(_is_plain, value.values() if isinstance(value, dict) else value))
    return value is None or isinstance(value, bool | int | float | str)


def _told_function(function):
    """Name, code and all that the code takes from around it, but for what other functions do there."""
    around = [cell.cell_contents for cell in function.__closure__ or ()]
    around = [one.__qualname__ if hasattr(one, "__code__") else told(one) for one in around]
    defaults = [told(function.__defaults__), told(function.__kwdefaults__)]
    return [function.__qualname__, _told_code(function.__code__), defaults, around]


def _told_code(code):
    """A fingerprint of compiled code, which does not know the lines or the file that it stands in."""
    text = "\n".join([code.co_code.hex(), *code.co_names, *map(_told_constant, code.co_consts)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _told_constant(value):
    if hasattr(value, "co_code"):
        return _told_code(value)
    # Sets come in another order in each process.
    return repr(sorted(map(repr, value)) if isinstance(value, frozenset) else value)
