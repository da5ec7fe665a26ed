"""The interface of all that a forecaster can learn with."""

import abc
import copy
import dataclasses

import numpy as np

from tfts.data.panel import Panel
from tfts.data.scaling import Scaler
from tfts.data.windows import WindowSpec
from tfts.outputs import Output, Point
from tfts.outputs.predictive import Predictive

# Windows forecast at once, at most, and numbers that they may hold, so that predictions of a long table
# do not fill the memory.
_CHUNK, _CHUNK_NUMBERS = 8192, 2**24


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingRows:
    """What a predictor learns from.

    Attributes:
        train: `Panel` of training rows, original units.
        validation: `Panel` of held-out rows, original units, or `None`.
        scaler: `Scaler` fitted on the training rows.
        spec: `WindowSpec` of the windows to forecast.
        stride: Rows from one training window to the next.
        output: `Output`, what a network gives.

    Example:

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"y": [0.0, 2.0, 4.0]}, index=pd.date_range("2024-01-01", periods=3))
    >>> train = Panel.from_frame(frame)
    >>> rows = TrainingRows(train, None, Scaler("minmax").fit(train), WindowSpec(1, 1))
    >>> rows.scaled()[0].values[:, 0].tolist()
    [0.0, 0.5, 1.0]
    """

    train: Panel
    validation: Panel | None
    scaler: Scaler
    spec: WindowSpec
    stride: int = 1
    output: Output = dataclasses.field(default_factory=Point)

    @property
    def training_spec(self):
        """`WindowSpec` of the windows to learn from."""
        return dataclasses.replace(self.spec, stride=self.stride, history=None)

    @property
    def validation_scaler(self):
        """The scaler of the held-out rows, which may be of series that training has not seen."""
        return self.scaler.with_unseen(self.validation, self.spec.context_length)[0]

    def scaled(self, dtype=np.float32):
        """Both parts scaled, as views of one table where they are parts of one panel."""
        train, valid = self.train, self.validation
        if valid is None or valid.values is not train.values or train.series != valid.series:
            return self.scaler.transform(train, dtype), valid and self.validation_scaler.transform(
                valid, dtype
            )
        whole = dataclasses.replace(train, spans=train.spans.replace(end=valid.spans.end))
        whole = self.scaler.transform(whole, dtype)
        return tuple(dataclasses.replace(whole, spans=part.spans) for part in (train, valid))

    def windows(self, options):
        """The windows of a training, `TableWindows`."""
        from tfts.predictors.windows import TableWindows

        return TableWindows(self, options)

    def digest(self):
        """A fingerprint of the values of both parts, a list of str."""
        return [part.digest() for part in (self.train, self.validation) if part is not None]


class Predictor(abc.ABC):
    """What learns from rows and forecasts from origins; a forecaster never asks of which kind it is.

    Settings never hold what is learnt: `clone` gives an unfitted predictor that shares nothing.

    Attributes:
        name: What it is called in tables.
        model_options: Dict of options of the builder or baseline.
        model: After `fit`, the Keras model or the baseline; before, `None`.
        history: Dict from `"loss"`, `"val_loss"` to a list with a value for each epoch.

    Example:

    >>> from tfts.predictors import BaselinePredictor
    >>> issubclass(BaselinePredictor, Predictor)
    True
    """

    name: str
    model = None
    # Whether it learns nothing from validation rows but what it chooses by them.
    holds_out = True
    # Whether it forecasts in the units of the table, without a scaler.
    in_units = False
    # Whether its errors are those of a second fit on earlier rows, so that the first may see all.
    measured_apart = False

    def __init__(self):
        self.history = {}

    @property
    def is_fitted(self):
        """Whether it can forecast."""
        return self.model is not None

    @property
    @abc.abstractmethod
    def num_parameters(self):
        """Numbers learnt in `fit`."""

    @property
    def has_attention(self):
        """Whether it gives attention scores."""
        return False

    def knows(self, panel):
        """Whether it can forecast each series of a panel at all, bool `(series,)`."""
        return np.ones(len(panel.series), dtype=bool)

    @abc.abstractmethod
    def check_output(self, output):
        """Raises a ValueError where it can't give an `Output`."""

    def clone(self):
        """An unfitted predictor with the same settings."""
        made = copy.copy(self)
        made.model, made.history = None, {}
        made.model_options = copy.deepcopy(self.model_options)
        return made

    @abc.abstractmethod
    def fit(self, rows, options, settings):
        """Learns from rows.

        Args:
            rows: `TrainingRows`.
            options: `TrainingOptions`.
            settings: Dict of what the forecaster was made with, by which a half-done
                training is known.

        Returns:
            Seconds that the training took.

        Raises:
            ValueError: If the rows or an option can't be used.
        """

    def forecasts(self, panel, scaler, spec, rows, output):
        """Yields origins and their forecasts, part by part.

        Args:
            panel: `Panel` in original units.
            scaler: The fitted `Scaler`.
            spec: `WindowSpec` of the fit.
            rows: Int `(windows,)`: origins.
            output: `Output` of the fit.

        Yields:
            Tuples of some of `rows` and their `Predictive`, original units.
        """
        prepared = self._prepared(panel, scaler, spec)
        targets = spec.target_columns(panel)
        chunk = min(_CHUNK, max(1, _CHUNK_NUMBERS // (spec.horizon * len(targets) * output.width)))
        for start in range(0, len(rows), chunk):
            at = rows[start : start + chunk]
            values = self._predict(prepared, spec, at)
            if self.in_units:
                yield at, Predictive(output, np.asarray(values), np.zeros(len(targets), dtype=bool))
            else:
                yield at, Predictive.restored(output, values, scaler, panel, at, targets)

    def _prepared(self, panel, scaler, spec):
        """What `_predict` takes."""
        return scaler.transform(panel)

    @abc.abstractmethod
    def _predict(self, prepared, spec, rows):
        """Parameters of the output, in the units of what is prepared."""

    @abc.abstractmethod
    def save(self, folder):
        """Writes what is learnt into a folder.

        Returns:
            Dict of plain data, which `load` takes too.
        """

    @classmethod
    @abc.abstractmethod
    def load(cls, folder, described, model, model_options):
        """The fitted predictor that `save` wrote.

        Args:
            folder: Path.
            described: What `save` returned.
            model: Name of the model, or `None` of one that was the user's own.
            model_options: Dict of its options.
        """
