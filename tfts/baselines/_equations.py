"""Ridge regression from the moments of windows: solved for every strength, scored on other moments."""

import typing

import numpy as np

from tfts.baselines._moments import Moments

# Share of the largest eigenvalue below which a direction is rounding.
_LEAST = 1e-13


class Layout(typing.NamedTuple):
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


class LinearMap(typing.NamedTuple):
    """A linear map of windows, their level included, and of the known columns.

    Attributes:
        coef: `(inputs, outputs)`, of the last rows of the window.
        known: `(outputs, known)`.
        intercept: `(outputs,)`.
        drift: `(outputs,)`, the part of the intercept that is a mean change; the rest of it
            stands against the means of the known columns.
    """

    coef: np.ndarray
    known: np.ndarray
    intercept: np.ndarray
    drift: np.ndarray

    @classmethod
    def mean(cls, maps, weights):
        """The weighted mean of maps, as one map of the longest windows."""
        coef = np.zeros(max((map.coef.shape for map in maps), key=lambda shape: shape[0]))
        for map, weight in zip(maps, weights, strict=True):
            coef[-len(map.coef) :] += weight * map.coef
        rest = ([getattr(map, name) for map in maps] for name in ("known", "intercept", "drift"))
        return cls(coef, *(np.tensordot(weights, part, axes=1) for part in rest))

    def mean_errors(self, moments):
        """Mean errors `(outputs,)` over the windows of moments."""
        inputs, outputs = self.coef.shape
        sums = moments.sums[-inputs - outputs :]
        left = sums[inputs:] - sums[:inputs] @ self.coef - (moments.known_sums * self.known).sum(axis=1)
        return left / moments.count - self.intercept


class Products(typing.NamedTuple):
    """The sums of products that normal equations and their errors are made of.

    Attributes:
        seen: `(inputs, inputs)`, of pairs of inputs.
        future: `(inputs, outputs)`, of inputs and outputs.
        squares: `(outputs,)`, of the outputs.
        known: `(inputs, outputs, known)`, of inputs and the known columns of an output's row.
        known_future: `(outputs, known)`, of an output and the known columns of its row.
        known_products: `(outputs, known, known)`, of pairs of known columns of a row.
    """

    seen: np.ndarray
    future: np.ndarray
    squares: np.ndarray
    known: np.ndarray
    known_future: np.ndarray
    known_products: np.ndarray

    def less(self, coef, known):
        """The same sums with what a map forecasts taken from the outputs."""
        future = self.future - self.seen @ coef - np.einsum("iok,ok->io", self.known, known, optimize=True)
        known_future = self.known_future - np.einsum("iok,io->ok", self.known, coef, optimize=True)
        known_future = known_future - np.einsum("okj,oj->ok", self.known_products, known)
        squares = self.squares - np.sum(coef * (self.future + future), axis=0)
        squares = squares - np.sum(known * (self.known_future + known_future), axis=1)
        return self._replace(future=future, squares=squares, known_future=known_future)


class Centred:
    """The normal equations of windows of one lookback, less their level.

    Args:
        moments: `Moments` of windows of at least `lookback` rows.
        layout: A `Layout`.
        lookback: Int, rows of the window that are used.
        centre: Int, the last rows whose mean is the level; 0 for none.
    """

    def __init__(self, moments, layout, lookback, centre):
        self.layout, self.lookback, self.centre = layout, lookback, centre
        moments = _centred(moments, layout, lookback, centre)
        self.means = moments.sums / moments.count, moments.known_sums / moments.count
        self.products = products_about(moments, self.means, layout.outputs)

    def products_of(self, moments):
        """The `Products` of other windows, about the means of these."""
        moments = _centred(moments, self.layout, self.lookback, self.centre)
        return products_about(moments, self.means, self.layout.outputs)

    def map(self, coef, known):
        """The `LinearMap` of windows with their level."""
        (mean, known_mean), inputs = self.means, len(coef)
        drift = mean[inputs:] - mean[:inputs] @ coef
        if self.centre:
            features, targets = self.layout.features, self.layout.targets
            level = _level_weights(self.lookback, self.centre)[:, None, None, None]
            apart = coef.reshape(self.lookback, features, self.layout.horizon, targets)
            # The targets come first among the features.
            apart = apart + level * (np.eye(features, targets)[:, None] - apart.sum(axis=0))
            coef = apart.reshape(coef.shape)
        return LinearMap(coef, known, drift - (known_mean * known).sum(axis=1), drift)


