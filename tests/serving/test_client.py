import http.server
import json
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest

from tests.serving.fitted import untrained
from tfts import AnomalyDetector, Forecaster, LinearRegression
from tfts.serving import Client, Server, ServingError, export
from tfts.serving.client import _RemoteRegression
from tfts.serving.deployment import write_deployment

HOURS = pd.date_range("2024-01-01", periods=150, freq="h", tz="Europe/Berlin")


def make_frame(names=("north", "south")):
    """Two targets, a column that is only seen, a price known ahead, and two series."""
    rng = np.random.default_rng(3)
    parts = []
    for level, name in enumerate(names, 1):
        day = np.sin(np.arange(150) * 2 * np.pi / 24)
        parts.append(
            pd.DataFrame(
                {
                    "site": name,
                    "time": HOURS,
                    "load": 1000 * level + 50 * day + rng.normal(0, 3, 150),
                    "price": 30 + rng.normal(0, 5, 150),
                    "wind": 7 + rng.normal(0, 1, 150),
                    "solar": 100 * level + 20 * day,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def fitted():
    return untrained(
        "lstm_attention",
        make_frame(),
        targets=["load", "solar"],
        known_future=["price"],
        calendar=["hour", "24h"],
        time="time",
        series="site",
        per_series=True,
    )


# The forecaster and the client say so each time.
pytestmark = pytest.mark.filterwarnings("ignore:1 series were not among the training rows:UserWarning")


@pytest.fixture(scope="module")
def future():
    """The table with three rows in which the price alone is known, and a series never seen before."""
    frame = make_frame(("east", "north", "south"))
    frame.loc[frame["time"] > HOURS[146], ["load", "wind", "solar"]] = np.nan
    return frame


@pytest.fixture(scope="module")
def folder(fitted, written_models, tmp_path_factory):
    path = tmp_path_factory.mktemp("client")
    export(fitted, path, name="load")
    (path / "words").symlink_to(written_models / "words")
    write_deployment(path, "words")
    return path


@pytest.fixture(scope="module")
def running(folder):
    with Server(folder, rest_port=0, grpc_port=0, poll=0.05) as server:
        yield server


@pytest.fixture(scope="module", params=["rest", "grpc"])
def url(request, running):
    return running.rest_url if request.param == "rest" else running.grpc_url


@pytest.mark.parametrize("origins", ["last", "all"])
def test_predicts_what_the_forecaster_predicts(url, fitted, future, origins):
    with Client(url, "load", batch_size=7) as client:
        found = client.predict(future, origins)
    expected = fitted.predict(future, origins)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-5, check_dtype=False)
    assert set(found["series"]) == {"east", "north", "south"}


@pytest.mark.parametrize("quantiles", [None, [0.1, 0.9]])
def test_labels_and_attributes_are_sent_as_the_graph_numbers_them(tmp_path, quantiles):
    frame = make_frame().drop(columns=["wind", "solar"])
    frame["weather"] = np.tile(["fog", "sun", None, "fog", "rain"], 60)
    frame["kind"] = frame["site"].map({"north": "hill", "south": "sea"})
    frame["height"] = frame["site"].map({"north": 300.0, "south": 4.0})
    known = {"known_future": ["price", "weather"], "static": ["height", "kind"], "series_embedding": True}
    options = {"targets": ["load"], "time": "time", "series": "site", "quantiles": quantiles, **known}
    model = "inverted_transformer"
    if quantiles is None:
        fitted = untrained(model, frame, **options)
    else:
        options |= {"context_length": 11, "horizon": 3}
        fitted = Forecaster(model, **options).fit(frame, epochs=1, verbose=0)
    export(fitted, tmp_path, name="labels")
    last = frame["time"] > frame["time"].max() - pd.Timedelta(3, "h")
    later = frame[last].assign(load=np.nan, weather="hail")
    later["time"] += pd.Timedelta(3, "h")
    with Server(tmp_path, rest_port=0, grpc_port=0) as server, Client(server.rest_url, "labels") as client:
        assert client.metadata()["static"] == ["height", "kind", "site"]
        for named in (frame, frame.assign(site=frame["site"] + "_new"), frame.assign(kind="moor")):
            whole = pd.concat([named, later.assign(site=named["site"][last], kind=named["kind"][last])])
            expected = fitted.predict(whole)
            found = client.predict(whole)
            pd.testing.assert_frame_equal(found, expected, rtol=1e-5, check_dtype=False)


def test_attention_comes_with_the_forecasts(url, fitted, future):
    with Client(url, "load") as client:
        table, scores = client.attention(future)
    panel = fitted.panel(future)
    expected = fitted.attention(panel, panel.spans.observed_end - 1)
    assert scores.shape == expected.shape
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-6)
    pd.testing.assert_frame_equal(table, fitted.predict(future), rtol=1e-5, check_dtype=False)


def test_metadata_and_status(url):
    with Client(url, "load") as client:
        metadata = client.metadata()
        assert metadata["columns"] == ["load", "solar", "wind"]
        assert metadata["known_future"] == ["price", "hour", "sin_24h", "cos_24h"]
        assert client.status() == [{"version": 1, "state": "AVAILABLE", "error": ""}]


def test_a_table_that_does_not_fit_is_refused_before_it_is_sent(url, future):
    with Client(url, "load") as client:
        with pytest.raises(KeyError, match="Unknown column 'wind'"):
            client.predict(future.drop(columns="wind"))
        with pytest.raises(ValueError, match=r"has 8 rows from .* a window takes 11"):
            client.predict(future[future["time"] >= HOURS[139]])
        with pytest.raises(ValueError, match=r"the model needs the columns \['price'\] for horizon=3 rows"):
            client.predict(make_frame())
        with pytest.raises(ValueError, match="missing values"):
            client.predict(future.assign(wind=np.nan))
        # The same instants are the same rows, whatever the zone they are written in.
        utc = client.predict(future.assign(time=future["time"].dt.tz_convert("UTC")))
        pd.testing.assert_frame_equal(utc, client.predict(future))
        with pytest.raises(ValueError, match="zone"):
            client.predict(future.assign(time=future["time"].dt.tz_localize(None)))
        with pytest.raises(ValueError, match=r"freq|missing"):
            client.predict(future[::2])


def test_a_model_of_others_is_refused(url):
    with (
        Client(url, "words") as client,
        pytest.raises(ServingError, match=r"it has no signature .describe.\. Expected a model that"),
    ):
        client.metadata()


def test_errors_are_the_servers_words(url):
    with Client(url, "lood") as client:
        with pytest.raises(ServingError, match="Could not find any versions of model lood") as raised:
            client.status()
        assert raised.value.code == "NOT_FOUND"
    with (
        Client(url, "load", version=7) as client,
        pytest.raises(ServingError, match="Could not find version 7 of model load"),
    ):
        client.metadata()
    with Client(url, "load", label="stable") as client:
        with pytest.raises(ServingError, match="Unrecognized servable version label: stable") as raised:
            client.status()
        assert raised.value.code == "INVALID_ARGUMENT"


def test_a_label_is_asked_for_its_version(url, folder, running, future):
    config = folder / "models.config"
    kept = config.read_text()
    labelled = 'name: "load"\n    version_labels { key: "stable" value: 1 }'
    config.write_text(kept.replace('name: "load"', labelled))
    running.models.poll()
    try:
        with Client(url, "load", label="stable") as client, Client(url, "load", version=1) as other:
            pd.testing.assert_frame_equal(client.predict(future), other.predict(future))
    finally:
        config.write_text(kept)
        running.models.poll()


@pytest.fixture(scope="module")
def detector():
    days = pd.date_range("2023-01-01", periods=150)
    week = np.array([90, 95, 100, 105, 120, 140, 80])[np.arange(150) % 7]
    frame = pd.DataFrame({"sales": week + np.random.default_rng(0).normal(0, 2, 150)}, index=days)
    return AnomalyDetector("linear", context_length=14).fit(frame, epochs=3, verbose=0)


def test_detects_what_the_detector_detects(url, folder, running, detector):
    if "sales" not in running.models.names:
        export(detector, folder, name="sales")
        running.models.poll()
    days = pd.date_range("2024-01-01", periods=23)
    week = np.array([90, 95, 100, 105, 120, 140, 80])[np.arange(23) % 7]
    new = pd.DataFrame({"sales": week.astype(float)}, index=days)
    # The last day alone, so that no window holds a value that the detector would replace.
    new.iloc[-1] = 3.0
    with Client(url, "sales", batch_size=7) as client:
        found = client.detect(new)
        with pytest.raises(ValueError, match="Unknown signature of the model: 'forecast_with_attention'"):
            client.attention(new)
    expected = detector.detect(new).drop(columns="threshold")
    assert found["flag"].tolist() == [False] * 8 + [True]
    pd.testing.assert_frame_equal(
        found, expected[-9:].reset_index(drop=True), rtol=1e-4, atol=1e-3, check_dtype=False
    )


def test_predicts_what_a_regression_predicts(url, folder, running):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"age": rng.normal(50, 9, 97), "dose": rng.normal(3, 1, 97)})
    fitted = LinearRegression().fit(table, (2 * table["age"] - 7 * table["dose"]).to_numpy())
    if "linear" not in running.models.names:
        export(fitted, folder, name="linear")
        running.models.poll()
    table.index = table.index + 7
    with Client(url, "linear", batch_size=31) as client:
        found = client.predict(table)
        np.testing.assert_allclose(found.to_numpy()[:, 0], fitted.predict(table), rtol=1e-5)
        assert found.index.equals(table.index)
        with pytest.raises(KeyError, match="Unknown column 'dose'"):
            client.predict(table[["age"]])
        with pytest.raises(ValueError, match="must hold numbers"):
            client.predict(table.assign(dose="much"))
        with pytest.raises(ValueError, match="The table is empty"):
            client.predict(table[:0])
        with pytest.raises(ValueError, match=r"Expected a table: a pandas DataFrame, or .* Received: list"):
            client.predict([1, 2])
        with pytest.raises(ValueError, match="A regression has no `origins`"):
            client.predict(table, origins="all")


