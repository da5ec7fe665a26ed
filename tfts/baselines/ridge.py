"""Ridge regression on windows; lookback, centring and strength are found in closed form."""

import typing

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts.baselines._moments import Moments, flat_moments, window_moments
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
    """Ridge regression from windows to their horizon, with its settings searched.

    A forecast is the level of the window (the mean of its last rows) plus a linear map of
    the last `lookback` rows less that level; each step of the horizon also sees the
    `known_future` columns of its own row. The moments of all windows are summed once (see
    `window_moments`); every lookback, centre and strength is then solved and scored on
    validation rows without reading the data again: one eigendecomposition for each lookback
    and centre gives the weights for all strengths. The best setting is fitted to all
    training windows that it can use.

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
        inputs: `"own"`, a target is forecast from its own window, or `"all"`, from the
            windows of all columns of `past`, each less its own level. With `"all"` every
            target has weights of its own, and the work grows with the cube of
            `context_length` times columns.

    Attributes:
        chosen_: List of dicts, one for each map: `targets`, `lookback`, `centre`,
            `alpha` and `validation_mse` (in the units of the panel squared; absent
            where there was nothing to choose).
        search_: List of such dicts: all that was tried, see `search_table`.
        coef_: Float64 `(maps, context_length, horizon)`, zero before the lookback; with
            `inputs="all"` `(1, context_length * columns, horizon * targets)`.
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
    last value: Zeng et al., Are Transformers Effective for Time Series Forecasting?, AAAI 2023.
    """

    def __init__(self, lookbacks=None, centres=None, alphas=None, weights="shared", inputs="own"):
        self.lookbacks = _choices("lookbacks", lookbacks, 1, whole=True)
        self.centres = _choices("centres", centres, 0, whole=True)
        self.alphas = _choices("alphas", alphas, 0, whole=False)
        if isinstance(weights, str) and weights not in ("best", "own", "shared"):
            raise ValueError(unknown("weights", weights, ("best", "own", "shared")))
        if inputs not in ("all", "own"):
            raise ValueError(unknown("inputs", inputs, ("all", "own")))
        if inputs == "all" and weights != "shared":
            raise ValueError(
                "`weights` belongs to inputs='own': from the windows of all columns, every target has weights of "
                f"its own. Received: weights={weights!r}, inputs='all'."
            )
        self.weights = weights
        self.inputs = inputs

    @property
    def num_parameters(self):
        """Weights and intercepts."""
        rows = sum(chosen["lookback"] for chosen in self.chosen_)
        used = rows * (self.coef_[0].size // self.window_[0])
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
                    self._moments(split.train, spec, targets),
                    [self._moments(part, every, targets) for part in judged],
                    self._layout(panel, spec),
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

    def _layout(self, panel, spec):
        if self.inputs == "own":
            return _Layout(1, spec.horizon, 1)
        return _Layout(len(spec.features(panel)), spec.horizon, len(self.targets_))

    def _moments(self, panel, spec, targets):
        rows = spec.origins(panel)
        if self.inputs == "own":
            return window_moments(panel, spec, rows, targets)
        return flat_moments(panel, spec, rows)

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
        self.window_ = self._describe(panel, spec)
        layout, maps = self._layout(panel, spec), len(self.chosen_)
        self.coef_ = np.zeros((maps, spec.context_length * layout.features, layout.outputs))
        self.known_coef_ = np.empty((maps, layout.outputs, len(spec.known_columns(panel))))
        self.intercept_ = np.empty((maps, layout.outputs))
        for i, chosen in enumerate(self.chosen_):
            lookback = chosen["lookback"]
            seen = WindowSpec(lookback, spec.horizon, spec.targets, spec.known_future, spec.stride)
            moments = self._moments(panel, seen, chosen["targets"])
            solved = _Solved(moments, layout, lookback, chosen["centre"])
            coef, self.known_coef_[i], self.intercept_[i] = solved.weights(chosen["alpha"])
            self.coef_[i, -len(coef) :] = coef

    def _describe(self, panel, spec):
        described = [int(spec.context_length), int(spec.horizon), list(spec.known_columns(panel))]
        return described if self.inputs == "own" else [*described, list(spec.features(panel))]

    def _forecast(self, panel, spec, rows):
        window = self._describe(panel, spec)
        if window != self.window_:
            names = "context_length, horizon, known_future" + ", columns" * (self.inputs == "all")
            raise ValueError(
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
            for i, chosen in enumerate(self.chosen_):
                columns = [self.targets_.index(target) for target in chosen["targets"]]
                part = past if self.inputs == "all" else past[:, :, columns]
                forecast[at : at + step, :, columns] = self._mapped(i, part, ahead)
        return forecast

    def _mapped(self, i, past, ahead):
        """Forecasts `(windows, horizon, targets)` of one map from `(windows, context_length, columns)`."""
        count, length, columns = past.shape
        lookback, centre = self.chosen_[i]["lookback"], self.chosen_[i]["centre"]
        own = self.inputs == "own"
        if own:
            past = past.transpose(0, 2, 1).reshape(-1, length, 1)
        past = past[:, -lookback:]
        level = np.zeros((len(past), past.shape[2]))
        if centre:
            level = past[:, -centre:].mean(axis=1)
        seen = (past - level[:, None]).reshape(len(past), -1)
        mapped = seen @ self.coef_[i, -seen.shape[1] :] + self.intercept_[i]
        mapped = mapped.reshape(len(past), ahead.shape[1], mapped.shape[1] // ahead.shape[1])
        mapped += level[:, None, : mapped.shape[2]]
        if own:
            mapped = mapped.reshape(count, columns, -1).transpose(0, 2, 1)
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
        kernel = np.zeros((length, features, horizon, targets))
        ahead, intercept = np.empty((horizon, len(known), targets)), np.empty((horizon, targets))
        for i, chosen in enumerate(self.chosen_):
            lookback, centre = chosen["lookback"], chosen["centre"]
            if not centre:
                raise ValueError(
                    "A ridge with a centre of 0 has no map for windows less their level. Expected centres >= 1. "
                    f"Received: chosen_={chosen}."
                )
            level = np.zeros(length)
            level[-lookback:] = _level_weights(lookback, centre)
            columns = [self.targets_.index(target) for target in chosen["targets"]]
            coef = self.coef_[i].reshape(length, -1, horizon, len(columns) if self.inputs == "all" else 1)
            coef = coef - level[:, None, None, None] * coef.sum(axis=0)
            for j, column in enumerate(columns):
                own = self.inputs == "own"
                if own:
                    kernel[:, column, :, column] = coef[:, 0, :, 0]
                else:
                    kernel[..., column] = coef[..., j]
                kernel[:, column, :, column] += level[:, None]
                at = slice(None) if own else slice(j, None, len(columns))
                ahead[..., column] = self.known_coef_[i][at]
                intercept[:, column] = self.intercept_[i][at]
        return kernel, ahead, intercept


class _Layout(typing.NamedTuple):
    """How many columns stand side by side in the rows of a window and of its horizon."""

    features: int
    horizon: int
    targets: int

    @property
    def outputs(self):
        return self.horizon * self.targets

    def channels(self, lookback):
        """The column that each entry of a window and its horizon belongs to."""
        return np.append(
            np.tile(np.arange(self.features), lookback), np.tile(np.arange(self.targets), self.horizon)
        )


class _Solved:
    """The normal equations of one lookback and centre, solved for every strength at once."""

    def __init__(self, moments, layout, lookback, centre):
        self.layout, self.lookback, self.centre = layout, lookback, centre
        moments = _centred(moments, layout, lookback, centre)
        self.count = moments.count
        self.means = moments.sums / self.count, moments.known_sums / self.count
        moments = _about(moments, self.means)
        self.parts = _parts(moments, layout.outputs)
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
        """Weights `(inputs, outputs)` and `(outputs, known)`, and the intercept `(outputs,)`."""
        rotated, known = self.solve(alpha)
        coef = self.vectors @ rotated
        (mean, known_mean), inputs = self.means, len(coef)
        intercept = mean[inputs:] - mean[:inputs] @ coef - (known_mean * known).sum(axis=1)
        return coef, known, intercept

    def errors(self, moments, alphas):
        """Mean squared error over the windows of other moments, for each strength."""
        moments = _about(_centred(moments, self.layout, self.lookback, self.centre), self.means)
        parts = _parts(moments, self.layout.outputs)
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
        return (np.array(errors) + parts["squares"].sum()) / (moments.count * self.layout.outputs)


def _search(learnt, judged, layout, settings, alphas):
    """Validation errors of all settings, as dicts."""
    tried = []
    for lookback, centre in dict.fromkeys((lookback, min(lookback, centre)) for lookback, centre in settings):
        solved = _Solved(learnt, layout, lookback, centre)
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


def _centred(moments, layout, lookback, centre):
    """Moments of the last `lookback` rows and the horizon, each window less its level."""
    inputs = lookback * layout.features
    at = slice(len(moments.sums) - layout.outputs - inputs, None)
    sums, products, cross = moments.sums[at], moments.products[at, at], moments.cross[at]
    if centre:
        level = np.kron(_level_weights(lookback, centre), np.eye(layout.features))
        level = np.append(level, np.zeros((layout.features, layout.outputs)), axis=1)
        channel, row = layout.channels(lookback), level @ products
        # (I - C) P (I - C'), of which P is symmetric and C takes each entry's level.
        taken = row[channel]
        products = products - taken - taken.T + (row @ level.T)[channel][:, channel]
        sums = sums - (level @ sums)[channel]
        cross = cross - np.tensordot(level, cross, axes=1)[channel]
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


def _parts(moments, outputs):
    """The blocks of centred moments that the normal equations are made of."""
    inputs, steps = len(moments.sums) - outputs, np.arange(outputs)
    return {
        "seen": moments.products[:inputs, :inputs],
        "future": moments.products[:inputs, inputs:],
        "squares": moments.products.diagonal()[inputs:],
        "known": moments.cross[:inputs],
        # Each step's value beside the known columns of its own row.
        "known_future": moments.cross[inputs + steps, steps],
        "known_products": moments.known_products,
    }


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
