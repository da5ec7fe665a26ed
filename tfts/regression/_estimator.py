"""What the three estimators share: checking, scaling, descent, state, Keras model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from tfts._messages import unknown
from tfts.data._arrays import aligned_empty
from tfts.errors import DataError, SettingError
from tfts.regression._options import check_options
from tfts.regression._plan import check_descent, plan_of, warn_not_converged
from tfts.regression.moments import Moments

if TYPE_CHECKING:
    import keras
    import pandas as pd
    import tensorflow as tf
    from keras.optimizers.schedules import LearningRateSchedule
    from typing_extensions import Self


# Features up to which the products of all pairs are summed before the descent.
_WIDE = 1024


class DescentEstimator(BaseEstimator):
    """Fits weights by gradient descent. A subclass says what the outputs mean.

    It gives `_link(...)`, the link of `descent.loss_and_error`; `_CURVATURE`, the largest
    second derivative of its loss; `_LOSS`, the name of the loss in the history; `_encode`,
    which makes targets of `y`; and `_keep`, which takes over the weights.
    """

    def __init__(
        self,
        learning_rate: float | Literal["auto", "adaptive"] | LearningRateSchedule,
        batch_size: int | None,
        max_iter: int,
        tol: float | None,
        n_iter_no_change: int,
        early_stopping: bool,
        validation_fraction: float,
        l1: float,
        l2: float,
        fit_intercept: bool,
        scaling: Literal["standardize", "normalize"] | None,
        warm_start: bool,
        record_weights: bool,
        random_state: int | np.random.RandomState | None,
    ) -> None:
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.l1 = l1
        self.l2 = l2
        self.fit_intercept = fit_intercept
        self.scaling = scaling
        self.warm_start = warm_start
        self.record_weights = record_weights
        self.random_state = random_state

    def fit(
        self,
        X: npt.ArrayLike | pd.DataFrame | tf.data.Dataset,
        y: npt.ArrayLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> Self:
        """Learns scaling and weights.

        Args:
            X: `(rows, features)`, an array or DataFrame; or a `tf.data.Dataset` of batches
                `(X, y)` or `(X, y, sample_weight)`, for tables larger than memory. A
                Dataset is read once for the scaling, and once an epoch; least squares with
                `batch_size=None` needs no more than the first time.
            y: `(rows,)`, or for many targets `(rows, targets)`. None with a Dataset.
            sample_weight: `(rows,)`, >= 0. A weight of 2 acts as the row given twice.

        Returns:
            The estimator.

        Raises:
            ValueError: If an option or value can't be used, or the descent diverged; the
                message names the learning rate that would do.
        """
        self._check_options()
        if hasattr(X, "element_spec"):
            return self._fit_dataset(X, y, sample_weight)
        X, y, weights = self._check_rows(X, y, sample_weight, reset=True)
        targets = self._encode(y)
        kept = self._start_weights(X.shape[1], targets.shape[1]) if self.warm_start else None
        parts = (X, targets, weights)
        parts, held = self._hold_out(parts, y) if self.early_stopping else (parts, None)
        moments = self._measure(*parts)
        self._learn_scaling(moments)
        weights, tilt = self._tilted(*parts[1:])
        return self._train((*parts[:2], weights), held, moments, tilt, kept)

    def _measure(self, X, targets, weights):
        moments = Moments(X.shape[1], self._measured(targets).shape[1], self._needs_products(X.shape[1]))
        moments.update(X, self._measured(targets), weights)
        return moments

    def _measured(self, targets):
        """The targets that moments must know: only least squares needs them."""
        return targets if self._link() == "identity" else targets[:, :0]

    def _needs_products(self, num_features):
        return num_features <= _WIDE

    def _tilted(self, targets, weights):
        """Weights of rows after those of their classes, and the largest of these by their mean."""
        return weights, 1.0

    def _train(self, parts, held, moments, tilt, kept):
        """Descends over rows in memory from the weights `kept`, or from zero."""
        num_outputs = parts[1].shape[1]
        self.safe_rate_ = self._safe_rate(moments, tilt, parts)
        plan = plan_of(self, moments, num_outputs, steps=self._steps(len(parts[0])))
        if self._reducible(moments, parts[0].shape[0]):
            rows, centre = self._reduced(moments), self._centre(moments)
        else:
            rows, centre = self._rows(*parts), np.zeros(num_outputs)
        if held is not None:
            held = self._rows(held[0], held[1] - centre, held[2])
        self._descend(rows, held, plan, kept, centre, moments, num_outputs)
        return self

    def _reducible(self, moments, num_rows):
        """Whether the moments say all that the descent will ask."""
        return (
            self._link() == "identity"
            and self.batch_size is None
            and moments.has_products
            and num_rows > moments.num_features
        )

    def _centre(self, moments):
        return moments.mean[moments.num_features :] * bool(self.fit_intercept)

    def _reduced(self, moments):
        """A table of a few rows with the same cost and slope as all rows.

        The targets are less their mean, which the intercept gets back: beside a large
        mean the digits of the rest would be lost.
        """
        normal = self._normal(moments)
        unit = np.sqrt(np.diag(normal))
        unit[unit == 0] = 1.0
        values, vectors = np.linalg.eigh(normal / np.outer(unit, unit))
        table = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T * unit
        table[:, np.diag(normal) == 0] = 0.0
        columns = moments.num_features + bool(self.fit_intercept)
        return table[:, :columns], table[:, columns:], np.ones(len(table)), 1.0

    def _normal(self, moments):
        """Mean products of the scaled features, the intercept's 1 if any, and the targets."""
        offset = np.concatenate([self.offset_, self._centre(moments)])
        normal = moments.normal(offset, self.scale_)
        if self.fit_intercept:
            return normal
        keep = np.arange(len(normal)) != moments.num_features
        return normal[np.ix_(keep, keep)]

    def _rows(self, X, targets, weights):
        """Rows as the descent takes them, weights of mean 1."""
        table = self._table(X)
        targets = targets.astype(table.dtype, copy=False)
        count = float(len(weights))
        return table, targets, (weights * (count / weights.sum())).astype(table.dtype, copy=False), count

    def _table(self, X):
        """Scaled features, and the ones of the intercept, in the dtype of the features."""
        table = aligned_empty((len(X), X.shape[1] + bool(self.fit_intercept)), X.dtype)
        np.subtract(X, self.offset_, out=table[:, : X.shape[1]], casting="same_kind")
        table[:, : X.shape[1]] /= self.scale_
        table[:, X.shape[1] :] = 1.0
        return table

    def _learn_scaling(self, moments):
        count = moments.num_features
        scale, offset = np.ones(count), np.zeros(count)
        if self.scaling == "standardize":
            offset, scale = moments.mean[:count], moments.deviation[:count]
        elif self.scaling == "normalize":
            offset, scale = moments.lowest, moments.highest - moments.lowest
        # A column without spread becomes zeros, so that it gets no weight.
        self.scale_ = np.where(scale > 0, scale, 1.0)
        # An offset would be an intercept by another name.
        self.offset_ = offset if self.fit_intercept else np.zeros(count)

    def _steps(self, num_rows):
        """Steps of one epoch."""
        return 1 if self.batch_size is None else -(-num_rows // self.batch_size)

    def _target_unit(self, moments, num_outputs):
        """The residual that counts as 1: the spread of each target; probabilities have none."""
        return np.ones(num_outputs)

    def _safe_rate(self, moments, tilt, parts=None):
        """The largest learning rate that is sure to converge.

        One over the largest second derivative of the cost: that of all rows for steps over
        all rows, that of the longest row for steps of one row, between them in between
        (Gower et al., SGD: general analysis and improved rates, ICML 2019).
        """
        curvature = self._largest_eigenvalue(moments, parts)
        if self.batch_size is not None:
            rows, batch = max(moments.rows, 2), min(self.batch_size, moments.rows)
            longest = moments.longest(self.offset_, self.scale_)
            share = (rows - batch) / (batch * (rows - 1))
            curvature = 2 * ((1 - share) * curvature + share * longest)
        curvature = self._CURVATURE * tilt * curvature + self.l2
        return 1.0 / curvature if curvature > 0 else 1.0

    def _largest_eigenvalue(self, moments, parts):
        if moments.has_products:
            columns = moments.num_features + bool(self.fit_intercept)
            return float(np.linalg.eigvalsh(self._normal(moments)[:columns, :columns])[-1])
        from scipy.sparse import linalg

        table, _, weights, count = self._rows(*parts)

        def product(vector):
            return table.T @ (weights * (table @ vector.astype(table.dtype))) / count

        operator = linalg.LinearOperator((table.shape[1],) * 2, matvec=product, dtype=np.float64)
        largest = linalg.eigsh(operator, k=1, v0=np.ones(table.shape[1]), tol=1e-3, return_eigenvectors=False)
        return float(largest[0]) * 1.01

    def _descend(self, rows, held, plan, kept, centre, moments, num_outputs):
        """Runs the descent, keeps what it found, and says so when it went wrong."""
        from tfts.regression.descent import descend

        streamed = len(rows) == 2
        dtype = rows[0].element_spec[0].dtype.as_numpy_dtype if streamed else rows[0].dtype
        columns = moments.num_features + bool(self.fit_intercept)
        weights = np.zeros((columns, num_outputs)) if kept is None else self._scaled(kept)
        shift = np.zeros((columns, num_outputs))
        shift[moments.num_features :] = centre
        weights, history, done = descend(
            self._link(),
            rows,
            (weights - shift).astype(dtype),
            plan,
            batches=self.batch_size is not None,
            valid_rows=held,
            record=bool(self.record_weights),
        )
        ignorance = self._ignorance(moments, num_outputs)
        check_descent(self, history["cost"], history["learning_rate"], ignorance, plan.limit)
        # Half the squared errors of all targets, as the mean over all of them.
        unit = 2 / num_outputs if self._link() == "identity" else 1.0
        loss = history.pop("loss") * unit
        self.history_ = {"cost": history["cost"], self._LOSS: loss}
        if held is not None:
            self.history_[f"val_{self._LOSS}"] = history["val_loss"] * unit
        self.history_["learning_rate"] = history["learning_rate"]
        if self.record_weights:
            start = np.zeros((1, columns, num_outputs)) if kept is None else self._scaled(kept)[None]
            self.history_["weights"] = np.concatenate([start, history["weights"] + shift])
        self.n_iter_ = len(loss)
        self._take(weights.astype(np.float64) + shift)
        if not done and self.tol is not None and len(plan.rates) == self.max_iter:
            warn_not_converged(self)

    def _take(self, weights):
        """Keeps scaled weights in original units, where the next descent finds them too."""
        count = len(self.scale_)
        coefficients = weights[:count] / self.scale_[:, None]
        constant = weights[count] if self.fit_intercept else np.zeros(weights.shape[1])
        self._keep(coefficients.T, constant - self.offset_ @ coefficients)

    def _scaled(self, kept):
        """Weights in original units, `(coefficients, intercept)`, as the descent has them."""
        coefficients, intercept = kept
        weights = coefficients.T * self.scale_[:, None]
        if not self.fit_intercept:
            return weights
        return np.concatenate([weights, (intercept + self.offset_ @ coefficients.T)[None]])

    def _start_weights(self, num_features, num_outputs):
        """The weights to go on from, or `None` before the first fit."""
        if not hasattr(self, "coef_"):
            return None
        coefficients = np.atleast_2d(self.coef_)
        if coefficients.shape != (num_outputs, num_features):
            raise SettingError(
                "warm_start=True goes on from the weights of the last fit, which are for "
                f"{coefficients.shape[1]} features and {coefficients.shape[0]} outputs. Received: "
                f"{num_features} features and {num_outputs} outputs."
            )
        return coefficients.copy(), np.broadcast_to(self.intercept_, (num_outputs,)).copy()

    def _hold_out(self, parts, y):
        """Training and validation rows for early stopping."""
        options = {"test_size": self.validation_fraction, "random_state": self.random_state}
        stratify = self._strata(y)
        if len(parts[0]) < 3:
            raise SettingError(
                f"early_stopping=True holds out rows to validate on, and {len(parts[0])} rows are too few."
            )
        rows, held = train_test_split(np.arange(len(parts[0])), stratify=stratify, **options)
        if not parts[2][rows].any() or not parts[2][held].any():
            raise SettingError(
                "early_stopping=True needs a row with a weight above 0 among the training rows and among the "
                "rows held out. Give more weights above 0, or another random_state."
            )
        return tuple(part[rows] for part in parts), tuple(part[held] for part in parts)

    def _strata(self, y):
        return None

    def _partial_fit(self, X, y, sample_weight, first):
        """One epoch over these rows, from the weights of the calls before."""
        self._check_options()
        if self.early_stopping:
            raise SettingError(
                "partial_fit makes one epoch, so that early_stopping=True can't act in it. Use fit."
            )
        X, y, weights = self._check_rows(X, y, sample_weight, reset=first)
        targets = self._encode(y, learn=first and not hasattr(self, "classes_"))
        moments = self._measure(X, targets, weights)
        weights, tilt = self._tilted(targets, weights)
        if first:
            self._learn_scaling(moments)
            self.safe_rate_ = self._safe_rate(moments, tilt, (X, targets, weights))
        before = None if first else self.history_
        kept = None if first else self._start_weights(X.shape[1], targets.shape[1])
        done = 0 if first else self.n_iter_
        plan = plan_of(self, moments, targets.shape[1], self._steps(len(X)), epochs=1, done=done)
        if self.learning_rate == "adaptive" and before is not None:
            costs = before["cost"]
            worse = len(costs) > 1 and costs[-1] > costs[-2]
            plan = plan._replace(rates=before["learning_rate"][-1:] * (0.5 if worse else 1.05))
        # Each epoch has an order of its own.
        plan = plan._replace(seed=(plan.seed + done) % (2**31 - 1))
        self._descend(
            self._rows(X, targets, weights),
            None,
            plan,
            kept,
            np.zeros(targets.shape[1]),
            moments,
            targets.shape[1],
        )
        if before is not None:
            for key, values in before.items():
                self.history_[key] = np.concatenate([values, self.history_[key][int(key == "weights") :]])
        self.n_iter_ = done + 1
        return self

    def _fit_dataset(self, dataset, y, sample_weight):
        """Fits to batches that are read from wherever the Dataset has them."""
        from tfts.regression.streams import prepared, survey

        if y is not None or sample_weight is not None:
            raise DataError(
                "A Dataset brings its own targets and weights, as (X, y) or (X, y, sample_weight), so `y` and "
                "`sample_weight` must be None."
            )
        if self.early_stopping:
            raise SettingError(
                "early_stopping=True holds out rows of an array, and a Dataset has none to hold. Use arrays, "
                "or stop by `tol` and `max_iter`."
            )
        if self.batch_size is not None:
            dataset = dataset.rebatch(self.batch_size)
        found = survey(dataset, self._link() == "identity")
        moments = found.moments
        self.n_features_in_ = moments.num_features
        self.__dict__.pop("feature_names_in_", None)
        num_outputs, class_weights, tilt = self._adopt(found)
        kept = self._start_weights(moments.num_features, num_outputs) if self.warm_start else None
        self._learn_scaling(moments)
        self.safe_rate_ = self._safe_rate(moments, tilt)
        plan = plan_of(self, moments, num_outputs, found.batches if self.batch_size else 1)
        if self._reducible(moments, moments.rows):
            self._descend(
                self._reduced(moments), None, plan, kept, self._centre(moments), moments, num_outputs
            )
            return self
        scale = (self.offset_, self.scale_, bool(self.fit_intercept))
        rows = prepared(dataset, scale, getattr(self, "classes_", None), num_outputs, class_weights, found)
        self._descend(
            (rows, float(found.rows)), None, plan, kept, np.zeros(num_outputs), moments, num_outputs
        )
        return self

    def _check_rows(self, X, y, sample_weight, reset):
        X, y = validate_data(
            self,
            X,
            y,
            reset=reset,
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
            **self._y_options(),
        )
        self._check_missing(X)
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64)
        if (weights < 0).any():
            raise SettingError(f"`sample_weight` must be >= 0. Received: {weights.min()}.")
        # Newer releases of scikit-learn have refused that already, in other words.
        if not weights.any():
            raise SettingError("`sample_weight` must contain at least one non-zero number.")
        return X, y, weights

    def _check_missing(self, X):
        # One pass over the sum: a mask of a large table would take more than the rest of the check.
        if not np.isnan(X.sum()):
            return
        row, column = np.argwhere(np.isnan(X))[0]
        missing = int(np.isnan(X[:, column]).sum())
        names = getattr(self, "feature_names_in_", None)
        name = f"Feature {column}" if names is None else f"Column {names[column]!r}"
        raise DataError(
            f"{name} has {missing} missing values (NaN; first: row {row}), and a weighted sum needs every value. "
            "Leave those rows out (DataFrame.dropna), or fill them with what is learnt from the training rows: "
            f"make_pipeline(SimpleImputer(), {type(self).__name__}())."
        )

    def _outputs(self, X):
        """Weighted sums before the link, `(rows, outputs)`, float64."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")
        self._check_missing(X)
        return X @ np.atleast_2d(self.coef_).T + self.intercept_, X.dtype

    def cost(
        self,
        X: npt.ArrayLike | pd.DataFrame,
        y: npt.ArrayLike,
        weights: npt.ArrayLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> float | npt.NDArray[np.float64]:
        """What the descent makes small: mean loss and penalties.

        The loss of a row is half its squared error, or its cross-entropy, summed over the
        outputs.

        Args:
            X: `(rows, features)`.
            y: As in `fit`.
            weights: `(..., columns)`, or `(..., columns, outputs)`, of the scaled features,
                the intercept last, as in `history_["weights"]`. By default those fitted.
            sample_weight: `(rows,)`.

        Returns:
            Float, or an array of the leading axes of `weights`.

        Raises:
            ValueError: If the weights don't fit the columns and outputs.
        """
        from tfts.regression.descent import costs_of

        check_is_fitted(self)
        X, y, row_weights = self._check_rows(X, y, sample_weight, reset=False)
        targets = self._encode(y, learn=False)
        row_weights, _ = self._tilted(targets, row_weights)
        if weights is None:
            coefficients = np.atleast_2d(self.coef_)
            weights = self._scaled((coefficients, np.broadcast_to(self.intercept_, (len(coefficients),))))
        rows, weights = self._rows(X, targets, row_weights), np.asarray(weights, dtype=np.float64)
        return costs_of(self._link(), rows, weights, self.l1, self.l2, len(self.scale_))

    def to_keras(self, dtype: Literal["float32", "float64"] = "float32") -> keras.Model:
        """A Keras model of the same numbers, scaling inside: one Dense from `features`.

        It saves, loads in safe mode and exports like every other model, and predicts from
        tables larger than memory.

        Args:
            dtype: `"float32"`, or `"float64"` for features that are large beside their
                spread, such as years. `predict` of Keras rounds arrays to its own default
                type: call the model with float64 tensors, or set `keras.config.set_floatx`.

        Returns:
            Uncompiled `keras.Model` from `(batch, features)` to `(batch, outputs)`: values,
            the probability of the second class, or of each class.
        """
        import keras

        check_is_fitted(self)
        if dtype not in ("float32", "float64"):
            raise SettingError(unknown("dtype", dtype, ("float32", "float64")))
        coefficients = np.atleast_2d(self.coef_)
        inputs = keras.Input((self.n_features_in_,), name="features", dtype=dtype)
        dense = keras.layers.Dense(
            len(coefficients), activation=self._activation(), name=self._OUTPUT, dtype=dtype
        )
        model = keras.Model(inputs, self._finish(dense(inputs)), name=type(self).__name__.lower())
        dense.set_weights([coefficients.T, np.broadcast_to(self.intercept_, (len(coefficients),))])
        return model

    def _finish(self, outputs):
        return outputs

    def _check_options(self):
        check_options(self)
