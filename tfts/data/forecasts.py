"""Forecasts beside the rows of the table that they are of."""

import numpy as np
import pandas as pd

from tfts.data.times import as_times
from tfts.errors import DataError


def last_origins(panel, spec, given=None):
    """The last observed row of every series, which the real future follows.

    Args:
        panel: A `Panel`.
        spec: A `WindowSpec`.
        given: Columns known ahead that the user gives, for the message; `None` takes all of them.

    Returns:
        Int64 `(series,)`: rows.

    Raises:
        ValueError: If one of them can't be forecast from; the message says what is missing.

    Example:

    >>> from tfts.data.panel import Panel
    >>> from tfts.data.windows import WindowSpec
    >>> frame = pd.DataFrame({"y": [1.0, 2.0, 4.0]}, index=pd.date_range("2024-01-01", periods=3))
    >>> last_origins(Panel.from_frame(frame), WindowSpec(2, 1)).tolist()
    [2]
    """
    rows = spec.forecast_origins(panel)
    ends = panel.spans.observed_end - 1
    absent = np.flatnonzero(~np.isin(ends, rows))
    if not len(absent):
        return ends
    start, _, observed_end, end = panel.spans[absent[0]]
    of = f"Series {panel.series[absent[0]]!r}" if panel.series_name is not None else "The table"
    length = spec.context_length
    if observed_end - start < length:
        why = f"has {observed_end - start} rows, but the model sees context_length={length}"
    elif panel.known_future and end - observed_end < spec.horizon:
        why = (
            f"has {end - observed_end} rows after its last observed one ({panel.times[observed_end - 1]}), but "
            f"the model needs the columns {list(given or panel.known_future)} for horizon={spec.horizon} rows: "
            "append rows with these columns, the others left empty"
        )
    elif panel.masked:
        why = f"has no value of a target in its last {length} rows"
    else:
        why = f"has a missing or interpolated value among its last {length} rows"
    raise DataError(f"{of} can't be forecast from its last row: it {why}.")


def actual_values(panel, rows, spec):
    """What happened after the given origins, NaN where it was not observed.

    Args:
        panel: A `Panel`.
        rows: Int `(windows,)`: origins.
        spec: A `WindowSpec`.

    Returns:
        Array `(windows, horizon, targets)`. Rows past the table's end are NaN.

    Example:

    >>> from tfts.data.panel import Panel
    >>> from tfts.data.windows import WindowSpec
    >>> frame = pd.DataFrame({"y": [1.0, 2.0, 4.0]}, index=pd.date_range("2024-01-01", periods=3))
    >>> actual_values(Panel.from_frame(frame), np.array([1]), WindowSpec(2, 2))[0, :, 0].tolist()
    [4.0, nan]
    """
    columns = panel.indices(spec.target_columns(panel))
    at = rows[:, None] + np.arange(1, spec.horizon + 1)
    ends = panel.spans.observed_end[panel.series_of(rows)]
    inside = at < ends[:, None]
    at = np.minimum(at, len(panel.values) - 1)
    values = panel.values[at][..., columns]
    seen = inside[..., None] & ~panel.filled[at][..., columns]
    return np.where(seen, values, np.nan)


def forecast_table(panel, rows, forecasts, quantiles=None, levels=()):
    """Forecasts as a table.

    Args:
        panel: A `Panel`.
        rows: Int `(windows,)`: the origins.
        forecasts: `(windows, horizon, targets)` in the units of the panel.
        quantiles: `(windows, horizon, targets, levels)` likewise, or `None`.
        levels: Their levels.

    Returns:
        DataFrame with the columns series, origin, time, and for each target one of its name and
        one for each level; one row for each window and horizon step.

    Raises:
        ValueError: If the column of a quantile is a column of the panel already.

    Example:

    >>> from tfts.data.panel import Panel
    >>> frame = pd.DataFrame({"y": [1.0, 2.0, 4.0]}, index=pd.date_range("2024-01-01", periods=3))
    >>> forecast_table(Panel.from_frame(frame), np.array([2]), np.array([[[8.0]]]))
      series     origin       time    y
    0        2024-01-03 2024-01-04  8.0
    """
    table = _keys(panel, rows, forecasts.shape[1])
    for i, target in enumerate(panel.targets):
        table[target] = forecasts[:, :, i].ravel()
        for k, level in enumerate(levels):
            name = quantile_column(target, level)
            if name in panel.targets:
                raise DataError(
                    f"The quantile {level:g} of {target!r} is called {name!r}, which is a target already. Rename it."
                )
            table[name] = quantiles[:, :, i, k].ravel()
    return table


def quantile_column(target, level):
    """Name of the column of a quantile.

    Example:

    >>> quantile_column("sales", 0.1)
    'sales_q0.1'
    """
    return f"{target}_q{level:g}"


def forecast_paths(panel, rows, paths):
    """Paths as a table.

    Args:
        panel: A `Panel`.
        rows: Int `(windows,)`: the origins.
        paths: `(count, windows, horizon, targets)` in the units of the panel.

    Returns:
        DataFrame with the columns series, origin, time, sample (from 1) and one for each target; the
        paths one after another.

    Example:

    >>> from tfts.data.panel import Panel
    >>> frame = pd.DataFrame({"y": [1.0, 2.0, 4.0]}, index=pd.date_range("2024-01-01", periods=3))
    >>> paths = np.array([[[[8.0]]], [[[9.0]]]])
    >>> forecast_paths(Panel.from_frame(frame), np.array([2]), paths)[["time", "sample", "y"]]
            time  sample    y
    0 2024-01-04       1  8.0
    1 2024-01-04       2  9.0
    """
    count, _, horizon, _ = paths.shape
    table = pd.concat([_keys(panel, rows, horizon)] * count, ignore_index=True)
    table["sample"] = np.repeat(np.arange(1, count + 1), len(table) // count)
    for i, target in enumerate(panel.targets):
        table[target] = paths[..., i].ravel()
    return table


def _keys(panel, rows, horizon):
    """A row for each window and step: series, origin and time."""
    series = np.asarray(panel.series, dtype=object)[panel.series_of(rows)]
    return pd.DataFrame(
        {
            "series": np.repeat(series, horizon),
            "origin": panel.times[np.repeat(rows, horizon)],
            "time": future_times(panel, rows, horizon),
        }
    )


def future_times(panel, rows, horizon):
    """Times of the forecast rows, `horizon` for each origin, also past the end of the table.

    Example:

    >>> from tfts.data.panel import Panel
    >>> frame = pd.DataFrame({"y": [1.0, 2.0, 4.0]}, index=pd.date_range("2024-01-01", periods=3))
    >>> future_times(Panel.from_frame(frame), np.array([1]), 2).astype(str).tolist()
    ['2024-01-03', '2024-01-04']
    """
    at = rows[:, None] + np.arange(1, horizon + 1)
    inside = at < panel.spans.end[panel.series_of(rows)][:, None]
    stamps = panel.times.asi8[np.where(inside, at, 0)]
    past_end = np.flatnonzero(~inside.all(axis=1))
    if len(past_end):
        stamps[past_end] = panel.stamps_after(rows[past_end], horizon)
    return as_times(stamps.ravel(), panel.times)
