"""Tables that several tests forecast."""

import numpy as np
import pandas as pd


def table(rows=211, columns=("load", "price"), start="2024-01-01"):
    noise = np.random.default_rng(7).normal(0, 0.1, (rows, len(columns)))
    wave = np.sin(np.arange(rows) * 2 * np.pi / 24)[:, None]
    values = 100 + 20 * wave * np.arange(1, len(columns) + 1) + noise
    return pd.DataFrame(values, columns=list(columns), index=pd.date_range(start, periods=rows, freq="h"))
