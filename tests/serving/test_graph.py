import numpy as np
import pytest
import tensorflow as tf

from tests.serving.fitted import untrained
from tfts.serving.graph import check_compiles, check_graph
from tfts.serving.signatures import ForecastSignatures


def saved(function, folder, **options):
    """A SavedModel of one function of a float32 vector."""
    module = tf.Module()
    module.call = tf.function(function, input_signature=[tf.TensorSpec([None], name="x")], **options)
    tf.saved_model.save(module, folder)
    return folder


def replaced(folder, old, new):
    """The SavedModel with another operation in the place of one."""
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    nodes = [
        n for m in model.meta_graphs for f in m.graph_def.library.function for n in f.node_def if n.op == old
    ]
    for node in nodes:
        node.op = new
    assert nodes
    path.write_bytes(model.SerializeToString())
    return folder


def test_a_plain_graph_passes_and_its_functions_are_walked_too(tmp_path):
    def call(x):
        return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 2), (0, x))[1]

    assert check_graph(saved(call, tmp_path)) > 20


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ("CudnnRNNV3", r"operation CudnnRNNV3 of layer 'lstm_0' runs on NVIDIA graphics processors alone"),
        ("EagerPyFunc", r"operation EagerPyFunc of layer 'lstm_0' calls Python"),
        ("TftsMagic", r"operation TftsMagic of layer 'lstm_0' is no operation of stock TensorFlow"),
    ],
)
def test_an_operation_that_is_not_everywhere_is_named_with_its_layer(tmp_path, new, message):
    def call(x):
        with tf.name_scope("model_1/lstm_0_1"):
            return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, tf.tanh(y)), (0, x))[1]

    folder = replaced(saved(call, tmp_path), "Tanh", new)
    with pytest.raises(ValueError, match=message + r".*Make the layer of keras\.ops"):
        check_graph(folder, ["lstm", "lstm_0", "dense"])
    with pytest.raises(ValueError, match=rf"operation {new} of node '.*Tanh'"):
        check_graph(folder, ["dense"])


def test_a_graph_that_insists_on_xla_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"insists on XLA \(jit_compile=True\)"):
        check_graph(saved(lambda x: x * 2, tmp_path, jit_compile=True))


def test_a_signature_that_xla_can_not_compile_is_named():
    def words(**given):
        return {"y": tf.strings.to_number(tf.strings.as_string(given["x"]))}

    function = tf.function(words).get_concrete_function(x=tf.TensorSpec([None]))
    with pytest.raises(
        ValueError, match=r"'odd' does not compile under XLA at batch 7.*XLA says: .*AsString"
    ):
        check_compiles({"odd": function}, batches=(7,))


@pytest.mark.slow
def test_the_compiled_signature_gives_the_same_numbers():
    signatures = ForecastSignatures(untrained("attention_seq2seq", missing="interpolate"))
    functions = signatures.functions()
    assert check_compiles(functions, run=True) == ["serving_default", "forecast_with_attention"]
    function = functions["serving_default"]
    past = tf.constant(np.random.default_rng(0).normal(1000, 1, size=(7, 11, 5)), tf.float32)
    compiled = tf.function(lambda past: function(past=past), jit_compile=True)
    np.testing.assert_allclose(compiled(past)["forecast"], function(past=past)["forecast"], rtol=1e-5)
