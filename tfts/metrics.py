"""How far forecasts are from what happened, by sums whose memory does not grow.

`ErrorSums` adds batches up; `rmse(actual, forecast)` and its neighbours score two
arrays at once through the same sums; `keras_metric` gives the same numbers while a
Keras model trains. Everything is in original units. What each metric means:

| name | formula over the scored points | units | best |
|---|---|---|---|
| mae | mean of abs(forecast - actual) | the target's | 0 |
| mse | mean of (forecast - actual)^2 | squared | 0 |
| rmse | root of mse | the target's | 0 |
| bias | mean of forecast - actual: above 0 is too high | the target's | 0 |
| mape | mean of 100 abs(forecast - actual) / abs(actual) | percent | 0 |
| smape | mean of 200 abs(forecast - actual) / (abs(actual) + abs(forecast)) | 0 to 200 | 0 |
| wape | 100 sum of abs(forecast - actual) / sum of abs(actual) | percent | 0 |
| mase | mean of abs(forecast - actual) / scale, see `mase_scale` | 1 is seasonal naive in-sample | 0 |
| r2 | 1 - sum of (forecast - actual)^2 / sum of (actual - mean of actual)^2 | none | 1 |

- A NaN in `actual` means "not observed": the point is not scored. A NaN or an infinity
  in `forecast` is an error.
- mape leaves out the points with abs(actual) <= `ZERO`, the rounding of the float32
  tables, where a percentage says nothing. scikit-learn and sktime divide by an epsilon
  there, and print numbers such as 1e15; elsewhere the numbers agree, but theirs are
  fractions. smape is 0 where both values are 0, and wape is NaN where every actual is 0.
- mase leaves out the points whose scale is 0 or NaN (a constant or a short series).
- Over several targets, every metric but r2 pools all points, so the rmse is the root of
  the mean over everything, and the target with the largest values weighs most. r2 is the
  plain mean of the targets' own r2, as in scikit-learn, and so are its ends: 1 or 0
  where the actuals are constant and the forecast is perfect or not, NaN below 2 points.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfts._messages import unknown
from tfts.errors import DataError, SettingError

if TYPE_CHECKING:
    import keras


ZERO = float(np.finfo(np.float32).eps)

# Values a block of windows may hold while it is added up, so that temporaries stay
# near 10 MB each however many windows come at once.
_BLOCK = 2**20


class Sums(NamedTuple):
    """What a metric may use: float64 arrays whose last axis is the targets it is over.

    `mean` and `spread` are the mean of the actuals, less a constant of the target, and
    the sum of their squared distances to it; every other field is a plain sum.
    """

    count: np.ndarray
    error: np.ndarray
    absolute: np.ndarray
    squared: np.ndarray
    actual: np.ndarray
    ratio: np.ndarray
    ratio_count: np.ndarray
    symmetric: np.ndarray
    scaled: np.ndarray
    scaled_count: np.ndarray
    mean: np.ndarray
    spread: np.ndarray


def _combine(parts, axis):
    """One `Sums` out of the parts that lie along `axis`."""
    totals = Sums(*(field.sum(axis) for field in parts))
    mean = (parts.count * parts.mean).sum(axis) / np.maximum(totals.count, 1)
    # Chan's merge: a difference of two sums of squares would lose every digit where the
    # values are large beside their spread.
    away = parts.mean - np.expand_dims(mean, axis)
    return totals._replace(mean=mean, spread=(parts.spread + parts.count * away**2).sum(axis))


def _mse(sums):
    return sums.squared.sum(-1) / sums.count.sum(-1)


def _wape(sums):
    actual = sums.actual.sum(-1)
    return 100 * sums.absolute.sum(-1) / np.where(actual > 0, actual, np.nan)


def _r2(sums):
    constant = np.where(sums.squared == 0, 1.0, 0.0)
    each = np.where(sums.spread > 0, 1 - sums.squared / sums.spread, constant)
    scored = sums.count >= 2
    return np.where(scored, each, 0).sum(-1) / scored.sum(-1)


METRICS = {
    "rmse": lambda sums: np.sqrt(_mse(sums)),
    "mae": lambda sums: sums.absolute.sum(-1) / sums.count.sum(-1),
    "mse": _mse,
    "mape": lambda sums: 100 * sums.ratio.sum(-1) / sums.ratio_count.sum(-1),
    "smape": lambda sums: 200 * sums.symmetric.sum(-1) / sums.count.sum(-1),
    "wape": _wape,
    "mase": lambda sums: sums.scaled.sum(-1) / sums.scaled_count.sum(-1),
    "r2": _r2,
    "bias": lambda sums: sums.error.sum(-1) / sums.count.sum(-1),
}

_BY = ("overall", "target", "step", "target_step")


class ErrorSums:
    """Adds up forecast errors batch by batch and turns them into scores.

    It holds about a dozen float64 numbers for each horizon step and target, however
    many windows are scored, and the order and size of the batches do not matter.

    Args:
        horizon: Int >= 1, forecast rows in a window.
        targets: Sequence of str, the targets' names in the order of the last axis.
        scale: For mase: float or `(num_targets,)`, from `mase_scale`, when one scale
            holds for all windows. A panel gives `update` one for each window instead.

    Attributes:
        num_windows: Int, the windows that came.
        count: `(horizon, num_targets)` ints, the points scored; NaN actuals are not.
        percentage_count: The same for mape, which leaves out actuals of 0.
        scaled_count: The same for mase, which leaves out scales of 0 and NaN.

    Raises:
        ValueError: If `horizon` is less than 1, or `targets` is empty, a str or repeats
            a name, or `scale` is negative or of another shape.

    Example:

    >>> sums = ErrorSums(horizon=2, targets=["load"])
    >>> sums.update(actual=[[[10.0], [20.0]]], forecast=[[[11.0], [18.0]]])
    >>> sums.update(actual=[[[10.0], [float("nan")]]], forecast=[[[13.0], [18.0]]])
    >>> sums.score(["mae", "bias"])
       count  mae      bias
    0      3  2.0  0.666667
    >>> sums.score(["mae"], by="step")
       step  count  mae
    0     1      2  2.0
    1     2      1  2.0
    """

    def __init__(self, horizon: int, targets: Sequence[Hashable], scale: npt.ArrayLike | None = None) -> None:
        if horizon < 1:
            raise SettingError(f"`horizon` must be an int >= 1, in rows. Received: horizon={horizon}.")
        if isinstance(targets, str) or not targets or len(set(targets)) != len(targets):
            raise SettingError(
                "`targets` must be a sequence of different names, one for each target, because scores "
                f"are labelled by them. Received: targets={targets!r}."
            )
        self.horizon = int(horizon)
        self.targets = tuple(targets)
        self.num_windows = 0
        # The first value seen of each target. Spreads are taken about it, so that a
        # constant target has a spread of exactly 0.
        self._shift = np.full(len(self.targets), np.nan)
        self._sums = Sums(*np.zeros((len(Sums._fields), self.horizon, len(self.targets))))
        self._scale = None if scale is None else self._window_scale(scale, num_windows=None)
        self._has_scale = scale is not None

    @property
    def count(self) -> npt.NDArray[np.int64]:
        """Values that were compared: int64 `(horizon, num_targets)`."""
        return self._sums.count.astype(np.int64)

    @property
    def percentage_count(self) -> npt.NDArray[np.int64]:
        """Values that mape is over: int64 `(horizon, num_targets)`, actuals of 0 left out."""
        return self._sums.ratio_count.astype(np.int64)

    @property
    def scaled_count(self) -> npt.NDArray[np.int64]:
        """Values that mase is over: int64 `(horizon, num_targets)`, scales of 0 and NaN left out."""
        return self._sums.scaled_count.astype(np.int64)

    def update(
        self, actual: npt.ArrayLike, forecast: npt.ArrayLike, scale: npt.ArrayLike | None = None
    ) -> None:
        """Adds a batch of windows.

        Args:
            actual: `(num_windows, horizon, num_targets)` in original units. NaN where
                nothing was observed.
            forecast: The same shape and units.
            scale: For mase: float, `(num_targets,)` or `(num_windows, num_targets)`.
                In place of the scale given at the start.

        Raises:
            ValueError: If a shape differs, a forecast is NaN or infinite, an actual is
                infinite, or `scale` is negative or of another shape.
        """
        actual, forecast = np.asarray(actual), np.asarray(forecast)
        expected = (len(actual) if actual.ndim else 0, self.horizon, len(self.targets))
        if actual.shape != expected or forecast.shape != expected:
            raise SettingError(
                "`actual` and `forecast` must both have the shape (num_windows, "
                f"{self.horizon}, {len(self.targets)}): windows, horizon steps, targets. "
                f"Received: actual {actual.shape}, forecast {forecast.shape}."
            )
        self._refuse(~np.isfinite(forecast), "forecast", "finite, because a gap cannot be scored")
        self._refuse(np.isinf(actual), "actual", "a number, or NaN where nothing was observed")
        if scale is not None:
            scale, self._has_scale = self._window_scale(scale, len(actual)), True
        else:
            scale = self._scale

        block = max(1, _BLOCK // (self.horizon * len(self.targets)))
        for start in range(0, len(actual), block):
            rows = slice(start, start + block)
            in_rows = scale[rows] if scale is not None and len(scale) > 1 else scale
            new = self._add_up(actual[rows].astype(np.float64), forecast[rows].astype(np.float64), in_rows)
            self._sums = _combine(Sums(*map(np.stack, zip(self._sums, new, strict=True))), axis=0)
        self.num_windows += len(actual)

    def score(
        self,
        names: Sequence[str] | None = None,
        by: Literal["overall", "target", "step", "target_step"] = "overall",
    ) -> pd.DataFrame:
        """Turns the sums into a tidy table.

        Args:
            names: Names of METRICS. By default all; mase only where a scale was given.
                mase by name without a scale is NaN.
            by: `"overall"` gives one row, `"target"` one for each target, `"step"` one
                for each horizon step (1 is the first forecast row), `"target_step"` one
                for each pair.

        Returns:
            DataFrame with the columns target, step (as far as `by` names them), count
            (points scored) and one for each metric.

        Raises:
            ValueError: If a name or `by` is unknown.

        Example:

        >>> sums = ErrorSums(horizon=1, targets=["load", "price"])
        >>> sums.update(actual=[[[10.0, 2.0]]], forecast=[[[12.0, 1.0]]])
        >>> sums.score(["mae", "mape"], by="target")
          target  count  mae  mape
        0   load      1  2.0  20.0
        1  price      1  1.0  50.0
        """
        if names is None:
            names = [name for name in METRICS if name != "mase" or self._has_scale]
        elif isinstance(names, str):
            raise SettingError(f"`names` must be a list, as in [{names!r}]. Received: names={names!r}.")
        for name in names:
            if name not in METRICS:
                raise SettingError(unknown("metric", name, METRICS))
        if by not in _BY:
            raise SettingError(unknown("grouping", by, _BY))

        targets, steps = list(self.targets), list(range(1, self.horizon + 1))
        if by == "step":
            labels, cells = {"step": steps}, self._sums
        elif by == "target_step":
            labels = {"target": np.repeat(targets, len(steps)), "step": steps * len(targets)}
            cells = Sums(*(field.T.reshape(-1, 1) for field in self._sums))
        else:
            over_steps = _combine(self._sums, axis=0)
            labels = {"target": targets} if by == "target" else {}
            shape = (-1, 1) if by == "target" else (1, -1)
            cells = Sums(*(field.reshape(shape) for field in over_steps))
        with np.errstate(divide="ignore", invalid="ignore"):
            columns = {name: METRICS[name](cells) for name in names}
        return pd.DataFrame({**labels, "count": cells.count.sum(-1).astype(np.int64), **columns})

    def _refuse(self, wrong, which, wanted):
        if wrong.any():
            window, step, target = np.argwhere(wrong)[0]
            raise SettingError(
                f"`{which}` must be {wanted}, but {wrong.sum()} of its {wrong.size} values are not. First: "
                f"window {self.num_windows + window} (the first is 0), step {step + 1}, "
                f"target {self.targets[target]!r}."
            )

    def _window_scale(self, scale, num_windows):
        """The scale as `(num_windows or 1, 1, num_targets or 1)`."""
        scale = np.asarray(scale, dtype=np.float64)
        num_targets = len(self.targets)
        shapes = [(), (num_targets,)] + ([] if num_windows is None else [(num_windows, num_targets)])
        if scale.shape not in shapes:
            raise SettingError(
                f"`scale` must have one of the shapes {', '.join(map(str, shapes))}: one for all, for each "
                f"target, or (only in update) for each window and target. Received: {scale.shape}."
            )
        if (scale < 0).any():
            raise SettingError(
                f"`scale` is a mean of absolute differences, so >= 0. Received: {scale.min()}."
            )
        return scale[:, None, :] if scale.ndim == 2 else scale.reshape(1, 1, -1)

    def _add_up(self, actual, forecast, scale):
        observed = ~np.isnan(actual)
        self._meet(actual, observed)
        error = np.where(observed, forecast - actual, 0.0)
        absolute, size = np.abs(error), np.where(observed, np.abs(actual), 0.0)

        has_ratio = size > ZERO
        ratio = np.divide(absolute, size, out=np.zeros_like(error), where=has_ratio)
        both = size + np.abs(forecast)
        symmetric = np.divide(absolute, both, out=np.zeros_like(error), where=both > 0)
        scale = np.broadcast_to(0.0 if scale is None else scale, error.shape)
        has_scale = observed & (scale > 0)
        scaled = np.divide(absolute, scale, out=np.zeros_like(error), where=has_scale)

        count = observed.sum(axis=0)
        shifted = np.where(observed, actual - self._shift, 0.0)
        mean = shifted.sum(axis=0) / np.maximum(count, 1)
        spread = np.where(observed, (shifted - mean) ** 2, 0.0).sum(axis=0)
        return Sums(
            count=count,
            error=error.sum(axis=0),
            absolute=absolute.sum(axis=0),
            squared=(error**2).sum(axis=0),
            actual=size.sum(axis=0),
            ratio=ratio.sum(axis=0),
            ratio_count=has_ratio.sum(axis=0),
            symmetric=symmetric.sum(axis=0),
            scaled=scaled.sum(axis=0),
            scaled_count=has_scale.sum(axis=0),
            mean=mean,
            spread=spread,
        )

    def _meet(self, actual, observed):
        for target in np.flatnonzero(np.isnan(self._shift)):
            seen = actual[..., target][observed[..., target]]
            if len(seen):
                self._shift[target] = seen[0]


def mase_scale(values: npt.ArrayLike, season_length: int) -> float | npt.NDArray[np.float64]:
    """Mean absolute seasonal difference of a series: what mase divides by.

    Take it from the training rows alone, once for each series. It is the mean absolute
    error of the seasonal naive forecast inside those rows.

    Args:
        values: `(rows,)` or `(rows, num_targets)` in original units, in the order of
            time. Pairs with a NaN are left out.
        season_length: Int >= 1, rows in a season. 1 compares with the row before.

    Returns:
        Float, or `(num_targets,)` float64. NaN where no two observed rows lie one
        season apart.

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
    with np.errstate(invalid="ignore"):
        mean = np.where(known, differences, 0.0).sum(axis=0) / known.sum(axis=0)
    return float(mean) if values.ndim == 1 else mean


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
        name: Name of METRICS, except mase, which needs a scale of each series.
        offset: Float or one for each target, from the scaler.
        scale: Float > 0 or one for each target, from the scaler.
        log: Whether the scaled values are those of logarithms.
        own_units: Whether each window brings offset and scale of its own in place of sample
            weights, as `WindowMeanError` takes them; then for `weighted_metrics`.
        output: `Output` of the model. Its point forecast is scored, or by pinball, crps and wql its
            quantiles.

    Returns:
        A `keras.metrics.Metric` for `model.compile(metrics=[...])`. It sums in float32,
        and the mape guard grows with the rounding of the offset.

    Raises:
        ValueError: If `name` is unknown or mase, of quantiles that the output lacks, or a scale is
            not above 0.

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
    choices = [*ERRORS, "r2", *(QUANTILE_ERRORS if output.has_distribution else ())]
    if name == "mase":
        raise DataError(
            "mase needs a scale of each series, which a Keras metric does not see; score with ErrorSums, or "
            f"train with one of: {', '.join(sorted(choices))}."
        )
    if name not in choices:
        raise SettingError(unknown("metric", name, choices))
    if name in QUANTILE_ERRORS:
        levels = getattr(output, "levels", LEVELS)
        return QuantileError(name, offset, scale, log, output, levels, own_units)
    if own_units:
        return WindowMeanError(name, log, output) if name != "r2" else WindowR2(offset, log, output)
    if name != "r2":
        return MeanError(name, offset, scale, log, output)
    # An affine scaler does not change r2.
    return R2(offset, scale, log, output) if log else R2(output=output)
