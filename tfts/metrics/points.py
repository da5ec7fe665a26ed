"""Scores of two arrays: forecasts and what happened."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfts.errors import SettingError
from tfts.metrics.sums import ErrorSums


def _score(name, actual, forecast, scale=None):
    actual, forecast = np.asarray(actual), np.asarray(forecast)
    if actual.shape != forecast.shape or not actual.size:
        raise SettingError(
            "`actual` and `forecast` must have one shape and hold at least one value. "
            f"Received: actual {actual.shape}, forecast {forecast.shape}."
        )
    wrong = np.argwhere(~np.isfinite(forecast))
    if len(wrong):
        raise SettingError(
            "`forecast` must be finite, because a gap cannot be scored, but "
            f"{len(wrong)} of its {forecast.size} values are not. First: index {tuple(wrong[0].tolist())}."
        )
    if actual.ndim != 3:
        shape = (-1, 1, actual.shape[-1] if actual.ndim > 1 else 1)
        actual, forecast = actual.reshape(shape), forecast.reshape(shape)
    sums = ErrorSums(actual.shape[1], range(actual.shape[2]), scale)
    sums.update(actual, forecast)
    return float(sums.score([name])[name].iloc[0])


def rmse(actual: npt.ArrayLike, forecast: npt.ArrayLike) -> float:
    """Root mean squared error, the root of the mean over all points pooled.

    Args:
        actual: Array of any shape, in original units. NaN where nothing was observed.
        forecast: Array of the same shape and units.

    Returns:
        Float >= 0 in the target's units. NaN if no point was observed.

    Raises:
        ValueError: If the shapes differ or are empty, or a forecast is not finite.

    Example:

    >>> rmse([1.0, 2.0], [1.0, 4.0])
    1.4142135623730951
    """
    return _score("rmse", actual, forecast)


def mae(actual: npt.ArrayLike, forecast: npt.ArrayLike) -> float:
    """Mean absolute error. Arguments and errors as for `rmse`.

    Returns:
        Float >= 0 in the target's units. NaN if no point was observed.

    Example:

    >>> mae([1.0, 2.0], [1.0, 4.0])
    1.0
    """
    return _score("mae", actual, forecast)


def mse(actual: npt.ArrayLike, forecast: npt.ArrayLike) -> float:
    """Mean squared error. Arguments and errors as for `rmse`.

    Returns:
        Float >= 0 in the target's units squared. NaN if no point was observed.

    Example:

    >>> mse([1.0, 2.0], [1.0, 4.0])
    2.0
    """
    return _score("mse", actual, forecast)


def mape(actual: npt.ArrayLike, forecast: npt.ArrayLike) -> float:
    """Mean absolute percentage error, without the points where actual is 0.

    Arguments and errors as for `rmse`. Left out is abs(actual) <= `ZERO` (1.2e-7).

    Returns:
        Float >= 0 in percent. NaN if no point is left.

    Example:

    >>> mape([2.0, 4.0, 0.0], [1.0, 4.0, 9.0])
    25.0
    """
    return _score("mape", actual, forecast)


def smape(actual: npt.ArrayLike, forecast: npt.ArrayLike) -> float:
    """Symmetric mean absolute percentage error from 0 to 200, as in the M4 competition.

    Arguments and errors as for `rmse`. A point where both values are 0 counts as 0.

    Returns:
        Float in [0, 200]. NaN if no point was observed.

    Example:

    >>> smape([1.0, 0.0], [3.0, 0.0])
    50.0
    """
    return _score("smape", actual, forecast)


def wape(actual: npt.ArrayLike, forecast: npt.ArrayLike) -> float:
    """Sum of the absolute errors in percent of the sum of the absolute actuals.

    Arguments and errors as for `rmse`. Single actuals of 0 do no harm.

    Returns:
        Float >= 0 in percent. NaN if every actual is 0 or none was observed.

    Example:

    >>> wape([0.0, 4.0], [1.0, 4.0])
    25.0
    """
    return _score("wape", actual, forecast)


def mase(actual: npt.ArrayLike, forecast: npt.ArrayLike, scale: npt.ArrayLike) -> float:
    """Mean absolute scaled error: 1 is as good as seasonal naive was in-sample.

    Arguments and errors as for `rmse`, and:

    Args:
        scale: Float or `(num_targets,)`, from `mase_scale` on the training rows.
            `ErrorSums.update` takes one for each window of a panel.

    Returns:
        Float >= 0. NaN if the scale is 0 or NaN, or no point was observed.

    Example:

    >>> from tfts.metrics import mase_scale
    >>> mase([1.0, 2.0], [1.0, 4.0], scale=mase_scale([0.0, 4.0, 2.0, 8.0], season_length=2))
    0.3333333333333333
    """
    return _score("mase", actual, forecast, scale)


def r2(actual: npt.ArrayLike, forecast: npt.ArrayLike) -> float:
    """Share of the actuals' variance that the forecast explains.

    Arguments and errors as for `rmse`. The last axis of an array with two or more is the
    targets, and the value is the mean of the targets' own, as in scikit-learn.

    Returns:
        Float <= 1; below 0 is worse than the mean of the actuals. NaN below 2 points.

    Example:

    >>> r2([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    0.5
    """
    return _score("r2", actual, forecast)


def bias(actual: npt.ArrayLike, forecast: npt.ArrayLike) -> float:
    """Mean of forecast - actual: above 0, the forecast is too high on average.

    Arguments and errors as for `rmse`.

    Returns:
        Float in the target's units. NaN if no point was observed.

    Example:

    >>> bias([1.0, 2.0], [1.0, 4.0])
    1.0
    """
    return _score("bias", actual, forecast)


def mase_scale(
    values: npt.ArrayLike, season_length: int, series: npt.ArrayLike | None = None
) -> float | npt.NDArray[np.float64]:
    """Mean absolute seasonal difference of a series: what mase divides by.

    Take it from the training rows alone, once for each series. It is the mean absolute
    error of the seasonal naive forecast inside those rows.

    Args:
        values: `(rows,)` or `(rows, num_targets)` in original units, in the order of
            time. Pairs with a NaN are left out.
        season_length: Int >= 1, rows in a season. 1 compares with the row before.
        series: Int `(rows,)`, the number of the series of each row, from 0, ascending: scales of many series.

    Returns:
        Float, or `(num_targets,)` float64; with `series` an axis of the series in front. NaN where no two
        observed rows lie one season apart.

    Raises:
        ValueError: If `season_length` is no int >= 1, or `values` has other axes.

    Example:

    >>> mase_scale([1.0, 5.0, 2.0, 9.0], season_length=2)
    2.5

    Source: Hyndman and Koehler, Another look at measures of forecast accuracy,
    International Journal of Forecasting, 2006; seasonal as in the M4 competition.
    """
    if not isinstance(season_length, int | np.integer) or season_length < 1:
        raise SettingError(f"`season_length` must be an int >= 1, in rows. Received: {season_length!r}.")
    values = np.asarray(values, dtype=np.float64)
    if values.ndim not in (1, 2):
        raise SettingError(
            f"`values` must be (rows,) or (rows, num_targets). Received: shape {values.shape}."
        )
    differences = np.abs(values[season_length:] - values[:-season_length])
    known = ~np.isnan(differences)
    if series is None:
        total, count = np.where(known, differences, 0.0).sum(axis=0), known.sum(axis=0)
    else:
        series = np.asarray(series)
        size = int(series[-1]) + 1
        of, known = series[season_length:], (known.T & (series[season_length:] == series[:-season_length])).T
        columns = (known.T, np.where(known, differences, 0.0).T)
        count, total = (
            np.apply_along_axis(lambda column: np.bincount(of, column, size), -1, part).T for part in columns
        )
    with np.errstate(invalid="ignore"):
        mean = total / count
    return float(mean) if mean.ndim == 0 else mean
