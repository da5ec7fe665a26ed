"""Shops with sales, stock and ratings, and faults in them whose place and cause are known."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfts._messages import unknown
from tfts.errors import SettingError

TARGETS = ("Sales", "Inventory", "Ratings")
KNOWN_FUTURE = ("price", "promotion", "holiday", "holiday_eve", "delivery")
# What each fault is a fault of; a lost feed draws its target.
FAULTS = {
    "spike": "Sales",
    "drop": "Sales",
    "level_shift": "Sales",
    "slow_drift": "Sales",
    "stock_out": "Inventory",
    "rating_collapse": "Ratings",
    "lost_feed": None,
}

# By which power each type of store follows promotions, holidays and the weeks before Christmas, and the units
# that it sells a day on a square metre.
TYPES = {
    "supermarket": {"promotion": 0.6, "holiday": 1.0, "christmas": 0.7, "density": 0.6},
    "clothing": {"promotion": 1.8, "holiday": 1.6, "christmas": 1.4, "density": 0.4},
    "garden": {"promotion": 1.0, "holiday": -0.5, "christmas": -0.6, "density": 0.15},
    "electronics": {"promotion": 1.4, "holiday": 0.4, "christmas": 2.0, "density": 0.5},
    "bakery": {"promotion": 0.1, "holiday": -0.2, "christmas": 0.3, "density": 3.0},
}

_FAULT_COLUMNS = {
    "store": str,
    **dict.fromkeys(("start", "end", "until"), "datetime64[us]"),
    **dict.fromkeys(("kind", "cause"), str),
    "size": float,
}
_HOLIDAYS = ((1, 1), (3, 17), (5, 1), (7, 4), (8, 15), (10, 3), (11, 1), (12, 25), (12, 26))
_WEEK = np.array([0.88, 0.85, 0.92, 1.0, 1.22, 1.4, 0.73])
# The memory of the noise of sales and of ratings.
_RHO = 0.4
_RATING_NOISE = 0.08
# Units a day that are lost, returned or miscounted, in daily sales of the shop.
_COUNT_NOISE = 0.05
# Days from an order to its delivery, and the weekdays of delivery.
_LEAD, _DELIVERY_DAYS = 2, (2, 5)
# Days for which customers remember an empty shelf, and a full shop.
_MEMORY, _CROWD = 5, 3
_DRIFT_DAYS = 28
_LASTING = ("level_shift", "slow_drift")
# Rows that a fault of any kind can last, and that stay without one behind it.
_LONGEST, _APART = _DRIFT_DAYS + 7, 10


@dataclasses.dataclass(frozen=True, eq=False)
class SyntheticSales:
    """A table from `make_sales` with the faults that it holds.

    Attributes:
        frame: `pandas.DataFrame`, a row for each shop and day: `time`, `store`, the targets
            `Sales` (units), `Inventory` (units when the shop closes) and `Ratings` (1 to 5),
            and the columns known ahead `price`, `promotion` (0 or 1), `holiday` (0 or 1),
            `holiday_eve` (0 or 1) and `delivery` (units due that day). With `types` also the
            attributes of the shop `type` (a name of TYPES) and `size` (square metres).
        faults: `pandas.DataFrame`, a row for each fault: `store`, `start` and `end` (first
            and last day on which an alarm is right), `until` (last day on which values are
            changed: of a level shift or a slow drift the last of the table), `kind`,
            `cause` (the target that is at fault) and `size` (largest change of the cause
            within start and end, in standard deviations of its one-day noise).
        normal: The same table as `frame` with the same weather and chance, but no faults.
        settings: Dict of the keyword options of `make_sales`.

    Example:

    >>> made = make_sales(num_stores=2, days=400, clean_days=200)
    >>> sorted(made.faults.columns)
    ['cause', 'end', 'kind', 'size', 'start', 'store', 'until']
    >>> made.labels.shape == (len(made.frame),)
    True
    """

    frame: pd.DataFrame
    faults: pd.DataFrame
    normal: pd.DataFrame
    settings: dict

    @property
    def labels(self) -> npt.NDArray[np.bool_]:
        """Bools `(rows,)`: whether an alarm is right in a row, for any target."""
        right = np.zeros(len(self.frame), dtype=bool)
        for fault in self.faults.itertuples():
            right |= (
                (self.frame["store"] == fault.store) & self.frame["time"].between(fault.start, fault.end)
            ).to_numpy()
        return right


def make_sales(
    num_stores: int = 4,
    days: int = 730,
    seed: int = 42,
    *,
    start: str | pd.Timestamp = "2022-01-01",
    noise: float = 0.06,
    faults_per_year: float = 6.0,
    kinds: Sequence[str] = tuple(FAULTS),
    clean_days: int | None = None,
    missing_days: float = 0.0,
    types: int = 0,
) -> SyntheticSales:
    """Makes daily sales, stock and ratings of shops, with labelled faults.

    Expected sales of a shop are its level (150 to 900 units a day, ±10 % a year) times the
    weekday, the season (±15 % over the year, and up to 40 % more before Christmas),
    promotions (runs of 3 to 7 days on an eighth of all days: 10 to 30 % off, which sells
    1.3 to 2 times as much), holidays (a third of a day's sales, and a third more on the day
    before) and the price (elasticity -1 to -2). Their noise is a factor with a memory of
    one day, so busy days vary more. Deliveries come on Wednesdays and Saturdays by orders
    made two days before, and at any time when stock would run out. Stock falls by what is
    sold, and sales end where stock does. Ratings are about 4.2; crowded days lower them
    over the next three days and empty shelves over the next five.

    Faults come after `clean_days`, in shuffled order of `kinds`, at least 10 days apart in
    a shop. Sizes are in standard deviations of a day's noise at the default `noise`:

    | kind | what happens | days with an alarm right | size |
    |---|---|---|---|
    | spike | sales 1.9 to 2.6 times | 1 | 15 to 27 |
    | drop | sales 0.35 to 0.55 times | 1 to 3 | 7 to 11 |
    | level_shift | sales 0.6 to 0.72 or 1.4 to 1.6 times, to the end | 14 | 4.5 to 10 |
    | slow_drift | within 28 days to 0.55 or 1.8 times, to the end | 35 | 7.5 or 13 |
    | stock_out | stock is lost, no delivery comes, sales stop | 3 to 6, and 5 more | above 50 |
    | rating_collapse | ratings fall by 0.7 to 1.3 | 4 to 10 | 8.5 to 16.5 |
    | lost_feed | one target reads 0 | 2 to 5 | above 16 |

    Of the lasting changes of a shop, level shifts and slow drifts, each goes the other way
    than the one before. Promotions, holidays, Christmas and deliveries change sales and stock as much as faults
    do, and are no faults. Each shop draws from random streams of its own, so a table of
    more shops begins with those of fewer.

    Args:
        num_stores: Int >= 1, shops.
        days: Int >= 1, rows of each shop.
        seed: Int >= 0. The same seed gives the same table.
        start: Time of the first row.
        noise: Float >= 0, standard deviation of the logarithm of a day's sales.
        faults_per_year: Float from 0 to 8, faults of a shop in a year behind `clean_days`.
        kinds: Names of FAULTS to draw from.
        clean_days: Int >= 0, rows of each shop before faults may come. `None` is half.
        missing_days: Share of the rows outside faults that are left out at random, so that
            time steps are irregular, 0 to 0.5.
        types: Int from 0 to 5: of so many types, the first of TYPES, are the shops. Types follow
            promotions, holidays and the weeks before Christmas more, less or the other way.

    Returns:
        `SyntheticSales` with `frame`, `faults`, `normal`, `labels` and `settings`.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> sales = make_sales(num_stores=2, days=400, clean_days=200, kinds=["stock_out"])
    >>> sales.faults[["store", "kind", "cause"]].iloc[0].tolist()
    ['store_1', 'stock_out', 'Inventory']
    >>> bool((sales.frame["Sales"] == 0).any()), bool((sales.normal["Sales"] == 0).any())
    (True, False)
    """
    settings = {
        "start": start,
        "noise": noise,
        "faults_per_year": faults_per_year,
        "kinds": tuple(kinds),
        "clean_days": days // 2 if clean_days is None else clean_days,
        "missing_days": missing_days,
        "types": types,
    }
    times = _checked(num_stores, days, settings)
    frames, normals, faults = [], [], []
    for number, stream in enumerate(np.random.SeedSequence(seed).spawn(num_stores)):
        shop, chance, fault, missing = map(np.random.default_rng, stream.spawn(4))
        store = f"store_{number + 1}"
        kind, size = _attributes(stream, types)
        plan = _plan(times, shop, kind)
        draws = _draws(chance, days, plan, noise)
        found = _draw_faults(fault, days, settings)
        normal = _simulate(plan, draws, [])
        values = _simulate(plan, draws, found)
        for row in found:
            without = _simulate(plan, draws, [other for other in found if other is not row])
            faults.append(
                {
                    "store": store,
                    **{name: times[row[name]] for name in ("start", "end", "until")},
                    "kind": row["kind"],
                    "cause": row["cause"],
                    "size": _size(row, values, without, draws["spread"]),
                }
            )
        kept = np.ones(days, dtype=bool)
        kept[missing.random(days) < missing_days] = False
        for row in found:
            kept[max(row["start"] - 1, 0) : row["end"] + 2] = True
        for table, into in ((values, frames), (normal, normals)):
            if kind is not None:
                table = {**table, "type": kind, "size": round(plan["level"] * size)}
            into.append(pd.DataFrame({"time": times, "store": store, **table})[kept])
    columns = ["time", "store", *TARGETS, *KNOWN_FUTURE, *(["type", "size"] if types else [])]
    return SyntheticSales(
        pd.concat(frames, ignore_index=True)[columns],
        pd.DataFrame(faults, columns=list(_FAULT_COLUMNS)).astype(_FAULT_COLUMNS),
        pd.concat(normals, ignore_index=True)[columns],
        settings,
    )


def _checked(num_stores, days, settings):
    """The times of the rows, if all arguments are in their ranges."""
    for name, value, least in [
        ("num_stores", num_stores, 1),
        ("days", days, 1),
        ("clean_days", settings["clean_days"], 0),
        ("types", settings["types"], 0),
    ]:
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise SettingError(f"`{name}` must be an int >= {least}. Received: {name}={value!r}.")
    if settings["types"] > len(TYPES):
        raise SettingError(
            f"`types` must be at most {len(TYPES)}, the number of TYPES. Received: types={settings['types']}."
        )
    most = 365 / (_LONGEST + _APART)
    for name, low, high in [
        ("noise", 0, 1),
        ("faults_per_year", 0, np.floor(most)),
        ("missing_days", 0, 0.5),
    ]:
        if not low <= settings[name] <= high:
            raise SettingError(
                f"`{name}` must be a number from {low} to {high:g}. Received: {name}={settings[name]!r}."
            )
    for kind in settings["kinds"]:
        if kind not in FAULTS:
            raise SettingError(unknown("fault", kind, FAULTS))
    if not settings["kinds"] and settings["faults_per_year"]:
        raise SettingError(
            "`kinds` must name at least one fault, or `faults_per_year` be 0. Received: no name."
        )
    try:
        return pd.date_range(settings["start"], periods=days, freq="D").as_unit("us")
    except ValueError as error:
        raise SettingError(
            f"`start` must be a time such as '2022-01-01'. Received: start={settings['start']!r}."
        ) from error


def _attributes(stream, types):
    """The type of a shop, `None` without any, and its square metres for each unit of its level."""
    if not types:
        return None, None
    # A stream of its own, so that all else is as without types.
    random = np.random.default_rng(stream.spawn(1)[0])
    kind = list(TYPES)[random.integers(types)]
    return kind, random.lognormal(0, 0.1) / TYPES[kind]["density"]


def _plan(times, random, kind=None):
    """What a shop sells on average, and the columns known ahead, each `(days,)`."""
    days, follows = len(times), TYPES.get(kind, {})
    level = random.uniform(150, 900)
    growth = 1 + random.uniform(-0.1, 0.1) * np.arange(days) / 365.25
    week = (_WEEK * random.lognormal(0, 0.06, 7))[times.day_of_week]
    day = times.day_of_year.to_numpy()
    season = 1 + random.uniform(0.05, 0.15) * np.sin(2 * np.pi * (day - random.uniform(60, 120)) / 365.25)
    before_christmas = random.uniform(0.25, 0.4) * np.exp(-(((day - 354) / 9) ** 2) / 2)
    season = season + before_christmas * follows.get("christmas", 1)

    following = times + pd.Timedelta(1, "D")
    holiday, eve = (
        np.array([(time.month, time.day) in _HOLIDAYS for time in each], dtype=float)
        for each in (times, following)
    )
    eve = eve * (1 - holiday)
    holiday_factor = random.uniform(0.28, 0.4) ** holiday * random.uniform(1.25, 1.45) ** eve
    holiday_factor = holiday_factor ** follows.get("holiday", 1)

    promotion, discount = np.zeros(days), np.zeros(days)
    day = int(random.integers(5, 40))
    while day < days:
        length = int(random.integers(3, 8))
        promotion[day : day + length] = 1
        discount[day : day + length] = random.uniform(0.1, 0.3)
        day += length + int(random.integers(18, 52))
    price = random.uniform(8, 20) * random.uniform(0.94, 1.08, days // 90 + 1).repeat(90)[:days]
    usual = price.mean()
    elasticity, display = random.uniform(1, 2), random.uniform(1.15, 1.3)
    price = price * (1 - discount)
    promoted = ((price / usual) ** -elasticity * display**promotion) ** follows.get("promotion", 1)
    return {
        "level": level,
        "sales": level * growth * week * season * holiday_factor * promoted,
        "rating": random.uniform(4.1, 4.4),
        "weekday": times.day_of_week.to_numpy(),
        "known": {"price": price, "promotion": promotion, "holiday": holiday, "holiday_eve": eve},
    }


def _draws(random, days, plan, noise):
    """The noise of each day, and its standard deviation for each target."""
    scale = np.sqrt(1 - _RHO**2)
    sales, rating = random.standard_normal((2, days))
    for values in (sales, rating):
        values[1:] *= scale
        for day in range(1, days):
            values[day] += _RHO * values[day - 1]
    counted = _COUNT_NOISE * plan["level"]
    return {
        "sales": noise * sales,
        "rating": _RATING_NOISE * rating,
        "count": counted * random.standard_normal(days),
        "spread": {
            "Sales": lambda values: noise * values["demand"],
            "Inventory": lambda values: np.hypot(noise * values["demand"], counted),
            "Ratings": lambda values: np.full(days, _RATING_NOISE),
        },
    }


def _size(fault, values, without, spread):
    """Largest change that a fault makes in its cause, in standard deviations of a day's noise."""
    inside = slice(fault["start"], fault["end"] + 1)
    change = np.abs(values[fault["cause"]] - without[fault["cause"]])[inside]
    # Without noise every fault is infinitely large beside it.
    with np.errstate(divide="ignore"):
        return float((change / spread[fault["cause"]](without)[inside]).max())


