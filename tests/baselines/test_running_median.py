import numpy as np
import pandas as pd
import pytest

from tfts.baselines import build_baseline
from tfts.data.panel import Panel
from tfts.data.windows import WindowSpec


def test_looks_back_beyond_the_context_in_its_own_series_alone():
    days = pd.date_range("2024-01-01", periods=5, freq="D")
    frame = pd.DataFrame({"y": [1.0, 5.0, 2.0, 9.0, 3.0, 100.0, 300.0, 200.0, 400.0, 500.0]})
    frame["day"], frame["shop"] = [*days, *days], ["a"] * 5 + ["b"] * 5
    panel = Panel.from_frame(frame, time="day", series="shop")
    spec = WindowSpec(context_length=1, horizon=2)
    made = build_baseline("running_median", rows=3).fit(panel, spec).predict(panel, spec, [2, 4, 6])
    # median of 1, 5, 2; of 2, 9, 3; of 100, 300
    assert made[..., 0].tolist() == [[2, 2], [3, 3], [200, 200]]


def test_missing_values_do_not_count():
    frame = pd.DataFrame({"y": [1.0, np.nan, 7.0, 8.0]}, index=pd.date_range("2024-01-01", periods=4))
    panel = Panel.from_frame(frame, missing="drop")
    spec = WindowSpec(context_length=1, horizon=1)
    assert build_baseline("running_median").fit(panel, spec).predict(panel, spec, [2])[0, 0, 0] == 4


def test_rows_must_be_a_whole_number():
    with pytest.raises(ValueError, match=r"`rows` must be an int >= 1\. Received: rows=0"):
        build_baseline("running_median", rows=0)
