"""Whether an interval is believed."""

import numpy as np
import pytest

from tfts.calibration.believed import coverage_sentence, coverage_table


def _table(actual, levels=(0.1, 0.9)):
    count, horizon = actual.shape[:2]
    quantiles = np.broadcast_to(np.array([-1.2816, 1.2816]), (*actual.shape, 2))
    return coverage_table(actual, quantiles, levels, ["load"], np.arange(count), np.zeros(count), horizon)


@pytest.mark.parametrize(
    ("scale", "said"), [(1.0, "it can be believed"), (2.0, "it is too narrow"), (0.5, "it is too wide")]
)
def test_an_interval_is_believed_where_it_held_its_share(scale, said):
    table = _table(scale * np.random.default_rng(0).normal(size=(400, 1, 1)))
    row = table.iloc[0]
    assert row["low"] <= row["held"] <= row["high"]
    assert coverage_sentence(row).endswith(f"{said}.")


def test_windows_that_overlap_tell_less_than_their_number():
    steps = np.random.default_rng(0).normal(size=500)
    apart = _table(steps.reshape(-1, 1, 1)).iloc[0]
    # Every value twenty times, as horizons of twenty rows have them.
    rows = np.arange(480)[:, None] + np.arange(20)
    overlapping = _table(steps[rows][..., None]).iloc[0]
    assert overlapping["count"] == 9600
    assert overlapping["high"] - overlapping["low"] > 0.6 * (apart["high"] - apart["low"])


def test_too_few_windows_and_levels_without_an_interval():
    row = _table(np.zeros((3, 2, 1))).iloc[0]
    assert "there are too few windows to tell" in coverage_sentence(row)
    assert _table(np.zeros((3, 2, 1)), levels=(0.1, 0.5)).empty
