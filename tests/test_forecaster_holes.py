"""Forecasts from tables whose holes stay holes, `missing="mask"`."""

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest

from tfts.anomaly.detector import AnomalyDetector
from tfts.attention import analyse_attention
from tfts.backtesting import backtest
from tfts.baselines import BASELINES
from tfts.forecaster import Forecaster
from tfts.outputs.losses import ObservedLoss
from tfts.tuning import search

WINDOW = {"context_length": 24, "horizon": 5, "missing": "mask"}
FIT = {"epochs": 2, "verbose": 0, "batch_size": 64}
# Two epochs are not enough, and say so.
pytestmark = pytest.mark.filterwarnings("ignore:The validation loss still fell:UserWarning")


def _table(rows=240, share=0.2, seed=0):
    """Two series of a day's rhythm and a column beside them, a share of whose values is missing."""
    rng = np.random.default_rng(seed)
    day = np.arange(rows) * 2 * np.pi / 24
    frame = pd.DataFrame(
        {
            "load": 100 + 10 * np.sin(day) + rng.normal(0, 1, rows),
            "heat": 7 + np.cos(day) + rng.normal(0, 0.1, rows),
            "wind": rng.normal(size=rows),
        },
        index=pd.date_range("2024-01-01", periods=rows, freq="h"),
    )
    return frame.mask(rng.random(frame.shape) < share)


def _forecaster(model, **options):
    return Forecaster(model, **{**WINDOW, "targets": ["load", "heat"], **options})


@pytest.mark.parametrize("model", ["linear", "lstm_attention", "segment_rnn"])
def test_a_network_learns_forecasts_and_is_read_again(model, tmp_path):
    frame = _table()
    frame.iloc[-3:] = np.nan
    fitted = _forecaster(model).fit(frame, **FIT, metrics=["mae"])
    assert fitted.task.masked
    assert np.isfinite(fitted.history_["val_loss"] + fitted.history_["val_mae"]).all()
    assert isinstance(fitted.model.loss, ObservedLoss)
    found = fitted.predict(frame)
    # The newest rows are missing, and it goes on after them.
    assert found["time"][0] == frame.index[-1] + pd.Timedelta(1, "h")
    assert found[["load", "heat"]].notna().all(axis=None)
    fitted.save(tmp_path / "fitted")
    again = Forecaster.load(tmp_path / "fitted")
    pd.testing.assert_frame_equal(again.predict(frame), found, check_exact=True)
    assert again.task == fitted.task


def test_what_was_not_observed_is_neither_learnt_nor_scored():
    frame = _table(share=0)
    holes = np.random.default_rng(3).random(frame.shape) < 0.2
    fitted = _forecaster("linear").fit(frame.mask(holes), **FIT)
    score = fitted.evaluate(frame.mask(holes))
    # 211 windows of 24 rows and 5 more, of which a share of each target is not there.
    windows = len(fitted.spec.origins(fitted.panel(frame.mask(holes))))
    seen = np.lib.stride_tricks.sliding_window_view(~holes[24:, 0], 5).sum()
    assert (windows, score["count"][0]) == (212, seen)


def test_values_after_the_origin_change_no_forecast():
    frame = _table()
    fitted = _forecaster("lstm_attention").fit(frame, **FIT)
    rows, panel = np.array([100]), fitted.panel(frame)
    later = frame.copy()
    later.iloc[101:] = 5000.0
    np.testing.assert_array_equal(
        fitted.forecast_windows(panel, rows), fitted.forecast_windows(fitted.panel(later), rows)
    )


def test_the_mask_of_a_window_reaches_the_network():
    frame = _table()
    fitted = _forecaster("lstm_attention").fit(frame, **FIT)
    panel, rows = fitted.panel(frame), np.array([100, 101])
    inputs = fitted.inputs(panel, rows)
    np.testing.assert_array_equal(inputs["observed"][0], frame.iloc[77:101].notna())
    hidden = {**inputs, "observed": np.zeros_like(inputs["observed"])}
    before, after = (fitted.forecast_inputs(given, panel, rows) for given in (inputs, hidden))
    assert np.abs(before - after).max() > 1e-4


