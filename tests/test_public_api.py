"""The public surface: what `import tfts` gives, at what price, and that all of it is explained."""

import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pydantic
import pytest

import tfts

PUBLIC = [
    "AnomalyDetector",
    "BASELINES",
    "Forecaster",
    "LinearRegression",
    "LogisticRegression",
    "METRICS",
    "MODELS",
    "Panel",
    "SCALERS",
    "Scaler",
    "SoftmaxRegression",
    "THRESHOLDS",
    "TftsError",
    "WindowSpec",
    "add_calendar",
    "attention_scores",
    "backtest",
    "chronological_split",
    "compare_backtests",
    "load_dataset",
    "make_sales",
    "make_series",
    "read_table",
    "search",
]
TABLES = {"BASELINES", "METRICS", "MODELS", "REGRESSIONS", "SCALERS", "SCORES", "SPACES", "THRESHOLDS"}
MODULES = [found.name for found in pkgutil.walk_packages(tfts.__path__, "tfts.")]


def fresh_python(code):
    """What a new process prints that runs `code` from the root of the repository."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(tfts.__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_all_is_the_public_surface():
    assert tfts.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_is_a_table_or_can_be_called(name):
    value = getattr(tfts, name)
    assert isinstance(value, dict) if name in TABLES else callable(value)


def test_no_public_name_is_hidden_by_a_module():
    # Importing tfts.backtest, were there such a module, would put it in the function's place.
    assert not {name.split(".")[1] for name in MODULES} & set(PUBLIC)


def test_any_name_can_be_the_first_that_is_imported():
    # Keras stays loaded, so that fifteen first imports of tfts cost seconds, not a minute.
    code = f"""
import importlib, sys, keras
public, modules = {PUBLIC!r}, {MODULES!r}

def check(order):
    for name in order:
        scope = {{}}
        exec(f"from tfts import {{name}}", scope)
        value = scope[name]
        assert isinstance(value, dict) if name in {TABLES!r} else callable(value), (order[0], name, value)

for first in range(len(public)):
    for name in [name for name in sys.modules if name.split(".")[0] == "tfts"]:
        del sys.modules[name]
    check(public[first:] + public[:first])
for name in modules:
    importlib.import_module(name)
check(public[::-1])
print("every order")
"""
    assert fresh_python(code) == "every order"


@pytest.mark.parametrize("package", ["tfts.baselines", "tfts.layers", "tfts.models", "tfts.regression"])
def test_packages_keep_what_their_all_says(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        assert callable(getattr(module, name)) or name in TABLES


def test_dir_lists_the_public_names():
    assert {*PUBLIC, "__version__"} <= set(dir(tfts))


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'tfts' has no attribute 'Forecastr'"):
        _ = tfts.Forecastr
    with pytest.raises(ImportError, match="cannot import name 'Forecastr' from 'tfts'"):
        exec("from tfts import Forecastr")


def test_import_is_quick_and_leaves_the_heavy_packages_out():
    code = """
import sys, time
began = time.perf_counter()
import tfts
print(time.perf_counter() - began, *({"tensorflow", "keras", "pandas", "matplotlib"} & set(sys.modules)))
"""
    # The best of three: the import is measured, not what else the machine is doing.
    answers = [fresh_python(code).split() for _ in range(3)]
    assert [answer[1:] for answer in answers] == [[], [], []]
    assert min(float(answer[0]) for answer in answers) < 0.5


def is_private(module):
    return any(part.startswith("_") for part in module.split("."))


def public_names(module):
    """What a module offers: its `__all__`, or what it defines itself without an underscore."""
    parent = sys.modules[module.__name__.rpartition(".")[0]]
    if hasattr(parent, "__all__") and parent is not tfts:
        # A package with `__all__` names what its modules offer.
        return []
    if hasattr(module, "__all__"):
        return [name for name in module.__all__ if name not in TABLES]
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module.__name__
    ]


OFFERED = [
    (module, name)
    for module in MODULES
    if not is_private(module)
    for name in public_names(importlib.import_module(module))
]


def methods_without_docstring(kind):
    """Public methods and properties that a class of ours has and does not explain.

    A method that is also one of a foreign base class, such as `call` of a Keras layer,
    is explained there, and what is particular to it in the docstring of the class.
    """
    foreign = [base for base in kind.__mro__[1:] if base.__module__.split(".")[0] != "tfts"]
    for name, value in vars(kind).items():
        value = getattr(value, "__func__", value)
        if name.startswith("_") or not (inspect.isfunction(value) or isinstance(value, property)):
            continue
        if not inspect.getdoc(getattr(kind, name)) and not any(hasattr(base, name) for base in foreign):
            yield f"{kind.__name__}.{name}"


def is_record(value):
    """Whether a class only holds fields; the function that makes it shows it."""
    return inspect.isclass(value) and issubclass(value, tuple | pydantic.BaseModel)


def test_the_surface_that_must_be_explained_is_found():
    for offered in (
        ("tfts.forecaster", "Forecaster"),
        ("tfts.models", "linear"),
        ("tfts.layers", "SelfAttention"),
        ("tfts.baselines", "Arima"),
        ("tfts.data.panel", "Panel"),
        ("tfts.cli", "run"),
    ):
        assert offered in OFFERED


@pytest.mark.parametrize("module", ["tfts", *MODULES])
def test_module_says_what_it_is(module):
    assert importlib.import_module(module).__doc__


@pytest.mark.parametrize(("module", "name"), OFFERED)
def test_public_name_has_a_docstring_and_an_example(module, name):
    value = getattr(importlib.import_module(module), name)
    # Not inspect.getdoc: a class would pass with the docstring of its base.
    assert value.__doc__, f"{module}.{name} has no docstring"
    if inspect.isclass(value):
        assert list(methods_without_docstring(value)) == []
    # The docstring of a command is its help, where a Python example would be in the way.
    if module != "tfts.cli" and not is_record(value):
        assert ">>>" in value.__doc__, f"{module}.{name} has no example"


def test_a_method_without_docstring_is_found():
    class Bare(dict):
        def show(self):
            pass

        def keys(self):
            pass

        @property
        def size(self):
            pass

        @classmethod
        def make(cls):
            pass

        def explained(self):
            """Says so."""

    assert list(methods_without_docstring(Bare)) == ["Bare.show", "Bare.size", "Bare.make"]
