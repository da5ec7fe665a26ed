import json
import math

import numpy as np
import pandas as pd
import pytest

from tests.tuning.cheap import CheapTrials, cheap_search, planted
from tfts.data.panel import Panel
from tfts.data.split import chronological_split
from tfts.forecaster import Forecaster
from tfts.tuning import Search, search
from tfts.tuning.fits import PENALTY

FAST = {"epochs": 2, "batch_size": 64}


@pytest.fixture(scope="module")
def frame():
    hours = pd.date_range("2024-01-01", periods=200, freq="h")
    noise = np.random.default_rng(0).standard_normal(200)
    return pd.DataFrame({"load": 10 + np.sin(np.arange(200) * 2 * np.pi / 24) + 0.1 * noise}, index=hours)


SPACE = {
    "learning_rate": {"min": 1e-3, "max": 1e-1, "log": True},
    "scaler": {"values": ["standard", "minmax"]},
    "context_length": {"values": [11, 23]},
}


def real_search(frame, folder, **changes):
    options = {"context_length": 11, "horizon": 3, "space": SPACE, "max_trials": 3, "training": FAST}
    return search("linear", frame, **{**options, "directory": folder, "verbose": 0, **changes})


@pytest.fixture(scope="module")
def found(frame, tmp_path_factory):
    return real_search(frame, tmp_path_factory.mktemp("real") / "search")


def test_the_table_holds_every_trial_and_setting(found):
    table = found.results()
    assert table["trial"].tolist() == [0, 1, 2]
    assert table.columns.tolist()[-3:] == ["learning_rate", "scaler", "context_length"]
    assert (table["status"] == "finished").all()
    assert table.loc[0, ["learning_rate", "scaler", "context_length"]].tolist() == [0.003, "standard", 11]
    assert table.loc[0, "reason"] == "the defaults"
    written = pd.read_csv(found.directory / "results.csv")
    np.testing.assert_allclose(written["score"], table["score"])


def test_the_score_is_that_of_evaluate_on_the_validation_rows(found, frame):
    settings = found.best_settings
    kept = found.best_forecaster(refit=False)
    again = Forecaster(
        "linear", context_length=settings["context_length"], horizon=3, scaler=settings["scaler"]
    ).fit(frame, **{**FAST, "learning_rate": settings["learning_rate"], "verbose": 0})
    valid = chronological_split(kept.panel(frame), validation=0.15, test=0).validation
    for forecaster in (kept, again):
        score = forecaster.evaluate(valid, ["rmse"])["rmse"][0]
        np.testing.assert_allclose(score, found.best_score, rtol=1e-5)


def test_the_score_is_on_the_curve(found):
    curves = found.curves()
    best = curves[curves["trial"] == found.best_trial].set_index("epoch")["value"]
    assert best[found.best_epochs] == found.best_score


def test_the_refitted_forecaster_has_seen_the_last_row(found, frame):
    refitted = found.best_forecaster()
    assert len(refitted.history_["loss"]) == found.best_epochs
    last = refitted.predict(frame)
    assert last["origin"][0] == frame.index[-1]
    # The mean of all 200 rows, not of the first 170.
    if refitted.settings["scaler"] == "standard":
        np.testing.assert_allclose(refitted.scaler_.offset, frame["load"].mean(), rtol=1e-5)


def test_the_same_call_repeats_no_trial(found, frame):
    before = found.results()
    pd.testing.assert_frame_equal(real_search(frame, found.directory).results(), before)


def test_a_loaded_search_tells_the_same(found):
    loaded = Search.load(found.directory)
    assert (loaded.best_trial, loaded.objective) == (found.best_trial, "val_rmse")
    assert loaded.space["names"] == ["learning_rate", "scaler", "context_length"]
    assert loaded.best_forecaster(refit=False).name == "linear"
    with pytest.raises(ValueError, match=r"loaded has no data to refit on. .* or give refit=False"):
        loaded.best_forecaster()


def test_another_search_in_the_folder_is_refused(found, frame):
    with pytest.raises(ValueError, match=r"another search \(changed: objective\)"):
        real_search(frame, found.directory, objective="val_mae")
    with pytest.raises(ValueError, match=r"\(changed: training rows, validation rows\)"):
        real_search(frame + 1, found.directory)


