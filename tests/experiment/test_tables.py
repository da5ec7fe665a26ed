import io

import pandas as pd
import pytest
from rich.console import Console

from tfts.config import parse_settings
from tfts.data.readers import read_table
from tfts.experiment.attention import read_again
from tfts.experiment.forecasting import run
from tfts.experiment.tables import forecaster_options, load_frame, read_parts
from tfts.forecaster import Forecaster

TSF = (
    "@attribute series_name string\n@attribute start_timestamp date\n@data\n"
    + "007:2024-01-01 00-00-00:"
    + ",".join(map(str, range(1, 31)))
    + "\n"
    + "NA:2024-01-11 00-00-00:"
    + ",".join(map(str, range(40, 60)))
    + "\n"
)


def settings(data):
    return parse_settings(f"data: {data}\nwindow: {{context_length: 3, horizon: 2}}")


def test_a_source_names_its_own_columns(tmp_path):
    path = tmp_path / "a.tsf"
    path.write_text(TSF)
    made = settings(f"{{source: tsf, path: {path}, options: {{freq: D}}}}")
    frame, truth = load_frame(made)
    assert truth is None
    pd.testing.assert_frame_equal(frame, read_table(path, "tsf", freq="D"))
    _, _, panel, parts = read_parts(made)
    assert (panel.series, panel.freq, parts.test is not None) == (("007", "NA"), "D", True)
    fitted = Forecaster("persistence", **forecaster_options(made)).fit(frame)
    assert fitted.predict(read_again(made, path))["value"].tolist() == [30.0, 30.0, 59.0, 59.0]


def test_an_option_that_the_source_does_not_have_is_a_mistake_of_the_settings(tmp_path):
    with pytest.raises(ValueError, match=r"line 1: Unknown option of tsf data 'frq'.*'freq'"):
        settings("{source: tsf, path: a.tsf, options: {frq: D}}")
    with pytest.raises(ValueError, match=r"`path` is missing"):
        settings("{source: nixtla}")


def test_several_id_columns_and_row_numbers_of_a_file(tmp_path):
    path = tmp_path / "a.csv"
    lines = [
        f"{store},{item},{step},{step + 10}"
        for store in ("007", "NA")
        for item in (1, 2)
        for step in range(20)
    ]
    path.write_text("store,item,step,y\n" + "\n".join(lines))
    made = settings(f"{{source: file, path: {path}, time: step, series: [store, item], shortest: 20}}")
    panel = read_parts(made)[2]
    assert (panel.series, panel.freq) == (("007/1", "007/2", "NA/1", "NA/2"), "row")
    frame, _ = load_frame(made)
    fitted = Forecaster("drift", **forecaster_options(made)).fit(frame)
    assert fitted.predict(frame)["time"].tolist() == [20, 21] * 4


def test_seconds_since_1970_of_a_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("t,y\n" + "\n".join(f"{1704067200 + 3600 * i},{i}" for i in range(20)))
    made = settings(f"{{source: file, path: {path}, time: t, time_format: epoch seconds}}")
    panel = read_parts(made)[2]
    assert (panel.freq, str(panel.times[0])) == ("h", "2024-01-01 00:00:00+00:00")


def test_hours_to_25_of_a_file(tmp_path):
    path = tmp_path / "a.csv"
    lines = [
        f"2024-10-{day},{hour},{hour}"
        for day, n in ((26, 24), (27, 25), (28, 24))
        for hour in range(1, n + 1)
    ]
    path.write_text("day,he,mw\n" + "\n".join(lines))
    panel = read_parts(
        settings(
            f"{{source: file, path: {path}, time: [day, he], options: {{ends: h, timezone: Europe/Berlin}}}}"
        )
    )[2]
    assert (panel.freq, len(panel.times), str(panel.times.tz)) == ("h", 73, "Europe/Berlin")


def test_a_run_of_numbered_rows_has_a_report(tmp_path):
    path = tmp_path / "a.tsf"
    lines = [f"{name}:" + ",".join(str(10 + i % 7) for i in range(60)) for name in ("007", "NA")]
    path.write_text("@attribute series_name string\n@data\n" + "\n".join(lines))
    made = parse_settings(
        f"data: {{source: tsf, path: {path}}}\nwindow: {{context_length: 7, horizon: 2}}\n"
        "baselines: {persistence: {}, seasonal_naive: {season_length: 7}}"
    )
    run(made, tmp_path / "out", console=Console(file=io.StringIO()))
    page = (tmp_path / "out" / "report.html").read_text()
    assert f"{path} (tsf)" in page
    assert "0 to 59" in page
    assert "1970" not in page


def test_a_file_of_made_stores_keeps_the_column_of_its_times(tmp_path):
    settings = parse_settings(
        """
        data: {source: sales, options: {num_stores: 2, days: 50, types: 2}, time: time, series: store}
        window: {context_length: 7, horizon: 2}
        """
    )
    frame = load_frame(settings)[0]
    frame.to_csv(tmp_path / "later.csv", index=False)
    pd.testing.assert_frame_equal(read_again(settings, tmp_path / "later.csv"), frame, check_dtype=False)
