import dataclasses

import numpy as np
import pytest

from tfts.data.spans import Span, Spans

# Three series of 5, 2 and 6 rows.
SPANS = Spans(start=[0, 5, 7], target_start=[2, 5, 10], observed_end=[4, 7, 12], end=[5, 7, 13])


def test_every_row_number_is_an_int64_array_with_one_for_each_series():
    for name in Span._fields:
        array = getattr(SPANS, name)
        assert array.dtype == np.int64
        assert array.shape == (3,)
    assert len(SPANS) == 3
    assert Spans(0, 1, 2, 3).tolist() == [[0, 1, 2, 3]]


def test_iteration_names_the_rows_of_one_series():
    assert [span.target_start for span in SPANS] == [2, 5, 10]
    assert list(SPANS)[2] == SPANS[2] == SPANS[-1] == Span(7, 10, 12, 13)
    assert all(type(row) is int for span in (*SPANS, SPANS[0]) for row in span)


def test_series_are_chosen_by_slice_mask_and_number():
    assert SPANS[1:].tolist() == [[5, 5, 7, 7], [7, 10, 12, 13]]
    assert SPANS[np.array([True, False, True])].tolist() == [[0, 2, 4, 5], [7, 10, 12, 13]]
    assert SPANS[[2, 0]].start.tolist() == [7, 0]


def test_rows_joins_what_may_be_forecast_or_what_is_asked_for():
    assert SPANS.rows().tolist() == [2, 3, 5, 6, 10, 11]
    assert SPANS.rows(first=SPANS.start, stop=SPANS.end).tolist() == list(range(13))
    assert SPANS.rows(first=SPANS.end - 1, stop=SPANS.end).tolist() == [4, 6, 12]


def test_rows_are_none_where_the_first_is_not_before_the_last():
    assert Spans([0, 5], [6, 5], [4, 7], [5, 7]).rows().tolist() == [5, 6]
    assert Spans([0], [4], [4], [5]).rows().tolist() == []


def test_replace_leaves_the_others_as_they_are():
    later = SPANS.replace(end=SPANS.end + 1)
    assert later.tolist() == [[0, 2, 4, 6], [5, 5, 7, 8], [7, 10, 12, 14]]
    assert SPANS.end.tolist() == [5, 7, 13]
    with pytest.raises(dataclasses.FrozenInstanceError):
        SPANS.end = later.end


def test_the_text_shows_the_rows():
    assert repr(SPANS[:1]) == "Spans(start=[0], target_start=[2], observed_end=[4], end=[5])"


def test_an_array_with_more_series_than_another_is_refused():
    with pytest.raises(
        ValueError, match=r"one row number for each series .* Received: shapes \(2,\), \(1,\)"
    ):
        Spans([0, 1], 0, 1, 1)
