import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfts.layers import ReversibleInstanceNorm


def test_mean_and_deviation_of_the_window_are_taken_out():
    past = np.array([1.0, 3.0, 5.0, 7.0]).reshape(1, 4, 1)
    # Mean 4, variance (9 + 1 + 1 + 9) / 4 = 5; with epsilon 4 the divisor is 3.
    norm = ReversibleInstanceNorm(epsilon=4.0)
    np.testing.assert_allclose(norm(past)[0, :, 0], [-1, -1 / 3, 1 / 3, 1], rtol=1e-6)
    forecast = np.array([2.0]).reshape(1, 1, 1)
    np.testing.assert_allclose(norm(forecast, window=past, restore=True)[0, 0, 0], 2 * 3 + 4, rtol=1e-6)


def test_the_last_value_that_counts_is_taken_out():
    past = np.array([1.0, 3.0, 8.0, 99.0]).reshape(1, 4, 1)
    mask = np.array([[True, True, True, False]])
    norm = ReversibleInstanceNorm(center="last", scale=False)
    np.testing.assert_allclose(norm(past, mask=mask)[0, :3, 0], [-7, -5, 0])
    np.testing.assert_allclose(norm(past)[0, :, 0], [-98, -96, -91, 0])


def test_a_window_without_a_step_that_counts_stays_as_it_is():
    past = np.array([1.0, 3.0]).reshape(1, 2, 1)
    for center in ("mean", "last"):
        norm = ReversibleInstanceNorm(center=center, scale=False)
        np.testing.assert_allclose(norm(past, mask=np.zeros((1, 2), bool)), past)


@settings(max_examples=25, deadline=None)
@given(
    center=st.sampled_from(["mean", "last"]),
    scale=st.booleans(),
    affine=st.booleans(),
    level=st.floats(-100, 100),
    spread=st.floats(0.1, 10),
    seed=st.integers(0, 99),
)
def test_restoring_undoes_normalising(center, scale, affine, level, spread, seed):
    past = level + spread * np.random.default_rng(seed).normal(size=(2, 7, 3)).astype("float32")
    norm = ReversibleInstanceNorm(center=center, scale=scale, affine=affine)
    normalised = norm(past)
    if affine:
        norm.set_weights([np.array([0.5, 1.0, 2.0]), np.array([1.0, -1.0, 0.0])])
        normalised = norm(past)
    np.testing.assert_allclose(norm(normalised, window=past, restore=True), past, rtol=1e-4, atol=1e-3)


def test_a_forecast_of_fewer_columns_is_restored_by_the_first_features():
    past = np.array([[[1.0, 100.0], [3.0, 300.0]]])
    norm = ReversibleInstanceNorm(center="last", scale=False)
    np.testing.assert_allclose(norm(np.zeros((1, 5, 1)), window=past, restore=True), np.full((1, 5, 1), 3.0))


def test_other_rows_are_normalised_by_the_level_of_the_window():
    past = np.array([[[1.0, 100.0], [3.0, 300.0]]])
    norm = ReversibleInstanceNorm(center="last", scale=False)
    np.testing.assert_allclose(norm(np.array([[[4.0], [7.0]]]), window=past), [[[1.0], [4.0]]])


def test_a_constant_window_is_finite():
    output = np.asarray(ReversibleInstanceNorm()(np.full((1, 5, 1), 7.0)))
    np.testing.assert_array_equal(output, np.zeros((1, 5, 1)))


def test_an_unknown_center_names_the_valid_ones():
    with pytest.raises(
        ValueError, match=r"Unknown center 'lost'. Expected one of: last, mean. Did you mean 'last'?"
    ):
        ReversibleInstanceNorm(center="lost")


def test_epsilon_must_be_above_zero():
    with pytest.raises(ValueError, match=r"`epsilon` must be above 0. Received: epsilon=0"):
        ReversibleInstanceNorm(epsilon=0)


def test_level_and_scale_restore_a_forecast():
    past = np.array([1.0, 3.0, 5.0, 7.0]).reshape(1, 4, 1)
    # Mean 4, variance 5, and with epsilon 4 a deviation of 3; then z -> 2 z + 5.
    norm = ReversibleInstanceNorm(epsilon=4.0, affine=True)
    norm(past)
    norm.set_weights([np.array([2.0]), np.array([5.0])])
    normalised, level, scale = norm(past, return_statistics=True)
    np.testing.assert_allclose(normalised[0, :, 0], [3, 5 - 2 / 3, 5 + 2 / 3, 7], rtol=1e-6)
    # (v - 5) / 2 * 3 + 4 is 1.5 v - 3.5.
    np.testing.assert_allclose([level[0, 0, 0], scale[0, 0, 0]], [-3.5, 1.5], rtol=1e-6)
    np.testing.assert_allclose(normalised * scale + level, past, rtol=1e-6)


def test_level_and_scale_are_tensors_of_their_own_in_a_graph():
    past = keras.Input((4, 1))
    statistics = ReversibleInstanceNorm(center="last", scale=False)(past, return_statistics=True)
    found = keras.Model(past, statistics)(np.array([1.0, 3.0, 5.0, 7.0]).reshape(1, 4, 1))
    assert [np.asarray(x).ravel().tolist() for x in found] == [[-6.0, -4.0, -2.0, 0.0], [7.0], [1.0]]