class Solved:
    """Ridge regression by `Products`, for every strength at once.

    Args:
        products: `Products`.
        like: A `Solved` of the same inputs, whose eigenvectors are taken.
    """

    def __init__(self, products, like=None):
        self.products = products
        inputs, outputs = products.future.shape
        squares = np.trace(products.seen) + products.squares.sum()
        self.strength = squares / (inputs + outputs) or 1.0
        if like is None:
            values, self.vectors = np.linalg.eigh(products.seen)
            self.values = np.maximum(values, _LEAST * max(values[-1], self.strength))
        else:
            self.values, self.vectors = like.values, like.vectors
        self.rotated = self._rotate(products)

    def _rotate(self, products):
        return {
            "future": self.vectors.T @ products.future,
            "known": np.tensordot(self.vectors.T, products.known, axes=1),
        }

    def weights(self, alpha):
        """Weights `(inputs, outputs)` of the inputs and `(outputs, known)` of the known columns."""
        rotated, known = self._solve(alpha)
        return self.vectors @ rotated, known

    def _solve(self, alpha):
        shrunk = 1.0 / (self.values + alpha)
        future, known = self.rotated["future"], self.rotated["known"]
        own = self.products.known_products + alpha * np.eye(known.shape[2])
        own = own - np.einsum("ihk,i,ihj->hkj", known, shrunk, known, optimize=True)
        right = np.einsum("ihk,i,ih->hk", known, shrunk, future, optimize=True)
        weights = np.linalg.solve(own, (self.products.known_future - right)[:, :, None])[:, :, 0]
        return shrunk[:, None] * (future - np.einsum("ihk,hk->ih", known, weights)), weights

    def errors(self, products, alphas):
        """Sum of squared errors by other `Products`, for each strength."""
        rotated = self._rotate(products)
        seen = self.vectors.T @ products.seen @ self.vectors
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
                weights, known = self._solve(alpha)
                mapped = seen @ weights + 2 * np.einsum("ihk,hk->ih", rotated["known"], known)
                error = np.sum(weights * (mapped - 2 * rotated["future"]))
                error += np.einsum("hk,hkj,hj->", known, products.known_products, known)
                errors.append(error - 2 * np.sum(known * products.known_future))
        return np.array(errors) + products.squares.sum()


