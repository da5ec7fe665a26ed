import keras
import numpy as np
import pytest

from tfts.layers import SeriesDecomposition


def test_trend_repeats_the_ends_instead_of_zero_padding():
    series = np.array([0.0, 3.0, 6.0, 0.0, 0.0]).reshape(1, 5, 1)
    trend, remainder = SeriesDecomposition(kernel_size=3)(series)
    # (0+0+3)/3, (0+3+6)/3, (3+6+0)/3, (6+0+0)/3, (0+0+0)/3
    np.testing.assert_allclose(trend[0, :, 0], [1, 3, 3, 2, 0], rtol=1e-6)
    np.testing.assert_allclose(remainder[0, :, 0], [-1, 0, 3, -2, 0], atol=1e-6)


def test_a_kernel_longer_than_the_series_sees_mostly_its_ends():
    trend, _ = SeriesDecomposition(kernel_size=7)(np.array([[[1.0], [2.0], [9.0]]]))
    # 1 1 1 [1 2 9] 9 9 9: (4*1+2+2*9)/7, (3*1+2+2*9+9)/7 and (2*1+2+4*9)/7
    np.testing.assert_allclose(trend[0, :, 0], [24 / 7, 32 / 7, 40 / 7], rtol=1e-6)


def test_steps_that_do_not_count_are_left_out_of_the_average():
    layer = SeriesDecomposition(kernel_size=3)
    series, mask = np.array([[[4.0], [8.0], [99.0], [99.0], [99.0]]]), np.array([[1, 1, 0, 0, 0]], bool)
    trend, _ = layer(series, mask=mask)
    # (4+4+8)/3, (4+8)/2, 8/1, and nothing that counts
    np.testing.assert_allclose(trend[0, :, 0], [16 / 3, 6, 8, 0, 0], rtol=1e-6)
    parts = layer(keras.layers.Masking(99.0)(series))
    for part in parts:
        np.testing.assert_array_equal(part._keras_mask, mask)
    np.testing.assert_allclose(parts[0], trend, rtol=1e-6)


@pytest.mark.parametrize("size", [4, 0])
def test_the_kernel_must_be_odd(size):
    with pytest.raises(ValueError, match=rf"`kernel_size` must be an (odd )?int >= 1.*kernel_size={size}"):
        SeriesDecomposition(kernel_size=size)
