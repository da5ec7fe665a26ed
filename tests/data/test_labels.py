import numpy as np
import pandas as pd
import pytest

from tfts.data.panel import Panel
from tfts.data.scaling import Scaler
from tfts.data.split import chronological_split
from tfts.data.windows import WindowSpec

DAYS = pd.date_range("2024-01-01", periods=6)


def _table(**columns):
    """Two shops of six days."""
    rows = {"shop": np.repeat(["a", "b"], 6), "day": np.tile(DAYS, 2), "y": np.arange(12.0)}
    return pd.DataFrame({**rows, **columns})


def _panel(frame, **options):
    return Panel.from_frame(frame, time="day", series="shop", **options)


PROMOTION = ["gift", None, "sale", "sale", "gift", "gift"] * 2


@pytest.mark.parametrize("dtype", [object, "string", "category", "string[pyarrow]"])
def test_text_and_categories_are_labels(dtype):
    panel = _panel(_table(promotion=pd.Series(PROMOTION).astype(dtype)))
    assert panel.labels == {"promotion": ("gift", "sale", None)}
    assert panel.targets == ("y",)
    assert panel.values[:6, 1].tolist() == [1, 3, 2, 2, 1, 1]
    assert panel.to_frame()["promotion"].fillna("").tolist() == [label or "" for label in PROMOTION]


def test_numbers_are_labels_where_they_are_named_and_truths_are_numbers():
    frame = _table(kind=[7, 7, 3, 3, 7, 3] * 2, opened=[True, False] * 6)
    plain = _panel(frame, targets="y")
    assert not plain.labels
    assert plain.values[:2, 2].tolist() == [1, 0]
    named = _panel(frame, targets="y", categories="kind")
    assert named.labels == {"kind": (3, 7)}
    assert named.values[:6, 1].tolist() == [2, 2, 1, 1, 2, 1]


def test_rows_that_the_table_lacks_have_no_label():
    frame = _table(promotion=["gift", "sale"] * 6).drop(index=2)
    panel = _panel(frame, missing="interpolate")
    assert panel.labels["promotion"] == ("gift", "sale", None)
    assert panel.values[2].tolist() == [2, 3]
    assert panel.filled[2].tolist() == [True, False]


def test_the_first_label_counts_where_a_time_stands_twice():
    frame = pd.concat([_table(promotion=["gift", "sale"] * 6), _table(promotion="sale", y=100.0)[:1]])
    panel = _panel(frame, duplicates="mean")
    assert panel.values[0].tolist() == [50, 1]


def test_attributes_are_constant_in_a_series_and_may_be_left_empty():
    kind = ["big", None, "big", "big", None, "big", *["small"] * 6]
    panel = _panel(_table(kind=kind, size=np.repeat([30, 40], 6)), static=["size", "kind"])
    assert panel.static == ("size", "kind")
    assert panel.columns == ("y",)
    assert panel.attributes.tolist() == [[30, 1], [40, 2]]
    assert panel.labels == {"kind": ("big", "small")}
    assert panel.to_frame()["kind"].tolist() == ["big"] * 6 + ["small"] * 6


def test_attributes_come_from_a_table_with_a_row_for_each_series():
    rows = pd.DataFrame({"size": [40, 30, 9], "kind": ["small", None, "x"]}, index=["b", "a", "other"])
    for given in (rows, rows.rename_axis("shop").reset_index()):
        panel = _panel(_table(), static_frame=given)
        assert panel.static == ("size", "kind")
        assert panel.attributes.tolist() == [[30, 2], [40, 1]]
        assert panel.labels == {"kind": ("small", None)}


def test_the_series_itself_may_be_an_attribute():
    panel = _panel(_table(), static=["shop"])
    assert panel.labels == {"shop": ("a", "b")}
    assert panel.attributes.tolist() == [[1], [2]]
    assert panel.to_frame().columns.tolist() == ["shop", "day", "y"]


@pytest.mark.parametrize(
    ("columns", "options", "said"),
    [
        (
            {"kind": ["big"] * 3 + ["small"] * 9},
            {"static": ["kind"]},
            r"'kind' changes within a series .*'a', 2024-01-04",
        ),
        (
            {"size": [1.0] * 6 + [np.nan] * 6},
            {"static": ["size"]},
            r"'size' has no value for 1 series \(first: 'b'\)",
        ),
        ({"note": list("abcdefghijkl")}, {}, r"'note' has as many labels as rows, 12 \(first: 'a'\)"),
        (
            {"note": ["1", "2", "n/a"] * 4},
            {},
            r"'note' holds 4 values .* no numbers \(first: 'n/a'.*`categories`",
        ),
        ({}, {"categories": ["kind"]}, r"Unknown column in categories: 'kind'. Expected one of: y"),
        ({}, {"targets": "y", "categories": ["y"]}, r"'y' is a target and is named in `categories`"),
        ({}, {"static": ["kind"]}, r"Unknown column in static: 'kind'"),
        (
            {},
            {"static_frame": pd.DataFrame({"size": [1]}, index=["a"])},
            r"no row for 1 series \(first: 'b'\)",
        ),
        (
            {},
            {"static_frame": pd.DataFrame({"size": [1, 2, 3]}, index=["a", "a", "b"])},
            r"1 series twice \(first: 'a'\)",
        ),
        (
            {},
            {"static_frame": pd.DataFrame({"y": [1, 2]}, index=["a", "b"])},
            r"'y' is in the table and in `static_frame`",
        ),
        ({}, {"static_frame": [1]}, r"Expected a table: a pandas DataFrame.* Received: list"),
    ],
)
def test_what_can_not_be_used_is_named(columns, options, said):
    with pytest.raises((ValueError, KeyError), match=said):
        _panel(_table(**columns), **options)


