"""What is counted on from row to row is not replaced by forecasts; all else is, as before."""

import warnings

import numpy as np
import pandas as pd
import pytest

from tests.anomaly.conftest import shops
from tests.anomaly.test_detector import detector, hurt, quietly, split
from tfts import AnomalyDetector
from tfts.anomaly.habits import _bias


def register(seed, rows=700):
    """Hourly steps that have nothing to do with each other, summed; no anomaly."""
    steps = np.random.default_rng(seed).exponential(5, rows)
    return pd.DataFrame({"meter": steps.cumsum()}, index=pd.date_range("2023-01-01", periods=rows, freq="h"))


def share(frame, model="linear_regression", learn=400, **options):
    made = AnomalyDetector(model, **options).fit(frame[:learn])
    return quietly(made.detect, frame[learn:])["flag"].mean()


@pytest.mark.parametrize("model", ["persistence", "linear_regression"])
def test_a_register_without_anomalies_is_not_flagged_row_after_row(model):
    shares = [share(register(seed), model) for seed in range(3)]
    stays = [share(register(seed), model, replace=[]) for seed in range(3)]
    assert shares == stays
    # Exponential steps are above three deviations more often than normal ones.
    assert max(shares) < 0.06
    assert np.mean([share(register(seed), model, replace=["meter"]) for seed in range(3)]) > 0.1


def test_what_is_counted_on_is_found_among_what_is_not(tmp_path):
    random = np.random.default_rng(0)
    frame = register(0).assign(
        load=20 + random.normal(0, 3, 700), stock=5000 + random.normal(0, 9, 700).cumsum()
    )
    made = AnomalyDetector("linear_regression", context_length=7).fit(frame)
    assert made.counted_on_ == ("meter", "stock")
    made.save(tmp_path / "d")
    again = AnomalyDetector.load(tmp_path / "d")
    assert again.counted_on_ == made.counted_on_
    assert again.plan_.is_replaced == made.plan_.is_replaced == [False, True, False]
    assert AnomalyDetector("linear_regression", replace=["meter"]).fit(frame).plan_.is_replaced == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("model", ["linear_regression", "seasonal_naive", "running_median"])
def test_a_fault_that_lasts_stays_flagged(model):
    usual, new = split(shops(rows=211, names=("a",)))
    made = detector(model, k=4.0).fit(usual)
    assert made.counted_on_ == ()
    out = (new["day"] >= "2023-06-01") & (new["day"] <= "2023-06-12")
    rows = quietly(made.detect, new.assign(sold=new["sold"].where(~out, 0.0)))
    wrong = rows[(rows["target"] == "sold") & rows["time"].between("2023-06-01", "2023-06-12")]
    assert wrong["flag"].all()
    assert len(wrong) == 12


def test_a_jump_of_a_register_is_one_alarm():
    frame = register(3)
    jumped = frame.copy()
    jumped.iloc[500:] += 400.0
    made = AnomalyDetector("persistence").fit(frame[:400])
    before, after = (quietly(made.detect, table[400:])["flag"].to_numpy() for table in (frame, jumped))
    assert np.flatnonzero(after != before).tolist() == [100]


def test_the_warning_names_what_to_leave_out_of_replace():
    usual, new = split(shops(names=("a",)))
    new["sold"] += np.random.default_rng(0).normal(0, 300, len(new))
    for replace, is_told in ((None, True), (["stock"], False)):
        made = detector(replace=replace).fit(usual)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            made.detect(new)
        (message,) = [str(each.message) for each in told if "'sold'" in str(each.message)]
        assert ("leave 'sold' out of `replace` if it is counted on from row to row" in message) == is_told


def test_a_forecast_that_stands_in_for_values_has_its_usual_bias():
    # Ten more each row, which persistence never expects.
    steps = 10 + np.random.default_rng(1).normal(0, 2, 700)
    frame = pd.DataFrame({"meter": steps.cumsum()}, index=pd.date_range("2023-01-01", periods=700, freq="h"))
    made = AnomalyDetector("persistence", replace=["meter"]).fit(frame[:400])
    scale = made.forecaster_.scaler_.scale[0]
    assert made._fitted.habits.bias("")[0] * scale == pytest.approx(10, abs=1)
    holes = made.monitor()
    records = holes.record()
    for stamp, value in frame["meter"].drop(frame.index[410:420])[400:].items():
        holes.update({"time": stamp, "meter": value})
    # Ten rows were missing: their forecasts end where the register is, and not a hundred below.
    after = next(record for record in records if record[1] == frame.index[420].as_unit("ns").value)
    assert abs(after[4][0]) < 45


def test_a_bias_must_be_sure():
    values, usual = _bias(np.array([[1.0, -1.0, 5.0], [1.0, 1.0, np.nan], [1.0, -1.0, 5.0], [1.0, 1.0, 7.0]]))
    # Means 1, 0 and 17/3; the last one's standard error is sqrt(8/3) / 3.
    assert values == pytest.approx([1, 0, 17 / 3])
    np.testing.assert_allclose(usual, [np.nan, 1, 2 / 3])


def test_a_flagged_value_of_a_series_is_still_replaced():
    usual, new = split(shops())
    made = detector().fit(usual)
    clean, dirty = quietly(made.detect, new), quietly(made.detect, hurt(new, value=5000.0))
    after = clean["time"] > "2023-06-01"
    assert np.abs(dirty["predicted"] - clean["predicted"])[after].max() < 8
