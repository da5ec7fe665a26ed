"""TensorFlow Serving's REST contract: predict, status, metadata and metrics over HTTP."""

import asyncio
import base64
import binascii
import functools
import json
import logging
import re
import time

import numpy as np

from tfts.serving.errors import HTTP, MOST_WORDS, ServingError, invalid

METRICS = "/monitoring/prometheus/metrics"

_LOG = logging.getLogger("tfts.serving")
_PATH = re.compile(
    r"/v1/models/(?P<model>[^/:]+)(?:/versions/(?P<version>\d{1,18})|/labels/(?P<label>[^/:]+))?"
    r"(?P<what>:predict|:classify|:regress|/metadata)?",
    re.IGNORECASE,
)
# How much of a body that is too large is read, so that its sender sees the answer.
_DRAIN = 2**28


class RestApp:
    """The HTTP side of the server, an ASGI application.

    Args:
        models: `Models`.
        meter: `Meter`, which counts what was answered.
        max_body: Most bytes of a request.
        read_timeout: Seconds that a request may take to arrive.

    Example:

    >>> RestApp(None, None, max_body=1000, read_timeout=1.0).max_body
    1000
    """

    def __init__(self, models, meter, *, max_body, read_timeout):
        from starlette.requests import ClientDisconnect, Request
        from starlette.responses import Response

        self.models = models
        self.meter = meter
        self.max_body = max_body
        self.read_timeout = read_timeout
        self._gone, self._request, self._response = ClientDisconnect, Request, Response

    async def __call__(self, scope, receive, send):
        """Answers one request."""
        request = self._request(scope, receive)
        path, media = scope["path"], "application/json"
        if path == METRICS and request.method == "GET":
            content, status, media = self.meter.text(), 200, "text/plain; version=0.0.4; charset=utf-8"
        else:
            began = time.monotonic()
            names = _PATH.fullmatch(path)
            try:
                content, status = await self._answer(request, names), 200
            except self._gone:
                return
            except _Refused as error:
                content, status = _error(str(error)), error.status
            except ServingError as error:
                content, status = _error(str(error)), HTTP[error.code]
            except Exception:
                # A fault of ours: its trace is for the log, and the client still gets an answer.
                _LOG.exception("A request failed")
                content, status = _error("The server failed on this request."), 500
            self.meter.count(names and names["model"], "REST", status, time.monotonic() - began)
        await self._response(content, status, media_type=media)(scope, receive, send)

    async def _answer(self, request, names):
        if not request.scope["path"].lower().startswith("/v1/"):
            raise _Refused(404, f"Not found: {request.method} {request.scope['path'][:MOST_WORDS]}")
        wanted = {None: "GET", "/metadata": "GET"}
        if names is None or request.method != wanted.get(names["what"] and names["what"].lower(), "POST"):
            raise invalid(f"Malformed request: {request.method} {request.scope['path']}")
        what = (names["what"] or "").lower()
        which = names["model"], names["version"] and int(names["version"]), names["label"]
        if what == "":
            return json.dumps(status_of(self.models.status(*which)))
        if what == "/metadata":
            with self.models.lease(*which) as version:
                return json.dumps(metadata_of(names["model"], version))
        body = await self._body(request)
        if what != ":predict":
            raise invalid(f"This server answers :predict alone, for no signature is for {what}.")
        document = _parsed(body)
        with self.models.lease(*which) as version:
            name = document.get("signature_name", "")
            if not isinstance(name, str):
                raise invalid("'signature_name' key must be a string value.")
            signature = version.saved_model.signature(name)
            inputs, by_row = _inputs(document, signature, b"true" in body or b"false" in body)
            outputs = await asyncio.wrap_future(version.saved_model.submit(signature.name, inputs))
        return _answered(outputs, by_row)

    async def _body(self, request):
        """The body, unless it is too large or too slow."""
        claimed = request.headers.get("content-length", "0")
        parts, size = [], 0
        too_large = claimed.isdigit() and int(claimed) > self.max_body

        async def read():
            nonlocal size, too_large
            async for part in request.stream():
                size += len(part)
                too_large = too_large or size > self.max_body
                if too_large:
                    parts.clear()
                    if size > _DRAIN:
                        return
                else:
                    parts.append(part)

        try:
            await asyncio.wait_for(read(), self.read_timeout)
        except asyncio.TimeoutError:
            if not too_large:
                words = f"The request did not arrive within {self.read_timeout:g} s."
                raise _Refused(408, words) from None
        if too_large:
            raise _Refused(413, f"A request may have {self.max_body} bytes. Send fewer windows at once.")
        return b"".join(parts)


