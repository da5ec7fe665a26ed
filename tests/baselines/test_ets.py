import dataclasses

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

from tfts.baselines import build_baseline
from tfts.baselines.ets import _smooth
from tfts.data.panel import Panel
from tfts.data.spans import Spans
from tfts.data.split import chronological_split
from tfts.data.windows import WindowSpec

ROWS = 211


def make_panel(values=None, missing="raise"):
    if values is None:
        random = np.random.default_rng(0)
        time = np.arange(ROWS)
        values = 50 + 0.05 * time + 3 * np.sin(2 * np.pi * time / 7) + 0.3 * random.normal(size=ROWS).cumsum()
    index = pd.date_range("2024-01-01", periods=len(values), freq="D")
    return Panel.from_frame(pd.DataFrame({"y": values}, index=index), missing=missing)


def with_states(panel, weights, first, last, rows=4, **options):
    """ETS with known weights (level, trend, season, damping) and states."""
    state = {
        "targets_": ["y"],
        "series_": [""],
        "first_time_": [str(panel.times[0])],
        "offset_": np.zeros((1, 1)),
        "scale_": np.ones((1, 1)),
        "season_length_": len(first) - 2,
        "learnt_": np.array([rows, *weights, *first, *last], dtype=float).reshape(1, 1, -1),
    }
    return build_baseline("ets", **options).set_state(state)


@pytest.mark.parametrize(
    "options",
    [
        {"trend": False, "damped": False, "seasonal": False},
        {"trend": True, "damped": False, "seasonal": False},
        {"trend": True, "damped": True, "seasonal": False},
        {"trend": False, "damped": False, "seasonal": True},
        {"trend": True, "damped": False, "seasonal": True},
        {"trend": True, "damped": True, "seasonal": True},
    ],
)
def test_every_origin_agrees_with_statsmodels(options):
    train, _, test = chronological_split(make_panel(), 0.2, 0.2)
    spec = WindowSpec(context_length=5, horizon=11)
    baseline = build_baseline("ets", **options).fit(train, spec)
    rows = spec.forecast_origins(test)
    forecast = baseline.predict(test, spec, rows)[..., 0]
    offset, scale = baseline.offset_[0, 0], baseline.scale_[0, 0]
    values = (test.values[:, 0].astype(np.float64) - offset) / scale
    learnt = baseline.learnt_[0, 0]
    known = {"initial_level": learnt[5]}
    weights = [learnt[1]]
    if options["trend"]:
        known["initial_trend"] = learnt[6]
        weights.append(learnt[2])
    if options["seasonal"]:
        known |= {"seasonal": "add", "seasonal_periods": 7, "initial_seasonal": learnt[7:14]}
        weights.append(learnt[3])
    if options["damped"]:
        weights.append(learnt[4])
    for k in (0, 7, len(rows) - 1):
        model = ETSModel(
            values[: rows[k] + 1],
            trend="add" if options["trend"] else None,
            damped_trend=options["damped"],
            initialization_method="known",
            **known,
        )
        expected = model.smooth(np.array(weights)).forecast(11) * scale + offset
        np.testing.assert_allclose(forecast[k], expected, rtol=1e-6)


def test_level_and_damped_trend_by_hand():
    # Level 10, trend 4, weights 0.5 and 0.25, damping 0.5. The value 14 is 2 more than
    # 10 + 0.5 * 4: level 12 + 1, trend 2 + 0.5. Then 13 + 1.25 and 13 + 1.25 + 0.625.
    panel = make_panel([14.0, 1.0])
    ets = with_states(panel, [0.5, 0.25, 0, 0.5], [10, 4, 0], [0, 0, 0], seasonal=False)
    np.testing.assert_allclose(ets.predict(panel, WindowSpec(1, 2), [0])[0, :, 0], [14.25, 14.875])


def test_season_by_hand():
    # Level 10, seasons 1, -1 for rows 0, 1; weights 0.5, 0.25. The value 15 is 4 more than
    # 11: level 12, season 2. Then row 1: 12 - 1; row 2: 12 + 2; row 3: 12 - 1.
    panel = make_panel([15.0, 1.0])
    ets = with_states(panel, [0.5, 0, 0.25, 1], [10, 0, 1, -1], [0, 0, 0, 0], trend=False, damped=False)
    np.testing.assert_allclose(ets.predict(panel, WindowSpec(1, 3), [0])[0, :, 0], [11, 14, 11])


def test_a_missing_value_is_what_was_forecast_for_it():
    panel = make_panel([3.0, np.nan, 5.0], missing="drop")
    # Level 2 to 2.5 at the value 3, and still 2.5 after the gap with a trend of 1 a row.
    ets = with_states(panel, [0.5, 0, 0, 1], [1, 1, 0], [0, 0, 0], damped=False, seasonal=False)
    np.testing.assert_allclose(ets.predict(panel, WindowSpec(1, 1), [1])[0, :, 0], [4.5])


