import numpy as np
import pandas as pd
import pytest
from matplotlib import figure

from tests.plots.reading import labels, legend
from tfts import Forecaster, plots

CALIBRATION = pd.DataFrame({"level": [0.1, 0.5, 0.9], "observed": [0.2, 0.5, 0.8]})
PIT = pd.DataFrame({"low": [0.0, 0.25], "high": [0.25, 1.0], "count": [30.0, 10.0], "expected": [0.25, 0.75]})
WIDTHS = pd.DataFrame(
    {"model": ["ridge", "linear"], "width": [2.0, 3.0], "coverage": [0.79, 0.85], "level": [0.8, 0.8]}
)
CALLS = {
    "plot_calibration": (CALIBRATION,),
    "plot_pit": (PIT,),
    "plot_interval_width": (WIDTHS,),
}


def test_calibration_has_a_line_for_each_model_or_step_and_the_diagonal():
    ax = plots.plot_calibration(pd.concat([CALIBRATION.assign(model=name) for name in ("ridge", "linear")]))
    assert labels(ax) == legend(ax) == ["as promised", "ridge", "linear"]
    assert ax.lines[0].get_ydata().tolist() == [0, 1]
    steps = pd.concat([CALIBRATION.assign(step=step) for step in range(1, 8)])
    assert labels(plots.plot_calibration(steps)) == ["as promised", "step 1", "step 4", "step 7"]


def test_pit_bars_are_multiples_of_what_was_promised():
    bars = plots.plot_pit(PIT).patches
    # Three quarters of the values where a quarter belongs, a quarter where three belong.
    assert [bar.get_height() for bar in bars] == [3.0, pytest.approx(1 / 3)]
    assert [bar.get_width() for bar in bars] == [0.25, 0.75]
    with pytest.raises(ValueError, match="No value was counted"):
        plots.plot_pit(PIT.assign(count=0))


def test_a_histogram_of_several_targets_takes_them_together():
    both = pd.concat([PIT.assign(target="a"), PIT.assign(target="b", count=[1, 2])])
    whole = PIT.assign(count=PIT["count"].to_numpy() + [1, 2])
    heights = [[bar.get_height() for bar in plots.plot_pit(table).patches] for table in (both, whole)]
    assert heights[0] == heights[1]


def test_targets_have_a_line_each():
    both = pd.concat([CALIBRATION.assign(target=name) for name in ("load", "price")])
    assert labels(plots.plot_calibration(both)) == ["as promised", "load", "price"]
    widths = WIDTHS.drop(columns="model")
    assert labels(plots.plot_interval_width(widths)) == ["observed"]
    pairs = pd.concat([both.assign(step=step) for step in (1, 2)])
    with pytest.raises(ValueError, match=r"rows for each pair of target and step. Expected those of one"):
        plots.plot_calibration(pairs)


@pytest.mark.parametrize("draw", [plots.plot_calibration, plots.plot_pit, plots.plot_interval_width])
def test_what_is_no_table_is_told(draw):
    with pytest.raises(ValueError, match=r"`table` must be a pandas DataFrame. Received: NoneType"):
        draw(None)


def test_width_is_drawn_against_coverage():
    ax = plots.plot_interval_width(WIDTHS, units="MW")
    assert ax.get_ylabel() == "mean width of the interval (MW)"
    assert [line.get_xdata().tolist() for line in ax.lines[:2]] == [[0.79], [0.85]]


def test_a_forecast_has_its_intervals_around_it():
    times = pd.date_range("2024-03-01", periods=8, freq="h")
    load = pd.Series(np.arange(8.0), index=times, name="load")
    fans = pd.DataFrame({level: load[5:] + 10 * (level - 0.5) for level in (0.05, 0.25, 0.5, 0.75, 0.95)})
    ax = plots.plot_forecast(load[:5], {"drift": load[5:]}, quantiles={"drift": fans})
    assert legend(ax) == ["history", "drift", "90 % interval", "50 % interval"]
    assert ax.collections[0].get_datalim(ax.transData).intervaly.tolist() == [0.5, 11.5]


def test_a_forecaster_draws_its_own_forecast():
    hours = pd.date_range("2024-01-01", periods=300, freq="h")
    noise = np.random.default_rng(0).normal(size=300)
    one = pd.DataFrame({"load": noise, "price": noise + 5, "site": "a"}, index=hours)
    frame = pd.concat([one, one.assign(site="b", load=noise + 9)])
    forecaster = Forecaster("drift", context_length=12, horizon=3, series="site", quantiles=[0.1, 0.9])
    forecaster.fit(frame)
    ax = forecaster.plot(frame, target="load", series="b", units="MW", ax=figure.Figure().subplots())
    assert legend(ax) == ["history", "drift", "80 % interval"]
    assert len(ax.lines[0].get_ydata()) == 12
    np.testing.assert_allclose(ax.lines[0].get_ydata()[-1], noise[-1] + 9)
    assert ax.get_ylabel() == "load (MW)"
    assert len(forecaster.plot(frame, history=5, ax=figure.Figure().subplots()).lines[0].get_ydata()) == 5
    for wrong, words in (
        ({"target": "lod"}, "Unknown target 'lod'"),
        ({"series": "c"}, "Unknown series 'c'"),
    ):
        with pytest.raises(ValueError, match=words):
            forecaster.plot(frame, **wrong)
