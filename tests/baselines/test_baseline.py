import dataclasses

import numpy as np
import pandas as pd
import pytest

from tfts.baselines import BASELINES, build_baseline
from tfts.data.panel import Panel
from tfts.data.split import chronological_split
from tfts.data.windows import WindowSpec

SPEC = WindowSpec(context_length=3, horizon=2)


def counter(rows=37, start="2024-01-01"):
    """A meter at 700 million that goes up by 3: more digits than float32 holds."""
    days = pd.date_range(start, periods=rows, freq="D")
    panel = Panel.from_frame(pd.DataFrame({"meter": np.arange(float(rows))}, index=days))
    return dataclasses.replace(panel, values=7e8 + 3 * np.arange(float(rows))[:, None])


@pytest.mark.parametrize("name", ["drift", "ets", "linear_regression", "ridge"])
def test_a_large_counter_with_small_steps_keeps_its_digits(name):
    panel = counter()
    model = build_baseline(name, **({"damped": False} if name == "ets" else {})).fit(panel, SPEC)
    forecast = model.predict(panel, SPEC, [30, 36])[..., 0]
    np.testing.assert_allclose(forecast - 7e8, [[93, 96], [111, 114]], atol=0.01)


def test_a_random_walk_at_a_large_level_keeps_its_digits():
    walk = 7e8 + 3 * np.random.default_rng(3).normal(size=(37, 1)).cumsum(axis=0)
    panel = dataclasses.replace(counter(), values=walk)
    model = build_baseline("arima", order=(0, 1, 0)).fit(panel, SPEC)
    forecast = model.predict(panel, SPEC, [30, 36])[..., 0]
    np.testing.assert_allclose(forecast, np.repeat(walk[[30, 36]], 2, axis=1), rtol=0, atol=0.01)


@pytest.mark.parametrize("name", ["ets", "linear_regression"])
def test_rows_to_choose_on_are_learnt_from_where_nothing_is_chosen(name):
    # Flat at first, then a slope that only the validation rows show.
    panel = counter(61)
    noise = 0.03 * np.random.default_rng(5).normal(size=(61, 1))
    values = np.maximum(np.arange(61.0) - 43, 0)[:, None] + noise
    train, validation, _ = chronological_split(dataclasses.replace(panel, values=values), 18, 0)
    model = build_baseline(name, **({"damped": False} if name == "ets" else {}))
    forecast = model.fit(train, SPEC, validation).predict(validation, SPEC, [60])[0, :, 0]
    np.testing.assert_allclose(forecast, [18, 19], atol=0.2)
    alone = build_baseline(name).fit(train, SPEC).predict(validation, SPEC, [60])[0, :, 0]
    assert abs(alone[1] - 19) > 0.5


def test_parts_that_were_scaled_apart_are_learnt_from_together():
    train, validation, _ = chronological_split(counter(61), 18, 0)
    apart = [dataclasses.replace(part, values=part.values.copy()) for part in (train, validation)]
    for part in apart:
        (_, _, stop, _), own = part.spans[0], part.values
        own[stop:] = np.nan
    made = build_baseline("linear_regression").fit(apart[0], SPEC, apart[1])
    expected = build_baseline("linear_regression").fit(train, SPEC, validation)
    np.testing.assert_array_equal(made.coef_, expected.coef_)


def test_validation_rows_of_another_table_are_refused():
    train = chronological_split(counter(61), 18, 0).train
    other = counter(61, start="2023-01-01")
    match = "`validation` must hold later rows of the same table and series"
    for wrong in (other, train):
        with pytest.raises(ValueError, match=match):
            build_baseline("persistence").fit(train, SPEC, wrong)


def test_build_baseline_gives_the_class_with_its_options():
    baseline = build_baseline("seasonal_naive", season_length=7)
    assert type(baseline) is BASELINES["seasonal_naive"]
    assert baseline.season_length == 7


def test_an_unknown_baseline_names_the_nearest():
    with pytest.raises(
        ValueError, match=r"Unknown baseline 'arma'\. Expected one of: .*Did you mean 'arima'\?"
    ):
        build_baseline("arma")


def test_an_unknown_option_names_the_valid_ones():
    match = (
        r"Unknown option of linear_regression 'alfa'\. Expected one of: alpha, max_windows, window_norm\. "
        r"Did you mean 'alpha'\?"
    )
    with pytest.raises(ValueError, match=match):
        build_baseline("linear_regression", alfa=1.0)


def test_an_option_of_a_method_without_any_is_an_error():
    with pytest.raises(ValueError, match=r"'persistence' takes no options\. Received: lag=2"):
        build_baseline("persistence", lag=2)
