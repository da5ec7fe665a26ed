"""`threshold="interval"`: rows judged by the quantiles of their own forecast."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy import stats

from tests.anomaly.conftest import shops
from tests.anomaly.test_detector import quietly
from tests.anomaly.test_monitor import follow
from tfts import AnomalyDetector, Forecaster
from tfts.anomaly.intervals import RowInterval, interval_sizes
from tfts.anomaly.thresholds import Interval
from tfts.config import DetectionSettings, parse_settings
from tfts.experiment.detection import detect
from tfts.outputs import NegativeBinomial, Normal
from tfts.outputs.predictive import Predictive


def noise(rows, freq="4h", loud=1.0, seed=0):
    """A table of noise about 50, `loud` times as large from 8 to 20 o'clock, and which rows are loud."""
    times = pd.date_range("2020-01-01", periods=rows, freq=freq)
    is_loud = np.asarray((times.hour >= 8) & (times.hour < 20))
    values = 50 + np.random.default_rng(seed).normal(size=rows) * np.where(is_loud, loud, 1.0)
    return pd.DataFrame({"y": values}, index=times), is_loud


def detector(model="linear_regression", rate=0.02, **options):
    settings = {"context_length": 12, "threshold": "interval", "threshold_options": {"rate": rate}}
    return AnomalyDetector(model, **{**settings, **options})


def shares(found, rows, is_loud):
    flags = found["flag"].to_numpy()
    loud = is_loud[rows:]
    return flags.mean(), flags[loud].mean(), flags[~loud].mean()


@pytest.mark.parametrize("model", ["linear_regression", "running_median"])
@pytest.mark.parametrize("direction", ["both", "up", "down"])
def test_on_normal_noise_the_share_flagged_is_the_rate(model, direction):
    rates = []
    for seed in range(4):
        frame, _ = noise(8009, seed=seed)
        fitted = detector(model, direction=direction, calibration=0.4).fit(frame[:4001])
        found = quietly(fitted.detect, frame[4001:])
        rates.append(found["flag"].mean())
        flagged = found[found["flag"]]
        assert (flagged["probability"] <= 0.02 + 1e-9).all()
        assert (found.loc[~found["flag"], "probability"] > 0.02 - 1e-9).all()
        if direction != "both":
            assert set(flagged["direction"]) == {direction}
        else:
            # Half of it on each side.
            assert 0.25 < (flagged["direction"] == "up").mean() < 0.75
    # A rate from 1,600 rows has a standard error of 0.0035, the mean of four half as much.
    assert np.mean(rates) == pytest.approx(0.02, abs=0.005)
    assert fitted.expected_alarms_a_day_ == {"y": pytest.approx(0.12)}


def test_calm_and_loud_hours_are_flagged_at_one_rate_where_a_constant_limit_sees_the_loud_alone():
    frame, is_loud = noise(16_009, loud=5.0)
    own = detector("linear_regression", calibration=0.4).fit(frame[:8001])
    _, loud, calm = shares(quietly(own.detect, frame[8001:]), 8001, is_loud)
    constant = detector(
        "linear_regression", calibration=0.4, threshold="quantile", threshold_options={"rate": 0.02}
    )
    _, loud_alone, none = shares(quietly(constant.fit(frame[:8001]).detect, frame[8001:]), 8001, is_loud)
    assert 0.01 < calm < 0.03
    assert 0.01 < loud < 0.03
    assert loud_alone > 0.03
    assert none == 0


