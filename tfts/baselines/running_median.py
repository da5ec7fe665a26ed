"""The median of the rows before."""

import numpy as np
import pandas as pd

from tfts.baselines.baseline import Baseline
from tfts.errors import SettingError


class RunningMedian(Baseline):
    """Forecasts that each target comes back to the median of its latest values.

    A reference that nothing has to be learnt for, that no spike moves, and that goes along
    with a slow change. It may look further back than the context. Missing values are left
    out.

    Args:
        rows: Int >= 1, the number of latest rows.

    Raises:
        ValueError: If `rows` is not an int >= 1.

    Example:

    >>> from tfts.data.panel import Panel
    >>> from tfts.data.windows import WindowSpec
    >>> frame = pd.DataFrame({"y": [1.0, 2.0, 90.0, 3.0, 4.0]},
    ...                      index=pd.date_range("2024-01-01", periods=5, freq="D"))
    >>> panel, spec = Panel.from_frame(frame), WindowSpec(context_length=1, horizon=2)
    >>> RunningMedian(rows=3).fit(panel, spec).predict(panel, spec, [2, 4])[..., 0].tolist()
    [[2.0, 2.0], [4.0, 4.0]]
    """

    copies_values = True

    def __init__(self, rows=4000):
        if isinstance(rows, bool) or not isinstance(rows, int | np.integer) or rows < 1:
            raise SettingError(f"`rows` must be an int >= 1. Received: rows={rows!r}.")
        self.rows = int(rows)

    def _forecast(self, panel, spec, rows):
        forecast = np.empty((len(rows), spec.horizon, len(self.targets_)))
        of = panel.series_of(rows)
        for position in np.unique(of):
            mine, start = of == position, panel.spans.start[position]
            # Rows after the last origin are not even read.
            table = panel.values[start : rows[mine].max() + 1, panel.indices(self.targets_)]
            medians = pd.DataFrame(table).rolling(self.rows, min_periods=1).median().ffill().to_numpy()
            forecast[mine] = medians[rows[mine] - start][:, None, :]
        return forecast
