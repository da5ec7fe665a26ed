"""What a served model computes, as TensorFlow functions: raw values in, original units out."""

import contextlib

import keras
import numpy as np
import tensorflow as tf


class ForecastSignatures(tf.Module):
    """The functions of a forecaster, with everything inside that `Forecaster.predict` does.

    A window with a value that is not finite gives a forecast of NaN, and the other windows
    of the batch are none the worse. With the policy `"interpolate"` gaps inside a window
    are filled first as in `Panel.from_frame`; a gap at its start can't be, because the
    row before it is not there.

    Args:
        forecaster: A fitted `Forecaster` with a Keras model.
        precision: Type of scaling and its inverse. In float64 they agree with `predict`
            to the last digit of float32 also where a level is large beside its spread.

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

    def __init__(self, forecaster, precision="float64"):
        super().__init__()
        scaler, known = forecaster.scaler_, forecaster.known_future
        others = [c for c in scaler.columns if c not in forecaster.targets and c not in known]
        self.forecaster = forecaster
        self.columns = (*forecaster.targets, *others)
        self.precision = precision
        self.series_names = list(scaler.series_offset) if scaler.per_series else None
        self._past = self._affine(self.columns)
        self._known = self._affine(known)
        self._targets = self._affine(forecaster.targets)
        self._weights = [variable.value for variable in forecaster.model.variables]
        interpolates = forecaster.settings["missing"] == "interpolate"
        self._limit = (forecaster.settings["limit"] or np.inf) if interpolates else 0

    def functions(self):
        """Concrete functions by the names of their signatures."""
        model = self.forecaster.model
        made = {"serving_default": self._function(model, ("forecast",))}
        if self.forecaster.has_attention:
            from tfts.models.attention_scores import scores_tensor

            both = keras.Model(model.input, [model.output, scores_tensor(model)])
            made["forecast_with_attention"] = self._function(both, ("forecast", "attention"))
        return made

    def inputs(self):
        """`TensorSpec` of each input by its name."""
        spec, known = self.forecaster.spec, self.forecaster.known_future
        specs = {"past": tf.TensorSpec((None, spec.context_length, len(self.columns)), tf.float32, "past")}
        if known:
            shape = (None, spec.context_length + spec.horizon, len(known))
            specs["known_future"] = tf.TensorSpec(shape, tf.float32, "known_future")
        if self.series_names is not None:
            specs["series"] = tf.TensorSpec((None,), tf.int32, "series")
        return specs

    def _function(self, model, names):
        def forecast(**given):
            outputs, _ = self._outputs(model, **given)
            return dict(zip(names, outputs, strict=True))

        with _portable(model):
            return tf.function(forecast).get_concrete_function(**self.inputs())

    def _outputs(self, model, past, known_future=None, series=None):
        """Outputs of the model, the forecast in original units, and which windows are whole."""
        inputs, whole = self._scaled(past, known_future, series)
        outputs = model(inputs, training=False)
        outputs = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
        offset, scale = self._looked_up(self._targets, series)
        outputs[0] = tf.cast(tf.cast(outputs[0], self.precision) * scale + offset, tf.float32)
        blank = tf.constant(np.nan, tf.float32)
        return [
            tf.where(tf.reshape(whole, (-1, *[1] * (len(x.shape) - 1))), x, blank) for x in outputs
        ], whole

    def _scaled(self, past, known_future, series):
        """What the model takes, and which windows of the batch it can make something of."""
        # No window may end on a value that was filled: it would be made from the row after it.
        whole = tf.reduce_all(tf.math.is_finite(past[:, -1]), axis=1)
        past = self._filled(past)
        whole &= tf.reduce_all(tf.math.is_finite(past), axis=(1, 2))
        if known_future is not None:
            ahead = known_future[:, self.forecaster.spec.context_length :]
            whole &= tf.reduce_all(tf.math.is_finite(ahead), axis=(1, 2))
            known_future = self._filled(known_future)
            whole &= tf.reduce_all(tf.math.is_finite(known_future), axis=(1, 2))
        made = {"past": self._transformed(past, self._past, series, whole)}
        if known_future is not None:
            made["known_future"] = self._transformed(known_future, self._known, series, whole)
        model = self.forecaster.model
        if any(tensor.name == "teacher" for tensor in model.inputs):
            # It does not listen to a teacher when it predicts.
            shape = (tf.shape(past)[0], self.forecaster.spec.horizon, len(self.forecaster.targets))
            made["teacher"] = tf.zeros(shape)
        return (made if len(made) > 1 else made["past"]), whole

    def _transformed(self, values, affine, series, whole):
        offset, scale = self._looked_up(affine, series)
        scaled = tf.cast((tf.cast(values, self.precision) - offset) / scale, tf.float32)
        return tf.where(whole[:, None, None], scaled, 0.0)

    def _filled(self, values):
        """Values with the gaps filled that the policy allows."""
        if not self._limit or values.shape[1] < 3:
            return values
        seen = ~tf.math.is_nan(values)
        place = tf.broadcast_to(tf.range(float(values.shape[1]))[None, :, None], tf.shape(values))
        before, left, has_left = _carried(values, place, seen)
        backwards = [tf.reverse(x, (1,)) for x in (values, place, seen)]
        after, right, has_right = (tf.reverse(x, (1,)) for x in _carried(*backwards))
        gap = right - left
        fits = ~seen & has_left & has_right & (gap - 1 <= self._limit)
        before, after, step, gap = (
            tf.cast(x, self.precision) for x in (before, after, place - left, tf.where(fits, gap, 1.0))
        )
        return tf.where(fits, tf.cast(before + (after - before) * (step / gap), tf.float32), values)

    def _affine(self, columns):
        """Offset and scale of the columns: one row, or one for each series and the last for any other."""
        scaler = self.forecaster.scaler_
        at = [scaler.columns.index(column) for column in columns]
        pairs = [scaler.affine(name, columns) for name in self.series_names or ()]
        pairs.append((scaler.offset[at], scaler.scale[at]))
        return [
            tf.Variable(np.stack(table), trainable=False, dtype=self.precision)
            for table in zip(*pairs, strict=True)
        ]

    def _looked_up(self, tables, series):
        """Rows of tables for each window, `(batch or 1, 1, columns)`."""
        if self.series_names is None:
            return [tf.convert_to_tensor(table)[:, None] for table in tables]
        last = len(self.series_names)
        # Any other index is a series that was not seen in training.
        row = tf.where((series >= 0) & (series < last), series, last)
        return [tf.gather(table, row)[:, None] for table in tables]


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

    def repeat(rows):
        # A server that batches requests needs an answer for each row.
        return {"metadata": tf.fill(tf.shape(rows), text)}

    return tf.function(repeat).get_concrete_function(rows=tf.TensorSpec((None,), tf.int32, "rows"))


def _carried(values, place, seen):
    """The last value that was seen up to each row, its place, and whether there is one."""
    values = tf.where(seen, values, 0.0)
    step = 1
    # Twice as far in each round, so that a long window takes few operations.
    while step < values.shape[1]:
        pad = [[0, 0], [step, 0], [0, 0]]
        before = [tf.pad(x[:, :-step], pad) for x in (values, place, seen)]
        values, place = (tf.where(seen, x, y) for x, y in zip((values, place), before[:2], strict=True))
        seen |= before[2]
        step *= 2
    return values, place, seen


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
