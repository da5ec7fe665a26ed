"""Searches for better settings, by KerasTuner."""

from tfts.tuning.found import Search
from tfts.tuning.hypermodels import hypermodel
from tfts.tuning.searching import search

__all__ = ["Search", "hypermodel", "search"]
