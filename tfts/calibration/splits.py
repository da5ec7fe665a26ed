"""Which rows are held out to see how far forecasts are from what happens."""

import numpy as np

from tfts.errors import DataError

# Shares of the rows of a series that the errors of a method may be measured on which is fitted twice, the
# next where a table is too short for one; a horizon at least.
LATER_SHARES = (0.4, 0.25, 0.0)
# Windows of a series that are enough to choose weights by, or to measure errors.
_ENOUGH = 20


def earlier_and_later(panel, spec, share=LATER_SHARES[0]):
    """A panel's rows in two parts: those to fit on and the last ones, whose forecasts are scored.

    Args:
        panel: `Panel`.
        spec: `WindowSpec` of the forecasts.
        share: Of the rows of a series that are in the later part, which holds at least a horizon.

    Returns:
        Tuple of two `Panel`s. A series that is too short for both is in neither.

    Raises:
        ValueError: If all are.

    Example:

    >>> import pandas as pd
    >>> from tfts.data.panel import Panel
    >>> from tfts.data.windows import WindowSpec
    >>> frame = pd.DataFrame({"y": range(20)}, index=pd.date_range("2024-01-01", periods=20))
    >>> [part.spans.tolist() for part in earlier_and_later(Panel.from_frame(frame), WindowSpec(3, 2))]
    [[[0, 0, 12, 12]], [[0, 12, 20, 20]]]
    """
    spans = panel.spans
    rows = spans.observed_end - spans.target_start
    later = np.maximum(np.round(share * rows).astype(np.int64), spec.horizon)
    at = spans.observed_end - later
    kept = at - spans.start >= spec.context_length + spec.horizon
    if not kept.any():
        raise DataError(
            f"No series has {spec.context_length + 2 * spec.horizon} rows, a window (context_length="
            f"{spec.context_length}, horizon={spec.horizon}) and a horizon after it."
        )
    return _cut(panel, at, kept)


def held_out_half(validation, spec):
    """Validation rows in two parts: those that choose weights, and those that errors are measured on.

    Args:
        validation: `Panel` of validation rows.
        spec: `WindowSpec` of the forecasts.

    Returns:
        Tuple of two `Panel`s; twice the same one, where a half would hold fewer than a whole window
        in a series, or fewer than 20 windows in all.

    Example:

    >>> import pandas as pd
    >>> from tfts.data.panel import Panel
    >>> from tfts.data.windows import WindowSpec
    >>> frame = pd.DataFrame({"y": range(60)}, index=pd.date_range("2024-01-01", periods=60))
    >>> [part.spans.tolist() for part in held_out_half(Panel.from_frame(frame), WindowSpec(3, 2))]
    [[[0, 0, 30, 30]], [[0, 30, 60, 60]]]
    """
    spans = validation.spans
    at = (spans.target_start + spans.observed_end) // 2
    windows = np.minimum(at - spans.target_start, spans.observed_end - at) - spec.horizon + 1
    # A series that was too short to hold rows out says nothing here.
    held = spans.observed_end > spans.target_start
    if not held.any() or windows[held].min() < 1 or windows[held].sum() < _ENOUGH:
        return validation, validation
    return _cut(validation, at, np.ones(len(spans), dtype=bool))


def _cut(panel, at, kept):
    spans = panel.spans
    first = spans.replace(observed_end=at, end=at)[kept]
    second = spans.replace(target_start=at)[kept]
    return tuple(panel.of_series(kept, part) for part in (first, second))
