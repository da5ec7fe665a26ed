"""What a served model computes, as TensorFlow functions: raw values in, original units out."""

import contextlib
import warnings

import keras
import numpy as np
import tensorflow as tf

from tfts.anomaly.limits import FLAT, OWN_ROWS
from tfts.anomaly.plan import HIGHEST, LEAST
from tfts.anomaly.thresholds import THRESHOLDS, Threshold
from tfts.anomaly.thresholds.deviations import Fixed
from tfts.errors import ModelError
from tfts.serving.quantiles import GraphQuantiles


class ForecastSignatures(tf.Module):
    """The functions of a forecaster, with everything inside that `Forecaster.predict` does.

    A window with a value that is not finite, or with `scaler="log"` a target that is not
    above 0, gives a forecast of NaN, and the other windows of the batch are none the worse.
    With the policy `"mask"` missing values of `past` are no fault as long as each target has one
    in the window; the graph fills them and makes the mask as `WindowSpec` does. With
    `"interpolate"` gaps inside a window are filled first as in `Panel.from_frame`; a gap at its
    start can't be, because the row before it is not there.

    Args:
        forecaster: A fitted `Forecaster` with a Keras model.
        precision: Type of scaling and its inverse. In float64 they agree with `predict`
            to the last digit of float32 also where a level is large beside its spread.
        quantiles: Bool. Whether the quantiles of the forecaster are computed too.

    Attributes:
        columns: Names of the columns of `past`, in order.
        series_names: Names that `series` indexes; `None` where no series has its own scale.

    Example:

    >>> import pandas as pd
    >>> from tfts.forecaster import Forecaster
    >>> frame = pd.DataFrame({"y": np.arange(50.0)}, index=pd.date_range("2024-01-01", periods=50))
    >>> fitted = Forecaster("linear", context_length=3, horizon=2).fit(frame, epochs=1, verbose=0)
    >>> forecast = ForecastSignatures(fitted).functions()["serving_default"]
    >>> answer = forecast(past=tf.constant([[[7.0], [8.0], [9.0]], [[7.0], [np.nan], [9.0]]]))
    >>> np.isnan(answer["forecast"].numpy()).tolist()
    [[[False], [False]], [[True], [True]]]
    """

    def __init__(self, forecaster, precision="float64", quantiles=True):
        super().__init__()
        scaler, known = forecaster.scaler_, forecaster.known_future
        self.levels = quantile_levels(forecaster) if quantiles else ()
        others = [c for c in scaler.columns if c not in forecaster.targets and c not in known]
        self.forecaster = forecaster
        self.columns = (*forecaster.targets, *others)
        self.precision = precision
        self.series_names = self._named_series()
        self._past = self._affine(self.columns)
        self._known = self._affine(known)
        self._targets = self._affine(forecaster.targets)
        self._static = [
            tf.Variable(part, trainable=False, dtype=precision)
            for part in (scaler.static_offset, scaler.static_scale)
        ]
        self._weights = [variable.value for variable in forecaster.model.variables]
        interpolates = forecaster.settings["missing"] == "interpolate"
        self._is_masked = forecaster.task.masked
        self._num_logged = len(scaler.logged)
        self._inside = forecaster.output.in_units(*scaler.affine(None, forecaster.targets))
        self.quantiles = (
            GraphQuantiles(forecaster, self._inside, self.series_names, precision) if self.levels else None
        )
        self._limit = (forecaster.settings["limit"] or np.inf) if interpolates else 0

    def _named_series(self):
        if self.forecaster.settings["series"] is None or not self._by_series():
            return None
        return self._all_series()

    def _by_series(self):
        return self.forecaster.scaler_.per_series or self._measured_by_series()

    def _measured_by_series(self):
        """Whether the errors that quantiles are made of have the size of their series."""
        return bool(self.levels) and self.forecaster.calibration != "none"

    def _all_series(self):
        scaler = self.forecaster.scaler_
        return list(scaler.series_offset if scaler.per_series else self.forecaster.held_out_.names)

    def functions(self):
        """Concrete functions by the names of their signatures."""
        model = self.forecaster.model
        names = ("forecast", "quantiles") if self.quantiles is not None else ("forecast",)
        made = {"serving_default": self._function(model, names)}
        if self.forecaster.has_attention:
            from tfts.models.attention_scores import scores_tensor

            both = keras.Model(model.input, [model.output, scores_tensor(model)])
            made["forecast_with_attention"] = self._function(both, ("forecast", "attention"))
        return made

    def one_window(self):
        """The forecast for a batch of one, a concrete function."""
        specs = {name: tf.TensorSpec((1, *s.shape[1:]), s.dtype, name) for name, s in self.inputs().items()}

        def forecast(**given):
            # Twice the window: Keras adds what looks like a vector, such as a batch of one with
            # one target, by an operation that LiteRT lacks.
            given = {name: tf.concat([values, values], axis=0) for name, values in given.items()}
            outputs, _, quantiles = self._outputs(self.forecaster.model, **given)
            made = {"forecast": outputs[0][:1]}
            return made if quantiles is None else {**made, "quantiles": quantiles[:1]}

        with _portable(self.forecaster.model):
            return _traced(forecast, specs)

    def inputs(self):
        """`TensorSpec` of each input by its name."""
        spec, known = self.forecaster.spec, self.forecaster.known_future
        specs = {"past": tf.TensorSpec((None, spec.context_length, len(self.columns)), tf.float32, "past")}
        if known:
            shape = (None, spec.context_length + spec.horizon, len(known))
            specs["known_future"] = tf.TensorSpec(shape, tf.float32, "known_future")
        if self.forecaster.scaler_.static:
            shape = (None, len(self.forecaster.scaler_.static))
            specs["static"] = tf.TensorSpec(shape, tf.float32, "static")
        if self.series_names is not None:
            specs["series"] = tf.TensorSpec((None,), tf.int32, "series")
        if self.quantiles is not None and self.quantiles.needs_phase:
            specs["phase"] = tf.TensorSpec((None,), tf.int32, "phase")
        return specs

    def _function(self, model, names):
        def forecast(**given):
            outputs, _, quantiles = self._outputs(model, **_shaped(given, self.inputs()))
            outputs += [quantiles] * ("quantiles" in names)
            return dict(zip(names, outputs, strict=True))

        with _portable(model):
            return _traced(forecast, self.inputs())

    def _outputs(self, model, past, known_future=None, static=None, series=None, phase=None):
        """Outputs of the model, NaN for windows that are not whole, the scaled forecast, and quantiles or `None`."""
        inputs, whole, seen = self._scaled(past, known_future, static, series)
        outputs = model(inputs, training=False)
        outputs = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
        parameters = tf.cast(outputs[0], self.precision)
        scaled, quantiles = self._inside.mean(parameters), None
        outputs[0] = tf.cast(self._original(scaled, series), tf.float32)
        if self.quantiles is not None:
            found = self.quantiles(parameters, seen[..., : len(self.forecaster.targets)], series, phase)
            if not self._inside.has_distribution:
                _, scale = self._looked_up(self._targets, series)
                found = scaled[..., None] + found / scale[..., None]
            found = [self._original(found[..., k], series) for k in range(len(self.levels))]
            found = self.quantiles.within_bounds(tf.stack(found, axis=-1), series)
            quantiles = _blank(tf.cast(found, tf.float32), whole)
        return [_blank(x, whole) for x in outputs], _blank(scaled, whole), quantiles

    def _original(self, scaled, series):
        """A forecast `(batch, horizon, targets)` in original units."""
        offset, scale = self._looked_up(self._targets, series)
        scaled = scaled * scale + offset
        return tf.exp(scaled) if self._num_logged else scaled

    def _scaled(self, past, known_future, static, series):
        """What the model takes, which windows of the batch it can make something of, and `past` without gaps."""
        made, whole, seen = (self._masked_past if self._is_masked else self._whole_past)(past, series)
        if known_future is not None:
            whole &= _is_whole(known_future[:, self.forecaster.spec.context_length :])
            known_future = self._filled(self._seen(known_future, "known_future", series))
            whole &= _is_whole(known_future)
            made["known_future"] = self._transformed(known_future, self._known, series)
        if static is not None:
            whole &= _is_whole(static[:, None])
            offset, scale = self._static
            made["static"] = tf.cast((tf.cast(static, self.precision) - offset) / scale, tf.float32)
        made = {
            name: tf.where(tf.reshape(whole, (-1, *(1,) * (len(values.shape) - 1))), values, 0.0)
            for name, values in made.items()
        }
        model = self.forecaster.model
        if any(tensor.name == "teacher" for tensor in model.inputs):
            # It does not listen to a teacher when it predicts.
            shape = (tf.shape(past)[0], self.forecaster.spec.horizon, len(self.forecaster.targets))
            made["teacher"] = tf.zeros(shape)
        return (made if len(made) > 1 else made["past"]), whole, seen

    def _whole_past(self, past, series):
        """The input made of `past`, which windows are whole, and `past` without gaps."""
        # No window may end on a value that was filled: it would be made from the row after it.
        whole = _is_whole(past[:, -1:])
        past = self._filled(self._seen(past, "past", series))
        whole &= _is_whole(past)
        seen = past
        if self._num_logged:
            whole &= tf.reduce_all(past[..., : self._num_logged] > 0, axis=(1, 2))
            past = self._with_logarithms(past)
        return {"past": self._transformed(past, self._past, series)}, whole, seen

    def _masked_past(self, past, series):
        """The inputs made of a `past` with holes, of which windows a forecast can be made, and `past`."""
        there = ~tf.math.is_nan(past)
        targets = there[..., : len(self.forecaster.targets)]
        # Zeros first, as in `_filled`.
        values = tf.where(tf.math.is_nan(past), tf.zeros_like(past), past)
        whole = tf.reduce_all(tf.reduce_any(targets, axis=1), axis=1) & _is_whole(values)
        if self._num_logged:
            logged = slice(None, self._num_logged)
            whole &= tf.reduce_all((past[..., logged] > 0) | ~there[..., logged], axis=(1, 2))
            values = self._with_logarithms(values)
        values = self._transformed(values, self._past, series)
        place, near = _places_of(values), _neighbours(values, there)
        before, left, has_left, after, right, has_right = near
        inside = ~there & has_left & has_right
        share = (place - left) / tf.where(inside, right - left, tf.ones_like(place))
        edges = tf.where(has_left, before, tf.where(has_right, after, tf.zeros_like(after)))
        filled = tf.where(inside, before + (after - before) * share, edges)
        return {"past": filled, "observed": tf.cast(there, tf.float32)}, whole, past

    def _seen(self, values, name, series):
        """Values as the scaler knows them."""
        return values

    def _transformed(self, values, affine, series):
        offset, scale = self._looked_up(affine, series)
        return tf.cast((tf.cast(values, self.precision) - offset) / scale, tf.float32)

    def _with_logarithms(self, past):
        """Logarithms of the targets, which come first, beside the other columns."""
        past = tf.cast(past, self.precision)
        # What has none takes no part, but its NaN would be worse than any number.
        targets = tf.maximum(past[..., : self._num_logged], float(np.finfo(np.float32).tiny))
        return tf.concat([tf.math.log(targets), past[..., self._num_logged :]], axis=-1)

    def _filled(self, values):
        """Values with the gaps filled that the policy allows."""
        if not self._limit or values.shape[1] < 3:
            return values
        seen = ~tf.math.is_nan(values)
        # Converters to ONNX choose by products, in which one NaN would be all.
        values = tf.where(tf.math.is_nan(values), tf.zeros_like(values), values)
        place = _places_of(values)
        before, left, has_left, after, right, has_right = _neighbours(values, seen)
        gap = right - left
        fits = ~seen & has_left & has_right & (gap - 1 <= self._limit)
        before, after, step, gap = (
            tf.cast(x, self.precision) for x in (before, after, place - left, tf.where(fits, gap, 1.0))
        )
        filled = tf.where(fits, tf.cast(before + (after - before) * (step / gap), values.dtype), values)
        return tf.where(seen | fits, filled, np.nan)

    def _affine(self, columns):
        """Tables of the offset and the scale of the columns, see `_table`."""
        scaler = self.forecaster.scaler_
        return [self._table(lambda name, i=i: scaler.affine(name, columns)[i]) for i in (0, 1)]

    def _table(self, row_of):
        """One row, or one for each series and the last for any other."""
        if self.series_names is None:
            rows = [row_of("")]
        else:
            rows = [row_of(name) for name in (*self.series_names, None)]
        return tf.Variable(np.stack(rows), trainable=False, dtype=self.precision)

    def _looked_up(self, tables, series):
        """Rows of tables for each window, `(batch or 1, 1, columns)`."""
        if self.series_names is None:
            return [tf.convert_to_tensor(table)[:, None] for table in tables]
        last = len(self.series_names)
        # Any other index is a series that was not seen in training.
        row = tf.where((series >= 0) & (series < last), series, last)
        return [tf.gather(table, row)[:, None] for table in tables]


