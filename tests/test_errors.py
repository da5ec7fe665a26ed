"""The kinds of errors, and what the command line makes of them and of faults."""

import builtins
import inspect
import re
from pathlib import Path

import pytest

import tfts
from tfts import errors
from tfts.cli import main

KINDS = [value for _, value in inspect.getmembers(errors, inspect.isclass)]


def said(monkeypatch, capsys, error, *words):
    """Exit code and standard error of a command in which `error` is raised."""

    def fail(folder):
        raise error

    monkeypatch.setattr("tfts.report.write_report", fail)
    monkeypatch.setattr("sys.argv", ["tfts", "report", "runs/sun", *words])
    monkeypatch.setenv("COLUMNS", "300")
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize("kind", KINDS)
def test_kind_is_of_the_root_and_of_a_built_in_exception(kind):
    assert issubclass(kind, tfts.TftsError)
    others = [base for base in kind.__mro__ if base.__module__ == builtins.__name__]
    assert kind is errors.TftsError or set(others) & {ValueError, KeyError, FileNotFoundError}
    assert str(kind("Column 'load' is not there.")) == "Column 'load' is not there."
    assert kind.__doc__


def test_old_handlers_catch_the_kinds():
    for kind, builtin in (
        (errors.SettingError, ValueError),
        (errors.UnknownNameError, KeyError),
        (errors.MissingFileError, FileNotFoundError),
        (errors.MissingPackageError, ImportError),
    ):
        with pytest.raises(builtin, match="as ever"):
            raise kind("as ever")


def test_a_mistake_is_one_sentence(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, told = said(monkeypatch, capsys, errors.UnknownNameError("Unknown column 'slaes'."))
    assert (code, told) == (2, "Error: Unknown column 'slaes'.\n")
    assert not list(tmp_path.iterdir())


def test_a_fault_is_shown_as_one_with_its_traceback_in_a_file(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, told = said(monkeypatch, capsys, IndexError("list index out of range"))
    assert code == 70
    assert "This is a fault of tfts, not of your input: IndexError: list index out of range" in told
    assert "Traceback" not in told
    (log,) = tmp_path.iterdir()
    assert f"Its traceback is in {log};" in told
    written = log.read_text()
    assert written.startswith("tfts report runs/sun\n")
    assert "in fail\n" in written
    assert f"tfts {tfts.__version__}, Python 3" in written


def test_without_a_place_for_the_log_a_fault_shows_its_traceback(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    code, told = said(monkeypatch, capsys, RuntimeError())
    assert code == 70
    assert "not of your input: RuntimeError\n" in told
    assert "Traceback (most recent call last)" in told


@pytest.mark.parametrize("words", [["--debug"], ["--debug", "--debug"]])
def test_debug_shows_the_traceback_on_the_terminal(monkeypatch, capsys, tmp_path, words):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, told = said(monkeypatch, capsys, ZeroDivisionError("division by zero"), *words)
    assert code == 70
    assert "in fail\n" in told
    assert told.endswith("fault of tfts, not of your input: ZeroDivisionError: division by zero\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            PermissionError(13, "Permission denied", "runs/run.json"),
            "refuses runs/run.json: Permission denied.",
        ),
        (OSError(18, "Cross-device link", "a", None, "b"), "refuses a to b: Cross-device link."),
        (OSError(28, "No space left on device"), "The system says: No space left on device."),
        (OSError("file signature not found"), "The system says: file signature not found."),
        (MemoryError("7.4 GiB for an array"), "There is not enough memory (7.4 GiB for an array)."),
        (MemoryError(), "There is not enough memory."),
    ],
)
def test_what_the_system_refuses_is_neither_a_fault_nor_a_mistake(monkeypatch, capsys, error, sentence):
    code, told = said(monkeypatch, capsys, error)
    assert code == 2
    assert sentence in told
    assert "fault" not in told


def test_help_says_the_exit_codes(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["tfts", "--help"])
    with pytest.raises(SystemExit, match="0"):
        main()
    told = re.sub(r"\s+", " ", capsys.readouterr().out)
    for words in ("0 if all went well", "2 if the command", "70 if tfts itself failed", "--debug"):
        assert words in told


def test_a_file_that_stands_in_the_way_is_told_in_one_sentence(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("runs").write_text("a file, not a folder")
    Path("sun.yaml").write_text(
        "data: {source: dataset, name: sunspots}\nwindow: {context_length: 22, horizon: 3}\n"
    )
    monkeypatch.setattr("sys.argv", ["tfts", "run", "sun.yaml"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "Error: The system refuses runs" in capsys.readouterr().err
