"""A SavedModel as a model server runs it: signatures in a session, and requests in batches."""

import collections
import dataclasses
import functools
import logging
import math
import re
import struct
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import numpy as np

from tfts.errors import ModelError
from tfts.serving.errors import ServingError, invalid

# Requests of a warm-up file that are replayed, as TensorFlow Serving has it.
_MAX_WARMUP = 1000
_METHOD = "tensorflow/serving/predict"
_TRACE = ("Graph execution error", "Detected at node", "Original stack trace")


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """One input or output of a signature.

    Attributes:
        name: Its name in the graph, such as `"serving_default_past:0"`.
        dtype: `tf.DType`.
        shape: Tuple of int or, where any size goes, `None`; `None` for any rank.

    Example:

    >>> import tensorflow as tf
    >>> past = TensorInfo("serving_default_past:0", tf.float32, (None, 7, 3))
    >>> past.fits((2, 7, 3)), past.fits((2, 7, 5)), past.fits((7, 3))
    (True, False, False)
    """

    name: str
    dtype: object
    shape: tuple | None

    def fits(self, shape):
        """Whether an array of this shape may be fed."""
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(
            wanted in (None, size) for wanted, size in zip(self.shape, shape, strict=True)
        )


class Signature:
    """A named function of a SavedModel.

    Args:
        name: Such as `"serving_default"`.
        inputs: Dict from name to `TensorInfo`.
        outputs: The same for what comes out.
        call: Function of the input arrays in the order of `inputs` that gives the list of
            output arrays in the order of `outputs`.

    Example:

    >>> import tensorflow as tf
    >>> past = TensorInfo("past:0", tf.float32, (None, 2))
    >>> double = Signature("double", {"past": past}, {"forecast": past}, lambda past: [2 * past])
    >>> double.check({"past": np.ones((3, 2), np.float32)})
    3
    >>> double({"past": np.ones((1, 2), np.float32)})
    {'forecast': array([[2., 2.]], dtype=float32)}
    """

    def __init__(self, name, inputs, outputs, call):
        self.name = name
        self.inputs = inputs
        self.outputs = outputs
        self._call = call
        self.is_batched = all(info.shape and info.shape[0] is None for info in inputs.values())

    def __call__(self, inputs):
        """Runs the function: a dict of arrays in, a dict of arrays out."""
        return dict(zip(self.outputs, self._call(*(inputs[name] for name in self.inputs)), strict=True))

    def check(self, inputs):
        """Refuses arrays that the function can't take.

        Args:
            inputs: Dict from name to array.

        Returns:
            Rows of the batch, an int.

        Raises:
            ServingError: With the code INVALID_ARGUMENT; the message names the input.
        """
        absent, extra = sorted(set(self.inputs) - set(inputs)), sorted(set(inputs) - set(self.inputs))
        if absent or extra:
            raise invalid(
                f"Signature {self.name!r} takes the inputs {sorted(self.inputs)}. Missing: {absent}. "
                f"Not known: {extra}."
            )
        for name, info in self.inputs.items():
            array = inputs[name]
            if not info.fits(array.shape):
                wanted = tuple(-1 if size is None else size for size in info.shape)
                raise invalid(
                    f"Input {name!r} of signature {self.name!r} must have the shape {wanted}, where -1 is any size. "
                    f"Received: {array.shape}."
                )
        rows = {inputs[name].shape[0] for name in self.inputs if inputs[name].ndim}
        if self.is_batched and (len(rows) != 1 or 0 in rows):
            raise invalid(
                f"The inputs of signature {self.name!r} must have one and the same number of rows, at least 1. "
                f"Received: {sorted(rows)}."
            )
        return rows.pop() if len(rows) == 1 else 1


@dataclasses.dataclass
class _Task:
    inputs: dict
    rows: int
    arrived: float
    future: Future


