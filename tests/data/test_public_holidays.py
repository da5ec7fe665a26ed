import sys

import pandas as pd
import pytest

from tfts.data.calendar import add_calendar, calendar_columns
from tfts.data.panel import Panel
from tfts.data.public_holidays import add_holidays
from tfts.errors import DataError, MissingPackageError, SettingError
from tfts.forecaster import Forecaster


def numbered(times):
    return pd.DataFrame({"y": [float(i % 5) for i in range(len(times))]}, index=times)


def test_the_days_of_a_country_and_of_a_part_of_it():
    pytest.importorskip("holidays")
    # Epiphany is a holiday in Bavaria, not in all of Germany.
    times = pd.date_range("2023-12-31", periods=8)
    made = calendar_columns(times, ["holidays:DE", "holidays:DE-BY"])
    assert list(made.columns) == ["holiday_DE", "holiday_DE_BY"]
    assert made["holiday_DE"].tolist() == [0, 1, 0, 0, 0, 0, 0, 0]
    assert made["holiday_DE_BY"].tolist() == [0, 1, 0, 0, 0, 0, 1, 0]


def test_a_day_is_that_of_the_local_clock():
    pytest.importorskip("holidays")
    times = pd.date_range("2024-12-24 22:00", periods=3, freq="h", tz="UTC")
    assert calendar_columns(times, ["holidays:DE"])["holiday_DE"].tolist() == [0, 0, 1]
    local = times.tz_convert("Europe/Berlin")
    assert calendar_columns(local, ["holidays:DE"])["holiday_DE"].tolist() == [0, 1, 1]


def test_holidays_are_a_column_known_ahead():
    pytest.importorskip("holidays")
    panel = Panel.from_frame(numbered(pd.date_range("2024-07-01", periods=9)))
    made = add_holidays(panel, "US")
    assert made.known_future == ("holiday_US",)
    assert made.values[:, 1].tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert made.digest() == add_calendar(panel, ["holidays:US"]).digest()
    assert add_holidays(panel, "DE", "BY").columns == ("y", "holiday_DE_BY")


def test_a_forecaster_makes_the_column_of_rows_to_come(tmp_path):
    pytest.importorskip("holidays")
    frame = numbered(pd.date_range("2024-11-01", "2024-12-24"))
    made = Forecaster("linear", context_length=7, horizon=3, calendar=["holidays:DE"]).fit(
        frame, epochs=1, verbose=0
    )
    made.save(tmp_path / "model")
    loaded = Forecaster.load(tmp_path / "model")
    assert loaded.known_future == ("holiday_DE",)
    assert loaded.panel(frame).values[-3:, 1].tolist() == [1, 1, 0]
    assert len(loaded.predict(frame)) == 3


@pytest.mark.parametrize(
    ("freq", "is_taken"),
    [
        ("h", True),
        ("D", True),
        ("B", True),
        ("B-MON-WED-FRI", True),
        ("2D", False),
        ("W-SUN", False),
        ("MS", False),
    ],
)
def test_holidays_of_rows_longer_than_a_day_are_refused(freq, is_taken):
    pytest.importorskip("holidays")
    from tfts._units import offset_of

    panel = Panel.from_frame(
        numbered(pd.date_range("2024-01-01", periods=9, freq=offset_of(freq))), freq=freq
    )
    if is_taken:
        assert add_holidays(panel, "DE").known_future == ("holiday_DE",)
        return
    with pytest.raises(
        DataError, match=rf"the rows are at freq='{freq}'\. Expected rows not longer than a day"
    ):
        add_holidays(panel, "DE")


def test_an_unknown_country_or_part():
    pytest.importorskip("holidays")
    panel = Panel.from_frame(numbered(pd.date_range("2024-01-01", periods=3)))
    with pytest.raises(
        SettingError,
        match=r"Unknown country 'XX'\. Expected a code of two or three letters.*such as DE or US",
    ):
        add_holidays(panel, "XX")
    with pytest.raises(SettingError, match=r"Unknown part of DE 'BA'\. Expected one of: .*BB, BE"):
        add_holidays(panel, "DE", "BA")


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(MissingPackageError, match=r"pip install tfts\[holidays\]"):
        calendar_columns(pd.date_range("2024-01-01", periods=3), ["holidays:DE"])
