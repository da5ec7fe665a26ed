"""Quantiles and paths of a forecaster, from the table to the table."""

import numpy as np
import pandas as pd
import pytest

from tfts import Forecaster
from tfts.outputs import Normal

LEVELS = [0.1, 0.5, 0.9]
FIT = {"epochs": 2, "verbose": 0}


def _frame(rows=400, seed=0, **columns):
    hours = pd.date_range("2024-01-01", periods=rows, freq="h")
    noise = np.random.default_rng(seed).normal(size=rows)
    values = 50 + 10 * np.sin(np.arange(rows) * 2 * np.pi / 24) + noise
    return pd.DataFrame({"load": values, **columns}, index=hours)


def _inside(forecaster, frame, level=0.8):
    panel = forecaster.panel(frame)
    rows = forecaster.spec.origins(panel)
    found = forecaster.quantile_windows(panel, rows, [0.5 - level / 2, 0.5 + level / 2])
    actual = forecaster.actual(panel, rows)
    return ((found[..., 0] <= actual) & (actual <= found[..., 1])).mean()


@pytest.fixture(scope="module")
def calibrated():
    frame = _frame(1200)
    return Forecaster("ridge", context_length=24, horizon=3, quantiles=LEVELS).fit(frame[:1000]), frame


def test_a_baseline_has_the_columns_of_its_quantiles(calibrated):
    forecaster, frame = calibrated
    table = forecaster.predict(frame)
    assert table.columns.tolist() == [
        "series",
        "origin",
        "time",
        "load",
        "load_q0.1",
        "load_q0.5",
        "load_q0.9",
    ]
    assert (table["load_q0.1"] < table["load"]).all()
    assert (table["load"] < table["load_q0.9"]).all()
    assert forecaster.predict(frame, quantiles=[0.25]).columns.tolist()[3:] == ["load", "load_q0.25"]
    assert forecaster.predict(frame, quantiles=[]).columns.tolist()[3:] == ["load"]


def test_quantiles_leave_the_forecasts_of_a_baseline_as_they_were(calibrated):
    forecaster, frame = calibrated
    plain = Forecaster("ridge", context_length=24, horizon=3).fit(frame[:1000])
    np.testing.assert_array_equal(plain.predict(frame)["load"], forecaster.predict(frame)["load"])


def test_coverage_of_rows_that_came_later(calibrated):
    forecaster, frame = calibrated
    assert 0.74 <= _inside(forecaster, frame[950:]) <= 0.86


def test_quantiles_and_paths_are_kept(calibrated, tmp_path):
    forecaster, frame = calibrated
    forecaster.save(tmp_path / "saved")
    loaded = Forecaster.load(tmp_path / "saved")
    assert loaded.quantiles == tuple(LEVELS)
    pd.testing.assert_frame_equal(loaded.predict(frame), forecaster.predict(frame))
    paths = forecaster.predict(frame, samples=7, seed=3)
    pd.testing.assert_frame_equal(loaded.predict(frame, samples=7, seed=3), paths)
    assert paths.columns.tolist() == ["series", "origin", "time", "sample", "load"]
    assert len(paths) == 7 * 3
    assert not paths.equals(forecaster.predict(frame, samples=7, seed=4))


def test_a_folder_without_its_errors_is_refused(calibrated, tmp_path):
    forecaster, _ = calibrated
    forecaster.save(tmp_path / "saved")
    kept = tmp_path / "saved" / "held_out.npz"
    for broken in (b"", b"no archive", kept.read_bytes()[:200]):
        kept.write_bytes(broken)
        with pytest.raises(ValueError, match=r"held_out.npz can't be read: it was changed or cut off"):
            Forecaster.load(tmp_path / "saved")
    kept.unlink()
    with pytest.raises(FileNotFoundError, match=r"saved lacks held_out.npz, which was saved with it"):
        Forecaster.load(tmp_path / "saved")


def test_no_origin_is_no_forecast(calibrated):
    forecaster, frame = calibrated
    with pytest.raises(ValueError, match=r"`rows` must hold at least one origin"):
        forecaster.quantile_windows(forecaster.panel(frame), [])


