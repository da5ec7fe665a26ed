"""Panels and windows whose holes stay holes."""

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfts.data.holes import between_neighbours, neighbour_rows, windows_to_learn
from tfts.data.panel import Panel
from tfts.data.scaling import Scaler
from tfts.data.spans import Spans
from tfts.data.split import chronological_split
from tfts.data.windows import WindowSpec

NAN = np.nan


def _panel(values, **options):
    """Columns a, b, ... of hourly rows."""
    values = np.asarray(values, dtype=float)
    values = values[:, None] if values.ndim == 1 else values
    hours = pd.date_range("2024-01-01", periods=len(values), freq="h")
    frame = pd.DataFrame(values, columns=list("abcdefg")[: values.shape[1]], index=hours)
    return Panel.from_frame(frame, missing="mask", **options)


def _random(rows=97, columns=3, share=0.3, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, columns))
    values[rng.random(values.shape) < share] = NAN
    return values


def test_holes_stay_and_are_marked():
    panel = _panel([1.0, NAN, 3.0])
    assert panel.masked
    np.testing.assert_array_equal(panel.values[:, 0], [1, NAN, 3])
    assert panel.filled[:, 0].tolist() == [False, True, False]


def test_a_window_fills_between_rows_up_to_its_origin_alone():
    panel = _panel([2.0, NAN, NAN, 8.0, NAN, 10.0])
    inputs = WindowSpec(4, 1).inputs(panel, np.array([3, 4]))
    # 2 to 8 in three steps; then 8, which the 10 after the origin does not pull up.
    np.testing.assert_allclose(inputs["past"][..., 0], [[2, 4, 6, 8], [8, 8, 8, 8]])
    np.testing.assert_array_equal(inputs["observed"][..., 0], [[1, 0, 0, 1], [0, 0, 1, 0]])
    assert inputs["observed"].dtype == np.float32


def test_a_column_without_a_value_in_the_window_is_zero():
    panel = _panel([[1.0, 5.0], [2.0, NAN], [3.0, NAN], [4.0, NAN]], targets="a")
    inputs = WindowSpec(2, 1).inputs(panel, np.array([1, 3]))
    np.testing.assert_array_equal(inputs["past"][..., 1], [[5, 5], [0, 0]])


def test_a_window_never_sees_a_neighbour_of_another_series():
    days = pd.date_range("2024-01-01", periods=3)
    first, second = pd.DataFrame({"y": [1.0, 2.0, 3.0]}), pd.DataFrame({"y": [NAN, 70.0, 80.0]})
    frame = pd.concat(
        [first.assign(shop="a", day=days), second.assign(shop="b", day=days)], ignore_index=True
    )
    panel = Panel.from_frame(frame, time="day", series="shop", missing="mask")
    before, after = neighbour_rows(panel.values, panel.spans)
    assert before.ravel().tolist() == [0, 1, 2, -1, 4, 5]
    assert after.ravel().tolist() == [0, 1, 2, 4, 4, 5]
    np.testing.assert_array_equal(WindowSpec(2, 1).past(panel, np.array([4]))[0, :, 0], [70, 70])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.floats(0, 0.8), context_length=st.integers(1, 11))
def test_windows_are_those_of_pandas_and_of_the_dataset(seed, share, context_length):
    panel, spec = _panel(_random(seed=seed, share=share), targets=["a", "b"]), WindowSpec(context_length, 2)
    rows = spec.forecast_origins(panel)[:40]
    inputs = spec.inputs(panel, rows)
    for i, row in enumerate(rows):
        window = pd.DataFrame(panel.values[row - context_length + 1 : row + 1])
        expected = window.interpolate(limit_area="inside").ffill().bfill().fillna(0)
        np.testing.assert_allclose(inputs["past"][i], expected, atol=1e-12)
        np.testing.assert_array_equal(inputs["observed"][i], window.notna())
    (batch,) = spec.input_batches(panel, rows, len(rows))
    np.testing.assert_allclose(batch["past"], inputs["past"], atol=1e-6)
    np.testing.assert_array_equal(batch["observed"], inputs["observed"])


