"""Searches for better settings, by KerasTuner."""

from tfts.tuning.hypermodels import hypermodel
from tfts.tuning.searching import Search, search

__all__ = ["Search", "hypermodel", "search"]
