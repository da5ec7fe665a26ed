"""RLinear: a linear map of the normalised window."""

import keras

from tfts.models._parts import finish, linear_forecast, normalise, split_known_future, window_inputs

# The settings that a search tries by default, see tfts.tuning.
SPACE = {
    "individual": {"values": [False, True]},
    "affine": {"values": [True, False]},
    "learning_rate": {"min": 3e-4, "max": 3e-2, "log": True},
    "weight_decay": {"min": 1e-5, "max": 1e-1, "log": True},
    "batch_size": {"values": [32, 64, 128]},
}


def rlinear(
    context_length,
    num_features,
    horizon=1,
    num_targets=1,
    num_known_future=0,
    *,
    individual=False,
    affine=True,
    name="rlinear",
):
    """Builds RLinear: one linear map between normalising and restoring each target's window.

    A window loses its mean and is divided by its standard deviation, and the
    forecast gets both back. Without `affine` and `individual` this is `linear`
    with `window_norm="instance"`. The map's weights start at zero, which is the
    mean repeated.

    Args:
        context_length: Int >= 1, rows seen.
        num_features: Int >= 1, columns of `past`; the targets come first.
        horizon: Int >= 1, rows forecast.
        num_targets: Int >= 1.
        num_known_future: Int >= 0, columns known ahead.
        individual: Bool. False maps the targets by weights that all share, True
            by weights for each target. Either way a target is forecast from its
            own window alone.
        affine: Bool. Whether to learn a scale and a shift for each target, applied
            after normalising and undone before restoring.
        name: Str.

    Returns:
        Uncompiled `keras.Model` from `past` `(batch, context_length, num_features)`,
        with `num_known_future` from the dict of it and `known_future`
        `(batch, context_length + horizon, num_known_future)`, to the forecast
        `(batch, horizon, num_targets)`.

    Raises:
        ValueError: If a size is out of range.

    Example:

    >>> rlinear(context_length=7, num_features=3, horizon=5).count_params()
    42

    Source: Li et al., Revisiting Long-term Time Series Forecasting: An Investigation on
    Linear Mapping, arXiv 2305.10721, 2023; Kim et al., Reversible Instance Normalization
    for Accurate Time-Series Forecasting against Distribution Shift, ICLR 2022.
    """
    inputs, past, known = window_inputs(context_length, num_features, horizon, num_targets, num_known_future)
    # The targets alone: a scale of what is not forecast would be a weight without effect.
    window, norm = normalise(past[..., :num_targets], "instance", affine=affine)
    _, ahead = split_known_future(known, horizon)
    weights = "individual" if individual else "own"
    forecast = linear_forecast(window, ahead, horizon, num_targets, weights, name="map")
    return keras.Model(inputs, finish(forecast, past, norm), name=name)