def test_rows_after_the_origin_change_no_quantile():
    frame = _frame(700, other=np.arange(700.0))
    noisy = frame.copy()
    noisy.iloc[600:] += 1000 * np.random.default_rng(1).normal(size=(100, 2))
    for calibration in ("conformal", "adaptive"):
        found = []
        for table in (frame, noisy):
            forecaster = Forecaster(
                "ridge",
                context_length=24,
                horizon=3,
                targets="load",
                quantiles=LEVELS,
                calibration=calibration,
            )
            forecaster.fit(frame[:500])
            panel = forecaster.panel(table)
            rows = forecaster.spec.forecast_origins(panel)
            found.append(forecaster.quantile_windows(panel, rows[rows < 600]))
        np.testing.assert_array_equal(*found)


def test_the_adaptive_form_follows_a_change_of_the_noise():
    calm = _frame(1600)
    loud = calm.copy()
    loud["load"] += np.where(np.arange(1600) >= 1000, 5.0, 0.0) * np.random.default_rng(1).normal(size=1600)
    made = {
        kind: Forecaster("ridge", context_length=24, horizon=3, quantiles=LEVELS, calibration=kind).fit(
            loud[:1000]
        )
        for kind in ("conformal", "adaptive")
    }
    assert _inside(made["conformal"], loud[1100:]) < 0.5
    assert 0.7 <= _inside(made["adaptive"], loud[976:]) <= 0.9


@pytest.mark.parametrize("output", ["quantiles", "normal", "student_t", Normal()])
@pytest.mark.parametrize("scaler", ["standard", "log"])
def test_a_network_learns_quantiles(output, scaler, eager, tmp_path):
    frame = _frame()
    forecaster = Forecaster(
        "linear", context_length=24, horizon=3, output=output, quantiles=LEVELS, scaler=scaler
    )
    forecaster.fit(frame, metrics=["rmse", "wql"], **FIT)
    table = forecaster.predict(frame)
    assert (np.diff(table[["load_q0.1", "load_q0.5", "load_q0.9"]]) > 0).all()
    np.testing.assert_allclose(table["load"], table["load_q0.5"])
    assert 0 < forecaster.history_["val_wql"][-1] < 0.3
    assert forecaster.task.output == forecaster.output
    forecaster.save(tmp_path / "saved")
    pd.testing.assert_frame_equal(Forecaster.load(tmp_path / "saved").predict(frame), table)
    assert forecaster.evaluate(frame, ["rmse"])["rmse"][0] < 20
    assert forecaster.predict(frame, samples=3)["load"].notna().all()


def test_the_weighted_quantile_loss_shown_is_that_of_the_table(eager):
    from sklearn.metrics import mean_pinball_loss

    frame = _frame()
    forecaster = Forecaster("linear", context_length=24, horizon=3, output="quantiles", quantiles=LEVELS)
    forecaster.fit(frame, metrics=["wql", "crps"], **{**FIT, "epochs": 1})
    panel = forecaster.parts(forecaster.panel(frame))[1]
    rows = forecaster.spec.origins(panel)
    found, actual = forecaster.quantile_windows(panel, rows), forecaster.actual(panel, rows)
    losses = [
        mean_pinball_loss(actual.ravel(), found[..., k].ravel(), alpha=level)
        for k, level in enumerate(LEVELS)
    ]
    assert forecaster.history_["val_crps"][0] == pytest.approx(2 * np.mean(losses), rel=1e-4)
    assert forecaster.history_["val_wql"][0] == pytest.approx(
        2 * np.mean(losses) / np.abs(actual).mean(), rel=1e-4
    )


def test_scores_of_an_interval_shown_are_those_of_the_table(eager):
    frame, names = _frame(), ["coverage", "coverage_0.8", "width_0.8", "interval_score"]
    levels = [0.1, 0.25, 0.5, 0.75, 0.9]
    forecaster = Forecaster("linear", context_length=24, horizon=3, output="quantiles", quantiles=levels)
    forecaster.fit(frame, metrics=[*names, "width_0.5"], **{**FIT, "epochs": 1})
    panel = forecaster.parts(forecaster.panel(frame))[1]
    expected = forecaster.error_sums(panel).score([*names, "width_0.5"]).iloc[0]
    for name in [*names, "width_0.5"]:
        assert forecaster.history_[f"val_{name}"][0] == pytest.approx(expected[name], rel=1e-4)
    with pytest.raises(ValueError, match=r"The central interval of 0.6 lies between two levels"):
        forecaster.fit(frame, metrics=["coverage_0.6"], **FIT)


