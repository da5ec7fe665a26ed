import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

from tests.plots.reading import labels, legend
from tfts import plots


def bowl(weights):
    return ((np.asarray(weights) - 3) ** 2).sum(axis=1)


def upper(points):
    return np.where(np.asarray(points)[:, 1] > 0.5, "high", "low")


CORNERS = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.5, 0.9]]
HEIGHTS = ["low", "low", "high", "high", "low"]


# plot_cost_surface


def test_one_weight_is_a_curve_with_the_way_on_it():
    ax = plots.plot_cost_surface(bowl, [[0.0], [1.5], [2.25]])
    assert labels(ax) == ["cost", "descent", "start", "epoch 2"]
    curve, way, start, end = ax.lines
    np.testing.assert_allclose(curve.get_ydata(), (curve.get_xdata() - 3) ** 2)
    # 2.25 less and more 1.2 times the way of 2.25
    np.testing.assert_allclose(curve.get_xdata()[[0, -1]], [-0.45, 4.95])
    assert way.get_ydata().tolist() == [9, 2.25, 0.5625]
    assert (start.get_xdata().tolist(), end.get_xdata().tolist()) == ([0], [2.25])
    assert ax.get_title(loc="left") == "Cost 9 to 0.5625 in 2 epochs"
    assert ax.get_xlabel() == "w1"


def test_two_weights_are_contours_with_the_way_over_them():
    path = [[0.0, 0.0], [1.0, 2.0], [2.0, 3.0]]
    ax = plots.plot_cost_surface(bowl, path, names=["slope", "intercept"])
    assert labels(ax) == ["descent", "start", "epoch 2"]
    assert ax.lines[0].get_xydata().tolist() == path
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("slope", "intercept")
    (low, high) = ax.get_xlim()
    assert low <= 0 <= 2 <= high
    assert [other.get_ylabel() for other in ax.figure.axes[1:]] == ["cost"]


