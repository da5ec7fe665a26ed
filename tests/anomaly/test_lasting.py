"""Faults that last for many rows, and limits that move with what they see."""

import numpy as np
import pandas as pd
import pytest

from tests.anomaly.test_detector import quietly
from tfts import AnomalyDetector

HOURS = pd.date_range("2024-01-01", periods=2600, freq="h")
LEARNT = 1600
FIRST, SECOND, LENGTH = 1750, 2200, 150


def telemetry():
    """A day's wave that stands at another level for 150 hours, twice."""
    noise = np.random.default_rng(0).normal(0, 0.1, len(HOURS))
    wave = np.sin(np.arange(len(HOURS)) * 2 * np.pi / 24) + noise
    for start in (FIRST, SECOND):
        wave[start : start + LENGTH] += 3.0
    return pd.DataFrame({"wave": wave}, index=HOURS)


def flags(threshold, new_normal, **options):
    table = telemetry()
    detector = AnomalyDetector(
        "pca_windows",
        context_length=24,
        threshold=threshold,
        threshold_options=options,
        new_normal=new_normal,
        calibration=0.5,
    )
    rows = quietly(detector.fit(table[:LEARNT]).detect, table[LEARNT:])
    return rows.set_index("time")["flag"].reindex(HOURS, fill_value=False).to_numpy()


MOVING = {"rolling_conformal": {"rate": 0.005}, "pot": {"risk": 0.005}, "dynamic": {}}


@pytest.mark.parametrize("threshold", MOVING)
def test_a_lasting_fault_stays_flagged_before_it_is_the_new_normal(threshold):
    found = flags(threshold, new_normal=200, **MOVING[threshold])
    for start in (FIRST, SECOND):
        # The distance of a window grows while the fault fills it.
        assert found[start + 3 : start + LENGTH].all()
    # What is flagged after a fault still has some of its rows in the window.
    usual = np.ones(len(HOURS), dtype=bool)
    for start in (FIRST, SECOND):
        usual[start : start + LENGTH + 24] = False
    assert found[LEARNT:][usual[LEARNT:]].mean() < 0.03


def test_what_has_become_normal_is_not_flagged():
    found = flags("rolling_conformal", new_normal=60, rate=0.005)
    assert found[FIRST + 3 : FIRST + 60].all()
    # Of the new level seven windows have been seen, and the next is above all with a chance of 1 in 8.
    assert found[FIRST + 60 : FIRST + LENGTH].mean() < 0.1