def test_a_folder_of_something_else_is_refused(frame, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="not empty and holds no search"):
        real_search(frame, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"holds no search: search.json is not there"):
        Search.load(tmp_path)


def test_test_rows_are_not_looked_at(frame, tmp_path):
    poisoned = frame.copy()
    poisoned.iloc[-30:] = 1e6
    scores = []
    for table in (frame, poisoned):
        parts = chronological_split(Panel.from_frame(table), 0.15, 0.15)
        made = real_search(parts, tmp_path / str(len(scores)), space={"learning_rate": SPACE["learning_rate"]},
                           max_trials=1)  # fmt: skip
        scores.append(made.best_score)
        offset = made.best_forecaster(refit=False).scaler_.offset[0]
        assert offset < 100
    parts = chronological_split(Panel.from_frame(frame), 0.15, 0.15)
    assert scores[0] == scores[1]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"tuner": "bayes"}, "Unknown tuner 'bayes'. .*Did you mean 'bayesian'"),
        ({"objective": "rmse"}, "Unknown objective 'rmse'. .*val_rmse"),
        ({"space": "wide"}, "Unknown space 'wide'"),
        ({"space": {"unitz": {"values": [3]}}}, "Unknown setting 'unitz'"),
        ({"space": {"window_norm": {"values": ["mean"]}}}, "can't be fitted, .*Unknown window_norm 'mean'"),
        ({"space": {"optimizer": {"values": ["adam", "sgd"]}}}, "Unknown optimizer 'sgd'"),
        ({"space": {"scaler": {"values": ["standart"]}}}, "Unknown scaler 'standart'"),
        ({"space": {"loss": {"values": ["mean_error"]}}}, "can't be fitted.*mean_error"),
        ({"space": {"context_length": {"values": [11, 199]}}}, "There are too few rows for one window"),
        (
            {"space": {"batch_size": {"values": [0, 8]}}},
            "`batch_size` must be 'auto' or an int >= 1. Received: batch_size=0",
        ),
        (
            {"space": {"optimizer": {"values": ["adam"]}, "weight_decay": {"min": 1e-5, "max": 1e-2}}},
            "`weight_decay` belongs to optimizer='adamw'",
        ),
        ({"max_trials": 0}, "`max_trials` must be an int >= 1. Received: max_trials=0"),
        ({"executions_per_trial": 0}, "`executions_per_trial` must be an int >= 1"),
        ({"rolling_origins": 0}, "`rolling_origins` must be an int >= 1"),
        ({"rolling_origins": 29}, "There are too few rows for one window"),
        ({"budget_seconds": 0}, "`budget_seconds` must be above 0"),
        ({"training": {"epoch": 3}}, "Unknown option of fit 'epoch'"),
        ({"validation": 0}, "`validation` must be above 0"),
        ({"context_length": None}, "`context_length` and `horizon` are needed"),
    ],
)
def test_what_can_not_be_searched_is_refused_before_the_first_trial(changes, complaint, frame, tmp_path):
    with pytest.raises(ValueError, match=complaint):
        real_search(frame, tmp_path / "s", **changes)
    assert not (tmp_path / "s").exists()


def test_an_unknown_model_is_refused(frame):
    with pytest.raises(ValueError, match="Unknown model 'liner'"):
        search("liner", frame, context_length=7, horizon=1)
    with pytest.raises(ValueError, match="must be a name of MODELS or a builder"):
        search(3, frame, context_length=7, horizon=1)


def test_a_diverged_trial_has_a_large_score_and_its_reason(monkeypatch, tmp_path):
    def error(settings):
        return None if settings["window_norm"] == "none" else planted(settings)

    made = cheap_search(
        monkeypatch, CheapTrials(error), directory=tmp_path / "s", tuner="random", max_trials=9
    )
    table = made.results()
    lost = table[table["window_norm"] == "none"]
    assert len(lost) > 0
    assert (lost["status"] == "diverged").all()
    assert (lost["score"] == PENALTY).all()
    assert lost["reason"].str.startswith("Training diverged").all()
    assert len(table) == 9
    assert made.best_settings["window_norm"] != "none"


