"""Attention over keys by scaled dot products."""

import math
from typing import Any

import keras
from keras import ops

from tfts.layers._checks import check_share


@keras.saving.register_keras_serializable(package="tfts")
class ScaledDotProductAttention(keras.layers.Layer):
    """Weighs values by the softmax of scaled query-key products: `softmax(Q K' / sqrt(depth)) V`.

    The layer has no weights. The softmax runs in float32 at least, also under
    a float16 or bfloat16 policy. A row that may attend to no key at all has
    scores of zero and the output zero, never NaN.

    Args:
        dropout: Float in [0, 1), the share of scores dropped in training.

    Call arguments:
        query: Float tensor `(batch, query, depth)` or `(batch, heads, query, depth)`.
        value: Float tensor `(batch, [heads,] key, value_depth)`.
        key: Float tensor `(batch, [heads,] key, depth)`. Default: `value`.
        query_mask: Bool tensor `(batch, query)`, True where a query counts.
            Keras fills it in from a masking layer; so it does the next two.
        value_mask: Bool tensor `(batch, key)`, True where a value counts (padding mask).
        key_mask: Bool tensor `(batch, key)`, like `value_mask`.
        attention_mask: Bool tensor that broadcasts to the scores, True where a
            query may look at a key.
        use_causal_mask: Bool. Whether query step t may see key steps <= t only.
        return_attention_scores: Bool. Whether to return the scores as well.
        training: Bool. Whether to drop scores.

    Returns:
        Tensor `(batch, [heads,] query, value_depth)`, or the tuple of it and the
        scores `(batch, [heads,] query, key)` as they are before dropout: every
        row sums to 1, or to 0 where all keys are masked.

    Example:

    >>> import numpy as np
    >>> query = np.ones((2, 3, 5), dtype="float32")
    >>> value = np.ones((2, 7, 5), dtype="float32")
    >>> output, scores = ScaledDotProductAttention()(query, value, return_attention_scores=True)
    >>> tuple(output.shape), tuple(scores.shape)
    ((2, 3, 5), (2, 3, 7))

    Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017.
    """

    def __init__(self, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_share(dropout=dropout)
        self.dropout = dropout
        self.score_dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)
        self.supports_masking = True

    def build(self, query_shape, value_shape, key_shape=None):
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
        # Scale the query, not the product: float16 overflows at 65504.
        query = query * (1.0 / math.sqrt(query.shape[-1]))
        logits = ops.matmul(query, ops.swapaxes(key, -1, -2))
        logits = ops.cast(logits, keras.backend.result_type(logits.dtype, "float32"))
        allowed = _allowed(logits, query_mask, value_mask, key_mask, attention_mask, use_causal_mask)
        if allowed is not None:
            logits = ops.where(allowed, logits, -1e30)
        weights = ops.exp(logits - ops.max(logits, axis=-1, keepdims=True))
        if allowed is not None:
            weights = ops.where(allowed, weights, 0.0)
        # The largest weight is 1, so the sum is below 1 only where nothing is allowed.
        scores = weights / ops.maximum(ops.sum(weights, axis=-1, keepdims=True), 1.0)
        scores = ops.cast(scores, self.compute_dtype)
        output = ops.matmul(self.score_dropout(scores, training=training), value)
        return (output, scores) if return_attention_scores else output

    def compute_mask(self, inputs, previous_mask):
        return previous_mask

    def compute_output_shape(self, query_shape, value_shape, key_shape=None):
        return (*query_shape[:-1], value_shape[-1])

    def compute_output_spec(self, query, value, key=None, return_attention_scores=False, **call_arguments):
        output = keras.KerasTensor(self.compute_output_shape(query.shape, value.shape), self.compute_dtype)
        if not return_attention_scores:
            return output
        scores = keras.KerasTensor((*query.shape[:-1], value.shape[-2]), self.compute_dtype)
        return output, scores

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dropout": self.dropout}


def _allowed(logits, query_mask, value_mask, key_mask, attention_mask, use_causal_mask):
    """Joins the masks into one that broadcasts to `logits`; None where there is none."""
    heads = (1,) * (len(logits.shape) - 3)
    masks = []
    if query_mask is not None:
        masks.append(ops.reshape(query_mask, (-1, *heads, ops.shape(logits)[-2], 1)))
    for mask in (value_mask, key_mask):
        if mask is not None:
            masks.append(ops.reshape(mask, (-1, *heads, 1, ops.shape(logits)[-1])))
    if attention_mask is not None:
        attention_mask = ops.convert_to_tensor(attention_mask)
        if heads and len(attention_mask.shape) == 3:
            attention_mask = ops.expand_dims(attention_mask, 1)
        masks.append(attention_mask)
    if use_causal_mask:
        rows = ops.arange(ops.shape(logits)[-2])
        columns = ops.arange(ops.shape(logits)[-1])
        masks.append(ops.expand_dims(columns, 0) <= ops.expand_dims(rows, 1))
    allowed = None
    for mask in masks:
        mask = ops.cast(mask, "bool")
        allowed = mask if allowed is None else ops.logical_and(allowed, mask)
    return allowed
