"""What every member of BASELINES must do."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tfts.baselines import BASELINES, Baseline, build_baseline
from tfts.data.panel import Panel
from tfts.data.split import chronological_split
from tfts.data.windows import WindowSpec

OPTIONS = {"arima": {"order": (0, 1, 1)}}
SPEC = WindowSpec(context_length=5, horizon=3, targets=("a", "c"))

pytestmark = pytest.mark.parametrize("name", sorted(BASELINES))


def build(name):
    return build_baseline(name, **OPTIONS.get(name, {}))


def make_panel(units=1.0, missing="raise"):
    """Two series of 67 and 53 days; a season of 7, two targets and another column."""
    random = np.random.default_rng(11)
    parts = []
    for series, length in (("north", 67), ("south", 53)):
        time = np.arange(length)
        values = {c: 5 + np.sin(2 * np.pi * time / 7 + i) for i, c in enumerate("abc")}
        part = pd.DataFrame(values) + random.normal(scale=0.3, size=(length, 3)).cumsum(axis=0)
        part["promo"] = (time % 5 == 0).astype(float)
        part.insert(0, "series", series)
        part.insert(0, "time", pd.date_range("2024-01-01", periods=length, freq="D"))
        parts.append(part)
    frame = pd.concat(parts, ignore_index=True)
    frame[["a", "b", "c", "promo"]] *= units
    if missing == "drop":
        frame.loc[[9, 20, 67 + 11], "a"] = np.nan
        frame.loc[[30, 31], "c"] = np.nan
    return Panel.from_frame(
        frame, time="time", series="series", targets=["a", "c"], known_future=["promo"], missing=missing
    )


@pytest.fixture(scope="module")
def fitted():
    """Name -> a baseline fitted on the training part, each fitted once."""
    train = chronological_split(make_panel(), 0.2, 0.2).train
    return {name: build(name).fit(train, SPEC) for name in BASELINES}


@pytest.fixture(scope="module")
def held_out():
    return chronological_split(make_panel(), 0.2, 0.2).test


def test_forecasts_have_a_value_for_every_origin_step_and_target(name, fitted, held_out):
    rows = SPEC.origins(held_out)
    forecast = fitted[name].predict(held_out, SPEC, rows)
    assert forecast.shape == (len(rows), 3, 2)
    assert forecast.dtype == np.float64
    assert np.isfinite(forecast).all()


def test_it_is_a_baseline_whose_learnt_numbers_are_counted(name, fitted):
    assert isinstance(fitted[name], Baseline)
    count = fitted[name].num_parameters
    assert isinstance(count, int)
    assert (count > 0) == (name in ("arima", "ets", "linear_regression", "ridge"))


def test_fit_returns_the_baseline_itself(name, held_out):
    baseline = build(name)
    assert baseline.fit(chronological_split(make_panel(), 0.2, 0.2).train, SPEC) is baseline


def test_no_row_after_the_origin_changes_a_forecast(name, fitted, held_out):
    row = SPEC.origins(held_out)[4]
    forecast = fitted[name].predict(held_out, SPEC, [row])
    values = held_out.values.copy()
    unknown = held_out.indices(["a", "b", "c"])
    values[row + 1 :, unknown] = 1e6
    changed = dataclasses.replace(held_out, values=values)
    np.testing.assert_array_equal(fitted[name].predict(changed, SPEC, [row]), forecast)


def test_rows_up_to_the_origin_do_change_a_forecast(name, fitted, held_out):
    row = SPEC.origins(held_out)[4]
    forecast = fitted[name].predict(held_out, SPEC, [row])
    values = held_out.values.copy()
    values[row - 13 : row + 1] += np.float32(2.0)
    changed = dataclasses.replace(held_out, values=values)
    assert (np.abs(fitted[name].predict(changed, SPEC, [row]) - forecast) > 0.01).any()


def test_nothing_outside_the_training_rows_is_learnt(name, fitted):
    panel = make_panel()
    train = chronological_split(panel, 0.2, 0.2).train
    values = panel.values.copy()
    for stop in train.spans.observed_end:
        values[stop : stop + 10] = 1e6
    again = build(name).fit(dataclasses.replace(train, values=values), SPEC)
    for key, value in fitted[name].get_state().items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(again.get_state()[key], value)
        else:
            assert again.get_state()[key] == value


def test_held_out_rows_are_learnt_from_unless_settings_are_chosen_on_them(name):
    train, validation, test = chronological_split(make_panel(), 0.2, 0.2)
    both = dataclasses.replace(
        train,
        spans=train.spans.replace(observed_end=validation.spans.observed_end, end=validation.spans.end),
    )
    made = build(name).fit(train, SPEC, validation)
    learnt = made if made.holds_out else build(name).fit(both, SPEC)
    rows = SPEC.origins(test)
    np.testing.assert_array_equal(made.predict(test, SPEC, rows), learnt.predict(test, SPEC, rows))
    values = test.values.copy()
    for _, begin, end, _ in test.spans:
        values[begin:end] = 1e6
    changed = [dataclasses.replace(part, values=values) for part in (train, validation)]
    unseen = build(name).fit(changed[0], SPEC, changed[1])
    np.testing.assert_array_equal(unseen.predict(test, SPEC, rows), made.predict(test, SPEC, rows))


def test_copies_are_the_same_in_any_units(name, fitted, held_out):
    rows = SPEC.origins(held_out)
    if not fitted[name].copies_values:
        assert name in ("arima", "drift", "ets", "linear_regression", "ridge")
        return
    forecast = fitted[name].predict(held_out, SPEC, rows)
    # Values that float32 can't hold: each forecast is one of them or between two, to the last digit.
    values = held_out.values.astype(np.float64) * 1e9 + 1 / 3
    wide = dataclasses.replace(held_out, values=values)
    train = dataclasses.replace(chronological_split(make_panel(), 0.2, 0.2).train, values=values)
    copied = build(name).fit(train, SPEC).predict(wide, SPEC, rows)
    assert copied.dtype == np.float64
    for column, of in enumerate((values[:, 0], values[:, 2])):
        assert np.isin(copied[..., column], (of[:, None] + of) / 2).all()
    assert name == "running_median" or np.isin(copied, values).all()
    np.testing.assert_allclose(copied, forecast * 1e9, rtol=1e-6)


def test_origins_do_not_influence_each_other(name, fitted, held_out):
    rows = SPEC.origins(held_out)
    together = fitted[name].predict(held_out, SPEC, rows)
    picked = [7, 1, 12]
    alone = fitted[name].predict(held_out, SPEC, rows[picked])
    np.testing.assert_allclose(alone, together[picked], rtol=1e-9)


def test_no_origins_give_no_forecasts(name, fitted, held_out):
    assert fitted[name].predict(held_out, SPEC, np.array([], dtype=np.int64)).shape == (0, 3, 2)


def test_the_last_row_can_be_forecast_from(name, fitted):
    panel = make_panel()
    # The last 3 days are known for `promo` alone.
    spans = panel.spans.replace(observed_end=panel.spans.observed_end - 3)
    values = panel.values.copy()
    for _, _, stop, end in spans:
        values[stop:end, :3] = np.nan
    panel = dataclasses.replace(panel, spans=spans, values=values)
    rows = SPEC.forecast_origins(panel)
    assert rows[-1] == spans[-1].observed_end - 1
    assert np.isfinite(fitted[name].predict(panel, SPEC, rows[-1:])).all()


@pytest.mark.parametrize(("context_length", "horizon"), [(1, 1), (2, 13)])
def test_short_contexts_and_prime_horizons_work(name, context_length, horizon):
    spec = WindowSpec(context_length, horizon)
    panel = make_panel()
    rows = spec.origins(panel)
    forecast = build(name).fit(panel, spec).predict(panel, spec, rows)
    assert forecast.shape == (len(rows), horizon, 2)
    assert np.isfinite(forecast).all()


def test_forecasts_follow_the_units_of_the_panel(name, fitted, held_out):
    rows = SPEC.origins(held_out)
    train, _, test = chronological_split(make_panel(units=1e5), 0.2, 0.2)
    large = build(name).fit(train, SPEC).predict(test, SPEC, rows)
    np.testing.assert_allclose(large / 1e5, fitted[name].predict(held_out, SPEC, rows), rtol=0.005)


def test_missing_rows_before_the_window_are_bridged(name):
    train, _, test = chronological_split(make_panel(missing="drop"), 0.2, 0.2)
    assert np.isnan(train.values).any()
    rows = SPEC.origins(test)
    forecast = build(name).fit(train, SPEC).predict(test, SPEC, rows)
    assert np.isfinite(forecast).all()


def test_each_target_is_forecast_on_its_own_column(name, fitted, held_out):
    # The same numbers whichever target stands first.
    swapped = WindowSpec(context_length=5, horizon=3, targets=("c", "a"))
    train = chronological_split(make_panel(), 0.2, 0.2).train
    rows = SPEC.origins(held_out)
    forecast = build(name).fit(train, swapped).predict(held_out, swapped, rows)
    np.testing.assert_allclose(
        forecast[..., ::-1], fitted[name].predict(held_out, SPEC, rows), rtol=1e-6, atol=1e-6
    )


@pytest.fixture(scope="module")
def forecast_elsewhere(fitted, tmp_path_factory):
    """Function of a name: the forecasts of a fresh process that got JSON and NPZ alone."""
    folder = tmp_path_factory.mktemp("states")
    for name, baseline in fitted.items():
        state = baseline.get_state()
        arrays = {key: value for key, value in state.items() if isinstance(value, np.ndarray)}
        np.savez(folder / f"{name}.npz", **arrays)
        plain = {key: value for key, value in state.items() if key not in arrays}
        (folder / f"{name}.json").write_text(json.dumps(plain))
    code = """
