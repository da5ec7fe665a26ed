"""What attributes of series are worth: forecasts of stores that training has not seen, with and without them.

    python -m benchmarks.attributes
    python -m benchmarks.attributes --models nhits segment_rnn --seeds 0 1 2 --epochs 10

Two hundred stores of five types (`make_sales`), 400 days. Forty stores are held out whole; of the others the last 60
days are. Mean absolute errors of 14 days ahead, in units a day; the ratio is with attributes over without.
"""

import argparse
import os
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CONTEXT, HORIZON, HELD_DAYS, HELD_STORES = 28, 14, 60, 40
KNOWN, STATIC = ["price", "promotion", "holiday", "holiday_eve"], ["type", "size"]


def tables():
    """Training rows, the later rows of the same stores with their context, and all rows of the held-out stores."""
    import numpy as np
    import pandas as pd

    from tfts import make_sales

    frame = make_sales(200, 400, seed=7, faults_per_year=0, types=5).frame
    frame = frame[["time", "store", "Sales", *KNOWN, *STATIC]]
    held = frame["store"].isin(
        np.random.default_rng(0).choice(frame["store"].unique(), HELD_STORES, replace=False)
    )
    last = frame["time"].max() - pd.Timedelta(HELD_DAYS, "D")
    later = frame["time"] > last - pd.Timedelta(CONTEXT, "D")
    return frame[~held & (frame["time"] <= last)], frame[~held & later], frame[held]


def scores(model, seed, epochs):
    """Errors of known and of new stores, with and without attributes: dict from name to a number."""
    from tfts import Forecaster

    train, known, new = tables()
    found = {}
    for name, static in (("with", STATIC), ("without", [])):
        columns = [] if static else STATIC
        forecaster = Forecaster(
            model,
            context_length=CONTEXT,
            horizon=HORIZON,
            targets="Sales",
            time="time",
            series="store",
            known_future=KNOWN,
            static=static,
            scaler="log",
            stride=3,
        ).fit(train.drop(columns=columns), epochs=epochs, verbose=0, seed=seed)
        for which, table in (("known", known), ("new", new)):
            made = forecaster.evaluate(table.drop(columns=columns), metrics=["mae"])
            found[f"{which} {name}"] = made["mae"].item()
    return found


def main(arguments=None):
    """Prints a line for each model and seed, and the median ratios."""
    import numpy as np

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["nhits", "lstm_attention", "segment_rnn"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=10)
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    for model in given.models:
        ratios = []
        for seed in given.seeds:
            found = scores(model, seed, given.epochs)
            ratios.append([found[f"{which} with"] / found[f"{which} without"] for which in ("new", "known")])
            told = ", ".join(f"{name} {value:.2f}" for name, value in found.items())
            print(f"{model:16} seed {seed}: {told}", flush=True)
        new, known = np.median(ratios, axis=0)
        print(
            f"{model:16} median ratio with attributes: new stores {new:.3f}, known stores {known:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
