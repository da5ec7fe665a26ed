"""What a forecaster makes of other tables than the one it was fitted on, and of unusual times."""

import re

import numpy as np
import pandas as pd
import pytest

from tfts.data.panel import Panel
from tfts.data.split import chronological_split
from tfts.forecaster import Forecaster


def numbered(times, season=12):
    """A line and a season, which a ridge forecasts without an error."""
    steps = np.arange(len(times))
    return pd.DataFrame({"y": 0.1 * steps + np.sin(2 * np.pi * steps / season)}, index=times)


def test_72_months_hold_a_validation_window_of_a_year():
    frame = numbered(pd.date_range("2018-01-01", periods=72, freq="MS"))
    fitted = Forecaster("ridge", context_length=24, horizon=12).fit(frame)
    assert fitted.training_["rows"] == 60
    forecast = fitted.predict(frame)
    assert forecast["time"].iloc[-1] == pd.Timestamp("2024-12-01")
    steps = np.arange(72, 84)
    np.testing.assert_allclose(forecast["y"], 0.1 * steps + np.sin(2 * np.pi * steps / 12), atol=0.05)


def test_the_error_names_the_part_that_is_too_short():
    frame = numbered(pd.date_range("2018-01-01", periods=40, freq="MS"))
    # 40 - 12 rows are left to learn from, and a window takes 36.
    with pytest.raises(ValueError, match=r"too few rows for one window\. The training part has 28 rows"):
        Forecaster("ridge", context_length=24, horizon=12).fit(frame)


@pytest.mark.parametrize("model", ["ridge", "seasonal_naive", "ets", "drift"])
def test_forecasts_fall_on_the_28th(model, tmp_path):
    frame = numbered(pd.date_range("2018-01-28", periods=72, freq=pd.DateOffset(months=1, day=28)))
    Forecaster(model, context_length=24, horizon=3).fit(frame).save(tmp_path / "saved")
    loaded = Forecaster.load(tmp_path / "saved")
    assert loaded.freq == "MS-28"
    times = loaded.predict(frame)["time"]
    assert times.dt.strftime("%Y-%m-%d").tolist() == ["2024-01-28", "2024-02-28", "2024-03-28"]


def test_the_season_of_months_is_a_year_on_any_day():
    frame = numbered(pd.date_range("2018-01-28", periods=36, freq=pd.DateOffset(months=1, day=28)))
    fitted = Forecaster("seasonal_naive", context_length=12, horizon=3).fit(frame)
    np.testing.assert_allclose(fitted.predict(frame)["y"], frame["y"].iloc[24:27])


@pytest.mark.parametrize(("fitted", "came"), [("D", "h"), ("h", "D")])
@pytest.mark.parametrize("missing", ["raise", "interpolate"])
def test_a_table_at_another_time_step_is_refused(fitted, came, missing):
    forecaster = Forecaster("drift", context_length=7, horizon=2, missing=missing, limit=None)
    forecaster.fit(numbered(pd.date_range("2024-01-01", periods=60, freq=fitted)))
    apart = {"h": "0 days 01:00:00", "D": "1 days 00:00:00"}[came]
    message = f"the fitted rows were at freq={fitted!r}, but the rows of the table are {apart} apart"
    with pytest.raises(ValueError, match=re.escape(message)):
        forecaster.predict(numbered(pd.date_range("2024-01-01", periods=60, freq=came)))


def test_rows_that_are_merged_may_lie_closer_than_the_fitted_periods():
    frame = numbered(pd.date_range("2024-01-01", periods=24 * 30, freq="h"))
    forecaster = Forecaster("drift", context_length=7, horizon=2, freq="D", duplicates="mean").fit(frame)
    assert forecaster.predict(frame)["time"].tolist() == [
        pd.Timestamp("2024-01-31"),
        pd.Timestamp("2024-02-01"),
    ]