class Seasonal:
    """Regression in which all phases of a season share one map from seasons to seasons.

    A row of the horizon is forecast from the rows of its own phase in the seasons of the
    window, the means of these seasons and the last season, in order; the rows before the
    last whole seasons of the window have no part.

    Args:
        season_length: Int >= 2, rows in a season; it divides the horizon.
        lookback: Int >= `season_length`, rows of the window.

    Source: Lin et al., SparseTSF: Modeling Long-term Time Series Forecasting with 1k
    Parameters, ICML 2024 (one map for all phases).
    """

    def __init__(self, season_length, lookback):
        self.season_length = season_length
        self.seasons = lookback // season_length
        self.before = lookback % season_length

    def products(self, products):
        """The `Products` of the inputs of the phases and whole seasons of the horizon, all phases together."""
        rows, season = self.seasons, self.season_length
        seen = products.seen[self.before :, self.before :].reshape(rows, season, rows, season)
        total = seen.sum(axis=(1, 3))
        phases, last = np.einsum("ipjp->ij", seen), seen[:, :, -1].sum(axis=1)
        # Every sum is over phases; means and the last season are the same for each of them.
        means = total / np.sqrt(season)
        blocks = [
            [phases, means, last],
            [means.T, total, np.sqrt(season) * last],
            [last.T, np.sqrt(season) * last.T, season * seen[-1, :, -1]],
        ]
        steps, known = len(products.squares) // season, products.known_future.shape[1]
        return Products(
            np.block(blocks),
            self._inputs(products.future[:, :, None])[:, :, 0],
            products.squares.reshape(steps, season).sum(axis=1),
            self._inputs(products.known),
            products.known_future.reshape(steps, season, known).sum(axis=1),
            products.known_products.reshape(steps, season, known, known).sum(axis=1),
        )

    def _inputs(self, values):
        """Sums over phases of products `(inputs, outputs, some)` with something of the output's row."""
        rows, season = self.seasons, self.season_length
        outputs, known = values.shape[1:]
        apart = values[self.before :].reshape(rows, season, outputs // season, season, known)
        phases = np.einsum("ipjpk->ijk", apart)
        means = apart.sum(axis=(1, 3)) / np.sqrt(season)
        return np.concatenate([phases, means, apart[-1].sum(axis=2)])

    def weights(self, coef, known):
        """The weights of the rows of a window and of the known columns, from those of the seasons."""
        rows, season = self.seasons, self.season_length
        phases, means, last = np.split(coef, [rows, 2 * rows])
        apart = np.zeros((rows, season, coef.shape[1], season))
        apart[:] = means[:, None, :, None] / np.sqrt(season)
        phase = np.arange(season)
        apart[:, phase, :, phase] += phases
        apart[-1] += last[:, :, None]
        free = np.zeros((self.before, coef.shape[1] * season))
        return np.concatenate([free, apart.reshape(rows * season, -1)]), np.repeat(known, season, axis=0)


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


def products_about(moments, means, outputs):
    """The `Products` of all values less the given means, of horizons of so many values."""
    moments = _about(moments, means)
    inputs, steps = len(moments.sums) - outputs, np.arange(outputs)
    return Products(
        seen=moments.products[:inputs, :inputs],
        future=moments.products[:inputs, inputs:],
        squares=moments.products.diagonal()[inputs:],
        known=moments.cross[:inputs],
        # Each step's value beside the known columns of its own row.
        known_future=moments.cross[inputs + steps, steps],
        known_products=moments.known_products,
    )


def products_of_errors(maps, moments):
    """Mean products `(maps + 1, maps + 1)` of forecasts with each other and, last, with the true values."""
    outputs = len(maps[0].intercept)
    means = moments.sums / moments.count, moments.known_sums / moments.count
    parts = products_about(moments, means, outputs)
    inputs = len(parts.seen)
    coefs, knowns, rest = [], [], []
    for map in maps:
        coef = np.zeros((inputs, outputs))
        coef[-len(map.coef) :] = map.coef
        coefs.append(coef)
        knowns.append(map.known)
        rest.append(map.mean_errors(moments))
    products = np.empty((len(maps) + 1,) * 2)
    for j, (coef, known, constant) in enumerate(zip(coefs, knowns, rest, strict=True)):
        seen = parts.seen @ coef + np.einsum("iok,ok->io", parts.known, known, optimize=True)
        own = np.einsum("iok,io->ok", parts.known, coef, optimize=True)
        own += np.einsum("okj,oj->ok", parts.known_products, known)
        for i in range(len(maps)):
            together = np.vdot(coefs[i], seen) + np.vdot(knowns[i], own)
            products[i, j] = together + moments.count * np.vdot(rest[i], constant)
        products[-1, j] = products[j, -1] = np.vdot(coef, parts.future) + np.vdot(known, parts.known_future)
    products[-1, -1] = parts.squares.sum()
    return products / (moments.count * outputs)
