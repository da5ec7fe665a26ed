"""Whether the intervals of a run can be believed, in the report."""

import pandas as pd

from tfts.calibration.believed import coverage_sentence

# Tables of a run with quantiles, beside `intervals.csv`.
TABLES = ("reliability.csv", "interval_widths.csv", "pit.csv")


def intervals_section(page, run_dir, target, methods):
    """Adds the section of intervals to a page, where a run has some.

    Args:
        page: `Page`.
        run_dir: Path of the folder that `tfts run` wrote.
        target: Name of the target of the pictures.
        methods: Names of all methods, the one with the smallest RMSE of the target first.

    Example:

    >>> import io
    >>> from pathlib import Path
    >>> from rich.console import Console
    >>> from tfts.config import parse_settings
    >>> from tfts.experiment.forecasting import run
    >>> from tfts.report.page import Page
    >>> settings = parse_settings('''
    ... data: {source: dataset, name: sunspots}
    ... window: {context_length: 22, horizon: 3}
    ... forecast: {quantiles: [0.1, 0.5, 0.9]}
    ... ''')
    >>> _ = run(settings, "sunspots", console=Console(file=io.StringIO()))
    >>> page = Page("Sunspots", "with intervals")
    >>> intervals_section(page, Path("sunspots"), "sunspots", ["persistence"])
    >>> "Width against coverage" in page.html()
    True
    """
    if not (run_dir / "intervals.csv").is_file():
        return
    page.section("Intervals")
    for row in _read(run_dir / "intervals.csv").to_dict("records"):
        page.text(f"{row['model']}: {coverage_sentence(row)}")
    reliability, widths, pit = (_of(run_dir / name, target, methods) for name in TABLES)
    _calibration(page, reliability, target)
    if len(widths):
        _width(page, widths, target)
        _by_step(page, _of(run_dir / "step_metrics.csv", target, methods), widths, target)
    _pit(page, pit, target)


def levels_of(run_dir):
    """Levels of the quantiles that the methods of a run have, ascending.

    Args:
        run_dir: Path of the folder that `tfts run` wrote.

    Example:

    >>> from pathlib import Path
    >>> levels_of(Path("a_run_without_quantiles"))
    []
    """
    path = run_dir / "reliability.csv"
    return sorted(set(_read(path)["level"])) if path.is_file() else []


def _read(path):
    # A target or a model may be called NA or 1.
    names = dict.fromkeys(("model", "target"), str)
    return pd.read_csv(path, dtype=names, keep_default_na=False, na_values=[""])


def _of(path, target, methods):
    """Rows of a target, the best method first."""
    table = _read(path)
    table = table[table["target"] == str(target)]
    return table.sort_values("model", key=lambda names: names.map(methods.index), kind="stable")


def _calibration(page, reliability, target):
    from tfts import plots

    page.figure(
        plots.plot_calibration(reliability),
        f"Share of the values of {target} at or below each quantile; on the diagonal they hold what they say.",
    )


def _width(page, widths, target):
    from tfts import plots

    page.figure(
        plots.plot_interval_width(widths),
        f"A point for each interval of each method: the share of the values of {target} that it held, and its "
        "mean width.",
        "Width against coverage: a good interval lies on the dotted line of the share that it promises, and low. To "
        "the right of its line it holds more than it promises, to the left less; of two that hold the same share "
        "the lower one says more.",
    )
    table = widths.pivot_table(["coverage", "width"], "level", "model")
    shown = pd.DataFrame({"promised": table.index})
    for name in widths["model"].unique():
        shown[f"{name} held"] = table["coverage", name].to_numpy()
        shown[f"{name} width"] = table["width", name].to_numpy()
    page.table(shown, f"Share of the values of {target} in each interval, and its mean width")


def _by_step(page, steps, widths, target):
    """Of the widest interval, which `coverage` is of."""
    from tfts import plots

    promised, steps = widths["level"].max(), steps[steps["coverage"].notna()]
    ax = plots.plot_horizon_errors(steps, "coverage")
    ax.axhline(promised, color="grey", linewidth=1, linestyle=":")
    ax.set_ylim(max(0, min(promised, steps["coverage"].min()) - 0.1), 1)
    page.figure(
        ax,
        f"Lines with the share of the values of {target} inside the {100 * promised:.4g} % interval of each method at "
        "each horizon step; the dotted line is what it promises.",
    )


def _pit(page, pit, target):
    from tfts import plots

    first = pit["model"].iloc[0]
    page.figure(
        plots.plot_pit(pit[pit["model"] == first]),
        f"Histogram of where the values of {target} fell among the quantiles of {first}.",
        f"{first}, the method with quantiles whose RMSE is smallest: bars at 1 are right, a U says that intervals are "
        "too narrow, a hump too wide, a slope that forecasts are too high or too low.",
    )
