"""Mistakes in a file of settings, each with its key, its line and the nearest valid key."""

import itertools
import typing

import pydantic

from tfts._messages import unknown


def place_of(tree, path, changed):
    """Where a key stands: `line 7`, or the command line."""
    if any(path[: len(c)] == c for c in changed):
        return "--set"
    line = None
    for key in path:
        if not isinstance(tree, dict) or key not in tree:
            break
        # What a change has added has no line.
        position = (tree.lc.data or {}).get(key) if hasattr(tree, "lc") else None
        line = position[0] + 1 if position else line
        tree = tree[key]
    return f"line {line}" if line else "not in the file"


def validate(model, value, tree, prefix, changed):
    """The settings of one section, and a sentence for each mistake in them."""
    try:
        return model.model_validate(value), []
    except pydantic.ValidationError as error:
        sentences = {}
        for item in error.errors():
            # A union and a list add what they tried, or a number, to the names of the keys.
            path = prefix + tuple(itertools.takewhile(lambda p: isinstance(p, str), item["loc"]))
            while path and (path[-1] in ("str", "float", "int", "bool", "dict") or "[" in path[-1]):
                path = path[:-1]
            choices = _keys(model, path[len(prefix) : -1], prefix)
            sentence = _sentence(tree, path, item, changed, choices)
            # Of all kinds that a union tried, our own words say best what was expected.
            if item["type"] == "value_error":
                sentences[path] = sentence
            sentences.setdefault(path, sentence)
        return None, list(sentences.values())


def _sentence(tree, path, item, changed, choices):
    name, place = ".".join(path), place_of(tree, path, changed)
    # A key of an entry of a list has no name of its own.
    listed = not all(isinstance(key, str) for key in item["loc"])
    if item["type"] == "extra_forbidden" and listed:
        return f"{place}: {name}: Unknown key {item['loc'][-1]!r}."
    if item["type"] == "extra_forbidden":
        return f"{place}: {unknown('key', name, choices)}"
    if item["type"] == "missing" and listed:
        return f"{place}: {name}: {item['loc'][-1]} is missing."
    if item["type"] == "missing":
        return f"{place}: {name} is missing."
    if item["type"] == "value_error":
        said = str(item["ctx"]["error"])
        said = said if said.endswith((".", "?")) else f"{said}."
        return f"{place}: {name}: {said}" if path else said
    return f"{place}: {name}: {item['msg']}. Received: {item['input']!r}."


def _keys(model, path, prefix):
    """Full names of the valid keys of a section."""
    for key in path:
        in_dict = typing.get_origin(model) is dict
        model = typing.get_args(model)[1] if in_dict else model.model_fields[key].annotation
    return [".".join((*prefix, *path, key)) for key in getattr(model, "model_fields", ())]
