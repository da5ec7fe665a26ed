"""The report of a regression run."""

from pathlib import Path

import pandas as pd

from tfts._files import check_run_files, read_run
from tfts.report.page import Page, shown_time

_FILES = ("model_metrics.csv", "predictions.csv")
# Weights of one table: more are in coefficients.csv.
_MOST_WEIGHTS = 60


def write_regression_report(run_dir):
    """Writes `report.html` into the folder of a `tfts regress` run, from its files alone.

    Args:
        run_dir: Folder that `tfts regress` wrote.

    Returns:
        Path of the report.

    Raises:
        FileNotFoundError: If the folder holds no run, or a file of a finished run is gone.
        ValueError: If the run is not finished.

    Example:

    >>> import io
    >>> from rich.console import Console
    >>> from tfts.config import RegressSettings, parse_settings
    >>> from tfts.experiment.regression import run
    >>> settings = parse_settings('''
    ... task: softmax
    ... data: {source: sklearn, name: iris}
    ... ''', kind=RegressSettings)
    >>> _ = run(settings, "iris", console=Console(file=io.StringIO()))
    >>> print(write_regression_report("iris"))
    iris/report.html
    """
    run_dir = Path(run_dir)
    described = read_run(run_dir, finished_by="tfts regress")
    model = f"models/{described['settings']['task']}"
    check_run_files(run_dir, (*_FILES, f"{model}/coefficients.csv", f"{model}/history.csv"), "tfts regress")
    page = Page(
        f"Regression run {run_dir.resolve().name}",
        f"tfts {described['versions']['tfts']}, finished {shown_time(described['finished'])}",
    )
    regression_sections(page, run_dir, described)
    page.write(run_dir / "report.html")
    return run_dir / "report.html"


def regression_sections(page, run_dir, described):
    """Adds what a finished run found to a page: scores, predictions, weights, training, settings.

    Args:
        page: `Page` to add to.
        run_dir: Folder of the run.
        described: Dict of its `run.json`.

    Example:

    >>> regression_sections(Page("Cars"), "cars", {"settings": {"task": "linear"}})
    Traceback (most recent call last):
    ...
    FileNotFoundError: [Errno 2] No such file or directory: 'cars/model_metrics.csv'
    """
    run_dir, settings = Path(run_dir), described["settings"]
    task = settings["task"]
    scores = pd.read_csv(run_dir / "model_metrics.csv")
    page.section("In short")
    page.sentences(_findings(scores, task))
    page.section("Data")
    data, split = described["data"], described["split"]
    page.facts(
        {
            "rows": data["rows"],
            "rows to learn from": split["training"]["rows"],
            "rows to score": split["test"]["rows"],
            "targets": ", ".join(data["targets"]),
            "features": ", ".join(data["features"]),
        }
    )
    page.section("Scores")
    page.table(
        scores, "Scores by rows that were learnt from and rows that were not, beside the simplest guess"
    )
    page.section("Predictions")
    _predictions(page, run_dir, data["targets"], task)
    model_dir = run_dir / "models" / task
    page.section("Weights")
    weights = pd.read_csv(model_dir / "coefficients.csv")
    page.table(
        weights.head(_MOST_WEIGHTS),
        "Weights in the units of the table, and for one scaled unit, in which they can be compared",
    )
    if len(weights) > _MOST_WEIGHTS:
        page.text(f"The first {_MOST_WEIGHTS} of {len(weights)}; all are in models/{task}/coefficients.csv.")
    _training(page, pd.read_csv(model_dir / "history.csv"), described)
    page.section("Settings")
    page.settings(settings)


def _findings(scores, task):
    """One sentence for each target: the first metric of the test rows, beside the guess."""
    metric = scores.columns[4]
    test = scores[scores["part"] == "test"].set_index(["target", "model"])[metric]
    guess = "the mean" if task == "linear" else "the shares of the classes"
    return [
        f"{target}: {metric.replace('_', ' ')} {test[target, task]:.4g} on rows that were not learnt from; "
        f"{guess} as the guess for every row has {test[target, 'guess']:.4g}."
        for target in scores["target"].unique()
    ]


def _predictions(page, run_dir, targets, task):
    from tfts import plots

    rows = pd.read_csv(run_dir / "predictions.csv")
    rows = rows[rows["part"] == "test"]
    for target in targets:
        actual, predicted = rows[target], rows[f"{target} predicted"]
        if task == "linear":
            picture = plots.plot_fit(
                predicted,
                actual,
                {"as predicted": lambda x: x[:, 0]},
                x_name=f"{target} predicted",
                y_name=str(target),
            )
            alt = f"Dots of {target} over its prediction, and the line where both are the same."
        else:
            picture = plots.plot_confusion(actual.astype(str), predicted.astype(str))
            alt = f"How often each class of {target} was taken for each."
        page.figure(picture, alt, f"{len(rows)} rows that were not learnt from")


def _training(page, history, described):
    if len(history) < 2:
        return
    from tfts import plots

    page.section("Training")
    last = history["cost"].iloc[-1]
    page.text(
        f"{described['epochs']} epochs in {described['fit_seconds']:.2f} s; cost at the end {last:.6g}."
    )
    page.figure(plots.plot_history(history, "cost"), "The cost after each epoch of gradient descent.")