@pytest.mark.parametrize(
    ("output", "why"),
    [("point", "gives points"), ("negative_binomial", "has quantiles that Keras can't compute")],
)
def test_what_has_no_quantiles_while_it_learns_says_so(output, why):
    forecaster = Forecaster("linear", context_length=24, horizon=3, output=output)
    with pytest.raises(
        ValueError,
        match=rf"wql scores quantiles while a network learns, whose output {why}: score with evaluate",
    ):
        forecaster.fit(_frame().round(), metrics=["wql"], **FIT)


def test_a_network_of_points_is_calibrated_by_rows_that_choose_nothing(eager):
    frame = _frame(800)
    forecaster = Forecaster("linear", context_length=24, horizon=3, quantiles=LEVELS)
    forecaster.fit(frame[:600], epochs=5, linear_start="ridge", verbose=0)
    assert 0.7 <= _inside(forecaster, frame[560:]) <= 0.9
    held = forecaster._calibration.held_out
    assert len(held.scores) == 45 - 3 + 1
    with pytest.raises(ValueError, match=r"takes the errors of held-out rows.*validation=0"):
        forecaster.fit(frame, validation=0, **FIT)


def test_quantiles_of_a_network_are_conformalised_too(eager):
    frame = _frame(800)
    forecaster = Forecaster(
        "linear", context_length=24, horizon=3, output="quantiles", quantiles=LEVELS, calibration="conformal"
    )
    forecaster.fit(frame[:600], epochs=3, linear_start="ridge", verbose=0)
    assert 0.68 <= _inside(forecaster, frame[560:]) <= 0.92


def test_counts_of_slow_sales(eager):
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=500)
    frame = pd.DataFrame({"sold": rng.poisson(0.2, size=500)}, index=days)
    forecaster = Forecaster(
        "linear", context_length=7, horizon=2, output="negative_binomial", quantiles=[0.5, 0.9]
    )
    table = forecaster.fit(frame, epochs=8, verbose=0).predict(frame)
    assert table["sold_q0.5"].tolist() == [0.0, 0.0]
    assert (table["sold"] > 0).all()
    assert forecaster.history_["val_loss"][-1] < 1.0
    paths = forecaster.predict(frame, samples=5)["sold"]
    assert (paths == paths.round()).all()


@pytest.mark.parametrize("calibration", ["conformal", "adaptive"])
def test_evaluate_scores_the_quantiles_too(calibration):
    frame = _frame(700)
    forecaster = Forecaster("ridge", context_length=24, horizon=3, quantiles=LEVELS, calibration=calibration)
    forecaster.fit(frame[:500])
    table = forecaster.evaluate(frame[476:], by="overall")
    assert {"rmse", "pinball", "wql", "crps", "sql", "coverage", "interval_score", "width"} < set(table)
    assert table["coverage"][0] == pytest.approx(_inside(forecaster, frame[476:]))
    assert forecaster.evaluate(frame[476:], ["coverage_0.8"], "step")["coverage_0.8"].between(0.7, 0.9).all()
    sums = forecaster.error_sums(forecaster.panel(frame[476:]))
    assert sums.reliability()["observed"].diff()[1:].gt(0.2).all()
    assert sums.pit()["count"].sum() == table["count"][0]


def test_what_has_no_quantiles_says_how_to_get_some(calibrated):
    _, frame = calibrated
    plain = Forecaster("ridge", context_length=24, horizon=3).fit(frame)
    with pytest.raises(
        ValueError, match=r"A point forecast has no quantiles.*quantiles=\[0.1, 0.5, 0.9\].*or with output"
    ):
        plain.predict(frame, quantiles=[0.1, 0.9])
    with pytest.raises(ValueError, match=r"Paths need the order of errors on held-out rows"):
        plain.predict(frame, samples=3)
    with pytest.raises(
        ValueError, match=r"The baseline 'ridge' gives points. Leave `output` out and give `quantiles`"
    ):
        Forecaster("ridge", context_length=24, horizon=3, output="normal")
    with pytest.raises(ValueError, match=r"brings its own loss, so `loss` can't be set"):
        Forecaster("linear", context_length=24, horizon=3, output="normal").fit(frame, loss="mae", **FIT)
    with pytest.raises(ValueError, match=r"`samples` must be an int >= 1. Received: samples=0"):
        plain.predict(frame, samples=0)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"quantiles": 0.5}, "`quantiles` must be levels between 0 and 1"),
        ({"quantiles": ["0.1", "0.9"]}, "`quantiles` must be levels between 0 and 1"),
        ({"samples": 1.5}, "`samples` must be an int >= 1. Received: samples=1.5"),
        ({"samples": True}, "`samples` must be an int >= 1. Received: samples=True"),
        ({"samples": 3, "seed": -1}, "`seed` must be an int >= 0. Received: seed=-1"),
        ({"samples": 3, "seed": "a"}, "`seed` must be an int >= 0. Received: seed='a'"),
        ({"samples": 3, "quantiles": [0.2]}, "each a table of its own. Expected one of them"),
    ],
)
def test_what_can_not_be_asked_is_told_in_words(calibrated, asked, words):
    forecaster, frame = calibrated
    with pytest.raises(ValueError, match=words):
        forecaster.predict(frame, **asked)


