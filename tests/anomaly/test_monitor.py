import json
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from tests.anomaly.conftest import shops
from tests.anomaly.test_detector import detector, hurt, quietly, split

OPTIONS = {
    "std": {},
    "rolling": {"threshold": "rolling_conformal", "threshold_options": {"rate": 0.05, "window": 60}},
    "spot": {
        "threshold": "pot",
        "threshold_options": {"risk": 0.01, "level": 0.9},
        "score": "scaled",
        "smooth": 3,
    },
    "joint": {
        "score": "joint",
        "context": ["weekday"],
        "gap": 2,
        "calendar": ["168h"],
        "same_row": {"stock": ["sold"]},
    },
}


def faulty():
    usual, new = split(shops(rows=211))
    new = hurt(hurt(new, value=400.0), "stock", "2023-06-20", 100.0, "b")
    later = (new["day"] > "2023-07-01") & (new["shop"] == "b")
    return usual, new.assign(sold=new["sold"] + 90 * later)


def follow(monitor, table):
    """Alarms as (day, event) of rows that come as text, as from a file."""
    rows = table.astype({"day": str}).to_dict("records")
    alarms = []
    for row in rows:
        event = monitor.update({key: "" if value != value else str(value) for key, value in row.items()})
        if event is not None:
            alarms.append((row["day"], event.to_dict()))
    return alarms


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_live_rows_give_what_the_table_gives(options):
    usual, new = faulty()
    fitted = detector(new_normal=7, **options).fit(usual)
    found = quietly(fitted.judge, new)
    monitor = fitted.monitor()
    records = monitor.record()
    # Shop by shop or day by day: the series have nothing to do with each other.
    new = new.sort_values(["day", "shop"])
    alarms = follow(monitor, new)
    assert [event.to_dict() for event in monitor.events()] == [event.to_dict() for event in found.events]
    assert {(str(event.detected.date()), event.series) for event in found.events} == {
        (day[:10], event["series"]) for day, event in alarms
    }
    live = sorted(records, key=lambda record: record[:2])
    sizes = [size for record in live for size in record[5]]
    np.testing.assert_array_equal(sizes, found.rows["score"])
    assert found.rows["flag"].sum() > 2


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_state_saved_at_any_row_goes_on_as_if_nothing_had_been(options, tmp_path):
    usual, new = faulty()
    new = new.sort_values(["day", "shop"])
    fitted = detector(new_normal=7, **options).fit(usual)
    whole = follow(fitted.monitor(), new)
    for cut in (3, 60, 90, 131):
        first = fitted.monitor()
        before = follow(first, new[:cut])
        first.save(tmp_path / "state.json")
        # Rows after the last save were seen once already when the process was killed.
        follow(first, new[cut : cut + 5])
        assert before + follow(fitted.monitor(tmp_path / "state.json"), new[cut:]) == whole


def test_late_and_repeated_rows_are_ignored_and_counted():
    usual, new = faulty()
    new = new[new["shop"] == "a"]
    fitted = detector().fit(usual)
    tidy, untidy = fitted.monitor(), fitted.monitor()
    mixed = pd.concat([new[:20], new[19:20].assign(sold=9e9), new[3:5].assign(sold=-9e9), new[20:]])
    assert follow(untidy, mixed) == follow(tidy, new)
    assert (untidy.counts["repeated"], untidy.counts["late"]) == (1, 2)
    assert tidy.counts["repeated"] == tidy.counts["late"] == 0


def test_missing_rows_are_filled_with_forecasts():
    usual, new = split(shops(names=("a",)))
    fitted = detector().fit(usual)
    holes = fitted.monitor()
    records = holes.record()
    follow(holes, new.drop(new.index[[5, 6, 7]]))
    assert holes.counts["missing"] == 3
    assert len(records) == len(new) - 3
    whole = quietly(fitted.detect, new)
    times = pd.DatetimeIndex([r[1] for r in records])
    after = np.array([r[3][0] for r in records])[times > new["day"].iloc[7]]
    full = whole[(whole["target"] == "sold") & (whole["time"] > new["day"].iloc[7])]["predicted"]
    assert np.abs(after - full.to_numpy()).max() < 10


