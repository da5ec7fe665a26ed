import itertools
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfts.data.panel import Panel
from tfts.data.split import chronological_split
from tfts.metrics import wql
from tfts.outputs import OUTPUTS, Quantiles, output_config
from tfts.task import Task
from tfts.training import Diverged
from tfts.tuning import search
from tfts.tuning.table_trials import TableTrials, rolling_parts
from tfts.tuning.trials import make_trials
from tfts.tuning.window_trials import WindowTrials


@pytest.fixture(scope="module")
def frame():
    days = pd.date_range("2024-01-01", periods=61, freq="D")
    rng = np.random.default_rng(0)
    small = np.sin(np.arange(61) * 2 * np.pi / 7) + 0.1 * rng.standard_normal(61)
    return pd.DataFrame({"a": small, "b": 1000 * small + 50 * rng.standard_normal(61)}, index=days)


def test_rolling_parts_keep_the_gap_and_meet_every_validation_row_once(frame):
    train, valid, _ = chronological_split(Panel.from_frame(frame), validation=0.5, test=0, gap=2)
    # 61 rows: 31 or 30 to validate (half of 61, rounded to even), less the gap of 2.
    _, begin, end, _ = valid.spans[0]
    pairs = rolling_parts(train, valid, 3)
    assert pairs[0][1].spans[0].target_start == begin
    assert pairs[-1][1].spans[0].observed_end == end
    for (_, before), (_, after) in itertools.pairwise(pairs):
        assert before.spans[0].observed_end == after.spans[0].target_start
    assert all(known.spans[0].observed_end == seen.spans[0].target_start - 2 for known, seen in pairs)


def test_several_targets_count_alike_whatever_their_size(frame):
    options = {"context_length": 7, "horizon": 2}
    trials = TableTrials("linear", frame, options, {"epochs": 3})
    fit = trials.fit({}, part=0, seed=0)
    grown = TableTrials("linear", frame.assign(b=frame["b"] * 1000), options, {"epochs": 3}).fit({}, 0, 0)
    # In standard deviations: a better size than 1000 times that of the smaller target.
    assert 0 < fit.score < 3
    np.testing.assert_allclose(fit.score, grown.score, rtol=1e-4)


def fitted_alike(trials, settings=None, seed=0):
    """What a trial fits, fitted by `Forecaster`, and its validation rows."""
    forecaster = trials.forecaster(settings or {})
    train, valid = trials.parts(forecaster)[0]
    return forecaster.fit(train, validation=valid, seed=seed, **trials.training), valid


def test_rows_that_were_filled_are_not_scored(frame):
    gap = frame[["a"]].copy()
    gap.iloc[55] = np.nan
    trials = TableTrials(
        "linear", gap, {"context_length": 7, "horizon": 2, "missing": "interpolate"}, {"epochs": 1}
    )
    fit = trials.fit({}, part=0, seed=0)
    forecaster, valid = fitted_alike(trials)
    np.testing.assert_allclose(fit.score, forecaster.evaluate(valid, ["rmse"])["rmse"][0], rtol=1e-5)
    assert fit.curve == [fit.score]
    rows = forecaster.spec.origins(valid)
    with_filled = valid.values[rows[:, None] + [1, 2], 0] - forecaster.forecast_windows(valid, rows)[..., 0]
    assert abs(fit.score - np.sqrt(np.mean(with_filled**2))) > 1e-4


def test_logarithms_are_scored_in_original_units(frame):
    options = {"context_length": 7, "horizon": 2, "scaler": "log"}
    trials = TableTrials("linear", np.exp(frame[["a"]] + 5), options, {"epochs": 1})
    fit = trials.fit({}, part=0, seed=0)
    forecaster, valid = fitted_alike(trials)
    assert fit.score == pytest.approx(forecaster.evaluate(valid, ["rmse"])["rmse"][0], rel=1e-5)
    # exp(5) is 148, which the week takes up and down by factors of about e.
    assert 10 < fit.score < 300
    assert fit.curve == [fit.score]


