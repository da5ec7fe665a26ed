"""The messages of TensorFlow Serving, which come in a package of their own."""

import importlib

from tfts.errors import MissingPackageError


def protos(module):
    """A module of messages of the package tensorflow-serving-api, e.g. `"apis.predict_pb2"`.

    Raises:
        ValueError: If the package is not installed.
    """
    try:
        return importlib.import_module(f"tensorflow_serving.{module}")
    except ImportError as error:
        raise MissingPackageError(
            "The requests and settings of TensorFlow Serving take the package tensorflow-serving-api. Install it with: "
            "pip install 'tfts[serving]'"
        ) from error
