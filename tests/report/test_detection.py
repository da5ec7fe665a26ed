import io

import pandas as pd
import pytest
from rich.console import Console

from tests.report.reading import check_page, tables
from tfts.config import DetectionSettings, parse_settings
from tfts.experiment.detection import detect
from tfts.report import write_report

TEXT = """
data:
  source: sales
  options: {num_stores: 2, days: 400}
  targets: [Sales, Inventory, Ratings]
learn: 0.6
detector: {model: linear_regression, context_length: 7, score: joint, threshold: mad, k: 6, gap: 3}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "shops"
    detect(parse_settings(TEXT, kind=DetectionSettings), path, console=Console(file=io.StringIO()))
    return path


def test_the_report_tells_every_event_of_the_run(folder):
    text = (folder / "report.html").read_text()
    reader = check_page(text)
    assert reader.texts("h1") == ["Anomalies in shops"]
    events = pd.read_csv(folder / "events.csv")
    assert len(events) > 1
    (shown,) = [table for caption, table in tables(text).items() if caption.startswith("Events in the order")]
    assert shown["sentence"].tolist() == events["sentence"].tolist()
    assert [float(size) for size in shown["size"]] == events["size"].tolist()
    judged = pd.read_parquet(folder / "judged.parquet")
    assert f"{judged['flag'].sum()} of {len(judged):,} values were flagged." in " ".join(reader.texts("li"))
    # Timeline, two for each of three targets, what if, contributions.
    assert len(reader.all("img")) == 9


def test_the_report_is_made_again_of_the_folder_alone(folder):
    before = (folder / "report.html").read_text()
    (folder / "report.html").unlink()
    assert write_report(folder).read_text() == before


def test_lists_are_text_in_the_table_of_events(folder):
    events = pd.read_csv(folder / "events.csv")
    first = events.iloc[0]
    assert first["targets"].split(", ")[0] == first["target"]
    assert sum(map(float, str(first["shares"]).split(", "))) == pytest.approx(1, abs=1e-6)


def test_a_file_that_is_gone_is_named(folder, tmp_path):
    (tmp_path / "run.json").write_text((folder / "run.json").read_text())
    with pytest.raises(FileNotFoundError, match=r"judged\.parquet is not there"):
        write_report(tmp_path)
    text = (folder / "run.json").read_text().replace('"finished"', '"ended"')
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ValueError, match="was stopped before it was finished"):
        write_report(tmp_path)


def test_one_series_without_a_name_has_a_report(tmp_path):
    settings = parse_settings(
        """
        data: {source: dataset, name: sunspots}
        detector: {model: persistence, context_length: 1, k: 2}
        """,
        kind=DetectionSettings,
    )
    events = detect(settings, tmp_path / "sun", console=Console(file=io.StringIO()))
    assert len(events) > 0
    (shown,) = [
        table
        for caption, table in tables((tmp_path / "sun" / "report.html").read_text()).items()
        if caption.startswith("Events in the order")
    ]
    assert "series" not in shown
    assert len(shown) == len(events)