def test_the_mean_absolute_error_is_another_objective(frame):
    fit = TableTrials(
        "linear", frame[["a"]], {"context_length": 7, "horizon": 2}, {"epochs": 2}, "val_mae"
    ).fit({}, 0, 0)
    rmse = TableTrials("linear", frame[["a"]], {"context_length": 7, "horizon": 2}, {"epochs": 2}).fit(
        {}, 0, 0
    )
    assert fit.score < rmse.score


def test_a_calendar_is_a_setting_of_the_data(frame):
    trials = TableTrials("linear", frame, {"context_length": 7, "horizon": 2}, {"epochs": 1})
    forecaster = trials.forecaster({"calendar": ["weekday"], "context_length": 11, "shared": False})
    assert forecaster.settings["model_options"] == {"shared": False}
    assert forecaster.spec.context_length == 11
    train, _ = trials.parts(forecaster)[0]
    assert train.known_future
    assert trials.parts(trials.forecaster({}))[0][0].known_future == ()


def test_a_calendar_is_not_searched_where_its_columns_are_made_already(frame):
    space = {"calendar": {"values": [[], ["weekday"]]}}
    parts = chronological_split(Panel.from_frame(frame), validation=0.3, test=0)
    for data in (Panel.from_frame(frame), parts):
        with pytest.raises(ValueError, match=r"'calendar' can only be searched .* a DataFrame: .*'weekday'"):
            search("linear", data, context_length=7, horizon=2, space=space, verbose=0)


def test_windows_that_are_made_already_are_searched(tmp_path):
    rng = np.random.default_rng(0)
    past = rng.standard_normal((31, 5, 1)).astype("float32")
    windows = tf.data.Dataset.from_tensor_slices((past, past[:, -1:])).batch(11)
    space = {"learning_rate": {"min": 1e-3, "max": 1e-1, "log": True}}
    made = search(
        "linear", (windows, windows), space=space, max_trials=2, training={"epochs": 1},
        directory=tmp_path / "s", verbose=0,
    )  # fmt: skip
    assert len(made.results()) == 2
    # The last value is the answer: a normalised window starts there.
    assert made.best_score < 1e-3
    for refit in (False, True):
        assert made.best_forecaster(refit).output_shape == (None, 1, 1)
    with pytest.raises(ValueError, match="made already, so 'batch_size', 'scaler' can't be searched"):
        search(
            "linear", (windows, windows), max_trials=1,
            space={"scaler": {"values": ["none"]}, "batch_size": {"values": [3]}},
        )  # fmt: skip
    with pytest.raises(ValueError, match=r"pair of datasets, \(training, validation\)"):
        search("linear", (windows, windows, windows))


def _noisy(rows=60, counts=False):
    """Windows whose last value comes again with noise, or whose counts come anew."""
    rng = np.random.default_rng(1)
    past = rng.standard_normal((rows, 5, 1)) * 3
    future = past[:, -1:] + rng.standard_normal((rows, 2, 1))
    if counts:
        past, future = rng.poisson(3.0, past.shape), rng.poisson(3.0, future.shape).astype("float32")
    return tf.data.Dataset.from_tensor_slices((past.astype("float32"), future.astype("float32"))).batch(20)


@pytest.mark.parametrize("refit", [False, True])
def test_the_output_is_searched_on_windows_that_are_made_already(tmp_path, refit):
    train, valid = _noisy(), _noisy(43)
    made = search(
        "linear", (train, valid), output="quantiles", objective="val_wql", tuner="grid", max_trials=2,
        space={"output": {"values": ["normal", "quantiles"]}}, training={"epochs": 3},
        directory=tmp_path / "s", verbose=0,
    )  # fmt: skip
    results = made.results()
    assert results["output"].tolist() == ["quantiles", "normal"]
    assert results["status"].tolist() == ["finished"] * 2
    output, levels = OUTPUTS[made.best_settings["output"]](), [k / 10 for k in range(1, 10)]
    network = made.best_forecaster(refit)
    assert network.output_shape == (None, 2, 1, 9 if output == Quantiles() else 2)
    if not refit:
        inputs, future = (np.concatenate(parts) for parts in zip(*valid.as_numpy_iterator(), strict=True))
        found = output.quantiles(network.predict(inputs, verbose=0), levels)
        assert made.best_score == pytest.approx(wql(future, found, levels), rel=1e-5)
        code = (
            f"from tfts.tuning.found import Search; print(Search.load({str(tmp_path / 's')!r})"
            ".best_forecaster(refit=False).count_params())"
        )
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert told.returncode == 0, told.stderr
        assert int(told.stdout) == network.count_params()


