"""What usual rows show of the targets: where forecasts lie off, and which values are counted on."""

import dataclasses
import types

import numpy as np

# Forecasts that see no value for so many usual deviations have lost the level.
_LOST = 3.0
# Fewest stretches of forecasts from which that can be told, and the most that are tried; those
# of a predictor that looks at the time are slow.
_FEWEST, _MOST, _MOST_SLOW = 5, 40, 12
# A mean residual counts as a bias when it is so many standard errors from zero.
_SURE = 3.0


@dataclasses.dataclass(frozen=True)
class Habits:
    """What a forecast should know of the targets before it stands in for their values.

    Attributes:
        counted_on: Targets whose next value follows from the one before, as a register's and
            a stock's do, tuple: a history of forecasts would lose their level.
        biases: Dict from series to a list with the usual residual of each target, as a share
            of its scale; 0 where the calibration rows don't tell it from zero.

    Example:

    >>> Habits(("register",), {"": [0.0, 0.25]}).bias("").tolist()
    [0.0, 0.25]
    """

    counted_on: tuple
    biases: dict

    def bias(self, series):
        """The usual residuals of one series, scaled; zeros where it was not fitted."""
        zeros = [0.0] * len(next(iter(self.biases.values())))
        return np.array(self.biases.get(series, zeros))

    def get_state(self):
        """Plain data for a JSON file."""
        return {"counted_on": list(self.counted_on), "biases": [list(pair) for pair in self.biases.items()]}

    @classmethod
    def from_state(cls, state):
        """The habits that `get_state` described."""
        return cls(tuple(state["counted_on"]), dict(state["biases"]))


def learn_habits(plan, panel, times, rows, residual):
    """Learns the habits of the targets from usual rows.

    A target is counted on if forecasts that see only forecasts, for as many rows as make a
    new normal, end three times as far from it as forecasts of the next row usually lie: by
    then its level would be taken for an anomaly, wherever it stands.

    Args:
        plan: A `Plan` that knows how to forecast.
        panel: The `Panel` of all fitted rows, as the model sees them.
        times: The real times of its rows.
        rows: Int `(windows,)`: the rows before the calibration rows.
        residual: Float64 `(windows, targets)`: their residuals, as the model sees them.

    Returns:
        `Habits`.

    Example:

    >>> import pandas as pd
    >>> from tfts.anomaly.detector import AnomalyDetector
    >>> random = np.random.default_rng(0)
    >>> frame = pd.DataFrame(
    ...     {"meter": random.exponential(5, 300).cumsum(), "load": random.normal(20, 3, 300)},
    ...     index=pd.date_range("2024-01-01", periods=300, freq="h"),
    ... )
    >>> AnomalyDetector("linear_regression", context_length=7).fit(frame).counted_on_
    ('meter',)
    """
    series = panel.series_of(rows)
    scaler = plan.forecaster.scaler_
    biases, usual = {}, {}
    for code, name in enumerate(panel.series):
        scaled = residual[series == code] / scaler.affine(name, panel.targets)[1]
        biases[name], usual[name] = _bias(scaled)
    habits = Habits((), biases)
    if not plan.is_forecast:
        return habits
    ends = _far_off(plan.used_to(habits), panel, times, usual)
    if len(ends) < _FEWEST:
        return habits
    # A target that never varies has no usual distance to be far off by.
    varies = ~np.isnan(ends).all(axis=0)
    is_lost = np.zeros(len(varies), dtype=bool)
    is_lost[varies] = np.nanmedian(ends[:, varies], axis=0) > _LOST
    counted_on = tuple(target for target, lost in zip(panel.targets, is_lost, strict=True) if lost)
    return dataclasses.replace(habits, counted_on=counted_on)


def _bias(scaled):
    """Mean residual of each target, 0 where it may be chance, and the usual distance from it."""
    seen = ~np.isnan(scaled)
    count = np.maximum(seen.sum(axis=0), 1)
    values = np.where(seen, scaled, 0.0)
    mean = values.sum(axis=0) / count
    error = np.sqrt(np.sum(np.where(seen, scaled - mean, 0.0) ** 2, axis=0)) / count
    bias = np.where(np.abs(mean) > _SURE * error, mean, 0.0)
    off = np.abs(np.where(seen, scaled - bias, np.nan))
    usual = np.full(len(mean), np.nan)
    usual[seen.any(axis=0)] = np.nanmedian(off[:, seen.any(axis=0)], axis=0)
    return bias.tolist(), np.where(usual > 0, usual, np.nan)


def _far_off(plan, panel, times, usual):
    """How far the last of a stretch of forecasts lies off, in usual distances, `(stretches, targets)`."""
    length = plan.new_normal
    starts = np.concatenate(
        [np.arange(span.start + plan.memory, span.observed_end - length, length) for span in panel.spans]
    ).astype(np.int64)
    most = _MOST_SLOW if plan.predictor.needs_time else _MOST
    if len(starts) > most:
        starts = starts[np.linspace(0, len(starts) - 1, most).astype(int)]
    scaled = plan.forecaster.scaler_.transform(panel).values
    stamps = times.as_unit("ns").asi8
    found = []
    for start in starts:
        name = panel.series[panel.series_of(start)]
        left = _alone(plan, scaled, name, stamps, start, length)
        if not np.isnan(left).all():
            found.append(np.abs(left) / usual[name])
    return np.array(found).reshape(len(found), plan.num_targets)


def _alone(plan, scaled, name, stamps, start, length):
    """Residuals of the last row of a stretch whose history holds forecasts in place of values."""
    first, bias = start - plan.memory, plan.habits.bias(name)
    values = np.asarray(scaled[first : start + length], dtype=np.float64)
    past, known = values[:, plan.feature_at].copy(), values[:, plan.known_at]
    filled = np.where(
        np.isnan(past[: plan.memory]), np.nanmean(past[: plan.memory], axis=0), past[: plan.memory]
    )
    past[: plan.memory] = filled
    for row in range(plan.memory, len(past)):
        state = types.SimpleNamespace(
            past=past[row - plan.memory : row],
            known=known[row - plan.memory : row + 1],
            count=plan.memory,
            series=name,
            target_scale=1.0,
            target_offset=0.0,
        )
        usual, residual = plan.predict(state, past[row], int(stamps[first + row]))
        others = past[row, plan.num_targets :]
        past[row, plan.num_targets :] = np.where(np.isnan(others), past[row - 1, plan.num_targets :], others)
        past[row, : plan.num_targets] = usual + bias
    return residual - bias
