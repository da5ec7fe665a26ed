"""Every option of a training acts in a search, or is refused before the first trial."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfts.training import TrainingOptions
from tfts.tuning import hypermodel, search
from tfts.tuning.table_trials import TableTrials
from tfts.tuning.window_trials import WindowTrials

SIZES = {"context_length": 7, "horizon": 2}
# Another value than the default for each option.
CHANGED = {
    "epochs": 3,
    "batch_size": 17,
    "windows_per_epoch": 19,
    "sampling": "series",
    "optimizer": "adam",
    "learning_rate": 0.02,
    "schedule": "constant",
    "warmup": 0.5,
    "weight_decay": 0.5,
    "clipnorm": 0.25,
    "ema_momentum": None,
    "loss": "mae",
    "linear_start": "ridge",
    "metrics": ["mape"],
    "patience": 2,
    "jit_compile": False,
    "steps_per_execution": 3,
    "precision": "mixed_bfloat16",
    "seed": 3,
    "callbacks": [keras.callbacks.TerminateOnNaN()],
    "folder": "half done",
    "verbose": 2,
}
REFUSED = {"seed": "argument of the search itself", "folder": "in its own `directory`"}
REFUSED_OF_WINDOWS = {
    **REFUSED,
    "batch_size": "`batch_size` does nothing",
    "windows_per_epoch": "`windows_per_epoch` does nothing",
    "sampling": "`sampling` does nothing",
    "linear_start": r"linear_start='ridge' fits a ridge to the rows of a table.*linear_start='ridge'",
}


@pytest.fixture(scope="module")
def frame():
    days = pd.date_range("2024-01-01", periods=61, freq="D")
    return pd.DataFrame({"a": np.sin(np.arange(61) * 2 * np.pi / 7)}, index=days)


@pytest.fixture(scope="module")
def windows():
    past = np.random.default_rng(0).standard_normal((31, 7, 1)).astype("float32")
    return tf.data.Dataset.from_tensor_slices((past, past[:, -2:])).batch(11)


def seen_by_the_loop(monkeypatch, trials):
    """The `TrainingOptions` that reach the one training loop."""
    seen = []

    def stop(model, windows, checked, options, *_):
        seen.append(options)
        raise InterruptedError

    monkeypatch.setattr("tfts.predictors.network.train_network", stop)
    for train in (lambda: trials.fit({}, part=0, seed=5), lambda: trials.refit({}, epochs=4, seed=5)):
        with pytest.raises(InterruptedError):
            train()
    return seen


def test_all_options_are_looked_at():
    assert set(CHANGED) == set(TrainingOptions.model_fields)


@pytest.mark.parametrize("name", sorted(CHANGED))
@pytest.mark.parametrize("kind", ["table", "windows"])
def test_an_option_acts_or_is_refused_before_the_first_trial(kind, name, frame, windows, monkeypatch):
    training = {name: CHANGED[name]}
    data, sizes = (frame, SIZES) if kind == "table" else ((windows, windows), {})
    refused = REFUSED if kind == "table" else REFUSED_OF_WINDOWS
    if name in refused:
        for looks in (search, hypermodel):
            with pytest.raises(ValueError, match=refused[name]):
                looks("linear", data, **sizes, training=training)
        return
    trials = (
        TableTrials("linear", frame, SIZES, training)
        if kind == "table"
        else WindowTrials("linear", data, training)
    )
    fit, refit = seen_by_the_loop(monkeypatch, trials)
    assert (fit.seed, refit.seed, refit.epochs) == (5, 5, 4)
    for options in (fit, refit):
        found = getattr(options, name)
        if name == "metrics":
            assert found == ["rmse", "mape"]
        elif name == "callbacks":
            assert [type(callback) for callback in found] == [keras.callbacks.TerminateOnNaN]
        elif not (name == "epochs" and options is refit):
            assert found == CHANGED[name]


def test_metrics_beside_the_objective_are_in_the_history_of_the_best(frame, tmp_path):
    made = search(
        "linear", frame, **SIZES, max_trials=1, space={"shared": {"values": [True, False]}}, verbose=0,
        training={"epochs": 1, "metrics": ["mape", "rmse"]}, directory=tmp_path / "s",
    )  # fmt: skip
    kept = made.best_forecaster(refit=False)
    assert [name for name in kept.history_ if name.startswith("val_")] == ["val_loss", "val_mape", "val_rmse"]
    assert kept.history_["val_rmse"] == [made.best_score]


class Counter(keras.callbacks.Callback):
    epochs = 0

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1
        assert self.epochs == epoch + 1


@pytest.mark.parametrize("kind", ["table", "windows"])
def test_what_holds_a_state_is_that_of_one_fit_alone(kind, frame, windows):
    counter, loss, initializer = Counter(), keras.losses.Huber(3.0), {"deep": ["list"]}
    training = {"epochs": 2, "callbacks": [counter], "loss": loss}
    trials = (
        TableTrials("linear", frame, SIZES, training)
        if kind == "table"
        else WindowTrials("linear", (windows, windows), training)
    )
    # The counter itself would say that a second fit does not begin at 1.
    trials.fit({}, part=0, seed=0)
    trials.refit({}, epochs=2, seed=0)
    assert counter.epochs == 0
    losses = [trials.options({}, seed=0).loss for _ in range(2)]
    assert losses[0] is not losses[1]
    assert loss not in losses
    # Of an error of 5: 3 * (5 - 3 / 2).
    assert [float(one([[0.0]], [[5.0]])) for one in losses] == [10.5, 10.5]
    given = {"options": initializer}
    assert trials.options({"loss": given}, seed=0).loss["options"] is not initializer


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"scaler": "minmax"}, "so 'scaler' would do nothing"),
        ({"context_length": 7, "horizon": 2}, "so 'context_length', 'horizon' would do nothing"),
        ({"validation": 0.3}, "A pair of datasets holds the validation rows already.*validation=0.3"),
        ({"space": {"linear_start": {"values": ["zeros", "ridge"]}}}, "fits a ridge to the rows of a table"),
    ],
)
def test_what_does_nothing_with_windows_is_refused(changes, complaint, windows, tmp_path):
    with pytest.raises(ValueError, match=complaint):
        search("linear", (windows, windows), directory=tmp_path / "s", **changes)
    assert not (tmp_path / "s").exists()


def decay_steps(model):
    return model.optimizer._learning_rate.decay_steps


def test_batches_of_unknown_number_are_counted_for_the_schedule(windows):
    # Three batches of 11, 11 and 9 windows; one that is left out makes their number unknown.
    unknown = windows.filter(lambda past, future: tf.shape(past)[0] > 9)
    assert unknown.cardinality() == tf.data.UNKNOWN_CARDINALITY
    trials = WindowTrials("linear", (unknown, windows), {"epochs": 7})
    assert decay_steps(trials.compiled({}, seed=0)[0][0]) == 2 * 7
    # Fitted again on both there are more steps.
    assert decay_steps(trials.refit({}, epochs=5, seed=0)) == (2 + 3) * 5


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda windows: windows.repeat(), "The training windows never end"),
        (lambda windows: windows.take(0), "The training windows hold no batch"),
        (lambda windows: windows.map(lambda x, y: (x, y, y)), r"are pairs, \(inputs, future\)"),
        (lambda windows: windows.map(lambda x, y: (x, y[..., 0])), r"fixed shapes: .* future \(None, 2\)"),
    ],
)
def test_windows_that_can_not_be_learnt_from_are_refused(make, complaint, windows):
    with pytest.raises(ValueError, match=complaint):
        search("linear", (make(windows), windows))
    if "training" in complaint:
        with pytest.raises(ValueError, match=complaint.replace("training", "validation")):
            search("linear", (windows, make(windows)))
