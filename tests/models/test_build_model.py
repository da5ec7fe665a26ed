import re

import keras
import pytest

from tfts.models import MODELS, attention_seq2seq, build_model, linear, lstm_attention
from tfts.task import Task

TASK = Task(7, 5, targets=["load"], past=2)


def columns(task, *, count=3, units=4):
    """A builder of the user's own that gives some columns, whatever the task asks for."""
    past = keras.Input((task.context_length, task.num_features), name="past")
    hidden = keras.layers.Dense(units)(keras.layers.Flatten()(past))
    steps = keras.layers.Dense(task.horizon * count)(hidden)
    return keras.Model(past, keras.layers.Reshape((task.horizon, count))(steps), name="columns")


def test_a_model_is_built_by_name():
    model = build_model("lstm_attention", TASK, units=13)
    assert model.output_shape == (None, 5, 1)
    assert model.count_params() == lstm_attention(TASK, units=13).count_params()


def test_an_unknown_name_lists_the_valid_ones_and_the_nearest():
    message = rf"Unknown model 'lstm_atention'. Expected one of: {', '.join(sorted(MODELS))}. Did you mean"
    with pytest.raises(ValueError, match=message + r" 'lstm_attention'\?"):
        build_model("lstm_atention", TASK)


def test_an_unknown_option_lists_the_valid_ones_and_the_nearest():
    with pytest.raises(
        ValueError, match=r"Unknown option of model 'linear': 'share'.*Did you mean 'shared'\?"
    ):
        build_model("linear", TASK, share=True)
    with pytest.raises(
        ValueError, match=r"Unknown option of model 'columns': 'unit'.*Did you mean 'units'\?"
    ):
        build_model(columns, TASK, unit=3)
    with pytest.raises(ValueError, match=r"Unknown option of model 'linear': 'task'"):
        build_model("linear", TASK, task=3)


@pytest.mark.parametrize("name", MODELS)
def test_what_is_no_task_is_refused_with_an_example(name):
    with pytest.raises(ValueError, match=r"A builder takes a `Task`, .* linear\(Task\(.*Received: task=7"):
        build_model(name, 7)


def test_unknown_choices_name_the_nearest():
    with pytest.raises(ValueError, match=r"Unknown window_norm 'lost'.*none. Did you mean 'last'\?"):
        build_model("linear", TASK, window_norm="lost")
    with pytest.raises(ValueError, match=r"Unknown linear_skip 'al'.*own. Did you mean 'all'\?"):
        build_model("lstm_attention", TASK, linear_skip="al")
    with pytest.raises(ValueError, match=r"Unknown kind of position embedding 'learnt'"):
        attention_seq2seq(TASK, position="learnt")


def test_a_builder_of_the_users_takes_the_task_and_its_options():
    model = build_model(columns, TASK, count=1, units=13)
    assert model.output_shape == (None, 5, 1)
    assert model.count_params() == (7 * 3 * 13 + 13) + (13 * 5 + 5)


def test_a_builder_that_gives_three_columns_for_one_target_is_refused():
    with pytest.raises(ValueError, match="does not fit the windows") as caught:
        build_model(columns, TASK, count=3)
    assert str(caught.value) == (
        "The model of the builder 'columns' does not fit the windows. Expected inputs past (None, 7, 3) and an "
        "output of (None, 5, 1), (batch, horizon, targets); or without the axis of size 1. Received: inputs past "
        "(None, 7, 3) and output of (None, 5, 3)."
    )


@pytest.mark.parametrize(
    ("shapes", "received"),
    [
        ({"past": (7, 2)}, "past (None, 7, 2)"),
        ({"past": (7, 3), "known_future": (12, 2)}, "known_future (None, 12, 2), past (None, 7, 3)"),
        ({"past": (7, 3), "weather": (7, 3)}, "past (None, 7, 3), weather (None, 7, 3)"),
    ],
)
def test_inputs_that_the_task_has_not_are_refused(shapes, received):
    def own(task):
        inputs = {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
        flat = [keras.layers.Flatten()(x) for x in inputs.values()]
        joined = keras.layers.Concatenate()(flat) if len(flat) > 1 else flat[0]
        steps = keras.layers.Dense(task.horizon)(joined)
        return keras.Model(inputs, keras.layers.Reshape((task.horizon, 1))(steps))

    with pytest.raises(
        ValueError, match=re.escape(f"Received: inputs {received} and output of (None, 5, 1)")
    ):
        build_model(own, TASK)


def test_a_forecast_without_the_axis_of_the_one_target_is_understood():
    def flat(task):
        past = keras.Input((task.context_length, task.num_features))
        return keras.Model(past, keras.layers.Dense(5)(keras.layers.Flatten()(past)), name="flat")

    model = build_model(flat, TASK)
    assert model.output_shape == (None, 5, 1)
    assert model.name == "flat"
    with pytest.raises(ValueError, match=r"output of \(None, 5, 2\), .*Received.*output of \(None, 5\)"):
        build_model(flat, Task(7, 5, targets=2, past=1))


def test_what_is_no_functional_model_is_refused():
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match=r"builder 'mine' must be a functional keras.Model. Received: Own"):
        build_model(_called("mine", lambda task: Own()), TASK)
    with pytest.raises(ValueError, match=r"must be a functional keras.Model. Received: NoneType"):
        build_model(_called("mine", lambda task: None), TASK)


@pytest.mark.parametrize(
    "builder",
    [
        lambda context_length, num_features, horizon=1, num_targets=1, num_known_future=0, *, units=8: None,
        lambda context_length=7, num_features=1: None,
        lambda past, horizon: None,
        lambda: None,
        lambda *, task: None,
    ],
)
def test_a_builder_with_other_arguments_is_shown_the_new_ones(builder):
    with pytest.raises(ValueError, match=r"mine\(task, \*, units=8\) -> keras.Model.*Received: mine\("):
        build_model(_called("mine", builder), TASK)


def test_every_builder_takes_a_task_and_options_by_name():
    assert build_model(linear, TASK).output_shape == build_model("linear", TASK).output_shape


def _called(name, builder):
    builder.__name__ = name
    return builder
