"""Decodes all steps of the horizon at once, each looking where it needs to."""

from typing import Any

import keras
from keras import ops

from tfts.errors import SettingError
from tfts.layers._checks import check_positive_int, check_share
from tfts.layers.multi_head_attention import MultiHeadAttention


@keras.saving.register_keras_serializable(package="tfts")
class AttentionDecoder(keras.layers.Layer):
    """Gives every step of the horizon its own query into the encoded context.

    A query is a learned vector for the step plus a map of the columns known
    for it. The queries look at their own past by causal self-attention, then
    at the context, then pass a feed-forward block; each of the three is added
    to what it was given and normalised. All steps are decoded in parallel, so
    a long horizon builds and runs as fast as a short one.

    Args:
        horizon: Int >= 1, the number of steps to decode.
        num_heads: Int >= 1.
        feedforward_units: Int >= 1, the width of the feed-forward block.
        dropout: Float in [0, 1), the share dropped in training from the
            attention scores and after each block.

    Call arguments:
        context: Float tensor `(batch, context_length, units)`, the encoded
            context. `units` must be a multiple of `num_heads`.
        known_future: Float tensor `(batch, horizon, num_known_future)`, the
            columns known for the steps to decode.
        context_mask: Bool tensor `(batch, context_length)`, True where a step
            of the context counts.
        training: Bool. Whether to drop.

    Returns:
        Tuple of the decoded steps `(batch, horizon, units)` and the scores
        `(batch, heads, horizon, context_length)`, whose rows sum to 1.

    Raises:
        ValueError: If an argument is outside the range above, or `units` is
            no multiple of `num_heads`.

    Example:

    >>> import numpy as np
    >>> output, scores = AttentionDecoder(horizon=5, num_heads=2, feedforward_units=4)(np.ones((3, 7, 6)))
    >>> tuple(output.shape), tuple(scores.shape)
    ((3, 5, 6), (3, 2, 5, 7))

    Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017; queries
    learned for each place of the output as in Carion et al., End-to-End Object
    Detection with Transformers, ECCV 2020.
    """

    def __init__(
        self, horizon: int, num_heads: int, feedforward_units: int, dropout: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_positive_int(horizon=horizon, num_heads=num_heads, feedforward_units=feedforward_units)
        check_share(dropout=dropout)
        self.horizon = horizon
        self.num_heads = num_heads
        self.feedforward_units = feedforward_units
        self.dropout = dropout
        self.supports_masking = True

    def build(self, context_shape, known_future_shape=None):
        units = context_shape[-1]
        if units % self.num_heads:
            raise SettingError(
                "The width of the context must be a multiple of `num_heads`, so that the heads share it "
                f"evenly. Received: width {units}, num_heads={self.num_heads}."
            )
        policy = self.dtype_policy
        steps_shape = (context_shape[0], self.horizon, units)
        self.queries = self.add_weight(
            shape=(self.horizon, units), initializer="glorot_uniform", name="queries"
        )
        if known_future_shape is not None:
            self.known_map = keras.layers.Dense(units, dtype=policy, name="known_future")
            self.known_map.build(known_future_shape)
        attention = {"key_dim": units // self.num_heads, "dropout": self.dropout, "dtype": policy}
        self.self_attention = MultiHeadAttention(self.num_heads, name="self_attention", **attention)
        self.self_attention.build(steps_shape, steps_shape)
        self.context_attention = MultiHeadAttention(self.num_heads, name="context_attention", **attention)
        self.context_attention.build(steps_shape, context_shape)
        self.widen = keras.layers.Dense(self.feedforward_units, activation="gelu", dtype=policy, name="widen")
        self.widen.build(steps_shape)
        self.narrow = keras.layers.Dense(units, dtype=policy, name="narrow")
        self.narrow.build((*steps_shape[:-1], self.feedforward_units))
        self.norms = [keras.layers.LayerNormalization(dtype=policy, name=f"norm_{i}") for i in range(3)]
        for norm in self.norms:
            norm.build(steps_shape)
        self.drop = keras.layers.Dropout(self.dropout, dtype=policy)
        self.built = True

    def call(self, context, known_future=None, context_mask=None, training=None):
        shape = (ops.shape(context)[0], self.horizon, context.shape[-1])
        steps = ops.broadcast_to(ops.cast(self.queries, self.compute_dtype), shape)
        if known_future is not None:
            steps = steps + self.known_map(known_future)
        attended = self.self_attention(steps, steps, use_causal_mask=True, training=training)
        steps = self.norms[0](steps + self.drop(attended, training=training))
        attended, scores = self.context_attention(
            steps, context, value_mask=context_mask, return_attention_scores=True, training=training
        )
        steps = self.norms[1](steps + self.drop(attended, training=training))
        widened = self.narrow(self.widen(steps))
        return self.norms[2](steps + self.drop(widened, training=training)), scores

    def compute_mask(self, inputs, previous_mask):
        # The steps of the horizon all count, whichever steps of the context do.
        return None

    def compute_output_shape(self, context_shape, known_future_shape=None):
        batch, length, units = context_shape
        return (batch, self.horizon, units), (batch, self.num_heads, self.horizon, length)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "horizon": self.horizon,
            "num_heads": self.num_heads,
            "feedforward_units": self.feedforward_units,
            "dropout": self.dropout,
        }
