import json

import keras
import numpy as np
import pytest

from tfts.training.best_weights import BestWeights

STATE, PARTIAL = "training.npz", "partial-training.npz"
X, Y = np.ones((2, 1), np.float32), np.zeros((2, 1), np.float32)


class Weights(keras.callbacks.Callback):
    """Gives each epoch a weight, so that its loss is known: weight * 1 against 0, squared."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def on_epoch_begin(self, epoch, logs=None):
        self.model.set_weights([np.full((1, 1), self.weights[epoch], np.float32)])


def one_weight(optimizer=None):
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")]
    )
    # A learning rate of 0 leaves the weights where `Weights` puts them.
    model.compile(optimizer or keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    return model


def fit(model, best, weights, *, validation=True, done=0, others=()):
    model.fit(
        X,
        Y,
        validation_data=(X, Y) if validation else None,
        epochs=len(weights),
        initial_epoch=done,
        callbacks=[Weights(weights), best, *others],
        verbose=0,
        shuffle=False,
    )
    return best


def test_the_weights_of_the_lowest_validation_loss_are_kept():
    model = one_weight()
    best = fit(model, BestWeights(), [3.0, 1.0, 2.0])
    assert best.history == {"loss": [9, 1, 4], "val_loss": [9, 1, 4]}
    assert (best.best_epoch, best.best_value) == (2, 1)
    assert best.best_weights == [[[1]]]
    # The callback keeps them; who called fit puts them in place.
    assert model.get_weights() == [[[2]]]


def test_the_first_of_equal_epochs_is_the_best():
    assert fit(one_weight(), BestWeights(), [3.0, 1.0, -1.0]).best_weights == [[[1]]]


def test_nothing_is_kept_without_validation_rows():
    best = fit(one_weight(), BestWeights(patience=1), [3.0, 1.0, 2.0, 2.0, 2.0], validation=False)
    assert best.history == {"loss": [9, 1, 4, 4, 4]}
    assert (best.best_epoch, best.best_weights) == (None, None)
    assert not best.stopped


def test_the_training_loss_can_be_monitored_without_validation_rows():
    best = fit(one_weight(), BestWeights(monitor="loss"), [3.0, 1.0, 2.0], validation=False)
    assert (best.best_epoch, best.best_value) == (2, 1)
    assert best.best_weights == [[[1]]]


@pytest.mark.parametrize(
    ("patience", "epochs"),
    # The best is epoch 2; training stops `patience` epochs after it.
    [(1, 3), (3, 5), (None, 7)],
)
def test_patience_counts_the_epochs_since_the_best(patience, epochs):
    best = fit(one_weight(), BestWeights(patience=patience), [3.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    assert len(best.history["loss"]) == epochs
    assert best.stopped == (patience is not None)
    assert best.best_weights == [[[1]]]


def test_a_new_best_renews_the_patience():
    best = fit(one_weight(), BestWeights(patience=2), [3.0, 4.0, 2.0, 4.0, 1.0, 4.0, 4.0, 4.0])
    assert len(best.history["loss"]) == 7
    assert best.best_epoch == 5


@pytest.mark.parametrize(("bad", "validation"), [(np.nan, True), (np.inf, False)])
def test_a_loss_that_is_no_number_stops_training(bad, validation):
    best = fit(one_weight(), BestWeights(), [3.0, bad, 1.0], validation=validation)
    assert len(best.history["loss"]) == 2
    assert best.diverged
    assert best.best_weights == ([[[3]]] if validation else None)


def test_a_finite_loss_has_not_diverged():
    assert not fit(one_weight(), BestWeights(), [3.0, 9.0]).diverged


def test_a_killed_training_goes_on_as_if_it_had_not_been(tmp_path):
    def trained(epochs, folder):
        model = one_weight(keras.optimizers.Adam(0.3))
        best = BestWeights(folder=folder, settings={"seed": 7})
        done = best.restore(model)
        model.fit(
            X,
            Y,
            validation_data=(X, Y),
            epochs=epochs,
            initial_epoch=done,
            callbacks=[best],
            verbose=0,
            shuffle=False,
        )
        return done, model, best

    _, whole, expected = trained(7, tmp_path / "whole")
    assert trained(3, tmp_path / "parts")[0] == 0
    done, model, best = trained(7, tmp_path / "parts")
    assert done == 3
    # Adam's moments and its count of steps came back too: the weights are the same to the bit.
    np.testing.assert_array_equal(model.get_weights(), whole.get_weights())
    assert best.history == expected.history
    assert best.best_epoch == expected.best_epoch < 7
    np.testing.assert_array_equal(best.best_weights, expected.best_weights)


def test_the_best_weights_and_the_patience_survive_a_kill(tmp_path):
    weights = [3.0, 1.0, 2.0, 2.0, 2.0, 2.0]
    fit(one_weight(), BestWeights(patience=3, folder=tmp_path), weights[:3])
    model = one_weight()
    best = BestWeights(patience=3, folder=tmp_path)
    assert best.restore(model) == 3
    assert model.get_weights() == [[[2]]]
    assert (best.best_epoch, best.best_value, best.best_weights) == (2, 1, [[[1]]])
    fit(model, best, weights, done=3)
    # Epochs 3, 4 and 5 are the three after the best.
    assert best.history["val_loss"] == [9, 1, 4, 4, 4]
    assert best.best_weights == [[[1]]]


def test_a_training_that_had_stopped_is_found_stopped(tmp_path):
    fit(one_weight(), BestWeights(patience=1, folder=tmp_path), [1.0, 2.0, 2.0, 2.0, 2.0])
    best = BestWeights(patience=1, folder=tmp_path)
    assert best.restore(one_weight()) == 2
    assert best.stopped


def test_a_state_before_the_first_validation_can_be_restored(tmp_path):
    fit(one_weight(), BestWeights(folder=tmp_path), [3.0, 2.0], validation=False)
    best = BestWeights(folder=tmp_path)
    assert best.restore(one_weight()) == 2
    assert (best.best_epoch, best.best_value, best.best_weights) == (None, np.inf, None)


def test_seconds_add_up_over_the_parts(tmp_path):
    first = fit(one_weight(), BestWeights(folder=tmp_path), [3.0])
    assert first.seconds > 0
    first.seconds = 1000.0
    first._write(1)
    best = BestWeights(folder=tmp_path)
    model = one_weight()
    best.restore(model)
    fit(model, best, [3.0, 2.0], done=1)
    assert 1000 < best.seconds < 1100


def test_without_a_folder_or_a_state_nothing_is_restored(tmp_path):
    for folder in (None, tmp_path, tmp_path / "absent"):
        best = BestWeights(folder=folder)
        assert best.restore(one_weight()) == 0
        assert best.history == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ({"units": 3, "seed": 5, "lr": 0.5}, {"units": 7, "seed": 5, "lr": 0.25}, "lr, units"),
        ({"units": 3}, None, "units"),
        (None, {"units": 3}, "units"),
    ],
)
def test_a_state_of_other_settings_is_refused(tmp_path, old, new, changed):
    fit(one_weight(), BestWeights(folder=tmp_path, settings=old), [3.0])
    model, best = one_weight(), BestWeights(folder=tmp_path, settings=new)
    with pytest.raises(ValueError, match=rf"other settings \(changed: {changed}\)\. Give the same settings"):
        best.restore(model)
    assert model.get_weights() == [[[1]]]
    assert best.history == {}


def test_a_tuple_among_the_settings_is_no_change(tmp_path):
    fit(one_weight(), BestWeights(folder=tmp_path, settings={"targets": ("x1", "x2")}), [3.0])
    assert BestWeights(folder=tmp_path, settings={"targets": ("x1", "x2")}).restore(one_weight()) == 1


def test_a_half_written_state_is_passed_over(tmp_path):
    fit(one_weight(), BestWeights(folder=tmp_path), [3.0, 1.0])
    (tmp_path / PARTIAL).write_bytes((tmp_path / STATE).read_bytes()[:100])
    model, best = one_weight(), BestWeights(folder=tmp_path)
    assert best.restore(model) == 2
    fit(model, best, [3.0, 1.0, 2.0], done=2)
    assert [path.name for path in tmp_path.iterdir()] == [STATE]
    assert BestWeights(folder=tmp_path).restore(one_weight()) == 3


def test_a_half_written_state_alone_is_no_state(tmp_path):
    (tmp_path / PARTIAL).write_bytes(b"PK")
    assert BestWeights(folder=tmp_path).restore(one_weight()) == 0


def test_a_kill_while_writing_leaves_the_epoch_before(tmp_path, monkeypatch):
    model, best = one_weight(), BestWeights(folder=tmp_path)
    fit(model, best, [3.0])

    def killed(file, **arrays):
        file.write_bytes(b"PK")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", killed)
    with pytest.raises(KeyboardInterrupt):
        fit(model, best, [3.0, 2.0], done=1)
    monkeypatch.undo()
    again = BestWeights(folder=tmp_path)
    assert again.restore(model) == 1
    assert again.best_weights == [[[3]]]


def test_the_state_is_plain_data(tmp_path):
    fit(one_weight(), BestWeights(folder=tmp_path, settings={"seed": 7}), [3.0, 1.0])
    with np.load(tmp_path / STATE, allow_pickle=False) as saved:
        state = json.loads(str(saved["state"]))
        arrays = {name: saved[name].tolist() for name in saved.files if name.startswith(("variable", "best"))}
    assert state["settings"] == {"seed": 7}
    assert (state["epochs"], state["best_epoch"], state["history"]["val_loss"]) == (2, 2, [9, 1])
    assert arrays == {"variable0": [[1]], "best0": [[1]]}


def test_forget_removes_what_it_wrote_and_nothing_else(tmp_path):
    own, shared = tmp_path / "own", tmp_path / "shared"
    for folder in (own, shared):
        fit(one_weight(), BestWeights(folder=folder), [3.0])
        (folder / PARTIAL).write_bytes(b"PK")
    (shared / "notes.txt").write_text("mine")
    BestWeights(folder=own).forget()
    BestWeights(folder=shared).forget()
    assert not own.exists()
    assert [path.name for path in shared.iterdir()] == ["notes.txt"]
    # There is nothing left to forget.
    BestWeights(folder=own).forget()


def test_averaged_weights_are_the_best_when_they_are_what_was_scored():
    model = one_weight(keras.optimizers.SGD(0.0, use_ema=True, ema_momentum=0.5))
    best = fit(model, BestWeights(), [4.0, 2.0, 1.0, 8.0], others=[keras.callbacks.SwapEMAWeights()])
    # The average starts with the first weight: 4, (4 + 2) / 2, (3 + 1) / 2, (2 + 8) / 2.
    assert best.history == {"loss": [16, 4, 1, 64], "val_loss": [16, 9, 4, 25]}
    assert best.best_epoch == 3
    assert best.best_weights == [[[2]]]


def test_the_average_survives_a_kill(tmp_path):
    def part(weights, done=0):
        model = one_weight(keras.optimizers.SGD(0.0, use_ema=True, ema_momentum=0.5))
        best = BestWeights(folder=tmp_path)
        assert best.restore(model) == done
        return fit(model, best, weights, done=done, others=[keras.callbacks.SwapEMAWeights()])

    part([4.0, 2.0])
    best = part([4.0, 2.0, 1.0], done=2)
    assert best.history["val_loss"] == [16, 9, 4]
    assert best.best_weights == [[[2]]]
