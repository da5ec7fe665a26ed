"""The metrics of a table that are shown while a network learns."""

import numpy as np

from tfts.metrics import keras_metric


def target_units(panel):
    """What errors of each target are measured in, so that targets may be averaged.

    Args:
        panel: The `Panel` of training rows.

    Returns:
        Float64 `(targets,)`: 1 for a single target, whose errors stay in its own units;
        else each target's standard deviation over the rows (1 where it is constant).

    Example:

    >>> import pandas as pd
    >>> from tfts.data.panel import Panel
    >>> frame = pd.DataFrame({"a": [0.0, 2.0, 4.0, 6.0], "b": [0.0, 20.0, 40.0, 60.0]},
    ...                      index=pd.date_range("2024-01-01", periods=4))
    >>> target_units(Panel.from_frame(frame)).round(2).tolist()
    [2.24, 22.36]
    """
    if len(panel.targets) == 1:
        return np.ones(1)
    rows = panel.spans.rows()
    at = panel.indices(panel.targets)
    values = np.where(panel.filled[rows][:, at], np.nan, panel.values[rows][:, at])
    deviation = np.nanstd(values, axis=0)
    return np.where(deviation > 0, deviation, 1.0)


def network_metric(name, scaler, train, scaled, own_units=False, output="point"):
    """A metric in the units of the table, of scaled tensors.

    Args:
        name: Name of METRICS.
        scaler: The fitted `Scaler`.
        train: `Panel` of training rows, original units.
        scaled: The same, scaled.
        own_units: Whether windows bring their own units, see `window_units`.
        output: `Output` of the network.

    Returns:
        A Keras metric: of one target in its own units, of several each in units of its
        standard deviation in the training rows.

    Example:

    >>> import pandas as pd
    >>> from tfts.data.panel import Panel
    >>> from tfts.data.scaling import Scaler
    >>> days = pd.date_range("2024-01-01", periods=4)
    >>> train = Panel.from_frame(pd.DataFrame({"a": [0.0, 2.0, 4.0, 6.0]}, index=days))
    >>> scaler = Scaler().fit(train)
    >>> metric = network_metric("mae", scaler, train, scaler.transform(train))
    >>> metric.update_state([[[0.0]]], [[[1.0]]])
    >>> round(float(metric.result()), 3)
    2.236
    """
    offset, scale = scaler.affine(None, scaled.targets)
    of = {"output": output, "log": bool(scaler.logged)}
    if own_units:
        return keras_metric(name, offset / target_units(train), own_units=True, **of)
    if scaler.logged:
        return keras_metric(name, offset - np.log(target_units(train)), scale, **of)
    size = scale if len(scale) == 1 else 1 / target_units(scaled)
    return keras_metric(name, offset * size / scale, size, **of)
