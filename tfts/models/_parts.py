"""What the builders share: inputs, window normalisation and the way out."""

import keras

from tfts._messages import unknown
from tfts.layers import LSTM, MultiHeadAttention, ReversibleInstanceNorm
from tfts.layers._checks import check_positive_int

# What each `window_norm` subtracts and divides by.
WINDOW_NORMS = {
    "none": None,
    "last": {"center": "last", "scale": False},
    "instance": {"center": "mean", "scale": True},
}

# What the linear forecast beside a network sees: nothing, a target's own window, all windows.
LINEAR_SKIPS = ("none", "own", "all")

# The attention layer of this name looks at columns, where others look at rows.
VARIABLE_ATTENTION = "variable_attention"


def window_inputs(context_length, num_features, horizon, num_targets, num_known_future):
    """Checks the sizes of a window and makes the model's inputs.

    Returns:
        Tuple `(inputs, past, known_future)`: `inputs` is what `keras.Model` takes,
        the tensor `past` alone or a dict; `known_future` is None without any.
    """
    check_positive_int(
        context_length=context_length, num_features=num_features, horizon=horizon, num_targets=num_targets
    )
    if num_targets > num_features:
        raise ValueError(
            "The targets are the first columns of `past`, so `num_targets` must not be above `num_features`. "
            f"Received: num_targets={num_targets}, num_features={num_features}."
        )
    if isinstance(num_known_future, bool) or not isinstance(num_known_future, int) or num_known_future < 0:
        raise ValueError(
            f"`num_known_future` must be an int >= 0. Received: num_known_future={num_known_future!r}."
        )
    past = keras.Input((context_length, num_features), name="past", dtype="float32")
    if num_known_future == 0:
        return past, past, None
    known_future = keras.Input(
        (context_length + horizon, num_known_future), name="known_future", dtype="float32"
    )
    return {"past": past, "known_future": known_future}, past, known_future


def normalise(past, window_norm, affine=False):
    """Returns the normalised window and the layer that did it (None for `"none"`)."""
    if window_norm not in WINDOW_NORMS:
        raise ValueError(unknown("window_norm", window_norm, WINDOW_NORMS))
    if window_norm == "none":
        return past, None
    norm = ReversibleInstanceNorm(
        **WINDOW_NORMS[window_norm], affine=affine, dtype="float32", name="window_norm"
    )
    return norm(past), norm


def split_known_future(known_future, horizon):
    """Cuts the known columns into the rows of the context and those of the horizon."""
    if known_future is None:
        return None, None
    context_length = known_future.shape[1] - horizon
    context = keras.layers.Cropping1D((0, horizon), name="known_context", dtype="float32")(known_future)
    ahead = keras.layers.Cropping1D((context_length, 0), name="known_ahead", dtype="float32")(known_future)
    return context, ahead


def join(tensors, name, axis=-1):
    """Concatenates those tensors that are not None; float32 under every policy."""
    tensors = [tensor for tensor in tensors if tensor is not None]
    if len(tensors) == 1:
        return tensors[0]
    return keras.layers.Concatenate(axis=axis, dtype="float32", name=name)(tensors)


def linear_forecast(window, ahead, horizon, num_targets, inputs="own", name="linear"):
    """Maps the window to the horizon by weights that start at zero.

    Zero is a good start: with a normalised window it is the window's level. The
    columns known ahead are added by weights for each step and target.

    Args:
        inputs: `"own"`, each target sees its own window through weights that
            all targets share, `"individual"`, the same through weights of its
            own, or `"all"`, it sees the windows of all features through
            weights of its own.
    """
    steps = {"kernel_initializer": "zeros", "dtype": "float32"}
    if inputs == "own":
        own = keras.layers.Permute((2, 1), dtype="float32", name=f"{name}_rows")(window[..., :num_targets])
        own = keras.layers.Dense(horizon, name=name, **steps)(own)
        forecast = keras.layers.Permute((2, 1), dtype="float32", name=f"{name}_columns")(own)
    elif inputs == "individual":
        forecast = keras.layers.EinsumDense(
            "bct,cht->bht", output_shape=(horizon, num_targets), bias_axes="ht", name=name, **steps
        )(window[..., :num_targets])
    else:
        forecast = keras.layers.EinsumDense(
            "bcf,cfht->bht", output_shape=(horizon, num_targets), bias_axes="ht", name=name, **steps
        )(window)
    if ahead is None:
        return forecast
    known = keras.layers.EinsumDense(
        "bhk,hkt->bht", output_shape=(horizon, num_targets), name=f"{name}_known", **steps
    )(ahead)
    return keras.layers.Add(dtype="float32", name=f"{name}_sum")([forecast, known])


def linear_guess(linear_skip, window, ahead, horizon, num_targets):
    """Returns the linear forecast beside the network; None where `linear_skip` is `"none"`."""
    if linear_skip not in LINEAR_SKIPS:
        raise ValueError(unknown("linear_skip", linear_skip, LINEAR_SKIPS))
    if linear_skip == "none":
        return None
    return linear_forecast(window, ahead, horizon, num_targets, inputs=linear_skip, name="linear_skip")


def add_linear_skip(forecast, linear_skip, window, ahead):
    """Adds the linear forecast to the network's, as `linear_skip` says."""
    guess = linear_guess(linear_skip, window, ahead, *forecast.shape[1:])
    if guess is None:
        return forecast
    return keras.layers.Add(dtype="float32", name="with_linear_skip")([forecast, guess])


def finish(forecast, past, norm):
    """Restores the window's level and names the output; float32 under every policy."""
    if norm is not None:
        forecast = norm(forecast, window=past, restore=True)
    return keras.layers.Identity(name="forecast", dtype="float32")(forecast)


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
        raise ValueError(
            "`units` must be a multiple of `num_heads`, so that the heads share it evenly. "
            f"Received: units={units}, num_heads={num_heads}."
        )
