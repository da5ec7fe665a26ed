"""What can be exported: each kind of fitted model with its functions, its description and samples."""

import dataclasses
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from tfts._files import read_run
from tfts._messages import unknown
from tfts.anomaly.detector import AnomalyDetector
from tfts.calibration.phases import season_phases
from tfts.errors import MissingFileError, ModelError, NotFittedError, SettingError
from tfts.forecaster import Forecaster
from tfts.outputs import NegativeBinomial
from tfts.serving.samples import sample_panel

_KINDS = "a fitted Forecaster, AnomalyDetector, linear, logistic or softmax regression, or a folder of one"


class ForecasterServable:
    """A forecaster as `export` sees it.

    Args:
        forecaster: A fitted `Forecaster`.

    Attributes:
        name: Of the model.
        signatures: The `tf.Module` with the functions and all that they need.
        layers: Names of the layers.

    Raises:
        ValueError: If it has no Keras model.

    Example:

    >>> frame = pd.DataFrame({"y": np.arange(50.0)}, index=pd.date_range("2024-01-01", periods=50))
    >>> fitted = Forecaster("persistence", context_length=5, horizon=3).fit(frame)
    >>> ForecasterServable(fitted)
    Traceback (most recent call last):
    tfts.errors.ModelError: The baseline 'persistence' is no Keras model, and only a ridge can be turned into one. ...
    """

    kind = "forecaster"

    def __init__(self, forecaster):
        from tfts.serving.signatures import ForecastSignatures

        self.forecaster, self.name = forecaster.as_network(), forecaster.name
        self.signatures = self._signatures(ForecastSignatures)
        self.layers = [layer.name for layer in self.forecaster.model.layers]

    def _signatures(self, kind):
        return kind(self.forecaster)

    def leave_counts_out(self):
        """Leaves out quantiles that take an operation of TensorFlow alone, with a warning."""
        if self.signatures.levels and isinstance(self.forecaster.output, NegativeBinomial):
            warnings.warn(
                "The exported model gives forecasts without quantiles, because other runtimes than TensorFlow lack an "
                "operation of the quantiles of output='negative_binomial'. format='savedmodel' has them.",
                stacklevel=3,
            )
            self.signatures = type(self.signatures)(self.forecaster, quantiles=False)

    def described(self):
        """What metadata.json says of the model, a dict."""
        forecaster = self.forecaster
        settings = forecaster.settings
        if not isinstance(settings["model"], str):
            settings["model"] = None
        training = forecaster.training_ or {}
        return {
            "kind": self.kind,
            "model": forecaster.name,
            "task": forecaster.task.get_config(),
            "context_length": forecaster.spec.context_length,
            "horizon": forecaster.spec.horizon,
            "freq": forecaster.freq,
            "timezone": training.get("timezone"),
            "columns": list(self.signatures.columns),
            "targets": list(forecaster.targets),
            "quantile_levels": list(self.signatures.levels),
            "season_length": season_phases(pd.DatetimeIndex([]), forecaster.freq)[1],
            "known_future": list(forecaster.known_future),
            "static": list(forecaster.scaler_.static),
            "calendar": settings["calendar"],
            "series": settings["series"],
            "series_names": self.signatures.series_names,
            "settings": settings,
            "scaler": forecaster.scaler_.get_state(),
            "missing": settings["missing"],
            "limit": settings["limit"],
            "training": {key: training.get(key) for key in ("start", "end", "rows")},
        }

    def samples(self):
        """Signature -> `(inputs, outputs)`, the outputs made by the model itself and not by its graph."""
        forecaster = self.forecaster
        panel, rows = sample_panel(forecaster, self.signatures.series_names)
        inputs = self._inputs(panel, rows)
        forecast = forecaster.forecast_windows(panel, rows).astype(np.float32)
        outputs = {"forecast": forecast}
        if self.signatures.levels:
            outputs["quantiles"] = forecaster.quantile_windows(panel, rows).astype(np.float32)
        made = {"serving_default": (inputs, outputs)}
        if forecaster.has_attention:
            attention = forecaster.attention(panel, rows)
            made["forecast_with_attention"] = (inputs, {"forecast": forecast, "attention": attention})
        return made

    def _inputs(self, panel, rows):
        spec, names = self.forecaster.spec, self.signatures.series_names
        # A graph fills holes itself.
        inputs = spec.inputs(dataclasses.replace(panel, masked=False), rows)
        inputs = inputs if isinstance(inputs, dict) else {"past": inputs}
        if names is not None:
            inputs["series"] = np.array(
                [names.index(n) if n in names else -1 for n in panel.series], np.int32
            )
        if "phase" in self.signatures.inputs():
            inputs["phase"] = season_phases(panel.times[rows], panel.freq)[0].astype(np.int32)
        return inputs


