import numpy as np
import pandas as pd
import pytest

from tests.plots.reading import legend
from tfts import plots

RUNS = pd.DataFrame(
    [
        ("ridge", "linear maps", 7, 4.0, 0.36),
        ("lstm$", "recurrent networks", 7, 90.0, 0.37),
        ("lstm$", "recurrent networks", 7, 110.0, 0.34),
        ("lstm$", "recurrent networks", 7, 70.0, 0.35),
        ("persistence", "simple methods", 7, 0.0, 1.29),
        ("broken", "other networks", 7, 5.0, np.nan),
        ("ridge", "linear maps", 11, 5.0, 0.4),
        ("lstm$", "recurrent networks", 11, 90.0, 0.41),
    ],
    columns=["label", "family", "horizon", "seconds", "mse"],
)
FIRST = RUNS[RUNS["horizon"] == 7]
CALLS = {"plot_cost": (FIRST,), "plot_scores_by_horizon": (RUNS,)}


def points(ax):
    """Dict from the label of each method to the places of its marks, and of the ends of its bars."""
    found = {}
    for container in ax.containers:
        line, _, bars = container.lines
        ends = [segment[:, 1].tolist() for bar in bars for segment in bar.get_segments()]
        found[container.get_label()] = (line.get_xydata().tolist(), ends)
    return found


def test_cost_shows_medians_and_seeds_family_by_family():
    ax = plots.plot_cost(FIRST, published=("DLinear", 0.33), units="standardised units")
    found = points(ax)
    (place,), bars = found[r"lstm\$ 0.35"]
    assert place == [90.0, 0.35]
    np.testing.assert_allclose(bars, [[0.34, 0.37]])
    assert found["ridge 0.36"] == ([[4.0, 0.36]], [[0.36, 0.36]])
    # Far above the others, and in no time: at the upper edge, at a hundredth.
    ((place,), bars) = found["persistence 1.29 (above the picture)"]
    assert (place, bars) == ([0.01, ax.get_ylim()[1]], [])
    assert ax.get_ylim()[1] < 0.5
    assert ax.get_ylim()[0] < 0.33
    assert ax.get_xscale() == "log"
    assert legend(ax) == [
        "recurrent networks",
        r"lstm\$ 0.35",
        "linear maps",
        "ridge 0.36",
        "simple methods",
        "persistence 1.29 (above the picture)",
        "published: DLinear 0.33",
    ]
    weights = [text.get_weight() for text in ax.get_legend().get_texts()]
    assert weights == ["bold", "normal"] * 3 + ["normal"]
    assert ax.get_ylabel() == "MSE, standardised units"


def test_scores_by_horizon_are_lines_at_equal_steps():
    ax = plots.plot_scores_by_horizon(RUNS, published={11: 0.39})
    found = points(ax)
    assert found["ridge"][0] == [[0, 0.36], [1, 0.4]]
    places, bars = found[r"lstm\$"]
    assert places == [[0, 0.35], [1, 0.41]]
    np.testing.assert_allclose(bars, [[0.34, 0.37], [0.41, 0.41]])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["7", "11"]
    (published,) = (line for line in ax.lines if line.get_label() == "lowest published")
    assert published.get_xydata().tolist() == [[1, 0.39]]
    alone = plots.plot_scores_by_horizon(RUNS[RUNS["label"] == "ridge"])
    assert legend(alone) == ["ridge"]


@pytest.mark.parametrize("draw", [plots.plot_cost, plots.plot_scores_by_horizon])
def test_a_table_that_can_not_be_drawn_is_refused(draw):
    with pytest.raises(ValueError, match="needs a column 'rmse' to draw"):
        draw(RUNS, "rmse")
    with pytest.raises(ValueError, match="needs a column 'family' of the methods"):
        draw(RUNS.drop(columns="family"))
    with pytest.raises(ValueError, match="No run has a score in 'mse'"):
        draw(RUNS.assign(mse=np.nan))


def test_each_picture_names_its_own_column():
    with pytest.raises(ValueError, match="needs a column 'seconds'"):
        plots.plot_cost(RUNS.drop(columns="seconds"))
    with pytest.raises(ValueError, match="needs a column 'horizon'"):
        plots.plot_scores_by_horizon(RUNS.drop(columns="horizon"))
