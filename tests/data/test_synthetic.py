import numpy as np
import pandas as pd
import pytest

from tfts.data.synthetic import _draw, _random, make_series

QUIET = {"noise": 0.0, "shift_probability": 0.0, "event_probability": 0.0}
NAMES = [
    "level",
    "trend",
    "daily",
    "weekly",
    "fortnightly",
    "monthly",
    "shifts",
    "events",
    "noise",
    "coupling",
]


def test_components_add_up_to_the_frame():
    series = make_series(num_steps=211, num_features=5, event_probability=0.03, shift_probability=0.02)
    assert list(series.components) == NAMES
    np.testing.assert_array_equal(sum(series.components.values()), series.frame)
    assert all(np.abs(part).sum() > 0 for part in series.components.values())
    assert list(series.frame.columns) == ["x1", "x2", "x3", "x4", "x5"]
    assert series.frame.index.equals(pd.date_range("2019-01-01", periods=211, freq="h"))


def test_default_table_has_the_asked_shape_and_is_the_same_each_time():
    frame = make_series().frame
    assert frame.shape == (2000, 3)
    pd.testing.assert_frame_equal(frame, make_series(seed=42).frame)
    assert not np.allclose(frame, make_series(seed=43).frame)


def test_longer_table_begins_with_the_shorter_one():
    options = {"event_probability": 0.05, "shift_probability": 0.05}
    short, long = make_series(num_steps=97, **options), make_series(num_steps=131, **options)
    pd.testing.assert_frame_equal(short.frame, long.frame.iloc[:97], check_freq=False)


@pytest.mark.parametrize(
    ("freq", "name", "rows"),
    [
        ("h", "daily", 24),
        ("15min", "daily", 96),
        ("D", "weekly", 7),
        ("D", "fortnightly", 14),
        ("487h", "monthly", 3),
    ],
)
def test_seasons_run_in_time_and_so_respond_to_freq(freq, name, rows):
    # 3 steps of 487 h are two months of 730.5 h.
    part = make_series(num_steps=4 * rows, freq=freq).components[name]
    np.testing.assert_allclose(part[rows:], part[:-rows], atol=1e-8)
    # Over whole periods the mean of a sine is 0 and its mean square half its amplitude squared.
    amplitude = {"daily": [2.0, 2.5, 3.0], "weekly": [0.8, 1.0, 1.2]}.get(name, [0.3, 0.3, 0.3])
    np.testing.assert_allclose(part.mean(axis=0), 0, atol=1e-8)
    np.testing.assert_allclose(np.sqrt(2 * (part**2).mean(axis=0)), amplitude, rtol=1e-8)


def test_fixed_components_by_hand():
    parts = make_series(num_steps=7, start="1970-01-01", **QUIET).components
    np.testing.assert_array_equal(parts["level"][5], [1, 2, 3])
    np.testing.assert_allclose(parts["trend"][5], [0.0045, 0.005, 0.0055])
    # Six hours after midnight is a quarter of a day; the second channel runs an hour later.
    np.testing.assert_allclose(parts["daily"][6], [2, 2.5 * np.sin(np.pi * 5 / 12), 3 * np.sin(np.pi / 3)])
    assert not np.any([parts[name] for name in ("shifts", "events", "noise", "coupling")])


def test_random_components_by_hand():
    draws = {name: np.zeros((7, 2)) for name in ("shift_sizes", "event_sizes", "innovations")}
    draws["shift_sizes"][2, 0], draws["shift_sizes"][4, 0] = 0.5, -0.25
    draws["event_sizes"][1, 1], draws["event_sizes"][2, 1] = 1.5, 2.0
    draws["innovations"][1] = 1.0
    parts = _random(draws, {"noise": 1.0, "event_length": 3, "coupling": 0.5, "coupling_lag": 2})
    np.testing.assert_allclose(parts["shifts"][:, 0], [0, 0, 0.5, 0.5, 0.25, 0.25, 0.25])
    np.testing.assert_allclose(parts["events"][:, 1], [0, 1.5, 3.5, 3.5, 2, 0, 0])
    # Channel 0 has scale 0.6; channel 1 has 0.8, doubled by the event that runs in row 1.
    decay = 0.7 ** np.arange(6)[:, None]
    np.testing.assert_allclose(parts["noise"][1:], decay * [0.6, 1.6])
    np.testing.assert_allclose(
        parts["coupling"][:, 0], [0, 0, 0, *(0.5 * (parts["events"] + parts["noise"])[1:5, 1])]
    )
    np.testing.assert_allclose(parts["coupling"][3:, 1], 0.5 * parts["noise"][1:5, 0])


