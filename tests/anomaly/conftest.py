"""Small shops whose usual days are known, for every test of the detector."""

import numpy as np
import pandas as pd
import pytest

WEEK = np.array([90.0, 95, 100, 105, 120, 140, 80])


def shops(rows=173, names=("a", "b"), seed=0, freq="D"):
    """A long table: `sold` has a week and a promotion, `stock` falls by what is sold."""
    random = np.random.default_rng(seed)
    parts = []
    for i, name in enumerate(names):
        promotion = (np.arange(rows) % 11 == 3 + i).astype(float)
        noise = random.normal(0, 2, rows)
        sold = (1 + i) * (WEEK[np.arange(rows) % 7] + 30 * promotion + noise)
        stock = 900 - sold + random.normal(0, 1, rows)
        times = pd.date_range("2023-01-01", periods=rows, freq=freq)
        parts.append(
            pd.DataFrame({"day": times, "shop": name, "sold": sold, "stock": stock, "promotion": promotion})
        )
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def table():
    return shops()
