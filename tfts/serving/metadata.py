"""What an exported folder says of itself: metadata.json and its seal."""

import hashlib
import json
from pathlib import Path

from tfts._files import write_json
from tfts.errors import MissingFileError

METADATA = "metadata.json"


def seal(folder, metadata):
    """Writes metadata.json with the hash of all that the folder holds.

    Args:
        folder: Folder of a version, complete but for its metadata.
        metadata: Dict, JSON safe.

    Example:

    >>> Path("1").mkdir()
    >>> seal("1", {"name": "load"})
    >>> read_metadata("1")["content_hash"] == content_hash("1")
    True
    """
    write_json(metadata, Path(folder) / METADATA)
    write_json({**metadata, "content_hash": content_hash(folder)}, Path(folder) / METADATA)


def read_metadata(folder):
    """What metadata.json says.

    Args:
        folder: Folder of a version.

    Returns:
        Dict.

    Raises:
        FileNotFoundError: If the folder is no export.

    Example:

    >>> read_metadata("nowhere")
    Traceback (most recent call last):
    tfts.errors.MissingFileError: nowhere holds no exported model: metadata.json is not there. Give...
    """
    path = Path(folder) / METADATA
    if not path.is_file():
        raise MissingFileError(
            f"{folder} holds no exported model: {METADATA} is not there. Give PATH/NAME/VERSION of an export."
        )
    return json.loads(path.read_text())


def content_hash(folder):
    """SHA-256 over names and contents of all files, the hash in metadata.json left out.

    Args:
        folder: Folder of a version.

    Returns:
        Str of 64 hexadecimal digits.

    Example:

    >>> Path("1").mkdir()
    >>> _ = Path("1", "metadata.json").write_text("{}")
    >>> len(content_hash("1"))
    64
    """
    folder, found = Path(folder), hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path == folder / METADATA:
            said = json.loads(content)
            said.pop("content_hash", None)
            content = json.dumps(said, sort_keys=True).encode()
        name = path.relative_to(folder).as_posix().encode()
        found.update(b"%d:%s%d:" % (len(name), name, len(content)))
        found.update(content)
    return found.hexdigest()
