"""Sums and products over all windows of a table, without the windows."""

import typing

import numpy as np

from tfts.data.holes import windows_to_learn

# Runs of fewer origins than this are multiplied out: it costs less than the recursion.
_SHORT = 64
# Origins of one run whose rows are held in float64 at once.
_BLOCK = 262_144
# Float64 values of flat windows that are held at once (128 MB).
_FLAT = 16_777_216
# Windows of single targets whose products are taken one by one.
_MOST = 65_536


class Moments(typing.NamedTuple):
    """Sums over windows of `length = context_length + horizon` rows, all float64.

    Of flat windows, `length` is that of the flat context and the flat horizon together, and
    `horizon` that of the flat horizon, see `flat_moments`.

    Attributes:
        count: Windows times targets; of flat windows their number alone.
        sums: `(length,)`, of the values of the targets.
        products: `(length, length)`, of pairs of them.
        known_sums: `(horizon, known)`, of the known columns in the rows of the horizon.
        known_products: `(horizon, known, known)`, of pairs of them in the same row.
        cross: `(length, horizon, known)`, of a target's value and a known column.
    """

    count: float
    sums: np.ndarray
    products: np.ndarray
    known_sums: np.ndarray
    known_products: np.ndarray
    cross: np.ndarray

    def __add__(self, other):
        return Moments(*(a + b for a, b in zip(self, other, strict=True)))


