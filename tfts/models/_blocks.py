"""Blocks of layers that several builders share."""

import keras

from tfts.errors import SettingError
from tfts.layers import LSTM, MultiHeadAttention
from tfts.layers._checks import check_positive_int

# The attention layer of this name looks at columns, where others look at rows.
VARIABLE_ATTENTION = "variable_attention"


def lstm_stack(features, units, num_layers, dropout, return_state=False):
    """Runs LSTM layers on top of each other, with dropout after each; float32 under every policy.

    Half precision would round the cell's state at every step, and not every cuDNN has it
    for an LSTM.

    Returns:
        The sequence `(batch, time, units)`, or with `return_state` the tuple of
        it and the list of each layer's last hidden and cell state.
    """
    states = []
    for i in range(num_layers):
        features, *state = LSTM(
            units, return_sequences=True, return_state=True, dtype="float32", name=f"lstm_{i}"
        )(features)
        states += state
        if dropout:
            features = keras.layers.Dropout(dropout, dtype="float32", name=f"dropout_{i}")(features)
    return (features, states) if return_state else features


def encoder_block(encoded, num_heads, feedforward_units, dropout, name, attention=None, queries=None):
    """Self-attention, then a feed-forward block; each is added to its input and normalised.

    Args:
        attention: Str, the name of an attention layer whose scores are to be read;
            it gives them as its second output. Default: they stay inside.
        queries: Int, how many of the first tokens look; the others are looked at
            and dropped. Default: all.
    """
    units = encoded.shape[-1]
    looks = MultiHeadAttention(
        num_heads, units // num_heads, dropout=dropout, name=attention or f"{name}_attention"
    )
    looking = encoded if queries is None else encoded[:, :queries]
    if attention is None:
        attended = looks(looking, encoded)
    else:
        attended, _ = looks(looking, encoded, return_attention_scores=True)
    encoded = keras.layers.LayerNormalization(name=f"{name}_attention_norm")(
        keras.layers.Add(name=f"{name}_attention_add")([looking, attended])
    )
    widened = keras.layers.Dense(feedforward_units, activation="gelu", name=f"{name}_widen")(encoded)
    narrowed = keras.layers.Dense(units, name=f"{name}_narrow")(widened)
    if dropout:
        narrowed = keras.layers.Dropout(dropout, name=f"{name}_dropout")(narrowed)
    return keras.layers.LayerNormalization(name=f"{name}_norm")(
        keras.layers.Add(name=f"{name}_add")([encoded, narrowed])
    )


def check_heads(units, num_heads):
    """Raises a ValueError where the heads can't share the width evenly."""
    check_positive_int(units=units, num_heads=num_heads)
    if units % num_heads:
        raise SettingError(
            "`units` must be a multiple of `num_heads`, so that the heads share it evenly. "
            f"Received: units={units}, num_heads={num_heads}."
        )