def quantile_levels(forecaster):
    """Levels of the quantiles that a graph gives.

    Adaptive ones follow from outcomes that became known since, which no window tells: a warning says that they
    are left out.

    Example:

    >>> from tfts.forecaster import Forecaster
    >>> quantile_levels(Forecaster("linear", context_length=3, horizon=2, output="normal", quantiles=[0.1, 0.9]))
    (0.1, 0.9)
    """
    if forecaster.calibration != "adaptive":
        return forecaster.quantiles
    warnings.warn(
        "The exported model gives forecasts without quantiles, because those of calibration='adaptive' follow from the "
        "outcomes of earlier forecasts, which a window does not tell. Forecaster.predict gives them; "
        "calibration='conformal' can be exported.",
        stacklevel=2,
    )
    return ()


class DetectSignatures(ForecastSignatures):
    """The functions of a detector: its forecast of a row, and what that says of the actual one.

    A graph keeps nothing from one request to the next. What follows from earlier rows, such
    as the events and the replacing of flagged values, is the task of `AnomalyDetector.monitor`;
    a detector whose very score or threshold follows from them is refused.

    Args:
        detector: A fitted `AnomalyDetector` with a Keras model that `check_stateless` lets through.

    Example:

    >>> import pandas as pd
    >>> from tfts.anomaly.detector import AnomalyDetector
    >>> days = pd.date_range("2024-01-01", periods=90)
    >>> usual = pd.DataFrame({"sales": np.random.default_rng(0).normal(100, 5, 90)}, index=days)
    >>> detector = AnomalyDetector("linear", context_length=3).fit(usual, epochs=1, verbose=0)
    >>> judge = DetectSignatures(detector).functions()["detect"]
    >>> answer = judge(past=tf.fill((2, 3, 1), 100.0), actual=tf.constant([[101.0], [300.0]]))
    >>> answer["flag"].numpy().tolist()
    [[False], [True]]
    """

    def __init__(self, detector):
        self.plan = detector.plan_
        super().__init__(detector.forecaster_, quantiles=False)
        plan, columns = self.plan, self.forecaster.scaler_.columns
        relative, resolution = plan.limits.relative, plan.limits.resolution
        self._measures = [
            self._table(lambda name: [t.limit_ for t in relative(name)[0].thresholds]),
            self._table(lambda name: relative(name)[0].score.centre_),
            self._table(lambda name: relative(name)[0].score.spread_),
            self._table(lambda name: relative(name)[1]),
            self._table(lambda name: [float(relative(name)[2])] * plan.num_targets),
            self._table(lambda name: resolution(name).step_),
            self._table(lambda name: resolution(name).digits_),
        ]
        self._logs = {}
        for name, wanted in (
            ("past", self.columns),
            ("known_future", self.forecaster.known_future),
            ("targets", self.forecaster.targets),
        ):
            at = [columns.index(c) for c in wanted]
            place = [list(plan.log_at).index(i) if i in plan.log_at else None for i in at]
            if any(p is not None for p in place):
                self._logs[name] = (
                    [p is not None for p in place],
                    self._table(
                        lambda series, place=place: [
                            1.0 if p is None else plan.offsets(series)[p] for p in place
                        ]
                    ),
                )
        self._is_fixed = isinstance(plan.limits.shared.thresholds[0], Fixed)
        self._context_at = [self.forecaster.known_future.index(columns[i]) for i in plan.context_at]

    def functions(self):
        """Concrete functions by the names of their signatures."""
        model, specs = self.forecaster.model, self.inputs()
        specs["actual"] = tf.TensorSpec((None, len(self.forecaster.targets)), tf.float32, "actual")

        # By keywords alone: they are the names of the inputs.
        def detect(**given):
            return self._judged(**_shaped(given, specs))

        with _portable(model):
            judge = _traced(detect, specs)
        return {**super().functions(), "detect": judge}

    def _by_series(self):
        # Each series has a unit of its own.
        return True

    def _all_series(self):
        return list(self.plan.names.values())

    def _seen(self, values, name, series):
        if name not in self._logs:
            return values
        is_log, table = self._logs[name]
        offset = self._looked_up([table], series)[0]
        values = tf.cast(values, self.precision)
        # What has no logarithm is as far off as a value can be.
        logs = tf.math.log(tf.maximum(values + offset, LEAST * offset))
        return tf.where(tf.constant(is_log) & ~tf.math.is_inf(values), logs, values)

    def _original(self, scaled, series):
        modelled = super()._original(scaled, series)
        if "targets" not in self._logs:
            return modelled
        is_log, table = self._logs["targets"]
        exponentials = tf.exp(tf.minimum(modelled, HIGHEST)) - self._looked_up([table], series)[0]
        return tf.where(tf.constant(is_log), exponentials, modelled)

    def _judged(self, actual, past, known_future=None, series=None):
        (forecast,), scaled, _ = self._outputs(self.forecaster.model, past, known_future, series=series)
        # A value that is not finite can't be judged, however strange it is.
        actual = tf.where(tf.math.is_finite(actual), actual, np.nan)[:, None]
        offset, scale = self._looked_up(self._targets, series)
        found = (tf.cast(self._seen(actual, "targets", series), self.precision) - offset) / scale - scaled
        original = self._original(scaled, series)
        actual = tf.cast(actual, self.precision)
        residual = actual - original
        contexts = None
        if self._context_at:
            contexts = tf.gather(known_future[:, -1], self._context_at, axis=1)
        tables = (table[:, 0] for table in self._looked_up(self._measures, series))
        limit, centre, spread, unit, is_relative, step, digits = tables
        unit = tf.where(tf.math.is_nan(unit), self._unit_of(self._seen(past, "past", series)), unit)
        sizes, shares = self._sizes((found * scale)[:, 0] / unit, centre, spread, contexts)
        power = 2 if self.plan.score.kind == "squared" else 1
        to_original = tf.where(is_relative > 0, unit**power, 1.0)
        sizes *= to_original
        # The limit of a user is in original units as it is.
        flags = sizes > (limit if self._is_fixed else limit * to_original)
        off, largest = tf.abs(residual[:, 0]), tf.maximum(tf.abs(actual[:, 0]), tf.abs(original[:, 0]))
        flags &= off >= tf.constant(self.plan.min_size, self.precision)
        # As `Resolution.least`.
        flags &= off > tf.maximum(step / 2, digits * largest)
        if shares is not None:
            flags &= shares >= 0.5 * tf.reduce_max(shares, axis=1, keepdims=True)
        made = {"forecast": forecast[:, 0], "residual": residual[:, 0], "score": sizes}
        return {**{name: tf.cast(x, tf.float32) for name, x in made.items()}, "flag": flags}

    def _unit_of(self, past):
        """What `Limits.unit_of` does."""
        limits, targets = self.plan.limits, tf.cast(past[..., : self.plan.num_targets], self.precision)
        level = tf.reduce_mean(tf.abs(targets), axis=1)
        stand_in = tf.where(level > 0, limits.share * level, limits.usual_unit)
        if past.shape[1] < OWN_ROWS:
            return stand_in
        deviation = tf.math.reduce_std(targets, axis=1)
        return tf.where(deviation > FLAT * level, deviation, stand_in)

    def _sizes(self, residual, centre, spread, contexts):
        """What `ResidualScore.apply` does."""
        score = self.plan.score
        up = score.direction == "up"
        if score.kind in ("absolute", "squared"):
            sizes = tf.abs(residual) if score.kind == "absolute" else residual**2
            if score.direction != "both":
                sizes = tf.where((residual > 0) == up, sizes, residual * 0)
            return sizes, None
        sizes = residual - centre
        if score.kind != "residual":
            sizes = sizes / spread
            for i, effects in enumerate(score.contexts_):
                is_value = contexts[:, i, None] == tf.constant(list(effects), contexts.dtype)
                shift, factor = (
                    tf.cast(is_value, self.precision) @ np.array([pair[j] for pair in effects.values()])
                    for j in (0, 1)
                )
                # A new value changes nothing.
                factor = tf.where(tf.reduce_any(is_value, axis=1, keepdims=True), factor, 1.0)
                sizes = (sizes - shift) / factor
        if score.kind == "joint":
            return self._joint(sizes)
        return (tf.abs(sizes) if score.direction == "both" else sizes * (1 if up else -1)), None

    def _joint(self, scaled):
        sign = {"both": None, "up": 1.0, "down": -1.0}[self.plan.score.direction]
        if sign is not None:
            scaled = tf.where(tf.math.is_nan(scaled), scaled, tf.maximum(scaled * sign, 0) * sign)
        absent = tf.math.is_nan(scaled)
        # A missing value says nothing: it stands at its centre.
        known = tf.where(~absent, scaled, 0)
        parts = known * (known @ tf.constant(self.plan.score.precision_))
        distance = tf.sqrt(tf.maximum(tf.reduce_sum(parts, axis=1, keepdims=True), 0))
        parts = tf.maximum(parts, 0)
        total = tf.reduce_sum(parts, axis=1, keepdims=True)
        shares = tf.where(total > 0, parts / tf.where(total > 0, total, 1), 1 / parts.shape[1])
        return tf.where(~absent, distance, np.nan), shares


