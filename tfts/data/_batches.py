"""Batches of windows by their places, made without Python for each window."""

import os

import numpy as np

from tfts.data._arrays import aligned_empty

# Bytes from which a table is worth sharing with TensorFlow instead of copying.
_SHARED = 2**20


def drawn_by_series(panel, rows, count):
    """A function from a pair of seeds to places of windows, drawn so that every series has an equal chance."""
    import tensorflow as tf

    of = panel.series_of(rows)
    first = np.flatnonzero(np.append(True, of[1:] != of[:-1]))
    sizes = np.diff(first, append=len(rows))

    def draw(pair):
        series = tf.random.stateless_uniform((count,), pair, maxval=len(first), dtype=tf.int32)
        share = tf.random.stateless_uniform((count,), pair + 1, dtype=tf.float64)
        return tf.gather(first, series) + tf.cast(
            share * tf.gather(sizes.astype(np.float64), series), tf.int64
        )

    return draw


def places_of(rows, panel):
    """Row numbers as a tensor, in half the memory where they are small enough."""
    places = aligned_empty(len(rows), np.int32 if len(panel.values) < 2**31 else np.int64)
    places[:] = rows
    return on_host(places)


def on_host(array):
    """A tensor that batches are gathered from: it need not fit on an accelerator."""
    import tensorflow as tf

    with tf.device("CPU:0"):
        aligned = array.ctypes.data % 64 == 0 and array.flags.c_contiguous and array.flags.writeable
        if aligned and array.nbytes >= _SHARED:
            # The same memory. TensorFlow ends the process on an address it can't use.
            return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
        return tf.convert_to_tensor(array)


def batches(make, count, batch_size):
    """Dataset of `make(places of one batch)`, which takes no Python per window."""
    import tensorflow as tf

    def places(step):
        first = step * batch_size
        return tf.cast(tf.range(first, tf.minimum(first + batch_size, count)), tf.int32)

    steps = tf.data.Dataset.range(-(-count // batch_size))
    # A few threads and batches ahead keep training busy; more would fill the memory, and
    # tuning their number costs small batches more than it brings.
    threads = min(4, os.cpu_count() or 1)
    made = as_written(lambda step: make(places(step)))
    return steps.map(made, num_parallel_calls=threads, deterministic=True).prefetch(8)


def as_written(function):
    """A function that TensorFlow traces without rewriting its Python, which would take half a second."""
    import tensorflow as tf

    return tf.autograph.experimental.do_not_convert(function)


def plain(dataset):
    """Runs the dataset as it is: rewriting it finds nothing, but copies the table to look."""
    import tensorflow as tf

    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False
    return dataset.with_options(options)
