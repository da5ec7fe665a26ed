import io
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from tfts import load_dataset
from tfts._files import read_run
from tfts.config import parse_settings
from tfts.experiment import forecasting
from tfts.experiment.tables import load_frame, read_parts

TEXT = """
seed: 3
data:
  source: synthetic
  options: {num_steps: 400}
  targets: [x1, x2]
window: {context_length: 13, horizon: 5}
baselines:
  seasonal_naive: {}
models:
  attention_seq2seq: {units: 4, num_heads: 2, feedforward_units: 4}
  linear: {training: {epochs: 3}}
training: {epochs: 2}
"""


def run(output, *changes, **options):
    console = Console(width=120, record=True, file=io.StringIO())
    table = forecasting.run(parse_settings(TEXT, changes), output, console=console, **options)
    return table, console.export_text()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "first"
    return output, *run(output)


def test_every_file_is_there_and_none_is_half_written(finished):
    output, _, _ = finished
    assert sorted(path.name for path in output.iterdir()) == [
        "attention",
        "attention_heatmap_example0.png",
        "attention_stack.npy",
        "attention_windows.csv",
        "differences.csv",
        "forecast_example.png",
        "forecasts.parquet",
        "model_metrics.csv",
        "model_metrics.png",
        "models",
        "nulls",
        "report.html",
        "run.json",
        "step_metrics.csv",
        "step_metrics.png",
        "test_rows.parquet",
    ]
    assert sorted(path.name for path in (output / "models").iterdir()) == [
        "attention_seq2seq",
        "linear",
        "persistence",
        "seasonal_naive",
    ]


def test_metrics_are_ranked_with_the_oracle_and_skill_against_persistence(finished):
    output, table, _ = finished
    assert table["target"].tolist() == ["x1"] * 5 + ["x2"] * 5
    first = table[table["target"] == "x1"].set_index("model")
    assert first["rmse"].is_monotonic_increasing
    assert first.index[0] == "oracle"
    assert first.loc["persistence", "skill"] == 0
    expected = 1 - first.loc["linear", "rmse"] / first.loc["persistence", "rmse"]
    assert first.loc["linear", "skill"] == pytest.approx(expected)
    assert first.loc["linear", "parameters"] > 0
    written = pd.read_csv(output / "model_metrics.csv")
    np.testing.assert_allclose(written["rmse"], table["rmse"])


def test_best_is_marked_only_where_test_and_interval_hold(finished):
    output, table, printed = finished
    compared = pd.read_csv(output / "differences.csv")
    assert not compared[["first", "second"]].isin(["oracle"]).any(axis=None)
    # 56 windows in blocks of 5 rows; what is left over belongs to the last.
    assert (compared["blocks"].unique().tolist(), compared["over"].unique().tolist()) == ([11], ["windows"])
    scored = table.set_index(["target", "model"])
    for target, rows in compared.groupby("target"):
        lowest = rows["first"].iloc[0]
        own = scored.loc[target].drop("oracle")
        assert own.index[0] == lowest
        expected = own.loc[lowest, "rmse"] ** 2 - own.loc[rows["second"], "rmse"] ** 2
        np.testing.assert_allclose(rows["difference"], expected, rtol=1e-6)
        held = (rows["p_value"] < 0.05) & ((rows["low"] > 0) | (rows["high"] < 0))
        assert held.tolist() == rows["holds"].tolist()
        tied = rows.loc[~rows["holds"], "second"].tolist()
        marked = own.index[own["best"] == ("tied" if tied else "best")].tolist()
        assert sorted(marked) == sorted([lowest, *tied])
        assert scored.loc[(target, "oracle"), "best"] == ""
    assert " ".join(printed.split()).count("(5 %, 11 blocks of windows)") == 2
    assert " =" in printed or " *" in printed


def test_with_too_few_windows_nothing_is_marked(tmp_path):
    table, printed = run(tmp_path / "run", "models={}", "window.horizon=30")
    assert (table["best"] == "").all()
    # 31 windows of 30 rows each.
    printed = " ".join(printed.split())
    assert printed.count("There are too few test windows to tell whether") == 2
    assert printed.count("had luck (1 block of windows).") == 2


