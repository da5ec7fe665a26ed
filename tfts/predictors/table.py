"""The kinds of predictors, and the one that a model asks for."""

import inspect
from pathlib import Path

from tfts._messages import unknown
from tfts.baselines import BASELINES
from tfts.errors import SettingError
from tfts.predictors.baseline import BaselinePredictor
from tfts.predictors.network import NetworkPredictor
from tfts.predictors.predictor import Predictor

PREDICTORS = {"baseline": BaselinePredictor, "network": NetworkPredictor}


def predictor_for(model, model_options=None):
    """The unfitted predictor of a model.

    Args:
        model: A name of `MODELS` or `BASELINES`, a builder, a compiled Keras model, a `Template`
            of one, or a `Predictor`, of which a clone is made.
        model_options: Dict of options of the builder or baseline.

    Returns:
        A `Predictor`.

    Raises:
        ValueError: If the name is unknown, or it is none of these.

    Example:

    >>> type(predictor_for("drift")).__name__
    'BaselinePredictor'
    """
    if isinstance(model, Predictor):
        made = model.clone()
        if model_options is not None and model_options != made.model_options:
            made = type(made)(model.source, model_options)
        return made
    if isinstance(model, str) and model in BASELINES:
        # The networks bring Keras, which no baseline needs.
        return BaselinePredictor(model, model_options)
    if isinstance(model, str):
        from tfts.models import MODELS

        if model not in MODELS:
            raise SettingError(unknown("model", model, [*MODELS, *BASELINES]))
        return NetworkPredictor(model, model_options)
    if inspect.isroutine(model):
        # A builder: it brings Keras when it is called.
        return NetworkPredictor(model, model_options)
    from tfts.predictors.template import Template, template_of

    if not (callable(model) or isinstance(model, Template)):
        raise SettingError(
            "`model` must be a name of MODELS or BASELINES, a builder, or a compiled Keras model. "
            f"Received: {model!r}."
        )
    template = template_of(model)
    if model_options and isinstance(template, Template) and template is not model:
        raise SettingError(
            f"The Keras model {template.name!r} is made already, so `model_options` do nothing. Give a builder, or "
            f"leave them out. Received: model_options={model_options}."
        )
    return NetworkPredictor(template, model_options)


def load_predictor(folder, described, model, model_options):
    """The fitted predictor that was saved in a folder.

    Args:
        folder: Path.
        described: What its `save` returned.
        model: Name of the model, or `None` of one that was the user's own.
        model_options: Dict of its options.

    Returns:
        A fitted `Predictor`.

    Example:

    >>> import pandas as pd
    >>> from tfts.forecaster import Forecaster
    >>> frame = pd.DataFrame({"y": range(9)}, index=pd.date_range("2024-01-01", periods=9))
    >>> predictor = Forecaster("drift", context_length=2, horizon=1).fit(frame).predictor
    >>> folder = Path("drift")
    >>> folder.mkdir()
    >>> described = predictor.save(folder)
    >>> load_predictor(folder, described, "drift", {}).model.get_state() == predictor.model.get_state()
    True
    """
    return PREDICTORS[described["kind"]].load(Path(folder), described, model, model_options)
