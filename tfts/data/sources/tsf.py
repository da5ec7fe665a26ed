"""Files of the Monash forecasting archive (`.tsf`)."""

import re

import pandas as pd

from tfts.data.sources._long import floats, given_step, joined_series, numbered_names, times_from
from tfts.data.sources._paths import existing_file, text_of
from tfts.errors import DataError

_WORDS = {"yearly": "YS", "quarterly": "QS", "monthly": "MS", "weekly": "7D", "daily": "D", "hourly": "h"}
_WORDS |= {"half_hourly": "30min", "minutely": "min", "secondly": "s"}
_UNITS = {"second": "s", "minute": "min", "hour": "h", "day": "D", "week": "W", "month": "MS"}
_UNITS |= {"quarter": "QS", "year": "YS"}
_STAMPS = ("%Y-%m-%d %H-%M-%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d")
_KINDS = ("string", "numeric", "date")


def read_tsf(path, *, freq=None, encoding=None):
    """A `.tsf` file: a line for each series, with its attributes and values.

    Args:
        path: File ending in `.tsf` or `.tsf.gz`.
        freq: Time step, where the file has no `@frequency`, or another one. A file whose series
            have no start has row numbers as times.
        encoding: How it is encoded; `None` is UTF-8, or where that can't be, the one of Windows.

    Returns:
        DataFrame with `series` (the attribute `series_name` where it names one series each, else all
        attributes of text, joined with `/`), `time`, `value` (`?` is missing) and the attributes.

    Raises:
        ValueError: If the frequency is missing or unknown, or a line is not as the heading says; the
            message names the line.

    Example:

    >>> from pathlib import Path
    >>> _ = Path("two.tsf").write_text(\"\"\"@relation two
    ... @attribute series_name string
    ... @attribute start_timestamp date
    ... @frequency monthly
    ... @data
    ... 007:1979-01-01 00-00-00:25,?
    ... NA:1980-05-01 00-00-00:3
    ... \"\"\")
    >>> print(read_tsf("two.tsf").to_string(index=False))
    series       time  value
       007 1979-01-01   25.0
       007 1979-02-01    NaN
        NA 1980-05-01    3.0

    Source: Godahewa et al., Monash Time Series Forecasting Archive, NeurIPS Datasets 2021.
    """
    path = existing_file(path, (".tsf",))
    lines = text_of(path, encoding).splitlines()
    attributes, found, first = _heading(lines, path)
    rows = [(number + 1, lines[number]) for number in range(first, len(lines)) if lines[number].strip()]
    if not rows:
        raise DataError(f"{path} has no series after @data. Expected a line for each.")
    split = [_split(line, len(attributes), f"Line {number} of {path.name}") for number, line in rows]
    table = {name: [parts[i] for parts, _ in split] for i, (name, _) in enumerate(attributes)}
    starts = next((name for name, kind in attributes if kind == "date"), None)
    names = _names(table, [name for name, kind in attributes if kind == "string"], len(rows))
    step = 1 if starts is None else _step(freq, found, path)
    parts = []
    for (number, _), (_, values), name, start in zip(
        rows, split, names, table.get(starts, [0] * len(rows)), strict=True
    ):
        where = f"Line {number} of {path.name}"
        numbers = floats(values.split(","), where)
        at = 0 if starts is None else _stamp(start, where)
        parts.append((name, times_from(at, step, len(numbers)), numbers[:, None]))
    kept = {}
    for name, kind in attributes:
        if name not in ("series_name", starts) or (name == "series_name" and names != table[name]):
            kept[name] = (
                floats(table[name], f"Attribute {name!r} of {path.name}")
                if kind == "numeric"
                else table[name]
            )
    return joined_series(parts, ["value"], kept)


def _heading(lines, path):
    """Attributes as `(name, kind)`, the frequency or `None`, and the line after `@data`."""
    attributes, frequency = [], None
    for number, line in enumerate(lines):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        tag = words[0].lower()
        if tag == "@data":
            return attributes, frequency, number + 1
        if tag == "@attribute":
            if len(words) != 3 or words[2].lower() not in _KINDS:
                raise DataError(
                    f"Line {number + 1} of {path.name} is not an attribute: {line.strip()!r}. Expected @attribute, a "
                    f"name, and one of {', '.join(_KINDS)}."
                )
            attributes.append((words[1], words[2].lower()))
        elif tag == "@frequency" and len(words) > 1:
            frequency = words[1].lower()
    raise DataError(
        f"{path} has no line @data, so it is not a .tsf file. Expected a heading, @data, then series."
    )


def _split(line, count, where):
    """The attributes and the values of a line."""
    parts = line.strip().split(":")
    if len(parts) > count + 1:
        # A stamp may hold colons too; it is put together again.
        line = re.sub(r"(\d{4}-\d\d-\d\d \d\d):(\d\d):(\d\d)", r"\1-\2-\3", line.strip())
        parts = line.split(":")
    if len(parts) != count + 1:
        raise DataError(
            f"{where} has {len(parts)} parts between colons. Expected {count} attributes and the values."
        )
    return parts[:-1], parts[-1]


def _names(table, texts, count):
    named = table.get("series_name")
    if named is not None and len(set(named)) == count:
        return named
    if texts:
        joined = ["/".join(parts) for parts in zip(*(table[name] for name in texts), strict=True)]
        if len(set(joined)) == count:
            return joined
    return numbered_names(count)


def _step(freq, found, path):
    if freq is not None or found is None:
        return given_step(freq, path, "no @frequency")
    if found in _WORDS:
        return _WORDS[found]
    counted = re.fullmatch(r"(\d+)_([a-z]+?)s?", found)
    if counted and counted[2] in _UNITS:
        number, unit = int(counted[1]), _UNITS[counted[2]]
        return f"{7 * number}D" if unit == "W" else f"{number}{unit}"
    raise DataError(
        f"{path} has @frequency {found}, which is unknown. Expected one of {', '.join(_WORDS)}, or a number and a "
        "unit such as 10_minutes. Give the time step, e.g. freq='h'."
    )


def _stamp(text, where):
    for written in _STAMPS:
        try:
            return pd.Timestamp(pd.to_datetime(text, format=written))
        except ValueError:
            continue
    raise DataError(f"{where} starts at {text!r}. Expected a time such as 1979-01-01 00-00-00.")
