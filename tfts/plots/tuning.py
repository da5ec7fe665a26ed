"""Pictures of a search for settings: its progress, its settings and its curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfts.errors import FailedRunError, SettingError
from tfts.plots._parts import COLOURS, GREY, INK, WIDE, as_written, axes_for, check_column, legend_beside

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


# What a table of trials tells of each beside its settings.
_ABOUT_TRIAL = ("trial", "status", "score", "epochs", "seconds", "reason")
# Shape and colour together: one of them is lost in grey, the other in haste.
_STATUS = {
    "finished": {"marker": "o", "color": COLOURS[0]},
    "pruned": {"marker": "x", "color": COLOURS[1]},
    "diverged": {"marker": "^", "color": COLOURS[3]},
    "failed": {"marker": "s", "color": GREY},
}
# From such a ratio of the largest to the smallest on, equal steps are equal factors.
_LOG_RATIO = 20


def setting_names(results: pd.DataFrame, varied: bool = False) -> list[str]:
    """Names of the settings in a table of trials.

    Args:
        results: DataFrame as from `Search.results()`.
        varied: Whether to leave out those that are the same in every row.

    Returns:
        List of names of columns.

    Example:

    >>> import pandas as pd
    >>> table = pd.DataFrame({"trial": [0, 1], "status": "finished", "score": [0.5, 0.4],
    ...                       "heads": [2, 2], "units": [32, 64]})
    >>> setting_names(table), setting_names(table, varied=True)
    (['heads', 'units'], ['units'])
    """
    names = [name for name in results.columns if name not in _ABOUT_TRIAL]
    return [name for name in names if not varied or len(set(map(str, results[name]))) > 1]


def plot_search(
    results: pd.DataFrame, objective: str = "val_rmse", *, units: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draws the score of each trial, and the best so far.

    Args:
        results: DataFrame with a row for each trial, as from `Search.results()`; trial 0
            has the default settings.
        objective: Name of the score; the lower, the better.
        units: Str, the target's units.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes: a mark for each trial with a score, one line for the best finished so
        far, one for the default settings. Scores that are far worse than all others lie
        outside the picture.

    Raises:
        ValueError: If a column is missing or no trial has a score.

    Example:

    >>> import pandas as pd
    >>> table = pd.DataFrame({"trial": [0, 1, 2], "status": "finished", "score": [0.5, 0.7, 0.4]})
    >>> plot_search(table, units="MW").get_title(loc="left")
    'Best 0.4 in trial 2, 20.0% below the default settings'
    """
    results = _checked(results)
    ax = axes_for(ax, WIDE)
    shown = results[~results["status"].isin(["diverged", "failed"])]
    for status, style in _STATUS.items():
        rows = results[results["status"] == status]
        if status in ("diverged", "failed"):
            # They have no score on this scale: they stand at the edge.
            places, transform = np.full(len(rows), 0.97), ax.get_xaxis_transform()
        else:
            places, transform = rows["score"], ax.transData
        if len(rows):
            ax.plot(
                rows["trial"],
                places,
                linestyle="none",
                markersize=6,
                **style,
                transform=transform,
                label=f"{status} ({len(rows)})",
            )
    finished = results[results["status"] == "finished"]
    scores = finished["score"].to_numpy(dtype=np.float64)
    so_far = np.minimum.accumulate(scores)
    last = results["trial"].max()
    ax.step(
        [*finished["trial"], last],
        [*so_far, so_far[-1]],
        where="post",
        color=INK,
        linewidth=1.6,
        label="best so far",
    )
    best = finished.iloc[int(np.argmin(scores))]
    title = f"Best {best['score']:.4g} in trial {best['trial']}"
    default = finished[finished["trial"] == 0]["score"]
    if len(default):
        ax.axhline(default.iloc[0], color=GREY, linestyle="--", linewidth=1, label="default settings")
        below = 1 - best["score"] / default.iloc[0] if default.iloc[0] else 0.0
        title += f", {below:.1%} below the default settings" if below else ", the default settings"
    _show_usual(ax, shown["score"].to_numpy(dtype=np.float64))
    from matplotlib import ticker

    ax.xaxis.set_major_locator(ticker.MaxNLocator(10, integer=True, min_n_ticks=1))
    ax.set(xlabel="trial", ylabel=_score_label(objective, units))
    ax.set_title(title, loc="left")
    legend_beside(ax)
    return ax


