import concurrent.futures
import struct
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tests.serving.conftest import write_model
from tfts.serving.errors import ServingError
from tfts.serving.saved_model import SavedModel, Signature, TensorInfo, _in_words, arrays_of


@pytest.fixture(scope="module")
def folder(written_models):
    return written_models / "load" / "1"


def past_of(value, rows=1):
    return {"past": np.full((rows, 5, 3), value, np.float32)}


def answers(model, values, rows=1):
    """Asks at one time, each in a thread of its own, and checks that each gets its own answer."""
    start = threading.Barrier(len(values))

    def ask(value):
        start.wait()
        return model.submit("serving_default", past_of(value, rows)).result(30)["forecast"]

    with concurrent.futures.ThreadPoolExecutor(len(values)) as pool:
        found = list(pool.map(ask, values))
    for value, forecast in zip(values, found, strict=True):
        assert forecast.shape == (rows, 2, 1)
        np.testing.assert_allclose(forecast, 30.0 * value)


def test_concurrent_requests_share_batches_and_each_gets_its_own_answer(folder):
    batches = []
    model = SavedModel(folder, batch_timeout=0.2, on_batch=batches.append)
    answers(model, range(1, 30))
    model.close()
    assert sum(batches) == 29
    assert len(batches) < 29 / 2


def test_a_batch_that_is_full_does_not_wait(folder):
    batches = []
    model = SavedModel(folder, max_batch_size=7, batch_timeout=60.0, on_batch=batches.append)
    answers(model, range(14))
    model.close()
    assert batches == [7, 7]


def test_requests_that_do_not_fit_into_one_batch_are_not_cut(folder):
    batches = []
    model = SavedModel(folder, max_batch_size=7, batch_timeout=0.1, on_batch=batches.append)
    answers(model, [1, 2], rows=5)
    answers(model, [3], rows=11)
    model.close()
    assert batches == [5, 5, 11]


def test_only_one_signature_and_one_shape_share_a_batch(folder):
    batches = []
    model = SavedModel(folder, batch_timeout=0.2, on_batch=batches.append)
    known = {"known_future": np.zeros((1, 7, 1), np.float32)}
    futures = [
        model.submit("serving_default", past_of(1)),
        model.submit("with_known", {**past_of(2), **known}),
        model.submit("", past_of(3)),
    ]
    assert [float(one.result()["forecast"][0, 0, 0]) for one in futures] == [30.0, 60.0, 90.0]
    model.close()
    assert batches == [2, 1]


def test_what_has_no_row_for_each_row_is_answered_one_by_one(written_models):
    batches = []
    model = SavedModel(written_models / "words" / "1", batch_timeout=0.1, on_batch=batches.append)
    futures = [model.submit("total", {"number": np.array([n, n], np.int32)}) for n in (1, 2, 3)]
    assert [int(one.result()["total"]) for one in futures] == [2, 4, 6]
    model.close()
    assert batches == [6]


def test_one_bad_request_of_a_batch_does_not_spoil_the_others(written_models):
    model = SavedModel(written_models / "words" / "1", batch_timeout=0.1)
    good, bad = (model.submit("total", {"number": np.array([n], np.int32)}) for n in (7, 101))
    assert int(good.result()["total"]) == 7
    with pytest.raises(ServingError, match="Numbers stay below 100") as raised:
        bad.result()
    assert raised.value.code == "INVALID_ARGUMENT"
    model.close()


def test_too_many_that_wait_are_refused(folder):
    model = SavedModel(folder, batch_timeout=0.3, max_queue=2)
    futures = [model.submit("serving_default", past_of(n)) for n in (1, 2)]
    with pytest.raises(ServingError, match="Too many requests wait") as raised:
        model.submit("serving_default", past_of(3))
    assert raised.value.code == "UNAVAILABLE"
    assert [float(one.result()["forecast"][0, 0, 0]) for one in futures] == [30.0, 60.0]
    model.close()


def test_a_request_that_was_given_up_is_not_run(folder):
    batches = []
    model = SavedModel(folder, batch_timeout=0.2, on_batch=batches.append)
    futures = [model.submit("serving_default", past_of(n)) for n in (1, 2)]
    assert futures[0].cancel()
    assert float(futures[1].result()["forecast"][0, 0, 0]) == 60.0
    model.close()
    assert batches == [1]


def test_closing_answers_what_waits_and_takes_no_more(folder):
    model = SavedModel(folder, batch_timeout=60.0)
    waiting = model.submit("serving_default", past_of(2))
    model.close()
    assert float(waiting.result()["forecast"][0, 0, 0]) == 60.0
    with pytest.raises(ServingError, match="Too many requests wait"):
        model.submit("serving_default", past_of(1))


