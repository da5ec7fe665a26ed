import numpy as np
import pandas as pd
import pytest
from matplotlib import colors, pyplot

from tests.plots.reading import labels, legend
from tfts import plots
from tfts.plots.anomalies import RED, SEVERITIES


def table(targets=("Sales",), series=("a",), num_rows=7, tz=None):
    """Each target rises by 1 a day from 10 times its number; days 2 and 3 are flagged."""
    parts = []
    for number, target in enumerate(targets):
        for name in series:
            actual = 10.0 * number + np.arange(num_rows)
            flag = np.isin(np.arange(num_rows), (2, 3))
            residual = np.where(flag, -9.0, 0.5)
            parts.append(
                pd.DataFrame(
                    {
                        "time": pd.date_range("2024-03-01", periods=num_rows, tz=tz),
                        "series": name,
                        "target": target,
                        "actual": actual,
                        "predicted": actual - residual,
                        "residual": residual,
                        "score": np.abs(residual),
                        "threshold": 3.0,
                        "flag": flag,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def events(**columns):
    days = pd.date_range("2024-03-01", periods=9)
    return pd.DataFrame(
        {
            "series": ["b", "a", "b"],
            "start": days[[0, 2, 5]],
            "end": days[[0, 4, 8]],
            "severity": ["low", "high", "medium"],
            "targets": [("Sales",), ("Ratings", "Sales"), ("Inventory",)],
            **columns,
        }
    )


def line(ax, label):
    (found,) = [line for line in ax.lines if line.get_label() == label]
    return found


# plot_anomalies and plot_residuals


def test_anomalies_are_the_flagged_rows_of_what_happened_in_red():
    ax = plots.plot_anomalies(table(), units="units")
    assert labels(ax) == legend(ax) == ["predicted", "actual", "anomaly"]
    assert line(ax, "actual").get_ydata().tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert line(ax, "predicted").get_ydata().tolist() == [-0.5, 0.5, 11, 12, 3.5, 4.5, 5.5]
    red = line(ax, "anomaly")
    assert red.get_ydata().tolist() == [2, 3]
    assert (red.get_color(), red.get_marker(), red.get_linestyle()) == (RED, "o", "None")
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("Sales (units)", "time")
    assert ax.get_title(loc="left") == "Sales of a: 2 of 7 rows flagged"


def test_one_target_and_series_of_many_in_the_order_of_time():
    many = table(["Sales", "Ratings"], ["a", "b"]).iloc[::-1]
    ax = plots.plot_anomalies(many, "Ratings", "b")
    assert line(ax, "actual").get_ydata().tolist() == [10, 11, 12, 13, 14, 15, 16]
    assert ax.get_title(loc="left").startswith("Ratings of b")


def test_without_anomalies_the_legend_names_none():
    calm = table()
    calm["flag"] = False
    assert legend(plots.plot_anomalies(calm)) == ["predicted", "actual"]
    assert legend(plots.plot_residuals(calm)) == ["residual", "threshold"]


def test_residuals_bear_the_sign_of_the_residual_and_lie_between_both_thresholds():
    ax = plots.plot_residuals(table(), units="standard deviations")
    assert legend(ax) == ["residual", "threshold", "anomaly"]
    assert line(ax, "residual").get_ydata().tolist() == [0.5, 0.5, -9, -9, 0.5, 0.5, 0.5]
    assert line(ax, "anomaly").get_ydata().tolist() == [-9, -9]
    dashed = [found.get_ydata()[0] for found in ax.lines if found.get_linestyle() == "--"]
    assert dashed == [3, -3]
    assert ax.get_ylabel() == "residual score (standard deviations)"
    assert ax.get_title(loc="left") == "Residuals of Sales of a, threshold 3"


def test_a_threshold_that_moves_is_named_by_its_range():
    moving = table()
    moving["threshold"] = np.linspace(2, 4, 7)
    assert plots.plot_residuals(moving).get_title(loc="left").endswith("threshold 2 to 4")


def test_a_series_without_name_a_time_zone_and_numbered_rows():
    ax = plots.plot_anomalies(table(series=[""], tz="Asia/Tokyo"))
    assert ax.get_title(loc="left").startswith("Sales: 2")
    assert ax.get_xlabel() == "time (Asia/Tokyo)"
    numbered = table().assign(time=range(7))
    assert plots.plot_residuals(numbered).get_xlabel() == "time step"


def test_a_dollar_is_no_formula():
    ax = plots.plot_anomalies(table(["in $", "of $"]), "in $", units="$")
    assert ax.get_ylabel() == r"in \$ (\$)"


@pytest.mark.parametrize("plot", [plots.plot_anomalies, plots.plot_residuals])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            (table(["Sales", "Ratings"]),),
            "`table` has 2 targets; name the one to draw: `target=` one of Sales, Rat",
        ),
        ((table(series=["a", "b"]),), "`table` has 2 series; name the one to draw: `series=` one of a, b"),
        ((table(["Sales", "Ratings"]), "Sale"), "Unknown target 'Sale'.* Did you mean 'Sales'"),
        ((table(), "Sales", "c"), "Unknown series 'c'"),
        ((table().drop(columns="flag"),), "needs a column 'flag' to draw"),
        ((table().iloc[:0],), "`table` has no rows to draw"),
    ],
)
def test_what_cannot_be_drawn_is_refused(plot, given, message):
    with pytest.raises(ValueError, match=message):
        plot(*given)
    assert pyplot.get_fignums() == []


