"""Whether an interval held the share of values that it promises, or missed it by more than chance."""

import numpy as np
import pandas as pd

from tfts.comparison import compare_windows
from tfts.errors import SettingError
from tfts.metrics.quantiles import interval_of

# An interval of the share that is as wide says nothing.
_VAGUE = 0.5


def coverage_table(actual, quantiles, levels, targets, times, series, horizon):
    """The share that the widest central interval held, and how sure that is, for each target.

    Horizons of neighbouring origins overlap, so that values inside or outside come together: the
    interval of the share is that of blocks of windows, as in `tfts.comparison.compare_windows`.

    Args:
        actual: Float `(windows, horizon, targets)`, NaN where nothing was observed.
        quantiles: Float `(windows, horizon, targets, levels)`.
        levels: Ascending levels.
        targets: Names of the targets.
        times: `(windows,)`, the origin of each window.
        series: `(windows,)`, the name or number of its series.
        horizon: Int.

    Returns:
        DataFrame with the columns target, promised, held, low, high (of the 95 % interval of the share
        held; NaN where windows are too few) and count; empty where the levels have no central interval.

    Example:

    >>> random = np.random.default_rng(0)
    >>> quantiles = np.broadcast_to([-1.2816, 1.2816], (300, 1, 1, 2))
    >>> places = np.arange(300), np.zeros(300)
    >>> table = coverage_table(random.normal(size=(300, 1, 1)), quantiles, [0.1, 0.9], ["load"], *places, 1)
    >>> print(coverage_sentence(table.iloc[0]))
    The 80 % interval of load held 78 % of 300 values, 95 % interval of that share 74 to 83: it can be believed.

    Source: Blocks of forecasts that overlap: Christoffersen, Evaluating interval forecasts,
    International Economic Review 39, 1998.
    """
    try:
        low, high = interval_of(levels)
    except SettingError:
        return pd.DataFrame(columns=["target", "promised", "held", "low", "high", "count"])
    promised, rows = levels[high] - levels[low], []
    inside = (quantiles[..., low] <= actual) & (actual <= quantiles[..., high])
    counts = np.isfinite(actual).sum(axis=1)
    for i, target in enumerate(targets):
        sums = {"held": inside[..., i].sum(axis=1), "promised": promised * counts[:, i]}
        row = {
            "target": target,
            "promised": promised,
            "low": np.nan,
            "high": np.nan,
            "count": int(counts[:, i].sum()),
        }
        row["held"] = inside[..., i].sum() / row["count"] if row["count"] else np.nan
        compared = compare_windows(sums, counts[:, i], times, series, horizon)
        if len(compared):
            one = compared.iloc[0]
            ends = np.array([one["low"], one["high"]]) * (1 if one["first"] == "held" else -1)
            row["low"], row["high"] = np.clip(np.sort(promised + ends), 0, 1)
        rows.append(row)
    return pd.DataFrame(rows)[["target", "promised", "held", "low", "high", "count"]]


def coverage_sentence(row):
    """What a row of `coverage_table` says, in one sentence.

    Args:
        row: Mapping with its columns.
    """
    start = (
        f"The {100 * row['promised']:.4g} % interval of {row['target']} held {100 * row['held']:.0f} % of "
        f"{row['count']:,} values"
    )
    if not row["high"] - row["low"] < _VAGUE:
        return f"{start}; there are too few windows to tell whether that is chance."
    said = f"{start}, 95 % interval of that share {100 * row['low']:.0f} to {100 * row['high']:.0f}"
    if row["low"] <= row["promised"] <= row["high"]:
        return f"{said}: it can be believed."
    return f"{said}: it is too {'narrow' if row['held'] < row['promised'] else 'wide'}."
