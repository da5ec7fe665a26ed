"""Small SavedModels, and a server that runs them."""

import shutil
import socket
import subprocess
import time
from types import SimpleNamespace

import pytest
import requests

CONFIG = """
model_config_list {
  config {
    name: "load"
    base_path: "/models/load"
    model_platform: "tensorflow"
    model_version_policy { all {} }
    version_labels { key: "stable" value: 1 }
  }
  config { name: "words" base_path: "/models/words" model_platform: "tensorflow" }
}
"""


def write_model(folder, factor, *, rows=5, columns=3):
    """A SavedModel with `forecast = factor * (sums of the columns)` twice and other signatures."""
    import tensorflow as tf

    module = tf.Module()
    module.factor = tf.Variable(float(factor))
    past = tf.TensorSpec((None, rows, columns), tf.float32, name="past")
    known = tf.TensorSpec((None, rows + 2, 1), tf.float32, name="known_future")

    @tf.function(input_signature=[past])
    def forecast(past):
        # A session does not look at the shape of what it is fed.
        past = tf.ensure_shape(past, (None, rows, columns))
        total = module.factor * tf.reduce_sum(past, axis=(1, 2))
        return {"forecast": tf.tile(total[:, None, None], (1, 2, 1))}

    @tf.function(input_signature=[past])
    def with_attention(past):
        attention = tf.nn.softmax(past[:, None, None, :, 0])
        return {"attention": attention, **forecast(past)}

    @tf.function(input_signature=[past, known])
    def with_known(past, known_future):
        return {"forecast": forecast(past)["forecast"] + known_future[:, -2:]}

    signatures = {
        "serving_default": forecast,
        "forecast_with_attention": with_attention,
        "with_known": with_known,
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)


def write_words(folder):
    """A SavedModel that gives texts, and their bytes, back; `total` takes one input of any size."""
    import tensorflow as tf

    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="text")])
    def copy(text):
        return {"copy": text, "copy_bytes": text}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.int32, name="number")])
    def total(number):
        tf.debugging.assert_less(number, 100, message="Numbers stay below 100")
        return {"total": tf.reduce_sum(number)}

    tf.saved_model.save(module, str(folder), signatures={"serving_default": copy, "total": total})


@pytest.fixture(scope="session")
def written_models(tmp_path_factory):
    """Versions 1 and 2 of the model `load`, twice and thrice, and the model `words`."""
    folder = tmp_path_factory.mktemp("written")
    write_model(folder / "load" / "1", 2)
    write_model(folder / "load" / "2", 3)
    write_words(folder / "words" / "1")
    return folder


@pytest.fixture(scope="session")
def model_folder(written_models, tmp_path_factory):
    """Both models with a configuration that serves all versions and calls the first one stable."""
    folder = tmp_path_factory.mktemp("served") / "models"
    shutil.copytree(written_models, folder)
    (folder / "models.config").write_text(CONFIG)
    return folder


@pytest.fixture(scope="session", params=["tfts", pytest.param("docker", marks=pytest.mark.docker)])
def server(request, model_folder):
    """A server of `model_folder`: ours, and where Docker is there TensorFlow Serving itself."""
    if request.param == "docker":
        yield from tensorflow_serving(model_folder)
        return
    from tfts.serving.server import Server

    with Server(model_folder, rest_port=0, grpc_port=0, poll=0.05) as server:
        yield server


def tensorflow_serving(folder):
    """Runs the image tensorflow/serving while the generator is open."""
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True).returncode:
        pytest.skip("Docker is not there")
    command = [
        "docker",
        "run",
        "--detach",
        "--rm",
        "--publish",
        "127.0.0.1::8501",
        "--publish",
        "127.0.0.1::8500",
    ]
    command += [
        "--volume",
        f"{folder}:/models:ro",
        "tensorflow/serving",
        "--model_config_file=/models/models.config",
    ]
    started = subprocess.run(command, capture_output=True, text=True)
    assert started.returncode == 0, started.stderr
    name = started.stdout.strip()
    try:
        ports = [
            subprocess.run(
                ["docker", "port", name, port], capture_output=True, text=True, check=True
            ).stdout.strip()
            for port in ("8501", "8500")
        ]
        rest_url, grpc_url = f"http://{ports[0].splitlines()[0]}", f"grpc://{ports[1].splitlines()[0]}"
        for _ in range(300):
            try:
                if requests.get(f"{rest_url}/v1/models/words", timeout=1).ok:
                    break
            except requests.ConnectionError:
                pass
            time.sleep(0.1)
        yield SimpleNamespace(rest_url=rest_url, grpc_url=grpc_url)
    finally:
        subprocess.run(["docker", "stop", name], capture_output=True)


@pytest.fixture
def free_port():
    """A port of this machine where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]
