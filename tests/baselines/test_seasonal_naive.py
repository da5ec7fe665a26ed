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


# By the clock


def local_hours(first, days, freq="h", values=None):
    times = pd.date_range(first, periods=days * 24, freq=freq, tz="Europe/Berlin")
    hours = times.hour + times.minute / 60 if values is None else values
    return Panel.from_frame(pd.DataFrame({"y": np.asarray(hours, dtype=float)}, index=times))


def by_clock(panel, horizon, rows, **options):
    spec = WindowSpec(1, horizon)
    naive = build_baseline("seasonal_naive", season="clock", **options).fit(panel, spec)
    return naive.predict(panel, spec, np.array(rows))[..., 0]


@pytest.mark.parametrize(("first", "length"), [("2024-03-30", 23), ("2024-10-26", 25)])
@pytest.mark.parametrize("season_length", [24, 168])
def test_the_hour_of_the_clock_is_repeated_where_the_clock_was_changed(first, length, season_length):
    first = pd.Timestamp(first) - pd.Timedelta(days=7)
    panel = local_hours(first, 9)
    origins = np.arange(7 * 24 - 1, 8 * 24 + 5)
    found = by_clock(panel, 40, origins, season_length=season_length)
    expected = np.stack([panel.future_times(row, 40).hour for row in origins]).astype(float)
    if length == 23:
        # Where the day before is seen, it has no hour from 2 to 3 for the first of April.
        day_after = np.stack(
            [panel.future_times(row, 40).strftime("%d.%m. %H") == "01.04. 02" for row in origins]
        )
        seen = panel.times[origins] >= pd.Timestamp("2024-03-31 03:00", tz="Europe/Berlin")
        expected[day_after & seen[:, None] & (season_length == 24)] = 3
    np.testing.assert_array_equal(found, expected)


def test_a_season_of_rows_is_an_hour_off_after_the_change():
    panel = local_hours("2024-03-24", 9)
    row = panel.times.get_loc(pd.Timestamp("2024-03-31 12:00", tz="Europe/Berlin"))
    spec = WindowSpec(1, 1)
    naive = build_baseline("seasonal_naive").fit(panel, spec)
    assert naive.predict(panel, spec, [row])[0, 0, 0] == 12
    assert by_clock(panel, 1, [row])[0, 0] == 13


def test_no_row_after_the_origin_is_seen_on_a_day_of_23_hours():
    panel = local_hours("2024-03-28", 6, values=np.arange(144.0))
    for row in range(60, 100):
        assert (by_clock(panel, 60, [row]) <= row).all()


def test_missing_values_and_several_seasons_by_the_clock():
    values = np.repeat([1.0, 10.0, 3.0, 4.0], 24)
    values[72 + 5] = np.nan
    panel = Panel.from_frame(
        pd.DataFrame(
            {"y": values}, index=pd.date_range("2024-06-01", periods=96, freq="h", tz="Europe/Berlin")
        ),
        missing="drop",
    )
    # Five in the morning is missing on the last day.
    assert by_clock(panel, 24, [95])[0, 4:7].tolist() == [4.0, 3.0, 4.0]
    assert by_clock(panel, 24, [95], num_seasons=3)[0, 4:7].tolist() == [4.0, 3.0, 4.0]
    assert by_clock(panel, 24, [95], num_seasons=4)[0, 4] == 3.5


def test_quarters_of_an_hour_of_several_series():
    times = pd.date_range("2024-10-25", "2024-10-28 23:45", freq="15min", tz="Europe/Berlin")
    clock = times.hour * 60.0 + times.minute
    frame = pd.DataFrame(
        {"s": ["a"] * len(times) + ["b"] * len(times), "t": [*times, *times], "y": [*clock, *(clock + 1)]}
    )
    panel = Panel.from_frame(frame, time="t", series="s")
    row = times.get_loc(pd.Timestamp("2024-10-27 12:00", tz="Europe/Berlin"))
    found = by_clock(panel, 3, [row, row + len(times)])
    assert found.tolist() == [[735, 750, 765], [736, 751, 766]]


@pytest.mark.parametrize(
    ("changes", "options"),
    [({"tz": None}, {}), ({"freq": "D"}, {}), ({}, {"season_length": 36})],
)
def test_a_clock_that_the_rows_do_not_have_is_refused(changes, options):
    times = pd.date_range("2024-06-01", periods=48, **{"freq": "h", "tz": "Europe/Berlin", **changes})
    panel = Panel.from_frame(pd.DataFrame({"y": np.arange(48.0)}, index=times))
    with pytest.raises(
        ValueError, match=r"Expected times with a zone, rows shorter than a day and a season of whole"
    ):
        by_clock(panel, 1, [47], **options)


def test_an_unknown_season():
    with pytest.raises(ValueError, match=r"Unknown season 'day'\. Expected one of: clock, rows"):
        build_baseline("seasonal_naive", season="day")


def test_a_detector_goes_by_the_clock_too():
    from tfts.anomaly import AnomalyDetector

    times = pd.date_range("2024-03-11", "2024-03-31 23:00", freq="h", tz="Europe/Berlin")
    noise = np.random.default_rng(0).normal(scale=0.1, size=len(times))
    frame = pd.DataFrame({"y": 10.0 * times.hour + noise}, index=times)
    options = {"season": "clock"}
    detector = AnomalyDetector("seasonal_naive", context_length=24, model_options=options).fit(frame[:440])
    judged = detector.detect(frame[440:]).tail(12)
    # The hours after the change, each compared with the same hour of the clock.
    assert judged["residual"].abs().max() < 1
