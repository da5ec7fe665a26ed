import json

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

from tfts import Forecaster
from tfts.attention import AttentionAnalysis, analyse_attention, fit_null, pictures, read_analysis

pytestmark = pytest.mark.usefixtures("eager")

TABLES = {
    "windows",
    "lags",
    "distances",
    "example_lags",
    "concentration",
    "top_lag_counts",
    "horizon_profile",
    "head_profiles",
    "head_distances",
    "checks",
    "faithfulness",
}


def frame(num_rows=190):
    hours = pd.date_range("2024-01-01", periods=num_rows, freq="h")
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(num_rows) * np.pi / 12)
    return pd.DataFrame(
        {"load": wave + 0.1 * rng.normal(size=num_rows), "sale": (np.arange(num_rows) % 48 < 12) * 1.0},
        index=hours,
    )


def fitted(model, **options):
    forecaster = Forecaster(
        model, context_length=29, horizon=5, targets="load", model_options={"units": 4, **options}
    )
    panel = forecaster.panel(frame())
    return forecaster.fit(panel, epochs=1, verbose=0), panel


@pytest.fixture(scope="module")
def decoder():
    forecaster, panel = fitted("attention_seq2seq", num_heads=2, feedforward_units=3)
    null = fit_null(forecaster, panel, epochs=1, verbose=0)
    analysis = analyse_attention(
        forecaster, panel, nulls={"shuffled_targets": null}, regimes=["sale"], max_windows=37
    )
    return forecaster, panel, analysis


@pytest.fixture(scope="module")
def folder(decoder, tmp_path_factory):
    path = tmp_path_factory.mktemp("analysis") / "attention_seq2seq"
    decoder[2].write(path)
    return path


def test_everything_is_about_the_same_windows(decoder):
    forecaster, panel, analysis = decoder
    assert isinstance(analysis, AttentionAnalysis)
    assert analysis.stack.shape == (37, 2, 5, 29)
    origins = forecaster.spec.origins(panel)
    assert analysis.windows["origin"].iloc[[0, -1]].tolist() == list(panel.times[origins[[0, -1]]])
    assert analysis.top_lag_counts.sum(axis=1).tolist() == [37] * 5
    assert analysis.query == "horizon"
    # A day fits the context of 29 hours, a week does not.
    assert analysis.seasonal_lags == (24,)
    assert "season_24" in analysis.horizon_profile
    assert analysis.checks["baseline"].unique().tolist() == ["uniform", "shuffled_targets"]
    assert list(analysis.regimes) == ["sale"]
    assert analysis.summary.lags["time"].iloc[24] == "24 hours"


def test_a_regime_is_where_the_column_is_not_zero_ahead(decoder):
    _, panel, analysis = decoder
    rows = panel.times.get_indexer(analysis.windows["origin"])
    inside = np.array([panel.values[row + 1 : row + 6, 1].any() for row in rows])
    entropy = analysis.concentration["entropy"].mean()
    table = analysis.regimes["sale"].set_index("measure")
    mean = table.loc["entropy", "inside"] * inside.mean() + table.loc["entropy", "outside"] * (
        1 - inside.mean()
    )
    assert mean == pytest.approx(entropy, rel=1e-4)


def test_the_folder_holds_tables_stack_sentences_and_pictures(decoder, folder):
    _, _, analysis = decoder
    found = read_analysis(folder)
    assert set(found) == {*TABLES, "regimes", "attention"}
    np.testing.assert_array_equal(np.load(folder / "stack.npy"), analysis.stack)
    np.testing.assert_allclose(found["lags"]["weight"], analysis.summary.lags["weight"])
    about = json.loads((folder / "attention.json").read_text())
    assert [claim["sentence"] for claim in about["claims"]] == [str(claim) for claim in analysis.claims]
    assert about["faithfulness"]["passed"] is bool(analysis.faithfulness.passed)
    pngs = {path.stem for path in folder.glob("*.png")}
    assert pngs == {"heatmap", "heads", "lag_importance", "entropy", "top_lags", "head_distances"}
    assert pyplot.get_fignums() == []


def test_pictures_say_in_words_what_they_show(folder):
    texts = {picture.name: picture.alt for picture in pictures(folder)}
    pyplot.close("all")
    assert texts["heatmap"] == (
        "Heat map of the attention of attention_seq2seq, mean of 37 windows: horizon step against lag."
    )
    assert "the 2 heads" in texts["head_distances"]


def test_self_attention_is_analysed_as_such(tmp_path):
    forecaster, panel = fitted("lstm_attention")
    analysis = analyse_attention(forecaster, panel, max_windows=13)
    assert analysis.query == "context"
    assert analysis.stack.shape == (13, 1, 29, 29)
    analysis.write(tmp_path / "lstm_attention")
    assert not (tmp_path / "lstm_attention" / "heads.png").exists()
    assert not analysis.regimes


def test_writing_again_replaces_the_folder(decoder, folder):
    (folder / "old.csv").write_text("a\n1\n")
    decoder[2].write(folder)
    assert "old" not in read_analysis(folder)


def test_wrong_requests_are_refused(decoder, tmp_path):
    forecaster, panel, _ = decoder
    with pytest.raises(KeyError, match=r"Unknown column 'sales'.*Did you mean 'sale'"):
        analyse_attention(forecaster, panel, regimes=["sales"])
    with pytest.raises(ValueError, match="At least 10 windows"):
        analyse_attention(forecaster, panel, forecaster.spec.origins(panel)[:7])
    with pytest.raises(ValueError, match=r"at most 29.*Received: seasonal_lags=\[30\]"):
        analyse_attention(forecaster, panel, seasonal_lags=[30])
    with pytest.raises(
        FileNotFoundError, match=r"holds no analysis of attention: attention\.json is not there"
    ):
        read_analysis(tmp_path)
