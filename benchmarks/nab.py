"""Detectors on the Numenta anomaly benchmark, series by series, without labels.

Each detector sees the first 15 % of a series (750 rows at most), then scores and flags the
rest; the labelled windows are read only to score the flags. NAB's own rows choose one
threshold per detector over the whole corpus with the labels in view: the column "best
threshold" does the same, as an upper bound to set beside them. Folders of NAB's data/ that
are not there are left out, so published totals compare only where all 58 series are.

    python -m benchmarks.nab --data FOLDER
"""

import argparse
import json
import math
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.judging import judge
from tfts.anomaly.evaluation import NAB_PROFILES, nab_best_threshold, nab_score, probation_rows, window_rows

# Those whose row in NAB's table of thresholds is also what its README says.
PUBLISHED = ["ARTime", "numenta", "contextOSE", "numentaTM", "earthgeckoSkyline", "randomCutForest"]
PUBLISHED += ["relativeEntropy", "skyline", "bayesChangePt", "expose", "null"]


def published_scores(root):
    """What NAB's own table says of its detectors, all 58 series, best threshold each.

    Args:
        root: Folder that may hold config/thresholds.json.

    Returns:
        `pandas.DataFrame` with a row for each of PUBLISHED and a column for each profile;
        empty without the file. windowedGaussian has 39.6 in NAB's README.
    """
    path = Path(root) / "config" / "thresholds.json"
    found = json.loads(path.read_text()) if path.is_file() else {}
    table = pd.DataFrame(columns=list(NAB_PROFILES), dtype=float)
    for name in PUBLISHED if found else []:
        for profile, cost in NAB_PROFILES.items():
            key = profile if profile == "standard" else f"{profile}_rate"
            best, silent = (found[detector][key]["score"] for detector in (name, "null"))
            # Each window found earns 1, each missed one costs `miss`.
            windows = -silent / cost.miss
            table.loc[name, profile] = 100 * (best - silent) / (windows - silent)
    return table


def load_nab(root):
    """Yields name, frame and windows of every series that is there.

    Args:
        root: Folder that holds data/ and labels/combined_windows.json.

    Yields:
        Tuples `(name, frame, windows)`: the name is the path below data/, the frame has
        the columns `timestamp` (datetime64) and `value` (float64), the windows are a list
        of `(start, end)` Timestamps, both ends within, empty without anomalies.
    """
    root = Path(root)
    labels = root / "labels" / "combined_windows.json"
    if not labels.is_file():
        raise FileNotFoundError(f"NAB's folder must hold labels/combined_windows.json. Received: {root}.")
    for name, windows in json.loads(labels.read_text()).items():
        path = root / "data" / name
        if path.is_file():
            frame = pd.read_csv(path, parse_dates=["timestamp"])
            yield name, frame, [(pd.Timestamp(start), pd.Timestamp(end)) for start, end in windows]


def std_detector(train, test, k=3.0):
    """Distance to the mean of the training rows in their standard deviations."""
    scores = np.abs(test["value"].to_numpy() - train["value"].mean()) / max(train["value"].std(), 1e-9)
    return scores, scores > k


def rolling_z_detector(train, test, window=200, k=6.0):
    """Distance to the mean of the `window` rows before, in their standard deviations."""
    values = pd.concat([train["value"], test["value"]], ignore_index=True)
    before = values.shift(1).rolling(window, min_periods=20)
    spread = before.std().clip(lower=1e-9)
    scores = ((values - before.mean()).abs() / spread).fillna(0.0).to_numpy()[len(train) :]
    return scores, scores > k


def windowed_gaussian_detector(train, test, window=6400, step=100, two_sided=True):
    """NAB's windowedGaussian: 1 less the Gaussian tail of the rows before, moved on by steps.

    It flags scores of 1 in 12 digits, which is how NAB's result files keep them, and where
    its own table found the best threshold. Its present code takes a fall for no anomaly;
    `two_sided=False` does so too.
    """
    values = np.concatenate([train["value"], test["value"]])
    scores = np.zeros(len(values))
    begin, end = 0, 1
    for row in range(1, len(values)):
        seen = values[begin:end]
        distance = (values[row] - seen.mean()) / (seen.std() or 1e-6)
        scores[row] = 1 - 0.5 * math.erfc((abs(distance) if two_sided else distance) / 1.4142)
        if row < window:
            end = row + 1
        elif (row - window) % step == step - 1:
            begin, end = begin + step, end + step
    scores = np.round(scores[len(train) :], 12)
    return scores, scores >= 1


def rows_of_a_day(times):
    """How many of the rows make a day; 1 where a day is too long to be seen twice."""
    day = round(pd.Timedelta("1D") / pd.Series(times).diff().median())
    return day if 2 <= day <= len(times) / 2 else 1


