"""Pictures of anomalies: what was flagged and why, what a threshold does, events and causes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts.errors import SettingError
from tfts.plots._parts import (
    COLOURS,
    GREY,
    INK,
    WIDE,
    as_written,
    axes_for,
    check_column,
    legend_beside,
    time_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


RED = COLOURS[1]
# From pale and thin to dark and thick, so that they are told apart without colour too.
SEVERITIES = {"low": ("#E69F00", 5), "medium": ("#D55E00", 8), "high": ("#7A1F00", 11)}


def plot_anomalies(
    table: pd.DataFrame,
    target: str | None = None,
    series: Hashable | None = None,
    *,
    units: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws what happened, what was expected, and the flagged rows in red.

    Args:
        table: DataFrame from a detector, a row for each time, series and target, with the
            columns `time`, `series`, `target`, `actual`, `predicted` and `flag`.
        target: Target to draw. `None` if there is one only.
        series: Series to draw. `None` if there is one only.
        units: Str, the target's units.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes.

    Raises:
        ValueError: If a column is missing, nothing is left to draw, or the table has
            several targets or series and none is named.

    Example:

    >>> times = pd.date_range("2024-03-01", periods=4, freq="D")
    >>> table = pd.DataFrame({"time": times, "series": "a", "target": "Sales", "predicted": 7.0})
    >>> table["actual"], table["flag"] = [6.0, 8.0, 1.0, 7.0], [False, False, True, False]
    >>> plot_anomalies(table, units="units").get_title(loc="left")
    'Sales of a: 1 of 4 rows flagged'
    """
    table, who = _one(table, ["actual", "predicted", "flag"], target, series)
    ax = axes_for(ax, WIDE)
    flags = table["flag"].to_numpy(dtype=bool)
    ax.plot(
        table["time"], table["predicted"], color=COLOURS[0], linestyle="--", linewidth=1.2, label="predicted"
    )
    ax.plot(table["time"], table["actual"], color=INK, linewidth=1.3, label="actual")
    _mark(ax, table["time"], table["actual"], flags)
    name = as_written(table["target"].iloc[0])
    ax.set_ylabel(f"{name} ({as_written(units)})" if units else name)
    _times(ax, table["time"])
    ax.set_title(f"{who}: {flags.sum()} of {len(flags)} rows flagged", loc="left")
    legend_beside(ax)
    return ax


