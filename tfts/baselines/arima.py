"""ARIMA and seasonal ARIMA: fitted once, then filtered up to every origin."""

import numpy as np

from tfts._messages import unknown
from tfts.baselines.local import LocalBaseline, check_fit_rows
from tfts.errors import DataError, SettingError

TRENDS = ("n", "c", "t", "ct")


class Arima(LocalBaseline):
    """ARIMA, also seasonal, for each target of each series.

    The parameters are fitted once on training rows, by maximum likelihood (statsmodels
    SARIMAX). To forecast, one pass of the Kalman filter over the rows of a series gives
    the state at every origin, and powers of the transition matrix give all steps of the
    horizon for all origins at once: thousands of origins cost seconds. Missing values
    are left to the filter. A season of s rows makes about 2 s states, whose products
    cost s^3: up to about 50 rows is practical.

    Args:
        order: `(p, d, q)`: autoregressive lags, differences, moving-average lags.
        seasonal_order: `(P, D, Q, s)`: the same for lags of s rows. `(0, 0, 0, 0)` is
            not seasonal.
        trend: Trend of the differenced series: `"n"` none, `"c"` constant, `"t"` linear,
            `"ct"` both. `None` takes `"c"` without differences and `"n"` with them.
        fit_rows: How many of the most recent training rows to fit the parameters on, an
            int. `None` takes all of them. The time of a fit grows in proportion.

    Raises:
        ValueError: If an option has a wrong value.

    Source: Durbin and Koopman, Time Series Analysis by State Space Methods, 2nd ed.

    Example:

    >>> import numpy as np, pandas as pd
    >>> from tfts.data.panel import Panel
    >>> from tfts.data.windows import WindowSpec
    >>> walk = np.random.default_rng(7).normal(size=50).cumsum()
    >>> frame = pd.DataFrame({"y": walk}, index=pd.date_range("2024-01-01", periods=50, freq="D"))
    >>> panel, spec = Panel.from_frame(frame), WindowSpec(context_length=5, horizon=3)
    >>> arima = Arima(order=(0, 1, 0)).fit(panel, spec)
    >>> bool(np.allclose(arima.predict(panel, spec, [49]), walk[49], rtol=1e-4))
    True
    """

    def __init__(self, order=(1, 0, 0), seasonal_order=(0, 0, 0, 0), trend=None, fit_rows=10_000):
        _check_order("order", order, "(p, d, q)")
        _check_order("seasonal_order", seasonal_order, "(P, D, Q, s)")
        if any(seasonal_order[:3]) and seasonal_order[3] < 2:
            raise SettingError(
                "`seasonal_order` must end with the season's length, an int >= 2 (rows). Received: "
                f"seasonal_order={tuple(seasonal_order)}."
            )
        if trend is not None and trend not in TRENDS:
            raise SettingError(unknown("trend", trend, TRENDS))
        check_fit_rows(fit_rows)
        self.order = order
        self.seasonal_order = seasonal_order
        self.trend = trend
        self.fit_rows = fit_rows

    def _lost(self):
        """Rows that differencing takes."""
        return self.order[1] + self.seasonal_order[1] * self.seasonal_order[3]

    def _trend(self):
        if self.trend is not None:
            return self.trend
        return "n" if self._lost() else "c"

    def _affine(self, values):
        # Without difference or constant the model says that the mean is zero.
        centred = self._lost() or "c" in self._trend()
        changes = values
        for lag in [1] * self.order[1] + [self.seasonal_order[3]] * self.seasonal_order[1]:
            changes = changes[lag:] - changes[:-lag]
        # The search goes well where the variance that it looks for is about one.
        return np.nanmean(values) if centred else 0.0, np.nanstd(changes)

    def _model(self, values, first=1, **options):
        from statsmodels.tsa.statespace.sarimax import SARIMAX

        return SARIMAX(
            values,
            order=tuple(self.order),
            seasonal_order=tuple(self.seasonal_order) if any(self.seasonal_order[:3]) else (0, 0, 0, 0),
            trend=self._trend(),
            trend_offset=first,
            **options,
        )

    def _fit_one(self, values, name):
        lost = self._lost()
        (p, _, q), (seasonal_p, _, seasonal_q, season) = self.order, self.seasonal_order
        lags = max(p, q) + season * max(seasonal_p, seasonal_q)
        need = lost + lags + 2 * (p + q + seasonal_p + seasonal_q + 3)
        seen = int(np.sum(~np.isnan(values)))
        if seen < need:
            raise DataError(
                f"Arima can't be fitted to {name}: {seen} of its training rows hold a value, but order="
                f"{tuple(self.order)} with seasonal_order={tuple(self.seasonal_order)} takes {need}. Use more rows "
                "or lower orders."
            )
        try:
            # Differenced beforehand, the states are half as many and the model is stationary.
            model = self._model(values, 1 + lost, simple_differencing=True)
            # These recursions cost the square of the states, not the cube, but know no gap.
            if not np.isnan(values).any():
                model.ssm.filter_chandrasekhar = True
            result = model.fit(disp=0, low_memory=True, cov_type="none", maxiter=200)
        except np.linalg.LinAlgError as error:
            raise DataError(
                f"Arima can't be fitted to {name} with order={tuple(self.order)}, seasonal_order="
                f"{tuple(self.seasonal_order)} ({error}). Use lower orders or fewer differences."
            ) from error
        return np.asarray(result.params), bool(result.mle_retvals["converged"])

    def _forecast_one(self, values, origins, horizon, place, shift):
        from statsmodels.tsa.statespace import kalman_filter

        # A second row tells the slope of the intercept, even where only one was seen.
        model = self._model(np.append(values, np.nan), 1 + shift)
        model.update(self.learnt_[place])
        # The covariances of all rows would take rows * states^2 numbers.
        keep = kalman_filter.MEMORY_CONSERVE & ~kalman_filter.MEMORY_NO_FILTERED_MEAN
        model.ssm.set_conserve_memory(keep)
        states = model.ssm.filter().filtered_state[:, origins]
        # The intercept of row i is constant + i * slope.
        intercept = np.reshape(model.ssm["state_intercept"], (len(states), -1))
        constant = intercept[:, 0]
        slope = intercept[:, 1] - constant if intercept.shape[1] > 1 else np.zeros_like(constant)
        transition = model.ssm["transition"]
        weights = model.ssm["design"][0]
        from_constant, from_slope = np.zeros_like(constant), np.zeros_like(constant)
        observe = model.ssm["design"][0]
        forecast = np.empty((len(origins), horizon))
        for step in range(horizon):
            weights = weights @ transition
            from_constant = transition @ from_constant + constant + slope * step
            from_slope = transition @ from_slope + slope
            forecast[:, step] = weights @ states + observe @ from_constant + origins * (observe @ from_slope)
        return forecast


def _check_order(name, order, form):
    whole = isinstance(order, tuple | list) and all(
        isinstance(number, int | np.integer) and not isinstance(number, bool) and number >= 0
        for number in order
    )
    if not whole or len(order) != form.count(",") + 1:
        raise SettingError(f"`{name}` must be {form}, ints >= 0. Received: {name}={order!r}.")
