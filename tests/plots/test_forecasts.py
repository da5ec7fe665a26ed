from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib import dates, pyplot

from tests.plots.reading import labels, legend, tick_labels
from tfts import plots


def series(num_rows, start="2024-03-01", freq="h", name="load", tz=None):
    times = pd.date_range(start, periods=num_rows, freq=freq, tz=tz)
    return pd.Series(np.arange(num_rows, dtype=float), index=times, name=name)


# plot_forecast


def test_forecast_draws_history_actual_and_each_model_in_its_units():
    whole = series(8)
    ax = plots.plot_forecast(
        whole[:5], {"drift": whole[5:] + 1, "linear": whole[5:] - 1}, actual=whole[5:], units="MW"
    )
    assert labels(ax) == legend(ax) == ["history", "actual", "drift", "linear"]
    values = [line.get_ydata().tolist() for line in ax.lines[:4]]
    assert values == [[0, 1, 2, 3, 4], [5, 6, 7], [6, 7, 8], [4, 5, 6]]
    for line, rows in zip(ax.lines[:4], (whole[:5], whole[5:], whole[5:], whole[5:]), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), rows.index)
    assert ax.get_ylabel() == "load (MW)"
    assert ax.get_xlabel() == "time"


def test_forecast_marks_the_last_row_seen():
    whole = series(8)
    ax = plots.plot_forecast(whole[:5], {"drift": whole[5:]})
    assert labels(ax) == ["history", "drift"]
    origin = ax.lines[-1].get_xdata()
    assert dates.num2date(dates.date2num(origin[0])).hour == 4
    assert ax.get_title(loc="left") == "Forecast of load from 2024-03-01 04:00"


def test_forecast_title_has_no_hour_when_the_origin_is_a_date():
    whole = series(8, freq="MS", name=None)
    ax = plots.plot_forecast(whole[:5], {"ets": whole[5:]})
    assert ax.get_title(loc="left") == "Forecast of value from 2024-07-01"
    assert ax.get_ylabel() == "value"


def test_forecast_takes_a_table_with_one_column_for_each_model():
    whole = series(8)
    ax = plots.plot_forecast(whole[:5], pd.DataFrame({"a": whole[5:], "b": whole[5:] * 2}))
    assert labels(ax) == ["history", "a", "b"]
    assert ax.lines[2].get_ydata().tolist() == [10, 12, 14]


def test_forecast_names_the_time_zone_and_shows_its_hours():
    whole = series(25, "2024-03-01 00:00", tz="Asia/Tokyo")
    ax = plots.plot_forecast(whole[:23], {"drift": whole[23:]})
    assert ax.get_xlabel() == "time (Asia/Tokyo)"
    # In UTC midnight in Tokyo would be 15:00 of the day before.
    assert tick_labels(ax)[0] in ("00:00", "Mar-01", "03:00")


def test_forecast_of_numbered_rows_has_whole_steps():
    rows = pd.Series([1.0, 2.0, 3.0])
    ax = plots.plot_forecast(rows[:2], {"drift": rows[2:]})
    assert ax.get_xlabel() == "time step"
    assert tick_labels(ax) == ["0", "1", "2"]
    assert ax.get_title(loc="left") == "Forecast of value from 1"


@pytest.mark.parametrize(
    ("freq", "num_rows"), [("15min", 120), ("h", 70), ("D", 5), ("D", 800), ("MS", 132), ("YS", 40)]
)
def test_stamps_never_run_into_each_other(freq, num_rows):
    whole = series(num_rows, "2001-03-01 07:30", freq=freq)
    ax = plots.plot_forecast(whole[:-2], {"a_model_with_quite_a_long_name_and_seed_3": whole[-2:]})
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.get_xticklabels() if text.get_text()]
    assert len(boxes) >= 3
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_a_forecast_of_one_row_can_be_seen():
    whole = series(200)
    ax = plots.plot_forecast(whole[:-1], {"drift": whole[-1:]})
    assert [line.get_marker() for line in ax.lines[:2]] == ["None", "o"]
    ax = plots.plot_forecast(whole[:100], {"drift": whole[100:]})
    assert ax.lines[1].get_marker() == "None"


