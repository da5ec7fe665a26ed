"""What every test may use."""

import contextlib
import gc
import os
import signal
import sys
from pathlib import Path

# Before anything imports them: quiet, repeatable, and no window is ever opened.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("MPLBACKEND", "Agg")
# What XLA compiles runs for a few steps: quick code costs more to make than it saves.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)

import pytest

# A shell starts what runs in the background deaf to Ctrl-C, and so would be all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
SHARED_DATA = Path(os.environ.get("TFTS_DATA", Path(__file__).parents[2] / "shared" / "data"))


def pytest_collection_modifyitems(items):
    # What takes long begins first, so that no process is left with it at the end.
    items.sort(key=lambda item: "slow" not in item.keywords)
    if SHARED_DATA.is_dir():
        return
    skip = pytest.mark.skip(reason=f"needs the real data sets in {SHARED_DATA}")
    for item in items:
        if "shared_data" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real data sets; only for tests marked `shared_data`."""
    return SHARED_DATA


@pytest.fixture(scope="module", autouse=True)
def _as_if_alone():
    """A module pays for no collection of what others before it have left.

    A search collects garbage after each trial. In a process that has fitted a hundred networks this
    walks millions of objects that are there to stay, which took more than the trials themselves.
    """
    if "keras" in sys.modules:
        sys.modules["keras"].utils.clear_session()
    gc.collect()
    gc.freeze()


@contextlib.contextmanager
def without_graphs():
    """TensorFlow runs operation by operation.

    For fits of a few batches, of whose seconds the graph would take four in five. A graph is
    what users train with, so what is about training itself keeps it.
    """
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def eager():
    """The tests of a module run without graphs, and so do the fixtures that they share."""
    with without_graphs():
        yield
