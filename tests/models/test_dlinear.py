import keras
import numpy as np
import pytest

from tfts.models import dlinear
from tfts.task import Task


@pytest.mark.parametrize(("individual", "count"), [(False, 2 * (7 * 3 + 3)), (True, 2 * 2 * (7 * 3 + 3))])
def test_weights_are_two_maps_shared_over_targets_or_not(individual, count):
    assert dlinear(Task(7, 3, targets=2, past=3), individual=individual).count_params() == count


def test_trend_and_remainder_go_through_maps_of_their_own():
    model = dlinear(Task(3, 2), kernel_size=3)
    weights = {
        "trend/kernel": [[1.0, 0.0], [0.0, 0.0], [0.0, 10.0]],
        "trend/bias": [0.5, 0.0],
        "remainder/kernel": [[100.0, 0.0], [0.0, 1000.0], [0.0, 0.0]],
        "remainder/bias": [0.0, 0.25],
    }
    for weight in model.weights:
        weight.assign(next(value for name, value in weights.items() if weight.path.endswith(name)))
    # The trend of 0, 3, 9 is (0+0+3)/3, (0+3+9)/3, (3+9+9)/3 = 1, 4, 7, what is left -1, -1, 2.
    forecast = keras.ops.convert_to_numpy(model(np.array([[[0.0], [3.0], [9.0]]])))
    np.testing.assert_allclose(forecast[0, :, 0], [1 + 0.5 - 100, 70 - 1000 + 0.25], rtol=1e-5)


def test_the_kernel_is_checked():
    with pytest.raises(ValueError, match=r"`kernel_size` must be an odd int >= 1"):
        dlinear(Task(7), kernel_size=4)
