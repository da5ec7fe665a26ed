#!/usr/bin/env bash
# keras 3.15.1: the config of keras.losses.Huber holds no delta.
#
# Behaviour: get_config() of Huber(delta=0.5) is {'name': 'huber_loss', 'reduction': ...}. A loss made from that
#   config, and a compiled model after save and load_model, has the default delta of 1.0, without a warning.
# Output seen: 1.375 before and 2.5 after, for an error of 3; by hand 0.5 * (3 - 0.25) and 1 * (3 - 0.5).
# One would guess: what goes into a constructor is in the config, as for label_smoothing or alpha of other losses.
# Who is hurt: whoever saves a compiled model, clones one, or compares losses by their config: training goes on
#   with another loss.
# Exit 0 while it is so, 1 once it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet keras==3.15.1 jax==0.10.2
cd "$folder"
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PY'
import keras
import numpy as np

assert keras.__version__ == "3.15.1", keras.__version__
truth, forecast = np.zeros((1, 1)), np.full((1, 1), 3.0)
loss = keras.losses.Huber(delta=0.5)
copy = keras.losses.deserialize(keras.losses.serialize(loss))
print("config:", loss.get_config())
print("of the loss:", float(loss(truth, forecast)), " of its copy:", float(copy(truth, forecast)))

model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
model.compile("sgd", loss)
model.save("model.keras")
before = model.evaluate(forecast, truth, verbose=0)
after = keras.models.load_model("model.keras").evaluate(forecast, truth, verbose=0)
print("of the model:", before, " of the same, saved and loaded:", after)

np.testing.assert_allclose([float(loss(truth, forecast)), before], 1.375)
np.testing.assert_allclose([float(copy(truth, forecast)), after], 2.5)
PY
