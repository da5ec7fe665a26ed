import numpy as np
import pandas as pd
import pytest

from tests.anomaly.conftest import shops
from tfts import BASELINES, Forecaster
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
