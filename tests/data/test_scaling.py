"""What scalers learn, from which rows, and that it can be undone."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfts.data.panel import Panel
from tfts.data.scaling import SCALERS, Scaler
from tfts.data.split import chronological_split

DAYS = pd.date_range("2024-01-01", periods=23, freq="D")


def panel_of(values, **settings):
    values = np.asarray(values, dtype=float)
    values = values[:, None] if values.ndim == 1 else values
    frame = pd.DataFrame(values, columns=list("abc")[: values.shape[1]], index=DAYS[: len(values)])
    return Panel.from_frame(frame, allow_constant=True, **settings)


def two_series(first, second):
    frame = pd.DataFrame(
        {"s": ["p"] * len(first) + ["q"] * len(second), "y": [*first, *second]},
        index=[*DAYS[: len(first)], *DAYS[: len(second)]],
    )
    return Panel.from_frame(frame, series="s", allow_constant=True, missing="drop")


@pytest.mark.parametrize(
    ("kind", "offset", "scale"),
    [
        ("standard", 4.0, np.sqrt((16 + 4 + 0 + 0 + 36) / 5)),
        ("minmax", 0.0, 10.0),
        ("robust", 4.0, 2.0),  # quartiles 2 and 4
        ("none", 0.0, 1.0),
    ],
)
def test_offset_and_scale(kind, offset, scale):
    values = [0.0, 2.0, 4.0, 4.0, 10.0]
    panel = panel_of(values)
    scaler = Scaler(kind).fit(panel)
    np.testing.assert_allclose(scaler.offset, [offset])
    np.testing.assert_allclose(scaler.scale, [scale])
    scaled = scaler.transform(panel)
    assert scaled.values.dtype == np.float32
    np.testing.assert_allclose(scaled.values[:, 0], (np.array(values) - offset) / scale, rtol=1e-6)
    assert panel.values[:, 0].tolist() == values


@pytest.mark.parametrize("kind", sorted(SCALERS))
@pytest.mark.parametrize("per_series", [False, True])
def test_a_column_without_spread_or_without_values_stays_finite(kind, per_series):
    values = np.stack([np.full(5, 7.0), [1, 2, 3, 4, 6], np.full(5, np.nan)], axis=1)
    panel = panel_of(values, targets=["b"], missing="drop")
    scaler = Scaler(kind, per_series).fit(panel)
    assert scaler.scale[0] == 1
    assert (scaler.offset[2], scaler.scale[2]) == (0, 1)
    scaled = scaler.transform(panel).values
    np.testing.assert_array_equal(scaled[:, 0], 7 if kind == "none" else 0)
    assert np.isfinite(scaled[:, 1]).all()
    assert np.isnan(scaled[:, 2]).all()


@pytest.mark.parametrize("kind", sorted(SCALERS))
@pytest.mark.parametrize("per_series", [False, True])
def test_only_the_rows_of_the_part_are_learnt_from(kind, per_series):
    values = np.arange(1.0, 21.0) ** 2
    changed = values.copy()
    changed[14:] = -999
    learnt = [
        Scaler(kind, per_series).fit(chronological_split(panel_of(v), 0.15, 0.15).train)
        for v in (values, changed)
    ]
    assert learnt[0].get_state() == learnt[1].get_state()
    # Context rows are no rows of the part.
    test = chronological_split(panel_of(values), 0.15, 0.15).test
    assert Scaler("minmax").fit(test).offset == 18.0**2


def test_values_interpolated_across_the_split_are_not_learnt_from():
    # Rows 7 to 8 end the training part, and are filled from row 9, the first of validation.
    values = np.array([0.0, 1, 2, 3, 4, 5, 6, np.nan, np.nan, 900, 901, 902])
    panel = panel_of(values, missing="interpolate")
    train = chronological_split(panel, "2024-01-10", "2024-01-12").train
    assert train.values[8, 0] == 602
    scaler = Scaler("minmax").fit(train)
    assert (scaler.offset[0], scaler.scale[0]) == (0, 6)


def test_missing_values_are_left_out():
    scaler = Scaler("standard").fit(panel_of([1.0, np.nan, 3.0], missing="drop"))
    assert (scaler.offset[0], scaler.scale[0]) == (2, 1)


def test_each_series_can_have_its_own_scale():
    panel = two_series([0.0, 2.0, 4.0], [100.0, 110.0])
    scaler = Scaler("minmax", per_series=True).fit(panel)
    np.testing.assert_allclose(scaler.transform(panel).values[:, 0], [0, 0.5, 1, 0, 1])
    offset, scale = scaler.affine("q", ["y"])
    assert (offset.tolist(), scale.tolist()) == ([100], [10])
    # A series that was not there takes what all rows taught.
    offset, scale = scaler.affine("r", ["y"])
    assert (offset.tolist(), scale.tolist()) == ([0], [110])
    rows = np.array([4, 1])
    scaled = np.array([[[0.5], [1.0]], [[0.5], [1.0]]])
    assert scaler.inverse(scaled, panel, rows, ["y"])[..., 0].tolist() == [[105, 110], [2, 4]]


def test_rows_of_other_parts_are_not_scaled():
    split = chronological_split(panel_of(np.arange(20.0)), 0.2, 0.2)
    scaled = Scaler("none").fit(split.train).transform(split.train).values[:, 0]
    assert scaled[:12].tolist() == list(range(12))
    assert np.isnan(scaled[12:]).all()


def test_inverse_takes_the_targets_alone_in_their_order():
    panel = panel_of(np.stack([np.arange(5.0), np.arange(5.0) * 10, np.arange(5.0) * 100], axis=1))
    scaler = Scaler("minmax").fit(panel)
    forecast = np.full((2, 3, 2), 0.5, dtype=np.float32)
    restored = scaler.inverse(forecast, panel, np.array([0, 1]), ["c", "a"])
    assert restored.dtype == np.float64
    assert restored.shape == (2, 3, 2)
    assert restored[1, 2].tolist() == [200, 2]


@pytest.mark.parametrize("per_series", [False, True])
def test_state_is_plain_data(per_series):
    panel = two_series([0.1, 2.0, 4.0], [100.0, 110.0])
    scaler = Scaler("standard", per_series).fit(panel)
    again = Scaler.from_state(json.loads(json.dumps(scaler.get_state())))
    assert again.get_state() == scaler.get_state()
    np.testing.assert_array_equal(again.transform(panel).values, scaler.transform(panel).values)


def test_a_long_series_is_scaled_in_pieces():
    values = np.arange(200_003, dtype=np.float32)
    index = pd.date_range("2000-01-01", periods=len(values), freq="min")
    panel = Panel.from_frame(pd.DataFrame({"y": values}, index=index))
    scaled = Scaler("minmax").fit(panel).transform(panel).values[:, 0]
    np.testing.assert_allclose(scaled, values / 200_002, rtol=1e-6)


@pytest.mark.parametrize("per_series", [False, True])
def test_log_scales_the_logarithms_of_targets_and_gives_values_back(per_series):
    table = np.stack([np.exp([1.0, 3.0, 5.0, 7.0]), [-2.0, 0.0, 2.0, 4.0]], axis=1)
    panel = panel_of(table, targets=["a"])
    scaler = Scaler("log", per_series).fit(panel)
    assert (scaler.logged, scaler.columns) == (("a",), ("a", "b"))
    np.testing.assert_allclose(scaler.offset, [4.0, 1.0], rtol=1e-6)
    np.testing.assert_allclose(scaler.scale, np.sqrt([5.0, 5.0]), rtol=1e-6)
    scaler = Scaler.from_state(json.loads(json.dumps(scaler.get_state())))
    scaled = scaler.transform(panel).values
    np.testing.assert_allclose(scaled[:, 0], scaled[:, 1], rtol=1e-5)
    restored = scaler.inverse(scaled[:, None, :1], panel, np.arange(4), ["a"])
    np.testing.assert_allclose(restored[:, 0, 0], table[:, 0], rtol=1e-5)
    assert scaler.affine("", ["b"])[0].tolist() == [1.0]
    plain = scaler.on_logarithms()
    assert (plain.kind, plain.logged) == ("standard", ())
    table[:, 0] = np.log(table[:, 0])
    np.testing.assert_allclose(plain.transform(panel_of(table)).values, scaled, rtol=1e-5)


def test_logarithms_need_targets_above_0():
    with pytest.raises(ValueError, match=r"scaler='log' takes the logarithms.*Received: a=0"):
        Scaler("log").fit(panel_of([3.0, 0.0, 5.0]))
    scaler = Scaler("log").fit(panel_of([3.0, 4.0, 5.0]))
    with pytest.raises(ValueError, match=r"all must be above 0\. Received: a=-2"):
        scaler.transform(panel_of([3.0, -2.0, np.nan], missing="drop"))


@pytest.mark.parametrize("kind", sorted(set(SCALERS) - {"log", "none"}))
@pytest.mark.parametrize(("level", "size"), [(1e12, 1.0), (700_000_001, 3.0), (0, 1e-20), (-1e9, 1e-3)])
def test_the_level_costs_no_digit(kind, level, size):
    steps = np.tile([0.0, 1.0, 2.0, 4.0], 5)
    values = level + size * steps
    panel = panel_of(values)
    scaler = Scaler(kind).fit(panel)
    # float64 resolves 1e-4 at 1e12 and 1e-7 at 1e9.
    resolution = np.spacing(np.abs(values).max()) / size
    plain = Scaler(kind).fit(panel_of(steps)).transform(panel_of(steps), np.float64).values
    scaled = scaler.transform(panel, np.float64)
    assert scaled.values.dtype == np.float64
    np.testing.assert_allclose(scaled.values, plain, rtol=1e-12, atol=2 * resolution)
    np.testing.assert_allclose(scaler.transform(panel).values, plain, rtol=1e-6, atol=2 * resolution)
    restored = scaler.inverse(scaled.values[:, None], panel, np.arange(20), ["a"])[:, 0, 0]
    np.testing.assert_allclose(restored, values, rtol=0, atol=2 * np.spacing(np.abs(values).max()))


def test_a_small_spread_on_a_high_level_is_no_constant():
    # scikit-learn takes 20 rows of 1e12 whose deviation is below 20 * 1e12 * 2**-52 for constant.
    scaler = Scaler("standard").fit(panel_of(1e12 + np.tile([-0.001953125, 0.001953125], 10)))
    np.testing.assert_allclose(scaler.scale, 0.001953125)


def test_refusals():
    with pytest.raises(
        ValueError, match=r"Unknown scaler 'standart'\. Expected one of: log, minmax, none, robust, standard"
    ):
        Scaler("standart")
    with pytest.raises(ValueError, match=r"The scaler has not learnt anything yet\. Call `fit`"):
        Scaler().transform(panel_of([1.0, 2.0]))
    with pytest.raises(KeyError, match=r"Unknown column 'z'\. Expected one of: a"):
        Scaler().fit(panel_of([1.0, 2.0])).affine("", ["z"])


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.tuples(*[st.floats(-1e6, 1e6, width=32) for _ in range(3)]), min_size=2, max_size=23),
    kind=st.sampled_from(sorted(set(SCALERS) - {"log"})),
    per_series=st.booleans(),
)
def test_scale_then_inverse_is_the_identity(values, kind, per_series):
    panel = panel_of(values)
    scaler = Scaler(kind, per_series).fit(panel)
    scaled = scaler.transform(panel).values
    restored = scaler.inverse(scaled[:, None, :], panel, np.arange(len(values)), panel.columns)[:, 0]
    # Float32 resolves about 1e-7 of the largest scaled number, float64 1e-16.
    reach = np.abs(panel.values).max(axis=0) + np.abs(scaler.scale) * np.abs(scaled).max(axis=0) + 1e-30
    assert (np.abs(restored - panel.values) <= 1e-6 * reach).all()
    wide = scaler.transform(panel, np.float64).values
    restored = scaler.inverse(wide[:, None, :], panel, np.arange(len(values)), panel.columns)[:, 0]
    assert (np.abs(restored - panel.values) <= 1e-14 * reach).all()


@pytest.mark.parametrize("kind", list(SCALERS))
def test_scales_of_many_series_are_those_of_each_by_itself(kind):
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, size=29)
    frame = pd.DataFrame(
        {
            "shop": np.repeat(np.arange(29), lengths),
            "day": np.concatenate([pd.date_range("2024-01-01", periods=length) for length in lengths]),
            "y": rng.gamma(2.0, 3.0, lengths.sum()),
            "flat": 7.0,
        }
    )
    frame.loc[rng.random(len(frame)) < 0.2, "y"] = np.nan
    frame = frame[frame.groupby("shop")["y"].transform("count") > 0]
    made = {"time": "day", "series": "shop", "targets": ["y"], "missing": "drop", "freq": "D"}
    panel = Panel.from_frame(frame, **made, allow_constant=True)
    scaler = Scaler(kind, per_series=True).fit(panel)
    unseen = Scaler(kind, per_series=True).fit(panel.of_series([0])).with_unseen(panel, 5)[0]
    for name in panel.series:
        own = frame[frame["shop"] == name]
        for many, one in ((scaler, own), (unseen, own[:5] if name != panel.series[0] else own)):
            if one["y"].count() < 2:
                continue
            alone = Scaler(kind).fit(Panel.from_frame(one, **made, allow_constant=True))
            np.testing.assert_allclose(many.affine(name, ["y"]), alone.affine(name, ["y"]), rtol=1e-13)
