"""How fast windows come: WindowSpec.dataset, Keras' own function and a PyTorch DataLoader.

Every tool makes one shuffled epoch of the same windows, context and future, from one
table of 200,000 rows and 8 columns, in turn, three times; the best time counts. Asked
for: at least 20 times Keras and 3 times the DataLoader. With `--memory`: the peak memory
of a process that makes 200 shuffled batches from 10 million rows. Asked for: at most
the table and 1 GB.

    python -m benchmarks.windows_per_second
    python -m benchmarks.windows_per_second --memory
"""

import argparse
import functools
import os
import resource
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd

from tfts.data.panel import Panel
from tfts.data.scaling import Scaler
from tfts.data.windows import WindowSpec

COLUMNS = list("abcdefgh")


def make_panel(num_rows):
    """A panel of one series as a network sees it, scaled: seeded noise in 8 columns, a row a minute."""
    values = np.random.default_rng(42).random((num_rows, len(COLUMNS)), dtype=np.float32)
    index = pd.date_range("2000-01-01", periods=num_rows, freq="min")
    panel = Panel.from_frame(pd.DataFrame(values, columns=COLUMNS, index=index, copy=False))
    return Scaler("none").fit(panel).transform(panel)


def tfts_windows(panel, context_length, horizon, batch_size):
    """Epochs of `WindowSpec.dataset`."""
    return WindowSpec(context_length, horizon).dataset(panel, batch_size, shuffle=True, seed=42)


def graph_windows(panel, context_length, horizon, batch_size):
    """The same epochs read inside a graph, as `model.fit` does, without Python for each batch."""
    import tensorflow as tf

    dataset = tfts_windows(panel, context_length, horizon, batch_size)

    @tf.function
    def read():
        seen = tf.constant(0)
        for _, future in dataset:
            seen += tf.shape(future)[0]
        return seen

    class Epoch:
        def __iter__(self):
            yield None, range(int(read()))

    return Epoch()


def keras_windows(panel, context_length, horizon, batch_size):
    """Epochs of `timeseries_dataset_from_array`: one window, cut into context and future."""
    import keras

    windows = keras.utils.timeseries_dataset_from_array(
        panel.values, None, context_length + horizon, batch_size=batch_size, shuffle=True, seed=42
    )
    return windows.map(lambda window: (window[:, :context_length], window[:, context_length:]))


def torch_windows(panel, context_length, horizon, batch_size, as_tensor=False):
    """Epochs of a `DataLoader` over a plain `Dataset`, or `None` without PyTorch.

    The table is the NumPy array that the other tools get too, or, with `as_tensor`, made
    a tensor first, which spares the loader a conversion for each window.
    """
    try:
        import torch
    except ImportError:
        return None

    class Windows(torch.utils.data.Dataset):
        table = torch.from_numpy(panel.values) if as_tensor else panel.values

        def __len__(self):
            return len(self.table) - context_length - horizon + 1

        def __getitem__(self, i):
            middle = i + context_length
            return self.table[i:middle], self.table[middle : middle + horizon]

    return torch.utils.data.DataLoader(Windows(), batch_size, shuffle=True, num_workers=0)


TOOLS = {
    "tfts": tfts_windows,
    "tfts, in a graph": graph_windows,
    "keras": keras_windows,
    "torch": torch_windows,
    "torch, tensor": functools.partial(torch_windows, as_tensor=True),
}


def windows_per_second(panel, context_length, horizon, batch_size, repeats=3):
    """Windows per second of each tool, `None` for one that is not installed.

    Args:
        panel: A `Panel` of one series.
        context_length: Rows seen.
        horizon: Rows forecast.
        batch_size: Windows in a batch.
        repeats: Epochs of each tool, in turn; the fastest counts.

    Returns:
        Dict from tool to windows per second.
    """
    epochs = {name: make(panel, context_length, horizon, batch_size) for name, make in TOOLS.items()}
    count = len(panel.values) - context_length - horizon + 1
    best = dict.fromkeys(TOOLS)
    for _ in range(repeats):
        for name, epoch in epochs.items():
            if epoch is None:
                continue
            start = time.perf_counter()
            seen = sum(len(future) for _, future in epoch)
            speed = seen / (time.perf_counter() - start)
            if seen != count:
                raise ValueError(f"{name} made {seen} windows. Expected {count}.")
            best[name] = max(speed, best[name] or 0)
    return best


def peak_megabytes():
    """Most memory this process has held so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def measure_memory(num_rows, context_length, horizon, batch_size, num_batches):
    """Prints the peak memory while the panel is made and after the batches."""
    panel = make_panel(num_rows)
    table = panel.values.nbytes / 2**20
    print(f"{'the table itself':<28}{table:>8.0f} MB")
    print(f"{'making the panel, peak':<28}{peak_megabytes():>8.0f} MB")
    start = time.perf_counter()
    for _ in tfts_windows(panel, context_length, horizon, batch_size).take(num_batches):
        pass
    peak = peak_megabytes()
    print(f"{f'after {num_batches} batches, peak':<28}{peak:>8.0f} MB, {time.perf_counter() - start:.1f} s")
    print(f"{'peak less the table':<28}{peak - table:>8.0f} MB (asked for: at most 1024)")


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--memory", action="store_true", help="measure peak memory in a process of its own")
    parser.add_argument("--measure-here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, help="rows of the table (200,000; with --memory 10,000,000)")
    chosen = parser.parse_args(arguments)
    if chosen.measure_here:
        measure_memory(chosen.rows or 10_000_000, 512, 96, batch_size=64, num_batches=200)
        return
    if chosen.memory:
        rows = [] if chosen.rows is None else ["--rows", str(chosen.rows)]
        subprocess.run(
            [sys.executable, "-m", "benchmarks.windows_per_second", "--measure-here", *rows], check=True
        )
        return
    panel = make_panel(chosen.rows or 200_000)
    print(f"{len(panel.values):,} rows x {len(COLUMNS)} columns, windows of 96 + 24, shuffled, best of 3")
    print(f"{'batch':>6}{'tool':>18}{'windows/s':>12}{'tfts is':>12}{'asked for':>12}")
    for batch_size in (64, 512):
        speeds = windows_per_second(panel, 96, 24, batch_size)
        for name, speed in speeds.items():
            if speed is None:
                print(f"{batch_size:>6}{name:>18}  skipped: not installed (pip install 'tfts[benchmarks]')")
                continue
            asked = {"keras": "20 x", "torch": "3 x", "torch, tensor": "3 x"}.get(name, "")
            print(f"{batch_size:>6}{name:>18}{speed:>12,.0f}{speeds['tfts'] / speed:>10.1f} x{asked:>12}")


if __name__ == "__main__":
    main()
