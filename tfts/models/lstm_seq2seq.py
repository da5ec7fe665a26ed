"""An LSTM encoder, and an LSTM decoder that feeds each step into the next."""

import keras

from tfts.layers import LSTMDecoder
from tfts.models._blocks import lstm_stack
from tfts.models._parts import finish, linear_guess, window_inputs, with_teacher

# The settings that a search tries by default, see tfts.tuning.
SPACE = {
    "units": {"values": [32, 50, 64, 96, 128]},
    "num_layers": {"values": [1, 2]},
    "dropout": {"values": [0.0, 0.1, 0.2]},
    "window_norm": {"values": ["last", "instance"]},
    "learning_rate": {"min": 1e-4, "max": 1e-2, "log": True},
    "batch_size": {"values": [32, 64, 128]},
}


def lstm_seq2seq(
    task,
    *,
    units=50,
    num_layers=1,
    dropout=0.0,
    teacher_forcing=0.0,
    window_norm="last",
    linear_skip="all",
    name="lstm_seq2seq",
):
    """Builds an encoder-decoder of LSTMs that forecasts one step after the other.

    Args:
        task: `Task`, what the model is for.
        units: Int >= 1, the width of the encoder's and the decoder's layers.
        num_layers: Int >= 1, layers of the encoder and of the decoder.
        dropout: Float in [0, 1), the share of every layer's outputs dropped in training.
        teacher_forcing: Float in [0, 1], the share of steps that in training
            see the true step before in place of the forecast one. Above 0 the
            model takes a further input `teacher` `(batch, horizon, num_targets)`,
            the true future. It is used in training alone: give None (or, in a
            dataset, zeros) when you predict.
        window_norm: `"none"`, `"last"` (each window less its last value) or
            `"instance"` (less its mean, divided by its standard deviation).
        linear_skip: Gives the decoder a linear forecast, to which it adds what
            that one misses: `"own"` from each target's own window, `"all"` from the
            windows of all features, `"none"` adds nothing.
        name: Str.

    Returns:
        Uncompiled `keras.Model` of the task.

    Raises:
        ValueError: If a setting is out of range or `window_norm` is unknown.

    Example:

    >>> from tfts.task import Task
    >>> lstm_seq2seq(Task(context_length=7, horizon=5, past=2)).output_shape
    (None, 5, 1)

    Source: Sutskever et al., Sequence to Sequence Learning with Neural Networks,
    NeurIPS 2014; Bengio et al., Scheduled Sampling for Sequence Prediction with
    Recurrent Neural Networks, NeurIPS 2015.
    """
    window = window_inputs(task, window_norm)
    _, states = lstm_stack(window.encoder, units, num_layers, dropout, return_state=True)
    first = keras.layers.Cropping1D((task.context_length - 1, 0), dtype="float32", name="last_step")(
        window.own
    )
    first = keras.layers.Flatten(dtype="float32", name="first")(first)
    teacher = None
    if teacher_forcing:
        window, teacher = with_teacher(window)
    decoder = LSTMDecoder(
        units,
        task.horizon,
        num_layers,
        dropout=dropout,
        teacher_forcing=teacher_forcing,
        width=task.output.width,
        dtype="float32",
        name="decoder",
    )
    guess = linear_guess(window, linear_skip)
    raw = decoder(first, states, known_future=window.ahead, guess=guess, teacher=teacher)
    return finish(window, raw, name)
