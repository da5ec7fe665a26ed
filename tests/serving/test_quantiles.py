"""Quantiles of a network in the exported graph, and in the answers of a client."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfts import Forecaster
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


def test_quantiles_that_a_window_does_not_tell_are_left_out_with_a_word(eager):
    frame = _frame()
    forecaster = Forecaster("linear", context_length=7, horizon=2, quantiles=LEVELS)
    forecaster.fit(frame, epochs=2, verbose=0)
    with pytest.warns(
        UserWarning, match="gives forecasts without quantiles, because those of calibration='conformal'"
    ):
        assert quantile_levels(forecaster) == ()
    counts = Forecaster("linear", context_length=7, horizon=2, output="negative_binomial", quantiles=LEVELS)
    with pytest.warns(UserWarning, match="those of output='negative_binomial'"):
        assert quantile_levels(counts) == ()
    assert quantile_levels(Forecaster("linear", context_length=7, horizon=2)) == ()
