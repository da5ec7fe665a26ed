"""Alarms from residuals: scores, thresholds, events, detector, monitor, evaluation."""
