"""Errors of forecasts as sums whose memory does not grow, and the scores that they give."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfts._messages import unknown
from tfts.errors import SettingError
from tfts.metrics.quantiles import (
    OF_AN_INTERVAL,
    QUANTILE_METRICS,
    QuantileSums,
    central_intervals,
    check_quantiles,
    interval_of,
    quantile_metric,
)
from tfts.outputs.output import checked_levels

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


POINT_METRICS = {
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

# All that can be scored; those of quantiles where there are quantiles.
METRICS = {**POINT_METRICS, **QUANTILE_METRICS}

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
        levels: Ascending levels of the quantiles that `update` then takes too.

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

    def __init__(
        self,
        horizon: int,
        targets: Sequence[Hashable],
        scale: npt.ArrayLike | None = None,
        levels: Sequence[float] | None = None,
    ) -> None:
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
        self.levels = None if levels is None else checked_levels(levels, "levels")
        self._quantiles = None
        if levels is not None:
            self._quantiles = QuantileSums(self.horizon, len(self.targets), self.levels)

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
        self,
        actual: npt.ArrayLike,
        forecast: npt.ArrayLike,
        scale: npt.ArrayLike | None = None,
        quantiles: npt.ArrayLike | None = None,
    ) -> None:
        """Adds a batch of windows.

        Args:
            actual: `(num_windows, horizon, num_targets)` in original units. NaN where
                nothing was observed.
            forecast: The same shape and units.
            scale: For mase: float, `(num_targets,)` or `(num_windows, num_targets)`.
                In place of the scale given at the start.
            quantiles: `(num_windows, horizon, num_targets, num_levels)`, where there are levels.

        Raises:
            ValueError: If a shape differs, a forecast is NaN or infinite, an actual is
                infinite, `scale` is negative or of another shape, or quantiles fall.
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

        if (quantiles is None) != (self._quantiles is None):
            raise SettingError(
                "`quantiles` go with the `levels` that the sums were made with. Received: "
                f"levels={self.levels}, quantiles={'None' if quantiles is None else np.shape(quantiles)}."
            )
        if quantiles is not None:
            quantiles = check_quantiles(quantiles, actual.shape, self.levels)
        block = max(1, _BLOCK // (self.horizon * len(self.targets) * len(self.levels or (0,))))
        for start in range(0, len(actual), block):
            rows = slice(start, start + block)
            in_rows = scale[rows] if scale is not None and len(scale) > 1 else scale
            new = self._add_up(actual[rows].astype(np.float64), forecast[rows].astype(np.float64), in_rows)
            self._sums = _combine(Sums(*map(np.stack, zip(self._sums, new, strict=True))), axis=0)
            if quantiles is not None:
                own = 0.0 if in_rows is None else in_rows
                self._quantiles.add(actual[rows].astype(np.float64), quantiles[rows], own)
        self.num_windows += len(actual)

    def score(
        self,
        names: Sequence[str] | None = None,
        by: Literal["overall", "target", "step", "target_step"] = "overall",
    ) -> pd.DataFrame:
        """Turns the sums into a tidy table.

        Args:
            names: Names of METRICS. By default all; mase and sql only where a scale was given, those of
                quantiles where there are levels. mase by name without a scale is NaN. That of an
                interval may state which: `"coverage_0.8"`; by itself it is the widest.
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
            names = self._all_names()
        elif isinstance(names, str):
            raise SettingError(f"`names` must be a list, as in [{names!r}]. Received: names={names!r}.")
        for name in names:
            self._check_name(name)
        labels = self._labels(by)
        if by == "step":
            cells = self._sums
        elif by == "target_step":
            cells = Sums(*(field.T.reshape(-1, 1) for field in self._sums))
        else:
            over_steps = _combine(self._sums, axis=0)
            shape = (-1, 1) if by == "target" else (1, -1)
            cells = Sums(*(field.reshape(shape) for field in over_steps))
        with np.errstate(divide="ignore", invalid="ignore"):
            columns = {
                name: POINT_METRICS[name](cells) if name in POINT_METRICS else self._quantiles.score(name, by)
                for name in names
            }
        return pd.DataFrame({**labels, "count": cells.count.sum(-1).astype(np.int64), **columns})

    def reliability(
        self, by: Literal["overall", "target", "step", "target_step"] = "overall"
    ) -> pd.DataFrame:
        """Which share of the values lay at or below each quantile.

        Args:
            by: As of `score`.

        Returns:
            DataFrame with the columns target, step (as far as `by` names them), level, observed
            (share) and count.

        Raises:
            ValueError: If there are no quantiles, or `by` is unknown.

        Example:

        >>> sums = ErrorSums(horizon=1, targets=["load"], levels=[0.1, 0.9])
        >>> sums.update([[[5.0]], [[9.0]]], [[[5.0]], [[5.0]]], quantiles=[[[[4.0, 7.0]]]] * 2)
        >>> sums.reliability()
           level  observed  count
        0    0.1       0.0      2
        1    0.9       0.5      2
        """
        self._check_name("crps")
        labels, cells = self._labels(by), self._quantiles.cells(by)
        with np.errstate(invalid="ignore"):
            observed = cells.below / cells.count[:, None]
        num = len(self.levels)
        return pd.DataFrame(
            {
                **{name: np.repeat(values, num) for name, values in labels.items()},
                "level": np.tile(self.levels, len(observed)),
                "observed": observed.ravel(),
                "count": np.repeat(cells.count.astype(np.int64), num),
            }
        )

    def intervals(self, by: Literal["overall", "target", "step", "target_step"] = "overall") -> pd.DataFrame:
        """Which share of the values each central interval held, and how wide it was.

        Args:
            by: As of `score`.

        Returns:
            DataFrame with the columns target, step (as far as `by` names them), level (the share that
            the interval promises), coverage, width and count, as `tfts.plots.plot_interval_width` draws
            them; without rows where the levels have no central interval.

        Raises:
            ValueError: If there are no quantiles, or `by` is unknown.

        Example:

        >>> sums = ErrorSums(horizon=1, targets=["load"], levels=[0.1, 0.25, 0.75, 0.9])
        >>> sums.update([[[5.0]], [[9.0]]], [[[5.0]], [[5.0]]], quantiles=[[[[2.0, 4.0, 7.0, 8.0]]]] * 2)
        >>> sums.intervals()
           level  coverage  width  count
        0    0.5       0.5    3.0      2
        1    0.8       0.5    6.0      2
        """
        self._check_name("crps")
        tables = []
        for share in sorted(central_intervals(self.levels)):
            names = [f"coverage_{share:.9f}", f"width_{share:.9f}"]
            found = self.score(names, by).set_axis([*self._labels(by), "count", "coverage", "width"], axis=1)
            found.insert(found.columns.get_loc("count"), "level", share)
            tables.append(found[[*found.columns.drop("count"), "count"]])
        columns = [*self._labels(by), "level", "coverage", "width", "count"]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)

    def pit(self, by: Literal["overall", "target", "step", "target_step"] = "overall") -> pd.DataFrame:
        """How many values fell between neighbouring quantiles: the histogram of the PIT.

        A value that equals quantiles, as the zeros of counts do, is shared by the gaps beside them.

        Args:
            by: As of `score`.

        Returns:
            DataFrame with the columns target, step (as far as `by` names them), low and high (levels),
            count, and expected (share).

        Raises:
            ValueError: If there are no quantiles, or `by` is unknown.

        Example:

        >>> sums = ErrorSums(horizon=1, targets=["load"], levels=[0.5])
        >>> sums.update([[[5.0]], [[9.0]]], [[[5.0]], [[5.0]]], quantiles=[[[[4.0]]], [[[9.0]]]])
        >>> sums.pit()
           low  high  count  expected
        0  0.0   0.5    0.5       0.5
        1  0.5   1.0    1.5       0.5

        Source: Czado, Gneiting and Held, Predictive model assessment for count data, Biometrics
        65, 2009.
        """
        self._check_name("crps")
        labels, edges = self._labels(by), np.array([0.0, *self.levels, 1.0])
        counts = self._quantiles.pit(by)
        return pd.DataFrame(
            {
                **{name: np.repeat(values, counts.shape[1]) for name, values in labels.items()},
                "low": np.tile(edges[:-1], len(counts)),
                "high": np.tile(edges[1:], len(counts)),
                "count": counts.ravel(),
                "expected": np.tile(np.diff(edges), len(counts)),
            }
        )

    def _labels(self, by):
        """Columns that name the groups of `by`."""
        if by not in _BY:
            raise SettingError(unknown("grouping", by, _BY))
        targets, steps = list(self.targets), list(range(1, self.horizon + 1))
        return {
            "step": {"step": steps},
            "target_step": {"target": np.repeat(targets, len(steps)), "step": steps * len(targets)},
            "target": {"target": targets},
            "overall": {},
        }[by]

    def _all_names(self):
        names = [name for name in POINT_METRICS if name != "mase" or self._has_scale]
        if self.levels is None:
            return names
        central = central_intervals(self.levels)
        return names + [
            name
            for name in QUANTILE_METRICS
            if (name != "sql" or self._has_scale) and (name not in OF_AN_INTERVAL or central)
        ]

    def _check_name(self, name):
        found = quantile_metric(name)
        if name not in METRICS and found is None:
            raise SettingError(unknown("metric", name, METRICS))
        if found is None:
            return
        if self.levels is None:
            raise SettingError(
                f"{name} scores quantiles, and there are none. Give a forecaster `quantiles`, and ErrorSums `levels`. "
                f"Expected one of: {', '.join(sorted(POINT_METRICS))}."
            )
        if found[0] in OF_AN_INTERVAL:
            interval_of(self.levels, found[1])

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
