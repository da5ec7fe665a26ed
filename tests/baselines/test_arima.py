import dataclasses

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.statespace.sarimax import SARIMAX

from tfts.baselines import build_baseline
from tfts.data.panel import Panel
from tfts.data.spans import Spans
from tfts.data.split import chronological_split
from tfts.data.windows import WindowSpec

ROWS = 211


def make_panel(level=50.0):
    random = np.random.default_rng(0)
    time = np.arange(ROWS)
    values = level + 0.05 * time + 3 * np.sin(2 * np.pi * time / 7)
    values += 0.3 * random.normal(size=ROWS).cumsum() + 0.5 * random.normal(size=ROWS)
    return Panel.from_frame(
        pd.DataFrame({"y": values}, index=pd.date_range("2024-01-01", periods=ROWS, freq="D"))
    )


def with_parameters(panel, params, **options):
    """An ARIMA with known parameters, in the units of the panel."""
    baseline = build_baseline("arima", **options)
    state = {
        "targets_": ["y"],
        "series_": [""],
        "first_time_": [str(panel.times[0])],
        "offset_": np.zeros((1, 1)),
        "scale_": np.ones((1, 1)),
        "learnt_": np.array(params, dtype=float).reshape(1, 1, -1),
    }
    return baseline.set_state(state)


def small_panel(values):
    index = pd.date_range("2024-01-01", periods=len(values), freq="D")
    return Panel.from_frame(pd.DataFrame({"y": values}, index=index), missing="drop")


@pytest.mark.parametrize(
    ("order", "seasonal_order", "trend"),
    [
        ((1, 0, 1), (0, 0, 0, 0), "c"),
        ((1, 0, 0), (0, 0, 0, 0), "n"),
        ((1, 0, 0), (0, 0, 0, 0), "ct"),
        ((0, 0, 0), (0, 0, 0, 0), "c"),
        ((1, 1, 1), (0, 0, 0, 0), "c"),
        ((1, 1, 0), (0, 0, 0, 0), "t"),
        ((0, 2, 1), (0, 0, 0, 0), None),
        ((1, 0, 0), (0, 1, 1, 7), None),
        ((0, 1, 1), (1, 0, 0, 7), "c"),
    ],
)
@pytest.mark.filterwarnings("ignore:Arima. the search:UserWarning")  # Any parameters will do here.
def test_every_origin_agrees_with_statsmodels(order, seasonal_order, trend):
    train, _, test = chronological_split(make_panel(), 0.2, 0.2)
    spec = WindowSpec(context_length=5, horizon=11)
    baseline = build_baseline("arima", order=order, seasonal_order=seasonal_order, trend=trend).fit(
        train, spec
    )
    rows = spec.forecast_origins(test)
    forecast = baseline.predict(test, spec, rows)[..., 0]
    offset, scale = baseline.offset_[0, 0], baseline.scale_[0, 0]
    values = (test.values[:, 0].astype(np.float64) - offset) / scale
    stop = train.spans[0].observed_end
    trend = trend or "n"
    model = SARIMAX(values[:stop], order=order, seasonal_order=seasonal_order, trend=trend)
    result = model.filter(baseline.learnt_[0, 0])
    for k in (0, 7, len(rows) - 1):
        expected = result.append(values[stop : rows[k] + 1]).forecast(11) * scale + offset
        np.testing.assert_allclose(forecast[k], expected, rtol=1e-6)
        expected = result.apply(values[: rows[k] + 1]).forecast(11) * scale + offset
        np.testing.assert_allclose(forecast[k], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("order", "seasonal_order", "trend"),
    [((1, 1, 0), (0, 0, 0, 0), "t"), ((0, 1, 1), (0, 1, 0, 7), "n")],
)
def test_the_parameters_are_as_likely_as_statsmodels_own(order, seasonal_order, trend):
    panel, spec = make_panel(), WindowSpec(5, 11)
    baseline = build_baseline("arima", order=order, seasonal_order=seasonal_order, trend=trend)
    baseline.fit(panel, spec)
    values = (panel.values[:, 0].astype(np.float64) - baseline.offset_[0, 0]) / baseline.scale_[0, 0]
    model = SARIMAX(values, order=order, seasonal_order=seasonal_order, trend=trend)
    best = model.fit(disp=0, maxiter=200)
    # Ours sees the differenced values alone, so the two optima differ a little.
    assert model.loglike(baseline.learnt_[0, 0]) > best.llf - 0.2


def test_first_order_autoregression_by_hand():
    # y' = 1 + 0.5 y: from 4 come 3, 2.5, 2.25.
    panel = small_panel([2.0, 7.0, 4.0])
    baseline = with_parameters(panel, [1.0, 0.5, 1.0], order=(1, 0, 0), trend="c")
    forecast = baseline.predict(panel, WindowSpec(1, 3), [2])
    np.testing.assert_allclose(forecast[0, :, 0], [3.0, 2.5, 2.25], rtol=1e-9)


def test_seasonal_differences_repeat_the_season():
    panel = small_panel([1.0, 2.0, 3.0, 4.0, 9.0, 6.0])
    baseline = with_parameters(panel, [1.0], order=(0, 0, 0), seasonal_order=(0, 1, 0, 3))
    forecast = baseline.predict(panel, WindowSpec(1, 5), [5])
    np.testing.assert_allclose(forecast[0, :, 0], [4, 9, 6, 4, 9], rtol=1e-5)


