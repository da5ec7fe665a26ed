import numpy as np
import pandas as pd
import pytest

from tfts.data.reshaping import AGGREGATES, long_table, resampled, restamped


def quarters(rows=11):
    return pd.DataFrame(
        {"time": pd.date_range("2024-01-31 00:15", periods=rows, freq="15min"), "y": np.arange(float(rows))}
    )


def test_a_step_is_made_of_the_rows_inside_it():
    # Rows 0 to 2 lie in the first hour, which began before the table did.
    made = resampled(quarters(), "time", "h", "sum")
    assert made["y"].tolist() == [3.0, 18.0, 34.0]
    assert made["time"].iloc[0] == pd.Timestamp("2024-01-31 00:00")


def test_steps_of_series_are_their_own():
    frame = pd.concat([quarters(5).assign(shop="a"), quarters(7).assign(shop="b")])
    made = resampled(frame, "time", "h", "max", "shop")
    assert made.values.tolist() == [
        [pd.Timestamp("2024-01-31 00:00"), 2.0, "a"],
        [pd.Timestamp("2024-01-31 01:00"), 4.0, "a"],
        [pd.Timestamp("2024-01-31 00:00"), 2.0, "b"],
        [pd.Timestamp("2024-01-31 01:00"), 6.0, "b"],
    ]


@pytest.mark.parametrize("how", AGGREGATES)
def test_every_aggregate_is_its_own(how):
    expected = {"first": 3.0, "last": 6.0, "max": 6.0, "mean": 4.5, "min": 3.0, "sum": 18.0}
    assert resampled(quarters(), "time", "h", how)["y"].iloc[1] == expected[how]


def test_the_values_of_a_wide_table_are_those_of_its_series():
    wide = pd.DataFrame({"month": [1, 2, 3], "a": [5.0, np.nan, 7.0], "b": [np.nan, np.nan, 0.0]})
    assert long_table(wide, "month", "part").to_dict("list") == {
        "part": ["a", "a", "b"],
        "month": [1, 3, 3],
        "value": [5.0, 7.0, 0.0],
    }


def test_what_cannot_be_reshaped_says_so():
    with pytest.raises(ValueError, match=r"Unknown aggregate 'median'\. Expected one of: first, last, max"):
        resampled(quarters(), "time", "h", "median")
    with pytest.raises(ValueError, match=r"`step` must be a pandas offset alias.*Received: 'hour-ish'"):
        resampled(quarters(), "time", "hour-ish")
    with pytest.raises(ValueError, match=r"`step` must be a pandas offset alias.*Received: 'x'"):
        restamped(quarters(), "time", "2024-01-01", "x")
    with pytest.raises(ValueError, match=r"Unknown column of the table 'tme'.*Did you mean 'time'"):
        long_table(quarters(), "tme")
    with pytest.raises(ValueError, match="Unknown column of the table 'shop'"):
        resampled(quarters(), "time", "h", series="shop")
