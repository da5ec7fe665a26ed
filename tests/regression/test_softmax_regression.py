import numpy as np
import pytest
import tensorflow as tf
from sklearn import datasets, linear_model
from sklearn.multiclass import OneVsRestClassifier

from tfts.regression import SoftmaxRegression


@pytest.mark.parametrize("name", ["iris", "wine"])
def test_softmax_as_lbfgs(name):
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    model = SoftmaxRegression(l2=1e-3, tol=1e-7).fit(X, y)
    scaled = (X - model.offset_) / model.scale_
    exact = linear_model.LogisticRegression(C=1 / (1e-3 * len(X)), tol=1e-9, max_iter=5000).fit(scaled, y)
    np.testing.assert_allclose(model.coef_ * model.scale_, exact.coef_, atol=1e-3)
    np.testing.assert_allclose(model.predict_proba(X), exact.predict_proba(scaled), atol=1e-4)
    assert model.score(X, y) == exact.score(scaled, y)


def test_marginal_is_one_against_the_rest():
    X, y = datasets.load_wine(return_X_y=True)
    model = SoftmaxRegression(l2=1e-3, tol=1e-7, probability="marginal").fit(X, y)
    scaled = (X - model.offset_) / model.scale_
    one = linear_model.LogisticRegression(C=1 / (1e-3 * len(X)), tol=1e-9, max_iter=5000)
    exact = OneVsRestClassifier(one).fit(scaled, y)
    np.testing.assert_allclose(model.decision_function(X), exact.decision_function(scaled), atol=1e-2)
    np.testing.assert_allclose(model.predict_proba(X), exact.predict_proba(scaled), atol=1e-4)
    np.testing.assert_array_equal(model.predict(X), exact.predict(scaled))


def test_marginal_probabilities_sum_to_1_however_small_the_sigmoids():
    X, y = datasets.load_iris(return_X_y=True)
    model = SoftmaxRegression(probability="marginal", max_iter=5, tol=None).fit(X, y)
    model.intercept_ = np.array([-2000.0, -2001.0, -2002.0])
    model.coef_ = np.zeros((3, 4))
    expected = np.exp([0, -1, -2]) / np.exp([0, -1, -2]).sum()
    np.testing.assert_allclose(model.predict_proba(X[:1])[0], expected)


def test_strings_are_encoded_and_decoded():
    iris = datasets.load_iris()
    labels = iris.target_names[iris.target]
    model = SoftmaxRegression(l2=0.01).fit(iris.data, labels)
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert model.score(iris.data, labels) > 0.94
    assert (model.predict(iris.data[:50]) == "setosa").all()


def test_two_classes_have_one_decision():
    X = np.array([[0.0], [1.0], [2.0], [3.0]])
    for probability in ("conditional", "marginal"):
        model = SoftmaxRegression(probability=probability).fit(X, ["a", "a", "b", "b"])
        assert model.coef_.shape == (2, 1)
        decision = model.decision_function(X)
        np.testing.assert_allclose(decision, -decision[::-1], atol=1e-4)
        np.testing.assert_array_equal(decision > 0, model.predict(X) == "b")


def test_class_weights_act_alike_on_a_dataset():
    X, y = datasets.load_iris(return_X_y=True)
    X, y = X[:121], y[:121]
    batches = tf.data.Dataset.from_tensor_slices((X, y)).batch(17)
    for weight in ("balanced", {2: 7.0}):
        options = {"class_weight": weight, "max_iter": 5, "tol": None}
        np.testing.assert_allclose(
            SoftmaxRegression(**options).fit(batches).coef_,
            SoftmaxRegression(**options).fit(X, y).coef_,
            rtol=1e-9,
        )


def test_wrong_options():
    X, y = datasets.load_iris(return_X_y=True)
    with pytest.raises(
        ValueError, match=r"Unknown probability 'joint'. Expected one of: conditional, marginal"
    ):
        SoftmaxRegression(probability="joint").fit(X, y)
    with pytest.raises(
        ValueError, match=r"SoftmaxRegression tells classes apart. Received: `y` with 1 class"
    ):
        SoftmaxRegression().fit(X, np.zeros(150))


def test_warm_start_keeps_the_classes():
    X = np.arange(6.0)[:, None]
    model = SoftmaxRegression(warm_start=True).fit(X, [0, 0, 0, 1, 1, 1])
    with pytest.raises(ValueError, match=r"are for the classes \[0, 1\]\. Received: \[1, 2\]"):
        model.fit(X, [1, 1, 1, 2, 2, 2])
    assert model.fit(X, [1, 1, 1, 0, 0, 0]).predict(X).tolist() == [1, 1, 1, 0, 0, 0]
