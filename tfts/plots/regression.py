"""Pictures of regression: the way down, the fit, the border, the mistakes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tfts.errors import DataError, SettingError
from tfts.plots._parts import COLOURS, GREY, INK, WIDE, as_written, axes_for, legend_beside, line_style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


# Told apart in grey, too.
_MARKS = ("o", "^", "s", "D", "v", "P", "X", "*")
_SQUARE = (6.5, 5)


def plot_cost_surface(
    cost: Callable[[npt.NDArray[np.float64]], npt.ArrayLike],
    path: npt.ArrayLike,
    *,
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws the cost over one or two weights, and the way that a descent took.

    Args:
        cost: Function of weights `(points, num_weights)` that gives `(points,)`, such as
            `lambda weights: model.cost(X, y, weights)`.
        path: `(epochs, num_weights)`, the weights after each epoch, the start first, such
            as `model.history_["weights"][:, :, 0]`; one or two weights. The picture is
            large enough to show all of it.
        names: Names of the weights. By default `w1`, `w2`.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes: a curve over one weight, contours over two.

    Raises:
        ValueError: If there are not one or two weights, or the path is not finite.

    Example:

    >>> ax = plot_cost_surface(lambda w: (w[:, 0] - 3) ** 2, [[0.0], [1.5], [2.25]], names=["slope"])
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('slope', 'cost')
    """
    path = np.asarray(path, dtype=np.float64)
    if path.ndim != 2 or path.shape[1] not in (1, 2) or not len(path) or not np.isfinite(path).all():
        raise SettingError(
            "`path` must be finite and (epochs, num_weights) with one or two weights, because more can't be "
            f"drawn. Received: shape {path.shape}."
        )
    count = path.shape[1]
    names = [f"w{i + 1}" for i in range(count)] if names is None else list(names)
    if len(names) != count:
        raise SettingError(f"`names` must name {count} weights. Received: {names}.")
    grids = [_around(path[:, i]) for i in range(count)]
    costs = np.asarray(cost(path), dtype=np.float64)
    ax = axes_for(ax, WIDE if count == 1 else _SQUARE)
    if count == 1:
        ax.plot(grids[0], cost(grids[0][:, None]), color=GREY, linewidth=1.5, label="cost")
        ax.plot(path[:, 0], costs, color=COLOURS[1], linewidth=1, marker="o", markersize=4, label="descent")
        ax.set(xlabel=names[0], ylabel="cost")
        ends = path[[0, -1], 0], costs[[0, -1]]
    else:
        across, up = np.meshgrid(*grids)
        heights = np.asarray(cost(np.column_stack([across.ravel(), up.ravel()]))).reshape(across.shape)
        lowest = min(heights.min(), costs.min())
        # A bowl has most of its lines on its walls: levels that grow with the square show its floor.
        levels = np.unique(lowest + (heights.max() - lowest) * np.linspace(0, 1, 16) ** 2)
        drawn = ax.contourf(across, up, heights, levels=levels, cmap="Greys", alpha=0.6, extend="max")
        ax.contour(across, up, heights, levels=levels, colors=GREY, linewidths=0.6)
        ax.plot(
            path[:, 0], path[:, 1], color=COLOURS[1], linewidth=1.3, marker="o", markersize=3, label="descent"
        )
        ax.figure.colorbar(drawn, ax=ax, label="cost", format="%.3g").outline.set_visible(False)
        ax.set(xlabel=names[0], ylabel=names[1])
        ends = path[[0, -1], 0], path[[0, -1], 1]
    ax.plot(ends[0][:1], ends[1][:1], linestyle="none", marker="s", markersize=8, color=INK, label="start")
    ax.plot(
        ends[0][1:],
        ends[1][1:],
        linestyle="none",
        marker="*",
        markersize=15,
        color=COLOURS[0],
        label=f"epoch {len(path) - 1}",
    )
    ax.legend(loc="best", framealpha=0.9, edgecolor="none")
    ax.set_title(f"Cost {costs[0]:.4g} to {costs[-1]:.4g} in {len(path) - 1} epochs", loc="left")
    return ax


