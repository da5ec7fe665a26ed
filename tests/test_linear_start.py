import keras
import numpy as np
import pandas as pd
import pytest

from tfts import Forecaster, chronological_split

ROWS = 240


@pytest.fixture(scope="module")
def frame():
    random = np.random.default_rng(3)
    hours = np.arange(ROWS)
    waves = np.stack([np.sin(hours / 4), np.cos(hours / 7), np.sin(hours / 9)], axis=1)
    values = waves + 0.1 * random.normal(size=waves.shape).cumsum(axis=0)
    return pd.DataFrame(
        values, columns=list("abc"), index=pd.date_range("2024-01-01", periods=ROWS, freq="h")
    )


def forecaster(model, **options):
    return Forecaster(
        model,
        context_length=13,
        horizon=3,
        targets=["a", "b"],
        calendar=["hour"],
        model_options=options,
    )


# A rate as low as this leaves the weights where they start.
STILL = {"epochs": 1, "learning_rate": 1e-12, "verbose": 0, "ema_momentum": None}


@pytest.mark.parametrize(
    ("model", "options", "like"),
    [
        ("linear", {}, {}),
        ("linear", {"shared": False}, {"inputs": "all"}),
        ("linear", {"window_norm": "none"}, {}),
        ("nlinear", {"individual": True}, {"weights": "own"}),
        ("dlinear", {"window_norm": "last"}, {}),
        ("lstm_attention", {"units": 2}, {"inputs": "all"}),
        ("lstm_attention", {"units": 2, "linear_skip": "own", "window_norm": "last"}, {}),
    ],
)
def test_a_network_starts_from_the_forecasts_of_the_ridge(frame, model, options, like):
    network = forecaster(model, **options)
    parts = chronological_split(network.panel(frame), 0.2, 0)
    network.fit(parts.train, validation=parts.validation, linear_start="ridge", **STILL)
    ridge = forecaster("ridge", **like).fit(parts.train, validation=parts.validation)
    ours, expected = (f.predict(frame, origins="all")[["a", "b"]] for f in (network, ridge))
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)
    assert (
        np.abs(
            ours - forecaster(model, **options).fit(parts.train, **STILL).predict(frame, "all")[["a", "b"]]
        )
        .max()
        .max()
        > 0.01
    )


def test_a_network_without_a_linear_part_is_refused(frame):
    with pytest.raises(
        ValueError, match=r"linear_start='ridge' sets a linear map.*'lstm_attention' has none"
    ):
        forecaster("lstm_attention", linear_skip="none").fit(frame, linear_start="ridge", verbose=0)


def test_an_unknown_start_is_refused(frame):
    with pytest.raises(ValueError, match=r"Unknown linear_start 'ride'\. .*ridge"):
        forecaster("linear").fit(frame, linear_start="ride", verbose=0)


def test_a_table_too_short_to_hold_rows_out_is_refused(frame):
    with pytest.raises(ValueError, match="context_length=13"):
        forecaster("linear").fit(frame.iloc[:20], validation=0, linear_start="ridge", verbose=0)


@pytest.mark.parametrize(
    "options", [{}, {"weights": "own"}, {"weights": [["b"], ["a"]], "lookbacks": 7}, {"inputs": "all"}]
)
def test_a_ridge_is_turned_into_a_network_that_forecasts_alike(frame, options, tmp_path):
    ridge = forecaster("ridge", **options).fit(frame)
    network = ridge.as_network()
    network.save(tmp_path / "network")
    loaded = Forecaster.load(tmp_path / "network")
    expected = ridge.predict(frame, origins="all")[["a", "b"]]
    np.testing.assert_allclose(
        loaded.predict(frame, origins="all")[["a", "b"]], expected, rtol=1e-4, atol=1e-4
    )
    assert (network.name, ridge.name) == ("linear", "ridge")
    assert loaded.as_network() is loaded


def test_only_a_ridge_is_turned_into_a_network(frame):
    with pytest.raises(ValueError, match=r"The baseline 'drift' is no Keras model, and only a ridge can"):
        forecaster("drift").fit(frame).as_network()
    with pytest.raises(ValueError, match="has not learnt anything yet"):
        forecaster("ridge").as_network()


class AtOnce(keras.callbacks.Callback):
    """Ends a fit after its first epoch."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = True


def test_a_default_fit_of_a_short_table_starts_from_the_ridge(frame):
    still = {**STILL, "epochs": "auto", "patience": 1}
    ridge = forecaster("ridge").fit(frame).predict(frame, origins="all")[["a", "b"]]
    ours = forecaster("linear").fit(frame, **still).predict(frame, origins="all")[["a", "b"]]
    np.testing.assert_allclose(ours, ridge, rtol=1e-4, atol=1e-4)
    # Where no rows can be held out, or there is no linear map, it starts from zeros as it did.
    for model, rows, options in (("linear", 20, {}), ("dlinear", ROWS, {})):
        fitted = forecaster(model, **options).fit(
            frame.iloc[:rows], validation=0, callbacks=[AtOnce()], **{**still, "patience": None}
        )
        assert fitted.is_fitted


@pytest.mark.parametrize("output", ["quantiles", "normal", "student_t"])
def test_an_output_that_starts_from_the_ridge_has_the_spread_of_its_errors(output):
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=600)
    loud = np.sin(np.arange(600) * 2 * np.pi / 7) + 0.3 * rng.normal(size=600)
    table = pd.DataFrame({"calm": 1000 + loud / 10, "loud": loud}, index=days)
    options = {"context_length": 14, "horizon": 2, "output": output, "quantiles": [0.1, 0.5, 0.9]}
    forecaster = Forecaster("linear", **options).fit(
        table, linear_start="ridge", epochs=1, learning_rate=1e-9, verbose=0
    )
    panel = forecaster.panel(table)
    rows = forecaster.spec.origins(panel)
    found, actual = forecaster.quantile_windows(panel, rows), forecaster.actual(panel, rows)
    held = ((found[..., 0] <= actual) & (actual <= found[..., 2])).mean(axis=(0, 1))
    assert held.min() > 0.74
    assert held.max() < 0.86
