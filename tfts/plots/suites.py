"""Pictures of a suite of methods: how good each is, at what cost, at which horizon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from tfts.errors import SettingError
from tfts.plots._parts import COLOURS, GREY, INK, WIDE, as_written, axes_for, check_column, legend_beside
from tfts.plots.forecasts import _metric_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


# Shapes tell methods apart, colours their families: both are read in grey.
_SHAPES = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")
# A score that is this many times the lowest would press all others together.
_FAR = 1.3
# Seconds below which nobody waits, and where what takes none is drawn.
_LEAST_SECONDS = 0.01


def plot_cost(
    runs: pd.DataFrame,
    metric: str = "mse",
    published: tuple[str, float] | None = None,
    *,
    units: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws the score of each method over the seconds from its data to its score.

    Args:
        runs: DataFrame with the columns `label`, `family`, `seconds` and the metric, a row
            for each seed, as the rows of one horizon in `runs.csv` of a suite.
        metric: Column to draw, best low.
        published: Tuple of a name and its score, drawn as a line; `None` for none.
        units: Str, the units of the metric.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes: a point for each method at its medians, with a bar from its best to its worst
        seed; in the legend family by family, best first. A score far above the lowest stands at
        the upper edge.

    Raises:
        ValueError: If a column is missing or no run has a score.

    Example:

    >>> import pandas as pd
    >>> runs = pd.DataFrame({"label": ["ridge", "linear", "linear"], "family": "linear maps",
    ...                      "seconds": [4.0, 9.0, 11.0], "mse": [0.36, 0.37, 0.38]})
    >>> ax = plot_cost(runs, published=("DLinear", 0.375))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['ridge 0.36', 'linear 0.375', 'published: DLinear 0.375']
    """
    check_column(runs, "seconds", "with what a run took")
    scores, limits = _spreads(runs, metric, [published[1]] if published else [])
    far = scores["median"] > limits[1]
    scores["legend"] = [f"{as_written(row.label)} {row.median:.4g}" for row in scores.itertuples()]
    scores.loc[far, "legend"] += " (above the picture)"
    ax = axes_for(ax, _size(scores))
    for row, is_far in zip(scores.itertuples(), far, strict=True):
        ax.errorbar(
            max(row.seconds, _LEAST_SECONDS),
            limits[1] if is_far else row.median,
            yerr=None if is_far else [[row.median - row.low], [row.high - row.median]],
            **_mark(row),
            linestyle="none",
            capsize=3,
            label=row.legend,
            clip_on=not is_far,
        )
    if published:
        name, score = published
        label = f"published: {as_written(name)} {score:.4g}"
        ax.axhline(min(score, limits[1]), color=INK, linestyle="--", linewidth=1.2, label=label)
    _seconds_axis(ax, scores["seconds"].clip(lower=_LEAST_SECONDS))
    _finish(ax, scores, metric, units, limits)
    ax.set_xlabel("seconds from the data to the score, all settings that were tried")
    ax.set_title("Score over the seconds it took: lower left is better", loc="left")
    return ax


