"""Readers of the field's own files, one a file, which `read_table` chooses by the name of the source."""

from tfts.data.sources.files import read_file
from tfts.data.sources.gluonts import read_gluonts
from tfts.data.sources.influx import read_influx
from tfts.data.sources.m4 import read_m4
from tfts.data.sources.m5 import read_m5
from tfts.data.sources.nab import read_nab
from tfts.data.sources.nixtla import read_nixtla
from tfts.data.sources.sql import read_sql
from tfts.data.sources.ts import read_ts
from tfts.data.sources.tsb import read_tsb
from tfts.data.sources.tsf import read_tsf

SOURCES = {
    "file": read_file,
    "gluonts": read_gluonts,
    "influx": read_influx,
    "m4": read_m4,
    "m5": read_m5,
    "nab": read_nab,
    "nixtla": read_nixtla,
    "sql": read_sql,
    "ts": read_ts,
    "tsb": read_tsb,
    "tsf": read_tsf,
}

__all__ = [
    "SOURCES",
    "read_file",
    "read_gluonts",
    "read_influx",
    "read_m4",
    "read_m5",
    "read_nab",
    "read_nixtla",
    "read_sql",
    "read_ts",
    "read_tsb",
    "read_tsf",
]
