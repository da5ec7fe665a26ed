import itertools

import numpy as np
import pandas as pd
import pytest

from tfts import Forecaster
from tfts.data.panel import Panel
from tfts.data.times import alias_of, find_frequency, regularise, time_grid


@pytest.mark.parametrize("tz", [None, "Europe/Berlin"])
@pytest.mark.parametrize(
    "freq", ["15min", "h", "D", "7D", "B", "W-SUN", "MS", "ME", "MS-30", "QS-FEB", "2MS"]
)
def test_many_series_are_brought_into_order_as_each_alone(freq, tz):
    rng, stamps, codes = np.random.default_rng(0), [], []
    for series, rows in enumerate((1, 5, 40, 7)):
        start = time_grid(pd.Timestamp("2024-01-28", tz=tz), freq, periods=30)[series]
        grid = time_grid(start, freq, periods=rows)
        kept = np.sort(rng.permutation(rows)[: max(1, rows - rows // 3)])
        stamps.append(grid[kept])
        codes.append(np.full(len(kept), series))
    times, codes = stamps[0].append(stamps[1:]), np.concatenate(codes)
    values = rng.normal(size=(len(times), 2))
    together = regularise(values, times, codes, freq, str)
    edges = np.append(np.flatnonzero(np.diff(codes, prepend=-1)), len(codes))
    alone = [regularise(values[a:b], times[a:b], codes[a:b], freq, str) for a, b in itertools.pairwise(edges)]
    np.testing.assert_array_equal(together[0], np.concatenate([part[0] for part in alone]))
    assert together[1].equals(alone[0][1].append([part[1] for part in alone[1:]]))
    assert together[2].tolist() == [part[2][0] for part in alone]


def test_a_row_off_the_grid_is_named_among_many_series():
    times = pd.DatetimeIndex(["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 00:00", "2024-01-01 00:30"])
    with pytest.raises(ValueError, match=r"does not lie on the times of freq='h' that start at .*: row 3"):
        regularise(np.ones((4, 1)), times, np.array([0, 0, 1, 1]), "h", lambda row: f"row {row}")


@pytest.mark.parametrize(
    ("old", "today"), [("H", "h"), ("15T", "15min"), ("M", "ME"), ("Q-FEB", "QE-FEB"), ("AS", "YS-JAN")]
)
def test_old_names_of_time_steps_are_understood_with_a_word(old, today):
    with pytest.warns(UserWarning, match=f"freq='{old}' is the name of pandas before 2.2"):
        assert alias_of(old) == today


@pytest.mark.parametrize(
    ("freq", "day"), [("2MS", 1), ("2ME", 31), ("4MS", 1), ("2QS-JAN", 1), ("2YS-JAN", 1), ("2MS-15", 15)]
)
def test_every_second_month_is_a_time_step(freq, day):
    times = time_grid(pd.Timestamp(2000, 1, day), freq, periods=24)
    assert find_frequency(times.delete([3, 9]), np.zeros(22), [""], None) == freq
    table = pd.DataFrame({"y": np.arange(24.0)}, index=times)
    assert Panel.from_frame(table).freq == freq
    made = Forecaster("drift", context_length=2, horizon=2).fit(table).predict(table)
    assert made["time"].tolist() == time_grid(times[-1], freq, periods=3)[1:].tolist()


def test_series_of_every_second_month_may_begin_in_any():
    parts = [
        pd.DataFrame(
            {"time": time_grid(pd.Timestamp(start), "2MS", periods=9), "shop": start, "y": np.arange(9.0)}
        )
        for start in ("2020-01-01", "2020-02-01")
    ]
    panel = Panel.from_frame(pd.concat(parts), time="time", series="shop")
    assert panel.freq == "2MS"
    assert (np.diff(panel.spans.end, prepend=0) == 9).all()
