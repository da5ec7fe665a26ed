"""The straight line through both ends of the window."""

import numpy as np

from tfts.baselines.baseline import Baseline


class Drift(Baseline):
    """Continues the straight line from the first to the last value of the context.

    The forecast h steps ahead is `last + h * (last - first) / (context_length - 1)`. A
    context of one row has no slope: the last value is repeated.

    Source: Hyndman and Athanasopoulos, Forecasting: Principles and Practice, the drift
    method, here over the window instead of the whole history.

    Example:

    >>> import pandas as pd
    >>> from tfts.data.panel import Panel
    >>> from tfts.data.windows import WindowSpec
    >>> frame = pd.DataFrame({"y": [1.0, 5.0, 2.0]},
    ...                      index=pd.date_range("2024-01-01", periods=3, freq="D"))
    >>> panel, spec = Panel.from_frame(frame), WindowSpec(context_length=3, horizon=2)
    >>> Drift().fit(panel, spec).predict(panel, spec, [2])[0, :, 0].tolist()
    [2.5, 3.0]
    """

    def _forecast(self, panel, spec, rows):
        columns = panel.indices(self.targets_)
        steps = spec.context_length - 1
        last = panel.values[np.ix_(rows, columns)].astype(np.float64)
        first = panel.values[np.ix_(rows - steps, columns)].astype(np.float64)
        slope = (last - first) / max(steps, 1)
        ahead = np.arange(1, spec.horizon + 1)
        return last[:, None, :] + ahead[None, :, None] * slope[:, None, :]
