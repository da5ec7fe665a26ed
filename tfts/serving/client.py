"""Asks a model server for forecasts: a table goes out, a table comes back."""

from __future__ import annotations

import dataclasses
import json
import random
import time
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfts._messages import unknown
from tfts.calibration.phases import season_phases
from tfts.data.fitted_table import FittedTable
from tfts.data.frames import as_pandas
from tfts.data.scaling import Scaler
from tfts.errors import DataError, ModelError, SettingError, UnknownNameError
from tfts.forecaster import Forecaster
from tfts.outputs.predictive import Predictive
from tfts.serving.errors import HTTP, ServingError, require

_CODE = {status: code for code, status in HTTP.items()} | {
    408: "DEADLINE_EXCEEDED",
    413: "RESOURCE_EXHAUSTED",
}
# How often a table is asked for anew because its version was unloaded in between.
_SWITCHES = 2


class Client:
    """A model on a server, ours or TensorFlow Serving, as if it were a `Forecaster`.

    It asks the server what the model wants, checks the table against it, computes calendar
    columns, sends all windows in a few requests and gives the table that
    `Forecaster.predict` gives. All forecasts of one table come from one version, also
    while the server switches to another.

    Args:
        url: `http://HOST:8501` or `https://...` for REST, `grpc://HOST:8500` for gRPC.
        model: Name of the model.
        version: Version to ask, an int. `None` asks the newest that answers.
        label: Label of a version, instead of its number.
        timeout: Seconds that one request may take.
        retries: Times that a request is sent again which no server took (refused or broken
            connections, 503, UNAVAILABLE). Nothing else is sent again.
        backoff: Seconds before the first of these, twice as many before each next one,
            half of it by chance.
        batch_size: Most windows in one request.

    Raises:
        ValueError: If an argument can't be used or a package is missing.

    Example:

    >>> import pandas as pd
    >>> from tfts.serving import Server, export
    >>> frame = pd.DataFrame({"load": np.arange(50.0)}, index=pd.date_range("2024-01-01", periods=50))
    >>> fitted = Forecaster("linear", context_length=7, horizon=2).fit(frame, epochs=1, verbose=0)
    >>> _ = export(fitted, "served", name="load")
    >>> with Server("served", rest_port=0, grpc_port=0) as server:
    ...     with Client(server.rest_url, "load") as client:
    ...         table = client.predict(frame)
    >>> bool(np.allclose(table["load"], fitted.predict(frame)["load"], rtol=1e-5))
    True
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 10.0,
        retries: int = 3,
        backoff: float = 0.1,
        batch_size: int = 256,
    ) -> None:
        parts = urlsplit(url) if isinstance(url, str) else None
        if parts is None or parts.scheme not in _WAYS or not parts.netloc:
            raise SettingError(
                f"`url` must be http://HOST:PORT, https://HOST:PORT or grpc://HOST:PORT. Received: url={url!r}."
            )
        if not isinstance(model, str) or not model:
            raise SettingError(f"`model` must be the name of a model. Received: model={model!r}.")
        if version is not None and label is not None:
            raise SettingError(f"Give `version` or `label`, not both. Received: {version=}, {label=}.")
        for name, value, least in (("retries", retries, 0), ("batch_size", batch_size, 1)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise SettingError(f"`{name}` must be an int >= {least}. Received: {name}={value!r}.")
        if version is not None and (isinstance(version, bool) or not isinstance(version, int) or version < 0):
            raise SettingError(f"`version` must be an int >= 0. Received: version={version!r}.")
        if not timeout > 0 or not backoff >= 0:
            raise SettingError(
                f"`timeout` must be > 0 and `backoff` >= 0 seconds. Received: {timeout=}, {backoff=}."
            )
        self.url, self.model = url.rstrip("/"), model
        self.version, self.label = version, label
        self.retries, self.backoff, self.batch_size = retries, backoff, batch_size
        self._way = _WAYS[parts.scheme](self.url, model, timeout)
        self._described = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """Lets go of the connection."""
        self._way.close()

    def status(self) -> list[dict[str, Any]]:
        """The versions that the server knows of.

        Returns:
            List of dicts with `version` (int), `state` (such as `"AVAILABLE"`) and `error`,
            the newest first.

        Raises:
            ServingError: If the server has no such model, version or label, or is not there.
        """
        found = self._tried(lambda: self._way.status(self.version, self.label))
        return sorted(found, key=lambda one: -one["version"])

    def metadata(self) -> dict[str, Any]:
        """What the model says of itself: the content of metadata.json, a dict.

        Raises:
            ServingError: As `status`; also if the model was not exported by tfts.
        """
        return self._metadata(self._current())

    def predict(self, frame: pd.DataFrame, origins: Literal["last", "all"] = "last") -> pd.DataFrame:
        """Forecasts in original units.

        Args:
            frame: DataFrame with the columns that the model was fitted with, as for
                `Forecaster.predict`.
            origins: `"last"` or `"all"`, as there. A regression has none.

        Returns:
            DataFrame with the columns `series`, `origin`, `time` and one for each target. A
            forecast is NaN where the model could not make one. Of a regression: a row for
            each row of the table, with its index, and a column for each target, or with
            the probability of each class (of two classes, the second one).

        Raises:
            KeyError: If a column is missing.
            ValueError: If the table can't be used.
            ServingError: If the server refuses or is not there; in the server's words.
        """
        return self._asked("serving_default", lambda remote: remote.predict(frame, origins))

    def attention(
        self, frame: pd.DataFrame, origins: Literal["last", "all"] = "last"
    ) -> tuple[pd.DataFrame, npt.NDArray[np.float32]]:
        """Forecasts, and what the model looked at for each.

        Args:
            frame: As for `predict`.
            origins: As for `predict`.

        Returns:
            Tuple of the table of `predict` and the attention scores, float32 `(windows,
            heads, horizon or query, context_length)`, a window for each origin of the table.

        Raises:
            ValueError: As `predict`; also if the model has no attention.
        """

        def ask(remote):
            table = remote.predict(frame, origins)
            return table, np.concatenate([one["attention"] for one in remote.answers])

        return self._asked("forecast_with_attention", ask)

    def detect(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Judges every row that has a whole context before it.

        Each row is judged by the rows as they stand in the table: unlike
        `AnomalyDetector.detect`, the server knows no row before a window and puts no
        forecast in the place of a value that it flagged before.

        Args:
            frame: DataFrame with the columns that the detector was fitted with.

        Returns:
            DataFrame with a row for each series, time and target: `time`, `series`,
            `target`, `actual`, `predicted`, `residual`, `score`, `flag` and `direction`,
            as `AnomalyDetector.detect` gives them.

        Raises:
            ValueError: As `predict`; also if the model is no detector.
        """
        return self._asked("detect", lambda remote: remote.detect(frame))

    def _asked(self, signature, ask):
        """What `ask` gets from a remote forecaster of one version that is there to the end."""
        for _ in range(_SWITCHES):
            try:
                return ask(self._remote(self._current(), signature))
            except ServingError as error:
                # The server has unloaded it since: the next one is asked for the whole table.
                if error.code != "NOT_FOUND" or self.version is not None:
                    raise
        return ask(self._remote(self._current(), signature))

    def _current(self):
        """Number of the version to ask."""
        ready = [one["version"] for one in self.status() if one["state"] == "AVAILABLE"]
        if not ready:
            raise ServingError("UNAVAILABLE", f"No version of {self.model!r} answers yet.")
        return max(ready)

    def _metadata(self, number):
        if number not in self._described:
            try:
                answer = self._outputs(number, "describe", {"rows": np.zeros(1, np.int32)}, ["metadata"])
            except ServingError as error:
                if "describe" not in str(error):
                    raise
                raise ServingError(
                    error.code,
                    f"The model {self.model!r} does not say what it takes: it has no signature 'describe'. Expected a "
                    "model that tfts.serving.export wrote.",
                ) from None
            text = answer["metadata"].item()
            self._described[number] = json.loads(text)
        return self._described[number]

    def _remote(self, number, signature):
        metadata = self._metadata(number)
        if signature not in metadata["signatures"]:
            raise SettingError(unknown("signature of the model:", signature, metadata["signatures"]))
        outputs = list(metadata["signatures"][signature]["outputs"])
        kind = _RemoteRegression if metadata["kind"] == "regression" else _Remote
        return kind(
            metadata, self.batch_size, lambda inputs: self._outputs(number, signature, inputs, outputs)
        )

    def _outputs(self, number, signature, inputs, outputs):
        return self._tried(lambda: self._way.predict(number, signature, inputs, outputs))

    def _tried(self, ask):
        """The answer, asked for again where nothing was there to take the request."""
        for attempt in range(self.retries):
            try:
                return ask()
            except ServingError as error:
                if error.code != "UNAVAILABLE":
                    raise
            time.sleep(self.backoff * 2**attempt * random.uniform(0.5, 1.0))
        return ask()