def test_a_network_learns_how_the_noise_goes_with_the_hour():
    frame, is_loud = noise(6007, loud=5.0)
    fitted = detector("lstm_regressor", calendar=["24h"], model_options={"units": 8})
    fitted.fit(frame[:3001], epochs=30, learning_rate=3e-3, batch_size=64, verbose=0)
    assert fitted.forecaster_.output.levels == (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
    assert fitted.forecaster_.quantiles == (0.01, 0.5, 0.99)
    _, loud, calm = shares(quietly(fitted.detect, frame[3001:]), 3001, is_loud)
    assert 0.005 < calm < 0.05
    assert 0.005 < loud < 0.05


def test_a_spike_is_flagged_and_its_probability_told():
    frame, _ = noise(3001)
    fitted = detector(calibration=0.4).fit(frame[:2001])
    new = frame[2001:].copy()
    new.iloc[503, 0] += 30.0
    found, (event,) = (
        fitted.detect(new).iloc[503],
        [e for e in fitted.judge(new).events if e.peak == new.index[503]],
    )
    # Nothing of 800 calibration rows was so far out: twice 1 / 801.
    assert found["flag"]
    assert found["probability"] == pytest.approx(2 / 801)
    assert event.probability == found["probability"]
    assert "; a value this far out is expected at most once in 400 rows; high severity." in event.sentence
    assert json.loads(json.dumps(event.to_dict()))["probability"] == event.probability
    table = fitted.events(new).set_index("peak")
    assert table.loc[new.index[503], "probability"] == event.probability


def test_flags_are_those_outside_the_quantiles_of_a_forecaster_that_is_given():
    frame, _ = noise(1511, loud=3.0)
    given = Forecaster("drift", context_length=12, horizon=1, quantiles=[0.05, 0.95]).fit(frame[:1201])
    fitted = AnomalyDetector(given, threshold="interval", threshold_options={"rate": 0.1})
    fitted.fit(frame[:1201])
    found = quietly(fitted.detect, frame[1201:])
    panel = given.panel(frame)
    rows = np.arange(1200, 1510)
    low, median, high = given.quantile_windows(panel, rows, [0.05, 0.5, 0.95])[:, 0, 0].T
    actual = found["actual"].to_numpy()
    outside = (actual < low) | (actual > high)
    # Until a flagged value is replaced in the history, all is as the forecaster has it.
    first = int(np.argmax(outside))
    assert first > 3
    np.testing.assert_array_equal(found["flag"][: first + 1], outside[: first + 1])
    np.testing.assert_allclose(found["predicted"][: first + 1], median[: first + 1], rtol=1e-6)
    room = np.where(actual > median, high - median, median - low)
    sizes = (np.abs(actual - median) / room)[: first + 1]
    np.testing.assert_allclose(found["score"][: first + 1], sizes, rtol=1e-4)


def test_the_own_quantiles_of_a_network_are_taken_as_they_are():
    frame, _ = noise(1201)
    given = Forecaster("linear", context_length=12, horizon=1, output="normal")
    fitted = AnomalyDetector(given, threshold="interval", threshold_options={"rate": 0.1})
    fitted.fit(frame[:1001], epochs=5, verbose=0)
    assert fitted.forecaster_.calibration == "none"
    found = quietly(fitted.detect, frame[1001:])
    panel = fitted.forecaster_.panel(frame)
    mean, deviation = fitted.forecaster_.predictives(panel, np.array([1000])).parameters[0, 0, 0]
    first = found.iloc[0]
    assert first["predicted"] == pytest.approx(mean, rel=1e-5)
    wanted = 2 * stats.norm.sf(abs(first["actual"] - mean) / deviation)
    assert first["probability"] == pytest.approx(wanted, rel=1e-3)
    assert first["score"] == pytest.approx(
        abs(first["actual"] - mean) / (deviation * stats.norm.isf(0.05)), rel=1e-3
    )


@pytest.mark.parametrize("changes", [{}, {"log": ["sold"]}, {"direction": "up"}, {"scaler": "log"}])
def test_series_and_targets_live_and_from_a_file_give_what_the_table_gives(changes, tmp_path):
    table = shops(rows=401)
    usual, new = table[table["day"] < "2023-11-01"], table[table["day"] >= "2023-11-01"].copy()
    new.loc[new.index[3], "sold"] = 700.0
    new.loc[new.index[17], ["sold", "stock"]] = [np.nan, 5.0]
    new.loc[(new["day"] > "2024-01-01") & (new["shop"] == "b"), "sold"] += 90
    options = {"time": "day", "series": "shop", "targets": ["sold", "stock"], "context_length": 7}
    fitted = detector(rate=0.05, new_normal=7, **options, **changes).fit(usual)
    found = quietly(fitted.judge, new)
    assert found.rows["flag"].sum() > 2
    assert found.rows.loc[found.rows["actual"].isna(), ["probability", "score"]].isna().all(axis=None)
    assert not found.rows.loc[found.rows["actual"].isna(), "flag"].any()
    assert found.rows["probability"].notna().sum() == found.rows["actual"].notna().sum()

    fitted.save(tmp_path / "saved")
    again = AnomalyDetector.load(tmp_path / "saved")
    pd.testing.assert_frame_equal(quietly(again.detect, new), found.rows)
    assert [event.sentence for event in quietly(again.judge, new).events] == [
        event.sentence for event in found.events
    ]

    new = new.sort_values(["day", "shop"])
    first = fitted.monitor()
    alarms = follow(first, new[:41])
    first.save(tmp_path / "state.json")
    monitor = again.monitor(tmp_path / "state.json")
    alarms += follow(monitor, new[41:])
    assert {(day[:10], event["series"]) for day, event in alarms} == {
        (str(event.detected.date()), event.series) for event in found.events
    }
    assert all(0 < event["probability"] < 0.05 for _, event in alarms)
    last = found.events[-1]
    assert monitor.events()[-1].probability == last.probability


def test_a_series_that_was_not_fitted_is_judged_in_its_own_size():
    table = shops(rows=601)
    options = {"time": "day", "series": "shop", "targets": "sold", "known_future": ["promotion"]}
    fitted = detector("seasonal_naive", rate=0.05, **options).fit(table)
    large = table[table["shop"] == "a"].assign(shop="c")
    large["sold"] *= 1000
    one = quietly(fitted.detect, table[table["shop"] == "a"].assign(shop="d"))
    other = quietly(fitted.detect, large)
    assert other["flag"].mean() < 0.12
    np.testing.assert_allclose(other["score"], one["score"], rtol=0.02)


def test_counts_are_judged_by_the_tails_that_hold_them():
    made = Predictive(NegativeBinomial(), np.array([[[[3.0, 0.5]]]]), np.array([False]))
    mean = np.logaddexp(0, 3.0) + 1e-6
    law = stats.nbinom(2.0, 2.0 / (2.0 + mean))
    for direction, wanted in (("up", law.sf(8)), ("down", law.cdf(9)), ("both", 2 * law.sf(8))):
        row = RowInterval(*np.zeros((3, 1)), direction, made, None, None)
        assert row.probability(np.array([9.0])).item() == pytest.approx(wanted, rel=1e-6)


def test_sizes_are_multiples_of_the_edge_on_their_side():
    edges = np.array([8.0, 8.0, 10.0]), np.array([10.0, 10.0, 10.0]), np.array([14.0, 14.0, 10.0])
    values = np.array([4.0, 12.0, 11.0])
    assert interval_sizes(values, *edges, "both").tolist() == [3.0, 0.5, 1000.0]
    assert interval_sizes(values, *edges, "up").tolist() == [-1.5, 0.5, 1000.0]
    assert interval_sizes(values, *edges, "down").tolist() == [3.0, -1.0, -1000.0]
    assert interval_sizes(edges[1], *edges, "both").tolist() == [0.0, 0.0, 0.0]


def test_probability_of_a_normal_on_each_side():
    made = Predictive(Normal(), np.array([[[[10.0, 2.0]]]]), np.array([False]))
    for direction, wanted in (("both", 0.0455003), ("up", 0.0227501), ("down", 0.9772499)):
        row = RowInterval(*np.zeros((3, 1)), direction, made, None, None)
        assert row.probability(np.array([14.0])).item() == pytest.approx(wanted, rel=1e-5)


def test_levels_of_a_rate():
    assert Interval(rate=0.01).levels("both") == (0.005, 0.5, 0.995)
    assert Interval(rate=0.01).levels_to_learn("down") == (0.01, 0.1, 0.25, 0.5, 0.75, 0.9)


def test_after_a_level_shift_the_interval_goes_with_the_new_level():
    frame, _ = noise(2401)
    fitted = detector("linear_regression", calibration=0.4, new_normal=14).fit(frame[:2001])
    new = frame[2001:].copy()
    new.iloc[100:] += 25.0
    found = quietly(fitted.judge, new)
    assert "level shift" in {event.kind for event in found.events}
    assert found.rows["flag"][100:114].all()
    assert found.rows["flag"][120:].mean() < 0.1


def test_the_command_takes_it(tmp_path):
    frame, _ = noise(1501)
    frame.iloc[1403, 0] = 99.0
    frame.rename_axis("time").to_csv(tmp_path / "noise.csv")
    settings = parse_settings(
        f"""
        data: {{source: file, path: {tmp_path / "noise.csv"}, time: time, targets: [y]}}
        learn: 0.8
        detector:
          model: linear_regression
          context_length: 12
          threshold: interval
          threshold_options: {{rate: 0.02}}
          output: point
        """,
        kind=DetectionSettings,
    )
    events = detect(settings, tmp_path / "run", console=Console(file=io.StringIO(), width=160))
    judged = pd.read_parquet(tmp_path / "run" / "judged.parquet")
    assert judged.loc[judged["actual"] == 99.0, ["flag", "probability"]].to_numpy().tolist() == [
        [True, 2 / 241]
    ]
    assert events["probability"].min() == 2 / 241
    assert "at most once in 120 rows" in pd.read_csv(tmp_path / "run" / "events.csv")["sentence"].str.cat()


POINTS = Forecaster("drift", context_length=5, horizon=1)
LEARNT = Forecaster("linear", context_length=5, horizon=1, output="quantiles")
ADAPTIVE = Forecaster("drift", context_length=5, horizon=1, quantiles=[0.1, 0.9], calibration="adaptive")


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (POINTS, {}, r"no quantiles\. Make the forecaster with quantiles=.* or with output='quantiles'"),
        (
            "pca_windows",
            {},
            "forecasts nothing.*BASELINES, whose quantiles.*or of MODELS, a network that learns",
        ),
        (ADAPTIVE, {}, "Received: a forecaster with calibration='adaptive'"),
        (LEARNT, {}, "quantiles from 0.1 to 0.9 were learnt, and nothing beyond. Received: level 0.01"),
        ("drift", {"score": "scaled"}, "do nothing. Received: score='scaled'"),
        ("drift", {"smooth": 3}, "do nothing. Received: smooth=3"),
        ("drift", {"same_row": {"y": ["x"]}}, "do nothing. Received: same_row="),
        ("drift", {"k": 2.0}, "`k` belongs to the thresholds"),
        ("drift", {"irregular": "step_length"}, "regular steps"),
        ("drift", {"threshold_options": {"rate": 0.5}}, r"share in \(0, 0.5\)"),
        ("drift", {"output": "normal"}, "'drift' gives points"),
        ("linear", {"output": "norm"}, "Did you mean 'normal'"),
        (LEARNT, {"output": "normal"}, "has an output of its own"),
    ],
)
def test_what_has_no_interval_is_told(model, options, message):
    settings = {"threshold": "interval", "threshold_options": {"rate": 0.02}, **options}
    with pytest.raises(ValueError, match=message):
        AnomalyDetector(model, **settings)


