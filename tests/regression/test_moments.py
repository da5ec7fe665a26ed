import numpy as np
import pytest

from tfts.regression.moments import Moments


def make_moments(table, targets, weights, cuts=()):
    moments = Moments(table.shape[1], targets.shape[1])
    for part in zip(*(np.split(values, cuts) for values in (table, targets, weights)), strict=True):
        moments.update(*part)
    return moments


def test_moments_by_hand_in_batches_with_a_row_of_no_weight():
    table = np.array([[1.0], [5.0], [900.0]])
    moments = make_moments(table, np.array([[2.0], [6.0], [0.0]]), np.array([1.0, 3.0, 0.0]), [2])
    # (1 + 3 * 5) / 4 and (3 * 1 + 1 * 9) / 4
    assert moments.mean.tolist() == [4.0, 5.0]
    np.testing.assert_allclose(moments.deviation**2, [3.0, 3.0])
    assert (moments.rows, moments.weight, moments.heaviest) == (2, 4.0, 3.0)
    assert (moments.lowest.tolist(), moments.highest.tolist()) == ([1.0], [5.0])
    # Scaled to -1.5 and 0.5: mean product (2.25 + 3 * 0.25) / 4
    normal = moments.normal(np.array([4.0, 0.0]), np.array([2.0]))
    np.testing.assert_allclose(normal[0], [0.75, 0.0, 1.5])
    np.testing.assert_allclose(normal[1], [0.0, 1.0, 5.0])
    # Squared norm of the longest row, 1 + 1.5^2, times the weight 3 over the mean 2
    assert moments.longest(np.array([4.0]), np.array([2.0])) == pytest.approx(3.25 * 1.5)


@pytest.mark.parametrize("level", [0.0, 1e7])
def test_batches_and_large_levels_lose_no_digits(level):
    rng = np.random.default_rng(0)
    table, targets = rng.normal(size=(101, 3)) + level, rng.normal(size=(101, 2))
    weights = rng.random(101)
    moments = make_moments(table, targets, weights, [7, 7, 60])
    offset, scale = moments.mean[:3], moments.deviation[:3]
    centre = np.average(table, axis=0, weights=weights)
    np.testing.assert_allclose(offset, centre, rtol=1e-14)
    whole = np.column_stack([(table - centre) / scale, np.ones(101), targets])
    expected = (whole * weights[:, None]).T @ whole / weights.sum()
    np.testing.assert_allclose(moments.normal(np.append(offset, [0, 0]), scale), expected, atol=1e-7)


def test_only_rounding_is_no_spread():
    table = np.column_stack([np.full(7, 0.1), 1e6 + 1e-3 * np.arange(7)])
    deviation = make_moments(table, np.empty((7, 0)), np.ones(7)).deviation
    assert deviation[0] == 0
    assert deviation[1] == pytest.approx(2e-3)


def test_without_products_the_scaling_is_the_same():
    rng = np.random.default_rng(0)
    table, targets = rng.normal(size=(50, 3)), np.empty((50, 0))
    slim = Moments(3, 0, products=False)
    slim.update(table, targets, np.ones(50))
    assert not slim.has_products
    np.testing.assert_allclose(slim.deviation, table.std(axis=0))
