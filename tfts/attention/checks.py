"""Whether a pattern in the attention weights is one: comparisons, and what masking does."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfts._messages import unknown
from tfts.attention.measures import window_measures
from tfts.errors import DataError, SettingError

if TYPE_CHECKING:
    from tfts.data.panel import Panel
    from tfts.forecaster import Forecaster


_NULLS = ("shuffled_targets", "permuted_rows")
_CONFIDENCE = 0.95
# Fewer windows have too few others to exchange rows with.
MIN_WINDOWS = 10


@dataclasses.dataclass(frozen=True, eq=False)
class Faithfulness:
    """What `faithfulness` finds, in standard deviations of the target.

    Attributes:
        table: DataFrame with a row for the most attended, random and least attended rows:
            masked, rows (how many are masked; columns for attention over variables), change
            (mean absolute change of the forecast), error_increase (mean absolute error after
            masking less before).
        change: Dict difference, low, high: change by the most attended less by random rows.
        error_increase: The same for the error.
        passed: Whether masking the most attended rows changes the forecast more than
            masking random ones, and makes it worse by more: both intervals are above 0.

    Example:

    >>> table = pd.DataFrame({"masked": ["most attended", "random"], "rows": 1, "change": [0.6, 0.2]})
    >>> interval = {"difference": 0.4, "low": 0.3, "high": 0.5}
    >>> round(Faithfulness(table, interval, interval, passed=True).ratio, 2)
    3.0
    """

    table: pd.DataFrame
    change: dict
    error_increase: dict
    passed: bool

    @property
    def ratio(self) -> float:
        """Change by the most attended rows over that by as many random ones."""
        change = self.table.set_index("masked")["change"]
        return float(change["most attended"] / max(change["random"], np.finfo(float).tiny))


def regime_comparison(
    stack: npt.ArrayLike,
    mask: npt.ArrayLike,
    *,
    seasonal_lags: Sequence[int] = (),
    fixed_lags: Sequence[int] = (),
    recent_lags: int = 3,
    neighbours: int = 1,
    query: Literal["horizon", "context", "variable"] = "horizon",
    variables: Sequence[str] = (),
    num_samples: int = 1000,
    block_length: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """The measures inside and outside of given windows.

    Args:
        stack: Float `(windows, heads, query, context)`, rows sum to 1, in order of time.
        mask: Bool `(windows,)`, True inside: events, promotions, a regime, anomalies.
        seasonal_lags: As in `horizon_profile`.
        fixed_lags: As in `horizon_profile`.
        recent_lags: As in `horizon_profile`.
        neighbours: As in `horizon_profile`.
        query: As in `summarize`.
        variables: As in `summarize`.
        num_samples: Int >= 1, bootstrap samples.
        block_length: Windows that are drawn together, since neighbouring windows share
            most of their rows. `None` is the context length, or a tenth of the windows
            where these are fewer.
        seed: Int.

    Returns:
        DataFrame with a row for each measure of `window_measures`: measure, inside,
        outside, difference, low, high (95 % interval) and differs (the interval is on one
        side of 0).

    Raises:
        ValueError: If the mask has another length, is not bool, or all windows are on one
            side; or as `horizon_profile`.

    Example:

    >>> stack = np.zeros((40, 1, 2, 5))
    >>> stack[:30, ..., -1] = stack[30:, ..., -4] = 1.0
    >>> table = regime_comparison(stack, np.arange(40) >= 30, block_length=1)
    >>> table.loc[table["measure"] == "mean_lag", ["inside", "outside", "difference", "differs"]]
       inside  outside  difference  differs
    1     3.0      0.0         3.0     True

    Source: Künsch, The Jackknife and the Bootstrap for General Stationary Observations,
    Annals of Statistics 17, 1989 (blocks); Politis and Romano, 1992 (circular).
    """
    measures = window_measures(
        stack,
        seasonal_lags=seasonal_lags,
        fixed_lags=fixed_lags,
        recent_lags=recent_lags,
        neighbours=neighbours,
        query=query,
        variables=variables,
    )
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape != (len(measures),):
        raise SettingError(
            f"`mask` must be bool with one value for each of the {len(measures)} windows of the stack "
            f"{np.shape(stack)}. Received: {mask.dtype} of shape {mask.shape}."
        )
    if mask.all() or not mask.any():
        raise SettingError(
            f"`mask` must be True for some windows and False for others. Received: {mask.sum()} of {len(mask)} True."
        )
    values = measures.to_numpy()
    weights = _resampled(len(values), num_samples, _block(block_length, np.shape(stack)), seed)
    inside, outside = weights * mask, weights * ~mask
    # A sample without a window on one side has no difference.
    both = inside.any(axis=1) & outside.any(axis=1)
    means = [side[both] @ values / side[both].sum(axis=1, keepdims=True) for side in (inside, outside)]
    low, high = _interval(means[0] - means[1])
    means = values[mask].mean(axis=0), values[~mask].mean(axis=0)
    return pd.DataFrame(
        {
            "measure": measures.columns,
            "inside": means[0],
            "outside": means[1],
            "difference": means[0] - means[1],
            "low": low,
            "high": high,
            "differs": (low > 0) | (high < 0),
        }
    )


def baseline_check(
    stack: npt.ArrayLike,
    others: Mapping[str, npt.ArrayLike] | None = None,
    *,
    seasonal_lags: Sequence[int] = (),
    fixed_lags: Sequence[int] = (),
    recent_lags: int = 3,
    neighbours: int = 1,
    query: Literal["horizon", "context", "variable"] = "horizon",
    variables: Sequence[str] = (),
    num_samples: int = 1000,
    block_length: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """The measures beside those of attention that has nothing to find.

    Args:
        stack: Float `(windows, heads, query, context)`, rows sum to 1, in order of time.
        others: Dict from a name to a stack of the same windows, such as
            `{"shuffled_targets": fit_null(...).attention(panel, rows)}`.
        seasonal_lags: As in `horizon_profile`.
        fixed_lags: As in `horizon_profile`.
        recent_lags: As in `horizon_profile`.
        neighbours: As in `horizon_profile`.
        query: As in `summarize`.
        variables: As in `summarize`.
        num_samples: As in `regime_comparison`.
        block_length: As in `regime_comparison`.
        seed: Int.

    Returns:
        DataFrame with a row for each measure and baseline; the first baseline is
        `uniform`: measure, value, baseline, baseline_value, difference, low, high, differs.

    Raises:
        ValueError: If another stack has other windows or another context, or as
            `horizon_profile`.

    Example:

    >>> stack = np.zeros((40, 2, 3, 8))
    >>> stack[..., -1] = 1.0
    >>> table = baseline_check(stack, seasonal_lags=[7])
    >>> table.loc[table["measure"] == "entropy", ["value", "baseline_value", "differs"]].round(3)
       value  baseline_value  differs
    0    0.0             1.0     True

    Source: Jain and Wallace, Attention is not Explanation, NAACL 2019; Wiegreffe and
    Pinter, Attention is not not Explanation, EMNLP 2019.
    """
    options = {
        "seasonal_lags": seasonal_lags,
        "fixed_lags": fixed_lags,
        "recent_lags": recent_lags,
        "neighbours": neighbours,
        "query": query,
        "variables": variables,
    }
    measures = window_measures(stack, **options)
    shape = np.shape(stack)
    baselines = {"uniform": window_measures(np.full((1, *shape[1:]), 1 / shape[-1], np.float32), **options)}
    for name, other in (others or {}).items():
        if np.shape(other)[:1] + np.shape(other)[2:] != shape[:1] + shape[2:]:
            raise DataError(
                f"The stack of {name!r} must be of the same windows, queries and context, {shape}. "
                f"Received: shape {np.shape(other)}."
            )
        baselines[name] = window_measures(other, **options)
    weights = _resampled(len(measures), num_samples, _block(block_length, shape), seed)
    weights = weights / weights.sum(axis=1, keepdims=True)
    tables = []
    for name, baseline in baselines.items():
        difference = measures.to_numpy() - baseline.to_numpy()
        low, high = _interval(weights @ difference)
        tables.append(
            pd.DataFrame(
                {
                    "measure": measures.columns,
                    "value": measures.mean().to_numpy(),
                    "baseline": name,
                    "baseline_value": baseline.mean().to_numpy(),
                    "difference": difference.mean(axis=0),
                    "low": low,
                    "high": high,
                    "differs": (low > 0) | (high < 0),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def fit_null(
    forecaster: Forecaster,
    train: Panel,
    validation: Panel | None = None,
    kind: Literal["shuffled_targets", "permuted_rows"] = "shuffled_targets",
    *,
    seed: int = 0,
    **fit_options: Any,
) -> Forecaster:
    """Fits a copy of a forecaster to a table in which there is nothing to find.

    What its attention shows is what this network shows of itself.

    Args:
        forecaster: `Forecaster` of a model with attention.
        train: `Panel` of training rows, original units.
        validation: `Panel` of validation rows, or `None`.
        kind: `"shuffled_targets"` puts the values of the targets in a random order, each
            series for itself; `"permuted_rows"` does so with whole rows but the columns
            known ahead.
        seed: Int, of the order.
        **fit_options: As for `Forecaster.fit`.

    Returns:
        A fitted `Forecaster`.

    Raises:
        ValueError: If `kind` is unknown.

    Example:

    >>> from tfts.forecaster import Forecaster
    >>> hours = pd.date_range("2024-01-01", periods=90, freq="h")
    >>> frame = pd.DataFrame({"load": np.sin(np.arange(90) * np.pi / 12)}, index=hours)
    >>> forecaster = Forecaster("attention_seq2seq", context_length=24, horizon=3)
    >>> null = fit_null(forecaster, forecaster.panel(frame), epochs=1, verbose=0)
    >>> null.name, null.is_fitted
    ('attention_seq2seq', True)
    """
    if kind not in _NULLS:
        raise SettingError(unknown("kind", kind, _NULLS))
    rng = np.random.default_rng(seed)
    train, validation = (panel and _shuffled(panel, kind, rng) for panel in (train, validation))
    return forecaster.clone().fit(train, validation=validation or 0, **fit_options)


def faithfulness(
    forecaster: Forecaster,
    panel: Panel,
    rows: npt.ArrayLike,
    *,
    stack: npt.ArrayLike | None = None,
    num_lags: int | None = None,
    repeats: int = 5,
    num_steps: int = 4,
    keep_newest: bool | None = None,
    seed: int = 0,
) -> Faithfulness:
    """Changes the rows that attention looks at, and sees what the forecast does.

    A masked row gets the values of the same row of another window, moved to this window's
    mean, so that the network sees nothing that it does not know. The most attended rows are
    masked, then as many random ones, then the least attended. For a network that decodes a
    horizon this is done for some of its steps, each with its own rows; for one that
    attends over variables with whole columns, for each target.

    Args:
        forecaster: Fitted `Forecaster` of a model with attention.
        panel: `Panel` in original units.
        rows: Int `(windows,)`: origins whose future the panel holds, as from
            `WindowSpec.origins`; at least 10.
        stack: The attention weights of these windows; `None` computes them.
        num_lags: Int >= 1, rows or columns to mask. `None` is a twentieth of them, at least 1.
        repeats: Int >= 1, draws of other windows and of random rows.
        num_steps: Int >= 1, most steps of the horizon, or targets, that are tried, evenly spread.
        keep_newest: Whether the newest row is never masked; of a masked column, whether
            it keeps its value. `None` keeps it where the network subtracts it from the
            window: that is no work of attention.
        seed: Int.

    Returns:
        `Faithfulness`.

    Raises:
        ValueError: If the model has no attention, there are fewer than 10 windows, or a
            number is out of range.

    Example:

    >>> from tfts.forecaster import Forecaster
    >>> hours = pd.date_range("2024-01-01", periods=90, freq="h")
    >>> frame = pd.DataFrame({"load": np.sin(np.arange(90) * np.pi / 12)}, index=hours)
    >>> forecaster = Forecaster("attention_seq2seq", context_length=24, horizon=3)
    >>> panel = forecaster.panel(frame)
    >>> _ = forecaster.fit(panel, epochs=1, verbose=0)
    >>> found = faithfulness(forecaster, panel, forecaster.spec.origins(panel))
    >>> found.table["masked"].tolist()
    ['most attended', 'random', 'least attended']

    Source: DeYoung et al., ERASER, ACL 2020 (comprehensiveness); Serrano and Smith, Is
    Attention Interpretable?, ACL 2019 (against random weights).
    """
    from tfts.models.attention_scores import query_of

    if stack is None:
        stack = forecaster.attention(panel, rows)
    if len(rows) < MIN_WINDOWS or len(stack) != len(rows):
        raise DataError(
            f"At least {MIN_WINDOWS} windows are needed, so that rows can be exchanged between them, and as many in "
            f"the stack. Received: {len(rows)} windows, a stack of shape {np.shape(stack)}."
        )
    query = query_of(forecaster.model)
    if keep_newest is None:
        keep_newest = _subtracts_newest(forecaster.model)
    word = "columns" if query == "variable" else "rows"
    # Of a column the newest value stays where it is, and the others move.
    maskable = np.shape(stack)[-1] - (1 if keep_newest and query != "variable" else 0)
    num_lags = max(1, np.shape(stack)[-1] // 20) if num_lags is None else num_lags
    if not 1 <= num_lags <= maskable // 2:
        raise SettingError(
            f"`num_lags` must be from 1 to {maskable // 2}, half of the {maskable} {word} "
            f"that can be masked, so that the most and the least attended differ. Received: num_lags={num_lags}."
        )
    shape = np.shape(stack)
    looks = _looks(np.asarray(stack, dtype=np.float32).mean(axis=1), query, num_steps)
    changes, worse = _tried(
        forecaster, panel, rows, looks, query, num_lags, maskable, repeats, keep_newest, seed
    )
    block = _block(None, (shape[0], 0, 0, forecaster.spec.context_length))
    resampled = _resampled(shape[0], 1000, block, seed)
    resampled = resampled / resampled.sum(axis=1, keepdims=True)
    found = []
    for table in (changes, worse):
        difference = table["most attended"] - table["random"]
        low, high = _interval(resampled @ difference[:, None])
        found.append({"difference": float(difference.mean()), "low": float(low[0]), "high": float(high[0])})
    table = pd.DataFrame(
        {
            "masked": list(changes),
            word: num_lags,
            "change": [change.mean() for change in changes.values()],
            "error_increase": [error.mean() for error in worse.values()],
        }
    )
    return Faithfulness(table, *found, passed=found[0]["low"] > 0 and found[1]["low"] > 0)


def _looks(weights, query, num_steps):
    """Pairs of the weights that look, `(windows, context)`, and the steps and targets they look for."""
    if query == "context":
        return [(weights.mean(axis=1), (slice(None), slice(None)))]
    tried = np.unique(np.linspace(0, weights.shape[1] - 1, min(num_steps, weights.shape[1])).astype(int))
    every, one = slice(None), [slice(at, at + 1) for at in tried]
    parts = [(step, every) if query == "horizon" else (every, step) for step in one]
    return [(weights[:, at], part) for at, part in zip(tried, parts, strict=True)]


def _tried(forecaster, panel, rows, looks, query, num_lags, maskable, repeats, keep_newest, seed):
    """By what is masked, how far forecasts move and how much worse they become, window by window."""
    rng = np.random.default_rng(seed)
    inputs = forecaster.inputs(panel, rows)
    actual = forecaster.actual(panel, rows)
    scale = np.nanstd(actual, axis=(0, 1))
    before = forecaster.forecast_inputs(inputs, panel, rows)
    labels = _label_columns(forecaster.task)
    names = ("most attended", "random", "least attended")
    changes = {name: np.zeros(len(rows)) for name in names}
    worse = {name: np.zeros(len(rows)) for name in names}
    for weight, (steps, targets) in looks:
        order = np.argsort(-weight[:, :maskable], axis=1, kind="stable")
        masked = []
        for _ in range(repeats):
            donors = (np.arange(len(rows)) + rng.integers(1, len(rows))) % len(rows)
            drawn = rng.permuted(order, axis=1)[:, :num_lags]
            for at in (order[:, :num_lags], drawn, order[:, -num_lags:]):
                if query == "variable":
                    masked.append(_masked_columns(inputs, at, donors, keep_newest, labels))
                else:
                    masked.append(_masked(inputs, at, donors, labels))
        # One call for all: to start a prediction takes longer than the arithmetic.
        after = forecaster.forecast_inputs(_joined(masked), panel, np.tile(rows, len(masked)))
        after = after.reshape(repeats, len(names), len(rows), *after.shape[1:])
        change = (np.abs(after - before) / scale)[..., steps, targets]
        error = ((np.abs(after - actual) - np.abs(before - actual)) / scale)[..., steps, targets]
        for i, name in enumerate(names):
            changes[name] += change[:, i].mean(axis=(0, 2, 3)) / len(looks)
            worse[name] += np.nan_to_num(error[:, i]).mean(axis=(0, 2, 3)) / len(looks)
    return changes, worse


def _label_columns(task):
    """Which columns of each input hold labels, which have no level: dict from name to bools `(columns,)`."""
    names = {"past": task.features, "known_future": task.known_future, "static": task.static}
    labels = dict(task.categories)
    return {name: np.array([c in labels for c in columns], dtype=bool) for name, columns in names.items()}


def _masked(inputs, at, donors, labels):
    """Inputs whose rows `at` `(windows, rows)` are those of other windows, at this window's mean."""
    if not isinstance(inputs, dict):
        return _masked({"past": inputs}, at, donors, labels)["past"]
    windows = np.arange(len(at))[:, None]
    changed = {}
    for name, values in inputs.items():
        if name == "static":
            # No row holds it.
            changed[name] = values
            continue
        values = np.array(values)
        # What was observed goes with its values, and has no level.
        mean = 0 * values[:, :1] if name == "observed" else values.mean(axis=1, keepdims=True)
        mean = np.where(labels.get(name, False), 0, mean)
        values[windows, at] = values[donors[:, None], at] - mean[donors] + mean
        changed[name] = values
    return changed


