"""What Panel.from_frame makes of tables, and what it refuses."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfts._units import offset_of
from tfts.data.panel import Panel
from tfts.data.split import chronological_split
from tfts.data.times import Clock

DAYS = pd.date_range("2024-01-01", periods=7, freq="D")


def wide(values=(3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0), index=DAYS, **columns):
    return pd.DataFrame({"y": values, **columns}, index=index)


def numbered(index):
    return pd.DataFrame({"y": np.arange(len(index), dtype=float)}, index=index)


def check_refused(message, frame, error=ValueError, **settings):
    with pytest.raises(error, match=message):
        Panel.from_frame(frame, **settings)


# What comes in


def test_wide_table_with_a_datetime_index():
    panel = Panel.from_frame(wide(x=range(7)), targets="y")
    assert panel.values.dtype == np.float64
    np.testing.assert_array_equal(panel.values[:3], [[3, 0], [1, 1], [4, 2]])
    assert (panel.columns, panel.targets, panel.known_future) == (("y", "x"), ("y",), ())
    assert (panel.freq, panel.series, panel.series_name, panel.time_name) == ("D", ("",), None, "time")
    assert panel.spans.start.dtype == np.int64
    assert panel.spans.tolist() == [[0, 0, 7, 7]]
    assert panel.filled.shape == (7, 2)
    assert not panel.filled.any()


def test_every_column_is_a_target_unless_named_otherwise():
    assert Panel.from_frame(wide(x=range(7), z=range(7)), known_future="z").targets == ("y", "x")


@pytest.mark.parametrize("text", [False, True])
def test_time_column_of_stamps_or_of_text(text):
    frame = wide().reset_index(names="when")
    frame["when"] = frame["when"].astype(str) if text else frame["when"]
    panel = Panel.from_frame(frame, time="when")
    assert panel.columns == ("y",)
    assert panel.time_name == "when"
    assert list(panel.times) == list(DAYS)


def test_periods_stand_for_their_start():
    months = pd.period_range("2023-11", periods=5, freq="M")
    assert Panel.from_frame(numbered(months)).times[1] == pd.Timestamp("2023-12-01")
    frame = numbered(months).reset_index(names="month")
    assert Panel.from_frame(frame, time="month").freq == "MS"


def test_long_table_with_series_of_unequal_lengths():
    frame = pd.DataFrame(
        {
            "store": ["b"] * 3 + ["a"] * 5,
            "day": [*DAYS[2:5], *DAYS[:5]],
            "sales": [20.0, 21.0, 22.0, 10.0, 11.0, 12.0, 13.0, 14.0],
        }
    )
    panel = Panel.from_frame(frame, time="day", series="store")
    assert panel.series == ("a", "b")
    assert panel.series_name == "store"
    assert panel.spans.tolist() == [[0, 0, 5, 5], [5, 5, 8, 8]]
    assert panel.values[:, 0].tolist() == [10, 11, 12, 13, 14, 20, 21, 22]
    assert panel.times[5] == DAYS[2]
    assert panel.series_of(np.array([0, 4, 5, 7])).tolist() == [0, 0, 1, 1]
    assert repr(panel) == (
        "Panel(2 series, 8 rows from 2024-01-01 00:00:00 to 2024-01-05 00:00:00, freq='D', targets=['sales'])"
    )
    back = panel.to_frame()
    assert list(back.columns) == ["store", "day", "sales"]
    assert back["store"].tolist() == ["a"] * 5 + ["b"] * 3


@pytest.mark.parametrize(
    "names",
    [[11, 3], ["11", "3"], pd.Categorical(["p", "o"]), pd.array(["q", "p"], dtype="string"), [True, False]],
)
def test_series_of_any_kind_of_name(names):
    frame = pd.DataFrame({"s": np.repeat(names, 3), "t": [*DAYS[:3]] * 2, "y": [1.0, 2, 3, 4, 5, 6]})
    if isinstance(names, pd.Categorical):
        frame["s"] = frame["s"].astype("category")
    panel = Panel.from_frame(frame, time="t", series="s")
    assert panel.series == tuple(sorted(names))
    assert not any(isinstance(name, np.generic) for name in panel.series)


def test_index_and_series_column_together():
    frame = pd.DataFrame({"s": ["a", "a", "b", "b"], "y": [1, 2, 4, 3]}, index=DAYS[[0, 1, 0, 1]])
    assert Panel.from_frame(frame, series="s").to_frame().columns.tolist() == ["s", "time", "y"]


def test_rows_in_any_order():
    frame = wide()
    shuffled = frame.iloc[[4, 0, 6, 2, 5, 1, 3]]
    panel = Panel.from_frame(shuffled)
    np.testing.assert_array_equal(panel.values[:, 0], frame["y"])
    assert list(panel.times) == list(DAYS)


def test_input_is_left_as_it_was():
    frame = wide((3.0, np.nan, 4.0, 1.0, 5.0, 9.0, 2.0)).iloc[::-1]
    before = frame.copy(deep=True)
    panel = Panel.from_frame(frame, missing="interpolate")
    panel.values[:] = -1
    pd.testing.assert_frame_equal(frame, before)


def test_column_names_that_are_no_strings():
    frame = pd.DataFrame([[1.0, 2.0], [3.0, 5.0]], columns=[0, ("a", 1)], index=DAYS[:2])
    panel = Panel.from_frame(frame, targets=[0])
    assert panel.columns == ("0", "('a', 1)")
    assert panel.targets == ("0",)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ([True, False, True], [1, 0, 1]),
        (pd.array([1, None, 3], dtype="Int64"), [1, np.nan, 3]),
        (pd.array([True, None, False], dtype="boolean"), [1, np.nan, 0]),
        (pd.array([0.5, None, 2], dtype="Float32"), [0.5, np.nan, 2]),
        (np.array([1.5, None, 2], dtype=object), [1.5, np.nan, 2]),
        (["1.5", None, "-2e3"], [1.5, np.nan, -2000]),
        (pd.array(["7", pd.NA, "8"], dtype="string"), [7, np.nan, 8]),
        (np.array([1, 2, 3], dtype=np.uint8), [1, 2, 3]),
    ],
)
def test_column_types(column, expected):
    panel = Panel.from_frame(pd.DataFrame({"y": column}, index=DAYS[:3]), missing="drop")
    np.testing.assert_array_equal(panel.values[:, 0], expected)
    np.testing.assert_array_equal(panel.filled[:, 0], np.isnan(expected))


def test_arrow_columns():
    pytest.importorskip("pyarrow")
    column = pd.array([1, 2, None], dtype="int64[pyarrow]")
    panel = Panel.from_frame(pd.DataFrame({"y": column}, index=DAYS[:3]), missing="drop")
    np.testing.assert_array_equal(panel.values[:, 0], [1, 2, np.nan])


# Frequencies


@pytest.mark.parametrize(
    ("freq", "found"),
    [
        ("h", "h"),
        ("15min", "15min"),
        ("500ms", "500ms"),
        ("D", "D"),
        ("B", "B"),
        ("W", "7D"),
        ("7D", "7D"),
        ("MS", "MS"),
        ("ME", "ME"),
        ("BMS", "BMS"),
        ("BME", "BME"),
        ("QS", "QS-JAN"),
        ("QE", "QE-DEC"),
        ("QS-FEB", "QS-FEB"),
        ("QE-NOV", "QE-NOV"),
        ("YS", "YS-JAN"),
        ("YE", "YE-DEC"),
        ("YS-APR", "YS-APR"),
    ],
)
def test_frequency_is_found_with_and_without_gaps_and_taken(freq, found):
    index = pd.date_range("2021-02-03", periods=13, freq=freq)
    panel = Panel.from_frame(numbered(index))
    assert panel.freq == found
    assert list(panel.times) == list(index)
    assert list(panel.future_times(12, 2)) == list(pd.date_range(index[-1], periods=3, freq=freq)[1:])

    gappy = Panel.from_frame(numbered(index).drop(index[[3, 4, 8]]), missing="drop")
    assert gappy.freq == found
    assert list(gappy.times) == list(index)
    assert np.flatnonzero(gappy.filled[:, 0]).tolist() == [3, 4, 8]

    taken = Panel.from_frame(numbered(index), freq=freq)
    assert taken.freq == pd.tseries.frequencies.to_offset(freq).freqstr
    assert list(taken.times) == list(index)


@pytest.mark.parametrize(
    ("stamps", "freq"),
    [
        (["2021-01-01", "2022-01-01", "2023-01-01"], "YS-JAN"),  # 365 days twice, but 2024 is longer
        (["2023-07-01", "2023-08-01", "2023-09-01"], "MS"),  # 31 days twice
        (["2024-01-01", "2024-02-01"], "MS"),
        (["2024-01-01", "2024-01-03"], "2D"),
    ],
)
def test_few_stamps_are_read_as_the_calendar_reads_them(stamps, freq):
    assert Panel.from_frame(numbered(pd.DatetimeIndex(stamps))).freq == freq


def test_time_of_day_is_kept():
    closes = pd.date_range("2024-01-01 16:00", periods=11, freq="B")
    for panel in (Panel.from_frame(numbered(closes)), Panel.from_frame(numbered(closes), freq="B")):
        assert panel.freq == "B"
        assert list(panel.times) == list(closes)


@pytest.mark.parametrize("freq", [None, "h", "D"])
@pytest.mark.parametrize("month", [3, 10])
def test_clock_changes_of_a_time_zone(freq, month):
    # Berlin changes its clock on 31 March and on 27 October 2024.
    days = pd.date_range(f"2024-{month}-25", periods=11, freq="D", tz="Europe/Berlin")
    index = pd.date_range(days[0], days[-1], freq="h") if freq == "h" else days
    panel = Panel.from_frame(numbered(index), freq=freq)
    assert panel.freq == (freq or "D")
    assert list(panel.times) == list(index)
    assert not panel.filled.any()
    ahead = panel.future_times(len(index) - 1, 1)[0]
    assert ahead - index[-1] == pd.Timedelta(hours=1 if freq == "h" else 24)


def test_hours_of_a_time_zone_are_not_days():
    index = pd.date_range("2024-03-29", periods=7, freq="24h", tz="Europe/Berlin")
    panel = Panel.from_frame(numbered(index))
    assert panel.freq == "24h"
    assert list(panel.times) == list(index)


def test_periods_of_an_hour_at_a_clock_change():
    # 02:00 to 03:00 happens twice on this day, so it has 25 hours.
    index = pd.date_range("2024-10-27", "2024-10-27 23:40", freq="20min", tz="Europe/Berlin")
    panel = Panel.from_frame(numbered(index), freq="h", duplicates="mean")
    assert len(panel.times) == 25
    np.testing.assert_array_equal(panel.values[:, 0], 3.0 * np.arange(25) + 1)


def test_days_where_the_clock_skips_midnight():
    # In Sao Paulo 4 November 2018 began at 01:00.
    index = pd.date_range("2018-11-02", "2018-11-06", freq="h", tz="America/Sao_Paulo")
    panel = Panel.from_frame(numbered(index), freq="D", duplicates="first")
    assert [t.hour for t in panel.times] == [0, 0, 1, 0, 0]
    assert not panel.filled.any()
    assert panel.future_times(0, 3)[1].hour == 1


@pytest.mark.parametrize(
    ("freq", "stamps", "named"),
    [
        ("h", ["2024-01-01 00:10", "2024-01-01 01:59"], ["2024-01-01 00:00", "2024-01-01 01:00"]),
        ("2D", ["2024-01-01 10:00", "2024-01-04 09:00"], ["2024-01-01", "2024-01-03"]),
        ("MS", ["2024-01-15", "2024-02-29"], ["2024-01-01", "2024-02-01"]),
        ("ME", ["2024-01-30", "2024-02-28"], ["2024-01-31", "2024-02-29"]),
        ("W-SUN", ["2024-01-01", "2024-01-14"], ["2024-01-07", "2024-01-14"]),
        ("B", ["2024-01-05 09:30", "2024-01-08 16:00"], ["2024-01-05", "2024-01-08"]),
    ],
)
def test_a_given_frequency_names_the_period_of_every_row(freq, stamps, named):
    panel = Panel.from_frame(numbered(pd.DatetimeIndex(stamps)), freq=freq)
    assert list(panel.times) == list(pd.DatetimeIndex(named))


def test_irregular_rows_become_regular_with_missing_values_between():
    index = pd.DatetimeIndex(["2024-01-01 00:03", "2024-01-01 01:10", "2024-01-01 03:00", "2024-01-01 03:59"])
    panel = Panel.from_frame(wide((1.0, 2.0, 5.0, 7.0), index), freq="h", missing="drop", duplicates="mean")
    np.testing.assert_array_equal(panel.values[:, 0], [1, 2, np.nan, 6])
    assert panel.filled[:, 0].tolist() == [False, False, True, False]
    assert list(panel.times) == list(pd.date_range("2024-01-01", periods=4, freq="h"))


def test_frequency_finer_than_the_unit_of_the_stamps():
    index = pd.date_range("2024-01-01", periods=3, freq="s").as_unit("s")
    panel = Panel.from_frame(numbered(index), freq="500ms", missing="interpolate")
    assert panel.values[:, 0].tolist() == [0, 0.5, 1, 1.5, 2]
    assert panel.times.is_unique


# Missing values, repeats, the known future


def test_missing_values_are_an_error_by_default():
    frame = wide((3.0, np.nan, 4.0, np.nan, 5.0, 9.0, 2.0)).drop(DAYS[5])
    check_refused(
        re.escape("Column 'y' has 3 missing values at freq='D' (first: 2024-01-02 00:00:00)")
        + ".*missing='interpolate'.*missing='drop'",
        frame,
    )


def test_interpolation_is_linear_in_time_and_stops_at_the_limit():
    values = [0.0, np.nan, np.nan, 6.0, np.nan, np.nan, np.nan, 14.0, np.nan]
    index = pd.date_range("2024-01-01", periods=9, freq="D")
    panel = Panel.from_frame(wide(values, index), missing="interpolate", limit=2)
    np.testing.assert_array_equal(panel.values[:, 0], [0, 2, 4, 6, np.nan, np.nan, np.nan, 14, np.nan])
    np.testing.assert_array_equal(panel.filled[:, 0], np.isnan(values))
    free = Panel.from_frame(wide(values, index), missing="interpolate", limit=None)
    np.testing.assert_array_equal(free.values[:, 0], [0, 2, 4, 6, 8, 10, 12, 14, np.nan])


def test_interpolation_does_not_reach_over_from_one_series_to_the_next():
    frame = pd.DataFrame(
        {
            "s": ["a"] * 3 + ["b"] * 4,
            "t": [*DAYS[:3], *DAYS[:4]],
            "y": [1.0, 2.0, np.nan, np.nan, 11.0, np.nan, 17.0],
        }
    )
    panel = Panel.from_frame(frame, time="t", series="s", missing="interpolate")
    np.testing.assert_array_equal(panel.values[:, 0], [1, 2, np.nan, np.nan, 11, 14, 17])


def test_drop_keeps_the_gaps():
    panel = Panel.from_frame(wide((3.0, np.nan, 4.0, 1.0, 5.0, 9.0, 2.0)), missing="drop")
    np.testing.assert_array_equal(panel.values[:, 0], [3, np.nan, 4, 1, 5, 9, 2])


@pytest.mark.parametrize(
    ("duplicates", "expected"),
    [("first", [1, np.nan, np.nan, 9]), ("last", [3, 7, np.nan, 9]), ("mean", [2, 7, np.nan, 9])],
)
def test_repeated_times(duplicates, expected):
    # First and last go by the order of the user's rows; the mean is of what is there.
    frame = wide((1, 2, 3, np.nan, 7, np.nan, np.nan, 9), DAYS[[0, 0, 0, 1, 1, 2, 2, 3]])
    frame = frame.iloc[[7, 3, 4, 0, 1, 2, 5, 6]]
    panel = Panel.from_frame(frame, duplicates=duplicates, missing="drop")
    np.testing.assert_array_equal(panel.values[:, 0], expected)


def test_repeated_times_are_an_error_by_default():
    message = (
        re.escape("2 rows repeat the time of the row before (first: 2024-01-02 00:00:00)")
        + ".*`series`.*'mean'"
    )
    check_refused(message, wide((1, 2, 3, 4, 5), DAYS[[0, 1, 1, 1, 2]]))
    frame = pd.DataFrame({"s": ["a", "b", "b"], "t": DAYS[[0, 0, 0]], "y": [1, 2, 3]})
    check_refused(r"first: series 'b', 2024-01-01", frame, time="t", series="s", freq="D")


def test_rows_with_nothing_but_known_values_are_the_future():
    frame = wide((3.0, 1.0, 4.0, 1.0, 5.0, np.nan, np.nan), promo=range(7), x=[1.0] * 5 + [np.nan] * 2)
    panel = Panel.from_frame(frame, targets="y", known_future=["promo"])
    assert panel.spans.tolist() == [[0, 0, 5, 7]]
    assert repr(panel).endswith("targets=['y'], known_future=['promo'])")
    np.testing.assert_array_equal(panel.to_frame()["promo"], range(7))


def test_known_future_of_each_series_ends_by_itself():
    frame = pd.DataFrame(
        {
            "s": ["a"] * 3 + ["b"] * 5,
            "t": [*DAYS[:3], *DAYS[:5]],
            "y": [1.0, 2.0, np.nan, 3.0, 4.0, np.nan, np.nan, np.nan],
            "promo": range(8),
        }
    )
    panel = Panel.from_frame(frame, time="t", series="s", known_future="promo")
    assert panel.spans.tolist() == [[0, 0, 2, 3], [3, 3, 5, 8]]


def test_known_future_must_be_known_in_the_future():
    frame = wide((3.0, 1.0, 4.0, 1.0, 5.0, np.nan, np.nan), promo=[0, 0, 0, 0, 0, 1, np.nan])
    frame.loc[DAYS[6] + pd.Timedelta(days=1)] = [np.nan, 1.0]
    check_refused(
        re.escape(
            "Column 'promo' has 1 missing values in the forecast rows (first: 2024-01-07 00:00:00), but it is"
        ),
        frame,
        known_future="promo",
        missing="interpolate",
    )


# Refusals


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        (r"Unknown missing 'interpolat'.*Did you mean 'interpolate'\?", {"missing": "interpolat"}),
        (r"Unknown duplicates 'max'\. Expected one of: first, last, mean, raise", {"duplicates": "max"}),
        (r"`limit` must be an int >= 1 \(rows\) or None\. Received: limit=0", {"limit": 0}),
        (r"`limit` must be .* limit=2\.5", {"limit": 2.5}),
        (r"`freq` must be a pandas offset alias .* Received: freq='hourly'", {"freq": "hourly"}),
        (r"`freq` must .* lead forward in time\. Received: freq='-1h'", {"freq": "-1h"}),
        (r"freq=5 counts rows, but the index does not hold a whole number .* datetime64", {"freq": 5}),
        (r"`targets` names a column twice. Received: \['y', 'y'\]", {"targets": ["y", "y"]}),
        (
            r"no target column\. .* columns=\['y', 'x'\], known_future=\['y', 'x'\]",
            {"known_future": ["y", "x"]},
        ),
        (r"Column 'y' is a target and known_future", {"targets": ["y"], "known_future": ["y"]}),
    ],
)
def test_settings_that_can_not_be(message, changes):
    check_refused(message, wide(x=range(7)), **changes)


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        (r"Unknown time column 'tim'\. Expected one of: t, y\.", {"time": "tim"}),
        (r"Unknown series column 'store'\. Expected one of: t, y", {"time": "t", "series": "store"}),
        (r"Unknown column in targets: 'z'\. Expected one of: y", {"time": "t", "targets": "z"}),
        (r"Unknown column in known_future: 'z'", {"time": "t", "known_future": "z"}),
    ],
)
def test_names_that_are_not_there(message, changes):
    check_refused(message, wide().reset_index(names="t"), KeyError, **changes)


def test_what_is_no_table_of_times():
    check_refused(r"Expected a table: a pandas DataFrame, or .* Received: ndarray", np.zeros((2, 3)))
    check_refused(r"The table is empty \(0 rows, 1 columns\)", wide().iloc[:0])
    check_refused(r"The table is empty \(7 rows, 0 columns\)", pd.DataFrame(index=DAYS))
    check_refused(
        r"DatetimeIndex, or the name of its time column .* RangeIndex, columns=\['y'\]",
        pd.DataFrame({"y": [1]}),
    )
    frame = wide().reset_index(names="t")
    check_refused(r"Time column 'y' holds numbers \(first: 3\.0\)\. .*pandas.to_datetime", frame, time="y")
    check_refused(
        r"The time is missing in 2 rows \(first: row 3\)", wide(index=[*DAYS[:3], pd.NaT, pd.NaT, *DAYS[:2]])
    )
    two = pd.DataFrame([[1, 2]], columns=["a", "a"], index=DAYS[:1])
    check_refused(r"Column 'a' stands twice in the table", two)
    check_refused(r"Column '1' stands twice in the table", two.set_axis([1, "1"], axis=1))


@pytest.mark.parametrize(
    ("stamps", "message"),
    [
        (["soon", "later"], r"holds 'soon' in row 1 .* pandas\.to_datetime\(\.\.\., format=\.\.\.\) first"),
        (["1st Jan 2024", "2nd Jan 2024"], r"holds '2nd Jan 2024' in row 2 .*'%dst %b %Y'"),
        (
            ["2024-03-30 00:00+01:00", "2024-03-31 05:00"],
            r"holds '2024-03-31 05:00' in row 2 .* with an offset from UTC",
        ),
    ],
)
def test_times_that_can_not_be_read(stamps, message):
    check_refused(f"Time column 't' {message}", pd.DataFrame({"t": stamps, "y": [1.0, 2.0]}), time="t")


def test_objects_of_two_time_zones_can_not_be_read():
    stamps = [pd.Timestamp("2024-03-30", tz=zone) for zone in ("Europe/Berlin", "Asia/Tokyo")]
    frame = pd.DataFrame({"t": pd.Series(stamps, dtype=object), "y": [1.0, 2.0]})
    check_refused(
        r"Time column 't' can't be read as dates of one form \(pandas says: .*format=", frame, time="t"
    )


@pytest.mark.parametrize("offsets", [("+02", "+01"), ("+02:00", "+01:00"), ("+0200", "+0100")])
def test_offsets_from_utc_are_read_in_utc(offsets):
    stamps = [f"2024-10-27 02:00:00{offsets[0]}", f"2024-10-27 02:00:00{offsets[1]}"]
    panel = Panel.from_frame(pd.DataFrame({"t": stamps, "y": [1.0, 2.0]}), time="t")
    assert list(panel.times) == [pd.Timestamp("2024-10-27 00:00Z"), pd.Timestamp("2024-10-27 01:00Z")]
    assert panel.freq == "h"


def test_dates_that_may_be_day_first_or_month_first_are_refused():
    days = pd.date_range("2024-02-01", periods=7)
    frame = wide().assign(t=days.strftime("%d.%m.%Y"))
    check_refused(
        r"'t' is ambiguous: .*'%m\.%d\.%Y' and as '%d\.%m\.%Y' \(first row: '01\.02\.2024'\)\. Say which by "
        r"pandas\.to_datetime\(\.\.\., format='%m\.%d\.%Y'\) or",
        frame,
        time="t",
    )
    # From the 13th on there is one way to read them.
    frame["t"] = pd.date_range("2024-02-10", periods=7).strftime("%d.%m.%Y")
    assert Panel.from_frame(frame, time="t").times[0] == pd.Timestamp("2024-02-10")


@pytest.mark.parametrize(
    ("stamps", "row"),
    [
        (["1959.1", "1959.2", "1959.3", "1959.4"], "'1959.1' in row 1"),
        ([1959.1, 1959.2, 1959.3, 1959.4], "'1959.1' in row 1"),
        # October without its zero.
        ([1871.08, 1871.09, 1871.1, 1871.11], "'1871.1' in row 3"),
    ],
)
def test_a_digit_after_the_year_is_ambiguous(stamps, row):
    frame = pd.DataFrame({"t": stamps, "y": [1.0, 2.0, 3.0, 4.0]})
    check_refused(
        rf"Time column 't' is ambiguous: {row} .* quarter.* two digits .*PeriodIndex", frame, time="t"
    )


def test_months_of_two_digits_and_years_in_numbers():
    frame = pd.DataFrame({"t": ["1959.09", "1959.10", "1959.11"], "y": [1.0, 2.0, 3.0]})
    assert Panel.from_frame(frame, time="t").times[1] == pd.Timestamp("1959-10-01")
    frame["t"] = [1959, 1960, 1961]
    check_refused(r"holds numbers \(first: 1959\).*format='%Y'", frame, time="t")


# Times far away and steps without an alias of pandas


@pytest.mark.parametrize("unit", ["s", "us"])
def test_835_years(unit):
    years = pd.date_range("1165-01-01", periods=835, freq="YS").as_unit(unit)
    panel = Panel.from_frame(numbered(years))
    assert (panel.freq, panel.times[0].year, panel.times[-1].year) == ("YS-JAN", 1165, 1999)
    assert panel.future_times(834, 2).year.tolist() == [2000, 2001]
    assert Panel.from_frame(numbered(years[[0, 1, 3]]), missing="drop").spans.end.tolist() == [4]
    far = pd.date_range("3000-01-01", periods=50, freq="h")
    assert Panel.from_frame(numbered(far)).future_times(49, 1)[0] == pd.Timestamp("3000-01-03 02:00")
    assert Panel.from_frame(numbered(far), freq="2h", duplicates="mean").values[:2, 0].tolist() == [0.5, 2.5]


@pytest.mark.parametrize(
    ("first", "months", "freq", "following"),
    [
        ("2023-01-28", 1, "MS-28", ["2023-12-28", "2024-01-28", "2024-02-28"]),
        ("2023-01-30", 1, "MS-30", ["2023-12-30", "2024-01-30", "2024-02-29"]),
        ("2023-02-15", 3, "QS-FEB-15", ["2025-11-15", "2026-02-15", "2026-05-15"]),
        ("2023-06-09", 12, "YS-JUN-9", ["2034-06-09", "2035-06-09", "2036-06-09"]),
        ("2023-01-28 06:00", 1, "MS-28", ["2023-12-28 06:00", "2024-01-28 06:00", "2024-02-28 06:00"]),
    ],
)
@pytest.mark.parametrize("tz", [None, "Europe/Berlin"])
def test_one_day_of_every_month(first, months, freq, following, tz):
    day = pd.Timestamp(first).day
    times = pd.date_range(first, periods=11, freq=pd.DateOffset(months=months, day=day), tz=tz)
    panel = Panel.from_frame(numbered(times))
    assert panel.freq == freq
    assert panel.future_times(10, 3).tz_localize(None).tolist() == list(map(pd.Timestamp, following))
    assert Panel.from_frame(numbered(times), freq=freq).times.equals(panel.times)
    gap = Panel.from_frame(numbered(times[[0, 1, 2, 4, 5, 6, 7, 8, 9, 10]]), missing="interpolate")
    assert gap.times.equals(panel.times)


def test_stamps_move_to_the_day_their_period_starts_on():
    times = pd.DatetimeIndex(["2023-01-29", "2023-02-28", "2023-03-31", "2023-05-01"])
    panel = Panel.from_frame(numbered(times), freq="MS-28")
    assert panel.times.strftime("%m-%d").tolist() == ["01-28", "02-28", "03-28", "04-28"]


def test_irregular_days_are_told_in_days():
    times = pd.DatetimeIndex(["2023-01-02", "2023-02-02", "2023-03-05", "2023-04-08"])
    check_refused(
        r"most are 31 days 00:00:00, but 2023-04-08 00:00:00 comes 34 days 00:00:00 after", numbered(times)
    )


@pytest.mark.parametrize(
    "freq",
    [
        pd.offsets.CustomBusinessDay(offset=pd.Timedelta("1h")),
        pd.offsets.BusinessHour(start="10:00"),
        pd.DateOffset(days=1, hours=2),
    ],
)
def test_a_time_step_that_its_name_does_not_say_is_refused(freq):
    check_refused(
        r"The time step <.*> can't be kept: its name '.*' does not say all of it", wide(), freq=freq
    )


def test_days_of_the_month_that_no_month_has():
    for freq in ("MS-0", "MS-32", "W-28"):
        check_refused(r"`freq` must be a pandas offset alias .*'MS-28'", wide(), freq=freq)


# What was fitted before


def test_times_are_converted_to_the_zone_of_what_was_fitted():
    hours = pd.date_range("2024-03-30 12:00", periods=24, freq="h", tz="UTC")
    panel = Panel.from_frame(numbered(hours), clock=Clock("h", "Europe/Berlin"))
    assert str(panel.times.tz) == "Europe/Berlin"
    assert panel.times.equals(hours.tz_convert("Europe/Berlin"))
    naive = numbered(hours.tz_localize(None))
    check_refused(
        r"have no time zone, but the fitted rows were in UTC\..*tz_localize", naive, clock=Clock("h", "UTC")
    )
    check_refused(
        r"in the time zone UTC, but the fitted rows had none", numbered(hours), clock=Clock("h", None)
    )


@pytest.mark.parametrize(
    ("freq", "fitted", "apart"),
    [
        ("h", "D", "0 days 01:00:00"),
        ("D", "h", "1 days"),
        ("D", "MS", "1 days"),
        ("MS", "D", "31 days"),
        ("QS", "MS-28", "92 days"),
    ],
)
def test_rows_at_another_time_step_than_the_fitted_ones_are_refused(freq, fitted, apart):
    frame = numbered(pd.date_range("2024-01-01", periods=9, freq=freq))
    message = rf"time steps differ: the fitted rows were at freq='{fitted}', but .* are {apart}.* apart"
    check_refused(message, frame, clock=Clock(fitted, None))
    check_refused(message, frame, clock=Clock(fitted, None), missing="interpolate", limit=None)


@pytest.mark.parametrize("freq", ["h", "D", "B", "MS", "QS-NOV", "YE-DEC", "MS-28", "W-SUN"])
def test_rows_at_the_fitted_time_step_are_taken_with_their_gaps(freq):
    times = pd.date_range("2024-01-28", periods=12, freq=offset_of(freq))
    for some in (times, times[:2], times[:1], times[[0, 1, 2, 3, 7, 8, 9]]):
        panel = Panel.from_frame(numbered(some), clock=Clock(freq, None), missing="drop", allow_constant=True)
        assert panel.freq == freq


def test_closer_rows_are_taken_where_they_are_to_be_merged():
    frame = numbered(pd.date_range("2024-01-01", periods=48, freq="h"))
    assert Panel.from_frame(frame, clock=Clock("D", None), duplicates="mean").values[:, 0].tolist() == [
        11.5,
        35.5,
    ]


@pytest.mark.parametrize("name", ["model", "origin", "series", "time"])
def test_a_target_named_like_a_column_of_forecasts_is_refused(name):
    frame = wide().rename(columns={"y": name})
    check_refused(rf"The target '{name}' has the name of another column .*Rename it", frame)
    assert Panel.from_frame(frame.assign(y=range(7)), targets="y").columns == (name, "y")


def test_series_without_a_name():
    frame = pd.DataFrame({"s": ["a", None, "b"], "t": DAYS[:3], "y": [1, 2, 3]})
    check_refused(r"Series column 's' is missing in 1 rows \(first: row 1\)", frame, time="t", series="s")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["1.5", "n/a", "3"], r"holds 1 values of type \w+ that are no numbers \(first: 'n/a' at 2024-01-02"),
        (
            [1, 2, "x"],
            r"holds 1 values .* \(first: 'x' at 2024-01-03 00:00:00\)\. Correct them, leave the column out",
        ),
        (pd.Categorical(list("aba")), r"holds 3 values of type category .*\(first: 'a' at"),
        (pd.Categorical([None] * 3), r"holds 0 values of type category that are no numbers\. Correct"),
        ([1j, 2, 3], "holds 3 values of type complex128"),
        (DAYS[:3], "holds 3 values of type datetime64"),
        (DAYS[:3] - DAYS[0], "holds 3 values of type timedelta64"),
    ],
)
def test_text_and_other_things_in_a_number_column(column, message):
    check_refused(f"Column 'y' {message}", pd.DataFrame({"y": column}, index=DAYS[:3]), targets="y")


@pytest.mark.parametrize(("value", "first"), [(np.inf, "inf"), (-np.inf, "-inf"), (1e39, r"1e\+39")])
def test_infinities_and_values_beyond_float32(value, first):
    frame = pd.DataFrame({"s": ["a", "b", "b"], "t": DAYS[[0, 0, 1]], "y": [1.0, 2.0, value]})
    message = rf"Column 'y' has 1 infinite values or values beyond float32 \(first: {first} at series 'b', 2024-01-02"
    check_refused(message, frame, time="t", series="s")


@pytest.mark.parametrize(
    "values",
    [
        # A sine on 1e12: float32 resolves 65536 there and would see one value.
        1e12 + np.sin(np.arange(7)),
        700_000_001 + 3 * np.arange(7),
        2**53 - np.arange(7)[::-1],
        np.array([299.01, 299.02, 0.1, 1 / 3, 1e-40, 299.99, 2.0]),
        [str(number) for number in 700_000_001.1 + 0.1 * np.arange(7)],
    ],
)
def test_no_digit_is_rounded(values):
    panel = Panel.from_frame(wide(values))
    np.testing.assert_array_equal(panel.values[:, 0], np.asarray(values, dtype=np.float64))
    np.testing.assert_array_equal(panel.to_frame()["y"], panel.values[:, 0])
    np.testing.assert_array_equal(panel.extend(2).values[:7], panel.values)


def test_a_counter_with_gaps_is_filled_to_the_last_digit():
    values = [700_000_001, 700_000_004, np.nan, np.nan, 700_000_013, 700_000_016, 700_000_019]
    panel = Panel.from_frame(wide(values), missing="interpolate")
    assert panel.values[:, 0].tolist() == [700_000_001 + 3 * i for i in range(7)]
    twice = wide([700_000_001, 700_000_002, 7.0], DAYS[[0, 0, 1]])
    assert Panel.from_frame(twice, duplicates="mean").values[0, 0] == 700_000_001.5


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, "Int64"])
def test_whole_numbers_that_float64_would_round_are_refused(dtype):
    # 2**53 + 2 is a float64 number, 2**53 + 1 is not.
    check_refused(
        r"Column 'y' has 1 whole numbers beyond 2\*\*53 .* \(first: 9007199254740993 at 2024-01-02 00:00:00\)",
        pd.DataFrame({"y": pd.array([1, 2**53 + 1, 2**53 + 2], dtype=dtype)}, index=DAYS[:3]),
    )


def test_constant_target():
    frame = wide([4.0] * 7, x=range(7))
    check_refused(
        r"Target 'y' is constant: 4 in all 7 rows from 2024-01-01 00:00:00 on.*allow_constant", frame
    )
    assert Panel.from_frame(frame, allow_constant=True).values[6].tolist() == [4, 6]
    assert Panel.from_frame(frame, targets="x").targets == ("x",)
    frame = pd.DataFrame({"s": [1, 1, 2, 2], "t": DAYS[[0, 1, 0, 1]], "y": [1, 2, 3, 3]})
    check_refused(r"Target 'y' of series 2 is constant: 3 in all 2 rows", frame, time="t", series="s")
    frame["y"] = [1, 2, np.nan, np.nan]
    check_refused(
        r"Target 'y' of series 2 has no value in any row", frame, time="t", series="s", missing="drop"
    )


def test_frequency_that_can_not_be_found():
    check_refused(
        r"can't be found, because no series has two rows with different times\. Give `freq`",
        wide([1.0], DAYS[:1]),
    )
    assert Panel.from_frame(wide([1.0], DAYS[:1]), freq="D").freq == "D"
    stamps = pd.DatetimeIndex(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-03 12:00"])
    frame = numbered(stamps).assign(s="a").reset_index(names="t")
    check_refused(
        r"The time steps of series 'a' are irregular: most are 1 days 00:00:00, but 2024-01-03 12:00:00 comes "
        r"0 days 12:00:00 after 2024-01-03 00:00:00\. Give `freq`",
        frame,
        time="t",
        series="s",
    )


def test_columns_that_a_panel_lacks():
    with pytest.raises(KeyError, match=r"Unknown column 'z'\. Expected one of: y"):
        Panel.from_frame(wide()).indices(["z"])


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_table_with_holes_in_any_order_comes_back_regular(data):
    freq = data.draw(st.sampled_from(["h", "D", "B", "MS", "W-TUE"]))
    index = pd.date_range("2024-02-01", periods=17, freq=freq)
    kept = data.draw(st.lists(st.sampled_from(range(17)), min_size=2, unique=True))
    frame = numbered(index).iloc[kept]
    panel = Panel.from_frame(frame, freq=freq, missing="drop")
    first, last = min(kept), max(kept)
    assert list(panel.times) == list(index[first : last + 1])
    expected = np.where(np.isin(np.arange(17), kept), np.arange(17.0), np.nan)[first : last + 1]
    np.testing.assert_array_equal(panel.values[:, 0], expected)


# What it is known by


def long_table():
    return pd.DataFrame(
        {
            "store": [7] * 5 + [11] * 3,
            "day": [*DAYS[:5], *DAYS[2:5]],
            "sales": [10.0, 11.0, 12.0, 13.0, 14.0, 20.0, 21.0, 22.0],
            "promo": [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0],
        }
    )


def digest(frame, **settings):
    return Panel.from_frame(
        frame, time="day", series="store", **{"targets": "sales", "known_future": "promo", **settings}
    ).digest()


def test_digest_is_that_of_the_values_however_they_were_stored():
    frame = long_table()
    assert re.fullmatch("[0-9a-f]{16}", digest(frame))
    assert digest(frame.sample(frac=1, random_state=3)) == digest(frame)
    assert digest(frame.assign(day=frame["day"].astype("datetime64[s]"))) == digest(frame)
    assert digest(frame.assign(promo=frame["promo"].replace(0.0, -0.0))) == digest(frame)
    assert digest(frame.assign(promo=frame["promo"].astype(int))) == digest(frame)


@pytest.mark.parametrize(
    "changed",
    [
        lambda frame: frame.assign(sales=frame["sales"].replace(13.0, 13.5)),
        lambda frame: frame.assign(promo=frame["promo"].replace(1.0, 2.0)),
        lambda frame: frame.assign(day=frame["day"] + pd.Timedelta(days=1)),
        lambda frame: frame.assign(day=frame["day"].dt.tz_localize("UTC")),
        lambda frame: frame.assign(store=frame["store"].replace(11, 13)),
        lambda frame: frame.assign(store=frame["store"].astype(str).replace("11", "9")),
        lambda frame: frame.rename(columns={"promo": "price"}),
        lambda frame: frame.iloc[:-1],
        lambda frame: frame.iloc[1:],
    ],
)
def test_digest_changes_with_each_part_of_the_table(changed):
    frame = changed(long_table())
    known = [name for name in frame.columns if name not in ("store", "day", "sales")]
    assert digest(frame, known_future=known) != digest(long_table())


def test_digest_counts_what_was_filled_and_what_a_column_is_for():
    # Row 2 is between 11 and 13, where the whole table has 12, and between promo 1 and 1.
    whole = long_table().replace({"promo": {0.0: 1.0}})
    assert digest(whole.drop(index=2), missing="interpolate") != digest(whole)
    swapped = {"targets": "promo", "known_future": "sales"}
    assert digest(long_table(), **swapped) != digest(long_table())


def test_digest_of_a_part_is_that_of_its_own_rows():
    frame = wide(values=(3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0))
    later = wide(values=(3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 6.0))
    before, after = (
        chronological_split(Panel.from_frame(table), validation=2, test=1) for table in (frame, later)
    )
    assert before.train.digest() == after.train.digest()
    assert before.validation.digest() == after.validation.digest()
    assert before.test.digest() != after.test.digest()
    wider = chronological_split(Panel.from_frame(frame), validation=1, test=1)
    assert wider.train.digest() != before.train.digest()
    # The rows are the same, but fewer of them are context alone.
    assert wider.validation.digest() != before.validation.digest()
