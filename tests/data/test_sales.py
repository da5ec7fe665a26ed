import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfts.data.panel import Panel
from tfts.data.sales import FAULTS, KNOWN_FUTURE, TARGETS, TYPES, make_sales

SIZES = {
    "spike": (14, 28),
    "drop": (7, 11),
    "level_shift": (4.5, 10.2),
    "slow_drift": (7.4, 13.5),
    "stock_out": (50, np.inf),
    "rating_collapse": (8.5, 16.5),
    "lost_feed": (16, np.inf),
}


def only(kind, **options):
    """A shop with faults of one kind after the first 100 of 461 days."""
    return make_sales(num_stores=1, days=461, kinds=[kind], clean_days=100, **options)


def changed(made, column):
    return ~np.isclose(made.frame[column], made.normal[column])


def rows_of(frame, fault, last="end"):
    return ((frame["time"] >= fault.start) & (frame["time"] <= getattr(fault, last))).to_numpy()


def test_the_table_is_a_row_for_each_shop_and_day():
    made = make_sales(num_stores=3, days=211)
    assert list(made.frame.columns) == ["time", "store", *TARGETS, *KNOWN_FUTURE]
    assert made.frame.groupby("store").size().to_dict() == {"store_1": 211, "store_2": 211, "store_3": 211}
    panel = Panel.from_frame(made.frame, time="time", series="store", known_future=KNOWN_FUTURE)
    assert (panel.freq, list(panel.targets)) == ("D", list(TARGETS))
    pd.testing.assert_frame_equal(made.frame[["time", "store"]], made.normal[["time", "store"]])


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**31), num_stores=st.integers(1, 2), rate=st.sampled_from([0.0, 3.0, 8.0]))
def test_faults_are_inside_the_table_apart_from_each_other_and_after_the_clean_days(seed, num_stores, rate):
    made = make_sales(num_stores, 401, seed, clean_days=37, faults_per_year=rate)
    days = made.frame["time"].unique()
    assert len(made.faults) == num_stores * int(rate * (401 - 37) / 365)
    for _, faults in made.faults.groupby("store"):
        assert faults["start"].min() >= days[37]
        assert faults["end"].max() <= days[-1]
        assert ((faults["start"].shift(-1) - faults["end"]).dropna() > pd.Timedelta(10, "D")).all()
    assert (made.faults["end"] <= made.faults["until"]).all()
    # Before its first fault a shop is as it would have been.
    for store, table in made.frame.groupby("store"):
        first = made.faults.loc[made.faults["store"] == store, "start"].min()
        before = ~(table["time"] >= first)
        same = made.normal.loc[table.index[before]]
        pd.testing.assert_frame_equal(table[before], same)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**31), noise=st.sampled_from([0.02, 0.06, 0.1]))
def test_units_are_never_lost_and_shelves_are_empty_only_in_a_stock_out(seed, noise):
    made = make_sales(2, 365, seed, noise=noise, clean_days=30, kinds=[k for k in FAULTS if k != "lost_feed"])
    for frame in (made.frame, made.normal):
        assert (frame[["Sales", "Inventory"]] >= 0).all(axis=None)
        assert frame["Ratings"].between(1, 5).all()
    assert (made.normal["Inventory"] > made.normal["Sales"]).all()
    short = made.frame["Inventory"] < 0.3 * made.normal["Sales"]
    inside = np.zeros(len(short), dtype=bool)
    for fault in made.faults[made.faults["kind"] == "stock_out"].itertuples():
        inside |= rows_of(made.frame, fault) & (made.frame["store"] == fault.store).to_numpy()
    assert not (short & ~inside).any()


@pytest.mark.parametrize("kind", FAULTS)
def test_every_kind_of_fault_changes_its_cause_by_the_size_it_states(kind):
    for seed in range(7):
        made = only(kind, seed=seed, faults_per_year=3)
        assert set(made.faults["kind"]) == {kind}
        low, high = SIZES[kind]
        assert made.faults["size"].between(low, high).all()
        for fault in made.faults.itertuples():
            assert changed(made, fault.cause)[rows_of(made.frame, fault)].any()
            assert fault.cause in ([FAULTS[kind]] if FAULTS[kind] else TARGETS)


def first_fault(kind, seed=3):
    made = only(kind, seed=seed, faults_per_year=2)
    fault = next(made.faults.itertuples())
    return made.frame[rows_of(made.frame, fault)], made.normal[rows_of(made.frame, fault)], fault


