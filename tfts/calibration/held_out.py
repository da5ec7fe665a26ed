"""How far forecasts of held-out rows are from what happened, and the quantiles and paths made of it."""

import dataclasses

import numpy as np

from tfts.errors import DataError
from tfts.outputs.output import normal_scores

# Most numbers that are kept, most origins, and fewest of those.
_NUMBERS, _ORIGINS, _FEWEST = 2**22, 2000, 100
# Times of origins from which whole error paths are drawn for all series at once.
_TIMES = 20
# Origins of one series from which its own errors are used alone.
_OWN = 100


@dataclasses.dataclass(frozen=True, eq=False)
class HeldOut:
    """Scores of what happened after held-out origins, see `Predictive.scores`.

    Of a distribution they are normal where it is right. Of a point forecast they are errors: of
    values in units of the series' own size, so that small and large series can share them, and of
    logarithms as they are.

    Attributes:
        scores: Float32 `(origins, horizon, targets)`, NaN where nothing was observed.
        series: Int `(origins,)`, place in `names`.
        times: Int64 `(origins,)`, nanoseconds of each origin.
        names: Names of the series, a tuple.
        sizes: Float64 `(series, targets)` of each name, what its scores are multiplied by; 1 of
            distributions and logarithms.
        usual: Float64 `(targets,)`, the size of a series that is not among the names.

    Example:

    >>> from tfts.outputs import Point
    >>> from tfts.outputs.predictive import Predictive
    >>> one, errors = np.ones((1, 1)), np.arange(-4.0, 5.0)[:, None, None]
    >>> held_out = HeldOut(errors, np.zeros(9, int), np.arange(9), ("",), one, one[0])
    >>> forecast = Predictive(Point(), np.array([[[100.0]]]), np.array([False]))
    >>> held_out.quantiles(forecast, (0.1, 0.5, 0.9), ("",), np.array([0])).tolist()
    [[[[96.0, 100.0, 104.0]]]]

    Source: Conformal intervals: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World,
    2005; Lei et al., Distribution-free predictive inference for regression, 2018. On top of
    quantiles: Romano, Patterson and Candes, Conformalized quantile regression, 2019, here
    along the model's own quantiles: Chernozhukov, Wuthrich and Zhu, Distributional conformal
    prediction, PNAS 118, 2021.
    """

    scores: np.ndarray
    series: np.ndarray
    times: np.ndarray
    names: tuple
    sizes: np.ndarray
    usual: np.ndarray

    @classmethod
    def of(cls, forecasts, actual, panel, rows, sizes):
        """What forecasts of held-out origins say.

        Args:
            forecasts: `Predictive` of the origins.
            actual: Float `(origins, horizon, targets)`, NaN where nothing was observed.
            panel: `Panel` of the origins.
            rows: Int `(origins,)`: the origins.
            sizes: Float `(series, targets)`, of each series of the panel in its own units.
        """
        relative = ~forecasts.logged & (not forecasts.output.has_distribution)
        usual = np.array([np.median(size[size > 0]) if (size > 0).any() else 1.0 for size in sizes.T])
        sizes = np.where(relative, np.where(sizes > 0, sizes, usual), 1.0)
        of = panel.series_of(rows)
        scores = (forecasts.scores(actual) / sizes[of][:, None]).astype(np.float32)
        usual = np.where(relative, usual, 1.0)
        return cls(scores, of, panel.times.asi8[rows], tuple(panel.series), sizes, usual)

    def sizes_of(self, names):
        """Sizes of the named series, `(series, targets)`."""
        place = {name: i for i, name in enumerate(self.names)}
        return np.stack([self.sizes[place[name]] if name in place else self.usual for name in names])

    def check(self, levels):
        """Raises a ValueError where there are too few origins for a level."""
        fewest = int((~np.isnan(self.scores)).sum(axis=0).min()) if len(self.scores) else 0
        for level in levels:
            if fewest < needed_for(level):
                raise DataError(
                    f"The quantile {level:g} needs the errors of at least {needed_for(level)} held-out origins at each "
                    f"horizon step. Received: {fewest}. Give more rows, a larger `validation`, or levels nearer to "
                    "0.5."
                )

    def quantiles(self, forecasts, levels, names, of):
        """Quantiles that hold their level on exchangeable origins.

        Args:
            forecasts: `Predictive`.
            levels: Ascending levels.
            names: Names of series.
            of: Int `(windows,)`, the place in `names` of the series of each window.

        Returns:
            Float64 `(windows, horizon, targets, levels)`, in original units.

        Raises:
            ValueError: If there are too few held-out origins for a level.
        """
        tables, size = self.tables(levels, names), self.sizes_of(names)[of][:, None]
        found = [forecasts.at(tables[of, ..., k] * size) for k in range(len(levels))]
        return np.maximum.accumulate(np.stack(found, axis=-1), axis=-1)

    def tables(self, levels, names):
        """Scores at some levels for each of the named series, `(series, horizon, targets, levels)`.

        They are those of the series' own origins where it has enough, else those of all.
        """
        self.check(levels)
        pooled, enough = ranked(self.scores, levels), max(_OWN, *(5 * needed_for(level) for level in levels))
        counts = np.bincount(self.series, minlength=len(self.names))
        own = {}
        for i in np.flatnonzero(counts >= enough) if len(self.names) > 1 else ():
            scores = self.scores[self.series == i]
            if (~np.isnan(scores)).sum(axis=0).min() >= enough:
                own[self.names[i]] = ranked(scores, levels)
        return np.stack([own.get(name, pooled) for name in names])

    def paths(self, forecasts, count, names, of, seed=0, calibrated=True):
        """Paths whose steps belong together: scores of whole held-out origins.

        Origins are drawn by their time, the same for all series, so that sums over series have the
        right spread too; where there are fewer than 20 times, for each window apart.

        Args:
            forecasts: `Predictive`.
            count: Int >= 1, paths of each window.
            names: As of `quantiles`.
            of: As of `quantiles`.
            seed: Of the draws.
            calibrated: Whether the errors themselves are drawn; if not, the order of theirs, while
                each step keeps the distribution that the model gives it.

        Returns:
            Float64 `(count, windows, horizon, targets)`.

        Raises:
            ValueError: If the horizon of no held-out origin was wholly observed.

        Source: Clark et al., The Schaake shuffle, Journal of Hydrometeorology 5, 2004.
        """
        whole = np.flatnonzero(~np.isnan(self.scores).any(axis=(1, 2)))
        if not len(whole):
            raise DataError(
                "Paths are those of held-out origins whose horizon was wholly observed. Received: none. Give "
                "`validation` rows, at least a horizon of them."
            )
        scores = self.scores[whole].astype(np.float64)
        if not calibrated:
            scores = _as_normal(scores)
        place = {name: i for i, name in enumerate(self.names)}
        places = np.array([place.get(name, -1) for name in names])[of]
        chosen = _chosen(self.times[whole], self.series[whole], places, count, np.random.default_rng(seed))
        size = self.sizes_of(names)[of][:, None]
        return np.stack([forecasts.at(scores[at] * size) for at in chosen])

    def get_state(self):
        """Arrays, and what JSON can hold: two dicts."""
        arrays = {name: getattr(self, name) for name in ("scores", "series", "times", "sizes", "usual")}
        return arrays, {"names": list(self.names)}

    @classmethod
    def from_state(cls, arrays, plain):
        """What `get_state` described."""
        return cls(**arrays, names=tuple(plain["names"]))


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
    most = min(_ORIGINS, max(_FEWEST, _NUMBERS // numbers))
    if len(times) <= most:
        return np.arange(len(times))
    distinct, of = np.unique(times, return_inverse=True)
    share = most / len(times)
    kept = max(min(len(distinct), _TIMES), round(share * len(distinct)))
    chosen = np.unique(np.linspace(0, len(distinct) - 1, kept).round().astype(np.int64))
    return np.flatnonzero(np.isin(of, chosen))


def needed_for(level):
    """Fewest errors that hold a level.

    Example:

    >>> needed_for(0.9), needed_for(0.01)
    (9, 99)
    """
    return int(np.ceil(round(1 / min(level, 1 - level), 6))) - 1


def ranked(scores, levels):
    """Scores at levels, the level of the k-th of n being k / (n + 1): `(horizon, targets, levels)`.

    Example:

    >>> ranked(np.arange(1.0, 10.0)[:, None, None], [0.1, 0.5]).tolist()
    [[[1.0, 5.0]]]
    """
    find = np.nanquantile if np.isnan(scores).any() else np.quantile
    return np.moveaxis(find(scores.astype(np.float64), levels, axis=0, method="weibull"), 0, -1)


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
