"""KerasTuner's oracles, with the defaults first, no point twice, and a state that survives a kill."""

import json
import shutil
import time
from pathlib import Path

import keras_tuner
import numpy as np
from keras_tuner import oracles

from tfts._files import write_json
from tfts.tuning.proposals import bayesian_point, new_point, random_point, spread_point

# Trials beside the first that cover the space evenly before a Gaussian process is asked: with
# more of them, its best comes later.
_FIRST = 3
# A search never ends because of trials that fail: it says so in its results.
_NO_LIMIT = 10**9


class _Searching:
    """What all oracles of a search share; stands before an oracle of KerasTuner.

    The state is written to files that appear complete or not at all: one for each
    trial, and `oracle.json`. What stands in one and not yet in the other after a kill is
    put right by `reload`. A proposal depends on the seed, its number and the trials
    before it, so that a search which was stopped goes on as if it had not been.
    """

    def __init__(self, space, objective, max_trials, seed, budget_seconds=None, **options):
        super().__init__(
            objective=keras_tuner.Objective(objective, "min"),
            seed=seed + 1,
            hyperparameters=space.hyperparameters,
            allow_new_entries=False,
            tune_new_entries=False,
            max_consecutive_failed_trials=_NO_LIMIT,
            **options,
        )
        self.max_trials = max_trials
        self.search_space = space
        self.search_seed = seed
        self.budget_seconds = budget_seconds
        self.exhausted = False
        self.on_change = lambda: None
        self._spent, self._since = 0.0, time.monotonic()
        self._display.verbose = 0

    @property
    def seconds(self):
        """Seconds that the search has taken, earlier runs of it included."""
        return self._spent + time.monotonic() - self._since

    def seconds_left(self):
        """Seconds of the budget that are left; infinite without one."""
        return np.inf if self.budget_seconds is None else self.budget_seconds - self.seconds

    def populate_space(self, trial_id):
        if int(trial_id) == 0:
            return {"status": "RUNNING", "values": self.search_space.start()}
        if self.seconds_left() <= 0:
            return {"status": "STOPPED", "values": None}
        proposal = self.propose(trial_id)
        if proposal["status"] == "STOPPED":
            self.exhausted = True
        return proposal

    def propose(self, trial_id):
        """The proposal of KerasTuner's oracle."""
        return super().populate_space(trial_id)

    def settings(self, trial):
        """The settings of a trial, a dict."""
        if int(trial.trial_id) == 0:
            return dict(self.search_space.defaults)
        return self.search_space.settings(own_values(trial.hyperparameters.values))

    def tried(self):
        """Keys of the settings of all trials, those that are running too."""
        return {self.search_space.key(self.settings(trial)) for trial in self.trials.values()}

    def _generator(self):
        return np.random.default_rng([self.search_seed, len(self.trials)])

    def _random_values(self):
        generator = self._generator()
        return new_point(
            self.search_space, lambda _: random_point(self.search_space, generator), self.tried()
        )

    def _record_values(self, trial):
        # KerasTuner would draw values for what trial 0 leaves at its default.
        self._tried_so_far.add(trial.trial_id)

    @keras_tuner.synchronized
    def end_trial(self, trial):
        # Over the network floats lose digits.
        trial.hyperparameters = self.trials[trial.trial_id].hyperparameters
        super().end_trial(trial)
        self.on_change()

    def get_state(self):
        return {**super().get_state(), "seconds": self.seconds}

    def set_state(self, state):
        super().set_state(state)
        self._spent, self._since = state["seconds"], time.monotonic()

    def save(self):
        write_json(self.get_state(), self._get_oracle_fname())

    def _save_trial(self, trial):
        write_json(trial.get_state(), Path(self._get_trial_dir(trial.trial_id)) / "trial.json")

    def _get_trial_dir(self, trial_id):
        folder = trial_folder(self._project_dir, trial_id)
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    def follow(self):
        """Takes the time that the search has spent from the oracle of another process."""
        path = Path(self._get_oracle_fname())
        if path.is_file():
            self._spent, self._since = json.loads(path.read_text())["seconds"], time.monotonic()

    def reload(self):
        """Goes on from the files of a search that was stopped, at whatever moment."""
        if not Path(self._get_oracle_fname()).is_file():
            for folder in Path(self._project_dir).glob("trial_*"):
                shutil.rmtree(folder)
            return
        super().reload()
        for trial_id in [name for name in self.trials if name not in self.start_order]:
            # Stopped between the two files that begin a trial: it has not begun.
            del self.trials[trial_id]
            shutil.rmtree(trial_folder(self._project_dir, trial_id))
        ended = [name for name in self._retry_queue if self.trials[name].status in ("COMPLETED", "FAILED")]
        for trial_id in ended:
            # Stopped between the two files that end a trial: it has ended.
            self._retry_queue.remove(trial_id)
            self.end_order.append(trial_id)
        for trial_id in self._retry_queue:
            trial = self.trials[trial_id]
            trial.metrics = type(trial.metrics)()


class _Random(_Searching, oracles.RandomSearchOracle):
    """Even draws."""


class _Hyperband(_Searching, oracles.HyperbandOracle):
    """Many settings with few epochs, the best of them with more.

    Source: Li et al., Hyperband, Journal of Machine Learning Research 18, 2018.
    """

    def __init__(self, *args, max_epochs, **options):
        super().__init__(*args, max_epochs=max_epochs, hyperband_iterations=None, **options)


class _Grid(_Searching, oracles.GridSearchOracle):
    """All points, one after the other."""

    def propose(self, trial_id):
        tried = self.tried()
        for point in self.search_space.grid():
            if self.search_space.key(self.search_space.settings(point)) not in tried:
                return {"status": "RUNNING", "values": point}
        return {"status": "STOPPED", "values": None}


class _Bayesian(_Searching, oracles.BayesianOptimizationOracle):
    """Points that fill the space evenly, then the largest expected improvement."""

    def propose(self, trial_id):
        number, space, tried = len(self.trials), self.search_space, self.tried()
        ended = [trial for trial in self.trials.values() if trial.status in ("COMPLETED", "FAILED")]
        if number <= _FIRST or len(ended) < _FIRST:
            step = 1000
            point = new_point(
                space,
                lambda attempt: spread_point(space, number - 1 + step * attempt, self.search_seed),
                tried,
            )
        else:
            scored = [trial.score for trial in ended if trial.score is not None]
            worst = max(scored, default=1.0)
            point = bayesian_point(
                space,
                [self._point(trial) for trial in ended],
                [worst if trial.score is None else trial.score for trial in ended],
                tried,
                [self.search_seed, number],
                [self._point(trial) for trial in self.trials.values() if trial.status == "RUNNING"],
            )
        return {"status": "STOPPED" if point is None else "RUNNING", "values": point}

    def _point(self, trial):
        return own_values(trial.hyperparameters.values)


ORACLES = {"bayesian": _Bayesian, "grid": _Grid, "hyperband": _Hyperband, "random": _Random}


def trial_folder(directory, trial_id):
    """The folder of a trial.

    Example:

    >>> trial_folder("search", "07").name
    'trial_0007'
    """
    return Path(directory) / f"trial_{int(trial_id):04d}"


def own_values(values):
    """Values of a trial without those that Hyperband adds.

    Example:

    >>> own_values({"units": 32, "tuner/epochs": 3})
    {'units': 32}
    """
    return {name: value for name, value in values.items() if not name.startswith("tuner/")}
