import numpy as np
import pytest

from tests.models.shaken import drawn, forecast, shaken
from tfts.models import attention_scores, patch_transformer
from tfts.task import Task

PLAIN = {"linear_skip": "none", "units": 6, "num_heads": 2, "feedforward_units": 13, "dropout": 0.0}
CUT = {"patch_length": 3, "stride": 2}
# Four maps with bias, two norms, two maps of the feed-forward block.
BLOCK = 4 * (6 * 6 + 6) + 2 * 2 * 6 + (6 * 13 + 13) + (13 * 6 + 6)


def test_blocks_have_the_weights_of_the_paper():
    model = patch_transformer(Task(11, 7, targets=2, past=3), num_layers=3, **CUT, **PLAIN)
    # (11 - 3) // 2 + 2 patches, each with a place; a head over all of them, shared by the targets.
    patches = 6
    assert model.get_layer("patches").output.shape == (None, 2, patches, 3)
    embedding = (3 * 6 + 6) + patches * 6
    assert model.count_params() == embedding + 3 * BLOCK + (patches * 6 * 7 + 7)


def test_known_columns_are_embedded_with_their_patch_and_seen_by_the_head():
    sizes = {"num_layers": 1, **CUT, **PLAIN}
    known, plain = (
        patch_transformer(Task(11, 7, targets=2, past=3, known_future=3), **sizes),
        patch_transformer(Task(11, 7, targets=2, past=3), **sizes),
    )
    assert known.count_params() - plain.count_params() == 3 * 3 * 6 + 7 * 3 * 7


@pytest.mark.parametrize("row", [0, 12], ids=["context", "horizon"])
def test_every_known_row_matters(row):
    model = shaken(
        patch_transformer(Task(11, 7, targets=2, past=3, known_future=3), num_layers=1, **CUT, **PLAIN)
    )
    inputs = {"past": drawn(2, 11, 5), "known_future": drawn(2, 18, 3)}
    before = forecast(model, inputs)
    inputs["known_future"][:, row] += 1
    assert np.abs(forecast(model, inputs) - before).max() > 1e-3


def test_targets_share_the_weights_and_see_their_own_window():
    model = shaken(patch_transformer(Task(11, 7, targets=2, past=3), num_layers=1, **CUT, **PLAIN))
    past = drawn(2, 11, 5)
    swapped = past[..., [1, 0, 4, 3, 2]]
    np.testing.assert_allclose(
        forecast(model, swapped)[..., ::-1], forecast(model, past), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(("context_length", "cut"), [(336, (16, 8)), (60, (15, 7)), (7, (1, 1))])
def test_patches_fit_the_context_by_default(context_length, cut):
    layer = patch_transformer(Task(context_length, past=1), num_layers=1, **PLAIN).get_layer("patches")
    assert (layer.length, layer.stride) == cut


def test_a_row_has_the_scores_of_the_patches_that_hold_it():
    model = shaken(patch_transformer(Task(3, targets=2), num_layers=1, patch_length=2, stride=2, **PLAIN))
    found = attention_scores(model, drawn(5, 3, 2))
    assert found.shape == (5, 2, 3, 3)
    np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-5)
    # Rows 0 and 1 are the first patch: they look alike, and are looked at alike.
    np.testing.assert_allclose(found[:, :, 0], found[:, :, 1], rtol=1e-5)
    np.testing.assert_allclose(found[..., 0], found[..., 1], rtol=1e-5)
    assert np.abs(found[:, :, 0] - found[:, :, 2]).max() > 1e-3


def test_even_scores_of_patches_are_even_scores_of_rows():
    model = patch_transformer(Task(11), num_layers=1, patch_length=5, stride=2, **PLAIN)
    for weight in model.get_layer("patch_attention").weights:
        weight.assign(np.zeros(weight.shape))
    np.testing.assert_allclose(attention_scores(model, drawn(3, 11, 1)), 1 / 11, rtol=1e-5)


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match=r"`units` must be a multiple of `num_heads`.*units=6, num_heads=4"):
        patch_transformer(Task(11, past=4), units=6, num_heads=4)
    with pytest.raises(ValueError, match=r"A patch of 13 rows needs an input with at least as many"):
        patch_transformer(Task(11, past=4), patch_length=13)