class SavedModel:
    """A SavedModel in memory that answers many requests at once.

    Requests for one signature whose arrays differ in the number of rows alone run as one
    batch. While a batch runs the next one gathers; `batch_timeout` waits for more also
    when nothing runs. A request with more rows than `max_batch_size` runs by itself.

    Args:
        folder: Path of the SavedModel.
        max_batch_size: Rows of a batch that others may join.
        batch_timeout: Seconds that a request waits for others to share its batch.
        batch_threads: Batches that run at one time.
        max_queue: Requests that may wait; more are refused as UNAVAILABLE.
        threads: Threads of TensorFlow's operations; 0 takes one for each core. The first
            session of a process decides.
        on_batch: Function that is told the rows of each batch, for metrics.

    Attributes:
        signatures: Dict from name to `Signature`.
        meta: The signatures as protocol buffers, dict from name to `SignatureDef`.

    Raises:
        ValueError: If the folder holds no SavedModel for serving.

    Example:

    >>> import tensorflow as tf
    >>> module = tf.Module()
    >>> double = tf.function(lambda past: {"forecast": 2 * past})
    >>> one = double.get_concrete_function(tf.TensorSpec((None, 1), name="past"))
    >>> tf.saved_model.save(module, "double", signatures={"serving_default": one})
    >>> model = SavedModel("double")
    >>> model.submit("serving_default", {"past": np.array([[3.0]], np.float32)}).result()
    {'forecast': array([[6.]], dtype=float32)}
    >>> model.close()
    """

    def __init__(
        self,
        folder,
        *,
        max_batch_size=64,
        batch_timeout=0.0,
        batch_threads=1,
        max_queue=10_000,
        threads=0,
        on_batch=None,
    ):
        self._options = (max_batch_size, batch_timeout, max_queue)
        self._on_batch = on_batch or (lambda rows: None)
        self._session, self.meta = _load(Path(folder), threads)
        self.signatures = {name: self._signature(name, meta) for name, meta in self.meta.items()}
        # From (signature, shapes) to the tasks that may share a batch.
        self._waiting = collections.defaultdict(collections.deque)
        self._count = 0
        self._change = threading.Condition()
        self._closed = False
        self._workers = [
            threading.Thread(target=self._work, name=f"tfts-batches-{i}", daemon=True)
            for i in range(batch_threads)
        ]
        for worker in self._workers:
            worker.start()

    def signature(self, name):
        """The signature of that name; an empty one is `"serving_default"`.

        Raises:
            ServingError: With the code INVALID_ARGUMENT, if there is none.
        """
        name = name or "serving_default"
        if name not in self.signatures:
            raise invalid(
                f'Serving signature name: "{name}" not found in signature def. Expected one of: '
                f"{', '.join(sorted(self.signatures))}."
            )
        return self.signatures[name]

    def submit(self, signature, inputs):
        """Asks for a result.

        Args:
            signature: Name of a signature.
            inputs: Dict from name to array.

        Returns:
            `concurrent.futures.Future` of a dict from output name to array.

        Raises:
            ServingError: If the inputs don't fit, or too many requests wait.
        """
        signature = self.signature(signature)
        rows = signature.check(inputs)
        key = (signature.name, tuple(inputs[name].shape[1:] for name in signature.inputs))
        task = _Task(inputs, rows, time.monotonic(), Future())
        with self._change:
            if self._closed or self._count >= self._options[2]:
                raise ServingError("UNAVAILABLE", "Too many requests wait for this model. Try again later.")
            self._waiting[key].append(task)
            self._count += 1
            self._change.notify()
        return task.future

    def warm_up(self, path):
        """Replays the requests of a file, as TensorFlow Serving does before it switches.

        Args:
            path: TFRecord file of `PredictionLog`. That it is not there is no mistake.

        Returns:
            How many requests were replayed.
        """
        from tensorflow_serving.apis import prediction_log_pb2

        if not Path(path).is_file():
            return 0
        done = 0
        for record in _records(path):
            request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
            signature = self.signature(request.model_spec.signature_name)
            inputs = arrays_of(request.inputs, signature)
            signature.check(inputs)
            signature(inputs)
            done += 1
            if done == _MAX_WARMUP:
                break
        return done

    def close(self):
        """Answers what waits, then gives the memory back."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        for worker in self._workers:
            worker.join()
        self._session.close()

    def _signature(self, name, meta):
        inputs = {key: _info(meta.inputs[key]) for key in sorted(meta.inputs)}
        outputs = {key: _info(meta.outputs[key]) for key in sorted(meta.outputs)}
        call = self._session.make_callable(
            [info.name for info in outputs.values()], [info.name for info in inputs.values()]
        )
        return Signature(name, inputs, outputs, call)

    def _work(self):
        while True:
            with self._change:
                tasks = self._next_batch()
            if tasks is None:
                return
            signature, tasks = tasks
            tasks = [task for task in tasks if task.future.set_running_or_notify_cancel()]
            if tasks:
                self._on_batch(sum(task.rows for task in tasks))
                self._answer(signature, tasks)

    def _next_batch(self):
        """The signature and tasks to run now, when there are some; `None` at the end."""
        max_rows, timeout, _ = self._options
        while True:
            if not self._waiting:
                if self._closed:
                    return None
                self._change.wait()
                continue
            key = min(self._waiting, key=lambda key: self._waiting[key][0].arrived)
            queue = self._waiting[key]
            signature = self.signatures[key[0]]
            taken, rows = 1, queue[0].rows
            if signature.is_batched:
                while taken < len(queue) and rows + queue[taken].rows <= max_rows:
                    rows += queue[taken].rows
                    taken += 1
            left = queue[0].arrived + timeout - time.monotonic()
            may_grow = signature.is_batched and taken == len(queue) and rows < max_rows
            if may_grow and left > 0 and not self._closed:
                self._change.wait(left)
                continue
            tasks = [queue.popleft() for _ in range(taken)]
            self._count -= taken
            if not queue:
                del self._waiting[key]
            return signature, tasks

    def _answer(self, signature, tasks):
        try:
            results = _together(signature, tasks) if len(tasks) > 1 else [signature(tasks[0].inputs)]
        except Exception as error:
            if len(tasks) == 1:
                tasks[0].future.set_exception(_in_words(error))
                return
            # Each gets its own answer or error.
            for task in tasks:
                self._answer(signature, [task])
            return
        for task, result in zip(tasks, results, strict=True):
            task.future.set_result(result)


def arrays_of(inputs, signature, max_bytes=None):
    """The arrays of a gRPC request.

    Args:
        inputs: Mapping from name to `TensorProto`.
        signature: `Signature` that they are for.
        max_bytes: Most bytes that they may take, for a few bytes can claim to be a
            terabyte of equal numbers.

    Returns:
        Dict from name to array.

    Raises:
        ServingError: With the code INVALID_ARGUMENT; the message names the input.

    Example:

    >>> import tensorflow as tf
    >>> past = TensorInfo("past:0", tf.float32, (None, 2))
    >>> double = Signature("double", {"past": past}, {}, None)
    >>> arrays_of({"past": tf.make_tensor_proto([[1.0, 2.0]])}, double)
    {'past': array([[1., 2.]], dtype=float32)}
    """
    import tensorflow as tf

    arrays = {}
    for name, proto in inputs.items():
        info = signature.inputs.get(name)
        if info is not None and proto.dtype != info.dtype.as_datatype_enum:
            raise invalid(f"Input {name!r} must be {info.dtype.name}. Received: {_dtype_name(proto.dtype)}.")
        sizes = [dim.size for dim in proto.tensor_shape.dim]
        if proto.tensor_shape.unknown_rank or min(sizes, default=0) < 0:
            raise invalid(f"Input {name!r} must say its whole shape. Received: {sizes}.")
        if max_bytes is not None and math.prod(sizes) * 4 > max_bytes:
            raise invalid(f"Input {name!r} is larger than this server takes. Received: the shape {sizes}.")
        try:
            arrays[name] = tf.make_ndarray(proto)
        except (TypeError, ValueError):
            raise invalid(f"Input {name!r} does not hold as many values as its shape {sizes} says.") from None
    return arrays


def _load(folder, threads):
    """A session with the graph and its values, and the signatures for Predict."""
    import tensorflow as tf

    v1 = tf.compat.v1
    logger = tf.get_logger()
    level = logger.level
    # It would say that another loader is newer; that one runs no sessions.
    logger.setLevel(logging.ERROR)
    config = v1.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads)
    session = v1.Session(graph=tf.Graph(), config=config)
    try:
        with session.graph.as_default():
            loader = v1.saved_model.loader
            meta = loader.load(session, [tf.saved_model.SERVING], str(folder)).signature_def
    except Exception:
        # Whatever it was, it goes on; the session is let go of first.
        session.close()
        raise
    finally:
        logger.setLevel(level)
    signatures = {name: one for name, one in sorted(meta.items()) if one.method_name == _METHOD}
    if not signatures:
        session.close()
        raise ModelError(f"{folder} has no signature with the method {_METHOD}.")
    return session, signatures


def _info(proto):
    import tensorflow as tf

    shape = None
    if not proto.tensor_shape.unknown_rank:
        shape = tuple(None if dim.size < 0 else dim.size for dim in proto.tensor_shape.dim)
    return TensorInfo(proto.name, tf.dtypes.as_dtype(proto.dtype), shape)


def _dtype_name(number):
    import tensorflow as tf

    try:
        return tf.dtypes.as_dtype(number).name
    except TypeError:
        return f"the unknown type {number}"


def _together(signature, tasks):
    """The results of several tasks, from one run."""
    inputs = {name: np.concatenate([task.inputs[name] for task in tasks]) for name in signature.inputs}
    outputs = signature(inputs)
    ends = np.cumsum([task.rows for task in tasks])
    if any(not array.ndim or len(array) != ends[-1] for array in outputs.values()):
        raise ModelError(f"An output of {signature.name!r} has no row for each row that goes in.")
    parts = {name: np.split(array, ends[:-1]) for name, array in outputs.items()}
    return [{name: part[i] for name, part in parts.items()} for i in range(len(tasks))]


def _in_words(error):
    """The error as a server may show it: no trace, no path of this machine."""
    code = {3: "INVALID_ARGUMENT", 8: "RESOURCE_EXHAUSTED"}.get(getattr(error, "error_code", None))
    if code is None:
        return ServingError("INTERNAL", "The model failed on this request.")
    # Where the failing operation was defined stands first, in lines that are headed or indented.
    lines = [line for line in error.message.splitlines() if line[:1].strip() and not line.startswith(_TRACE)]
    words = lines[0].split("[[")[0] if lines else "The model refuses these values."
    return ServingError(code, re.sub(r"(?:[A-Za-z]:)?[/\\][\w.\-/\\]+", "...", words).strip())


def _records(path):
    """The records of a TFRecord file, without starting TensorFlow's eager runtime."""
    with open(path, "rb") as file:
        for head in iter(functools.partial(file.read, 12), b""):
            if len(head) < 12:
                raise ModelError(f"{path} ends in the middle of a record.")
            (length,) = struct.unpack("<Q", head[:8])
            record = file.read(length + 4)
            if len(record) < length + 4:
                raise ModelError(f"{path} ends in the middle of a record.")
            yield record[:-4]
