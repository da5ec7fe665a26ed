import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from tfts import metrics
from tfts.metrics import ErrorSums, keras_metric, mase_scale
from tfts.metrics.sums import POINT_METRICS as METRICS

WINDOWS, HORIZON, TARGETS = 7, 5, ("load", "price", "wind")
NAN = float("nan")


def data(seed=0, missing=True):
    rng = np.random.default_rng(seed)
    actual = rng.normal([10.0, -3.0, 0.5], [4.0, 1.0, 0.2], (WINDOWS, HORIZON, len(TARGETS)))
    forecast = actual + rng.normal(0.1, 0.5, actual.shape)
    if missing:
        actual[rng.random(actual.shape) < 0.2] = NAN
    return actual, forecast


def summed(actual, forecast, scale=None):
    sums = ErrorSums(actual.shape[1], TARGETS[: actual.shape[2]], scale)
    sums.update(actual, forecast)
    return sums


# By hand: errors 1, -2, 0, 3 on actuals 2, 4, 5, -1.
ACTUAL, FORECAST = [2.0, 4.0, 5.0, -1.0], [3.0, 2.0, 5.0, 2.0]
BY_HAND = {
    "mae": 6 / 4,
    "mse": 14 / 4,
    "rmse": 3.5**0.5,
    "bias": 2 / 4,
    "mape": 100 * (1 / 2 + 2 / 4 + 0 + 3) / 4,
    "smape": 200 * (1 / 5 + 2 / 6 + 0 + 3 / 3) / 4,
    "wape": 100 * 6 / 12,
    # The mean is 2.5, so the squared distances are 0.25, 2.25, 6.25, 12.25.
    "r2": 1 - 14 / 21,
    "mase": 6 / 4 / 2,
}


def test_every_metric_has_a_number_worked_by_hand():
    assert BY_HAND.keys() == METRICS.keys()


@pytest.mark.parametrize("name", METRICS)
def test_functions_and_sums_give_the_numbers_worked_by_hand(name):
    extra = {"scale": 2.0} if name == "mase" else {}
    assert getattr(metrics, name)(ACTUAL, FORECAST, **extra) == pytest.approx(BY_HAND[name], rel=1e-12)
    shape = (2, 2, 1)
    sums = summed(np.reshape(ACTUAL, shape), np.reshape(FORECAST, shape), scale=2.0)
    assert sums.score([name])[name].item() == pytest.approx(BY_HAND[name], rel=1e-12)


@pytest.mark.parametrize(
    ("name", "theirs", "factor"),
    [
        ("rmse", "root_mean_squared_error", 1),
        ("mae", "mean_absolute_error", 1),
        ("mse", "mean_squared_error", 1),
        ("mape", "mean_absolute_percentage_error", 100),
        ("r2", "r2_score", 1),
    ],
)
def test_agrees_with_scikit_learn_for_each_target_and_overall(name, theirs, factor):
    actual, forecast = (array.reshape(-1, len(TARGETS)) for array in data(missing=False))
    function = getattr(sklearn_metrics, theirs)
    each = summed(actual[:, None], forecast[:, None]).score([name], by="target")
    expected = factor * function(actual, forecast, multioutput="raw_values")
    np.testing.assert_allclose(each[name], expected, rtol=1e-12)
    # scikit-learn averages the targets' rmse; ours is the root of the mean of everything.
    pooled = (actual.ravel(), forecast.ravel()) if name == "rmse" else (actual, forecast)
    assert getattr(metrics, name)(actual, forecast) == pytest.approx(factor * function(*pooled), rel=1e-12)


@pytest.mark.parametrize("forecast", [[5.0, 5.0, 5.0], [5.0, 5.0, 6.0]])
def test_r2_of_a_constant_target_ends_as_in_scikit_learn(forecast):
    # 0.1 has no exact binary form, so a naive mean of it leaves a tiny spread.
    actual, forecast = np.full(3, 0.1), np.array(forecast) - 4.9
    forecast[:2] = 0.1
    expected = sklearn_metrics.r2_score(np.zeros(3), forecast - actual)
    assert metrics.r2(actual, forecast) == expected


