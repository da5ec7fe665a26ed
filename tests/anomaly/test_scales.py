"""Series of any size, flat ones and new ones: what is learnt of one in its units is used on no other."""

import warnings

import numpy as np
import pandas as pd
import pytest

from tests.anomaly.test_detector import quietly
from tfts import AnomalyDetector
from tfts.anomaly.scores import SCORES

HOURS = pd.date_range("2024-01-01", periods=24 * 40, freq="h")
LEARNT = 24 * 30


def meters(sizes, seed=0):
    """Meters with the same day, each in its size."""
    parts = []
    for i, (name, size) in enumerate(sizes.items()):
        noise = np.random.default_rng(seed + i).normal(0, 0.05, len(HOURS))
        load = size * (1 + 0.5 * np.sin(np.arange(len(HOURS)) * 2 * np.pi / 24) + noise)
        parts.append(pd.DataFrame({"time": HOURS, "meter": name, "load": load}))
    return pd.concat(parts, ignore_index=True)


def split(table):
    early = table["time"] < HOURS[LEARNT]
    return table[early], table[~early].reset_index(drop=True)


def with_outage(table, name, hours=12):
    table = table.copy()
    out = (table["meter"] == name) & table["time"].isin(HOURS[LEARNT + 60 : LEARNT + 60 + hours])
    table.loc[out, "load"] = 0.0
    return table, HOURS[LEARNT + 60 : LEARNT + 60 + hours]


def fitted(table, **options):
    options = {"context_length": 24, "time": "time", "series": "meter", "targets": ["load"], **options}
    return quietly(
        AnomalyDetector("seasonal_naive", model_options={"season_length": 24}, **options).fit, table
    )


def flagged(detector, table, name, times):
    rows = quietly(detector.detect, table)
    return int(rows[(rows["series"] == name) & rows["time"].isin(times)]["flag"].sum())


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("per_series", [True, False])
def test_an_outage_of_a_small_series_is_seen_beside_a_large_one(score, per_series):
    usual, new = split(meters({"small": 1.0, "large": 1e5}))
    new, out = with_outage(new, "small")
    detector = fitted(usual, score=score, per_series=per_series)
    assert flagged(detector, new, "small", out) == 12
    rows = quietly(detector.detect, new)
    assert rows[~rows["time"].isin(out)]["flag"].mean() < 0.03


@pytest.mark.parametrize("options", [{"smooth": 6, "single_rows": False}, {"smooth": 6}])
def test_a_running_average_of_a_small_series_is_not_that_of_a_large_one(options):
    sizes = {"small": 1.0, "large": 1e5}
    usual, new = split(meters(sizes))
    low = (new["meter"] == "small") & (new["time"] >= HOURS[LEARNT + 60]) & (new["time"] < HOURS[LEARNT + 84])
    new.loc[low, "load"] -= 0.15  # three deviations of a single row
    beside = fitted(usual, **options)
    alone = fitted(usual[usual["meter"] == "small"], **options)
    times = HOURS[LEARNT + 60 : LEARNT + 84]
    wanted = flagged(alone, new[new["meter"] == "small"], "small", times)
    assert flagged(beside, new, "small", times) == wanted > 16


def test_limits_of_a_series_are_those_that_it_has_alone():
    usual, new = split(meters({"small": 1.0, "large": 1e5}))
    beside, alone = (
        quietly(fitted(t).detect, new[new["meter"] == "small"])
        for t in (usual, usual[usual["meter"] == "small"])
    )
    for column in ("score", "threshold", "flag"):
        np.testing.assert_allclose(beside[column].astype(float), alone[column].astype(float), rtol=1e-6)


