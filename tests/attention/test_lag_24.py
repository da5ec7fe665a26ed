"""A series whose only information sits 24 rows back: the whole way from table to sentence."""

import numpy as np
import pandas as pd
import pytest

from tfts import Forecaster, chronological_split
from tfts.attention import describe, faithfulness, fit_null

# As plain as training can be: of a fit so short most seconds go into building and compiling its step.
FIT = {
    "epochs": 15,
    "batch_size": 32,
    "optimizer": "adam",
    "learning_rate": 5e-3,
    "schedule": "constant",
    "ema_momentum": None,
    "patience": None,
    "jit_compile": False,
    "steps_per_execution": 1,
    "verbose": 0,
}


def table(seed, num_rows=2000):
    """`y` is `x` 24 hours before and a little noise; `x` is noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=num_rows + 24)
    y = x[:-24] + 0.1 * rng.normal(size=num_rows)
    hours = pd.date_range("2024-01-01", periods=num_rows, freq="h")
    return pd.DataFrame({"y": y, "x": x[24:]}, index=hours)


@pytest.fixture(scope="module", params=[0, 1, 2])
def trained(request):
    forecaster = Forecaster(
        "attention_seq2seq",
        context_length=30,
        horizon=3,
        targets="y",
        # Nothing beside attention, so that it must do the work.
        model_options={
            "units": 16,
            "num_heads": 1,
            "feedforward_units": 16,
            "linear_skip": "none",
            "window_norm": "none",
        },
    )
    parts = chronological_split(forecaster.panel(table(request.param)), 0.15, 0.15)
    forecaster.fit(parts.train, validation=parts.validation, seed=request.param, **FIT)
    null = fit_null(forecaster, parts.train, parts.validation, seed=request.param, **{**FIT, "epochs": 6})
    return forecaster, null, parts.test, forecaster.spec.origins(parts.test)


@pytest.mark.slow
def test_the_lag_is_found_described_and_confirmed_by_masking(trained):
    forecaster, null, test, rows = trained
    assert forecaster.evaluate(test, ["r2"])["r2"].item() > 0.8
    stack = forecaster.attention(test, rows)
    found = faithfulness(forecaster, test, rows, stack=stack, num_lags=1)
    assert found.passed
    assert found.ratio > 5
    # Without that row the forecast is no better than the mean: its error grows by that of
    # a standard normal, 0.8, and more.
    worse = found.table.set_index("masked")["error_increase"]
    assert worse["most attended"] > 0.6
    assert worse["least attended"] < 0.05
    claims = describe(
        stack,
        others={"shuffled_targets": null.attention(test, rows)},
        faithful=found,
        seasonal_lags=[24],
        freq="h",
    )
    assert "seasonal" in [claim.kind for claim in claims]
    assert "It looks 24 hours before the row it forecasts:" in " ".join(map(str, claims))
    assert all(claim.kind != "peak" for claim in claims)


@pytest.mark.slow
def test_with_shuffled_targets_there_is_no_clear_pattern(trained):
    _, null, test, rows = trained
    stack = null.attention(test, rows)
    (claim,) = describe(
        stack, faithful=faithfulness(null, test, rows, stack=stack), seasonal_lags=[24], freq="h"
    )
    assert claim.kind == "none"
    assert str(claim).startswith("No clear pattern")
