import json
import re
import subprocess
import sys
from multiprocessing.pool import ThreadPool
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import tfts
from tests.serving.fitted import CONTEXT, HORIZON, hourly, untrained
from tfts import Forecaster
from tfts.models import MODELS
from tfts.serving import export
from tfts.serving.capi import LoadedModel, difference
from tfts.serving.metadata import content_hash, read_metadata
from tfts.serving.signatures import ForecastSignatures
from tfts.serving.verification import verify_all

TARGETS = {1: ["load"], 3: ["load", "price", "wind"]}
KNOWN = {"alone": {}, "known": {"known_future": ["promo"], "calendar": ["hour"]}}
# Every model, and every way of it in the whole suite.
FEW = [(name, 3, "known") for name in MODELS] + [("lstm_attention", 1, "alone")]
REST = [(n, t, k) for n in MODELS for t in TARGETS for k in KNOWN if (n, t, k) not in FEW]


def check_exports(cases, folder):
    """Exports each case, and compares the C API with `Forecaster.predict` at batch 1, 7 and 64."""
    paths = []
    for name, targets, known in cases:
        forecaster = untrained(name, targets=TARGETS[targets], **KNOWN[known])
        forecaster.save(folder / "saved")
        # A folder is all there is: the table is not in it.
        paths.append(export(folder / "saved", folder, name=f"{name}-{targets}-{known}"))
    for path, found in zip(paths, verify_all(paths), strict=True):
        assert found.passed, (path, found)
        batches = [row["batch"] for row in found.replays if row["signature"] == "serving_default"]
        assert batches == [1, 7, 64]
        assert (
            "forecast_with_attention" in {r["signature"] for r in found.replays}
            or "attention" not in path.parts[-2]
        )


def test_every_model_gives_the_forecasters_numbers_through_the_c_api(tmp_path):
    check_exports(FEW, tmp_path)


@pytest.mark.slow
def test_every_number_of_targets_with_and_without_known_columns(tmp_path):
    check_exports(REST, tmp_path)


@pytest.fixture(scope="module")
def linear():
    """Two targets, a column known ahead, the hour of the day, and gaps of up to two rows filled."""
    return untrained(
        "linear",
        targets=["load", "price"],
        known_future=["promo"],
        calendar=["hour"],
        missing="interpolate",
        limit=2,
    )


@pytest.fixture(scope="module")
def served(linear, tmp_path_factory):
    """The folder of all models, with one version of one."""
    path = tmp_path_factory.mktemp("served")
    export(linear, path, units={"load": "MW", "promo": "0 or 1"})
    return path


@pytest.fixture(scope="module")
def loaded(served):
    """That version in the C API."""
    return LoadedModel(served / "linear" / "1")


def windows(forecaster, rows=7):
    """Windows of the table as a request holds them, and the forecasts of them by `predict`."""
    panel = forecaster.panel(hourly())
    origins = forecaster.spec.forecast_origins(panel)[-rows:]
    inputs = {"past": forecaster.spec.past(panel, origins).copy()}
    if panel.known_future:
        inputs["known_future"] = forecaster.spec.known(panel, origins).copy()
    return inputs, forecaster.forecast_windows(panel, origins)


def test_a_table_through_the_graph_and_through_predict(linear, loaded):
    inputs, expected = windows(linear)
    # What the notebook prints, row by row.
    table = linear.predict(hourly(), origins="all")
    np.testing.assert_allclose(
        expected.reshape(-1, 2), table[["load", "price"]].to_numpy()[-7 * HORIZON :], rtol=1e-6
    )
    assert difference(loaded.run("serving_default", inputs)["forecast"], expected) < 1e-6


def forecasts(loaded, inputs):
    return loaded.run("serving_default", inputs)["forecast"][:, 0, 0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("name", "place"), [("past", (3, 0, 1)), ("past", (3, -1, 2)), ("known_future", (3, -1, 0))]
)
def test_a_value_that_is_not_finite_spoils_its_own_window_alone(linear, loaded, value, name, place):
    inputs, expected = windows(linear)
    inputs[name][place] = value
    found = forecasts(loaded, inputs)
    assert np.isnan(found).tolist() == [False, False, False, True, False, False, False]
    np.testing.assert_allclose(np.delete(found, 3), np.delete(expected[:, 0, 0], 3), rtol=1e-6)


