import dataclasses

import numpy as np
import pandas as pd
import pytest

from tfts.baselines import build_baseline
from tfts.baselines.seasonal_naive import season_length_of
from tfts.data.panel import Panel
from tfts.data.spans import Spans
from tfts.data.windows import WindowSpec


def make_panel(values, freq="D", missing="raise"):
    frame = pd.DataFrame({"y": values}, index=pd.date_range("2024-01-01", periods=len(values), freq=freq))
    return Panel.from_frame(frame, missing=missing)


def forecast(panel, horizon, rows, season_length=None):
    spec = WindowSpec(1, horizon)
    naive = build_baseline("seasonal_naive", season_length=season_length).fit(panel, spec)
    return naive.predict(panel, spec, rows)[..., 0]


def test_the_latest_season_is_repeated_also_beyond_its_length():
    panel = make_panel(np.arange(8.0))
    # From row 6 the season of three rows is rows 4, 5, 6.
    np.testing.assert_array_equal(forecast(panel, 7, [6], 3), [[4, 5, 6, 4, 5, 6, 4]])


def test_the_season_is_found_from_the_frequency():
    panel = make_panel(np.arange(9.0))
    np.testing.assert_array_equal(forecast(panel, 2, [8]), [[2, 3]])


def test_a_missing_value_is_taken_from_the_season_before():
    panel = make_panel([1.0, 2.0, 3.0, 4.0, np.nan, 6.0, 7.0], missing="drop")
    # Rows 7, 8, 9 want rows 4, 5, 6; row 4 is missing, so row 1 stands in.
    np.testing.assert_array_equal(forecast(panel, 3, [6], 3), [[2, 6, 7]])


def test_the_last_value_stands_in_where_no_season_was_seen():
    panel = make_panel([5.0, 8.0, 9.0, 1.0])
    # The first two steps want rows -1 and 0 for a season of four.
    np.testing.assert_array_equal(forecast(panel, 2, [2], 4), [[9, 5]])


def test_rows_of_another_series_are_not_seen():
    times = pd.date_range("2024-01-01", periods=3, freq="D").tolist() * 2
    frame = pd.DataFrame({"time": times, "shop": ["a"] * 3 + ["b"] * 3, "y": [1.0, 2, 3, 10, 20, 30]})
    panel = Panel.from_frame(frame, time="time", series="shop")
    np.testing.assert_array_equal(forecast(panel, 1, [3, 5], 2), [[10], [20]])


def test_rows_before_the_first_context_row_are_not_seen():
    panel = make_panel(np.arange(6.0))
    part = dataclasses.replace(panel, spans=Spans(3, 3, 6, 6))
    np.testing.assert_array_equal(forecast(part, 2, [4], 3), [[4, 3]])


def test_the_median_of_some_seasons():
    panel = make_panel([1.0, 10.0, 2.0, 20.0, 9.0, 30.0, np.nan, 40.0], missing="drop")
    model = build_baseline("seasonal_naive", season_length=2, num_seasons=3)
    spec = WindowSpec(context_length=1, horizon=2)
    model.fit(panel, spec)
    # After row 7: the even rows hold 9, 2, 1 (6 is missing), the odd ones 40, 30, 20.
    np.testing.assert_array_equal(model.predict(panel, spec, [7])[0, :, 0], [2, 30])
    # After row 3 there are two seasons, after row 1 there is one.
    np.testing.assert_array_equal(model.predict(panel, spec, [3])[0, :, 0], [1.5, 15])
    np.testing.assert_array_equal(model.predict(panel, spec, [1])[0, :, 0], [1, 10])


@pytest.mark.parametrize("value", [0, 2.0, True])
def test_a_number_of_seasons_that_is_no_count_is_an_error(value):
    with pytest.raises(ValueError, match=r"`num_seasons` must be an int >= 1\. Received: num_seasons="):
        build_baseline("seasonal_naive", num_seasons=value)


@pytest.mark.parametrize(
    ("freq", "season"),
    [
        ("h", 24),
        ("2h", 12),
        ("15min", 96),
        ("min", 1440),
        ("10s", 360),
        ("24h", 7),
        ("D", 7),
        ("7D", 52),
        ("14D", 26),
        ("B", 5),
        ("W-SAT", 52),
        ("2W", 26),
        ("SMS", 24),
        ("MS", 12),
        ("BME", 12),
        ("3ME", 4),
        ("QS-OCT", 4),
        ("BQE", 4),
        ("YE", 1),
        ("7h", 1),
    ],
)
def test_season_length_of_usual_frequencies(freq, season):
    assert season_length_of(freq) == season


@pytest.mark.parametrize("value", [0, -7, 2.0, True, "week"])
def test_a_season_that_is_no_count_of_rows_is_an_error(value):
    with pytest.raises(ValueError, match=r"`season_length` must be an int >= 1 .* Received: season_length="):
        build_baseline("seasonal_naive", season_length=value)
