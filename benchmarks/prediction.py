"""What a forecast of many windows costs beyond its arithmetic, and a backtest beyond one pass.

`bare` is the model alone, in one graph, over batches that are there already. `windows` is
`Forecaster.forecast_windows` (scaling, gathering, model, original units), `predict` and
`evaluate` are the whole methods, from a table to a table. All best of three. Asked for: at
most 1.5 times bare where arithmetic takes the time, else well under a second beyond it. The
backtest is without refit, fit included, beside a loop that asks for one origin after the other
(50 of them, times the number of origins). With `--cpu`, seconds of all cores together, which
other work on the machine makes little longer.

    python -m benchmarks.prediction
    python -m benchmarks.prediction --models linear --windows 2000 --context 96
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd

from tfts import Forecaster, backtest

MODELS = ("linear", "nlinear", "segment_rnn", "lstm_attention")
COLUMNS = list("abcdefg")
BATCH = 256
clock = time.perf_counter


def make_frame(rows):
    """A day and a week in seven columns, with noise; an hour a row."""
    hours = np.arange(rows)[:, None]
    waves = np.sin(2 * np.pi * (hours / 24 + np.arange(7) / 7)) + np.sin(2 * np.pi * hours / 168)
    values = waves + np.random.default_rng(0).normal(0, 0.3, waves.shape)
    index = pd.date_range("2000-01-01", periods=rows, freq="h")
    return pd.DataFrame(values, columns=COLUMNS, index=index)


def fitted(name, frame, context_length, horizon):
    """A forecaster that has learnt from the first rows of a table, quickly."""
    forecaster = Forecaster(name, context_length=context_length, horizon=horizon, stride=7)
    return forecaster.fit(frame[: 3 * (context_length + horizon)], validation=0, epochs=1, verbose=0)


def bare_seconds(model, inputs):
    """Seconds of the model alone, compiled, over batches that are tensors already."""
    import tensorflow as tf

    batches = [tf.constant(inputs[start : start + BATCH]) for start in range(0, len(inputs), BATCH)]
    run = tf.function(lambda x: model(x, training=False), reduce_retracing=True)

    def epoch():
        for batch in batches:
            made = run(batch)
        return made.numpy()

    return best(epoch)


def best(act, repeats=3):
    """Least seconds of some runs, after one that is not counted."""
    act()
    seconds = []
    for _ in range(repeats):
        start = clock()
        act()
        seconds.append(clock() - start)
    return min(seconds)


def measure(name, frame, context_length, horizon):
    """A row of the table: seconds of each way for all windows of a table.

    Returns:
        Dict of `bare`, `windows`, `predict`, `evaluate` in seconds, and `count` of windows.
    """
    forecaster = fitted(name, frame, context_length, horizon)
    panel = forecaster.panel(frame)
    rows = forecaster.spec.origins(panel)
    return {
        "count": len(rows),
        "bare": bare_seconds(forecaster.model, forecaster.inputs(panel, rows)),
        "windows": best(lambda: forecaster.forecast_windows(panel, rows)),
        "predict": best(lambda: forecaster.predict(frame, origins="all"), 1),
        "evaluate": best(lambda: forecaster.evaluate(frame), 1),
    }


def measure_backtest(name, frame, context_length, horizon, origins, asked=50):
    """Seconds of a backtest without refit, and of a loop over its origins."""
    forecaster = Forecaster(name, context_length=context_length, horizon=horizon, stride=7)
    options = {"validation": 0, "epochs": 1, "verbose": 0}
    start = clock()
    table = backtest(forecaster, frame, origins=origins, stride=1, **options)
    whole = clock() - start
    times = table["origin"].unique()
    learner = forecaster.clone()
    start = clock()
    learner.fit(frame[: times[0]], **options)
    fit = clock() - start
    panel = learner.panel(frame)
    start = clock()
    for row in panel.times.get_indexer(times[:asked]):
        learner.forecast_windows(panel, np.array([row]))
    return whole, fit + (clock() - start) * origins / asked


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--windows", type=int, default=10_000)
    parser.add_argument("--context", type=int, default=336)
    parser.add_argument("--horizon", type=int, default=96)
    parser.add_argument("--origins", type=int, default=1000)
    parser.add_argument("--cpu", action="store_true", help="processor seconds in place of those that passed")
    chosen = parser.parse_args(arguments)
    global clock
    clock = time.process_time if chosen.cpu else time.perf_counter
    sizes = chosen.context, chosen.horizon
    frame = make_frame(chosen.windows + sum(sizes) - 1)
    print(
        f"{chosen.windows:,} windows of {sizes[0]} x 7 in, {sizes[1]} x 7 out; {'processor ' * chosen.cpu}seconds"
    )
    print(f"{'model':<16}{'bare':>12}{'windows':>12}{'ratio':>8}{'beyond':>9}{'predict':>10}{'evaluate':>10}")
    for name in chosen.models:
        row = measure(name, frame, *sizes)
        speeds = [f"{row['count'] / row[way]:>10,.0f}/s" for way in ("bare", "windows")]
        beyond = row["windows"] - row["bare"]
        print(
            f"{name:<16}{speeds[0]}{speeds[1]}{row['windows'] / row['bare']:>8.2f}{beyond:>7.2f} s"
            f"{row['predict']:>8.2f} s{row['evaluate']:>8.2f} s",
            flush=True,
        )
    print(f"\nBacktest without refit, {chosen.origins:,} origins")
    print(f"{'model':<16}{'backtest':>12}{'loop':>12}{'ratio':>8}")
    for name in chosen.models:
        whole, loop = measure_backtest(name, frame, *sizes, chosen.origins)
        print(f"{name:<16}{whole:>10.2f} s{loop:>10.2f} s{loop / whole:>8.1f}", flush=True)


if __name__ == "__main__":
    main()