def _masked_columns(inputs, at, donors, keep_newest, labels):
    """Inputs whose columns `at` `(windows, columns)` are those of other windows, at this window's level.

    The columns of `past` are counted first, then those known ahead, then attributes. The level is
    the mean, or for `past` with `keep_newest` the newest value; labels and attributes have none.
    """
    if not isinstance(inputs, dict):
        return _masked_columns({"past": inputs}, at, donors, keep_newest, labels)["past"]
    first, changed = 0, {}
    for name, coded in labels.items():
        if name not in inputs:
            continue
        values = np.array(inputs[name])
        masked = (at[..., None] - first == np.arange(values.shape[-1])).any(axis=1)
        level = 0
        if name != "static":
            masked = masked[:, None]
            level = values[:, -1:] if keep_newest and name == "past" else values.mean(axis=1, keepdims=True)
            level = np.where(coded, 0, level)
        moved = level - level[donors] if name != "static" else 0
        changed[name] = np.where(masked, values[donors] + moved, values)
        if name == "past" and "observed" in inputs:
            changed["observed"] = np.where(masked, inputs["observed"][donors], inputs["observed"])
        first += values.shape[-1]
    return {**inputs, **changed}


def _joined(inputs):
    """The windows of several inputs, one after the other."""
    if isinstance(inputs[0], dict):
        return {name: np.concatenate([each[name] for each in inputs]) for name in inputs[0]}
    return np.concatenate(inputs)


