import numpy as np
import pytest

from tests.models.shaken import drawn, forecast, shaken
from tfts.models import attention_scores, inverted_transformer
from tfts.models.attention_scores import query_of
from tfts.task import Task

PLAIN = {"linear_skip": "none", "units": 6, "num_heads": 2, "feedforward_units": 13, "dropout": 0.0}
# Four maps with bias, two norms, two maps of the feed-forward block.
BLOCK = 4 * (6 * 6 + 6) + 2 * 2 * 6 + (6 * 13 + 13) + (13 * 6 + 6)


def test_blocks_have_the_weights_of_the_paper():
    model = inverted_transformer(Task(11, 7, targets=2, past=3), num_layers=3, **PLAIN)
    # An embedding of a whole window, the blocks, a last norm, and a map to the horizon.
    assert model.count_params() == (11 * 6 + 6) + 3 * BLOCK + 2 * 6 + (6 * 7 + 7)


def test_a_known_column_is_embedded_with_its_future():
    plain, known = (
        inverted_transformer(Task(11, 7, targets=2, past=3, known_future=known), num_layers=1, **PLAIN)
        for known in (0, 3)
    )
    assert known.count_params() - plain.count_params() == (11 + 7) * 6 + 6


@pytest.mark.parametrize("row", [0, 12], ids=["context", "horizon"])
def test_every_known_row_matters(row):
    model = shaken(
        inverted_transformer(Task(11, 7, targets=2, past=3, known_future=3), num_layers=1, **PLAIN)
    )
    inputs = {"past": drawn(2, 11, 5), "known_future": drawn(2, 18, 3)}
    before = forecast(model, inputs)
    inputs["known_future"][:, row] += 1
    assert np.abs(forecast(model, inputs) - before).max() > 1e-3


def test_the_order_of_the_columns_does_not_matter():
    model = shaken(inverted_transformer(Task(11, 7, targets=2, past=3), num_layers=2, **PLAIN))
    past = drawn(2, 11, 5)
    moved = past[..., [1, 0, 4, 2, 3]]
    np.testing.assert_allclose(forecast(model, moved)[..., ::-1], forecast(model, past), rtol=1e-4, atol=1e-5)


def test_each_target_looks_at_every_column():
    model = shaken(
        inverted_transformer(Task(11, 7, targets=2, past=3, known_future=3), num_layers=2, **PLAIN)
    )
    found = attention_scores(model, {"past": drawn(17, 11, 5), "known_future": drawn(17, 18, 3)})
    assert found.shape == (17, 2, 2, 8)
    np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-5)
    assert query_of(model) == "variable"


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match=r"`units` must be a multiple of `num_heads`.*units=7, num_heads=4"):
        inverted_transformer(Task(11, past=4), units=7)
    with pytest.raises(ValueError, match=r"`num_layers` must be an int >= 1. Received: num_layers=0"):
        inverted_transformer(Task(11, past=4), num_layers=0)
