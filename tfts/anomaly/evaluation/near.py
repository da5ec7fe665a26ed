"""Measures that forgive being a few rows off."""

import itertools

import numpy as np

from tfts.anomaly.evaluation.checks import check_labelled, check_pair, check_scored
from tfts.anomaly.evaluation.rows import flag_runs, with_f1
from tfts.errors import SettingError


def vus_pr(labels, scores, max_buffer=100, num_thresholds=250):
    """Volume under the precision-recall surface: `auc_pr` that forgives being a little off.

    Each labelled event gets a slope of `buffer` / 2 rows on either side, along which a row
    counts as partly anomalous, and recall is multiplied by the share of events that are
    touched at all. The area under precision and recall is averaged over the buffers
    0, 1, ..., `max_buffer`.

    Args:
        labels: Bools `(rows,)`, at least one of them True.
        scores: Finite floats `(rows,)`, higher is more anomalous.
        max_buffer: Int >= 0, rows; about one season, as in TSB-AD.
        num_thresholds: Int >= 2. The thresholds are the scores at as many ranks, evenly
            spaced from the highest to the lowest.

    Returns:
        Float from 0 to 1.

    Raises:
        ValueError: As `auc_pr`, or if an option is out of its range.

    Example:

    >>> from tfts.anomaly.evaluation.rows import auc_pr
    >>> labels = [False] * 20 + [True] * 5 + [False] * 20
    >>> late = np.roll(labels, 3).astype(float)
    >>> round(auc_pr(labels, late), 3), round(vus_pr(labels, late, max_buffer=8), 3)
    (0.227, 0.484)

    Source: Paparrizos et al., Volume under the surface: a new accuracy evaluation measure
    for time-series anomaly detection, VLDB 2022.
    """
    labels, scores = check_scored(labels, scores)
    for name, value, least in (("max_buffer", max_buffer, 0), ("num_thresholds", num_thresholds, 2)):
        if not isinstance(value, int | np.integer) or value < least:
            raise SettingError(f"`{name}` must be an int >= {least}. Received: {name}={value!r}.")
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    levels = falling[np.linspace(0, len(scores) - 1, num_thresholds).astype(int)]
    flagged = np.searchsorted(-falling, -levels, side="right")
    areas = []
    for buffer in range(max_buffer + 1):
        weight, events = _sloped(labels, buffer)
        highest = np.array([scores[first : last + 1].max() for first, last in events])
        touched = (highest[:, None] >= levels).mean(axis=0)
        hits = np.cumsum(weight[order])[flagged - 1]
        slope_hits = np.cumsum(np.where(labels, 0.0, weight)[order])[flagged - 1]
        # The anomalous rows, and half of the slopes that are flagged.
        recall = np.minimum(hits / (labels.sum() + slope_hits / 2), 1) * touched
        areas.append(np.diff(recall, prepend=0.0) @ (hits / flagged))
    return float(np.mean(areas))


def affiliation(labels, flags):
    """Precision and recall by how near flags and events are, beside a flag at random.

    Each event owns the rows that are nearer to it than to any other event. The precision
    of a flag is the chance that a random row of its zone is at least as far from the
    event; the recall of a row of the event is the chance that a random row of the zone is
    at least as far from it as the nearest flag. Random flags reach about 0.5, not 0.

    Args:
        labels: Bools `(rows,)`, at least one of them True.
        flags: Bools `(rows,)`.

    Returns:
        Tuple `(precision, recall, f1)`, each from 0 to 1: means over the events, of
        precision over those with a flag in their zone. Precision and F1 are NaN without
        flags.

    Raises:
        ValueError: If no row is labelled or the lengths differ.

    Example:

    >>> affiliation([False] * 9 + [True], [False] * 8 + [True, False])
    (0.85, 0.925, 0.8859154929577465)

    Source: Huet, Navarro and Rossi, Local evaluation of time series anomaly detection
    algorithms, KDD 2022.
    """
    labels, flags = check_pair(labels, flags)
    check_labelled(labels)
    # Row i is the time from i to i + 1.
    events = [(first, last + 1) for first, last in flag_runs(labels)]
    found = [(first, last + 1) for first, last in flag_runs(flags)]
    middles = [(end + begin) / 2 for (_, end), (begin, _) in itertools.pairwise(events)]
    edges = [0, *middles, len(labels)]
    scores = np.array(
        [
            _zone_scores(event, found, zone)
            for event, zone in zip(events, itertools.pairwise(edges), strict=True)
        ]
    )
    known = ~np.isnan(scores[:, 0])
    precision = scores[known, 0].mean() if known.any() else np.nan
    return with_f1(precision, scores[:, 1].mean())


def _sloped(labels, buffer):
    """How anomalous each row counts with slopes of `buffer` / 2 rows, and the widened events."""
    weight, half = labels.astype(np.float64), buffer // 2
    distance = np.arange(1, half + 1)
    slope = np.sqrt(1 - distance / max(buffer, 1))
    widened = []
    for first, last in flag_runs(labels):
        before, behind = first - distance, last + distance
        weight[before[before >= 0]] += slope[before >= 0]
        weight[behind[behind < len(labels)]] += slope[behind < len(labels)]
        if widened and widened[-1][1] >= first - half:
            widened[-1][1] = last + half
        else:
            widened.append([max(first - half, 0), last + half])
    return np.minimum(weight, 1), widened


def _zone_scores(event, found, zone):
    """Affiliation precision and recall of one event; times, not rows."""
    found = [(max(begin, zone[0]), min(end, zone[1])) for begin, end in found]
    found = [(begin, end) for begin, end in found if begin < end]
    if not found:
        return np.nan, 0.0
    # A random time of the zone lies before or behind the event, at most this far from it.
    reach = np.array([event[0] - zone[0], zone[1] - event[1]])

    def to(distance):
        """The chance to be at least as far away, summed up to a distance."""
        near = np.minimum(distance, reach)
        return (reach * near - near**2 / 2).sum()

    precise = 0.0
    for begin, end in found:
        precise += max(min(end, event[1]) - max(begin, event[0]), 0) * (zone[1] - zone[0])
        precise += to(max(event[0] - begin, 0)) - to(max(event[0] - end, 0))
        precise += to(max(end - event[1], 0)) - to(max(begin - event[1], 0))
    precision = precise / (zone[1] - zone[0]) / sum(end - begin for begin, end in found)

    # Each time of the event is nearest to one end of one alarm, or lies in one.
    recalled = 0.0
    cuts = [zone[0], *((end + begin) / 2 for (_, end), (begin, _) in itertools.pairwise(found)), zone[1]]
    for (begin, end), (low, high) in zip(found, itertools.pairwise(cuts), strict=True):
        low, high = max(low, event[0]), min(high, event[1])
        recalled += max(min(high, end) - max(low, begin), 0) * (zone[1] - zone[0])
        # Before the alarm, times at least as far away are those behind its begin and, on the
        # other side, those before the mirror image of its begin.
        first, last = low, min(high, begin)
        if first < last:
            recalled += (last - first) * (zone[1] - begin) + _ramp(
                2 * first - begin, 2 * last - begin, zone[0]
            )
        first, last = max(low, end), high
        if first < last:
            recalled += (last - first) * (end - zone[0]) + _ramp(end - 2 * last, end - 2 * first, -zone[1])
    return precision, recalled / (zone[1] - zone[0]) / (event[1] - event[0])


def _ramp(first, last, low):
    """Half the integral of max(x - low, 0) from first to last."""
    return (max(last - low, 0) ** 2 - max(first - low, 0) ** 2) / 4
