"""Trials on windows that are there already."""

import copy
import functools
import time

import keras

from tfts.metrics import keras_metric
from tfts.models import MODELS, build_model
from tfts.training import (
    TrainingOptions,
    compile_network,
    network_to_keep,
    network_to_train,
    train_network,
    training_policies,
)
from tfts.tuning.fits import Fit, as_text, check_network, finite, parts_of


class WindowTrials:
    """Fits and scores networks on windows that are there already.

    Args:
        model: Name of `MODELS` or a builder.
        data: Pair of `tf.data.Dataset` of `(inputs, future)` batches, as from
            `WindowSpec.dataset`: training and validation windows.
        training: Dict of options of `Forecaster.fit`; `batch_size` is that of the windows.
        model_options: Dict of options of the builder.
        objective: Name in `OBJECTIVES`; in the units of the windows, over all targets.

    Raises:
        ValueError: If the datasets hold no windows.

    Example:

    >>> import tensorflow as tf
    >>> windows = tf.data.Dataset.from_tensors((tf.ones((3, 7, 1)), tf.ones((3, 2, 1))))
    >>> trials = WindowTrials("linear", (windows, windows), {"epochs": 2})
    >>> len(trials.fit({}, part=0, seed=0).curve)
    2
    """

    num_parts = rolling_origins = 1

    def __init__(self, model, data, training, model_options=None, objective="val_rmse"):
        self.model = model
        self.builder = MODELS[model] if isinstance(model, str) else model
        self._train, self._valid = data
        self.training = {"verbose": 0, **training}
        self.metric = objective.removeprefix("val_")
        self.model_options = dict(model_options or {})
        self.given = {**self.model_options, **self.training}
        inputs, future = self._train.element_spec
        past = inputs["past"] if isinstance(inputs, dict) else inputs
        known = (
            inputs["known_future"].shape[-1] if isinstance(inputs, dict) and "known_future" in inputs else 0
        )
        self.sizes = (past.shape[1], past.shape[2], future.shape[1], future.shape[2], known)

    def fit(self, settings, part, seed, callbacks=(), epochs=None):
        """As `TableTrials.fit`."""
        began = time.monotonic()
        # The networks of earlier trials would fill the memory.
        keras.utils.clear_session()
        (model, train, valid), options, keep = self._prepared(settings, seed)
        options = options.changed(
            epochs=epochs or options.epochs,
            callbacks=[*copy.deepcopy(list(options.callbacks)), *callbacks],
        )
        best = train_network(model, train, valid, options)
        model = keep(model)
        curve = best.history[f"val_{self.metric}"]
        return finite(
            Fit(
                score=curve[best.best_epoch - 1],
                epochs=best.best_epoch,
                seconds=time.monotonic() - began,
                curve=curve,
                keep=functools.partial(_save_model, model),
            )
        )

    def refit(self, settings, epochs, seed):
        """A `keras.Model` fitted on training and validation windows together."""
        (model, train, valid), options, keep = self._prepared(settings, seed, epochs)
        train_network(model, train.concatenate(valid), None, options.changed(patience=None))
        return keep(model)

    def compiled(self, settings, seed):
        """Tuple of the compiled model and both datasets, and the options of the training."""
        return self._prepared(settings, seed)[:2]

    def _prepared(self, settings, seed, epochs=None):
        model_options, training, _ = parts_of(settings, self.builder)
        options = TrainingOptions.of(**{**self.training, **training, "seed": seed})
        options = options.changed(epochs=epochs or options.epochs)
        keras.utils.set_random_seed(seed)
        build = functools.partial(build_model, self.model) if isinstance(self.model, str) else self.model
        steps = max(int(self._train.cardinality()), 1)

        def make():
            model = build(*self.sizes, **{**self.model_options, **model_options})
            compile_network(model, steps, options, [keras_metric(self.metric)])
            return model

        policies = training_policies(options.precision, self.model)
        keep = functools.partial(network_to_keep, make=make, policies=policies)
        return (network_to_train(make, policies), self._train, self._valid), options, keep

    def check(self, settings):
        """As `TableTrials.check`."""
        model_options, training, data = parts_of(settings, self.builder)
        fixed = sorted({*data, *({"batch_size"} & training.keys())})
        if fixed:
            raise ValueError(
                f"The windows are made already, so {', '.join(map(repr, fixed))} can't be searched. Give a DataFrame "
                "or a Panel in place of the datasets."
            )
        check_network(
            self.model,
            self.sizes,
            {**self.model_options, **model_options},
            TrainingOptions.of(**{**self.training, **training}),
        )

    def describe(self):
        """As `TableTrials.describe`."""
        own = {k: v for k, v in self.training.items() if k not in ("verbose", "callbacks")}
        return {
            "model": self.model if isinstance(self.model, str) else self.builder.__qualname__,
            "options": as_text(self.model_options),
            "training": as_text(own),
            "windows": [list(self.sizes), int(self._train.cardinality()), int(self._valid.cardinality())],
        }


def _save_model(model, folder):
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "model.keras")
