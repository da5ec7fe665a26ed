import numpy as np
import pandas as pd
import pytest
from sklearn import linear_model

from tfts import Forecaster
from tfts.baselines import _equations, _moments, build_baseline, ridge
from tfts.baselines._moments import window_moments
from tfts.data.panel import Panel
from tfts.data.split import chronological_split
from tfts.data.windows import WindowSpec

CASES = {
    "one series": {},
    "two series": {"num_series": 2},
    "gaps": {"num_series": 2, "gap": True},
    "known columns": {"num_known": 2},
    "known columns and gaps": {"num_series": 2, "num_known": 2, "gap": True},
}


def make_panel(rows=307, num_series=1, gap=False, num_known=0):
    random = np.random.default_rng(5)
    parts = []
    for series in range(num_series):
        length = rows + 37 * series
        time = np.arange(length)
        part = pd.DataFrame({c: 0.1 * random.normal(size=length).cumsum() + np.sin(time / 3) for c in "xyz"})
        for k in range(num_known):
            part[f"known{k}"] = np.cos(time * (k + 1) / 5) + 0.1 * random.normal(size=length)
        if gap:
            part.loc[[50, 51, 200, 233], "y"] = np.nan
        part.insert(0, "time", pd.date_range("2024-01-01", periods=length, freq="h"))
        part.insert(0, "series", f"s{series}")
        parts.append(part)
    known = [f"known{k}" for k in range(num_known)]
    return Panel.from_frame(
        pd.concat(parts, ignore_index=True),
        time="time",
        series="series",
        targets=["x", "y"],
        known_future=known,
        missing="drop",
    )


def windows(panel, spec, rows):
    """Past and future of the targets in float64, and the known columns."""
    inputs, future = spec.arrays(panel, rows)
    has_known = isinstance(inputs, dict)
    past = (inputs["past"] if has_known else inputs)[..., :2].astype(np.float64)
    known = inputs["known_future"].astype(np.float64) if has_known else np.zeros((len(rows), 99, 0))
    return past, future.astype(np.float64), known


def flat(past, known, level, step):
    """A row for each window and target: the window less its level, and the step's known columns."""
    seen = (past - level[:, None]).transpose(0, 2, 1).reshape(-1, past.shape[1])
    return np.hstack([seen, np.repeat(known[:, past.shape[1] + step], 2, axis=0)])


def learnt_and_seen(panel, spec, lookback, centre):
    """Past, future, known columns and levels of windows to learn from, and all but the future of others."""
    own = WindowSpec(lookback, spec.horizon)
    past, future, known = windows(panel, own, own.origins(panel))
    seen, _, known_seen = windows(panel, spec, spec.origins(panel))
    seen, known_seen = seen[:, -lookback:], known_seen[:, spec.context_length - lookback :]
    level, level_seen = (
        part[:, -centre:].mean(axis=1) if centre else np.zeros(part[:, 0].shape) for part in (past, seen)
    )
    return (past, future, known, level), (seen, known_seen, level_seen)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("stride", [1, 5])
