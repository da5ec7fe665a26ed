import numpy as np
import pandas as pd
import pytest
from sklearn import linear_model

from tfts.baselines import build_baseline, linear_regression
from tfts.data.panel import Panel
from tfts.data.scaling import Scaler
from tfts.data.split import chronological_split
from tfts.data.windows import WindowSpec


def make_panel(rows=101, units=(1.0, 1.0), calendar=False, gap=False):
    random = np.random.default_rng(3)
    frame = pd.DataFrame(
        {c: units[i] * random.normal(size=rows).cumsum() for i, c in enumerate("xy")},
        index=pd.date_range("2024-01-01", periods=rows, freq="h"),
    )
    if calendar:
        frame["hour"] = np.sin(2 * np.pi * np.arange(rows) / 24)
    if gap:
        frame.iloc[40, 1] = np.nan
    known = ["hour"] if calendar else []
    return Panel.from_frame(frame, targets="y", known_future=known, missing="drop")


def flat(panel, spec):
    inputs, future = spec.arrays(panel)
    past = inputs["past"] if isinstance(inputs, dict) else inputs
    parts = [past.reshape(len(past), -1)]
    if isinstance(inputs, dict):
        parts.append(inputs["known_future"].reshape(len(past), -1))
    return np.concatenate(parts, axis=1).astype(np.float64), future.reshape(len(past), -1).astype(np.float64)


@pytest.mark.parametrize("chunk", [4_194_304, 100])
@pytest.mark.parametrize("gap", [False, True])
@pytest.mark.parametrize(
    ("alpha", "other"), [(0.0, linear_model.LinearRegression()), (7.0, linear_model.Ridge(7.0))]
)
def test_agrees_with_scikit_learn(monkeypatch, alpha, other, gap, chunk):
    monkeypatch.setattr(linear_regression, "_CHUNK", chunk)
    panel, spec = make_panel(gap=gap), WindowSpec(5, 3)
    ours = build_baseline("linear_regression", alpha=alpha).fit(panel, spec)
    x, y = flat(panel, spec)
    expected = other.fit(x, y).predict(x)
    np.testing.assert_allclose(
        ours.predict(panel, spec, spec.origins(panel))[..., 0], expected, rtol=1e-7, atol=1e-7
    )
    assert ours.num_parameters == 5 * 2 * 3 + 3


def test_known_future_enters_for_context_and_horizon():
    panel, spec = make_panel(calendar=True), WindowSpec(5, 3)
    ours = build_baseline("linear_regression", alpha=0.5).fit(panel, spec)
    x, y = flat(panel, spec)
    expected = linear_model.Ridge(0.5).fit(x, y).predict(x)
    np.testing.assert_allclose(ours.predict(panel, spec, spec.origins(panel))[..., 0], expected, rtol=1e-7)
    assert ours.coef_.shape == (5 * 2 + 8, 3)


def test_inputs_that_repeat_each_other_leave_the_forecast_as_good():
    # Eight values of one sine hold two directions, so the normal equations are singular.
    panel, spec = make_panel(calendar=True), WindowSpec(5, 3)
    ours = build_baseline("linear_regression").fit(panel, spec)
    x, y = flat(panel, spec)
    least = np.sum((linear_model.LinearRegression().fit(x[:, :12], y).predict(x[:, :12]) - y) ** 2)
    error = ours.predict(panel, spec, spec.origins(panel))[..., 0] - y
    assert np.sum(error**2) == pytest.approx(least, rel=1e-3)
    assert np.abs(ours.coef_).max() < 10


def test_columns_in_very_different_units_count_alike():
    spec = WindowSpec(5, 3)
    plain, mixed = make_panel(), make_panel(units=(1e6, 1e-3))
    rows = spec.origins(plain)
    small = build_baseline("linear_regression").fit(mixed, spec).predict(mixed, spec, rows)
    large = build_baseline("linear_regression").fit(plain, spec).predict(plain, spec, rows)
    np.testing.assert_allclose(small * 1e3, large, rtol=1e-3, atol=1e-4)