def test_gaps_are_filled_as_the_panel_fills_them(linear, loaded):
    frame = hourly()
    # Two rows of one column, one of another, and one of a column known ahead.
    frame.iloc[90:92, 0] = np.nan
    frame.iloc[88, 1] = np.nan
    frame.iloc[89, 4] = np.nan
    panel = linear.panel(frame)
    origin = linear.spec.forecast_origins(panel)[-1:]
    expected = linear.forecast_windows(panel, origin)
    gappy = np.where(panel.filled, np.nan, panel.values)
    raw = type(panel)(**{**vars(panel), "values": gappy.astype(np.float32)})
    inputs = {"past": linear.spec.past(raw, origin), "known_future": linear.spec.known(raw, origin)}
    assert np.isnan(inputs["past"]).sum() == 3
    assert np.isnan(inputs["known_future"]).sum() == 1
    assert difference(loaded.run("serving_default", inputs)["forecast"], expected) < 1e-6


def test_a_gap_that_is_too_long_or_at_the_first_row_is_not_filled(linear, loaded):
    inputs, _ = windows(linear, 3)
    inputs["past"][0, 4:7, 0] = np.nan
    inputs["past"][1, 0, 0] = np.nan
    inputs["past"][2, 4:6, 0] = np.nan
    assert np.isnan(forecasts(loaded, inputs)).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("name", "shape"),
    [("past", (2, 12, 4)), ("past", (2, 11, 5)), ("past", (2, 11)), ("known_future", (2, 14, 1))],
)
def test_a_request_of_another_shape_is_refused(linear, loaded, name, shape):
    inputs, _ = windows(linear, 2)
    inputs[name] = np.zeros(shape, np.float32)
    with pytest.raises(ValueError, match=r"TensorFlow says: .*not compatible"):
        loaded.run("serving_default", inputs)
    # The next one is answered.
    assert np.isfinite(forecasts(loaded, windows(linear, 1)[0])).all()


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """A forecaster on logarithms, with a scale for each series, and the folder of its export."""
    table = hourly(columns=("load", "promo"))
    table["load"] = np.exp(table["load"] - 1000)
    frame = pd.concat([table.assign(shop=shop) for shop in ("a", "b")])
    frame.loc[frame["shop"] == "b", "load"] *= 1000.0
    forecaster = untrained(
        "nlinear", frame, series="shop", per_series=True, scaler="log", known_future=["promo"], missing="drop"
    )
    return forecaster, frame, export(forecaster, tmp_path_factory.mktemp("logged"))


def test_logarithms_are_taken_in_the_graph(logged):
    forecaster, frame, path = logged
    (found,) = verify_all([path])
    assert found.passed, found
    whole = frame[frame["shop"] == "b"].iloc[:-HORIZON]
    ahead = frame[frame["shop"] == "b"].copy()
    ahead.loc[ahead.index[-HORIZON:], "load"] = np.nan
    expected = forecaster.predict(ahead)["load"].to_numpy()
    given = {
        "past": whole[["load"]].to_numpy(np.float32)[-CONTEXT:],
        "known_future": ahead[["promo"]].to_numpy(np.float32)[-CONTEXT - HORIZON :],
    }
    batch = {name: np.stack([values] * 3) for name, values in given.items()}
    # A value without a logarithm spoils its own window alone; a new series takes the scale of all.
    batch["past"][1, 4] = 0.0
    batch["series"] = np.array([1, 1, -1], np.int32)
    answer = LoadedModel(path).run("serving_default", batch)["forecast"]
    np.testing.assert_allclose(answer[0, :, 0], expected, rtol=1e-5)
    assert np.isnan(answer[1]).all()
    assert np.isfinite(answer[2]).all()
    assert read_metadata(path)["scaler"]["logged"] == ["load"]
    card = next(path.glob("*.md")).read_text()
    assert "The graph takes logarithms, so `load` must be above 0" in card


