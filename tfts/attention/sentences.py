"""What may be said of attention weights, and only that."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfts.attention._stacks import distances_of, in_time
from tfts.attention.checks import baseline_check
from tfts.attention.measures import horizon_profile, summarize

if TYPE_CHECKING:
    import pandas as pd

    from tfts.attention.checks import Faithfulness


# A share is worth a sentence when it is twice what even weights would put there, and half
# as much again as what the same network shows where there is nothing to find; where that is
# near 1 or above it, half of the way to 1.
_LIFT, _OVER_NULL = 2.0, 1.5
_DOMINANT = 0.5
# Rows that the focus must move from the first third of the steps to the last.
_SHIFT = 1.0
# Of 1, heads that never share a row.
_DIVERGENCE = 0.2


@dataclasses.dataclass(frozen=True)
class Claim:
    """One sentence and the figures it was built from.

    Attributes:
        kind: `"recent"`, `"seasonal"`, `"lag"`, `"peak"` (a distance or lag that was found),
            `"variable"`, `"horizon"`, `"heads"`, `"regime"` or `"none"`.
        sentence: Str.
        figures: Dict from a name to a number.

    Example:

    >>> print(Claim("none", "No clear pattern.", {"entropy": 1.0}))
    No clear pattern.
    """

    kind: str
    sentence: str
    figures: dict

    def __str__(self):
        return self.sentence


def describe(
    stack: npt.ArrayLike,
    *,
    others: Mapping[str, npt.ArrayLike] | None = None,
    faithful: Faithfulness | None = None,
    regimes: Mapping[str, pd.DataFrame] | None = None,
    seasonal_lags: Sequence[int] = (),
    fixed_lags: Sequence[int] = (),
    recent_lags: int = 3,
    neighbours: int = 1,
    freq: str | None = None,
    query: Literal["horizon", "context", "variable"] = "horizon",
    variables: Sequence[str] = (),
    block_length: int | None = None,
    seed: int = 0,
) -> list[Claim]:
    """Says in sentences what the attention looks at, as far as it passes its tests.

    A pattern must be twice what uniform attention has, differ from it and from every
    other baseline by more than a bootstrap interval, and masking the most attended rows
    must change the forecast, and harm it, more than masking random ones. Where nothing
    passes, the answer is that there is no clear pattern.

    Args:
        stack: Float `(windows, heads, query, context)`, rows sum to 1, in order of time.
        others: Dict from a name to a stack of a network with nothing to find, see
            `baseline_check`.
        faithful: `Faithfulness` of the same model, from `faithfulness`. Without it every
            sentence says that masking was not tried.
        regimes: Dict from a name, such as `"promotion"`, to the table that
            `regime_comparison` gave.
        seasonal_lags: As in `horizon_profile`.
        fixed_lags: As in `horizon_profile`.
        recent_lags: As in `horizon_profile`.
        neighbours: As in `horizon_profile`.
        freq: pandas frequency of the rows, for lags in words.
        query: As in `summarize`.
        variables: As in `summarize`.
        block_length: As in `regime_comparison`.
        seed: Int, of the bootstrap.

    Returns:
        List of `Claim`, at least one.

    Raises:
        ValueError: As `baseline_check`.

    Example:

    >>> stack = np.full((40, 1, 3, 30), 0.2 / 29)
    >>> for step in range(3):
    ...     stack[:, :, step, 30 - 24 + step] = 0.8  # 24 rows before the forecast row
    >>> claims = describe(stack, seasonal_lags=[24], freq="h", neighbours=0)
    >>> [claim.kind for claim in claims], claims[0].sentence.split(":")[0]
    (['seasonal', 'horizon'], 'It looks 24 hours before the row it forecasts')
    """
    options = {
        "seasonal_lags": seasonal_lags,
        "fixed_lags": fixed_lags,
        "recent_lags": recent_lags,
        "neighbours": neighbours,
        "query": query,
        "variables": variables,
    }
    found = None if variables else _peak(stack, **options)
    if found is not None:
        key, number = found
        options[key] = [*options[key], number]
    table = baseline_check(stack, others, **options, block_length=block_length, seed=seed)
    evidence = _Evidence(table, faithful)
    claims = []
    if evidence.is_faithful:
        claims += _variables(evidence, variables) if variables else _recent(evidence, recent_lags, freq)
        for key in ("seasonal_lags", "fixed_lags"):
            for number in options[key]:
                claims += _place(evidence, key, number, (key, number) == found, freq, query)
        if query == "horizon":
            claims += _moving(evidence, stack, options, freq)
        claims += _heads(evidence, np.shape(stack)[1])
        for name, regime in (regimes or {}).items():
            claims += _regime(name, regime, evidence)
    return claims or [_nothing(evidence)]


class _Evidence:
    """The measures of a stack beside their baselines, and the verdict of masking."""

    def __init__(self, table, faithful):
        self.table = table.set_index(["measure", "baseline"])
        self.baselines = table["baseline"].unique().tolist()
        self.faithful = faithful
        self.is_faithful = faithful is None or faithful.passed
        self.masked = "columns" if faithful is not None and "columns" in faithful.table else "rows"

    def value(self, measure):
        return float(self.table.loc[(measure, "uniform"), "value"])

    def of(self, measure, baseline):
        return float(self.table.loc[(measure, baseline), "baseline_value"])

    def is_larger(self, measure):
        """Whether a share or distance stands out from every baseline."""
        rows = [self.table.loc[(measure, name)] for name in self.baselines]
        lifted = all(
            row["value"] >= _asked(row["baseline_value"], _LIFT if name == "uniform" else _OVER_NULL)
            for name, row in zip(self.baselines, rows, strict=True)
        )
        return lifted and all(row["low"] > 0 for row in rows)

    def differs(self, measure):
        return all(bool(self.table.loc[(measure, name), "differs"]) for name in self.baselines)

    def beside(self, measure, shown):
        """`uniform attention 2 %, shuffled targets 3 %; the difference ... is 60 to 64 %`."""
        named = ", ".join(f"{_words(name)} {shown(self.of(measure, name))}" for name in self.baselines)
        nearest = min(self.baselines, key=lambda name: abs(self.table.loc[(measure, name), "difference"]))
        row = self.table.loc[(measure, nearest)]
        interval = f"{shown(row['low'])} to {shown(row['high'])}"
        return f"{named}; 95 % interval of the difference to {_words(nearest)}: {interval}"

    def masking(self):
        if self.faithful is None:
            return "What masking does was not tried."
        change = self.faithful.table.set_index("masked")["change"]
        count = int(self.faithful.table[self.masked].iloc[0])
        rows = self.masked.removesuffix("s") if count == 1 else f"{count} {self.masked}"
        return (
            f"Masking the most attended {rows} changes the forecast by {change['most attended']:.2g} standard "
            f"deviations of the target, as many random ones by {change['random']:.2g}, the least attended by "
            f"{change['least attended']:.2g}."
        )

    def figures(self, measure):
        rows = {f"{name}": self.of(measure, name) for name in self.baselines}
        return {measure: self.value(measure), **rows, **self.masked_figures()}

    def masked_figures(self):
        return {} if self.faithful is None else {"masking_ratio": self.faithful.ratio}


def _asked(baseline, lift):
    """The share that stands out from a baseline."""
    return min(lift * baseline, (1 + baseline) / 2)


def _words(name):
    return "uniform attention" if name == "uniform" else name.replace("_", " ")


def _percent(share):
    return f"{100 * share:.3g} %"


def _rows(count):
    return f"{count:.3g} rows"


def _peak(stack, seasonal_lags, fixed_lags, recent_lags, neighbours, query, variables):
    """The place that stands out where the user named none: its option and number, or `None`."""
    weights = summarize(stack, query=query).map
    num_queries, context_length = weights.shape
    lags = np.broadcast_to(np.arange(context_length)[::-1], weights.shape)
    away = distances_of(query, num_queries, context_length)
    longest = context_length if query == "horizon" else context_length - 1
    best = {}
    for key, numbers, given in (("seasonal_lags", away, seasonal_lags), ("fixed_lags", lags, fixed_lags)):
        # Newest rows are what `recent` is for, and a place is one that most queries have.
        cells = pd.DataFrame({"number": numbers.ravel(), "weight": weights.ravel()})
        cells = cells[(lags.ravel() >= recent_lags) & (cells["number"].between(1, longest))]
        means = cells.groupby("number")["weight"].agg(["mean", "size"])
        means = means.loc[means["size"] > num_queries / 2, "mean"]
        if len(means):
            place = int(means.idxmax())
            known = any(abs(place - number) <= neighbours for number in given)
            best[key] = (means[place], place, known)
    if not best:
        return None
    key = max(best, key=lambda key: best[key][0])
    weight, place, known = best[key]
    return None if known or weight < 2 * _LIFT / context_length else (key, place)


def _recent(evidence, recent_lags, freq):
    if evidence.value("recent") < _DOMINANT or not evidence.is_larger("recent"):
        return []
    newest = "newest row" if recent_lags == 1 else f"newest {recent_lags} rows"
    sentence = (
        f"It looks mostly at the {newest} ({in_time([recent_lags], freq)[0]}): {_percent(evidence.value('recent'))} "
        f"of the weight ({evidence.beside('recent', _percent)}). {evidence.masking()}"
    )
    return [Claim("recent", sentence, evidence.figures("recent"))]


def _variables(evidence, variables):
    """The columns that stand out, the most attended first."""
    claims = []
    for name in sorted(variables, key=lambda name: -evidence.value(f"on_{name}")):
        measure = f"on_{name}"
        if evidence.is_larger(measure):
            sentence = (
                f"It looks at the column {name}: {_percent(evidence.value(measure))} of the weight "
                f"({evidence.beside(measure, _percent)}). {evidence.masking()}"
            )
            claims.append(Claim("variable", sentence, evidence.figures(measure)))
    return claims


def _place(evidence, key, number, is_found, freq, query):
    measure = f"season_{number}" if key == "seasonal_lags" else f"lag_{number}"
    if not evidence.is_larger(measure):
        return []
    if key == "fixed_lags":
        where = "before the origin"
    else:
        where = "before the row it forecasts" if query == "horizon" else "from the row that looks"
    found = ", a place that was found and not given" if is_found else ""
    sentence = (
        f"It looks {in_time([number], freq)[0]} {where}{found}: {_percent(evidence.value(measure))} of the weight is "
        f"there and on the neighbours ({evidence.beside(measure, _percent)}). {evidence.masking()}"
    )
    kind = "peak" if is_found else "seasonal" if key == "seasonal_lags" else "lag"
    return [Claim(kind, sentence, {"rows": number, **evidence.figures(measure)})]


def _moving(evidence, stack, options, freq):
    if np.shape(stack)[2] < 2 or not evidence.differs("shift"):
        return []
    shift = evidence.value("shift")
    nulls = [evidence.of("shift", name) for name in evidence.baselines]
    if abs(shift) < _SHIFT or any(abs(shift) < _OVER_NULL * abs(null) for null in nulls):
        return []
    steps = horizon_profile(stack, **options)
    first, last = steps["top_lag"].iloc[0], steps["top_lag"].iloc[-1]
    way = "newer" if shift < 0 else "older"
    sentence = (
        f"The focus moves to {way} rows along the horizon: by {abs(shift):.3g} rows from the first third of the steps "
        f"to the last ({evidence.beside('shift', _rows)}); the most attended row is {in_time([first], freq)[0]} before "
        f"the origin at step 1 and {in_time([last], freq)[0]} at step {len(steps)}. {evidence.masking()}"
    )
    return [Claim("horizon", sentence, evidence.figures("shift"))]


def _heads(evidence, num_heads):
    measure = "head_divergence"
    if num_heads < 2 or evidence.value(measure) < _DIVERGENCE or not evidence.is_larger(measure):
        return []
    sentence = (
        f"The {num_heads} heads divide the work: their divergence is {evidence.value(measure):.2g} of 1 "
        f"({evidence.beside(measure, '{:.2g}'.format)}). {evidence.masking()}"
    )
    return [Claim("heads", sentence, evidence.figures(measure))]


def _regime(name, regime, evidence):
    parts = regime[regime["differs"] & regime["measure"].str.match("recent|season_|lag_|on_")]
    parts = parts[
        np.maximum(parts["inside"], parts["outside"])
        >= _OVER_NULL * np.minimum(parts["inside"], parts["outside"])
    ]
    if parts.empty:
        return []
    row = parts.loc[parts["difference"].abs().idxmax()]
    part, _, number = row["measure"].partition("_")
    what = {
        "recent": "the newest rows",
        "season": f"the row {number} back",
        "lag": f"lag {number}",
        "on": f"the column {number}",
    }[part]
    sentence = (
        f"Within {name} the weight on {what} is {_percent(row['inside'])}, else {_percent(row['outside'])} "
        f"(95 % interval of the difference: {_percent(row['low'])} to {_percent(row['high'])}). {evidence.masking()}"
    )
    figures = {key: float(row[key]) for key in ("inside", "outside", "low", "high")}
    return [Claim("regime", sentence, {**figures, **evidence.masked_figures()})]


def _nothing(evidence):
    reason = (
        f"masking the most attended {evidence.masked} does no more to the forecast than masking random ones"
        if not evidence.is_faithful
        else "no measure stands out from its baselines"
    )
    sentence = (
        f"No clear pattern: {reason}. The entropy is {evidence.value('entropy'):.2g} of 1 "
        f"({evidence.beside('entropy', '{:.2g}'.format)}). {evidence.masking()}"
    )
    return Claim("none", sentence, evidence.figures("entropy"))