class DetectorServable(ForecasterServable):
    """A detector as `export` sees it.

    Args:
        detector: A fitted `AnomalyDetector`.

    Raises:
        ValueError: If it has no Keras model, or judges by more than the window and the row.

    Example:

    >>> days = pd.date_range("2024-01-01", periods=90)
    >>> usual = pd.DataFrame({"sales": np.random.default_rng(0).normal(100, 5, 90)}, index=days)
    >>> DetectorServable(AnomalyDetector("pca_windows", context_length=5).fit(usual))
    Traceback (most recent call last):
    tfts.errors.ModelError: The window method 'pca_windows' is no Keras model, so there is no graph to...
    """

    kind = "detector"

    def __init__(self, detector):
        from tfts.serving.signatures import check_stateless

        self.detector = detector
        check_stateless(detector)
        if detector.plan_.subsequence is not None:
            raise ModelError(
                f"The window method {detector.settings['model']!r} is no Keras model, so there is no graph to export. "
                "Expected a detector with a model of MODELS."
            )
        super().__init__(detector.forecaster_)

    def _signatures(self, kind):
        from tfts.serving.signatures import DetectSignatures

        return DetectSignatures(self.detector)

    def described(self):
        """What metadata.json says of the model, a dict."""
        detector, plan = self.detector, self.detector.plan_
        settings = detector.settings
        if not isinstance(settings["model"], str):
            settings["model"] = None
        names = self.signatures.series_names or [None]
        return {
            **super().described(),
            "detector": {
                "settings": settings,
                "score": plan.score.get_state(),
                "centres": [[name, plan.limits.measure(name)[0].score.centre_.tolist()] for name in names],
                "units": [[name, plan.limits.measure(name)[1].tolist()] for name in names],
                "thresholds": [[name, [t.limit_ for t in plan.thresholds(name)]] for name in names],
                "min_size": plan.min_size,
                "expected_alarms_a_day": detector.expected_alarms_a_day_,
            },
        }

    def samples(self):
        """Signature -> `(inputs, outputs)`; the answers are those of the live monitor."""
        forecaster, plan = self.forecaster, self.detector.plan_
        panel, rows = sample_panel(forecaster, self.signatures.series_names)
        modelled = panel.values.copy()
        targets = panel.indices(panel.targets)
        # One window goes on with what no one would take for usual.
        modelled[rows[0] + 1, targets] += 9 * forecaster.scaler_.scale[targets]
        original = modelled.astype(np.float64)
        if len(plan.log_at):
            names = [panel.series[i] for i in panel.series_of(np.arange(len(original)))]
            offsets = np.stack([plan.offsets(name) for name in names])
            original[:, plan.log_at] = np.exp(original[:, plan.log_at]) - offsets
        original = original.astype(np.float32)
        panel = dataclasses.replace(panel, values=original)
        answers = self._judged(panel, rows)
        inputs = self._inputs(panel, rows)
        forecast = answers["forecast"][:, None]
        made = {"serving_default": (inputs, {"forecast": forecast})}
        if forecaster.has_attention:
            attention = forecaster.attention(dataclasses.replace(panel, values=modelled), rows)
            made["forecast_with_attention"] = (inputs, {"forecast": forecast, "attention": attention})
        made["detect"] = ({**inputs, "actual": original[rows + 1][:, targets]}, answers)
        return made

    def _judged(self, panel, rows):
        plan, context = self.detector.plan_, self.forecaster.spec.context_length
        monitor = self.detector.monitor({"detector": self.detector.fingerprint_, "counts": {}, "series": []})
        records = monitor.record()
        own = panel.indices(plan.columns)
        stamps = panel.times.as_unit("ns").asi8
        for row, name in zip(rows, panel.series, strict=True):
            monitor.forget(name)
            for at in range(row - context + 1, row + 2):
                monitor.take(name, int(stamps[at]), panel.values[at, own].astype(np.float64))
        _, _, _, predicted, residual, sizes, _, flags, _ = zip(*records, strict=True)
        numbers = {"forecast": predicted, "residual": residual, "score": sizes}
        return {
            **{name: np.array(values, np.float32) for name, values in numbers.items()},
            "flag": np.array(flags, bool),
        }


