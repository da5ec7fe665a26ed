"""What a folder of an experiment is gone on with, and what not."""

import json

import pandas as pd
import pytest

from tfts.config import parse_settings
from tfts.experiment.folder import claim, frame_digest, is_made_of, mark

TEXT = """
data: {source: dataset, name: sunspots}
window: {context_length: 22, horizon: 3}
"""
ROWS = {"training": "5c0f2a91d3e7b864", "test": "91d3e7b8645c0f2a"}
OTHER = {**ROWS, "test": "0123456789abcdef"}


def settings(*changes):
    return parse_settings(TEXT, changes)


@pytest.fixture
def output(tmp_path):
    """The folder of a finished run."""
    described, changed = claim(tmp_path / "run", settings(), False, ROWS)
    assert changed == []
    (tmp_path / "run" / "models").mkdir()
    for name in ("model_metrics.csv", "ridge_search.csv", "notes.txt"):
        (tmp_path / "run" / name).write_text(name)
    (tmp_path / "run" / "run.json").write_text(json.dumps({**described, "finished": "now"}))
    return tmp_path / "run"


def left(output):
    return sorted(path.name for path in output.iterdir())


def test_the_same_settings_and_rows_go_on(output):
    described, changed = claim(output, settings(), False, ROWS)
    assert (described["finished"], described["rows"], changed) == ("now", ROWS, [])
    assert left(output) == ["model_metrics.csv", "models", "notes.txt", "ridge_search.csv", "run.json"]


def test_of_other_rows_only_what_knows_its_own_is_kept(output):
    described, changed = claim(output, settings(), False, OTHER, keep=("models",))
    assert (described["rows"], changed) == (OTHER, ["test"])
    assert "finished" not in described
    assert left(output) == ["models", "notes.txt", "run.json"]
    # Stopped before run.json is written anew, they are still other rows.
    assert claim(output, settings(), False, OTHER, keep=("models",))[1] == ["test"]


def test_other_rows_are_refused_where_nothing_may_be_kept(output):
    with pytest.raises(
        ValueError, match=r"holds a run of other rows \(changed: test\)\. Choose another --output"
    ):
        claim(output, settings(), False, OTHER)
    assert "models" in left(output)
    described, changed = claim(output, settings(), True, OTHER)
    assert "finished" not in described
    assert changed == []
    assert left(output) == ["notes.txt", "run.json"]


def test_other_settings_are_refused_whatever_the_rows_are(output):
    with pytest.raises(ValueError, match=r"with other settings \(changed: seed, window.horizon\)"):
        claim(output, settings("seed=3", "window.horizon=5"), False, OTHER, keep=("models",))
    described, _ = claim(output, settings("seed=3"), False, ROWS, extends=("seed",))
    assert described["settings"]["seed"] == 3


def test_what_is_fitted_is_known_by_all_that_it_depends_on(tmp_path):
    made_of = {"rows": ROWS, "options": {"confirm": (1, 2)}}
    assert not is_made_of(tmp_path, made_of)
    mark(tmp_path, made_of)
    assert is_made_of(tmp_path, made_of)
    assert not is_made_of(tmp_path, {**made_of, "rows": OTHER})
    assert not is_made_of(tmp_path, {**made_of, "options": {"confirm": (2, 2)}})
    path = tmp_path / "fitted_on.json"
    path.write_text(path.read_text().replace('"format": 2', '"format": 1'))
    assert not is_made_of(tmp_path, made_of)


def test_a_digest_of_a_frame_is_that_of_all_that_it_holds():
    frame = pd.DataFrame({"shop": ["a", "b", "a"], "sold": [7.0, None, 11.0]}, index=[2, 3, 5])
    own = frame_digest(frame)
    assert own == frame_digest(frame.copy())
    assert own == frame_digest(frame.astype({"shop": object}))
    changed = [
        frame.assign(sold=[7.0, 0.0, 11.0]),
        frame.assign(shop=["a", "b", "c"]),
        frame.rename(columns={"sold": "stock"}),
        frame.set_axis([2, 3, 7]),
        frame.iloc[:2],
        frame.iloc[::-1],
    ]
    assert len({own, *map(frame_digest, changed)}) == 7
