"""Every example in a docstring runs and prints what it says."""

import ast
import contextlib
import doctest
import importlib
from pathlib import Path

import pytest
from matplotlib import pyplot

from tests.conftest import without_graphs

PACKAGE = Path(__file__).parents[1] / "tfts"
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def documented(tree, name):
    """`(full name, docstring, line)` of a module and of all that it defines.

    The source is read, not imported, so that to list the examples costs nothing.
    """
    text = ast.get_docstring(tree, clean=False)
    if text is not None:
        yield name, text, tree.body[0].lineno - 1
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield from documented(node, f"{name}.{node.name}")


def run_examples(name, text, line, path, names):
    examples = doctest.DocTestParser().get_doctest(text, names, name, path, line)
    report = []
    failed, _ = doctest.DocTestRunner(verbose=False, optionflags=OPTIONS).run(examples, out=report.append)
    assert not failed, "".join(report)


EXAMPLES = [
    pytest.param(path, *found, id=found[0])
    for path in sorted(PACKAGE.rglob("*.py"))
    for found in documented(ast.parse(path.read_text(encoding="utf-8")), module_name(path))
    if ">>>" in found[1]
]


@pytest.mark.parametrize(("path", "name", "text", "line"), EXAMPLES)
def test_example_runs(path, name, text, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = dict(vars(importlib.import_module(module_name(path))))
    try:
        with contextlib.nullcontext() if name.startswith("tfts.training") else without_graphs():
            run_examples(name, text, line, str(path), names)
    finally:
        pyplot.close("all")


def test_the_examples_of_every_part_of_the_package_are_found():
    names = [example.id for example in EXAMPLES]
    assert len(names) == len(set(names)) > 50
    layer, method = "tfts.layers.self_attention.SelfAttention", "tfts.data.panel.Panel.from_frame"
    assert {layer, method, "tfts.plots.forecasts.plot_forecast"} <= set(names)


def test_an_example_that_prints_something_else_fails():
    with pytest.raises(AssertionError, match=r"(?s)Expected:\s+3\s+Got:\s+2"):
        run_examples("sample", ">>> one + one\n3\n", 0, "sample.py", {"one": 1})


def test_an_example_that_warns_fails():
    text = ">>> import warnings\n>>> warnings.warn('old')\n"
    with pytest.raises(AssertionError, match="UserWarning: old"):
        run_examples("sample", text, 0, "sample.py", {})
