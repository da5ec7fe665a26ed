"""Calendar columns, which are known ahead for any time."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts._units import is_rows, offset_of
from tfts.data.public_holidays import PREFIX, holiday_flags
from tfts.errors import DataError, SettingError

if TYPE_CHECKING:
    from tfts.data.panel import Panel


# pandas 3.1 deprecates its attribute `weekday`.
_CLOCK = {"hour": "hour", "weekday": "day_of_week", "month": "month", "day_of_year": "day_of_year"}


def calendar_columns(times: pd.DatetimeIndex, features: Sequence[str]) -> pd.DataFrame:
    """Columns that follow from the time alone.

    A period becomes two columns, the sine and the cosine of `2 pi t / period`, with `t`
    counted from 1970-01-01 UTC: the same time gives the same values in every table, and
    the season does not move when the clock changes to daylight saving.

    Args:
        times: `pandas.DatetimeIndex` of length `rows`.
        features: Names, each one of `"hour"` (0 to 23), `"weekday"` (Monday is 0),
            `"month"` (1 to 12), `"day_of_year"` (1 to 366), in the local time of a
            zone-aware index; a period as a pandas `Timedelta` such as `"24h"`,
            `"168h"` or `"365.25D"`; or public holidays such as `"holidays:DE"` and
            `"holidays:DE-BY"`, see `add_holidays`.

    Returns:
        Float64 `pandas.DataFrame` indexed by `times`: a column for each name, or
        `sin_24h` and `cos_24h` for the period `"24h"`.

    Raises:
        ValueError: If a feature is unknown, a period is not positive, or a time is
            missing.

    Example:

    >>> import pandas as pd
    >>> times = pd.date_range("2024-01-01", periods=3, freq="6h")
    >>> print(calendar_columns(times, ["hour", "24h"]).round(3))
                         hour  sin_24h  cos_24h
    2024-01-01 00:00:00   0.0      0.0      1.0
    2024-01-01 06:00:00   6.0      1.0      0.0
    2024-01-01 12:00:00  12.0      0.0     -1.0
    """
    if not isinstance(times, pd.DatetimeIndex):
        raise SettingError(f"`times` must be a pandas DatetimeIndex. Received: {type(times).__name__}.")
    if times.hasnans:
        raise SettingError(
            f"`times` has no time in row {np.flatnonzero(times.isna())[0]}. Expected one in every row."
        )
    columns = {}
    for feature in _checked(features):
        if feature in _CLOCK:
            columns[feature] = getattr(times, _CLOCK[feature]).astype(np.float64)
        elif feature.startswith(PREFIX):
            place = feature.removeprefix(PREFIX).replace("-", "_")
            columns[f"holiday_{place}"] = holiday_flags(times, feature)
        else:
            # Integer arithmetic up to the last step: half a century in float64 would blur short periods.
            period = _microseconds(feature)
            angle = 2 * np.pi * (times.as_unit("us").asi8 % period) / period
            columns[f"sin_{feature}"], columns[f"cos_{feature}"] = np.sin(angle), np.cos(angle)
    return pd.DataFrame(columns, index=times, dtype=np.float64)


def add_calendar(panel: Panel, features: Sequence[str]) -> Panel:
    """Adds calendar columns to a panel as known-future columns.

    Args:
        panel: `Panel`.
        features: Names and periods as in `calendar_columns`.

    Returns:
        A new `Panel` with the columns of `calendar_columns` after its own, and
        their names at the end of `known_future`. None of their values counts as filled.

    Raises:
        ValueError: If a feature is unknown, or the panel already has a column of that
            name.

    Example:

    >>> import pandas as pd
    >>> from tfts.data.panel import Panel
    >>> index = pd.date_range("2024-01-01", periods=4, freq="h")
    >>> panel = Panel.from_frame(pd.DataFrame({"load": [3.0, 4.0, 6.0, 5.0]}, index=index))
    >>> add_calendar(panel, ["hour", "24h"]).known_future
    ('hour', 'sin_24h', 'cos_24h')
    """
    if is_rows(panel.freq):
        raise DataError(
            f"The panel counts rows, so it has no calendar: the time column holds whole numbers. Expected dates for "
            f"the calendar columns {list(features)}. Leave them out, or give the table dates."
        )
    _check_holidays(panel, features)
    calendar = calendar_columns(panel.times, features)
    for name in calendar.columns:
        if name in panel.columns:
            raise DataError(
                f"The panel already has a column {name!r}, so the calendar column of that name can't be "
                f"added. Rename it, or leave {name!r} out of `features`."
            )
    filled = np.zeros(calendar.shape, dtype=bool)
    return dataclasses.replace(
        panel,
        values=np.concatenate([panel.values, calendar.to_numpy(panel.values.dtype)], axis=1),
        columns=panel.columns + tuple(calendar.columns),
        known_future=panel.known_future + tuple(calendar.columns),
        filled=np.concatenate([panel.filled, filled], axis=1),
    )


def _check_holidays(panel, features):
    """Refuses holidays of rows that hold many days, of which one column can't say which."""
    features = [features] if isinstance(features, str) else features
    asked = [feature for feature in features if str(feature).startswith(PREFIX)]
    offset = offset_of(panel.freq)
    if isinstance(offset, pd.tseries.offsets.Tick | pd.tseries.offsets.Day):
        is_long = (
            offset.n > 1 if isinstance(offset, pd.tseries.offsets.Day) else offset.nanos > 86_400_000_000_000
        )
    else:
        is_long = offset.rule_code.split("-")[0] not in ("B", "C")
    if asked and is_long:
        raise DataError(
            f"{asked[0]!r} says whether a day is a holiday, but the rows are at freq={panel.freq!r}. Expected rows not "
            "longer than a day. Count the holidays of each row in a column of your own, as known_future."
        )


def _checked(features):
    features = [features] if isinstance(features, str) else list(features)
    for feature in features:
        if feature not in _CLOCK and not str(feature).startswith(PREFIX):
            _microseconds(feature)
    return list(dict.fromkeys(features))


def _microseconds(period):
    """The length of a period such as "24h", an int."""
    try:
        # A number would be taken for nanoseconds.
        length = pd.Timedelta(period) if isinstance(period, str) else pd.NaT
    except ValueError:
        length = pd.NaT
    if length is pd.NaT:
        raise DataError(
            f"{unknown('calendar feature', period, _CLOCK)} A period is given as a length of time, e.g. "
            "'24h' or '365.25D'; holidays with a country, e.g. 'holidays:DE'."
        )
    microseconds = length // pd.Timedelta(1, unit="us")
    if microseconds < 1:
        raise DataError(f"A period must be longer than zero, with a unit, e.g. '24h'. Received: {period!r}.")
    return microseconds
