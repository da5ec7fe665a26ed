"""Single-head attention of a sequence to itself."""

from typing import Any

import keras
from keras import ops

from tfts.layers._checks import check_positive_int
from tfts.layers.scaled_dot_product_attention import ScaledDotProductAttention


@keras.saving.register_keras_serializable(package="tfts")
class SelfAttention(keras.layers.Layer):
    """Lets every step of a sequence look at all its steps: `softmax(Q K' / sqrt(units)) V`.

    Query, key and value are linear maps of the input, `Q = X Wq`, `K = X Wk`
    and `V = X Wv`, with Glorot-uniform weights and no bias.

    Args:
        units: Int >= 1, the width of query, key and value. Default: the
            input's number of features.

    Call arguments:
        inputs: Float tensor `(batch, time, features)`.
        mask: Bool tensor `(batch, time)`, True where a step counts. The other
            steps are not looked at, and their output is zero.
        use_causal_mask: Bool. Whether step t may see steps <= t only.
        return_attention_scores: Bool. Whether to return the scores as well.

    Returns:
        Tensor `(batch, time, units)`, or the tuple of it and the scores
        `(batch, time, time)`, whose rows sum to 1.

    Raises:
        ValueError: If `units` is not an int >= 1.

    Example:

    >>> import numpy as np
    >>> output, scores = SelfAttention(units=5)(np.ones((2, 7, 3)), return_attention_scores=True)
    >>> tuple(output.shape), tuple(scores.shape)
    ((2, 7, 5), (2, 7, 7))

    Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017.
    """

    def __init__(self, units: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if units is not None:
            check_positive_int(units=units)
        self.units = units
        self.attention = ScaledDotProductAttention(dtype=self.dtype_policy)
        self.supports_masking = True

    def build(self, input_shape):
        shape = (input_shape[-1], self.units or input_shape[-1])
        self.query_kernel = self.add_weight(shape=shape, initializer="glorot_uniform", name="query_kernel")
        self.key_kernel = self.add_weight(shape=shape, initializer="glorot_uniform", name="key_kernel")
        self.value_kernel = self.add_weight(shape=shape, initializer="glorot_uniform", name="value_kernel")
        self.built = True

    def call(self, inputs, mask=None, use_causal_mask=False, return_attention_scores=False):
        return self.attention(
            ops.matmul(inputs, self.query_kernel),
            ops.matmul(inputs, self.value_kernel),
            ops.matmul(inputs, self.key_kernel),
            query_mask=mask,
            value_mask=mask,
            use_causal_mask=use_causal_mask,
            return_attention_scores=return_attention_scores,
        )

    def compute_mask(self, inputs, previous_mask):
        return previous_mask

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units or input_shape[-1])

    def compute_output_spec(self, inputs, return_attention_scores=False, **call_arguments):
        output = keras.KerasTensor(self.compute_output_shape(inputs.shape), self.compute_dtype)
        if not return_attention_scores:
            return output
        return output, keras.KerasTensor((*inputs.shape[:-1], inputs.shape[-2]), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}