# plot_threshold_alarms


def test_threshold_alarms_count_rows_and_runs_over_all_targets():
    # Strengths of series a: 1/3, 2, 2, 1/3, 5, 5, 1/3, and of b all 1/3 but the first, 3.
    made = table(["Sales", "Ratings"], ["a", "b"])
    made["score"] = 1.0
    at = made["time"].dt.day - 1
    made.loc[(made["series"] == "a") & (made["target"] == "Sales") & at.isin([1, 2]), "score"] = 6.0
    made.loc[(made["series"] == "a") & (made["target"] == "Ratings") & at.isin([4, 5]), "score"] = 15.0
    made.loc[(made["series"] == "b") & (at == 0), "score"] = 9.0
    ax = plots.plot_threshold_alarms(made)
    assert ax.get_title(loc="left") == "Alarms by threshold: 3 now, in 5 rows"
    assert ax.get_ylabel() == "number in 14 rows"
    factors = line(ax, "alarms").get_xdata()
    counts = {
        name: [line(ax, name).get_ydata()[np.argmin(abs(factors - factor))] for factor in (0.3, 1, 2.5, 4, 6)]
        for name in ("flagged rows", "alarms")
    }
    assert counts == {"flagged rows": [14, 5, 3, 2, 0], "alarms": [2, 3, 2, 1, 0]}
    assert line(ax, "now").get_ydata() == [3]


def test_threshold_alarms_need_a_score_and_a_threshold():
    with pytest.raises(ValueError, match="at least one row with a score and a threshold above 0"):
        plots.plot_threshold_alarms(table().assign(threshold=0.0))
    with pytest.raises(ValueError, match="needs a column 'score'"):
        plots.plot_threshold_alarms(table().drop(columns="score"))
    assert pyplot.get_fignums() == []


# plot_events


def test_events_lie_on_the_line_of_their_series_in_the_look_of_their_severity():
    ax = plots.plot_events(events())
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b"]
    assert legend(ax) == ["low", "medium", "high"]
    heights = {name: line(ax, name).get_ydata().tolist() for name in SEVERITIES}
    assert heights == {"low": [1], "medium": [1], "high": [0]}
    widths = [bars.get_linewidth()[0] for bars in ax.collections]
    assert widths == [5, 8, 11]
    # Pale to dark, so that they are told apart in grey.
    grey = [sum(colors.to_rgb(colour)) for colour, _ in SEVERITIES.values()]
    assert sorted(grey, reverse=True) == grey
    assert [text.get_text() for text in ax.texts] == ["Sales", "Ratings", "Inventory"]
    assert ax.get_title(loc="left") == "3 events in 2 series"


def test_many_events_bear_no_names():
    many = pd.concat([events()] * 11, ignore_index=True)
    assert len(plots.plot_events(many).texts) == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (events().drop(columns="targets"), "needs a column 'targets'"),
        (events().iloc[:0], "`events` has no rows"),
        (events(severity=["low", "hi", "low"]), "Unknown severity 'hi'.* Did you mean 'high'"),
    ],
)
def test_events_that_cannot_be_drawn_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_events(given)
    assert pyplot.get_fignums() == []


# plot_contributions


def test_contributions_are_shares_with_the_cause_on_top_in_colour():
    ax = plots.plot_contributions(pd.Series({"Ratings": 1.0, "Sales": 6.0, "Inventory": 3.0}))
    assert [text.get_text() for text in ax.get_yticklabels()] == ["Sales", "Inventory", "Ratings"]
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([60, 30, 10])
    assert [text.get_text() for text in ax.texts] == ["60 %", "30 %", "10 %"]
    colours = [colors.to_hex(bar.get_facecolor()) for bar in ax.patches]
    assert colours[0] != colours[1] == colours[2]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    assert ax.get_title(loc="left") == "Cause: Sales"


def test_contributions_of_nothing_are_drawn_as_0():
    assert [text.get_text() for text in plots.plot_contributions({"Sales": 0.0}).texts] == ["0 %"]


@pytest.mark.parametrize("given", [{}, {"Sales": -0.5}, {"Sales": np.nan}])
def test_contributions_must_be_shares(given):
    with pytest.raises(ValueError, match="one or more targets a share >= 0"):
        plots.plot_contributions(given)
    assert pyplot.get_fignums() == []


CALLS = {
    "plot_anomalies": (table(),),
    "plot_residuals": (table(),),
    "plot_threshold_alarms": (table(),),
    "plot_events": (events(),),
    "plot_contributions": ({"Sales": 1.0},),
}
