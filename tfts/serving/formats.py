"""Exports for other runtimes than TensorFlow's: ONNX and LiteRT, a file for each signature."""

import importlib.util
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

from tfts.errors import MissingPackageError, ModelError
from tfts.serving.capi import TOLERANCE, difference


def write_onnx(folder, signatures, samples):
    """Converts every signature by tf2onnx and compares it in ONNX Runtime with TensorFlow.

    Args:
        folder: Folder for `<signature>.onnx`.
        signatures: The `tf.Module` of a servable.
        samples: Dict from signature to `(inputs, outputs)`.

    Returns:
        Dict from signature to its concrete function.

    Raises:
        ValueError: If a package is missing, or the converted model gives something else.

    Example:

    >>> write_onnx("1", None, {})
    {}
    """
    import tensorflow as tf

    for package in ("tf2onnx", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise MissingPackageError(
                f"An export to ONNX takes the package {package}. Install it with: pip install 'tfts[onnx]'"
            )
    if not samples:
        return {}
    import onnxruntime

    functions = signatures.functions()
    with tempfile.TemporaryDirectory() as scratch:
        tf.saved_model.save(signatures, scratch, signatures=functions)
        for name in functions:
            path = Path(folder, f"{name}.onnx")
            # In a process of its own, because the converter changes TensorFlow for all that follows.
            command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", scratch, "--opset", "18"]
            command += ["--signature_def", name, "--output", str(path)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode or not path.is_file():
                raise ModelError(
                    f"The signature {name!r} can't be written as ONNX. tf2onnx says: "
                    f"{(done.stderr.strip() or 'nothing').splitlines()[-1]}"
                )
            _without_erfc(path)
    for name, function in functions.items():
        try:
            session = onnxruntime.InferenceSession(Path(folder, f"{name}.onnx"))
        except Exception as error:
            # The runtime has types of its own for it.
            raise ModelError(f"ONNX Runtime can't load the signature {name!r}. It says: {error}") from error
        names = [output.name for output in session.get_outputs()]
        inputs = samples[name][0]
        for given in (inputs, _spoiled(inputs)):
            expected = function(**{key: tf.constant(value) for key, value in given.items()})
            wanted = [tensor.name for tensor in session.get_inputs()]
            found = session.run(names, {key: given[key] for key in wanted})
            _check("ONNX Runtime", name, dict(zip(names, found, strict=True)), expected)
    return functions


def write_litert(folder, signatures, samples):
    """Converts the forecast of one window to LiteRT's built-in operations, for small devices.

    Args:
        folder: Folder for `serving_default.tflite`.
        signatures: The `ForecastSignatures` of a forecaster.
        samples: Dict from signature to `(inputs, outputs)`.

    Returns:
        Dict from the one signature to its concrete function.

    Raises:
        ValueError: If LiteRT lacks an operation of the model, or gives something else.

    Example:

    >>> write_litert("1", None, {})
    Traceback (most recent call last):
    tfts.errors.ModelError: LiteRT is for the forecasts of a Forecaster. Received: NoneType.
    """
    import tensorflow as tf

    from tfts.serving.signatures import ForecastSignatures

    if type(signatures) is not ForecastSignatures:
        raise ModelError(
            f"LiteRT is for the forecasts of a Forecaster. Received: {type(signatures).__name__}."
        )
    single = ForecastSignatures(signatures.forecaster, "float32", quantiles=bool(signatures.levels))
    functions = {"serving_default": single.one_window()}
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        # TensorFlow says that the same converter will move to a package of its own.
        warnings.simplefilter("ignore")
        tf.saved_model.save(single, scratch, signatures=functions)
        converter = tf.lite.TFLiteConverter.from_saved_model(scratch)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            content = converter.convert()
        except Exception as error:
            # The converter raises types of its own, which it does not export.
            why = re.findall(r"'tfl?\.\w+' op .*", str(error)) or [type(error).__name__]
            raise ModelError(
                f"The model {signatures.forecaster.name!r} does not go into LiteRT's built-in operations. Choose "
                f"another model, such as 'linear', or format='onnx'. The converter says: {why[-1]}"
            ) from error
        Path(folder, "serving_default.tflite").write_bytes(content)
        runner = tf.lite.Interpreter(model_content=content).get_signature_runner("serving_default")
        inputs = samples["serving_default"][0]
        for given in (inputs, _spoiled(inputs)):
            for row in range(len(given["past"])):
                window = {key: value[row : row + 1] for key, value in given.items()}
                expected = functions["serving_default"](
                    **{key: tf.constant(value) for key, value in window.items()}
                )
                _check("LiteRT", "serving_default", runner(**window), expected)
    return functions


def _without_erfc(path):
    """Writes 1 - erf(x), which ONNX has, in the place of erfc(x), which tf2onnx leaves as it is."""
    import onnx

    model = onnx.load(path)
    nodes = []
    for node in model.graph.node:
        if node.op_type == "Erfc":
            one, part = f"{node.name}_one", f"{node.name}_erf"
            value = onnx.helper.make_tensor("one", onnx.TensorProto.FLOAT, [], [1.0])
            nodes.append(onnx.helper.make_node("Constant", [], [one], value=value))
            nodes.append(onnx.helper.make_node("Erf", node.input, [part]))
            nodes.append(onnx.helper.make_node("Sub", [one, part], node.output))
        else:
            nodes.append(node)
    if len(nodes) > len(model.graph.node):
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        onnx.save(model, path)


WRITERS = {"litert": write_litert, "onnx": write_onnx}


def _spoiled(inputs):
    """The sample with a gap in one window, and values that are not finite in others."""
    made = {key: value.copy() for key, value in inputs.items()}
    windows = next(iter(made.values())) if "past" not in made else made["past"]
    flat = windows.reshape(len(windows), -1)
    flat[1, flat.shape[1] // 2], flat[2, -1], flat[3, 0] = np.nan, np.nan, np.inf
    return made


def _check(runtime, name, found, expected):
    error = max(difference(np.asarray(found[key]), value.numpy()) for key, value in expected.items())
    if not error <= TOLERANCE:
        raise ModelError(
            f"{runtime} does not give what TensorFlow gives for the signature {name!r}: relative difference "
            f"{error:.3g}, expected at most {TOLERANCE:g}."
        )
