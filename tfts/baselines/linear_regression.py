"""Linear regression, plain or ridge, from the flat window to the flat horizon."""

import numpy as np
from sklearn import linear_model

from tfts._messages import unknown
from tfts.baselines.baseline import Baseline
from tfts.data.holes import windows_to_learn
from tfts.errors import DataError, SettingError

WINDOW_NORMS = ("none", "last")

# Ridge strength for each window that is no more than a guard against rounding.
_LEAST = 1e-9
# Float64 values of the inputs that are held at once while forecasting (32 MB).
_CHUNK = 4_194_304


class LinearRegression(Baseline):
    """Least squares from all values of a window to all values of its horizon.

    The inputs are the flat `past` (targets and other columns) and, if there are any, the
    flat `known_future` of context and horizon. All series share the weights. Fitted by
    scikit-learn's `Ridge` in float64. Of a table with holes a window is seen as a network sees it,
    and is learnt from where at least half of its future was observed, see
    `tfts.data.holes.windows_to_learn`.

    Args:
        alpha: Ridge strength, float >= 0, in the units of the panel given to `fit`; the
            intercept is not shrunk. 0 is ordinary least squares.
        window_norm: `"last"` subtracts from every column of `past` its value at the
            origin and adds the targets' value to the forecast, so that a drifting level
            does no harm. `"none"` takes the values as they are.
        max_windows: Int >= 1. Of more training windows than this, every second, third,
            ... is used.

    Attributes:
        coef_: Float64 `(inputs, horizon * targets)`.
        intercept_: Float64 `(horizon * targets,)`.
        window_: `[context_length, horizon, names of past, names of known_future]`.

    Raises:
        ValueError: If an option has a wrong value.

    Example:

    >>> import numpy as np, pandas as pd
    >>> from tfts.data.panel import Panel
    >>> from tfts.data.windows import WindowSpec
    >>> frame = pd.DataFrame({"y": 3.0 * np.arange(9.0)},
    ...                      index=pd.date_range("2024-01-01", periods=9, freq="D"))
    >>> panel, spec = Panel.from_frame(frame), WindowSpec(context_length=2, horizon=2)
    >>> model = LinearRegression().fit(panel, spec)
    >>> model.predict(panel, spec, [8])[0, :, 0].round(4).tolist()
    [27.0, 30.0]
    """

    uses_columns = True

    def __init__(self, alpha=0.0, window_norm="none", max_windows=20_000):
        number = isinstance(alpha, int | float | np.number) and not isinstance(alpha, bool)
        if not number or not 0 <= alpha < np.inf:
            raise SettingError(f"`alpha` must be a float >= 0 (ridge strength). Received: alpha={alpha!r}.")
        if window_norm not in WINDOW_NORMS:
            raise SettingError(unknown("window_norm", window_norm, WINDOW_NORMS))
        whole = isinstance(max_windows, int | np.integer) and not isinstance(max_windows, bool)
        if not whole or max_windows < 1:
            raise SettingError(
                f"`max_windows` must be an int >= 1 (windows). Received: max_windows={max_windows!r}."
            )
        self.alpha = alpha
        self.window_norm = window_norm
        self.max_windows = max_windows

    @property
    def num_parameters(self):
        """Weights and intercepts."""
        return self.coef_.size + self.intercept_.size

    def _learn(self, panel, spec):
        self.window_ = self._describe(panel, spec)
        rows, targets = windows_to_learn(panel, spec, spec.origins(panel))
        rows = rows[:: -(-len(rows) // self.max_windows)]
        after = rows[:, None] + np.arange(1, spec.horizon + 1)
        future = targets[after] - self._level(panel, rows)[:, None, :]
        inputs = self._inputs(panel, spec, rows)
        spread, alpha = np.ones(inputs.shape[1]), self.alpha
        if not alpha:
            # Columns in very different units would look like rounding errors beside each
            # other, and the least strength keeps inputs that repeat each other (a calendar)
            # from being weighed by their rounding. A true ridge shrinks in the panel's units.
            spread, alpha = inputs.std(axis=0), _LEAST * len(rows)
            spread[spread == 0] = 1.0
        model = linear_model.Ridge(alpha)
        model.fit(inputs / spread, future.reshape(len(rows), -1))
        # With one output, some versions of scikit-learn leave the axis of outputs out.
        self.coef_ = (np.atleast_2d(model.coef_) / spread).T
        self.intercept_ = np.atleast_1d(model.intercept_)

    def _forecast(self, panel, spec, rows):
        window = self._describe(panel, spec)
        if window != self.window_:
            raise DataError(
                "LinearRegression was fitted for windows of [context_length, horizon, past, known_future] = "
                f"{self.window_}, and its weights fit no other. Received: {window}."
            )
        flat = np.empty((len(rows), len(self.intercept_)))
        step = max(1, _CHUNK // len(self.coef_))
        for at in range(0, len(rows), step):
            chunk = rows[at : at + step]
            flat[at : at + step] = self._inputs(panel, spec, chunk) @ self.coef_ + self.intercept_
        forecast = flat.reshape(len(rows), spec.horizon, len(self.targets_))
        return forecast + self._level(panel, rows)[:, None, :]

    def _describe(self, panel, spec):
        past, known = list(spec.features(panel)), list(spec.known_columns(panel))
        return [int(spec.context_length), int(spec.horizon), past, known]

    def _inputs(self, panel, spec, rows):
        past = spec.past(panel, rows).astype(np.float64)
        if self.window_norm == "last":
            # The last row less itself says nothing.
            past = past[:, :-1] - past[:, -1:]
        flat = past.reshape(len(rows), -1)
        if not spec.known_columns(panel):
            return flat
        return np.concatenate([flat, spec.known(panel, rows).reshape(len(rows), -1)], axis=1)

    def _level(self, panel, rows):
        """What the forecast starts from, float64 `(windows, targets)`."""
        if self.window_norm == "none":
            return np.zeros((len(rows), len(self.targets_)))
        return self._latest(panel, rows)[0]
