import numpy as np
import pytest

from tfts.models import linear, nlinear
from tfts.task import Task


@pytest.mark.parametrize(("individual", "count"), [(False, 7 * 3 + 3), (True, 2 * (7 * 3 + 3))])
def test_weights_are_shared_over_targets_or_not(individual, count):
    assert nlinear(Task(7, 3, targets=2, past=3), individual=individual).count_params() == count


def test_the_window_less_its_last_value_is_mapped_and_the_value_added():
    model = nlinear(Task(3, 1, targets=2))
    model.set_weights([np.array([[10.0], [100.0], [7.0]]), np.array([0.5])])
    past = np.array([[[1.0, 2.0], [3.0, 7.0], [4.0, 6.0]]])
    # 10 (1-4) + 100 (3-4) + 0.5 + 4 and 10 (2-6) + 100 (7-6) + 0.5 + 6
    np.testing.assert_allclose(model(past), [[[-125.5, 66.5]]])


def test_individual_weights_map_a_target_by_its_own_window():
    model = nlinear(Task(2, 1, targets=2, past=1), individual=True)
    kernel, bias = np.zeros((2, 1, 2)), np.array([[1.0, 2.0]])
    kernel[0, 0] = [10.0, 100.0]
    model.set_weights([kernel, bias])
    past = np.array([[[5.0, 3.0, 9.0], [4.0, 1.0, 9.0]]])
    # 10 (5-4) + 1 + 4 and 100 (3-1) + 2 + 1
    np.testing.assert_allclose(model(past), [[[15.0, 203.0]]])


def test_it_is_the_linear_model_of_this_package():
    past = np.random.default_rng(0).normal(size=(11, 7, 5)).astype("float32")
    one, other = nlinear(Task(7, 3, targets=2, past=3)), linear(Task(7, 3, targets=2, past=3))
    other.set_weights([np.full_like(w, 0.25) for w in one.get_weights()])
    one.set_weights(other.get_weights())
    np.testing.assert_array_equal(one(past), other(past))
