"""A user's table as the forecaster of a detector is to see it."""

import dataclasses

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts.data.calendar import calendar_columns
from tfts.data.times import nanoseconds
from tfts.errors import DataError, UnknownNameError

# What is added to a column before its logarithm is taken, as a share of its median.
LOG_OFFSET = 0.1
# The same for a fitted forecaster that takes the logarithms of values as they are.
LEAST_OFFSET = 1e-6


def times_of(frame, columns):
    """The times of a table, in the order of its rows.

    Args:
        frame: DataFrame.
        columns: `Columns`.

    Raises:
        KeyError: If the column of the time is not there.

    Example:

    >>> from tfts.anomaly.settings import Columns
    >>> str(times_of(pd.DataFrame({"day": ["2024-03-01"]}), Columns(time="day"))[0].date())
    '2024-03-01'
    """
    name = columns.time
    if name is not None and name not in frame.columns:
        raise UnknownNameError(unknown("time column", name, frame.columns))
    return pd.DatetimeIndex(frame.index if name is None else pd.to_datetime(frame[name]))


def names_of(frame, columns):
    """The series of each row; zeros where there is only one.

    Example:

    >>> from tfts.anomaly.settings import Columns
    >>> names_of(pd.DataFrame({"shop": ["a", "b"]}), Columns(series="shop")).tolist()
    ['a', 'b']
    """
    return np.zeros(len(frame)) if columns.series is None else frame[columns.series].to_numpy()


def without_targets(panel, times, spans):
    """The panel without values of the targets within spans of time, both ends within.

    Args:
        panel: A `Panel`.
        times: The times of its rows.
        spans: Pairs of times; without a time zone they are in that of `times`.

    Raises:
        ValueError: If one has a time zone and `times` have none.

    Example:

    >>> from tfts.data.panel import Panel
    >>> frame = pd.DataFrame({"y": [1.0, 2.0, 3.0]}, index=pd.date_range("2024-01-01", periods=3))
    >>> panel = Panel.from_frame(frame)
    >>> without_targets(panel, panel.times, [("2024-01-02", "2024-01-02")]).values[:, 0].tolist()
    [1.0, nan, 3.0]
    """
    wrong = np.zeros(len(times), dtype=bool)
    for span in spans:
        first, last = (_moment(time, times.tz) for time in span)
        wrong |= np.asarray((times >= first) & (times <= last))
    at = np.ix_(np.flatnonzero(wrong), panel.indices(panel.targets))
    values, filled = panel.values.copy(), panel.filled.copy()
    values[at], filled[at] = np.nan, True
    return dataclasses.replace(panel, values=values, filled=filled)


def in_zone(frame, columns, tz):
    """The table with its times in a time zone, where they have another one.

    Example:

    >>> from tfts.anomaly.settings import Columns
    >>> frame = pd.DataFrame({"y": [1.0]}, index=pd.DatetimeIndex(["2024-01-01 00:00"], tz="UTC"))
    >>> str(in_zone(frame, Columns(), "Asia/Tokyo").index[0])
    '2024-01-01 09:00:00+09:00'
    """
    times = times_of(frame, columns)
    if tz is None or times.tz is None or str(times.tz) == tz:
        return frame
    if columns.time is not None:
        return frame.assign(**{columns.time: times.tz_convert(tz)})
    frame = frame.copy()
    frame.index = times.tz_convert(tz)
    return frame


def _moment(time, tz):
    stamp = pd.Timestamp(time)
    if stamp.tz is None:
        return stamp if tz is None else stamp.tz_localize(tz)
    if tz is None:
        raise DataError(
            f"The times of the table have no time zone, so times to exclude can't have one. Received: {stamp}."
        )
    return stamp


