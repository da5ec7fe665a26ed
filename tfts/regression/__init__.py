"""Linear models by gradient descent in TensorFlow, as scikit-learn estimators."""

from tfts.regression.linear_regression import LinearRegression
from tfts.regression.logistic_regression import LogisticRegression
from tfts.regression.softmax_regression import SoftmaxRegression

__all__ = ["LinearRegression", "LogisticRegression", "SoftmaxRegression"]
