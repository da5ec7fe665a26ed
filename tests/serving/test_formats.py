import importlib.util

import numpy as np
import pytest

from tests.serving.fitted import hourly, untrained
from tfts.serving import export, formats
from tfts.serving.capi import difference
from tfts.serving.metadata import content_hash, read_metadata


@pytest.mark.slow
def test_onnx_of_a_network_with_attention(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    fitted = untrained("attention_seq2seq", missing="interpolate", limit=2)
    folder = export(fitted, tmp_path, format="onnx")
    said = read_metadata(folder)
    assert said["content_hash"] == content_hash(folder)
    assert sorted(path.name for path in folder.glob("*.onnx")) == [
        f"{name}.onnx" for name in sorted(said["signatures"])
    ]
    session = onnxruntime.InferenceSession(folder / "forecast_with_attention.onnx")
    past = np.tile(fitted.scaler_.offset.astype(np.float32), (2, 11, 1))
    past[0, 4, 1] = np.nan
    past[1, -1, 1] = np.nan
    forecast, attention = session.run(["forecast", "attention"], {"past": past})
    assert np.isnan(forecast[:, 0, 0]).tolist() == [False, True]
    assert attention.shape == (2, 2, 3, 11)
    assert not (tmp_path / "models.config").exists()


@pytest.mark.slow
def test_onnx_gives_the_numbers_and_the_missing_values_of_the_graph(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    fitted = untrained("linear", missing="interpolate", limit=2, known_future=["promo"])
    session = onnxruntime.InferenceSession(export(fitted, tmp_path, format="onnx") / "serving_default.onnx")
    panel = fitted.panel(hourly())
    origins = fitted.spec.forecast_origins(panel)[-2:]
    inputs = {
        "past": fitted.spec.past(panel, origins).astype(np.float32),
        "known_future": fitted.spec.known(panel, origins).astype(np.float32),
    }
    expected = fitted.forecast_windows(panel, origins)
    assert difference(session.run(["forecast"], inputs)[0], expected) < 1e-5
    # A gap that is filled, and one that is not.
    inputs["past"][0, 4:6, 0], inputs["past"][1, -1, 0] = np.nan, np.nan
    assert np.isnan(session.run(["forecast"], inputs)[0][:, 0, 0]).tolist() == [False, True]


def test_litert_takes_what_its_operations_can_do(tmp_path):
    folder = export(untrained("linear"), tmp_path, format="litert")
    assert (folder / "serving_default.tflite").stat().st_size < 100_000
    assert read_metadata(folder)["signatures"]["serving_default"]["inputs"]["past"]["shape"] == [1, 11, 5]


def test_litert_says_what_it_lacks(tmp_path, monkeypatch):
    import tensorflow as tf

    class Refusing:
        target_spec = tf.lite.TargetSpec()

        @classmethod
        def from_saved_model(cls, folder):
            return cls()

        def convert(self):
            raise RuntimeError("error: 'tf.Odd' op is not there")

    monkeypatch.setattr(tf.lite, "TFLiteConverter", Refusing)
    with pytest.raises(
        ValueError, match=r"does not go into LiteRT's built-in operations.*'tf\.Odd' op is not there"
    ):
        export(untrained("linear"), tmp_path, format="litert")
    assert not list(tmp_path.iterdir())


def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tf2onnx" else found(name))
    with pytest.raises(
        ValueError, match=r"takes the package tf2onnx\. Install it with: pip install 'tfts\[onnx\]'"
    ):
        formats.write_onnx(tmp_path, None, {})


def test_a_converted_model_that_gives_something_else_is_refused():
    expected = {"forecast": type("Tensor", (), {"numpy": lambda self: np.ones(3)})()}
    with pytest.raises(
        ValueError, match=r"LiteRT does not give what TensorFlow gives for the signature 'a'.*0\.01"
    ):
        formats._check("LiteRT", "a", {"forecast": np.full(3, 1.01)}, expected)
