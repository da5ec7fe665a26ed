"""Runs the trials of a search one after the other, each written down before the next begins."""

import contextlib
import itertools
import logging
import shutil
import statistics
import time
from pathlib import Path

import keras
import numpy as np
from keras_tuner.engine import base_tuner
from keras_tuner.src.distribute import utils as dist_utils
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tfts.errors import FailedRunError
from tfts.training import Diverged, TrainingOptions
from tfts.tuning.fits import PENALTY
from tfts.tuning.oracles import own_values, trial_folder
from tfts.tuning.pruning import Watch
from tfts.tuning.records import best_record, read_record, read_records, write_record, write_results
from tfts.tuning.workers import connect, serve


class Tuner(base_tuner.BaseTuner):
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
        self.complete, self.interrupted, self.note = True, False, None
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
                self.complete, self.interrupted = False, True
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
        ended = [r["score"] for r in read_records(self.folder) if r["status"] == "finished"]
        if ended and record["status"] == "pruned":
            score = max(score, statistics.median(ended))
        elif ended and record["status"] == "diverged":
            # Errors of large values are above any number that is fixed.
            score = max(score, 10 * max(ended))
        return {self.own.objective.name: score}

    def _run(self, number, trial):
        """Fits a trial's networks and keeps the first of them if none before was better; gives the record."""
        values = own_values(trial.hyperparameters.values)
        settings = dict(self.space.defaults) if number == 0 else self.space.settings(values)
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
            keep = self._fit(record, trial.hyperparameters.values.get("tuner/epochs") if number else None)
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

    def _fit(self, record, epochs):
        """Fits the networks of a trial into its record until one is pruned; gives what keeps one of them."""
        settings, keep = record["settings"], None
        wanted = epochs or epochs_of(self.trials, settings)
        for execution, part in itertools.product(range(self.executions), range(self.trials.num_parts)):
            watch = Watch(self, record["trial"], first=not record["fits"], epochs=wanted)
            callbacks = [watch, *self._logs(record["trial"], execution, part, settings)]
            fit = self.trials.fit(settings, part, self.seed + execution, callbacks, epochs)
            own = {"score": fit.score, "epochs": fit.epochs, "curve": fit.curve}
            record["fits"].append({"execution": execution, "part": part, **own})
            if execution == 0:
                keep = fit.keep
            if watch.reason:
                record |= {"status": "pruned", "reason": watch.reason}
                break
        return keep

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
        raise FailedRunError(
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


def epochs_of(trials, settings):
    """The epochs of a fit: those of the settings, of the training or the default.

    Example:

    >>> from types import SimpleNamespace
    >>> epochs_of(SimpleNamespace(training={"epochs": 5}), {"epochs": 3})
    3
    """
    return settings.get("epochs", trials.training.get("epochs", TrainingOptions().epochs))


def _duration(seconds):
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