def plot_slice(
    results: pd.DataFrame,
    setting: str,
    objective: str = "val_rmse",
    *,
    units: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws the score of each trial over one of its settings.

    Args:
        results: DataFrame with a row for each trial, as from `Search.results()`.
        setting: Name of a column: numbers, or words, which are drawn side by side.
        objective: Name of the score; the lower, the better.
        units: Str, the target's units.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes: a mark for each finished trial, a cross for each pruned one, a ring
        round the best.

    Raises:
        ValueError: If a column is missing or no trial has a score.

    Example:

    >>> import pandas as pd
    >>> table = pd.DataFrame({"trial": [0, 1], "status": "finished", "score": [0.5, 0.4], "units": [32, 64]})
    >>> plot_slice(table, "units").get_xlabel()
    'units'
    """
    results = _checked(results)
    check_column(results, setting, "with the setting")
    rows = results[results["status"].isin(["finished", "pruned"]) & results[setting].notna()]
    ax = axes_for(ax, (5, 3.6))
    places, ticks = _places(rows[setting])
    for status in ("finished", "pruned"):
        of = (rows["status"] == status).to_numpy()
        if of.any():
            ax.plot(
                places[of],
                rows["score"].to_numpy(dtype=np.float64)[of],
                linestyle="none",
                markersize=6,
                **_STATUS[status],
                label=status,
            )
    finished = (rows["status"] == "finished").to_numpy()
    if finished.any():
        scores = rows["score"].to_numpy(dtype=np.float64)
        best = int(np.where(finished, scores, np.inf).argmin())
        ax.plot(
            places[best],
            scores[best],
            linestyle="none",
            marker="o",
            markersize=13,
            markerfacecolor="none",
            markeredgecolor=INK,
            markeredgewidth=1.5,
            label="best",
        )
    if ticks is not None:
        ax.set_xticks(*ticks)
        ax.margins(x=0.15)
    elif _is_log(rows[setting]):
        from matplotlib import ticker

        ax.set_xscale("log")
        ax.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 3)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(ticker.NullFormatter())
    _show_usual(ax, rows["score"].to_numpy(dtype=np.float64))
    ax.set(xlabel=as_written(setting), ylabel=_score_label(objective, units))
    ax.legend(loc="best", framealpha=0.85, edgecolor="none")
    return ax


def plot_parallel_settings(
    results: pd.DataFrame,
    settings: Sequence[str] | None = None,
    objective: str = "val_rmse",
    *,
    units: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws each finished trial as one line through its settings to its score.

    Args:
        results: DataFrame with a row for each trial, as from `Search.results()`.
        settings: Names of the settings. By default the first 8 that were tried with
            several values.
        objective: Name of the score; the lower, the better.
        units: Str, the target's units.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes: an upright line for each setting and for the score, a line for each
        finished trial, the darker, the better; the best is drawn thick. A setting that
        a trial does not have breaks its line.

    Raises:
        ValueError: If a column is missing, no trial has a score, or no setting varies.

    Example:

    >>> import pandas as pd
    >>> table = pd.DataFrame({"trial": [0, 1], "status": "finished", "score": [0.5, 0.4], "units": [32, 64]})
    >>> ax = plot_parallel_settings(table)
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['units', 'val_rmse']
    """
    results = _checked(results)
    finished = results[results["status"] == "finished"]
    if settings is None:
        settings = setting_names(finished, varied=True)[:8]
    if not len(settings):
        raise SettingError("All finished trials have the same settings, so there is nothing to compare.")
    for name in settings:
        check_column(results, name, "with the setting")
    scores = finished["score"].to_numpy(dtype=np.float64)
    ax = axes_for(ax, (max(7.0, 1.6 * (len(settings) + 1)), 4.8))
    columns = []
    for at, name in enumerate(settings):
        columns.append(_upright(ax, at, finished[name]))
    # Where a score is far worse than all others, it stands at the end of the axis.
    columns.append(_upright(ax, len(settings), finished["score"].clip(*_usual_range(scores))))
    lines = np.column_stack(columns)
    # By rank: one hopeless trial would make all others alike.
    order = np.argsort(np.argsort(scores))
    shade = order / max(len(order) - 1, 1)
    from matplotlib import colormaps

    for trial in np.argsort(-shade, kind="stable"):
        best = order[trial] == 0
        ax.plot(
            np.arange(lines.shape[1]),
            lines[trial],
            color=COLOURS[1] if best else colormaps["viridis"](0.95 * shade[trial]),
            linewidth=3 if best else 1,
            alpha=1 if best else 0.75,
            zorder=3 if best else 2,
            label=f"best: trial {finished['trial'].iloc[trial]}" if best else "_",
        )
    ax.set_xticks(np.arange(len(settings) + 1), [*map(as_written, settings), _score_label(objective, units)])
    ax.tick_params(axis="x", length=0, pad=14)
    if len(settings) > 4:
        ax.tick_params(axis="x", rotation=20)
    ax.set_yticks([])
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.set_xlim(-0.35, len(settings) + 0.55)
    ax.set_ylim(-0.06, 1.06)
    ax.set_title(f"{len(finished)} finished trials, the darker, the better", loc="left")
    ax.legend(loc="upper right", bbox_to_anchor=(1, 1.13), frameon=False)
    return ax


def plot_trial_curves(
    curves: pd.DataFrame,
    results: pd.DataFrame,
    objective: str = "val_rmse",
    *,
    units: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws the validation score of every trial after each epoch.

    Args:
        curves: DataFrame with the columns `trial`, `execution`, `part`, `epoch` and
            `value`, as from `Search.curves()`; executions and parts are averaged.
        results: DataFrame with the columns `trial`, `status` and `score`.
        objective: Name of the score; the lower, the better.
        units: Str, the target's units.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes: a thin line for each trial, a cross where it was pruned, a thick line
        for the best and a dashed one for the default settings.

    Raises:
        ValueError: If a column is missing or no trial has a score.

    Example:

    >>> import pandas as pd
    >>> curves = pd.DataFrame({"trial": [0, 0, 1], "execution": 0, "part": 0, "epoch": [1, 2, 1],
    ...                        "value": [0.9, 0.5, 0.8]})
    >>> table = pd.DataFrame({"trial": [0, 1], "status": ["finished", "pruned"], "score": [0.5, 0.8]})
    >>> plot_trial_curves(curves, table).get_title(loc="left")
    'Validation after each epoch: 2 trials, 1 pruned'
    """
    results = _checked(results)
    for name in ("trial", "epoch", "value"):
        check_column(curves, name, "of each epoch")
    means = curves.groupby(["trial", "epoch"], sort=True)["value"].mean()
    status = results.set_index("trial")["status"]
    finished = results[results["status"] == "finished"].set_index("trial")["score"]
    best = finished.idxmin()
    ax = axes_for(ax, WIDE)
    crossed, shown = False, []
    for trial, curve in means.groupby(level="trial"):
        epochs, values = curve.index.get_level_values("epoch"), curve.to_numpy()
        shown.append(values[np.isfinite(values)])
        style = {"color": GREY, "linewidth": 0.9, "alpha": 0.8}
        if trial == best:
            style = {"color": COLOURS[0], "linewidth": 2.4, "zorder": 4, "label": f"best: trial {trial}"}
        elif trial == 0:
            style = {
                "color": INK,
                "linewidth": 1.6,
                "linestyle": "--",
                "zorder": 3,
                "label": "default settings",
            }
        ax.plot(epochs, values, **style, **({"marker": "."} if len(values) == 1 else {}))
        if status.get(trial) == "pruned":
            label = "_" if crossed else "pruned"
            ax.plot(
                epochs[-1:], values[-1:], linestyle="none", markersize=7, **_STATUS["pruned"], label=label
            )
            crossed = True
    _show_usual(ax, np.concatenate(shown))
    from matplotlib import ticker

    ax.xaxis.set_major_locator(ticker.MaxNLocator(10, integer=True, min_n_ticks=1))
    ax.set(xlabel="epoch", ylabel=_score_label(objective, units))
    pruned = int((status == "pruned").sum())
    ax.set_title(
        f"Validation after each epoch: {means.index.get_level_values('trial').nunique()} trials, {pruned} pruned",
        loc="left",
    )
    legend_beside(ax)
    return ax


def _checked(results):
    for name in ("trial", "status", "score"):
        check_column(results, name, "of each trial")
    if not (results["status"] == "finished").any():
        raise FailedRunError("No trial is finished, so there is nothing to draw.")
    return results.sort_values("trial", kind="stable")


def _score_label(objective, units):
    label = as_written(objective)
    return f"{label} ({as_written(units)})" if units else label


def _usual_range(values):
    """Lowest and highest of the values but those so far above that all others were one line."""
    values = np.sort(values[np.isfinite(values)])
    low, reach = values[0], 4 * (np.median(values) - values[0])
    return low, min(values[-1], low + reach) if reach else values[-1]


def _show_usual(ax, values):
    low, up = _usual_range(values)
    margin = 0.06 * (up - low) or 0.05 * max(abs(up), 1e-9)
    # More room above: marks of trials without a score stand there.
    ax.set_ylim(low - margin, up + 2 * margin)


def _is_log(values):
    numbers = values.to_numpy(dtype=np.float64)
    return len(numbers) > 0 and numbers.min() > 0 and numbers.max() / numbers.min() >= _LOG_RATIO


def _places(values):
    """Where values stand on an axis, and of words the ticks."""
    if _are_numbers(values):
        return values.to_numpy(dtype=np.float64), None
    words = values.map(str)
    names = sorted(words.unique())
    places = words.map({name: place for place, name in enumerate(names)}).to_numpy(dtype=np.float64)
    return places, (np.arange(len(names)), [as_written(_shortened(name)) for name in names])


def _are_numbers(values):
    known = values.dropna()
    return len(known) > 0 and all(
        isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)
        for value in known
    )


def _shortened(text):
    return text if len(text) <= 18 else f"{text[:17]}…"


def _upright(ax, at, values):
    """Draws one axis of parallel coordinates; gives the heights, 0 to 1, of its values."""
    ax.axvline(at, color=GREY, linewidth=0.8, zorder=1)
    known = values.notna().to_numpy()
    heights = np.full(len(values), np.nan)
    places, ticks = _places(values[known])
    if ticks is None and _is_log(values[known]):
        places = np.log(places)
    low, high = places.min(), places.max()
    scaled = (places - low) / (high - low) if high > low else np.full(len(places), 0.5)
    heights[known] = scaled
    if ticks is not None:
        marks = dict(zip(values[known].map(str).map(_shortened), scaled, strict=True))
    else:
        marks = {}
        # The ends first; another number only where it runs into none of them.
        for at_end in (True, False):
            for height, number in zip(scaled, values[known], strict=True):
                apart = all(abs(height - other) >= 0.07 for other in marks.values())
                if (height in (0, 1)) == at_end and (apart and len(marks) < 8):
                    marks[f"{number:.4g}"] = height
    for text, height in marks.items():
        ax.text(
            at + 0.04,
            height,
            as_written(text),
            fontsize=8,
            va="center",
            zorder=5,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8},
        )
    return heights
