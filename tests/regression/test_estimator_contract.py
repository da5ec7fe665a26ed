"""What holds for all three estimators."""

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from sklearn import datasets
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from tfts.regression import LinearRegression, LogisticRegression, SoftmaxRegression

ESTIMATORS = [LinearRegression, LogisticRegression, SoftmaxRegression]
every_estimator = pytest.mark.parametrize("kind", ESTIMATORS)

CHECK = """
import os, sys, warnings
warnings.simplefilter("error")
warnings.filterwarnings("ignore", message="__array__ implementation")
from sklearn.utils.estimator_checks import check_estimator
import tfts
done = check_estimator(getattr(tfts, sys.argv[1])(), on_skip="warn", on_fail="raise")
print(sum(result["status"] == "passed" for result in done), "of", len(done))
"""


@every_estimator
def test_scikit_learn_checks_pass_and_none_is_skipped(kind):
    # Without this switch scikit-learn skips one of its checks.
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHECK, kind.__name__],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    passed, total = done.stdout.split()[::2]
    assert passed == total
    assert int(total) > 50


def make_rows(kind, rows=61, features=5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, features)) * [1, 10, 0.1, 1, 1] + [0, 5, 100, 0, 0]
    y = X[:, 0] - 0.1 * X[:, 1] + 10 * (X[:, 2] - 100) + 0.5 * rng.normal(size=rows)
    if kind is LinearRegression:
        return X, y
    if kind is LogisticRegression:
        return X, np.where(y > 0, "up", "down")
    return X, np.array(["low", "mid", "top"])[np.digitize(y, [-1, 1])]


