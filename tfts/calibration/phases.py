"""Where in its season a row lies."""

import numpy as np
import pandas as pd

from tfts._units import offset_of, plain_alias
from tfts.baselines.seasonal_naive import season_length_of


def season_phases(times, freq):
    """The place of stamps in the usual season of their time step: an hour's in the day, a day's in the week.

    Args:
        times: `pandas.DatetimeIndex`; stamps in a zone count by its clock.
        freq: Time step, a pandas offset alias.

    Returns:
        Tuple of int64 `(times,)`, from 0, and the season's length in rows; zeros and 1 where the
        frequency has no season, or none that the calendar tells, such as weeks.

    Example:

    >>> season_phases(pd.date_range("2024-01-01 22:00", periods=3, freq="h"), "h")
    (array([22, 23,  0]), 24)
    """
    season, offset = season_length_of(freq), offset_of(plain_alias(freq))
    clock = times.tz_localize(None)
    if season == 1:
        return np.zeros(len(times), dtype=np.int64), 1
    if isinstance(offset, pd.tseries.offsets.Day):
        return clock.as_unit("us").asi8 // (86_400_000_000 * offset.n) % season, season
    if isinstance(offset, pd.tseries.offsets.Tick):
        return clock.as_unit("us").asi8 * 1000 // offset.nanos % season, season
    name = offset.rule_code.split("-")[0]
    if name == "B" and offset.n == 1:
        return clock.day_of_week.to_numpy().astype(np.int64) % season, season
    if name == "C" and offset.n == 1:
        place = np.cumsum(np.asarray(offset.calendar.weekmask, dtype=np.int64)) - 1
        return place[clock.day_of_week.to_numpy()] % season, season
    if 12 % season == 0:
        months = clock.year.to_numpy().astype(np.int64) * 12 + clock.month.to_numpy() - 1
        return months // (12 // season) % season, season
    return np.zeros(len(times), dtype=np.int64), 1
