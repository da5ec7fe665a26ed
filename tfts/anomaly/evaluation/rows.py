"""Measures over single rows, and the runs that flagged rows make."""

import numpy as np

from tfts.anomaly.evaluation.checks import check_bools, check_pair, check_scored


def flag_runs(flags, series=None):
    """First and last row of every run of flagged rows, both within.

    Args:
        flags: Bools `(rows,)`.
        series: Values `(rows,)` that tell series apart; a run ends where they change.
            `None` takes all rows for one series.

    Returns:
        List of `(first, last)` row numbers.

    Raises:
        ValueError: If `flags` is not one bool a row.

    Example:

    >>> flag_runs([False, True, True, False, True])
    [(1, 2), (4, 4)]
    >>> flag_runs([True, True], series=["a", "b"])
    [(0, 0), (1, 1)]
    """
    flags = check_bools("flags", flags)
    begins = np.ones(len(flags), dtype=bool)
    begins[1:] = ~flags[:-1]
    if series is not None:
        series = np.asarray(series)
        begins[1:] |= series[1:] != series[:-1]
    firsts = np.flatnonzero(flags & begins)
    ends = np.append(~flags[1:] | begins[1:], True)[: len(flags)]
    return list(zip(firsts.tolist(), np.flatnonzero(flags & ends).tolist(), strict=True))


def precision_recall_f1(labels, flags):
    """Precision, recall and F1 over single rows.

    Args:
        labels: Bools `(rows,)`: whether a row is anomalous.
        flags: Bools `(rows,)`: whether it was flagged.

    Returns:
        Tuple of three floats from 0 to 1. Precision is NaN without flags, recall without
        labels, F1 without both.

    Raises:
        ValueError: If they are not one bool a row each, and as many.

    Example:

    >>> precision_recall_f1([True, True, False, False], [True, False, True, True])
    (0.3333333333333333, 0.5, 0.4)
    """
    labels, flags = check_pair(labels, flags)
    return counted_f1((labels & flags).sum(), flags.sum(), (labels & flags).sum(), labels.sum())


def auc_pr(labels, scores):
    """Average precision of scores over all thresholds, row by row.

    Args:
        labels: Bools `(rows,)`, at least one of them True.
        scores: Finite floats `(rows,)`, higher is more anomalous.

    Returns:
        Float from 0 to 1; a random score reaches the share of labelled rows.

    Raises:
        ValueError: If no row is labelled, the lengths differ or a score is not finite.

    Example:

    >>> auc_pr([False, True, False, True], [0.1, 0.9, 0.8, 0.7])
    0.8333333333333333
    """
    from sklearn.metrics import average_precision_score

    labels, scores = check_scored(labels, scores)
    return float(average_precision_score(labels, scores))


def point_adjusted_f1(labels, flags, *, num_draws=20, seed=0):
    """F1 after each event with any flag counts as flagged in all rows, beside its value for random flags.

    Never optimise it: on long events random flags come near 1. It is given because papers
    quote it, and only together with what as many random flags reach.

    Args:
        labels: Bools `(rows,)`.
        flags: Bools `(rows,)`.
        num_draws: Int >= 1, draws of random flags to average.
        seed: Int >= 0.

    Returns:
        Tuple `(f1, random_f1)` of floats from 0 to 1. NaN without labels.

    Raises:
        ValueError: If the lengths differ.

    Example:

    >>> labels = np.arange(1000) >= 600
    >>> f1, random_f1 = point_adjusted_f1(labels, np.arange(1000) % 100 == 0)
    >>> round(f1, 2), round(random_f1, 2)
    (0.99, 0.99)

    Source: Kim et al., Towards a rigorous evaluation of time-series anomaly detection,
    AAAI 2022.
    """
    labels, flags = check_pair(labels, flags)
    random = np.random.default_rng(seed)
    events = flag_runs(labels)
    drawn = [_adjusted_f1(labels, random.permutation(flags), events) for _ in range(num_draws)]
    return _adjusted_f1(labels, flags, events), float(np.mean(drawn))


def _adjusted_f1(labels, flags, events):
    adjusted = flags.copy()
    for first, last in events:
        adjusted[first : last + 1] = flags[first : last + 1].any()
    return precision_recall_f1(labels, adjusted)[2]


def counted_f1(right, alarms, found, events):
    """Precision, recall and F1 from counts."""
    return with_f1(right / alarms if alarms else np.nan, found / events if events else np.nan)


def with_f1(precision, recall):
    """Precision, recall and their F1."""
    if np.isnan(precision) and np.isnan(recall):
        f1 = np.nan
    else:
        # One side without anything to count: no alarm was right, or no event found.
        known = np.nan_to_num([precision, recall])
        f1 = 2 * known.prod() / known.sum() if known.all() else 0.0
    return float(precision), float(recall), float(f1)
