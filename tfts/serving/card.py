"""MODEL_CARD.md: what a served model is, wants and gives, for someone who has nothing but the folder."""

import json


def model_card(metadata, samples):
    """The model card of an export.

    Args:
        metadata: Dict of metadata.json.
        samples: Dict from signature to `(inputs, outputs)`, whose first is shown.

    Returns:
        Markdown, a str.

    Example:

    >>> import numpy as np
    >>> metadata = {
    ...     "name": "load", "version": 1, "kind": "forecaster", "model": "linear", "context_length": 7, "horizon": 2,
    ...     "freq": "D", "timezone": None, "columns": ["load"], "targets": ["load"], "known_future": [],
    ...     "calendar": [], "series": None, "series_names": None, "units": {"load": "MW"}, "missing": "raise",
    ...     "limit": 10, "scaler": None, "metrics": [],
    ...     "training": {"start": "2024-01-01", "end": "2024-02-19", "rows": 50},
    ...     "signatures": {"serving_default": {"inputs": {"past": {"dtype": "float32", "shape": [None, 7, 1]}},
    ...         "outputs": {"forecast": {"dtype": "float32", "shape": [None, 2, 1]}}}},
    ...     "versions": {"tfts": "0.1.0"}, "created": "2024-03-01T00:00:00+00:00",
    ... }
    >>> one = np.zeros((1, 1, 1))
    >>> card = model_card(metadata, {"serving_default": ({"past": one}, {"forecast": one})})
    >>> print(card[:93])
    # load, version 1
    <BLANKLINE>
    `linear` looks at 7 rows (freq D) and forecasts the next 2 of `load` (MW).
    """
    units = metadata["units"]
    named = {c: f"`{c}` ({units[c]})" if c in units else f"`{c}`" for c in _columns(metadata)}
    parts = [f"# {metadata['name']}, version {metadata['version']}", _purpose(metadata, named)]
    parts.append(_inputs(metadata, named))
    lines = ["## Signatures", "", "| signature | takes | gives |", "|---|---|---|"]
    for name, specs in metadata["signatures"].items():
        lines.append(f"| `{name}` | {_shapes(specs['inputs'])} | {_shapes(specs['outputs'])} |")
    lines.append("| `describe` | `rows` int32 (batch) | `metadata` string (batch): metadata.json |")
    parts.append("\n".join(lines))
    parts.append(_example(metadata, samples))
    parts.append(_training(metadata))
    made = ", ".join(f"{package} {number}" for package, number in metadata["versions"].items())
    parts.append(f"Made {metadata['created']} with {made}.")
    return "\n\n".join(parts) + "\n"


def _columns(metadata):
    return [*metadata["columns"], *metadata["known_future"], *metadata.get("static", ())]


def _purpose(metadata, named):
    targets = ", ".join(named.get(target, f"`{target}`") for target in metadata["targets"])
    if metadata["kind"] == "regression":
        return f"`{metadata['model']}` gives {targets} from {len(metadata['columns'])} columns of one row."
    rows = f"`{metadata['model']}` looks at {metadata['context_length']} rows (freq {metadata['freq']})"
    if metadata["kind"] == "detector":
        return f"{rows} and says whether the next row of {targets} is an anomaly."
    return f"{rows} and forecasts the next {metadata['horizon']} of {targets}."


def _inputs(metadata, named):
    first = "past" if metadata["kind"] != "regression" else "features"
    lines = [
        "## What goes in",
        "",
        "Values in original units, as the table has them; scaling is in the graph.",
        "",
        f"- `{first}`: columns in this order: {', '.join(named[c] for c in metadata['columns'])}.",
    ]
    if metadata["known_future"]:
        known = ", ".join(named[c] for c in metadata["known_future"])
        lines.append(
            f"- `known_future`: the rows of `past` and the {metadata['horizon']} after them: {known}."
        )
    if metadata.get("static"):
        lines.append(
            f"- `static`: attributes of the series: {', '.join(named[c] for c in metadata['static'])}."
        )
    labels = (metadata["scaler"] or {}).get("labels") or {}
    if labels:
        lines.append(
            f"- Labels ({', '.join(named[c] for c in labels)}) go in as their place, from 1, in `scaler.labels` of "
            "metadata.json, where null is no label; 0 is any other label."
        )
    if metadata["calendar"]:
        lines.append(f"- Calendar columns follow from the time: {', '.join(metadata['calendar'])}.")
    if metadata["series_names"] is not None:
        lines.append(
            f"- `series`: the place of the series (`{metadata['series']}`) in `series_names` of metadata.json; -1 for "
            "any other."
        )
    if "phase" in metadata["signatures"].get("serving_default", {}).get("inputs", ()):
        counted = "rows since 1970-01-01 00:00 by the clock of the stamps"
        if metadata["freq"][0] in "BC":
            counted = "days of the week from Monday"
        lines.append(
            f"- `phase`: where the last row of `past` lies in the season, from 0: {counted}, modulo "
            f"{metadata['season_length']}."
        )
    if (metadata["scaler"] or {}).get("logged"):
        logged = ", ".join(f"`{column}`" for column in metadata["scaler"]["logged"])
        lines.append(
            f"- The graph takes logarithms, so {logged} must be above 0; a window with another value gives NaN."
        )
    if metadata["missing"] == "mask":
        lines.append(
            "- Missing values of `past` are NaN, and the graph tells the model where they are. A window in which a "
            "target has no value, or any value is infinite, gives NaN; the other windows of the request are answered."
        )
    elif metadata["missing"] == "interpolate":
        limit = "" if metadata["limit"] is None else f" of up to {metadata['limit']} rows"
        lines.append(
            f"- Gaps{limit} inside a window are filled along a line. A window with any other missing or infinite value "
            "gives NaN; the other windows of the request are answered."
        )
    else:
        lines.append(
            "- A missing or infinite value gives NaN for its row of the batch; the others are answered."
        )
    return "\n".join(lines)


def _shapes(specs):
    return ", ".join(
        f"`{name}` {spec['dtype']} ({', '.join(str(size or 'batch') for size in spec['shape'])})"
        for name, spec in specs.items()
    )


def _example(metadata, samples):
    inputs, _ = samples["serving_default"]
    body = {"instances": [dict.fromkeys(inputs, "...")]}
    return "\n".join(
        [
            "## Try it",
            "",
            "```",
            "curl -d @sample_requests/serving_default_request.json \\",
            f"  http://localhost:8501/v1/models/{metadata['name']}:predict",
            "```",
            "",
            "`sample_requests/serving_default_answer.json` holds the answer. Row by row, a request reads "
            f"`{json.dumps(body)}`.",
        ]
    )


def _training(metadata):
    span = metadata["training"]
    lines = ["## Training"]
    if span["start"] is not None:
        lines += ["", f"{span['rows']} rows from {span['start']} to {span['end']}."]
    if metadata["metrics"]:
        columns = list(metadata["metrics"][0])
        lines += ["", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
        lines += ["| " + " | ".join(_shown(row[c]) for c in columns) + " |" for row in metadata["metrics"]]
    else:
        lines += ["", "No scores were given to the export."]
    return "\n".join(lines)


def _shown(value):
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
