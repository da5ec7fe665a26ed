import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

from tfts.anomaly import AnomalyDetector
from tfts.backtesting import backtest
from tfts.data.calendar import add_calendar
from tfts.data.panel import Panel
from tfts.errors import DataError
from tfts.forecaster import Forecaster


def rows(*numbers):
    return pd.DataFrame({"step": numbers, "y": np.arange(len(numbers)) * 1.5 + 1})


def test_row_numbers_are_times():
    panel = Panel.from_frame(rows(3, 0, 1, 2), time="step")
    assert panel.freq == "row"
    assert panel.to_frame().index.tolist() == [0, 1, 2, 3]
    assert panel.values[:, 0].tolist() == [2.5, 4.0, 5.5, 1.0]
    assert repr(panel) == "Panel(1 series, 4 rows from 0 to 3, freq='row', targets=['y'])"


def test_the_distance_of_row_numbers_is_found_and_gaps_are_rows():
    panel = Panel.from_frame(rows(0, 5, 15, 20), time="step", missing="drop")
    assert panel.freq == "5row"
    assert panel.to_frame().index.tolist() == [0, 5, 10, 15, 20]
    with pytest.raises(DataError, match=r"1 missing values at freq='5row' \(first: 10\)"):
        Panel.from_frame(rows(0, 5, 15, 20), time="step")


def test_forecasts_have_row_numbers_and_a_saved_forecaster_too(tmp_path):
    frame = rows(*range(30))
    made = Forecaster("drift", context_length=5, horizon=2, time="step").fit(frame)
    made.save(tmp_path / "model")
    for forecaster in (made, Forecaster.load(tmp_path / "model")):
        forecast = forecaster.predict(frame.tail(8))
        assert forecast["origin"].tolist() == [29, 29]
        assert forecast["time"].tolist() == [30, 31]
        np.testing.assert_allclose(forecast["y"], [46.0, 47.5])
    axes = made.plot(frame)
    assert axes.get_lines()[0].get_xdata()[-1] == 29
    pyplot.close(axes.figure)


def test_row_numbers_that_may_be_dates_need_a_word():
    frame = rows(2001, 2002, 2003)
    with pytest.raises(
        DataError, match=r"holds numbers \(first: 2001\).* Where they count rows, say so by freq=1"
    ):
        Panel.from_frame(frame, time="step")
    panel = Panel.from_frame(frame, time="step", freq=1)
    assert panel.to_frame().index.tolist() == [2001, 2002, 2003]


def test_an_index_of_row_numbers_counts_on_request_alone():
    frame = rows(0, 1, 2)[["y"]]
    with pytest.raises(DataError, match=r"Expected a table with a DatetimeIndex.* RangeIndex"):
        Panel.from_frame(frame)
    assert Panel.from_frame(frame, freq=1).to_frame().index.tolist() == [0, 1, 2]


def test_a_whole_number_as_time_step_asks_for_row_numbers():
    frame = pd.DataFrame({"day": pd.date_range("2024-01-01", periods=3), "y": [1.0, 2.0, 3.0]})
    with pytest.raises(DataError, match=r"freq=1 counts rows, but time column 'day' does not hold a whole"):
        Panel.from_frame(frame, time="day", freq=1)
    with pytest.raises(DataError, match=r"lead forward in time\. Received: freq=0"):
        Panel.from_frame(rows(0, 1, 2), time="step", freq=0)


def test_dates_are_refused_where_row_numbers_were_fitted_and_the_other_way_round():
    dates = pd.DataFrame({"step": pd.date_range("2024-01-01", periods=9), "y": np.arange(9.0)})
    counted = Forecaster("drift", context_length=2, horizon=1, time="step").fit(rows(*range(9)))
    with pytest.raises(DataError, match=r"freq='row' counts rows, but time column 'step' does not hold"):
        counted.predict(dates)
    dated = Forecaster("drift", context_length=2, horizon=1, time="step").fit(dates)
    with pytest.raises(DataError, match=r"holds numbers \(first: 0\)"):
        dated.predict(rows(*range(9)))


def test_row_numbers_have_no_calendar():
    panel = Panel.from_frame(rows(0, 1, 2), time="step")
    with pytest.raises(DataError, match=r"counts rows, so it has no calendar"):
        add_calendar(panel, ["hour"])


def test_a_detector_needs_times():
    detector = AnomalyDetector("running_median", context_length=2, time="step")
    with pytest.raises(DataError, match=r"needs times, but the rows are numbered.*data\.stamps"):
        detector.fit(rows(*range(60)))


def test_a_backtest_at_row_numbers():
    forecaster = Forecaster("drift", context_length=5, horizon=2, time="step")
    table = backtest(forecaster, rows(*range(40)), origins=[30, 33])
    assert table["origin"].unique().tolist() == [30, 33]
    assert table.loc[0, ["time", "actual", "forecast"]].tolist() == [31, 47.5, 47.5]
    with pytest.raises(
        DataError, match=r"The origin 77 is no time of the table, which goes from 0 to 39 at freq='row'"
    ):
        backtest(forecaster, rows(*range(40)), origins=[77])