@pytest.mark.parametrize(
    ("classes", "columns"),
    [(None, ["y0", "y1", "y2"]), (["a", "b", "c"], ["a", "b", "c"]), (["no", "yes"], ["yes"])],
)
def test_the_answer_of_a_regression_names_targets_or_classes(classes, columns):
    metadata = {"columns": ["x"], "targets": ["y0", "y1", "y2"], "classes": classes}
    remote = _RemoteRegression(
        metadata, 2, lambda inputs: {"value": np.repeat(inputs["features"], len(columns), axis=1)}
    )
    found = remote.predict(pd.DataFrame({"x": [1.0, 2.0, 3.0]}), "last")
    assert list(found.columns) == columns
    assert found[columns[-1]].tolist() == [1.0, 2.0, 3.0]


class Scripted(http.server.BaseHTTPRequestHandler):
    """Gives the answers of a list, one after the other, and keeps count."""

    def do_GET(self):
        status, body = self.server.answers[min(self.server.count, len(self.server.answers) - 1)]
        self.server.count += 1
        if status is None:
            time.sleep(1.0)
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def scripted():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Scripted) as server:
        server.count = 0
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


GOOD = (200, json.dumps({"model_version_status": [{"version": "3", "state": "AVAILABLE"}]}).encode())
FULL = (503, b'{"error": "The queue is full"}')