def test_r2_keeps_its_digits_where_values_are_large_beside_their_spread():
    rng = np.random.default_rng(0)
    small = rng.integers(-512, 512, 10_007) / 1024
    wrong = rng.integers(-64, 64, 10_007) / 1024
    sums = ErrorSums(1, ["pressure"])
    for rows in np.array_split(np.arange(len(small)), 101):
        actual = (1e6 + small[rows]).reshape(-1, 1, 1)
        sums.update(actual, actual + wrong[rows].reshape(-1, 1, 1))
    # These fractions are exact in float64, with and without the million.
    expected = 1 - (wrong**2).sum() / ((small - small.mean()) ** 2).sum()
    assert sums.score(["r2"])["r2"].item() == pytest.approx(expected, abs=1e-11)


def test_r2_survives_a_first_value_far_from_the_rest():
    actual = np.concatenate([[1e6], np.sin(np.arange(1, 1009))])
    forecast = actual + np.cos(np.arange(1009)) / 7
    expected = sklearn_metrics.r2_score(actual, forecast)
    assert metrics.r2(actual, forecast) == pytest.approx(expected, abs=1e-13)


def test_r2_needs_two_points():
    assert np.isnan(metrics.r2([1.0], [2.0]))


def test_r2_leaves_out_a_target_without_points():
    actual = np.array([[1.0, NAN], [2.0, NAN], [3.0, NAN]])
    assert metrics.r2(actual, [[1.0, 0.0], [2.0, 0.0], [4.0, 0.0]]) == 0.5


def test_points_not_observed_are_not_scored():
    actual, forecast = data()
    observed = ~np.isnan(actual)
    sums = summed(actual, forecast)
    np.testing.assert_array_equal(sums.count, observed.sum(axis=0))
    assert sums.count.dtype == np.int64
    assert sums.num_windows == WINDOWS
    kept = actual[observed], forecast[observed]
    for name in ("rmse", "mae", "mse", "mape", "smape", "wape", "bias"):
        expected = getattr(metrics, name)(*kept)
        assert sums.score([name])[name].item() == pytest.approx(expected, rel=1e-12)


def test_nothing_observed_gives_nan_and_a_count_of_zero():
    sums = summed(np.full((2, 3, 1), NAN), np.zeros((2, 3, 1)), scale=1.0)
    table = sums.score()
    assert table["count"].item() == 0
    assert table.drop(columns="count").isna().all(axis=None)


def test_mape_leaves_out_zeros_and_counts_the_rest():
    actual = np.array([0.0, metrics.sums.ZERO, -2.0, 4.0]).reshape(4, 1, 1)
    sums = summed(actual, np.array([5.0, 5.0, -1.0, 5.0]).reshape(4, 1, 1))
    assert sums.score(["mape"])["mape"].item() == 100 * (0.5 + 0.25) / 2
    assert sums.percentage_count.tolist() == [[2]]
    assert sums.count.tolist() == [[4]]


def test_percentages_where_every_actual_is_zero():
    assert np.isnan(metrics.mape([0.0, 0.0], [1.0, 2.0]))
    assert np.isnan(metrics.wape([0.0, 0.0], [1.0, 2.0]))
    assert metrics.smape([0.0, 0.0], [1.0, 0.0]) == 100.0


def test_smape_is_at_most_200():
    assert metrics.smape([1.0, -3.0], [-1.0, 5.0]) == 200.0


