import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from sklearn import datasets, linear_model
from statsmodels.api import OLS, WLS, add_constant

from tfts.regression import LinearRegression


def test_constant_guesses_by_hand(houses):
    X, y = houses
    model = LinearRegression(scaling=None, method="ols").fit(X, y)
    guesses = np.array([1.0, 11.0, 21.0, 31.0, 41.0, 200.0])
    costs = model.cost(X, y, np.column_stack([np.zeros(6), guesses]))
    # The mean is 245 and the variance 596: (245 - guess)^2 + 596.
    np.testing.assert_allclose(2 * costs, [60132, 55352, 50772, 46392, 42212, 2621])


def test_one_step_from_zero_is_the_matrix_formula(houses):
    X, y = houses
    model = LinearRegression(learning_rate=1e-7, scaling=None, max_iter=1, tol=None, record_weights=True).fit(
        X, y
    )
    table = np.column_stack([X[:, 0], np.ones(6)])
    step = -1e-7 * table.T @ (table @ np.zeros(2) - y) / 6
    np.testing.assert_allclose(model.history_["weights"][:, :, 0], [[0, 0], step], rtol=1e-9)
    assert model.coef_[0] == pytest.approx(step[0])
    assert model.intercept_ == pytest.approx(step[1])
    error = table @ step - y
    assert model.history_["cost"][0] == pytest.approx((error**2).mean() / 2)
    assert model.history_["mse"][0] == pytest.approx((error**2).mean())
    assert model.history_["learning_rate"].tolist() == [1e-7]


def test_ages_by_hand(ages):
    X, y = ages
    np.testing.assert_allclose(LinearRegression().fit(X, y).predict(X), [0, 0.3, 0.6, 0.9, 1.2], atol=1e-6)


def test_safe_rate_is_one_over_the_largest_eigenvalue(houses):
    X, y = houses
    rate = LinearRegression(scaling=None, max_iter=1, tol=None).fit(X, y).safe_rate_
    table = np.column_stack([X[:, 0], np.ones(6)])
    largest = np.linalg.eigvalsh(table.T @ table / 6)[-1]
    assert rate == pytest.approx(1 / largest)
    with pytest.raises(ValueError, match=rf"a rate of at most {rate:.4g} will do"):
        LinearRegression(learning_rate=2.1 * rate, scaling=None, max_iter=400).fit(X, y)
    LinearRegression(learning_rate=1.9 * rate, scaling=None, max_iter=400, tol=None).fit(X, y)


@pytest.mark.parametrize(
    ("name", "method", "scaling"),
    [
        (name, method, scaling)
        for name in ("diabetes", "linnerud")
        for method in ("gd", "ols")
        for scaling in ("standardize", "normalize", None)
        # Counts of 1 to 250 as they are take plain numbers of epochs that no test has time for.
        if (name, method, scaling) != ("linnerud", "gd", None)
    ],
)
def test_closed_form_of_scikit_learn(name, method, scaling):
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    if method == "gd" and scaling is None and name == "linnerud":
        pytest.skip("gradient descent on exercises in counts of 1 to 250 takes too long")
    options = {"max_iter": 50_000, "tol": 1e-9} if scaling != "standardize" else {"tol": 1e-8}
    model = LinearRegression(method=method, scaling=scaling, **options).fit(X, y)
    exact = linear_model.LinearRegression().fit(X, y)
    largest = np.abs(exact.coef_).max()
    np.testing.assert_allclose(model.coef_, exact.coef_, atol=1e-4 * largest)
    np.testing.assert_allclose(model.intercept_, exact.intercept_, rtol=1e-4)
    assert model.score(X, y) == pytest.approx(exact.score(X, y), abs=1e-7)
    assert model.predict(X).shape == y.shape