def _draw_faults(random, days, settings):
    """The faults of one shop, each with the first and last rows that it changes."""
    first = settings["clean_days"]
    number = int(settings["faults_per_year"] * max(days - first, 0) / 365)
    edges = np.linspace(first, days, number + 1).astype(int) if number else []
    kinds, found = [], []
    for begin, end in itertools.pairwise(edges):
        if not kinds:
            kinds = [settings["kinds"][place] for place in random.permutation(len(settings["kinds"]))]
        kind = kinds.pop()
        length = {
            "spike": 1,
            "drop": int(random.integers(1, 4)),
            "level_shift": 14,
            "slow_drift": _LONGEST,
            "stock_out": int(random.integers(3, 7)) + _MEMORY,
            "rating_collapse": int(random.integers(4, 11)),
            "lost_feed": int(random.integers(2, 6)),
        }[kind]
        start = int(random.integers(begin, end - length - _APART + 1))
        last = start + length - 1
        up, share = random.random() < 0.5, random.random()
        # A shop that fell rises next, so that it keeps to the size of a shop.
        lasting = [fault["strength"] > 1 for fault in found if fault["kind"] in _LASTING]
        up = not lasting[-1] if lasting else up
        low, high = {
            "spike": (1.9, 2.6),
            "drop": (0.35, 0.55),
            "level_shift": (1.4, 1.6) if up else (0.6, 0.72),
            "slow_drift": (1.8, 1.8) if up else (0.55, 0.55),
            "rating_collapse": (-1.3, -0.7),
        }.get(kind, (0.0, 0.0))
        found.append(
            {
                "kind": kind,
                "cause": FAULTS[kind] or TARGETS[int(random.integers(len(TARGETS)))],
                "start": start,
                "end": last,
                "until": days - 1 if kind in _LASTING else last,
                "strength": low + share * (high - low),
            }
        )
    return found


