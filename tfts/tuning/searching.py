"""`search`: trial after trial, each written down before the next begins."""

import contextlib
import json
import logging
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from keras_tuner.engine import base_tuner
from keras_tuner.src.distribute import utils as dist_utils
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tfts._files import write_json
from tfts._messages import unknown
from tfts.forecaster import Forecaster
from tfts.models import SPACES
from tfts.training import Diverged, TrainingOptions
from tfts.tuning.oracles import ORACLES, own_values, trial_folder
from tfts.tuning.records import (
    best_record,
    curves_table,
    read_record,
    read_records,
    results_table,
    write_record,
    write_results,
)
from tfts.tuning.space import Space
from tfts.tuning.trials import PENALTY, make_trials
from tfts.tuning.workers import START_SECONDS, connect, serve

# Trials that end before any is pruned, and the share of the epochs that each is given.
_UNPRUNED = 5
_WARM_UP = 0.25


def search(
    model,
    data,
    *,
    context_length=None,
    horizon=None,
    space="default",
    tuner="bayesian",
    max_trials=20,
    objective="val_rmse",
    budget_seconds=None,
    rolling_origins=1,
    executions_per_trial=1,
    pruning=True,
    seed=0,
    directory=None,
    overwrite=False,
    validation=0.15,
    training=None,
    tensorboard=None,
    verbose="auto",
    console=None,
    **options,
):
    """Looks for the settings with the smallest error on validation rows.

    Trial 0 has the defaults, so that the search can't end worse than not searching. No
    point is tried twice. Everything is written to `directory`: the same call goes on where
    an earlier one was stopped, and loses at most the trial that was running.

    Args:
        model: Name of `MODELS`, or a builder with the arguments of those.
        data: DataFrame in original units; `Panel`; parts of `chronological_split`, whose
            test rows are not looked at; or a pair of `tf.data.Dataset` of windows.
        context_length: Rows the model sees; where the space names it, that of trial 0.
        horizon: Rows it forecasts.
        space: `"default"`, the space that comes with the builder; or one as for `Space`.
        tuner: `"bayesian"`, `"hyperband"`, `"random"` or `"grid"`. Hyperband fits each of
            its trials from new weights, with the epochs of its round.
        max_trials: Most trials.
        objective: `"val_rmse"` or `"val_mae"`: the error of one target in its own units; of
            several in units of their standard deviations in the training rows, over all
            targets. Windows that are made already are scored in their own units.
        budget_seconds: Seconds after which no trial begins and the running one stops,
            counted over resumed calls. Trial 0 always ends.
        rolling_origins: Into how many parts the validation rows are cut; each is scored by a
            network fitted on all rows before it, and the scores are averaged.
        executions_per_trial: Seeds that a score is averaged over.
        pruning: Whether a trial stops when its first network is worse than the median of the
            earlier ones after the same epoch.
        seed: Of the proposals and of the first weights.
        directory: Folder of the search. `None` takes a temporary one.
        overwrite: Whether a search with other settings in `directory` may be replaced.
        validation: Share or first time of the validation rows, where `data` is no split.
        training: Dict of options of `Forecaster.fit`.
        tensorboard: Folder for TensorBoard logs, or `None`.
        verbose: 0 prints nothing.
        console: `rich.console.Console` for progress; by default a new one.
        **options: Options of `Forecaster`: targets, known_future, calendar, time, series,
            freq, missing, scaler, stride, model_options and so on.

    Returns:
        A `Search`.

    Raises:
        ValueError: If a name or value is wrong, `directory` holds another search, or the
            first two trials fail the same way.

    Example:

    >>> import pandas as pd
    >>> days = pd.date_range("2024-01-01", periods=80, freq="D")
    >>> frame = pd.DataFrame({"sales": np.arange(80.0) % 7}, index=days)
    >>> found = search("linear", frame, context_length=7, horizon=1, max_trials=2, verbose=0,
    ...                space={"learning_rate": {"min": 0.001, "max": 0.1, "log": True}},
    ...                training={"epochs": 1})
    >>> found.results()["learning_rate"].tolist()[0], len(found.results())
    (0.003, 2)
    """
    training = dict(training or {})
    options = {**options}
    if not _is_windows(data):
        if context_length is None or horizon is None:
            raise ValueError(
                "`context_length` and `horizon` are needed to make windows of a table. Received: "
                f"{context_length=}, {horizon=}."
            )
        options |= {"context_length": context_length, "horizon": horizon}
    if tuner not in ORACLES:
        raise ValueError(unknown("tuner", tuner, ORACLES))
    for name, value in (("max_trials", max_trials), ("executions_per_trial", executions_per_trial)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"`{name}` must be an int >= 1. Received: {name}={value!r}.")
    if budget_seconds is not None and not budget_seconds > 0:
        raise ValueError(f"`budget_seconds` must be above 0, or None. Received: {budget_seconds=}.")
    trials = make_trials(model, data, training, objective, validation, rolling_origins, options)
    looked = make_space(space, model, trials)
    trials.check({})
    checked = set()
    for settings in looked.representatives():
        key = looked.key(settings)
        if key not in checked:
            checked.add(key)
            trials.check(settings)
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
        _join(directory, described)
    else:
        _claim(directory, described, overwrite)
    # KerasTuner's own early end of Hyperband is not needed: the median is that of equal epochs.
    extra = {"max_epochs": _epochs(trials, {})} if tuner == "hyperband" else {}
    oracle = ORACLES[tuner](looked, objective, max_trials, seed, budget_seconds, **extra)
    made = _Tuner(
        oracle,
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
    found.complete, found.note = made.complete, made.note
    return found


def make_space(space, model, trials):
    """The `Space` of a search, `"default"` or the user's.

    Raises:
        ValueError: If the model has no default space.

    Example:

    >>> from tfts.tuning.trials import WindowTrials
    >>> import tensorflow as tf
    >>> windows = tf.data.Dataset.from_tensors((tf.ones((3, 7, 1)), tf.ones((3, 2, 1))))
    >>> trials = WindowTrials("linear", (windows, windows), {})
    >>> make_space({"shared": {"values": [True, False]}}, "linear", trials).names
    ('shared',)
    """
    if isinstance(space, str):
        if space != "default":
            raise ValueError(unknown("space", space, ("default",)) + " Or a dict, or a function of hp.")
        if not isinstance(model, str):
            raise ValueError(
                "A builder of your own has no default space. Give `space`, a dict from names of settings to ranges."
            )
        space = dict(SPACES[model])
        if not hasattr(trials, "options"):
            # Batches of windows that are made already have their size.
            space.pop("batch_size", None)
    return Space(space, trials.builder, trials.given)


class Search:
    """What a search has found, read from its folder.

    Args:
        directory: Folder of the search.
        described: What `search.json` says.
        trials: What fits its networks; `None` when it was loaded.
        seed: Of the networks.

    Attributes:
        directory: Path of the folder.
        objective: `"val_rmse"` or `"val_mae"`.
        space: Dict of the names of the settings, their ranges and defaults.
        default_trial: 0, the number of the trial with the defaults.
        complete: Whether nothing was left to do when the search ended; `None` when loaded.
        note: Sentence on why the search ended before `max_trials`, or `None`.

    Example:

    >>> Search.load("nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: nowhere holds no search: search.json is not there...
    """

    default_trial = 0
    complete = note = None

    def __init__(self, directory, described, trials=None, seed=0):
        self.directory = Path(directory)
        self.objective = described["objective"]
        self.space = described["space"]
        self._trials = trials
        self._seed = seed

    @classmethod
    def load(cls, directory):
        """A finished or interrupted search.

        Raises:
            FileNotFoundError: If the folder holds no search.
        """
        path = Path(directory) / "search.json"
        if not path.is_file():
            raise FileNotFoundError(
                f"{directory} holds no search: {path.name} is not there. Give the `directory` of a search."
            )
        described = json.loads(path.read_text())
        return cls(directory, described, seed=described["seed"])

    def results(self):
        """All trials that have ended.

        Returns:
            DataFrame with the columns trial, status (finished, pruned, diverged, failed),
            score, epochs (to the best weights), seconds, reason, and one for each setting;
            a searched `epochs` is in `max_epochs`.
        """
        return results_table(read_records(self.directory), self.space["names"])

    def curves(self):
        """The objective after every epoch: DataFrame of trial, execution, part, epoch, value."""
        return curves_table(read_records(self.directory))

    @property
    def best_trial(self):
        """Number of the best trial that was finished."""
        return self._best()["trial"]

    @property
    def best_settings(self):
        """Settings of the best trial, a dict."""
        return self._best()["settings"]

    @property
    def default_settings(self):
        """Settings of trial 0, a dict: the defaults."""
        return read_record(self.directory, self.default_trial)["settings"]

    @property
    def seconds(self):
        """Seconds that the search took, earlier runs of it included."""
        return json.loads((self.directory / "oracle.json").read_text())["seconds"]

    @property
    def best_epochs(self):
        """Epochs that the best trial took to its best weights; the mean of several fits."""
        return self._best()["epochs"]

    @property
    def best_score(self):
        """The objective of the best trial."""
        return self._best()["score"]

    def best_forecaster(self, refit=True):
        """The best network.

        Args:
            refit: Whether it is fitted anew on training and validation rows together, for
                the number of epochs that was best; `False` gives it as the search left it,
                fitted on training rows alone.

        Returns:
            A fitted `Forecaster`; a `keras.Model` where the search was given windows.

        Raises:
            ValueError: If no trial was finished, or a loaded search is to be refitted.
        """
        best = self._best()
        if not refit:
            folder = trial_folder(self.directory, best["trial"]) / "model"
            if (folder / "forecaster.json").is_file():
                return Forecaster.load(folder)
            return keras.models.load_model(folder / "model.keras")
        if self._trials is None:
            raise ValueError(
                "A search that was loaded has no data to refit on. Make the same call of search again: its trials are "
                "not repeated; or give refit=False."
            )
        return self._trials.refit(best["settings"], best["epochs"], self._seed)

    def _best(self):
        best = best_record(read_records(self.directory))
        if best is None:
            raise ValueError(f"No trial in {self.directory} has finished yet.")
        return best


class _Tuner(base_tuner.BaseTuner):
    """Runs the trials of an oracle, here or for a chief elsewhere."""

    def __init__(self, oracle, trials, space, *, directory, executions, pruning, seed, tensorboard, console):
        self.trials, self.space = trials, space
        self.folder = Path(directory)
        self.executions, self.pruning, self.seed = executions, pruning, seed
        self.tensorboard, self.console = tensorboard, console
        # The oracle of this process; behind a network it is another's.
        self.own = oracle
        super().__init__(oracle, directory=str(self.folder.parent), project_name=self.folder.name)
        if self._is_worker():
            oracle.follow()
        else:
            # Its files belong to the process with the oracle.
            oracle.on_change = lambda: write_results(self.folder, space.names)
            oracle.reload()
            oracle.on_change()
        self._failure = None
        self.complete, self.note = True, None
        self.busy = 1

    def save(self):
        """The oracle has saved itself: there is nothing else to go on from."""

    def search(self):
        with (
            _quiet_tensorflow(),
            Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[note]}"),
                TimeElapsedColumn(),
                console=self.console,
                transient=True,
                disable=not self.console.is_terminal,
            ) as self.progress,
        ):
            self.bar = self.progress.add_task("search", total=self.own.max_trials, note="")
            try:
                if dist_utils.is_chief_oracle():
                    self._serve()
                elif self._is_worker():
                    with connect(self.own) as self.oracle:
                        self._work()
                else:
                    self._work()
            except KeyboardInterrupt:
                self.complete = False
                self.note = "Stopped. The same call goes on; the best so far is kept."
        if self.note is None and self.own.exhausted:
            self.note = (
                f"The space is exhausted: all of its points were tried ({len(self.own.trials)} trials)."
            )
        elif self.note is None and self.own.seconds_left() <= 0:
            self.note = f"The budget of {self.own.budget_seconds:g} s is spent."
        if self.note is not None:
            self.console.print(self.note, markup=False, highlight=False)

    def _serve(self):
        """Lets workers train, and tells what they have done."""
        known = {record["trial"] for record in read_records(self.folder)}

        def tell():
            write_results(self.folder, self.space.names)
            # Who has ended a trial just now gets another.
            self.busy = len(self.own.ongoing_trials) + 1
            for record in read_records(self.folder):
                if record["trial"] not in known:
                    known.add(record["trial"])
                    self._tell(record)
            self.progress.update(
                self.bar,
                description=f"{len(known)} of {self.own.max_trials} trials done",
                completed=len(known),
                note=self._outlook(),
            )

        self.own.on_change = tell
        why = serve(self.own)
        if why is not None:
            self.complete, self.note = False, why

    def _work(self):
        while (trial := self.oracle.create_trial(self.tuner_id)).status != "STOPPED":
            if trial.status == "IDLE":
                # The next trial depends on those that others are running.
                time.sleep(0.2)
                continue
            scores = self.run_trial(trial)
            if scores is not None:
                self.oracle.update_trial(trial.trial_id, scores)
            # Not before: a kill would leave a file of a trial that has ended without a score.
            trial.status = "FAILED" if scores is None else "COMPLETED"
            self.oracle.end_trial(trial)

    def run_trial(self, trial):
        """Runs a trial, unless its record says that it has ended.

        Returns:
            Dict with the objective as the oracle is to see it; `None` of a failed trial.
        """
        number = int(trial.trial_id)
        record = read_record(self.folder, number)
        if record is None:
            record = self._run(number, trial)
            write_record(self.folder, record)
            self._forget_worse()
            self._tell(record)
        if record["status"] == "failed":
            self._stop_where_all_fail()
            return None
        score = record["score"]
        if record["status"] == "pruned":
            ended = [r["score"] for r in read_records(self.folder) if r["status"] == "finished"]
            score = max([score, *([statistics.median(ended)] if ended else [])])
        return {self.own.objective.name: score}

    def _run(self, number, trial):
        values = own_values(trial.hyperparameters.values)
        settings = dict(self.space.defaults) if number == 0 else self.space.settings(values)
        epochs = trial.hyperparameters.values.get("tuner/epochs") if number else None
        record = {
            "trial": number,
            "status": "finished",
            "score": None,
            "epochs": 0,
            "seconds": 0.0,
            "reason": self._first_reason() if number == 0 else "",
            "settings": settings,
            "fits": [],
        }
        self._announce(number, settings)
        began = time.monotonic()
        keep = None
        try:
            for execution in range(self.executions):
                for part in range(self.trials.num_parts):
                    watch = _Watch(
                        self,
                        number,
                        first=not record["fits"],
                        epochs=epochs or _epochs(self.trials, settings),
                    )
                    callbacks = [watch, *self._logs(number, execution, part, settings)]
                    fit = self.trials.fit(settings, part, self.seed + execution, callbacks, epochs)
                    record["fits"].append(
                        {
                            "execution": execution,
                            "part": part,
                            "score": fit.score,
                            "epochs": fit.epochs,
                            "curve": fit.curve,
                        }
                    )
                    if execution == 0:
                        keep = fit.keep
                    if watch.reason:
                        record |= {"status": "pruned", "reason": watch.reason}
                        break
                if record["status"] == "pruned":
                    break
        except Diverged as error:
            record |= {"status": "diverged", "reason": str(error), "score": PENALTY}
        except Exception as error:
            # Whatever it is, the other trials go on.
            self._failure = error
            record |= {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
        if record["status"] in ("finished", "pruned"):
            record["score"] = float(np.mean([fit["score"] for fit in record["fits"]]))
            record["epochs"] = round(np.mean([fit["epochs"] for fit in record["fits"]]))
        best = best_record(read_records(self.folder))
        if record["status"] == "finished" and (best is None or record["score"] < best["score"]):
            keep(trial_folder(self.folder, number) / "model")
        record["seconds"] = round(time.monotonic() - began, 3)
        return record

    def _first_reason(self):
        if not self.space.outside:
            return "the defaults"
        outside = ", ".join(f"{name}={self.space.defaults[name]}" for name in self.space.outside)
        return f"the defaults; outside of the space: {outside}"

    def _forget_worse(self):
        records = read_records(self.folder)
        best = best_record(records)
        for record in records:
            if best is not None and record["trial"] != best["trial"]:
                shutil.rmtree(trial_folder(self.folder, record["trial"]) / "model", ignore_errors=True)

    def _stop_where_all_fail(self):
        first = [read_record(self.folder, number) for number in (0, 1)]
        if (
            any(r is None or r["status"] != "failed" for r in first)
            or first[0]["reason"] != first[1]["reason"]
        ):
            return
        if not self._is_worker():
            # Nothing is worth keeping: when the mistake is mended the search begins anew.
            for path in self.folder.glob("trial_*"):
                shutil.rmtree(path)
            (self.folder / "oracle.json").unlink(missing_ok=True)
        raise ValueError(
            f"The first two trials failed in the same way: {first[0]['reason']}"
        ) from self._failure

    def _logs(self, number, execution, part, settings):
        if self.tensorboard is None:
            return []
        from tensorboard.plugins.hparams import api

        folder = str(Path(self.tensorboard) / f"trial_{number:04d}" / f"{execution}_{part}")
        shown = {
            name: value if isinstance(value, int | float | str) else str(value)
            for name, value in settings.items()
        }
        return [keras.callbacks.TensorBoard(folder), api.KerasCallback(folder, shown, trial_id=str(number))]

    def _announce(self, number, settings):
        words = ", ".join(f"{name}={value}" for name, value in settings.items())
        self.progress.update(
            self.bar,
            description=f"trial {number + 1} of {self.own.max_trials}: {words}".replace("[", r"\["),
            completed=number,
            note=self._outlook(),
        )

    def _outlook(self):
        records = read_records(self.folder)
        best = best_record(records)
        words = [] if best is None else [f"best so far {best['score']:.4g}"]
        if records:
            left = statistics.mean(r["seconds"] for r in records) * (self.own.max_trials - len(records))
            left /= self.busy
            words.append(f"about {_duration(min(left, max(self.own.seconds_left(), 0)))} left")
        return ", ".join(words)

    def _tell(self, record):
        words = ", ".join(f"{name}={value}" for name, value in record["settings"].items())
        end = f"{record['score']:.4g}" if record["status"] in ("finished", "pruned") else record["reason"]
        self.console.print(
            f"trial {record['trial'] + 1} of {self.own.max_trials} {record['status']}: {end} ({words}; "
            f"{record['seconds']:.1f} s). {self._outlook()}",
            markup=False,
            highlight=False,
        )


class _Watch(keras.callbacks.Callback):
    """Stops a training that is worse than the median of the earlier ones, or out of time."""

    def __init__(self, tuner, number, first, epochs):
        super().__init__()
        self.tuner, self.number, self.first = tuner, number, first
        self.spared = max(1, int(epochs * _WARM_UP))
        self.epochs = epochs
        self.best, self.reason, self.earlier = np.inf, "", None

    def on_epoch_end(self, epoch, logs=None):
        name = self.tuner.own.objective.name
        self.best = min(self.best, float((logs or {}).get(name, np.inf)))
        if epoch + 1 >= self.epochs:
            return
        if self.number and self.tuner.own.seconds_left() <= 0:
            self.reason = f"the budget of {self.tuner.own.budget_seconds:g} s was spent in epoch {epoch + 1}"
        elif self.tuner.pruning and self.first and epoch + 1 > self.spared:
            if self.earlier is None:
                records = read_records(self.tuner.folder)
                self.earlier = [r["fits"][0]["curve"] for r in records if r["fits"]]
            reached = [min(curve[: epoch + 1]) for curve in self.earlier if len(curve) > epoch]
            if len(reached) >= _UNPRUNED and self.best > statistics.median(reached):
                self.reason = f"worse than the median after epoch {epoch + 1}"
        if self.reason:
            self.model.stop_training = True


@contextlib.contextmanager
def _quiet_tensorflow():
    """Keeps back the advice not to build a network in a loop, which a search is."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _epochs(trials, settings):
    return settings.get("epochs", trials.training.get("epochs", TrainingOptions().epochs))


def _claim(directory, described, overwrite):
    """Takes the folder for a search, or finds the same again."""
    path = directory / "search.json"
    described = json.loads(json.dumps(described))
    if path.is_file():
        old = json.loads(path.read_text())
        changed = sorted(key for key in described.keys() | old.keys() if described.get(key) != old.get(key))
        if not changed:
            return
        if not overwrite:
            raise ValueError(
                f"{directory} holds a search with other settings (changed: {', '.join(changed)}). Choose another "
                "directory, or give overwrite=True to replace it."
            )
        path.unlink()
        for old_file in (*directory.glob("trial_*"), directory / "oracle.json", directory / "results.csv"):
            shutil.rmtree(old_file) if old_file.is_dir() else old_file.unlink(missing_ok=True)
    elif directory.is_dir() and any(directory.iterdir()):
        raise ValueError(f"{directory} is not empty and holds no search. Choose another directory.")
    directory.mkdir(parents=True, exist_ok=True)
    write_json(described, path)


def _join(directory, described):
    """Waits for the folder of the chief, and refuses to work on another search."""
    path, deadline = directory / "search.json", time.monotonic() + START_SECONDS
    while not path.is_file():
        if time.monotonic() > deadline:
            raise ValueError(
                f"The chief has begun no search in {directory} for {START_SECONDS:g} seconds. Start it with the same "
                "settings, and a folder that both see."
            )
        time.sleep(0.2)
    _claim(directory, described, overwrite=False)


def _is_windows(data):
    return isinstance(data, tuple | list) and any(hasattr(part, "element_spec") for part in data)


def _duration(seconds):
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
