"""Forecasts step by step: each step sees the one before."""

from typing import Any

import keras
from keras import ops

from tfts.errors import SettingError
from tfts.layers._checks import check_positive_int, check_share


@keras.saving.register_keras_serializable(package="tfts")
class LSTMDecoder(keras.layers.Layer):
    """Rolls LSTM cells over the horizon and feeds each forecast step into the next.

    The steps are one loop in the graph, so a long horizon builds as fast as a
    short one. The cells see the step before, the step's place in the horizon
    (0 to 1) and the columns known for the step; a dense head turns their output
    into what is added to the guess for the step or, without one, to the step
    before.

    Args:
        units: Int >= 1, the width of the cells, as wide as the encoder's.
        horizon: Int >= 1, the number of steps to forecast.
        num_layers: Int >= 1, the number of cells on top of each other.
        dropout: Float in [0, 1), the share of every cell's outputs dropped in
            training, the same ones at every step.
        teacher_forcing: Float in [0, 1], the share of steps that in training
            see the true step before in place of the forecast one, drawn anew
            for every step and window.
        width: Int >= 1, numbers for each target and step. The first of a target is its
            forecast, which the next step sees; the others are given as the head makes them.

    Call arguments:
        first: Float tensor `(batch, targets)`, the last value seen.
        states: List of `2 * num_layers` float tensors `(batch, units)`: hidden
            and cell state of each encoder layer, the first layer first.
        known_future: Float tensor `(batch, horizon, num_known_future)`, the
            columns known for the steps to forecast.
        guess: Float tensor `(batch, horizon, targets)`, a first forecast.
        teacher: Float tensor `(batch, horizon, targets)`, the true future.
            Used in training alone; step h sees row h - 1.
        training: Bool. Whether to drop units and to listen to the teacher.

    Returns:
        Tensor `(batch, horizon, width * targets)`: the forecasts of all targets, then each further
        number of all targets.

    Raises:
        ValueError: If an argument is outside the range above, or the number of
            states is not `2 * num_layers`.

    Example:

    >>> import numpy as np
    >>> state = np.zeros((2, 5))
    >>> tuple(LSTMDecoder(units=5, horizon=7)(np.zeros((2, 3)), states=[state, state]).shape)
    (2, 7, 3)

    Source: Sutskever et al., Sequence to Sequence Learning with Neural Networks,
    NeurIPS 2014; Bengio et al., Scheduled Sampling for Sequence Prediction with
    Recurrent Neural Networks, NeurIPS 2015.
    """

    def __init__(
        self,
        units: int,
        horizon: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        teacher_forcing: float = 0.0,
        width: int = 1,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_positive_int(units=units, horizon=horizon, num_layers=num_layers, width=width)
        check_share(dropout=dropout)
        if not 0 <= teacher_forcing <= 1:
            raise SettingError(
                "`teacher_forcing` is the share of steps that see the truth and must be from 0 to 1. "
                f"Received: teacher_forcing={teacher_forcing!r}."
            )
        self.units = units
        self.horizon = horizon
        self.num_layers = num_layers
        self.dropout = dropout
        self.teacher_forcing = float(teacher_forcing)
        self.width = width
        self.seed = seed
        self.random = keras.random.SeedGenerator(seed)

    def build(self, first_shape, states_shape, known_future_shape=None, guess_shape=None, teacher_shape=None):
        if len(states_shape) != 2 * self.num_layers:
            raise SettingError(
                f"`states` must hold a hidden and a cell state for each of {self.num_layers} layers. "
                f"Received: {len(states_shape)} tensors."
            )
        targets = first_shape[-1]
        cell = _DecoderCell(
            self.units,
            self.num_layers,
            targets,
            guessed=guess_shape is not None,
            width=self.width,
            dtype=self.dtype_policy,
            name="cell",
        )
        self.loop = keras.layers.RNN(cell, return_sequences=True, dtype=self.dtype_policy, name="loop")
        width = 1 + sum(shape[-1] for shape in (known_future_shape, guess_shape) if shape is not None)
        self.loop.build((first_shape[0], self.horizon, width + targets + 1))
        self.built = True

    def call(self, first, states, known_future=None, guess=None, teacher=None, training=False):
        batch = ops.shape(first)[0]
        place = ops.cast(ops.arange(self.horizon) / self.horizon, first.dtype)
        place = ops.broadcast_to(ops.reshape(place, (1, -1, 1)), (batch, self.horizon, 1))
        given = [x for x in (guess, known_future, place) if x is not None]
        if training and teacher is not None and self.teacher_forcing > 0:
            # Row h - 1 at step h; the first step sees the last value anyway.
            truth = ops.concatenate([ops.expand_dims(first, 1), teacher[:, :-1]], axis=1)
            drawn = keras.random.uniform((batch, self.horizon, 1), seed=self.random)
            heard = ops.cast(drawn < self.teacher_forcing, first.dtype)
        else:
            truth = ops.zeros((batch, self.horizon, first.shape[-1]), first.dtype)
            heard = ops.zeros_like(place)
        # Drawn outside the loop: the same units at every step, and no random state in the loop.
        keep = [ops.ones_like(states[0]) for _ in range(self.num_layers)]
        if training and self.dropout > 0:
            keep = [keras.random.dropout(ones, self.dropout, seed=self.random) for ones in keep]
        steps = ops.concatenate([*given, truth, heard], axis=-1)
        return self.loop(steps, initial_state=[first, *keep, *states])

    def compute_output_shape(
        self, first_shape, states_shape, known_future_shape=None, guess_shape=None, teacher_shape=None
    ):
        return (first_shape[0], self.horizon, self.width * first_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "horizon": self.horizon,
            "num_layers": self.num_layers,
            "dropout": self.dropout,
            "teacher_forcing": self.teacher_forcing,
            "width": self.width,
            "seed": self.seed,
        }


class _DecoderCell(keras.layers.Layer):
    """One step: from the step before and what is known to the next value.

    Its inputs are `[guess, known columns, place, true step before, whether to hear it]`,
    its states `[value, what dropout keeps of each layer, hidden and cell state of each layer]`.
    """

    def __init__(self, units, num_layers, num_targets, guessed, width, **kwargs):
        super().__init__(**kwargs)
        self.num_layers = num_layers
        self.num_targets = num_targets
        self.guessed = guessed
        self.cells = [
            keras.layers.LSTMCell(units, dtype=self.dtype_policy, name=f"layer_{i}")
            for i in range(num_layers)
        ]
        # Small weights: training starts near the guess, not at noise that the loop piles up.
        self.head = keras.layers.Dense(
            width * num_targets,
            kernel_initializer=keras.initializers.VarianceScaling(0.01, "fan_avg", "uniform"),
            dtype=self.dtype_policy,
            name="head",
        )
        self.state_size = [num_targets, *[units] * (3 * num_layers)]
        self.output_size = width * num_targets

    def build(self, input_shape):
        # The true step takes the place of the value; flag and guess are no features.
        width = input_shape[-1] - 1 - self.guessed * self.num_targets
        for cell in self.cells:
            cell.build((None, width))
            width = cell.units
        self.head.build((None, width))
        self.built = True

    def call(self, inputs, states):
        value, keep, states = states[0], states[1 : self.num_layers + 1], states[self.num_layers + 1 :]
        given = inputs[:, : -self.num_targets - 1]
        truth = inputs[:, -self.num_targets - 1 : -1]
        heard = inputs[:, -1:]
        value = ops.where(heard > 0, truth, value)
        guess = value
        if self.guessed:
            guess, given = given[:, : self.num_targets], given[:, self.num_targets :]
        features = ops.concatenate([value, given], axis=-1)
        new_states = []
        for i, cell in enumerate(self.cells):
            features, state = cell(features, states[2 * i : 2 * i + 2])
            features = features * keep[i]
            new_states += state
        raw = self.head(features)
        if self.output_size == self.num_targets:
            value = output = guess + raw
        else:
            value = guess + raw[:, : self.num_targets]
            output = ops.concatenate([value, raw[:, self.num_targets :]], axis=-1)
        return output, [value, *keep, *new_states]
