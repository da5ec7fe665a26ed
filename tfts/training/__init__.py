"""How networks are trained: one schema of options and one loop."""

from tfts.training.compiling import compile_network
from tfts.training.loop import Diverged, kept_random_state, train_network
from tfts.training.metrics import network_metric, target_units
from tfts.training.options import TrainingArguments, TrainingOptions, TrainingSettings, takes_training_options
from tfts.training.precision import network_to_keep, network_to_train, training_policies
from tfts.training.units import needs_window_units, window_units

__all__ = [
    "Diverged",
    "TrainingArguments",
    "TrainingOptions",
    "TrainingSettings",
    "compile_network",
    "kept_random_state",
    "needs_window_units",
    "network_metric",
    "network_to_keep",
    "network_to_train",
    "takes_training_options",
    "target_units",
    "train_network",
    "training_policies",
    "window_units",
]
