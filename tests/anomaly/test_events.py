import json

import pandas as pd
import pytest

from tfts.anomaly.events import Event, EventTracker, Judged, event_table

START = pd.Timestamp("2024-01-01")


def follow(pattern, targets=("sales", "stock"), **options):
    """Events and alarms of a pattern: "." quiet, "s" sales, "t" stock, "b" both flagged."""
    tracker = EventTracker("shop", targets, **options)
    alarms, events = [], []
    for i, mark in enumerate(pattern):
        flags = [mark in "sb", mark in "tb"]
        row = Judged(START + pd.Timedelta(days=i), flags, [2.0, 4.0], [10.0, 3.0], [4.0, 9.0], None)
        tracker.set_state(json.loads(json.dumps(tracker.get_state())))
        opened, closed = tracker.update(row)
        if opened:
            alarms.append((opened.detected - START).days)
        if closed:
            events.append(closed)
    last = tracker.finish()
    return alarms, [*events, last] if last else events


def days(event):
    return (event.start - START).days, (event.end - START).days


@pytest.mark.parametrize(
    ("pattern", "options", "alarms", "events"),
    [
        ("..s..s..", {}, [2, 5], [(2, 2), (5, 5)]),
        ("..s..s..", {"gap": 1}, [2, 5], [(2, 2), (5, 5)]),
        ("..s..s..", {"gap": 2}, [2], [(2, 5)]),
        ("ss.sss..s", {"gap": 1}, [0, 8], [(0, 5), (8, 8)]),
        ("s....s.ss...", {"confirm": (2, 3)}, [7], [(5, 8)]),
        ("s.s.....", {"confirm": (2, 3)}, [2], [(0, 2)]),
        ("s..s....", {"confirm": (2, 3)}, [], []),
        ("s.s..s..s.....", {"cool_down": 4}, [0, 5], [(0, 2), (5, 8)]),
        ("...sss", {}, [3], [(3, 5)]),
    ],
)
def test_flags_are_joined(pattern, options, alarms, events):
    found, made = follow(pattern, **options)
    assert found == alarms
    assert [days(event) for event in made] == events


def test_a_shift_becomes_one_event_and_then_a_new_one_may_begin():
    alarms, events = follow("." + "s" * 12, longest=5)
    assert [event.kind for event in events[:2]] == ["level shift", "level shift"]
    assert [days(event) for event in events] == [(1, 5), (6, 10), (11, 12)]
    assert alarms == [1, 6, 11]


def test_a_long_event_with_mostly_quiet_rows_is_no_shift():
    _, events = follow("s..s..s..s..s...", gap=2, longest=4)
    assert [event.kind for event in events] == ["event"]


def test_targets_stand_in_the_order_of_their_evidence():
    (event,) = follow("sbs.")[1]
    # sales: three rows of 2^2, stock: one of 4^2
    assert event.targets == ("stock", "sales")
    assert event.shares == pytest.approx((16 / 28, 12 / 28))
    assert event.direction == "down"
    assert event.size == -6
    assert event.rows == 3
    assert event.strength == 4


def test_shares_of_a_joint_score_weigh_the_evidence():
    tracker = EventTracker("shop", ["sales", "stock"])
    row = Judged(START, [True, True], [3.0, 3.0], [1.0, 1.0], [0.0, 2.0], [0.9, 0.1])
    opened, _ = tracker.update(row)
    assert opened.targets == ("sales", "stock")
    assert opened.shares == pytest.approx((0.9, 0.1))


def test_an_open_event_is_told_as_open():
    tracker = EventTracker("shop", ["sales"], gap=3)
    opened, closed = tracker.update(Judged(START, [True], [1.2], [5.0], [4.0], None))
    assert opened.is_open
    assert closed is None
    assert tracker.finish() == opened


@pytest.mark.parametrize(
    ("strength", "severity"), [(1.0, "low"), (1.5, "medium"), (2.9, "medium"), (3.0, "high")]
)
def test_severity_goes_by_multiples_of_the_threshold(strength, severity):
    event = Event("", START, START, START, START, ("y",), (1.0,), "up", 2.0, 1.0, strength, 1)
    assert event.severity == severity


def test_sentence_of_a_long_event_of_several_targets():
    end = START + pd.Timedelta(hours=30)
    event = Event(
        "shop 3", START, end, START, end, ("a", "b"), (0.7, 0.3), "up", 1234.5, 1000.0, 3.5, 11, "level shift"
    )
    assert event.sentence == (
        "shop 3: a was 1234 on 2024-01-02 06:00, 234.5 above the 1000 expected, and stayed there: the new normal, "
        "with 11 unusual rows from 2024-01-01 to 2024-01-02 06:00; also b; high severity."
    )


def test_event_is_plain_data():
    event = Event("", START, START, START, START, ("y",), (1.0,), "up", float("nan"), 1.0, 2.0, 1)
    plain = json.loads(json.dumps(event.to_dict(), allow_nan=False))
    assert plain["start"] == "2024-01-01T00:00:00"
    assert plain["actual"] is None
    assert plain["targets"] == ["y"]


def test_no_event_is_a_table_with_its_columns():
    table = event_table([])
    assert len(table) == 0
    assert {"start", "end", "target", "severity", "sentence"} <= set(table.columns)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confirm": (3, 2)}, r"1 <= m <= n.*confirm=\(3, 2\)"),
        ({"confirm": 2}, "confirm=2"),
        ({"gap": -1}, "`gap` must be an int >= 0"),
        ({"cool_down": 1.5}, "`cool_down` must be an int >= 0"),
        ({"longest": 1}, "`longest` must be an int >= 2"),
    ],
)
def test_what_is_wrong_is_said(options, message):
    with pytest.raises(ValueError, match=message):
        EventTracker("shop", ["sales"], **options)
