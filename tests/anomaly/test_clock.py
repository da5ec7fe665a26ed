import numpy as np
import pandas as pd
import pytest

from tfts.anomaly.clock import Calendar, Clock
from tfts.data.calendar import calendar_columns

DAY = 86_400_000_000_000


@pytest.mark.parametrize(
    ("freq", "tz", "last", "time", "steps", "row"),
    [
        ("D", None, "2024-02-28", "2024-03-02 13:00", 3, "2024-03-02"),
        ("15min", None, "2024-02-28 10:00", "2024-02-28 10:29", 1, "2024-02-28 10:15"),
        ("MS", None, "2024-01-01", "2024-04-17", 3, "2024-04-01"),
        ("B", None, "2024-03-01", "2024-03-04", 1, "2024-03-04"),
        ("W-SUN", None, "2024-03-03", "2024-03-17", 2, "2024-03-17"),
        ("D", "Europe/Berlin", "2024-03-30", "2024-04-01", 2, "2024-04-01"),
        ("h", "Europe/Berlin", "2024-03-31 01:00", "2024-03-31 03:00", 1, "2024-03-31 03:00"),
        ("D", None, "2024-03-02", "2024-03-02", 0, "2024-03-02"),
    ],
)
def test_rows_are_counted_by_the_calendar(freq, tz, last, time, steps, row):
    step = {"15min": 900_000_000_000, "h": DAY // 24, "W-SUN": 7 * DAY}.get(freq, DAY)
    clock = Clock(freq, tz, step)
    last, time = (clock.nanoseconds(pd.Timestamp(t)) for t in (last, time))
    place, counted = clock.place(time, last)
    assert (counted, clock.timestamp(place)) == (steps, pd.Timestamp(row, tz=tz))


def test_earlier_is_a_negative_number_of_steps():
    for freq in ("D", "MS", None):
        clock = Clock(freq, None, DAY)
        assert clock.place(10 * DAY, 40 * DAY)[1] < 0


def test_calendar_of_single_rows_is_that_of_the_table():
    features = ["hour", "weekday", "168h"]
    times = pd.date_range("2024-03-29", periods=1500, freq="h", tz="Europe/Berlin")
    clock = Clock("h", "Europe/Berlin", DAY // 24)
    for later in (clock.later, None):
        calendar = Calendar(features, later, clock.timestamp)
        made = [calendar(clock.nanoseconds(t)) for t in times[::97]]
        np.testing.assert_array_equal(made, calendar_columns(times, features).to_numpy()[::97])
