"""Forecasting networks: plain functions that build functional Keras models."""

import sys

from tfts._messages import unknown
from tfts.errors import SettingError, TftsError
from tfts.models._checks import check_builder, fit_to_task
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

__all__ = ["MODELS", "SPACES", "attention_scores", "build_model", "fit_to_task", "has_attention", *MODELS]


def build_model(model, task, /, **options):
    """Builds a model for a task, by its name or by a builder of one's own.

    A builder is a plain function of a task and its options by name, which returns an uncompiled
    functional model. The model takes `past` `(batch, context_length, num_features)`, where the
    targets are the first columns, or a dict of it and, with columns known ahead, `known_future`
    `(batch, context_length + horizon, num_known_future)`, with attributes of series `static`
    `(batch, num_static)`, and of a task with `masked` `observed`, like `past`. Columns of labels hold
    their numbers, see `Task`. It gives the task's output; a point
    forecast is `(batch, horizon, num_targets)`. What a builder returns is checked.

    Args:
        model: Str, a key of `MODELS`, or a builder `build(task, *, ...)`.
        task: `Task`, what the model is for.
        **options: What the builder takes.

    Returns:
        Uncompiled `keras.Model`.

    Raises:
        ValueError: If the name or an option is unknown (the message lists the valid ones and the
            nearest), a builder does not take a task, or its model does not fit the task.

    Example:

    >>> from tfts.task import Task
    >>> build_model("linear", Task(context_length=7, horizon=5, past=2), shared=False).output_shape
    (None, 5, 1)
    """
    if isinstance(model, str) and model not in MODELS:
        raise SettingError(unknown("model", model, MODELS))
    builder = MODELS[model] if isinstance(model, str) else model
    name = model if isinstance(model, str) else getattr(model, "__name__", type(model).__name__)
    check_builder(builder, name, options)
    try:
        built = builder(task, **options)
    except TftsError:
        raise
    except (TypeError, ValueError) as error:
        if not options:
            raise
        raise SettingError(
            f"The builder {name!r} can't make a model with the options {options}: {error}"
        ) from error
    return fit_to_task(built, task, f"The model of the builder {name!r}")