def _moved(values, names, columns, scaler, fitted, back=False):
    """Windows of the series that `fitted` has not seen, in its scale for them; or forecasts back from it."""
    unseen = [
        i for i, name in enumerate(names) if name in scaler.series_offset.keys() - fitted.series_offset.keys()
    ]
    if not unseen:
        return values
    moved, logged = np.array(values, np.float64), [column in scaler.logged for column in columns]
    for i in unseen:
        pairs = scaler.affine(names[i], columns), fitted.affine(None, columns)
        (offset, scale), (to_offset, to_scale) = reversed(pairs) if back else pairs
        part = moved[i]
        part[:, logged] = np.log(part[:, logged])
        part[:] = (part - offset) / scale * to_scale + to_offset
        part[:, logged] = np.exp(part[:, logged])
    return moved if back else moved.astype(np.float32)


class _Served:
    """The quantiles that a server answered with, where a forecaster has its calibration."""

    kind = "none"

    def __init__(self, levels):
        self.levels, self.found = tuple(levels), []

    def quantiles(self, forecaster, forecasts, panel, rows, levels):
        return np.concatenate(self.found)


class _Remote(Forecaster):
    """A forecaster whose model is elsewhere: tables are checked and cut here.

    Scaling is in the exported graph, so that raw windows are sent.
    """

    def __init__(self, metadata, batch_size, ask):
        # What it gives beside points is in the exported graph.
        given = {"model": ask, "output": "point", "quantiles": None, "calibration": "auto"}
        super().__init__(**{**metadata["settings"], **given})
        self._ask, self._calibration = ask, _Served(metadata["quantile_levels"])
        self.name = metadata["model"]
        self.scaler_ = Scaler.from_state(metadata["scaler"])
        known, columns = tuple(metadata["known_future"]), self.scaler_.columns
        computed = set(known) - set(metadata["settings"]["known_future"])
        self._learnt = FittedTable(
            freq=metadata["freq"],
            targets=tuple(metadata["targets"]),
            known_future=known,
            columns=columns,
            own=tuple(column for column in columns if column not in computed),
            mase_scales={},
            span={"timezone": metadata["timezone"]},
            static=self.scaler_.static,
            labels=self.scaler_.labels,
            masked=metadata["task"]["masked"],
        )
        self._series_names = metadata["series_names"]
        self._takes_phase = any("phase" in of["inputs"] for of in metadata["signatures"].values())
        self._zone = metadata["timezone"]
        self._needs_zone = bool(computed) and metadata["training"]["start"] is not None
        self._batch_size = batch_size
        self.answers = []

    @property
    def is_fitted(self):
        """Always: the server has what was fitted."""
        return True

    def _forecast(self, panel, rows):
        self._check_zone(panel)
        scaler = self._scaler(panel)
        for at, answer in self._answers(panel, rows, scaler=scaler):
            self.answers.append(answer)
            values = self._back(answer["forecast"], panel, at, scaler)
            if "quantiles" in answer:
                levels = np.moveaxis(answer["quantiles"], -1, 0)
                back = [self._back(quantile, panel, at, scaler) for quantile in levels]
                self._calibration.found.append(np.stack(back, axis=-1))
            yield at, Predictive(self.output, values, np.zeros(values.shape[-1], dtype=bool))

    @property
    def quantiles(self):
        """Levels of the quantiles that the exported model gives."""
        return self._calibration.levels

    def _back(self, values, panel, rows, scaler):
        names = [panel.series[i] for i in panel.series_of(rows)]
        return _moved(values, names, self._learnt.targets, scaler, self.scaler_, back=True)

    def detect(self, frame):
        """The rows that `Client.detect` gives."""
        panel = self._own(frame)
        self._check_zone(panel)
        rows = self.spec.origins(panel)
        actual = self.actual(panel, rows)[:, 0]
        answers = [answer for _, answer in self._answers(panel, rows, actual)]
        count = len(self._learnt.targets)
        series = np.asarray(panel.series, dtype=object)[panel.series_of(rows)]
        table = {
            "time": panel.times[np.repeat(rows + 1, count)],
            "series": np.repeat(series, count),
            "target": np.tile(np.asarray(self._learnt.targets, dtype=object), len(rows)),
            "actual": actual.ravel(),
        }
        for column, name in (("predicted", "forecast"), *((n, n) for n in ("residual", "score", "flag"))):
            table[column] = np.concatenate([answer[name] for answer in answers]).ravel()
        table["direction"] = np.where(table["residual"] < 0, "down", "up")
        return pd.DataFrame(table)

    def _answers(self, panel, rows, actual=None, scaler=None):
        """Yields origins and what the server answers for them, batch by batch.

        With a scaler, windows of series that it knows and the graph does not are brought to the scale that the
        graph has for them, that of all training rows.
        """
        for start in range(0, len(rows), self._batch_size):
            at = rows[start : start + self._batch_size]
            # A graph fills holes itself.
            inputs = self.spec.inputs(dataclasses.replace(panel, masked=False), at)
            inputs = inputs if isinstance(inputs, dict) else {"past": inputs}
            if self._series_names is not None:
                places = {name: i for i, name in enumerate(self._series_names)}
                names = [panel.series[i] for i in panel.series_of(at)]
                if scaler is not None:
                    columns = self.spec.features(panel)
                    inputs["past"] = _moved(inputs["past"], names, columns, scaler, self.scaler_)
                inputs["series"] = np.array([places.get(name, -1) for name in names], np.int32)
            if self._takes_phase:
                inputs["phase"] = season_phases(panel.times[at], panel.freq)[0].astype(np.int32)
            if actual is not None:
                inputs["actual"] = actual[start : start + self._batch_size]
            # What an exported graph takes.
            inputs = {k: v if v.dtype == np.int32 else v.astype(np.float32) for k, v in inputs.items()}
            yield at, self._ask(inputs)

    def _check_zone(self, panel):
        zone = None if panel.times.tz is None else str(panel.times.tz)
        if self._needs_zone and zone != self._zone:
            raise DataError(
                f"The model was fitted to times in the zone {self._zone}, and its calendar columns are those of its "
                f"clock, but the times of the table are in {zone}. Bring them into that zone."
            )


