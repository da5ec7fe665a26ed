"""What a detector learns from, whatever its model is and in whatever zone its times are."""

import numpy as np
import pandas as pd
import pytest

from tests.anomaly.conftest import WEEK, shops
from tests.anomaly.test_detector import detector, quietly, split
from tfts import AnomalyDetector, Forecaster
from tfts.anomaly import choice


def forecaster(**options):
    common = {"targets": ["sold", "stock"], "known_future": ["promotion"], "time": "day", "series": "shop"}
    return Forecaster("linear_regression", context_length=7, horizon=1, **{**common, **options})


def hours(rows=240, tz="Europe/Berlin"):
    times = pd.date_range("2023-03-20", periods=rows, freq="h", tz=tz)
    noise = np.random.default_rng(0).normal(size=rows)
    return pd.DataFrame({"sold": WEEK[np.arange(rows) % 7] + 9 * (times.hour == 5) + noise}, index=times)


def test_fine_tuning_of_an_unfitted_forecaster_works_as_by_the_name_of_its_model():
    usual, recent = split(shops(rows=401, names=("a",)))
    changed = recent.assign(sold=recent["sold"].to_numpy()[::-1] * 1.5)
    given = forecaster(per_series=True)
    made, named = AnomalyDetector(given, k=99.0).fit(usual), detector(k=99.0).fit(usual)
    done = quietly(made.fine_tune, changed)
    assert done["is_better"]
    assert done == quietly(named.fine_tune, changed)
    assert made.settings["missing"] == "raise"
    assert not given.is_fitted
    made.rollback()
    again = quietly(made.detect, recent)
    pd.testing.assert_frame_equal(again, quietly(AnomalyDetector(given, k=99.0).fit(usual).detect, recent))


@pytest.mark.parametrize("fitted", [False, True])
def test_an_outage_is_left_out_whose_columns_a_forecaster_names(fitted):
    usual, _ = split(shops())
    out = (usual["day"] >= "2023-05-01") & (usual["day"] <= "2023-05-04")
    broken = usual.assign(sold=usual["sold"].where(~out, 0.0))
    given = forecaster()
    if fitted:
        given.fit(usual)
    made = AnomalyDetector(given).fit(broken, exclude=[("2023-05-01", "2023-05-04")])
    gone = made.calibration_[made.calibration_["sold"].isna()]
    assert gone.index.empty
    assert not made.calibration_.index.isin(pd.date_range("2023-05-01", "2023-05-04")).any()
    # Its 0 is 90 off and more.
    assert made.calibration_["sold"].abs().max() < 45


def test_times_to_exclude_are_in_the_zone_of_the_table_unless_they_say_another():
    frame = hours()
    made = [
        AnomalyDetector("linear_regression", context_length=7, calibration=0.4)
        .fit(frame, exclude=[(first, last)])
        .calibration_.index
        for first, last in (
            ("2023-03-28 05:00", "2023-03-28 06:00"),
            # Summer time began on 26 March.
            ("2023-03-28 03:00+00:00", "2023-03-28 04:00+00:00"),
        )
    ]
    assert made[0].equals(made[1])
    with pytest.raises(ValueError, match="have no time zone, so times to exclude can't have one"):
        AnomalyDetector("persistence", context_length=1).fit(
            hours(tz=None), exclude=[("2023-03-28 03:00+00:00", "2023-03-28 04:00+00:00")]
        )


def test_an_outage_is_left_out_where_steps_are_irregular():
    table = shops(rows=113, names=("a",))
    made = detector(irregular="step_length").fit(table, exclude=[("2023-04-10", "2023-04-11")])
    assert not made.calibration_.index.isin(pd.date_range("2023-04-10", "2023-04-18")).any()
    assert made.calibration_.index.max() == table["day"].max()


@pytest.mark.parametrize("tz", ["UTC", "Asia/Tokyo"])
def test_the_same_instants_in_another_zone_are_judged_and_learnt_from_alike(tz):
    frame = hours(480)
    frame.iloc[300, 0] = 900.0
    options = {"context_length": 7, "calendar": ["hour"], "k": 9.0}
    made = [AnomalyDetector("linear_regression", **options).fit(frame[:240]) for _ in range(2)]
    new = frame[240:]
    other = new.tz_convert(tz)
    rows = quietly(made[0].detect, new)
    assert rows["flag"].sum() == 1
    pd.testing.assert_frame_equal(quietly(made[0].detect, other), rows)
    monitor = made[0].monitor()
    records = monitor.record()
    for stamp, value in other["sold"].items():
        monitor.update({"time": str(stamp), "sold": value})
    np.testing.assert_allclose([record[3][0] for record in records], rows["predicted"])
    done = [quietly(one.fine_tune, table) for one, table in zip(made, (new, other), strict=True)]
    # Had the flagged row not been found among times of another zone, it would be learnt from.
    assert done[0] == done[1]


def test_a_loaded_detector_knows_why_its_model_was_chosen(tmp_path, monkeypatch):
    usual, new = split(shops(rows=301), "2023-08-10")
    models = ("running_median", "linear_regression", "arma")
    monkeypatch.setattr(choice.choose, "__defaults__", ((), None, models, 0))
    made = quietly(detector("auto", k=4.0).fit, usual)
    made.save(tmp_path / "d")
    again = AnomalyDetector.load(tmp_path / "d")
    assert again.why_ == made.why_
    pd.testing.assert_frame_equal(again.choice_, made.choice_)
    assert again.settings == made.settings
    # The choice stays what it was, whatever is learnt later.
    quietly(again.fine_tune, new)
    assert again.why_ == made.why_
    assert again.forecaster_.name == "linear_regression"
    plain = detector().fit(usual)
    assert (plain.choice_, plain.why_) == (None, None)


def test_what_was_fine_tuned_survives_a_file(tmp_path):
    usual, recent = split(shops(rows=401, names=("a",)))
    changed = recent.assign(sold=recent["sold"].to_numpy()[::-1] * 1.5)
    made = detector(k=99.0).fit(usual)
    assert quietly(made.fine_tune, changed)["is_better"]
    made.save(tmp_path / "d")
    again = AnomalyDetector.load(tmp_path / "d")
    assert again.fingerprint_ == made.fingerprint_
    pd.testing.assert_frame_equal(quietly(again.detect, recent), quietly(made.detect, recent))


def test_a_clone_shares_nothing_with_a_detector_of_a_fitted_forecaster():
    usual, new = split(shops())
    given = forecaster().fit(usual)
    made = AnomalyDetector(given).fit(usual)
    before = quietly(made.detect, new)
    clone = made.clone()
    assert not clone.is_fitted
    assert not clone.settings["model"].is_fitted
    quietly(clone.fit, usual.assign(sold=3 * usual["sold"]))
    assert clone.forecaster_ is not given
    pd.testing.assert_frame_equal(quietly(made.detect, new), before)
