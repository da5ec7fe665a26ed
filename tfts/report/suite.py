"""The report of a suite of methods."""

import json
from pathlib import Path

import pandas as pd

from tfts._files import check_run_files, check_run_format, write_figure
from tfts.comparison import verdict
from tfts.errors import FolderError, MissingFileError
from tfts.report.forecasting import differences_shown, read_scores
from tfts.report.page import Page, shown_time

_FILES = ("runs.csv", "summary.csv", "differences.csv")
_COSTS = {
    "fit_seconds": "fit s",
    "predict_seconds": "predict s",
    "seconds": "all s",
    "parameters": "numbers learnt",
    "memory_mb": "MB",
}


def write_suite_report(run_dir):
    """Writes `report.html` into the folder of a `tfts benchmark` suite, from its tables alone.

    Beside it go the pictures: `cost_HORIZON.png`, and of several horizons `horizons.png`. Of a
    suite that was stopped, the report shows the runs that are done.

    Args:
        run_dir: Folder that `tfts benchmark` wrote.

    Returns:
        Path of the report.

    Raises:
        FileNotFoundError: If the folder holds no suite, or a table is gone.
        ValueError: If no run of the suite is finished.

    Example:

    >>> write_suite_report("nowhere")
    Traceback (most recent call last):
    tfts.errors.MissingFileError: nowhere holds no suite: suite.json is not there. Give the --output of...
    """
    run_dir = Path(run_dir)
    path = run_dir / "suite.json"
    if not path.is_file():
        raise MissingFileError(
            f"{run_dir} holds no suite: {path.name} is not there. Give the --output of `tfts benchmark`."
        )
    described = json.loads(path.read_text())
    check_run_format(described, path)
    check_run_files(run_dir, _FILES, "tfts benchmark")
    runs, table, compared = (read_scores(run_dir / name) for name in _FILES)
    settings = described["settings"]
    done = runs[runs["status"] == "finished"]
    if done.empty:
        raise FolderError(
            f"No run of the suite in {run_dir} is finished. Give the same `tfts benchmark` again."
        )
    # As text, times of one form are in the order of time.
    last = done["finished"].max()
    told = f", last run finished {shown_time(last)}" if last else ""
    page = Page(f"Suite {run_dir.resolve().name}", f"tfts {described['versions']['tfts']}{told}")
    page.section("In short")
    page.sentences(_findings(settings, table, compared))
    page.sentences(
        f"{row.label}, horizon {row.horizon}, seed {row.seed}: {row.status}."
        for row in runs[runs["status"] != "finished"].itertuples()
    )
    _protocol(page, settings, done)
    _horizons(page, run_dir, settings, done, table)
    for horizon, part in table.groupby("horizon", sort=False):
        _horizon(page, run_dir, settings, done[done["horizon"] == horizon], part, compared)
    page.section("What the numbers do not say")
    page.sentences(_caveats(settings))
    page.section("Run it again")
    page.text("Save the settings as a YAML file and give it to `tfts benchmark`.")
    page.settings(settings)
    page.write(run_dir / "report.html")
    return run_dir / "report.html"


def _findings(settings, table, compared):
    """What a reader in a hurry should know, horizon by horizon."""
    metric = settings["protocol"]["metrics"][0]
    name = metric.upper()
    for horizon, part in table.groupby("horizon", sort=False):
        ours = part[part["family"] != "published"].sort_values(metric)
        chosen = ours[ours["chosen"].astype(bool)]
        said = [
            f"{name} {row[metric]:.4g} of {row['model']}, chosen on validation rows"
            for row in chosen.to_dict("records")
        ]
        lowest = ours.iloc[0]
        if chosen.empty or lowest["model"] != chosen["model"].iloc[0]:
            said.append(f"lowest {name} on test rows {lowest[metric]:.4g} of {lowest['model']}")
        published = _lowest_published(part, metric)
        if published is not None:
            said.append(
                f"lowest published {published[metric]:.4g} ({published['model']}; {published['source']})"
            )
        yield f"Horizon {horizon}: {'; '.join(said)}."
        words = verdict(compared[compared["horizon"] == horizon])
        if words:
            yield f"Horizon {horizon}: {words}"


def _lowest_published(part, metric):
    """The row of the lowest published score, or `None`."""
    rows = part[(part["family"] == "published") & part[metric].notna()]
    return None if rows.empty else rows.loc[rows[metric].idxmin()]


def _protocol(page, settings, done):
    data, protocol, split = settings["data"], settings["protocol"], settings["split"]
    page.section("Protocol")
    windows = done.groupby("horizon", sort=False)["windows"].max()
    page.facts(
        {
            "data": data["path"] or data["name"] or data["source"],
            "split": ", ".join(f"{name} {split[name]}" for name in ("validation", "test")),
            "rows seen": f"{protocol['context_length']}, where a method names no others",
            "test windows": ", ".join(
                f"{count:,.0f} of horizon {horizon}" for horizon, count in windows.items()
            ),
            "units": f"{protocol['units']}",
            "seeds of a network": ", ".join(map(str, settings["seeds"])),
            "run on": "; ".join(_places(done)),
        }
    )


