"""Every model, exported and served: the numbers of `Forecaster.predict`."""

import numpy as np
import pandas as pd
import pytest

from tfts import MODELS, Forecaster
from tfts.serving import Client, Server, export

TARGETS = ["load", "wind", "solar"]
UNITS = {name: {} if name == "linear" else {"units": 4} for name in MODELS}


def make_frame(rows):
    """Three columns on different levels and one that is known ahead."""
    rng = np.random.default_rng(7)
    day = np.sin(np.arange(rows) * 2 * np.pi / 24)
    columns = {
        name: level + spread * day + rng.normal(0, 1, rows)
        for name, level, spread in zip(
            [*TARGETS, "price"], (1000, 20, -300, 50), (50, 3, 100, 5), strict=True
        )
    }
    return pd.DataFrame(columns, index=pd.date_range("2024-01-01", periods=rows, freq="h"))


def fitted(name, num_targets, known_future):
    forecaster = Forecaster(
        name,
        context_length=11,
        horizon=2,
        targets=TARGETS[:num_targets],
        known_future=["price"] if known_future else [],
        model_options=UNITS[name],
    )
    return forecaster.fit(make_frame(100), epochs=1, verbose=0)


def check_served(forecasters, folder):
    """Asks for 64 windows in batches of 1, 7 and 64, by REST and gRPC."""
    for forecaster in forecasters:
        export(forecaster, folder)
    frame = make_frame(11 + 63 + 2)
    with Server(folder, rest_port=0, grpc_port=0) as server:
        for forecaster in forecasters:
            expected = forecaster.predict(frame, "all")
            for url in (server.rest_url, server.grpc_url):
                for batch_size in (1, 7, 64):
                    with Client(url, forecaster.name, batch_size=batch_size, timeout=60) as client:
                        found = client.predict(frame, "all")
                    pd.testing.assert_frame_equal(found, expected, rtol=1e-5, check_dtype=False)


@pytest.mark.slow
@pytest.mark.parametrize(("num_targets", "known_future"), [(3, True), (1, False), (1, True), (3, False)])
def test_every_model_is_served(tmp_path, num_targets, known_future):
    check_served([fitted(name, num_targets, known_future) for name in MODELS], tmp_path)
