import keras
import pytest

from tfts.models import lstm_regressor


def test_each_target_has_a_head_of_its_own_name():
    model = lstm_regressor(7, 5, horizon=3, num_targets=2, target_names=("load", "price"))
    assert model.get_layer("head_load").output.shape == (None, 3)
    assert model.get_layer("head_price").output.shape == (None, 3)
    default = lstm_regressor(7, 5, horizon=3, num_targets=2)
    assert default.get_layer("head_target_1").output.shape == (None, 3)


def test_a_head_writes_its_own_column():
    model = lstm_regressor(
        7, 5, horizon=3, num_targets=2, target_names=("load", "price"), window_norm="none", linear_skip="none"
    )
    kernel, bias = model.get_layer("head_price").weights
    kernel.assign(keras.ops.zeros_like(kernel))
    bias.assign([2.0, 3.0, 5.0])
    forecast = keras.ops.convert_to_numpy(model(keras.ops.ones((1, 7, 5))))
    assert forecast[0, :, 1].tolist() == [2.0, 3.0, 5.0]
    assert forecast[0, :, 0].tolist() != [2.0, 3.0, 5.0]


@pytest.mark.parametrize("names", [["load"], ["load", "load"], ["a", "b", "c"]])
def test_the_names_must_fit_the_targets(names):
    with pytest.raises(ValueError, match=r"must hold 2 different names, one for each target. Received: \["):
        lstm_regressor(7, 5, num_targets=2, target_names=names)