def quiet(estimator, *data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(*data, **options)


# Another value for every option of the descent, beside settings in which it matters.
OTHER = {
    "learning_rate": (0.01, {}),
    "batch_size": (7, {}),
    "max_iter": (3, {}),
    "tol": (0.1, {}),
    "n_iter_no_change": (1, {"batch_size": 7, "tol": 0.05}),
    "early_stopping": (True, {}),
    "validation_fraction": (0.5, {"early_stopping": True}),
    "l1": (0.05, {}),
    "l2": (0.5, {}),
    "fit_intercept": (False, {}),
    "scaling": ("normalize", {"l2": 0.1}),
    "random_state": (11, {"batch_size": 7}),
}
OTHER_OF = {
    LinearRegression: {"method": ("ols", {"max_iter": 2})},
    LogisticRegression: {"class_weight": ({"up": 5}, {}), "decision_threshold": (0.9, {})},
    SoftmaxRegression: {"class_weight": ("balanced", {}), "probability": ("marginal", {})},
}
ACTING = [
    pytest.param(kind, name, *given, id=f"{kind.__name__}-{name}")
    for kind in ESTIMATORS
    for name, given in {**OTHER, **OTHER_OF[kind]}.items()
]


@pytest.mark.parametrize(("kind", "name", "value", "beside"), ACTING)
def test_every_option_acts(kind, name, value, beside):
    X, y = make_rows(kind)
    settings = {"max_iter": 60, "random_state": 3, **beside}
    before, after = quiet(kind(**settings), X, y), quiet(kind(**{**settings, name: value}), X, y)
    if name == "decision_threshold":
        assert (before.predict(X) != after.predict(X)).any()
    else:
        assert not np.allclose(before.coef_, after.coef_, rtol=1e-9, atol=0)


def test_every_option_is_tried():
    apart = {"warm_start", "record_weights", "standard_errors"}
    for kind in ESTIMATORS:
        assert set(kind().get_params()) - apart == {*OTHER, *OTHER_OF[kind]}


@every_estimator
def test_warm_start_goes_on_where_the_last_fit_ended(kind):
    X, y = make_rows(kind)
    whole = kind(learning_rate=0.1, max_iter=20, tol=None).fit(X, y)
    parts = kind(learning_rate=0.1, max_iter=7, tol=None, warm_start=True).fit(X, y)
    parts.set_params(max_iter=13).fit(X, y)
    np.testing.assert_allclose(parts.coef_, whole.coef_, rtol=1e-9)
    np.testing.assert_allclose(parts.intercept_, whole.intercept_, rtol=1e-9)
    with pytest.raises(ValueError, match=r"are for 5 features.* Received: 2 features"):
        parts.fit(X[:, :2], y)


@every_estimator
def test_recorded_weights_begin_at_zero_and_end_at_the_answer(kind):
    X, y = make_rows(kind)
    model = kind(record_weights=True, max_iter=9, tol=None).fit(X, y)
    path = model.history_["weights"]
    outputs = np.atleast_2d(model.coef_).shape[0]
    assert path.shape == (10, 6, outputs)
    assert not path[0].any()
    np.testing.assert_allclose(path[-1, :5].T / model.scale_, np.atleast_2d(model.coef_), rtol=1e-9)
    costs = model.cost(X, y, path)
    np.testing.assert_allclose(costs[1:], model.history_["cost"], rtol=1e-9)
    assert model.cost(X, y) == pytest.approx(costs[-1])
    assert "weights" not in kind(max_iter=3, tol=None).fit(X, y).history_


@every_estimator
def test_costs_fall_on_every_step_at_the_safe_rate(kind):
    X, y = make_rows(kind)
    rate = kind(max_iter=1, tol=None).fit(X, y).safe_rate_
    costs = kind(learning_rate=rate, max_iter=15, tol=None).fit(X, y).history_["cost"]
    assert (np.diff(costs) < 0).all()


@every_estimator
def test_automatic_rate_never_climbs_and_arrives_sooner(kind):
    X, y = make_rows(kind)
    fast = kind(max_iter=60, tol=None).fit(X, y)
    plain = kind(learning_rate=fast.safe_rate_, max_iter=60, tol=None).fit(X, y)
    assert (np.diff(fast.history_["cost"]) <= 0).all()
    assert fast.history_["cost"][-1] <= plain.history_["cost"][-1]


@every_estimator
def test_adaptive_rate_is_halved_or_grown_by_a_twentieth(kind):
    X, y = make_rows(kind)
    history = kind(learning_rate="adaptive", max_iter=20, tol=None).fit(X, y).history_
    ratios = history["learning_rate"][1:] / history["learning_rate"][:-1]
    better = np.diff(history["cost"]) < 0
    np.testing.assert_allclose(ratios[1:], np.where(better, 1.05, 0.5)[:-1], rtol=1e-9)
    assert (np.diff(history["cost"]) <= 0).all()
    noisy = (
        kind(learning_rate="adaptive", max_iter=40, tol=None, batch_size=7, random_state=0).fit(X, y).history_
    )
    ratios = noisy["learning_rate"][2:] / noisy["learning_rate"][1:-1]
    np.testing.assert_allclose(ratios, np.where(np.diff(noisy["cost"][:-1]) <= 0, 1.05, 0.5), rtol=1e-9)
    assert set(ratios.round(2)) == {0.5, 1.05}


@every_estimator
def test_keras_schedule_is_asked_with_the_steps_done(kind):
    X, y = make_rows(kind)
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([18, 45], [0.01, 0.005, 0.001])
    model = quiet(kind(learning_rate=schedule, batch_size=7, max_iter=6, tol=None), X, y)
    # 61 rows are 9 steps an epoch: epochs begin at steps 0, 9, 18, 27, 36, 45.
    np.testing.assert_allclose(model.history_["learning_rate"], [0.01] * 3 + [0.005] * 3, rtol=1e-6)
    assert clone(model).fit(X, y).n_iter_ == 6


@every_estimator
def test_batches_come_in_a_seeded_order(kind):
    X, y = make_rows(kind)
    fits = [kind(batch_size=7, max_iter=4, tol=None, random_state=seed).fit(X, y).coef_ for seed in (3, 3, 5)]
    np.testing.assert_array_equal(fits[0], fits[1])
    assert not np.allclose(fits[0], fits[2])


@every_estimator
@pytest.mark.parametrize("batch_size", [1, 13])
def test_batches_come_near_the_answer_of_all_rows(kind, batch_size):
    X, y = make_rows(kind, rows=211)
    exact = kind(l2=0.01).fit(X, y)
    noisy = kind(l2=0.01, batch_size=batch_size, max_iter=100, tol=None, random_state=0).fit(X, y)
    assert noisy.cost(X, y) < exact.cost(X, y) * 1.02


@every_estimator
def test_one_batch_of_all_rows_is_a_full_step(kind):
    X, y = make_rows(kind)
    options = {"learning_rate": 0.1, "max_iter": 5, "tol": None, "l1": 0.01}
    np.testing.assert_allclose(
        kind(batch_size=61, random_state=0, **options).fit(X, y).coef_,
        kind(**options).fit(X, y).coef_,
        rtol=1e-9,
    )


@every_estimator
def test_partial_fit_makes_one_epoch_a_call(kind):
    X, y = make_rows(kind)
    whole = kind(learning_rate=0.1, max_iter=3, tol=None, record_weights=True).fit(X, y)
    parts = kind(learning_rate=0.1, record_weights=True)
    options = {} if kind is LinearRegression else {"classes": np.unique(y)}
    for _ in range(3):
        parts.partial_fit(X, y, **options)
    np.testing.assert_allclose(parts.coef_, whole.coef_, rtol=1e-9)
    assert parts.n_iter_ == 3
    for key, values in whole.history_.items():
        np.testing.assert_allclose(parts.history_[key], values, rtol=1e-9, atol=1e-12)


@every_estimator
def test_partial_fit_learns_from_parts_of_the_rows(kind):
    X, y = make_rows(kind, rows=400)
    model = kind(batch_size=11, random_state=0)
    for begin in [*range(0, 400, 100)] * 5:
        options = {} if kind is LinearRegression else {"classes": np.unique(y)}
        model.partial_fit(X[begin : begin + 100], y[begin : begin + 100], **options)
    assert model.score(X, y) > 0.95 * kind().fit(X, y).score(X, y)
    assert model.history_["learning_rate"][8] == pytest.approx(model.safe_rate_ / 3)
    adaptive = kind(learning_rate="adaptive")
    for _ in range(3):
        adaptive.partial_fit(X, y, **({} if kind is LinearRegression else {"classes": np.unique(y)}))
    rates = adaptive.history_["learning_rate"]
    np.testing.assert_allclose(rates[1:] / rates[:-1], 1.05)


@every_estimator
def test_early_stopping_gives_back_the_best_on_rows_held_out(kind):
    X, y = make_rows(kind)
    model = kind(early_stopping=True, tol=1e-2, learning_rate=0.5, max_iter=500, random_state=1).fit(X, y)
    (loss,) = (values for name, values in model.history_.items() if name.startswith("val_"))
    assert model.n_iter_ < 500
    from sklearn.model_selection import train_test_split

    stratify = None if kind is LinearRegression else y
    _, held = train_test_split(np.arange(61), test_size=0.1, random_state=1, stratify=stratify)
    factor = 2 if kind is LinearRegression else 1
    model.set_params(l2=0.0)
    assert factor * model.cost(X[held], y[held]) == pytest.approx(loss.min(), rel=0.05)


@every_estimator
def test_a_constant_column_gets_no_weight(kind):
    X, y = make_rows(kind)
    X = np.column_stack([X, np.full(61, 0.1), np.zeros(61)])
    for scaling in ("standardize", "normalize"):
        model = kind(scaling=scaling).fit(X, y)
        assert not np.atleast_2d(model.coef_)[:, 5:].any()
    np.testing.assert_allclose(
        np.atleast_2d(kind().fit(X, y).coef_)[:, :5], np.atleast_2d(kind().fit(X[:, :5], y).coef_), rtol=1e-3
    )


@every_estimator
def test_scaling_is_learnt_from_the_training_rows_alone(kind):
    X, y = make_rows(kind)
    model = kind().fit(X, y)
    np.testing.assert_allclose(model.offset_, X.mean(axis=0))
    np.testing.assert_allclose(model.scale_, X.std(axis=0))
    ranged = kind(scaling="normalize").fit(X, y)
    np.testing.assert_allclose(ranged.offset_, X.min(axis=0))
    np.testing.assert_allclose(ranged.scale_, np.ptp(X, axis=0))
    before = model.offset_.copy()
    model.predict(X + 1000)
    np.testing.assert_array_equal(model.offset_, before)


@every_estimator
def test_features_that_are_large_beside_their_spread_cost_no_digits(kind):
    X, y = make_rows(kind)
    near, far = kind().fit(X, y), kind().fit(X + 1e6, y)
    np.testing.assert_allclose(far.coef_, near.coef_, rtol=1e-4)


@every_estimator
def test_single_precision_stays_single(kind):
    X, y = make_rows(kind)
    small = X.astype(np.float32)
    model = kind(l2=0.01, tol=1e-4).fit(small, y)
    np.testing.assert_allclose(model.coef_, kind(l2=0.01).fit(X, y).coef_, rtol=0.02, atol=0.02)
    if kind is LinearRegression:
        assert model.predict(small).dtype == np.float32
    else:
        assert model.predict_proba(small).dtype == np.float32
        assert model.decision_function(small).dtype == np.float32


@every_estimator
def test_wide_tables_find_the_same_rate_without_all_products(kind, monkeypatch):
    X, y = make_rows(kind)
    model = kind(max_iter=50, tol=None).fit(X, y)
    monkeypatch.setattr("tfts.regression._estimator._WIDE", 3)
    wide = kind(max_iter=50, tol=None).fit(X, y)
    assert wide.safe_rate_ == pytest.approx(model.safe_rate_, rel=0.02)
    np.testing.assert_allclose(wide.coef_, model.coef_, rtol=0.05, atol=1e-3)


@every_estimator
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_keras_model_gives_the_same_numbers_after_a_round_trip(kind, dtype, tmp_path):
    X, y = make_rows(kind)
    model = kind().fit(X, y)
    model.to_keras(dtype).save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    if kind is LinearRegression:
        expected = model.predict(X)[:, None]
    else:
        expected = model.predict_proba(X)[:, -1:] if kind is LogisticRegression else model.predict_proba(X)
    tolerance = 1e-3 if dtype == "float32" else 1e-9
    np.testing.assert_allclose(loaded(tf.constant(X, dtype)), expected, atol=tolerance)


@every_estimator
def test_keras_model_can_be_exported(kind, tmp_path):
    X, y = make_rows(kind)
    keras_model = kind().fit(X, y).to_keras()
    keras_model.export(str(tmp_path / "1"), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "1"))
    served = loaded.serve(tf.constant(X, tf.float32))
    np.testing.assert_allclose(served, keras_model.predict(X, verbose=0), rtol=1e-5)
    with pytest.raises(ValueError, match=r"Unknown dtype 'float16'\. Expected one of: float32, float64"):
        kind().fit(X, y).to_keras("float16")


