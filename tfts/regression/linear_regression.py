"""Linear regression by gradient descent, or in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from sklearn.base import MultiOutputMixin, RegressorMixin

from tfts._messages import unknown
from tfts.errors import DataError, SettingError
from tfts.regression._estimator import DescentEstimator

if TYPE_CHECKING:
    import pandas as pd
    from keras.optimizers.schedules import LearningRateSchedule
    from typing_extensions import Self


METHODS = ("gd", "ols")


class LinearRegression(MultiOutputMixin, RegressorMixin, DescentEstimator):
    """Fits `y = X coef + intercept` with the least mean squared error.

    The cost is half the mean squared error and the penalties of the weights of the scaled
    features; each step goes against its slope `X'(Xw - y) / rows`.

    Args:
        learning_rate: A number: that rate in every epoch. A Keras `LearningRateSchedule`:
            asked at the start of each epoch, with the number of steps done. `"adaptive"`:
            from the safe rate, times 1.05 after a better epoch and halved after a worse
            one; with `batch_size=None` a worse epoch is taken back. `"auto"`: the safe
            rate; over all rows with Nesterov's acceleration, which restarts where it would
            climb (and, for classifiers, with the changes of `"adaptive"`), over batches
            divided by the root of the epoch's number. Every other choice is plain
            gradient descent.
        batch_size: Rows in a step. None takes all rows, 1 is stochastic gradient descent.
        max_iter: Most epochs.
        tol: Stops when no scaled feature has a correlation with the residuals above `tol`
            (in units of the deviation of `y`); with batches, when the cost falls by less than
            this share of itself. None makes exactly `max_iter` epochs.
        n_iter_no_change: Stops after so many epochs in a row without a better cost.
        early_stopping: Whether to hold out rows, stop when the loss on them no longer
            falls, and give back the weights that were best on them.
        validation_fraction: Share of the rows held out by `early_stopping`.
        l1: Strength of `l1 * sum |w|` over the weights of the scaled features.
        l2: Strength of `l2 / 2 * sum w^2`. The intercept is never shrunk.
        fit_intercept: Whether there is an intercept.
        scaling: `"standardize"` (mean 0, deviation 1), `"normalize"` (0 to 1) or None,
            learnt in `fit` and used again in `predict`. Without an intercept features are
            only divided, not moved. A constant column gets the weight 0.
        method: `"gd"`, gradient descent, or `"ols"`, the normal equations at once, which
            `l1` has none of, and which ask nothing of the options of the descent.
        standard_errors: Whether to compute them; they are those of ordinary (or weighted)
            least squares, so `l1` and `l2` must be 0.
        warm_start: Whether `fit` goes on from the weights of the last fit.
        record_weights: Whether the history holds the weights.
        random_state: Int or None: seed of the order of rows and of the rows held out.

    Attributes:
        coef_: `(features,)` or `(targets, features)`, in original units.
        intercept_: Float or `(targets,)`.
        standard_errors_: Like `coef_`, if asked for.
        intercept_standard_error_: Like `intercept_`, if asked for.
        offset_: `(features,)`, and `scale_`: `scaled = (X - offset_) / scale_`.
        safe_rate_: The learning rate that is sure to converge: one over the largest second
            derivative of the cost (for batches, see Gower et al.).
        history_: Dict of arrays with one value an epoch: `"cost"`, `"mse"`,
            `"learning_rate"`, with `early_stopping` `"val_mse"`; with `record_weights`
            `"weights"` `(epochs + 1, columns, targets)`, the start first and the intercept
            in the last column. Over batches costs are the mean of those met on the way.
        n_iter_: Epochs made.
        n_features_in_: Int, and `feature_names_in_`, if `X` has names.

    Raises:
        ValueError: In `fit`, if an option has a wrong value, a value is missing, or the
            descent diverged; that message names the rate that would do.

    Example:

    >>> X, y = np.array([[5.0], [15.0], [25.0], [35.0], [45.0]]), np.array([0, 0, 1, 1, 1])
    >>> model = LinearRegression().fit(X, y)
    >>> model.predict(X[1:]).round(3).tolist()
    [0.3, 0.6, 0.9, 1.2]

    Source: Gower et al., SGD: general analysis and improved rates, ICML 2019, for the safe
    rate of batches; see `descent.descend` for the rest.
    """

    _CURVATURE = 1.0
    _LOSS = "mse"
    _OUTPUT = "value"

    def __init__(
        self,
        learning_rate: float | Literal["auto", "adaptive"] | LearningRateSchedule = "auto",
        batch_size: int | None = None,
        max_iter: int = 2000,
        tol: float | None = 1e-06,
        n_iter_no_change: int = 5,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        l1: float = 0.0,
        l2: float = 0.0,
        fit_intercept: bool = True,
        scaling: Literal["standardize", "normalize"] | None = "standardize",
        method: Literal["gd", "ols"] = "gd",
        standard_errors: bool = False,
        warm_start: bool = False,
        record_weights: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(
            learning_rate,
            batch_size,
            max_iter,
            tol,
            n_iter_no_change,
            early_stopping,
            validation_fraction,
            l1,
            l2,
            fit_intercept,
            scaling,
            warm_start,
            record_weights,
            random_state,
        )
        self.method = method
        self.standard_errors = standard_errors

    def predict(self, X: npt.ArrayLike | pd.DataFrame) -> npt.NDArray[np.float64]:
        """The expected targets, `(rows,)` or `(rows, targets)`, in the dtype of `X`.

        Args:
            X: `(rows, features)`.
        """
        outputs, dtype = self._outputs(X)
        outputs = outputs.astype(dtype, copy=False)
        return outputs[:, 0] if self.coef_.ndim == 1 else outputs

    def partial_fit(
        self, X: npt.ArrayLike | pd.DataFrame, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> Self:
        """One epoch over these rows, going on from the calls before.

        Scaling and the safe learning rate are those of the rows of the first call.

        Args:
            X: `(rows, features)`.
            y: `(rows,)` or `(rows, targets)`.
            sample_weight: `(rows,)`.

        Returns:
            The estimator.

        Raises:
            ValueError: As in `fit`; and with `method="ols"` or `standard_errors`, which
                need all rows.
        """
        if self.method == "ols" or self.standard_errors:
            raise DataError(
                "partial_fit makes one epoch of gradient descent, and method='ols' and standard_errors=True need "
                "all rows at once. Use fit."
            )
        return self._partial_fit(X, y, sample_weight, first=not hasattr(self, "coef_"))

    def _link(self):
        return "identity"

    def _activation(self):
        return "linear"

    def _y_options(self):
        return {"y_numeric": True, "multi_output": True}

    def _encode(self, y, learn=True):
        if learn:
            self._flat = y.ndim == 1
        return y.reshape(len(y), -1)

    def _adopt(self, found):
        self._flat = not found.target_shape
        return int(np.prod(found.target_shape)), None, 1.0

    def _keep(self, coefficients, intercept):
        self.coef_ = coefficients[0] if self._flat else coefficients
        if not self.fit_intercept:
            self.intercept_ = 0.0
        else:
            self.intercept_ = float(intercept[0]) if self._flat else intercept

    def _needs_products(self, num_features):
        return self.method == "ols" or self.standard_errors or super()._needs_products(num_features)

    def _target_unit(self, moments, num_outputs):
        spread = moments.deviation[moments.num_features :]
        size = np.where(spread > 0, spread, np.abs(moments.mean[moments.num_features :]))
        return np.where(size > 0, size, 1.0)

    def _ignorance(self, moments, num_outputs):
        """Cost of zero weights."""
        targets = slice(moments.num_features, None)
        return float((moments.deviation[targets] ** 2 + moments.mean[targets] ** 2).sum() / 2)

    def _check_options(self):
        super()._check_options()
        if self.method not in METHODS:
            raise SettingError(unknown("method", self.method, METHODS))
        if self.method == "ols" and self.l1:
            raise SettingError(
                f"method='ols' solves the normal equations, and l1={self.l1} has none. Use method='gd', or l2."
            )
        if self.method == "ols" and self.early_stopping:
            raise SettingError(
                "method='ols' makes no epochs, so that early_stopping=True can't act. Use method='gd'."
            )
        if self.standard_errors and (self.l1 or self.l2):
            raise SettingError(
                "Standard errors are those of least squares without penalties. Give l1=0 and l2=0, or leave out "
                f"standard_errors=True. Received: l1={self.l1}, l2={self.l2}."
            )

    def _descend(self, rows, held, plan, kept, centre, moments, num_outputs):
        if self.method == "gd":
            super()._descend(rows, held, plan, kept, centre, moments, num_outputs)
        else:
            self._solve(moments, num_outputs)
        if self.standard_errors:
            self._find_standard_errors(moments, num_outputs)

    def _reducible(self, moments, num_rows):
        return self.method == "ols" or super()._reducible(moments, num_rows)

    def _solve(self, moments, num_outputs):
        """The weights with the lowest cost; of many, the shortest."""
        normal = self._normal(moments)
        columns = len(normal) - num_outputs
        start = moments.num_features
        penalty = np.full(columns, float(self.l2))
        penalty[start:] = 0.0
        weights = _inverse(normal[:columns, :columns] + np.diag(penalty)) @ normal[:columns, columns:]
        errors = np.diag(_errors(normal, weights))
        weights[start:] += self._centre(moments)
        loss = np.maximum(errors, 0.0).sum()
        cost = loss / 2 + self.l2 / 2 * (weights[:start] ** 2).sum()
        self.history_ = {"cost": np.array([cost]), "mse": np.array([loss / num_outputs])}
        self.history_["learning_rate"] = np.array([np.nan])
        if self.record_weights:
            self.history_["weights"] = np.stack([np.zeros_like(weights), weights])
        self.n_iter_ = 1
        self._take(weights)

    def _find_standard_errors(self, moments, num_outputs):
        normal = self._normal(moments)
        columns = len(normal) - num_outputs
        start = moments.num_features
        weights = self._scaled((np.atleast_2d(self.coef_), np.atleast_1d(self.intercept_)))
        weights[start:] -= self._centre(moments)
        inverse = _inverse(normal[:columns, :columns])
        rank = np.linalg.matrix_rank(normal[:columns, :columns], hermitian=True)
        free = moments.rows - rank
        if free < 1:
            raise DataError(
                f"Standard errors need more rows than weights. Received: {moments.rows} rows for {rank} weights."
            )
        # The sum of squares over the free rows; `normal` holds means by weight.
        variance = np.maximum(np.diag(_errors(normal, weights)), 0.0) * moments.weight / free
        spread = inverse / moments.weight
        errors = np.sqrt(np.outer(variance, np.diag(spread)[:start])) / self.scale_
        self.standard_errors_ = errors[0] if self._flat else errors
        if self.fit_intercept:
            turn = np.append(-self.offset_ / self.scale_, 1.0)
            constant = np.sqrt(variance * (turn @ spread @ turn))
            self.intercept_standard_error_ = float(constant[0]) if self._flat else constant


def _errors(normal, weights):
    """Mean products of the residuals of all targets."""
    whole = np.concatenate([weights, -np.eye(weights.shape[1])])
    return whole.T @ normal @ whole


def _inverse(matrix):
    """The pseudo-inverse of a symmetric matrix, whatever the units of its columns."""
    unit = np.sqrt(np.diag(matrix))
    unit[unit == 0] = 1.0
    values, vectors = np.linalg.eigh(matrix / np.outer(unit, unit))
    known = values > values[-1] * len(values) * np.finfo(np.float64).eps
    return (vectors[:, known] / values[known]) @ vectors[:, known].T / np.outer(unit, unit)
