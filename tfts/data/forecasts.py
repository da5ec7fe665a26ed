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
    ends, whole = last_rows(panel, spec, given)
    if whole.all():
        return ends
    place = int(np.flatnonzero(~whole)[0])
    of = f"Series {panel.series[place]!r}" if panel.series_name is not None else "The table"
    raise DataError(f"{of} can't be forecast from its last row: it {why_not(panel, spec, place, given)}.")


def last_rows(panel, spec, given=None):
    """The last observed row of every series, and whether it can be forecast from.

    Args:
        panel: A `Panel`.
        spec: A `WindowSpec`.
        given: As of `last_origins`.

    Returns:
        Int64 and bool `(series,)`.

    Raises:
        ValueError: If none can.

    Example:

    >>> from tfts.data.panel import Panel
    >>> from tfts.data.windows import WindowSpec
    >>> frame = pd.DataFrame({"y": [1.0, 2.0, 4.0]}, index=pd.date_range("2024-01-01", periods=3))
    >>> [found.tolist() for found in last_rows(Panel.from_frame(frame), WindowSpec(2, 1))]
    [[2], [True]]
    """
    ends = panel.spans.observed_end - 1
    whole = np.isin(ends, spec.forecast_origins(panel)) & (ends >= panel.spans.start)
    if not whole.any():
        place = int(np.argmax(ends - panel.spans.start))
        of = "The table can't be forecast from its last row: it"
        if panel.series_name is not None:
            of = f"No series can be forecast from its last row: the longest, {panel.series[place]!r},"
        raise DataError(f"{of} {why_not(panel, spec, place, given)}.")
    return ends, whole


def why_not(panel, spec, place, given=None):
    """What the series at a place lacks to be forecast from its last row, a str.

    Example:

    >>> from tfts.data.panel import Panel
    >>> from tfts.data.windows import WindowSpec
    >>> frame = pd.DataFrame({"y": [1.0, 2.0, 4.0]}, index=pd.date_range("2024-01-01", periods=3))
    >>> why_not(Panel.from_frame(frame), WindowSpec(5, 1), 0)
    'has 3 rows, but the model sees context_length=5'
    """
    start, _, observed_end, end = panel.spans[place]
    length = spec.context_length
    if observed_end - start < length:
        return f"has {observed_end - start} rows, but the model sees context_length={length}"
    elif panel.known_future and end - observed_end < spec.horizon:
        return (
            f"has {end - observed_end} rows after its last observed one ({panel.times[observed_end - 1]}), but "
            f"the model needs the columns {list(given or panel.known_future)} for horizon={spec.horizon} rows: "
            "append rows with these columns, the others left empty"
        )
    if panel.masked:
        return f"has no value of a target in its last {length} rows"
    return f"has a missing or interpolated value among its last {length} rows"


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


def forecast_table(panel, rows, forecasts, quantiles=None, levels=(), places=None):
    """Forecasts as a table.

    Args:
        panel: A `Panel`.
        rows: Int `(windows,)`: the origins.
        forecasts: `(windows, horizon, targets)` in the units of the panel.
        quantiles: `(windows, horizon, targets, levels)` likewise, or `None`.
        levels: Their levels.
        places: Int `(windows,)`: their series, where one may have no row up to its origin, which is
            then no time, and the first row that is known of it is forecast. `None` finds them.

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
    table = _keys(panel, rows, forecasts.shape[1], places)
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

    Raises:
        ValueError: If a target has the name of the column of samples.

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
    if "sample" in panel.targets:
        raise DataError(
            "The paths of one window are told apart by a column 'sample', which is the name of a target too. Rename it."
        )
    table = pd.concat([_keys(panel, rows, horizon)] * count, ignore_index=True)
    table["sample"] = np.repeat(np.arange(1, count + 1), len(table) // count)
    for i, target in enumerate(panel.targets):
        table[target] = paths[..., i].ravel()
    return table


def _keys(panel, rows, horizon, places=None):
    """A row for each window and step: series, origin and time."""
    places = panel.series_of(rows) if places is None else places
    starts = panel.spans.start[places]
    seen = rows >= starts
    table = pd.DataFrame(
        {
            "series": np.repeat(np.asarray(panel.series, dtype=object)[places], horizon),
            "origin": panel.shown(panel.times[np.repeat(np.maximum(rows, starts), horizon)]),
            "time": panel.shown(future_times(panel, np.maximum(rows, starts), horizon)),
        }
    )
    if not seen.all():
        none = np.repeat(~seen, horizon)
        # Its first row is the first that is forecast.
        first = future_times(panel, starts[~seen], horizon - 1) if horizon > 1 else panel.times[:0]
        stamps = np.concatenate(
            [panel.times[starts[~seen]].asi8[:, None], first.asi8.reshape(-1, horizon - 1)], axis=1
        )
        table.loc[none, "time"] = panel.shown(as_times(stamps.ravel(), panel.times))
        table["origin"] = table["origin"].mask(none)
    return table


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
