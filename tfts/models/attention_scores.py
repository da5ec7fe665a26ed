"""Reads what a model's attention looked at."""

import keras

from tfts.errors import SettingError
from tfts.layers import AttentionDecoder, MultiHeadAttention, Patches, SelfAttention
from tfts.models._blocks import VARIABLE_ATTENTION

# Named in errors; the contract test finds out whether they are all.
WITH_ATTENTION = ("attention_seq2seq", "inverted_transformer", "lstm_attention", "patch_transformer")


def attention_scores(model, inputs):
    """Returns the attention scores of a model for the given windows.

    A model with several attention layers is read at the last one: for an
    encoder-decoder that is the decoder.

    Args:
        model: Functional `keras.Model`, fresh or loaded, with an attention
            layer of `tfts.layers` that was called with `return_attention_scores=True`.
        inputs: What `model.predict` takes.

    Returns:
        Float32 array `(batch, heads, query, context)`. For an encoder-decoder
        the queries are the steps of the horizon. Of attention over patches a
        row has the mean of those that hold it. For attention over variables the queries are the targets, and
        in the place of the context stand the columns: those of `past`, then those
        known ahead. Every row sums to 1.

    Raises:
        ValueError: If the model has no attention, or does not give its scores.

    Example:

    >>> import numpy as np
    >>> from tfts.models import attention_seq2seq
    >>> from tfts.task import Task
    >>> model = attention_seq2seq(Task(context_length=7, horizon=5, past=2), num_heads=2)
    >>> attention_scores(model, np.ones((11, 7, 3))).shape
    (11, 2, 5, 7)
    """
    return keras.Model(model.input, scores_tensor(model)).predict(inputs, verbose=0)


def scores_tensor(model):
    """The symbolic scores of `attention_scores`, for a model that gives them as an output.

    Args:
        model: Functional `keras.Model`, as in `attention_scores`.

    Returns:
        Float32 `KerasTensor` `(batch, heads, query, context)`.

    Raises:
        ValueError: If the model has no attention, or does not give its scores.

    Example:

    >>> from tfts.models import lstm_attention
    >>> from tfts.task import Task
    >>> scores_tensor(lstm_attention(Task(context_length=7))).shape
    (None, 1, 7, 7)
    """
    layers = _attention_layers(model)
    if not layers:
        raise SettingError(
            f"Model {model.name!r} has no attention, so it has no attention scores. "
            f"Models with attention: {', '.join(WITH_ATTENTION)}."
        )
    with_scores = _with_scores(layers)
    if not with_scores:
        raise SettingError(
            f"The attention layers of model {model.name!r} do not return their scores: "
            f"{', '.join(layer.name for layer in layers)}. Call one with return_attention_scores=True."
        )
    patches = [layer for layer in model.layers if isinstance(layer, Patches)]
    return _Scores(model.output.shape[2], patches[0] if patches else None)(with_scores[-1].output[1])


def has_attention(model):
    """Whether `attention_scores` can read a model.

    Args:
        model: Functional `keras.Model`.

    Returns:
        Bool.

    Example:

    >>> from tfts.models import linear
    >>> from tfts.task import Task
    >>> has_attention(linear(Task(context_length=7)))
    False
    """
    return bool(_with_scores(_attention_layers(model)))


def query_of(model):
    """What looks: `"horizon"` for a decoder, `"context"` for self-attention, `"variable"` for columns.

    Args:
        model: Functional `keras.Model` that `attention_scores` can read.

    Returns:
        Str.

    Example:

    >>> from tfts.models import lstm_attention
    >>> from tfts.task import Task
    >>> query_of(lstm_attention(Task(context_length=7, horizon=7)))
    'context'
    """
    layer = _with_scores(_attention_layers(model))[-1]
    if layer.name == VARIABLE_ATTENTION:
        return "variable"
    inputs = layer.input if isinstance(layer.input, list | tuple) else [layer.input]
    decodes = isinstance(layer, AttentionDecoder) or inputs[0] is not inputs[-1]
    return "horizon" if decodes else "context"


class _Scores(keras.layers.Layer):
    """What `scores_tensor` adds to a model.

    One layer with a name, because operations name themselves after their kind, counted anew in
    each process, and might take a name that a loaded model brings.
    """

    def __init__(self, num_targets, patches):
        super().__init__(name="scores_by_row", dtype="float32")
        self.num_targets = num_targets
        self.patches = patches

    def call(self, scores):
        if len(scores.shape) == 3:
            scores = keras.ops.expand_dims(scores, 1)
        return scores if self.patches is None else _over_rows(scores, self.patches, self.num_targets)

    def compute_output_shape(self, scores_shape):
        batch, *heads, query, key = scores_shape
        if self.patches is not None:
            query = key = self.patches.input.shape[1]
        return (batch, *(heads or [1]), query, key)


def _over_rows(scores, patches, num_targets):
    """Scores of patches `(batch * targets, heads, patches, patches)` as those of rows, the mean over targets.

    A row looks, and is looked at, as the patches that hold it do on average, so that even
    weights stay even however patches overlap.
    """
    ops = keras.ops
    scores = ops.mean(ops.reshape(scores, (-1, num_targets, *scores.shape[1:])), axis=1)
    holders = patches.holders(patches.input.shape[1])
    scores = ops.matmul(ops.matmul(holders, scores), holders.T)
    return scores / ops.sum(scores, axis=-1, keepdims=True)


def _attention_layers(model):
    kinds = AttentionDecoder | MultiHeadAttention | SelfAttention
    return [layer for layer in model.layers if isinstance(layer, kinds)]


def _with_scores(layers):
    return [layer for layer in layers if isinstance(layer.output, tuple | list)]