def test_a_linear_trend_goes_on_where_a_later_panel_starts():
    # y = 2 t for t = 0, 1, ... and no memory; the panel starts on the third day.
    panel = small_panel(np.arange(0.0, 20.0, 2.0))
    baseline = with_parameters(panel, [2.0, 1.0], order=(0, 0, 0), trend="t")
    later = dataclasses.replace(panel, spans=Spans(2, 2, 10, 10))
    for part, row in ((panel, 4), (later, 4), (later, 2)):
        forecast = baseline.predict(part, WindowSpec(1, 2), [row])
        np.testing.assert_allclose(forecast[0, :, 0], [2 * row + 2, 2 * row + 4], rtol=1e-6)


def test_a_missing_value_is_bridged_by_the_filter():
    # y' = 0.5 y: from 8 two steps to the gap's end, then on.
    panel = small_panel([1.0, 8.0, np.nan, np.nan, 3.0])
    baseline = with_parameters(panel, [0.5, 1.0], order=(1, 0, 0), trend="n")
    np.testing.assert_allclose(baseline.predict(panel, WindowSpec(1, 2), [3])[0, :, 0], [1, 0.5], rtol=1e-9)


def test_interpolated_values_count_as_missing():
    index = pd.date_range("2024-01-01", periods=5, freq="D")
    frame = pd.DataFrame({"y": [1.0, 8.0, np.nan, 4.0, 3.0]}, index=index)
    panel = Panel.from_frame(frame, missing="interpolate")
    baseline = with_parameters(panel, [0.5, 1.0], order=(1, 0, 0), trend="n")
    np.testing.assert_allclose(baseline.predict(panel, WindowSpec(1, 1), [2])[0, :, 0], [2.0], rtol=1e-9)


@pytest.mark.parametrize(
    "options", [{"order": (1, 0, 0)}, {"order": (1, 0, 0), "seasonal_order": (0, 1, 1, 7)}]
)
def test_a_large_level_is_no_worse_than_a_small_one(options):
    spec, rows = WindowSpec(5, 3), [150, 180]
    small = build_baseline("arima", **options).fit(make_panel(), spec).predict(make_panel(), spec, rows)
    large = make_panel(level=65_536.0)
    high = build_baseline("arima", **options).fit(large, spec).predict(large, spec, rows)
    np.testing.assert_allclose(high - 65_486.0, small, atol=0.1)


def test_a_trend_of_seasonal_differences_goes_on():
    # y[r] = y[r - 7] + r / 2, so rows 61 and 62 follow from rows 54 and 55.
    values = np.zeros(61)
    for row in range(7, 61):
        values[row] = values[row - 7] + row / 2
    values += 0.3 * np.random.default_rng(1).normal(size=61)
    panel, spec = small_panel(values), WindowSpec(2, 2)
    baseline = build_baseline("arima", order=(0, 0, 0), seasonal_order=(0, 1, 0, 7), trend="t")
    forecast = baseline.fit(panel, spec).predict(panel, spec, [60])
    np.testing.assert_allclose(forecast[0, :, 0], [values[54] + 30.5, values[55] + 31], atol=0.5)


def test_fit_rows_takes_the_most_recent_training_rows():
    panel, spec = make_panel(), WindowSpec(5, 3)
    train = chronological_split(panel, 0.2, 0.2).train
    baseline = build_baseline("arima", fit_rows=53).fit(train, spec)
    start, stop = train.spans[0].observed_end - 53, train.spans[0].observed_end
    assert baseline.first_time_ == [str(panel.times[start])]
    alone = dataclasses.replace(panel, spans=Spans(start, start, stop, stop))
    again = build_baseline("arima").fit(alone, spec)
    np.testing.assert_array_equal(baseline.learnt_, again.learnt_)


def test_the_default_trend_is_a_constant_only_without_differences():
    panel, spec = make_panel(), WindowSpec(5, 3)
    # AR weight, variance, and the constant in the first.
    assert build_baseline("arima", order=(1, 0, 0)).fit(panel, spec).num_parameters == 3
    assert build_baseline("arima", order=(1, 1, 0)).fit(panel, spec).num_parameters == 2


def test_too_few_rows_are_an_error():
    panel = small_panel(np.arange(12.0))
    match = r"can't be fitted to target 'y': 12 of its training rows hold a value, but .* takes 34"
    with pytest.raises(ValueError, match=match):
        build_baseline("arima", order=(1, 1, 0), seasonal_order=(1, 1, 0, 11)).fit(panel, WindowSpec(2, 1))


def test_a_fit_that_breaks_down_names_the_target(monkeypatch):
    def breaks(*_, **__):
        raise np.linalg.LinAlgError("LU decomposition error.")

    monkeypatch.setattr(SARIMAX, "fit", breaks)
    with pytest.raises(ValueError, match=r"target 'y' with order=\(1, 0, 0\).*LU decomposition error"):
        build_baseline("arima").fit(make_panel(), WindowSpec(2, 1))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"order": (1, 0)}, r"`order` must be \(p, d, q\), ints >= 0\. Received: order=\(1, 0\)"),
        ({"order": 2}, r"`order` must be \(p, d, q\)"),
        ({"order": (1, -1, 0)}, r"`order` must be \(p, d, q\)"),
        ({"seasonal_order": (1, 1, 1)}, r"`seasonal_order` must be \(P, D, Q, s\)"),
        ({"seasonal_order": (1, 0, 0, 1)}, r"`seasonal_order` must end with the season's length"),
        ({"trend": "linear"}, r"Unknown trend 'linear'\. Expected one of: c, ct, n, t"),
        ({"fit_rows": 1}, r"`fit_rows` must be an int >= 2"),
    ],
)
def test_wrong_options_are_errors(options, match):
    with pytest.raises(ValueError, match=match):
        build_baseline("arima", **options)
