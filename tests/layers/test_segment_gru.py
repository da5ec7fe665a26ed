import keras
import numpy as np
import pytest

from tfts.layers import SegmentGRU

BATCH, CHANNELS, SEGMENTS, WIDTH, AHEAD, UNITS = 2, 3, 5, 7, 11, 13


def _layer_and_inputs():
    rng = np.random.default_rng(0)
    layer = SegmentGRU(UNITS, AHEAD)
    inputs = rng.normal(size=(BATCH, CHANNELS, SEGMENTS, WIDTH)).astype("float32")
    known = rng.normal(size=(BATCH, AHEAD, WIDTH)).astype("float32")
    layer(inputs)
    layer.set_weights([rng.normal(scale=0.5, size=w.shape) for w in layer.get_weights()])
    return layer, inputs, known


@pytest.mark.parametrize("with_known", [False, True])
def test_every_step_ahead_is_one_step_of_the_gru_from_what_it_has_read(with_known):
    layer, inputs, known = _layer_and_inputs()
    found = keras.ops.convert_to_numpy(layer(inputs, known_ahead=known if with_known else None))
    positions, channels = (keras.ops.convert_to_numpy(w) for w in (layer.positions, layer.channels))
    for channel in range(CHANNELS):
        state = layer.gru(inputs[:, channel])
        for ahead in range(AHEAD):
            given = np.tile(np.concatenate([positions[ahead], channels[channel]]), (BATCH, 1))
            given = given + known[:, ahead] if with_known else given
            expected = layer.gru(given[:, None].astype("float32"), initial_state=state)
            np.testing.assert_allclose(found[:, channel, ahead], expected, atol=1e-5)


def test_the_weights_are_those_of_one_gru_and_two_tables():
    layer, _, _ = _layer_and_inputs()
    # Half of the width, rounded up, is the segment's.
    tables = AHEAD * 4 + CHANNELS * 3
    assert layer.count_params() == 3 * (WIDTH * UNITS + UNITS * UNITS + 2 * UNITS) + tables


def test_inputs_must_have_room_for_segment_and_channel():
    with pytest.raises(ValueError, match=r"must be at least 2 wide.*Received: input shape \(2, 3, 5, 1\)"):
        SegmentGRU(4, 2)(np.ones((2, 3, 5, 1)))


@pytest.mark.parametrize("argument", ["units", "num_ahead"])
def test_sizes_must_be_positive_ints(argument):
    with pytest.raises(ValueError, match=rf"`{argument}` must be an int >= 1. Received: {argument}=0"):
        SegmentGRU(**{"units": 4, "num_ahead": 2, argument: 0})
