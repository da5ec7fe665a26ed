"""`search`: looks for settings, and goes on where it was stopped."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from keras_tuner.src.distribute import utils as dist_utils
from rich.console import Console

from tfts._messages import unknown
from tfts.errors import SettingError
from tfts.models import SPACES
from tfts.tuning.folder import claim, join
from tfts.tuning.found import Search
from tfts.tuning.oracles import ORACLES
from tfts.tuning.space import Space
from tfts.tuning.trials import VALIDATION, make_trials
from tfts.tuning.tuner import Tuner, epochs_of

if TYPE_CHECKING:
    import pandas as pd


def search(
    model: str | Callable[..., Any],
    data: Any,
    *,
    context_length: int | None = None,
    horizon: int | None = None,
    space: str | Mapping[str, Any] = "default",
    tuner: Literal["bayesian", "hyperband", "random", "grid"] = "bayesian",
    max_trials: int = 20,
    objective: Literal["val_rmse", "val_mae", "val_wql", "val_crps", "val_pinball"] = "val_rmse",
    budget_seconds: float | None = None,
    rolling_origins: int = 1,
    executions_per_trial: int = 1,
    pruning: bool = True,
    seed: int = 0,
    directory: str | Path | None = None,
    overwrite: bool = False,
    validation: float | str | pd.Timestamp = VALIDATION,
    training: Mapping[str, Any] | None = None,
    tensorboard: str | Path | None = None,
    verbose: int | Literal["auto"] = "auto",
    console: Console | None = None,
    **options: Any,
) -> Search:
    """Looks for the settings with the smallest error on validation rows.

    Trial 0 has the defaults, so that the search can't end worse than not searching. No
    point is tried twice. Everything is written to `directory`: the same call goes on where
    an earlier one was stopped, and loses at most the trial that was running.

    Args:
        model: Name of `MODELS`, or a builder with the arguments of those.
        data: DataFrame in original units; `Panel`; parts of `chronological_split`, whose
            test rows are not looked at; or a pair of `tf.data.Dataset` of windows, which give
            the same windows each time that they are read, in any order.
        context_length: Rows the model sees; where the space names it, that of trial 0.
        horizon: Rows it forecasts.
        space: `"default"`, the space that comes with the builder; or one as for `Space`.
        tuner: `"bayesian"`, `"hyperband"`, `"random"` or `"grid"`. Hyperband fits each of
            its trials from new weights, with the epochs of its round.
        max_trials: Most trials.
        objective: `"val_wql"`, `"val_crps"` or `"val_pinball"` of an `output` that describes a
            distribution; `"val_rmse"` or `"val_mae"`: the error of one target in its own units; of
            several in units of their standard deviations in the training rows, over all
            targets. All trials are scored on the same windows, those with the longest of the
            contexts before them. Windows that are made already are scored in their own units.
        budget_seconds: Seconds after which no trial begins and the running one stops,
            counted over resumed calls. Trial 0 always ends.
        rolling_origins: Into how many parts the validation rows are cut; each is scored by a
            network fitted on all rows before it, and the scores are averaged.
        executions_per_trial: Seeds that a score is averaged over.
        pruning: Whether a trial stops when its first network is worse than the median of the
            earlier ones after the same epoch.
        seed: Of the proposals and of the first weights.
        directory: Folder of the search. `None` takes a temporary one.
        overwrite: Whether a search with other settings, or on rows of other values, may be
            replaced in `directory`.
        validation: Share or first time of the validation rows, where `data` is no split.
        training: Dict of options of `Forecaster.fit`, but for `seed` and `folder`. What holds
            a state, such as a callback, is copied for each network.
        tensorboard: Folder for TensorBoard logs, or `None`.
        verbose: 0 prints nothing.
        console: `rich.console.Console` for progress; by default a new one.
        **options: Options of `Forecaster`: targets, known_future, calendar, time, series,
            freq, missing, scaler, stride, output, model_options and so on; of windows that are made
            already, `output` and `model_options`.

    Returns:
        A `Search`.

    Raises:
        ValueError: If a name or value is wrong, `directory` holds another search, or the
            first two trials fail the same way.

    Example:

    >>> import numpy as np, pandas as pd
    >>> days = pd.date_range("2024-01-01", periods=80, freq="D")
    >>> frame = pd.DataFrame({"sales": np.arange(80.0) % 7}, index=days)
    >>> found = search("linear", frame, context_length=7, horizon=1, max_trials=2, verbose=0,
    ...                space={"learning_rate": {"min": 0.001, "max": 0.1, "log": True}},
    ...                training={"epochs": 1})
    >>> found.results()["learning_rate"].tolist()[0], len(found.results())
    (0.003, 2)
    """
    options = {**options}
    sizes = {"context_length": context_length, "horizon": horizon}
    if not _is_windows(data) and None in sizes.values():
        raise SettingError(
            "`context_length` and `horizon` are needed to make windows of a table. Received: "
            f"{context_length=}, {horizon=}."
        )
    options |= {name: value for name, value in sizes.items() if value is not None}
    _check_limits(tuner, max_trials, executions_per_trial, budget_seconds)
    training = dict(training or {})
    trials = make_trials(model, data, training, objective, validation, rolling_origins, options)
    looked = make_space(space, model, trials)
    _check_settings(trials, looked)
    directory = Path(tempfile.mkdtemp(prefix="search-") if directory is None else directory)
    described = {
        "objective": objective,
        "space": looked.describe(),
        "tuner": tuner,
        "seed": seed,
        "executions_per_trial": executions_per_trial,
        "pruning": pruning,
        "trials": trials.describe(),
    }
    if dist_utils.has_chief_oracle() and not dist_utils.is_chief_oracle():
        join(directory, described)
    else:
        claim(directory, described, overwrite)
    # KerasTuner's own early end of Hyperband is not needed: the median is that of equal epochs.
    extra = {"max_epochs": epochs_of(trials, {})} if tuner == "hyperband" else {}
    made = Tuner(
        ORACLES[tuner](looked, objective, max_trials, seed, budget_seconds, **extra),
        trials,
        looked,
        directory=directory,
        executions=executions_per_trial,
        pruning=pruning and tuner != "hyperband",
        seed=seed,
        tensorboard=tensorboard,
        console=console or Console(quiet=verbose == 0),
    )
    made.search()
    found = Search(directory, described, trials, seed)
    found.complete, found.interrupted, found.note = made.complete, made.interrupted, made.note
    return found


def _check_limits(tuner, max_trials, executions_per_trial, budget_seconds):
    if tuner not in ORACLES:
        raise SettingError(unknown("tuner", tuner, ORACLES))
    for name, value in (("max_trials", max_trials), ("executions_per_trial", executions_per_trial)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise SettingError(f"`{name}` must be an int >= 1. Received: {name}={value!r}.")
    if budget_seconds is not None and not budget_seconds > 0:
        raise SettingError(f"`budget_seconds` must be above 0, or None. Received: {budget_seconds=}.")


def _check_settings(trials, space):
    """Refuses a space with a value that can't be fitted."""
    every = {space.key(settings): settings for settings in [space.defaults, *space.representatives()]}
    trials.compare(list(every.values()))
    for settings in [{}, *every.values()]:
        trials.check(settings)


def make_space(space, model, trials):
    """The `Space` of a search, `"default"` or the user's.

    Raises:
        ValueError: If the model has no default space.

    Example:

    >>> from tfts.tuning.window_trials import WindowTrials
    >>> import tensorflow as tf
    >>> windows = tf.data.Dataset.from_tensors((tf.ones((3, 7, 1)), tf.ones((3, 2, 1))))
    >>> trials = WindowTrials("linear", (windows, windows), {})
    >>> make_space({"shared": {"values": [True, False]}}, "linear", trials).names
    ('shared',)
    """
    if isinstance(space, str):
        if space != "default":
            raise SettingError(unknown("space", space, ("default",)) + " Or a dict, or a function of hp.")
        if not isinstance(model, str):
            raise SettingError(
                "A builder of your own has no default space. Give `space`, a dict from names of settings to ranges."
            )
        space = dict(SPACES[model])
        for name in trials.fixed:
            space.pop(name, None)
    return Space(space, trials.builder, trials.given)


def _is_windows(data):
    return isinstance(data, tuple | list) and any(hasattr(part, "element_spec") for part in data)