def test_ridge_and_lasso_of_scikit_learn():
    X, y = datasets.load_diabetes(return_X_y=True)
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    for model, exact in [
        (LinearRegression(l2=0.1, tol=1e-8), linear_model.Ridge(alpha=0.1 * len(X))),
        (LinearRegression(l2=0.1, method="ols"), linear_model.Ridge(alpha=0.1 * len(X))),
        (LinearRegression(l1=5.0, tol=1e-8), linear_model.Lasso(alpha=5.0, tol=1e-10)),
        (
            LinearRegression(l1=5.0, l2=0.1, tol=1e-8),
            linear_model.ElasticNet(alpha=5.1, l1_ratio=5 / 5.1, tol=1e-10),
        ),
    ]:
        found = model.fit(X, y).coef_ * model.scale_
        exact.fit(scaled, y)
        np.testing.assert_allclose(found, exact.coef_, atol=1e-4)
        np.testing.assert_array_equal(found == 0, exact.coef_ == 0)


def test_intercept_left_out():
    X, y = datasets.load_diabetes(return_X_y=True)
    exact = linear_model.LinearRegression(fit_intercept=False).fit(X, y)
    for method in ("gd", "ols"):
        model = LinearRegression(fit_intercept=False, method=method, tol=1e-9).fit(X, y)
        np.testing.assert_allclose(model.coef_, exact.coef_, rtol=1e-4)
        assert model.intercept_ == 0.0
        assert not model.offset_.any()


def test_weighted_rows_of_scikit_learn():
    X, y = datasets.load_diabetes(return_X_y=True)
    weights = np.random.default_rng(0).random(len(X))
    exact = linear_model.LinearRegression().fit(X, y, weights)
    for method in ("gd", "ols"):
        model = LinearRegression(method=method, tol=1e-8).fit(X, y, weights)
        np.testing.assert_allclose(model.coef_, exact.coef_, atol=0.05)


@pytest.mark.parametrize("method", ["gd", "ols"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_standard_errors_of_statsmodels(method, weighted, fit_intercept):
    X, y = datasets.load_diabetes(return_X_y=True)
    X = 100 * X[:, :3] + [50, 0, 0]
    weights = 0.5 + np.random.default_rng(0).random(len(X)) if weighted else np.ones(len(X))
    table = add_constant(X) if fit_intercept else X
    exact = (WLS(y, table, weights=weights) if weighted else OLS(y, table)).fit()
    model = LinearRegression(method=method, standard_errors=True, tol=1e-10, fit_intercept=fit_intercept).fit(
        X, y, weights
    )
    np.testing.assert_allclose(model.standard_errors_, exact.bse[-3:], rtol=1e-6)
    if fit_intercept:
        assert model.intercept_standard_error_ == pytest.approx(exact.bse[0], rel=1e-6)
    both = LinearRegression(method=method, standard_errors=True, tol=1e-10, fit_intercept=fit_intercept)
    both.fit(X, np.column_stack([y, y / 2]), weights)
    np.testing.assert_allclose(both.standard_errors_, [exact.bse[-3:], exact.bse[-3:] / 2], rtol=1e-6)


def test_r2_is_negative_when_the_mean_would_be_better(houses):
    X, y = houses
    model = LinearRegression().fit(X, y)
    assert 0 < model.score(X, y) < 1
    assert model.score(X, y[::-1]) < 0
    assert LinearRegression(max_iter=1, tol=None, learning_rate=1e-9).fit(X, y).score(X, y) < -90


def test_a_large_mean_of_the_target_costs_no_digits():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3))
    y = X @ [1.0, -2.0, 0.5] + 0.1 * rng.normal(size=50)
    for method in ("gd", "ols"):
        near = LinearRegression(method=method, tol=1e-10).fit(X, y)
        far = LinearRegression(method=method, tol=1e-10).fit(X, y + 1e8)
        np.testing.assert_allclose(far.coef_, near.coef_, atol=1e-6)
        np.testing.assert_allclose(far.history_["mse"][-1], near.history_["mse"][-1], rtol=1e-4)


@pytest.mark.parametrize("size", [1e-150, 1e150])
def test_units_of_any_size(size):
    X = np.random.default_rng(0).normal(size=(50, 2))
    np.testing.assert_allclose(
        LinearRegression(tol=1e-9).fit(X, size * X[:, 0]).coef_ / size, [1, 0], atol=1e-6
    )
    np.testing.assert_allclose(
        LinearRegression(tol=1e-9).fit(size * X, X[:, 0]).coef_ * size, [1, 0], atol=1e-6
    )