def test_a_trial_that_fails_is_told_of_and_the_search_goes_on(monkeypatch, tmp_path):
    def error(settings):
        if settings["batch_size"] == 16:
            raise MemoryError("no room for 16")
        return planted(settings)

    made = cheap_search(
        monkeypatch, CheapTrials(error), directory=tmp_path / "s", tuner="random", max_trials=9
    )
    table = made.results()
    failed = table[table["batch_size"] == 16]
    assert (failed["status"] == "failed").all()
    assert set(failed["reason"]) == {"MemoryError: no room for 16"}
    assert failed["score"].isna().all()
    assert len(table) == 9


def test_two_first_trials_that_fail_alike_end_the_search_with_the_error(monkeypatch, tmp_path):
    def error(settings):
        raise KeyError("no such layer")

    trials = CheapTrials(error)
    with pytest.raises(
        ValueError, match="first two trials failed in the same way: KeyError: 'no such layer'"
    ) as caught:
        cheap_search(monkeypatch, trials, directory=tmp_path / "s")
    assert isinstance(caught.value.__cause__, KeyError)
    assert len(trials.fitted) == 2
    # When the mistake is mended nothing of it is left.
    trials.error = planted
    made = cheap_search(monkeypatch, trials, directory=tmp_path / "s", max_trials=3)
    assert (made.results()["status"] == "finished").all()


def test_bad_trials_are_pruned_by_the_median_after_the_same_epoch(monkeypatch, tmp_path):
    trials = CheapTrials(epochs=8)
    made = cheap_search(monkeypatch, trials, directory=tmp_path / "s", tuner="random", max_trials=20)
    table, curves = made.results(), made.curves()
    pruned = table[table["status"] == "pruned"]
    assert len(pruned) >= 3
    # Five trials to compare with, and two of eight epochs for each.
    assert pruned["trial"].min() >= 5
    assert pruned["reason"].iloc[0] == "worse than the median after epoch 3"
    first = pruned["trial"].iloc[0]
    earlier = curves[(curves["trial"] < first) & (curves["epoch"] <= 3)].groupby("trial")["value"].min()
    own = curves[curves["trial"] == first]["value"]
    assert len(own) == 3
    assert own.min() > earlier.median()


def test_pruning_can_be_left_out(monkeypatch, tmp_path):
    made = cheap_search(
        monkeypatch,
        CheapTrials(epochs=8),
        directory=tmp_path / "s",
        tuner="random",
        max_trials=12,
        pruning=False,
    )
    assert (made.results()["status"] == "finished").all()


def test_seeds_and_rolling_parts_are_averaged(monkeypatch, tmp_path):
    trials = CheapTrials(parts=3)
    made = cheap_search(
        monkeypatch, trials, directory=tmp_path / "s", max_trials=1, executions_per_trial=2, seed=5
    )
    assert [(part, seed) for _, part, seed, _ in trials.fitted] == [
        (part, seed) for seed in (5, 6) for part in (0, 1, 2)
    ]
    assert len(made.curves()) == 2 * 3 * 4


def test_hyperband_fits_with_the_epochs_of_its_round(monkeypatch, tmp_path):
    trials = CheapTrials(epochs=9)
    made = cheap_search(monkeypatch, trials, directory=tmp_path / "s", tuner="hyperband", max_trials=16)
    epochs = [epochs for *_, epochs in trials.fitted]
    # The defaults with all epochs, then a bracket of 9 trials with 1 epoch and more for the best.
    assert epochs[:10] == [None, *[1] * 9]
    assert {3, 9} <= set(epochs[10:])
    assert len(made.results()) == 16


def test_the_budget_ends_the_search_but_not_the_first_trial(monkeypatch, tmp_path):
    trials = CheapTrials(epochs=4, seconds=0.02)
    made = cheap_search(monkeypatch, trials, directory=tmp_path / "s", budget_seconds=0.01, max_trials=9)
    assert made.results()["status"].tolist() == ["finished"]
    made = cheap_search(monkeypatch, trials, directory=tmp_path / "t", budget_seconds=0.25, max_trials=99)
    assert made.results()["status"].iloc[0] == "finished"
    assert len(made.results()) < 20


