"""The public surface: what `import tfts` gives, at what price, and that all of it is explained."""

import configparser
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pydantic
import pytest

import tfts
from tfts._lazy import homes

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
    "Task",
    "TftsError",
    "WindowSpec",
    "add_calendar",
    "add_holidays",
    "anomaly",
    "attention",
    "attention_scores",
    "backtest",
    "baselines",
    "chronological_split",
    "compare_backtests",
    "data",
    "errors",
    "layers",
    "load_dataset",
    "make_sales",
    "make_series",
    "metrics",
    "models",
    "outputs",
    "plots",
    "predictors",
    "read_table",
    "regression",
    "search",
    "serving",
    "training",
    "tuning",
]
TABLES = {
    "CALIBRATIONS",
    "BACKENDS",
    "BASELINES",
    "DATASETS",
    "ENTRY_DATA",
    "ENTRY_KEYS",
    "TASK_ENTRY_KEYS",
    "METRICS",
    "MODELS",
    "NAB_PROFILES",
    "OUTPUTS",
    "PREDICTORS",
    "REGRESSIONS",
    "SCALERS",
    "SCORES",
    "SOURCES",
    "SPACES",
    "SUBSEQUENCES",
    "THRESHOLDS",
}
MODULES = [found.name for found in pkgutil.walk_packages(tfts.__path__, "tfts.")]
PACKAGES = [found.name for found in pkgutil.walk_packages(tfts.__path__, "tfts.") if found.ispkg]
# Their names are imported when they are first used.
LAZY = ["tfts", "tfts.anomaly", "tfts.data", "tfts.experiment", "tfts.serving"]


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
    if name in TABLES:
        assert isinstance(value, dict)
    else:
        assert callable(value) or value.__name__ == f"tfts.{name}"


@pytest.mark.parametrize("package", LAZY)
def test_no_lazy_name_is_hidden_by_a_module(package):
    # Importing tfts.backtest, were there such a module, would put it in the function's place.
    for name, home in homes(package, importlib.import_module(package).__file__).items():
        assert home == f"{package}.{name}" or f"{package}.{name}" not in MODULES


@pytest.mark.parametrize("package", PACKAGES)
def test_all_of_a_package_is_its_public_surface(package):
    module = importlib.import_module(package)
    assert len(module.__all__) == len(set(module.__all__))
    # What a package only uses itself comes from a private module or from another package.
    own = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not inspect.ismodule(value)
        and not is_private(getattr(value, "__module__", package))
        and getattr(value, "__module__", package) != "tfts.errors"
    }
    assert own <= set(module.__all__) <= set(dir(module))
    for name in module.__all__:
        value = getattr(module, name)
        assert callable(value) or inspect.ismodule(value) or isinstance(value, int) or name in TABLES


def test_packages_are_listed_as_lazy_where_they_are():
    stubs = Path(tfts.__file__).parent.rglob("__init__.pyi")
    assert (
        sorted(".".join(("tfts", *path.parts[path.parts.index("tfts") + 1 : -1])) for path in stubs) == LAZY
    )


def test_packages_are_there_once_tfts_is_imported_and_cost_nothing_before():
    code = """
import sys
import tfts
def loaded():
    return sorted({"tensorflow", "keras", "pandas", "matplotlib"} & set(sys.modules))
print(tfts.serving.ServingError("NOT_FOUND", "gone"), loaded())
print(tfts.data.Panel.__name__, tfts.data.make_series is tfts.make_series, loaded())
print(tfts.anomaly.vus_pr.__name__, tfts.anomaly.THRESHOLDS is tfts.THRESHOLDS, loaded())
print(tfts.metrics.rmse([1.0], [3.0]), tfts.plots.plot_fit.__name__, loaded())
print(tfts.layers.SelfAttention.__name__, tfts.models.MODELS is tfts.MODELS, tfts.baselines.Ridge.__name__)
print(tfts.attention.summarize.__name__, tfts.tuning.search is tfts.search, *tfts.regression.SCORES)
"""
    assert fresh_python(code).splitlines() == [
        "gone []",
        "Panel True ['pandas']",
        "vus_pr True ['pandas']",
        "2.0 plot_fit ['pandas']",
        "SelfAttention True Ridge",
        "summarize True linear logistic softmax",
    ]


def test_what_is_not_code_ships_with_the_package():
    root = Path(tfts.__file__).parent
    config = configparser.ConfigParser()
    config.read(root.parent / "setup.cfg")
    shipped = {
        path
        for package, patterns in config["options.package_data"].items()
        for pattern in patterns.replace(",", " ").split()
        for path in (
            root.rglob(pattern) if package == "*" else root.joinpath(*package.split(".")[1:]).glob(pattern)
        )
    }
    others = {
        path
        for path in root.rglob("*")
        if path.is_file() and path.suffix != ".py" and path.parent.name != "__pycache__"
    }
    assert root / "py.typed" in others
    assert others <= shipped


@pytest.mark.parametrize("package", LAZY)
def test_a_name_that_is_not_there_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match=f"module {package!r} has no attribute 'Forecastr'"):
        _ = importlib.import_module(package).Forecastr
    with pytest.raises(ImportError, match=f"cannot import name 'Forecastr' from {package!r}"):
        exec(f"from {package} import Forecastr")


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
        right = isinstance(value, dict) if name in {TABLES!r} else callable(value) or sys.modules["tfts." + name]
        assert right, (order[0], name, value)

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


def test_dir_lists_the_public_names():
    assert {*PUBLIC, "__version__"} <= set(dir(tfts))


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
    if parent.__name__ not in LAZY:
        # A package that imports all that it offers names what its modules offer.
        return []
    if hasattr(module, "__all__"):
        return [
            name
            for name in module.__all__
            if name not in TABLES and not inspect.ismodule(getattr(module, name))
        ]
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