def plot_scores_by_horizon(
    runs: pd.DataFrame,
    metric: str = "mse",
    published: Mapping[int, float] | None = None,
    *,
    units: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws the score of each method at each horizon of a suite.

    Args:
        runs: DataFrame with the columns `label`, `family`, `horizon` and the metric, a row for
            each seed, as `runs.csv` of a suite.
        metric: Column to draw, best low.
        published: Dict from horizon to a score, drawn as a line; `None` for none.
        units: Str, the units of the metric.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes: for each method a line through its medians, with bars from its best to its
        worst seed. Scores far above the lowest of all horizons lie outside the picture.

    Raises:
        ValueError: If a column is missing or no run has a score.

    Example:

    >>> import pandas as pd
    >>> runs = pd.DataFrame({"label": "ridge", "family": "linear maps", "horizon": [96, 192], "mse": [0.36, 0.4]})
    >>> ax = plot_scores_by_horizon(runs)
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['96', '192']
    """
    check_column(runs, "horizon", "with the rows forecast")
    horizons = sorted(runs["horizon"].unique())
    whole, limits = _spreads(runs, metric, (published or {}).values(), by="horizon")
    whole["legend"] = whole["label"].map(as_written)
    ax = axes_for(ax, _size(whole))
    for _, rows in whole.groupby("label", sort=False):
        rows = rows.sort_values("horizon")
        ax.errorbar(
            [horizons.index(horizon) for horizon in rows["horizon"]],
            rows["median"],
            yerr=[rows["median"] - rows["low"], rows["high"] - rows["median"]],
            **_mark(next(rows.itertuples())),
            linewidth=1.4,
            capsize=3,
            label=rows["legend"].iloc[0],
        )
    if published:
        known = [(place, published[h]) for place, h in enumerate(horizons) if h in published]
        ax.plot(*zip(*known, strict=True), color=INK, linestyle="--", linewidth=1.2, label="lowest published")
    ax.set_xticks(range(len(horizons)), [str(horizon) for horizon in horizons])
    _finish(ax, whole, metric, units, limits)
    ax.set_xlabel("horizon, rows forecast")
    ax.set_title("Score by horizon", loc="left")
    return ax


def _spreads(runs, metric, published, by=None):
    """Median, lowest and highest score of each method, family by family, and the ends of the axis."""
    for column in ("label", "family"):
        check_column(runs, column, "of the methods")
    check_column(runs, metric, "to draw")
    known = runs[np.isfinite(runs[metric].to_numpy(dtype=np.float64))]
    if known.empty:
        raise SettingError(f"No run has a score in {metric!r}, so there is nothing to draw.")
    families = list(dict.fromkeys(known["family"]))
    groups = known.groupby(["label", *([by] if by else [])], sort=False)
    scores = groups[metric].agg(median="median", low="min", high="max").reset_index()
    if "seconds" in known:
        scores["seconds"] = groups["seconds"].median().to_numpy()
    of = known.drop_duplicates("label").set_index("label")["family"]
    scores["family"] = scores["label"].map(of)
    scores["colour"] = [COLOURS[families.index(family) % len(COLOURS)] for family in scores["family"]]
    order = scores.groupby("label")["median"].mean().sort_values(kind="stable").index
    scores["shape"] = [_SHAPES[order.get_loc(label) % len(_SHAPES)] for label in scores["label"]]
    # Families in the order of their best.
    scores = scores.sort_values("label", key=lambda labels: labels.map(order.get_loc), kind="stable")
    ranked = list(dict.fromkeys(scores["family"]))
    scores = scores.sort_values("family", key=lambda names: names.map(ranked.index), kind="stable")
    lowest = scores.groupby(by)["median"].min() if by else scores["median"].min()
    limit = _FAR * (lowest.max() if by else lowest)
    shown = [*scores.loc[scores["median"] <= limit, "high"], *published]
    shown = [min(value, limit) for value in shown]
    bottom = min(scores["low"].min(), *shown)
    room = 0.06 * (max(shown) - bottom) or 0.05 * abs(bottom)
    return scores, (bottom - room, max(shown) + room)


def _size(scores):
    """Wide, and high enough for its legend."""
    lines = scores["label"].nunique() + scores["family"].nunique() + 1
    return WIDE[0], max(WIDE[1], 0.5 + 0.24 * lines)


def _mark(row):
    return {
        "marker": row.shape,
        "color": row.colour,
        "markersize": 7,
        "markeredgecolor": INK,
        "elinewidth": 1.6,
    }


def _seconds_axis(ax, seconds):
    """Whole powers of ten, however few seconds lie between."""
    from matplotlib import ticker

    ends = np.floor(np.log10(seconds.min() / 1.3)), np.ceil(np.log10(seconds.max() * 1.3))
    ax.set_xscale("log")
    ax.set_xlim(10.0 ** ends[0], 10.0 ** ends[1])
    ax.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(ticker.NullFormatter())


def _finish(ax, scores, metric, units, limits):
    """Limits, label and a legend with the methods of each family below its name."""
    ax.set_ylim(limits)
    ax.set_ylabel(_metric_label(metric, None) + (f", {as_written(units)}" if units else ""))
    ax.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.6)
    from matplotlib.lines import Line2D

    drawn = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    headings = len(scores["family"].unique()) > 1
    handles = []
    for family, rows in scores.drop_duplicates("label").groupby("family", sort=False):
        if headings:
            handles.append(Line2D([], [], linestyle="none", label=as_written(family)))
        handles += [drawn.pop(label) for label in rows["legend"]]
    legend_beside(ax, [*handles, *drawn.values()])
    for text in ax.get_legend().get_texts():
        if headings and text.get_text() in set(scores["family"].map(as_written)):
            text.set_weight("bold")