def test_a_model_without_signatures_is_refused(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "empty"))
    with pytest.raises(ValueError, match="has no signature with the method tensorflow/serving/predict"):
        SavedModel(tmp_path / "empty")


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(OSError, match="does not exist"):
        SavedModel(tmp_path)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, r"takes the inputs \['past'\]. Missing: \['past'\]. Not known: \[\]"),
        ({**past_of(1), "promo": np.zeros(1)}, r"Not known: \['promo'\]"),
        ({"past": np.zeros((2, 5), np.float32)}, r"must have the shape \(-1, 5, 3\).*Received: \(2, 5\)"),
        ({"past": np.zeros((2, 5, 2), np.float32)}, r"Received: \(2, 5, 2\)"),
        ({"past": np.zeros((0, 5, 3), np.float32)}, r"the same number of rows, at least 1. Received: \[0\]"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs, message):
    past = TensorInfo("past:0", tf.float32, (None, 5, 3))
    with pytest.raises(ServingError, match=message):
        Signature("serving_default", {"past": past}, {}, None).check(inputs)


def test_inputs_with_different_rows_are_refused():
    info = TensorInfo("a:0", tf.float32, (None,))
    with pytest.raises(ServingError, match=r"at least 1. Received: \[2, 3\]"):
        Signature("serving_default", {"a": info, "b": info}, {}, None).check(
            {"a": np.zeros(2), "b": np.zeros(3)}
        )


def write_warm_up(path, values):
    """Requests as TensorFlow Serving reads them."""
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for value in values:
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name = "load"
            request.inputs["past"].CopyFrom(tf.make_tensor_proto(value))
            writer.write(log.SerializeToString())


def test_warm_up_replays_the_requests(folder, tmp_path):
    model = SavedModel(folder)
    path = tmp_path / "tf_serving_warmup_requests"
    assert model.warm_up(path) == 0
    write_warm_up(path, [np.zeros((rows, 5, 3), np.float32) for rows in (1, 7)])
    assert model.warm_up(path) == 2
    write_warm_up(path, [np.zeros((1, 5, 3), np.float32)] * 1003)
    assert model.warm_up(path) == 1000
    write_warm_up(path, [np.zeros((1, 4, 3), np.float32)])
    with pytest.raises(ServingError, match=r"Received: \(1, 4, 3\)"):
        model.warm_up(path)
    for broken in (b"abc", struct.pack("<QI", 99, 0) + b"abc"):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match="ends in the middle of a record"):
            model.warm_up(path)
    model.close()


@pytest.mark.parametrize(
    ("proto", "message"),
    [
        (tf.make_tensor_proto([[1.0, 2.0]], tf.float64), "must be float32. Received: float64"),
        (tf.make_tensor_proto([1, 2]), "must be float32. Received: int32"),
        (SimpleNamespace(dtype=999), "Received: the unknown type 999"),
    ],
)
def test_tensors_of_another_type_are_refused(proto, message):
    past = Signature("serving_default", {"past": TensorInfo("past:0", tf.float32, (None, 2))}, {}, None)
    with pytest.raises(ServingError, match=message):
        arrays_of({"past": proto}, past)


def test_a_few_bytes_do_not_become_a_terabyte():
    proto = tf.make_tensor_proto([[1.0, 2.0]])
    proto.tensor_shape.dim[0].size = 10**11
    past = Signature("serving_default", {"past": TensorInfo("past:0", tf.float32, (None, 2))}, {}, None)
    with pytest.raises(ServingError, match="is larger than this server takes"):
        arrays_of({"past": proto}, past, max_bytes=2**24)


def test_an_answer_names_no_path_and_no_trace():
    trace = 'Graph execution error:\n\nDetected at node a/b defined at (most recent call last):\n  File "/home/me"\n\n'
    words = "Incompatible shapes at /home/me/model.py [[{{node a/b}}]]\n\t [[a/b]]"
    for message in (words, trace + words):
        error = tf.errors.InvalidArgumentError(None, None, message)
        assert str(_in_words(error)) == "Incompatible shapes at ..."
    error = tf.errors.InvalidArgumentError(None, None, trace)
    assert str(_in_words(error)) == "The model refuses these values."
    assert str(_in_words(RuntimeError("/home/me"))) == "The model failed on this request."


def test_the_threads_of_tensorflow_can_be_set(tmp_path):
    write_model(tmp_path / "1", 1)
    model = SavedModel(tmp_path / "1", threads=1)
    began = time.monotonic()
    assert model.submit("serving_default", past_of(1)).result()["forecast"].shape == (1, 2, 1)
    assert time.monotonic() - began < 30
    model.close()