class _RemoteRegression:
    """A regression that is elsewhere."""

    def __init__(self, metadata, batch_size, ask):
        self._columns, self._targets = metadata["columns"], metadata["targets"]
        self._classes, self._batch_size, self._ask = metadata["classes"], batch_size, ask

    def predict(self, frame, origins):
        if origins != "last":
            raise ModelError(f"A regression has no `origins`. Received: origins={origins!r}.")
        frame = as_pandas(frame)
        if frame.empty:
            raise DataError("The table is empty. Expected at least one row.")
        for column in self._columns:
            if column not in frame.columns:
                raise UnknownNameError(unknown("column", column, frame.columns))
        try:
            features = frame[self._columns].to_numpy(np.float32)
        except (TypeError, ValueError) as error:
            raise DataError(f"The columns {self._columns} must hold numbers ({error}).") from None
        parts = []
        for start in range(0, len(frame), self._batch_size):
            (values,) = self._ask({"features": features[start : start + self._batch_size]}).values()
            parts.append(values)
        values, names = np.concatenate(parts), self._targets
        if self._classes is not None:
            names = self._classes if len(self._classes) == values.shape[1] else self._classes[1:]
        return pd.DataFrame(values, columns=names, index=frame.index)


class _Rest:
    """The REST side of a server."""

    def __init__(self, url, model, timeout):
        require(requests="requests")
        import requests

        self._requests, self._session = requests, requests.Session()
        self._url, self._timeout = f"{url}/v1/models/{quote(model, safe='')}", timeout

    def close(self):
        self._session.close()

    def status(self, version, label):
        document = self._asked("GET", self._path(version, label))
        return [
            {
                "version": int(one["version"]),
                "state": one["state"],
                "error": one.get("status", {}).get("error_message", ""),
            }
            for one in document["model_version_status"]
        ]

    def predict(self, version, signature, inputs, outputs):
        body = {"signature_name": signature, "inputs": {name: x.tolist() for name, x in inputs.items()}}
        found = self._asked("POST", f"{self._path(version, None)}:predict", json.dumps(body))["outputs"]
        found = found if len(outputs) > 1 else {outputs[0]: found}
        return {name: _array(found[name]) for name in outputs}

    def _path(self, version, label):
        if label is not None:
            return f"/labels/{quote(label, safe='')}"
        return "" if version is None else f"/versions/{version}"

    def _asked(self, method, path, body=None):
        head = {"Content-Type": "application/json"}
        try:
            answer = self._session.request(
                method, self._url + path, data=body, headers=head, timeout=self._timeout
            )
        except self._requests.Timeout:
            raise _too_slow(self._url, self._timeout) from None
        except (self._requests.ConnectionError, self._requests.exceptions.ChunkedEncodingError) as error:
            raise ServingError("UNAVAILABLE", f"{self._url} can't be reached: {_cause(error)}") from None
        try:
            document = json.loads(answer.content)
        except ValueError:
            document = None
        if answer.ok and isinstance(document, dict):
            return document
        words = document["error"] if isinstance(document, dict) and "error" in document else answer.reason
        code = _CODE.get(answer.status_code, "UNKNOWN")
        raise ServingError(code, f"{self._url} answers {answer.status_code}: {words}")


