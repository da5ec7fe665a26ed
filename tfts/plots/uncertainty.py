"""Pictures of whether intervals and quantiles can be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tfts.errors import DataError, SettingError
from tfts.plots._parts import (
    COLOURS,
    GREY,
    as_written,
    axes_for,
    check_column,
    legend_beside,
    line_style,
    markers,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SQUARE = (6.5, 4.5)


def draw_fan(ax, quantiles, colour):
    """Shades the central intervals of a table of quantiles, the wider the paler.

    Args:
        ax: Axes.
        quantiles: DataFrame indexed by time, with ascending levels as columns.
        colour: Of the fan.

    Returns:
        List of what was drawn, the widest interval first.

    Example:

    >>> from matplotlib.figure import Figure
    >>> times = pd.date_range("2024-01-01", periods=3)
    >>> table = pd.DataFrame({0.1: [1.0, 2, 3], 0.5: [2.0, 3, 4], 0.9: [3.0, 4, 5]}, index=times)
    >>> [patch.get_label() for patch in draw_fan(Figure().subplots(), table, "blue")]
    ['80 % interval']
    """
    levels, drawn = [float(level) for level in quantiles.columns], []
    pairs = [(low, levels[-1 - i]) for i, low in enumerate(levels[: len(levels) // 2])]
    for number, (low, high) in enumerate(pairs, start=1):
        if not np.isclose(low, 1 - high):
            label = f"{low:g} to {high:g}"
        else:
            label = f"{100 * (high - low):.4g} % interval"
        low, high = (quantiles.iloc[:, levels.index(level)].to_numpy(float) for level in (low, high))
        drawn.append(
            ax.fill_between(
                quantiles.index,
                low,
                high,
                color=colour,
                alpha=0.4 * number / len(pairs),
                linewidth=0,
                label=label,
            )
        )
    return drawn


def plot_calibration(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draws which share of the values lay at or below each quantile.

    On the diagonal the quantiles hold what they promise. Where the line is flatter, intervals are
    too narrow; where it is steeper, too wide.

    Args:
        table: DataFrame with the columns `level` and `observed`, as from `ErrorSums.reliability`; with a
            column `model` or `target` a line for each; with `step` one for the first, a middle and the last step.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes.

    Raises:
        ValueError: If a column is missing or the table is empty.

    Example:

    >>> table = pd.DataFrame({"level": [0.1, 0.5, 0.9], "observed": [0.2, 0.5, 0.8]})
    >>> plot_calibration(table).lines[1].get_ydata().tolist()
    [0.2, 0.5, 0.8]
    """
    check_column(table, "level", "with the levels of the quantiles")
    check_column(table, "observed", "with the share of values at or below them")
    if table.empty:
        raise DataError("`table` has no rows, so there is nothing to draw.")
    ax = axes_for(ax, SQUARE)
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="as promised")
    for number, (name, rows) in enumerate(_lines(table)):
        rows = rows.sort_values("level")
        ax.plot(
            rows["level"],
            rows["observed"],
            **line_style(number),
            linewidth=1.5,
            label=as_written(name),
            **markers(len(rows)),
        )
    ax.set(xlabel="level of the quantile", ylabel="share of values at or below it", xlim=(0, 1), ylim=(0, 1))
    ax.set_title("Calibration of the quantiles", loc="left")
    legend_beside(ax)
    return ax


def plot_pit(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draws how often values fell between neighbouring quantiles, over what was promised.

    A flat histogram at 1 is right; a U says that intervals are too narrow, a hump too wide, a slope
    that forecasts are too high or too low.

    Args:
        table: DataFrame with the columns `low`, `high` (levels), `count` and `expected` (share), as from
            `ErrorSums.pit`; those of several targets or steps are taken together.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes.

    Raises:
        ValueError: If a column is missing or no value was counted.

    Example:

    >>> table = pd.DataFrame({"low": [0, 0.5], "high": [0.5, 1], "count": [30, 10], "expected": [0.5, 0.5]})
    >>> [float(bar.get_height()) for bar in plot_pit(table).patches]
    [1.5, 0.5]

    Source: Dawid, Statistical theory: the prequential approach, 1984; Czado, Gneiting and Held,
    Predictive model assessment for count data, Biometrics 65, 2009.
    """
    for name, which in (
        ("low", "with the lower levels"),
        ("high", "with the upper levels"),
        ("count", "with the values between them"),
        ("expected", "with the share that belongs there"),
    ):
        check_column(table, name, which)
    total = table["count"].sum()
    if not total > 0:
        raise DataError("No value was counted in `table`, so there is nothing to draw.")
    table = table.groupby(["low", "high"], as_index=False).agg({"count": "sum", "expected": "first"})
    ax = axes_for(ax, SQUARE)
    heights = table["count"] / total / table["expected"]
    ax.bar(
        table["low"],
        heights,
        width=table["high"] - table["low"],
        align="edge",
        color=COLOURS[0],
        edgecolor="white",
    )
    ax.axhline(1, color=GREY, linewidth=1, linestyle=":")
    ax.set(
        xlabel="level between neighbouring quantiles",
        ylabel="values, as a multiple of those promised",
        xlim=(0, 1),
    )
    ax.set_title("Where the values fell among the quantiles", loc="left")
    return ax


def plot_interval_width(table: pd.DataFrame, *, units: str | None = None, ax: Axes | None = None) -> Axes:
    """Draws the mean width of intervals against the share of values that they held, a dot for each.

    Of two methods that hold the same share the one further down is sharper. Where a method has several
    intervals, a line goes from the narrowest to the widest.

    Args:
        table: DataFrame with the columns `width` and `coverage`, and `level`, what the interval promises, as
            from `ErrorSums.intervals`; with a column `model`, `target` or `step` as of `plot_calibration`.
        units: Str, the target's units.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes.

    Raises:
        ValueError: If a column is missing or the table is empty.

    Example:

    >>> table = pd.DataFrame({"model": ["ridge"], "width": [2.0], "coverage": [0.79], "level": [0.8]})
    >>> plot_interval_width(table).get_xlabel()
    'share of values inside'
    """
    for name, which in (
        ("width", "with the mean width"),
        ("coverage", "with the share inside"),
        ("level", "with the share promised"),
    ):
        check_column(table, name, which)
    if table.empty:
        raise DataError("`table` has no rows, so there is nothing to draw.")
    ax = axes_for(ax, SQUARE)
    for number, (name, rows) in enumerate(_lines(table)):
        rows, style = rows.sort_values("level"), line_style(number)
        ax.plot(rows["coverage"], rows["width"], marker="o", label=as_written(name), **style)
    for level in table["level"].unique():
        ax.axvline(level, color=GREY, linewidth=1, linestyle=":")
    width = "mean width of the interval"
    ax.set(xlabel="share of values inside", ylabel=f"{width} ({as_written(units)})" if units else width)
    ax.set_ylim(bottom=0)
    ax.set_title("Width against coverage", loc="left")
    legend_beside(ax)
    return ax


def _lines(table):
    """Names and rows of each line."""
    if "model" in table:
        yield from table.groupby("model", sort=False)
    elif {"target", "step"} <= set(table):
        raise SettingError(
            "`table` has rows for each pair of target and step. Expected those of one target, or of all: by='step' or "
            "by='target'."
        )
    elif "target" in table:
        yield from table.groupby("target", sort=False)
    elif "step" in table:
        steps = sorted(table["step"].unique())
        for step in sorted({steps[0], steps[len(steps) // 2], steps[-1]}):
            yield f"step {step}", table[table["step"] == step]
    else:
        yield "observed", table
