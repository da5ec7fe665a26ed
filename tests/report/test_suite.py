import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

from tests.report.reading import check_page, tables
from tfts._files import write_json, write_table
from tfts.config import BenchmarkSettings, parse_settings
from tfts.experiment.suite_tables import differences, runs_table, summary
from tfts.report import write_report

TEXT = """
data: {source: dataset, name: sunspots}
protocol: {context_length: 13, horizons: [7, 11], metrics: [mse, mae]}
seeds: [0, 1]
baselines: {ridge: {}, persistence: {}}
models: {segment_rnn: {}, deep: {model: tcn}}
published:
  - {model: SegRNN, source: "a <b>table", lookback: 720, mse: [0.25, null]}
  - {model: DLinear, source: "a paper", mse: [0.5, 1.5], mae: [0.75, null]}
"""
SETTINGS = parse_settings(TEXT, kind=BenchmarkSettings)
# Horizon, label, seed, score. At horizon 7 the ridge and the network can't be told apart.
RUNS = (
    *((7, "ridge", 0, 1.02), (7, "persistence", 0, 4.0), (7, "deep", 0, 3.0)),
    *((7, "segment_rnn", 0, 1.01), (7, "segment_rnn", 1, 0.99)),
    *((11, "ridge", 0, 1.0), (11, "persistence", 0, 4.0)),
)


def record(horizon, label, seed, level):
    network = label in SETTINGS.models
    return {
        "horizon": horizon,
        "label": label,
        "model": label,
        "seed": seed,
        "status": "finished",
        "finished": "2024-03-01T07:05:00+00:00",
        "scores": {"mse": level, "mae": level / 2},
        "validation": 0.25 if label == "segment_rnn" else 0.5,
        "windows": 301,
        "context_length": 13,
        "fit_seconds": 2.0 + seed,
        "predict_seconds": 0.5,
        "seconds": 3.5,
        "cpu_seconds": 3.0,
        "parameters": 17,
        "memory_mb": 101.5,
        "cores": 2,
        "device": "x86_64 CPU",
        "backend": "tensorflow" if network else None,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suites") / "first"
    (folder / "losses").mkdir(parents=True)
    random, done = np.random.default_rng(3), {}
    hard = random.uniform(1, 2, size=301)
    for number, run in enumerate(RUNS):
        done[str(number)] = record(*run)
        losses = hard * run[3] + random.normal(scale=0.2, size=301)
        places = {"origin": np.arange(301), "series": np.zeros(301, dtype=int)}
        np.savez(folder / "losses" / f"{number}.npz", mse=losses, **places)
    done["late"] = {"horizon": 11, "label": "segment_rnn", "seed": 0, "status": "over budget"}
    runs, compared = runs_table(SETTINGS, done), differences(SETTINGS, done, folder / "losses")
    written = {"runs": runs, "differences": compared, "summary": summary(SETTINGS, runs, compared)}
    for name, table in written.items():
        write_table(table, folder / f"{name}.csv")
    described = {"format": 2, "settings": SETTINGS.model_dump(mode="json"), "versions": {"tfts": "0.1.0"}}
    write_json(described, folder / "suite.json")
    assert write_report(folder) == folder / "report.html"
    yield folder
    assert pyplot.get_fignums() == []


@pytest.fixture(scope="module")
def text(folder):
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_page_has_a_section_and_a_picture_for_each_horizon(folder, text):
    reader = check_page(text)
    assert reader.texts("h1") == ["Suite first"]
    assert reader.texts("h2") == [
        "In short",
        "Protocol",
        "All horizons",
        "Horizon 7",
        "Horizon 11",
        "What the numbers do not say",
        "Run it again",
    ]
    assert len(reader.all("img")) == 3
    assert sorted(path.name for path in folder.glob("*.png")) == ["cost_11.png", "cost_7.png", "horizons.png"]
    facts = dict(zip(reader.texts("dt"), reader.texts("dd"), strict=True))
    assert facts["test windows"] == "301 of horizon 7, 301 of horizon 11"
    assert facts["run on"] == "x86_64 CPU, 2 cores (no network, tensorflow)"
    (yaml,) = reader.texts("code")
    assert parse_settings(yaml, kind=BenchmarkSettings) == SETTINGS


def test_findings_tell_what_was_chosen_what_is_published_and_what_may_be_chance(text):
    said = check_page(text).texts("li")
    chosen = "Horizon 7: MSE 1 of segment_rnn, chosen on validation rows"
    assert f"{chosen}; lowest published 0.25 (SegRNN; a <b>table)." in said
    (chance,) = (sentence for sentence in said if sentence.startswith("Horizon 7: That"))
    assert chance.endswith("does not hold (5 %, 43 blocks of windows).")
    better = "Horizon 11: ridge is better than persistence: the difference holds (5 %, 27 blocks of windows)."
    assert better in said
    assert "segment_rnn, horizon 11, seed 0: over budget." in said


def test_families_stand_apart_with_the_numbers_of_the_files(folder, text):
    found = tables(text)
    families = [caption.partition(",")[0] for caption in found if "test rows of horizon 7" in caption]
    assert sorted(families) == ["Linear maps", "Other networks", "Recurrent networks", "Simple methods"]
    shown = found["Recurrent networks, test rows of horizon 7, standardised units"].iloc[0]
    assert shown[["model", "best", "chosen", "seeds"]].tolist() == ["segment_rnn", "tied", "yes", "2"]
    table = pd.read_csv(folder / "summary.csv")
    row = table[(table["model"] == "segment_rnn") & (table["horizon"] == 7)].iloc[0]
    headings = {"MSE": "mse", "MSE spread": "mse_spread", "fit s": "fit_seconds", "MB": "memory_mb"}
    for heading, column in headings.items():
        assert float(shown[heading]) == row[column]
    published = found["Published scores of horizon 7: not measured here"]
    assert published["source"].tolist() == ["a <b>table", "a paper"]
    over = found["Median MSE of the test rows by horizon, standardised units"].set_index("model")
    assert over.loc["ridge", ["7", "11"]].astype(float).tolist() == [1.02, 1]
    assert "<b>" not in text


def test_a_folder_without_a_table_or_a_finished_run_is_named(folder, tmp_path):
    for name in ("suite.json", "runs.csv", "summary.csv"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(FileNotFoundError, match=r"differences\.csv is not there.*`tfts benchmark` again"):
        write_report(tmp_path)
    (tmp_path / "differences.csv").write_bytes((folder / "differences.csv").read_bytes())
    write_table(pd.read_csv(folder / "runs.csv").assign(status="over budget"), tmp_path / "runs.csv")
    with pytest.raises(ValueError, match=r"No run of the suite in .* is finished"):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()
