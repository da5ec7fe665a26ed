import keras
import pytest

from tfts.models import lstm_regressor
from tfts.task import Task


def test_each_target_has_a_head_of_its_own_name():
    model = lstm_regressor(Task(7, 3, targets=["load", "price"], past=3))
    assert model.get_layer("head_load").output.shape == (None, 3)
    assert model.get_layer("head_price").output.shape == (None, 3)
    default = lstm_regressor(Task(7, 3, targets=2, past=3))
    assert default.get_layer("head_target_1").output.shape == (None, 3)


def test_a_head_writes_its_own_column():
    model = lstm_regressor(
        Task(7, 3, targets=["load", "price"], past=3), window_norm="none", linear_skip="none"
    )
    kernel, bias = model.get_layer("head_price").weights
    kernel.assign(keras.ops.zeros_like(kernel))
    bias.assign([2.0, 3.0, 5.0])
    forecast = keras.ops.convert_to_numpy(model(keras.ops.ones((1, 7, 5))))
    assert forecast[0, :, 1].tolist() == [2.0, 3.0, 5.0]
    assert forecast[0, :, 0].tolist() != [2.0, 3.0, 5.0]


@pytest.mark.parametrize("names", [["load/kW", "price"], ["Größe (kW)", "a b"], ["_load", "price"]])
def test_columns_that_no_layer_can_be_called_after_are_counted(names):
    model = lstm_regressor(Task(7, 3, targets=names, past=3))
    assert model.get_layer("head_target_1").output.shape == (None, 3)