def test_a_later_panel_starts_with_the_last_states_moved_on_in_time():
    # Fitted on rows 0 to 3; the last states say level 20, trend 2, then seasons 5, 6, 7
    # for rows 4, 5, 6. The panel starts at row 6 after two unseen rows, so level 24 and
    # seasons 7, 5, 6: the value 33 = 24 + 2 + 7 is met exactly. Then 28 + 5.
    panel = make_panel(np.arange(27.0, 35.0))
    ets = with_states(panel, [0.5, 0.5, 0.5, 1], [0] * 5, [20, 2, 5, 6, 7], damped=False)
    later = dataclasses.replace(panel, spans=Spans(6, 6, 8, 8))
    np.testing.assert_allclose(ets.predict(later, WindowSpec(1, 2), [6])[0, :, 0], [33, 36])


def test_the_first_values_after_unseen_rows_move_the_level_more():
    # Weight 0.5, level 10, then 3 unseen rows of variance 0.25 each. The value 17 is 7 off: the level
    # moves by 7 * (0.75 + 0.5) / (0.75 + 1) = 5. Left is 0.75 + 0.25 - 1.75 * (5 / 7)^2 = 3 / 28, so
    # that 18, 3 off, moves it by 3 * (3 / 28 + 1 / 2) / (3 / 28 + 1) = 51 / 31.
    panel = make_panel([0, 0, 0, 0, 0, 0, 0, 17.0, 18.0, 1.0])
    options = {"trend": False, "damped": False, "seasonal": False}
    ets = with_states(panel, [0.5, 0, 0, 1], [0] * 3, [10, 0, 0], **options)
    later = dataclasses.replace(panel, spans=Spans(7, 7, 9, 9))
    made = ets.predict(later, WindowSpec(1, 1), [7, 8])[:, 0, 0]
    np.testing.assert_allclose(made, [15, 15 + 51 / 31])


def test_after_unseen_rows_a_forecast_is_the_likeliest_given_the_values():
    # The rows are linear in their errors, so what is likeliest follows from linear algebra.
    weights, unseen, seen, ahead = np.array([0.4, 0.2, 0.3, 0.9]), 11, 13, 5
    last = np.array([20.0, 2.0, 5.0, -4.0, -1.0])
    rows = unseen + seen + ahead

    def made_by(errors):
        level, trend, *seasons = last
        values = []
        for i, error in enumerate(errors):
            trend *= weights[3]
            values.append(level + trend + seasons[i] + error)
            level += trend + weights[0] * error
            trend += weights[1] * error
            seasons.append(seasons[i] + weights[2] * error)
        return np.array(values)

    plain = made_by(np.zeros(rows))
    effect = np.stack([made_by(row) - plain for row in np.eye(rows)], axis=1)
    values = plain + effect @ np.random.default_rng(3).normal(size=rows)
    known, wanted = effect[unseen : unseen + seen], effect[unseen + seen :]
    left = np.linalg.solve(known @ known.T, (values - plain)[unseen : unseen + seen])
    expected = plain[unseen + seen :] + wanted @ known.T @ left
    # Four rows were fitted before.
    panel = make_panel(np.append(np.zeros(4), values))
    ets = with_states(panel, weights, [0] * 5, last)
    later = dataclasses.replace(panel, spans=Spans(*[4 + unseen] * 2, *[4 + unseen + seen] * 2))
    made = ets.predict(later, WindowSpec(1, ahead), [3 + unseen + seen])[0, :, 0]
    np.testing.assert_allclose(made, expected, rtol=1e-5)


@pytest.mark.parametrize("damped", [True, False])
def test_a_forecast_does_not_depend_on_the_row_that_the_table_starts_at(damped):
    panel = make_panel()
    train, _, test = chronological_split(panel, 0, 0.2)
    spec = WindowSpec(context_length=5, horizon=11)
    # Of 169 training rows the last 97 are fitted on: tables start before, in and behind them.
    ets = build_baseline("ets", damped=damped, fit_rows=97).fit(train, spec)
    rows = spec.forecast_origins(test)
    whole = ets.predict(test, spec, rows)
    for start in (1, 71, 72, 73, 120, 164, 168, 169):
        part = dataclasses.replace(test, spans=Spans(start, 169, ROWS, ROWS))
        np.testing.assert_allclose(ets.predict(part, spec, rows), whole, rtol=1e-12)
    # Origins among the training rows too.
    inside = dataclasses.replace(test, spans=Spans(120, 120, ROWS, ROWS))
    whole = ets.predict(dataclasses.replace(test, spans=Spans(0, 0, ROWS, ROWS)), spec, [125, 169])
    np.testing.assert_allclose(ets.predict(inside, spec, [125, 169]), whole, rtol=1e-12)


