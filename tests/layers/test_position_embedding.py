import keras
import numpy as np
import pytest

from tfts.layers import PositionEmbedding


def test_learned_positions_are_added_row_by_row():
    layer = PositionEmbedding(max_length=3)
    layer.build((None, 2, 2))
    layer.set_weights([np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])])
    output = layer(np.full((1, 2, 2), 10.0))
    np.testing.assert_array_equal(output, [[[11, 12], [13, 14]]])


def test_sinusoids_have_growing_wavelengths():
    output = PositionEmbedding(kind="sinusoidal")(np.zeros((1, 3, 4)))
    # Columns: sin(t), cos(t), sin(t / 100), cos(t / 100).
    expected = [[np.sin(t), np.cos(t), np.sin(t / 100), np.cos(t / 100)] for t in range(3)]
    np.testing.assert_allclose(output[0], expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["learned", "sinusoidal"])
def test_a_longer_sequence_than_built_for_is_an_error(kind):
    layer = PositionEmbedding(kind=kind)
    layer(np.zeros((2, 5, 3)))
    layer(np.zeros((2, 4, 3)))
    with pytest.raises(ValueError, match=r"positions for max_length=5 steps, but the input has 7"):
        layer(np.zeros((2, 7, 3)))


def test_an_unknown_time_axis_needs_max_length():
    with pytest.raises(ValueError, match=r"needs `max_length` when the time axis of its input is unknown"):
        PositionEmbedding()(keras.Input((None, 3)))
    assert PositionEmbedding(max_length=5)(keras.Input((None, 3))).shape == (None, None, 3)


def test_an_unknown_kind_names_the_nearest():
    with pytest.raises(
        ValueError, match=r"Unknown kind of position embedding 'learnt'.*Did you mean 'learned'?"
    ):
        PositionEmbedding(kind="learnt")


def test_max_length_must_be_a_positive_int():
    with pytest.raises(ValueError, match=r"`max_length` must be an int >= 1. Received: max_length=0"):
        PositionEmbedding(max_length=0)
