"""Checks of arguments that several layers share."""

from tfts.errors import SettingError


def check_positive_int(**arguments):
    """Raises a ValueError for the first argument that is not an int >= 1."""
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise SettingError(f"`{name}` must be an int >= 1. Received: {name}={value!r}.")


def check_share(**arguments):
    """Raises a ValueError for the first argument that is not a number in [0, 1)."""
    for name, value in arguments.items():
        if not 0 <= value < 1:
            raise SettingError(
                f"`{name}` is the share of units to drop and must be >= 0 and < 1. "
                f"Received: {name}={value!r}."
            )
