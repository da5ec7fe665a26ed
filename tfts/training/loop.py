"""The one training loop: of `Forecaster.fit`, of the search and of anything else that fits a network."""

import random
import warnings

import numpy as np

from tfts.errors import DivergedError

# A fall of the validation loss over the last tenth of the epochs that is worth a word, as a share.
_FALLING = 0.02


class Diverged(DivergedError):
    """A training whose loss or score is not finite.

    Example:

    >>> str(Diverged("the loss is not finite from epoch 3 on"))
    'the loss is not finite from epoch 3 on'
    """


def train_network(model, windows, checked, options, identity=None, rows=None):
    """Trains a compiled network, which then holds its best weights.

    Args:
        model: Compiled `keras.Model`.
        windows: Windows to learn from, `tf.data.Dataset`, or a function that gives it from `epoch`, a
            variable that holds the number of the epoch: then a resumed training sees the order
            that an unbroken one would.
        checked: Windows to choose the best weights by, or `None`.
        options: `TrainingOptions`, with numbers for `"auto"`: see `for_windows`.
        identity: Dict of settings that must be equal for a training in `options.folder` to be
            continued; others are refused.
        rows: Fingerprint of the rows, plain data; a training on others is begun anew.

    Returns:
        The `BestWeights`, which knows the history, the best epoch and the seconds.

    Raises:
        Diverged: If the training diverged before any weights were worth keeping.

    Example:

    >>> import tensorflow as tf
    >>> from tfts.models import linear
    >>> from tfts.task import Task
    >>> from tfts.training.compiling import compile_network
    >>> from tfts.training.options import TrainingOptions
    >>> options = TrainingOptions(epochs=2, verbose=0).for_steps(1)
    >>> windows = tf.data.Dataset.from_tensors((tf.ones((3, 7, 1)), tf.ones((3, 1, 1))))
    >>> model = linear(Task(context_length=7))
    >>> compile_network(model, 1, options)
    >>> len(train_network(model, windows, windows, options).history["val_loss"])
    2
    """
    import keras

    from tfts.training.averaging import AveragedWeights
    from tfts.training.best_weights import BestWeights

    best = BestWeights(
        patience=options.patience if checked is not None else None,
        folder=options.folder,
        settings=identity,
        rows=rows,
    )
    # Callbacks of the user see at the end of an epoch the averaged weights that were scored.
    averaged = AveragedWeights(best, shown=checked is not None)
    averaging = [averaged] if model.optimizer.use_ema else []
    done = best.restore(model)
    if done < options.epochs and not best.stopped:
        counted = []
        if callable(windows):
            epoch, counter = _epoch_number(done)
            windows, counted = windows(epoch=epoch), [counter]
        model.fit(
            windows,
            validation_data=checked,
            epochs=options.epochs,
            initial_epoch=done,
            callbacks=[*counted, best, *averaging, *options.callbacks],
            verbose=options.verbose,
            # The dataset shuffles itself; Keras would warn that it can't.
            shuffle=False,
        )
    elif averaging and best.best_weights is None:
        # It was stopped after its last epoch, before the average was put in.
        averaged.set_model(model)
        averaged.on_train_end()
    if best.diverged and best.best_weights is None:
        if options.folder is not None:
            # There is nothing to go on from, and the advice is another setting.
            best.forget()
        raise Diverged(
            f"Training diverged: the loss is not finite from epoch {len(best.history['loss'])} on. Lower "
            f"learning_rate (now {options.learning_rate}) or clipnorm (now {options.clipnorm})."
        )
    _warn_of_unfinished(best, options.epochs)
    if best.best_weights is not None:
        model.set_weights(best.best_weights)
    if keras.backend.backend() == "tensorflow":
        # XLA would compile prediction once more for each new size of a batch, and prediction of
        # several batches at once would hold the network as many times.
        model.jit_compile, model.steps_per_execution = False, 1
        model.train_function = model.test_function = model.predict_function = None
    if options.folder is not None:
        best.forget()
    return best


def _warn_of_unfinished(best, epochs):
    """Says so where the validation loss still falls when the last epoch is done."""
    losses, last = best.history.get("val_loss", ()), max(1, epochs // 10)
    if best.best_epoch != epochs or len(losses) <= last:
        return
    fell = 1 - losses[-1] / losses[-1 - last]
    if fell > _FALLING:
        warnings.warn(
            f"The validation loss still fell by {100 * fell:.0f} % over the last {last} of {epochs} epochs, so more "
            "epochs or a higher learning rate may forecast better.",
            stacklevel=4,
        )


def _epoch_number(done):
    """A variable with the number of the epoch, and the callback that sets it."""
    import keras
    import tensorflow as tf

    with tf.device("CPU:0"):
        variable = tf.Variable(done, dtype=tf.int64, trainable=False)

    def follow(epoch, logs):
        variable.assign(epoch)

    return variable, keras.callbacks.LambdaCallback(on_epoch_begin=follow)


class kept_random_state:
    """Leaves the user's Python and NumPy random numbers as they were.

    Example:

    >>> np.random.seed(3)
    >>> with kept_random_state():
    ...     np.random.seed(5)
    >>> round(np.random.rand(), 3)
    0.551
    """

    def __enter__(self):
        self.python, self.numpy = random.getstate(), np.random.get_state()  # noqa: NPY002

    def __exit__(self, *_):
        random.setstate(self.python)
        np.random.set_state(self.numpy)  # noqa: NPY002
