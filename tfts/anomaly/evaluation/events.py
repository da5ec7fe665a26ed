"""Measures over events: which were found, how late, and how many alarms were false."""

import numpy as np
import pandas as pd

from tfts.anomaly.evaluation.checks import check_bools, check_pair
from tfts.anomaly.evaluation.rows import counted_f1, flag_runs
from tfts.errors import SettingError


def event_f1(labels, flags, *, slack=0, series=None):
    """Precision, recall and F1 over events: how many alarms were right, how many events found.

    An alarm is a run of flagged rows. It is right if it touches a labelled event or the
    `slack` rows behind it; several alarms in one event are all right, and find it once.

    Args:
        labels: Bools `(rows,)`.
        flags: Bools `(rows,)`.
        slack: Int >= 0, rows behind an event in which an alarm is still right.
        series: Values `(rows,)` that tell series apart. `None` takes all for one.

    Returns:
        Tuple of three floats from 0 to 1. Precision is NaN without alarms, recall without
        events, F1 without both.

    Raises:
        ValueError: If the lengths differ, or `slack` is no int >= 0.

    Example:

    >>> event_f1([False, True, True, False, False, True], [False, False, True, False, True, False])
    (0.5, 0.5, 0.5)
    """
    right, alarms, found, events = event_counts(labels, flags, slack, series)
    return counted_f1(right, alarms, found, events)


def detection_delays(labels, flags, series=None):
    """Rows from the start of each labelled event to its first flag.

    Args:
        labels: Bools `(rows,)`.
        flags: Bools `(rows,)`.
        series: Values `(rows,)` that tell series apart. `None` takes all for one.

    Returns:
        Float64 array `(events,)`, in rows, in the order of the events; NaN where an event
        has no flag.

    Raises:
        ValueError: If the lengths differ.

    Example:

    >>> detection_delays([False, True, True, False, True], [True, False, True, False, False]).tolist()
    [1.0, nan]
    """
    labels, flags = check_pair(labels, flags)
    inside = [flags[first : last + 1] for first, last in flag_runs(labels, series)]
    return np.array([float(np.argmax(event)) if event.any() else np.nan for event in inside])


def false_alarms_per_day(labels, flags, times, *, slack=0, series=None):
    """Alarms in a day, of one series on average, that touch no labelled event.

    Args:
        labels: Bools `(rows,)`.
        flags: Bools `(rows,)`.
        times: Times `(rows,)`. A row lasts until the next, at the median distance.
        slack: Int >= 0, rows behind an event in which an alarm is still right.
        series: Values `(rows,)` that tell series apart. `None` takes all for one.

    Returns:
        Float >= 0: false alarms by days of rows that are not labelled. NaN without any.

    Raises:
        ValueError: If the lengths differ, there are less than two rows, or the median
            distance of the times is not above 0.

    Example:

    >>> times = pd.date_range("2024-01-01", periods=96, freq="h")
    >>> false_alarms_per_day(np.zeros(96, dtype=bool), np.arange(96) == 7, times)
    0.25
    """
    right, alarms, _, _ = event_counts(labels, flags, slack, series)
    times = pd.DatetimeIndex(times)
    labels = check_bools("labels", labels)
    if len(times) != len(labels) or len(times) < 2:
        raise SettingError(
            f"`times` must be one time for each of two or more rows. Received: {len(times)} for {len(labels)}."
        )
    # Where a series ends and the next begins the clock goes back, which the median passes over.
    step = np.median(np.diff(times.as_unit("ns").asi8))
    if step <= 0:
        raise SettingError(
            "`times` must be in the order of time within a series. Their median step is not above 0."
        )
    days = (~labels).sum() * step / 86_400e9
    return float((alarms - right) / days) if days else np.nan


def event_counts(labels, flags, slack, series):
    """Right alarms, all alarms, events found, all events."""
    labels, flags = check_pair(labels, flags)
    if not isinstance(slack, int | np.integer) or slack < 0:
        raise SettingError(f"`slack` must be an int >= 0, in rows. Received: slack={slack!r}.")
    events, alarms = flag_runs(labels, series), flag_runs(flags, series)
    near = labels.copy()
    for _, last in events:
        behind = slice(last + 1, last + 1 + slack)
        near[behind] |= True if series is None else np.asarray(series)[behind] == np.asarray(series)[last]
    right = sum(near[first : last + 1].any() for first, last in alarms)
    found = sum(flags[first : last + 1].any() for first, last in events)
    return int(right), len(alarms), int(found), len(events)
