"""What holds for every picture; each test module lists its own under CALLS."""

import pytest
from matplotlib import figure, pyplot

from tests.plots import (
    test_anomalies,
    test_attention,
    test_forecasts,
    test_regression,
    test_suites,
    test_tuning,
    test_uncertainty,
)
from tfts import plots

DRAWN_ON_AXES = {
    **test_forecasts.CALLS,
    **test_attention.CALLS,
    **test_anomalies.CALLS,
    **test_regression.CALLS,
    **test_suites.CALLS,
    **test_tuning.CALLS,
    **test_uncertainty.CALLS,
}


def test_every_function_is_tried_here():
    public = {name for name in vars(plots) if name.startswith("plot_")}
    assert public == {*DRAWN_ON_AXES, "plot_attention_heads"}


@pytest.mark.parametrize("name", DRAWN_ON_AXES)
def test_given_axes_are_drawn_on_and_returned_without_pyplot(name):
    given = figure.Figure().subplots()
    assert getattr(plots, name)(*DRAWN_ON_AXES[name], ax=given) is given
    assert given.has_data()
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize("name", DRAWN_ON_AXES)
def test_new_axes_belong_to_pyplot_and_settings_stay(name):
    before = dict(pyplot.rcParams)
    ax = getattr(plots, name)(*DRAWN_ON_AXES[name])
    assert pyplot.get_fignums() == [ax.figure.number]
    assert dict(pyplot.rcParams) == before


@pytest.mark.parametrize("name", [name for name in DRAWN_ON_AXES if name != "plot_forecast"])
def test_tables_and_scores_are_left_as_they_were(name):
    given, *others = DRAWN_ON_AXES[name]
    before = repr(given)
    getattr(plots, name)(given, *others)
    assert repr(given) == before
