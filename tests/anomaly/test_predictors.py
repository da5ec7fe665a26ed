import numpy as np
import pandas as pd
import pytest

from tests.anomaly.conftest import shops
from tfts import BASELINES, AnomalyDetector, Forecaster
from tfts.anomaly.predictors import predictor_of

OPTIONS = {
    "arima": {"order": (1, 1, 0)},
    "linear_regression": {"alpha": 1.0, "window_norm": "last"},
    "running_median": {"rows": 11},
}
NETWORKS = {"linear": {}, "lstm_regressor": {"units": 3}}


@pytest.mark.parametrize("model", [*BASELINES, *NETWORKS])
def test_one_row_at_a_time_gives_what_the_table_gives(model):
    table = shops(rows=131, names=("a",))
    options = {**OPTIONS, **NETWORKS}.get(model, {})
    forecaster = Forecaster(
        model,
        context_length=7,
        horizon=1,
        targets=["sold", "stock"],
        known_future=["promotion"],
        time="day",
        series="shop",
        model_options=options,
    )
    training = {"epochs": 1, "verbose": 0} if model in NETWORKS else {}
    forecaster.fit(table, validation=0, **training)
    panel = forecaster.panel(table)
    scaled = forecaster.scaler_.transform(panel).values.astype(np.float64)
    rows = np.array([70, 100, 129])
    wanted = forecaster.forecast_windows(panel, rows)[:, 0]
    predict = predictor_of(forecaster)
    offset, scale = forecaster.scaler_.affine("a", panel.targets)
    past, known = panel.indices(["sold", "stock"]), panel.indices(["promotion"])
    for row, expected in zip(rows, wanted, strict=True):
        first = max(0, row + 1 - max(predict.rows, predict.memory))
        made = predict(
            scaled[first : row + 1, past], scaled[first : row + 2, known], "a", panel.times[row + 1]
        )
        np.testing.assert_allclose(made * scale + offset, expected, rtol=2e-4)


def test_one_step_is_what_a_row_is_judged_by():
    frame = pd.DataFrame({"y": np.arange(9.0)}, index=pd.date_range("2024-01-01", periods=9))
    forecaster = Forecaster("drift", context_length=2, horizon=3).fit(frame, validation=0)
    with pytest.raises(ValueError, match="a forecaster with horizon=3"):
        predictor_of(forecaster)


def test_ets_judges_rows_by_the_forecasts_that_the_whole_table_gives():
    random, day = np.random.default_rng(4), np.arange(640)
    week = np.array([0.0, 2, 4, 6, 9, 12, -3])[day % 7] * (1 + day / 400)
    level = 100 + 0.3 * day + random.normal(0, 1, 640).cumsum()
    frame = pd.DataFrame(
        {"y": level + week + random.normal(0, 1, 640)}, index=pd.date_range("2023-01-01", periods=640)
    )
    options = {"model_options": {"damped": False, "fit_rows": 250}, "context_length": 7}
    # Nothing is flagged, so nothing is replaced.
    made = AnomalyDetector("ets", threshold="fixed", threshold_options={"limit": 1e9}, **options)
    made.fit(frame[:320])
    # By then the rows of a live feed begin after those of the fit.
    monitor = made.monitor()
    records = monitor.record()
    for stamp, value in frame["y"][320:].items():
        monitor.update({"time": stamp, "y": value})
    whole = made.forecaster_.predict(frame, origins="all").set_index("time")["y"][frame.index[320:]]
    off = np.abs(np.array([record[3][0] for record in records]) - whole.to_numpy())
    assert off.max() < 0.01 * made.calibration_["y"].std()
