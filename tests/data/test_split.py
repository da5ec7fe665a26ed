"""Which rows the parts of a chronological split may forecast, and which they may see."""

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfts.data.panel import Panel
from tfts.data.split import chronological_split
from tfts.data.windows import WindowSpec

DAYS = pd.date_range("2024-01-01", periods=20, freq="D")


def table(rows=20, tz=None):
    return Panel.from_frame(pd.DataFrame({"y": np.arange(float(rows))}, index=DAYS[:rows].tz_localize(tz)))


def panel_of(lengths, **columns):
    frame = pd.concat(
        pd.DataFrame(
            {"s": i, "t": pd.date_range("2024-01-01", periods=n, freq="D"), "y": np.arange(n) + 100.0 * i}
        )
        for i, n in enumerate(lengths)
    )
    return Panel.from_frame(frame.assign(**columns), time="t", series="s")


def spans(split):
    return [None if part is None else part.spans.tolist() for part in split]


def test_shares_of_rows():
    # 20 % of 20 rows for the test, 30 % for validation, with the context carried over.
    split = chronological_split(table(), validation=0.3, test=0.2)
    assert spans(split) == [[[0, 0, 10, 10]], [[0, 10, 16, 16]], [[0, 16, 20, 20]]]


def test_numbers_of_rows():
    assert spans(chronological_split(table(), 5, 3)) == [
        [[0, 0, 12, 12]],
        [[0, 12, 17, 17]],
        [[0, 17, 20, 20]],
    ]
    # From the end of each series, and with a share beside it: 25 % of 13 rows are 3.
    split = chronological_split(panel_of([11, 13]), validation=0.25, test=np.int64(2))
    assert [span[1:3] for span in split.test.spans] == [(9, 11), (22, 24)]
    assert [span[1:3] for span in split.validation.spans] == [(6, 9), (19, 22)]


def test_own_context_begins_with_the_part():
    split = chronological_split(table(), 0.3, 0.2, context="own")
    assert spans(split) == [[[0, 0, 10, 10]], [[10, 10, 16, 16]], [[16, 16, 20, 20]]]


def test_gap_rows_are_targets_of_no_part():
    split = chronological_split(table(), 0.3, 0.2, gap=2)
    assert spans(split) == [[[0, 0, 10, 10]], [[0, 12, 16, 16]], [[0, 18, 20, 20]]]
    own = chronological_split(table(), 0.3, 0.2, gap=2, context="own")
    assert spans(own)[1:] == [[[12, 12, 16, 16]], [[18, 18, 20, 20]]]


def test_parts_of_share_zero_are_none():
    assert spans(chronological_split(table(), 0.3, 0)) == [[[0, 0, 14, 14]], [[0, 14, 20, 20]], None]
    assert spans(chronological_split(table(), 0, 0.2)) == [[[0, 0, 16, 16]], None, [[0, 16, 20, 20]]]
    assert spans(chronological_split(table(), 0, 0)) == [[[0, 0, 20, 20]], None, None]


def test_each_series_is_cut_by_itself():
    split = chronological_split(panel_of([10, 20]), 0.2, 0.1)
    assert spans(split) == [
        [[0, 0, 7, 7], [10, 10, 24, 24]],
        [[0, 7, 9, 9], [10, 24, 28, 28]],
        [[0, 9, 10, 10], [10, 28, 30, 30]],
    ]


@pytest.mark.parametrize(
    "first",
    [
        "2024-01-11",
        pd.Timestamp("2024-01-11"),
        datetime.date(2024, 1, 11),
        datetime.datetime(2024, 1, 10, 12),
        np.datetime64("2024-01-11"),
    ],
)
def test_times_of_the_first_rows(first):
    split = chronological_split(table(), first, "2024-01-17")
    assert spans(split) == [[[0, 0, 10, 10]], [[0, 10, 16, 16]], [[0, 16, 20, 20]]]
    assert split.validation.times[split.validation.spans[0].target_start] == DAYS[10]


def test_times_are_those_of_the_panels_zone_unless_they_name_one():
    panel = table(tz="Europe/Berlin")
    assert chronological_split(panel, "2024-01-11", "2024-01-17").test.spans[0].target_start == 16
    # One in the morning in Berlin is past midnight, the time of the row.
    assert chronological_split(panel, "2024-01-11", "2024-01-17 00:00+00:00").test.spans[0].target_start == 17


def test_times_cut_series_of_unequal_lengths_at_the_same_time():
    split = chronological_split(panel_of([13, 17]), "2024-01-06", "2024-01-11")
    assert split.train.spans.observed_end.tolist() == [5, 18]
    assert split.test.spans.target_start.tolist() == [10, 23]


def test_a_share_and_a_time():
    assert spans(chronological_split(table(), 0.25, "2024-01-17"))[1] == [[0, 11, 16, 16]]


def test_the_known_future_belongs_to_the_last_part():
    frame = pd.DataFrame({"y": [*np.arange(10.0), np.nan, np.nan], "promo": range(12)}, index=DAYS[:12])
    panel = Panel.from_frame(frame, known_future="promo")
    assert spans(chronological_split(panel, 0.2, 0.2))[2] == [[0, 8, 10, 12]]
    assert spans(chronological_split(panel, 0.2, 0))[1] == [[0, 8, 10, 12]]
    assert spans(chronological_split(panel, 0, 0))[0] == [[0, 0, 10, 12]]


