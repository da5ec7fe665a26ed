"""No series stops the others: what can't be forecast by the model is forecast by something simpler."""

import warnings

import numpy as np
import pandas as pd
import pytest

from tfts.data.panel import Panel
from tfts.data.split import chronological_split
from tfts.forecaster import Forecaster

OPTIONS = {"context_length": 14, "horizon": 3, "targets": "y", "time": "day", "series": "shop"}
FIT = {"epochs": 1, "verbose": 0}


def _series(name, rows, end="2024-06-30", **columns):
    days = pd.date_range(end=end, periods=rows)
    rng = np.random.default_rng(len(name) * rows)
    values = 50 + 5 * np.sin(np.arange(rows) * 2 * np.pi / 7) + rng.normal(0, 1, rows)
    return pd.DataFrame({"shop": name, "day": days, "y": values, "kind": "big", **columns})


def _table():
    """Two whole series, and one each that is short, of one row, flat, ended early or empty."""
    return pd.concat(
        [
            _series("a", 120),
            _series("b", 120, kind="small"),
            _series("ended", 60, end="2024-03-01"),
            _series("flat", 120, y=7.0),
            _series("none", 30, y=np.nan, kind="small"),
            _series("one", 1, y=9.0),
            _series("short", 10),
        ],
        ignore_index=True,
    )


def _fitted(model, frame, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Forecaster(model, **OPTIONS, **options).fit(frame, **(FIT if model == "linear" else {}))


@pytest.mark.parametrize("model", ["linear", "ridge", "seasonal_naive", "ets"])
def test_every_series_has_a_forecast_and_is_told_how(model):
    frame = _table().drop(columns="kind")
    fitted = _fitted(model, frame, quantiles=[0.1, 0.9])
    with pytest.warns(
        UserWarning, match=rf"3 of 7 series .* by {model} \(first: 'none'\).*: group_mean 1, seasonal"
    ):
        table = fitted.predict(frame)
    assert table.columns[:4].tolist() == ["series", "origin", "time", "model"]
    assert table["series"].tolist() == [name for name in fitted.panel(frame, True).series for _ in range(3)]
    how = table.groupby("series")["model"].first().to_dict()
    others = {"none": "group_mean", "one": "seasonal_naive", "short": "seasonal_naive"}
    assert how == dict.fromkeys(["a", "b", "ended", "flat"], model) | others
    assert np.isfinite(table["y"]).all()
    # Ten rows of a week: the same days of the week before.
    short = table[table["series"] == "short"]
    assert short["y"].tolist() == frame[frame["shop"] == "short"]["y"].tolist()[3:6]
    assert table[table["series"] == "one"]["y"].tolist() == [9, 9, 9]
    # What stands in has no quantiles, which are not known; all others have.
    with pytest.warns(UserWarning, match=r"3 of 7 series .* \(first: 'none'\), so they have no paths"):
        paths = fitted.predict(frame, samples=2)
    assert set(paths["series"]) == set(how) - set(others)
    absent = table["y_q0.1"].isna()
    assert (absent == table["series"].isin(others)).all()


def test_a_series_without_a_value_has_the_mean_of_its_group():
    frame = _table()
    fitted = _fitted("ridge", frame, static="kind")
    with pytest.warns(UserWarning, match="group_mean 1"):
        steps = fitted.predict(frame).set_index("series")["y"]
    assert steps["none"].tolist() == steps["b"].tolist()
    alone = _fitted("ridge", frame[frame["kind"] == "big"], static="kind")
    with pytest.warns(UserWarning, match="group_mean 1"):
        found = alone.predict(frame[frame["shop"].isin(["a", "ended", "flat", "none"])])
    # No other has its label, so that all count.
    steps = found["y"].to_numpy().reshape(4, 3)
    np.testing.assert_allclose(steps[3], steps[:3].mean(axis=0))


@pytest.mark.parametrize(
    ("fallback", "expected"),
    [("persistence", [3.0, 3.0, 3.0]), ("seasonal_naive", [0.0, 1.0, 2.0]), ("group_mean", None)],
)
def test_the_method_that_stands_in_is_chosen(fallback, expected):
    short = _series("short", 8, y=[-1.0, 0.0, 1.0, 2.0, 3.0, 3.0, 3.0, 3.0])
    frame = pd.concat([_series("a", 120), _series("b", 120), short]).drop(columns="kind")
    fitted = _fitted("ridge", frame, fallback=fallback)
    with pytest.warns(UserWarning, match=f"{fallback} 1"):
        table = fitted.predict(frame)
    steps = table["y"].to_numpy().reshape(3, 3)
    expected = steps[:2].mean(axis=0) if expected is None else expected
    np.testing.assert_allclose(steps[2], expected)


def test_a_new_series_of_which_only_the_future_is_known_starts_with_it():
    frame = _series("a", 120).assign(price=1.0)
    fitted = _fitted(
        "linear", pd.concat([frame, frame.assign(shop="b")]).drop(columns="kind"), known_future="price"
    )
    days = pd.date_range("2024-07-01", periods=3)
    later = pd.DataFrame({"shop": "a", "day": days, "price": 1.0})
    whole = pd.concat([frame, later, later.assign(shop="new")]).drop(columns="kind")
    with pytest.warns(UserWarning, match="1 of 2 series"):
        table = fitted.predict(whole)
    new = table[table["series"] == "new"]
    assert new["time"].tolist() == list(days)
    assert new["origin"].isna().all()
    assert new["y"].tolist() == table[table["series"] == "a"]["y"].tolist()


def test_nothing_is_learnt_from_series_without_two_training_values():
    frame = _table().drop(columns="kind")
    with pytest.warns(
        UserWarning, match=r"2 of 7 series have fewer than two values in the training rows \(first: 'none'"
    ):
        fitted = Forecaster("seasonal_naive", **OPTIONS, per_series=True).fit(frame)
    assert sorted(fitted.scaler_.series_offset) == ["a", "b", "ended", "flat", "short"]
    whole = _fitted("ridge", frame[~frame["shop"].isin(["none", "one"])])
    with_them = _fitted("ridge", frame)
    one = frame[frame["shop"] == "a"]
    assert with_them.predict(one)["y"].tolist() == whole.predict(one)["y"].tolist()


def test_scores_leave_out_series_that_a_method_does_not_know():
    frame = _table().drop(columns="kind")
    fitted = _fitted("ets", frame[frame["shop"] != "b"])
    known = fitted.evaluate(frame[frame["shop"].isin(["a"])], metrics=["mae"])
    both = fitted.evaluate(frame[frame["shop"].isin(["a", "b"])], metrics=["mae"])
    pd.testing.assert_frame_equal(known, both)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a", "none"], r"Column 'y' has 30 missing values .*series 'none'"),
        (["a", "one"], r"Target 'y' of series 'one'|Series 'one' has no validation row"),
        (["a", "flat"], r"Target 'y' of series 'flat' is constant"),
    ],
)
def test_a_forecaster_may_be_strict_about_every_series(names, said):
    frame = _table().drop(columns="kind")
    with pytest.raises(ValueError, match=said):
        Forecaster("ridge", **OPTIONS, on_problem="raise").fit(frame[frame["shop"].isin(names)])


