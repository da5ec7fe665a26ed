import numpy as np
import pytest
from matplotlib import pyplot

from tests.plots.reading import labels, legend, tick_labels
from tfts import plots


def scores(num_heads=3, num_queries=5, context_length=7):
    values = np.arange(1.0, 1 + num_heads * num_queries * context_length)
    values = values.reshape(num_heads, num_queries, context_length)
    return values / values.sum(axis=-1, keepdims=True)


def drawn(ax):
    return np.asarray(ax.images[0].get_array())


def test_attention_draws_the_mean_over_the_heads():
    ax = plots.plot_attention(scores())
    np.testing.assert_allclose(drawn(ax), scores().mean(axis=0))
    assert ax.get_title(loc="left") == "Attention, mean of 3 heads"
    assert ax.get_xlabel() == "lag before the forecast origin (steps)"
    assert ax.get_ylabel() == "horizon step"
    assert ax.figure.axes[1].get_ylabel() == "attention weight"


def test_attention_draws_one_head():
    ax = plots.plot_attention(scores(), head=2)
    np.testing.assert_array_equal(drawn(ax), scores()[2])
    assert ax.get_title(loc="left") == "Attention of head 2"


@pytest.mark.parametrize("given", [scores(num_heads=1), scores()[0]], ids=["one head", "no axis of heads"])
def test_attention_of_one_head_needs_no_mean(given):
    assert plots.plot_attention(given).get_title(loc="left") == "Attention"


def test_attention_starts_its_colours_at_zero():
    image = plots.plot_attention(scores()).images[0]
    assert image.get_clim() == (0, scores().mean(axis=0).max())


def test_the_newest_row_and_the_first_step_are_right_and_top():
    ax = plots.plot_attention(scores(), freq="h")
    # Cells are centred on lags 6 to 0 and on the steps 1 to 5.
    assert ax.images[0].get_extent() == [6.5, -0.5, 5.5, 0.5]
    assert ax.get_xlim() == (6.5, -0.5)
    assert ax.get_ylim() == (5.5, 0.5)


def test_self_attention_has_lags_on_both_axes():
    ax = plots.plot_attention(scores(num_queries=7), query="context", freq="D")
    assert ax.images[0].get_extent() == [6.5, -0.5, -0.5, 6.5]
    assert ax.get_ylabel() == "lag of the row that looks (days)"
    # imshow puts row 0, the oldest, at the top of the extent.
    assert ax.images[0].origin == "upper"


@pytest.mark.parametrize(
    ("freq", "unit", "oldest"),
    [
        (None, "steps", 6),
        ("h", "hours", 6),
        ("2h", "hours", 12),
        ("15min", "minutes", 90),
        # More than six hours are not counted in minutes.
        ("90min", "hours", 9),
        ("D", "days", 6),
        ("B", "business days", 6),
        ("W-SUN", "weeks", 6),
        ("MS", "months", 6),
        ("QS-JAN", "quarters", 6),
        ("YE-DEC", "years", 6),
        ("bh", "steps of bh", 6),
    ],
)
def test_lags_are_in_units_of_time(freq, unit, oldest):
    ax = plots.plot_attention(scores(), freq=freq)
    assert ax.get_xlabel() == f"lag before the forecast origin ({unit})"
    step = oldest / 6
    assert ax.get_xlim() == (oldest + step / 2, -step / 2)


@pytest.mark.parametrize(
    ("freq", "context_length", "expected"),
    [
        ("h", 60, ["0", "12", "24", "36", "48"]),
        ("h", 168, ["0", "24", "48", "72", "96", "120", "144"]),
        ("15min", 96, ["0", "3", "6", "9", "12", "15", "18", "21"]),
        ("15min", 8, ["0", "15", "30", "45", "60", "75", "90", "105"]),
        ("D", 5, ["0", "1", "2", "3", "4"]),
    ],
)
def test_lags_are_counted_as_people_count(freq, context_length, expected):
    ax = plots.plot_attention(scores(context_length=context_length), freq=freq)
    assert tick_labels(ax) == expected


