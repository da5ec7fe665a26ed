import re

import keras
import numpy as np
import pytest

from tests.models.shaken import drawn, forecast, shaken
from tfts.models import nhits
from tfts.task import Task

PLAIN = {"linear_skip": "none", "window_norm": "none", "units": 11}
STACKS = {"pool_sizes": (3, 1), "steps_per_knot": (2, 1)}


def test_blocks_have_the_weights_of_the_paper():
    model = nhits(Task(7, 5, targets=2), num_blocks=2, num_layers=2, **STACKS, **PLAIN)
    # Pooled by 3 the window has 3 rows; for 2 steps a knot the horizon has 3 and the context 4.
    slow = (3 * 11 + 11) + (11 * 11 + 11) + (11 * 3 + 3) + (11 * 4 + 4)
    quick = (7 * 11 + 11) + (11 * 11 + 11) + (11 * 5 + 5)
    context = 11 * 7 + 7
    # After the last block nothing is left to explain.
    assert model.count_params() == 2 * slow + (quick + context) + quick


def test_other_features_and_known_columns_are_pooled_too():
    plain = nhits(Task(7, 5, targets=2), num_layers=1, **STACKS, **PLAIN)
    known = nhits(Task(7, 5, targets=2, past=1, known_future=13), num_layers=1, **STACKS, **PLAIN)
    # One feature of 7 rows and 13 known columns of 12, pooled by 3 and by 1.
    pooled, whole = 3 + 13 * 4, 7 + 13 * 12
    assert known.count_params() - plain.count_params() == (pooled + whole) * 11


@pytest.mark.parametrize("row", [0, 8], ids=["context", "horizon"])
def test_every_known_row_matters(row):
    model = shaken(nhits(Task(7, 5, targets=2, past=1, known_future=13), **STACKS, **PLAIN))
    inputs = {"past": drawn(2, 7, 3), "known_future": drawn(2, 12, 13)}
    before = forecast(model, inputs)
    inputs["known_future"][:, row] += 1
    assert np.abs(forecast(model, inputs) - before).max() > 1e-3


def test_few_knots_make_lines():
    model = shaken(nhits(Task(7, 5), pool_sizes=(1,), steps_per_knot=(3,), **PLAIN))
    found = forecast(model, drawn(3, 7, 1))[..., 0]
    assert np.abs(np.diff(found, axis=1)).min() > 1e-4
    # Two knots for 5 steps: a straight line.
    np.testing.assert_allclose(np.diff(found, n=2, axis=1), 0, atol=1e-5)


def test_a_block_sees_what_the_ones_before_left():
    model = nhits(Task(7, 5), num_layers=1, pool_sizes=(1, 1), steps_per_knot=(7, 1), **PLAIN)
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape))
    # The first stack explains a context of 3 everywhere, and says 2 of the horizon.
    model.get_layer("context_knots_0_0").bias.assign([3.0])
    model.get_layer("knots_0_0").bias.assign([2.0])
    past = drawn(2, 7, 1)
    left = keras.Model(model.input, model.get_layer("left_0_0").output)
    np.testing.assert_allclose(forecast(left, past), past - 3, rtol=1e-6)
    np.testing.assert_allclose(forecast(model, past), 2)


def test_wrong_stacks_are_refused():
    message = "must be lists of one int for each stack, at least one. Received: "
    for pool_sizes, steps in (([3], [2, 1]), ((), ()), (3, [1]), ([1], 3)):
        received = f"pool_sizes={pool_sizes}, steps_per_knot={steps}."
        with pytest.raises(ValueError, match=re.escape(message + received)):
            nhits(Task(7, past=4), pool_sizes=pool_sizes, steps_per_knot=steps)
    with pytest.raises(ValueError, match=r"`steps_per_knot` must be an int >= 1. Received: steps_per_knot=0"):
        nhits(Task(7, past=4), pool_sizes=[1], steps_per_knot=[0])
    with pytest.raises(ValueError, match=r"`num_blocks` must be an int >= 1"):
        nhits(Task(7, past=4), num_blocks=0)
