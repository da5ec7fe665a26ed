"""Quantiles in a file of settings, on the command line, in backtests and in searches."""

import io

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from tfts import Forecaster, backtest, search
from tfts.cli import app
from tfts.config import parse_settings
from tfts.experiment.forecasting import run
from tfts.plots import forecasts
from tfts.report import write_report
from tfts.report.tuning import tuning_findings

SETTINGS = """
data: {source: file, path: PATH, time: day}
window: {context_length: 7, horizon: 2}
forecast: {quantiles: [0.1, 0.5, 0.9], output: quantiles}
baselines: {seasonal_naive: {}}
models: {linear: {}}
training: {epochs: 2}
report: {forecasts: csv}
"""


def _frame(rows=200):
    days = pd.date_range("2024-01-01", periods=rows, name="day")
    sold = 20 + 5 * (np.arange(rows) % 7) + np.random.default_rng(0).normal(size=rows)
    return pd.DataFrame({"sold": sold}, index=days)


def test_a_run_has_the_quantiles_of_networks_and_baselines(tmp_path, monkeypatch, eager):
    monkeypatch.chdir(tmp_path)
    _frame().to_csv("sold.csv")
    fans, draw_fan = [], forecasts.draw_fan
    monkeypatch.setattr(forecasts, "draw_fan", lambda *given: fans.append(given[1]) or draw_fan(*given))
    settings = parse_settings(SETTINGS.replace("PATH", "sold.csv"))
    scores = run(settings, "out", console=Console(file=io.StringIO()))
    assert scores[["coverage", "wql", "crps", "interval_score"]].notna().all(axis=None)
    table = pd.read_csv(tmp_path / "out" / "forecasts.csv")
    columns = ["sold_q0.1", "sold_q0.5", "sold_q0.9"]
    assert table.columns[-4:].tolist() == ["sold", *columns]
    known = table[table["model"] != "actual"]
    assert set(known["model"]) == {"persistence", "seasonal_naive", "linear"}
    assert (np.diff(known[columns]) >= 0).all()
    assert table.loc[table["model"] == "actual", columns].isna().all(axis=None)
    held = pd.read_csv(tmp_path / "out" / "intervals.csv")
    assert set(held["model"]) == {"persistence", "seasonal_naive", "linear"}
    assert held["promised"].round(9).eq(0.8).all()
    assert held["held"].between(0, 1).all()
    page = (tmp_path / "out" / "report.html").read_text()
    assert "The 80 % interval of sold held" in page
    for words in ("Width against coverage", "Histogram of where the values of sold fell", "linear width"):
        assert words in page
    # The picture of the run and the three windows of its report, each around its own forecasts.
    best = scores["model"].iloc[0]
    assert f"The intervals are those of {best}." in page
    assert [fan.columns.tolist() for fan in fans] == [[0.1, 0.5, 0.9]] * 4
    own = known[known["model"] == best].set_index("time")
    for fan in fans:
        times = fan.index.strftime("%Y-%m-%d")
        at = own.loc[times, columns].to_numpy().reshape(-1, 3)
        assert (np.isclose(at[:, None], fan.to_numpy()).all(axis=-1)).any(axis=0).all()
    asked = ["forecast", "out", "--data", "sold.csv", "--model", "linear", "--out", "next.csv"]
    found = CliRunner().invoke(app, asked)
    assert found.exit_code == 0, found.output
    assert pd.read_csv("next.csv").columns.tolist()[-4:] == ["sold", *columns]
    CliRunner().invoke(app, [*asked, "--quantiles", "0.25"])
    assert pd.read_csv("next.csv").columns.tolist()[-2:] == ["sold", "sold_q0.25"]
    assert "takes levels such as" in str(CliRunner().invoke(app, [*asked, "--quantiles", "low"]).exception)


def test_widths_and_pit_are_those_of_the_forecasts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _frame().to_csv("sold.csv")
    text = SETTINGS.replace("PATH", "sold.csv").replace(", output: quantiles", "")
    text = text.replace("models: {linear: {}}\n", "").replace("seasonal_naive", "drift")
    run(parse_settings(text), "out", console=Console(file=io.StringIO()))
    table, widths = pd.read_csv("out/forecasts.csv"), pd.read_csv("out/interval_widths.csv")
    actual = table.loc[table["model"] == "actual", "sold"].to_numpy()
    assert widths[["model", "target", "level"]].to_numpy().tolist() == [
        ["persistence", "sold", 0.8],
        ["drift", "sold", 0.8],
    ]
    for row in widths.to_dict("records"):
        low, high = table.loc[table["model"] == row["model"], ["sold_q0.1", "sold_q0.9"]].to_numpy().T
        assert row["width"] == pytest.approx((high - low).mean())
        assert row["coverage"] == pytest.approx(((low <= actual) & (actual <= high)).mean())
    pit = pd.read_csv("out/pit.csv")
    assert pit["low"].tolist() == [0.0, 0.1, 0.5, 0.9] * 2
    assert pit.groupby("model")["count"].sum().tolist() == [len(actual)] * 2


def test_a_run_without_quantiles_keeps_nothing_of_one_with_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _frame().to_csv("sold.csv")
    text = """
data: {source: file, path: sold.csv, time: day}
window: {context_length: 7, horizon: 2}
forecast: {quantiles: [0.1, 0.9]}
"""
    quiet = {"console": Console(file=io.StringIO())}
    run(parse_settings(text), "out", **quiet)
    with_them = {path.name for path in (tmp_path / "out").iterdir()}
    assert "Intervals" in (tmp_path / "out" / "report.html").read_text()
    run(parse_settings(text.replace("forecast: {quantiles: [0.1, 0.9]}", "")), "out", overwrite=True, **quiet)
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert with_them - left == {"intervals.csv", "interval_widths.csv", "pit.csv", "reliability.csv"}
    assert "Intervals" not in (tmp_path / "out" / "report.html").read_text()


