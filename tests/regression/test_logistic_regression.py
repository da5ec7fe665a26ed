import numpy as np
import pytest
from sklearn import datasets, linear_model

from tfts.regression import LogisticRegression


def check_as_lbfgs(model, X, y, l2, **options):
    scaled = (X - model.offset_) / model.scale_
    exact = linear_model.LogisticRegression(C=1 / (l2 * len(X)), tol=1e-9, max_iter=5000, **options).fit(
        scaled, y
    )
    np.testing.assert_allclose(model.coef_ * model.scale_, exact.coef_, atol=2e-4 * np.abs(exact.coef_).max())
    np.testing.assert_allclose(model.predict_proba(X), exact.predict_proba(scaled), atol=1e-4)
    np.testing.assert_array_equal(model.predict(X), exact.predict(scaled))


@pytest.mark.parametrize("l2", [1e-3, 1e-1])
def test_breast_cancer_as_lbfgs(l2):
    X, y = datasets.load_breast_cancer(return_X_y=True)
    check_as_lbfgs(LogisticRegression(l2=l2, tol=1e-7).fit(X, y), X, y, l2)


def test_class_weights_as_lbfgs():
    X, y = datasets.load_breast_cancer(return_X_y=True)
    X = X[:, :5]
    totals = np.bincount(y)
    # Our loss is a mean over the weights, scikit-learn's a sum.
    for weight, mean in ((("balanced"), 1.0), ({0: 3.0, 1: 1.0}, (3 * totals[0] + totals[1]) / len(y))):
        model = LogisticRegression(l2=0.01, tol=1e-7, class_weight=weight).fit(X, y)
        check_as_lbfgs(model, X, y, 0.01 * mean, class_weight=weight)


def test_ages_stay_between_0_and_1_with_the_boundary_between_15_and_25(ages):
    X, y = ages
    model = LogisticRegression().fit(X, y)
    many = np.linspace(-1000, 1000, 501)[:, None]
    chances = model.predict_proba(many)
    assert ((chances >= 0) & (chances <= 1)).all()
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    boundary = -model.intercept_[0] / model.coef_[0, 0]
    assert 15 < boundary < 25
    np.testing.assert_array_equal(model.predict(X), y)


def test_one_step_from_zero_by_hand(ages):
    X, y = ages
    model = LogisticRegression(learning_rate=0.01, scaling=None, max_iter=1, tol=None, l2=0).fit(X, y)
    # At zero every probability is 1/2: X'(1/2 - y) / 5 = (10 - (12.5 + 17.5 + 22.5)) / 5 and (1 - 1.5) / 5.
    assert model.coef_[0, 0] == pytest.approx(0.01 * 42.5 / 5)
    assert model.intercept_[0] == pytest.approx(0.01 * 0.5 / 5)
    outputs = X[:, 0] * 0.085 + 0.001
    by_hand = -np.mean(np.where(y, np.log(1 / (1 + np.exp(-outputs))), np.log(1 / (1 + np.exp(outputs)))))
    assert model.history_["cross_entropy"][0] == pytest.approx(by_hand)


def test_cross_entropy_never_takes_the_log_of_zero(ages):
    X, y = ages
    model = LogisticRegression(scaling=None, max_iter=1, tol=None).fit(X, y)
    # Weighted sums of -1e6 and 1e6, all wrong: the loss is the size of the sum.
    assert model.cost(X[[0, 4]] * 0 + 1, [1, 0], [[0.0, -1e6]]) == pytest.approx(5e5)
    model.coef_, model.intercept_ = np.array([[1e4]]), np.array([-2e5])
    assert model.predict_proba(X).tolist() == [[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]]


def test_threshold_moves_the_decision_and_not_the_probability():
    X, y = datasets.load_breast_cancer(return_X_y=True)
    model = LogisticRegression(l2=0.01).fit(X, y)
    chances = model.predict_proba(X)[:, 1]
    for threshold in (0.1, 0.5, 0.9):
        model.set_params(decision_threshold=threshold)
        np.testing.assert_array_equal(model.predict(X), (chances > threshold).astype(int))
    with pytest.raises(ValueError, match=r"`decision_threshold` must be .*Received: decision_threshold=1"):
        LogisticRegression(decision_threshold=1).fit(X, y)


def test_any_two_labels(ages):
    X, y = ages
    for labels in (["no", "yes"], [-1, 1], [False, True]):
        model = LogisticRegression().fit(X, np.array(labels)[y])
        assert model.classes_.tolist() == labels
        assert model.predict(X).tolist() == [labels[i] for i in y]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_weight": "even"}, "must be None, 'balanced' or a dict.* Received: class_weight='even'"),
        ({"class_weight": {7: 1.0}}, "Unknown class in `class_weight`: 7. Expected one of: 0, 1."),
        ({"class_weight": {1: -1.0}}, "`class_weight` must be >= 0. Received: -1.0 for class 1"),
        ({"class_weight": {0: 0.0, 1: 0.0}}, "gives every row the weight 0"),
    ],
)
def test_wrong_class_weights(options, message, ages):
    with pytest.raises(ValueError, match=message):
        LogisticRegression(**options).fit(*ages)


def test_classes_are_two():
    X = np.arange(6.0)[:, None]
    with pytest.raises(
        ValueError, match=r"Only binary classification.*3 classes. SoftmaxRegression takes any"
    ):
        LogisticRegression().fit(X, [0, 1, 2, 0, 1, 2])
    with pytest.raises(ValueError, match="`y` with 1 class"):
        LogisticRegression().fit(X, np.zeros(6))


def test_classes_of_partial_fit(ages):
    X, y = ages
    model = LogisticRegression()
    with pytest.raises(ValueError, match="first call of partial_fit needs `classes`"):
        model.partial_fit(X, y)
    with pytest.raises(ValueError, match="Label 2 is none of the classes of the first fit, \\[0, 1\\]"):
        model.partial_fit(X, y + 2, classes=[0, 1])
    model.partial_fit(X[:2], y[:2], classes=[0, 1])
    with pytest.raises(ValueError, match=r"must stay those of the first call, \[0, 1\]. Received: \[1, 2\]"):
        model.partial_fit(X, y, classes=[1, 2])
    with pytest.raises(ValueError, match="'balanced' needs the counts of all rows"):
        LogisticRegression(class_weight="balanced").partial_fit(X, y, classes=[0, 1])
