"""Forecasting networks: plain functions that build functional Keras models."""

import inspect
import sys

from tfts._messages import unknown
from tfts.models.attention_scores import attention_scores, has_attention
from tfts.models.attention_seq2seq import attention_seq2seq
from tfts.models.dlinear import dlinear
from tfts.models.inverted_transformer import inverted_transformer
from tfts.models.linear import linear
from tfts.models.lstm_attention import lstm_attention
from tfts.models.lstm_regressor import lstm_regressor
from tfts.models.lstm_seq2seq import lstm_seq2seq
from tfts.models.nhits import nhits
from tfts.models.nlinear import nlinear
from tfts.models.patch_transformer import patch_transformer
from tfts.models.rlinear import rlinear
from tfts.models.segment_rnn import segment_rnn
from tfts.models.tcn import tcn
from tfts.models.tsmixer import tsmixer

MODELS = {
    "attention_seq2seq": attention_seq2seq,
    "dlinear": dlinear,
    "inverted_transformer": inverted_transformer,
    "linear": linear,
    "lstm_attention": lstm_attention,
    "lstm_regressor": lstm_regressor,
    "lstm_seq2seq": lstm_seq2seq,
    "nhits": nhits,
    "nlinear": nlinear,
    "patch_transformer": patch_transformer,
    "rlinear": rlinear,
    "segment_rnn": segment_rnn,
    "tcn": tcn,
    "tsmixer": tsmixer,
}

# The settings that a search tries by default: `SPACE` stands next to each builder.
SPACES = {name: sys.modules[builder.__module__].SPACE for name, builder in MODELS.items()}

__all__ = ["MODELS", "SPACES", "attention_scores", "build_model", "has_attention", *MODELS]


def build_model(model, /, *sizes, **options):
    """Builds a model by its name in `MODELS`.

    Args:
        model: Str, a key of `MODELS`.
        *sizes: `context_length`, `num_features`, `horizon`, `num_targets` and
            `num_known_future`, as the builder takes them.
        **options: What the builder takes.

    Returns:
        Uncompiled `keras.Model`.

    Raises:
        ValueError: If the name or an option is unknown; the message lists the
            valid ones and the nearest.

    Example:

    >>> build_model("linear", 7, 3, horizon=5, shared=False).output_shape
    (None, 5, 1)
    """
    if model not in MODELS:
        raise ValueError(unknown("model", model, MODELS))
    builder = MODELS[model]
    choices = inspect.signature(builder).parameters
    for option in options:
        if option not in choices:
            raise ValueError(unknown(f"option of model {model!r}:", option, choices))
    return builder(*sizes, **options)