def test_an_output_that_can_not_describe_the_windows_is_refused():
    windows, counts = _noisy(), _noisy(counts=True)
    trials = WindowTrials("linear", (counts, counts), {"epochs": 1}, output="negative_binomial")
    assert np.isfinite(trials.fit({}, part=0, seed=0).score)
    with pytest.raises(
        ValueError, match=r"describes counts: .* Received: a target of the training windows=-?\d"
    ):
        search("linear", (windows, windows), output="negative_binomial")
    space = {"output": {"values": ["normal", "negative_binomial"]}}
    with pytest.raises(ValueError, match=r"Received: a target of the validation windows="):
        search("linear", (counts, windows), space=space)
    space = {"output": {"values": ["normal", "point"]}}
    with pytest.raises(
        ValueError, match=r"objective='val_wql' scores quantiles, and the networks give points"
    ):
        search("linear", (windows, windows), output="normal", space=space, objective="val_wql")
    with pytest.raises(ValueError, match=r"The windows are made already, so 'quantiles' would do nothing"):
        search("linear", (windows, windows), output="quantiles", quantiles=[0.1])


def test_the_output_is_searched_on_a_table(frame, tmp_path):
    space = {"output": {"values": ["point", "student_t"]}}
    made = search(
        "linear", frame, context_length=7, horizon=2, space=space, tuner="grid", max_trials=2,
        training={"epochs": 1}, directory=tmp_path / "s", verbose=0,
    )  # fmt: skip
    assert made.results()["output"].tolist() == ["point", "student_t"]
    assert output_config(made.best_forecaster(False).output) == {"name": made.best_settings["output"]}
    with pytest.raises(ValueError, match=r"Unknown output 'students'.*Did you mean 'student_t'"):
        search("linear", frame, context_length=7, horizon=2, space={"output": {"values": ["students"]}})


def test_a_split_needs_validation_rows(frame):
    parts = chronological_split(Panel.from_frame(frame), validation=0, test=0.2)
    with pytest.raises(ValueError, match="needs training and validation rows"):
        make_trials("linear", parts, {}, "val_rmse", 0.15, 1, {"context_length": 7, "horizon": 1})


def test_only_divergence_is_taken_for_divergence(monkeypatch, frame):
    def fail(*_):
        raise ValueError("Training diverged: says a callback of the user's")

    monkeypatch.setattr("tfts.predictors.network.train_network", fail)
    trials = TableTrials("linear", frame, {"context_length": 7, "horizon": 2}, {"epochs": 1})
    with pytest.raises(ValueError, match="says a callback") as caught:
        trials.fit({}, part=0, seed=0)
    assert not isinstance(caught.value, Diverged)


def test_a_training_that_diverges_says_so(frame):
    trials = TableTrials(
        "linear", frame, {"context_length": 7, "horizon": 2}, {"epochs": 3, "clipnorm": None}
    )
    with pytest.raises(Diverged):
        trials.fit({"learning_rate": 1e38, "optimizer": "adam"}, part=0, seed=0)


def test_windows_know_their_sizes():
    inputs = {"past": tf.ones((3, 7, 2)), "known_future": tf.ones((3, 12, 11))}
    windows = tf.data.Dataset.from_tensors((inputs, tf.ones((3, 5, 1))))
    assert WindowTrials("linear", (windows, windows), {}).windows.task == Task(7, 5, 1, 1, 11)
