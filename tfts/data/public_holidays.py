"""Public holidays of countries, which are known ahead for any time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts.errors import MissingPackageError, SettingError

if TYPE_CHECKING:
    from tfts.data.panel import Panel

# What the name of the feature starts with, before the country.
PREFIX = "holidays:"


def holiday_flags(times: pd.DatetimeIndex, feature: str) -> np.ndarray:
    """Whether the day of each time is a public holiday, by the local clock of a zone-aware index.

    The days come from the package holidays, whose releases correct and extend them.

    Args:
        times: `pandas.DatetimeIndex`.
        feature: `"holidays:DE"`, or with a part of the country `"holidays:DE-BY"`.

    Returns:
        Float64 `(times,)`: 1 on a holiday, else 0.

    Raises:
        ImportError: If the package is not installed.
        ValueError: If the country or its part is unknown.

    Example:

    >>> import importlib.util
    >>> days = pd.date_range("2024-12-24", periods=3)
    >>> if importlib.util.find_spec("holidays"):
    ...     assert holiday_flags(days, "holidays:DE").tolist() == [0, 1, 1]

    Source: https://github.com/vacanza/holidays
    """
    try:
        import holidays
    except ImportError as error:
        raise MissingPackageError(
            "Public holidays need the package holidays: pip install tfts[holidays]"
        ) from error
    country, _, part = feature.removeprefix(PREFIX).partition("-")
    known = holidays.list_supported_countries()
    if country not in known:
        raise SettingError(
            f"Unknown country {country!r}. Expected a code of two or three letters that the package holidays knows, "
            "such as DE or US."
        )
    if part and part not in known[country]:
        raise SettingError(unknown(f"part of {country}", part, known[country]))
    if not len(times):
        return np.zeros(0)
    local = times.tz_localize(None) if times.tz is not None else times
    years = range(int(local.year.min()), int(local.year.max()) + 1)
    days = holidays.country_holidays(country, subdiv=part or None, years=years)
    return local.normalize().isin(pd.DatetimeIndex(sorted(days))).astype(np.float64)


def add_holidays(panel: Panel, country: str, part: str | None = None) -> Panel:
    """Adds a column that is 1 on the public holidays of a country, known ahead.

    The same as `add_calendar(panel, ["holidays:DE"])`, which a `Forecaster` takes as
    `calendar=["holidays:DE"]`, so that it makes the column itself for rows to come.

    Args:
        panel: `Panel` whose rows are not longer than a day.
        country: Code of two letters, such as `"DE"`.
        part: Code of a part of it, such as `"BY"`.

    Returns:
        A new `Panel` with the column `holiday_DE` or `holiday_DE_BY`.

    Raises:
        ImportError: If the package holidays is not installed.
        ValueError: If the country is unknown, or the rows are longer than a day.

    Example:

    >>> import importlib.util
    >>> from tfts.data.panel import Panel
    >>> frame = pd.DataFrame({"sold": [3.0, 9.0, 4.0]}, index=pd.date_range("2024-12-24", periods=3))
    >>> if importlib.util.find_spec("holidays"):
    ...     assert add_holidays(Panel.from_frame(frame), "US").known_future == ("holiday_US",)
    """
    from tfts.data.calendar import add_calendar

    return add_calendar(panel, [f"{PREFIX}{country}" + (f"-{part}" if part else "")])