class Steps:
    """Rows as they come, one step apart, with the time since the row before as a column.

    Args:
        frame: DataFrame of a detector with `irregular="step_length"`.
        columns: `Columns`.

    Attributes:
        frame: DataFrame of the rows by series and time, numbered by days from 2000-01-01,
            with the columns `step_length` and those of the calendar.
        times: The real times of its rows.
        step: Int, nanoseconds of a usual step.

    Raises:
        ValueError: If two rows of a series have one time, or the table has a column of such a name.

    Example:

    >>> from tfts.anomaly.settings import Columns
    >>> times = pd.DatetimeIndex(["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 04:00"])
    >>> steps = Steps(pd.DataFrame({"y": [1.0, 2.0, 3.0]}, index=times), Columns(irregular="step_length"))
    >>> steps.frame["step_length"].tolist(), steps.step // 3_600_000_000_000
    ([1.0, 0.5, 1.5], 2)
    """

    def __init__(self, frame, columns):
        for name in step_columns(columns):
            if name in frame.columns:
                raise DataError(
                    f"The table has a column {name!r}, which irregular='step_length' with calendar="
                    f"{list(columns.calendar)} makes itself. Rename or drop it."
                )
        times, names = times_of(frame, columns), names_of(frame, columns)
        order = np.lexsort((times.asi8, pd.factorize(names, sort=True)[0]))
        frame, times, names = frame.iloc[order].copy(), times[order], names[order]
        if columns.duplicates in ("first", "last"):
            double = pd.MultiIndex.from_arrays([names, times]).duplicated(keep=columns.duplicates)
            frame, times, names = frame[~double].copy(), times[~double], names[~double]
        first = np.append(True, names[1:] != names[:-1])
        lengths = np.diff(nanoseconds(times), prepend=0)
        if (lengths[~first] <= 0).any():
            row = np.flatnonzero(~first & (lengths <= 0))[0]
            raise DataError(
                f"Two rows of one series have the time {times[row]}. Expected one row for each time, or "
                "duplicates='first' or 'last'."
            )
        self.step = int(np.median(lengths[~first])) if (~first).any() else 1
        frame["step_length"] = np.where(first, 1.0, lengths / self.step)
        for name, column in calendar_columns(times, list(columns.calendar)).items():
            frame[name] = column.to_numpy()
        place = np.arange(len(frame)) - np.maximum.accumulate(np.where(first, np.arange(len(frame)), 0))
        numbered = pd.Timestamp("2000-01-01") + pd.to_timedelta(place, unit="D")
        if columns.time is None:
            frame.index = pd.DatetimeIndex(numbered, name=frame.index.name)
        else:
            frame[columns.time] = numbered
        self.frame, self.times = frame, times


def step_columns(columns):
    """Columns that `Steps` adds, a list.

    Example:

    >>> from tfts.anomaly.settings import Columns
    >>> step_columns(Columns(irregular="step_length", calendar="weekday"))
    ['step_length', 'weekday']
    """
    if not columns.is_irregular:
        return []
    empty = pd.DatetimeIndex(["2000-01-01"])
    return ["step_length", *calendar_columns(empty, list(columns.calendar)).columns]


@dataclasses.dataclass(frozen=True)
class Logarithms:
    """Columns that a model is to see as logarithms, and what is added before they are taken.

    Attributes:
        columns: Names of the columns, tuple.
        offsets: Tuple of `(series, offsets)`, a list with a number for each column; those of
            `None` are for a series that was not seen.

    Example:

    >>> from tfts.anomaly.settings import Columns
    >>> frame = pd.DataFrame({"sold": [0.0, 10.0, 20.0]})
    >>> logs = Logarithms.of(frame, Columns(log="sold"))
    >>> logs.offsets
    ((None, [1.0]),)
    >>> logs.taken(frame)["sold"].round(3).tolist()
    [0.0, 2.398, 3.045]
    """

    columns: tuple = ()
    offsets: tuple = ((None, []),)

    @classmethod
    def of(cls, frame, columns, share=LOG_OFFSET):
        """Learns what is to be added from a table.

        Args:
            frame: DataFrame.
            columns: `Columns`.
            share: What is added, as a share of the median.

        Raises:
            KeyError: If a column is not there.
        """
        logged = columns.log
        if columns.scaler == "log":
            targets = columns.targets
            if targets is None:
                other = {*columns.keys, *(columns.known_future or ())}
                targets = [str(column) for column in frame.columns if column not in other]
            logged = (*targets, *(column for column in logged if column not in targets))
        for column in logged:
            if column not in frame.columns:
                raise UnknownNameError(unknown("column in log:", column, frame.columns))
        if not logged:
            return cls()
        whole = frame[list(logged)].astype(np.float64).abs()
        offsets = [(None, (whole.median() * share).tolist())]
        if columns.series is not None and columns.series in frame.columns:
            each = whole.groupby(frame[columns.series].to_numpy()).median() * share
            offsets += [(plain_name(name), row.tolist()) for name, row in each.iterrows()]
        return cls(tuple(logged), tuple(offsets))

    def taken(self, frame, series=None, without=()):
        """The table with logarithms in place of the values.

        Args:
            frame: The DataFrame that was learnt from.
            series: Name of the column that tells the series apart.
            without: Columns that stay as they are.

        Raises:
            ValueError: If a value has no logarithm.
        """
        columns = [column for column in self.columns if column not in without]
        if not columns:
            return frame
        at = [self.columns.index(column) for column in columns]
        offsets = {name: np.array(values)[at] for name, values in self.offsets}
        whole = frame[columns].to_numpy(dtype=np.float64)
        added = np.broadcast_to(offsets[None], whole.shape)
        if len(offsets) > 1:
            added = np.stack([offsets[plain_name(name)] for name in frame[series]])
        shifted = whole + added
        if (shifted <= 0).any():
            row, i = np.argwhere(shifted <= 0)[0]
            raise DataError(
                f"Column {columns[i]!r} is to be seen as a logarithm, so its values must be 0 or above. Received: "
                f"{whole[row, i]:.4g} in row {row}."
            )
        frame = frame.copy()
        frame[columns] = np.log(shifted)
        return frame


def plain_name(name):
    """The name of a series as plain data.

    Example:

    >>> plain_name(np.int64(7))
    7
    """
    return name.item() if isinstance(name, np.generic) else name
