"""A server for development that speaks TensorFlow Serving's REST and gRPC contract."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfts.errors import ModelError, SettingError
from tfts.serving.errors import require
from tfts.serving.models import Models
from tfts.serving.rest import METRICS, RestApp
from tfts.serving.rpc import RpcServices

_LOG = logging.getLogger("tfts.serving")


class Meter:
    """Counts for Prometheus.

    Args:
        models: Function that gives the names of the models: any other name that is asked
            for is counted as an empty one, so that a stranger can't make new time series.

    Example:

    >>> meter = Meter(lambda: ["load"])
    >>> meter.count("load", "REST", 200, 0.003)
    >>> b'tfts_serving_requests_total{api="REST",code="200",model="load"} 1.0' in meter.text()
    True
    """

    def __init__(self, models):
        import prometheus_client

        self._models = models
        self._registry = prometheus_client.CollectorRegistry()
        self._requests = prometheus_client.Counter(
            "tfts_serving_requests",
            "Requests answered.",
            ["model", "api", "code"],
            registry=self._registry,
        )
        self._seconds = prometheus_client.Histogram(
            "tfts_serving_request_seconds",
            "Seconds from a request to its answer.",
            ["model", "api"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
            registry=self._registry,
        )
        self._rows = prometheus_client.Histogram(
            "tfts_serving_batch_rows",
            "Rows of the batches that were run.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=self._registry,
        )
        self._text = lambda: prometheus_client.generate_latest(self._registry)

    def count(self, model, api, code, seconds):
        """Takes note of one answer."""
        model = model if model in self._models() else ""
        self._requests.labels(model, api, code).inc()
        self._seconds.labels(model, api).observe(seconds)

    def batch(self, rows):
        """Takes note of one batch that is run."""
        self._rows.observe(rows)

    def text(self):
        """All counts in Prometheus' text form, bytes."""
        return self._text()


