"""No error of the package is only a built-in one: what the user can mend is of a kind of its own."""

import ast
from pathlib import Path

import pytest

import tfts
from tfts.cli import main

PACKAGE = Path(tfts.__file__).parent
# What users meet; the other built-in exceptions say that tfts itself is at fault.
BUILTINS = {"ValueError", "KeyError", "FileNotFoundError", "ImportError", "ModuleNotFoundError"}


def bare(source):
    """Lines that make or derive from a built-in exception that has a kind of tfts."""
    for node in ast.walk(ast.parse(source)):
        named = getattr(node, "func", None) if isinstance(node, ast.Call) else getattr(node, "exc", None)
        if getattr(named, "id", None) in BUILTINS:
            yield node.lineno
        elif isinstance(node, ast.ClassDef):
            bases = {getattr(base, "id", None) for base in node.bases}
            if bases & BUILTINS and not any(
                name and name.endswith("Error") and name not in BUILTINS for name in bases
            ):
                yield node.lineno


@pytest.mark.parametrize(
    "path",
    # capi.py also runs alone, in a process that must know nothing of tfts.
    sorted(path for path in PACKAGE.rglob("*.py") if path.name != "capi.py"),
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_no_error_of_the_package_is_a_bare_built_in_one(path):
    assert list(bare(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "raise ValueError('x')",
        "raise KeyError",
        "def f():\n    return FileNotFoundError('x')",
        "class Own(ValueError):\n    pass",
    ],
)
def test_a_bare_error_is_found(source):
    assert len(list(bare(source))) == 1


def test_what_is_caught_or_of_the_package_is_let_through():
    source = """
try:
    f()
except ValueError as error:
    raise SettingError("x") from error
class Own(TftsError, ValueError):
    pass
raise AttributeError("x")
"""
    assert list(bare(source)) == []


@pytest.mark.parametrize("kind", [ValueError, KeyError, FileNotFoundError])
def test_a_built_in_error_is_never_told_as_the_users_mistake(kind, monkeypatch, capsys, tmp_path):
    def fail(folder):
        raise kind("not enough values to unpack")

    monkeypatch.setattr("tfts.report.write_report", fail)
    monkeypatch.setattr("sys.argv", ["tfts", "report", "runs/sun"])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr().err
    if kind is FileNotFoundError:
        # The system's own: a file that was there is gone.
        assert (ended.value.code, "The system says" in told) == (2, True)
    else:
        assert (ended.value.code, "This is a fault of tfts" in told) == (70, True)
