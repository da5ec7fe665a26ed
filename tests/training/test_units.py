"""Metrics while a network learns say what `evaluate` says, also where windows have units of their own."""

import keras
import numpy as np
import pandas as pd
import pytest

from tfts.data.split import chronological_split
from tfts.forecaster import Forecaster
from tfts.keras_metrics import UnweightedLoss
from tfts.metrics import ErrorSums, keras_metric
from tfts.metrics.sums import POINT_METRICS as METRICS
from tfts.models import linear
from tfts.training import target_units

NAMES = [name for name in METRICS if name != "mase"]


@pytest.fixture(scope="module")
def stores():
    """Three stores of very different sizes, with a week in each and two targets."""
    random, days = np.random.default_rng(0), pd.date_range("2024-01-01", periods=61)
    week = np.arange(61) * 2 * np.pi / 7
    parts = []
    for name, level in (("small", 1.0), ("large", 1000.0), ("middle", 31.0)):
        sales = level * (2 + np.sin(week) + 0.1 * random.standard_normal(61))
        visits = 5 * level * (3 + np.cos(week) + 0.1 * random.standard_normal(61))
        parts.append(pd.DataFrame({"day": days, "store": name, "sales": sales, "visits": visits}))
    return pd.concat(parts, ignore_index=True)


def fitted(frame, targets=("sales",), metrics=NAMES, model="linear", **options):
    settings = {"context_length": 7, "horizon": 2, "time": "day", "series": "store", **options}
    forecaster = Forecaster(model, targets=list(targets), **settings)
    parts = chronological_split(forecaster.panel(frame), validation=0.3, test=0)
    forecaster.fit(parts.train, validation=parts.validation, epochs=1, metrics=metrics, verbose=0)
    return forecaster, parts


def with_gaps(frame):
    """Without three values among those learnt from, and five of the validation rows."""
    frame = frame.copy()
    frame.loc[[17, 18, 61 + 23, 50, 55, 61 + 57, 122 + 51, 122 + 52], "sales"] = np.nan
    return frame


@pytest.mark.parametrize(
    ("gaps", "options"),
    [
        (False, {"per_series": True}),
        (False, {"per_series": True, "scaler": "log"}),
        (True, {"missing": "interpolate"}),
        (True, {"missing": "interpolate", "per_series": True, "scaler": "minmax", "calendar": ["weekday"]}),
    ],
)
def test_what_is_shown_of_validation_rows_is_what_evaluate_says(gaps, options, stores):
    forecaster, parts = fitted(with_gaps(stores) if gaps else stores, **options)
    scores = forecaster.evaluate(parts.validation, NAMES).iloc[0]
    shown = {name: forecaster.history_[f"val_{name}"][0] for name in NAMES}
    assert shown == pytest.approx(dict(scores[NAMES]), rel=1e-4)


@pytest.mark.parametrize("scaler", ["standard", "log"])
def test_several_targets_are_each_in_units_of_their_deviation(scaler, stores):
    forecaster, parts = fitted(stores, ("sales", "visits"), ["rmse"], per_series=True, scaler=scaler)
    table = forecaster.evaluate(parts.validation, ["mse"])
    # All windows hold both targets, so that the mean over all values is that of both means.
    expected = np.sqrt(np.mean(table["mse"] / target_units(parts.train) ** 2))
    assert forecaster.history_["val_rmse"][0] == pytest.approx(expected, rel=1e-4)


def test_series_that_are_held_out_whole_have_their_own_units_too(stores):
    forecaster = Forecaster(
        "linear", context_length=7, horizon=2, targets=["sales"], time="day", series="store", per_series=True
    )
    known = forecaster.panel(stores[stores["store"] != "large"])
    unseen = forecaster.panel(stores[stores["store"] == "large"])
    forecaster.fit(known, validation=unseen, epochs=1, metrics=["rmse", "mape"], verbose=0)
    shown = [forecaster.history_[f"val_{name}"][0] for name in ("rmse", "mape")]
    with pytest.warns(UserWarning, match="1 series were not among the training rows"):
        scores = forecaster.evaluate(unseen, ["rmse", "mape"])
    assert shown == pytest.approx(list(scores.iloc[0][["rmse", "mape"]]), rel=1e-4)


