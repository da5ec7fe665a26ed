"""Exponential smoothing with additive error, trend and season."""

import numpy as np

from tfts.baselines.local import LocalBaseline, check_fit_rows
from tfts.baselines.seasonal_naive import check_season_length, season_length_of


class Ets(LocalBaseline):
    """Exponential smoothing in its state-space form, for each target of each series.

    Smoothing weights and first states are fitted once on training rows, by maximum
    likelihood (statsmodels `ETSModel`). To forecast, one pass over the rows of a series
    gives level, trend and season at every origin. A missing value is taken to be what
    the step before forecast for it, which looks at nothing later; only to fit, gaps of the
    training rows are interpolated.

    On a panel that starts after the first fitted row, the pass begins with the states at
    the end of the training rows, moved on in time; else with the fitted first states.

    Args:
        trend: Whether there is an additive trend.
        damped: Whether the trend fades with the horizon.
        seasonal: Whether there is an additive season.
        season_length: Rows in a season, int >= 1. `None` finds it from the panel's
            frequency by the rule of `seasonal_naive`. A season of 1 row is none.
        fit_rows: How many of the most recent training rows to fit on, an int. `None`
            takes all of them.

    Raises:
        ValueError: If an option has a wrong value.

    Source: Hyndman, Koehler, Ord and Snyder, Forecasting with Exponential Smoothing, 2008.

    Example:

    >>> import numpy as np, pandas as pd
    >>> from tfts.data.panel import Panel
    >>> from tfts.data.windows import WindowSpec
    >>> week = np.tile([1.0, 2.0, 3.0, 4.0, 5.0, 9.0, 8.0], 6)
    >>> frame = pd.DataFrame({"y": week}, index=pd.date_range("2024-01-01", periods=42, freq="D"))
    >>> panel, spec = Panel.from_frame(frame), WindowSpec(context_length=7, horizon=3)
    >>> ets = Ets(trend=False, damped=False).fit(panel, spec)
    >>> ets.predict(panel, spec, [41])[0, :, 0].round(2).tolist()
    [1.0, 2.0, 3.0]
    """

    def __init__(self, trend=True, damped=True, seasonal=True, season_length=None, fit_rows=10_000):
        for name, value in (("trend", trend), ("damped", damped), ("seasonal", seasonal)):
            if not isinstance(value, bool):
                raise ValueError(f"`{name}` must be True or False. Received: {name}={value!r}.")
        if damped and not trend:
            raise ValueError(
                "`damped` must be False where there is no trend to damp. Received: trend=False, damped=True."
            )
        check_season_length(season_length)
        check_fit_rows(fit_rows)
        self.trend = trend
        self.damped = damped
        self.seasonal = seasonal
        self.season_length = season_length
        self.fit_rows = fit_rows

    @property
    def num_parameters(self):
        """Smoothing weights, damping and first states of all fitted models together."""
        season = self.season_length_ if self.season_length_ > 1 else 0
        return self.offset_.size * (2 + 2 * self.trend + self.damped + bool(season) + season)

    def _affine(self, values):
        return np.nanmean(values), np.nanstd(values)

    def _learn(self, panel, spec):
        season = int(self.season_length or season_length_of(panel.freq)) if self.seasonal else 1
        self.season_length_ = season
        super()._learn(panel, spec)

    def _fit_one(self, values, name):
        from statsmodels.tsa.exponential_smoothing.ets import ETSModel

        season = self.season_length_
        need = max(2 * season, 10)
        if len(values) < need:
            raise ValueError(
                f"Ets can't be fitted to {name}: it has {len(values)} training rows, but two seasons (of "
                f"season_length={season}) and no fewer than 10 rows are needed. Use more rows, a shorter season or "
                "seasonal=False."
            )
        seen = np.flatnonzero(~np.isnan(values))
        model = ETSModel(
            np.interp(np.arange(len(values)), seen, values[seen]),
            error="add",
            trend="add" if self.trend else None,
            damped_trend=self.damped,
            seasonal="add" if season > 1 else None,
            seasonal_periods=season if season > 1 else None,
            initialization_method="estimated",
        )
        result = model.fit(disp=0)
        found = dict(zip(result.param_names, map(float, result.params), strict=True))
        weights = [
            found["smoothing_level"],
            found.get("smoothing_trend", 0.0),
            found.get("smoothing_seasonal", 0.0),
            found.get("damping_trend", 1.0),
        ]
        # statsmodels numbers the first seasons backwards in time.
        seasons = [found.get(f"initial_seasonal.{season - 1 - k}", 0.0) for k in range(season)]
        first = [found["initial_level"], found.get("initial_trend", 0.0), *seasons]
        level, trend, seasons = _smooth(values, weights, first)
        last = [level[-1], trend[-1], *seasons[-season:]]
        return np.array([len(values), *weights, *first, *last]), bool(result.mle_retvals["converged"])

    def _forecast_one(self, values, origins, horizon, learnt, shift):
        season = self.season_length_
        weights, states = learnt[1:5], learnt[5:].reshape(2, 2 + season)
        damping = weights[3]
        first = states[0].copy()
        if shift > 0:
            first = states[1].copy()
            shift -= int(learnt[0])
            # The rows between the end of training and the panel count as missing.
            first[0] += first[1] * (damping ** np.arange(1, shift + 1)).sum()
            first[1] *= damping ** max(shift, 0)
        first[2:] = np.roll(first[2:], -shift)
        level, trend, seasons = _smooth(values, weights, first)
        ahead = np.arange(horizon)
        return (
            level[origins, None]
            + trend[origins, None] * (damping ** (ahead + 1)).cumsum()
            + seasons[origins[:, None] + 1 + ahead % season]
        )


def _smooth(values, weights, first):
    """Moves the states over the values.

    Args:
        values: Float64 `(rows,)`, NaN where missing.
        weights: Smoothing weights of level, trend and season, and the damping.
        first: Level, trend and the seasons of the first rows, before the first value.

    Returns:
        Level and trend after each row, `(rows,)`, and the seasons, `(season + rows,)`, of
        which number `season + i` is that of row i.
    """
    alpha, beta, gamma, damping = map(float, weights)
    level, trend, *seasons = map(float, first)
    levels, trends = [], []
    # Plain floats: an array operation costs more than all of a row's sums.
    for i, value in enumerate(values.tolist()):
        trend *= damping
        error = value - (level + trend + seasons[i])
        if error != error:
            error = 0.0
        level += trend + alpha * error
        trend += beta * error
        seasons.append(seasons[i] + gamma * error)
        levels.append(level)
        trends.append(trend)
    return np.array(levels), np.array(trends), np.array(seasons)
