import io
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from rich.console import Console

from tests.report.reading import browser, check_page, open_in_browser, tables
from tfts.config import parse_settings
from tfts.experiment.forecasting import run
from tfts.report import write_report

TEXT = """
seed: 3
data:
  source: synthetic
  options: {num_steps: 400}
  targets: [x1, x2]
window: {context_length: 26, horizon: 5}
baselines:
  seasonal_naive: {}
models:
  attention_seq2seq: {units: 4, num_heads: 2, feedforward_units: 4}
  linear: {training: {epochs: 3, weight_decay: 1e-5}}
training: {epochs: 2}
"""
HOSTILE = '<script>alert("1")</script>'
FURTHER = {"R2": "r2", "MAPE %": "mape", "MASE": "mase", "bias": "bias", "fit s": "fit_seconds"}


def made(output, *changes, text=TEXT):
    return run(parse_settings(text, changes), output, console=Console(file=io.StringIO()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "first"
    made(output)
    yield output
    assert pyplot.get_fignums() == []


@pytest.fixture(scope="module")
def text(folder):
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_report_keeps_the_promises_of_a_page(text):
    reader = check_page(text)
    assert reader.texts("h1") == ["Forecasting run first"]
    assert reader.texts("h2") == [
        "In short",
        "Data",
        "Scores",
        "Differences between models",
        "Error by horizon step",
        "Example forecasts",
        "Training",
        "Attention of attention_seq2seq",
        "Run it again",
    ]
    # Scores, steps, three windows, losses; six of attention.
    assert len(reader.all("img")) == 12


def test_scores_are_those_of_model_metrics_to_the_last_digit(folder, text):
    scores = pd.read_csv(folder / "model_metrics.csv")
    for target in ("x1", "x2"):
        rows = scores[scores["target"] == target]
        shown = tables(text)[f"Test scores of {target}, lowest RMSE first, in the units of the table"]
        assert shown["model"].tolist() == rows["model"].tolist()
        for heading, column in {"RMSE": "rmse", "MAE": "mae", **FURTHER}.items():
            whole = pd.to_numeric(shown[heading], errors="coerce")
            np.testing.assert_array_equal(whole, rows[column], err_msg=heading)
        learnt = [text.replace(",", "") for text in shown["numbers learnt"]]
        assert learnt == ["-" if np.isnan(value) else f"{value:.0f}" for value in rows["parameters"]]
        rmse = rows.set_index("model")["rmse"]
        assert [c for c in shown if c.startswith("skill")] == [
            "skill vs persistence",
            "skill vs seasonal_naive",
        ]
        for baseline in ("persistence", "seasonal_naive"):
            np.testing.assert_array_equal(
                shown[f"skill vs {baseline}"].astype(float), 1 - rmse / rmse[baseline]
            )
        np.testing.assert_allclose(shown["skill vs persistence"].astype(float), rows["skill"])


def test_errors_by_step_are_those_of_step_metrics(folder, text):
    steps = pd.read_csv(folder / "step_metrics.csv")
    shown = tables(text)["RMSE of x1 by horizon step, each step"]
    assert shown["step"].tolist() == ["1", "2", "3", "4", "5"]
    for name, rows in steps[steps["target"] == "x1"].groupby("model"):
        np.testing.assert_array_equal(shown[name].astype(float), rows.sort_values("step")["rmse"])


def test_the_data_and_the_split_are_described(text):
    reader = check_page(text)
    facts = dict(zip(reader.texts("dt"), reader.texts("dd"), strict=True))
    assert facts["rows"] == "400"
    assert facts["span"] == "2019-01-01 to 2019-01-17 15:00"
    assert (facts["targets"], facts["further columns"], facts["frequency"]) == ("x1, x2", "x3", "h")
    assert "No value is missing." in reader.texts("p")
    split = tables(text)["The parts, in the order of time. A window is 26 rows seen and 5 rows forecast."]
    assert split.to_numpy().tolist() == [
        ["training", "280", "2019-01-01", "2019-01-12 15:00", "250"],
        ["validation", "60", "2019-01-12 16:00", "2019-01-15 03:00", "56"],
        ["test", "60", "2019-01-15 04:00", "2019-01-17 15:00", "56"],
    ]


def test_example_windows_are_the_smallest_the_median_and_the_largest_error(folder, text):
    best = (
        pd.read_csv(folder / "model_metrics.csv")
        .query("target == 'x1' and model != 'oracle'")["model"]
        .iloc[0]
    )
    forecasts = pd.read_parquet(folder / "forecasts.parquet")
    actual = forecasts[forecasts["model"] == "actual"].reset_index(drop=True)
    actual["error"] = (forecasts.loc[forecasts["model"] == best, "x1"].to_numpy() - actual["x1"]) ** 2
    errors = np.sqrt(actual.groupby("origin")["error"].mean()).sort_values()
    # Of 56 windows the 28th is the lower median.
    expected = [("smallest", 0), ("median", 27), ("largest", 55)]
    captions = [c for c in check_page(text).texts("figcaption") if c.startswith("origin")]
    assert captions == [
        f"origin {errors.index[at]:%Y-%m-%d %H:%M}: the {which} RMSE of {best}, {errors.iloc[at]:.4g}.".replace(
            " 00:00", ""
        )
        for which, at in expected
    ]


def test_the_settings_run_as_they_stand(folder, text):
    (yaml,) = check_page(text).texts("code")
    assert parse_settings(yaml) == parse_settings(TEXT)
    described = json.loads((folder / "run.json").read_text())
    facts = dict(zip(check_page(text).texts("dt"), check_page(text).texts("dd"), strict=True))
    assert facts["seed"] == "3"
    assert facts["keras"] == described["versions"]["keras"]
    assert facts["git commit"].startswith((described["git"] or {"commit": "none"})["commit"])


def test_training_tells_the_best_epoch_of_each_network(folder, text):
    shown = tables(text)["Training, in scaled units; the weights of the best epoch are kept"]
    assert shown["model"].tolist() == ["attention_seq2seq", "linear"]
    for name, row in shown.set_index("model").iterrows():
        history = json.loads((folder / "models" / name / "forecaster.json").read_text())["history"]
        assert int(row["epochs"]) == len(history["val_loss"])
        assert row["its loss"] == min(history["val_loss"])
        assert history["val_loss"][int(row["best epoch"]) - 1] == row["its loss"]


@pytest.mark.skipif(browser() is None, reason="needs Chromium")
def test_a_browser_shows_it_on_a_phone(folder, tmp_path):
    page = (folder / "report.html").read_text(encoding="utf-8")
    page = page.replace("style-src", "script-src 'nonce-7'; style-src")
    measure = """<script nonce="7">onload = () => { document.title = [document.documentElement.scrollWidth,
        innerWidth, [...document.images].every(i => i.naturalWidth > 0)].join(" ") }</script>"""
    (tmp_path / "page.html").write_text(page.replace("</body>", measure + "</body>"), encoding="utf-8")
    printed = open_in_browser(
        tmp_path / "page.html", tmp_path / "profile", "--dump-dom", "--window-size=390,900"
    )
    width, screen, complete = check_title(printed)
    assert int(width) <= int(screen)
    assert complete == "true"


def check_title(printed):
    title = printed.partition("<title>")[2].partition("</title>")[0].split()
    assert len(title) == 3, printed[:500]
    return title


# other runs


def test_names_from_the_file_become_no_markup_and_no_formula(tmp_path):
    hours = pd.date_range("2024-03-01", periods=120, freq="h", tz="Asia/Tokyo")
    rng = np.random.default_rng(7)
    parts = [
        pd.DataFrame(
            {"at": hours, "who": who, HOSTILE: rng.normal(size=120), "$\\frac{$": rng.normal(size=120)}
        )
        for who in ('"><img src=x onerror=alert(1)>', "b", "7")
    ]
    frame = pd.concat(parts)
    frame.iloc[5, 2] = np.nan
    frame.iloc[60:75, 2] = np.nan
    frame.to_parquet(tmp_path / "hostile.parquet", index=False)
    text = """
data: {source: file, time: at, series: who, missing: interpolate, path: %s}
window: {context_length: 7, horizon: 3}
models: {linear: {}}
training: {epochs: 2}
report: {forecasts: csv}
"""
    made(tmp_path / "<b>run", text=text % (tmp_path / "hostile.parquet"))
    # The report must not need the table again.
    (tmp_path / "hostile.parquet").unlink()
    before = (tmp_path / "<b>run" / "report.html").read_text()
    assert write_report(tmp_path / "<b>run") == tmp_path / "<b>run" / "report.html"
    assert (tmp_path / "<b>run" / "report.html").read_text() == before
    reader = check_page(before)
    assert "<script" not in before
    assert reader.texts("h1") == ["Forecasting run <b>run"]
    assert HOSTILE in " ".join(reader.texts("dd"))
    facts = dict(zip(reader.texts("dt"), reader.texts("dd"), strict=True))
    assert (facts["series"], facts["time zone"]) == ("3", "Asia/Tokyo")
    gaps = tables(before)["Missing values. Windows that touch one that is not filled are left out."]
    assert gaps.to_numpy().tolist() == [[HOSTILE, "16", "1"]]
    (caption,) = [c for c in reader.texts("figcaption") if "the largest RMSE" in c]
    assert caption.startswith("series ")
    assert " JST: the largest" in caption


def test_a_run_of_baselines_has_no_training_and_no_attention(tmp_path):
    made(tmp_path / "run", "models={}", "window.horizon=30", "window.context_length=3")
    text = (tmp_path / "run" / "report.html").read_text()
    headings = check_page(text).texts("h2")
    assert "Training" not in headings
    assert "Attention" not in headings
    steps = tables(text)["RMSE of x1 by horizon step, 24 of 30 steps; step_metrics.csv holds all"]
    assert (len(steps), steps["step"].iloc[0], steps["step"].iloc[-1]) == (24, "1", "30")
    assert write_report(str(tmp_path / "run")).name == "report.html"


def test_a_stopped_run_tells_what_is_fitted(tmp_path, monkeypatch):
    from tfts.predictors import NetworkPredictor

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(NetworkPredictor, "fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "run")
    reader = check_page(write_report(tmp_path / "run").read_text())
    assert reader.texts("h2") == ["Not finished", "Data", "Run it again"]
    facts = dict(zip(reader.texts("dt"), reader.texts("dd"), strict=True))
    assert facts["fitted"] == "persistence, seasonal_naive"
    assert facts["not fitted"] == "attention_seq2seq, linear"
    assert facts["rows"] == "400"
    assert "not finished" in reader.texts("p")[0]


def test_a_folder_without_a_run_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no run: run\.json is not there"):
        write_report(tmp_path)
    (tmp_path / "run.json").write_text('{"format": 2, "settings": {}, "versions": {}}')
    with pytest.raises(ValueError, match=r"run\.json does not hold data, split"):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    "name",
    [
        "model_metrics.csv",
        "differences.csv",
        "step_metrics.csv",
        "forecasts.parquet",
        "test_rows.parquet",
        "attention/attention_seq2seq/attention.json",
    ],
)
def test_a_file_that_is_gone_is_named(folder, tmp_path, name):
    shutil.copytree(folder, tmp_path / "run")
    (tmp_path / "run" / name).unlink()
    with pytest.raises(
        FileNotFoundError, match=f"finished run, but {name} is not there. Give the same `tfts run`"
    ):
        write_report(tmp_path / "run")


def test_without_a_window_observed_whole_there_is_no_example(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "run")
    path = tmp_path / "run" / "forecasts.parquet"
    forecasts = pd.read_parquet(path)
    lost = (forecasts["model"] == "actual") & (forecasts.index % 5 == 2)
    forecasts.assign(x1=forecasts["x1"].where(~lost)).to_parquet(path)
    reader = check_page(write_report(tmp_path / "run").read_text())
    assert "No test window was observed whole, so there is none to show." in reader.texts("p")
    assert len(reader.all("img")) == 9


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        (
            {"linear": 1.5, "drift": 2.0, "persistence": 4.0},
            "load: linear has the smallest RMSE, 1.5, 25.0% below the best baseline, drift (2).",
        ),
        (
            {"drift": 2.0, "linear": 2.5, "persistence": 4.0, "oracle": 0.5},
            "load: drift has the smallest RMSE, 2; it is a baseline, and the best network, linear, has 2.5; the "
            "oracle, which knows how the data were made, has 0.5.",
        ),
        ({"persistence": 4.0}, "load: persistence has the smallest RMSE, 4."),
        (
            {"persistence": np.nan, "linear": np.nan},
            "load: no method has a score, because no test row was observed.",
        ),
    ],
)
def test_findings_say_what_the_scores_say(folder, tmp_path, scores, sentence):
    shutil.copytree(folder, tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    described = json.loads(path.read_text())
    described["settings"]["baselines"] = {"drift": {}}
    path.write_text(json.dumps(described))
    table = pd.read_csv(folder / "model_metrics.csv").iloc[: len(scores)]
    table = table.assign(model=list(scores), rmse=list(scores.values()), target="load")
    from tfts.report.forecasting import _findings

    compared = pd.read_csv(folder / "differences.csv").assign(target="load", first="linear", second="drift")
    assert _findings(table, described["settings"], described, compared.iloc[:0])[0] == sentence
    said = _findings(table, described["settings"], described, compared.iloc[:1].assign(holds=False))[1]
    assert ("may be chance: its difference to drift does not hold" in said) == table["rmse"].notna().any()


def test_differences_are_those_of_the_file_with_a_sentence(folder, text):
    compared = pd.read_csv(folder / "differences.csv")
    assert sorted(compared["target"].unique()) == ["x1", "x2"]
    for target, rows in compared.groupby("target"):
        shown = tables(text)[f"Mean squared error of {target}: the lowest less each other one"]
        assert shown["other"].tolist() == rows["second"].tolist()
        np.testing.assert_array_equal(shown["difference"].astype(float), rows["difference"])
        assert shown["holds"].tolist() == ["yes" if holds else "no" for holds in rows["holds"]]
        assert any(p.startswith(f"{target}: ") for p in check_page(text).texts("p"))