def test_each_series_has_its_own_scale_and_a_new_one_that_of_all(tmp_path):
    parts = [hourly().mul(factor).assign(shop=name) for name, factor in (("b", 1), ("a", 10))]
    frame = pd.concat(parts).reset_index()
    options = {"time": "time", "series": "shop", "per_series": True, "model_options": {"window_norm": "none"}}
    fitted = untrained("linear", frame, **options)
    model = LoadedModel(export(fitted, tmp_path))
    past = hourly().to_numpy(np.float32)[None, :CONTEXT].repeat(4, axis=0)
    found = model.run("serving_default", {"past": past, "series": [0, 1, 2, -1]})["forecast"][:, 0, 0]
    weights = fitted.model.predict
    for name, value in zip(("a", "b", "other", "other"), found, strict=True):
        offset, scale = fitted.scaler_.affine(name, fitted.scaler_.columns)
        scaled = weights(((past[:1] - offset) / scale).astype(np.float32), verbose=0)[0, 0, 0]
        assert value == pytest.approx(scaled * scale[0] + offset[0], rel=1e-5)
    assert read_metadata(tmp_path / "linear" / "1")["series_names"] == ["a", "b"]


def test_metadata_says_what_a_client_must_know(served):
    said = read_metadata(served / "linear" / "1")
    expected = {
        "format": 1,
        "name": "linear",
        "version": 1,
        "kind": "forecaster",
        "model": "linear",
        "context_length": CONTEXT,
        "horizon": HORIZON,
        "freq": "h",
        "timezone": None,
        "columns": ["load", "price", "wind", "heat"],
        "targets": ["load", "price"],
        "known_future": ["promo", "hour"],
        "calendar": ["hour"],
        "series": None,
        "series_names": None,
        "missing": "interpolate",
        "limit": 2,
        "units": {"load": "MW", "promo": "0 or 1"},
        "metrics": [],
    }
    assert {key: said[key] for key in expected} == expected
    # 97 rows, of which the last 15 % are for validation.
    assert said["training"] == {"start": "2024-01-01 00:00:00", "end": "2024-01-04 09:00:00", "rows": 82}
    assert said["signatures"] == {
        "serving_default": {
            "inputs": {
                "known_future": {"dtype": "float32", "shape": [None, 14, 2]},
                "past": {"dtype": "float32", "shape": [None, 11, 4]},
            },
            "outputs": {"forecast": {"dtype": "float32", "shape": [None, 3, 2]}},
        }
    }
    assert said["versions"]["tfts"] == tfts.__version__
    assert said["scaler"]["columns"] == ["load", "price", "wind", "heat", "promo", "hour"]
    assert Forecaster(**said["settings"]).name == "linear"


def test_describe_gives_the_metadata_to_each_row(served, loaded):
    said = read_metadata(served / "linear" / "1")
    del said["content_hash"]
    texts = loaded.run("describe", {"rows": [5, 6, 7]})["metadata"]
    assert [json.loads(text) for text in texts] == [said] * 3


def test_the_time_zone_of_the_training_rows_is_told(tmp_path):
    fitted = untrained("linear", hourly(tz="Europe/Berlin"))
    fitted.save(tmp_path / "saved")
    assert Forecaster.load(tmp_path / "saved").training_ == fitted.training_
    assert fitted.training_["timezone"] == "Europe/Berlin"
    said = read_metadata(export(tmp_path / "saved", tmp_path / "served"))
    assert said["timezone"] == "Europe/Berlin"


def test_samples_for_rest_and_grpc_say_the_same(served):
    from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse

    folder = served / "linear" / "1" / "sample_requests"
    asked = json.loads((folder / "serving_default_request.json").read_text())
    answered = json.loads((folder / "serving_default_answer.json").read_text())
    request = PredictRequest.FromString((folder / "serving_default_request.pb").read_bytes())
    response = PredictResponse.FromString((folder / "serving_default_answer.pb").read_bytes())
    assert (request.model_spec.name, request.model_spec.signature_name) == ("linear", "serving_default")
    for name, values in asked["inputs"].items():
        np.testing.assert_array_equal(tf.make_ndarray(request.inputs[name]), np.float32(values))
    forecast = tf.make_ndarray(response.outputs["forecast"])
    assert forecast.shape == (7, 3, 2)
    np.testing.assert_array_equal(forecast, np.float32(answered["outputs"]))


