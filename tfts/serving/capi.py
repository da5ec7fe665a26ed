"""Loads exported folders through TensorFlow's C API, as a model server does, and replays their requests.

`verify` runs this file as a program of its own, in which neither tensorflow nor keras nor
tfts is ever imported: what works here needs nothing but the folder.
"""

import argparse
import ctypes
import importlib.util
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

_TYPES = {1: np.float32, 2: np.float64, 3: np.int32, 9: np.int64, 10: np.bool_}
_STRING = 7
_LIBRARIES = ("libtensorflow_cc.so.2", "libtensorflow_cc.2.dylib")
# Rows of a request; a batch larger than the sample repeats it.
_BATCHES = (1, 7, 64)
_TIMED = (1, 64)
# Relative difference that rounding in another order explains.
TOLERANCE = 1e-5


class _Buffer(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("free", ctypes.c_void_p)]


class _Output(ctypes.Structure):
    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


class LoadedModel:
    """A SavedModel in a session of the C API.

    Args:
        folder: Folder of a version.
        threads: Threads of one operation and of operations beside each other; `None` leaves
            both to TensorFlow.

    Attributes:
        signatures: Dict from name to a dict of `inputs` and `outputs`: name -> (tensor, type).
        load_seconds: Seconds that loading took.

    Raises:
        FileNotFoundError: If TensorFlow's library is not installed.
        ValueError: If the folder can't be loaded; with TensorFlow's words.

    Example:

    >>> LoadedModel("nowhere")
    Traceback (most recent call last):
    ValueError: TensorFlow says: Could not find SavedModel .pb or .pbtxt at supplied export directory path: nowhere...
    """

    def __init__(self, folder, threads=None):
        self._library = library = _library()
        self._status = library.TF_NewStatus()
        options = library.TF_NewSessionOptions()
        if threads is not None:
            # A ConfigProto: fields 2 and 5 are the two numbers of threads.
            config = b"\x10" + _varint(threads) + b"\x28" + _varint(threads)
            library.TF_SetConfig(options, config, len(config), self._status)
            self._check()
        self._graph = library.TF_NewGraph()
        described = library.TF_NewBuffer()
        tags = (ctypes.c_char_p * 1)(b"serve")
        began = time.perf_counter()
        self._session = library.TF_LoadSessionFromSavedModel(
            options, None, os.fsencode(folder), tags, 1, self._graph, described, self._status
        )
        self.load_seconds = time.perf_counter() - began
        self._check()
        content = ctypes.string_at(described.contents.data, described.contents.length)
        library.TF_DeleteBuffer(described)
        library.TF_DeleteSessionOptions(options)
        self.signatures = _signatures(content)

    def run(self, signature, inputs):
        """Answers of a signature.

        Args:
            signature: Name.
            inputs: Dict from name to an array.

        Returns:
            Dict from name to an array, or for text to a list of bytes.

        Raises:
            ValueError: If TensorFlow refuses the request.
        """
        library, described = self._library, self.signatures[signature]
        asked, answered = described["inputs"], described["outputs"]
        given = (ctypes.c_void_p * len(asked))()
        for i, (name, (_, code)) in enumerate(asked.items()):
            array = np.ascontiguousarray(inputs[name], dtype=_TYPES[code])
            sizes = (ctypes.c_int64 * array.ndim)(*array.shape)
            given[i] = library.TF_AllocateTensor(code, sizes, array.ndim, array.nbytes)
            ctypes.memmove(library.TF_TensorData(given[i]), array.ctypes.data, array.nbytes)
        made = (ctypes.c_void_p * len(answered))()
        library.TF_SessionRun(
            self._session,
            None,
            self._places(asked),
            given,
            len(asked),
            self._places(answered),
            made,
            len(answered),
            None,
            0,
            None,
            self._status,
        )
        for tensor in given:
            library.TF_DeleteTensor(tensor)
        self._check()
        found = {name: self._array(tensor) for name, tensor in zip(answered, made, strict=True)}
        for tensor in made:
            library.TF_DeleteTensor(tensor)
        return found

    def _places(self, tensors):
        places = (_Output * len(tensors))()
        for i, (name, _) in enumerate(tensors.values()):
            operation, _, index = name.partition(":")
            places[i] = _Output(
                self._library.TF_GraphOperationByName(self._graph, operation.encode()), int(index or 0)
            )
        return places

    def _array(self, tensor):
        library = self._library
        shape = [library.TF_Dim(tensor, i) for i in range(library.TF_NumDims(tensor))]
        code, start = library.TF_TensorType(tensor), library.TF_TensorData(tensor)
        if code == _STRING:
            size = library.TF_TensorByteSize(tensor) // max(shape[0], 1)
            texts = [start + i * size for i in range(shape[0])]
            return [
                ctypes.string_at(library.TF_StringGetDataPointer(text), library.TF_StringGetSize(text))
                for text in texts
            ]
        content = ctypes.string_at(start, library.TF_TensorByteSize(tensor))
        return np.frombuffer(content, _TYPES[code]).reshape(shape)

    def _check(self):
        if self._library.TF_GetCode(self._status):
            words = self._library.TF_Message(self._status).decode()
            raise ValueError(f"TensorFlow says: {words.splitlines()[0]}")


