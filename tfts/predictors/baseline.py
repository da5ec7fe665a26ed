"""A member of `BASELINES` as a predictor."""

import copy
import time

import numpy as np

from tfts._files import read_arrays
from tfts.baselines import BASELINES, Ridge, build_baseline
from tfts.errors import ModelError
from tfts.predictors.network import NetworkPredictor
from tfts.predictors.predictor import Predictor


class BaselinePredictor(Predictor):
    """A simple method: it learns in closed form or not at all.

    Args:
        name: A name of `BASELINES`.
        model_options: Dict of its options.

    Example:

    >>> BaselinePredictor("persistence").is_fitted
    False
    """

    measured_apart = True

    def __init__(self, name, model_options=None):
        super().__init__()
        self.name, self.model_options = name, copy.deepcopy(dict(model_options or {}))
        self.holds_out = BASELINES[name].holds_out

    @property
    def num_parameters(self):
        """Numbers learnt in `fit`."""
        return self.model.num_parameters

    def check_output(self, output):
        """As `Predictor.check_output`: it gives points."""
        if output.has_distribution:
            raise ModelError(
                f"The baseline {self.name!r} gives points. Leave `output` out and give `quantiles`, which are then "
                f"those of its errors on held-out rows. Received: output={output!r}."
            )

    def fit(self, rows, options, settings):
        """As `Predictor.fit`; of the options only `verbose` may be set."""
        options.check_unused(f"The baseline {self.name!r}", ("verbose",))
        began = time.monotonic()
        baseline = build_baseline(self.name, **self.model_options)
        own = BASELINES[self.name]
        train, valid = (rows.train, rows.validation) if own.copies_values else rows.scaled(own.dtype)
        self.model = baseline.fit(train, rows.training_spec, valid)
        return time.monotonic() - began

    def as_network(self, num_features):
        """The same forecasts from a Keras model.

        Args:
            num_features: Columns of `past`.

        Returns:
            A fitted `NetworkPredictor` of `linear`.

        Raises:
            ValueError: If it is no ridge, or the ridge has a centre of 0.
        """
        if not isinstance(self.model, Ridge):
            raise ModelError(
                f"The baseline {self.name!r} is no Keras model, and only a ridge can be turned into one. Expected "
                "ridge, a model of MODELS, or a Keras model of yours."
            )
        from tfts.linear_start import ridge_network

        model, options = ridge_network(self.model, num_features)
        network = NetworkPredictor("linear", options)
        network.model = model
        return network

    def require_network(self, lack):
        """Raises an error that says what a baseline lacks."""
        raise ModelError(f"The baseline {self.name!r} {lack}.")

    def _prepared(self, panel, scaler):
        # Copies of values need no scale, which would cost digits.
        own = BASELINES[self.name]
        return panel if own.copies_values else scaler.transform(panel, own.dtype)

    def _predict(self, panel, spec, rows):
        return self.model.predict(panel, spec, rows)

    def save(self, folder):
        """Writes `baseline.npz`; what is no array is returned."""
        arrays, plain = {}, {}
        for key, value in self.model.get_state().items():
            (arrays if isinstance(value, np.ndarray) else plain)[key] = value
        np.savez(folder / "baseline.npz", **arrays)
        return {"kind": "baseline", "state": plain}

    @classmethod
    def load(cls, folder, described, model, model_options):
        """As `Predictor.load`."""
        predictor = cls(model, model_options)
        predictor.model = build_baseline(model, **model_options)
        predictor.model.set_state({**described["state"], **read_arrays(folder / "baseline.npz")})
        return predictor
