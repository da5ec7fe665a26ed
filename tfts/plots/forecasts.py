"""Pictures of forecasts, of their scores and of training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tfts.errors import DataError, SettingError
from tfts.plots._parts import (
    COLOURS,
    GREY,
    INK,
    WIDE,
    as_written,
    axes_for,
    check_column,
    legend_beside,
    line_style,
    markers,
    set_ticks,
    time_axis,
)
from tfts.plots.uncertainty import draw_fan

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    "pinball": "Pinball loss",
    "wql": "Weighted quantile loss",
    "crps": "CRPS of the quantiles",
    "sql": "Scaled quantile loss",
    "coverage": "Share of the values inside the interval",
    "skill": "Skill (1 - RMSE / RMSE of the yardstick)",
}


def _metric_label(metric, units):
    label = _METRIC_LABELS.get(metric, as_written(metric))
    return f"{label} ({as_written(units)})" if units and metric in ("rmse", "mae", "bias") else label


def _metric_name(metric):
    return _METRIC_LABELS.get(metric, as_written(metric)).split(" (")[0].split(",")[0]


def plot_forecast(
    history: pd.Series,
    forecasts: Mapping[str, pd.Series] | pd.DataFrame,
    actual: pd.Series | None = None,
    *,
    quantiles: Mapping[str, pd.DataFrame] | None = None,
    units: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws forecasts beside what came before and what happened.

    Args:
        history: Series of the last rows up to the origin, indexed by time; its name is
            taken for the target's.
        forecasts: Dict from model name to Series over the horizon, or a DataFrame with
            one column for each model.
        actual: Series over the horizon, where the future is known.
        quantiles: Dict from model name to a DataFrame over the horizon with levels as columns, whose
            central intervals are shaded.
        units: Str for the vertical axis, such as `"MW"`.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes: one line for the history, one for `actual`, one for each model and its intervals.

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
    if isinstance(forecasts, pd.Series) or not hasattr(forecasts, "items"):
        raise SettingError(
            "`forecasts` must be a dict from model name to Series, or a DataFrame with one column for each "
            f"model, so that the lines have names. Received: {type(forecasts).__name__}."
        )
    given = [("`history`", history), *((f"Forecast {name!r}", series) for name, series in forecasts.items())]
    if actual is not None:
        given.append(("`actual`", actual))
    for name, series in given:
        if not isinstance(series, pd.Series) or series.empty:
            kind = "an empty Series" if isinstance(series, pd.Series) else type(series).__name__
            raise DataError(
                f"{name} must be a pandas Series with at least one row, indexed by time. Received: {kind}."
            )

    ax = axes_for(ax, WIDE)
    ax.plot(history.index, history.to_numpy(), color=GREY, linewidth=1.5, label="history")
    if actual is not None:
        ax.plot(
            actual.index,
            actual.to_numpy(),
            color=INK,
            linewidth=2,
            label="actual",
            **markers(len(actual)),
        )
    for number, (name, series) in enumerate(forecasts.items()):
        style = line_style(number)
        ax.plot(
            series.index,
            series.to_numpy(),
            **style,
            linewidth=1.5,
            label=as_written(name),
            **markers(len(series)),
        )
        if quantiles is not None and name in quantiles:
            draw_fan(ax, quantiles[name], style["color"])
    origin = history.index[-1]
    ax.axvline(origin, color=GREY, linewidth=0.8, linestyle=":")

    target = as_written("value" if history.name is None else history.name)
    ax.set_ylabel(f"{target} ({as_written(units)})" if units else target)
    if isinstance(history.index, pd.DatetimeIndex):
        time_axis(ax, history.index.tz)
        midnight = origin == origin.normalize()
        origin = f"{origin:%Y-%m-%d}" if midnight else f"{origin:%Y-%m-%d %H:%M}"
    else:
        set_ticks(ax.xaxis, None, 0)
        ax.set_xlabel("time step")
    ax.set_title(f"Forecast of {target} from {origin}", loc="left")
    legend_beside(ax)
    return ax


def plot_metrics(
    table: pd.DataFrame, metric: str = "rmse", *, units: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draws one bar a model, the best on top.

    Args:
        table: DataFrame with a column `model` and one for the metric, one row a model. Where it
            has a column `best`, what is marked there is coloured, otherwise the first.
        metric: Column to draw. r2 and skill are best high, bias near 0, every other one low.
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
    check_column(table, "model", "with the models' names")
    check_column(table, metric, "to draw")
    if table.empty:
        raise SettingError("`table` has no rows, so there is nothing to draw.")
    twice = table["model"][table["model"].duplicated()]
    if len(twice):
        raise DataError(
            f"Model {twice.iloc[0]!r} has several rows, but each bar is one model: pick the rows of one target "
            "or one seed, or average them first."
        )
    best_high = metric in ("r2", "skill")
    worse = abs if metric == "bias" else lambda values: -values if best_high else values
    table = table.sort_values(metric, key=worse, kind="stable", na_position="last")
    values = table[metric].to_numpy(dtype=np.float64)

    ax = axes_for(ax, (8, 1.3 + 0.36 * len(table)))
    places = np.arange(len(table))
    shown = np.nan_to_num(values)
    # Only the best is coloured: the eye should find it before it reads.
    is_best = table["best"].fillna("") != "" if "best" in table else places == 0
    colours = [COLOURS[0] if coloured else "#B8BEC8" for coloured in is_best]
    bars = ax.barh(places, shown, height=0.7, color=colours)
    ax.bar_label(bars, ["no score" if np.isnan(value) else f"{value:.4g}" for value in values], padding=4)
    ax.set_yticks(places, table["model"].map(as_written))
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.margins(x=0.12)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    if (shown < 0).any():
        ax.axvline(0, color=GREY, linewidth=0.8)
    ax.set_xlabel(_metric_label(metric, units))
    best = (
        "higher is better" if best_high else "nearer 0 is better" if metric == "bias" else "lower is better"
    )
    ax.set_title(f"Models by {_metric_name(metric)}, {best}", loc="left")
    return ax


def plot_horizon_errors(
    table: pd.DataFrame, metric: str = "rmse", *, units: str | None = None, ax: Axes | None = None
) -> Axes:
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
    check_column(table, "model", "with the models' names")
    check_column(table, "step", "with the horizon steps")
    check_column(table, metric, "to draw")
    if table.empty:
        raise SettingError("`table` has no rows, so there is nothing to draw.")
    twice = table[table.duplicated(["model", "step"])]
    if len(twice):
        raise DataError(
            f"Model {twice['model'].iloc[0]!r} has several rows for step {twice['step'].iloc[0]}, but a line has "
            "one value a step: pick the rows of one target or one seed, or average them first."
        )
    ax = axes_for(ax, WIDE)
    for number, (name, rows) in enumerate(table.groupby("model", sort=False)):
        rows = rows.sort_values("step")
        ax.plot(
            rows["step"].to_numpy(),
            rows[metric].to_numpy(),
            **line_style(number),
            linewidth=1.5,
            label=as_written(name),
            **markers(len(rows)),
        )
    set_ticks(ax.xaxis, None, 0)
    if metric == "bias":
        ax.axhline(0, color=GREY, linewidth=0.8)
    elif metric not in ("r2", "skill"):
        ax.set_ylim(bottom=0)
    ax.set(xlabel="horizon step", ylabel=_metric_label(metric, units))
    ax.set_title(f"{_metric_name(metric)} by horizon step", loc="left")
    legend_beside(ax)
    return ax


def plot_history(history: Any, metric: str = "loss", *, ax: Axes | None = None) -> Axes:
    """Draws the loss of each epoch, and marks the epoch with the best validation loss.

    Args:
        history: What `model.fit` returns, its `.history` dict, a DataFrame of the same
            columns, such as a CSVLogger's file, or `history_` of a regression.
        metric: Column to draw, best low, with its `val_` column if there is one.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes.

    Raises:
        ValueError: If there is no such column or it is empty.

    Example:

    >>> ax = plot_history({"loss": [3.0, 2.0, 1.0], "val_loss": [3.0, 1.0, 2.0]})
    >>> [line.get_label() for line in ax.lines]
    ['training', 'validation', 'best: 1 at epoch 2']
    """
    losses = _losses(history, "`history`", metric)
    ax = axes_for(ax, WIDE)
    for number, (column, label) in enumerate({metric: "training", f"val_{metric}": "validation"}.items()):
        if column in losses:
            values = np.asarray(losses[column], dtype=np.float64)
            epochs = np.arange(1, len(values) + 1)
            ax.plot(epochs, values, **line_style(number), linewidth=1.5, label=label, **markers(len(values)))
            if label == "validation" and np.isfinite(values).any():
                best = int(np.nanargmin(values))
                ax.plot(
                    [best + 1],
                    [values[best]],
                    linestyle="none",
                    marker="o",
                    markersize=9,
                    markerfacecolor="none",
                    color=INK,
                    label=f"best: {values[best]:.4g} at epoch {best + 1}",
                )
    set_ticks(ax.xaxis, None, 0)
    name = metric.replace("_", " ")
    ax.set(xlabel="epoch", ylabel=name)
    ax.set_title(f"{name.capitalize()} by epoch", loc="left")
    legend_beside(ax)
    return ax


def plot_histories(histories: Mapping[str, Any], *, ax: Axes | None = None) -> Axes:
    """Draws the loss of each epoch of several models.

    Args:
        histories: Dict from model name to a history as in `plot_history`.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes: for each model a line with the validation loss, or the training loss
        where nothing was validated, and a ring around its best epoch.

    Raises:
        ValueError: If there is no model, or one has no `loss`.

    Example:

    >>> ax = plot_histories({"linear": {"loss": [3.0, 2.0], "val_loss": [3.5, 2.5]}, "deep": {"loss": [1.0]}})
    >>> ax.get_legend_handles_labels()[1]
    ['linear', 'deep (training)', 'best epoch']
    """
    if not len(histories):
        raise SettingError("`histories` must hold at least one model. Received: none.")
    losses = {name: _losses(history, f"The history of {name!r}") for name, history in histories.items()}
    validated = all("val_loss" in table for table in losses.values())
    ax = axes_for(ax, WIDE)
    rings = []
    for number, (name, table) in enumerate(losses.items()):
        column = "val_loss" if "val_loss" in table else "loss"
        values = np.asarray(table[column], dtype=np.float64)
        label = as_written(name) + (" (training)" if column == "loss" else "")
        epochs = np.arange(1, len(values) + 1)
        ax.plot(epochs, values, **line_style(number), linewidth=1.5, label=label, **markers(len(values)))
        if np.isfinite(values).any():
            best = int(np.nanargmin(values))
            rings.append((best + 1, values[best]))
    if rings:
        ax.plot(
            *zip(*rings, strict=True),
            linestyle="none",
            marker="o",
            markersize=9,
            markerfacecolor="none",
            color=INK,
            label="best epoch",
        )
    set_ticks(ax.xaxis, None, 0)
    ax.set(xlabel="epoch", ylabel="validation loss" if validated else "loss")
    ax.set_title("Loss by epoch", loc="left")
    legend_beside(ax)
    return ax


def _losses(history, what, metric="loss"):
    losses = getattr(history, "history", history)
    if metric not in losses or not len(losses[metric]):
        raise SettingError(
            f"{what} must hold the `{metric}` of at least one epoch, as model.fit returns it. "
            f"Received: {', '.join(map(str, losses)) or 'nothing'}."
        )
    return losses
