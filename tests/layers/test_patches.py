import keras
import numpy as np
import pytest

from tfts.layers import Patches


def test_patches_overlap_and_the_last_row_is_repeated():
    rows = np.stack([np.arange(1.0, 8.0), np.arange(10.0, 80.0, 10.0)], axis=1)[None]
    patches = keras.ops.convert_to_numpy(Patches(length=3, stride=2)(rows))
    # Starts at 0, 2, 4 and, one patch more than fits, at 6.
    first = [[1, 2, 3], [3, 4, 5], [5, 6, 7], [7, 7, 7]]
    assert patches.tolist() == [[first, (10 * np.array(first)).tolist()]]


def test_there_are_as_many_patches_as_in_the_paper():
    # 336 rows, patches of 16, a stride of 8: the paper's 42 patches.
    assert Patches(16, 8).compute_output_shape((None, 336, 7)) == (None, 7, 42, 16)
    assert Patches(16, 8)(np.zeros((2, 336, 7), "float32")).shape == (2, 7, 42, 16)


def test_holders_are_the_patches_of_each_row():
    layer = Patches(length=2, stride=1)
    layer.build((None, 3, 1))
    # Patches of the rows 0 and 1, 1 and 2, and 2 and 2.
    np.testing.assert_array_equal(layer.holders(3), [[1, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0.5]])


def test_a_mask_of_rows_is_no_mask_of_patches():
    masked = keras.layers.Masking()(np.zeros((2, 7, 3), "float32"))
    assert getattr(Patches(3, 2)(masked), "_keras_mask", None) is None


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match=r"`length` must be an int >= 1. Received: length=0"):
        Patches(0, 1)
    with pytest.raises(ValueError, match=r"`stride` must be an int >= 1. Received: stride=2.5"):
        Patches(3, 2.5)
    with pytest.raises(
        ValueError, match=r"rows between two patches would not be seen. Received: stride=4, leng"
    ):
        Patches(3, 4)
    with pytest.raises(
        ValueError, match=r"A patch of 5 rows needs an input with at least as many.*\(2, 3, 1\)"
    ):
        Patches(5, 1)(np.zeros((2, 3, 1)))