def test_ctrl_c_ends_with_the_best_so_far(monkeypatch, tmp_path, capsys):
    class Stopped(CheapTrials):
        def fit(self, *args, **options):
            if len(self.fitted) == 3:
                self.fitted.append(None)
                raise KeyboardInterrupt
            return super().fit(*args, **options)

    trials = Stopped()
    made = cheap_search(monkeypatch, trials, directory=tmp_path / "s", max_trials=6, verbose=1)
    assert len(made.results()) == 3
    assert (made.complete, made.interrupted) == (False, True)
    assert made.best_trial in (0, 1, 2)
    said = capsys.readouterr().out
    assert "Stopped" in said
    assert "trial 1 of 6 finished" in said
    made = cheap_search(monkeypatch, trials, directory=tmp_path / "s", max_trials=6)
    assert made.results()["trial"].tolist() == list(range(6))


def test_a_kill_after_the_record_does_not_fit_again(monkeypatch, tmp_path):
    trials = CheapTrials()
    cheap_search(monkeypatch, trials, directory=tmp_path / "s", max_trials=3)
    path = tmp_path / "s" / "trial_0002" / "trial.json"
    trial, state = json.loads(path.read_text()), json.loads((tmp_path / "s" / "oracle.json").read_text())
    path.write_text(json.dumps({**trial, "status": "RUNNING", "score": None}))
    ongoing = {"ongoing_trials": {"tuner0": "2"}, "end_order": ["0", "1"]}
    (tmp_path / "s" / "oracle.json").write_text(json.dumps({**state, **ongoing}))
    made = cheap_search(monkeypatch, trials, directory=tmp_path / "s", max_trials=3)
    assert len(trials.fitted) == 3
    assert made.results()["trial"].tolist() == [0, 1, 2]


def test_a_default_outside_of_the_space_is_still_trial_0_and_says_so(monkeypatch, tmp_path):
    space = {"batch_size": {"values": [3, 5]}, "learning_rate": {"min": 0.1, "max": 0.2}}
    made = cheap_search(
        monkeypatch, CheapTrials(lambda s: 1.0), directory=tmp_path / "s", space=space, max_trials=4
    )
    table = made.results()
    assert table.loc[0, ["batch_size", "learning_rate"]].tolist() == [64, 0.003]
    assert table.loc[0, "reason"] == "the defaults; outside of the space: batch_size=64, learning_rate=0.003"
    assert table["learning_rate"][1:].between(0.1, 0.2).all()


def test_an_exhausted_space_is_told(monkeypatch, tmp_path, capsys):
    space = {"batch_size": {"values": [32, 64]}}
    made = cheap_search(monkeypatch, CheapTrials(), directory=tmp_path / "s", space=space, verbose=1)
    assert made.results()["batch_size"].tolist() == [64, 32]
    assert "all of its points were tried (2 trials)" in " ".join(capsys.readouterr().out.split())


def test_only_the_best_network_is_kept(monkeypatch, tmp_path):
    made = cheap_search(monkeypatch, CheapTrials(), directory=tmp_path / "s", tuner="random", max_trials=9)
    kept = [path.parent.name for path in (tmp_path / "s").glob("trial_*/model")]
    assert kept == [f"trial_{made.best_trial:04d}"]


def test_nothing_finished_has_no_best(monkeypatch, tmp_path):
    made = cheap_search(monkeypatch, CheapTrials(lambda s: None), directory=tmp_path / "s", max_trials=2)
    with pytest.raises(ValueError, match=r"No trial in .* has finished yet"):
        _ = made.best_settings
    assert math.isclose(made.results()["score"].min(), PENALTY)


def test_overwriting_begins_anew(monkeypatch, tmp_path):
    cheap_search(monkeypatch, CheapTrials(), directory=tmp_path / "s", max_trials=5)
    made = cheap_search(
        monkeypatch, CheapTrials(), directory=tmp_path / "s", max_trials=2, seed=9, overwrite=True
    )
    assert len(made.results()) == 2


def test_tensorboard_gets_a_folder_for_every_fit_and_the_settings(frame, tmp_path):
    space = {"learning_rate": SPACE["learning_rate"]}
    real_search(
        frame, tmp_path / "s", space=space, max_trials=1, rolling_origins=2, tensorboard=tmp_path / "logs",
        training={"epochs": 1},
    )  # fmt: skip
    folders = sorted(path.name for path in (tmp_path / "logs" / "trial_0000").iterdir())
    assert folders == ["0_0", "0_1"]
    written = [path.read_bytes() for path in (tmp_path / "logs").rglob("*tfevents*")]
    assert any(b"learning_rate" in content for content in written)
