"""Losses of what was observed alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfts.outputs import OUTPUTS
from tfts.outputs.losses import ObservedLoss, OutputLoss

NAN = np.nan
TRUE = np.array([[[1.0, 2.0], [NAN, 5.0], [4.0, NAN]]], np.float32)
MADE = np.array([[[2.0, 2.0], [9.0, 8.0], [1.0, 9.0]]], np.float32)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        # Of 1, 0, 3 and 3.
        ("mse", (1 + 0 + 9 + 9) / 4),
        ("mae", (1 + 0 + 3 + 3) / 4),
        (keras.losses.Huber(delta=1.0), (0.5 + 0 + 2.5 + 2.5) / 4),
        ("mape", 100 * (1 + 0 + 3 / 5 + 3 / 4) / 4),
    ],
)
def test_a_loss_of_points_is_the_mean_over_what_was_observed(loss, expected):
    assert float(ObservedLoss(loss)(TRUE, MADE)) == pytest.approx(expected, rel=1e-5)


def test_a_whole_future_costs_what_the_loss_costs():
    whole = np.nan_to_num(TRUE)
    assert float(ObservedLoss("mse")(whole, MADE)) == pytest.approx(float(np.mean((whole - MADE) ** 2)))


@pytest.mark.parametrize("name", [name for name in OUTPUTS if OUTPUTS[name]().has_distribution])
def test_a_distribution_costs_what_it_costs_where_something_was_observed(name):
    output = OUTPUTS[name]()
    raw = np.random.default_rng(0).normal(size=(1, 3, 2, output.width)).astype(np.float32)
    parameters = tf.Variable(keras.ops.convert_to_numpy(output.head(keras.ops.convert_to_tensor(raw))))
    with tf.GradientTape() as tape:
        found = ObservedLoss(OutputLoss(output))(TRUE, parameters)
    each = keras.ops.convert_to_numpy(output.cost(np.nan_to_num(TRUE), parameters))
    assert float(found) == pytest.approx(each[~np.isnan(TRUE)].mean(), rel=1e-5)
    gradient = tape.gradient(found, parameters).numpy()
    assert np.isfinite(gradient).all()
    assert not gradient[np.isnan(TRUE)].any()


def test_what_was_not_observed_has_no_gradient():
    made = tf.Variable(MADE)
    with tf.GradientTape() as tape:
        loss = ObservedLoss("mse")(TRUE, made)
    # Twice the error over four values.
    np.testing.assert_allclose(tape.gradient(loss, made)[0], [[0.5, 0], [0, 1.5], [-1.5, 0]])


def test_nothing_observed_costs_nothing():
    assert float(ObservedLoss("mse")(np.full_like(TRUE, NAN), MADE)) == 0


def test_it_is_written_with_its_loss():
    loss = ObservedLoss(keras.losses.LogCosh())
    read = keras.losses.deserialize(keras.losses.serialize(loss))
    assert float(read(TRUE, MADE)) == pytest.approx(float(loss(TRUE, MADE)))