def test_a_way_that_stands_still_can_be_drawn():
    ax = plots.plot_cost_surface(bowl, [[3.0, 0.0]])
    assert np.ptp(ax.get_xlim()) > 1


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        (np.zeros((5, 3)), {}, r"one or two weights.* Received: shape \(5, 3\)"),
        (np.zeros(5), {}, r"Received: shape \(5,\)"),
        ([[np.nan]], {}, "must be finite"),
        ([[0.0]], {"names": ["a", "b"]}, r"`names` must name 1 weights. Received: \['a', 'b'\]"),
    ],
)
def test_cost_surface_refuses_what_it_can_not_draw(path, options, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_cost_surface(bowl, path, **options)
    assert pyplot.get_fignums() == []


# plot_fit


def test_fit_draws_rows_and_each_line_in_units():
    fits = {"steep": lambda x: 2 * x[:, 0], "flat": lambda x: np.ones((len(x), 1))}
    ax = plots.plot_fit([[1.0], [3.0]], [2.0, 6.0], fits, x_name="size", y_name="price", units="$1000")
    assert labels(ax) == legend(ax) == ["rows", "steep", "flat"]
    rows, steep, flat = ax.lines
    assert rows.get_xydata().tolist() == [[1, 2], [3, 6]]
    np.testing.assert_allclose(steep.get_ydata(), 2 * steep.get_xdata())
    assert set(flat.get_ydata()) == {1.0}
    assert steep.get_linestyle() != flat.get_linestyle()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("size", "price ($1000)")
    assert ax.get_title(loc="left") == "price by size, 2 rows"


@pytest.mark.parametrize(
    ("x", "y", "fits", "message"),
    [
        (np.zeros((5, 2)), np.zeros(5), {}, r"must be one feature.* Received: x \(5, 2\), y \(5,\)"),
        ([1.0, 2.0], [1.0], {}, r"Received: x \(2,\), y \(1,\)"),
        ([], [], {}, r"Received: x \(0,\)"),
        ([1.0], [1.0], upper, "must be a dict from name to function.* Received: function"),
    ],
)
def test_fit_refuses_what_it_can_not_draw(x, y, fits, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_fit(x, y, fits)
    assert pyplot.get_fignums() == []


# plot_decision_boundary


def test_boundary_marks_each_row_and_counts_what_is_right():
    frame = pd.DataFrame(CORNERS, columns=["length", "width"])
    ax = plots.plot_decision_boundary(frame, HEIGHTS, upper)
    assert legend(ax) == ["high", "low"]
    high, low = ax.lines
    assert high.get_xydata().tolist() == CORNERS[2:4]
    assert low.get_xydata().tolist() == [CORNERS[0], CORNERS[1], CORNERS[4]]
    assert high.get_marker() != low.get_marker()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("length", "width")
    assert ax.get_title(loc="left") == "Decision boundary, 80.0% of 5 rows right"
    plain = plots.plot_decision_boundary(np.array(CORNERS), HEIGHTS, upper, names=["a", "b"])
    assert plain.get_xlabel() == "a"


def test_boundary_of_one_class_is_one_area():
    ax = plots.plot_decision_boundary(CORNERS[:2], ["low", "low"], upper)
    assert legend(ax) == ["low"]


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros((3, 5)), np.zeros(3), r"a plane has two features. Received: X \(3, 5\), y \(3,\)"),
        (CORNERS, HEIGHTS[:2], r"Received: X \(5, 2\), y \(2,\)"),
        (np.zeros((7, 2)), np.arange(7), "At most 6 classes can be told apart by colour. Received: 7"),
    ],
)
def test_boundary_refuses_what_it_can_not_draw(X, y, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_decision_boundary(X, y, upper)
    assert pyplot.get_fignums() == []


# plot_confusion


def test_confusion_counts_by_hand():
    ax = plots.plot_confusion(["a", "a", "a", "b", "c"], ["a", "a", "b", "b", "a"])
    assert [text.get_text() for text in ax.texts] == ["2", "1", "0", "0", "1", "0", "1", "0", "0"]
    np.testing.assert_allclose(ax.images[0].get_array(), [[2 / 3, 1 / 3, 0], [0, 1, 0], [1, 0, 0]])
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b", "c"]
    assert ax.get_title(loc="left") == "60.0% of 5 rows right"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "actual")


def test_confusion_keeps_the_given_order_and_classes_that_never_came():
    ax = plots.plot_confusion([1, 2], [1, 1], labels=[3, 2, 1])
    assert [text.get_text() for text in ax.texts] == ["0", "0", "0", "0", "0", "1", "0", "0", "1"]


@pytest.mark.parametrize(
    ("actual", "predicted", "options", "message"),
    [
        ([1, 2], [1], {}, r"Received: actual \(2,\), predicted \(1,\)"),
        ([], [], {}, "hold at least one label"),
        ([1, 2], [1, 1], {"labels": [1, 3]}, r"Label 2 is not among `labels`, \[1, 3\]"),
    ],
)
def test_confusion_refuses_what_it_can_not_draw(actual, predicted, options, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_confusion(actual, predicted, **options)
    assert pyplot.get_fignums() == []


def test_dollars_in_names_begin_no_formula():
    ax = plots.plot_fit([1.0, 2.0], [3.0, 4.0], {}, x_name="$x", y_name="price in $")
    ax.figure.canvas.draw()
    assert ax.get_xlabel() == r"\$x"
    assert ax.get_title(loc="left") == r"price in \$ by \$x, 2 rows"


CALLS = {
    "plot_cost_surface": (bowl, [[0.0, 0.0], [2.0, 2.0]]),
    "plot_fit": ([1.0, 2.0], [1.0, 2.0], {"line": lambda x: x[:, 0]}),
    "plot_decision_boundary": (CORNERS, HEIGHTS, upper),
    "plot_confusion": (["a", "b"], ["a", "a"]),
}