import json, pathlib, sys
import numpy as np
from tests.baselines.test_baseline_contract import BASELINES, SPEC, build, chronological_split, make_panel
folder = pathlib.Path(sys.argv[1])
test = chronological_split(make_panel(), 0.2, 0.2).test
for name in BASELINES:
    state = json.loads((folder / f"{name}.json").read_text()) | dict(np.load(folder / f"{name}.npz"))
    forecast = build(name).set_state(state).predict(test, SPEC, SPEC.origins(test))
    np.save(folder / f"{name}.npy", forecast)
"""
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)
    return lambda name: np.load(folder / f"{name}.npy")


def test_state_survives_json_and_npz_in_a_fresh_process(name, fitted, held_out, forecast_elsewhere):
    forecast = fitted[name].predict(held_out, SPEC, SPEC.origins(held_out))
    np.testing.assert_array_equal(forecast_elsewhere(name), forecast)


def test_predict_before_fit_is_an_error(name, held_out):
    with pytest.raises(ValueError, match=r"is not fitted. Call `fit\(panel, spec\)` before `predict`"):
        build(name).predict(held_out, SPEC, [40])


def test_other_targets_than_fitted_are_an_error(name, fitted, held_out):
    other = WindowSpec(context_length=5, horizon=3, targets=("b",))
    with pytest.raises(ValueError, match=r"was fitted to forecast \['a', 'c'\].*targets=\['b'\]"):
        fitted[name].predict(held_out, other, [40])


def test_an_unknown_option_is_an_error(name):
    with pytest.raises(ValueError, match=r"takes no options|Unknown option of .* Expected one of: "):
        build_baseline(name, colour=3)
