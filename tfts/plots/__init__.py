"""Pictures: each function draws on `ax`, makes one when it is None, and returns it.

Nothing is shown or saved here, and no global setting is changed. An axes made here
belongs to pyplot, so that notebooks display it; a program that draws many passes its own
(`matplotlib.figure.Figure().subplots()`) or closes them with `pyplot.close`.
"""

from tfts.plots.attention import plot_attention, plot_attention_heads
from tfts.plots.forecasts import plot_forecast, plot_history, plot_horizon_errors, plot_metrics
from tfts.plots.regression import plot_confusion, plot_cost_surface, plot_decision_boundary, plot_fit

__all__ = [
    "plot_attention",
    "plot_attention_heads",
    "plot_confusion",
    "plot_cost_surface",
    "plot_decision_boundary",
    "plot_fit",
    "plot_forecast",
    "plot_history",
    "plot_horizon_errors",
    "plot_metrics",
]
