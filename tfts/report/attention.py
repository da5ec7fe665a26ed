"""The pages about attention in the report of a run."""

from pathlib import Path

import numpy as np

from tfts.baselines.seasonal_naive import season_length_of

# More seasons would hide the weights that they mark.
_MOST_SEASONS = 3


def attention_section(page, run_dir, described):
    """Adds what the attention weights of a run show, if a model of it has any.

    Args:
        page: `Page` to add to.
        run_dir: Folder of a finished run.
        described: Dict, its `run.json`.

    Example:

    >>> from tfts.report import Page
    >>> np.save("attention_stack.npy", np.full((5, 2, 3, 7), 1 / 7, np.float32))
    >>> page = Page("Run")
    >>> about = {"model": "attention_seq2seq", "shape": [5, 2, 3, 7], "axes": ["window", "head", "horizon", "lag"]}
    >>> attention_section(page, ".", {"attention": about, "data": {"freq": "h"}})
    >>> page.html().count("<img")
    2
    """
    about = described.get("attention")
    if about is None:
        return
    from tfts import plots

    name, query, freq = about["model"], about["axes"][2], described["data"]["freq"]
    stack = np.load(Path(run_dir) / "attention_stack.npy", mmap_mode="r")
    num_windows, num_heads, num_queries, context_length = stack.shape
    season = season_length_of(freq)
    seasons = [season * k for k in range(1, _MOST_SEASONS + 1) if 1 < season * k <= context_length]
    options = {"query": query, "freq": freq, "season_lengths": seasons}
    mean = stack.mean(axis=0, dtype=np.float64)
    rows = "horizon step" if query == "horizon" else "row of the context"

    page.section("Attention")
    page.text(
        f"{name} spreads a weight of 1 over the {context_length} rows of its context, for each {rows} "
        f"({num_queries}) and head ({num_heads}) anew. The pictures are means over {num_windows:,} test windows."
    )
    ax = plots.plot_attention(mean, **options)
    ax.set_title(f"{name}, mean of {num_windows:,} windows and all heads", loc="left")
    page.figure(ax, f"Heat map of the mean attention weight of {name}, one line for each {rows}, by lag.")
    if num_heads > 1:
        page.figure(
            plots.plot_attention_heads(mean, **options),
            f"Heat maps of the mean attention weight of {name}, one for each of its {num_heads} heads.",
            "The same for each head, all on one colour scale.",
        )
