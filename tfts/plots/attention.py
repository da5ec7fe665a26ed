"""Pictures of attention weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from tfts._units import time_unit
from tfts.errors import SettingError
from tfts.plots._parts import (
    COLOURS,
    INK,
    WIDE,
    axes_for,
    legend_beside,
    line_style,
    markers,
    set_ticks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# Rows of a picture of bars that can be read one by one.
_MOST_ROWS = 60
# Names along an axis that stand apart from each other.
_MOST_NAMES = 24


def _lag_unit(freq, context_length):
    """Length of a step and its unit, in which a context has no more than a few hundred."""
    length, unit = time_unit(freq)
    if unit == "minutes" and context_length * length > 360:
        length, unit = length / 60, "hours"
    return length, unit


def _draw_scores(ax, scores, query, freq, highest, season_lengths, variables):
    num_queries, context_length = scores.shape
    if variables:
        image = ax.imshow(scores, aspect="auto", cmap="viridis", vmin=0, vmax=highest)
        across, down = (slice(0, count, -(-count // _MOST_NAMES)) for count in (context_length, num_queries))
        places = np.arange(context_length)
        ax.set_xticks(places[across], variables[across], rotation=45, ha="right", rotation_mode="anchor")
        ax.set_yticks(places[down], variables[down])
        ax.tick_params(length=0)
        ax.spines[["top", "right"]].set_visible(True)
        return image, "variable that is looked at", "target that looks"
    length, unit = _lag_unit(freq, context_length)
    oldest = (context_length - 0.5) * length
    if query == "horizon":
        top, bottom = 0.5, num_queries + 0.5
    else:
        top, bottom = (num_queries - 0.5) * length, -0.5 * length
    image = ax.imshow(
        scores,
        aspect="auto",
        cmap="viridis",
        vmin=0,
        vmax=highest,
        extent=(oldest, -0.5 * length, bottom, top),
    )
    for season in season_lengths:
        # One season before the row that is forecast, or that looks; sparse, so that the
        # weights are seen between the dashes.
        if query == "horizon":
            across = np.array([0.5, num_queries + 0.5])
            lags = (season - across) * length
        else:
            across = np.array([-0.5, num_queries - 0.5]) * length
            lags = across + season * length
        ax.plot(lags, across, color="white", linewidth=1, linestyle=(0, (3, 6)), scalex=False, scaley=False)
    set_ticks(ax.xaxis, unit, context_length * length)
    set_ticks(ax.yaxis, unit if query == "context" else None, abs(top - bottom))
    ax.spines[["top", "right"]].set_visible(True)
    y_label = "horizon step" if query == "horizon" else f"lag of the row that looks ({unit})"
    return image, f"lag before the forecast origin ({unit})", y_label


def _season_note(season_lengths, query, freq, context_length):
    if not season_lengths:
        return ""
    length, unit = _lag_unit(freq, context_length)
    named = ", ".join(f"{season * length:g}" for season in season_lengths)
    return (
        f"dashed: {named} {unit} before the row {'that is forecast' if query == 'horizon' else 'that looks'}"
    )


def _check_seasons(season_lengths, context_length):
    season_lengths = tuple(season_lengths)
    for season in season_lengths:
        if isinstance(season, bool) or not isinstance(season, int | np.integer):
            raise SettingError(
                f"`season_lengths` must hold ints (rows). Received: season_lengths={list(season_lengths)!r}."
            )
        if not 1 <= season <= context_length:
            raise SettingError(
                f"`season_lengths` must be from 1 to {context_length}, the rows of the context, because the marks "
                f"stand on the lags. Received: season_lengths={list(season_lengths)}."
            )
    return season_lengths


def _check_scores(scores, axes, shape, query, variables):
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim not in axes or not scores.size:
        raise SettingError(
            f"`scores` must be {shape}: pick one window, as in scores[0], or average over the windows. "
            f"Received: shape {scores.shape}."
        )
    if query != "variable":
        _check_query(query, ", or 'variable' (attention over columns)")
    if len(variables) != (scores.shape[-1] if query == "variable" else 0):
        raise SettingError(
            "`variables` must name every column that is looked at with query='variable', and none otherwise. "
            f"Received: query={query!r}, variables={list(variables)}, shape {scores.shape}."
        )
    return scores


def _check_query(query, further=""):
    if query not in ("horizon", "context"):
        raise SettingError(
            "`query` must be 'horizon' (rows are horizon steps) or 'context' (self-attention, rows are "
            f"lags){further}. Received: query={query!r}."
        )


def plot_attention(
    scores: npt.ArrayLike,
    head: int | None = None,
    *,
    query: Literal["horizon", "context", "variable"] = "horizon",
    freq: str | None = None,
    season_lengths: Sequence[int] = (),
    variables: Sequence[str] = (),
    ax: Axes | None = None,
) -> Axes:
    """Draws where attention looks, as a heat map with the newest row on the right.

    Args:
        scores: `(num_heads, horizon or query, context_length)` of one window, or without
            the axis of heads.
        head: Int of the head to draw. By default the mean over the heads.
        query: `"horizon"` if the rows are horizon steps, `"context"` for self-attention,
            whose rows are the context itself, `"variable"` for attention of the targets
            over columns.
        freq: pandas frequency of the rows, such as `"h"`, for lags in units of time. By
            default lags are in steps.
        season_lengths: Ints, in rows: a dashed line marks the row that lies so far before
            the row that is forecast (`season - step`), where a seasonal model would look.
        variables: Names of the columns, for `query="variable"`; the targets come first.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes, with a colour bar beside it.

    Raises:
        ValueError: If `scores` has other axes, there is no such head or query, or a
            season is longer than the context.

    Example:

    >>> import numpy as np
    >>> ax = plot_attention(np.full((2, 3, 5), 0.2), head=1, freq="h")
    >>> ax.get_xlabel()
    'lag before the forecast origin (hours)'
    """
    scores = _check_scores(scores, (2, 3), "(num_heads, query, context_length)", query, variables)
    num_heads = scores.shape[0] if scores.ndim == 3 else 0
    if head is not None and not 0 <= head < num_heads:
        raise SettingError(
            f"`head` must be one of 0 to {num_heads - 1}, the heads of scores {scores.shape}. Received: {head}."
            if num_heads
            else f"`head` needs scores with an axis of heads. Received: shape {scores.shape}, head={head}."
        )
    if head is not None:
        title, scores = f"Attention of head {head}", scores[head]
    elif num_heads:
        title = f"Attention, mean of {num_heads} heads" if num_heads > 1 else "Attention"
        scores = scores.mean(axis=0)
    else:
        title = "Attention"

    season_lengths = _check_seasons(season_lengths, scores.shape[-1])
    ax = axes_for(ax, (8, 4))
    image, x_label, y_label = _draw_scores(ax, scores, query, freq, scores.max(), season_lengths, variables)
    note = _season_note(season_lengths, query, freq, scores.shape[-1])
    ax.set(xlabel=f"{x_label}\n{note}" if note else x_label, ylabel=y_label)
    ax.set_title(title, loc="left")
    bar = ax.figure.colorbar(image, ax=ax, label="attention weight")
    bar.outline.set_visible(False)
    return ax


def plot_attention_heads(
    scores: npt.ArrayLike,
    *,
    query: Literal["horizon", "context", "variable"] = "horizon",
    freq: str | None = None,
    season_lengths: Sequence[int] = (),
    variables: Sequence[str] = (),
) -> Figure:
    """Draws every head of one window on one colour scale, so that heads can be compared.

    Args:
        scores: `(num_heads, horizon or query, context_length)` of one window.
        query: As in `plot_attention`.
        freq: As in `plot_attention`.
        season_lengths: As in `plot_attention`.
        variables: As in `plot_attention`.

    Returns:
        The figure, with one axes for each head and one colour bar.

    Raises:
        ValueError: If `scores` has other axes, `query` is unknown, or a season is longer
            than the context.

    Example:

    >>> import numpy as np
    >>> figure = plot_attention_heads(np.full((2, 3, 5), 0.2))
    >>> [ax.get_title(loc="left") for ax in figure.axes[:2]]
    ['head 0', 'head 1']
    """
    from matplotlib import pyplot

    scores = _check_scores(scores, (3,), "(num_heads, query, context_length)", query, variables)
    season_lengths = _check_seasons(season_lengths, scores.shape[-1])
    num_heads = len(scores)
    # At most four beside each other, in rows as equal as they can be.
    num_rows = 2 if num_heads == 4 else -(-num_heads // 4)
    num_columns = -(-num_heads // num_rows)
    figure, grid = pyplot.subplots(
        num_rows,
        num_columns,
        figsize=(1.5 + 3.2 * num_columns, 0.8 + 2.3 * num_rows),
        layout="constrained",
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    cells = grid.ravel()
    for head, ax in enumerate(cells[:num_heads]):
        image, x_label, y_label = _draw_scores(
            ax, scores[head], query, freq, scores.max(), season_lengths, variables
        )
        ax.set_title(f"head {head}", loc="left")
        if head + num_columns >= num_heads:
            ax.tick_params(labelbottom=True)
    for unused in cells[num_heads:]:
        unused.remove()
    note = _season_note(season_lengths, query, freq, scores.shape[-1])
    figure.supxlabel(f"{x_label}\n{note}" if note else x_label, fontsize="medium")
    figure.supylabel(y_label, fontsize="medium")
    bar = figure.colorbar(image, ax=list(cells[:num_heads]), label="attention weight")
    bar.outline.set_visible(False)
    return figure


def plot_lag_importance(
    weights: npt.ArrayLike,
    *,
    freq: str | None = None,
    season_lengths: Sequence[int] = (),
    horizon: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws how much weight each lag gets, with the newest row on the right.

    Args:
        weights: `(context_length,)`, summing to 1; index 0 is lag 0, the newest row.
        freq: pandas frequency of the rows, for lags in units of time.
        season_lengths: Ints, in rows: where a seasonal model would look is marked.
        horizon: Int, the horizon steps over which `weights` is a mean. The rows one season
            before these, lags `season - horizon` to `season - 1`, are shaded. By default
            one season before the forecast origin is marked.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes: bars, and a dashed line where uniform attention would be.

    Raises:
        ValueError: If `weights` has other axes or does not sum to 1, or a season is longer
            than the context.

    Example:

    >>> ax = plot_lag_importance([0.5, 0.1, 0.1, 0.3], freq="h", season_lengths=[3])
    >>> ax.get_title(loc="left")
    'Attention by lag, most on lag 0 (50.0%)'
    """
    weights = _check_weights(weights, "(context_length,), one weight a lag, the newest row first")
    context_length = len(weights)
    season_lengths = _check_seasons(season_lengths, context_length)
    length, unit = _lag_unit(freq, context_length)
    ax = axes_for(ax, WIDE)
    lags = np.arange(context_length) * length
    # Gaps between hundreds of bars would be all that is seen of them.
    ax.bar(lags, weights, width=length * (0.8 if context_length <= 120 else 1), color=COLOURS[0])
    ax.axhline(1 / context_length, color=INK, linewidth=1, linestyle="--", label="uniform attention")
    for number, season in enumerate(season_lengths):
        named, colour = f"{season * length:g} {unit} before the", COLOURS[(number + 1) % len(COLOURS)]
        if horizon is None:
            ax.axvline(season * length, color=colour, linestyle=":", label=f"{named} origin")
        else:
            ends = (max(season - horizon, 0) - 0.5) * length, (season - 0.5) * length
            ax.axvspan(*ends, color=colour, alpha=0.3, linewidth=0, zorder=0, label=f"{named} forecast rows")
    ax.set_xlim((context_length - 0.5) * length, -0.5 * length)
    ax.set_ylim(0, 1.15 * weights.max())
    set_ticks(ax.xaxis, unit, context_length * length)
    ax.set(xlabel=f"lag before the forecast origin ({unit})", ylabel="attention weight")
    first = int(weights.argmax())
    ax.set_title(f"Attention by lag, most on lag {first * length:g} ({weights[first]:.1%})", loc="left")
    legend_beside(ax)
    return ax


