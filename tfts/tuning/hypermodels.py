"""The networks of tfts for any tuner of KerasTuner."""

import keras_tuner
import numpy as np

from tfts.errors import SettingError
from tfts.training import Diverged, train_network
from tfts.tuning.fits import PENALTY
from tfts.tuning.searching import make_space
from tfts.tuning.trials import make_trials


def hypermodel(
    model,
    data,
    *,
    space="default",
    objective="val_rmse",
    validation=0.15,
    training=None,
    seed=0,
    **options,
):
    """A `keras_tuner.HyperModel` that builds, compiles and fits a network.

    It is for users of KerasTuner's own tuners; `search` needs none. The tuner's `search()`
    takes no data; `epochs` and `callbacks` are passed on. A training that diverges scores
    `1e9` in place of ending the search.

    Args:
        model: Name of `MODELS`, or a builder with the arguments of those.
        data: As in `search`.
        space: As in `search`.
        objective: As in `search`; the tuner's `objective`, with direction `"min"`.
        validation: As in `search`.
        training: Dict of options of `Forecaster.fit`.
        seed: Of the first weights and the order of windows.
        **options: Options of `Forecaster`: `context_length`, `horizon` and others.

    Returns:
        `keras_tuner.HyperModel`.

    Raises:
        ValueError: If a name or value is wrong.

    Example:

    >>> import pandas as pd
    >>> days = pd.date_range("2024-01-01", periods=80, freq="D")
    >>> frame = pd.DataFrame({"sales": np.arange(80.0) % 7}, index=days)
    >>> made = hypermodel("linear", frame, context_length=7, horizon=1, training={"epochs": 1})
    >>> hp = keras_tuner.HyperParameters()
    >>> made.build(hp).output_shape, hp.values["batch_size"]
    ((None, 1, 1), 32)
    """
    trials = make_trials(model, data, dict(training or {}), objective, validation, 1, options)
    return _Network(trials, make_space(space, model, trials), objective, seed)


class _Network(keras_tuner.HyperModel):
    def __init__(self, trials, space, objective, seed):
        super().__init__(name=trials.builder.__name__)
        self.trials, self.space, self.objective, self.seed = trials, space, objective, seed
        self.made = None

    def build(self, hp):
        (model, windows, checked), options = self.trials.compiled(self.space.declare(hp), self.seed)
        # KerasTuner loads weights before a fit: they hold those of the optimizer too.
        model.optimizer.build(model.trainable_variables)
        self.made = model, windows, checked, options
        return model

    def fit(self, hp, model, *args, callbacks=(), epochs=None, initial_epoch=0, **options):
        if args or not {*options} <= {"verbose"}:
            raise SettingError(
                "The hypermodel holds its data and the options of its training, so a tuner's search takes epochs, "
                f"callbacks and verbose alone. Received: {len(args)} positional arguments, {sorted(options)}."
            )
        made, windows, checked, chosen = self.made
        if made is not model:
            raise SettingError("The hypermodel fits the model that it built last, and this is another.")
        # Hyperband goes on with weights of an earlier trial for the epochs that are left.
        epochs = (epochs or chosen.epochs) - initial_epoch
        chosen = chosen.changed(**options, epochs=epochs, callbacks=[*chosen.callbacks, *callbacks])
        try:
            best = train_network(model, windows, checked, chosen)
        except Diverged:
            return {self.objective: PENALTY}
        values = np.asarray(best.history[self.objective])
        return {self.objective: float(values[best.best_epoch - 1]), "epochs": best.best_epoch}
