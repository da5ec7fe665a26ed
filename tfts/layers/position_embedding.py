"""Tells a layer which step of the window it looks at."""

from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from tfts._messages import unknown
from tfts.errors import SettingError
from tfts.layers._checks import check_positive_int

KINDS = ("learned", "sinusoidal")


@keras.saving.register_keras_serializable(package="tfts")
class PositionEmbedding(keras.layers.Layer):
    """Adds to every time step a vector that stands for its position.

    Args:
        kind: `"learned"`, a weight for each position and feature, or
            `"sinusoidal"`, sines and cosines of wavelengths from 2 pi to
            20000 pi steps, which has no weights.
        max_length: Int >= 1, the longest sequence the layer takes. Default:
            the length it is built for.

    Call arguments:
        inputs: Float tensor `(batch, time, features)`.

    Returns:
        Tensor `(batch, time, features)`, the inputs plus the embedding.

    Raises:
        ValueError: If `kind` is unknown, if `max_length` is not an int >= 1, if
            it is left out and the time axis is unknown when the layer is
            built, or if a sequence is longer than `max_length`.

    Example:

    >>> import numpy as np
    >>> embedded = PositionEmbedding(kind="sinusoidal")(np.zeros((1, 2, 4)))
    >>> keras.ops.convert_to_numpy(embedded).round(3).tolist()[0]
    [[0.0, 1.0, 0.0, 1.0], [0.8410000205039978, 0.5400000214576721, 0.009999999776482582, 1.0]]

    Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017.
    """

    def __init__(
        self, kind: Literal["learned", "sinusoidal"] = "learned", max_length: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if kind not in KINDS:
            raise SettingError(unknown("kind of position embedding", kind, KINDS))
        if max_length is not None:
            check_positive_int(max_length=max_length)
        self.kind = kind
        self.max_length = max_length
        self.supports_masking = True

    def build(self, input_shape):
        if self.max_length is None:
            if input_shape[1] is None:
                raise SettingError(
                    "PositionEmbedding needs `max_length` when the time axis of its input is unknown. "
                    f"Received: max_length=None, input shape {tuple(input_shape)}."
                )
            self.max_length = input_shape[1]
        self._check_length(input_shape[1])
        if self.kind == "learned":
            self.table = self.add_weight(
                shape=(self.max_length, input_shape[-1]), initializer="uniform", name="table"
            )
        else:
            self.table = _sinusoids(self.max_length, input_shape[-1])
        self.built = True

    def call(self, inputs):
        self._check_length(inputs.shape[1])
        length = inputs.shape[1] or ops.shape(inputs)[1]
        return inputs + ops.cast(ops.convert_to_tensor(self.table)[:length], inputs.dtype)

    def _check_length(self, length):
        if length is not None and length > self.max_length:
            raise SettingError(
                f"PositionEmbedding has positions for max_length={self.max_length} steps, "
                f"but the input has {length}. Build it with a max_length of at least {length}."
            )

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind, "max_length": self.max_length}


def _sinusoids(length, width):
    """Table `(length, width)`: sine in the even columns, cosine in the odd ones."""
    column = np.arange(width)
    angle = np.arange(length)[:, None] / 10_000.0 ** (column // 2 * 2 / width)
    return np.where(column % 2 == 0, np.sin(angle), np.cos(angle)).astype("float32")
