"""How often equal forecasts are told apart, and how often the better one is found.

python -m benchmarks.comparison_errors
python -m benchmarks.comparison_errors --runs 2000 --forecasts 2 20
"""

import argparse

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.signal import lfilter

HORIZON = 20
WINDOWS = 1000
# Of the better forecast, in parts of the mean squared error of the others.
BETTER = 0.85
# Correlation of an error with that of the row before, and the part of it that all forecasts share.
CARRIED, SHARED = 0.5, 0.5


def window_losses(forecasts, better, random, series=1):
    """Mean squared errors of windows one row apart, of forecasts whose errors are alike.

    Args:
        forecasts: Int >= 2.
        better: Mean squared error of the first; that of the others is 1.
        random: A NumPy random generator.
        series: Int >= 1.

    Returns:
        Float64 `(forecasts, series, windows)`.
    """
    rows = WINDOWS + HORIZON
    noise = random.normal(size=(forecasts + 1, series, rows + 100))
    errors = lfilter([1], [1, -CARRIED], noise)[..., 100:] * np.sqrt(1 - CARRIED**2)
    squares = (np.sqrt(SHARED) * errors[-1] + np.sqrt(1 - SHARED) * errors[:-1]) ** 2
    squares[0] *= better
    sums = np.cumsum(squares, axis=-1)
    return (sums[..., HORIZON:] - sums[..., :-HORIZON]) / HORIZON


def judged(forecasts, better, runs):
    """How often a difference holds, and the first forecast is found to be the best.

    Returns:
        Two pairs of shares, each by itself and all together: any difference holds, and the
        differences of the first to all others do.
    """
    from tfts.comparison import compare_all, compare_losses

    found = np.zeros((2, 2))
    for seed in range(runs):
        losses = dict(enumerate(window_losses(forecasts, better, np.random.default_rng(seed))[:, 0]))
        together = compare_all(losses, HORIZON, num_samples=500)
        lowest = together["first"].iloc[0]
        alone = [
            compare_losses(losses[lowest], losses[name], HORIZON, num_samples=500).holds()
            for name in together["second"]
        ]
        for i, holds in enumerate((np.array(alone), together["holds"].to_numpy())):
            found[0, i] += holds.any()
            found[1, i] += holds.all() and lowest == 0
    return found / runs


def with_a_short_series(forecasts, runs):
    """How often equal forecasts of 20 series differ, one of which ended before the others begin.

    Returns:
        Share of the runs in which any difference holds.
    """
    from tfts.comparison import compare_windows

    most, few = 500, 400
    times = np.concatenate([np.tile(np.arange(few, few + most), 19), np.arange(few)])
    series = np.concatenate([np.repeat(np.arange(19), most), np.full(few, 19)])
    wrong = 0
    for seed in range(runs):
        losses = window_losses(forecasts, 1.0, np.random.default_rng(seed), series=20)[:, series, times]
        found = compare_windows(dict(enumerate(losses)), np.ones(len(times)), times, series, HORIZON)
        wrong += found["holds"].any()
    return wrong / runs


def main(arguments=None):
    """Prints one table of errors and one of those with a series that ended early."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--forecasts", type=int, nargs="+", default=[2, 5, 10, 20])
    chosen = parser.parse_args(arguments)
    table = Table(title=f"Of 100 comparisons by {WINDOWS:,} windows of {HORIZON} rows, {chosen.runs} runs")
    for column in (
        "forecasts",
        "equal: any holds, each by itself",
        "all together",
        f"one at {BETTER}: found, each by itself",
        "all together",
        "equal, a short series: any holds",
    ):
        table.add_column(column, justify="right")
    for forecasts in chosen.forecasts:
        equal, _ = judged(forecasts, 1.0, chosen.runs)
        _, best = judged(forecasts, BETTER, chosen.runs)
        shares = (*equal, *best, with_a_short_series(forecasts, chosen.runs))
        table.add_row(str(forecasts), *(f"{100 * share:.1f}" for share in shares))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