def test_each_of_many_models_has_a_line_of_its_own_look():
    whole = series(10)
    ax = plots.plot_forecast(whole[:7], {f"model {i}": whole[7:] for i in range(24)})
    looks = {(line.get_color(), line.get_linestyle()) for line in ax.lines[1:25]}
    assert len(looks) == 24
    assert not looks & {(ax.lines[0].get_color(), "-")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"history": series(0)},
            "`history` must be a pandas Series with at least one row.*: an empty Series.",
        ),
        ({"history": [1.0]}, "`history` must be a pandas Series.* Received: list"),
        ({"actual": 3.0}, "`actual` must be a pandas Series.* Received: float"),
        (
            {"forecasts": {"drift": np.ones(3)}},
            "Forecast 'drift' must be a pandas Series.* Received: ndarray",
        ),
        ({"forecasts": {"history": [1]}}, "Forecast 'history' must be a pandas Series"),
        ({"forecasts": series(3)}, "`forecasts` must be a dict from model name.* Received: Series"),
        ({"forecasts": [series(3)]}, "`forecasts` must be a dict from model name.* Received: list"),
    ],
)
def test_forecast_refuses_what_it_cannot_draw(change, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_forecast(**{"history": series(5), "forecasts": {"drift": series(3)}, **change})
    assert pyplot.get_fignums() == []


# plot_metrics

MODELS = ["persistence", "seasonal_naive", "linear_regression", "arima", "lstm", "seq2seq", "attention"]


def metrics(column, values):
    return pd.DataFrame({"model": MODELS[: len(values)], column: values})


def bars(ax):
    """`(model, length, written value)` from the top down."""
    names = [text.get_text() for text in ax.get_yticklabels()]
    lengths = [bar.get_width() for bar in ax.patches]
    written = [text.get_text() for text in ax.texts]
    low, high = ax.get_ylim()
    assert low > high, "the first bar must be on top"
    return list(zip(names, lengths, written, strict=True))


def test_metrics_are_sorted_with_the_best_on_top_and_in_colour():
    ax = plots.plot_metrics(metrics("rmse", [1.92304, 0.5, 0.25]), units="MW")
    assert bars(ax) == [
        ("linear_regression", 0.25, "0.25"),
        ("seasonal_naive", 0.5, "0.5"),
        ("persistence", 1.92304, "1.923"),
    ]
    colours = [bar.get_facecolor() for bar in ax.patches]
    assert colours[0] != colours[1] == colours[2]
    assert ax.get_xlabel() == "RMSE (MW)"
    assert ax.get_title(loc="left") == "Models by RMSE, lower is better"


def test_what_is_marked_best_is_in_colour_and_nothing_where_nothing_is():
    table = metrics("rmse", [1.5, 0.5, 0.25]).assign(best=["", "tied", "tied"])
    colours = [bar.get_facecolor() for bar in plots.plot_metrics(table).patches]
    assert colours[0] == colours[1] != colours[2]
    plain = [bar.get_facecolor() for bar in plots.plot_metrics(table.assign(best="")).patches]
    assert set(plain) == {colours[2]}


def test_r2_and_skill_are_best_high_and_bias_near_zero():
    ax = plots.plot_metrics(metrics("r2", [-0.5, 0.75, 0.25]), "r2")
    assert [name for name, *_ in bars(ax)] == ["seasonal_naive", "linear_regression", "persistence"]
    assert ax.get_title(loc="left") == "Models by R², higher is better"
    ax = plots.plot_metrics(metrics("skill", [0, 0.25, -0.5]), "skill")
    assert [name for name, *_ in bars(ax)] == ["seasonal_naive", "persistence", "linear_regression"]
    assert ax.get_xlabel() == "Skill (1 - RMSE / RMSE of the yardstick)"
    assert ax.get_title(loc="left") == "Models by Skill, higher is better"
    ax = plots.plot_metrics(metrics("bias", [0.5, -0.25, 2.0, -1.0]), "bias", units="MW")
    assert [length for _, length, _ in bars(ax)] == [-0.25, 0.5, -1.0, 2.0]
    assert ax.get_xlabel() == "Bias, forecast less actual (MW)"
    assert ax.get_title(loc="left") == "Models by Bias, nearer 0 is better"


def test_a_zero_line_is_drawn_only_where_bars_go_both_ways():
    assert len(plots.plot_metrics(metrics("bias", [0.5, -0.25]), "bias").lines) == 1
    assert len(plots.plot_metrics(metrics("bias", [0.5, 0.25]), "bias").lines) == 0


def test_a_model_without_a_score_comes_last_and_says_so():
    assert bars(plots.plot_metrics(metrics("mape", [np.nan, 12.5, 10.5]), "mape")) == [
        ("linear_regression", 10.5, "10.5"),
        ("seasonal_naive", 12.5, "12.5"),
        ("persistence", 0, "no score"),
    ]


def test_a_share_has_no_units_and_an_own_metric_its_own_name():
    assert plots.plot_metrics(metrics("mape", [3.0]), "mape", units="MW").get_xlabel() == "MAPE (%)"
    ax = plots.plot_metrics(metrics("regret", [3.0]), "regret")
    assert (ax.get_xlabel(), ax.get_title(loc="left")) == ("regret", "Models by regret, lower is better")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            pd.DataFrame({"rmse": [1.0]}),
            "`table` needs a column 'model' with the models' names. Its columns: rmse",
        ),
        (metrics("mae", [1.0]), "`table` needs a column 'rmse' to draw. Its columns: model, mae"),
        (metrics("rmse", []), "`table` has no rows"),
        (
            pd.DataFrame({"model": ["a", "a"], "rmse": [1.0, 2.0]}),
            "Model 'a' has several rows.* pick the rows",
        ),
    ],
)
def test_metrics_refuse_a_table_that_is_not_one_row_a_model(table, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_metrics(table)
    assert pyplot.get_fignums() == []


# plot_horizon_errors


def steps(num_models=2, num_steps=3, column="rmse"):
    return pd.DataFrame(
        [
            {"model": name, "step": step, column: float(10 * number + step)}
            for number, name in enumerate(MODELS[:num_models])
            for step in range(1, num_steps + 1)
        ]
    )


def test_horizon_errors_are_one_line_a_model_in_the_order_of_the_steps():
    ax = plots.plot_horizon_errors(steps().iloc[::-1], units="MW")
    assert labels(ax) == legend(ax) == ["seasonal_naive", "persistence"]
    for line, first in zip(ax.lines, (10, 0), strict=True):
        assert line.get_xdata().tolist() == [1, 2, 3]
        assert line.get_ydata().tolist() == [first + 1, first + 2, first + 3]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("horizon step", "RMSE (MW)")
    assert ax.get_title(loc="left") == "RMSE by horizon step"
    assert ax.get_ylim()[0] == 0


def test_bias_and_r2_are_not_cut_off_at_zero():
    table = steps(column="bias")
    table["bias"] -= 7
    ax = plots.plot_horizon_errors(table, "bias")
    assert ax.get_ylim()[0] < -6
    assert ax.lines[-1].get_ydata() == [0, 0]
    assert ax.get_title(loc="left") == "Bias by horizon step"
    table = steps(column="r2")
    table["r2"] -= 7
    ax = plots.plot_horizon_errors(table, "r2")
    assert ax.get_ylim()[0] < -6
    assert labels(ax) == ["persistence", "seasonal_naive"]


def test_seven_models_and_one_step_can_be_told_apart():
    ax = plots.plot_horizon_errors(steps(7, 1))
    assert len({(line.get_color(), line.get_linestyle()) for line in ax.lines}) == 7
    assert {line.get_marker() for line in ax.lines} == {"o"}
    assert tick_labels(ax) == ["1"]


def test_a_long_horizon_has_no_dots():
    ax = plots.plot_horizon_errors(steps(1, 100))
    assert ax.lines[0].get_marker() == "None"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            steps().drop(columns="model"),
            "needs a column 'model' with the models' names. Its columns: step, rmse",
        ),
        (
            steps().drop(columns="step"),
            "needs a column 'step' with the horizon steps. Its columns: model, rmse",
        ),
        (steps(column="mae"), "needs a column 'rmse' to draw. Its columns: model, step, mae"),
        (steps().iloc[:0], "`table` has no rows"),
        (pd.concat([steps(), steps()[4:5]]), "Model 'seasonal_naive' has several rows for step 2"),
    ],
)
def test_horizon_errors_refuse_a_table_that_is_not_one_row_a_step(table, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_horizon_errors(table)
    assert pyplot.get_fignums() == []


# plot_history


def test_history_draws_both_losses_and_the_best_epoch():
    losses = {"loss": [3.0, 2.0, 1.0, 0.5, 0.25], "val_loss": [3.0, 2.5, 1.5, 2.0, 2.25]}
    ax = plots.plot_history(losses)
    assert labels(ax) == legend(ax) == ["training", "validation", "best: 1.5 at epoch 3"]
    training, validation, best = ax.lines
    assert training.get_xdata().tolist() == [1, 2, 3, 4, 5]
    assert training.get_ydata().tolist() == losses["loss"]
    assert validation.get_ydata().tolist() == losses["val_loss"]
    assert (list(best.get_xdata()), list(best.get_ydata())) == ([3], [1.5])
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title(loc="left")) == ("epoch", "loss", "Loss by epoch")


