"""Time-series modelling for Keras 3 and TensorFlow.

Names are imported when they are first used, so `import tfts` costs nothing. They are
listed in `__init__.pyi`, which type checkers read too.
"""

from tfts._lazy import lazy

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
