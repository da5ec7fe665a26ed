"""Ridge regression on windows; lookback, centring and strength are found in closed form."""

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts.baselines._moments import Moments, window_moments
from tfts.baselines.baseline import Baseline
from tfts.baselines.seasonal_naive import season_length_of
from tfts.data.split import chronological_split
from tfts.data.windows import WindowSpec

# What `context_length` is divided by to get the lookbacks that are tried.
_SHARES = (1, 1.5, 2, 3, 4, 6, 8)
# Strengths that are tried, in mean sums of squares of a row of all windows and horizons.
_STRENGTHS = 10.0 ** np.arange(-5, 2.5, 0.5)
# Share of the largest eigenvalue below which a direction is rounding.
_LEAST = 1e-13
# Share of the training rows that are held out while settings are chosen.
_HELD_OUT = 0.25
# Float64 values of the inputs that are held at once while forecasting (32 MB).
_CHUNK = 4_194_304


class Ridge(Baseline):
    """Ridge regression from a target's own window to its horizon, with its settings searched.

    A forecast is the level of the window (the mean of its last rows) plus a linear map of
    the last `lookback` rows less that level; each step of the horizon also sees the
    `known_future` columns of its own row. Other columns of `past` are not looked at. The
    moments of all windows are summed once (see `window_moments`); every lookback, centre
    and strength is then solved and scored on validation rows without reading the data
    again: one eigendecomposition for each lookback and centre gives the weights for all
    strengths. The best setting is fitted to all training windows that it can use.

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
        weights: `"shared"` (one map for all targets), `"own"` (one for each), `"best"`
            (of these two, on the validation rows) or a list of lists of targets, each of
            which shares a map.

    Attributes:
        chosen_: List of dicts, one for each map: `targets`, `lookback`, `centre`,
            `alpha` and `validation_mse` (in the units of the panel squared; absent
            where there was nothing to choose).
        search_: List of such dicts: all that was tried, see `search_table`.
        coef_: Float64 `(maps, context_length, horizon)`, zero before the lookback.
        known_coef_: Float64 `(maps, horizon, known)`.
        intercept_: Float64 `(maps, horizon)`.

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
    last value: Zeng et al., Are Transformers Effective for Time Series Forecasting?, AAAI 2023.
    """

    def __init__(self, lookbacks=None, centres=None, alphas=None, weights="shared"):
        self.lookbacks = _choices("lookbacks", lookbacks, 1, whole=True)
        self.centres = _choices("centres", centres, 0, whole=True)
        self.alphas = _choices("alphas", alphas, 0, whole=False)
        if isinstance(weights, str) and weights not in ("best", "own", "shared"):
            raise ValueError(unknown("weights", weights, ("best", "own", "shared")))
        self.weights = weights

    @property
    def num_parameters(self):
        """Weights and intercepts."""
        used = sum(chosen["lookback"] for chosen in self.chosen_) * self.coef_.shape[2]
        return int(used + self.known_coef_.size + self.intercept_.size)

    def search_table(self):
        """All settings that were tried, the best first.

        Returns:
            DataFrame with the columns `targets`, `lookback`, `centre`, `alpha` and
            `validation_mse`.
        """
        table = pd.DataFrame(
            self.search_, columns=["targets", "lookback", "centre", "alpha", "validation_mse"]
        )
        return table.sort_values("validation_mse", ignore_index=True)

    def _choose(self, panel, spec, validation):
        lookbacks, centres = self._candidates(panel, spec)
        groups = self._groups()
        self.search_ = []
        if len(groups) == len(lookbacks) == len(centres) == len(self.alphas or ()) == 1:
            (lookback,), (centre,), (alpha,) = lookbacks, centres, self.alphas
            setting = {"lookback": lookback, "centre": min(lookback, centre), "alpha": float(alpha)}
            self.chosen_ = [{"targets": targets, **setting} for targets in groups[0]]
            return
        # One stretch of validation rows is one mood of the series; the end of the training
        # rows is a second one.
        split = chronological_split(panel, validation=_HELD_OUT, test=0)
        judged = [split.validation] + [validation] * (validation is not None)
        every = WindowSpec(spec.context_length, spec.horizon, spec.targets, spec.known_future)
        best = []
        for maps in groups:
            found = []
            for targets in maps:
                tried = _search(
                    window_moments(split.train, spec, spec.origins(split.train), targets),
                    [window_moments(part, every, every.origins(part), targets) for part in judged],
                    spec.horizon,
                    [(lookback, centre) for lookback in lookbacks for centre in centres],
                    self.alphas,
                )
                tried = [{"targets": targets, **setting} for setting in tried]
                self.search_ += tried
                found.append(min(tried, key=lambda setting: setting["validation_mse"]))
            best.append(found)
        count = len(self.targets_)
        self.chosen_ = min(
            best, key=lambda maps: sum(m["validation_mse"] * len(m["targets"]) for m in maps) / count
        )

    def _candidates(self, panel, spec):
        length = spec.context_length
        lookbacks = self.lookbacks or sorted({max(1, round(length / share)) for share in _SHARES})
        if max(lookbacks) > length:
            raise ValueError(
                f"`lookbacks` must be at most context_length={length} (rows seen). Received: {max(lookbacks)}."
            )
        # A centre is no longer than its lookback, so the context's length stands for all of it.
        centres = self.centres or sorted({1, min(season_length_of(panel.freq), length), length})
        return lookbacks, centres

    def _groups(self):
        """Ways to share maps: each a list of lists of targets."""
        shared, own = [list(self.targets_)], [[target] for target in self.targets_]
        if self.weights == "best":
            return [shared] if shared == own else [shared, own]
        if isinstance(self.weights, str):
            return [shared if self.weights == "shared" else own]
        maps = [[part] if isinstance(part, str) else list(part) for part in self.weights]
        if sorted(target for part in maps for target in part) != sorted(self.targets_):
            raise ValueError(
                f"`weights` must name each of the targets {self.targets_} in one of its lists. Received: {maps}."
            )
        return [maps]

    def _learn(self, panel, spec):
        self.window_ = _describe(panel, spec)
        shape = (len(self.chosen_), spec.context_length, spec.horizon)
        self.coef_ = np.zeros(shape)
        self.known_coef_ = np.empty((shape[0], spec.horizon, len(spec.known_columns(panel))))
        self.intercept_ = np.empty((shape[0], spec.horizon))
        for i, chosen in enumerate(self.chosen_):
            lookback = chosen["lookback"]
            seen = WindowSpec(lookback, spec.horizon, spec.targets, spec.known_future, spec.stride)
            moments = window_moments(panel, seen, seen.origins(panel), chosen["targets"])
            solved = _Solved(moments, spec.horizon, lookback, chosen["centre"])
            coef, self.known_coef_[i], self.intercept_[i] = solved.weights(chosen["alpha"])
            self.coef_[i, -lookback:] = coef

    def _forecast(self, panel, spec, rows):
        window = _describe(panel, spec)
        if window != self.window_:
            raise ValueError(
                "Ridge was fitted for [context_length, horizon, known_future] = "
                f"{self.window_}, and its weights fit no other. Received: {window}."
            )
        forecast = np.empty((len(rows), spec.horizon, len(self.targets_)))
        step = max(1, _CHUNK // (spec.context_length * len(self.targets_)))
        own = WindowSpec(spec.context_length, spec.horizon, tuple(self.targets_), spec.known_columns(panel))
        for at in range(0, len(rows), step):
            chunk = rows[at : at + step]
            past = own.past(panel, chunk)[:, :, : len(self.targets_)].astype(np.float64)
            ahead = (
                own.known(panel, chunk)[:, spec.context_length :].astype(np.float64)
                if self.window_[2]
                else np.zeros((len(chunk), spec.horizon, 0))
            )
            for i, chosen in enumerate(self.chosen_):
                columns = [self.targets_.index(target) for target in chosen["targets"]]
                forecast[at : at + step, :, columns] = self._mapped(i, past[:, :, columns], ahead)
        return forecast

    def _mapped(self, i, past, ahead):
        """Forecasts of one map from `(windows, context_length, targets)`."""
        lookback, centre = self.chosen_[i]["lookback"], self.chosen_[i]["centre"]
        level = (
            _level_weights(lookback, centre) @ past[:, -lookback:] if centre else np.zeros(past[:, 0].shape)
        )
        seen = past[:, -lookback:] - level[:, None]
        constant = np.einsum("nhk,hk->nh", ahead, self.known_coef_[i]) + self.intercept_[i]
        mapped = np.tensordot(seen, self.coef_[i, -lookback:], axes=(1, 0)).transpose(0, 2, 1)
        return mapped + constant[:, :, None] + level[:, None]


class _Solved:
    """The normal equations of one lookback and centre, solved for every strength at once."""

    def __init__(self, moments, horizon, lookback, centre):
        self.horizon, self.lookback, self.centre = horizon, lookback, centre
        moments = _centred(moments, horizon, lookback, centre)
        self.count = moments.count
        self.means = moments.sums / self.count, moments.known_sums / self.count
        moments = _about(moments, self.means)
        self.parts = _parts(moments, horizon)
        self.strength = np.trace(moments.products) / len(moments.sums) or 1.0
        values, self.vectors = np.linalg.eigh(self.parts["seen"])
        self.values = np.maximum(values, _LEAST * max(values[-1], self.strength))
        self.rotated = self._rotate(self.parts)

    def _rotate(self, parts):
        return {
            "future": self.vectors.T @ parts["future"],
            "known": np.tensordot(self.vectors.T, parts["known"], axes=1),
        }

    def solve(self, alpha):
        """Rotated weights of the window, and weights of the known columns."""
        shrunk = 1.0 / (self.values + alpha)
        future, known = self.rotated["future"], self.rotated["known"]
        own = self.parts["known_products"] + alpha * np.eye(known.shape[2])
        own = own - np.einsum("ihk,i,ihj->hkj", known, shrunk, known, optimize=True)
        right = self.parts["known_future"] - np.einsum("ihk,i,ih->hk", known, shrunk, future, optimize=True)
        weights = np.linalg.solve(own, right[:, :, None])[:, :, 0]
        return shrunk[:, None] * (future - np.einsum("ihk,hk->ih", known, weights)), weights

    def weights(self, alpha):
        """Weights `(lookback, horizon)` and `(horizon, known)`, and the intercept `(horizon,)`."""
        rotated, known = self.solve(alpha)
        coef = self.vectors @ rotated
        (mean, known_mean), lookback = self.means, self.lookback
        intercept = mean[lookback:] - mean[:lookback] @ coef - (known_mean * known).sum(axis=1)
        return coef, known, intercept

    def errors(self, moments, alphas):
        """Mean squared error over the windows of other moments, for each strength."""
        moments = _about(_centred(moments, self.horizon, self.lookback, self.centre), self.means)
        parts = _parts(moments, self.horizon)
        rotated = self._rotate(parts)
        seen = self.vectors.T @ parts["seen"] @ self.vectors
        errors = []
        if not rotated["known"].size:
            # Only the shrinkage changes from one strength to the next, so all steps go together.
            future = self.rotated["future"]
            seen *= future @ future.T
            linear = np.sum(future * rotated["future"], axis=1)
            for alpha in alphas:
                shrunk = 1.0 / (self.values + alpha)
                errors.append(shrunk @ seen @ shrunk - 2 * shrunk @ linear)
        else:
            for alpha in alphas:
                weights, known = self.solve(alpha)
                mapped = seen @ weights + 2 * np.einsum("ihk,hk->ih", rotated["known"], known)
                error = np.sum(weights * (mapped - 2 * rotated["future"]))
                error += np.einsum("hk,hkj,hj->", known, parts["known_products"], known)
                errors.append(error - 2 * np.sum(known * parts["known_future"]))
        return (np.array(errors) + parts["squares"].sum()) / (moments.count * self.horizon)


def _search(learnt, judged, horizon, settings, alphas):
    """Validation errors of all settings, as dicts."""
    tried = []
    for lookback, centre in dict.fromkeys((lookback, min(lookback, centre)) for lookback, centre in settings):
        solved = _Solved(learnt, horizon, lookback, centre)
        strengths = _STRENGTHS * solved.strength if alphas is None else np.asarray(alphas, dtype=np.float64)
        errors = np.mean([solved.errors(part, strengths) for part in judged], axis=0)
        for alpha, error in zip(strengths, errors, strict=True):
            setting = {"lookback": lookback, "centre": centre, "alpha": float(alpha)}
            tried.append({**setting, "validation_mse": float(error)})
    return tried


def _level_weights(lookback, centre):
    weights = np.zeros(lookback)
    weights[lookback - centre :] = 1 / centre
    return weights


def _centred(moments, horizon, lookback, centre):
    """Moments of the last `lookback` rows and the horizon, each window less its level."""
    at = slice(len(moments.sums) - horizon - lookback, None)
    sums, products, cross = moments.sums[at], moments.products[at, at], moments.cross[at]
    if centre:
        level = np.append(_level_weights(lookback, centre), np.zeros(horizon))
        row = level @ products
        # (I - 1 c') P (I - c 1'), of which P is symmetric.
        products = products - row - row[:, None] + row @ level
        sums = sums - level @ sums
        cross = cross - np.tensordot(level, cross, axes=1)
    return moments._replace(sums=sums, products=products, cross=cross)


def _about(moments, means):
    """Moments of all values less the given means."""
    count, (mean, known_mean) = moments.count, means
    sums, known = moments.sums, moments.known_sums
    products = moments.products - np.outer(sums, mean) - np.outer(mean, sums - count * mean)
    left = known[:, :, None] * known_mean[:, None] + known_mean[:, :, None] * known[:, None]
    known_products = moments.known_products - left
    known_products = known_products + count * known_mean[:, :, None] * known_mean[:, None]
    cross = moments.cross - sums[:, None, None] * known_mean
    cross = cross - mean[:, None, None] * (known - count * known_mean)
    return Moments(count, sums - count * mean, products, known - count * known_mean, known_products, cross)


def _parts(moments, horizon):
    """The blocks of centred moments that the normal equations are made of."""
    lookback, steps = len(moments.sums) - horizon, np.arange(horizon)
    return {
        "seen": moments.products[:lookback, :lookback],
        "future": moments.products[:lookback, lookback:],
        "squares": moments.products.diagonal()[lookback:],
        "known": moments.cross[:lookback],
        # Each step's value beside the known columns of its own row.
        "known_future": moments.cross[lookback + steps, steps],
        "known_products": moments.known_products,
    }


def _describe(panel, spec):
    return [int(spec.context_length), int(spec.horizon), list(spec.known_columns(panel))]


def _choices(name, values, least, whole):
    """The candidates of an option as a list, or None."""
    if values is None:
        return None
    kinds = (int, np.integer) if whole else (int, float, np.number)
    listed = list(values) if isinstance(values, list | tuple | range | np.ndarray) else [values]
    good = all(isinstance(v, kinds) and not isinstance(v, bool) and least <= v < np.inf for v in listed)
    if not listed or not good or (not whole and min(listed) == 0):
        what = f"ints >= {least}" if whole else "floats > 0"
        raise ValueError(f"`{name}` must be {what}, one or a list of them. Received: {name}={values!r}.")
    return listed
