import pytest

from tfts.models import MODELS, attention_seq2seq, build_model, lstm_attention


def test_a_model_is_built_by_name():
    model = build_model("lstm_attention", 7, 5, horizon=3, units=13)
    assert model.output_shape == (None, 3, 1)
    assert model.count_params() == lstm_attention(7, 5, 3, units=13).count_params()


def test_an_unknown_name_lists_the_valid_ones_and_the_nearest():
    message = rf"Unknown model 'lstm_atention'. Expected one of: {', '.join(sorted(MODELS))}. Did you mean"
    with pytest.raises(ValueError, match=message + r" 'lstm_attention'\?"):
        build_model("lstm_atention", 7, 5)


def test_an_unknown_option_lists_the_valid_ones_and_the_nearest():
    with pytest.raises(
        ValueError, match=r"Unknown option of model 'linear': 'share'.*Did you mean 'shared'\?"
    ):
        build_model("linear", 7, 5, share=True)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("size", ["context_length", "num_features", "horizon", "num_targets"])
def test_sizes_must_be_positive_ints(name, size):
    sizes = {"context_length": 7, "num_features": 5, size: 0}
    with pytest.raises(ValueError, match=rf"`{size}` must be an int >= 1. Received: {size}=0"):
        build_model(name, **sizes)


def test_there_are_no_more_targets_than_features():
    with pytest.raises(
        ValueError, match=r"The targets are the first columns of `past`.*num_targets=3, num_fea"
    ):
        build_model("linear", 7, 2, num_targets=3)


def test_known_columns_are_counted():
    with pytest.raises(
        ValueError, match=r"`num_known_future` must be an int >= 0. Received: num_known_future=-1"
    ):
        build_model("linear", 7, 2, num_known_future=-1)


def test_unknown_choices_name_the_nearest():
    with pytest.raises(ValueError, match=r"Unknown window_norm 'lost'.*none. Did you mean 'last'\?"):
        build_model("linear", 7, 2, window_norm="lost")
    with pytest.raises(ValueError, match=r"Unknown linear_skip 'al'.*own. Did you mean 'all'\?"):
        build_model("lstm_attention", 7, 2, linear_skip="al")
    with pytest.raises(ValueError, match=r"Unknown kind of position embedding 'learnt'"):
        attention_seq2seq(7, 2, position="learnt")