def anomaly_detector(model, num_days=None, **options):
    """`AnomalyDetector` on a series; an event is one flag, in the row that raises it.

    With `num_days` a seasonal model takes the median of the same time of so many days.
    """

    def detect(train, test):
        # A clock that is put back shows times twice.
        train, times = train.drop_duplicates("timestamp"), test["timestamp"]
        if num_days is not None:
            options["model_options"] = {
                "season_length": rows_of_a_day(train["timestamp"]),
                "num_seasons": num_days,
            }
        found = judge(
            model, train, test, targets=["value"], time="timestamp", irregular="step_length", **options
        )
        rows = found.rows.drop_duplicates("time").set_index("time").reindex(times)
        scores = (rows["score"] / rows["threshold"]).replace(np.inf, 1e6).fillna(0.0).to_numpy()
        raised = times.isin([event.detected for event in found.events]) & ~times.duplicated()
        return scores, raised.to_numpy()

    return detect


# As configs/nab.yaml says: an hour's distance from what is usual.
HOUR = {
    "context_length": 1,
    "smooth": 12,
    "single_rows": False,
    "replace": [],
    "score": "scaled",
    "gap": 72,
    "new_normal": 2000,
    "validation": 0,
    "calibration": 0.8,
}
CONFORMAL = {"threshold": "rolling_conformal", "threshold_options": {"rate": 2e-3, "window": 2000}}

DETECTORS = {
    "std (k=3)": std_detector,
    "rolling z (200 rows, k=6)": rolling_z_detector,
    "windowedGaussian": windowed_gaussian_detector,
    "linear, std (k=3), events": anomaly_detector("linear_regression", gap=20, cool_down=50),
    "linear, conformal, events": anomaly_detector(
        "linear_regression", threshold="rolling_conformal", gap=20, cool_down=50
    ),
    "running median, conformal, events": anomaly_detector(
        "running_median", model_options={"rows": 4000}, **HOUR, **CONFORMAL
    ),
    "median of 7 days, std (k=3), events": anomaly_detector("seasonal_naive", num_days=7, **HOUR),
    "median of 7 days, conformal, events": anomaly_detector(
        "seasonal_naive", num_days=7, **HOUR, **CONFORMAL
    ),
}


def run_detector(detector, series):
    """Scores, flags and seconds of a detector `(train, test) -> (scores, flags)`.

    Args:
        detector: Function of two frames with `timestamp` and `value`; the arrays that it
            returns have one value for each row of the second.
        series: List of `(name, frame, windows)`.

    Returns:
        Tuple `(scores, flags, seconds)`: two dicts from series to `(rows,)`, lowest score
        and no flag in the probationary rows.
    """
    scores, flags, began = {}, {}, time.perf_counter()
    for name, frame, _ in series:
        rows = probation_rows(len(frame))
        train, test = frame.iloc[:rows], frame.iloc[rows:].reset_index(drop=True)
        score, flag = detector(train, test)
        scores[name] = np.concatenate([np.full(rows, np.min(score)), score])
        flags[name] = np.concatenate([np.zeros(rows, dtype=bool), flag])
    return scores, flags, time.perf_counter() - began


def score_row(scores, flags, series):
    """What one detector reached: a dict of the three scores, false alarms, and the best possible."""
    windows = {name: labels for name, _, labels in series}
    times = {name: frame["timestamp"] for name, frame, _ in series}
    row = {profile: nab_score(flags, windows, times, profile) for profile in NAB_PROFILES}
    outside, scored, found, known = 0, 0, 0, 0
    for name, labels in windows.items():
        normal = np.ones(len(flags[name]), dtype=bool)
        start = probation_rows(len(normal))
        for first, last in window_rows(pd.DatetimeIndex(times[name]), labels, name):
            normal[first : last + 1] = False
            found += bool(flags[name][first : last + 1].any())
            known += 1
        outside += int(flags[name][start:][normal[start:]].sum())
        scored += int(normal[start:].sum())
    row["windows found"] = f"{found} of {known}"
    row["false points per 1,000"] = 1000 * outside / scored
    row["best threshold's score"] = nab_best_threshold(scores, windows, times)[1]
    return row


def main(arguments=None):
    """Runs the detectors and prints one row for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get("TFTS_DATA", Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder of the data sets")
    parser.add_argument("--detectors", nargs="+", choices=list(DETECTORS), default=list(DETECTORS))
    chosen = parser.parse_args(arguments)
    series = list(load_nab(chosen.data / "anomaly" / "nab"))
    num_windows = sum(len(windows) for *_, windows in series)
    table = Table(
        title=f"NAB, {len(series)} of 58 series, {num_windows} windows; score 100 is perfect, 0 is silent"
    )
    for column in ("detector", *NAB_PROFILES, "found", "false per 1,000", "best threshold", "s"):
        table.add_column(column, justify="left" if column == "detector" else "right")
    for name in chosen.detectors:
        scores, flags, seconds = run_detector(DETECTORS[name], series)
        row = score_row(scores, flags, series)
        numbers = [row[profile] for profile in NAB_PROFILES]
        rest = [row["false points per 1,000"], row["best threshold's score"], seconds]
        table.add_row(name, *(f"{n:.1f}" for n in numbers), row["windows found"], *(f"{n:.1f}" for n in rest))
    table.add_section()
    for name, scores in published_scores(chosen.data / "anomaly" / "nab").iterrows():
        table.add_row(f"published, all 58: {name}", *(f"{score:.1f}" for score in scores), *[""] * 4)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
