"""The report of what a detector found."""

from pathlib import Path

import pandas as pd

from tfts._files import check_run_files, read_run
from tfts.report.page import Page, shown_time

# Events of one table: more are in events.csv.
_MOST_EVENTS = 100
# Targets that are drawn.
_MOST_TARGETS = 4


def write_detection_report(run_dir):
    """Writes `report.html` into the folder of a `tfts detect` run, from its files alone.

    Args:
        run_dir: Folder that `tfts detect` wrote.

    Returns:
        Path of the report.

    Raises:
        FileNotFoundError: If the folder holds no run, or a file of a finished run is gone.
        ValueError: If the run is not finished.

    Example:

    >>> write_detection_report("nowhere")
    Traceback (most recent call last):
    tfts.errors.MissingFileError: nowhere holds no run: run.json is not there. Give the --output of `tfts run`.
    """
    run_dir = Path(run_dir)
    described = read_run(run_dir, finished_by="tfts detect")
    check_run_files(run_dir, ("judged.parquet", "events.csv"), "tfts detect")
    judged = pd.read_parquet(run_dir / "judged.parquet")
    events = _read_events(run_dir / "events.csv")
    page = Page(
        f"Anomalies in {run_dir.resolve().name}",
        f"tfts {described['versions']['tfts']}, finished {shown_time(described['finished'])}",
    )
    page.section("In short")
    page.sentences(_findings(described, judged, events))
    _data(page, described)
    _events(page, events)
    _pictures(page, judged, events)
    page.section("Run it again")
    page.text("Save the settings as a YAML file and give it to `tfts detect`.")
    page.settings(described["settings"])
    page.write(run_dir / "report.html")
    return run_dir / "report.html"


def _read_events(path):
    """Events with names as text: one series has none, and a shop may be called NA or 7."""
    events = pd.read_csv(path, dtype=str, keep_default_na=False)
    for name in ("start", "end", "peak"):
        events[name] = pd.to_datetime(events[name])
    for name in ("size", "strength"):
        events[name] = pd.to_numeric(events[name])
    return events


def _findings(described, judged, events):
    grave = events.sort_values("strength", ascending=False).head(3)
    expected = sum(described["expected_alarms_a_day"].values())
    days = max((judged["time"].max() - judged["time"].min()) / pd.Timedelta("1D"), 1e-9)
    count = f"{len(events)} event{'s' if len(events) != 1 else ''}"
    return [
        f"{count} in {judged['time'].nunique():,} times judged; {described['flagged']:,} of {len(judged):,} values "
        "were flagged.",
        f"Flagged values a day: {judged['flag'].sum() / days:.3g}; of usual rows {expected:.3g} are expected.",
        *grave.sort_values("start")["sentence"],
    ]


def _data(page, described):
    data, split = described["data"], described["split"]
    page.section("Data")
    page.facts({"targets": ", ".join(data["targets"]), "series": data["series"]})
    parts = [
        {
            "part": name,
            "rows": part["rows"],
            "first": shown_time(part["start"]),
            "last": shown_time(part["end"]),
        }
        for name, part in split.items()
    ]
    page.table(pd.DataFrame(parts), "The rows that were learnt from, and those that were judged")


def _events(page, events):
    page.section("Events")
    if events.empty:
        page.text("There is none.")
        return
    from tfts import plots

    shown = events.sort_values("strength", ascending=False).head(_MOST_EVENTS).sort_values("start")
    columns = ["start", "end", "series", "target", "size", "severity", "kind", "sentence"]
    if (events["series"] == "").all():
        columns.remove("series")
    caption = (
        "Events in the order of time; size is actual less expected at the peak, in the units of the table"
    )
    if len(shown) < len(events):
        caption += f"; the {_MOST_EVENTS} gravest of {len(events)}, all are in events.csv"
    page.table(shown[columns], caption)
    named = shown.assign(targets=shown["targets"].str.split(", "))
    page.figure(plots.plot_events(named), f"Timeline of {len(shown)} events, a line for each series.")


def _pictures(page, judged, events):
    from tfts import plots

    grave = events.sort_values("strength", ascending=False)
    for target in judged["target"].unique()[:_MOST_TARGETS]:
        page.section(f"{target}")
        own = grave[grave["target"] == target]
        # The series of the gravest event shows most.
        series = own["series"].iloc[0] if len(own) else judged["series"].iloc[0]
        of = f"{target} of {series}" if str(series) else str(target)
        rows = judged[(judged["target"] == target) & (judged["series"].astype(str) == str(series))]
        page.figure(
            plots.plot_anomalies(rows),
            f"{of}: what was seen, what was expected, and {int(rows['flag'].sum())} flagged points.",
        )
        page.figure(plots.plot_residuals(rows), f"{of}: the score of each row beside its threshold.")
    if ((judged["threshold"] > 0) & judged["score"].notna()).any():
        page.section("What if")
        page.text("How many alarms there would be, were all thresholds higher or lower.")
        page.figure(
            plots.plot_threshold_alarms(judged), "Number of flagged rows and of alarms against the threshold."
        )
    if len(grave):
        worst = grave.iloc[0]
        names = worst["targets"].split(", ")
        shares = [float(share) for share in worst["shares"].split(", ")]
        page.section("The gravest event")
        page.text(worst["sentence"])
        shown = ", ".join(f"{name} {share:.0%}" for name, share in zip(names, shares, strict=True))
        page.figure(plots.plot_contributions(dict(zip(names, shares, strict=True))), f"Shares: {shown}.")