def test_a_table_of_attributes_needs_names_of_series():
    frame = pd.DataFrame({"y": range(6)}, index=DAYS)
    with pytest.raises(ValueError, match=r"`static_frame` has a row for each series.*`series`"):
        Panel.from_frame(frame, static_frame=pd.DataFrame({"size": [1]}))


def test_labels_of_an_earlier_table_keep_their_numbers():
    later = _table(promotion=["sale", "bonus", None] * 4)
    panel = _panel(later, labels={"promotion": ("gift", "sale")})
    assert panel.labels == {"promotion": ("gift", "sale")}
    assert panel.values[:3, 1].tolist() == [2, 0, 0]


def test_the_scaler_learns_labels_from_training_rows_alone():
    frame = _table(
        promotion=["sale", "sale", "gift", "gift", "bonus", "bonus"] * 2, kind=np.repeat(["x", "z"], 6)
    )
    train, validation, _ = chronological_split(_panel(frame, static=["kind"]), validation=2, test=0)
    scaler = Scaler().fit(train)
    assert scaler.labels == {"promotion": ("gift", "sale"), "kind": ("x", "z")}
    scaled = scaler.transform(validation)
    assert scaled.values[:6, 1].tolist() == [2, 2, 1, 1, 0, 0]
    assert scaled.labels == scaler.labels
    # Only the numbers of a new shop are unknown to a scaler of the old ones.
    new = _panel(frame.replace({"kind": {"x": "w"}}), static=["kind"])
    assert Scaler.from_state(scaler.get_state()).transform(new).attributes.tolist() == [[0], [2]]


@pytest.mark.parametrize("per_series", [False, True])
@pytest.mark.parametrize("kind", ["standard", "minmax", "robust", "none"])
def test_labels_keep_their_numbers_under_every_scaler(kind, per_series):
    panel = _panel(_table(promotion=["gift", "sale", "sale"] * 4))
    scaler = Scaler(kind, per_series).fit(panel)
    assert scaler.transform(panel).values[:, 1].tolist() == [1, 2, 2] * 4


def test_attributes_are_scaled_by_series_not_by_rows():
    frame = pd.concat([_table(size=np.repeat([1.0, 3.0], 6)), _table(size=8.0).iloc[:2].assign(shop="c")])
    panel = _panel(frame, static=["size"])
    scaled = Scaler().fit(panel).transform(panel)
    # Mean 4 and deviation 2.94 of three shops, however many rows each has.
    np.testing.assert_allclose(scaled.attributes[:, 0], (np.array([1, 3, 8]) - 4) / np.std([1, 3, 8]))


def test_every_window_has_the_attributes_of_its_series():
    frame = _table(size=np.repeat([30.0, 40.0], 6))
    panel = _panel(frame, static=["size"])
    spec = WindowSpec(2, 1)
    inputs, _ = spec.arrays(panel)
    assert inputs["static"][:, 0].tolist() == [30] * 4 + [40] * 4
    batches = [batch["static"].numpy() for batch, _ in spec.dataset(panel, batch_size=3)]
    np.testing.assert_array_equal(np.concatenate(batches), inputs["static"])
    given = next(iter(spec.input_batches(panel, np.array([8, 3]))))
    assert given["static"].numpy().tolist() == [[40], [30]]
    task = spec.task(panel)
    assert task.static == ("size",)
    assert task.input_shapes == {name: values.shape[1:] for name, values in inputs.items()}


def test_attributes_and_labels_count_in_the_fingerprint():
    frame = _table(promotion=["gift", "sale", "sale"] * 4, size=np.repeat([1, 2], 6))
    before = _panel(frame, static=["size"]).digest()
    assert _panel(frame.replace({"promotion": {"gift": "bonus"}}), static=["size"]).digest() != before
    assert _panel(frame.assign(size=np.repeat([1, 3], 6)), static=["size"]).digest() != before
    assert _panel(frame.copy(), static=["size"]).digest() == before


def test_plain_columns_for_methods_that_know_no_labels():
    frame = _table(promotion=["gift", "sale", None] * 4, size=np.repeat([1.0, 2.0], 6))
    plain = _panel(frame, static=["size"], known_future=["promotion"]).with_indicators()
    assert plain.columns == ("y", "promotion=gift", "promotion=sale", "promotion=None", "size")
    assert plain.known_future == plain.columns[1:]
    assert plain.values[2].tolist() == [2, 0, 0, 1, 1]
    assert plain.values[7].tolist() == [7, 0, 1, 0, 2]


def test_some_of_the_series_keep_their_attributes():
    panel = _panel(_table(size=np.repeat([1.0, 2.0], 6)), static=["size"])
    one = panel.of_series([1])
    assert (one.series, one.attributes.tolist(), one.spans.tolist()) == (("b",), [[2.0]], [[6, 6, 12, 12]])


def test_rows_to_come_are_added_to_every_series():
    panel = _panel(_table()).extend(2)
    assert panel.spans.tolist() == [[0, 0, 6, 8], [8, 8, 14, 16]]
    assert panel.values[8:14, 0].tolist() == list(range(6, 12))
    assert np.isnan(panel.values[[6, 7, 14, 15]]).all()
    assert panel.times[[6, 15]].astype(str).tolist() == ["2024-01-07", "2024-01-08"]
