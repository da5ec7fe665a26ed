"""Pictures: each function draws on `ax`, makes one when it is None, and returns it.

Nothing is shown or saved here, and no global setting is changed. An axes made here
belongs to pyplot, so that notebooks display it; a program that draws many passes its own
(`matplotlib.figure.Figure().subplots()`) or closes them with `pyplot.close`.
"""

from tfts.plots.anomalies import (
    plot_anomalies,
    plot_contributions,
    plot_events,
    plot_residuals,
    plot_threshold_alarms,
)
from tfts.plots.attention import (
    plot_attention,
    plot_attention_heads,
    plot_entropy,
    plot_head_distances,
    plot_lag_importance,
    plot_top_lags,
    plot_variable_importance,
)
from tfts.plots.forecasts import (
    plot_forecast,
    plot_histories,
    plot_history,
    plot_horizon_errors,
    plot_metrics,
)
from tfts.plots.regression import plot_confusion, plot_cost_surface, plot_decision_boundary, plot_fit
from tfts.plots.suites import plot_cost, plot_scores_by_horizon
from tfts.plots.tuning import plot_parallel_settings, plot_search, plot_slice, plot_trial_curves
from tfts.plots.uncertainty import plot_calibration, plot_interval_width, plot_pit

__all__ = [
    "plot_anomalies",
    "plot_attention",
    "plot_attention_heads",
    "plot_calibration",
    "plot_confusion",
    "plot_contributions",
    "plot_cost",
    "plot_cost_surface",
    "plot_decision_boundary",
    "plot_entropy",
    "plot_events",
    "plot_fit",
    "plot_forecast",
    "plot_head_distances",
    "plot_histories",
    "plot_history",
    "plot_horizon_errors",
    "plot_interval_width",
    "plot_lag_importance",
    "plot_metrics",
    "plot_parallel_settings",
    "plot_pit",
    "plot_residuals",
    "plot_scores_by_horizon",
    "plot_search",
    "plot_slice",
    "plot_threshold_alarms",
    "plot_top_lags",
    "plot_trial_curves",
    "plot_variable_importance",
]
