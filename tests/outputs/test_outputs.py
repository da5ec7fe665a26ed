"""What every output must do, and what a point forecast is."""

import json

import keras
import numpy as np
import pytest

from tests.outputs.spread import Spread
from tfts.outputs import OUTPUTS, Output, Point, build_output, output_config
from tfts.outputs.forecast import Forecast


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_is_made_again_of_its_config(name):
    output = build_output(name)
    assert isinstance(output, OUTPUTS[name])
    config = json.loads(json.dumps(output_config(output)))
    assert config["name"] == name
    assert build_output(config) == output
    assert hash(build_output(config)) == hash(output)


@pytest.mark.parametrize("name", OUTPUTS)
def test_parameters_have_the_shapes_that_an_output_names(name):
    output = build_output(name)
    raw = np.random.default_rng(0).normal(size=(7, 5, 3, output.width))
    parameters = output.head(raw)
    assert parameters.shape[:3] == (7, 5, 3)
    assert output.mean(parameters).shape == (7, 5, 3)
    assert output.restore(parameters, np.ones((7, 1, 3)), np.ones((7, 1, 3))).shape == parameters.shape


@pytest.mark.parametrize("name", sorted({*OUTPUTS} - {"negative_binomial"}))
def test_the_mean_moves_with_level_and_scale(name):
    output = build_output(name)
    parameters = output.head(np.random.default_rng(0).normal(size=(7, 5, 3, output.width)))
    restored = output.restore(parameters, level=11.0, scale=2.0)
    np.testing.assert_allclose(output.mean(restored), 11 + 2 * np.asarray(output.mean(parameters)))


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_loss_trains_the_parameters(name):
    output = build_output(name)
    parameters = output.head(np.random.default_rng(0).normal(size=(7, 5, 3, output.width)))
    loss = keras.losses.get(output.loss())(np.zeros((7, 5, 3)), parameters)
    assert np.isfinite(keras.ops.convert_to_numpy(loss)).all()


def test_a_point_is_restored_by_scale_and_level():
    # 2 * 3 + 10 and -1 * 3 + 10; a second target has its own: 4 * 5 + 100.
    parameters = np.array([[[2.0, 4.0], [-1.0, 0.0]]])
    restored = Point().restore(parameters, np.array([10.0, 100.0]), np.array([3.0, 5.0]))
    assert restored.tolist() == [[[16.0, 120.0], [7.0, 100.0]]]
    assert Point().mean(restored) is restored


def test_a_point_has_no_distribution():
    with pytest.raises(
        ValueError, match=r"Point\(\) gives one number .* has no quantiles. Expected an output"
    ):
        Point().quantiles(np.ones((1, 1, 1)), [0.5])
    with pytest.raises(ValueError, match=r"has no quantiles"):
        Point().at(np.ones((1, 1, 1)), 0.0)


def test_what_is_no_output_is_refused():
    with pytest.raises(
        ValueError, match=r"Unknown output 'pint'. Expected one of: .*, point, .*Did you mean 'point'"
    ):
        build_output("pint")
    with pytest.raises(
        ValueError, match=r"`output` must be an Output, a name of OUTPUTS.*Received: output=3"
    ):
        build_output(3)
    with pytest.raises(ValueError, match=r"Unknown setting of output 'point': 'levels'"):
        build_output({"name": "point", "levels": [0.5]})
    with pytest.raises(ValueError, match=r"Spread is not in OUTPUTS, so what is saved .* one of: .*point"):
        output_config(Spread())


def test_an_output_must_define_what_every_output_needs():
    with pytest.raises(TypeError, match="abstract"):
        Output()


def test_the_settings_of_an_output_are_kept(monkeypatch):
    monkeypatch.setitem(OUTPUTS, "spread", Spread)
    config = output_config(Spread(names_of=("low", "high")))
    assert config == {"name": "spread", "names_of": ["low", "high"]}
    assert build_output(config) == Spread(names_of=("low", "high"))


@pytest.mark.parametrize("output", ["point", Spread()])
def test_the_last_layer_announces_the_shape_that_it_gives(output):
    layer = Forecast(output)
    raw = np.ones((2, 5, 3 * layer.of.width))
    assert layer.compute_output_shape(raw.shape) == tuple(layer(raw).shape)
    assert layer(keras.Input(raw.shape[1:])).shape[1:] == layer(raw).shape[1:]


def test_columns_are_the_locations_of_all_targets_then_their_other_numbers():
    # Two targets: locations 1 and 2, then spreads 0.1 and 0.2.
    raw = np.array([[[1.0, 2.0, 0.1, 0.2]]])
    parameters = keras.ops.convert_to_numpy(Forecast(Spread())(raw))
    np.testing.assert_allclose(parameters, [[[[0.9, 1.1], [1.8, 2.2]]]], rtol=1e-6)
    level, scale = np.array([[[10.0, 20.0]]]), np.array([[[2.0, 3.0]]])
    restored = keras.ops.convert_to_numpy(Forecast(Spread())(raw, level=level, scale=scale))
    # 0.9 * 2 + 10, 1.1 * 2 + 10 and 1.8 * 3 + 20, 2.2 * 3 + 20.
    np.testing.assert_allclose(restored, [[[[11.8, 12.2], [25.4, 26.6]]]], rtol=1e-6)


def test_columns_that_the_width_does_not_share_are_refused():
    with pytest.raises(ValueError, match=r"needs 2 columns for each target. Received: 3 columns"):
        Forecast(Spread())(np.ones((1, 1, 3)))


def test_the_last_layer_keeps_its_output():
    layer = Forecast("point", name="forecast")
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert twin.of == Point()
    assert twin.get_config() == layer.get_config()
    assert keras.saving.get_registered_name(Forecast) == "tfts>Forecast"