def test_the_same_instants_in_another_zone_give_the_same_forecasts():
    hours = pd.date_range("2024-03-01", periods=40 * 24, freq="h", tz="Europe/Berlin")
    frame = pd.DataFrame(
        {"y": np.where(hours.hour < 6, 1.0, 5.0) + 1e-3 * np.arange(len(hours))}, index=hours
    )
    forecaster = Forecaster("ridge", context_length=12, horizon=6, calendar=["hour"]).fit(frame)
    own = forecaster.evaluate(frame.iloc[-60:], ["rmse"])
    there = frame.tz_convert("UTC")
    pd.testing.assert_frame_equal(forecaster.evaluate(there.iloc[-60:], ["rmse"]), own)
    assert forecaster.predict(there)["time"].equals(forecaster.predict(frame)["time"])
    with pytest.raises(ValueError, match=r"no time zone, but the fitted rows were in Europe/Berlin"):
        forecaster.predict(frame.tz_localize(None))
    with pytest.raises(ValueError, match=r"fitted on times in the zone Europe/Berlin, but .* are in UTC"):
        forecaster.evaluate(Forecaster("drift", context_length=12, horizon=6, calendar=["hour"]).panel(there))


def test_a_zone_that_the_fitted_rows_did_not_have_is_refused():
    frame = numbered(pd.date_range("2024-01-01", periods=60))
    forecaster = Forecaster("drift", context_length=7, horizon=2).fit(frame)
    with pytest.raises(ValueError, match=r"in the time zone UTC, but the fitted rows had none"):
        forecaster.predict(frame.tz_localize("UTC"))


@pytest.mark.parametrize("unit", ["s", "us"])
def test_835_years_are_forecast_kept_and_evaluated(unit, tmp_path):
    frame = numbered(pd.date_range("1165-01-01", periods=835, freq="YS").as_unit(unit))
    Forecaster("ridge", context_length=24, horizon=6).fit(frame).save(tmp_path / "saved")
    loaded = Forecaster.load(tmp_path / "saved")
    assert loaded.predict(frame)["time"].dt.year.tolist() == [2000, 2001, 2002, 2003, 2004, 2005]
    assert loaded.evaluate(frame, ["rmse"])["rmse"].iloc[0] < 0.1


@pytest.mark.parametrize("missing", ["drop", "interpolate"])
def test_holidays_of_business_days_are_not_lost(missing):
    holidays = pd.offsets.CustomBusinessDay(holidays=["2024-03-01"])
    frame = numbered(pd.date_range("2024-01-01", periods=50, freq=holidays))
    forecaster = Forecaster("drift", context_length=5, horizon=3, freq=holidays, missing=missing).fit(frame)
    assert forecaster.freq == "B except 2024-03-01"
    assert not forecaster.panel(frame).filled.any()
    # The first of March is a Friday.
    assert forecaster.predict(frame[:43])["time"].dt.strftime("%d.%m.").tolist() == [
        "29.02.",
        "04.03.",
        "05.03.",
    ]


def test_nothing_is_lost_between_a_table_and_its_forecast_table():
    days = pd.date_range("2024-01-01", periods=40)
    counter = pd.DataFrame({"y": 700_000_001 + 3 * np.arange(40)}, index=days)
    panel = Panel.from_frame(counter)
    train, _, test = chronological_split(panel, 0, 0.5)
    assert test.to_frame()["y"].tolist() == counter["y"].tolist()
    forecaster = Forecaster("drift", context_length=5, horizon=2).fit(train, validation=0)
    actual = forecaster.actual(test, np.array([25]))
    assert actual.ravel().tolist() == [700_000_001 + 3 * 26, 700_000_001 + 3 * 27]
    sine = pd.DataFrame({"y": 1e12 + np.sin(np.arange(400))}, index=pd.date_range("2024-01-01", periods=400))
    forecaster = Forecaster("ridge", context_length=12, horizon=2).fit(sine)
    np.testing.assert_allclose(forecaster.predict(sine)["y"], 1e12 + np.sin([400, 401]), rtol=0, atol=1e-3)