@pytest.mark.parametrize("begin", [0, 30])
def test_the_middle_of_a_long_window_is_looked_up(begin):
    values = _random(rows=211, share=0.15)
    # A series whose first rows hold nothing.
    values[:begin] = NAN
    panel, spec = _panel(values), WindowSpec(83, 2)
    rows = spec.forecast_origins(panel)
    (batch,) = spec.input_batches(panel, rows, len(rows))
    inputs = spec.inputs(panel, rows)
    np.testing.assert_allclose(batch["past"], inputs["past"], atol=1e-6)
    np.testing.assert_array_equal(batch["observed"], inputs["observed"])


def test_rows_after_the_origin_change_nothing():
    values, spec = _random(), WindowSpec(11, 5)
    before = spec.inputs(_panel(values), np.array([50]))
    values[51:] += 1000
    after = spec.inputs(_panel(values), np.array([50]))
    for name, found in before.items():
        np.testing.assert_array_equal(found, after[name])


def test_an_origin_needs_each_target_once_and_one_answer():
    values = np.array([[1, 1], [NAN, 2], [NAN, 3], [4, NAN], [NAN, NAN], [NAN, NAN], [7, NAN], [8, 8.0]])
    panel, spec = _panel(values), WindowSpec(2, 2)
    # Contexts of rows 1 to 3 and 7 see both columns; of those the future of row 3 has no value at all.
    assert spec.forecast_origins(panel).tolist() == [1, 3, 7]
    assert spec.origins(panel).tolist() == [1]
    _, future = spec.arrays(panel)
    np.testing.assert_array_equal(future[0], [[NAN, 3], [4, NAN]])


def test_a_forecast_is_possible_when_the_newest_rows_are_absent():
    panel = _panel([1.0, 2.0, 3.0, NAN, NAN])
    assert panel.spans.tolist() == [[0, 0, 5, 5]]
    assert WindowSpec(3, 2).forecast_origins(panel).tolist() == [2, 3, 4]


def test_rows_that_hold_known_columns_alone_are_the_future():
    values = [[1.0, 0.0], [2.0, NAN], [3.0, 4.0], [NAN, 6.0]]
    panel = _panel(values, targets="a", known_future="b")
    assert panel.spans.tolist() == [[0, 0, 3, 4]]
    # A column that is known ahead is no secret: its holes lie on the line.
    np.testing.assert_array_equal(panel.values[:, 1], [0, 2, 4, 6])
    inputs = WindowSpec(2, 1).inputs(panel, np.array([2]))
    np.testing.assert_array_equal(inputs["known_future"][0, :, 0], [2, 4, 6])
    assert inputs["observed"].shape == (1, 2, 1)


def test_rows_at_the_end_that_hold_nothing_are_left_out():
    values = [[1.0, 0.0], [2.0, 1.0], [NAN, NAN], [NAN, 5.0], [NAN, NAN]]
    panel = _panel(values, targets="a", known_future="b")
    assert panel.spans.tolist() == [[0, 0, 2, 4]]
    np.testing.assert_array_equal(panel.values[:4, 1], [0, 1, 3, 5])


def test_a_column_known_ahead_that_ends_before_another_is_refused():
    values = [[1.0, 0.0, 0.0], [2.0, 1.0, NAN], [NAN, 2.0, 1.0], [NAN, 5.0, NAN]]
    with pytest.raises(
        ValueError, match=r"Column 'c' has 1 missing values in the forecast rows \(first: .*03:00:00\)"
    ):
        _panel(values, targets="a", known_future=["b", "c"])


