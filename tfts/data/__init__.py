"""A table becomes batches: read it, check it, split it, scale it, cut windows.

Names are imported when they are first used; they are listed in `__init__.pyi`.
"""

from tfts._lazy import lazy

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
