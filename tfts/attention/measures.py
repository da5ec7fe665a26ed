"""What a stack of attention weights says, in numbers.

A stack is an array `(windows, heads, query, context)` whose rows sum to 1, in memory or
memory-mapped: every function reads it once, some windows at a time. The queries are the
steps of the horizon (`query="horizon"`), or for self-attention the rows of the context
themselves (`query="context"`). The last row of the context is the newest. For attention
over variables the queries are the targets, and in the place of the context stand the
columns, whose names are `variables` (`query="variable"`); of those the targets come first.

Rows are counted in two ways. A `lag` counts back from the forecast origin: lag 0 is the
newest row. A `distance` counts back from the row that looks: for horizon step h the row
at lag l is h + l rows back, so what repeats every day stays at one distance while its lag
moves with the step.
"""

import dataclasses
import itertools

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts._units import time_unit

# Windows read at once hold about so many numbers: some 64 MB.
_CHUNK = 2**24
_QUERIES = ("horizon", "context", "variable")


@dataclasses.dataclass(frozen=True, eq=False)
class AttentionSummary:
    """What `summarize` finds.

    Attributes:
        map: Float64 `(query, context)`: the mean over windows and heads.
        by_head: Float64 `(heads, context)`: the mean over windows and queries.
        lags: DataFrame with the columns lag, time (the lag in words) and weight, the mean
            over windows, heads and queries; a row for each lag, the newest first. Here and
            below variables have the column variable in the place of lag and time.
        distances: DataFrame with the columns distance, time and weight: the mean weight
            of a row at this distance, over the queries that have such a row. `None` for
            variables.
        top: DataFrame with the columns rank, lag, time, weight: the most attended lags.
        examples: DataFrame with the columns window, rank, lag, time, weight: the most
            attended lags of each window.

    Example:

    >>> found = summarize(np.full((11, 2, 3, 5), 0.2))
    >>> found.map.shape, found.by_head.shape, len(found.lags)
    ((3, 5), (2, 5), 5)
    """

    map: np.ndarray
    by_head: np.ndarray
    lags: pd.DataFrame
    distances: pd.DataFrame | None
    top: pd.DataFrame
    examples: pd.DataFrame


@dataclasses.dataclass(frozen=True, eq=False)
class HeadProfiles:
    """What `head_profiles` finds.

    Attributes:
        profiles: DataFrame with a row for each head: head, top_lag, time, entropy,
            mean_lag and the shares of `horizon_profile`; for variables head, top_variable,
            entropy and the shares.
        distances: Float64 `(heads, heads)`: Jensen-Shannon distance, 0 for heads that
            always look at the same rows and 1 for heads that never share one.
        redundant: List of pairs of heads nearer to each other than the tolerance.

    Example:

    >>> head_profiles(np.full((11, 2, 3, 5), 0.2)).redundant
    [(0, 1)]
    """

    profiles: pd.DataFrame
    distances: np.ndarray
    redundant: list


def summarize(stack, *, top_k=5, freq=None, query="horizon", variables=()):
    """Which lags matter, over all windows and in each of them.

    Args:
        stack: Float `(windows, heads, query, context)`, rows sum to 1.
        top_k: Int >= 1, lags to list.
        freq: pandas frequency of the rows, such as `"h"`, for lags in words.
        query: `"horizon"`, `"context"` or `"variable"`, what it is that looks.
        variables: Names of the columns, for `query="variable"`.

    Returns:
        `AttentionSummary`.

    Raises:
        ValueError: If the stack has another rank, is empty, holds NaN or negative
            weights, or its rows don't sum to 1.

    Example:

    >>> stack = np.zeros((3, 2, 5, 7))
    >>> stack[..., -3] = 1.0  # the row two before the newest
    >>> summarize(stack, top_k=1, freq="h").top
       rank  lag     time  weight
    0     1    2  2 hours     1.0
    """
    num_windows, num_heads, num_queries, context_length = _check_shape(stack, query, variables)
    top_k = min(_check_count("top_k", top_k), context_length)
    total = np.zeros((num_heads, num_queries, context_length))
    examples = np.empty((num_windows, context_length), np.float32)
    for first, chunk in chunks(stack):
        total += chunk.sum(axis=0, dtype=np.float64)
        examples[first : first + len(chunk)] = chunk.mean(axis=(1, 2))
    total /= num_windows
    by_lag = _in_order(total.mean(axis=(0, 1)), query)
    best = np.argsort(-by_lag, kind="stable")[:top_k]
    examples = _in_order(examples, query)
    each = np.argsort(-examples, axis=1, kind="stable")[:, :top_k]
    return AttentionSummary(
        map=total.mean(axis=0),
        by_head=total.mean(axis=1),
        lags=pd.DataFrame({**_named(np.arange(context_length), freq, variables), "weight": by_lag}),
        distances=None if variables else _by_distance(total.mean(axis=0), freq, query),
        top=pd.DataFrame(
            {
                "rank": np.arange(1, top_k + 1),
                **_named(best, freq, variables),
                "weight": by_lag[best],
            }
        ),
        examples=pd.DataFrame(
            {
                "window": np.repeat(np.arange(num_windows), top_k),
                "rank": np.tile(np.arange(1, top_k + 1), num_windows),
                **_named(each.ravel(), freq, variables),
                "weight": np.take_along_axis(examples, each, axis=1).ravel(),
            }
        ),
    )


