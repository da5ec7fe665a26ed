"""A search whose trials cost nothing: their error is a formula of the settings."""

import math
import os
import random
import signal
import sys
import time
from pathlib import Path

from tfts.models import linear
from tfts.training import Diverged
from tfts.tuning import searching
from tfts.tuning.fits import Fit

SPACE = {
    "learning_rate": {"min": 1e-4, "max": 1.0, "log": True},
    "batch_size": {"values": [16, 32, 64]},
    "window_norm": {"values": ["none", "last", "instance"]},
}


def planted(settings):
    """1 at learning_rate 0.01, batch_size 32 and window_norm last; more elsewhere."""
    error = 1 + abs(math.log10(settings.get("learning_rate", 0.01)) + 2)
    error += 0.3 * abs(math.log2(settings["batch_size"] / 32))
    return error + {"none": 1.0, "last": 0.0, "instance": 0.5}[settings.get("window_norm", "last")]


class CheapTrials:
    """Stands in for `TableTrials`: the curve falls to `error(settings)` over the epochs."""

    num_parts = 1
    fixed = ()
    builder = staticmethod(linear)

    def __init__(self, error=planted, epochs=4, parts=1, seconds=0.0):
        self.error, self.num_parts, self.seconds = error, parts, seconds
        self.training = self.given = {"epochs": epochs}
        self.fitted = []

    def compare(self, settings):
        pass

    def check(self, settings):
        pass

    def describe(self):
        return {"model": "cheap", "training": dict(self.training)}

    def fit(self, settings, part, seed, callbacks=(), epochs=None):
        self.fitted.append((settings, part, seed, epochs))
        score = self.error(settings)
        if score is None:
            raise Diverged("Training diverged: the loss is not finite from epoch 1 on.")
        curve = []
        for epoch in range(epochs or self.training["epochs"]):
            time.sleep(self.seconds)
            curve.append(score + 1.0 / 2**epoch)
            model = type("Model", (), {"stop_training": False})
            for callback in callbacks:
                callback.set_model(model)
                callback.on_epoch_end(epoch, {"val_rmse": curve[-1]})
            if model.stop_training:
                break
        return Fit(
            min(curve), len(curve), 0.0, curve, keep=lambda folder: folder.mkdir(parents=True, exist_ok=True)
        )


def cheap_search(monkeypatch, trials, **options):
    """`search` over `CheapTrials`."""
    monkeypatch.setattr(searching, "make_trials", lambda *_: trials)
    options = {"space": SPACE, "verbose": 0, **options}
    return searching.search("linear", None, context_length=7, horizon=1, **options)


def _run(directory, tuner, max_trials):
    searching.make_trials = lambda *_: CheapTrials(seconds=0.01)
    return searching.search(
        "linear",
        None,
        context_length=7,
        horizon=1,
        space=SPACE,
        tuner=tuner,
        max_trials=max_trials,
        directory=directory,
        verbose=0,
    )


def main(folder, tuner, max_trials, kills, seed):
    """Kills searches at random moments until one has run to its end; prints how many it killed.

    Children are forked, so that the imports are paid for once.
    """
    moments = random.Random(seed)
    killed = 0
    while True:
        child = os.fork()
        if child == 0:
            try:
                _run(folder, tuner, max_trials)
            except BaseException as error:  # the parent has to hear of it
                print("error", type(error).__name__, error, flush=True)
                os._exit(1)
            os._exit(0)
        if killed < kills:
            time.sleep(moments.uniform(0.01, 0.15))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(status)
        if not os.WIFSIGNALED(status):
            break
    print("killed", killed, "status", os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    tuner, (max_trials, kills, seed) = sys.argv[2], map(int, sys.argv[3:6])
    # The unbroken search too: the imports take longer than both.
    main(Path(sys.argv[1]) / "whole", tuner, max_trials, 0, seed)
    main(Path(sys.argv[1]) / "broken", tuner, max_trials, kills, seed)