def test_noise_has_its_spread_and_memory():
    calm = make_series(num_steps=50_021, num_features=2, event_probability=0.0).components["noise"]
    # Stationary AR(1): sd = innovation sd / sqrt(1 - 0.7 ** 2).
    np.testing.assert_allclose(calm.std(axis=0), np.array([0.09, 0.12]) / np.sqrt(0.51), rtol=0.03)
    np.testing.assert_allclose([np.corrcoef(calm[1:, s], calm[:-1, s])[0, 1] for s in (0, 1)], 0.7, atol=0.02)
    first_rows = np.array(
        [make_series(num_steps=1, num_features=997, seed=seed).components["noise"] for seed in (1, 2)]
    )
    scale = 0.15 * (0.6 + 0.2 * np.arange(997)) / np.sqrt(0.51)
    np.testing.assert_allclose((first_rows / scale).std(), 1, atol=0.1)


def test_noise_grows_while_an_event_runs():
    series = make_series(num_steps=50_021, event_probability=0.02)
    noise, running = series.components["noise"], series.components["events"] > 0
    innovations = noise[1:] - 0.7 * noise[:-1]
    for channel in range(3):
        now = running[1:, channel]
        assert innovations[now, channel].std() / innovations[~now, channel].std() == pytest.approx(
            2, rel=0.05
        )


@pytest.mark.parametrize(
    ("option", "changed"),
    [
        ({"trend": 0.01}, {"trend"}),
        ({"noise": 0.3}, {"noise", "coupling"}),
        ({"shift_probability": 0.1}, {"shifts"}),
        ({"event_probability": 0.1}, {"events", "noise", "coupling"}),
        ({"event_length": 11}, {"events", "noise", "coupling"}),
        ({"coupling": -0.2}, {"coupling"}),
        ({"coupling_lag": 13}, {"coupling"}),
        ({"start": "2019-01-02"}, {"weekly", "fortnightly", "monthly"}),
        ({"freq": "6h"}, {"daily", "weekly", "fortnightly", "monthly"}),
        ({"seed": 7}, {"shifts", "events", "noise", "coupling"}),
    ],
)
def test_each_option_changes_its_own_components(option, changed):
    base = {"num_steps": 401, "event_probability": 0.02, "shift_probability": 0.02}
    before, after = make_series(**base).components, make_series(**{**base, **option}).components
    assert {name for name in NAMES if not np.allclose(before[name], after[name])} == changed


def test_single_channel_has_no_coupling():
    series = make_series(num_steps=53, num_features=1, event_probability=0.1)
    assert not series.components["coupling"].any()
    assert series.oracle([31], 11).shape == (1, 11, 1)


