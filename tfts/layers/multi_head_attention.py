"""Attention with several heads."""

from typing import Any

import keras
from keras import ops

from tfts.layers._checks import check_positive_int
from tfts.layers.scaled_dot_product_attention import ScaledDotProductAttention


@keras.saving.register_keras_serializable(package="tfts")
class MultiHeadAttention(keras.layers.Layer):
    """Attends with several heads at once, each with its own query, key and value maps.

    The weights have the order and the shapes of `keras.layers.MultiHeadAttention`,
    so `layer.set_weights(keras_layer.get_weights())` carries them over. Unlike
    that layer it gives zeros for a query that may attend to no key at all.

    Args:
        num_heads: Int >= 1.
        key_dim: Int >= 1, the width of each head's query and key.
        value_dim: Int >= 1, the width of each head's value. Default: `key_dim`.
        dropout: Float in [0, 1), the share of scores dropped in training.

    Call arguments:
        query: Float tensor `(batch, query, features)`.
        value: Float tensor `(batch, key, value_features)`.
        key: Float tensor `(batch, key, key_features)`. Default: `value`.
        query_mask: Bool tensor `(batch, query)`, True where a query counts.
            Keras fills it in from a masking layer; so it does the next two.
        value_mask: Bool tensor `(batch, key)`, True where a value counts (padding mask).
        key_mask: Bool tensor `(batch, key)`, like `value_mask`.
        attention_mask: Bool tensor `(batch, query, key)` or `(batch, heads, query, key)`,
            True where a query may look at a key.
        use_causal_mask: Bool. Whether query step t may see key steps <= t only.
        return_attention_scores: Bool. Whether to return the scores as well.
        training: Bool. Whether to drop scores.

    Returns:
        Tensor `(batch, query, features)`, or the tuple of it and the scores
        `(batch, heads, query, key)` as they are before dropout: every row sums
        to 1, or to 0 where all keys are masked.

    Raises:
        ValueError: If `num_heads`, `key_dim` or `value_dim` is not an int >= 1,
            or `dropout` is outside [0, 1).

    Example:

    >>> import numpy as np
    >>> layer = MultiHeadAttention(num_heads=2, key_dim=4)
    >>> output, scores = layer(np.ones((3, 5, 6)), np.ones((3, 7, 6)), return_attention_scores=True)
    >>> tuple(output.shape), tuple(scores.shape)
    ((3, 5, 6), (3, 2, 5, 7))

    Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017.
    """

    def __init__(
        self, num_heads: int, key_dim: int, value_dim: int | None = None, dropout: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_positive_int(num_heads=num_heads, key_dim=key_dim)
        if value_dim is not None:
            check_positive_int(value_dim=value_dim)
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.value_dim = value_dim
        self.dropout = dropout
        self.query_map = self._head_map(key_dim, "query")
        self.key_map = self._head_map(key_dim, "key")
        self.value_map = self._head_map(value_dim or key_dim, "value")
        self.attention = ScaledDotProductAttention(dropout=dropout, dtype=self.dtype_policy)
        self.supports_masking = True

    def _head_map(self, depth, name):
        head_map = keras.layers.EinsumDense(
            "btf,fnd->btnd",
            output_shape=(None, self.num_heads, depth),
            bias_axes="nd",
            dtype=self.dtype_policy,
            name=name,
        )
        # The mask goes to the attention itself, so nothing is lost here.
        head_map.supports_masking = True
        return head_map

    def build(self, query_shape, value_shape, key_shape=None):
        self.query_map.build(query_shape)
        self.key_map.build(value_shape if key_shape is None else key_shape)
        self.value_map.build(value_shape)
        self.output_map = keras.layers.EinsumDense(
            "btnd,ndf->btf",
            output_shape=(None, query_shape[-1]),
            bias_axes="f",
            dtype=self.dtype_policy,
            name="output",
        )
        self.output_map.build((*query_shape[:-1], self.num_heads, self.value_dim or self.key_dim))
        self.built = True

    def call(
        self,
        query,
        value,
        key=None,
        query_mask=None,
        value_mask=None,
        key_mask=None,
        attention_mask=None,
        use_causal_mask=False,
        return_attention_scores=False,
        training=None,
    ):
        key = value if key is None else key
        attended, scores = self.attention(
            ops.swapaxes(self.query_map(query), 1, 2),
            ops.swapaxes(self.value_map(value), 1, 2),
            ops.swapaxes(self.key_map(key), 1, 2),
            query_mask=query_mask,
            value_mask=value_mask,
            key_mask=key_mask,
            attention_mask=attention_mask,
            use_causal_mask=use_causal_mask,
            return_attention_scores=True,
            training=training,
        )
        output = self.output_map(ops.swapaxes(attended, 1, 2))
        if any(mask is not None for mask in (query_mask, value_mask, key_mask, attention_mask)):
            # Without this a query that sees nothing would still get the output bias.
            sees = ops.any(scores > 0, axis=(1, 3))
            output = ops.where(ops.expand_dims(sees, -1), output, 0.0)
        return (output, scores) if return_attention_scores else output

    def compute_mask(self, inputs, previous_mask):
        return previous_mask

    def compute_output_shape(self, query_shape, value_shape, key_shape=None):
        return tuple(query_shape)

    def compute_output_spec(self, query, value, key=None, return_attention_scores=False, **call_arguments):
        output = keras.KerasTensor(query.shape, self.compute_dtype)
        if not return_attention_scores:
            return output
        shape = (query.shape[0], self.num_heads, query.shape[1], value.shape[1])
        return output, keras.KerasTensor(shape, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "dropout": self.dropout,
        }
