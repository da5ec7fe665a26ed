import pytest

from tfts.baselines import BASELINES, build_baseline


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
