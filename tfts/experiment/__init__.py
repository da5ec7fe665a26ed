"""What the commands do, step by step: one module for each kind of experiment.

Modules are imported when they are first used; they are listed in `__init__.pyi`.
"""

from tfts._lazy import lazy

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