def plot_variable_importance(
    weights: npt.ArrayLike, variables: Sequence[str], *, ax: Axes | None = None
) -> Axes:
    """Draws how much weight each variable gets, the most attended on top.

    Args:
        weights: `(variables,)`, summing to 1.
        variables: Sequence of their names. Of more than 60 the most attended are drawn.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes: bars with their share, and a dashed line where uniform attention would be.

    Raises:
        ValueError: If `weights` has other axes or does not sum to 1, or not as many
            variables are named.

    Example:

    >>> ax = plot_variable_importance([0.125, 0.875], ["load", "heat"])
    >>> [text.get_text() for text in ax.get_yticklabels()], [text.get_text() for text in ax.texts]
    (['heat', 'load'], ['87.5%', '12.5%'])
    """
    weights = _check_weights(weights, "(variables,), one weight a variable")
    if len(variables) != len(weights):
        raise SettingError(
            f"`variables` must name each of the {len(weights)} weights. Received: {list(variables)}."
        )
    chosen = np.argsort(-weights, kind="stable")[:_MOST_ROWS]
    ax = axes_for(ax, (8, 1.3 + 0.3 * len(chosen)))
    places = np.arange(len(chosen))
    bars = ax.barh(places, weights[chosen], height=0.7, color=COLOURS[0])
    ax.bar_label(bars, [f"{weight:.1%}" for weight in weights[chosen]], padding=4)
    ax.axvline(1 / len(weights), color=INK, linewidth=1, linestyle="--", label="uniform attention")
    ax.set_yticks(places, [variables[at] for at in chosen])
    ax.set_ylim(len(chosen) - 0.5, -0.5)
    ax.margins(x=0.12)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set(xlabel="attention weight", ylabel="variable")
    ax.set_title(f"Attention by variable, most on {variables[chosen[0]]} ({weights.max():.1%})", loc="left")
    legend_beside(ax)
    return ax


