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


def check_served(forecasters, folder):
    """Asks for every window in batches of 1, 7 and 64, by REST and gRPC."""
    for forecaster in forecasters:
        export(forecaster, folder)
    with Server(folder, rest_port=0, grpc_port=0) as server:
        for forecaster in forecasters:
            expected = forecaster.predict(FRAME, "all")
            for url in (server.rest_url, server.grpc_url):
                for batch_size in (1, 7, 64):
                    with Client(url, forecaster.name, batch_size=batch_size, timeout=60) as client:
                        found = client.predict(FRAME, "all")
                    keys = ["series", "origin", "time"]
                    pd.testing.assert_frame_equal(found[keys], expected[keys])
                    for target in forecaster.targets:
                        assert difference(found[target].to_numpy(), expected[target].to_numpy()) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("targets", [["load"], ["load", "price", "wind"]])
@pytest.mark.parametrize("options", [{}, KNOWN], ids=["alone", "known"])
def test_every_model_is_served(tmp_path, targets, options):
    check_served([untrained(name, targets=targets, **options) for name in MODELS], tmp_path)
