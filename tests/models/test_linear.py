import keras
import numpy as np
import pytest

from tfts.models import linear
from tfts.task import Task


@pytest.mark.parametrize(("shared", "count"), [(True, 7 * 3 + 3), (False, 7 * 5 * 3 * 2 + 3 * 2)])
def test_weights_are_shared_over_targets_or_not(shared, count):
    assert linear(Task(7, 3, targets=2, past=3), shared=shared).count_params() == count


def test_it_starts_at_the_level_of_the_window():
    past = np.random.default_rng(0).normal(size=(11, 7, 5)).astype("float32")
    last = keras.ops.convert_to_numpy(linear(Task(7, 3, targets=2, past=3))(past))
    np.testing.assert_allclose(last, np.repeat(past[:, -1:, :2], 3, axis=1), rtol=1e-6)
    mean = keras.ops.convert_to_numpy(linear(Task(7, 3, targets=2, past=3), window_norm="instance")(past))
    expected = np.repeat(past[:, :, :2].mean(1, keepdims=True), 3, axis=1)
    np.testing.assert_allclose(mean, expected, rtol=1e-4, atol=1e-6)


def test_shared_weights_map_each_target_by_its_own_window():
    model = linear(Task(2, 1, targets=2, past=1), window_norm="none")
    model.set_weights([np.array([[10.0], [1.0]]), np.array([0.5])])
    past = np.array([[[1.0, 2.0, 9.0], [3.0, 4.0, 9.0]]])
    # 10 * 1 + 3 + 0.5 and 10 * 2 + 4 + 0.5; the third feature is no target.
    np.testing.assert_allclose(model(past), [[[13.5, 24.5]]])


def test_unshared_weights_see_every_feature():
    model = linear(Task(2, 1, past=2), window_norm="none", shared=False)
    kernel, bias = model.get_weights()
    kernel[:, :, 0, 0] = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    model.set_weights([kernel, bias])
    past = np.array([[[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
    # 1 + 2 + 6
    np.testing.assert_allclose(model(past), [[[9.0]]])


def test_known_columns_act_on_their_own_step():
    model = linear(Task(3, 5, known_future=2), window_norm="none")
    weights = [np.zeros_like(w) for w in model.get_weights()]
    known_kernel = next(i for i, w in enumerate(weights) if w.shape == (5, 2, 1))
    weights[known_kernel][4, 1] = 7.0
    model.set_weights(weights)
    known = np.zeros((1, 8, 2))
    known[0, 7, 1] = 2.0
    forecast = keras.ops.convert_to_numpy(model({"past": np.ones((1, 3, 1)), "known_future": known}))
    assert forecast[0, :, 0].tolist() == [0, 0, 0, 0, 14]
