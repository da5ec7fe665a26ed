"""The report of a search for settings."""

from pathlib import Path

import pandas as pd

from tfts._files import check_run_files, read_run
from tfts.report.page import Page, shown_time

_FILES = ("results.csv", "curves.csv", "test_metrics.csv", "best.yaml")
# Pictures of single settings on one page.
_MOST_SLICES = 10


def write_tuning_report(run_dir):
    """Writes `report.html` into the folder of a `tfts tune` run, from its files alone.

    Args:
        run_dir: Folder that `tfts tune` wrote.

    Returns:
        Path of the report.

    Raises:
        FileNotFoundError: If the folder holds no run, or a file of a finished run is gone.
        ValueError: If the search is not finished.

    Example:

    >>> write_tuning_report("nowhere")
    Traceback (most recent call last):
    tfts.errors.MissingFileError: nowhere holds no run: run.json is not there. Give the --output of `tfts run`.
    """
    run_dir = Path(run_dir)
    described = read_run(run_dir, finished_by="tfts tune")
    check_run_files(run_dir, _FILES, "tfts tune")
    results = read_results(run_dir / "results.csv")
    scores = pd.read_csv(run_dir / "test_metrics.csv")
    page = Page(
        f"Search for settings {run_dir.resolve().name}",
        f"tfts {described['versions']['tfts']}, finished {shown_time(described['finished'])}",
    )
    page.section("In short")
    page.sentences(tuning_findings(described, results, scores))
    _data(page, described)
    _search(page, run_dir, described, results)
    _best(page, run_dir, described, scores)
    _settings(page, run_dir, described, results)
    page.section("Trials")
    page.table(results, "All trials; a setting that a trial does not have is shown as a dash")
    page.section("What the numbers do not say")
    page.sentences(_caveats(described))
    page.section("Search again")
    page.text("Save the settings as a YAML file and give it to `tfts tune`.")
    page.settings(described["settings"])
    page.write(run_dir / "report.html")
    return run_dir / "report.html"


def read_results(path):
    """The table of trials of a search, with words as text.

    Example:

    >>> _ = Path("results.csv").write_text("trial,status,score,reason,scaler\\n0,finished,0.5,,none\\n")
    >>> read_results("results.csv")["scaler"].tolist()
    ['none']
    """
    # A scaler or window normalisation may be called none, and only an empty cell is absent.
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def tuning_findings(described, results, scores):
    """What a reader in a hurry should know of a search, as sentences.

    Args:
        described: Dict, its `run.json`.
        results: DataFrame, its `results.csv`.
        scores: DataFrame, its `test_metrics.csv`.

    Returns:
        List of sentences.

    Example:

    >>> described = {"settings": {"tune": {"model": "linear", "objective": "val_rmse"}},
    ...              "search": {"best_trial": 1, "seconds": 61.0, "note": None, "changed": {"stride": 2}}}
    >>> results = pd.DataFrame({"trial": [0, 1], "status": "finished", "score": [0.5, 0.4]})
    >>> scores = pd.DataFrame({"settings": ["default", "best"], "target": "load", "count": 7, "rmse": [0.6, 0.54]})
    >>> for sentence in tuning_findings(described, results, scores):
    ...     print(sentence)
    Trial 1 is the best of 2 (2 finished) in 61 s: val_rmse 0.4 on validation rows; the default settings have 0.5.
    It differs from the default settings in stride (2).
    load, RMSE on test rows: best 0.54; default 0.6.
    Test rows were scored once, after the search: no trial and no choice has seen them.
    """
    tune, search = described["settings"]["tune"], described["search"]
    counts = ", ".join(f"{count} {status}" for status, count in results["status"].value_counts().items())
    rows = results.set_index("trial")
    best = rows.loc[search["best_trial"]]
    sentence = (
        f"Trial {search['best_trial']} is the best of {len(results)} ({counts}) in {search['seconds']:,.0f} s: "
        f"{tune['objective']} {best['score']:.4g} on validation rows"
    )
    if search["best_trial"] == 0:
        sentences = [f"{sentence}. These are the default settings: the search found none that are better."]
    else:
        default = rows.loc[0]
        known = f"have {default['score']:.4g}" if default["status"] == "finished" else f"{default['status']}"
        changed = ", ".join(f"{name} ({value})" for name, value in search["changed"].items())
        sentences = [
            f"{sentence}; the default settings {known}.",
            f"It differs from the default settings in {changed}.",
        ]
    if search["note"]:
        sentences.append(search["note"])
    asked = tune["objective"].removeprefix("val_")
    metric = asked if asked in scores else "rmse"
    for target, part in scores.groupby("target", sort=False):
        told = [
            f"{name} {score:.4g}"
            for name, score in zip(part["settings"].iloc[::-1], part[metric].iloc[::-1], strict=True)
        ]
        sentences.append(f"{target}, {metric.upper()} on test rows: {'; '.join(told)}.")
    sentences.append("Test rows were scored once, after the search: no trial and no choice has seen them.")
    return sentences