def test_expected_alarms_are_those_of_each_series_own_limit():
    usual, _ = split(meters({"a": 1.0, "b": 10.0, "c": 100.0}))
    detector = fitted(usual, threshold="quantile", threshold_options={"rate": 0.1})
    # 14 of 144 calibration rows and the next one, of three series with 24 rows a day.
    rows = len(detector.calibration_) // 3
    assert detector.expected_alarms_a_day_["load"] == pytest.approx(3 * 24 * ((rows + 1) // 10) / (rows + 1))


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("size", [0.01, 3000.0])
def test_a_new_series_is_judged_in_its_own_units(score, size):
    usual, _ = split(meters({"a": 1.0, "b": 100.0}))
    detector = fitted(usual, score=score, per_series=False, threshold_options=None)
    _, new = split(meters({"new": size}, seed=9))
    new, out = with_outage(new, "new", hours=3)
    rows = quietly(detector.detect, new)
    assert flagged(detector, new, "new", out) == 3
    assert rows[~rows["time"].isin(out)]["flag"].mean() < 0.03
    assert rows["residual"].abs().median() == pytest.approx(0.05 * size, rel=0.5)


def test_a_level_shift_of_a_small_series_is_learnt_beside_a_large_one():
    sizes = {"small": 1.0, "large": 1e5}
    usual, new = split(meters(sizes))
    shifted = new.copy()
    later = (new["meter"] == "small") & (new["time"] >= HOURS[LEARNT + 60])
    shifted.loc[later, "load"] += 2.0
    found = []
    for names in (["small"], ["small", "large"]):
        usual_of, new_of = (table[table["meter"].isin(names)] for table in (usual, shifted))
        rows = quietly(fitted(usual_of, new_normal=30).detect, new_of)
        found.append(rows[rows["series"] == "small"]["predicted"].to_numpy())
    # The new level is found as exactly as without the other series.
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)


def test_drift_of_a_small_series_is_seen_by_a_monitor_of_its_own():
    detector = fitted(split(meters({"small": 1.0, "large": 1e5}))[0])
    calibration = detector.calibration_
    own = calibration[calibration["series"] == "small"]["load"].to_numpy()
    assert detector.drift_monitor(window=100).update(np.tile(own + 0.2, 3)) is not None
    assert detector.drift_monitor("small", window=100).update(np.tile(own + 0.2, 3)).shift == pytest.approx(
        0.2, rel=0.2
    )
    assert detector.drift_monitor("small", window=100).update(own) is None
    with pytest.raises(ValueError, match=r"Unknown series 'smal'.*Did you mean 'small'"):
        detector.drift_monitor("smal")


def flat(value, rows=300):
    return pd.DataFrame(
        {"heat": np.full(rows, value)}, index=pd.date_range("2024-01-01", periods=rows, freq="h")
    )


@pytest.mark.parametrize("model", ["linear_regression", "running_median", "persistence", "pca_windows"])
@pytest.mark.parametrize("score", SCORES)
def test_a_flat_series_has_no_anomaly_until_it_moves(model, score):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All .* calibration residuals")
        detector = AnomalyDetector(model, context_length=12, score=score).fit(flat(20.1))
    new = flat(20.1, 60).set_index(pd.date_range("2024-01-13 12:00", periods=60, freq="h"))
    assert not detector.detect(new)["flag"].any()
    assert detector.events(new).empty
    new.iloc[30] = 25.0
    rows = quietly(detector.detect, new)
    assert rows["flag"].iloc[30]
    assert not rows["flag"].iloc[:30].any()


@pytest.mark.parametrize("value", [0.0, 1e-6, 20.1, 7e8])
def test_a_flat_series_is_flat_at_any_level(value):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All .* calibration residuals")
        detector = AnomalyDetector("linear_regression", context_length=12).fit(flat(value))
    # As another program wrote the same number.
    new = flat(float(np.float32(value)), 60).set_index(
        pd.date_range("2024-01-13 12:00", periods=60, freq="h")
    )
    assert not detector.detect(new)["flag"].any()
    new.iloc[30] = value * 1.01 + 1e-3
    assert quietly(detector.detect, new)["flag"].iloc[30]


def test_a_flat_series_among_others_changes_nothing_of_them():
    usual, new = split(meters({"a": 1.0, "b": 100.0}))
    dead = [part[part["meter"] == "a"].assign(meter="dead", load=20.1) for part in (usual, new)]
    for score in SCORES:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "All .* calibration residuals")
            beside = fitted(pd.concat([usual, dead[0]]), score=score)
        rows = quietly(beside.detect, pd.concat([new, dead[1]]))
        assert not rows[rows["series"] == "dead"]["flag"].any()
        assert rows[rows["series"] != "dead"]["flag"].mean() < 0.03
        moved = dead[1].assign(load=np.where(dead[1]["time"] == HOURS[LEARNT + 60], 25.0, 20.1))
        rows = quietly(beside.detect, moved)
        assert rows[rows["time"] == HOURS[LEARNT + 60]]["flag"].all()


def test_readings_in_steps_are_not_flagged_for_being_rounded():
    random = np.random.default_rng(0)
    hours = np.arange(600)
    # So slow and quiet that the forecast is right within a step of 0.1, always.
    heat = np.round(20 + 2 * np.sin(hours * 2 * np.pi / 200) + random.normal(0, 0.001, 600), 1)
    frame = pd.DataFrame({"heat": heat}, index=pd.date_range("2024-01-01", periods=600, freq="h"))
    detector = AnomalyDetector("linear_regression", context_length=12, k=0.5).fit(frame[:400])
    rows = quietly(detector.detect, frame[400:])
    off = rows["residual"].abs()
    assert (off > rows["threshold"]).sum() > 20
    assert not rows[off < 0.05]["flag"].any()
