"""What every output can do."""

import abc
import dataclasses
import statistics

import numpy as np

from tfts.errors import ModelError, SettingError


class Output(abc.ABC):
    """What a network gives for a target and step, and how that is read.

    A network gives `width` raw numbers for each target and step. The first is the location: a
    linear forecast is added to it, and a decoder sees it at the next step. `head` makes the output's
    parameters of them, in the level of the normalised window, and `restore` takes them to
    another level: to that of the window, and by the scaler to the table's own units. Both use
    operators that NumPy and Keras share, so that they also run inside a graph.

    A subclass is a frozen dataclass whose fields are its settings. It has a line in `OUTPUTS`
    and defines what is abstract here; one that describes a distribution sets `has_distribution` and
    defines `quantiles`, `at` and `scores` too.

    Example:

    >>> from tfts.outputs import OUTPUTS
    >>> isinstance(OUTPUTS["point"](), Output)
    True
    """

    # Whether it says how probable other values than the forecast are.
    has_distribution = False
    # Whether `quantiles` also takes tensors, so that quantiles can be scored while a network learns.
    has_quantiles_in_graph = True
    # Weights for each horizon step and target that `head` takes beside the raw numbers.
    shape_size = 0

    @property
    @abc.abstractmethod
    def width(self):
        """Raw numbers that a network gives for each target and step, int >= 1."""

    @abc.abstractmethod
    def head(self, raw, shape=None):
        """Parameters of raw numbers `(batch, horizon, targets, width)`.

        Args:
            raw: The raw numbers.
            shape: Weights `(horizon, targets, shape_size)`; `None` stands for zeros.
        """

    def parameters(self, raw, shape=None, level=None, scale=None):
        """What `head` gives, taken to the level of the window where there is one.

        Args:
            raw: As of `head`.
            shape: As of `head`.
            level: As of `restore`, or `None`.
            scale: As of `restore`.
        """
        found = self.head(raw, shape)
        return found if level is None else self.restore(found, level, scale)

    @abc.abstractmethod
    def loss(self):
        """The Keras loss, or its name, that trains a network where no other is asked for."""

    @abc.abstractmethod
    def restore(self, parameters, level, scale):
        """Parameters of `level + scale * values`, where these are the parameters of `values`.

        Args:
            parameters: As `head` gives them.
            level: Floats that broadcast to `(batch, horizon, targets)`.
            scale: Floats > 0, likewise.
        """

    @abc.abstractmethod
    def mean(self, parameters):
        """The point forecast, `(batch, horizon, targets)`."""

    def quantiles(self, parameters, levels):
        """Quantiles `(batch, horizon, targets, levels)`.

        Raises:
            ValueError: If the output says nothing of the distribution, or nothing of a level.
        """
        raise ModelError(self._no_distribution("quantiles"))

    def at(self, parameters, scores):
        """The values that a standard normal number would be, NumPy.

        Args:
            parameters: In any units.
            scores: Floats that broadcast to `(..., batch, horizon, targets)`. 0 stands for the median,
                1.2816 for the quantile 0.9.

        Raises:
            ValueError: If the output says nothing of the distribution.
        """
        raise ModelError(self._no_distribution("quantiles"))

    def scores(self, parameters, values):
        """The standard normal numbers that values stand for, NumPy: what `at` takes; NaN for NaN.

        They are normal where the distribution is right. (Dawid 1984 calls their probabilities the
        probability integral transform.)
        """
        raise ModelError(self._no_distribution("quantiles"))

    def further_raw(self, ratio):
        """Raw numbers beside the location that make the spread so many times that of zeros, `(..., width - 1)`.

        Args:
            ratio: Floats > 0, NumPy.

        Example:

        >>> from tfts.outputs import Normal
        >>> Normal().further_raw(np.array([1.0])).tolist()
        [[0.0]]
        """
        return np.zeros((*np.shape(ratio), self.width - 1))

    def further_from(self, parameters, actual):
        """What is added to the raw numbers beside the location, so that forecasts are as wide as their errors.

        Args:
            parameters: `(windows, horizon, targets, width)`, of forecasts that are good already.
            actual: Float `(windows, horizon, targets)`, NaN where nothing was observed.

        Returns:
            Float `(horizon, targets, width - 1)`.
        """
        middle = self.at(parameters, np.zeros(actual.shape))
        spread = np.maximum(self.at(parameters, np.ones(actual.shape)) - middle, 1e-9)
        squares = ((actual - middle) / spread) ** 2
        seen = (~np.isnan(squares)).sum(axis=0)
        # A step that was never observed keeps its spread.
        mean = np.where(seen > 0, np.nansum(squares, axis=0) / np.maximum(seen, 1), 1)
        return self.further_raw(np.sqrt(mean))

    def score_table(self, scores):
        """Scores that stay the same, as `at_table` takes them, NumPy `(..., levels, numbers)` or `(..., levels)`.

        Args:
            scores: Standard normal numbers `(..., levels)`.

        Raises:
            ValueError: If the output says nothing of the distribution.
        """
        raise ModelError(self._no_distribution("quantiles"))

    def at_table(self, parameters, table):
        """As `at`, in the operations of Keras, so that a graph can hold it: `(batch, horizon, targets, levels)`.

        Args:
            parameters: In any units.
            table: As from `score_table`, which broadcasts to `(batch, horizon, targets, levels)`.

        Raises:
            ValueError: If the output says nothing of the distribution.
        """
        raise ModelError(self._no_distribution("quantiles"))

    def score_range(self, parameters, values):
        """The standard normal numbers of all that is below a value, and of all up to it, a tuple.

        They differ where a value has a probability of its own, as a count has.
        """
        scores = self.scores(parameters, values)
        return scores, scores

    def in_units(self, offset, scale):
        """The output for values that stand for `offset + scale * value` in the units of the table.

        It is the same for every output but those that have a meaning in these units alone.

        Args:
            offset: Float `(targets,)`.
            scale: Float `(targets,)`, likewise.
        """
        return self

    def check_values(self, values, name):
        """Raises a ValueError where the output can't describe values of a target.

        Args:
            values: Iterable of arrays, NaN where nothing was observed; read only where values matter.
            name: What is said of the target in the message.
        """
        return

    def check_levels(self, levels):
        """Raises a ValueError where the output says nothing of a level."""
        return

    def check(self, panel, targets, scaler):
        """Raises a ValueError where the output can't describe the targets of a panel."""
        return

    def get_config(self):
        """Settings as plain data, a dict."""
        return {
            field.name: list(value) if isinstance(value, tuple) else value
            for field in dataclasses.fields(self)
            for value in [getattr(self, field.name)]
        }

    @classmethod
    def from_config(cls, config):
        """The output that `get_config` described."""
        return cls(**config)

    def _no_distribution(self, what):
        return (
            f"{self!r} gives one number for each target and step, so it has no {what}. Expected an output "
            "that describes a distribution."
        )