def test_labels_are_never_missing():
    frame = pd.DataFrame(
        {"y": [1.0, NAN, 3.0, 4.0], "kind": ["u", None, "v", "u"]},
        index=pd.date_range("2024-01-01", periods=4),
    )
    panel = Panel.from_frame(frame, targets="y", missing="mask")
    assert WindowSpec(3, 1).inputs(panel, np.array([2]))["observed"][0, :, 1].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            [[1.0, NAN], [2.0, NAN], [3.0, NAN], [4.0, NAN], [5.0, 1.0], [6.0, 2.0]],
            r"The mask hides too much: no window sees each of the targets \['a', 'b'\] in its context at least once, "
            r"and one of them in its future\..*6 rows",
        ),
        ([[1.0, NAN], [2.0, NAN], [3.0, NAN]], "Target 'b' has no value in any row"),
    ],
)
def test_a_mask_that_hides_a_target_of_every_window_is_told(values, message):
    with pytest.raises(ValueError, match=message):
        WindowSpec(2, 2).origins(_panel(values))


def test_a_forecast_of_hidden_targets_says_nothing_of_an_answer():
    panel = _panel([[1.0, 1.0], [2.0, NAN], [3.0, NAN]], allow_constant=True)
    part = dataclasses.replace(panel, spans=panel.spans.replace(start=[1], target_start=[1]))
    with pytest.raises(ValueError, match=re.escape("in its context at least once. The table has 2 rows")):
        WindowSpec(2, 1).forecast_origins(part)


def test_a_teacher_has_no_holes():
    panel, spec = _panel([1.0, 2.0, 3.0, NAN, NAN, 6.0]), WindowSpec(2, 3)
    (batch,) = spec.dataset(panel, teacher_forcing=True)
    np.testing.assert_array_equal(batch[0]["teacher"][..., 0], [[3, 3, 3], [3, 3, 6]])
    np.testing.assert_array_equal(batch[1][..., 0], [[3, NAN, NAN], [NAN, NAN, 6]])


def test_logarithms_are_filled_in_their_own_units():
    panel = _panel([1.0, NAN, 100.0, 10.0])
    scaled = Scaler("log").fit(panel).transform(panel)
    offset, scale = Scaler("log").fit(panel).affine("", ["a"])
    past = WindowSpec(3, 1).past(scaled, np.array([2]))[0, :, 0]
    np.testing.assert_allclose(np.exp(past * scale + offset), [1, 10, 100], rtol=1e-6)


def test_a_new_series_with_holes_is_scaled_by_what_was_observed():
    days = pd.date_range("2024-01-01", periods=4)
    old, new = (
        Panel.from_frame(
            pd.DataFrame({"y": values, "x": others, "shop": shop, "day": days}),
            time="day",
            series="shop",
            targets="y",
            missing="mask",
        )
        for shop, values, others in (
            ("a", [0.0, 1.0, 2.0, 3.0], [2.0, 4.0, 6.0, 8.0]),
            ("b", [NAN, 10.0, NAN, 30.0], [NAN, NAN, NAN, NAN]),
        )
    )
    more, _ = Scaler("minmax", per_series=True).fit(old).with_unseen(new, 4)
    # What was never observed has the scale of all training rows.
    assert [part.tolist() for part in more.affine("b", ["y", "x"])] == [[10, 2], [20, 6]]


def test_the_mask_is_part_of_what_was_fitted():
    values = _random(share=0)
    panel = _panel(values)
    assert panel.digest() != dataclasses.replace(panel, masked=False).digest()
    assert panel.extend(3).masked
    assert all(part.masked for part in chronological_split(panel, 0.2, 0.2))
    assert WindowSpec(3, 1).task(panel).masked


def test_holes_between_neighbours_stay_within_a_series():
    spans = Spans(*(np.array(rows) for rows in ([0, 3], [0, 3], [3, 6], [3, 6])))
    values = np.array([[NAN], [1.0], [NAN], [5.0], [NAN], [7.0]])
    assert between_neighbours(values, spans).ravel().tolist() == [1, 1, 1, 5, 6, 7]


def test_windows_to_learn_have_half_of_their_future():
    panel, spec = _panel([1.0, 2.0, NAN, NAN, 5.0, 6.0]), WindowSpec(1, 3)
    rows, targets = windows_to_learn(panel, spec, np.array([0, 1, 2]))
    # Futures 2 _ _, _ _ 5 and _ 5 6.
    assert rows.tolist() == [2]
    np.testing.assert_allclose(targets[:, 0], [1, 2, 3, 4, 5, 6])
