"""Alarms from residuals: scores, thresholds, events, detector, monitor, evaluation.

Names are imported when they are first used, because thresholds and measures need no
Keras; they are listed in `__init__.pyi`.
"""

from tfts._lazy import lazy

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