def test_history_takes_what_fit_returns_and_a_table():
    losses = {"loss": [2.0, 1.0], "mae": [7.0, 7.0]}
    for given in (SimpleNamespace(history=losses), pd.DataFrame(losses)):
        ax = plots.plot_history(given)
        assert labels(ax) == ["training"]
        assert ax.lines[0].get_ydata().tolist() == [2, 1]


def test_history_of_another_metric():
    history = {"mean_error": [3.0, 1.0], "val_mean_error": [2.0, 4.0], "loss": [9.0, 9.0]}
    ax = plots.plot_history(history, "mean_error")
    assert labels(ax) == ["training", "validation", "best: 2 at epoch 1"]
    assert (ax.get_ylabel(), ax.get_title(loc="left")) == ("mean error", "Mean error by epoch")
    with pytest.raises(ValueError, match="must hold the `mae` of at least one epoch"):
        plots.plot_history(history, "mae")


def test_history_passes_over_epochs_without_a_finite_loss():
    ax = plots.plot_history({"loss": [3.0, 2.0, 1.0], "val_loss": [np.nan, 2.0, 3.0]})
    assert labels(ax)[-1] == "best: 2 at epoch 2"
    ax = plots.plot_history({"loss": [3.0, 2.0], "val_loss": [np.nan, np.nan]})
    assert labels(ax) == ["training", "validation"]