def test_scores_by_step_and_target():
    # Window, step, target: the absolute error is 100 * step + 10 * target + window.
    windows, steps, targets = np.ogrid[0:7, 1:6, 1:4]
    errors = 100.0 * steps + 10.0 * targets + windows
    sums = summed(np.zeros_like(errors), errors)

    overall = sums.score(["mae"])
    assert overall.to_dict("list") == {"count": [105], "mae": [323.0]}
    by_step = sums.score(["mae"], by="step")
    assert by_step["step"].tolist() == [1, 2, 3, 4, 5]
    assert by_step["mae"].tolist() == [123.0, 223.0, 323.0, 423.0, 523.0]
    by_target = sums.score(["mae"], by="target")
    assert by_target["target"].tolist() == list(TARGETS)
    assert by_target["mae"].tolist() == [313.0, 323.0, 333.0]
    both = sums.score(["mae"], by="target_step")
    assert both.columns.tolist() == ["target", "step", "count", "mae"]
    assert both.set_index(["target", "step"])["mae"]["price", 4] == 423.0
    assert both["count"].tolist() == [7] * 15


def test_overall_r2_is_the_mean_of_the_targets_also_by_step():
    actual, forecast = data(missing=False)
    sums = summed(actual, forecast)
    by_step = sums.score(["r2"], by="step")["r2"]
    for step in range(HORIZON):
        expected = sklearn_metrics.r2_score(actual[:, step], forecast[:, step])
        assert by_step[step] == pytest.approx(expected, rel=1e-12)


def test_default_names_hold_mase_only_where_a_scale_was_given():
    actual, forecast = data()
    names = [name for name in METRICS if name != "mase"]
    assert summed(actual, forecast).score().columns.tolist() == ["count", *names]
    assert summed(actual, forecast, scale=[1.0, 2.0, 3.0]).score().columns.tolist() == ["count", *METRICS]
    sums = ErrorSums(HORIZON, TARGETS)
    sums.update(actual, forecast, scale=np.ones((WINDOWS, 3)))
    assert "mase" in sums.score()


def test_mase_by_name_without_a_scale_is_nan():
    assert np.isnan(summed(*data()).score(["mase"])["mase"].item())


def test_mase_takes_a_scale_for_each_window_and_leaves_out_zero_and_nan():
    actual = np.zeros((3, 2, 1))
    sums = ErrorSums(2, ["load"], scale=5.0)
    sums.update(actual, actual + 6.0, scale=np.array([[2.0], [0.0], [NAN]]))
    assert sums.score(["mase"])["mase"].item() == 3.0
    assert sums.scaled_count.tolist() == [[1], [1]]
    sums.update(actual[:1], actual[:1] + 5.0)
    assert sums.score(["mase"])["mase"].item() == (3 + 3 + 1 + 1) / 4


def test_a_scale_for_each_target_is_not_taken_for_one_for_each_window():
    actual = np.zeros((3, 1, 3))
    by_target = summed(actual, actual + 6.0, scale=[1.0, 2.0, 3.0]).score(["mase"], by="target")
    assert by_target["mase"].tolist() == [6.0, 3.0, 2.0]


def test_mase_scale_by_hand():
    assert mase_scale([1.0, 5.0, 2.0, 9.0], 2) == (1 + 4) / 2
    # The pairs with the NaN go: |5-1| stays for rows 0, 1 and |9-2| for rows 3, 4.
    assert mase_scale([1.0, 5.0, NAN, 2.0, 9.0], 1) == (4 + 7) / 2
    two = mase_scale([[1.0, 0.0], [5.0, NAN], [2.0, 3.0]], 1)
    np.testing.assert_array_equal(two, [3.5, NAN])


def test_mase_scale_of_a_series_shorter_than_a_season_is_nan():
    assert np.isnan(mase_scale([1.0, 2.0], 2))
    assert np.isnan(mase_scale([1.0, 2.0], 24))


def test_seasonal_naive_scores_a_mase_of_one_in_sample():
    series = np.random.default_rng(0).normal(size=43)
    assert metrics.mase(series[7:], series[:-7], mase_scale(series, 7)) == pytest.approx(1.0, rel=1e-12)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, WINDOWS), max_size=5))
