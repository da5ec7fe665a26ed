"""Trials are compared in one unit, on the same windows, whatever their settings are."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.tuning.cheap import CheapTrials, cheap_search
from tfts.data.panel import Panel
from tfts.data.split import chronological_split
from tfts.training import target_units
from tfts.tuning import search
from tfts.tuning.fits import PENALTY
from tfts.tuning.oracles import trial_folder
from tfts.tuning.table_trials import TableTrials

OPTIONS = {"context_length": 7, "horizon": 2, "time": "day", "series": "store"}


@pytest.fixture(scope="module")
def stores():
    """Two stores whose weeks are alike, at levels that are far apart, and one of ten times their size."""
    random, days = np.random.default_rng(0), pd.date_range("2024-01-01", periods=80)
    week = np.sin(np.arange(80) * 2 * np.pi / 7)
    parts = []
    for name, level, size in (("low", 10.0, 1.0), ("high", 10_000.0, 1.0), ("wide", 1000.0, 10.0)):
        sales = level + size * (week + 0.1 * random.standard_normal(80))
        visits = 5 * sales + 3 * size * random.standard_normal(80)
        parts.append(pd.DataFrame({"day": days, "store": name, "sales": sales, "visits": visits}))
    return pd.concat(parts, ignore_index=True)


def fitted(trials, settings):
    """The `Fit` of a trial, and what `Forecaster` says with the same settings of the same rows."""
    fit = trials.fit(settings, part=0, seed=0)
    forecaster = trials.forecaster(settings)
    train, valid = trials.parts(forecaster)[0]
    forecaster.fit(train, validation=valid, **trials.training)
    return fit, forecaster.evaluate(valid, ["mse"])["mse"], target_units(train)


@pytest.mark.parametrize(
    "settings",
    [{"scaler": "minmax"}, {"per_series": True}, {"per_series": True, "scaler": "log"}],
    ids=["minmax", "per_series", "log"],
)
def test_the_curve_of_a_trial_is_in_the_units_of_the_table(settings, stores):
    trials = TableTrials("linear", stores.drop(columns="visits"), OPTIONS, {"epochs": 1})
    fit, squares, _ = fitted(trials, settings)
    assert fit.curve == [fit.score]
    assert fit.score == pytest.approx(np.sqrt(squares[0]), rel=1e-4)


def test_the_curve_of_several_targets_is_in_their_deviations_with_a_scale_for_each_series_too(stores):
    trials = TableTrials("linear", stores, OPTIONS, {"epochs": 1})
    fit, squares, units = fitted(trials, {"per_series": True})
    assert fit.score == pytest.approx(np.sqrt(np.mean(squares / units**2)), rel=1e-4)
    # The levels lie thousands apart, so that the weeks are small in these units.
    assert fit.score < 0.1


def test_a_scale_for_each_series_is_not_pruned_for_its_units(stores, tmp_path):
    space = {
        "per_series": {"values": [False, True]},
        "learning_rate": {"values": [0.001, 0.002, 0.003, 0.004, 0.005]},
    }
    made = search(
        "linear", stores.drop(columns="visits"), **OPTIONS, space=space, tuner="grid", max_trials=6, verbose=0,
        model_options={"window_norm": "none"}, training={"epochs": 8, "batch_size": 16}, directory=tmp_path / "s",
    )  # fmt: skip
    table = made.results()
    assert table["per_series"].tolist() == [False] * 5 + [True]
    # With one scale for all, a week of 1 is nothing beside levels of 10 and 10,000.
    assert table["status"].iloc[5] == "finished"
    assert made.best_settings["per_series"]
    assert table["score"].iloc[5] < table["score"].iloc[:5].min() / 3


@pytest.mark.parametrize("short_contexts", ["own", "gap"])
def test_contexts_of_different_lengths_are_scored_on_the_same_windows(short_contexts):
    days = pd.date_range("2024-01-01", periods=60)
    frame = pd.DataFrame({"y": np.sin(np.arange(60.0))}, index=days)
    if short_contexts == "gap":
        # Two rows are too many to be filled.
        frame.iloc[45:47] = np.nan
    panel = Panel.from_frame(frame, missing="interpolate", limit=1)
    parts = chronological_split(panel, 0.4, 0, context="own" if short_contexts == "own" else "carry")
    trials = TableTrials("linear", parts, {"context_length": 5, "horizon": 2}, {"epochs": 1})
    settings = [{"context_length": 3}, {}, {"context_length": 11}]
    counted = []
    for one in settings:
        forecaster = trials.forecaster(one)
        counted.append(len(forecaster.spec.origins(parts.validation)))
    assert counted[0] > counted[1] > counted[2]
    trials.compare(settings)
    windows = []
    for one in settings:
        checked = trials.compiled(one, 0)[0][2]
        windows.append(np.concatenate([batch[1] for batch in checked.as_numpy_iterator()]))
    assert len(windows[0]) == counted[2]
    np.testing.assert_array_equal(windows[0], windows[1])
    np.testing.assert_array_equal(windows[0], windows[2])


def test_a_trial_that_diverged_is_worse_than_any_other_also_where_errors_are_large(monkeypatch, tmp_path):
    def error(settings):
        return None if settings["batch_size"] == 16 else 1e12 * settings["batch_size"]

    made = cheap_search(
        monkeypatch, CheapTrials(error), directory=tmp_path / "s", tuner="grid", max_trials=4,
        space={"batch_size": {"values": [16, 32, 64]}},
    )  # fmt: skip
    table = made.results()
    assert (table["score"][table["status"] == "diverged"] == PENALTY).all()
    lost = table["trial"][table["status"] == "diverged"].item()
    told = json.loads((trial_folder(made.directory, lost) / "trial.json").read_text())["score"]
    # Ten times the worst that had finished by then: 64e12 of the defaults.
    assert told >= 6.4e14