def _by_distance(weights, freq, query):
    distance = distances_of(query, *weights.shape)
    low = distance.min()
    cells = np.bincount((distance - low).ravel())
    by_distance = np.bincount((distance - low).ravel(), weights=weights.ravel()) / cells
    numbers = np.arange(low, low + len(cells))
    return pd.DataFrame({"distance": numbers, "time": in_time(numbers, freq), "weight": by_distance})


def concentration(stack, *, query="horizon", variables=()):
    """How many lags the attention is spread over.

    Args:
        stack: Float `(windows, heads, query, context)`, rows sum to 1.
        query: As in `summarize`.
        variables: As in `summarize`.

    Returns:
        DataFrame with a row for each head and query: head, step (or lag, of the row that
        looks, or target), entropy (1 for uniform attention, 0 for one lag alone),
        effective_lags or effective_variables (the exponential of the entropy: of k that
        share the weight evenly it is k) and effective_share (the same over the context
        length or the number of columns), each the mean over windows.

    Raises:
        ValueError: As `summarize`.

    Example:

    >>> concentration(np.full((3, 1, 1, 8), 1 / 8)).round(3)
       head  step  entropy  effective_lags  effective_share
    0     0     1      1.0             8.0              1.0

    Source: Shannon, A Mathematical Theory of Communication, 1948; Hill, Diversity and
    Evenness, Ecology 54, 1973 (effective number).
    """
    num_windows, num_heads, num_queries, context_length = _check_shape(stack, query, variables)
    entropy = np.zeros((num_heads, num_queries))
    effective = np.zeros((num_heads, num_queries))
    for _, chunk in chunks(stack):
        each = _entropy(chunk)
        entropy += _normalised(each, context_length).sum(axis=0)
        effective += np.exp(each).sum(axis=0)
    name, numbers = _query_numbers(query, num_queries, variables)
    return pd.DataFrame(
        {
            "head": np.repeat(np.arange(num_heads), num_queries),
            name: np.tile(numbers, num_heads),
            "entropy": entropy.ravel() / num_windows,
            "effective_variables" if variables else "effective_lags": effective.ravel() / num_windows,
            "effective_share": effective.ravel() / num_windows / context_length,
        }
    )


def top_lag_counts(stack, *, query="horizon", variables=()):
    """How often each lag is the first choice.

    The heads are averaged first. Of lags with the same weight the newest counts.

    Args:
        stack: Float `(windows, heads, query, context)`, rows sum to 1.
        query: As in `summarize`.
        variables: As in `summarize`.

    Returns:
        DataFrame of ints, indexed by step (or lag of the row that looks, or target), with a
        column for each lag from 0 up, or variable; each row sums to the number of windows.

    Raises:
        ValueError: As `summarize`.

    Example:

    >>> stack = np.zeros((3, 2, 2, 4))
    >>> stack[:, :, 0, -1] = stack[:, :, 1, -3] = 1.0
    >>> top_lag_counts(stack)
    lag   0  1  2  3
    step
    1     3  0  0  0
    2     0  0  3  0
    """
    _, _, num_queries, context_length = _check_shape(stack, query, variables)
    counts = np.zeros((num_queries, context_length), np.int64)
    for _, chunk in chunks(stack):
        first = _in_order(chunk.mean(axis=1), query).argmax(axis=-1)
        for at in range(num_queries):
            counts[at] += np.bincount(first[:, at], minlength=context_length)
    name, numbers = _query_numbers(query, num_queries, variables)
    columns = pd.Index(variables, name="variable") if variables else pd.RangeIndex(context_length, name="lag")
    return pd.DataFrame(counts, index=pd.Index(numbers, name=name), columns=columns)


