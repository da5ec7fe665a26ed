"""Milliseconds of an LSTM's forward pass and training step on a CPU, beside PyTorch's.

`tfts.layers.LSTM`, the loop of Keras with and without XLA, and `torch.nn.LSTM` take the same
batches in turn, in one process with the same number of threads; the quickest of many repeats
counts, by the clock or, with one thread, by the processor time used, which other programs on the
machine hardly change. A training step is the forward pass, a squared error on all outputs and the gradients of
all weights. Asked for: no slower than PyTorch.

    python -m benchmarks.recurrent_step
    python -m benchmarks.recurrent_step --threads 1 --models

With `--models`: seconds of an epoch and of a prediction of whole networks, with the layer and
with the loop of Keras.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

# Batch, context, features, units.
SIZES = ((64, 60, 3, 64), (32, 96, 7, 128), (256, 168, 8, 64))
MODELS = ("lstm_attention", "lstm_seq2seq")


def keras_steps(layer, inputs, wanted, jit_compile=False):
    """Functions that run a forward pass and a training step of a Keras layer."""
    import tensorflow as tf

    inputs, wanted = tf.constant(inputs), tf.constant(wanted)
    layer(inputs)

    @tf.function(jit_compile=jit_compile)
    def forward(inputs):
        return layer(inputs)

    @tf.function(jit_compile=jit_compile)
    def train(inputs, wanted):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((layer(inputs, training=True) - wanted) ** 2)
        return tape.gradient(loss, layer.trainable_variables)

    return lambda: forward(inputs).numpy(), lambda: [x.numpy() for x in train(inputs, wanted)]


def torch_steps(inputs, wanted, threads):
    """The same of PyTorch's layer, or None without PyTorch."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(threads)
    layer = torch.nn.LSTM(inputs.shape[-1], wanted.shape[-1], batch_first=True)
    inputs, wanted = torch.from_numpy(inputs), torch.from_numpy(wanted)

    def forward():
        with torch.no_grad():
            return layer(inputs)[0].numpy()

    def train():
        layer.zero_grad()
        ((layer(inputs)[0] - wanted) ** 2).mean().backward()
        return [x.grad.numpy() for x in layer.parameters()]

    return forward, train


def step_times(size, threads, repeats):
    """Milliseconds of each way: forward pass and training step, or None for one that is not there.

    Args:
        size: Tuple of batch, context, features, units.
        threads: Int, the threads; TensorFlow must have been told before.
        repeats: Int, turns; the quickest counts.

    Returns:
        Dict from way to `[forward, training]`.
    """
    import keras

    from tfts.layers import LSTM

    batch, context, features, units = size
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(batch, context, features)).astype("float32")
    wanted = rng.normal(size=(batch, context, units)).astype("float32")
    plain = keras.layers.LSTM(units, return_sequences=True)
    ways = {
        "tfts": keras_steps(LSTM(units, return_sequences=True), inputs, wanted),
        "keras": keras_steps(plain, inputs, wanted),
        "keras, XLA": keras_steps(plain, inputs, wanted, jit_compile=True),
        "torch": torch_steps(inputs, wanted, threads),
    }
    return quickest(ways, threads, repeats)


def quickest(ways, threads, repeats):
    """Milliseconds of each function of each way, all in turn; the first turn does not count."""
    clock = time.process_time if threads == 1 else time.perf_counter
    best = {name: None if run is None else [np.inf] * len(run) for name, run in ways.items()}
    for turn in range(repeats + 1):
        for name, run in ways.items():
            for i, function in enumerate(run or ()):
                began = clock()
                function()
                if turn:
                    best[name][i] = min(best[name][i], 1e3 * (clock() - began))
    return best


def model_times(name, context, features, threads, repeats, windows=2048):
    """Milliseconds of an epoch and of a prediction, with the layer and with the loop of Keras."""
    import keras

    import tfts
    from tfts.task import Task

    rng = np.random.default_rng(0)
    past = rng.normal(size=(windows, context, features)).astype("float32")
    future = rng.normal(size=(windows, 10, 1)).astype("float32")
    ways = {}
    for way, use_cudnn in (("tfts", "auto"), ("keras", False)):
        model = tfts.MODELS[name](Task(context, horizon=10, past=features - 1), units=64)
        for layer in model.layers:
            if isinstance(layer, keras.layers.LSTM):
                layer.use_cudnn = use_cudnn
        model.compile("adam", "mse", jit_compile=False)
        ways[way] = (
            lambda model=model: model.fit(past, future, batch_size=64, verbose=0),
            lambda model=model: model.predict(past, batch_size=256, verbose=0),
        )
    return quickest(ways, threads, repeats)


def _print_rows(where, times, base):
    for way, found in times.items():
        if found is None:
            print(f"{where:<28}{way:>12}  skipped: not installed (pip install 'tfts[benchmarks]')")
            continue
        against = times[base]
        ratios = (
            ""
            if against is None
            else "".join(f"{x / y:>9.2f} x" for x, y in zip(found, against, strict=True))
        )
        print(f"{where:<28}{way:>12}" + "".join(f"{x:>11.2f}" for x in found) + ratios)


def main(arguments=None):
    """Prints a row for each size, or model, and way."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--models", action="store_true", help="measure whole networks")
    chosen = parser.parse_args(arguments)
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(chosen.threads)
        tf.config.threading.set_inter_op_parallelism_threads(chosen.threads)
    except RuntimeError:
        print("TensorFlow runs already: its threads are what they were.")
    print(f"{chosen.threads} threads, best of {chosen.repeats}, in turn")
    if chosen.models:
        print(f"{'model':<28}{'LSTM':>12}{'epoch, ms':>11}{'predict':>11}{'of Keras':>11}{'of Keras':>11}")
        for context, features in ((60, 3), (168, 8)):
            for name in MODELS:
                _print_rows(
                    f"{name}, {context} x {features}",
                    model_times(name, context, features, chosen.threads, chosen.repeats),
                    "keras",
                )
        return
    titles = ("way", "forward, ms", "training", "of torch", "of torch")
    print(f"{'batch x context x features':<28}{titles[0]:>12}" + "".join(f"{x:>11}" for x in titles[1:]))
    for size in SIZES:
        where = "{} x {} x {} -> {}".format(*size)
        _print_rows(where, step_times(size, chosen.threads, chosen.repeats), "torch")


if __name__ == "__main__":
    main()
