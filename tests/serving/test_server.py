import concurrent.futures
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tests.serving.test_saved_model import past_of
from tfts.cli import main
from tfts.serving import Server

BODY = {"instances": past_of(1)["past"].tolist()}


def ask(server, **options):
    return requests.post(
        f"{server.rest_url}/v1/models/load:predict", **{"json": BODY, "timeout": 30, **options}
    )


def grpc_request(signature=""):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "load", signature
    request.inputs["past"].CopyFrom(tf.make_tensor_proto(past_of(1)["past"]))
    return request


@pytest.fixture(scope="module")
def small(written_models):
    """A server that takes little and waits for nobody."""
    with Server(
        written_models, rest_port=0, grpc_port=0, max_body=20_000, read_timeout=0.3, batch_timeout=0.0
    ) as server:
        yield server


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_100_mb_is_refused_and_the_next_request_answered(small, chunked):
    size = 100 * 2**20
    data = (b"[" * 2**20 for _ in range(size // 2**20)) if chunked else b"[" * size
    answer = ask(small, json=None, data=data)
    assert answer.status_code == 413
    assert answer.json() == {"error": "A request may have 20000 bytes. Send fewer windows at once."}
    assert ask(small).json() == {"predictions": [[[45.0], [45.0]]]}


def test_a_deeply_nested_document_is_an_error(small):
    answer = ask(small, json=None, data=b'{"instances": ' + b"[" * 19_000)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("JSON Parse error")
    assert ask(small).ok


def test_a_request_that_does_not_arrive_is_given_up(small):
    address = urlsplit(small.rest_url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(b"POST /v1/models/load:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{")
        answer = b""
        while not answer.endswith(b"}"):
            answer += connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408")
    assert answer.endswith(b'{"error": "The request did not arrive within 0.3 s."}')


@pytest.mark.parametrize("path", ["/", "/v2/models/load", "/metrics"])
def test_another_path_is_not_found(small, path):
    answer = requests.get(small.rest_url + path, timeout=30)
    assert answer.status_code == 404
    assert answer.json() == {"error": f"Not found: GET {path}"}


def test_an_answer_does_not_give_back_all_that_was_sent(small):
    long = "a" * 15_000
    for answer in (
        requests.get(f"{small.rest_url}/{long}", timeout=30),
        ask(small, json={**BODY, "signature_name": long}),
    ):
        assert len(answer.content) < 1_200
    with grpc.insecure_channel(urlsplit(small.grpc_url).netloc) as channel:
        with pytest.raises(grpc.RpcError, match=r"Serving signature name: .aaa") as raised:
            prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(grpc_request(long), timeout=30)
        assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("verb", ["classify", "regress"])
def test_verbs_for_other_models_are_refused(small, verb):
    answer = requests.post(f"{small.rest_url}/v1/models/load:{verb}", json={"examples": []}, timeout=30)
    assert answer.status_code == 400
    assert "This server answers :predict alone" in answer.json()["error"]


def test_a_grpc_message_that_is_too_large_and_a_method_that_is_not_there_have_their_status(small):
    with grpc.insecure_channel(urlsplit(small.grpc_url).netloc) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        large = grpc_request()
        large.inputs["past"].CopyFrom(tf.make_tensor_proto(past_of(1, rows=1000)["past"]))
        with pytest.raises(grpc.RpcError) as raised:
            stub.Predict(large, timeout=30)
        assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        with pytest.raises(grpc.RpcError) as raised:
            stub.MultiInference(predict_pb2.PredictRequest(), timeout=30)
        assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED
        raw = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        with pytest.raises(grpc.RpcError) as raised:
            raw(b"\xff\xff\xff", timeout=30)
        assert "Traceback" not in raised.value.details()
        assert tf.make_ndarray(stub.Predict(grpc_request(), timeout=30).outputs["forecast"]).sum() == 90.0


def test_metrics_count_requests_and_batches_but_no_names_of_strangers(small):
    ask(small)
    requests.get(f"{small.rest_url}/v1/models/stranger", timeout=30)
    answer = requests.get(f"{small.rest_url}/monitoring/prometheus/metrics", timeout=30)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    good = re.search(r'tfts_serving_requests_total\{api="REST",code="200",model="load"\} (\d+)', answer.text)
    assert int(good.group(1)) >= 1
    assert 'tfts_serving_requests_total{api="REST",code="404",model=""}' in answer.text
    assert "tfts_serving_request_seconds_bucket" in answer.text
    assert "tfts_serving_batch_rows_count" in answer.text
    assert "stranger" not in answer.text


def test_what_breaks_inside_is_told_without_a_trace(small, monkeypatch):
    def broken(*_):
        raise RuntimeError("/home/me/secret.py")

    monkeypatch.setattr(small.models, "lease", broken)
    answer = ask(small)
    assert answer.status_code == 500
    assert answer.json() == {"error": "The server failed on this request."}
    with grpc.insecure_channel(urlsplit(small.grpc_url).netloc) as channel:
        with pytest.raises(grpc.RpcError, match="The server failed on this request") as raised:
            prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(grpc_request(), timeout=30)
        assert raised.value.code() == grpc.StatusCode.INTERNAL


def test_a_deadline_that_passes_has_its_status(written_models):
    with (
        Server(written_models, rest_port=0, grpc_port=0, batch_timeout=1.0) as server,
        grpc.insecure_channel(urlsplit(server.grpc_url).netloc) as channel,
    ):
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as raised:
            stub.Predict(grpc_request(), timeout=0.1)
        assert raised.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert ask(server).ok


def test_stopping_answers_what_has_come_and_takes_no_more(written_models):
    server = Server(written_models, rest_port=0, grpc_port=0, batch_timeout=1.0)
    with (
        grpc.insecure_channel(urlsplit(server.grpc_url).netloc) as channel,
        concurrent.futures.ThreadPoolExecutor(8) as pool,
    ):
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        by_rest = [pool.submit(ask, server) for _ in range(5)]
        by_grpc = [pool.submit(stub.Predict, grpc_request("forecast_with_attention"), 30) for _ in range(2)]
        with server.models.lease("load") as version:
            deadline = time.monotonic() + 30
            while version.in_flight < 8 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert version.in_flight == 8
        server.stop()
        assert [one.result(30).json() for one in by_rest] == [{"predictions": [[[45.0], [45.0]]]}] * 5
        assert all(tf.make_ndarray(one.result(30).outputs["forecast"]).sum() == 90.0 for one in by_grpc)
    with pytest.raises(requests.ConnectionError):
        ask(server)
    server.stop()


def test_versions_switch_under_load_without_a_lost_request(written_models, tmp_path):
    shutil.copytree(written_models / "load" / "1", tmp_path / "load" / "1")
    done = threading.Event()
    with (
        Server(tmp_path, rest_port=0, grpc_port=0, poll=0.02) as server,
        concurrent.futures.ThreadPoolExecutor(8) as pool,
    ):

        def asking():
            seen, session = [], requests.Session()
            while not done.is_set():
                answer = session.post(f"{server.rest_url}/v1/models/load:predict", json=BODY, timeout=30)
                seen.append((answer.status_code, answer.json()["predictions"][0][0][0]))
            return seen

        running = [pool.submit(asking) for _ in range(8)]
        time.sleep(0.3)
        shutil.copytree(written_models / "load" / "2", tmp_path / ".new")
        os.rename(tmp_path / ".new", tmp_path / "load" / "2")
        deadline = time.monotonic() + 30
        while server.models.available("load") != [2] and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.3)
        done.set()
        seen = [one for part in running for one in part.result(30)]
    assert set(seen) == {(200, 30.0), (200, 45.0)}


def test_a_port_that_is_taken_is_named(small):
    for way, url in (("rest_port", small.rest_url), ("grpc_port", small.grpc_url)):
        port = urlsplit(url).port
        with pytest.raises(ValueError, match=rf"Can't listen on 127.0.0.1:{port}\. Expected an address"):
            Server(small.models._path, **{"rest_port": 0, "grpc_port": 0, way: port})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_batch_size": 0}, "`max_batch_size` must be an int >= 1"),
        ({"batch_threads": 0}, "`batch_threads` must be an int >= 1"),
        ({"max_queue": 1.5}, "`max_queue` must be an int >= 1"),
        ({"max_body": True}, "`max_body` must be an int >= 1"),
        ({"threads": -1}, "`threads` must be an int >= 0"),
        ({"poll": 0}, "`poll` must be a number of seconds > 0"),
        ({"read_timeout": -1}, "`read_timeout` must be a number of seconds > 0"),
        ({"batch_timeout": -0.1}, "`batch_timeout` must be a number of seconds >= 0"),
    ],
)
def test_options_out_of_range_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        Server(tmp_path, **options)


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvicorn" else found(name))
    with pytest.raises(ValueError, match=r"This needs uvicorn: pip install tfts\[serving\]"):
        Server(tmp_path)


def test_the_command_serves_until_it_is_told_to_stop(written_models):
    command = [sys.executable, "-c", "from tfts.cli import main; main()", "serve", str(written_models)]
    running = subprocess.Popen(
        [*command, "--rest-port", "0", "--grpc-port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    try:
        told = [running.stdout.readline() for _ in range(5)]
        url = re.search(r"http://[\d.:]+", told[0]).group(0)
        assert told[0].startswith("Model load, version 2: POST ")
        assert told[4].startswith(
            "For development. In production, give the same folder to TensorFlow Serving."
        )
        answer = requests.post(f"{url}/v1/models/load:predict", json=BODY, timeout=30)
        np.testing.assert_allclose(answer.json()["predictions"], 45.0)
    finally:
        running.send_signal(signal.SIGTERM)
        rest, errors = running.communicate(timeout=60)
    assert running.returncode == 0, errors
    assert rest == "Stopping: answering what has come.\n"


def test_the_command_says_what_is_wrong_with_a_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["tfts", "serve", str(tmp_path), "--rest-port", "0", "--grpc-port", "0"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "has no model that can be served" in " ".join(capsys.readouterr().err.split())
