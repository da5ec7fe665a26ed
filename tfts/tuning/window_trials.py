"""Trials on windows that are there already."""

import copy
import dataclasses
import functools

import keras
import numpy as np

from tfts.errors import DataError, SettingError
from tfts.metrics import keras_metric
from tfts.outputs import build_output
from tfts.predictors import NetworkPredictor
from tfts.task import Task
from tfts.training import TrainingOptions
from tfts.tuning.fits import Trials, parts_of, told_output

# Cardinalities of a `tf.data.Dataset` that are no number of batches.
_INFINITE, _UNKNOWN = -1, -2


class WindowTrials(Trials):
    """Fits and scores networks on windows that are there already.

    Args:
        model: Name of `MODELS` or a builder.
        data: Pair of `tf.data.Dataset` of `(inputs, future)` batches, as from
            `WindowSpec.dataset`: training and validation windows.
        training: Dict of options of `Forecaster.fit`; `batch_size` is that of the windows.
        model_options: Dict of options of the builder.
        objective: Name in `OBJECTIVES`; in the units of the windows, over all targets.
        output: What networks give, as of `Task`; it too is in the units of the windows.

    Raises:
        ValueError: If the datasets hold no windows, or the output can't describe their targets.

    Example:

    >>> import tensorflow as tf
    >>> windows = tf.data.Dataset.from_tensors((tf.ones((3, 7, 1)), tf.ones((3, 2, 1))))
    >>> trials = WindowTrials("linear", (windows, windows), {"epochs": 2})
    >>> len(trials.fit({}, part=0, seed=0).curve)
    2
    """

    rolling_origins = 1
    fixed = ("batch_size", "windows_per_epoch", "sampling")

    def __init__(self, model, data, training, model_options=None, objective="val_rmse", output="point"):
        super().__init__(model, training, objective)
        self.model_options = dict(model_options or {})
        self.windows = ReadyWindows(*data).giving(output)
        self._check_objective(self.windows.task.output)
        numbers = TrainingOptions.of(**self.training).for_steps(self.windows.steps)
        self.training |= {name: getattr(numbers, name) for name in ("epochs", "patience")}
        self.given = {"output": told_output(output), **self.model_options, **self.training}
        self._refuse(training)

    def refit(self, settings, epochs, seed):
        """A `keras.Model` fitted on training and validation windows together."""
        predictor, options = self._predictor(settings), self.options(settings, seed, epochs)
        predictor.fit(self._windows(settings).together(), options, {})
        return predictor.model

    def compiled(self, settings, seed):
        """As `TableTrials.compiled`."""
        options = self.options(settings, seed)
        made, _, options = self._predictor(settings).prepared(self._windows(settings), options)
        return made, options

    def check(self, settings):
        """As `TableTrials.check`."""
        model_options, training, data = parts_of(settings, self.builder)
        fixed = sorted({*data, *(set(self.fixed) & training.keys())} - {"output"})
        if fixed:
            raise DataError(
                f"The windows are made already, so {', '.join(map(repr, fixed))} can't be searched. Give a DataFrame "
                "or a Panel in place of the datasets."
            )
        self._refuse(training)
        task = self._windows(settings).task
        self._check_objective(task.output)
        self._check(task, {**self.model_options, **model_options}, settings)

    def describe(self):
        """As `TableTrials.describe`."""
        names = ("training windows", "validation windows")
        return {
            **self._described(self.model_options),
            "task": self.windows.task.get_config(),
            **dict(zip(names, self.windows.digest(), strict=True)),
        }

    def _fitted(self, settings, part, options):
        predictor = self._predictor(settings)
        predictor.fit(self._windows(settings), options, {})
        return predictor.history, functools.partial(_save_model, predictor.model)

    def _predictor(self, settings):
        model_options = parts_of(settings, self.builder)[0]
        return NetworkPredictor(self.model, {**self.model_options, **model_options})

    def _windows(self, settings):
        return self.windows.giving(settings["output"]) if "output" in settings else self.windows

    def _refuse(self, training):
        """Refuses options that would do nothing with windows that are made already."""
        if training.get("linear_start", "auto") == "ridge":
            raise SettingError(
                "linear_start='ridge' fits a ridge to the rows of a table, and the windows are made already. Give a "
                f"DataFrame or a Panel, or leave it out. Received: linear_start={training['linear_start']!r}."
            )
        for name in self.fixed:
            if name in training:
                raise DataError(
                    f"The windows are made already, in batches of their own, so `{name}` does nothing. Leave it out, "
                    f"or give a DataFrame or a Panel. Received: {name}={training[name]!r}."
                )


