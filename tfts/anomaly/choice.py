"""Which method suits a table: the one that finds faults best that were put there on purpose."""

import numpy as np
import pandas as pd

from tfts.errors import DataError, TftsError

# From simple to costly: of equals the first is taken.
CANDIDATES = (
    "running_median",
    "seasonal_naive",
    "linear_regression",
    "pca_windows",
    "nearest_windows",
    "lstm_regressor",
)
# F1 within which two methods are equals.
_TIE = 0.02
_HELD_OUT = 0.3
# Rows of a fault, in turn: a spike, and a few days of another level.
_LENGTHS = (1, 3)


def choose(detector, frame, exclude=(), training=None, candidates=CANDIDATES, seed=0):
    """Compares methods on held-out rows, without labels.

    The last 30 % of the times are held out. Faults of one standard deviation of the
    target, spikes and short changes of level, up and down, are put into them at random
    places, apart by two contexts and more. Each method is fitted on the rows before,
    with all settings of the detector, and judged by the F1 of its flags: faults found,
    and flags elsewhere. This tells which method sees most, not which faults will come.

    Args:
        detector: An unfitted `AnomalyDetector`.
        frame: DataFrame to learn from.
        exclude: Pairs of times, as in `AnomalyDetector.fit`.
        training: Dict of options of `Forecaster.fit`, for networks.
        candidates: Names of methods, from simple to costly.
        seed: Int, of the places.

    Returns:
        Tuple of the name of the best, a DataFrame with a row for each candidate (`model`,
        `f1`, `precision`, `recall`, `problem`), the best first, and a sentence.

    Raises:
        ValueError: If no candidate can be fitted.

    Example:

    >>> from tfts.anomaly.detector import AnomalyDetector
    >>> days = pd.date_range("2023-01-01", periods=300)
    >>> week = np.array([90, 95, 100, 105, 120, 140, 80])[np.arange(300) % 7]
    >>> frame = pd.DataFrame({"sales": week + np.random.default_rng(0).normal(0, 2, 300)}, index=days)
    >>> best, table, why = choose(
    ...     AnomalyDetector("auto", context_length=7), frame, candidates=("running_median", "seasonal_naive")
    ... )
    >>> best
    'seasonal_naive'
    """
    from tfts.models import MODELS

    early, late, wrong = _with_faults(detector, frame, seed)
    rows = []
    for name in candidates:
        try:
            options = training or {} if name in MODELS else {}
            fitted = detector.clone(model=name).fit(early, exclude=exclude, **options)
            found = _quiet(fitted, late)
        except TftsError as error:
            rows.append((name, np.nan, np.nan, np.nan, str(error).splitlines()[0]))
            continue
        rows.append((name, *_f1(found, wrong), ""))
    table = pd.DataFrame(rows, columns=["model", "f1", "precision", "recall", "problem"])
    if table["f1"].isna().all():
        raise DataError(
            f"No method can be fitted to choose from; {table['model'].iloc[0]}: {table['problem'].iloc[0]}"
        )
    best = table["f1"].max()
    chosen = table[table["f1"] >= best - _TIE].iloc[0]
    # Stable, so that equals stay in the order of their cost.
    table = table.sort_values("f1", ascending=False, kind="stable")
    table = pd.concat([table[table["model"] == chosen["model"]], table[table["model"] != chosen["model"]]])
    why = (
        f"{chosen['model']} found {chosen['recall']:.0%} of {len(wrong)} values put wrong on purpose in held-out rows, "
        f"with {chosen['precision']:.0%} of its flags right: F1 {chosen['f1']:.2f}, the best is {best:.2f}; within "
        f"{_TIE} the simplest is taken."
    )
    return chosen["model"], table.reset_index(drop=True), why


def _with_faults(detector, frame, seed):
    """Rows to fit on, rows to judge with faults in them, and which values are wrong."""
    settings, random = detector.settings, np.random.default_rng(seed)
    time, series = settings["time"], settings["series"]
    times = pd.DatetimeIndex(frame.index if time is None else pd.to_datetime(frame[time]))
    unique = np.sort(times.unique())
    is_late = np.asarray(times >= unique[int((1 - _HELD_OUT) * len(unique))])
    early, late = frame[~is_late], frame[is_late].copy()
    keys = [key for key in (time, series) if key is not None]
    known = settings["known_future"] or []
    targets = settings["targets"] or [c for c in frame.columns if c not in keys and c not in known]
    apart = 2 * settings["context_length"] + max(_LENGTHS)
    names = np.zeros(len(late)) if series is None else late[series].to_numpy()
    learnt = np.zeros(len(early)) if series is None else early[series].to_numpy()
    wrong = set()
    for name in pd.unique(names):
        mine = np.flatnonzero(names == name)
        mine = mine[np.argsort(times[is_late].asi8[mine], kind="stable")]
        place, turn = int(random.integers(1, apart)), 0
        while place + max(_LENGTHS) <= len(mine):
            target = targets[turn % len(targets)]
            rows = mine[place : place + _LENGTHS[turn // len(targets) % len(_LENGTHS)]]
            change = early[target][learnt == name].std() * random.choice([-1, 1])
            column = late.columns.get_loc(target)
            late[target] = late[target].astype(np.float64)
            # A count stays one: nothing is sold less than not at all.
            least = min(0.0, float(early[target].min()))
            late.iloc[rows, column] = np.maximum(late.iloc[rows, column] + change, least)
            who = "" if series is None else name
            wrong |= {(who, times[is_late][row], str(target)) for row in rows}
            place, turn = place + int(random.integers(apart, 2 * apart)), turn + 1
    return early, late, wrong


def _quiet(fitted, late):
    import warnings

    with warnings.catch_warnings():
        # Faults put there on purpose are many.
        warnings.filterwarnings("ignore", ".*rows of .* were flagged")
        return fitted.detect(late)


def _f1(found, wrong):
    flagged = found[found["flag"]]
    hits = sum(
        key in wrong for key in zip(flagged["series"], flagged["time"], flagged["target"], strict=True)
    )
    precision = hits / len(flagged) if len(flagged) else 0.0
    recall = hits / len(wrong) if wrong else 0.0
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return f1, precision, recall
