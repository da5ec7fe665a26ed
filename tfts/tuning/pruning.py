"""The callback that ends a trial before its last epoch."""

import statistics

import keras
import numpy as np

from tfts.tuning.records import read_records

# Trials that end before any is pruned, and the share of the epochs that each is given.
_UNPRUNED = 5
_WARM_UP = 0.25


class Watch(keras.callbacks.Callback):
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
