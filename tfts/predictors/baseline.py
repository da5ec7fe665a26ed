"""A member of `BASELINES` as a predictor."""

import copy
import time
import warnings

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
        self.holds_out, self.in_units = BASELINES[name].holds_out, BASELINES[name].copies_values

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
        """As `Predictor.fit`; of the options only `verbose` may be set, of the settings only `on_problem` acts."""
        options.check_unused(f"The baseline {self.name!r}", ("verbose",))
        began = time.monotonic()
        baseline = build_baseline(self.name, **self.model_options)
        baseline.skips_series = settings.get("on_problem") == "fallback" and bool(settings.get("series"))
        own = BASELINES[self.name]
        train, valid = (rows.train, rows.validation) if own.copies_values else rows.scaled(own.dtype)
        self._say_unused(train)
        train, valid = self._plain(train), valid and self._plain(valid)
        self.model = baseline.fit(train, rows.training_spec, valid)
        return time.monotonic() - began

    def as_network(self, task):
        """The same forecasts from a Keras model.

        Args:
            task: `Task` of the fit.

        Returns:
            A fitted `NetworkPredictor` of `linear`.

        Raises:
            ValueError: If it is no ridge, or the ridge has a centre of 0, labels or attributes.
        """
        if not isinstance(self.model, Ridge):
            raise ModelError(
                f"The baseline {self.name!r} is no Keras model, and only a ridge can be turned into one. Expected "
                "ridge, a model of MODELS, or a Keras model of yours."
            )
        if task.static or task.categories:
            raise ModelError(
                "A ridge with labels or attributes of series can't be turned into a network. Expected one of columns "
                f"of numbers. Received: static={list(task.static)}, categories={dict(task.categories)}."
            )
        from tfts.linear_start import ridge_network

        model, options = ridge_network(self.model, task.num_features, task.masked)
        network = NetworkPredictor("linear", options)
        network.model = model
        return network

    def knows(self, panel):
        """As `Predictor.knows`: methods with parameters for each series have none for a new one."""
        known = getattr(self.model, "series_", None)
        return super().knows(panel) if known is None else np.isin(list(map(str, panel.series)), known)

    def require_network(self, lack):
        """Raises an error that says what a baseline lacks."""
        raise ModelError(f"The baseline {self.name!r} {lack}.")

    def _prepared(self, panel, scaler, spec):
        # Copies of values need no scale, which would cost digits.
        own = BASELINES[self.name]
        scaled = panel if self.in_units else scaler.transform(panel, own.dtype)
        return scaled, self._plain(scaled, spec.horizon)

    def _plain(self, panel, horizon=0):
        """The panel without labels and attributes, which are columns of numbers to a method that uses them."""
        if not panel.labels and not panel.static:
            return panel
        if not BASELINES[self.name].uses_columns:
            return panel.without_labels()
        # Attributes are known of any row to come.
        return (panel.extend(horizon) if panel.static and horizon else panel).with_indicators()

    def _say_unused(self, panel):
        unused = {*panel.labels, *panel.static}
        if BASELINES[self.name].uses_columns:
            unused &= {panel.series_name}
        if unused:
            warnings.warn(
                f"The baseline {self.name!r} does not use labels and attributes of series: "
                f"{', '.join(sorted(unused))}.",
                stacklevel=4,
            )

    def _predict(self, prepared, spec, rows):
        panel, plain = prepared
        moved = plain.spans.start - panel.spans.start
        return self.model.predict(plain, spec, rows + moved[panel.series_of(rows)])

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
