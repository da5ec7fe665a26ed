"""Names of a package that are imported when they are first used."""

import ast
import importlib
import sys
from pathlib import Path


def homes(package, init_file):
    """The names that the stub of a package lists, and the module that each is in.

    The stub `__init__.pyi` next to `__init__.py` is what type checkers read, so one list
    serves both: `from tfts.data.panel import Panel as Panel`, and `from tfts import layers
    as layers` for a module of the package itself.

    Args:
        package: `__name__` of the package.
        init_file: `__file__` of the package.

    Returns:
        Dict from a name to the full name of a module; of a module, to itself.
    """
    stub = Path(init_file).with_suffix(".pyi")
    return {
        alias.name: f"{package}.{alias.name}" if node.module == package else node.module
        for node in ast.parse(stub.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def lazy(package, init_file):
    """`__getattr__`, `__dir__` and `__all__` of a package whose names its stub lists.

    Source: lazy_loader.attach_stub, Scientific Python's SPEC 1.

    Args:
        package: `__name__` of the package.
        init_file: `__file__` of the package.

    Returns:
        Tuple of the function `__getattr__`, the function `__dir__` and the list `__all__`.
    """
    home = homes(package, init_file)

    def getattribute(name):
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(home[name])
        return module if home[name] == f"{package}.{name}" else getattr(module, name)

    def directory():
        return sorted({*vars(sys.modules[package]), *home})

    return getattribute, directory, sorted(home)
