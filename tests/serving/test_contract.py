"""What TensorFlow Serving documents, asked of our server and, marked `docker`, of the real one."""

import base64
import concurrent.futures
import json
import math
import socket
from urllib.parse import urlsplit

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

PAST = np.arange(15, dtype=np.float32).reshape(5, 3)


@pytest.fixture(scope="module")
def rest(server):
    """Asks by REST: `(status, document)`."""
    session = requests.Session()

    def ask(path, body=None, method=None, **options):
        method = method or ("GET" if body is None else "POST")
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        answer = session.request(
            method, f"{server.rest_url}/v1/models/{path}", data=data, timeout=30, **options
        )
        return answer.status_code, answer.json()

    return ask


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(urlsplit(server.grpc_url).netloc) as channel:
        yield channel


@pytest.fixture(scope="module")
def predict(channel):
    """Asks by gRPC: the answer, with the output tensors as arrays in `.arrays`."""
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def ask(inputs, model="load", version=None, label=None, signature="", outputs=()):
        request = predict_pb2.PredictRequest(output_filter=outputs)
        request.model_spec.name, request.model_spec.signature_name = model, signature
        if version is not None:
            request.model_spec.version.value = version
        if label is not None:
            request.model_spec.version_label = label
        for name, value in inputs.items():
            proto = value if isinstance(value, tensor_pb2.TensorProto) else tf.make_tensor_proto(value)
            request.inputs[name].CopyFrom(proto)
        answer = stub.Predict(request, timeout=30)
        return answer, {name: tf.make_ndarray(proto) for name, proto in answer.outputs.items()}

    return ask


def check_refused(answer, status):
    code, document = answer
    assert code == status
    assert list(document) == ["error"]
    check_words(document["error"])


def check_words(words):
    assert words
    assert "Traceback" not in words
    assert ".py" not in words
    assert "/tmp" not in words


def check_good(rest):
    assert rest("load:predict", {"instances": [PAST.tolist()]}) == (
        200,
        {"predictions": [[[315.0], [315.0]]]},
    )


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_both_ways_give_what_the_model_gives(rest, predict, model_folder, batch):
    past = np.random.default_rng(batch).normal(100, 10, (batch, 5, 3)).astype(np.float32)
    expected = tf.saved_model.load(str(model_folder / "load" / "2")).signatures["serving_default"](
        past=tf.constant(past)
    )["forecast"]
    by_row = rest("load:predict", {"instances": past.tolist()})[1]["predictions"]
    by_column = rest("load:predict", {"inputs": {"past": past.tolist()}})[1]["outputs"]
    by_grpc = predict({"past": past})[1]["forecast"]
    for found in (by_row, by_column, by_grpc):
        np.testing.assert_allclose(np.array(found, np.float32), expected, rtol=1e-5)


def test_row_form_has_bare_values_for_one_output_and_objects_for_several(rest):
    body = {"signature_name": "forecast_with_attention", "instances": [PAST.tolist(), (2 * PAST).tolist()]}
    status, document = rest("load:predict", body)
    assert status == 200
    assert [set(one) for one in document["predictions"]] == [{"forecast", "attention"}] * 2
    assert document["predictions"][1]["forecast"] == [[630.0], [630.0]]
    assert np.shape(document["predictions"][0]["attention"]) == (1, 1, 5)
    by_name = {"instances": [{"past": PAST.tolist()}]}
    assert rest("load:predict", by_name)[1] == {"predictions": [[[315.0], [315.0]]]}


def test_column_form_has_bare_values_for_one_output_and_an_object_for_several(rest):
    assert rest("load:predict", {"inputs": [PAST.tolist()]})[1] == {"outputs": [[[315.0], [315.0]]]}
    body = {"signature_name": "forecast_with_attention", "inputs": [PAST.tolist()]}
    outputs = rest("load:predict", body)[1]["outputs"]
    assert outputs["forecast"] == [[[315.0], [315.0]]]
    assert np.shape(outputs["attention"]) == (1, 1, 1, 5)