def test_a_busy_server_is_asked_again(scripted):
    scripted.answers = [FULL, FULL, GOOD]
    with Client(f"http://127.0.0.1:{scripted.server_port}", "load", backoff=0.001) as client:
        assert client.status()[0]["version"] == 3
    assert scripted.count == 3


def test_a_server_that_stays_busy_is_given_up(scripted):
    scripted.answers = [FULL]
    with (
        Client(f"http://127.0.0.1:{scripted.server_port}", "load", retries=1, backoff=0.001) as client,
        pytest.raises(ServingError, match="answers 503: The queue is full") as raised,
    ):
        client.status()
    assert raised.value.code == "UNAVAILABLE"
    assert scripted.count == 2


@pytest.mark.parametrize(
    ("answer", "code"), [((400, b'{"error": "No"}'), "INVALID_ARGUMENT"), ((500, b"<html>"), "INTERNAL")]
)
def test_an_error_is_not_asked_for_again(scripted, answer, code):
    scripted.answers = [answer, GOOD]
    with (
        Client(f"http://127.0.0.1:{scripted.server_port}", "load", backoff=0.001) as client,
        pytest.raises(ServingError, match=f"answers {answer[0]}: ") as raised,
    ):
        client.status()
    assert raised.value.code == code
    assert scripted.count == 1


def test_a_slow_server_is_an_error_after_the_timeout_and_not_asked_again(scripted):
    scripted.answers = [(None, b"")]
    with (
        Client(f"http://127.0.0.1:{scripted.server_port}", "load", timeout=0.1) as client,
        pytest.raises(ServingError, match=r"gave no answer within 0.1 s") as raised,
    ):
        client.status()
    assert raised.value.code == "DEADLINE_EXCEEDED"
    assert scripted.count == 1


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_no_server_is_an_error_that_names_the_address(scheme, free_port):
    with (
        Client(f"{scheme}://127.0.0.1:{free_port}", "load", retries=1, backoff=0.001) as client,
        pytest.raises(ServingError, match=f"127.0.0.1:{free_port}") as raised,
    ):
        client.status()
    assert raised.value.code == "UNAVAILABLE"


def test_a_version_that_is_unloaded_in_between_is_no_error(running, future):
    with Client(running.rest_url, "load") as client:
        wanted, numbers = client.predict(future), iter([9, 1])
        # Version 9 was there a moment ago; what it says of itself is known from before.
        client._described[9] = client._described[1]
        client._current = lambda: next(numbers)
        pd.testing.assert_frame_equal(client.predict(future), wanted)
        assert list(numbers) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url": "localhost:8501"}, "`url` must be http://HOST:PORT"),
        ({"url": "ftp://localhost"}, "`url` must be http://HOST:PORT"),
        ({"url": None}, "`url` must be http://HOST:PORT"),
        ({"model": ""}, "`model` must be the name of a model"),
        ({"version": 1, "label": "stable"}, "Give `version` or `label`, not both"),
        ({"version": "1"}, "`version` must be an int >= 0"),
        ({"retries": -1}, "`retries` must be an int >= 0"),
        ({"batch_size": 0}, "`batch_size` must be an int >= 1"),
        ({"timeout": 0}, "`timeout` must be > 0"),
        ({"backoff": -1}, "`backoff` >= 0"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Client(**{"url": "http://localhost:8501", "model": "load", **arguments})


def test_rest_needs_no_tensorflow(running, future, tmp_path):
    future.to_parquet(tmp_path / "future.parquet")
    code = f"""
import sys
import pandas as pd
from tfts.serving import Client
with Client({running.rest_url!r}, "load") as client:
    print(len(client.predict(pd.read_parquet({str(tmp_path / "future.parquet")!r}))))
print({{"tensorflow", "keras", "grpc"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["9", "set()"], done.stderr
