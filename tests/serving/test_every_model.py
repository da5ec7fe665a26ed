"""Every model, exported and served: the numbers of `Forecaster.predict`."""

import pandas as pd
import pytest

from tests.serving.fitted import CONTEXT, HORIZON, hourly, untrained
from tfts import MODELS
from tfts.serving import Client, Server, export
from tfts.serving.capi import difference

KNOWN = {"known_future": ["promo"], "calendar": ["hour"]}
# As many rows as hold 64 windows.
FRAME = hourly(CONTEXT + 63 + HORIZON)


# Every model with all it can have; what else a table can be does not depend on the model, whose
# graph test_exporting.py asks in every combination.
CASES = [(name, ["load", "price", "wind"], KNOWN) for name in MODELS] + [
    ("linear", ["load", "price", "wind"], {}),
    ("linear", ["load"], KNOWN),
    ("linear", ["load"], {}),
]


@pytest.mark.slow
def test_every_model_is_served(tmp_path):
    forecasters = []
    for number, (model, targets, options) in enumerate(CASES):
        forecasters.append(untrained(model, targets=targets, **options))
        export(forecasters[-1], tmp_path, name=f"{model}-{number}")
    with Server(tmp_path, rest_port=0, grpc_port=0) as server:
        for number, forecaster in enumerate(forecasters):
            expected = forecaster.predict(FRAME, "all")
            for url in (server.rest_url, server.grpc_url):
                # 64 windows in one batch, and in nine of 7 and one of 1.
                for batch_size in (7, 64):
                    name = f"{forecaster.name}-{number}"
                    with Client(url, name, batch_size=batch_size, timeout=60) as client:
                        found = client.predict(FRAME, "all")
                    keys = ["series", "origin", "time"]
                    pd.testing.assert_frame_equal(found[keys], expected[keys])
                    for target in forecaster.targets:
                        assert difference(found[target].to_numpy(), expected[target].to_numpy()) < 1e-5
