"""A folder that holds a detector, and what is refused."""

import json

import pytest

from tests.anomaly.conftest import shops
from tests.anomaly.test_detector import detector
from tfts import AnomalyDetector, __version__


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "shops"
    detector().fit(shops()).save(path)
    return path


@pytest.fixture
def described(folder):
    path = folder / "detector.json"
    text = path.read_text()
    yield json.loads(text)
    path.write_text(text)


def test_a_detector_says_which_version_wrote_it(described):
    assert (described["tfts"], described["format"]) == (__version__, 1)


def test_a_detector_without_a_format_is_refused_in_one_sentence(folder, described):
    # As 0.1.0 wrote it before there was a format.
    (folder / "detector.json").write_text(json.dumps({"tfts": "0.1.0", "settings": {"gap": 0}}))
    message = r"detector.json was written by tfts 0.1.0 in a form \(format none\) .* Fit and save it again"
    with pytest.raises(ValueError, match=message):
        AnomalyDetector.load(folder)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (
            {"tfts": "9.9.0", "format": 7},
            r"written by tfts 9.9.0 in a form \(format 7\) that tfts .* reads format 1",
        ),
        ([], "written by tfts of another kind"),
        ({}, "written by tfts of an unknown version"),
    ],
)
def test_another_form_is_refused(folder, described, held, message):
    (folder / "detector.json").write_text(json.dumps(held))
    with pytest.raises(ValueError, match=message):
        AnomalyDetector.load(folder)


def test_a_monitor_state_of_another_version_is_refused(folder, tmp_path):
    made = AnomalyDetector.load(folder)
    made.monitor().save(tmp_path / "state.json")
    state = json.loads((tmp_path / "state.json").read_text())
    made.monitor(tmp_path / "state.json")
    (tmp_path / "state.json").write_text(json.dumps({**state, "format": 2}))
    with pytest.raises(ValueError, match=r"state.json was written by tfts .* \(format 2\)"):
        made.monitor(tmp_path / "state.json")
