"""How good alarms are, measured against labels that no fit and no threshold has seen.

| measure | what it asks | random flags |
|---|---|---|
| `precision_recall_f1`, `auc_pr` | row by row, is it right? | the share of labelled rows |
| `vus_pr` | the same, forgiving a few rows | about that |
| `event_f1` | are alarms right, are events found? | low |
| `affiliation` | how near are alarms and events? | about 0.5 |
| `nab_score` | is the first alarm early, are there few others? | below 0 |
| `detection_delays`, `false_alarms_per_day` | what does it mean for the user? | |
| `point_adjusted_f1` | quoted in papers | near 1 on long events |

Labels and flags are bools for each row. `evaluate` gives all but the NAB score, which
works on a corpus of series at once: its arguments are dicts from the name of a series to
its flags `(rows,)`, its labelled windows `[(start, end), ...]` (both ends within) and its
times `(rows,)`.
"""

import itertools
from typing import NamedTuple

import numpy as np
import pandas as pd

from tfts._messages import unknown


class NabProfile(NamedTuple):
    """What one kind of mistake costs, in windows: 1 is what a found window earns.

    Attributes:
        hit: Most that a window found at its first row earns.
        false_alarm: Cost of one flagged row far behind every window.
        miss: Cost of a window without any flag.
    """

    hit: float
    false_alarm: float
    miss: float


NAB_PROFILES = {
    "standard": NabProfile(hit=1.0, false_alarm=0.11, miss=1.0),
    "reward_low_FP": NabProfile(hit=1.0, false_alarm=0.22, miss=1.0),
    "reward_low_FN": NabProfile(hit=1.0, false_alarm=0.11, miss=2.0),
}

# Rows in which a detector may learn, so that neither flags nor windows count there.
PROBATION_SHARE = 0.15
PROBATION_ROWS = 5000 * PROBATION_SHARE
# Window widths behind a window after which a false alarm costs its full price.
FAR_BEHIND = 3.0


def probation_rows(num_rows):
    """Rows at the start of a series that NAB does not score: 15 %, 750 at most.

    Example:

    >>> probation_rows(1000), probation_rows(20_000)
    (150, 750)
    """
    return int(min(np.floor(PROBATION_SHARE * num_rows), PROBATION_ROWS))


def nab_score(flags, windows, times, profile="standard"):
    """The NAB score of flags on a corpus: 100 is perfect, 0 is never to raise an alarm.

    In each window only the flag that earns most counts, which is the first, by a sigmoid
    of its place: 1 at the window's first row, nearly 0 at its last. Each flag outside a
    window costs up to `false_alarm`, less right behind a window; each window without a
    flag costs `miss`. The first 15 % of rows (750 at most) are not scored. The sum over
    all series is put on the scale from the detector that never flags (0) to the one that
    flags the first row of every window alone (100). Nothing bounds it below.

    Published rows of NAB choose one threshold per detector over the whole corpus, with
    the labels in view, see `nab_best_threshold`; here the flags count as given.

    Args:
        flags: Dict from series to bools `(rows,)`.
        windows: Dict from series to `[(start, end), ...]`, times with both ends within.
            A series without anomalies has an empty list.
        times: Dict from series to times `(rows,)`, anything `pandas.DatetimeIndex` takes.
        profile: Name of NAB_PROFILES.

    Returns:
        Float <= 100.

    Raises:
        ValueError: If the three dicts do not name the same series, a length differs, the
            profile is unknown, windows overlap, a window holds no row of its series, or
            no window is left to score.

    Example:

    >>> times = {"a": pd.date_range("2024-01-01", periods=100, freq="h")}
    >>> windows = {"a": [(times["a"][40], times["a"][49])]}
    >>> flags = {"a": np.zeros(100, dtype=bool)}
    >>> nab_score(flags, windows, times)
    0.0
    >>> flags["a"][40] = True
    >>> nab_score(flags, windows, times)
    100.0

    Source: Lavin and Ahmad, Evaluating real-time anomaly detection algorithms: the
    Numenta anomaly benchmark, ICMLA 2015, and the scorer published with it.
    """
    cost = _nab_profile(profile)
    corpus = _nab_corpus(flags, windows, times, "flags")
    total, num_windows = 0.0, 0
    for name, (flag, rows) in corpus.items():
        if not np.isin(flag, (0, 1)).all():
            raise ValueError(
                f"`flags` must be True or False; for scores see `nab_best_threshold`. Series {name!r} has others."
            )
        points, found = _nab_points(flag.astype(bool), rows, cost)
        total += points
        num_windows += found
    return _normalised(total, num_windows, cost)


