"""Forecasts from many origins, each made only from what was known there."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tfts._units import is_rows
from tfts.comparison import compare_windows
from tfts.data.row_numbers import times_of_rows
from tfts.errors import DataError, SettingError

if TYPE_CHECKING:
    from tfts.forecaster import Forecaster


_KEYS = ["target", "series", "origin", "time", "step"]


def backtest(
    forecaster: Forecaster,
    frame: pd.DataFrame,
    *,
    origins: int | Sequence[Any] | pd.DatetimeIndex = 10,
    stride: int | None = None,
    refit: bool | int = False,
    **fit_options: Any,
) -> pd.DataFrame:
    """Fits on the rows up to an origin, forecasts, moves on, and sets it beside the truth.

    Args:
        forecaster: A `Forecaster`. It gives the settings and is not changed.
        frame: DataFrame in original units.
        origins: How many origins, the last of which still has its whole horizon inside
            the table: of each series its own last ones, so that series may have other days
            or end earlier than others. Or the times of the origins (the last rows seen).
        stride: Fewest rows of a series from one of its origins to the next; `None` is the
            horizon, so that the forecasts do not overlap. Only with a number of origins.
        refit: `False` fits once, on the rows up to the first origin, and once more for each
            other time at which series have their first one; `True` anew at the time of every
            origin, from new weights; an int at every so many times. No forecast comes from a
            fit that has seen a row, of any series, after its origin.
        **fit_options: Options of `Forecaster.fit`.

    Returns:
        Tidy DataFrame with the columns `series`, `origin`, `time`, `step` (1 is the first
        row after the origin), `target`, `actual` (NaN where not observed), `forecast`, and of a
        forecaster with quantiles one for each level, such as `q0.1`, in original units. Series with fewer
        origins than asked for, or none, are named in a warning.

    Raises:
        ValueError: If an origin is not in the table, or too few rows stand before it.

    Example:

    >>> import numpy as np, pandas as pd
    >>> from tfts import Forecaster
    >>> days = pd.date_range("2024-01-01", periods=60, freq="D")
    >>> frame = pd.DataFrame({"sales": np.arange(60.0) % 7}, index=days)
    >>> naive = Forecaster("seasonal_naive", context_length=7, horizon=2)
    >>> table = backtest(naive, frame, origins=2)
    >>> table[["origin", "step", "actual", "forecast"]].round({"forecast": 3})
          origin  step  actual  forecast
    0 2024-02-25     1     0.0       0.0
    1 2024-02-25     2     1.0       1.0
    2 2024-02-27     1     2.0       2.0
    3 2024-02-27     2     3.0       3.0
    """
    if not isinstance(refit, int | np.integer) or refit < 0:
        raise SettingError(
            f"`refit` must be False, True or an int >= 1 (origins). Received: refit={refit!r}."
        )
    panel = forecaster.panel(frame)
    rows = _origin_rows(panel, forecaster.spec, origins, stride)
    fits, tables = _fit_times(panel, rows, int(refit)), []
    for time in fits.unique().sort_values():
        fitted = forecaster.clone().fit(_up_to(panel, time), **fit_options)
        # All origins of one fit together: a forecast of one window costs as much as one of hundreds.
        tables.append(_table(fitted, panel, rows[fits == time]))
    return pd.concat(tables).sort_values("origin", kind="stable", ignore_index=True)


def compare_backtests(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Whether one backtest is really better than another, or only at these origins by luck.

    For each target the one of the lowest mean squared error is compared with each other, by
    a paired test and a bootstrap interval over blocks of origins whose horizons overlap.

    Args:
        tables: Dict from name to a DataFrame as from `backtest`, all of the same rows.

    Returns:
        DataFrame with the columns `target`, `metric`, and those of
        `tfts.comparison.compare_windows`. `tfts.comparison.verdict` says the rows of one
        target in a sentence.

    Raises:
        ValueError: If there is no table, or one is of other rows.

    Example:

    >>> import numpy as np, pandas as pd
    >>> from tfts import Forecaster, backtest
    >>> from tfts.comparison import verdict
    >>> days = pd.date_range("2024-01-01", periods=90, freq="D")
    >>> noise = np.random.default_rng(0).normal(size=90)
    >>> frame = pd.DataFrame({"sales": 5 * (np.arange(90) % 7) + noise}, index=days)
    >>> tables = {name: backtest(Forecaster(name, context_length=7, horizon=2), frame, origins=20)
    ...           for name in ("persistence", "seasonal_naive")}
    >>> print(verdict(compare_backtests(tables)))
    seasonal_naive is better than persistence: the difference holds (5 %, 20 blocks of windows).
    """
    if not tables:
        raise SettingError("`tables` must hold at least one backtest. Received: {}.")
    ordered = {name: table.sort_values(_KEYS, ignore_index=True) for name, table in tables.items()}
    first = next(iter(ordered))
    rows = ordered[first]
    for name, table in ordered.items():
        if not table[[*_KEYS, "actual"]].equals(rows[[*_KEYS, "actual"]]):
            raise DataError(
                f"Only backtests of the same rows can be compared, but {name!r} has other origins, targets or "
                f"values than {first!r}: {len(table)} and {len(rows)} rows."
            )
    squares = pd.DataFrame(
        {name: (table["forecast"] - table["actual"]) ** 2 for name, table in ordered.items()}
    )
    length = _overlapping(rows)
    found = []
    for target, at in rows.groupby("target", sort=False).groups.items():
        of_window = [rows.loc[at, "series"], rows.loc[at, "origin"]]
        sums = squares.loc[at].groupby(of_window, sort=False, dropna=False).agg(["sum", "count"])
        places = sums.index.get_level_values("origin"), sums.index.codes[0]
        totals = {name: sums[name, "sum"].to_numpy() for name in tables}
        table = compare_windows(totals, sums[first, "count"].to_numpy(), *places, length)
        found.append(table.assign(target=target, metric="mse"))
    # A target without an observed row has none, whose columns would be of no type.
    table = pd.concat([t for t in found if len(t)] or found, ignore_index=True)
    return table[["target", "metric", *table.columns.drop(["target", "metric"])]]


