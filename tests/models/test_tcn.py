import keras
import numpy as np
import pytest

from tests.models.shaken import drawn, forecast, shaken
from tfts.models import tcn
from tfts.task import Task

PLAIN = {"linear_skip": "none", "window_norm": "none", "dropout": 0.0}


def test_blocks_have_the_weights_of_the_paper():
    model = tcn(Task(7, 3, targets=2, past=3), units=11, kernel_size=3, num_layers=2, **PLAIN)
    # Two convolutions a block; the first has a shortcut from 5 channels to 11.
    first = (3 * 5 * 11 + 11) + (3 * 11 * 11 + 11) + (5 * 11 + 11)
    second = 2 * (3 * 11 * 11 + 11)
    assert model.count_params() == first + second + (11 * 3 * 2 + 3 * 2)


def test_known_columns_are_channels_and_seen_by_the_head():
    sizes = {"units": 11, "kernel_size": 3, "num_layers": 1, **PLAIN}
    plain, known = (tcn(Task(7, 3, targets=2, past=3, known_future=known), **sizes) for known in (0, 13))
    assert known.count_params() - plain.count_params() == 3 * 13 * 11 + 13 * 11 + 3 * 13 * 3 * 2


@pytest.mark.parametrize("row", [0, 8], ids=["context", "horizon"])
def test_every_known_row_matters(row):
    model = shaken(tcn(Task(7, 3, targets=2, past=3, known_future=13), units=11, **PLAIN))
    inputs = {"past": drawn(2, 7, 5), "known_future": drawn(2, 10, 13)}
    before = forecast(model, inputs)
    inputs["known_future"][:, row] += 1
    assert np.abs(forecast(model, inputs) - before).max() > 1e-4


def test_two_blocks_see_seven_rows():
    model = shaken(tcn(Task(17), units=11, kernel_size=2, num_layers=2, **PLAIN))
    past = drawn(5, 17, 1)
    before = forecast(model, past)
    # 1 + 2 (2 - 1) (2 ** 2 - 1) rows: the eighth newest is not seen, the seventh is.
    past[:, -8] += 5
    np.testing.assert_array_equal(forecast(model, past), before)
    past[:, -7] += 5
    assert np.abs(forecast(model, past) - before).max() > 1e-4


@pytest.mark.parametrize(
    # 1 + 4 (2 ** 4 - 1) = 61 rows and 1 + 2 (2 ** 3 - 1) = 15; one row needs one block.
    ("context_length", "kernel_size", "blocks"),
    [(61, 3, 4), (62, 3, 5), (15, 2, 3), (1, 2, 1)],
)
def test_there_are_as_many_blocks_as_see_the_context(context_length, kernel_size, blocks):
    model = tcn(Task(context_length, past=1), units=3, kernel_size=kernel_size, **PLAIN)
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv1D)]
    assert max(layer.dilation_rate[0] for layer in convolutions) == 2 ** (blocks - 1)


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match=r"`kernel_size` must be at least 2.* Received: kernel_size=1"):
        tcn(Task(7, past=4), kernel_size=1)
    with pytest.raises(ValueError, match=r"`num_layers` must be an int >= 1. Received: num_layers=0"):
        tcn(Task(7, past=4), num_layers=0)
