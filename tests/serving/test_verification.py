import io
import json
import shutil
import sys

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.serving.fitted import untrained
from tfts import cli
from tfts.serving import capi, export, verify
from tfts.serving.metadata import read_metadata, seal
from tfts.serving.verification import print_verification


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A folder of all models, with one of them."""
    path = tmp_path_factory.mktemp("served")
    export(untrained("linear"), path)
    return path


@pytest.fixture
def changed(served, tmp_path):
    """A copy of the version, to be spoilt."""
    return shutil.copytree(served / "linear" / "1", tmp_path / "1")


def printed(verification):
    console = Console(file=io.StringIO(), width=100)
    print_verification(verification, console)
    return console.file.getvalue()


def test_an_export_passes_and_is_timed_in_a_process_without_keras(served):
    found = verify(served / "linear", threads=1, repeats=20)
    assert found.passed
    assert (found.name, found.version, found.folder) == ("linear", 1, served / "linear" / "1")
    assert [(row["signature"], row["batch"]) for row in found.replays] == [
        *(("serving_default", batch) for batch in (1, 7, 64)),
        ("describe", 2),
    ]
    assert [row["batch"] for row in found.latency_ms] == [1, 64]
    assert all(0 < row["p50"] <= row["p99"] for row in found.latency_ms)
    assert 0 < found.load_seconds < 20
    assert found.size_mb == pytest.approx(0.1, abs=0.1)
    assert "linear, version 1: passed\n" in printed(found)


def test_another_answer_fails(changed):
    path = changed / "sample_requests" / "serving_default_answer.json"
    answer = json.loads(path.read_text())
    answer["outputs"][3][0][0] *= 1.01
    path.write_text(json.dumps(answer))
    found = verify(changed, repeats=0)
    assert not found.passed
    assert not found.is_unchanged
    # The fourth window: not in a batch of one.
    assert [row["error"] > 1e-3 for row in found.replays] == [False, True, True, False]
    text = printed(found)
    assert "linear, version 1: FAILED" in text
    assert "the content hash differs" in text


def test_metadata_that_differ_from_what_the_graph_says_fail(changed):
    said = read_metadata(changed)
    seal(changed, {**said, "horizon": 99})
    found = verify(changed, repeats=0)
    assert found.is_unchanged
    assert not found.passed
    assert found.replays[-1] == {"signature": "describe", "batch": 2, "error": float("inf")}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda path: (path / "saved_model.pb").write_bytes(b"no graph"),
            r"can't be verified: TensorFlow says: ",
        ),
        (lambda path: shutil.rmtree(path / "variables"), r"can't be verified: TensorFlow says: "),
        (
            lambda path: (path / "metadata.json").unlink(),
            r"holds no exported model: metadata\.json is not there",
        ),
    ],
)
def test_a_folder_that_can_not_be_loaded_is_an_error(changed, spoil, message):
    spoil(changed)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        verify(changed, repeats=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 0}, r"`threads` must be an int >= 1\. Received: threads=0"),
        ({"repeats": -1}, r"`repeats` must be an int >= 0\. Received: repeats=-1"),
        ({"repeats": 1.5}, r"`repeats` must be an int >= 0"),
    ],
)
def test_options_out_of_range_are_refused(served, options, message):
    with pytest.raises(ValueError, match=message):
        verify(served / "linear", **options)


def test_a_process_that_imports_keras_would_be_noticed(served, monkeypatch, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import json, sys\n"
        "open(sys.argv[sys.argv.index('--out') + 1], 'w').write(json.dumps({'imported': ['keras'], 'found': []}))\n"
    )
    monkeypatch.setattr(capi, "__file__", str(program))
    with pytest.raises(ValueError, match=r"must not import keras, but it did"):
        verify(served / "linear", repeats=0)


def test_without_tensorflow_the_library_is_missed(monkeypatch):
    monkeypatch.delattr(capi._library, "loaded", raising=False)
    monkeypatch.setattr(capi.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"C API was not found.*no folder: it is not installed"):
        capi.LoadedModel("anywhere")


def test_differences_are_relative_to_the_usual_size():
    # Usual size (10 + 0) / 2 = 5: an error of 1 beside 0 is a fifth.
    assert capi.difference(np.array([10.0, 1.0]), np.array([10.0, 0.0])) == pytest.approx(0.2)
    assert capi.difference(np.array([10.0, np.nan]), np.array([11.0, np.nan])) == pytest.approx(1 / 11)
    assert capi.difference(np.array([np.nan]), np.array([np.nan])) == 0
    for got, expected in (
        (np.array([np.nan]), np.array([1.0])),
        (np.ones((2, 1)), np.ones(2)),
        (np.array([True]), np.array([False])),
    ):
        assert capi.difference(got, expected) == np.inf


def test_numbers_in_protocol_buffer_form():
    # 300 is 10 0101100 in groups of seven bits, the lowest first.
    assert capi._varint(300) == b"\xac\x02"
    content = b"\x10\xac\x02" + b"\x1a\x02ok" + b"\x25abcd" + b"\x21" + bytes(8)
    assert list(capi._fields(content)) == [(2, 300), (3, b"ok"), (4, b"abcd"), (4, bytes(8))]


def test_export_and_verify_in_a_shell(tmp_path, monkeypatch):
    untrained("linear").save(tmp_path / "saved")
    run = CliRunner().invoke
    command = [
        "export",
        str(tmp_path / "saved"),
        "--to",
        str(tmp_path / "served"),
        "--name",
        "load",
        "--unit",
        "load=MW",
    ]
    done = run(cli.app, command)
    assert done.exit_code == 0, done.output
    assert "load/1" in done.output.replace("\n", "")
    assert read_metadata(tmp_path / "served" / "load" / "1")["units"] == {"load": "MW"}
    done = run(cli.app, ["verify", str(tmp_path / "served" / "load"), "--threads", "1", "--repeats", "5"])
    assert done.exit_code == 0, done.output
    assert "load, version 1: passed" in done.output
    (tmp_path / "served" / "load" / "1" / "MODEL_CARD.md").write_text("changed")
    done = run(cli.app, ["verify", str(tmp_path / "served" / "load"), "--repeats", "0"])
    assert done.exit_code == 1
    assert "FAILED" in done.output


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["export", "nowhere", "--to", "served"], "nowhere holds nothing to export"),
        (
            ["export", "nowhere", "--to", "served", "--unit", "load"],
            "--unit takes COLUMN=UNIT, such as load=MW",
        ),
        (["verify", "nowhere"], "nowhere holds no exported model: metadata.json is not there"),
    ],
)
def test_a_mistake_in_a_shell_is_one_message(command, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tfts", *command])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())
