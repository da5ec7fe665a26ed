"""Ridge regression on windows; lookback, centring and strength are found in closed form."""

import functools

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts.baselines._equations import Centred, Layout, LinearMap, Seasonal, Solved, products_of_errors
from tfts.baselines._moments import flat_moments, masked_moments, window_moments
from tfts.baselines.baseline import Baseline
from tfts.baselines.seasonal_naive import season_length_of
from tfts.data.split import chronological_split
from tfts.data.windows import WindowSpec
from tfts.errors import DataError, SettingError

# What `context_length` is divided by to get the lookbacks that are tried.
_SHARES = (1, 1.5, 2, 3, 4, 6, 8)
# Strengths that are tried, in mean sums of squares of a row of all windows and horizons.
_STRENGTHS = 10.0 ** np.arange(-5, 2.5, 0.5)
# Share of the training rows that are held out while settings are chosen.
_HELD_OUT = 0.25
# Float64 values of the inputs that are held at once while forecasting (32 MB).
_CHUNK = 4_194_304


class Ridge(Baseline):
    """Ridge regression from windows to their horizon, with its settings searched.

    A forecast is the level of the window (the mean of its last rows) plus a linear map of
    the last `lookback` rows less that level; each step of the horizon also sees the
    `known_future` columns of its own row. The map is shrunk to zero, or to a map that all
    phases of a season share: of the rows of a step's own phase, the means of the seasons
    and the last season. It has far fewer weights, each learnt from every phase.

    The moments of the windows are summed once for each lookback (see `window_moments`);
    every lookback, centre, season and strength is then solved and scored on validation rows
    without reading the data again: one eigendecomposition gives the weights for all
    strengths. The settings whose mean forecast is best are fitted to all training windows
    that they can use; a mean of linear maps is one linear map again. Last, the drift of the
    training windows is kept as far as it helps on the validation rows.

    Of a table with holes (`missing="mask"`) a window is seen as a network sees it: holes on the line
    between what was observed up to the origin. It counts where at least half of its future was
    observed, whose holes are put on the line between their neighbours in the training rows; see
    `tfts.data.holes.windows_to_learn`. The moments are then summed window by window, of at most 65,536
    windows of single targets, evenly chosen.

    Args:
        lookbacks: Ints in 1 to `context_length` to choose from, or one int. `None` tries
            `context_length` divided by 1, 1.5, 2, 3, 4, 6 and 8.
        centres: Ints >= 0 to choose from, or one int: the rows whose mean is the level; 1
            is the last value. `None` tries 1, a season and the whole lookback, but not 0,
            no level at all: such a map can't follow a level that it has not seen.
        alphas: Floats > 0 to choose from, or one float: ridge strengths as in
            scikit-learn, in the units of the panel given to `fit`; the intercept is not
            shrunk. `None` tries 1e-5 to 100 times the sum of squares of a row of the
            windows, horizon and all.
        season_lengths: Ints to choose from, or one int: rows in the season whose phases
            share the map that weights are shrunk to, at least 2, a divisor of the horizon and
            at most the longest lookback; or 0, no such map. `None` tries 0 and the usual
            season of the panel's frequency (`season_length_of`) where it fits. Belongs to
            `inputs="own"`.
        weights: `"shared"` (one map for all targets), `"own"` (one for each), `"best"`
            (of these two, on the validation rows) or a list of lists of targets, each of
            which shares a map.
        inputs: `"own"`, a target is forecast from its own window, or `"all"`, from the
            windows of all columns of `past`, each less its own level. With `"all"` every
            target has weights of its own, and the work grows with the cube of
            `context_length` times columns.
        average: Int >= 1, the most settings that share a map. One after the other is taken,
            each time the one (perhaps again) whose forecasts make the mean of all taken best
            on the validation rows, of the best strengths of each lookback, centre and
            season. 1 takes the best setting alone.
        drift_shares: Floats in 0 to 1 to choose from, or one float: how much is kept of the
            drift, the mean change of the training windows from their level to each step of
            the horizon. `None` takes the share that is best on the validation rows, and all
            of it where there is nothing to choose.

    Attributes:
        chosen_: List of dicts, one for each setting that is used: `targets`, `lookback`,
            `centre`, `season_length`, `seasonal_alpha` (the strength with which the map that
            phases share was fitted; absent without a season), `alpha`, `weight` (its share of
            the map of these targets), `drift_share` (that of the map) and `validation_mse`
            (of this setting alone, with all of its drift, in the units of the panel squared;
            absent where there was nothing to choose).
        validation_mse_: Float, of the averaged maps, over all targets; `None` where there
            was nothing to choose.
        search_: List of dicts: all that was tried, see `search_table`.
        groups_: List of lists of targets, one for each map.
        coef_: Float64 `(maps, context_length, horizon)`, zero before the lookback; with
            `inputs="all"` `(1, context_length * columns, horizon * targets)`. The level of
            the window is a part of it.
        known_coef_: Float64 `(maps, horizon, known)`, or `(1, horizon * targets, known)`.
        intercept_: Float64 `(maps, horizon)`, or `(1, horizon * targets)`.

    Raises:
        ValueError: If an option has a wrong value.

    Example:

    >>> frame = pd.DataFrame({"y": np.sin(np.arange(90.0))},
    ...                      index=pd.date_range("2024-01-01", periods=90, freq="D"))
    >>> from tfts.data.panel import Panel
    >>> panel, spec = Panel.from_frame(frame), WindowSpec(context_length=12, horizon=2)
    >>> ridge = Ridge(centres=0, alphas=[1e-6, 1e-2]).fit(panel, spec)
    >>> ridge.chosen_[0]["alpha"]
    1e-06
    >>> ridge.predict(panel, spec, [89])[0, :, 0].round(3).tolist()
    [0.894, 0.106]

    Source: Hoerl and Kennard, Ridge Regression, Technometrics 12, 1970; windows less their
    last value: Zeng et al., Are Transformers Effective for Time Series Forecasting?, AAAI 2023;
    one map for all phases: Lin et al., SparseTSF, ICML 2024; shrinking to another value than
    zero: van Wieringen, Lecture notes on ridge regression, arXiv 1509.09169; which settings are
    averaged: Caruana et al., Ensemble Selection from Libraries of Models, ICML 2004.
    """

    holds_out = True
    uses_columns = True
    # A table of float32 takes half the memory, and its moments are summed in float64.
    dtype = np.float32

    def __init__(
        self,
        lookbacks=None,
        centres=None,
        alphas=None,
        season_lengths=None,
        weights="shared",
        inputs="own",
        average=4,
        drift_shares=None,
    ):
        self.lookbacks = _choices("lookbacks", lookbacks, "ints >= 1", lambda v: v >= 1)
        self.centres = _choices("centres", centres, "ints >= 0", lambda v: v >= 0)
        self.alphas = _choices("alphas", alphas, "floats > 0", lambda v: 0 < v < np.inf)
        self.season_lengths = _choices("season_lengths", season_lengths, "ints >= 0", lambda v: v >= 0)
        self.drift_shares = _choices("drift_shares", drift_shares, "floats in 0 to 1", lambda v: 0 <= v <= 1)
        if isinstance(weights, str) and weights not in ("best", "own", "shared"):
            raise SettingError(unknown("weights", weights, ("best", "own", "shared")))
        if inputs not in ("all", "own"):
            raise SettingError(unknown("inputs", inputs, ("all", "own")))
        if inputs == "all" and weights != "shared":
            raise SettingError(
                "`weights` belongs to inputs='own': from the windows of all columns, every target has weights of "
                f"its own. Received: weights={weights!r}, inputs='all'."
            )
        if inputs == "all" and any(self.season_lengths or ()):
            raise SettingError(
                "`season_lengths` belongs to inputs='own', whose maps a season's phases can share. "
                f"Received: season_lengths={season_lengths!r}, inputs='all'."
            )
        if isinstance(average, bool) or not isinstance(average, int | np.integer) or average < 1:
            raise SettingError(
                f"`average` must be an int >= 1 (settings that share a map). Received: {average=}."
            )
        self.weights = weights
        self.inputs = inputs
        self.average = average

    @property
    def num_parameters(self):
        """Weights and intercepts."""
        lookbacks = [
            max(chosen["lookback"] for chosen in self._settings(targets)) for targets in self.groups_
        ]
        used = sum(lookbacks) * (self.coef_[0].size // self.window_[0])
        return int(used + self.known_coef_.size + self.intercept_.size)

    def search_table(self):
        """All settings that were tried, the best first.

        Returns:
            DataFrame with the columns `targets`, `lookback`, `centre`, `season_length`,
            `seasonal_alpha` (NaN without a season), `alpha` and `validation_mse`.
        """
        table = pd.DataFrame(
            self.search_,
            columns=[
                "targets",
                "lookback",
                "centre",
                "season_length",
                "seasonal_alpha",
                "alpha",
                "validation_mse",
            ],
        )
        return table.sort_values("validation_mse", ignore_index=True)

    def _choose(self, panel, spec, validation):
        lookbacks, centres, seasons = self._candidates(panel, spec)
        groups = self._groups()
        self.search_, self.validation_mse_ = [], None
        options = lookbacks, centres, seasons, self.alphas or (), self.drift_shares or (1.0,)
        if len(groups) == 1 and all(len(values) == 1 for values in options):
            (lookback,), (centre,), (season_length,), (alpha,), (share,) = options
            setting = {"lookback": lookback, "centre": min(lookback, centre), "season_length": season_length}
            setting |= {"seasonal_alpha": float(alpha)} if season_length else {}
            setting["alpha"] = float(alpha)
            self.groups_ = groups[0]
            setting |= {"weight": 1.0, "drift_share": float(share)}
            self.chosen_ = [{"targets": targets, **setting} for targets in groups[0]]
            return
        # One stretch of validation rows is one mood of the series; the end of the training
        # rows is a second one.
        every = WindowSpec(spec.context_length, spec.horizon, spec.targets, spec.known_future)
        split = chronological_split(panel, validation=_HELD_OUT, test=0, at_least=spec.horizon)
        learnt, parts = split.train, [split.validation] + [validation] * (validation is not None)
        if validation is not None and not (spec.count(split.train) and every.count(split.validation)):
            # A short table has one mood to show.
            learnt, parts = panel, [validation]
        layout = self._layout(panel, spec)
        pairs = list(dict.fromkeys((rows, min(rows, centre)) for rows in lookbacks for centre in centres))
        found = []
        for maps in groups:
            chosen, error = [], 0.0
            for targets in maps:
                judged = [self._moments(part, every, targets) for part in parts]
                learn = functools.lru_cache(1)(functools.partial(self._learnt, learnt, spec, targets))
                tried, leaders = _search(learn, judged, layout, pairs, seasons, self.alphas)
                self.search_ += [{"targets": targets, **setting} for setting in tried]
                averaged = [leader["map"] for leader in leaders]
                weights, mse = _average(averaged, judged, self.average)
                share, gain = _drift_share(LinearMap.mean(averaged, weights), judged, self.drift_shares)
                for leader, weight in zip(leaders, weights, strict=True):
                    setting = {name: value for name, value in leader.items() if name != "map"}
                    if weight:
                        chosen.append({"targets": targets, **setting, "weight": weight, "drift_share": share})
                error += (mse - gain) * len(targets) / len(self.targets_)
            found.append((error, maps, chosen))
        self.validation_mse_, self.groups_, self.chosen_ = min(found, key=lambda way: way[0])

    def _settings(self, targets):
        """The settings that share the map of these targets."""
        return [chosen for chosen in self.chosen_ if chosen["targets"] == targets]

    def _candidates(self, panel, spec):
        length = spec.context_length
        lookbacks = self.lookbacks or sorted({max(1, round(length / share)) for share in _SHARES})
        if max(lookbacks) > length:
            raise SettingError(
                f"`lookbacks` must be at most context_length={length} (rows seen). Received: {max(lookbacks)}."
            )
        # A centre is no longer than its lookback, so the context's length stands for all of it.
        season = season_length_of(panel.freq)
        centres = self.centres or sorted({1, min(season, length), length})
        possible = [0] if self.inputs == "all" else [0, season]
        seasons = self.season_lengths or possible
        # Phases share a map of whole seasons of the horizon, from one at least of the window.
        fit = [m for m in seasons if not m or (1 < m <= max(lookbacks) and spec.horizon % m == 0)]
        if self.season_lengths and len(fit) < len(seasons):
            raise SettingError(
                f"`season_lengths` must be 0, or ints >= 2 that divide horizon={spec.horizon} and are at most "
                f"{max(lookbacks)}, the longest lookback. Received: {self.season_lengths}."
            )
        return lookbacks, centres, sorted(set(fit))

    def _layout(self, panel, spec):
        if self.inputs == "own":
            return Layout(1, spec.horizon, 1)
        return Layout(len(spec.features(panel)), spec.horizon, len(self.targets_))

    def _moments(self, panel, spec, targets):
        rows = spec.origins(panel)
        if self.inputs == "own":
            find = masked_moments if panel.masked else window_moments
            return find(panel, spec, rows, targets)
        return flat_moments(panel, spec, rows)

    def _learnt(self, panel, spec, targets, lookback):
        """Moments of all windows that a lookback can use."""
        own = WindowSpec(lookback, spec.horizon, spec.targets, spec.known_future, spec.stride)
        return self._moments(panel, own, targets)

    def _groups(self):
        """Ways to share maps: each a list of lists of targets."""
        shared, own = [list(self.targets_)], [[target] for target in self.targets_]
        if self.weights == "best":
            return [shared] if shared == own else [shared, own]
        if isinstance(self.weights, str):
            return [shared if self.weights == "shared" else own]
        maps = [[part] if isinstance(part, str) else list(part) for part in self.weights]
        if sorted(target for part in maps for target in part) != sorted(self.targets_):
            raise SettingError(
                f"`weights` must name each of the targets {self.targets_} in one of its lists. Received: {maps}."
            )
        return [maps]

    def _learn(self, panel, spec):
        self.window_ = self._describe(panel, spec)
        layout, maps = self._layout(panel, spec), len(self.groups_)
        self.coef_ = np.zeros((maps, spec.context_length * layout.features, layout.outputs))
        self.known_coef_ = np.zeros((maps, layout.outputs, len(spec.known_columns(panel))))
        self.intercept_ = np.zeros((maps, layout.outputs))
        for i, targets in enumerate(self.groups_):
            learn = functools.cache(functools.partial(self._learnt, panel, spec, targets))
            settings = self._settings(targets)
            maps = [_fit(learn(chosen["lookback"]), layout, chosen) for chosen in settings]
            mean = LinearMap.mean(maps, [chosen["weight"] for chosen in settings])
            self.coef_[i, -len(mean.coef) :], self.known_coef_[i] = mean.coef, mean.known
            self.intercept_[i] = mean.intercept - (1 - settings[0]["drift_share"]) * mean.drift

    def _describe(self, panel, spec):
        described = [int(spec.context_length), int(spec.horizon), list(spec.known_columns(panel))]
        return described if self.inputs == "own" else [*described, list(spec.features(panel))]

    def _forecast(self, panel, spec, rows):
        window = self._describe(panel, spec)
        if window != self.window_:
            names = "context_length, horizon, known_future" + ", columns" * (self.inputs == "all")
            raise DataError(
                f"Ridge was fitted for [{names}] = {self.window_}, and its weights fit no other. Received: {window}."
            )
        forecast = np.empty((len(rows), spec.horizon, len(self.targets_)))
        known = spec.known_columns(panel)
        features = spec.features(panel) if self.inputs == "all" else self.targets_
        seen = WindowSpec(spec.context_length, spec.horizon, tuple(features), known)
        step = max(1, _CHUNK // (spec.context_length * len(features)))
        for at in range(0, len(rows), step):
            chunk = rows[at : at + step]
            past = seen.past(panel, chunk)[:, :, : len(features)].astype(np.float64)
            ahead = np.zeros((len(chunk), spec.horizon, 0))
            if known:
                ahead = seen.known(panel, chunk)[:, spec.context_length :].astype(np.float64)
            for i, targets in enumerate(self.groups_):
                columns = [self.targets_.index(target) for target in targets]
                part = past if self.inputs == "all" else past[:, :, columns]
                forecast[at : at + step, :, columns] = self._mapped(i, part, ahead)
        return forecast

    def _mapped(self, i, past, ahead):
        """Forecasts `(windows, horizon, targets)` of one map from `(windows, context_length, columns)`."""
        count, own = len(past), self.inputs == "own"
        if own:
            past = past.transpose(0, 2, 1)
        mapped = past.reshape(-1, len(self.coef_[i])) @ self.coef_[i] + self.intercept_[i]
        if own:
            mapped = mapped.reshape(count, -1, ahead.shape[1]).transpose(0, 2, 1)
        else:
            mapped = mapped.reshape(count, ahead.shape[1], -1)
        horizon = ahead.shape[1]
        known = self.known_coef_[i].reshape(horizon, len(self.known_coef_[i]) // horizon, ahead.shape[2])
        return mapped + np.einsum("nhk,htk->nht", ahead, known, optimize=True)

    def linear_map(self):
        """What was learnt as one linear map, for windows less any level.

        The level of a window is a weighted mean of its rows, so it is a part of the map: the
        forecast less a level is the map of the window less the same level.

        Returns:
            Tuple of `(context_length, features, horizon, targets)` (without
            `inputs="all"` the features are the targets), `(horizon, known, targets)` and
            the intercepts `(horizon, targets)`, float64.

        Raises:
            ValueError: If a centre of 0 was chosen: that map depends on the level.
        """
        length, horizon, known = self.window_[:3]
        targets = len(self.targets_)
        features = len(self.window_[3]) if self.inputs == "all" else targets
        if not all(chosen["centre"] for chosen in self.chosen_):
            raise DataError(
                "A ridge with a centre of 0 has no map for windows less their level. Expected centres >= 1. "
                f"Received: chosen_={self.chosen_}."
            )
        kernel = np.zeros((length, features, horizon, targets))
        ahead, intercept = np.empty((horizon, len(known), targets)), np.empty((horizon, targets))
        if self.inputs == "all":
            kernel[:] = self.coef_[0].reshape(kernel.shape)
            ahead[:] = self.known_coef_[0].reshape(horizon, targets, len(known)).swapaxes(1, 2)
            intercept[:] = self.intercept_[0].reshape(intercept.shape)
            return kernel, ahead, intercept
        for i, group in enumerate(self.groups_):
            for column in map(self.targets_.index, group):
                kernel[:, column, :, column] = self.coef_[i]
                ahead[..., column] = self.known_coef_[i]
                intercept[:, column] = self.intercept_[i]
        return kernel, ahead, intercept


def _search(learn, judged, layout, pairs, seasons, alphas):
    """Validation errors of all settings, as dicts; and the best of each lookback, centre and season, with its map."""
    tried, leaders = [], []
    for lookback, centre in pairs:
        centred = Centred(learn(lookback), layout, lookback, centre)
        heard = [(centred.products_of(part), part.count * layout.outputs) for part in judged]
        free = Solved(centred.products)
        for season_length in seasons:
            if season_length > lookback:
                continue
            setting = {"lookback": lookback, "centre": centre, "season_length": season_length}
            solved, left, start = free, heard, (0.0, 0.0)
            if season_length:
                shared = Seasonal(season_length, lookback)
                phases = Solved(shared.products(centred.products))
                strengths, errors = _errors(phases, [(shared.products(part), n) for part, n in heard], alphas)
                setting["seasonal_alpha"] = float(strengths[np.argmin(errors)])
                start = shared.weights(*phases.weights(setting["seasonal_alpha"]))
                solved = Solved(centred.products.less(*start), like=free)
                left = [(part.less(*start), n) for part, n in heard]
            strengths, errors = _errors(solved, left, alphas)
            settings = [
                {**setting, "alpha": float(alpha), "validation_mse": float(error)}
                for alpha, error in zip(strengths, errors, strict=True)
            ]
            tried += settings
            leader = settings[int(np.argmin(errors))]
            leaders.append({**leader, "map": _map(centred, solved, leader["alpha"], start)})
    return tried, leaders


def _errors(solved, heard, alphas):
    """Strengths, and mean squared errors by some products, each beside its number of values."""
    strengths = _STRENGTHS * solved.strength if alphas is None else np.asarray(alphas, dtype=np.float64)
    return strengths, np.mean([solved.errors(part, strengths) / n for part, n in heard], axis=0)


def _fit(moments, layout, chosen):
    """The `LinearMap` of one setting."""
    centred = Centred(moments, layout, chosen["lookback"], chosen["centre"])
    products, start = centred.products, (0.0, 0.0)
    if chosen["season_length"]:
        shared = Seasonal(chosen["season_length"], chosen["lookback"])
        start = shared.weights(*Solved(shared.products(products)).weights(chosen["seasonal_alpha"]))
        products = products.less(*start)
    return _map(centred, Solved(products), chosen["alpha"], start)


def _map(centred, solved, alpha, start):
    coef, known = solved.weights(alpha)
    return centred.map(start[0] + coef, start[1] + known)


def _average(maps, judged, count):
    """Weights of maps in their mean, and its error over the windows of the moments."""
    measured = [products_of_errors(maps, moments) for moments in judged]
    products = np.mean(measured, axis=0)
    # The last row and column stand for the true values, of which each mean has all.
    taken, best = np.zeros(len(maps)), (None, np.inf)
    for number in range(1, count + 1):
        means = ((number - 1) * taken + np.eye(len(maps))) / number
        signed = np.append(means, -np.ones((len(maps), 1)), axis=1)
        errors = np.einsum("ni,ij,nj->n", signed, products, signed)
        taken = means[np.argmin(errors)]
        if errors.min() < best[1]:
            best = [float(weight) for weight in taken], float(errors.min())
    return best


def _drift_share(mean, judged, shares):
    """The share of the drift of a map that is best on the windows of the moments, and how much it lowers the error."""
    errors = np.mean([mean.mean_errors(moments) for moments in judged], axis=0)
    square, product = mean.drift @ mean.drift, mean.drift @ errors
    # What is left out of the drift is added to each error.
    least = np.clip(-product / max(square, np.finfo(float).tiny), 0, 1)
    left_out = np.array([least]) if shares is None else 1 - np.array(shares, dtype=np.float64)
    lower = -left_out * (2 * product + left_out * square) / len(errors)
    best = int(np.argmax(lower))
    return float(1 - left_out[best]), float(lower[best])


def _choices(name, values, what, allowed):
    """The candidates of an option as a list, or None."""
    if values is None:
        return None
    kinds = (int, np.integer) if what.startswith("ints") else (int, float, np.number)
    listed = list(values) if isinstance(values, list | tuple | range | np.ndarray) else [values]
    if not listed or not all(isinstance(v, kinds) and not isinstance(v, bool) and allowed(v) for v in listed):
        raise SettingError(f"`{name}` must be {what}, one or a list of them. Received: {name}={values!r}.")
    return listed