def test_warm_up_has_a_request_for_each_signature_and_batch_size(served):
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    path = served / "linear" / "1" / "assets.extra" / "tf_serving_warmup_requests"
    requests = [
        PredictionLog.FromString(record.numpy()).predict_log.request
        for record in tf.data.TFRecordDataset(str(path))
    ]
    shapes = [
        (r.model_spec.signature_name, tf.make_ndarray(next(iter(r.inputs.values()))).shape[0])
        for r in requests
    ]
    assert shapes == [(name, batch) for name in ("serving_default", "describe") for batch in (1, 8, 64)]
    past = tf.make_ndarray(requests[1].inputs["past"])
    assert past.shape == (8, 11, 4)
    assert not past.any()


def test_a_server_is_started_with_the_files_beside_the_models(served, linear):
    from google.protobuf import text_format
    from ruamel.yaml import YAML
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    config = text_format.Parse((served / "models.config").read_text(), ModelServerConfig())
    assert [(m.name, m.base_path) for m in config.model_config_list.config] == [("linear", "/models/linear")]
    service = YAML(typ="safe").load((served / "docker-compose.yml").read_text())["services"]["serving"]
    for option in service["command"]:
        name = option.partition("/models/")[2]
        assert not name or (served / name).is_file()
    assert "/v1/models/linear" in service["healthcheck"]["test"][-1]
    assert "allowed_batch_sizes: 64" in (served / "batching_params.pbtxt").read_text()
    assert "enable: true" in (served / "monitoring.config").read_text()


def test_a_second_model_joins_the_configuration_and_what_the_user_wrote_stays(linear, tmp_path):
    export(linear, tmp_path)
    path = tmp_path / "models.config"
    path.write_text(path.read_text().replace("  }", '    version_labels { key: "stable" value: 1 }\n  }', 1))
    (tmp_path / "monitoring.config").write_text("mine")
    export(linear, tmp_path, name="second")
    text = path.read_text()
    assert re.findall('name: "(.*)"', text) == ["linear", "second"]
    assert "stable" in text
    assert (tmp_path / "monitoring.config").read_text() == "mine"
    path.write_text("model_config_list: 7")
    with pytest.raises(ValueError, match=r"models\.config is no configuration of TensorFlow Serving"):
        export(linear, tmp_path)


def test_the_model_card_tells_what_goes_in(served):
    card = (served / "linear" / "1" / "MODEL_CARD.md").read_text()
    for text in ("# linear, version 1", "`load` (MW), `price`, `wind`, `heat`", "`promo` (0 or 1), `hour`"):
        assert text in card
    assert "82 rows from 2024-01-01 00:00:00 to 2024-01-04 09:00:00" in card


def test_versions_count_up_and_none_is_overwritten(linear, tmp_path):
    assert export(linear, tmp_path).name == "1"
    kept = content_hash(tmp_path / "linear" / "1")
    assert export(linear, tmp_path, version=7).name == "7"
    assert export(linear, tmp_path).name == "8"
    with pytest.raises(
        ValueError, match=r"holds version 7 already, and a version is never overwritten.*next one, 9"
    ):
        export(linear, tmp_path, version=7)
    assert content_hash(tmp_path / "linear" / "1") == kept
    assert not list(tmp_path.glob(".*"))


def export_again(folder, path, version):
    try:
        return export(folder, path, version).name
    except ValueError as error:
        return "refused" if "never overwritten" in str(error) else str(error)


def test_two_exports_at_once_take_turns(linear, tmp_path):
    linear.save(tmp_path / "saved")
    with ThreadPool(2) as pool:
        # The lock belongs to the open folder, so threads wait for each other as processes do.
        wanted = [(tmp_path / "saved", tmp_path / "served", version) for version in (None, None, 5, 5)]
        names = pool.starmap(export_again, wanted, chunksize=1)
    assert sorted(names[2:]) == ["5", "refused"]
    assert len({*names} - {"refused"}) == 3
    for name in {*names} - {"refused"}:
        folder = tmp_path / "served" / "linear" / name
        assert read_metadata(folder)["content_hash"] == content_hash(folder)