def _overlapping(rows):
    """Most origins one after the other whose horizons share rows."""
    ends = rows.groupby("origin")["time"].max()
    return int((ends.index.searchsorted(ends) - np.arange(len(ends))).max())


def _origin_rows(panel, spec, origins, stride):
    """The rows of the panel, of one series or several, to forecast from."""
    if isinstance(origins, int | np.integer):
        stride = spec.horizon if stride is None else stride
        if origins < 1 or stride < 1:
            raise SettingError(
                f"`origins` and `stride` must be >= 1. Received: origins={origins}, stride={stride}."
            )
        candidates = spec.origins(panel)
        of = panel.series_of(candidates)
        rows = [_last(candidates[of == i], origins, stride) for i in range(len(panel.series))]
        most = max(map(len, rows))
        if most < origins:
            raise DataError(
                f"The table has room for {most} origins, {stride} rows apart. Received: origins={origins}."
            )
        _warn_of_missing(panel, [len(found) for found in rows], origins)
        return np.concatenate(rows)
    if stride is not None:
        raise SettingError("`stride` goes with a number of origins. Received: both times and a stride.")
    times = _given_times(panel, origins)
    rows = spec.forecast_origins(panel)
    rows = rows[panel.times[rows].isin(times)]
    absent = times[~times.isin(panel.times[rows])]
    if len(absent):
        raise DataError(
            f"No series can be forecast from {absent[0]}: expected {spec.context_length} rows before it, without "
            "a gap."
        )
    _warn_of_missing(panel, np.bincount(panel.series_of(rows), minlength=len(panel.series)), len(times))
    return rows


def _fit_times(panel, rows, refit):
    """The last time that the fit sees which each of some origins is forecast by."""
    stamps = panel.times[rows]
    if refit:
        times = stamps.unique().sort_values()
        return times[times.searchsorted(stamps) // refit * refit]
    _, first, of = np.unique(panel.series_of(rows), return_index=True, return_inverse=True)
    return stamps[first][of]


def _last(rows, count, stride):
    """The last so many of ascending rows, of which each is at least `stride` before the next."""
    kept = []
    for row in rows[::-1]:
        if len(kept) == count:
            break
        if not kept or kept[-1] - row >= stride:
            kept.append(row)
    return np.array(kept[::-1], dtype=np.int64)


def _warn_of_missing(panel, counts, wanted):
    """Names the series with fewer origins than wanted."""
    fewer = {name: int(count) for name, count in zip(panel.series, counts, strict=True) if count < wanted}
    if not fewer:
        return
    absent = sum(not count for count in fewer.values())
    shown = ", ".join(f"{name!r} {count}" for name, count in list(fewer.items())[:10])
    more = f" and {len(fewer) - 10} more" if len(fewer) > 10 else ""
    warnings.warn(
        f"Of {len(panel.series)} series, {absent} are not scored, because none of their rows can be an origin, and "
        f"{len(fewer) - absent} at fewer than {wanted} origins: {shown}{more}.",
        stacklevel=4,
    )


def _given_times(panel, origins):
    if is_rows(panel.freq):
        wanted = times_of_rows(pd.Index(origins), "origins", panel.freq)
    else:
        wanted = pd.DatetimeIndex(origins)
    if panel.times.tz is not None and wanted.tz is None:
        wanted = wanted.tz_localize(panel.times.tz)
    absent = wanted[~wanted.isin(panel.times)]
    if len(absent):
        raise DataError(
            f"The origin {panel.shown(absent)[0]} is no time of the table, which goes from "
            f"{panel.shown(panel.times).min()} to {panel.shown(panel.times).max()} at freq={panel.freq!r}."
        )
    return wanted.unique().sort_values()


def _up_to(panel, time):
    """The rows up to and including `time`, of the series that have such rows."""
    spans = panel.spans
    before = np.array([panel.times[s.start : s.observed_end].searchsorted(time, side="right") for s in spans])
    kept = np.flatnonzero(before > 0)
    spans = spans.replace(observed_end=spans.start + before, end=spans.start + before)
    return panel.of_series(kept, spans[kept])


def _table(fitted, panel, rows):
    """A line for each origin, target and step, those of one time together."""
    forecast, actual = fitted.forecast_windows(panel, rows), fitted.actual(panel, rows)
    count, horizon, width = forecast.shape
    window, target = np.divmod(np.arange(count * width), width)
    order = np.lexsort((window, target, panel.times[rows][window]))
    window, target = window[order], target[order]
    wide = fitted.table(panel, rows, forecast)
    lines = (window[:, None] * horizon + np.arange(horizon)).ravel()
    table = wide[["series", "origin", "time"]].iloc[lines].reset_index(drop=True)
    table["step"] = np.tile(np.arange(1, horizon + 1), len(order))
    table["target"] = np.repeat(np.array(panel.targets, dtype=object)[target], horizon)
    table["actual"] = actual[window, :, target].ravel()
    table["forecast"] = forecast[window, :, target].ravel()
    if fitted.quantiles:
        quantiles = fitted.quantile_windows(panel, rows)
        for k, level in enumerate(fitted.quantiles):
            table[f"q{level:g}"] = quantiles[window, :, target, k].ravel()
    return table
