"""Linear models by gradient descent in TensorFlow, as scikit-learn estimators."""

from tfts.regression.linear_regression import LinearRegression
from tfts.regression.logistic_regression import LogisticRegression
from tfts.regression.scores import SCORES
from tfts.regression.softmax_regression import SoftmaxRegression

# The tasks of `tfts regress`.
REGRESSIONS = {"linear": LinearRegression, "logistic": LogisticRegression, "softmax": SoftmaxRegression}

__all__ = ["REGRESSIONS", "SCORES", "LinearRegression", "LogisticRegression", "SoftmaxRegression"]