class Server:
    """Serves the models of a folder over REST and gRPC, as TensorFlow Serving does.

    It runs the exported folder itself, in threads of this process, and is meant for
    development and tests: production is TensorFlow Serving, which takes the same folder
    and the same requests. New versions that appear in the folder are loaded, warmed up
    and switched to while requests go on, see `Models`.

    Args:
        path: Folder of the models, see `Models`.
        host: Address to listen on. The default is reached from this machine alone.
        rest_port: Port of REST; 0 takes a free one.
        grpc_port: Port of gRPC; 0 takes a free one.
        max_batch_size: Rows of a batch that several requests may share.
        batch_timeout: Seconds that a request waits for others to share its batch. With 0,
            those are joined that come while another batch runs.
        batch_threads: Batches of one version that run at the same time.
        max_queue: Requests that may wait for a version; more get 503.
        max_body: Most bytes of a request; more get 413.
        read_timeout: Seconds that a request may take to arrive, else 408.
        poll: Seconds from one look at the folder to the next.
        threads: Threads of TensorFlow's operations; 0 takes one for each core.

    Attributes:
        rest_url: Such as `"http://127.0.0.1:8501"`.
        grpc_url: Such as `"grpc://127.0.0.1:8500"`.
        models: The `Models`.

    Raises:
        FileNotFoundError: If the folder is not there.
        ValueError: If a package is missing, a port is taken or no model can be served.

    Example:

    >>> import requests, tensorflow as tf
    >>> module = tf.Module()
    >>> double = tf.function(lambda past: {"forecast": 2 * past})
    >>> one = double.get_concrete_function(tf.TensorSpec((None, 1), name="past"))
    >>> tf.saved_model.save(module, "models/double/1", signatures={"serving_default": one})
    >>> with Server("models", rest_port=0, grpc_port=0) as server:
    ...     answer = requests.post(
    ...         f"{server.rest_url}/v1/models/double:predict", json={"instances": [[3.0]]}
    ...     )
    >>> answer.json()
    {'predictions': [[6.0]]}
    """

    def __init__(
        self,
        path: str | Path,
        *,
        host: str = "127.0.0.1",
        rest_port: int = 8501,
        grpc_port: int = 8500,
        max_batch_size: int = 64,
        batch_timeout: float = 0.0,
        batch_threads: int = 1,
        max_queue: int = 10000,
        max_body: int = 2**24,
        read_timeout: float = 30.0,
        poll: float = 1.0,
        threads: int = 0,
    ) -> None:
        require(
            starlette="starlette",
            uvicorn="uvicorn",
            grpc="grpcio",
            tensorflow_serving="tensorflow-serving-api",
            prometheus_client="prometheus-client",
        )
        for name, value, least in (
            ("max_batch_size", max_batch_size, 1),
            ("batch_threads", batch_threads, 1),
            ("max_queue", max_queue, 1),
            ("max_body", max_body, 1),
            ("threads", threads, 0),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise SettingError(f"`{name}` must be an int >= {least}. Received: {name}={value!r}.")
        for name, value in (("poll", poll), ("read_timeout", read_timeout)):
            if not value > 0:
                raise SettingError(f"`{name}` must be a number of seconds > 0. Received: {name}={value!r}.")
        if not batch_timeout >= 0:
            raise SettingError(
                f"`batch_timeout` must be a number of seconds >= 0. Received: batch_timeout={batch_timeout!r}."
            )
        self._poll, self._max_body, self._read_timeout = poll, max_body, read_timeout
        self._meter = Meter(lambda: self.models.names)
        self._socket = _listening(host, rest_port)
        self._grpc, self._uvicorn = None, None
        try:
            self.models = Models(
                path,
                max_batch_size=max_batch_size,
                batch_timeout=batch_timeout,
                batch_threads=batch_threads,
                max_queue=max_queue,
                threads=threads,
                on_batch=self._meter.batch,
            )
        except Exception:
            # Whatever it was, it goes on; what was opened is closed first, here and below.
            self._socket.close()
            raise
        try:
            self._start(host, grpc_port)
        except Exception:
            self._socket.close()
            self.models.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, grace: float = 30.0) -> None:
        """Takes no more requests, answers those that have come, and ends.

        Args:
            grace: Seconds after which requests are given up.
        """
        if self._stopped.is_set():
            return
        self._stopped.set()
        ended = self._grpc.stop(grace)
        self._uvicorn.config.timeout_graceful_shutdown = grace
        self._uvicorn.should_exit = True
        for thread in self._threads:
            thread.join()
        ended.wait()
        self._pool.shutdown()
        self.models.close()

    def _start(self, host, grpc_port):
        import grpc
        import uvicorn

        self._stopped = threading.Event()
        app = RestApp(self.models, self._meter, max_body=self._max_body, read_timeout=self._read_timeout)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            backlog=2048,
            server_header=False,
        )
        self._uvicorn = uvicorn.Server(config)
        self._pool = concurrent.futures.ThreadPoolExecutor(32, "tfts-grpc")
        self._grpc = grpc.server(
            self._pool,
            options=[
                ("grpc.max_receive_message_length", self._max_body),
                ("grpc.max_send_message_length", -1),
                # Else two servers would share a port, and each get some of the requests.
                ("grpc.so_reuseport", 0),
            ],
        )
        self._grpc.add_generic_rpc_handlers(
            RpcServices(self.models, self._meter, max_body=self._max_body).handlers()
        )
        try:
            port = self._grpc.add_insecure_port(f"{_bracketed(host)}:{grpc_port}")
        except RuntimeError:
            raise ModelError(_taken(host, grpc_port)) from None
        self.rest_url = f"http://{_bracketed(host)}:{self._socket.getsockname()[1]}"
        self.grpc_url = f"grpc://{_bracketed(host)}:{port}"
        self._grpc.start()
        self._threads = [
            threading.Thread(target=self._serve_rest, name="tfts-rest", daemon=True),
            threading.Thread(target=self._watch, name="tfts-poll", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _serve_rest(self):
        asyncio.run(self._uvicorn.serve(sockets=[self._socket]))

    def _watch(self):
        while not self._stopped.wait(self._poll):
            try:
                self.models.poll()
            except Exception:
                # A broken disk must not end the switching for good.
                _LOG.exception("The folder of the models can't be read")


def serve_until_stopped(path: str | Path, tell: Callable[[str], object], **options: Any) -> None:
    """Runs a `Server` until Ctrl-C or a SIGTERM, and then answers what has come.

    Args:
        path: Folder of the models.
        tell: Function that is given lines to show.
        **options: Of `Server`.

    Raises:
        FileNotFoundError: As `Server`.
        ValueError: As `Server`.

    Example:

    >>> serve_until_stopped("models", print)
    Traceback (most recent call last):
        ...
    tfts.errors.MissingFileError: models does not exist. Expected a folder with NAME/VERSION/saved_model.pb.
    """
    told = threading.Event()
    before = {one: signal.signal(one, lambda *_: told.set()) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        with Server(path, **options) as server:
            for name in server.models.names:
                versions = ", ".join(map(str, server.models.available(name))) or "none"
                tell(f"Model {name}, version {versions}: POST {server.rest_url}/v1/models/{name}:predict")
            tell(f"gRPC: {server.grpc_url.removeprefix('grpc://')}")
            tell(f"Metrics: {server.rest_url}{METRICS}")
            tell("For development. In production, give the same folder to TensorFlow Serving. Ctrl-C ends.")
            told.wait()
            tell("Stopping: answering what has come.")
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _listening(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ModelError(f"{_taken(host, port)} ({error.strerror})") from None


def _taken(host, port):
    return f"Can't listen on {host}:{port}. Expected an address of this machine and a free port; 0 takes any."


def _bracketed(host):
    return f"[{host}]" if ":" in host else host
