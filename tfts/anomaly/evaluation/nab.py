"""The score of the Numenta anomaly benchmark (NAB), over a corpus of labelled series."""

import itertools
from typing import NamedTuple

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts.errors import DataError, SettingError


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
            raise SettingError(
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
            raise SettingError(f"`scores` must be finite. Series {name!r} has other values.")
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
        raise SettingError(unknown("NAB profile", profile, NAB_PROFILES))
    return NAB_PROFILES[profile]


def _nab_corpus(values, windows, times, which):
    """Dict from series to `(values, (value, window) of each row)`, all checked."""
    if not (set(values) == set(windows) == set(times)):
        apart = (set(values) | set(windows) | set(times)) - (set(values) & set(windows) & set(times))
        raise SettingError(
            f"`{which}`, `windows` and `times` must name the same series. Not in all of them: "
            f"{', '.join(sorted(map(str, apart)))}."
        )
    corpus = {}
    for name in values:
        value, index = np.asarray(values[name]), pd.DatetimeIndex(times[name])
        if value.shape != (len(index),):
            raise SettingError(
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
            raise DataError(
                f"A labelled window must hold at least one row of its series. Received: {start} to {end} for "
                f"{name!r}, which has {span}."
            )
        # Where a clock was put back, the window ends when its last stamp is first seen.
        at_end = np.flatnonzero(index == end)
        bounds.append((int(rows[0]), int(at_end[0] if len(at_end) else rows[-1])))
    ordered = sorted(bounds)
    for (_, last), (first, _) in itertools.pairwise(ordered):
        if first <= last:
            raise DataError(
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
        raise DataError(
            "The NAB score needs at least one labelled window behind the probationary rows: without one, "
            "perfect and never flagging are the same. Count false alarms instead."
        )
    silent = -cost.miss * num_windows
    return float(100 * (total - silent) / (cost.hit * num_windows - silent))
