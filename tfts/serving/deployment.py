"""The files beside served models with which one command starts TensorFlow Serving."""

from pathlib import Path

from tfts._files import replacing
from tfts.errors import ModelError
from tfts.serving._protos import protos
from tfts.serving.samples import BATCH_SIZES

_BATCHING = f"""\
# Requests that come within a millisecond run as one batch, padded to the next of these sizes.
max_batch_size {{ value: {BATCH_SIZES[-1]} }}
batch_timeout_micros {{ value: 1000 }}
max_enqueued_batches {{ value: 1000 }}
{"".join(f"allowed_batch_sizes: {size}" + chr(10) for size in BATCH_SIZES)}"""

_MONITORING = """\
prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
"""

_COMPOSE = """\
# docker compose up, then: REST on port 8501, gRPC on port 8500.
services:
  serving:
    image: ${TF_SERVING_IMAGE:-tensorflow/serving:latest}
    ports: ["8500:8500", "8501:8501"]
    volumes: [".:/models:ro"]
    command:
      - --model_config_file=/models/models.config
      - --model_config_file_poll_wait_seconds=60
      # Labels may be given to versions that are still being loaded.
      - --allow_version_labels_for_unavailable_models=true
      - --enable_batching=true
      - --batching_parameters_file=/models/batching_params.pbtxt
      - --monitoring_config_file=/models/monitoring.config
    restart: unless-stopped
    healthcheck:
      # The image has no curl: bash asks for the state of a model by itself.
      test:
        - CMD
        - bash
        - -c
        - >-
          exec 3<>/dev/tcp/127.0.0.1/8501 &&
          printf 'GET /v1/models/NAME HTTP/1.0\\r\\n\\r\\n' >&3 &&
          grep -q AVAILABLE <&3
      interval: 10s
      timeout: 5s
      start_period: 60s
      retries: 3
"""


def write_deployment(path, name):
    """Writes what a server of all models of a folder is started with.

    `models.config` gets the model if it does not list it yet, and keeps what else it says,
    such as labels. `batching_params.pbtxt`, `monitoring.config` and `docker-compose.yml` are
    written once, so that they may be changed.

    Args:
        path: Folder of all served models.
        name: Name of a model in it.

    Raises:
        ValueError: If models.config can't be read.

    Example:

    >>> Path("served").mkdir()
    >>> write_deployment("served", "load")
    >>> sorted(path.name for path in Path("served").iterdir())
    ['batching_params.pbtxt', 'docker-compose.yml', 'models.config', 'monitoring.config']
    >>> print(Path("served", "models.config").read_text())
    model_config_list {
      config {
        name: "load"
        base_path: "/models/load"
        model_platform: "tensorflow"
      }
    }
    """
    from google.protobuf import text_format

    path = Path(path)
    config, models = protos("config.model_server_config_pb2").ModelServerConfig(), path / "models.config"
    if models.is_file():
        try:
            text_format.Parse(models.read_text(), config)
        except text_format.ParseError as error:
            raise ModelError(
                f"{models} is no configuration of TensorFlow Serving ({error}). Mend or remove it."
            ) from error
    if name not in [known.name for known in config.model_config_list.config]:
        config.model_config_list.config.add(
            name=name, base_path=f"/models/{name}", model_platform="tensorflow"
        )
        _write(models, text_format.MessageToString(config))
    for file, text in (
        ("batching_params.pbtxt", _BATCHING),
        ("monitoring.config", _MONITORING),
        ("docker-compose.yml", _COMPOSE.replace("NAME", name)),
    ):
        if not (path / file).is_file():
            _write(path / file, text)


def _write(path, text):
    with replacing(path) as partial:
        partial.write_text(text)