def replay(folder, threads=None, repeats=0):
    """Loads a folder, replays its sample requests, and compares with the answers beside them.

    Args:
        folder: Folder of a version.
        threads: As in `LoadedModel`.
        repeats: Times that requests are repeated to be timed; 0 times nothing.

    Returns:
        Dict of `load_seconds`, `memory_mb` (what the process grew by), `replays` (a dict for
        each signature and batch, with its `error`, relative to the size of the answers) and
        `latency_ms` (a dict for each timed batch, with `p50` and `p99`).

    Example:

    >>> replay("nowhere")
    Traceback (most recent call last):
    ValueError: TensorFlow says: Could not find SavedModel .pb or .pbtxt at supplied export directory path: nowhere...
    """
    _library()
    before = _memory()
    model = LoadedModel(folder, threads)
    found = {"load_seconds": model.load_seconds, "replays": [], "latency_ms": []}
    for path in sorted(Path(folder, "sample_requests").glob("*_request.json")):
        request = json.loads(path.read_text())
        answer = json.loads(path.with_name(path.name.replace("_request", "_answer")).read_text())["outputs"]
        signature = request["signature_name"]
        outputs = model.signatures[signature]["outputs"]
        # With one output there is no name around it.
        answer = answer if len(outputs) > 1 else {next(iter(outputs)): answer}
        for batch in _BATCHES:
            rows = np.arange(batch) % len(next(iter(request["inputs"].values())))
            inputs = {name: np.asarray(value)[rows] for name, value in request["inputs"].items()}
            got = model.run(signature, inputs)
            error = max(difference(got[name], np.asarray(answer[name])[rows]) for name in outputs)
            found["replays"].append({"signature": signature, "batch": batch, "error": error})
            if signature == "serving_default" and batch in _TIMED and repeats:
                found["latency_ms"].append({"batch": batch, **_timed(model, signature, inputs, repeats)})
    texts = model.run("describe", {"rows": np.zeros(2, np.int32)})["metadata"]
    said = json.loads(Path(folder, "metadata.json").read_text())
    said.pop("content_hash", None)
    same = [json.loads(text) == said for text in texts] == [True, True]
    found["replays"].append({"signature": "describe", "batch": 2, "error": 0.0 if same else float("inf")})
    found["memory_mb"] = _memory() - before
    return found


def difference(got, expected):
    """The largest difference, relative to the size of the answer or, where that is more, the usual size.

    Args:
        got, expected: Arrays.

    Returns:
        Float; infinite where a shape, a flag or a missing value differs.

    Example:

    >>> difference(np.array([0.0, 2.5]), np.array([0.0, 2.0]))
    0.25
    """
    if got.shape != expected.shape:
        return float("inf")
    if expected.dtype == bool:
        return 0.0 if (got == expected).all() else float("inf")
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    if (np.isnan(got) != np.isnan(expected)).any():
        return float("inf")
    if np.isnan(expected).all():
        return 0.0
    size = np.maximum(np.abs(expected), np.nanmean(np.abs(expected)))
    return float(np.nanmax(np.abs(got - expected) / np.where(size > 0, size, 1.0)))


