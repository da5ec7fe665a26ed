"""Quantiles that follow the errors which became known since the fit."""

import numpy as np

from tfts.calibration.held_out import needed_for

# How far a level moves when an outcome of the first horizon step is known; of step h, of which h outcomes
# are under way before the first is known, an h-th of it.
_STEP = 0.03
# Latest scores that quantiles are taken from, at least, and how many of them may share a row: what happens
# to windows that overlap is no news of each.
_LATEST, _SHARING = 100, 10


def adaptive_scores(held_out, scores, positions, levels, name):
    """Scores at some levels for the windows of one series, each by what was known at its origin.

    At each horizon step the quantile is that of the latest scores, at a level which rises
    after every outcome above its quantile and falls after every one below, so that in the long run the share
    is right whatever happens; an outcome is known once its row has come.

    Args:
        held_out: `HeldOut`, whose scores come first.
        scores: Float `(windows, horizon, targets)` of the outcomes in units of the series' size; NaN
            where not observed.
        positions: Int `(windows,)`, ascending: row of each origin.
        levels: Ascending levels.
        name: Name of the series.

    Returns:
        Float64 `(windows, horizon, targets, levels)`.

    Example:

    >>> from tfts.calibration import HeldOut
    >>> one, zeros = np.ones((1, 1)), np.zeros(9, int)
    >>> held_out = HeldOut(np.ones((9, 1, 1)), zeros, np.arange(9), ("",), one, one[0], one, zeros, np.zeros((2, 2, 1)))
    >>> outcomes = np.full((200, 1, 1), 5.0)
    >>> found = adaptive_scores(held_out, outcomes, np.arange(200), [0.5], "")
    >>> found[0].item(), found[-1].item()
    (1.0, 5.0)

    Source: Gibbs and Candes, Adaptive conformal inference under distribution shift, NeurIPS 2021;
    for forecasts: Zaffran et al., Adaptive conformal predictions for time series, ICML 2022.
    """
    held_out.check(levels)
    horizon, targets = scores.shape[1:]
    latest = max(_LATEST, *(2 * needed_for(level) for level in levels))
    order = np.argsort(held_out.times, kind="stable")
    if name in held_out.names:
        own = order[held_out.series[order] == held_out.names.index(name)]
        order = own if len(own) >= max(map(needed_for, levels)) else order
    memory = _Memory(held_out.scores[order].astype(np.float64), latest)
    wanted = np.asarray(levels, dtype=np.float64)
    effective = np.broadcast_to(wanted, (horizon, targets, len(levels))).copy()
    known = np.zeros(horizon, dtype=np.int64)
    steps = np.arange(1, horizon + 1)
    rates = (_STEP / steps)[:, None, None]
    every = np.maximum(1, steps // _SHARING)
    found = np.empty((*scores.shape, len(levels)))
    for window, position in enumerate(positions):
        # Outcomes of earlier windows that lie at this origin or before.
        seen = np.searchsorted(positions[:window], position - steps, side="right")
        while (fresh := np.flatnonzero(known < seen)).size:
            outcome = scores[known[fresh], fresh]
            there = ~np.isnan(outcome)[..., None]
            below = outcome[..., None] <= found[known[fresh], fresh]
            effective[fresh] += np.where(there, rates[fresh] * (wanted - below), 0.0)
            kept = known[fresh] % every[fresh] == 0
            memory.add(fresh[kept], outcome[kept])
            known[fresh] += 1
        found[window] = memory.at(np.clip(effective, 0.0, 1.0))
    return np.maximum.accumulate(found, axis=-1)


class _Memory:
    """The latest scores at each step and target."""

    def __init__(self, first, size):
        held = first[-size:]
        self._values = np.full((size, *first.shape[1:]), np.nan)
        self._values[: len(held)] = held
        self._next = np.full(first.shape[1], len(held)) % size

    def add(self, steps, outcome):
        """Puts outcomes `(steps, targets)` in place of the oldest."""
        at = self._next[steps]
        self._values[at, steps] = np.where(np.isnan(outcome), self._values[at, steps], outcome)
        self._next[steps] = (at + 1) % len(self._values)

    def at(self, levels):
        """Scores at levels `(horizon, targets, levels)`, of the k-th of n at k / (n + 1)."""
        ordered = np.sort(self._values, axis=0)
        count = (~np.isnan(ordered)).sum(axis=0)[..., None]
        place = np.clip(levels * (count + 1) - 1, 0, np.maximum(count - 1, 0))
        low = np.floor(place).astype(np.int64)
        high = np.minimum(low + 1, np.maximum(count - 1, 0))
        ordered = np.moveaxis(ordered, 0, -1)
        first, second = (np.take_along_axis(ordered, at, axis=-1) for at in (low, high))
        return first + (place - low) * (second - first)
