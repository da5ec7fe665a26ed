"""A Keras model of the user's as a mould, from which each fit makes its own network."""

import keras
import numpy as np

from tfts.errors import ModelError, NotFittedError
from tfts.models import fit_to_task
from tfts.training.described import told


class Template:
    """A Keras model's structure, and how it is compiled; its weights only where no fit changes them.

    Every network made from it has new weights, so that nothing learnt passes from one fit to the
    next. Frozen layers (`trainable=False`) keep their weights, and layers with `adapt` what they were
    adapted to.

    Args:
        model: Functional or Sequential `keras.Model`. It is not changed, and later changes of it
            do nothing.
        compiled: Whether networks are compiled as the model is.

    Attributes:
        name: Name of the model.
        compiled: As given.

    Raises:
        ValueError: If the model can't be made anew, or is not compiled though it should be.

    Example:

    >>> model = keras.Sequential([keras.Input((3, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    >>> model.compile("adam", "mse")
    >>> from tfts.task import Task
    >>> Template(model).make(Task(context_length=3, horizon=2)).output_shape
    (None, 2, 1)
    """

    def __init__(self, model, compiled=True):
        if compiled and not model.compiled:
            raise NotFittedError(
                f"The Keras model {model.name!r} is not compiled. Call its compile(...) first, or give a "
                "builder, which the forecaster compiles."
            )
        if not type(model).__module__.startswith("keras."):
            raise ModelError(
                f"The Keras model {model.name!r} must be functional or Sequential, so that every fit can begin "
                f"with new weights. Received: a subclass of keras.Model, {type(model).__name__}. Give a builder, "
                "a function of a Task that returns a functional model."
            )
        self.name, self.compiled = model.name, compiled
        self._own = _named_parts(model) if compiled else {}
        self._kept = {
            place: [np.array(weight) for weight in layer.get_weights()]
            for place, layer in enumerate(_layers(model))
            if layer.weights and (hasattr(layer, "adapt") or not layer.trainable)
        }
        self._mould = self._cloned(model)

    def make(self, task):
        """A network of the same structure with new weights, compiled as the model was.

        One that gives `(batch, horizon)` for one target, or `(batch, targets)` for one step,
        gets the axis that is missing.

        Raises:
            ValueError: If the network does not fit the task.
        """
        made = self._cloned(self._mould)
        if not made.built:
            made.build((None, task.context_length, task.num_features))
        layers = _layers(made)
        for place, weights in self._kept.items():
            layers[place].set_weights(weights)
            if hasattr(layers[place], "finalize_state"):
                # Normalization takes what it was adapted to into use here alone.
                layers[place].finalize_state()
        fitted = fit_to_task(made, task, f"The Keras model {self.name!r}")
        if fitted is not made and self.compiled:
            with keras.saving.custom_object_scope(self._own):
                _compile_like(fitted, made)
        return fitted

    def _cloned(self, model):
        try:
            with keras.saving.custom_object_scope(self._own):
                made = keras.models.clone_model(model, input_tensors=_inputs(model))
                if self.compiled:
                    _compile_like(made, model)
        except (TypeError, ValueError, AttributeError) as error:
            raise ModelError(
                f"The Keras model {self.name!r} can't be made anew with new weights, as every fit does. Register what "
                "is your own with keras.saving.register_keras_serializable and give it a get_config, or give a "
                f"builder, a function of a Task. Keras says: {str(error).splitlines()[0]}"
            ) from error
        return made

    def identity(self):
        """What the networks can be known by, plain data: structure and how they are compiled."""
        mould = self._mould
        compiled = [mould.get_compile_config(), mould.loss] if self.compiled else None
        return told([mould.get_config(), compiled, list(self._kept.values())])


def _layers(model):
    """All layers inside a model, those of models and wrappers in it too, in one order."""
    found = []
    for layer in model.layers:
        found.append(layer)
        wrapped = (getattr(layer, name, None) for name in ("layer", "forward_layer", "backward_layer"))
        found += [inner for inner in wrapped if isinstance(inner, keras.layers.Layer)]
        if isinstance(layer, keras.Model):
            found += _layers(layer)
    return found


def _compile_like(made, model):
    """Compiles a network as another one is, with an optimizer and metrics of its own."""
    arguments = keras.saving.deserialize_keras_object(model.get_compile_config())
    # Itself: it holds no state, and the config of keras.losses.Huber forgets its delta (Keras 3.15.1).
    made.compile(**{**arguments, "loss": model.loss})
    if made.built:
        made.optimizer.build(made.trainable_variables)


def template_of(model):
    """A `Template` of a Keras model; a builder or a `Template` as it is.

    Example:

    >>> template_of(len) is len
    True
    """
    return Template(model) if isinstance(model, keras.Model) else model


def _inputs(model):
    """New inputs like the model's: cloning forgets which are optional."""
    if not hasattr(model, "operations") or isinstance(model, keras.Sequential):
        return None
    optional = {layer.name for layer in model.layers if getattr(layer, "optional", False)}
    return keras.tree.map_structure(
        lambda tensor: keras.Input(
            batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name, optional=tensor.name in optional
        ),
        model.input,
    )


def _named_parts(model):
    """The user's own functions and classes that the model is compiled with, by their names."""
    parts = [model.loss, *(getattr(model, "metrics", ())), model.optimizer]
    found = {}
    for part in keras.tree.flatten(parts):
        named = part if hasattr(part, "__name__") else type(part)
        if part is not None and not isinstance(part, str):
            found[named.__name__] = named
    return found
