"""A Keras network as a predictor: of `MODELS`, of a user's builder, or made like a Keras model."""

import copy
import functools
import inspect
import warnings

import numpy as np

from tfts.errors import FolderError, ModelError
from tfts.predictors.predictor import Predictor
from tfts.training import (
    compile_network,
    kept_random_state,
    network_to_keep,
    network_to_train,
    train_network,
    training_policies,
)
from tfts.training.described import told

# Windows in one batch of a forecast.
_BATCH = 256
# Options that act on a network which brings its own optimizer and loss.
_OF_ANY_NETWORK = (
    "epochs",
    "batch_size",
    "windows_per_epoch",
    "sampling",
    "patience",
    "seed",
    "callbacks",
    "folder",
    "verbose",
)


class NetworkPredictor(Predictor):
    """A network that learns by gradient descent.

    Args:
        source: A name of `MODELS`, a builder (see `build_model`), or a `Template`.
        model_options: Dict of the builder's options.

    Example:

    >>> NetworkPredictor("linear").name
    'linear'
    """

    def __init__(self, source, model_options=None):
        super().__init__()
        self.source, self.model_options = source, copy.deepcopy(dict(model_options or {}))
        self.name = source if isinstance(source, str) else _name_of(source)

    @property
    def num_parameters(self):
        """Numbers learnt in `fit`."""
        return self.model.count_params()

    @property
    def has_attention(self):
        """Whether the network gives attention scores."""
        from tfts.models import has_attention

        return has_attention(self.model)

    @property
    def has_teacher(self):
        """Whether the network is shown the future while it learns."""
        return any(tensor.name == "teacher" for tensor in self.model.inputs)

    def check_output(self, output):
        """As `Predictor.check_output`: a compiled Keras model has a loss of its own."""
        if output.has_distribution and getattr(self.source, "compiled", False) is True:
            raise ModelError(
                f"The Keras model {self.name!r} is compiled with a loss of its own, and gives points. Give a builder, "
                f"a function of a Task, or leave `output` out. Received: output={output!r}."
            )

    def fit(self, rows, options, settings):
        """As `Predictor.fit`."""
        with kept_random_state():
            (model, windows, checked), keep, options = self.prepared(rows, options)
            source = self.source if isinstance(self.source, str) else _identity(self.source)
            identity = {"model": self.name, "network": source, **settings, **options.identity()}
            digest = rows.digest() if options.folder is not None else None
            best = train_network(model, windows, checked, options, identity, digest)
            self.model, self.history = keep(model), best.history
        return best.seconds

    def prepared(self, rows, options):
        """The network that `fit` trains.

        Args:
            rows: `TrainingRows`, or what else gives `windows` and a `digest`.
            options: `TrainingOptions`.

        Returns:
            Tuple of the compiled network, a function that gives the windows to learn from, of the
            `epoch` whose order they have, and the validation windows or `None`; of a function
            from the trained network to the one to keep; and of the options as numbers.
        """
        if getattr(self.source, "compiled", False) is True:
            options.check_unused("A compiled Keras model", _OF_ANY_NETWORK)
        made = rows.windows(options)
        options = made.options
        model, keep = self.network(made.task, made.steps, options, made.metrics, self._skip_of(options))
        made.start(model)
        teacher = any(tensor.name == "teacher" for tensor in model.inputs)
        return (model, *made.datasets(teacher)), keep, made.options

    def _skip_of(self, options):
        """Options of the builder that a short table adds: a linear map, which can start from the ridge."""
        from tfts.models import MODELS

        if options.linear_start != "auto" or self.source not in MODELS or "linear_skip" in self.model_options:
            return {}
        skip = inspect.signature(MODELS[self.source]).parameters.get("linear_skip")
        return {"linear_skip": "own"} if skip is not None and skip.default == "none" else {}

    def network(self, task, steps, options, metrics=list, more=None):
        """A compiled network with new weights.

        Args:
            task: `Task`.
            steps: Training steps in an epoch.
            options: `TrainingOptions`.
            metrics: Function that gives new Keras metrics.
            more: Dict of further options of the builder.

        Returns:
            Tuple of the network and of a function from the trained network to the one to keep.
        """
        import keras

        keras.utils.set_random_seed(options.seed)
        make = functools.partial(self._made, task, steps, options, metrics, more or {})
        policies = training_policies(options.precision, self.source)
        keep = functools.partial(network_to_keep, make=make, policies=policies)
        return network_to_train(make, policies), keep

    def _made(self, task, steps, options, metrics, more):
        from tfts.models import build_model
        from tfts.predictors.template import Template

        if isinstance(self.source, Template):
            if self.source.compiled and task.masked:
                raise ModelError(
                    f"The Keras model {self.name!r} is compiled with a loss of its own, and with missing='mask' values "
                    "that were not observed are NaN. Give a builder, a function of a Task, or take another `missing`."
                )
            model = self.source.make(task)
            if self.source.compiled:
                return model
        else:
            model = build_model(self.source, task, **self.model_options, **more)
        compile_network(model, steps, options, metrics(), task.output, task.masked)
        return model

    def _predict(self, panel, spec, rows):
        batches = spec.input_batches(panel, rows, _BATCH, self.has_teacher)
        return self.model.predict(batches, verbose=0)

    def as_network(self, task):
        """Itself."""
        return self

    def require_network(self, lack):
        """Nothing: it is a network."""

    def forecast_inputs(self, inputs, num_windows, spec, num_targets):
        """Scaled forecasts from scaled inputs, which may have been changed."""
        if self.has_teacher:
            # It does not listen to a teacher when it predicts.
            teacher = np.zeros((num_windows, spec.horizon, num_targets), np.float32)
            inputs = {**(inputs if isinstance(inputs, dict) else {"past": inputs}), "teacher": teacher}
        return np.asarray(self.model.predict(inputs, batch_size=_BATCH, verbose=0))

    def save(self, folder):
        """Writes `model.keras`."""
        _warn_of_loss(self.model)
        self.model.save(folder / "model.keras")
        compiled = not isinstance(self.source, str) and getattr(self.source, "compiled", False) is True
        return {"kind": "network", "name": self.name, "compiled": compiled}

    @classmethod
    def load(cls, folder, described, model, model_options):
        """As `Predictor.load`; a fit anew of a user's own model begins with new weights too."""
        import keras

        # The layers and metrics that the file names must be registered.
        import tfts.keras_metrics
        import tfts.models  # noqa: F401
        from tfts.predictors.template import Template

        own = model is None
        try:
            network = keras.models.load_model(folder / "model.keras", compile=own)
        except (TypeError, ValueError, OSError) as error:
            raise FolderError(
                f"{folder / 'model.keras'} can't be read. Layers, losses and metrics of your own must be registered "
                "with keras.saving.register_keras_serializable before it was saved, and imported before it is loaded. "
                f"Keras says: {str(error).splitlines()[0]}"
            ) from error
        predictor = cls(Template(network, described["compiled"]) if own else model, model_options)
        predictor.name, predictor.model = described["name"], network
        return predictor


def _name_of(source):
    """What a builder or a template is called."""
    source = getattr(source, "func", source)
    return getattr(source, "__name__", None) or getattr(source, "name", None) or type(source).__name__


def _identity(source):
    """What a builder or a template is known by, plain data."""
    return source.identity() if hasattr(source, "identity") else told(source)


def _warn_of_loss(model):
    """Says so where Keras would write another loss than the one that the network has."""
    import keras

    loss = getattr(model, "loss", None)
    if not isinstance(loss, keras.losses.Loss):
        return
    read = keras.losses.deserialize(keras.losses.serialize(loss))
    if told(read) != told(loss):
        warnings.warn(
            f"Keras {keras.__version__} does not write all that the loss {loss.name!r} was made with, so a forecaster "
            "that is loaded from this folder and fitted again has another loss. Forecasts are not affected.",
            stacklevel=4,
        )
