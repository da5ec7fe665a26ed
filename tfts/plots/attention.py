"""Pictures of attention weights."""

import numpy as np

from tfts._units import time_unit
from tfts.plots._parts import axes_for, set_ticks


def _draw_scores(ax, scores, query, freq, highest):
    length, unit = time_unit(freq)
    num_queries, context_length = scores.shape
    if unit == "minutes" and context_length * length > 360:
        length, unit = length / 60, "hours"
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
    set_ticks(ax.xaxis, unit, context_length * length)
    set_ticks(ax.yaxis, unit if query == "context" else None, abs(top - bottom))
    ax.spines[["top", "right"]].set_visible(True)
    y_label = "horizon step" if query == "horizon" else f"lag of the row that looks ({unit})"
    return image, f"lag before the forecast origin ({unit})", y_label


def _check_scores(scores, axes, shape, query):
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim not in axes or not scores.size:
        raise ValueError(
            f"`scores` must be {shape}: pick one window, as in scores[0], or average over the windows. "
            f"Received: shape {scores.shape}."
        )
    if query not in ("horizon", "context"):
        raise ValueError(
            "`query` must be 'horizon' (rows are horizon steps) or 'context' (self-attention, rows are "
            f"lags). Received: query={query!r}."
        )
    return scores


def plot_attention(scores, head=None, *, query="horizon", freq=None, ax=None):
    """Draws where attention looks, as a heat map with the newest row on the right.

    Args:
        scores: `(num_heads, horizon or query, context_length)` of one window, or without
            the axis of heads.
        head: Int of the head to draw. By default the mean over the heads.
        query: `"horizon"` if the rows are horizon steps, `"context"` for self-attention,
            whose rows are the context itself.
        freq: pandas frequency of the rows, such as `"h"`, for lags in units of time. By
            default lags are in steps.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes, with a colour bar beside it.

    Raises:
        ValueError: If `scores` has other axes, or there is no such head or query.

    Example:

    >>> import numpy as np
    >>> ax = plot_attention(np.full((2, 3, 5), 0.2), head=1, freq="h")
    >>> ax.get_xlabel()
    'lag before the forecast origin (hours)'
    """
    scores = _check_scores(scores, (2, 3), "(num_heads, query, context_length)", query)
    num_heads = scores.shape[0] if scores.ndim == 3 else 0
    if head is not None and not 0 <= head < num_heads:
        raise ValueError(
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

    ax = axes_for(ax, (8, 4))
    image, x_label, y_label = _draw_scores(ax, scores, query, freq, scores.max())
    ax.set(xlabel=x_label, ylabel=y_label)
    ax.set_title(title, loc="left")
    bar = ax.figure.colorbar(image, ax=ax, label="attention weight")
    bar.outline.set_visible(False)
    return ax


def plot_attention_heads(scores, *, query="horizon", freq=None):
    """Draws every head of one window on one colour scale, so that heads can be compared.

    Args:
        scores: `(num_heads, horizon or query, context_length)` of one window.
        query: As in `plot_attention`.
        freq: As in `plot_attention`.

    Returns:
        The figure, with one axes for each head and one colour bar.

    Raises:
        ValueError: If `scores` has other axes, or `query` is unknown.

    Example:

    >>> import numpy as np
    >>> figure = plot_attention_heads(np.full((2, 3, 5), 0.2))
    >>> [ax.get_title(loc="left") for ax in figure.axes[:2]]
    ['head 0', 'head 1']
    """
    from matplotlib import pyplot

    scores = _check_scores(scores, (3,), "(num_heads, query, context_length)", query)
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
        image, x_label, y_label = _draw_scores(ax, scores[head], query, freq, scores.max())
        ax.set_title(f"head {head}", loc="left")
        if head + num_columns >= num_heads:
            ax.tick_params(labelbottom=True)
    for unused in cells[num_heads:]:
        unused.remove()
    figure.supxlabel(x_label, fontsize="medium")
    figure.supylabel(y_label, fontsize="medium")
    bar = figure.colorbar(image, ax=list(cells[:num_heads]), label="attention weight")
    bar.outline.set_visible(False)
    return figure