def test_several_inputs_in_both_forms(rest, predict):
    known = np.arange(7.0).reshape(7, 1).tolist()
    row = {"signature_name": "with_known", "instances": [{"past": PAST.tolist(), "known_future": known}]}
    column = {"signature_name": "with_known", "inputs": {"past": [PAST.tolist()], "known_future": [known]}}
    assert rest("load:predict", row)[1] == {"predictions": [[[320.0], [321.0]]]}
    assert rest("load:predict", column)[1] == {"outputs": [[[320.0], [321.0]]]}
    inputs = {"past": PAST[None], "known_future": np.array([known], np.float32)}
    assert predict(inputs, signature="with_known")[1]["forecast"].ravel().tolist() == [320.0, 321.0]
    check_refused(rest("load:predict", {**row, "instances": [PAST.tolist()]}), 400)
    check_refused(rest("load:predict", {**row, "instances": [{"past": PAST.tolist()}]}), 400)
    check_refused(rest("load:predict", {**column, "inputs": {"past": [PAST.tolist()]}}), 400)
    check_refused(rest("load:predict", {**column, "inputs": [PAST.tolist()]}), 400)


def test_versions_and_labels(rest, predict):
    body = {"instances": [PAST.tolist()]}
    for path, value in (("versions/1", 210.0), ("versions/2", 315.0), ("labels/stable", 210.0)):
        assert rest(f"load/{path}:predict", body)[1] == {"predictions": [[[value], [value]]]}
    for choice, number in (({"version": 1}, 1), ({}, 2), ({"label": "stable"}, 1)):
        answer, arrays = predict({"past": PAST[None]}, **choice)
        assert answer.model_spec.version.value == number
        assert answer.model_spec.name == "load"
        assert arrays["forecast"].ravel().tolist() == [105.0 * (number + 1)] * 2


def test_not_a_number_and_infinity_go_in_and_out(rest, predict):
    past = np.stack([PAST, PAST, PAST, PAST])
    past[0, 0, 0], past[1, 0, 0], past[2, 0, 0] = np.nan, np.inf, -np.inf
    answer = rest("load:predict", json.dumps({"instances": past.tolist()}).encode())[1]["predictions"]
    values = [one[0][0] for one in answer]
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf, 315.0]
    np.testing.assert_array_equal(predict({"past": past})[1]["forecast"][:, 0, 0], values)


def test_texts_and_bytes(rest, predict):
    raw = base64.b64encode(b"\xff\x00").decode()
    status, document = rest(
        "words:predict", {"instances": ["Grüße", {"b64": base64.b64encode(b"day").decode()}]}
    )
    assert status == 200
    assert document["predictions"][0] == {
        "copy": "Grüße",
        "copy_bytes": {"b64": base64.b64encode("Grüße".encode()).decode()},
    }
    assert document["predictions"][1]["copy"] == "day"
    status, document = rest("words:predict", {"inputs": {"text": [{"b64": raw}]}})
    assert document["outputs"]["copy_bytes"] == [{"b64": raw}]
    assert predict({"text": [b"a", b"\xff"]}, model="words")[1]["copy"].tolist() == [b"a", b"\xff"]
    check_refused(rest("words:predict", {"instances": [{"b64": "!"}]}), 400)
    check_refused(rest("words:predict", {"instances": [3]}), 400)


def test_status(rest, channel):
    status, document = rest("load")
    assert status == 200
    assert [(one["version"], one["state"]) for one in document["model_version_status"]] == [
        ("2", "AVAILABLE"),
        ("1", "AVAILABLE"),
    ]
    assert document["model_version_status"][0]["status"] == {"error_code": "OK", "error_message": ""}
    assert [one["version"] for one in rest("load/versions/1")[1]["model_version_status"]] == ["1"]
    assert [one["version"] for one in rest("load/labels/stable")[1]["model_version_status"]] == ["1"]
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "load"
    found = stub.GetModelStatus(request, timeout=30).model_version_status
    assert [(one.version, one.state, one.status.error_code) for one in found] == [(2, 30, 0), (1, 30, 0)]
    request.model_spec.name = "lood"
    with pytest.raises(grpc.RpcError, match="Could not find any versions of model lood") as raised:
        stub.GetModelStatus(request, timeout=30)
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND


def test_metadata(rest, channel):
    status, document = rest("load/versions/1/metadata")
    assert status == 200
    assert document["model_spec"] == {"name": "load", "signature_name": "", "version": "1"}
    signatures = document["metadata"]["signature_def"]["signature_def"]
    past = signatures["with_known"]["inputs"]["past"]
    assert past["dtype"] == "DT_FLOAT"
    assert [dim["size"] for dim in past["tensor_shape"]["dim"]] == ["-1", "5", "3"]
    assert signatures["with_known"]["method_name"] == "tensorflow/serving/predict"
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "load"
    answer = stub.GetModelMetadata(request, timeout=30)
    assert answer.model_spec.version.value == 2
    found = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(found)
    assert found.signature_def["with_known"].inputs["past"].name == past["name"]
    with pytest.raises(grpc.RpcError) as raised:
        stub.GetModelMetadata(
            get_model_metadata_pb2.GetModelMetadataRequest(
                model_spec=request.model_spec, metadata_field=["graph"]
            )
        )
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT


GOOD = {"instances": [PAST.tolist()]}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        pytest.param("load:predict", {"instances": PAST.tolist()}, 400, id="rank"),
        pytest.param("load:predict", {"instances": [PAST[:, :2].tolist()]}, 400, id="width"),
        pytest.param("load:predict", {"instances": [[[1.0, 2.0], [1.0]]]}, 400, id="ragged"),
        pytest.param(
            "load:predict", {"instances": [PAST.tolist(), PAST[:4].tolist()]}, 400, id="unequal rows"
        ),
        pytest.param("load:predict", {"instances": [[["a"] * 3] * 5]}, 400, id="text"),
        pytest.param("load:predict", {"instances": [[[None] * 3] * 5]}, 400, id="null"),
        pytest.param("load:predict", {"instances": [[[True, 1.0, 2.0]] * 5]}, 400, id="bool"),
        pytest.param("load:predict", {"instances": [[[1e39, 1.0, 2.0]] * 5]}, 400, id="beyond float32"),
        pytest.param("load:predict", {"instances": [[[{"a": 1}] * 3] * 5]}, 400, id="object"),
        pytest.param("load:predict", {"instances": [{"future": PAST.tolist()}]}, 400, id="unknown input"),
        pytest.param(
            "load:predict", {"instances": [PAST.tolist(), {"past": PAST.tolist()}]}, 400, id="mixed"
        ),
        pytest.param("load:predict", {"instances": []}, 400, id="no instance"),
        pytest.param("load:predict", {"instances": 3}, 400, id="no list"),
        pytest.param("load:predict", {"inputs": 3}, 400, id="number"),
        pytest.param("load:predict", {}, 400, id="neither form"),
        pytest.param("load:predict", {**GOOD, "inputs": [PAST.tolist()]}, 400, id="both forms"),
        pytest.param("load:predict", {**GOOD, "signature_name": "forcast"}, 400, id="unknown signature"),
        pytest.param("load:predict", {**GOOD, "signature_name": 3}, 400, id="signature no text"),
        pytest.param("load:predict", [PAST.tolist()], 400, id="no object"),
        pytest.param("load:predict", b"", 400, id="empty"),
        pytest.param("load:predict", b'{"instances": [[1.0, ', 400, id="half a document"),
        pytest.param("load:predict", b"\xff\xfe\xfd", 400, id="bytes"),
        pytest.param("load/versions/9:predict", GOOD, 404, id="unknown version"),
        pytest.param("load/labels/canary:predict", GOOD, 400, id="unknown label"),
        pytest.param("lood:predict", GOOD, 404, id="unknown model"),
        pytest.param("load:forecast", GOOD, 400, id="unknown verb"),
        pytest.param(
            "words:predict", {"signature_name": "total", "inputs": [1.5]}, 400, id="no whole number"
        ),
        pytest.param("words:predict", {"signature_name": "total", "inputs": [2**40]}, 400, id="beyond int32"),
        pytest.param(
            "words:predict", {"signature_name": "total", "inputs": [100]}, 400, id="refused by the graph"
        ),
    ],
)
def test_a_bad_request_is_an_error_and_the_next_good_one_is_answered(rest, path, body, status):
    check_refused(rest(path, body), status)
    check_good(rest)


