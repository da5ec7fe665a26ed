"""The chronological split of a panel into training, validation and test rows."""

import dataclasses
import datetime
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts.data.panel import Panel
from tfts.data.spans import Spans
from tfts.errors import DataError, SettingError


class Split(NamedTuple):
    """The three parts of a panel, in the order of time; `None` where a part is empty."""

    train: Panel
    validation: Panel | None
    test: Panel | None


def chronological_split(
    panel: Panel,
    validation: float | str | datetime.date | pd.Timestamp = 0.15,
    test: float | str | datetime.date | pd.Timestamp = 0.15,
    gap: int = 0,
    context: Literal["carry", "own"] = "carry",
    at_least: int = 0,
    allow_empty: bool = False,
) -> Split:
    """Cuts each series into training, validation and test rows, in the order of time.

    The rows that one part may forecast never appear as targets of another part. The
    parts share the panel's table: nothing is copied.

    Args:
        panel: A `Panel`.
        validation: Share of each series' rows, in [0, 1); their number, an int >= 1; or the
            time of the first validation row (str, date or `Timestamp`).
        test: The same for the test rows, which are the last.
        gap: Rows left out between two parts: targets of neither.
        context: `"carry"`: windows of a part may see the rows before it as context, so
            that its first row can be forecast. `"own"`: windows lie wholly inside it.
        at_least: Rows that validation and test hold where they are given as a share, as far
            as half of a series' rows allow it: the horizon, so that there is a window.
        allow_empty: Whether a series may have no row in a part, as long as another has one.

    Returns:
        `Split(train, validation, test)`, each a `Panel`, or `None` for a share of 0.

    Raises:
        ValueError: If a part would have no row in a series.

    Example:

    >>> import numpy as np, pandas as pd
    >>> frame = pd.DataFrame({"y": np.arange(20.0)},
    ...                      index=pd.date_range("2024-01-01", periods=20, freq="D"))
    >>> train, validation, test = chronological_split(Panel.from_frame(frame), 0.2, 0.2)
    >>> test.spans.tolist()  # rows 0 to 15 are context only
    [[0, 16, 20, 20]]
    """
    if context not in ("carry", "own"):
        raise SettingError(unknown("context", context, ("carry", "own")))
    if isinstance(gap, bool) or not isinstance(gap, int | np.integer) or gap < 0:
        raise SettingError(f"`gap` must be an int >= 0 (rows). Received: gap={gap!r}.")
    least = at_least + gap if at_least else 0
    first, last = _edges(panel, validation, test, least)
    spans = panel.spans
    start, target_start, observed_end, end = spans.start, spans.target_start, spans.observed_end, spans.end
    has_validation, has_test = bool(validation), bool(test)
    parts = [
        ("training", target_start, first, first, True),
        ("validation", first + gap, last, last, has_validation),
        # The known future past the end of the table belongs to the last rows.
        ("test", last + gap, observed_end, end, has_test),
    ]
    if not has_test:
        parts[1] = ("validation", first + gap, observed_end, end, has_validation)
        if not has_validation:
            parts[0] = ("training", target_start, observed_end, end, True)
    made = []
    for name, begin, stop, known_stop, wanted in parts:
        if not wanted:
            made.append(None)
            continue
        empty = np.flatnonzero(begin >= stop)
        if allow_empty and len(empty) < len(spans):
            begin = np.minimum(begin, stop)
        elif len(empty):
            i = empty[0]
            of = f"Series {panel.series[i]!r}" if panel.series_name is not None else "The table"
            raise DataError(
                f"{of} has no {name} row: of its {observed_end[i] - target_start[i]} rows, validation starts at "
                f"row {first[i] - start[i]} and test at row {last[i] - start[i]}, with gap={gap}. Expected at "
                f"least one row in each part. Received: validation={validation!r}, test={test!r}."
            )
        seen_from = start if context == "carry" or name == "training" else begin
        made.append(
            dataclasses.replace(
                panel, spans=Spans(seen_from, begin, stop, known_stop), part=panel.part or name
            )
        )
    return Split(*made)


def together(panel, validation):
    """The training and the validation rows of one split as one part.

    Args:
        panel: `Panel` of training rows.
        validation: `Panel` of the later rows.

    Raises:
        ValueError: If they are no parts of one table.

    Example:

    >>> import numpy as np, pandas as pd
    >>> frame = pd.DataFrame({"y": np.arange(20.0)}, index=pd.date_range("2024-01-01", periods=20))
    >>> train, validation, _ = chronological_split(Panel.from_frame(frame), 0.2, 0)
    >>> together(train, validation).spans.tolist()
    [[0, 0, 20, 20]]
    """
    same = panel.series == validation.series and panel.times.equals(validation.times)
    if not same or (panel.spans.observed_end > validation.spans.target_start).any():
        raise SettingError(
            "`validation` must hold later rows of the same table and series as the training rows, as from "
            f"chronological_split. Received: {panel!r} and {validation!r}."
        )
    spans = panel.spans.replace(observed_end=validation.spans.observed_end, end=validation.spans.end)
    if panel.values is validation.values:
        return dataclasses.replace(panel, spans=spans)
    # Each part was scaled by itself, so that its own rows are all that its table surely holds.
    values = panel.values.copy()
    for stop, end in zip(panel.spans.observed_end, validation.spans.end, strict=True):
        values[stop:end] = validation.values[stop:end]
    return dataclasses.replace(panel, values=values, spans=spans)


def _edges(panel, validation, test, least):
    """First validation row and first test row of each series, two int arrays."""
    target_start, observed_end = panel.spans.target_start, panel.spans.observed_end
    rows = observed_end - target_start

    def edge(name, value, stop):
        if isinstance(value, str | datetime.date | np.datetime64):
            stamp = _stamp(name, value, panel.times.tz)
            before = np.append(0, np.cumsum(panel.times < stamp))
            return target_start + before[observed_end] - before[target_start]
        if isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1:
            # What is not there is told with the other empty parts.
            return np.maximum(stop - value, target_start)
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value < 1:
            raise SettingError(
                f"`{name}` must be a share in [0, 1), an int >= 1 (rows) or the time of its first row. Received: "
                f"{name}={value!r}."
            )
        held = np.rint(float(value) * rows).astype(np.int64)
        return stop - np.maximum(held, np.minimum(least, (stop - target_start) // 2))

    last = edge("test", test, observed_end) if test else observed_end
    first = edge("validation", validation, last) if validation else last
    return first, last


def _stamp(name, value, tz):
    try:
        stamp = pd.Timestamp(value)
    except ValueError as error:
        raise SettingError(
            f"`{name}` must be a share in [0, 1), rows, or the time of its first row, such as '2024-01-31'. Received: "
            f"{name}={value!r}."
        ) from error
    if stamp.tz is not None and tz is None:
        raise SettingError(
            f"`{name}` has the time zone {stamp.tz}, but the times of the table have none. Expected a time "
            f"without a zone. Received: {name}={value!r}."
        )
    return stamp.tz_localize(tz) if stamp.tz is None and tz is not None else stamp
