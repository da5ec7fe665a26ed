"""The units of each value in a window: what a metric needs where not all windows have the same ones."""

import numpy as np


def needs_window_units(scaler, *panels):
    """Whether metrics need the units of each window.

    They do where series have scales of their own, and where values were filled, which are
    not scored. Values that stay missing need none: they are NaN.

    Args:
        scaler: Fitted `Scaler`.
        *panels: `Panel`s that windows come from, or `None`.

    Example:

    >>> import pandas as pd
    >>> from tfts.data.panel import Panel
    >>> from tfts.data.scaling import Scaler
    >>> panel = Panel.from_frame(pd.DataFrame({"a": [0.0, 2.0]}, index=pd.date_range("2024-01-01", periods=2)))
    >>> needs_window_units(Scaler().fit(panel), panel)
    False
    >>> needs_window_units(Scaler(per_series=True).fit(panel), panel)
    True
    """
    return bool(scaler.series_scale) or any(
        _holds_filled(panel) for panel in panels if panel is not None and not panel.masked
    )


def window_units(scaler, panel, horizon, units):
    """A function from origins to the units of the values after them.

    Args:
        scaler: Fitted `Scaler`.
        panel: `Panel` that the windows come from.
        horizon: Rows forecast.
        units: Float `(targets,)`: what errors of each target are measured in.

    Returns:
        Function of int `(batch,)` that gives float32 `(batch, 2, horizon, targets)`: offset and
        scale, as the metrics of `keras_metrics` take them. The scale of a value that was
        filled is NaN.

    Example:

    >>> import pandas as pd
    >>> from tfts.data.panel import Panel
    >>> from tfts.data.scaling import Scaler
    >>> days = pd.date_range("2024-01-01", periods=2)
    >>> frame = pd.DataFrame({"a": [0.0, 2.0, 10.0, 40.0], "store": [1, 1, 2, 2]}, index=[*days, *days])
    >>> panel = Panel.from_frame(frame, series="store")
    >>> of = window_units(Scaler("minmax", per_series=True).fit(panel), panel, 1, np.ones(1))
    >>> of([0, 2]).numpy().squeeze().tolist()
    [[0.0, 2.0], [10.0, 30.0]]
    """
    import tensorflow as tf

    pairs = np.stack([scaler.affine(name, panel.targets) for name in panel.series])
    offset, scale = pairs[:, 0], pairs[:, 1]
    # Of logarithms a unit is taken away; the scale of their errors stays.
    pairs = (offset - np.log(units), scale) if scaler.logged else (offset / units, scale / units)
    filled = panel.filled[:, panel.indices(panel.targets)]
    with tf.device("CPU:0"):
        table = tf.constant(np.stack(pairs, axis=1), tf.float32)
        ends = tf.constant(panel.spans.end)
        # Of a long table without gaps it would be memory for nothing.
        absent = tf.constant(filled) if _holds_filled(panel) else None

    def units_of(origins):
        origins = tf.cast(origins, ends.dtype)
        each = tf.gather(table, tf.searchsorted(ends, origins, side="right"))
        each = tf.repeat(each[:, :, None], horizon, axis=2)
        if absent is None:
            return each
        after = tf.gather(absent, origins[:, None] + tf.range(1, horizon + 1, dtype=origins.dtype))
        return tf.where(after[:, None] & tf.constant([False, True])[:, None, None], np.float32(np.nan), each)

    return units_of


def _holds_filled(panel):
    """Whether a target was filled in a row that the panel may forecast."""
    at = panel.indices(panel.targets)
    return bool(panel.filled[np.ix_(panel.spans.rows(), at)].any())