def test_training_windows_are_in_the_units_of_the_table_too(stores):
    forecaster, parts = fitted(stores, metrics=["rmse", "mape"], per_series=True)
    again = forecaster.clone()
    windows = again.compiled(parts.train, validation=0, metrics=["rmse", "mape"])[1]
    shown = forecaster.model.evaluate(windows, return_dict=True, verbose=0)
    scores = forecaster.evaluate(parts.train, ["rmse", "mape"]).iloc[0]
    assert {"rmse": shown["rmse"], "mape": shown["mape"]} == pytest.approx(
        dict(scores[["rmse", "mape"]]), rel=1e-4
    )


def test_metrics_change_nothing_of_what_is_learnt(stores):
    with_metrics = fitted(stores, per_series=True)[0]
    without = fitted(stores, metrics=(), per_series=True)[0]
    np.testing.assert_allclose(with_metrics.history_["val_loss"], without.history_["val_loss"], rtol=1e-6)
    for learnt, plain in zip(with_metrics.model.get_weights(), without.model.get_weights(), strict=True):
        np.testing.assert_allclose(learnt, plain, rtol=1e-5, atol=1e-7)


def test_windows_without_units_of_their_own_have_no_more_in_a_batch(stores):
    frame = stores[["day", "store", "sales"]]
    settings = {"context_length": 7, "horizon": 2, "time": "day", "series": "store", "calendar": ["weekday"]}
    for per_series, metrics, parts in ((False, ["rmse"], 2), (True, [], 2), (True, ["rmse"], 3)):
        made = Forecaster("linear", per_series=per_series, **settings).compiled(frame, metrics=metrics)
        assert [len(windows.element_spec) for windows in made[1:]] == [parts, parts]


def test_a_builder_of_the_user_is_loaded_with_its_metrics_and_trained_further(stores, tmp_path):
    forecaster, _ = fitted(stores, metrics=["rmse", "r2"], per_series=True, model=linear)
    forecaster.save(tmp_path / "saved")
    model = Forecaster.load(tmp_path / "saved").model
    # Two columns are seen, one is forecast. What comes without units can't be scored in them.
    history = model.fit(np.zeros((3, 7, 2)), np.zeros((3, 2, 1)), verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert np.isnan([*history["rmse"], *history["r2"]]).all()


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_metric_with_the_units_of_each_window_gives_the_number_of_the_sums(name, log):
    random = np.random.default_rng(0)
    actual, forecast = 1 + np.abs(random.normal(size=(2, 7, 5, 3)))
    actual[2, 1] = np.nan
    offset, scale = random.normal(size=(7, 1, 3)), 0.5 + random.random((7, 1, 3))
    hidden = random.random((7, 5, 3)) < 0.2
    units = np.stack([np.broadcast_to(offset, hidden.shape), np.where(hidden, np.nan, scale)], axis=1)
    metric = keras_metric(name, offset.mean((0, 1)), log=log, own_units=True)
    restore = np.log if log else np.asarray
    for rows in (slice(0, 3), slice(3, None)):
        scaled = [(restore(values) - offset) / scale for values in (actual, forecast)]
        metric.update_state(scaled[0][rows], scaled[1][rows], units[rows])
    sums = ErrorSums(5, ["a", "b", "c"])
    sums.update(np.where(hidden, np.nan, actual), forecast)
    assert float(metric.result()) == pytest.approx(sums.score([name])[name].item(), rel=1e-4)
    again = type(metric).from_config(metric.get_config())
    assert again.get_config() == metric.get_config()


def test_r2_loses_no_digits_to_a_level_that_series_share():
    metric = keras_metric("r2", 1e7, own_units=True)
    units = np.array([[1e7, 1.0], [1e7 + 2, 1.0]]).reshape(2, 2, 1, 1)
    # 10,000,000.25 and 10,000,002.25 where 10,000,000.25 and 10,000,001.25 were forecast: 1 - 1 / 2.
    metric.update_state([[[0.25]], [[0.25]]], [[[0.25]], [[-0.75]]], units)
    assert float(metric.result()) == pytest.approx(0.5, rel=1e-6)


def test_a_loss_without_weights_is_the_loss_and_comes_back_from_its_config():
    units = np.full((2, 2, 1, 1), 100.0)
    actual, forecast = np.array([[[1.0]], [[2.0]]]), np.array([[[1.5]], [[4.0]]])
    # Errors of 0.5 and 2: squares 0.25 and 4; Huber with delta 1: 0.125 and 1.5.
    for loss, expected in (("mse", 2.125), (keras.losses.Huber(1.0), 0.8125)):
        made = UnweightedLoss(loss)
        again = UnweightedLoss.from_config(made.get_config())
        for one in (made, again):
            assert float(one(actual, forecast, sample_weight=units)) == pytest.approx(expected)