def test_an_export_that_is_killed_leaves_no_version_and_the_next_one_works(linear, tmp_path):
    linear.save(tmp_path / "saved")
    code = f"""
import os
from tfts.serving import export, exporting
exporting.write_samples = lambda *given: os._exit(9)
export({str(tmp_path / "saved")!r}, {str(tmp_path / "served")!r})
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(tfts.__file__).parents[1], check=False)
    assert done.returncode == 9
    assert not (tmp_path / "served" / "linear").exists()
    assert len(list((tmp_path / "served").glob(".*"))) == 1
    assert export(tmp_path / "saved", tmp_path / "served").name == "1"
    assert not list((tmp_path / "served").glob(".*"))


def test_cudnn_is_left_out_while_tracing_and_the_model_stays_as_it_was():
    seen = []

    class Watched(keras.layers.LSTM):
        def call(self, sequences, initial_state=None, mask=None, training=False):
            seen.append(self.use_cudnn)
            return super().call(sequences, initial_state, mask, training)

    fitted = untrained("linear")
    past = keras.Input((CONTEXT, 5), name="past")
    forecast = keras.layers.Reshape((HORIZON, 1))(keras.layers.Dense(HORIZON)(Watched(2)(past)))
    # Inside another model, where it is no layer of the outer one.
    fitted.predictor.model = keras.Model(past, keras.Model(past, forecast)(past))
    seen.clear()
    ForecastSignatures(fitted).functions()
    assert set(seen) == {False}
    assert fitted.model.layers[1].layers[1].use_cudnn == "auto"


class Rounded(keras.layers.Layer):
    def call(self, inputs):
        return tf.ensure_shape(tf.numpy_function(np.round, [inputs], tf.float32), inputs.shape)


def test_a_graph_that_calls_python_is_refused_and_leaves_nothing(tmp_path):
    fitted = untrained("linear")
    past = keras.Input((CONTEXT, 5), name="past")
    last = keras.layers.Cropping1D((CONTEXT - HORIZON, 0))(past)
    fitted.predictor.model = keras.Model(past, keras.layers.Dense(1)(Rounded(name="odd")(last)))
    with pytest.raises(
        ValueError, match=r"operation PyFunc of layer 'odd' calls Python, which a model server does not"
    ):
        export(fitted, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_graph_that_gives_something_else_than_the_model_is_refused(linear, tmp_path, monkeypatch):
    truth = Forecaster.forecast_windows
    monkeypatch.setattr(Forecaster, "forecast_windows", lambda self, *given: 1.01 * truth(self, *given))
    with pytest.raises(ValueError, match=r"'serving_default' does not give what the model gives: .* 0\.0099"):
        export(linear, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"name": "a/b"}, ValueError, "`name` must begin with a letter or digit.*Received: name='a/b'"),
        ({"name": ".hidden"}, ValueError, "`name` must begin with a letter"),
        ({"version": 0}, ValueError, "`version` must be an int >= 1 or None"),
        ({"version": True}, ValueError, "`version` must be an int >= 1 or None"),
        ({"units": {"laod": "MW"}}, KeyError, "Unknown column in units: 'laod'.*Did you mean 'load'"),
        ({"model": "linear"}, ValueError, "goes with the folder of a run"),
        ({"format": "pmml"}, ValueError, "Unknown format 'pmml'. Expected one of: litert, onnx, savedmodel"),
    ],
)
def test_wrong_options_are_refused(linear, tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        export(linear, tmp_path, **options)


def test_what_has_no_graph_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"The Forecaster has not learnt anything yet"):
        export(Forecaster("linear", context_length=3, horizon=1), tmp_path)
    with pytest.raises(
        ValueError, match=r"The baseline 'drift' is no Keras model.*Expected ridge, a model of MODELS"
    ):
        export(Forecaster("drift", context_length=3, horizon=1).fit(hourly()), tmp_path)
    with pytest.raises(ValueError, match=r"Expected a fitted Forecaster, AnomalyDetector.*Received: dict"):
        export({}, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nowhere holds nothing to export"):
        export("nowhere", tmp_path)
    assert not list(tmp_path.iterdir())
