"""A fitted model as a folder that a model server loads as it stands.

Names are imported when they are first used, because a client needs no TensorFlow; they
are listed in `__init__.pyi`.
"""

from tfts._lazy import lazy

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
