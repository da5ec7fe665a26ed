#!/usr/bin/env bash
# tf2onnx 1.17.0 with tensorflow 2.21.0, onnx 1.23.2 and onnxruntime 1.31.1: a conversion that failed ends with 0.
#
# Behaviour: for a SavedModel with tf.math.betainc (the distribution function of beta, t and negative binomial
#   variables) `python -m tf2onnx.convert` logs "Unsupported ops: Counter({'Betainc': 1})", then "Successfully converted
#   TensorFlow model", writes the file and exits with 0. The file holds a node "Betainc", which ONNX does not have:
#   onnx.checker refuses it, and so does ONNX Runtime when it is loaded.
# Output seen: exit status 0; operations of the file: Mul, Add, Add, Betainc; "No Op registered for Betainc".
# One would guess: a status other than 0 and no file, as the converter of LiteRT ends with an error for the same graph.
# Who is hurt: whoever builds models in a pipeline that goes by the exit status: the file is found to be useless where
#   it is to be served. Load every file that it writes.
# Exit 0 while it is so, 1 once it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tensorflow==2.21.0 tf2onnx==1.17.0 onnx==1.23.2 onnxruntime==1.31.1
cd "$folder"
export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1
"$folder/venv/bin/python" - <<'PY'
import tensorflow as tf


class Beta(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def share(self, x):
        return {"share": tf.math.betainc(2.0 + 0.0 * x, 3.0 + 0.0 * x, x)}


beta = Beta()
tf.saved_model.save(beta, "beta", signatures={"serving_default": beta.share})
PY
"$folder/venv/bin/python" -m tf2onnx.convert --saved-model beta --opset 18 --output beta.onnx >log.txt 2>&1
echo "exit status of the converter: $?"
grep -h -o "Unsupported ops: .*\|Successfully converted.*" log.txt
"$folder/venv/bin/python" - <<'PY'
import onnx
import onnxruntime

model = onnx.load("beta.onnx")
print("operations of the file:", [node.op_type for node in model.graph.node])
assert "Betainc" in [node.op_type for node in model.graph.node]
for load in (lambda: onnx.checker.check_model(model), lambda: onnxruntime.InferenceSession("beta.onnx")):
    try:
        load()
    except Exception as error:
        text = str(error)
        print(type(error).__name__, text[text.find("No Op") :].splitlines()[0])
    else:
        raise SystemExit(1)
PY