class RegressionSignatures(tf.Module):
    """The function of a regression: features in original units to values or probabilities.

    Args:
        model: Keras model from `(batch, features)` to `(batch, outputs)`, as `to_keras` makes it.

    Example:

    >>> from tfts import LinearRegression
    >>> X = np.array([[0.0], [1.0], [2.0]])
    >>> model = LinearRegression().fit(X, [1.0, 3.0, 5.0]).to_keras()
    >>> predict = RegressionSignatures(model).functions()["serving_default"]
    >>> predict(features=tf.constant([[3.0]]))["value"].numpy().round(3).tolist()
    [[7.0]]
    """

    def __init__(self, model):
        super().__init__()
        self._call, self._weights = model, [variable.value for variable in model.variables]

    def functions(self):
        """Concrete functions by the names of their signatures."""
        model = self._call
        output = "probability" if any(layer.name == "probability" for layer in model.layers) else "value"

        def predict(**given):
            features = _shaped(given, {"features": spec})["features"]
            whole = tf.reduce_all(tf.math.is_finite(features), axis=1)
            given = tf.cast(tf.where(whole[:, None], features, 0.0), model.inputs[0].dtype)
            return {output: _blank(tf.cast(model(given, training=False), tf.float32), whole)}

        spec = tf.TensorSpec((None, model.inputs[0].shape[1]), tf.float32, "features")
        return {"serving_default": _traced(predict, {"features": spec})}


