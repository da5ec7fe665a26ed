import numpy as np
import pandas as pd
import pytest

from tfts import Forecaster, backtest, compare_backtests


def frame(rows=47):
    return pd.DataFrame(
        {"y": np.arange(float(rows)) ** 1.5}, index=pd.date_range("2024-01-01", periods=rows, freq="D")
    )


def naive(**options):
    return Forecaster("persistence", context_length=5, horizon=3, **options)


def test_the_last_origins_have_their_whole_horizon():
    table = backtest(naive(), frame(), origins=2)
    # 47 rows: the last origin with 3 rows after it is row 43, the one before is row 40.
    assert table["origin"].unique().tolist() == [pd.Timestamp("2024-02-10"), pd.Timestamp("2024-02-13")]
    assert table["step"].tolist() == [1, 2, 3, 1, 2, 3]
    np.testing.assert_allclose(table["actual"][3:], np.arange(44.0, 47) ** 1.5, rtol=1e-6)
    np.testing.assert_allclose(table["forecast"][3:], 43**1.5, rtol=1e-6)


def test_stride_and_times_choose_origins():
    by_stride = backtest(naive(), frame(), origins=3, stride=1)
    by_time = backtest(naive(), frame(), origins=["2024-02-11", "2024-02-12", "2024-02-13"])
    pd.testing.assert_frame_equal(by_stride, by_time)


def test_rows_after_an_origin_change_nothing_in_its_forecast():
    changed = frame()
    changed.iloc[41:] = 1e4
    options = {"origins": ["2024-02-10"], "refit": True}
    linear = Forecaster("linear_regression", context_length=5, horizon=3)
    before, after = backtest(linear, frame(), **options), backtest(linear, changed, **options)
    np.testing.assert_array_equal(before["forecast"], after["forecast"])
    assert (after["actual"] == 1e4).all()


def test_refit_learns_from_the_rows_up_to_each_origin():
    linear = Forecaster("linear_regression", context_length=5, horizon=3)
    once, every = (backtest(linear, frame(), origins=3, refit=refit) for refit in (False, True))
    second = backtest(linear, frame(), origins=3, refit=2)
    first, middle, last = slice(0, 3), slice(3, 6), slice(6, 9)
    np.testing.assert_allclose(once["forecast"][first], every["forecast"][first], rtol=1e-12)
    assert (once["forecast"][middle] != every["forecast"][middle]).any()
    np.testing.assert_allclose(second["forecast"][middle], once["forecast"][middle], rtol=1e-12)
    np.testing.assert_allclose(second["forecast"][last], every["forecast"][last], rtol=1e-12)


def test_many_origins_of_one_fit_are_forecast_together_and_as_one_by_one(monkeypatch):
    wide = frame(61).assign(z=lambda f: np.sin(f["y"]))
    long = pd.concat([wide.assign(shop="b"), wide.iloc[10:].assign(shop="a")]).rename_axis("day")
    calls = []
    forecast_windows = Forecaster.forecast_windows
    monkeypatch.setattr(
        Forecaster,
        "forecast_windows",
        lambda self, panel, rows: calls.append(len(rows)) or forecast_windows(self, panel, rows),
    )
    linear = Forecaster("linear_regression", context_length=5, horizon=3, time="day", series="shop")
    table = backtest(linear, long.reset_index(), origins=7, stride=1)
    assert calls == [14]
    # Each origin with all that belongs to it, and in it each target, series and step.
    columns = ["origin", "target", "series", "step"]
    steps = [(target, shop, step) for target in "yz" for shop in "ab" for step in (1, 2, 3)]
    assert [tuple(row[1:]) for row in table[columns].to_numpy()] == steps * 7
    assert table["origin"].is_monotonic_increasing
    for origin, part in table.groupby("origin"):
        fitted = linear.clone().fit(long[long.index <= table["origin"].iloc[0]].reset_index())
        alone = fitted.predict(long[long.index <= origin].reset_index())
        np.testing.assert_allclose(part["forecast"], np.concatenate([alone["y"], alone["z"]]), rtol=1e-6)
        known = long.set_index("shop", append=True).sort_index()
        actual = [
            known.loc[(row.origin + pd.Timedelta(days=row.step), row.series), row.target]
            for row in part.itertuples()
        ]
        np.testing.assert_allclose(part["actual"], actual, rtol=1e-6)


