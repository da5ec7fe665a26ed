import numpy as np
import pandas as pd
import pytest

from tfts.baselines import build_baseline
from tfts.data.panel import Panel
from tfts.data.scaling import Scaler
from tfts.data.split import chronological_split
from tfts.data.windows import WindowSpec


def test_each_target_keeps_its_value_at_the_origin():
    index = pd.date_range("2024-01-01", periods=5, freq="h")
    frame = pd.DataFrame({"x": np.arange(5.0), "y": 10 + np.arange(5.0), "z": -np.arange(5.0)}, index=index)
    panel, spec = Panel.from_frame(frame), WindowSpec(2, 3, targets=("z", "x"))
    forecast = build_baseline("persistence").fit(panel, spec).predict(panel, spec, [1, 4])
    np.testing.assert_array_equal(forecast, [[[-1, 1]] * 3, [[-4, 4]] * 3])


@pytest.mark.shared_data
def test_reference_numbers(shared_data):
    frame = pd.read_csv(shared_data / "forecast" / "hourly_reference.csv")
    panel = Panel.from_frame(frame, time="time", targets="x1")
    train, _, test = chronological_split(panel, 0.15, 0.15, context="own")
    spec = WindowSpec(60, 10)
    scaler = Scaler("standard").fit(train)
    rows = spec.origins(test)
    forecast = (
        build_baseline("persistence")
        .fit(scaler.transform(train), spec)
        .predict(scaler.transform(test), spec, rows)
    )
    error = scaler.inverse(forecast, test, rows, ["x1"]) - spec.arrays(test)[1]
    assert len(rows) == 231
    assert np.sqrt(np.mean(error**2)) == pytest.approx(1.9230, abs=5e-5)
    assert np.mean(np.abs(error)) == pytest.approx(1.5764, abs=5e-5)