def test_scores_can_be_computed_again_from_the_forecasts(finished):
    output, table, _ = finished
    forecasts = pd.read_parquet(output / "forecasts.parquet")
    # 60 test rows, context carried over: 60 - 5 + 1 origins of 5 rows.
    assert forecasts.groupby("model").size().eq(56 * 5).all()
    actual = forecasts[forecasts["model"] == "actual"]["x2"].to_numpy()
    linear = forecasts[forecasts["model"] == "linear"]["x2"].to_numpy()
    row = table[(table["model"] == "linear") & (table["target"] == "x2")]
    assert np.sqrt(np.mean((actual - linear) ** 2)) == pytest.approx(row["rmse"].item(), rel=1e-5)


def test_attention_is_kept_with_its_windows(finished):
    output, _, _ = finished
    stack = np.load(output / "attention_stack.npy")
    assert stack.shape == (56, 2, 5, 13)
    assert len(pd.read_csv(output / "attention_windows.csv")) == 56
    described = json.loads((output / "run.json").read_text())
    assert described["attention"]["model"] == "attention_seq2seq"
    assert described["seed"] == 3
    assert {"settings", "versions", "git", "started", "finished", "seconds"} <= described.keys()


def test_run_json_describes_the_table_and_the_split(finished):
    output, _, _ = finished
    described = json.loads((output / "run.json").read_text())
    assert described["data"] == {
        "rows": 400,
        "columns": ["x1", "x2", "x3"],
        "targets": ["x1", "x2"],
        "known_future": [],
        "series": 1,
        "start": "2019-01-01 00:00:00",
        "end": "2019-01-17 15:00:00",
        "freq": "h",
        "timezone": None,
        "gaps": {column: {"missing": 0, "filled": 0} for column in ("x1", "x2", "x3")},
    }
    # 15 % of 400 rows each; training windows of 13 + 5 rows, the others borrow the context.
    assert described["split"] == {
        "training": {
            "rows": 280,
            "start": "2019-01-01 00:00:00",
            "end": "2019-01-12 15:00:00",
            "windows": 263,
        },
        "validation": {
            "rows": 60,
            "start": "2019-01-12 16:00:00",
            "end": "2019-01-15 03:00:00",
            "windows": 56,
        },
        "test": {"rows": 60, "start": "2019-01-15 04:00:00", "end": "2019-01-17 15:00:00", "windows": 56},
    }


def test_gaps_are_counted_by_column_without_the_known_future(tmp_path):
    changes = (
        "data={source: dataset, name: co2, missing: interpolate, limit: 2, calendar: [month]}",
        "models={}",
    )
    run(tmp_path / "run", *changes)
    described = json.loads((tmp_path / "run" / "run.json").read_text())
    frame = load_dataset("co2")
    assert described["data"]["rows"] == len(frame)
    missing = frame["co2"].isna()
    lengths = missing.groupby((missing != missing.shift()).cumsum()).transform("sum")
    assert described["data"]["gaps"]["co2"] == {
        "missing": 59,
        "filled": int((missing & (lengths <= 2)).sum()),
    }
    assert described["data"]["known_future"] == ["month"]
    windows = described["split"]["training"]["windows"]
    run(tmp_path / "other", *changes, "window.stride=3")
    strided = json.loads((tmp_path / "other" / "run.json").read_text())["split"]
    assert windows / 3 <= strided["training"]["windows"] <= windows / 3 + 1


def test_baselines_need_no_validation_windows(tmp_path):
    run(tmp_path / "run", "models={}", "split={validation: 0.04, test: 0.2, context: own}")
    split = json.loads((tmp_path / "run" / "run.json").read_text())["split"]
    assert (split["validation"]["rows"], split["validation"]["windows"]) == (16, 0)


def test_test_rows_are_those_that_windows_see_or_forecast(finished):
    output, _, _ = finished
    rows = pd.read_parquet(output / "test_rows.parquet")
    assert rows.columns.tolist() == ["series", "time", "x1", "x2"]
    assert len(rows) == 13 + 60
    forecasts = pd.read_parquet(output / "forecasts.parquet")
    actual = forecasts[forecasts["model"] == "actual"]
    merged = actual.merge(rows, on="time", suffixes=("", "_row"))
    assert len(merged) == 56 * 5
    np.testing.assert_array_equal(merged["x2"], merged["x2_row"])


