"""Time steps in words."""

import pandas as pd

_UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "D": "days", "W": "weeks"}
_UNITS |= {"B": "business days", "MS": "months", "ME": "months", "QS": "quarters", "QE": "quarters"}
_UNITS |= {"YS": "years", "YE": "years"}


def time_unit(freq):
    """Length and unit of a time step, `(1, "steps")` where there is no frequency.

    Example:

    >>> time_unit("15min"), time_unit("W-SUN"), time_unit(None)
    ((15, 'minutes'), (1, 'weeks'), (1, 'steps'))
    """
    if freq is None:
        return 1, "steps"
    offset = pd.tseries.frequencies.to_offset(freq)
    base = offset.rule_code.split("-")[0]
    return (offset.n, _UNITS[base]) if base in _UNITS else (1, f"steps of {freq}")
