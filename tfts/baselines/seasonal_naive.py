"""The value one season ago, or the median of some seasons."""

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts._units import is_rows, offset_of, plain_alias
from tfts.baselines.baseline import Baseline
from tfts.errors import DataError, SettingError

# What a season is counted in.
SEASONS = ("rows", "clock")
_MINUTE = 60_000_000_000
_DAY = 24 * 60 * _MINUTE
# Steps in a year, for the calendar frequencies by the start of their alias.
_PER_YEAR = {"W": 52, "SM": 24, "BM": 12, "CBM": 12, "M": 12, "BQ": 4, "Q": 4}


class SeasonalNaive(Baseline):
    """Forecasts each row by the value at the same place of the latest season seen.

    It may look further back than the context: at any earlier row of the same series. A
    value that is missing is taken from the season before it, and so on; where the series
    does not reach back a season, the latest value is repeated.

    Args:
        season_length: Rows in a season, int >= 1. `None` finds it from the panel's
            frequency by `season_length_of`.
        season: `"rows"`, or `"clock"`: a season is as many days as it has rows, and the value is that at
            the same time of the local clock, also where the clock was changed in between. For times
            with a zone and rows shorter than a day.
        num_seasons: Int >= 1. Of so many seasons, as far as the series reaches back, the
            median is taken, so that one odd day does not make the next day's forecast.

    Attributes:
        season_length_: Rows in a season, as used.

    Raises:
        ValueError: If `season_length` or `num_seasons` is not an int >= 1, or `season` is unknown; in `fit`,
            if the rows have no such clock.

    Example:

    >>> import pandas as pd
    >>> from tfts.data.panel import Panel
    >>> from tfts.data.windows import WindowSpec
    >>> frame = pd.DataFrame({"y": [1.0, 2.0, 3.0, 4.0, 5.0]},
    ...                      index=pd.date_range("2024-01-01", periods=5, freq="D"))
    >>> panel, spec = Panel.from_frame(frame), WindowSpec(context_length=1, horizon=4)
    >>> naive = SeasonalNaive(season_length=3).fit(panel, spec)
    >>> naive.predict(panel, spec, [4])[0, :, 0].tolist()
    [3.0, 4.0, 5.0, 3.0]
    """

    copies_values = True

    def __init__(self, season_length=None, num_seasons=1, season="rows"):
        check_season_length(season_length)
        whole = isinstance(num_seasons, int | np.integer) and not isinstance(num_seasons, bool)
        if not whole or num_seasons < 1:
            raise SettingError(f"`num_seasons` must be an int >= 1. Received: num_seasons={num_seasons!r}.")
        if season not in SEASONS:
            raise SettingError(unknown("season", season, SEASONS))
        self.season_length = season_length
        self.num_seasons = int(num_seasons)
        self.season = season

    def _learn(self, panel, spec):
        self.season_length_ = int(self.season_length or season_length_of(panel.freq))
        if self.season == "clock":
            _check_clock(panel, self.season_length_)

    def _forecast(self, panel, spec, rows):
        starts, latest = panel.spans.start[panel.series_of(rows)], self._latest(panel, rows)[0]
        lags = _ByClock if self.season == "clock" else _ByRows
        lags = lags(panel, spec.horizon, rows, self.season_length_)
        forecast = np.empty((len(rows), spec.horizon, len(self.targets_)))
        for i, column in enumerate(panel.indices(self.targets_)):
            values = panel.values[:, column]
            back, seasons = lags.nearest.copy(), []
            source = lags.rows(back, np.ones(back.shape, dtype=bool)).reshape(back.shape)
            for _ in range(self.num_seasons):
                # Only the few that meet a missing value go round again.
                again = np.ones(source.shape, dtype=bool)
                while again.any():
                    again &= source >= starts[:, None]
                    again[again] = np.isnan(values[source[again]])
                    back[again] += 1
                    source[again] = lags.rows(back, again)
                # What the series does not reach back to stays out of the median.
                reached = source >= starts[:, None]
                seasons.append(np.where(reached, values[np.maximum(source, 0)], np.nan))
                back[reached] += 1
                source[reached] = lags.rows(back, reached)
            seasons[0] = np.where(np.isnan(seasons[0]), latest[:, i, None], seasons[0])
            forecast[..., i] = seasons[0] if self.num_seasons == 1 else np.nanmedian(seasons, axis=0)
        return forecast


