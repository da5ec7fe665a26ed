"""A search that is killed, at whatever moment, loses nothing and repeats nothing."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]


def check_killed(folder, tuner, max_trials, kills, seed):
    """Compares a search that was killed so often with one that was not."""
    words = [str(folder), tuner, str(max_trials), str(kills), str(seed)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.tuning.cheap", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    unbroken, said = (line.split() for line in done.stdout.splitlines() if line.startswith("killed"))
    whole, broken = (
        pd.read_csv(folder / name / "results.csv").drop(columns="seconds") for name in ("whole", "broken")
    )
    assert unbroken[1] == "0"
    assert int(said[1]) >= min(kills, 2)
    assert whole["trial"].tolist() == list(range(max_trials))
    pd.testing.assert_frame_equal(broken, whole)


def test_a_search_killed_three_times_ends_like_an_unbroken_one(tmp_path):
    check_killed(tmp_path, "random", 15, 3, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("tuner", ["bayesian", "grid", "hyperband", "random"])
def test_a_search_killed_ten_times_ends_like_an_unbroken_one(tuner, tmp_path):
    check_killed(tmp_path, tuner, 25, 10, seed=1)