def describe(text):
    """The signature by which a server of any kind says what it serves.

    Args:
        text: Str.

    Returns:
        Concrete function from `rows` int32 `(batch,)` to `metadata`, the text for each row.

    Example:

    >>> describe("{}")(rows=tf.constant([7, 8]))["metadata"].numpy().tolist()
    [b'{}', b'{}']
    """

    def repeat(**given):
        # A server that batches requests needs an answer for each row.
        return {"metadata": tf.fill(tf.shape(given["rows"]), text)}

    return _traced(repeat, {"rows": tf.TensorSpec((None,), tf.int32, "rows")})


def _shaped(given, specs):
    """Inputs of the shapes that were promised: a session takes whatever it is fed."""
    return {name: tf.ensure_shape(values, specs[name].shape) for name, values in given.items()}


def _traced(function, specs):
    return tf.function(function, autograph=False).get_concrete_function(**specs)


def _places_of(values):
    """The place of each row in its window, float32, like the values."""
    return tf.broadcast_to(tf.range(float(values.shape[1]))[None, :, None], tf.shape(values))


def _neighbours(values, seen):
    """What `_carried` gives of the rows before, then the same of the rows after."""
    place = _places_of(values)
    backwards = [tf.reverse(x, (1,)) for x in (values, place, seen)]
    return *_carried(values, place, seen), *(tf.reverse(x, (1,)) for x in _carried(*backwards))


