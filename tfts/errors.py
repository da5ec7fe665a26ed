"""What goes wrong through the user's input: one root, and kinds named after what was done.

Each kind is also the built-in exception that says the same, so `except ValueError` catches
what it always did. Anything else that the package raises is a fault of its own.
"""


class TftsError(Exception):
    """The root of all errors that the user can mend: a setting, a table, a file, a name.

    Example:

    >>> issubclass(SettingError, TftsError), issubclass(SettingError, ValueError)
    (True, True)
    """


class SettingError(TftsError, ValueError):
    """An argument, an option or a key of a settings file has a value that can't be used.

    Example:

    >>> raise SettingError("`horizon` must be an int >= 1. Received: horizon=0.")
    Traceback (most recent call last):
    tfts.errors.SettingError: `horizon` must be an int >= 1. Received: horizon=0.
    """


class DataError(TftsError, ValueError):
    """The table, or a part of it, can't be used as it is.

    Example:

    >>> raise DataError("The time is missing in 3 rows (first: row 7).")
    Traceback (most recent call last):
    tfts.errors.DataError: The time is missing in 3 rows (first: row 7).
    """


class UnknownNameError(TftsError, KeyError):
    """A column, or another part of what was given, was named that is not there.

    Example:

    >>> raise UnknownNameError("Unknown column 'slaes'. Expected one of: sales.")
    Traceback (most recent call last):
    tfts.errors.UnknownNameError: Unknown column 'slaes'. Expected one of: sales.
    """

    # KeyError shows its message as Python would write it, in quotes.
    __str__ = Exception.__str__


class MissingFileError(TftsError, FileNotFoundError):
    """A file or a folder was named that is not there, or lacks a part.

    Example:

    >>> raise MissingFileError("There is no settings file 'sunspot.yaml'.")
    Traceback (most recent call last):
    tfts.errors.MissingFileError: There is no settings file 'sunspot.yaml'.
    """


class FolderError(TftsError, ValueError):
    """A file or a folder that was written before can't be used for this.

    It holds something else, results with other settings, half a result, or what another
    version wrote.

    Example:

    >>> raise FolderError("runs/sun is not empty and holds no run. Choose another --output.")
    Traceback (most recent call last):
    tfts.errors.FolderError: runs/sun is not empty and holds no run. Choose another --output.
    """


class NotFittedError(TftsError, ValueError):
    """Something was used before it was fitted, so there is nothing it could answer by.

    Example:

    >>> raise NotFittedError("This Scaler is not fitted. Call fit first.")
    Traceback (most recent call last):
    tfts.errors.NotFittedError: This Scaler is not fitted. Call fit first.
    """


class ModelError(TftsError, ValueError):
    """A model, or the builder that makes it, can't do what was asked of it.

    Example:

    >>> raise ModelError("The output must have the shape (windows, 7, 1). Received: (windows, 7, 3).")
    Traceback (most recent call last):
    tfts.errors.ModelError: The output must have the shape (windows, 7, 1). Received: (windows, 7, 3).
    """


class DivergedError(TftsError, ValueError):
    """The training left the numbers: the loss was no longer finite.

    Example:

    >>> raise DivergedError("Training diverged in epoch 3: the loss is nan.")
    Traceback (most recent call last):
    tfts.errors.DivergedError: Training diverged in epoch 3: the loss is nan.
    """


class FailedRunError(TftsError, ValueError):
    """Runs of a suite or trials of a search failed; the message says which, and why each did.

    Example:

    >>> raise FailedRunError("1 of 12 runs failed; the same command tries it again.")
    Traceback (most recent call last):
    tfts.errors.FailedRunError: 1 of 12 runs failed; the same command tries it again.
    """


class MissingPackageError(TftsError, ValueError, ImportError):
    """This takes a package that is not installed; the message says how to get it.

    Example:

    >>> raise MissingPackageError("This needs grpcio: pip install tfts[serving]")
    Traceback (most recent call last):
    tfts.errors.MissingPackageError: This needs grpcio: pip install tfts[serving]
    """