@pytest.mark.parametrize("output", ["point", "normal", "quantiles"])
def test_quantiles_come_from_what_was_observed(output):
    fitted = _forecaster("linear", output=output, quantiles=[0.1, 0.5, 0.9]).fit(_table(), **FIT)
    found = fitted.predict(_table(), "all")
    assert found.notna().all(axis=None)
    assert (found["load_q0.1"] <= found["load_q0.9"]).all()
    assert np.isfinite(fitted.evaluate(_table())["pinball"]).all()


def test_adaptive_quantiles_pass_over_holes():
    fitted = _forecaster("ridge", quantiles=[0.1, 0.9], calibration="adaptive").fit(_table())
    assert fitted.predict(_table(), "all").notna().all(axis=None)


def test_paths_come_from_horizons_with_holes_where_there_are_no_others():
    fitted = _forecaster("ridge", horizon=24, quantiles=[0.2, 0.8]).fit(_table())
    assert np.isnan(fitted.held_out_.scores).any(axis=(1, 2)).all()
    paths = fitted.predict(_table(), samples=7)
    assert len(paths) == 7 * 24
    assert paths.notna().all(axis=None)


def test_movement_is_that_of_observed_pairs():
    from tfts.calibration.kinds import moved_of
    from tfts.data.panel import Panel
    from tfts.data.windows import WindowSpec

    years = pd.date_range("2000", periods=5, freq="YS")
    panel = Panel.from_frame(pd.DataFrame({"y": [1.0, 3.0, np.nan, 4.0, 8.0]}, index=years), missing="mask")
    # Of the steps _, _ and 4.
    assert moved_of(panel, np.array([4]), WindowSpec(5, 1)).tolist() == [[4.0]]


@pytest.mark.parametrize("model", BASELINES)
def test_every_baseline_forecasts_from_holes(model, tmp_path):
    frame = _table()
    frame.iloc[-1] = np.nan
    options = {"arima": {"order": (1, 0, 0)}, "running_median": {"rows": 1}}.get(model, {})
    fitted = _forecaster(model, model_options=options).fit(frame)
    found = fitted.predict(frame)
    assert found[["load", "heat"]].notna().all(axis=None)
    if model not in ("arima", "drift", "running_median", "persistence"):
        # Much nearer than the mean, in which the day moves by 7.
        assert fitted.evaluate(frame)["mae"][0] < 4
    fitted.save(tmp_path / "fitted")
    again = Forecaster.load(tmp_path / "fitted")
    pd.testing.assert_frame_equal(again.predict(frame), found, check_exact=True)


def test_a_ridge_with_all_columns_takes_holes():
    fitted = _forecaster("ridge", model_options={"inputs": "all"}, context_length=12).fit(_table())
    assert fitted.predict(_table()).notna().all(axis=None)


def test_simple_methods_take_the_last_observed_value():
    days = pd.date_range("2024-01-01", periods=9)
    frame = pd.DataFrame({"y": [1.0, 2.0, 3.0, np.nan, 5.0, 9.0, np.nan, 11.0, np.nan]}, index=days)
    options = {"context_length": 6, "horizon": 3, "missing": "mask"}
    expected = {
        "persistence": [11, 11, 11],
        # From 5 of the fifth day to 11 of the eighth.
        "drift": [15, 17, 19],
        # Of the seventh day, then of the fourth, which are both missing, then of the first; 11; 9 of the sixth.
        "seasonal_naive": [1, 11, 9],
        "running_median": [11, 11, 11],
    }
    for model, values in expected.items():
        own = {"seasonal_naive": {"season_length": 3}, "running_median": {"rows": 1}}.get(model, {})
        fitted = Forecaster(model, **options, model_options=own).fit(frame)
        np.testing.assert_allclose(fitted.predict(frame)["y"], values, err_msg=model)


def test_a_backtest_scores_what_was_observed():
    found = backtest(_forecaster("linear"), _table(), origins=3, refit=False, **FIT)
    assert found["forecast"].notna().all()
    assert 0 < found["actual"].isna().mean() < 0.5


