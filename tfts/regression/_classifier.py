"""What the two classifiers share: labels, class weights, probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from tfts._messages import unknown
from tfts.errors import DataError, SettingError
from tfts.regression._estimator import DescentEstimator

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import Self


class DescentClassifier(ClassifierMixin, DescentEstimator):
    """A `DescentEstimator` whose targets are labels."""

    _LOSS = "cross_entropy"
    _OUTPUT = "probability"

    def predict(self, X: npt.ArrayLike | pd.DataFrame) -> np.ndarray:
        """The label of each row, `(rows,)`.

        Args:
            X: `(rows, features)`.
        """
        outputs, _ = self._outputs(X)
        return self.classes_[self._codes(outputs)]

    def decision_function(self, X: npt.ArrayLike | pd.DataFrame) -> npt.NDArray[np.float64]:
        """The weighted sums behind the probabilities.

        Args:
            X: `(rows, features)`.

        Returns:
            `(rows,)` for two classes, above 0 where the second is more likely; otherwise
            `(rows, classes)`.
        """
        outputs, dtype = self._outputs(X)
        if len(self.classes_) == 2:
            outputs = outputs[:, -1] - (outputs[:, 0] if outputs.shape[1] == 2 else 0.0)
        return outputs.astype(dtype, copy=False)

    def predict_proba(self, X: npt.ArrayLike | pd.DataFrame) -> npt.NDArray[np.float64]:
        """The probability of each class, `(rows, classes)`; each row sums to 1.

        Args:
            X: `(rows, features)`.
        """
        outputs, dtype = self._outputs(X)
        return self._probabilities(outputs).astype(dtype, copy=False)

    def partial_fit(
        self,
        X: npt.ArrayLike | pd.DataFrame,
        y: npt.ArrayLike,
        classes: npt.ArrayLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> Self:
        """One epoch over these rows, going on from the calls before.

        Scaling and the safe learning rate are those of the rows of the first call.

        Args:
            X: `(rows, features)`.
            y: `(rows,)`, labels.
            classes: All labels that will come, needed in the first call.
            sample_weight: `(rows,)`.

        Returns:
            The estimator.

        Raises:
            ValueError: If `classes` is missing in the first call or changes later, or as
                in `fit`.
        """
        first = not hasattr(self, "coef_")
        if first and classes is None:
            raise DataError("The first call of partial_fit needs `classes`, all labels that will ever come.")
        if first:
            self.classes_ = np.unique(classes)
            self._num_outputs(len(self.classes_))
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise SettingError(
                f"`classes` must stay those of the first call, {self.classes_.tolist()}. Received: "
                f"{np.unique(classes).tolist()}."
            )
        if self.class_weight == "balanced":
            raise SettingError(
                "class_weight='balanced' needs the counts of all rows, which partial_fit never sees. Give a dict, "
                "or `sample_weight`."
            )
        try:
            return self._partial_fit(X, y, sample_weight, first)
        except ValueError:
            if first:
                # The next call is the first one again.
                self.__dict__.pop("classes_", None)
            raise

    def _y_options(self):
        return {}

    def _encode(self, y, learn=True):
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        if learn:
            classes, codes = np.unique(y, return_inverse=True)
            self._num_outputs(len(classes), y)
            if self.warm_start and hasattr(self, "coef_") and not np.array_equal(classes, self.classes_):
                raise SettingError(
                    "warm_start=True goes on from the weights of the last fit, which are for the classes "
                    f"{self.classes_.tolist()}. Received: {classes.tolist()}."
                )
            self.classes_ = classes
            return self._hot(codes)
        strange = np.setdiff1d(y, self.classes_)
        if len(strange):
            raise DataError(
                f"Label {strange[0].item()!r} is none of the classes of the first fit, {self.classes_.tolist()}."
            )
        return self._hot(np.searchsorted(self.classes_, y))

    def _hot(self, codes):
        """One column a class, or the second class alone where it says all."""
        hot = np.zeros((len(codes), len(self.classes_)))
        hot[np.arange(len(codes)), codes] = 1.0
        return hot[:, -self._num_outputs(len(self.classes_)) :]

    def _strata(self, y):
        return y

    def _tilted(self, targets, weights):
        if self.class_weight is None:
            return weights, 1.0
        codes = targets[:, 0].astype(int) if targets.shape[1] == 1 else targets.argmax(axis=1)
        totals = np.bincount(codes, weights, len(self.classes_))
        of_class, tilt = self._class_weights(totals)
        return weights * of_class[codes], tilt

    def _class_weights(self, totals):
        """Weight of each class, and the largest of them by their mean over the rows."""
        if self.class_weight is None:
            return None, 1.0
        if self.class_weight == "balanced":
            of_class = totals.sum() / (len(totals) * np.where(totals > 0, totals, np.inf))
        elif isinstance(self.class_weight, dict):
            known = self.classes_.tolist()
            for label, weight in self.class_weight.items():
                if label not in known:
                    raise SettingError(unknown("class in `class_weight`:", label, known))
                if not weight >= 0:
                    raise SettingError(
                        f"`class_weight` must be >= 0. Received: {weight!r} for class {label!r}."
                    )
            of_class = np.array([float(self.class_weight.get(label, 1.0)) for label in known])
        else:
            raise SettingError(
                "`class_weight` must be None, 'balanced' or a dict from label to weight. Received: "
                f"class_weight={self.class_weight!r}."
            )
        mean = of_class @ totals / totals.sum()
        if mean == 0:
            raise SettingError(
                "`class_weight` gives every row the weight 0, so that there is nothing to learn from."
            )
        return of_class, of_class.max() / mean

    def _adopt(self, found):
        labels = sorted(found.totals)
        self._num_outputs(len(labels))
        self.classes_ = np.array(labels)
        of_class, tilt = self._class_weights(np.array([found.totals[label] for label in labels]))
        return self._num_outputs(len(labels)), of_class, tilt
