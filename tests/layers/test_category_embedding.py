import keras
import numpy as np
import pytest

from tfts.layers import CategoryEmbedding


def _vectors(layer, numbers, **options):
    return keras.ops.convert_to_numpy(layer(np.array(numbers, dtype="float32"), **options))


def test_each_label_has_its_row_and_any_other_number_the_first():
    layer = CategoryEmbedding(num_labels=3, units=5)
    found = _vectors(layer, [0, 1, 2, 3, 4, -1, 1e6])
    table = keras.ops.convert_to_numpy(layer.table)
    np.testing.assert_array_equal(found, table[[0, 1, 2, 3, 0, 0, 0]])


@pytest.mark.parametrize(("num_labels", "units"), [(1, 2), (6, 5), (99, 21), (10_000, 50)])
def test_the_width_follows_from_the_number_of_labels(num_labels, units):
    # 1.6 * (num_labels + 1) ** 0.56, at most 50.
    assert CategoryEmbedding(num_labels).units == units


def test_a_share_of_windows_is_trained_with_the_unknown_label():
    layer = CategoryEmbedding(num_labels=1, units=2, dropout=0.25, seed=3)
    numbers = np.ones((4000, 3))
    unknown = (_vectors(layer, numbers, training=True) == _vectors(layer, [0])).all(axis=-1)
    # A window loses its label in all rows.
    assert (unknown.all(axis=1) == unknown.any(axis=1)).all()
    assert unknown.mean() == pytest.approx(0.25, abs=0.03)
    assert not (_vectors(layer, numbers) == _vectors(layer, [0])).all(axis=-1).any()


def test_numbers_of_labels_are_not_rounded_by_half_precision():
    layer = CategoryEmbedding(num_labels=4000, units=2, dtype="mixed_float16")
    found = _vectors(layer, [2048, 2049])
    assert (found[0] != found[1]).any()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"num_labels": 0}, "`num_labels` must be an int >= 1"),
        ({"num_labels": 3, "units": 0}, "`units` must be an int >= 1"),
        ({"num_labels": 3, "dropout": 1.0}, "`dropout` is the share"),
    ],
)
def test_settings_out_of_range_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        CategoryEmbedding(**options)
