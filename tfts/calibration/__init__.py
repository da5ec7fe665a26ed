"""Intervals whose coverage comes from forecasts of held-out rows."""

from tfts.calibration.adaptive import adaptive_scores
from tfts.calibration.held_out import HeldOut
from tfts.calibration.kinds import CALIBRATIONS, Calibration, calibration_for
from tfts.calibration.splits import earlier_and_later, held_out_half

__all__ = [
    "CALIBRATIONS",
    "Calibration",
    "HeldOut",
    "adaptive_scores",
    "calibration_for",
    "earlier_and_later",
    "held_out_half",
]
