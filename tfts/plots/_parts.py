"""What the pictures share: colours, lines, ticks, units of time."""

import pandas as pd

from tfts.errors import DataError, SettingError

# Okabe and Ito's colours, told apart with every kind of colour vision, without the
# yellow, which is too pale for a line.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
DASHES = ("-", "--", ":", "-.")
GREY, INK = "#8A8F98", "#222222"

# Wide enough that a legend beside the data leaves it room.
WIDE = (9, 4)

# Tick distances that people count in, where 1, 2, 5, 10 are not it.
_TICKS = {
    "hours": (1, 2, 3, 6, 12, 24, 48, 72, 168, 336, 672, 1344),
    "minutes": (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880),
}


def axes_for(ax, figsize):
    if ax is None:
        from matplotlib import pyplot

        _, ax = pyplot.subplots(figsize=figsize, layout="constrained")
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(color=GREY)
    return ax


def as_written(name):
    """A name from the user's table as it is: dollars would begin a formula."""
    return str(name).replace("$", r"\$")


def line_style(number):
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": DASHES[number // len(COLOURS) % len(DASHES)],
    }


def legend_beside(ax, handles=None):
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, frameon=False)


def markers(num_points):
    """Dots as well where the points are few: a line through one point is invisible."""
    return {"marker": "o", "markersize": 3.5} if num_points <= 24 else {}


def check_column(table, name, which):
    if not isinstance(table, pd.DataFrame):
        raise DataError(f"`table` must be a pandas DataFrame. Received: {type(table).__name__}.")
    if name not in table:
        raise SettingError(
            f"`table` needs a column {name!r} {which}. Its columns: {', '.join(map(str, table.columns))}."
        )


def set_ticks(axis, unit, span):
    from matplotlib import ticker

    fitting = [step for step in _TICKS.get(unit, ()) if span / step <= 8]
    axis.set_major_locator(
        # One tick is enough: a single step or epoch has no fractions beside it.
        ticker.MultipleLocator(fitting[0]) if fitting else ticker.MaxNLocator(7, integer=True, min_n_ticks=1)
    )


def time_axis(ax, zone):
    """Stamps along the x axis, in the time zone of the data or without one (`None`)."""
    from matplotlib import dates

    # More than seven stamps such as 09:00 run into each other beside a long legend.
    locator = dates.AutoDateLocator(tz=zone, minticks=3, maxticks=7)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=zone))
    ax.set_xlabel("time" if zone is None else f"time ({zone})")