def test_a_long_hole_costs_no_longer_than_the_memory_and_keeps_the_season():
    usual, new = split(shops(rows=3001, names=("a",)), "2023-05-10")
    fitted = detector("seasonal_naive").fit(usual)
    monitor = fitted.monitor()
    late = new[new["day"] >= "2031-02-03"]
    records = monitor.record()
    follow(monitor, late[:3])
    assert monitor.counts["missing"] == (late["day"].iloc[0] - usual["day"].max()).days - 1
    # After so many weeks the week of the fitted rows still stands in the right place.
    weekday = late["day"].iloc[0].day_of_week
    same = usual[usual["day"].dt.day_of_week == weekday]["sold"]
    assert same.min() - 20 < records[0][3][0] < same.max() + 20


def test_missing_targets_are_not_judged_and_do_no_harm():
    usual, new = split(shops(names=("a",)))
    fitted = detector(score="joint").fit(usual)
    new.loc[new.index[10], "sold"] = np.nan
    new.loc[new.index[12], "promotion"] = np.nan
    rows = quietly(fitted.detect, new)
    gone = rows[(rows["time"] == new["day"].iloc[10]) & (rows["target"] == "sold")].iloc[0]
    assert np.isnan(gone["score"])
    assert not gone["flag"]
    assert rows["predicted"].notna().all()
    monitor = fitted.monitor()
    follow(monitor, new)
    assert monitor.counts["missing_values"] == 1


def test_a_new_shop_is_judged_as_soon_as_it_has_a_history():
    usual, _ = split(shops())
    fitted = detector(per_series=False, k=8.0).fit(usual)
    stranger = shops(rows=40, names=("c",), seed=5).assign(day=pd.date_range("2023-06-01", periods=40))
    monitor = fitted.monitor()
    alarms = follow(monitor, hurt(stranger, day="2023-06-28", value=2000.0, shop="c"))
    assert monitor.counts["unjudged"] == 7
    assert "2023-06-28" in [day[:10] for day, _ in alarms]


def test_memory_does_not_grow_with_the_rows():
    usual, new = split(shops(names=("a",)))
    fitted = detector(threshold="rolling_conformal", threshold_options={"rate": 0.05, "window": 60}).fit(
        usual
    )
    monitor = fitted.monitor()
    values = new[["sold", "stock", "promotion"]].to_numpy()
    day = 86_400_000_000_000
    start = int(usual["day"].max().as_unit("ns").value)

    def run(first, count):
        for i in range(first, first + count):
            monitor.take("a", start + (i + 1) * day, values[i % len(values)])

    run(0, 1500)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    run(1500, 3000)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 300_000
    assert len(json.dumps(monitor.get_state())) < 20_000


def test_numbers_as_names_of_series_are_found_again_in_text():
    table = shops(names=(3, 11))
    usual, new = split(table)
    monitor = detector().fit(usual).monitor()
    follow(monitor, new)
    assert monitor.counts["unjudged"] == 0


def test_month_starts_and_business_days_step_by_the_calendar():
    for freq in ("MS", "B"):
        table = shops(rows=120, names=("a",), freq=freq)
        usual, new = table[:90], table[90:]
        monitor = detector().fit(usual).monitor()
        follow(monitor, new.drop(new.index[4]))
        assert (monitor.counts["missing"], monitor.counts["late"]) == (1, 0)


def test_wrong_rows_and_states_are_told(tmp_path):
    usual, _ = split(shops())
    fitted = detector().fit(usual)
    monitor = fitted.monitor()
    row = {"day": "2023-06-01", "shop": "a", "sold": 1, "stock": 2, "promotion": 0}
    with pytest.raises(KeyError, match=r"Unknown column 'stock'.*The detector needs 'stock'"):
        monitor.update({k: v for k, v in row.items() if k != "stock"})
    with pytest.raises(ValueError, match="The time 'soon' can't be read"):
        monitor.update({**row, "day": "soon"})
    with pytest.raises(ValueError, match="The row has no time"):
        monitor.update({**row, "day": None})
    with pytest.raises(ValueError, match=r"Column 'sold' must hold a number. Received: 'many'"):
        monitor.update({**row, "sold": "many"})
    with pytest.raises(ValueError, match="The times of the fitted rows had no time zone"):
        monitor.update({**row, "day": "2023-06-01T00:00:00+02:00"})
    with pytest.raises(FileNotFoundError, match="There is no monitor state"):
        fitted.monitor(tmp_path / "none.json")
    monitor.save(tmp_path / "state.json")
    with pytest.raises(ValueError, match="The monitor state belongs to another detector"):
        detector(k=4.0).fit(usual).monitor(tmp_path / "state.json")