def test_a_strict_forecaster_refuses_to_stand_in():
    frame = _table().drop(columns="kind")
    fitted = _fitted("ridge", frame[frame["shop"].isin(["a", "b"])], on_problem="raise")
    assert "model" not in fitted.predict(frame[frame["shop"] == "a"]).columns
    with pytest.raises(
        ValueError, match=r"Series 'short' can't be forecast .* has 10 rows, .* context_length=14"
    ):
        fitted.predict(frame[frame["shop"].isin(["a", "short"])])


def test_where_nothing_can_be_done_it_is_an_error_as_before():
    frame = _table().drop(columns="kind")
    with pytest.raises(ValueError, match=r"is constant"):
        Forecaster("ridge", **OPTIONS).fit(frame[frame["shop"] == "flat"])
    fitted = _fitted("ridge", frame[frame["shop"].isin(["a", "b"])])
    with pytest.raises(ValueError, match=r"too few rows for one window.*'short'|Series 'short', the longest"):
        fitted.predict(frame[frame["shop"] == "short"])
    with pytest.raises(ValueError, match=r"Arima was not fitted on series 'a'"):
        _fitted("arima", frame[frame["shop"] == "b"]).predict(frame[frame["shop"] == "a"])


def test_a_part_may_be_empty_in_some_series():
    panel = Panel.from_frame(
        _table()[["shop", "day", "y"]], time="day", series="shop", allow_constant="some", missing="drop"
    )
    with pytest.raises(ValueError, match=r"Series 'none' has no training row"):
        chronological_split(panel, validation="2024-06-01", test=0)
    split = chronological_split(panel, validation="2024-06-01", test=0, allow_empty=True)
    spans = split.validation.spans
    held = dict(zip(panel.series, (spans.observed_end - spans.target_start).tolist(), strict=True))
    assert held == {"a": 30, "b": 30, "ended": 0, "flat": 30, "none": 30, "one": 1, "short": 10}
    with pytest.raises(ValueError, match=r"has no validation row"):
        chronological_split(panel, validation="2025-06-01", test=0, allow_empty=True)


@pytest.mark.parametrize(("name", "value"), [("on_problem", "ignore"), ("fallback", "naive")])
def test_choices_are_known(name, value):
    with pytest.raises(ValueError, match=rf"Unknown {name}: '{value}'"):
        Forecaster("ridge", **OPTIONS, **{name: value})
