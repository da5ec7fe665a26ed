"""One YAML file as checked settings of a run."""

from tfts.config.methods import method_options
from tfts.config.reading import parse_settings, read_settings
from tfts.config.sections import (
    Data,
    DetectionSettings,
    Detector,
    RegressSettings,
    Report,
    RowSplit,
    Settings,
    Split,
    Table,
    Tune,
    TuneSettings,
    Window,
)
from tfts.config.suites import (
    BACKENDS,
    ENTRY_DATA,
    ENTRY_KEYS,
    BenchmarkSettings,
    Budget,
    Peer,
    Protocol,
    Published,
)

__all__ = [
    "BACKENDS",
    "BenchmarkSettings",
    "Budget",
    "Data",
    "DetectionSettings",
    "Detector",
    "ENTRY_DATA",
    "ENTRY_KEYS",
    "Peer",
    "Protocol",
    "Published",
    "RegressSettings",
    "Report",
    "RowSplit",
    "Settings",
    "Split",
    "Table",
    "Tune",
    "TuneSettings",
    "Window",
    "method_options",
    "parse_settings",
    "read_settings",
]