def checked_levels(levels, name="quantiles"):
    """Levels of quantiles as a tuple of floats.

    Args:
        levels: Ascending floats between 0 and 1.
        name: Of the argument, for the message.

    Raises:
        ValueError: If they are anything else.

    Example:

    >>> checked_levels([0.1, 0.5, 0.9])
    (0.1, 0.5, 0.9)
    """
    listed = list(levels) if isinstance(levels, list | tuple | np.ndarray) and np.ndim(levels) else None
    numbers = listed and all(
        isinstance(level, int | float | np.integer | np.floating) and not isinstance(level, bool)
        for level in listed
    )
    if numbers:
        # As they are written: 1 - 0.9 is 0.1, and so is 0.1 in single precision.
        listed = [round(float(str(level)), 15) for level in listed]
    if not numbers or not all(0 < level < 1 for level in listed) or sorted(set(listed)) != listed:
        raise SettingError(
            f"`{name}` must be levels between 0 and 1 in ascending order, each once, as in [0.1, 0.5, 0.9]. "
            f"Received: {name}={levels!r}."
        )
    told = [f"{level:g}" for level in listed]
    if len({"0", *told, "1"}) < len(told) + 2:
        raise SettingError(
            f"`{name}` must differ from each other, from 0 and from 1 within six digits, as their columns have these. "
            f"Received: {name}={listed}."
        )
    return tuple(listed)


def normal_scores(levels):
    """Quantiles of the standard normal distribution, float64.

    Example:

    >>> normal_scores([0.5, 0.9]).round(2).tolist()
    [0.0, 1.28]
    """
    return np.array([statistics.NormalDist().inv_cdf(float(level)) for level in levels])


def last_axis(value):
    """A value of `(..., targets)` beside parameters of `(..., targets, width)`; a plain number as it is."""
    return value[..., None] if getattr(value, "shape", ()) else value


def constants(values, like):
    """Numbers as an array or tensor that goes with another.

    Example:

    >>> constants([1, 2], np.zeros(3)).dtype
    dtype('float64')
    """
    if isinstance(like, np.ndarray):
        return np.asarray(values, dtype=like.dtype)
    from keras import ops

    return ops.convert_to_tensor(np.asarray(values), dtype=like.dtype)


def softplus(values):
    """The logarithm of 1 + exp(values), of an array or a tensor."""
    if isinstance(values, np.ndarray):
        return np.logaddexp(0, values)
    from keras import ops

    return ops.softplus(values)


def softplus_ratio(ratio):
    """The number whose softplus is `ratio` times that of zero, NumPy."""
    return np.log(np.expm1(np.maximum(ratio, 1e-4) * np.log(2)))


def stacked(parts):
    """Arrays or tensors along a new last axis."""
    if isinstance(parts[0], np.ndarray):
        return np.stack(parts, axis=-1)
    from keras import ops

    return ops.stack(parts, axis=-1)