def _timed(model, signature, inputs, repeats):
    for _ in range(max(repeats // 10, 3)):
        model.run(signature, inputs)
    seconds = np.empty(repeats)
    for i in range(repeats):
        began = time.perf_counter()
        model.run(signature, inputs)
        seconds[i] = time.perf_counter() - began
    return dict(zip(("p50", "p99"), (np.quantile(seconds, (0.5, 0.99)) * 1e3).tolist(), strict=True))


def _memory():
    """Memory of the process in megabytes, NaN where the system does not tell."""
    path = Path("/proc/self/status")
    if not path.is_file():
        return float("nan")
    (line,) = (line for line in path.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _library():
    if not hasattr(_library, "loaded"):
        # Finding a package does not import it.
        spec = importlib.util.find_spec("tensorflow")
        folders = spec.submodule_search_locations if spec is not None else []
        paths = [Path(folder, name) for folder in folders for name in _LIBRARIES]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            raise FileNotFoundError(
                f"TensorFlow's C API was not found. Expected {' or '.join(_LIBRARIES)} in the package tensorflow; "
                f"looked in {', '.join(folders) or 'no folder: it is not installed'}."
            )
        _library.loaded = _declared(ctypes.CDLL(str(path)))
    return _library.loaded


def _declared(library):
    pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    buffer = ctypes.POINTER(_Buffer)
    for name, gives, *takes in (
        ("TF_NewStatus", pointer),
        ("TF_GetCode", number, pointer),
        ("TF_Message", ctypes.c_char_p, pointer),
        ("TF_NewSessionOptions", pointer),
        ("TF_DeleteSessionOptions", None, pointer),
        ("TF_SetConfig", None, pointer, ctypes.c_char_p, size, pointer),
        ("TF_NewGraph", pointer),
        ("TF_NewBuffer", buffer),
        ("TF_DeleteBuffer", None, buffer),
        (
            "TF_LoadSessionFromSavedModel",
            pointer,
            *(pointer, pointer, ctypes.c_char_p, ctypes.POINTER(ctypes.c_char_p)),
            *(number, pointer, buffer, pointer),
        ),
        ("TF_GraphOperationByName", pointer, pointer, ctypes.c_char_p),
        ("TF_AllocateTensor", pointer, number, ctypes.POINTER(ctypes.c_int64), number, size),
        ("TF_DeleteTensor", None, pointer),
        ("TF_TensorType", number, pointer),
        ("TF_NumDims", number, pointer),
        ("TF_Dim", ctypes.c_int64, pointer, number),
        ("TF_TensorByteSize", size, pointer),
        ("TF_TensorData", pointer, pointer),
        ("TF_StringGetDataPointer", pointer, pointer),
        ("TF_StringGetSize", size, pointer),
        (
            "TF_SessionRun",
            None,
            *(pointer, pointer, ctypes.POINTER(_Output), ctypes.POINTER(pointer), number),
            *(ctypes.POINTER(_Output), ctypes.POINTER(pointer), number),
            *(pointer, number, pointer, pointer),
        ),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = gives, takes
    return library


def _signatures(content):
    """The signatures of a serialized MetaGraphDef, of which they are field 5."""
    found = {}
    for number, entry in _fields(content):
        if number == 5:
            name, signature = (value for _, value in _fields(entry))
            found[name.decode()] = {"inputs": {}, "outputs": {}}
            for field, tensor in _fields(signature):
                if field in (1, 2):
                    key, info = (value for _, value in _fields(tensor))
                    info = dict(_fields(info))
                    part = found[name.decode()]["inputs" if field == 1 else "outputs"]
                    part[key.decode()] = (info[1].decode(), info.get(2, 0))
    # The loader's own, which is no request.
    return {name: signature for name, signature in found.items() if not name.startswith("__")}


def _fields(content):
    """Numbers and values of a message in protocol buffer form."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = content[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(content):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
            continue
        length = {1: 8, 5: 4}.get(kind) or varint()
        yield key >> 3, content[at : at + length]
        at += length


def _varint(value):
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def _main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", help="folders of versions")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--repeats", type=int, default=0)
    parser.add_argument("--out", required=True, help="file for what was found, JSON")
    chosen = parser.parse_args()
    found = [replay(folder, chosen.threads, chosen.repeats) for folder in chosen.folders]
    imported = sorted({"tensorflow", "keras", "tfts"} & {name.split(".")[0] for name in sys.modules})
    Path(chosen.out).write_text(json.dumps({"imported": imported, "found": found}))


if __name__ == "__main__":
    # The folder of this file is no place to import from.
    sys.path.pop(0)
    try:
        _main()
    except (ValueError, OSError) as error:
        sys.exit(str(error))
