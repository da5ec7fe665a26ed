"""Attention of targets over columns: what looks, and what is looked at, are named."""

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

from tests.attention.stacks import random, uniform
from tfts import Forecaster
from tfts.attention import (
    Faithfulness,
    analyse_attention,
    baseline_check,
    checks,
    concentration,
    describe,
    fit_null,
    head_profiles,
    horizon_profile,
    read_analysis,
    regime_comparison,
    summarize,
    top_lag_counts,
    variables_of,
    window_measures,
)

pytestmark = pytest.mark.usefixtures("eager")

NAMES = ("load", "price", "heat", "sale", "hour")
OVER = {"query": "variable", "variables": NAMES}
EVERY = [summarize, concentration, top_lag_counts, horizon_profile, head_profiles, window_measures]


def on_columns(columns, num_windows=3, num_heads=2):
    """All weight of each target on one column."""
    stack = np.zeros((num_windows, num_heads, len(columns), len(NAMES)), np.float32)
    for at, column in enumerate(columns):
        stack[:, :, at, NAMES.index(column)] = 1
    return stack


STACK = on_columns(["heat", "sale"])


def test_the_summary_names_the_columns_in_their_order():
    found = summarize(0.75 * STACK + 0.25 * on_columns(["load", "load"]), top_k=2, **OVER)
    assert found.lags.to_dict("list") == {"variable": list(NAMES), "weight": [0.25, 0, 0.375, 0.375, 0]}
    assert found.top["variable"].tolist() == ["heat", "sale"]
    assert found.examples.columns.tolist() == ["window", "rank", "variable", "weight"]
    assert found.distances is None


def test_targets_are_the_first_columns():
    each = concentration((STACK + on_columns(["load", "load"])) / 2, **OVER)
    assert each["target"].tolist() == ["load", "price"] * 2
    np.testing.assert_allclose(each["effective_variables"], 2, rtol=1e-5)
    counts = top_lag_counts(STACK, **OVER)
    assert counts.loc["load"].to_dict() == {**dict.fromkeys(NAMES, 0), "heat": 3}
    assert counts.loc["price", "sale"] == 3
    profile = horizon_profile(STACK, **OVER)
    assert profile["top_variable"].tolist() == ["heat", "sale"]
    assert profile["on_heat"].tolist() == [1, 0]
    assert profile["uniform"].tolist() == [0.2, 0.2]


def test_heads_and_windows_have_shares_and_no_lags():
    two = np.concatenate([on_columns(["heat"], num_heads=1), on_columns(["sale"], num_heads=1)], axis=1)
    heads = head_profiles(two, **OVER)
    assert heads.profiles["top_variable"].tolist() == ["heat", "sale"]
    assert heads.distances[0, 1] == pytest.approx(1)
    each = window_measures(two, **OVER)
    assert each.columns.tolist() == ["entropy", "head_divergence", *(f"on_{name}" for name in NAMES)]
    assert each["head_divergence"].tolist() == pytest.approx([1, 1, 1])
    assert each[["on_heat", "on_sale"]].to_numpy().tolist() == [[0.5, 0.5]] * 3


@pytest.mark.parametrize("measure", EVERY)
def test_every_column_must_be_named_and_only_columns(measure):
    for options in ({"query": "variable"}, {"variables": NAMES}, {**OVER, "variables": NAMES[:4]}):
        with pytest.raises(
            ValueError, match=r"`variables` must name every column that is looked at.*\(3, 2, 2, 5\)"
        ):
            measure(STACK, **options)


def test_columns_have_no_lags():
    with pytest.raises(ValueError, match=r"Columns have no lags.*seasonal_lags=\[7\]"):
        window_measures(STACK, seasonal_lags=[7], **OVER)


# Sentences


def masking(passed=True):
    table = pd.DataFrame(
        {"masked": ["most attended", "random", "least attended"], "columns": 1, "change": [0.6, 0.2, 0.1]}
    )
    interval = {"difference": 0.4, "low": 0.3, "high": 0.5}
    return Faithfulness(table, interval, interval, passed)


