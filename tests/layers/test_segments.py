import keras
import numpy as np
import pytest

from tfts.layers import Segments

ROWS = np.array([[[1, 10], [2, 20], [3, 30], [4, 40], [5, 50]]], "float32")


def test_a_sequence_that_divides_is_cut_feature_by_feature():
    segments = keras.ops.convert_to_numpy(Segments(length=2)(ROWS[:, 1:]))
    assert segments.tolist() == [[[[2, 3], [4, 5]], [[20, 30], [40, 50]]]]


def test_the_first_step_is_repeated_in_front():
    segments = keras.ops.convert_to_numpy(Segments(length=3)(ROWS))
    assert segments.tolist() == [[[[1, 1, 2], [3, 4, 5]], [[10, 10, 20], [30, 40, 50]]]]


def test_the_last_step_is_repeated_at_the_end():
    segments = keras.ops.convert_to_numpy(Segments(length=7, end=True)(ROWS))
    assert segments[0, 0].tolist() == [[1, 2, 3, 4, 5, 5, 5]]


def test_the_time_axis_must_be_known():
    with pytest.raises(ValueError, match=r"needs to know how many time steps there are.*\(None, None, 3\)"):
        Segments(length=2)(keras.Input((None, 3)))


def test_the_length_must_be_a_positive_int():
    with pytest.raises(ValueError, match=r"`length` must be an int >= 1. Received: length=0"):
        Segments(length=0)
