"""What attention weights say: measures, checks, sentences."""

from tfts.attention.analysis import (
    AttentionAnalysis,
    Picture,
    analyse_attention,
    pictures,
    read_analysis,
    variables_of,
)
from tfts.attention.checks import (
    MIN_WINDOWS,
    Faithfulness,
    baseline_check,
    faithfulness,
    fit_null,
    regime_comparison,
)
from tfts.attention.measures import (
    AttentionSummary,
    HeadProfiles,
    concentration,
    head_profiles,
    horizon_profile,
    summarize,
    top_lag_counts,
    window_measures,
)
from tfts.attention.sentences import Claim, describe

__all__ = [
    "AttentionAnalysis",
    "AttentionSummary",
    "Claim",
    "Faithfulness",
    "HeadProfiles",
    "MIN_WINDOWS",
    "Picture",
    "analyse_attention",
    "baseline_check",
    "concentration",
    "describe",
    "faithfulness",
    "fit_null",
    "head_profiles",
    "horizon_profile",
    "pictures",
    "read_analysis",
    "regime_comparison",
    "summarize",
    "top_lag_counts",
    "variables_of",
    "window_measures",
]