class _Refused(Exception):
    """An answer for which gRPC has no code."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def status_of(versions):
    """The answer to a question for the status.

    Args:
        versions: List of `Version`.

    Returns:
        Dict, as JSON.

    Example:

    >>> from tfts.serving.models import Version
    >>> status_of([Version(2, "AVAILABLE")])["model_version_status"][0]["state"]
    'AVAILABLE'
    """
    return {
        "model_version_status": [
            {
                "version": str(version.number),
                "state": version.state,
                "status": {
                    "error_code": "UNKNOWN" if version.error else "OK",
                    "error_message": version.error,
                },
            }
            for version in versions
        ]
    }


def metadata_of(model, version):
    """The answer to a question for the metadata: the signatures of a version.

    Args:
        model: Name of the model.
        version: `Version`.

    Returns:
        Dict, as JSON.

    Example:

    >>> from types import SimpleNamespace
    >>> from tfts.serving.models import Version
    >>> version = Version(2, saved_model=SimpleNamespace(signatures={}))
    >>> metadata_of("load", version)["model_spec"]
    {'name': 'load', 'signature_name': '', 'version': '2'}
    """

    def tensor(info):
        sizes = [{"size": str(-1 if size is None else size), "name": ""} for size in info.shape or ()]
        return {
            "dtype": f"DT_{info.dtype.name.upper()}".replace("FLOAT32", "FLOAT"),
            "tensor_shape": {"dim": sizes, "unknown_rank": info.shape is None},
            "name": info.name,
        }

    signatures = {
        name: {
            "inputs": {key: tensor(info) for key, info in one.inputs.items()},
            "outputs": {key: tensor(info) for key, info in one.outputs.items()},
            "method_name": "tensorflow/serving/predict",
        }
        for name, one in version.saved_model.signatures.items()
    }
    return {
        "model_spec": {"name": model, "signature_name": "", "version": str(version.number)},
        "metadata": {"signature_def": {"signature_def": signatures}},
    }


def _error(message):
    return json.dumps({"error": message})


def _parsed(body):
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = json.loads(body)
    except RecursionError:
        raise invalid("JSON Parse error: The document is nested too deeply") from None
    except ValueError as error:
        raise invalid(f"JSON Parse error: {error}") from None
    if not isinstance(document, dict):
        raise invalid(f"The JSON document must be an object. Received: {type(document).__name__}.")
    return document


def _inputs(document, signature, may_hold_bools):
    """The arrays of a request, and whether it is in the row form."""
    if ("instances" in document) == ("inputs" in document):
        if "inputs" in document:
            raise invalid("Expected only one of 'inputs' and 'instances'.")
        raise invalid("Missing 'inputs' or 'instances' key")
    by_row = "instances" in document
    values = _columns(document["instances"], signature) if by_row else document["inputs"]
    if not isinstance(values, dict) or set(values) == {"b64"}:
        if len(signature.inputs) > 1:
            raise invalid(
                f"Signature {signature.name!r} has the inputs {list(signature.inputs)}, so 'inputs' must be an object "
                "with these keys."
            )
        values = {next(iter(signature.inputs)): values}
    for name in signature.inputs:
        if name not in values:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    arrays = {
        name: _array(values[name], name, info.dtype, may_hold_bools)
        for name, info in signature.inputs.items()
    }
    return arrays, by_row


def _columns(instances, signature):
    """The row form as the column form."""
    if not isinstance(instances, list):
        raise invalid("Expected 'instances' to be a list.")
    if not instances:
        raise invalid("No values in 'instances' array")
    are_objects = [isinstance(one, dict) and set(one) != {"b64"} for one in instances]
    if not any(are_objects):
        if len(signature.inputs) > 1:
            raise invalid(
                "instances is a plain list, but expecting list of objects as multiple input tensors required: "
                f"{list(signature.inputs)}."
            )
        return {next(iter(signature.inputs)): instances}
    for i, one in enumerate(instances):
        if not are_objects[i] or set(one) != set(signature.inputs):
            raise invalid(
                f"Failed to process element: {i} of 'instances' list. It must be an object with the keys "
                f"{list(signature.inputs)}."
            )
    return {name: [one[name] for one in instances] for name in signature.inputs}


def _array(value, name, dtype, may_hold_bools):
    """One input as an array of its type."""
    if dtype.name == "string":
        return _texts(value, name)
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        raise invalid(f"Input {name!r} must be nested lists of equal lengths.") from None
    kinds = "iuf" if dtype.is_floating else "iu" if dtype.is_integer else "b"
    # An empty list has no type, and its shape is judged later.
    if array.size and (
        array.dtype.kind not in kinds or ("b" not in kinds and may_hold_bools and _bools(value))
    ):
        raise invalid(f"Input {name!r} must hold {dtype.name} values, and nothing else.")
    if array.size and "b" not in kinds:
        low, high = _limits(dtype)
        finite = array[np.isfinite(array)]
        if finite.size and not low <= finite.min() <= finite.max() <= high:
            raise invalid(f"Input {name!r} holds a number that {dtype.name} can't.")
    return array.astype(dtype.as_numpy_dtype)


@functools.cache
def _limits(dtype):
    return dtype.min, dtype.max


def _bools(value):
    if isinstance(value, list):
        return any(map(_bools, value))
    return isinstance(value, bool)


def _texts(value, name):
    def decoded(one):
        if isinstance(one, list):
            return [decoded(part) for part in one]
        if isinstance(one, str):
            return one.encode()
        if isinstance(one, dict) and set(one) == {"b64"} and isinstance(one["b64"], str):
            try:
                return base64.b64decode(one["b64"], validate=True)
            except binascii.Error:
                raise invalid(f"Input {name!r}: unable to base64 decode") from None
        raise invalid(f"Input {name!r} must hold texts or {{'b64': ...}}, and nothing else.")

    array = np.array(decoded(value), dtype=object)
    if not all(isinstance(one, bytes) for one in array.ravel()):
        raise invalid(f"Input {name!r} must be nested lists of equal lengths.")
    return array


def _answered(outputs, by_row):
    """The body of an answer."""
    values = {name: _plain(name, array) for name, array in outputs.items()}
    if not by_row:
        return json.dumps({"outputs": values if len(values) > 1 else next(iter(values.values()))})
    lengths = {array.shape[:1] for array in outputs.values()}
    if len(lengths) > 1 or () in lengths:
        raise invalid("The outputs differ in their first size, so ask by 'inputs' instead of 'instances'.")
    if len(values) == 1:
        return json.dumps({"predictions": next(iter(values.values()))})
    rows = zip(*values.values(), strict=True)
    return json.dumps({"predictions": [dict(zip(values, row, strict=True)) for row in rows]})


def _plain(name, array):
    """An array as lists; NaN and Infinity become the words that TensorFlow Serving writes."""
    if array.dtype != object:
        return array.tolist()

    def text(one):
        if isinstance(one, list):
            return [text(part) for part in one]
        return (
            {"b64": base64.b64encode(one).decode()}
            if name.endswith("_bytes")
            else one.decode(errors="replace")
        )

    return text(array.tolist())
