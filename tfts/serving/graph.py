"""What an exported graph may hold, so that a stock model server runs it on any hardware."""

import re
from pathlib import Path

from tfts.errors import ModelError

_REASONS = (
    (re.compile("Cudnn"), "runs on NVIDIA graphics processors alone"),
    (re.compile("(Eager)?PyFunc|PyFuncStateless"), "calls Python, which a model server does not have"),
)
_MUST_COMPILE = "_XlaMustCompile"


def check_graph(folder, layers=()):
    """Refuses a SavedModel that some stock server could not run.

    Every node of the graph and of the functions it calls must be an operation of stock
    TensorFlow, need no graphics processor and no Python, and not insist on XLA, which the
    stock server refuses on a CPU.

    Args:
        folder: Folder with `saved_model.pb`.
        layers: Names of the layers, to say which one an operation comes from.

    Returns:
        Int, the number of nodes checked.

    Raises:
        ValueError: If an operation may not be there; names it and its layer.

    Example:

    >>> import tensorflow as tf
    >>> module = tf.Module()
    >>> module.double = tf.function(lambda x: 2 * x, input_signature=[tf.TensorSpec([None])])
    >>> tf.saved_model.save(module, "double")
    >>> check_graph("double") > 3
    True
    """
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString(Path(folder, "saved_model.pb").read_bytes())
    count = 0
    for graph in (meta.graph_def for meta in saved.meta_graphs):
        functions = {function.signature.name: function for function in graph.library.function}
        for name, nodes in [("", graph.node), *((name, f.node_def) for name, f in functions.items())]:
            if name and functions[name].attr[_MUST_COMPILE].b:
                _refuse(f"function {name}", "insists on XLA (jit_compile=True)", name, layers)
            for node in nodes:
                count += 1
                why = next((why for pattern, why in _REASONS if pattern.match(node.op)), None)
                if node.attr[_MUST_COMPILE].b:
                    why = "insists on XLA (jit_compile=True)"
                elif why is None and node.op not in functions and not hasattr(tf.raw_ops, node.op):
                    why = "is no operation of stock TensorFlow"
                if why is not None:
                    _refuse(f"operation {node.op}", why, f"{name}/{node.name}", layers)
    return count


def check_compiles(functions, batches=(1, 7), run=False):
    """Compiles every signature of numbers by XLA with fixed batch sizes, as a TPU needs it.

    Args:
        functions: Dict from signature to its concrete function, as in
            `tf.saved_model.load(folder).signatures`.
        batches: Batch sizes.
        run: Whether to go on from XLA's own form, which is the same for all hardware, to
            code for this machine's processor, and to run that; takes seconds.

    Returns:
        List of the names of the signatures.

    Raises:
        ValueError: If one does not compile; with the words of XLA.

    Example:

    >>> import tensorflow as tf
    >>> double = tf.function(lambda **given: {"y": 2 * given["x"]})
    >>> double = double.get_concrete_function(x=tf.TensorSpec([None, 3]))
    >>> check_compiles({"serving_default": double}, run=True)
    ['serving_default']
    """
    import tensorflow as tf

    done = []
    for name, function in functions.items():
        if any(tensor.dtype == tf.string for tensor in function.structured_outputs.values()):
            continue
        specs = function.structured_input_signature[1]
        compiled = _compiled(function, list(specs))
        for batch in batches:
            try:
                given = [tf.zeros((batch, *spec.shape[1:]), spec.dtype) for spec in specs.values()]
                if run:
                    compiled(*given)
                else:
                    compiled.experimental_get_compiler_ir(*given)(stage="hlo")
            except (tf.errors.OpError, ValueError, TypeError) as error:
                lines = [line.strip() for line in str(error).splitlines() if line.strip()]
                why = next((line for line in lines if "unsupported" in line), lines[-1])
                raise ModelError(
                    f"The signature {name!r} does not compile under XLA at batch {batch}, so no TPU could serve it. "
                    f"XLA says: {why}"
                ) from error
        done.append(name)
    return done


def _compiled(function, names):
    import tensorflow as tf

    def call(*given):
        return function(**dict(zip(names, given, strict=True)))

    return tf.function(call, jit_compile=True, autograph=False)


def _refuse(what, why, node, layers):
    # Scopes of functions are written with underscores; those of layers called twice get a number.
    found = [layer for layer in layers if re.search(rf"(^|[/_]){re.escape(layer)}(_\d+)?([/_]|$)", node)]
    layer = f"layer {max(found, key=len)!r}" if found else f"node {node!r}"
    raise ModelError(
        f"The graph can't be served everywhere: {what} of {layer} {why}. Expected operations of stock TensorFlow that "
        "run on every device. Make the layer of keras.ops."
    )
