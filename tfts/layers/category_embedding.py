"""Turns labels into vectors that are learnt."""

from typing import Any

import keras
from keras import ops

from tfts.layers._checks import check_positive_int, check_share


@keras.saving.register_keras_serializable(package="tfts")
class CategoryEmbedding(keras.layers.Layer):
    """A learnt vector for each label, and one for labels that training has not seen.

    The number of a label is 1, 2, ... `num_labels`; 0, and any other number, is an unknown label.
    In training a share of the windows has the unknown label in place of its own, so that the
    vector of a new label is one that forecasts were practised with: about the mean of all.

    Args:
        num_labels: Int >= 1.
        units: Int >= 1, the width of a vector. Default: 1.6 times the number of labels, the unknown
            one too, to the power 0.56, at most 50.
        dropout: Float in [0, 1), the share of the windows whose label is unknown in training.
        seed: Int, of the choice of these windows.

    Call arguments:
        inputs: Numbers of labels, int or float tensor `(batch,)` or `(batch, time)`.
        training: Bool.

    Returns:
        Tensor `(batch, units)` or `(batch, time, units)`.

    Raises:
        ValueError: If a setting is out of range.

    Example:

    >>> import numpy as np
    >>> layer = CategoryEmbedding(num_labels=3)
    >>> layer(np.array([1.0, 3.0, 9.0])).shape, layer.units
    (TensorShape([3, 3]), 3)

    Source: Guo and Berkhahn, Entity Embeddings of Categorical Variables, arXiv 1604.06737, 2016;
    the width is that of the fastai library (Howard and Gugger, Information 11, 2020).
    """

    def __init__(
        self,
        num_labels: int,
        units: int | None = None,
        dropout: float = 0.1,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        # As a half number 2,049 would be 2,048.
        super().__init__(**{"autocast": False, **kwargs})
        units = min(50, round(1.6 * (num_labels + 1) ** 0.56)) if units is None else units
        check_positive_int(num_labels=num_labels, units=units)
        check_share(dropout=dropout)
        self.num_labels, self.units, self.dropout, self.seed = num_labels, units, dropout, seed
        self.random = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, input_shape):
        self.table = self.add_weight(
            shape=(self.num_labels + 1, self.units), initializer="uniform", name="table"
        )
        self.built = True

    def call(self, inputs, training=False):
        places = ops.cast(inputs, "int32")
        known = ops.logical_and(places >= 1, places <= self.num_labels)
        if training and self.dropout:
            shape = (ops.shape(places)[0], *(1 for _ in places.shape[1:]))
            known = ops.logical_and(known, keras.random.uniform(shape, seed=self.random) >= self.dropout)
        places = ops.where(known, places, ops.zeros_like(places))
        return ops.cast(ops.take(self.table, places, axis=0), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.units)

    def get_config(self) -> dict[str, Any]:
        names = ("num_labels", "units", "dropout", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