def test_batches_give_what_one_update_gives(seed, cuts):
    actual, forecast = data(seed)
    scale = np.random.default_rng(seed).random((WINDOWS, 3))
    batched = ErrorSums(HORIZON, TARGETS)
    edges = [0, *sorted(cuts), WINDOWS]
    for start, end in itertools.pairwise(edges):
        batched.update(actual[start:end], forecast[start:end], scale[start:end])
    once = ErrorSums(HORIZON, TARGETS)
    once.update(actual, forecast, scale)
    for by in ("overall", "target", "step", "target_step"):
        left, right = batched.score(by=by), once.score(by=by)
        np.testing.assert_allclose(left[[*METRICS]], right[[*METRICS]], rtol=1e-9, atol=1e-12)
        assert left["count"].tolist() == right["count"].tolist()


@settings(deadline=None, max_examples=30)
@given(order=st.permutations(range(WINDOWS)), seed=st.integers(0, 2**32 - 1))
def test_the_order_of_the_windows_does_not_matter(order, seed):
    actual, forecast = data(seed)
    left = summed(actual, forecast, scale=2.0).score(by="target_step")
    right = summed(actual[order], forecast[order], scale=2.0).score(by="target_step")
    np.testing.assert_allclose(left[[*METRICS]], right[[*METRICS]], rtol=1e-9, atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=11))
def test_a_perfect_forecast_scores_the_best_value_of_every_metric(values):
    for name in METRICS:
        score = getattr(metrics, name)(values, values, **({"scale": 1.0} if name == "mase" else {}))
        nothing_left = name in ("mape", "wape") and max(map(abs, values)) <= metrics.sums.ZERO
        if not nothing_left:
            assert score == (1.0 if name == "r2" else 0.0)


def test_many_windows_at_once_are_added_up_in_blocks(monkeypatch):
    actual, forecast = data()
    scale = np.random.default_rng(1).random((WINDOWS, 3))
    whole = ErrorSums(HORIZON, TARGETS)
    whole.update(actual, forecast, scale)
    monkeypatch.setattr(metrics.sums, "_BLOCK", 2 * HORIZON * len(TARGETS))
    seen = []
    add_up = ErrorSums._add_up

    def watched(self, actual, forecast, scale):
        seen.append(len(actual))
        return add_up(self, actual, forecast, scale)

    monkeypatch.setattr(ErrorSums, "_add_up", watched)
    blocks = ErrorSums(HORIZON, TARGETS)
    blocks.update(actual, forecast, scale)
    assert seen == [2, 2, 2, 1]
    np.testing.assert_allclose(blocks.score(), whole.score(), rtol=1e-12)


def test_float32_batches_are_summed_in_float64():
    # 2**24 + 1 is the first whole number that a float32 sum cannot reach.
    errors = np.ones((2**12 + 1, 2**12, 1), dtype=np.float32)
    sums = ErrorSums(2**12, ["load"])
    sums.update(np.zeros_like(errors), errors)
    assert sums.score(["mae"])["mae"].item() == 1.0
    assert sums._sums.absolute.sum() == 2**24 + 2**12


def test_a_missing_forecast_is_an_error_that_says_where():
    actual, forecast = data()
    sums = summed(actual, forecast)
    forecast[2, 3, 1] = forecast[4, 0, 0] = NAN
    with pytest.raises(ValueError, match=r"2 of its 105 values are not. First: window 9 .*step 4.*'price'"):
        sums.update(actual, forecast)
    assert sums.num_windows == WINDOWS
    with pytest.raises(ValueError, match=r"`forecast` must be finite.*1 of its 2 values.*index \(1,\)"):
        metrics.mae([NAN, NAN], [1.0, NAN])