def _simulate(plan, draws, faults):
    """Sales, stock, ratings and deliveries day by day; dict of column to `(days,)`."""
    days = len(plan["sales"])
    factor, rating_change, no_stock = np.ones(days), np.zeros(days), np.zeros(days, dtype=bool)
    for fault in faults:
        rows = slice(fault["start"], fault["until"] + 1)
        if fault["kind"] in ("spike", "drop", "level_shift"):
            factor[rows] *= fault["strength"]
        elif fault["kind"] == "slow_drift":
            ramp = np.minimum(np.arange(1, days - fault["start"] + 1) / _DRIFT_DAYS, 1)
            factor[rows] *= fault["strength"] ** ramp
        elif fault["kind"] == "stock_out":
            no_stock[fault["start"] : fault["end"] + 1 - _MEMORY] = True
        elif fault["kind"] == "rating_collapse":
            rating_change[rows] = fault["strength"]

    planned = np.append(plan["sales"], np.full(_LEAD + 6, plan["sales"][-28:].mean()))
    demand = plan["sales"] * np.exp(draws["sales"]) * factor
    sold, stock, unmet = np.zeros(days), np.zeros(days), np.zeros(days)
    delivery = np.zeros(days + _LEAD + 1)
    held, pace = 6 * plan["level"], 1.0
    for day in range(days):
        if no_stock[day]:
            # The whole stock is lost; a few units are left over on the first day.
            held = 0.2 * planned[day] if not no_stock[day - 1] else held
        else:
            held += delivery[day]
        sold[day] = min(demand[day], held)
        unmet[day] = 1 - sold[day] / demand[day]
        held = max(held - sold[day] + (0 if no_stock[day] else draws["count"][day]), 0.0)
        stock[day] = held
        if not no_stock[day]:
            pace = 0.9 * pace + 0.1 * sold[day] / planned[day]
        if (plan["weekday"][day] + _LEAD) % 7 in _DELIVERY_DAYS:
            needed = pace * 1.3 * planned[day + 1 : day + _LEAD + 6].sum() + plan["level"]
            delivery[day + _LEAD] += max(needed - held - delivery[day + 1 : day + _LEAD + 1].sum(), 0.0)
        if not no_stock[min(day + 1, days - 1)]:
            # Three days' worth is in the shop before it opens, so only faults empty it.
            least = 3 * max(pace, 1.0) * planned[day + 1]
            delivery[day + 1] += max(least - held - delivery[day + 1], 0.0)

    crowd = np.clip(sold / plan["level"] - 1, -0.7, 1.5)
    rating = plan["rating"] - 0.15 * _mean_before(crowd, _CROWD) - 0.8 * _mean_before(unmet, _MEMORY)
    values = {
        "demand": demand,
        "Sales": sold,
        "Inventory": stock,
        "Ratings": np.clip(rating + draws["rating"] + rating_change, 1, 5),
        **plan["known"],
        "delivery": delivery[:days],
    }
    for fault in faults:
        if fault["kind"] == "lost_feed":
            values[fault["cause"]][fault["start"] : fault["end"] + 1] = 0.0
    return values


def _mean_before(values, days):
    """Mean of the `days` rows before each row; before the first row there was nothing."""
    padded = np.concatenate([np.zeros(days), values])
    return np.lib.stride_tricks.sliding_window_view(padded, days)[: len(values)].mean(axis=1)
