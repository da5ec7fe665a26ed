import numpy as np
import pandas as pd

from tfts.baselines import build_baseline
from tfts.data.panel import Panel
from tfts.data.windows import WindowSpec


def forecast(values, context_length, horizon, rows):
    frame = pd.DataFrame({"y": values}, index=pd.date_range("2024-01-01", periods=len(values), freq="D"))
    panel, spec = Panel.from_frame(frame), WindowSpec(context_length, horizon)
    return build_baseline("drift").fit(panel, spec).predict(panel, spec, rows)[..., 0]


def test_the_line_through_both_ends_of_the_window_goes_on():
    # Windows (2, 9, 8) and (9, 8, 3): slopes 6/2 and -6/2.
    made = forecast([2.0, 9.0, 8.0, 3.0], 3, 2, [2, 3])
    np.testing.assert_array_equal(made, [[11, 14], [0, -3]])


def test_a_window_of_one_row_has_no_slope():
    np.testing.assert_array_equal(forecast([2.0, 9.0, 8.0], 1, 2, [0, 2]), [[2, 2], [8, 8]])
