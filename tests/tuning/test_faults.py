"""A search that is killed, at whatever moment, loses nothing and repeats nothing."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]


def killed_search(folder, tuner, max_trials, kills, seed):
    """The results of a search that was killed so often, and what its process said."""
    words = [str(folder), tuner, str(max_trials), str(kills), str(seed)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.tuning.cheap", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return pd.read_csv(folder / "results.csv").drop(columns="seconds"), done.stdout.split()


def check_killed(tmp_path, tuner, max_trials, kills, seed):
    whole, _ = killed_search(tmp_path / "whole", tuner, max_trials, 0, seed)
    broken, said = killed_search(tmp_path / "broken", tuner, max_trials, kills, seed)
    assert int(said[1]) >= min(kills, 2)
    assert whole["trial"].tolist() == list(range(max_trials))
    pd.testing.assert_frame_equal(broken, whole)


def test_a_search_killed_three_times_ends_like_an_unbroken_one(tmp_path):
    check_killed(tmp_path, "random", 15, 3, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("tuner", ["bayesian", "grid", "hyperband", "random"])
def test_a_search_killed_ten_times_ends_like_an_unbroken_one(tuner, tmp_path):
    check_killed(tmp_path, tuner, 25, 10, seed=1)
