"""The whole analysis of one model's attention, and the files it is written to."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfts._files import replacing_folder, write_figure, write_json, write_table
from tfts._messages import unknown
from tfts._units import offset_of
from tfts.attention._stacks import chunks
from tfts.attention.checks import Faithfulness, baseline_check, faithfulness, regime_comparison
from tfts.attention.measures import (
    AttentionSummary,
    HeadProfiles,
    concentration,
    head_profiles,
    horizon_profile,
    summarize,
    top_lag_counts,
)
from tfts.attention.sentences import describe
from tfts.baselines.seasonal_naive import season_length_of
from tfts.errors import DataError, MissingFileError, UnknownNameError

if TYPE_CHECKING:
    from tfts.data.panel import Panel
    from tfts.forecaster import Forecaster


# Masking forecasts the windows anew many times, so it is done for some of them.
_MASKED_WINDOWS = 128


@dataclasses.dataclass(frozen=True, eq=False)
class AttentionAnalysis:
    """All that the weights of one model say, from `analyse_attention`.

    Attributes:
        model: Str.
        query: `"horizon"`, `"context"` or `"variable"`.
        freq: pandas frequency of the rows.
        seasonal_lags: Tuple of ints.
        stack: Float32 `(windows, heads, query, context)`.
        windows: DataFrame with the columns series and origin, a row for each window.
        summary: `AttentionSummary`.
        concentration: DataFrame, see `concentration`.
        top_lag_counts: DataFrame, see `top_lag_counts`.
        horizon_profile: DataFrame, see `horizon_profile`.
        heads: `HeadProfiles`.
        checks: DataFrame, see `baseline_check`.
        faithfulness: `Faithfulness`.
        regimes: Dict from a column to a DataFrame, see `regime_comparison`.
        claims: List of `Claim`.
        variables: Tuple of the columns that are looked at, for `query="variable"`.

    Example:

    >>> "claims" in [field.name for field in dataclasses.fields(AttentionAnalysis)]
    True
    """

    model: str
    query: str
    freq: str
    seasonal_lags: tuple
    stack: np.ndarray
    windows: pd.DataFrame
    summary: AttentionSummary
    concentration: pd.DataFrame
    top_lag_counts: pd.DataFrame
    horizon_profile: pd.DataFrame
    heads: HeadProfiles
    checks: pd.DataFrame
    faithfulness: Faithfulness
    regimes: dict
    claims: list
    variables: tuple = ()

    def write(self, folder: str | Path) -> None:
        """Writes tables as CSV, the stack as NPY, sentences and figures as JSON, and pictures.

        The folder appears complete or not at all; an older one is replaced.
        """
        with replacing_folder(folder) as partial:
            np.save(partial / "stack.npy", self.stack)
            tables = {
                "windows": self.windows,
                "concentration": self.concentration,
                "head_profiles": self.heads.profiles,
                "head_distances": pd.DataFrame(self.heads.distances),
                "checks": self.checks,
                "faithfulness": self.faithfulness.table,
            }
            counts = self.top_lag_counts.reset_index()
            if self.variables:
                tables |= {
                    "variables": self.summary.lags,
                    "example_variables": self.summary.examples,
                    "top_variable_counts": counts,
                    "target_profile": self.horizon_profile,
                }
            else:
                tables |= {
                    "lags": self.summary.lags,
                    "distances": self.summary.distances,
                    "example_lags": self.summary.examples,
                    "top_lag_counts": counts,
                    "horizon_profile": self.horizon_profile,
                }
            if self.regimes:
                named = [table.assign(regime=name) for name, table in self.regimes.items()]
                tables["regimes"] = pd.concat(named, ignore_index=True)
            for name, table in tables.items():
                write_table(table, partial / f"{name}.csv")
            write_json(self.to_dict(), partial / "attention.json")
            for picture in pictures(partial):
                write_figure(picture.figure, partial / f"{picture.name}.png")

    def to_dict(self) -> dict[str, Any]:
        """What is no table, for JSON."""
        found = self.faithfulness
        return {
            "model": self.model,
            "query": self.query,
            "variables": list(self.variables),
            "freq": self.freq,
            "seasonal_lags": list(self.seasonal_lags),
            "shape": list(self.stack.shape),
            "redundant_heads": self.heads.redundant,
            "faithfulness": {
                "passed": bool(found.passed),
                "ratio": found.ratio,
                "change": found.change,
                "error_increase": found.error_increase,
            },
            "claims": [dataclasses.asdict(claim) for claim in self.claims],
        }


def analyse_attention(
    forecaster: Forecaster,
    panel: Panel,
    rows: npt.ArrayLike | None = None,
    *,
    nulls: Mapping[str, Forecaster] | None = None,
    regimes: Sequence[str] = (),
    seasonal_lags: Sequence[int] | None = None,
    max_windows: int = 256,
    seed: int = 0,
) -> AttentionAnalysis:
    """Measures what a fitted model looks at, checks it, and says it.

    Args:
        forecaster: Fitted `Forecaster` of a model with attention.
        panel: `Panel` in original units, best of rows that the model was not fitted to.
        rows: Int `(windows,)`: origins. `None` takes every one whose future is known.
        nulls: Dict from a name to a fitted `Forecaster`, as from `fit_null`.
        regimes: Names of columns: a window is inside where the column is not 0 in one of
            the rows to forecast.
        seasonal_lags: Ints, in rows. `None` takes the usual season of the frequency, and
            for steps below a day the week as well, as far as the context reaches. Of
            attention over variables, which has no lags, they are not used.
        max_windows: Int >= 10, most windows, evenly spread over `rows`.
        seed: Int, of masking and of the bootstrap.

    Returns:
        `AttentionAnalysis`.

    Raises:
        ValueError: If the model has no attention, there are fewer than 10 windows, or
            attention over variables has one column alone.
        KeyError: If a regime is no column.

    Example:

    >>> from tfts.forecaster import Forecaster
    >>> hours = pd.date_range("2024-01-01", periods=90, freq="h")
    >>> frame = pd.DataFrame({"load": np.sin(np.arange(90) * np.pi / 12)}, index=hours)
    >>> forecaster = Forecaster("attention_seq2seq", context_length=30, horizon=3)
    >>> panel = forecaster.panel(frame)
    >>> analysis = analyse_attention(forecaster.fit(panel, epochs=1, verbose=0), panel)
    >>> analysis.stack.shape, analysis.seasonal_lags
    ((58, 4, 3, 30), (24,))
    """
    from tfts.models.attention_scores import query_of

    variables = variables_of(forecaster, panel)
    if len(variables) == 1:
        raise DataError(
            f"Attention over variables must have two columns or more to choose from. Received: {variables[0]!r} alone."
        )
    rows = forecaster.spec.origins(panel) if rows is None else np.asarray(rows)
    if len(rows) > max_windows:
        rows = rows[np.linspace(0, len(rows) - 1, max_windows).astype(int)]
    # Of windows some rows apart fewer share their rows.
    apart = max(1, round(float(np.median(np.diff(rows)))) if len(rows) > 1 else 1)
    block = max(1, min(-(-forecaster.spec.context_length // apart), len(rows) // 10))
    stack = forecaster.attention(panel, rows).astype(np.float32)
    query = query_of(forecaster.model)
    if variables:
        seasonal_lags = ()
    elif seasonal_lags is None:
        seasonal_lags = _usual_seasons(panel.freq, forecaster.spec.context_length - (query == "context"))
    about = {"query": query, "variables": variables}
    season = {"seasonal_lags": tuple(seasonal_lags), **about}
    compared = {**season, "block_length": block, "seed": seed}
    some = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _MASKED_WINDOWS)).astype(int))
    faithful = faithfulness(forecaster, panel, rows[some], stack=stack[some], seed=seed)
    others = {name: null.attention(panel, rows) for name, null in (nulls or {}).items()}
    inside = {column: _inside(panel, column, rows, forecaster.spec.horizon) for column in regimes}
    tables = {
        column: regime_comparison(stack, mask, **compared)
        for column, mask in inside.items()
        # All windows on one side leave nothing to compare.
        if mask.any() and not mask.all()
    }
    return AttentionAnalysis(
        model=forecaster.name,
        freq=panel.freq,
        stack=stack,
        windows=pd.DataFrame(
            {
                "series": np.asarray(panel.series, dtype=object)[panel.series_of(rows)],
                "origin": panel.shown(panel.times[rows]),
            }
        ),
        summary=summarize(stack, freq=panel.freq, **about),
        concentration=concentration(stack, **about),
        top_lag_counts=top_lag_counts(stack, **about),
        horizon_profile=horizon_profile(stack, **season),
        heads=head_profiles(stack, freq=panel.freq, **season),
        checks=baseline_check(stack, others, **compared),
        faithfulness=faithful,
        regimes=tables,
        claims=describe(stack, others=others, faithful=faithful, regimes=tables, freq=panel.freq, **compared),
        **season,
    )


def variables_of(forecaster: Forecaster, panel: Panel) -> tuple[str, ...]:
    """The columns that a model's attention looks at; none where it looks at rows, or at nothing.

    Args:
        forecaster: Fitted `Forecaster`.
        panel: `Panel` with its columns.

    Returns:
        Tuple of str: those of `past`, the targets first, then those known ahead, then attributes.

    Example:

    >>> from tfts.forecaster import Forecaster
    >>> hours = pd.date_range("2024-01-01", periods=60, freq="h")
    >>> frame = pd.DataFrame({"load": np.arange(60.0)}, index=hours)
    >>> forecaster = Forecaster("drift", context_length=7, horizon=3).fit(frame)
    >>> variables_of(forecaster, forecaster.panel(frame))
    ()
    """
    from tfts.models.attention_scores import query_of

    if not forecaster.has_attention or query_of(forecaster.model) != "variable":
        return ()
    return (*forecaster.spec.features(panel), *panel.known_future, *panel.static)


def _usual_seasons(freq, longest):
    season = season_length_of(freq)
    offset = offset_of(freq)
    below_a_day = isinstance(offset, pd.tseries.offsets.Tick) and pd.Timedelta(offset) < pd.Timedelta("1D")
    seasons = (season, 7 * season) if below_a_day else (season,)
    return tuple(season for season in seasons if 1 < season <= longest)


def _inside(panel, column, rows, horizon):
    if column not in panel.columns:
        raise UnknownNameError(unknown("column", column, panel.columns))
    values = panel.values[:, list(panel.columns).index(column)]
    at = np.minimum(rows[:, None] + np.arange(1, horizon + 1), len(values) - 1)
    return (np.nan_to_num(values[at]) != 0).any(axis=1)


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """A picture of an analysis.

    Attributes:
        name: Str, the stem of its file.
        figure: matplotlib figure.
        alt: Str: what it shows, for those who can't see it.

    Example:

    >>> from matplotlib.figure import Figure
    >>> Picture("heatmap", Figure(), "Heat map of the attention.").name
    'heatmap'
    """

    name: str
    figure: object
    alt: str


def read_analysis(folder: str | Path) -> dict[str, Any]:
    """The sentences and the tables that `AttentionAnalysis.write` left.

    Args:
        folder: Path.

    Returns:
        Dict from the stem of a file to a DataFrame; `attention` is the dict of the JSON.

    Raises:
        FileNotFoundError: If the folder holds no analysis.

    Example:

    >>> read_analysis("nowhere")
    Traceback (most recent call last):
    tfts.errors.MissingFileError: nowhere holds no analysis of attention: attention.json is not there.
    """
    folder = Path(folder)
    if not (folder / "attention.json").is_file():
        raise MissingFileError(f"{folder} holds no analysis of attention: attention.json is not there.")
    tables = {path.stem: pd.read_csv(path) for path in sorted(folder.glob("*.csv"))}
    return {**tables, "attention": json.loads((folder / "attention.json").read_text())}


def pictures(folder: str | Path) -> Iterator[Picture]:
    """Draws an analysis that was written.

    Args:
        folder: Path.

    Yields:
        `Picture`, one after the other; the caller closes its figure.

    Raises:
        FileNotFoundError: If the folder holds no analysis.

    Example:

    >>> next(pictures("nowhere"))
    Traceback (most recent call last):
    tfts.errors.MissingFileError: nowhere holds no analysis of attention: attention.json is not there.
    """
    from tfts import plots

    found = read_analysis(folder)
    about = found["attention"]
    freq, query, seasons = about["freq"], about["query"], about["seasonal_lags"]
    variables = tuple(about.get("variables", ()))
    season = {"freq": freq, "season_lengths": seasons}
    looks = {**season, "query": query, "variables": variables}
    stack = np.load(Path(folder) / "stack.npy", mmap_mode="r")
    num_windows, num_heads, _, _ = stack.shape
    by_head = sum(chunk.sum(axis=0, dtype=np.float64) for _, chunk in chunks(stack)) / num_windows
    rows = {"horizon": "horizon step", "context": "row of the context", "variable": "target"}[query]
    of = f"attention of {about['model']}, mean of {num_windows} windows"
    axes = plots.plot_attention(by_head, **looks)
    against = "variable" if variables else "lag"
    yield Picture("heatmap", axes.figure, f"Heat map of the {of}: {rows} against {against}.")
    if num_heads > 1:
        figure = plots.plot_attention_heads(by_head, **looks)
        yield Picture("heads", figure, f"Heat maps of the {num_heads} heads, {of}.")
    if variables:
        yield _variable_importance(found["variables"], of)
    else:
        yield from _pictures_of_lags(found, season, query, stack.shape, rows, of)
    if num_heads > 1:
        distances = found["head_distances"].to_numpy()
        axes = plots.plot_head_distances(distances)
        alt = f"Jensen-Shannon distances between the {num_heads} heads, up to {distances.max():.2g}."
        yield Picture("head_distances", axes.figure, alt)


def _variable_importance(table, of):
    from tfts import plots

    axes = plots.plot_variable_importance(table["weight"].to_numpy(), table["variable"].tolist())
    top = table.loc[table["weight"].idxmax()]
    alt = f"Bars of the weight of each variable, {of}; most on {top['variable']}: {top['weight']:.3g}."
    return Picture("variable_importance", axes.figure, alt)


def _pictures_of_lags(found, season, query, shape, rows, of):
    from tfts import plots

    _, num_heads, num_queries, _ = shape
    lags = found["lags"]
    axes = plots.plot_lag_importance(
        lags["weight"].to_numpy(), horizon=num_queries if query == "horizon" else None, **season
    )
    top = lags.loc[lags["weight"].idxmax()]
    alt = f"Bars of the weight of each lag, {of}; most on lag {top['lag']} ({top['time']}): {top['weight']:.3g}."
    yield Picture("lag_importance", axes.figure, alt)
    entropy = found["concentration"]["entropy"].to_numpy().reshape(num_heads, num_queries)
    axes = plots.plot_entropy(entropy.clip(0, 1), query=query, freq=season["freq"])
    alt = f"Entropy of the {of}, by {rows}: from {entropy.min():.2g} to {entropy.max():.2g}, 1 is uniform."
    yield Picture("entropy", axes.figure, alt)
    counts = found["top_lag_counts"].iloc[:, 1:].sum().to_numpy()
    axes = plots.plot_top_lags(counts, freq=season["freq"])
    alt = f"How often each lag has the largest weight, {of}; most often lag {counts.argmax()}."
    yield Picture("top_lags", axes.figure, alt)
