"""The running average of the weights, without what is left in it of the first ones."""

import keras
import numpy as np


def averages_of(optimizer):
    """The running averages of an optimizer with `use_ema`, NumPy arrays; none of another.

    Example:

    >>> averages_of(keras.optimizers.SGD())
    []
    """
    return [np.array(variable) for variable in optimizer.variables if variable.path.endswith("_average")]


class AveragedWeights(keras.callbacks.Callback):
    """Puts the average of an optimizer with `use_ema` in place while a network is validated.

    Keras's average begins with the weights after the first step, of which a share of
    `ema_momentum ** steps` is left: 45 % after 40 steps of 0.98. From the second epoch on, what
    the average held when the first one ended is taken out, and the rest stands for the whole, as in
    Adam's moments. What the average replaces comes back exactly: `keras.callbacks.SwapEMAWeights`
    swaps by sums, which round.

    Args:
        best: `BestWeights` of the training, which remembers the averages of the first epoch.
        shown: Whether callbacks that follow see the average at the end of an epoch.

    Example:

    >>> from tfts.training.best_weights import BestWeights
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    >>> model.compile(keras.optimizers.SGD(0.25, use_ema=True, ema_momentum=0.5), "mse")
    >>> model.set_weights([np.ones((1, 1))])
    >>> best = BestWeights()
    >>> callbacks = [best, AveragedWeights(best, shown=False)]
    >>> one = np.ones((1, 1))
    >>> _ = model.fit(one, 0 * one, epochs=3, callbacks=callbacks, verbose=0)
    >>> round(float(model.get_weights()[0][0, 0]), 4)  # Weights 1/2, 1/4, 1/8: (1/4 + 2 * 1/8) / 3.
    0.1667

    Source: Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging, SIAM
    Journal on Control and Optimization 30, 1992; Kingma and Ba, Adam, ICLR 2015 (section 3).
    """

    def __init__(self, best, shown):
        super().__init__()
        self.best, self.shown = best, shown
        self._kept = None

    def _put_in(self):
        if self._kept is None:
            # Copies: `numpy()` of a variable may be a view, which changes with it.
            self._kept = [np.array(variable) for variable in self.model.trainable_variables]
            self._assign(self._average())

    def _take_out(self):
        if self._kept is not None:
            self._assign(self._kept)
            self._kept = None

    def _average(self):
        optimizer = self.model.optimizer
        averages = averages_of(optimizer)
        first, step = self.best.first_averages
        left = float(optimizer.ema_momentum) ** (int(optimizer.iterations) - step)
        if first is None or left < np.finfo(np.float32).eps or left == 1:
            return averages
        return [(own - left * old) / (1 - left) for own, old in zip(averages, first, strict=True)]

    def _assign(self, values):
        for variable, value in zip(self.model.trainable_variables, values, strict=True):
            variable.assign(value.astype(variable.dtype))

    def on_test_begin(self, logs=None):
        self._put_in()

    def on_test_end(self, logs=None):
        self._take_out()

    def on_epoch_end(self, epoch, logs=None):
        if self.shown:
            self._put_in()

    def on_epoch_begin(self, epoch, logs=None):
        self._take_out()

    def on_train_end(self, logs=None):
        # Keras has put its own average in, of which on JAX the optimizer holds the same buffer.
        self._kept = None
        self._assign(self._average())
