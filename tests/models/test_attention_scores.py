import keras
import numpy as np
import pytest

from tfts.layers import MultiHeadAttention
from tfts.models import attention_scores, attention_seq2seq, linear, lstm_attention, patch_transformer
from tfts.task import Task

PAST = np.random.default_rng(0).normal(size=(11, 7, 5)).astype("float32")


def test_every_step_of_the_horizon_looks_over_the_context():
    model = attention_seq2seq(Task(7, 3, past=4), units=26, num_heads=2)
    scores = attention_scores(model, PAST)
    assert scores.shape == (11, 2, 3, 7)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(-1), np.ones((11, 2, 3)), rtol=1e-5)


def test_a_single_head_has_its_axis_too():
    scores = attention_scores(lstm_attention(Task(7, 3, past=4), units=13), PAST)
    assert scores.shape == (11, 1, 7, 7)
    np.testing.assert_allclose(scores.sum(-1), np.ones((11, 1, 7)), rtol=1e-5)


def test_a_loaded_model_gives_the_same_scores(tmp_path):
    model = lstm_attention(Task(7, 3, past=4, known_future=2), units=13)
    inputs = {"past": PAST, "known_future": np.ones((11, 10, 2))}
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(attention_scores(loaded, inputs), attention_scores(model, inputs))


def test_names_that_a_loaded_model_brings_are_not_taken_again(tmp_path):
    # As in a fresh process: what names itself starts to count anew.
    keras.utils.clear_session()
    model = patch_transformer(
        Task(7, 3, targets=2, past=3), units=6, num_heads=2, patch_length=3, num_layers=1
    )
    past = np.random.default_rng(0).normal(size=(2, 7, 5)).astype("float32")
    expected = attention_scores(model, past)
    model.save(tmp_path / "model.keras")
    keras.utils.clear_session()
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(attention_scores(loaded, past), expected, rtol=1e-6)


def test_a_model_without_attention_says_so():
    with pytest.raises(ValueError, match=r"Model 'linear' has no attention, so it has no attention scores"):
        attention_scores(linear(Task(7, past=4)), PAST)


def test_a_layer_that_keeps_its_scores_to_itself_is_named():
    past = keras.Input((7, 5))
    model = keras.Model(past, MultiHeadAttention(2, 3, name="mixer")(past, past), name="mine")
    with pytest.raises(ValueError, match=r"of model 'mine' do not return their scores: mixer. Call one with"):
        attention_scores(model, PAST)
