"""Pages that a person reads: one HTML file with everything inside."""

from tfts.report.forecasting import write_report
from tfts.report.page import Page

__all__ = ["Page", "write_report"]
