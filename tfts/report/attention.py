"""The pages about attention in the report of a run."""

from pathlib import Path

import numpy as np

from tfts.attention import pictures, read_analysis

# Steps of a long horizon that a table shows.
_MOST_STEPS = 12


def attention_section(page, run_dir, described):
    """Adds what the attention weights of a run say, if a model of it has any.

    Args:
        page: `Page` to add to.
        run_dir: Folder of a finished run.
        described: Dict, its `run.json`.

    Example:

    >>> from tfts.report import Page
    >>> page = Page("Run of baselines")
    >>> attention_section(page, ".", {"attention": None})
    >>> "Attention" in page.html()
    False
    """
    for name in (described.get("attention") or {}).get("analysed", ()):
        _model(page, Path(run_dir) / "attention" / name)


def _model(page, folder):
    found = read_analysis(folder)
    about = found["attention"]
    num_windows, num_heads, num_queries, context_length = about["shape"]
    by_variable = about["query"] == "variable"
    rows = {"horizon": "horizon step", "context": "row of the context", "variable": "target"}[about["query"]]
    places = "columns of the table" if by_variable else "rows of its context"
    page.section(f"Attention of {about['model']}")
    page.text(
        f"The model spreads a weight of 1 over the {context_length} {places}, for each {rows} "
        f"({num_queries}) and head ({num_heads}) anew. What follows are means over {num_windows:,} test windows."
        + ("" if by_variable else " Lag 0 is the newest row.")
    )
    page.sentences(claim["sentence"] for claim in about["claims"])
    for picture in pictures(folder):
        page.figure(picture.figure, picture.alt)
    weights = found["variables" if by_variable else "lags"]
    steps = found["target_profile" if by_variable else "horizon_profile"]
    weights = weights.sort_values("weight", ascending=False, kind="stable").head(10)
    what = "columns: share of the weight, mean over heads and targets"
    if not by_variable:
        what = "lags: share of the weight, mean over heads and rows that look"
    page.table(weights, f"The {'most' if by_variable else 'ten most'} attended {what}")
    shown = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), _MOST_STEPS)).astype(int))
    caption = f"Share of the weight by {rows}, beside that of uniform attention"
    if len(shown) < len(steps):
        caption += f": {len(shown)} of {len(steps)}"
    page.table(steps.iloc[shown], caption)
    page.table(found["head_profiles"], "What each head looks at")
    page.subsection("Is it a pattern?")
    page.text(
        "A pattern is claimed only where it differs from uniform attention and from the same network fitted to "
        f"rows with nothing to find, and where masking the most attended {'columns' if by_variable else 'rows'} "
        "changes the forecast, and harms it, "
        "more than masking random ones."
    )
    page.table(found["checks"], "Measures beside those of the baselines, with 95 % bootstrap intervals")
    passed = "passed" if about["faithfulness"]["passed"] else "not passed"
    page.table(
        found["faithfulness"],
        f"Masking, {passed}: change of the forecast and of its error, in standard deviations of the target",
    )
    if "regimes" in found:
        page.table(found["regimes"], "Measures inside and outside of regimes")
