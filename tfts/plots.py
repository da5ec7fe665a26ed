"""Pictures: each function draws on `ax`, makes one when it is None, and returns it.

Nothing is shown or saved here, and no global setting is changed. An axes made here
belongs to pyplot, so that notebooks display it; a program that draws many passes its own
(`matplotlib.figure.Figure().subplots()`) or closes them with `pyplot.close`.
"""

import numpy as np
import pandas as pd

# Okabe and Ito's colours, told apart with every kind of colour vision, without the
# yellow, which is too pale for a line.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_DASHES = ("-", "--", ":", "-.")
_GREY, _INK = "#8A8F98", "#222222"

# Wide enough that a legend beside the data leaves it room.
_WIDE = (9, 4)

_UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "D": "days", "W": "weeks"}
_UNITS |= {"B": "business days", "MS": "months", "ME": "months", "QS": "quarters", "QE": "quarters"}
_UNITS |= {"YS": "years", "YE": "years"}

# Tick distances that people count in, where 1, 2, 5, 10 are not it.
_TICKS = {
    "hours": (1, 2, 3, 6, 12, 24, 48, 72, 168, 336, 672, 1344),
    "minutes": (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880),
}

_METRIC_LABELS = {
    "rmse": "RMSE",
    "mae": "MAE",
    "mse": "MSE",
    "mape": "MAPE (%)",
    "smape": "sMAPE (0 to 200)",
    "wape": "WAPE (%)",
    "mase": "MASE (1 = seasonal naive in-sample)",
    "r2": "R²",
    "bias": "Bias, forecast less actual",
}


def _axes(ax, figsize):
    if ax is None:
        from matplotlib import pyplot

        _, ax = pyplot.subplots(figsize=figsize, layout="constrained")
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(color=_GREY)
    return ax


def _style(number):
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": _DASHES[number // len(COLOURS) % len(_DASHES)],
    }


def _legend(ax):
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, frameon=False)


def _markers(num_points):
    """Dots as well where the points are few: a line through one point is invisible."""
    return {"marker": "o", "markersize": 3.5} if num_points <= 24 else {}


def _metric_label(metric, units):
    label = _METRIC_LABELS.get(metric, metric)
    return f"{label} ({units})" if units and metric in ("rmse", "mae", "bias") else label


def _metric_name(metric):
    return _METRIC_LABELS.get(metric, metric).split(" (")[0].split(",")[0]


def _column(table, name, which):
    if name not in table:
        raise ValueError(
            f"`table` needs a column {name!r} {which}. Its columns: {', '.join(map(str, table.columns))}."
        )


def plot_forecast(history, forecasts, actual=None, *, units=None, ax=None):
    """Draws forecasts beside what came before and what happened.

    Args:
        history: Series of the last rows up to the origin, indexed by time; its name is
            taken for the target's.
        forecasts: Dict from model name to Series over the horizon, or a DataFrame with
            one column for each model.
        actual: Series over the horizon, where the future is known.
        units: Str for the vertical axis, such as `"MW"`.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes: one line for the history, one for `actual`, one for each model.

    Raises:
        ValueError: If `history`, `actual` or a forecast is no Series or is empty.

    Example:

    >>> import pandas as pd
    >>> times = pd.date_range("2024-01-01", periods=6, freq="h")
    >>> load = pd.Series([3.0, 4.0, 3.0, 4.0, 3.0, 4.0], index=times, name="load")
    >>> ax = plot_forecast(load[:4], {"drift": load[4:] + 0.5}, actual=load[4:], units="MW")
    >>> ax.get_ylabel()
    'load (MW)'
    """
    from matplotlib import dates

    if isinstance(forecasts, pd.Series) or not hasattr(forecasts, "items"):
        raise ValueError(
            "`forecasts` must be a dict from model name to Series, or a DataFrame with one column for each "
            f"model, so that the lines have names. Received: {type(forecasts).__name__}."
        )
    given = [("`history`", history), *((f"Forecast {name!r}", series) for name, series in forecasts.items())]
    if actual is not None:
        given.append(("`actual`", actual))
    for name, series in given:
        if not isinstance(series, pd.Series) or series.empty:
            kind = "an empty Series" if isinstance(series, pd.Series) else type(series).__name__
            raise ValueError(
                f"{name} must be a pandas Series with at least one row, indexed by time. Received: {kind}."
            )

    ax = _axes(ax, _WIDE)
    ax.plot(history.index, history.to_numpy(), color=_GREY, linewidth=1.5, label="history")
    if actual is not None:
        ax.plot(
            actual.index,
            actual.to_numpy(),
            color=_INK,
            linewidth=2,
            label="actual",
            **_markers(len(actual)),
        )
    for number, (name, series) in enumerate(forecasts.items()):
        ax.plot(
            series.index,
            series.to_numpy(),
            **_style(number),
            linewidth=1.5,
            label=str(name),
            **_markers(len(series)),
        )
    origin = history.index[-1]
    ax.axvline(origin, color=_GREY, linewidth=0.8, linestyle=":")

    target = history.name if history.name is not None else "value"
    ax.set_ylabel(f"{target} ({units})" if units else str(target))
    if isinstance(history.index, pd.DatetimeIndex):
        # More than seven stamps such as 09:00 run into each other beside a long legend.
        locator = dates.AutoDateLocator(tz=history.index.tz, minticks=3, maxticks=7)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=history.index.tz))
        ax.set_xlabel(f"time ({history.index.tz})" if history.index.tz is not None else "time")
        midnight = origin == origin.normalize()
        origin = f"{origin:%Y-%m-%d}" if midnight else f"{origin:%Y-%m-%d %H:%M}"
    else:
        _ticks(ax.xaxis, None, 0)
        ax.set_xlabel("time step")
    ax.set_title(f"Forecast of {target} from {origin}", loc="left")
    _legend(ax)
    return ax


