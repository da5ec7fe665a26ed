"""All measures of one detector on one series."""

import numpy as np
import pandas as pd

from tfts.anomaly.evaluation.checks import check_pair
from tfts.anomaly.evaluation.events import detection_delays, event_counts, false_alarms_per_day
from tfts.anomaly.evaluation.near import affiliation, vus_pr
from tfts.anomaly.evaluation.rows import auc_pr, counted_f1, point_adjusted_f1, precision_recall_f1


def evaluate(labels, flags, scores=None, times=None, *, name=None, max_buffer=100, slack=0):
    """All measures of one detector on one series, as a row of a table.

    Rows of several series go below each other with `pandas.concat`.

    Args:
        labels: Bools `(rows,)`.
        flags: Bools `(rows,)`.
        scores: Finite floats `(rows,)`, higher is more anomalous. Without them `auc_pr` and
            `vus_pr` are NaN.
        times: Times `(rows,)`. Without them `false_alarms_per_day` is NaN.
        name: Of the detector or the series, the row's index.
        max_buffer: As in `vus_pr`.
        slack: As in `event_f1`.

    Returns:
        `pandas.DataFrame` with one row and a column for each measure: `precision`,
        `recall`, `f1`, `auc_pr`, `vus_pr`, `affiliation_precision`, `affiliation_recall`,
        `affiliation_f1`, `event_precision`, `event_recall`, `event_f1`, `median_delay`
        (rows, of the events found), `false_alarms`, `false_alarms_per_day`,
        `point_adjusted_f1` and `point_adjusted_f1_random`. NaN where a measure needs
        labels or flags and there are none.

    Raises:
        ValueError: If the lengths differ.

    Example:

    >>> labels = np.arange(100) // 10 == 4
    >>> row = evaluate(labels, np.roll(labels, 2), name="late").round(2)
    >>> row[["f1", "event_f1", "median_delay"]]
           f1  event_f1  median_delay
    late  0.8       1.0           2.0
    """
    labels, flags = check_pair(labels, flags)
    right, alarms, found, events = event_counts(labels, flags, slack, None)
    delays = detection_delays(labels, flags)
    delays = delays[~np.isnan(delays)]
    ranked = scores is not None and labels.any()
    row = {
        **dict(zip(("precision", "recall", "f1"), precision_recall_f1(labels, flags), strict=True)),
        "auc_pr": auc_pr(labels, scores) if ranked else np.nan,
        "vus_pr": vus_pr(labels, scores, max_buffer) if ranked else np.nan,
    }
    near = affiliation(labels, flags) if labels.any() else (np.nan,) * 3
    counted = counted_f1(right, alarms, found, events)
    for kind, values in (("affiliation", near), ("event", counted)):
        row |= {
            f"{kind}_{part}": value for part, value in zip(("precision", "recall", "f1"), values, strict=True)
        }
    row["median_delay"] = float(np.median(delays)) if len(delays) else np.nan
    row["false_alarms"] = alarms - right
    row["false_alarms_per_day"] = (
        np.nan if times is None else false_alarms_per_day(labels, flags, times, slack=slack)
    )
    row["point_adjusted_f1"], row["point_adjusted_f1_random"] = point_adjusted_f1(labels, flags)
    return pd.DataFrame([row], index=[name])
