import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfts.data.calendar import add_calendar, calendar_columns
from tfts.data.panel import Panel
from tfts.data.windows import WindowSpec


def panel(columns=("load", "temp")):
    """Two series of 3 and 2 rows, and a gap in the first column."""
    hours = pd.to_timedelta([0, 6, 12, 0, 6], unit="h")
    frame = pd.DataFrame(
        {
            "time": pd.Timestamp("2024-01-01") + hours,
            "store": [7, 7, 7, 11, 11],
            columns[0]: [3.0, np.nan, 5.0, 13.0, 17.0],
            columns[1]: [1.0, 2.0, 3.0, 5.0, 7.0],
        }
    )
    return Panel.from_frame(frame, time="time", series="store", known_future=[columns[1]], missing="drop")


def test_clock_features_are_the_plain_numbers():
    # 2024-02-29 was a Thursday, day 31 + 29 of its year; 2023-12-31 a Sunday.
    times = pd.DatetimeIndex(["2024-02-29 13:45", "2023-12-31 00:00"])
    columns = calendar_columns(times, ["weekday", "hour", "month", "day_of_year"])
    assert list(columns.columns) == ["weekday", "hour", "month", "day_of_year"]
    np.testing.assert_array_equal(columns, [[3, 13, 2, 60], [6, 0, 12, 365]])
    assert (columns.dtypes == np.float64).all()
    assert columns.index.equals(times)


def test_clock_features_are_in_local_time_and_periods_are_not():
    # The clock in Paris goes from 2 to 3 on this day, but an hour is an hour for a period.
    times = pd.date_range("2024-03-31 01:00", periods=2, freq="h", tz="Europe/Paris")
    columns = calendar_columns(times, ["hour", "24h"])
    np.testing.assert_array_equal(columns["hour"], [1, 3])
    np.testing.assert_allclose(columns["sin_24h"], [0, np.sin(2 * np.pi / 24)], atol=1e-15)
    pd.testing.assert_frame_equal(
        columns[["sin_24h"]].reset_index(drop=True),
        calendar_columns(times.tz_convert("UTC"), ["24h"])[["sin_24h"]].reset_index(drop=True),
    )


@pytest.mark.parametrize(
    ("period", "time", "turns"),
    [
        ("24h", "1970-01-01 06:00", 0.25),
        ("24h", "1969-12-31 18:00", 0.75),
        ("1D", "2031-05-17 08:00", 1 / 3),
        # 1970-01-01 was a Thursday, so a Monday lies four days after the phase zero.
        ("168h", "2024-01-01", 4 / 7),
        # 365.25 days are 8766 hours, of which 365 days and 6 hours are one turn.
        ("365.25D", "1971-01-01 06:00", 0.0),
        ("365.25D", "1970-04-02 07:30", 0.25),
        ("1min", "2262-01-01 00:00:15", 0.25),
        ("7us", "2500-01-01 00:00:00.000003", (16_725_225_600_000_003 % 7) / 7),
    ],
)
def test_phase_of_a_period_counts_from_1970(period, time, turns):
    times = pd.DatetimeIndex(np.array([time], dtype="datetime64[us]"))
    row = calendar_columns(times, [period]).iloc[0]
    assert list(row.index) == [f"sin_{period}", f"cos_{period}"]
    np.testing.assert_allclose(
        row, [np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns)], rtol=0, atol=1e-15
    )


@given(
    start=st.integers(-(10**9), 3 * 10**9),
    period=st.sampled_from(["24h", "168h", "30.4375D", "97min"]),
    unit=st.sampled_from(["s", "ms", "us", "ns"]),
)
def test_one_period_later_the_value_is_the_same(start, period, unit):
    first = pd.Timestamp(start, unit="s")
    times = pd.DatetimeIndex([first, first + pd.Timedelta(period)])
    both = calendar_columns(times.as_unit(unit), period).to_numpy()
    np.testing.assert_array_equal(both[0], both[1])
    np.testing.assert_allclose((both**2).sum(axis=1), 1, rtol=1e-15)


def test_features_named_twice_give_one_column():
    times = pd.DatetimeIndex(["2024-01-01"])
    assert list(calendar_columns(times, ["hour", "24h", "hour", "24h"]).columns) == [
        "hour",
        "sin_24h",
        "cos_24h",
    ]
    assert list(calendar_columns(times, "hour").columns) == ["hour"]
    assert calendar_columns(times, []).shape == (1, 0)


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (
            "weekdy",
            r"Unknown calendar feature 'weekdy'. Expected one of: day_of_year, hour, month, weekday. "
            r"Did you mean 'weekday'\? A period is given as a length of time",
        ),
        ("nat", "Unknown calendar feature 'nat'"),
        (24, "Unknown calendar feature 24"),
        ("-24h", "must be longer than zero.*'-24h'"),
        ("24", "must be longer than zero, with a unit, .*'24'"),
    ],
)
def test_wrong_features_are_errors(feature, message):
    with pytest.raises(ValueError, match=message):
        calendar_columns(pd.DatetimeIndex(["2024-01-01"]), ["hour", feature])


def test_wrong_times_are_errors():
    with pytest.raises(ValueError, match=r"must be a pandas DatetimeIndex. Received: list"):
        calendar_columns(["2024-01-01"], ["hour"])
    with pytest.raises(ValueError, match="no time in row 1"):
        calendar_columns(pd.DatetimeIndex(["2024-01-01", None]), ["hour"])


def test_panel_gets_known_future_columns_that_are_not_filled():
    before = panel()
    after = add_calendar(before, ["24h", "hour"])
    assert after.columns == ("load", "temp", "sin_24h", "cos_24h", "hour")
    assert after.known_future == ("temp", "sin_24h", "cos_24h", "hour")
    assert after.targets == ("load",)
    assert after.values.dtype == np.float64
    np.testing.assert_array_equal(after.values[:, :2], before.values)
    turns = [[0, 1, 0], [1, 0, 6], [0, -1, 12], [0, 1, 0], [1, 0, 6]]
    np.testing.assert_allclose(after.values[:, 2:], turns, atol=1e-7)
    np.testing.assert_array_equal(after.filled[:, :2], before.filled)
    assert after.filled.sum() == before.filled.sum() == 1
    assert after.filled.shape == (5, 5)
    assert (after.freq, after.series, before.columns) == ("6h", (7, 11), ("load", "temp"))


def test_calendar_of_a_panel_comes_out_in_its_windows():
    table = pd.DataFrame({"load": np.arange(19.0)}, index=pd.date_range("2024-01-01", periods=19, freq="h"))
    known = add_calendar(Panel.from_frame(table), ["hour"])
    inputs, _ = WindowSpec(5, 3, known_future=known.known_future).arrays(known)
    assert inputs["known_future"].shape == (12, 8, 1)
    np.testing.assert_array_equal(inputs["known_future"][2, :, 0], np.arange(2, 10))


def test_calendar_column_that_the_panel_already_has_is_an_error():
    with pytest.raises(ValueError, match=r"already has a column 'hour'.*leave 'hour' out of `features`"):
        add_calendar(panel(columns=("load", "hour")), ["24h", "hour"])