def horizon_profile(
    stack, *, seasonal_lags=(), fixed_lags=(), recent_lags=3, neighbours=1, query="horizon", variables=()
):
    """How the focus moves with the horizon.

    The context is parted, for each step anew: `season_24` is the row 24 rows before the
    one that is forecast, with its neighbours (for a step beyond 24, the newest row of the
    same phase; in self-attention, the row 24 before or after the one that looks); `lag_24`
    is the row 24 before the origin at every step; `recent` are the newest rows that belong
    to neither; `rest` are the others. Of attention over variables the parts are the columns,
    `on_load` is the share on the column load, and there are no lags.

    Args:
        stack: Float `(windows, heads, query, context)`, rows sum to 1.
        seasonal_lags: Ints, in rows, such as `(24, 168)` for hours.
        fixed_lags: Ints, in rows before the origin.
        recent_lags: Int >= 1, how many rows are recent.
        neighbours: Int >= 0, rows on each side that count with a season or lag.
        query: As in `summarize`.
        variables: As in `summarize`.

    Returns:
        DataFrame with a row for each step (or lag of the row that looks): the share of the
        weight on each part, what uniform attention has there (`uniform_...`), mean_lag and
        top_lag (counted from the origin); the mean over windows and heads. For variables a
        row for each target: the shares, uniform and top_variable.

    Raises:
        ValueError: As `summarize`, or if a seasonal or fixed lag is outside the context.

    Example:

    >>> stack = np.zeros((3, 2, 2, 6))
    >>> stack[:, :, 0, -4] = stack[:, :, 1, -3] = 1.0  # 4 rows before the forecast row
    >>> horizon_profile(stack, seasonal_lags=[4], neighbours=0)[["step", "season_4", "mean_lag"]]
       step  season_4  mean_lag
    0     1       1.0       3.0
    1     2       1.0       2.0
    """
    num_windows, _, num_queries, context_length = _check_shape(stack, query, variables)
    names, parts = _parts(
        query, num_queries, context_length, seasonal_lags, fixed_lags, recent_lags, neighbours, variables
    )
    total = np.zeros((num_queries, context_length))
    for _, chunk in chunks(stack):
        total += chunk.mean(axis=1).sum(axis=0, dtype=np.float64)
    total /= num_windows
    name, numbers = _query_numbers(query, num_queries, variables)
    shares = np.einsum("qc,pqc->pq", total, parts)
    table = {name: numbers}
    table |= dict(zip(names, shares, strict=True))
    if variables:
        top = np.asarray(variables, dtype=object)[total.argmax(axis=-1)]
        return pd.DataFrame({**table, "uniform": 1 / context_length, "top_variable": top})
    table |= {f"uniform_{part}": where.mean(axis=-1) for part, where in zip(names, parts, strict=True)}
    lags = np.arange(context_length)[::-1]
    table |= {"mean_lag": total @ lags, "top_lag": total[:, ::-1].argmax(axis=-1)}
    return pd.DataFrame(table)


