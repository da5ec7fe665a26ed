"""Quantiles of a network in the exported graph, and in the answers of a client."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfts import Forecaster
from tfts.calibration.phases import season_phases
from tfts.serving import Client, Server, export
from tfts.serving.metadata import read_metadata
from tfts.serving.signatures import ForecastSignatures, quantile_levels

LEVELS = [0.1, 0.5, 0.9]


def _frame(rows=120):
    days = pd.date_range("2024-01-01", periods=rows)
    sold = 20 + 5 * (np.arange(rows) % 7) + np.random.default_rng(0).normal(size=rows)
    return pd.DataFrame({"sold": sold}, index=days)


@pytest.mark.parametrize("scaler", ["standard", "log"])
@pytest.mark.parametrize("output", ["quantiles", "normal", "student_t"])
def test_the_graph_gives_the_quantiles_of_the_forecaster(output, scaler, eager):
    frame = _frame()
    forecaster = Forecaster(
        "linear", context_length=7, horizon=2, output=output, quantiles=LEVELS, scaler=scaler
    ).fit(frame, epochs=2, verbose=0)
    panel = forecaster.panel(frame)
    rows = forecaster.spec.forecast_origins(panel)[-5:]
    past = forecaster.spec.past(panel, rows).astype(np.float32)
    past = np.concatenate([past, np.full_like(past[:1], np.nan)])
    answer = ForecastSignatures(forecaster).functions()["serving_default"](past=tf.constant(past))
    np.testing.assert_allclose(answer["forecast"][:5], forecaster.forecast_windows(panel, rows), rtol=1e-5)
    np.testing.assert_allclose(answer["quantiles"][:5], forecaster.quantile_windows(panel, rows), rtol=1e-5)
    assert answer["quantiles"].shape == (6, 2, 1, 3)
    assert np.isnan(answer["quantiles"][5]).all()


def _answer(forecaster, frame, count=5):
    """The graph's answer for the last origins of each series, and what the forecaster says."""
    panel = forecaster.panel(frame)
    rows = np.concatenate(
        [forecaster.spec.forecast_origins(panel)[-count:], forecaster.spec.forecast_origins(panel)[:count]]
    )
    signatures = ForecastSignatures(forecaster)
    inputs = {"past": forecaster.spec.past(panel, rows).astype(np.float32)}
    specs = signatures.inputs()
    if "series" in specs:
        names = [panel.series[i] for i in panel.series_of(rows)]
        known = signatures.series_names
        inputs["series"] = np.array([known.index(n) if n in known else -1 for n in names], np.int32)
    if "phase" in specs:
        inputs["phase"] = season_phases(panel.times[rows], panel.freq)[0].astype(np.int32)
    given = {name: tf.constant(value) for name, value in inputs.items()}
    answer = signatures.functions()["serving_default"](**given)
    return answer["quantiles"].numpy(), forecaster.quantile_windows(panel, rows), specs


@pytest.mark.parametrize("scaler", ["standard", "log"])
@pytest.mark.parametrize("output", ["point", "quantiles", "normal", "student_t"])
def test_the_graph_gives_calibrated_quantiles(output, scaler, eager):
    frame = _frame(400)
    forecaster = Forecaster(
        "linear",
        context_length=21,
        horizon=2,
        output=output,
        quantiles=LEVELS,
        scaler=scaler,
        calibration="conformal",
    ).fit(frame, epochs=2, verbose=0)
    found, expected, specs = _answer(forecaster, frame)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert "phase" in specs
    assert np.ptp(found[:, 0, 0, 2] - found[:, 0, 0, 0]) > 0


def test_the_graph_of_a_ridge_has_the_size_of_each_series_and_of_a_new_one(eager):
    days, rng = pd.date_range("2024-01-01", periods=200), np.random.default_rng(0)
    frame = pd.concat(
        pd.DataFrame({"time": days, "shop": shop, "sold": size * (9 + rng.normal(size=200))})
        for shop, size in (("a", 1), ("b", 100), ("new", 10))
    )
    options = {"time": "time", "series": "shop", "context_length": 21, "horizon": 2, "quantiles": LEVELS}
    forecaster = Forecaster("ridge", **options).fit(frame[frame["shop"] != "new"]).as_network()
    found, expected, specs = _answer(forecaster, frame, count=250)
    assert {"series", "phase"} <= specs.keys()
    np.testing.assert_allclose(found, expected, rtol=2e-5)