@pytest.mark.parametrize("path", ["lood", "load/versions/9", "load/versions/9/metadata", "lood/metadata"])
def test_what_is_not_there_is_not_found(rest, path):
    check_refused(rest(path), 404)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_wrong_method_is_an_error(server, method):
    answer = requests.request(method, f"{server.rest_url}/v1/models/load:predict", timeout=30)
    assert 400 <= answer.status_code < 600


def shaped(shape, **fields):
    """A tensor that claims a shape."""
    proto = tensor_pb2.TensorProto(dtype=tf.float32.as_datatype_enum, **fields)
    for size in shape:
        proto.tensor_shape.dim.add().size = size
    return proto


@pytest.mark.parametrize(
    "inputs",
    [
        pytest.param({}, id="no input"),
        pytest.param({"past": PAST[None], "promo": PAST[None]}, id="one too many"),
        pytest.param({"past": PAST}, id="rank"),
        pytest.param({"past": PAST[None, :, :2]}, id="width"),
        pytest.param({"past": PAST[None].astype(np.float64)}, id="type"),
        pytest.param({"past": np.array(["a"])}, id="text"),
        pytest.param({"past": shaped((1, 5, 3), tensor_content=b"abc")}, id="too little content"),
        pytest.param({"past": shaped((-1, 5, 3), float_val=[1.0])}, id="negative size"),
        pytest.param({"past": shaped((10**9, 5, 3), float_val=[1.0])}, id="claims gigabytes"),
    ],
)
def test_a_bad_tensor_is_an_error_and_the_next_good_one_is_answered(predict, inputs):
    with pytest.raises(grpc.RpcError) as raised:
        predict(inputs)
    assert raised.value.code() in (
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INTERNAL,
    )
    check_words(raised.value.details())
    assert predict({"past": PAST[None]})[1]["forecast"].ravel().tolist() == [315.0, 315.0]


@pytest.mark.parametrize(
    ("options", "codes"),
    [
        ({"model": "lood"}, {"NOT_FOUND"}),
        ({"model": ""}, {"INVALID_ARGUMENT"}),
        ({"version": 9}, {"NOT_FOUND"}),
        ({"label": "canary"}, {"INVALID_ARGUMENT"}),
        ({"signature": "forcast"}, {"INVALID_ARGUMENT", "FAILED_PRECONDITION"}),
        ({"outputs": ["forcast"]}, {"INVALID_ARGUMENT"}),
    ],
)
def test_what_is_not_there_has_its_grpc_status(predict, options, codes):
    with pytest.raises(grpc.RpcError) as raised:
        predict({"past": PAST[None]}, **options)
    assert raised.value.code().name in codes
    check_words(raised.value.details())


def test_only_the_wanted_outputs_come_by_grpc(predict):
    arrays = predict({"past": PAST[None]}, signature="forecast_with_attention", outputs=["attention"])[1]
    assert list(arrays) == ["attention"]


def test_half_a_request_harms_nobody(rest, server):
    address = urlsplit(server.rest_url)
    for head in (
        b"POST /v1/mod",
        b"POST /v1/models/load:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{",
    ):
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(head)
        check_good(rest)


def test_a_thousand_requests_at_once_get_each_its_own_answer(server):
    def ask(number):
        past = np.full((1, 5, 3), number, np.float32)
        answer = requests.post(
            f"{server.rest_url}/v1/models/load:predict", json={"instances": past.tolist()}, timeout=60
        )
        return answer.json() == {"predictions": [[[45.0 * number], [45.0 * number]]]}

    with concurrent.futures.ThreadPoolExecutor(250) as pool:
        assert all(pool.map(ask, range(1000)))