def head_profiles(
    stack,
    *,
    seasonal_lags=(),
    fixed_lags=(),
    recent_lags=3,
    neighbours=1,
    redundant_below=0.1,
    max_windows=256,
    freq=None,
    query="horizon",
    variables=(),
):
    """What each head looks at, and how different the heads are.

    Args:
        stack: Float `(windows, heads, query, context)`, rows sum to 1.
        seasonal_lags: As in `horizon_profile`.
        fixed_lags: As in `horizon_profile`.
        recent_lags: As in `horizon_profile`.
        neighbours: As in `horizon_profile`.
        redundant_below: Float, the distance below which two heads are redundant.
        max_windows: Int >= 1. The distances of many heads are slow to compute, so they are
            taken from at most so many windows, evenly spread.
        freq: pandas frequency of the rows, for lags in words.
        query: As in `summarize`.
        variables: As in `summarize`.

    Returns:
        `HeadProfiles`. A distance is the root of the mean over windows and queries of the
        divergence with logarithms to base 2.

    Raises:
        ValueError: As `horizon_profile`.

    Example:

    >>> stack = np.zeros((3, 2, 5, 7))
    >>> stack[:, 0, :, -1] = stack[:, 1, :, -4] = 1.0
    >>> heads = head_profiles(stack)
    >>> heads.profiles["top_lag"].tolist(), heads.distances.tolist(), heads.redundant
    ([0, 3], [[0.0, 1.0], [1.0, 0.0]], [])

    Source: Lin, Divergence Measures Based on the Shannon Entropy, IEEE Transactions on
    Information Theory 37, 1991.
    """
    num_windows, num_heads, num_queries, context_length = _check_shape(stack, query, variables)
    names, parts = _parts(
        query, num_queries, context_length, seasonal_lags, fixed_lags, recent_lags, neighbours, variables
    )
    total = np.zeros((num_heads, num_queries, context_length))
    entropy = np.zeros(num_heads)
    for _, chunk in chunks(stack):
        total += chunk.sum(axis=0, dtype=np.float64)
        entropy += _normalised(_entropy(chunk), context_length).mean(axis=-1).sum(axis=0)
    total /= num_windows
    by_lag = _in_order(total.mean(axis=1), query)
    named = _named(by_lag.argmax(axis=-1), freq, variables)
    shares = np.einsum("kqc,pqc->pk", total, parts) / num_queries
    profiles = pd.DataFrame(
        {
            "head": np.arange(num_heads),
            **{key if key == "time" else f"top_{key}": values for key, values in named.items()},
            "entropy": entropy / num_windows,
            **({} if variables else {"mean_lag": by_lag @ np.arange(context_length)}),
            **dict(zip(names, shares, strict=True)),
        }
    )
    some = np.unique(
        np.linspace(0, num_windows - 1, min(_check_count("max_windows", max_windows), num_windows))
    )
    divergence = np.zeros((num_heads, num_heads))
    for at in some.astype(int):
        for _, chunk in chunks(stack[at : at + 1]):
            own = _entropy(chunk[0])
            for i, j in itertools.combinations(range(num_heads), 2):
                mixed = _entropy((chunk[0, i] + chunk[0, j]) / 2)
                divergence[i, j] += (mixed - (own[i] + own[j]) / 2).mean()
    distances = np.sqrt(np.clip(divergence / len(some) / np.log(2), 0, 1))
    distances = distances + distances.T
    near = np.argwhere(np.triu(distances < redundant_below, 1))
    return HeadProfiles(profiles, distances, [tuple(pair) for pair in near.tolist()])


def window_measures(
    stack, *, seasonal_lags=(), fixed_lags=(), recent_lags=3, neighbours=1, query="horizon", variables=()
):
    """The measures that are compared between regimes and with baselines, window by window.

    Args:
        stack: Float `(windows, heads, query, context)`, rows sum to 1.
        seasonal_lags: As in `horizon_profile`.
        fixed_lags: As in `horizon_profile`.
        recent_lags: As in `horizon_profile`.
        neighbours: As in `horizon_profile`.
        query: As in `summarize`.
        variables: As in `summarize`.

    Returns:
        DataFrame with a row for each window: entropy (normalised), mean_lag, shift (mean
        lag of the last third of the steps less that of the first third), head_divergence
        (0 if all heads look at the same, 1 if no two share a row) and the shares of
        `horizon_profile`; each is the mean over heads and queries. For variables there are
        no lags.

    Raises:
        ValueError: As `horizon_profile`.

    Example:

    >>> window_measures(np.full((1, 2, 3, 8), 1 / 8)).round(3)
       entropy  mean_lag  shift  head_divergence  recent   rest
    0      1.0       3.5    0.0              0.0   0.375  0.625
    """
    _, num_heads, num_queries, context_length = _check_shape(stack, query, variables)
    names, parts = _parts(
        query, num_queries, context_length, seasonal_lags, fixed_lags, recent_lags, neighbours, variables
    )
    lags = np.arange(context_length, dtype=np.float32)[::-1]
    third = max(1, num_queries // 3)
    tables = []
    for _, chunk in chunks(stack):
        mean = chunk.mean(axis=1)
        entropy = _entropy(chunk)
        measures = {"entropy": _normalised(entropy, context_length).mean(axis=(1, 2))}
        if not variables:
            by_query = mean @ lags
            measures["mean_lag"] = by_query.mean(axis=-1)
            measures["shift"] = by_query[:, -third:].mean(axis=-1) - by_query[:, :third].mean(axis=-1)
        divergence = np.maximum(_entropy(mean) - entropy.mean(axis=1), 0).mean(axis=-1)
        # One head alone has no other to differ from.
        measures["head_divergence"] = divergence / np.log(max(num_heads, 2))
        shares = np.einsum("nqc,pqc->pn", mean, parts.astype(np.float32)) / num_queries
        tables.append(pd.DataFrame({**measures, **dict(zip(names, shares, strict=True))}, dtype=np.float64))
    return pd.concat(tables, ignore_index=True)


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


def _check_count(name, value):
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"`{name}` must be an int >= 1. Received: {name}={value!r}.")
    return int(value)


