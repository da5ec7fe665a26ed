"""Logistic regression by gradient descent, for two classes."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import special
from sklearn.utils.multiclass import type_of_target

from tfts.errors import DataError, SettingError
from tfts.regression._classifier import DescentClassifier

if TYPE_CHECKING:
    from keras.optimizers.schedules import LearningRateSchedule


class LogisticRegression(DescentClassifier):
    """Fits `P(second class) = sigmoid(X coef + intercept)` with the least cross-entropy.

    Cross-entropy and slope come from the weighted sums themselves, so that the logarithm
    of 0 is never taken. The options not listed are those of `LinearRegression`.

    Args:
        tol: Stops when no scaled feature has a mean product with the residuals above `tol`
            (in units of its own size); with batches as in `LinearRegression`.
        l2: As in `LinearRegression`. Not 0 by default: where a line parts the classes
            without a mistake, the weights would grow for ever. scikit-learn's `C` is
            `1 / (rows * l2)` on scaled features.
        class_weight: Dict from label to weight (1 where missing), or `"balanced"`: classes
            weigh the same in all. None weighs rows alike.
        decision_threshold: Number above 0 and below 1. `predict` gives the second class
            where its probability is above it.

    Attributes:
        classes_: The two labels, sorted.
        coef_: `(1, features)`, in original units.
        intercept_: `(1,)`.
        history_: As in `LinearRegression`, with `"cross_entropy"` in place of `"mse"`.

    Raises:
        ValueError: In `fit`, as in `LinearRegression`; or if there are not two classes.

    Example:

    >>> ages = np.array([[5.0], [15.0], [25.0], [35.0], [45.0]])
    >>> model = LogisticRegression().fit(ages, ["no", "no", "yes", "yes", "yes"])
    >>> model.predict([[14.0], [26.0]]).tolist()
    ['no', 'yes']
    >>> strict = LogisticRegression(decision_threshold=0.999).fit(ages, [0, 0, 1, 1, 1])
    >>> strict.predict([[21.0], [45.0]]).tolist()
    [0, 1]
    """

    _CURVATURE = 0.25

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
        decision_threshold: float = 0.5,
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
        self.decision_threshold = decision_threshold

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def _link(self):
        return "sigmoid"

    def _activation(self):
        return "sigmoid"

    def _num_outputs(self, num_classes, y=None):
        if num_classes > 2:
            kind = "multiclass" if y is None else type_of_target(y, input_name="y")
            raise DataError(
                f"Only binary classification is supported. The type of the target is {kind}. Received: "
                f"{num_classes} classes. SoftmaxRegression takes any number."
            )
        if num_classes < 2:
            raise DataError("LogisticRegression tells two classes apart. Received: `y` with 1 class.")
        return 1

    def _ignorance(self, moments, num_outputs):
        return math.log(2)

    def _codes(self, outputs):
        # Compared before the sigmoid, which is 1.0 long before the sum has no larger value.
        return (outputs[:, 0] > special.logit(self.decision_threshold)).astype(int)

    def _probabilities(self, outputs):
        return np.column_stack([special.expit(-outputs[:, 0]), special.expit(outputs[:, 0])])

    def _keep(self, coefficients, intercept):
        self.coef_, self.intercept_ = coefficients, intercept

    def _check_options(self):
        super()._check_options()
        threshold = self.decision_threshold
        if not isinstance(threshold, numbers.Real) or not 0 < threshold < 1:
            raise SettingError(
                "`decision_threshold` must be a number above 0 and below 1, a probability. Received: "
                f"decision_threshold={threshold!r}."
            )