def nab_points(flags, windows, times, profile="standard"):
    """The NAB score of one series before it is normalised, as in NAB's result files.

    Args:
        flags: Bools `(rows,)`.
        windows: `[(start, end), ...]`, times with both ends within.
        times: Times `(rows,)`.
        profile: Name of NAB_PROFILES.

    Returns:
        Float: at most `hit` for each window, less `miss` for each window without a flag
        and up to `false_alarm` for each flag elsewhere.

    Raises:
        ValueError: As `nab_score`.

    Example:

    >>> times = pd.date_range("2024-01-01", periods=100, freq="h")
    >>> nab_points(np.arange(100) == 30, [(times[40], times[49])], times)
    -1.11
    """
    (corpus,) = _nab_corpus({"": flags}, {"": windows}, {"": times}, "flags").values()
    return _nab_points(corpus[0].astype(bool), corpus[1], _nab_profile(profile))[0]


def nab_best_threshold(scores, windows, times, profile="standard"):
    """The one threshold for a corpus at which scores earn the best NAB score.

    It looks at the labels, as NAB's own table does: an upper bound to set published rows
    beside, never a way to choose the threshold of a detector.

    Args:
        scores: Dict from series to finite floats `(rows,)`, higher is more anomalous.
        windows: As in `nab_score`.
        times: As in `nab_score`.
        profile: Name of NAB_PROFILES.

    Returns:
        Tuple `(threshold, score)`: rows with a score at or above the threshold are
        flagged. The threshold is `inf` where never to flag is best.

    Raises:
        ValueError: As `nab_score`, or if a score is not finite.

    Example:

    >>> times = {"a": pd.date_range("2024-01-01", periods=100, freq="h")}
    >>> windows = {"a": [(times["a"][40], times["a"][49])]}
    >>> scores = {"a": np.where(np.arange(100) == 40, 0.9, 0.2)}
    >>> nab_best_threshold(scores, windows, times)
    (0.9, 100.0)
    """
    cost = _nab_profile(profile)
    corpus = _nab_corpus(scores, windows, times, "scores")
    # Going down through the scores, each row adds what its flag changes: a false alarm its
    # cost, a row in a window what it earns beyond the rows of that window already flagged.
    levels, gains, num_windows = [], [], 0
    for name, (score, (value, window)) in corpus.items():
        if not np.isfinite(score).all():
            raise ValueError(f"`scores` must be finite. Series {name!r} has other values.")
        scored = window > -2
        value, window, score = _weighted(value, window, cost)[scored], window[scored], score[scored]
        order = np.argsort(-score, kind="stable")
        value, window = value[order], window[order]
        gain = np.where(window < 0, value, 0.0)
        for number in np.unique(window[window >= 0]):
            inside = np.flatnonzero(window == number)
            best = np.maximum.accumulate(np.concatenate([[-cost.miss], value[inside]]))
            gain[inside] = np.diff(best)
            num_windows += 1
        levels.append(score[order])
        gains.append(gain)
    levels, gains = np.concatenate(levels), np.concatenate(gains)
    order = np.argsort(-levels, kind="stable")
    levels, total = levels[order], -cost.miss * num_windows + np.cumsum(gains[order])
    last = np.flatnonzero(np.append(levels[1:] != levels[:-1], True))
    best = last[np.argmax(total[last])]
    if total[best] <= -cost.miss * num_windows:
        return np.inf, 0.0
    return float(levels[best]), _normalised(total[best], num_windows, cost)


def _nab_profile(profile):
    if profile not in NAB_PROFILES:
        raise ValueError(unknown("NAB profile", profile, NAB_PROFILES))
    return NAB_PROFILES[profile]


def _nab_corpus(values, windows, times, which):
    """Dict from series to `(values, (value, window) of each row)`, all checked."""
    if not (set(values) == set(windows) == set(times)):
        apart = (set(values) | set(windows) | set(times)) - (set(values) & set(windows) & set(times))
        raise ValueError(
            f"`{which}`, `windows` and `times` must name the same series. Not in all of them: "
            f"{', '.join(sorted(map(str, apart)))}."
        )
    corpus = {}
    for name in values:
        value, index = np.asarray(values[name]), pd.DatetimeIndex(times[name])
        if value.shape != (len(index),):
            raise ValueError(
                f"`{which}` of series {name!r} must be one value a row, {(len(index),)}. "
                f"Received: {value.shape}."
            )
        corpus[name] = value, _nab_rows(index, windows[name], name)
    return corpus