def plot_residuals(
    table: pd.DataFrame,
    target: str | None = None,
    series: Hashable | None = None,
    *,
    units: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws the size of the residuals over time with the threshold, and anomalies in red.

    A size is the detector's score with the sign of the residual, in the score's units: for
    a plain residual the target's own, for a scaled one standard deviations.

    Args:
        table: DataFrame from a detector, as in `plot_anomalies`, with the columns `time`,
            `series`, `target`, `residual`, `score`, `threshold` and `flag`.
        target: Target to draw. `None` if there is one only.
        series: Series to draw. `None` if there is one only.
        units: Str, the units of the score.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes.

    Raises:
        ValueError: As `plot_anomalies`.

    Example:

    >>> times = pd.date_range("2024-03-01", periods=4, freq="D")
    >>> table = pd.DataFrame({"time": times, "series": "a", "target": "Sales", "threshold": 3.0})
    >>> table["residual"] = [0.5, -1.0, 9.0, 0.1]
    >>> table["score"], table["flag"] = table["residual"].abs(), [False, False, True, False]
    >>> plot_residuals(table).get_title(loc="left")
    'Residuals of Sales of a, threshold 3'
    """
    table, who = _one(table, ["residual", "score", "threshold", "flag"], target, series)
    ax = axes_for(ax, WIDE)
    sizes = table["score"].abs() * np.sign(table["residual"])
    limits = table["threshold"]
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.plot(table["time"], sizes, color=INK, linewidth=1, label="residual")
    ax.plot(table["time"], limits, color=COLOURS[0], linestyle="--", linewidth=1.2, label="threshold")
    ax.plot(table["time"], -limits, color=COLOURS[0], linestyle="--", linewidth=1.2)
    _mark(ax, table["time"], sizes, table["flag"].to_numpy(dtype=bool))
    ax.set_ylabel(f"residual score ({as_written(units)})" if units else "residual score")
    _times(ax, table["time"])
    low, high = limits.min(), limits.max()
    shown = f"{high:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
    ax.set_title(f"Residuals of {who}, threshold {shown}", loc="left")
    legend_beside(ax)
    return ax


def plot_threshold_alarms(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draws how many rows and alarms there would be, were the thresholds higher or lower.

    An alarm is a run of flagged rows of one series, in any target.

    Args:
        table: DataFrame from a detector, as in `plot_anomalies`, with the columns `time`,
            `series`, `score` and `threshold`.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes; thresholds are in multiples of the present ones.

    Raises:
        ValueError: If a column is missing or no row has a score and a threshold above 0.

    Example:

    >>> times = pd.date_range("2024-03-01", periods=4, freq="D")
    >>> table = pd.DataFrame({"time": times, "series": "a", "score": [1.0, 5.0, 4.0, 2.0]})
    >>> table["threshold"] = 3.0
    >>> plot_threshold_alarms(table).get_title(loc="left")
    'Alarms by threshold: 1 now, in 2 rows'
    """
    for name in ("time", "series", "score", "threshold"):
        check_column(table, name, "to draw")
    known = table[(table["threshold"] > 0) & table["score"].notna()]
    if known.empty:
        raise SettingError("`table` must have at least one row with a score and a threshold above 0.")
    strength = known["score"] / known["threshold"]
    strongest = strength.groupby([known["series"], known["time"]]).max()
    values = strongest.to_numpy()
    series = strongest.index.get_level_values(0).to_numpy()
    follows = np.append(False, series[1:] == series[:-1])
    factors = np.geomspace(0.25, 8, 241)
    rows = np.array([(values > factor).sum() for factor in factors])
    # A run starts where a row is above and the row before, of the same series, is not.
    before = np.where(follows, np.append(np.inf, values[:-1]), -np.inf)
    alarms = np.array([((values > factor) & ~(before > factor)).sum() for factor in factors])
    ax = axes_for(ax, WIDE)
    ax.step(
        factors, rows, where="post", color=COLOURS[0], linestyle="--", linewidth=1.3, label="flagged rows"
    )
    ax.step(factors, alarms, where="post", color=INK, linewidth=1.6, label="alarms")
    now = int(np.argmin(abs(factors - 1)))
    ax.axvline(1, color=GREY, linewidth=0.8, linestyle=":")
    ax.plot([1], [alarms[now]], "o", color=RED, markersize=7, label="now")
    ax.set_xscale("log", base=2)
    ax.set_yscale("symlog", linthresh=1)
    ax.set_ylim(0, max(rows.max() * 1.3, 2))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    ax.set(xlabel="threshold, times the present one", ylabel=f"number in {len(values):,} rows")
    ax.set_title(f"Alarms by threshold: {alarms[now]} now, in {rows[now]} rows", loc="left")
    legend_beside(ax)
    return ax


def plot_events(events: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draws when events began and ended, a line for each series, by severity.

    Args:
        events: DataFrame from a detector, a row for each event, with the columns `series`,
            `start`, `end`, `severity` (low, medium or high) and `targets` (names, the one
            that contributes most first).
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes. Each event bears the name of its first target, as long as there are few.

    Raises:
        ValueError: If a column is missing, there is no event or a severity is unknown.

    Example:

    >>> day = pd.Timestamp("2024-03-05")
    >>> events = pd.DataFrame({"series": ["a"], "start": [day], "end": [day], "severity": ["high"]})
    >>> events["targets"] = [("Sales",)]
    >>> plot_events(events).get_title(loc="left")
    '1 event in 1 series'
    """
    for name in ("series", "start", "end", "severity", "targets"):
        check_column(events, name, "to draw")
    if events.empty:
        raise SettingError("`events` has no rows: there is no event to draw.")
    for severity in events["severity"]:
        if severity not in SEVERITIES:
            raise SettingError(unknown("severity", severity, SEVERITIES))
    names = sorted(events["series"].astype(str).unique())
    place = {name: number for number, name in enumerate(names)}
    ax = axes_for(ax, (WIDE[0], max(2.0, 1.2 + 0.45 * len(names))))
    for severity, (colour, width) in SEVERITIES.items():
        some = events[events["severity"] == severity]
        if some.empty:
            continue
        heights = some["series"].astype(str).map(place)
        ax.hlines(heights, some["start"], some["end"], color=colour, linewidth=width)
        # A line of one row has no length.
        ax.plot(some["start"], heights, "o", color=colour, markersize=width, label=severity)
    if len(events) <= 30:
        for event in events.itertuples():
            ax.annotate(
                as_written(event.targets[0]),
                (event.start, place[str(event.series)]),
                xytext=(0, 8),
                textcoords="offset points",
                fontsize=8,
                color=INK,
            )
    ax.set_yticks(range(len(names)), [as_written(name) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.8)
    _times(ax, pd.concat([events["start"], events["end"]]))
    kinds = "event" if len(events) == 1 else "events"
    ax.set_title(f"{len(events)} {kinds} in {len(names)} series", loc="left")
    legend_beside(ax)
    return ax


def plot_contributions(contributions: Mapping[str, float] | pd.Series, *, ax: Axes | None = None) -> Axes:
    """Draws the share that each target has in an event, the largest on top.

    Args:
        contributions: Dict or Series from target to its share, e.g.
            `dict(zip(event.targets, event.shares))`.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes.

    Raises:
        ValueError: If there is no target, or a share is below 0 or not finite.

    Example:

    >>> ax = plot_contributions({"Inventory": 0.25, "Sales": 0.75})
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['Sales', 'Inventory']
    """
    shares = pd.Series(contributions, dtype=np.float64).sort_values(ascending=False, kind="stable")
    if shares.empty or not np.isfinite(shares).all() or shares.min() < 0:
        raise SettingError(
            "`contributions` must give each of one or more targets a share >= 0. Received: "
            f"{shares.to_dict() or 'nothing'}."
        )
    total = shares.sum() or 1.0
    ax = axes_for(ax, (6, max(1.8, 1 + 0.4 * len(shares))))
    bars = ax.barh(range(len(shares)), 100 * shares / total, color=[RED] + [GREY] * (len(shares) - 1))
    ax.bar_label(bars, [f"{100 * share / total:.0f} %" for share in shares], padding=3)
    ax.set_yticks(range(len(shares)), [as_written(name) for name in shares.index])
    ax.invert_yaxis()
    ax.set_xlim(0, 110)
    ax.set_xticks(range(0, 101, 25))
    ax.set_xlabel("share of the event (%)")
    ax.set_title(f"Cause: {as_written(shares.index[0])}", loc="left")
    return ax


def _one(table, columns, target, series):
    """The rows of one target and series in the order of time, and what to call them."""
    for name in ("time", "series", "target", *columns):
        check_column(table, name, "to draw")
    chosen = {}
    for kind, wanted in (("target", target), ("series", series)):
        names = list(table[kind].unique())
        if wanted is None and len(names) > 1:
            raise SettingError(
                f"`table` has {len(names)} {'targets' if kind == 'target' else 'series'}; name the one to draw: "
                f"`{kind}=` one of {', '.join(map(str, names))}."
            )
        if wanted is not None and wanted not in names:
            raise SettingError(unknown(kind, wanted, names))
        chosen[kind] = wanted if wanted is not None else (names[0] if names else None)
        table = table[table[kind] == chosen[kind]]
    if table.empty:
        raise SettingError("`table` has no rows to draw.")
    who = " of ".join(as_written(name) for name in chosen.values() if str(name))
    return table.sort_values("time"), who


def _mark(ax, times, values, flags):
    if not flags.any():
        return
    ax.plot(
        times[flags],
        values[flags],
        linestyle="none",
        marker="o",
        markersize=6,
        color=RED,
        markeredgecolor="white",
        markeredgewidth=0.8,
        label="anomaly",
    )


def _times(ax, times):
    if pd.api.types.is_datetime64_any_dtype(times):
        time_axis(ax, times.dt.tz)
    else:
        ax.set_xlabel("time step")
