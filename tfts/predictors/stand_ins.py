"""Forecasts for series that a model can't forecast, in place of no table at all."""

import warnings

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts.baselines import build_baseline
from tfts.data.forecasts import forecast_table
from tfts.data.holes import neighbour_rows
from tfts.errors import SettingError

# What stands in for the model: a baseline that learns nothing, or the mean forecast of like series.
FALLBACKS = ("seasonal_naive", "persistence", "group_mean")
ON_PROBLEM = ("fallback", "raise")


def check_fallback(on_problem, fallback):
    """Raises a ValueError for an unknown choice.

    Example:

    >>> check_fallback("fallback", "last")
    Traceback (most recent call last):
        ...
    tfts.errors.SettingError: Unknown fallback: 'last'. Expected one of: group_mean, persistence, seasonal_naive.
    """
    for name, value, choices in (("on_problem", on_problem, ON_PROBLEM), ("fallback", fallback, FALLBACKS)):
        if value not in choices:
            raise SettingError(unknown(f"{name}:", value, choices))


def stand_ins(panel, spec, places, fallback, forecast):
    """Forecasts of some series by a method that each of them has enough rows for.

    Where a series has no season, the last value that it has is repeated; where it has no value, it
    is given the mean forecast of the series with the same labels, or of all.

    Args:
        panel: `Panel` in original units.
        spec: `WindowSpec`.
        places: Int `(series,)`: which series of the panel, ascending.
        fallback: One of `FALLBACKS`.
        forecast: Float `(others, horizon, targets)`: what the model forecasts of all other series.

    Returns:
        Tuple of float64 `(series, horizon, targets)` and a list of the names of the methods.

    Example:

    >>> import pandas as pd
    >>> from tfts.data.panel import Panel
    >>> from tfts.data.windows import WindowSpec
    >>> days = pd.date_range("2024-01-01", periods=3)
    >>> frame = pd.DataFrame({"shop": list("abb"), "day": days, "y": [7.0, 1.0, 2.0]})
    >>> panel = Panel.from_frame(frame, time="day", series="shop", allow_constant=True)
    >>> made, names = stand_ins(panel, WindowSpec(2, 1), np.array([0]), "seasonal_naive", np.ones((1, 1, 1)))
    >>> made.tolist(), names
    ([[[7.0]]], ['seasonal_naive'])
    """
    targets = spec.target_columns(panel)
    made = np.full((len(places), spec.horizon, len(targets)), np.nan)
    last = _last_values(panel, panel.indices(targets), places)
    seen = np.flatnonzero(~np.isnan(last).all(axis=1))
    names = np.full(len(places), "group_mean", dtype=object)
    if fallback != "group_mean" and len(seen):
        names[seen] = fallback
        plain = panel.without_labels()
        rows = plain.spans.observed_end[places[seen]] - 1
        made[seen] = build_baseline(fallback).fit(plain, spec).predict(plain, spec, rows)
        made = np.where(np.isnan(made), last[:, None], made)
    like = _group_means(panel, places, forecast)
    return np.where(np.isnan(made), like, made), names.tolist()