def test_a_number_of_numpy_counts_samples(calibrated):
    forecaster, frame = calibrated
    paths = forecaster.predict(frame, samples=np.int64(4))
    pd.testing.assert_frame_equal(paths, forecaster.predict(frame, samples=4))


def test_no_column_of_the_table_is_lost_to_a_target_of_its_name():
    frame = _frame().rename(columns={"load": "sample"})
    forecaster = Forecaster("persistence", context_length=1, horizon=1, quantiles=LEVELS).fit(frame)
    with pytest.raises(ValueError, match=r"column 'sample', which is the name of a target too. Rename it"):
        forecaster.predict(frame, samples=3)


@pytest.mark.parametrize("history", [0, -5, 2.5, "all"])
def test_a_picture_has_at_least_one_row_of_history(calibrated, history):
    forecaster, frame = calibrated
    with pytest.raises(ValueError, match=r"`history` must be an int >= 1. Received: history="):
        forecaster.plot(frame, history=history)


def test_quantiles_of_rows_held_out_by_hand_need_levels(calibrated):
    forecaster, frame = calibrated
    with pytest.raises(ValueError, match=r"`quantiles` must be levels.*Received: quantiles=None"):
        forecaster.calibrated(frame[900:], None)


def test_too_few_held_out_origins_are_told_before_a_network_learns(monkeypatch):
    monkeypatch.setattr("tfts.predictors.network.train_network", lambda *_: pytest.fail("It learnt."))
    forecaster = Forecaster("linear", context_length=24, horizon=3, quantiles=[0.01, 0.99])
    with pytest.raises(ValueError, match=r"quantile 0.01 needs the errors of at least 99 .*Received: 28\."):
        forecaster.fit(_frame(400), **FIT)


@pytest.mark.parametrize("calibration", ["conformal", "adaptive"])
def test_a_part_of_the_season_in_which_no_row_was_held_out_has_the_errors_of_all(calibration):
    # Ten hours in steps of five minutes: the held-out rows end at ten, and forecasts go on until midnight.
    times = pd.date_range("2024-01-01", periods=280, freq="5min")
    frame = pd.DataFrame({"load": np.random.default_rng(0).normal(size=280)}, index=times)
    forecaster = Forecaster(
        "persistence", context_length=6, horizon=2, quantiles=LEVELS, calibration=calibration
    ).fit(frame[:120])
    table = forecaster.predict(frame, origins="all")
    assert np.isfinite(table.iloc[:, 3:].to_numpy()).all()
    assert len(forecaster.held_out_.tables(LEVELS, ("",))[0][0]) == 12


def test_too_few_held_out_origins_are_counted(calibrated):
    forecaster, frame = calibrated
    with pytest.raises(
        ValueError, match=r"The quantile 0.999 needs the errors of at least 999 .*Received: 398"
    ):
        forecaster.predict(frame, quantiles=[0.5, 0.999])
    with pytest.raises(
        ValueError, match=r"The quantile 0.01 needs the errors of at least 99 held-out origins"
    ):
        Forecaster("ridge", context_length=24, horizon=3, quantiles=[0.01, 0.99]).fit(frame[:120])


def test_a_compiled_model_gives_points():
    import keras

    model = keras.Sequential([keras.Input((24, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"is compiled with a loss of its own, and gives points"):
        Forecaster(model, context_length=24, horizon=3, output="normal")