def test_more_features_than_rows():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(7, 13)), rng.normal(size=7)
    for method in ("gd", "ols"):
        assert LinearRegression(method=method).fit(X, y).score(X, y) > 0.999
    with pytest.raises(ValueError, match=r"Standard errors need more rows than weights\. Received: 7 rows"):
        LinearRegression(standard_errors=True).fit(X, y)


def test_a_dataset_is_read_once_for_least_squares():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(97, 3))
    y = np.column_stack([X @ [1, 2, 3], X @ [3, 2, 1]])
    passes = []

    def rows():
        passes.append(1)
        for begin in range(0, 97, 11):
            yield X[begin : begin + 11], y[begin : begin + 11]

    specs = (tf.TensorSpec((None, 3), tf.float64), tf.TensorSpec((None, 2), tf.float64))
    model = LinearRegression(standard_errors=True).fit(
        tf.data.Dataset.from_generator(rows, output_signature=specs)
    )
    assert len(passes) == 1
    np.testing.assert_allclose(model.coef_, [[1, 2, 3], [3, 2, 1]], atol=1e-5)
    assert model.standard_errors_.shape == (2, 3)


def test_a_cost_that_falls_and_rises_again_is_divergence():
    # Two directions: the rate suits the flat one, where nearly all of the cost is, and is a
    # little too large for the steep one.
    X = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 3.0], [0.0, -3.0]])
    y = np.array([100.0, -100.0, 0.01, -0.01])
    options = {"scaling": None, "fit_intercept": False, "max_iter": 2000}
    rate = LinearRegression(**options).fit(X, y).safe_rate_
    assert rate == pytest.approx(4 / 18)
    LinearRegression(learning_rate=1.99 * rate, **options).fit(X, y)
    with pytest.raises(ValueError, match=r"diverged: .* the lowest was .* at most 0\.2222 will do"):
        LinearRegression(learning_rate=2.02 * rate, **options).fit(X, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "sgd"}, "Unknown method 'sgd'. Expected one of: gd, ols."),
        ({"method": "ols", "l1": 0.1}, "method='ols' solves the normal equations, and l1=0.1 has none"),
        ({"method": "ols", "early_stopping": True}, "method='ols' makes no epochs"),
        ({"standard_errors": True, "l2": 1.0}, "least squares without penalties.* Received: l1=0.0, l2=1.0"),
    ],
)
def test_wrong_options(options, message, houses):
    with pytest.raises(ValueError, match=message):
        LinearRegression(**options).fit(*houses)


@pytest.mark.parametrize("options", [{"method": "ols"}, {"standard_errors": True}])
def test_partial_fit_needs_gradient_descent(options, houses):
    with pytest.raises(ValueError, match="need all rows at once"):
        LinearRegression(**options).partial_fit(*houses)


def test_closed_form_is_one_epoch_of_no_rate(houses):
    model = LinearRegression(method="ols", record_weights=True).fit(*houses)
    assert model.n_iter_ == 1
    assert model.history_["weights"].shape == (2, 2, 1)
    assert np.isnan(model.history_["learning_rate"]).all()
    assert model.history_["cost"][0] == pytest.approx(model.cost(*houses))
    assert model.history_["mse"][0] == pytest.approx(2 * model.cost(*houses))


@pytest.mark.shared_data
def test_miles_per_gallon(shared_data):
    table = pd.read_csv(shared_data / "regress" / "mpg.csv")
    names = ["cylinders", "displacement", "horsepower", "weight", "acceleration", "model_year"]
    with pytest.raises(ValueError, match=r"Column 'horsepower' has 6 missing values.*dropna"):
        LinearRegression().fit(table[names], table["mpg"])
    table = table.dropna()
    model = LinearRegression(tol=1e-8).fit(table[names], table["mpg"])
    exact = linear_model.LinearRegression().fit(table[names], table["mpg"])
    np.testing.assert_allclose(model.coef_, exact.coef_, rtol=1e-4, atol=1e-6)
    assert model.score(table[names], table["mpg"]) == pytest.approx(0.8093, abs=1e-4)
