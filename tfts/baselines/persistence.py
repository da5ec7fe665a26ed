"""The last value, repeated."""

import numpy as np

from tfts.baselines.baseline import Baseline


class Persistence(Baseline):
    """Forecasts that nothing changes: each target keeps its value at the origin, or the latest that was observed.

    Example:

    >>> import pandas as pd
    >>> from tfts.data.panel import Panel
    >>> from tfts.data.windows import WindowSpec
    >>> frame = pd.DataFrame({"y": [1.0, 2.0, 4.0, 8.0]},
    ...                      index=pd.date_range("2024-01-01", periods=4, freq="D"))
    >>> panel, spec = Panel.from_frame(frame), WindowSpec(context_length=2, horizon=2)
    >>> Persistence().fit(panel, spec).predict(panel, spec, [1, 3])[..., 0].tolist()
    [[2.0, 2.0], [8.0, 8.0]]
    """

    copies_values = True

    def _forecast(self, panel, spec, rows):
        return np.repeat(self._latest(panel, rows)[0][:, None, :], spec.horizon, axis=1)
