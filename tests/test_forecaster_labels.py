"""Forecasts from tables with labels and attributes of series."""

import warnings

import numpy as np
import pandas as pd
import pytest

from tfts.backtesting import backtest
from tfts.data.panel import Panel
from tfts.forecaster import Forecaster

OPTIONS = {"context_length": 7, "horizon": 3, "targets": "sales", "time": "day", "series": "shop"}
COLUMNS = {"known_future": "promotion", "static": ["kind", "size"]}
FIT = {"epochs": 2, "verbose": 0, "batch_size": 64}


def _table(shops=6, days=60, seed=0, share=0.3, noise=1.0):
    """Shops of three kinds, in which a promotion sells nothing more, 10 more or 20 more."""
    rng = np.random.default_rng(seed)
    frames = []
    for i in range(shops):
        promotion = rng.choice(["sale", None], days, p=[share, 1 - share])
        more = 10 * (i % 3) * (promotion == "sale")
        frames.append(
            pd.DataFrame(
                {
                    "shop": f"shop_{i}",
                    "day": pd.date_range("2024-01-01", periods=days),
                    "sales": 50 + more + rng.normal(0, noise, days),
                    "promotion": promotion,
                    "kind": "abc"[i % 3],
                    "size": 10.0 * i,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _to_come(frame, days=3):
    """The table with rows to come that hold labels alone."""
    last = frame["day"].max()
    more = frame[frame["day"] > last - pd.Timedelta(days, "D")].assign(sales=np.nan)
    return pd.concat([frame, more.assign(day=more["day"] + pd.Timedelta(days, "D"))], ignore_index=True)


@pytest.mark.parametrize("model", ["linear", "lstm_attention", "ridge", "linear_regression"])
def test_labels_and_attributes_are_learnt_saved_and_forecast_with(model, tmp_path):
    frame = _table()
    fit = FIT if model in ("linear", "lstm_attention") else {}
    fitted = Forecaster(model, **OPTIONS, **COLUMNS).fit(frame, **fit)
    table = fitted.predict(_to_come(frame))
    assert len(table) == 6 * 3
    assert not table["sales"].isna().any()
    assert fitted.task.static == ("kind", "size")
    assert dict(fitted.task.categories) == {"promotion": 2, "kind": 3}
    fitted.save(tmp_path / "fitted")
    pd.testing.assert_frame_equal(
        Forecaster.load(tmp_path / "fitted").predict(_to_come(frame)), table, check_exact=True
    )
    panel = fitted.panel(frame)
    assert panel.labels == {"promotion": ("sale", None), "kind": ("a", "b", "c")}
    pd.testing.assert_frame_equal(fitted.predict(fitted.panel(_to_come(frame))), table)


def test_the_columns_of_a_ridge_act():
    frame = _table(days=200)
    known = Forecaster("ridge", **OPTIONS, **COLUMNS).fit(frame)
    for change in ({"promotion": "sale"}, {"size": 500.0}, {"kind": "a"}):
        changed = frame.assign(**change)
        before = known.predict(_to_come(frame))["sales"]
        assert np.abs(known.predict(_to_come(changed))["sales"] - before).max() > 1e-3, change


def test_what_a_label_does_is_learnt():
    # So few promotions that the rows before tell nothing of their effect.
    frame = _table(shops=12, days=150, share=0.08, noise=0.2)
    tests = frame["day"] > "2024-05-10"
    errors = {}
    for name, columns in (("with", COLUMNS), ("without", {"known_future": "promotion"})):
        kept = frame if name == "with" else frame.drop(columns=["kind", "size"])
        fitted = Forecaster("nhits", **OPTIONS, **columns)
        fitted.fit(kept[~tests], epochs=15, verbose=0, learning_rate=3e-3, seed=1)
        errors[name] = fitted.evaluate(kept[frame["day"] > "2024-05-03"], metrics=["rmse"])["rmse"].item()
    # Without the kind a promotion is worth 10 in every shop, with it 0, 10 or 20.
    assert errors["with"] < 0.6 * errors["without"]


def test_a_shop_and_a_label_that_training_has_not_seen_are_forecast():
    frame = _table()
    fitted = Forecaster("linear", **OPTIONS, **COLUMNS, series_embedding=True).fit(frame, **FIT)
    assert fitted.task.static == ("kind", "size", "shop")
    new = frame[frame["shop"] == "shop_1"].assign(shop="new", kind="z")
    table = fitted.predict(_to_come(new))
    # What is unknown is one label, whatever it is called.
    other = fitted.predict(_to_come(new.assign(shop="newer", kind="y")))
    assert table["sales"].tolist() == other["sales"].tolist()
    assert not table["sales"].isna().any()


def test_attributes_alone_need_no_rows_to_come():
    frame = _table().drop(columns="promotion")
    for model, fit in (("linear", FIT), ("ridge", {})):
        fitted = Forecaster(model, **OPTIONS, static=["kind", "size"]).fit(frame, **fit)
        assert len(fitted.predict(frame)) == 6 * 3
        every = fitted.predict(frame, origins="all")
        assert (every.groupby("series").size() == every.groupby("series").size().iloc[0]).all()


@pytest.mark.parametrize("model", ["seasonal_naive", "drift", "ets"])
def test_a_method_without_labels_says_so(model):
    frame = _table(shops=2)
    with pytest.warns(
        UserWarning, match=rf"'{model}' does not use labels and attributes .*: kind, promotion, size"
    ):
        fitted = Forecaster(model, **OPTIONS, **COLUMNS).fit(frame)
    plain = frame[["shop", "day", "sales"]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alone = Forecaster(model, **OPTIONS).fit(plain)
    np.testing.assert_allclose(fitted.predict(_to_come(frame))["sales"], alone.predict(plain)["sales"])


def test_a_ridge_with_labels_is_no_network():
    fitted = Forecaster("ridge", **OPTIONS, static="kind").fit(_table().drop(columns=["promotion", "size"]))
    with pytest.raises(
        ValueError, match=r"ridge with labels or attributes .* static=\['kind'\], categories={'kind': 3}"
    ):
        fitted.as_network()


def test_a_network_starts_from_the_ridge_of_its_numbers():
    frame = _table()
    start = {"linear_start": "ridge", "epochs": 1, "learning_rate": 1e-9, "verbose": 0}
    fitted = Forecaster("linear", **OPTIONS, **COLUMNS).fit(frame, **start)
    plain = frame[["shop", "day", "sales"]]
    ridge = Forecaster("ridge", **OPTIONS).fit(plain)
    np.testing.assert_allclose(
        fitted.predict(_to_come(frame))["sales"], ridge.predict(plain)["sales"], rtol=1e-3
    )


def test_a_backtest_learns_labels_of_each_part_alone():
    frame = _table(days=80)
    frame.loc[frame["day"] > "2024-03-10", "promotion"] = "late"
    scores = backtest(Forecaster("linear", **OPTIONS, **COLUMNS), frame, origins=2, **FIT)
    assert np.isfinite(scores["forecast"]).all()


def test_a_panel_with_other_labels_is_renumbered():
    frame = _table()
    fitted = Forecaster("linear", **OPTIONS, static="kind").fit(
        frame.drop(columns=["promotion", "size"]), **FIT
    )
    some = frame[frame["kind"] != "a"].drop(columns=["promotion", "size"])
    own = Panel.from_frame(some, time="day", series="shop", targets="sales", static="kind")
    assert own.labels == {"kind": ("b", "c")}
    assert fitted.predict(own)["sales"].tolist() == fitted.predict(some)["sales"].tolist()


def test_what_was_fitted_is_compared():
    frame = _table().drop(columns=["promotion", "size"])
    fitted = Forecaster("linear", **OPTIONS, static="kind").fit(frame, **FIT)
    with pytest.raises(KeyError, match=r"'kind'.*The forecaster was fitted with 'kind'"):
        fitted.predict(frame.drop(columns="kind"))
    without = Panel.from_frame(frame.drop(columns="kind"), time="day", series="shop")
    with pytest.raises(ValueError, match=r"fitted with static=\['kind'\], but the table has \[\]"):
        fitted.predict(without)


def test_series_are_labels_only_where_they_have_names():
    with pytest.raises(ValueError, match=r"series_embedding=True .*Expected `series`"):
        Forecaster("linear", context_length=7, horizon=3, series_embedding=True)


def test_a_detector_takes_numbers():
    from tfts.anomaly import AnomalyDetector

    frame = _table(shops=1, days=120).drop(columns=["promotion", "size"])
    with pytest.raises(ValueError, match=r"'kind' holds 120 values .* no numbers"):
        AnomalyDetector("linear", context_length=7, time="day", series="shop").fit(frame)
    given = Forecaster("linear", **{**OPTIONS, "horizon": 1}, static="kind")
    with pytest.raises(ValueError, match=r"A detector takes columns of numbers.*static=\['kind'\]"):
        AnomalyDetector(given).fit(frame)