def window_moments(panel, spec, rows, targets):
    """The `Moments` of the windows at some origins, pooled over targets.

    The products of neighbouring windows differ by two rows only: with `N` windows of a
    series `x`, `P[i + 1, j + 1] = P[i, j] + x[N + i] x[N + j] - x[i] x[j]`. So they cost
    one row of correlations and a number of steps that does not depend on `N`.

    Args:
        panel: A `Panel`.
        spec: A `WindowSpec`.
        rows: Int `(windows,)`: ascending origins, as from `spec.origins(panel)`.
        targets: Names of the columns whose windows are pooled.

    Returns:
        `Moments`.
    """
    horizon, length = spec.horizon, spec.context_length + spec.horizon
    columns, known = panel.indices(targets), panel.indices(spec.known_columns(panel))
    total = empty_moments(length, horizon, len(known))
    firsts, counts = _runs(rows)
    for first, count in zip(firsts[counts >= _SHORT], counts[counts >= _SHORT], strict=True):
        begin = first - spec.context_length + 1
        part = slice(begin, begin + count + length - 1)
        values = panel.values[part][:, columns].astype(np.float64)
        ahead = panel.values[part][spec.context_length :, known].astype(np.float64)
        total += _recursive(values, ahead, count, length, horizon)
    # Short runs of one length, of which there may be many thousands, together.
    for count in np.unique(counts[counts < _SHORT]):
        same = firsts[counts == count, None] - spec.context_length + 1
        after, chunk = np.arange(count + length - 1), max(1, _FLAT // ((count + length) * len(columns)))
        for at in range(0, len(same), chunk):
            part = panel.values[same[at : at + chunk] + after]
            values, ahead = part[..., columns].astype(np.float64), part[:, spec.context_length :][..., known]
            total += _of_equal_runs(values, ahead.astype(np.float64), count, length, horizon)
    return total


def masked_moments(panel, spec, rows, targets):
    """As `window_moments`, of a panel with holes: what stands in their place depends on the window.

    Args:
        panel: A `Panel` with `masked`.
        spec: A `WindowSpec`.
        rows: Int `(windows,)`: origins, as from `spec.origins(panel)`.
        targets: Names of the columns whose windows are pooled.

    Returns:
        `Moments` of evenly chosen windows where there are very many.
    """
    rows, futures = windows_to_learn(panel, spec, rows)
    rows = rows[:: -(-len(rows) * len(targets) // _MOST)]
    at = [spec.target_columns(panel).index(target) for target in targets]
    known, length = spec.known_columns(panel), spec.context_length + spec.horizon
    total = empty_moments(length, spec.horizon, len(known))
    chunk, after = max(1, _FLAT // (length * panel.values.shape[1])), np.arange(1, spec.horizon + 1)
    for begin in range(0, len(rows), chunk):
        part = rows[begin : begin + chunk]
        whole = [spec.past(panel, part)[..., at], futures[part[:, None] + after][..., at]]
        whole = np.concatenate(whole, axis=1).astype(np.float64)
        ahead = np.zeros((len(part), spec.horizon, 0))
        if known:
            ahead = spec.known(panel, part)[:, spec.context_length :].astype(np.float64)
        flat = whole.transpose(0, 2, 1).reshape(-1, length)
        total += _products(flat, np.repeat(ahead, len(at), axis=0))
    return total


def flat_moments(panel, spec, rows):
    """The `Moments` of windows in which the columns stand side by side.

    Args:
        panel: A `Panel`.
        spec: A `WindowSpec`.
        rows: Int `(windows,)`: origins.

    Returns:
        `Moments` of rows that hold the context, `(context_length, features)` flat, and the
        horizon, `(horizon, targets)` flat; the known columns stand once for each target.
    """
    targets, known = spec.target_columns(panel), spec.known_columns(panel)
    rows, futures = windows_to_learn(panel, spec, rows)
    flat_horizon = spec.horizon * len(targets)
    length = spec.context_length * len(spec.features(panel)) + flat_horizon
    total = empty_moments(length, flat_horizon, len(known))
    chunk = max(1, _FLAT // length)
    after = np.arange(1, spec.horizon + 1)
    for at in range(0, len(rows), chunk):
        part = rows[at : at + chunk]
        future = futures[part[:, None] + after]
        flat = [values.reshape(len(part), -1) for values in (spec.past(panel, part), future)]
        ahead = np.zeros((len(part), spec.horizon, 0))
        if known:
            ahead = spec.known(panel, part)[:, spec.context_length :].astype(np.float64)
        ahead = np.repeat(ahead, len(targets), axis=1)
        total += _products(np.concatenate(flat, axis=1).astype(np.float64), ahead)
    return total


def empty_moments(length, horizon, known):
    """The `Moments` of no window."""
    return Moments(
        0.0,
        np.zeros(length),
        np.zeros((length, length)),
        np.zeros((horizon, known)),
        np.zeros((horizon, known, known)),
        np.zeros((length, horizon, known)),
    )


def _products(windows, ahead):
    return Moments(
        len(windows),
        windows.sum(axis=0),
        windows.T @ windows,
        ahead.sum(axis=0),
        np.einsum("nhk,nhj->hkj", ahead, ahead, optimize=True),
        np.einsum("ni,nhk->ihk", windows, ahead, optimize=True),
    )


def _runs(rows):
    """First origins and lengths of the runs of origins that follow each other row by row, two int arrays."""
    place = np.arange(len(rows))
    begins = np.flatnonzero(np.diff(rows, prepend=-2) != 1) if len(rows) else place
    # A long run is cut, so that its rows are not all held in float64 at once.
    cut = (place - np.repeat(begins, np.diff(begins, append=len(rows)))) % _BLOCK == 0
    begins = np.flatnonzero(cut)
    return rows[begins], np.diff(begins, append=len(rows))


def _of_equal_runs(values, ahead, count, length, horizon):
    """The `Moments` of runs `(runs, rows, targets)` of so many origins each: products of whole runs first."""
    targets, summed = values.shape[2], values.sum(axis=2)
    flat = np.moveaxis(values, 2, 1).reshape(-1, values.shape[1])
    products, sums = flat.T @ np.array(flat), flat.sum(axis=0)
    cross = np.einsum("ni,nhk->ihk", summed, ahead, optimize=True)
    pairs = np.einsum("nhk,nhj->hkj", ahead, ahead, optimize=True)
    starts = range(count)
    return Moments(
        len(flat) * count,
        sum(sums[i : i + length] for i in starts),
        sum(products[i : i + length, i : i + length] for i in starts),
        sum(ahead.sum(axis=0)[i : i + horizon] for i in starts) * targets,
        sum(pairs[i : i + horizon] for i in starts) * targets,
        sum(cross[i : i + length, i : i + horizon] for i in starts),
    )


def _recursive(values, ahead, count, length, horizon):
    targets, width = values.shape[1], ahead.shape[1]
    summed = values.sum(axis=1)
    first = sum(np.correlate(column, column[:count], "valid") for column in values.T)
    begin, end = values[: length - 1], values[count : count + length - 1]
    products = _along_diagonals(first, first, end @ end.T - begin @ begin.T)
    cross = np.empty((length, horizon, width))
    known_sums = np.empty((horizon, width))
    known_products = np.empty((horizon, width, width))
    for k in range(width):
        column = ahead[:, k]
        steps = np.outer(summed[count:], column[count:]) - np.outer(
            summed[: length - 1], column[: horizon - 1]
        )
        cross[:, :, k] = _along_diagonals(
            np.correlate(column, summed[:count], "valid"),
            np.correlate(summed, column[:count], "valid"),
            steps,
        )
        known_sums[:, k] = _window_sums(column, count) * targets
        for j in range(k + 1):
            product = _window_sums(column * ahead[:, j], count) * targets
            known_products[:, k, j] = known_products[:, j, k] = product
    return Moments(count * targets, _window_sums(summed, count), products, known_sums, known_products, cross)


def _along_diagonals(first_row, first_column, steps):
    """The matrix whose entries differ from their upper left neighbours by `steps`."""
    matrix = np.empty((len(first_column), len(first_row)))
    matrix[:, 0], matrix[0] = first_column, first_row
    for i, step in enumerate(steps):
        np.add(matrix[i, :-1], step, out=matrix[i + 1, 1:])
    return matrix


def _window_sums(values, count):
    """Sum of `count` rows from each row on."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return sums[count:] - sums[: len(sums) - count]
