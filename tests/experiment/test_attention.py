import io
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from tfts.attention import read_analysis
from tfts.config import parse_settings
from tfts.experiment import attention, forecasting
from tfts.experiment.fitting import recipe
from tfts.experiment.tables import digests, load_frame, read_parts

TEXT = """
data:
  source: synthetic
  options: {num_steps: 400}
  targets: [x1]
window: {context_length: 13, horizon: 5}
models:
  lstm_attention: {units: 3}
  attention_seq2seq: {units: 4, num_heads: 2, feedforward_units: 4}
  linear: {}
training: {epochs: 1}
report: {seasonal_lags: [7], attention_windows: 23}
"""


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "first"
    forecasting.run(parse_settings(TEXT), output, console=Console(file=io.StringIO()))
    return output


def test_every_model_with_attention_is_analysed(run_dir):
    assert sorted(path.name for path in (run_dir / "attention").iterdir()) == [
        "attention_seq2seq",
        "lstm_attention",
    ]
    found = read_analysis(run_dir / "attention" / "lstm_attention")
    assert found["attention"]["query"] == "context"
    assert found["attention"]["shape"] == [23, 1, 13, 13]
    assert found["attention"]["seasonal_lags"] == [7]
    assert found["checks"]["baseline"].unique().tolist() == ["uniform", "shuffled_targets"]
    described = json.loads((run_dir / "run.json").read_text())["attention"]
    assert described["analysed"] == ["lstm_attention", "attention_seq2seq"]
    stack = np.load(run_dir / "attention" / "attention_seq2seq" / "stack.npy")
    np.testing.assert_array_equal(np.load(run_dir / "attention_stack.npy"), stack)


def test_the_test_rows_are_analysed_again_with_the_same_answer(run_dir, tmp_path):
    analysis, output = attention.analyse_run(run_dir, "attention_seq2seq", output=tmp_path / "again")
    assert output == tmp_path / "again"
    before, after = read_analysis(run_dir / "attention" / "attention_seq2seq"), read_analysis(output)
    assert before["attention"]["faithfulness"]["passed"] == after["attention"]["faithfulness"]["passed"]
    pd.testing.assert_frame_equal(before["checks"], after["checks"], rtol=1e-4, atol=1e-6)
    pd.testing.assert_frame_equal(before["windows"], after["windows"])
    assert len(analysis.windows) == 23


def test_new_rows_are_analysed_beside_the_run(run_dir, tmp_path):
    settings = parse_settings(TEXT, ["seed=5"])
    load_frame(settings)[0].to_csv(tmp_path / "march.csv", index_label="time")
    analysis, output = attention.analyse_run(run_dir, "attention_seq2seq", tmp_path / "march.csv")
    assert output == run_dir / "attention" / "attention_seq2seq-march"
    assert (output / "heatmap.png").is_file()
    assert analysis.windows["origin"].iloc[0] == pd.Timestamp("2019-01-01 12:00")


def test_a_model_that_has_no_attention_or_is_not_there_is_refused(run_dir):
    with pytest.raises(ValueError, match=r"Models with attention: attention_seq2seq, inverted"):
        attention.analyse_run(run_dir, "linear")
    with pytest.raises(ValueError, match=r"Unknown model of the run 'lstm'.*lstm_attention"):
        attention.analyse_run(run_dir, "lstm")


def test_nulls_of_an_earlier_start_are_kept_if_they_are_of_the_same_rows(run_dir, tmp_path):
    settings = parse_settings(TEXT)
    console = Console(file=io.StringIO())
    parts = read_parts(settings)[3]
    forecaster = attention.load_model(run_dir, "lstm_attention")
    folder = tmp_path / "nulls"
    shutil.copytree(run_dir / "nulls" / "lstm_attention", folder)
    at = folder / "shuffled_targets" / "forecaster.json"
    before = at.read_text()
    made_of = recipe("lstm_attention", settings, digests(parts))
    assert list(attention.fit_nulls(forecaster, None, settings, made_of, folder, console)) == [
        "shuffled_targets"
    ]
    assert at.read_text() == before
    made_of["rows"]["training"] = "of other rows"
    attention.fit_nulls(forecaster, parts, settings, made_of, folder, console)
    assert at.read_text() != before


def test_test_rows_that_the_model_may_have_learnt_from_are_refused(run_dir, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run_dir, folder)
    described = json.loads((folder / "run.json").read_text())
    described["settings"]["data"]["end"] = "2019-01-14"
    (folder / "run.json").write_text(json.dumps(described))
    with pytest.raises(ValueError, match=r"changed: training, validation, test rows\).*may be rows that the"):
        attention.analyse_run(folder, "attention_seq2seq")


def test_attention_over_one_column_alone_is_left_out(tmp_path):
    text = """
    data: {source: dataset, name: sunspots}
    window: {context_length: 11, horizon: 3}
    models:
      inverted_transformer: {units: 4, num_heads: 2, feedforward_units: 5, num_layers: 1}
    training: {epochs: 1}
    """
    forecasting.run(parse_settings(text), tmp_path / "run", console=Console(file=io.StringIO()))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["attention"] is None
    with pytest.raises(ValueError, match=r"two columns or more to choose from\. Received: 'sunspots' alone"):
        attention.analyse_run(tmp_path / "run", "inverted_transformer")