def test_fewer_windows_than_inputs_are_met_exactly():
    panel, spec = make_panel(rows=11), WindowSpec(7, 2)
    ours = build_baseline("linear_regression").fit(panel, spec)
    rows = spec.origins(panel)
    assert len(rows) == 3
    np.testing.assert_allclose(ours.predict(panel, spec, rows), spec.arrays(panel)[1], atol=1e-5)


def test_windows_less_their_last_value_move_with_the_level():
    panel, spec = make_panel(), WindowSpec(5, 3)
    ours = build_baseline("linear_regression", alpha=1.0, window_norm="last").fit(panel, spec)
    past, future = spec.arrays(panel)
    x = (past - past[:, -1:])[:, :-1].reshape(len(past), -1)
    last = past[:, -1:, 0]
    expected = linear_model.Ridge(1.0).fit(x, future[..., 0] - last).predict(x) + last
    rows = spec.origins(panel)
    np.testing.assert_allclose(ours.predict(panel, spec, rows)[..., 0], expected, rtol=1e-4, atol=1e-4)
    shifted = make_panel()
    shifted.values[:, 1] += 64
    np.testing.assert_allclose(
        ours.predict(shifted, spec, rows), ours.predict(panel, spec, rows) + 64, rtol=1e-4
    )


def test_max_windows_takes_every_nth_window():
    panel, spec = make_panel(), WindowSpec(2, 3)
    assert len(spec.origins(panel)) == 97
    ours = build_baseline("linear_regression", max_windows=40).fit(panel, spec)
    x, y = flat(panel, spec)
    expected = linear_model.LinearRegression().fit(x[::3], y[::3]).predict(x)
    np.testing.assert_allclose(
        ours.predict(panel, spec, spec.origins(panel))[..., 0], expected, rtol=1e-7, atol=1e-7
    )


def test_other_windows_than_fitted_are_an_error():
    panel = make_panel()
    ours = build_baseline("linear_regression").fit(panel, WindowSpec(5, 3))
    with pytest.raises(ValueError, match=r"= \[5, 3, \['y', 'x'\], \[\]\].* Received: \[7, 3, "):
        ours.predict(panel, WindowSpec(7, 3), [50])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"alpha": -1.0}, r"`alpha` must be a float >= 0"),
        ({"alpha": "big"}, r"`alpha` must be a float >= 0 .* Received: alpha='big'"),
        ({"window_norm": "lst"}, r"Unknown window_norm 'lst'\. .* Did you mean 'last'"),
        ({"max_windows": 0}, r"`max_windows` must be an int >= 1"),
    ],
)
def test_wrong_options_are_errors(options, match):
    with pytest.raises(ValueError, match=match):
        build_baseline("linear_regression", **options)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("options", "rmse", "mae"),
    [({}, 0.2253, 0.1415), ({"alpha": 10.0, "window_norm": "last"}, 0.2144, 0.1289)],
)
def test_reference_numbers(shared_data, options, rmse, mae):
    frame = pd.read_csv(shared_data / "forecast" / "hourly_reference.csv")
    panel = Panel.from_frame(frame, time="time", targets="x1")
    train, _, test = chronological_split(panel, 0.15, 0.15, context="own")
    spec = WindowSpec(60, 10)
    scaler = Scaler("standard").fit(train)
    rows = spec.origins(test)
    ours = build_baseline("linear_regression", **options).fit(scaler.transform(train), spec)
    forecast = ours.predict(scaler.transform(test), spec, rows)
    error = scaler.inverse(forecast, test, rows, ["x1"]) - spec.arrays(test)[1]
    assert len(rows) == 231
    assert np.sqrt(np.mean(error**2)) == pytest.approx(rmse, abs=5e-5)
    assert np.mean(np.abs(error)) == pytest.approx(mae, abs=5e-5)


def test_one_target_one_step_ahead():
    panel = Panel.from_frame(
        pd.DataFrame({"y": 3.0 * np.arange(19.0)}, index=pd.date_range("2024-01-01", periods=19, freq="D"))
    )
    spec = WindowSpec(context_length=2, horizon=1)
    fitted = build_baseline("linear_regression").fit(panel, spec)
    np.testing.assert_allclose(fitted.predict(panel, spec, [5, 18]), [[[18.0]], [[57.0]]], rtol=1e-4)