class _Rpc:
    """The gRPC side of a server."""

    def __init__(self, url, model, timeout):
        require(grpc="grpcio", tensorflow_serving="tensorflow-serving-api")
        import grpc
        import tensorflow as tf
        from tensorflow_serving.apis import (
            get_model_status_pb2,
            model_service_pb2_grpc,
            predict_pb2,
            prediction_service_pb2_grpc,
        )

        self._grpc, self._tf, self._predict, self._status = grpc, tf, predict_pb2, get_model_status_pb2
        self._url, self._model, self._timeout = url, model, timeout
        # An answer may be larger than the 4 MB that gRPC takes by itself.
        options = [("grpc.max_receive_message_length", -1)]
        self._channel = grpc.insecure_channel(urlsplit(url).netloc, options=options)
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def close(self):
        self._channel.close()

    def status(self, version, label):
        request = self._status.GetModelStatusRequest()
        self._fill(request.model_spec, version, label)
        state = self._status.ModelVersionStatus.State
        return [
            {"version": one.version, "state": state.Name(one.state), "error": one.status.error_message}
            for one in self._asked(self._models.GetModelStatus, request).model_version_status
        ]

    def predict(self, version, signature, inputs, outputs):
        request = self._predict.PredictRequest(output_filter=outputs)
        self._fill(request.model_spec, version, None)
        request.model_spec.signature_name = signature
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(self._tf.make_tensor_proto(array))
        answer = self._asked(self._predictions.Predict, request)
        return {name: self._tf.make_ndarray(proto) for name, proto in answer.outputs.items()}

    def _fill(self, spec, version, label):
        spec.name = self._model
        if version is not None:
            spec.version.value = version
        if label is not None:
            spec.version_label = label

    def _asked(self, method, request):
        try:
            return method(request, timeout=self._timeout)
        except self._grpc.RpcError as error:
            code = error.code().name
            if code == "DEADLINE_EXCEEDED":
                raise _too_slow(self._url, self._timeout) from None
            raise ServingError(code, f"{self._url} answers {code}: {error.details()}") from None


_WAYS = {"http": _Rest, "https": _Rest, "grpc": _Rpc}


def _array(values):
    array = np.asarray(values)
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def _too_slow(url, timeout):
    return ServingError("DEADLINE_EXCEEDED", f"{url} gave no answer within {timeout:g} s.")


def _cause(error):
    """The words of the operating system, deep in those of the HTTP library."""
    while error.__context__ is not None:
        error = error.__context__
    return getattr(error, "strerror", None) or type(error).__name__
