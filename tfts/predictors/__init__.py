"""What is learnt: each predictor clones, fits, forecasts, saves and loads, whatever its kind."""

from tfts.predictors.baseline import BaselinePredictor
from tfts.predictors.network import NetworkPredictor
from tfts.predictors.predictor import Predictor, TrainingRows
from tfts.predictors.table import PREDICTORS, load_predictor, predictor_for

__all__ = [
    "PREDICTORS",
    "BaselinePredictor",
    "NetworkPredictor",
    "Predictor",
    "TrainingRows",
    "load_predictor",
    "predictor_for",
]