def test_moments_are_those_of_the_windows(case, stride):
    panel, spec = make_panel(**CASES[case]), WindowSpec(11, 3, stride=stride)
    rows = spec.origins(panel)
    moments = window_moments(panel, spec, rows, ["x", "y"])
    past, future, known = windows(panel, spec, rows)
    whole = np.concatenate([past, future], axis=1).transpose(0, 2, 1).reshape(-1, 14)
    ahead = np.repeat(known[:, 11:14], 2, axis=0)
    assert moments.count == len(rows) * 2
    np.testing.assert_allclose(moments.sums, whole.sum(axis=0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(moments.products, whole.T @ whole, rtol=1e-10)
    np.testing.assert_allclose(moments.known_sums, ahead.sum(axis=0), atol=1e-9)
    np.testing.assert_allclose(
        moments.known_products, np.einsum("nhk,nhj->hkj", ahead, ahead), rtol=1e-9, atol=1e-9
    )
    np.testing.assert_allclose(moments.cross, np.einsum("ni,nhk->ihk", whole, ahead), rtol=1e-8, atol=1e-8)


def test_moments_of_blocks_add_up_to_those_of_the_whole(monkeypatch):
    panel, spec = make_panel(num_known=1), WindowSpec(11, 3)
    rows = spec.origins(panel)
    whole = window_moments(panel, spec, rows, ["x"])
    monkeypatch.setattr(_moments, "_BLOCK", 71)
    for ours, expected in zip(window_moments(panel, spec, rows, ["x"]), whole, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("lookback", "centre"), [(11, 0), (11, 1), (7, 3), (7, 7)])
def test_agrees_with_scikit_learn_on_the_windows_themselves(case, lookback, centre):
    panel, spec = make_panel(**CASES[case]), WindowSpec(11, 3)
    ours = build_baseline("ridge", lookbacks=lookback, centres=centre, alphas=2.0).fit(panel, spec)
    (past, future, known, level), (seen, known_seen, level_seen) = learnt_and_seen(
        panel, spec, lookback, centre
    )
    forecast = ours.predict(panel, spec, spec.origins(panel))
    for step in range(3):
        target = (future[:, step] - level).ravel()
        model = linear_model.Ridge(2.0).fit(flat(past, known, level, step), target)
        expected = model.predict(flat(seen, known_seen, level_seen, step)).reshape(-1, 2) + level_seen
        np.testing.assert_allclose(forecast[:, step], expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("lookback", "centre"), [(11, 0), (11, 4), (7, 1)])
def test_agrees_with_scikit_learn_on_the_windows_of_all_columns(monkeypatch, case, lookback, centre):
    monkeypatch.setattr(_moments, "_FLAT", 1000)
    panel, spec = make_panel(**CASES[case]), WindowSpec(11, 3)
    ours = build_baseline("ridge", lookbacks=lookback, centres=centre, alphas=2.0, inputs="all")
    ours.fit(panel, spec)
    own = WindowSpec(lookback, 3)
    learnt, rows = own.origins(panel), spec.origins(panel)

    def inputs(spec, rows):
        past = spec.past(panel, rows)[:, -lookback:].astype(np.float64)
        level = past[:, -centre:].mean(axis=1) if centre else np.zeros(past[:, 0].shape)
        return (past - level[:, None]).reshape(len(rows), -1), level[:, :2]

    _, future, known = windows(panel, own, learnt)
    _, _, known_seen = windows(panel, spec, rows)
    (past, level), (seen, level_seen) = inputs(own, learnt), inputs(spec, rows)
    forecast = ours.predict(panel, spec, rows)
    for step in range(3):
        model = linear_model.Ridge(2.0)
        model.fit(np.hstack([past, known[:, lookback + step]]), future[:, step] - level)
        expected = model.predict(np.hstack([seen, known_seen[:, 11 + step]])) + level_seen
        np.testing.assert_allclose(forecast[:, step], expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("options", [{}, {"weights": "own"}, {"inputs": "all"}])
def test_the_linear_map_forecasts_alike_for_windows_less_any_level(options):
    panel, spec = make_panel(num_known=2), WindowSpec(11, 3)
    rows = spec.origins(panel)
    fitted = build_baseline("ridge", lookbacks=7, **options).fit(panel, spec)
    kernel, known, intercept = fitted.linear_map()
    past, ahead = spec.past(panel, rows)[..., : kernel.shape[1]], spec.known(panel, rows)[:, 11:]
    level = past[:, 5:6]
    mapped = np.einsum("ncf,cfht->nht", past - level, kernel) + np.einsum("nhk,hkt->nht", ahead, known)
    expected = fitted.predict(panel, spec, rows)
    np.testing.assert_allclose(mapped + intercept + level[..., :2], expected, rtol=1e-5, atol=1e-5)


def test_a_map_without_a_centre_is_none_for_windows_less_their_level():
    panel, spec = make_panel(), WindowSpec(11, 3)
    with pytest.raises(ValueError, match="A ridge with a centre of 0 has no map"):
        build_baseline("ridge", centres=0).fit(panel, spec).linear_map()


def seasons_of(seen, known):
    """Inputs `(windows * 2, phases, inputs)` of one season of the horizon, from flat windows of 3 phases."""
    rows = len(seen[0])
    apart = seen[:, rows % 3 :].reshape(len(seen), rows // 3, 3)
    means = np.repeat(apart.sum(axis=2)[:, None] / np.sqrt(3), 3, axis=1)
    last = np.repeat(apart[:, -1:], 3, axis=1)
    return np.concatenate([apart.transpose(0, 2, 1), means, last, known], axis=2)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("lookback", "centre"), [(11, 0), (11, 1), (7, 7)])
def test_maps_that_phases_share_agree_with_scikit_learn(case, lookback, centre):
    panel, spec = make_panel(**CASES[case]), WindowSpec(11, 6)
    options = {"lookbacks": lookback, "centres": centre, "alphas": 2.0, "season_lengths": 3}
    ours = build_baseline("ridge", **options).fit(panel, spec)
    (past, future, known, level), (seen, known_seen, level_seen) = learnt_and_seen(
        panel, spec, lookback, centre
    )
    forecast = ours.predict(panel, spec, spec.origins(panel))
    for season in range(2):
        steps = range(3 * season, 3 * season + 3)
        inputs, inputs_seen = (
            seasons_of(
                flat(part, of, height, 0)[:, :lookback],
                np.repeat(of[:, lookback + 3 * season :][:, :3], 2, axis=0),
            )
            for part, of, height in ((past, known, level), (seen, known_seen, level_seen))
        )
        targets = np.stack([(future[:, step] - level).ravel() for step in steps], axis=1)
        means, mean = inputs.mean(axis=0), targets.mean(axis=0)
        shared = linear_model.Ridge(2.0, fit_intercept=False)
        shared.fit(np.concatenate(inputs - means), np.concatenate(targets - mean))
        for phase, step in enumerate(steps):
            left = targets[:, phase] - shared.predict(inputs[:, phase])
            free = linear_model.Ridge(2.0).fit(flat(past, known, level, step), left)
            expected = shared.predict(inputs_seen[:, phase])
            expected = expected + free.predict(flat(seen, known_seen, level_seen, step))
            expected = expected.reshape(-1, 2) + level_seen
            np.testing.assert_allclose(forecast[:, step], expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("num_known", [0, 2])
def test_the_error_without_reading_the_data_is_that_of_the_forecasts(num_known):
    panel, spec = make_panel(num_known=num_known), WindowSpec(11, 6)
    split = chronological_split(panel, 0.3, 0)
    parts = chronological_split(split.train, 0.25, 0)
    options = {"lookbacks": [5, 11], "centres": [0, 3], "alphas": [0.1, 30.0], "season_lengths": [0, 3]}
    options["drift_shares"] = 1.0
    tried = build_baseline("ridge", **options, average=1).fit(split.train, spec, split.validation)
    search = tried.search_table()
    assert len(search) == 2 * 2 * 2 * 2
    alike = search[search["seasonal_alpha"].isna() | (search["seasonal_alpha"] == search["alpha"])]
    assert set(alike["season_length"]) == {0, 3}
    for setting in alike.itertuples():
        options = {
            f"{name}s": getattr(setting, name) for name in ("lookback", "centre", "alpha", "season_length")
        }
        one = build_baseline("ridge", **options).fit(parts.train, spec)
        errors = []
        for part in (parts.validation, split.validation):
            rows = spec.origins(part)
            errors.append(np.mean((one.predict(part, spec, rows) - spec.arrays(part, rows)[1]) ** 2))
        assert setting.validation_mse == pytest.approx(np.mean(errors), rel=1e-5)
    assert tried.chosen_ == [{**search.iloc[0].dropna().to_dict(), "weight": 1.0, "drift_share": 1.0}]
    assert tried.validation_mse_ == pytest.approx(search["validation_mse"].min(), rel=1e-9)


@pytest.mark.parametrize("options", [{}, {"weights": "own"}, {"inputs": "all"}])
def test_an_average_is_the_mean_of_its_maps_and_no_worse_than_the_best_of_them(options):
    panel, spec = make_panel(num_known=2), WindowSpec(11, 3)
    split = chronological_split(panel, 0.3, 0)
    tried = {"lookbacks": [3, 7, 11], "centres": [1, 5], **options}
    ours = build_baseline("ridge", **tried).fit(split.train, spec, split.validation)
    alone = build_baseline("ridge", **tried, average=1).fit(split.train, spec, split.validation)
    assert len(ours.chosen_) > len(alone.chosen_) == len(ours.groups_)
    assert ours.validation_mse_ < alone.validation_mse_
    rows = spec.origins(panel)
    expected = 0
    for chosen in ours.chosen_:
        setting = {f"{name}s": chosen[name] for name in ("lookback", "centre", "alpha")}
        one = build_baseline("ridge", **options, **setting).fit(split.train, spec)
        own = np.isin(["x", "y"], chosen["targets"])
        expected = expected + chosen["weight"] * np.where(own, one.predict(panel, spec, rows), 0)
    apart = ours.predict(panel, spec, rows) - expected
    np.testing.assert_allclose(apart, np.broadcast_to(apart[0], apart.shape), rtol=1e-8, atol=1e-8)
    assert min(chosen["drift_share"] for chosen in ours.chosen_) < 1
    assert np.ptp(apart[0], axis=0).min() > 1e-5


def test_the_drift_is_kept_as_far_as_it_lowers_the_error():
    panel, spec = make_panel(num_known=2), WindowSpec(11, 3)
    split = chronological_split(panel, 0.3, 0)
    layout = _equations.Layout(1, 3, 1)
    learnt, judged = (
        window_moments(p, spec, spec.origins(p), ["x", "y"]) for p in (split.train, split.validation)
    )
    centred = _equations.Centred(learnt, layout, 7, 0)
    found = centred.map(*_equations.Solved(centred.products).weights(2.0))
    found = found._replace(intercept=found.intercept + 0.7 * found.drift, drift=1.7 * found.drift)
    past, future, known = windows(split.validation, spec, spec.origins(split.validation))
    forecast = np.einsum("nct,co->not", past[:, -7:], found.coef) + found.intercept[:, None]
    errors = future - forecast - (known[:, 11:] * found.known).sum(axis=2)[:, :, None]
    shares = np.linspace(0, 1, 1001)
    tried = [np.mean((errors + (1 - share) * found.drift[:, None]) ** 2) for share in shares]
    share, gain = ridge._drift_share(found, [judged], None)
    assert share == pytest.approx(shares[np.argmin(tried)], abs=1e-3)
    assert gain == pytest.approx(tried[-1] - min(tried), rel=1e-4)
    assert 0 < share < 1
    assert ridge._drift_share(found, [judged], [0.0, 0.25, 1.0])[0] == min(
        (0.0, 0.25, 1.0), key=lambda share: tried[round(1000 * share)]
    )


@pytest.mark.parametrize(("steps_flat", "least", "most"), [(0, 0.99, 1), (400, 0, 0.1)])
def test_a_trend_that_has_ended_is_not_drawn_on(steps_flat, least, most):
    values = np.minimum(np.arange(1000.0), 1000 - steps_flat)
    values = values / 100 + 0.3 * np.random.default_rng(3).normal(size=1000)
    panel = Panel.from_frame(
        pd.DataFrame({"y": values}, index=pd.date_range("2024-01-01", periods=1000, freq="h"))
    )
    split = chronological_split(panel, 0.2, 0)
    fitted = build_baseline("ridge").fit(split.train, WindowSpec(11, 29), split.validation)
    assert least <= fitted.chosen_[0]["drift_share"] <= most
    halved = build_baseline("ridge", drift_shares=0.5).fit(panel, WindowSpec(11, 29))
    assert {chosen["drift_share"] for chosen in halved.chosen_} == {0.5}


def test_the_error_of_an_average_is_that_of_its_forecasts():
    panel, spec = make_panel(num_known=2), WindowSpec(11, 3)
    layout = _equations.Layout(1, 3, 1)
    rows = spec.origins(panel)
    moments = window_moments(panel, spec, rows, ["x", "y"])
    centred = [_equations.Centred(moments, layout, *setting) for setting in ((11, 1), (5, 5), (7, 0))]
    maps = [part.map(*_equations.Solved(part.products).weights(2.0)) for part in centred]
    products = _equations.products_of_errors(maps, moments)
    past, future, known = windows(panel, spec, rows)
    forecasts = [
        np.einsum("nct,co->not", past[:, -len(m.coef) :], m.coef)
        + (known[:, 11:] * m.known).sum(axis=2)[:, :, None]
        + m.intercept[:, None]
        for m in maps
    ]
    shares = np.array([0.5, 0.2, 0.3, -1.0])
    error = np.mean((sum(s * f for s, f in zip(shares, forecasts, strict=False)) - future) ** 2)
    assert shares @ products @ shares == pytest.approx(error, rel=1e-9)


def test_a_lag_beyond_a_short_lookback_is_found_by_a_long_one():
    random = np.random.default_rng(2)
    values = np.zeros(900)
    values[:17] = random.normal(size=17)
    for i in range(17, 900):
        values[i] = 0.9 * values[i - 17] + 0.3 * random.normal()
    frame = pd.DataFrame({"y": values}, index=pd.date_range("2024-01-01", periods=900, freq="h"))
    model = build_baseline("ridge", lookbacks=[3, 8, 19], centres=0).fit(
        Panel.from_frame(frame), WindowSpec(19, 1)
    )
    assert model.chosen_[0]["lookback"] == 19
    assert np.argmax(np.abs(model.coef_[0, :, 0])) == 19 - 17


def test_targets_that_behave_alike_or_not_share_a_map_or_not():
    time = np.arange(600)
    random = np.random.default_rng(0)
    noise = random.normal(scale=0.05, size=(600, 2))
    frame = pd.DataFrame(
        {"a": np.sin(time / 2) + noise[:, 0], "b": np.sin(time / 7) + noise[:, 1]},
        index=pd.date_range("2024-01-01", periods=600, freq="h"),
    )
    panel, spec = Panel.from_frame(frame), WindowSpec(7, 5)
    fitted = {w: build_baseline("ridge", weights=w).fit(panel, spec) for w in ("best", "own", "shared")}
    assert [len(model.groups_) for model in fitted.values()] == [2, 2, 1]
    assert fitted["shared"].coef_.shape == (1, 7, 5)
    listed = build_baseline("ridge", weights=[["b"], ["a"]]).fit(panel, spec)
    rows = spec.origins(panel)
    np.testing.assert_allclose(
        listed.predict(panel, spec, rows), fitted["own"].predict(panel, spec, rows), rtol=1e-9
    )
    lookback = max(chosen["lookback"] for chosen in fitted["shared"].chosen_)
    assert fitted["shared"].num_parameters == lookback * 5 + 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lookbacks": 0}, r"`lookbacks` must be ints >= 1, one or a list of them\. Received: lookbacks=0"),
        ({"lookbacks": [3, 2.5]}, r"`lookbacks` must be ints >= 1"),
        ({"centres": []}, r"`centres` must be ints >= 0, one or a list of them\. Received: centres=\[\]"),
        ({"alphas": [1.0, 0.0]}, r"`alphas` must be floats > 0"),
        ({"drift_shares": [0.5, 1.1]}, r"`drift_shares` must be floats in 0 to 1.*drift_shares=\[0.5, 1.1\]"),
        ({"weights": "joint"}, r"Unknown weights 'joint'\. Expected one of: best, own, shared"),
        ({"inputs": "some"}, r"Unknown inputs 'some'\. Expected one of: all, own"),
        (
            {"average": 0},
            r"`average` must be an int >= 1 \(settings that share a map\)\. Received: average=0",
        ),
        ({"inputs": "all", "weights": "own"}, r"`weights` belongs to inputs='own'.*weights='own'"),
        (
            {"inputs": "all", "season_lengths": 24},
            r"`season_lengths` belongs to inputs='own'.*season_lengths=24",
        ),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build_baseline("ridge", **options)


def test_what_does_not_fit_the_table_is_refused():
    panel, spec = make_panel(), WindowSpec(11, 3)
    with pytest.raises(ValueError, match=r"`lookbacks` must be at most context_length=11.*Received: 12"):
        build_baseline("ridge", lookbacks=[3, 12]).fit(panel, spec)
    with pytest.raises(ValueError, match=r"`weights` must name each of the targets \['x', 'y'\] in one"):
        build_baseline("ridge", weights=[["x"]]).fit(panel, spec)
    for season_length in (1, 2, 12):
        with pytest.raises(
            ValueError, match=r"`season_lengths` must be 0, or ints >= 2 that divide horizon=3"
        ):
            build_baseline("ridge", season_lengths=season_length).fit(panel, spec)
    fitted = build_baseline("ridge", lookbacks=5, centres=1, alphas=1.0).fit(panel, spec)
    with pytest.raises(
        ValueError, match=r"Ridge was fitted for .* = \[11, 3, \[\]\].*Received: \[7, 3, \[\]\]"
    ):
        fitted.predict(panel, WindowSpec(7, 3), [20])


def test_forecasts_of_a_long_table_are_made_in_chunks(monkeypatch):
    panel, spec = make_panel(num_known=1), WindowSpec(11, 3)
    fitted = build_baseline("ridge", centres=1, alphas=1.0).fit(panel, spec)
    rows = spec.origins(panel)
    whole = fitted.predict(panel, spec, rows)
    monkeypatch.setattr(ridge, "_CHUNK", 100)
    np.testing.assert_allclose(fitted.predict(panel, spec, rows), whole, rtol=1e-12)


def test_the_forecaster_gives_it_the_validation_rows_to_choose_on():
    panel = make_panel()
    frame = panel.to_frame()
    split = chronological_split(panel, 0.3, 0)
    ours = Forecaster("ridge", context_length=11, horizon=3, targets=["x", "y"], series="series", time="time")
    ours.fit(frame.reset_index() if "time" not in frame else frame, validation=0.3)
    scaled = ours.scaler_.transform(split.train), ours.scaler_.transform(split.validation)
    expected = build_baseline("ridge").fit(scaled[0], WindowSpec(11, 3), scaled[1])
    assert ours.model.chosen_ == expected.chosen_


@pytest.mark.shared_data
def test_half_a_year_of_transformer_load_is_forecast_as_well_as_published(shared_data):
    frame = pd.read_csv(shared_data / "forecast" / "ETTh1.csv", parse_dates=["date"], index_col="date")
    panel = Panel.from_frame(frame.iloc[:14400])
    split = chronological_split(panel, validation=str(frame.index[8640]), test=str(frame.index[11520]))
    fitted = Forecaster("ridge", context_length=480, horizon=96).fit(split.train, validation=split.validation)
    scaled, rows = fitted.scaler_.transform(split.test), fitted.spec.origins(split.test)
    error = fitted.model.predict(scaled, fitted.spec, rows) - fitted.spec.arrays(scaled, rows)[1]
    assert len(rows) == 2785
    # DLinear, searched, is published at 0.379 (xPatch README, table 15).
    assert np.mean(error**2) < 0.370
