"""What one pass over a table tells: its scaling, its curvature and its least squares."""

import numpy as np

# Rows that are turned into float64 at once.
_CHUNK = 65_536


class Moments:
    """Weighted first and second moments of the features and targets, batch by batch.

    Everything full-batch least squares needs is in them, so a table that does not fit in
    memory is read once. Sums are of the values less the first batch's mean, because sums
    of squares of a year or a price lose the digits that matter.

    Args:
        num_features: Int >= 1.
        num_targets: Int >= 1.
        products: Bool, whether to sum the products of all pairs of columns. For wide
            tables they take longer than the descent; without them only the scaling is known.

    Attributes:
        rows: Int, rows with a weight above 0.
        weight: Float, sum of the weights.
        lowest: Float64 `(num_features,)`, the smallest value of each feature.
        highest: The same for the largest.

    Example:

    >>> moments = Moments(num_features=1, num_targets=1)
    >>> moments.update(np.array([[1.0], [3.0]]), np.array([[5.0], [9.0]]), np.array([1.0, 1.0]))
    >>> moments.mean.tolist(), moments.deviation.tolist()
    ([2.0, 7.0], [1.0, 2.0])

    Source: Chan, Golub and LeVeque, Algorithms for computing the sample variance, The
    American Statistician, 1983, for the shift.
    """

    def __init__(self, num_features, num_targets, products=True):
        size = num_features + num_targets
        self.num_features = num_features
        self.rows, self.weight, self.heaviest = 0, 0.0, 0.0
        self.lowest, self.highest = np.full(num_features, np.inf), np.full(num_features, -np.inf)
        self._shift = None
        self._sums = np.zeros(size)
        self._products = np.zeros((size, size)) if products else None
        self._squares = np.zeros(size)

    @property
    def has_products(self):
        """Whether the products of all pairs of columns are known."""
        return self._products is not None

    def update(self, features, targets, weights):
        """Adds rows: `(rows, num_features)`, `(rows, num_targets)` and `(rows,)`."""
        for begin in range(0, len(features), _CHUNK):
            part = slice(begin, begin + _CHUNK)
            weight = weights[part].astype(np.float64)
            table = np.concatenate([features[part], targets[part]], axis=1).astype(np.float64)
            if not weight.all():
                table, weight = table[weight > 0], weight[weight > 0]
            if len(table):
                self._add(table, weight)

    def _add(self, table, weight):
        if self._shift is None:
            self._shift = np.average(table, axis=0, weights=weight)
        features = table[:, : self.num_features]
        self.lowest = np.minimum(self.lowest, features.min(axis=0))
        self.highest = np.maximum(self.highest, features.max(axis=0))
        self.rows += len(table)
        self.weight += weight.sum()
        self.heaviest = max(self.heaviest, weight.max())
        table -= self._shift
        weighted = table * weight[:, None]
        self._sums += weighted.sum(axis=0)
        if self._products is None:
            self._squares += (weighted * table).sum(axis=0)
        else:
            self._products += weighted.T @ table
            self._squares = np.diag(self._products)

    @property
    def mean(self):
        """Weighted mean of each feature and target, float64."""
        return self._shift + self._sums / self.weight

    @property
    def deviation(self):
        """Weighted standard deviation of each, 0 where only rounding differs from a constant."""
        variance = self._squares / self.weight - (self._sums / self.weight) ** 2
        size = np.abs(np.concatenate([self.lowest, self._shift[self.num_features :]]))
        noise = 10 * np.finfo(np.float64).eps * np.maximum(size, np.abs(self._shift))
        return np.where(variance > noise**2, np.sqrt(np.maximum(variance, 0.0)), 0.0)

    def normal(self, offset, scale):
        """Mean products of `[(features - offset) / scale, 1, targets]`, float64 and square."""
        gap = self._shift - np.concatenate([offset, np.zeros(len(self._shift) - len(offset))])
        unit = np.concatenate([scale, np.ones(len(gap) - len(scale))])
        mean = self._sums / self.weight
        products = self._products / self.weight
        products = products + np.outer(mean, gap) + np.outer(gap, mean) + np.outer(gap, gap)
        products /= np.outer(unit, unit)
        column = (mean + gap) / unit
        at = self.num_features
        products = np.insert(np.insert(products, at, column, axis=0), at, np.insert(column, at, 1.0), axis=1)
        return products

    def longest(self, offset, scale):
        """No scaled row, weighted and with its 1 for the intercept, has a larger squared norm."""
        reach = np.maximum(np.abs(self.highest - offset), np.abs(self.lowest - offset)) / scale
        return (1.0 + (reach**2).sum()) * self.heaviest * self.rows / self.weight