def _places(done):
    """Machines and backends of the runs."""
    for (device, cores), part in done.groupby(["device", "cores"], sort=False):
        backends = dict.fromkeys(part["backend"].replace("", "no network"))
        yield f"{device}, {cores:.0f} cores ({', '.join(backends)})"


def _horizons(page, run_dir, settings, done, table):
    from tfts import plots

    if done["horizon"].nunique() < 2:
        return
    metric = settings["protocol"]["metrics"][0]
    lowest = {horizon: _lowest_published(part, metric) for horizon, part in table.groupby("horizon")}
    published = {horizon: row[metric] for horizon, row in lowest.items() if row is not None}
    page.section("All horizons")
    ax = plots.plot_scores_by_horizon(done, metric, published or None)
    write_figure(ax.figure, run_dir / "horizons.png")
    page.figure(
        ax, f"Lines with the {metric.upper()} of each method over the horizon. The tables hold the numbers."
    )
    ours = table[table["family"] != "published"]
    wide = ours.pivot_table(metric, ["family", "model"], "horizon", sort=False).reset_index()
    page.table(wide, f"Median {metric.upper()} of the test rows by horizon, {_units(settings)}")


def _horizon(page, run_dir, settings, done, part, compared):
    """The tables of one horizon, families apart, and its picture."""
    from tfts import plots

    horizon, metrics = part["horizon"].iloc[0], settings["protocol"]["metrics"]
    page.section(f"Horizon {horizon}")
    own = compared[compared["horizon"] == horizon]
    if verdict(own):
        page.text(verdict(own))
    published = _lowest_published(part, metrics[0])
    ax = plots.plot_cost(
        done, metrics[0], None if published is None else (published["model"], published[metrics[0]])
    )
    write_figure(ax.figure, run_dir / f"cost_{horizon}.png")
    page.figure(
        ax,
        f"Points with the {metrics[0].upper()} of each method over the seconds it took, on a logarithmic "
        "axis. The tables hold the numbers.",
    )
    for family, rows in part[part["family"] != "published"].groupby("family", sort=False):
        page.table(
            _shown(rows, metrics),
            f"{family.capitalize()}, test rows of horizon {horizon}, {_units(settings)}",
        )
    theirs = part[part["family"] == "published"]
    if len(theirs):
        shown = theirs.rename(columns={"lookback": "rows seen", **{name: name.upper() for name in metrics}})
        page.table(
            shown[["model", *map(str.upper, metrics), "rows seen", "source"]].sort_values(metrics[0].upper()),
            f"Published scores of horizon {horizon}: not measured here",
        )
    if len(own):
        name = own["metric"].iloc[0].upper()
        page.table(differences_shown(own), f"Differences of the mean {name}: the lowest less each other one")


def _shown(rows, metrics):
    """The rows of one family under the names by which a reader knows their columns."""
    shown = pd.DataFrame({"model": rows["model"]})
    if (rows["best"] != "").any():
        shown["best"] = rows["best"]
    if rows["chosen"].astype(bool).any():
        shown["chosen"] = rows["chosen"].astype(bool)
    for name in metrics:
        shown[name.upper()] = rows[name]
        if rows["seeds"].max() > 1:
            shown[f"{name.upper()} spread"] = rows[f"{name}_spread"].where(rows["seeds"] > 1)
    shown["validation"] = rows["validation"]
    shown["seeds"] = rows["seeds"].astype("Int64")
    shown["rows seen"] = rows["lookback"]
    for name, heading in _COSTS.items():
        shown[heading] = rows[name].astype("Int64") if name == "parameters" else rows[name]
    return shown


def _units(settings):
    return f"{settings['protocol']['units']} units"


def _caveats(settings):
    yield (
        "Scores are medians over seeds, and the spread is the largest less the smallest. Best is a method that is "
        "better than each other by more than chance: by a paired Diebold-Mariano test over blocks of windows and by a "
        "bootstrap interval, both at 5 % for all methods together. Those that share the place are tied."
    )
    yield (
        "Chosen is the method with the best score on validation rows. The lowest of many scores on test rows flatters "
        "itself; that of the chosen one does not."
    )
    yield (
        "Seconds are of this machine and of what else it did; fitting includes all settings that were tried. Numbers "
        "learnt are those of the method that was scored, MB the most memory that its process held."
    )
    if settings["published"]:
        yield (
            "Published scores are quoted from their source, and others may have chosen settings, dropped windows or "
            "scored in another way."
        )