class RegressionServable:
    """A regression as `export` sees it.

    Args:
        model: Keras model from `(batch, features)` to values or probabilities.
        columns: Names of the features.
        targets: Names of the outputs, or of the one column of classes.
        classes: List of the classes; `None` for values.
        level: Offset and scale of the features, between which samples are made.

    Example:

    >>> from tfts import LinearRegression
    >>> fitted = LinearRegression().fit(np.array([[0.0], [1.0], [2.0]]), [1.0, 3.0, 5.0])
    >>> RegressionServable.of(fitted).described()["columns"]
    ['x0']
    """

    def __init__(self, model, columns, targets, classes, level):
        from tfts.serving.signatures import RegressionSignatures

        self.model, self.name, self.level = model, model.name, level
        self.columns, self.targets, self.classes = list(columns), list(targets), classes
        self.signatures = RegressionSignatures(model)
        self.layers = [layer.name for layer in model.layers]

    @classmethod
    def of(cls, estimator):
        """The servable of a fitted estimator, in double precision for features such as years."""
        model = estimator.to_keras("float64")
        columns = getattr(estimator, "feature_names_in_", None)
        if columns is None:
            columns = [f"x{i}" for i in range(estimator.n_features_in_)]
        classes = getattr(estimator, "classes_", None)
        targets = ["y"] if classes is not None else [f"y{i}" for i in range(model.output_shape[1])]
        level = (estimator.offset_, estimator.scale_)
        return cls(model, columns, targets, None if classes is None else classes.tolist(), level)

    def leave_counts_out(self):
        """Nothing: it has no quantiles."""

    def described(self):
        """What metadata.json says of the model, a dict."""
        nothing = (
            "context_length",
            "horizon",
            "freq",
            "timezone",
            "series",
            "series_names",
            "scaler",
            "limit",
        )
        return {
            "kind": "regression",
            "model": self.model.name,
            **dict.fromkeys(nothing),
            "columns": self.columns,
            "targets": self.targets,
            "classes": self.classes,
            "known_future": [],
            "static": [],
            "calendar": [],
            "settings": {},
            "missing": "raise",
            "training": {"start": None, "end": None, "rows": None},
        }

    def samples(self):
        """Signature -> `(inputs, outputs)`, the outputs made by the Keras model."""
        offset, scale = map(np.asarray, self.level)
        rows = np.random.default_rng(0).normal(size=(7, len(self.columns)))
        rows = (offset + scale * rows).astype(np.float32)
        outputs = np.asarray(self.model(rows.astype(self.model.inputs[0].dtype), training=False))
        (name,) = self.signatures.functions()["serving_default"].structured_outputs
        return {"serving_default": ({"features": rows}, {name: outputs.astype(np.float32)})}


def servable_of(source, model=None):
    """What can be exported of a fitted model or a folder.

    Args:
        source: A fitted `Forecaster`, `AnomalyDetector` or regression; or a folder that one
            of them or a run wrote.
        model: Name of a model of a run of `tfts run`.

    Returns:
        Tuple of the servable and its scores on test rows, a list of dicts.

    Raises:
        FileNotFoundError: If a folder holds none of these.
        ValueError: If it can't be exported; the message says what can.

    Example:

    >>> servable_of(7)
    Traceback (most recent call last):
    tfts.errors.ModelError: Expected a fitted Forecaster, AnomalyDetector, linear, logistic or softmax...
    """
    from tfts.regression import REGRESSIONS

    if isinstance(source, str | os.PathLike):
        return _of_folder(Path(source), model)
    if model is not None:
        raise SettingError(
            f"`model` chooses one of a run's, so it goes with the folder of a run. Received: {model!r}."
        )
    for kind, servable in ((Forecaster, ForecasterServable), (AnomalyDetector, DetectorServable)):
        if isinstance(source, kind):
            if not source.is_fitted:
                raise NotFittedError(
                    f"The {kind.__name__} has not learnt anything yet. Call fit first, or load."
                )
            return servable(source), []
    if isinstance(source, tuple(REGRESSIONS.values())):
        return RegressionServable.of(source), []
    raise ModelError(f"Expected {_KINDS}. Received: {type(source).__name__}.")


def _of_folder(folder, model):
    if (folder / "forecaster.json").is_file():
        return servable_of(Forecaster.load(folder), model)
    if (folder / "detector.json").is_file():
        return servable_of(AnomalyDetector.load(folder), model)
    if not (folder / "run.json").is_file():
        raise MissingFileError(
            f"{folder} holds nothing to export. Expected {_KINDS}, such as the --output of `tfts run`."
        )
    if (folder / "detector" / "detector.json").is_file():
        return servable_of(AnomalyDetector.load(folder / "detector"), model)
    for path in (folder / "models").glob("*/model.json"):
        return _of_regression_run(folder, path.parent, model)
    read_run(folder)
    names = sorted(
        path.name for path in (folder / "models").glob("*") if (path / "forecaster.json").is_file()
    )
    if model not in names:
        raise SettingError(unknown("model of the run", model, names))
    scores = pd.read_csv(folder / "model_metrics.csv") if (folder / "model_metrics.csv").is_file() else None
    servable, _ = servable_of(Forecaster.load(folder / "models" / model))
    return servable, [] if scores is None else _scores(scores[scores["model"] == model])


def _of_regression_run(run_dir, folder, model):
    if model is not None:
        raise ModelError(
            f"A run of `tfts regress` holds one model, so there is none to choose. Received: {model!r}."
        )
    import keras

    said = json.loads((folder / "model.json").read_text())
    network = keras.models.load_model(folder / "model.keras")
    level = (said["offset"], said["scale"])
    servable = RegressionServable(network, said["features"], said["targets"], said["classes"], level)
    path = run_dir / "model_metrics.csv"
    return servable, _scores(pd.read_csv(path)) if path.is_file() else []


def _scores(table):
    """Rows of a table of scores as JSON takes them."""
    rows = table.dropna(axis=1, how="all").to_dict("records")
    return [{key: None if pd.isna(value) else value for key, value in row.items()} for row in rows]
