"""Sentences that several error messages share."""

import difflib


def unknown(kind, name, choices):
    """One sentence for a name that is not in a list: the valid ones and the nearest.

    Args:
        kind: What the name stands for, e.g. `"model"`.
        name: The name that came.
        choices: The valid names.

    Returns:
        The message, a str.

    Example:

    >>> unknown("model", "lstm_atention", ["linear", "lstm_attention"])
    "Unknown model 'lstm_atention'. Expected one of: linear, lstm_attention. Did you mean 'lstm_attention'?"
    """
    choices = sorted(map(str, choices))
    message = f"Unknown {kind} {name!r}. Expected one of: {', '.join(choices)}."
    nearest = difflib.get_close_matches(str(name), choices, n=1)
    return f"{message} Did you mean {nearest[0]!r}?" if nearest else message
