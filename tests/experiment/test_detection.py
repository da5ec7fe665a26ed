import inspect
import io
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from tests.anomaly.conftest import shops
from tfts import AnomalyDetector
from tfts.config import DetectionSettings, Detector, parse_settings
from tfts.experiment.detection import detect, detect_file, split_frame, watch

TEXT = """
seed: 3
data: {source: file, path: "%s", time: day, series: shop, targets: [sold, stock]}
learn: 0.7
detector:
  model: linear_regression
  context_length: 7
  same_row: {stock: [sold]}
  k: 5.0
"""


def settings_of(path, *changes):
    return parse_settings(TEXT % path, changes, kind=DetectionSettings)


def run(path, output, *changes, **options):
    console = Console(width=160, record=True, file=io.StringIO())
    events = detect(settings_of(path, *changes), output, console=console, **options)
    return events, console.export_text()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detection")
    table = shops(rows=173)
    table.loc[(table["day"] == "2023-06-01") & (table["shop"] == "a"), "sold"] = 400.0
    table.to_csv(folder / "shops.csv", index=False)
    return folder, table, *run(folder / "shops.csv", folder / "run")


def feed(table, kind):
    """Lines of the rows that the run judged, day by day."""
    new = table[table["day"] > "2023-05-01"].sort_values(["day", "shop"]).astype({"day": str})
    if kind == "csv":
        return new.to_csv(index=False).splitlines()
    return [json.dumps(row) for row in new.to_dict("records")]


def test_run_finds_the_fault_and_writes_what_proves_it(finished):
    folder, _, events, text = finished
    assert sorted(p.name for p in (folder / "run").iterdir()) == [
        "detector",
        "events.csv",
        "judged.parquet",
        "report.html",
        "run.json",
    ]
    assert ("a", "sold", pd.Timestamp("2023-06-01")) in {
        (e.series, e.target, e.start) for e in events.itertuples()
    }
    assert "a: sold was 400 on 2023-06-01" in text
    judged = pd.read_parquet(folder / "run" / "judged.parquet")
    described = json.loads((folder / "run" / "run.json").read_text())
    assert described["judged"] == len(judged) == 2 * 2 * 52
    assert described["events"] == len(events) == len(pd.read_csv(folder / "run" / "events.csv"))
    assert described["expected_alarms_a_day"]["sold"] > 0


def test_same_command_again_fits_nothing_and_finds_the_same(finished):
    folder, _, events, _ = finished
    before = (folder / "run" / "detector" / "detector.json").stat().st_mtime_ns
    again, text = run(folder / "shops.csv", folder / "run")
    assert "already fitted" in text
    assert (folder / "run" / "detector" / "detector.json").stat().st_mtime_ns == before
    pd.testing.assert_frame_equal(again, events)
    with pytest.raises(ValueError, match=r"other settings \(changed: detector.k\)"):
        run(folder / "shops.csv", folder / "run", "detector.k=6")


def test_a_detector_of_rows_that_have_changed_is_fitted_again(finished, tmp_path):
    _, table, *_ = finished
    path = tmp_path / "shops.csv"
    table.to_csv(path, index=False)
    run(path, tmp_path / "run", "data.series=shop")
    (tmp_path / "run" / "monitor.json").write_text("{}")
    later = table.assign(sold=table["sold"].mask(table["day"] == table["day"].max(), 7.0))
    later.to_csv(path, index=False)
    _, text = run(path, tmp_path / "run")
    assert "These rows have changed since the last start: judged." in text
    assert "already fitted" in text
    assert (tmp_path / "run" / "monitor.json").is_file()
    earlier = later.assign(sold=later["sold"] * (1 + (later["day"] < "2023-02-01")))
    earlier.to_csv(path, index=False)
    events, text = run(path, tmp_path / "run")
    assert "changed since the last start: learnt." in text
    assert "already fitted" not in text
    assert not (tmp_path / "run" / "monitor.json").exists()
    fresh, _ = run(path, tmp_path / "fresh")
    pd.testing.assert_frame_equal(events, fresh)


def test_a_folder_of_another_version_is_refused(finished, tmp_path):
    folder, *_ = finished
    shutil.copytree(folder / "run", tmp_path / "old")
    described = json.loads((tmp_path / "old" / "run.json").read_text())
    (tmp_path / "old" / "run.json").write_text(json.dumps({**described, "format": 1}))
    with pytest.raises(ValueError, match=r"run\.json was written by tfts .* in form 1, but this one"):
        run(folder / "shops.csv", tmp_path / "old")
    with pytest.raises(ValueError, match=r"Give the same command with another --output\."):
        watch(tmp_path / "old", [])


def test_overwrite_fits_again(finished, tmp_path):
    folder, *_ = finished
    run(folder / "shops.csv", tmp_path / "run", "detector.k=6")
    before = (tmp_path / "run" / "detector" / "detector.json").read_text()
    run(folder / "shops.csv", tmp_path / "run", "detector.k=4", overwrite=True)
    assert (tmp_path / "run" / "detector" / "detector.json").read_text() != before


