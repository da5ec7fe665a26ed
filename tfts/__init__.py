"""Time-series modelling for Keras 3 and TensorFlow.

Names are imported when they are first used, so `import tfts` costs nothing.
"""

import importlib

__version__ = "0.1.0"

_HOME = {
    "AnomalyDetector": "tfts.anomaly.detector",
    "BASELINES": "tfts.baselines",
    "Forecaster": "tfts.forecaster",
    "LinearRegression": "tfts.regression",
    "LogisticRegression": "tfts.regression",
    "METRICS": "tfts.metrics",
    "MODELS": "tfts.models",
    "Panel": "tfts.data.panel",
    "SCALERS": "tfts.data.scaling",
    "Scaler": "tfts.data.scaling",
    "SoftmaxRegression": "tfts.regression",
    "THRESHOLDS": "tfts.anomaly.thresholds",
    "TftsError": "tfts.errors",
    "WindowSpec": "tfts.data.windows",
    "add_calendar": "tfts.data.calendar",
    "attention_scores": "tfts.models",
    "backtest": "tfts.backtesting",
    "chronological_split": "tfts.data.split",
    "compare_backtests": "tfts.backtesting",
    "load_dataset": "tfts.data.datasets",
    "make_sales": "tfts.data.sales",
    "make_series": "tfts.data.synthetic",
    "read_table": "tfts.data.readers",
    "search": "tfts.tuning",
}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'tfts' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__():
    return sorted([*globals(), *_HOME])
