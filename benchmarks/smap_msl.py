"""Detectors on the telemetry of two spacecraft (SMAP and MSL), channel by channel.

Each detector sees the training part of a channel, which is taken for normal, then scores
and flags the test part; the labels are read only to measure. Column 0 is the telemetry,
the others are commands. Shown are means over the channels. Point-adjusted F1, which papers
quote (PA), stands beside its value for as many random flags: it does not tell them apart.

    python -m benchmarks.smap_msl --data FOLDER
"""

import argparse
import ast
import io
import os
import tarfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.judging import judge
from tfts.anomaly.evaluation import evaluate

# What `AnomalyDetector` does without any option.
DEFAULT = "lstm, std (k=3)"
COLUMNS = [
    "vus_pr",
    "auc_pr",
    "event_f1",
    "event_precision",
    "event_recall",
    "affiliation_f1",
    "false_alarms",
]
COLUMNS += ["point_adjusted_f1", "point_adjusted_f1_random"]


def load_smap_msl(root):
    """Yields name, training part, test part and labels of every labelled channel.

    Args:
        root: Folder that holds SMAP.tar.gz (both spacecraft) and labeled_anomalies.csv.

    Yields:
        Tuples `(name, train, test, labels)`: float32 `(rows, num_columns)` twice, and
        bools `(test rows,)`. A channel with two lines of labels has the rows of both.
    """
    root = Path(root)
    table = root / "labeled_anomalies.csv"
    if not table.is_file():
        raise FileNotFoundError(f"The folder must hold labeled_anomalies.csv. Received: {root}.")
    sequences = pd.read_csv(table).groupby("chan_id", sort=True)["anomaly_sequences"].agg(list)
    with tarfile.open(root / "SMAP.tar.gz") as archive:
        arrays = {
            tuple(Path(member.name).with_suffix("").parts[-2:]): np.load(
                io.BytesIO(archive.extractfile(member).read()), allow_pickle=False
            )
            for member in archive
            if member.name.endswith(".npy")
        }
    for name, lines in sequences.items():
        test = arrays["test", name].astype(np.float32)
        labels = np.zeros(len(test), dtype=bool)
        for line in lines:
            for first, last in ast.literal_eval(line):
                labels[first : last + 1] = True
        yield name, arrays["train", name].astype(np.float32), test, labels


def std_detector(train, test, k=3.0):
    """Distance of the telemetry to its training mean, in training standard deviations."""
    scores = np.abs(test[:, 0] - train[:, 0].mean()) / max(train[:, 0].std(), 1e-6)
    return scores, scores > k


def rolling_z_detector(train, test, window=100, k=6.0):
    """Distance of the telemetry to the `window` rows before, in their standard deviations."""
    values = pd.Series(np.concatenate([train[-window:, 0], test[:, 0]]).astype(np.float64))
    before = values.shift(1).rolling(window, min_periods=20)
    spread = before.std().clip(lower=max(float(train[:, 0].std()), 1e-6) / 20)
    scores = ((values - before.mean()).abs() / spread).fillna(0.0).to_numpy()[len(values) - len(test) :]
    return scores, scores > k


def random_detector(train, test, rate=0.002):
    """Scores without any sense, 0.2 % of the rows flagged, to set the others beside."""
    scores = np.random.default_rng(len(test)).random(len(test))
    return scores, scores > 1 - rate


def anomaly_detector(model, **options):
    """`AnomalyDetector` on the telemetry, which knows the commands of the row that it judges."""

    def detect(train, test):
        times = pd.date_range("2000-01-01", periods=len(train) + len(test), freq="min")
        # A command that was never given in the training part can teach nothing.
        kept = np.flatnonzero(np.ptp(train, axis=0) > 0)
        kept = np.append(0, kept[kept > 0])
        columns = ["telemetry", *(f"command_{column}" for column in kept[1:])]
        frames = [
            pd.DataFrame(part[:, kept], columns=columns, index=index)
            for part, index in ((train, times[: len(train)]), (test, times[len(train) :]))
        ]
        rows = judge(model, *frames, targets=["telemetry"], **options).rows
        rows = rows.set_index("time").reindex(times[len(train) :])
        # Rows before the first judged one have no score.
        return rows["score"].fillna(0.0).to_numpy(), rows["flag"].eq(True).to_numpy()

    return detect


# A detector is a function (train, test) -> (scores, flags) of arrays (rows, num_columns).
DETECTORS = {
    "random": random_detector,
    "std (k=3)": std_detector,
    "rolling z (k=6)": rolling_z_detector,
    "running median, std (k=3)": anomaly_detector("running_median"),
    "linear, std (k=3)": anomaly_detector("linear_regression"),
    "linear, conformal": anomaly_detector("linear_regression", threshold="rolling_conformal"),
    DEFAULT: anomaly_detector("lstm_regressor"),
    "pca windows, conformal": anomaly_detector("pca_windows", threshold="rolling_conformal"),
}


def score_channels(detector, channels):
    """A row of `evaluate` for each channel, with the seconds that the detector took.

    Args:
        detector: Function `(train, test) -> (scores, flags)`.
        channels: List of `(name, train, test, labels)`.

    Returns:
        `pandas.DataFrame` indexed by channel.
    """
    rows = []
    for name, train, test, labels in channels:
        began = time.perf_counter()
        scores, flags = detector(train, test)
        seconds = time.perf_counter() - began
        # Where a detector has nothing to say, it says what it says least.
        scores = np.where(np.isfinite(scores), scores, np.nanmin(scores))
        rows.append(evaluate(labels, flags, scores, name=name).assign(seconds=seconds))
    return pd.concat(rows)


def verdict(means):
    """Says by how much the default is behind the best other detector, for each main measure.

    Args:
        means: Dict from detector to its means, with `vus_pr` and `event_f1`.

    Returns:
        List of sentences; empty if the default, or all others, did not run.
    """
    others = {name: values for name, values in means.items() if name != DEFAULT}
    if DEFAULT not in means or not others:
        return []
    sentences = []
    for measure in ("vus_pr", "event_f1"):
        best = max(others, key=lambda name: others[name][measure])
        behind = others[best][measure] - means[DEFAULT][measure]
        where = "within 0.02 of" if behind <= 0.02 else "more than 0.02 behind"
        sentences.append(f"{measure}: the default is {where} the best other, {best} ({-behind:+.3f}).")
    return sentences


def main(arguments=None):
    """Runs the detectors and prints one row for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get("TFTS_DATA", Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder of the data sets")
    parser.add_argument("--detectors", nargs="+", choices=list(DETECTORS), default=list(DETECTORS))
    parser.add_argument("--channels", type=int, help="first channels only")
    chosen = parser.parse_args(arguments)
    channels = list(load_smap_msl(chosen.data / "anomaly" / "smap_msl"))[: chosen.channels]
    table = Table(title=f"SMAP and MSL, means over {len(channels)} channels")
    for column in (
        "detector",
        *(name.replace("_", " ").replace("point adjusted", "PA") for name in COLUMNS),
        "s",
    ):
        table.add_column(column, justify="left" if column == "detector" else "right")
    shown = {}
    for name in chosen.detectors:
        found = score_channels(DETECTORS[name], channels)
        # A channel without any alarm has no precision; its F1 is 0.
        means = found[COLUMNS].fillna({"affiliation_f1": 0.0, "event_precision": 0.0}).mean()
        shown[name] = means
        table.add_row(name, *(f"{value:.3f}" for value in means), f"{found['seconds'].sum():.1f}")
    console = Console(width=160)
    console.print(table)
    for sentence in verdict(shown):
        console.print(sentence)


if __name__ == "__main__":
    main()
