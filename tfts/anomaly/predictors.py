"""One-step forecasts row by row, from a history instead of a table: what a live monitor needs.

A fitted `Forecaster` predicts thousands of windows of a table at once; asked for one row
it spends milliseconds around microseconds of arithmetic. A predictor takes the last rows,
already scaled, and gives the next one.
"""

import functools

import numpy as np
import pandas as pd

from tfts._units import offset_of
from tfts.baselines import LinearRegression, Persistence, RunningMedian, SeasonalNaive
from tfts.data.panel import Panel
from tfts.data.spans import Spans
from tfts.errors import DataError
from tfts.predictors import NetworkPredictor

# Rows of history for a method whose state is moved over them, such as Arima.
_STATE_ROWS = 250


class Predictor:
    """The next row of scaled targets from the rows before it.

    Args:
        forecaster: A fitted `Forecaster` with `horizon=1`.

    Attributes:
        rows: Rows of history it needs.
        memory: Rows of history it makes use of, if there are so many.
        needs_time: Whether it looks at the time.

    Example:

    >>> from tfts.forecaster import Forecaster
    >>> frame = pd.DataFrame({"y": [1.0, 5.0, 2.0, 4.0]}, index=pd.date_range("2024-01-01", periods=4))
    >>> forecaster = Forecaster("persistence", context_length=1, horizon=1).fit(frame, validation=0)
    >>> predict = predictor_of(forecaster)
    >>> predict(np.array([[0.5], [0.25]]), np.zeros((3, 0)), "", frame.index[-1])
    array([0.25])
    """

    needs_time = False

    def __init__(self, forecaster):
        self.forecaster = forecaster
        self.rows = self.memory = forecaster.spec.context_length

    def __call__(self, past, known, series, time):
        """Predicts the next row.

        Args:
            past: Float64 `(rows or more, features)`: the latest rows, scaled, the targets
                first.
            known: Float64 `(rows or more + 1, known columns)`: those rows and the next one.
            series: Name of the series.
            time: Time of the next row.

        Returns:
            Float64 `(targets,)`, scaled.
        """
        return self.point(self.parameters(past, known, series, time), series)

    def parameters(self, past, known, series, time):
        """As `__call__`, all that the forecaster's output says: its parameters, scaled; of a point the point."""
        return past[-1, : len(self.forecaster.model.targets_)]

    def point(self, parameters, series):
        """The forecast of these parameters, `(targets,)`, scaled."""
        return parameters


class _Seasonal(Predictor):
    def __init__(self, forecaster):
        super().__init__(forecaster)
        self.season = forecaster.model.season_length_
        self.rows = max(self.rows, self.season)
        self.memory = max(self.rows, self.season * forecaster.model.num_seasons)

    def parameters(self, past, known, series, time):
        # Rows of the same phase, the newest first; early on there are fewer than wanted.
        seasons = past[-self.season :: -self.season, : len(self.forecaster.model.targets_)]
        return np.median(seasons[: self.forecaster.model.num_seasons], axis=0)


class _Median(Predictor):
    def __init__(self, forecaster):
        super().__init__(forecaster)
        self.memory = max(self.rows, forecaster.model.rows)

    def parameters(self, past, known, series, time):
        return np.median(past[-self.memory :, : len(self.forecaster.model.targets_)], axis=0)


class _Linear(Predictor):
    def __init__(self, forecaster):
        super().__init__(forecaster)
        self.weights = np.ascontiguousarray(forecaster.model.coef_)
        self.intercept = forecaster.model.intercept_
        self.is_last = forecaster.model.window_norm == "last"

    def parameters(self, past, known, series, time):
        past = past[-self.rows :]
        level = 0.0
        if self.is_last:
            level = past[-1, : len(self.intercept)]
            past = past[:-1] - past[-1]
        flat = np.concatenate([past.ravel(), known[-self.rows - 1 :].ravel()])
        return flat @ self.weights + self.intercept + level


