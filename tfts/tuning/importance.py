"""Which settings the score of a search depended on."""

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance
from sklearn.model_selection import KFold

from tfts.errors import SettingError
from tfts.plots.tuning import setting_names

# With fewer trials a forest has nothing to learn from.
MIN_TRIALS = 10
_FOLDS = 5


def importance(results, *, num_trees=100, repeats=10, seed=0):
    """How much of the score of unseen trials a forest loses when one setting is shuffled.

    A random forest learns the rank of a trial from its settings (the rank, so that one
    hopeless trial does not decide). For each of five groups of trials, which the forest of
    the other four has not seen, one setting after the other is shuffled.

    It is a hint and no proof. Of few trials it is mostly noise; a setting that matters
    only together with another shares its importance with that one; a search looks where
    scores were good, so settings are not spread evenly; and importance within the ranges
    that were tried says nothing of values outside them. See `importance_notes`.

    Args:
        results: DataFrame as from `Search.results()`, at least 10 of its trials finished.
            Pruned and diverged trials are left out: their scores mean something else.
        num_trees: Trees of each forest.
        repeats: How often each setting is shuffled in each group.
        seed: Of the forests, the groups and the shuffling.

    Returns:
        DataFrame with the columns `setting`, `importance` (share of the variance of the
        ranks; 0 or below is noise), `spread` (standard deviation over the five groups) and
        `values` (how many different ones were tried), the most important first. Settings
        that never changed are left out. Its `attrs["explained"]` is the share of the
        variance of unseen trials that the forests explain.

    Raises:
        ValueError: If fewer than 10 trials are finished or no setting changed.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> units, rate = rng.choice([16, 32, 64], 40), rng.uniform(size=40)
    >>> table = pd.DataFrame({"trial": range(40), "status": "finished", "score": rate + 0.001 * units,
    ...                       "units": units, "rate": rate})
    >>> importance(table)["setting"].tolist()
    ['rate', 'units']

    Source: Breiman, Random forests, Machine Learning 45, 2001 (permutation importance);
    Hutter, Hoos and Leyton-Brown, ICML 2014 (forests over settings).
    """
    finished = results[results["status"] == "finished"]
    names = setting_names(finished, varied=True)
    if len(finished) < MIN_TRIALS:
        raise SettingError(
            f"The importance of settings needs at least {MIN_TRIALS} finished trials, because a forest learns it "
            f"from them. Received: {len(finished)}."
        )
    if not names:
        raise SettingError("All finished trials have the same settings, so none can be said to matter.")
    encoded = np.column_stack([_encoded(finished[name]) for name in names])
    ranks = finished["score"].rank().to_numpy()
    variance = ranks.var()
    if variance == 0:
        raise SettingError("All finished trials have the same score, so no setting can be said to matter.")
    losses, errors = [], np.zeros(len(ranks))
    for train, unseen in KFold(_FOLDS, shuffle=True, random_state=seed).split(encoded):
        forest = RandomForestRegressor(num_trees, min_samples_leaf=2, random_state=seed)
        forest.fit(encoded[train], ranks[train])
        errors[unseen] = (forest.predict(encoded[unseen]) - ranks[unseen]) ** 2
        shuffled = permutation_importance(
            forest,
            encoded[unseen],
            ranks[unseen],
            scoring="neg_mean_squared_error",
            n_repeats=repeats,
            random_state=seed,
        )
        losses.append(shuffled.importances_mean / variance)
    table = pd.DataFrame(
        {
            "setting": names,
            "importance": np.mean(losses, axis=0),
            "spread": np.std(losses, axis=0),
            "values": [finished[name].map(str).nunique() for name in names],
        }
    ).sort_values("importance", ascending=False, ignore_index=True, kind="stable")
    table.attrs["explained"] = float(1 - errors.mean() / variance)
    return table


def importance_notes(results, table):
    """What must be said beside the importance of settings, as sentences.

    Args:
        results: DataFrame as from `Search.results()`.
        table: DataFrame as from `importance(results)`.

    Returns:
        List of sentences.

    Example:

    >>> table = pd.DataFrame({"setting": ["units", "heads"], "importance": [0.4, 0.1]})
    >>> table.attrs["explained"] = 0.05
    >>> results = pd.DataFrame({"status": ["finished"] * 11})
    >>> for sentence in importance_notes(results, table)[:2]:
    ...     print(sentence)
    11 finished trials are few to tell 2 settings apart: the order may be chance.
    The forests explain 5 % of what unseen trials differ by, so their opinion of settings is worth little.
    """
    finished = int((results["status"] == "finished").sum())
    explained = table.attrs["explained"]
    notes = []
    if finished < 10 * len(table):
        notes.append(
            f"{finished} finished trials are few to tell {len(table)} settings apart: the order may be chance."
        )
    if explained < 0.3:
        notes.append(
            f"The forests explain {100 * max(explained, 0):.0f} % of what unseen trials differ by, so their opinion "
            "of settings is worth little."
        )
    else:
        notes.append(
            f"The forests explain {100 * explained:.0f} % of what unseen trials differ by; the rest is chance or "
            "settings working together in ways they did not learn."
        )
    notes.append(
        "A setting that matters only together with another shares its importance with it, and no more than the "
        "ranges that were tried is judged. It is association, not cause: the search itself chose where to look."
    )
    return notes


def _encoded(values):
    """A column of settings as numbers: words by their place in the alphabet, absent ones apart."""
    if all(
        isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)
        for value in values.dropna()
    ):
        # Forests split numbers that are missing to a side of their own.
        return values.to_numpy(dtype=np.float64)
    return pd.factorize(values.map(str), sort=True)[0].astype(np.float64)
