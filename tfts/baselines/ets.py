"""Exponential smoothing with additive error, trend and season."""

import numpy as np

from tfts.baselines.local import LocalBaseline, check_fit_rows
from tfts.baselines.seasonal_naive import check_season_length, season_length_of
from tfts.errors import DataError, SettingError

# Variance of the states, in variances of an error, from which on it makes no difference.
_KNOWN = 1e-6


class Ets(LocalBaseline):
    """Exponential smoothing in its state-space form, for each target of each series.

    Smoothing weights and first states are fitted once on training rows, by maximum
    likelihood (statsmodels `ETSModel`). To forecast, one pass over the rows of a series
    gives level, trend and season at every origin. A missing value is taken to be what
    the step before forecast for it, which looks at nothing later; only to fit, gaps of the
    training rows are interpolated.

    A forecast is the same wherever the panel starts, as long as it starts no later than the
    training rows end: the rows that it lacks are taken from `fit`. Behind them there are rows that
    nobody has seen, so the states at the end of training are moved on in time, and the first
    values move them the more, the less is left of what was known (the Kalman filter's gains).

    Args:
        trend: Whether there is an additive trend.
        damped: Whether the trend fades with the horizon.
        seasonal: Whether there is an additive season.
        season_length: Rows in a season, int >= 1. `None` finds it from the panel's
            frequency by the rule of `seasonal_naive`. A season of 1 row is none.
        fit_rows: How many of the most recent training rows to fit on, an int. `None`
            takes all of them.

    Attributes:
        history_: Float64, the scaled values that were fitted, one target after the other of
            one series after the other.

    Raises:
        ValueError: If an option has a wrong value.

    Source: Hyndman, Koehler, Ord and Snyder, Forecasting with Exponential Smoothing, 2008.
    After unseen rows: Durbin and Koopman, Time Series Analysis by State Space Methods, 2nd ed.

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
                raise SettingError(f"`{name}` must be True or False. Received: {name}={value!r}.")
        if damped and not trend:
            raise SettingError(
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
        self._fitted = []
        super()._learn(panel, spec)
        self.history_ = np.concatenate(self._fitted)
        del self._fitted

    def _fit_one(self, values, name):
        from statsmodels.tsa.exponential_smoothing.ets import ETSModel

        season = self.season_length_
        need = max(2 * season, 10)
        if len(values) < need:
            raise DataError(
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
        self._fitted.append(values)
        return np.array([len(values), *weights, *first, *last]), bool(result.mle_retvals["converged"])

    def _forecast_one(self, values, origins, horizon, place, shift):
        learnt = self.learnt_[place]
        weights, (first, last) = learnt[1:5], learnt[5:].reshape(2, 2 + self.season_length_)
        rows = int(learnt[0])
        if shift <= 0:
            # The panel's own rows from the first fitted one on, and those before it by themselves.
            before = origins < -shift
            early = np.append(first[:2], np.roll(first[2:], -shift))
            forecast = np.empty((len(origins), horizon))
            forecast[before] = _forecasts(values, origins[before], horizon, weights, early)
            forecast[~before] = _forecasts(values[-shift:], origins[~before] + shift, horizon, weights, first)
            return forecast
        if len(origins) and origins.min() + shift < rows - 1:
            history = self._history(place)[:shift]
            return _forecasts(np.concatenate([history, values]), origins + shift, horizon, weights, first)
        unseen = shift - rows
        if unseen <= 0:
            return _forecasts(values[-unseen:], origins + unseen, horizon, weights, last)
        return _forecasts(values, origins, horizon, weights, *_moved_on(last, weights, unseen))

    def _history(self, place):
        """The scaled values that one model was fitted on."""
        ends = self.learnt_[..., 0].astype(int).cumsum()
        end = ends[np.ravel_multi_index(place, self.offset_.shape)]
        return self.history_[end - int(self.learnt_[place][0]) : end]


def _moved_on(states, weights, rows):
    """States after rows that nobody has seen, and their covariance in variances of an error.

    What is not known of them is what the errors of these rows did.
    """
    alpha, beta, gamma, damping = weights
    states, season = states.copy(), len(states) - 2
    states[0] += states[1] * (damping ** np.arange(1, rows + 1)).sum()
    states[1] *= damping**rows
    states[2:] = np.roll(states[2:], -rows)
    ago = np.arange(rows)
    faded = damping**ago
    effects = np.stack([alpha + beta * (faded.cumsum() - 1), beta * faded])
    place = (season - 1 - ago) % season
    covariance = np.zeros((len(states), len(states)))
    covariance[:2, :2] = effects @ effects.T
    for i, effect in enumerate(effects):
        covariance[i, 2:] = covariance[2:, i] = gamma * np.bincount(place, effect, season)
    covariance[2:, 2:] = np.diag(gamma**2 * np.bincount(place, minlength=season))
    return states, covariance


def _forecasts(values, origins, horizon, weights, states, covariance=None):
    """Forecasts `(origins, horizon)` from states before the first value; origin -1 is before it too."""
    season, damping = len(states) - 2, weights[3]
    forecast, steps = np.empty((len(origins), horizon)), np.arange(horizon)
    trends, phases = (damping ** (steps + 1)).cumsum(), steps % season
    begin = 0
    if covariance is not None:
        for begin, settled in enumerate(_settling(values, weights, states, covariance)):
            at, states = origins == begin - 1, settled
            forecast[at] = states[0] + states[1] * trends + states[2 + phases]
    level, trend, seasons = _smooth(values[begin:], weights, states)
    # The states before the first value stand in front.
    level, trend = np.append(states[0], level), np.append(states[1], trend)
    left = origins >= begin - 1
    at = origins[left] + 1 - begin
    forecast[left] = level[at, None] + trend[at, None] * trends + seasons[at[:, None] + phases]
    return forecast


def _settling(values, weights, states, covariance):
    """Yields the states before the first value and after each, until they are known as well as ever."""
    alpha, beta, gamma, damping = weights
    seen, push = np.zeros((2, len(states)))
    seen[:3] = 1, damping, 1
    push[:2], push[-1] = (alpha, beta), gamma

    def moved(parts):
        return np.concatenate(
            [parts[:1] + damping * parts[1:2], damping * parts[1:2], np.roll(parts[2:], -1, 0)]
        )

    yield states
    for value in values.tolist():
        if covariance.diagonal().max() < _KNOWN:
            return
        error, spread = value - seen @ states, covariance @ seen
        states, covariance = moved(states), moved(moved(covariance).T)
        if error == error:
            size = 1 + seen @ spread
            gain = (moved(spread) + push) / size
            states = states + gain * error
            covariance = covariance + np.outer(push, push) - size * np.outer(gain, gain)
        yield states


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
