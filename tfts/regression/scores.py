"""Scores of rows: those of numbers and those of labels, by their names."""

import numpy as np
from sklearn import metrics as sklearn_metrics

from tfts import metrics


def _accuracy(actual, predicted, chances, classes):
    return sklearn_metrics.accuracy_score(actual, predicted)


def _balanced_accuracy(actual, predicted, chances, classes):
    return sklearn_metrics.recall_score(actual, predicted, labels=classes, average="macro", zero_division=0.0)


def _precision(actual, predicted, chances, classes):
    return sklearn_metrics.precision_score(
        actual, predicted, labels=classes, average="macro", zero_division=0.0
    )


def _f1(actual, predicted, chances, classes):
    return sklearn_metrics.f1_score(actual, predicted, labels=classes, average="macro", zero_division=0.0)


def _log_loss(actual, predicted, chances, classes):
    return sklearn_metrics.log_loss(actual, chances, labels=classes)


def _roc_auc(actual, predicted, chances, classes):
    if len(np.unique(actual)) < len(classes):
        # No curve of a class that never came.
        return np.nan
    if len(classes) == 2:
        return sklearn_metrics.roc_auc_score(actual == classes[1], chances[:, 1])
    return sklearn_metrics.roc_auc_score(actual, chances, multi_class="ovr", labels=classes)


# Name -> f(actual, predicted) of numbers, `(rows,)`.
_NUMBERS = {
    "rmse": metrics.rmse,
    "mae": metrics.mae,
    "r2": metrics.r2,
    "mse": metrics.mse,
    "mape": metrics.mape,
    "bias": metrics.bias,
}
# Name -> f(actual, predicted, chances, classes) of labels; means over the classes.
_LABELS = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "precision": _precision,
    "f1": _f1,
    "log_loss": _log_loss,
    "roc_auc": _roc_auc,
}

SCORES = {"linear": _NUMBERS, "logistic": _LABELS, "softmax": _LABELS}
