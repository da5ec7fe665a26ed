"""What servers answer instead of a result, and what is missing to run one."""

import importlib.util

from tfts.errors import MissingPackageError, TftsError

# As TensorFlow Serving turns its codes into those of HTTP.
HTTP = {
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "FAILED_PRECONDITION": 412,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


# Letters of an error message.
MOST_WORDS = 1000


class ServingError(TftsError, ValueError):
    """What a server answers instead of a result.

    Args:
        code: Name of a gRPC status, such as `"NOT_FOUND"`.
        message: The server's words.

    Example:

    >>> error = ServingError("NOT_FOUND", "Servable not found for request: Latest(load)")
    >>> error.code, str(error)
    ('NOT_FOUND', 'Servable not found for request: Latest(load)')
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message if len(message) <= MOST_WORDS else f"{message[:MOST_WORDS]}...")
        self.code = code


def invalid(message: str) -> ServingError:
    """The error of a request that can't be answered as it is.

    Example:

    >>> invalid("Missing 'inputs' or 'instances' key").code
    'INVALID_ARGUMENT'
    """
    return ServingError("INVALID_ARGUMENT", message)


def require(**packages: str) -> None:
    """Refuses to go on without packages of the extra `serving`.

    Args:
        **packages: From the name of a module to that of its package.

    Raises:
        ValueError: If one is not installed; the message says how to get it.

    Example:

    >>> require(numpy="numpy", no_such_module="no-such-package")
    Traceback (most recent call last):
        ...
    tfts.errors.MissingPackageError: This needs no-such-package: pip install tfts[serving]
    """
    gone = [package for module, package in packages.items() if importlib.util.find_spec(module) is None]
    if gone:
        raise MissingPackageError(f"This needs {', '.join(gone)}: pip install tfts[serving]")
