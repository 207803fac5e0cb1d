"""Read what a child wrote. The child ran somebody's code: what lies there may be anything, of any size."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_BYTES_MAX = 1 << 24


class FileError(Exception):
    """A file of a child is not what it should be; the text says which, and what it is."""


def read_own_file(path: Path) -> str:
    """Return a file's text, or nothing when it is not there; a link is never followed.

    :raises FileError: it is no file, or larger than 16 MiB.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise FileError(f"{path.name} cannot be read: {error.strerror}") from error
    with open(descriptor, "rb") as file:  # noqa: PTH123 - opened already
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _BYTES_MAX:
            raise FileError(f"{path.name} is no file of at most {_BYTES_MAX} bytes")
        return file.read(_BYTES_MAX).decode(errors="replace")
