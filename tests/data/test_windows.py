"""Which windows there are, what they hold, and in which order they come."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfts.data.panel import Panel
from tfts.data.scaling import Scaler
from tfts.data.split import chronological_split
from tfts.data.windows import WindowSpec

# One prime for each axis.
ROWS, CONTEXT, HORIZON, FEATURES, BATCH = 31, 5, 3, 7, 11


def stamps(rows):
    return pd.date_range("2024-01-01", periods=rows, freq="D")


def numbers(rows, columns=1, offset=0):
    return np.arange(offset, offset + rows * columns, dtype=np.float32).reshape(rows, columns)


def wide(rows=ROWS, columns=FEATURES, **settings):
    frame = pd.DataFrame(numbers(rows, columns), columns=list("abcdefg")[:columns], index=stamps(rows))
    return Panel.from_frame(frame, **settings)


def long(lengths, columns=("y", "x"), holes=(), **settings):
    parts = []
    for i, rows in enumerate(lengths):
        part = pd.DataFrame(numbers(rows, len(columns), 1000 * (i + 1)), columns=list(columns))
        parts.append(part.assign(s=f"s{i}", t=stamps(rows)))
    frame = pd.concat(parts, ignore_index=True)
    frame.loc[list(holes), "y"] = np.nan
    return Panel.from_frame(frame, time="t", series="s", **settings)


def known_panel(rows=13, future=HORIZON):
    """Columns y, x and promo; the last rows hold promo alone."""
    frame = pd.DataFrame(numbers(rows + future, 3), columns=["x", "promo", "y"], index=stamps(rows + future))
    frame.iloc[rows:, [0, 2]] = np.nan
    return Panel.from_frame(frame, targets="y", known_future="promo")


def gathered(dataset):
    """All batches of a dataset, one after another."""
    batches = [tf.nest.map_structure(lambda tensor: tensor.numpy(), batch) for batch in dataset]
    return tf.nest.map_structure(lambda *parts: np.concatenate(parts), *batches)


# What a window holds


def test_shapes_and_content_of_every_window():
    panel = wide()
    spec = WindowSpec(CONTEXT, HORIZON, targets="c")
    past, future = gathered(spec.dataset(panel, BATCH))
    assert past.shape == (ROWS - CONTEXT - HORIZON + 1, CONTEXT, FEATURES)
    assert future.shape == (ROWS - CONTEXT - HORIZON + 1, HORIZON, 1)
    assert past.dtype == future.dtype == np.float32
    assert spec.features(panel) == ("c", "a", "b", "d", "e", "f", "g")
    values = panel.to_frame()
    for i, origin in enumerate(spec.origins(panel)):
        np.testing.assert_array_equal(past[i], values[[*"cabdefg"]].iloc[origin - CONTEXT + 1 : origin + 1])
        np.testing.assert_array_equal(future[i], values[["c"]].iloc[origin + 1 : origin + HORIZON + 1])


def test_known_future_covers_context_and_horizon():
    panel = known_panel()
    spec = WindowSpec(CONTEXT, HORIZON)
    assert spec.features(panel) == ("y", "x")
    inputs, future = gathered(spec.dataset(panel, BATCH))
    assert inputs["past"].shape == (6, CONTEXT, 2)
    assert inputs["known_future"].shape == (6, CONTEXT + HORIZON, 1)
    # Row r holds x = 3r, promo = 3r + 1, y = 3r + 2.
    assert inputs["past"][0].tolist() == [[2, 0], [5, 3], [8, 6], [11, 9], [14, 12]]
    assert inputs["known_future"][0, :, 0].tolist() == [1, 4, 7, 10, 13, 16, 19, 22]
    assert future[0, :, 0].tolist() == [17, 20, 23]


def test_known_columns_that_a_window_does_not_name_are_past():
    panel = known_panel()
    past, _ = WindowSpec(CONTEXT, HORIZON, known_future=()).arrays(panel)
    assert past.shape == (6, CONTEXT, 3)
    assert WindowSpec(CONTEXT, HORIZON, known_future="x").features(panel) == ("y", "promo")


def test_teacher_holds_the_future_targets():
    inputs, future = gathered(
        WindowSpec(CONTEXT, HORIZON).dataset(known_panel(), BATCH, teacher_forcing=True)
    )
    assert sorted(inputs) == ["known_future", "past", "teacher"]
    np.testing.assert_array_equal(inputs["teacher"], future)
    inputs, future = gathered(WindowSpec(CONTEXT, HORIZON).dataset(wide(), BATCH, teacher_forcing=True))
    assert sorted(inputs) == ["past", "teacher"]
    np.testing.assert_array_equal(inputs["teacher"], future)


def test_arrays_equal_the_dataset():
    for panel in (wide(), known_panel(), long([13, 17, 4]), long([13, 17], holes=[6], missing="drop")):
        spec = WindowSpec(CONTEXT, HORIZON)
        arrays = spec.arrays(panel)
        tf.nest.map_structure(np.testing.assert_array_equal, arrays, gathered(spec.dataset(panel, BATCH)))
        rows = spec.origins(panel)[::-2]
        some = spec.arrays(panel, rows)
        tf.nest.map_structure(lambda a, b: np.testing.assert_array_equal(a, b[::-2]), some, arrays)
        tf.nest.map_structure(np.testing.assert_array_equal, spec.inputs(panel, rows), some[0])


@pytest.mark.parametrize("targets", ["a", ("a", "b"), ("a", "b", "c", "d", "e", "f", "g")])
@pytest.mark.parametrize("stride", [1, 2])
def test_arrays_of_one_series_without_gaps_are_views(targets, stride):
    panel = wide()
    past, future = WindowSpec(CONTEXT, HORIZON, targets, stride=stride).arrays(panel)
    assert np.shares_memory(past, panel.values)
    assert np.shares_memory(future, panel.values)
    assert not past.flags.writeable


@pytest.mark.parametrize("columns", [{"targets": "y"}, {"targets": "y", "known_future": "x"}])
def test_input_batches_hold_what_inputs_does(columns):
    panel, spec = long([29, 31], **columns), WindowSpec(CONTEXT, HORIZON)
    # Of both series, in no order, one twice.
    rows = np.array([47, 7, 23, 52, 19, 7, 11, 41])
    batches = list(spec.input_batches(panel, rows, 5))
    sizes = [len(batch["past"] if isinstance(batch, dict) else batch) for batch in batches]
    assert sizes == [5, 3]
    found, expected = gathered(batches), spec.inputs(panel, rows)
    assert tf.nest.map_structure(np.array_equal, found, expected) in (
        True,
        {"past": True, "known_future": True},
    )
    taught = gathered(spec.input_batches(panel, rows, 5, teacher_forcing=True))
    assert taught["teacher"].shape == (8, HORIZON, 1)
    assert not taught["teacher"].any()
    with pytest.raises(ValueError, match=r"windows of . rows that start at rows -1 to 3"):
        spec.input_batches(panel, np.array([3, 7]))


def test_arrays_outside_the_table():
    panel = wide()
    spec = WindowSpec(CONTEXT, HORIZON)
    with pytest.raises(
        ValueError, match=r"Expected windows inside the 31 rows .* windows of 5 rows .* rows -1 to -1"
    ):
        spec.arrays(panel, np.array([3]))
    with pytest.raises(ValueError, match=r"windows of 3 rows that start at rows 29 to 29"):
        spec.arrays(panel, np.array([28]))


# Which windows there are


def test_no_window_crosses_from_one_series_to_the_next():
    panel = long([9, 7, 11])
    # The second series has 7 rows, one too few for a window of 8.
    assert WindowSpec(CONTEXT, HORIZON).origins(panel).tolist() == [4, 5, 20, 21, 22, 23]
    assert WindowSpec(CONTEXT, HORIZON).origins(panel).dtype == np.int64


def test_index_names_series_and_origin_in_the_order_of_the_dataset():
    panel = long([9, 8])
    spec = WindowSpec(CONTEXT, HORIZON)
    index = spec.index(panel)
    days = stamps(9)
    assert list(index.columns) == ["series", "origin"]
    assert index["series"].tolist() == ["s0", "s0", "s1"]
    assert index["origin"].tolist() == [days[4], days[5], days[4]]
    past, _ = gathered(spec.dataset(panel, 2))
    frame = panel.to_frame().set_index(["s", "t"])["y"]
    assert past[:, -1, 0].tolist() == frame.loc[list(index.itertuples(index=False, name=None))].tolist()


def test_stride_is_rows_between_origins_of_each_series():
    spec = WindowSpec(CONTEXT, HORIZON, stride=2)
    assert spec.origins(long([11, 13])).tolist() == [4, 6, 15, 17, 19]


def test_windows_that_touch_a_gap_are_left_out():
    panel = wide(columns=1, missing="drop")
    values = panel.values.copy()
    frame = pd.DataFrame({"a": values[:, 0]}, index=panel.times)
    frame.iloc[[12, 20]] = np.nan
    panel = Panel.from_frame(frame, missing="drop")
    spec = WindowSpec(CONTEXT, HORIZON)
    expected = [o for o in range(4, 28) if not np.isnan(frame["a"].iloc[o - 4 : o + 4]).any()]
    assert spec.origins(panel).tolist() == expected == [4, 5, 6, 7, 8, 25, 26, 27]
    past, future = gathered(spec.dataset(panel))
    assert np.isfinite(past).all()
    assert np.isfinite(future).all()


def test_no_window_ends_on_an_interpolated_row():
    frame = pd.DataFrame({"y": [0.0, 1, 2, np.nan, np.nan, 5, 7, 6, 8, 9]}, index=stamps(10))
    panel = Panel.from_frame(frame, missing="interpolate")
    assert WindowSpec(2, 1).origins(panel).tolist() == [1, 2, 5, 6, 7, 8]
    # An interpolated row may be forecast and may stand in a context that ends later.
    past, future = WindowSpec(2, 1).arrays(panel)
    assert future[1, 0, 0] == 3
    assert past[2, :, 0].tolist() == [4, 5]


def test_forecast_origins_go_to_the_last_row():
    panel = long([9, 4, 7])
    spec = WindowSpec(CONTEXT, HORIZON)
    assert spec.forecast_origins(panel).tolist() == [4, 5, 6, 7, 8, 17, 18, 19]
    # With a stride they are counted back from the last row.
    assert WindowSpec(CONTEXT, HORIZON, stride=3).forecast_origins(panel).tolist() == [5, 8, 19]


def test_forecast_origins_need_the_known_future():
    spec = WindowSpec(CONTEXT, HORIZON)
    assert spec.forecast_origins(known_panel(13, future=HORIZON))[-1] == 12
    assert spec.forecast_origins(known_panel(13, future=1))[-1] == 10
    assert spec.forecast_origins(known_panel(13, future=7))[-1] == 12
    assert spec.origins(known_panel(13, future=7))[-1] == 9


def test_forecast_origins_leave_out_gaps_in_what_is_seen():
    frame = pd.DataFrame({"y": [0.0, 1, 2, np.nan, 4, 5, 7, np.nan]}, index=stamps(8))
    assert WindowSpec(2, 3).forecast_origins(Panel.from_frame(frame, missing="drop")).tolist() == [1, 2, 5, 6]
    filled = Panel.from_frame(frame, missing="interpolate")
    assert WindowSpec(2, 3).forecast_origins(filled).tolist() == [1, 2, 4, 5, 6]


def test_training_windows_do_not_forecast_what_a_validation_row_filled_in():
    values = np.arange(20.0)
    values[8:10] = np.nan
    panel = Panel.from_frame(pd.DataFrame({"y": values}, index=stamps(20)), missing="interpolate")
    train, validation, _ = chronological_split(panel, 0.3, 0.2)
    assert train.spans[0].observed_end == 10
    # Rows 8 and 9 were filled from row 10, the first of validation.
    assert WindowSpec(2, 1).origins(train).tolist() == [1, 2, 3, 4, 5, 6]
    assert WindowSpec(2, 1).origins(validation).tolist() == [10, 11, 12, 13, 14]


def test_known_columns_filled_across_a_split_are_not_trained_on_either():
    frame = pd.DataFrame(numbers(20, 2), columns=["y", "x"], index=stamps(20))
    frame.iloc[9, 1] = np.nan
    panel = Panel.from_frame(frame, targets="y", missing="interpolate")
    train = chronological_split(panel, 0.3, 0.2).train
    assert WindowSpec(2, 1, known_future="x").origins(train).tolist() == [1, 2, 3, 4, 5, 6, 7]


# The order of the dataset


def first_rows(dataset):
    return gathered(dataset)[1][:, 0, 0].tolist()


def test_shuffled_orders_are_new_in_each_epoch_and_repeatable_by_seed():
    panel, spec = wide(columns=1), WindowSpec(CONTEXT, HORIZON)
    plain = first_rows(spec.dataset(panel, BATCH))
    assert plain == sorted(plain)
    dataset = spec.dataset(panel, BATCH, shuffle=True, seed=3)
    epochs = [first_rows(dataset) for _ in range(3)]
    assert all(sorted(epoch) == plain for epoch in epochs)
    assert len({*map(tuple, epochs), tuple(plain)}) == 4
    again = spec.dataset(panel, BATCH, shuffle=True, seed=3)
    assert [first_rows(again) for _ in range(3)] == epochs
    other = spec.dataset(panel, BATCH, shuffle=True, seed=5)
    assert first_rows(other) != epochs[0]
    unseeded = [first_rows(spec.dataset(panel, BATCH, shuffle=True)) for _ in range(2)]
    assert unseeded[0] != unseeded[1]


def test_orders_under_keras_seeds_and_repeat():
    panel, spec = wide(columns=1), WindowSpec(CONTEXT, HORIZON)

    def two_epochs():
        keras.utils.set_random_seed(7)
        return first_rows(spec.dataset(panel, BATCH, shuffle=True, seed=3).repeat(2))

    rows = two_epochs()
    assert rows == two_epochs()
    half = len(rows) // 2
    assert rows[:half] != rows[half:]
    assert sorted(rows[:half]) == sorted(rows[half:])


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(("batch_size", "sizes"), [(1, [1] * 24), (11, [11, 11, 2]), (24, [24]), (29, [24])])
def test_batches_and_cardinality(shuffle, batch_size, sizes):
    dataset = WindowSpec(CONTEXT, HORIZON).dataset(wide(), batch_size, shuffle)
    assert [len(future) for _, future in dataset] == sizes
    assert dataset.cardinality() == len(sizes)
    assert dataset.element_spec[0].shape.as_list() == [None, CONTEXT, FEATURES]
    assert dataset.element_spec[1].shape.as_list() == [None, HORIZON, FEATURES]


def test_keras_fits_and_predicts_from_the_datasets():
    panel, spec = wide(columns=2, targets="a"), WindowSpec(CONTEXT, HORIZON)
    model = keras.Sequential(
        [
            keras.Input((CONTEXT, 2)),
            keras.layers.Flatten(),
            keras.layers.Dense(HORIZON),
            keras.layers.Reshape((-1, 1)),
        ]
    )
    model.compile("sgd", "mse")
    dataset = spec.dataset(panel, BATCH, shuffle=True, seed=3)
    # Keras warns that it leaves the order to a tf.data.Dataset.
    history = model.fit(dataset, epochs=2, validation_data=spec.dataset(panel), shuffle=False, verbose=0)
    assert len(history.history["val_loss"]) == 2
    rows = spec.forecast_origins(panel)
    assert model.predict(spec.inputs(panel, rows), verbose=0).shape == (len(rows), HORIZON, 1)


# Refusals


@pytest.mark.parametrize("name", ["context_length", "horizon", "stride"])
@pytest.mark.parametrize("value", [0, -1, 2.5, True, "3"])
def test_lengths_that_can_not_be(name, value):
    settings = {"context_length": 5, "horizon": 3, name: value}
    with pytest.raises(
        ValueError, match=rf"`{name}` must be an int >= 1 \(rows\)\. Received: {name}={value!r}"
    ):
        WindowSpec(**settings)


@pytest.mark.parametrize("batch_size", [0, 2.5, True])
def test_batch_sizes_that_can_not_be(batch_size):
    with pytest.raises(ValueError, match=rf"`batch_size` must be an int >= 1 .* batch_size={batch_size!r}"):
        WindowSpec(CONTEXT, HORIZON).dataset(wide(), batch_size)


def test_columns_that_are_not_there():
    with pytest.raises(KeyError, match=r"Unknown column 'z'\. Expected one of: a, b"):
        WindowSpec(CONTEXT, HORIZON, targets="z").dataset(wide(columns=2))
    with pytest.raises(KeyError, match="Unknown column 'z'"):
        WindowSpec(CONTEXT, HORIZON, targets="a", known_future=["z"]).dataset(wide(columns=2))


@pytest.mark.parametrize("changes", [{"targets": "promo"}, {"known_future": ("promo", "y")}])
def test_a_target_is_never_given_as_known(changes):
    with pytest.raises(
        ValueError, match=r"is a target and known_future, so the model would be given the answer"
    ):
        WindowSpec(CONTEXT, HORIZON, **changes).dataset(known_panel())


def test_too_few_rows_for_one_window():
    spec = WindowSpec(CONTEXT, HORIZON)
    message = (
        r"There are too few rows for one window\. The table has 7 rows from 2024-01-01 00:00:00 on, of which 7 may be "
        r"forecast; a window takes 8 \(context_length=5, horizon=3\)\. Use more rows or shorter windows"
    )
    for ask in (spec.origins, spec.index, spec.dataset, spec.arrays):
        with pytest.raises(ValueError, match=message):
            ask(wide(7))
    with pytest.raises(ValueError, match=r"Series 's1', the longest, has 7 rows from 2024-01-01"):
        spec.origins(long([6, 7]))
    with pytest.raises(ValueError, match=r"has 4 rows .* a window takes 5 \(context_length=5, horizon=3\)"):
        spec.forecast_origins(wide(4))
    with pytest.raises(ValueError, match=r"has 31 rows .* of which 2 may be forecast; a window takes 8"):
        spec.origins(chronological_split(wide(), 0.1, "2024-01-30").test)


def test_gaps_in_every_window():
    panel = long([9], holes=[3, 6], missing="drop")
    with pytest.raises(
        ValueError, match=r"Every window touches a missing value .* missing='interpolate' with a larger"
    ):
        WindowSpec(CONTEXT, HORIZON).origins(panel)


def test_known_future_that_ends_too_early():
    with pytest.raises(
        ValueError, match=r"No origin can be forecast from\. .* \['promo'\] must hold values 3 rows past"
    ):
        WindowSpec(CONTEXT, HORIZON).forecast_origins(known_panel(6, future=1))


# Properties


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(3, 17), min_size=1, max_size=3),
    holes=st.sets(st.integers(0, 50), max_size=4),
    missing=st.sampled_from(["drop", "interpolate"]),
    context_length=st.integers(1, 5),
    horizon=st.integers(1, 3),
)
def test_windows_are_all_the_naive_slices_without_gaps(lengths, holes, missing, context_length, horizon):
    # A series whose values are all gone is refused, so its first row stays.
    holes -= {0, *np.cumsum(lengths).tolist()}
    holes = {hole for hole in holes if hole < sum(lengths)}
    panel = long(lengths, holes=holes, missing=missing, targets="y", allow_constant=True)
    spec = WindowSpec(context_length, horizon)
    expected = []
    for start, _, _, end in panel.spans:
        for origin in range(start + context_length - 1, end - horizon):
            past = panel.values[origin - context_length + 1 : origin + 1]
            future = panel.values[origin + 1 : origin + horizon + 1, :1]
            if not np.isnan(past).any() and not np.isnan(future).any() and origin not in holes:
                expected.append((origin, past, future))
    if not expected:
        with pytest.raises(ValueError, match=r"too few rows|Every window"):
            spec.origins(panel)
        return
    assert spec.origins(panel).tolist() == [origin for origin, _, _ in expected]
    past, future = spec.arrays(panel)
    np.testing.assert_array_equal(past, [p for _, p, _ in expected])
    np.testing.assert_array_equal(future, [f for _, _, f in expected])


@settings(max_examples=12, deadline=None)
@given(
    lengths=st.lists(st.integers(8, 23), min_size=1, max_size=3),
    batch_size=st.integers(1, 13),
    seed=st.integers(0, 2**31),
    known=st.booleans(),
)
def test_a_shuffled_dataset_is_a_permutation_of_the_plain_one(lengths, batch_size, seed, known):
    panel = long(lengths, targets="y", known_future="x" if known else ())
    spec = WindowSpec(CONTEXT, HORIZON)
    plain = spec.arrays(panel)
    mixed = gathered(spec.dataset(panel, batch_size, shuffle=True, seed=seed))
    order = np.argsort(mixed[1][:, 0, 0])
    tf.nest.map_structure(lambda a, b: np.testing.assert_array_equal(a, b[order]), plain, mixed)


@settings(max_examples=40, deadline=None)
@given(
    holes=st.sets(st.integers(1, 29), max_size=12),
    changed=st.integers(1, 30),
    limit=st.sampled_from([None, 1, 2]),
    gap=st.integers(0, 2),
)
def test_nothing_after_the_origin_reaches_a_context(holes, changed, limit, gap):
    frame = pd.DataFrame(
        {"y": np.arange(ROWS, dtype=float) % 13, "x": np.arange(ROWS) % 5.0}, index=stamps(ROWS)
    )
    frame.iloc[sorted(holes - {changed}), 0] = np.nan
    other = frame.copy()
    other.iloc[changed] += 100
    spec = WindowSpec(3, 2, targets="y")
    made = []
    for table in (frame, other):
        panel = Panel.from_frame(table, missing="interpolate", limit=limit)
        split = chronological_split(panel, 0.3, 0.3, gap=gap)
        made.append((panel, split.train))
    rows = spec._find(made[0][0], 0)
    np.testing.assert_array_equal(rows, spec._find(made[1][0], 0))
    before = rows[rows < changed]
    np.testing.assert_array_equal(spec.past(made[0][0], before), spec.past(made[1][0], before))
    # A training window holds nothing of a row that is not a training row, context or future.
    train_end = made[0][1].spans[0].observed_end
    if changed >= train_end:
        rows = spec._find(made[0][1], spec.horizon)
        np.testing.assert_array_equal(rows, spec._find(made[1][1], spec.horizon))
        for first, second in zip(spec.arrays(made[0][1], rows), spec.arrays(made[1][1], rows), strict=True):
            np.testing.assert_array_equal(first, second)


# Long tables


def test_an_order_made_place_by_place_is_a_new_permutation_each_epoch(monkeypatch):
    monkeypatch.setattr("tfts.data.windows._SORTED", 10)
    panel, spec = wide(), WindowSpec(CONTEXT, HORIZON)
    dataset = spec.dataset(panel, 4, shuffle=True, seed=3)
    straight = spec.arrays(panel)[1]
    epochs = [np.concatenate([future for _, future in dataset.as_numpy_iterator()]) for _ in range(2)]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch[:, 0, 0]), np.sort(straight[:, 0, 0]))
        assert (epoch != straight).any()
    assert (epochs[0] != epochs[1]).any()
    again = spec.dataset(panel, 4, shuffle=True, seed=3)
    first = np.concatenate([future for _, future in again.as_numpy_iterator()])
    np.testing.assert_array_equal(first, epochs[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("writeable", [True, False])
def test_a_large_table_gives_the_same_windows_shared_or_copied(monkeypatch, writeable, dtype):
    monkeypatch.setattr("tfts.data._batches._SHARED", 0)
    panel, spec = wide(), WindowSpec(CONTEXT, HORIZON)
    panel = Scaler("none").fit(panel).transform(panel, dtype)
    panel.values.flags.writeable = writeable
    past = np.concatenate([past for past, _ in spec.dataset(panel, 4).as_numpy_iterator()])
    np.testing.assert_array_equal(past, spec.arrays(panel)[0])


def test_arrays_keep_every_digit_and_what_keras_gets_is_float32():
    panel = Panel.from_frame(pd.DataFrame({"y": 1e12 + np.arange(9.0), "x": np.arange(9.0)}, index=stamps(9)))
    spec = WindowSpec(CONTEXT, HORIZON, targets="y")
    past, future = spec.arrays(panel)
    assert past.dtype == future.dtype == np.float64
    assert (future[0, :, 0] - past[0, -1, 0]).tolist() == [1, 2, 3]
    for tensor in gathered(spec.dataset(panel)):
        assert tensor.dtype == np.float32
    scaled = Scaler().fit(panel).transform(panel)
    assert spec.inputs(scaled, spec.origins(scaled)).dtype == np.float32
    # Before the rounding to float32 the level is gone: the steps are 1 / scale.
    steps = np.diff(gathered(spec.dataset(scaled))[1][0, :, 0])
    np.testing.assert_allclose(steps, 1 / np.std(np.arange(9)), rtol=1e-5)


def test_a_longer_history_gives_the_windows_of_a_longer_context():
    frame = pd.DataFrame({"y": np.arange(40.0)}, index=stamps(40))
    frame.iloc[20:23] = np.nan
    # A gap of three rows is too long to be filled.
    panel = Panel.from_frame(frame, missing="interpolate", limit=2)
    longer, spec = WindowSpec(11, 3), WindowSpec(5, 3, history=11)
    np.testing.assert_array_equal(spec.origins(panel), longer.origins(panel))
    # Origins 10 to 16 before the gap and 33 to 36 after it.
    assert spec.origins(panel).tolist() == [*range(10, 17), *range(33, 37)]
    past, future = spec.arrays(panel)
    np.testing.assert_array_equal(past, longer.arrays(panel)[0][:, 6:])
    np.testing.assert_array_equal(future, longer.arrays(panel)[1])
    with pytest.raises(
        ValueError, match=r"a window takes 33 \(.*history=30.* Use more rows or shorter windows"
    ):
        WindowSpec(5, 3, history=30).origins(chronological_split(panel, 0.2, 0, context="own").train)


def test_a_history_holds_the_context():
    with pytest.raises(ValueError, match=r"`history` must be None or at least context_length=5.*history=3"):
        WindowSpec(5, 3, history=3)


def _two_series(short=20, long=180):
    days = [pd.date_range("2024-01-01", periods=rows) for rows in (short, long)]
    frame = pd.DataFrame(
        {
            "shop": ["a"] * short + ["b"] * long,
            "day": days[0].append(days[1]),
            "y": np.r_[np.arange(short), 1000.0 + np.arange(long)],
        }
    )
    return Panel.from_frame(frame, time="day", series="shop")


def _last_values(dataset):
    return np.concatenate([past[:, -1, 0] for past, _ in dataset.as_numpy_iterator()])


def test_some_windows_of_a_pass_are_others_in_the_next():
    panel = _two_series()
    dataset = WindowSpec(3, 2).dataset(panel, batch_size=16, shuffle=True, seed=1, count=50)
    one, two = _last_values(dataset), _last_values(dataset)
    assert (len(one), len(dataset)) == (50, 4)
    assert len(set(one)) == 50
    assert set(one) != set(two)
    everything = WindowSpec(3, 2).dataset(panel, batch_size=16, shuffle=True, seed=1, count=10_000)
    assert len(_last_values(everything)) == WindowSpec(3, 2).count(panel)


def test_every_series_may_have_an_equal_chance():
    panel, spec = _two_series(), WindowSpec(3, 2)
    dataset = spec.dataset(panel, batch_size=64, shuffle=True, seed=1, count=4000, by_series=True)
    found = _last_values(dataset)
    assert len(found) == 4000
    assert np.mean(found < 1000) == pytest.approx(0.5, abs=0.03)
    # Every window of a series has an equal chance too: 16 of the short one, 176 of the long one.
    assert np.bincount(found[found < 1000].astype(int))[2:].tolist() == pytest.approx([125] * 16, rel=0.35)
    assert len(set(found[found >= 1000])) == 176
    plain = _last_values(spec.dataset(panel, batch_size=64, shuffle=True, seed=1))
    assert np.mean(plain < 1000) == pytest.approx(16 / 192)


@pytest.mark.parametrize("options", [{"count": 5}, {"count": 0, "shuffle": True}])
def test_a_number_of_windows_is_drawn_at_random(options):
    with pytest.raises(ValueError, match=r"`count` must be an int >= 1 \(windows\), with shuffle=True"):
        WindowSpec(3, 2).dataset(_two_series(), **options)