def noisy(stack, share=0.2):
    return (1 - share) * stack + share * random(0, stack.shape)


def test_the_columns_that_stand_out_are_named_with_their_figures():
    stack = noisy(on_columns(["heat", "heat"], 40))
    claims = describe(stack, faithful=masking(), **OVER)
    assert [claim.kind for claim in claims] == ["variable"]
    share = 100 * stack[..., 2].mean()
    sentence = str(claims[0])
    assert sentence.startswith(
        f"It looks at the column heat: {share:.3g} % of the weight (uniform attention 20 %;"
    )
    assert "Masking the most attended column changes the forecast by 0.6" in sentence
    assert claims[0].figures["on_heat"] == pytest.approx(share / 100)


def test_uniform_attention_over_columns_says_nothing():
    even = np.full((40, 2, 2, 5), 0.2, np.float32)
    assert [claim.kind for claim in describe(even, faithful=masking(), **OVER)] == ["none"]
    claims = describe(noisy(on_columns(["heat"], 40)), faithful=masking(passed=False), **OVER)
    assert "masking the most attended columns does no more" in str(claims[0])


def test_of_two_columns_one_can_stand_out():
    # Twice a half is more than there is: half of the way from a half to 1 is asked for.
    stack = np.zeros((40, 1, 1, 2), np.float32)
    stack[..., 0], stack[..., 1] = 0.8, 0.2
    names = {"query": "variable", "variables": ("load", "heat")}
    assert describe(stack, **names)[0].kind == "variable"
    stack[..., 0], stack[..., 1] = 0.7, 0.3
    assert describe(stack, **names)[0].kind == "none"


def test_a_regime_that_changes_what_is_looked_at_is_said():
    stack = noisy(np.concatenate([on_columns(["heat"], 20), on_columns(["sale"], 20)]))
    table = regime_comparison(stack, np.arange(40) >= 20, block_length=1, **OVER)
    said = [str(c) for c in describe(stack, regimes={"promotion": table}, **OVER) if c.kind == "regime"]
    assert len(said) == 1
    assert said[0].startswith("Within promotion the weight on the column ")


def test_baselines_are_compared_column_by_column():
    table = baseline_check(noisy(on_columns(["heat"], 40)), **OVER).set_index("measure")
    assert table.loc["on_heat", "baseline_value"] == pytest.approx(0.2)
    assert table.loc["on_heat", "differs"]
    with pytest.raises(ValueError, match="`variables` must name every column"):
        baseline_check(uniform(), query="variable")


# A fitted model


def frame(num_rows=120):
    hours = pd.date_range("2024-01-01", periods=num_rows, freq="h")
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(num_rows) * np.pi / 12)
    noise = rng.normal(size=(num_rows, 3))
    columns = {"load": wave + 0.1 * noise[:, 0], "price": wave + noise[:, 1], "heat": noise[:, 2]}
    return pd.DataFrame({**columns, "sale": (np.arange(num_rows) % 48 < 12) * 1.0}, index=hours)


@pytest.fixture(scope="module")
def fitted():
    forecaster = Forecaster(
        "inverted_transformer",
        context_length=11,
        horizon=3,
        targets=["load", "price"],
        known_future=["sale"],
        model_options={"units": 4, "num_heads": 2, "feedforward_units": 5, "num_layers": 1},
    )
    panel = forecaster.panel(frame())
    return forecaster.fit(panel, epochs=1, verbose=0), panel


@pytest.fixture(scope="module")
def analysis(fitted):
    forecaster, panel = fitted
    nulls = {"shuffled_targets": fit_null(forecaster, panel, epochs=1, verbose=0)}
    return analyse_attention(
        forecaster, panel, nulls=nulls, regimes=["sale"], seasonal_lags=[7], max_windows=37
    )