def test_a_report_without_a_table_of_intervals_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _frame().to_csv("sold.csv")
    text = SETTINGS.replace("PATH", "sold.csv").replace(", output: quantiles", "")
    text = text.replace("models: {linear: {}}\n", "")
    run(parse_settings(text), "out", console=Console(file=io.StringIO()))
    (tmp_path / "out" / "pit.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"holds a finished run, but pit\.csv is not there"):
        write_report("out")


def test_a_backtest_has_a_column_for_each_level():
    frame = _frame()
    forecaster = Forecaster("seasonal_naive", context_length=7, horizon=2, quantiles=[0.1, 0.9])
    table = backtest(forecaster, frame, origins=5)
    assert table.columns.tolist()[-3:] == ["forecast", "q0.1", "q0.9"]
    assert (table["q0.1"] <= table["q0.9"]).all()
    fitted = forecaster.clone().fit(frame[: table["origin"].min()])
    first = fitted.predict(frame[: table["origin"].min()])
    np.testing.assert_allclose(table["q0.1"][:2], first["sold_q0.1"])


def test_the_last_rows_change_no_adaptive_quantile_of_a_backtest():
    frame = _frame(300)
    noisy = frame.copy()
    noisy.iloc[-20:] += 100
    forecaster = Forecaster(
        "seasonal_naive", context_length=7, horizon=2, quantiles=[0.1, 0.9], calibration="adaptive"
    )
    made = [backtest(forecaster, table, origins=60) for table in (frame, noisy)]
    before = made[0]["origin"] < frame.index[-20]
    pd.testing.assert_frame_equal(*(table.loc[before].drop(columns="actual") for table in made))
    assert (made[0]["q0.9"] != made[1]["q0.9"]).any()


def test_a_search_by_the_loss_of_quantiles(eager, tmp_path):
    options = {"context_length": 7, "horizon": 2, "output": "quantiles"}
    space = {"learning_rate": {"values": [1e-6, 1e-2]}}
    found = search(
        "linear",
        _frame(),
        space=space,
        tuner="grid",
        max_trials=2,
        objective="val_wql",
        training={"epochs": 2},
        directory=tmp_path / "found",
        **options,
    )
    assert found.best_settings["learning_rate"] > 1e-6
    assert 0 < found.best_score < 0.5
    assert found.best_forecaster(refit=False).quantiles[0] == 0.1
    with pytest.raises(
        ValueError, match=r"objective='val_wql' scores quantiles, and the networks give points"
    ):
        search("linear", _frame(), space=space, objective="val_wql", context_length=7, horizon=2)
    options["output"] = "negative_binomial"
    with pytest.raises(ValueError, match=r"and the networks have quantiles that Keras can't compute"):
        search("linear", _frame().round(), space=space, objective="val_wql", **options)


@pytest.mark.parametrize("output", ["point", "normal"])
def test_the_best_of_a_search_keeps_its_calibration_when_it_is_fitted_again(output, eager, tmp_path):
    asked = {"quantiles": [0.1, 0.5, 0.9], "calibration": "conformal", "output": output}
    found = search(
        "linear",
        _frame(),
        space={"learning_rate": {"values": [1e-2]}},
        max_trials=1,
        objective="val_mae",
        training={"epochs": 2},
        directory=tmp_path / "found",
        context_length=7,
        horizon=2,
        **asked,
    )
    early, late = found.best_forecaster(refit=False), found.best_forecaster()
    assert (late.quantiles, late.calibration) == ((0.1, 0.5, 0.9), "conformal")
    np.testing.assert_array_equal(late.held_out_.scores, early.held_out_.scores)
    assert late.training_["end"] > early.training_["end"]
    table = late.predict(_frame())
    assert (table["sold_q0.1"] < table["sold_q0.9"]).all()
    assert len(late.predict(_frame(), samples=3)) == 6
    assert late.predict(_frame(), quantiles=[])["sold"].tolist() != early.predict(_frame())["sold"].tolist()
    late.save(tmp_path / "late")
    pd.testing.assert_frame_equal(Forecaster.load(tmp_path / "late").predict(_frame()), table)


def test_errors_stand_in_for_those_of_the_same_rows():
    made = {
        horizon: Forecaster("drift", context_length=7, horizon=horizon, quantiles=[0.5]).fit(_frame())
        for horizon in (1, 2)
    }
    with pytest.raises(
        ValueError, match=r"same targets and horizon. Received: targets=\['sold'\], horizon=2"
    ):
        made[1].with_errors_of(made[2])


def test_a_search_says_the_score_that_it_searched_by():
    described = {
        "settings": {"tune": {"model": "linear", "objective": "val_wql"}},
        "search": {"best_trial": 0, "seconds": 1.0, "note": None, "changed": {}},
    }
    results = pd.DataFrame({"trial": [0], "status": "finished", "score": [0.5]})
    scores = pd.DataFrame({"settings": ["default"], "target": "sold", "rmse": [3.0], "wql": [0.25]})
    assert "sold, WQL on test rows: default 0.25." in tuning_findings(described, results, scores)
    described["settings"]["tune"]["objective"] = "val_rmse"
    assert "sold, RMSE on test rows: default 3." in tuning_findings(described, results, scores)