def _around(values):
    """101 places that reach as far past the way's end as the way was long."""
    last, reach = values[-1], np.abs(values - values[-1]).max()
    reach = reach or max(abs(last), 1.0)
    return np.linspace(last - 1.2 * reach, last + 1.2 * reach, 101)


def plot_fit(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    fits: Mapping[str, Callable[[npt.NDArray[np.float64]], npt.ArrayLike]],
    *,
    x_name: str = "x",
    y_name: str = "y",
    units: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws one feature, the target, and what one or more models make of it.

    Args:
        x: `(rows,)` or `(rows, 1)`.
        y: `(rows,)`, the target, or 0 and 1 beside probabilities.
        fits: Dict from name to function of `(points, 1)` that gives `(points,)`, such as
            `{"linear": model.predict}`.
        x_name: Str for the horizontal axis.
        y_name: Str for the vertical axis.
        units: Str for the vertical axis, such as `"$1000"`.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes: dots for the rows, one line for each fit.

    Raises:
        ValueError: If `x` and `y` are not alike in length, or `fits` is no dict.

    Example:

    >>> ax = plot_fit([800, 1350], [200, 262], {"guess": lambda x: 100 + 0.12 * x[:, 0]}, y_name="price", units="$1000")
    >>> ax.get_ylabel(), [line.get_label() for line in ax.lines]
    ('price ($1000)', ['rows', 'guess'])
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim > 2 or x.size != len(x) or x.size != y.size or not x.size:
        raise SettingError(
            "`x` must be one feature, (rows,) or (rows, 1), and `y` its targets (rows,). "
            f"Received: x {x.shape}, y {y.shape}."
        )
    if not hasattr(fits, "items"):
        raise SettingError(
            "`fits` must be a dict from name to function, so that the lines have names. "
            f"Received: {type(fits).__name__}."
        )
    x, y = x.ravel(), y.ravel()
    x_name, y_name = as_written(x_name), as_written(y_name)
    ax = axes_for(ax, WIDE)
    # Many dots hide each other unless they let light through.
    alpha = 1.0 if len(x) < 200 else 0.35
    ax.plot(x, y, linestyle="none", marker="o", markersize=5, color=INK, alpha=alpha, label="rows")
    spread = np.ptp(x) or max(abs(x[0]), 1.0)
    many = np.linspace(x.min() - 0.05 * spread, x.max() + 0.05 * spread, 201)
    for number, (name, fit) in enumerate(fits.items()):
        # Lines of different dashes, because in grey two colours look alike.
        style = {**line_style(number), "linestyle": ("-", "--", ":", "-.")[number % 4]}
        ax.plot(
            many, np.asarray(fit(many[:, None])).reshape(-1), **style, linewidth=1.8, label=as_written(name)
        )
    ax.set(xlabel=x_name, ylabel=f"{y_name} ({units})" if units else y_name)
    ax.set_title(f"{y_name} by {x_name}, {len(x)} rows", loc="left")
    legend_beside(ax)
    return ax


def plot_decision_boundary(
    X: npt.ArrayLike | pd.DataFrame,
    y: npt.ArrayLike,
    predict: Callable[[npt.NDArray[np.float64]], npt.ArrayLike],
    *,
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws the class of every place in the plane of two features, and the rows in it.

    Args:
        X: `(rows, 2)`.
        y: `(rows,)`, labels; at most 6 different ones.
        predict: Function of `(points, 2)` that gives labels, such as `model.predict`.
        names: Names of the two features. By default those of a DataFrame, or `x1`, `x2`.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes: an area for each class, a mark for each row.

    Raises:
        ValueError: If there are not two features, or more than 6 classes.

    Example:

    >>> X = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    >>> ax = plot_decision_boundary(X, ["low", "low", "high", "high"],
    ...                             lambda points: np.where(points[:, 1] > 0.5, "high", "low"))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['high', 'low']
    """
    from matplotlib import colors

    if names is None:
        names = list(getattr(X, "columns", ("x1", "x2")))
    X, y = np.asarray(X, dtype=np.float64), np.asarray(y)
    if X.ndim != 2 or X.shape[1] != 2 or len(X) != len(y) or not len(X):
        raise SettingError(
            f"`X` must be (rows, 2) and `y` (rows,), because a plane has two features. Received: X {X.shape}, y "
            f"{y.shape}."
        )
    labels = np.unique(y)
    if len(labels) > len(COLOURS):
        raise DataError(
            f"At most {len(COLOURS)} classes can be told apart by colour. Received: {len(labels)} classes."
        )
    margin = 0.08 * np.where(np.ptp(X, axis=0) > 0, np.ptp(X, axis=0), 1.0)
    sides = [
        np.linspace(low, high, 240) for low, high in zip(X.min(0) - margin, X.max(0) + margin, strict=True)
    ]
    across, up = np.meshgrid(*sides)
    found = np.asarray(predict(np.column_stack([across.ravel(), up.ravel()])))
    codes = np.searchsorted(labels, found).clip(0, len(labels) - 1).reshape(across.shape)
    ax = axes_for(ax, _SQUARE)
    edges = np.arange(len(labels) + 1) - 0.5
    ax.contourf(
        across, up, codes, levels=edges, colors=[colors.to_rgba(c, 0.22) for c in COLOURS[: len(labels)]]
    )
    if len(labels) > 1:
        ax.contour(across, up, codes, levels=edges[1:-1], colors=INK, linewidths=1.0)
    for code, label in enumerate(labels):
        of = y == label
        ax.plot(
            X[of, 0],
            X[of, 1],
            linestyle="none",
            marker=_MARKS[code],
            markersize=5,
            markeredgecolor=INK,
            markeredgewidth=0.5,
            color=COLOURS[code],
            label=as_written(label),
        )
    right = float((np.asarray(predict(X)) == y).mean())
    ax.set(xlabel=as_written(names[0]), ylabel=as_written(names[1]))
    ax.set_title(f"Decision boundary, {right:.1%} of {len(X)} rows right", loc="left")
    legend_beside(ax)
    return ax


def plot_confusion(
    actual: npt.ArrayLike,
    predicted: npt.ArrayLike,
    *,
    labels: Sequence[Hashable] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws how often each class was taken for each.

    Args:
        actual: `(rows,)`, labels.
        predicted: `(rows,)`, labels.
        labels: The classes in the order of the picture. By default all that occur, sorted.
        ax: Axes to draw on. By default a new one.

    Returns:
        The axes: a row for each actual class with its counts; the darker, the larger the
        share of the row.

    Raises:
        ValueError: If the lengths differ or a label is not among `labels`.

    Example:

    >>> ax = plot_confusion(["cat", "cat", "dog"], ["cat", "dog", "dog"])
    >>> [text.get_text() for text in ax.texts]
    ['1', '1', '0', '1']
    """
    actual, predicted = np.asarray(actual), np.asarray(predicted)
    if actual.ndim != 1 or actual.shape != predicted.shape or not actual.size:
        raise SettingError(
            "`actual` and `predicted` must be (rows,) and hold at least one label. Received: "
            f"actual {actual.shape}, predicted {predicted.shape}."
        )
    labels = np.unique(np.concatenate([actual, predicted])) if labels is None else np.asarray(labels)
    places = {label: place for place, label in enumerate(labels.tolist())}
    for label in (*actual.tolist(), *predicted.tolist()):
        if label not in places:
            raise DataError(f"Label {label!r} is not among `labels`, {labels.tolist()}.")
    counts = np.zeros((len(labels), len(labels)), dtype=int)
    np.add.at(counts, ([places[v] for v in actual.tolist()], [places[v] for v in predicted.tolist()]), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    size = 2.6 + 0.55 * len(labels)
    ax = axes_for(ax, (size + 1.2, size))
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        ink = "white" if shares[row, column] > 0.55 else INK
        ax.text(column, row, str(counts[row, column]), ha="center", va="center", color=ink)
    long = max(len(str(label)) for label in labels) > 4
    ax.set_xticks(
        range(len(labels)),
        [as_written(v) for v in labels],
        rotation=45 if long else 0,
        ha="right" if long else "center",
    )
    ax.set_yticks(range(len(labels)), [as_written(v) for v in labels])
    ax.set(xlabel="predicted", ylabel="actual")
    ax.set_title(f"{(actual == predicted).mean():.1%} of {len(actual)} rows right", loc="left")
    ax.figure.colorbar(image, ax=ax, label="share of the actual class").outline.set_visible(False)
    return ax
