"""Pages that a person reads: one HTML file with everything inside."""

from tfts.report.page import Page
from tfts.report.writing import write_report

__all__ = ["Page", "write_report"]
