"""Files that readers open: found or missed with a word, and their text."""

import difflib
import gzip
from pathlib import Path

from tfts.errors import DataError, MissingFileError


def existing_file(path, endings):
    """The path of a file that is there and has one of some endings, gzipped or not.

    Raises:
        ValueError: If the ending is another.
        FileNotFoundError: If there is no such file; the message names the nearest one.

    Example:

    >>> existing_file("sales.cvs", (".csv",))
    Traceback (most recent call last):
    tfts.errors.DataError: The ending of 'sales.cvs' is unknown. Expected one of: .csv, .csv.gz.
    """
    path = Path(path)
    endings = [name for ending in endings for name in (ending, f"{ending}.gz")]
    if not path.name.lower().endswith(tuple(endings)):
        raise DataError(f"The ending of {path.name!r} is unknown. Expected one of: {', '.join(endings)}.")
    if path.is_file():
        return path
    if not path.parent.is_dir():
        raise MissingFileError(f"{path} does not exist: there is no folder {path.parent}.")
    if path.exists():
        raise MissingFileError(
            f"{path} is not a file. Expected a file ending in one of: {', '.join(endings)}."
        )
    nearest = difflib.get_close_matches(path.name, [other.name for other in path.parent.iterdir()], n=1)
    raise MissingFileError(f"{path} does not exist." + (f" Did you mean {nearest[0]!r}?" if nearest else ""))


def text_of(path, encoding=None):
    """The text of a file, gzipped or not, without a byte order mark.

    Args:
        path: `pathlib.Path`.
        encoding: How it is encoded. `None` is UTF-8, or where that can't be, the one of Windows.

    Raises:
        ValueError: If the file is empty, or its compression damaged.

    Example:

    >>> _ = Path("a.txt").write_text("one")
    >>> text_of(Path("a.txt"))
    'one'
    """
    content = path.read_bytes()
    if path.suffix.lower() == ".gz":
        try:
            content = gzip.decompress(content)
        except (EOFError, gzip.BadGzipFile) as error:
            raise DataError(f"{path} can't be unpacked: {error}") from error
    if not content.strip():
        raise DataError(f"{path} is empty.")
    try:
        return content.decode(encoding or "utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")
