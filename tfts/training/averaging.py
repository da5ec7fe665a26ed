"""The running average of the weights, without what is left in it of the first ones."""

import keras
import numpy as np


class AveragedWeights(keras.callbacks.Callback):
    """Puts the average of an optimizer with `use_ema` in place while a network is validated.

    Keras's average begins with the first weights, of which a share of `ema_momentum ** steps` is
    left: 45 % after 40 steps of 0.98. They are taken out here, as Adam does for its moments. What the
    average replaces comes back exactly: `keras.callbacks.SwapEMAWeights` swaps by sums, which round.

    Args:
        start: Function without arguments that gives the weights before the first step, NumPy arrays
            like the model's trainable variables.
        shown: Whether callbacks that follow see the average at the end of an epoch.

    Example:

    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    >>> model.compile(keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.9), "mse")
    >>> model.set_weights([np.ones((1, 1))])
    >>> averaged = AveragedWeights(start=lambda: [np.ones((1, 1))], shown=False)
    >>> _ = model.fit(np.ones((1, 1)), np.zeros((1, 1)), callbacks=[averaged], verbose=0)
    >>> model.get_weights()[0].tolist()  # One step from 1: the average is where it went.
    [[0.0]]

    Source: Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging, SIAM
    Journal on Control and Optimization 30, 1992; Kingma and Ba, Adam, ICLR 2015 (section 3).
    """

    def __init__(self, start, shown):
        super().__init__()
        self.start, self.shown = start, shown
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
        averages = [np.array(v) for v in optimizer.variables if v.path.endswith("_average")]
        left = float(optimizer.ema_momentum) ** int(optimizer.iterations)
        if left < np.finfo(np.float32).eps or left == 1:
            return averages
        return [(own - left * first) / (1 - left) for own, first in zip(averages, self.start(), strict=True)]

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
