"""The straight line through both ends of the window."""

import numpy as np

from tfts.baselines.baseline import Baseline
from tfts.data.holes import neighbours_of


class Drift(Baseline):
    """Continues the straight line from the first to the last value of the context.

    The forecast h steps ahead is `last + h * (last - first) / (context_length - 1)`. A
    context of one row has no slope: the last value is repeated. Of a context with holes the line
    goes through the first and the last observed value.

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
        steps = spec.context_length - 1
        last, ago = self._latest(panel, rows)
        if panel.masked:
            first, later = neighbours_of(panel, self.targets_, np.float64).earliest(rows - steps)
        else:
            first, later = self._latest(panel, rows - steps)
        slope = (last - first) / np.maximum(steps - ago - later, 1)
        ahead = np.arange(1, spec.horizon + 1)
        return last[:, None, :] + (ahead[None, :, None] + ago[:, None, :]) * slope[:, None, :]