def test_a_single_step_has_no_fractions_beside_it():
    ax = plots.plot_attention(scores(num_queries=1))
    assert [place for place in ax.get_yticks() if 0.5 <= place <= 1.5] == [1]


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (
            np.ones((2, 3, 5, 7)),
            {},
            r"`scores` must be \(num_heads, query, context_length\): pick one window",
        ),
        (np.ones(7), {}, r"Received: shape \(7,\)"),
        (np.ones((0, 5, 7)), {}, r"Received: shape \(0, 5, 7\)"),
        (scores(), {"head": 3}, r"`head` must be one of 0 to 2.* Received: 3"),
        (scores(), {"head": -1}, r"`head` must be one of 0 to 2.* Received: -1"),
        (scores()[0], {"head": 0}, r"`head` needs scores with an axis of heads.*\(5, 7\), head=0"),
        (scores(), {"query": "key"}, r"`query` must be 'horizon' .* or 'context' .* Received: query='key'"),
    ],
)
def test_attention_refuses_what_it_cannot_draw(given, options, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_attention(given, **options)
    assert pyplot.get_fignums() == []


# plot_attention_heads


def test_heads_share_one_colour_scale():
    made = plots.plot_attention_heads(scores(), freq="h")
    *cells, bar = made.axes
    assert [ax.get_title(loc="left") for ax in cells] == ["head 0", "head 1", "head 2"]
    for head, ax in enumerate(cells):
        np.testing.assert_array_equal(drawn(ax), scores()[head])
        assert ax.images[0].get_clim() == (0, scores().max())
    assert bar.get_ylabel() == "attention weight"
    assert made.get_supxlabel() == "lag before the forecast origin (hours)"
    assert made.get_supylabel() == "horizon step"


@pytest.mark.parametrize(
    ("num_heads", "rows", "columns"),
    [(1, 1, 1), (3, 1, 3), (4, 2, 2), (5, 2, 3), (7, 2, 4), (8, 2, 4), (9, 3, 3)],
)
def test_heads_stand_in_even_rows_and_each_column_has_its_lags(num_heads, rows, columns):
    cells = plots.plot_attention_heads(scores(num_heads)).axes[:-1]
    assert len(cells) == num_heads
    assert cells[0].get_subplotspec().get_gridspec().get_geometry() == (rows, columns)
    labelled = [ax.xaxis.get_tick_params()["labelbottom"] for ax in cells]
    assert labelled == [head + columns >= num_heads for head in range(num_heads)]


def test_heads_refuse_scores_without_an_axis_of_heads():
    with pytest.raises(ValueError, match=r"`scores` must be .*Received: shape \(5, 7\)"):
        plots.plot_attention_heads(scores()[0])
    with pytest.raises(ValueError, match="`query` must be 'horizon'"):
        plots.plot_attention_heads(scores(), query="lag")


# seasons in heat maps


def dashed(ax):
    return [(line.get_xdata().tolist(), line.get_ydata().tolist()) for line in ax.lines]


def test_the_row_a_season_before_each_forecast_row_is_marked():
    ax = plots.plot_attention(scores(), freq="2h", season_lengths=[6])
    # Step 1 is forecast: six rows before it is lag 5, at 10 hours; step 5: lag 1, at 2 hours.
    assert dashed(ax) == [([11.0, 1.0], [0.5, 5.5])]
    assert ax.get_xlabel().endswith("\ndashed: 12 hours before the row that is forecast")
    assert ax.get_xlim() == (13, -1)
    assert ax.get_ylim() == (5.5, 0.5)


def test_the_row_a_season_before_each_row_that_looks_is_marked():
    ax = plots.plot_attention(scores(num_queries=7), query="context", freq="D", season_lengths=[2, 3])
    assert dashed(ax) == [([1.5, 8.5], [-0.5, 6.5]), ([2.5, 9.5], [-0.5, 6.5])]
    assert ax.get_xlabel().endswith("\ndashed: 2, 3 days before the row that looks")
    assert ax.get_xlim() == (6.5, -0.5)


def test_seasons_are_marked_in_every_head():
    made = plots.plot_attention_heads(scores(), freq="h", season_lengths=[6])
    assert [dashed(ax) for ax in made.axes[:-1]] == [[([5.5, 0.5], [0.5, 5.5])]] * 3
    assert made.get_supxlabel().endswith("\ndashed: 6 hours before the row that is forecast")


@pytest.mark.parametrize(
    ("seasons", "message"),
    [
        ([8], r"from 1 to 7, the rows of the context.*season_lengths=\[8\]"),
        ([3, 0], r"from 1 to 7.*season_lengths=\[3, 0\]"),
        ([2.5], r"must hold ints \(rows\).*\[2.5\]"),
        ([True], r"must hold ints \(rows\).*\[True\]"),
    ],
)
def test_a_season_must_lie_in_the_context(seasons, message):
    for draw, given in (
        (plots.plot_attention, scores()),
        (plots.plot_attention_heads, scores()),
        (plots.plot_lag_importance, np.full(7, 1 / 7)),
    ):
        with pytest.raises(ValueError, match=message):
            draw(given, season_lengths=seasons)
    assert pyplot.get_fignums() == []


# plot_lag_importance


def test_lags_are_bars_with_the_newest_on_the_right():
    ax = plots.plot_lag_importance([0.125, 0.25, 0.5, 0.125], freq="3h")
    bars = [(bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in ax.patches]
    np.testing.assert_allclose(bars, [(0, 0.125), (3, 0.25), (6, 0.5), (9, 0.125)])
    assert ax.get_xlim() == (10.5, -1.5)
    assert ax.get_title(loc="left") == "Attention by lag, most on lag 6 (50.0%)"
    assert ax.get_xlabel() == "lag before the forecast origin (hours)"
    assert legend(ax) == ["uniform attention"]
    assert list(ax.lines[0].get_ydata()) == [0.25, 0.25]


def test_hundreds_of_lags_leave_no_gaps_and_few_ticks():
    ax = plots.plot_lag_importance(np.full(512, 1 / 512), freq="h")
    assert [bar.get_width() for bar in ax.patches] == [1] * 512
    assert 3 <= len(tick_labels(ax)) <= 9
    assert plots.plot_lag_importance(np.full(120, 1 / 120)).patches[0].get_width() == 0.8


def test_a_season_before_the_origin_or_before_the_forecast_rows_is_marked():
    weights = np.full(7, 1 / 7)
    ax = plots.plot_lag_importance(weights, freq="h", season_lengths=[5])
    assert legend(ax) == ["uniform attention", "5 hours before the origin"]
    assert list(ax.lines[1].get_xdata()) == [5, 5]
    # Steps 1 to 3: five hours before them are the lags 4, 3 and 2; of two, the lag 1 and 0.
    ax = plots.plot_lag_importance(weights, freq="h", season_lengths=[5, 2], horizon=3)
    assert legend(ax)[1:] == ["5 hours before the forecast rows", "2 hours before the forecast rows"]
    spans = [patch.get_x() for patch in ax.patches[7:]], [patch.get_width() for patch in ax.patches[7:]]
    assert spans == ([1.5, -0.5], [3, 2])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.full((2, 3), 1 / 3), r"`weights` must be \(context_length,\).*Received: shape \(2, 3\)"),
        ([], r"Received: shape \(0,\)"),
        ([0.5, np.nan], "Received: values that are not finite"),
        ([0.5, 0.25], "none negative, summing to 1. Received: sum 0.75, smallest 0.25"),
        ([1.5, -0.5], "none negative, summing to 1. Received: sum 1, smallest -0.5"),
    ],
)
def test_lag_importance_needs_one_weight_a_lag(weights, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_lag_importance(weights)
    assert pyplot.get_fignums() == []


# plot_entropy


def test_entropy_has_a_line_for_each_head_and_their_mean():
    ax = plots.plot_entropy([[0.25, 0.5, 1.0], [0.75, 0.5, 0.5]])
    assert labels(ax) == legend(ax) == ["uniform attention", "head 0", "head 1", "mean of 2 heads"]
    assert [line.get_ydata().tolist() for line in ax.lines[1:]] == [
        [0.25, 0.5, 1.0],
        [0.75, 0.5, 0.5],
        [0.5, 0.5, 0.75],
    ]
    assert ax.lines[1].get_xdata().tolist() == [1, 2, 3]
    assert list(ax.lines[0].get_ydata()) == [1, 1]
    assert ax.get_ylim()[0] == 0
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("horizon step", "entropy (1 = uniform)")


@pytest.mark.parametrize("given", [[0.25, 0.5], [[0.25, 0.5]]])
def test_entropy_of_one_head_is_one_line(given):
    assert labels(plots.plot_entropy(given)) == ["uniform attention", "attention"]


def test_entropy_of_self_attention_is_by_the_lag_that_looks():
    ax = plots.plot_entropy([0.25, 0.5, 1.0], query="context", freq="2h")
    # The first row is the oldest, two rows of two hours before the newest.
    assert ax.lines[1].get_xdata().tolist() == [4, 2, 0]
    assert ax.get_xlim()[0] > ax.get_xlim()[1]
    assert ax.get_xlabel() == "lag of the row that looks (hours)"


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (
            np.ones((2, 3, 5)),
            {},
            r"must be \(horizon,\) or \(num_heads, horizon\). Received: shape \(2, 3, 5\)",
        ),
        ([], {}, r"Received: shape \(0,\)"),
        ([0.5, 2.5], {}, "must be from 0 to 1: divide.* values from 0.5 to 2.5"),
        ([0.5, np.nan], {}, "must be from 0 to 1"),
        ([0.5], {"query": "lag"}, "`query` must be 'horizon'"),
    ],
)
def test_entropy_refuses_what_is_not_normalised(given, options, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_entropy(given, **options)
    assert pyplot.get_fignums() == []


# plot_top_lags


def test_the_most_frequent_first_choices_are_on_top():
    ax = plots.plot_top_lags([2, 0, 5, 3, 0, 2, 8], freq="h", most=4)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["6", "2", "3", "0"]
    assert [bar.get_width() for bar in ax.patches] == [8, 5, 3, 2]
    assert [text.get_text() for text in ax.texts] == ["40.0%", "25.0%", "15.0%", "10.0%"]
    assert ax.get_ylim() == (3.5, -0.5)
    assert ax.get_ylabel() == "lag (hours)"
    assert ax.get_title(loc="left") == "First choice of attention, the 4 most frequent"


def test_lags_that_are_never_first_are_left_out():
    ax = plots.plot_top_lags([0, 3, 0, 1])
    assert len(ax.patches) == 2
    assert ax.get_title(loc="left") == "First choice of attention"


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        (np.ones((3, 5)), {}, r"`counts` must be \(context_length,\).*Received: shape \(3, 5\)"),
        ([0, 0], {}, "at least one positive. Received: sum 0"),
        ([3, -1], {}, "none negative.*smallest -1"),
        ([1], {"most": 0}, "`most` must be an int from 1 to 60.*most=0"),
        ([1], {"most": 61}, "most=61"),
        ([1], {"most": 2.0}, "most=2.0"),
    ],
)
def test_top_lags_refuse_what_is_no_count(counts, options, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_top_lags(counts, **options)
    assert pyplot.get_fignums() == []


# plot_head_distances


def test_distances_are_written_in_their_cells_and_can_be_read():
    ax = plots.plot_head_distances([[0, 0.25, 0.75], [0.25, 0, 1], [0.75, 1, 0]])
    written = [text.get_text() for text in ax.texts]
    assert written == ["0.00", "0.25", "0.75", "0.25", "0.00", "1.00", "0.75", "1.00", "0.00"]
    assert [text.get_color() for text in ax.texts[:3]] == ["white", "white", "black"]
    assert [text.get_position() for text in ax.texts[:3]] == [(0, 0), (1, 0), (2, 0)]
    assert ax.images[0].get_clim() == (0, 1)
    assert tick_labels(ax) == ["0", "1", "2"]


def test_distances_of_many_heads_have_no_numbers():
    assert not plots.plot_head_distances(np.zeros((17, 17))).texts


@pytest.mark.parametrize(
    ("distances", "message"),
    [
        (np.zeros((2, 3)), r"must be \(num_heads, num_heads\).*shape \(2, 3\)"),
        (np.zeros((0, 0)), r"shape \(0, 0\)"),
        ([[0, 0.5], [0.25, 0]], "must be symmetric.*largest asymmetry 0.25"),
        ([[0, 1.5], [1.5, 0]], "values from 0 to 1.5"),
        ([[0, np.nan], [np.nan, 0]], "must be symmetric"),
    ],
)
def test_distances_refuse_another_matrix(distances, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_head_distances(distances)
    assert pyplot.get_fignums() == []


# attention over variables

COLUMNS = ["x1", "x2", "x3", "x4", "x5", "hour", "sale"]


def test_attention_over_variables_names_targets_and_columns():
    ax = plots.plot_attention(scores(num_queries=2), query="variable", variables=COLUMNS)
    np.testing.assert_allclose(drawn(ax), scores(num_queries=2).mean(axis=0))
    assert [text.get_text() for text in ax.get_xticklabels()] == COLUMNS
    assert [text.get_text() for text in ax.get_yticklabels()] == ["x1", "x2"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("variable that is looked at", "target that looks")
    made = plots.plot_attention_heads(scores(num_queries=2), query="variable", variables=COLUMNS)
    assert [text.get_text() for text in made.axes[0].get_xticklabels()] == COLUMNS


def test_of_many_columns_some_are_named():
    names = [f"x{at}" for at in range(50)]
    ax = plots.plot_attention(scores(context_length=50), query="variable", variables=names)
    # Every third, so that there are at most 24.
    assert [text.get_text() for text in ax.get_xticklabels()] == names[::3]
    assert [text.get_text() for text in ax.get_yticklabels()] == names[:5]


@pytest.mark.parametrize(
    "options", [{"query": "variable"}, {"query": "variable", "variables": ["x1"]}, {"variables": COLUMNS}]
)
def test_every_column_must_be_named_and_only_columns(options):
    for draw in (plots.plot_attention, plots.plot_attention_heads):
        with pytest.raises(
            ValueError, match=r"`variables` must name every column that is looked at with query="
        ):
            draw(scores(), **options)
    assert pyplot.get_fignums() == []


def test_variables_are_bars_with_the_most_attended_on_top():
    ax = plots.plot_variable_importance([0.125, 0.625, 0.25], ["load", "heat", "sale"])
    assert [bar.get_width() for bar in ax.patches] == [0.625, 0.25, 0.125]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["heat", "sale", "load"]
    assert ax.lines[0].get_xdata()[0] == pytest.approx(1 / 3)
    assert legend(ax) == ["uniform attention"]
    assert ax.get_title(loc="left") == "Attention by variable, most on heat (62.5%)"


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([0.5, 0.5], r"`variables` must name each of the 2 weights. Received: \['load', 'heat', 'sale'\]"),
        ([0.5, 0.4, 0.0], "must be weights of attention: none negative, summing to 1. Received: sum 0.9"),
        ([[1.0]], r"`weights` must be \(variables,\), one weight a variable. Received: shape \(1, 1\)"),
    ],
)
def test_importance_refuses_what_is_no_weight_of_a_variable(weights, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_variable_importance(weights, ["load", "heat", "sale"])
    assert pyplot.get_fignums() == []


CALLS = {
    "plot_attention": (scores(),),
    "plot_lag_importance": (np.full(7, 1 / 7),),
    "plot_entropy": (np.full((3, 5), 0.5),),
    "plot_top_lags": (np.arange(7),),
    "plot_head_distances": (np.zeros((3, 3)),),
    "plot_variable_importance": ([0.5, 0.125, 0.375], ["load", "heat", "sale"]),
}
