"""What a search costs beside training, and what a second worker brings.

A search over an LSTM on synthetic hours, with trials of about --seconds each. The share
outside of training is what is left of the wall time when all of `model.fit` and all scoring
are taken away: proposals, building networks, pruning, files. Then the same search with one
and with two worker processes on the same cores: trials an hour, counted from the start of
the first trial to the end of the last.

    python -m benchmarks.tuning_overhead --seconds 20 --trials 12
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
SPACE = {
    "units": {"values": [16, 24, 32, 48]},
    "learning_rate": {"min": 1e-3, "max": 1e-1, "log": True},
    "batch_size": {"values": [32, 64]},
    "window_norm": {"values": ["last", "instance", "none"]},
    "linear_skip": {"values": ["all", "own", "none"]},
    "dropout": {"min": 0.0, "max": 0.3},
    "weight_decay": {"min": 1e-4, "max": 1e-1, "log": True},
    "loss": {"values": ["mse", "mae"]},
}
WINDOW = {"context_length": 60, "horizon": 10}


def seconds_apart(frame, epochs, trials):
    """Seconds of one search by where they went.

    Args:
        frame: DataFrame, the rows to search on.
        epochs: Of each trial.
        trials: Number of trials.

    Returns:
        Dict from name to seconds.
    """
    from tfts import Forecaster, search
    from tfts.tuning import oracles, searching

    spent = {"training": 0.0, "scoring": 0.0, "proposals": 0.0, "pruning": 0.0}

    def timed(owner, name, what):
        before = getattr(owner, name)

        def call(*args, **options):
            began = time.perf_counter()
            try:
                return before(*args, **options)
            finally:
                spent[what] += time.perf_counter() - began

        setattr(owner, name, call)
        return owner, name, before

    import tfts.predictors.network as network

    undo = [
        timed(network, "train_network", "training"),
        timed(Forecaster, "evaluate", "scoring"),
        timed(oracles.ORACLES["bayesian"], "populate_space", "proposals"),
        timed(searching._Watch, "on_epoch_end", "pruning"),
    ]
    try:
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            search(
                "lstm_attention",
                frame,
                space=SPACE,
                max_trials=trials,
                pruning=False,
                directory=folder,
                training={"epochs": epochs, "patience": None},
                verbose=0,
                **WINDOW,
            )
            wall = time.perf_counter() - began
    finally:
        for owner, name, before in undo:
            setattr(owner, name, before)
    # The watch runs inside of the training.
    spent["training"] -= spent["pruning"]
    return {"wall": wall, **spent, "rest": wall - sum(spent.values())}


def rate(workers, epochs, trials, steps):
    """Trials an hour of so many worker processes, from `tfts tune --workers`."""
    settings = {
        "data": {"source": "synthetic", "options": {"num_steps": steps}, "targets": ["x1"]},
        "window": WINDOW,
        "training": {"epochs": epochs, "patience": None},
        "tune": {
            "model": "lstm_attention",
            "space": SPACE,
            "max_trials": trials,
            "pruning": False,
            "refit": False,
            # Settings that are the same for both: the second search would look elsewhere.
            "tuner": "random",
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "overhead.yaml").write_text(json.dumps(settings))
        words = ["tune", "overhead.yaml", "--output", "out", "--workers", str(workers)]
        subprocess.run(
            [sys.executable, "-c", "from tfts.cli import main; main()", *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        spans = []
        for path in Path(folder).glob("out/search/trial_*/record.json"):
            end, seconds = path.stat().st_mtime, json.loads(path.read_text())["seconds"]
            spans.append((end - seconds, end))
    return 3600 * len(spans) / (max(end for _, end in spans) - min(start for start, _ in spans))


def main(arguments=None):
    """Measures both and prints them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20, help="that a trial should take")
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--steps", type=int, default=2000, help="rows of the series")
    parser.add_argument("--only", choices=["overhead", "workers"])
    chosen = parser.parse_args(arguments)
    from tfts import Forecaster, make_series

    frame, console = make_series(num_steps=chosen.steps, seed=0).frame[["x1"]], Console(width=100)
    times = []
    for epochs in (2, 6):
        trial = Forecaster("lstm_attention", **WINDOW, model_options={"units": 32})
        times.append(trial.fit(frame, epochs=epochs, verbose=0, jit_compile=False).fit_seconds_)
    # The rest of the first fit is the compilation.
    epochs = max(2, round((chosen.seconds - times[0]) / max((times[1] - times[0]) / 4, 1e-3)) + 2)
    if chosen.only != "workers":
        spent = seconds_apart(frame, epochs, chosen.trials)
        table = Table("what", "seconds", "share", title=f"{chosen.trials} trials of {epochs} epochs")
        for name, seconds in spent.items():
            table.add_row(name, f"{seconds:.2f}", f"{seconds / spent['wall']:.1%}")
        outside = 1 - (spent["training"] + spent["scoring"]) / spent["wall"]
        table.add_row("outside of training and scoring", "", f"{outside:.1%}")
        console.print(table)
    if chosen.only != "overhead":
        rates = {n: rate(n, epochs, chosen.trials, chosen.steps) for n in (1, 2)}
        console.print(
            f"Trials an hour: {rates[1]:.0f} with one worker, {rates[2]:.0f} with two, "
            f"{rates[2] / rates[1]:.2f} times as many; {os.cpu_count()} cores."
        )


if __name__ == "__main__":
    main()