def _in_order(weights, query):
    """Along the last axis: columns as they are, rows with the newest first."""
    return weights if query == "variable" else weights[..., ::-1]


def _named(numbers, freq, variables):
    """Columns of a table that say what is attended: variables, or lags also in words."""
    if variables:
        return {"variable": np.asarray(variables, dtype=object)[numbers]}
    return {"lag": numbers, "time": in_time(numbers, freq)}


def _check_shape(stack, query, variables):
    if query not in _QUERIES:
        raise ValueError(unknown("query", query, _QUERIES))
    shape = np.shape(stack)
    if len(variables) != (shape[-1] if query == "variable" and shape else 0):
        raise ValueError(
            "`variables` must name every column that is looked at with query='variable', and none otherwise. "
            f"Received: query={query!r}, variables={list(variables)}, shape {shape}."
        )
    if len(shape) != 4 or 0 in shape:
        raise ValueError(
            "`stack` must be attention weights (windows, heads, query, context), at least one of each. "
            f"Received: shape {shape}."
        )
    if query == "context" and shape[2] != shape[3]:
        raise ValueError(
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
            raise ValueError(
                "Each row of `stack` must hold weights >= 0 that sum to 1, as attention after its softmax. "
                f"Received: shape {np.shape(stack)}; the row of window {first + window}, head {head}, query {at} "
                f"{what}."
            )
        yield first, chunk


def _entropy(weights):
    """Along the last axis, in nats; a weight of 0 adds nothing."""
    return -(weights * np.log(np.maximum(weights, np.finfo(np.float32).tiny))).sum(axis=-1)


def _normalised(entropy, context_length):
    # One lag alone can only be attended uniformly.
    return entropy / np.log(context_length) if context_length > 1 else np.ones_like(entropy)


def _query_numbers(query, num_queries, variables):
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


def _parts(query, num_queries, context_length, seasonal_lags, fixed_lags, recent_lags, neighbours, variables):
    """Names of the parts of the context, and where they are: bool `(parts, query, context)`."""
    if variables:
        if len(seasonal_lags) or len(fixed_lags):
            raise ValueError(
                "Columns have no lags, so with query='variable' there are none to name. Received: "
                f"seasonal_lags={list(seasonal_lags)}, fixed_lags={list(fixed_lags)}."
            )
        return [f"on_{name}" for name in variables], np.eye(context_length, dtype=bool)[:, None].repeat(
            num_queries, axis=1
        )
    _check_count("recent_lags", recent_lags)
    if isinstance(neighbours, bool) or not isinstance(neighbours, int | np.integer) or neighbours < 0:
        raise ValueError(f"`neighbours` must be an int >= 0. Received: neighbours={neighbours!r}.")
    distance = distances_of(query, num_queries, context_length)
    longest = context_length if query == "horizon" else context_length - 1
    free = np.ones(distance.shape, dtype=bool)
    names, parts = [], []
    for season in seasonal_lags:
        _check_count("seasonal_lags", season)
        if season > longest:
            raise ValueError(
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
            raise ValueError(
                f"A fixed lag must be from 0 to {context_length - 1}, the rows of the context. "
                f"Received: fixed_lags={list(fixed_lags)}."
            )
        where = free & (np.abs(lags - lag) <= neighbours)
        free &= ~where
        names.append(f"lag_{lag}")
        parts.append(where)
    recent = free & (lags < recent_lags)
    return ["recent", *names, "rest"], np.stack([recent, *parts, free & ~recent])
