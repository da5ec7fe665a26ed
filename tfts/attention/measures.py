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

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfts.attention._stacks import (
    check_count,
    check_shape,
    chunks,
    distances_of,
    entropy_of,
    in_order,
    in_time,
    named,
    normalised,
    parts_of,
    query_numbers,
)


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


def summarize(
    stack: npt.ArrayLike,
    *,
    top_k: int = 5,
    freq: str | None = None,
    query: Literal["horizon", "context", "variable"] = "horizon",
    variables: Sequence[str] = (),
) -> AttentionSummary:
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
    num_windows, num_heads, num_queries, context_length = check_shape(stack, query, variables)
    top_k = min(check_count("top_k", top_k), context_length)
    total = np.zeros((num_heads, num_queries, context_length))
    examples = np.empty((num_windows, context_length), np.float32)
    for first, chunk in chunks(stack):
        total += chunk.sum(axis=0, dtype=np.float64)
        examples[first : first + len(chunk)] = chunk.mean(axis=(1, 2))
    total /= num_windows
    by_lag = in_order(total.mean(axis=(0, 1)), query)
    best = np.argsort(-by_lag, kind="stable")[:top_k]
    examples = in_order(examples, query)
    each = np.argsort(-examples, axis=1, kind="stable")[:, :top_k]
    return AttentionSummary(
        map=total.mean(axis=0),
        by_head=total.mean(axis=1),
        lags=pd.DataFrame({**named(np.arange(context_length), freq, variables), "weight": by_lag}),
        distances=None if variables else _by_distance(total.mean(axis=0), freq, query),
        top=pd.DataFrame(
            {
                "rank": np.arange(1, top_k + 1),
                **named(best, freq, variables),
                "weight": by_lag[best],
            }
        ),
        examples=pd.DataFrame(
            {
                "window": np.repeat(np.arange(num_windows), top_k),
                "rank": np.tile(np.arange(1, top_k + 1), num_windows),
                **named(each.ravel(), freq, variables),
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


def concentration(
    stack: npt.ArrayLike,
    *,
    query: Literal["horizon", "context", "variable"] = "horizon",
    variables: Sequence[str] = (),
) -> pd.DataFrame:
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
    num_windows, num_heads, num_queries, context_length = check_shape(stack, query, variables)
    entropy = np.zeros((num_heads, num_queries))
    effective = np.zeros((num_heads, num_queries))
    for _, chunk in chunks(stack):
        each = entropy_of(chunk)
        entropy += normalised(each, context_length).sum(axis=0)
        effective += np.exp(each).sum(axis=0)
    name, numbers = query_numbers(query, num_queries, variables)
    return pd.DataFrame(
        {
            "head": np.repeat(np.arange(num_heads), num_queries),
            name: np.tile(numbers, num_heads),
            "entropy": entropy.ravel() / num_windows,
            "effective_variables" if variables else "effective_lags": effective.ravel() / num_windows,
            "effective_share": effective.ravel() / num_windows / context_length,
        }
    )


def top_lag_counts(
    stack: npt.ArrayLike,
    *,
    query: Literal["horizon", "context", "variable"] = "horizon",
    variables: Sequence[str] = (),
) -> pd.DataFrame:
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
    _, _, num_queries, context_length = check_shape(stack, query, variables)
    counts = np.zeros((num_queries, context_length), np.int64)
    for _, chunk in chunks(stack):
        first = in_order(chunk.mean(axis=1), query).argmax(axis=-1)
        for at in range(num_queries):
            counts[at] += np.bincount(first[:, at], minlength=context_length)
    name, numbers = query_numbers(query, num_queries, variables)
    columns = pd.Index(variables, name="variable") if variables else pd.RangeIndex(context_length, name="lag")
    return pd.DataFrame(counts, index=pd.Index(numbers, name=name), columns=columns)


def horizon_profile(
    stack: npt.ArrayLike,
    *,
    seasonal_lags: Sequence[int] = (),
    fixed_lags: Sequence[int] = (),
    recent_lags: int = 3,
    neighbours: int = 1,
    query: Literal["horizon", "context", "variable"] = "horizon",
    variables: Sequence[str] = (),
) -> pd.DataFrame:
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
    num_windows, _, num_queries, context_length = check_shape(stack, query, variables)
    names, parts = parts_of(
        query, num_queries, context_length, seasonal_lags, fixed_lags, recent_lags, neighbours, variables
    )
    total = np.zeros((num_queries, context_length))
    for _, chunk in chunks(stack):
        total += chunk.mean(axis=1).sum(axis=0, dtype=np.float64)
    total /= num_windows
    name, numbers = query_numbers(query, num_queries, variables)
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
    stack: npt.ArrayLike,
    *,
    seasonal_lags: Sequence[int] = (),
    fixed_lags: Sequence[int] = (),
    recent_lags: int = 3,
    neighbours: int = 1,
    redundant_below: float = 0.1,
    max_windows: int = 256,
    freq: str | None = None,
    query: Literal["horizon", "context", "variable"] = "horizon",
    variables: Sequence[str] = (),
) -> HeadProfiles:
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
    num_windows, num_heads, num_queries, context_length = check_shape(stack, query, variables)
    names, parts = parts_of(
        query, num_queries, context_length, seasonal_lags, fixed_lags, recent_lags, neighbours, variables
    )
    total = np.zeros((num_heads, num_queries, context_length))
    entropy = np.zeros(num_heads)
    for _, chunk in chunks(stack):
        total += chunk.sum(axis=0, dtype=np.float64)
        entropy += normalised(entropy_of(chunk), context_length).mean(axis=-1).sum(axis=0)
    total /= num_windows
    by_lag = in_order(total.mean(axis=1), query)
    tops = named(by_lag.argmax(axis=-1), freq, variables)
    shares = np.einsum("kqc,pqc->pk", total, parts) / num_queries
    profiles = pd.DataFrame(
        {
            "head": np.arange(num_heads),
            **{key if key == "time" else f"top_{key}": values for key, values in tops.items()},
            "entropy": entropy / num_windows,
            **({} if variables else {"mean_lag": by_lag @ np.arange(context_length)}),
            **dict(zip(names, shares, strict=True)),
        }
    )
    some = np.unique(
        np.linspace(0, num_windows - 1, min(check_count("max_windows", max_windows), num_windows))
    )
    divergence = np.zeros((num_heads, num_heads))
    for at in some.astype(int):
        for _, chunk in chunks(stack[at : at + 1]):
            own = entropy_of(chunk[0])
            for i, j in itertools.combinations(range(num_heads), 2):
                mixed = entropy_of((chunk[0, i] + chunk[0, j]) / 2)
                divergence[i, j] += (mixed - (own[i] + own[j]) / 2).mean()
    distances = np.sqrt(np.clip(divergence / len(some) / np.log(2), 0, 1))
    distances = distances + distances.T
    near = np.argwhere(np.triu(distances < redundant_below, 1))
    return HeadProfiles(profiles, distances, [tuple(pair) for pair in near.tolist()])


def window_measures(
    stack: npt.ArrayLike,
    *,
    seasonal_lags: Sequence[int] = (),
    fixed_lags: Sequence[int] = (),
    recent_lags: int = 3,
    neighbours: int = 1,
    query: Literal["horizon", "context", "variable"] = "horizon",
    variables: Sequence[str] = (),
) -> pd.DataFrame:
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
    _, num_heads, num_queries, context_length = check_shape(stack, query, variables)
    names, parts = parts_of(
        query, num_queries, context_length, seasonal_lags, fixed_lags, recent_lags, neighbours, variables
    )
    lags = np.arange(context_length, dtype=np.float32)[::-1]
    third = max(1, num_queries // 3)
    tables = []
    for _, chunk in chunks(stack):
        mean = chunk.mean(axis=1)
        entropy = entropy_of(chunk)
        measures = {"entropy": normalised(entropy, context_length).mean(axis=(1, 2))}
        if not variables:
            by_query = mean @ lags
            measures["mean_lag"] = by_query.mean(axis=-1)
            measures["shift"] = by_query[:, -third:].mean(axis=-1) - by_query[:, :third].mean(axis=-1)
        divergence = np.maximum(entropy_of(mean) - entropy.mean(axis=1), 0).mean(axis=-1)
        # One head alone has no other to differ from.
        measures["head_divergence"] = divergence / np.log(max(num_heads, 2))
        shares = np.einsum("nqc,pqc->pn", mean, parts.astype(np.float32)) / num_queries
        tables.append(pd.DataFrame({**measures, **dict(zip(names, shares, strict=True))}, dtype=np.float64))
    return pd.concat(tables, ignore_index=True)
