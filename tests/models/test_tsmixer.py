import numpy as np
import pytest

from tests.models.shaken import drawn, forecast, shaken
from tfts.models import tsmixer
from tfts.task import Task

PLAIN = {"linear_skip": "none", "feedforward_units": 11, "dropout": 0.0}


def test_blocks_have_the_weights_of_the_paper():
    model = tsmixer(Task(7, 3, targets=2, past=3), num_layers=2, **PLAIN)
    # Two norms over rows and columns, one map over time, one perceptron over columns.
    block = 2 * 2 * 7 * 5 + (7 * 7 + 7) + (5 * 11 + 11) + (11 * 5 + 5)
    assert model.count_params() == 2 * block + (7 * 3 + 3)


def test_known_columns_are_columns_of_the_context_and_of_the_horizon():
    model = tsmixer(Task(7, 3, targets=2, past=3, known_future=13), num_layers=1, **PLAIN)
    width = 5 + 13
    block = 2 * 2 * 7 * width + (7 * 7 + 7) + (width * 11 + 11) + (11 * width + width)
    known = ((width + 13) * 11 + 11) + (11 * 2 + 2)
    assert model.count_params() == block + (7 * 3 + 3) + known


@pytest.mark.parametrize("row", [0, 8], ids=["context", "horizon"])
def test_every_known_row_matters(row):
    model = shaken(tsmixer(Task(7, 3, targets=2, past=3, known_future=13), **PLAIN))
    inputs = {"past": drawn(2, 7, 5), "known_future": drawn(2, 10, 13)}
    before = forecast(model, inputs)
    inputs["known_future"][:, row] += 1
    assert np.abs(forecast(model, inputs) - before).max() > 1e-3


def test_columns_mix_with_columns():
    model = shaken(tsmixer(Task(7, 3, targets=2, past=3), **PLAIN))
    past = drawn(2, 7, 5)
    before = forecast(model, past)
    past[:, 0, 4] += 1
    assert np.abs(forecast(model, past) - before).max() > 1e-3


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match=r"`num_layers` must be an int >= 1. Received: num_layers=0"):
        tsmixer(Task(7, past=4), num_layers=0)
    with pytest.raises(ValueError, match=r"`feedforward_units` must be an int >= 1"):
        tsmixer(Task(7, past=4), feedforward_units=0)
