"""Requests beside an exported graph: samples with the expected answers, and a server's warm-up."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from tfts._units import offset_of
from tfts.data.calendar import calendar_columns
from tfts.data.panel import Panel
from tfts.data.spans import Spans
from tfts.serving._protos import protos

# Sizes that batches are padded to, so that a server warms up for each that can come.
BATCH_SIZES = (1, 8, 64)
_ROWS = 7
_DIGITS = 5
# Share of the values of made windows that are missing, of a model that takes such.
_HOLES = 0.2


def sample_panel(forecaster, series_names=None):
    """Made windows near the level of the training rows: an export holds no data of the user's.

    Args:
        forecaster: A fitted `Forecaster`.
        series_names: Names of the series with a scale of their own.

    Returns:
        Tuple of a `Panel` with a series for each of 7 windows, and the rows of the origins.

    Example:

    >>> from tfts.forecaster import Forecaster
    >>> frame = pd.DataFrame({"y": np.arange(50.0)}, index=pd.date_range("2024-01-01", periods=50))
    >>> fitted = Forecaster("persistence", context_length=5, horizon=3).fit(frame)
    >>> panel, rows = sample_panel(fitted)
    >>> panel.values.shape, rows.tolist()
    ((56, 1), [4, 12, 20, 28, 36, 44, 52])
    """
    spec, scaler = forecaster.spec, forecaster.scaler_
    length = spec.context_length + spec.horizon
    names = [""] * _ROWS
    if series_names:
        names = [series_names[i % len(series_names)] for i in range(_ROWS)]
    rng = np.random.default_rng(0)
    off = rng.normal(size=(_ROWS, length, len(scaler.columns)))
    if scaler.kind == "minmax":
        off = 0.5 + off / 4
    pairs = [scaler.affine(name, scaler.columns) for name in names]
    values = np.stack([offset + scale * part for part, (offset, scale) in zip(off, pairs, strict=True)])
    values = values.reshape(_ROWS * length, -1)
    for i, column in enumerate(scaler.columns):
        if column in scaler.labels:
            values[:, i] = rng.integers(0, len(scaler.labels[column]) + 1, len(values))
    logged = [scaler.columns.index(column) for column in scaler.logged]
    values[:, logged] = np.exp(values[:, logged])
    zone = (forecaster.training_ or {}).get("timezone")
    times = pd.date_range("2000-01-01", periods=_ROWS * length, freq=offset_of(forecaster.freq), tz=zone)
    for name, column in calendar_columns(times, forecaster.settings["calendar"]).items():
        values[:, scaler.columns.index(name)] = column
    starts = np.arange(_ROWS) * length
    ends = starts + spec.context_length
    attributes = scaler.static_offset + scaler.static_scale * rng.normal(size=(_ROWS, len(scaler.static)))
    for i, name in enumerate(scaler.static):
        if name in scaler.labels:
            attributes[:, i] = rng.integers(0, len(scaler.labels[name]) + 1, _ROWS)
    if forecaster.task.masked:
        past = [
            i for i, c in enumerate(scaler.columns) if c not in (*forecaster.known_future, *scaler.labels)
        ]
        holes = rng.random((len(values), len(past))) < _HOLES
        # Each window keeps a value of each column.
        holes[starts] = False
        values[:, past] = np.where(holes, np.nan, values[:, past])
    panel = Panel(
        values=np.array([f"{x:.{_DIGITS}g}" for x in values.ravel()], np.float32).reshape(values.shape),
        columns=scaler.columns,
        targets=forecaster.targets,
        known_future=forecaster.known_future,
        times=times,
        freq=forecaster.freq,
        series=tuple(names),
        spans=Spans(starts, starts, ends, starts + length),
        filled=np.isnan(values),
        series_name="series",
        static=scaler.static,
        attributes=attributes.astype(np.float32) if scaler.static else None,
        labels=scaler.labels,
        masked=forecaster.task.masked,
    )
    return panel, ends - 1


def write_samples(folder, name, samples):
    """Writes `sample_requests/`: for each signature a request and its answer, for REST and gRPC.

    Args:
        folder: Folder of a version.
        name: Name of the model.
        samples: Dict from signature to `(inputs, outputs)`, each a dict of arrays.

    Example:

    >>> pair = {"past": np.ones((1, 2, 1))}, {"forecast": np.ones((1, 1, 1))}
    >>> write_samples("1", "load", {"serving_default": pair})
    >>> sorted(path.name for path in Path("1", "sample_requests").iterdir())[:2]
    ['serving_default_answer.json', 'serving_default_answer.pb']
    >>> Path("1", "sample_requests", "serving_default_request.json").read_text()
    '{"signature_name": "serving_default", "inputs": {"past": [[[1.0], [1.0]]]}}\\n'
    """
    import tensorflow as tf

    predict = protos("apis.predict_pb2")
    where = Path(folder, "sample_requests")
    where.mkdir(parents=True)
    for signature, (inputs, outputs) in samples.items():
        request = {
            "signature_name": signature,
            "inputs": {key: plain(value) for key, value in inputs.items()},
        }
        (where / f"{signature}_request.json").write_text(json.dumps(request) + "\n")
        answers = {key: plain(value) for key, value in outputs.items()}
        # In the contract a single output comes without its name.
        answer = {"outputs": answers if len(answers) > 1 else next(iter(answers.values()))}
        (where / f"{signature}_answer.json").write_text(json.dumps(answer) + "\n")
        asked = predict.PredictRequest()
        asked.model_spec.name, asked.model_spec.signature_name = name, signature
        answered = predict.PredictResponse()
        answered.model_spec.name, answered.model_spec.signature_name = name, signature
        for tensors, values in ((asked.inputs, inputs), (answered.outputs, outputs)):
            for key, value in values.items():
                tensors[key].CopyFrom(tf.make_tensor_proto(value))
        (where / f"{signature}_request.pb").write_bytes(asked.SerializeToString())
        (where / f"{signature}_answer.pb").write_bytes(answered.SerializeToString())


def write_warm_up(folder, name, functions):
    """Writes the requests that a server runs before it takes a version into service.

    One for each signature and batch size, of zeros: what takes time does not depend on the
    values, and a tensor of one value takes a few bytes.

    Args:
        folder: Folder of a version.
        name: Name of the model.
        functions: Dict from signature to its concrete function.

    Example:

    >>> import tensorflow as tf
    >>> double = tf.function(lambda **given: {"y": 2 * given["x"]})
    >>> double = double.get_concrete_function(x=tf.TensorSpec([None, 3]))
    >>> write_warm_up("1", "load", {"serving_default": double})
    >>> path = "1/assets.extra/tf_serving_warmup_requests"
    >>> sum(1 for _ in tf.data.TFRecordDataset(path)), Path(path).stat().st_size < 400
    (3, True)
    """
    import tensorflow as tf

    log = protos("apis.prediction_log_pb2")
    where = Path(folder, "assets.extra")
    where.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(where / "tf_serving_warmup_requests")) as writer:
        for signature, function in functions.items():
            for batch in BATCH_SIZES:
                record = log.PredictionLog()
                request = record.predict_log.request
                request.model_spec.name, request.model_spec.signature_name = name, signature
                for key, spec in function.structured_input_signature[1].items():
                    tensor = request.inputs[key]
                    tensor.dtype = spec.dtype.as_datatype_enum
                    for size in (batch, *spec.shape[1:]):
                        tensor.tensor_shape.dim.add().size = size
                    # The last value that is given stands for all that follow.
                    (tensor.int_val if spec.dtype.is_integer else tensor.float_val).append(0)
                writer.write(record.SerializeToString())


def plain(values):
    """An array as nested lists, of float32 values with no more digits than they have.

    Args:
        values: Array.

    Returns:
        List.

    Example:

    >>> plain(np.array([[0.1, 2.0]], np.float32))
    [[0.1, 2.0]]
    """
    values = np.asarray(values)
    if values.dtype != np.float32:
        return values.tolist()
    return np.array([float(str(x)) for x in values.ravel()]).reshape(values.shape).tolist()
