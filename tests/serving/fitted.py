"""Fitted models that several tests of serving export: small, and none of them trained for long."""

import inspect
from unittest import mock

import numpy as np
import pandas as pd

from tfts.forecaster import Forecaster
from tfts.models import MODELS, build_model
from tfts.predictors import NetworkPredictor

CONTEXT, HORIZON = 11, 3
TRANSFORMER = {"units": 4, "num_heads": 2, "feedforward_units": 5}
SMALL = {
    "attention_seq2seq": TRANSFORMER,
    "inverted_transformer": {**TRANSFORMER, "num_layers": 1},
    "patch_transformer": {**TRANSFORMER, "num_layers": 1},
    "tsmixer": {"feedforward_units": 5, "num_layers": 1},
    "segment_rnn": {"units": 3, "segment_length": 2},
}


def hourly(rows=97, columns=("load", "price", "wind", "heat", "promo"), tz=None):
    """A table whose columns have levels and sizes of their own, the first on a high level."""
    rng = np.random.default_rng(3)
    level = 1000.0 / 10.0 ** np.arange(len(columns))
    values = level + rng.normal(size=(rows, len(columns))) * (1 + np.arange(len(columns)))
    index = pd.date_range("2024-01-01", periods=rows, freq="h", tz=tz, name="time")
    # What is sent to a server is float32.
    return pd.DataFrame(values.astype(np.float32).astype(np.float64), columns=list(columns), index=index)


def untrained(model, frame=None, **options):
    """A forecaster that has learnt its scaler, and whose network has random weights.

    A short training would leave the heads, which start at zero, without influence.
    """
    settings = {"context_length": CONTEXT, "horizon": HORIZON, "targets": ["load"]}
    small = SMALL.get(model, {"units": 3} if "units" in inspect.signature(MODELS[model]).parameters else {})
    given = options.pop("model_options", {})
    forecaster = Forecaster(model, **{**settings, **options}, model_options={**small, **given})

    def shaken(predictor, rows, options, settings):
        rng, task = np.random.default_rng(5), rows.spec.task(rows.train)
        network = build_model(model, task, **forecaster.settings["model_options"])
        network.set_weights([rng.normal(scale=0.3, size=w.shape) for w in network.get_weights()])
        predictor.model = network
        return 0.0

    with mock.patch.object(NetworkPredictor, "fit", shaken):
        return forecaster.fit(hourly() if frame is None else frame)
