import inspect
import json
import re
import warnings

import numpy as np
import pandas as pd
import pytest

from tests.anomaly.conftest import WEEK, shops
from tfts import AnomalyDetector, Forecaster
from tfts.anomaly import choice
from tfts.anomaly.thresholds import THRESHOLDS

COMMON = {"targets": ["sold", "stock"], "time": "day", "series": "shop", "context_length": 7}
USUAL = slice(None, "2023-05-10")


def detector(model="linear_regression", **options):
    return AnomalyDetector(model, **{**COMMON, **options})


def split(table, day="2023-05-10"):
    early = table["day"] <= day
    return table[early], table[~early].reset_index(drop=True)


def hurt(table, column="sold", day="2023-06-01", value=0.0, shop="a"):
    table = table.copy()
    table.loc[(table["day"] == day) & (table["shop"] == shop), column] = value
    return table


def quietly(call, *arguments):
    """Without the word on the realised rate, where it is not what is tested."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*rows of .* were flagged")
        return call(*arguments)


def test_rows_of_detect():
    usual, new = split(shops())
    rows = quietly(detector().fit(usual).detect, hurt(new))
    assert list(rows.columns) == [
        "time",
        "series",
        "target",
        "actual",
        "predicted",
        "residual",
        "score",
        "threshold",
        "flag",
        "direction",
    ]
    assert len(rows) == 2 * len(new)
    np.testing.assert_allclose(rows["residual"], rows["actual"] - rows["predicted"])
    np.testing.assert_array_equal(rows["flag"], rows["score"] > rows["threshold"])
    wrong = rows[(rows["time"] == "2023-06-01") & (rows["series"] == "a")].set_index("target")
    assert wrong.loc["sold", "flag"]
    assert wrong.loc["sold", "direction"] == "down"
    assert not wrong.loc["stock", "flag"]
    assert wrong.loc["sold", "predicted"] == pytest.approx(WEEK[151 % 7], abs=8)


def test_three_deviations_is_the_literal_default():
    settings = inspect.signature(AnomalyDetector).parameters
    defaults = [settings[name].default for name in ("model", "threshold", "k", "score")]
    assert defaults == ["lstm_regressor", "std", 3.0, "residual"]
    fitted = detector().fit(split(shops())[0])
    mine = fitted.calibration_[fitted.calibration_["series"] == "b"]
    rows = quietly(fitted.detect, split(shops())[1])
    limit = rows[(rows["series"] == "b") & (rows["target"] == "sold")]["threshold"].iloc[0]
    # Centre and deviation of each series are its own.
    off = mine["sold"] - mine["sold"].mean()
    assert limit == pytest.approx(3 * np.sqrt(np.mean(off**2)), rel=1e-6)


def test_calibration_rows_come_after_the_training_rows():
    fitted = detector(calibration=0.25).fit(shops(rows=101))
    assert len(fitted.calibration_) == 2 * 25
    assert fitted.calibration_.index.min() == pd.Timestamp("2023-01-01") + pd.Timedelta(days=76)


def test_a_promotion_is_no_anomaly_as_its_column_is_known_in_the_judged_row():
    usual, new = split(shops())
    seen = quietly(detector(k=6.0).fit(usual).detect, new)
    blind = quietly(
        detector(k=6.0).fit(usual.drop(columns="promotion")).detect, new.drop(columns="promotion")
    )
    assert seen["flag"].sum() == 0
    assert np.abs(seen["residual"]).max() < 0.5 * np.abs(blind["residual"]).max()


def test_a_column_that_is_not_known_is_seen_in_earlier_rows_only():
    usual, new = split(shops())
    late = detector(known_future=[]).fit(usual)
    one = quietly(late.detect, new)
    other = quietly(late.detect, hurt(new, "promotion", value=55.0))
    changed = one["predicted"].to_numpy() != other["predicted"].to_numpy()
    first = one[changed]["time"].min()
    assert first == pd.Timestamp("2023-06-02")


@pytest.mark.parametrize(
    "model", ["lstm_regressor", "seasonal_naive", "persistence", "arima", "pca_windows", "nearest_windows"]
)
def test_saved_and_loaded_it_finds_the_same(model, tmp_path):
    training = {"epochs": 1, "verbose": 0} if model == "lstm_regressor" else {}
    options = {"model_options": {"units": 3}} if training else {}
    usual, new = split(shops(rows=113), "2023-04-10")
    fitted = detector(model, **options).fit(usual, **training)
    fitted.save(tmp_path / "detector")
    again = AnomalyDetector.load(tmp_path / "detector")
    new = hurt(new, day="2023-04-17")
    rows = quietly(fitted.detect, new)
    pd.testing.assert_frame_equal(quietly(again.detect, new), rows)
    assert again.expected_alarms_a_day_ == fitted.expected_alarms_a_day_
    wrong = (rows["time"] == "2023-04-17") & (rows["series"] == "a") & (rows["target"] == "sold")
    assert rows[wrong]["score"].iloc[0] > rows[~wrong & (rows["target"] == "sold")]["score"].median()


def test_live_rows_and_forecaster_agree_on_the_forecast():
    for model, training in (("linear_regression", {}), ("linear", {"epochs": 1, "verbose": 0})):
        frame = shops(rows=113)
        usual, new = split(frame, "2023-04-10")
        # A threshold that nothing exceeds, so that no flagged value is replaced.
        fitted = detector(model, threshold="fixed", threshold_options={"limit": 1e9}).fit(usual, **training)
        live = quietly(fitted.detect, new)
        whole = fitted.forecaster_.predict(frame.iloc[:], origins="all")
        whole = whole[whole["time"] > "2023-04-10"].sort_values(["series", "time"])
        wanted = whole[["sold", "stock"]].to_numpy().ravel()
        np.testing.assert_allclose(
            live.sort_values(["series", "time"], kind="stable")["predicted"], wanted, rtol=1e-5
        )


def test_a_fitted_forecaster_is_only_calibrated():
    usual, new = split(shops(names=("a",)).drop(columns="shop"))
    usual, new = usual.set_index("day"), new.set_index("day")
    forecaster = Forecaster(
        "linear_regression",
        context_length=7,
        horizon=1,
        targets=["sold", "stock"],
        known_future=["promotion"],
    )
    forecaster.fit(usual[:80], validation=0)
    weights = forecaster.model.coef_.copy()
    fitted = AnomalyDetector(forecaster).fit(usual)
    assert fitted.forecaster_ is forecaster
    np.testing.assert_array_equal(forecaster.model.coef_, weights)
    assert len(fitted.detect(new)) == 2 * len(new)
    with pytest.raises(
        ValueError, match=r"fitted already, so training options do nothing. Received: \['epochs'\]"
    ):
        AnomalyDetector(forecaster).fit(usual, epochs=3)


def test_table_that_goes_back_before_the_fitted_rows_starts_anew():
    table = shops()
    fitted = detector().fit(split(table)[0])
    rows = quietly(fitted.detect, table)
    assert rows.groupby("series")["time"].min().unique() == pd.Timestamp("2023-01-08")


def test_flagged_values_do_not_spoil_the_forecasts_after_them():
    usual, new = split(shops())
    fitted = detector().fit(usual)
    clean, dirty = quietly(fitted.detect, new), quietly(fitted.detect, hurt(new, value=5000.0))
    after = clean["time"] > "2023-06-01"
    assert np.abs(dirty["predicted"] - clean["predicted"])[after].max() < 8


@pytest.mark.parametrize("model", ["linear_regression", "seasonal_naive"])
def test_a_level_shift_is_one_event_and_then_the_new_normal(model):
    usual, new = split(shops(rows=211, names=("a",)))
    shifted = new.assign(sold=new["sold"] + 80 * (new["day"] >= "2023-06-01"))
    events = quietly(detector(model, new_normal=7, k=4.0).fit(usual).judge, shifted).events
    kinds = [(event.kind, str(event.start.date())) for event in events]
    assert ("level shift", "2023-06-01") in kinds
    late = [event for event in events if event.start > pd.Timestamp("2023-06-22")]
    assert late == []


def test_events_name_shop_and_cause():
    usual, new = split(shops())
    table = quietly(detector(k=5.0).fit(usual).events, hurt(new, "stock", value=100.0, shop="b"))
    (event,) = table.itertuples()
    assert (event.series, event.target, event.direction) == ("b", "stock", "down")
    assert event.sentence.startswith("b: stock was 100 on 2023-06-01, ")


def test_same_row_excuses_what_follows_from_another_target():
    usual, new = split(shops(rows=601, names=("a",)), "2024-05-10")
    table = hurt(new, "sold", "2024-06-01", value=200.0)
    table["stock"] -= table["sold"] - new["sold"]
    flagged = []
    for same_row in ({}, {"stock": ["sold"]}):
        rows = quietly(detector(k=5.0, same_row=same_row).fit(usual).detect, table)
        flagged.append(rows[rows["flag"] & (rows["time"] == "2024-06-01")]["target"].tolist())
    assert flagged == [["sold", "stock"], ["sold"]]


def test_an_excuse_may_not_accuse():
    usual, new = split(shops())
    # Sales read zero, but the stock is as it should be: nothing is to be excused.
    table = hurt(new, "sold", value=0.0)
    excused = quietly(detector(k=4.0, same_row={"stock": ["sold"]}).fit(usual).events, table)
    assert excused["targets"].iloc[0] == ("sold",)


@pytest.mark.parametrize(("value", "direction"), [(170.0, "up"), (60.0, "down")])
def test_smallest_size_and_direction(value, direction):
    usual, new = split(shops())
    table = hurt(new, value=value)
    other = {"up": "down", "down": "up"}[direction]
    days = {}
    for name, options in {
        "both": {},
        "same": {"direction": direction},
        "other": {"direction": other},
        "small": {"min_size": {"sold": 30.0}},
        "large": {"min_size": {"sold": 80.0}},
    }.items():
        rows = quietly(detector(k=4.0, **options).fit(usual).detect, table)
        flagged = rows[rows["flag"] & (rows["target"] == "sold") & (rows["time"] == "2023-06-01")]
        days[name] = flagged["direction"].tolist()
    assert days == {"both": [direction], "same": [direction], "other": [], "small": [direction], "large": []}


def test_contexts_widen_the_spread_where_days_vary_more():
    random = np.random.default_rng(0)
    days = pd.date_range("2022-01-01", periods=700)
    wide = np.where(days.day_of_week == 6, 20.0, 1.0)
    frame = pd.DataFrame({"sold": 100 + wide * random.normal(size=700)}, index=days)
    options = {"context_length": 1, "score": "scaled", "threshold": "mad", "k": 4.0}
    sunday = {}
    for context in ([], ["weekday"]):
        rows = quietly(
            AnomalyDetector("persistence", context=context, **options).fit(frame[:500]).detect, frame[500:]
        )
        sunday[len(context)] = rows[rows["time"].dt.day_of_week == 6]["flag"].mean()
    assert sunday[0] > 0.5
    assert sunday[1] < 0.1


def test_a_known_outage_in_the_calibration_rows_is_left_out():
    usual, new = split(shops())
    out = (usual["day"] >= "2023-05-01") & (usual["day"] <= "2023-05-04")
    broken = usual.assign(sold=usual["sold"].where(~out, 0.0), stock=usual["stock"].where(~out, 0.0))
    limits = [
        quietly(made.detect, new)["threshold"].median()
        for made in (
            detector().fit(usual),
            detector().fit(broken),
            detector().fit(broken, exclude=[("2023-05-01", "2023-05-04")]),
        )
    ]
    assert limits[1] > 3 * limits[0]
    assert limits[2] == pytest.approx(limits[0], rel=0.3)


def test_what_else_is_missing_is_still_an_error_beside_an_outage():
    usual = shops()
    usual.loc[5, "sold"] = np.nan
    with pytest.raises(ValueError, match="'sold' has 1 missing values"):
        detector().fit(usual, exclude=[("2023-05-01", "2023-05-02")])


def test_constant_residuals_are_told_and_any_change_is_flagged():
    frame = pd.DataFrame({"sold": np.full(60, 7.0)}, index=pd.date_range("2023-01-01", periods=60))
    with pytest.warns(UserWarning, match="All 12 calibration residuals of 'sold' are 0"):
        fitted = AnomalyDetector("persistence", context_length=2).fit(frame)
    new = pd.DataFrame({"sold": [7.0, 7.0, 7.5]}, index=pd.date_range("2023-03-02", periods=3))
    assert fitted.detect(new)["flag"].tolist() == [False, False, True]


def test_realised_rate_far_from_the_nominal_one_is_told():
    usual, new = split(shops())
    fitted = detector(threshold="quantile", threshold_options={"rate": 0.02}).fit(usual)
    # Of 26 calibration rows of each shop the largest is the limit, which 1 of 27 exceeds.
    assert fitted.expected_alarms_a_day_["sold"] == pytest.approx(2 / 27)
    new["sold"] += np.random.default_rng(0).normal(0, 300, len(new))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fitted.detect(new)
    assert re.match(r"8\d of 86 rows of 'sold' were flagged \(.* %\), but the", str(told[0].message))


def test_irregular_steps_become_a_feature():
    random = np.random.default_rng(0)
    gaps = random.integers(1, 6, 400)
    times = pd.Timestamp("2023-01-01") + pd.to_timedelta(np.cumsum(gaps), unit="h")
    # What is counted since the row before grows with the time between them.
    frame = pd.DataFrame({"count": 10.0 * gaps + random.normal(0, 0.5, 400)}, index=times)
    options = {"context_length": 3, "targets": ["count"]}
    fitted = AnomalyDetector("linear_regression", irregular="step_length", **options).fit(frame[:300])
    rows = quietly(fitted.detect, frame[300:])
    assert rows["time"].tolist() == frame.index[300:].tolist()
    assert np.abs(rows["residual"]).max() < 3
    regular = AnomalyDetector("linear_regression", freq="h", missing="interpolate", **options).fit(
        frame[:300]
    )
    assert np.abs(quietly(regular.detect, frame[300:])["residual"]).max() > 10


def test_irregular_rows_with_a_calendar_survive_a_file(tmp_path):
    table = shops(rows=113)
    table = table[np.random.default_rng(1).random(len(table)) < 0.9]
    usual, new = split(table, "2023-04-10")
    fitted = detector(irregular="step_length", calendar=["weekday"]).fit(usual)
    fitted.save(tmp_path / "d")
    rows = quietly(fitted.detect, new)
    assert len(rows) == 2 * len(new)
    pd.testing.assert_frame_equal(quietly(AnomalyDetector.load(tmp_path / "d").detect, new), rows)
    double = pd.concat([usual, usual.iloc[:1]])
    with pytest.raises(ValueError, match="Two rows of one series have the time 2023-01-01"):
        detector(irregular="step_length").fit(double)


def test_joint_score_flags_what_breaks_a_habit():
    usual, new = split(shops())
    table = hurt(new, "stock", value=524.0)
    rows = quietly(
        detector(score="joint", threshold="quantile", threshold_options={"rate": 0.01}).fit(usual).detect,
        table,
    )
    flagged = rows[rows["flag"]]
    assert ("a", "stock") in set(
        flagged[flagged["time"] == "2023-06-01"][["series", "target"]].itertuples(index=False, name=None)
    )


def test_time_zone_is_kept():
    times = pd.date_range("2023-03-20", periods=240, freq="h", tz="Europe/Berlin")
    frame = pd.DataFrame(
        {"sold": WEEK[np.arange(240) % 7] + np.random.default_rng(0).normal(size=240)}, index=times
    )
    fitted = AnomalyDetector("linear_regression", context_length=7, calendar=["hour"]).fit(frame[:180])
    rows = quietly(fitted.detect, frame[180:])
    assert rows["time"].tolist() == times[180:].tolist()
    with pytest.raises(ValueError, match="had the time zone Europe/Berlin, but the table has None"):
        fitted.detect(frame[180:].tz_localize(None))


def test_settings_are_json_and_a_clone_has_them():
    made = detector(score="scaled", context="weekday", calendar="168h", confirm=(1, 2))
    assert json.loads(json.dumps(made.settings)) == made.settings
    assert made.clone(gap=3).settings == {**made.settings, "gap": 3}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "lstm"}, "Unknown model 'lstm'"),
        ({"model": 3}, "`model` must be a name of MODELS, BASELINES or SUBSEQUENCES, or a Forecaster"),
        ({"model": "pca_windows", "model_options": {"variance": 2}}, "`variance` must be a share"),
        ({"threshold": "stdd"}, "Unknown threshold 'stdd'"),
        ({"k": -1.0}, "`k` must be a number > 0"),
        ({"threshold": "pot", "k": 4.0}, r"`k` belongs to the thresholds \['std', 'mad'\]"),
        ({"threshold_options": {"rate": 1}}, "Unknown option of threshold 'std': 'rate'"),
        ({"score": "zscore"}, "Unknown score 'zscore'"),
        ({"context": ["hour"]}, "`context` belongs to score='scaled' or 'joint'"),
        ({"irregular": "drop"}, "Unknown way of irregular time steps 'drop'"),
        ({"smooth": 1}, "`smooth` must be an int >= 2"),
        ({"min_size": {"sold": -1}}, "`min_size` must be a number >= 0"),
        ({"calibration": 0}, "`calibration` must be a share"),
        ({"confirm": (2, 1)}, "`confirm` must be"),
        ({"new_normal": 1}, "`longest` must be|`new_normal` must be"),
    ],
)
def test_wrong_settings_are_told(options, message):
    with pytest.raises(ValueError, match=message):
        AnomalyDetector(**options)


def test_wrong_tables_are_told(tmp_path):
    usual, new = split(shops())
    fitted = detector().fit(usual)
    with pytest.raises(KeyError, match="The detector was fitted with 'sold'"):
        fitted.detect(new.rename(columns={"sold": "sales"}))
    with pytest.raises(ValueError, match="Expected a table: a pandas DataFrame, or"):
        fitted.detect(new.to_numpy())
    with pytest.raises(ValueError, match="The table is empty"):
        fitted.detect(new[:0])
    with pytest.raises(ValueError, match="'sold' holds values that are no numbers"):
        fitted.detect(new.astype({"sold": object}).assign(sold="many"))
    with pytest.raises(ValueError, match=r"too few rows for one window"):
        detector(context_length=50).fit(shops(rows=31))
    with pytest.raises(ValueError, match="has not learnt anything yet"):
        detector().detect(new)
    with pytest.raises(ValueError, match=r"Unknown target in same_row: 'solt'"):
        detector(same_row={"stock": ["solt"]}).fit(usual)
    with pytest.raises(FileNotFoundError, match="holds no detector"):
        AnomalyDetector.load(tmp_path)
    with pytest.raises(ValueError, match="forecaster with horizon=2"):
        AnomalyDetector(Forecaster("persistence", context_length=3, horizon=2)).fit(
            pd.DataFrame({"y": np.arange(50.0)}, index=pd.date_range("2023-01-01", periods=50))
        )


def test_a_slow_change_is_drift_also_after_loading(tmp_path):
    usual, new = split(shops(rows=337), "2023-08-20")
    found = detector(calibration=0.4).fit(usual)
    found.save(tmp_path / "shops")
    rows = quietly(found.detect, new)
    residuals = rows.pivot_table(index=["series", "time"], columns="target", values="residual")[
        ["sold", "stock"]
    ]
    for monitor in (
        found.drift_monitor(window=40),
        AnomalyDetector.load(tmp_path / "shops").drift_monitor(window=40),
    ):
        assert monitor.targets_ == ["sold", "stock"]
        assert monitor.update(residuals.to_numpy()) is None
        changed = residuals.assign(stock=residuals["stock"] + 3 * residuals["stock"].std())
        assert monitor.update(changed.to_numpy()).target == "stock"


def test_fine_tuning_is_taken_only_if_better_and_can_be_taken_back():
    table = shops(rows=401, names=("a",))
    usual, recent = split(table)
    # Another week from the first recent row on: what was learnt is of no use.
    changed = recent.assign(sold=recent["sold"].to_numpy()[::-1] * 1.5)
    # No limit that the change exceeds: what is flagged is not learnt from.
    fitted = detector(k=99.0).fit(usual)
    before = quietly(fitted.detect, recent)
    same = quietly(fitted.clone().fit(usual).fine_tune, usual)
    assert set(same["errors"]) == {"sold", "stock"}
    done = quietly(fitted.fine_tune, changed)
    assert done["is_better"]
    assert done["rows"] > 50
    assert done["errors"]["sold"][1] < done["errors"]["sold"][0]
    assert not quietly(fitted.detect, recent)["predicted"].equals(before["predicted"])
    fitted.rollback()
    pd.testing.assert_frame_equal(quietly(fitted.detect, recent), before)
    with pytest.raises(ValueError, match="There is nothing to go back to"):
        fitted.rollback()


def test_a_challenger_that_is_worse_is_not_taken():
    table = shops(rows=601, names=("a",))
    usual, recent = split(table, "2024-06-10")
    fitted = detector(k=5.0).fit(usual)
    before = quietly(fitted.detect, recent)
    # Seventy rows are less to learn from than five hundred.
    done = quietly(fitted.fine_tune, recent)
    assert not done["is_better"]
    pd.testing.assert_frame_equal(quietly(fitted.detect, recent), before)


def test_flagged_rows_do_not_enter_fine_tuning():
    table = shops(rows=401, names=("a",))
    usual, recent = split(table)
    dirty = recent.copy()
    dirty.loc[dirty.index[20:120:9], "sold"] = 9000.0
    clean = [detector(k=5.0).fit(usual) for _ in range(2)]
    errors = [
        quietly(one.fine_tune, rows)["errors"]["sold"][1]
        for one, rows in zip(clean, (recent, dirty), strict=True)
    ]
    # Had they entered, errors would be in the hundreds.
    assert errors[1] < 2 * errors[0] < 10


def test_auto_chooses_by_faults_put_into_held_out_rows():
    usual, new = split(shops(rows=301), "2023-08-10")
    made = detector("auto", k=4.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            choice.choose, "__defaults__", ((), None, ("running_median", "linear_regression", "arma"), 0)
        )
        quietly(made.fit, usual)
    assert made.choice_["model"].tolist() == ["linear_regression", "running_median", "arma"]
    assert made.choice_["f1"].iloc[0] > 0.8 > made.choice_["f1"].iloc[1]
    assert "Unknown model 'arma'" in made.choice_["problem"].iloc[2]
    assert made.why_.startswith("linear_regression found ")
    assert made.forecaster_.name == "linear_regression"
    assert made.settings["model"] == "auto"
    assert quietly(made.events, hurt(new, day="2023-09-01"))["target"].tolist()[0] == "sold"


def test_auto_takes_no_options_of_one_model():
    with pytest.raises(ValueError, match="takes no `model_options`"):
        AnomalyDetector("auto", model_options={"alpha": 1.0})


def test_logarithms_make_a_factor_equally_strange_at_any_level(tmp_path):
    random = np.random.default_rng(0)
    level = np.where(np.arange(600) % 7 < 5, 20.0, 400.0)
    frame = pd.DataFrame(
        {"sold": level * np.exp(random.normal(0, 0.05, 600))}, index=pd.date_range("2022-01-01", periods=600)
    )
    usual, new = frame[:450], frame[450:].copy()
    # Half of what is usual, on a day with little and on a day with much.
    low, high = new.index[new["sold"] < 100][5], new.index[new["sold"] > 100][9]
    new.loc[[low, high], "sold"] *= 0.5
    found = {}
    for log in ([], ["sold"]):
        made = AnomalyDetector("linear_regression", context_length=7, log=log, threshold="mad", k=6.0).fit(
            usual
        )
        rows = quietly(made.detect, new)
        np.testing.assert_allclose(rows["residual"], rows["actual"] - rows["predicted"])
        found[len(log)] = rows[rows["flag"]]["time"].tolist()
    assert set(found[1]) >= {low, high}
    assert rows["predicted"].between(10, 600).all()
    made.save(tmp_path / "d")
    pd.testing.assert_frame_equal(quietly(AnomalyDetector.load(tmp_path / "d").detect, new), rows)


def growing(rows=420):
    """A level that doubles every hundred days, with a week in it; half of it is lost on one day."""
    random, day = np.random.default_rng(3), np.arange(rows)
    week = 0.3 * np.sin(day * 2 * np.pi / 7)
    level = 50 * 2 ** (day / 100) * np.exp(week + 0.03 * random.normal(size=rows))
    frame = pd.DataFrame({"sold": level}, index=pd.date_range("2022-01-01", periods=rows))
    frame.loc["2023-01-20", "sold"] *= 0.5
    return frame[:300], frame[300:]


THRESHOLD_OPTIONS = {
    "std": {"k": 6.0},
    "mad": {"k": 6.0},
    "fixed": {"threshold_options": {"limit": 0.3}},
    "interval": {"threshold_options": {"rate": 0.04}},
    "quantile": {"threshold_options": {"rate": 0.02}},
    "rolling_conformal": {"threshold_options": {"rate": 0.05}},
}


@pytest.mark.parametrize("threshold", sorted(THRESHOLDS))
def test_the_scaler_of_logarithms_judges_a_growing_level_by_factors(threshold):
    usual, new = growing()
    options = {"context_length": 7, "threshold": threshold, **THRESHOLD_OPTIONS.get(threshold, {})}
    made = AnomalyDetector("linear_regression", scaler="log", **options).fit(usual)
    rows = quietly(made.detect, new)
    assert rows.loc[rows["time"] == "2023-01-20", "flag"].item()
    # In original units, though flags follow from logarithms.
    np.testing.assert_allclose(rows["residual"], rows["actual"] - rows["predicted"])
    lost = rows[rows["time"] == "2023-01-20"].iloc[0]
    assert lost["predicted"] == pytest.approx(2 * lost["actual"], rel=0.15)
    assert rows["flag"].sum() < 10


@pytest.mark.parametrize("fitted", [False, True])
def test_a_forecaster_on_logarithms_judges_as_it_forecasts(fitted, tmp_path):
    usual, new = growing()
    forecaster = Forecaster("linear_regression", context_length=7, horizon=1, scaler="log")
    if fitted:
        forecaster.fit(usual)
    made = AnomalyDetector(forecaster, k=6.0).fit(usual)
    rows = quietly(made.detect, new)
    assert rows.loc[rows["flag"], "time"].astype(str).tolist()[0] == "2023-01-20"
    if fitted:
        at = new.index.get_loc("2023-01-20")
        whole = pd.concat([usual, new])
        expected = forecaster.predict(whole[: len(usual) + at])["sold"].item()
        assert rows["predicted"].iloc[at] == pytest.approx(expected, rel=1e-4)
    none = quietly(made.detect, new.assign(sold=new["sold"].where(new.index != "2023-01-20", 0.0)))
    assert none.loc[none["time"] == "2023-01-20", "flag"].item()
    assert np.isfinite(none[["predicted", "score"]]).all(axis=None)
    made.save(tmp_path / "d")
    pd.testing.assert_frame_equal(quietly(AnomalyDetector.load(tmp_path / "d").detect, new), rows)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "pca_windows"},
        {"score": "scaled", "context": ["weekday"]},
        {"score": "joint"},
        {"smooth": 5},
        {"irregular": "step_length"},
        {"direction": "down", "per_series": False},
    ],
)
def test_every_way_of_judging_takes_logarithms(changes):
    usual, new = growing()
    options = {"context_length": 7, "k": 6.0, "scaler": "log", "model": "linear_regression", **changes}
    rows = quietly(AnomalyDetector(**options).fit(usual).detect, new)
    named = AnomalyDetector(**{**options, "scaler": "standard", "log": ["sold"]}).fit(usual)
    pd.testing.assert_frame_equal(quietly(named.detect, new), rows)
    # No window of the usual rows is like those on a level that they never had.
    if options["model"] != "pca_windows":
        assert rows.loc[rows["time"] == "2023-01-20", "flag"].item()


def test_a_value_without_logarithm_is_as_far_off_as_can_be():
    usual, new = split(shops())
    rows = quietly(detector(log=["sold"], k=5.0).fit(usual).detect, hurt(new, value=-500.0))
    wrong = rows[(rows["time"] == "2023-06-01") & (rows["series"] == "a") & (rows["target"] == "sold")].iloc[
        0
    ]
    assert wrong["flag"]
    assert wrong["actual"] == -500
    with pytest.raises(
        ValueError, match="'sold' is to be seen as a logarithm, so its values must be 0 or above"
    ):
        detector(log=["sold"]).fit(hurt(usual, day="2023-02-01", value=-500.0))
    with pytest.raises(KeyError, match="Unknown column in log: 'solt'"):
        detector(log=["solt"]).fit(usual)


def test_same_row_sees_logarithms_in_units(tmp_path):
    usual, new = split(shops(rows=401), "2024-01-01")
    table = hurt(new, "sold", "2024-01-15", value=220.0)
    own = (table["day"] == "2024-01-15") & (table["shop"] == "a")
    table.loc[own, "stock"] -= 220.0 - new.loc[own, "sold"]
    made = detector(log=["sold"], same_row={"stock": ["sold"]}, k=5.0).fit(usual)
    rows = quietly(made.detect, table)
    flagged = rows[rows["flag"] & (rows["time"] == "2024-01-15")]
    assert flagged[["series", "target"]].to_numpy().tolist() == [["a", "sold"]]
    made.save(tmp_path / "d")
    pd.testing.assert_frame_equal(quietly(AnomalyDetector.load(tmp_path / "d").detect, table), rows)


def test_a_stock_stays_in_the_history_as_it_was_counted():
    random = np.random.default_rng(0)
    stock = 1000 + random.normal(0, 3, 400).cumsum()
    frame = pd.DataFrame({"stock": stock}, index=pd.date_range("2022-01-01", periods=400))
    frame.iloc[350:] -= 200.0
    flags = {}
    for name, replace in (("found", None), ("none", []), ("all", ["stock"])):
        made = AnomalyDetector("persistence", context_length=1, k=5.0, replace=replace, new_normal=20)
        flags[name] = int(quietly(made.fit(frame[:300]).detect, frame[300:])["flag"].sum())
    # What is lost once is strange once; against the forecast it is strange until it is usual.
    assert flags == {"found": 1, "none": 1, "all": 20}


@pytest.mark.parametrize("duplicates", ["first", "last"])
def test_rows_with_one_time_follow_duplicates_where_steps_are_irregular(duplicates):
    usual, new = split(shops(names=("a",)))
    double = pd.concat([usual, usual.iloc[5:6].assign(sold=1e6)])
    made = detector(irregular="step_length", duplicates=duplicates).fit(double)
    spread = made.forecaster_.scaler_.scale[0]
    assert spread < 100 if duplicates == "first" else spread > 1000
    assert len(quietly(made.detect, new)) == 2 * len(new)