def test_an_infinite_actual_is_an_error():
    with pytest.raises(ValueError, match=r"`actual` must be a number, or NaN.*step 1, target 0"):
        metrics.mae([np.inf], [1.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.mae([1.0, 2.0], [1.0]), r"one shape.*actual \(2,\), forecast \(1,\)"),
        (lambda: metrics.mae([], []), "at least one value"),
        (lambda: ErrorSums(0, ["load"]), r"`horizon` must be an int >= 1.*horizon=0"),
        (lambda: ErrorSums(5, "load"), r"`targets` must be a sequence.*'load'"),
        (lambda: ErrorSums(5, []), r"`targets` must be a sequence"),
        (lambda: ErrorSums(5, ["load", "load"]), r"different names"),
        (lambda: ErrorSums(5, ["load"], scale=-1.0), r"`scale` is a mean of absolute differences.*-1"),
        (
            lambda: ErrorSums(5, TARGETS, scale=[1.0, 2.0]),
            r"`scale` must have one of the shapes \(\), \(3,\):",
        ),
        (
            lambda: ErrorSums(5, TARGETS).update(np.zeros((7, 3, 5)), np.zeros((7, 3, 5))),
            r"\(num_windows, 5, 3\).*actual \(7, 3, 5\)",
        ),
        (
            lambda: ErrorSums(5, TARGETS).update(np.zeros((7, 5, 3)), np.zeros((7, 5, 3)), np.ones(7)),
            r"\(\), \(3,\), \(7, 3\).*Received: \(7,\)",
        ),
        (lambda: ErrorSums(5, TARGETS).score(["rmes"]), "Unknown metric 'rmes'.*Did you mean 'rmse'"),
        (lambda: ErrorSums(5, TARGETS).score("rmse"), r"`names` must be a list, as in \['rmse'\]"),
        (lambda: ErrorSums(5, TARGETS).score(by="steps"), "Unknown grouping 'steps'.*Did you mean 'step'"),
        (lambda: mase_scale([1.0], 0), "`season_length` must be an int >= 1.*Received: 0"),
        (lambda: mase_scale([1.0], 2.0), "`season_length` must be an int >= 1.*Received: 2.0"),
        (lambda: mase_scale(np.zeros((2, 3, 5)), 1), r"`values` must be \(rows,\).*\(2, 3, 5\)"),
        (lambda: keras_metric("mase"), "mase needs a scale of each series"),
        (lambda: keras_metric("sql", output="normal"), "sql needs a scale of each series"),
        (lambda: keras_metric("coverage_0.8"), "coverage_0.8 scores quantiles while a network learns"),
        (lambda: keras_metric("rmes"), "Unknown metric 'rmes'.*Did you mean 'rmse'"),
        (lambda: keras_metric("mae", scale=0.0), r"`scale` must be > 0.*scale=0.0"),
    ],
)
def test_mistakes_are_explained(call, message):
    with pytest.raises(ValueError, match=message):
        call()


KERAS_NAMES = [name for name in METRICS if name != "mase"]
OFFSET, SCALE = np.array([10.0, -3.0, 0.5]), np.array([4.0, 1.0, 0.2])


@pytest.mark.parametrize("name", KERAS_NAMES)
def test_keras_metric_gives_the_same_number_from_scaled_tensors(name):
    actual, forecast = data()
    metric = keras_metric(name, OFFSET, SCALE)
    for rows in (slice(0, 3), slice(3, None)):
        metric.update_state((actual[rows] - OFFSET) / SCALE, (forecast[rows] - OFFSET) / SCALE)
    expected = summed(actual, forecast).score([name])[name].item()
    assert float(metric.result()) == pytest.approx(expected, rel=2e-5)
    metric.reset_state()
    metric.update_state((actual[:2] - OFFSET) / SCALE, (forecast[:2] - OFFSET) / SCALE)
    expected = summed(actual[:2], forecast[:2]).score([name])[name].item()
    assert float(metric.result()) == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize("name", KERAS_NAMES)
def test_keras_metric_gives_the_same_number_from_scaled_logarithms(name):
    actual, forecast = (np.abs(values) + 1 for values in data())
    metric = keras_metric(name, OFFSET, SCALE, log=True)
    metric.update_state((np.log(actual) - OFFSET) / SCALE, (np.log(forecast) - OFFSET) / SCALE)
    expected = summed(actual, forecast).score([name])[name].item()
    assert float(metric.result()) == pytest.approx(expected, rel=2e-4)


