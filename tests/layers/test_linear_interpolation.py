import keras
import numpy as np
import pytest

from tfts.layers import LinearInterpolation


def drawn(steps, knots):
    return keras.ops.convert_to_numpy(LinearInterpolation(steps)(np.array(knots, "float32")))


def test_steps_lie_on_the_lines_between_the_knots():
    # Knots at the steps 0, 3 and 6: from 0 to 6 by 2, from 6 to 3 by 1 down.
    np.testing.assert_allclose(drawn(7, [[0, 6, 3]]), [[0, 2, 4, 6, 5, 4, 3]], atol=1e-6)


def test_one_knot_is_a_constant_and_as_many_as_steps_are_the_steps():
    assert drawn(3, [[5.0], [7.0]]).tolist() == [[5, 5, 5], [7, 7, 7]]
    assert drawn(5, [[3, 1, 4, 1, 5]]).tolist() == [[3, 1, 4, 1, 5]]
    assert drawn(1, [[3.0]]).tolist() == [[3]]


def test_axes_before_the_last_stay():
    knots = np.arange(2 * 3 * 2.0).reshape(2, 3, 2)
    np.testing.assert_allclose(
        drawn(5, knots), np.linspace(knots[..., 0], knots[..., 1], 5, axis=-1), rtol=1e-6
    )


def test_steps_must_be_a_positive_int():
    with pytest.raises(ValueError, match=r"`steps` must be an int >= 1. Received: steps=0"):
        LinearInterpolation(0)
