"""Every row of a table judged as a monitor would, and what was found as a table."""

import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts.anomaly.monitor import Monitor
from tfts.data.times import nanoseconds
from tfts.errors import DataError, UnknownNameError

# A realised rate so many times the nominal one, or so many times less, is worth a word.
_FAR = 1.5
_COLUMNS = ("time", "series", "target", "actual", "predicted", "residual", "score", "threshold", "flag")


class Detection(NamedTuple):
    """What `AnomalyDetector.judge` finds: a row for each judged value, and the events."""

    rows: pd.DataFrame
    events: list


def judge(fitted, frame):
    """What a detector finds in a table.

    Args:
        fitted: `Fitted`.
        frame: DataFrame with the columns of `fit`.

    Returns:
        A `Detection`.

    Raises:
        KeyError: If a column of `fit` is missing.
        ValueError: If the rows can't be judged.

    Example:

    >>> from tfts.anomaly.learning import learn
    >>> from tfts.anomaly.settings import Settings
    >>> frame = pd.DataFrame({"y": np.arange(60.0) % 7}, index=pd.date_range("2024-01-01", periods=60))
    >>> fitted = learn(Settings.of(model="running_median", context_length=2), frame[:50])
    >>> judge(fitted, frame[50:]).rows["actual"].tolist()[:3]
    [1.0, 2.0, 3.0]
    """
    times, series, values, names = _read(fitted.plan, fitted.forecaster.settings["time"], frame)
    monitor = Monitor(fitted.plan, fitted.start)
    last, records, found = monitor.last_times(), monitor.record(), []
    for code, name in enumerate(names):
        rows = np.flatnonzero(series == code)
        rows = rows[np.argsort(times[rows], kind="stable")]
        if name in last and times[rows[0]] <= last[name]:
            monitor.forget(name)
        for row in rows:
            monitor.take(name, int(times[row]), values[row])
        found += monitor.hand_over()
    table = _table(fitted.plan, records)
    _compare_rates(fitted, table)
    return Detection(table, sorted(found, key=lambda event: event.start))


def _read(plan, own_time, frame):
    """Times in nanoseconds, series codes, values and series names of a table."""
    if frame.empty:
        raise DataError("The table is empty. Expected at least one row.")
    for column in plan.keys:
        if column not in frame.columns and not (column == plan.time_name and own_time is None):
            raise UnknownNameError(
                unknown("column", column, frame.columns) + f" The detector was fitted with {column!r}."
            )
    if own_time is None:
        if not isinstance(frame.index, pd.DatetimeIndex):
            raise DataError(
                f"Expected a table with a DatetimeIndex, as in fit. Received: {type(frame.index).__name__}."
            )
        times = frame.index
    else:
        times = pd.DatetimeIndex(pd.to_datetime(frame[own_time]))
    if times.hasnans:
        raise DataError(f"The time is missing in row {np.flatnonzero(times.isna())[0]}.")
    tz = plan.clock.tz
    if (times.tz is None) != (tz is None):
        raise DataError(f"The times of the fitted rows had the time zone {tz}, but the table has {times.tz}.")
    values = np.empty((len(frame), len(plan.columns)))
    for i, column in enumerate(plan.columns):
        try:
            values[:, i] = pd.to_numeric(frame[column]).to_numpy(dtype=np.float64, na_value=np.nan)
        except (ValueError, TypeError) as error:
            raise DataError(f"Column {column!r} holds values that are no numbers ({error}).") from error
    if plan.series_name is None:
        return nanoseconds(times), np.zeros(len(frame), dtype=np.int64), values, [""]
    codes, names = pd.factorize(frame[plan.series_name], sort=True)
    names = [plan.known_name(n.item() if isinstance(n, np.generic) else n) for n in names]
    return nanoseconds(times), codes, values, names


def _table(plan, records):
    """Records of a monitor as a table, a row for each value."""
    count = plan.num_targets
    if not records:
        more = [] if plan.intervals is None else ["probability"]
        return pd.DataFrame(columns=[*_COLUMNS, "direction", *more])
    who, when, actual, predicted, residual, sizes, limits, flags, probabilities = zip(*records, strict=True)
    stamps = pd.DatetimeIndex(np.repeat(np.array(when, dtype="datetime64[ns]"), count))
    if plan.clock.tz is not None:
        stamps = stamps.tz_localize("UTC").tz_convert(plan.clock.tz)
    parts = [np.array(part).ravel() for part in (actual, predicted, residual, sizes, limits, flags)]
    targets = np.tile(np.asarray(plan.targets, dtype=object), len(when))
    holder = np.empty(len(who), dtype=object)
    holder[:] = who
    table = pd.DataFrame(
        dict(zip(_COLUMNS, [stamps, np.repeat(holder, count), targets, *parts], strict=True))
    )
    table["direction"] = np.where(table["residual"] < 0, "down", "up")
    if plan.intervals is not None:
        table["probability"] = np.array(probabilities).ravel()
    return table


def _compare_rates(fitted, table):
    """Warns where flags are far more or fewer than calibration promised."""
    from scipy.stats import binom

    for i, target in enumerate(fitted.plan.targets):
        mine = table[(table["target"] == target) & table["actual"].notna()]
        rows, flagged = len(mine), int(mine["flag"].sum())
        counts = mine["series"].value_counts()
        rate = sum(fitted.limits.rates(name)[i] * count for name, count in counts.items()) / max(rows, 1)
        many = flagged > _FAR * rate * rows and binom.sf(flagged - 1, rows, rate) < 1e-3
        few = flagged < rate * rows / _FAR and binom.cdf(flagged, rows, rate) < 1e-3
        if many or few:
            sticky = (
                " A flagged value is replaced by its forecast, so a level that has moved stays strange for "
                f"{fitted.plan.new_normal} rows; leave {target!r} out of `replace` if it is counted on from row to row."
            )
            warnings.warn(
                f"{flagged} of {rows} rows of {target!r} were flagged ({100 * flagged / max(rows, 1):.3g} %), "
                f"but the threshold expects {100 * rate:.3g} %: the rows hold many or long "
                "anomalies, or are not like the calibration rows. Look at the events, or fit again."
                + (sticky if many and fitted.plan.is_replaced[i] else ""),
                stacklevel=5,
            )
