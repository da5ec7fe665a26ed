"""The report of a forecasting run."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from tfts._files import check_run_files, read_run
from tfts.comparison import verdict
from tfts.data.forecasts import quantile_column
from tfts.report.attention import attention_section
from tfts.report.intervals import TABLES, intervals_section, levels_of
from tfts.report.page import Page, shown_time

_FIRST = {"rmse": "RMSE", "mae": "MAE"}
_FURTHER = {
    "r2": "R2",
    "mape": "MAPE %",
    "mase": "MASE",
    "bias": "bias",
    "fit_seconds": "fit s",
    "parameters": "numbers learnt",
}
# Lines that one picture of forecasts can hold beside the truth.
_MOST_LINES = 4
# Rows of the table of errors by horizon step.
_MOST_STEPS = 24
# Columns of tables of scores that hold no numbers.
_WORDS = (
    *("model", "target", "label", "family", "best", "first", "second", "over"),
    *("lookback", "source", "status", "backend", "device", "finished"),
)
# Rows of a table of settings that were tried.
_MOST_TRIED = 10


def write_forecasting_report(run_dir):
    """Writes `report.html` into the folder of a run, from the files of that folder alone.

    Of a run that was stopped, the report shows the data, the split and which methods are
    fitted.

    Args:
        run_dir: Folder that `tfts run` wrote.

    Returns:
        Path of the report.

    Raises:
        FileNotFoundError: If the folder holds no run, or a file of a finished run is gone.

    Example:

    >>> import io
    >>> from rich.console import Console
    >>> from tfts.config import parse_settings
    >>> from tfts.experiment.forecasting import run
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... window: {context_length: 22, horizon: 3}
    ... ''')
    >>> _ = run(settings, "sunspots", console=Console(file=io.StringIO()))
    >>> print(write_forecasting_report("sunspots"))
    sunspots/report.html
    """
    run_dir = Path(run_dir)
    described = read_run(run_dir)
    settings = described["settings"]
    finished = "finished" in described
    if finished:
        _check_files(run_dir, described)
    page = Page(
        f"Forecasting run {run_dir.resolve().name}",
        f"tfts {described['versions']['tfts']}, "
        + (
            f"finished {shown_time(described['finished'])}"
            if finished
            else f"started {shown_time(described['started'])}, not finished"
        ),
    )
    histories = _histories(run_dir, settings)
    if finished:
        scores = read_scores(run_dir / "model_metrics.csv")
        compared = read_scores(run_dir / "differences.csv")
        page.section("In short")
        page.sentences(_findings(scores, settings, described, compared))
    else:
        page.section("Not finished")
        _unfinished(page, settings, histories)
    _data(page, described)
    if finished:
        _scores(page, scores, settings)
        _differences(page, compared)
        target = described["data"]["targets"][0]
        intervals_section(page, run_dir, target, scores.loc[scores["target"] == target, "model"].tolist())
        _step_errors(page, run_dir, target)
        _examples(page, run_dir, described, scores)
    for name, chosen in described.get("searched", {}).items():
        _searched(page, name, chosen, pd.read_csv(run_dir / f"{name}_search.csv"))
    _training(page, {name: history for name, history in histories.items() if history.get("loss")})
    if finished:
        attention_section(page, run_dir, described)
    _again(page, described)
    page.write(run_dir / "report.html")
    return run_dir / "report.html"


def _check_files(run_dir, described):
    kind = described["settings"]["report"]["forecasts"]
    names = [
        "model_metrics.csv",
        "differences.csv",
        "step_metrics.csv",
        f"forecasts.{kind}",
        f"test_rows.{kind}",
    ]
    analysed = (described["attention"] or {}).get("analysed", ())
    names += [f"attention/{name}/attention.json" for name in analysed]
    names += [f"{name}_search.csv" for name in described.get("searched", ())]
    names += TABLES if (run_dir / "intervals.csv").is_file() else ()
    check_run_files(run_dir, names, "tfts run")


def _methods(settings):
    return [
        "persistence",
        *(name for name in settings["baselines"] if name != "persistence"),
        *settings["models"],
    ]


def _histories(run_dir, settings):
    """Dict from each method that is fitted to its losses, in the order of the settings."""
    paths = {name: run_dir / "models" / name / "forecaster.json" for name in _methods(settings)}
    return {name: json.loads(path.read_text())["history"] for name, path in paths.items() if path.is_file()}


def _unfinished(page, settings, histories):
    page.text(
        "This run was stopped. Give the same `tfts run` command again to go on: what is fitted is kept."
    )
    missing = [name for name in _methods(settings) if name not in histories]
    page.facts(
        {
            "fitted": ", ".join(histories) or "nothing yet",
            "not fitted": ", ".join(missing) or "none: no scores yet",
        }
    )


def _findings(scores, settings, described, compared):
    """What a reader in a hurry should know, one sentence for each target."""
    sentences = []
    simple = {"persistence", *settings["baselines"]}
    for target, rows in scores.groupby("target", sort=False):
        rmse = rows.set_index("model")["rmse"].dropna()
        oracle = rmse.get("oracle")
        rmse = rmse.drop("oracle", errors="ignore").sort_values()
        if rmse.empty:
            sentences.append(f"{target}: no method has a score, because no test row was observed.")
            continue
        best, baseline = rmse.index[0], next(name for name in rmse.index if name in simple)
        sentence = f"{target}: {best} has the smallest RMSE, {rmse[best]:.4g}"
        if best == baseline:
            networks = [name for name in rmse.index if name not in simple]
            sentence += (
                f"; it is a baseline, and the best network, {networks[0]}, has {rmse[networks[0]]:.4g}"
                if networks
                else ""
            )
        elif rmse[baseline] > 0:
            below = 1 - rmse[best] / rmse[baseline]
            sentence += f", {below:.1%} below the best baseline, {baseline} ({rmse[baseline]:.4g})"
        if oracle is not None:
            sentence += f"; the oracle, which knows how the data were made, has {oracle:.4g}"
        sentences.append(sentence + ".")
        said = verdict(compared[compared["target"] == target])
        if said:
            sentences.append(f"{target}: {said}")
    horizon, count = settings["window"]["horizon"], described["test_windows"]
    sentences.append(
        f"Scores are of {count:,} test windows of {horizon} rows, which no fit and no choice of weights has seen, "
        "in the units of the table."
    )
    return sentences


def _source(data):
    """Where the table comes from; not the URL of a database, which may hold a password."""
    kind = data["source"]
    if kind == "dataset":
        return f"dataset {data['name']}"
    if kind in ("synthetic", "sales", "sql"):
        return {"sql": "an SQL query"}.get(kind, kind)
    return data["path"] if kind == "file" else f"{data['path']} ({kind})"


def _data(page, described):
    data, settings = described["data"], described["settings"]
    source = settings["data"]
    page.section("Data")
    facts = {
        "source": _source(source),
        "rows": data["rows"],
        "span": f"{shown_time(data['start'])} to {shown_time(data['end'])}",
        "frequency": data["freq"],
        "series": data["series"],
        "targets": ", ".join(data["targets"]),
        "further columns": ", ".join(c for c in data["columns"] if c not in data["targets"]) or "none",
        "known ahead": ", ".join(data["known_future"]) or "none",
    }
    if data["timezone"]:
        facts["time zone"] = data["timezone"]
    page.facts(facts)
    gaps = pd.DataFrame(
        [{"column": column, **counts} for column, counts in data["gaps"].items() if counts["missing"]],
        columns=["column", "missing", "filled"],
    )
    if gaps.empty:
        page.text("No value is missing.")
    else:
        gaps.columns = ["column", "values missing", "filled by interpolation"]
        page.table(gaps, "Missing values. Windows that touch one that is not filled are left out.")
    page.subsection("Split")
    parts = [
        {
            "part": name,
            "rows": part["rows"],
            "first row": shown_time(part["start"]),
            "last row": shown_time(part["end"]),
            "windows": part["windows"],
        }
        for name, part in described["split"].items()
    ]
    window = settings["window"]
    page.table(
        pd.DataFrame(parts),
        f"The parts, in the order of time. A window is {window['context_length']} rows seen and "
        f"{window['horizon']} rows forecast.",
    )


def _scores(page, scores, settings):
    from tfts import plots

    page.section("Scores")
    yardsticks = [name for name in _methods(settings) if name not in settings["models"]]
    for target, rows in scores.groupby("target", sort=False):
        rows = rows.astype({"parameters": "Int64"})
        table = rows[["model", *_FIRST]].rename(columns=_FIRST)
        if (rows["best"] != "").any():
            table.insert(1, "best", rows["best"])
        rmse = rows.set_index("model")["rmse"]
        for name in yardsticks:
            # Where a baseline makes no error, no share of it can be named.
            table[f"skill vs {name}"] = 1 - rows["rmse"] / (rmse[name] or np.nan)
        table[list(_FURTHER.values())] = rows[list(_FURTHER)]
        page.table(table, f"Test scores of {target}, lowest RMSE first, in the units of the table")
    page.text(
        "Skill is 1 - RMSE / RMSE of the baseline: 1 is perfect, 0 is no better, below 0 is worse. MASE is the MAE "
        "in multiples of the seasonal naive error on the training rows. The oracle, where there is one, knows how "
        "the data were made: no method can be expected to beat it. Best is what is better than each other method by "
        "more than chance; those that share the place are tied."
    )
    target = scores["target"].iloc[0]
    first = scores[scores["target"] == target]
    ax = plots.plot_metrics(first)
    page.figure(
        ax, f"Bars with the RMSE of each method for {target}, the lowest on top. The table holds the numbers."
    )


def _differences(page, compared):
    if compared.empty:
        return
    page.section("Differences between models")
    for target, rows in compared.groupby("target", sort=False):
        page.text(f"{target}: {verdict(rows)}")
        page.table(differences_shown(rows), f"Mean squared error of {target}: the lowest less each other one")
    page.text(
        "Windows that start one row apart share nearly all of their rows, so blocks of them are compared: by the "
        "Diebold-Mariano test with the small-sample correction, and by a paired bootstrap. A difference holds where "
        "the p-value is below 5 % and the interval, which holds the true difference 95 times of 100, is wholly on "
        "one side of 0. Of several models, both allow for the lowest having been chosen among them: that any of "
        "several equal models is called worse is as rare."
    )


def differences_shown(compared):
    """Rows of `differences.csv` under the names by which a reader knows their columns.

    Example:

    >>> from tfts.comparison import compare_all
    >>> compared = compare_all({"drift": [2.0, 4.0, 4.0, 4.0], "ridge": [1.0, 2.0, 3.0, 2.0]})
    >>> differences_shown(compared)[["lowest", "other", "difference", "holds"]]
      lowest  other  difference  holds
    0  ridge  drift        -1.5   True
    """
    return pd.DataFrame(
        {
            "lowest": compared["first"],
            "other": compared["second"],
            "difference": compared["difference"],
            "from": compared["low"],
            "to": compared["high"],
            "p-value": compared["p_value"],
            "blocks": compared["blocks"],
            "holds": compared["holds"],
        }
    )


def read_scores(path):
    """A table of scores of a run or a suite, with names of models, targets and the like as text.

    Example:

    >>> _ = Path("scores.csv").write_text("target,model,rmse,best\\n1,NA,0.5,\\n")
    >>> read_scores("scores.csv")["model"].tolist()
    ['NA']
    """
    # A target may be called NA, and only an empty cell is absent.
    table = pd.read_csv(path, dtype=dict.fromkeys(_WORDS, str), keep_default_na=False, na_values=[""])
    for name in table.columns.intersection(_WORDS):
        table[name] = table[name].astype(object).where(table[name].notna(), "")
    return table


def _searched(page, name, chosen, table):
    page.section(f"Settings of {name}")
    page.text(
        f"{len(table)} settings were tried on held-out rows (of the training and the validation rows, never of the "
        f"test rows); {name}_search.csv holds all."
    )
    chosen = pd.DataFrame(chosen)
    chosen["targets"] = chosen["targets"].str.join(", ")
    page.table(
        chosen,
        "What was chosen; forecasts are their weighted mean, with drift_share of their drift; errors are of scaled "
        "values, squared",
    )
    shown = table.head(_MOST_TRIED)
    page.table(shown, f"The best {len(shown)} that were tried")


def _step_errors(page, run_dir, target):
    from tfts import plots

    steps = pd.read_csv(run_dir / "step_metrics.csv", dtype={"model": str, "target": str})
    steps = steps[steps["target"] == target]
    page.section("Error by horizon step")
    ax = plots.plot_horizon_errors(steps)
    page.figure(
        ax,
        f"Lines with the RMSE of each method for {target} at each horizon step. The table holds the numbers.",
    )
    table = steps.pivot_table("rmse", "step", "model", dropna=False)[steps["model"].unique()].reset_index()
    every = "each step"
    if len(table) > _MOST_STEPS:
        table = table.iloc[np.linspace(0, len(table) - 1, _MOST_STEPS).astype(int)]
        every = f"{_MOST_STEPS} of {steps['step'].nunique()} steps; step_metrics.csv holds all"
    page.table(table, f"RMSE of {target} by horizon step, {every}")


def _examples(page, run_dir, described, scores):
    """The windows that the best method forecasts best, halfway and worst."""
    from tfts import plots

    data, window = described["data"], described["settings"]["window"]
    target, horizon = data["targets"][0], window["horizon"]
    ranked = scores.loc[scores["target"] == target, "model"].tolist()
    methods = [name for name in ranked if name != "oracle"]
    shown = methods[:_MOST_LINES] + [name for name in ranked if name == "oracle"]
    kind = described["settings"]["report"]["forecasts"]
    levels = levels_of(run_dir)
    forecasts = _read(run_dir / f"forecasts.{kind}", target, data["timezone"], levels)
    fan = _fan(forecasts, target, shown, levels)
    seen = _read(run_dir / f"test_rows.{kind}", target, data["timezone"])
    values = {
        name: forecasts.loc[forecasts["model"] == name, target].to_numpy().reshape(-1, horizon)
        for name in ["actual", *shown]
    }
    rows = forecasts[forecasts["model"] == "actual"]
    squares = (values[methods[0]] - values["actual"]) ** 2
    observed = ~np.isnan(squares)
    whole = np.flatnonzero(observed.all(axis=1))
    page.section("Example forecasts")
    if not len(whole):
        page.text("No test window was observed whole, so there is none to show.")
        return
    errors = np.sqrt(squares.mean(axis=1))
    order = whole[np.argsort(errors[whole], kind="stable")]
    chosen = {"the smallest": order[0], "the median": order[(len(order) - 1) // 2], "the largest": order[-1]}
    page.text(
        f"Of {len(order):,} test windows of {target} that were observed whole, those with the smallest, the median and "
        f"the largest RMSE of {methods[0]}, the method with the smallest of all. Shown are the first "
        f"{min(_MOST_LINES, len(methods))} methods"
        + (" and the oracle." if "oracle" in ranked else ".")
        + "".join(f" The intervals are those of {name}." for name in fan)
    )
    length = min(window["context_length"], max(6 * horizon, 48))
    for which, number in chosen.items():
        here = slice(number * horizon, (number + 1) * horizon)
        first, times = rows.iloc[number * horizon], pd.Index(rows["time"].iloc[here])
        past = seen[(seen["series"] == first["series"]) & (seen["time"] <= first["origin"])].iloc[-length:]
        ax = plots.plot_forecast(
            pd.Series(past[target].to_numpy(), index=pd.Index(past["time"]), name=target),
            {name: pd.Series(values[name][number], index=times) for name in shown},
            actual=pd.Series(values["actual"][number], index=times),
            quantiles={name: table.iloc[here].set_axis(times) for name, table in fan.items()},
        )
        of = f"series {first['series']}, " if data["series"] > 1 else ""
        page.figure(
            ax,
            f"Lines with the last {len(past)} rows of {target}, the {horizon} rows that followed, and what "
            f"{', '.join(shown)} had forecast for them.",
            f"{of}origin {shown_time(first['origin'])}: {which} RMSE of {methods[0]}, {errors[number]:.4g}.",
        )


def _fan(forecasts, target, shown, levels):
    """Quantiles of the first method that has some, by level, in the rows of its forecasts: a dict of one table."""
    columns = [quantile_column(target, level) for level in levels]
    for name in shown:
        table = forecasts.loc[forecasts["model"] == name, columns].set_axis(list(levels), axis=1)
        if table.notna().any(axis=None):
            # One fan: more would hide each other.
            return {name: table.dropna(axis=1, how="all")}
    return {}


def _read(path, target, timezone, levels=()):
    """Times, one target and its quantiles of a table of a run, with the names of the series as text."""
    names = ["model", "series", "origin", "time"]
    numbers = [target, *(quantile_column(target, level) for level in levels)]
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        present = [name for name in names if name in pq.read_schema(path).names]
        frame = pd.read_parquet(path, columns=[*present, *numbers])
    else:
        # A series may be called NA, a missing value is empty.
        frame = pd.read_csv(
            path,
            usecols=lambda column: column in (*names, *numbers),
            dtype={"model": str, "series": str},
            keep_default_na=False,
            na_values={name: [""] for name in numbers},
        )
        for name in ("origin", "time"):
            if name in frame and not pd.api.types.is_integer_dtype(frame[name]):
                times = pd.to_datetime(frame[name], utc=True)
                frame[name] = times.dt.tz_convert(timezone) if timezone else times.dt.tz_localize(None)
    frame["series"] = frame["series"].astype(object).where(frame["series"].notna(), "").astype(str)
    return frame


def _training(page, histories):
    if not histories:
        return
    from tfts import plots

    page.section("Training")
    rows = []
    for name, history in histories.items():
        column = "val_loss" if "val_loss" in history else "loss"
        losses = np.array(history[column], dtype=np.float64)
        best = int(np.nanargmin(losses)) if np.isfinite(losses).any() else None
        rows.append(
            {
                "model": name,
                "epochs": len(losses),
                "best epoch": None if best is None else best + 1,
                "its loss": None if best is None else losses[best],
                "loss of": "validation rows" if column == "val_loss" else "training rows",
            }
        )
    table = pd.DataFrame(rows).astype({"best epoch": "Int64"})
    named = ", ".join(histories)
    ax = plots.plot_histories(histories)
    page.figure(ax, f"Lines with the loss of each epoch of {named}. The table holds the best.")
    page.table(table, "Training, in scaled units; the weights of the best epoch are kept")


def _again(page, described):
    page.section("Run it again")
    page.text("Put this into a file such as config.yaml, and give: tfts run config.yaml")
    page.settings(described["settings"])
    git = described["git"]
    page.facts(
        {
            "seed": str(described["seed"]),
            **described["versions"],
            "git commit": "none"
            if git is None
            else git["commit"] + (", with changes" if git["changed"] else ""),
            **{name: shown_time(described[name]) for name in ("started", "finished") if name in described},
        }
    )
