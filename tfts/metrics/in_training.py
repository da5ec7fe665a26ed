"""The same metrics while a Keras model trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from tfts._messages import unknown
from tfts.errors import DataError, SettingError
from tfts.metrics.quantiles import OF_AN_INTERVAL, interval_of, quantile_metric

if TYPE_CHECKING:
    import keras


def keras_metric(
    name: str,
    offset: npt.ArrayLike = 0.0,
    scale: npt.ArrayLike = 1.0,
    log: bool = False,
    own_units: bool = False,
    output: Any = "point",
) -> keras.Metric:
    """The same metric while a Keras model trains, in original units.

    The model sees scaled values, and original = scaled * scale + offset, or the exponential
    of that. To read a saved model that was compiled with it, `import tfts.keras_metrics` first.

    Args:
        name: Name of METRICS, except mase and sql, which need a scale of each series.
        offset: Float or one for each target, from the scaler.
        scale: Float > 0 or one for each target, from the scaler.
        log: Whether the scaled values are those of logarithms.
        own_units: Whether each window brings offset and scale of its own in place of sample
            weights, as `WindowMeanError` takes them; then for `weighted_metrics`.
        output: `Output` of the model. Its point forecast is scored, or its quantiles.

    Returns:
        A `keras.metrics.Metric` for `model.compile(metrics=[...])`. It sums in float32,
        and the mape guard grows with the rounding of the offset.

    Raises:
        ValueError: If `name` is unknown, mase or sql, of quantiles that the output lacks or that Keras
            can't compute, or a scale is not above 0.

    Example:

    >>> metric = keras_metric("mae", offset=100.0, scale=20.0)
    >>> metric.update_state([[[0.5]]], [[[0.75]]])
    >>> float(metric.result())
    5.0
    """
    from tfts.keras_metrics import (
        ERRORS,
        LEVELS,
        QUANTILE_ERRORS,
        R2,
        MeanError,
        QuantileError,
        WindowMeanError,
        WindowR2,
    )
    from tfts.outputs import build_output

    output = build_output(output)
    has_quantiles = output.has_distribution and output.has_quantiles_in_graph
    choices = [*ERRORS, "r2", *(QUANTILE_ERRORS if has_quantiles else ())]
    if name in ("mase", "sql"):
        raise DataError(
            f"{name} needs a scale of each series, which a Keras metric does not see; score with ErrorSums, or "
            f"train with one of: {', '.join(sorted(choices))}."
        )
    of_quantiles = quantile_metric(name)
    if of_quantiles and not has_quantiles:
        why = "gives points" if not output.has_distribution else "has quantiles that Keras can't compute"
        raise SettingError(
            f"{name} scores quantiles while a network learns, whose output {why}: score with evaluate, or train with "
            f"one of: {', '.join(sorted(choices))}. Received: output={output!r}."
        )
    if name not in choices and not of_quantiles:
        raise SettingError(unknown("metric", name, choices))
    if of_quantiles:
        levels = getattr(output, "levels", LEVELS)
        kind, share = of_quantiles
        interval = interval_of(levels, share) if kind in OF_AN_INTERVAL else None
        return QuantileError(kind, offset, scale, log, output, levels, own_units, interval, name)
    if own_units:
        return WindowMeanError(name, log, output) if name != "r2" else WindowR2(offset, log, output)
    if name != "r2":
        return MeanError(name, offset, scale, log, output)
    # An affine scaler does not change r2.
    return R2(offset, scale, log, output) if log else R2(output=output)
