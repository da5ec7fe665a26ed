import keras
import numpy as np
import pytest

from tfts.training.options import (
    OF_THE_CALL,
    TrainingArguments,
    TrainingOptions,
    TrainingSettings,
    takes_training_options,
)


def test_a_type_checker_sees_every_option():
    assert TrainingArguments.__annotations__.keys() == TrainingOptions.model_fields.keys()


def test_an_option_is_of_the_call_or_of_a_file():
    assert {*OF_THE_CALL, *TrainingSettings.model_fields} == TrainingOptions.model_fields.keys()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epoch": 5}, r"Unknown option of fit 'epoch'\. .* Did you mean 'epochs'\?"),
        ({"epochs": 0}, r"`epochs` must be 'auto' or an int >= 1\. Received: epochs=0\."),
        ({"epochs": True}, r"`epochs` must be 'auto' or an int.*Received: epochs=True"),
        ({"epochs": 2.5}, r"`epochs` must be 'auto' or an int.*Received: epochs=2\.5"),
        ({"learning_rate": -1}, r"`learning_rate` must be greater than 0\. Received: learning_rate=-1"),
        ({"learning_rate": np.nan}, r"`learning_rate` must be .*Received: learning_rate=nan"),
        ({"optimizer": "adm"}, r"Unknown optimizer 'adm'\. Expected one of: adam, adamw\. Did you mean"),
        ({"schedule": "cos"}, r"Unknown schedule 'cos'\. Expected one of: constant, cosine"),
        ({"linear_start": "rigde"}, r"Unknown linear_start 'rigde'\..*Did you mean 'ridge'"),
        ({"steps_per_execution": 0}, r"`steps_per_execution` must be 'auto' or an int >= 1\. Received"),
        ({"jit_compile": "yes"}, r"`jit_compile` must be 'auto', True or False\. Received"),
        ({"optimizer": "adam", "weight_decay": 0.1}, r"`weight_decay` belongs to optimizer='adamw'\."),
        ({"loss": 3}, r"`loss` must be 'auto', a Keras loss, its name or its config\. Received: loss=3\."),
        ({"ema_momentum": 1.0}, r"`ema_momentum` must be less than 1\. Received"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(given, message):
    with pytest.raises(ValueError, match=message):
        TrainingOptions.of(**given)


def test_numbers_of_numpy_and_tuples_are_taken():
    options = TrainingOptions.of(epochs=np.int64(3), learning_rate=np.float32(0.5), metrics=("rmse",))
    assert (options.epochs, options.learning_rate, options.metrics) == (3, 0.5, ["rmse"])
    assert TrainingOptions.of(metrics="mae").metrics == ["mae"]


def test_options_that_would_do_nothing_are_refused_unless_they_are_at_their_default():
    options = TrainingOptions.of(epochs="auto", verbose=0)
    options.check_unused("A baseline", ("verbose",))
    with pytest.raises(ValueError, match="A baseline does not use `epochs`, so it can't be set"):
        options.changed(epochs=3).check_unused("A baseline", ("verbose",))


def test_a_loss_object_is_known_by_its_config_not_by_its_address():
    one, other = (TrainingOptions.of(loss=keras.losses.Huber(0.5)).identity() for _ in range(2))
    assert one == other
    assert TrainingOptions.of(loss=keras.losses.Huber(0.7)).identity() != one


def test_a_training_is_known_by_all_that_changes_its_numbers():
    identity = TrainingOptions.of(callbacks=[object()], folder="somewhere", verbose=2, seed=5).identity()
    assert identity.keys() == TrainingOptions.model_fields.keys() - {"callbacks", "folder", "verbose"}
    assert identity["seed"] == 5


def test_a_signature_shows_each_option():
    @takes_training_options
    def fit(data, *, validation=0.15, **training):
        return training

    assert str(fit.__signature__).startswith("(data, *, validation=0.15, epochs='auto', batch_size='auto'")


@pytest.mark.parametrize(
    ("given", "count", "size", "epochs", "patience"),
    [
        # 1,000 steps at least: 9 steps a pass, so 112 passes; a fifth of those is 22.
        ({}, 67, 8, 112, 22),
        ({}, 5, 8, 1000, 200),
        # 8 steps of 32 hold 250 windows: 1,000 / 8 passes.
        ({}, 250, 32, 125, 25),
        ({}, 449, 64, 125, 25),
        ({}, 3200, 64, 20, 10),
        ({"batch_size": 64}, 67, 64, 500, 100),
        ({"epochs": 3}, 67, 8, 3, 10),
        ({"patience": None, "epochs": 7}, 67, 8, 7, None),
    ],
)
def test_short_tables_get_smaller_batches_and_more_passes(given, count, size, epochs, patience):
    options = TrainingOptions.of(**given).for_windows(count)
    assert (options.batch_size, options.epochs, options.patience) == (size, epochs, patience)


@pytest.mark.parametrize(
    ("given", "count", "start"),
    [
        ({}, 67, "auto"),
        ({}, 3200, "zeros"),
        ({"epochs": 20}, 67, "zeros"),
        ({"linear_start": "ridge"}, 3200, "ridge"),
    ],
)
def test_default_fits_of_short_tables_may_start_from_the_ridge(given, count, start):
    assert TrainingOptions.of(**given).for_windows(count).linear_start == start
