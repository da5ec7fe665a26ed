"""An LSTM encoder, and an LSTM decoder that feeds each step into the next."""

import keras

from tfts.layers import LSTMDecoder
from tfts.models._parts import (
    finish,
    join,
    linear_guess,
    lstm_stack,
    normalise,
    split_known_future,
    window_inputs,
)

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
    context_length,
    num_features,
    horizon=1,
    num_targets=1,
    num_known_future=0,
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
        context_length: Int >= 1, rows seen.
        num_features: Int >= 1, columns of `past`; the targets come first.
        horizon: Int >= 1, rows forecast.
        num_targets: Int >= 1.
        num_known_future: Int >= 0, columns known ahead.
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
        Uncompiled `keras.Model` from `past` `(batch, context_length, num_features)`,
        with `num_known_future` from the dict of it and `known_future`
        `(batch, context_length + horizon, num_known_future)`, to the forecast
        `(batch, horizon, num_targets)`.

    Raises:
        ValueError: If a size is out of range or `window_norm` is unknown.

    Example:

    >>> lstm_seq2seq(context_length=7, num_features=3, horizon=5).output_shape
    (None, 5, 1)

    Source: Sutskever et al., Sequence to Sequence Learning with Neural Networks,
    NeurIPS 2014; Bengio et al., Scheduled Sampling for Sequence Prediction with
    Recurrent Neural Networks, NeurIPS 2015.
    """
    inputs, past, known = window_inputs(context_length, num_features, horizon, num_targets, num_known_future)
    window, norm = normalise(past, window_norm)
    context, ahead = split_known_future(known, horizon)
    _, states = lstm_stack(
        join([window, context], "encoder_inputs"), units, num_layers, dropout, return_state=True
    )
    first = keras.layers.Cropping1D((context_length - 1, 0), dtype="float32", name="last_step")(window)
    first = keras.layers.Flatten(dtype="float32", name="first")(first[..., :num_targets])
    teacher = None
    if teacher_forcing:
        future = keras.Input((horizon, num_targets), name="teacher", dtype="float32", optional=True)
        inputs = {**(inputs if known is not None else {"past": past}), "teacher": future}
        # The decoder works on the window's own level, so the truth must come down to it.
        teacher = future if norm is None else norm(future, window=past)
    decoder = LSTMDecoder(
        units,
        horizon,
        num_layers,
        dropout=dropout,
        teacher_forcing=teacher_forcing,
        dtype="float32",
        name="decoder",
    )
    guess = linear_guess(linear_skip, window, ahead, horizon, num_targets)
    forecast = decoder(first, states, known_future=ahead, guess=guess, teacher=teacher)
    return keras.Model(inputs, finish(forecast, past, norm), name=name)