def _shuffled(panel, kind, rng):
    moved = [
        column
        for column in panel.columns
        if (column in panel.targets if kind == "shuffled_targets" else column not in panel.known_future)
    ]
    at = panel.indices(moved)
    values, filled = panel.values.copy(), panel.filled.copy()
    for span in panel.spans:
        order = rng.permutation(np.arange(span.start, span.observed_end))
        values[span.start : span.observed_end, at] = values[np.ix_(order, at)]
        filled[span.start : span.observed_end, at] = filled[np.ix_(order, at)]
    return dataclasses.replace(panel, values=values, filled=filled)


def _subtracts_newest(model):
    from tfts.layers import ReversibleInstanceNorm

    return any(isinstance(layer, ReversibleInstanceNorm) and layer.center == "last" for layer in model.layers)


def _block(block_length, shape):
    if block_length is None:
        return max(1, min(shape[-1], shape[0] // 10))
    if isinstance(block_length, bool) or not isinstance(block_length, int | np.integer) or block_length < 1:
        raise SettingError(
            f"`block_length` must be an int >= 1 or None. Received: block_length={block_length!r}."
        )
    return min(int(block_length), shape[0])


def _resampled(num_windows, num_samples, block_length, seed):
    """How often each window is in each bootstrap sample, `(samples, windows)`."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, num_windows, (num_samples, -(-num_windows // block_length)))
    counts = np.zeros((num_samples, num_windows + block_length), np.float32)
    sample = np.arange(num_samples)[:, None]
    # A block adds 1 from its start and takes it away after its end; it goes on at the front.
    np.add.at(counts, (sample, starts), 1)
    np.add.at(counts, (sample, starts + block_length), -1)
    counts = counts.cumsum(axis=1)
    counts[:, :block_length] += counts[:, num_windows:]
    return counts[:, :num_windows]


def _interval(samples):
    """Low and high of the middle 95 % of each column."""
    outside = (1 - _CONFIDENCE) / 2
    return np.quantile(samples, [outside, 1 - outside], axis=0)