def test_a_rate_that_the_calibration_rows_can_not_promise_is_told():
    frame, _ = noise(501)
    with pytest.raises(
        ValueError, match=r"at least 199 calibration rows.*Received: 100\. .*a rate of 0.02 or more"
    ):
        detector(rate=0.01).fit(frame)
    with pytest.raises(ValueError, match="at least 99 calibration rows"):
        detector(rate=0.01, direction="up", calibration=0.1).fit(frame)
    detector(rate=0.02).fit(frame)
    given = Forecaster("drift", context_length=12, horizon=1, quantiles=[0.1, 0.9]).fit(frame)
    with pytest.raises(ValueError, match="needs the errors of at least 1999 held-out origins"):
        AnomalyDetector(given, threshold="interval", threshold_options={"rate": 0.001}).fit(frame)


def test_a_network_with_any_output_serves_the_other_thresholds():
    frame, _ = noise(601)
    fitted = AnomalyDetector("linear", context_length=12, output="student_t")
    fitted.fit(frame[:501], epochs=2, verbose=0)
    found = fitted.detect(frame[501:])
    panel = fitted.forecaster_.panel(frame)
    wanted = fitted.forecaster_.forecast_windows(panel, np.arange(500, 503))[:, 0, 0]
    np.testing.assert_allclose(found["predicted"][:3], wanted, rtol=1e-4)
    assert "probability" not in found


def test_an_interval_can_not_be_exported():
    from tfts.serving.signatures import check_stateless

    frame, _ = noise(601)
    with pytest.raises(ValueError, match="threshold='interval' needs the errors of its calibration rows"):
        check_stateless(detector().fit(frame))
