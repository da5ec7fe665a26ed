"""A GRU over segments of the window, channel by channel."""

import keras

from tfts.layers import SegmentGRU, Segments
from tfts.layers._checks import check_positive_int, check_share
from tfts.models._parts import as_columns, finish, target_rows, window_inputs, with_missing

# The settings that a search tries by default, see tfts.tuning.
SPACE = {
    "units": {"values": [64, 128, 256]},
    "segment_length": {"values": [12, 24, 48]},
    "dropout": {"values": [0.0, 0.1, 0.3, 0.5]},
    "window_norm": {"values": ["last", "instance"]},
    "linear_skip": {"values": ["none", "own"]},
    "learning_rate": {"min": 1e-4, "max": 1e-2, "log": True},
    "batch_size": {"values": [32, 64, 128]},
}


def segment_rnn(
    task,
    *,
    units=128,
    segment_length=48,
    dropout=0.3,
    window_norm="last",
    linear_skip="none",
    name="segment_rnn",
):
    """Builds SegRNN: a GRU that takes a segment of the window in a step.

    Each target goes through the same weights by itself, as if it were a window
    of its own. Its last state makes one step into each segment of the horizon,
    all side by side, which is told its position and its target, and a dense
    layer turns that into the segment. Segments make 720 rows a matter of 15
    steps, so long windows are what this model is for. Features that are not
    targets are seen by `linear_skip="all"` alone. The paper trains it by
    `loss="mae"`; a learning rate near 1e-3 suits it.

    Args:
        task: `Task`, what the model is for.
        units: Int >= 2, the width of the GRU; 512 in the paper.
        segment_length: Int >= 1, rows of a segment. Where it does not divide the
            window, the first row is repeated in front; where it does not divide
            the horizon, the end of the last segment is cut off.
        dropout: Float in [0, 1), the share of the GRU's outputs dropped in training.
        window_norm: `"none"`, `"last"` (each window less its last value) or
            `"instance"` (less its mean, divided by its standard deviation).
        linear_skip: Adds a linear forecast, so that the network learns what that
            one misses: `"own"` from each target's own window, `"all"` from the
            windows of all features, `"none"` adds nothing.
        name: Str.

    Returns:
        Uncompiled `keras.Model` of the task.

    Raises:
        ValueError: If a setting is out of range, or `window_norm` or `linear_skip` is unknown.

    Example:

    >>> from tfts.task import Task
    >>> segment_rnn(Task(context_length=720, horizon=96, targets=7)).output_shape
    (None, 96, 7)

    Source: Lin et al., SegRNN: Segment Recurrent Neural Network for Long-Term Time Series
    Forecasting, arXiv 2308.11200, 2023.
    """
    window = window_inputs(task, window_norm)
    check_positive_int(units=units, segment_length=segment_length)
    check_share(dropout=dropout)
    segments = Segments(segment_length, name="segments")(window.own)
    embedded = keras.layers.Dense(units, name="segment_embedding")(segments)
    embedded = with_missing(window, embedded, Segments(segment_length, name="missing_segments"))
    known_ahead = None
    if window.known is not None:
        known_context = _embed_known(window.context, segment_length, units, "known_context")
        one = keras.layers.Reshape((1, *known_context.shape[1:]), name="every_target")(known_context)
        embedded = keras.layers.Add(name="with_known")([embedded, one])
        known_ahead = _embed_known(window.ahead, segment_length, units, "known_ahead", end=True)
    embedded = keras.layers.Activation("relu", name="embedded")(embedded)
    num_ahead = -(-task.horizon // segment_length)
    # As an LSTM is: see lstm_stack.
    decoded = SegmentGRU(units, num_ahead, dtype="float32", name="gru")(embedded, known_ahead=known_ahead)
    if dropout:
        decoded = keras.layers.Dropout(dropout, dtype="float32", name="dropout")(decoded)
    raw = as_columns(target_rows(window, decoded, segment_length, "head"))
    return finish(window, raw[:, : task.horizon], name, linear_skip)


def _embed_known(known, segment_length, units, name, end=False):
    """What is known in each segment, `(batch, segments, units)`."""
    segments = Segments(segment_length, end=end, name=f"{name}_segments")(known)
    segments = keras.layers.Permute((2, 1, 3), name=f"{name}_columns")(segments)
    flat = keras.layers.Reshape((segments.shape[1], -1), name=f"{name}_flat")(segments)
    return keras.layers.Dense(units, use_bias=False, name=f"{name}_embedding")(flat)
