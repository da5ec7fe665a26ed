"""The ridge as the first weights of a network's linear part, or as a network of its own."""

import numpy as np

from tfts.baselines import build_baseline
from tfts.errors import SettingError
from tfts.models import linear
from tfts.outputs.forecast import Forecast
from tfts.task import Task

# Names of the layers that map a window to the horizon, as the builders give them. Those of one line
# map parts of a window that sum to it, so the same weights for each map the window itself.
_LINEAR_LAYERS = (("linear_skip",), ("map",), ("remainder", "trend"))
# The ridge that fits a kernel of so many axes: (context, horizon), which all targets share,
# (context, horizon, targets), and (context, features, horizon, targets).
_RIDGES = {2: {}, 3: {"weights": "own"}, 4: {"inputs": "all"}}

# Windows whose errors say how wide an output starts.
_ERRORS = 512


def start_from_ridge(model, train, spec, validation=None):
    """Gives the linear layer of a network the weights of a fitted `ridge`.

    With `window_norm="none"` or `"last"` the layer then forecasts as the ridge does. With
    `"instance"` it does so for windows of spread 1 only, since the ridge learns from windows
    that keep their spread. Labels and attributes start without weight.

    Args:
        model: `keras.Model` of a builder with a linear skip, or `linear`.
        train: `Panel` of training rows, scaled.
        spec: `WindowSpec` of the training windows.
        validation: `Panel` of scaled validation rows, on which the ridge is chosen too.

    Returns:
        The fitted `Ridge`.

    Raises:
        ValueError: If the network has no linear layer, or the table is too short to hold
            rows out.

    Example:

    >>> import numpy as np, pandas as pd
    >>> from tfts.data.panel import Panel
    >>> from tfts.data.windows import WindowSpec
    >>> days = pd.date_range("2024-01-01", periods=90)
    >>> panel = Panel.from_frame(pd.DataFrame({"y": np.sin(np.arange(90.0))}, index=days))
    >>> model = linear(Task(context_length=12, horizon=2))
    >>> start_from_ridge(model, panel, WindowSpec(12, 2)).chosen_[0]["lookback"]
    12
    """
    names = linear_layers_of(model)
    if not names:
        raise SettingError(
            f"linear_start='ridge' sets a linear map from window to horizon, and the model {model.name!r} has none. "
            "Choose a builder with `linear_skip` 'own' or 'all', or linear_start='zeros'."
        )
    axes = len(model.get_layer(names[0]).kernel.shape)
    ridge = build_baseline("ridge", **_RIDGES[axes])
    ridge.fit(train.without_labels(), spec, validation and validation.without_labels())
    kernel, known, intercept = ridge.linear_map()
    set_linear_layer(model, names[0], kernel, known, intercept)
    for name in names[1:]:
        set_linear_layer(model, name, kernel, known[:, :0], np.zeros_like(intercept))
    start_spread(model, train if validation is None else validation, spec)
    return ridge


def start_spread(model, panel, spec):
    """Sets the first spread of an output that describes a distribution: that of the errors of the network.

    Args:
        model: `keras.Model` of a builder, whose forecasts are good already.
        panel: `Panel` of scaled rows.
        spec: `WindowSpec`.

    Example:

    >>> import pandas as pd
    >>> from tfts.data.panel import Panel
    >>> from tfts.data.windows import WindowSpec
    >>> days = pd.date_range("2024-01-01", periods=90)
    >>> panel = Panel.from_frame(pd.DataFrame({"y": np.arange(90.0)}, index=days))
    >>> model = linear(Task(context_length=12, horizon=2, output="normal"))
    >>> start_spread(model, panel, WindowSpec(12, 2))
    >>> model.predict(np.zeros((1, 12, 1)), verbose=0)[0, :, 0, 1].round(1).tolist()
    [1.0, 2.0]
    """
    layer = next((layer for layer in model.layers if isinstance(layer, Forecast)), None)
    if layer is None or layer.of.width == 1:
        return
    rows = spec.origins(panel)
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _ERRORS)).round().astype(np.int64))]
    inputs, actual = spec.arrays(panel, rows)
    if any(tensor.name == "teacher" for tensor in model.inputs):
        inputs = {
            **(inputs if isinstance(inputs, dict) else {"past": inputs}),
            "teacher": np.zeros_like(actual),
        }
    parameters = np.asarray(model.predict(inputs, verbose=0), dtype=np.float64)
    layer.further.assign(layer.of.further_from(parameters, actual))