def test_a_search_tries_settings_on_holes():
    found = search(
        "linear",
        _table(),
        max_trials=2,
        targets=["load", "heat"],
        **WINDOW,
        training={"epochs": 1},
        verbose=0,
    )
    assert found.best_forecaster().predict(_table()).notna().all(axis=None)


def test_attention_is_analysed_with_the_mask():
    frame = _table()
    fitted = _forecaster("lstm_attention").fit(frame, **FIT)
    found = analyse_attention(fitted, fitted.panel(frame), max_windows=40)
    assert np.isfinite(found.faithfulness.ratio)


def test_many_series_of_their_own_scale():
    frame = pd.concat([_table(seed=1).assign(site="a"), 50 * _table(seed=2)]).fillna({"site": "b"})
    frame = frame.rename_axis("time").reset_index()
    fitted = _forecaster("linear", time="time", series="site", per_series=True, output="normal").fit(
        frame, **FIT, metrics=["mae"]
    )
    assert fitted.predict(frame)[["load", "heat"]].notna().all(axis=None)
    assert np.isfinite(fitted.history_["val_mae"]).all()


def test_holes_in_a_column_known_ahead_are_filled():
    frame = _table()
    known = pd.concat([frame, pd.DataFrame({"wind": 0.0}, index=frame.index[-5:] + pd.Timedelta(5, "h"))])
    fitted = _forecaster("linear", known_future="wind").fit(frame, **FIT)
    assert fitted.predict(known)[["load", "heat"]].notna().all(axis=None)


def test_a_ridge_becomes_a_network_that_sees_the_same():
    fitted = _forecaster("ridge").fit(_table())
    network = fitted.as_network()
    assert network.task.masked
    np.testing.assert_allclose(
        network.predict(_table(), "all")["load"], fitted.predict(_table(), "all")["load"], rtol=1e-5
    )


def test_a_target_that_was_not_seen_lately_is_told():
    frame = _table()
    fitted = _forecaster("linear").fit(frame, **FIT)
    frame.iloc[-24:, 1] = np.nan
    with pytest.raises(
        ValueError, match="can't be forecast from its last row: it has no value of a target in its last 24"
    ):
        fitted.predict(frame)


def test_the_first_spread_of_a_step_that_was_never_observed_stays(monkeypatch):
    frame = _table(share=0)[["load"]]
    # Every sixth row is there, so that from one origin in six the second step is never observed.
    frame[np.arange(len(frame)) % 6 != 0] = np.nan
    fitted = Forecaster("linear", **WINDOW, output="normal", stride=6).fit(
        frame, epochs=1, verbose=0, linear_start="ridge"
    )
    assert fitted.predict(frame).notna().all(axis=None)


def test_a_panel_must_be_made_in_the_same_way():
    fitted = _forecaster("linear").fit(_table(), **FIT)
    panel = dataclasses.replace(fitted.panel(_table()), masked=False)
    with pytest.raises(ValueError, match=r"fitted with missing='mask', but the panel was made without it"):
        fitted.evaluate(panel)


def test_a_compiled_model_is_refused_for_its_loss():
    model = keras.Sequential([keras.Input((24, 2)), keras.layers.Flatten(), keras.layers.Dense(10)])
    model.add(keras.layers.Reshape((5, 2)))
    model.compile("adam", "mse")
    forecaster = Forecaster(model, **WINDOW)
    with pytest.raises(ValueError, match=r"compiled with a loss of its own, and with missing='mask'"):
        forecaster.fit(_table()[["load", "heat"]])


def test_a_detector_refuses_a_mask():
    with pytest.raises(ValueError, match=r"'interpolate' or 'drop'\. Received: missing='mask'"):
        AnomalyDetector("linear", context_length=5, missing="mask")


def test_a_target_that_is_always_hidden_is_told():
    with pytest.raises(ValueError, match=r"Target 'heat' has no value in any row\. Leave it out"):
        _forecaster("linear").fit(_table().assign(heat=np.nan), **FIT)