class ReadyWindows:
    """Windows of the user's, as `NetworkPredictor` takes the windows of a table.

    Args:
        train: `tf.data.Dataset` of `(inputs, future)` batches.
        valid: The same of the validation windows, or `None`.

    Attributes:
        task: As of `TableWindows`.
        steps: As of `TableWindows`; counted once where the dataset does not know.

    Raises:
        ValueError: If the batches are not pairs, have no fixed shape, or have no end.

    Example:

    >>> import tensorflow as tf
    >>> windows = tf.data.Dataset.from_tensors((tf.ones((3, 7, 1)), tf.ones((3, 2, 1))))
    >>> made = ReadyWindows(windows.repeat(5), windows)
    >>> made.task.context_length, made.task.horizon, made.steps
    (7, 2, 5)
    """

    def __init__(self, train, valid):
        self.task = _task(train)
        self._train = _counted("training", train)
        self._valid = None if valid is None else _counted("validation", valid)
        self.steps = int(self._train.cardinality())
        self._metrics, self._described = (), set()

    def together(self):
        """Training windows that hold the validation windows too."""
        return ReadyWindows(self._train.concatenate(self._valid), None).giving(self.task.output)

    def giving(self, output):
        """The same for networks with an output, `Output` or its name or config.

        Raises:
            ValueError: If the output is unknown, or can't describe the targets.
        """
        made, output = copy.copy(self), build_output(output)
        if output not in self._described:
            for name, dataset in (("training", self._train), ("validation", self._valid)):
                if dataset is not None:
                    output.check_values(_futures(dataset), f"a target of the {name} windows")
            self._described.add(output)
        made.task = dataclasses.replace(self.task, output=output)
        return made

    def windows(self, options):
        """The same for a training with these options."""
        made = copy.copy(self)
        made._metrics, made.options = options.metrics, options.for_steps(self.steps)
        return made

    def metrics(self):
        """New Keras metrics in the units of the windows."""
        return [keras_metric(name, output=self.task.output) for name in self._metrics]

    def start(self, model):
        """Nothing: first weights from a ridge take a table."""

    def datasets(self, teacher_forcing):
        """Training and validation windows."""
        return self._train, self._valid

    def digest(self):
        """Fingerprints of the values of both datasets, in whatever order their windows come."""
        return [_digest(dataset) for dataset in (self._train, self._valid) if dataset is not None]


def _futures(dataset):
    """Yields the values of the targets, batch by batch."""
    for _, future in dataset.as_numpy_iterator():
        yield future


def _counted(name, dataset):
    """A dataset that knows how many batches it has, which are counted where it does not."""
    import tensorflow as tf

    steps = int(dataset.cardinality())
    if steps == _INFINITE:
        raise DataError(
            f"The {name} windows never end, so that no epoch does. Leave out repeat() without a number, or add "
            "take(batches)."
        )
    if steps == _UNKNOWN:
        steps = sum(1 for _ in dataset)
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    if not steps:
        raise DataError(f"The {name} windows hold no batch. Expected one or more.")
    return dataset


def _task(dataset):
    """The `Task` that the shapes of windows tell."""
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) != 2:
        raise DataError(f"Batches of windows are pairs, (inputs, future). Received: {spec}.")
    inputs, future = spec
    past = inputs["past"] if isinstance(inputs, dict) else inputs
    known = inputs["known_future"].shape[-1] if isinstance(inputs, dict) and "known_future" in inputs else 0
    if past.shape.rank != 3 or future.shape.rank != 3 or None in (*past.shape[1:], *future.shape[1:], known):
        raise DataError(
            "Windows have fixed shapes: past (batch, context_length, features), future (batch, horizon, targets). "
            f"Received: past {past.shape}, future {future.shape}."
        )
    if past.shape[2] < future.shape[2]:
        raise DataError(
            f"The first columns of `past` are the targets, of which there are {future.shape[2]}. Received: past "
            f"{past.shape}."
        )
    return Task(past.shape[1], future.shape[1], future.shape[2], past.shape[2] - future.shape[2], known)


def _digest(dataset):
    """A sum over all windows of a hash of each, which no order changes."""
    total, factors = 0, {}
    for batch in dataset.as_numpy_iterator():
        parts = [np.ascontiguousarray(part) for part in keras.tree.flatten(batch)]
        for at, part in enumerate(parts):
            parts[at] = part.reshape(len(part), -1).view(np.uint8).reshape(len(part), -1)
        rows = np.concatenate(parts, axis=1)
        width = -(-rows.shape[1] // 8)
        words = np.zeros((len(rows), 8 * width), np.uint8)
        words[:, : rows.shape[1]] = rows
        if width not in factors:
            factors[width] = np.random.default_rng(0).integers(0, 2**64, width, dtype=np.uint64) | np.uint64(
                1
            )
        hashes = (words.view(np.uint64) * factors[width]).sum(axis=1, dtype=np.uint64)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            hashes = (hashes ^ (hashes >> np.uint64(shift))) * np.uint64(factor)
        total = (total + int(hashes.sum(dtype=np.uint64))) % 2**64
    return f"{total:016x}"


def _save_model(model, folder):
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "model.keras")
