import hashlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from tfts.config import BenchmarkSettings, Peer, parse_settings
from tfts.experiment import peers
from tfts.experiment.benchmark import benchmark
from tfts.experiment.suite_plan import plan
from tfts.experiment.suite_run import score_peer

SUITE = """
data: {source: synthetic, options: {num_steps: 400}}
split: {validation: 61, test: 71}
protocol: {context_length: 23, horizons: [5, 7], windows: [67, 65]}
seeds: [0, 1]
baselines: {persistence: {}}
peers: {nf_dlinear: {model: DLinear, horizons: [7], options: {input_size: 23, max_steps: 20}}}
"""


def test_peers_are_run_with_each_seed_for_their_horizons():
    settings = parse_settings(SUITE, kind=BenchmarkSettings)
    assert list(plan(settings)) == ["5-persistence", "7-persistence", "7-nf_dlinear-0", "7-nf_dlinear-1"]
    with pytest.raises(ValueError, match="The suite names no peers"):
        benchmark(parse_settings(SUITE, ["peers={}"], kind=BenchmarkSettings), "run", peers="peers")


def test_an_environment_needs_the_checkout_and_a_folder_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty and holds no environment for the peers"):
        peers.environment(tmp_path)
    monkeypatch.setattr(peers, "_FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match="--peers needs a checkout of the repository"):
        peers.environment(tmp_path / "env")


def test_an_environment_that_can_not_be_made_says_what_pip_says(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "_FOLDER", tmp_path)
    (tmp_path / "requirements.txt").write_text("./no-such-folder\n")
    with pytest.raises(ValueError, match=r"(?s)can't be made: .*pip install.* says:.*no-such-folder"):
        peers.environment(tmp_path / "env")
    assert (tmp_path / "env" / "pyvenv.cfg").is_file()


def test_an_environment_of_these_requirements_is_kept(tmp_path):
    requirements = (peers._FOLDER / "requirements.txt").read_bytes()
    (tmp_path / "peers.txt").write_text(hashlib.sha256(requirements).hexdigest())
    assert peers.environment(tmp_path).parts[: len(tmp_path.parts)] == tmp_path.parts
    assert [path.name for path in tmp_path.iterdir()] == ["peers.txt"]


def test_what_a_peer_says_when_it_fails_is_told():
    message = "DLinear of neuralforecast can't be run: ModuleNotFoundError: No module named 'neuralforecast'"
    with pytest.raises(ValueError, match=message):
        peers.peer_forecasts(Peer(model="DLinear"), np.zeros((31, 2), np.float32), 3, 7, 7, 0, sys.executable)


def test_a_peer_takes_one_series():
    settings = parse_settings(SUITE, ["data.calendar=[24h]"], kind=BenchmarkSettings)
    with pytest.raises(ValueError, match=r"without columns known ahead.*data\.calendar=\['24h'\]"):
        score_peer(settings, "nf_dlinear", 7, 0, "python")


@pytest.mark.slow
@pytest.mark.skipif("TFTS_PEERS" not in os.environ, reason="needs the folder of --peers in $TFTS_PEERS")
def test_a_peer_is_scored_on_the_same_windows():
    python = Path(os.environ["TFTS_PEERS"], "bin", "python")
    settings = parse_settings(SUITE, kind=BenchmarkSettings)
    record, losses = score_peer(settings, "nf_dlinear", 7, 0, python)
    assert record["windows"] == 65
    assert losses["mse"].shape == (65,)
    # Two maps of 23 rows to 7, each with its intercepts.
    assert record["parameters"] == 2 * (23 + 1) * 7
    wrong = parse_settings(SUITE, ["peers.nf_dlinear.model=DLiner"], kind=BenchmarkSettings)
    with pytest.raises(ValueError, match="neuralforecast has no model 'DLiner'"):
        score_peer(wrong, "nf_dlinear", 7, 0, python)