def test_the_printed_table_names_the_models_and_the_folder(finished):
    _, _, printed = finished
    assert "attention_seq2seq" in printed
    assert "56 test windows" in printed
    assert "report.html" in printed
    assert "already fitted" not in printed


def test_a_second_start_keeps_what_is_fitted(finished):
    output, table, _ = finished
    again, printed = run(output)
    assert printed.count("already fitted") == 4
    pd.testing.assert_series_equal(again["rmse"], table["rmse"])


def rows_of_a_line(length, slope=0.5):
    """A table whose last value, repeated, is wrong by the slope at each step."""
    times = pd.date_range("2024-01-01", periods=length, freq="D", name="day")
    return pd.DataFrame({"sales": slope * np.arange(length)}, index=times)


FILE = """
data: {source: file, path: "%s", time: day}
window: {context_length: 7, horizon: 1}
split: {validation: "2024-03-11", test: "2024-03-31"}
baselines: {linear_regression: {}}
models: {linear: {training: {epochs: 1, jit_compile: false}}}
"""


@pytest.fixture
def undrawn(monkeypatch):
    """What a run draws and puts on its page is left out, which takes most of its time."""
    for name in ("_draw_forecasts", "_draw_scores", "write_forecasting_report"):
        monkeypatch.setattr(forecasting, name, lambda *_: None)


def run_file(output, path, **options):
    console = Console(width=200, record=True, file=io.StringIO())
    table = forecasting.run(parse_settings(FILE % path), output, console=console, **options)
    return table.set_index("model")["rmse"], console.export_text()


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("change", "said", "kept"),
    [
        # The first 70 days are the training rows, the next 20 validation, the others test rows.
        (
            lambda frame: frame.assign(sales=frame["sales"] + 100 * (frame.index < "2024-01-15")),
            "training",
            0,
        ),
        (lambda frame: frame.iloc[10:], "training", 0),
        (
            lambda frame: frame.assign(sales=frame["sales"].mask(frame.index == "2024-03-20", 7.0)),
            "validation",
            0,
        ),
        (lambda frame: frame.iloc[:-5], "test", 3),
        (lambda frame: frame.assign(sales=frame["sales"].mask(frame.index == "2024-04-05", 7.0)), "test", 3),
    ],
)
def test_what_was_fitted_on_rows_that_have_changed_is_fitted_again(tmp_path, change, said, kept):
    path, frame = tmp_path / "sales.csv", rows_of_a_line(101)
    frame.to_csv(path)
    _, printed = run_file(tmp_path / "run", path)
    assert "have changed" not in printed
    change(frame).to_csv(path)
    again, printed = run_file(tmp_path / "run", path)
    (told,) = [line for line in printed.splitlines() if "have changed since the last start" in line]
    assert said in told
    assert printed.count("already fitted") == kept
    fresh, _ = run_file(tmp_path / "fresh", path)
    pd.testing.assert_series_equal(again, fresh)
    _, printed = run_file(tmp_path / "run", path)
    assert "have changed" not in printed
    assert printed.count("already fitted") == 3


@pytest.mark.usefixtures("undrawn")
def test_rows_are_known_by_their_values_not_by_their_file(tmp_path):
    path, frame = tmp_path / "sales.csv", rows_of_a_line(101)
    frame.to_csv(path)
    run_file(tmp_path / "run", path)
    frame.sample(frac=1, random_state=1).to_csv(path, float_format="%.6f")
    _, printed = run_file(tmp_path / "run", path)
    assert printed.count("already fitted") == 3


@pytest.mark.usefixtures("undrawn")
def test_a_table_cut_by_half_leaves_no_test_row_among_the_training_rows(tmp_path):
    path = tmp_path / "sales.csv"
    changes = ["split.validation=0.2", "split.test=0.2", "models={}"]
    for length in (200, 100):
        rows_of_a_line(length).to_csv(path)
        settings = parse_settings(FILE % path, changes)
        forecasting.run(settings, tmp_path / "run", console=Console(file=io.StringIO()))
    rows = json.loads((tmp_path / "run" / "models" / "linear_regression" / "fitted_on.json").read_text())[
        "rows"
    ]
    described = json.loads((tmp_path / "run" / "run.json").read_text())
    assert rows == {part: described["rows"][part] for part in ("training", "validation")}
    assert described["split"]["training"]["rows"] == 60
    assert described["split"]["test"]["start"].startswith("2024-03-21")