def _carried(values, place, seen):
    """The last value that was seen up to each row, its place, and whether there is one."""
    step = 1
    # Twice as far in each round, so that a long window takes few operations.
    while step < values.shape[1]:
        pad = [[0, 0], [step, 0], [0, 0]]
        before = [tf.pad(x[:, :-step], pad) for x in (values, place, seen)]
        values, place = (tf.where(seen, x, y) for x, y in zip((values, place), before[:2], strict=True))
        seen |= before[2]
        step *= 2
    return values, place, seen


def _is_whole(values):
    return tf.reduce_all(tf.math.is_finite(values), axis=(1, 2))


def _blank(values, whole):
    """Values with NaN in the place of all that a window gave which is not whole."""
    return tf.where(tf.reshape(whole, (-1, *[1] * (len(values.shape) - 1))), values, np.nan)


def check_stateless(detector):
    """Refuses a detector that needs rows before the window, which no request brings.

    Args:
        detector: A fitted `AnomalyDetector`.

    Raises:
        ValueError: If it does; says what for, and what to choose instead.

    Example:

    >>> import pandas as pd
    >>> from tfts.anomaly.detector import AnomalyDetector
    >>> days = pd.date_range("2024-01-01", periods=90)
    >>> usual = pd.DataFrame({"sales": np.random.default_rng(0).normal(100, 5, 90)}, index=days)
    >>> check_stateless(AnomalyDetector("persistence", context_length=3, threshold="pot").fit(usual))
    Traceback (most recent call last):
    tfts.errors.ModelError: The detector can't be exported: threshold='pot' moves with every row that is judged, and ...
    """
    plan, settings = detector.plan_, detector.settings
    learns = [name for name in THRESHOLDS if _goes_on_learning(name, settings["threshold_options"])]
    stays = sorted(set(THRESHOLDS) - {*learns, "interval"})
    known = detector.forecaster_.known_future
    columns = detector.forecaster_.scaler_.columns
    hidden = [columns[i] for i in plan.context_at if columns[i] not in known]
    for refused, what, instead in (
        (
            settings["threshold"] in learns,
            f"threshold={settings['threshold']!r} moves with every row that is judged",
            f"a threshold that stays as it was calibrated: {', '.join(stays)}",
        ),
        (
            plan.intervals is not None,
            "threshold='interval' needs the errors of its calibration rows and the season of the row",
            f"a threshold that stays as it was calibrated: {', '.join(stays)}",
        ),
        (plan.average is not None, "`smooth` averages over the rows before", "smooth=None"),
        (bool(plan.aides), "`same_row` needs a second forecast", "no `same_row`"),
        (plan.is_irregular, "irregular='step_length' counts from the row before", "irregular='regularise'"),
        (
            bool(plan.clocks),
            f"context={settings['context']} needs the time of the row, which is no input",
            "the same features as `calendar`, which makes columns of them",
        ),
        (
            bool(hidden),
            f"context={settings['context']} needs {hidden} in the judged row",
            "context columns that are known_future",
        ),
    ):
        if refused:
            raise ModelError(
                f"The detector can't be exported: {what}, and a graph keeps nothing from one request to the next. "
                f"Expected {instead}. `AnomalyDetector.monitor` judges a live feed with all of it."
            )


def _goes_on_learning(name, options):
    if name == "pot":
        return options.get("streaming", True)
    return THRESHOLDS[name]._see is not Threshold._see


@contextlib.contextmanager
def _portable(model):
    """Traces without kernels that only a graphics processor has."""
    layers = [layer for layer in model._flatten_layers() if hasattr(layer, "use_cudnn")]
    before = [layer.use_cudnn for layer in layers]
    try:
        for layer in layers:
            layer.use_cudnn = False
        yield
    finally:
        for layer, value in zip(layers, before, strict=True):
            layer.use_cudnn = value
