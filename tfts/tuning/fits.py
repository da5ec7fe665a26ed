"""What trials on a table and trials on windows have in common."""

import copy
import dataclasses
import inspect
import time

import keras
import numpy as np

from tfts.errors import SettingError
from tfts.keras_metrics import QUANTILE_ERRORS
from tfts.models import MODELS
from tfts.outputs import build_output, output_config
from tfts.predictors import NetworkPredictor
from tfts.training import Diverged, TrainingOptions
from tfts.training.described import told

OBJECTIVES = ("val_rmse", "val_mae", "val_wql", "val_crps", "val_pinball")
# What a trial that diverged scores: worse than any trial that did not.
PENALTY = 1e9
# Options of `fit` that a search has its own of, and what they are there.
_OF_THE_SEARCH = {
    "seed": "`seed` is an argument of the search itself",
    "folder": "a search keeps what is half done in its own `directory`",
}


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


class Trials:
    """Fits and scores networks; subclasses say on which windows.

    Args:
        model: Name of `MODELS` or a builder.
        training: Dict of options of `Forecaster.fit`.
        objective: Name in `OBJECTIVES`.

    Raises:
        ValueError: If an option of the training is unknown or can't be used in a search.
    """

    # Settings that the data have made already.
    fixed = ()

    def __init__(self, model, training, objective):
        self.model = model
        self.builder = MODELS[model] if isinstance(model, str) else model
        self.training = {"verbose": 0, **training}
        # Without the numbers that stand for "auto", which depend on how windows are batched.
        self._asked = dict(self.training)
        self.metric = objective.removeprefix("val_")
        TrainingOptions.of(**training)
        for name, why in _OF_THE_SEARCH.items():
            if name in training:
                raise SettingError(
                    f"`training` can't hold `{name}`: {why}. Received: training={{{name!r}: {training[name]!r}}}."
                )

    @property
    def num_parts(self):
        """Networks fitted for one seed."""
        return 1

    def compare(self, settings):
        """Learns which settings may come, so that all of them are scored on the same windows.

        Args:
            settings: List of dicts of settings.
        """

    def fit(self, settings, part, seed, callbacks=(), epochs=None):
        """Fits a network and scores it.

        Args:
            settings: Dict of settings.
            part: Which of the rolling parts, int.
            seed: Of the training.
            callbacks: Further Keras callbacks.
            epochs: Epochs, in place of the settings' own.

        Returns:
            A `Fit`.

        Raises:
            Diverged: If the loss or the score is not finite.
        """
        began = time.monotonic()
        # The networks of earlier trials would fill the memory.
        keras.utils.clear_session()
        options = self.options(settings, seed, epochs, callbacks)
        history, keep = self._fitted(settings, part, options)
        curve = history[f"val_{self.metric}"]
        best = int(np.nanargmin(history["val_loss"]))
        if not np.isfinite(curve[best]):
            raise Diverged(f"The score is {curve[best]} after {len(curve)} epochs.")
        return Fit(curve[best], best + 1, time.monotonic() - began, curve, keep)

    def options(self, settings, seed, epochs=None, callbacks=()):
        """The `TrainingOptions` of one fit.

        Args:
            settings: Dict of settings.
            seed: Of the training.
            epochs: Epochs, in place of the settings' own.
            callbacks: Callbacks beside the user's.
        """
        # What holds a state, as a callback does, is that of one fit alone.
        given = {**self.training, **parts_of(settings, self.builder)[1]}
        given = {name: own_copy(value) for name, value in given.items()}
        others = given.get("metrics", ())
        others = [others] if isinstance(others, str) else others
        given["metrics"] = list(dict.fromkeys([self.metric, *others]))
        given["callbacks"] = [*given.get("callbacks", ()), *callbacks]
        if epochs is not None:
            given["epochs"] = epochs
        return TrainingOptions.of(**given, seed=seed)

    def _check_objective(self, output):
        """Refuses the score of quantiles where networks give none."""
        if self.metric in QUANTILE_ERRORS and not (output.has_distribution and output.has_quantiles_in_graph):
            why = "give points" if not output.has_distribution else "have quantiles that Keras can't compute"
            raise SettingError(
                f"objective='val_{self.metric}' scores quantiles, and the networks {why}. Search with "
                "output='quantiles' (or 'normal', 'student_t'), or take objective='val_mae'. Received: "
                f"output={output!r}."
            )

    def _check(self, task, model_options, settings):
        """Refuses settings that no network can be built or compiled with."""
        options = self.options(settings, 0)
        try:
            predictor = NetworkPredictor(self.model, copy.deepcopy(model_options))
            predictor.network(task, 1, options.for_steps(1).changed(jit_compile=False))
        except (TypeError, ValueError) as error:
            raise SettingError(
                f"The space holds settings that can't be fitted, {model_options}, optimizer={options.optimizer!r}, "
                f"loss={options.loss!r}: {error}"
            ) from error

    def _described(self, model_options):
        """What tells these trials from others but for their data, as plain data."""
        own = {k: v for k, v in self._asked.items() if k not in ("verbose", "callbacks")}
        return {"model": told(self.model), "options": told(model_options), "training": told(own)}


def own_copy(value):
    """A copy that shares no state.

    Example:

    >>> loss = keras.losses.Huber(3.0)
    >>> float(own_copy(loss)([[0.0]], [[5.0]])), own_copy(loss) is loss
    (10.5, False)
    """
    if isinstance(value, keras.losses.Loss):
        # Python's own copy goes through the config, and in Keras 3.15.1 that of Huber lacks its delta.
        made = object.__new__(type(value))
        vars(made).update({name: copy.deepcopy(part) for name, part in vars(value).items()})
        return made
    return copy.deepcopy(value)


def parts_of(settings, builder):
    """Settings of the model, the training and the data, three dicts.

    Example:

    >>> from tfts.models import linear
    >>> parts_of({"shared": True, "epochs": 3, "context_length": 7}, linear)
    ({'shared': True}, {'epochs': 3}, {'context_length': 7})
    """
    own, fit = inspect.signature(builder).parameters, TrainingOptions.model_fields
    parts = {}, {}, {}
    for name, value in settings.items():
        of = 1 if name in fit else 0 if name in own else 2
        parts[of][name] = value
    return parts


def told_output(output):
    """An output as what a setting may hold, plain data: its name or its config.

    Example:

    >>> from tfts.outputs import Normal
    >>> told_output("normal"), told_output(Normal())
    ('normal', {'name': 'normal'})
    """
    return output if isinstance(output, str) else output_config(build_output(output))
