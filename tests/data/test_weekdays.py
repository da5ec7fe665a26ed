import json

import numpy as np
import pandas as pd
import pytest

from tfts._units import offset_of, time_unit, workdays_alias
from tfts.baselines.seasonal_naive import season_length_of
from tfts.calibration.phases import season_phases
from tfts.data.panel import Panel
from tfts.forecaster import Forecaster

THREE = "B-MON-WED-FRI"


def numbered(times):
    return pd.DataFrame({"y": np.arange(len(times)) % 3 + 1.0}, index=times)


def on(weekmask, periods=12, start="2024-01-01", **options):
    return pd.date_range(
        start, periods=periods, freq=pd.offsets.CustomBusinessDay(weekmask=weekmask, **options)
    )


@pytest.mark.parametrize(
    ("weekmask", "freq"),
    [
        ("Mon Wed Fri", THREE),
        ("Tue Thu", "B-TUE-THU"),
        ("Sun Mon Tue Wed Thu", "B-MON-TUE-WED-THU-SUN"),
        ("Mon Tue Wed Thu Fri Sat", "B-MON-TUE-WED-THU-FRI-SAT"),
        ("Sat Sun", "B-SAT-SUN"),
        ("Mon Tue Wed Thu Fri", "B"),
    ],
)
@pytest.mark.parametrize("tz", [None, "Europe/Berlin"])
def test_days_of_the_week_are_found_and_go_on(weekmask, freq, tz):
    times = on(weekmask, 30).tz_localize(tz)
    panel = Panel.from_frame(numbered(times[:24]))
    assert panel.freq == freq
    assert panel.times.equals(times[:24].as_unit("us"))
    assert panel.future_times(23, 6).tolist() == times[24:].tolist()
    assert Panel.from_frame(numbered(times[:24]), freq=freq).times.equals(panel.times)


def test_a_day_that_is_absent_is_a_row():
    times = on("Mon Wed Fri").delete(4)
    panel = Panel.from_frame(numbered(times), missing="drop")
    assert (panel.freq, len(panel.times)) == (THREE, 12)
    # The fifth of them is the Wednesday of the second week.
    assert panel.times[np.isnan(panel.values[:, 0])].tolist() == [pd.Timestamp("2024-01-10")]


def test_two_series_on_the_same_days_of_the_week():
    times = on("Mon Wed Fri")
    frame = pd.DataFrame({"s": ["a"] * 12 + ["b"] * 9, "t": [*times, *times[3:]], "y": np.arange(21.0)})
    panel = Panel.from_frame(frame, time="t", series="s")
    assert (panel.freq, panel.spans.tolist()) == (THREE, [[0, 0, 12, 12], [12, 12, 21, 21]])


@pytest.mark.parametrize(
    "days",
    [
        # Too few to tell: each weekday comes twice.
        ["2024-01-01", "2024-01-03", "2024-01-05", "2024-01-08", "2024-01-10", "2024-01-12"],
        # On two weekdays, but most of them are absent.
        ["2024-01-01", "2024-01-04", "2024-01-22", "2024-02-15", "2024-03-07", "2024-03-25"],
    ],
)
def test_days_that_show_no_pattern_are_irregular(days):
    with pytest.raises(ValueError, match=r"time steps are irregular: .* Give `freq`"):
        Panel.from_frame(numbered(pd.DatetimeIndex(days)))


def test_rows_on_another_day_are_moved_to_the_day_before_as_by_business_days():
    times = pd.DatetimeIndex(["2024-01-01", "2024-01-04", "2024-01-05"])
    assert Panel.from_frame(numbered(times), freq=THREE).times.strftime("%a").tolist() == [
        "Mon",
        "Wed",
        "Fri",
    ]


def test_business_days_without_holidays(tmp_path):
    days = pd.offsets.CustomBusinessDay(holidays=["2024-01-01", "2024-12-25", "2024-12-26"])
    times = pd.date_range("2024-12-16", periods=14, freq=days)
    panel = Panel.from_frame(numbered(times), freq=days)
    assert panel.freq == "B except 2024-01-01, 2024-12-25, 2024-12-26"
    assert panel.times.equals(times.as_unit("us"))
    assert not panel.filled.any()
    forecaster = Forecaster("persistence", context_length=2, horizon=3, freq=days).fit(numbered(times[:6]))
    forecaster.save(tmp_path / "model")
    assert (
        "2024-12-25" in json.loads((tmp_path / "model" / "forecaster.json").read_text())["settings"]["freq"]
    )
    forecast = Forecaster.load(tmp_path / "model").predict(numbered(times[:6]))
    assert forecast["time"].dt.strftime("%d.%m.").tolist() == ["24.12.", "27.12.", "30.12."]


def test_days_of_work_by_their_name():
    offset = offset_of("2B-MON-WED except 2024-01-03")
    assert (offset.n, workdays_alias(offset)) == (2, "2B-MON-WED except 2024-01-03")
    assert offset_of("B") == pd.offsets.BusinessDay()
    assert time_unit(THREE) == (1, f"steps of {THREE}")
    for freq in ("B-MON-XYZ", "B except soon", "B-"):
        with pytest.raises(ValueError, match=r"'B-MON-WED-FRI' for days of the week"):
            Panel.from_frame(numbered(on("Mon")), freq=freq)


def test_a_season_of_some_days_is_a_week_of_them():
    assert [
        season_length_of(freq) for freq in (THREE, "B-MON-TUE-WED-THU-FRI-SAT", "B except 2024-01-01")
    ] == [
        3,
        6,
        5,
    ]
    phases, season = season_phases(on("Tue Thu Sat", 4, "2024-01-02"), "B-TUE-THU-SAT")
    assert (phases.tolist(), season) == ([0, 1, 2, 0], 3)
    made = Forecaster("seasonal_naive", context_length=3, horizon=3).fit(numbered(on("Mon Wed Fri")))
    assert made.predict(numbered(on("Mon Wed Fri")))["y"].tolist() == [1.0, 2.0, 3.0]


def test_phases_of_one_day_of_every_month():
    times = pd.date_range("2024-01-28", periods=3, freq=offset_of("MS-28"))
    assert season_phases(times, "MS-28")[0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("day", ["MON", "TUE", "SAT", "SUN"])
def test_weeks_end_on_the_weekday_of_the_rows(day):
    times = pd.date_range("2024-01-01", periods=9, freq=f"W-{day}")
    panel = Panel.from_frame(numbered(times), freq="W")
    assert (panel.freq, panel.times.tolist()) == (f"W-{day}", times.tolist())
    assert Panel.from_frame(numbered(times[::2]), freq="2W").freq == f"2W-{day}"


def test_weeks_that_end_on_another_day_are_moved_with_a_word():
    times = pd.date_range("2024-01-02", periods=5, freq="W-TUE")
    with pytest.warns(
        UserWarning, match=r"freq='W-SUN' does not end on, .* moved .* freq='W-TUE' keeps them"
    ):
        panel = Panel.from_frame(numbered(times), freq="W-SUN")
    assert panel.times[0] == pd.Timestamp("2024-01-07")