def test_a_file_is_judged_by_the_run(finished, tmp_path):
    folder, table, events, _ = finished
    table[table["day"] > "2023-05-01"].to_csv(tmp_path / "new.csv", index=False)
    console = Console(width=160, record=True, file=io.StringIO())
    rows, found = detect_file(folder / "run", tmp_path / "new.csv", console)
    pd.testing.assert_frame_equal(found, events)
    assert len(rows) == 2 * 2 * 52
    assert "a: sold was 400" in console.export_text()


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_live_lines_raise_the_alarms_of_the_run(finished, tmp_path, kind):
    folder, table, events, _ = finished
    out = io.StringIO()
    done = watch(folder / "run", feed(table, kind), state=tmp_path / "s.json", out=out, errors=io.StringIO())
    alarms = [json.loads(line) for line in out.getvalue().splitlines()]
    assert {(a["series"], a["detected"]) for a in alarms} == {
        (e.series, e.detected.isoformat()) for e in events.itertuples()
    }
    assert done.counts["rows"] == 2 * 52


def test_a_killed_watch_goes_on_with_the_same_alarms(finished, tmp_path):
    folder, table, *_ = finished
    lines = feed(table, "csv")

    def killed(lines, at):
        for i, line in enumerate(lines):
            if i == at:
                raise SystemExit
            yield line

    whole = io.StringIO()
    watch(folder / "run", lines, state=tmp_path / "whole.json", out=whole, errors=io.StringIO())
    for at in (2, 30, 63, 80):
        path, out, errors = tmp_path / f"{at}.json", io.StringIO(), io.StringIO()
        with pytest.raises(SystemExit):
            watch(folder / "run", killed(lines, at), state=path, out=out, errors=errors)
        # The feed begins again at its first line: what is known is not told twice.
        watch(folder / "run", lines, state=path, out=out, errors=errors)
        assert out.getvalue() == whole.getvalue()
        assert "Going on from" in errors.getvalue()


def test_lines_that_cannot_be_read_are_told_and_left_out(finished, tmp_path):
    folder, table, *_ = finished
    errors = io.StringIO()
    bad = [
        "{",
        "[1]",
        '{"day": "2023-06-30"}',
        '{"day": "x", "shop": "a", "sold": 1, "stock": 1, "promotion": 0}',
        "",
    ]
    done = watch(
        folder / "run", feed(table, "jsonl")[:3] + bad, state=tmp_path / "s", out=io.StringIO(), errors=errors
    )
    assert done.counts["rows"] == 3
    assert [line.split(":")[0] for line in errors.getvalue().splitlines()] == [
        f"Line {i} is left out" for i in (4, 5, 6, 7)
    ]
    short = [*feed(table, "csv")[:2], "2023-06-30,a"]
    watch(folder / "run", short, state=tmp_path / "s", out=io.StringIO(), errors=errors)
    assert "Line 3 is left out: 2 cells, not 5" in errors.getvalue()
    with pytest.raises(ValueError, match="`every` must be"):
        watch(folder / "run", [], every=0)
    with pytest.raises(FileNotFoundError, match="holds no detector"):
        watch(tmp_path, [])


def test_learn_is_a_share_or_a_time(finished):
    folder, table, *_ = finished
    for learn, rows in (("0.5", 86), ("2023-03-01", 59)):
        early, late = split_frame(table, settings_of(folder / "shops.csv", f"learn={learn}"))
        assert (len(early), len(late)) == (2 * rows, 2 * (173 - rows))
    for learn, message in (("1.5", r"share in \(0, 1\)"), ("2030-01-01", "none is left to judge")):
        with pytest.raises(ValueError, match=message):
            split_frame(table, settings_of(folder / "shops.csv", f"learn={learn}"))


def test_settings_are_the_arguments_of_the_detector_with_their_defaults():
    arguments = inspect.signature(AnomalyDetector).parameters
    for name, field in Detector.model_fields.items():
        default = arguments[name].default
        if default is None and isinstance(field.default, dict):
            default = {}
        wanted = type(field.default)(default) if isinstance(default, tuple) else default
        assert field.default == wanted, name
    data = {"targets", "known_future", "calendar", "time", "series", "freq", "missing", "limit"}
    data |= {"duplicates", "scaler", "per_series"}
    assert set(arguments) == data | set(Detector.model_fields)


def test_synthetic_shops_run_without_a_file(tmp_path):
    pytest.importorskip("tfts.data.sales")
    from pathlib import Path

    from tfts.config import read_settings

    path = Path(__file__).parents[2] / "configs" / "sales_anomaly.yaml"
    small = ["data.options={num_stores: 2, days: 400}"]
    settings = read_settings(path, small, kind=DetectionSettings)
    events = detect(settings, tmp_path / "run", console=Console(file=io.StringIO()))
    assert {"Sales", "Inventory", "Ratings"} >= set(events["target"])
    assert np.isfinite(events["strength"]).all()
