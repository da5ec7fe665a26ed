"""Default fits on short tables, next to the seasonal naive.

    python -m benchmarks.short_tables
    python -m benchmarks.short_tables --held-out --models linear dlinear

Five real tables of 107 to 257 rows that ship with statsmodels, each cut to its last 144 rows. The last two
horizons are scored, one forecast from every row. With --held-out they are left out, and the two horizons before
them are scored: that is where defaults were chosen.
"""

import argparse
import warnings

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from tfts.data.datasets import load_dataset
from tfts.data.split import chronological_split
from tfts.forecaster import Forecaster
from tfts.models import MODELS

# Column, context length and horizon of each table.
TABLES = {
    "co2": ("co2", 24, 12),
    "elec_equip": ("turnover", 24, 12),
    "elnino": ("temperature", 24, 12),
    "interest_inflation": ("inflation", 8, 4),
    "macrodata": ("infl", 8, 4),
}
_ROWS = 144


def short_table(name):
    """The last rows of a dataset, one column; weeks as months."""
    frame = load_dataset(name)[[TABLES[name][0]]]
    if name == "co2":
        frame = frame.interpolate().resample("MS").mean()
    return frame.iloc[-_ROWS:]


def scores(name, models, seeds, held_out, **training):
    """RMSE of each model and seed as a multiple of the seasonal naive's."""
    _, context_length, horizon = TABLES[name]
    frame = short_table(name)
    if held_out:
        frame = frame.iloc[: -2 * horizon]
    found = {}
    for model in ["seasonal_naive", "ridge", *models]:
        for seed in seeds if model in MODELS else seeds[:1]:
            forecaster = Forecaster(model, context_length=context_length, horizon=horizon)
            panel = forecaster.panel(frame)
            parts = chronological_split(panel, validation=0, test=2 * horizon)
            options = {"seed": seed, "verbose": 0, **training} if model in MODELS else {}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                forecaster.fit(parts.train, **options)
            found[model, seed] = forecaster.evaluate(parts.test, ["rmse"])["rmse"][0]
    naive = found["seasonal_naive", seeds[0]]
    return pd.Series(found) / naive


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--tables", nargs="+", default=list(TABLES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--set", nargs="*", default=[], help="options of the training, name=number")
    given = parser.parse_args()
    training = {name: float(v) if "." in v else int(v) for name, v in (s.split("=") for s in given.set)}
    columns = {
        name: scores(name, given.models, list(range(given.seeds)), given.held_out, **training)
        for name in given.tables
    }
    table = pd.DataFrame(columns).groupby(level=0, sort=False).median()
    shown = Table(title="RMSE as a multiple of the seasonal naive's, median of seeds", box=None)
    for column in ("model", *table.columns, "mean"):
        shown.add_column(column, justify="left" if column == "model" else "right")
    for model, row in table.iterrows():
        shown.add_row(model, *(f"{value:.2f}" for value in row), f"{np.mean(row):.2f}")
    Console().print(shown)


if __name__ == "__main__":
    main()