def with_stand_ins(table, panel, spec, places, fallback, forecasts, name):
    """A table of forecasts with those of the series at some places, which the model could not make.

    Args:
        table: DataFrame, as from `forecast_table`, with a column `model` at the fourth place.
        panel: `Panel` in original units.
        spec: `WindowSpec`.
        places: Int `(series,)`, as of `stand_ins`.
        fallback: One of `FALLBACKS`.
        forecasts: Float `(others, horizon, targets)`, as of `stand_ins`.
        name: Str, what the model is called, for the warning.

    Returns:
        DataFrame in the order of the series of the panel.

    Example:

    >>> from tfts.data.panel import Panel
    >>> from tfts.data.windows import WindowSpec
    >>> days = pd.date_range("2024-01-01", periods=2)
    >>> frame = pd.DataFrame({"shop": list("abb"), "day": days[[0, 0, 1]], "y": [7.0, 1.0, 2.0]})
    >>> panel = Panel.from_frame(frame, time="day", series="shop", allow_constant=True)
    >>> table, spec = forecast_table(panel, np.array([2]), np.ones((1, 1, 1))), WindowSpec(2, 1)
    >>> table.insert(3, "model", "linear")
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     made = with_stand_ins(table, panel, spec, np.array([0]), "persistence", np.ones((1, 1, 1)), "linear")
    >>> made[["series", "model", "y"]].values.tolist()
    [['a', 'persistence', 7.0], ['b', 'linear', 1.0]]
    """
    made, names = stand_ins(panel, spec, places, fallback, forecasts)
    counts = ", ".join(f"{method} {names.count(method)}" for method in dict.fromkeys(names))
    warnings.warn(
        f"{len(places)} of {len(panel.series)} series could not be forecast by {name} (first: "
        f"{panel.series[places[0]]!r}), so other methods stand in: {counts}. The column `model` tells which; "
        "on_problem='raise' says why.",
        stacklevel=3,
    )
    more = forecast_table(panel, panel.spans.observed_end[places] - 1, made, places=places)
    more.insert(3, "model", np.repeat(names, spec.horizon))
    whole = pd.concat([table, more], ignore_index=True)
    place = {series: i for i, series in enumerate(panel.series)}
    order = np.argsort(whole["series"].map(place).to_numpy(), kind="stable")
    return whole.iloc[order].reset_index(drop=True)


def learnable(train, validation, spec):
    """Training and validation rows without the series of which training holds no two values, with a warning.

    Args:
        train: `Panel`.
        validation: `Panel` of the same series, or `None`.
        spec: `WindowSpec`.

    Returns:
        Tuple of both.

    Example:

    >>> from tfts.data.panel import Panel
    >>> from tfts.data.windows import WindowSpec
    >>> days = pd.date_range("2024-01-01", periods=2)
    >>> frame = pd.DataFrame({"shop": list("abb"), "day": days[[0, 0, 1]], "y": [7.0, 1.0, 2.0]})
    >>> panel = Panel.from_frame(frame, time="day", series="shop", allow_constant=True)
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     kept = learnable(panel, None, WindowSpec(1, 1))[0].series
    >>> kept
    ('b',)
    """
    seen = ~train.filled[:, train.indices(spec.target_columns(train))].all(axis=1)
    counts, spans = np.append(0, np.cumsum(seen)), train.spans
    kept = counts[np.maximum(spans.observed_end, spans.target_start)] - counts[spans.target_start] > 1
    if kept.all() or not kept.any():
        return train, validation
    names = [name for name, keep in zip(train.series, kept, strict=True) if not keep]
    warnings.warn(
        f"{len(names)} of {len(kept)} series have fewer than two values in the training rows (first: "
        f"{names[0]!r}), so nothing is learnt from them. on_problem='raise' makes this an error.",
        stacklevel=5,
    )
    return train.of_series(kept), validation and validation.of_series(kept)


def _last_values(panel, columns, places):
    """The newest value of each series and column, `(series, columns)`, NaN where there is none."""
    stop = panel.spans.observed_end[places]
    at = neighbour_rows(panel.values[:, columns], panel.spans)[0][stop - 1]
    seen = (at >= 0) & (stop > panel.spans.start[places])[:, None]
    return np.where(seen, panel.values[np.maximum(at, 0), columns], np.nan)


def _group_means(panel, places, forecast):
    """The mean forecast of the other series with the same labels, else of all, for each of some series."""
    others = np.setdiff1d(np.arange(len(panel.series)), places)
    labels = [i for i, name in enumerate(panel.static) if name in panel.labels and name != panel.series_name]
    groups = np.zeros((len(panel.series), 0)) if not labels else panel.attributes[:, labels]
    _, of = np.unique(groups, axis=0, return_inverse=True)
    of, whole = of.ravel(), forecast.mean(axis=0)
    means = {group: forecast[of[others] == group].mean(axis=0) for group in np.unique(of[others])}
    return np.stack([means.get(group, whole) for group in of[places]])