def test_a_model_over_variables_is_analysed_by_column(fitted, analysis):
    assert analysis.query == "variable"
    assert analysis.variables == variables_of(*fitted) == ("load", "price", "heat", "sale")
    assert analysis.stack.shape == (37, 2, 2, 4)
    assert analysis.seasonal_lags == ()
    assert analysis.top_lag_counts.index.tolist() == ["load", "price"]
    assert analysis.checks["baseline"].unique().tolist() == ["uniform", "shuffled_targets"]
    assert analysis.faithfulness.table["columns"].tolist() == [1, 1, 1]
    assert (analysis.faithfulness.table["change"] > 0).all()
    assert analysis.claims


def test_the_folder_holds_columns_where_others_have_lags(analysis, tmp_path):
    analysis.write(tmp_path / "found")
    found = read_analysis(tmp_path / "found")
    assert found["variables"]["variable"].tolist() == ["load", "price", "heat", "sale"]
    assert {"example_variables", "top_variable_counts", "target_profile", "regimes"} < set(found)
    assert not {"lags", "distances", "horizon_profile", "top_lag_counts"} & set(found)
    about = json.loads((tmp_path / "found" / "attention.json").read_text())
    assert about["variables"] == ["load", "price", "heat", "sale"]
    pngs = {path.stem for path in (tmp_path / "found").glob("*.png")}
    assert pngs == {"heatmap", "heads", "variable_importance", "head_distances"}
    assert pyplot.get_fignums() == []


def test_the_report_speaks_of_columns(analysis, tmp_path):
    from tfts.report import Page
    from tfts.report.attention import attention_section

    analysis.write(tmp_path / "attention" / "inverted_transformer")
    page = Page("Run")
    attention_section(page, tmp_path, {"attention": {"analysed": ["inverted_transformer"]}})
    text = page.html()
    assert "over the 4 columns of the table, for each target (2) and head (2) anew" in text
    assert "The most attended columns: share of the weight, mean over heads and targets" in text
    assert "masking the most attended columns changes the forecast" in text
    assert "Lag 0" not in text


def test_masked_columns_come_from_other_windows_at_this_level():
    past = np.array([[[1.0, 5.0], [3.0, 5.0]], [[10.0, 7.0], [14.0, 8.0]]])
    known = np.array([[[1.0], [1.0], [4.0]], [[0.0], [3.0], [0.0]]])
    inputs, donors = {"past": past, "known_future": known}, np.array([1, 0])
    labels = {"past": np.zeros(2, bool), "known_future": np.zeros(1, bool), "static": np.zeros(2, bool)}
    masked = checks._masked_columns(inputs, np.array([[0], [2]]), donors, True, labels)
    # The other window rises by 4 to its newest value; this one's is 3.
    assert masked["past"].tolist() == [[[-1, 5], [3, 5]], past[1].tolist()]
    # Column 2 is the known one: its mean of 1 in place of the other's 2.
    assert masked["known_future"].tolist() == [known[0].tolist(), [[0], [0], [3]]]
    by_mean = checks._masked_columns(past, np.array([[0], [1]]), donors, False, labels)
    # 10 and 14 less 12 plus 2; 5 and 5 less 5 plus 7.5.
    assert by_mean.tolist() == [[[0, 5], [4, 5]], [[10, 7.5], [14, 7.5]]]
    # Labels and attributes have no level: column 1 and column 4 are the other window's.
    labels["past"][1] = True
    inputs["static"] = np.array([[7.0, 1.0], [8.0, 2.0]])
    found = checks._masked_columns(inputs, np.array([[1], [4]]), donors, False, labels)
    assert found["past"][0].tolist() == [[1, 7], [3, 8]]
    assert found["static"].tolist() == [[7, 1], [8, 1]]


def test_more_columns_than_half_cannot_be_masked(fitted):
    forecaster, panel = fitted
    rows = forecaster.spec.origins(panel)
    with pytest.raises(
        ValueError, match=r"`num_lags` must be from 1 to 2, half of the 4 columns.*num_lags=3"
    ):
        checks.faithfulness(forecaster, panel, rows, num_lags=3)