def test_the_graph_knows_parts_of_the_season_without_held_out_rows(eager):
    # The held-out rows end at ten in the morning.
    times = pd.date_range("2024-01-01", periods=280, freq="5min")
    frame = pd.DataFrame({"load": np.random.default_rng(0).normal(size=280)}, index=times)
    forecaster = Forecaster("ridge", context_length=6, horizon=2, quantiles=LEVELS).fit(frame[:120])
    found, expected, specs = _answer(forecaster.as_network(), frame, count=120)
    assert "phase" in specs
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_quantiles_of_the_graph_stop_where_those_of_the_forecaster_do(eager):
    sold = np.maximum(np.random.default_rng(0).normal(size=300) * 5, 0)
    frame = pd.DataFrame({"sold": sold}, index=pd.date_range("2024-01-01", periods=300))
    forecaster = Forecaster("ridge", context_length=7, horizon=2, quantiles=LEVELS).fit(frame).as_network()
    found, expected, _ = _answer(forecaster, frame, count=50)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert found.min() == 0
    assert found[..., 2].min() > 0


@pytest.mark.parametrize("calibration", ["none", "conformal"])
def test_the_graph_gives_the_quantiles_of_counts(calibration, eager):
    counts = np.random.default_rng(0).negative_binomial(2, 0.1, size=300)
    counts[::3] = 0
    frame = pd.DataFrame({"sold": counts}, index=pd.date_range("2024-01-01", periods=300))
    forecaster = Forecaster(
        "linear",
        context_length=7,
        horizon=2,
        output="negative_binomial",
        quantiles=[0.05, 0.5, 0.9],
        calibration=calibration,
    ).fit(frame, epochs=5, verbose=0)
    found, expected, _ = _answer(forecaster, frame, count=100)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert len(np.unique(found.round())) > 5


def test_adaptive_quantiles_are_left_out_with_a_word(eager):
    forecaster = Forecaster("linear", context_length=7, horizon=2, quantiles=LEVELS, calibration="adaptive")
    with pytest.warns(
        UserWarning, match="gives forecasts without quantiles, because those of calibration='adaptive'"
    ):
        assert quantile_levels(forecaster) == ()
    assert quantile_levels(Forecaster("linear", context_length=7, horizon=2)) == ()


def test_a_client_has_the_columns_of_the_notebook(tmp_path):
    hours, rng = (
        pd.date_range("2024-01-01", periods=300, freq="h", tz="Europe/Berlin"),
        np.random.default_rng(0),
    )
    frame = pd.concat(
        pd.DataFrame(
            {"time": hours, "site": site, "load": size * (9 + np.sin(hours.hour / 4) + rng.normal(size=300))}
        )
        for site, size in (("north", 1), ("south", 100), ("new", 10))
    )
    options = {"time": "time", "series": "site", "context_length": 49, "horizon": 3, "quantiles": LEVELS}
    forecaster = Forecaster("ridge", **options, per_series=True).fit(frame[frame["site"] != "new"])
    version = export(forecaster, tmp_path)
    assert (
        "`phase`: where the last row of `past` lies in the season" in (version / "MODEL_CARD.md").read_text()
    )
    with (
        Server(tmp_path, rest_port=0, grpc_port=0) as server,
        Client(server.rest_url, version.parent.name) as client,
        pytest.warns(UserWarning, match="1 series were not among the training rows"),
    ):
        served, expected = client.predict(frame, origins="all"), forecaster.predict(frame, origins="all")
    assert list(served)[-4:] == ["load", "load_q0.1", "load_q0.5", "load_q0.9"]
    # What is served of a ridge is a linear network.
    assert (set(served.pop("model")), set(expected.pop("model"))) == ({"linear"}, {"ridge"})
    pd.testing.assert_frame_equal(served, expected, rtol=1e-5, check_dtype=False)


@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_other_runtimes_get_quantiles_but_those_of_counts(format, tmp_path):
    options = {"context_length": 7, "horizon": 2, "quantiles": LEVELS}
    forecaster = Forecaster("ridge", **options).fit(_frame())
    metadata = read_metadata(export(forecaster, tmp_path, format=format))
    assert list(metadata["signatures"]["serving_default"]["outputs"]) == ["forecast", "quantiles"]
    counts = Forecaster("linear", **options, output="negative_binomial").fit(
        _frame().round(), epochs=1, verbose=0
    )
    with pytest.warns(UserWarning, match="other runtimes than TensorFlow lack an operation of the quantiles"):
        metadata = read_metadata(export(counts, tmp_path, name="counts", format=format))
    assert list(metadata["signatures"]["serving_default"]["outputs"]) == ["forecast"]
    assert metadata["quantile_levels"] == []
