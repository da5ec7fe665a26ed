"""Stacks made by hand."""

import numpy as np


def on_lags(lags, num_windows=3, num_heads=2, context_length=31):
    """All weight on one lag for each query: `(windows, heads, query, context)`."""
    stack = np.zeros((num_windows, num_heads, len(lags), context_length), np.float32)
    for at, lag in enumerate(lags):
        stack[:, :, at, context_length - 1 - lag] = 1
    return stack


def uniform(num_windows=3, num_heads=2, num_queries=5, context_length=31):
    return np.full((num_windows, num_heads, num_queries, context_length), 1 / context_length, np.float32)


def random(seed=0, shape=(7, 2, 5, 31), sharpness=3.0):
    weights = np.exp(sharpness * np.random.default_rng(seed).normal(size=shape))
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)


def noisy(stack, share=0.2, seed=0):
    """The stack with a share of its weight put anywhere, the heads alike, the windows not."""
    windows, heads, queries, context = stack.shape
    return (1 - share) * stack + share * random(seed, (windows, 1, queries, context)).repeat(heads, axis=1)
