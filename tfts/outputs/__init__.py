"""What a model gives for each target and step."""

from tfts._messages import unknown
from tfts.errors import ModelError, SettingError
from tfts.outputs.negative_binomial import NegativeBinomial
from tfts.outputs.normal import Normal
from tfts.outputs.output import Output
from tfts.outputs.point import Point
from tfts.outputs.quantiles import Quantiles
from tfts.outputs.student_t import StudentT

OUTPUTS = {
    "negative_binomial": NegativeBinomial,
    "normal": Normal,
    "point": Point,
    "quantiles": Quantiles,
    "student_t": StudentT,
}

__all__ = [
    "OUTPUTS",
    "NegativeBinomial",
    "Normal",
    "Output",
    "Point",
    "Quantiles",
    "StudentT",
    "build_output",
    "output_config",
]


def build_output(output):
    """Makes an output of what describes it.

    Args:
        output: An `Output`; its name in `OUTPUTS`; or a dict of `"name"` and its settings, as
            from `output_config`.

    Returns:
        `Output`.

    Raises:
        ValueError: If the name or a setting is unknown, or it is none of these.

    Example:

    >>> build_output("point") == build_output({"name": "point"}) == Point()
    True
    """
    if isinstance(output, Output):
        return output
    config = {"name": output} if isinstance(output, str) else output
    if not isinstance(config, dict) or "name" not in config:
        raise SettingError(
            "`output` must be an Output, a name of OUTPUTS, or a dict of a name and settings. "
            f"Received: output={output!r}."
        )
    if config["name"] not in OUTPUTS:
        raise SettingError(unknown("output", config["name"], OUTPUTS))
    kind = OUTPUTS[config["name"]]
    settings = {key: value for key, value in config.items() if key != "name"}
    for key in settings:
        if key not in kind.__dataclass_fields__:
            raise SettingError(
                unknown(f"setting of output {config['name']!r}:", key, kind.__dataclass_fields__)
            )
    return kind.from_config(settings)


def output_config(output):
    """An output as plain data, from which `build_output` makes it again.

    Args:
        output: An `Output` of a class in `OUTPUTS`.

    Returns:
        Dict of `"name"` and its settings.

    Raises:
        ValueError: If the class is not in `OUTPUTS`.

    Example:

    >>> output_config(Point())
    {'name': 'point'}
    """
    for name, kind in OUTPUTS.items():
        if type(output) is kind:
            return {"name": name, **output.get_config()}
    raise ModelError(
        f"{type(output).__name__} is not in OUTPUTS, so what is saved with it could not be loaded. "
        f"Add it to the table. Expected one of: {', '.join(sorted(OUTPUTS))}."
    )