def plot_entropy(
    entropy: npt.ArrayLike,
    *,
    query: Literal["horizon", "context", "variable"] = "horizon",
    freq: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws how spread attention is at each horizon step, from 0 (one row) to 1 (uniform).

    Args:
        entropy: `(horizon or query,)` or `(num_heads, horizon or query)`: entropy of the
            weights over the lags, divided by that of uniform attention.
        query: As in `plot_attention`.
        freq: As in `plot_attention`, for self-attention.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes: a line for each head, if there are several, and one for their mean.

    Raises:
        ValueError: If `entropy` has other axes or a value outside of [0, 1], or `query` is
            unknown.

    Example:

    >>> ax = plot_entropy([[0.5, 0.6], [0.9, 1.0]])
    >>> [line.get_label() for line in ax.lines]
    ['uniform attention', 'head 0', 'head 1', 'mean of 2 heads']
    """
    _check_query(query)
    entropy = np.asarray(entropy, dtype=np.float64)
    if entropy.ndim not in (1, 2) or not entropy.size:
        raise SettingError(
            f"`entropy` must be (horizon,) or (num_heads, horizon). Received: shape {entropy.shape}."
        )
    if not ((entropy >= 0) & (entropy <= 1 + 1e-6)).all():
        raise SettingError(
            "`entropy` must be from 0 to 1: divide it by the entropy of uniform attention, log(context_length). "
            f"Received: values from {entropy.min():.4g} to {entropy.max():.4g}."
        )
    heads = entropy if entropy.ndim == 2 else entropy[None]
    num_heads, num_queries = heads.shape
    ax = axes_for(ax, WIDE)
    if query == "horizon":
        unit, span, places, x_label = None, 0, np.arange(1, num_queries + 1), "horizon step"
    else:
        length, unit = _lag_unit(freq, num_queries)
        places, span = np.arange(num_queries)[::-1] * length, num_queries * length
        x_label = f"lag of the row that looks ({unit})"
    ax.axhline(1, color=INK, linewidth=1, linestyle="--", label="uniform attention")
    dots = markers(num_queries)
    if num_heads > 1:
        for head, values in enumerate(heads):
            ax.plot(places, values, **line_style(head), linewidth=1, label=f"head {head}", **dots)
    label = f"mean of {num_heads} heads" if num_heads > 1 else "attention"
    colour = INK if num_heads > 1 else COLOURS[0]
    ax.plot(places, heads.mean(axis=0), color=colour, linewidth=2.5, label=label, **dots)
    set_ticks(ax.xaxis, unit, span)
    if query == "context":
        ax.invert_xaxis()
    ax.set_ylim(0, 1.05)
    ax.set(xlabel=x_label, ylabel="entropy (1 = uniform)")
    ax.set_title(f"Spread of attention by {'horizon step' if query == 'horizon' else 'row'}", loc="left")
    legend_beside(ax)
    return ax


def plot_top_lags(
    counts: npt.ArrayLike, *, freq: str | None = None, most: int = 12, ax: Axes | None = None
) -> Axes:
    """Draws the lags that most often get the largest weight, the most frequent on top.

    Args:
        counts: Int `(context_length,)`: how often each lag is the first choice; index 0 is
            lag 0, the newest row.
        freq: pandas frequency of the rows, for lags in units of time.
        most: Int, 1 to 60: lags to draw at most. Lags that are never first are left out.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes, with the share of all counts written at each bar.

    Raises:
        ValueError: If `counts` has other axes, is negative or all zero.

    Example:

    >>> ax = plot_top_lags([6, 0, 0, 2], freq="D")
    >>> [text.get_text() for text in ax.get_yticklabels()], [text.get_text() for text in ax.texts]
    (['0', '3'], ['75.0%', '25.0%'])
    """
    counts = _check_vector(counts, "counts", "(context_length,), one count a lag, the newest row first")
    if (counts < 0).any() or not counts.sum():
        raise SettingError(
            "`counts` must be counts, none negative and at least one positive. Received: sum "
            f"{counts.sum():g}, smallest {counts.min():g}."
        )
    if isinstance(most, bool) or not isinstance(most, int | np.integer) or not 1 <= most <= _MOST_ROWS:
        raise SettingError(f"`most` must be an int from 1 to {_MOST_ROWS} (lags). Received: most={most!r}.")
    length, unit = _lag_unit(freq, len(counts))
    # Of equally frequent lags the newer comes first.
    chosen = np.argsort(-counts, kind="stable")[:most]
    chosen = chosen[counts[chosen] > 0]
    ax = axes_for(ax, (8, 1.3 + 0.3 * len(chosen)))
    places = np.arange(len(chosen))
    bars = ax.barh(places, counts[chosen], height=0.7, color=COLOURS[0])
    ax.bar_label(bars, [f"{share:.1%}" for share in counts[chosen] / counts.sum()], padding=4)
    ax.set_yticks(places, [f"{lag * length:g}" for lag in chosen])
    ax.set_ylim(len(chosen) - 0.5, -0.5)
    ax.margins(x=0.12)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    set_ticks(ax.xaxis, None, 0)
    ax.set(xlabel="times with the largest weight", ylabel=f"lag ({unit})")
    shown = f", the {len(chosen)} most frequent" if (counts > 0).sum() > len(chosen) else ""
    ax.set_title(f"First choice of attention{shown}", loc="left")
    return ax


def plot_head_distances(distances: npt.ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Draws how different the heads are from each other, with the numbers in the cells.

    Args:
        distances: `(num_heads, num_heads)`, symmetric, from 0 (the same) to 1 (nothing in
            common), such as Jensen-Shannon distances to base 2.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes, with a colour bar beside it.

    Raises:
        ValueError: If `distances` is not square and symmetric with values in [0, 1].

    Example:

    >>> ax = plot_head_distances([[0.0, 0.25], [0.25, 0.0]])
    >>> [text.get_text() for text in ax.texts]
    ['0.00', '0.25', '0.25', '0.00']
    """
    distances = np.asarray(distances, dtype=np.float64)
    if distances.ndim != 2 or distances.shape[0] != distances.shape[1] or not distances.size:
        raise SettingError(
            f"`distances` must be (num_heads, num_heads), a row and a column for each head. Received: shape "
            f"{distances.shape}."
        )
    inside = (distances >= 0) & (distances <= 1 + 1e-6)
    if not inside.all() or not np.allclose(distances, distances.T, atol=1e-6):
        raise SettingError(
            "`distances` must be symmetric, with values from 0 (the same) to 1. Received: values from "
            f"{distances.min():.4g} to {distances.max():.4g}, largest asymmetry "
            f"{np.abs(distances - distances.T).max():.4g}."
        )
    num_heads = len(distances)
    side = min(2.2 + 0.6 * num_heads, 9)
    ax = axes_for(ax, (side + 1.2, side))
    image = ax.imshow(distances, cmap="viridis", vmin=0, vmax=1)
    if num_heads <= 16:
        for row, column in np.ndindex(distances.shape):
            value = distances[row, column]
            # Light letters on the dark half of the scale.
            colour = "white" if value < 0.6 else "black"
            ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize="small")
    for axis in (ax.xaxis, ax.yaxis):
        set_ticks(axis, None, 0)
    ax.spines[["top", "right"]].set_visible(True)
    ax.set(xlabel="head", ylabel="head")
    ax.set_title("Distance between heads", loc="left")
    bar = ax.figure.colorbar(image, ax=ax, label="distance (0 = the same)")
    bar.outline.set_visible(False)
    return ax


def _check_weights(weights, shape):
    weights = _check_vector(weights, "weights", shape)
    if not np.isclose(weights.sum(), 1, atol=1e-3) or (weights < 0).any():
        raise SettingError(
            "`weights` must be weights of attention: none negative, summing to 1. Received: sum "
            f"{weights.sum():.4g}, smallest {weights.min():.4g}."
        )
    return weights


def _check_vector(values, name, shape):
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        what = "values that are not finite" if values.ndim == 1 and values.size else f"shape {values.shape}"
        raise SettingError(f"`{name}` must be {shape}. Received: {what}.")
    return values
