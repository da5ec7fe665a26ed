"""The arithmetic that a network is trained in, and the one that it is kept in."""

import contextlib

from tfts._messages import unknown
from tfts.errors import SettingError

PRECISIONS = ("auto", "float32", "mixed_bfloat16")
# NVIDIA's processors multiply bfloat16 faster than float32 from this compute capability on.
_CAPABILITY = (8, 0)


def training_policies(precision, model):
    """Keras's dtype policies for the training and for what is kept of it.

    Args:
        precision: A name of `PRECISIONS`. `"auto"` is `"mixed_bfloat16"` where every device
            beside the processor suits it and Keras's own policy is float32; else that policy.
        model: Name of `MODELS`, whose layers that need float32 have it, or a builder or a
            network of the user's, which `"auto"` leaves alone.

    Returns:
        Tuple `(trained, kept)`, each a name or a `keras.DTypePolicy`.

    Raises:
        ValueError: If the name is unknown.

    Example:

    >>> training_policies("mixed_bfloat16", "tcn")
    ('mixed_bfloat16', 'float32')
    """
    import keras

    if precision not in PRECISIONS:
        raise SettingError(unknown("precision", precision, PRECISIONS))
    if precision != "auto":
        return precision, "float32"
    own = keras.config.dtype_policy()
    if isinstance(model, str) and own.name == "float32" and suits_bfloat16(_accelerators()):
        return "mixed_bfloat16", "float32"
    return own, own


def suits_bfloat16(devices):
    """Whether products in bfloat16 are quicker on all devices than in float32.

    Args:
        devices: List of pairs of a kind, `"GPU"` or `"TPU"`, and a compute capability as a
            tuple of two ints, or `None` where there is none. Processors are left out.

    Returns:
        Bool; False without devices.

    Example:

    >>> suits_bfloat16([("GPU", (8, 6))]), suits_bfloat16([("GPU", (7, 0))]), suits_bfloat16([])
    (True, False, False)
    """
    suited = (kind == "TPU" or (capability or (0, 0)) >= _CAPABILITY for kind, capability in devices)
    return bool(devices) and all(suited)


@contextlib.contextmanager
def dtype_policy(policy):
    """Keras's dtype policy within a `with`; the one before it is there again at the end.

    Args:
        policy: A name or a `keras.DTypePolicy`.

    Example:

    >>> import keras
    >>> with dtype_policy("mixed_bfloat16"):
    ...     print(keras.layers.Dense(7).compute_dtype)
    bfloat16
    >>> keras.layers.Dense(7).compute_dtype
    'float32'
    """
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def network_to_train(make, policies):
    """Makes a network that computes as its training should.

    Args:
        make: Function without arguments that gives a `keras.Model`.
        policies: Tuple as from `training_policies`.

    Returns:
        The `keras.Model`.

    Raises:
        ValueError: If it gives its forecasts in half precision where that was asked for.

    Example:

    >>> from tfts.models import tcn
    >>> from tfts.task import Task
    >>> make = lambda: tcn(Task(context_length=7))
    >>> model = network_to_train(make, ("mixed_bfloat16", "float32"))
    >>> model.get_layer("block_0_convolution_0").compute_dtype, model.output.dtype
    ('bfloat16', 'float32')
    """
    trained, kept = policies
    with dtype_policy(trained):
        model = make()
    if trained != kept and model.output.dtype != "float32":
        raise SettingError(
            f"The network {model.name!r} must give float32, also under precision={trained!r}, so that its loss and "
            f"its forecasts are exact. Received: output of dtype {model.output.dtype}. Let the builder end in a layer "
            "with dtype='float32', or choose precision='float32'."
        )
    return model


def network_to_keep(model, make, policies):
    """The trained network as it is to forecast: its weights, without its half precision.

    Args:
        model: Compiled and trained `keras.Model` of `network_to_train`.
        make: The function that made it.
        policies: Those it was made with.

    Returns:
        A compiled `keras.Model`; the same one where both policies are the same.

    Example:

    >>> from tfts.models import tcn
    >>> from tfts.task import Task
    >>> def make():
    ...     model = tcn(Task(context_length=7))
    ...     model.compile("adam", "mse")
    ...     return model
    >>> policies = training_policies("mixed_bfloat16", "tcn")
    >>> model = network_to_keep(network_to_train(make, policies), make, policies)
    >>> model.get_layer("block_0_convolution_0").compute_dtype
    'float32'
    """
    trained, kept = policies
    if trained == kept:
        return model
    with dtype_policy(kept):
        network = make()
    network.set_weights(model.get_weights())
    for variable, learnt in zip(network.optimizer.variables, model.optimizer.variables, strict=True):
        variable.assign(learnt)
    network.jit_compile, network.steps_per_execution = model.jit_compile, model.steps_per_execution
    return network


def _accelerators():
    """Kind and compute capability of each device that Keras's backend has beside the processor."""
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        details = map(tf.config.experimental.get_device_details, tf.config.get_visible_devices("GPU"))
        tpus = tf.config.list_logical_devices("TPU")
        return [*(("GPU", d.get("compute_capability")) for d in details), *(("TPU", None) for _ in tpus)]
    if backend == "jax":
        import jax

        found = [d for d in jax.devices() if d.platform != "cpu"]
        return [(d.platform.upper(), _capability(getattr(d, "compute_capability", ""))) for d in found]
    if backend == "torch":
        import torch

        # Keras has one device, which its environment may have set to the processor.
        device = keras.ops.zeros(()).device
        return [("GPU", torch.cuda.get_device_capability(device))] if device.type == "cuda" else []
    return []


def _capability(text):
    """`"8.0"` as `(8, 0)`; None for what is no such number, as the names of AMD's processors."""
    parts = text.split(".")
    return tuple(map(int, parts)) if all(part.isdigit() for part in parts) else None