@every_estimator
def test_pandas_in_pipelines_searches_and_validation(kind):
    X, y = make_rows(kind)
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = kind().fit(frame, pd.Series(y))
    assert list(model.feature_names_in_) == list("abcde")
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.rename(columns={"a": "z"}))
    pipeline = make_pipeline(PolynomialFeatures(2, include_bias=False), kind(l2=0.01))
    scores = cross_val_score(pipeline, frame, y, cv=3)
    assert (scores > 0.3).all()
    search = GridSearchCV(kind(), {"l2": [0.001, 100.0]}, cv=3).fit(frame, y)
    assert search.best_params_ == {"l2": 0.001}


@every_estimator
def test_a_dataset_gives_the_answer_of_the_array(kind):
    X, y = make_rows(kind)
    batches = tf.data.Dataset.from_tensor_slices((X, y)).batch(13)
    options = {"max_iter": 6, "tol": None}
    streamed, whole = kind(**options).fit(batches), kind(**options).fit(X, y)
    np.testing.assert_allclose(streamed.coef_, whole.coef_, rtol=1e-6)
    assert streamed.predict(X[:5]).dtype == whole.predict(X[:5]).dtype
    assert streamed.n_features_in_ == 5
    weights = np.arange(61) % 3.0
    weighted = tf.data.Dataset.from_tensor_slices((X, y, weights)).batch(13)
    np.testing.assert_allclose(
        kind(**options).fit(weighted).coef_, kind(**options).fit(X, y, sample_weight=weights).coef_, rtol=1e-6
    )


