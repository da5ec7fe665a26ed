import keras_tuner
import numpy as np
import pandas as pd
import pytest

from tfts.tuning import hypermodel

SPACE = {"learning_rate": {"min": 1e-3, "max": 1e-1, "log": True}, "context_length": {"values": [5, 11]}}


@pytest.fixture(scope="module")
def made():
    days = pd.date_range("2024-01-01", periods=61, freq="D")
    frame = pd.DataFrame({"a": np.sin(np.arange(61) * 2 * np.pi / 7)}, index=days)
    return hypermodel("linear", frame, context_length=5, horizon=1, space=SPACE, training={"epochs": 1})


def test_a_plain_tuner_searches_and_loads_what_was_scored(made, tmp_path):
    tuner = keras_tuner.RandomSearch(
        made, objective=keras_tuner.Objective("val_rmse", "min"), max_trials=2, seed=3, directory=tmp_path
    )
    tuner.search(verbose=0)
    best = tuner.oracle.get_best_trials(1)[0]
    model = tuner.get_best_models(1)[0]
    assert model.input_shape[1] == best.hyperparameters.values["context_length"]
    _, _, checked, _ = made.made
    logged = model.evaluate(checked, return_dict=True, verbose=0)
    np.testing.assert_allclose(logged["rmse"], best.score, rtol=1e-5)


def test_a_training_that_diverges_has_a_finite_score(made):
    hp = keras_tuner.HyperParameters()
    hp.values = {"learning_rate": 1e38}
    model = made.build(hp)
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    assert made.fit(hp, model) == {"val_rmse": 1e9}


def test_what_would_not_be_used_is_refused(made):
    hp = keras_tuner.HyperParameters()
    model = made.build(hp)
    with pytest.raises(
        ValueError, match=r"takes epochs, callbacks and verbose alone. Received: 1 positional"
    ):
        made.fit(hp, model, 3)
    made.build(hp)
    with pytest.raises(ValueError, match="fits the model that it built last"):
        made.fit(hp, model)
