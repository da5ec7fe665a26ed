"""Exported forecasters of tables whose holes stay holes."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.serving.fitted import CONTEXT, HORIZON, hourly, untrained
from tfts.forecaster import Forecaster
from tfts.models import MODELS
from tfts.serving import Client, Server, export, verify
from tfts.serving.capi import difference
from tfts.serving.metadata import read_metadata
from tfts.serving.signatures import ForecastSignatures


def _table(rows=97, share=0.3):
    frame = hourly(rows)
    frame = frame.mask(np.random.default_rng(5).random(frame.shape) < share)
    # The newest rows are not there.
    frame.iloc[-2:] = np.nan
    return frame


def _past(frame, fitted):
    """All windows of the raw table."""
    views = np.lib.stride_tricks.sliding_window_view(frame.to_numpy(np.float32), CONTEXT, axis=0)
    return views.transpose(0, 2, 1)[..., [list(frame.columns).index(c) for c in fitted.scaler_.columns]]


@pytest.mark.parametrize(("model", "scaler"), [*((model, "standard") for model in MODELS), ("linear", "log")])
def test_the_graph_fills_and_masks_as_the_forecaster_does(model, scaler):
    frame = _table()
    fitted = untrained(model, frame, missing="mask", scaler=scaler)
    answer = ForecastSignatures(fitted).functions()["serving_default"](past=tf.constant(_past(frame, fitted)))
    panel = fitted.panel(frame)
    rows = np.arange(CONTEXT - 1, len(frame))
    assert np.isin(rows, fitted.spec.forecast_origins(panel)).all()
    assert difference(answer["forecast"].numpy(), fitted.forecast_windows(panel, rows)) < 1e-5


def test_a_window_without_a_value_of_a_target_gives_nan_and_the_others_a_forecast():
    frame = _table()
    fitted = untrained("linear", frame, missing="mask")
    past = _past(frame, fitted)[:5].copy()
    past[0, :, 0] = np.nan
    # A column beside the target may be missing wholly; what is infinite is no hole.
    past[1, :, 1] = np.nan
    past[2, 3, 1] = np.inf
    answer = ForecastSignatures(fitted).functions()["serving_default"](past=tf.constant(past))
    assert np.isnan(answer["forecast"][:, 0, 0]).tolist() == [True, False, True, False, False]


def test_logarithms_of_what_is_not_positive_give_nan():
    frame = _table()
    fitted = untrained("linear", frame, missing="mask", scaler="log")
    past = _past(frame, fitted)[:2].copy()
    past[0, 3, 0] = 0
    answer = ForecastSignatures(fitted).functions()["serving_default"](past=tf.constant(past))
    assert np.isnan(answer["forecast"][:, 0, 0]).tolist() == [True, False]


@pytest.mark.parametrize("output", ["point", "normal"])
def test_calibrated_quantiles_of_windows_with_holes(output):
    frame = _table(rows=240)
    options = {"output": output, "quantiles": [0.1, 0.9], "calibration": "conformal"}
    fitted = Forecaster(
        "linear", context_length=CONTEXT, horizon=HORIZON, targets=["load"], missing="mask", **options
    ).fit(frame, epochs=1, verbose=0)
    function = ForecastSignatures(fitted).functions()["serving_default"]
    panel, rows = fitted.panel(frame), np.arange(CONTEXT - 1, len(frame))
    given = {"past": tf.constant(_past(frame, fitted))}
    if "phase" in function.structured_input_signature[1]:
        given["phase"] = tf.constant(frame.index[rows].hour.to_numpy(np.int32))
    assert difference(function(**given)["quantiles"].numpy(), fitted.quantile_windows(panel, rows)) < 1e-5


def test_a_served_model_takes_holes_and_is_verified(tmp_path):
    frame = _table()
    fitted = untrained("lstm_attention", frame, missing="mask", known_future=["promo"], calendar=["hour"])
    folder = export(fitted, tmp_path, name="holes")
    assert read_metadata(folder)["missing"] == "mask"
    assert "Missing values of `past` are NaN" in (folder / "MODEL_CARD.md").read_text()
    known = pd.DataFrame({"promo": 1.0}, index=frame.index[-HORIZON:] + pd.Timedelta(HORIZON, "h"))
    frame = pd.concat([frame, known])
    with Server(tmp_path, rest_port=0, grpc_port=0) as server:
        for url in (server.rest_url, server.grpc_url):
            with Client(url, "holes") as client:
                for origins in ("last", "all"):
                    found, expected = client.predict(frame, origins), fitted.predict(frame, origins)
                    pd.testing.assert_frame_equal(found, expected, rtol=1e-5, check_dtype=False)
    assert verify(folder).passed


@pytest.mark.slow
def test_onnx_takes_holes(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    frame = _table()
    fitted = untrained("linear", frame, missing="mask", scaler="log")
    session = onnxruntime.InferenceSession(export(fitted, tmp_path, format="onnx") / "serving_default.onnx")
    panel, rows = fitted.panel(frame), np.arange(CONTEXT - 1, len(frame))
    found = session.run(["forecast"], {"past": _past(frame, fitted)})[0]
    assert difference(found, fitted.forecast_windows(panel, rows)) < 1e-5