def _data(page, described):
    data = described["data"]
    page.section("Data")
    page.facts(
        {
            "rows": data["rows"],
            "span": f"{shown_time(data['start'])} to {shown_time(data['end'])}",
            "frequency": data["freq"],
            "series": data["series"],
            "targets": ", ".join(data["targets"]),
        }
    )
    parts = [
        {
            "part": name,
            "rows": part["rows"],
            "first": shown_time(part["start"]),
            "last": shown_time(part["end"]),
        }
        for name, part in described["split"].items()
    ]
    page.table(pd.DataFrame(parts), "The parts, in the order of time")


def _search(page, run_dir, described, results):
    from tfts import plots

    tune, search = described["settings"]["tune"], described["search"]
    page.section("The search")
    page.facts(
        {
            "model": tune["model"],
            "tuner": tune["tuner"],
            "most trials": tune["max_trials"],
            "objective": tune["objective"],
            "validation parts": tune["rolling_origins"],
            "seeds of each trial": tune["executions_per_trial"],
            "pruning": "by the median" if tune["pruning"] else "none",
            "seconds": search["seconds"],
        }
    )
    if not (results["status"] == "finished").any():
        return
    objective = tune["objective"]
    page.figure(
        plots.plot_search(results, objective),
        f"The {objective} of each of {len(results)} trials, and the best so far.",
    )
    curves = pd.read_csv(run_dir / "curves.csv")
    if len(curves):
        page.figure(
            plots.plot_trial_curves(curves, results, objective),
            f"The {objective} of each trial after each epoch; crosses where a trial was pruned.",
        )


def _best(page, run_dir, described, scores):
    search = described["search"]
    page.section("Best settings")
    rows = [
        {"setting": name, "best": str(value), "default": str(search["default_settings"].get(name, "-"))}
        for name, value in search["best_settings"].items()
    ]
    if rows:
        page.table(pd.DataFrame(rows), f"Settings of trial {search['best_trial']} beside the default ones")
    page.table(scores, "Scores of the test rows, in the units of the table; looked at once, after the search")
    page.text("best.yaml: `tfts run` takes it.")
    page.code((run_dir / "best.yaml").read_text(encoding="utf-8"))


def _settings(page, run_dir, described, results):
    from tfts import plots
    from tfts.plots.tuning import setting_names

    page.section("What mattered")
    objective = described["settings"]["tune"]["objective"]
    if (run_dir / "importance.csv").is_file():
        table = pd.read_csv(run_dir / "importance.csv")
        page.table(
            table,
            "Importance of settings: how much of what unseen trials differ by is lost when one is shuffled; "
            "0 or below is noise",
        )
        order = table["setting"].tolist()
    else:
        order = setting_names(results[results["status"] == "finished"], varied=True)
    page.sentences(described["search"]["importance_notes"])
    if order:
        page.figure(
            plots.plot_parallel_settings(results, order[:8], objective),
            f"A line for each finished trial through {', '.join(order[:8])} to its {objective}.",
        )
    for name in order[:_MOST_SLICES]:
        page.figure(
            plots.plot_slice(results, name, objective), f"The {objective} of trials over their {name}."
        )


def _caveats(described):
    tune = described["settings"]["tune"]
    count = described["search"]["num_finished"]
    notes = [
        f"Scores of trials are of validation rows, and the best of {count} of them was chosen by these very rows: it "
        "flatters itself. Only the scores of the test rows say what to expect.",
        "Trials that were pruned or diverged carry the score of the epoch where they ended, or a penalty: it is no "
        "score of their settings.",
    ]
    if tune["executions_per_trial"] == 1 and tune["rolling_origins"] == 1:
        notes.append(
            "Each trial was fitted with one seed and scored on one part: differences of the size that another seed "
            "makes mean nothing. tune.executions_per_trial and tune.rolling_origins average over more."
        )
    return notes