def _time_unit(freq):
    """`(rows' length, unit)`: `("15min")` gives `(15, "minutes")`."""
    if freq is None:
        return 1, "steps"
    offset = pd.tseries.frequencies.to_offset(freq)
    base = offset.rule_code.split("-")[0]
    return (offset.n, _UNITS[base]) if base in _UNITS else (1, f"steps of {freq}")


def _ticks(axis, unit, span):
    from matplotlib import ticker

    fitting = [step for step in _TICKS.get(unit, ()) if span / step <= 8]
    axis.set_major_locator(
        # One tick is enough: a single step or epoch has no fractions beside it.
        ticker.MultipleLocator(fitting[0]) if fitting else ticker.MaxNLocator(7, integer=True, min_n_ticks=1)
    )


def _draw_scores(ax, scores, query, freq, highest):
    length, unit = _time_unit(freq)
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
    _ticks(ax.xaxis, unit, context_length * length)
    _ticks(ax.yaxis, unit if query == "context" else None, abs(top - bottom))
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

    ax = _axes(ax, (8, 4))
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


def plot_metrics(table, metric="rmse", *, units=None, ax=None):
    """Draws one bar a model, the best on top.

    Args:
        table: DataFrame with a column `model` and one for the metric, one row a model.
        metric: Column to draw. r2 is best high, bias near 0, every other one low.
        units: Str, the target's units, for rmse, mae and bias.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes. A model whose value is NaN comes last, marked "no score".

    Raises:
        ValueError: If a column is missing, the table is empty or a model comes twice.

    Example:

    >>> import pandas as pd
    >>> table = pd.DataFrame({"model": ["persistence", "linear"], "rmse": [1.9, 0.2]})
    >>> ax = plot_metrics(table)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['linear', 'persistence']
    """
    _column(table, "model", "with the models' names")
    _column(table, metric, "to draw")
    if table.empty:
        raise ValueError("`table` has no rows, so there is nothing to draw.")
    twice = table["model"][table["model"].duplicated()]
    if len(twice):
        raise ValueError(
            f"Model {twice.iloc[0]!r} has several rows, but each bar is one model: pick the rows of one target "
            "or one seed, or average them first."
        )
    worse = {"r2": lambda values: -values, "bias": abs}.get(metric, lambda values: values)
    table = table.sort_values(metric, key=worse, kind="stable", na_position="last")
    values = table[metric].to_numpy(dtype=np.float64)

    ax = _axes(ax, (8, 1.3 + 0.36 * len(table)))
    places = np.arange(len(table))
    shown = np.nan_to_num(values)
    # Only the best is coloured: the eye should find it before it reads.
    colours = [COLOURS[0], *["#B8BEC8"] * (len(table) - 1)]
    bars = ax.barh(places, shown, height=0.7, color=colours)
    ax.bar_label(bars, ["no score" if np.isnan(value) else f"{value:.4g}" for value in values], padding=4)
    ax.set_yticks(places, table["model"].astype(str))
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.margins(x=0.12)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    if (shown < 0).any():
        ax.axvline(0, color=_GREY, linewidth=0.8)
    ax.set_xlabel(_metric_label(metric, units))
    best = {"r2": "higher is better", "bias": "nearer 0 is better"}.get(metric, "lower is better")
    ax.set_title(f"Models by {_metric_name(metric)}, {best}", loc="left")
    return ax


