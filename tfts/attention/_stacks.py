"""What every measure asks of a stack of attention weights: its shape, its windows, its lags."""

import numpy as np

from tfts._messages import unknown
from tfts._units import time_unit
from tfts.errors import DataError, SettingError

# Windows read at once hold about so many numbers: some 64 MB.
_CHUNK = 2**24
_QUERIES = ("horizon", "context", "variable")


def in_time(lags, freq):
    """Lags as words in the unit of the frequency.

    Example:

    >>> in_time([1, 96], "15min"), in_time([2], None)
    (['15 minutes', '24 hours'], ['2 steps'])
    """
    length, unit = time_unit(freq)
    words = []
    for lag in np.asarray(lags).tolist():
        count, word = lag * length, unit
        if unit == "minutes" and count and count % 60 == 0:
            count, word = count // 60, "hours"
        words.append(f"{count} {word[:-1] if abs(count) == 1 and word.endswith('s') else word}")
    return words


def check_count(name, value):
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise SettingError(f"`{name}` must be an int >= 1. Received: {name}={value!r}.")
    return int(value)


def in_order(weights, query):
    """Along the last axis: columns as they are, rows with the newest first."""
    return weights if query == "variable" else weights[..., ::-1]


def named(numbers, freq, variables):
    """Columns of a table that say what is attended: variables, or lags also in words."""
    if variables:
        return {"variable": np.asarray(variables, dtype=object)[numbers]}
    return {"lag": numbers, "time": in_time(numbers, freq)}


def check_shape(stack, query, variables):
    if query not in _QUERIES:
        raise SettingError(unknown("query", query, _QUERIES))
    shape = np.shape(stack)
    if len(variables) != (shape[-1] if query == "variable" and shape else 0):
        raise SettingError(
            "`variables` must name every column that is looked at with query='variable', and none otherwise. "
            f"Received: query={query!r}, variables={list(variables)}, shape {shape}."
        )
    if len(shape) != 4 or 0 in shape:
        raise SettingError(
            "`stack` must be attention weights (windows, heads, query, context), at least one of each. "
            f"Received: shape {shape}."
        )
    if query == "context" and shape[2] != shape[3]:
        raise DataError(
            "With query='context' the rows that look are those of the context, so the last two axes are of one "
            f"length. Received: shape {shape}."
        )
    return shape


def chunks(stack):
    """Yields the number of the first window, and some windows as float32, checked."""
    num_windows, *rest = np.shape(stack)
    size = max(1, _CHUNK // int(np.prod(rest)))
    for first in range(0, num_windows, size):
        chunk = np.asarray(stack[first : first + size], dtype=np.float32)
        sums = chunk.sum(axis=-1)
        wrong = np.argwhere(~(np.abs(sums - 1) <= 1e-2) | (chunk.min(axis=-1) < -1e-6))
        if len(wrong):
            window, head, at = wrong[0]
            row = chunk[window, head, at]
            what = (
                "holds NaN"
                if np.isnan(row).any()
                else f"sums to {row.sum():.4g}, its least weight {row.min():.4g}"
            )
            raise DataError(
                "Each row of `stack` must hold weights >= 0 that sum to 1, as attention after its softmax. "
                f"Received: shape {np.shape(stack)}; the row of window {first + window}, head {head}, query {at} "
                f"{what}."
            )
        yield first, chunk


def entropy_of(weights):
    """Along the last axis, in nats; a weight of 0 adds nothing."""
    return -(weights * np.log(np.maximum(weights, np.finfo(np.float32).tiny))).sum(axis=-1)


def normalised(entropy, context_length):
    # One lag alone can only be attended uniformly.
    return entropy / np.log(context_length) if context_length > 1 else np.ones_like(entropy)


def query_numbers(query, num_queries, variables):
    if variables:
        return "target", np.asarray(variables[:num_queries], dtype=object)
    if query == "horizon":
        return "step", np.arange(1, num_queries + 1)
    return "lag", np.arange(num_queries)[::-1]


def distances_of(query, num_queries, context_length):
    """How many rows before the one that looks each row is, `(query, context)`."""
    lags = np.arange(context_length)[::-1]
    if query == "horizon":
        return lags + np.arange(1, num_queries + 1)[:, None]
    return lags - lags[:, None]


def parts_of(
    query, num_queries, context_length, seasonal_lags, fixed_lags, recent_lags, neighbours, variables
):
    """Names of the parts of the context, and where they are: bool `(parts, query, context)`."""
    if variables:
        if len(seasonal_lags) or len(fixed_lags):
            raise DataError(
                "Columns have no lags, so with query='variable' there are none to name. Received: "
                f"seasonal_lags={list(seasonal_lags)}, fixed_lags={list(fixed_lags)}."
            )
        return [f"on_{name}" for name in variables], np.eye(context_length, dtype=bool)[:, None].repeat(
            num_queries, axis=1
        )
    check_count("recent_lags", recent_lags)
    if isinstance(neighbours, bool) or not isinstance(neighbours, int | np.integer) or neighbours < 0:
        raise SettingError(f"`neighbours` must be an int >= 0. Received: neighbours={neighbours!r}.")
    distance = distances_of(query, num_queries, context_length)
    longest = context_length if query == "horizon" else context_length - 1
    free = np.ones(distance.shape, dtype=bool)
    names, parts = [], []
    for season in seasonal_lags:
        check_count("seasonal_lags", season)
        if season > longest:
            raise DataError(
                f"A seasonal lag must be at most {longest}, so that its row is in the context of {context_length} "
                f"rows. Received: seasonal_lags={list(seasonal_lags)}, a stack with {num_queries} queries and "
                f"{context_length} rows of context."
            )
        away = np.abs(distance)
        if query == "horizon":
            # A row that is itself still to come: the newest one of the same phase instead.
            steps = np.arange(1, num_queries + 1)[:, None]
            away = distance - (steps - 1) // season * season
        where = free & (np.abs(away - season) <= neighbours)
        free &= ~where
        names.append(f"season_{season}")
        parts.append(where)
    lags = np.arange(context_length)[::-1]
    for lag in fixed_lags:
        if lag not in lags:
            raise DataError(
                f"A fixed lag must be from 0 to {context_length - 1}, the rows of the context. "
                f"Received: fixed_lags={list(fixed_lags)}."
            )
        where = free & (np.abs(lags - lag) <= neighbours)
        free &= ~where
        names.append(f"lag_{lag}")
        parts.append(where)
    recent = free & (lags < recent_lags)
    return ["recent", *names, "rest"], np.stack([recent, *parts, free & ~recent])
