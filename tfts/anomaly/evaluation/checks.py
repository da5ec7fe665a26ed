"""What labels, flags and scores must be: one value a row."""

import numpy as np

from tfts.errors import DataError, SettingError


def check_bools(which, values):
    """Bools `(rows,)`; `which` names them in the error."""
    values = np.asarray(values)
    if values.ndim != 1 or not np.isin(values, (0, 1)).all():
        raise SettingError(
            f"`{which}` must be True or False for each row, `(rows,)`. Received: shape {values.shape}, "
            f"{values.dtype}."
        )
    return values.astype(bool)


def check_pair(labels, flags):
    """Labels and flags as bools, as many of each."""
    labels, flags = check_bools("labels", labels), check_bools("flags", flags)
    if labels.shape != flags.shape:
        raise SettingError(
            f"`labels` and `flags` must have one value for each row. Received: {len(labels)} and {len(flags)}."
        )
    return labels, flags


def check_scored(labels, scores):
    """Labels as bools, one of them True at least, and a finite score for each."""
    labels, scores = check_bools("labels", labels), np.asarray(scores, dtype=np.float64)
    check_labelled(labels)
    if scores.shape != labels.shape or not np.isfinite(scores).all():
        raise SettingError(
            "`scores` must be one finite number for each label. Received: "
            f"{(~np.isfinite(scores)).sum()} not finite, shape {scores.shape} for {len(labels)} labels."
        )
    return labels, scores


def check_labelled(labels):
    """Raises a ValueError where no row is labelled."""
    if not labels.any():
        raise DataError(
            "Without a labelled row this measure says nothing. Count the false alarms of such a series instead."
        )
