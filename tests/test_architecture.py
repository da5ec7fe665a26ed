"""Imports point downwards, and what the package must not hold is not there."""

import ast
import sys
from pathlib import Path

import pytest

import tfts
from tfts._lazy import homes

PACKAGE = Path(tfts.__file__).parent
HOMES = homes("tfts", tfts.__file__)

# From the ground up. A module may import its own folder and every level below.
LEVELS = (
    {"_messages", "_units", "_lazy", "errors"},
    {"_files", "_blocks"},
    {"outputs"},
    {"layers", "losses", "metrics", "keras_metrics"},
    {"task"},
    {"data", "comparison", "plots"},
    {"models", "baselines", "regression"},
    {"linear_start", "training"},
    {"calibration", "predictors"},
    {"forecaster"},
    {"backtesting", "attention", "anomaly", "tuning"},
    {"serving"},
    {"config", "report"},
    {"experiment"},
    {"cli"},
)
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
# `metrics.keras_metric` gives a metric of the table in the form that Keras takes.
SIDEWAYS = {("metrics", "keras_metrics")}
# They run on every Keras backend, so they know nothing but Keras.
BACKEND_FREE = {"layers", "models", "outputs", "task"}
# SciPy is asked for inside functions that no network calls.
BACKEND_FREE_MAY_IMPORT = {"keras", "numpy", "scipy", *sys.stdlib_module_names}
# Imported where Keras runs on TensorFlow, to do quicker what runs on every backend without it.
TENSORFLOW_ALONE = {"tfts.layers._block_lstm"}
UNSAFE_MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree, module, is_package=False):
    """`(line, full name)` of all that a module imports, in functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")
                parents = parents[: len(parents) - node.level + is_package]
                base = ".".join([*parents, base] if base else parents)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = (
                node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
            )
            if called in ("import_module", "__import__"):
                yield node.lineno, str(node.args[0].value)


def place(name):
    """The part of the package that a full name is in: `"tfts.data.panel.Panel"` is in `data`."""
    part = name.split(".")[1]
    # `from tfts import Panel` goes through the lazy names to where Panel is.
    return HOMES[part].split(".")[1] if part in HOMES else part


def wrong_imports(source, module, is_package=False):
    """A sentence for each import of a module that points up, sideways or out."""
    here = place(module) if module != "tfts" else None
    for line, name in imported(ast.parse(source), module, is_package):
        root = name.split(".")[0]
        if root != "tfts":
            allowed = BACKEND_FREE_MAY_IMPORT | ({"tensorflow"} if module in TENSORFLOW_ALONE else set())
            if here in BACKEND_FREE and root not in allowed:
                yield f"{module}:{line} imports {name}, but {here} must run on every Keras backend"
            continue
        if name in ("tfts", "tfts.__version__"):
            continue
        there = place(name)
        if here is None:
            if there != "_lazy":
                yield f"{module}:{line} imports {name}, but the names of tfts are lazy"
        elif here in BACKEND_FREE and there not in {"_messages", "_lazy", "errors", *BACKEND_FREE}:
            yield f"{module}:{line} imports {name}, but {here} must run on every Keras backend"
        elif here not in LEVEL or there not in LEVEL:
            yield f"{module}:{line} imports {name}, and one of them has no level in this test"
        elif here != there and LEVEL[there] >= LEVEL[here] and (here, there) not in SIDEWAYS:
            yield f"{module}:{line} imports {name}, but {there} is not below {here}"


def full_name(node):
    """`"keras.layers.Lambda"` of the expression, as far as it is made of names."""
    if isinstance(node, ast.Attribute):
        return f"{full_name(node.value)}.{node.attr}"
    return getattr(node, "id", "")


def forbidden(source):
    """A word for each thing in a module that the package must not hold."""
    tree = ast.parse(source)
    for line, name in imported(tree, "tfts"):
        if UNSAFE_MODULES & set(name.split(".")):
            yield line, "pickle"
        if name.endswith("layers.Lambda"):
            yield line, "Lambda"
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield node.lineno, "assert"
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            yield node.lineno, "bare except"
        elif isinstance(node, ast.Name) and node.id == "NotImplementedError":
            yield node.lineno, "NotImplementedError"
        elif isinstance(node, ast.Attribute) and full_name(node).endswith("layers.Lambda"):
            yield node.lineno, "Lambda"
        elif isinstance(node, ast.Attribute) and node.attr in ("to_pickle", "read_pickle"):
            yield node.lineno, "pickle"
        elif isinstance(node, ast.Attribute) and node.attr == "enable_unsafe_deserialization":
            yield node.lineno, "safe_mode"
        elif isinstance(node, ast.keyword):
            # Anything but the safe constant: a variable could be the unsafe one.
            safe = {"safe_mode": True, "allow_pickle": False}.get(node.arg)
            if safe is not None and not (isinstance(node.value, ast.Constant) and node.value.value is safe):
                yield node.value.lineno, node.arg


SOURCES = [pytest.param(path, id=module_name(path)) for path in sorted(PACKAGE.rglob("*.py"))]


@pytest.mark.parametrize("path", SOURCES)
def test_imports_point_downwards(path):
    source = path.read_text(encoding="utf-8")
    assert list(wrong_imports(source, module_name(path), path.stem == "__init__")) == []


@pytest.mark.parametrize("path", SOURCES)
def test_module_holds_nothing_forbidden(path):
    assert list(forbidden(path.read_text(encoding="utf-8"))) == []


def test_every_part_of_the_package_has_a_level():
    parts = {
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert parts - {"__init__"} <= set(LEVEL)
    assert len(LEVEL) == sum(map(len, LEVELS))


def test_every_sideways_import_is_really_there():
    for here, there in SIDEWAYS:
        files = (
            [PACKAGE / f"{here}.py"] if (PACKAGE / f"{here}.py").is_file() else (PACKAGE / here).glob("*.py")
        )
        names = [
            name
            for path in files
            for _, name in imported(ast.parse(path.read_text(encoding="utf-8")), module_name(path))
        ]
        assert any(place(name) == there for name in names if name.startswith("tfts."))


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("tfts.data.panel", "from tfts.forecaster import Forecaster", "forecaster is not below data"),
        ("tfts.data.panel", "import tfts.models.linear", "models is not below data"),
        ("tfts.data.panel", "def f():\n    from tfts import models", "models is not below data"),
        ("tfts.data.panel", "from tfts import Forecaster", "forecaster is not below data"),
        ("tfts.data.panel", "from ..plots import plot_forecast", "plots is not below data"),
        ("tfts.data.panel", "from .. import plots", "plots is not below data"),
        ("tfts.data.panel", "import importlib\nimportlib.import_module('tfts.cli')", "cli is not below data"),
        ("tfts._messages", "from tfts.data.panel import Panel", "data is not below _messages"),
        ("tfts.keras_metrics", "from tfts.metrics import METRICS", "metrics is not below keras_metrics"),
        ("tfts.baselines.drift", "from tfts.models import MODELS", "models is not below baselines"),
        ("tfts.config", "from tfts.experiment.forecasting import run", "experiment is not below config"),
        ("tfts.experiment", "from tfts.cli import main", "cli is not below experiment"),
        ("tfts.models.linear", "import tensorflow as tf", "models must run on every Keras backend"),
        ("tfts.layers.self_attention", "import pandas", "layers must run on every Keras backend"),
        ("tfts.models.linear", "from tfts.data.panel import Panel", "models must run on every Keras backend"),
        ("tfts.task", "from tfts.data.windows import WindowSpec", "task must run on every Keras backend"),
        ("tfts.outputs.point", "from tfts.task import Task", "task is not below outputs"),
        ("tfts.layers.self_attention", "from tfts.models import linear", "models is not below layers"),
        ("tfts", "from tfts.data.panel import Panel", "the names of tfts are lazy"),
        ("tfts.trainers", "from tfts.metrics import rmse", "no level in this test"),
        ("tfts.cli", "from tfts.trainers import Trainer", "no level in this test"),
    ],
)
def test_a_wrong_import_is_found(module, source, complaint):
    (sentence,) = wrong_imports(source, module)
    assert complaint in sentence


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("tfts.forecaster", "from tfts import __version__\nfrom tfts.data.panel import Panel\nimport pandas"),
        ("tfts.data.split", "from tfts.data.panel import Panel\nfrom .panel import Panel"),
        (
            "tfts.models.linear",
            "import math\nimport keras\nimport numpy\nfrom tfts.layers import SelfAttention",
        ),
        ("tfts.metrics", "from tfts.keras_metrics import R2"),
        ("tfts", "import importlib"),
    ],
)
def test_a_right_import_is_let_through(module, source):
    assert list(wrong_imports(source, module)) == []


def test_a_relative_import_in_a_package_starts_at_the_package():
    (sentence,) = wrong_imports("from .. import cli", "tfts.data", is_package=True)
    assert "imports tfts.cli" in sentence
    assert list(wrong_imports("from . import panel", "tfts.data", is_package=True)) == []


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("assert x", "assert"),
        ("import pickle", "pickle"),
        ("from joblib import dump", "pickle"),
        ("from sklearn.externals import joblib", "pickle"),
        ("frame.to_pickle('a')", "pickle"),
        ("pd.read_pickle('a')", "pickle"),
        ("keras.layers.Lambda(f)", "Lambda"),
        ("layers.Lambda(f)", "Lambda"),
        ("from keras.layers import Lambda", "Lambda"),
        ("try:\n    f()\nexcept:\n    g()", "bare except"),
        ("raise NotImplementedError", "NotImplementedError"),
        ("raise NotImplementedError('later')", "NotImplementedError"),
        ("keras.models.load_model(path, safe_mode=False)", "safe_mode"),
        ("keras.models.load_model(path, safe_mode=flag)", "safe_mode"),
        ("keras.config.enable_unsafe_deserialization()", "safe_mode"),
        ("np.load(path, allow_pickle=True)", "allow_pickle"),
    ],
)
def test_a_forbidden_thing_is_found(source, word):
    assert [found for _, found in forbidden(source)] == [word]


def test_what_only_looks_forbidden_is_let_through():
    source = """
try:
    model = keras.models.load_model(path, safe_mode=True)
    values = np.load(path, allow_pickle=False)
except ValueError:
    callback = keras.callbacks.LambdaCallback(on_epoch_end=show)
"""
    assert list(forbidden(source)) == []
