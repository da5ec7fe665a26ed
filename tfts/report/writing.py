"""The report of any run, told by what its folder holds."""

from pathlib import Path

from tfts._files import read_run
from tfts.report.detection import write_detection_report
from tfts.report.forecasting import write_forecasting_report
from tfts.report.regression import write_regression_report
from tfts.report.suite import write_suite_report
from tfts.report.tuning import write_tuning_report


def write_report(run_dir):
    """Writes `report.html` into the folder of a run of `tfts run`, `detect`, `regress`, `tune` or `benchmark`.

    It is made of the files of the folder alone.

    Args:
        run_dir: Folder of the run.

    Returns:
        Path of the report.

    Raises:
        FileNotFoundError: If the folder holds no run, or a file of a finished run is gone.

    Example:

    >>> write_report("nowhere")
    Traceback (most recent call last):
    tfts.errors.MissingFileError: nowhere holds no run: run.json is not there. Give the --output of `tfts run`.
    """
    if (Path(run_dir) / "suite.json").is_file():
        return write_suite_report(run_dir)
    settings = read_run(run_dir)["settings"]
    if "task" in settings:
        return write_regression_report(run_dir)
    if "tune" in settings:
        return write_tuning_report(run_dir)
    return write_detection_report(run_dir) if "detector" in settings else write_forecasting_report(run_dir)