def _nab_rows(index, windows, name):
    """Sigmoid value and window of each row: -1 outside windows, -2 while on probation."""
    num_rows = len(index)
    window = np.full(num_rows, -1)
    place = np.full(num_rows, FAR_BEHIND)
    bounds = sorted(window_rows(index, windows, name))
    for number, (first, last) in enumerate(bounds):
        width = last - first + 1
        window[first : last + 1] = number
        place[first : last + 1] = np.arange(-width, 0) / width
        # The published scorer divides by one less than the width, here and not above.
        behind = np.arange(1, num_rows - last) / max(width - 1, 1)
        place[last + 1 :] = np.minimum(behind, FAR_BEHIND)
    # From three widths behind a window on, the published value is -1 and not its limit.
    value = np.where(place >= FAR_BEHIND, -1.0, np.tanh(-2.5 * place))
    value = np.where(window >= 0, value / np.tanh(2.5), value)
    window[: probation_rows(num_rows)] = -2
    return value, window


def window_rows(index, windows, name="series"):
    """First and last row of each labelled window, both within.

    Args:
        index: `pandas.DatetimeIndex` `(rows,)`.
        windows: `[(start, end), ...]`, times or what `pandas.Timestamp` reads.
        name: Of the series, for messages.

    Returns:
        List of `(first, last)` row numbers, in the order of `windows`.

    Raises:
        ValueError: If a window holds no row of the series, ends before it starts, or
            overlaps another.

    Example:

    >>> index = pd.date_range("2024-01-01", periods=5, freq="D")
    >>> window_rows(index, [("2024-01-02", "2024-01-04")])
    [(1, 3)]
    """
    bounds = []
    for start, end in windows:
        start, end = pd.Timestamp(start), pd.Timestamp(end)
        rows = np.flatnonzero((index >= start) & (index <= end))
        if not len(rows):
            span = f"{index[0]} to {index[-1]}" if len(index) else "no rows"
            raise ValueError(
                f"A labelled window must hold at least one row of its series. Received: {start} to {end} for "
                f"{name!r}, which has {span}."
            )
        # Where a clock was put back, the window ends when its last stamp is first seen.
        at_end = np.flatnonzero(index == end)
        bounds.append((int(rows[0]), int(at_end[0] if len(at_end) else rows[-1])))
    ordered = sorted(bounds)
    for (_, last), (first, _) in itertools.pairwise(ordered):
        if first <= last:
            raise ValueError(
                f"The labelled windows of a series must not overlap. Those of {name!r} do at {index[first]}."
            )
    return bounds


def _weighted(value, window, cost):
    return value * np.where(window == -1, cost.false_alarm, cost.hit)


def _nab_points(flags, rows, cost):
    """Points of one series and the number of windows that can be scored in it."""
    value, window = rows
    points = _weighted(value, window, cost)
    total = points[flags & (window == -1)].sum()
    numbers = np.unique(window[window >= 0])
    for number in numbers:
        earned = points[flags & (window == number)]
        total += earned.max() if len(earned) else -cost.miss
    return float(total), len(numbers)


