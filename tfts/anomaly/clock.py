"""Times of single rows: where they belong, and what the calendar says of them."""

import numpy as np
import pandas as pd

from tfts._units import offset_of
from tfts.data.calendar import calendar_columns
from tfts.errors import DataError

CLOCK = ("hour", "weekday", "month", "day_of_year")
# Rows of calendar that are made at once: one at a time would cost more than the forecast.
_BLOCK = 512


class Calendar:
    """Calendar columns of single times, made many rows ahead.

    Args:
        features: Names as in `calendar_columns`.
        later: Function of a time and a number of rows that gives the time so many rows
            later, both in nanoseconds; `None` where rows come at any time.
        timestamp: Function from nanoseconds to `pandas.Timestamp`.

    Example:

    >>> hour = 3_600_000_000_000
    >>> calendar = Calendar(["hour"], lambda time, rows: time + rows * hour, pd.Timestamp)
    >>> calendar(5 * hour)
    array([5.])
    """

    def __init__(self, features, later, timestamp):
        self.features, self.later, self.timestamp = list(features), later, timestamp
        self._made = {}
        self._empty = np.zeros(0)

    def __call__(self, time):
        if not self.features:
            return self._empty
        if time not in self._made:
            times = [time] if self.later is None else [self.later(time, i) for i in range(_BLOCK)]
            stamps = pd.DatetimeIndex([self.timestamp(t) for t in times])
            rows = calendar_columns(stamps, self.features).to_numpy()
            self._made = dict(zip(times, rows, strict=True))
        return self._made[time]


class Clock:
    """Times as nanoseconds, and the steps between them.

    Args:
        freq: Time step as a pandas offset alias, `None` where rows come at any time.
        tz: Time zone, or `None`.
        step: Nanoseconds of a usual step.

    Example:

    >>> clock = Clock("h", None, 3_600_000_000_000)
    >>> last = clock.nanoseconds(pd.Timestamp("2024-01-01 05:00"))
    >>> time, steps = clock.place(clock.nanoseconds(pd.Timestamp("2024-01-01 08:10")), last)
    >>> str(clock.timestamp(time)), steps
    ('2024-01-01 08:00:00', 3)
    """

    def __init__(self, freq, tz, step):
        self.freq, self.tz, self.step = freq, tz, step
        offset = None if freq is None else offset_of(freq)
        # A day is a fixed time only where no clock is ever changed.
        fixed = isinstance(offset, pd.tseries.offsets.Tick) or (
            isinstance(offset, pd.tseries.offsets.Day) and str(tz) in ("None", "UTC")
        )
        self.is_fixed = fixed or freq is None
        self.offset = offset

    def nanoseconds(self, stamp):
        """Nanoseconds since 1970 (UTC) of a time.

        Raises:
            ValueError: If the time has a zone and the fitted rows had none.
        """
        if self.tz is None:
            if stamp.tz is not None:
                raise DataError(f"The times of the fitted rows had no time zone. Received: {stamp}.")
        elif stamp.tz is None:
            stamp = stamp.tz_localize(self.tz, ambiguous=True, nonexistent="shift_forward")
        return stamp.as_unit("ns").value

    def timestamp(self, time):
        """The time of nanoseconds since 1970 (UTC), in the zone of the fitted rows."""
        stamp = pd.Timestamp(time)
        return stamp if self.tz is None else stamp.tz_localize("UTC").tz_convert(self.tz)

    def place(self, time, last):
        """The row that a time belongs to, and how many steps it is after the row `last`."""
        if last is None:
            return time, 1
        if self.freq is None:
            return time, (time > last) - (time < last)
        if self.is_fixed:
            steps = (time - last) // self.step
            return last + steps * self.step, steps
        if time < last:
            return time, -1
        steps = len(self._grid(last, end=time)) - 1
        return self.later(last, steps), steps

    def later(self, time, rows):
        """The time `rows` steps after a time."""
        if self.is_fixed:
            return time + rows * self.step
        return self.nanoseconds(self._grid(time, periods=rows + 1)[-1])

    def _grid(self, time, end=None, periods=None):
        stamps = [stamp if stamp is None else self.timestamp(stamp) for stamp in (time, end)]
        if self.tz is not None:
            stamps = [stamp if stamp is None else stamp.tz_localize(None) for stamp in stamps]
        return pd.date_range(stamps[0], stamps[1], periods, self.offset)
