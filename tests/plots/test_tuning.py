import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

from tests.plots.reading import labels, legend
from tfts import plots
from tfts.plots.tuning import setting_names

RESULTS = pd.DataFrame(
    {
        "trial": range(7),
        "status": ["finished", "finished", "pruned", "diverged", "finished", "failed", "finished"],
        "score": [0.5, 0.8, 0.9, 1e9, 0.4, np.nan, 0.45],
        "epochs": [11, 7, 3, 1, 13, 0, 5],
        "seconds": [2.0, 3.0, 1.0, 0.5, 5.0, 0.1, 2.0],
        "reason": ["", "", "above the median", "not finite", "", "boom", ""],
        "heads": 4,
        "units": [32, 64, 16, 32, 64, 64, 16],
        "learning_rate": [1e-3, 1e-2, 1e-4, 1.0, 3e-3, 1e-3, 2e-3],
        "position": ["learned", "sinusoidal", "learned", "learned", "sinusoidal", "learned", np.nan],
    }
)
CURVES = pd.DataFrame(
    [
        (trial, execution, 0, epoch, value + 0.02 * execution)
        for trial, values in {0: [0.9, 0.6, 0.49], 1: [1.1, 0.8], 2: [1.0], 4: [0.7, 0.5, 0.39]}.items()
        for execution in range(2)
        for epoch, value in enumerate(values, 1)
    ],
    columns=["trial", "execution", "part", "epoch", "value"],
)
CALLS = {
    "plot_search": (RESULTS,),
    "plot_slice": (RESULTS, "units"),
    "plot_parallel_settings": (RESULTS,),
    "plot_trial_curves": (CURVES, RESULTS),
}


def test_settings_are_what_is_not_about_the_trial():
    assert setting_names(RESULTS) == ["heads", "units", "learning_rate", "position"]
    assert setting_names(RESULTS, varied=True) == ["units", "learning_rate", "position"]


# plot_search


def test_search_shows_each_trial_and_the_best_so_far():
    ax = plots.plot_search(RESULTS.iloc[::-1], units="MW")
    assert (
        labels(ax)
        == legend(ax)
        == [
            "finished (4)",
            "pruned (1)",
            "diverged (1)",
            "failed (1)",
            "best so far",
            "default settings",
        ]
    )
    finished, _, _, _, best, default = ax.lines
    assert finished.get_xydata().tolist() == [[0, 0.5], [1, 0.8], [4, 0.4], [6, 0.45]]
    assert best.get_xydata().tolist() == [[0, 0.5], [1, 0.5], [4, 0.4], [6, 0.4], [6, 0.4]]
    assert set(default.get_ydata()) == {0.5}
    assert len({line.get_marker() for line in ax.lines[:4]}) == 4
    assert ax.get_ylabel() == "val_rmse (MW)"
    assert ax.get_title(loc="left") == "Best 0.4 in trial 4, 20.0% below the default settings"


def test_one_hopeless_trial_does_not_flatten_the_others():
    table = RESULTS.assign(score=[0.5, 80.0, 0.9, 1e9, 0.4, np.nan, 0.45])
    low, high = plots.plot_search(table).get_ylim()
    assert low < 0.4
    assert 0.6 < high < 5


def test_defaults_that_were_best_are_told_as_such():
    ax = plots.plot_search(RESULTS[RESULTS["trial"] < 2])
    assert ax.get_title(loc="left") == "Best 0.5 in trial 0, the default settings"


# plot_slice


def test_slice_of_numbers_over_many_sizes_is_logarithmic():
    ax = plots.plot_slice(RESULTS, "learning_rate")
    assert ax.get_xscale() == "log"
    finished, pruned, best = ax.lines
    assert finished.get_xydata().tolist() == [[1e-3, 0.5], [1e-2, 0.8], [3e-3, 0.4], [2e-3, 0.45]]
    assert pruned.get_xydata().tolist() == [[1e-4, 0.9]]
    assert best.get_xydata().tolist() == [[3e-3, 0.4]]
    assert plots.plot_slice(RESULTS, "units").get_xscale() == "linear"


def test_slice_of_words_has_a_place_for_each():
    ax = plots.plot_slice(RESULTS, "position", "val_mae", units="MW")
    assert ax.get_ylabel() == "val_mae (MW)"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["learned", "sinusoidal"]
    # Trial 6 has no position.
    assert ax.lines[0].get_xydata().tolist() == [[0, 0.5], [1, 0.8], [1, 0.4]]
    assert ax.lines[2].get_xydata().tolist() == [[1, 0.4]]


# plot_parallel_settings


def test_parallel_lines_go_through_the_settings_to_the_score():
    ax = plots.plot_parallel_settings(RESULTS)
    assert [text.get_text() for text in ax.get_xticklabels()] == [
        "units",
        "learning_rate",
        "position",
        "val_rmse",
    ]
    trials = [line for line in ax.lines if len(line.get_xdata()) == 4]
    assert len(trials) == 4
    best = next(line for line in trials if line.get_label() == "best: trial 4")
    # 64 of 16..64, log(3) of 1e-3..1e-2, second of two words, the smallest of 0.4..0.8
    np.testing.assert_allclose(best.get_ydata(), [1, 2 / 9, 1, 0], rtol=1e-9)
    assert best.get_linewidth() == max(line.get_linewidth() for line in trials)
    assert [np.isnan(line.get_ydata()).tolist() for line in trials].count([False, False, True, False]) == 1


def test_parallel_settings_can_be_chosen():
    ax = plots.plot_parallel_settings(RESULTS, ["heads", "units"], units="MW")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["heads", "units", "val_rmse (MW)"]


def test_parallel_needs_something_that_differs():
    with pytest.raises(ValueError, match="have the same settings, so there is nothing to compare"):
        plots.plot_parallel_settings(RESULTS[RESULTS["trial"] == 0])


# plot_trial_curves


def test_curves_are_means_with_crosses_where_trials_were_pruned():
    ax = plots.plot_trial_curves(CURVES, RESULTS)
    assert set(labels(ax)) == {"default settings", "best: trial 4", "pruned"}
    best = next(line for line in ax.lines if line.get_label() == "best: trial 4")
    np.testing.assert_allclose(best.get_ydata(), [0.71, 0.51, 0.40])
    cross = next(line for line in ax.lines if line.get_label() == "pruned")
    np.testing.assert_allclose(cross.get_xydata(), [[1, 1.01]])
    assert ax.get_title(loc="left") == "Validation after each epoch: 4 trials, 1 pruned"


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda t: plots.plot_search(t.drop(columns="status")), "needs a column 'status' of each trial"),
        (lambda t: plots.plot_search(t[t["status"] == "pruned"]), "No trial is finished"),
        (lambda t: plots.plot_slice(t, "layers"), "needs a column 'layers' with the setting"),
        (lambda t: plots.plot_parallel_settings(t, ["layers"]), "needs a column 'layers' with the setting"),
        (lambda t: plots.plot_trial_curves(t, t), "needs a column 'epoch' of each epoch"),
    ],
)
def test_what_can_not_be_drawn_is_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw(RESULTS.drop(columns="epochs"))
    assert pyplot.get_fignums() == []
