"""How far forecasts of held-out rows are from what happened, and the quantiles and paths made of it."""

import dataclasses

import numpy as np

from tfts.calibration.cells import num_parts, parts_of_season, ranked_in_cells
from tfts.data.holes import between_neighbours
from tfts.data.spans import Spans
from tfts.errors import DataError
from tfts.outputs.output import normal_scores

# Most origins that are kept, most numbers, and fewest origins.
MOST_ORIGINS, _NUMBERS, _FEWEST = 2000, 2**22, 100
# Times of origins from which whole error paths are drawn for all series at once.
_TIMES = 20
# Rows of one phase of the season at which half of what is taken for its size is its own, and the least size.
_HALF_OWN, _LEAST_PHASE = 10, 0.02
# Independent origins with which half of the median error is bias.
_HALF_BIAS = 10
# Origins of one series from which its own errors are used alone.
_OWN = 100


@dataclasses.dataclass(frozen=True, eq=False)
class Origins:
    """What scores are multiplied by at some origins.

    Attributes:
        names: Names of series.
        of: Int `(windows,)`, the place in `names` of the series of each window.
        units: Float `(windows, targets)`, what errors are measured in, see `in_units`, or 1.
        phases: Int `(windows,)`, of each origin in the season, or `None` without a season.

    Example:

    >>> Origins(("a", "b"), np.array([0, 1, 1])).units
    1.0
    """

    names: tuple
    of: np.ndarray
    units: np.ndarray | float = 1.0
    phases: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class HeldOut:
    """Scores of what happened after held-out origins, see `Predictive.scores`.

    Of a distribution they are normal where it is right. Of a point forecast they are errors in units of
    the series' own size, so that small and large series can share them (of logarithms as they are); of
    how much the last seasons before the origin moved, see `in_units`; and of the phase of the season: an
    hour of the day in which little happens has small errors.

    Attributes:
        scores: Float32 `(origins, horizon, targets)`, NaN where nothing was observed.
        series: Int `(origins,)`, place in `names`.
        times: Int64 `(origins,)`, nanoseconds of each origin.
        names: Names of the series, a tuple.
        sizes: Float64 `(series, targets)` of each name; 1 of distributions and logarithms.
        usual: Float64 `(targets,)`, the size of a series that is not among the names and whose window does not move.
        phases: Float64 `(season_length, targets)`, the size of errors of rows in each phase of the season,
            as a multiple of all: ones of distributions.
        origins: Int `(origins,)`, phase of each origin in the season.
        bounds: Float64 `(series + 1, 2, targets)`, what each series does not pass, see `bounds_of`.
        relative: Bool. Whether scores are in units of sizes and movement.
        independent: Float, origins whose horizons do not overlap. Where they are few the median of the
            errors is more chance than bias, and is taken for less: half of it with 10 of them.

    Example:

    >>> from tfts.outputs import Point
    >>> from tfts.outputs.predictive import Predictive
    >>> one, errors = np.ones((1, 1)), np.arange(-4.0, 5.0)[:, None, None]
    >>> zeros, free = np.zeros(9, int), np.array([[[-np.inf], [np.inf]]] * 2)
    >>> held_out = HeldOut(errors, zeros, np.arange(9), ("",), one, one[0], one, zeros, free)
    >>> forecast = Predictive(Point(), np.array([[[100.0]]]), np.array([False]))
    >>> held_out.quantiles(forecast, (0.1, 0.5, 0.9), Origins(("",), np.array([0]))).tolist()
    [[[[96.0, 100.0, 104.0]]]]

    Source: Conformal intervals: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World,
    2005; Lei et al., Distribution-free predictive inference for regression, 2018. On top of
    quantiles: Romano, Patterson and Candes, Conformalized quantile regression, 2019, here
    along the model's own quantiles: Chernozhukov, Wuthrich and Zhu, Distributional conformal
    prediction, PNAS 118, 2021. In units of a size that differs: Lei et al. 2018, section 5.2.
    """

    scores: np.ndarray
    series: np.ndarray
    times: np.ndarray
    names: tuple
    sizes: np.ndarray
    usual: np.ndarray
    phases: np.ndarray
    origins: np.ndarray
    bounds: np.ndarray
    relative: bool = True
    independent: float = np.inf

    @classmethod
    def of(cls, forecasts, actual, origins, times, sizes, bounds, season_length=1, independent=np.inf):
        """What forecasts of held-out origins say.

        Args:
            forecasts: `Predictive` of the origins.
            actual: Float `(origins, horizon, targets)`, NaN where nothing was observed.
            origins: `Origins`, with their units.
            times: Int64 `(origins,)`.
            sizes: Float `(series, targets)` of each of `origins.names`, in original units, as from
                `usual_sizes`; `None` where scores have none.
            bounds: Float `(series + 1, 2, targets)`.
            season_length: Int.
            independent: Float, see above.
        """
        targets = actual.shape[2]
        whole = np.ones((len(origins.names), targets)) if sizes is None else sizes
        scores = forecasts.scores(actual)
        if sizes is not None:
            scores = scores / np.atleast_2d(origins.units)[:, None]
        phases = np.ones((season_length, targets))
        if season_length > 1 and not forecasts.output.has_distribution:
            phases, of_others = _sizes_of_phases(scores, origins.phases, season_length)
            scores = scores / of_others
        return cls(
            scores=scores.astype(np.float32),
            series=origins.of,
            times=times,
            names=tuple(origins.names),
            sizes=whole,
            usual=np.median(whole, axis=0),
            phases=phases,
            origins=origins.phases,
            bounds=bounds,
            relative=sizes is not None,
            independent=independent,
        )

    def sizes_of(self, names):
        """Sizes of the named series, `(series, targets)`."""
        places = self._places(names)
        return np.where(places[:, None] < 0, self.usual, self.sizes[places])

    def _places(self, names):
        """Where names of series stand among those that were held out, int; -1 for others."""
        place = {name: i for i, name in enumerate(self.names)}
        return np.array([place.get(name, -1) for name in names], dtype=np.int64)

    def units(self, origins):
        """What the scores of windows are multiplied by, `(windows, horizon, targets)`.

        Args:
            origins: `Origins`.
        """
        phases = _at_phases(self.phases, origins.phases, self.scores.shape[1])
        return np.atleast_2d(origins.units)[:, None] * phases if self.relative else phases

    def check(self, levels):
        """Raises a ValueError where there are too few origins for a level."""
        check_enough(int((~np.isnan(self.scores)).sum(axis=0).min()) if len(self.scores) else 0, levels)

    def quantiles(self, forecasts, levels, origins):
        """Quantiles that hold their level on exchangeable origins.

        Args:
            forecasts: `Predictive`.
            levels: Ascending levels.
            origins: `Origins` of the windows.

        Returns:
            Float64 `(windows, horizon, targets, levels)`, in original units.

        Raises:
            ValueError: If there are too few held-out origins for a level.
        """
        tables, place = self.tables(levels, origins.names)
        units, of, horizon = self.units(origins), place[origins.of][:, None], self.scores.shape[1]
        parts, steps = parts_of_season(origins.phases, horizon, len(self.phases)), np.arange(horizon)
        low, high = np.moveaxis(self.bounds_of(origins), 1, 0)[:, :, None]
        found = []
        for k in range(len(levels)):
            at_level = forecasts.at(tables[..., k][of, parts, steps] * units)
            found.append(np.clip(at_level, low, high))
        return np.maximum.accumulate(np.stack(found, axis=-1), axis=-1)

    def bounds_of(self, origins):
        """What the series of windows do not pass, `(windows, 2, targets)`."""
        return self.bounds[self._places(origins.names)[origins.of]]

    def tables(self, levels, names):
        """Scores at some levels: those of a series' own origins where it has enough, else those of all.

        Args:
            levels: Ascending levels.
            names: Names of series.

        Returns:
            Tuple of float64 `(tables, parts of the season, horizon, targets, levels)` and of int `(names,)`, the
            table of each.

        Raises:
            ValueError: If there are too few held-out origins for a level.
        """
        self.check(levels)
        enough = self._enough(levels)
        tables, own = [self._table(slice(None), levels, enough)], {}
        for name, rows in self._own(enough).items():
            own[name] = len(tables)
            tables.append(self._table(rows, levels, enough))
        return np.stack(tables), np.array([own.get(name, 0) for name in names])

    def ordered(self, levels):
        """What `tables` has the levels of the first horizon step from.

        Args:
            levels: Ascending levels.

        Returns:
            Dict from the name of a series with enough errors of its own, and from `None` for all others, to a list
            with, for each part of the season, ascending scores `(origins, targets)`, NaN last, and what of them is
            chance and to be subtracted, `(targets,)`.
        """
        enough, found = self._enough(levels), {}
        for name, rows in {None: slice(None), **self._own(enough)}.items():
            scores, season = self.scores[rows, 0], len(self.phases)
            parts = np.broadcast_to(parts_of_season(self.origins[rows], 1, season)[:, 0], len(scores))
            found[name] = []
            for part in range(num_parts(season)):
                own = scores[parts == part]
                if not len(own) or (~np.isnan(own)).sum(axis=0).min() < enough:
                    own = scores
                found[name].append(
                    (np.sort(own, axis=0).astype(np.float64), self._chance * np.nanmedian(own, axis=0))
                )
        return found

    @staticmethod
    def _enough(levels):
        """Errors of a series, or of a part of the season, from which they are taken alone."""
        return max(_OWN, *(5 * needed_for(level) for level in levels))

    def _own(self, enough):
        """Name -> origins, of the series that have enough."""
        own = {}
        counts = np.bincount(self.series, minlength=len(self.names))
        for i in np.flatnonzero(counts >= enough) if len(self.names) > 1 else ():
            rows = self.series == i
            if (~np.isnan(self.scores[rows])).sum(axis=0).min() >= enough:
                own[self.names[i]] = rows
        return own

    def _table(self, rows, levels, enough):
        """Scores of some origins at levels, moved towards the forecast where independent origins are few."""
        season = len(self.phases)
        parts = parts_of_season(self.origins[rows], self.scores.shape[1], season)
        table, medians = ranked_in_cells(self.scores[rows], parts, levels, enough, num_parts(season))
        return table - self._chance * medians[..., None]

    @property
    def _chance(self):
        """The share of a median error that is chance rather than bias."""
        if not self.relative or np.isinf(self.independent):
            return 0.0
        return _HALF_BIAS / (self.independent + _HALF_BIAS)

    def paths(self, forecasts, count, origins, seed=0, calibrated=True):
        """Paths whose steps belong together: scores of whole held-out origins.

        Origins are drawn by their time, the same for all series, so that sums over series have the
        right spread too; where there are fewer than 20 times, for each window apart.

        Args:
            forecasts: `Predictive`.
            count: Int >= 1, paths of each window.
            origins: As of `quantiles`.
            seed: Of the draws.
            calibrated: Whether the errors themselves are drawn; if not, the order of theirs, while
                each step keeps the distribution that the model gives it.

        Returns:
            Float64 `(count, windows, horizon, targets)`.

        Raises:
            ValueError: If of no held-out origin half of the horizon was observed.

        Source: Clark et al., The Schaake shuffle, Journal of Hydrometeorology 5, 2004.
        """
        whole, scores = self._whole_paths()
        if not calibrated:
            scores = _as_normal(scores)
        places = self._places(origins.names)[origins.of]
        units, rng = self.units(origins), np.random.default_rng(seed)
        low, high = np.moveaxis(self.bounds_of(origins), 1, 0)[:, :, None]
        chosen = np.empty((count, len(places)), dtype=np.int64)
        for windows, alike in self._in_the_same_part(whole, origins):
            kept = whole[alike]
            chosen[:, windows] = alike[
                _chosen(self.times[kept], self.series[kept], places[windows], count, rng)
            ]
        return np.stack([np.clip(forecasts.at(scores[at] * units), low, high) for at in chosen])

    def _whole_paths(self):
        """Held-out origins that paths are drawn from, and their scores without holes, float64."""
        there = ~np.isnan(self.scores)
        whole = np.flatnonzero(there.all(axis=(1, 2)))
        if len(whole):
            return whole, self.scores[whole].astype(np.float64)
        # Where no horizon is without a hole, those with few: an error is between those of the steps around it.
        horizon = self.scores.shape[1]
        half = np.flatnonzero((2 * there.sum(axis=1) >= horizon).all(axis=1))
        if not len(half):
            raise DataError(
                "Paths are those of held-out origins whose horizon was wholly observed, or at least half of it where "
                "there is no other. Received: none. Give `validation` rows, at least a horizon of them."
            )
        steps = np.moveaxis(self.scores[half], 1, 0).astype(np.float64)
        filled = between_neighbours(steps.reshape(horizon, -1), Spans(0, 0, horizon, horizon))
        return half, np.moveaxis(filled.reshape(steps.shape), 0, 1)

    def _in_the_same_part(self, whole, origins):
        """Windows, and held-out origins in the same part of the season, of all where these are few."""
        season = len(self.phases)
        held, asked = (parts_of_season(of, 1, season)[:, 0] for of in (self.origins[whole], origins.phases))
        asked = np.broadcast_to(asked, len(origins.of))
        for part in np.unique(asked):
            alike = np.flatnonzero(np.broadcast_to(held, len(whole)) == part)
            if len(np.unique(self.times[whole[alike]])) < _TIMES:
                alike = np.arange(len(whole))
            yield np.flatnonzero(asked == part), alike

    def get_state(self):
        """Arrays, and what JSON can hold: two dicts."""
        arrays = {
            name: getattr(self, name)
            for name in ("scores", "series", "times", "sizes", "usual", "phases", "origins", "bounds")
        }
        return arrays, {"names": list(self.names), "relative": self.relative, "independent": self.independent}

    @classmethod
    def from_state(cls, arrays, plain):
        """What `get_state` described."""
        return cls(**arrays, **{**plain, "names": tuple(plain["names"])})