def test_a_table_long_after_the_training_rows_gives_nearly_the_same_forecasts_as_all_rows():
    random = np.random.default_rng(2)
    values = 50 + 3 * np.sin(2 * np.pi * np.arange(2000) / 7) + random.normal(size=2000)
    values += 0.03 * random.normal(size=2000).cumsum()
    panel, spec = make_panel(values), WindowSpec(context_length=5, horizon=3)
    weights, first = [0.03, 0.001, 0.01, 1.0], [50.0, 0.0, *3 * np.sin(2 * np.pi * np.arange(7) / 7)]
    level, trend, seasons = _smooth(values[:400], weights, first)
    last = [level[-1], trend[-1], *seasons[-7:]]
    ets = with_states(panel, weights, first, last, rows=400, damped=False)
    rows = np.arange(1850, 1990)
    whole = ets.predict(panel, spec, rows)
    # The table begins 1,350 rows after the training rows and 100 before the first origin.
    part = dataclasses.replace(panel, spans=Spans(1750, 1750, 2000, 2000))
    # Errors have a deviation of about 1; moved on as if that were known, the states leave 0.9.
    np.testing.assert_allclose(ets.predict(part, spec, rows), whole, rtol=0, atol=0.2)


def test_an_earlier_panel_starts_with_the_first_states_in_the_right_season():
    # First seasons 5, 6, 7 from row 2 on, so row 0 has 6; value 16 is met. Then 10 + 7.
    panel = make_panel([16.0, 17.0, 15.0, 16.0])
    ets = with_states(panel, [0.5, 0, 0.5, 1], [10, 0, 5, 6, 7], [0] * 5, trend=False, damped=False)
    ets.first_time_ = [str(panel.times[2])]
    np.testing.assert_allclose(ets.predict(panel, WindowSpec(1, 2), [0])[0, :, 0], [17, 15])


def test_gaps_of_the_training_rows_are_bridged():
    values = make_panel().values[:, 0].astype(float)
    whole = build_baseline("ets").fit(make_panel(values), WindowSpec(5, 3))
    values[[40, 41, 100]] = np.nan
    panel = make_panel(values, missing="drop")
    gaps = build_baseline("ets").fit(panel, WindowSpec(5, 3))
    rows = [200]
    np.testing.assert_allclose(
        gaps.predict(panel, WindowSpec(5, 3), rows),
        whole.predict(make_panel(), WindowSpec(5, 3), rows),
        atol=0.5,
    )


def test_the_season_is_found_from_the_frequency_unless_given():
    panel, spec = make_panel(), WindowSpec(5, 3)
    found = build_baseline("ets", trend=False, damped=False).fit(panel, spec)
    assert found.season_length_ == 7
    # Weights of level and season, first level and seasons.
    assert found.num_parameters == 2 + 1 + 7
    given = build_baseline("ets", season_length=5).fit(panel, spec)
    # Weights of level, trend and season, damping, first level, trend and seasons.
    assert given.num_parameters == 4 + 2 + 5
    assert build_baseline("ets", seasonal=False).fit(panel, spec).num_parameters == 3 + 2


def test_fit_rows_takes_the_most_recent_training_rows():
    panel, spec = make_panel(), WindowSpec(5, 3)
    recent = build_baseline("ets", fit_rows=53).fit(panel, spec)
    alone = dataclasses.replace(panel, spans=Spans(ROWS - 53, ROWS - 53, ROWS, ROWS))
    np.testing.assert_array_equal(recent.learnt_, build_baseline("ets").fit(alone, spec).learnt_)


def test_too_few_rows_are_an_error():
    match = r"fitted to target 'y': it has 13 training rows, but two seasons \(of season_length=7\)"
    with pytest.raises(ValueError, match=match):
        build_baseline("ets").fit(make_panel(np.arange(13.0)), WindowSpec(2, 1))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"trend": "add"}, r"`trend` must be True or False\. Received: trend='add'"),
        ({"damped": 1}, r"`damped` must be True or False"),
        ({"seasonal": None}, r"`seasonal` must be True or False"),
        ({"trend": False}, r"`damped` must be False where there is no trend"),
        ({"season_length": 0}, r"`season_length` must be an int >= 1"),
        ({"fit_rows": 0.5}, r"`fit_rows` must be an int >= 2 .* or None for all\. Received: fit_rows=0\.5"),
    ],
)
def test_wrong_options_are_errors(options, match):
    with pytest.raises(ValueError, match=match):
        build_baseline("ets", **options)