def test_oracle_goes_on_exactly_where_nothing_is_random():
    series = make_series(num_steps=211, **QUIET)
    forecast = series.oracle([5, 97], 13)
    expected = [series.frame.iloc[origin + 1 : origin + 14] for origin in (5, 97)]
    np.testing.assert_allclose(forecast, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("freq", ["h", "D", "MS"])
def test_oracle_reaches_past_the_last_row(freq):
    long = make_series(num_steps=61, freq=freq, event_probability=0.1)
    short = make_series(num_steps=48, freq=freq, event_probability=0.1)
    np.testing.assert_allclose(short.oracle([47], 13), long.oracle([47], 13), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("num_features", "origin", "options"),
    [
        (3, 31, {"event_probability": 0.1, "event_length": 7, "coupling_lag": 5}),
        (2, 31, {"event_probability": 0.2, "event_length": 5, "coupling_lag": 11, "coupling": -0.9}),
        (
            3,
            2,
            {"event_probability": 0.1, "event_length": 23, "coupling_lag": 7, "coupling": 0.8, "noise": 1.0},
        ),
        (3, 19, {"shift_probability": 0.1, "coupling_lag": 19, "noise": 0.5}),
    ],
)
def test_oracle_is_the_mean_of_simulated_futures(num_features, origin, options):
    horizon, num_futures = 17, 3001
    num_steps = origin + horizon + 1
    series = make_series(num_steps=num_steps, num_features=num_features, **options)
    past = _draw(42, num_steps, num_features, series.settings)
    fixed = sum(series.components[name] for name in NAMES[:6])
    futures = np.empty((num_futures, horizon, num_features))
    for i in range(num_futures):
        draws = _draw(1_000_003 + i, num_steps, num_features, series.settings)
        for name, table in draws.items():
            table[: origin + 1] = past[name][: origin + 1]
        futures[i] = (fixed + sum(_random(draws, series.settings).values()))[origin + 1 :]
    error = futures.mean(axis=0) - series.oracle([origin], horizon)[0]
    standard_error = futures.std(axis=0) / np.sqrt(num_futures)
    # Steps that the coupling does not vary at all differ by rounding alone.
    assert np.all(np.abs(error) <= 4 * standard_error + 1e-12)
    assert np.all(standard_error < 0.08)


@pytest.mark.parametrize("horizon", [3, 13])
def test_paths_of_the_oracle_have_its_mean_and_hold_what_happened(horizon):
    series = make_series(num_steps=1500, event_probability=0.02, shift_probability=0.005)
    origins = np.arange(200, 1500 - horizon, 7)
    paths = series.oracle_paths(origins, horizon, samples=400)
    np.testing.assert_allclose(paths.mean(axis=0), series.oracle(origins, horizon), atol=0.35)
    assert np.abs(paths.mean(axis=0) - series.oracle(origins, horizon)).mean() < 0.04
    actual = series.frame.to_numpy()[origins[:, None] + np.arange(1, horizon + 1)]
    for level in (0.1, 0.5, 0.9):
        assert (actual <= np.quantile(paths, level, axis=0)).mean() == pytest.approx(level, abs=0.04)
    np.testing.assert_array_equal(paths, series.oracle_paths(origins, horizon, samples=400))


def test_no_constant_shift_improves_the_oracle():
    # The best constant is the mean error, so it must be 0 but for chance. Origins lie further apart
    # than horizon + event_length, so errors of different origins are independent.
    series = make_series(num_steps=100_003, event_probability=0.02)
    origins, steps = np.arange(50, 99_900, 29), np.arange(1, 18)
    error = series.frame.to_numpy()[origins[:, None] + steps] - series.oracle(origins, 17)
    assert np.all(np.abs(error.mean(axis=0)) <= 4 * error.std(axis=0) / np.sqrt(len(origins)))


def test_oracle_is_better_than_its_parts_left_out():
    series = make_series(num_steps=20_011, event_probability=0.02, shift_probability=0.0)
    origins, steps = np.arange(50, 19_900, 7), np.arange(1, 11)
    rows = origins[:, None] + steps
    future = series.frame.to_numpy()[rows]
    forecast = series.oracle(origins, 10)
    best = ((future - forecast) ** 2).mean()
    fixed = sum(series.components[name] for name in NAMES[:6])[rows]
    assert best < ((future - fixed) ** 2).mean()
    noise = 0.7 ** steps[:, None] * series.components["noise"][origins][:, None]
    assert best < ((future - forecast + noise) ** 2).mean()
    assert best < ((future - 0.9 * forecast) ** 2).mean()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"num_steps": 0}, "`num_steps` must be an int >= 1. Received: num_steps=0"),
        ({"num_features": 2.0}, "`num_features` must be an int >= 1"),
        ({"event_length": True}, "`event_length` must be an int >= 1"),
        ({"coupling_lag": 0}, "`coupling_lag` must be an int >= 1"),
        ({"event_probability": 1.5}, "`event_probability` must be a probability from 0 to 1"),
        ({"shift_probability": -0.1}, "`shift_probability` must be a probability from 0 to 1"),
        ({"noise": float("nan")}, "`noise` is a standard deviation"),
        ({"freq": "fortnight"}, "`freq` a pandas offset alias.*freq='fortnight'"),
        ({"start": "soon"}, "`start` must be a time.*start='soon'"),
    ],
)
def test_wrong_settings_are_errors(option, message):
    with pytest.raises(ValueError, match=message):
        make_series(**option)


@pytest.mark.parametrize("origins", [[-1], [59], [1.5], 3, []])
def test_wrong_origins_are_errors(origins):
    with pytest.raises(ValueError, match="`origins` must be a list of row numbers from 0 to 58"):
        make_series(num_steps=59).oracle(origins, 5)


def test_wrong_horizon_is_an_error():
    with pytest.raises(ValueError, match=r"`horizon` must be an int >= 1. Received: horizon=0"):
        make_series(num_steps=59).oracle([3], 0)
