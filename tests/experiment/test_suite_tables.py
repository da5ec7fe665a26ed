import io

import numpy as np
import pytest
from rich.console import Console

from tfts.config import BenchmarkSettings, parse_settings
from tfts.experiment.suite_tables import differences, print_suite, runs_table, summary

TEXT = """
data: {source: dataset, name: sunspots}
protocol: {context_length: 13, horizons: [7, 11], metrics: [rmse, mae]}
baselines: {drift: {}, ridge: {}, tuned: {model: ridge}}
models: {linear: {}, other: {model: lstm_attention}}
published:
  - {model: SegRNN, source: "a table", lookback: 720, rmse: [0.25, null], mae: [null, null]}
  - {model: gone, source: "no number", rmse: [null, 1.5]}
"""
SETTINGS = parse_settings(TEXT, kind=BenchmarkSettings)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Runs of horizon 7: what each scores, and losses in which linear and tuned can't be told apart."""
    folder = tmp_path_factory.mktemp("losses")
    random = np.random.default_rng(0)
    hard, done = random.uniform(1, 2, size=301), {}
    for label, seed, level in (
        *(("drift", 0, 9.0), ("tuned", 0, 1.0), ("linear", 0, 1.25), ("linear", 1, 0.5), ("linear", 2, 1.5)),
        ("other", 0, 5.0),
    ):
        key = f"7-{label}-{seed}"
        done[key] = {
            "horizon": 7,
            "label": label,
            "model": label,
            "seed": seed,
            "status": "finished",
            "scores": {"rmse": level, "mae": level / 2},
            "validation": {"linear": 0.1}.get(label, 0.2),
            "windows": 301,
            "context_length": 13,
            "found": [{"lookback": 9}, {"lookback": 4}] if label == "tuned" else None,
            "fit_seconds": 1.0 + seed,
            "parameters": 17,
        }
        losses = hard + (random.normal(scale=0.1, size=301) if level < 2 else level)
        np.savez(folder / f"{key}.npz", mse=losses.astype(np.float32))
    gap = dict(np.load(folder / "7-drift-0.npz"))
    gap["mse"][5] = np.nan
    np.savez(folder / "7-drift-0.npz", **gap)
    done["11-drift-0"] = {"horizon": 11, "label": "drift", "seed": 0, "status": "over budget", "seconds": 3.0}
    return done, folder


def check_tables(settings, done, folder):
    runs, compared = runs_table(settings, done), differences(settings, done, folder)
    return runs, compared, summary(settings, runs, compared)


def test_median_and_spread_over_seeds_in_families_with_what_is_published(made):
    runs, _, table = check_tables(SETTINGS, *made)
    assert len(runs) == 7
    assert runs.loc[runs["status"] == "over budget", "rmse"].isna().all()
    # Horizon 11 has no finished run, so nothing stands beside its published number.
    assert table["horizon"].unique().tolist() == [7]
    assert table[["family", "model"]].to_numpy().tolist() == [
        ["linear maps", "tuned"],
        ["linear maps", "linear"],
        ["recurrent networks", "other"],
        ["simple methods", "drift"],
        ["published", "SegRNN"],
    ]
    linear = table.set_index("model").loc["linear"]
    assert (linear["rmse"], linear["rmse_spread"], linear["mae"], linear["seeds"]) == (1.25, 1.0, 0.625, 3)
    assert linear["fit_seconds"] == 2
    assert table.set_index("model").loc["tuned", "lookback"] == "9, 4"
    published = table.set_index("model").loc["SegRNN"]
    assert (published["rmse"], published["source"], published["lookback"]) == (0.25, "a table", "720")
    assert np.isnan(published["mae"])


def test_best_is_said_only_where_it_holds_against_every_other(made):
    done, folder = made
    _, compared, table = check_tables(SETTINGS, done, folder)
    marks = table.set_index("model")["best"]
    assert marks[["tuned", "linear", "other", "drift"]].tolist() == ["tied", "tied", "", ""]
    assert compared["metric"].unique().tolist() == ["mse"]
    # 300 windows without the gap: 41 blocks of 7 and one of 13 tell as much as 300^2 / (41 * 49 + 169).
    assert compared["blocks"].unique().tolist() == [41]
    alone = {key: record for key, record in done.items() if record["label"] != "linear"}
    _, _, table = check_tables(SETTINGS, alone, folder)
    assert table.set_index("model")["best"][["tuned", "other", "drift"]].tolist() == ["best", "", ""]


def test_what_is_printed_below_a_table(made):
    done, folder = made
    _, compared, table = check_tables(SETTINGS, done, folder)
    console = Console(width=40, record=True, file=io.StringIO())
    print_suite(SETTINGS, table, compared, console)
    text = console.export_text()
    assert "1.2500 ±0.5000" in text
    assert "SegRNN [1]" in text
    assert "[1] a table" in text
    assert "Chosen on validation rows: linear, RMSE 1.2500." in " ".join(text.split())
    assert "5 %, 41 blocks of windows" in " ".join(text.split())
    assert console.width == 40
