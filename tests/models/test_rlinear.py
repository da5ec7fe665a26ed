import numpy as np
import pytest

from tfts.models import rlinear
from tfts.task import Task


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 7 * 3 + 3 + 2 * 2),
        ({"affine": False}, 7 * 3 + 3),
        ({"individual": True}, 2 * (7 * 3 + 3) + 2 * 2),
    ],
)
def test_weights_are_one_map_and_a_scale_and_shift_of_each_target(options, count):
    assert rlinear(Task(7, 3, targets=2, past=3), **options).count_params() == count


@pytest.mark.parametrize("affine", [False, True])
def test_the_map_works_between_normalising_and_restoring(affine):
    model = rlinear(Task(2, 1, past=1), affine=affine)
    weights = {"map/kernel": [[10.0], [1.0]], "map/bias": [0.5], "gamma": [2.0], "beta": [3.0]}
    for weight in model.weights:
        weight.assign(next(value for name, value in weights.items() if weight.path.endswith(name)))
    past = np.array([[[1.0, 9.0], [5.0, 7.0]]])
    # Mean 3 and deviation 2 make -1 and 1; affine 2 x + 3 makes 1 and 5.
    mapped = 10 * 1 + 5 + 0.5 if affine else -10 + 1 + 0.5
    restored = (mapped - 3) / 2 * 2 + 3 if affine else mapped * 2 + 3
    np.testing.assert_allclose(model(past), [[[restored]]], rtol=1e-5)
