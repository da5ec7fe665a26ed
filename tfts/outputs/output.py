"""What every output can do."""

import abc
import dataclasses

from tfts.errors import ModelError


class Output(abc.ABC):
    """What a network gives for a target and step, and how that is read.

    A network gives `width` raw numbers for each target and step. The first is the location: a
    linear forecast is added to it, and a decoder sees it at the next step. `head` makes the output's
    parameters of them, in the level of the normalised window, and `restore` takes them to
    another level: to that of the window, and by the scaler to the table's own units. Both use
    operators that NumPy and Keras share, so that they also run inside a graph.

    A subclass is a frozen dataclass whose fields are its settings. It has a line in `OUTPUTS`
    and defines what is abstract here; one that describes a distribution defines `quantiles`
    and `sample` too.

    Example:

    >>> from tfts.outputs import OUTPUTS
    >>> isinstance(OUTPUTS["point"](), Output)
    True
    """

    @property
    @abc.abstractmethod
    def width(self):
        """Raw numbers that a network gives for each target and step, int >= 1."""

    @abc.abstractmethod
    def names(self, target):
        """Names of the columns of a forecast table for one target, a list."""

    @abc.abstractmethod
    def head(self, raw):
        """Parameters of raw numbers `(batch, horizon, targets, width)`."""

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
            ValueError: If the output says nothing of the distribution.
        """
        raise ModelError(self._no_distribution("quantiles"))

    def sample(self, parameters, count, seed=None):
        """Draws `(count, batch, horizon, targets)`.

        Raises:
            ValueError: If the output says nothing of the distribution.
        """
        raise ModelError(self._no_distribution("samples"))

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