@every_estimator
def test_a_dataset_is_cut_into_steps_of_the_batch_size(kind):
    X, y = make_rows(kind)
    batches = tf.data.Dataset.from_tensor_slices((X.astype(np.float32), y)).batch(23)
    model = kind(batch_size=7, max_iter=5, tol=None).fit(batches)
    assert model.n_iter_ == 5
    assert model.history_["cost"].dtype == np.float32
    assert model.score(X, y) > 0.7 * kind().fit(X, y).score(X, y)
    again = kind(batch_size=7, max_iter=5, tol=None, warm_start=True).fit(batches)
    assert again.fit(batches).cost(X, y) < model.cost(X, y)


@every_estimator
def test_weights_of_rows_are_rows_given_again(kind):
    X, y = make_rows(kind)
    weights = np.arange(61) % 3
    np.testing.assert_allclose(
        kind().fit(X, y, sample_weight=weights).coef_,
        kind().fit(np.repeat(X, weights, axis=0), np.repeat(y, weights)).coef_,
        rtol=1e-6,
    )


@every_estimator
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": "fast"}, "Unknown learning_rate 'fast'. Expected one of: adaptive, auto."),
        ({"learning_rate": 0}, "`learning_rate` must be a number > 0. Received: learning_rate=0"),
        ({"learning_rate": None}, "must be 'auto', 'adaptive', a number above 0, or a Keras Learning"),
        ({"batch_size": 0}, "`batch_size` must be an int >= 1 or None (all rows). Received: batch_size=0"),
        ({"max_iter": 1.5}, "`max_iter` must be an int >= 1. Received: max_iter=1.5"),
        ({"n_iter_no_change": True}, "`n_iter_no_change` must be an int >= 1."),
        ({"tol": -1}, "`tol` must be a number >= 0 or None (no stopping before `max_iter`)."),
        ({"l1": np.nan}, "`l1` must be a number >= 0. Received: l1=nan"),
        ({"l2": -0.1}, "`l2` must be a number >= 0. Received: l2=-0.1"),
        ({"validation_fraction": 1}, "`validation_fraction` must be a number above 0 and below 1"),
        ({"scaling": "standardise"}, "Did you mean 'standardize'? Or None."),
    ],
)
def test_wrong_options(kind, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        kind(**options).fit(*make_rows(kind))


@every_estimator
def test_wrong_rows(kind):
    X, y = make_rows(kind)
    holes = pd.DataFrame(X, columns=["weight", "power", "age", "d", "e"])
    holes.loc[[2, 5], "power"] = np.nan
    for method in (kind().fit, lambda X, y: kind().fit(np.nan_to_num(X), y).predict(X)):
        with pytest.raises(ValueError, match=r"has 2 missing values \(NaN; first: row 2\).*SimpleImputer"):
            method(holes.to_numpy(), y)
    with pytest.raises(ValueError, match="Column 'power' has 2 missing values"):
        kind().fit(holes, y)
    with pytest.raises(ValueError, match="must contain at least one non-zero number"):
        kind().fit(X, y, sample_weight=np.zeros(61))
    with pytest.raises(ValueError, match=r"`sample_weight` must be >= 0. Received: -2.0"):
        kind().fit(X, y, sample_weight=np.arange(61) - 2.0)
    with pytest.raises(ValueError, match="2 rows are too few"):
        kind(early_stopping=True).fit(X[[0, -1]], np.unique(y)[[0, -1]])
    alone = (np.arange(61) == 7).astype(float)
    if kind is LinearRegression:
        with pytest.raises(ValueError, match="among the rows held out"):
            kind(early_stopping=True, random_state=0).fit(X, y, sample_weight=alone)
    with pytest.raises(
        ValueError, match=r"must be \(\.\.\., columns, outputs\) with 6 columns.*shape \(3,\)"
    ):
        kind().fit(X, y).cost(X, y, np.zeros(3))
    options = {} if kind is LinearRegression else {"classes": np.unique(y)}
    with pytest.raises(ValueError, match="early_stopping=True can't act"):
        kind(early_stopping=True).partial_fit(X, y, **options)


@every_estimator
def test_wrong_datasets(kind):
    X, y = make_rows(kind)
    rows = tf.data.Dataset.from_tensor_slices((X, y))
    with pytest.raises(ValueError, match="brings its own targets"):
        kind().fit(rows.batch(7), y)
    with pytest.raises(ValueError, match="a Dataset has none to hold"):
        kind(early_stopping=True).fit(rows.batch(7))


@every_estimator
def test_a_rate_that_is_too_large_is_told_the_one_that_would_do(kind):
    X, y = make_rows(kind)
    with pytest.raises(
        ValueError, match=r"diverged: after \d+ epochs .* a rate of at most ([\d.e-]+) will do"
    ) as e:
        kind(learning_rate=1e6, max_iter=50, batch_size=7).fit(X, y)
    rate = float(re.search(r"at most ([\d.e-]+) will do", str(e.value))[1])
    model = kind(learning_rate=rate, max_iter=50, batch_size=7, tol=None, random_state=0).fit(X, y)
    assert np.isfinite(model.coef_).all()
    with pytest.raises(ValueError, match="scaling='standardize' allows a larger one"):
        kind(learning_rate=1.0, max_iter=50, scaling=None).fit(X, y)


@every_estimator
def test_an_unfinished_descent_warns_and_says_how_to_go_on(kind):
    X, y = make_rows(kind)
    with pytest.warns(ConvergenceWarning, match=r"has not converged after 3 epochs.*learning_rate='auto'"):
        kind(learning_rate=0.01, max_iter=3).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="or scaling='standardize'"):
        kind(max_iter=3, scaling=None).fit(X, y)
    kind(learning_rate=0.01, max_iter=3, tol=None).fit(X, y)


def test_digits_as_lbfgs():
    from sklearn.linear_model import LogisticRegression as Lbfgs

    X, y = (part[::3] for part in datasets.load_digits(return_X_y=True))
    model = SoftmaxRegression(l2=0.01).fit(X, y)
    scaled = (X - model.offset_) / model.scale_
    exact = Lbfgs(C=1 / (0.01 * len(X)), tol=1e-8, max_iter=1000).fit(scaled, y)
    np.testing.assert_allclose(model.predict_proba(X), exact.predict_proba(scaled), atol=1e-4)
    assert (model.predict(X) == exact.predict(scaled)).mean() > 0.999