def test_size_by_hand():
    faulty, normal, fault = first_fault("rating_collapse")
    assert fault.size == pytest.approx((normal["Ratings"] - faulty["Ratings"]).max() / 0.08)
    faulty, normal, fault = first_fault("spike")
    # Within the noise of that day, exp of its logarithm, which is in `normal` and not in the size's unit.
    assert fault.size * 0.06 == pytest.approx((faulty["Sales"] / normal["Sales"]).iloc[0] - 1)


def test_spike_and_drop_change_sales_and_stock_but_not_ratings_that_day():
    for kind, low, high in (("spike", 1.9, 2.6), ("drop", 0.35, 0.55)):
        faulty, normal, _ = first_fault(kind)
        ratio = faulty["Sales"] / normal["Sales"]
        assert ratio.between(low, high).all()
        assert ratio.max() == pytest.approx(ratio.min())
        # What was sold more is missing from the stock.
        stock = faulty["Inventory"] - normal["Inventory"]
        assert stock.iloc[0] == pytest.approx((normal["Sales"] - faulty["Sales"]).iloc[0])
        assert faulty["Ratings"].iloc[0] == normal["Ratings"].iloc[0]


def test_level_shift_and_drift_stay_to_the_end():
    for kind, days in (("level_shift", 14), ("slow_drift", 35)):
        made = only(kind, faults_per_year=2)
        fault = next(made.faults.itertuples())
        assert fault.end - fault.start == pd.Timedelta(days - 1, "D")
        assert fault.until == made.frame["time"].iloc[-1]
        assert changed(made, "Sales")[rows_of(made.frame, fault, "until")].all()
    faulty, normal, _ = first_fault("slow_drift")
    ratio = np.log(faulty["Sales"] / normal["Sales"]).to_numpy()
    np.testing.assert_allclose(ratio[:28], np.arange(1, 29) / 28 * ratio[27])
    np.testing.assert_allclose(ratio[27:], ratio[27])


def test_lasting_changes_go_up_and_down_in_turn():
    made = make_sales(3, 1200, clean_days=100, kinds=["level_shift", "slow_drift"], noise=0.0)
    assert made.faults.groupby("store").size().min() >= 18
    for store, table in made.frame.groupby("store"):
        ratio = table["Sales"].to_numpy() / made.normal.loc[table.index, "Sales"].to_numpy()
        days = table["time"].searchsorted(made.faults.loc[made.faults["store"] == store, "end"])
        ups = np.diff(np.log(ratio[days]), prepend=0.0) > 0
        assert (ups[1:] != ups[:-1]).all()
    assert 0.3 < ratio.min() < ratio.max() < 3.1


def test_stock_out_stops_sales_then_lowers_ratings():
    faulty, normal, fault = first_fault("stock_out")
    empty = (fault.end - fault.start).days + 1 - 5
    assert 3 <= empty <= 6
    assert (faulty["Sales"].iloc[1:empty] == 0).all()
    assert (faulty["Inventory"].iloc[:empty] == 0).all()
    assert (faulty["Sales"].iloc[empty:] > 0.5 * normal["Sales"].iloc[empty:]).all()
    # What the first day could not sell is a fifth of what the next day's ratings remember.
    unmet = 1 - faulty["Sales"].iloc[0] / normal["Sales"].iloc[0]
    lower = normal["Ratings"].iloc[1] - faulty["Ratings"].iloc[1]
    # The shop was less crowded too, which raises them by 0.15 of a third of its level at most.
    assert 0.16 * unmet - 0.15 / 3 * 2.2 < lower < 0.16 * unmet
    assert (faulty["Ratings"] < normal["Ratings"] - 0.1).sum() >= 4


def test_lost_feed_reads_zero_while_the_shop_goes_on():
    made = make_sales(11, 461, clean_days=100, kinds=["lost_feed"])
    assert set(made.faults["cause"]) == set(TARGETS)
    for fault in made.faults.itertuples():
        rows = rows_of(made.frame, fault) & (made.frame["store"] == fault.store).to_numpy()
        assert (made.frame.loc[rows, fault.cause] == 0).all()
    lost = np.concatenate([changed(made, name) for name in TARGETS])
    zeros = np.concatenate([(made.frame[name] == 0).to_numpy() for name in TARGETS])
    np.testing.assert_array_equal(lost, zeros)


def test_promotions_and_holidays_change_sales_as_much_as_faults_do():
    normal = make_sales(num_stores=7, days=730).normal
    usual = normal.groupby(["store", normal["time"].dt.day_of_week])["Sales"].transform("median")
    ratio = np.log(normal["Sales"] / usual)
    assert ratio[normal["promotion"] == 1].mean() > np.log(1.3)
    assert ratio[normal["holiday"] == 1].mean() < np.log(0.45)
    assert ratio[normal["holiday_eve"] == 1].mean() > np.log(1.15)
    december = (normal["time"].dt.month == 12) & normal["time"].dt.day.between(12, 23)
    assert ratio[december].mean() > np.log(1.2)