def usual_sizes(sizes):
    """Sizes of series, the median in place of those that are 0 or NaN.

    Args:
        sizes: Float `(series, targets)`.

    Example:

    >>> usual_sizes([[1.0], [np.nan], [3.0]]).ravel().tolist()
    [1.0, 2.0, 3.0]
    """
    sizes = np.asarray(sizes, dtype=np.float64)
    usual = [np.median(size[size > 0]) if (size > 0).any() else 1.0 for size in sizes.T]
    return np.where(sizes > 0, sizes, usual)


def spread_out(times, numbers):
    """Which of some origins are kept, so that scores stay small: those of times that lie evenly.

    Args:
        times: Int64 `(origins,)`.
        numbers: Int, scores of each origin.

    Returns:
        Int `(kept,)`.

    Example:

    >>> len(spread_out(np.arange(10_000), numbers=1))
    2000
    """
    most = min(MOST_ORIGINS, max(_FEWEST, _NUMBERS // numbers))
    if len(times) <= most:
        return np.arange(len(times))
    distinct, of = np.unique(times, return_inverse=True)
    share = most / len(times)
    kept = max(min(len(distinct), _TIMES), round(share * len(distinct)))
    chosen = np.unique(np.linspace(0, len(distinct) - 1, kept).round().astype(np.int64))
    return np.flatnonzero(np.isin(of, chosen))


def check_enough(origins, levels):
    """Raises a ValueError where so many held-out origins are too few for a level.

    Args:
        origins: Int.
        levels: Levels.

    Example:

    >>> check_enough(8, [0.5, 0.9])
    Traceback (most recent call last):
    tfts.errors.DataError: The quantile 0.9 needs the errors of at least 9 held-out origins at each horizon step. Rec...
    """
    for level in levels:
        if origins < needed_for(level):
            raise DataError(
                f"The quantile {level:g} needs the errors of at least {needed_for(level)} held-out origins at each "
                f"horizon step. Received: {origins}. Give more rows, a larger `validation`, or levels nearer to 0.5."
            )


def needed_for(level):
    """Fewest errors that hold a level.

    Example:

    >>> needed_for(0.9), needed_for(0.01)
    (9, 99)
    """
    return int(np.ceil(round(1 / min(level, 1 - level), 6))) - 1


def tail(ordered, score):
    """The share of scores that is expected at a score or below, of the k-th of n being k / (n + 1).

    It is the level of which `ranked` gives this score. Of scores below all it is no more than
    1 / (n + 1), which is given: n of them can't tell less.

    Args:
        ordered: Ascending floats `(origins,)`.
        score: Float.

    Example:

    >>> ordered = np.arange(1.0, 10.0)
    >>> tail(ordered, 1.0), tail(ordered, 1.5), tail(ordered, -99.0), tail(ordered, 9.0)
    (0.1, 0.15, 0.1, 1.0)
    """
    count, below = len(ordered), int(np.searchsorted(ordered, score, side="right"))
    if below == count:
        return 1.0
    if not below:
        return 1 / (count + 1)
    low, high = ordered[below - 1 : below + 1].tolist()
    return (below + (score - low) / (high - low)) / (count + 1)


def _sizes_of_phases(scores, phases, season_length):
    """Mean size of scores in each phase over that of all; where rows are few near 1.

    Returns:
        Tuple of the sizes, `(season_length, targets)`, and of those that scores are to be divided by, like
        the scores: what all others say, as what is to come has no part in them either.
    """
    at = (phases[:, None] + np.arange(1, scores.shape[1] + 1)) % season_length
    found, of_others = np.ones((season_length, scores.shape[2])), np.ones(scores.shape)
    for target in range(scores.shape[2]):
        sizes = np.abs(scores[..., target])
        there = ~np.isnan(sizes)
        count = np.bincount(at[there], minlength=season_length)
        total = np.bincount(at[there], sizes[there], minlength=season_length)
        if not total.sum():
            continue
        usual = total.sum() / count.sum()
        # Errors of one row from many origins are no more than one.
        found[:, target] = _drawn_to_one(total, count, usual, scores.shape[1])
        own = at[there]
        left = np.maximum(total[own] - sizes[there], 0.0)
        of_others[there, target] = _drawn_to_one(left, count[own] - 1, usual, scores.shape[1])
    return found, of_others


def _drawn_to_one(total, count, usual, horizon):
    """Mean sizes over the usual one, the nearer to 1 the fewer there are."""
    rows = count / horizon
    return np.maximum(total / np.maximum(count, 1) / usual, _LEAST_PHASE) ** (rows / (rows + _HALF_OWN))


def _at_phases(sizes, phases, horizon):
    """Sizes of the rows after origins, `(windows, horizon, targets)`."""
    if phases is None:
        return np.ones((1, 1, sizes.shape[1]))
    return sizes[(phases[:, None] + np.arange(1, horizon + 1)) % len(sizes)]


def _as_normal(scores):
    """Standard normal numbers in the order of the scores, at each step and target."""
    ranks = scores.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    return normal_scores((np.arange(len(scores)) + 0.5) / len(scores))[ranks]


def _chosen(times, series, places, count, rng):
    """Rows of held-out origins for each path and window, `(count, windows)`."""
    distinct, of = np.unique(times, return_inverse=True)
    if len(distinct) < _TIMES:
        return rng.integers(len(times), size=(count, len(places)))
    drawn = np.concatenate([rng.permutation(len(distinct)) for _ in range(-(-count // len(distinct)))])[
        :count
    ]
    rows = np.full((len(distinct), series.max() + 2), -1)
    rows[of, series] = np.arange(len(times))
    chosen = rows[drawn][:, np.where(places < 0, -1, places)]
    # A series that has no origin at a time takes that of another.
    first = np.searchsorted(of[np.argsort(of, kind="stable")], np.arange(len(distinct) + 1))
    order = np.argsort(of, kind="stable")
    for path, window in np.argwhere(chosen < 0):
        at = drawn[path]
        chosen[path, window] = order[rng.integers(first[at], first[at + 1])]
    return chosen
