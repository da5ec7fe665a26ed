"""The optimizer, the loss and the way of running that options ask for."""

import numpy as np

from tfts.errors import SettingError
from tfts.outputs import Point
from tfts.training.options import WEIGHT_DECAY

# Training steps from which compiling with XLA costs less time than it saves.
_LONG_FIT = 300
# Training steps between which no Python runs: more save no time that could be measured.
_STEPS_TOGETHER = 8


def compile_network(model, steps, options, metrics=(), output=None, masked=False):
    """Gives a network the optimizer and the loss that options ask for.

    Args:
        model: `keras.Model`, which is compiled.
        steps: Training steps in an epoch.
        options: `TrainingOptions`, with numbers for `"auto"`: see `for_windows`.
        metrics: Keras metrics.
        output: `Output` of the model; `None` is a `Point`.
        masked: Whether values of the future may be NaN, which the loss then leaves out.

    Example:

    >>> from tfts.models import linear
    >>> from tfts.task import Task
    >>> from tfts.training.options import TrainingOptions
    >>> model = linear(Task(context_length=7))
    >>> compile_network(model, 10, TrainingOptions(epochs=20))
    >>> type(model.optimizer).__name__
    'AdamW'
    """
    import keras

    jit, together = options.jit_compile, options.steps_per_execution
    loss, metrics = _loss(options.loss, output or Point()), list(metrics)
    if masked:
        from tfts.outputs.losses import ObservedLoss

        loss = ObservedLoss(loss)
    own_units = any(getattr(metric, "own_units", False) for metric in metrics)
    if own_units:
        from tfts.keras_metrics import UnweightedLoss

        loss = UnweightedLoss(loss)
    if jit == "auto":
        jit = _suits_xla(model, steps * options.epochs)
    if together == "auto":
        together = min(_STEPS_TOGETHER, steps) if keras.backend.backend() == "tensorflow" else 1
    model.compile(
        _optimizer(steps, options),
        loss=loss,
        **{"weighted_metrics" if own_units else "metrics": metrics},
        jit_compile=jit,
        steps_per_execution=together,
    )

    # Variables that are made while a step is traced cost a second trace, and TensorFlow never frees
    # the first.
    model.optimizer.build(model.trainable_variables)
    if metrics:
        given = np.zeros((1, *model.output_shape[1:]), "float32")
        future = np.zeros(given.shape[:3], "float32")
        units = np.zeros((1, 2, *future.shape[1:]), "float32") if own_units else None
        model.compute_metrics(None, future, given, units)
        model.reset_metrics()


def _loss(loss, output):
    import keras

    if loss == "auto":
        loss = output.loss()
    elif output.has_distribution:
        raise SettingError(
            f"{output!r} brings its own loss, so `loss` can't be set. Leave it out, or take output='point'. Received: "
            f"loss={loss!r}."
        )

    try:
        return keras.losses.get(loss)
    except (KeyError, TypeError, ValueError) as error:
        raise SettingError(
            f"`loss` must be a Keras loss, its name or its config. Received: loss={loss!r}."
        ) from error


def _suits_xla(model, steps):
    """Whether a training of so many steps is quicker when its step is compiled.

    On a CPU XLA's random numbers take several times as long as all the rest of a step, and it
    runs an LSTM no quicker than TensorFlow does, after seconds of compiling. JAX compiles
    every operation by itself where the step is not compiled; PyTorch runs well without.
    """
    import keras
    import tensorflow as tf

    from tfts.layers import LSTMDecoder

    if keras.backend.backend() != "tensorflow":
        return keras.backend.backend() == "jax"
    if steps < _LONG_FIT or tf.config.list_physical_devices("GPU"):
        return steps >= _LONG_FIT
    recurrent = (keras.layers.LSTM, LSTMDecoder)
    return not any(
        getattr(layer, "rate", 0) or getattr(layer, "dropout", 0) or isinstance(layer, recurrent)
        for layer in model.layers
    )


def _optimizer(steps, options):
    import keras

    rate = options.learning_rate
    total = steps * options.epochs
    rising, last = round(options.warmup * total), 0.01 if options.schedule == "cosine" else 1.0
    if rising:
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, total - rising, alpha=last, warmup_target=rate, warmup_steps=rising
        )
    elif options.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, total, alpha=last)
    common = {"global_clipnorm": options.clipnorm}
    if options.ema_momentum is not None:
        # Without an overwrite frequency the average is kept apart until it is asked for.
        common |= {"use_ema": True, "ema_momentum": options.ema_momentum, "ema_overwrite_frequency": None}
    if options.optimizer == "adam":
        return keras.optimizers.Adam(rate, **common)
    decay = WEIGHT_DECAY if options.weight_decay is None else options.weight_decay
    return keras.optimizers.AdamW(rate, weight_decay=decay, **common)
