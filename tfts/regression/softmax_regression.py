"""Softmax regression by gradient descent, for any number of classes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import special

from tfts._messages import unknown
from tfts.errors import DataError, SettingError
from tfts.regression._classifier import DescentClassifier

if TYPE_CHECKING:
    from keras.optimizers.schedules import LearningRateSchedule


PROBABILITIES = ("conditional", "marginal")


class SoftmaxRegression(DescentClassifier):
    """Fits one weighted sum for each class with the least cross-entropy.

    The class with the largest sum is predicted. The options not listed are those of
    `LogisticRegression`.

    Args:
        probability: `"conditional"`: the classes exclude each other, so their
            probabilities are the softmax of the sums. `"marginal"`: each class has a
            sigmoid of its own, against all others; `predict_proba` divides them by their
            total, so that a row sums to 1.

    Attributes:
        classes_: The labels, sorted: numbers or strings.
        coef_: `(classes, features)`, in original units.
        intercept_: `(classes,)`.
        history_: As in `LogisticRegression`.

    Raises:
        ValueError: In `fit`, as in `LinearRegression`; or if there is one class only.

    Example:

    >>> import numpy as np
    >>> X = np.array([[0.0], [1.0], [5.0], [6.0], [10.0], [11.0]])
    >>> model = SoftmaxRegression().fit(X, ["low", "low", "mid", "mid", "top", "top"])
    >>> model.predict([[0.5], [5.5], [10.5]]).tolist()
    ['low', 'mid', 'top']
    """

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
        l2: float = 0.0001,
        fit_intercept: bool = True,
        scaling: Literal["standardize", "normalize"] | None = "standardize",
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        probability: Literal["conditional", "marginal"] = "conditional",
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
        self.class_weight = class_weight
        self.probability = probability

    @property
    def _CURVATURE(self):
        # Bohning, Multinomial logistic regression algorithm, 1992, for the softmax.
        return 0.5 if self.probability == "conditional" else 0.25

    def _link(self):
        return "softmax" if self.probability == "conditional" else "sigmoid"

    def _activation(self):
        return self._link()

    def _num_outputs(self, num_classes, y=None):
        if num_classes < 2:
            raise DataError("SoftmaxRegression tells classes apart. Received: `y` with 1 class.")
        return num_classes

    def _ignorance(self, moments, num_outputs):
        return math.log(num_outputs) if self.probability == "conditional" else num_outputs * math.log(2)

    def _codes(self, outputs):
        return outputs.argmax(axis=1)

    def _probabilities(self, outputs):
        if self.probability == "conditional":
            return special.softmax(outputs, axis=1)
        # Through logarithms, because all sigmoids of a row can be too small to add.
        return special.softmax(special.log_expit(outputs), axis=1)

    def _finish(self, outputs):
        if self.probability == "conditional":
            return outputs
        from keras import ops

        return ops.divide_no_nan(outputs, ops.sum(outputs, axis=-1, keepdims=True))

    def _keep(self, coefficients, intercept):
        self.coef_, self.intercept_ = coefficients, intercept

    def _check_options(self):
        super()._check_options()
        if self.probability not in PROBABILITIES:
            raise SettingError(unknown("probability", self.probability, PROBABILITIES))