def test_one_epoch_can_be_seen():
    ax = plots.plot_history({"loss": [0.5]})
    assert ax.lines[0].get_marker() == "o"
    assert tick_labels(ax) == ["1"]


@pytest.mark.parametrize(
    ("losses", "received"),
    [({"val_loss": [1.0]}, "val_loss"), ({}, "nothing"), ({"loss": [], "val_loss": []}, "loss, val_loss")],
)
def test_history_refuses_to_draw_no_loss(losses, received):
    with pytest.raises(
        ValueError, match=f"must hold the `loss` of at least one epoch.* Received: {received}."
    ):
        plots.plot_history(losses)


# plot_histories


def test_histories_have_a_line_for_each_model_and_rings_around_the_best_epochs():
    ax = plots.plot_histories(
        {
            "linear": {"loss": [9.0, 8.0, 7.0], "val_loss": [3.0, 2.0, 2.5]},
            "deep": SimpleNamespace(history={"loss": [9.0, 8.0], "val_loss": [np.nan, 1.5]}),
        }
    )
    assert labels(ax) == legend(ax) == ["linear", "deep", "best epoch"]
    first, second, rings = ax.lines
    assert (first.get_xdata().tolist(), first.get_ydata().tolist()) == ([1, 2, 3], [3.0, 2.0, 2.5])
    np.testing.assert_array_equal(second.get_ydata(), [np.nan, 1.5])
    assert (list(rings.get_xdata()), list(rings.get_ydata())) == ([2, 2], [2.0, 1.5])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "validation loss")


def test_a_training_loss_among_validation_losses_says_so():
    ax = plots.plot_histories(
        {"a": {"loss": [2.0], "val_loss": [1.0]}, "b": pd.DataFrame({"loss": [3.0, np.nan]})}
    )
    assert labels(ax) == ["a", "b (training)", "best epoch"]
    assert ax.get_ylabel() == "loss"
    ax = plots.plot_histories({"b": {"loss": [np.nan]}})
    assert labels(ax) == ["b (training)"]


@pytest.mark.parametrize(
    ("histories", "message"),
    [
        ({}, "`histories` must hold at least one model"),
        (
            {"a": {"loss": [1.0]}, "b": {"val_loss": [1.0]}},
            "The history of 'b' must hold the `loss`.*: val_loss.",
        ),
        ({"a": {"loss": []}}, "The history of 'a' must hold the `loss`"),
    ],
)
def test_histories_refuse_to_draw_no_loss(histories, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_histories(histories)
    assert pyplot.get_fignums() == []


# names from the user's table


def test_dollars_in_names_begin_no_formula():
    whole = series(8, name="price $\\frac{$")
    drawn = [
        plots.plot_forecast(whole[:5], {"$a$": whole[5:]}, units="$/$h"),
        plots.plot_metrics(pd.DataFrame({"model": ["$\\x$"], "rmse": [1.0]}), units="$\\x$"),
        plots.plot_horizon_errors(pd.DataFrame({"model": ["$\\x$"], "step": [1], "rmse": [1.0]})),
        plots.plot_histories({"$\\x$": {"loss": [1.0]}}),
    ]
    for ax in drawn:
        # A formula that can't be read would be an error here.
        ax.figure.canvas.draw()
    assert drawn[0].get_ylabel() == r"price \$\frac{\$ (\$/\$h)"
    assert legend(drawn[0])[1] == r"\$a\$"


CALLS = {
    "plot_forecast": (series(3), {"drift": series(2)}),
    "plot_metrics": (metrics("rmse", [1.0]),),
    "plot_horizon_errors": (steps(),),
    "plot_history": ({"loss": [1.0]},),
    "plot_histories": ({"linear": {"loss": [1.0]}},),
}