@pytest.mark.usefixtures("undrawn")
def test_a_run_stopped_after_the_rows_changed_is_not_a_finished_one(tmp_path, monkeypatch):
    path = tmp_path / "sales.csv"
    rows_of_a_line(101).to_csv(path)
    run_file(tmp_path / "run", path)
    rows_of_a_line(101, slope=0.25).to_csv(path)

    def stopped(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(forecasting, "fit_methods", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_file(tmp_path / "run", path)
    assert "finished" not in json.loads((tmp_path / "run" / "run.json").read_text())
    assert not (tmp_path / "run" / "model_metrics.csv").exists()


def test_a_folder_of_another_version_is_refused_in_a_sentence(finished, tmp_path):
    output = tmp_path / "old"
    shutil.copytree(finished[0], output)
    described = json.loads((output / "run.json").read_text())
    del described["format"], described["rows"]
    (output / "run.json").write_text(json.dumps(described))
    sentence = r"run\.json was written by tfts 0\.1\.0 in form 1, but this one, tfts .*, reads form 2\. Give"
    with pytest.raises(ValueError, match=sentence + r".* or give --overwrite to replace it\.$"):
        run(output)
    with pytest.raises(ValueError, match=sentence + r" the same command with another --output\.$"):
        read_run(output)
    _, printed = run(output, "models={}", overwrite=True)
    assert "already fitted" not in printed


def test_a_run_with_other_settings_is_not_mixed_in(finished):
    output, _, _ = finished
    with pytest.raises(ValueError, match=r"other settings \(changed: training.epochs\).*--overwrite"):
        run(output, "training.epochs=1")


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty and holds no run"):
        run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_stopped_run_goes_on(tmp_path, monkeypatch):
    from tfts.predictors import NetworkPredictor

    fit = NetworkPredictor.fit

    def stopped(self, *args):
        if self.name == "linear":
            raise KeyboardInterrupt
        return fit(self, *args)

    monkeypatch.setattr(NetworkPredictor, "fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run")
    assert not (tmp_path / "run" / "model_metrics.csv").exists()
    monkeypatch.setattr(NetworkPredictor, "fit", fit)
    table, printed = run(tmp_path / "run", "report.forecasts=parquet")
    assert printed.count("already fitted") == 3
    assert "linear" in set(table["model"])


def test_overwrite_and_csv(finished, tmp_path):
    output = tmp_path / "run"
    run(output, "models={}", "data.options.num_steps=300")
    _, printed = run(output, "models={}", "report.forecasts=csv", overwrite=True)
    assert "already fitted" not in printed
    forecasts = pd.read_csv(output / "forecasts.csv")
    assert set(forecasts["model"]) == {"actual", "persistence", "seasonal_naive", "oracle"}
    assert not (output / "forecasts.parquet").exists()
    assert not (output / "attention_stack.npy").exists()
    assert not (output / "test_rows.parquet").exists()
    assert (output / "test_rows.csv").is_file()


def test_no_test_rows_is_an_error_that_leaves_nothing_behind(tmp_path):
    with pytest.raises(ValueError, match=r"split\.test must be above 0"):
        run(tmp_path / "run", "split.test=0")
    assert not (tmp_path / "run").exists()


def test_a_table_that_can_not_be_used_leads_to_the_settings(tmp_path):
    changes = ("data={source: dataset, name: co2}", "models={}")
    with pytest.raises(ValueError, match=r"59 missing values(.|\n)*--set data\.missing=drop"):
        run(tmp_path / "run", *changes)
    table, _ = run(tmp_path / "run", *changes, "data.missing=drop")
    assert set(table["target"]) == {"co2"}


def test_start_and_end_limit_the_rows():
    settings = parse_settings(TEXT, ["data.start=2019-01-02", "data.end=2019-01-03 05:00"])
    frame, _ = load_frame(settings)
    assert (frame.index.min(), frame.index.max()) == (
        pd.Timestamp("2019-01-02"),
        pd.Timestamp("2019-01-03 05:00"),
    )


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            ["data.start=2019-01-02T00:00:00+02:00"],
            ValueError,
            r"data\.start has the time zone .*have none\. Exp",
        ),
        (["data.start=2024-01-01"], ValueError, "No row is left from data.start=2024-01-01 to data.end=None"),
        (["data.columns=[x1, x9]"], KeyError, r"Unknown column of data\.columns 'x9'\. Expected one of: x1"),
        (["data.time=day", "data.start=2019-01-02"], KeyError, "Unknown time column 'day'"),
    ],
)
def test_rows_and_columns_that_are_not_there(changes, error, message):
    with pytest.raises(error, match=message):
        load_frame(parse_settings(TEXT, changes))