class _ByRows:
    """The row of the same place so many seasons back, a season being a number of rows.

    Attributes:
        nearest: Int `(windows, horizon)`: seasons back of the latest one seen.
    """

    def __init__(self, panel, horizon, rows, season):
        ahead = np.arange(horizon)
        self.season = season
        self.nearest = np.tile(ahead // season + 1, (len(rows), 1))
        self.ahead = rows[:, None] + 1 + ahead

    def rows(self, back, where):
        return self.ahead[where] - self.season * back[where]


class _ByClock:
    """The same by the local clock: at the same time of day, so many days back.

    A time that the clock did not show is the next that it did, and of two it is the first.
    """

    def __init__(self, panel, horizon, rows, season):
        step = offset_of(panel.freq).nanos
        self.zone = panel.times.tz
        self.days = season * step // _DAY
        stamps = panel.times.as_unit("ns").asi8[rows][:, None]
        ahead = stamps + step * np.arange(1, horizon + 1)
        local = pd.DatetimeIndex(ahead.ravel(), tz="UTC").tz_convert(self.zone).tz_localize(None)
        self.local = local.asi8.reshape(ahead.shape)
        self.row, self.stamp, self.step = rows[:, None] + 0 * ahead, stamps + 0 * ahead, step
        self.nearest = np.ones(ahead.shape, dtype=np.int64)
        while True:
            # On a day of 23 hours, the last hour of yesterday's clock has not been seen yet.
            late = (
                self.rows(self.nearest, np.ones(ahead.shape, dtype=bool)).reshape(ahead.shape) > rows[:, None]
            )
            if not late.any():
                break
            self.nearest[late] += 1

    def rows(self, back, where):
        local = pd.DatetimeIndex(self.local[where] - self.days * _DAY * back[where])
        first = np.ones(len(local), dtype=bool)
        stamps = local.tz_localize(self.zone, ambiguous=first, nonexistent="shift_forward").asi8
        return self.row[where] + (stamps - self.stamp[where]) // self.step


def _check_clock(panel, season_length):
    offset = offset_of(panel.freq)
    is_tick = isinstance(offset, pd.tseries.offsets.Tick) and not isinstance(offset, pd.tseries.offsets.Day)
    if panel.times.tz is None or not is_tick or season_length * offset.nanos % _DAY:
        raise DataError(
            "season='clock' goes back whole days by the clock of a time zone. Expected times with a zone, rows shorter "
            f"than a day and a season of whole days. Received: the zone {panel.times.tz}, freq={panel.freq!r} and "
            f"season_length={season_length}. Give the times a zone, or take season='rows'."
        )


def check_season_length(season_length):
    """Raises a ValueError unless it is None or an int >= 1."""
    whole = isinstance(season_length, int | np.integer) and not isinstance(season_length, bool)
    if season_length is not None and (not whole or season_length < 1):
        raise SettingError(
            "`season_length` must be an int >= 1 (rows) or None, which finds it from the frequency. "
            f"Received: season_length={season_length!r}."
        )


def season_length_of(freq):
    """Rows in the usual season of a frequency.

    Steps of whole days have a week, business days a week of 5; weeks, months and
    quarters have a year (52, 12, 4 rows); shorter steps down to a minute have a day; and
    those below a minute have an hour. Where the season is not a whole number of steps, or
    there is none (years, row numbers), the answer is 1. Of some days of the week
    (`"B-MON-WED-FRI"`) a season is a week of them.

    Args:
        freq: pandas offset alias.

    Returns:
        Int >= 1.

    Example:

    >>> [season_length_of(freq) for freq in ("15min", "h", "D", "B", "W-SUN", "MS", "QE", "YE")]
    [96, 24, 7, 5, 52, 12, 4, 1]
    """
    offset = offset_of(plain_alias(freq))
    if is_rows(freq):
        return 1
    if isinstance(offset, pd.tseries.offsets.Day):
        return _whole(364 if offset.n % 7 == 0 else 7, offset.n)
    if isinstance(offset, pd.tseries.offsets.Tick):
        day = 24 * 60 * _MINUTE
        if offset.nanos % day == 0:
            return season_length_of(f"{offset.nanos // day}D")
        return _whole(day if offset.nanos >= _MINUTE else 60 * _MINUTE, offset.nanos)
    name = offset.rule_code.split("-")[0]
    if name in ("B", "C"):
        return _whole(5 if name == "B" else sum(offset.calendar.weekmask), offset.n)
    for start, count in _PER_YEAR.items():
        if name.startswith(start):
            return _whole(count, offset.n)
    return 1


def _whole(season, step):
    return season // step if season % step == 0 else 1
