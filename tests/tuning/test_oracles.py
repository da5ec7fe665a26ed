import json
import shutil

import pytest

from tests.tuning.cheap import SPACE, planted
from tfts.models import linear
from tfts.tuning.oracles import ORACLES, trial_folder
from tfts.tuning.space import Space

EXTRA = {"hyperband": {"max_epochs": 9}}


def oracle(folder, tuner="random", max_trials=7, space=SPACE, **options):
    made = ORACLES[tuner](
        Space(space, linear), "val_rmse", max_trials, seed=3, **EXTRA.get(tuner, {}), **options
    )
    made._set_project_dir(str(folder.parent), folder.name)
    made.reload()
    return made


def begin(made, worker="tuner0"):
    return made.create_trial(worker)


def end(made, trial, error=planted):
    made.update_trial(trial.trial_id, {"val_rmse": error(made.settings(trial))})
    trial.status = "COMPLETED"
    made.end_trial(trial)


def run(made):
    while True:
        trial = begin(made)
        if trial.status == "STOPPED":
            return [made.settings(made.trials[name]) for name in sorted(made.trials)]
        end(made, trial)


@pytest.mark.parametrize("tuner", ORACLES)
def test_the_defaults_come_first_and_the_rest_within_the_space(tuner, tmp_path):
    tried = run(oracle(tmp_path / "s", tuner))
    assert len(tried) == 7
    assert tried[0] == {"learning_rate": 0.003, "batch_size": 64, "window_norm": "last"}
    assert all(1e-4 <= settings["learning_rate"] <= 1 for settings in tried)


@pytest.mark.parametrize("tuner", ["bayesian", "grid", "random"])
def test_a_finite_space_is_tried_once_and_the_search_ends(tuner, tmp_path):
    space = {"batch_size": {"values": [3, 5, 64]}, "window_norm": {"values": ["none", "last"]}}
    made = oracle(tmp_path / "s", tuner, max_trials=50, space=space)
    tried = run(made)
    assert len({json.dumps(settings) for settings in tried}) == len(tried) == 6
    assert made.exhausted


def test_hyperband_gives_its_best_more_epochs(tmp_path):
    made = oracle(tmp_path / "s", "hyperband", max_trials=20)
    run(made)
    epochs = {}
    for trial in list(made.trials.values())[1:]:
        epochs.setdefault(trial.hyperparameters.values["tuner/epochs"], []).append(trial.score)
    assert sorted(epochs) == [1, 3, 9]
    assert max(epochs[3]) <= sorted(epochs[1])[len(epochs[3])]


def test_the_bayesian_search_finds_what_was_planted(tmp_path):
    tried = run(oracle(tmp_path / "s", "bayesian", max_trials=24))
    best = min(tried, key=planted)
    assert (best["batch_size"], best["window_norm"]) == (32, "last")
    assert 0.004 < best["learning_rate"] < 0.025


@pytest.mark.parametrize("tuner", ORACLES)
def test_a_search_that_was_stopped_goes_on_as_if_it_had_not_been(tuner, tmp_path):
    whole = run(oracle(tmp_path / "whole", tuner))
    made = oracle(tmp_path / "broken", tuner)
    for _ in range(3):
        end(made, begin(made))
    begin(made)
    made = oracle(tmp_path / "broken", tuner)
    # The trial that was running comes again under its number.
    assert int(begin(made).trial_id) == 3
    end(made, made.trials["3"])
    assert run(made) == whole


def test_a_kill_between_the_files_that_begin_a_trial_means_it_has_not_begun(tmp_path):
    made = oracle(tmp_path / "s")
    end(made, begin(made))
    state = (tmp_path / "s" / "oracle.json").read_text()
    second = made.settings(begin(made))
    (tmp_path / "s" / "oracle.json").write_text(state)
    made = oracle(tmp_path / "s")
    assert list(made.trials) == ["0"]
    assert not trial_folder(tmp_path / "s", 1).exists()
    assert made.settings(begin(made)) == second


def test_a_kill_between_the_files_that_end_a_trial_means_it_has_ended(tmp_path):
    made = oracle(tmp_path / "s")
    first = begin(made)
    state = (tmp_path / "s" / "oracle.json").read_text()
    end(made, first)
    (tmp_path / "s" / "oracle.json").write_text(state)
    made = oracle(tmp_path / "s")
    assert made.end_order == ["0"]
    assert begin(made).trial_id == "1"


def test_a_kill_before_the_first_state_leaves_nothing(tmp_path):
    made = oracle(tmp_path / "s")
    begin(made)
    (tmp_path / "s" / "oracle.json").unlink()
    assert oracle(tmp_path / "s").trials == {}
    assert not trial_folder(tmp_path / "s", 0).exists()


def test_an_unfinished_file_beside_the_state_is_not_read(tmp_path):
    made = oracle(tmp_path / "s")
    end(made, begin(made))
    (tmp_path / "s" / "partial-oracle.json").write_text('{"half": ')
    assert list(oracle(tmp_path / "s").trials) == ["0"]


def test_the_trial_of_a_dead_worker_goes_to_another(tmp_path):
    made = oracle(tmp_path / "s")
    lost = begin(made, "one")
    end(made, begin(made, "two"))
    made = oracle(tmp_path / "s")
    assert begin(made, "two").trial_id == lost.trial_id


def test_the_budget_is_counted_over_resumed_searches(tmp_path):
    made = oracle(tmp_path / "s", budget_seconds=1000)
    end(made, begin(made))
    state = json.loads((tmp_path / "s" / "oracle.json").read_text())
    (tmp_path / "s" / "oracle.json").write_text(json.dumps({**state, "seconds": 1001.0}))
    made = oracle(tmp_path / "s", budget_seconds=1000)
    assert made.seconds_left() < 0
    assert begin(made).status == "STOPPED"
    # More time is more trials.
    assert begin(oracle(tmp_path / "s", budget_seconds=2000)).status == "RUNNING"


def test_more_trials_can_be_asked_for_later(tmp_path):
    assert len(run(oracle(tmp_path / "s", max_trials=4))) == 4
    assert run(oracle(tmp_path / "s", max_trials=7)) == run(oracle(tmp_path / "t", max_trials=7))
    shutil.rmtree(tmp_path / "t")


def test_settings_are_not_changed_by_what_a_worker_sends_back(tmp_path):
    made = oracle(tmp_path / "s")
    end(made, begin(made))
    trial = begin(made)
    wanted = made.settings(trial)
    sent = type(trial).from_state(trial.get_state())
    sent.hyperparameters.values["learning_rate"] += 1e-9
    end(made, sent)
    assert made.settings(made.trials["1"]) == wanted