def test_a_time_without_a_zone_is_of_the_zone_of_the_table(tmp_path):
    # Stamps with their offset are read as UTC: the day before at 23:00 to 07:00.
    times = pd.date_range("2024-01-01", periods=9, freq="h", tz="Europe/Berlin", name="time")
    pd.DataFrame({"load": range(9)}, index=times).to_csv(tmp_path / "load.csv")
    text = "{data: {source: file, path: %s, time: time}, window: {context_length: 2, horizon: 1}}"
    for start, rows in (
        ("2024-01-01 05:00", 3),
        ("2024-01-01T05:00:00+01:00", 4),
        ("2024-01-01T05:00:00Z", 3),
    ):
        settings = parse_settings(text % (tmp_path / "load.csv"), [f"data.start='{start}'"])
        assert len(load_frame(settings)[0]) == rows


def test_a_regime_that_is_no_column_is_told_before_anything_is_fitted(tmp_path):
    with pytest.raises(KeyError, match=r"Unknown column of report\.regimes 'x4'"):
        run(tmp_path / "run", "report.regimes=[x4]")
    assert not (tmp_path / "run").exists()


def test_what_the_ridge_tried_and_chose_is_told(tmp_path):
    text = """
    data: {source: synthetic, options: {num_steps: 400}, targets: [x1, x2]}
    window: {context_length: 13, horizon: 5}
    baselines: {ridge: {lookbacks: [7, 13], centres: 1, alphas: [0.5, 2.0], weights: own, average: 1}}
    """
    console = Console(width=200, record=True, file=io.StringIO())
    forecasting.run(parse_settings(text), tmp_path / "run", console=console)
    tried = pd.read_csv(tmp_path / "run" / "ridge_search.csv")
    assert tried[["lookback", "alpha"]].value_counts().tolist() == [2] * 4
    assert sorted(tried["targets"].unique()) == ["x1", "x2"]
    (first, _) = json.loads((tmp_path / "run" / "run.json").read_text())["searched"]["ridge"]
    best = tried[tried["targets"] == "x1"].iloc[0]
    assert (first["targets"], first["lookback"], first["alpha"]) == (["x1"], best["lookback"], best["alpha"])
    assert first["validation_mse"] == pytest.approx(best["validation_mse"])
    said = f"ridge: of 8 settings, held-out rows take lookback {best['lookback']}, centre 1"
    assert said in console.export_text()
    assert "Settings of ridge" in (tmp_path / "run" / "report.html").read_text()


def test_each_part_of_a_short_table_holds_a_window(tmp_path):
    # 15 % of 72 months are 11, and a window forecasts 12.
    months = pd.date_range("2018-01-01", periods=72, freq="MS")
    pd.DataFrame({"time": months, "y": np.arange(72.0)}).to_csv(tmp_path / "months.csv", index=False)
    settings = parse_settings(
        f"data: {{source: file, path: {tmp_path / 'months.csv'}, time: time}}\n"
        "window: {context_length: 24, horizon: 12}\nbaselines: {drift: {}}\n"
    )
    parts = read_parts(settings)[3]
    assert [part.spans.tolist() for part in parts] == [[[0, 0, 48, 48]], [[0, 48, 60, 60]], [[0, 60, 72, 72]]]
