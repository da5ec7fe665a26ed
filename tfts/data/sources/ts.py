"""Files of sktime, aeon and the UCR archive (`.ts`)."""

import re

import numpy as np
import pandas as pd

from tfts.data.sources._long import floats, numbered_names
from tfts.data.sources._paths import existing_file, text_of
from tfts.errors import DataError

_PAIR = re.compile(r"\(\s*([^,()]+?)\s*,\s*([^,()]*?)\s*\)")


def read_ts(path, *, encoding=None):
    """A `.ts` file: a line for each case, with its dimensions and its class or target.

    Cases may differ in length. Missing values are `?` or `NaN`.

    Args:
        path: File ending in `.ts` or `.ts.gz`.
        encoding: As in `read_table`.

    Returns:
        DataFrame with `series` (the number of the case, from 0), `time` (the stamps of the file, else
        row numbers), `value` or `dim_0`, `dim_1`, ..., and `label`: the class, a text, or the target,
        a number, where the file has one.

    Raises:
        ValueError: If a line is not as the heading says; the message names it.

    Example:

    >>> from pathlib import Path
    >>> _ = Path("two.ts").write_text(\"\"\"@problemName two
    ... @timeStamps false
    ... @classLabel true up down
    ... @data
    ... 1,2,?:up
    ... 5,4:down
    ... \"\"\")
    >>> print(read_ts("two.ts").to_string(index=False))
    series  time  value label
         0     0    1.0    up
         0     1    2.0    up
         0     2    NaN    up
         1     0    5.0  down
         1     1    4.0  down

    Source: https://www.sktime.net/en/stable/api_reference/file_specifications/ts.html
    """
    path = existing_file(path, (".ts",))
    lines = text_of(path, encoding).splitlines()
    tags, first = _heading(lines, path)
    labelled = _first(tags, "classlabel") == "true" or _first(tags, "targetlabel") == "true"
    stamped = _first(tags, "timestamps") == "true"
    cases, labels = [], []
    for number in range(first, len(lines)):
        if not lines[number].strip() or lines[number].startswith("#"):
            continue
        where = f"Line {number + 1} of {path.name}"
        parts = _dimensions(lines[number].strip(), stamped)
        if labelled:
            labels.append(parts.pop().strip())
        if not parts or (cases and len(parts) != len(cases[0][1])):
            expected = len(cases[0][1]) if cases else 1
            raise DataError(
                f"{where} has {len(parts)} dimensions. Expected {expected}, as in the lines before."
            )
        cases.append((where, parts))
    if not cases:
        raise DataError(f"{path} has no case after @data. Expected a line for each.")
    _check_classes(labels, tags, cases)
    tables = [_case(where, parts, stamped) for where, parts in cases]
    made = pd.concat(tables, ignore_index=True)
    of = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    made.insert(0, "series", np.array(numbered_names(len(tables)), dtype=object)[of])
    made["time"] = _times(made["time"], stamped, path)
    if labelled:
        is_target = _first(tags, "targetlabel") == "true"
        found = floats(labels, f"The targets of {path.name}") if is_target else np.array(labels, dtype=object)
        made["label"] = found[of]
    return made


def _heading(lines, path):
    """Dict from tag to its words, and the line after `@data`."""
    tags = {}
    for number, line in enumerate(lines):
        words = line.split()
        if words and words[0].lower() == "@data":
            return tags, number + 1
        if words and words[0].startswith("@"):
            tags[words[0][1:].lower()] = words[1:]
    raise DataError(
        f"{path} has no line @data, so it is not a .ts file. Expected a heading, @data, then cases."
    )


def _first(tags, name):
    return tags[name][0].lower() if tags.get(name) else ""


def _dimensions(line, stamped):
    if not stamped:
        return line.split(":")
    # A stamp may hold colons, so only those outside brackets part the dimensions.
    return re.split(r":(?![^()]*\))", line)


def _check_classes(labels, tags, cases):
    known = tags.get("classlabel", [])[1:]
    for (where, _), label in zip(cases, labels, strict=False):
        if known and label not in known:
            raise DataError(
                f"{where} is of the class {label!r}. Expected one of @classLabel: {', '.join(known)}."
            )


def _case(where, parts, stamped):
    names = ["value"] if len(parts) == 1 else [f"dim_{i}" for i in range(len(parts))]
    columns = []
    for name, part in zip(names, parts, strict=True):
        if stamped:
            pairs = _PAIR.findall(part)
            if not pairs and part.strip() not in ("", "?"):
                raise DataError(
                    f"{where} holds {part[:40]!r}. Expected pairs (time,value), as @timeStamps is true."
                )
            values, times = floats([value for _, value in pairs], where), [time for time, _ in pairs]
        else:
            values = floats(part.split(","), where)
            times = np.arange(len(values))
        found = pd.Series(values, index=pd.Index(times), name=name)
        if found.index.has_duplicates:
            raise DataError(
                f"{where} has the time {found.index[found.index.duplicated()][0]!r} twice in {name}."
            )
        columns.append(found)
    longest = max(columns, key=len).index
    if all(column.index.isin(longest).all() for column in columns):
        made = pd.concat([column.reindex(longest) for column in columns], axis=1)
    else:
        made = pd.concat(columns, axis=1)
    return made.rename_axis("time").reset_index()


def _times(times, stamped, path):
    if not stamped:
        return times.astype(np.int64)
    numbers = pd.to_numeric(times, errors="coerce")
    if numbers.notna().all() and (numbers % 1 == 0).all():
        return numbers.astype(np.int64)
    found = pd.to_datetime(times, format="ISO8601", errors="coerce")
    bad = np.flatnonzero(found.isna())
    if len(bad):
        raise DataError(
            f"{path.name} holds the time {times.iloc[bad[0]]!r}. Expected whole numbers, or times such as "
            "2024-01-31 13:00, all alike."
        )
    return found