def test_noise_of_sales_is_what_is_asked_for():
    quiet, loud = (make_sales(7, 365, noise=noise).normal["Sales"] for noise in (0.0, 0.06))
    # Stock never ends, so the two tables differ by the factor alone.
    change = np.log(loud / quiet).to_numpy().reshape(7, 365)
    assert change.std() == pytest.approx(0.06, rel=0.05)
    assert np.mean(change[:, 1:] * change[:, :-1]) / change.var() == pytest.approx(0.4, abs=0.05)


def test_more_shops_begin_with_the_fewer_and_the_seed_decides():
    three, five = make_sales(3, 211), make_sales(5, 211)
    pd.testing.assert_frame_equal(three.frame, five.frame[: 3 * 211])
    pd.testing.assert_frame_equal(three.faults, five.faults[: len(three.faults)])
    assert not np.allclose(three.frame["Sales"], make_sales(3, 211, seed=7).frame["Sales"])


def test_labels_are_the_rows_from_start_to_end_of_that_shop():
    made = make_sales(2, 401, clean_days=37)
    count = sum((fault.end - fault.start).days + 1 for fault in made.faults.itertuples())
    assert made.labels.sum() == count
    fault = next(made.faults.itertuples())
    other = (made.frame["store"] != fault.store) & rows_of(made.frame, fault)
    inside = (made.frame["store"] == fault.store) & rows_of(made.frame, fault)
    assert made.labels[inside].all()
    assert not made.labels[other].all()


def test_missing_days_make_steps_irregular_but_hide_no_fault():
    whole, made = (make_sales(2, 401, missing_days=share) for share in (0.0, 0.2))
    assert 0.77 < len(made.frame) / len(whole.frame) < 0.9
    both = whole.frame.merge(made.frame, on=["time", "store"])
    np.testing.assert_array_equal(both["Sales_x"], both["Sales_y"])
    assert made.labels.sum() == whole.labels.sum()
    pd.testing.assert_frame_equal(made.frame[["time", "store"]], made.normal[["time", "store"]])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"num_stores": 0}, "`num_stores` must be an int >= 1. Received: num_stores=0"),
        ({"days": 2.5}, "`days` must be an int >= 1"),
        ({"clean_days": -1}, "`clean_days` must be an int >= 0"),
        ({"noise": -0.1}, "`noise` must be a number from 0 to 1"),
        ({"faults_per_year": 9}, "`faults_per_year` must be a number from 0 to 8"),
        ({"missing_days": 0.7}, r"`missing_days` must be a number from 0 to 0\.5"),
        ({"kinds": ["spik"]}, "Unknown fault 'spik'.* Did you mean 'spike'"),
        ({"kinds": []}, "`kinds` must name at least one fault"),
        ({"start": "soon"}, "`start` must be a time"),
    ],
)
def test_wrong_settings_are_errors(option, message):
    with pytest.raises(ValueError, match=message):
        make_sales(**{"days": 30, **option})


def test_types_of_stores_follow_promotions_as_they_are_said_to():
    frame = make_sales(30, 500, faults_per_year=0, noise=0.01, types=5).frame
    assert frame.columns[-2:].tolist() == ["type", "size"]
    kinds = frame.groupby("store")["type"].agg(["first", "last"])
    assert (kinds["first"] == kinds["last"]).all()
    assert set(kinds["first"]) == set(TYPES)
    usual = frame[(frame["holiday"] == 0) & (frame["holiday_eve"] == 0)]
    sold = [usual[usual["promotion"] == on].groupby("store")["Sales"].mean() for on in (0, 1)]
    lift = (sold[1] / sold[0]).groupby(kinds["first"]).mean()
    assert lift.sort_values().index.tolist() == ["bakery", "supermarket", "garden", "electronics", "clothing"]
    more = make_sales(3, 500, faults_per_year=0, noise=0.01, types=5).frame
    pd.testing.assert_frame_equal(more, frame[frame["store"].isin(more["store"])].reset_index(drop=True))
    plain = make_sales(3, 500, faults_per_year=0, noise=0.01).frame
    known = ["price", "promotion", "holiday", "holiday_eve"]
    pd.testing.assert_frame_equal(plain[known], more[known])


def test_there_are_no_more_types_than_named():
    with pytest.raises(ValueError, match=r"`types` must be at most 5, .*types=6"):
        make_sales(types=6)
