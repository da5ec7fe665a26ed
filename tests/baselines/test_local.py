import warnings

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.statespace.sarimax import SARIMAX

from tfts.baselines import build_baseline
from tfts.baselines.local import _steps_between
from tfts.data.panel import Panel
from tfts.data.windows import WindowSpec

SPEC = WindowSpec(2, 1)


def make_panel(shops=("a", "b"), rows=31, missing="raise", gone=0):
    times = pd.date_range("2024-01-01", periods=rows, freq="D")
    random = np.random.default_rng(5)
    frame = pd.DataFrame({"time": np.tile(times, len(shops)), "shop": np.repeat(shops, rows)})
    frame["sales"] = random.normal(size=len(frame)).cumsum()
    frame["visits"] = random.normal(size=len(frame)).cumsum()
    if gone:
        frame.loc[1:gone, "visits"] = np.nan
    return Panel.from_frame(frame, time="time", series="shop", missing=missing)


def test_each_series_has_its_own_model_wherever_it_stands():
    panel = make_panel()
    baseline = build_baseline("arima").fit(panel, SPEC)
    assert baseline.learnt_.shape == (2, 2, 3)
    # The last row of shop b, in a panel of shop b alone.
    frame = panel.to_frame()
    alone = Panel.from_frame(frame[frame["shop"] == "b"], time="time", series="shop")
    np.testing.assert_allclose(
        baseline.predict(alone, SPEC, [30]), baseline.predict(panel, SPEC, [61]), rtol=1e-9
    )


@pytest.mark.parametrize("name", ["arima", "ets"])
def test_a_series_that_was_not_fitted_is_an_error(name):
    baseline = build_baseline(name).fit(make_panel(), SPEC)
    match = (
        r"was not fitted on series 'c'.* each of the 2 series .*\(first: 'a'\).* such as linear_regression"
    )
    with pytest.raises(ValueError, match=match):
        baseline.predict(make_panel(shops=("a", "c")), SPEC, [40])


def test_searches_that_do_not_converge_give_one_warning(monkeypatch):
    original = SARIMAX.fit

    def stops_early(self, **options):
        return original(self, **{**options, "maxiter": 1})

    monkeypatch.setattr(SARIMAX, "fit", stops_early)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        build_baseline("arima", order=(1, 0, 1)).fit(make_panel(), SPEC)
    assert [w.category for w in caught] == [UserWarning]
    text = str(caught[0].message)
    assert "did not converge for 4 of 4 fits" in text
    assert "target 'sales' of series 'a', target 'visits' of series 'a'" in text
    assert "and 1 more" in text
    assert caught[0].filename == __file__


def test_a_series_without_values_is_an_error():
    panel = make_panel(rows=31, missing="drop", gone=30)
    with pytest.raises(ValueError, match=r"target 'visits' of series 'a': 1 of its 31 training rows hold a"):
        build_baseline("arima").fit(panel, SPEC)


@pytest.mark.parametrize(
    ("first", "last", "freq", "steps"),
    [
        ("2024-01-01 00:00:00", "2024-01-02 05:00:00", "h", 29),
        ("2024-01-05", "2024-01-02", "D", -3),
        ("2023-11-01", "2024-02-01", "MS", 3),
        ("2024-01-05", "2024-01-08", "B", 1),
        ("2024-01-05", "2024-01-05", "D", 0),
    ],
)
def test_steps_between_two_times(first, last, freq, steps):
    assert _steps_between(first, pd.Timestamp(last), freq) == steps


def test_steps_between_two_times_across_a_clock_change():
    # Berlin's clock goes forward on 31 March 2024: that day has 23 hours.
    first, last = (pd.Timestamp(day, tz="Europe/Berlin") for day in ("2024-03-31", "2024-04-01"))
    assert _steps_between(str(first), last, "h") == 23
    assert _steps_between(str(first), last, "D") == 1