@pytest.mark.parametrize("name", KERAS_NAMES)
def test_keras_metric_weighs_windows(name):
    actual, forecast = data(missing=False)
    weighted, repeated = keras_metric(name), keras_metric(name)
    weights = np.array([0, 1, 2, 0, 3, 1, 1])
    weighted.update_state(actual, forecast, sample_weight=weights)
    repeated.update_state(np.repeat(actual, weights, axis=0), np.repeat(forecast, weights, axis=0))
    assert float(weighted.result()) == pytest.approx(float(repeated.result()), rel=1e-5)


def test_keras_mape_leaves_out_a_zero_that_the_scaler_rounded():
    metric = keras_metric("mape", offset=1003.7, scale=1.3)
    scaled = np.float32(-1003.7 / 1.3)
    assert abs(scaled * np.float32(1.3) + np.float32(1003.7)) < 1e-3
    metric.update_state([[[scaled], [0.0]]], [[[0.0], [1.0]]])
    assert float(metric.result()) == pytest.approx(100 * 1.3 / 1003.7, rel=1e-5)


def test_keras_rmse_does_not_lose_digits_to_the_offset():
    metric = keras_metric("rmse", offset=1e6, scale=0.01)
    metric.update_state([[[0.5]]], [[[0.75]]])
    assert float(metric.result()) == pytest.approx(0.0025, rel=1e-6)


@pytest.mark.parametrize("name", ["mape", "wape"])
def test_keras_percentages_where_every_actual_is_zero_are_nan(name):
    metric = keras_metric(name)
    metric.update_state([[[0.0]]], [[[1.0]]])
    assert np.isnan(float(metric.result()))


def test_keras_r2_before_any_update_is_an_error():
    with pytest.raises(ValueError, match="`update_state` must see the targets"):
        keras_metric("r2").result()


def test_keras_metrics_come_back_from_their_config():
    logs = (keras_metric(name, OFFSET / 100, SCALE / 100, log=True) for name in ("mae", "r2"))
    for metric in (keras_metric("mape", OFFSET, SCALE), keras_metric("r2"), *logs):
        again = type(metric).from_config(metric.get_config())
        assert again.get_config() == metric.get_config()
        actual, forecast = data(missing=False)
        metric.update_state(actual, forecast)
        again.update_state(actual, forecast)
        assert float(again.result()) == float(metric.result())


# Keras turns TensorFlow variables into arrays in a way that NumPy 2 deprecates.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
def test_a_compiled_model_reports_original_units_and_loads_in_a_fresh_process(tmp_path):
    import keras

    keras.utils.set_random_seed(0)
    past = np.random.default_rng(0).normal(size=(23, 11, 2)).astype("float32")
    future = past[:, :3, :2] * 0.5
    inputs = keras.Input((11, 2))
    outputs = keras.layers.Reshape((3, 2))(keras.layers.Dense(6)(keras.layers.Flatten()(inputs)))
    model = keras.Model(inputs, outputs)
    offset, scale = [100.0, -7.0], [20.0, 3.0]
    model.compile(loss="mse", metrics=[keras_metric(name, offset, scale) for name in KERAS_NAMES])
    model.fit(past, future, batch_size=5, verbose=0)
    logs = model.evaluate(past, future, batch_size=5, verbose=0, return_dict=True)
    forecast = model.predict(past, verbose=0)
    sums = ErrorSums(3, ["a", "b"])
    sums.update(future * scale + offset, forecast * scale + offset)
    expected = sums.score(KERAS_NAMES)
    for name in KERAS_NAMES:
        assert logs[name] == pytest.approx(expected[name].item(), rel=1e-4), name

    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", past=past, future=future)
    code = """
import sys, keras, numpy as np, tfts.keras_metrics
data = np.load(sys.argv[1] + "/data.npz")
model = keras.models.load_model(sys.argv[1] + "/model.keras")
print(model.evaluate(data["past"], data["future"], batch_size=5, verbose=0, return_dict=True)["mape"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) == pytest.approx(logs["mape"], rel=1e-5)


def test_the_module_needs_no_tensorflow():
    code = "import sys, tfts.metrics; print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