def test_a_part_can_be_split_again():
    train = chronological_split(table(), 0.3, 0.2).train
    assert spans(chronological_split(train, 0.2, 0.1)) == [[[0, 0, 7, 7]], [[0, 7, 9, 9]], [[0, 9, 10, 10]]]


def test_nothing_is_copied():
    panel = table()
    assert all(part.values is panel.values for part in chronological_split(panel))


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        (
            r"Unknown context 'cary'\. Expected one of: carry, own\. Did you mean 'carry'\?",
            {"context": "cary"},
        ),
        (r"`gap` must be an int >= 0 \(rows\)\. Received: gap=-1", {"gap": -1}),
        (r"`gap` must .* gap=1\.5", {"gap": 1.5}),
        (r"`gap` must .* gap=True", {"gap": True}),
        (
            r"`validation` must be a share in \[0, 1\), an int >= 1 \(rows\) or the time .* validation=1\.5",
            {"validation": 1.5},
        ),
        (r"`test` must be a share in \[0, 1\), .* test=True", {"test": True}),
        (r"`test` must be a share in \[0, 1\), .* test=-0\.1", {"test": -0.1}),
        (r"`test` must be a share in \[0, 1\), .* test=\[1\]", {"test": [1]}),
        (
            r"`test` must be a share in \[0, 1\), .*'2024-01-31'\. Received: test='someday'",
            {"test": "someday"},
        ),
        (
            r"`test` has the time zone UTC, but the times of the table have none",
            {"test": "2024-01-17 00:00+00:00"},
        ),
        (
            r"The table has no training row: of its 20 rows, validation starts at row 0 and test at row 10, with gap=0",
            {"validation": 0.5, "test": 0.5},
        ),
        (r"The table has no training row: of its 20 rows, validation starts at row 0", {"validation": 29}),
        (r"The table has no validation row: .* Received: validation=0\.01, test=0\.15", {"validation": 0.01}),
        (r"The table has no test row: .* with gap=5", {"gap": 5, "validation": 0.4}),
        (
            r"no validation row: .* starts at row 17 and test at row 10",
            {"validation": "2024-01-18", "test": "2024-01-11"},
        ),
    ],
)
def test_splits_that_can_not_be(message, changes):
    with pytest.raises(ValueError, match=message):
        chronological_split(table(), **changes)


def test_a_series_that_is_too_short_is_named():
    with pytest.raises(ValueError, match=r"Series 1 has no validation row: of its 3 rows"):
        chronological_split(panel_of([20, 3]))


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(41, 59), min_size=1, max_size=3),
    gap=st.integers(0, 3),
    context=st.sampled_from(["carry", "own"]),
    context_length=st.integers(1, 5),
    horizon=st.integers(1, 3),
    stride=st.integers(1, 3),
)
def test_a_split_never_leaks(lengths, gap, context, context_length, horizon, stride):
    panel = panel_of(lengths)
    parts = chronological_split(panel, 0.31, 0.29, gap=gap, context=context)
    spec = WindowSpec(context_length, horizon, stride=stride)
    targets, seen = [], []
    for part in parts:
        rows = spec.origins(part)
        targets.append({int(r) for r in (rows[:, None] + np.arange(1, horizon + 1)).ravel()})
        seen.append({int(r) for r in (rows[:, None] - np.arange(context_length)).ravel()})
    train, validation, test = targets
    assert not train & validation
    assert not train & test
    assert not validation & test
    # No part sees a row that a later part forecasts.
    assert not seen[0] & (validation | test)
    assert not seen[1] & test
    if context == "own":
        assert not seen[1] & (seen[0] | train)
        assert not seen[2] & (seen[0] | seen[1] | train | validation)
    of = panel.series_of
    for i in range(len(lengths)):
        last, first = (max(r for r in train if of(r) == i), min(r for r in validation if of(r) == i))
        assert first - last > gap


def test_a_share_holds_at_least_the_rows_asked_for():
    # 15 % of 72 months are 11.
    months = pd.DataFrame({"y": np.arange(72.0)}, index=pd.date_range("2018-01-01", periods=72, freq="MS"))
    panel = Panel.from_frame(months)
    assert spans(chronological_split(panel, 0.15, 0))[1] == [[0, 61, 72, 72]]
    assert spans(chronological_split(panel, 0.15, 0, at_least=12))[1] == [[0, 60, 72, 72]]
    assert spans(chronological_split(panel, 0.25, 0, at_least=12))[1] == [[0, 54, 72, 72]]
    assert spans(chronological_split(panel, 0.15, 0.15, at_least=12)) == [
        [[0, 0, 48, 48]],
        [[0, 48, 60, 60]],
        [[0, 60, 72, 72]],
    ]
    # The gap is beside them; numbers of rows and times are what the user wants.
    assert spans(chronological_split(panel, 0.15, 0, gap=2, at_least=12))[1] == [[0, 60, 72, 72]]
    assert spans(chronological_split(panel, 5, 0, at_least=12))[1] == [[0, 67, 72, 72]]
    # At most half of the rows.
    assert spans(chronological_split(panel, 0.15, 0, at_least=60))[1] == [[0, 36, 72, 72]]


def test_each_part_knows_its_name():
    split = chronological_split(table(), 0.2, 0.2)
    assert [part.part for part in split] == ["training", "validation", "test"]
    with pytest.raises(
        ValueError, match=r"The validation part has 16 rows from .*, of which 4 may be forecast"
    ):
        WindowSpec(3, 5).origins(split.validation)
