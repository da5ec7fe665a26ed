import numpy as np
import pytest
from matplotlib import pyplot

from tests.plots.reading import tick_labels
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


CALLS = {"plot_attention": (scores(),)}