class _Network(Predictor):
    """One compiled call for one window: `model.predict` would take a hundred times as long."""

    def __init__(self, forecaster):
        super().__init__(forecaster)
        import tensorflow as tf

        model = forecaster.model
        shapes = {tensor.name: tuple(tensor.shape[1:]) for tensor in model.inputs}
        self.names = list(shapes)
        signature = [tf.TensorSpec((1, *shapes[name]), tf.float32) for name in self.names]
        self.teacher = np.zeros((1, *shapes["teacher"]), np.float32) if "teacher" in shapes else None
        single = len(self.names) == 1

        def call(*inputs):
            given = inputs[0] if single else dict(zip(self.names, inputs, strict=True))
            return model(given, training=False)

        # XLA makes an LSTM step over one window about eight times as fast.
        compiled = tf.function(call, input_signature=signature, jit_compile=True)
        self.call = compiled.get_concrete_function()
        self.tensor = functools.partial(tf.convert_to_tensor, dtype=tf.float32)

    def point(self, parameters, series):
        output = self.forecaster.output
        if not output.has_distribution:
            return parameters
        # What the parameters say may depend on the units, as it does of counts.
        offset, scale = self.forecaster.scaler_.affine(series, self.forecaster.targets)
        return (output.mean(output.restore(parameters, offset, scale)) - offset) / scale

    def parameters(self, past, known, series, time):
        inputs = {"past": past[None, -self.rows :], "known_future": known[None, -self.rows - 1 :]}
        inputs["teacher"] = self.teacher
        return self.call(*(self.tensor(inputs[name]) for name in self.names)).numpy()[0, 0].astype(np.float64)


class _Table(Predictor):
    """Any other baseline, through a table made of its last rows; slow, but every method has it."""

    needs_time = True

    def __init__(self, forecaster):
        super().__init__(forecaster)
        self.memory = max(self.rows, _STATE_ROWS)

    def parameters(self, past, known, series, time):
        model = self.forecaster
        columns, rows = model.scaler_.columns, len(past)
        # The row to come holds what is known of it.
        table = np.full((rows + 1, len(columns)), np.nan, np.float32)
        ahead = [i for i, column in enumerate(columns) if column in model.known_future]
        order = list(model.targets) + [
            c for c in columns if c not in model.targets and c not in model.known_future
        ]
        table[:-1, [columns.index(column) for column in order]] = past
        table[:, ahead] = known
        times = pd.date_range(end=time, periods=rows + 1, freq=offset_of(model.freq))
        panel = Panel(
            values=table,
            columns=columns,
            targets=model.targets,
            known_future=model.known_future,
            times=times,
            freq=model.freq,
            series=(series,),
            spans=Spans(0, 0, rows, rows + 1),
            filled=np.zeros(table.shape, dtype=bool),
            series_name="series",
        )
        return model.model.predict(panel, model.spec, [rows - 1])[0, 0]


def predictor_of(forecaster):
    """The fastest predictor for a fitted forecaster.

    Args:
        forecaster: A fitted `Forecaster` with `horizon=1`.

    Returns:
        A `Predictor`.

    Raises:
        ValueError: If it forecasts more than one row.

    Example:

    >>> from tfts.forecaster import Forecaster
    >>> frame = pd.DataFrame({"y": np.arange(20.0)}, index=pd.date_range("2024-01-01", periods=20))
    >>> forecaster = Forecaster("linear_regression", context_length=3, horizon=1, scaler="none")
    >>> predict = predictor_of(forecaster.fit(frame, validation=0))
    >>> predict(np.array([[7.0], [8.0], [9.0]]), np.zeros((4, 0)), "", None).round(4)
    array([10.])
    """
    if forecaster.spec.horizon != 1:
        raise DataError(
            f"A row is judged by a forecast of one step. Received: a forecaster with horizon={forecaster.spec.horizon}."
        )
    kinds = {LinearRegression: _Linear, Persistence: Predictor, SeasonalNaive: _Seasonal}
    kinds[RunningMedian] = _Median
    if isinstance(forecaster.predictor, NetworkPredictor):
        return _Network(forecaster)
    if getattr(forecaster.model, "season", None) == "clock":
        made = _Table(forecaster)
        # A day of 25 hours, also of rows of a minute, and one season more where the clock was put forward.
        made.memory = int(forecaster.model.season_length_ * (forecaster.model.num_seasons + 1) * 25 / 24) + 1
        return made
    return kinds.get(type(forecaster.model), _Table)(forecaster)
