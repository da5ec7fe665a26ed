"""A fitted model as a folder that a model server loads as it stands.

Names are imported when they are first used, because a client needs no TensorFlow.
"""

import importlib

_HOME = {
    "Client": "tfts.serving.client",
    "Server": "tfts.serving.server",
    "ServingError": "tfts.serving.errors",
    "export": "tfts.serving.exporting",
    "verify": "tfts.serving.verification",
}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'tfts.serving' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__():
    return sorted([*globals(), *_HOME])