def _normalised(total, num_windows, cost):
    if not num_windows:
        raise ValueError(
            "The NAB score needs at least one labelled window behind the probationary rows: without one, "
            "perfect and never flagging are the same. Count false alarms instead."
        )
    silent = -cost.miss * num_windows
    return float(100 * (total - silent) / (cost.hit * num_windows - silent))


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
    flags = _bools("flags", flags)
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
    labels, flags = _pair(labels, flags)
    return _precision_recall_f1((labels & flags).sum(), flags.sum(), (labels & flags).sum(), labels.sum())


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

    labels, scores = _scored(labels, scores)
    return float(average_precision_score(labels, scores))


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

    >>> labels = [False] * 20 + [True] * 5 + [False] * 20
    >>> late = np.roll(labels, 3).astype(float)
    >>> round(auc_pr(labels, late), 3), round(vus_pr(labels, late, max_buffer=8), 3)
    (0.227, 0.484)

    Source: Paparrizos et al., Volume under the surface: a new accuracy evaluation measure
    for time-series anomaly detection, VLDB 2022.
    """
    labels, scores = _scored(labels, scores)
    for name, value, least in (("max_buffer", max_buffer, 0), ("num_thresholds", num_thresholds, 2)):
        if not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"`{name}` must be an int >= {least}. Received: {name}={value!r}.")
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
    labels, flags = _pair(labels, flags)
    _check_labelled(labels)
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
    return _with_f1(precision, scores[:, 1].mean())


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
    right, alarms, found, events = _event_counts(labels, flags, slack, series)
    return _precision_recall_f1(right, alarms, found, events)


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
    labels, flags = _pair(labels, flags)
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
    right, alarms, _, _ = _event_counts(labels, flags, slack, series)
    times = pd.DatetimeIndex(times)
    labels = _bools("labels", labels)
    if len(times) != len(labels) or len(times) < 2:
        raise ValueError(
            f"`times` must be one time for each of two or more rows. Received: {len(times)} for {len(labels)}."
        )
    # Where a series ends and the next begins the clock goes back, which the median passes over.
    step = np.median(np.diff(times.as_unit("ns").asi8))
    if step <= 0:
        raise ValueError(
            "`times` must be in the order of time within a series. Their median step is not above 0."
        )
    days = (~labels).sum() * step / 86_400e9
    return float((alarms - right) / days) if days else np.nan


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
    labels, flags = _pair(labels, flags)
    random = np.random.default_rng(seed)
    events = flag_runs(labels)
    drawn = [_adjusted_f1(labels, random.permutation(flags), events) for _ in range(num_draws)]
    return _adjusted_f1(labels, flags, events), float(np.mean(drawn))


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
    labels, flags = _pair(labels, flags)
    right, alarms, found, events = _event_counts(labels, flags, slack, None)
    delays = detection_delays(labels, flags)
    delays = delays[~np.isnan(delays)]
    ranked = scores is not None and labels.any()
    row = {
        **dict(zip(("precision", "recall", "f1"), precision_recall_f1(labels, flags), strict=True)),
        "auc_pr": auc_pr(labels, scores) if ranked else np.nan,
        "vus_pr": vus_pr(labels, scores, max_buffer) if ranked else np.nan,
    }
    near = affiliation(labels, flags) if labels.any() else (np.nan,) * 3
    counted = _precision_recall_f1(right, alarms, found, events)
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


def _bools(which, values):
    values = np.asarray(values)
    if values.ndim != 1 or not np.isin(values, (0, 1)).all():
        raise ValueError(
            f"`{which}` must be True or False for each row, `(rows,)`. Received: shape {values.shape}, "
            f"{values.dtype}."
        )
    return values.astype(bool)


def _pair(labels, flags):
    labels, flags = _bools("labels", labels), _bools("flags", flags)
    if labels.shape != flags.shape:
        raise ValueError(
            f"`labels` and `flags` must have one value for each row. Received: {len(labels)} and {len(flags)}."
        )
    return labels, flags


def _scored(labels, scores):
    labels, scores = _bools("labels", labels), np.asarray(scores, dtype=np.float64)
    _check_labelled(labels)
    if scores.shape != labels.shape or not np.isfinite(scores).all():
        raise ValueError(
            "`scores` must be one finite number for each label. Received: "
            f"{(~np.isfinite(scores)).sum()} not finite, shape {scores.shape} for {len(labels)} labels."
        )
    return labels, scores


def _check_labelled(labels):
    if not labels.any():
        raise ValueError(
            "Without a labelled row this measure says nothing. Count the false alarms of such a series instead."
        )


def _precision_recall_f1(right, alarms, found, events):
    return _with_f1(right / alarms if alarms else np.nan, found / events if events else np.nan)


def _with_f1(precision, recall):
    if np.isnan(precision) and np.isnan(recall):
        f1 = np.nan
    else:
        # One side without anything to count: no alarm was right, or no event found.
        known = np.nan_to_num([precision, recall])
        f1 = 2 * known.prod() / known.sum() if known.all() else 0.0
    return float(precision), float(recall), float(f1)


def _event_counts(labels, flags, slack, series):
    """Right alarms, all alarms, events found, all events."""
    labels, flags = _pair(labels, flags)
    if not isinstance(slack, int | np.integer) or slack < 0:
        raise ValueError(f"`slack` must be an int >= 0, in rows. Received: slack={slack!r}.")
    events, alarms = flag_runs(labels, series), flag_runs(flags, series)
    near = labels.copy()
    for _, last in events:
        behind = slice(last + 1, last + 1 + slack)
        near[behind] |= True if series is None else np.asarray(series)[behind] == np.asarray(series)[last]
    right = sum(near[first : last + 1].any() for first, last in alarms)
    found = sum(flags[first : last + 1].any() for first, last in events)
    return int(right), len(alarms), int(found), len(events)


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


def _adjusted_f1(labels, flags, events):
    adjusted = flags.copy()
    for first, last in events:
        adjusted[first : last + 1] = flags[first : last + 1].any()
    return precision_recall_f1(labels, adjusted)[2]
