"""What the trials of a table and those of windows have in common."""

import dataclasses
import functools
import inspect
import json

import numpy as np

from tfts.models import build_model
from tfts.training import Diverged, TrainingOptions, compile_network, network_to_train, training_policies

OBJECTIVES = ("val_rmse", "val_mae")
# What a trial that diverged scores: worse than any trial that did not.
PENALTY = 1e9


@dataclasses.dataclass
class Fit:
    """One fitted network of a trial.

    Attributes:
        score: The objective on the validation rows.
        epochs: Epochs to the best weights.
        seconds: Seconds it took, scoring included.
        curve: The objective after each epoch, a list.
        keep: Function of a folder that writes the fitted network, or `None`.

    Example:

    >>> Fit(score=0.5, epochs=2, seconds=1.0, curve=[0.6, 0.5]).epochs
    2
    """

    score: float
    epochs: int
    seconds: float
    curve: list
    keep: object = None


def parts_of(settings, builder):
    """Settings of the model, the training and the data."""
    own, fit = inspect.signature(builder).parameters, TrainingOptions.model_fields
    parts = {}, {}, {}
    for name, value in settings.items():
        # The context length is an argument of every builder, and a setting of the windows.
        of = 1 if name in fit else 0 if name in own and name != "context_length" else 2
        parts[of][name] = value
    return parts


def check_network(model, sizes, model_options, options):
    build = functools.partial(build_model, model) if isinstance(model, str) else model
    policies = training_policies(options.precision, model)
    try:
        network = network_to_train(functools.partial(build, *sizes, **model_options), policies)
        compile_network(network, 1, options.changed(jit_compile=False))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The space holds settings that can't be fitted, {model_options}, optimizer={options.optimizer!r}, "
            f"loss={options.loss!r}: {error}"
        ) from error


def finite(fit):
    if not np.isfinite(fit.score):
        raise Diverged(f"The score is {fit.score} after {len(fit.curve)} epochs.")
    return fit


def as_text(options):
    """Options as text that is the same in every process: an object is told by its type."""

    def named(value):
        return getattr(value, "__qualname__", type(value).__qualname__)

    return {name: json.dumps(value, sort_keys=True, default=named) for name, value in sorted(options.items())}
