"""Where the seconds of a fit go, with plain Keras and with the defaults of `Forecaster.fit`.

Both train the same network on the same windows, with the same optimizer and validation, for as
many epochs. `before` is `model.compile` and `model.fit` with `steps_per_execution=1`,
`jit_compile=False`, and windows of `keras.utils.timeseries_dataset_from_array`. The columns:
windows (gathering them alone, as the training does beside its steps), compile (tracing and
compiling: the first step less a later one), steps (the compiled training step alone, on a batch
that is there already, times the number of steps), rest (validation, callbacks, Python, and
waiting for windows: the whole less compile and steps). Bound by arithmetic: share near 100 %.
With `--cpu`, seconds of all cores together, which other work on the machine makes little longer.

    python -m benchmarks.fit_time
    python -m benchmarks.fit_time --models linear --windows 2000 --epochs 2
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.prediction import make_frame
from tfts import Forecaster, Scaler, chronological_split

MODELS = ("dlinear", "segment_rnn", "lstm_attention")
clock = time.perf_counter


def keras_windows(panel, context_length, horizon, batch_size):
    """Shuffled windows of one series as Keras makes them."""
    import keras

    first, _, last, _ = panel.spans[0]
    windows = keras.utils.timeseries_dataset_from_array(
        panel.values[first:last], None, context_length + horizon, batch_size=batch_size, shuffle=True, seed=0
    )

    def cut(window):
        # Keras does not say how long its windows are, which some layers need to know.
        window.set_shape((None, context_length + horizon, None))
        return window[:, :context_length], window[:, context_length:]

    return windows.map(cut)


def gathering_seconds(windows, epochs):
    """Seconds that the windows of a training take by themselves."""
    import tensorflow as tf

    @tf.function
    def read():
        seen = tf.constant(0)
        for _, future in windows:
            seen += tf.shape(future)[0]
        return seen

    read()
    start = clock()
    for _ in range(epochs):
        read()
    return clock() - start


def step_seconds(model, batch, repeats=20):
    """Seconds of tracing and compiling a training step, and of one step after that."""
    import tensorflow as tf

    step = tf.function(lambda: model.train_step(batch), jit_compile=model.jit_compile)
    model.optimizer.build(model.trainable_variables)
    start = clock()
    step()
    first = clock() - start

    start = clock()
    for _ in range(repeats):
        logs = step()
    logs["loss"].numpy()
    each = (clock() - start) / repeats
    return first - each, each


def measure(name, panels, sizes, epochs, plain):
    """Seconds of a fit and of its parts.

    Args:
        name: Name of a model.
        panels: Training and validation `Panel`.
        sizes: Tuple of `context_length` and `horizon`.
        epochs: Int >= 1.
        plain: Whether to train with plain Keras.

    Returns:
        Dict of `windows`, `compile`, `steps`, `rest`, `all` in seconds and `count` of steps.
    """
    forecaster = Forecaster(name, context_length=sizes[0], horizon=sizes[1])
    options = {"epochs": epochs, "batch_size": 64, "patience": None, "verbose": 0}
    how = {"jit_compile": False, "steps_per_execution": 1} if plain else {}
    model, windows, checked = forecaster.compiled(panels[0], validation=panels[1], **options, **how)
    if plain:
        windows = keras_windows(Scaler().fit(panels[0]).transform(panels[0]), *sizes, 64)
    count = int(windows.cardinality()) * epochs
    parts = {"windows": gathering_seconds(windows, epochs)}
    batch = next(iter(windows))
    parts["compile"], each = step_seconds(model, batch)
    parts["steps"] = each * count
    start = clock()
    if plain:
        model, _, _ = forecaster.compiled(panels[0], validation=panels[1], **options, **how)
        model.fit(windows, validation_data=checked, epochs=epochs, shuffle=False, verbose=0)
    else:
        forecaster.clone().fit(panels[0], validation=panels[1], **options)
    parts["all"] = clock() - start
    parts["rest"] = parts["all"] - parts["compile"] - parts["steps"]
    return {**parts, "count": count}


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--windows", type=int, default=8000)
    parser.add_argument("--context", type=int, default=336)
    parser.add_argument("--horizon", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--cpu", action="store_true", help="processor seconds in place of those that passed")
    chosen = parser.parse_args(arguments)
    global clock
    clock = time.process_time if chosen.cpu else time.perf_counter
    sizes = chosen.context, chosen.horizon
    rows = chosen.windows + sum(sizes) - 1
    checked = chosen.windows // 5
    frame = make_frame(rows + checked + chosen.horizon - 1)
    panel = Forecaster("linear", context_length=sizes[0], horizon=sizes[1]).panel(frame)
    split = chronological_split(panel, validation=frame.index[rows], test=0)
    print(
        f"{chosen.windows:,} windows of {sizes[0]} x 7 in, {sizes[1]} x 7 out, batch 64, {chosen.epochs} epochs, "
        f"validation on {checked:,}; {'processor ' * chosen.cpu}seconds"
    )
    print(
        f"{'model':<16}{'':<8}{'windows':>9}{'compile':>9}{'steps':>9}{'rest':>9}{'all':>9}{'share':>8}{'faster':>8}"
    )
    for name in chosen.models:
        before = None
        for plain in (True, False):
            row = measure(name, (split.train, split.validation), sizes, chosen.epochs, plain)
            before = before or row["all"]
            numbers = [f"{row[part]:>9.2f}" for part in ("windows", "compile", "steps", "rest", "all")]
            print(
                f"{name:<16}{'before' if plain else 'after':<8}{''.join(numbers)}"
                f"{row['steps'] / row['all']:>8.0%}{before / row['all']:>8.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