def test_several_series_and_targets_are_tidy():
    wide = frame().assign(z=lambda f: -f["y"])
    long = (
        pd.concat([wide.assign(shop="a"), wide.iloc[10:].assign(shop="b")]).rename_axis("day").reset_index()
    )
    table = backtest(naive(time="day", series="shop"), long, origins=2)
    assert len(table) == 2 * 2 * 2 * 3
    assert set(table["target"]) == {"y", "z"}
    assert set(table["series"]) == {"a", "b"}
    one = table[(table["series"] == "b") & (table["target"] == "z") & (table["step"] == 2)]
    np.testing.assert_allclose(one["actual"], [-(42**1.5), -(45**1.5)], rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"origins": 0}, "`origins` and `stride` must be >= 1. Received: origins=0, stride=3"),
        ({"origins": 30}, "room for 14 origins, 3 rows apart. Received: origins=30"),
        ({"origins": ["2030-01-01"]}, "2030-01-01 00:00:00 is no time of the table"),
        ({"origins": ["2024-01-30"], "stride": 2}, "`stride` goes with a number of origins"),
        ({"refit": "yes"}, "`refit` must be False, True or an int >= 1"),
        (
            {"origins": ["2024-02-10", "2024-01-03"]},
            "can be forecast from 2024-01-03 00:00:00: expected 5 rows before it, without a gap",
        ),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        backtest(naive(), frame(), **options)


def made(seed, error, rows):
    """A backtest of two shops and two targets, as `backtest` gives it, with errors of a known size."""
    random = np.random.default_rng(seed)
    return rows.assign(forecast=rows["actual"] + error * random.normal(size=len(rows)))


@pytest.fixture(scope="module")
def rows():
    origins = pd.date_range("2024-01-01", periods=31, freq="2D")
    index = pd.MultiIndex.from_product(
        [["y", "z"], ["a", "b"], origins, [1, 2, 3]], names=["target", "series", "origin", "step"]
    )
    table = index.to_frame(index=False)
    table["time"] = table["origin"] + pd.to_timedelta(table["step"], unit="D")
    return table.assign(actual=np.arange(len(table), dtype=float))


def test_backtests_of_the_same_rows_are_compared_target_by_target(rows):
    tables = {"near": made(0, 1.0, rows), "far": made(1, 2.0, rows).sample(frac=1, random_state=3)}
    found = compare_backtests(tables)
    assert found[["target", "metric", "first", "second", "holds", "over"]].to_numpy().tolist() == [
        ["y", "mse", "near", "far", True, "windows"],
        ["z", "mse", "near", "far", True, "windows"],
    ]
    squares = {name: (table["forecast"] - table["actual"]) ** 2 for name, table in tables.items()}
    of_y = [squares[name][table["target"] == "y"].mean() for name, table in tables.items()]
    assert found["difference"].iloc[0] == pytest.approx(of_y[0] - of_y[1])
    # Horizons of 3 rows, 2 rows apart: two origins overlap. 31 origins make 15 blocks.
    assert found["blocks"].tolist() == [15, 15]
    lost = {
        name: table.assign(actual=table["actual"].where(table["step"] < 3)) for name, table in tables.items()
    }
    kept = [squares[name][(t["target"] == "z") & (t["step"] < 3)].mean() for name, t in tables.items()]
    assert compare_backtests(lost)["difference"].iloc[1] == pytest.approx(kept[0] - kept[1])
    assert compare_backtests({"near": tables["near"]}).empty
    lost = {
        name: table.assign(actual=table["actual"].where(table["target"] == "z"))
        for name, table in tables.items()
    }
    alone = compare_backtests(lost)
    assert (alone["target"].tolist(), alone["difference"].dtype) == (["z"], np.float64)


def test_backtests_of_other_rows_are_refused(rows):
    with pytest.raises(ValueError, match="at least one backtest"):
        compare_backtests({})
    other = rows[rows["series"] == "a"]
    with pytest.raises(ValueError, match=r"'b' has other origins.* than 'a': 186 and 372 rows"):
        compare_backtests({"a": made(0, 1, rows), "b": made(0, 1, other)})
