import pandas as pd
import pytest

from tfts.data.hours import joined_times, read_times
from tfts.data.panel import Panel
from tfts.data.readers import read_table
from tfts.data.stamps import parse_stamps

BERLIN = "Europe/Berlin"


def texts(*values):
    return pd.Series(values, name="when")


def shown(times):
    return times.astype(str).tolist()


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        (["2024-01-31 23:00", "2024-01-31 24:00"], ["2024-01-31 23:00:00", "2024-02-01 00:00:00"]),
        (["2024-02-29T24:00:00"], ["2024-03-01"]),
        (["31.12.2024 24:00", "13.1.2025 01:00"], ["2025-01-01 00:00:00", "2025-01-13 01:00:00"]),
        (["2024-01-31T24:00Z"], ["2024-02-01 00:00:00+00:00"]),
    ],
)
def test_the_end_of_a_day(stamps, expected):
    assert shown(parse_stamps(texts(*stamps))) == expected


def test_24_05_is_not_a_time():
    with pytest.raises(ValueError, match=r"holds '2024-01-31 24:05' in row 1"):
        parse_stamps(texts("2024-01-31 24:05"))


def test_stamps_that_end_a_period_become_its_beginning():
    made = read_times(texts("2024-01-31 00:15", "2024-01-31 24:00"), ends="15min")
    assert shown(made) == ["2024-01-31 00:00:00", "2024-01-31 23:45:00"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2024-01-31 00:00 - 2024-01-31 00:15", "2024-01-31 00:15 - 2024-01-31 00:30"),
        ("31.01.2024 00:00 \u2013 31.01.2024 00:15", "31.01.2024 00:15 \u2013 31.01.2024 00:30"),
        ("2024-01-31T00:00/2024-01-31T00:15", "2024-01-31T00:15/2024-01-31T00:30"),
        ("2024-01-31 00:00 - 2024-01-31 00:15", "2024-01-31 00:15 - 2024-01-31 24:00"),
    ],
)
def test_an_interval_is_the_time_at_which_it_begins(first, second):
    assert shown(read_times(texts(first, second))) == ["2024-01-31 00:00:00", "2024-01-31 00:15:00"]


def test_dates_with_slashes_are_no_intervals():
    assert shown(read_times(texts("13/1/2011", "14/1/2011"))) == ["2011-01-13", "2011-01-14"]
    assert shown(read_times(texts("2011/01/13"))) == ["2011-01-13"]


@pytest.mark.parametrize(
    ("stamps", "options", "message"),
    [
        (
            ["2024-01-31 01:00 - 2024-01-31 01:00"],
            {},
            r"row 1 .*Expected an interval that ends after it begins",
        ),
        (["2024-01-31 01:00 - 2024-01-31 02:00", "soon"], {}, r"'soon' in row 2 .*an interval of two times"),
        (["2024-01-31 01:00 - 2024-01-31 02:00"], {"ends": "h"}, r"`ends` is for single stamps"),
        (["2024-01-31 01:00"], {"ends": "soon"}, r"`ends` must be the length of a period.*'soon'"),
        (["2024-01-31 01:00"], {"ends": "MS"}, r"`ends` must be the length of a period.*'MS'"),
        (["2024-01-31 01:00"], {"timezone": "Berlin"}, r"`timezone` must be a zone such as.*'Berlin'"),
        (["0", "1"], {"ends": "h"}, r"are for times, but the column holds row numbers"),
        (["2024-03-31 02:30"], {"timezone": BERLIN}, r"02:30:00 in row 1 .*does not show that time"),
        (["2024-10-27 02:30"], {"timezone": BERLIN}, r"02:30:00 once, but the clock .* shows it twice"),
    ],
)
def test_times_that_can_not_be(stamps, options, message):
    with pytest.raises(ValueError, match=message):
        read_times(texts(*stamps), **options)


def test_a_clock_that_is_put_back_shows_a_time_twice():
    made = read_times(
        texts("2024-10-27 01:00", *["2024-10-27 02:00"] * 2, "2024-10-27 03:00"), timezone=BERLIN
    )
    assert [stamp.utcoffset() / pd.Timedelta(hours=1) for stamp in made] == [2, 2, 1, 1]
    # The same in each series.
    made = read_times(texts(*["2024-10-27 02:00"] * 4), timezone=BERLIN, series=["a", "b", "b", "a"])
    assert [stamp.utcoffset() / pd.Timedelta(hours=1) for stamp in made] == [2, 2, 1, 1]


def test_stamps_with_an_offset_come_into_the_zone():
    made = read_times(texts("2024-10-27 02:00+02:00"), timezone="America/New_York")
    assert made[0] == pd.Timestamp("2024-10-26 20:00", tz="America/New_York")


def test_an_hour_ends_where_the_clock_was_put_forward():
    made = read_times(texts("2024-03-31 01:00", "2024-03-31 03:00"), ends="h", timezone=BERLIN)
    assert made.dt.hour.tolist() == [0, 1]


@pytest.mark.parametrize("named", ["counted", "clock"])
@pytest.mark.parametrize(("day", "length"), [("2024-03-31", 23), ("2024-10-27", 25), ("2024-07-01", 24)])
def test_days_of_23_and_25_hours(day, length, named):
    expected = pd.date_range(day, periods=length, freq="h", tz=BERLIN)
    hours = range(1, length + 1) if named == "counted" else [stamp.hour + 1 for stamp in expected]
    dates = texts(*[day] * length)
    made = joined_times(dates, pd.Series(list(hours), name="hour"), ends="h", timezone=BERLIN)
    assert made.tolist() == expected.tolist()
    assert joined_times(dates, pd.Series(list(hours)) - 1, timezone=BERLIN).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("day", "hours", "options", "message"),
    [
        (
            "2024-07-01",
            [25],
            {"ends": "h"},
            r"holds '25' in row 1 .*hours from 1 to 24.*needs the `timezone`",
        ),
        ("2024-07-01", [0], {"ends": "h"}, r"holds '0' in row 1 .*hours from 1 to 24"),
        (
            "2024-07-01",
            [25],
            {"ends": "h", "timezone": BERLIN},
            r"hour 25 on 2024-07-01 .* that day has 24 hours",
        ),
        ("2024-10-27", [1, 2, 3], {"ends": "h", "timezone": BERLIN}, r"hours of 2024-10-27 can't be told"),
        ("2024-07-01", [1], {"ends": "15min"}, r"expected ends='h'\. Received: ends='15min'"),
        ("2024-07-01", [1], {"timezone": "Berlin"}, r"`timezone` must be a zone"),
    ],
)
def test_numbered_hours_that_can_not_be(day, hours, options, message):
    with pytest.raises(ValueError, match=message):
        joined_times(texts(*[day] * len(hours)), pd.Series(hours, name="hour"), **options)


def test_a_file_with_hours_to_25_of_two_plants(tmp_path):
    path = tmp_path / "a.csv"
    days = [("2024-10-26", 24), ("2024-10-27", 25), ("2024-10-28", 24)]
    lines = [
        f"{plant},{day},{hour},{hour}"
        for plant in ("007", "x")
        for day, n in days
        for hour in range(1, n + 1)
    ]
    path.write_text("plant,day,he,mw\n" + "\n".join(lines))
    frame = read_table(path, time=["day", "he"], series="plant", ends="h", timezone=BERLIN)
    panel = Panel.from_frame(frame, time="time", series="plant")
    assert (panel.freq, len(panel.times), panel.filled.any()) == ("h", 146, False)
    with pytest.raises(ValueError, match=r"no `time` column that they could apply to"):
        read_table(path, ends="h")
