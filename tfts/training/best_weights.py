"""The state of a training: its best weights, its patience, and where it can go on."""

import json
import os
import time
import warnings
from pathlib import Path

import keras
import numpy as np

from tfts.errors import FolderError
from tfts.training.averaging import averages_of

_FILE = "training.npz"
_PARTIAL = f"partial-{_FILE}"


class BestWeights(keras.callbacks.Callback):
    """Keeps the best weights, stops early, and survives a kill.

    What `keras.callbacks.EarlyStopping` and `BackupAndRestore` do one by one, with one
    state: a run that is resumed still knows its best epoch and its patience.

    Args:
        patience: Int >= 1, epochs without a lower `monitor` after which training stops.
            `None` never stops early.
        monitor: The logged value to minimise. Where it is not logged, nothing is kept and
            the last weights stand.
        folder: Where the state is written after each epoch, or `None`.
        settings: JSON-able dict that describes the training. A state that was written
            under other settings is refused.
        rows: Plain data, a fingerprint of the rows that are learnt from. A state of other
            rows is not gone on with: the training starts anew, with a warning.

    Example:

    >>> best = BestWeights(patience=5)
    >>> best.best_epoch is None
    True
    """

    def __init__(self, patience=None, monitor="val_loss", folder=None, settings=None, rows=None):
        super().__init__()
        self.patience = patience
        self.monitor = monitor
        self.folder = None if folder is None else Path(folder)
        # As they come back from the file, where a tuple is a list.
        self.settings = None if settings is None else json.loads(json.dumps(settings, default=str))
        self.rows = rows
        self.history = {}
        self.best_epoch = None
        self.best_value = np.inf
        self.best_weights = None
        self.seconds = 0.0
        # The averages when the first epoch had ended, and after how many steps that was.
        self.first_averages = None, 0
        self._scored = None

    def restore(self, model):
        """Brings a compiled model to where the state in `folder` left it.

        Returns:
            The number of epochs that are done, 0 without a state.

        Raises:
            ValueError: If the state was written under other settings.
        """
        if self.folder is None or not (self.folder / _FILE).is_file():
            return 0
        with np.load(self.folder / _FILE) as saved:
            state = json.loads(str(saved["state"]))
            if state["settings"] != self.settings:
                old, new = state["settings"] or {}, self.settings or {}
                changed = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
                raise FolderError(
                    f"{self.folder} holds a training under other settings (changed: {', '.join(changed)}). "
                    "Give the same settings to go on with it, or another folder to start anew."
                )
            if state["rows"] != self.rows:
                warnings.warn(
                    f"{self.folder} holds a training on rows whose values were others, so it is begun anew.",
                    stacklevel=2,
                )
                return 0
            model.optimizer.build(model.trainable_variables)
            for variable, name in self._named_variables(model):
                variable.assign(saved[name])
            first, step = state["first_averages"]
            self.first_averages = [saved[f"average{i}"] for i in range(first)], step
            if state["best_epoch"] is not None:
                self.best_weights = [saved[f"best{i}"] for i in range(len(model.weights))]
        self.history = state["history"]
        self.best_epoch, self.best_value = state["best_epoch"], state["best_value"]
        self.seconds = state["seconds"]
        return state["epochs"]

    def forget(self):
        """Removes the state from `folder`, and the folder where nothing else is in it."""
        for name in (_FILE, _PARTIAL):
            (self.folder / name).unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    @property
    def stopped(self):
        """Whether the patience has run out."""
        if self.patience is None or self.best_epoch is None:
            return False
        return len(self.history["loss"]) - self.best_epoch >= self.patience

    def on_train_begin(self, logs=None):
        self._began = time.monotonic() - self.seconds

    def on_test_end(self, logs=None):
        # These are the weights that were scored: with `keras.callbacks.SwapEMAWeights` after
        # this callback they are the average, which is gone again when the epoch ends.
        self._scored = self.model.get_weights()

    def on_epoch_end(self, epoch, logs=None):
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        value = self.history.get(self.monitor, self.history["loss"])[-1]
        if self.monitor in self.history and value < self.best_value:
            self.best_epoch, self.best_value = epoch + 1, value
            # Without validation rows nothing was tested: `monitor` is one of the training's own.
            self.best_weights = self._scored or self.model.get_weights()
        self._scored = None
        if self.first_averages[0] is None:
            optimizer = self.model.optimizer
            self.first_averages = averages_of(optimizer), int(optimizer.iterations)
        self.seconds = time.monotonic() - self._began
        if self.stopped or not np.isfinite(value):
            self.model.stop_training = True
        if self.folder is not None:
            self._write(epoch + 1)

    @property
    def diverged(self):
        """Whether the last epoch's loss is no finite number."""
        last = [self.history[name][-1] for name in ("loss", self.monitor) if name in self.history]
        return not np.isfinite(last).all()

    def _write(self, epochs):
        state = {
            "settings": self.settings,
            "rows": self.rows,
            "epochs": epochs,
            "history": self.history,
            "best_epoch": self.best_epoch,
            "best_value": self.best_value,
            "seconds": self.seconds,
            "first_averages": [len(self.first_averages[0]), self.first_averages[1]],
        }
        arrays = {name: np.asarray(variable) for variable, name in self._named_variables(self.model)}
        arrays |= {f"average{i}": average for i, average in enumerate(self.first_averages[0])}
        if self.best_weights is not None:
            arrays |= {f"best{i}": weight for i, weight in enumerate(self.best_weights)}
        self.folder.mkdir(parents=True, exist_ok=True)
        # A kill while writing must leave the state of the epoch before.
        np.savez(self.folder / _PARTIAL, state=np.array(json.dumps(state)), **arrays)
        os.replace(self.folder / _PARTIAL, self.folder / _FILE)

    @staticmethod
    def _named_variables(model):
        # Not only weights: dropout goes on with the random numbers that come next.
        pairs = [(variable, f"variable{i}") for i, variable in enumerate(model.variables)]
        return pairs + [(v, f"optimizer{i}") for i, v in enumerate(model.optimizer.variables)]