def plot_horizon_errors(table, metric="rmse", *, units=None, ax=None):
    """Draws how the error grows with the distance from the origin, one line a model.

    Args:
        table: DataFrame with the columns `model`, `step` (1 is the first forecast row)
            and the metric, as `ErrorSums.score(by="step")` gives it for each model.
        metric: Column to draw.
        units: Str, the target's units, for rmse, mae and bias.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes.

    Raises:
        ValueError: If a column is missing, the table is empty or a step comes twice.

    Example:

    >>> import pandas as pd
    >>> table = pd.DataFrame({"model": ["drift"] * 2, "step": [1, 2], "rmse": [0.5, 0.8]})
    >>> ax = plot_horizon_errors(table)
    >>> ax.lines[0].get_ydata().tolist()
    [0.5, 0.8]
    """
    _column(table, "model", "with the models' names")
    _column(table, "step", "with the horizon steps")
    _column(table, metric, "to draw")
    if table.empty:
        raise ValueError("`table` has no rows, so there is nothing to draw.")
    twice = table[table.duplicated(["model", "step"])]
    if len(twice):
        raise ValueError(
            f"Model {twice['model'].iloc[0]!r} has several rows for step {twice['step'].iloc[0]}, but a line has "
            "one value a step: pick the rows of one target or one seed, or average them first."
        )
    ax = _axes(ax, _WIDE)
    for number, (name, rows) in enumerate(table.groupby("model", sort=False)):
        rows = rows.sort_values("step")
        ax.plot(
            rows["step"].to_numpy(),
            rows[metric].to_numpy(),
            **_style(number),
            linewidth=1.5,
            label=str(name),
            **_markers(len(rows)),
        )
    _ticks(ax.xaxis, None, 0)
    if metric == "bias":
        ax.axhline(0, color=_GREY, linewidth=0.8)
    elif metric != "r2":
        ax.set_ylim(bottom=0)
    ax.set(xlabel="horizon step", ylabel=_metric_label(metric, units))
    ax.set_title(f"{_metric_name(metric)} by horizon step", loc="left")
    _legend(ax)
    return ax


def plot_history(history, *, ax=None):
    """Draws the loss of each epoch, and marks the epoch with the best validation loss.

    Args:
        history: What `model.fit` returns, its `.history` dict, or a DataFrame of the
            same columns, such as a CSVLogger's file.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes.

    Raises:
        ValueError: If there is no column `loss` or it is empty.

    Example:

    >>> ax = plot_history({"loss": [3.0, 2.0, 1.0], "val_loss": [3.0, 1.0, 2.0]})
    >>> [line.get_label() for line in ax.lines]
    ['training', 'validation', 'best: 1 at epoch 2']
    """
    losses = getattr(history, "history", history)
    if "loss" not in losses or not len(losses["loss"]):
        raise ValueError(
            "`history` must hold the `loss` of at least one epoch, as model.fit returns it. "
            f"Received: {', '.join(map(str, losses)) or 'nothing'}."
        )
    ax = _axes(ax, _WIDE)
    for number, (column, label) in enumerate({"loss": "training", "val_loss": "validation"}.items()):
        if column in losses:
            values = np.asarray(losses[column], dtype=np.float64)
            epochs = np.arange(1, len(values) + 1)
            ax.plot(epochs, values, **_style(number), linewidth=1.5, label=label, **_markers(len(values)))
            if column == "val_loss" and np.isfinite(values).any():
                best = int(np.nanargmin(values))
                ax.plot(
                    [best + 1],
                    [values[best]],
                    linestyle="none",
                    marker="o",
                    markersize=9,
                    markerfacecolor="none",
                    color=_INK,
                    label=f"best: {values[best]:.4g} at epoch {best + 1}",
                )
    _ticks(ax.xaxis, None, 0)
    ax.set(xlabel="epoch", ylabel="loss")
    ax.set_title("Loss by epoch", loc="left")
    _legend(ax)
    return ax
