"""Annotated CSV of InfluxDB."""

import csv

import pandas as pd

from tfts.data.sources._paths import existing_file, text_of
from tfts.errors import DataError

_NUMBERS = ("double", "long", "unsignedLong")
# Columns that Flux adds, and those that name a value.
_OWN = ("", "result", "table", "_start", "_stop", "_time", "_value", "_field", "_measurement")


def read_influx(path):
    """The answer of InfluxDB to a query of Flux, as annotated CSV.

    Each combination of tags is a series, each field a column. Several tables with columns of their
    own may follow one another.

    Args:
        path: File ending in `.csv` or `.csv.gz`, with the annotations `#datatype`, `#group` and `#default`.

    Returns:
        DataFrame with `series` (the values of the tags, joined with `/`, or the measurement where there
        are none), `time` (UTC), a column for each field (`mem.used` where several measurements have
        it) and one for each tag.

    Raises:
        ValueError: If annotations or times are missing, the file holds an error of the database, or
            a series has a field twice at one time.

    Example:

    >>> from pathlib import Path
    >>> _ = Path("answer.csv").write_text(\"\"\"#group,false,false,false,false,true,true
    ... #datatype,string,long,dateTime:RFC3339,double,string,string
    ... #default,_result,,,,,
    ... ,result,table,_time,_value,_field,host
    ... ,,0,2024-01-31T00:00:00Z,15.5,used,007
    ... \"\"\")
    >>> print(read_influx("answer.csv").to_string(index=False))
    series                      time  used host
       007 2024-01-31 00:00:00+00:00  15.5  007

    Source: https://docs.influxdata.com/influxdb/v2/reference/syntax/annotated-csv/
    """
    path = existing_file(path, (".csv",))
    records, tags = [], []
    for table in _tables(path):
        tags += [name for name in table.tags if name not in tags]
        records += table.records()
    if not records:
        raise DataError(f"{path} holds no values. Expected records below a heading.")
    measured = {}
    for record in records:
        measured.setdefault(record["field"], set()).add(record["measurement"])
    rows, fields = {}, []
    for record in records:
        series, time, field = record["series"], record["time"], record["field"]
        if len(measured[field]) > 1:
            field = f"{record['measurement']}.{field}"
        row = rows.setdefault((series, time), {"series": series, "time": time})
        if field in row:
            raise DataError(
                f"{path} has the field {field!r} of series {series!r} twice at {time}. Expected it once: keep one of "
                "the results or tables, or group by the tag that tells them apart."
            )
        row[field] = record["value"]
        fields += [] if field in fields else [field]
    made = pd.DataFrame(list(rows.values()), columns=["series", "time", *fields])
    made["time"] = pd.to_datetime(made["time"], format="ISO8601", utc=True)
    of = {record["series"]: record["tags"] for record in records}
    for tag in tags:
        made[tag if tag not in made.columns else f"tag_{tag}"] = [
            of[name].get(tag) for name in made["series"]
        ]
    return made.sort_values(["series", "time"], ignore_index=True)


class _Table:
    """Rows that share a heading."""

    def __init__(self, annotations, heading, path):
        self.kinds = dict(zip(heading, annotations["#datatype"], strict=False))
        groups = dict(zip(heading, annotations.get("#group", []), strict=False))
        self.defaults = dict(zip(heading, annotations.get("#default", []), strict=False))
        self.heading, self.rows, self.path = heading, [], path
        if "error" in heading:
            return
        if "_time" not in heading:
            raise DataError(
                f"{path} has a table without _time. Expected a time in each record. Received: {', '.join(heading[1:])}."
            )
        texts = [name for name in heading if self.kinds.get(name) == "string" and name not in _OWN]
        known = [name for name in texts if groups.get(name) == "true"]
        # A table that was pivoted or ungrouped has no group left for its tags.
        self.tags = known or (texts if "_value" in heading else [])
        self.fields = None
        if "_value" not in heading:
            self.fields = [
                n for n in heading if n not in _OWN and n not in self.tags and self.kinds[n] != "string"
            ]

    def records(self):
        for row in self.rows:
            values = {
                name: text or self.defaults.get(name, "")
                for name, text in zip(self.heading, row, strict=False)
            }
            tags = {name: values[name] for name in self.tags}
            measurement = values.get("_measurement", "")
            named = {
                "series": "/".join(tags.values()) or measurement or "0",
                "time": values["_time"],
                "tags": tags,
                "measurement": measurement,
            }
            for column in self.fields or ["_value"]:
                field = values.get("_field", "value") if self.fields is None else column
                yield {**named, "field": field, "value": _value(values[column], self.kinds[column])}


def _tables(path):
    """The tables of a file."""
    annotations, found, table = {}, [], None
    for number, row in enumerate(csv.reader(text_of(path).splitlines())):
        if not any(row):
            annotations, table = {}, None
        elif row[0].startswith("#"):
            annotations, table = ({}, None) if table is not None else (annotations, None)
            annotations[row[0]] = ["", *row[1:]]
        elif table is None:
            if "#datatype" not in annotations:
                raise DataError(
                    f"Line {number + 1} of {path.name} is a heading without annotations. Expected #datatype, "
                    "#group and #default above it: ask for them (annotations in the dialect of the query). For plain "
                    "CSV take source='file'."
                )
            table = _Table(annotations, ["", *row[1:]], path)
            found.append(table)
        elif "error" in table.heading:
            raise DataError(f"{path} holds an error of InfluxDB: {row[table.heading.index('error')]}")
        else:
            table.rows.append(row)
    return found


def _value(text, kind):
    if text == "":
        return float("nan")
    if kind in _NUMBERS:
        return float(text)
    return float(text == "true") if kind == "boolean" else text
