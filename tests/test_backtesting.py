import numpy as np
import pandas as pd
import pytest

from tfts import Forecaster, backtest, backtesting, compare_backtests


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


def weekly(rows=40, **more):
    """Series with one row a week, each on a day of its own: name -> (first day, rows)."""
    series = {"monday": ("2024-01-01", rows), "wednesday": ("2024-01-03", rows), **more}
    parts = [
        pd.DataFrame(
            {
                "week": pd.date_range(start, periods=count, freq="7D"),
                "shop": name,
                "y": np.arange(count) ** 1.5,
            }
        )
        for name, (start, count) in series.items()
    ]
    return pd.concat(parts)


def test_every_series_has_origins_of_its_own():
    forecaster = naive(time="week", series="shop")
    table = backtest(forecaster, weekly(early=("2023-01-02", 30)), origins=2)
    # 40 rows: origins 33 and 36, the last with 3 rows after it; of 30 rows 23 and 26.
    first = {"monday": "2024-01-01", "wednesday": "2024-01-03", "early": "2023-01-02"}
    for name, rows in (("monday", (33, 36)), ("wednesday", (33, 36)), ("early", (23, 26))):
        part = table[table["series"] == name]
        assert part["origin"].unique().tolist() == [
            pd.Timestamp(first[name]) + pd.Timedelta(days=7 * row) for row in rows
        ]
        np.testing.assert_allclose(part["forecast"], np.repeat(np.array(rows) ** 1.5, 3), rtol=1e-6)
        actual = [(row + step) ** 1.5 for row in rows for step in (1, 2, 3)]
        np.testing.assert_allclose(part["actual"], actual, rtol=1e-6)
    assert table["origin"].is_monotonic_increasing
    found = compare_backtests({"near": table, "far": table.assign(forecast=table["forecast"] * 0.5)})
    assert found["first"].tolist() == ["near"]


@pytest.mark.parametrize("refit", [False, True, 2])
def test_no_forecast_knows_a_row_of_any_series_after_its_origin(refit):
    frame = weekly(early=("2023-09-04", 40))
    linear = Forecaster("linear_regression", context_length=5, horizon=3, time="week", series="shop")
    table = backtest(linear, frame, origins=3, refit=refit)
    counts = table.groupby("series")["origin"].nunique()
    assert counts.to_dict() == {"early": 3, "monday": 3, "wednesday": 3}
    for origin in table["origin"].unique()[[0, 1, 4]]:
        changed = frame.assign(y=frame["y"].where(frame["week"] <= origin, 1e4))
        again = backtest(linear, changed, origins=3, refit=refit)
        at = table["origin"] == origin
        np.testing.assert_array_equal(again.loc[at, "forecast"], table.loc[at, "forecast"])


def test_a_series_whose_first_origin_is_later_is_forecast_by_a_later_fit(monkeypatch):
    seen, up_to = [], backtesting._up_to

    def noted(panel, time):
        seen.append(up_to(panel, time).spans.observed_end.tolist())
        return up_to(panel, time)

    monkeypatch.setattr(backtesting, "_up_to", noted)
    backtest(naive(time="week", series="shop"), weekly(), origins=2)
    # Rows up to monday's origin 33, and up to wednesday's, two days later: 33 and 34 of each.
    assert seen == [[34, 40 + 33], [34, 40 + 34]]


def test_series_without_enough_origins_are_named():
    frame = weekly(short=("2024-01-01", 12), tiny=("2024-01-01", 7))
    with pytest.warns(
        UserWarning, match="Of 4 series, 1 are not scored.* 1 at fewer than 3 origins: "
    ) as caught:
        table = backtest(naive(time="week", series="shop"), frame, origins=3)
    # 12 rows: origins 8 and 5; 7 rows hold no context of 5 with 3 rows after it.
    assert str(caught[0].message).endswith("'short' 2, 'tiny' 0.")
    assert table.groupby("series")["origin"].nunique().to_dict() == {"monday": 3, "short": 2, "wednesday": 3}
    with pytest.warns(UserWarning, match="Of 2 series, 1 are not scored.*: 'wednesday' 0"):
        table = backtest(naive(time="week", series="shop"), weekly(), origins=["2024-06-03"])
    assert table["series"].unique().tolist() == ["monday"]


def test_origins_before_and_after_a_gap_do_not_overlap():
    values = frame().astype(float)
    values.iloc[38] = np.nan
    table = backtest(naive(missing="drop"), values, origins=2)
    # Row 43 is the last with 3 rows after it; no context of 5 rows with 3 after it is whole from 34 on.
    assert table["origin"].unique().tolist() == [pd.Timestamp("2024-02-04"), pd.Timestamp("2024-02-13")]


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