def linear_layers_of(model):
    """Names of the layers that map the window to the horizon, a tuple; empty where there are none.

    Example:

    >>> from tfts.models import dlinear, linear, segment_rnn
    >>> from tfts.task import Task
    >>> [linear_layers_of(build(Task(7))) for build in (linear, dlinear, segment_rnn)]
    [('map',), ('remainder', 'trend'), ()]
    """
    names = {layer.name for layer in model.layers}
    return next((layers for layers in _LINEAR_LAYERS if names.issuperset(layers)), ())


def ridge_network(ridge, num_features, masked=False):
    """The linear network that forecasts as a fitted `Ridge` does, in float32.

    Args:
        ridge: A fitted `Ridge` with centres of at least 1.
        num_features: Columns of `past`.
        masked: Whether values may be missing, which the network then is told, but does not use.

    Returns:
        Tuple of an uncompiled `keras.Model` and the options of `linear` that it was built with.

    Raises:
        ValueError: If the ridge has a centre of 0.

    Example:

    >>> import numpy as np, pandas as pd
    >>> from tfts.data.panel import Panel
    >>> from tfts.data.windows import WindowSpec
    >>> days = pd.date_range("2024-01-01", periods=90)
    >>> panel = Panel.from_frame(pd.DataFrame({"y": np.sin(np.arange(90.0))}, index=days))
    >>> ridge = build_baseline("ridge").fit(panel, WindowSpec(12, 2))
    >>> ridge_network(ridge, num_features=1)[0].count_params()
    26
    """
    kernel, known, intercept = ridge.linear_map()
    context_length, _, horizon, num_targets = kernel.shape
    options = {"shared": ridge.inputs == "own" and len(ridge.groups_) == 1, "window_norm": "last"}
    task = Task(
        context_length,
        horizon,
        targets=num_targets,
        past=num_features - num_targets,
        known_future=known.shape[1],
        masked=masked,
    )
    model = linear(task, **options)
    set_linear_layer(model, "map", kernel, known, intercept)
    return model, options


def set_linear_layer(model, name, kernel, known, intercept):
    """Sets a linear layer, and that of the known columns, from a `Ridge.linear_map`.

    Args:
        model: `keras.Model`.
        name: Name of the layer.
        kernel: Float `(context_length, features, horizon, targets)`; columns of `past` after
            these features are given no weight.
        known: Float `(horizon, known, targets)`; what the network knows beside these columns is given
            no weight.
        intercept: Float `(horizon, targets)`.

    Example:

    >>> import numpy as np
    >>> model = linear(Task(context_length=2))
    >>> set_linear_layer(model, "map", np.ones((2, 1, 1, 1)), np.ones((1, 0, 1)), np.zeros((1, 1)))
    >>> model.predict(np.array([[[3.0], [4.0]]]), verbose=0).tolist()
    [[[3.0]]]
    """
    layer = model.get_layer(name)
    if len(layer.kernel.shape) == 2:
        weights = [kernel[:, 0, :, 0], intercept[:, 0]]
    elif len(layer.kernel.shape) == 3:
        weights = [
            np.einsum("cthu,tu->chu", kernel[:, : kernel.shape[3]], np.eye(kernel.shape[3])),
            intercept,
        ]
    else:
        whole = np.zeros(layer.kernel.shape)
        whole[:, : kernel.shape[1]] = kernel
        weights = [whole, intercept]
    layer.set_weights(weights)
    if known.size:
        beside = model.get_layer(f"{name}_known")
        whole = np.zeros(beside.kernel.shape)
        whole[:, : known.shape[1]] = known
        beside.set_weights([whole])
